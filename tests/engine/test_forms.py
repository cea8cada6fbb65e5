"""The properties of the engine: nothing runs ahead, is lost, or is left behind."""

import asyncio
import threading

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from cortex_rx.engine import End, FlowScheduler, Mailbox, beside, passing, run, stage, stream
from cortex_rx.engine.frames import after_failure, from_async_iterable, resume
from cortex_rx.engine.running import Shared, Stopped
from cortex_rx.engine.scheduler import ForeignCancellation
from cortex_rx.testing.virtual import VirtualLoop, run_virtual


def up_to(times):
    """Again at once, so many times."""
    return lambda error, retry: 0 if retry <= times else None


class Llm:
    """Counts how far the source was read and whether it was closed."""

    def __init__(self, n, fail_at=None, pause=0.0):
        self.n, self.fail_at, self.pause = n, fail_at, pause
        self.read = self.closed = self.opened = 0

    def __call__(self, point):
        self.opened += 1
        return self._gen(point.emitted if point else 0)

    async def _gen(self, start):
        try:
            for i in range(start, self.n):
                await asyncio.sleep(self.pause)
                if i == self.fail_at and self.opened == 1:
                    raise ConnectionError("dropped")
                self.read += 1
                yield i
        finally:
            await asyncio.sleep(0)  # cleanup that awaits
            self.closed += 1


class Db:
    def __init__(self, delay=0.0):
        self.delay = delay
        self.rows = []
        self.live = self.peak = 0
        self.cancelled = []

    async def write(self, x):
        self.live += 1
        self.peak = max(self.peak, self.live)
        try:
            await asyncio.sleep(self.delay)
            self.rows.append(x)
            return x
        except asyncio.CancelledError:
            self.cancelled.append(x)
            raise
        finally:
            self.live -= 1


def map_async(f, capacity=32):
    async def each(items):
        async for x in items:
            yield await f(x)

    return stage(each, capacity)


def persist(db, interval=0.0, capacity=float("inf"), emit=True):
    async def worker(inbox):
        async for batch in inbox:
            await db.write(tuple(batch))
            if emit:
                yield ("stored", batch[-1])

    return beside(worker, interval, capacity=capacity)


def flat(db):
    return [x for b in db.rows for x in b]


def alone():
    assert asyncio.all_tasks() == {asyncio.current_task()}, asyncio.all_tasks()


async def test_source_never_runs_ahead_of_a_slow_write():
    llm, db, gap = Llm(1000), Db(), 0

    def watch(_):
        nonlocal gap
        gap = max(gap, llm.read - len(db.rows))

    assert await run(
        from_async_iterable(llm).pipe(ops.do_action(watch), map_async(db.write, 8), ops.to_list())
    ) == list(range(1000))
    assert db.peak == 1 and gap <= 9 and llm.closed == 1
    alone()


async def test_source_never_runs_ahead_of_a_slow_reader():
    llm, seen = Llm(200), []
    async with stream(
        from_async_iterable(llm).pipe(ops.map(lambda x: x), persist(Db(), emit=False)), capacity=4
    ) as out:
        async for x in out:
            await asyncio.sleep(0.0001)
            seen.append(x)
            assert llm.read - len(seen) <= 5
    assert seen == list(range(200))
    alone()


async def test_two_stages_keep_their_own_bounds():
    llm, done, gap = Llm(300), 0, 0

    async def slow(items):
        nonlocal done, gap
        async for x in items:
            gap = max(gap, llm.read - done)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            done += 1
            yield x

    await run(from_async_iterable(llm).pipe(stage(slow, 8), stage(slow, 8)))
    assert gap <= 17
    alone()


async def test_break_take_timeout_cancel_close_the_source():
    llm = Llm(10**9)
    async with stream(from_async_iterable(llm)) as out:
        async for x in out:
            if x == 5:
                break
    assert llm.closed == 1 and llm.read < 50
    alone()
    llm = Llm(10**9)
    assert await run(from_async_iterable(llm).pipe(ops.take(3), ops.to_list())) == [0, 1, 2]
    assert llm.closed == 1
    alone()
    llm = Llm(10**9, pause=0.001)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await run(from_async_iterable(llm))
    assert llm.closed == 1
    alone()
    llm, db = Llm(10**9), Db(3600)
    t = asyncio.ensure_future(run(from_async_iterable(llm).pipe(map_async(db.write))))
    await asyncio.sleep(0.02)
    t.cancel()
    with pytest.raises(asyncio.CancelledError):
        await t
    assert llm.closed == 1 and db.cancelled == [0]
    alone()


async def test_source_error_comes_after_the_writes_it_follows():
    llm, db = Llm(10, fail_at=6), Db(0.001)
    with pytest.raises(ConnectionError, match="dropped"):
        await run(from_async_iterable(llm).pipe(map_async(db.write)))
    assert db.rows == [0, 1, 2, 3, 4, 5] and llm.closed == 1
    alone()


async def test_a_failing_stage_and_a_failing_subscriber_close_the_source():
    async def bad(x):
        await asyncio.sleep(0)
        if x == 3:
            raise ValueError(x)
        return x

    llm = Llm(10**9)
    with pytest.raises(ValueError):
        await run(from_async_iterable(llm).pipe(map_async(bad)))
    assert llm.closed == 1
    alone()

    def boom(x):
        if x == 2:
            raise KeyError(x)

    llm = Llm(10**9)
    with pytest.raises(KeyError):
        await run(from_async_iterable(llm).pipe(ops.do_action(boom)))
    assert llm.closed == 1
    alone()


def test_tokens_never_wait_beside_and_the_tail_is_flushed():
    async def main():
        llm, db, seen, time = Llm(100, pause=0.0005), Db(0.02), [], asyncio.get_running_loop().time

        def see(x):
            if isinstance(x, int):
                seen.append((x, time()))

        out = await run(from_async_iterable(llm).pipe(persist(db), ops.do_action(see), ops.to_list()))
        assert [x for x, _ in seen] == flat(db) == list(range(100)) and len(db.rows) < 20
        assert [at for _, at in seen] == pytest.approx([0.0005 * (x + 1) for x in range(100)])
        assert out[-1] == ("stored", 99)
        alone()

    run_virtual(main())


async def test_beside_flushes_before_an_error_and_knows_how_it_ended():
    llm, db, ends = Llm(50, fail_at=20), Db(0.002), []

    async def worker(inbox):
        async for batch in inbox:
            await db.write(tuple(batch))
        ends.append((inbox.end, repr(inbox.error)))
        return
        yield

    with pytest.raises(ConnectionError):
        await run(from_async_iterable(llm).pipe(beside(worker)))
    assert flat(db) == list(range(20)) and ends == [(End.FAILED, "ConnectionError('dropped')")]
    alone()


@pytest.mark.parametrize("how", ["once", "twice", "anyio", "timeout"])
def test_cancellation_flushes_beside(how):
    async def main():
        llm, db, ends, seen = Llm(10**9, pause=0.001), Db(0.03), [], []

        async def worker(inbox):
            async for batch in inbox:
                await db.write(tuple(batch))
            ends.append(inbox.end)
            return
            yield

        job = run(from_async_iterable(llm).pipe(beside(worker), ops.do_action(seen.append)))
        if how == "anyio":
            import anyio

            with anyio.move_on_after(0.3):
                await job
        elif how == "timeout":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(job, 0.05)
        else:
            t = asyncio.create_task(job)
            await asyncio.sleep(0.05)
            t.cancel()
            if how == "twice":
                await asyncio.sleep(0.01)
                t.cancel()
            with pytest.raises(asyncio.CancelledError):
                await t
        assert flat(db) == seen and len(seen) > 5 and ends == [End.CANCELLED] and llm.closed == 1
        alone()

    # A scope of anyio cancels on every turn of the loop: there virtual time would stand still.
    asyncio.run(main()) if how == "anyio" else run_virtual(main())


async def test_a_stalled_store_bounds_what_waits_and_is_given_up(monkeypatch):
    monkeypatch.setattr(FlowScheduler.join, "__defaults__", (0.05, 0.05))
    llm, db = Llm(10**9), Db(3600)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await run(from_async_iterable(llm).pipe(persist(db, capacity=50)))
    assert llm.read <= 60 and llm.closed == 1 and db.cancelled
    alone()


def test_interval_paces_the_batches():
    llm, db = Llm(100, pause=0.001), Db()

    async def main():
        await run(from_async_iterable(llm).pipe(persist(db, interval=0.02)))
        alone()

    run_virtual(main())
    assert flat(db) == list(range(100))
    assert [len(row) for row in db.rows] == [1, 19, 20, 20, 20, 20]


async def test_a_worker_that_fails_or_ends_early():
    async def fails(inbox):
        async for batch in inbox:
            raise KeyError("bug")
        yield

    llm = Llm(10**9)
    with pytest.raises(KeyError):
        await run(from_async_iterable(llm).pipe(beside(fails)))
    assert llm.closed == 1
    alone()

    async def early(inbox):
        async for batch in inbox:
            yield "x"
            return

    llm = Llm(50)
    out = await run(from_async_iterable(llm).pipe(beside(early, capacity=3), ops.to_list()))
    assert [x for x in out if x != "x"] == list(range(50)) and out.count("x") == 1
    alone()


async def test_a_bug_downstream_is_not_an_error_of_the_source():
    llm, n = Llm(100), 0

    def boom(x):
        nonlocal n
        n += 1
        if x == 2 and n < 4:
            raise ValueError("UI")

    with pytest.raises(ValueError):
        await run(from_async_iterable(llm).pipe(resume(up_to(3)), ops.do_action(boom), ops.to_list()))
    assert llm.opened == 1 and llm.closed == 1
    alone()

    class Bad(rx.Observer):
        def _on_completed_core(self):
            raise KeyError("at the end")

    with pytest.raises(KeyError):
        async with FlowScheduler() as flow:
            flow.subscribe(from_async_iterable(Llm(3)), Bad())
            await flow.result(flow.future())
    alone()


async def test_resume_goes_on_and_state_downstream_lives_on():
    llm = Llm(10, fail_at=4)
    assert await run(
        from_async_iterable(llm).pipe(resume(up_to(2)), ops.scan(lambda a, _: a + 1, 0), ops.to_list())
    ) == list(range(1, 11))
    assert llm.opened == 2 and llm.closed == 2
    alone()


async def test_timeout_upstream_of_resume_is_per_attempt():
    opened = []

    async def gen(start):
        for i in range(start, 10):
            if i in (4, 7) and len(opened) < 3 and i > start:
                await asyncio.sleep(5)
            await asyncio.sleep(0.001)
            yield i

    def open_(p):
        opened.append(p.emitted if p else 0)
        return gen(opened[-1])

    assert await run(from_async_iterable(open_).pipe(ops.timeout(0.05), resume(up_to(5)), ops.to_list())) == list(
        range(10)
    )
    assert opened == [0, 4, 7]
    alone()


async def test_resume_5000_times():
    def open_(p):
        async def g(k):
            yield k
            raise ConnectionError(k)

        return g(p.emitted if p else 0)

    seen = []
    with pytest.raises(ConnectionError):
        await run(from_async_iterable(open_).pipe(resume(up_to(5000)), ops.do_action(seen.append)))
    assert seen == list(range(5001))
    alone()


async def test_recovery_waits_for_what_is_upstream():
    order = []

    async def worker(inbox):
        async for batch in inbox:
            pass
        await asyncio.sleep(0.01)
        order.append("tail flushed")
        return
        yield

    async def act(error, emit):
        order.append("rolled back")
        return error

    def boom(x):
        if x == 3:
            raise ValueError
        return x

    with pytest.raises(ValueError):
        await run(from_async_iterable(Llm(10, pause=0.001)).pipe(beside(worker), ops.map(boom), after_failure(act)))
    assert order == ["tail flushed", "rolled back"]
    alone()


async def test_history_then_live_does_not_deadlock():
    hist, live = from_async_iterable(Llm(100)), from_async_iterable(Llm(100))
    assert len(await run(rx.concat(hist, live.pipe(map_async(Db().write))).pipe(ops.to_list()))) == 200

    def follow(source):
        def sub(obs, scheduler=None):
            flow = FlowScheduler.of(scheduler)
            box = Mailbox(flow)

            async def work():
                ended = flow.future()
                hist.subscribe(obs.on_next, ended.set_exception, lambda: ended.set_result(None), scheduler=flow)
                await ended
                async for x in box:
                    obs.on_next(x)
                obs.on_completed()

            from reactivex.disposable import CompositeDisposable

            return CompositeDisposable(source.subscribe(box, scheduler=flow.child(box.gate)), flow.spawn(work()))

        return Observable(sub)

    assert len(await run(live.pipe(follow, ops.to_list()))) == 200
    alone()


async def test_merge_where_one_branch_waits_for_the_other():
    go = asyncio.Event()

    async def wait(items):
        async for x in items:
            await go.wait()
            yield x

    def opener(x):
        if x == 50:
            go.set()

    merged = rx.merge(
        from_async_iterable(Llm(200)).pipe(stage(wait, 8)), from_async_iterable(Llm(200)).pipe(ops.do_action(opener))
    )
    assert len(await run(merged.pipe(ops.to_list()))) == 400
    alone()


async def test_stock_time_operators_use_the_flow():
    names = set()
    await run(
        from_async_iterable(Llm(60, pause=0.001)).pipe(
            ops.throttle_first(0.01), ops.do_action(lambda _: names.add(threading.current_thread().name)), ops.to_list()
        )
    )
    assert names == {"MainThread"} and threading.active_count() == 1
    alone()


async def test_group_by_flat_map_stages():
    db = Db()
    assert await run(
        from_async_iterable(Llm(300)).pipe(
            map_async(db.write),
            ops.group_by(lambda x: x % 3),
            ops.flat_map(lambda g: g.pipe(map_async(db.write), ops.count())),
            ops.to_list(),
        )
    ) == [100, 100, 100]
    alone()


async def test_a_source_that_never_waits_lets_others_live():
    async def hot():
        for i in range(200_000):
            yield i

    ticks = 0

    async def clock():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.002)
            ticks += 1

    t = asyncio.create_task(clock())
    await run(from_async_iterable(lambda p: hot()))
    t.cancel()
    assert ticks >= 5


# shared
async def test_shared_readers_see_all_and_leave_alone():
    llm, db = Llm(300, pause=0.0001), Db(0.001)
    answer = Shared(from_async_iterable(llm).pipe(persist(db, emit=False)))

    async def all_():
        return [x async for x in answer]

    async def some():
        got = []
        async for x in answer:
            got.append(x)
            if len(got) == 10:
                break
        return got

    a, b, c = await asyncio.gather(all_(), some(), all_())
    assert a == list(range(300)) and len(b) == 10 and c[-1] == 299 and await answer == 299
    assert llm.opened == 1 and llm.closed == 1 and flat(db) == list(range(300))
    await asyncio.sleep(0)
    alone()


async def test_shared_break_stops_and_keeps_what_was_stored():
    llm, db, seen = Llm(10**9, pause=0.0005), Db(0.005), []
    answer = Shared(from_async_iterable(llm).pipe(persist(db, emit=False)))
    async for x in answer:
        seen.append(x)
        if x == 30:
            break
    for _ in range(50):
        await asyncio.sleep(0.002)
    assert llm.closed == 1 and flat(db)[:31] == list(range(31))
    alone()


async def test_shared_break_then_await_drains():
    llm = Llm(100, pause=0.0001)
    answer = Shared(from_async_iterable(llm))
    async for x in answer:
        if x == 5:
            break
    assert await answer == 99 and llm.closed == 1
    await asyncio.sleep(0)
    alone()


async def test_shared_slowest_reader_governs():
    llm = Llm(400)
    answer = Shared(from_async_iterable(llm), capacity=8)
    ahead = 0

    async def slow():
        nonlocal ahead
        n = 0
        async for x in answer:
            n += 1
            await asyncio.sleep(0.0001)
            ahead = max(ahead, llm.read - n)
        return n

    async def fast():
        return len([x async for x in answer])

    s, f = await asyncio.gather(slow(), fast())
    assert s == f == 400 and ahead <= 11
    await asyncio.sleep(0)
    alone()


async def test_shared_reader_task_cancelled():
    llm, db = Llm(10**9, pause=0.001), Db(0.002)
    answer = Shared(from_async_iterable(llm).pipe(persist(db, emit=False)))

    async def reader():
        async for x in answer:
            await asyncio.sleep(0)

    t = asyncio.create_task(reader())
    async with asyncio.timeout(60):
        while len(flat(db)) <= 5:
            await asyncio.sleep(0.002)
    t.cancel()
    with pytest.raises(asyncio.CancelledError):
        await t
    async with asyncio.timeout(60):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.002)
    assert llm.closed == 1
    alone()


async def test_shared_error_reaches_reader_and_awaiter():
    answer = Shared(from_async_iterable(Llm(10, fail_at=5)))
    got = []
    with pytest.raises(ConnectionError):
        async for x in answer:
            got.append(x)
    with pytest.raises(ConnectionError):
        await answer
    assert got == [0, 1, 2, 3, 4]
    alone()


def test_in_virtual_time_a_slow_store_delays_nothing():
    async def main():
        loop, db, seen = asyncio.get_running_loop(), Db(0.2), []
        await run(
            from_async_iterable(Llm(1000, pause=0.01)).pipe(
                persist(db, interval=1.0, emit=False), ops.do_action(lambda x: seen.append((x, loop.time())))
            )
        )
        return seen, db.rows, loop.time()

    seen, rows, end = run_virtual(main())
    assert [t for _, t in seen] == pytest.approx([0.01 * (i + 1) for i in range(1000)])
    assert [x for row in rows for x in row] == list(range(1000)) and len(rows) == 11 and end < 10.5


def test_in_virtual_time_nothing_waits_for_a_reader_that_pauses_an_hour():
    async def main():
        n = 0
        async with stream(from_async_iterable(Llm(100, pause=1)), capacity=4) as out:
            async for x in out:
                n += 1
                await asyncio.sleep(3600)
        return n

    assert run_virtual(main()) == 100


def begin(write):
    async def worker(inbox):
        async for batch in inbox:
            for x in batch:
                if x == "opened":
                    await write(x)
                    yield "begun"

    return beside(
        worker, weigh=lambda x: 1 if x == "opened" else 0, capacity=1
    )  # full while the first item is dealt with


def test_in_virtual_time_nothing_is_shown_before_begin_and_the_model_is_asked_meanwhile():
    async def model(point):
        yield "opened"
        asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.3)
        for i in range(5):
            await asyncio.sleep(0.01)
            yield i

    async def main(delay):
        loop, out = asyncio.get_running_loop(), []
        await run(
            from_async_iterable(model).pipe(
                begin(Db(delay).write), ops.do_action(lambda x: out.append((x, round(loop.time(), 3))))
            )
        )
        return out

    asked = []
    assert run_virtual(main(0.1)) == [
        ("opened", 0),
        ("begun", 0.1),
        (0, 0.31),
        (1, 0.32),
        (2, 0.33),
        (3, 0.34),
        (4, 0.35),
    ]
    assert run_virtual(main(0.5)) == [
        ("opened", 0),
        ("begun", 0.5),
        (0, 0.5),
        (1, 0.51),
        (2, 0.52),
        (3, 0.53),
        (4, 0.54),
    ]
    assert asked == [0, 0]


# after_five_reviews
async def gen(n, pause=0.0):
    for i in range(n):
        await asyncio.sleep(pause)
        yield i


def test_settled_gives_up_a_task_that_ignores_its_cancellation(caplog):
    async def main():
        give_up = False

        async def stubborn(inbox):
            async for _ in inbox:
                pass
            while not give_up:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
            yield

        t = asyncio.create_task(run(from_async_iterable(lambda p: gen(10**6, 0.01)).pipe(beside(stubborn))))
        await asyncio.sleep(0.1)
        t.cancel()
        done, _ = await asyncio.wait({t}, timeout=1000)
        give_up = True
        for x in asyncio.all_tasks() - {asyncio.current_task()}:
            x.cancel()
        return bool(done), asyncio.get_running_loop().time()

    done, at = run_virtual(main())
    assert done and at < 10 and len(caplog.records) <= 4


def test_a_stage_asks_the_gates_downstream():
    async def main():
        out = []

        async def src(point):
            yield "opened"
            for i in range(5):
                yield i

        async def same(items):
            async for x in items:
                yield x

        await run(from_async_iterable(src).pipe(stage(same), begin(Db(0.1).write), ops.do_action(out.append)))
        return out

    assert run_virtual(main()) == ["opened", "begun", 0, 1, 2, 3, 4]


async def test_a_passing_operator_can_end_or_fail_the_stream():
    for error in (None, ValueError("too long")):
        ends, acted, llm = [], [], Llm(100)

        def limit(n):
            def make(emit, flow, end):
                return (lambda x: emit(x) if x < n else end(error)), None

            return passing(make)

        async def worker(inbox):
            async for b in inbox:
                pass
            ends.append(inbox.end)
            return
            yield

        async def act(e, emit):
            acted.append(e)
            return e

        job = run(from_async_iterable(llm).pipe(limit(3), beside(worker), after_failure(act), ops.to_list()))
        if error:
            with pytest.raises(ValueError):
                await job
        else:
            assert await job == [0, 1, 2]
        assert (
            ends == [End.FAILED if error else End.COMPLETED] and acted == ([error] if error else []) and llm.closed == 1
        )
        alone()


async def test_a_flush_that_fails_on_cancel_is_not_swallowed(caplog):
    async def worker(inbox):
        async for b in inbox:
            await asyncio.sleep(0.001)
        raise OSError("disk full")
        yield

    t = asyncio.create_task(run(from_async_iterable(lambda p: gen(10**6, 0.001)).pipe(beside(worker))))
    await asyncio.sleep(0.03)
    t.cancel()
    with pytest.raises(asyncio.CancelledError):
        await t
    assert "OSError" in caplog.text
    alone()


@pytest.mark.parametrize("k", range(8))
async def test_resume_does_not_mask_the_error_of_a_worker(k):
    async def fast(p):
        for i in range(3):
            yield i
        for _ in range(k):
            await asyncio.sleep(0)

    async def fails(inbox):
        async for b in inbox:
            raise KeyError("begin failed")
        yield

    with pytest.raises(KeyError):
        await run(from_async_iterable(fast).pipe(resume(up_to(3)), beside(fails)))
    assert await run(from_async_iterable(fast).pipe(resume(up_to(3)), ops.take(3), ops.to_list())) == [0, 1, 2]
    alone()


async def test_a_cancellation_from_within_is_a_failure():
    async def g(p):
        yield 1
        raise asyncio.CancelledError("an SDK cancelled itself")

    async def worker(inbox):
        async for b in inbox:
            raise asyncio.CancelledError
        yield

    async with asyncio.timeout(1):
        with pytest.raises(ForeignCancellation):
            await run(from_async_iterable(g))
        with pytest.raises(ForeignCancellation):
            await run(from_async_iterable(lambda p: gen(5)).pipe(beside(worker)))
    alone()


def test_a_tick_comes_after_silence():
    async def main():
        seen, loop = [], asyncio.get_running_loop()

        async def worker(inbox):
            inbox.tick = 3.0
            async for batch in inbox:
                seen.append((len(batch), loop.time()))
            return
            yield

        await run(from_async_iterable(lambda p: gen(2, 10.0)).pipe(beside(worker)))
        return seen

    assert run_virtual(main()) == [(0, 3), (0, 6), (0, 9), (1, 10), (0, 13), (0, 16), (0, 19), (1, 20)]


def stored(rows, delay=0.01):
    async def worker(inbox):
        async for b in inbox:
            await asyncio.sleep(delay)
            rows.extend(b)
        if inbox.end is End.COMPLETED:
            await asyncio.sleep(0.05)
            yield "remembered"

    return beside(worker)


async def ended(p):
    for i in range(5):
        await asyncio.sleep(0.001)
        yield i
    yield "ended"


async def text_of(answer):
    async for e in answer:
        if e == "ended":
            answer.detach()
            return
        yield e


async def test_shared_reader_who_reached_the_end_has_not_left():
    for wait in (0, 0.01, 0.3):
        done = []
        answer = Shared(from_async_iterable(ended).pipe(stored([]), ops.do_action(done.append)))
        assert [x async for x in text_of(answer)] == list(range(5))
        if wait:
            await asyncio.sleep(wait)
        if wait != 0.3:
            assert await answer == "remembered"
        assert done[-1] == "remembered"
    await asyncio.sleep(0)
    alone()


async def test_shared_awaiting_what_was_stopped_says_so_and_linger_leaves_time():
    answer = Shared(from_async_iterable(ended).pipe(stored([])))
    async for x in answer:
        break
    await asyncio.sleep(0.05)
    with pytest.raises(Stopped):
        await answer
    answer = Shared(from_async_iterable(ended).pipe(stored([])), linger=0.2)
    async for x in answer:
        break
    await asyncio.sleep(0.05)
    assert await answer == "remembered"
    await asyncio.sleep(0)
    alone()


def test_in_virtual_time_threads_run_inline():
    import concurrent.futures
    import sqlite3

    async def main():
        loop, writer = asyncio.get_running_loop(), concurrent.futures.ThreadPoolExecutor(1)
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.execute("create table t (x)")

        def write(batch):
            db.execute("begin immediate")
            db.executemany("insert into t values (?)", [(x,) for x in batch])
            db.execute("commit")

        async def worker(inbox):
            async for batch in inbox:
                await loop.run_in_executor(writer, write, batch)
                yield ("stored", loop.time())

        out = await run(
            from_async_iterable(lambda p: gen(100, 0.1)).pipe(
                beside(worker, interval=1.0), ops.filter(lambda x: isinstance(x, tuple)), ops.to_list()
            )
        )
        with pytest.raises(sqlite3.OperationalError):
            await asyncio.to_thread(db.execute, "nonsense")
        count = db.execute("select count(*) from t").fetchone()
        db.close()
        writer.shutdown()
        return out, count

    out, n = run_virtual(main())
    assert n == (100,) and [t for _, t in out] == pytest.approx([0.1 + k for k in range(10)] + [10.0])


async def test_a_bug_downstream_of_a_stock_time_operator_reaches_the_caller():
    def boom(x):
        raise KeyError(x)

    for job in (rx.of(1).pipe(ops.delay(0.01)), rx.timer(0.01), rx.of(1).pipe(ops.buffer_with_time(0.01))):
        async with asyncio.timeout(2):
            with pytest.raises(KeyError):
                await run(job.pipe(ops.do_action(boom)))

    class Bad(rx.Observer):
        def _on_next_core(self, value):
            raise KeyError(value)

    with pytest.raises(KeyError):
        async with asyncio.timeout(2), FlowScheduler() as flow:
            flow.subscribe(rx.of(1).pipe(ops.delay(0.01)), Bad())
            await flow.result(flow.future())
    alone()


def test_a_worker_with_an_interval_is_woken_once_for_each():
    """Two tasks run beside each answer. To wake one also for the first item of each interval would double what that
    costs."""

    def calls_of(items, *operators):
        calls = {"soon": 0, "timers": 0}

        class Loop(VirtualLoop):
            def call_soon(self, *args, **kwargs):
                calls["soon"] += 1
                return super().call_soon(*args, **kwargs)

            def call_at(self, *args, **kwargs):
                calls["timers"] += 1
                return super().call_at(*args, **kwargs)

        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(run(from_async_iterable(Llm(items, pause=0.01)).pipe(*operators)))
        return calls

    def beside_alone(items):
        batches = []

        async def worker(inbox):
            async for batch in inbox:
                batches.append(len(batch))
            yield -1

        without, with_it = calls_of(items), calls_of(items, beside(worker, interval=0.5))
        return len(batches), with_it["soon"] - without["soon"], with_it["timers"] - without["timers"]

    short, long = beside_alone(101), beside_alone(401)
    assert [more - less for less, more in zip(short, long, strict=True)] == [6, 6, 6]
