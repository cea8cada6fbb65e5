"""Properties of any chain of operators, whatever their delays and capacities, in virtual time.

Items arrive unchanged, in order and exactly once, the end behind them; no source reads further ahead than the boxes
between it and the slowest of those that still hold an item have room for.
"""

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest
import reactivex as rx
from helpers.lanes import examples
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from reactivex import operators as ops

from cortex_rx.engine import beside, passing, run, stage, stream
from cortex_rx.engine.frames import after_failure, from_async_iterable, resume
from cortex_rx.engine.running import Shared

# What the loops report is looked at once, when all examples have run.
EVERY = settings(
    max_examples=examples(60),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

delays = st.lists(st.sampled_from([0, 0, 0.001, 0.01, 0.013, 0.1]), min_size=1, max_size=4)
capacities = st.integers(1, 5)


class Item:
    """Compared by identity: an item that was copied or rebuilt is another one."""

    def __init__(self, number):
        self.number = number

    def __repr__(self):
        return f"Item({self.number})"


@dataclass
class Box:
    """An operator that holds items; `done` counts the source's items that it no longer holds."""

    kind: str
    capacity: int
    delays: list
    interval: float = 0.0
    seen: list = field(default_factory=list)
    done: int = 0

    def operator(self):
        pauses = itertools.cycle(self.delays)

        async def worker(inbox):
            async for batch in inbox:
                assert batch
                self.seen.extend(batch)
                await asyncio.sleep(next(pauses))
                self.done += sum(isinstance(item, Item) for item in batch)
                if self.kind == "telling":
                    yield ("told", id(self), len(self.seen))

        async def slowly(items):
            async for item in items:
                self.seen.append(item)
                await asyncio.sleep(next(pauses))
                yield item
                self.done += isinstance(item, Item)

        async def batched(items):
            while batch := await items.batch():
                self.seen.extend(batch)
                await asyncio.sleep(next(pauses))
                for item in batch:
                    yield item
                    self.done += isinstance(item, Item)

        if self.kind in {"beside", "telling"}:
            return beside(worker, self.interval, capacity=self.capacity)
        return stage(batched if self.kind == "batched" else slowly, self.capacity)


async def the_same(error, emit):
    return error


# What holds nothing.
plain = {
    "passing": lambda: passing(lambda emit, flow, end: (emit, None)),
    "map": lambda: ops.map(lambda x: x),
    "filter": lambda: ops.filter(lambda _: True),
    "do_action": lambda: ops.do_action(lambda _: None),
    "take_while": lambda: ops.take_while(lambda _: True),
    "distinct": lambda: ops.distinct_until_changed(id),
    "materialize": lambda: lambda source: source.pipe(ops.materialize(), ops.dematerialize()),
    "resume": lambda: resume(lambda error, retry: None),
    "after_failure": lambda: after_failure(the_same),
}

boxes = st.builds(
    Box, st.sampled_from(["beside", "telling", "stage", "batched"]), capacities, delays, st.sampled_from([0, 0, 0.02])
)
chains = st.lists(st.one_of(boxes, st.sampled_from(sorted(plain))), max_size=7)


class Source:
    """Items with pauses between them; it ends, or it fails."""

    def __init__(self, kit, n, pauses, error=None, first=0):
        self.items = [Item(first + i) for i in range(n)]
        self.pauses, self.error, self.read = pauses, error, 0
        self.closing = kit.Closing()
        self.look = lambda: None

    async def __call__(self, point):
        async with self.closing():
            for item, pause in zip(self.items, itertools.cycle(self.pauses)):
                if pause is not None:
                    await asyncio.sleep(pause)
                self.read += 1
                self.look()
                yield item
            if self.error:
                raise self.error


def bounds(chain):
    """(box, how far the source may be ahead of it): what fits into it and into every stage before it, and one read."""
    room, found = 1, []
    for box in chain:
        if isinstance(box, Box):
            found.append((box, room + box.capacity))
            if box.kind in {"stage", "batched"}:
                room += box.capacity
    return found, room


def built(chain):
    return [step.operator() if isinstance(step, Box) else plain[step]() for step in chain]


def check_chain(chain, source, received):
    """Every item was seen by every box and arrived. What a box emitted came once, in order, after the item it is
    about.
    """
    assert [item for item in received if isinstance(item, Item)] == source.items
    told = []
    for step in chain:
        if isinstance(step, Box):
            assert step.done == len(source.items)
            assert [item for item in step.seen if isinstance(item, Item)] == source.items
            # a worker sees what passes it; what it tells itself goes past it
            assert [item for item in step.seen if isinstance(item, tuple) and item not in told] == []
            if step.kind == "telling":
                told += [item for item in received if isinstance(item, tuple) and item[1] == id(step)]
                counts = [item[2] for item in told if item[1] == id(step)]
                assert counts == sorted(set(counts)) and counts[-1:] == [len(step.seen)][: bool(step.seen)]
    assert sorted(told) == sorted(item for item in received if isinstance(item, tuple))
    source.closing.check()


pauses = st.lists(st.sampled_from([None, 0, 0.001, 0.01, 0.1]), min_size=1, max_size=4)
sources = st.tuples(st.integers(0, 25), pauses, st.sampled_from([None, None, ConnectionError("lost")]))


@EVERY
@given(chain=chains, source=sources, reader=st.none() | st.tuples(capacities, delays))
def test_any_chain_hands_on_everything_and_reads_no_further_than_it_has_room(kit, watch, chain, source, reader):
    source, received = Source(kit, *source), []
    found, room = bounds(chain)
    gone = Box("reader", 0, [])
    if reader:
        found.append((gone, room + reader[0]))
    most = {id(box): 0 for box, _ in found}

    def look():
        for box, bound in found:
            most[id(box)] = max(most[id(box)], source.read - box.done)
            assert source.read - box.done <= bound, (box, source.read)

    source.look = look

    async def main(loop):
        pipeline = from_async_iterable(source)
        for operator in built(chain):
            pipeline = pipeline.pipe(operator)
        try:
            if not reader:
                await run(pipeline.pipe(ops.do_action(received.append), ops.count()))
            else:
                naps = itertools.cycle(reader[1])
                async with stream(pipeline, reader[0]) as out:
                    async for item in out:
                        received.append(item)
                        await asyncio.sleep(next(naps))
                        gone.done += isinstance(item, Item)
        except ConnectionError as error:
            assert error is source.error
        else:
            assert source.error is None
        check_chain(chain, source, received)

    kit.drive(main, watch)
    event(f"boxes: {sum(isinstance(step, Box) for step in chain)}")
    event(f"a box was filled: {any(most[id(box)] == bound for box, bound in found)}")


@EVERY
@given(
    chain=chains,
    source=sources,
    capacity=capacities,
    readers=st.lists(st.tuples(delays, st.none() | st.integers(1, 10)), min_size=1, max_size=3),
)
def test_readers_of_a_shared_one_each_get_everything_at_the_pace_of_the_slowest(
    kit, watch, chain, source, capacity, readers
):
    source = Source(kit, max(source[0], 1), *source[1:])  # an empty one has no last item: that is an error
    found, room = bounds(chain)
    states = [Box("reader", 0, naps) for naps, _ in readers]
    reading = set(range(len(readers)))

    def look():
        for box, bound in found + [(states[i], room + capacity) for i in reading]:
            assert source.read - box.done <= bound, (box, source.read)

    source.look = look

    async def read(i, answer):
        state, leave, naps = states[i], readers[i][1], itertools.cycle(readers[i][0])
        try:
            async for item in answer:
                state.seen.append(item)
                await asyncio.sleep(next(naps))
                state.done += isinstance(item, Item)
                if len(state.seen) == leave:
                    break
            else:
                return "end"
        except ConnectionError as error:
            assert error is source.error
            return "error"
        finally:
            reading.discard(i)
        return "left"

    async def main(loop):
        pipeline, everything = from_async_iterable(source), []
        for operator in built(chain):
            pipeline = pipeline.pipe(operator)
        answer = Shared(pipeline.pipe(ops.do_action(everything.append)), capacity=capacity)
        answer.detach()  # the reader may leave
        ends = await asyncio.gather(*(read(i, answer) for i in range(len(readers))))
        assert answer.task is not None
        await asyncio.wait((answer.task,))
        await asyncio.sleep(0)
        check_chain(chain, source, everything)
        for end, state, (_, leave) in zip(ends, states, readers, strict=True):
            whole = state.seen == everything
            assert whole or (end == "left" and state.seen == everything[:leave])
            assert end == "left" or end == ("error" if source.error else "end")

    kit.drive(main, watch)


branches = st.lists(st.tuples(chains, sources), min_size=2, max_size=3)


def three_into_two():
    """While a source waits for one box, others fill the box that it asked before."""
    return [([], (6, [None], None)) for _ in range(3)], [Box("beside", 1, [0]), Box("beside", 2, [0.001])]


@EVERY
@example(*three_into_two(), "merge")
@given(branches=branches, shared=chains, how=st.sampled_from(["merge", "concat"]))
def test_branches_starve_nobody(kit, watch, branches, shared, how):
    """Merged or concatenated, each source's items stay complete and in order, and each source keeps its bounds."""
    made = [
        (chain, Source(kit, n, pause, None, 1000 * i), *bounds(chain))
        for i, (chain, (n, pause, _)) in enumerate(branches)
    ]
    common, _ = bounds(shared)

    def looking(source, found):
        def look():
            for box, bound in found:
                assert source.read - box.done <= bound, (box, source.read)
            # what all branches share is never overfull: beyond it lies only what the branches themselves have room for
            for box, bound in common:
                ahead = sum(each.read for _, each, _, _ in made) - box.done
                assert ahead <= bound - 1 + sum(room for _, _, _, room in made), (box, ahead)

        return look

    for _, source, found, _ in made:
        source.look = looking(source, found)

    async def main(loop):
        received, pipelines = [], []
        for chain, source, _, _ in made:
            pipeline = from_async_iterable(source)
            for operator in built(chain):
                pipeline = pipeline.pipe(operator)
            pipelines.append(pipeline)
        pipeline = (rx.merge if how == "merge" else rx.concat)(*pipelines)
        for operator in built(shared):
            pipeline = pipeline.pipe(operator)
        await run(pipeline.pipe(ops.do_action(received.append), ops.count()))
        items = [item for item in received if isinstance(item, Item)]
        for i, (_, source, _, _) in enumerate(made):
            assert [item for item in items if item.number // 1000 == i] == source.items
            source.closing.check()
        assert len(items) == sum(len(source.items) for _, source, _, _ in made)
        if how == "concat":
            assert items == sorted(items, key=lambda item: item.number)

    kit.drive(main, watch)


@pytest.mark.parametrize("kind", ["beside", "telling", "stage", "batched"])
def test_the_bounds_are_reached(kit, watch, kind):
    """So the bounds above are those that the capacities promise, and no looser ones."""
    box, source, most = Box(kind, 3, [1.0]), Source(kit, 20, [None]), 0

    def look():
        nonlocal most
        most = max(most, source.read - box.done)

    source.look = look

    async def main(loop):
        await run(from_async_iterable(source).pipe(box.operator()))

    kit.drive(main, watch)
    assert most == box.capacity + 1


def test_an_interval_that_the_clock_cannot_measure(kit, watch):
    """0.1 + 0.02 - 0.12 is more than 0 for a float, and less than any clock can tell: no reason to wait on and on."""
    source, batches = Source(kit, 4, [0.1, 0.01, 0.01, 0.01]), []

    async def worker(inbox):
        async for batch in inbox:
            batches.append((round(asyncio.get_running_loop().time(), 3), len(batch)))
        return
        yield

    async def main(loop):
        loop.on_step = lambda step: loop.stop() if step > 1000 else None  # which is an error of the runner
        await run(from_async_iterable(source).pipe(beside(worker, interval=0.02)))

    kit.drive(main, watch)
    assert batches == [(0.1, 1), (0.12, 1), (0.13, 2)]  # at 0.12 the pause is over before the source goes on
