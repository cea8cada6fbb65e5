"""A client that wants the answer of an exchange, in one process: it asks, reads, stops, and asks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from random import Random
from typing import TYPE_CHECKING, Any

from proofs.stories.exchange import HOWS, Exchange, How, Run, Seen
from proofs.stories.story import EXPECTED, LEASE_OVER, Story

from cortex_rx.api.memory import MemoryAPI
from cortex_rx.backends.base import Backend
from cortex_rx.errors import (
    ChainOrderError,
    CortexError,
    Diverged,
    EmptyAnswer,
    Gap,
    IdempotencyConflict,
    NotStored,
    ResumableStreamError,
    StillOwned,
    StoreUnavailable,
    StreamNotFound,
    TokenError,
    WrongMemorySpace,
)
from cortex_rx.events import Begun, Ended
from cortex_rx.pipeline.answer import Answer
from cortex_rx.sources.reopening import ResumePoint, prefill, replayable, restart
from cortex_rx.streams.stopping import AnswerStopped
from cortex_rx.testing.faults.processes import Process

if TYPE_CHECKING:
    from proofs.stories.remembering import Remembering

__all__ = ["Client"]

CALM = (StillOwned, TokenError, StreamNotFound, EmptyAnswer, IdempotencyConflict)  # without faults, after all that was
ASKED = 6  # times, at most, that a client asks in one process
STRATEGIES = ("store-partial", "store-partial", "store-partial", "retry", "rollback", "best-effort")
SOURCES: dict[How, Callable[..., Any]] = {
    "same": replayable,
    "other": replayable,
    "restart": restart,
    "prefill": prefill,
    "plain": lambda open: open,
}


class Client:
    """It has a token as soon as it has seen one, unless it is forgetful. In a calm process there are no faults, and it
    does not give up.
    """

    def __init__(
        self, scenario: Remembering, story: Story, process: Process, backend: Backend, exchange: Exchange, calm: bool
    ) -> None:
        self.exchange = exchange
        self.runs: list[Run] = []
        """Those of this process."""
        self._scenario, self._story, self._sim = scenario, story, story.sim
        self._process, self._backend, self._calm = process, backend, calm

    async def pursue(self) -> None:
        """Ask, and ask again as long as an answer can be had."""
        exchange = self.exchange
        for _ in range(ASKED):
            await asyncio.sleep(0.0 if self._calm else self._sim.random.choice([0.0, 0.01, 3.0]))
            if exchange.runs and exchange.token is None and (exchange.answered or self._sim.chance(0.4)):
                with suppress(CortexError):
                    exchange.token = await MemoryAPI(self._backend).issue_token(exchange.space, exchange.stream)
            again = await self._ask(self._draw())
            if exchange.over or not (again or self._calm):
                return

    def cut_off(self) -> Seen | None:
        """What the client had seen of an answer that was cut off with the process, for a reader that continues
        there.
        """
        run = next((run for run in self.runs if run.open and run.begun and run.seen[0].texts), None)
        if run is None or run.begun is None or run.begun.stored_before:  # a reader's position would be None
            return None
        seen = Seen()
        seen.attempt, seen.epoch = run.begun.attempt + run.seen[0].attempt, run.begun.epoch
        seen.texts[seen.attempt] = run.seen[0].text
        return seen

    def _draw(self) -> Run:
        """Draw how the answer is asked for this time."""
        sim, exchange = self._sim, self.exchange
        strategy = sim.random.choice(STRATEGIES)
        options: dict[str, Any] = {"partial_response_interval": 200, "partial_failure_handling": strategy}
        if sim.chance(0.3):
            options["max_retries"] = sim.random.randint(1, 3)
        how = sim.random.choice(HOWS) if sim.chance(0.2) else exchange.how
        if not exchange.token and "max_retries" not in options and strategy != "retry" and sim.chance(0.1):
            how = "plain"
        run = Run(how, options, sim.chance(0.2), exchange.token, exchange.token is not None and sim.chance(0.2))
        self.runs.append(run)
        exchange.runs.append(run)
        self._story.eventful = self._story.eventful or run.take_over
        for what in (f"source {how}", strategy, "asked with a token" if run.token else "asked without a token"):
            sim.count(what)
        sim.count("asked by force", run.take_over)
        sim.count("durable", run.durable)
        return run

    def _source(self, run: Run) -> Any:
        exchange = self.exchange

        async def model(point: ResumePoint | None = None) -> AsyncGenerator[str, None]:
            pieces = exchange.script if run.how == "same" else self._scenario.say(self._sim, exchange)
            exchange.asked(run, point, pieces)
            for pause, text in pieces:
                await asyncio.sleep(pause)
                yield text

        return SOURCES[run.how](self._process.source(model))

    async def _ask(self, run: Run) -> bool:
        """Ask once, with readers, and perhaps a stop.  Whether to ask again here and now."""
        sim, exchange, key = self._sim, self.exchange, self.exchange.key
        quiet = len(exchange.runs) == 1 and not self._process.plan.faults and not self._story.eventful
        answer = self._scenario.start(sim, self._source(run), self._backend, self._story.spool, exchange, run)

        def reader(late: float = 0.0, leaves: int | None = None) -> asyncio.Task[None]:
            run.seen.append(Seen())
            return asyncio.create_task(self._read(answer, run, run.seen[-1], late, leaves))

        beside = [reader()]
        if not self._calm:
            for _ in range(sim.random.choice([0, 0, 1, 2])):
                beside.append(reader(sim.random.uniform(0, 5), sim.random.choice([None, 1, 5])))
            if sim.chance(0.15):
                quiet = False
                beside.append(asyncio.create_task(self._stop(answer, run, sim.random.uniform(0, 8))))
            others = Random(f"{sim.seed} {key} {len(exchange.runs)}")  # so that the rest of the story stays as it was
            if others.random() < 0.1:
                quiet = False
                beside.append(self._story.beside(self._request_stop(run, others.uniform(0, 8))))
        note = f"{self._process.name}, {key}, {run}"
        try:
            result = await answer
        except ChainOrderError:
            raise  # a mistake of ours, whatever went wrong before
        except EXPECTED as error:
            run.error = error
            if isinstance(error, AnswerStopped) and error.by == "request":
                assert any(one.requested for one in exchange.runs), f"{key}: nobody has asked it to stop"
                sim.count("stopped by a request")
            sim.note(f"{note}: {type(error).__name__}")
            sim.count(type(error).__name__)
            await asyncio.gather(*beside)
            await self._check_kept(answer, run, error)
            if quiet or (self._calm and not isinstance(error, CALM)):
                raise AssertionError(f"{key} failed without a fault: {error!r}") from error
            return await self._failed(run, error)
        run.remembered = result.full_response
        exchange.left = False
        sim.note(f"{note}: remembered, {len(run.remembered)} characters")
        sim.count("remembered")
        sim.count("remembered, as it was stored before", not run.said)
        await asyncio.gather(*beside)
        return False

    async def _check_kept(self, answer: Answer, run: Run, error: BaseException) -> None:
        """What the client has seen of an answer that can be resumed is stored, unless the store failed when it was
        stopped.
        """
        faulty = self._process.fired or self._story.outage[1] > self._story.outage[0]
        if not isinstance(error, ResumableStreamError) and (faulty or not isinstance(error, AnswerStopped)):
            return
        place = aiter(answer).position
        if place is None:
            return
        where = {"memorySpaceId": self.exchange.space, "streamId": self.exchange.stream, "attempt": place.attempt}
        try:
            found = await self._backend.query("streams:read", {**where, "after": 0})
        except (StoreUnavailable, StreamNotFound):
            return
        if found["epoch"] == place.epoch and found["state"] != "rolledBack":
            kept = found["text"].startswith(run.seen[0].text)
            assert kept, f"{self.exchange.key}: it can be resumed, and not all that was seen is stored"

    async def _failed(self, run: Run, error: BaseException) -> bool:
        """How the client reacts to an error. Returns whether it asks again here and now."""
        exchange = self.exchange
        if isinstance(error, StillOwned):  # the one before may be alive: wait until its lease has run out
            if any(text for seen in run.seen for text in seen.all()):
                warned = run.seen[0].warned and not run.durable  # the store was slow, and could not say it before
                assert warned, f"{exchange.key}: shown, though somebody else owns it"
            else:
                run.said.clear()
            await asyncio.sleep(LEASE_OVER)
            return True
        assert not isinstance(error, Gap | Diverged), f"{exchange.key}: a second writer was not fenced: {error!r}"
        assert not isinstance(error, WrongMemorySpace), f"{exchange.key}: its token is of another space"
        if isinstance(error, TokenError | StreamNotFound | EmptyAnswer):
            if exchange.token == run.token:
                exchange.token = None
            return run.token is not None
        exchange.answered = exchange.answered or isinstance(error, IdempotencyConflict)
        if isinstance(error, NotStored):
            run.spooled = error.spooled
            self._sim.count("spooled", error.spooled is not None)
            known = any(text.startswith(error.text, error.offset) for text in exchange.said)
            assert known, f"{exchange.key}: the error carries what the model did not say"
        elif isinstance(error, ResumableStreamError | AnswerStopped) and not exchange.forgetful:
            exchange.token = error.resume_token or exchange.token
            return self._sim.chance(0.4)
        return False

    async def _read(self, answer: Answer, run: Run, seen: Seen, late: float, leaves: int | None) -> None:
        """Read events until there are no more, or leave after some."""
        await asyncio.sleep(late)
        taken = 0
        try:
            async with aclosing(answer.events()) as events:
                async for event in events:
                    seen.take(event)
                    if isinstance(event, Begun):
                        run.begun = event
                        if not self.exchange.forgetful:
                            self.exchange.token = event.token
                    elif isinstance(event, Ended) and event.reason == "stop" and run.said:
                        assert seen.text == run.said[-1], "the text has ended, and the reader has not seen all of it"
                    taken += 1
                    if taken == leaves:
                        return
        except EXPECTED:
            return

    async def _request_stop(self, run: Run, delay: float) -> None:
        """Ask the writer to stop from another connection, whoever it is by then."""
        await asyncio.sleep(delay)
        if self._process.crashed:
            return
        run.requested = True
        self._story.eventful = True
        backend = self._story.store()
        try:
            found = await MemoryAPI(backend).stop(self.exchange.space, self.exchange.stream)
            self._sim.count("stops requested of a writer", found.owned)
        except EXPECTED:
            return
        finally:
            await backend.close()

    async def _stop(self, answer: Answer, run: Run, delay: float) -> None:
        """Stop it, in a pause or just when some text has come; what is not kept must be gone then, unless it had ended
        or somebody else has it.
        """
        exchange, kept, left = self.exchange, self._sim.chance(0.6), self._sim.chance(0.3)
        await asyncio.sleep(delay)
        if self._sim.chance(0.7):
            with suppress(TimeoutError):
                await asyncio.wait_for(run.seen[0].more(), 5.0)
        exchange.left = left
        self._sim.count("stopped, and kept" if kept else "stopped, and not kept")
        try:
            await answer.stop(keep_partial=kept)
            place = aiter(answer).position
            if kept or place is None:
                return
            where = {"memorySpaceId": exchange.space, "streamId": exchange.stream}
            found = await self._backend.query("streams:get", where)
        except EXPECTED:
            return
        gone = found is None or found["state"] == "finished" or found["epoch"] > place.epoch
        assert gone, f"{exchange.key}: it was stopped, and its partial is kept all the same"
