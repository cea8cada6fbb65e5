"""Resume tokens. A client makes them. The store knows their hashes, and the stream and memory space of each."""

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


def issue(tx: Transaction, stream: sqlite3.Row | Mapping[str, Any], token: str, args: dict[str, Any]) -> int:
    """Store a new token of the stream. A token that it has already stays as it is. Returns its expiry (epoch ms)."""
    row = tx.db.execute("SELECT serial, space, stream, expires FROM tokens WHERE hash = ?", (token,)).fetchone()
    if row is not None:
        if row["stream"] == stream["seq"]:
            return int(row["expires"])
        if row["stream"] is not None or row["space"] != stream["space"]:
            raise IdempotencyConflict("this token already belongs to another stream")
        tx.db.execute("DELETE FROM tokens WHERE serial = ?", (row["serial"],))  # of a stream that is gone
    expires = tx.now + int(args["tokenTtl"])
    tx.db.execute(
        "INSERT INTO tokens (hash, space, stream, expires) VALUES (?, ?, ?, ?)",
        (token, stream["space"], stream["seq"], expires),
    )
    return expires


def issue_token(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:issueToken`."""
    return {"expiresAt": issue(tx, leases.get_live(tx, args), args["token"], args)}


def look_up(tx: Transaction, token: str, space: str) -> sqlite3.Row:
    """The row of a token. It may have expired, and its stream may be gone (None)."""
    row: sqlite3.Row | None = tx.db.execute("SELECT * FROM tokens WHERE hash = ?", (token,)).fetchone()
    if row is None:
        raise TokenUnknown("no stream has this token")
    if row["space"] != space:
        raise WrongMemorySpace("the token belongs to a stream in another memory space")
    return row


def check_valid(tx: Transaction, token: sqlite3.Row, stream: sqlite3.Row) -> None:
    """Raise if the token no longer gives access to its stream."""
    if token["serial"] < stream["presented"]:
        raise TokenSuperseded("a newer token of the stream has been used")
    if token["expires"] <= tx.now:
        raise TokenExpired(f"the token was valid until {token['expires']} (epoch milliseconds)")


def detach(tx: Transaction, stream: int) -> None:
    """Detach the tokens of a stream that goes. Until they expire, they say that it is gone."""
    tx.db.execute("UPDATE tokens SET stream = NULL WHERE stream = ?", (stream,))
    tx.db.execute("DELETE FROM tokens WHERE stream IS NULL AND expires <= ?", (tx.now,))
