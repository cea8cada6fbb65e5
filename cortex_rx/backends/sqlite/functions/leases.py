"""Who owns a stream: the epoch, which every write names, and the lease, during which only a forced take-over succeeds.

Safety depends on the epoch alone, which is compared in the transaction that writes. The lease is a courtesy: when it
has expired, its holder may still write, as long as no other writer has taken over.

Leases end by the wall clock, which every process sees, also after a restart of the machine. A clock may be set. One
that is set forward ends all leases early: a take-over succeeds, and the former writer is `Fenced`. One that is set back
would let a dead writer own its stream for as long. So a lease that ends later than its own length from now is none, and
a living writer has a lease again when it renews.
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
    "check_free",
    "find",
    "find_numbered",
    "get_for_append",
    "get_live",
    "get_owned",
    "is_owned",
    "lease_field",
    "log_takeover",
    "renew",
    "require_live",
    "stop",
    "stop_field",
    "valid_prefix",
    "writer_state",
]

# A stream, with the columns of its answer's text, and with the end of its conversation.
_STREAM = (
    "SELECT streams.*, length, indexed, lead, writes, touched, lease, term, failure, mark, resume_state,"
    " (SELECT message_count FROM conversations WHERE conversations.seq = conversation_seq) AS message_count,"
    " (SELECT exchange FROM messages WHERE messages.conversation = conversation_seq ORDER BY position DESC LIMIT 1)"
    " AS last_exchange FROM streams LEFT JOIN texts ON texts.id = answer"
)
_GONE = ("deleted", "rolledBack")


def find(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row | None:
    """The row of the stream, in any state."""
    found: sqlite3.Row | None = tx.db.execute(
        f"{_STREAM} WHERE streams.space = ? AND streams.id = ?", (args["memorySpaceId"], args["streamId"])
    ).fetchone()
    return found


def find_numbered(tx: Transaction, seq: int | None) -> sqlite3.Row | None:
    """The row of the stream with this number."""
    found: sqlite3.Row | None = tx.db.execute(f"{_STREAM} WHERE seq = ?", (seq,)).fetchone()
    return found


def require_live(stream: sqlite3.Row | None) -> sqlite3.Row:
    """The stream. `StreamNotFound` if there is none, or it was deleted or rolled back."""
    if stream is None or stream["state"] in _GONE:
        raise StreamNotFound(
            "no stream with this id in the memory space, or its memory was deleted, or it was rolled back"
        )
    return stream


def get_live(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row:
    """Look the stream up. `StreamNotFound` as `require_live` says."""
    return require_live(find(tx, args))


def get_owned(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row:
    """The stream, if the caller's epoch is its epoch; else `Fenced`."""
    return _checked(get_live(tx, args), args)


def get_for_append(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row:
    """Like `get_owned`, with only the columns that an append needs."""
    found: sqlite3.Row | None = tx.db.execute(
        "SELECT seq, streams.space, state, epoch, facts, stopping, attempt, answer, length, indexed, lead, lease, term"
        " FROM streams"
        " LEFT JOIN texts ON texts.id = answer WHERE streams.space = ? AND streams.id = ?",
        (args["memorySpaceId"], args["streamId"]),
    ).fetchone()
    return _checked(require_live(found), args)


def _checked(stream: sqlite3.Row, args: dict[str, Any]) -> sqlite3.Row:
    if args["epoch"] != stream["epoch"]:
        raise Fenced(f"the stream is at epoch {stream['epoch']}, this write is at {args['epoch']}")
    return stream


def is_owned(tx: Transaction, stream: sqlite3.Row) -> bool:
    """Whether the stream's lease runs."""
    return tx.now < (stream["lease"] or 0) <= tx.now + (stream["term"] or 0)


def lease_field(tx: Transaction, stream: sqlite3.Row | dict[str, Any]) -> dict[str, int]:
    """The end of the lease (epoch ms) as a field of a result; left out without one, or if the clock was set back."""
    until, term = stream["lease"] or 0, stream["term"] or 0
    return {"leaseUntil": until} if 0 < until <= tx.now + term else {}


def check_free(tx: Transaction, stream: sqlite3.Row) -> None:
    """`StillOwned` while the lease of an open stream runs."""
    if is_owned(tx, stream):
        raise StillOwned(stream["lease"], stream["id"])


def bump_epoch(tx: Transaction, stream: sqlite3.Row, claim: str | None, token: int | None = None) -> None:
    """Raise the epoch. From now on, all former writers are refused.

    A repetition of the call is recognised by its `claim` and `token`. Tokens older than `token` become invalid.
    """
    tx.db.execute(
        "UPDATE streams SET state = 'open', epoch = epoch + 1, claim = ?, claim_token = ?,"
        " presented = coalesce(?, presented), reason = NULL, usage = NULL, updated = ? WHERE seq = ?",
        (claim, token, token, tx.now, stream["seq"]),
    )


def log_takeover(tx: Transaction, stream: sqlite3.Row) -> None:
    """Note that another writer goes on from the stored text, or begins anew. `stream` is the row before that."""
    breaks = [*json.loads(stream["breaks"]), [stream["epoch"] + 1, stream["attempt"], stream["length"]]]
    tx.db.execute("UPDATE streams SET breaks = ? WHERE seq = ?", (json.dumps(breaks), stream["seq"]))


def valid_prefix(stream: sqlite3.Row, epoch: int, attempt: int, length: int) -> int:
    """The offset up to which the text of an attempt, as seen under `epoch`, is the stored text.

    If another writer went on from an older attempt, nothing of this attempt was stored, and all its shown text was
    lost.
    """
    breaks = ((of, offset) for at, of, offset in json.loads(stream["breaks"]) if at > epoch and of <= attempt)
    return min((offset if of == attempt else 0 for of, offset in breaks), default=length)


def _until(tx: Transaction, lease: int) -> int:
    return tx.now + lease if lease else 0


def writer_state(tx: Transaction, args: dict[str, Any], *, at_end: bool = True) -> WriterState:
    """The writer's state in the arguments of a call; mark and state only if they belong to the end of the text."""
    lease = args.get("lease")
    until = None if lease is None else _until(tx, lease)
    mark, state = (text_store.as_json(args, name) if at_end else None for name in ("mark", "state"))
    return until, lease, mark, state, args.get("lastError")


def renew(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:renew`: the heartbeat of a writer that has nothing to write. A lease of 0 releases the stream."""
    stream = get_owned(tx, args)
    if stream["state"] != "open":
        return {}
    given = {"lease": _until(tx, args["lease"]), "term": args["lease"]}
    text_store.save_writer_state(tx, stream["answer"], writer_state(tx, args))
    return {**lease_field(tx, given), **stop_field(stream)}


def stop(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:stop`: asks the writer of the current epoch to stop. It hears of it by `stop_field`."""
    stream = get_live(tx, args)
    if stream["state"] != "open":
        return {"state": stream["state"], "owned": False}
    if stream["stopping"] != stream["epoch"]:
        tx.db.execute("UPDATE streams SET stopping = epoch WHERE seq = ?", (stream["seq"],))
    return {"state": "open", "owned": is_owned(tx, stream), **lease_field(tx, stream)}


def stop_field(stream: sqlite3.Row) -> dict[str, bool]:
    """Whether the writer of the stream was asked to stop, as a field of a result; left out if not."""
    return {"stop": True} if stream["stopping"] == stream["epoch"] else {}
