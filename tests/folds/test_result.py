"""The fold from events to the result: it equals a naive fold for every split of the text, and its work per delta is
constant.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.errors import NotStored
from cortex_rx.events import (
    Adapted,
    Begun,
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    GraphSynced,
    Measured,
    Opened,
    PartialStored,
    Problem,
    ProcessingStrategy,
    Remembered,
    Replayed,
    Resumed,
    StreamEvent,
)
from cortex_rx.folds.result import ResultFold, StreamError, insights
from cortex_rx.models.facts import FactRecord, FactRevision
from cortex_rx.models.options import STREAMING_OPTIONS
from cortex_rx.models.records import MemoryEntry, PartialUpdate, ProgressiveFact, StreamMetrics, Usage
from cortex_rx.models.results import EnhancedRememberStreamResult, PerformanceInsights
from cortex_rx.models.turn import Turn

TURN = Turn("support", "c-1", "What is it?", agent_id="helper")
OPENED = Opened(TURN, "stream-1", at=1_700_000_000.0)
BEGUN = Begun("mem-1", epoch=1)


def memory(memory_id: str, content: str) -> MemoryEntry:
    return MemoryEntry(
        memory_id=memory_id,
        memory_space_id="support",
        content=content,
        content_length=len(content),
        content_type="raw",
        source_type="conversation",
        source_timestamp=1.0,
        importance=50,
        tags=(),
        version=1,
        created_at=1.0,
        updated_at=1.0,
    )


def stored(fact_id: str) -> FactRecord:
    return FactRecord(
        fact_id=fact_id,
        memory_space_id="support",
        fact=f"the fact {fact_id}",
        fact_type="knowledge",
        confidence=80,
        source_type="conversation",
        created_at=1.0,
        updated_at=1.0,
    )


MEMORIES = memory("mem-0", "What is it?"), memory("mem-1", "It is a test.")
REMEMBERED = Remembered("c-1", ("msg-1", "msg-2"), MEMORIES)
REVISED = FactRevision(action="SUPERSEDE", fact_id="f-1", about="f-0")
WITH_FACTS = Remembered("c-1", ("msg-1", "msg-2"), MEMORIES, facts=(stored("f-1"),), fact_revisions=(REVISED,))


def fact(fact_id: str, confidence: float = 80) -> ProgressiveFact:
    return ProgressiveFact(fact_id=fact_id, extracted_at_chunk=1, confidence=confidence, fact=f"the fact {fact_id}")


def deltas(*texts: str, attempt: int = 0, index: int = 0, offset: int = 0) -> list[Delta]:
    out = []
    for at, text in enumerate(texts):
        out.append(Delta(text, index + at, offset, attempt, at=0.5 + at))
        offset += len(text)
    return out


def folded(*events: StreamEvent) -> ResultFold:
    fold = ResultFold()
    for event in events:
        fold.add(event)
    return fold


WHOLE: list[StreamEvent] = [
    OPENED,
    BEGUN,
    *deltas("It is", " a"),
    Adapted("slow", ProcessingStrategy(0.2, 0.5), 1.5),
    PartialStored(7, 2, 0, at=2.0),
    GraphSynced("node-created", 2.5, "mem-1", records=2),
    FactsExtracted((fact("f-1", 60), fact("f-2"))),
    Problem("fact-extraction", "FACTS", "the extractor failed", recoverable=True, error=ValueError("x")),
    *deltas(" test", ".", index=2, offset=7),
    Custom("citation", {"at": 5}),
    FactsExtracted((fact("f-1", 90),)),
    PartialStored(13, 4, 0, at=3.0),
    Ended("stop", offset=13, index=4, usage=Usage(output_tokens=5)),
    FactsExtracted((fact("f-3"),)),
    WITH_FACTS,
    GraphSynced("finalized", 4.0, "mem-1", records=3),
    GraphSynced("drained", 4.0, records=9),
]


def test_the_result_of_a_whole_stream() -> None:
    metrics = StreamMetrics(first_chunk_latency=500, total_chunks=4, chunks_per_second=1.3, partial_updates=2)
    result = folded(*WHOLE, Measured(StreamMetrics(total_chunks=1)), Measured(metrics)).result()
    context = {
        "phase": "fact-extraction",
        "chunk_number": 2,
        "bytes_processed": 7,
        "partial_memory_id": "mem-1",
        "last_successful_update": 1_700_000_002_000.0,
    }
    assert result.model_dump() == {
        "conversation": {"conversation_id": "c-1", "message_ids": ("msg-1", "msg-2")},
        "memories": tuple(entry.model_dump() for entry in REMEMBERED.memories),
        "facts": (stored("f-1").model_dump(),),
        "fact_revisions": (REVISED.model_dump(),),
        "full_response": "It is a test.",
        "stream_metrics": metrics.model_dump(),
        "progressive_processing": {
            "facts_extracted_during_stream": tuple(
                one.model_dump() for one in (fact("f-1", 60), fact("f-2"), fact("f-1", 90))
            ),
            "partial_storage_history": (
                {"timestamp": 1_700_000_002_000.0, "memory_id": "mem-1", "content_length": 7, "chunk_number": 2},
                {"timestamp": 1_700_000_003_000.0, "memory_id": "mem-1", "content_length": 13, "chunk_number": 4},
            ),
            "graph_sync_events": (
                {
                    "timestamp": 1_700_000_002_500.0,
                    "event_type": "node-created",
                    "node_id": "mem-1",
                    "details": {"records": 2},
                },
                {
                    "timestamp": 1_700_000_004_000.0,
                    "event_type": "finalized",
                    "node_id": "mem-1",
                    "details": {"records": 3},
                },
            ),
        },
        "errors": (
            {
                "code": "FACTS",
                "message": "the extractor failed",
                "recoverable": True,
                "phase": "fact-extraction",
                "partial_data_saved": True,
                "resume_token": None,
                "context": context,
            },
        ),
        "recovered": False,
        "resume_token": None,
        "performance": {"bottlenecks": (), "recommendations": (), "cost_estimate": None},
        "stream_id": "stream-1",
        "finish_reason": "stop",
        "usage": Usage(output_tokens=5).model_dump(),
        "stored_before": False,
    }


def test_it_is_read_by_attribute_and_by_key_in_both_spellings() -> None:
    result = folded(*WHOLE).result()
    assert result["fullResponse"] == result["full_response"] == result.full_response == "It is a test."
    assert result["conversation"]["messageIds"] == result["conversation"]["message_ids"] == ("msg-1", "msg-2")
    assert result["conversation"]["conversationId"] == result.conversation.conversation_id == "c-1"
    assert result["progressiveProcessing"]["partialStorageHistory"][0]["contentLength"] == 7
    assert result["progressiveProcessing"]["graphSyncEvents"][1]["eventType"] == "finalized"
    assert result["errors"][0]["partialDataSaved"] is result["errors"][0].partial_data_saved is True
    assert result["streamMetrics"]["totalChunks"] == 4
    assert result.get("resumeToken") is None and "resumeToken" in result and "graphSyncEvents" not in result
    as_cortex = dict(result)
    assert as_cortex["fullResponse"] == "It is a test." and "full_response" not in as_cortex
    with pytest.raises(KeyError):
        result["fullresponse"]
    assert EnhancedRememberStreamResult.model_validate(result.model_dump(mode="json", by_alias=True)) == result


def test_a_stream_in_which_nothing_else_happened_says_so() -> None:
    result = folded(OPENED, BEGUN, *deltas("x"), Ended("length", 1, 1), REMEMBERED).result()
    assert result.progressive_processing is None and result.errors is None and result.performance is None
    assert (result.facts, result.usage, result.finish_reason, result.stored_before) == ((), None, "length", False)
    assert folded(OPENED, Remembered("c-1", ("a",), (), stored_before=True)).result().stored_before is True


def test_facts_that_are_found_after_the_end_are_facts_but_not_progressive() -> None:
    result = folded(OPENED, Ended("stop", 0, 0), FactsExtracted((fact("f-1"),)), WITH_FACTS).result()
    assert result.facts == (stored("f-1"),) and result.progressive_processing is None
    assert result.plain().facts == result.facts and result.plain().fact_revisions == (REVISED,)


def test_facts_of_a_text_that_began_anew_are_not_of_this_stream() -> None:
    asked = FactsExtracted((fact("f-0"),), side="question")
    of_old, of_new = (FactsExtracted((fact(f"f-{attempt}"),), attempt=attempt) for attempt in (1, 2))
    events = [OPENED, asked, *deltas("a", attempt=1), of_old, *deltas("b", attempt=2), of_old, of_new, REMEMBERED]
    processing = folded(*events).result().progressive_processing
    assert processing is not None
    assert [one.fact_id for one in processing.facts_extracted_during_stream] == ["f-0", "f-2"]


def test_without_measure_counts_are_there_and_times_are_not() -> None:
    result = folded(
        OPENED, *deltas("naïve", " 🎉"), Resumed(1, 0, 7, "reset"), Ended("stop", 7, 2), REMEMBERED
    ).result()
    assert result.stream_metrics == StreamMetrics(
        start_time=1_700_000_000_000.0,
        total_chunks=2,
        total_bytes=11,
        total_characters=7,
        average_chunk_size=3.5,
        retry_count=1,
        estimated_tokens=3,
    )
    assert folded(*WHOLE).result().stream_metrics == StreamMetrics(
        start_time=1_700_000_000_000.0,
        total_chunks=4,
        total_bytes=13,
        total_characters=13,
        average_chunk_size=3.25,
        facts_extracted=1,
        partial_updates=2,
        error_count=1,
        estimated_tokens=5,
        tokens_from="provider",
        graph_syncs=2,
        graph_records=5,
    )


def test_what_remember_returns() -> None:
    result = folded(*WHOLE).result()
    plain = result.plain()
    assert set(plain.keys()) == {"conversation", "memories", "facts", "factRevisions"}
    assert (plain.conversation, plain.memories, plain.facts) == (result.conversation, result.memories, result.facts)


def test_an_exchange_that_was_not_stored_keeps_its_text() -> None:
    for events, why in (
        ([event for event in WHOLE if event is not WITH_FACTS], "the chain has no step that stores it \\(finalize\\)"),
        ([OPENED, *deltas("It is a test.")], "the text has no end"),
        (deltas("It is a test."), "no Opened came either"),
    ):
        with pytest.raises(NotStored, match=why) as caught:
            folded(*events).result()
        assert (caught.value.text, caught.value.offset) == ("It is a test.", 0)
        assert "It is a test." not in str(caught.value)


def state(fold: ResultFold) -> tuple[str, int, int]:
    return fold.text, fold.offset, fold.index


def test_the_text_begins_anew_when_the_attempt_rises() -> None:
    assert state(folded(*deltas("old", "er"), *deltas("new", attempt=1))) == ("new", 3, 1)
    assert state(folded(*deltas("new", attempt=2), *deltas("stale", attempt=1))) == ("new", 3, 1)
    gone_on = folded(*deltas("old"), Resumed(1, 0, 3, "reset"), *deltas("er", index=1, offset=3))
    assert state(gone_on) == ("older", 5, 2)
    anew = folded(*deltas("old"), Ended("incomplete", 3, 1), Resumed(1, 1, 0, "reset"))
    assert state(anew) == ("", 0, 0)
    anew.add(REMEMBERED)
    assert anew.result().finish_reason is None


def test_what_is_replayed_is_the_text_so_far() -> None:
    replayed = Replayed("so far", 6, 3, attempt=1)
    assert state(folded(replayed)) == ("so far", 6, 3)
    assert state(folded(*deltas("gone"), replayed)) == ("so far", 6, 3)
    more = deltas(", so good", attempt=1, index=3, offset=6)
    assert state(folded(*deltas("gone"), replayed, *more)) == ("so far, so good", 15, 4)
    assert state(folded(replayed, *deltas("anew", attempt=2))) == ("anew", 4, 1)


def test_who_comes_late_is_told_all_that_a_fold_needs() -> None:
    ahead = folded(OPENED, *deltas("old"), *deltas("a", "b", attempt=1))
    assert (ahead.opened, ahead.ended, ahead.attempt) == (OPENED, None, 1)
    late = folded(OPENED, Replayed(ahead.text, ahead.offset, ahead.index, ahead.attempt))
    end = Ended("stop", 3, 3)
    for fold in (ahead, late):
        for event in (*deltas("c", attempt=1, index=2, offset=2), end, REMEMBERED):
            fold.add(event)
        assert fold.ended is end
    assert state(late) == state(ahead) == ("abc", 3, 3)
    assert late.result() == ahead.result()


class Naive:
    """The same fold, as one would write it without a thought for its cost."""

    def __init__(self) -> None:
        self.text, self.attempt = "", 0
        self.stored: list[int] = []
        self.facts: list[ProgressiveFact] = []
        self.errors: list[tuple[str, int]] = []

    def add(self, event: StreamEvent) -> None:
        match event:
            case Delta():
                if event.attempt > self.attempt:
                    self.text, self.attempt, self.facts = "", event.attempt, []
                if event.attempt == self.attempt:
                    self.text += event.text
            case Replayed():
                self.text, self.attempt, self.facts = event.text, event.attempt, []
            case Resumed():
                if event.attempt > self.attempt:
                    self.text, self.attempt, self.facts = "", event.attempt, []
            case PartialStored():
                self.stored.append(event.offset)
            case FactsExtracted():
                self.facts += event.facts if event.attempt == self.attempt else ()
            case Problem():
                self.errors.append((event.code, len(self.text)))


TEXT = st.text(st.characters(), max_size=6) | st.sampled_from(["\r\n", "\r", "\n", "\0", "e\u0301", "👩‍👩‍👧", "\ud800"])
EVENT = st.one_of(
    st.builds(Delta, TEXT, st.just(0), st.just(0), st.integers(0, 2), st.just(0.0)),
    st.builds(Delta, TEXT, st.just(0), st.just(0), st.just(2), st.just(0.0)),
    st.builds(lambda text, attempt: Replayed(text, len(text), 0, attempt), TEXT, st.integers(0, 2)),
    st.builds(Resumed, st.just(1), st.integers(0, 2), st.just(0), st.just("reset")),
    st.builds(PartialStored, st.integers(0, 9), st.just(0), st.just(0), st.just(0.0)),
    st.builds(
        lambda key, attempt: FactsExtracted((fact(key),), attempt=attempt), st.sampled_from("abc"), st.integers(0, 2)
    ),
    st.builds(Problem, st.just("storage"), st.sampled_from(["A", "B"]), st.just("m"), st.booleans()),
    st.builds(Custom, st.just("citation")),
)


@given(st.lists(EVENT, max_size=30), st.data())
def test_the_fold_equals_a_naive_one_however_the_text_is_cut_and_read(events: list[StreamEvent], data: Any) -> None:
    fold, naive = ResultFold(), Naive()
    for event in events:
        naive.add(event)
        pieces: list[StreamEvent] = [event]
        if isinstance(event, Delta):
            cut = data.draw(st.integers(0, len(event.text)))
            pieces = [
                Delta(text, event.index, event.offset, event.attempt, event.at)
                for text in (event.text[:cut], event.text[cut:])
            ]
        for piece in pieces:
            fold.add(piece)
            if data.draw(st.booleans()):
                _ = fold.text
            assert fold.offset == len(fold.text)
    assert fold.text == naive.text
    fold.add(REMEMBERED)
    result = fold.result()
    assert result.full_response == naive.text
    assert [(one.code, one.context.bytes_processed) for one in result.errors or ()] == naive.errors
    processing = result.progressive_processing
    assert list(processing.facts_extracted_during_stream if processing else ()) == naive.facts
    assert [one.content_length for one in processing.partial_storage_history] == naive.stored if processing else True


def calls(work: Callable[[], object]) -> Counter[str]:
    """The calls, of Python and of C, that `work` makes."""
    made: Counter[str] = Counter()

    def count(frame: Any, what: str, arg: Any) -> None:
        if what in ("call", "c_call"):
            made[frame.f_code.co_name if what == "call" else arg.__name__] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    del made["setprofile"], made[work.__name__]
    return made


def test_the_work_for_a_delta_is_one_write_whatever_the_length() -> None:
    events: list[StreamEvent] = list(deltas(*["word "] * 2000))
    fold = ResultFold()

    def take() -> None:
        for event in events:
            fold.add(event)

    for _ in range(3):
        assert calls(take) == {"add": 2000, "write": 2000}
    assert fold.offset == 30_000


def test_the_text_is_copied_only_when_it_has_grown() -> None:
    fold = folded(*deltas("a", "b"))

    def read() -> None:
        _ = fold.text

    assert calls(read)["getvalue"] == 1
    fold.add(Custom("citation"))
    assert calls(read)["getvalue"] == 0
    fold.add(Delta("c", 2, 2, 0, 0.0))
    assert calls(read)["getvalue"] == 1
    assert calls(read)["getvalue"] == 0
    assert fold.text == "abc"


def test_a_problem_says_how_far_the_stream_was() -> None:
    early = folded(OPENED, Problem.of("initialization", ValueError("down"), recoverable=False), REMEMBERED).result()
    assert early.errors is not None
    (error,) = early.errors
    assert isinstance(error, StreamError)
    assert (error.code, error.message, error.recoverable, error.partial_data_saved) == (
        "ValueError",
        "ValueError was raised",
        False,
        False,
    )
    context = error.context
    assert (context.chunk_number, context.bytes_processed, context.partial_memory_id) == (0, 0, None)
    assert context.last_successful_update is None


def test_partial_updates_are_records_in_epoch_milliseconds() -> None:
    processing = folded(*WHOLE).result().progressive_processing
    assert processing is not None
    assert processing.partial_storage_history[0] == PartialUpdate(
        timestamp=1_700_000_002_000.0, memory_id="mem-1", content_length=7, chunk_number=2
    )


GOOD = {
    "first_chunk_latency": 2000,
    "stream_duration_ms": 60_000,
    "total_chunks": 50,
    "total_bytes": 2000,
    "facts_extracted": 1,
    "chunks_per_second": 1,
    "partial_updates": 1,
    "error_count": 5,
    "estimated_tokens": 100,
    "tokens_from": "provider",
    "estimated_cost": 1.0,
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, None),
        ({"first_chunk_latency": 2001}, "the first text came after 2,001 ms (more than 2,000)"),
        ({"first_chunk_latency": None}, None),
        ({"chunks_per_second": 0.83}, "0.83 chunks came per second (fewer than 1)"),
        ({"chunks_per_second": 0.83, "total_chunks": 10, "error_count": 1}, None),
        ({"inter_chunk_max": 5000}, None),
        ({"inter_chunk_max": 5001}, "no text came for 5,001 ms (more than 5,000)"),
        ({"error_count": 6}, "failures: 6 in 50 chunks (more than 10 %)"),
        ({"error_count": 1, "total_chunks": 0}, "failures: 1 in 0 chunks (more than 10 %)"),
        ({"retry_count": 2}, "the source was reopened 2 times (more than 0)"),
        ({"partial_updates": 0}, "nothing was durable for 60,000 ms (more than 5,000)"),
        ({"partial_updates": 0, "stream_duration_ms": 5000}, None),
        ({"reasoning_tokens": 50}, None),
        ({"reasoning_tokens": 51}, "reasoning took 51 of 100 output tokens (more than 50 %)"),
        ({"reasoning_tokens": 51, "tokens_from": "estimate"}, None),
        ({"facts_extracted": 0}, None),
        ({"facts_extracted": 0, "fact_windows": 1}, "no facts were found in 2,000 bytes (more than 1,000)"),
        ({"facts_extracted": 0, "fact_windows": 1, "total_bytes": 1000}, None),
    ],
)
def test_insights_come_at_the_thresholds_with_the_true_numbers(change: dict[str, Any], says: str | None) -> None:
    found = insights(StreamMetrics(**(GOOD | change)))
    assert found.bottlenecks == ((says,) if says else ())
    assert len(found.recommendations) == len(found.bottlenecks)
    assert all(advice.endswith(f": {says}") for advice in found.recommendations), "each rests on its figure"
    assert found.cost_estimate == 1.0


def test_writes_after_the_place_of_measuring_count() -> None:
    assert insights(StreamMetrics(stream_duration_ms=6000), writes=1).bottlenecks == ()
    late = Measured(StreamMetrics(stream_duration_ms=6000))
    assert folded(*WHOLE, late).result().performance == insights(late.metrics, writes=1)


def test_what_cost_much_is_said_with_the_figures() -> None:
    found = insights(StreamMetrics(**(GOOD | {"estimated_cost": 1.5, "prices_from": "table", "model": "river"})))
    assert found.bottlenecks == ()
    assert found.recommendations == (
        "shorten the prompt, or limit the answer with max_response_length: the answer cost 1.50 USD (more than 1), 100 "
        "output tokens (by the provider) of river by your table",
    )
    for read, advice in ((None, ()), (205, ()), (204, ("begin prompts with what they have in common",))):
        found = insights(StreamMetrics(**(GOOD | {"input_tokens": 2048, "cached_input_tokens": read})))
        assert tuple(each.split(":")[0] for each in found.recommendations) == advice
    assert insights(StreamMetrics()) == PerformanceInsights(bottlenecks=(), recommendations=(), cost_estimate=None)


def test_the_advice_names_only_options_that_there_are() -> None:
    bad = StreamMetrics(
        first_chunk_latency=9e3,
        stream_duration_ms=9e4,
        total_chunks=50,
        total_bytes=99_000,
        chunks_per_second=0.5,
        error_count=50,
        inter_chunk_max=9e4,
        estimated_cost=9,
    )
    advice = " ".join(insights(bad).recommendations)
    named = {name for name in STREAMING_OPTIONS if name in advice}
    assert named == {"stream_timeout", "store_partial_response", "max_response_length"}
