"""The result of an exchange."""

from __future__ import annotations

from cortex_rx.chain import Sink, sink
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing, passing
from cortex_rx.errors import BrokenPipeline, CortexError
from cortex_rx.events import StreamEvent
from cortex_rx.folds.result import ResultFold
from cortex_rx.guard import ESSENTIAL
from cortex_rx.models.results import EnhancedRememberStreamResult

__all__ = ["result"]


@sink(reads=ESSENTIAL)
def result() -> Sink[EnhancedRememberStreamResult]:
    """Fold the events into an `EnhancedRememberStreamResult`; emit it when the stream has completed.

    ```text
    result()
    source  OBa----(bP)-c----PE(R|)
    store   []-([a)]----([bc)][]---
    out     -------------------(V|)

    O = Opened, B = Begun, E = Ended, P = PartialStored, R = Remembered, V = EnhancedRememberStreamResult, [ ] = a write
    ```

    Fails with the error of the stream, or with `NotStored` if the stream completed and nothing was stored. Holds the
    whole answer (**unbounded**). For answers that are too long for that, use `last`.

    Commonly used for: the end of every pipeline whose result is wanted.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend, Turn, default_chain, from_stream, run
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         return await run(from_stream(["Hello ", "Ada"], turn=turn).pipe(default_chain(backend), result()))
    >>> asyncio.run(main()).full_response
    'Hello Ada'

    See also: `last`, `text`.
    """

    def make(emit: Emit[EnhancedRememberStreamResult], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        fold = ResultFold()

        def at_end(error: Exception | None) -> Exception | None:
            if isinstance(error, BrokenPipeline) and error.text is None:
                error.text = fold.text
            if error is None:
                try:
                    emit(fold.result())
                except CortexError as missing:
                    return missing
            return error

        return fold.add, at_end

    return passing(make, emits_once=True)
