"""Pack units into chunks of a size, with an overlap."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from cortex_rx.chunking import graphemes

__all__ = ["Packer", "Span"]

_MANY = 512  # units of one chunk, after which those that no overlap needs are joined


class Span(NamedTuple):
    """A chunk: its text, where it starts, and the length that it shares with the chunk before it (in code points)."""

    text: str
    start: int
    overlap: int

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)


class Packer:
    """Packs weighted units into chunks that weigh at most `size` and have at most `max_length` code points.

    A chunk begins with the last units of the chunk before it that weigh at most `overlap`, as long as the next unit
    still fits.  A unit that alone weighs more than `size` is a chunk of its own.  A unit longer than `max_length` is
    cut, and each part has its share of the weight.  Nothing is left out: without their overlaps, the chunks are the
    text.
    """

    def __init__(self, size: int, overlap: int, start: int = 0, max_length: int | None = None) -> None:
        self._size, self._overlap = size, overlap
        self._most = sys.maxsize if max_length is None else max_length
        self._units: deque[tuple[str, int, bool]] = deque()
        self._weight = 0
        self._kept = 0  # code points that the chunk before has too
        self._length = 0
        self._start = start

    @property
    def held(self) -> int:
        """The number of code points held."""
        return self._length

    @property
    def room(self) -> int:
        """The weight that still fits into the open chunk."""
        return min(self._size - self._weight, self._most - self._length)

    def add(self, text: str, weight: int, loose: bool = False) -> Iterator[Span]:
        """Add a unit, and yield the chunks that it completes.

        A `loose` unit, whose weight is its length, fills the chunk and may be cut between any two grapheme clusters.
        """
        if loose or len(text) <= self._most:
            yield from self._add(text, weight, loose)
            return
        for part in _parts(text, self._most):
            yield from self._add(part, -(-weight * len(part) // len(text)), loose)

    def _add(self, text: str, weight: int, loose: bool) -> Iterator[Span]:
        while True:
            if weight <= self._size - self._weight and len(text) <= self._most - self._length:
                self._push(text, weight, loose)
                break
            if loose and (room := self.room) and (cut := graphemes.fit(text, room)):
                self._push(text[:cut], cut, loose)
                text, weight = text[cut:], weight - cut
                yield self._close()
            elif self._length > self._kept:
                yield self._close()
            elif self._units:
                least, its = (graphemes.first(text),) * 2 if loose else (len(text), weight)
                self._drop(max(its - self._size + self._weight, least - self._most + self._length))
            elif loose and (cut := min(graphemes.first(text), self._most)) < len(text):
                self._push(text[:cut], cut, loose)
                text, weight = text[cut:], weight - cut
                yield self._close()
            else:
                self._push(text, weight, loose)
                break
        if self._weight >= self._size or self._length >= self._most:
            yield self._close()

    def close(self) -> Iterator[Span]:
        """Yield the open chunk if it has text that is in no other chunk; the next unit begins a new one."""
        if self._length > self._kept:
            yield self._close()

    def finish(self) -> Iterator[Span]:
        """End the units, and yield the open chunk as `close` does; there is no overlap with what comes after it."""
        yield from self.close()
        self._start += self._length
        self._units.clear()
        self._weight = self._kept = self._length = 0

    def _push(self, text: str, weight: int, loose: bool) -> None:
        units = self._units
        units.append((text, weight, loose))
        self._weight += weight
        self._length += len(text)
        if len(units) > _MANY and not self._overlap:
            joined = "".join(unit[0] for unit in units)
            units.clear()
            units.append((joined, self._weight, loose))

    def _drop(self, most: int) -> None:
        """Drop the first unit of the overlap.  Of a loose unit, drop only `most` code points, since its length depends
        on how the text came."""
        text, weight, loose = self._units.popleft()
        if loose and (cut := graphemes.after(text, 0, most)) < len(text):
            self._units.appendleft((text[cut:], weight - cut, loose))
            text, weight = text[:cut], cut
        self._weight -= weight
        self._start += len(text)
        self._length -= len(text)
        self._kept -= len(text)

    def _close(self) -> Span:
        """Close the open chunk; the overlap with the next one stays."""
        units = self._units
        piece = Span("".join(unit[0] for unit in units), self._start, self._kept)
        kept: deque[tuple[str, int, bool]] = deque()
        weight = length = 0
        while units and weight < self._overlap:
            text, its, loose = units.pop()
            if weight + its > self._overlap:
                if not loose:
                    break
                most = len(text) - (self._overlap - weight)
                cut = graphemes.after(text, graphemes.fit(text, most), most)
                text, its = text[cut:], len(text) - cut
                units.clear()
            if text:
                kept.appendleft((text, its, loose))
                weight, length = weight + its, length + len(text)
        self._units, self._weight, self._kept = kept, weight, length
        self._start = piece.end - length
        self._length = length
        return piece


def _parts(text: str, most: int) -> Iterator[str]:
    """Cut a text that is too long into parts of at most `most` code points: after a line, else after a word, else
    between two grapheme clusters, else anywhere."""
    start = 0
    while len(text) - start > most:
        middle, end = start + most // 2, start + most
        cut = (
            text.rfind("\n", middle, end) + 1
            or next((at for at in range(_last_word(text, middle, end), middle, -1) if _after_word(text, start, at)), 0)
            or start + (graphemes.fit(text[start : end + 1], most) or most)
        )
        yield text[start:cut]
        start = cut
    yield text[start:]


def _last_word(text: str, middle: int, end: int) -> int:
    """Where the last word begins that begins from `middle` to `end`: no later place is after a word."""
    window = text[middle : end + 1].rstrip()
    return middle + len(window) - len(window.rsplit(None, 1)[-1]) if window else middle


def _after_word(text: str, start: int, at: int) -> bool:
    return text[at - 1].isspace() and not text[at].isspace() and graphemes.is_boundary(text, start, at)
