"""`record`: what passed at each step, as text and as SVG; in virtual time beside a running loop."""

import asyncio
import threading
import time
import xml.etree.ElementTree as ElementTree
from datetime import timedelta

import pytest
import reactivex as rx
from reactivex import operators as ops

from cortex_rx import Turn, default_chain
from cortex_rx import operators as cx
from cortex_rx.engine import passing
from cortex_rx.errors import CallbackError, ChainOrderError, InvalidArgument
from cortex_rx.events import Begun, Delta, Ended, Measured, Opened, PartialStored, Remembered
from cortex_rx.jupyter import record
from cortex_rx.testing import Deadlock, assert_no_leaks, run_virtual

WORDS = ("It ", "is ", "in ", "Lisbon.")


async def test_a_lane_for_the_source_and_one_for_each_step(lab, snapshot):
    async with assert_no_leaks(), lab.backend() as backend:
        recording = await record(lab.model(*WORDS, pause=0.2), default_chain(backend), virtual=True)
        assert list(recording.trace.lanes) == ["source", "begin", "persist_partial", "recover", "finalize", "measure"]
        added = [type(event) for event in recording.events if type(event) not in (Opened, Delta, Ended)]
        assert added == [Begun, PartialStored, PartialStored, Remembered, Measured]
        assert recording.error is None
        assert [type(event) for event in recording.trace.values("source")] == [Opened, *[Delta] * 4, Ended]
        assert repr(recording) == snapshot
        root = ElementTree.fromstring(recording._repr_svg_())
        assert root.tag.endswith("svg") and "Remembered" in root.findtext("{http://www.w3.org/2000/svg}desc")
        assert recording._repr_html_() is None
    assert await lab.stored("recording") == [("It is in Lisbon.", False), ("a question", False)]


async def test_virtual_time_is_exact_and_takes_no_time(lab):
    begun = time.monotonic()
    recording = await record(lab.model(*WORDS, pause=3600), cx.timeout(idle=timedelta(hours=2)), virtual=True)
    assert recording.trace.times("timeout") == [0, 3600, 7200, 10800, 14400, 14400, 14400]
    assert time.monotonic() - begun < 20
    assert "frames}" in repr(recording)


async def test_in_real_time_it_runs_on_the_loop_that_is_there(lab):
    go = asyncio.get_running_loop().create_future()
    threads = []

    async def source():
        threads.append(threading.current_thread())
        yield "a"
        await go
        yield "b"

    recorded = asyncio.create_task(record(source))
    await asyncio.sleep(0.01)
    assert not recorded.done()
    go.set_result(None)
    recording = await recorded
    assert [event.text for event in recording.events if isinstance(event, Delta)] == ["a", "b"]
    assert threads == [threading.current_thread()] and list(recording.trace.lanes) == ["source"]


def test_in_virtual_time_already_it_stays_there(lab):
    async def main():
        await asyncio.sleep(1)
        return await record(lab.model("a"), virtual=True)

    assert run_virtual(main()).trace.times("source") == [1.0, 1.1, 1.1, 1.1]


async def test_what_waits_for_something_real_is_a_deadlock_in_virtual_time(lab):
    async def source():
        yield "a"
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="every task waits and no timer is set"):
        await record(source, virtual=True)


async def test_an_interrupted_recording_is_stopped_and_keeps_what_came(lab):
    loop, streaming = asyncio.get_running_loop(), asyncio.Event()

    async def endless():
        lab.opened += 1
        try:
            while True:
                await asyncio.sleep(0.1)
                yield "x"
                loop.call_soon_threadsafe(streaming.set)
        finally:
            lab.closed += 1

    async with assert_no_leaks():
        async with lab.backend() as backend:
            before = asyncio.all_tasks()
            task = asyncio.create_task(record(endless, default_chain(backend).without("measure"), virtual=True))
            await streaming.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (lab.opened, lab.closed) == (1, 1) and asyncio.all_tasks() == before
        ((content, partial),) = await lab.stored("recording")
        assert partial and content and set(content) == {"x"}


@pytest.mark.parametrize("virtual", [True, False])
async def test_a_stream_that_fails_is_a_recording_too(lab, virtual):
    error = ConnectionError("the line broke")
    recording = await record(lab.model("a", pause=0.01, fail=error), cx.measure(), virtual=virtual)
    assert recording.error is error
    assert [type(event) for event in recording.events] == [Opened, Delta, Measured]
    assert "ConnectionError('the line broke')" in repr(recording) and "ConnectionError" in recording._repr_svg_()


async def test_so_is_one_in_which_a_callback_raised(lab):
    recording = await record(lab.model("a"), cx.step("broken", ops.map(lambda event: event.nothing)), virtual=True)
    assert isinstance(recording.error, CallbackError) and recording.events == ()


async def test_a_bug_in_an_operator_is_raised(lab):
    def bug(event):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await record(lab.model("a"), passing(lambda emit, flow, end: (bug, None)), virtual=True)
    assert lab.opened == lab.closed


async def test_an_order_that_cannot_work_is_refused_before_anything_runs(lab):
    async with lab.backend() as backend:
        with pytest.raises(ChainOrderError, match="finalize needs Begun, which nothing before it emits"):
            await record(lab.model("a"), cx.chain(cx.finalize(backend)))
        with pytest.raises(ChainOrderError, match="limit rewrites the text, so it belongs before persist_partial"):
            await record(lab.model("a"), default_chain(backend).after("finalize", cx.limit(3)))
    assert lab.opened == 0


async def test_what_can_be_recorded(lab):
    turn = Turn("s", "c-9", "What?", agent_id="helper")
    events = [Opened(turn, "stream-1", 0.0), Delta("a", 0, 0, 0, 0.1), Ended("stop", 1, 1)]
    assert (await record(rx.from_iterable(events))).events == tuple(events)
    assert (await record(rx.empty())).events == ()
    recording = await record(rx.of("a", "b"), turn=turn)  # with a turn an observable is a stream of text
    assert recording.events[0].turn is turn and [event.text for event in recording.events[1:-1]] == ["a", "b"]
    named = await record(["a"], cx.chain(cx.measure().named("source")))
    assert list(named.trace.lanes) == ["(source)", "source"]
    plain = await record(["a"], ops.filter(lambda event: isinstance(event, Delta)))
    assert list(plain.trace.lanes) == ["source", "chain"] and [event.text for event in plain.events] == ["a"]
    assert list((await record(["a"], cx.chain())).trace.lanes) == ["source"]


async def test_of_a_long_stream_the_beginning_is_drawn(lab):
    recording = await record(["x"] * 5_000, cx.measure(), virtual=True)
    assert len(recording.events) == 5_003
    assert repr(recording).endswith("\n\nthe first 120 of 10,007 marbles; .trace has all of them")
    assert len(repr(recording)) < 5_000 and len(recording._repr_svg_()) < 60_000
    html = recording._repr_html_()
    assert html.endswith("</svg>\n<div>the first 120 of 10,007 marbles; .trace has all of them</div>")
    slow = await record(lab.model(*"x" * 100), cx.measure(), virtual=True)
    assert {len(drawn.lanes[lane]) for drawn in [slow._drawn()[0]] for lane in drawn.lanes} == {60}


@pytest.mark.parametrize("frame", [0, -1.0])
async def test_a_frame_of_no_time_is_refused(frame):
    with pytest.raises(InvalidArgument, match="frame"):
        await record(["a"], frame=frame)
