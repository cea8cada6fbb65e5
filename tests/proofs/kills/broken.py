"""The library, broken in one place: for processes in which a proof is to find it (`Starter.broken`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_rx import SqliteBackend
from cortex_rx.backends.sqlite.functions import conversations, leases


def no_fence() -> None:
    """An old epoch may write."""
    leases._checked = lambda stream, args: stream


def two_transactions() -> None:
    """An exchange is stored in two: its messages, then its memories."""
    add_messages = conversations.add_messages

    def add(work: Any, stream: Any, messages: Any) -> None:
        add_messages(work, stream, messages)
        work.db.execute("COMMIT")
        work.db.execute("BEGIN IMMEDIATE")

    conversations.add_messages = add


def acknowledged_early() -> None:
    """An append is acknowledged, and written with the next call."""
    mutation, waiting = SqliteBackend.mutation, dict[SqliteBackend, Mapping[str, Any]]()

    async def hasty(self: SqliteBackend, path: str, args: Mapping[str, Any]) -> Any:
        if (before := waiting.pop(self, None)) is not None:
            await mutation(self, "streams:append", before)
        if path != "streams:append":
            return await mutation(self, path, args)
        waiting[self] = args
        return {"end": args["start"] + len(args["text"])}

    SqliteBackend.mutation = hasty
