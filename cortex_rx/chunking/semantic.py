"""Chunks of sentences that are about one thing, by the vectors of the sentences."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import mul

from cortex_rx.chunking.packing import Packer, Span

__all__ = ["PERCENTILE", "Topics", "percentile_of"]

# Chosen on the texts `TUNING` of `benchmarks.topics`; docs/decisions/chunks.md has the table.
PERCENTILE = 15
"""The share of the places between sentences, in percent, among which a boundary is looked for."""
BEFORE = 5  # sentences before a place that are compared
AFTER = 2  # with so many after it
AHEAD = 3  # later places that are looked at before one is decided
RECENT = 64  # places among which the percentile is taken
LEAST = 3  # places that must be known for a percentile, and sentences between two boundaries


class Topics:
    """Packs sentences into chunks of at most `size` sentences, and ends a chunk where the similarity drops.

    At each place between two sentences, the mean vector of the five sentences before it is compared with that of the
    two after it: the cosine of their angle. A boundary is a place whose similarity is below the given percentile of the
    last 64, the three places after it among them, at least three sentences after the boundary before. So a place is
    decided when the next four sentences are known, or the text has ended: by these sentences and their vectors alone.
    Where vectors are missing, there is no boundary. Holds the open chunk, and the last ten vectors.

    >>> topics = Topics(10)
    >>> text = ["It rains. ", "It pours. ", "It is wet. ", "Cats purr. ", "Cats sleep. ", "Cats hunt."]
    >>> for at, sentence in enumerate(text):
    ...     assert topics.add(sentence, [1.0, 0.1] if at < 3 else [0.1, 1.0]) == []
    >>> [chunk.text for chunk in topics.finish()]
    ['It rains. It pours. It is wet. ', 'Cats purr. Cats sleep. Cats hunt.']
    """

    def __init__(
        self,
        size: int,
        overlap: int = 0,
        *,
        percentile: float = PERCENTILE,
        start: int = 0,
        max_length: int | None = None,
    ) -> None:
        self._packer = Packer(size, overlap, start, max_length)
        self._percentile = percentile
        self._begin()

    def _begin(self) -> None:
        self._count = 0  # of the sentences
        self._waiting: deque[str] = deque()  # sentences before which it is not decided
        self._vectors: deque[list[float] | None] = deque(maxlen=BEFORE + AFTER)
        self._similar: deque[float | None] = deque(maxlen=RECENT)
        self._next = 1  # the place that is compared next: before the sentence of this number, from 0
        self._boundary = 0  # the last one

    def add(self, sentence: str, vector: Sequence[float] | None) -> list[Span]:
        """Add a sentence and its vector, None if it has none. Returns the chunks that are now complete."""
        self._waiting.append(sentence)
        self._vectors.append(_unit(vector) if vector else None)
        self._count += 1
        if self._next + AFTER <= self._count:
            self._compare()
        return list(self._decide(AHEAD))

    def finish(self) -> list[Span]:
        """End the text, and return the remaining chunks."""
        chunks: list[Span] = []
        while self._next < self._count:
            self._compare()
            chunks += self._decide(AHEAD)
        chunks += [*self._decide(0), *self._packer.finish()]
        self._begin()
        return chunks

    def _compare(self) -> None:
        """Compare the sentences before the next place with those after it."""
        at = self._next - self._count + len(self._vectors)
        before, after = islice(self._vectors, max(0, at - BEFORE), at), islice(self._vectors, at, at + AFTER)
        self._similar.append(_cosine(_sum(before), _sum(after)))
        self._next += 1

    def _decide(self, ahead: int) -> Iterator[Span]:
        """Pack the sentences before which it can be decided: so many later places are known."""
        while self._waiting and (place := self._count - len(self._waiting)) + ahead < self._next:
            if place and self._is_boundary(place):
                self._boundary = place
                yield from self._packer.close()
            yield from self._packer.add(self._waiting.popleft(), 1)

    def _is_boundary(self, place: int) -> bool:
        similar = self._similar[place - self._next]
        if similar is None or place - self._boundary < LEAST:
            return False
        known = sorted(one for one in self._similar if one is not None)
        return len(known) >= LEAST and similar < percentile_of(known, self._percentile)


def _unit(vector: Sequence[float]) -> list[float] | None:
    """The vector with the length 1; None if it has no direction."""
    length = math.hypot(*vector)
    return [number / length for number in vector] if 0 < length < math.inf else None


def _sum(vectors: Iterable[list[float] | None]) -> list[float] | None:
    known = [vector for vector in vectors if vector is not None]
    return [sum(numbers) for numbers in zip(*known, strict=True)] if known else None


def _cosine(one: list[float] | None, other: list[float] | None) -> float | None:
    """The cosine of the angle between two vectors; None if one of them is missing, or has no direction.

    It is rounded: what an embedder returns for a text differs a little with the texts that it gets beside.
    """
    if one is None or other is None:
        return None
    lengths = math.hypot(*one) * math.hypot(*other)
    return round(sum(map(mul, one, other)) / lengths, 6) if lengths else None


def percentile_of(known: list[float], percent: float) -> float:
    """The value below which so many percent of these sorted numbers are, interpolated.

    >>> percentile_of([1.0, 2.0, 4.0], 75)
    3.0
    """
    place = (len(known) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (place - low)
