"""Cancellations that the pipeline did not ask for, wherever they come: somebody downstream hears of the end.

A source's own timeout cancels the task that reads it, also while that task waits for room, and not for the source.
"""

import asyncio

import anyio
import pytest
from helpers.lanes import stride
from reactivex import operators as ops

from cortex_rx.engine import beside, run, stage, stream
from cortex_rx.engine.frames import after_failure, from_async_iterable, resume
from cortex_rx.engine.running import Shared, Stopped
from cortex_rx.engine.scheduler import AbnormalEnd, FlowTask, ForeignCancellation
from cortex_rx.testing import assert_no_leaks, run_virtual

TIMEOUTS = {"asyncio": lambda: asyncio.timeout(1.05), "anyio": lambda: anyio.fail_after(1.05)}
timeouts = pytest.mark.parametrize("timeout", TIMEOUTS.values(), ids=TIMEOUTS)


async def slowly(source, pause=0.5, kind="stream"):
    """What a reader gets who takes half a second for an item, and the error, or None."""
    got = []
    try:
        if kind == "shared":
            async for item in Shared(source, capacity=1):
                got.append(item)
                await asyncio.sleep(pause)
        else:
            async with stream(source, capacity=1) as out:
                async for item in out:
                    got.append(item)
                    await asyncio.sleep(pause)
    except Exception as error:
        return got, error
    return got, None


def leakless(make):
    async def main():
        async with assert_no_leaks(), asyncio.timeout(60):
            return await make()

    return run_virtual(main())


class Hot:
    """Numbers from a source with a timeout around its loop, which yields without waiting."""

    def __init__(self, timeout):
        self.timeout, self.closed = timeout, 0

    async def __call__(self, point=None):
        try:
            with_timeout = self.timeout()
            if hasattr(with_timeout, "__aenter__"):
                async with with_timeout:
                    for number in range(1000):
                        yield number
            else:
                with with_timeout:
                    for number in range(1000):
                        yield number
        finally:
            await asyncio.sleep(0.1)
            self.closed += 1


@pytest.mark.parametrize("kind", ["stream", "shared"])
@timeouts
def test_a_timeout_of_the_source_s_own_while_it_waits_for_its_reader(timeout, kind):
    source = Hot(timeout)
    got, error = leakless(lambda: slowly(from_async_iterable(source), kind=kind))
    assert type(error) is TimeoutError and source.closed == 1
    assert got == list(range(len(got))) and 3 <= len(got) <= 5, "no item is lost, and none is read after that"


@timeouts
def test_a_timeout_in_a_stage_that_waits_for_its_reader(timeout):
    async def staged(items):
        with_timeout = timeout()
        if hasattr(with_timeout, "__aenter__"):
            async with with_timeout:
                async for item in items:
                    yield item
        else:
            with with_timeout:
                async for item in items:
                    yield item

    got, error = leakless(lambda: slowly(from_async_iterable(count).pipe(stage(staged, 1))))
    assert type(error) is TimeoutError and got == list(range(len(got))) and len(got) >= 3


async def count(point=None):
    for number in range(1000):
        await asyncio.sleep(0)
        yield number


def test_a_timeout_while_a_source_that_never_waits_lets_others_run():
    async def hot(point):
        async with asyncio.timeout(0.02):
            while True:
                yield "x"

    async def main():
        async with asyncio.timeout(10):
            await run(from_async_iterable(hot))

    with pytest.raises(TimeoutError) as failed:
        asyncio.run(main())
    assert "hot" in str([entry.name for entry in failed.traceback]), "it is the source's own"


def test_a_source_that_catches_the_cancellation_goes_on():
    async def source(point):
        for number in range(6):
            if number == 2:
                asyncio.get_running_loop().call_later(0.2, asyncio.current_task().cancel)
            try:
                yield number
            except asyncio.CancelledError:
                asyncio.current_task().uncancel()
                yield "caught"

    got, error = leakless(lambda: slowly(from_async_iterable(source), 0.1))
    assert error is None and sorted(got, key=str) == [0, 1, 2, 3, 4, 5, "caught"]


def test_a_source_that_catches_the_cancellation_and_ends():
    async def source(point):
        asyncio.get_running_loop().call_later(0.2, asyncio.current_task().cancel)
        try:
            for number in range(100):
                yield number
        except asyncio.CancelledError:
            return

    got, error = leakless(lambda: slowly(from_async_iterable(source), 0.1))
    assert error is None and got == list(range(len(got))) and 2 < len(got) < 6


@pytest.mark.parametrize("pause", [0, 0.1])
def test_a_source_that_cancels_its_own_task(pause):
    async def source(point):
        yield 0
        asyncio.current_task().cancel()
        yield 1
        yield 2
        await asyncio.sleep(0)
        yield 3

    got, error = leakless(lambda: slowly(from_async_iterable(source), pause))
    assert type(error) is ForeignCancellation and isinstance(error.__cause__, asyncio.CancelledError)
    assert got in ([0, 1], [0, 1, 2])


class Unusual(BaseException):
    """As pytest's, or an exit of some framework's."""


async def fails(*_):
    yield 0
    raise Unusual("private words")


@pytest.mark.parametrize("where", ["source", "stage", "worker", "recovery"])
def test_a_base_exception_is_a_failure_that_names_its_type(where):
    async def act(error, emit):
        raise Unusual

    async def main():
        source = {
            "source": lambda: from_async_iterable(fails),
            "stage": lambda: from_async_iterable(count).pipe(stage(fails)),
            "worker": lambda: from_async_iterable(count).pipe(beside(fails)),
            "recovery": lambda: from_async_iterable(breaks).pipe(after_failure(act)),
        }[where]()
        errors = []
        shared = Shared(source)
        try:
            async for _ in shared:
                pass
        except Exception as error:
            errors.append(error)
        try:
            await shared
        except Exception as error:
            errors.append(error)
        for error in errors:
            assert type(error) is AbnormalEnd and type(error.__cause__) is Unusual
            assert "Unusual" in str(error) and "private" not in str(error)
        assert len(errors) == 2

    leakless(main)


async def breaks(point):
    yield 0
    raise ConnectionError("the line broke")


def test_a_base_exception_of_an_observer_is_heard_by_the_readers_too():
    def bug(item):
        raise Unusual

    async def main():
        shared = Shared(from_async_iterable(count).pipe(ops.do_action(bug)))
        with pytest.raises(AbnormalEnd, match="Unusual"):
            async for _ in shared:
                pass
        with pytest.raises(Unusual):
            await shared

    run_virtual(main())


# --- The law ---------------------------------------------------------------------------------------------------------


async def worker(inbox):
    async for _ in inbox:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    return
    yield


async def through(items):
    async for item in items:
        await asyncio.sleep(0)
        yield item


class Source:
    """Five numbers; a first opening breaks off.  Its closing takes time."""

    def __init__(self):
        self.broke, self.opened, self.closed = False, 0, 0

    async def __call__(self, point):
        self.opened += 1
        try:
            for number in range(point.emitted if point else 0, 5):
                await asyncio.sleep(0.1 if number % 2 else 0)
                if number == 3 and not self.broke:
                    self.broke = True
                    raise ConnectionError("the line broke")
                yield number
        finally:
            self.closed += 1
            await asyncio.sleep(0)


def cancelled_at(kit, watch, place, times, which, fails_for_good):
    """Cancel the `which`-th task of the flow at this place, and at `times` places after it; whether there was one."""
    source, tasks = Source(), []
    hit = False

    async def act(error, emit):
        await asyncio.sleep(0.1)
        return error

    async def main(loop):
        nonlocal hit
        start, pipeline = loop.step, from_async_iterable(source)
        if not fails_for_good:
            pipeline = pipeline.pipe(resume(lambda error, retry: 0.1 if isinstance(error, ConnectionError) else None))
        pipeline = pipeline.pipe(beside(worker, 0.01), stage(through, 1), after_failure(act))

        def cancel(step):
            nonlocal hit
            if place <= step - start <= place + times and which < len(tasks):
                hit = tasks[which].cancel() or hit

        loop.on_step = cancel
        got = []
        try:
            async with asyncio.timeout(30):
                async with stream(pipeline, capacity=1) as out:
                    async for item in out:
                        got.append(item)
                        await asyncio.sleep(0.03)
                ended = None
        except Exception as error:
            ended = error
        assert got == list(range(len(got)))
        if ended is None:
            assert got == [0, 1, 2, 3, 4]
        else:
            assert type(ended) in (ForeignCancellation, ConnectionError), repr(ended)
        assert hit or type(ended) is (ConnectionError if fails_for_good else type(None))
        assert loop.time() < 10, "it is not the timeout that ended it"
        assert source.opened == source.closed
        return loop.step - start

    class Task(FlowTask):
        def __init__(self, *args, **keywords):
            super().__init__(*args, **keywords)
            tasks.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cortex_rx.engine.scheduler.FlowTask", Task)
        try:
            places = kit.drive(main, watch)
        except BaseException as error:
            error.add_note(f"task {which} cancelled {times + 1} times from {place} on")
            raise
    return places, len(tasks), hit


@pytest.mark.parametrize("fails_for_good", [False, True], ids=["resumes", "fails"])
@pytest.mark.parametrize("times", [0, 1, 3])
def test_no_task_ends_unheard(kit, times, fails_for_good):
    """Every task of the engine is cancelled at every place, by nobody of us."""
    tried = 0
    with kit.quiet() as watch:
        places, tasks, _ = cancelled_at(kit, watch, 10**9, 0, 0, fails_for_good)
        assert places > 45 and tasks >= 4
        for which in range(tasks):
            for place in range(1, places + 2, stride(3, 2) if times else stride(2, 1)):
                tried += cancelled_at(kit, watch, place, times, which, fails_for_good)[2]
    assert tried > stride(35, 50)


@pytest.mark.parametrize("form", ["source", "stage", "worker"])
@pytest.mark.parametrize("late", range(5))
def test_no_task_that_cancels_itself_ends_unheard(form, late):
    """From inside, so that the cancellation arrives wherever the task waits next."""

    def cancel(number):
        if number == late:
            asyncio.current_task().cancel()

    async def source(point):
        for number in range(5):
            if form == "source":
                cancel(number)
            yield number

    async def stages(items):
        number = 0
        async for item in items:
            if form == "stage":
                cancel(number)
            number += 1
            yield item

    async def works(inbox):
        number = 0
        async for batch in inbox:
            for _ in batch:
                if form == "worker":
                    cancel(number)
                number += 1
            yield "seen"

    got, error = leakless(lambda: slowly(from_async_iterable(source).pipe(beside(works), stage(stages, 1)), 0.1))
    numbers = [item for item in got if item != "seen"]
    assert numbers == list(range(len(numbers)))
    assert type(error) is ForeignCancellation or (error is None and len(numbers) == 5)


def test_a_reader_is_told_that_it_was_stopped_only_if_it_was():
    async def main():
        shared = Shared(from_async_iterable(count))
        with pytest.raises(Stopped):
            async for item in shared:
                if item == 3:
                    shared.stop()

    run_virtual(main())
