"""The result of a stream: the fold from its events to `EnhancedRememberStreamResult`.

>>> from cortex_rx.events import Delta, Ended, Opened, Remembered
>>> from cortex_rx.models.turn import Turn
>>> fold = ResultFold()
>>> for event in (
...     Opened(Turn("support", "c-1", "Hello", agent_id="helper"), "stream-1", at=1_700_000_000),
...     Delta("Good ", index=0, offset=0, attempt=0, at=0.2),
...     Delta("day", index=1, offset=5, attempt=0, at=0.3),
...     Ended("stop", offset=8, index=2),
...     Remembered("c-1", ("m-1", "m-2"), memories=()),
... ):
...     fold.add(event)
>>> result = fold.result()
>>> result.full_response, result["conversation"]["messageIds"], result.finish_reason
('Good day', ('m-1', 'm-2'), 'stop')
"""

from __future__ import annotations

from io import StringIO

from cortex_rx.errors import NotStored
from cortex_rx.events import (
    Begun,
    Delta,
    Ended,
    FactsExtracted,
    GraphSynced,
    Measured,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
    StreamEvent,
    Waiting,
)
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.folds.stream_error import stream_error
from cortex_rx.metering.estimate import estimate, kinds_of
from cortex_rx.models.records import (
    ErrorContext,
    GraphSyncEvent,
    PartialUpdate,
    ProgressiveFact,
    StreamError,
    StreamMetrics,
    Usage,
)
from cortex_rx.models.results import (
    EnhancedRememberStreamResult,
    PerformanceInsights,
    ProgressiveProcessing,
    StoredConversation,
)

__all__ = [
    "ErrorContext",
    "ResultFold",
    "StreamError",
    "insights",
]


def insights(metrics: StreamMetrics, writes: int = 0) -> PerformanceInsights:
    """What the metrics of a whole stream show.  Each says the figure on which it rests, and the threshold.

    It speaks only of what was measured: of facts, if text was read for facts; of the provider's cache and of reasoning,
    if the provider counted them.  It suggests no option that this version refuses.  `writes` is how often the text was
    stored after the place where it was measured.

    >>> slow = StreamMetrics(first_chunk_latency=2345, total_chunks=40, chunks_per_second=20, partial_updates=3)
    >>> insights(slow).bottlenecks
    ('the first text came after 2,345 ms (more than 2,000)',)
    >>> insights(slow).recommendations
    ('ask a faster model, or shorten the prompt: the first text came after 2,345 ms (more than 2,000)',)
    """
    slow, other = _slow(metrics, writes), _spent(metrics)
    return PerformanceInsights(
        bottlenecks=tuple(what for what, _ in slow),
        recommendations=tuple(f"{advice}: {what}" for what, advice in (*slow, *other)),
        cost_estimate=metrics.estimated_cost,
    )


def _slow(metrics: StreamMetrics, writes: int) -> list[tuple[str, str]]:
    """What was slow or failed, and what would help."""
    found: list[tuple[str, str]] = []
    if metrics.first_chunk_latency is not None and metrics.first_chunk_latency > 2000:
        what = f"the first text came after {metrics.first_chunk_latency:,.0f} ms (more than 2,000)"
        found.append((what, "ask a faster model, or shorten the prompt"))
    if metrics.total_chunks > 10 and metrics.chunks_per_second < 1:
        what = f"{metrics.chunks_per_second:.2f} chunks came per second (fewer than 1)"
        found.append((what, "look for what delays the model or the network"))
    if metrics.inter_chunk_max is not None and metrics.inter_chunk_max > 5000:
        what = f"no text came for {metrics.inter_chunk_max:,.0f} ms (more than 5,000)"
        found.append((what, "set stream_timeout to end a stream that is silent"))
    if metrics.error_count > 0.1 * metrics.total_chunks:
        what = f"failures: {metrics.error_count:,} in {metrics.total_chunks:,} chunks (more than 10 %)"
        found.append((what, "see errors for what failed"))
    if metrics.retry_count:
        what = f"the source was reopened {metrics.retry_count:,} times (more than 0)"
        found.append((what, "look why the provider breaks off"))
    if not (metrics.partial_updates or writes) and metrics.stream_duration_ms > 5000:
        what = f"nothing was durable for {metrics.stream_duration_ms:,.0f} ms (more than 5,000)"
        found.append((what, "switch store_partial_response on"))
    if metrics.fact_windows and not metrics.facts_extracted and metrics.total_bytes > 1000:
        what = f"no facts were found in {metrics.total_bytes:,} bytes (more than 1,000)"
        found.append((what, "look what extract_facts finds in these texts"))
    reasoned, output = metrics.reasoning_tokens, metrics.estimated_tokens
    if reasoned is not None and metrics.tokens_from == "provider" and reasoned > 0.5 * output:
        what = f"reasoning took {reasoned:,} of {output:,} output tokens (more than 50 %)"
        found.append((what, "ask for less reasoning, if the answer allows it"))
    return found


def _spent(metrics: StreamMetrics) -> list[tuple[str, str]]:
    """What cost much, and what would help."""
    found: list[tuple[str, str]] = []
    given, read = metrics.input_tokens, metrics.cached_input_tokens
    if given is not None and read is not None and given >= 2048 and read < 0.1 * given:
        what = f"{read:,} of {given:,} input tokens came from the provider's cache (fewer than 10 %)"
        found.append((what, "begin prompts with what they have in common"))
    if metrics.estimated_cost is not None and metrics.estimated_cost > 1:
        tokens = f"{metrics.estimated_tokens:,} output tokens (by the {metrics.tokens_from})"
        if given is not None:
            tokens = f"{given:,} input and {tokens}"
        by = "genai-prices" if metrics.prices_from == "genai-prices" else "your table"
        what = f"the answer cost {metrics.estimated_cost:.2f} USD (more than 1), {tokens} of {metrics.model} by {by}"
        found.append((what, "shorten the prompt, or limit the answer with max_response_length"))
    return found


class ResultFold:
    """The result of a stream, event by event.

    The cost of an event does not grow with the length of the answer.  **Unbounded**: it holds the answer.
    """

    __slots__ = (
        "_before",
        "_begun",
        "_buffer",
        "_errors",
        "_facts",
        "_found",
        "_graph",
        "_measured",
        "_opened",
        "_position",
        "_remembered",
        "_retries",
        "_stored",
        "_text",
        "_waiting",
        "_write",
    )

    _text: str

    def __init__(self) -> None:
        self._position = TextPosition()
        self._before = 0, 0
        self._begin("")
        self._found: set[str] = set()  # the ids of facts
        self._facts: dict[str, list[ProgressiveFact]] = {"question": [], "answer": []}  # found before the end
        self._retries = 0
        self._waiting: Waiting | None = None
        self._opened: Opened | None = None
        self._begun: Begun | None = None
        self._measured: Measured | None = None
        self._remembered: Remembered | None = None
        self._stored: list[PartialStored] = []
        self._errors: list[StreamError] = []
        self._graph: list[GraphSynced] = []

    @property
    def text(self) -> str:
        """The answer so far.  The first read after a delta copies it; later reads do not."""
        if len(self._text) != self._buffer.tell():
            self._text = self._buffer.getvalue()
        return self._text

    @property
    def position(self) -> TextPosition:
        """How far the text is."""
        self._position.offset = self._buffer.tell()
        return self._position

    @property
    def offset(self) -> int:
        """The length of the answer so far, in code points."""
        return self._buffer.tell()

    @property
    def index(self) -> int:
        """The number of deltas in the answer so far."""
        return self._position.index

    @property
    def attempt(self) -> int:
        """The attempt of the text.  With `text`, `offset` and `index` it makes a `Replayed`."""
        return self._position.attempt

    @property
    def before(self) -> tuple[int, int]:
        """The attempt and the length of the text before it last began anew or was cut back."""
        return self._before

    @property
    def opened(self) -> Opened | None:
        """The first event, once it has come."""
        return self._opened

    @property
    def waiting(self) -> Waiting | None:
        """What the stream waits for before it is opened, as far as that is known."""
        return self._waiting if self._opened is None else None

    @property
    def begun(self) -> Begun | None:
        """The event with the epoch under which the stream is owned, once it has come."""
        return self._begun

    @property
    def token(self) -> str | None:
        """The token that resumes the stream, once the stream is owned."""
        return self._begun.token if self._begun else None

    @property
    def ended(self) -> Ended | None:
        """The end of this text, once it has come."""
        return self._position.ended

    def add(self, event: StreamEvent) -> None:
        """Add one event.  An event that does not concern the result changes nothing."""
        position = self._position
        if type(event) is Delta and event.attempt == position.attempt:  # first, since it runs for every token
            position.last = event
            write = self._write  # CPython 3.11 makes a read of an attribute fast, a call of one as a method not
            write(event.text)
            return
        before = position.attempt, self._buffer.tell()
        move = self.position.take(event)
        if move in (Move.ANEW, Move.CUT):
            self._before = before
        if move is Move.ANEW:
            self._begin(event.text if isinstance(event, Replayed) else "")
            self._facts["answer"] = []
        elif move is Move.CUT:
            self._begin(self.text[: position.offset])
        if isinstance(event, Delta):
            if move is not Move.OTHER:
                self._write(event.text)
        elif isinstance(event, PartialStored):
            self._stored.append(event)
        elif isinstance(event, Measured):
            self._measured = event
        elif isinstance(event, Problem):
            self._errors.append(self._error(event))
        elif isinstance(event, FactsExtracted):
            if move is not Move.OTHER:
                self._found |= {fact.fact_id for fact in event.facts}
                if self.ended is None:
                    self._facts[event.side].extend(event.facts)
        elif isinstance(event, GraphSynced):
            if event.kind != "drained":  # that is a worker's
                self._graph.append(event)
        elif isinstance(event, Opened):
            self._opened = event
        elif isinstance(event, Waiting):
            self._waiting = event
        elif isinstance(event, Begun):
            self._begun = event
        elif isinstance(event, Resumed):
            self._retries += 1
        elif isinstance(event, Remembered):
            self._remembered = event

    def result(self) -> EnhancedRememberStreamResult:
        """The result, once the exchange is stored.

        Raises `NotStored`, with all the text that came, if no `Remembered` has come.  The message says what has come:
        the chain has no `finalize` (or another step that emits it), or the text did not end, or an operator dropped
        events.
        """
        remembered = self._remembered
        if remembered is None:
            raise NotStored(f"no Remembered event came for this exchange: {self._why_not()}", self.text)
        history = tuple(self._update(event) for event in self._stored)
        found = (*self._facts["question"], *self._facts["answer"])
        synced = tuple(self._sync(event) for event in self._graph)
        measured = self._measured
        return EnhancedRememberStreamResult(
            conversation=StoredConversation(
                conversation_id=remembered.conversation_id, message_ids=remembered.message_ids
            ),
            memories=remembered.memories,
            facts=remembered.facts,
            fact_revisions=remembered.fact_revisions,
            full_response=self.text,
            stream_metrics=measured.metrics if measured else self._counts(),
            progressive_processing=ProgressiveProcessing(
                facts_extracted_during_stream=found,
                partial_storage_history=history,
                graph_sync_events=synced or None,
            )
            if history or found or synced
            else None,
            errors=tuple(self._errors) or None,
            performance=insights(measured.metrics, len(history)) if measured else None,
            stream_id=self._opened.stream_id if self._opened else "",
            finish_reason=self.ended.reason if self.ended else None,
            usage=self.ended.usage if self.ended else None,
            stored_before=remembered.stored_before,
            recovered=self._retries > 0 or (self.ended is not None and self.ended.reason == "error"),
            resume_token=self.token,
        )

    def _why_not(self) -> str:
        """Why no `Remembered` came, as far as the events show it."""
        if self._opened is None:
            return "no Opened came either, so an operator before the result drops events"
        if self.ended is None:
            return "the text has no end: an operator ended the stream early (take), or dropped Ended"
        if self._begun is None:
            return "no Begun came either: the chain has no step that stores it (begin and finalize), or an operator \
drops events"
        return "the chain has no step that stores it (finalize), or an operator after it drops events"

    def _begin(self, text: str) -> None:
        """The text begins again, or is replaced."""
        self._buffer = StringIO()  # takes the memory of the text; a list of its pieces takes ten times as much
        self._write = self._buffer.write
        self._text = ""
        self._write(text)

    def _epoch_ms(self, at: float) -> float:
        return ((self._opened.at if self._opened else 0) + at) * 1000

    def _update(self, event: PartialStored) -> PartialUpdate:
        return PartialUpdate(
            timestamp=self._epoch_ms(event.at),
            memory_id=self._begun.memory_id if self._begun else "",
            content_length=event.offset,
            chunk_number=event.index,
        )

    def _sync(self, event: GraphSynced) -> GraphSyncEvent:
        assert event.kind != "drained"
        return GraphSyncEvent(
            timestamp=self._epoch_ms(event.at),
            event_type=event.kind,
            node_id=event.memory_id,
            details={"records": event.records},
        )

    def _error(self, event: Problem) -> StreamError:
        return stream_error(
            event,
            chunk_number=self.index,
            bytes_processed=self.offset,
            partial_memory_id=self._begun.memory_id if self._begun else None,
            last_successful_update=self._epoch_ms(self._stored[-1].at) if self._stored else None,
            saved=bool(self._stored or self._remembered),
            resume_token=self.token,
        )

    def _counts(self) -> StreamMetrics:
        """What is known without `measure`: no times."""
        usage = (self.ended.usage if self.ended else None) or Usage()
        counted, data = usage.output_tokens, self.text.encode(errors="surrogatepass")
        return StreamMetrics(
            start_time=self._epoch_ms(0),
            total_chunks=self.index,
            total_bytes=len(data),
            total_characters=self.offset,
            average_chunk_size=self.offset / self.index if self.index else 0,
            facts_extracted=len(self._remembered.facts if self._remembered else ()) or len(self._found),
            partial_updates=len(self._stored),
            error_count=len(self._errors),
            retry_count=self._retries,
            estimated_tokens=estimate(kinds_of(data)) if counted is None else counted,
            tokens_from="estimate" if counted is None else "provider",
            model=self.ended.model if self.ended else None,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            graph_syncs=len(self._graph),
            graph_records=sum(event.records for event in self._graph),
        )
