"""End an answer that grows too long."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing, passing
from cortex_rx.errors import StreamTooLong
from cortex_rx.events import Delta, Ended, StreamEvent

__all__ = ["limit"]


@operator(reads=[Delta, Ended], emits=[Ended], rewrites=True)
def limit(max_length: int, then: Literal["fail", "end"] = "fail") -> Operator:
    """Pass deltas on until `max_length` code points have passed, then end the stream.

    Text beyond the limit is cut off. Text up to it is shown, and stored by the steps downstream.

    ```text
    limit(4)
    source  O-(abc)-(def!)
    out     O-(abc)-(d#)

    limit(4, then="end")
    source  O-(abc)-(def!)
    out     O-(abc)-(dE|)

    O = Opened, E = Ended, # = StreamTooLong, ! = closed
    ```

    Reads `Delta`. With `then="end"` it emits `Ended(reason="limit")` and completes, else it fails with `StreamTooLong`.
    Either way the source is closed. Holds one number. An answer of exactly `max_length` is not too long.

    Commonly used for: a budget for answers that do not end, a bound for what is stored.

    >>> print(limit(50_000))
    limit(max_length=50000)
    >>> limit(0)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: max_length: got 0; accepted: a whole number, 1 or more

    See also: `timeout`.
    """
    check.whole(1)("max_length", max_length)
    check.one_of("fail", "end")("then", then)

    def make(emit: Emit[StreamEvent], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        over = False

        def on_next(event: StreamEvent) -> None:
            nonlocal over
            if type(event) is not Delta:
                if not over:
                    emit(event)
                return
            if over:
                return
            length = event.offset + len(event.text)
            if length <= max_length:
                emit(event)
                return
            over = True
            index = event.index
            if event.offset < max_length:
                # Resumed with a higher limit, the text goes on after what was shown.
                mark = event.mark.before(length - max_length) if event.mark else None
                emit(replace(event, text=event.text[: max_length - event.offset], mark=mark))
                index += 1
            if then == "end":
                emit(Ended("limit", max_length, index))
                end(None)
            else:
                end(StreamTooLong(max_length))

        return on_next, None

    return passing(make)
