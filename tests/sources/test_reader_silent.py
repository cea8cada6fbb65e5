"""Sources that yield nothing to show and never wait: the loop goes on, with it `stop`, timeouts and other streams.

In real time, since virtual time stands still while something runs.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from cortex_rx import AnswerStopped, SqliteBackend, from_stream, remember_stream, run
from cortex_rx import operators as cx
from cortex_rx.errors import StreamTimeout
from cortex_rx.sources.model_stream import replayable


async def empty():
    while True:
        yield ""


async def none():
    while True:
        yield None


async def pings():
    while True:
        yield {"type": "ping"}


async def tokens():
    while True:
        yield "a"


class Iterator:
    """Is no generator."""

    def __aiter__(self):
        return self

    async def __anext__(self):
        return ""


SILENT = {
    "empty": empty,
    "none": none,
    "events": pings,
    "an iterator": Iterator,
    "replayable": replayable(lambda point: empty()),
}


@pytest.mark.parametrize("name", SILENT)
async def test_other_tasks_run(kit, name):
    async with asyncio.timeout(30):
        task = asyncio.create_task(kit.read(SILENT[name]))
        for _ in range(20):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("name", [*SILENT, "tokens"])
async def test_a_limit_for_all_of_it_is_kept(kit, name):
    source = tokens if name == "tokens" else SILENT[name]
    start = time.monotonic()
    observable = from_stream(source, turn=kit.TURN).pipe(cx.timeout(total=timedelta(seconds=0.2)), cx.last())
    with pytest.raises(StreamTimeout, match="total"):
        await run(observable)
    assert time.monotonic() - start < 20


async def test_a_timeout_of_its_own_is_the_source_s_error(kit):
    async def source():
        async with asyncio.timeout(0.1):
            while True:
                yield ""

    came = await kit.read(source)
    assert type(came.error) is TimeoutError


async def test_it_is_stopped(tmp_path):
    async with asyncio.timeout(30), SqliteBackend(tmp_path / "memory.db") as store:
        answer = remember_stream(
            empty(), backend=store, memory_space_id="s", conversation_id="c", user_message="Hi!",
            user_id="ada", user_name="Ada",
        )  # fmt: skip
        reading = asyncio.create_task(anext(aiter(answer), None))
        await asyncio.sleep(0.05)
        await answer.stop()
        with pytest.raises(AnswerStopped):
            await answer
        await asyncio.wait({reading})
        reading.exception()
