"""`Answer`: the handle of an answer that streams into memory."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Generator
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from reactivex import Observable

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Memories, Streams
from cortex_rx.chain import Operator
from cortex_rx.engine import FlowScheduler
from cortex_rx.engine.running import Reader, ReaderMailbox, Shared, Started, Stopped
from cortex_rx.errors import TextDiverged
from cortex_rx.events import Begun, Delta, Ended, Replayed, StreamEvent
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.folds.result import ResultFold
from cortex_rx.guard import ESSENTIAL, guarded
from cortex_rx.models.hooks import StoppedBy
from cortex_rx.models.records import MemoryEntry
from cortex_rx.models.results import EnhancedRememberStreamResult
from cortex_rx.operators._support.writing import begin_stream
from cortex_rx.retry.judge import judge
from cortex_rx.spool.spool import Spool, checked_spool
from cortex_rx.streams.follow import Position
from cortex_rx.streams.stopping import AnswerStopped
from cortex_rx.unique import HoldsToken

__all__ = ["Answer", "AnswerReader", "BegunAnswer", "TextPiece"]

U = TypeVar("U")

log: logging.Logger = logging.getLogger("cortex_rx")

LINGER: timedelta = timedelta(seconds=1)

_UNUSED = (
    "an Answer was never used, so no model was asked and nothing was stored: iterate over it with `async for`, "
    "`await` it, or call its detach()"
)


def _stopped(fold: ResultFold, flow: FlowScheduler) -> AnswerStopped:
    return AnswerStopped(fold.token, cast("StoppedBy", flow.root.stopped_by or "cancelled"))


class _Mailbox(ReaderMailbox[StreamEvent, U]):
    """The mailbox of a reader of an answer. It knows how far its reader has seen the text."""

    def __init__(self, fold: ResultFold, flow: FlowScheduler, capacity: float) -> None:
        super().__init__(flow, capacity)
        self.fold: ResultFold = fold

    def on_error(self, error: Exception) -> None:
        super().on_error(_stopped(self.fold, self.flow) if type(error) is Stopped else error)

    def seen(self) -> tuple[int, int]:
        """The attempt of the text that the reader has seen, and how much of it."""
        raise NotImplementedError


class _TextMailbox(_Mailbox[str]):
    def __init__(self, fold: ResultFold, flow: FlowScheduler, capacity: float) -> None:
        super().__init__(fold, flow, capacity)
        self._position = copy(fold.position)
        self._shown = self._position.attempt  # the attempt that is shown; -1 once the text has begun again
        self._until: tuple[int, int] | None = None  # how far the shown text came before it began again
        if fold.text:
            self.on_next(fold.text)
        if fold.ended is not None:
            self.on_completed()

    def deliver(self, item: StreamEvent) -> None:
        if type(item) is Delta and item.attempt == self._shown:
            self.gate.held += 1.0  # `on_next`, inlined: this runs for every token
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
        if move in (Move.ANEW, Move.CUT) and self._until is None:
            if self.fold.before[1]:
                self._shown, self._until = -1, self.fold.before
            else:  # nothing has been shown
                self._shown = self._position.attempt
        if isinstance(item, Delta | Replayed) and item.text and move is not Move.OTHER:
            if self._shown < 0:
                self.on_error(TextDiverged("the text began again; this reader had seen other text"))
            else:
                self.on_next(item.text)

    def on_error(self, error: Exception) -> None:
        self._until = self._until or (self._shown, self.fold.offset)  # the stream may go on without this reader
        super().on_error(error)

    def seen(self) -> tuple[int, int]:
        attempt, shown = self._until or (self._shown, self.fold.offset)
        return attempt, shown - sum(map(len, self.items))


class _EventMailbox(_Mailbox[StreamEvent]):
    def __init__(self, fold: ResultFold, flow: FlowScheduler, capacity: float) -> None:
        super().__init__(fold, flow, capacity)
        self.position: TextPosition = TextPosition(fold.attempt)  # of what the reader has seen
        if fold.opened:
            self.on_next(Replayed(fold.text, fold.offset, fold.index, fold.attempt))
        elif fold.waiting:
            self.on_next(fold.waiting)

    def seen(self) -> tuple[int, int]:
        return self.position.attempt, self.position.offset


class _PieceMailbox(_Mailbox[tuple[str, bool, tuple[int, int]]]):
    def __init__(self, fold: ResultFold, flow: FlowScheduler, capacity: float) -> None:
        super().__init__(fold, flow, capacity)
        self.position: tuple[int, int] = fold.attempt, 0  # of what the reader has seen
        self._beginnings, self._first = fold.position.beginnings, True
        if fold.text:
            self._put(fold.text, anew=True)
        if fold.ended is not None:
            self.on_completed()

    def _put(self, text: str, *, anew: bool) -> None:
        self._first = False
        self.on_next((text, anew, (self.fold.attempt, self.fold.offset)))

    def deliver(self, item: StreamEvent) -> None:
        fold, position = self.fold, self.fold.position
        if position.beginnings != self._beginnings:
            self._beginnings = position.beginnings
            if fold.text or not self._first:
                self._put(fold.text, anew=True)
        elif isinstance(item, Delta) and item.attempt == position.attempt:
            self._put(item.text, anew=self._first)
        elif isinstance(item, Ended):
            self.on_completed()

    def seen(self) -> tuple[int, int]:
        return self.position


class _BegunMailbox(_Mailbox[None]):
    """For a reader that wants to know only that the stream has begun."""

    def __init__(self, fold: ResultFold, flow: FlowScheduler, capacity: float) -> None:
        super().__init__(fold, flow, capacity)
        self._look(fold.begun or fold.position.last or fold.ended)

    def deliver(self, item: StreamEvent) -> None:
        self._look(item)

    def _look(self, item: StreamEvent | None) -> None:
        if isinstance(item, Begun | Delta | Ended) and not self.items:
            self.on_next(None)

    def seen(self) -> tuple[int, int]:
        return self.fold.attempt, 0


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of the text that is shown to a reader of `answer.pieces()`."""

    text: str
    """The text to add; if `anew`, the whole text so far."""
    anew: bool
    """The text begins here: forget what was shown before. True for a reader's first piece, and when the text begins
    again, because its source was opened again and gave another text."""
    position: Position | None
    """The position after this piece: `reader.position`, see there."""


@dataclass(frozen=True, slots=True)
class BegunAnswer(HoldsToken):
    """What `answer.begun()` returns."""

    stream_id: str
    """The id under which the stream is stored."""
    resume_token: str | None = field(repr=False)
    """The token that resumes the stream in another process. None if the store has not answered yet."""
    position: Position | None
    """The position of a reader that has seen nothing yet; None as in `reader.position`."""


class AnswerReader(Reader["_Mailbox[Any]", U]):
    """One reader of an `Answer`: an async iterator that knows how far its reader has seen the answer.

    A cancellation ends only the wait for an item, so `asyncio.wait_for(anext(reader), 15)` may be repeated: nothing is
    lost, and nothing comes twice.  A reader leaves when it is dropped (a `break` drops the iterator of a loop), or with
    `await reader.aclose()`.  One that does not go on within 15 s after a cancellation has left, too: it may be held by
    no more than its cancelled task.  One task at a time may read it.
    """

    __slots__ = ("_fold", "_seen")

    def __init__(
        self,
        shared: Shared[StreamEvent, Any],
        fold: ResultFold,
        kind: Callable[[ResultFold, FlowScheduler, float], _Mailbox[Any]],
    ) -> None:
        super().__init__(shared, partial(kind, fold))
        self._fold = fold
        self._seen: tuple[int, int] | None = None  # once it has left

    @property
    def position(self) -> Position | None:
        """How far the answer is for who has read what this reader has given: `memory.follow` goes on from there.

        It is right also for a reader that is slow, late, or has left.  None before the stream has begun in the store.
        None also if the exchange had been stored before: the text shown now may differ.
        """
        begun = self._fold.begun
        if begun is None or begun.stored_before:
            return None
        attempt, offset = self._seen or (self._mailbox.seen() if self._mailbox else (self._fold.attempt, 0))
        return Position(offset, begun.attempt + attempt, begun.epoch)

    def _part(self) -> None:
        if self._mailbox and not self._seen:
            self._seen = self._mailbox.seen()
        super()._part()


class _EventReader(AnswerReader[StreamEvent]):
    __slots__ = ()

    async def __anext__(self) -> StreamEvent:
        try:
            event = await super().__anext__()
        except BaseException:
            del self  # as in `Reader.__anext__`
            raise
        if isinstance(event, Ended):
            self._shared.detach()
        assert isinstance(self._mailbox, _EventMailbox)
        self._mailbox.position.take(event)
        return event


class _PieceReader(AnswerReader[TextPiece]):
    __slots__ = ()

    async def __anext__(self) -> TextPiece:
        try:
            text, anew, seen = cast("tuple[str, bool, tuple[int, int]]", await super().__anext__())
        except BaseException:
            del self  # as in `Reader.__anext__`
            raise
        cast("_PieceMailbox", self._mailbox).position = seen
        return TextPiece(text, anew, self.position)


class Answer:
    """An answer that streams into memory: iterate over it for its text, await it for its result.

    The pipeline starts on the first use.  It runs in a task of its own, never in the task or scope of the caller.  Any
    number of readers and awaiters may use it, in any tasks of the event loop; the slowest reader sets the pace.
    Leaving an iteration in any way ends that reader.  When nobody has read or awaited for `linger`, the stream stops
    and its partial is kept.  A reader that has read to the end of the text has not left.  After `detach` no reader
    needs to stay.  An answer that is never used asks no model and stores nothing: when it is garbage-collected, there
    is a `RuntimeWarning`.

    `async for text in answer` ends with the last token.  `await answer`, and the log, say whether the exchange was
    stored.  `await answer` returns the `EnhancedRememberStreamResult` when everything is stored.  Otherwise it raises
    the error of the stream, or `AnswerStopped` if the stream was stopped.

    >>> import asyncio
    >>> from cortex_rx import Cortex
    >>> async def main():
    ...     async with Cortex(":memory:") as cortex:
    ...         answer = cortex.memory.remember_stream(
    ...             ["Hello ", "Ada"], memory_space_id="s", conversation_id="c-1", user_message="Hi!", agent_id="helper"
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
        chain: Operator | None = None,
    ) -> None:
        check.instance(Observable, "an Observable of events")("source", source)
        source = guarded(source, "the Answer", ESSENTIAL, may_be_empty=True)
        pause = check.seconds(zero=True)("linger", linger)
        check.optional(check.function)("started", started)
        check.optional(checked_backend)("backend", backend)
        check.optional(checked_spool)("spool", spool)
        check.optional(check.function)("chain", chain)
        self._fold = ResultFold()
        self._backend, self._spool = backend, spool
        self._chain = chain  # held, so that the answers that run now can share it
        self._shared: Shared[StreamEvent, EnhancedRememberStreamResult] = Shared(
            source, self._fold, linger=pause, started=partial(_start, started, self._fold)
        )

    @property
    def stream_id(self) -> str | None:
        """The id under which the stream is stored; None before it has started."""
        return self._fold.opened.stream_id if self._fold.opened else None

    @property
    def resume_token(self) -> str | None:
        """The token that resumes the stream in another process; None before the stream has begun.

        Keep it where the client can find it, and out of logs.
        """
        return self._fold.token

    @property
    def text(self) -> str:
        """The text so far."""
        return self._fold.text

    def __aiter__(self) -> AnswerReader[str]:
        """The text, as it comes.  A late reader first gets the text so far, in one piece.

        A text that begins again (a `restart` source) raises `TextDiverged` in a reader that has seen other text;
        `pieces` tells a reader to begin again, too.
        """
        self._shared.used = True  # the reader may outlive this object
        return AnswerReader(self._shared, self._fold, _TextMailbox)

    def pieces(self) -> AnswerReader[TextPiece]:
        """The text for a page that can begin it again: `shown = piece.text if piece.anew else shown + piece.text`.

        >>> import asyncio
        >>> from cortex_rx import Cortex, restart
        >>> async def model(point):
        ...     yield "It is " if point.retry == 0 else "In Lisbon."
        ...     if point.retry == 0:
        ...         raise ConnectionResetError
        >>> async def main():
        ...     async with Cortex(":memory:") as cortex:
        ...         answer = cortex.memory.remember_stream(
        ...             restart(model), {"maxRetries": 1, "retryDelay": 1}, memory_space_id="s", conversation_id="c-1",
        ...             user_message="Where is it?", agent_id="helper"
        ...         )
        ...         return [(piece.text, piece.anew, str(piece.position)) async for piece in answer.pieces()]
        >>> asyncio.run(main())
        [('It is ', True, '6.0.1'), ('', True, '0.1.1'), ('In Lisbon.', False, '10.1.1')]
        """
        self._shared.used = True
        return _PieceReader(self._shared, self._fold, _PieceMailbox)

    def events(self) -> AnswerReader[StreamEvent]:
        """Every event, as it comes, to the end of the stream.  A late reader first gets a `Replayed`."""
        self._shared.used = True
        return _EventReader(self._shared, self._fold, _EventMailbox)

    async def begun(self) -> BegunAnswer:
        """Start the stream, unless it runs, and wait until it has begun: before a web handler answers 200, for one.

        It returns when the store has answered, so `resume_token` and `position` are there, or raises what the stream
        was refused with: `TokenUnknown`, `StillOwned`, `IdempotencyConflict` and others.  A store that is slow or away
        holds the text back for the `wait` of `begin`, 2 s.  With the first text this returns too, without token and
        position, and a refusal may still come.

        While it waits it uses the stream as a reader does.  After it, the first reader has `linger` to come.

        >>> import asyncio
        >>> from cortex_rx import Cortex
        >>> async def main():
        ...     async with Cortex(":memory:") as cortex:
        ...         answer = cortex.memory.remember_stream(
        ...             ["Hello"], memory_space_id="s", conversation_id="c-1", user_message="Hi!", agent_id="helper"
        ...         )
        ...         return await answer.begun(), [text async for text in answer]
        >>> asyncio.run(main())
        (BegunAnswer(stream_id='...', position=Position(offset=0, attempt=0, epoch=1)), ['Hello'])
        """
        reader: AnswerReader[None] = AnswerReader(self._shared, self._fold, _BegunMailbox)
        try:
            await anext(reader)
            assert self.stream_id is not None
            return BegunAnswer(self.stream_id, self.resume_token, reader.position)
        finally:
            await reader.aclose()

    def __await__(self) -> Generator[Any, None, EnhancedRememberStreamResult]:
        return self._wait().__await__()

    async def _wait(self) -> EnhancedRememberStreamResult:
        try:
            return await self._shared
        except Stopped as error:
            if type(error) is not Stopped:  # by a request, or of another answer, which was the source
                raise
            raise _stopped(self._fold, self._shared.flow) from None

    def detach(self) -> None:
        """Run to the end without readers.  Starts the stream if it has not started."""
        self._shared.detach()
        self._shared.start()

    async def stop(self, *, keep_partial: bool = True) -> None:
        """Stop now: the source is closed and the partial is kept.  Returns when nothing runs any more.

        `await answer.kept()` and `memory.list(space, include_partial=True)` give the partial, and `resume_token`
        resumes it.  With `keep_partial=False` the partial and its question are deleted.  A text that has already ended
        is remembered in any case.  Readers and awaiters get `AnswerStopped`.
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
        if begun is None:  # stopped before the store answered
            found = await streams.get(stream_id=opened.stream_id, memory_space_id=space)
            if found is None or found["state"] != "open":
                return
            try:
                begun = await begin_stream(self._backend, opened)  # idempotent: if it was ours, nothing new begins
            except Exception as error:
                if judge(error).verdict.of_exchange:
                    return  # it is another process's, or deleted: nothing of ours is stored
                raise
        await streams.rollback(stream_id=opened.stream_id, memory_space_id=space, epoch=begun.epoch)

    async def kept(self) -> MemoryEntry | None:
        """The memory of this answer in the store now, partial or complete; None if the store holds no text of it.

        None also for an `Answer` that was made without a backend.
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

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        # Without an `_shared`, it was never made: `__init__` refused an argument.
        if (shared := self.__dict__.get("_shared")) is not None and not shared.used:
            warn(_UNUSED, RuntimeWarning, stacklevel=2, source=self)

    if not TYPE_CHECKING:  # a type checker finds these mistakes by itself, unless it sees that the methods exist

        def __iter__(self) -> NoReturn:
            raise TypeError("an Answer is read with `async for text in answer`")

        def __getitem__(self, key: str) -> NoReturn:
            raise TypeError(f"an Answer has no fields, its result has: (await answer)[{key!r}]")

        def __getattr__(self, name: str) -> NoReturn:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in EnhancedRememberStreamResult.model_fields:
                message += f"; its result has: (await answer).{name}"
            raise AttributeError(message, name=name, obj=self)

    def __repr__(self) -> str:
        if (task := self._shared.task) is None:
            return "Answer(not started)"
        state = "streaming" if not task.done() else "remembered" if _fine(task) else "ended without being remembered"
        return f"Answer({state}, {self._fold.offset:,} characters)"


def _fine(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None


def _start(started: Started | None, fold: ResultFold, shared: Shared[Any, Any]) -> None:
    """Tell of a stream that starts, and log a failure: a reader of text does not see one after the end of the text."""

    def over(task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, Stopped):
            stream = fold.opened.stream_id if fold.opened else getattr(error, "stream_id", None)
            log.warning("stream %s ended with %s", stream or "(not opened)", type(error).__name__)

    if started:
        started(shared)
    assert shared.task is not None
    shared.task.add_done_callback(over)
