"""Cancellation at every place of a pipeline's life: once, twice, and on every turn while it flushes.

A place is the moment before one callback of the loop.  A first run without cancellation says how many there are; then
every one of them is tried, and for each of these every later one until the pipeline is at rest.
"""

import asyncio
import itertools

import pytest
from helpers.lanes import stride
from helpers.staged import StagedCase
from reactivex import operators as ops

from cortex_rx.engine import End, run, stage, stream
from cortex_rx.engine.frames import after_failure, from_async_iterable, resume
from cortex_rx.engine.running import Shared, Stopped

N = 3


def up_to(times):
    """Again at once, so many times."""
    return lambda error, retry: 0 if retry <= times else None


class Case(StagedCase):
    """One pipeline, with all that can be known of it afterwards."""

    def __init__(self, kit, pause, delay):
        super().__init__(kit, kit.Source(N, pause), kit.Store(2, delay))

    def pipeline(self):
        return from_async_iterable(self.source).pipe(
            self.store.persist(), ops.do_action(self.passed.append), stage(self.slowly, 2)
        )

    async def run(self):
        return await run(self.pipeline().pipe(ops.do_action(self.shown.append)))

    async def stream(self):
        async with stream(self.pipeline(), capacity=1) as out:
            async for x in out:
                await asyncio.sleep(0)
                self.shown.append(x)
        return x

    async def shared(self):
        self.answer = Shared(self.pipeline(), capacity=1)
        async for x in self.answer:
            await asyncio.sleep(0)
            self.shown.append(x)
        return await self.answer

    async def awaited(self):
        self.answer = Shared(self.pipeline().pipe(ops.do_action(self.shown.append)))
        return await self.answer

    def check(self, cancelled):
        assert self.passed == list(range(len(self.passed)))
        assert self.shown == self.passed[: len(self.shown)], "what was shown was not what passed"
        assert self.store.rows == self.passed, "what passed is not what is stored"
        assert self.store.broken == [], "a cancellation broke into a write"
        self.source.closing.check()
        self.staged.check()
        if self.source.closing.opened or not cancelled:
            assert self.store.commits == [self.passed], "the flush did not happen exactly once"
        else:
            assert self.store.commits in ([], [[]])
        if not cancelled:
            assert self.shown == list(range(N)) and self.store.ends == [End.COMPLETED]
        elif len(self.passed) < N:
            assert set(self.store.ends) <= {End.CANCELLED}


async def at_rest():
    while others := asyncio.all_tasks() - {asyncio.current_task()}:  # a Shared flushes in a task of its own
        await asyncio.wait(others)
    await asyncio.sleep(0)


def attempt(kit, watch, how, places, pause=0.0, delay=0.0, turn=0.0):
    """Cancel at `places` (counted from the start of the job); the places at which the job was done and all was at
    rest.
    """
    case = Case(kit, pause, delay)

    async def main(loop):
        start, accepted = loop.step, []
        task = asyncio.create_task(getattr(case, how)())

        def cancel(step):
            if step - start in places:
                accepted.append(task.cancel())

        loop.on_step = cancel
        await asyncio.wait({task})
        done = loop.step - start
        await at_rest()
        if True in accepted:
            assert task.cancelled(), f"the canceller got {task!r}"
        else:
            assert task.result() == N - 1
        case.check(task.cancelled())
        return done, loop.step - start

    try:
        return kit.drive(main, watch, turn)
    except BaseException as error:
        error.add_note(f"{how}, cancelled at {places}")
        raise


@pytest.mark.parametrize("how", ["run", "stream", "shared", "awaited"])
@pytest.mark.parametrize(("pause", "delay"), [(0, 0), (0.01, 0.02)], ids=["turns", "timers"])
def test_cancelled_once_at_every_place(kit, how, pause, delay):
    with kit.quiet() as watch:
        done, _ = attempt(kit, watch, how, (), pause, delay)
        assert done > 20
        for k in range(1, done + 3):
            attempt(kit, watch, how, (k,), pause, delay)


@pytest.mark.parametrize("how", ["run", "stream", "shared", "awaited"])
def test_cancelled_again_at_every_later_place(kit, how):
    tried = 0
    with kit.quiet() as watch:
        done, _ = attempt(kit, watch, how, ())
        for k in range(1, done + 1):
            _, rest = attempt(kit, watch, how, (k,))
            step = 2 if how == "run" else 3
            for j in range(k + 1, rest + 1, stride(2 * step + 1, step)):
                attempt(kit, watch, how, (k, j))
                tried += 1
    assert tried > stride(90, 200)


@pytest.mark.parametrize("how", ["run", "stream", "shared", "awaited"])
def test_cancelled_a_third_time(kit, how):
    with kit.quiet() as watch:
        done, _ = attempt(kit, watch, how, ())
        for k in range(1, done + 1, 7):
            _, rest = attempt(kit, watch, how, (k,))
            for j, i in itertools.combinations(range(k + 1, rest + 1, stride(7, 4)), 2):
                attempt(kit, watch, how, (k, j, i))


@pytest.mark.parametrize("how", ["run", "stream", "shared", "awaited"])
@pytest.mark.parametrize(("pause", "delay"), [(0, 0), (0.01, 0.02)], ids=["turns", "timers"])
def test_cancelled_at_every_place_from_the_first_on(kit, how, pause, delay):
    """So an anyio scope does it.  Every turn takes a millisecond here, or no timer would ever come."""
    with kit.quiet() as watch:
        done, _ = attempt(kit, watch, how, (), pause, delay, turn=0.001)
        for k in range(1, done + 1):
            attempt(kit, watch, how, range(k, 10**9), pause, delay, turn=0.001)


def stopped_at(kit, watch, places):
    case = Case(kit, 0, 0)

    async def main(loop):
        start, accepted = loop.step, False
        answer = Shared(case.pipeline().pipe(ops.do_action(case.shown.append)), capacity=1)

        async def awaiting():
            return await answer

        task = asyncio.create_task(awaiting())

        def stop(step):
            nonlocal accepted
            if step - start in places:
                accepted = accepted or not task.done()
                answer.stop()

        loop.on_step = stop
        await asyncio.wait({task})
        done = loop.step - start
        await at_rest()
        assert not task.cancelled()
        error = task.exception()
        assert isinstance(error, Stopped) if error else task.result() == N - 1
        assert error is None or accepted
        case.check(error is not None)
        return done

    try:
        return kit.drive(main, watch)
    except BaseException as error:
        error.add_note(f"stopped at {places}")
        raise


def test_a_shared_one_is_stopped_at_every_place_and_again(kit):
    with kit.quiet() as watch:
        done = stopped_at(kit, watch, ())
        for k in range(1, done + 1):
            stopped_at(kit, watch, (k,))
            for j in range(k + 1, done + 20, stride(19, 9)):
                stopped_at(kit, watch, (k, j))
            stopped_at(kit, watch, range(k, 10**9))


class Dropping:
    """A source that breaks off once, to be resumed where it broke."""

    def __init__(self, kit, last):
        self.last = last  # how the second attempt ends
        self.closing = kit.Closing()

    async def __call__(self, point):
        async with self.closing():
            for i in range(point.emitted if point else 0, 4):
                await asyncio.sleep(0)
                if i == 2 and not point:
                    raise ConnectionError("dropped")
                yield i
            if self.last:
                raise self.last


def framed(kit, watch, last, places):
    source, inner, outer, passed, acts = Dropping(kit, last), kit.Store(1), kit.Store(2), [], []

    async def act(error, emit):
        acts.append((error, source.closing.closed, list(outer.rows)))
        await asyncio.sleep(0)
        acts.append("done")
        return error

    async def main(loop):
        start, accepted = loop.step, []
        pipeline = from_async_iterable(source).pipe(
            inner.persist(), resume(up_to(1)), outer.persist(), ops.do_action(passed.append), after_failure(act)
        )
        task = asyncio.create_task(run(pipeline))

        def cancel(step):
            if step - start in places:
                accepted.append(task.cancel())

        loop.on_step = cancel
        await asyncio.wait({task})
        done = loop.step - start
        if True in accepted:
            assert task.cancelled(), f"the canceller got {task!r}"
        else:
            assert task.exception() is last
        assert passed == list(range(len(passed))) == outer.rows and inner.rows[: len(passed)] == passed
        assert inner.rows == list(range(len(inner.rows)))
        assert inner.broken == outer.broken == []
        source.closing.check(2)
        assert len(inner.commits) in {source.closing.opened, source.closing.opened + (True in accepted)}
        assert len(outer.commits) == 1 or (not source.closing.opened and outer.commits == [])
        # Recovery, once begun, is finished; it begins when all upstream is at rest.
        assert acts in ([], [(last, 2, passed), "done"])
        assert acts or not last or True in accepted
        return done

    try:
        return kit.drive(main, watch)
    except BaseException as error:
        error.add_note(f"cancelled at {places}")
        raise


@pytest.mark.parametrize("last", [None, ValueError("for good")], ids=["ends", "fails"])
def test_cancelled_while_resuming_and_recovering(kit, last):
    with kit.quiet() as watch:
        done = framed(kit, watch, last, ())
        for k in range(1, done + 1):
            framed(kit, watch, last, (k,))
            for j in range(k + 1, done + 12, stride(29, 14)):
                framed(kit, watch, last, (k, j))
            framed(kit, watch, last, range(k, 10**9))


@pytest.mark.parametrize("kind", [run, Shared], ids=["run", "shared"])
def test_cancelled_at_the_moment_at_which_it_fails(kit, kind):
    """Nobody asks for the error any more, and the loop need not report that."""

    async def main(loop, place):
        source = from_async_iterable(Dropping(kit, None))

        async def call():
            return await kind(source)

        task = asyncio.create_task(call())
        start = loop.step
        loop.on_step = lambda step: step - start == place and task.cancel()
        await asyncio.wait({task})
        await at_rest()
        assert task.cancelled() or isinstance(task.exception(), ConnectionError)
        return loop.step - start

    with kit.quiet() as watch:
        places = kit.drive(lambda loop: main(loop, 0), watch)
        for place in range(1, places + 1):
            kit.drive(lambda loop, place=place: main(loop, place), watch)
