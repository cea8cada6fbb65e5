"""One opening of a source, plain or reopenable: its events, from where the last opening ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from itertools import takewhile
from typing import Any

from cortex_rx.engine import FlowScheduler
from cortex_rx.engine.deadline import SourceTimedOut
from cortex_rx.engine.scheduler import ReopenState
from cortex_rx.errors import StreamCutOff, StreamTimeout
from cortex_rx.events import Custom, Delta, Ended, Resumed, SourceReplayed, StreamEvent
from cortex_rx.models.source_position import PrefixMatcher
from cortex_rx.retry.judge import status_of
from cortex_rx.sources.opening import SingleUse, TimedItems, open_stream
from cortex_rx.sources.providers import PROVIDERS, Cursor, Finish, Piece, Provider
from cortex_rx.sources.reopening import Reopenable, ResumePoint, SourceProgress
from cortex_rx.sources.surrogates import LONE, flush_surrogate, is_surrogate, join_surrogates

__all__ = ["SourceReader"]

_REFUSED = (400, 404, 422)  # HTTP: what a provider says who takes no beginning of an answer


class SourceReader:
    """Reads one opening of a source: a plain one as it is, a reopenable one from where `progress` says."""

    def __init__(
        self,
        source: SingleUse | Reopenable,
        progress: SourceProgress,
        flow: FlowScheduler,
        provider: Provider | None = None,
    ) -> None:
        self._source, self._progress, self._flow = source, progress, flow
        self._providers = PROVIDERS if provider is None else (provider, *PROVIDERS)
        self._bare = provider is None  # a string is text, nobody is asked
        self._readers: dict[type, Provider] = {}  # who read the last item of a type
        self._framed = flow.reopen_state is not None  # a `resume` stands downstream: what is cut off is a failure
        self._point = flow.reopen_state or ReopenState()
        self._seam: PrefixMatcher | None = None
        self._skipped = 0  # events beside the text that came again
        self._trim = ""
        self._told = True
        self._carried = ""
        self._lone = False
        self._cursor: Cursor | None = None  # that of the item which is read
        self._reason: str | None = None

    async def events(self, first: Callable[[], Awaitable[list[StreamEvent]]]) -> AsyncGenerator[StreamEvent, None]:
        """What comes `first`, then what this opening gives, to `Ended`; what the source raises is raised."""
        for event in await first():
            yield event
            if type(event) is Ended:  # it had ended in another process
                return
        progress, flow, time = self._progress, self._flow, self._flow.time
        base, bare = progress.base, self._bare
        plain = isinstance(self._source, SingleUse)
        short = plain and bare
        again, progress.opened = progress.opened, True
        while True:
            opening = self._opening(again)
            before = progress.offset, progress.attempt
            async with AsyncExitStack() as stack:
                open_ = partial(open_stream, opening, flow, stack)
                try:
                    items = TimedItems(open_, flow, stack) if flow.timeout_policy else await open_()
                    async for item in items:
                        if short and type(item) is str and item.isascii() and not self._carried:
                            if item:  # the short way, for most of what comes
                                yield Delta(item, progress.index, progress.offset, 0, time() - base)
                                progress.index += 1
                                progress.offset += len(item)
                            continue
                        for piece in (item,) if bare and type(item) is str else self._pieces(item):
                            if plain and type(piece) is str and piece.isascii() and not self._carried:
                                if piece:
                                    yield self._delta(piece)
                            else:
                                for event in self._piece(piece):
                                    yield event
                        if self._cursor:
                            self._placed()
                except SourceTimedOut as error:
                    if not error.policy.clean:
                        for event in self._left():
                            yield event
                        raise StreamTimeout(error.which, getattr(error.policy, error.which)) from error
                    self._reason = "timeout"
                except Exception as error:
                    if again and before == (progress.offset, progress.attempt) and self._otherwise(error):
                        continue
                    for event in self._left():
                        yield event
                    raise
                for event in self._end():
                    yield event
                return

    def _opening(self, again: bool) -> SingleUse:
        """What is opened now; of what is opened `again`, what it is to be compared with, or a new attempt."""
        source, progress = self._source, self._progress
        if isinstance(source, SingleUse):
            return source
        self._seam, self._trim, self._told, self._cursor = None, "", not again, None
        from_start = source.how == "replayable" and progress.place(source) is None
        self._skipped = 0 if from_start else progress.customs
        if again and (progress.offset or progress.customs):
            if source.how == "restart":
                progress.anew()
            elif source.how == "replayable":
                self._seam = progress.seam(source)
                if self._seam is None:
                    progress.anew()
                elif self._seam.reached:
                    self._seam = None
        return SingleUse(partial(source.factory, self._told_to(source)))

    def _told_to(self, source: Reopenable) -> ResumePoint:
        progress, point = self._progress, self._point
        text: str | None = None
        if source.how == "prefill" and progress.text is not None:
            whole_text = progress.text.getvalue()
            text = whole_text.rstrip()
            self._trim = whole_text[len(text) :]
        cursor = progress.place(source)
        return ResumePoint(progress.offset, progress.attempt, point.retry, point.cause, cursor, text or None)

    def _otherwise(self, error: Exception) -> bool:
        """Whether a provider that takes no beginning of an answer is asked in another way now."""
        source = self._source
        if isinstance(source, SingleUse) or source.otherwise is None or status_of(error) not in _REFUSED:
            return False
        self._source = source.otherwise
        return True

    def _piece(self, piece: Piece) -> Iterable[StreamEvent]:
        """What goes out for a piece."""
        if isinstance(piece, str):
            return self._text(piece)
        if isinstance(piece, Custom):
            return self._custom(piece)
        if isinstance(piece, Finish):
            self._reason = piece.reason or self._reason
            self._progress.used(piece.usage)
        elif isinstance(piece, Cursor):  # pyright: ignore[reportUnnecessaryIsInstance]
            self._cursor = piece
        else:
            raise TypeError(
                f"a provider gave a piece of type {type(piece).__name__}; accepted are str, Custom, Finish and Cursor"
            )
        return ()

    def _placed(self) -> None:
        """A place that the provider gave lies behind the whole item; not behind half a pair, which has not gone out."""
        cursor, self._cursor = self._cursor, None
        if cursor and self._seam is None and not self._carried:
            self._progress.cursor, self._progress.cursor_at = cursor.value, self._progress.offset

    def _pieces(self, item: Any) -> Iterable[Piece]:
        """The pieces in an item: who read the last one of its type is asked first."""
        kind: type[Any] = type(item)
        if item is None:
            return ()
        known = self._readers.get(kind)
        if known and (pieces := known(item)) is not None:
            return (pieces,) if isinstance(pieces, str) else pieces
        for provider in self._providers:
            if provider is not known and (pieces := provider(item)) is not None:
                self._readers[kind] = provider
                return (pieces,) if isinstance(pieces, str) else pieces
        if isinstance(item, str):
            return (str.__str__(item),)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        accepted = ", ".join(getattr(each, "__name__", None) or type(each).__name__ for each in self._providers)
        raise TypeError(
            f"an item of type {name} is not known; accepted are str and what these providers read: {accepted}; "
            "for others give from_stream a provider=, a function from an item to its pieces"
        )

    def _text(self, piece: str) -> Iterable[StreamEvent]:
        if self._carried or (not piece.isascii() and is_surrogate(piece)):
            piece, self._carried, lone = join_surrogates(self._carried + piece)
            if lone and not self._lone:
                self._lone = True
                return (LONE, *self._whole_text(piece))
        return self._whole_text(piece)

    def _whole_text(self, piece: str) -> Iterable[StreamEvent]:
        """What goes out for text without halves of pairs."""
        if not piece:
            return ()
        if self._seam is None and self._told and not self._trim:
            return (self._delta(piece),)
        return self._beyond(piece)

    def _beyond(self, piece: str) -> Iterable[StreamEvent]:
        """What goes out for text of which something may have been read before."""
        if self._seam is not None:
            self._seam.held.append(piece)
            rest = self._seam.match(piece)
            if rest is None:
                yield from self._diverged()
                return
            if not self._seam.reached:
                return
            held, self._seam, piece = self._seam.held, None, rest
            yield from self._tell()
            if self._progress.again:
                yield from self._reread(held, len(rest))
        yield from self._tell()
        if self._trim:
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self._trim, piece, strict=False)))
            self._trim = self._trim[same:] if same == len(piece) else ""
            piece = piece[same:]
        if piece:
            yield self._delta(piece)

    def _tell(self) -> Iterable[StreamEvent]:
        """That the source was reopened, once it is known where the text goes on."""
        if self._told:
            return ()
        self._told = True
        progress, point = self._progress, self._point
        cause = type(point.cause).__name__ if point.cause else "TakenOver"
        return (Resumed(point.retry, progress.attempt, progress.offset, cause),)

    def _delta(self, text: str) -> Delta:
        progress = self._progress
        index, offset = progress.index, progress.offset
        mark = progress.took(text)
        return Delta(text, index, offset, progress.attempt, self._flow.time() - progress.base, mark)

    def _reread(self, held: list[Any], rest: int) -> Iterable[StreamEvent]:
        """What had been read in another process, for the rewriter of this one; `rest` of the last piece is new."""
        progress = self._progress
        progress.again = False
        *pieces, last = (piece for piece in held if isinstance(piece, str))
        for piece in (*pieces, last[: len(last) - rest]):
            yield SourceReplayed(piece, progress.attempt, self._flow.time() - progress.base)

    def _custom(self, piece: Custom) -> Iterable[StreamEvent]:
        self._progress.refused |= piece.name == "refusal"
        if self._seam is not None:
            self._seam.held.append(piece)
            self._skipped += 1
        elif self._skipped < self._progress.customs:
            self._skipped += 1  # it had come before the source failed
        else:
            yield from self._tell()
            yield self._beside(piece)

    def _beside(self, piece: Custom) -> Custom:
        progress = self._progress
        progress.refused |= piece.name == "refusal"
        progress.customs += 1
        self._skipped += 1
        return piece

    def _diverged(self) -> Iterable[StreamEvent]:
        """It is another text: all of it is a new attempt."""
        assert self._seam is not None
        held, self._seam = self._seam.held, None
        self._progress.anew()
        yield from self._tell()
        for piece in held:
            yield self._delta(piece) if isinstance(piece, str) else self._beside(piece)

    def _left(self) -> Iterable[StreamEvent]:
        """Half a pair whose other half did not come before the failure; one that is reopened delivers it again."""
        if self._carried and not self._framed and self._seam is None:
            yield from flush_surrogate(self._carried, self._lone, self._delta)

    def _end(self) -> Iterable[StreamEvent]:
        """The source has ended by itself, or time is up."""
        progress, reason = self._progress, self._reason
        if self._seam is not None and reason != "timeout":
            yield from self._diverged()  # shorter than what had been read
        yield from self._tell()
        yield from flush_surrogate(self._carried, self._lone, self._delta)
        if reason is None and self._readers:
            # Chunks of a provider say when they are through: without that the answer was cut off on its way.
            if self._framed:
                raise StreamCutOff("the provider's stream stopped without saying that the answer is through")
            reason = "incomplete"
        reason = reason or "stop"
        if progress.refused and reason == "stop":
            reason = "refusal"  # chat completions have no reason of their own for it
        self._point.over = True
        yield Ended(reason, progress.offset, progress.index, progress.usage)
