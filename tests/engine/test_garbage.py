"""A pipeline that has ended by itself leaves no cycle of references: it is freed at once, without a collection.

An error leaves cycles all the same, since it holds the frames that it went through.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from cortex_rx import Cortex
from cortex_rx.engine import (
    Emit,
    EndStream,
    FlowScheduler,
    Inbox,
    Mailbox,
    Passing,
    beside,
    passing,
    run,
    stage,
    stream,
)
from cortex_rx.engine.frames import after_failure, from_async_iterable, per_subscription, resume, upstream_flow
from cortex_rx.engine.running import Shared
from cortex_rx.engine.scheduler import ReopenState, Transform
from cortex_rx.testing.virtual import run_virtual


@contextmanager
def without_cycles() -> Iterator[None]:
    """What comes to be in the block is freed without a collection, as far as it is ours."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        found = Counter(filter(None, map(_ours, gc.garbage)))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not found


def _ours(thing: object) -> str | None:
    module = getattr(thing, "__module__", None)
    if isinstance(module, str) and module.partition(".")[0] in ("cortex_rx", "reactivex"):
        return getattr(thing, "__qualname__", type(thing).__qualname__)
    return None


def total(emit: Emit[int], flow: FlowScheduler, end: EndStream) -> Passing[int]:
    def at_end(error: Exception | None) -> Exception | None:
        emit(0)
        return error

    return emit, at_end


async def count(inbox: Inbox[int]) -> AsyncGenerator[int, None]:
    async for batch in inbox:
        yield len(batch)


async def early(inbox: Inbox[int]) -> AsyncGenerator[int, None]:
    yield len(await anext(inbox, ()))
    inbox.close()


async def double(items: Mailbox[int]) -> AsyncGenerator[int, None]:
    async for item in items:
        yield item * 2


async def forgive(error: Exception, emit: Emit[int]) -> None:
    emit(1)


FORMS: dict[str, Transform[int, int]] = {
    "passing": passing(total),
    "beside": beside(count),
    "beside, closed early": beside(early, capacity=1),
    "stage": stage(double),
    "resume": resume(lambda error, retry: 0.0),
    "after_failure": after_failure(forgive),
    "per_subscription": per_subscription(lambda flow: passing(total)),
    "upstream_flow": upstream_flow(lambda flow: flow.child(replays_upstream=True)),
    "stock": ops.map(lambda item: item + 1),
    "two": lambda source: beside(count)(passing(total)(source)),
}


async def numbers(state: ReopenState | None) -> AsyncGenerator[int, None]:
    for number in range(3):
        await asyncio.sleep(0.1)
        yield number


async def run_it(source: Observable[int]) -> None:
    await run(source)


async def read_it(source: Observable[int]) -> None:
    async with stream(source) as items:
        async for _ in items:
            pass


async def share_it(source: Observable[int]) -> None:
    shared = Shared(source, linger=1)
    async for _ in shared:
        pass
    await shared


@pytest.mark.parametrize("end", [run_it, read_it, share_it])
@pytest.mark.parametrize("form", FORMS)
def test_a_pipeline_that_has_ended_leaves_no_cycle(
    form: str, end: Callable[[Observable[int]], Awaitable[None]]
) -> None:
    async def main() -> None:
        source = from_async_iterable(numbers)
        with without_cycles():
            await end(FORMS[form](source))

    run_virtual(main())


async def answers() -> AsyncGenerator[str, None]:
    for _ in range(10):
        await asyncio.sleep(0.1)
        yield "word "


async def to_the_end(answer: Any) -> None:
    async for _ in answer:
        pass
    await answer


@pytest.mark.parametrize(
    "options", [None, {"streamTimeout": 30_000, "maxResponseLength": 99, "maxSingleMemorySize": 40}]
)
def test_an_answer_that_has_ended_leaves_no_cycle(options: dict[str, Any] | None) -> None:
    async def main() -> None:
        async with Cortex(":memory:") as cortex:
            for number in range(2):  # the first also imports and compiles what is made once
                check = without_cycles() if number else suppress()
                with check:
                    await to_the_end(
                        cortex.memory.remember_stream(
                            answers(),
                            options,
                            memory_space_id="s",
                            conversation_id=f"c-{number}",
                            user_message="Hi!",
                            agent_id="helper",
                        )
                    )

    run_virtual(main())
