"""Stream utilities for plain async iterables, with the names that Cortex's SDK has for them.

They stand beside the pipeline, for streams that are not to be remembered: nothing here needs an observable.

What reads a stream closes it, once, in whatever way the reading ends: it calls `aclose` of the stream and of its
iterator, where they have one.  A stream that is a context manager (those of the SDKs) stays its owner's, who enters and
leaves it.  An async generator that a reader leaves is closed when it is dropped; to have it closed at once, say so::

    async with aclosing(with_max_length(stream, 100)) as pieces:
        async for piece in pieces:
            ...

Cortex's `isReadableStream` and `consumeReadableStream` are about a type of the browser's; Python has none of it.
"""

from cortex_rx.stream_utils.queue import AsyncQueue
from cortex_rx.stream_utils.streams import (
    buffer_stream,
    consume_async_iterable,
    consume_stream,
    create_passthrough_stream,
    is_async_iterable,
    with_max_length,
    with_stream_timeout,
)
from cortex_rx.stream_utils.tee import Branch, tee_stream
from cortex_rx.stream_utils.window import RollingContextWindow

__all__ = [
    "AsyncQueue",
    "Branch",
    "RollingContextWindow",
    "buffer_stream",
    "consume_async_iterable",
    "consume_stream",
    "create_passthrough_stream",
    "is_async_iterable",
    "tee_stream",
    "with_max_length",
    "with_stream_timeout",
]
