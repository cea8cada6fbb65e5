"""The chunks of one subscription of `chunk`: which text is cut, and where each chunk stands in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from cortex_rx.engine import Emit
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import Chunked, Delta, Ended, Problem, Replayed, StreamEvent
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.models.records import ContentChunk

if TYPE_CHECKING:
    from cortex_rx.chunking import Span

__all__ = ["TOKEN_LENGTH", "Cuts", "Cutting", "SafeCount"]

TOKEN_LENGTH = 4
"""Code points of a token, where no function counts tokens, or it has failed."""


class Cuts(Protocol):
    """What cuts one text: a `Cutter`, or what knows some chunks only later."""

    def feed(self, text: str) -> list[Span]:
        """Add text, and return the chunks that are complete."""
        ...

    def finish(self) -> list[Span]:
        """Return all other chunks."""
        ...


class Cutting:
    """Passes events on, and emits the chunks of their text. `start_cutter(offset)` makes a cutter of text from
    there."""

    def __init__(self, emit: Emit[StreamEvent], start_cutter: Callable[[int], Cuts]) -> None:
        self._emit, self._start_cutter = emit, start_cutter
        self._cutter = start_cutter(0)
        self._position = TextPosition()
        self._next_index = 0  # of the next chunk
        self._end = 0  # of the text that was cut

    def on_next(self, event: StreamEvent) -> None:
        """Pass the event on first, then cut its text."""
        self._emit(event)
        position = self._position
        if type(event) is Delta and event.attempt == position.attempt:
            position.last = event  # `take`, written out for every token
            position.offset += len(event.text)
            return self._feed(event.text, event.offset)
        return self.take(event)

    def take(self, event: StreamEvent) -> None:
        """Cut the text of an event."""
        position = self._position
        move = position.take(event)
        if move is Move.ANEW:
            self._end = position.start - (len(event.text) if type(event) is Replayed else 0)
            self._cutter, self._next_index = self._start_cutter(self._end), 0
        if type(event) is Delta:
            if move is not Move.OTHER:
                self._feed(event.text, event.offset)
        elif type(event) is Replayed:
            self._feed(event.text, self._end)
        elif type(event) is Ended:
            self.emit_chunks(self._cutter.finish())

    def at_end(self, error: Exception | None) -> Exception | None:
        """Emit what is left; the error is passed on."""
        self.emit_chunks(self._cutter.finish())
        return error

    def _feed(self, text: str, offset: int) -> None:
        if offset != self._end:  # text between was left out
            self.emit_chunks(self._cutter.finish())
            self._cutter = self._start_cutter(offset)
        self._end = offset + len(text)
        self.emit_chunks(self._cutter.feed(text))

    def emit_chunks(self, spans: Iterable[Span]) -> None:
        """Emit these chunks of the text."""
        for text, start, shared in spans:
            chunk = ContentChunk.model_construct(
                content=text,
                chunk_index=self._next_index,
                start_offset=start,
                end_offset=start + len(text),
                has_overlap=shared > 0,
            )
            self._emit(Chunked(chunk, self._position.attempt))
            self._next_index += 1


class SafeCount:
    """A function of the caller that counts tokens. Once it has failed, it is not called again, and lengths are
    estimated."""

    def __init__(self, count: Callable[[str], int], emit: Emit[StreamEvent]) -> None:
        self._count, self._emit = count, emit
        self._failed = False

    def __call__(self, text: str) -> int:
        if not self._failed:
            try:
                tokens = self._count(text)
                if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
                    raise InvalidArgument("count", tokens, "a function that gives a whole number of at least 0")
                return tokens
            except Exception as error:
                self._failed = True
                self._emit(Problem.of("streaming", error, recoverable=True))
        return math.ceil(len(text) / TOKEN_LENGTH)
