"""`from_stream`: a language model's stream as an observable of events.

What a provider sends is told apart by a small function, its `Provider`: it is given an item and returns the pieces in it, or
None if the item is not of its kind.  A piece is text of the answer, a `Custom` event (anything else), or a `Finish`.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import re
import uuid
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from reactivex import Observable, abc

from cortex_rx.chain import declare
from cortex_rx.errors import InvalidArgument, SourceConsumed, StreamTimeout
from cortex_rx.events import Custom, Delta, Ended, Opened, Problem, StreamEvent
from cortex_rx.flow import Flow, Mailbox, OutOfPatience, Watch, pull
from cortex_rx.types import Turn, Usage

__all__ = ["Finish", "Piece", "Provider", "Source", "from_stream", "new_id", "openai_chat", "stream_id_of"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the answer ended and what it used; a provider may say the two in separate items."""

    reason: str | None = None
    usage: Usage | None = None


Piece: TypeAlias = "str | Custom | Finish"
Provider: TypeAlias = Callable[[Any], "Iterable[Piece] | None"]
"""The pieces in an item, or None if the item is not of this provider's kind."""

Stream: TypeAlias = "AsyncIterable[Any] | Iterable[Any] | Observable[Any]"
Source: TypeAlias = (
    "Stream | Awaitable[Any] | AbstractAsyncContextManager[Any] | Callable[[], Stream]"
    " | Callable[[], Awaitable[Any]] | Callable[[], AbstractAsyncContextManager[Any]]"
)
"""What `from_stream` takes."""


def new_id() -> str:
    """A new stream id."""
    return f"stream-{uuid.uuid4().hex}"


def stream_id_of(turn: Turn, make: Callable[[], str] = new_id) -> str:
    """The id of a turn's stream: derived from its idempotency key if it has one, so that it is the same each time."""
    if turn.idempotency_key is None:
        return make()
    key = f"{len(turn.memory_space_id)}:{turn.memory_space_id}{turn.idempotency_key}"
    return f"stream-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:32]}"


# --- providers --------------------------------------------------------------------------------------------------------


def openai_chat(item: Any) -> Iterable[Piece] | None:
    """The chunks of OpenAI chat completions: the SDK's objects, or their JSON as a dictionary.

    Only the text of the first choice counts; tool calls, reasoning, a refusal and other choices are `Custom`.

    >>> chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
    >>> openai_chat(chunk)
    ['Hi']
    >>> openai_chat({"object": "response"}) is None
    True
    """
    chunk = cast("Mapping[str, Any]", item) if isinstance(item, Mapping) else None
    kind: object = chunk.get("object") if chunk is not None else getattr(item, "object", None)
    if kind != "chat.completion.chunk":
        return None
    choices: Any = chunk.get("choices") if chunk is not None else item.choices
    pieces: list[Piece] = []
    for choice in choices or ():
        if _field(choice, "index"):
            pieces.append(Custom("choice", _json(choice)))
            continue
        delta: Any = _field(choice, "delta")
        if (content := _field(delta, "content")) is not None:
            pieces.append(content)
        rest = {key: value for key, value in _items(delta) if value and key not in ("content", "role")}
        pieces += [Custom(key, _json(value)) for key, value in rest.items()]
        if (reason := _field(choice, "finish_reason")) is not None:
            pieces.append(Finish(reason))
    if (usage := _field(item, "usage")) is not None:
        counts = (_field(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
        pieces.append(Finish(usage=Usage(**dict(zip(Usage.model_fields, counts, strict=True)))))
    return pieces


def _field(item: Any, name: str) -> Any:
    """A field of an SDK's object or of its JSON."""
    return cast("Mapping[str, Any]", item).get(name) if isinstance(item, Mapping) else getattr(item, name, None)


def _items(item: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(item, Mapping):
        yield from cast("Mapping[str, Any]", item).items()
    elif item is not None:
        yield from vars(item).items()
        yield from (getattr(item, "model_extra", None) or {}).items()  # fields that the SDK does not know yet


def _json(value: Any) -> Any:
    if isinstance(value, list):
        return [_json(one) for one in value]
    return value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else value


PROVIDERS: tuple[Provider, ...] = (openai_chat,)


# --- the observable ---------------------------------------------------------------------------------------------------


def from_stream(
    source: Source,
    *,
    turn: Turn,
    provider: Provider | None = None,
    make_id: Callable[[], str] = new_id,
) -> Observable[StreamEvent]:
    """A language model's stream as a cold observable of events: `Opened`, then `Delta`s and `Custom`s, then `Ended`.

    `source` is an async iterable, a sync iterable (read in a thread of its own, one item at a time), an `Observable`, or
    something that gives one of these: an awaitable, an async context manager, or a factory, plain or async.  Only a factory can
    be subscribed to more than once.  What was opened here is closed here.

    Items are text, or chunks of a provider that is known; `provider` is asked first.  Empty text and None are skipped; halves
    of a surrogate pair that come in two items are rejoined, lone ones become U+FFFD, with one `Problem`.  An observable that
    pushes faster than it is read is **unbounded**: it cannot be told to wait.

    Raises (as an error of the stream) `TypeError` for an item of a type that nothing knows, `SourceConsumed` for a second
    subscription to what is no factory, `StreamTimeout` where a `timeout` downstream asks for it, and what the source raises.

    >>> import asyncio
    >>> from cortex_rx import operators as cx
    >>> from cortex_rx.flow import run
    >>> async def model():
    ...     yield "Hello "
    ...     yield "Ada"
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> asyncio.run(run(from_stream(model, turn=turn).pipe(cx.last())))
    Ended(reason='stop', offset=9, index=2, usage=None)
    """
    if isinstance(source, str | bytes):
        raise InvalidArgument("source", type(source).__name__, "a stream of text; one text is [text]")
    if not (_is_stream(source) or inspect.isawaitable(source) or hasattr(source, "__aenter__") or callable(source)):
        raise InvalidArgument("source", type(source).__name__, "an iterable, an Observable, or a factory of one")
    providers = PROVIDERS if provider is None else (provider, *PROVIDERS)
    once = _Once(source)

    async def events(flow: Flow) -> AsyncGenerator[StreamEvent, None]:
        base, time = flow.time(), flow.time
        yield Opened(turn, stream_id_of(turn, make_id), flow.wall())
        index = offset = 0
        carried, told = "", False
        reason: str | None = None
        usage: Usage | None = None
        readers: dict[type, Provider] = {}
        watch = Watch(flow.patience) if flow.patience else None
        async with AsyncExitStack() as stack:
            if watch:
                stack.callback(watch.close)
            try:
                with watch or nullcontext():
                    items = await _open(once.take(), flow, stack)
                async for item in _watched(items, watch) if watch else items:
                    if type(item) is str and item.isascii() and not carried:  # the short way, for most items
                        if item:
                            yield Delta(item, index, offset, 0, time() - base)
                            index += 1
                            offset += len(item)
                        continue
                    for piece in _read(item, providers, readers):
                        if isinstance(piece, str):
                            if carried or not piece.isascii():
                                piece, carried, lone = _whole(carried + piece)
                                if lone and not told:
                                    told = True
                                    yield _LONE
                            if piece:
                                yield Delta(piece, index, offset, 0, time() - base)
                                index += 1
                                offset += len(piece)
                        elif isinstance(piece, Custom):
                            yield piece
                        else:
                            reason, usage = piece.reason or reason, piece.usage or usage
            except OutOfPatience as error:
                if not error.patience.clean:
                    seconds = getattr(error.patience, error.which)
                    raise StreamTimeout(error.which, seconds) from error
                reason = "timeout"
            except Exception:
                if carried:
                    yield Delta("\ufffd", index, offset, 0, time() - base)
                raise
            if carried:
                yield Delta("\ufffd", index, offset, 0, time() - base)
                index += 1
                offset += 1
            # Chunks of a provider say when they are through: without that the answer was cut off on its way.
            yield Ended(reason or ("incomplete" if readers else "stop"), offset, index, usage)

    return declare(pull(events), (Opened, Delta, Ended, Custom, Problem))


_LONE = Problem("streaming", "LONE_SURROGATE", "a lone surrogate came and was replaced by U+FFFD", recoverable=True)
_SURROGATE = re.compile("[\ud800-\udfff]")


def _whole(text: str) -> tuple[str, str, bool]:
    """The text without surrogates; a high one at its end, whose other half may follow; whether a lone one was replaced."""
    if not _SURROGATE.search(text):
        return text, "", False
    carried = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    joined = text[: len(text) - len(carried)].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined, carried, joined.count("\ufffd") > text.count("\ufffd")


def _read(item: Any, providers: tuple[Provider, ...], readers: dict[type, Provider]) -> Iterable[Piece]:
    """The pieces in an item; `readers` remembers which provider read the last item of a type."""
    kind: type[Any] = type(item)
    if kind is str:
        return (item,)
    if item is None:
        return ()
    known = readers.get(kind)
    if known and (pieces := known(item)) is not None:
        return pieces
    for provider in providers:
        if (pieces := provider(item)) is not None:
            readers[kind] = provider
            return pieces
    if isinstance(item, str):
        return (str(item),)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    accepted = ", ".join(one.__name__ for one in providers)
    raise TypeError(
        f"an item of type {name} is not known; accepted are str and what these providers read: {accepted}; "
        "for others give from_stream a provider=, a function from an item to its pieces"
    )


# --- opening ----------------------------------------------------------------------------------------------------------


class _Once:
    """Lets a factory be opened again and again, anything else once."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._factory = callable(source) and not _is_stream(source) and not hasattr(source, "__aenter__")
        self._taken = False

    def take(self) -> Any:
        """The stream, or what gives it."""
        if self._factory:
            return self._source()
        if self._taken:
            raise SourceConsumed(
                f"this {type(self._source).__name__} was read before and cannot be read again; "
                "give from_stream a function that opens a new one: from_stream(lambda: client.stream(...), turn=...)"
            )
        self._taken = True
        return self._source


def _is_stream(source: object) -> bool:
    return isinstance(source, Observable) or hasattr(source, "__aiter__") or hasattr(source, "__iter__")


async def _open(stream: Any, flow: Flow, stack: AsyncExitStack) -> AsyncIterator[Any]:
    """An async iterator over `stream`; the stack closes what was opened, also when something fails in between."""
    if inspect.isawaitable(stream) and not _is_stream(stream):
        stream = await stream
    if isinstance(stream, Observable):
        mailbox: Mailbox[Any] = Mailbox(flow)
        stack.callback(stream.subscribe(_OnLoop(mailbox), scheduler=flow).dispose)
        return mailbox
    if hasattr(stream, "__aenter__"):
        stream = await stack.enter_async_context(stream)
    if hasattr(stream, "__aiter__"):
        items = aiter(stream)
        if close := getattr(items, "aclose", None):
            stack.push_async_callback(close)
        return cast("AsyncIterator[Any]", items)
    if hasattr(stream, "__iter__") and not isinstance(stream, str | bytes):
        threaded = _in_thread(stream)
        stack.push_async_callback(threaded.aclose)
        return threaded
    raise InvalidArgument("source", type(stream).__name__, "an iterable of text or of a provider's chunks")


class _OnLoop(abc.ObserverBase[Any]):
    """Puts into a mailbox what an observable pushes, from whatever thread."""

    def __init__(self, mailbox: Mailbox[Any]) -> None:
        self._mailbox = mailbox
        self._loop = asyncio.get_running_loop()

    def _call(self, method: Callable[..., None], *args: Any) -> None:
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            method(*args)
        else:
            self._loop.call_soon_threadsafe(method, *args)

    def on_next(self, value: Any) -> None:
        self._call(self._mailbox.on_next, value)

    def on_error(self, error: Exception) -> None:
        self._call(self._mailbox.on_error, error)

    def on_completed(self) -> None:
        self._call(self._mailbox.on_completed)


async def _in_thread(iterable: Iterable[T]) -> AsyncGenerator[T, None]:
    """Read a sync iterable in a thread of its own, one item at a time; it is closed there too."""
    loop, thread, end = asyncio.get_running_loop(), ThreadPoolExecutor(1, "cortex_rx-source"), object()
    items: Iterator[T] | None = None

    def opened() -> Iterator[T]:
        return iter(iterable)

    def close() -> None:
        for thing in (items, iterable):
            if shut := getattr(thing, "close", None):
                shut()

    try:
        items = await loop.run_in_executor(thread, opened)
        while (item := await loop.run_in_executor(thread, next, items, end)) is not end:
            yield cast("T", item)
    finally:
        try:
            await loop.run_in_executor(thread, close)  # waits for a read that is under way
        finally:
            thread.shutdown(wait=False)


async def _watched(items: AsyncIterator[T], watch: Watch) -> AsyncGenerator[T, None]:
    """The same items; the time that each is waited for counts."""
    while True:
        try:
            with watch:
                item = await anext(items)
        except StopAsyncIteration:
            return
        yield item
