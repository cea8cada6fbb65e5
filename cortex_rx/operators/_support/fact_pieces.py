"""What `extract_facts` has to read of one stream: the question, and the windows of the answer, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal, cast

from cortex_rx.events import Adapted, Begun, Delta, Ended, Opened, PartialStored, Problem, Replayed, StreamEvent
from cortex_rx.facts.reader import Reading
from cortex_rx.facts.windows import Window, Windows
from cortex_rx.folds.position import Move, TextPosition

__all__ = ["FactPieces", "Piece"]

MOST = 262_144
"""Code points that may wait to be read. What comes beyond it is left to be read later, from the store."""

_LATER = Reading(code="EXTRACTOR_BEHIND")  # it is put into the queue


class Piece:
    """A piece of a text, and what was read from it."""

    __slots__ = ("attempt", "chunk", "reading", "side", "start", "stop", "task", "text")

    def __init__(self, side: Literal["question", "answer"], window: Window, attempt: int, chunk: int) -> None:
        self.side: Literal["question", "answer"] = side
        self.text, self.start, self.stop, _ = window
        self.attempt = attempt
        """The attempt of the deltas."""
        self.chunk = chunk
        """The number of deltas by then."""
        self.reading: Reading | None = None if window.new.strip() else Reading()
        self.task: asyncio.Task[None] | None = None  # which reads it, and completes its facts

    def read(self, reading: Reading) -> None:
        """It was read: its text is held no longer."""
        self.reading, self.text = reading, ""

    @property
    def ready(self) -> bool:
        """Whether it was read, and nothing is added to its facts any more."""
        return self.reading is not None and self.task is None


class FactPieces:
    """A fold over events. `pieces` are those that are not stored yet, in order."""

    def __init__(self, threshold: int) -> None:
        self._given = threshold  # by the operator's argument
        self._threshold = threshold  # adapted to the stream
        self.opened: Opened | None = None
        self.begun: Begun | None = None
        self.position: TextPosition = TextPosition()
        self.durable: int = 0
        """How much of the answer is in the store."""
        self.pieces: list[Piece] = []
        self._done: int | None = None  # how much of the answer was read before; None: it is not known yet
        self._windows = Windows(threshold)
        self._kept: list[str] = []  # the text that waits until it is known
        self._kept_from = self._kept_length = 0
        self._leave_out = 0  # code points that come once more

    def absorb(self, events: Iterable[StreamEvent]) -> None:
        """Add events."""
        for kind, run in groupby(events, type):
            alike = list(run)
            if kind is Delta and self.position.continues(deltas := cast("list[Delta]", alike)):
                self._feed(self.position.take_deltas(deltas)[1])
            else:
                for event in alike:
                    self._take(event)

    @property
    def known(self) -> bool:
        """Whether it is known what was read before."""
        return self._done is not None

    @property
    def left_out(self) -> bool:
        """Whether a part is left to be read later, since too much waits."""
        return any(piece.reading is _LATER for piece in self.pieces)

    def know(self, question: int, answer: int) -> None:
        """So much of both texts was read before. Until this is known, nothing is read."""
        assert self.opened is not None
        self._done = answer
        message = self.opened.turn.user_message
        if question < len(message):
            self.pieces.insert(0, Piece("question", Window(message, 0, len(message)), 0, 0))
        text = "".join(self._kept)
        self._begin(self._kept_from, text)
        self._kept.clear()

    def of(self, side: str) -> Iterator[Piece]:
        """The pieces of one side."""
        return (piece for piece in self.pieces if piece.side == side)

    def stored(self, piece: Piece) -> bool:
        """The piece is in the store. False if its text is no longer that of the answer."""
        if piece not in self.pieces:
            return False
        self.pieces.remove(piece)
        if piece.side == "answer":
            self._done = piece.stop
        return True

    def unread(self) -> Iterator[Piece]:
        """The pieces that nobody reads yet."""
        return (piece for piece in self.pieces if piece.reading is None and piece.task is None)

    def _take(self, event: StreamEvent) -> None:
        move = self.position.take(event)
        if move is Move.OTHER:
            return
        if isinstance(event, Adapted):
            self._threshold = self._windows.threshold = max(1, round(self._given * event.strategy.threshold))
        elif move is Move.ANEW:
            self._anew(event)
        elif move is Move.CUT:
            self._cut()
        if isinstance(event, Delta):
            self._feed(event.text)
        elif isinstance(event, PartialStored):
            self.durable = event.offset
        elif isinstance(event, Ended) and self._done is not None:
            self._add(self._windows.finish())
        elif isinstance(event, Opened):
            self.opened = event
        elif isinstance(event, Begun):
            self.begun = event
            if event.attempt == 0 and not (event.stored_before or (self.opened and self.opened.resumed)):
                self.know(0, 0)  # it is new
        elif isinstance(event, Problem) and event.phase == "initialization" and not event.recoverable:
            self.know(0, 0)  # the store could not begin it

    def _anew(self, event: StreamEvent) -> None:
        self._drop(self.of("answer"))
        start, text = self.position.start, ""
        if isinstance(event, Replayed):
            start, text, self.durable = start - len(event.text), event.text, event.offset
        else:
            self.durable = 0
            self._done = None if self._done is None else 0
        self._kept, self._kept_from, self._kept_length = [], start, 0
        if self._done is None:
            self._feed(text)
        else:
            self._begin(start, text)

    def _begin(self, start: int, text: str) -> None:
        """The text begins at `start`. What nobody has read before that is read later, from the store."""
        assert self._done is not None
        if start > self._done:
            self._leave(self._done, start)
        self._leave_out = max(0, self._done - start)
        self._windows = Windows(self._threshold, max(start, self._done))
        self._feed(text)
        if self.position.ended is not None:
            self._add(self._windows.finish())

    def _feed(self, text: str) -> None:
        if self._done is None:
            self._kept.append(text)
            self._kept_length += len(text)
            if self._kept_length > MOST:
                self._kept_from += self._kept_length
                self._kept, self._kept_length = [], 0
            return
        if self._leave_out:
            left, self._leave_out = self._leave_out, max(0, self._leave_out - len(text))
            text = text[left:]
        self._add(self._windows.feed(text))

    def _add(self, windows: list[Window]) -> None:
        for window in windows:
            if sum(len(piece.text) for piece in self.pieces) + len(window.text) > MOST:
                self._leave(window.start, window.stop)
            else:
                self.pieces.append(Piece("answer", window, self.position.attempt, self.position.index))

    def _leave(self, start: int, stop: int) -> None:
        """Leave this part of the answer to be read later."""
        last = self.pieces[-1] if self.pieces else None
        if last is not None and last.reading is _LATER and last.side == "answer" and last.stop == start:
            last.stop = stop
            return
        piece = Piece("answer", Window("", start, stop), self.position.attempt, self.position.index)
        piece.read(_LATER)
        self.pieces.append(piece)

    def _cut(self) -> None:
        """The text is cut back. What was not stored of a piece that is cut is read later."""
        cut = self.position.offset
        self.durable = min(self.durable, cut)
        if self._done is None:
            held = "".join(self._kept)[: max(0, cut - self._kept_from)]
            self._kept, self._kept_length = [held], len(held)
            self._kept_from = min(self._kept_from, cut)
            return
        stopped = [piece for piece in self.of("answer") if piece.stop > cut]
        first = stopped[0].start if stopped else self._windows.start
        self._drop(stopped)
        self._windows, self._leave_out = Windows(self._threshold, max(first, cut)), max(0, first - cut)
        if first < cut:
            self._leave(first, cut)

    def _drop(self, pieces: Iterable[Piece]) -> None:
        for piece in list(pieces):
            if piece.task is not None:
                piece.task.cancel()
            self.pieces.remove(piece)
