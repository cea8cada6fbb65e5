"""What a peer is to `peers.py`: something that opens a file, streams a model into it, and can say what is stored."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hand_store import HandStore
from benchmarks.subjects import Model

__all__ = ["Peer", "Ready", "hand_store"]


@dataclass(frozen=True)
class Ready:
    """The file is open; nothing was streamed yet."""

    run: Callable[[], Awaitable[str]]
    """Streams the model to its end; the text that was shown."""
    stored: Callable[[], Awaitable[str]]
    """The text of the answer as it is stored."""


@dataclass(frozen=True)
class Peer:
    """How it is opened, and what it does less than the loop written by hand."""

    open: Callable[[Model, Path], AbstractAsyncContextManager[Ready]]
    less: str = ""


@asynccontextmanager
async def hand_store(path: Path) -> AsyncIterator[tuple[HandStore, Callable[[], Awaitable[str]]]]:
    """The store written by hand, and what it has of its one answer."""
    store = HandStore(str(path))

    async def stored() -> str:
        with closing(sqlite3.connect(path)) as db:
            (text,) = db.execute("SELECT text FROM messages WHERE role = 'agent' AND NOT partial").fetchone()
        return str(text)

    try:
        yield store, stored
    finally:
        await store.close()
