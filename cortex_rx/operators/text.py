"""Only the text."""

from __future__ import annotations

from collections.abc import Callable

from cortex_rx.chain import Sink
from cortex_rx.events import Delta, StreamEvent
from cortex_rx.flow import Flow, passing

__all__ = ["text"]


def text() -> Sink[str]:
    """The text of each delta, at once.

    ```text
    text()
    source  OBa----(bP)-c----PE(R|)
    store   []-([a)]----([bc)][]---
    out     --a----b----c------|

    O = Opened, B = Begun, E = Ended, P = PartialStored, R = Remembered, [ ] = a write
    ```

    Completes when the whole stream does, which is after all is stored; holds nothing.

    Commonly used for: `async with stream(source.pipe(chain, text())) as tokens`.

    >>> import asyncio
    >>> from reactivex import operators as ops
    >>> from cortex_rx import Turn, from_stream, run
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> asyncio.run(run(from_stream(["Hello ", "Ada"], turn=turn).pipe(text(), ops.to_list())))
    ['Hello ', 'Ada']

    See also: `result`, `last`.
    """

    def make(
        emit: Callable[[str], None], flow: Flow, end: Callable[[Exception | None], None]
    ) -> tuple[Callable[[StreamEvent], None], None]:
        def on_next(event: StreamEvent) -> None:
            if type(event) is Delta:
                emit(event.text)

        return on_next, None

    return passing(make)
