"""The exchange that `finalize` stores, as far as its events have passed."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.errors import ChainOrderError, CortexError
from cortex_rx.events import (
    Begun,
    Chunked,
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    Opened,
    PartialStored,
    Problem,
    Replayed,
    StreamEvent,
)
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.models.records import Usage

_DELTAS = {Delta}
_WORDLESS = ("tool_calls", "function_call", "refusal")  # what makes an answer of a stream without text

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import Range, StoredExchange

__all__ = ["Exchange", "Span"]


class Span(NamedTuple):
    """Where a chunk stands in the answer, in code points."""

    start: int
    end: int
    new: int
    """Its length without what it repeats of the chunk before it."""


class Exchange:
    """The part that has passed: the text that is not durable yet, and what else is needed to finish."""

    def __init__(self, whole: bool) -> None:
        self.opened: Opened | None = None
        self.begun: Begun | None = None
        self.begin_failed: Exception | None = None
        self.position: TextPosition = TextPosition()
        self._whole: list[str] | None = [] if whole else None
        self._tail: deque[str] = deque()
        self._facts: dict[str, list[FactsExtracted]] = {"question": [], "answer": []}  # what is not stored
        self.has_facts: bool = False
        """Whether something was read for facts and is not stored; maybe of a text before."""
        self._begin()

    def absorb(self, events: list[StreamEvent]) -> None:
        """Add events."""
        runs = ((Delta, events),) if set(map(type, events)) == _DELTAS else groupby(events, type)
        for kind, run in runs:
            if kind is Delta:
                move, text = self.position.take_deltas(cast("list[Delta]", list(run)))
                if move is Move.ANEW:
                    self._begin()
                if text:
                    self._text(text)
            else:
                for event in run:
                    self._other(event)

    def _begin(self, text: str = "") -> None:
        """The text begins again, with the text that is stored already."""
        self.blank: bool = not text or text.isspace()
        self.needs_text: bool = True  # no call of a tool and no refusal has come, so without text it is no answer
        self._start = self.position.start  # of the tail
        self._tail.clear()
        self._chunks = array("q")  # the start and the end of each
        self._facts["answer"] = []
        if self._whole is not None:
            self._whole[:] = [text] if text else []

    def _cut(self, end: int) -> None:
        """The text, whose end was `end`, is cut back.

        If it is cut below the durable text, the following text is sent to the store, which compares it: different text
        is `Diverged`.
        """
        self._start = min(self._start, self.end)
        held = self.tail[: self.end - self._start]
        self._tail = deque([held] if held else ())
        self._chunks = array(
            "q",
            [
                at
                for chunk in zip(self._chunks[::2], self._chunks[1::2], strict=True)
                if chunk[1] <= self.end
                for at in chunk
            ],
        )
        self._facts["answer"] = [read for read in self._facts["answer"] if read.stop <= self.end]
        if self._whole is not None:
            whole = self.text
            self._whole[:] = [whole[: max(0, len(whole) - (end - self.end))]]

    def _text(self, text: str) -> None:
        if self.begun is None and self.begin_failed is None:
            raise ChainOrderError("finalize got text but no Begun: it belongs after begin(...)")
        self._tail.append(text)
        if self._whole is not None:
            self._whole.append(text)
        if self.blank and not text.isspace():
            self.blank = False

    def _durable(self, offset: int) -> None:
        """The text before `offset` is durable and need not be held."""
        while self._tail and offset > self._start:
            text = self._tail.popleft()
            cut = min(offset - self._start, len(text))
            self._start += cut
            if cut < len(text):
                self._tail.appendleft(text[cut:])

    def _other(self, event: StreamEvent) -> None:
        end = self.end
        move = self.position.take(event)
        if move is Move.OTHER:
            return
        if move is Move.ANEW:
            self._begin(event.text if isinstance(event, Replayed) else "")
        elif move is Move.CUT:
            self._cut(end)
        if isinstance(event, PartialStored):
            self._durable(event.offset)
        elif isinstance(event, Chunked):
            self._chunks.extend((event.chunk.start_offset, event.chunk.end_offset))
        elif isinstance(event, FactsExtracted):
            if not event.stored:
                self._facts[event.side].append(event)
                self.has_facts = True
        elif isinstance(event, Opened):
            self.opened = event
        elif isinstance(event, Begun):
            self.begun = event
        elif isinstance(event, Problem):
            if event.phase == "initialization":
                self.begin_failed = event.error or CortexError(event.message)
        elif isinstance(event, Custom) and event.name in _WORDLESS:
            self.needs_text = False

    @property
    def ended(self) -> Ended | None:
        """The end of the text, once it has come."""
        return self.position.ended

    @property
    def end(self) -> int:
        """The length of what has passed."""
        return self.position.offset

    @property
    def empty(self) -> bool:
        """Whether there is no answer to store: no text, no tool call and no refusal."""
        refused = self.ended is not None and self.ended.reason == "refusal"
        return self.blank and self.needs_text and not refused

    @property
    def text(self) -> str:
        """The whole answer, if it is kept."""
        return "".join(self._whole or ())

    def call(self, backend: Backend, opened: Opened, begun: Begun | None, ended: Ended) -> Call[StoredExchange]:
        """The call that ends the exchange; under epoch 0 if the exchange was not begun."""
        streams, space, epoch = Streams(backend), opened.turn.memory_space_id, begun.epoch if begun else 0
        if self.empty:
            return streams.close(
                stream_id=opened.stream_id, memory_space_id=space, epoch=epoch, outcome="empty", reason=ended.reason
            )
        return streams.finalize(
            stream_id=opened.stream_id,
            memory_space_id=space,
            epoch=epoch,
            attempt=self.position.stored_attempt,
            start=self.start,
            text=self.tail,
            length=self.end,  # of what passed here: a step before may have changed lengths
            reason=ended.reason,
            usage=(ended.usage or Usage()).stored(ended.model) if ended.usage or ended.model else None,
        )

    def spans(self, first: int = 0) -> Iterator[Span]:
        """The chunks, from the `first` on."""
        before = self._chunks[2 * first - 1] if first else 0
        for at in range(2 * first, len(self._chunks), 2):
            start, end = self._chunks[at], self._chunks[at + 1]
            yield Span(start, end, max(0, end - max(start, before)))
            before = end

    def chunks(self, most: int | None = None) -> list[Range]:
        """The chunks, as `streams:finalize` takes them; none if one is longer than `most`, or they are not the
        answer."""
        chunks: list[Range] = [
            {"start": start, "end": end} for start, end in zip(self._chunks[::2], self._chunks[1::2], strict=True)
        ]
        last = 0
        for chunk in chunks:
            if not (chunk["start"] <= last < chunk["end"]):
                return []
            if most is not None and chunk["end"] > chunk["start"] + most:
                return []
            last = chunk["end"]
        return chunks if last == self.end else []

    def extractions(self) -> list[Mapping[str, Any]]:
        """What was read for facts and is not stored, as `streams:finalize` takes it."""
        return [read.window for side in self._facts.values() for read in side if read.window is not None]

    @property
    def start(self) -> int:
        """Where the text that is not known to be durable begins."""
        return self._start

    @property
    def tail(self) -> str:
        """The text that is not known to be durable."""
        return "".join(self._tail)
