"""What the utilities share: how a stream is read and closed, how one waits for a change, checks of arguments."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from cortex_rx.errors import InvalidArgument

__all__ = ["Changes", "awaited", "callback", "count", "milliseconds", "reading", "stream_of"]

T = TypeVar("T")


@asynccontextmanager
async def reading(stream: AsyncIterable[T]) -> AsyncIterator[AsyncIterator[T]]:
    """The iterator of a stream; at the end it is closed, and the stream too if that is another thing."""
    async with AsyncExitStack() as stack:
        items = aiter(stream)
        for thing in {id(each): each for each in (stream, items)}.values():
            if close := getattr(thing, "aclose", None):
                stack.push_async_callback(close)
        yield items


class Changes:
    """Lets coroutines wait until something that they look at has changed."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came

    def tell(self) -> None:
        """Something has changed: let all look."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, holds: Callable[[], object]) -> None:
        """Until `holds()`.  Nothing is awaited between its last answer and the return."""
        while not holds():
            future = asyncio.get_running_loop().create_future()
            self._waiting[future] = None
            try:
                await future
            finally:
                del self._waiting[future]


async def awaited(value: Any) -> Any:
    """What a function gave, plain or async."""
    return await value if inspect.isawaitable(value) else value


def count(name: str, value: Any) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidArgument(name, value, "a whole number of at least 1")
    return value


def milliseconds(name: str, value: Any) -> float:
    """A finite number of milliseconds above 0, in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InvalidArgument(name, value, "milliseconds, more than 0")
    return value / 1000


def callback(name: str, value: object) -> None:
    """A function, or None."""
    if value is not None and not callable(value):
        raise InvalidArgument(name, type(value).__name__, "a function, plain or async, or None")


def stream_of(value: AsyncIterable[T]) -> AsyncIterable[T]:
    """An async iterable."""
    if not isinstance(value, AsyncIterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgument("stream", type(value).__name__, "an async iterable")
    return value
