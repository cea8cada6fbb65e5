"""What was opened is closed once, however the stream ends, and errors on the way are reported."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from datetime import timedelta

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from cortex_rx import from_stream, run, stream
from cortex_rx import operators as cx
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import StreamTimeout
from cortex_rx.events import Delta, Ended, Opened, Problem
from cortex_rx.sources import opening
from cortex_rx.testing import assert_no_leaks, run_virtual
from cortex_rx.testing.leaks import left_on_loop


class Connection:
    """A provider's stream, in several forms, that notes what is done to it: a letter each, `o`pened, `c`losed,
    e`x`ited.
    """

    def __init__(self, kind, items=(), fails=None, hangs=False):
        self.kind, self.items, self.fails, self.hangs, self.log = kind, items, fails, hangs, []

    async def generator(self):
        self.log.append("open")
        try:
            for item in self.items:
                await asyncio.sleep(0.1)
                yield item
            if self.hangs:
                await asyncio.sleep(1e9)
            if self.fails:
                raise self.fails
        finally:
            await asyncio.sleep(0.01)  # closing takes a while, and must not be broken into
            self.log.append("close")

    @contextlib.asynccontextmanager
    async def manager(self):
        self.log.append("enter")
        try:
            yield self.generator()
        finally:
            await asyncio.sleep(0.01)
            self.log.append("exit")

    def source(self):
        if self.kind == "generator":
            return self.generator()
        if self.kind == "manager":
            return self.manager()
        if self.kind == "object":
            return Plain(self)
        if self.kind == "both":
            return Both(self)
        if self.kind == "sync":
            return self.sync()
        assert self.kind == "observable"
        return rx.create(self.subscribe)

    def sync(self):
        self.log.append("open")
        try:
            yield from self.items
            if self.fails:
                raise self.fails
        finally:
            self.log.append("close")

    def subscribe(self, observer, scheduler):
        self.log.append("open")
        inner = rx.timer(0.1, 0.1).pipe(ops.take(len(self.items)), ops.map(lambda n: self.items[n]))
        end = rx.throw(self.fails) if self.fails else rx.never() if self.hangs else rx.empty()
        return inner.pipe(ops.concat(end), ops.finally_action(lambda: self.log.append("close"))).subscribe(
            observer, scheduler=scheduler
        )

    def check(self):
        opened = {"manager": ["enter", "open"], "both": ["enter", "open"], "object": ["open"]}.get(self.kind, ["open"])
        closed = {"manager": ["close", "exit"], "both": ["close", "exit"], "object": ["close", "aclose"]}
        assert self.log == opened + closed.get(self.kind, ["close"])


class Plain:
    """An object with an `aclose` of its own, whose iterator is a generator."""

    def __init__(self, owner):
        self.owner = owner

    def __aiter__(self):
        return self.owner.generator()

    async def aclose(self):
        self.owner.log.append("aclose")


class Both(Plain):
    """As the streams of the SDKs: to be iterated over, entered and closed; its exit is its closing."""

    async def __aenter__(self):
        self.owner.log.append("enter")
        return self

    async def __aexit__(self, *_):
        self.owner.log.append("exit")


KINDS = ["generator", "manager", "object", "both", "sync", "observable"]
SLOW = [kind for kind in KINDS if kind != "sync"]


def leakless(main):
    """Run it in virtual time; nothing may be left.  (`assert_no_leaks` finds more, and takes long: it stands
    elsewhere.)
    """
    threads = set(threading.enumerate())

    async def checked():
        result = await main()
        for _ in range(3):
            await asyncio.sleep(0)
        assert list(left_on_loop(asyncio.get_running_loop())) == []
        return result

    result = run_virtual(checked())
    assert set(threading.enumerate()) <= threads
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", [None, ValueError("broken")])
def test_it_is_closed_once_at_the_end_and_on_an_error(kit, kind, fails):
    connection = Connection(kind, ["a", "b"], fails)
    came = leakless(lambda: kit.read(connection.source))
    assert came.texts == ["a", "b"] and came.error is fails
    connection.check()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_closed_before_the_end_is_passed_on(kit, kind):
    connection = Connection(kind, ["a"])
    seen = []

    async def main():
        watched = from_stream(connection.source, turn=kit.TURN).pipe(
            ops.do_action(on_completed=lambda: seen.append(list(connection.log)))
        )
        await run(watched)

    leakless(main)
    assert seen == [connection.log]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_is_closed_once_when_the_reader_has_enough(kit, kind, count):
    connection = Connection(kind, ["a"] * 50)

    async def main():
        came = await kit.read(connection.source, ops.take(count))
        assert len(came.events) == count and came.error is None
        if connection.log:
            connection.check()  # now, and not when what is left of it is collected
        else:
            assert count == 1  # left before it was opened

    leakless(main)


@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.parametrize("after", [0, 0.05, 0.1, 0.15, 0.21, 0.35])
@pytest.mark.parametrize("times", [1, 3])
def test_it_is_closed_once_when_it_is_cancelled_once_or_again_and_again(kit, kind, after, times):
    connection = Connection(kind, ["a", "b"], hangs=True)

    async def main():
        task = asyncio.create_task(kit.read(connection.source))
        await asyncio.sleep(after)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.004)
        with pytest.raises(asyncio.CancelledError):
            await task

    leakless(main)
    if connection.log:
        connection.check()
    else:
        assert after == 0


@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.parametrize("then", ["fail", "end"])
def test_it_is_closed_once_when_time_is_up(kit, kind, then):
    connection = Connection(kind, ["a", "b"], hangs=True)
    came = leakless(lambda: kit.read(connection.source, cx.timeout(idle=timedelta(seconds=1), then=then)))
    assert came.texts == ["a", "b"] and (type(came.error) is StreamTimeout) == (then == "fail")
    connection.check()


def test_no_timer_is_left_when_time_was_not_up(kit):
    limit = cx.timeout(idle=timedelta(hours=1), total=timedelta(hours=2))
    assert leakless(lambda: kit.read(Connection("generator", ["a"]).source, limit)).ended.reason == "stop"


def test_an_observable_of_the_engine_is_closed_before_the_end_is_passed_on(kit):
    connection, seen = Connection("generator", ["a"], hangs=True), []

    async def main():
        source = from_stream(from_async_iterable(lambda _: connection.generator()), turn=kit.TURN)
        limited = cx.timeout(idle=timedelta(seconds=1), then="end")(source)
        await run(limited.pipe(ops.do_action(on_completed=lambda: seen.append(list(connection.log)))))

    leakless(main)
    assert seen == [["open", "close"]]


async def test_an_iterator_is_closed_once(kit):
    source = Stuck()
    source.go.set()
    closed = []
    source.close = lambda: closed.append(True)
    await kit.read(source, ops.take(3))
    assert closed == [True]


@given(st.lists(st.sampled_from(["item", "pause"]), max_size=6), st.integers(0, 40), st.sampled_from(KINDS))
def test_whenever_the_reader_leaves_it_is_closed(kit, reading, pause, kind):
    connection = Connection(kind, ["a"] * 10, hangs=kind in SLOW)

    async def main():
        async with stream(from_stream(connection.source, turn=kit.TURN)) as events:
            for step in reading:
                if step == "pause":
                    await asyncio.sleep(pause / 100)
                elif await asyncio.wait_for(events.more(), 20):
                    await anext(events)

    run_virtual(main())
    if connection.log:
        connection.check()


# --- the limit of closing -----------------------------------------------------------------------------------------


class Closes:
    """A stream whose closing does as it is told."""

    def __init__(self, close, fails=None, items=2):
        self.close, self.fails, self.items = close, fails, items

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.items -= 1
        if self.items >= 0:
            return "a"
        raise self.fails or StopAsyncIteration

    async def aclose(self):
        await self.close()


async def hangs():
    await asyncio.Event().wait()


async def ignores_its_cancellation():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


async def fails_to_close():
    await asyncio.sleep(0.1)
    raise OSError("private")


class Unusual(BaseException):
    pass


async def fails_unusually():
    raise Unusual("private")


async def cancels_itself():
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


CLOSINGS = {
    hangs: (5, "TimeoutError"),
    ignores_its_cancellation: (6, "TimeoutError"),
    fails_to_close: (0.1, "OSError"),
    fails_unusually: (0, "AbnormalEnd"),
    cancels_itself: (0, "ForeignCancellation"),
}
closings = pytest.mark.parametrize(("close", "seconds", "name"), [(close, *rest) for close, rest in CLOSINGS.items()])


def timed(main):
    async def measured():
        result = await main()
        return result, asyncio.get_running_loop().time()

    return leakless(measured)


@closings
def test_a_closing_that_fails_after_a_whole_answer_is_a_problem(kit, close, seconds, name, caplog):
    came, took = timed(lambda: kit.read(lambda: Closes(close)))
    assert came.texts == ["a", "a"] and came.error is None and took == seconds
    assert [type(event) for event in came.events[-2:]] == [Ended, Problem]
    (problem,) = came.problems
    assert type(problem.error).__name__ == name and name in problem.message and problem.phase == "streaming"
    assert problem.recoverable is (name == "TimeoutError"), "as the table of errors says"
    assert "private" not in str(problem) and [record.getMessage() for record in caplog.records] == [
        f"the source could not be closed: {name}"
    ]


@closings
def test_a_closing_that_fails_after_a_failure_is_logged(kit, close, seconds, name, caplog):
    error = ConnectionError("the line broke")
    came, took = timed(lambda: kit.read(lambda: Closes(close, error)))
    assert came.texts == ["a", "a"] and came.error is error and came.problems == [] and took == seconds
    assert f"the source could not be closed: {name}" in caplog.text and "private" not in caplog.text


@closings
def test_a_closing_that_fails_when_the_reader_has_left_is_logged(kit, close, seconds, name, caplog):
    came, took = timed(lambda: kit.read(lambda: Closes(close, items=50), ops.take(3)))
    assert len(came.events) == 3 and came.error is None and took == seconds
    if name != "ForeignCancellation":  # it was cancelled by us before
        assert f"the source could not be closed: {name}" in caplog.text


def test_a_closing_that_hangs_is_cut_off_with_the_stream(kit):
    async def main():
        task = asyncio.create_task(kit.read(lambda: Closes(hangs)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() and asyncio.get_running_loop().time() == 1

    leakless(main)


def test_what_a_context_manager_makes_of_an_error_counts(kit):
    @contextlib.asynccontextmanager
    async def manager():
        try:
            yield Connection("generator", ["a"], OSError("low")).generator()
        except OSError as error:
            raise ConnectionError("the provider says more") from error

    came = leakless(lambda: kit.read(manager))
    assert str(came.error) == "the provider says more" and str(came.error.__cause__) == "low"


# --- errors of opening and closing ------------------------------------------------------------------------------------


def raises(error):
    raise error


async def fails_to_open(error):
    await asyncio.sleep(0.1)
    raise error


class NoEntry:
    def __init__(self, error):
        self.error = error

    async def __aenter__(self):
        raise self.error

    async def __aexit__(self, *_):
        raise AssertionError("it was not entered")


class NoIterator:
    def __init__(self, error):
        self.error, self.closed = error, 0

    def __iter__(self):
        raise self.error

    def close(self):
        self.closed += 1


@pytest.mark.parametrize(
    "opens",
    [
        lambda error: raises(error),
        lambda error: fails_to_open(error),
        NoEntry,
        NoIterator,
        lambda error: rx.throw(error),
        lambda error: rx.create(lambda *_: raises(error)),
    ],
)
def test_an_error_of_opening_is_an_error_of_the_stream(kit, opens):
    error = ConnectionError("refused")
    came = leakless(lambda: kit.read(lambda: opens(error)))
    assert [type(event) for event in came.events] == [Opened] and came.error is error


async def test_what_was_opened_before_it_failed_is_closed(kit):
    source = NoIterator(OSError())
    await kit.read(lambda: source)
    assert source.closed == 1
    left = []

    @contextlib.asynccontextmanager
    async def manager():
        try:
            yield 5  # no stream
        finally:
            left.append(True)

    assert "int" in str((await kit.read(manager)).error) and left == [True]


@pytest.mark.parametrize("items", [["a", "b"], []])
def test_an_error_of_the_exit_comes_when_all_text_has_come(kit, items):
    @contextlib.asynccontextmanager
    async def manager():
        yield Connection("generator", items).generator()
        raise OSError("the exit failed")

    came = leakless(lambda: kit.read(manager))
    assert came.texts == items and came.of(Ended) == [Ended("stop", len(items), len(items))] and came.error is None
    (problem,) = came.problems
    assert problem is came.events[-1] and (problem.phase, problem.code) == ("streaming", "NOT_CLOSED")
    assert str(problem.error) == "the exit failed" and "the exit failed" not in problem.message


async def test_an_error_of_closing_a_thing_of_a_thread(kit):
    closed = []

    class Items(list):
        def __iter__(self):
            return Numbers(super().__iter__())

        def close(self):
            closed.append("items")

    class Numbers:
        def __init__(self, inner):
            self.inner = inner

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.inner)

        def close(self):
            closed.append("numbers")
            raise OSError("the closing failed")

    class Source:
        def __iter__(self):
            return Numbers(iter(["a"]))

        def close(self):
            closed.append("source")

    async with assert_no_leaks():
        came = await kit.read(Source())
    assert came.texts == ["a"] and came.error is None and len(came.of(Ended)) == 1
    assert [str(problem.error) for problem in came.problems] == ["the closing failed"]
    assert closed == ["numbers", "source"]  # the one does not keep the other from being closed


def test_a_context_manager_that_swallows_errors_does_not_make_half_an_answer_whole(kit):
    error = ConnectionResetError("reset")

    @contextlib.asynccontextmanager
    async def manager():
        with contextlib.suppress(OSError):
            yield Connection("generator", ["a"], error).generator()

    came = leakless(lambda: kit.read(manager))
    assert came.texts == ["a"] and came.of(Ended) == [] and came.error is error


def test_the_context_manager_hears_of_the_error_of_its_stream(kit):
    heard = []
    error = ValueError("broken")

    @contextlib.asynccontextmanager
    async def manager():
        try:
            yield Connection("generator", ["a"], error).generator()
        except ValueError as caught:
            heard.append(caught)
            raise

    came = leakless(lambda: kit.read(manager))
    assert heard == [error] and came.error is error


def test_a_source_that_is_cancelled_by_something_of_its_own_fails(kit):
    async def broken():
        yield "a"
        raise asyncio.CancelledError

    came = leakless(lambda: kit.read(broken))
    assert came.texts == ["a"] and type(came.error).__name__ == "ForeignCancellation"


def test_what_an_observer_raises_is_no_error_of_the_source(kit):
    connection = Connection("manager", ["a"], hangs=True)

    async def main():
        def observe(event):
            if type(event) is Delta:
                raise ZeroDivisionError("a bug downstream")

        source = from_stream(connection.source, turn=kit.TURN)
        with pytest.raises(ZeroDivisionError, match="a bug downstream"):
            async with stream(source) as events:
                async for event in events:
                    observe(event)

    leakless(main)
    connection.check()


# --- a read that does not return --------------------------------------------------------------------------------------


class Stuck:
    """A sync stream whose second read hangs until it is let go."""

    def __init__(self, fails=False):
        self.go, self.reading, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.fails, self.reads = fails, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.reads += 1
        if self.reads > 1:
            self.reading.set()
            self.go.wait(30)
        return "a"

    def close(self):
        self.closed.set()
        if self.fails:
            raise OSError("private")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_read_that_hangs_is_left_to_its_thread_which_closes(kit, monkeypatch, caplog, fails):
    monkeypatch.setattr(opening, "CLOSING", 0.05)
    source = Stuck(fails)
    async with assert_no_leaks():
        came = await kit.read(source, cx.timeout(idle=timedelta(milliseconds=50)))
        assert came.texts == ["a"] and type(came.error) is StreamTimeout
        assert not source.closed.is_set()
        assert "a read of the source did not return in time" in caplog.text
        source.go.set()
        assert await asyncio.to_thread(source.closed.wait, 10)
    assert ("the source could not be closed: OSError" in caplog.text) == fails
    assert "private" not in caplog.text and {record.name for record in caplog.records} == {"cortex_rx"}
    assert source.reads == 2


async def test_a_read_that_returns_soon_is_waited_for_and_the_source_closed_before_the_end(kit, caplog):
    source = Stuck()
    task = asyncio.create_task(kit.read(source))
    assert await asyncio.to_thread(source.reading.wait, 10)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, source.go.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed.is_set() and source.reads == 2
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_read_that_never_returns_does_not_keep_the_program_from_ending():
    import subprocess
    import sys

    code = """
import asyncio, threading
from datetime import timedelta
from cortex_rx import Turn, from_stream, operators as cx, run
from cortex_rx.sources import opening
opening.CLOSING = 0.05
def hangs():
    yield "a"
    threading.Event().wait()
source = from_stream(hangs, turn=Turn("s", "c", "Hi!", agent_id="helper"))
try:
    asyncio.run(run(source.pipe(cx.timeout(idle=timedelta(seconds=0.05)), cx.last())))
except TimeoutError as error:
    print(type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout.strip()) == (0, "StreamTimeout")
    assert "Traceback" not in done.stderr


async def test_a_thread_that_pushes_on_after_the_end_disturbs_nobody(kit):
    """Also when the loop has long been closed."""
    observers = []

    def main():
        return asyncio.run(kit.read(rx.create(lambda observer, _: observers.append(observer)), timeout()))

    def timeout():
        return cx.timeout(idle=timedelta(milliseconds=20), then="end")

    came = await asyncio.to_thread(main)
    assert came.ended.reason == "timeout"
    observers[0].on_next("late")
    observers[0].on_completed()
