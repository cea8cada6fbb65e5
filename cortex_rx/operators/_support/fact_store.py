"""How `extract_facts` stores what it has read: the offset and the facts of a piece in one call, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import takewhile
from typing import Any

from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.embeddings import refuses_embeddings, without_embeddings
from cortex_rx.engine import Inbox
from cortex_rx.engine.scheduler import unlisted
from cortex_rx.errors import code_of
from cortex_rx.events import FactsExtracted, Opened, Problem, StreamEvent
from cortex_rx.facts.reader import FactReader, Reading
from cortex_rx.models.records import ProgressiveFact
from cortex_rx.operators._support.fact_pieces import FactPieces, Piece
from cortex_rx.operators._support.writing import log_problem
from cortex_rx.retry.judge import is_transient, judge
from cortex_rx.retry.pauses import Backoff, doubling
from cortex_rx.retry.table import Verdict

__all__ = ["FactStore"]


class FactStore:
    """Stores the pieces of one stream; `tell` gets the events."""

    def __init__(
        self,
        inbox: Inbox[StreamEvent],
        reader: FactReader,
        pieces: FactPieces,
        tell: Callable[[StreamEvent], None],
    ) -> None:
        self._inbox, self._reader, self._pieces, self._tell = inbox, reader, pieces, tell
        self._opened_at = 0.0
        self._over = asyncio.Event()
        self.registered = False
        """Whether the store knows that the stream is read for facts."""
        self.refused = False
        """The store takes no facts of this stream: what was not read is read later, or never."""
        self.failed = False
        """The store stayed away: `finalize` stores what is left."""

    def opened(self) -> None:
        """The stream was opened now."""
        self._opened_at = self._inbox.flow.time()

    def over(self) -> None:
        """The stream has ended: what fails now is not tried again."""
        self._over.set()

    def next(self) -> Piece | None:
        """The next piece that can be stored: the question, or the answer as far as its text is stored."""
        question = next(self._pieces.of("question"), None)
        if question is not None and question.ready:
            return question
        answer = next(self._pieces.of("answer"), None)
        if self._inbox.end is not None and self._pieces.position.ended is not None:
            return None  # `finalize` stores it
        return answer if answer and answer.ready and answer.stop <= self._pieces.durable else None

    @property
    def works(self) -> bool:
        """Whether there is something to store, and a store that takes it."""
        able = self._pieces.begun is not None and not (self.refused or self.failed)
        return able and (not self.registered or self.next() is not None)

    async def store(self) -> None:
        """Store what can be stored."""
        opened = self._pieces.opened
        if not self.registered and self._pieces.known and opened is not None and opened.turn.read_facts:
            self.registered = True  # with the beginning of the stream
        if not self.registered:
            nothing = {"side": "question", "from": 0, "to": 0, "facts": [], **self._reader.policy}
            registered = await self._commit(0, nothing)
            if registered is None:
                return
            self.registered = True
            if not self._pieces.known:
                self._pieces.know(**registered["progress"])
        while (piece := self.next()) is not None:
            stored = await self._commit(piece.attempt, self._window(piece))
            if stored is None:
                return
            if self._pieces.stored(piece):
                ids = {fact["index"]: fact["factId"] for fact in stored["facts"]}
                event = self.event(piece, ids)
                if event.facts or event.error:
                    self._tell(event)

    def event(self, piece: Piece, ids: dict[int, str] | None = None) -> FactsExtracted:
        """The event of a piece that was read. `ids`: those of its facts that are stored; None: `finalize` stores it."""
        assert piece.reading is not None
        reading, at = piece.reading, self._inbox.flow.time() - self._opened_at
        facts = tuple(
            ProgressiveFact(
                fact_id=row["factId"] if ids is None else ids[index],
                extracted_at_chunk=piece.chunk,
                confidence=row["confidence"],
                fact=row["fact"],
            )
            for index, row in enumerate(reading.rows)
            if ids is None or index in ids
        )
        window = self._window(piece) if ids is None else None
        where = piece.side, piece.start, piece.stop, piece.attempt, at
        return FactsExtracted(facts, *where, stored=window is None, error=reading.code, window=window)

    def _window(self, piece: Piece) -> dict[str, Any]:
        """The piece as the store takes it."""
        reading = piece.reading or Reading()
        error = {} if reading.code is None else {"error": reading.code}
        where = {"side": piece.side, "from": piece.start, "to": piece.stop}
        return {**where, "facts": list(reading.rows), **error, **self._reader.policy}

    async def _commit(self, attempt: int, window: dict[str, Any]) -> dict[str, Any] | None:
        """Make the call, with retries while the stream runs. None: the store does not take it."""
        opened, begun = self._pieces.opened, self._pieces.begun
        assert opened is not None
        assert begun is not None
        args = {
            "streamId": opened.stream_id,
            "memorySpaceId": opened.turn.memory_space_id,
            "epoch": begun.epoch,
            **({"attempt": begun.attempt + attempt} if window["side"] == "answer" else {}),
            **window,
        }
        pauses = takewhile(lambda _: not self._over.is_set(), doubling(0.1, 5.0))
        backoff, reported = Backoff(pauses, self._rest), False
        while True:
            try:
                stored: dict[str, Any] = await Call(self._reader.backend.mutation, "facts:commit", args)
                return stored
            except Exception as error:
                if is_transient(error):
                    if not reported:
                        self._problem(opened, error)
                    reported = True
                    if await backoff.again(error):
                        continue
                    self.failed = True
                    return None
                if refuses_embeddings(error, args):
                    args = without_embeddings(args)
                elif args["facts"] and not judge(error).verdict.of_exchange:
                    args = {**args, "facts": [], "error": code_of(error)}  # it is read again later
                else:
                    self.refused = True
                    if judge(error).verdict is not Verdict.TAKEN:  # then another step says it
                        self._problem(opened, error)
                    return None
                self._problem(opened, error)

    async def _rest(self, seconds: float) -> None:
        """Wait, or until the stream ends."""
        over = unlisted(asyncio.ensure_future(self._over.wait()))
        await asyncio.wait({over}, timeout=seconds)
        over.cancel()

    def _problem(self, opened: Opened, error: Exception) -> None:
        recoverable = not self.refused
        self._tell(log_problem(Problem.of("fact-extraction", error, recoverable=recoverable), opened))
