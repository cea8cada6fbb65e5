"""Threads for functions that block: a bounded number, started when needed, ended when idle."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any, TypeVar

__all__ = ["Threads"]

T = TypeVar("T")


class Threads(Executor):
    """At most `most` threads at a time; a call that finds none free waits.

    A thread cannot be cancelled. So a call whose caller gave up runs on to its end, and its result is dropped; one that
    has not begun is taken back. The threads are daemons: a call that never returns keeps no program alive. Each call
    sees the context variables of its caller.

    >>> threads = Threads(1)
    >>> threads.submit(max, 1, 2).result()
    2
    """

    def __init__(self, most: int, name: str = "cortex_rx-embedder") -> None:
        self._most, self._name = most, name
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Begin without threads, as the child of a fork does."""
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call the function on a thread, as soon as one is free."""
        future: Future[T] = Future()
        context = copy_context()
        call = future, lambda: context.run(fn, *args, **kwargs)
        with self._lock:
            self._waiting.append(call)
            start = self._running < self._most
            self._running += start
        future.add_done_callback(lambda done: self._take_back(call) if done.cancelled() else None)
        if start:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return future

    def _take_back(self, call: tuple[Future[Any], Callable[[], Any]]) -> None:
        """Hold no text of a call that was cancelled before it began, however long no thread is free."""
        with self._lock:
            if call in self._waiting:
                self._waiting.remove(call)

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._running -= 1
            return None

    def _run(self) -> None:
        while (call := self._next()) is not None:
            future, work = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
            del call, future, work  # hold nothing while waiting
