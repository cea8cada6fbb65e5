"""`python -m benchmarks.merged PATH`: whether the mean of its chunks' vectors finds a long text as well as its own.

PATH is a file in the format of LoCoMo; see README.md beside this file. Each session of a conversation is one text,
and a question is to find the sessions of its evidence among all of its conversation.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from benchmarks.locomo import Sample, read
from benchmarks.report import machine, write_figures
from cortex_rx import Embedder, local_embedder
from cortex_rx.chunking import cutter
from cortex_rx.embedding.merging import WeightedMean

__all__ = ["ARMS", "FIRST", "measure"]

ARMS = ("whole", "mean", "mean of unit vectors", "best chunk")
"""What stands for a text: its own vector, the mean of its chunks' (as they are, and at length 1), or each chunk's."""
FIRST = (1, 3, 5)
"""Among how many texts those of the evidence are looked for."""
_SENTENCES = 5  # of a chunk, the default of `chunk("sentence")`


async def measure(sample: Sample, embedder: Embedder) -> tuple[dict[str, list[list[int]]], list[float]]:
    """The ranks of the right texts, for each question in each arm; and how alike the mean and the whole are."""
    texts: dict[int, str] = {}
    for turn in sample.turns:
        texts[turn.session] = f"{texts.get(turn.session, '')}{turn.text}\n"
    stands: dict[str, dict[int, list[list[float]]]] = {arm: {} for arm in ARMS}
    for session, text in texts.items():
        chunks = _chunks(text)
        vectors = [vector or [] for vector in await embedder.embed(chunks)]
        plain, unit = WeightedMean(), WeightedMean()
        for chunk, vector in zip(chunks, vectors, strict=True):
            plain.add(vector, len(chunk))
            unit.add([number / math.hypot(*vector) for number in vector], len(chunk))
        stands["whole"][session] = [(await embedder.embed([text]))[0] or []]
        stands["mean"][session] = [plain.vector or []]
        stands["mean of unit vectors"][session] = [unit.vector or []]
        stands["best chunk"][session] = vectors
    sessions = {turn.id: turn.session for turn in sample.turns}
    asked = await embedder.embed([question.text for question in sample.questions])
    ranks: dict[str, list[list[int]]] = {arm: [] for arm in ARMS}
    for question, query in zip(sample.questions, asked, strict=True):
        right = {sessions[one] for one in question.evidence}
        for arm, vectors_of in stands.items():
            scores = {one: max(_alike(query or [], v) for v in vectors) for one, vectors in vectors_of.items()}
            order = sorted(scores, key=lambda one: -scores[one])
            ranks[arm].append([order.index(one) + 1 for one in right])
    alike = [_alike(stands["whole"][one][0], stands["mean of unit vectors"][one][0]) for one in texts]
    return ranks, alike


def _chunks(text: str) -> list[str]:
    cut = cutter("sentence", _SENTENCES)
    return [span[0] for span in (*cut.feed(text), *cut.finish())]


def _alike(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(map(float.__mul__, one, other)) / (math.hypot(*one) * math.hypot(*other))


def _summary(ranks: Sequence[Sequence[int]]) -> Mapping[str, float]:
    return {
        f"share @{first}": 100 * mean(sum(rank <= first for rank in one) / len(one) for one in ranks) for first in FIRST
    }


async def _run(samples: Sequence[Sample]) -> tuple[dict[str, list[list[int]]], list[float]]:
    found: dict[str, list[list[int]]] = {arm: [] for arm in ARMS}
    alike: list[float] = []
    for sample in samples:
        ranks, more = await measure(sample, local_embedder())
        alike += more
        for arm, one in ranks.items():
            found[arm] += one
    return found, alike


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.merged", description=__doc__)
    parser.add_argument("path", type=Path, help="a file in the format of LoCoMo")
    parser.add_argument("--json", type=Path, default=Path("build/merged.json"), help="where the figures are written")
    given = parser.parse_args()
    samples = read(given.path)
    on = machine()
    ranks, alike = asyncio.run(_run(samples))
    print(f"{len(alike)} texts, {len(ranks['whole'])} questions")
    print(f"the whole and the mean of unit vectors: cosine {mean(alike):.3f}, at least {min(alike):.3f}")
    figures = {arm: _summary(one) for arm, one in ranks.items()}
    print(f"\n{'':21}" + "".join(f"{f'share @{first}':>11}" for first in FIRST))
    for arm, one in figures.items():
        print(f"  {arm:19}" + "".join(f"{value:11.1f}" for value in one.values()))
    write_figures(given.json, {"machine": on, "file": given.path.name, **figures}, [])
    return 0


if __name__ == "__main__":
    sys.exit(main())
