"""`from_stream`: a language model's stream as an observable of events."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from functools import partial
from typing import Any, TypeAlias

from reactivex import Observable

from cortex_rx.chain import declare
from cortex_rx.errors import EmptyAnswer, InvalidArgument, NotResumable, StreamTimeout
from cortex_rx.events import Custom, Delta, Ended, Opened, Ownership, Problem, Replayed, Reread, Resumed, StreamEvent
from cortex_rx.flow import Flow, OutOfPatience, Reopening, pull
from cortex_rx.opening import Once, Watched, check_stream, open_stream
from cortex_rx.providers import PROVIDERS, Cursor, Finish, Piece, Provider, openai_chat
from cortex_rx.reading import Reading, no_piece
from cortex_rx.reopening import Progress, Reopenable, ResumePoint, merged, prefill, replayable, restart
from cortex_rx.surrogates import LONE, half, is_surrogate, whole
from cortex_rx.takeover import ResumeFrom, take_over
from cortex_rx.types import Turn, Usage

__all__ = [
    "Finish",
    "Piece",
    "Provider",
    "Reopenable",
    "ResumeFrom",
    "ResumePoint",
    "Source",
    "from_stream",
    "new_id",
    "openai_chat",
    "prefill",
    "replayable",
    "restart",
    "stream_id_of",
]

Stream: TypeAlias = AsyncIterable[Any] | Iterable[Any] | Observable[Any]
Source: TypeAlias = (
    Stream
    | Awaitable[Any]
    | AbstractAsyncContextManager[Any]
    | Callable[[], Stream]
    | Callable[[], Awaitable[Any]]
    | Callable[[], AbstractAsyncContextManager[Any]]
    | Reopenable
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
    turn: Turn | None = None,
    provider: Provider | None = None,
    make_id: Callable[[], str] = new_id,
    resume: ResumeFrom | None = None,
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

    A factory that is wrapped in `replayable`, `prefill` or `restart` says how its source can be opened again: then `resume` may stand
    in the chain, and each `Delta` has the mark of its place in the source.  It is called with a `ResumePoint`.  With `resume`, a
    `ResumeFrom`, a stream that began in another process is taken over before the model is asked: `Opened`, then `Replayed` with
    what is stored, then the rest; there is no `turn` to give, it is stored.  Of a stream that has ended what is stored comes, and no
    model is asked.

    Raises `InvalidArgument` at once for what can be no stream, `NotResumable` where a source would have to be opened again and does
    not say how.  As an error of the stream come `TypeError` for an item of a type
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
    declared = source if isinstance(source, Reopenable) else None
    if declared is None:
        check_stream(source)
    for name, value in (("provider", provider), ("make_id", make_id)):
        if value is not None and not callable(value):
            raise InvalidArgument(name, type(value).__name__, "a function")
    if resume is not None and turn is not None:
        raise InvalidArgument("turn", "turn and resume", "one of them: the turn of a stream that is resumed is stored")
    if resume is None and not isinstance(turn, Turn):
        raise InvalidArgument("turn", type(turn).__name__, "a Turn")
    if not (resume is None or isinstance(resume, ResumeFrom)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgument("resume", type(resume).__name__, "a ResumeFrom")
    if resume and declared is None:
        raise NotResumable(_DECLARE)
    plain = provider is None
    providers = PROVIDERS if provider is None else (provider, *PROVIDERS)
    once = Once(source)
    me = object()

    async def reopenable(flow: Flow) -> AsyncGenerator[StreamEvent, None]:
        assert declared is not None
        point = flow.point or Reopening()
        progress: Progress = point.memo.setdefault(me, Progress(declared))
        if point.retry == 0:
            if resume is None:
                assert turn is not None
                progress.base, progress.rewritten = flow.time(), flow.again
                yield Opened(turn, stream_id_of(turn, make_id), flow.wall())
            else:
                taken = await take_over(resume, flow)
                if taken.empty:
                    raise EmptyAnswer("The stream was closed without an answer; the question is kept as unanswered.")
                progress.base = flow.time() - max(0.0, flow.wall() - taken.started)
                progress.rewritten = flow.again
                ownership = Ownership(taken.memory_id, taken.epoch, taken.attempt)
                yield Opened(taken.turn, taken.stream_id, taken.started, ownership, taken.token)
                if taken.ended is not None or declared.how != "restart":
                    length = len(taken.text)
                    yield Replayed(taken.text, length, taken.index, taken.attempt, taken.mark)
                if taken.ended is not None:
                    yield Ended(taken.ended, len(taken.text), taken.index, taken.usage)
                    return
                progress.restore(taken.text, taken.index, taken.attempt, taken.mark)
        seen: dict[type, Provider] = {}

        def read(item: Any) -> Iterable[Piece]:
            return (item,) if plain and type(item) is str else _read(item, providers, seen)

        reading = Reading(declared, progress, flow, flow.point, read, seen)
        async with aclosing(reading.events()) as events:
            async for event in events:
                yield event

    async def events(flow: Flow) -> AsyncGenerator[StreamEvent, None]:
        if flow.point is not None:
            raise NotResumable(_DECLARE)
        once.claim()  # before anything is shown, or stored
        assert turn is not None
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
                            if carried or (not piece.isascii() and is_surrogate(piece)):
                                piece, carried, lone = whole(carried + piece)
                                if lone and not told:
                                    told = True
                                    yield LONE
                            if piece:
                                yield Delta(piece, index, offset, 0, time() - base)
                                index += 1
                                offset += len(piece)
                        elif isinstance(piece, Custom):
                            refused = refused or piece.name == "refusal"
                            yield piece
                        elif isinstance(piece, Cursor):
                            pass  # the place is of use only where a source can be reopened
                        elif isinstance(piece, Finish):
                            reason, usage = piece.reason or reason, merged(usage, piece.usage)
                        else:
                            raise no_piece(piece)
            except OutOfPatience as error:
                if not error.patience.clean:
                    for event in half(carried, told, partial(_last, index, offset, time() - base)):
                        yield event
                    seconds = getattr(error.patience, error.which)
                    raise StreamTimeout(error.which, seconds) from error
                reason = "timeout"
            except Exception:
                for event in half(carried, told, partial(_last, index, offset, time() - base)):
                    yield event
                raise
            for event in half(carried, told, partial(_last, index, offset, time() - base)):
                yield event
            # Chunks of a provider say when they are through: without that the answer was cut off on its way.
            reason = reason or ("incomplete" if readers else "stop")
            if refused and reason == "stop":
                reason = "refusal"  # chat completions have no reason of their own for it
            yield Ended(reason, offset + len(carried), index + len(carried), usage)

    if declared is None:
        return declare(pull(events), (Opened, Delta, Ended, Custom, Problem))
    return declare(pull(reopenable), (Opened, Replayed, Resumed, Reread, Delta, Ended, Custom, Problem))


_DECLARE = (
    "a chain with resume(), and a stream that is resumed, need a source that says how it can be opened again: "
    "from_stream(replayable(factory)), prefill(factory) or restart(factory), where factory(point) opens it"
)


def _last(index: int, offset: int, at: float, text: str) -> Delta:
    return Delta(text, index, offset, 0, at)


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


def _pieces(pieces: str | Iterable[Piece]) -> Iterable[Piece]:
    return (pieces,) if isinstance(pieces, str) else pieces


def _name(provider: Provider) -> str:
    return getattr(provider, "__name__", None) or type(provider).__name__
