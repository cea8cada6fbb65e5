"""Virtual time: what it skips, in which order, and what it refuses."""

import asyncio
import threading
import time

import pytest

from cortex_rx.testing import EPOCH, Deadlock, VirtualLoop, run_virtual


def test_hours_pass_in_a_moment_and_to_the_instant():
    async def main():
        loop, seen = asyncio.get_running_loop(), []
        for seconds in (0.1, 0.1, 0.1, 3600, 0, 1e-6):
            await asyncio.sleep(seconds)
            seen.append(loop.time())
        return seen

    began = time.monotonic()
    assert run_virtual(main()) == [0.1, 0.2, 0.3, 3600.3, 3600.3, 3600.300001]
    assert time.monotonic() - began < 1


def test_the_wall_clock_is_virtual_too():
    async def main():
        loop = asyncio.get_running_loop()
        first = loop.wall()
        await asyncio.sleep(86400)
        return first, loop.wall()

    assert run_virtual(main()) == (1_767_225_600.0, 1_767_312_000.0)
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(EPOCH)) == "2026-01-01 00:00:00"


def test_timers_of_one_instant_come_in_the_order_in_which_they_were_set():
    async def main():
        loop, seen = asyncio.get_running_loop(), []
        for name in "abcdefgh":
            loop.call_later(1.0, seen.append, name)
        loop.call_later(0.7, lambda: loop.call_later(0.3, seen.append, "i"))  # 1.0, but for the noise of floats
        await asyncio.sleep(2)
        return "".join(seen)

    assert run_virtual(main()) == "abcdefghi"


def test_timers_that_lie_close_are_told_apart():
    async def main():
        loop, seen = asyncio.get_running_loop(), []
        for number in (3, 1, 2):
            loop.call_at(1 + number * 1e-9, lambda n=number: seen.append((n, loop.time())))
        await asyncio.sleep(1.5)
        return seen

    assert run_virtual(main()) == [(1, 1.000000001), (2, 1.000000002), (3, 1.000000003)]


@pytest.mark.parametrize("seconds", [0.3, 12345.678901234, 2e7, 1e9, 1e15])
def test_a_long_time_passes_in_one_jump(seconds):
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(seconds)
        await asyncio.sleep(0.25)
        return loop.time()

    assert run_virtual(main()) == pytest.approx(seconds + 0.25, abs=1e-9, rel=1e-15)


def test_a_timer_that_is_due_or_was_cancelled_does_not_move_the_clock():
    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(5, print).cancel()
        loop.call_at(-1, seen.append, loop.time())
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        return loop.time()

    seen = []
    assert run_virtual(main()) == 1
    assert seen == [0.0]


def test_a_deadlock_says_who_waits_where():
    async def stuck():
        await asyncio.Event().wait()

    async def main():
        other = asyncio.create_task(stuck(), name="other")
        await other

    with pytest.raises(Deadlock) as caught:
        run_virtual(main())
    assert "other: test_a_deadlock_says_who_waits_where.<locals>.stuck() at locks.py:" in str(caught.value)
    assert "main() at test_virtual.py:" in str(caught.value)

    async def never():
        await asyncio.sleep(float("inf"))

    with pytest.raises(Deadlock):
        run_virtual(never())


def test_what_is_left_is_cancelled():
    ended = []

    async def left():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            ended.append(asyncio.get_running_loop().time())

    async def main():
        asyncio.create_task(left())
        await asyncio.sleep(1)

    run_virtual(main())
    assert ended == [2]


async def test_it_refuses_to_run_inside_a_loop():
    async def main():
        pass

    with pytest.raises(RuntimeError, match="call run_virtual\\(\\) from a plain function"):
        run_virtual(main())


def test_an_executor_runs_inline_takes_a_turn_and_no_time():
    order = []

    def work(name):
        order.append((name, threading.current_thread() is threading.main_thread()))
        return name.upper()

    async def other():
        order.append("other")

    async def main():
        loop = asyncio.get_running_loop()
        asyncio.create_task(other())
        results = [await loop.run_in_executor(None, work, "a"), await asyncio.to_thread(work, "b")]
        return results, loop.time()

    assert run_virtual(main()) == (["A", "B"], 0)
    assert order == [("a", True), "other", ("b", True)]


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError("no"), GeneratorExit("no")])
def test_what_an_executor_raises_is_raised_where_it_is_awaited(error):
    def work():
        raise error

    async def main():
        future = asyncio.get_running_loop().run_in_executor(None, work)
        with pytest.raises(type(error)):
            await future
        return "on"

    assert run_virtual(main()) == "on"


def test_stop_iteration_in_an_executor_becomes_a_runtime_error():
    async def main():
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await asyncio.to_thread(next, iter(()))
        assert isinstance(caught.value.__cause__, StopIteration)

    run_virtual(main())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_an_executor_ends_the_run(error):
    def work():
        raise error

    async def main():
        await asyncio.to_thread(work)

    with pytest.raises(error):
        run_virtual(main())


def test_a_result_that_nobody_awaits_any_more_is_dropped():
    async def main():
        loop, done = asyncio.get_running_loop(), []
        future = loop.run_in_executor(None, done.append, 1)
        future.cancel()
        await asyncio.sleep(0)
        return done, future.cancelled()

    assert run_virtual(main()) == ([1], True)


def test_a_closed_loop_runs_nothing():
    loop = VirtualLoop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_in_executor(None, print)


def test_who_waits_until_no_time_is_left_does_not_wait_for_ever():
    """24.007 + 8 is a little more than 32.007 as a float: what is left then is less than a nanosecond."""

    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(24.007)
        end, looks = loop.time() + 0.1 + 0.2, 0
        assert end > round(end, 9), "the case that is meant"
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(left)
            looks += 1
            assert looks < 10
        return loop.time()

    assert run_virtual(main()) == pytest.approx(24.307)
