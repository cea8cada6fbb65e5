"""`AsyncQueue` without a processor: a bounded queue that its user reads."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.errors import QueueClosed
from cortex_rx.stream_utils import AsyncQueue
from cortex_rx.testing import Deadlock, run_virtual


@given(
    st.lists(st.integers(0, 99) | st.none(), max_size=15),
    st.integers(1, 4),
    st.lists(st.sampled_from([0, 1, 3]), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_readers_share_the_items_in_order(kit, items, max_size, pauses, count):
    async def main():
        async with kit.nothing_left():
            queue = AsyncQueue(max_size=max_size)
            taken, seen = [], [[] for _ in range(count)]

            async def read(into):
                async for item in queue:
                    taken.append(item)
                    into.append(item)
                    await asyncio.sleep(pauses[len(taken) % len(pauses)])

            async with asyncio.TaskGroup() as group:
                for into in seen:
                    group.create_task(read(into))
                async with queue:
                    for item in items:
                        await queue.enqueue(item)
                        assert queue.size() <= max_size
            return taken, sum(map(len, seen))

    assert run_virtual(main()) == (items, len(items))


def test_a_reader_of_a_queue_that_was_stopped_does_not_take_it_for_the_end(kit):
    async def main():
        async with kit.nothing_left():
            queue = AsyncQueue()
            reader = asyncio.create_task(kit.gather(queue, []))
            await asyncio.sleep(1)
            with pytest.raises(ZeroDivisionError):
                async with queue:
                    raise ZeroDivisionError
            return await reader

    assert type(run_virtual(main())) is QueueClosed


def test_the_methods_of_cortex(kit):
    async def main():
        queue = AsyncQueue()
        assert queue.is_empty() and queue.dequeue() is None
        for item in ("a", None, "b"):
            await queue.enqueue(item)
        assert (queue.size(), queue.is_empty(), queue.processing, queue.processor) == (3, False, False, None)
        assert [queue.dequeue(), queue.dequeue(), queue.size()] == ["a", None, 1]
        queue.clear()
        assert queue.is_empty()
        await queue.drain()

    run_virtual(main())


def test_dequeue_and_clear_make_room(kit):
    async def main():
        queue = AsyncQueue(max_size=1)
        await queue.enqueue("a")
        waits = asyncio.create_task(queue.enqueue("b"))
        await asyncio.sleep(1)
        assert queue.dequeue() == "a"
        await waits
        waits = asyncio.create_task(queue.enqueue("c"))
        await asyncio.sleep(1)
        queue.clear()
        await waits
        return queue.dequeue()

    assert run_virtual(main()) == "c"


def test_a_queue_that_nobody_reads_stays_full(kit):
    async def main():
        queue = AsyncQueue(max_size=1)
        await queue.enqueue("a")
        await queue.enqueue("b")

    with pytest.raises(Deadlock):
        run_virtual(main())


def test_the_items_of_a_processor_are_not_for_readers(kit):
    with pytest.raises(TypeError, match="go to its processor"):
        run_virtual(anext_of(AsyncQueue(print)))


async def anext_of(queue):
    return await anext(queue)
