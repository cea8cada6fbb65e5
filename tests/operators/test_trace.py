"""`trace`: spans and metrics of a stream by the GenAI conventions of OpenTelemetry, without any text of a user."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.memory_graph import MemoryGraph
from helpers.telemetry import Telemetry, since
from opentelemetry import trace as api
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.trace import NoOpTracer, StatusCode

from cortex_rx import (
    SqliteBackend,
    Turn,
    default_chain,
    from_stream,
    recalling,
    remember,
    remember_stream,
    replayable,
    run,
)
from cortex_rx import operators as cx
from cortex_rx.chain import Operator
from cortex_rx.engine import stream
from cortex_rx.errors import InvalidArgument, MissingExtra, StoreUnavailable
from cortex_rx.events import Begun, Delta, Ended, Interrupted, Opened, Ownership, Problem, Replayed, RolledBack, Waiting
from cortex_rx.models.records import Usage
from cortex_rx.operators._support.tracing import _HANDLERS, MOST_EVENTS
from cortex_rx.operators.trace import READS
from cortex_rx.sources.providers import Finish
from cortex_rx.testing import EPOCH, run_virtual

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
ONE = timedelta(seconds=1)


@pytest.fixture
def otel() -> Telemetry:
    return Telemetry()


def provider(item: object) -> list[Any] | None:
    return [item] if isinstance(item, Finish) else None


async def letters(user_message: str, text: str) -> list[dict[str, Any]]:
    await asyncio.sleep(0.2)
    return [{"fact": f"{word} was said", "factType": "custom", "confidence": 90} for word in text.split()[:1]]


def storing(lab: Any) -> Operator:
    return cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store, ONE), cx.finalize(lab.store))


# --- what is told -----------------------------------------------------------------------------------------------------


def test_a_whole_stream(lab: Any, otel: Telemetry, snapshot: Any) -> None:
    lab.store.slow("begin", 0.3)
    lab.store.slow("append", 0.1)
    lab.store.slow("finalize", 0.4)

    async def main() -> None:
        await remember(
            backend=lab.store, memory_space_id="space", conversation_id="c-0", user_id="ada", user_name="Ada",
            user_message="I was born in Lisbon.", agent_response="Noted.",
        )  # fmt: skip
        asked = 0

        async def model(point: Any) -> AsyncIterator[Any]:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.5)
            for word in ("You ", "were ", "born ", "in ", "Lisbon. "):
                yield word
                await asyncio.sleep(0.25)
            if asked == 1:
                raise ConnectionError("the line to Lisbon broke")
            yield Finish("stop", Usage(input_tokens=40, output_tokens=7))

        question = Turn("space", "c-1", "Where was I born?", user_id="ada", user_name="Ada")
        source = from_stream(
            recalling(lab.store, replayable(model)), turn=question, provider=provider, make_id=lambda: "stream-1"
        )
        chain = cx.chain(
            cx.resume(delay=ONE, random=lambda: 1.0), cx.begin(lab.store), cx.persist_partial(lab.store, ONE),
            cx.extract_facts(letters, lab.store, threshold=3), cx.finalize(lab.store),
            cx.sync_graph(MemoryGraph(), lab.store), cx.measure(), otel.step(provider="openai", model="gpt-4o"),
        )  # fmt: skip
        outcome = await lab.play(source, chain)
        assert outcome.error is None and outcome.kinds[-1] == "Measured"

    lab.run(main)
    assert otel.drawn() == snapshot


def test_the_names_are_those_of_the_conventions(lab: Any, otel: Telemetry) -> None:
    """In the installed package; those of memory are newer than it: docs/tracing.md."""
    lab.run(lambda: lab.play(_counted(lab), storing(lab), otel.step(provider="openai", model="gpt-4o")))
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI")}
    known |= {"gen_ai.memory.store.id", "gen_ai.memory.record.id", "gen_ai.memory.record.count"}
    used = {key for span in otel.spans.values() for key in span.attributes}
    assert {key for key in used if key.startswith("gen_ai.")} <= known
    assert all(key.startswith(("gen_ai.", "cortex.")) for key in used)
    metrics = {value for name, value in vars(gen_ai_metrics).items() if name.startswith("GEN_AI_CLIENT")}
    data = otel.reader.get_metrics_data()
    assert {metric.name for metric in data.resource_metrics[0].scope_metrics[0].metrics} == metrics


def _counted(lab: Any) -> Any:
    events = [*lab.deltas("a", "b"), Ended("stop", 2, 2, Usage(input_tokens=3, output_tokens=2))]
    return lab.events(lab.opened, *events)


def test_the_parent_is_what_was_current_at_the_subscription(otel: Telemetry) -> None:
    async def main() -> None:
        source = from_stream(lambda: ["a"], turn=TURN).pipe(otel.step())
        for name in ("first", "second"):
            with otel.tracer.start_as_current_span(name) as span:
                await run(source)
                assert api.get_current_span() is span, "nothing of the stream became current"

    run_virtual(main())
    spans = otel.exporter.get_finished_spans()
    ids = {span.context.span_id: span.name for span in spans}
    assert [ids[span.parent.span_id] for span in spans if span.name == "cortex.stream"] == ["first", "second"]
    assert len({span.context.trace_id for span in spans}) == 2


def test_what_runs_in_the_stream_sees_the_span_of_the_caller(otel: Telemetry) -> None:
    seen = []

    async def model() -> AsyncIterator[str]:
        seen.append(api.get_current_span())
        yield "a"
        seen.append(api.get_current_span())

    async def main() -> Any:
        with otel.tracer.start_as_current_span("caller") as span:
            await run(from_stream(model, turn=TURN).pipe(otel.step()))
            return span

    assert seen == [run_virtual(main())] * 2


def test_times_are_exact_to_the_nanosecond(otel: Telemetry) -> None:
    async def model() -> AsyncIterator[str]:
        await asyncio.sleep(0.25)
        yield "a"
        await asyncio.sleep(0.5)

    run_virtual(run(from_stream(model, turn=TURN).pipe(otel.step())))
    start = round(EPOCH * 1e9)
    assert (otel.root.start_time, otel.root.end_time) == (start, start + 750_000_000)
    assert otel.spans["chat"].attributes["gen_ai.response.time_to_first_chunk"] == 0.25


def test_each_gap_is_recorded_once_however_many_there_are(otel: Telemetry) -> None:
    async def model() -> AsyncIterator[str]:
        for _ in range(1000):
            yield "a"
        for _ in range(3):
            await asyncio.sleep(0.1)
            yield "b"

    run_virtual(run(from_stream(model, turn=TURN).pipe(otel.step())))
    (gaps,) = otel.points("gen_ai.client.operation.time_per_output_chunk")
    assert (gaps.count, gaps.sum) == (1002, pytest.approx(0.3))
    (first,) = otel.points("gen_ai.client.operation.time_to_first_chunk")
    assert (first.count, first.sum) == (1, 0)


@pytest.mark.parametrize(
    ("usage", "kinds"),
    [
        (None, []),
        (Usage(), []),
        (Usage(output_tokens=0), ["output"]),
        (Usage(input_tokens=3, output_tokens=2), ["input", "output"]),
    ],
)
def test_only_the_provider_counts_tokens(lab: Any, otel: Telemetry, usage: Usage | None, kinds: list[str]) -> None:
    lab.run(lambda: lab.play(lab.events(lab.opened, *lab.deltas("a"), Ended("stop", 1, 1, usage)), otel.step()))
    assert sorted(p.attributes["gen_ai.token.type"] for p in otel.points("gen_ai.client.token.usage")) == kinds
    assert [
        kind for kind in ("input", "output") if f"gen_ai.usage.{kind}_tokens" in otel.spans["chat"].attributes
    ] == kinds


def test_the_model_that_answered_and_all_that_it_counts(lab: Any, otel: Telemetry) -> None:
    counted = Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4, cache_write_tokens=3, reasoning_tokens=2)
    events = (lab.opened, *lab.deltas("a"), Ended("stop", 1, 1, counted, "gpt-4o-2024"))
    lab.run(lambda: lab.play(lab.events(*events), otel.step()))
    chat = otel.spans["chat gpt-4o-2024"].attributes
    assert chat["gen_ai.response.model"] == "gpt-4o-2024"
    assert {key.removeprefix("gen_ai.usage."): value for key, value in chat.items() if ".usage." in key} == {
        "input_tokens": 9, "output_tokens": 5, "cache_read.input_tokens": 4, "cache_creation.input_tokens": 3,
        "reasoning.output_tokens": 2,
    }  # fmt: skip
    points = otel.points("gen_ai.client.token.usage")
    assert [point.attributes["gen_ai.response.model"] for point in points] == ["gpt-4o-2024"] * 2


def test_without_a_meter_there_are_spans(lab: Any, otel: Telemetry) -> None:
    lab.run(lambda: lab.play(_counted(lab), cx.trace(otel.tracer)))
    assert list(otel.spans) == ["chat", "cortex.stream"]
    assert otel.reader.get_metrics_data() is None


def test_a_wait_for_another_owner_is_in_the_span(lab: Any, otel: Telemetry) -> None:
    events = (Waiting("its owner may be alive", 5.0), 2.0, lab.opened, 1.0, Delta("a", 0, 0, 0, 1.0), lab.ended("a"))
    lab.run(lambda: lab.play(lab.events(*events), otel.step()))
    root, chat = otel.root, otel.spans["chat"]
    assert [since(at) for at in (root.start_time, chat.start_time, root.end_time)] == ["0.000", "2.000", "3.000"]
    assert chat.attributes["gen_ai.response.time_to_first_chunk"] == 1.0
    assert otel.told == ["cortex.waiting"] and root.attributes["cortex.stream.id"] == "stream-1"


def test_a_stream_that_was_taken_over_creates_no_memory(lab: Any, otel: Telemetry) -> None:
    opened = Opened(TURN, "stream-1", EPOCH, Ownership("mem-1", 2, 0))
    events = (opened, Begun("mem-1", 2), Replayed("a", 1, 1), *lab.deltas("b", index=1, offset=1), lab.ended("ab"))
    lab.run(lambda: lab.play(lab.events(*events), otel.step()))
    assert list(otel.spans) == ["chat", "cortex.stream"]
    assert otel.root.attributes["cortex.taken_over"] is True
    assert otel.root.attributes["gen_ai.memory.record.id"] == "mem-1"


def test_the_time_of_the_recall_is_none_of_the_model(lab: Any, otel: Telemetry) -> None:
    query = lab.store.query

    async def slow(path: str, args: Any) -> Any:
        await asyncio.sleep(0.1)
        return await query(path, args)

    lab.store.query = slow
    source = from_stream(recalling(lab.store, lambda recalled: lab.Model(0.5, "a", 0.25)()), turn=TURN)
    lab.run(lambda: lab.play(source, otel.step()))
    search, chat = otel.spans["search_memory"], otel.spans["chat"]
    assert search.end_time > search.start_time and chat.start_time == search.end_time
    assert chat.end_time - chat.start_time == 750_000_000
    assert chat.attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.5)


def test_an_answer_has_one_chat(lab: Any, otel: Telemetry) -> None:
    """Also if a step of a user lets two ends pass."""
    events = (lab.opened, *lab.deltas("a"), lab.ended("a"), 1.0, lab.ended("a", reason="length"))
    lab.run(lambda: lab.play(lab.events(*events), otel.step()))
    assert len(otel.exporter.get_finished_spans()) == 2
    assert otel.spans["chat"].attributes["gen_ai.response.finish_reasons"] == ("stop",)


def test_an_answer_is_traced_where_it_is_first_read(otel: Telemetry) -> None:
    """Not where it was made, and once for all its readers."""

    async def main() -> None:
        async with SqliteBackend(":memory:") as backend:
            chain = cx.chain(default_chain(backend), otel.step())
            with otel.tracer.start_as_current_span("made"):
                answer = remember_stream(
                    lambda: ["a", "b"], backend=backend, chain=chain, memory_space_id="space", conversation_id="c-1",
                    user_message="What is it?", agent_id="helper",
                )  # fmt: skip
            with otel.tracer.start_as_current_span("read") as span:
                assert [text async for text in answer] == ["a", "b"]
                await answer
            assert otel.root.parent.span_id == span.context.span_id

    run_virtual(main())
    assert otel.root.attributes["cortex.remembered"]
    assert len(otel.started) == 6, "made, read, the stream and three in it"


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_a_stream_that_fails_has_a_span_in_error(lab: Any, otel: Telemetry) -> None:
    lab.run(lambda: lab.play(lab.source("a", 0.5, ConnectionError("Ada")), storing(lab), otel.step()))
    for name in ("cortex.stream", "chat"):
        span = otel.spans[name]
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
        assert span.attributes["error.type"] == "ConnectionError"
    assert otel.root.attributes["cortex.end"] == "failed" and not otel.root.attributes["cortex.remembered"]
    (duration,) = [p for p in otel.points("gen_ai.client.operation.duration") if "error.type" in p.attributes]
    assert duration.attributes == {"gen_ai.operation.name": "chat", "error.type": "ConnectionError"}


def test_an_exchange_that_is_not_stored_is_a_failed_operation_on_the_memory(lab: Any, otel: Telemetry) -> None:
    lab.store.down("finalize")
    lab.run(lambda: lab.play(lab.source("a"), storing(lab), otel.step()))
    failed = otel.spans["update_memory"]
    assert failed.status.status_code is StatusCode.ERROR and failed.attributes["error.type"] == "NOT_STORED"
    assert otel.spans["chat"].status.status_code is StatusCode.UNSET, "the model has answered"
    assert otel.root.status.status_code is StatusCode.ERROR and otel.told == ["cortex.problem"]
    assert dict(otel.root.events[0].attributes) == {
        "cortex.phase": "finalization", "error.type": "STORE_UNAVAILABLE", "cortex.recoverable": True,
    }  # fmt: skip


def test_an_exchange_that_could_not_begin_is_one_too(lab: Any, otel: Telemetry) -> None:
    lab.store.down("begin")
    outcome = lab.run(lambda: lab.play(lab.source("a"), storing(lab), otel.step()))
    assert outcome.text == "a"
    assert otel.spans["create_memory"].attributes["error.type"] == "NOT_STORED"


def test_a_stream_that_is_left_ends_its_span_when_it_is_flushed(lab: Any, otel: Telemetry) -> None:
    lab.store.slow("append", 0.5)

    async def main() -> None:
        source = lab.source("a", 0.25, "b", 60.0, "c").pipe(storing(lab), otel.step())
        async with stream(source) as events:
            async for event in events:
                if isinstance(event, Delta) and event.index:
                    break

    lab.run(main)
    root, chat = otel.root, otel.spans["chat"]
    assert root.attributes["cortex.end"] == chat.attributes["cortex.end"] == "cancelled"
    assert root.attributes["cortex.stopped_by"] == "cancelled"
    assert root.attributes["cortex.partial_writes"] == 1, "the flush was waited for"
    assert root.status.status_code is chat.status.status_code is StatusCode.UNSET
    assert (since(chat.end_time), since(root.end_time)) == ("0.250", "0.750")


def test_at_whatever_step_it_is_cancelled_no_span_is_open(make_lab: Any) -> None:
    for at in range(1, 120, 9):
        otel, lab = Telemetry(), make_lab()
        task: asyncio.Task[Any]

        async def main(lab: Any = lab, otel: Telemetry = otel) -> None:
            nonlocal task
            task = asyncio.ensure_future(lab.play(lab.source("a", 0.1, "b", 0.1, "c"), storing(lab), otel.step()))
            await asyncio.wait([task])

        lab.run_stepped(main, lambda step, at=at: task.cancel() if step == at + 3 else None)
        assert len(otel.exporter.get_finished_spans()) == len(otel.started)


def test_an_error_of_the_reader_is_a_failure(lab: Any, otel: Telemetry) -> None:
    def fail(event: Any) -> None:
        if isinstance(event, Delta):
            raise RuntimeError("Ada")

    lab.run(lambda: lab.play(lab.source("a", 0.1, "b"), otel.step(), watch=fail))
    assert (otel.root.attributes["cortex.end"], otel.root.attributes["error.type"]) == ("failed", "RuntimeError")


def test_what_becomes_of_a_stream_is_told(lab: Any, otel: Telemetry) -> None:
    events = (lab.opened, *lab.deltas("a"), Interrupted(0, 1), RolledBack("stream-1"), lab.ended("a"))
    lab.run(lambda: lab.play(lab.events(*events), otel.step()))
    assert otel.told == ["cortex.interrupted", "cortex.rolled_back"]


def test_many_events_are_only_counted(lab: Any, otel: Telemetry) -> None:
    problems = [Problem("storage", "X", "x", recoverable=True)] * (MOST_EVENTS + 9)
    lab.run(lambda: lab.play(lab.events(lab.opened, *problems, lab.ended("")), otel.step()))
    assert len(otel.told) == MOST_EVENTS
    assert (otel.root.attributes["cortex.problems"], otel.root.attributes["cortex.events_left_out"]) == (
        MOST_EVENTS + 9,
        9,
    )


# --- what is not told -------------------------------------------------------------------------------------------------

SECRET = "xyzzy"


class Xyzzy(Exception):
    """An error with a text of the user in it."""


def _fails_in_recall(lab: Any) -> None:
    async def query(path: str, args: Any) -> Any:
        raise StoreUnavailable(f"{SECRET}: the store is down")

    lab.store.query = query


FAILURES: dict[str, Any] = {
    "none": lambda lab: (),
    "the model": lambda lab: (1.0, RuntimeError(f"the model said {SECRET}")),
    "the reason": lambda lab: (Finish(f"because of {SECRET} "),),
    "begin": lambda lab: lab.store.fail("begin", *[StoreUnavailable(SECRET)] * 99),
    "begin for good": lambda lab: lab.store.fail("begin", *[ValueError(SECRET)] * 20),
    "append": lambda lab: lab.store.fail("append", *[StoreUnavailable(SECRET)] * 3),
    "finalize": lambda lab: lab.store.fail("finalize", *[ValueError(f"cannot store {SECRET}")] * 20),
    "recall": _fails_in_recall,
}


@pytest.mark.parametrize("failing", FAILURES)
def test_no_text_of_anyone_is_exported(lab: Any, otel: Telemetry, failing: str) -> None:
    """Not of the question, the answer, a memory, a fact, a name, an error."""
    turn = Turn(
        "space", "c-1", f"What is {SECRET}?", user_id=f"user-{SECRET}", user_name=SECRET, agent_id=f"agent-{SECRET}",
        tags=(SECRET,), metadata={SECRET: SECRET}, idempotency_key=SECRET,
    )  # fmt: skip

    def facts(user_message: str, text: str) -> list[dict[str, Any]]:
        if failing == "the model":
            raise ValueError(f"{SECRET} in {text}")
        return [{"fact": f"{SECRET} was said", "subject": SECRET, "factType": "custom", "confidence": 90}]

    async def main() -> Any:
        await remember(
            backend=lab.store, memory_space_id="space", conversation_id="c-0", user_id="ada", user_name="Ada",
            user_message=f"I like {SECRET}.", agent_response=f"{SECRET}!",
        )  # fmt: skip
        more = FAILURES[failing](lab) or ()
        script = [f"It is {SECRET}. ", 0.5, f"All of {SECRET} is. ", *more]
        source = from_stream(
            recalling(lab.store, replayable(lambda point: lab.Model(*script)())), turn=turn, provider=provider
        )
        chain = cx.chain(
            cx.resume(retries=1), cx.begin(lab.store), cx.persist_partial(lab.store),
            cx.extract_facts(facts, lab.store, threshold=5),
            cx.recover("store-partial", lab.store), cx.finalize(lab.store), cx.observe(on_progress=_wrong), otel.step(),
        )  # fmt: skip
        return await lab.play(source, chain)

    outcome = lab.run(main)
    assert SECRET in outcome.text or failing == "begin for good"
    assert otel.root.events or failing == "begin for good", "the test has something to look for"
    assert SECRET not in otel.everything().lower()


def _wrong(event: object) -> None:
    raise Xyzzy.__base__(f"a hook of {SECRET}")  # type: ignore[misc]


@pytest.mark.parametrize("code", ["a code that is a text", "", "x" * 129, "Ünïcode"])
def test_a_code_that_is_no_code_is_not_told(lab: Any, otel: Telemetry, code: str) -> None:
    events = (lab.opened, Problem("storage", code, "x", recoverable=True), lab.ended("", reason=code))
    lab.run(lambda: lab.play(lab.events(*events), otel.step()))
    assert otel.root.events[0].attributes["error.type"] == "_OTHER"
    assert otel.spans["chat"].attributes["gen_ai.response.finish_reasons"] == ("_OTHER",)


# --- what fails here --------------------------------------------------------------------------------------------------


class Failing:
    """Its calls of one name raise, from the n-th one on."""

    def __init__(self, name: str, since: int = 0) -> None:
        self.name, self.left = name, since

    def __call__(self, *args: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise LookupError("the exporter is away")
        return self.real(*args, **named)

    def patch(self, monkeypatch: pytest.MonkeyPatch, owner: type) -> None:
        real = getattr(owner, self.name)
        failing = self

        def call(*args: Any, **named: Any) -> Any:
            failing.real = lambda *a, **n: real(*a, **n)
            return failing(*args, **named)

        monkeypatch.setattr(owner, self.name, call)


@pytest.mark.parametrize("since", [0, 1, 2])
@pytest.mark.parametrize("name", ["start_span", "add_event", "set_attributes", "end", "record"])
def test_a_tracer_that_fails_does_not_end_the_stream(
    lab: Any, otel: Telemetry, monkeypatch: pytest.MonkeyPatch, name: str, since: int
) -> None:
    owner = {"start_span": type(otel.tracer), "record": type(otel.meter.create_histogram("x"))}.get(name, Span)
    Failing(name, since).patch(monkeypatch, owner)
    lab.store.fail("append", *[StoreUnavailable("away")] * 4)
    lab.store.down("finalize", until=2.6)
    script = [item for _ in range(5) for item in (0.5, "ab")]
    outcome = lab.run(lambda: lab.play(lab.source(*script), storing(lab), otel.step()))
    assert outcome.error is None and outcome.text == "ab" * 5 and "Remembered" in outcome.kinds
    told = [problem for problem in outcome.of(Problem) if problem.code == "TRACING_FAILED"]
    assert len(told) <= 1
    if since == 0 or name in ("start_span", "end", "record"):
        (problem,) = told
        assert (problem.phase, problem.recoverable) == ("streaming", False) and isinstance(problem.error, LookupError)
        assert "away" not in problem.message
    if name not in ("end", "start_span"):
        assert not any(span.is_recording() for span in otel.started)


def test_it_is_given_every_event_that_it_tells_of() -> None:
    """They are written down twice: the step says what it reads without the library."""
    assert set(READS) == set(_HANDLERS) and len(READS) == len(_HANDLERS)


@pytest.mark.parametrize(
    ("tracer", "meter", "field"),
    [
        (None, None, "tracer"),
        (TracerProvider(shutdown_on_exit=False), None, "tracer"),
        (SimpleNamespace(start_span=print), None, "tracer"),
        (NoOpTracer(), MeterProvider(shutdown_on_exit=False), "meter"),
        (NoOpTracer(), NoOpTracer(), "meter"),
    ],
)
def test_what_is_no_tracer_or_meter_is_refused(tracer: Any, meter: Any, field: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"{field}: got .*; accepted: a {field.title()} of OpenTelemetry"):
        cx.trace(tracer, meter)


@pytest.mark.parametrize("wrong", [{"provider": ""}, {"model": 4}])
def test_names_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        cx.trace(NoOpTracer(), NoOpMeterProvider().get_meter("x"), **wrong)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cortex_rx.operators._support.tracing", raising=False)
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr("cortex_rx.operators._support.tracing", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'cortex-rx\[otel\]'"):
        cx.trace(NoOpTracer())


def test_off_costs_nothing() -> None:
    """A program that does not call it loads nothing of OpenTelemetry, also when it remembers a stream."""
    program = (
        "import asyncio, sys\n"
        "from cortex_rx import Cortex, operators as cx\n"
        "async def main():\n"
        "    async with Cortex(':memory:') as cortex:\n"
        "        await cortex.memory.remember_stream(['a'], memory_space_id='s', conversation_id='c',\n"
        "            user_message='q', agent_id='helper')\n"
        "asyncio.run(main())\n"
        "cx.trace\n"
        "print([name for name in sys.modules if 'opentelemetry' in name or name.endswith('.tracing')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
