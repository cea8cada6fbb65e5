"""Shared by the tests of the utilities: a source that records its closing, and cancellation at every place."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from cortex_rx.testing import run_virtual
from cortex_rx.testing.leaks import left_on_loop


@asynccontextmanager
async def nothing_left():
    """No task, timer or async generator.  What `assert_no_leaks` sees of a loop, without its collections of garbage,
    which take long.
    """
    loop = asyncio.get_running_loop()
    before = {thing.key for thing in left_on_loop(loop)}
    yield
    for _ in range(5):
        await asyncio.sleep(0)
    assert [thing.words for thing in left_on_loop(loop) if thing.key not in before] == []


class Source:
    """An async iterator, no generator: it can be read after its end, and closed twice, so that a test sees that nobody
    does.

    A script of items: a number is a pause in seconds, an exception is raised, anything else is given.
    """

    def __init__(self, *script, closing=0.0, fails=None):
        self.script = list(script)
        self.closing, self.fails = closing, fails
        self.closed = self.given = self.reading = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        assert not self.closed and not self.reading, "it is read by two, or after its end"
        self.reading += 1
        try:
            while self.script:
                item = self.script.pop(0)
                if isinstance(item, (int, float)):
                    await asyncio.sleep(item)
                elif isinstance(item, BaseException):
                    raise item
                else:
                    self.given += 1
                    return item
            raise StopAsyncIteration
        finally:
            self.reading -= 1

    async def aclose(self):
        self.closed += 1
        await asyncio.sleep(self.closing)
        if self.fails:
            raise self.fails


async def gather(stream, into):
    """Read to the end, or the error, which is returned."""
    try:
        async for item in stream:
            into.append(item)
    except Exception as error:
        return error


def cancelled_everywhere(make):
    """Run what `make()` gives (a coroutine, and a check of what it left) again and again, cancelled one turn later each
    time.

    What it waits for are turns of the loop: time stands still meanwhile.

    Gives how many times it was cancelled, before it came to its end by itself.
    """

    async def once(turns):
        async with nothing_left():
            work, check = make()
            task = asyncio.create_task(work)
            for _ in range(turns):
                await asyncio.sleep(0)
            whole = task.done()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled() != whole, "the cancellation was swallowed"
            check()
        return whole

    for turns in range(200):
        if run_virtual(once(turns)):
            return turns
    raise AssertionError("it never ends")


@pytest.fixture(scope="session")
def kit():
    return SimpleNamespace(
        Source=Source, gather=gather, cancelled_everywhere=cancelled_everywhere, nothing_left=nothing_left
    )
