"""Timeouts of a source: exact to the instant in virtual time, and only the waiting of the source counts."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from cortex_rx import from_stream, run, stream
from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import StreamTimeout
from cortex_rx.events import Delta, Ended, Opened, Problem
from cortex_rx.testing import run_virtual


def seconds(number):
    return timedelta(seconds=number)


def source(*pauses, opening=0.0):
    """A factory of a stream whose items, `a`, come after these pauses; it is opened, by an await, after another."""

    async def items():
        for pause in pauses:
            await asyncio.sleep(pause)
            yield "a"

    async def opened():
        await asyncio.sleep(opening)
        return items()

    return opened if opening else items


def timed(kit, given, *operators, **keywords):
    """What came, and when the end came."""

    async def main():
        came = await kit.read(given, *operators, **keywords)
        return came, asyncio.get_running_loop().time()

    return run_virtual(main())


@pytest.mark.parametrize(
    ("pauses", "opening", "idle", "total", "texts", "end", "which"),
    [
        ([1, 2, 5], 0, 3, None, 2, 6, "idle"),
        ([1, 2, 5], 0, 5.5, None, 3, 8, None),
        ([9], 0, 3, None, 0, 3, "idle"),
        ([1], 9, 3, None, 0, 3, "idle"),
        ([2, 1], 2, 3, None, 0, 3, "idle"),  # the opening is waited for together with the first item
        ([1, 2, 2], 1.5, 3, None, 3, 6.5, None),
        ([1] * 10, 0, None, 4.5, 4, 4.5, "total"),
        ([1] * 10, 2, None, 4.5, 2, 4.5, "total"),
        ([1, 1, 9], 0, 3, 4, 2, 4, "total"),
        ([1, 1, 9], 0, 3, 6, 2, 5, "idle"),
        ([1, 1, 1], 0, 3, 3.5, 3, 3, None),
        ([], 0, 3, 3, 0, 0, None),
    ],
)
def test_it_ends_at_the_instant(kit, pauses, opening, idle, total, texts, end, which):
    limits = {"idle": idle and seconds(idle), "total": total and seconds(total)}
    failed, at = timed(kit, source(*pauses, opening=opening), cx.timeout(**limits))
    assert (failed.texts, at) == (["a"] * texts, end)
    if which:
        assert type(failed.error) is StreamTimeout and failed.of(Ended) == []
        assert (failed.error.which, failed.error.seconds) == (which, {"idle": idle, "total": total}[which])
    else:
        assert failed.error is None and failed.ended.reason == "stop"
    ended, at = timed(kit, source(*pauses, opening=opening), cx.timeout(**limits, then="end"))
    assert (ended.texts, at, ended.error) == (["a"] * texts, end, None)
    assert ended.ended == Ended("timeout" if which else "stop", texts, texts)


@pytest.mark.parametrize("form", ["manager", "observable", "thread"])
def test_it_holds_for_every_form(kit, form):
    @contextlib.asynccontextmanager
    async def manager():
        await asyncio.sleep(2)
        yield source(1, 5)()

    def thread():
        yield "a"
        raise AssertionError("it waits in no virtual time")

    if form == "manager":
        came, at = timed(kit, manager, cx.timeout(idle=seconds(4)))
        assert (came.texts, at, came.error.which) == (["a"], 7, "idle")
    elif form == "observable":
        pushed = rx.timer(1.0).pipe(ops.map(lambda _: "a"), ops.concat(rx.never()))
        came, at = timed(kit, pushed, cx.timeout(idle=seconds(4)))
        assert (came.texts, at, came.error.which) == (["a"], 5, "idle")
    else:
        came, at = timed(kit, thread, ops.take(2), cx.timeout(idle=seconds(4)))
        assert (came.texts, at) == (["a"], 0)


def test_a_sign_of_life_is_an_item(kit):
    """Empty chunks keep the line open."""

    async def alive():
        for item in [None, "", None, "a"]:
            await asyncio.sleep(2)
            yield item

    came, at = timed(kit, alive, cx.timeout(idle=seconds(3)))
    assert (came.text, at, came.error) == ("a", 8, None)


def test_half_a_pair_is_shown_before_the_end(kit):
    async def half():
        yield "a\ud83d"
        await asyncio.sleep(9)

    for then in ("fail", "end"):
        came, at = timed(kit, half, cx.timeout(idle=seconds(3), then=then))
        assert (came.texts, at) == (["a", "\ufffd"], 3) and len(came.of(Problem)) == 1
        assert then == "fail" or came.ended == Ended("timeout", 2, 2)


def test_a_slow_reader_does_not_count(kit):
    async def main():
        limited = from_stream(source(*[1] * 5), turn=kit.TURN).pipe(cx.timeout(idle=seconds(2), total=seconds(5.5)))
        seen = []
        async with stream(limited, capacity=1) as events:
            async for event in events:
                await asyncio.sleep(3600)
                seen.append(event)
        return seen, asyncio.get_running_loop().time()

    seen, at = run_virtual(main())
    assert [type(event) for event in seen] == [Opened, *[Delta] * 5, Ended] and seen[-1].reason == "stop"
    assert at >= 7 * 3600


def test_but_the_source_that_stops_behind_a_slow_reader_does(kit):
    async def main():
        limited = from_stream(source(1, 9), turn=kit.TURN).pipe(cx.timeout(idle=seconds(2)))
        async with stream(limited, capacity=1) as events:
            async for _ in events:
                await asyncio.sleep(3600)

    with pytest.raises(StreamTimeout):
        run_virtual(main())


def test_a_slow_store_does_not_count(kit):
    class Slow:
        def __init__(self, inner):
            self.inner = inner

        async def query(self, path, args):
            return await self.inner.query(path, args)

        async def mutation(self, path, args):
            await asyncio.sleep(600)
            return await self.inner.mutation(path, args)

        async def close(self):
            await self.inner.close()

    async def main():
        inner = SqliteBackend(":memory:")
        async with inner:
            chain = cx.chain(
                cx.timeout(idle=seconds(2), total=seconds(9)),
                cx.begin(Slow(inner)),
                cx.persist_partial(Slow(inner), max_pending=300),
                cx.finalize(Slow(inner)),
            )
            return await run(from_stream(source(*[1] * 8), turn=kit.TURN).pipe(chain, cx.result()))

    result = run_virtual(main())
    assert (result.full_response, result.finish_reason) == ("a" * 8, "stop")


@given(
    st.lists(st.integers(0, 8), max_size=8),
    st.integers(0, 8),
    st.none() | st.integers(1, 8),
    st.none() | st.integers(1, 30),
)
def test_any_pauses_and_limits(kit, pauses, opening, idle, total):
    """What is right, by another way: from what is waited for, item by item."""
    idle, total = idle and idle + 0.5, total and total + 0.5  # nothing comes at the same instant
    if idle is total is None:
        idle = 4.5
    waits = [opening + pauses[0], *pauses[1:]] if pauses else [opening]
    came = at = 0
    which = None
    for wait in waits:
        left = {"idle": idle, "total": total and total - at}
        first = min((value, name) for name, value in left.items() if value is not None)
        if wait > first[0]:
            at, which = at + first[0], first[1]
            break
        at += wait
        came += bool(pauses)
    limits = {"idle": idle and seconds(idle), "total": total and seconds(total)}
    seen, ended = timed(kit, source(*pauses, opening=opening), cx.timeout(**limits))
    assert (len(seen.texts), ended, getattr(seen.error, "which", None)) == (came, at, which)


def test_each_limit_of_several_holds(kit):
    within = cx.timeout(idle=seconds(5)).named("idle"), cx.timeout(total=seconds(4), then="end").named("total")
    for operators in (within, within[::-1]):
        came, at = timed(kit, source(1, 1, 1, 1, 1), *operators)
        assert (came.ended.reason, at) == ("timeout", 4)


def test_cancelling_is_no_timeout(kit):
    async def main():
        task = asyncio.create_task(kit.read(source(9), cx.timeout(idle=seconds(3))))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1
