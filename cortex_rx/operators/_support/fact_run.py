"""The worker of `extract_facts`: pieces of the texts are read and stored beside the stream."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass
from typing import Any

from cortex_rx.engine import End, Inbox
from cortex_rx.engine.scheduler import unlisted
from cortex_rx.events import Opened, Problem, StreamEvent
from cortex_rx.facts.reader import FactReader, Reading
from cortex_rx.operators._support.fact_pieces import FactPieces, Piece
from cortex_rx.operators._support.fact_store import FactStore
from cortex_rx.operators._support.ready import READY
from cortex_rx.operators._support.writing import log_problem

__all__ = ["FactWork"]

log: logging.Logger = logging.getLogger("cortex_rx")

_SOON = 1.0  # seconds for a write in flight when the stream is over
_SLOW = Problem("fact-extraction", "EXTRACTOR_SLOW", "the extractor did not end in time: the rest is read later", True)
_BEHIND = Problem("fact-extraction", "EXTRACTOR_BEHIND", "a part is not read while the answer streams, but later", True)


@dataclass(frozen=True, slots=True)
class FactWork:
    """The arguments of `extract_facts`; `run` is the worker of one subscription."""

    reader: FactReader
    threshold: int
    progressive: bool
    concurrency: int
    wait: float
    """Seconds after the end of the answer."""

    async def run(self, inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        """Read what passes, and store it; emit `FactsExtracted`, and a `Problem` for each failure."""
        run = _Run(self, inbox)
        try:
            async for batch in inbox:
                run.absorb(batch)
                while run.out:
                    yield run.out.popleft()
            async for event in run.finish():
                yield event
        finally:
            await run.close()


class _Run:
    def __init__(self, work: FactWork, inbox: Inbox[StreamEvent]) -> None:
        self._work, self._inbox = work, inbox
        self._pieces = FactPieces(work.threshold)
        self._store = FactStore(inbox, work.reader, self._pieces, self._tell)
        self._tasks: set[asyncio.Task[None]] = set()  # of the pieces
        self._extracting: set[asyncio.Task[None]] = set()  # those of them that wait for the extractor
        self._completing = asyncio.Semaphore(work.concurrency)
        self._storing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._behind = False
        self.out: deque[StreamEvent] = deque()

    def absorb(self, batch: list[StreamEvent]) -> None:
        """Take events in, and start what can be done."""
        if any(type(event) is Opened for event in batch):
            self._store.opened()
        self._pieces.absorb(event for event in batch if event is not READY)
        if self._pieces.left_out and not self._behind:
            self._behind = True
            self._problem(_BEHIND)
        self._go_on()

    async def finish(self) -> AsyncGenerator[StreamEvent, None]:
        """Read the rest of a text that has ended, for a while; `finalize` stores it."""
        inbox = self._inbox
        self._store.over()
        completed = inbox.end is End.COMPLETED and self._pieces.position.ended is not None
        until = inbox.flow.time() + self._work.wait
        disposed = unlisted(asyncio.ensure_future(inbox.until_disposed()))
        try:
            while not inbox.disposed:
                reads = completed and not all(piece.ready for piece in self._pieces.pieces)
                left = until - inbox.flow.time() if reads else _SOON
                if self._store.refused or left <= 0 or not (reads or self._storing):
                    break
                self._news.clear()
                news = unlisted(asyncio.ensure_future(self._news.wait()))
                await asyncio.wait({news, disposed}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                over = not news.done()
                news.cancel()
                while self.out:
                    yield self.out.popleft()
                if over:
                    break
        finally:
            disposed.cancel()
        await self.close()
        if not self._store.refused:
            self._hand_over(completed)
        while self.out:
            yield self.out.popleft()

    def _hand_over(self, completed: bool) -> None:
        """Emit what was read and is not stored, for `finalize`: also facts that are not complete, as they are. What was
        not read in time is put into the queue."""
        late = [piece for piece in self._pieces.pieces if piece.reading is None]
        if completed and late and not self._inbox.disposed:
            for piece in late:
                piece.read(Reading(code=_SLOW.code))
            self._problem(_SLOW)
        if any(piece.reading.rows and not piece.ready for piece in self._pieces.pieces if piece.reading is not None):
            log.warning("facts are stored as they are: the embedder or the decider did not end in time")
        for side in ("question", "answer"):
            for piece in self._pieces.of(side):
                if piece.reading is None:
                    break
                self.out.append(self._store.event(piece))

    async def close(self) -> None:
        """End what is under way; a write in flight ends by itself, if it does so soon."""
        if self._storing is not None:
            await asyncio.wait({self._storing}, timeout=_SOON)
        tasks = {*self._tasks, *([self._storing] if self._storing else ())}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_SOON)
        self._tasks.clear()
        self._storing = None

    def _go_on(self) -> None:
        """Start what can be done now."""
        begun, end = self._pieces.begun, self._inbox.end
        if self._store.refused or self._inbox.disposed or (begun is not None and begun.stored_before):
            return
        ready = self._work.progressive or self._pieces.position.ended is not None
        if ready and end is not End.FAILED:
            for piece in self._pieces.unread():
                if len(self._extracting) >= self._work.concurrency:
                    break
                piece.task = self._task(self._read(piece))
                self._extracting.add(piece.task)
                self._tasks.add(piece.task)
                piece.task.add_done_callback(self._tasks.discard)
        if self._storing is None and self._store.works:
            self._storing = self._task(self._store_all())

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return unlisted(asyncio.ensure_future(work))

    async def _store_all(self) -> None:
        try:
            await self._store.store()
        finally:
            self._storing = None
            self._wake()

    async def _read(self, piece: Piece) -> None:
        """Read a piece, and complete its facts; meanwhile the extractor has the next one."""
        opened, reader = self._pieces.opened, self._work.reader
        assert opened is not None
        turn, text = opened.turn, piece.text if piece.side == "answer" else ""
        try:
            reading = await reader.read(turn.user_id, turn.user_message, text)
        finally:
            self._extracting -= {task for task in self._extracting if task is asyncio.current_task()}
        piece.read(reading)
        if reading.error is not None:
            self._problem(Problem.of("fact-extraction", reading.error, recoverable=True))
        self._wake()
        async with self._completing:
            piece.read(await reader.complete(turn.memory_space_id, turn.user_id, reading))
        piece.task = None
        self._wake()

    def _problem(self, problem: Problem) -> None:
        self.out.append(log_problem(problem, self._pieces.opened))

    def _tell(self, event: StreamEvent) -> None:
        self.out.append(event)
        self._wake()

    def _wake(self) -> None:
        """Go on, and have emitted what there is to emit."""
        self._go_on()
        self._news.set()
        if self.out and self._inbox.end is None:
            self._inbox.put(READY)
