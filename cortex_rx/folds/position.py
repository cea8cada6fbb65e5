"""Where an answer is: the one fold of attempts and offsets, on which all other folds stand.

A text may begin anew, as a new attempt, because its source could not go on or because a step made another text.  What
is late and of an older attempt may still come after that.  `TextPosition` says of each event what it means for the
text::

    >>> from cortex_rx.events import Delta, Resumed
    >>> class Letters:  # a fold of one's own
    ...     def __init__(self):
    ...         self.position, self.text = TextPosition(), ""
    ...     def add(self, event):
    ...         move = self.position.take(event)
    ...         if move is Move.ANEW:
    ...             self.text = ""
    ...         if isinstance(event, Delta) and move is not Move.OTHER:
    ...             self.text += event.text
    >>> letters = Letters()
    >>> for event in (
    ...     Delta("Good ", index=0, offset=0, attempt=0, at=0.1),
    ...     Resumed(retry=1, attempt=1, offset=0, cause="ConnectionError"),
    ...     Delta("eve", index=1, offset=5, attempt=0, at=0.2),  # late
    ...     Delta("Hello", index=0, offset=0, attempt=1, at=0.3),
    ... ):
    ...     letters.add(event)
    >>> letters.text, letters.position
    ('Hello', TextPosition(attempt=1, offset=5, index=1))

The rules, for every fold:

* `Delta`: of a higher attempt the text begins anew at its offset; of an older one it is left out.  Where it goes on,
  its length is counted: a step before may have changed lengths and not the offsets.
* `Resumed`: of a higher attempt the text begins anew at its offset.  Of the same one it goes on where it was: the
  offset of the event is that of the source, which is another one where a step changes text.
* `Replayed` sets attempt, offset and index, whatever they were: its text is the whole text.
* `Rewound` sets too: in the same attempt the text is cut back to its offset, in another one it begins anew there.
  Nothing grows by a cut.  That may be an older one: what a reader had seen of the newer one was never stored.  It is
  the one event beside `Replayed` after which attempts are lower.
* `PartialStored` and `Chunked` of any other attempt are left out: they say nothing of this text.  (Who counts writes
  counts them all.)
* `Ended` is the end of this text; a text that begins anew, or is cut back, has not ended.
* `Begun` says what the store counts attempt 0 as; see `TextPosition.stored_attempt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from operator import attrgetter

from cortex_rx.events import (
    Begun,
    Chunked,
    Delta,
    Ended,
    PartialStored,
    Replayed,
    Resumed,
    Rewound,
    SourceReplayed,
    StreamEvent,
)
from cortex_rx.models.source_position import SourcePosition

__all__ = ["Move", "TextPosition"]


class Move(Enum):
    """What an event means for a text."""

    GOES_ON = "goes on"
    """It goes on, or the event says nothing of it."""
    ANEW = "anew"
    """It begins anew, with this event: what there was of it is to be forgotten."""
    CUT = "cut"
    """It is cut back to `TextPosition.offset`."""
    OTHER = "other"
    """The event is of another text: leave it out."""


_attempt = attrgetter("attempt")


class TextPosition:
    """How far a text has come: its attempt, its length, the number of its deltas and the place in its source.

    `take` is called with every event.  Where that is too slow, `take_deltas` takes many at once, or a delta whose
    `attempt` is the current one is put into `last` and its length added to `offset`, which is all that `take` does with
    it.
    """

    __slots__ = ("_index", "_mark", "_stored", "attempt", "beginnings", "ended", "last", "offset", "start")

    def __init__(self, attempt: int = 0, offset: int = 0, index: int = 0) -> None:
        self._stored = 0
        self.beginnings: int = -1
        """How often the text has begun anew, with `Replayed` too, or was cut back."""
        self._set(attempt, offset, index)

    def _set(self, attempt: int, offset: int, index: int = 0, mark: SourcePosition | None = None) -> None:
        self.attempt: int = attempt
        """The one that the text is of, as its deltas count."""
        self.start: int = offset
        """Where its deltas begin: 0, or behind what was replayed."""
        self.offset: int = offset
        """The length of the text, in code points."""
        self._index, self._mark = index, mark
        self.last: Delta | None = None
        """Its last delta."""
        self.ended: Ended | None = None
        """Its end, once that has come."""
        self.beginnings += 1

    def means(self, event: StreamEvent) -> Move:
        """What an event means for the text, which is not changed by that."""
        if isinstance(event, Delta | Resumed | SourceReplayed):
            if event.attempt == self.attempt:
                return Move.GOES_ON
            return Move.ANEW if event.attempt > self.attempt else Move.OTHER
        if isinstance(event, PartialStored | Chunked):
            return Move.GOES_ON if event.attempt == self.attempt else Move.OTHER
        if isinstance(event, Replayed):
            return Move.ANEW
        if isinstance(event, Rewound):
            return Move.CUT if event.attempt == self.attempt else Move.ANEW
        return Move.GOES_ON

    def take(self, event: StreamEvent) -> Move:
        """Take one event into account, and say what it means."""
        move = self.means(event)
        if move is Move.ANEW:
            if isinstance(event, Replayed):
                self._set(event.attempt, event.offset, event.index, event.mark)
            elif isinstance(event, Delta | Resumed | Rewound):
                self._set(event.attempt, event.offset)
            elif isinstance(event, SourceReplayed):
                self._set(event.attempt, 0)
        if isinstance(event, Delta):
            if move is not Move.OTHER:
                self.last = event
                self.offset += len(event.text)
        elif isinstance(event, Ended):
            self.ended = event
        elif isinstance(event, Begun):
            self._stored = event.attempt
        elif move is Move.CUT and isinstance(event, Rewound):
            self.offset = min(self.offset, event.offset)
            self._index, self._mark = self.index, None
            self.last = self.ended = None
            self.start = min(self.start, self.offset)
            self.beginnings += 1
        return move

    def take_deltas(self, deltas: Sequence[Delta]) -> tuple[Move, str]:
        """Take deltas that came one after the other; gives what they add to the text, all that there is of it if it is
        `ANEW`.

        >>> deltas = [Delta(text, index, index, attempt, 0.1) for text, index, attempt in (("a", 0, 0), ("b", 0, 1), ("c", 1, 0))]
        >>> TextPosition().take_deltas(deltas)
        (<Move.ANEW: 'anew'>, 'b')
        """
        attempts = set(map(_attempt, deltas))
        newest = max(attempts)
        if newest < self.attempt:
            return Move.OTHER, ""
        if len(attempts) > 1:
            deltas = [delta for delta in deltas if delta.attempt == newest]
        move = self.means(deltas[0])
        if move is Move.ANEW:
            self._set(newest, deltas[0].offset)
        text = "".join([delta.text for delta in deltas])
        self.last = deltas[-1]
        self.offset += len(text)
        return move, text

    @property
    def index(self) -> int:
        """The number of its deltas."""
        return self._index if self.last is None else self.last.index + 1

    @property
    def mark(self) -> SourcePosition | None:
        """The place in the source that belongs to its end, if that is known."""
        return self._mark if self.last is None else self.last.mark

    @property
    def stored_attempt(self) -> int:
        """What the store counts `attempt` as: a stream that was begun before has texts of that time.

        In a stream that was taken over the two are one, for its deltas go on counting as the store does.
        """
        return self._stored + self.attempt

    def __repr__(self) -> str:
        return f"TextPosition(attempt={self.attempt}, offset={self.offset}, index={self.index})"
