"""Store the exchange: once, whole, or not at all."""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

from cortex_rx.backends.backend import Backend
from cortex_rx.chain import Operator, operator
from cortex_rx.errors import (
    ChainOrderError,
    CortexError,
    Diverged,
    EmptyAnswer,
    Fenced,
    Gap,
    IdempotencyConflict,
    InvalidArgument,
    NotStored,
    StoreUnavailable,
    StreamNotFound,
)
from cortex_rx.events import Begun, Custom, Delta, Ended, Opened, PartialStored, Problem, Remembered, StreamEvent
from cortex_rx.flow import End, Inbox, beside
from cortex_rx.operators._checks import backend_of, callback
from cortex_rx.operators._store import Backoff
from cortex_rx.types import MemoryEntry

__all__ = ["finalize"]

Extract: TypeAlias = Callable[[str, str], "str | Awaitable[str | None] | None"]
"""From the question and the answer to the text that is remembered of the question; None leaves it as it is."""
Embed: TypeAlias = Callable[[str], "Sequence[float] | Awaitable[Sequence[float] | None] | None"]
"""From a text to its embedding."""


class _Exchange:
    """What has passed: the text that is not durable yet, and what else is needed to finish."""

    def __init__(self, whole: bool) -> None:
        self.opened: Opened | None = None
        self.begun: Begun | None = None
        self.ended: Ended | None = None
        self.excused: Exception | None = None
        self.attempt = 0
        self.blank = self.no_calls = True
        self._whole: list[str] | None = [] if whole else None
        self._tail: deque[str] = deque()
        self._start = self._end = 0  # of the tail

    def take(self, events: list[StreamEvent]) -> None:
        """Take events in."""
        texts: list[str] = []
        add, attempt = texts.append, self.attempt
        for event in events:
            if type(event) is Delta:
                if event.attempt != attempt:
                    texts.clear()
                    self._anew(event)
                    attempt = self.attempt
                add(event.text)
            elif texts:
                self._text("".join(texts))
                texts.clear()
                self._other(event)
            else:
                self._other(event)
        if texts:
            self._text("".join(texts))

    def _anew(self, event: Delta) -> None:
        self.attempt, self.blank = event.attempt, True
        self._start = self._end = event.offset
        self._tail.clear()
        if self._whole is not None:
            self._whole.clear()

    def _text(self, text: str) -> None:
        if self.begun is None and self.excused is None:
            raise ChainOrderError("finalize got text but no Begun: it belongs after begin(...)")
        self._tail.append(text)
        self._end += len(text)
        if self._whole is not None:
            self._whole.append(text)
        if self.blank and not text.isspace():
            self.blank = False

    def _durable(self, offset: int) -> None:
        """The text before `offset` need not be held."""
        while self._tail and offset > self._start:
            text = self._tail.popleft()
            cut = min(offset - self._start, len(text))
            self._start += cut
            if cut < len(text):
                self._tail.appendleft(text[cut:])

    def _other(self, event: StreamEvent) -> None:
        if isinstance(event, PartialStored):
            if event.attempt == self.attempt:
                self._durable(event.offset)
        elif isinstance(event, Opened):
            self.opened = event
        elif isinstance(event, Begun):
            self.begun = event
        elif isinstance(event, Ended):
            self.ended = event
        elif isinstance(event, Problem):
            if event.phase == "initialization":
                self.excused = event.error or CortexError(event.message)
        elif isinstance(event, Custom) and event.name in ("tool_calls", "function_call"):
            self.no_calls = False

    @property
    def text(self) -> str:
        """The whole answer, where it is kept."""
        return "".join(self._whole or ())

    @property
    def start(self) -> int:
        """Where the text begins that is not known to be durable."""
        return self._start

    @property
    def tail(self) -> str:
        """The text that is not known to be durable."""
        return "".join(self._tail)


@operator(
    needs=[Begun],
    reads=[Opened, Delta, PartialStored, Ended, Custom, Problem],
    emits=[Remembered, Problem],
    takes_text=True,
)
def finalize(
    backend: Backend, extract_content: Extract | None = None, generate_embedding: Embed | None = None
) -> Operator:
    """When the answer has ended, store the exchange in one transaction: both messages, both memories, all or nothing, once.

    The partial memory becomes the memory of the answer, under the same id.

    ```text
    source  B-a-b-c-(e|)        e = Ended
    store           [----]
    out     B-a-b-c-e----(R|)
    ```

    Reads `Delta`, `PartialStored` and `Ended`; emits `Remembered`.  Downstream of `persist_partial` it holds only the text after
    the last `PartialStored`; without that, or with one of the functions below, it holds the whole answer (**unbounded**).

    It acts once it has seen `Ended`, also when the stream was cancelled after that.  A stream that fails or is cut off before
    is not finalised: its partial stays.  It is safe to finalise again: the same text gives the stored exchange, another text is
    an `IdempotencyConflict`.  An answer that is blank and calls no tools fails with `EmptyAnswer`; the question is kept, marked
    unanswered.  If the store cannot, after four tries in two seconds, the stream fails with `NotStored`, which carries the text
    that is not durable.  `Fenced`, `Diverged`, `Gap` and `StreamNotFound` end the stream as they are.

    `extract_content(question, answer)` gives the text that is remembered of the question; `generate_embedding(text)` the
    embedding of each of the two memories.  Both may be async; where one fails, a `Problem` says so and the exchange is stored
    without its result.

    Commonly used for: the step that makes an answer a memory.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(finalize(SqliteBackend(":memory:")))
    finalize(backend=SqliteBackend(':memory:'))

    See also: `begin`, `persist_partial`, `remember_stream`.
    """
    backend = backend_of(backend)
    callback("extract_content", extract_content)
    callback("generate_embedding", generate_embedding)
    whole = extract_content is not None or generate_embedding is not None

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        exchange = _Exchange(whole)
        async for batch in inbox:
            exchange.take(batch)
            del batch  # or the events would be held until the next
        ended, opened, begun = exchange.ended, exchange.opened, exchange.begun
        if ended is None or opened is None:
            if inbox.end is End.COMPLETED:
                message = "the stream was cut off before it ended; its partial is kept"
                yield Problem("finalization", "INCOMPLETE", message, recoverable=True)
            return
        if begun is None:
            if exchange.excused is None:
                raise ChainOrderError("finalize got no Begun: it belongs after begin(...)")
            message = "the store could not begin the exchange, so it is not stored"
            raise NotStored(message, exchange.tail) from exchange.excused
        args: dict[str, Any] = {
            "streamId": opened.stream_id,
            "memorySpaceId": opened.turn.memory_space_id,
            "epoch": begun.epoch,
            "reason": ended.reason,
        }
        empty = exchange.blank and exchange.no_calls
        if empty:
            path, args["outcome"] = "streams:close", "empty"
        else:
            path = "streams:finalize"
            args |= {
                "attempt": begun.attempt + exchange.attempt,
                "start": exchange.start,
                "text": exchange.tail,
                "length": ended.offset,
            }
            if ended.usage:
                args["usage"] = ended.usage.model_dump(by_alias=True, exclude_none=True)
            if whole:
                async for said in _derive(
                    args, opened.turn.user_message, exchange.text, extract_content, generate_embedding
                ):
                    yield said
        backoff, told = Backoff(inbox), False
        while True:
            try:
                stored = await backend.mutation(path, args)
                break
            except StoreUnavailable as error:
                if not told:
                    told = True
                    yield Problem.of("finalization", error, recoverable=True)
                if not await backoff.again():
                    raise _lost(exchange) from error
            except _MEANT:
                raise
            except Exception as error:
                raise _lost(exchange) from error
        if empty:
            raise EmptyAnswer("Response stream completed but produced no content; the question is kept as unanswered.")
        yield Remembered(
            stored["conversation"]["conversationId"],
            tuple(stored["conversation"]["messageIds"]),
            tuple(MemoryEntry.from_row(row) for row in stored["memories"]),
            stored["stored"] == "before",
        )

    wants = frozenset({Opened, Begun, Delta, PartialStored, Ended, Custom, Problem})
    return beside(worker, _INTERVAL, capacity=_BATCH, wants=wants, gated=False)


_MEANT = (Fenced, Diverged, Gap, IdempotencyConflict, StreamNotFound)  # what the store says of this very exchange
_INTERVAL = 0.25  # seconds between two looks at what passed; the end is seen at once
_BATCH = 2048  # events that passed are looked at sooner


def _lost(exchange: _Exchange) -> NotStored:
    return NotStored("the exchange could not be stored", exchange.tail, exchange.start)


async def _derive(
    args: dict[str, Any], question: str, answer: str, extract: Extract | None, embed: Embed | None
) -> AsyncGenerator[StreamEvent, None]:
    """Ask the caller's functions; what fails is said and left out."""
    try:
        if extract and (content := await _awaited(extract(question, answer))) is not None:
            content.encode()  # a lone surrogate, and what is no text at all, the store would refuse, and the exchange with it
            args["userContent"] = content
    except Exception as error:
        yield Problem.of("finalization", error, recoverable=True)
    for key, text in (("userEmbedding", args.get("userContent", question)), ("agentEmbedding", answer)):
        try:
            if embed and (vector := await _awaited(embed(text))) is not None:
                args[key] = _numbers(vector)
        except Exception as error:
            yield Problem.of("finalization", error, recoverable=True)


def _numbers(vector: Iterable[float]) -> list[float]:
    numbers = [float(number) for number in vector]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise InvalidArgument("generate_embedding", "a vector", "one or more finite numbers")
    return numbers


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
