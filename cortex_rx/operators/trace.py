"""Tell OpenTelemetry of the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import Inbox, beside
from cortex_rx.engine.scheduler import LIMIT
from cortex_rx.errors import MissingExtra
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
from cortex_rx.operators._support.writing import MAX_PENDING, event_cost, log

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

__all__ = ["trace"]

_FLUSH = LIMIT - 0.5  # seconds after a stop that the steps upstream may take, for what they store then to be told
_SLICE = 32  # gaps that are recorded at once: about a quarter of a millisecond
READS: tuple[type[StreamEvent], ...] = (
    Opened,
    Waiting,
    Recalled,
    Begun,
    Delta,
    PartialStored,
    FactsExtracted,
    GraphSynced,
    Resumed,
    Interrupted,
    Problem,
    Ended,
    Remembered,
    RolledBack,
)


@operator(needs=[Opened], reads=READS, emits=[Problem])
def trace(
    tracer: Tracer, meter: Meter | None = None, *, provider: str | None = None, model: str | None = None
) -> Operator:
    """Tell OpenTelemetry of the stream: spans of the answer and of what is done to the memory, and metrics.

    The names are those of the GenAI semantic conventions. One span holds the stream; in it are the answer of the model
    (`chat`) and the operations on the memory (`search_memory`, `create_memory`, `update_memory`). No text of a user or
    of a model is in any of it, and no message of an error: only codes, counts, times and ids. `docs/tracing.md` lists
    all names.

    ```text
    trace(tracer)
    source  O--(Ba)-b-c-E-------(R|)
    store   [--]--------([abc)--]---
    out     O--(Ba)-b-c-E-------(R|)

    O = Opened, B = Begun, E = Ended, R = Remembered, [ ] = a write
    ```

    `tracer` and `meter` are those of OpenTelemetry; without a `meter` there are no metrics. `provider` and `model` are
    what the conventions call `gen_ai.provider.name` and `gen_ai.request.model`, such as "openai" and "gpt-4o". The
    parent is the span that was current where the stream was subscribed to. Nothing here becomes the current span.

    It sees the events of the steps upstream, so it stands last. What it tells is told beside the stream: no token waits
    for it. If the tracer or the meter fails, there is one `Problem`, and this stream is traced no further. The span
    ends with the stream, however that ends; after a stop, when the steps upstream have flushed.

    Holds numbers and ids, at most 1 MB of events that it has not seen yet, then the source waits. A span gets 64
    events; more are counted.

    Needs the extra `otel`. Raises `InvalidArgument` and `MissingExtra`.

    Commonly used for: dashboards of latency and tokens, finding out in which step an answer lost its time, alerts.

    >>> import asyncio
    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    >>> from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    >>> from cortex_rx import Turn, from_stream, run
    >>> exporter, spans = InMemorySpanExporter(), TracerProvider()
    >>> spans.add_span_processor(SimpleSpanProcessor(exporter))
    >>> answer = from_stream(["Good", " day"], turn=Turn("space", "c-1", "Hi!", agent_id="helper"))
    >>> _ = asyncio.run(run(answer.pipe(trace(spans.get_tracer("my-app"), provider="openai", model="gpt-4o"))))
    >>> for span in exporter.get_finished_spans():
    ...     print(span.name, "in", span.parent and "cortex.stream")
    chat gpt-4o in cortex.stream
    cortex.stream in None

    See also: `measure`, `observe`.
    """
    try:  # imported here, so that programs without `trace` need no library for it
        from cortex_rx.operators._support import tracing
    except ImportError as error:
        raise MissingExtra("trace", "otel") from error
    check.instance(tracing.Tracer, "a Tracer of OpenTelemetry: provider.get_tracer(...)")("tracer", tracer)
    accepted = "a Meter of OpenTelemetry: provider.get_meter(...)"
    check.optional(check.instance(tracing.Meter, accepted))("meter", meter)
    check.optional(check.name)("provider", provider)
    check.optional(check.name)("model", model)
    instruments = tracing.Instruments.of(meter) if meter is not None else None

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        told = tracing.StreamTrace(tracer, instruments, inbox.flow, provider, model)
        try:
            async for batch in inbox:
                for event in batch:
                    told.absorb(event)
                del batch  # or the events would be held until the next
                told.record_gaps(_SLICE)
                while told.gaps:
                    await asyncio.sleep(0)
                    told.record_gaps(_SLICE)
            told.stop(inbox.end, inbox.error)
            if inbox.disposed:
                await inbox.upstream.upstream_ended(inbox.disposed_at + _FLUSH - inbox.flow.time())
            told.finish(inbox.end, inbox.error)
        except Exception as error:
            name = type(error).__name__
            log.warning("the tracer failed with %s: the stream is traced no further", name)
            message = f"the tracer failed with {name}; the answer goes on, and is traced no further"
            yield Problem("streaming", "TRACING_FAILED", message, recoverable=False, error=error)
        finally:
            told.abandon()

    return beside(worker, weigh=event_cost, capacity=MAX_PENDING, wants=frozenset(READS), joins=True)
