"""Shared helpers: reading and closing a stream, waiting for a change."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

__all__ = ["Changes", "awaited", "reading"]

T = TypeVar("T")


@asynccontextmanager
async def reading(stream: AsyncIterable[T]) -> AsyncIterator[AsyncIterator[T]]:
    """The iterator of a stream.  At the end it is closed, and also the stream, if that is another object."""
    async with AsyncExitStack() as stack:
        items = aiter(stream)
        for thing in {id(each): each for each in (stream, items)}.values():
            if close := getattr(thing, "aclose", None):
                stack.push_async_callback(close)
        yield items


class Changes:
    """Lets coroutines wait until a condition holds."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came

    def tell(self) -> None:
        """Announce a change: all waiting coroutines check their condition."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds()` is true.  Nothing is awaited between its last call and the return."""
        while not holds():
            future = asyncio.get_running_loop().create_future()
            self._waiting[future] = None
            try:
                await future
            finally:
                del self._waiting[future]


async def awaited(value: Any) -> Any:
    """The result of a function, plain or async."""
    return await value if inspect.isawaitable(value) else value
