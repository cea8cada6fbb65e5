"""The worker of `chunk("semantic")`: sentences get their vectors beside the stream, and then become chunks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from cortex_rx.embedding.calling import within
from cortex_rx.embedding.embedder import AT_ONCE, TEXT_TIMEOUT, Embedder, one_dimension
from cortex_rx.engine import End, Inbox
from cortex_rx.engine.scheduler import unlisted
from cortex_rx.events import Delta, Ended, Problem, Replayed, Resumed, Rewound, SourceReplayed, StreamEvent
from cortex_rx.operators._support.cutting import Cutting
from cortex_rx.operators._support.ready import READY

if TYPE_CHECKING:
    from cortex_rx.chunking import Cutter, Span, Topics

__all__ = ["WANTS", "SemanticCutting"]

WANTS: frozenset[type] = frozenset({Delta, Ended, Replayed, Resumed, Rewound, SourceReplayed})
"""The events that the worker sees."""
_WAITING = 262_144  # code points of the sentences that wait for their vectors
_OVERHEAD = 64  # code points that a sentence counts as beside its text
_LATE = f"the embedder did not end within {TEXT_TIMEOUT:g} s after the answer: the rest is cut by sentences"
_BEHIND = "sentences come faster than they are embedded: a part is cut without their vectors"


@dataclass(frozen=True, slots=True)
class SemanticCutting:
    """The arguments of `chunk("semantic")`; `run` is the worker of one subscription."""

    embedder: Embedder
    start_cutter: Callable[[int], Cutter]
    """Makes what cuts a text into sentences, from an offset on."""
    start_topics: Callable[[int], Topics]
    """Makes what packs them into chunks."""

    async def run(self, inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        """Cut what passes; emit `Chunked`, and a `Problem` if the embedder fails."""
        run = _Run(self, inbox)
        try:
            async for batch in inbox:
                run.absorb(batch)
                del batch  # or the events would be held until the next
                while run.out:
                    yield run.out.popleft()
            async for event in run.finish():
                yield event
        finally:
            await run.close()


class _Sentences:
    """One text: its sentences wait for their vectors, in their order."""

    def __init__(self, cutter: Cutter, topics: Topics) -> None:
        self._cutter, self._topics = cutter, topics
        self.waiting: deque[str] = deque()
        self.weight = 0  # of these
        self._ended = False

    def feed(self, text: str) -> list[Span]:
        """Add text; its chunks come when the vectors do."""
        self._wait(self._cutter.feed(text))
        self._ended = False
        return []

    def end(self) -> list[Span]:
        """The text has ended: so has its last sentence. Returns its last chunks, if no vector is missing."""
        self._wait(self._cutter.finish())
        self._ended = True
        return self.know([])

    def finish(self) -> list[Span]:
        """End the text, and return the remaining chunks, without the vectors that are not there."""
        return self.end() + self.know([None] * len(self.waiting))

    def know(self, vectors: Sequence[list[float] | None]) -> list[Span]:
        """Take the vectors of the first sentences that wait, and return the chunks that are now complete."""
        chunks: list[Span] = []
        for vector in vectors:
            sentence = self.waiting.popleft()
            self.weight -= len(sentence) + _OVERHEAD
            chunks += self._topics.add(sentence, vector)
        return chunks + self._topics.finish() if self._ended and not self.waiting else chunks

    def _wait(self, sentences: Iterable[Span]) -> None:
        for sentence in sentences:
            self.waiting.append(sentence.text)
            self.weight += len(sentence.text) + _OVERHEAD


class _Run:
    def __init__(self, work: SemanticCutting, inbox: Inbox[StreamEvent]) -> None:
        self._work, self._inbox = work, inbox
        self.out: deque[StreamEvent] = deque()
        self._tasks: set[asyncio.Task[None]] = set()  # that have not ended, also of an older text
        self._asking: asyncio.Task[None] | None = None
        self._blind = False  # the embedder has failed, and is asked no more
        self._behind = False
        self._dimension: int | None = None  # of the vectors
        self._text: _Sentences
        self._cutting = Cutting(self.out.append, self._begin)

    def _begin(self, start: int) -> _Sentences:
        """A text begins, at this offset: the vectors of another one are not waited for."""
        self._stop_asking()
        self._text = _Sentences(self._work.start_cutter(start), self._work.start_topics(start))
        return self._text

    def absorb(self, batch: Iterable[StreamEvent]) -> None:
        """Take events in, and ask for the vectors of new sentences."""
        for event in batch:
            if type(event) is Ended:
                self._cutting.emit_chunks(self._text.end())
            elif event is not READY:
                if self._text.weight > _WAITING:
                    self._let_go()
                self._cutting.take(event)
        self._go_on()

    async def finish(self) -> AsyncGenerator[StreamEvent, None]:
        """At the end of the stream: wait for the vectors for a while, if it has completed; then do without."""
        inbox = self._inbox
        until = inbox.flow.time() + TEXT_TIMEOUT
        disposed = unlisted(asyncio.ensure_future(inbox.until_disposed()))
        try:
            if inbox.end is End.COMPLETED:
                self._cutting.emit_chunks(self._text.end())
                self._go_on()
            while inbox.end is End.COMPLETED and self._asking and not inbox.disposed:
                left = until - inbox.flow.time()
                if left <= 0:
                    self._problem("EMBEDDER_SLOW", _LATE)
                    break
                await asyncio.wait({self._asking, disposed}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                while self.out:
                    yield self.out.popleft()
        finally:
            disposed.cancel()
        self._stop_asking()
        if not inbox.disposed:
            self._cutting.emit_chunks(self._text.finish())
        while self.out:
            yield self.out.popleft()

    async def close(self) -> None:
        """End the calls that are under way: each ends within a second."""
        self._stop_asking()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _go_on(self) -> None:
        """Ask for the next vectors, with one request at a time; or cut without them."""
        text = self._text
        if self._blind:
            self._cutting.emit_chunks(text.know([None] * len(text.waiting)))
        elif text.waiting and self._asking is None:
            self._asking = unlisted(asyncio.ensure_future(self._ask(text)))
            self._tasks.add(self._asking)
            self._asking.add_done_callback(self._tasks.discard)

    async def _ask(self, text: _Sentences) -> None:
        """Get the vectors of the first sentences that wait. It is cancelled when they are not needed any more."""
        embedder = self._work.embedder
        sentences = list(islice(text.waiting, AT_ONCE * (embedder.batch_size or 1)))
        try:
            vectors = await within(TEXT_TIMEOUT, embedder.embed(sentences), "generate_embedding")
            self._dimension = one_dimension(vectors, self._dimension)
        except Exception as error:
            self._blind = True
            self.out.append(Problem.of("streaming", error, recoverable=True))
        else:
            self._cutting.emit_chunks(text.know(vectors))
        self._asking = None
        self._go_on()
        if self.out and self._inbox.end is None:
            self._inbox.put(READY)

    def _stop_asking(self) -> None:
        if self._asking:
            self._asking.cancel()
            self._asking = None

    def _let_go(self) -> None:
        """Cut the first half of what waits without its vectors."""
        self._stop_asking()
        if not self._behind:
            self._behind = True
            self._problem("EMBEDDER_BEHIND", _BEHIND)
        while self._text.weight > _WAITING // 2:
            self._cutting.emit_chunks(self._text.know([None]))

    def _problem(self, code: str, message: str) -> None:
        self.out.append(Problem("streaming", code, message, recoverable=True))
