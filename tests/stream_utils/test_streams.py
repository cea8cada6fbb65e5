"""The utilities from a stream to a stream: their output, in virtual time, and that the source is always closed once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx import stream_utils
from cortex_rx.errors import InvalidArgument, StreamTimeout, StreamTooLong
from cortex_rx.stream_utils import (
    buffer_stream,
    consume_async_iterable,
    consume_stream,
    create_passthrough_stream,
    is_async_iterable,
    with_max_length,
    with_stream_timeout,
)
from cortex_rx.testing import assert_no_leaks, run_virtual

WRAPPERS = {
    "timeout": lambda stream: with_stream_timeout(stream, 60_000, idle_ms=30_000),
    "length": lambda stream: with_max_length(stream, 1_000),
    "buffer": lambda stream: buffer_stream(stream, 2),
    "passthrough": create_passthrough_stream(lambda chunk: None, lambda text: None, lambda error: None),
}
each = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


def flat(seen):
    return [text for item in seen for text in (item if isinstance(item, list) else [item])]


# --- every way out closes the source, once
# -----------------------------------------------------------------------------


@each
def test_a_stream_that_ends(kit, wrap):
    async def main():
        async with assert_no_leaks():
            source = kit.Source("a", 1, "b", "c")
            seen = flat([item async for item in wrap(source)])
            return seen, source.closed

    assert run_virtual(main()) == (["a", "b", "c"], 1)


@each
def test_a_stream_that_fails(kit, wrap):
    async def main():
        async with assert_no_leaks():
            error, seen = ConnectionError("gone"), []
            source = kit.Source("a", "b", 1, "c", error)
            assert await kit.gather(wrap(source), seen) is error
            return flat(seen), source.closed

    assert run_virtual(main()) == (["a", "b", "c"], 1)


@each
@pytest.mark.parametrize("way", ["break", "close", "drop", "error"])
def test_a_reader_that_leaves(kit, wrap, way):
    async def main():
        async with kit.nothing_left():
            source = kit.Source("a", "b", "c", "d")
            stream = wrap(source)
            if way == "break":
                async with aclosing(stream):
                    async for _ in stream:
                        break
            elif way == "error":
                with pytest.raises(ZeroDivisionError):
                    async with aclosing(stream):
                        async for _ in stream:
                            raise ZeroDivisionError
            else:
                await anext(stream)
                if way == "close":
                    await stream.aclose()
            del stream
            await asyncio.sleep(1)
            return source.closed, source.given

    closed, given = run_virtual(main())
    assert (closed, given <= 2) == (1, True)


@each
def test_a_reader_that_is_cancelled_at_every_place(kit, wrap):
    def make():
        source = kit.Source("a", 0, "b", 0, 0, "c")

        async def work():
            async with aclosing(wrap(source)) as stream:
                async for _ in stream:
                    await asyncio.sleep(0)

        def check():
            assert source.closed <= 1 and (source.closed or not source.given) and not source.reading

        return work(), check

    assert kit.cancelled_everywhere(make) > 5


@each
def test_a_source_whose_closing_fails(kit, wrap):
    async def main():
        async with kit.nothing_left():
            source, seen = kit.Source("a", fails=OSError("close")), []
            error = await kit.gather(wrap(source), seen)
            return flat(seen), source.closed, repr(error)

    assert run_virtual(main()) == (["a"], 1, "OSError('close')")


@each
def test_an_iterable_and_its_iterator_are_both_closed(kit, wrap):
    class Stream:
        closed = 0

        def __aiter__(self):
            self.items = kit.Source("a")
            return self.items

        async def aclose(self):
            self.closed += 1

    async def main():
        stream = Stream()
        seen = flat([item async for item in wrap(stream)])
        return seen, stream.closed, stream.items.closed

    assert run_virtual(main()) == (["a"], 1, 1)


@each
@pytest.mark.parametrize("wrong", ["text", ["a"], None, iter("ab")], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_async_iterable_is_refused_at_once(wrap, wrong):
    with pytest.raises(InvalidArgument, match="stream: got .*; accepted: an async iterable"):
        wrap(wrong)


# --- time
# --------------------------------------------------------------------------------------------------------------


async def timed(kit, stream):
    """What came and when, and the error."""
    clock, seen = asyncio.get_running_loop().time, []

    async def read():
        async for item in stream:
            seen.append((item, clock()))

    error = await kit.gather(stream_of(read), [])
    return seen, error, clock()


async def stream_of(read):
    await read()
    for nothing in ():
        yield nothing


@pytest.mark.parametrize(
    ("script", "limits", "seen", "outcome"),
    [
        ([1, "a", 1, "b", 60, "c"], (2500, None), [("a", 1), ("b", 2)], ("total", 2.5)),
        ([1, "a", 1, "b", 60, "c"], (None, 1500), [("a", 1), ("b", 2)], ("idle", 3.5)),
        ([1, "a", 1, "b", 60, "c"], (2500, 1000.5), [("a", 1), ("b", 2)], ("total", 2.5)),
        ([1, "a", 60], (10_000, 1000.5), [("a", 1)], ("idle", 2.0005)),
        ([60], (0.5, None), [], ("total", 0.0005)),
        ([1, "a", 1, "b"], (2001, 1001), [("a", 1), ("b", 2)], (None, 2)),
    ],
)
def test_a_stream_that_takes_too_long(kit, script, limits, seen, outcome):
    async def main():
        async with kit.nothing_left():
            source = kit.Source(*script)
            came, error, at = await timed(kit, with_stream_timeout(source, limits[0], idle_ms=limits[1]))
            return came, type(error), getattr(error, "which", None), at, source.closed

    came, kind, which, at, closed = run_virtual(main())
    assert (came, closed) == (seen, 1)
    assert (which, at) == outcome
    assert kind is (StreamTimeout if which else type(None))


def test_the_time_of_the_reader_does_not_count(kit):
    async def main():
        seen = []
        async for item in with_stream_timeout(kit.Source(1, "a", 1, "b", 1, "c"), 3500, idle_ms=1500):
            seen.append(item)
            await asyncio.sleep(3600)
        return seen

    assert run_virtual(main()) == ["a", "b", "c"]


def test_a_timeout_of_the_source_and_one_of_the_reader_come_as_they_are(kit):
    async def main():
        async with kit.nothing_left():
            error = TimeoutError("its own")
            assert await kit.gather(with_stream_timeout(kit.Source("a", error), 1000), []) is error
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(1):
                    await kit.gather(with_stream_timeout(kit.Source(60), 5000), [])
            return type(caught.value)

    assert run_virtual(main()) is TimeoutError


def test_each_item_may_be_read_in_another_task(kit):
    """As `wait_for` does; a limit that is tied to one task would cancel the wrong one."""

    async def main():
        async with kit.nothing_left():
            stream = with_stream_timeout(kit.Source("a", 1, "b", 60), 2000)
            seen = [await asyncio.create_task(anext(stream)) for _ in range(2)]
            with pytest.raises(StreamTimeout):
                await asyncio.create_task(anext(stream))
            return seen

    assert run_virtual(main()) == ["a", "b"]


def test_a_source_that_does_not_let_itself_be_cancelled_is_given_up_at_the_next_wait(kit):
    async def stubborn():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            yield "late"
        await asyncio.sleep(60)

    async def main():
        async with kit.nothing_left():
            seen = []
            error = await kit.gather(with_stream_timeout(stubborn(), 1000), seen)
            return seen, type(error), asyncio.get_running_loop().time()

    assert run_virtual(main()) == (["late"], StreamTimeout, 1)


@pytest.mark.parametrize("wrong", [0, -5, True, float("inf"), float("nan"), "100"])
def test_a_time_that_is_none_is_refused(kit, wrong):
    for limits in ({"timeout_ms": wrong}, {"idle_ms": wrong}):
        with pytest.raises(InvalidArgument, match="milliseconds, (more than 0|at most 3155760000000)"):
            with_stream_timeout(kit.Source(), **limits)
    with pytest.raises(InvalidArgument, match="for timeout_ms, for idle_ms, or for both"):
        with_stream_timeout(kit.Source())


# --- length, batches, text
# ---------------------------------------------------------------------------------------------

CHUNKS = st.lists(st.text("ab😀", max_size=4), max_size=12)


async def of(chunks):
    for chunk in chunks:
        yield chunk


@given(CHUNKS, st.integers(1, 20))
def test_the_beginning_of_the_text_up_to_the_limit(kit, chunks, limit):
    async def main():
        seen = []
        return seen, await kit.gather(with_max_length(of(chunks), limit), seen)

    seen, error = run_virtual(main())
    text = "".join(chunks)
    assert "".join(seen) == text[:limit]
    if len(text) > limit:
        assert type(error) is StreamTooLong and error.max_length == limit
    else:
        assert error is None and seen == chunks


@given(CHUNKS, st.integers(1, 6), st.booleans())
def test_batches_are_the_stream_cut_into_pieces(kit, chunks, size, fails):
    async def source():
        for chunk in chunks:
            yield chunk
        if fails:
            raise ConnectionError

    async def main():
        seen = []
        return seen, await kit.gather(buffer_stream(source(), size), seen)

    seen, error = run_virtual(main())
    assert [chunk for batch in seen for chunk in batch] == chunks
    assert all(len(batch) == size for batch in seen[:-1]) and all(1 <= len(batch) <= size for batch in seen[-1:])
    assert (type(error) is ConnectionError) == fails


def test_a_batch_that_was_given_is_the_readers(kit):
    async def main():
        seen = []
        async for batch in buffer_stream(kit.Source("a", "b", "c"), 2):
            seen.append(list(batch))
            batch.clear()
        return seen

    assert run_virtual(main()) == [["a", "b"], ["c"]]


@given(st.lists(st.none() | st.text(max_size=4), max_size=12))
def test_the_whole_text(chunks):
    assert run_virtual(consume_stream(of(chunks))) == "".join(chunk for chunk in chunks if chunk is not None)


@pytest.mark.parametrize(("item", "kind"), [(b"a", TypeError), (ConnectionError("gone"), ConnectionError)])
def test_a_text_that_cannot_be_read_to_its_end(kit, item, kind):
    async def main():
        async with kit.nothing_left():
            source = kit.Source("a", item, "b")
            with pytest.raises(kind) as caught:
                await consume_stream(source)
            assert str(caught.value) in ("gone", "a chunk of type bytes is no text")
            return source.closed

    assert run_virtual(main()) == 1


def test_a_consumer_that_is_cancelled_at_every_place(kit):
    def make():
        source = kit.Source("a", 0, "b", 0)

        def check():
            assert source.closed <= 1 and (source.closed or not source.given)

        return consume_stream(source), check

    assert kit.cancelled_everywhere(make) > 3


@pytest.mark.parametrize("wrong", [0, -1, True, 1.0, "5"])
def test_a_count_that_is_none_is_refused(kit, wrong):
    for wrap, name in ((with_max_length, "max_length"), (buffer_stream, "buffer_size")):
        with pytest.raises(InvalidArgument, match=f"{name}: got .*; accepted: a whole number, 1 or more"):
            wrap(kit.Source(), wrong)


def test_what_is_a_stream(kit):
    assert all(map(is_async_iterable, (kit.Source(), of([]), stream_utils.AsyncQueue())))
    assert not any(map(is_async_iterable, ([], "text", None, of, iter([]))))
    assert consume_async_iterable is consume_stream
    with pytest.raises(InvalidArgument, match="an async iterable"):
        run_virtual(consume_stream(["a"]))
