"""How memories are ranked: the weights, and the sums of words and of neighbours. Nothing here reads the store.

The weight of a term in a memory is BM25's, with the counts of the memory space alone. A score is the share of what a
perfect match would get, so it is between 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "ALONE",
    "AROUND",
    "K1",
    "NEAR",
    "SPAN",
    "SURFACE",
    "TALK",
    "B",
    "Kernel",
    "Key",
    "Postings",
    "key_of",
    "most",
    "part_weights",
    "rarity",
]

K1 = 0.9
"""How much a term counts that is there more than once: at 0 only once, without bounds as it grows."""
B = 0.4
"""How much the length of a memory counts: 0 not at all, 1 in full."""
SURFACE = 0.25
"""How much a word as it stands counts besides its stem."""
# Weights fall with the distance, so none is above the first.
NEAR: tuple[float, ...] = (0.7, 0.49, 0.343, 0.24, 0.168)
"""What the score of a neighbour counts, by its distance in the conversation: 1, 2 ... positions."""
AROUND = 0.2
"""What the best score within `SPAN` positions counts besides: a memory in a talk about the matter answers better."""
SPAN = 20
"""Positions in a conversation, in both directions."""

Key: TypeAlias = int
"""What is ranked: a memory by its text, or a chunk by the text of its answer and its part."""


def key_of(text: int, part: int | None) -> Key:
    """The key of a text, or of a part of it."""
    return text << 32 if part is None else (text << 32) + part + 1


def rarity(docs: int, hits: int) -> float:
    """The weight of a term that `hits` of `docs` documents have (idf, never negative).

    >>> round(rarity(100, 1), 2), round(rarity(100, 100), 3)
    (4.21, 0.005)
    """
    return math.log(1 + (docs - hits + 0.5) / (hits + 0.5))


@dataclass(frozen=True, slots=True)
class Postings:
    """The documents that have a word or a phrase, with how often, and what they get at most for it."""

    times: Mapping[int, int]
    most: float


def most(docs: int, hits: int, share: float) -> float:
    """What a document gets for a term that it has without bounds; a document of mean length that has it once gets this
    divided by 1 + `K1`."""
    return share * rarity(docs, hits) * (K1 + 1)


def part_weights(
    postings: Sequence[Postings], keys: Mapping[int, Key], sizes: Mapping[int, int], mean: float
) -> Iterator[dict[Key, float]]:
    """For each list what every key gets for it: its best document counts. `keys`, `sizes`: of the documents."""
    fixed, slope = K1 * (1 - B), K1 * B / mean
    slowness = {doc: fixed + slope * size for doc, size in sizes.items()}
    for one in postings:
        best: dict[Key, float] = {}
        whole = one.most
        for doc, times in one.times.items():
            weight = whole * times / (times + slowness[doc])
            key = keys[doc]
            if weight > best.get(key, 0.0):
                best[key] = weight
        yield best


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the memories around one count: `near` by distance, and the best within `span` positions `around`."""

    near: tuple[float, ...]
    around: float
    span: int

    @property
    def first(self) -> float:
        """What the nearest neighbour counts."""
        return self.near[0] if self.near else 0.0

    @property
    def reach(self) -> int:
        """The distance within which a neighbour is found by what another memory says."""
        return len(self.near)

    def whole(self, own: float, near: float, around: float) -> float:
        """The score: `near` is weighted already, `around` is the best score itself."""
        return (own + near + self.around * around) / (1 + self.first + self.around)

    def least(self, score: float, best: float) -> float:
        """What a memory, or one of its neighbours, has at least of its own if it reaches `score`, where nothing has
        more than `best`. (A little less, since sums are rounded.)"""
        total = 1 + self.first + self.around
        return (score * total - self.around * best) / (1 + self.first) - 1e-9

    def nearest(self, scores: Sequence[float], at: int) -> tuple[float, int]:
        """What the best neighbour of position `at` gives, and how far it is (negative: before); (0, 0) if none."""
        best = (0.0, 0)
        for distance, weight in enumerate(self.near, 1):
            for place in (-distance, distance):
                if 0 <= at + place < len(scores) and weight * scores[at + place] > best[0]:
                    best = (weight * scores[at + place], place)
        return best

    def near_all(self, scores: Sequence[float]) -> list[float]:
        """What the best neighbour gives, for all positions."""
        found = [0.0] * len(scores)
        last = len(scores) - 1
        for at, score in enumerate(scores):
            if score:
                for distance, weight in enumerate(self.near, 1):
                    given = weight * score
                    if at >= distance and given > found[at - distance]:
                        found[at - distance] = given
                    if at + distance <= last and given > found[at + distance]:
                        found[at + distance] = given
        return found

    def best_around(self, scores: Sequence[float], at: int) -> float:
        """The best score within `span` positions, that of `at` included."""
        return max(scores[max(at - self.span, 0) : at + self.span + 1])


TALK = Kernel(NEAR, AROUND, SPAN)
"""With the neighbours."""
ALONE = Kernel((), 0.0, 0)
"""Each memory by its own words."""
