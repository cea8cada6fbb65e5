"""The text of the answer alone."""

from __future__ import annotations

from cortex_rx.chain import Sink, sink
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing, passing
from cortex_rx.errors import TextDiverged
from cortex_rx.events import Delta, Replayed, StreamEvent
from cortex_rx.folds.position import Move, TextPosition

__all__ = ["text"]


@sink()
def text() -> Sink[str]:
    """Emit the text of each delta, at once.

    ```text
    text()
    source  OBa----(bP)-c----PE(R|)
    store   []-([a)]----([bc)][]---
    out     --a----b----c------|

    O = Opened, B = Begun, E = Ended, P = PartialStored, R = Remembered, [ ] = a write
    ```

    Completes when the whole stream does, which is after all is stored. Holds nothing. In a stream that was taken over,
    the stored text comes first, in one piece. If the text begins anew (a new attempt), no more text is emitted. The
    stream goes on to its end, and then fails with `TextDiverged`.

    Commonly used for: `async with stream(source.pipe(chain, text())) as tokens`.

    >>> import asyncio
    >>> from reactivex import operators as ops
    >>> from cortex_rx import Turn, from_stream, run
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> asyncio.run(run(from_stream(["Hello ", "Ada"], turn=turn).pipe(text(), ops.to_list())))
    ['Hello ', 'Ada']

    See also: `result`, `last`.
    """

    def make(emit: Emit[str], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        position = TextPosition()
        shown = anew = diverged = False

        def on_next(event: StreamEvent) -> None:
            nonlocal shown, anew, diverged
            move = position.take(event)
            anew = anew or (shown and move in (Move.ANEW, Move.CUT))  # no new text has come yet
            if isinstance(event, Delta | Replayed) and event.text and move is not Move.OTHER:
                diverged = diverged or anew
                if not diverged:
                    shown = True
                    emit(event.text)

        def at_end(error: Exception | None) -> Exception | None:
            return TextDiverged("the text began again; this reader had seen other text") if diverged else error

        return on_next, at_end

    return passing(make, emits_once=True)
