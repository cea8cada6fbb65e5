"""`python -m benchmarks.semantic`: which boundaries between topics `chunk("semantic")` finds, beside other rules.

The texts are those of `benchmarks.topics`.  docs/decisions/chunks.md has the table.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from operator import mul
from typing import NamedTuple

from benchmarks.topics import TEXTS, TUNING
from cortex_rx.chunking import Topics, cutter, semantic
from cortex_rx.embedding import Embedder, local_embedder

__all__ = ["RULES", "Counts", "Text", "every", "joined", "judged", "neighbours", "ours", "prepared", "report"]

Vector = list[float]
Rule = Callable[[Sequence[str], Sequence[Vector]], set[int]]
"""From the sentences and their vectors to the numbers of the sentences that begin a chunk, without the first."""


class Text(NamedTuple):
    """A text whose boundaries are known."""

    sentences: list[str]
    vectors: list[Vector]
    boundaries: set[int]
    """The numbers of the sentences that begin a topic, without the first."""


class Counts(NamedTuple):
    """What a rule found."""

    found: int
    """True boundaries at which a chunk begins."""
    near: int
    """The same, or one sentence beside it."""
    of: int
    """True boundaries."""
    false: int
    """Places where a chunk begins and no topic does."""


async def prepared(texts: Mapping[str, Sequence[str]], embedder: Embedder) -> list[Text]:
    """The sentences of each text, by the rules of `chunk("sentence")`, and their vectors."""
    made: list[Text] = []
    for topics in texts.values():
        cut = cutter("sentence", 1)
        spans = cut.feed(" ".join(topics)) + cut.finish()
        starts = {span.start: at for at, span in enumerate(spans)}
        sentences = [span.text for span in spans]
        vectors = [vector or [] for vector in await embedder.embed(sentences)]
        made.append(
            Text(sentences, vectors, {starts[at] for at in accumulate(len(topic) + 1 for topic in topics[:-1])})
        )
    return made


def judged(rule: Rule, texts: Iterable[Text]) -> Counts:
    """What a rule finds in these texts."""
    found = near = of = false = 0
    for sentences, vectors, boundaries in texts:
        begins = rule(sentences, vectors)
        found += len(boundaries & begins)
        near += sum(not begins.isdisjoint((at - 1, at, at + 1)) for at in boundaries)
        of += len(boundaries)
        false += len(begins - boundaries)
    return Counts(found, near, of, false)


def ours(sentences: Sequence[str], vectors: Sequence[Vector], percentile: float = semantic.PERCENTILE) -> set[int]:
    """The rule of `chunk("semantic")`."""
    topics = Topics(10, percentile=percentile)
    chunks = [chunk for pair in zip(sentences, vectors, strict=True) for chunk in topics.add(*pair)] + topics.finish()
    starts = {start: at for at, start in enumerate(accumulate(map(len, sentences), initial=0))}
    return {starts[chunk.start] for chunk in chunks[1:]}


def every(number: int) -> Rule:
    """A chunk begins after so many sentences: `chunk("sentence", number)`."""
    return lambda sentences, _: set(range(number, len(sentences), number))


def neighbours(percentile: float, before: int = 1, after: int = 1) -> Rule:
    """Each place among all places of the whole text, which must be there: what is common elsewhere."""

    def rule(_: Sequence[str], vectors: Sequence[Vector]) -> set[int]:
        alike = [_cosine(vectors[max(0, at - before) : at], vectors[at : at + after]) for at in range(1, len(vectors))]
        least = semantic.percentile_of(sorted(alike), percentile)
        return {at for at, one in enumerate(alike, 1) if one < least}

    return rule


def _cosine(some: Sequence[Vector], others: Sequence[Vector]) -> float:
    one, other = ([sum(numbers) for numbers in zip(*map(_unit, given), strict=True)] for given in (some, others))
    return sum(map(mul, _unit(one), _unit(other)))


def _unit(vector: Sequence[float]) -> Vector:
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]


RULES: Mapping[str, Rule] = {
    '`chunk("semantic")`: 5 before, 2 after, streaming': ours,
    "the same, `percentile=30`": partial(ours, percentile=30),
    "single neighbours, lowest 5 %, whole text": neighbours(5),
    "single neighbours, lowest 15 %, whole text": neighbours(15),
    "2 before, 2 after, lowest 15 %, whole text": neighbours(15, 2, 2),
    "3 before, 3 after, lowest 15 %, whole text": neighbours(15, 3, 3),
    "5 before, 2 after, lowest 15 %, whole text": neighbours(15, 5, 2),
    '`chunk("sentence", 5)`': every(5),
}


def joined(texts: Sequence[Text]) -> Text:
    """All texts as one."""
    starts = [0, *accumulate(len(text.sentences) for text in texts)]
    boundaries = {start + at for start, text in zip(starts, texts, strict=False) for at in (0, *text.boundaries)} - {0}
    return Text(
        [sentence for text in texts for sentence in text.sentences],
        [vector for text in texts for vector in text.vectors],
        boundaries,
    )


def report(sets: Mapping[str, Sequence[Text]]) -> str:
    """The table: each rule on each set of texts."""
    lines = [
        "| rule | " + " | ".join(sets) + " |",
        "|---|" + "---|" * len(sets),
    ]
    for name, rule in RULES.items():
        cells = []
        for texts in sets.values():
            found, near, of, false = judged(rule, texts)
            cells.append(f"{found} of {of} ({100 * found / of:.0f} %), {near} within one sentence; {false} false")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


async def main() -> None:
    """Print the table."""
    embedder = local_embedder()
    twelve, six = await prepared(TEXTS, embedder), await prepared(TUNING, embedder)
    sets = {"12 texts": twelve, "the 12 as one text": [joined(twelve)], "6 texts, of tuning": six}
    print(report(sets))


if __name__ == "__main__":
    asyncio.run(main())
