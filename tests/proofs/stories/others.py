"""Other users of the store: they drain the spool, follow, delete, end what is left, or present a foreign token."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any

from proofs.stories.clocks import time_left
from proofs.stories.exchange import Exchange, Seen
from proofs.stories.story import LEASE_OVER, Story

from cortex_rx.api.memory import MemoryAPI
from cortex_rx.backends.base import Backend
from cortex_rx.errors import MemoryNotFound, SpoolBusy, StoreUnavailable, StreamNotFound, TokenError
from cortex_rx.pipeline.remembering import remember_stream
from cortex_rx.sources.reopening import replayable
from cortex_rx.spool.file import DRAIN_LEASE
from cortex_rx.testing.faults.processes import Process

__all__ = ["delete", "drain", "finish_some", "follow", "intrude"]


async def drain(story: Story, process: Process, backend: Backend, calm: bool) -> None:
    """Deliver what is in the spool; a calm process waits until there is nothing left."""
    assert story.spool is not None
    while True:
        try:
            report = await story.spool.drain(backend)
        except SpoolBusy as busy:
            if not calm:
                return
            await asyncio.sleep(time_left(story.sim, busy.until, DRAIN_LEASE / 1000))
            continue
        counts = {"delivered": len(report.delivered), "dropped": len(report.dropped), "dead": len(report.dead)}
        for what, number in counts.items():
            story.sim.count(what, number)
        if any(counts.values()) or report.left:
            said = ", ".join(f"{number} {what}" for what, number in counts.items())
            story.sim.note(f"{process.name} drains: {said}, {report.left} left")
        if not (calm and report.left):
            return
        assert report.error is None, f"the spool is not drained: {report.error!r}"
        await asyncio.sleep(LEASE_OVER)


async def follow(story: Story, exchange: Exchange, seen: Seen, late: float = 0.0) -> None:
    """Follow it from an own connection, again and again, until it has ended or the story is over; then once
    more.
    """
    exchange.followers.append(seen)
    with suppress(TimeoutError):
        await asyncio.wait_for(story.over.wait(), late)
    backend, random = story.store(), story.sim.random
    every = timedelta(seconds=random.choice([0.2, 2.0, 10.0]))
    try:
        while True:
            last = story.over.is_set()
            with suppress(StreamNotFound, StoreUnavailable):
                events: Any = MemoryAPI(backend).follow(exchange.space, exchange.stream, seen.place, every=every)
                async with aclosing(events):
                    async for event in events:
                        seen.take(event, follows=True)
                        story.sim.count(f"followers saw {type(event).__name__}")
            if seen.ended and seen.ended.reason == "empty":
                seen.ended = None  # it was closed without an answer, and may be asked again
            if last or seen.ended:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(story.over.wait(), random.choice([1.0, 5.0, 30.0]))
    finally:
        await backend.close()


async def delete(story: Story, exchange: Exchange) -> None:
    """Delete the memory of an answer, whatever state it is in."""
    with suppress(TimeoutError):
        await asyncio.wait_for(story.over.wait(), story.sim.random.uniform(0, 40))
    backend = story.store()
    try:
        where = {"memorySpaceId": exchange.space, "streamId": exchange.stream}
        with suppress(StoreUnavailable, MemoryNotFound):
            if found := await backend.query("streams:get", where):
                await MemoryAPI(backend).delete(exchange.space, found["memoryId"])
                exchange.deleted = True
                story.sim.note(f"{exchange.key} is deleted, when it was {found['state']}")
                story.sim.count("deleted")
    finally:
        await backend.close()


async def finish_some(story: Story) -> None:
    """End some of the streams that nobody writes: what there is becomes the answer."""
    backend = story.store()
    memory = MemoryAPI(backend)
    try:
        with suppress(StoreUnavailable):
            for space in "st":
                for found in await memory.interrupted(space):
                    if story.sim.chance(0.7):
                        await memory.finish(space, found.stream_id)
                        story.sim.note(f"{found.stream_id} of {space} is finished with {found.length} characters")
                        story.sim.count("finished as incomplete")
    finally:
        await backend.close()


async def intrude(story: Story, backend: Backend, exchange: Exchange) -> None:
    """Present a token in another memory space: it must open nothing."""
    await asyncio.sleep(story.sim.random.uniform(0, 5))
    if (token := exchange.token) is None:
        return
    other = "t" if exchange.space == "s" else "s"
    source = replayable(lambda _: ["[intruder]"])
    answer = remember_stream(source, backend=backend, memory_space_id=other, resume_from=token, take_over=True)
    try:
        await answer
    except (TokenError, StoreUnavailable) as error:
        story.sim.note(f"{exchange.key} is not open to {other}: {type(error).__name__}")
        story.sim.count("intruders")
    else:
        raise AssertionError(f"{exchange.key}: its token opens it to another memory space")
