"""Cancellation inside operators: during a closing, a flush that hangs, and a scope of their own."""

import asyncio
import contextlib

import anyio
import pytest
from reactivex import operators as ops

from cortex_rx.engine import End, beside, passing, run, stage
from cortex_rx.engine.frames import from_async_iterable

N = 3


def tap(act):
    """Pass every item to `act`; its errors belong to the caller."""
    return passing(lambda emit, flow, end: (lambda x: (act(x), emit(x)), None))


def failing(kit, watch, where, places):
    """Somebody downstream raises at the second item: the sources above close, and no cancellation breaks into that."""
    source, staged, store, acts = kit.Source(N), kit.Closing(), kit.Store(2), []

    async def slowly(items):
        async with staged():
            async for x in items:
                await asyncio.sleep(0)
                yield x

    def bug(x):
        acts.append(x)
        if x == 1:
            raise KeyError("bug")

    async def main(loop):
        start, accepted = loop.step, []
        pipeline = from_async_iterable(source)
        forms = {"source": [], "stage": [stage(slowly)], "beside": [store.persist()]}[where]
        task = asyncio.create_task(run(pipeline.pipe(*forms, tap(bug))))

        def cancel(step):
            if step - start in places:
                accepted.append(task.cancel())

        loop.on_step = cancel
        await asyncio.wait({task})
        if True in accepted:
            assert task.cancelled(), f"the canceller got {task!r}"
        else:
            assert isinstance(task.exception(), KeyError)
        source.closing.check()
        staged.check()
        assert acts == list(range(len(acts))) and len(acts) <= 2
        assert store.broken == [] and len(store.commits) <= (where == "beside")
        return loop.step - start

    try:
        return kit.drive(main, watch)
    except BaseException as error:
        error.add_note(f"cancelled at {places}")
        raise


@pytest.mark.parametrize("where", ["source", "stage", "beside"])
def test_cancelled_while_closing_for_a_bug_downstream(kit, where):
    with kit.quiet() as watch:
        done = failing(kit, watch, where, ())
        for k in range(1, done + 1):
            failing(kit, watch, where, (k,))
            for j in range(k + 1, done + 12, 3):
                failing(kit, watch, where, (k, j))


def test_a_flush_that_never_ends_is_given_up_however_often_it_is_cancelled(kit, caplog):
    """Twenty cancellations do not shorten what a flush may take, and do not lengthen it either."""

    async def main(loop):
        source, store = kit.Source(100, 0.01), kit.Store(1, 3600)
        task = asyncio.create_task(run(from_async_iterable(source).pipe(store.persist())))
        await asyncio.sleep(0.1)
        began = loop.time()
        for _ in range(20):
            task.cancel()
            await asyncio.sleep(0.1)
        await asyncio.wait({task})
        assert task.cancelled() and source.closing.closed == 1
        assert len(store.broken) == 1 and store.rows == [] and store.commits == []
        return loop.time() - began

    with kit.quiet() as watch:
        assert kit.drive(main, watch) == pytest.approx(8.0, abs=0.2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"], "and that text was lost is said"


async def by_timeout(work):
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await work


async def by_wait_for(work):
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(work, 0.5)


async def by_anyio(work):
    with anyio.move_on_after(0.5):
        await work


async def by_a_task_group(work):
    async def fail():
        await asyncio.sleep(0.5)
        raise OSError

    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await work


@pytest.mark.parametrize(
    "scope", [by_timeout, by_wait_for, by_anyio, by_a_task_group], ids=lambda scope: scope.__name__
)
@pytest.mark.parametrize("where", ["source", "stage", "beside"])
def test_a_scope_inside_of_an_operator_is_its_own_business(kit, scope, where):
    """A timeout cancels the task that it runs in, as every HTTP client and driver does it: it ends its block, no
    more.
    """

    async def main(loop):
        hung, rows, ends = [], [], []

        async def hang():
            try:
                await asyncio.sleep(5)
            finally:
                hung.append(round(loop.time(), 3))

        async def model(point):
            for i in range(3):
                if where == "source" and i == 1:
                    await scope(hang())
                await asyncio.sleep(0.01)
                yield i

        async def slowly(items):
            async for x in items:
                if where == "stage" and x == 1:
                    await scope(hang())
                yield x

        async def worker(inbox):
            async for batch in inbox:
                if where == "beside" and 1 in batch:
                    await scope(hang())
                rows.extend(batch)
            ends.append(inbox.end)
            return
            yield

        pipeline = from_async_iterable(model).pipe(stage(slowly), beside(worker), ops.to_list())
        assert await run(pipeline) == rows == [0, 1, 2] and ends == [End.COMPLETED]
        assert len(hung) == 1 and 0.5 <= hung[0] < 0.7

    with kit.quiet() as watch:
        kit.drive(main, watch, turn=0.001)
