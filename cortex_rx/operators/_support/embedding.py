"""Calls of the caller's functions for an exchange: what is remembered of the question, and embeddings."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeAlias

from cortex_rx.backends.contract.embeddings import without_embeddings
from cortex_rx.embedding.embedder import AT_ONCE, TEXT_TIMEOUT, Embedder
from cortex_rx.engine import Inbox
from cortex_rx.engine.scheduler import ForeignCancellation, cancelled_by_us, unlisted
from cortex_rx.events import Chunked, Problem, Replayed, Rewound, StreamEvent
from cortex_rx.folds.exchange import Exchange
from cortex_rx.folds.position import Move

_CALL = TEXT_TIMEOUT  # seconds that a function of the caller may take
_LATE_CALL = 1.0  # the same when the stream was stopped
_WAITING = 64  # chunks that wait for theirs while the answer streams
_QUESTION, _ANSWER = "userEmbedding", "agentEmbedding"

__all__ = ["ExchangeEmbedder", "Extract", "enrich"]

Extract: TypeAlias = Callable[[str, str], "str | Awaitable[str | None] | None"]
"""From the question and the answer to the text that is remembered of the question; None leaves it as it is."""
_Text: TypeAlias = tuple[str | int, str]
"""A text to embed, and what it is: the argument that takes its vector, or the start of a chunk."""


class ExchangeEmbedder:
    """Gets the embeddings of an exchange, by a few calls at a time: those of chunks with `look` while the answer
    streams, the rest at its end."""

    def __init__(self, inbox: Inbox[StreamEvent], embedder: Embedder | None) -> None:
        self._embedder = embedder
        self._inbox = inbox
        self._tasks: set[asyncio.Task[None]] = set()
        self._begin(0)

    def _begin(self, text: int) -> None:
        self._text_of = text  # which text: chunks of another one are ignored
        self._found: dict[str | int, list[float]] = {}
        self._failed: dict[str | int, Exception] = {}
        self._first: deque[_Text] = deque()
        self._todo: deque[_Text] = deque()
        self._taken: set[int] = set()
        self._rest: Iterator[_Text] = iter(())
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

    async def finish(self, args: dict[str, Any], question: str, answer: str) -> list[Exception]:
        """Add the embeddings to the arguments; return what failed, once each: of the chunks the first error."""
        if self._embedder is None:
            return []
        chunks = args.get("chunks", ())
        if not chunks:
            self._todo.clear()  # the answer is stored as one memory
        self._first.extend(((_QUESTION, args.get("userContent", question)), (_ANSWER, answer)))
        self._rest = (
            (chunk["start"], answer[chunk["start"] : chunk["end"]])
            for chunk in chunks
            if chunk["start"] not in self._taken
        )
        self._start(len(self._first) + len(chunks))
        while self._tasks:
            await asyncio.wait(self._tasks)
        args.update({name: self._found[name] for name in (_QUESTION, _ANSWER) if name in self._found})
        for chunk in chunks:
            if vector := self._found.get(chunk["start"]):
                chunk["embedding"] = vector
        if self._embedder.model and without_embeddings(args) != args:
            args["embeddingModel"] = self._embedder.model
        of_chunks = [error for what, error in self._failed.items() if isinstance(what, int)]
        failed = [self._failed[name] for name in (_QUESTION, _ANSWER) if name in self._failed] + of_chunks[:1]
        return list({id(error): error for error in failed}.values())

    def _start(self, most: int) -> None:
        while len(self._tasks) < min(most, AT_ONCE):
            task = unlisted(asyncio.create_task(self._ask()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self) -> None:
        assert self._embedder is not None
        while batch := self._take(self._embedder.batch_size or 1):
            try:
                vectors = await awaited(self._inbox, self._embedder.embed([text for _, text in batch]))
                self._found.update({what: vector for (what, _), vector in zip(batch, vectors, strict=True) if vector})
                continue
            except Exception as error:
                failure = error
                self._given_up |= isinstance(error, TimeoutError)  # or each chunk would wait as long
            except asyncio.CancelledError:
                if cancelled_by_us():
                    raise
                failure = ForeignCancellation("generate_embedding")
            self._failed.update({what: failure for what, _ in batch})

    def _take(self, most: int) -> list[_Text]:
        """The next texts for one call: the question and the answer in any case, chunks while there is time."""
        batch: list[_Text] = []
        while len(batch) < most and (one := self._next()):
            batch.append(one)
        return batch

    def _next(self) -> _Text | None:
        if self._first:
            return self._first.popleft()
        if self._given_up or self._inbox.disposed:
            return None
        return self._todo.popleft() if self._todo else next(self._rest, None)

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
    embedder: ExchangeEmbedder,
) -> AsyncGenerator[Problem, None]:
    """Add the results of the caller's functions to `args`. A failure or a timeout is a `Problem`, and is left out."""
    try:
        if extract and (content := await awaited(inbox, extract(question, answer))) is not None:
            content.encode()  # else the store would refuse the exchange for a lone surrogate, or for what is no text
            args["userContent"] = content
    except Exception as error:
        yield Problem.of("finalization", error, recoverable=True)
    for failed in await embedder.finish(args, question, answer):
        yield Problem.of("finalization", failed, recoverable=True)


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
