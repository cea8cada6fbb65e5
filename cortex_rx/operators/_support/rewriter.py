"""A text that is rewritten: its rewriter, and its position."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol, TypeAlias

from cortex_rx.errors import EmptyAnswer
from cortex_rx.events import Delta, Ended, Replayed, Resumed, SourceReplayed, StreamEvent
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.models.source_position import SourcePosition
from cortex_rx.sources.surrogates import is_surrogate

__all__ = ["Pieces", "Rewriter", "RewriterItem", "Text", "at_once", "in_time", "joined"]

RewriterItem: TypeAlias = str | StreamEvent
"""Text, which becomes a `Delta`, or an event of its own."""
Pieces: TypeAlias = str | Iterable[RewriterItem]
Rewritten: TypeAlias = Pieces | Awaitable[Pieces] | AsyncIterable[RewriterItem]


class Rewriter(Protocol):
    """Rewrites one text, which comes in pieces. It may hold text back."""

    def feed(self, text: str, /) -> Rewritten:
        """More text has come: what can be shown now."""
        ...

    def finish(self) -> Rewritten:
        """No more text comes: what was held back."""
        ...


class Text:
    """The rewritten text: its rewriter, its attempt, and its length so far.

    In a stream that was taken over, the text of the source comes again from its start (`SourceReplayed`). So the
    rewriter gets into the state of the one in the other process. The output of the `last` rewriter of a chain is
    compared with the stored text, and is not emitted again. A rewriter before it passes its output on.
    """

    def __init__(self, make: Callable[[], Rewriter], last: bool) -> None:
        self._make, self._last = make, last
        self._more = 0  # attempts that began here and not in the source
        self._source = TextPosition()
        self._begin()

    def _begin(self, offset: int = 0, index: int = 0, stored: str = "") -> None:
        self._offset, self._index = offset, index
        self._rewriter: Rewriter | None = None
        self._at = 0.0
        self._mark: SourcePosition | None = None
        self._rereading = False
        self._stored = stored
        self._same: int | None = None  # length of the stored text that has come again; None: nothing is compared

    def drop(self) -> None:
        """Drop the text that is held back."""
        self._rewriter = None

    def pieces(self, event: StreamEvent | None) -> Rewritten:
        """The output of the rewriter for an event; None means that the stream is over."""
        if type(event) is Delta or type(event) is SourceReplayed:
            move = self._source.take(event)
            if move is Move.OTHER:
                return ()
            if move is Move.ANEW:
                self._begin()
            if self._rewriter is None:
                self._rewriter = self._make()
            self._at = event.at
            if type(event) is Delta:
                self._rereading, self._mark = False, event.mark
            elif not self._rereading:
                self._rereading = True
                if self._last:
                    self._same = 0
                else:
                    self._offset = 0
            return self._rewriter.feed(event.text)
        if (event is None or isinstance(event, Ended)) and (rewriter := self._rewriter):
            self._rewriter = None
            return rewriter.finish()
        return ()

    def out(self, piece: RewriterItem) -> StreamEvent | None:
        """The event for a piece; None for an empty text."""
        if isinstance(piece, str):
            if not piece.isascii() and is_surrogate(piece):
                raise ValueError("a rewriter gave a lone surrogate, which no store takes")
            if self._same is not None:
                piece = self._beyond(piece, self._same)
            return self._text(piece) if piece else None
        if not isinstance(piece, StreamEvent) or isinstance(piece, Delta | Ended):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"a rewriter gave a {type(piece).__name__}; accepted are text, and events that are no Delta or Ended"
            )
        return None if self._rereading else piece  # it was emitted in the other process

    def _text(self, piece: str) -> StreamEvent:
        offset, self._offset = self._offset, self._offset + len(piece)
        if self._rereading and not self._last:
            return SourceReplayed(piece, self._source.attempt + self._more, self._at)
        index, self._index = self._index, self._index + 1
        return Delta(piece, index, offset, self._source.attempt + self._more, self._at, self._mark)

    def _beyond(self, piece: str, same: int) -> str:
        """The part of a text behind the stored text; the whole text, as a new attempt, if they differ."""
        come = self._stored[same : same + len(piece)]
        if piece.startswith(come):
            self._same = same + len(come)
            if self._same == len(self._stored):
                self._stored, self._same = "", None
            return piece[len(come) :]
        return self._anew(same) + piece

    def _anew(self, same: int) -> str:
        """The text differs from the stored one: begin a new attempt, with the text that was compared."""
        text, self._stored, self._same = self._stored[:same], "", None
        self._offset = self._index = 0
        self._more += 1
        return text

    def other(self, event: StreamEvent) -> Iterator[StreamEvent]:
        """The events for an event that the rewriter is not fed with."""
        if isinstance(event, Ended):
            if self._same is not None:  # shorter than what is stored
                if not (text := self._anew(self._same)):
                    raise EmptyAnswer("Resumed in another process, the rewritten answer has no text.")
                yield self._text(text)
            yield replace(event, offset=self._offset, index=self._index)
            return
        if isinstance(event, Replayed):  # the text that was emitted before: go on from there
            self._source.take(event)
            self._begin(event.offset, event.index, event.text)
            self._mark = event.mark
        elif isinstance(event, Resumed):
            if self._source.take(event) is Move.ANEW:
                self._begin()
            if self._more:
                event = replace(event, attempt=event.attempt + self._more)
        yield event


def at_once(pieces: Rewritten) -> Iterable[RewriterItem]:
    """The pieces of a rewriter that is not async."""
    if isinstance(pieces, str):
        return (pieces,)
    if not isinstance(pieces, Iterable):
        if inspect.iscoroutine(pieces):
            pieces.close()  # it is refused; a second warning would not help
        kind = type(pieces).__name__
        raise TypeError(
            f"a rewriter gave a {kind}; accepted are a text and an iterable, and with waits=True async ones"
        )
    return pieces


async def in_time(pieces: Rewritten) -> AsyncGenerator[RewriterItem, None]:
    """The pieces of a rewriter that may be async."""
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
    """The events, with consecutive deltas of one attempt joined."""
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
