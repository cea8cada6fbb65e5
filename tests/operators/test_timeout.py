"""`timeout`: a silent source is given up, to the instant; a slow reader or store does not count as the source."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from cortex_rx import from_stream
from cortex_rx import operators as cx
from cortex_rx.engine import stream
from cortex_rx.errors import InvalidArgument, StreamTimeout
from cortex_rx.events import Delta, Ended, Remembered

SECOND = timedelta(seconds=1)
THENS = pytest.mark.parametrize("then", ["fail", "end"])


def whole(lab, *first):
    return cx.chain(*first, cx.begin(lab.store), cx.persist_partial(lab.store), cx.finalize(lab.store))


def failed(outcome, which, seconds):
    assert type(outcome.error) is StreamTimeout
    assert (outcome.error.which, outcome.error.seconds) == (which, seconds)
    return True


def test_fail(lab, snapshot):
    async def main():
        source = lab.source(0.2, "a", 0.2, "b", 9.0, "c")
        outcome = await lab.play(source, whole(lab, cx.timeout(idle=SECOND)))
        return outcome, await lab.partial(), await lab.contents()

    outcome, partial, memories = lab.run(main, thorough=True)
    assert failed(outcome, "idle", 1.0)
    assert outcome.ended_at == pytest.approx(1.4), "a second after the last delta"
    assert outcome.text == partial == "ab", "what arrived is kept"
    assert memories == []
    assert lab.model.closed == 1
    assert lab.drawn() == snapshot


def test_end(lab, snapshot):
    async def main():
        source = lab.source(0.2, "a", 0.2, "b", 9.0, "c")
        outcome = await lab.play(source, whole(lab, cx.timeout(idle=SECOND, then="end")))
        return outcome, await lab.contents()

    outcome, memories = lab.run(main, thorough=True)
    assert outcome.error is None
    assert outcome.one(Ended) == Ended("timeout", 2, 2)
    assert outcome.times(Ended) == [pytest.approx(1.4)]
    assert memories == [("user", "What is it?"), ("agent", "ab")]
    assert outcome.one(Remembered).memories[1].content == "ab"
    assert lab.model.closed == 1
    assert lab.drawn() == snapshot


def test_asking_the_model_is_waiting_for_it(lab):
    """Before the first item, and while the source is opened."""

    async def main():
        first = await lab.play(lab.source(9.0, "a"), cx.timeout(idle=SECOND), traced=False)

        async def slow_to_open():
            await asyncio.sleep(9)
            return lab.Model("a")()

        start = asyncio.get_running_loop().time()
        source = from_stream(slow_to_open, turn=lab.turn, make_id=lambda: "stream-1")
        second = await lab.play(source, cx.timeout(idle=SECOND), traced=False)
        return first, second, second.ended_at - start

    first, second, took = lab.run(main)
    assert failed(first, "idle", 1.0) and first.ended_at == 1.0
    assert failed(second, "idle", 1.0) and took == 1.0


def test_a_source_that_is_quick_enough(lab):
    """Each item just in time, for a long while."""

    async def main():
        return await lab.play(lab.source(*[item for _ in range(200) for item in (0.999, "x")]), cx.timeout(idle=SECOND))

    outcome = lab.run(main)
    assert outcome.error is None
    assert len(outcome.text) == 200


def test_total(lab):
    async def main():
        source = lab.source(*[item for _ in range(200) for item in (0.3, "x")])
        return await lab.play(source, cx.timeout(total=5 * SECOND))

    outcome = lab.run(main)
    assert failed(outcome, "total", 5.0)
    assert outcome.ended_at == pytest.approx(5.0)
    assert outcome.text == "x" * 16


def test_total_and_idle_whichever_comes_first(make_lab):
    def play(*script, **limits):
        lab = make_lab()

        async def main():
            return await lab.play(lab.source(*script), cx.timeout(**limits))

        return lab.run(main)

    steady = [item for _ in range(200) for item in (0.3, "x")]
    both = {"idle": SECOND, "total": 5 * SECOND}
    assert failed(play(*steady, **both), "total", 5.0)
    late = play(*steady[:8], 4.0, "y", **both)
    assert failed(late, "idle", 1.0)
    assert late.ended_at == pytest.approx(2.2)


@pytest.mark.parametrize("limits", [{"idle": SECOND}, {"total": 2 * SECOND}], ids=["idle", "total"])
def test_a_slow_reader_ends_nothing(lab, limits):
    """Only waiting for the source counts: it gives at once, the reader takes ten seconds for each."""
    read = []

    async def main():
        source = lab.source(*[item for _ in range(12) for item in (0.1, "x")])
        async with stream(source.pipe(cx.timeout(**limits)), capacity=1) as events:
            async for event in events:
                read.append(event)
                await asyncio.sleep(10)
        return asyncio.get_running_loop().time()

    assert lab.run(main) > 100
    assert "".join(event.text for event in read if isinstance(event, Delta)) == "x" * 12
    assert read[-1] == Ended("stop", 12, 12)


@pytest.mark.parametrize("name", ["begin", "append", "finalize"])
def test_a_slow_store_ends_nothing(lab, name):
    lab.store.slow(name, 30.0)

    async def main():
        chain = whole(lab, cx.timeout(idle=SECOND, total=5 * SECOND))
        outcome = await lab.play(lab.source(*[item for _ in range(12) for item in (0.1, "x")]), chain)
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    assert outcome.error is None
    assert memories == [("user", "What is it?"), ("agent", "x" * 12)]


@pytest.mark.parametrize(
    ("first", "second", "which", "seconds"),
    [
        ({"idle": SECOND}, {"idle": 3 * SECOND}, "idle", 1.0),
        ({"idle": 3 * SECOND}, {"idle": SECOND}, "idle", 1.0),
        ({"idle": 20 * SECOND}, {"total": 3 * SECOND}, "total", 3.0),
    ],
)
def test_two_timeouts(lab, first, second, which, seconds):
    async def main():
        chain = cx.chain(cx.timeout(**first), cx.timeout(**second).named("another"))
        return await lab.play(lab.source(0.5, "a", 10.0, "b"), chain)

    assert failed(lab.run(main), which, seconds)


def test_two_timeouts_each_ends_in_its_way(make_lab):
    def play(*script):
        lab = make_lab()

        async def main():
            chain = cx.chain(cx.timeout(idle=SECOND, then="end"), cx.timeout(total=3 * SECOND).named("in all"))
            return await lab.play(lab.source(*script), chain)

        return lab.run(main)

    clean = play(0.5, "a", 10.0)
    assert clean.error is None and clean.one(Ended) == Ended("timeout", 1, 1)
    assert failed(play(*[item for _ in range(20) for item in (0.5, "a")]), "total", 3.0)


@THENS
def test_no_timer_is_left(lab, then):
    """`lab.run` fails if one is: here the source ends long before the time is up."""

    async def main():
        return await lab.play(lab.source("a"), cx.timeout(idle=3600 * SECOND, total=7200 * SECOND, then=then))

    outcome = lab.run(main)
    assert outcome.ended_at == 0
    assert outcome.one(Ended).reason == "stop"


def test_every_subscription_has_a_time_of_its_own(lab):
    async def main():
        source = lab.source(*[item for _ in range(10) for item in (0.3, "x")])
        chain = cx.chain(cx.timeout(total=4 * SECOND))
        return [await lab.play(source, chain, traced=False) for _ in range(3)]

    assert [outcome.error for outcome in lab.run(main)] == [None] * 3


def test_a_cancellation_is_no_timeout(lab):
    async def main():
        outcome = lab.Outcome()
        task = asyncio.create_task(lab.play(lab.source("a", 9.0), cx.timeout(idle=5 * SECOND), into=outcome))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled(), outcome

    cancelled, outcome = lab.run(main)
    assert cancelled
    assert outcome.kinds == ["Opened", "Delta"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "idle: got None; accepted: a timedelta for idle, for total, or for both"),
        ({"idle": 30}, "idle: got 30; accepted: a timedelta above zero"),
        ({"total": timedelta(0)}, "total: got"),
        ({"idle": -SECOND}, "idle: got"),
        ({"idle": SECOND, "then": "stop"}, "then: got 'stop'; accepted: 'fail' or 'end'"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_declared(wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        cx.timeout(**wrong)
