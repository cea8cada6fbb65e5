"""`fallback`: when one model fails, another one answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cortex_rx import validation as check
from cortex_rx.errors import CallbackError, InvalidArgument, SourceConsumed
from cortex_rx.retry.judge import judge
from cortex_rx.retry.table import Verdict
from cortex_rx.sources.opening import SingleUse, check_stream
from cortex_rx.sources.reopening import Reopenable, ResumePoint, restart

__all__ = ["Fallback", "fallback"]


@dataclass(frozen=True, slots=True)
class Fallback:
    """Several sources, of which each one takes over when the one before it fails; see `fallback`."""

    sources: tuple[Reopenable, ...]
    names: tuple[str, ...]
    """What each is called in the log and in notes of errors."""
    when: Callable[[Exception], bool] | None = None

    def takes_over(self, error: Exception) -> bool:
        """Whether the next source is asked after this error.  Raises `CallbackError` if `when` fails."""
        if isinstance(error, SourceConsumed):
            return True  # a `resume` asks all once more, and this one cannot be read again
        if self.when is None:
            return judge(error).verdict in (Verdict.TRANSIENT, Verdict.FINAL)
        try:
            return bool(self.when(error))
        except Exception as bug:
            raise CallbackError("fallback", bug) from bug

    @property
    def keeps_text(self) -> bool:
        """Whether one of them is asked to go on from the text so far."""
        return any(one.how == "prefill" for one in self.sources)


def fallback(*sources: Any, when: Callable[[Exception], bool] | None = None) -> Fallback:
    """A source that asks another model when one fails: `from_stream(fallback(a, b, ...))`.

    Each source says how the text goes on when it takes over, as it says how it is reopened: with `restart` its text is
    a new attempt, which replaces the text so far; with `prefill` it is asked to go on from the text so far
    (`point.text`); with `replayable` it delivers the same text again, and other text is a new attempt.  Any other
    stream, or function that opens one, begins anew, as with `restart`; only a function can be opened twice, and
    any other stream is passed over then.

    A source that takes over says so: `Problem` carries the error of the source before it, and `Resumed` has its number
    in `source`, with the name of the error.  `when(error)` decides which errors it takes over after.  By default these
    are all failures of a source: failed connections, timeouts (a `timeout` downstream counts for each source anew), a
    stream that is cut off, an overloaded provider, and what this provider refuses for good (a wrong key, an unknown
    model), since the next one may not.  A bug of a program is passed on.  If the last source fails too, its error is
    passed on, with a note of each one before it.

    With a `resume` downstream, the sources are asked in turn once more after each of its pauses, beginning with the
    first.  A stream that is resumed in another process begins with the first one, too.

    >>> import asyncio
    >>> from reactivex import operators as ops
    >>> from cortex_rx import Turn, from_stream, operators as cx, prefill, run
    >>> async def large(point):
    ...     yield "Good "
    ...     raise ConnectionError("overloaded")
    >>> async def small(point):
    ...     yield f"day (after {point.text!r})"
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> answer = from_stream(fallback(prefill(large), prefill(small)), turn=turn)
    >>> asyncio.run(run(answer.pipe(cx.text(), ops.to_list())))
    ['Good ', "day (after 'Good')"]
    """
    if any(isinstance(source, Fallback) for source in sources):
        raise InvalidArgument("sources", "a fallback in a fallback", "one fallback of all sources, in their order")
    asked = tuple(map(_reopenable, sources))
    if len(asked) < 2:
        raise InvalidArgument("sources", len(asked), "two sources or more")
    check.optional(check.function)("when", when)
    return Fallback(asked, tuple(map(_name, sources)), when)


def _reopenable(source: Any) -> Reopenable:
    if isinstance(source, Reopenable):
        return source
    try:
        check_stream(source)
    except InvalidArgument as error:
        raise InvalidArgument("sources", error.given, error.accepted) from None
    reads = SingleUse(source)

    def open_(point: ResumePoint) -> Any:
        reads.claim()
        return reads.open()

    return restart(open_)


def _name(source: Any) -> str:
    made = source.factory if isinstance(source, Reopenable) else source
    return str(getattr(made, "__name__", type(made).__name__))
