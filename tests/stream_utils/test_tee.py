"""`tee_stream`: every branch gives the whole stream, at any pace; it is bounded, and a branch that has left delays no
other.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.engine.scheduler import ForeignCancellation
from cortex_rx.errors import InvalidArgument
from cortex_rx.stream_utils import tee_stream
from cortex_rx.testing import Deadlock, assert_no_leaks, run_virtual

PAUSES = st.lists(st.sampled_from([0, 0, 0.5, 1, 7]), max_size=8)


async def read(branch, pauses, stop=None):
    """Read a branch at its own pace, to the end or until `stop` items have come. Returns the items and the error."""
    seen = []
    async with branch:
        try:
            while len(seen) != stop:
                seen.append(await anext(branch))
                if pauses:
                    await asyncio.sleep(pauses[len(seen) % len(pauses)])
        except StopAsyncIteration:
            return seen, None
        except ConnectionError as error:
            return seen, str(error)
    return seen, None


@settings(max_examples=examples(150))
@given(
    st.lists(st.sampled_from(["a", "b", 0, 1, 3]), max_size=12),
    st.lists(st.tuples(PAUSES, st.none() | st.integers(0, 6)), min_size=1, max_size=4),
    st.integers(1, 4),
    st.booleans(),
)
def test_each_branch_is_the_stream_whatever_the_speeds(kit, script, readers, max_ahead, fails):
    """Or the beginning of it, for a reader that leaves."""

    async def main():
        async with kit.nothing_left():
            source = kit.Source(*script, *([ConnectionError("gone")] if fails else []))
            branches = tee_stream(source, len(readers), max_ahead=max_ahead)
            reading = [read(branch, *reader) for branch, reader in zip(branches, readers, strict=True)]
            return await asyncio.gather(*reading), source.closed

    came, closed = run_virtual(main())
    items = [item for item in script if isinstance(item, str)]
    assert closed == 1
    for (seen, error), (_, stop) in zip(came, readers, strict=True):
        left = stop is not None and stop <= len(items)
        assert seen == (items[:stop] if left else items)
        assert error == ("gone" if fails and not left else None)


@pytest.mark.parametrize("max_ahead", [1, 3])
def test_the_slowest_sets_the_pace(kit, max_ahead):
    async def main():
        source = kit.Source(*"abcdefgh")
        fast, slow = tee_stream(source, max_ahead=max_ahead)
        seen = []
        reader = asyncio.create_task(kit.gather(fast, seen))
        steps = []
        for _ in range(3):
            await asyncio.sleep(1)
            steps.append((len(seen), source.given))
            await anext(slow)
        async with fast, slow:
            reader.cancel()
            await asyncio.wait({reader})
        return steps

    assert run_virtual(main()) == [(max_ahead + n, max_ahead + n) for n in range(3)]


def test_nothing_is_read_before_somebody_asks(kit):
    async def main():
        async with kit.nothing_left():
            source = kit.Source("a", "b", "c")
            one, other = tee_stream(source)
            await asyncio.sleep(5)
            given = [source.given]
            await anext(one)
            await asyncio.sleep(5)
            given.append(source.given)
            await anext(other)
            await asyncio.sleep(5)
            given.append(source.given)
            await one.aclose()
            assert source.closed == 0
            await other.aclose()
            return given, source.closed

    assert run_virtual(main()) == ([0, 1, 1], 1)


def test_a_closed_branch_holds_up_nobody_and_gives_nothing(kit):
    async def main():
        async with assert_no_leaks():
            source = kit.Source(*"abcdef")
            one, other = tee_stream(source, max_ahead=1)
            await anext(one)
            waits = asyncio.create_task(kit.gather(one, rest := []))  # for the other branch, which has read nothing yet
            await asyncio.sleep(1)
            assert rest == []
            await other.aclose()
            await other.aclose()
            await waits
            with pytest.raises(StopAsyncIteration):
                await anext(other)
            return rest, source.closed

    assert run_virtual(main()) == (["b", "c", "d", "e", "f"], 1)


def test_a_branch_that_is_dropped_holds_up_nobody(kit):
    async def main():
        async with assert_no_leaks():
            source = kit.Source(*"abc")
            one, other = tee_stream(source, max_ahead=1)
            await anext(one)
            waits = asyncio.create_task(kit.gather(one, rest := []))
            await asyncio.sleep(1)
            del other
            gc.collect()
            await waits
            return rest, source.closed

    assert run_virtual(main()) == (["b", "c"], 1)


@pytest.mark.parametrize("begun", [True, False])
def test_branches_that_are_all_dropped_leave_nothing(kit, begun):
    async def main():
        async with assert_no_leaks():
            source = kit.Source("a", "b", 60, "c")
            branches = tee_stream(source, 3)
            if begun:
                await anext(branches[0])
                waits = asyncio.create_task(kit.gather(branches[1], []))
                await asyncio.sleep(1)  # it is in the middle of a read
                waits.cancel()
                await asyncio.wait({waits})
                del waits
            del branches
            gc.collect()
            await asyncio.sleep(1)
            return source.closed

    assert run_virtual(main()) == int(begun)  # a stream that nobody has begun to read nobody closes


def test_branches_that_are_closed_unread_close_the_stream(kit):
    async def main():
        async with kit.nothing_left():
            source = kit.Source("a")
            one, other = tee_stream(source)
            await one.aclose()
            await other.aclose()
            return source.closed, source.given

    assert run_virtual(main()) == (1, 0)


def test_a_reader_that_is_cancelled_does_not_cancel_the_read_of_the_others(kit):
    async def main():
        async with kit.nothing_left():
            source = kit.Source("a", 10, "b")
            one, other = tee_stream(source)
            impatient = asyncio.create_task(kit.gather(one, []))
            patient = asyncio.create_task(kit.gather(other, seen := []))
            await asyncio.sleep(5)
            impatient.cancel()
            await one.aclose()
            await patient
            return seen, source.closed

    assert run_virtual(main()) == (["a", "b"], 1)


def test_a_read_that_is_cancelled_loses_no_item(kit):
    async def main():
        (branch,) = tee_stream(kit.Source("a", 10, "b", 10, "c"), 1)
        seen = []
        async with branch:
            while True:
                try:
                    async with asyncio.timeout(3):
                        seen.append(await anext(branch))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    return seen

    assert run_virtual(main()) == ["a", "b", "c"]


def test_readers_that_are_cancelled_at_every_place(kit):
    def make():
        source = kit.Source("a", 0, "b", 0, 0, "c")

        async def work():
            one, other = tee_stream(source, max_ahead=1)
            async with one, other, asyncio.TaskGroup() as group:
                group.create_task(kit.gather(one, []))
                group.create_task(kit.gather(other, []))

        def check():
            assert source.closed <= 1 and (source.closed or not source.given) and not source.reading

        return work(), check

    assert kit.cancelled_everywhere(make) > 8


def test_an_error_comes_in_each_branch_behind_the_items_before_it(kit):
    async def main():
        async with kit.nothing_left():
            error = ConnectionError("gone")
            source = kit.Source("a", "b", error)
            branches, seen = tee_stream(source, 3), [[], [], []]
            errors = await asyncio.gather(*map(kit.gather, branches, seen))
            assert all(each is error for each in errors)
            for branch in branches:  # it is over
                with pytest.raises(StopAsyncIteration):
                    await anext(branch)
            return seen, source.closed

    assert run_virtual(main()) == ([["a", "b"]] * 3, 1)


def test_a_stream_that_is_cancelled_within_is_not_taken_for_its_end(kit):
    async def main():
        async with kit.nothing_left():
            one, other = tee_stream(kit.Source("a", asyncio.CancelledError()))
            return await asyncio.gather(kit.gather(one, []), kit.gather(other, []))

    assert [type(error) for error in run_virtual(main())] == [ForeignCancellation] * 2


def test_an_error_of_the_closing_comes_to_who_closes_last(kit):
    async def main():
        async with kit.nothing_left():
            one, other = tee_stream(kit.Source("a", 60, fails=OSError("close")))
            await anext(one)
            await one.aclose()
            with pytest.raises(OSError, match="close"):
                await other.aclose()

    run_virtual(main())


def test_the_last_branch_waits_until_the_stream_is_closed(kit):
    async def main():
        source = kit.Source("a", 60, closing=5)
        one, other = tee_stream(source)
        waits = asyncio.create_task(kit.gather(one, []))
        await asyncio.sleep(1)
        await one.aclose()
        await waits  # the reader of a branch that another task closes comes to its end
        await other.aclose()
        return asyncio.get_running_loop().time(), source.closed

    assert run_virtual(main()) == (6, 1)


def test_one_task_that_reads_one_branch_after_the_other_waits_for_ever(kit):
    async def main():
        one, other = tee_stream(kit.Source(*"abcdef"), max_ahead=3)
        return [item async for item in one], [item async for item in other]

    with pytest.raises(Deadlock):
        run_virtual(main())


def test_a_generator_is_closed_too(kit):
    closed = []

    async def words():
        try:
            while True:
                yield "word"
        finally:
            closed.append(True)

    async def main():
        async with kit.nothing_left():
            one, other = tee_stream(words())
            async with aclosing(one), aclosing(other):
                return await anext(one), await anext(other)

    assert run_virtual(main()) == ("word", "word")
    assert closed == [True]


@pytest.mark.parametrize(("arguments", "field"), [({"n": 0}, "n"), ({"max_ahead": 0}, "max_ahead"), ({"n": 1.5}, "n")])
def test_what_makes_no_sense_is_refused(kit, arguments, field):
    with pytest.raises(InvalidArgument, match=f"{field}: got"):
        tee_stream(kit.Source(), **arguments)
    with pytest.raises(InvalidArgument, match="stream: got"):
        tee_stream(["a"])
