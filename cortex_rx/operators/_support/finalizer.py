"""The worker of `finalize`: waits for the end of the answer, completes the call that stores it, and sends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.embeddings import refuses_embeddings, without_embeddings
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.embedding.merging import EmbeddingMergeStrategy
from cortex_rx.engine import End, Inbox
from cortex_rx.errors import BrokenPipeline, ChainOrderError, EmptyAnswer, NotStored
from cortex_rx.events import Opened, Problem, Remembered, StreamEvent
from cortex_rx.folds.exchange import Exchange
from cortex_rx.models.facts import FactRecord, FactRevision
from cortex_rx.models.records import MemoryEntry, Phase
from cortex_rx.operators._support.embedding import ExchangeEmbedder, Extract, enrich
from cortex_rx.operators._support.writing import log_problem, while_streaming
from cortex_rx.retry.judge import is_transient, judge
from cortex_rx.spool.spool import Spool, spool_call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import StoredExchange

__all__ = ["Finalizer"]

_NOT_STORED = "the exchange could not be stored"


@dataclass(frozen=True, slots=True)
class Finalizer:
    """The arguments of `finalize`; `run` is the worker of one subscription."""

    backend: Backend
    extract_content: Extract | None
    embedder: Embedder | None
    max_memory_size: int | None
    incremental_embeddings: bool
    spool: Spool | None
    embedding_merge_strategy: EmbeddingMergeStrategy | None

    async def run(self, inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        """Store the exchange once its answer has ended; emit `Remembered`."""
        most, merge = self.max_memory_size, self.embedding_merge_strategy
        async with ExchangeEmbedder(inbox, self.embedder, most, merge) as embedder:
            exchange = Exchange(whole=self._calls_functions)
            async for batch in inbox:
                exchange.absorb(batch)
                if self.incremental_embeddings:
                    await embedder.look(batch, exchange)
                del batch  # or the events would be held until the next
            opened, begun, ended = exchange.opened, exchange.begun, exchange.ended
            if isinstance(inbox.error, BrokenPipeline) and ended is None:
                inbox.error.text, inbox.error.offset = exchange.tail, exchange.start
            if opened is None or ended is None:
                if inbox.end is End.COMPLETED:
                    message = "no Ended came: the stream was cut off, or an operator dropped it; its partial is kept"
                    yield log_problem(Problem("finalization", "INCOMPLETE", message, recoverable=True), opened)
                return
            if begun is None and exchange.begin_failed is None:
                raise ChainOrderError("finalize got no Begun: it belongs after begin(...)")
            call = exchange.call(self.backend, opened, begun, ended)
            if not exchange.empty:
                if exchange.has_facts:
                    call.args["extractions"] = exchange.extractions()
                if problem := self._add_chunks(call.args, exchange):
                    yield log_problem(problem, opened)
                if self._calls_functions and (begun or self.spool):
                    question = opened.turn.user_message
                    problems = enrich(inbox, call.args, question, exchange, self.extract_content, embedder)
                    async for problem in problems:
                        yield log_problem(problem, opened)
            if begun is None:
                message = "the store could not begin the exchange, so it is not stored"
                raise await self._not_stored(opened, call, message) from exchange.begin_failed
            async for event in self._store(inbox, opened, call, exchange.empty):
                yield event

    @property
    def _calls_functions(self) -> bool:
        """Whether functions of the caller are called with the answer, which must be whole for them."""
        return self.extract_content is not None or self.embedder is not None

    def _add_chunks(self, args: dict[str, Any], exchange: Exchange) -> Problem | None:
        """Add the chunks of a long answer to the arguments, or return why its chunks are of no use."""
        most, said = self.max_memory_size, ""
        if most is not None and exchange.end > most:
            args["chunks"] = exchange.chunks(most)
            if not args["chunks"]:
                said = f"no chunk(..., max_length={most}) has cut all of the answer; it is stored as one memory"
        if not said and self.embedding_merge_strategy and exchange.end and not exchange.chunks():
            said = "no chunk(...) has cut all of the answer; its embedding is that of the whole text"
        return Problem("finalization", "NOT_CHUNKED", said, recoverable=True) if said else None

    async def _store(
        self, inbox: Inbox[StreamEvent], opened: Opened, call: Call[StoredExchange], empty: bool
    ) -> AsyncGenerator[StreamEvent, None]:
        """Send the call, with retries; emit a `Problem` for the first failure, and `Remembered`.

        If the store refuses the embeddings or the facts, the call is sent without them, which is a `Problem`, too. So
        are facts that it has given up.
        """
        backoff, reported = while_streaming(inbox), False
        try:
            while True:
                try:
                    stored = await call
                    break
                except Exception as error:
                    if (without := _without_refused(error, call.args)) is not None:
                        phase, args = without
                        call = call.with_args(args)
                        yield log_problem(Problem.of(phase, error, recoverable=True), opened)
                        continue
                    if judge(error).verdict.of_exchange:
                        raise
                    if is_transient(error) and not reported:
                        reported = True
                        yield log_problem(Problem.of("finalization", error, recoverable=True), opened)
                    if not await backoff.again(error):
                        raise await self._not_stored(opened, call, _NOT_STORED) from error
        except asyncio.CancelledError:
            if self.spool:  # it took too long after a stop; if the store has it nevertheless, it may be sent again
                await self._not_stored(opened, call, _NOT_STORED)
            raise
        if empty:
            raise EmptyAnswer("Response stream completed but produced no content; the question is kept as unanswered.")
        if given_up := stored.get("givenUp"):
            message = "the exchange says more facts than a stream may have: some are not stored"
            yield log_problem(Problem("fact-extraction", given_up[0]["error"], message, recoverable=True), opened)
        yield Remembered(
            stored["conversation"]["conversationId"],
            tuple(stored["conversation"]["messageIds"]),
            tuple(MemoryEntry.from_row(row) for row in stored["memories"]),
            stored["stored"] == "before",
            tuple(map(FactRecord.from_row, stored.get("facts", ()))),
            tuple(map(FactRevision.from_row, stored.get("revisions", ()))),
        )

    async def _not_stored(self, opened: Opened, call: Call[StoredExchange], message: str) -> NotStored:
        """Keep the call in the spool, if there is one; return the error."""
        return await spool_call(self.spool, opened, "finalize", call, message)


def _without_refused(error: Exception, args: dict[str, Any]) -> tuple[Phase, dict[str, Any]] | None:
    """The arguments without what the store refuses, if that is not the exchange itself; and what was left out."""
    if refuses_embeddings(error, args):
        return "finalization", without_embeddings(args)
    if args.get("extractions") and not judge(error).verdict.of_exchange and not is_transient(error):
        return "fact-extraction", {**args, "extractions": []}
    return None
