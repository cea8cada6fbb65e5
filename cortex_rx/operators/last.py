"""Only the last event."""

from __future__ import annotations

from typing import TypeVar, overload

from cortex_rx import validation as check
from cortex_rx.chain import Sink, sink
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import StreamEvent

__all__ = ["last"]

E = TypeVar("E", bound=StreamEvent)


@overload
def last() -> Sink[StreamEvent]: ...
@overload
def last(kind: type[E]) -> Sink[E]: ...
@sink()
def last(kind: type[StreamEvent] = StreamEvent) -> Sink[StreamEvent]:
    """Emit the last event, or the last of one `kind`, when the stream has completed; the answer is not kept.

    ```text
    last()
    source  O-a-b-c-(E|)
    out     --------(E|)

    O = Opened, E = Ended
    ```

    Fails with reactivex's `SequenceContainsNoElementsError` if there was none. Holds one event.

    Commonly used for: long answers whose text is not needed here, as `last(Remembered)`.

    >>> import asyncio
    >>> from cortex_rx import Turn, from_stream, run
    >>> from cortex_rx.events import Delta
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> asyncio.run(run(from_stream(["Hello ", "Ada"], turn=turn).pipe(last(Delta)))).text
    'Ada'

    See also: `result`, `text`.
    """
    if not (isinstance(kind, type) and issubclass(kind, StreamEvent)):
        raise InvalidArgument("kind", check.shown(kind), "a class of events")
    from reactivex import operators as ops  # imported here: it loads every stock operator

    return lambda source: source.pipe(ops.filter(lambda event: isinstance(event, kind)), ops.last())
