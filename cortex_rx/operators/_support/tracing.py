"""The spans and metrics of one stream, for `trace`. Only this file imports OpenTelemetry."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry.context import Context, get_current
from opentelemetry.metrics import Histogram, Meter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from cortex_rx.engine import End, FlowScheduler
from cortex_rx.engine.running import Stopped
from cortex_rx.errors import NotStored, ResumableStreamError, code_of
from cortex_rx.events import (
    Begun,
    Delta,
    Ended,
    FactsExtracted,
    GraphSynced,
    Interrupted,
    Opened,
    PartialStored,
    Problem,
    Recalled,
    Remembered,
    Resumed,
    RolledBack,
    StreamEvent,
    Waiting,
)
from cortex_rx.models.records import Usage

__all__ = ["Instruments", "Meter", "StreamTrace", "Tracer"]

MOST_EVENTS = 64
"""Events that a span gets; of a longer list, those after the first ones are only counted."""
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))
_COUNTS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read.input": "cached_input_tokens",
    "cache_creation.input": "cache_write_tokens",
    "reasoning.output": "reasoning_tokens",
}
"""The counts of tokens in the conventions, and in a `Usage`."""
_WORD = re.compile(r"[\w.:/@+-]{1,128}", re.ASCII)

Attributes = dict[str, str | bool | int | float | tuple[str, ...]]


def word(code: str) -> str:
    """A code, if it looks like one; text of any kind becomes `_OTHER`, OpenTelemetry's word for the rest."""
    return code if _WORD.fullmatch(code) else "_OTHER"


def _kind_of(error: Exception) -> str:
    return word(code_of(error.original_error if isinstance(error, ResumableStreamError) else error))


@dataclass(frozen=True, slots=True)
class Instruments:
    """The histograms of the conventions, with the boundaries that they advise."""

    duration: Histogram
    first: Histogram
    gap: Histogram
    tokens: Histogram

    @classmethod
    def of(cls, meter: Meter) -> Instruments:
        """The histograms of a meter."""
        operation = "gen_ai.client.operation"
        return cls(
            _histogram(meter, f"{operation}.duration", "s", "GenAI operation duration."),
            _histogram(meter, f"{operation}.time_to_first_chunk", "s", "Time to receive the first chunk."),
            _histogram(meter, f"{operation}.time_per_output_chunk", "s", "Time between two chunks."),
            _histogram(meter, "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used."),
        )


def _histogram(meter: Meter, name: str, unit: str, description: str) -> Histogram:
    boundaries = _SECONDS if unit == "s" else _TOKENS
    return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=boundaries)


class StreamTrace:
    """A fold over the events of one stream, which tells a tracer and a meter.

    The span of the stream is open while the stream runs. The spans in it are made when what they show is over. Nothing
    of it becomes the current span of a task. Holds numbers and ids, and the gaps between deltas that are not recorded.
    """

    def __init__(
        self,
        tracer: Tracer,
        instruments: Instruments | None,
        flow: FlowScheduler,
        provider: str | None,
        model: str | None,
    ) -> None:
        self._tracer, self._instruments, self._flow, self._model = tracer, instruments, flow, model
        self._outside: Context = get_current()  # of whoever subscribed: the task of a worker has a copy of it
        self._inside = self._outside
        self._span: Span | None = None
        self._at_zero, self._zero = flow.wall(), flow.time()  # where the span begins
        self._base = 0.0  # seconds from there to `Opened`
        self._latest = 0.0
        self._opened: Opened | None = None
        self._begun: Begun | None = None
        self._remembered = False
        self._chat_from = 0.0
        self._chat: Attributes = {"gen_ai.operation.name": "chat"}
        if provider is not None:
            self._chat["gen_ai.provider.name"] = provider
        if model is not None:
            self._chat["gen_ai.request.model"] = model
        self._first: float | None = None
        self._last = 0.0
        self._ended: float | None = None
        self.gaps: list[float] = []
        """Seconds between two deltas; `record_gaps` records them."""
        self._events = self._partials = self._facts = self._problems = self._retries = 0

    def absorb(self, event: StreamEvent) -> None:
        """One more event has passed."""
        if handle := _HANDLERS.get(type(event)):
            handle(self, event)

    def record_gaps(self, most: int) -> None:
        """Record at most so many gaps: one takes some microseconds."""
        if self._instruments:
            record, attributes, context = self._instruments.gap.record, self._chat, self._inside
            for gap in self.gaps[:most]:
                record(gap, attributes, context)
        del self.gaps[:most]

    def stop(self, end: End | None, error: Exception | None) -> None:
        """No more text comes. If the answer has not ended, its span ends here."""
        if self._opened and self._ended is None:
            attributes: Attributes = {} if end is End.COMPLETED else {"cortex.end": end.value if end else "unknown"}
            self._finish_chat(attributes, _kind_of(error) if error else None)

    def finish(self, end: End | None, error: Exception | None) -> None:
        """The stream is over, and everything is flushed: end its span."""
        root = self._flow.root
        for event in root.flushed:
            self.absorb(event)
        outcome = end.value if end else "unknown"
        if end is End.CANCELLED:
            failure = root.failed.exception() if root.failed.done() and not root.failed.cancelled() else None
            if isinstance(failure, Stopped):
                self._set({"cortex.stopped_by": "request"})
            elif isinstance(failure, Exception):
                error, outcome = failure, "failed"
            else:
                self._set({"cortex.stopped_by": word(root.stopped_by or "cancelled")})
        failures = [failure for failure in (error, *root.flush_errors) if failure is not None]
        lost = next((failure for failure in failures if isinstance(failure, NotStored)), None)
        if lost and not self._remembered:
            operation = "create_memory" if self._begun is None else "update_memory"
            self._memory(operation, self._ended or self._base, self._now(), {}, _kind_of(lost))
        self._end_span(outcome, failures[0] if failures else None)

    def abandon(self) -> None:
        """End the span, whatever its tracer says: no span is left open."""
        span, self._span = self._span, None
        if span is not None:
            try:
                span.end(end_time=self._ns(self._now()))
            except Exception:
                return  # it has failed before, and the stream has been told

    # --- the events ---------------------------------------------------------------------------------------------------

    def _on_opened(self, event: Opened) -> None:
        self._opened = event
        if self._span is None:
            self._at_zero, self._zero = event.at, self._flow.time()
        self._base = self._chat_from = self._now()
        turn = event.turn
        about: Attributes = {
            "cortex.stream.id": event.stream_id,
            "gen_ai.conversation.id": turn.conversation_id,
            "gen_ai.memory.store.id": turn.memory_space_id,
        }
        if event.resumed:
            about["cortex.taken_over"] = True
        self._start(about)

    def _on_recalled(self, event: Recalled) -> None:
        result, until = event.result, self._at(event.at)
        found: Attributes = {"gen_ai.memory.record.count": len(result.memories), "cortex.facts": len(result.facts)}
        self._memory("search_memory", self._chat_from, until, found)
        self._chat_from = until

    def _on_begun(self, event: Begun) -> None:
        self._begun = event
        self._set({"gen_ai.memory.record.id": event.memory_id})
        if self._opened and not self._opened.resumed:  # else the store was asked before the stream was opened
            about: Attributes = {
                "gen_ai.memory.record.id": event.memory_id,
                "cortex.stored_before": event.stored_before,
            }
            self._memory("create_memory", self._base, self._now(), about)

    def _on_delta(self, event: Delta) -> None:
        at = self._at(event.at)
        if self._first is None:
            self._first = first = max(0.0, at - self._chat_from)
            if self._instruments:
                self._instruments.first.record(first, self._chat, self._inside)
        elif self._instruments:
            self.gaps.append(max(0.0, at - self._last))
        self._last = at

    def _on_ended(self, event: Ended) -> None:
        if self._ended is not None or self._opened is None:
            return
        about: Attributes = {"gen_ai.response.finish_reasons": (word(event.reason),)}
        self._finish_chat(about, None, event)

    def _on_remembered(self, event: Remembered) -> None:
        self._remembered = True
        self._facts = len(event.facts) or self._facts
        about: Attributes = {
            "gen_ai.memory.record.count": len(event.memories),
            "cortex.facts": len(event.facts),
            "cortex.stored_before": event.stored_before,
        }
        self._memory("update_memory", self._ended or self._chat_from, self._now(), about)

    def _on_partial(self, event: PartialStored) -> None:
        self._partials += 1

    def _on_facts(self, event: FactsExtracted) -> None:
        self._facts += len(event.facts)
        about: Attributes = {"cortex.facts": len(event.facts), "cortex.side": event.side, "cortex.stored": event.stored}
        self._note("facts_extracted", about, event.at)

    def _on_graph(self, event: GraphSynced) -> None:
        about: Attributes = {"cortex.kind": event.kind, "cortex.records": event.records}
        self._note("graph_synced", about, event.at)

    def _on_resumed(self, event: Resumed) -> None:
        self._retries += 1
        self._note("resumed", {"cortex.retry": event.retry, "cortex.attempt": event.attempt})

    def _on_problem(self, event: Problem) -> None:
        self._problems += 1
        about: Attributes = {"cortex.phase": word(event.phase), "error.type": word(event.code)}
        self._note("problem", about | {"cortex.recoverable": event.recoverable})

    # --- time ---------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        """Seconds since the span began; never less than an earlier time of this stream."""
        self._latest = max(self._latest, self._flow.time() - self._zero)
        return self._latest

    def _at(self, since_opened: float) -> float:
        """Seconds since the span began, of an event that says when it happened."""
        at = self._base + since_opened
        self._latest = max(self._latest, at)
        return at

    def _ns(self, seconds: float) -> int:
        """Nanoseconds since the epoch. A float of them all would be exact to 240 ns only."""
        return round(self._at_zero * 1e9) + round(seconds * 1e9)

    # --- what is told -------------------------------------------------------------------------------------------------

    def _start(self, attributes: Attributes) -> Span:
        if self._span is None:
            start = self._ns(0.0)
            self._span = self._tracer.start_span(
                "cortex.stream", self._outside, attributes=attributes, start_time=start
            )
            self._inside = set_span_in_context(self._span, self._outside)
        elif attributes:
            self._set(attributes)
        return self._span

    def _set(self, attributes: Attributes) -> None:
        self._start({}).set_attributes(attributes)

    def _note(self, name: str, attributes: Attributes | None = None, at: float | None = None) -> None:
        span = self._start({})
        self._events += 1
        if self._events <= MOST_EVENTS:
            when = self._now() if at is None else self._at(at)
            span.add_event(f"cortex.{name}", attributes or {}, self._ns(when))

    def _finish_chat(self, about: Attributes, failed: str | None, ended: Ended | None = None) -> None:
        self._ended = now = self._now()
        if self._first is not None:
            about["gen_ai.response.time_to_first_chunk"] = self._first
        answered = dict(self._chat)
        if ended and (model := ended.model):
            answered["gen_ai.response.model"] = word(model)
        self._count(ended.usage if ended else None, answered, about)
        if self._opened:
            about["gen_ai.conversation.id"] = self._opened.turn.conversation_id
        about["gen_ai.request.stream"] = True
        named = self._model or answered.get("gen_ai.response.model")
        self._child(f"chat {named}" if named else "chat", self._chat_from, now, answered | about, failed)
        self._measure(self._chat_from, now, answered, failed)

    def _count(self, usage: Usage | None, answered: Attributes, about: Attributes) -> None:
        """Add the provider's counts of tokens; nothing is estimated."""
        for kind, name in _COUNTS.items():
            count = getattr(usage, name, None)
            if count is None:
                continue
            about[f"gen_ai.usage.{kind}_tokens"] = count
            if self._instruments and kind in ("input", "output"):
                self._instruments.tokens.record(count, answered | {"gen_ai.token.type": kind}, self._inside)

    def _memory(self, operation: str, start: float, end: float, about: Attributes, failed: str | None = None) -> None:
        named: Attributes = {"gen_ai.operation.name": operation}
        if self._opened:
            named["gen_ai.memory.store.id"] = self._opened.turn.memory_space_id
        if self._begun and operation != "search_memory":
            named["gen_ai.memory.record.id"] = self._begun.memory_id
        self._child(operation, start, end, named | about, failed)
        self._measure(start, end, {"gen_ai.operation.name": operation}, failed)

    def _child(self, name: str, start: float, end: float, attributes: Attributes, failed: str | None) -> None:
        self._start({})
        if failed is not None:
            attributes |= {"error.type": failed}
        span = self._tracer.start_span(name, self._inside, SpanKind.CLIENT, attributes, start_time=self._ns(start))
        if failed is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=self._ns(end))

    def _measure(self, start: float, end: float, about: Attributes, failed: str | None) -> None:
        if self._instruments:
            attributes = about if failed is None else about | {"error.type": failed}
            self._instruments.duration.record(end - start, attributes, self._inside)

    def _end_span(self, outcome: str, error: Exception | None) -> None:
        span = self._start({})
        counts: Attributes = {
            "cortex.end": outcome,
            "cortex.remembered": self._remembered,
            "cortex.partial_writes": self._partials,
            "cortex.facts": self._facts,
            "cortex.problems": self._problems,
            "cortex.retries": self._retries,
        }
        if self._events > MOST_EVENTS:
            counts["cortex.events_left_out"] = self._events - MOST_EVENTS
        if error is not None:
            counts["error.type"] = _kind_of(error)
            span.set_status(Status(StatusCode.ERROR))
        span.set_attributes(counts)
        self._span = None
        span.end(end_time=self._ns(self._now()))


_HANDLERS: dict[type[StreamEvent], Callable[[StreamTrace, Any], None]] = {
    Opened: StreamTrace._on_opened,
    Waiting: lambda trace, _: trace._note("waiting"),
    Recalled: StreamTrace._on_recalled,
    Begun: StreamTrace._on_begun,
    Delta: StreamTrace._on_delta,
    Ended: StreamTrace._on_ended,
    PartialStored: StreamTrace._on_partial,
    FactsExtracted: StreamTrace._on_facts,
    GraphSynced: StreamTrace._on_graph,
    Resumed: StreamTrace._on_resumed,
    Problem: StreamTrace._on_problem,
    Remembered: StreamTrace._on_remembered,
    RolledBack: lambda trace, _: trace._note("rolled_back"),
    Interrupted: lambda trace, _: trace._note("interrupted"),
}
