"""A source that is opened again under `resume`: replayable, with a cursor, prefill, restart.

Every reopening in these tests could give another text, so that mixing would show.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from helpers.scripts import played as script
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from cortex_rx import from_stream, run
from cortex_rx import operators as cx
from cortex_rx.errors import InvalidArgument, NotResumable, StreamCutOff, StreamTimeout
from cortex_rx.events import Custom, Delta, Ended, Opened, Problem, Resumed
from cortex_rx.models.turn import Turn
from cortex_rx.sources.model_stream import prefill, replayable, restart
from cortex_rx.sources.providers import Cursor
from cortex_rx.testing import assert_no_leaks, run_virtual

TURN = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")


@dataclass
class Model:
    """Opened for the n-th time it gives the n-th list; an exception in it is raised, a number is a pause."""

    openings: list[list]
    points: list = field(default_factory=list)
    closed: int = 0

    async def __call__(self, point):
        self.points.append(point)
        try:
            async for item in script(self.openings[len(self.points) - 1]):
                yield item
        finally:
            self.closed += 1


def played(source, *steps, leaks=assert_no_leaks, **keywords):
    """All events, and the error at the end."""

    async def main():
        pipeline = from_stream(source, turn=TURN, **keywords)
        for step in steps or (cx.resume(3, timedelta(0)),):
            pipeline = step(pipeline)
        return await run(pipeline.pipe(ops.materialize(), ops.to_list()))

    with leaks():
        seen = run_virtual(main())
    return [one.value for one in seen[:-1]], getattr(seen[-1], "exception", None)


def texts(events):
    """The text of each attempt, and that offsets and indices are those of the text."""
    found: dict[int, str] = {}
    count: dict[int, int] = {}
    for event in events:
        if isinstance(event, Delta):
            assert event.offset == len(found.get(event.attempt, ""))
            assert event.index == count.get(event.attempt, 0)
            found[event.attempt] = found.get(event.attempt, "") + event.text
            count[event.attempt] = event.index + 1
    return found


GONE = ConnectionResetError()


def test_a_replay_goes_on_where_it_was():
    model = Model([["Hello ", "A", GONE], ["He", "llo Ad", "a!", GONE], ["Hello Ada! Bye"]])
    events, error = played(replayable(model))
    assert error is None
    assert texts(events) == {0: "Hello Ada! Bye"}
    assert [e for e in events if isinstance(e, Resumed)] == [
        Resumed(1, 0, 7, "ConnectionResetError"),
        Resumed(2, 0, 10, "ConnectionResetError"),
    ]
    assert [(p.offset, p.attempt, p.retry, type(p.cause), p.text) for p in model.points] == [
        (0, 0, 0, type(None), None),
        (7, 0, 1, ConnectionResetError, None),
        (10, 0, 2, ConnectionResetError, None),
    ]
    assert model.closed == 3
    assert sum(isinstance(e, Opened) for e in events) == 1
    assert events[-1] == Ended("stop", 14, 5)


@pytest.mark.parametrize(
    ("again", "whole"),
    [(["Hello B", "ob"], "Hello Bob"), (["Hel"], "Hel"), (["hello A", "da"], "hello Ada"), ([], None)],
    ids=["other", "shorter", "case", "nothing"],
)
def test_another_text_is_a_new_attempt_and_never_mixed(again, whole):
    events, error = played(replayable(Model([["Hello ", "A", GONE], again])))
    assert error is None
    assert texts(events) == ({0: "Hello A", 1: whole} if whole else {0: "Hello A"})
    assert [(e.retry, e.attempt, e.offset) for e in events if isinstance(e, Resumed)] == [(1, 1, 0)]
    assert events[-1].offset == len(whole or "")


def chunk(text, reason=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "choices": [choice]}


@pytest.mark.parametrize("again", [[chunk("Hel")], [chunk("Hello ")]], ids=["in a piece", "after a piece"])
def test_a_replay_that_is_cut_off_again_is_no_other_text(again):
    model = Model([[chunk("Hello "), chunk("A")], again, [chunk("Hello Ada!", "stop")]])
    events, error = played(replayable(model))
    assert error is None
    assert texts(events) == {0: "Hello Ada!"}
    assert [e for e in events if isinstance(e, Resumed)] == [Resumed(2, 0, 7, "StreamCutOff")]


def test_half_a_character_at_which_a_stream_is_cut_off_comes_again_whole():
    model = Model([[chunk("Hi \ud83d")], [chunk("Hi \ud83d"), chunk("\ude00!", "stop")]])
    events, error = played(replayable(model))
    assert (error, texts(events)) == (None, {0: "Hi \U0001f600!"})
    assert not any(isinstance(e, Problem) for e in events)


def test_a_cursor_within_a_pair_of_surrogates_is_no_place_to_go_on():
    def provider(item):
        return item[0], Cursor(item[1])

    items = [("x", 1), ("a\ud83d", 2), ("\ude00", 3), ("b", 4)]
    for read in range(len(items) + 1):
        model = Model([[*items[:read], ConnectionError()]])

        def opened(point, model=model):
            if not point.retry:
                return model(point)
            model.openings.append([item for item in items if item[1] > (point.cursor or 0)])
            return model(point)

        events, _ = played(replayable(opened, cursor=True), cx.resume(1, timedelta(0)), provider=provider)
        assert "".join(event.text for event in events if isinstance(event, Delta)) == "xa\U0001f600b"
        assert model.points[1].cursor == {0: None, 1: 1, 2: 1, 3: 3, 4: 4}[read]


def test_a_cursor_goes_on_behind_the_item():
    def provider(item):
        number, text = item
        return [text, Custom("n", number), Cursor({"after": number})]

    model = Model([[(1, "one "), (2, "two "), GONE], [(3, "three")]])
    events, error = played(replayable(model, cursor=True), cx.resume(1, timedelta(0)), provider=provider)
    assert error is StreamCutOff or isinstance(
        error, StreamCutOff
    )  # no Finish came: the provider did not say it was through
    assert texts(events) == {0: "one two three"}
    assert [p.cursor for p in model.points] == [None, {"after": 2}]
    assert [e.data for e in events if isinstance(e, Custom)] == [1, 2, 3]


def test_what_came_beside_the_text_does_not_come_twice():
    call = Custom("tool_calls", [1])
    provider = {"tool": call}.get
    model = Model([["a", "tool", "b", "tool", GONE], ["a", "tool", "b", "tool", "tool", "c"]])
    events, _ = played(
        replayable(model), cx.resume(1, timedelta(0)), provider=lambda i: [provider(i)] if provider(i) else None
    )
    assert texts(events) == {0: "abc"}
    assert len([e for e in events if isinstance(e, Custom)]) == 3


def test_prefill_goes_on_after_the_text_without_the_space_at_its_end():
    model = Model([["Hello ", "dear ", GONE], [" Ada", GONE], [", hi"]])
    events, error = played(prefill(model))
    assert error is None
    assert texts(events) == {0: "Hello dear Ada, hi"}
    assert [p.text for p in model.points] == [None, "Hello dear", "Hello dear Ada"]


def test_the_seam_of_a_prefill_with_several_blanks():
    model = Model([["a\n\n", GONE], ["\n", "\n", "  b"]])
    events, _ = played(prefill(model))
    assert texts(events) == {0: "a\n\n  b"}


class Refused(Exception):
    status_code = 400


def test_a_provider_that_refuses_a_prefill_is_asked_otherwise():
    anew = Model([["Good day"]])
    model = Model([["Hello ", GONE], [Refused()]])
    events, error = played(prefill(model, otherwise=restart(anew)))
    assert error is None
    assert texts(events) == {0: "Hello ", 1: "Good day"}
    assert anew.points[0].retry == 1
    assert [(e.attempt, e.offset) for e in events if isinstance(e, Resumed)] == [(1, 0)]


def test_without_that_its_refusal_is_the_error():
    events, error = played(prefill(Model([["Hello ", GONE], [Refused()]])))
    assert isinstance(error, Refused)
    assert texts(events) == {0: "Hello "}


def test_a_restart_is_a_new_attempt():
    events, error = played(restart(Model([["Hello ", GONE], [GONE], ["Good ", "day"]])))
    assert error is None
    assert texts(events) == {0: "Hello ", 1: "Good day"}
    resumed = [(e.retry, e.attempt, e.offset) for e in events if isinstance(e, Resumed)]
    assert resumed == [(2, 1, 0)], "the first reopening failed before anything came: the source was not back"


def test_half_a_character_comes_again_whole():
    high, low = "\ud83d", "\ude00"
    events, error = played(replayable(Model([["a" + high, GONE], ["a" + high, low + "b"]])))
    assert error is None
    assert texts(events) == {0: "a\U0001f600b"}


@given(st.data())
def test_any_text_cut_anywhere_is_whole_in_the_end(data):
    """Whatever the pieces and wherever the connection breaks: one text, once."""
    text = data.draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))

    def split():
        out, at = [], 0
        while at < len(text):
            to = data.draw(st.integers(at + 1, len(text)))
            out.append(text[at:to])
            at = to
        return out

    openings = []
    for _ in range(data.draw(st.integers(0, 3))):
        parts = split()
        openings.append([*parts[: data.draw(st.integers(0, len(parts)))], GONE])
    openings.append(split())
    events, error = played(replayable(Model(openings)), leaks=nullcontext)
    assert error is None
    assert texts(events) == {0: text}


def test_a_source_that_does_not_say_how_is_refused_before_it_is_opened():
    opened = []

    async def model():
        opened.append(1)
        yield "a"

    for source in (model, ["a"], model()):
        events, error = played(source)
        assert isinstance(error, NotResumable)
        assert "replayable(factory)" in str(error)
        assert events == []
    assert opened == []
    with pytest.raises(InvalidArgument, match="factory: got 'list'"):
        replayable(["a"])


def test_the_timeout_counts_per_opening():
    model = Model([["a", 10, "never"], ["a", 0.9, "b", 0.9, "c"]])
    events, error = played(replayable(model), cx.timeout(idle=timedelta(seconds=1)), cx.resume(1, timedelta(0)))
    assert error is None
    assert texts(events) == {0: "abc"}
    model = Model([["a", 10, "never"], ["a", 10, "never"]])
    _, error = played(replayable(model), cx.timeout(idle=timedelta(seconds=1)), cx.resume(1, timedelta(0)))
    assert isinstance(error, StreamTimeout)


def test_marks_carry_the_place_in_the_source():
    events, _ = played(replayable(Model([["Hello ", GONE], ["Hello ", "Ada"]])))
    marks = [e.mark for e in events if isinstance(e, Delta)]
    assert [mark.offset for mark in marks] == [6, 9]
    assert marks[-1].segments[0].end == 9
