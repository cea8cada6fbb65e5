"""`remember_stream`: the default chain, run for you, and the handle that you hold meanwhile."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import aclosing
from copy import copy
from datetime import timedelta
from functools import partial
from typing import Any

from reactivex import Observable

from cortex_rx import operators as cx
from cortex_rx import validation as check
from cortex_rx.backends.backend import Backend, checked_backend
from cortex_rx.backends.contract.typed import Memories, Streams
from cortex_rx.chain import Chain, Operator, Step
from cortex_rx.errors import InvalidArgument, TextDiverged
from cortex_rx.events import Delta, Ended, Replayed, StreamEvent
from cortex_rx.flow import Flow, Reader, Shared, Started, Stopped
from cortex_rx.following import Place
from cortex_rx.operators._store import begin_stream
from cortex_rx.options import RememberParams, RememberStreamParams, ResumeStreamParams, StreamingOptions, parse
from cortex_rx.position import Move
from cortex_rx.result import EnhancedRememberStreamResult, RememberResult, ResultFold
from cortex_rx.retry import judge
from cortex_rx.source import Provider, ResumeFrom, from_stream, new_id
from cortex_rx.spool.spool import Spool, checked_spool
from cortex_rx.types import MemoryEntry

__all__ = ["Answer", "default_chain", "remember", "remember_stream"]

log: logging.Logger = logging.getLogger("cortex_rx")

LINGER: timedelta = timedelta(seconds=1)
_RETRIES = 3


def default_chain(
    backend: Backend,
    options: StreamingOptions | Mapping[str, Any] | None = None,
    *,
    extract_content: Callable[..., Any] | None = None,
    generate_embedding: Callable[..., Any] | None = None,
    spool: Spool | None = None,
) -> Chain:
    """The very chain that `remember_stream` runs with these options; take it apart and put it together anew.

    >>> from cortex_rx.backends import SqliteBackend
    >>> default_chain(SqliteBackend(":memory:")).names
    ('begin', 'persist_partial', 'recover', 'finalize', 'measure')
    >>> default_chain(SqliteBackend(":memory:"), {"streamTimeout": 30_000, "storePartialResponse": False}).names
    ('timeout', 'begin', 'recover', 'finalize', 'measure')
    >>> print(default_chain(SqliteBackend(":memory:"), {"maxSingleMemorySize": 4_000})["chunk"])
    chunk(strategy='sentence', size=4000, max_length=4000)
    """
    chosen = parse(StreamingOptions, options)
    steps: list[Step] = []
    if chosen.stream_timeout is not None:
        steps.append(cx.timeout(idle=_ms(chosen.stream_timeout)))
    if chosen.max_retries is not None or chosen.partial_failure_handling == "retry":
        retries = _RETRIES if chosen.max_retries is None else chosen.max_retries
        if retries:
            longest = _ms(chosen.max_retry_after)
            steps.append(cx.resume(retries, _ms(chosen.retry_delay), max_retry_after=longest))
    if chosen.max_response_length is not None:
        steps.append(cx.limit(chosen.max_response_length))
    steps.append(cx.begin(backend, token=chosen.generate_resume_token))
    if (cut := _chunk(chosen)) is not None:
        steps.append(cut)
    strategy = chosen.partial_failure_handling
    if chosen.store_partial_response:
        interval, most = _ms(chosen.partial_response_interval), chosen.max_buffer_size
        # Of a stream that would be rolled back there is no partial to be kept.
        kept_in = None if strategy == "rollback" else spool
        steps.append(cx.persist_partial(backend, interval, most, spool=kept_in))
    steps.append(cx.recover("store-partial" if strategy == "retry" else strategy, backend))
    steps.append(
        cx.finalize(
            backend,
            extract_content,
            generate_embedding,
            chosen.max_single_memory_size,
            chosen.incremental_embeddings,
            spool,
        )
    )
    steps.append(cx.measure())
    if (hooks := chosen.hooks) is not None:
        steps.append(cx.observe(hooks.on_chunk, hooks.on_progress, hooks.on_error, hooks.on_complete))
    return Chain(steps)


def _ms(milliseconds: float) -> timedelta:
    return timedelta(milliseconds=milliseconds)


def _chunk(chosen: StreamingOptions) -> Step | None:
    """The step that cuts the answer, if one is wanted."""
    strategy, most = chosen.chunking_strategy, chosen.max_single_memory_size
    if strategy is not None:
        return cx.chunk(strategy, chosen.chunk_size, max_length=most)
    if chosen.chunk_size is not None:
        raise InvalidArgument("chunk_size", chosen.chunk_size, "None, unless chunking_strategy says what it counts")
    # As many sentences as fit: of one code point each there would be so many.
    return None if most is None else cx.chunk("sentence", most, max_length=most)


class _TextReader(Reader[StreamEvent, str]):
    def __init__(self, fold: ResultFold, flow: Flow, capacity: float) -> None:
        super().__init__(flow, capacity)
        self._position, self._seen = copy(fold.position), fold.offset > 0
        self._shown = self._position.attempt  # the one whose text is shown; none, once it has begun anew
        if fold.text:
            self.on_next(fold.text)
        if fold.ended is not None:
            self.on_completed()

    def give(self, item: StreamEvent) -> None:
        if type(item) is Delta and item.attempt == self._shown:
            self._seen = True
            self.gate.held += 1  # as `on_next`, without a call: this is run for every token
            self.items.append(item.text)
            if (reader := self.reader) is not None:
                self.reader = None
                if not reader.done():
                    reader.set_result(None)
        elif type(item) is Ended:
            self.on_completed()
        else:
            self._other(item)

    def _other(self, item: StreamEvent) -> None:
        move = self._position.take(item)
        if move in (Move.ANEW, Move.CUT):
            self._shown = -1 if self._seen else self._position.attempt
        if isinstance(item, Delta | Replayed) and item.text and move is not Move.OTHER:
            if self._shown < 0:
                self.on_error(TextDiverged("the text began anew; this reader had seen another one"))
            else:
                self._seen = True
                self.on_next(item.text)


class _EventReader(Reader[StreamEvent, StreamEvent]):
    def __init__(self, fold: ResultFold, flow: Flow, capacity: float) -> None:
        super().__init__(flow, capacity)
        if fold.opened:
            self.on_next(Replayed(fold.text, fold.offset, fold.index, fold.attempt))


class Answer:
    """An answer that streams into memory: iterate over it for its text, await it for its result.

    The pipeline starts with the first use, in a task of its own, never in the task or scope of the caller; any number of readers
    and awaiters may use it, in whatever tasks of the event loop, and the slowest reader sets the pace.  Leaving an iteration, in
    whatever way, ends that reader.  When nobody has read or awaited for `linger` seconds, the stream stops and its partial is
    kept; who has read to the end of the text has not left, and after `detach` nobody needs to stay.

    `async for text in answer` ends with the last token; whether the exchange is stored says `await answer`, and the log.  It gives the `EnhancedRememberStreamResult` when all is
    stored, or raises what the stream failed with; `Stopped` if it was stopped.

    >>> import asyncio
    >>> from cortex_rx import Cortex
    >>> async def main():
    ...     async with Cortex(":memory:") as cortex:
    ...         answer = cortex.memory.remember_stream(
    ...             ["Hello ", "Ada"], memory_space_id="s", conversation_id="c-1", user_message="Hi!", user_id="ada", user_name="Ada"
    ...         )
    ...         return [text async for text in answer], (await answer).full_response
    >>> asyncio.run(main())
    (['Hello ', 'Ada'], 'Hello Ada')
    """

    def __init__(
        self,
        source: Observable[StreamEvent],
        *,
        linger: timedelta = LINGER,
        started: Started | None = None,
        backend: Backend | None = None,
        spool: Spool | None = None,
    ) -> None:
        check.instance(Observable, "an Observable of events")("source", source)
        pause = check.seconds(zero=True)("linger", linger)
        check.optional(check.function)("started", started)
        check.optional(checked_backend)("backend", backend)
        check.optional(checked_spool)("spool", spool)
        self._fold = ResultFold()
        self._backend, self._spool = backend, spool
        self._shared: Shared[StreamEvent, EnhancedRememberStreamResult] = Shared(
            source, self._fold, linger=pause, started=self._begin
        )
        self._started = started

    def _begin(self, task: asyncio.Task[EnhancedRememberStreamResult], release: Callable[[], None]) -> None:
        if self._started:
            self._started(task, release)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[EnhancedRememberStreamResult]) -> None:
        """A reader of text does not hear of what goes wrong after the text has ended, so it is in the log at least."""
        if not task.cancelled() and (error := task.exception()):
            log.warning("stream %s ended with %s", self.stream_id, type(error).__name__)

    @property
    def stream_id(self) -> str | None:
        """The id under which the stream is stored; None before it has started."""
        return self._fold.opened.stream_id if self._fold.opened else None

    @property
    def place(self) -> Place | None:
        """How far the answer has come, for a reader that may come back and `follow` it; None before it has begun, and where it
        had been stored before: what is shown may be another text than that."""
        begun = self._fold.begun
        if begun is None or begun.before:
            return None
        return Place(self._fold.offset, self._fold.position.stored_attempt, begun.epoch)

    @property
    def resume_token(self) -> str | None:
        """What resumes the stream in another process; None before it has begun.  Keep it where the client can find it, and out of logs."""
        return self._fold.token

    @property
    def text(self) -> str:
        """The text so far."""
        return self._fold.text

    def __aiter__(self) -> AsyncGenerator[str, None]:
        """The text, as it comes; one who comes late first gets in one piece what has gone before."""
        return self._shared.read(partial(_TextReader, self._fold))

    async def events(self) -> AsyncIterator[StreamEvent]:
        """Every event, as it comes, to the end of the stream; one who comes late first gets a `Replayed`."""
        async with aclosing(self._shared.read(partial(_EventReader, self._fold))) as events:
            async for event in events:
                if isinstance(event, Ended):
                    self._shared.keep()
                yield event

    def __await__(self) -> Generator[Any, None, EnhancedRememberStreamResult]:
        return self._wait().__await__()

    async def _wait(self) -> EnhancedRememberStreamResult:
        try:
            return await self._shared
        except Stopped as stopped:
            stopped.resume_token = self.resume_token
            raise

    def detach(self) -> None:
        """Run to the end, whoever leaves; starts the stream if nothing has."""
        self._shared.keep()
        self._shared.start()

    async def stop(self, *, keep_partial: bool = True) -> None:
        """Stop now: the source is closed, the partial is kept; returns when everything is at rest.

        The partial is `await answer.kept()`, or found with `memory.list(space, include_partial=True)`, and resumed with
        `resume_token`.  With `keep_partial=False` the partial and its question are deleted instead.  A text that has come to its
        end is remembered all the same.  Whoever reads or awaits gets `Stopped`.
        """
        check.flag("keep_partial", keep_partial)
        self._shared.stop()
        if task := self._shared.task:
            await asyncio.wait({task})
        opened, begun = self._fold.opened, self._fold.begun
        if keep_partial or self._fold.ended is not None or opened is None:
            return
        if self._spool:
            await self._spool.forget(opened, begun.epoch if begun else 0)
        if self._backend is None:
            return
        streams, space = Streams(self._backend), opened.turn.memory_space_id
        if begun is None:  # stopped before the store had answered
            found = await streams.get(stream_id=opened.stream_id, memory_space_id=space)
            if found is None or found["state"] != "open":
                return
            try:
                begun = await begin_stream(self._backend, opened)  # sent again it is the same beginning, if it was ours
            except Exception as error:
                if judge(error).verdict.of_exchange:
                    return  # another's, or deleted: nothing of ours is there
                raise
        await streams.rollback(stream_id=opened.stream_id, memory_space_id=space, epoch=begun.epoch)

    async def kept(self) -> MemoryEntry | None:
        """The memory that the store holds of this answer now: partial, or whole; None if it holds no text of it.

        Of an `Answer` that was made without its backend nothing is known: None.
        """
        if self._backend is None or (opened := self._fold.opened) is None:
            return None
        space = opened.turn.memory_space_id
        stream = await Streams(self._backend).get(stream_id=opened.stream_id, memory_space_id=space)
        if stream is None:
            return None
        memories = Memories(self._backend)
        row = await memories.get(memory_space_id=space, memory_id=stream["memoryId"], include_partial=True)
        return None if row is None else MemoryEntry.from_row(row)

    def __repr__(self) -> str:
        if (task := self._shared.task) is None:
            return "Answer(not started)"
        state = "streaming" if not task.done() else "remembered" if _fine(task) else "ended without being remembered"
        return f"Answer({state}, {self._fold.offset:,} characters)"


def _fine(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None


def remember_stream(
    response_stream: Any,
    options: StreamingOptions | Mapping[str, Any] | None = None,
    *,
    backend: Backend,
    chain: Operator | None = None,
    provider: Provider | None = None,
    linger: timedelta = LINGER,
    make_id: Callable[[], str] = new_id,
    started: Started | None = None,
    spool: Spool | None = None,
    **params: Any,
) -> Answer:
    """Stream an answer into memory: every token is shown at once, and the exchange is remembered.

    The answer's stream comes first and the parameters are keywords; or, as in Cortex, a model or dictionary of all parameters
    comes first (`RememberStreamParams`, with `response_stream`) and then one of options (`StreamingOptions`).  Keys may be
    camelCase or snake_case.  What streams can be given: see `from_stream`.

    It runs `default_chain(backend, options)`, or the `chain` given, which then stands for the options too.  Nothing runs, and
    nothing is stored, before the `Answer` is used.

    With `resume_from` (a token: `answer.resume_token`, or that of a `ResumableStreamError` or `Stopped`) a stream that began
    elsewhere goes on here: the stream is then a `replayable`, `prefill` or `restart` source, and of the parameters only
    `memory_space_id` is needed; those that are given must be the stored ones.  While its writer may be alive it is waited for, up
    to 10 s, then `StillOwned` is raised; `take_over=True` takes it at once.  Of a finished stream it gives the stored result.

    With a `spool`, the default chain keeps there what the store cannot take, for `spool.drain(backend)` to deliver later.

    Raises `InvalidArgument` at once for whatever does not fit.

    >>> import asyncio
    >>> from cortex_rx.backends import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         answer = remember_stream(
    ...             ["It is ", "in Lisbon."], backend=backend, memory_space_id="support", conversation_id="c-1",
    ...             user_message="Where is my parcel?", user_id="ada", user_name="Ada")
    ...         async for text in answer:
    ...             print(text)
    ...         return (await answer).stream_metrics.total_chunks
    >>> asyncio.run(main())
    It is
    in Lisbon.
    2
    """
    try:
        first = response_stream
        if not isinstance(first, RememberStreamParams | ResumeStreamParams | Mapping):
            first = {"response_stream": first}
        turn = resume = None
        if isinstance(first, ResumeStreamParams) or _resumes(first) or _resumes(params):
            given: RememberStreamParams | ResumeStreamParams = parse(ResumeStreamParams, first, **params)
            assert isinstance(given, ResumeStreamParams)
            resume = ResumeFrom(
                backend, given.memory_space_id, given.resume_from, given.take_over, expected=given.expected()
            )
        else:
            given = parse(RememberStreamParams, first, **params)
            turn = given.turn()
        source = from_stream(given.response_stream, turn=turn, provider=provider, make_id=make_id, resume=resume)
        pipeline = _chosen(given, backend, options, chain, spool)(source)
        check.instance(Observable, "an operator: a function from an observable to an observable")("chain", pipeline)
    except BaseException:
        if inspect.iscoroutine(response_stream):
            response_stream.close()  # it is refused, and will not be awaited: no reason for a second warning
        raise
    return Answer(pipeline, linger=linger, started=started, backend=backend, spool=spool)


def _resumes(params: object) -> bool:
    """Whether a token is among the parameters."""
    names = ("resume_from", "resumeFrom", "resume_token", "resumeToken")
    return isinstance(params, Mapping) and any(params.get(name) is not None for name in names)


def _chosen(
    given: RememberStreamParams | ResumeStreamParams,
    backend: Backend,
    options: StreamingOptions | Mapping[str, Any] | None,
    chain: Operator | None,
    spool: Spool | None,
) -> Operator:
    """The chain that was given, or the default one."""
    if chain is None:
        return default_chain(
            backend,
            options,
            extract_content=given.extract_content,
            generate_embedding=given.generate_embedding,
            spool=spool,
        )
    if options is not None:
        raise InvalidArgument("options", "options and chain", "one of them: options are for the default chain")
    for name in ("extract_content", "generate_embedding"):
        if getattr(given, name) is not None:
            raise InvalidArgument(name, f"{name} and chain", f"one of them: in a chain, say finalize({name}=...)")
    check.function("chain", chain)
    return chain


async def remember(
    params: RememberParams | Mapping[str, Any] | None = None,
    *,
    backend: Backend,
    make_id: Callable[[], str] = new_id,
    started: Started | None = None,
    spool: Spool | None = None,
    **keywords: Any,
) -> RememberResult:
    """Remember an exchange whose answer is there already: the same chain as `remember_stream`, with one piece of text.

    The parameters are keywords, or a model or dictionary (`RememberParams`, with `agent_response`).  Once begun it is finished,
    also when the caller is cancelled.  Raises `InvalidArgument` before anything is stored, and as `await answer` does.

    >>> from cortex_rx.backends import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         done = await remember(
    ...             backend=backend, memory_space_id="support", conversation_id="c-1", user_message="Where is my parcel?",
    ...             agent_response="It is in Lisbon.", user_id="ada", user_name="Ada")
    ...         return [memory.content for memory in done.memories]
    >>> asyncio.run(main())
    ['Where is my parcel?', 'It is in Lisbon.']
    """
    given = parse(RememberParams, params, **keywords)

    async def whole() -> AsyncGenerator[str, None]:
        yield given.agent_response

    chain = default_chain(
        backend,
        {"store_partial_response": False},
        extract_content=given.extract_content,
        generate_embedding=given.generate_embedding,
        spool=spool,
    ).without("measure")
    answer = Answer(chain(from_stream(whole, turn=given.turn(), make_id=make_id)), started=started, backend=backend)
    answer.detach()
    return (await answer).plain()
