"""The scenario of `Remembering` with facts: each process reads them, from an extractor that is slow or fails at times,
and some read what is queued."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from proofs.crashes.facts import read, triples
from proofs.stories.exchange import Exchange, Pieces, Run
from proofs.stories.remembering import Remembering
from proofs.stories.story import EXPECTED, Story

from cortex_rx.backends.base import Backend
from cortex_rx.chain import Chain
from cortex_rx.facts.draining import drain
from cortex_rx.facts.extractor import Extractor
from cortex_rx.facts.reader import FactReader
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.spool import Spool
from cortex_rx.testing.simulate import Simulation

__all__ = ["Learning"]

Triple = tuple[str, str, str]
_FACTS = "Ada likes tea{}! ", "Ada likes tea! ", "Ada lives in City{}! ", "Ada lives in Rome! "
_LIVES = "lives_in"


class Learning(Remembering):
    """Learn facts from some answers, whatever goes wrong, and look at them in the end.

    Then, beside what `Remembering` says, when what is queued has been read:

    * each sentence of each question and answer is a fact, once, with this message as a source; each source is where its
      sentence stands;
    * no fact is of a text that was rolled back, completed anew, or deleted, and none has ended another;
    * where Ada lives is one place after the other, and the last one holds;
    * each memory space has its own.
    """

    @property
    def command(self) -> str | None:
        """The command that runs it, from the root of the repository."""
        return "PYTHONPATH=tests python -m cortex_rx.testing.simulate --scenario proofs.stories:Learning"

    def say(self, sim: Simulation, exchange: Exchange) -> Pieces:
        """The same, with sentences that are facts. Each text says something else."""
        pieces = super().say(sim, exchange)
        random = Random(f"facts {sim.seed} {pieces[0][1]}")
        exchange.asks = f"Ada likes {exchange.key}! "
        for at in sorted(random.sample(range(len(pieces)), random.randint(0, len(pieces)))):
            fact = random.choice(_FACTS).format(random.randrange(10_000))
            pieces[at] = pieces[at][0], f"{pieces[at][1]} {fact}"
        return pieces

    def chain(self, sim: Simulation, backend: Backend, spool: Spool | None, run: Run) -> Chain:
        """The default chain, which reads facts."""
        options = {**run.options, "fact_extraction_threshold": 12}
        return default_chain(backend, options, spool=spool, extract_facts=self.extractor(sim))

    def extractor(self, sim: Simulation) -> Extractor:
        """An extractor that takes its time, sometimes longer than anybody waits, or fails."""

        async def extract(user_message: str, text: str) -> list[dict[str, Any]]:
            random = Random(f"extractor {sim.seed} {asyncio.get_running_loop().time()}")
            await asyncio.sleep(random.choice([0.0, 0.0, 0.01, 0.3, 3.0, 3.0, 40.0]))
            if random.random() < 0.2:
                sim.count("texts not read for facts")
                raise ConnectionError("the extractor is away")
            return read(user_message, text)

        return extract

    def work(self, story: Story, backend: Backend) -> list[Coroutine[Any, Any, None]]:
        """Sometimes read what is queued."""
        random = Random(f"queue {story.sim.seed} {asyncio.get_running_loop().time()}")
        return [self._read_queue(story, backend, random.uniform(0, 30))] if random.random() < 0.5 else []

    async def _read_queue(self, story: Story, backend: Backend, delay: float) -> None:
        await asyncio.sleep(delay)
        with suppress(*EXPECTED):
            report = await drain(FactReader(backend, self.extractor(story.sim), timeout=30.0), threshold=12)
            story.sim.count("windows read later", report.read)
            story.sim.count("windows given up", report.dead)

    # --- what must hold -----------------------------------------------------------------------------------------------

    async def _judge(self, story: Story) -> None:
        await super()._judge(story)
        backend = self.backend(story.sim)

        async def at_once(user_message: str, text: str) -> list[dict[str, Any]]:
            return read(user_message, text)

        try:
            for dead in (False, True):
                report = await drain(FactReader(backend, at_once, timeout=30.0), dead=dead)
                assert (report.failed, report.dead) == (0, 0), f"what is queued is not read: {report}"
                story.sim.count("windows read in the end", report.read)
                assert await backend.query("facts:queued", {"dead": dead}) == []
            for space in "st":
                await self._judge_space(story, backend, space)
        finally:
            await backend.close()

    async def _judge_space(self, story: Story, backend: Backend, space: str) -> None:
        rows = await backend.query("facts:list", {"memorySpaceId": space, "includeSuperseded": True})
        found: dict[str, Counter[Triple]] = {}
        places: dict[str, list[tuple[str, int, int]]] = {}
        for row in rows:
            for source in row["sources"]:
                (message,) = source["messageIds"]
                found.setdefault(message, Counter())[row["subject"], row["predicate"], row["object"]] += 1
                places.setdefault(message, []).append((row["fact"][:-1], source["start"], source["end"]))
        for exchange in story.exchanges:
            if exchange.space != space or (space, exchange.stream) not in story.ledger.ids:
                continue
            stream = await backend.query("streams:get", {"memorySpaceId": space, "streamId": exchange.stream})
            ids = story.ledger.ids[space, exchange.stream][0] if stream is None else stream["messageIds"]
            texts = await self._texts(backend, exchange, stream)
            for message, text in zip(ids, texts, strict=True):
                there, said = found.pop(message, Counter[Triple]()), set(triples(text))
                what = f"{exchange.key}: facts of {text!r} are {there}"
                assert not there or max(there.values()) == 1, f"{what}, some twice"
                for fact, start, stop in places.get(message, []):
                    assert fact in text[start:stop], f"{exchange.key}: {fact!r} is not said in {text[start:stop]!r}"
                some = exchange.deleted or (stream is not None and stream["state"] == "open")
                if there.keys() != said and not (some and there.keys() <= said):
                    raise AssertionError(f"{what}, and not {said}")
                story.sim.count("facts", len(there))
        assert not found, f"facts of nothing that is there: {found}"
        for predicate in ("likes", _LIVES):
            self._judge_time(story, [row for row in rows if row["predicate"] == predicate])

    async def _texts(self, backend: Backend, exchange: Exchange, stream: dict[str, Any] | None) -> tuple[str, str]:
        """What may have facts: the question, and the answer."""
        if stream is None:
            return (exchange.question if exchange.deleted else ""), ""
        if stream["state"] != "finished":
            return exchange.question, ""
        where = {"memorySpaceId": exchange.space, "streamId": exchange.stream}
        return exchange.question, str((await backend.query("streams:read", {**where, "after": 0}))["text"])

    def _judge_time(self, story: Story, rows: list[dict[str, Any]]) -> None:
        """What is one at a time follows each other; what is many holds."""
        current = [row for row in rows if "supersededBy" not in row]
        assert all("closed" not in row for row in current)
        if not rows or rows[0]["predicate"] != _LIVES:
            assert current == rows and len({row["object"] for row in rows}) == len(rows), rows
            return
        (row,) = current
        by_id, seen = {row["factId"]: row for row in rows}, 1
        while "supersedes" in row:
            before = by_id[row["supersedes"]]
            assert before["closed"] == "changed" and before["supersededBy"] == row["factId"], (before, row)
            assert before["validUntil"] == row["validFrom"] and before["object"] != row["object"], (before, row)
            row, seen = before, seen + 1
        assert seen == len(rows), f"{seen} of {len(rows)} follow each other: {rows}"
        story.sim.count("facts superseded", seen - 1)
