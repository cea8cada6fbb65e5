"""Reads one opening of a source, plain or reopenable, from where the last opening ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import partial
from itertools import takewhile
from typing import Any

from cortex_rx.engine import FlowScheduler
from cortex_rx.engine.deadline import SourceTimedOut
from cortex_rx.engine.scheduler import ReopenState, cancelled_by_us
from cortex_rx.errors import StreamCutOff, StreamTimeout
from cortex_rx.events import Custom, Delta, Ended, Problem, Resumed, SourceReplayed, StreamEvent
from cortex_rx.models.source_position import PrefixMatcher
from cortex_rx.retry.judge import is_transient, status_of
from cortex_rx.sources.fallback import Fallback
from cortex_rx.sources.opening import Resources, SingleUse, TimedItems, interrupted, open_stream
from cortex_rx.sources.providers import PROVIDERS, Cursor, Finish, Piece, Provider
from cortex_rx.sources.reopening import Reopenable, ResumePoint, SourceProgress
from cortex_rx.sources.surrogates import LONE, flush_surrogate, is_surrogate, join_surrogates

__all__ = ["SourceReader"]

log: logging.Logger = logging.getLogger("cortex_rx")

_REFUSED = (400, 404, 422)  # HTTP: the provider does not take a beginning of an answer


class SourceReader:
    """Reads one opening of a source: a plain one from its start, a reopenable one from where `progress` says."""

    def __init__(
        self,
        source: SingleUse | Reopenable | Fallback,
        progress: SourceProgress,
        flow: FlowScheduler,
        provider: Provider | None = None,
        prepare: Callable[[], Awaitable[Iterable[StreamEvent]]] | None = None,
    ) -> None:
        self._prepare = prepare  # done before the source is opened; its events come with the first of the source
        self._held: tuple[StreamEvent, ...] = ()
        self._fallback = source if isinstance(source, Fallback) else None
        self._at = 0  # the source of a fallback that is read
        self._failed: list[Exception] = []  # what the sources before it failed with
        self._source = source.sources[0] if isinstance(source, Fallback) else source
        self._progress, self._flow = progress, flow
        self._providers = PROVIDERS if provider is None else (provider, *PROVIDERS)
        self._bare = provider is None  # a string is text; no provider is asked
        self._provider_of: dict[type, Provider] = {}  # that read the last item of a type
        # A `resume` stands downstream, or another source is left: an answer that is cut off is a failure.
        self._reopens = flow.reopen_state is not None or self._fallback is not None
        self._point = flow.reopen_state or ReopenState()
        self._matcher: PrefixMatcher | None = None
        self._customs_seen = 0  # of this opening, repeated ones included
        self._trim = ""
        self._announced = True
        self._carried = ""
        self._lone_reported = False
        self._cursor: Cursor | None = None  # of the current item
        self._reason: str | None = None
        self._silent = 0  # items with nothing to show
        self._rested = flow.time()
        self._resting = False

    async def events(self, first: AsyncGenerator[StreamEvent, None]) -> AsyncGenerator[StreamEvent, None]:
        """The events of `first`, then those of this opening, to `Ended`. Errors of the source are raised."""
        async with aclosing(first):
            async for event in first:
                yield event
                if type(event) is Ended:  # the stream had ended in another process
                    return
        progress, flow, time = self._progress, self._flow, self._flow.time
        base, bare = progress.base, self._bare
        plain = isinstance(self._source, SingleUse)
        short = plain and bare
        again, progress.opened = progress.opened, True
        if self._prepare is not None and (held := tuple(await self._prepare())):
            self._held, short = held, False
        thrown: asyncio.CancelledError | None = None
        while True:
            opening = self._next_opening(again)
            before = progress.offset, progress.attempt
            async with Resources() as stack:
                open_ = partial(open_stream, opening, flow, stack)
                try:
                    items = TimedItems(open_, flow, stack) if flow.timeout_policy else await open_()
                    while True:
                        try:
                            async for item in items:
                                if short and type(item) is str and item.isascii() and not self._carried:
                                    if item:  # the short path, for most items
                                        index, offset = progress.index, progress.offset
                                        progress.index, progress.offset = index + 1, offset + len(item)
                                        yield Delta(item, index, offset, 0, time() - base)
                                    else:
                                        await self._rest(items)
                                    continue
                                if self._held:
                                    short = plain and bare
                                    for event in self._release():
                                        try:
                                            yield event
                                        except asyncio.CancelledError as error:
                                            if error is not flow.thrown:
                                                raise
                                            thrown = error  # after the item, which has been read
                                silent = True
                                for piece in (item,) if bare and type(item) is str else self._pieces_in(item):
                                    if plain and type(piece) is str and piece.isascii() and not self._carried:
                                        if piece:
                                            silent = False
                                            yield self._delta(piece)
                                    else:
                                        for event in self._events_of(piece):
                                            silent = False
                                            yield event
                                if self._cursor:
                                    self._take_cursor()
                                if silent:
                                    await self._rest(items)
                                if thrown is not None:
                                    interruption, thrown = thrown, None
                                    raise interruption
                            break
                        except asyncio.CancelledError as error:
                            if error is not flow.thrown and (not self._resting or cancelled_by_us()):
                                raise
                            self._resting = False
                            items = await interrupted(items, error)
                except SourceTimedOut as error:
                    for event in self._release():
                        yield event
                    if not error.policy.clean:
                        late = StreamTimeout(error.which, getattr(error.policy, error.which))
                        late.__cause__ = error
                        if problem := await self._fall_back(late, stack):
                            again = True
                            yield problem
                            continue
                        for event in self._flush_on_failure():
                            yield event
                        raise late from error
                    self._reason = "timeout"
                except Exception as error:
                    for event in self._release():
                        yield event
                    if again and before == (progress.offset, progress.attempt) and self._switch_factory(error):
                        continue
                    if problem := await self._fall_back(error, stack):
                        again = True
                        yield problem
                        continue
                    for event in self._flush_on_failure():
                        yield event
                    raise
                for event in self._release():
                    try:
                        yield event
                    except asyncio.CancelledError as error:
                        if error is not flow.thrown:
                            raise  # else nothing of the source runs that it could be meant for
                try:
                    for event in self._finish():
                        yield event
                except StreamCutOff as error:
                    if problem := await self._fall_back(error, stack):
                        again = True
                        yield problem
                        continue
                    raise
                except asyncio.CancelledError as error:
                    if error is not flow.thrown or not self._point.over:
                        raise  # else the answer is whole, and nothing of the source runs that it could be meant for
            if failed := stack.problem:
                what = f"closing the source failed with {type(failed).__name__}; the answer is whole"
                yield Problem("streaming", "NOT_CLOSED", what, is_transient(failed), failed)
            return

    def _release(self) -> tuple[StreamEvent, ...]:
        """The events that were held until the source was asked."""
        held, self._held = self._held, ()
        return held

    async def _fall_back(self, error: Exception, stack: Resources) -> Problem | None:
        """Close the source that failed, and go over to the next one. None if there is none for this error."""
        if (fallback := self._fallback) is None:
            return None
        if self._at + 1 == len(fallback.sources) or not fallback.takes_over(error):
            for number, before in enumerate(self._failed):
                error.add_note(f"before it failed {fallback.names[number]}: {type(before).__name__}")
            self._reopens = self._flow.reopen_state is not None
            return None
        try:
            await stack.__aexit__(type(error), error, error.__traceback__)
        except Exception as unclosed:
            log.warning("a source that failed could not be closed: %s", type(unclosed).__name__)
        self._failed.append(error)
        self._at += 1
        self._source, progress = fallback.sources[self._at], self._progress
        self._reopens = self._flow.reopen_state is not None or self._at + 1 < len(fallback.sources)
        # What was read of an unfinished item, and what only the provider of the source before knows.
        self._carried, self._reason, self._provider_of = "", None, {}
        progress.cursor, progress.cursor_at = None, 0
        progress.usage = progress.model = None  # of a request that gave no answer
        progress.takeovers += 1
        log.warning("%s takes over after %s", fallback.names[self._at], type(error).__name__)
        return Problem.of("streaming", error, recoverable=True)

    async def _rest(self, items: AsyncIterator[Any]) -> None:
        """Let other tasks run, every millisecond at least: the source yields nothing to show, and may never wait."""
        self._silent += 1
        if not self._silent & 15 and self._flow.time() - self._rested > 0.001:
            self._resting = True
            await (items.rest() if isinstance(items, TimedItems) else asyncio.sleep(0))
            self._resting = False
            self._rested = self._flow.time()

    def _next_opening(self, again: bool) -> SingleUse:
        """The source to open now. If it is reopened, prepares the comparison, or begins a new attempt."""
        source, progress = self._source, self._progress
        if isinstance(source, SingleUse):
            return source
        self._matcher, self._trim, self._announced, self._cursor = None, "", not again, None
        from_start = source.how == "replayable" and progress.resume_cursor(source) is None
        self._customs_seen = 0 if from_start else progress.customs
        if again and (progress.offset or progress.customs):
            if source.how == "restart":
                progress.begin_anew()
            elif source.how == "replayable":
                self._matcher = progress.matcher(source)
                if self._matcher is None:
                    progress.begin_anew()
                elif self._matcher.reached:
                    self._matcher = None
        return SingleUse(partial(source.factory, self._resume_point(source)))

    def _resume_point(self, source: Reopenable) -> ResumePoint:
        progress, point = self._progress, self._point
        text: str | None = None
        if source.how == "prefill" and progress.text is not None:
            whole_text = progress.text.getvalue()
            text = whole_text.rstrip()
            self._trim = whole_text[len(text) :]
        cursor = progress.resume_cursor(source)
        retry, cause = point.retry + progress.takeovers, self._failed[-1] if self._failed else point.cause
        return ResumePoint(progress.offset, progress.attempt, retry, cause, cursor, text or None, progress.recalled)

    def _switch_factory(self, error: Exception) -> bool:
        """Whether the provider refused the beginning of an answer, and is asked by the other factory now."""
        source = self._source
        if isinstance(source, SingleUse) or source.otherwise is None or status_of(error) not in _REFUSED:
            return False
        self._source = source.otherwise
        return True

    def _events_of(self, piece: Piece) -> Iterable[StreamEvent]:
        """The events for a piece."""
        if isinstance(piece, str):
            return self._text(piece)
        if isinstance(piece, Custom):
            return self._custom(piece)
        if isinstance(piece, Finish):
            self._reason = piece.reason or self._reason
            self._progress.add_usage(piece.usage)
            self._progress.model = piece.model or self._progress.model
        elif isinstance(piece, Cursor):  # pyright: ignore[reportUnnecessaryIsInstance]
            self._cursor = piece
        else:
            raise TypeError(
                f"a provider returned a piece of type {type(piece).__name__}; accepted: str, Custom, Finish and Cursor"
            )
        return ()

    def _take_cursor(self) -> None:
        """Take over the item's cursor, which lies behind the whole item; not while half a pair is held back."""
        cursor, self._cursor = self._cursor, None
        # A stream that is resumed elsewhere begins with the first source, which does not know cursors of another one.
        if cursor and self._matcher is None and not self._carried and not self._at:
            self._progress.cursor, self._progress.cursor_at = cursor.value, self._progress.offset

    def _pieces_in(self, item: Any) -> Iterable[Piece]:
        """The pieces in an item. The provider that read the last item of this type is asked first."""
        kind: type[Any] = type(item)
        if item is None:
            return ()
        known = self._provider_of.get(kind)
        if known and (pieces := known(item)) is not None:
            return (pieces,) if isinstance(pieces, str) else pieces
        for provider in self._providers:
            if provider is not known and (pieces := provider(item)) is not None:
                self._provider_of[kind] = provider
                return (pieces,) if isinstance(pieces, str) else pieces
        if isinstance(item, str):
            return (str.__str__(item),)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        accepted = ", ".join(getattr(each, "__name__", None) or type(each).__name__ for each in self._providers)
        raise TypeError(
            f"an item has the unknown type {name}; accepted: str, and items that these providers read: {accepted}; "
            "for other items give from_stream a provider=, a function from an item to its pieces"
        )

    def _text(self, piece: str) -> Iterable[StreamEvent]:
        if self._carried or (not piece.isascii() and is_surrogate(piece)):
            piece, self._carried, lone = join_surrogates(self._carried + piece)
            if lone and not self._lone_reported:
                self._lone_reported = True
                return (LONE, *self._joined_text(piece))
        return self._joined_text(piece)

    def _joined_text(self, piece: str) -> Iterable[StreamEvent]:
        """The events for text without halves of pairs."""
        if not piece:
            return ()
        if self._matcher is None and self._announced and not self._trim:
            return (self._delta(piece),)
        return self._unread_text(piece)

    def _unread_text(self, piece: str) -> Iterable[StreamEvent]:
        """The events for text that may have been read before, at least in part."""
        if self._matcher is not None:
            self._matcher.held.append(piece)
            rest = self._matcher.match(piece)
            if rest is None:
                yield from self._begin_attempt()
                return
            if not self._matcher.reached:
                return
            held, self._matcher, piece = self._matcher.held, None, rest
            yield from self._announce()
            if self._progress.replay_due:
                yield from self._replay(held, len(rest))
        yield from self._announce()
        if self._trim:
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self._trim, piece, strict=False)))
            self._trim = self._trim[same:] if same == len(piece) else ""
            piece = piece[same:]
        if piece:
            yield self._delta(piece)

    def _announce(self) -> Iterable[StreamEvent]:
        """`Resumed`, once it is known where the text goes on."""
        if self._announced:
            return ()
        self._announced = True
        progress, point = self._progress, self._point
        failure = self._failed[-1] if self._failed else point.cause
        cause = type(failure).__name__ if failure else "TakenOver"
        retry, source = point.retry + progress.takeovers, self._at if self._fallback else None
        return (Resumed(retry, progress.attempt, progress.offset, cause, source),)

    def _delta(self, text: str) -> Delta:
        progress = self._progress
        index, offset = progress.index, progress.offset
        position = progress.advance(text)
        return Delta(text, index, offset, progress.attempt, self._flow.time() - progress.base, position)

    def _replay(self, held: list[Any], rest: int) -> Iterable[StreamEvent]:
        """Text that another process had read, for the rewriter of this one. The last piece ends with `rest` new code
        points."""
        progress = self._progress
        progress.replay_due = False
        *pieces, last = (piece for piece in held if isinstance(piece, str))
        for piece in (*pieces, last[: len(last) - rest]):
            yield SourceReplayed(piece, progress.attempt, self._flow.time() - progress.base)

    def _custom(self, piece: Custom) -> Iterable[StreamEvent]:
        self._progress.refused |= piece.name == "refusal"
        if self._matcher is not None:
            self._matcher.held.append(piece)
            self._customs_seen += 1
        elif self._customs_seen < self._progress.customs:
            self._customs_seen += 1  # it came before the source failed, too
        else:
            yield from self._announce()
            yield self._count_custom(piece)

    def _count_custom(self, piece: Custom) -> Custom:
        progress = self._progress
        progress.refused |= piece.name == "refusal"
        progress.customs += 1
        self._customs_seen += 1
        return piece

    def _begin_attempt(self) -> Iterable[StreamEvent]:
        """The text is another one: all of it is a new attempt."""
        assert self._matcher is not None
        held, self._matcher = self._matcher.held, None
        self._progress.begin_anew()
        yield from self._announce()
        for piece in held:
            yield self._delta(piece) if isinstance(piece, str) else self._count_custom(piece)

    def _flush_on_failure(self) -> Iterable[StreamEvent]:
        """Half a pair that is held back when the source fails. A reopened source delivers it again."""
        if self._carried and not self._reopens and self._matcher is None:
            yield from flush_surrogate(self._carried, self._lone_reported, self._delta)

    def _finish(self) -> Iterable[StreamEvent]:
        """The source has ended, or its time is up."""
        progress, reason, matcher = self._progress, self._reason, self._matcher
        # A provider's stream says when the answer is complete. Without that, the answer was cut off, and it is no other
        # text than the text read before.
        if reason is None and self._provider_of:
            if self._reopens or matcher is not None:
                raise StreamCutOff("the provider's stream stopped without saying that the answer is complete")
            reason = "incomplete"
        if matcher is not None and reason != "timeout":
            yield from self._begin_attempt()  # shorter than the text read before
        yield from self._announce()
        yield from flush_surrogate(self._carried, self._lone_reported, self._delta)
        reason = reason or "stop"
        if progress.refused and reason == "stop":
            reason = "refusal"  # chat completions have no reason for a refusal
        self._point.over = True
        yield Ended(reason, progress.offset, progress.index, progress.usage, progress.model)
