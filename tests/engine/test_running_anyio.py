"""Pipelines inside anyio's scopes, which cancel again on every turn of the loop until the scope is left.

Every turn takes a millisecond of virtual time here; else no timer would come while a scope cancels.
"""

import asyncio

import anyio
import pytest
from reactivex import operators as ops

from cortex_rx.engine import End, run, stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.engine.running import Shared, Stopped

TURN = 0.001


class Case:
    def __init__(self, kit, n=1000):
        self.source, self.store, self.shown = kit.Source(n, 0.01), kit.Store(3, 0.02), []

    def pipeline(self):
        return from_async_iterable(self.source).pipe(self.store.persist(), ops.do_action(self.shown.append))

    async def run(self):
        await run(self.pipeline())

    async def stream(self):
        async with stream(self.pipeline()) as out:
            async for _ in out:
                await asyncio.sleep(0)

    def check(self, at_least=5, end=End.CANCELLED):
        assert len(self.shown) >= at_least and self.shown == list(range(len(self.shown)))
        assert self.store.rows == self.shown, "what was shown is not what is stored"
        assert self.store.commits == [self.shown] and self.store.ends == [end] and self.store.broken == []
        self.source.closing.check()
        assert self.source.closing.closed == 1


async def at_rest():
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=10)
    await asyncio.sleep(0)


how = pytest.mark.parametrize("how", ["run", "stream"])


@how
def test_move_on_after(kit, how):
    async def main(loop):
        case = Case(kit)
        with anyio.move_on_after(0.2) as scope:
            await getattr(case, how)()
        assert scope.cancelled_caught
        case.check()
        assert asyncio.current_task().cancelling() == 0
        # the caller's task can be used, and cancelled, as if nothing had been
        await asyncio.sleep(1)
        again = Case(kit, 20)
        await getattr(again, how)()
        again.check(20, End.COMPLETED)

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


@how
def test_fail_after(kit, how):
    async def main(loop):
        case = Case(kit)
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.2):
                await getattr(case, how)()
        case.check()

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


@how
@pytest.mark.parametrize("after", [0.0, 0.003, 0.05, 0.123])
def test_a_scope_that_another_task_cancels(kit, how, after):
    async def main(loop):
        case, scope = Case(kit), anyio.CancelScope()

        async def other():
            while len(case.shown) < 5:
                await asyncio.sleep(0.005)
            await asyncio.sleep(after)
            scope.cancel()
            await asyncio.sleep(0.01)
            scope.cancel()

        task = asyncio.create_task(other())
        with scope:
            await getattr(case, how)()
        assert scope.cancelled_caught
        case.check()
        await task

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


@how
def test_a_scope_counts_its_cancellations(kit, how):
    """anyio really cancels repeatedly while the flush runs; otherwise these tests would show nothing."""

    async def main(loop):
        case, cancelled = Case(kit), 0

        class Counting(asyncio.Task):
            def cancel(self, msg=None):
                nonlocal cancelled
                cancelled += 1
                return super().cancel(msg)

        async def caller():
            with anyio.move_on_after(0.2):
                await getattr(case, how)()

        await Counting(caller(), loop=loop)
        case.check()
        return cancelled

    with kit.quiet() as watch:
        assert kit.drive(main, watch, TURN) > 30


@how
def test_a_sibling_that_fails(kit, how):
    async def main(loop):
        case, other = Case(kit), Case(kit)

        async def sibling():
            while len(case.shown) < 8:
                await anyio.sleep(0.005)
            raise ValueError("sibling")

        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(getattr(case, how))
                group.start_soon(getattr(other, how))
                group.start_soon(sibling)
        assert [type(error) for error in caught.value.exceptions] == [ValueError]
        case.check()
        other.check()

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


@how
def test_a_sibling_that_fails_in_a_task_group_of_asyncio(kit, how):
    async def main(loop):
        case = Case(kit)

        async def sibling():
            while len(case.shown) < 8:
                await asyncio.sleep(0.005)
            raise ValueError("sibling")

        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(getattr(case, how)())
                group.create_task(sibling())
        assert [type(error) for error in caught.value.exceptions] == [ValueError]
        case.check()

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


@how
def test_nested_scopes_and_a_shielded_one(kit, how):
    async def main(loop):
        inner, outer = Case(kit, 30), Case(kit)

        async def both():
            with anyio.CancelScope(shield=True):  # a shielded reader reads to the end
                await getattr(inner, how)()
            await getattr(outer, how)()

        with anyio.move_on_after(0.2) as scope:
            with anyio.move_on_after(1000):
                await both()
        assert scope.cancelled_caught
        inner.check(30, End.COMPLETED)
        assert outer.store.rows == outer.shown == [] and outer.store.broken == []
        outer.source.closing.check()

        late = Case(kit)
        with anyio.move_on_after(1000) as unhurt:
            with anyio.move_on_after(0.2) as hit:
                await getattr(late, how)()
            await anyio.sleep(0.01)  # the outer scope goes on
        assert hit.cancelled_caught and not unhurt.cancelled_caught
        late.check()

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


def test_a_scope_ends_a_reader_of_a_shared_one_and_nothing_else(kit):
    """The reader inside the scope goes; another one reads to the end, what runs is the same pipeline."""

    async def main(loop):
        case, seen = Case(kit, 60), []
        answer = Shared(case.pipeline())

        async def patient():
            return [x async for x in answer]

        task = asyncio.create_task(patient())
        with anyio.move_on_after(0.2) as scope:
            async for x in answer:
                seen.append(x)
        assert scope.cancelled_caught and 5 < len(seen) < 60 and case.source.closing.closed == 0
        assert await task == list(range(60)) and seen == list(range(len(seen)))
        assert await answer == 59
        case.check(60, End.COMPLETED)
        await at_rest()

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


def test_a_scope_does_not_reach_the_flush_of_a_shared_one(kit):
    """The pipeline's own task is cancelled once, by us, though the scope that left it cancels on every turn."""

    async def main(loop):
        case, turns = Case(kit), 0
        own = []
        answer = Shared(case.pipeline())
        create = loop.create_task

        def counting(coro, **kw):
            task = create(coro, **kw)
            own.append(task)
            return task

        loop.create_task = counting
        with anyio.move_on_after(0.2) as scope:
            try:
                async for _ in answer:
                    pass
            finally:
                del loop.create_task
                while not case.store.ends:  # something of the caller's holds the scope open: it cancels on and on
                    try:
                        await asyncio.sleep(0.001)
                    except asyncio.CancelledError:
                        turns += 1
        assert scope.cancelled_caught and turns > 20
        case.check()
        await at_rest()
        assert max(task.cancelling() for task in own) <= 1
        with pytest.raises(Stopped):
            await answer

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


def test_a_shared_one_awaited_in_a_scope(kit):
    async def main(loop):
        case = Case(kit, 60)
        answer = Shared(case.pipeline(), linger=0.5)
        with anyio.move_on_after(0.2) as scope:
            await answer
        assert scope.cancelled_caught and case.source.closing.closed == 0
        assert await answer == 59  # within `linger`: it went on
        case.check(60, End.COMPLETED)
        await asyncio.sleep(1)

        left = Case(kit)
        with anyio.move_on_after(0.2) as scope:
            await Shared(left.pipeline())
        assert scope.cancelled_caught
        await at_rest()
        left.check()

    with kit.quiet() as watch:
        kit.drive(main, watch, TURN)


def test_in_real_time(kit):
    """The same once without our loop: real timers, and a flush that takes longer than the scope's deadline."""

    async def main():
        case = Case(kit)
        case.source.pause, case.store.delay = 0.001, 0.005
        with anyio.move_on_after(0.03) as scope:
            await case.run()
        assert scope.cancelled_caught
        case.check(1)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with kit.quiet() as watch:
        with asyncio.Runner() as runner:
            watch(runner.get_loop())
            runner.run(main())
