"""All records of a listing, page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from cortex_rx import validation as check

__all__ = ["checked_page_size", "pages"]

R = TypeVar("R")

checked_page_size = check.whole(1, 1_000)


async def pages(
    fetch: Callable[[int, str | None], Awaitable[Mapping[str, Any]]], record: Callable[[object], R], size: int
) -> AsyncGenerator[R]:
    """The records of all pages, in the order in which they were made.

    `fetch` gets the size of a page and the cursor of the page before, None for the first. What is made meanwhile comes
    at the end; what is deleted meanwhile is left out, and nothing else is missing or repeated.

    >>> import asyncio
    >>> async def fetch(size, cursor):
    ...     start = int(cursor or 0)
    ...     more = {"cursor": str(start + size)} if start + size < 5 else {}
    ...     return {"page": list(range(start, min(start + size, 5))), **more}
    >>> async def main():
    ...     return [number async for number in pages(fetch, str, 2)]
    >>> asyncio.run(main())
    ['0', '1', '2', '3', '4']
    """
    cursor: str | None = None
    while True:
        found = await fetch(size, cursor)
        for row in found["page"]:
            yield record(row)
        cursor = found.get("cursor")
        if cursor is None:
            return
