"""What the utilities share: how a stream is read and closed, how one waits for a change."""

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
