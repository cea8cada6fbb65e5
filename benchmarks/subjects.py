"""What is compared: each subject reads the same stream to its end, and says what text it saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

from aiostream import pipe
from aiostream import stream as aio

from benchmarks.hand import INTERVAL, by_hand
from cortex_rx import Turn, default_chain, from_stream, remember_stream, run
from cortex_rx import operators as cx
from cortex_rx.events import Remembered

__all__ = ["SUBJECTS", "Model", "Subject"]

WORDS = 1009  # different tokens; a prime, so that no batch repeats another


class Model:
    """A model that gives `chunks` tokens of `size` characters, one on each turn of the loop."""

    def __init__(self, chunks: int, size: int = 5) -> None:
        words = [f"{number:x}".rjust(size - 1, "abcdefghij"[number % 10])[: size - 1] + " " for number in range(WORDS)]
        self.texts = [words[index % WORDS] for index in range(chunks)]

    async def __call__(self) -> AsyncIterator[str]:
        for text in self.texts:
            await asyncio.sleep(0)
            yield text


Subject = Callable[[Model, Any], Awaitable[str | None]]
"""Reads a model into a store; gives the text that it saw, None if it keeps none."""

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")


async def bare(model: Model, store: Any) -> str:
    """The loop alone: nothing is stored or measured."""
    parts: list[str] = []
    read = parts.append
    async for text in model():
        read(text)
    return "".join(parts)


async def hand(model: Model, store: Any) -> str:
    """The loop written by hand, see `hand.py`."""
    parts: list[str] = []
    outcome = await by_hand(model, store, parts.append)
    assert outcome.text == "".join(parts)
    return outcome.text


async def ran(model: Model, store: Any) -> str:
    """The default chain by `run`, with its result."""
    result = await run(from_stream(model, turn=TURN).pipe(default_chain(store), cx.result()))
    return result.full_response


async def last(model: Model, store: Any) -> None:
    """The default chain by `run`, keeping nothing of the text."""
    await run(from_stream(model, turn=TURN).pipe(default_chain(store), cx.last(Remembered)))


async def handle(model: Model, store: Any) -> str:
    """The handle: all its text, then its result."""
    parts: list[str] = []
    read = parts.append
    answer = remember_stream(
        model,
        backend=store,
        memory_space_id="space",
        conversation_id="c-1",
        user_message="What is it?",
        user_id="ada",
        user_name="Ada",
    )
    async for text in answer:
        read(text)
    result = await answer
    assert result.full_response == "".join(parts)
    return result.full_response


async def aiostream(model: Model, store: Any) -> str:
    """aiostream: a pass-through, a measure and a persist, each a pipe."""
    clock = asyncio.get_running_loop().time
    times: list[float] = []
    texts: list[str] = []
    written = end = 0
    writing: asyncio.Task[Any] | None = None
    stream = {"streamId": "aiostream", "memorySpaceId": "space", "epoch": 1, "attempt": 0}

    def measure(text: str, *_: str) -> None:
        times.append(clock())

    due = clock()

    def persist(text: str, *_: str) -> None:
        nonlocal written, end, writing, due
        texts.append(text)
        if clock() >= due and (writing is None or writing.done()):
            part = "".join(texts[written:])
            args = {**stream, "start": end, "text": part}
            writing = asyncio.create_task(store.mutation("streams:append", args))
            written, end, due = len(texts), end + len(part), clock() + INTERVAL

    await store.mutation("streams:begin", {"streamId": "aiostream"})
    source = aio.iterate(model()) | pipe.map(lambda text, *_: text) | pipe.action(measure) | pipe.action(persist)
    async with source.stream() as streamer:
        async for _ in streamer:
            pass
    if writing:
        await writing
    whole = "".join(texts)
    args = {**stream, "start": end, "text": whole[end:], "length": len(whole)}
    await store.mutation("streams:finalize", args)
    sorted(after - before for before, after in pairwise(times))
    return whole


SUBJECTS: dict[str, Subject] = {
    "bare": bare,
    "hand": hand,
    "run": ran,
    "last": last,
    "handle": handle,
    "aiostream": aiostream,
}
