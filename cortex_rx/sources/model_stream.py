"""`from_stream`: a language model's stream as an observable of events."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import Any, TypeAlias

from reactivex import Observable

from cortex_rx import unique
from cortex_rx import validation as check
from cortex_rx.chain import source_of_events
from cortex_rx.engine import FlowScheduler
from cortex_rx.engine.frames import pull
from cortex_rx.engine.scheduler import ReopenState
from cortex_rx.errors import EmptyAnswer, InvalidArgument, NotResumable
from cortex_rx.events import (
    Custom,
    Delta,
    Ended,
    Opened,
    Ownership,
    Problem,
    Recalled,
    Replayed,
    Resumed,
    SourceReplayed,
    StreamEvent,
    Waiting,
)
from cortex_rx.models.turn import Turn
from cortex_rx.sources.fallback import Fallback, fallback
from cortex_rx.sources.opening import SingleUse, check_stream
from cortex_rx.sources.providers import Finish, Piece, Provider, openai_chat
from cortex_rx.sources.reader import SourceReader
from cortex_rx.sources.recalling import Recalling, recalling
from cortex_rx.sources.reopening import Reopenable, ResumePoint, SourceProgress, prefill, replayable, restart
from cortex_rx.streams.takeover import ResumeFrom, TakenOverStream, take_over

__all__ = [
    "Fallback",
    "Finish",
    "Piece",
    "Provider",
    "Recalling",
    "Reopenable",
    "ResumeFrom",
    "ResumePoint",
    "Source",
    "fallback",
    "from_stream",
    "new_id",
    "openai_chat",
    "prefill",
    "recalling",
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
    | Fallback
    | Recalling
)
"""The sources that `from_stream` accepts."""


def new_id() -> str:
    """A new, unique stream id.

    >>> new_id() == new_id()
    False
    """
    return f"stream-{unique.new_id('stream')}"


def stream_id_of(turn: Turn, make: Callable[[], str] = new_id) -> str:
    """The id of a turn's stream. It is derived from the turn's idempotency key if it has one, so it is always the same.

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

    `source` is an async iterable, a sync iterable (read in its own thread, one item at a time), an `Observable`, or
    something that gives one of these: an awaitable, an async context manager, or a factory, plain or async. Only a
    factory can be subscribed to more than once. A factory is called on the event loop. So put the request of a sync
    client into a generator function: its body runs in the thread. What is opened here is closed here, once, before
    the stream completes. Closing gets 5 s, or 0.5 s when a `Cortex` that is closed has stopped the stream; then it
    is cancelled, and given up a second later. If it fails after
    `Ended`, that is a `Problem` (`NOT_CLOSED`), and the answer is whole; after a failure of the source it is only
    logged.

    Items are text, or items of OpenAI's chat completions and responses and Anthropic's messages: objects of the SDKs
    (also those of `responses.stream()` and Anthropic's `messages.stream()`) or their JSON. A given `provider` is asked
    first, also for text. Empty text and None are skipped. Halves of a surrogate pair in two items are rejoined; lone
    ones become U+FFFD, with one `Problem`. An observable without gates (not made by this package) is **unbounded**: it
    cannot be told to wait. A read in a thread cannot be interrupted. If the stream ends meanwhile, the read gets 2 s;
    then the thread is left alone, and closes the source when the read returns.

    A factory wrapped in `replayable`, `prefill` or `restart` says how its source is reopened. Then `resume` may stand
    in the chain, and each `Delta` has its position in the source. The factory is called with a `ResumePoint`.

    `fallback(a, b, ...)` is a source that asks the next model when one fails. `recalling(backend, factory)` recalls
    what the memory has for the turn's question, and gives it to the factory.

    With `resume`, a `ResumeFrom`, a stream that began in another process is taken over before the model is asked: first
    `Opened`, then `Replayed` with the stored text, then the rest. While the former writer may be alive, `Waiting` says
    until when. Do not give a `turn`: it is stored. If the stream has ended, the stored text is emitted and no model is
    asked.

    Raises `InvalidArgument` at once for what cannot be a stream, and `NotResumable` if a source has to be reopened and
    does not say how. The stream fails with `TypeError` for an item of unknown type, `SourceConsumed` for a second
    subscription to a source that is not a factory, `StreamTimeout` if a `timeout` downstream says so, and with the
    source's own errors.

    >>> import asyncio
    >>> from cortex_rx import operators as cx
    >>> from cortex_rx.engine import run
    >>> async def model():
    ...     yield "Hello "
    ...     yield "Ada"
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> asyncio.run(run(from_stream(model, turn=turn).pipe(cx.last())))
    Ended(reason='stop', offset=9, index=2, usage=None, model=None)
    """
    recaller = source if isinstance(source, Recalling) else None
    asked = source.source if isinstance(source, Recalling) else source
    declared = asked if isinstance(asked, Reopenable | Fallback) else None
    if declared is None:
        check_stream(asked)
    check.optional(check.function)("provider", provider)
    check.function("make_id", make_id)
    if resume is not None and turn is not None:
        raise InvalidArgument("turn", "turn and resume", "one of them: the turn of a resumed stream is stored")
    if resume is None:
        check.instance(Turn, "a Turn")("turn", turn)
    check.optional(check.instance(ResumeFrom, "a ResumeFrom"))("resume", resume)
    if resume and declared is None:
        raise NotResumable(_DECLARE)
    reads = SingleUse(asked) if declared is None else declared
    kinds: tuple[type[StreamEvent], ...] = (Opened, Delta, Ended, Custom, Problem)
    if declared is not None:
        kinds = (*kinds, Replayed, Resumed, SourceReplayed)
    if resume is not None:
        kinds = (*kinds, Waiting)
    if recaller is not None:
        kinds = (*kinds, Recalled)
    me = object()

    def events(flow: FlowScheduler) -> AsyncGenerator[StreamEvent, None]:
        if isinstance(reads, SingleUse):
            if flow.reopen_state is not None:
                raise NotResumable(_DECLARE)
            reads.claim()  # before anything is shown, or stored
        point = flow.reopen_state or ReopenState()
        progress: SourceProgress = point.memo.setdefault(me, _progress(declared))
        first = _first(progress, flow, turn, make_id, resume)
        if recaller is None:
            return SourceReader(reads, progress, flow, provider).events(first)
        opened = SingleUse(partial(_give_recalled, asked, progress)) if isinstance(reads, SingleUse) else reads
        prepare = partial(_recall, recaller, progress, flow)
        return SourceReader(opened, progress, flow, provider, prepare).events(first)

    return source_of_events(pull(events), kinds)


def _give_recalled(factory: Any, progress: SourceProgress) -> Any:
    return factory(progress.recalled)


async def _recall(recaller: Recalling, progress: SourceProgress, flow: FlowScheduler) -> tuple[StreamEvent, ...]:
    """Recall once; the event that says what."""
    if progress.recalled is not None:
        return ()
    assert progress.first is not None
    progress.recalled, event = await recaller.recall(progress.first, flow, progress.base)
    return (event,)


def _progress(declared: Reopenable | Fallback | None) -> SourceProgress:
    if isinstance(declared, Fallback):
        return SourceProgress(declared.sources[0], keeps_text=declared.keeps_text)
    return SourceProgress(declared)


async def _first(
    progress: SourceProgress,
    flow: FlowScheduler,
    turn: Turn | None,
    make_id: Callable[[], str],
    resume: ResumeFrom | None,
) -> AsyncGenerator[StreamEvent, None]:
    """The events before the text: `Opened` and, for a stream that is taken over, its stored text.

    They come once. If taking over fails, at most `Waiting` was emitted, and `resume` tries again.
    """
    if progress.begun:
        return
    progress.rewritten = flow.replays_upstream
    if resume is None:
        assert turn is not None
        progress.base, progress.begun = flow.time(), True
        progress.first = Opened(turn, stream_id_of(turn, make_id), flow.wall())
        yield progress.first
        return
    async with aclosing(take_over(resume, flow)) as taking:
        async for taken in taking:
            if isinstance(taken, Waiting):
                yield taken
            else:
                for event in _taken_over(progress, flow, taken):
                    yield event


def _taken_over(progress: SourceProgress, flow: FlowScheduler, taken: TakenOverStream) -> list[StreamEvent]:
    """The events with which a stream begins here that was taken over."""
    if taken.empty:
        raise EmptyAnswer("the stream was closed without an answer; the question is kept as unanswered")
    progress.base, progress.begun = flow.time() - max(0.0, flow.wall() - taken.started), True
    ownership = Ownership(taken.memory_id, taken.epoch, taken.attempt, taken.message_ids, taken.memory_ids)
    opened = progress.first = Opened(taken.turn, taken.stream_id, taken.started, ownership, taken.token)
    replayed = Replayed(taken.text, len(taken.text), taken.index, taken.attempt, taken.mark)
    if taken.ended is not None:
        return [opened, replayed, Ended(taken.ended, replayed.offset, taken.index, taken.usage, taken.model)]
    progress.restore(taken.text, taken.index, taken.attempt, taken.mark)
    begins_anew = progress.how is not None and progress.how.how == "restart"
    return [opened] if begins_anew else [opened, replayed]


_DECLARE = (
    "a chain with resume(), or a resumed stream, needs a source that says how it is reopened: "
    "from_stream(replayable(factory)), prefill(factory) or restart(factory), where factory(point) opens it"
)
