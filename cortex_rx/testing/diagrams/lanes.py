"""Marbles written as text: as a source of events, and as the expected output.

    >>> from cortex_rx import operators as cx, run
    >>> from cortex_rx.testing import Trace, run_virtual
    >>> trace = Trace()
    >>> source = marbles("--a-b--|", {"a": "Hello ", "b": "Ada"})
    >>> _ = run_virtual(run(source.pipe(cx.limit(8, then="end"), trace.tap("out"))))
    >>> assert_marbles(trace, "out", "--a-(b|)", {"a": "Hello ", "b": "Ad"}, ended="limit")

The notation is the one that `Trace` draws. One character is one frame:

* `-` nothing happens; a letter or digit is an item; `|` completes, `#` fails, `!` is disposed before its end.
* `(ab)` all in one frame. A group is **one frame long** (in RxJS and RxPY it is as long as its text).
* `( a1 b )` names of more than one letter, separated by spaces: the only place where a space has a meaning.
* `{5 s}`, `{250 ms}`, `{2 min}`, `{30 frames}` a pause of this length.

In a drawing of several lanes, `Trace` pads a lane where another one has a group; `Trace.drawn` returns one lane alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

from reactivex import Observable

from cortex_rx import validation as check
from cortex_rx.chain import declare
from cortex_rx.engine import FlowScheduler
from cortex_rx.engine.deadline import SourceTimedOut, TimeoutGuard
from cortex_rx.engine.frames import pull
from cortex_rx.errors import InvalidArgument, StreamTimeout
from cortex_rx.events import Delta, Ended, Opened, Replayed, Resumed, StreamEvent
from cortex_rx.folds.position import TextPosition
from cortex_rx.models.turn import Turn
from cortex_rx.sources.model_stream import stream_id_of
from cortex_rx.testing.diagrams._compare import Written, compare
from cortex_rx.testing.diagrams._notation import read, refuse
from cortex_rx.testing.diagrams.trace import Kind, Mark, Trace

__all__ = ["assert_marbles", "marbles", "parse_marbles"]

FRAME = timedelta(milliseconds=10)
TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")


def _failure() -> Exception:
    return ConnectionError("the source failed")


def _read(lane: str, values: Mapping[str, Any], frame: timedelta, error: object) -> Iterator[Written]:
    ends: dict[str, tuple[Kind, object]] = {"|": ("completed", None), "#": ("error", error), "!": ("disposed", None)}
    for sign in read(lane, frame):
        kind, value = ends.get(sign.letter) or ("next", values.get(sign.letter, sign.letter))
        yield Written(Mark(sign.at / 1e6, kind, value), sign.letter)


def _events(lane: Iterable[Written], ended: str | None) -> list[Written]:
    """The lane with texts made into deltas, and with `Opened` (its class) and `Ended` if it has none of its own."""
    items = list(lane)
    own = [mark for mark, _ in items if _is(mark.value, Opened)]
    start = own[0].at if own else 0.0
    out = [] if own else [Written(Mark(0.0, "next", Opened), "")]
    position = TextPosition()
    for mark, letter in items:
        value = mark.value
        if isinstance(value, str):
            value = Delta(value, position.index, position.offset, position.attempt, round(mark.at - start, 6))
        if isinstance(value, StreamEvent):
            position.take(value)
        if mark.kind == "completed" and ended and not any(_is(each.value, Ended) for each, _ in out):
            out.append(Written(Mark(mark.at, "next", Ended(ended, position.offset, position.index)), ""))
        out.append(Written(Mark(mark.at, mark.kind, value), letter))
    return out


def _is(value: object, kind: type[StreamEvent]) -> bool:
    return value is kind or isinstance(value, kind)


_VALUES = check.instance(Mapping, "a mapping of letters to what they stand for")
_ERROR = check.instance(Exception, "an exception")


def parse_marbles(
    lane: str,
    values: Mapping[str, Any] | None = None,
    *,
    frame: timedelta = FRAME,
    error: Exception | None = None,
) -> list[Mark]:
    """Parse a lane into the marks of a `Trace`; the notation is described above.

    `values` maps letters to any values; other letters stand for themselves. `frame` is the time of one character.
    `error` is the exception for `#`, a `ConnectionError` by default.

    Raises `InvalidArgument`, which names the position, if the text is not a valid lane.

    >>> parse_marbles("-a-(b|)", {"a": 5})
    [Mark(at=0.01, kind='next', value=5), Mark(at=0.03, kind='next', value='b'), Mark(at=0.03, kind='completed', ...)]
    >>> parse_marbles("-a$|")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: lane[2]: got '$'; accepted: a letter or digit, - for a frame of silence, ...
    -a$|
      ^
    """
    check.optional(_VALUES)("values", values)
    check.optional(_ERROR)("error", error)
    return [mark for mark, _ in _read(lane, dict(values or {}), frame, error or _failure())]


def marbles(
    lane: str,
    values: Mapping[str, str | StreamEvent] | None = None,
    *,
    frame: timedelta = FRAME,
    turn: Turn = TURN,
    stream_id: str = "stream-1",
    ended: str | None = "stop",
    error: Exception | None = None,
) -> Observable[StreamEvent]:
    """A source of events written as marbles; the notation is described above.

    A letter stands for a `Delta` of its text in `values`, or of the letter itself; offsets and indices are counted. An
    event in `values` is emitted unchanged, the same object each time. After your own `Delta`, `Replayed` or `Resumed`,
    the text continues from there.

    `Opened` (of `turn` and `stream_id`) comes first, in the first frame, and `Ended` with the reason `ended` at `|`,
    unless the lane has its own. With `ended=None` the source only completes. At `#` it raises `error`, a
    `ConnectionError` by default. A lane without an end stays open.

    It is a cold source with the behaviour of all our sources: it waits while a gate is full, obeys `timeout`, and plays
    the lane from the start for each subscription. Use it in virtual time.

    Raises `InvalidArgument` at once, which names the position, if the text is not a valid lane or continues after its
    end.

    >>> from cortex_rx import operators as cx, run
    >>> from cortex_rx.testing import run_virtual
    >>> run_virtual(run(marbles("--a-b--|", {"a": "Hello "}).pipe(cx.last())))
    Ended(reason='stop', offset=7, index=2, usage=None, model=None)
    >>> marbles("--a|b")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: lane[4]: got 'b'; accepted: nothing after the end
    --a|b
        ^
    """
    check.optional(_VALUES)("values", values)
    check.instance(Turn, "a Turn")("turn", turn)
    check.name("stream_id", stream_id)
    check.optional(check.name)("ended", ended)
    check.optional(_ERROR)("error", error)
    known = dict(values or {})
    for name, value in known.items():
        check.name("values", name)
        if not isinstance(value, str | StreamEvent):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument(
                f"values[{name!r}]", check.shown(value), "text, which stands for a Delta, or an event"
            )
    over = False
    for sign in read(lane, frame):
        if over:
            refuse(lane, sign.position, "nothing after the end")
        if sign.letter == "!":
            refuse(lane, sign.position, "no ! in a source: only a reader disposes")
        over = sign.letter in ("|", "#")

    async def play(flow: FlowScheduler) -> AsyncGenerator[StreamEvent, None]:
        begun, offset, index = flow.time(), 0, 0
        watch = TimeoutGuard(flow.timeout_policy) if flow.timeout_policy else None
        try:
            for mark, _ in _events(_read(lane, known, frame, error or _failure()), ended):
                await _until(begun + mark.at, flow, watch)
                if mark.kind == "error":
                    raise mark.value
                if mark.kind == "next":
                    event = mark.value
                    if event is Opened:
                        event = Opened(turn, stream_id_of(turn, lambda: stream_id), flow.wall())
                    elif isinstance(event, Delta):
                        offset, index = event.offset + len(event.text), event.index + 1
                    yield event
            if not over:
                with watch or nullcontext():
                    await asyncio.get_running_loop().create_future()
        except SourceTimedOut as late:
            if not late.policy.clean:
                raise StreamTimeout(late.which, getattr(late.policy, late.which)) from late
            yield Ended("timeout", offset, index)
        finally:
            if watch:
                watch.close()

    kinds = {type(value) for value in known.values() if isinstance(value, StreamEvent)}
    return declare(pull(play), {Opened, Delta, Ended} | kinds)


async def _until(when: float, flow: FlowScheduler, watch: TimeoutGuard | None) -> None:
    if (pause := when - flow.time()) > 0:
        patience: AbstractContextManager[None] = watch or nullcontext()
        with patience:
            await asyncio.sleep(pause)


def assert_marbles(
    trace: Trace,
    lane: str,
    expected: str,
    values: Mapping[str, str | StreamEvent | type[StreamEvent]] | None = None,
    *,
    frame: timedelta = FRAME,
    ended: str | None = "stop",
    error: Exception | type[Exception] | None = None,
) -> None:
    """Assert that what passed on a lane of events matches the marbles exactly. Raises `AssertionError` if it does not.

    The lane is read as by `marbles`: a text is a `Delta` with that text and the right offset and index. Any `Opened` is
    expected in the first frame, and `Ended` with the reason `ended` at `|`, unless the lane has its own (`ended=None`:
    no `Ended`). Events are compared field by field, without `at`. A class stands for any of its events, except `Delta`,
    `Replayed` and `Resumed`, which determine where the text continues. `error` is the exception for `#`, compared by
    type and message, or its class; by default any exception matches.

    For lanes of other values, compare `trace.lanes[lane]` with `parse_marbles(...)`.

    >>> from cortex_rx import operators as cx, run
    >>> from cortex_rx.testing import run_virtual
    >>> trace = Trace()
    >>> _ = run_virtual(run(marbles("--a-b--|").pipe(trace.tap("out"))))
    >>> assert_marbles(trace, "out", "--a--b-|", {"a": "A"})
    Traceback (most recent call last):
    ...
    AssertionError: out is not what was expected
    <BLANKLINE>
    ms          20 50
    expected  --a--b-|
    came      --c-b--|
    <BLANKLINE>
    1 frame = 10 ms
    a = Delta 'A' @0
    b = Delta 'b' @1
    c = Delta 'a' @0
    <BLANKLINE>
    20 ms: expected Delta 'A' @0, came Delta 'a' @0
    40 ms: expected nothing, came Delta 'b' @1
    50 ms: expected Delta 'b' @1, came nothing
    """
    check.instance(Trace, "a Trace")("trace", trace)
    check.name("lane", lane)
    check.instance(str, "marbles as text")("expected", expected)
    check.optional(_VALUES)("values", values)
    check.optional(check.name)("ended", ended)
    if error is not None and not (isinstance(error, type) and issubclass(error, Exception)):
        _ERROR("error", error)
    if lane not in trace.lanes:
        raise InvalidArgument("lane", lane, f"a lane of the trace: {', '.join(trace.lanes) or 'it has none'}")
    known = dict(values or {})
    for name, value in known.items():
        check.name("values", name)
        known_class = isinstance(value, type) and issubclass(value, StreamEvent)
        if not (isinstance(value, str | StreamEvent) or (known_class and value not in (Delta, Replayed, Resumed))):
            accepted = (
                "text, which stands for a Delta, an event, or a class of events, but for Delta, Replayed and Resumed"
            )
            raise InvalidArgument(f"values[{name!r}]", check.shown(value), accepted)
    written = _events(_read(expected, known, frame, error or Exception), ended)
    if message := compare(lane, written, trace.lanes[lane], frame.total_seconds()):
        raise AssertionError(message)
