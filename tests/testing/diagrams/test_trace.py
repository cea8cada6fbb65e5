"""The recorder and its drawings: snapshots for people, and an SVG that machines can read."""

import asyncio
import xml.etree.ElementTree as ET

import pytest
import reactivex as rx
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.notification import OnCompleted, OnError, OnNext
from syrupy.extensions.image import SVGImageSnapshotExtension

from cortex_rx.engine import run, stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import StoreBusy
from cortex_rx.events import (
    Begun,
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    Measured,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
)
from cortex_rx.models.records import MemoryEntry, ProgressiveFact, StreamMetrics
from cortex_rx.models.turn import Turn
from cortex_rx.testing import Mark, Trace, run_virtual

SVG = "{http://www.w3.org/2000/svg}"
LONG = "The quick brown fox jumps over the lazy dog. " * 40


def at(trace, *steps):
    """Note (seconds, lane, what) in virtual time."""

    async def main():
        for seconds, lane, what in steps:
            await asyncio.sleep(seconds - asyncio.get_running_loop().time())
            trace.note(lane, what)

    run_virtual(main())
    return trace


def answer():
    memory = MemoryEntry(
        memoryId="m-2", memorySpaceId="s", content="x", contentLength=1, contentType="raw", sourceType="conversation",
        sourceTimestamp=0, importance=50, tags=(), version=1, createdAt=0, updatedAt=0,
    )  # fmt: skip
    fact = ProgressiveFact(factId="f", extractedAtChunk=1, confidence=1, fact="Ada resets it every morning at nine")
    trace = Trace()
    return at(
        trace,
        (0, "source", Opened(Turn("support", "c-1", "How do I <reset> it & why?", agent_id="a"), "s-1", 1e9)),
        (0.02, "out", Begun("m-1", 1)),
        (0.02, "out", Replayed("Hello", 5, 1, 2)),
        (0.06, "source", Delta("Hello", 0, 0, 0, 0.06)),
        (0.06, "out", Delta("Hello", 0, 0, 0, 0.06)),
        (0.08, "source", Delta(LONG, 1, 5, 1, 0.08)),
        (0.08, "out", Delta(LONG, 1, 5, 1, 0.08)),
        (0.08, "out", PartialStored(offset=5, index=1, attempt=0, at=0.08)),
        (0.08, "out", FactsExtracted((fact,))),
        (0.1, "out", Problem.of("storage", StoreBusy("held by another"), recoverable=True)),
        (0.1, "out", Resumed(1, 1, 0, "the line dropped")),
        (36.1, "source", Ended("stop", 1805, 2)),
        (36.1, "source", OnCompleted()),
        (36.1, "out", Custom("tool_call", {"name": "look", "arguments": "x" * 200})),
        (36.12, "out", Remembered("c-1", ("x", "y"), (memory,), True)),
        (36.12, "out", Measured(StreamMetrics(totalChunks=2, totalCharacters=1805))),
        (36.12, "out", OnError(ConnectionError("the \x00 <line> dropped"))),
        (36.5, "late", "ä"),
    )


def test_events_as_text(snapshot):
    assert str(answer()) == snapshot


def test_events_as_svg(snapshot):
    assert answer().svg("One answer") == snapshot(extension_class=SVGImageSnapshotExtension)


def test_a_pipeline_is_recorded_where_it_is_tapped(snapshot):
    trace = Trace()

    async def numbers(_):
        for n in range(5):
            await asyncio.sleep(0.02)
            yield n

    pipeline = from_async_iterable(numbers).pipe(
        trace.tap("source"),
        ops.filter(lambda n: n % 2 == 0),
        trace.tap("even"),
        ops.map("abcde".__getitem__),
        trace.tap("out"),
    )
    assert run_virtual(run(pipeline)) == "e"
    assert str(trace) == snapshot
    assert trace.values("even") == [0, 2, 4]
    assert trace.times("even") == [0.02, 0.06, 0.1, 0.1]
    assert trace.notifications("out") == [OnNext("a"), OnNext("c"), OnNext("e"), OnCompleted()]
    assert trace.lanes["out"][-1] == Mark(0.1, "completed")


def test_an_error_and_a_dispose_are_told_apart():
    failed, left = Trace(), Trace()

    async def numbers(_):
        yield 1
        await asyncio.sleep(1)
        raise ConnectionError("dropped")

    with pytest.raises(ConnectionError):
        run_virtual(run(from_async_iterable(numbers).pipe(failed.tap("x"))))
    assert str(failed) == "ms  0 1000\nx   1-#\n\n1 frame = 500 ms\n# x = ConnectionError('dropped')"

    async def leave():
        async with stream(from_async_iterable(numbers).pipe(left.tap("x"))) as items:
            async for _ in items:
                break

    run_virtual(leave())
    assert left.text(times=False, legend=False) == "x  (1!)"
    assert left.notifications("x") == [OnNext(1)]
    assert [mark.kind for mark in left.lanes["x"]] == ["next", "disposed"]


def test_lanes_are_aligned_and_a_lane_that_ended_is_over():
    trace = at(
        Trace(0.01),
        (0.0, "a", "x"), (0.03, "a", "one"), (0.03, "a", "two"), (0.03, "longer name", "y"),
        (0.05, "a", OnCompleted()), (0.08, "longer name", "z"),
    )  # fmt: skip
    rows = trace.text(legend=False).splitlines()
    assert rows[1] == "a            x--(ab)-|"
    assert rows[2] == "longer name  ---y-------z"
    assert rows[0].index("30") == rows[1].index("(") == rows[2].index("y")
    assert rows[0].index("80") == rows[2].index("z")


def test_long_silences_are_written_as_a_number():
    trace = at(Trace(1.0), (0, "a", "x"), (3602, "a", "y"), (3603, "a", OnCompleted()))
    assert trace.text(legend=False).splitlines()[1] == "a  x-{3599 frames}-y|"
    assert "3,601 frames" in trace.svg()


def test_letters_stand_for_themselves_and_run_out_late():
    trace = Trace(clock=lambda: 0.0)
    for value in ("b", 7, *range(100, 200), "ab"):
        trace.note("many", value)
    rows = trace.text().splitlines()
    assert rows[1].startswith("many  (b 7 a c d e")
    assert "a = 100" in rows and "c = 101" in rows and not any(row.startswith("b =") for row in rows)
    letters = rows[1][len("many  (") : -1].split(" ")
    assert len(letters) == len(set(letters)) == 103 and letters[-1] != "ab"
    assert f"{letters[-1]} = 'ab'" in rows


def test_labels_and_frames_of_ones_own():
    trace = Trace(0.5, label=lambda value: value["name"], clock=iter([0.0, 1.0]).__next__)
    trace.note("x", {"name": "first"})
    trace.note("x", {"name": "second"})
    assert str(trace) == "ms  0 1000\nx   a-b\n\n1 frame = 500 ms\na = first\nb = second"


async def test_on_a_real_loop_the_time_counts_from_the_first_use():
    trace = Trace()
    assert await run(rx.of("a").pipe(trace.tap("x"))) == "a"
    assert 0 <= trace.times("x")[0] < 0.5


def test_a_trace_of_nothing():
    trace = Trace()
    trace.lane("quiet")
    assert str(trace) == "ms\nquiet\n\n1 frame = 1 s"
    assert "quiet: nothing." in trace.svg()
    assert ET.fromstring(Trace().svg()).tag == SVG + "svg"


def test_the_svg_is_accessible_and_needs_nothing_from_elsewhere():
    drawn = answer().svg("What <happened> & when")
    root = ET.fromstring(drawn)
    title, desc = root.find(SVG + "title"), root.find(SVG + "desc")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby").split() == [title.get("id"), desc.get("id")]
    assert title.text == "What <happened> & when"
    assert "source: 0 s Opened 'How do I <reset> it & why?' in support/c-1; 0.06 s Delta 'Hello' @0" in desc.text
    assert "href" not in drawn and "url(" not in drawn and "@import" not in drawn
    assert drawn == answer().svg("What <happened> & when") == answer().svg("What <happened> & when")
    assert answer()._repr_svg_() == answer().svg()


def test_no_two_marbles_of_the_svg_overlap():
    trace = Trace(0.01, clock=lambda: now)
    for step in range(40):
        now = step * step * 0.01 % 0.37
        trace.note("a" if step % 3 else "b", f"value {step}")
    for lane in trace.lanes.values():
        lane.sort(key=lambda mark: mark.at)
    places = {}
    for circle in ET.fromstring(trace.svg()).iter(SVG + "circle"):
        if circle.get("r") == "12":
            places.setdefault(circle.get("cy"), []).append(float(circle.get("cx")))
    assert len(places) == 2 and sum(map(len, places.values())) == 40
    for row in places.values():
        assert all(second - first >= 24 for first, second in zip(sorted(row), sorted(row)[1:]))


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.text(max_size=8), st.one_of(st.text(), st.integers(), st.none(), st.binary())),
        max_size=30,
    ),
    st.text(),
)
def test_anything_can_be_drawn(notes, title):
    times = iter(sorted(seconds for seconds, _, _ in notes))
    trace = Trace(clock=lambda: next(times))
    for _, lane, value in notes:
        trace.note(lane, value)
    root = ET.fromstring(trace.svg(title))
    assert len(list(root.iter(SVG + "g"))) == len(notes)
    assert str(trace) == str(trace)
