"""Marbles as text: read, played as a source, expected of a trace, and drawn again unchanged."""

import asyncio
from contextlib import nullcontext
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx import operators as cx
from cortex_rx import run, stream
from cortex_rx.chain import chain
from cortex_rx.errors import ChainOrderError, InvalidArgument, StreamTimeout
from cortex_rx.events import Begun, Custom, Delta, Ended, Opened, PartialStored, Replayed, Resumed, StreamEvent
from cortex_rx.models.turn import Turn
from cortex_rx.testing import (
    EPOCH,
    Deadlock,
    Mark,
    Trace,
    assert_marbles,
    assert_no_leaks,
    marbles,
    parse_marbles,
    run_virtual,
)

MS = timedelta(milliseconds=1)
LOST = ConnectionError("lost")


def played(lane, *args, then=(), **kwargs):
    """What came of a source, with its times; how it ended is the last of them."""
    trace = Trace()

    try:
        run_virtual(run(marbles(lane, *args, **kwargs).pipe(*then, trace.tap("out"))))
    except (ConnectionError, StreamTimeout, Deadlock):
        pass
    return trace


def events(lane, *args, **kwargs):
    return played(lane, *args, **kwargs).values("out")


# --- the notation -----------------------------------------------------------------------------------------------------


def marks(lane, values=None, **kwargs):
    return [(round(mark.at * 1000, 3), mark.value if mark.kind == "next" else mark.kind)
            for mark in parse_marbles(lane, values, **kwargs)]  # fmt: skip


@pytest.mark.parametrize(
    ("lane", "read"),
    [
        ("", []),
        ("---", []),
        ("a", [(0, "a")]),
        ("--a-5--|", [(20, "a"), (40, "5"), (70, "completed")]),
        ("ab#", [(0, "a"), (10, "b"), (20, "error")]),
        ("-(ab)c|", [(10, "a"), (10, "b"), (20, "c"), (30, "completed")]),
        ("(a|)", [(0, "a"), (0, "completed")]),
        ("-!", [(10, "disposed")]),
        ("  --a b  |  ", [(20, "a"), (30, "b"), (40, "completed")]),
        ("( a1 b )c", [(0, "a1"), (0, "b"), (10, "c")]),
        ("(a1 )", [(0, "a1")]),
        ("a{30 frames}b", [(0, "a"), (310, "b")]),
        ("a{1 frame}b", [(0, "a"), (20, "b")]),
        ("a{5 s}b", [(0, "a"), (5010, "b")]),
        ("{250ms}b{2 min}c", [(250, "b"), (120260, "c")]),
        ("{1.5 s}a", [(1500, "a")]),
        ("ä-λ", [(0, "ä"), (20, "λ")]),
        ("-a#-b|", [(10, "a"), (20, "error"), (40, "b"), (50, "completed")]),
    ],
)
def test_what_a_lane_says(lane, read):
    assert marks(lane) == read


def test_letters_stand_for_what_one_says():
    assert marks("-a-(bc)", {"a": 5, "b": None}) == [(10, 5), (30, None), (30, "c")]
    assert parse_marbles("-#", error=LOST) == [Mark(0.01, "error", LOST)]
    assert marks("-a", frame=0.5 * MS) == [(0.5, "a")]
    assert [mark.at for mark in parse_marbles("-" * 1_000_001 + "a", frame=0.1 * MS)] == [100.0001], (
        "no rounding adds up"
    )


@pytest.mark.parametrize(
    ("lane", "position", "shown", "accepted"),
    [
        ("--a,b", 3, ",", "a letter or digit"),
        ("^-a", 0, "^", "a letter or digit"),
        ("a_b", 1, "_", "a letter or digit"),
        ("a\nb", 1, "\n", "a letter or digit"),
        ("-(ab", 1, "(", "a group that is closed"),
        ("-((ab))", 1, "(", "without a group in it"),
        ("ab)-", 2, ")", "the end of a group only after its beginning"),
        ("-()-", 1, "()", "at least one marble"),
        ("-(  )-", 1, "(  )", "at least one marble"),
        ("-(a-b)", 3, "-", "in a group letters"),
        ("-(a,b)", 3, ",", "in a group letters"),
        ("-(ab |x)", 5, "|", "in a group letters"),
        ("a{5}b", 1, "{", "a pause like {5 s}"),
        ("a{5 h}b", 1, "{", "a pause like {5 s}"),
        ("a}b", 1, "}", "a letter or digit"),
        ("a 5s b", 2, "5s", "{5s}"),
        ("a 100ms", 2, "100ms", "{100ms}"),
    ],
)
def test_what_is_no_lane_is_refused_with_its_place(lane, position, shown, accepted):
    with pytest.raises(InvalidArgument) as caught:
        parse_marbles(lane)
    assert caught.value.field == f"lane[{position}]"
    assert caught.value.given == shown
    assert accepted in caught.value.accepted
    assert caught.value.__notes__ == [f"{lane}\n{' ' * position}{'^' * len(shown)}"]


@pytest.mark.parametrize("wrong", [timedelta(0), -MS, 0.01, None])
def test_a_frame_that_is_none_is_refused(wrong):
    for use in (parse_marbles, marbles):
        with pytest.raises(InvalidArgument, match="frame: got"):
            use("-a|", frame=wrong)
    with pytest.raises(InvalidArgument, match="lane: got 'int'"):
        marbles(5)


# --- drawn and read again ---------------------------------------------------------------------------------------------

KINDS = st.one_of(
    st.tuples(
        st.just("next"), st.one_of(st.integers(), st.text(max_size=3), st.sampled_from(["a", "b", "5", 5, True]))
    ),
    st.tuples(st.sampled_from(["completed", "disposed"]), st.none()),
    st.tuples(st.just("error"), st.just(LOST)),
)
LANES = st.lists(st.tuples(st.one_of(st.integers(0, 3), st.integers(0, 90)), KINDS), max_size=120).map(
    lambda steps: [(sum(pause for pause, _ in steps[: at + 1]), kind) for at, (_, kind) in enumerate(steps)]
)


def draw(lanes, frame):
    trace = Trace(frame.total_seconds())
    for name, happened in lanes.items():
        trace.lane(name).extend(Mark(round(at * frame / timedelta(seconds=1), 6), *kind) for at, kind in happened)
    return trace


@given(LANES, LANES, st.sampled_from([MS, 10 * MS, 50 * MS, timedelta(seconds=1), 0.5 * MS]))
def test_what_is_drawn_is_read_again_the_same(one, other, frame):
    trace = draw({"one": one, "other": other}, frame)
    for lane in ("one", "other"):
        assert parse_marbles(trace.drawn(lane), trace.key, frame=frame, error=LOST) == trace.lanes[lane]


LETTERS = st.sampled_from("abcXYZ059äλ")
NOTATION = st.lists(
    st.one_of(
        LETTERS,
        st.integers(1, 20).map("-".__mul__),
        st.lists(LETTERS, min_size=2, max_size=4).map(lambda group: f"({''.join(group)})"),
        st.integers(30, 900).map(lambda frames: f"-{{{frames} frames}}-"),
    ),
    max_size=20,
)


@given(NOTATION, st.sampled_from(["|", "#", "!", "(a|)"]))
def test_what_is_written_is_drawn_the_same(parts, end):
    """But for the silences, which may be written in several ways."""
    written = "".join(parts) + end
    happened = parse_marbles(written, error=LOST)
    trace = Trace(0.01)
    trace.lane("x").extend(happened)
    drawn = trace.drawn("x")
    assert parse_marbles(drawn, trace.key, error=LOST) == happened
    if "--" not in written and "{" not in written and written.isascii():
        assert drawn == written


def test_more_values_than_letters_are_drawn_and_read_again():
    lane = [(at, ("next", f"value {at}")) for at in range(200)] + [(200, ("next", at)) for at in range(100)]
    trace = draw({"x": lane}, MS)
    assert "(a1 )(b1 )" in trace.drawn("x")
    assert parse_marbles(trace.drawn("x"), trace.key, frame=MS) == trace.lanes["x"]


def test_five_and_the_text_five_are_told_apart():
    trace = draw({"x": [(0, ("next", 5)), (1, ("next", "5")), (2, ("next", 5))]}, MS)
    assert trace.drawn("x") == "5a5"
    assert str(trace).endswith("a = '5'")
    assert trace.key == {"5": 5, "a": "5"}


# --- a source ---------------------------------------------------------------------------------------------------------


def test_an_answer():
    trace = played("--a-(bc)--|", {"a": "Hello ", "b": "Ada", "c": Custom("citation", 1)})
    assert trace.values("out") == [
        Opened(Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada"), "stream-1", EPOCH),
        Delta("Hello ", 0, 0, 0, 0.02),
        Delta("Ada", 1, 6, 0, 0.04),
        Custom("citation", 1),
        Ended("stop", 9, 2),
    ]
    assert trace.times("out") == [0.0, 0.02, 0.04, 0.04, 0.07, 0.07]
    assert trace.lanes["out"][-1].kind == "completed"


def test_what_may_be_said_of_it():
    turn = Turn("s", "c", "Why?", agent_id="helper")
    opened, delta = events("ab|", frame=timedelta(seconds=1), turn=turn, stream_id="s-2", ended=None)[::2]
    assert opened == Opened(turn, "s-2", EPOCH)
    assert delta == Delta("b", 1, 1, 0, 1.0)
    assert events("a|", ended="length")[-1] == Ended("length", 1, 1)
    keyed = Turn("s", "c", "Why?", agent_id="helper", idempotency_key="k")
    assert events("a|", turn=keyed)[0].stream_id != "stream-1", "as from_stream has it"


def test_events_of_ones_own_pass_as_they_are():
    opened, ended = Opened(Turn("s", "c", "Why?", agent_id="helper"), "s-3", 1.0), Ended("length", 5, 1)
    begun = Begun("m-1", 1)
    out = events("--O-B-a-e-|", {"O": opened, "B": begun, "e": ended})
    assert [out[0] is opened, out[1] is begun, out[3] is ended, len(out)] == [True, True, True, 4]
    assert out[2] == Delta("a", 0, 0, 0, 0.04), "its time counts from the opening"


def test_the_text_goes_on_from_what_one_gives():
    assert events("(Ra)|", {"R": Replayed("Hello", 5, 2, 1)})[2] == Delta("a", 2, 5, 1, 0.0)
    assert events("(Da)|", {"D": Delta("xyz", 7, 40, 1, 0.0)})[2] == Delta("a", 8, 43, 1, 0.0)
    again = events("abRc|", {"R": Resumed(1, 1, 0, "lost")})
    assert again[4:] == [Delta("c", 0, 0, 1, 0.03), Ended("stop", 1, 1)], "a new attempt begins anew"
    assert events("abRc|", {"R": Resumed(1, 0, 2, "lost")})[4] == Delta("c", 2, 2, 0, 0.03)


def test_it_fails_where_it_says_so():
    trace = played("--a-#", error=LOST)
    assert trace.lanes["out"][-1] == Mark(0.04, "error", LOST)
    assert trace.values("out")[-1] == Delta("a", 0, 0, 0, 0.02), "and nothing has ended"
    assert type(played("#").lanes["out"][-1].value) is ConnectionError


def test_without_an_end_it_stays_open():
    async def main():
        async with assert_no_leaks(), stream(marbles("a")) as read:
            assert [await anext(read), await anext(read)][1] == Delta("a", 0, 0, 0, 0.0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3600):
                    await anext(read)

    run_virtual(main())


@pytest.mark.parametrize("lane", ["ab", "ab{1 min}c|", "ab{1 min}#"])
def test_it_keeps_the_limits_of_timeout(lane):
    trace = played(lane, then=[cx.timeout(idle=timedelta(seconds=30), then="end")])
    assert [mark.at for mark in trace.lanes["out"]] == [0, 0, 0.01, pytest.approx(30.01), pytest.approx(30.01)]
    assert trace.values("out")[-1] == Ended("timeout", 2, 2)
    failed = played(lane, then=[cx.timeout(idle=timedelta(seconds=30))]).lanes["out"][-1]
    assert (type(failed.value), failed.value.which, failed.value.seconds) == (StreamTimeout, "idle", 30)
    assert events("ab{1 min}c|", then=[cx.timeout(idle=timedelta(minutes=2))])[-1] == Ended("stop", 3, 3)


def test_it_waits_for_a_slow_reader():
    async def main():
        seen = []
        async with stream(marbles("-" + "a" * 100 + "|"), capacity=1) as read:
            async for event in read:
                await asyncio.sleep(0.1)
                seen.append(event)
        return len(seen), asyncio.get_running_loop().time()

    assert run_virtual(main()) == (102, pytest.approx(10.2))


@pytest.mark.parametrize("lane", ["-a|", "-a#", "-a{1 min}b|", "-a"])
def test_it_leaves_nothing(lane):
    async def main():
        async with assert_no_leaks():
            with pytest.raises((ConnectionError, StreamTimeout)) if "|" not in lane else nullcontext():
                await run(marbles(lane).pipe(cx.timeout(total=timedelta(minutes=2))))

    run_virtual(main())


def test_every_subscription_plays_it_from_the_start():
    async def main():
        source = marbles("-a|")
        seen = []
        for _ in range(2):
            async with stream(source) as read:
                seen.append([event async for event in read])
        return seen

    first, second = run_virtual(main())
    assert first[1:] == second[1:]
    assert second[0].at == first[0].at + 0.02
    assert first[1] is not second[1], "an operator may change it"


def test_it_declares_what_comes():
    with pytest.raises(ChainOrderError, match="persist_partial needs Begun"):
        chain(cx.persist_partial(_Store()))(marbles("a|"))
    chain(cx.persist_partial(_Store()))(marbles("Ba|", {"B": Begun("m-1", 1)}))


class _Store:
    async def query(self, path, args): ...

    async def mutation(self, path, args): ...

    async def close(self): ...


@pytest.mark.parametrize(
    ("lane", "field", "accepted"),
    [
        ("a|b", "lane[2]", "nothing after the end"),
        ("(a|b)", "lane[3]", "nothing after the end"),
        ("#|", "lane[1]", "nothing after the end"),
        ("a!", "lane[1]", "no ! in a source"),
        ("a$", "lane[1]", "a letter or digit"),
    ],
)
def test_what_can_be_no_source_is_refused_at_once(lane, field, accepted):
    with pytest.raises(InvalidArgument) as caught:
        marbles(lane)
    assert caught.value.field == field
    assert accepted in caught.value.accepted


@pytest.mark.parametrize("wrong", [5, None, Delta, b"a"])
def test_values_that_are_no_events_are_refused(wrong):
    with pytest.raises(InvalidArgument, match="values\\['a'\\]: got .*; accepted: text"):
        marbles("a|", {"a": wrong})


# --- what is expected -------------------------------------------------------------------------------------------------


def test_what_came_is_what_was_expected():
    values = {"a": "Hello ", "b": "Ada", "c": Custom("citation", {"n": 1})}
    trace = played("--a-(bc)--|", values)
    assert_marbles(trace, "out", "--a-(bc)--|", values)
    assert_marbles(trace, "out", "--a-(bc){2 frames}|", values | {"c": Custom, "b": Delta("Ada", 1, 6, 0, 9)})
    assert_marbles(trace, "out", "(O )-a-(bc)--(e|)", values | {"O": Opened, "e": Ended("stop", 9, 2)})
    assert_marbles(played("-a|", ended=None), "out", "-a|", ended=None)
    assert_marbles(played("-a|", ended="length"), "out", "-a|", ended="length")
    assert_marbles(played("-a{5 s}b|", frame=50 * MS), "out", "-a{100 frames}b|", frame=50 * MS)


def test_errors_are_compared():
    trace = played("-a#", error=LOST)
    for error in (None, ConnectionError, OSError, ConnectionError("lost")):
        assert_marbles(trace, "out", "-a#", error=error)
    for error in (ValueError, ConnectionError("other"), OSError("lost")):
        with pytest.raises(AssertionError, match="20 ms: expected .*, came ConnectionError\\('lost'\\)"):
            assert_marbles(trace, "out", "-a#", error=error)


def test_who_left_is_seen():
    trace = Trace()

    async def main():
        async with stream(marbles("-a-b|").pipe(trace.tap("out"))) as read:
            async for event in read:
                if isinstance(event, Delta):
                    break

    run_virtual(main())
    assert_marbles(trace, "out", "-(a!)")


@pytest.mark.parametrize(
    ("expected", "values", "how"),
    [
        ("--a-b-c|", {}, {}),
        ("--a-b---|", {}, {}),
        ("--a-b--|", {"a": "A"}, {}),
        ("--a-b--#", {}, {}),
        ("--a-b--|", {}, {"ended": "limit"}),
        ("--a-b--|", {}, {"ended": None}),
        ("--a-b--|", {}, {"frame": 11 * MS}),
        ("--(ax)-b--|", {"x": PartialStored}, {}),
        ("--a-b--|", {"b": Delta("b", 2, 1, 0, 0.0)}, {}),
        ("", {}, {}),
    ],
    ids=[
        "one too few", "too early", "another text", "no error", "another reason", "no end of the text", "other frames",
        "one is missing", "another index", "nothing",
    ],
)  # fmt: skip
def test_a_difference_is_shown(expected, values, how, snapshot):
    trace = played("--a-b--|")
    with pytest.raises(AssertionError) as caught:
        assert_marbles(trace, "out", expected, values, **how)
    assert str(caught.value) == snapshot


def test_what_goes_without_saying_is_shown_where_it_did_not_come():
    trace = Trace(clock=lambda: 0.0)
    trace.note("out", Custom("other"))
    with pytest.raises(AssertionError, match="expected an Opened, Delta 'a' @0, came Custom other"):
        assert_marbles(trace, "out", "a")


def test_an_event_of_ones_own_is_compared_as_it_compares_itself():
    class Mine(StreamEvent):
        def __init__(self, number):
            self.number = number

        def __eq__(self, other):
            return isinstance(other, Mine) and self.number % 10 == other.number % 10

    trace = played("a|", {"a": Mine(13)})
    assert_marbles(trace, "out", "a|", {"a": Mine(3)})
    with pytest.raises(AssertionError):
        assert_marbles(trace, "out", "a|", {"a": Mine(4)})


def test_a_lane_that_is_not_there_is_named():
    with pytest.raises(InvalidArgument, match="lane: got 'in'; accepted: a lane of the trace: out"):
        assert_marbles(played("a|"), "in", "a|")
    for wrong in (5, int, Delta, Replayed, Resumed):
        with pytest.raises(InvalidArgument, match="values\\['a'\\]: got .*; accepted: text"):
            assert_marbles(played("a|"), "out", "a|", {"a": wrong})
