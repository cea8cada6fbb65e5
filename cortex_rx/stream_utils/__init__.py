"""Stream utilities for plain async iterables, with the names that Cortex's SDK has for them.

They are independent of the pipeline, for streams that are not to be remembered.  No observable is needed.

A function that reads a stream closes it once, however the reading ends: it calls `aclose` of the stream and of its
iterator, if they have it.  If the stream is a context manager (as in the SDKs), its owner enters and leaves it.  An
async generator that a reader abandons is closed when it is garbage-collected.  To close it at once, use `aclosing`::

    async with aclosing(with_max_length(stream, 100)) as pieces:
        async for piece in pieces:
            ...

Cortex's `isReadableStream` and `consumeReadableStream` are for a browser type that Python lacks.
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
