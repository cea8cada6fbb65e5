"""Scripts of a model: texts come, numbers are pauses in seconds, an exception is raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

__all__ = ["model", "played"]


async def played(script: Iterable[Any]) -> AsyncGenerator[Any, None]:
    """What one opening gives."""
    for item in script:
        if isinstance(item, Exception):
            raise item
        if isinstance(item, int | float):
            await asyncio.sleep(item)
        else:
            yield item


def model(*script: Any, points: list[Any] | None = None) -> Any:
    """A reopenable source that gives the same each time; it notes from where it was opened."""

    async def opened(point: Any) -> Any:
        if points is not None:
            points.append(point)
        async for item in played(script):
            yield item

    return opened
