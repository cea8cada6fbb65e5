"""A loop that ends while pipelines run, a foreign loop, one loop after another, and eager tasks.

`asyncio.run` cancels every task at once when its main task has ended: the reader's, the pipeline's, and those that the
pipeline waits for.  What was shown must be stored all the same.
"""

import asyncio
import threading

import pytest
import reactivex as rx
from helpers.staged import StagedCase
from reactivex import operators as ops

from cortex_rx.engine import End, run, stage, stream
from cortex_rx.engine.frames import after_failure, from_async_iterable, resume
from cortex_rx.engine.running import Shared, Stopped


def up_to(times):
    """Again at once, so many times."""
    return lambda error, retry: 0 if retry <= times else None


class Case(StagedCase):
    def __init__(self, kit, n=10**6):
        super().__init__(kit, kit.Source(n, 0.01), kit.Store(3, 0.02))

    def pipeline(self):
        return from_async_iterable(self.source).pipe(
            resume(up_to(1)),
            self.store.persist(),
            ops.do_action(self.passed.append),
            stage(self.slowly),
            ops.do_action(self.shown.append),
        )

    def check(self, end=End.CANCELLED, at_least=5):
        assert len(self.shown) >= at_least and self.shown == self.passed[: len(self.shown)]
        assert self.passed == list(range(len(self.passed)))
        assert self.store.rows == self.passed, "what was shown is not what is stored"
        assert self.store.commits == [self.passed] and self.store.ends == [end] and self.store.broken == []
        self.source.closing.check()
        self.staged.check()


def run_until_its_loop_ends(kit, main):
    """`asyncio.run` in virtual time; the loop must have had nothing to report, also when all is collected."""
    with kit.quiet() as watch:
        with asyncio.Runner(loop_factory=kit.StepLoop) as runner:
            loop = runner.get_loop()
            watch(loop)
            result = runner.run(main())
        assert loop.is_closed()
    return result


async def until_shown(case, n=8):
    while len(case.shown) < n:
        await asyncio.sleep(0.003)


async def reading(case):
    async for _ in Shared(case.pipeline()):
        pass


async def read_by_a_task(case):
    asyncio.create_task(reading(case), name="reader")
    await until_shown(case)


async def awaited_by_a_task(case):
    async def awaiting():
        await Shared(case.pipeline())

    task = asyncio.create_task(awaiting())
    await until_shown(case)
    assert not task.done()


async def left_to_linger(case):
    async for _ in Shared(case.pipeline(), linger=3600):
        if len(case.shown) == 8:
            break


async def kept(case):
    answer = Shared(case.pipeline())
    async for _ in answer:
        if len(case.shown) == 8:
            answer.detach()
            break


async def stopping(case):
    answer = Shared(case.pipeline())
    async for _ in answer:
        if len(case.shown) == 8:
            break
    await asyncio.sleep(0.03)  # it is in the midst of its flush


async def run_in_a_task(case):
    task = asyncio.create_task(run(case.pipeline()))
    await until_shown(case)
    assert not task.done()


async def streamed_in_a_task(case):
    async def reader():
        async with stream(case.pipeline()) as out:
            async for _ in out:
                pass

    task = asyncio.create_task(reader())
    await until_shown(case)
    assert not task.done()


async def streamed_by_a_generator_that_nobody_closes(case):
    async def body():
        async with stream(case.pipeline()) as out:
            async for x in out:
                yield x

    case.body = body()
    async for _ in case.body:
        if len(case.shown) >= 8:
            break


ways = [
    read_by_a_task,
    awaited_by_a_task,
    left_to_linger,
    kept,
    stopping,
    run_in_a_task,
    streamed_in_a_task,
    streamed_by_a_generator_that_nobody_closes,
]


@pytest.mark.parametrize("way", ways, ids=lambda way: way.__name__)
def test_a_loop_that_ends_flushes_what_runs(kit, way):
    case = Case(kit)

    async def main():
        await way(case)
        return asyncio.get_running_loop().time()

    run_until_its_loop_ends(kit, main)
    case.check()


def test_a_loop_that_ends_at_every_place_of_a_pipeline(kit):
    """The main task may end before any callback of the loop: nothing that was shown is ever lost."""

    def end_at(place):
        case = Case(kit, 4)
        case.source.pause = case.store.delay = 0

        async def main():
            loop, leave = asyncio.get_running_loop(), asyncio.Event()
            start = loop.step
            loop.on_step = lambda step: step - start == place and leave.set()
            reader = asyncio.create_task(reading(case))
            leaving = asyncio.create_task(leave.wait())
            await asyncio.wait({reader, leaving}, return_when=asyncio.FIRST_COMPLETED)
            loop.on_step = None
            return reader.done()

        with asyncio.Runner(loop_factory=kit.StepLoop) as runner:
            watch(runner.get_loop())
            done = runner.run(main())
        try:
            if case.source.closing.opened:
                case.check(End.COMPLETED if done or case.store.ends == [End.COMPLETED] else End.CANCELLED, 0)
            else:
                assert case.shown == [] and case.store.commits in ([], [[]])
        except AssertionError as error:
            error.add_note(f"ended at {place}")
            raise
        return done

    with kit.quiet() as watch:
        place = 1
        while not end_at(place):
            place += 1
    assert place > 40


def test_a_loop_that_ends_lets_a_recovery_finish(kit):
    """What was begun when the source had failed is not broken into."""
    case, acts, last = Case(kit, 8), [], ConnectionError("lost")

    async def act(error, emit):
        acts.append((error, list(case.store.rows), case.source.closing.closed))
        await asyncio.sleep(0.05)
        acts.append("done")
        return error

    def failing(source):
        return rx.concat(source, rx.throw(last))

    async def main():
        reader = asyncio.create_task(run(case.pipeline().pipe(failing, after_failure(act))))
        while not acts:
            await asyncio.sleep(0.003)
        assert not reader.done()

    run_until_its_loop_ends(kit, main)
    case.check(End.COMPLETED, 8)
    assert acts == [(last, list(range(8)), 1), "done"]


def test_a_store_that_hangs_does_not_keep_a_loop_that_ends(kit, caplog):
    case = Case(kit)
    case.store.delay = 10**6

    async def main():
        await read_by_a_task(case)
        return asyncio.get_running_loop()

    loop = run_until_its_loop_ends(kit, main)
    assert loop.time() < 10 and case.store.rows == [] and len(case.store.broken) == 1
    case.source.closing.check()
    assert {record.levelname for record in caplog.records} == {"WARNING", "ERROR"}


def test_an_interrupt_of_the_main_task_and_the_end_of_its_loop(kit):
    """As Ctrl-C does it: the main task is cancelled, flushes, and while it does so its loop is told to end."""
    case = Case(kit)

    async def main():
        me = asyncio.current_task()
        asyncio.get_running_loop().call_later(0.2, me.cancel)
        await run(case.pipeline())

    with pytest.raises(asyncio.CancelledError):
        run_until_its_loop_ends(kit, main)
    case.check()


@pytest.mark.parametrize("state", ["ended", "stopped by its loop", "stopped"])
def test_a_shared_one_of_a_loop_that_is_closed(kit, state):
    case = Case(kit, 20)

    async def first():
        answer = Shared(case.pipeline(), linger=3600)
        async for _ in answer:
            if len(case.shown) == 8:
                break
        if state == "ended":
            assert await answer == 19
        elif state == "stopped":
            answer.stop()
        return answer

    async def second(answer):
        with pytest.raises(RuntimeError, match="another event loop"):
            await answer
        with pytest.raises(RuntimeError, match="another event loop"):
            async for _ in answer:
                pass
        answer.detach()
        answer.stop()  # it is over; these do no harm

    answer = run_until_its_loop_ends(kit, first)
    shown = list(case.shown)
    run_until_its_loop_ends(kit, lambda: second(answer))
    assert case.shown == shown
    case.check(End.COMPLETED if state == "ended" else End.CANCELLED)


def test_awaiting_what_the_end_of_its_loop_stopped_says_so(kit):
    """A cancelled task that awaits the answer in its cleanup gets the outcome of the stream, not its own cancellation
    again.
    """
    case, told = Case(kit), []

    async def main():
        answer = Shared(case.pipeline(), linger=3600)

        async def last_words():
            try:
                await asyncio.sleep(10**6)
            finally:
                try:
                    await answer
                except BaseException as error:
                    told.append(error)

        asyncio.create_task(last_words())
        async for _ in answer:
            if len(case.shown) == 8:
                break

    run_until_its_loop_ends(kit, main)
    case.check()
    assert [type(error) for error in told] == [Stopped]


async def test_a_shared_one_that_runs_on_the_loop_of_another_thread(kit):
    case, box, go = Case(kit, 30), [], threading.Event()
    case.source.pause, case.store.delay = 0.001, 0.001
    problems = []

    async def other():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        answer = Shared(case.pipeline())
        answer.start()
        answer.detach()
        box.append(answer)
        await kit.until(go.is_set)
        return await answer

    results = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(other())))
    thread.start()
    try:
        await kit.until(lambda: box)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="another event loop"):
                await box[0]
            with pytest.raises(RuntimeError, match="another event loop"):
                async for _ in box[0]:
                    pass
    finally:
        go.set()
        await kit.until(lambda: not thread.is_alive())
        thread.join()
    assert results == [29] and problems == []
    case.check(End.COMPLETED)


def test_one_loop_after_the_other_with_the_same_observable(kit):
    """A pipeline is cold: it belongs to a loop only while it runs."""
    source, store, shown = kit.Source(5, 0.01), kit.Store(1, 0.01), []
    pipeline = from_async_iterable(source).pipe(resume(up_to(1)), store.persist(), ops.do_action(shown.append))
    unused = Shared(pipeline)  # made outside of any loop

    async def by_run():
        return await run(pipeline)

    async def by_stream():
        async with stream(pipeline) as out:
            return [x async for x in out][-1]

    async def by_shared():
        return await unused

    for n, main in enumerate((by_run, by_stream, by_shared), 1):
        assert run_until_its_loop_ends(kit, main) == 4
        assert shown == store.rows == [*range(5)] * n and len(store.commits) == n
        assert source.closing.opened == source.closing.closed == n and source.closing.broken == 0


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="tasks that start eagerly came with Python 3.12")
@pytest.mark.parametrize("pause", [0, 0.01])
@pytest.mark.parametrize("form", ["run", "stream", "shared"])
def test_tasks_that_start_eagerly(kit, form, pause):
    async def hot(point):
        for i in range(5):
            yield i  # it never waits: an eager task would have read it all within `subscribe`

    async def main(loop):
        loop.set_task_factory(asyncio.eager_task_factory)
        for hasty in (False, True):
            case = Case(kit, 5)
            case.source.pause = case.store.delay = pause
            if hasty:
                case.source, source = hot, case.source
            if form == "run":
                assert await run(case.pipeline()) == 4
            elif form == "stream":
                async with stream(case.pipeline(), capacity=2) as out:
                    assert [x async for x in out] == list(range(5))
            else:
                answer = Shared(case.pipeline(), capacity=2)
                assert [x async for x in answer] == list(range(5)) and await answer == 4
            if hasty:
                case.source = source
            case.check(End.COMPLETED)
            await asyncio.sleep(0)

    with kit.quiet() as watch:
        kit.drive(main, watch)
