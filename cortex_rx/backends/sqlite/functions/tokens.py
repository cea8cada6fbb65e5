"""Resume tokens.  A client makes them; the store knows their hashes, and of which stream of which memory space they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.sqlite.functions import leases
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import (
    IdempotencyConflict,
    TokenExpired,
    TokenSuperseded,
    TokenUnknown,
    WrongMemorySpace,
)

__all__ = ["check_valid", "detach", "issue", "issue_token", "look_up"]


def issue(work: Transaction, stream: sqlite3.Row | Mapping[str, Any], token: str, args: dict[str, Any]) -> int:
    """Store a new token of the stream; until when it is valid (epoch ms).  One that it has already stays as it is."""
    row = work.db.execute("SELECT serial, space, stream, expires FROM tokens WHERE hash = ?", (token,)).fetchone()
    if row is not None:
        if row["stream"] == stream["seq"]:
            return int(row["expires"])
        if row["stream"] is not None or row["space"] != stream["space"]:
            raise IdempotencyConflict("this token is already one of another stream")
        work.db.execute("DELETE FROM tokens WHERE serial = ?", (row["serial"],))  # of a stream that is gone
    expires = work.now + int(args["tokenTtl"])
    work.db.execute(
        "INSERT INTO tokens (hash, space, stream, expires) VALUES (?, ?, ?, ?)",
        (token, stream["space"], stream["seq"], expires),
    )
    return expires


def issue_token(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:issueToken`."""
    return {"expiresAt": issue(work, leases.get_live(work, args), args["token"], args)}


def look_up(work: Transaction, token: str, space: str) -> sqlite3.Row:
    """The row of a token; its stream may be gone (None), its time too."""
    row: sqlite3.Row | None = work.db.execute("SELECT * FROM tokens WHERE hash = ?", (token,)).fetchone()
    if row is None:
        raise TokenUnknown("no stream has this token")
    if row["space"] != space:
        raise WrongMemorySpace("the token is of a stream in another memory space")
    return row


def check_valid(work: Transaction, token: sqlite3.Row, stream: sqlite3.Row) -> None:
    """Whether the token still gives access to its stream."""
    if token["serial"] < stream["presented"]:
        raise TokenSuperseded("a newer token of the stream has been used")
    if token["expires"] <= work.now:
        raise TokenExpired(f"the token was valid until {token['expires']} (epoch milliseconds)")


def detach(work: Transaction, stream: int) -> None:
    """The stream goes: its tokens lead nowhere, which they say until they expire."""
    work.db.execute("UPDATE tokens SET stream = NULL WHERE stream = ?", (stream,))
    work.db.execute("DELETE FROM tokens WHERE stream IS NULL AND expires <= ?", (work.now,))
