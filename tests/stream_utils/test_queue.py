"""`AsyncQueue`: in order, one at a time, bounded; a failure or a cancellation leaves nothing stuck and nothing
behind.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.engine.scheduler import ForeignCancellation
from cortex_rx.errors import InvalidArgument, QueueClosed
from cortex_rx.stream_utils import AsyncQueue
from cortex_rx.testing import assert_no_leaks, run_virtual


class Processor:
    """Takes a given time for each item, and records what it did, when, and how many at a time."""

    def __init__(self, pause=1.0, fails=()):
        self.pause, self.fails = pause, fails
        self.done, self.began, self.busy = [], [], 0

    async def __call__(self, item):
        self.busy += 1
        assert self.busy == 1, "two at a time"
        self.began.append(item)
        try:
            await asyncio.sleep(self.pause)
            if item in self.fails:
                raise ConnectionError(f"no {item}")
            self.done.append((item, asyncio.get_running_loop().time()))
        finally:
            self.busy -= 1

    @property
    def items(self):
        return [item for item, _ in self.done]


@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from([0, 0, 0.3, 1, 5])), max_size=15),
    st.integers(1, 5),
    st.sampled_from([0, 0.5, 2]),
)
def test_all_items_are_processed_in_order(kit, script, max_size, pause):
    async def main():
        async with kit.nothing_left():
            processor, waiting = Processor(pause), 0
            async with AsyncQueue(processor, max_size=max_size) as queue:
                for item, wait in script:
                    await queue.enqueue(item)
                    waiting = max(waiting, queue.size())
                    await asyncio.sleep(wait)
            assert queue.is_empty() and not queue.processing
            return processor.items, waiting

    items, waiting = run_virtual(main())
    assert items == [item for item, _ in script]
    assert waiting <= max_size


def test_who_enqueues_waits_for_room_and_not_for_the_processor(kit):
    """Cortex's processes within `enqueue`."""

    async def main():
        async with assert_no_leaks():
            clock, times = asyncio.get_running_loop().time, []
            async with AsyncQueue(Processor(10), max_size=2) as queue:
                for item in range(5):
                    await queue.enqueue(item)
                    times.append(clock())
            return times, clock()

    assert run_virtual(main()) == ([0, 0, 0, 10, 20], 50)


def test_a_task_lives_only_while_there_is_something_to_do(kit):
    async def main():
        async with assert_no_leaks():
            processor = Processor()
            queue = AsyncQueue(processor)
            for item in range(3):
                await queue.enqueue(item)
                assert queue.processing
                await queue.drain()
                assert not queue.processing and len(asyncio.all_tasks()) == 1
            return processor.done  # it was never closed

    assert run_virtual(main()) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("way", ["plain", "async", "async at once"])
def test_any_function_processes(kit, way):
    seen = []

    async def later(item):
        if way == "async":
            await asyncio.sleep(1)
        seen.append(item)

    async def main():
        turns = 0
        async with AsyncQueue(seen.append if way == "plain" else later) as queue:
            for item in range(20):
                await queue.enqueue(item)
            while way != "async" and queue.processing:
                turns += 1
                await asyncio.sleep(0)
        return turns

    turns = run_virtual(main())
    assert seen == list(range(20))
    assert turns >= 20 or way == "async", "a processor that never waits starved the loop"


# --- failures
# ------------------------------------------------------------------------------------------------------------


def test_an_item_that_fails_ends_the_work_and_what_waits_stays(kit):
    async def main():
        async with kit.nothing_left():
            processor = Processor(fails=[1])
            queue = AsyncQueue(processor, max_size=3)
            for item in range(4):
                await queue.enqueue(item)
            for call in (queue.drain, lambda: queue.enqueue(9), queue.close, queue.drain):
                with pytest.raises(ConnectionError, match="no 1"):
                    await call()
            assert not queue.processing and processor.items == [0]
            return [queue.dequeue() for _ in range(3)]

    assert run_virtual(main()) == [2, 3, None]


def test_who_waits_for_room_hears_of_the_failure(kit):
    async def main():
        async with kit.nothing_left():
            queue = AsyncQueue(Processor(fails=[0]), max_size=1)
            await queue.enqueue(0)
            await queue.enqueue(1)
            with pytest.raises(ConnectionError):
                await queue.enqueue(2)
            return asyncio.get_running_loop().time(), queue.size()

    assert run_virtual(main()) == (1, 1)


def test_async_with_raises_the_failure_and_keeps_what_waits(kit):
    async def main():
        async with kit.nothing_left():
            with pytest.raises(ConnectionError, match="no 0"):
                async with AsyncQueue(Processor(fails=[0])) as queue:
                    for item in range(3):
                        await queue.enqueue(item)
            return queue.dequeue(), queue.dequeue()

    assert run_virtual(main()) == (1, 2)


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_with_on_error_the_work_goes_on(kit, kind):
    told = []

    def plain(item, error):
        told.append((item, str(error)))

    async def later(item, error):
        await asyncio.sleep(1)
        plain(item, error)

    async def main():
        processor = Processor(fails=[1, 3])
        async with AsyncQueue(processor, on_error=plain if kind == "plain" else later) as queue:
            for item in range(5):
                await queue.enqueue(item)
        return processor.items

    assert run_virtual(main()) == [0, 2, 4]
    assert told == [(1, "no 1"), (3, "no 3")]


def test_an_on_error_that_fails_ends_the_work(kit):
    def fails(item, error):
        raise ZeroDivisionError from error

    async def main():
        queue = AsyncQueue(Processor(fails=[0]), on_error=fails)
        await queue.enqueue(0)
        with pytest.raises(ZeroDivisionError):
            await queue.close()

    run_virtual(main())


def test_a_processor_that_is_cancelled_within_has_failed(kit):
    async def cancels(item):
        raise asyncio.CancelledError

    async def main():
        async with kit.nothing_left():
            queue = AsyncQueue(cancels)
            await queue.enqueue(1)
            with pytest.raises(ForeignCancellation):
                await queue.drain()
            return queue.processing

    assert run_virtual(main()) is False


@pytest.mark.parametrize("begun", [False, True])
def test_a_worker_that_somebody_cancels_lets_nobody_wait_for_ever(kit, begun):
    """Cortex's flag stays up for ever, and nothing is processed any more."""

    async def main():
        async with kit.nothing_left():
            queue = AsyncQueue(Processor(), max_size=1)
            await queue.enqueue(1)
            if begun:  # else its task has not taken a step yet
                await asyncio.sleep(0.5)
            (worker,) = asyncio.all_tasks() - {asyncio.current_task()}
            worker.cancel()
            with pytest.raises(ForeignCancellation):
                await queue.drain()
            return queue.processing

    assert run_virtual(main()) is False


# --- the end
# ---------------------------------------------------------------------------------------------------------------


def test_a_queue_that_is_closed_takes_no_more(kit):
    async def main():
        async with kit.nothing_left():
            processor = Processor()
            queue = AsyncQueue(processor, max_size=1)
            await queue.enqueue(1)
            await queue.enqueue(2)
            waits = asyncio.create_task(queue.enqueue(3))
            await asyncio.sleep(0)
            await queue.close()
            await queue.close()
            for call in (waits, queue.enqueue(4)):
                with pytest.raises(QueueClosed):
                    await call
            return processor.items

    assert run_virtual(main()) == [1, 2]


@pytest.mark.parametrize("way", ["error", "cancel", "cancel at the end", "stop"])
def test_a_queue_that_is_stopped_processes_no_more(kit, way):
    processor = Processor(10)

    async def work():
        async with AsyncQueue(processor) as queue:
            for item in range(3):
                await queue.enqueue(item)
            if way != "cancel at the end":
                await asyncio.sleep(15 if way == "cancel" else 14)
            if way == "error":
                raise ZeroDivisionError
            if way == "stop":
                await queue.stop()

    async def main():
        async with assert_no_leaks():
            task = asyncio.create_task(work())
            await asyncio.sleep(14.5)
            if "cancel" in way:
                task.cancel()
            await asyncio.wait({task})
            kind = asyncio.CancelledError if task.cancelled() else type(task.exception())
            return kind, asyncio.get_running_loop().time()

    kind, at = run_virtual(main())
    assert kind is {"error": ZeroDivisionError, "stop": type(None)}.get(way, asyncio.CancelledError)
    assert at == 14.5
    assert (processor.items, processor.began, processor.busy) == ([0], [0, 1], 0)


def test_a_processor_that_fails_while_it_is_stopped_is_heard(kit):
    async def stubborn(item):
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError("while it was stopped")

    async def main():
        async with kit.nothing_left():
            queue = AsyncQueue(stubborn)
            await queue.enqueue(1)
            await asyncio.sleep(1)
            with pytest.raises(OSError, match="while it was stopped"):
                await queue.stop()

    run_virtual(main())


def test_one_that_is_cancelled_at_every_place(kit):
    def make():
        processor, put = Processor(0), []
        queue = AsyncQueue(processor, max_size=1)

        async def work():
            async with queue:
                for item in range(4):
                    await queue.enqueue(item)
                    put.append(item)

        def check():
            assert not queue.processing and processor.busy == 0
            assert processor.items == list(range(len(processor.items)))
            assert len(processor.began) <= len(put)

        return work(), check

    assert kit.cancelled_everywhere(make) > 8


def test_an_enqueue_that_is_cancelled_has_put_nothing(kit):
    async def main():
        processor, given_up = Processor(10), []
        async with AsyncQueue(processor, max_size=1) as queue:
            for item in range(6):
                try:
                    async with asyncio.timeout(4):
                        await queue.enqueue(item)
                except TimeoutError:
                    given_up.append(item)
        return processor.items, given_up

    assert run_virtual(main()) == ([0, 1, 4], [2, 3, 5])


@pytest.mark.parametrize("call", ["drain", "close", "stop", "enqueue"])
def test_a_processor_that_waits_for_its_own_queue_is_told(kit, call):
    async def main():
        async with kit.nothing_left():

            async def waits(item):
                await queue.enqueue("room for one")
                await (queue.enqueue("too much") if call == "enqueue" else getattr(queue, call)())

            queue = AsyncQueue(waits, max_size=1)
            await queue.enqueue(1)
            with pytest.raises(RuntimeError, match="waits for its own queue"):
                await queue.drain()

    run_virtual(main())


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"processor": 5}, "processor"), ({"on_error": "x"}, "on_error"), ({"max_size": 0}, "max_size")],
)
def test_what_makes_no_sense_is_refused(arguments, field):
    with pytest.raises(InvalidArgument, match=f"{field}: got"):
        AsyncQueue(**arguments)
