"""What one would write without a library: the fastest honest loop with the features of the default chain.

It imports nothing of the package; a store is all that it is given.  What it does, as the chain does: the question is
stored while the model is asked, and before the first token is shown; the text is appended to the store at most every
half second, with one write in flight, also while the model pauses; when the answer has ended, what is not stored yet
goes with the finalising, once; when it fails or is cancelled, what came is flushed; metrics with the latency of the
first token, bytes and percentiles of the gaps; the whole text for the result; the tokens go to a reader through a
bounded queue.

It is as fast as we could make it: per token one reading of the clock, two appends and the queue.  All else is done
once, at the end, or in the task that writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

__all__ = ["Outcome", "by_hand", "question"]

INTERVAL = 0.5


@dataclass
class Outcome:
    """What the loop comes to."""

    text: str
    first_token: float
    duration: float
    chunks: int
    bytes: int
    p50: float
    p95: float
    p99: float
    partial_writes: int
    stored: Any


def question(stream_id: str, conversation_id: str = "c-1", user_message: str = "What is it?") -> dict[str, Any]:
    """What a store is given to begin a stream with."""
    return {
        "streamId": stream_id,
        "memorySpaceId": "space",
        "conversationId": conversation_id,
        "userMessage": user_message,
        "userId": "ada",
        "userName": "Ada",
        "importance": 50,
        "tags": [],
        "startedAt": round(time.time() * 1000),
    }


async def by_hand(
    open_model: Callable[[], AsyncIterator[str]],
    store: Any,
    read: Callable[[str], None],
    stream_id: str = "by-hand",
    conversation_id: str = "c-1",
    user_message: str = "What is it?",
) -> Outcome:
    """Stream an answer into `store` and give each token to `read`, at the pace of that."""
    asked = question(stream_id, conversation_id, user_message)
    queue: asyncio.Queue[str | None] = asyncio.Queue(32)
    async with asyncio.TaskGroup() as tasks:
        outcome = tasks.create_task(_remember(open_model, store, queue, asked))
        while True:
            text = await queue.get()
            if text is None:
                break
            read(text)
    return outcome.result()


async def _remember(
    open_model: Callable[[], AsyncIterator[str]],
    store: Any,
    queue: asyncio.Queue[str | None],
    asked: dict[str, Any],
) -> Outcome:
    clock = asyncio.get_running_loop().time
    texts: list[str] = []
    times: list[float] = []
    written = end = partial_writes = 0  # written: texts, end: code points
    over = asyncio.Event()
    stream = {"streamId": asked["streamId"], "memorySpaceId": "space", "epoch": 1, "attempt": 0}

    async def append() -> None:
        nonlocal written, end, partial_writes
        upto = len(texts)
        text = "".join(texts[written:upto])
        await store.mutation("streams:append", {**stream, "start": end, "text": text})
        written, end, partial_writes = upto, end + len(text), partial_writes + 1

    async def write() -> None:
        while not over.is_set():
            if len(texts) > written:
                await append()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await over.wait()

    async def rest() -> None:
        """Let the writer finish the write in flight, no more."""
        over.set()
        if writer:
            await writer

    opened = clock()
    beginning = asyncio.create_task(store.mutation("streams:begin", asked))
    writer: asyncio.Task[None] | None = None
    note, keep, put, full = times.append, texts.append, queue.put_nowait, queue.full
    try:
        async for text in open_model():
            if writer is None:
                await beginning
                writer = asyncio.create_task(write())
            note(clock())
            keep(text)
            if full():
                await queue.put(text)
            else:
                put(text)
    except BaseException:
        await beginning
        await rest()
        if len(texts) > written:
            await append()
        raise
    ended = clock()
    await queue.put(None)
    await rest()
    whole = "".join(texts)
    tail = whole[end:]
    stored = await store.mutation(
        "streams:finalize", {**stream, "start": end, "text": tail, "length": len(whole), "reason": "stop"}
    )
    gaps = sorted(after - before for before, after in pairwise(times)) or [0.0]
    return Outcome(
        text=whole,
        first_token=(times[0] if times else ended) - opened,
        duration=ended - opened,
        chunks=len(texts),
        bytes=len(whole.encode()),
        p50=gaps[int(len(gaps) * 0.50)],
        p95=gaps[int(len(gaps) * 0.95)],
        p99=gaps[int(len(gaps) * 0.99)],
        partial_writes=partial_writes,
        stored=stored,
    )
