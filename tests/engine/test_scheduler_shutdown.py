"""Cancelling all tasks of a running loop, as many programs do when they shut down: what was shown is stored."""

import asyncio

import pytest
from helpers.staged import StagedCase
from reactivex import operators as ops

from cortex_rx.engine import End, beside, run, stage, stream
from cortex_rx.engine.frames import from_async_iterable, resume
from cortex_rx.engine.running import Shared
from cortex_rx.engine.scheduler import ForeignCancellation, Keeper, all_tasks
from cortex_rx.testing import Deadlock, assert_no_leaks, run_virtual
from cortex_rx.testing.leaks import left_on_loop


class Case(StagedCase):
    def __init__(self, kit, pause=0.01, delay=0.02, n=10**6):
        super().__init__(kit, kit.Source(n, pause), kit.Store(3, delay))
        self.errors = []

    def pipeline(self):
        return from_async_iterable(self.source).pipe(
            resume(lambda error, retry: None),
            self.store.persist(),
            ops.do_action(self.passed.append),
            stage(self.slowly),
            ops.do_action(self.shown.append),
        )

    def check(self):
        assert self.shown == self.passed[: len(self.shown)] and self.passed == list(range(len(self.passed)))
        assert self.store.rows == self.passed, "what was shown is not what is stored"
        assert self.store.broken == [], "a write was broken into"
        if self.source.closing.opened:
            assert self.store.commits == [self.passed]
            assert self.store.ends == [End.CANCELLED]
        else:
            assert self.store.commits in ([], [[]])
        self.source.closing.check()
        self.staged.check()


async def by_run(case):
    await run(case.pipeline())


async def by_stream(case):
    async with stream(case.pipeline()) as out:
        async for _ in out:
            pass


async def by_a_reader(case):
    async for _ in Shared(case.pipeline()):
        pass


async def by_an_awaiter(case):
    await Shared(case.pipeline())


async def by_nobody(case):
    shared = Shared(case.pipeline())
    shared.start()
    shared.detach()


async def by_a_plain_subscription(case):
    case.pipeline().subscribe(on_error=case.errors.append)


async def by_a_generator_that_nobody_closes(case):
    async def body():
        async with stream(case.pipeline()) as out:
            async for x in out:
                yield x

    case.body = body()
    await anext(case.body)


FORMS = [
    by_run,
    by_stream,
    by_a_reader,
    by_an_awaiter,
    by_nobody,
    by_a_plain_subscription,
    by_a_generator_that_nobody_closes,
]
forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)


def shut_down(kit, watch, form, places, pause=0.01, delay=0.02, turn=0.0):
    """Cancel all tasks at these places, counted from the start; how many places there were until all was at rest."""
    case = Case(kit, pause, delay)

    async def main(loop):
        start, me = loop.step, asyncio.current_task()
        asyncio.create_task(form(case), name="the program")

        def cancel(step):
            if step - start in places:
                for task in asyncio.all_tasks(loop) - {me}:
                    task.cancel()

        loop.on_step = cancel
        while others := asyncio.all_tasks() - {me}:
            await asyncio.wait(others)
            assert loop.time() < 12
        loop.on_step = None
        rest = loop.step - start
        if hasattr(case, "body"):
            await case.body.aclose()
        await asyncio.sleep(0)
        case.check()
        assert all_tasks(loop) == {me}
        assert [type(error) for error in case.errors] in ([], [ForeignCancellation])
        return rest

    try:
        return kit.drive(main, watch, turn)
    except BaseException as error:
        error.add_note(f"{form.__name__}, cancelled at {places}")
        raise


@forms
@pytest.mark.parametrize(("pause", "delay"), [(0, 0), (0.01, 0.02)], ids=["turns", "timers"])
def test_all_tasks_are_cancelled_at_every_place_once_and_again(kit, form, pause, delay):
    with kit.quiet() as watch:
        for place in range(1, 90, 1 if form is by_a_reader else 3):
            rest = shut_down(kit, watch, form, (place,), pause, delay)
            assert rest > place
            if place % 6 == 1:
                shut_down(kit, watch, form, (place, place + 2, place + 7), pause, delay)
                shut_down(kit, watch, form, range(place, 10**9), pause, delay, turn=0.001)


def test_the_loop_ends_by_itself_meanwhile(kit):
    """A handler of a signal cancels all, the main task too; then `asyncio.run` cancels again."""
    case = Case(kit)

    async def main():
        loop = asyncio.get_running_loop()
        program = asyncio.create_task(by_a_reader(case))
        loop.call_later(0.3, lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        await program

    with kit.quiet() as watch, asyncio.Runner(loop_factory=kit.StepLoop) as runner:
        watch(runner.get_loop())
        with pytest.raises(asyncio.CancelledError):
            runner.run(main())
    assert len(case.shown) > 5
    case.check()


def test_the_tasks_of_a_pipeline_are_listed_where_they_must_be():
    async def main():
        loop, me = asyncio.get_running_loop(), asyncio.current_task()

        async def hangs(point):
            yield 1
            await asyncio.Event().wait()

        async with stream(from_async_iterable(hangs)) as out:
            assert await anext(out) == 1
            (keeper,) = asyncio.all_tasks() - {me}
            assert isinstance(keeper, Keeper)
            assert len(all_tasks(loop) - {me}) == 2, "the one that reads, too"
            assert sum(thing.words.startswith("task") for thing in left_on_loop(loop)) == 2, "a test finds both"
        assert all_tasks(loop) == {me}
        waiting = asyncio.create_task(run(from_async_iterable(hangs)), name="reads")
        try:
            await waiting
        except Deadlock as deadlock:
            return str(deadlock)

    with pytest.raises(Deadlock, match=r"pump"):
        run_virtual(main())


def test_a_task_that_was_given_up_is_listed_so_that_the_end_of_the_loop_cancels_it(caplog):
    heard = []

    async def stubborn(inbox):
        async for _ in inbox:
            pass
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append(asyncio.get_running_loop().time())
        await asyncio.Event().wait()
        yield

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await run(from_async_iterable(count).pipe(beside(stubborn)))
        return asyncio.get_running_loop().time(), len(asyncio.all_tasks())

    assert run_virtual(main()) == (10, 2) and heard == [9, 10]
    assert "a task did not end" in caplog.text


async def count(point):
    while True:
        await asyncio.sleep(0.1)
        yield 1


def test_a_stream_that_is_left_has_no_keeper_any_more():
    async def main():
        async with assert_no_leaks():
            for _ in range(3):
                async with stream(from_async_iterable(count)) as out:
                    await anext(out)
                assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())
