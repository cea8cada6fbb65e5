"""One opening of a source that can be reopened: its events, from where the last opening ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from functools import partial
from itertools import takewhile
from typing import Any

from cortex_rx.errors import StreamCutOff, StreamTimeout
from cortex_rx.events import Custom, Delta, Ended, Reread, Resumed, StreamEvent
from cortex_rx.flow import Flow, OutOfPatience, Reopening
from cortex_rx.marks import Seam
from cortex_rx.opening import Once, Watched, open_stream
from cortex_rx.providers import Cursor, Finish, Piece
from cortex_rx.reopening import Progress, Reopenable, ResumePoint
from cortex_rx.retry import status_of
from cortex_rx.surrogates import LONE, half, whole

__all__ = ["Reading", "no_piece"]

_REFUSED = (400, 404, 422)  # HTTP: what a provider says who takes no beginning of an answer


class Reading:
    """Reads one opening.  `read` gives the pieces in an item, and says in `seen` whether a provider read it."""

    def __init__(
        self,
        declared: Reopenable,
        progress: Progress,
        flow: Flow,
        under: Reopening | None,
        read: Callable[[Any], Iterable[Piece]],
        seen: dict[type, Any],
    ) -> None:
        self._declared, self._progress, self._flow, self._read, self._seen = declared, progress, flow, read, seen
        self._framed = under is not None  # a `resume` stands downstream: what is cut off is a failure
        self._point = under or Reopening()
        self._seam: Seam | None = None
        self._skipped = 0  # events beside the text that came again
        self._trim = ""
        self._told = True
        self._carried = ""
        self._lone = False
        self._reason: str | None = None

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """The events of this opening, to `Ended`; what the source raises is raised."""
        progress = self._progress
        declared: Reopenable | None = self._declared
        again = progress.opened
        progress.opened = True
        while declared:
            self._prepare(declared, again)
            before = progress.offset, progress.attempt
            try:
                async with aclosing(self._opened(declared)) as events:
                    async for event in events:
                        yield event
                break
            except Exception as error:
                refused = declared.how == "prefill" and again and before == (progress.offset, progress.attempt)
                if not (refused and declared.otherwise and status_of(error) in _REFUSED):
                    for event in self._left():
                        yield event
                    raise
                declared = declared.otherwise
        for event in self._end():
            yield event
        reason = self._reason
        if reason is None and self._seen:
            if self._framed:
                raise StreamCutOff("the provider's stream stopped without saying that the answer is through")
            reason = "incomplete"
        yield Ended(reason or "stop", progress.offset, progress.index, progress.usage)

    def _prepare(self, declared: Reopenable, again: bool) -> None:
        """Before the source is opened: what it is to be compared with, or a new attempt."""
        self._seam, self._trim, self._told = None, "", not again
        progress = self._progress
        from_start = declared.how == "replayable" and progress.place(declared) is None
        self._skipped = 0 if from_start else progress.customs
        if not (again and (progress.offset or progress.customs)):
            return
        if declared.how == "restart":
            progress.anew()
        elif declared.how == "replayable":
            self._seam = progress.seam(declared)
            if self._seam is None:
                progress.anew()
            elif self._seam.reached:
                self._seam = None

    def _tell(self) -> Iterable[StreamEvent]:
        """That the source was reopened, once it is known where the text goes on."""
        if self._told:
            return ()
        self._told = True
        progress, point = self._progress, self._point
        cause = type(point.cause).__name__ if point.cause else "TakenOver"
        return (Resumed(point.retry, progress.attempt, progress.offset, cause),)

    async def _opened(self, declared: Reopenable) -> AsyncGenerator[StreamEvent, None]:
        progress, flow = self._progress, self._flow
        once = Once(partial(declared.factory, self._told_to(declared)))
        async with AsyncExitStack() as stack:
            opening = partial(open_stream, once, flow, stack)
            try:
                items = Watched(opening, flow, stack) if flow.patience else await opening()
                async for item in items:
                    cursor: Cursor | None = None
                    for piece in self._read(item):
                        if isinstance(piece, str):
                            for event in self._text(piece):
                                yield event
                        elif isinstance(piece, Custom):
                            for event in self._custom(piece):
                                yield event
                        elif isinstance(piece, Finish):
                            self._reason = piece.reason or self._reason
                            progress.used(piece.usage)
                        elif isinstance(piece, Cursor):  # pyright: ignore[reportUnnecessaryIsInstance]
                            cursor = piece
                        else:
                            raise no_piece(piece)
                    if cursor and self._seam is None:  # it goes on behind the whole item
                        progress.cursor, progress.cursor_at = cursor.value, progress.offset
            except OutOfPatience as error:
                if not error.patience.clean:
                    raise StreamTimeout(error.which, getattr(error.patience, error.which)) from error
                self._reason = "timeout"

    def _told_to(self, declared: Reopenable) -> ResumePoint:
        progress, point = self._progress, self._point
        text: str | None = None
        if declared.how == "prefill" and progress.text is not None:
            whole_text = progress.text.getvalue()
            text = whole_text.rstrip()
            self._trim = whole_text[len(text) :]
        cursor = progress.place(declared)
        return ResumePoint(progress.offset, progress.attempt, point.retry, point.cause, cursor, text or None)

    def _text(self, piece: str) -> Iterable[StreamEvent]:
        if self._carried or not piece.isascii():
            piece, self._carried, lone = whole(self._carried + piece)
            if lone and not self._lone:
                self._lone = True
                yield LONE
        if not piece:
            return
        if self._seam is not None:
            self._seam.held.append(piece)
            rest = self._seam.take(piece)
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
            yield Reread(piece, progress.attempt, self._flow.time() - progress.base)

    def _custom(self, piece: Custom) -> Iterable[StreamEvent]:
        if self._seam is not None:
            self._seam.held.append(piece)
            self._skipped += 1
        elif self._skipped < self._progress.customs:
            self._skipped += 1  # it had come before the source failed
        else:
            yield from self._tell()
            self._progress.customs += 1
            self._skipped += 1
            yield piece

    def _diverged(self) -> Iterable[StreamEvent]:
        """It is another text: all of it is a new attempt."""
        assert self._seam is not None
        held, self._seam = self._seam.held, None
        self._progress.anew()
        yield from self._tell()
        for piece in held:
            if isinstance(piece, str):
                yield self._delta(piece)
            else:
                self._progress.customs += 1
                self._skipped += 1
                yield piece

    def _left(self) -> Iterable[StreamEvent]:
        """Half a pair whose other half did not come before the failure; one that is reopened delivers it again."""
        if self._carried and not self._framed and self._seam is None:
            yield from half(self._carried, self._lone, self._delta)

    def _end(self) -> Iterable[StreamEvent]:
        """The source has ended by itself."""
        if self._seam is not None and self._reason != "timeout":
            yield from self._diverged()  # shorter than what had been read
        yield from self._tell()
        if self._carried:
            yield from half(self._carried, self._lone, self._delta)


def no_piece(piece: object) -> TypeError:
    """A provider gave what it may not."""
    return TypeError(
        f"a provider gave a piece of type {type(piece).__name__}; accepted are str, Custom, Finish and Cursor"
    )
