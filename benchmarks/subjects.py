"""What is compared: each subject reads the same stream to its end, and says what text it saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

from aiostream import pipe
from aiostream import stream as aio

from benchmarks.hand import INTERVAL, by_hand, question
from cortex_rx import Turn, default_chain, from_stream, remember_stream, run
from cortex_rx import operators as cx
from cortex_rx.events import Remembered

__all__ = ["SUBJECTS", "HandWork", "Model", "Subject"]

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


class HandWork:
    """What one writes beside a library that only hands the tokens on: the time of each, the text so far, and storing
    both ends.

    The text is appended at most every half second, with one write in flight.
    """

    def __init__(self, store: Any, stream_id: str) -> None:
        self._store = store
        self._question = question(stream_id)
        self._stream = {"streamId": stream_id, "memorySpaceId": "space", "epoch": 1, "attempt": 0}
        self._clock = asyncio.get_running_loop().time
        self._times: list[float] = []
        self._texts: list[str] = []
        self._written = self._end = 0  # texts, code points
        self._writing: asyncio.Task[Any] | None = None
        self._due = 0.0

    async def begin(self) -> None:
        await self._store.mutation("streams:begin", self._question)

    def measure(self, text: str) -> None:
        self._times.append(self._clock())

    def persist(self, text: str) -> None:
        self._texts.append(text)
        if self._clock() >= self._due and (self._writing is None or self._writing.done()):
            part = "".join(self._texts[self._written :])
            args = {**self._stream, "start": self._end, "text": part}
            self._writing = asyncio.create_task(self._store.mutation("streams:append", args))
            self._written, self._end, self._due = len(self._texts), self._end + len(part), self._clock() + INTERVAL

    async def end(self) -> str:
        """Store the rest, and compute the metrics; the whole text."""
        if self._writing:
            await self._writing
        whole = "".join(self._texts)
        args = {**self._stream, "start": self._end, "text": whole[self._end :], "length": len(whole)}
        await self._store.mutation("streams:finalize", args)
        self.gaps = sorted(after - before for before, after in pairwise(self._times))
        return whole


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
    work = HandWork(store, "aiostream")
    await work.begin()
    source = aio.iterate(model()) | pipe.map(lambda text, *_: text)
    measured = source | pipe.action(lambda text, *_: work.measure(text))
    stored = measured | pipe.action(lambda text, *_: work.persist(text))
    async with stored.stream() as streamer:
        async for _ in streamer:
            pass
    return await work.end()


SUBJECTS: dict[str, Subject] = {
    "bare": bare,
    "hand": hand,
    "run": ran,
    "last": last,
    "handle": handle,
    "aiostream": aiostream,
}
