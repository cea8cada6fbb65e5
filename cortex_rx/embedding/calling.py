"""Calls of callers' functions, plain or async: on a thread or on the loop, and in bounded time.

Whatever a function does, its caller gets a result or an `Exception`: one that cancels its own task fails with a
`ForeignCancellation`, one that raises what would end a program or a thread's future with an `AbnormalEnd`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from cortex_rx.embedding.threads import Threads
from cortex_rx.engine.scheduler import AbnormalEnd, ForeignCancellation, cancelled_by_us

__all__ = ["call_function", "is_async", "within"]

T = TypeVar("T")

_LATE = 1.0  # seconds that a call may take to end when it is cancelled


def is_async(function: Callable[..., Any]) -> bool:
    """Whether it is a coroutine function or an async generator function, or an object with such a `__call__`."""
    made = (function, getattr(function, "__call__", None))  # noqa: B004
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in made)


async def call_function(what: str, threads: Threads, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the function: one that is async on the loop, another on a thread. An awaitable that it returns is awaited.

    `what` names it in errors.

    >>> asyncio.run(call_function("max", Threads(1), max, 1, 2))
    2
    """
    try:
        if is_async(function):
            value = function(*arguments)
        else:
            loop = asyncio.get_running_loop()
            value = await loop.run_in_executor(threads, _contained, what, function, *arguments)
        return await value if inspect.isawaitable(value) else value
    except asyncio.CancelledError as error:
        if cancelled_by_us():
            raise
        raise ForeignCancellation(what) from error


async def within(seconds: float | None, work: Coroutine[Any, Any, T], what: str) -> T:
    """The result of `work`. Raises `TimeoutError` if it takes longer than these seconds; `what` names it.

    Then it is cancelled, and waited for a second at most. A function on a thread runs on to its end, and its result is
    dropped.

    >>> asyncio.run(within(0.01, asyncio.sleep(60), "the extractor"))
    Traceback (most recent call last):
    ...
    TimeoutError: the extractor took longer than 0.01 s
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_retrieve)  # we may be cancelled when it has failed already
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError(f"{what} took longer than {seconds:g} s")
        if task.cancelled():  # by the function: nobody else knows the task
            raise ForeignCancellation(what)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_LATE)


def _contained(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function on a thread. What ends a program there must not end the loop that waits for it."""
    try:
        return function(*arguments)
    except StopIteration as error:  # a future cannot carry it
        raise AbnormalEnd(f"{what} raised StopIteration") from error
    except Exception:
        raise
    except BaseException as error:
        raise AbnormalEnd(f"{what} raised {type(error).__name__}") from error


def _retrieve(task: asyncio.Task[Any]) -> None:
    """If nobody asks for the error, Python would log it, with what text it holds."""
    if not task.cancelled():
        task.exception()
