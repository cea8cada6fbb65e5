"""What OpenTelemetry's own SDK has of a stream: spans and metrics in memory, drawn for a person."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cortex_rx import operators as cx
from cortex_rx.chain import Operator
from cortex_rx.testing import EPOCH


def since(ns: int) -> str:
    """Seconds since the epoch of virtual time."""
    return f"{(ns - round(EPOCH * 1e9)) / 1e9:.3f}"


class _Started(SpanProcessor):
    """Notes each span that begins."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.spans.append(span)


class Telemetry:
    """A tracer and a meter of the SDK, and what they have exported."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        provider, started = TracerProvider(shutdown_on_exit=False), _Started()
        provider.add_span_processor(started)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.started = started.spans
        self.tracer = provider.get_tracer("test")
        self.meter = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False).get_meter("test")

    def step(self, **how: Any) -> Operator:
        return cx.trace(self.tracer, self.meter, **how)

    @property
    def spans(self) -> dict[str, Any]:
        """The finished spans, by name; every span that was started has ended."""
        finished = self.exporter.get_finished_spans()
        assert len(finished) == len(self.started), "a span is open"
        return {span.name: span for span in finished}

    @property
    def root(self) -> Any:
        return self.spans["cortex.stream"]

    @property
    def told(self) -> list[str]:
        """The names of the events of the stream's span."""
        return [event.name for event in self.root.events]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def everything(self) -> str:
        """All that was exported, as JSON."""
        data = self.reader.get_metrics_data()
        return "".join(
            [*(span.to_json() for span in self.exporter.get_finished_spans()), data.to_json() if data else ""]
        )

    def drawn(self) -> str:
        """For a person: the spans below their parents, then the metrics; seconds since the epoch of the test."""
        spans = sorted(self.exporter.get_finished_spans(), key=lambda span: (span.start_time, span.end_time))
        lines: list[str] = []

        def add(parent: int | None, indent: str) -> None:
            for span in spans:
                if (span.parent.span_id if span.parent else None) != parent:
                    continue
                kind, status = span.kind.name, span.status.status_code.name
                lines.append(
                    f"{indent}{span.name}  {since(span.start_time)} to {since(span.end_time)}  {kind} {status}"
                )
                lines.extend(f"{indent}  {key} = {value!r}" for key, value in sorted(span.attributes.items()))
                for event in span.events:
                    lines.append(f"{indent}  at {since(event.timestamp)}: {event.name} {dict(event.attributes)}")
                add(span.context.span_id, indent + "    ")

        add(None, "")
        data = self.reader.get_metrics_data()
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            lines.append(f"{metric.name} [{metric.unit}] {metric.description}")
            for point in metric.data.data_points:
                full = {
                    f"<= {bound:g}": count
                    for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=True)
                    if count
                }
                lines.append(f"  {dict(sorted(point.attributes.items()))}: {point.count}, sum {point.sum:g}, {full}")
        return "\n".join(lines)
