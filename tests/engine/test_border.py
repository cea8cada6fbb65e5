"""Other code calls from another thread, or without a flow: nothing hangs, nothing is lost."""

import asyncio
import threading
import time

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import NewThreadScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler

from cortex_rx import Delta, SqliteBackend, Turn, default_chain, from_stream, run, stream
from cortex_rx import operators as cx
from cortex_rx.backends.contract.typed import Memories
from cortex_rx.engine import beside, passing
from cortex_rx.engine.frames import from_async_iterable

TURN = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
WORDS = [f"{n} " for n in range(300)]


def on_threads():
    return ops.observe_on(NewThreadScheduler())


async def numbers(_, n=300, error=None):
    for number in range(n):
        await asyncio.sleep(0)
        yield number
    if error:
        raise error


def source(n=300, error=None):
    return from_async_iterable(lambda point: numbers(point, n, error))


@pytest.fixture(autouse=True)
def ended_threads():
    """RxPY starts a thread for each item that an `observe_on` still holds, also after its end: other tests see them."""
    yield
    until = time.monotonic() + 30
    while threads := [one for one in threading.enumerate() if one.name.endswith("(run)")]:
        assert time.monotonic() < until, threads
        threads[0].join(1)


async def soon(what):
    """Fails where the code before this test would hang."""
    return await asyncio.wait_for(what, 20)


async def content(backend):
    rows = await Memories(backend).list(memory_space_id="space", include_partial=True)
    return [row["content"] for row in rows if row["content"] != "Hi!"]


# --- from another thread


async def test_items_of_another_thread_come_back_in_order():
    here = threading.get_ident()
    threads = set()
    seen = passing(lambda emit, flow, end: (lambda item: (threads.add(threading.get_ident()), emit(item)), None))
    assert await soon(run(source().pipe(on_threads(), seen, ops.to_list()))) == list(range(300))
    assert threads == {here}
    assert await soon(run(source().pipe(seen, on_threads()))) == 299
    async with stream(source().pipe(on_threads())) as items:
        assert [item async for item in items] == list(range(300))


async def test_an_error_comes_after_the_items_before_it():
    gone = ConnectionError("gone")
    got = []
    with pytest.raises(ConnectionError) as caught:
        async with stream(source(40, gone).pipe(on_threads())) as items:
            got.extend([item async for item in items])
    assert caught.value is gone
    got = []
    with pytest.raises(ConnectionError):
        async with stream(source(40, gone).pipe(on_threads())) as items:
            async for item in items:
                got.append(item)
    assert got == list(range(40))


async def test_a_bug_downstream_of_another_thread_is_the_caller_s():
    def bug(item):
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        await soon(run(source(3).pipe(on_threads(), passing(lambda emit, flow, end: (bug, None)))))


async def test_a_dispose_on_another_thread_ends_the_pipeline_on_the_loop():
    here = threading.get_ident()
    closed = []

    async def endless(_):
        try:
            while True:
                await asyncio.sleep(0.001)
                yield 1
        finally:
            closed.append(threading.get_ident())

    async def flush(inbox):
        async for _ in inbox:
            pass
        closed.append(threading.get_ident())
        return
        yield

    pipeline = from_async_iterable(endless).pipe(beside(flush), on_threads(), ops.take(5), ops.to_list())
    assert await soon(run(pipeline)) == [1] * 5
    assert closed == [here, here]


async def test_an_observable_that_is_fed_by_threads():
    """Two threads and the loop; what each emits keeps its order."""

    def subscribe(observer, scheduler=None):
        def feed(name):
            for number in range(200):
                observer.on_next((name, number))
            done.append(name)
            if len(done) == 2:
                observer.on_completed()

        done = []
        for name in "ab":
            threading.Thread(target=feed, args=(name,)).start()

    got = await soon(run(Observable(subscribe).pipe(passing(lambda emit, flow, end: (emit, None)), ops.to_list())))
    for name in "ab":
        assert [number for one, number in got if one == name] == list(range(200))


async def test_a_thread_that_emits_when_all_is_over():
    go, gone = threading.Event(), threading.Event()

    def subscribe(observer, scheduler=None):
        def feed():
            observer.on_next(1)
            go.wait()
            observer.on_next(2)
            gone.set()

        threading.Thread(target=feed).start()

    got = []
    pipeline = Observable(subscribe).pipe(passing(lambda emit, flow, end: (got.append, None)))
    async with stream(pipeline):
        while not got:
            await asyncio.sleep(0.001)
    go.set()
    await asyncio.to_thread(gone.wait)
    await asyncio.sleep(0)
    assert got == [1]


@pytest.mark.parametrize("where", ["before", "between", "after"])
async def test_what_threads_pass_is_shown_and_stored(where):
    shown = []
    async with SqliteBackend(":memory:") as backend:
        chain = default_chain(backend, {"partial_response_interval": 1})
        parts = {
            "before": [on_threads(), chain],
            "between": [chain[:2], on_threads(), chain[2:]],
            "after": [chain, on_threads()],
        }[where]
        tap = ops.do_action(lambda event: isinstance(event, Delta) and shown.append(event.text))
        done = await soon(run(from_stream(WORDS, turn=TURN).pipe(*parts, tap, cx.result())))
        assert "".join(shown) == done.full_response == "".join(WORDS)
        assert await content(backend) == ["".join(WORDS)]


async def test_text_that_did_not_wait_is_held_until_the_stream_has_begun():
    """`observe_on` holds `Opened` back, so the source does not see that `begin` makes it wait."""
    async with SqliteBackend(":memory:") as backend:
        source = from_stream(["a", "b"], turn=TURN).pipe(on_threads())
        kinds = await soon(run(source.pipe(cx.begin(backend), ops.map(lambda e: type(e).__name__), ops.to_list())))
    assert kinds == ["Opened", "Begun", "Delta", "Delta", "Ended"]


async def test_subscribe_on_is_refused_by_name():
    for scheduler in (NewThreadScheduler(), AsyncIOScheduler(asyncio.get_running_loop())):
        with pytest.raises(TypeError, match=r"leave out ops\.subscribe_on"):
            await soon(run(source().pipe(ops.subscribe_on(scheduler), passing(lambda emit, *_: (emit, None)))))


async def test_an_operator_that_drops_the_scheduler_is_refused_by_name():
    def forgetful(upstream):
        return Observable(lambda observer, scheduler=None: upstream.subscribe(observer))

    with pytest.raises(TypeError, match="with no scheduler"):
        await soon(run(source().pipe(forgetful)))


# --- without a flow


async def test_subscribe_in_a_running_loop():
    got, done = [], asyncio.Event()
    source(5).pipe(passing(lambda emit, flow, end: (emit, None))).subscribe(got.append, on_completed=done.set)
    await soon(done.wait())
    assert got == [0, 1, 2, 3, 4]


async def test_await_an_observable():
    assert await soon(source(5)) == 4
    assert await soon(source(5).pipe(ops.map(lambda item: item + 1))) == 5
    with pytest.raises(ConnectionError):
        await soon(source(5, ConnectionError()))


async def test_a_subscription_stores_and_its_dispose_flushes():
    async with SqliteBackend(":memory:") as backend:
        chain, done = default_chain(backend), asyncio.Event()
        from_stream(["a", "b"], turn=TURN).pipe(chain, cx.result()).subscribe(on_completed=done.set)
        await soon(done.wait())
        assert await content(backend) == ["ab"]

        async def endless():
            for text in iter(lambda: "c", None):
                yield text
                await asyncio.sleep(0.001)

        shown = []
        turn = Turn("space", "c-2", "Hi!", user_id="ada", user_name="Ada")
        running = from_stream(endless, turn=turn).pipe(chain, cx.text()).subscribe(shown.append)
        while len(shown) < 5:
            await asyncio.sleep(0.001)
        running.dispose()
        while (kept := await content(backend)) == ["", "ab"] or len(kept) < 2 or not kept[0]:
            await asyncio.sleep(0.001)
        assert sorted(kept) == ["ab", "".join(shown)]


async def test_a_bug_of_a_subscriber_ends_its_pipeline():
    failed = asyncio.get_running_loop().create_future()
    source().pipe(passing(lambda emit, flow, end: (lambda item: 1 / item, None))).subscribe(
        on_error=lambda error: failed.set_result(error)
    )
    assert isinstance(await soon(failed), ZeroDivisionError)


def test_subscribe_without_a_loop_is_refused_by_name():
    with pytest.raises(TypeError, match="no event loop runs here"):
        source().subscribe(lambda item: None)
    errors = []
    source().subscribe(lambda item: None, errors.append)
    assert "asyncio.run(run(pipeline))" in str(errors[0])


def test_a_cancelled_await_flushes_before_the_program_ends():
    flushed = []

    async def flush(inbox):
        async for _ in inbox:
            pass
        await asyncio.sleep(0.01)
        flushed.append(True)
        return
        yield

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_awaited(source(10**9).pipe(beside(flush))), 0.01)

    async def _awaited(observable):
        return await observable

    asyncio.run(main())
    assert flushed == [True]


async def test_the_end_of_a_short_answer_waits_with_its_text():
    """All of the answer, its end too, has come before the store has begun."""
    async with SqliteBackend(":memory:") as backend:
        events = await run(from_stream(["a"], turn=TURN).pipe(ops.to_list()))
        kinds = await soon(
            run(rx.from_iterable(events).pipe(cx.begin(backend), ops.map(lambda e: type(e).__name__), ops.to_list()))
        )
        assert kinds == ["Opened", "Begun", "Delta", "Ended"]
        done = await soon(run(rx.from_iterable(events).pipe(default_chain(backend), cx.result())))
        assert done.full_response == "a"
