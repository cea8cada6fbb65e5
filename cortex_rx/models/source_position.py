"""How far a source has been read, and how that position is found again when the source is reopened.

A reopened source delivers its text from the start, or from a cursor that the provider knows.  Hashes tell whether it is
the same text: for each part of the answer that a process has read, there is one segment `(start, end, sha256)`.
Offsets count code points of the source.  A step that changes text does not change them.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["PrefixHash", "PrefixMatcher", "Segment", "SourcePosition"]

_HELD = 2_097_152  # code points that wait to be hashed: more than may wait for a stalled store


class Segment(NamedTuple):
    """A part of a text, and the SHA-256 of its UTF-8."""

    start: int
    end: int
    sha256: str


class PrefixHash:
    """The hash of the prefixes of a text that comes piece by piece.

    Pieces are hashed only on request, many at once, so that reading costs next to nothing.  Until then they are held,
    at most 2 Mi code points.

    >>> prefix = PrefixHash()
    >>> prefix.add("Hello ")
    >>> prefix.add("Ada")
    >>> prefix.segments(9) == (Segment(0, 9, hashlib.sha256(b"Hello Ada").hexdigest()),)
    True
    """

    __slots__ = ("_before", "_hash", "_hashed", "_held", "_known", "_pieces", "_start")

    def __init__(self, before: tuple[Segment, ...] = (), start: int = 0) -> None:
        self._before = before
        self._start = self._hashed = before[-1].end if before else start
        self._hash = hashlib.sha256()
        self._pieces: deque[str] = deque()
        self._held = 0
        self._known: deque[Segment] = deque(maxlen=16)

    def add(self, text: str) -> None:
        """Append the next piece."""
        self._pieces.append(text)
        self._held += len(text)
        if self._held > _HELD:
            self._upto(self._hashed + self._held // 2)

    def segments(self, end: int) -> tuple[Segment, ...] | None:
        """The segments that identify the text up to `end`; None if they can no longer be computed."""
        if end == self._start:
            return self._before
        for known in self._known:
            if known.end == end:
                return (*self._before, known)
        if not self._hashed <= end <= self._hashed + self._held:
            return None
        self._upto(end)
        last = Segment(self._start, end, self._hash.copy().hexdigest())
        self._known.append(last)
        return (*self._before, last)

    def _upto(self, end: int) -> None:
        while self._hashed < end:
            text = self._pieces.popleft()
            if len(text) > end - self._hashed:
                self._pieces.appendleft(text[end - self._hashed :])
                text = text[: end - self._hashed]
            self._hash.update(text.encode())
            self._hashed += len(text)
            self._held -= len(text)


class SourcePosition:
    """A position in a source: the text before it has been read.

    `offset` counts code points of the source.  `cursor` is where the provider continues, and `cursor_at` the offset of
    the cursor.  `rewritten`: a `rewrite` stands downstream, so the stored text differs from the text of the source.
    """

    __slots__ = ("_prefix", "cursor", "cursor_at", "offset", "rewritten")

    def __init__(
        self, offset: int, prefix: PrefixHash, cursor: Any = None, cursor_at: int = 0, rewritten: bool = False
    ) -> None:
        self.offset: int = offset
        self._prefix = prefix
        self.cursor: Any = cursor
        self.cursor_at: int = cursor_at
        self.rewritten: bool = rewritten

    def before(self, count: int) -> SourcePosition:
        """The position `count` code points earlier, where a text is cut off.  If the text is rewritten, this position
        itself."""
        if self.rewritten:
            return self
        offset = self.offset - count
        known = self.cursor_at <= offset
        return SourcePosition(offset, self._prefix, self.cursor if known else None, self.cursor_at if known else 0)

    @property
    def segments(self) -> tuple[Segment, ...] | None:
        """The segments that identify the text before the position; None if too much has been read since then."""
        return self._prefix.segments(self.offset)

    def to_json(self) -> dict[str, Any]:
        """The form in which the position is stored."""
        segments = self.segments
        return {
            "offset": self.offset,
            "segments": None if segments is None else [list(segment) for segment in segments],
            "cursor": self.cursor,
            "cursorAt": self.cursor_at,
            "rewritten": self.rewritten,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SourcePosition:
        """The position in the form that `to_json` returns."""
        segments = data["segments"]
        prefix = PrefixHash(tuple(Segment(int(start), int(end), str(sha)) for start, end, sha in segments or ()))
        return cls(int(data["offset"]), prefix, data["cursor"], int(data["cursorAt"]), bool(data["rewritten"]))

    def __repr__(self) -> str:
        return f"SourcePosition({self.offset})"


class PrefixMatcher:
    """Compares the text of a reopened source with the text that was read before, and cuts that off.

    The source begins at `start`; the text read before ends at `end`.  **Unbounded**: the compared text is held until
    the comparison is complete, because text that differs begins a new attempt and is needed whole.  Segments that begin
    before `start` cannot be compared.
    """

    def __init__(self, segments: tuple[Segment, ...], end: int, start: int = 0) -> None:
        self._segments = deque(one for one in segments if one.start >= start and one.end > one.start)
        self._at, self._end = start, end
        self._hash = hashlib.sha256()
        self.held: list[Any] = []

    def match(self, text: str) -> str | None:
        """The part of `text` that lies beyond `end`; empty until `end` is reached.  None if the texts differ."""
        rest = text
        while rest and self._at < self._end:
            stop = self._segments[0].end if self._segments and self._segments[0].start <= self._at else self._next()
            piece, rest = rest[: stop - self._at], rest[stop - self._at :]
            if self._segments and self._segments[0].start <= self._at:
                self._hash.update(piece.encode())
            self._at += len(piece)
            if self._segments and self._at == self._segments[0].end:
                if self._hash.hexdigest() != self._segments.popleft().sha256:
                    return None
                self._hash = hashlib.sha256()
        return rest

    def _next(self) -> int:
        return min(self._segments[0].start, self._end) if self._segments else self._end

    @property
    def reached(self) -> bool:
        """Whether all the text that was read before has come again."""
        return self._at >= self._end
