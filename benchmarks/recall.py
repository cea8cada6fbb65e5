"""`python -m benchmarks.recall PATH`: how much of what answers a question `memory.search` finds.

PATH is a file in the format of LoCoMo; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.locomo import Question, Sample, Turn, read
from benchmarks.report import Bar, machine, percentile, show_bars, write_figures
from cortex_rx import Cortex, Embedder, local_embedder
from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import MissingExtra
from cortex_rx.facts.pattern import PatternExtractor
from cortex_rx.graph import GraphAdapter
from cortex_rx.graph.draining import Drainer
from cortex_rx.graph.local import LocalGraph
from cortex_rx.graph.questions import graph_facts
from cortex_rx.graph.schema import initialize_graph_schema

__all__ = ["ARMS", "FACTS", "FIRST", "Answered", "bars", "measure", "measure_facts", "report", "summary"]

FIRST = (1, 5, 10, 20)
"""Among how many memories the evidence is looked for."""
SESSIONS = 5
"""Among how many memories a session of the evidence is looked for."""

ARMS: Mapping[str, Mapping[str, Any]] = {
    "text": {"strategy": "keyword", "neighbours": False},
    "text, neighbours": {"strategy": "keyword"},
    "vectors": {"strategy": "semantic", "neighbours": False},
    "vectors, neighbours": {"strategy": "semantic"},
    "hybrid": {"strategy": "auto"},
}
"""What is compared: the arguments of each search."""

FACTS = ("facts", "facts, graph")
"""What is compared of `recall`: the turns of its facts, by words alone, and with those that are near in the graph."""


@dataclass(frozen=True)
class Answered:
    """What one search found: `ranks` are the places of the evidence that is among the first `FIRST[-1]`."""

    question: Question
    ranks: tuple[int, ...]
    session: bool
    """Whether one of the first `SESSIONS` memories is from a session of the evidence."""
    seconds: float

    def share(self, first: int) -> float:
        """How much of the evidence is among the first memories."""
        return sum(rank <= first for rank in self.ranks) / len(self.question.evidence)

    def any(self, first: int) -> bool:
        """Whether some of the evidence is among the first memories."""
        return any(rank <= first for rank in self.ranks)


async def measure(sample: Sample, path: Path, embedder: Embedder | None = None) -> dict[str, list[Answered]]:
    """Store the turns of a sample in a file, and ask its questions, in each arm.  Without an embedder there are no
    arms with vectors."""
    arms = {name: arm for name, arm in ARMS.items() if embedder is not None or arm["strategy"] == "keyword"}
    async with Cortex(path, generate_embedding=embedder) as cortex:
        await _store(cortex, sample)
        return {
            name: [await _answered(cortex, sample, question, arm) for question in sample.questions]
            for name, arm in arms.items()
        }


async def _store(cortex: Cortex, sample: Sample) -> None:
    """Each turn is a memory, each session a conversation, in which the turns follow each other."""
    sessions: dict[int, list[Turn]] = {}
    for turn in sample.turns:
        sessions.setdefault(turn.session, []).append(turn)

    async def one(session: int) -> None:
        for turn in sessions[session]:
            await cortex.memory.store(sample.name, turn.text, memory_id=turn.id, conversation_id=f"session {session}")

    async with asyncio.TaskGroup() as tasks:
        for session in sessions:
            tasks.create_task(one(session))


async def _answered(cortex: Cortex, sample: Sample, question: Question, arm: Mapping[str, Any]) -> Answered:
    start = time.perf_counter()
    found = await cortex.memory.search(sample.name, question.text, limit=FIRST[-1], **arm)
    seconds = time.perf_counter() - start
    return _judged(sample, question, (memory.memory_id for memory in found), seconds)


def _judged(sample: Sample, question: Question, found: Iterable[str], seconds: float) -> Answered:
    """How good the ids of turns are that were found, best first."""
    ids = list(dict.fromkeys(found))[: FIRST[-1]]
    sessions = {turn.id: turn.session for turn in sample.turns}
    return Answered(
        question,
        tuple(rank for rank, found_id in enumerate(ids, 1) if found_id in question.evidence),
        any(sessions[one] in {sessions[other] for other in ids[:SESSIONS]} for one in question.evidence),
        seconds,
    )


async def measure_facts(sample: Sample, path: Path, graph: GraphAdapter) -> dict[str, list[Answered]]:
    """Store what `PatternExtractor` reads in the turns of a sample in a file and in an empty graph, and ask its
    questions for facts. What stands for a fact are the turns that say it."""
    async with SqliteBackend(path) as backend, Cortex(backend) as cortex:
        await _store(cortex, sample)
        extractor = PatternExtractor()
        for turn in sample.turns:
            name, _, text = turn.text.partition(": ")
            for fact in extractor(text, ""):
                said = fact.model_copy(update={"fact": f"{name}: {fact.fact}", "subject": _named(fact.subject, name)})
                await cortex.facts.store(
                    memory_space_id=sample.name, source_ref={"memoryId": turn.id}, **_given(said.model_dump())
                )
        await initialize_graph_schema(graph)
        await Drainer(graph, backend).drain()
        found: dict[str, list[Answered]] = {}
        ways: tuple[dict[str, Any], ...] = ({}, {"facts": graph_facts(graph, backend)})
        for arm, more in zip(FACTS, ways, strict=True):
            for question in sample.questions:
                start = time.perf_counter()
                recalled = await cortex.memory.recall(sample.name, question.text, limit=FIRST[-1], **more)
                seconds = time.perf_counter() - start
                turns = (turn for fact in recalled.facts for turn in fact.memory_ids)
                found.setdefault(arm, []).append(_judged(sample, question, turns, seconds))
        return found


def _named(subject: str | None, name: str) -> str | None:
    """Whom a fact is about, where the one who speaks is `user`."""
    return subject and (name if subject == "user" else subject.replace("user's ", f"{name}'s "))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def summary(answered: Sequence[Answered]) -> dict[str, float]:
    """The figures of an arm: shares in per cent, times in milliseconds."""
    figures: dict[str, float] = {"questions": len(answered)}
    for first in FIRST:
        figures[f"share @{first}"] = 100 * mean(one.share(first) for one in answered)
        figures[f"any @{first}"] = 100 * mean(one.any(first) for one in answered)
    figures[f"session @{SESSIONS}"] = 100 * mean(one.session for one in answered)
    seconds = [one.seconds for one in answered]
    return figures | {"p50 ms": percentile(seconds, 0.5) * 1e3, "p95 ms": percentile(seconds, 0.95) * 1e3}


def by_category(answered: Sequence[Answered]) -> dict[int, dict[str, float]]:
    """The figures of an arm for each category of questions."""
    categories = sorted({one.question.category for one in answered})
    return {key: summary([one for one in answered if one.question.category == key]) for key in categories}


def report(arms: Mapping[str, Sequence[Answered]]) -> dict[str, Any]:
    """Print the tables, and give what is in them."""
    whole = {name: summary(answered) for name, answered in arms.items()}
    titles = [key for key in next(iter(whole.values())) if key != "questions"]
    print(f"\n{'':21}" + "".join(f"{title:>11}" for title in titles))
    for name, figures in whole.items():
        print(f"  {name:19}" + "".join(f"{figures[title]:11.1f}" for title in titles))
    categories = {name: by_category(answered) for name, answered in arms.items()}
    first = next(iter(categories.values()))
    print("\nshare @10 by category (questions)")
    heads = [f"{key} ({figures['questions']:.0f})" for key, figures in first.items()]
    print(" " * 21 + "".join(f"{head:>11}" for head in heads))
    for name, figures in categories.items():
        print(f"  {name:19}" + "".join(f"{one['share @10']:11.1f}" for one in figures.values()))
    return {"whole": whole, "categories": categories}


def bars(whole: Mapping[str, Mapping[str, float]]) -> list[Bar]:
    """What is promised: the share of the evidence that is not among the first ten, in per cent."""
    missed = {name: 100 - figures["share @10"] for name, figures in whole.items()}
    found = [
        Bar("text, neighbours: evidence missed @10", missed["text, neighbours"], 29.0),
        Bar("text, neighbours: not more than text", missed["text, neighbours"], missed["text"]),
    ]
    if "hybrid" in missed:
        found.append(Bar("hybrid: not more than text, neighbours", missed["hybrid"], missed["text, neighbours"]))
    return found


async def _run(samples: Sequence[Sample], embedder: Embedder | None) -> dict[str, list[Answered]]:
    arms: dict[str, list[Answered]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, sample in enumerate(samples):
            for name, answered in (await measure(sample, Path(folder) / f"{number}.db", embedder)).items():
                arms.setdefault(name, []).extend(answered)
    return arms


async def _run_facts(samples: Sequence[Sample]) -> dict[str, list[Answered]]:
    arms: dict[str, list[Answered]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with LocalGraph(Path(folder) / "graph") as graph:
            for number, sample in enumerate(samples):
                await graph.clear_database()  # a graph is of one store
                for name, answered in (await measure_facts(sample, Path(folder) / f"{number}.db", graph)).items():
                    arms.setdefault(name, []).extend(answered)
    return arms


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recall", description=__doc__)
    parser.add_argument("path", type=Path, help="a file in the format of LoCoMo")
    parser.add_argument("--json", type=Path, default=Path("build/recall.json"), help="where the figures are written")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar does not hold")
    parser.add_argument("--graph", action="store_true", help="also ask for facts, without a graph and with one")
    given = parser.parse_args()
    samples = read(given.path)
    found = machine()
    try:
        embedder = local_embedder()
    except MissingExtra as error:
        embedder = None
        print(f"without vectors: {error}")
    asked, skipped = sum(len(sample.questions) for sample in samples), sum(sample.skipped for sample in samples)
    turns = sum(len(sample.turns) for sample in samples)
    print(f"{len(samples)} conversations, {turns} turns, {asked} questions; {skipped} have no evidence that is there")
    figures = report(asyncio.run(_run(samples, embedder)))
    if given.graph:
        print("\nfacts")
        figures["facts"] = report(asyncio.run(_run_facts(samples)))
    promised = bars(figures["whole"])
    show_bars(promised)
    write_figures(given.json, {"machine": found, "file": given.path.name, **figures}, promised)
    return int(given.check and not all(bar.holds for bar in promised))


if __name__ == "__main__":
    sys.exit(main())
