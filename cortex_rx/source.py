"""`from_stream`: a language model's stream as an observable of events."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Any, TypeAlias

from reactivex import Observable

from cortex_rx.chain import declare
from cortex_rx.errors import InvalidArgument, StreamTimeout
from cortex_rx.events import Custom, Delta, Ended, Opened, Problem, StreamEvent
from cortex_rx.flow import Flow, OutOfPatience, pull
from cortex_rx.opening import Once, Watched, check_stream, open_stream
from cortex_rx.providers import PROVIDERS, Finish, Piece, Provider, openai_chat
from cortex_rx.types import Turn, Usage

__all__ = ["Finish", "Piece", "Provider", "Source", "from_stream", "new_id", "openai_chat", "stream_id_of"]

Stream: TypeAlias = AsyncIterable[Any] | Iterable[Any] | Observable[Any]
Source: TypeAlias = (
    Stream
    | Awaitable[Any]
    | AbstractAsyncContextManager[Any]
    | Callable[[], Stream]
    | Callable[[], Awaitable[Any]]
    | Callable[[], AbstractAsyncContextManager[Any]]
)
"""What `from_stream` takes."""


def new_id() -> str:
    """A new stream id, another one each time.

    >>> new_id() == new_id()
    False
    """
    return f"stream-{uuid.uuid4().hex}"


def stream_id_of(turn: Turn, make: Callable[[], str] = new_id) -> str:
    """The id of a turn's stream: derived from its idempotency key if it has one, so that it is the same each time.

    >>> keyed = Turn("support", "c-1", "Hi!", user_id="ada", user_name="Ada", idempotency_key="order-7")
    >>> stream_id_of(keyed) == stream_id_of(keyed)
    True
    """
    if turn.idempotency_key is None:
        return make()
    key = f"{len(turn.memory_space_id)}:{turn.memory_space_id}{turn.idempotency_key}"
    return f"stream-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


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
    be subscribed to more than once.  A factory is called on the event loop: the request of a sync client belongs into a generator
    function, whose body runs in the thread.  What was opened here is closed here, once; an error of that comes after `Ended`.

    Items are text, or what OpenAI's chat completions and responses and Anthropic's messages stream: objects of the SDKs
    (those of `responses.stream()` and Anthropic's `messages.stream()` too) or their JSON; a `provider` that is given is asked
    first, of text too.  Empty text and None are skipped; halves of a surrogate pair that come in two items are rejoined, lone
    ones become U+FFFD, with one `Problem`.  An observable that knows no gates (one that is not made by this package) is
    **unbounded**: it cannot be told to wait.  A read in a thread cannot be broken off: when the stream ends meanwhile, 2 s
    are given to it, then the thread is left to close the source when the read returns.

    Raises `InvalidArgument` at once for what can be no stream.  As an error of the stream come `TypeError` for an item of a type
    that nothing knows, `SourceConsumed` for a second subscription to what is no factory, `StreamTimeout` where a `timeout`
    downstream asks for it, and what the source raises.

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
    check_stream(source)
    for name, value in (("provider", provider), ("make_id", make_id)):
        if value is not None and not callable(value):
            raise InvalidArgument(name, type(value).__name__, "a function")
    if not isinstance(turn, Turn):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgument("turn", type(turn).__name__, "a Turn")
    plain = provider is None
    providers = PROVIDERS if provider is None else (provider, *PROVIDERS)
    once = Once(source)

    async def events(flow: Flow) -> AsyncGenerator[StreamEvent, None]:
        once.claim()  # before anything is shown, or stored
        base, time = flow.time(), flow.time
        yield Opened(turn, stream_id_of(turn, make_id), flow.wall())
        index = offset = 0
        carried, told = "", False
        reason: str | None = None
        refused = False
        usage: Usage | None = None
        readers: dict[type, Provider] = {}
        async with AsyncExitStack() as stack:
            opening = partial(open_stream, once, flow, stack)
            try:
                items = Watched(opening, flow, stack) if flow.patience else await opening()
                async for item in items:
                    if type(item) is str and plain:
                        if item.isascii() and not carried:  # the short way, for most items
                            if item:
                                yield Delta(item, index, offset, 0, time() - base)
                                index += 1
                                offset += len(item)
                            continue
                        pieces: Iterable[Piece] = (item,)
                    else:
                        pieces = _read(item, providers, readers)
                    for piece in pieces:
                        if isinstance(piece, str):
                            if carried or (not piece.isascii() and _surrogate(piece)):
                                piece, carried, lone = _whole(carried + piece)
                                if lone and not told:
                                    told = True
                                    yield _LONE
                            if piece:
                                yield Delta(piece, index, offset, 0, time() - base)
                                index += 1
                                offset += len(piece)
                        elif isinstance(piece, Custom):
                            refused = refused or piece.name == "refusal"
                            yield piece
                        elif isinstance(piece, Finish):
                            reason, usage = piece.reason or reason, _merged(usage, piece.usage)
                        else:
                            raise _no_piece(piece)
            except OutOfPatience as error:
                if not error.patience.clean:
                    for event in _half(carried, told, index, offset, time() - base):
                        yield event
                    seconds = getattr(error.patience, error.which)
                    raise StreamTimeout(error.which, seconds) from error
                reason = "timeout"
            except Exception:
                for event in _half(carried, told, index, offset, time() - base):
                    yield event
                raise
            for event in _half(carried, told, index, offset, time() - base):
                yield event
            # Chunks of a provider say when they are through: without that the answer was cut off on its way.
            reason = reason or ("incomplete" if readers else "stop")
            if refused and reason == "stop":
                reason = "refusal"  # chat completions have no reason of their own for it
            yield Ended(reason, offset + len(carried), index + len(carried), usage)

    return declare(pull(events), (Opened, Delta, Ended, Custom, Problem))


_LONE = Problem("streaming", "LONE_SURROGATE", "a lone surrogate came and was replaced by U+FFFD", recoverable=True)
_surrogate = re.compile("[\ud800-\udfff]").search


def _whole(text: str) -> tuple[str, str, bool]:
    """The text without surrogates; a high one at its end, whose other half may follow; whether a lone one was replaced."""
    carried = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    joined = text[: len(text) - len(carried)].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined, carried, joined.count("\ufffd") > text.count("\ufffd")


def _half(carried: str, told: bool, index: int, offset: int, at: float) -> list[StreamEvent]:
    """What becomes of half a pair whose other half never came."""
    if not carried:
        return []
    delta = Delta("\ufffd", index, offset, 0, at)
    return [delta] if told else [_LONE, delta]


def _read(item: Any, providers: tuple[Provider, ...], readers: dict[type, Provider]) -> Iterable[Piece]:
    """The pieces in an item; `readers` remembers which provider read the last item of a type."""
    kind: type[Any] = type(item)
    if item is None:
        return ()
    known = readers.get(kind)
    if known and (pieces := known(item)) is not None:
        return _pieces(pieces)
    for provider in providers:
        if provider is not known and (pieces := provider(item)) is not None:
            readers[kind] = provider
            return _pieces(pieces)
    if isinstance(item, str):
        return (str.__str__(item),)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    accepted = ", ".join(map(_name, providers))
    raise TypeError(
        f"an item of type {name} is not known; accepted are str and what these providers read: {accepted}; "
        "for others give from_stream a provider=, a function from an item to its pieces"
    )


def _merged(usage: Usage | None, more: Usage | None) -> Usage | None:
    """A provider may say in parts what was used, input first."""
    if usage is None or more is None:
        return more or usage
    return usage.model_copy(update=more.model_dump(exclude_none=True))


def _pieces(pieces: str | Iterable[Piece]) -> Iterable[Piece]:
    return (pieces,) if isinstance(pieces, str) else pieces


def _no_piece(piece: object) -> TypeError:
    return TypeError(f"a provider gave a piece of type {type(piece).__name__}; accepted are str, Custom and Finish")


def _name(provider: Provider) -> str:
    return getattr(provider, "__name__", None) or type(provider).__name__
