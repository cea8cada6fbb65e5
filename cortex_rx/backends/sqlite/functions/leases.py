"""Who owns a stream: the epoch, which every write names, and the lease, until when a take-over is refused unless it is forced.

Safety rests on the epoch alone, which is compared in the transaction that writes.  The lease is a courtesy: nothing is
refused to its holder when it has run out, as long as nobody has taken over.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.text_store import Transaction, WriterState
from cortex_rx.errors import Fenced, StillOwned, StreamNotFound

__all__ = [
    "bump_epoch",
    "carried",
    "check_free",
    "find",
    "find_numbered",
    "get_for_append",
    "get_live",
    "get_owned",
    "lease_until",
    "note_break",
    "renew",
    "require_live",
    "shown",
    "valid_prefix",
]

# A stream, with what its text says of the answer.
_STREAM = (
    "SELECT streams.*, length, indexed, lead, writes, touched, lease, mark, resume_state"
    " FROM streams LEFT JOIN texts ON texts.id = answer"
)
_GONE = ("deleted", "rolledBack")


def find(work: Transaction, args: dict[str, Any]) -> sqlite3.Row | None:
    """The row of the stream, whatever has become of it."""
    found: sqlite3.Row | None = work.db.execute(
        f"{_STREAM} WHERE streams.space = ? AND streams.id = ?", (args["memorySpaceId"], args["streamId"])
    ).fetchone()
    return found


def find_numbered(work: Transaction, seq: int | None) -> sqlite3.Row | None:
    """The row of the stream of this number."""
    found: sqlite3.Row | None = work.db.execute(f"{_STREAM} WHERE seq = ?", (seq,)).fetchone()
    return found


def require_live(stream: sqlite3.Row | None) -> sqlite3.Row:
    """The stream, if there is one."""
    if stream is None or stream["state"] in _GONE:
        raise StreamNotFound(
            "no stream of this id in the memory space, or its memory was deleted, or it was rolled back"
        )
    return stream


def get_live(work: Transaction, args: dict[str, Any]) -> sqlite3.Row:
    """The stream, which must be there."""
    return require_live(find(work, args))


def get_owned(work: Transaction, args: dict[str, Any]) -> sqlite3.Row:
    """The stream, if the caller's epoch is its epoch."""
    return _checked(get_live(work, args), args)


def get_for_append(work: Transaction, args: dict[str, Any]) -> sqlite3.Row:
    """The same, with no more of it than an append needs: what it writes to, and the state of that."""
    found: sqlite3.Row | None = work.db.execute(
        "SELECT seq, streams.space, state, epoch, attempt, answer, length, indexed, lead, lease FROM streams"
        " LEFT JOIN texts ON texts.id = answer WHERE streams.space = ? AND streams.id = ?",
        (args["memorySpaceId"], args["streamId"]),
    ).fetchone()
    return _checked(require_live(found), args)


def _checked(stream: sqlite3.Row, args: dict[str, Any]) -> sqlite3.Row:
    if args["epoch"] != stream["epoch"]:
        raise Fenced(f"the stream is at epoch {stream['epoch']}, this write at {args['epoch']}")
    return stream


def lease_until(stream: sqlite3.Row) -> int:
    """Until when its writer owns the stream (epoch ms); 0 if it has no lease."""
    return int(stream["lease"] or 0)


def shown(until: int) -> dict[str, int]:
    """The lease as a part of a result: left out where there is none."""
    return {"leaseUntil": until} if until else {}


def check_free(work: Transaction, stream: sqlite3.Row) -> None:
    """`StillOwned` while the lease of an open stream runs."""
    until = lease_until(stream)
    if until > work.now:
        raise StillOwned(until)


def bump_epoch(work: Transaction, stream: sqlite3.Row, claim: str | None, token: int | None = None) -> None:
    """Raise the epoch: from here on every former writer is refused.  `claim` and `token` are of the call that does it, by which
    its repetition is known; tokens that are older than `token` are not valid any more."""
    work.db.execute(
        "UPDATE streams SET state = 'open', epoch = epoch + 1, claim = ?, claim_token = ?,"
        " presented = coalesce(?, presented), reason = NULL, usage = NULL, updated = ? WHERE seq = ?",
        (claim, token, token, work.now, stream["seq"]),
    )


def note_break(work: Transaction, stream: sqlite3.Row) -> None:
    """Another writer goes on from what is stored now, or begins anew; `stream` is the row before the epoch rose."""
    breaks = [*json.loads(stream["breaks"]), [stream["epoch"] + 1, stream["attempt"], stream["length"]]]
    work.db.execute("UPDATE streams SET breaks = ? WHERE seq = ?", (json.dumps(breaks), stream["seq"]))


def valid_prefix(stream: sqlite3.Row, epoch: int, attempt: int, length: int) -> int:
    """Up to where what was seen of an attempt under `epoch` is what is stored of it.

    Where another writer went on from an older attempt, nothing was stored of this one: what was shown of it was lost.
    """
    breaks = ((of, offset) for at, of, offset in json.loads(stream["breaks"]) if at > epoch and of <= attempt)
    return min((offset if of == attempt else 0 for of, offset in breaks), default=length)


def _until(work: Transaction, lease: int) -> int:
    return work.now + lease if lease else 0


def carried(work: Transaction, args: dict[str, Any], *, at_end: bool = True) -> WriterState:
    """What a call brings for the one who goes on; mark and state only if they are those of the end of the text."""
    lease = _until(work, args["lease"]) if "lease" in args else None
    return (
        (lease, text_store.as_json(args, "mark"), text_store.as_json(args, "state")) if at_end else (lease, None, None)
    )


def renew(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:renew`: the heartbeat of a writer that has nothing to write; a lease of 0 lets the stream go."""
    stream = get_owned(work, args)
    if stream["state"] != "open":
        return {}
    until = _until(work, args["lease"])
    work.db.execute("UPDATE texts SET lease = ? WHERE id = ?", (until, stream["answer"]))
    return shown(until)
