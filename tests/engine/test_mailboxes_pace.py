"""An `Inbox` whose pace changes: its worker follows at once, also while it sleeps, and can wait for a pause."""

from __future__ import annotations

import asyncio

import pytest

from cortex_rx.engine import Inbox, beside, run
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.testing import run_virtual

WAITS = 0.05  # then the worker waits for its first item


class Pace(tuple):
    """An item that sets the pace: a factor, and seconds of silence or None."""


def batches(*script, interval=1.0, takes=0.0, capacity=float("inf")):
    """What the worker got, and when, and when each item passed; numbers are pauses."""
    got, passed = [], []

    async def source(_):
        for item in script:
            if isinstance(item, float):
                await asyncio.sleep(item)
            else:
                passed.append((round(asyncio.get_running_loop().time(), 6), item))
                yield item

    async def worker(inbox: Inbox):
        async for batch in inbox:
            got.append((round(asyncio.get_running_loop().time(), 6), "".join(batch)))
            await asyncio.sleep(takes)
        yield "end"

    async def main():
        heeds = {Pace: lambda inbox, pace: inbox.pace(*pace)}
        wants = frozenset({str})
        op = beside(worker, interval, capacity=capacity, wants=wants, heeds=heeds)
        assert await run(from_async_iterable(source).pipe(op)) == "end"

    run_virtual(main())
    return got, passed


def each(text, gap):
    return [part for letter in text for part in (letter, gap)]


def test_the_interval_is_multiplied():
    assert batches(*each("abcdefgh", 0.3))[0] == [(0.0, "a"), (1.0, "bcd"), (2.0, "efg"), (2.4, "h")]
    assert batches(Pace((2.0,)), *each("abcdefgh", 0.3))[0] == [(0.0, "a"), (2.0, "bcdefg"), (2.4, "h")]
    slow = batches(Pace((0.5,)), *each("abcdefgh", 0.3))[0]
    assert slow[:4] == [(0.0, "a"), (0.5, "b"), (1.0, "cd"), (1.5, "e")]


@pytest.mark.parametrize(("factor", "at"), [(0.8, 0.8), (0.2, 0.35), (0.0, 0.35), (1.5, 1.5)])
def test_a_worker_that_sleeps_follows_at_once(factor, at):
    """It would have slept until 1.0."""
    got, _ = batches("a", 0.3, "b", 0.05, Pace((factor,)), 3.0)
    assert got == [(0.0, "a"), (at, "b")]


def test_the_item_that_sets_the_pace_is_passed_on_and_not_in_a_batch():
    got, passed = batches("a", Pace((0.1,)), "b", 1.0)
    assert [item for _, item in passed] == ["a", (0.1,), "b"]
    assert "".join(text for _, text in got) == "ab"


def test_a_pause_makes_a_batch_due():
    """Within a half of the silence after it, since the worker looks twice."""
    got, _ = batches(Pace((1.0, 0.1)), WAITS, *each("abcd", 0.06), 2.0, *each("efg", 0.06), 2.0)
    assert [text for _, text in got] == ["abcd", "efg"]
    for (at, _), last in zip(got, (0.18, 0.24 + 2.0 + 0.12), strict=True):
        assert last + WAITS + 0.1 <= at + 1e-6 and at - 1e-6 <= last + WAITS + 0.15


def test_without_a_pause_the_interval_counts_from_the_first_item_that_waits():
    got, passed = batches(Pace((1.0, 0.1)), 0.5, *each("x" * 60, 0.05), interval=1.0)
    assert [at for at, _ in got] == [1.5, 2.5, 3.5], "the first came at 0.5"
    assert sum(len(text) for _, text in got) == len(passed) - 1


def test_what_comes_during_the_work_waits_no_longer_than_the_interval_and_the_work():
    """It may have come just after the batch was taken, so the interval counts from then."""
    got, _ = batches(Pace((1.0, 0.1)), WAITS, *each("x" * 100, 0.05), interval=1.0, takes=0.3)
    assert [at for at, _ in got] == [1.05, 2.05, 3.05, 4.05, 5.05]


def test_a_pause_is_noticed_after_a_change_of_the_pace_and_the_other_way_round():
    assert batches("a", 0.3, "b", Pace((1.0, 0.1)), 3.0)[0] == [(0.0, "a"), (0.4, "b")]
    got, _ = batches(Pace((1.0, 0.2)), WAITS, "a", 0.05, "b", 0.05, Pace((0.5,)), *each("cdefgh", 0.1))
    assert got[0] == (0.55, "abcdef")


def test_a_full_inbox_is_not_paced():
    got, passed = batches(Pace((1.0, 0.1)), WAITS, *each("abcdef", 0.01), 1.0, capacity=3)
    assert got[0][1] == "abc"
    assert [item for _, item in passed][1:] == list("abcdef")


def test_the_end_comes_at_once():
    assert batches(Pace((5.0,)), "a", 0.1, "b")[0] == [(0.0, "a"), (0.1, "b")]
    assert batches(Pace((5.0, 1.0)), WAITS, "a", 0.1, "b")[0] == [(0.15, "ab")]


def test_a_rest_is_not_cut_short():
    ends = []

    async def worker(inbox: Inbox):
        async for _ in inbox:
            await inbox.rest(2.0)
            ends.append(asyncio.get_running_loop().time())
        yield "end"

    async def source(_):
        yield "a"
        await asyncio.sleep(0.5)
        yield Pace((0.1,))
        await asyncio.sleep(5.0)

    heeds = {Pace: lambda inbox, pace: inbox.pace(*pace)}
    run_virtual(run(from_async_iterable(source).pipe(beside(worker, wants=frozenset({str}), heeds=heeds))))
    assert ends == [2.0]
