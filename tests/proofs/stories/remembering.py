"""The scenario of a whole pipeline: `remember_stream` on a SQLite file, under crashes, stalls, failures, stops, rivals
and outages.

What is tested is made by methods that a class of your own may override: another store, another spool, another chain,
another model.  The story and what must hold at its end stay the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from proofs.stories.client import Client
from proofs.stories.clocks import are_set, clock_of
from proofs.stories.exchange import HOWS, Exchange, Pieces, Run, Seen
from proofs.stories.others import delete, drain, finish_some, follow, intrude
from proofs.stories.stored import judge
from proofs.stories.story import LEASE_OVER, Story

from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.base import Backend
from cortex_rx.chain import Chain
from cortex_rx.pipeline.answer import Answer
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.pipeline.remembering import remember_stream
from cortex_rx.spool import Spool
from cortex_rx.testing.faults.faulty import Faulty
from cortex_rx.testing.faults.processes import Crashed
from cortex_rx.testing.simulate import Simulation

__all__ = ["Remembering"]

COMMAND = "PYTHONPATH=tests python -m cortex_rx.testing.simulate --scenario proofs.stories:Remembering"
LETTERS = "ab c\n京都é😀'.,0\0\u0301"
PATIENCE = 300.0  # virtual seconds until a process that is not through is ended
PROCESSES = 5  # at most one after the other; the last runs without faults


class Remembering:
    """Remember some answers, whatever goes wrong, and look at what is stored in the end.

    Some exchanges run in a process which crashes, stalls or fails by a plan; readers come and go, one may be stopped; a
    rival process may go on with the same exchanges at the same time, politely or by force.  In some seeds the store is
    down for a while, and the processes have a spool, which the next one drains; in some a memory is deleted.  What is
    unfinished goes on in a next process:  with the token that its client has seen, or without one under its stream id;
    from a source that replays, says something else, begins anew or goes on.  Followers read over connections of their
    own.  The last process has no faults.  Then:

    * what a reader saw is the beginning of one text of the model, and the whole text if he came to its end; no gap, no
      mixture;
    * every exchange is stored once, with its question before it, and its text is one that the model said, with what it
      had said before where it went on; what was left or cut off is the beginning of one; what a client was given as the
      result is what is stored;
    * nothing is stored twice, and everything in its own memory space and conversation; a token opens no other space;
    * what was acknowledged is there, and no write of an old epoch was (`ledger.py`);
    * what was spooled is stored, or is a dead letter, or was deleted.

    >>> from cortex_rx.testing.simulate import run_seeds
    >>> counted = run_seeds(Remembering(), range(2))
    >>> counted.seeds
    2
    """

    @property
    def command(self) -> str | None:
        """The command that runs it, from the root of the repository; None for a subclass."""
        return COMMAND if type(self) is Remembering else None

    # --- what may be overridden ---------------------------------------------------------------------------------------

    def backend(self, sim: Simulation) -> Backend:
        """The store as one process opens it; every process has one of its own."""
        return SqliteBackend(sim.folder / "memory.db", clock=clock_of(sim), new_id=sim.new_id)

    def spool(self, sim: Simulation) -> Spool | None:
        """Where the processes keep what the store cannot take; one in two seeds."""
        return Spool(sim.folder / "spool.db", clock=clock_of(sim)) if sim.chance(0.5) else None

    def start(
        self, sim: Simulation, source: Any, backend: Backend, spool: Spool | None, exchange: Exchange, run: Run
    ) -> Answer:
        """Ask for the answer, as `run` says; `exchange.runs` has the runs before this one, and this one last."""
        chain = self.chain(sim, backend, spool, run)
        if run.durable:
            chain = chain.replace("persist_partial", cx.persist_partial(backend, show="durable", spool=spool))
        if "resume" in chain:  # no other chance than the seed's
            chain = chain.replace("resume", cx.resume(run.options.get("max_retries", 3), random=sim.random.random))
        given: dict[str, Any] = {"memory_space_id": exchange.space}
        if run.token:
            given |= {"resume_from": run.token, "take_over": run.take_over}
        else:
            given |= {"conversation_id": exchange.conversation, "user_message": exchange.question}
            given |= {"user_id": "ada", "user_name": "Ada"}
        return remember_stream(
            source,
            backend=backend,
            chain=chain,
            spool=spool,
            linger=timedelta(seconds=2),
            make_id=lambda: exchange.stream,
            **given,
        )

    def chain(self, sim: Simulation, backend: Backend, spool: Spool | None, run: Run) -> Chain:
        """The chain of a run; `start` makes some of its steps anew."""
        return default_chain(backend, run.options, spool=spool)

    def work(self, story: Story, backend: Backend) -> list[Coroutine[Any, Any, None]]:
        """What a process with faults does beside."""
        return []

    def say(self, sim: Simulation, exchange: Exchange) -> Pieces:
        """What the model says this time: pauses in seconds, and pieces of text, which must be unlike all before."""
        draw = sim.random
        pieces = [(draw.uniform(0, 1), f"[{exchange.key} text {sim.new_id()}] ")]
        for _ in range(draw.randint(1, 12)):
            pause = draw.choice([0.0, 0.001, 0.05, 0.3, 1.0, 11.0])
            pieces.append((pause, "".join(draw.choices(LETTERS, k=draw.choice([1, 3, 20, 400])))))
        return pieces

    # --- the story ----------------------------------------------------------------------------------------------------

    async def __call__(self, sim: Simulation) -> None:
        story = self._draw(sim)
        try:
            for _ in range(PROCESSES - 1):
                if not story.open:
                    break
                processes = [self._process(story, 0.0)]
                if sim.chance(0.25):
                    sim.count("rivals")
                    story.eventful = True
                    processes.append(self._process(story, sim.random.uniform(0, 20)))
                await asyncio.gather(*processes)
                if sim.chance(0.1):
                    await finish_some(story)
            await asyncio.sleep(max(0.0, story.outage[1] + 0.001 - asyncio.get_running_loop().time()))
            if story.open or (story.spool and await story.spool.count()):
                await self._process(story, 0.0, calm=True)
            if sim.chance(0.5):
                await asyncio.sleep(LEASE_OVER)
                await finish_some(story)
        finally:
            await story.end()
        for client in story.clients:
            client.result()
        await self._judge(story)

    async def _judge(self, story: Story) -> None:
        """Look at what is stored, over a connection of its own."""
        backend = self.backend(story.sim)
        try:
            await judge(backend, story)
        finally:
            await backend.close()

    def _draw(self, sim: Simulation) -> Story:
        """What is decided once."""
        exchanges: list[Exchange] = []
        for number in range(sim.random.randint(1, 3)):
            space = sim.random.choice("st")
            stream = f"stream-{sum(each.space == space for each in exchanges)}"
            exchange = Exchange(f"e{number}", space, sim.random.choice("cd"), stream, sim.random.choice(HOWS))
            exchange.forgetful = sim.chance(0.15)
            exchange.script = self.say(sim, exchange)
            exchanges.append(exchange)
        begins = sim.random.uniform(0, 15)
        ends = begins + sim.random.choice([4.0, 20.0, 60.0]) if sim.chance(0.3) else begins
        story = Story(sim, exchanges, self.backend, self.spool(sim), (begins, ends))
        if ends > begins:
            sim.count("outages")
            story.eventful = True
        for exchange in exchanges:
            if sim.chance(0.3):
                story.beside(follow(story, exchange, Seen()))
        story.eventful = story.eventful or are_set(sim)
        if sim.chance(0.08):
            story.eventful = True
            story.beside(delete(story, sim.random.choice(exchanges)))
        return story

    async def _process(self, story: Story, delay: float, *, calm: bool = False) -> None:
        """One process, from its start to its end; a calm one has no faults, and sees everything to its end."""
        await asyncio.sleep(delay)
        sim, exchanges = story.sim, story.open
        process = sim.process("" if calm else sim.plan(20 * max(1, len(exchanges)), sim.random.choice([2, 2, 4])))
        sim.note(f"{process.name} starts: {', '.join(each.key for each in exchanges)}; plan: {process.plan or 'none'}")
        clients: list[Client] = []

        async def live() -> None:
            backend = Faulty(story.store(), process)
            later = sim.chance(0.3) and not calm
            if story.spool and not later:
                await drain(story, process, backend, calm)
            clients.extend(Client(self, story, process, backend, exchange, calm) for exchange in exchanges)
            work: list[Coroutine[Any, Any, None]] = [client.pursue() for client in clients]
            if story.spool and later:
                work.append(drain(story, process, backend, calm))
            work += [] if calm else self.work(story, backend)
            if exchanges and sim.chance(0.1):
                work.append(intrude(story, backend, sim.random.choice(exchanges)))
            await asyncio.gather(*work)
            if story.spool and calm:
                await drain(story, process, backend, calm)
            await backend.close()

        try:
            async with asyncio.timeout(PATIENCE):
                await process.run(live())
            sim.note(f"{process.name} is through")
        except Crashed as crashed:
            sim.note(str(crashed))
        except TimeoutError:
            assert not calm, f"{process.name} has no faults, and does not come to its end"
            sim.note(f"{process.name} is ended")
        for client in clients:
            if (seen := client.cut_off()) and sim.chance(0.6):
                sim.count("clients that came back")  # and follow from where they were
                story.beside(follow(story, client.exchange, seen, sim.random.choice([0.0, 20.0])))
