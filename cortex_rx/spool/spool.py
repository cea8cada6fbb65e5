"""`Spool`: where what a store could not take waits for it to be back."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.sqlite.connection import MOST_PAGES
from cortex_rx.errors import InvalidArgument, NotStored, SpoolBusy, Spooled, StoreError
from cortex_rx.events import Opened
from cortex_rx.retry.judge import judge
from cortex_rx.retry.table import Verdict
from cortex_rx.spool.delivery import deliver
from cortex_rx.spool.file import Entry, SpoolFile

__all__ = ["DrainReport", "Drained", "Spool", "cause_of", "log", "spool_call"]

T = TypeVar("T")
log: logging.Logger = logging.getLogger("cortex_rx")

_OUTCOMES = {
    Verdict.GONE: "dropped",
    Verdict.TAKEN: "later",
    Verdict.CONFLICT: "dead",
    Verdict.REPEATED: "dead",
    Verdict.BUG: "dead",  # one that this entry meets; it must not hold up all others
    Verdict.TRANSIENT: "failed",
}


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of one entry."""

    id: str
    memory_space_id: str
    stream_id: str
    code: str | None = None
    """The code of the error for which it was dropped, or became a dead letter."""


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a drain did."""

    delivered: tuple[Drained, ...] = ()
    """What is in the store now."""
    dropped: tuple[Drained, ...] = ()
    """What was deleted in the store meanwhile, and so is not wanted any more."""
    dead: tuple[Drained, ...] = ()
    """What contradicts the store: dead letters from now on."""
    left: int = 0
    """How much still waits: its stream is being written by somebody, or the store failed again."""
    error: Exception | None = None
    """What the store failed with, if it did."""


class Spool:
    """A SQLite file in which what a store could not take is kept until `drain`.

    `path`: the file, made with mode 0600 when something is to be kept.  `max_page_count`: its size at most, in pages of 4,096
    bytes (then `StoreFull`).  `clock`: epoch seconds.  Each entry holds all that is needed to store it elsewhere and later: the
    question with its owner, the text, and what the store would have been sent; no resume token.  Several processes may use
    one file; nothing of it is open between two uses, so there is nothing to close.

    One spool is for one store: whatever is in it goes to the store that it is drained into.

    >>> import tempfile
    >>> from cortex_rx import SqliteBackend, remember
    >>> from cortex_rx.errors import StoreUnavailable
    >>> class Down:
    ...     async def query(self, path, args): raise StoreUnavailable("down")
    ...     mutation = query
    ...     async def close(self): ...
    >>> async def main(folder):
    ...     spool = Spool(f"{folder}/spool.db")
    ...     turn = {"memory_space_id": "s", "conversation_id": "c-1", "user_message": "Hi!", "agent_id": "helper"}
    ...     try:
    ...         await remember(backend=Down(), spool=spool, agent_response="Hello Ada", **turn)
    ...     except NotStored as error:
    ...         assert error.spooled.path == spool.path
    ...     async with SqliteBackend(":memory:") as backend:  # the store is back
    ...         report = await spool.drain(backend)
    ...         return len(report.delivered), await backend.query("memories:count", {"memorySpaceId": "s"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(main(folder))
    (1, 2)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_page_count: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._given: str = check.file_path("path", path)
        if self._given == ":memory:":
            raise InvalidArgument("path", self._given, "the path of a file")
        check.optional(check.whole(1, MOST_PAGES))("max_page_count", max_page_count)
        check.function("clock", clock)
        self.path: str = os.path.abspath(self._given)
        """Where it is."""
        self.file: SpoolFile = SpoolFile(self.path, max_page_count, clock)

    def __repr__(self) -> str:
        return f"Spool({self._given!r})"

    async def run(self, work: Callable[[], T]) -> T:
        """Do something with the file, on a thread."""
        return await asyncio.get_running_loop().run_in_executor(None, work)

    async def count(self) -> int:
        """How many entries wait to be delivered; dead letters are not among them."""
        return await self.run(self.file.count)

    async def put(self, opened: Opened, operator: str, path: str, args: Mapping[str, Any]) -> Spooled:
        """Keep a call of a stream that the store could not take: the function `path` of the store, and its arguments.

        Without an `epoch` among them, or with 0, the stream was not begun.  It is durable when this returns.
        """
        text: str = args.get("text", "")
        rest = {name: value for name, value in args.items() if name != "text" and (name != "epoch" or value)}
        add = partial(
            self.file.add,
            opened.turn.memory_space_id,
            operator,
            path,
            rest,
            text=text,
            begin=opened.arguments(),
            began=opened.at,
        )
        return Spooled(self.path, await self.run(add))

    async def forget(self, opened: Opened, epoch: int = 0) -> int:
        """Remove what waits of an answer that was stopped and is not wanted; how many entries that were.

        `epoch` is that of its writer, 0 if it was never begun: what another one left who took the stream over stays.
        """
        forget = partial(self.file.forget, opened.turn.memory_space_id, opened.stream_id, opened.at, epoch)
        return await self.run(forget)

    async def drain(self, backend: Backend) -> DrainReport:
        """Deliver what waits, in the order in which the streams began; an entry is removed when the store has acknowledged it.

        A complete answer replaces an incomplete one that it extends.  What contradicts the store becomes a dead letter; what was
        deleted there meanwhile is dropped.  When the store fails, the rest is left for the next time, and the report says so.
        One drainer is at work at a time, in whatever process: `SpoolBusy`.  It may be killed, and what it had begun is finished
        by the next one, 30 s later.
        """
        checked_backend("backend", backend)
        drainer = uuid.uuid4().hex
        outcomes: dict[str, list[Drained]] = {"delivered": [], "dropped": [], "dead": []}
        skipped: list[int] = []
        failed: Exception | None = None
        if not self.file.exists:
            return DrainReport()
        try:
            while failed is None and (entry := await self.run(partial(self.file.next, drainer, skipped))):
                outcome, error = await self._deliver(backend, entry, drainer)
                if outcome == "later":
                    skipped.append(entry.seq)
                    continue
                if outcome == "failed":
                    failed = error
                    continue
                if outcome == "dead" and error:
                    await self.run(partial(self.file.bury, entry.seq, *cause_of(error)))
                else:
                    await self.run(partial(self.file.remove, entry.seq))
                code = cause_of(error)[1] if error else None
                outcomes[outcome].append(Drained(entry.id, entry.space, entry.stream or "", code))
                level = logging.INFO if outcome == "delivered" else logging.WARNING
                log.log(level, "spool: %s %s (stream %s)", outcome, code or "", entry.stream)
        finally:
            await self.run(partial(self.file.leave, drainer))
        done = {name: tuple(entries) for name, entries in outcomes.items()}
        return DrainReport(done["delivered"], done["dropped"], done["dead"], await self.count(), failed)

    async def _deliver(self, backend: Backend, entry: Entry, drainer: str) -> tuple[str, Exception | None]:
        """What became of it, and why."""

        async def piece(n: int) -> str:
            await self.run(partial(self.file.renew, drainer))
            return await self.piece(entry, n)

        try:
            await deliver(backend, entry, piece)
        except SpoolBusy:
            raise  # another drainer has taken over
        except Exception as error:
            refused = "failed" if isinstance(error, StoreError) else "dead"
            return _OUTCOMES.get(judge(error).verdict, refused), error
        return "delivered", None

    async def piece(self, entry: Entry, n: int) -> str:
        """A piece of the text of an entry; "" after the last."""
        return await self.run(partial(self.file.piece, entry.seq, n))


checked_spool: check.Check = check.instance(Spool, "a Spool")
"""A spool."""


def cause_of(error: BaseException) -> tuple[str, str]:
    """An error in words, and its code."""
    return f"{type(error).__name__}: {error}", getattr(error, "code", None) or type(error).__name__


async def spool_call(spool: Spool | None, opened: Opened, operator: str, call: Call[Any], message: str) -> NotStored:
    """The error that says what was not stored, and where it is kept now.

    If there is no spool, or it fails as well, the error carries the text all the same.
    """
    text, offset = call.args.get("text", ""), call.args.get("start", 0)
    if spool is None:
        return NotStored(message, text, offset)
    try:
        where = await spool.put(opened, operator, call.path, call.args)
    except Exception as error:
        log.error("the spool failed: %s (stream %s)", type(error).__name__, opened.stream_id)
        return NotStored(f"{message}, and the spool failed: {type(error).__name__}", text, offset)
    log.warning("stream %s waits in the spool as %s", opened.stream_id, where.id)
    return NotStored(f"{message}; it waits in the spool {where.path} as {where.id}", text, offset, where)
