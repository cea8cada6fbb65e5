"""The readers of a `Shared` and of `stream`: cancelled, dropped, and read by two tasks."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import Observable

from cortex_rx.engine import stream
from cortex_rx.engine.frames import pull
from cortex_rx.engine.running import Shared, Stopped
from cortex_rx.testing import assert_no_leaks, run_virtual


def numbers(count: int, pause: float = 1.0) -> Observable[int]:
    """A number each `pause` seconds."""

    async def items(_: object) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(pause)
            yield number

    return pull(items)


async def rest(reader: Any, seconds: float = 0.4) -> list[Any]:
    """All that comes, with the ping of an SSE loop: a wait that is cancelled again and again."""
    seen: list[Any] = []
    while True:
        try:
            seen.append(await asyncio.wait_for(anext(reader), seconds))
        except TimeoutError:
            seen.append("ping")
        except StopAsyncIteration:
            return seen


def test_a_cancelled_reader_goes_on() -> None:
    async def main() -> None:
        shared = Shared(numbers(3), linger=0)
        assert await rest(aiter(shared)) == ["ping", "ping", 0, "ping", "ping", 1, "ping", "ping", 2]
        assert await shared == 2

    with assert_no_leaks():
        run_virtual(main())


def test_a_cancelled_reader_of_a_stream_goes_on() -> None:
    async def main() -> None:
        async with stream(numbers(3)) as items:
            assert [item for item in await rest(items) if item != "ping"] == [0, 1, 2]

    with assert_no_leaks():
        run_virtual(main())


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 12),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.lists(st.tuples(st.sampled_from(["read", "cancel", "turns", "pause"]), st.integers(0, 4)), max_size=30),
)
def test_cancelled_at_any_turn_nothing_is_lost_or_comes_twice(
    count: int, pause: float, steps: list[tuple[str, int]]
) -> None:
    async def main() -> None:
        shared = Shared(numbers(count, pause), linger=100)
        reader, seen = aiter(shared), list[int]()
        with suppress(StopAsyncIteration):
            for what, many in steps:
                if what == "read":
                    seen.append(await anext(reader))
                elif what == "pause":
                    await asyncio.sleep(many * 0.3)
                else:
                    waiting = asyncio.ensure_future(anext(reader))
                    for _ in range(many):
                        await asyncio.sleep(0)
                    if what == "turns":
                        await asyncio.sleep(0.2)
                    waiting.cancel()
                    with suppress(asyncio.CancelledError):
                        seen.append(await waiting)
            while True:
                seen.append(await anext(reader))
        assert seen == list(range(count))

    run_virtual(main())


async def _read_by_two(reader: Any) -> None:
    first = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0.1)
    with pytest.raises(RuntimeError, match="another task waits for the next item"):
        await anext(reader)
    assert await first == 0
    assert [item for item in await rest(reader) if item != "ping"] == [1]


def test_two_tasks_that_wait_for_one_reader_are_told_so_and_nothing_is_lost() -> None:
    async def main() -> None:
        shared = Shared(numbers(2), linger=0)
        await _read_by_two(aiter(shared))
        assert await shared == 1
        async with stream(numbers(2)) as items:
            await _read_by_two(items)

    with assert_no_leaks():
        run_virtual(main())


async def _broken_off(shared: Shared[int, int]) -> None:
    async for _ in shared:
        break


async def _raised(shared: Shared[int, int]) -> None:
    with suppress(ZeroDivisionError):
        async for item in shared:
            item // 0


async def _closed(shared: Shared[int, int]) -> None:
    reader = aiter(shared)
    await anext(reader)
    await reader.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def _in_aclosing(shared: Shared[int, int]) -> None:
    async with aclosing(aiter(shared)) as reader:
        await anext(reader)


async def _closed_while_it_waits(shared: Shared[int, int]) -> None:
    reader = aiter(shared)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0.5)
    await reader.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def _cancelled(shared: Shared[int, int]) -> None:
    async def read() -> None:
        async for _ in shared:
            pass

    task = asyncio.ensure_future(read())
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.wait({task})  # its exception, with the traceback, lives on with the task


async def _collected(shared: Shared[int, int]) -> None:
    reader = aiter(shared)
    await anext(reader)
    circle: list[Any] = [reader]
    circle.append(circle)
    del reader, circle
    gc.collect()


async def _dropped_on_another_thread(shared: Shared[int, int]) -> None:
    readers = [aiter(shared)]
    await anext(readers[0])
    thread = threading.Thread(target=readers.clear)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "leave",
    [
        _broken_off,
        _raised,
        _closed,
        _in_aclosing,
        _closed_while_it_waits,
        _cancelled,
        _collected,
        _dropped_on_another_thread,
    ],
    ids=lambda leave: leave.__name__[1:],
)
def test_a_reader_that_leaves_is_noticed_at_once(leave: Any) -> None:
    async def main() -> None:
        shared = Shared(numbers(1000), linger=0)
        await leave(shared)
        await asyncio.sleep(0.01)  # to await it is to use it: let it be noticed first
        with pytest.raises(Stopped):
            await shared

    with assert_no_leaks():
        run_virtual(main())


def test_a_reader_that_waits_though_nobody_holds_it_has_not_left() -> None:
    async def main() -> None:
        assert await anext(aiter(Shared(numbers(2), linger=0))) == 0

    with assert_no_leaks():
        run_virtual(main())


def test_a_reader_that_is_dropped_when_its_loop_is_closed() -> None:
    kept: list[Any] = []

    async def main() -> None:
        kept.append(aiter(Shared(numbers(1000), linger=0)))
        await anext(kept[0])

    with assert_no_leaks():
        run_virtual(main())
        kept.clear()
        gc.collect()


def test_a_reader_that_has_left_is_forgotten_and_an_error_stays_one() -> None:
    async def main() -> None:
        shared = Shared(rx.concat(rx.of(1), rx.throw(ValueError("broken"))), linger=0)
        reader = aiter(shared)
        assert await anext(reader) == 1
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await anext(reader)
        assert shared._fan.readers == ()

    with assert_no_leaks():
        run_virtual(main())


def test_a_reader_starts_nothing_before_its_first_item() -> None:
    async def main() -> None:
        shared = Shared(numbers(2), linger=0)
        reader = aiter(shared)
        await asyncio.sleep(1)
        assert shared.task is None
        await reader.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(reader)
        assert shared.task is None

    with assert_no_leaks():
        run_virtual(main())


@pytest.mark.parametrize("others", [True, False])
def test_a_reader_that_only_its_cancelled_task_holds_does_not_hold_the_stream(others: bool) -> None:
    async def main() -> None:
        async def read(into: list[int]) -> None:
            reader = aiter(shared)  # in the frame, which the traceback of the cancelled task keeps
            async for number in reader:
                into.append(number)

        shared = Shared(numbers(100), capacity=4, linger=1)
        cancelled: list[int] = []
        seen: list[int] = []
        held = asyncio.create_task(read(cancelled))
        going_on = asyncio.create_task(read(seen)) if others else None
        await asyncio.sleep(2.5)
        held.cancel()
        await asyncio.wait({held})
        if going_on:
            await asyncio.wait_for(going_on, 200)
            assert seen == list(range(100))
            assert await shared == 99
        else:
            await asyncio.sleep(20)
            with pytest.raises(Stopped):
                await shared
        assert cancelled == [0, 1]
        del held

    with assert_no_leaks():
        run_virtual(main())


def test_a_reader_that_comes_back_too_late_gets_what_had_come_and_is_told() -> None:
    async def main() -> list[int]:
        shared = Shared(numbers(100), capacity=4, linger=1)
        shared.detach()
        reader, seen = aiter(shared), []
        with suppress(TimeoutError):
            await asyncio.wait_for(anext(reader), 0.5)
        await asyncio.sleep(30)
        with pytest.raises(Stopped, match="did not read on"):
            async for number in reader:
                seen.append(number)
        assert await shared == 99
        return seen

    assert run_virtual(main()) == [0, 1, 2, 3]


def test_a_gate_counts_a_cancelled_reader_s_items_once() -> None:
    """The source is read as far ahead as for a reader that was never cancelled."""

    async def main() -> None:
        read: list[int] = []

        async def items(_: object) -> AsyncIterator[int]:
            for number in range(1000):
                await asyncio.sleep(0)
                read.append(number)
                yield number

        shared = Shared(pull(items), capacity=4, linger=0)
        reader = aiter(shared)
        for expected in range(20):
            waiting = asyncio.ensure_future(anext(reader))
            await asyncio.sleep(0)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                assert await waiting == expected
                continue
            assert await anext(reader) == expected
        await asyncio.sleep(1)
        assert len(read) == 20 + 4
        await reader.aclose()

    with assert_no_leaks():
        run_virtual(main())
