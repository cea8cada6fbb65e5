"""What is left behind: tasks, timers, async generators, threads, open files and sockets.

>>> import asyncio
>>> async def forgets() -> None:
...     async with assert_no_leaks():
...         task = asyncio.create_task(asyncio.sleep(3600), name="forgotten")
>>> asyncio.run(forgets())
Traceback (most recent call last):
...
cortex_rx.testing.leaks.Leaked: left behind:
  task forgotten: sleep()...
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import AsyncGeneratorType, TracebackType
from typing import Any, NamedTuple, cast

from cortex_rx import validation as check
from cortex_rx.engine.scheduler import all_tasks
from cortex_rx.testing._heap import instances, loops, set_aside, thawed
from cortex_rx.testing._where import name_of, where

__all__ = ["Leaked", "assert_no_leaks", "left_in_process", "left_on_loop"]

DESCRIPTORS = ("/proc/self/fd", "/dev/fd")


class _Thing(NamedTuple):
    key: object
    """What identifies it."""
    words: str
    it: object
    """The object itself; held, so that its id is not reused."""


class Leaked(AssertionError):
    """Something was left behind; `left` names each thing."""

    def __init__(self, left: Iterable[str]) -> None:
        self.left: tuple[str, ...] = tuple(left)
        super().__init__("left behind:" + "".join(f"\n  {each}" for each in self.left))


class assert_no_leaks:  # lower case, since it reads like a statement
    """A context manager, plain or async, that raises `Leaked` at its exit if something new is left behind.

    It sees tasks, timers and started async generators of every loop that is not closed, threads, and open file
    descriptors. Descriptors are read from `/proc/self/fd` or `/dev/fd`, else by `psutil` if it is installed; otherwise
    only those of Python objects are seen. It first collects garbage, so that unreachable objects are not taken for
    leaks, gives the running loop a few turns, and waits up to `grace` seconds of real time for threads that are about
    to end. Older objects are frozen meanwhile (`gc.freeze`), so that collections do not examine them.

    The threads of the running loop's default executor (`asyncio.to_thread`) belong to that loop, which ends them. If
    the body raises, that exception is raised, with a note of what was left.
    """

    def __init__(self, *, grace: float = 1.0) -> None:
        check.amount("seconds", 3600, zero=True)("grace", grace)
        self.grace = grace

    def __enter__(self) -> assert_no_leaks:
        self._aside = ExitStack()
        self._aside.enter_context(set_aside())
        self._before = {thing.key: thing for thing in _everything()}
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._aside:
            self._join()
            gc.collect()
            if self._left():
                with thawed():
                    gc.collect()
                    self._judge(error)

    async def __aenter__(self) -> assert_no_leaks:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._aside:
            self._join()
            await _turns(3)
            if self._left():
                with thawed():
                    await _turns(2)
                    self._judge(error)

    def _join(self) -> None:
        for thing in _threads():
            if thing.key not in self._before and isinstance(thing.it, threading.Thread):
                thing.it.join(self.grace)

    def _left(self) -> list[str]:
        return [thing.words for thing in _everything() if thing.key not in self._before]

    def _judge(self, error: BaseException | None) -> None:
        left = self._left()
        if left and error is None:
            raise Leaked(left)
        if left and error is not None:
            error.add_note(str(Leaked(left)))


async def _turns(number: int) -> None:
    """Let things end that need some turns: callbacks of tasks, the closing of dropped generators."""
    for _ in range(number):
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def _everything() -> Iterator[_Thing]:
    for loop in loops():
        yield from left_on_loop(loop)
    yield from _threads()
    held: dict[int, str] = {}
    for it in instances(socket.socket, io.FileIO):
        try:
            held[it.fileno()] = repr(it)
        except (OSError, ValueError):
            continue  # the loop is closed
    yield from _descriptors(held)


def left_on_loop(loop: asyncio.AbstractEventLoop) -> Iterator[_Thing]:
    """What is left on a loop: tasks except the current one, timers, and started async generators, each once.

    Timers and generators are known only for asyncio's own loops.
    """
    inner: Any = loop
    current = asyncio.current_task(loop)
    for task in sorted(all_tasks(loop) - {current}, key=lambda task: task.get_name()):
        yield _Thing(id(task), f"task {task.get_name()}: {where(task)}", task)
    timers: list[asyncio.TimerHandle] = list(getattr(inner, "_scheduled", ()))
    for timer in sorted(timers, key=asyncio.TimerHandle.when):
        if not timer.cancelled():
            callback = name_of(getattr(timer, "_callback", None))
            yield _Thing(id(timer), f"timer: {callback}() in {round(timer.when() - loop.time(), 3):g} s", timer)
    generators = cast("Iterable[AsyncGeneratorType[Any, Any]]", list(getattr(inner, "_asyncgens", ())))
    for generator in generators:
        if (frame := generator.ag_frame) is not None:
            place = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
            yield _Thing(id(generator), f"async generator {name_of(generator)}() at {place}", generator)


def left_in_process() -> Iterator[_Thing]:
    """The threads and open files of this process. Files are described by path, without examining every object."""
    yield from _threads()
    yield from _descriptors({})


def _threads() -> Iterator[_Thing]:
    try:
        executor = getattr(asyncio.get_running_loop(), "_default_executor", None)
    except RuntimeError:
        executor = None
    own = getattr(executor, "_threads", ())
    for thread in threading.enumerate():
        if thread not in own:
            yield _Thing(id(thread), f"thread {thread.name}{' (daemon)' if thread.daemon else ''}", thread)


def _descriptors(held: dict[int, str]) -> Iterator[_Thing]:
    """The open file descriptors; `held` describes those that belong to a known Python object."""
    directory = next(filter(os.path.isdir, DESCRIPTORS), None)
    if directory is None:
        yield from _other_files(held)
        return
    for name in os.listdir(directory):
        try:
            status = os.fstat(int(name))
        except OSError:  # the descriptor by which the directory was listed
            continue
        try:
            what = os.readlink(os.path.join(directory, name))
        except OSError:
            what = "file"
        shown = held.get(int(name), what) if what.startswith("socket:") else what
        yield _Thing((int(name), status.st_dev, status.st_ino), f"open: {shown} (descriptor {name})", None)


def _other_files(held: dict[int, str]) -> Iterator[_Thing]:
    try:
        process = importlib.import_module("psutil").Process()
    except ImportError:
        for number, words in held.items():
            yield _Thing((number, words), f"open: {words} (descriptor {number})", None)
        return
    for file in process.open_files():
        yield _Thing((file.fd, file.path), f"open: {file.path} (descriptor {file.fd})", None)
    for connection in process.net_connections():
        yield _Thing(str(connection), f"open: {connection}", None)
