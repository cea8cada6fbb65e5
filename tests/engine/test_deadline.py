"""`within`: what runs too long is cancelled, and given up if it ignores that; in the task that awaits it."""

import asyncio
import contextvars

import anyio
import pytest

from cortex_rx.engine.deadline import within
from cortex_rx.testing import assert_no_leaks, run_virtual


def leakless(work, limit=5, grace=1):
    """The result or the error of `work` within its limits, and how long it took."""

    async def main():
        loop = asyncio.get_running_loop()
        async with assert_no_leaks():
            start = loop.time()
            try:
                outcome = await within(work(), limit, grace)
            except Exception as error:
                outcome = error
        return outcome, loop.time() - start

    return run_virtual(main())


async def value():
    await asyncio.sleep(1)
    await asyncio.sleep(0)
    return "a"


async def fails():
    await asyncio.sleep(1)
    raise OSError("no")


async def waits_for_a_task():
    return await asyncio.create_task(value())


async def at_once():
    return "a"


async def has_a_timeout_of_its_own():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await asyncio.sleep(9)
    with anyio.move_on_after(0.5):
        await asyncio.sleep(9)
    return "a"


@pytest.mark.parametrize(
    ("work", "seconds"), [(value, 1), (waits_for_a_task, 1), (at_once, 0), (has_a_timeout_of_its_own, 1)]
)
def test_what_ends_in_time_is_as_without_it(work, seconds):
    assert leakless(work) == ("a", seconds)


def test_an_error_is_raised():
    error, seconds = leakless(fails)
    assert isinstance(error, OSError) and seconds == 1


async def hangs():
    await asyncio.Event().wait()


async def hangs_in_a_task():
    await asyncio.create_task(hangs())


async def ends_when_it_is_cancelled():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        await asyncio.sleep(0.5)


async def spins():
    loop = asyncio.get_running_loop()
    while True:
        loop.now += 0.5  # a turn takes that long
        await asyncio.sleep(0)


@pytest.mark.parametrize(("work", "seconds"), [(hangs, 5), (hangs_in_a_task, 5), (ends_when_it_is_cancelled, 5.5)])
def test_what_hangs_is_cancelled(work, seconds):
    error, took = leakless(work)
    assert type(error) is TimeoutError and str(error) == "not done within 5 s" and took == seconds


def test_what_spins_is_cancelled():
    error, took = leakless(spins)
    assert type(error) is TimeoutError and 5 <= took <= 6


def test_what_ignores_its_cancellation_is_given_up():
    heard = []

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                heard.append("cancelled")

    error, took = leakless(stubborn)
    assert type(error) is TimeoutError and "given up" in str(error)
    assert took == 6 and heard == ["cancelled"]


def test_what_ignores_everything_is_given_up(recwarn):
    async def main():
        stop = []

        async def stubborn():
            while not stop:
                try:
                    await asyncio.sleep(3600)
                except BaseException:
                    continue

        work = stubborn()
        with pytest.raises(TimeoutError, match="given up"):
            await within(work, 5, 1)
        stop.append(True)
        work.close()

    run_virtual(main())


def test_a_cancellation_from_outside_reaches_the_work():
    heard = []

    async def work():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            heard.append(error.args)
            raise

    async def main():
        async def call():
            await within(work(), 5, 1)

        task = asyncio.create_task(call())
        await asyncio.sleep(1)
        task.cancel("enough")
        await asyncio.wait({task})
        assert task.cancelled() and heard == [("enough",)]
        assert asyncio.get_running_loop().time() == 1

    run_virtual(main())


def test_it_runs_in_the_task_that_awaits_it():
    """So a cancel scope may be left there that was entered before."""
    name = contextvars.ContextVar("name", default="")

    async def main():
        scope = anyio.CancelScope()
        scope.__enter__()

        async def leave():
            await asyncio.sleep(0.1)
            scope.__exit__(None, None, None)
            name.set("left")
            return asyncio.current_task()

        assert await within(leave(), 5, 1) is asyncio.current_task()
        assert name.get() == "left"

    run_virtual(main())
