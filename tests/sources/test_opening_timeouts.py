"""A source's own timeout, in each form of a source, while nobody waits for the source."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import anyio
import pytest

from cortex_rx import from_stream, stream
from cortex_rx import operators as cx
from cortex_rx.events import Delta
from cortex_rx.sources.model_stream import replayable
from cortex_rx.testing import assert_no_leaks, run_virtual


async def words():
    async with asyncio.timeout(1.05):
        for number in range(1000):
            yield f"word{number} "


async def words_with_anyio():
    with anyio.fail_after(1.05):
        for number in range(1000):
            yield f"word{number} "


async def parsed():
    async with asyncio.timeout(1.05):
        for number in range(1000):
            yield {"type": "content_block_delta", "delta": {"type": "text_delta", "text": f"word{number} "}}


@contextlib.asynccontextmanager
async def managed():
    async with asyncio.timeout(1.05):
        yield Iterator()


class Iterator:
    """Has no `athrow`."""

    def __init__(self):
        self.number = -1

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.number += 1
        return f"word{self.number} "


@contextlib.asynccontextmanager
async def manager_of_a_generator():
    yield words()


def read_slowly(kit, source, *steps):
    async def main():
        got = []
        async with assert_no_leaks(), asyncio.timeout(60):
            try:
                async with stream(from_stream(source, turn=kit.TURN).pipe(*steps), capacity=1) as out:
                    async for event in out:
                        if type(event) is Delta:
                            assert (event.index, event.offset) == (len(got), len("".join(got)))
                            got.append(event.text)
                        await asyncio.sleep(0.5)
            except Exception as error:
                return got, error
        return got, None

    return run_virtual(main())


SOURCES = {
    "a generator": words,
    "a generator, opened": None,
    "anyio": words_with_anyio,
    "a context manager": managed,
    "a generator in a context manager": manager_of_a_generator,
    "a provider's events": parsed,
    "replayable": replayable(lambda point: words()),
}


@pytest.mark.parametrize("timed", [False, True], ids=["", "with a timeout of ours too"])
@pytest.mark.parametrize("name", SOURCES)
def test_the_timeout_is_the_error_of_the_source(kit, name, timed):
    source = words() if name == "a generator, opened" else SOURCES[name]
    steps = [cx.timeout(idle=timedelta(seconds=20), total=timedelta(seconds=50))] if timed else []
    got, error = read_slowly(kit, source, *steps)
    assert type(error) is TimeoutError, error
    assert got == [f"word{number} " for number in range(len(got))] and len(got) >= 2


def test_a_source_that_goes_on_after_its_timeout(kit):
    async def two():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.05):
                for number in range(100):
                    yield f"a{number} "
        for number in range(3):
            yield f"b{number} "

    got, error = read_slowly(kit, two)
    assert error is None and got[-3:] == ["b0 ", "b1 ", "b2 "] and got[:-3] == [f"a{n} " for n in range(len(got) - 3)]
