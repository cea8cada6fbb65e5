"""`facts:commit`, `facts:queued`: what is read from the text of a stream while it is written, and later; and what
becomes of it with the stream."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts import changes, extractions, rows, statements
from cortex_rx.backends.sqlite.facts.statements import Origin, Policy, having
from cortex_rx.backends.sqlite.functions import leases
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import Fenced, Gap, InvalidArgument

__all__ = [
    "MOST",
    "commit",
    "forget",
    "publish",
    "publish_question",
    "published",
    "queued",
    "register",
    "take",
    "withdraw",
]

MOST = 1_000
"""The most statements of a stream."""

_TOO_MANY = "TOO_MANY_FACTS"
_SIDES = ("question", "answer")


def commit(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`facts:commit`."""
    stream = leases.get_owned(tx, args)
    side = args["side"]
    if side == "answer" and args.get("attempt", stream["attempt"]) != stream["attempt"]:
        if args["attempt"] > stream["attempt"]:
            raise Gap(0, args["to"])
        raise Fenced(f"the stream is at attempt {stream['attempt']}, this write is at {args['attempt']}")
    done = extractions.progress(tx, stream["seq"])
    if args["from"] > done.get(side, 0):
        raise Gap(done.get(side, 0), args["from"])
    if not _store(tx, stream, args):
        raise InvalidArgument("facts", f"more than {MOST} facts of a stream", f"at most {MOST:,} facts of a stream")
    done = extractions.progress(tx, stream["seq"])
    return {
        "end": done.get(side, 0),
        "facts": list(_stored(tx, stream, args)),
        "progress": {side: done.get(side, 0) for side in _SIDES},
    }


def _length(tx: Transaction, stream: sqlite3.Row, side: str) -> int:
    """The length of a side of a stream; 0 of an answer that is not there."""
    if side == "question":
        return text_store.length_of(tx, stream["question"])
    return 0 if stream["state"] == "empty" else int(stream["length"])


def _said(tx: Transaction, stream: sqlite3.Row, side: str) -> int | None:
    """When the message of this side was said; None if the answer is not a message yet."""
    if side == "question":
        return int(stream["started"])
    row = tx.db.execute("SELECT timestamp FROM messages WHERE text = ?", (stream["answer"],)).fetchone()
    return None if row is None else int(row["timestamp"])


def _origin(tx: Transaction, stream: sqlite3.Row, side: str, window: tuple[int, int]) -> Origin:
    of_question = side == "question"
    return Origin(
        user_id=stream["user_id"],
        participant_id=stream["participant_id"],
        conversation=stream["conversation"],
        messages=(stream["question_message" if of_question else "answer_message"],),
        memory=stream["question_memory" if of_question else "memory"],
        stream=stream["seq"],
        side=side,
        start=window[0],
        stop=window[1],
        said=_said(tx, stream, side),
    )


def _store(tx: Transaction, stream: sqlite3.Row, given: Mapping[str, Any]) -> bool:
    """Store what was read from a window, and how far it goes. Returns whether all facts were stored."""
    side, seq, window = given["side"], stream["seq"], (given["from"], given["to"])
    if window[1] < window[0]:
        raise InvalidArgument("to", window[1], f"{window[0]} (from) or more")
    if window[1] > (length := _length(tx, stream, side)):
        raise Gap(length, window[1])
    space = text_store.number_for(tx, stream["space"])
    is_open = stream["state"] == "open"
    if is_open:
        register(tx, stream)
    if window[0] == window[1]:
        return True  # nothing was read: what is queued from there on stays
    done = extractions.progress(tx, seq)
    new = is_open and window[1] > done.get(side, 0)
    waiting = extractions.queued(tx, seq, side, window)
    if not new and waiting is None:
        return True
    complete, numbers = _add(tx, space, stream, side, window, given)
    if new:
        extractions.read_up_to(tx, seq, side, window[1])
    if waiting is not None and ("error" not in given or window[1] < waiting["stop"]):
        extractions.take(tx, waiting, window[1])
    if "error" in given:
        how = {"error": given["error"], "tries": given.get("tries", 1), "dead": given.get("dead", False)}
        extractions.enqueue(tx, space, stream, side, window, **how)
    if not is_open:
        changes.show(tx, space, numbers)
    return complete


def register(tx: Transaction, stream: sqlite3.Row | Mapping[str, Any]) -> None:
    """Note that the stream is read for facts."""
    if not stream["facts"]:
        tx.db.execute("UPDATE streams SET facts = 1 WHERE seq = ?", (stream["seq"],))
        for side in _SIDES:
            extractions.read_up_to(tx, stream["seq"], side, 0)


def _add(
    tx: Transaction, space: int, stream: sqlite3.Row, side: str, window: tuple[int, int], given: Mapping[str, Any]
) -> tuple[bool, list[int]]:
    """Store the facts of a window, as many as the stream may have. Returns whether these are all, and their numbers."""
    origin = _origin(tx, stream, side, window)
    policy = Policy(given["deduplication"], given["revise"])
    free = MOST - tx.db.execute("SELECT count(*) FROM statements WHERE stream = ?", (stream["seq"],)).fetchone()[0]
    numbers: list[int] = []
    for fact in given["facts"]:
        said = statements.said_by(fact)
        number = statements.in_stream(tx, stream["seq"], side, said)
        if number is None:
            if not free:
                return False, numbers
            free -= 1
            number = statements.add_one(tx, space, fact, said, origin, policy)
        else:
            statements.stands_at(tx, number, window)
        numbers.append(number)
    return True, numbers


def _stored(tx: Transaction, stream: sqlite3.Row, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Those of the given facts that are stored, as the contract has them."""
    for index, fact in enumerate(given["facts"]):
        number = statements.in_stream(tx, stream["seq"], given["side"], statements.said_by(fact))
        if number is not None:
            (row,) = having(tx, "seq = ?", (number,))
            fact_id = row["own"] if row["fact"] is None else row["fact"]
            done = {name: row[name] for name in ("action", "about") if row[name] is not None}
            yield {"index": index, "factId": fact_id, **done}


def take(tx: Transaction, stream: sqlite3.Row, windows: Iterable[Mapping[str, Any]]) -> None:
    """Store what a writer has read but not committed when the stream ends. What lies before a window and was not read
    is put into the queue. A window with more facts than the stream may have is given up: the exchange is stored."""
    register(tx, stream)
    for window in windows:
        _enqueue_up_to(tx, stream, window["side"], window["from"])
        if not _store(tx, stream, window):
            space = text_store.number_for(tx, stream["space"])
            place = (window["from"], window["to"])
            extractions.enqueue(tx, space, stream, window["side"], place, error=_TOO_MANY, tries=1, dead=True)


def _enqueue_up_to(tx: Transaction, stream: sqlite3.Row, side: str, stop: int) -> None:
    done = extractions.progress(tx, stream["seq"]).get(side, 0)
    if done < stop:
        space = text_store.number_for(tx, stream["space"])
        extractions.enqueue(tx, space, stream, side, (done, stop))
        extractions.read_up_to(tx, stream["seq"], side, stop)


def publish(tx: Transaction, stream: sqlite3.Row) -> None:
    """Make what was read from a stream that ends visible, and put what was not read into the queue. `stream` is the row
    of the open stream, with the text with which it ends."""
    _publish(tx, stream, _SIDES)


def publish_question(tx: Transaction, stream: sqlite3.Row) -> None:
    """The same for a stream that ends without an answer. What was read from its text is removed."""
    _publish(tx, stream, ["question"])
    withdraw(tx, stream, ["answer"])


def _publish(tx: Transaction, stream: sqlite3.Row, sides: Sequence[str]) -> None:
    space = text_store.number_for(tx, stream["space"])
    for side in sides:
        _enqueue_up_to(tx, stream, side, _length(tx, stream, side))
        said = _said(tx, stream, side)
        changes.publish(tx, space, stream["seq"], side, tx.now if said is None else said)


def withdraw(tx: Transaction, stream: sqlite3.Row | Mapping[str, Any], sides: Sequence[str] = _SIDES) -> None:
    """Remove what was read from a stream, or from a side of it, as if it had never been said."""
    space = text_store.number_of(tx, stream["space"])
    if space is not None:
        changes.withdraw(tx, space, stream["seq"], sides)
        extractions.drop(tx, stream["seq"], sides)


def forget(tx: Transaction, stream: int) -> None:
    """Remove what a stream that is deleted has not made visible, and read no more of it."""
    statements.delete(tx, having(tx, "stream = ? AND known IS NULL", (stream,)))
    extractions.drop(tx, stream)


def published(tx: Transaction, stream: sqlite3.Row) -> dict[str, Any]:
    """The facts of a stream that has ended and what they did, as fields of its result."""
    found = having(tx, "stream = ? AND known IS NOT NULL", (stream["seq"],))
    numbers = dict.fromkeys(row["belief"] for row in found if row["until"] is None)
    given_up = [
        {"side": row["side"], "from": row["start"], "to": row["stop"], "error": row["error"]}
        for row in extractions.failed(tx, stream["seq"], _TOO_MANY)
    ]
    return {
        "facts": rows.load(tx, stream["space"], numbers),
        "revisions": changes.revisions_of(found),
        **({"givenUp": given_up} if given_up else {}),
    }


_QUEUED = (
    "SELECT extraction_queue.*, spaces.name, streams.id AS stream_id, epoch, attempt, conversation, user_id"
    " FROM extraction_queue CROSS JOIN spaces ON spaces.id = extraction_queue.space"
    " CROSS JOIN streams ON streams.seq = stream"
    " WHERE extraction_queue.state = :state AND streams.state IN ('finished', 'empty')"
)
_OLDEST_FIRST = " ORDER BY extraction_queue.id LIMIT :limit"
_QUEUED_IN_ALL = f"{_QUEUED}{_OLDEST_FIRST}"
_QUEUED_IN_ONE = f"{_QUEUED} AND extraction_queue.space = :space{_OLDEST_FIRST}"


def queued(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`facts:queued`."""
    given = {"state": "dead" if args["dead"] else "queued", "limit": args["limit"]}
    if "memorySpaceId" not in args:
        found = tx.db.execute(_QUEUED_IN_ALL, given)
    else:
        found = tx.db.execute(_QUEUED_IN_ONE, {**given, "space": text_store.number_of(tx, args["memorySpaceId"])})
    return [_queued_row(row) for row in found.fetchall()]


def _queued_row(row: sqlite3.Row) -> dict[str, Any]:
    optional = {"error": row["error"], "userId": row["user_id"]}
    return {
        "memorySpaceId": row["name"],
        "streamId": row["stream_id"],
        "epoch": row["epoch"],
        "side": row["side"],
        "attempt": row["attempt"] if row["side"] == "answer" else 0,
        "from": row["start"],
        "to": row["stop"],
        "state": row["state"],
        "tries": row["tries"],
        "conversationId": row["conversation"],
        "memoryId": row["memory"],
        "queuedAt": row["created"],
        **{name: value for name, value in optional.items() if value is not None},
    }
