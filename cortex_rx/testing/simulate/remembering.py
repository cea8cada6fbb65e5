"""The scenario of this package: `remember_stream` on a SQLite file, under crashes, stalls, failures, stops and rivals.

What is tested is made by methods that a class of your own may override: another backend, another chain, another way to go
on after a crash.  The story and what must hold at its end stay the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.backend import Backend
from cortex_rx.errors import CortexError, Diverged, Gap, StillOwned
from cortex_rx.events import Delta, Ended, Replayed
from cortex_rx.flow import Stopped
from cortex_rx.remember import Answer, remember_stream
from cortex_rx.testing.faults import Faulty
from cortex_rx.testing.processes import Crashed, Process
from cortex_rx.testing.simulate._ledger import Ledger
from cortex_rx.testing.simulate.simulation import Simulation

__all__ = ["Exchange", "Remembering", "Run"]

LETTERS = "ab c\n京都é😀'.,0"
EXPECTED = (CortexError, ConnectionError, Stopped)  # what an answer may fail with when something went wrong
LEASE_OVER = 11.0  # seconds after which a writer that died owns nothing any more
PATIENCE = 300.0  # virtual seconds until a process that is not through is ended
PROCESSES = 5  # at most one after the other; the last runs without faults


@dataclass
class Run:
    """One time that the answer of an exchange was asked for; `text` is what the model says this time, no two times alike."""

    pieces: list[tuple[float, str]]
    text: str
    shown: list[str] = field(default_factory=list[str])
    """What each reader has seen."""
    error: BaseException | None = None
    remembered: bool = False


@dataclass
class Exchange:
    """A question, and every run that tried to give it an answer.  `left`: it was stopped, and nobody goes on with it."""

    key: str
    space: str
    conversation: str
    stream: str
    """The id of its stream; in another memory space it may be that of another exchange."""
    left: bool = False
    runs: list[Run] = field(default_factory=list[Run])

    @property
    def question(self) -> str:
        """Another one for each exchange, so that what is stored says whose it is."""
        return f"What of {self.key} in {self.space}?"


class Remembering:
    """Remember some answers, whatever goes wrong, and look at what is stored in the end.

    Some exchanges run in a process which crashes, stalls or fails by a plan; readers come and go, one may be stopped; a rival
    process may start the same exchanges meanwhile.  What is unfinished is begun again in a next process; the last one has
    no faults.  Then, over a fresh connection:

    * what a reader saw is a prefix of the text of its run, and the whole text if he came to its end; offsets leave no gap;
    * every exchange is stored once, with its question, and its text is that of one run; what was left is a prefix of one;
    * nothing is stored twice, and everything in its own memory space and conversation;
    * what was acknowledged is there, and no write of an old epoch was (`_ledger.py`).

    >>> from cortex_rx.testing.simulate import run_seeds
    >>> counted = run_seeds(Remembering(), range(2))
    >>> counted.seeds
    2
    """

    @property
    def arguments(self) -> str | None:
        """Those of the command line that run it; None for a class of your own."""
        return "" if type(self) is Remembering else None

    # --- what may be overridden ---------------------------------------------------------------------------------------

    def backend(self, sim: Simulation) -> Backend:
        """The store as one process opens it; every process has one of its own."""
        return SqliteBackend(sim.folder / "memory.db", clock=sim.wall, new_id=sim.new_id)

    def start(self, source: Callable[..., Any], backend: Backend, exchange: Exchange) -> Answer:
        """Ask for the answer; `exchange.runs` has the runs before this one, and this one last."""
        return remember_stream(
            source,
            {"partial_response_interval": 200},
            backend=backend,
            linger=timedelta(seconds=2),
            memory_space_id=exchange.space,
            conversation_id=exchange.conversation,
            user_message=exchange.question,
            user_id="ada",
            user_name="Ada",
            make_id=lambda: exchange.stream,
        )

    def say(self, sim: Simulation, exchange: Exchange) -> list[tuple[float, str]]:
        """What the model says this time: pauses in seconds, and pieces of text."""
        draw = sim.random
        pieces = [(draw.uniform(0, 1), f"[{exchange.key} run {len(exchange.runs) + 1}] ")]
        for _ in range(draw.randint(1, 12)):
            pause = draw.choice([0.0, 0.001, 0.05, 0.3, 1.0, 11.0])
            pieces.append((pause, "".join(draw.choices(LETTERS, k=draw.choice([1, 3, 20, 400])))))
        return pieces

    # --- the story ----------------------------------------------------------------------------------------------------

    async def __call__(self, sim: Simulation) -> None:
        ledger = Ledger()
        exchanges: list[Exchange] = []
        for number in range(sim.random.randint(1, 3)):
            space = sim.random.choice("st")
            stream = f"stream-{sum(each.space == space for each in exchanges)}"
            exchanges.append(Exchange(f"e{number}", space, sim.random.choice("cd"), stream))
        for number in range(PROCESSES):
            open_ = [each for each in exchanges if not each.left and not any(run.remembered for run in each.runs)]
            if not open_:
                break
            calm = number == PROCESSES - 1
            rounds = [self._process(sim, ledger, open_, 0.0, calm)]
            if not calm and sim.chance(0.25):
                rounds.append(self._process(sim, ledger, open_, sim.random.uniform(0, 20), calm))
            await asyncio.gather(*rounds)
        await self._judge(sim, exchanges, ledger)

    async def _process(
        self, sim: Simulation, ledger: Ledger, exchanges: list[Exchange], delay: float, calm: bool
    ) -> None:
        """One process, from its start to its end."""
        await asyncio.sleep(delay)
        process = sim.process("" if calm else sim.plan(20 * len(exchanges)))
        sim.note(f"{process.name} starts: {', '.join(each.key for each in exchanges)}; plan: {process.plan or 'none'}")

        async def live() -> None:
            backend = Faulty(ledger.over(self.backend(sim)), process)
            await asyncio.gather(*(self._run(sim, process, backend, each, calm) for each in exchanges))
            await backend.close()

        try:
            async with asyncio.timeout(PATIENCE):
                await process.run(live())
            sim.note(f"{process.name} is through")
        except Crashed as crashed:
            sim.note(str(crashed))

    async def _run(self, sim: Simulation, process: Process, backend: Backend, exchange: Exchange, calm: bool) -> None:
        """Ask for one answer, with readers, and perhaps a stop."""
        pieces = self.say(sim, exchange)
        run = Run(pieces, "".join(text for _, text in pieces))
        exchange.runs.append(run)
        quiet = len(exchange.runs) == 1 and not process.plan.faults

        async def model(*_: object) -> AsyncGenerator[str, None]:
            for pause, text in pieces:
                await asyncio.sleep(pause)
                yield text

        await asyncio.sleep(0.0 if calm else sim.random.choice([0.0, 0.01, 3.0]))
        answer = self.start(process.source(model), backend, exchange)
        readers = [asyncio.create_task(self._read(answer, run, 0.0, None))]
        for _ in range(0 if calm else sim.random.randint(0, 2)):
            leaves = sim.random.choice([None, 1, 5])
            readers.append(asyncio.create_task(self._read(answer, run, sim.random.uniform(0, 5), leaves)))
        stopping = None
        if not calm and sim.chance(0.15):
            stopping = asyncio.create_task(_stop(answer, sim.random.uniform(0, 8), exchange, sim.chance(0.3)))
        try:
            result = await answer
        except StillOwned:
            # The one before it may be alive: the user asks again when its lease has run out.
            sim.note(f"{process.name}, {exchange.key}: somebody else has it")
            await asyncio.gather(*readers, *([stopping] if stopping else []))
            exchange.runs.remove(run)
            await asyncio.sleep(LEASE_OVER)
            await self._run(sim, process, backend, exchange, calm=True)
            return
        except EXPECTED as error:
            if isinstance(error, Gap | Diverged):  # a second writer would have been fenced before
                raise AssertionError(f"{exchange.key}: {error!r}") from error
            run.error = error
            sim.note(f"{process.name}, {exchange.key}: {type(error).__name__}: {error}")
            rivals = len(exchange.runs) > 1
            if quiet and stopping is None and not rivals:
                raise AssertionError(f"{exchange.key} failed without a fault: {error!r}") from error
        else:
            assert result.full_response == run.text, f"{exchange.key}: the result is not what the model said"
            run.remembered, exchange.left = True, False
            sim.note(f"{process.name}, {exchange.key}: remembered, {len(run.text)} characters")
        await asyncio.gather(*readers, *([stopping] if stopping else []))

    async def _read(self, answer: Answer, run: Run, delay: float, leaves: int | None) -> None:
        """Read events until there are no more, or leave after some; what was seen must follow on without a gap."""
        await asyncio.sleep(delay)
        number, seen = len(run.shown), ""
        run.shown.append(seen)
        try:
            async with aclosing(answer.events()) as events:  # type: ignore[type-var]
                taken = 0
                async for event in events:
                    if isinstance(event, Delta | Replayed):
                        assert event.offset == (len(seen) if isinstance(event, Delta) else len(event.text)), (
                            f"{event.offset} after {len(seen)}"
                        )
                        run.shown[number] = seen = seen + event.text
                    if isinstance(event, Ended):
                        assert seen == run.text, "the text has ended, and the reader has not seen all of it"
                    taken += 1
                    if taken == leaves:
                        return
        except EXPECTED:
            return

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _judge(self, sim: Simulation, exchanges: list[Exchange], ledger: Ledger) -> None:
        """Look at what is stored, over a connection of its own."""
        for exchange in exchanges:
            for run in exchange.runs:
                for shown in run.shown:
                    assert run.text.startswith(shown), f"{exchange.key}: a reader saw another text than the model said"
        assert not ledger.broken, ledger.broken
        backend = self.backend(sim)
        try:
            await ledger.check(backend)
            for space in "st":
                await self._judge_space(backend, space, [each for each in exchanges if each.space == space])
        finally:
            await backend.close()

    async def _judge_space(self, backend: Backend, space: str, exchanges: list[Exchange]) -> None:
        where = {"memorySpaceId": space}
        rows = await backend.query("memories:list", {**where, "includePartial": True, "limit": 1000})
        expected_rows, messages = 0, {"c": 0, "d": 0}
        for exchange in exchanges:
            key = exchange.key
            stream = await backend.query("streams:get", {**where, "streamId": exchange.stream})
            if stream is None:
                assert exchange.left or not exchange.runs, f"{key}: nothing is stored of it"
                continue
            text = next((row["content"] for row in rows if row["memoryId"] == stream["memoryId"]), None)
            assert stream["userMessage"] == exchange.question, f"{key}: another question is stored"
            assert stream["conversationId"] == exchange.conversation, f"{key}: it is in another conversation"
            assert text is not None, f"{key}: its memory is not there"
            if stream["state"] == "open":
                assert exchange.left, f"{key}: it is not finished"
                assert any(run.text.startswith(text) for run in exchange.runs), f"{key}: the partial mixes texts"
                expected_rows += 1
                continue
            assert stream["state"] == "finished", f"{key}: its state is {stream['state']}"
            assert any(run.text == text for run in exchange.runs), f"{key}: the answer is not what the model said"
            remembered = {run.text for run in exchange.runs if run.remembered}
            assert remembered <= {text}, f"{key}: remembered as another text"
            expected_rows += 2
            messages[exchange.conversation] += 2
            said = await self._messages(backend, space, exchange.conversation)
            at = [number for number, (role, content) in enumerate(said) if content == exchange.question]
            assert len(at) == 1, f"{key}: its question is {len(at)} times in the conversation"
            assert said[at[0] + 1] == ("agent", text), f"{key}: its answer does not stand after its question"
        assert len(rows) == expected_rows, f"{space}: {len(rows)} memories, and not {expected_rows}"
        for conversation, number in messages.items():
            found = len(await self._messages(backend, space, conversation))
            assert found == number, f"{space}/{conversation}: {found} messages, and not {number}"

    async def _messages(self, backend: Backend, space: str, conversation: str) -> list[tuple[str, str]]:
        args = {"memorySpaceId": space, "conversationId": conversation}
        found = await backend.query("conversations:get", args)
        return [(message["role"], message["content"]) for message in found["messages"]] if found else []


async def _stop(answer: Answer, delay: float, exchange: Exchange, leave: bool) -> None:
    await asyncio.sleep(delay)
    exchange.left = leave
    await answer.stop()
