"""A text that is rewritten: by whom, and where it stands."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol, TypeAlias

from cortex_rx.events import Delta, Ended, Replayed, Resumed, StreamEvent
from cortex_rx.surrogates import is_surrogate

__all__ = ["Piece", "Pieces", "Rewriter", "Text", "at_once", "in_time", "joined"]

Piece: TypeAlias = str | StreamEvent
"""Text, which becomes a `Delta`, or an event of its own."""
Pieces: TypeAlias = str | Iterable[Piece]
Rewritten: TypeAlias = Pieces | Awaitable[Pieces] | AsyncIterable[Piece]


class Rewriter(Protocol):
    """Rewrites one text, which comes in pieces.  What it holds back is its own affair."""

    def feed(self, text: str, /) -> Rewritten:
        """More text has come: what can be shown now."""
        ...

    def finish(self) -> Rewritten:
        """No more text comes: what was held back."""
        ...


class Text:
    """The text that goes out: who makes it, of which attempt it is, and how far it has come."""

    def __init__(self, make: Callable[[], Rewriter]) -> None:
        self._make = make
        self._begin(0)

    def _begin(self, attempt: int, offset: int = 0, index: int = 0) -> None:
        self._attempt, self._offset, self._index = attempt, offset, index
        self._rewriter: Rewriter | None = None
        self._at = 0.0

    def drop(self) -> None:
        """What is held back is not to be shown."""
        self._rewriter = None

    def pieces(self, event: StreamEvent | None) -> Rewritten:
        """What the rewriter makes of an event; None says that the stream is over."""
        if type(event) is Delta:
            if event.attempt != self._attempt:
                self._begin(event.attempt)
            if self._rewriter is None:
                self._rewriter = self._make()
            self._at = event.at
            return self._rewriter.feed(event.text)
        if (event is None or isinstance(event, Ended)) and (rewriter := self._rewriter):
            self._rewriter = None
            return rewriter.finish()
        return ()

    def out(self, piece: Piece) -> StreamEvent | None:
        """What goes out for a piece; nothing for an empty text."""
        if isinstance(piece, str):
            if not piece:
                return None
            if not piece.isascii() and is_surrogate(piece):
                raise ValueError("a rewriter gave a lone surrogate, which no store takes")
            delta = Delta(piece, self._index, self._offset, self._attempt, self._at)
            self._index += 1
            self._offset += len(piece)
            return delta
        if not isinstance(piece, StreamEvent) or isinstance(piece, Delta | Ended):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"a rewriter gave a {type(piece).__name__}; accepted are text, and events that are no Delta or Ended"
            )
        return piece

    def other(self, event: StreamEvent) -> StreamEvent:
        """What goes out for an event that is no delta."""
        if isinstance(event, Ended):
            return replace(event, offset=self._offset, index=self._index)
        if isinstance(event, Replayed):  # what has gone out before: it goes on from there
            self._begin(event.attempt, event.offset, event.index)
        elif isinstance(event, Resumed) and event.attempt > self._attempt:
            self._begin(event.attempt)
        return event


def at_once(pieces: Rewritten) -> Iterable[Piece]:
    """The pieces of a rewriter that does not wait."""
    if isinstance(pieces, str):
        return (pieces,)
    if not isinstance(pieces, Iterable):
        if inspect.iscoroutine(pieces):
            pieces.close()  # it is refused: no reason for a second warning
        kind = type(pieces).__name__
        raise TypeError(
            f"a rewriter gave a {kind}; accepted are a text and an iterable, and with waits=True async ones"
        )
    return pieces


async def in_time(pieces: Rewritten) -> AsyncGenerator[Piece, None]:
    """The pieces of a rewriter that may wait."""
    if isinstance(pieces, Awaitable):
        pieces = await pieces
    if isinstance(pieces, AsyncGenerator):
        async with aclosing(pieces) as items:
            async for piece in items:
                yield piece
    elif isinstance(pieces, AsyncIterable):
        async for piece in pieces:
            yield piece
    else:
        for piece in at_once(pieces):
            yield piece


def joined(events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
    """The events; deltas of one attempt that follow one another as one."""
    last: Delta | None = None
    texts: list[str] = []
    for event in events:
        if last and (type(event) is not Delta or event.attempt != last.attempt):
            yield replace(last, text="".join(texts))
            last = None
            texts.clear()
        if type(event) is Delta:
            last = event
            texts.append(event.text)
        else:
            yield event
    if last:
        yield replace(last, text="".join(texts))
