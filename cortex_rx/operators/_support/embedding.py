"""Calls of the caller's functions for an exchange: what is remembered of the question, and embeddings."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias

from cortex_rx.backends.contract.embeddings import without_embeddings
from cortex_rx.embedding.embedder import AT_ONCE, TEXT_TIMEOUT, Embedder
from cortex_rx.embedding.merging import EmbeddingMergeStrategy, WeightedMean
from cortex_rx.engine import Inbox
from cortex_rx.engine.scheduler import ForeignCancellation, cancelled_by_us, unlisted
from cortex_rx.events import Chunked, Problem, StreamEvent
from cortex_rx.folds.exchange import Exchange
from cortex_rx.folds.position import Move

_CALL = TEXT_TIMEOUT  # seconds that a function of the caller may take
_LATE_CALL = 1.0  # the same when the stream was stopped
_WAITING = 64  # chunks that wait for theirs while the answer streams
_QUESTION, _ANSWER = "userEmbedding", "agentEmbedding"

__all__ = ["ExchangeEmbedder", "Extract", "enrich"]

Extract: TypeAlias = Callable[[str, str], "str | Awaitable[str | None] | None"]
"""From the question and the answer to the text that is remembered of the question; None leaves it as it is."""


class _Text(NamedTuple):
    """A text to embed."""

    what: str | int
    """The argument that takes its vector, or the start of a chunk."""
    text: str
    new: int = 0
    """Of a chunk: its weight in the vector of the answer."""


class ExchangeEmbedder:
    """Gets the embeddings of an exchange, by a few calls at a time: those of chunks with `look` while the answer
    streams, the rest at its end.

    If the answer is longer than `most`, it is stored in chunks, and their vectors are held until then. With `merge` the
    vector of the answer is the mean of theirs. Then the mean is held, and no chunk's vector if there is no `most`.
    """

    def __init__(
        self,
        inbox: Inbox[StreamEvent],
        embedder: Embedder | None,
        most: int | None = None,
        merge: EmbeddingMergeStrategy | None = None,
    ) -> None:
        self._embedder = embedder
        self._inbox = inbox
        self._most, self._merges = most, merge is not None
        self._tasks: set[asyncio.Task[None]] = set()
        self._begin(0)

    def _begin(self, text: int) -> None:
        self._text_of = text  # which text: chunks of another one are ignored
        self._seen = 0  # of its chunks
        self._found: dict[str | int, list[float]] = {}
        self._mean = WeightedMean()
        self._failed: dict[str | int, Exception] = {}
        self._first: deque[_Text] = deque()
        self._todo: deque[_Text] = deque()
        self._taken: set[int] = set()
        self._rest: Iterator[_Text] = iter(())
        self._given_up = False

    async def look(self, events: list[StreamEvent], exchange: Exchange) -> None:
        """Ask for the embeddings of new chunks, which the exchange has already absorbed; without merging only once the
        answer is longer than one memory, so it is stored in chunks."""
        if exchange.position.beginnings != self._text_of:
            await self.close()
            self._begin(exchange.position.beginnings)
        means = exchange.position.means
        chunks = [event.chunk for event in events if type(event) is Chunked and means(event) is Move.GOES_ON]
        contents = {(chunk.start_offset, chunk.end_offset): chunk.content for chunk in chunks}
        for start, end, new in exchange.spans(self._seen):
            self._seen += 1
            if len(self._todo) < _WAITING and (text := contents.get((start, end))) is not None:
                self._todo.append(_Text(start, text, new))
                self._taken.add(start)
        if self._merges or (self._most is not None and exchange.end > self._most):
            self._start(len(self._tasks) + len(self._todo))

    async def finish(self, args: dict[str, Any], question: str, exchange: Exchange) -> list[Exception]:
        """Add the embeddings to the arguments; return what failed, once each: of the chunks the first error."""
        if self._embedder is None:
            return []
        answer, chunks = exchange.text, args.get("chunks", ())
        merges = self._merges and bool(exchange.chunks())
        if not merges and not chunks:
            self._todo.clear()  # the answer is stored as one memory
        self._first.append(_Text(_QUESTION, args.get("userContent", question)))
        if not merges:
            self._first.append(_Text(_ANSWER, answer))
        spans = list(exchange.spans()) if merges or chunks else []
        self._rest = (_Text(start, answer[start:end], new) for start, end, new in spans if start not in self._taken)
        await self._ask_all(len(self._first) + len(spans))
        if merges:
            # The mean of some of the chunks would stand for a part of the answer.
            if self._mean.weight == exchange.end and (vector := self._mean.vector):
                self._found[_ANSWER] = vector
            else:
                self._first.append(_Text(_ANSWER, answer))
                await self._ask_all(1)
        args.update({name: self._found[name] for name in (_QUESTION, _ANSWER) if name in self._found})
        for chunk in chunks:
            if vector := self._found.get(chunk["start"]):
                chunk["embedding"] = vector
        if self._embedder.model and without_embeddings(args) != args:
            args["embeddingModel"] = self._embedder.model
        of_chunks = [error for what, error in self._failed.items() if isinstance(what, int)]
        failed = [self._failed[name] for name in (_QUESTION, _ANSWER) if name in self._failed] + of_chunks[:1]
        return list({id(error): error for error in failed}.values())

    async def _ask_all(self, most: int) -> None:
        """Ask for everything that is left, by at most so many calls at a time."""
        self._start(most)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, most: int) -> None:
        while len(self._tasks) < min(most, AT_ONCE):
            task = unlisted(asyncio.create_task(self._ask()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self) -> None:
        assert self._embedder is not None
        while batch := self._take(self._embedder.batch_size or 1):
            try:
                vectors = await awaited(self._inbox, self._embedder.embed([one.text for one in batch]))
                for one, vector in zip(batch, vectors, strict=True):
                    self._keep(one, vector)
                continue
            except Exception as error:
                failure = error
                self._given_up |= isinstance(error, TimeoutError)  # or each chunk would wait as long
            except asyncio.CancelledError:
                if cancelled_by_us():
                    raise
                failure = ForeignCancellation("generate_embedding")
            self._failed.update({one.what: failure for one in batch})

    def _keep(self, one: _Text, vector: list[float] | None) -> None:
        of_chunk = isinstance(one.what, int)
        if of_chunk and self._merges and one.new:
            self._mean.add(vector, one.new)
        if vector and not (of_chunk and self._most is None):
            self._found[one.what] = vector

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
    exchange: Exchange,
    extract: Extract | None,
    embedder: ExchangeEmbedder,
) -> AsyncGenerator[Problem, None]:
    """Add the results of the caller's functions to `args`. A failure or a timeout is a `Problem`, and is left out."""
    try:
        if extract and (content := await awaited(inbox, extract(question, exchange.text))) is not None:
            content.encode()  # else the store would refuse the exchange for a lone surrogate, or for what is no text
            args["userContent"] = content
    except Exception as error:
        yield Problem.of("finalization", error, recoverable=True)
    for failed in await embedder.finish(args, question, exchange):
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
