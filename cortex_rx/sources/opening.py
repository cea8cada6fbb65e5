"""How a source of any form is opened, read and closed: always as an async iterator of items."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from concurrent.futures import Executor, Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, aclosing
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from reactivex import Observable

from cortex_rx.engine import FlowScheduler, Mailbox
from cortex_rx.engine.deadline import TimeoutGuard, within
from cortex_rx.engine.scheduler import cancelled_by_us, failure_of
from cortex_rx.engine.straight import subscribe
from cortex_rx.errors import InvalidArgument, SourceConsumed

__all__ = ["Resources", "SingleUse", "TimedItems", "check_stream", "interrupted", "open_stream"]

T = TypeVar("T")
log: logging.Logger = logging.getLogger("cortex_rx")

CLOSING = 2.0  # seconds that a read in a thread may still take after the stream has ended
CLOSE_LIMIT = 5.0  # seconds that the closing of a source may take
GRACE = 1.0  # seconds after which a closing that ignores its cancellation is given up


def check_stream(stream: object) -> None:
    """Refuse what cannot be a stream, and what nobody means as one."""
    kind = type(stream).__name__
    if isinstance(stream, Mapping | BaseModel):
        raise InvalidArgument(
            "source", kind, "a stream, not a single object (was the provider asked with stream=True?)"
        )
    if isinstance(stream, Observable | AsyncIterable | AbstractAsyncContextManager) or inspect.isawaitable(stream):
        return
    if isinstance(stream, str | bytes | bytearray | memoryview):
        raise InvalidArgument("source", kind, "a stream of text; for a single text give [text]")
    if not (isinstance(stream, Iterable) or callable(stream)):
        raise InvalidArgument(
            "source",
            kind,
            "an iterable of text or of a provider's chunks, plain or async, an Observable, or a factory of one",
        )


def _is_stream(source: object) -> bool:
    return isinstance(source, Observable | AsyncIterable | Iterable)


class SingleUse:
    """Lets a factory be opened any number of times, and anything else once."""

    def __init__(self, source: Any) -> None:
        self._source = source
        gives = _is_stream(source) or isinstance(source, AbstractAsyncContextManager) or inspect.isawaitable(source)
        self._factory = callable(source) and not gives
        self._taken = False

    def claim(self) -> None:
        """Reserve the one opening. Raises `SourceConsumed` if it is taken."""
        if self._taken:
            raise SourceConsumed(
                f"this {type(self._source).__name__} was read before and cannot be read again; "
                "give from_stream a function that opens a new one: from_stream(lambda: client.stream(...), turn=...)"
            )
        self._taken = not self._factory

    def open(self) -> Any:
        """The stream, or an awaitable or context manager that gives it."""
        return self._source() if self._factory else self._source


async def open_stream(source: SingleUse, flow: FlowScheduler, stack: AsyncExitStack) -> AsyncIterator[Any]:
    """An async iterator over the stream. `stack` closes what was opened, also if a later step fails."""
    stream, manager = source.open(), None
    if inspect.isawaitable(stream) and not isinstance(stream, Observable | AsyncIterable | AbstractAsyncContextManager):
        stream = await stream
    if isinstance(stream, AbstractAsyncContextManager):
        manager = cast("AbstractAsyncContextManager[Any]", stream)
        stream = await _enter(manager, stack)
    if isinstance(stream, Observable):
        return _subscribed(stream, flow, stack)
    check_stream(stream)
    if isinstance(stream, AsyncIterable):
        items = aiter(stream)
        for thing in {id(each): each for each in (manager or stream, items) if each is not manager}.values():
            if getattr(thing, "aclose", None):  # not `push_async_callback`: that holds six objects more
                stack.push_async_exit(aclosing(cast("AsyncGenerator[Any]", thing)))
        return items
    if not isinstance(stream, Iterable):
        raise InvalidArgument("source", type(stream).__name__, "an iterable or an Observable, where a stream is opened")
    in_memory = isinstance(stream, list | tuple)
    read = _at_once(stream) if in_memory else _InThread(stream)
    stack.push_async_callback(read.aclose)
    return read


async def _enter(manager: AbstractAsyncContextManager[T], stack: AsyncExitStack) -> T:
    stream = await manager.__aenter__()

    async def leave(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await manager.__aexit__(kind, error, trace)  # True must not swallow the error: the answer was cut off

    stack.push_async_exit(leave)
    return stream


def _subscribed(source: Observable[Any], flow: FlowScheduler, stack: AsyncExitStack) -> Mailbox[Any]:
    mailbox: Mailbox[Any] = Mailbox(flow)
    scope = flow.child(mailbox.gate)
    subscription = subscribe(source, mailbox.on_next, mailbox.on_error, mailbox.on_completed, scope)

    async def leave() -> None:
        subscription.dispose()
        await scope.join()

    stack.push_async_callback(leave)
    return mailbox


async def _at_once(items: Iterable[T]) -> AsyncGenerator[T, None]:
    for item in items:
        yield item


class _Thread(Executor):
    """One thread, started by the first call. It is a daemon: a read that never returns keeps no program alive."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._begun = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from now on, cancelling the waiting task does not take the call back

        def call() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._calls.put(call)
        if not self._begun:
            self._begun = True
            threading.Thread(target=copy_context().run, args=(self._run,), name="cortex_rx-source", daemon=True).start()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # hold nothing while waiting


class _InThread(AsyncIterator[T]):
    """Reads a sync iterable in its own thread, one item at a time. It is closed there, too."""

    def __init__(self, iterable: Iterable[T]) -> None:
        self._loop, self._thread = asyncio.get_running_loop(), _Thread()
        self._iterable = iterable
        self._items: Iterator[T] | None = None
        self._left = False

    async def __anext__(self) -> T:
        run = partial(self._loop.run_in_executor, self._thread)
        if self._items is None:
            self._items = await run(iter, self._iterable)
        read: Callable[..., Any] = next
        if (item := await run(read, self._items, _END)) is _END:
            raise StopAsyncIteration
        return cast("T", item)

    async def aclose(self) -> None:
        """Close it, after a read that still runs; if that takes too long, the thread does it when the read returns."""
        closing = self._loop.run_in_executor(self._thread, self._close)
        self._thread.shutdown()
        try:
            await asyncio.wait({closing}, timeout=CLOSING)
        finally:
            self._left = not closing.done()
            if self._left:
                closing.cancel()
                log.warning("a read of the source did not return in time; the source is closed when it does")
        if not self._left:
            closing.result()

    def _close(self) -> None:
        try:
            with ExitStack() as stack:
                for thing in {id(each): each for each in (self._iterable, self._items)}.values():
                    if shut := getattr(thing, "close", None):
                        stack.callback(shut)
        except Exception as error:
            if self._left:
                log.error("the source could not be closed: %s", type(error).__name__)
            raise


_END = object()


class Resources(AsyncExitStack):
    """What was opened for a source. Closing it has a limit, `CLOSE_LIMIT`, and does not hide how the source ended.

    An error of closing a source that has ended is `problem`. It replaces the source's own error only if it was raised
    from that.
    """

    problem: Exception | None = None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            await within(super().__aexit__(kind, error, trace), CLOSE_LIMIT, GRACE)
        except BaseException as raised:
            if raised is error:
                return False
            failed = failure_of(raised, "the closing of the source")
            if error is None:
                self.problem = failed
            elif self._tells_more(error, failed):
                raise
            log.warning("the source could not be closed: %s", type(failed).__name__)
        return False

    def _tells_more(self, error: BaseException, failed: Exception) -> bool:
        """Whether `failed` is what a context manager has made of the source's `error`."""
        if isinstance(error, asyncio.CancelledError):  # a timeout of its own may be behind it
            return not cancelled_by_us()
        explained = failed.__suppress_context__ and failed.__cause__ in (None, error)
        return isinstance(error, Exception) and explained


class TimedItems(AsyncIterator[Any]):
    """The items of `opening`, with the timeouts of the flow. The time of opening counts for the first item.

    This is not a generator, so nobody has to close it.
    """

    def __init__(
        self, opening: Callable[[], Awaitable[AsyncIterator[Any]]], flow: FlowScheduler, stack: AsyncExitStack
    ) -> None:
        self._opening = opening
        self._items: AsyncIterator[Any] | None = None
        self._guard = TimeoutGuard(flow.timeout_policy)
        stack.callback(self._guard.close)

    async def __anext__(self) -> Any:
        with self._guard:
            if self._items is None:
                self._items = await self._opening()
            return await anext(self._items)

    async def rest(self) -> None:
        """Let other tasks run. This is time that the source takes."""
        with self._guard:
            await asyncio.sleep(0)

    async def athrow(self, error: asyncio.CancelledError) -> Any:
        """Throw a cancellation into the items, within the timeouts."""
        assert self._items is not None
        with self._guard:
            if throw := getattr(self._items, "athrow", None):
                return await throw(error)
        raise error


async def interrupted(items: AsyncIterator[Any], error: asyncio.CancelledError) -> AsyncIterator[Any]:
    """Throw a cancellation into a source; return what it yields from then on.

    It came while nobody read the source. The source gets it as if it had come while it was read: a timeout of its own
    may be behind it, which turns it into a `TimeoutError` there.
    """
    throw: Callable[[BaseException], Awaitable[Any]] | None = getattr(items, "athrow", None)
    if throw is None:
        raise error
    try:
        return _Continued(await throw(error), items)
    except StopAsyncIteration:
        return _at_once(())


class _Continued(AsyncIterator[Any]):
    """A source that has swallowed a cancellation: `item` is what it yielded then."""

    def __init__(self, item: Any, items: AsyncIterator[Any]) -> None:
        self._item = [item]
        self._items = items

    async def __anext__(self) -> Any:
        return self._item.pop() if self._item else await anext(self._items)

    async def athrow(self, error: asyncio.CancelledError) -> Any:
        """Throw another one into the source."""
        return await cast("Any", self._items).athrow(error)
