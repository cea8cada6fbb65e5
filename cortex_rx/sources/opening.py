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
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from contextvars import copy_context
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from reactivex import Observable

from cortex_rx.engine import FlowScheduler, Mailbox
from cortex_rx.engine.deadline import TimeoutGuard
from cortex_rx.engine.straight import subscribe
from cortex_rx.errors import InvalidArgument, SourceConsumed

__all__ = ["SingleUse", "TimedItems", "check_stream", "interrupted", "open_stream"]

T = TypeVar("T")
log: logging.Logger = logging.getLogger("cortex_rx")

CLOSING = 2.0  # seconds that a read in a thread may still take after the stream has ended


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
            if close := getattr(thing, "aclose", None):
                stack.push_async_callback(close)
        return items
    if not isinstance(stream, Iterable):
        raise InvalidArgument("source", type(stream).__name__, "an iterable or an Observable, where a stream is opened")
    in_memory = isinstance(stream, list | tuple)
    items = _at_once(stream) if in_memory else _in_thread(stream)
    stack.push_async_callback(items.aclose)
    return items


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


async def _in_thread(iterable: Iterable[T]) -> AsyncGenerator[T, None]:
    """Read a sync iterable in its own thread, one item at a time. It is closed there, too."""
    loop, thread = asyncio.get_running_loop(), _Thread()
    items: Iterator[T] | None = None
    end, left = object(), False
    read: Callable[..., Any] = next

    def close() -> None:
        try:
            with ExitStack() as stack:
                for thing in {id(each): each for each in (iterable, items)}.values():
                    if shut := getattr(thing, "close", None):
                        stack.callback(shut)
        except Exception as error:
            if left:
                log.error("the source could not be closed: %s", type(error).__name__)
            raise

    try:
        items = await loop.run_in_executor(thread, iter, iterable)
        while (item := await loop.run_in_executor(thread, read, items, end)) is not end:
            yield item
    finally:
        closing = loop.run_in_executor(thread, close)  # after a read that still runs
        thread.shutdown()
        try:
            await asyncio.wait({closing}, timeout=CLOSING)
        finally:
            left = not closing.done()
            if left:
                closing.cancel()
                log.warning(
                    "a read of the source did not return within %s s; the source is closed when it does", CLOSING
                )
        if not left:
            closing.result()


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
