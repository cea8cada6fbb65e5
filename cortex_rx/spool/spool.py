"""`Spool`: where calls wait until the store is available again."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.sqlite.connection import MOST_PAGES
from cortex_rx.errors import InvalidArgument, NotStored, SpoolBusy, Spooled, StoreError, code_of
from cortex_rx.events import Opened
from cortex_rx.retry.judge import judge
from cortex_rx.retry.table import Verdict
from cortex_rx.spool.delivery import deliver
from cortex_rx.spool.file import Entry, SpoolFile
from cortex_rx.unique import new_id

__all__ = ["DrainReport", "Drained", "Spool", "cause_of", "log", "spool_call"]

T = TypeVar("T")
log: logging.Logger = logging.getLogger("cortex_rx")

_OUTCOMES = {
    Verdict.GONE: "dropped",
    Verdict.TAKEN: "later",
    Verdict.CONFLICT: "dead",
    Verdict.REPEATED: "dead",
    Verdict.BUG: "dead",  # of this entry; it must not hold up all others
    Verdict.TRANSIENT: "failed",
}


@dataclass(frozen=True, slots=True)
class Drained:
    """The outcome of one entry."""

    id: str
    memory_space_id: str
    stream_id: str
    code: str | None = None
    """The code of the error for which the entry was dropped or became a dead letter."""


@dataclass(frozen=True, slots=True)
class DrainReport:
    """The outcome of a drain."""

    delivered: tuple[Drained, ...] = ()
    """Entries that are in the store now."""
    dropped: tuple[Drained, ...] = ()
    """Entries that are not wanted any more, since their stream was deleted meanwhile."""
    dead: tuple[Drained, ...] = ()
    """Entries that contradict the store: dead letters from now on."""
    left: int = 0
    """How many entries still wait: another writer writes their stream, or the store failed again."""
    error: Exception | None = None
    """The error of the store, if it failed."""


class Spool:
    """A SQLite file that keeps calls which a store could not take, until `drain`.

    `path`: the file, made with mode 0600 at the first entry. `max_page_count`: its maximum size, in pages of 4,096
    bytes; beyond it, `StoreFull`. `clock`: epoch seconds. Each entry holds all that is needed to store it elsewhere and
    later: the question with its owner, the text, and the arguments of the call; no resume token. Several processes may
    use one file. The file is not open between two uses, so there is nothing to close.

    Use one spool for one store: all entries go to the store that `drain` gets.

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
        """The absolute path of the file."""
        self.file: SpoolFile = SpoolFile(self.path, max_page_count, clock)

    def __repr__(self) -> str:
        return f"Spool({self._given!r})"

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function that uses the file, on a thread. It is completed when a cancellation comes meanwhile, which is
        raised then; a second cancellation does not wait."""
        working = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait({working})
            raise

    async def count(self) -> int:
        """How many entries wait to be delivered, without dead letters."""
        return await self.run(self.file.count)

    async def put(self, opened: Opened, operator: str, path: str, args: Mapping[str, Any]) -> Spooled:
        """Keep a call of a stream that the store could not take: the function's `path` and its arguments.

        Without an `epoch` among them, or with 0, the stream was not begun. The entry is durable when this returns, and
        when a first cancellation ends it.
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
        """Remove the entries of an answer that was stopped and is not wanted. Returns how many there were.

        `epoch` is that of the answer's writer, 0 if it was never begun. Entries of a later writer of the stream stay.
        """
        forget = partial(self.file.forget, opened.turn.memory_space_id, opened.stream_id, opened.at, epoch)
        return await self.run(forget)

    async def drain(self, backend: Backend) -> DrainReport:
        """Deliver the waiting entries, in the order in which their streams began.

        An entry is removed when the store has acknowledged it. A complete answer replaces an incomplete one that it
        extends. An entry that contradicts the store becomes a dead letter. An entry whose stream was deleted is
        dropped. If the store fails, the other entries are left for the next time, and the report says so. Only one
        drainer works at a time, over all processes; another one gets `SpoolBusy`. If a drainer is killed, the next one
        finishes its work, 30 s later.
        """
        checked_backend("backend", backend)
        drainer = new_id("drainer")
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
                elif outcome == "failed":
                    failed = error
                else:
                    outcomes[outcome].append(await self._conclude(entry, outcome, error))
        finally:
            await self.run(partial(self.file.leave, drainer))
        done = {name: tuple(entries) for name, entries in outcomes.items()}
        return DrainReport(done["delivered"], done["dropped"], done["dead"], await self.count(), failed)

    async def _deliver(self, backend: Backend, entry: Entry, drainer: str) -> tuple[str, Exception | None]:
        """The outcome of an entry, and its error."""

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

    async def _conclude(self, entry: Entry, outcome: str, error: Exception | None) -> Drained:
        """Remove an entry, or make it a dead letter."""
        if outcome == "dead" and error:
            await self.run(partial(self.file.bury, entry.seq, *cause_of(error)))
        else:
            await self.run(partial(self.file.remove, entry.seq))
        code = cause_of(error)[1] if error else None
        level = logging.INFO if outcome == "delivered" else logging.WARNING
        log.log(level, "spool: %s %s (stream %s)", outcome, code or "", entry.stream)
        return Drained(entry.id, entry.space, entry.stream or "", code)

    async def piece(self, entry: Entry, n: int) -> str:
        """The n-th piece of an entry's text; "" after the last."""
        return await self.run(partial(self.file.piece, entry.seq, n))


checked_spool: check.Check = check.instance(Spool, "a Spool")
"""A spool."""


def cause_of(error: BaseException) -> tuple[str, str]:
    """An error, in words, and its code."""
    return f"{type(error).__name__}: {error}", code_of(error)


async def spool_call(spool: Spool | None, opened: Opened, operator: str, call: Call[Any], message: str) -> NotStored:
    """Keep a call in the spool. Returns the error that says what was not stored, and where it is kept now.

    Without a spool, or if it fails too, the error carries the text all the same.
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
