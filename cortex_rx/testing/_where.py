"""Where a task waits."""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import Any

__all__ = ["name_of", "where"]


def where(task: asyncio.Task[Any]) -> str:
    """What a suspended task runs, and the line at which it waits: `load() at client.py:12`."""
    running: Any = task.get_coro()
    outer = name_of(running)
    frame = None
    while running is not None:  # down the chain of awaits, to the innermost frame
        inner = None
        for kind in ("cr", "gi", "ag"):
            frame = getattr(running, f"{kind}_frame", None) or frame
            inner = inner or getattr(running, f"{kind}_await", None) or getattr(running, f"{kind}_yieldfrom", None)
        running = inner
    return f"{outer}()" + (f" at {PurePath(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else "")


def name_of(it: object) -> str:
    """The qualified name of a function, or of what a coroutine or a generator runs."""
    return str(getattr(it, "__qualname__", None) or type(it).__qualname__)
