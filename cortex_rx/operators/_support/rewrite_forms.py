"""The two forms of `rewrite`: text is rewritten when it passes, or waits for a rewriter that may be async."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from cortex_rx.engine import Emit, EndStream, Mailbox
from cortex_rx.events import Delta, SourceReplayed, StreamEvent
from cortex_rx.operators._support.rewriter import Text, at_once, in_time, joined

__all__ = ["RewriteAtOnce", "rewrite_in_turn"]

_FED = (Delta, SourceReplayed)  # all other events pass


class RewriteAtOnce:
    """Emits what a rewriter makes of an event, before the next one comes."""

    def __init__(self, text: Text, emit: Emit[StreamEvent], end: EndStream) -> None:
        self._text, self._emit, self._end = text, emit, end

    def on_next(self, event: StreamEvent) -> None:
        """Rewrite text, pass other events on; an error of the rewriter ends the stream."""
        try:
            events = self._rewritten(event)
        except Exception as error:
            return self._end(error)
        for each in events:  # not in the `try`: an error from downstream is not the rewriter's
            self._emit(each)
        return None

    def at_end(self, error: Exception | None) -> Exception | None:
        """Emit what is held back; the error of the source comes before one of the rewriter."""
        try:
            events = self._rewritten(None)
        except Exception as failure:
            return error or failure
        for each in events:
            self._emit(each)
        return error

    def _rewritten(self, event: StreamEvent | None) -> list[StreamEvent]:
        text = self._text
        try:
            events = [out for piece in at_once(text.pieces(event)) if (out := text.out(piece))]
            return events if event is None or type(event) in _FED else [*events, *text.other(event)]
        except BaseException:
            text.drop()
            raise


async def rewrite_in_turn(text: Text, mailbox: Mailbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
    """Emit what a rewriter makes of each event; events that came meanwhile are taken together."""
    error: Exception | None = None
    over = False
    while not over:
        batch: list[StreamEvent] = []
        try:
            batch = await mailbox.batch()
        except Exception as failure:
            error = failure
        over = not batch
        for event in joined(batch) if batch else (None,):
            try:
                async with aclosing(in_time(text.pieces(event))) as pieces:
                    async for piece in pieces:
                        if out := text.out(piece):
                            yield out
                if event and type(event) not in _FED:
                    for out in text.other(event):
                        yield out
            except Exception as failure:
                raise (error or failure)  # noqa: B904 - `from` would replace the cause that it may have
    if error:
        raise error
