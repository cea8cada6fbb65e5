"""Read what is queued for facts: windows for which an extractor was too slow, or failed, or a process died."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, NoReturn

from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.embeddings import refuses_embeddings, without_embeddings
from cortex_rx.errors import StoreError, StreamNotFound, code_of
from cortex_rx.facts.reader import FactReader, Reading
from cortex_rx.facts.windows import THRESHOLD, Window, Windows
from cortex_rx.retry.judge import is_transient, judge
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, retrying

__all__ = ["TRIES", "FactDrainReport", "drain", "work"]

log: logging.Logger = logging.getLogger("cortex_rx")

TRIES = 5
"""How often a window is read before it is a dead letter, also while its answer streamed."""
_PAGE = 100  # windows of one look into the queue
_TEXT = 65_536  # code points of one read of a text


@dataclass(frozen=True, slots=True)
class FactDrainReport:
    """What a drain has done."""

    read: int = 0
    """Windows that were read, and have left the queue."""
    facts: int = 0
    """Facts that they say; those that were known before are among them."""
    failed: int = 0
    """Windows that stay in the queue, since the extractor failed again."""
    dead: int = 0
    """Windows that failed too often: they are read again only with `dead=True`."""


class _Stored(NamedTuple):
    facts: int
    code: str | None


async def drain(
    reader: FactReader,
    memory_space_id: str | None = None,
    *,
    dead: bool = False,
    tries: int = TRIES,
    threshold: int = THRESHOLD,
) -> FactDrainReport:
    """Read each window of the queue once: of one memory space, or of all.

    The facts of a window and that it has left the queue are one transaction. So a drain that is killed loses nothing,
    and two at a time store nothing twice. A window that fails stays in the queue; after `tries` times it is a dead
    letter. `dead` reads the dead letters instead. Raises a `StoreError`, if the store fails for two seconds.
    """
    report = FactDrainReport()
    seen: set[tuple[str, str, str, int]] = set()
    while True:
        given: dict[str, Any] = {} if memory_space_id is None else {"memorySpaceId": memory_space_id}
        queued = await _asked(reader.backend.query, "facts:queued", {**given, "dead": dead, "limit": _PAGE + len(seen)})
        todo = [row for row in queued if _key(row) not in seen]
        if not todo:
            return report
        for row in todo:
            seen.add(_key(row))
            report = await _drain_one(reader, row, report, tries, threshold, seen)


async def work(every: timedelta, once: Callable[[], Any]) -> NoReturn:
    """Drain again and again, until it is cancelled. An error of the store is logged, and tried again later."""
    while True:
        try:
            await once()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("facts are read later: %s", type(error).__name__)
        await asyncio.sleep(every.total_seconds())


def _key(row: dict[str, Any]) -> tuple[str, str, str, int]:
    return row["memorySpaceId"], row["streamId"], row["side"], row["from"]


async def _drain_one(
    reader: FactReader,
    row: dict[str, Any],
    report: FactDrainReport,
    tries: int,
    threshold: int,
    seen: set[tuple[str, str, str, int]],
) -> FactDrainReport:
    """Read one window, piece by piece."""
    question = ""
    if row["side"] == "question" or getattr(reader.extractor, "wants_question", False):
        stream = await _asked(
            reader.backend.query,
            "streams:get",
            {"streamId": row["streamId"], "memorySpaceId": row["memorySpaceId"]},
        )
        question = stream["userMessage"] if stream else ""
    read = facts = 0
    failed: str | None = None
    try:
        async with aclosing(_pieces(reader, row, question, threshold)) as pieces:
            async for piece in pieces:
                text = "" if row["side"] == "question" else piece.text
                reading, user = Reading(), row.get("userId")
                if piece.new.strip():
                    reading = await reader.read(user, question, text)
                    reading = await reader.complete(row["memorySpaceId"], user, reading)
                seen.add((*_key(row)[:3], piece.start))  # what fails is tried again another time
                found = await _store(reader, row, piece, reading, dead=row["tries"] + 1 >= tries)
                read, facts, failed = read + 1, facts + found.facts, failed or found.code
    except StoreError as error:
        if not judge(error).verdict.of_exchange:
            raise
        # It was deleted meanwhile, or begun again: then it is read there.
        log.info("facts are not read: %s (stream %s)", type(error).__name__, row["streamId"])
    dead = failed is not None and row["tries"] + 1 >= tries
    return FactDrainReport(
        report.read + (failed is None and read > 0),
        report.facts + facts,
        report.failed + (failed is not None and not dead),
        report.dead + dead,
    )


async def _pieces(
    reader: FactReader, row: dict[str, Any], question: str, threshold: int
) -> AsyncGenerator[Window, None]:
    """The text of a queued window: the question as one piece, the answer as it is cut while it streams."""
    start, stop = row["from"], row["to"]
    if row["side"] == "question":
        yield Window(question, start, stop)
        return
    windows, at = Windows(threshold, start), start
    where = {"streamId": row["streamId"], "memorySpaceId": row["memorySpaceId"], "attempt": row["attempt"]}
    while at < stop:
        page = await _asked(
            reader.backend.query, "streams:read", {**where, "after": at, "limit": min(_TEXT, stop - at)}
        )
        if not page["text"]:
            raise StreamNotFound("the text of a queued window is not there")
        at += len(page["text"])
        for window in windows.feed(page["text"]):
            yield window
    for window in windows.finish():
        yield window


async def _store(reader: FactReader, row: dict[str, Any], piece: Window, reading: Reading, *, dead: bool) -> _Stored:
    """Store what was read of a piece."""
    failed = {"error": reading.code, "tries": row["tries"] + 1, "dead": dead} if reading.code is not None else {}
    args: dict[str, Any] = {
        "streamId": row["streamId"],
        "memorySpaceId": row["memorySpaceId"],
        "epoch": row["epoch"],
        **({"attempt": row["attempt"]} if row["side"] == "answer" else {}),
        "side": row["side"],
        "from": piece.start,
        "to": piece.stop,
        "facts": list(reading.rows),
        **failed,
        **reader.policy,
    }
    while True:
        try:
            stored = await _asked(reader.backend.mutation, "facts:commit", args)
            return _Stored(len(stored["facts"]), args.get("error"))
        except Exception as error:
            if is_transient(error) or judge(error).verdict.of_exchange:
                raise
            if refuses_embeddings(error, args):
                args = without_embeddings(args)
            elif args["facts"]:
                args |= {"facts": [], "error": code_of(error), "tries": row["tries"] + 1, "dead": dead}
            else:
                raise


async def _asked(function: Callable[..., Any], path: str, args: dict[str, Any]) -> Any:
    return await retrying(lambda: Call(function, path, args), Backoff(SHORT_PAUSES))
