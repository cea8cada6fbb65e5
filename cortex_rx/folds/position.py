"""How far an answer is: the one fold of attempts and offsets, on which all other folds build.

A text may begin again, as a new attempt, because its source could not continue or because a step produced other text.
After that, late events of an older attempt may still come.  `TextPosition` says what each event means for the text::

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

* `Delta`: with a higher attempt, the text begins again at its offset.  With an older attempt, it is skipped.  Otherwise
  the text goes on, and the length of the delta is added: a step upstream may change lengths but not offsets.
* `Resumed`: with a higher attempt, the text begins again at its offset.  With the same attempt, the text goes on where
  it was: the offset of the event belongs to the source, and differs where a step changes text.
* `Replayed` sets attempt, offset and index in any case: its text is the whole text.
* `Rewound` sets them too.  In the same attempt, the text is cut back to its offset and never grows.  In another
  attempt, the text begins again there.  That attempt may be older, if the newer text was never stored.  Apart from
  `Replayed`, it is the only event after which attempts can be lower.
* `PartialStored`, `Chunked` and `FactsExtracted` of another attempt are skipped, since they describe another text.  (A
  fold that counts writes counts them all.)  What was read from the question belongs to every text.
* `Ended` is the end of this text.  A text that begins again, or is cut back, has not ended.
* `Begun` gives the store's number for attempt 0; see `TextPosition.stored_attempt`.
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
    FactsExtracted,
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
    """The text goes on, or the event does not concern it."""
    ANEW = "anew"
    """The text begins again with this event: forget the text so far."""
    CUT = "cut"
    """The text is cut back to `TextPosition.offset`."""
    OTHER = "other"
    """The event belongs to another text: skip it."""


_attempt = attrgetter("attempt")
_OF_A_TEXT = (Delta, Resumed, SourceReplayed, PartialStored, Chunked, FactsExtracted, Replayed, Rewound)


class TextPosition:
    """How far a text is: its attempt, its length, the number of its deltas and its source position.

    Call `take` with every event.  Where that is too slow, `take_deltas` takes many deltas at once.  Or a caller puts a
    delta of the current `attempt` into `last` and adds its length to `offset`; `take` does no more with it.
    """

    __slots__ = ("_index", "_mark", "_stored", "attempt", "beginnings", "ended", "last", "offset", "start")

    def __init__(self, attempt: int = 0, offset: int = 0, index: int = 0) -> None:
        self._stored = 0
        self.beginnings: int = -1
        """How often the text has begun again, also with `Replayed`, or was cut back."""
        self._set(attempt, offset, index)

    def _set(self, attempt: int, offset: int, index: int = 0, mark: SourcePosition | None = None) -> None:
        self.attempt: int = attempt
        """The attempt of the text, as its deltas count it."""
        self.start: int = offset
        """Where its deltas begin: 0, or the end of the replayed text."""
        self.offset: int = offset
        """The length of the text, in code points."""
        self._index, self._mark = index, mark
        self.last: Delta | None = None
        """The last delta."""
        self.ended: Ended | None = None
        """The end of the text, once it has come."""
        self.beginnings += 1

    def means(self, event: StreamEvent) -> Move:
        """What an event means for the text, without taking it into account."""
        if not isinstance(event, _OF_A_TEXT):
            return Move.GOES_ON
        if isinstance(event, (Delta, Resumed, SourceReplayed)):  # a tuple: a union would be made anew each time
            if event.attempt == self.attempt:
                return Move.GOES_ON
            return Move.ANEW if event.attempt > self.attempt else Move.OTHER
        if isinstance(event, (PartialStored, Chunked, FactsExtracted)):
            of_question = isinstance(event, FactsExtracted) and event.side == "question"
            return Move.GOES_ON if of_question or event.attempt == self.attempt else Move.OTHER
        if isinstance(event, Replayed):
            return Move.ANEW
        return Move.CUT if event.attempt == self.attempt else Move.ANEW

    def take(self, event: StreamEvent) -> Move:
        """Take one event into account, and return what it means."""
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
        """Take consecutive deltas into account; returns the text that they add, or the whole text if it is `ANEW`.

        >>> given = ("a", 0, 0), ("b", 0, 1), ("c", 1, 0)
        >>> TextPosition().take_deltas([Delta(text, index, index, attempt, 0.1) for text, index, attempt in given])
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

    def continues(self, deltas: Sequence[Delta]) -> bool:
        """Whether the text goes on with each of these deltas."""
        return set(map(_attempt, deltas)) == {self.attempt}

    @property
    def index(self) -> int:
        """The number of deltas."""
        return self._index if self.last is None else self.last.index + 1

    @property
    def mark(self) -> SourcePosition | None:
        """The source position at the end of the text, if known."""
        return self._mark if self.last is None else self.last.mark

    @property
    def stored_attempt(self) -> int:
        """The store's number for `attempt`, which is higher if the stream was begun before.

        In a stream that was taken over the two are equal, because its deltas continue the store's count.
        """
        return self._stored + self.attempt

    def __repr__(self) -> str:
        return f"TextPosition(attempt={self.attempt}, offset={self.offset}, index={self.index})"
