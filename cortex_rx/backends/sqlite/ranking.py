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
    "AFTER",
    "ALONE",
    "ALPHA",
    "AROUND",
    "BEFORE",
    "BY_ITSELF",
    "CANDIDATES",
    "DECAY",
    "IN_TALK",
    "K1",
    "NEAR",
    "PAIR",
    "REACH",
    "SEEDS",
    "SHARE",
    "SPAN",
    "STEPS",
    "SURFACE",
    "TALK",
    "B",
    "Kernel",
    "Key",
    "Postings",
    "Spread",
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
REACH = 5
"""Positions in a conversation, in both directions, within which memories are neighbours."""
DECAY = 0.75
"""What a neighbour counts of what one counts that is a position nearer."""
BEFORE: tuple[float, ...] = tuple(0.65 * DECAY**distance for distance in range(REACH))
"""What a term counts that is said before a memory, by distance: what answers a turn follows it."""
AFTER: tuple[float, ...] = tuple(0.45 * DECAY**distance for distance in range(REACH))
"""What a term counts that is said after a memory."""
SHARE = 0.2
"""What the best score in the conversation counts besides: a memory in a talk about the matter answers better."""
PAIR = 0.3
"""How much two words count that follow each other in the query and in the memory, besides the words themselves."""
SEEDS = 100
"""How many memories are looked at, at least, with the memories around them: those that have the best words of their
own. 40 were enough to lose nothing."""

# Weights fall with the distance, so none is above the first.
NEAR: tuple[float, ...] = (0.7, 0.49, 0.343, 0.24, 0.168)
"""Of vectors: what the score of a neighbour counts, by its distance in the conversation: 1, 2 ... positions."""
AROUND = 0.2
"""Of vectors: what the best score within `SPAN` positions counts besides."""
SPAN = 20
"""Positions in a conversation, in both directions."""

ALPHA = 0.3
"""What the embeddings count in a score, if both words and embeddings find something; the words count the rest."""
CANDIDATES = (2, 20)
"""How many of the best by words and of the best by embeddings are compared: so many for each that is asked for, and so
many besides."""

STEPS = (20, 4)
"""How many places the first step of a ranking gives, and how many times as many each step after it. So pages that reach
beyond a step begin with what the step has given: what is looked at depends on the step, and not on the page."""

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
        whole = one.most
        best = {keys[doc]: whole * times / (times + slowness[doc]) for doc, times in one.times.items()}
        if len(best) < len(one.times):  # several documents have the same key
            for doc, times in one.times.items():
                best[keys[doc]] = max(best[keys[doc]], whole * times / (times + slowness[doc]))
        yield best


@dataclass(frozen=True, slots=True)
class Kernel:
    """Of vectors: what the memories around one count, `near` by distance, and the best within `span` positions
    `around`."""

    near: tuple[float, ...]
    around: float
    span: int

    @property
    def first(self) -> float:
        """What the nearest neighbour counts."""
        return self.near[0] if self.near else 0.0

    def whole(self, own: float, near: float, around: float) -> float:
        """The score: `near` is weighted already, `around` is the best score itself."""
        return (own + near + self.around * around) / (1 + self.first + self.around)


TALK = Kernel(NEAR, AROUND, SPAN)
"""With the neighbours."""
ALONE = Kernel((), 0.0, 0)
"""Each memory by its own words."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What memories get from those around them for a word: `before` and `after`, by distance, the weights of those that
    stand there; and what the best score of the conversation counts besides.

    For each word a memory gets its own weight or that of the best neighbour, whichever is more. So a memory that has
    all words of a query itself is not behind one that has half of them beside another half.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    share: float

    @property
    def reach(self) -> int:
        """The distance within which memories are neighbours."""
        return max(len(self.before), len(self.after))

    def nearest(self, weights: Sequence[float], at: int) -> tuple[float, int]:
        """What one position gets from its best neighbour, and how far that is, below 0 if before; (0, 0) if nothing.

        >>> Spread((0.5,), (0.25,), 0.0).nearest([0.0, 8.0, 1.0], 2)
        (4.0, -1)
        """
        before = [(factor * weights[at - far], -far) for far, factor in enumerate(self.before[:at], 1)]
        after = [(factor * weights[at + far], far) for far, factor in enumerate(self.after[: len(weights) - 1 - at], 1)]
        best = max([*before, *after], key=lambda one: one[0], default=(0.0, 0))
        return best if best[0] else (0.0, 0)

    def near_all(self, weights: Sequence[float]) -> list[float]:
        """What each position gets from its best neighbour.

        >>> Spread((0.5,), (0.25,), 0.0).near_all([0.0, 8.0, 1.0])
        [2.0, 0.25, 4.0]
        """
        found = [0.0] * len(weights)
        last = len(weights) - 1
        for at, weight in enumerate(weights):
            if weight:
                for distance, factor in enumerate(self.before[: last - at], 1):
                    if (given := factor * weight) > found[at + distance]:
                        found[at + distance] = given
                for distance, factor in enumerate(self.after[:at], 1):
                    if (given := factor * weight) > found[at - distance]:
                        found[at - distance] = given
        return found


IN_TALK = Spread(BEFORE, AFTER, SHARE)
"""With the neighbours."""
BY_ITSELF = Spread((), (), 0.0)
"""Each memory by its own words."""
