"""Calls of the caller's functions for an exchange: what is remembered of the question, and embeddings."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

from cortex_rx.backends.contract.typed.rows import Range
from cortex_rx.engine import Inbox
from cortex_rx.engine.scheduler import ForeignCancellation, cancelled_by_us, unlisted
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import Chunked, Problem, Replayed, Rewound, StreamEvent
from cortex_rx.folds.exchange import Exchange
from cortex_rx.folds.position import Move

_CALL = 30.0  # seconds that a function of the caller may take
_LATE_CALL = 1.0  # the same when the stream was stopped
_AT_ONCE = 4  # embeddings of chunks that are asked for at a time
_WAITING = 64  # chunks that wait for theirs while the answer streams

__all__ = ["ChunkEmbedder", "Embed", "Extract", "enrich"]

Extract: TypeAlias = Callable[[str, str], "str | Awaitable[str | None] | None"]
"""From the question and the answer to the text that is remembered of the question; None leaves it as it is."""
Embed: TypeAlias = Callable[[str], "Sequence[float] | Awaitable[Sequence[float] | None] | None"]
"""From a text to its embedding."""


class ChunkEmbedder:
    """Gets the embeddings of chunks, a few at a time: with `look` while the answer streams, the rest at its end.

    A function that is not async is called in a thread, so it blocks nothing.
    """

    def __init__(self, inbox: Inbox[StreamEvent], embed: Embed | None) -> None:
        self.embed: Embed | None = embed
        self._inbox = inbox
        self._tasks: set[asyncio.Task[None]] = set()
        self._begin(0)

    def _begin(self, text: int) -> None:
        self._text_of = text  # which text: chunks of another one are ignored
        self._found: dict[int, list[float]] = {}  # by the start of the chunk, as below
        self._todo: deque[tuple[int, str]] = deque()
        self._taken: set[int] = set()
        self._rest: Iterator[tuple[int, str]] = iter(())
        self._error: Exception | None = None
        self._given_up = False

    async def look(self, events: list[StreamEvent], exchange: Exchange, most: int) -> None:
        """Ask for the embeddings of new chunks, once the answer is longer than `most`, so it is stored in chunks."""
        position = exchange.position
        if position.beginnings != self._text_of:
            await self.close()
            self._begin(position.beginnings)
        for event in events:
            if isinstance(event, Replayed | Rewound):  # the chunks before it may be of another text
                self._todo.clear()
                self._taken.clear()
            elif type(event) is Chunked and position.means(event) is Move.GOES_ON and len(self._todo) < _WAITING:
                self._todo.append((event.chunk.start_offset, event.chunk.content))
                self._taken.add(event.chunk.start_offset)
        if exchange.end > most:
            self._start(len(self._tasks) + len(self._todo))

    async def finish(self, chunks: list[Range], answer: str) -> Exception | None:
        """Give each chunk its embedding; return the first error if some have none because of it."""
        self._rest = (
            (chunk["start"], answer[chunk["start"] : chunk["end"]])
            for chunk in chunks
            if chunk["start"] not in self._taken
        )
        self._start(len(chunks))
        if self._tasks:
            await asyncio.wait(self._tasks)
        for chunk in chunks:
            if vector := self._found.get(chunk["start"]):
                chunk["embedding"] = vector
        return self._error

    def _start(self, most: int) -> None:
        while len(self._tasks) < min(most, _AT_ONCE):
            task = unlisted(asyncio.create_task(self._ask()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self) -> None:
        while not self._given_up and not self._inbox.disposed:
            if (one := self._todo.popleft() if self._todo else next(self._rest, None)) is None:
                return
            try:
                if (vector := await awaited(self._inbox, self._call(one[1]))) is not None:
                    self._found[one[0]] = numbers(vector)
            except Exception as error:
                self._error = self._error or error
                self._given_up |= isinstance(error, TimeoutError)  # or each chunk would wait as long
            except asyncio.CancelledError:
                if cancelled_by_us():
                    raise
                self._error = self._error or ForeignCancellation("generate_embedding")

    async def _call(self, text: str) -> Any:
        embed = self.embed
        assert embed is not None
        if inspect.iscoroutinefunction(embed):
            return await embed(text)
        value = await asyncio.get_running_loop().run_in_executor(None, embed, text)
        return await value if inspect.isawaitable(value) else value

    async def close(self) -> None:
        """Start no more calls, and cancel those in progress."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LATE_CALL)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def enrich(
    inbox: Inbox[StreamEvent],
    args: dict[str, Any],
    question: str,
    answer: str,
    extract: Extract | None,
    vectors: ChunkEmbedder,
) -> AsyncGenerator[Problem, None]:
    """Add the results of the caller's functions to `args`. A failure or a timeout is a `Problem`, and is left out."""
    embed = vectors.embed
    try:
        if extract and (content := await awaited(inbox, extract(question, answer))) is not None:
            content.encode()  # else the store would refuse the exchange for a lone surrogate, or for what is no text
            args["userContent"] = content
    except Exception as error:
        yield Problem.of("finalization", error, recoverable=True)
    for key, text in (("userEmbedding", args.get("userContent", question)), ("agentEmbedding", answer)):
        try:
            if embed and (vector := await awaited(inbox, embed(text))) is not None:
                args[key] = numbers(vector)
        except Exception as error:
            yield Problem.of("finalization", error, recoverable=True)
    if embed and args.get("chunks") and (failed := await vectors.finish(args["chunks"], answer)):
        yield Problem.of("finalization", failed, recoverable=True)


def numbers(vector: Iterable[float]) -> list[float]:
    numbers = [float(number) for number in vector]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise InvalidArgument("generate_embedding", "a vector", "one or more finite numbers")
    return numbers


async def awaited(inbox: Inbox[StreamEvent], value: Any) -> Any:
    """The value, or `TimeoutError`: a finished answer is stored, also if a function hangs or the stream is stopped."""
    if not inspect.isawaitable(value):
        return value
    call = asyncio.ensure_future(value)
    if isinstance(call, asyncio.Task) and call is not value:
        unlisted(call)
    disposed = unlisted(asyncio.ensure_future(inbox.until_disposed()))
    try:
        await asyncio.wait({call, disposed}, timeout=_CALL, return_when=asyncio.FIRST_COMPLETED)
        if not call.done() and disposed.done():
            await asyncio.wait({call}, timeout=_LATE_CALL)
        if not call.done():
            raise TimeoutError("a function of the caller took too long")
        if call.cancelled():  # by itself, or by a loop that ends: the exchange is stored all the same
            raise ForeignCancellation("a function of the caller")
        return call.result()
    finally:
        disposed.cancel()
        call.cancel()
        await asyncio.wait({call, disposed}, timeout=_LATE_CALL)
