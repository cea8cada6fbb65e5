"""Functions on streams: a time limit, a length limit, batches, an observer, and reading to the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Any, TypeGuard, TypeVar

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument, StreamTimeout, StreamTooLong
from cortex_rx.stream_utils._common import awaited, reading

__all__ = [
    "buffer_stream",
    "consume_async_iterable",
    "consume_stream",
    "create_passthrough_stream",
    "is_async_iterable",
    "with_max_length",
    "with_stream_timeout",
]

T = TypeVar("T")
log: logging.Logger = logging.getLogger("cortex_rx")


def is_async_iterable(value: object) -> TypeGuard[AsyncIterable[Any]]:
    """Whether `async for` can read a value.

    >>> async def words():
    ...     yield "Hello"
    >>> is_async_iterable(words()), is_async_iterable(["Hello"])
    (True, False)
    """
    return isinstance(value, AsyncIterable)


async def consume_stream(stream: AsyncIterable[str]) -> str:
    """Read a stream of text to its end, and return the whole text.  Chunks that are None are skipped.

    Raises the stream's own errors unchanged, `TypeError` for a chunk that is not text, and `InvalidArgument` if
    `stream` is not an async iterable.

    >>> import asyncio
    >>> async def words():
    ...     yield "Hello "
    ...     yield "Ada"
    >>> asyncio.run(consume_stream(words()))
    'Hello Ada'
    """
    chunks: list[str] = []
    async with reading(check.stream("stream", stream)) as items:
        chunk: Any
        async for chunk in items:
            if isinstance(chunk, str):
                chunks.append(chunk)
            elif chunk is not None:
                raise TypeError(f"a chunk of type {type(chunk).__name__} is no text")
    return "".join(chunks)


consume_async_iterable = consume_stream
"""Cortex's other name for `consume_stream`."""


def with_stream_timeout(
    stream: AsyncIterable[T], timeout_ms: float | None = None, *, idle_ms: float | None = None
) -> AsyncGenerator[T, None]:
    """The same stream with a time limit in milliseconds: `timeout_ms` for all items together, `idle_ms` for each.

    Only the time spent waiting for the stream counts; a slow reader is not limited.  Beyond a limit, the read is
    cancelled, the stream is closed, and `StreamTimeout` is raised.  Items that came before have been passed on.  The
    stream's own errors, also a `TimeoutError`, are raised unchanged.

    >>> import asyncio
    >>> async def stalls():
    ...     yield "Hello"
    ...     await asyncio.sleep(60)
    >>> async def main():
    ...     async for chunk in with_stream_timeout(stalls(), 20):
    ...         print(chunk)
    >>> asyncio.run(main())
    Traceback (most recent call last):
    ...
    cortex_rx.errors.StreamTimeout: Stream timeout: the source was waited for for 0.02 s (total)
    """
    if timeout_ms is None and idle_ms is None:
        raise InvalidArgument("timeout_ms", None, "milliseconds for timeout_ms, for idle_ms, or for both")
    limit = check.optional(check.milliseconds())
    total, idle = limit("timeout_ms", timeout_ms), limit("idle_ms", idle_ms)
    return _timed(check.stream("stream", stream), total and total / 1000, idle and idle / 1000)


async def _timed(stream: AsyncIterable[T], total: float | None, idle: float | None) -> AsyncGenerator[T, None]:
    time, waited = asyncio.get_running_loop().time, 0.0
    async with reading(stream) as items:
        while True:
            since = time()
            ends = [(total - waited, "total", total)] if total is not None else []
            ends += [(idle, "idle", idle)] if idle is not None else []
            left, which, limit = min(ends)
            scope = asyncio.timeout_at(since + left)
            try:
                async with scope:
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                if not scope.expired():
                    raise
                raise StreamTimeout(which, limit) from error
            waited += time() - since
            yield item


def with_max_length(stream: AsyncIterable[str], max_length: int) -> AsyncGenerator[str, None]:
    """The same stream, which raises `StreamTooLong` when more than `max_length` code points come.

    The text up to exactly `max_length` is passed on first, including the beginning of the chunk that exceeds it.

    >>> import asyncio
    >>> async def words():
    ...     yield "Hello "
    ...     yield "Ada"
    >>> async def main():
    ...     async for chunk in with_max_length(words(), 8):
    ...         print(chunk)
    >>> asyncio.run(main())
    Traceback (most recent call last):
    ...
    cortex_rx.errors.StreamTooLong: Stream exceeded max length of 8 code points
    """
    return _limited(check.stream("stream", stream), check.whole(1)("max_length", max_length))


async def _limited(stream: AsyncIterable[str], max_length: int) -> AsyncGenerator[str, None]:
    left = max_length
    async with reading(stream) as items:
        async for chunk in items:
            if len(chunk) > left:
                if left:
                    yield chunk[:left]
                raise StreamTooLong(max_length)
            left -= len(chunk)
            yield chunk


def buffer_stream(stream: AsyncIterable[T], buffer_size: int) -> AsyncGenerator[list[T], None]:
    """The items of a stream in lists of `buffer_size`; the last list may be shorter.

    When the stream fails, the items that came are passed on first, then the error is raised.

    >>> import asyncio
    >>> async def words():
    ...     for word in "It is in Lisbon now".split():
    ...         yield word
    >>> async def main():
    ...     return [batch async for batch in buffer_stream(words(), 2)]
    >>> asyncio.run(main())
    [['It', 'is'], ['in', 'Lisbon'], ['now']]
    """
    return _buffered(check.stream("stream", stream), check.whole(1)("buffer_size", buffer_size))


async def _buffered(stream: AsyncIterable[T], buffer_size: int) -> AsyncGenerator[list[T], None]:
    buffer: list[T] = []
    failure: Exception | None = None
    async with reading(stream) as items:
        while True:
            try:
                buffer.append(await anext(items))
            except StopAsyncIteration:
                break
            except Exception as error:
                failure = error
                break
            if len(buffer) == buffer_size:
                full, buffer = buffer, []
                yield full
        if buffer:
            yield buffer
        try:
            if failure:
                raise failure
        finally:
            failure = None  # otherwise the error would hold itself, by its traceback


def create_passthrough_stream(
    on_chunk: Callable[[str], object] | None = None,
    on_complete: Callable[[str], object] | None = None,
    on_error: Callable[[BaseException], object] | None = None,
) -> Callable[[AsyncIterable[str]], AsyncGenerator[str, None]]:
    """An observer of text streams: a function that returns the same stream and calls the callbacks.

    `on_chunk` gets each chunk before the reader does.  At the end, exactly one of two is called, once.  `on_complete`
    gets the whole text when the stream has ended, before the reader sees the end.  `on_error` gets the reason for an
    early end: the stream's error, `GeneratorExit` if the reader left, or `CancelledError` if the reader was cancelled.

    The callbacks may be async; the chunk waits for them.  If one fails, the type of its error is logged, and nothing
    else changes.  With `on_complete` the whole text is held (**unbounded**).

    >>> import asyncio
    >>> async def words():
    ...     yield "Hello "
    ...     yield "Ada"
    >>> observed = create_passthrough_stream(on_complete=lambda text: print(f"it was {text!r}"))
    >>> async def main():
    ...     return [chunk async for chunk in observed(words())]
    >>> asyncio.run(main())
    it was 'Hello Ada'
    ['Hello ', 'Ada']
    """
    for name, value in (("on_chunk", on_chunk), ("on_complete", on_complete), ("on_error", on_error)):
        check.optional(check.callback)(name, value)

    def observed(stream: AsyncIterable[str]) -> AsyncGenerator[str, None]:
        return _observed(check.stream("stream", stream), on_chunk, on_complete, on_error)

    return observed


async def _observed(
    stream: AsyncIterable[str],
    on_chunk: Callable[[str], object] | None,
    on_complete: Callable[[str], object] | None,
    on_error: Callable[[BaseException], object] | None,
) -> AsyncGenerator[str, None]:
    chunks: list[str] = []
    try:
        async with reading(stream) as items:
            async for chunk in items:
                if on_complete:
                    chunks.append(chunk)
                await _tell("on_chunk", on_chunk, chunk)
                yield chunk
    except BaseException as error:
        await _tell("on_error", on_error, error)
        raise
    await _tell("on_complete", on_complete, "".join(chunks))


async def _tell(name: str, function: Callable[[Any], object] | None, value: object) -> None:
    if function is None:
        return
    try:
        await awaited(function(value))
    except Exception as error:
        log.warning("%s of a passthrough stream failed: %s", name, type(error).__name__)
