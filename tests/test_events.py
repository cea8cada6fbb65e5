"""Every event turns into JSON and back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cortex_rx import events
from cortex_rx.errors import CortexError, InvalidArgument, StoreBusy
from cortex_rx.events import (
    Adapted,
    Begun,
    BuiltinEvent,
    Chunked,
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    GraphSynced,
    Interrupted,
    Measured,
    Opened,
    Ownership,
    PartialStored,
    Problem,
    ProcessingStrategy,
    Recalled,
    Remembered,
    Replayed,
    Resumed,
    Rewound,
    RolledBack,
    SourceReplayed,
    StreamEvent,
    Waiting,
    from_json,
    to_json,
)
from cortex_rx.models.facts import FactRecord, FactRevision, FactSourceRef
from cortex_rx.models.recalled import (
    ContextItem,
    LeftOut,
    RecalledFact,
    RecalledMemory,
    RecallReason,
    RecallResult,
)
from cortex_rx.models.records import ContentChunk, MemoryEntry, ProgressiveFact, StreamMetrics, Usage
from cortex_rx.models.turn import Turn

text = st.text(st.characters(exclude_categories=["Cs"]))
name = text.filter(str.strip)
number = st.floats(allow_nan=False, allow_infinity=False)
count = st.integers(0, 2**53)
value = st.recursive(
    st.none() | st.booleans() | count | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
document = st.dictionaries(text, value, max_size=3)


def record(kind, /, **parts):
    """A record of these fields (not by `builds`, which would add those that it has under their other names)."""
    return st.fixed_dictionaries(parts).map(lambda values: kind(**values))


usage = record(Usage, input_tokens=st.none() | count, output_tokens=st.none() | count, total_tokens=st.none() | count)
turn = st.builds(
    Turn, name, name, text, user_id=name, user_name=name, agent_id=st.none() | name, participant_id=st.none() | name,
    importance=st.floats(0, 100), tags=st.lists(name, max_size=3).map(tuple), metadata=document,
    idempotency_key=st.none() | name,
)  # fmt: skip
fact = record(
    ProgressiveFact, fact_id=text, extracted_at_chunk=count, confidence=number, fact=text, deduped=st.booleans()
)
memory = record(
    MemoryEntry, memory_id=text, memory_space_id=text, content=text, content_length=count, content_type=text,
    source_type=text,
    source_timestamp=number, importance=number, tags=st.lists(text, max_size=3).map(tuple), version=count,
    created_at=number,
    updated_at=number, embedding=st.none() | st.lists(number, max_size=3).map(tuple), metadata=st.none() | document,
    conversation_ref=st.none() | document, score=st.none() | number, user_id=st.none() | text,
)  # fmt: skip
place = record(FactSourceRef, conversation_id=name, message_ids=st.lists(name, max_size=2).map(tuple), start=count)
stored = record(
    FactRecord, fact_id=text, memory_space_id=text, fact=text, fact_type=st.just("identity"), confidence=number,
    source_type=st.just("conversation"), created_at=number, updated_at=number, subject=st.none() | text,
    sources=st.lists(place, max_size=2).map(tuple), metadata=st.none() | document, known_until=st.none() | number,
)  # fmt: skip
revision = record(
    FactRevision, action=st.sampled_from(["ADD", "UPDATE", "SUPERSEDE", "NONE"]), fact_id=text,
    about=st.none() | text,
)  # fmt: skip
reason = record(
    RecallReason, kind=st.sampled_from(["found", "neighbour", "newest"]), score=number, of=st.none() | text,
    distance=st.none() | count,
)  # fmt: skip
recalled = record(
    RecallResult, query=text,
    memories=st.lists(record(RecalledMemory, memory=memory, score=number, reasons=st.tuples(reason)), max_size=2)
    .map(tuple),
    facts=st.lists(record(RecalledFact, fact_id=text, text=text, score=number), max_size=2).map(tuple),
    context=st.lists(record(ContextItem, kind=st.sampled_from(["fact", "memory"]), id=text, text=text, start=count,
     length=count, name=st.none() | text, said_at=st.none() | number), max_size=2).map(tuple),
    left_out=st.lists(record(LeftOut, id=text, score=number, why=st.just("budget")), max_size=2).map(tuple),
    unit=st.sampled_from(["tokens", "characters"]), budget=count, used=count,
)  # fmt: skip
metrics = record(
    StreamMetrics, start_time=number, first_chunk_latency=st.none() | number, total_chunks=count,
    tokens_from=st.sampled_from(["provider", "tokenizer", "estimate"]),
    estimated_cost=st.none() | number, inter_chunk_p50=st.none() | number,
)  # fmt: skip
chunk = record(
    ContentChunk, content=text, chunk_index=count, start_offset=count, end_offset=count, has_overlap=st.booleans()
)  # fmt: skip
phase = st.sampled_from(["initialization", "streaming", "fact-extraction", "storage", "finalization"])

STRATEGIES: dict[type[StreamEvent], st.SearchStrategy[Any]] = {
    Opened: st.builds(Opened, turn, text, number, st.none() | st.builds(Ownership, text, count, count),
     st.none() | text),
    Waiting: st.builds(Waiting, text, number),
    Begun: st.builds(Begun, text, count, count, st.none() | text, st.booleans()),
    Recalled: st.builds(Recalled, recalled, number),
    Replayed: st.builds(Replayed, text, count, count, count),
    SourceReplayed: st.builds(SourceReplayed, text, count, number),
    Delta: st.builds(Delta, text, count, count, count, number),
    Ended: st.builds(Ended, text, count, count, st.none() | usage, st.none() | text),
    Chunked: st.builds(Chunked, chunk, count),
    Adapted: st.builds(Adapted, st.sampled_from(["fast", "slow", "bursty", "steady"]),
     st.builds(ProcessingStrategy, number, number, st.none() | number), number),
    PartialStored: st.builds(PartialStored, offset=count, index=count, attempt=count, at=number),
    FactsExtracted: st.builds(FactsExtracted, st.lists(fact, max_size=3).map(tuple),
     st.sampled_from(["question", "answer"]), count, count, count, number, st.booleans(), st.none() | text,
     st.just({"side": "answer"})),
    GraphSynced: st.builds(GraphSynced, st.sampled_from(["node-created", "finalized", "drained"]), number,
     st.none() | text, count),
    Resumed: st.builds(Resumed, count, count, count, text),
    Rewound: st.builds(Rewound, count, count),
    Interrupted: st.builds(Interrupted, count, count),
    RolledBack: st.builds(RolledBack, text, st.none() | text),
    Problem: st.builds(Problem, phase, text, text, st.booleans()),
    Remembered: st.builds(Remembered, text, st.lists(text, max_size=2).map(tuple),
     st.lists(memory, max_size=2).map(tuple), st.booleans(), st.lists(stored, max_size=2).map(tuple),
     st.lists(revision, max_size=2).map(tuple)),
    Measured: st.builds(Measured, metrics),
    Custom: st.builds(Custom, text, value),
}  # fmt: skip


@dataclass(slots=True)
class Rated(StreamEvent):
    """An event of a user's."""

    stars: int
    why: str | None = None
    by: tuple[str, ...] = ()
    usage: Usage | None = None


def there_and_back(event, *kinds):
    sent = json.dumps(to_json(event), allow_nan=False)
    return from_json(json.loads(sent), *kinds)


def test_every_builtin_event_has_a_strategy_here_and_is_public():
    members = set(get_args(BuiltinEvent))
    assert set(STRATEGIES) == members
    assert {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, StreamEvent)} == {
        StreamEvent,
        *members,
    }
    assert {kind.__name__ for kind in members} < set(events.__all__)
    for kind in members:
        assert kind.__final__, "no subclass can stand for it"
        assert not hasattr(kind, "__dict__") or "__dict__" not in kind.__slots__
        with pytest.raises(AttributeError):
            object.__new__(kind).unknown = 1


@pytest.mark.parametrize("kind", STRATEGIES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_builtin_event_goes_through_json_and_back(kind, data):
    event = data.draw(STRATEGIES[kind])
    back = there_and_back(event)
    assert back == event
    assert type(back) is kind
    for each in fields(kind):
        if not each.compare:
            assert each.name not in to_json(event), "of this process only"
            continue
        assert type(getattr(back, each.name)) is type(getattr(event, each.name)), each.name
    assert to_json(back) == to_json(event)


@given(st.builds(Rated, count, st.none() | text, st.lists(text, max_size=3).map(tuple), st.none() | usage))
def test_an_event_of_a_users_goes_through_json_and_back(event):
    assert there_and_back(event, Rated) == event
    assert to_json(event)["type"] == "Rated"


def test_the_form_is_what_clients_are_told():
    opened = Opened(Turn("s", "c", "Hi", agent_id="a", metadata={"k": [1]}), "stream-1", 1.5)
    assert to_json(opened) == {
        "type": "Opened",
        "turn": {
            "memory_space_id": "s", "conversation_id": "c", "user_message": "Hi", "user_id": None, "user_name": None,
            "agent_id": "a", "participant_id": None, "importance": 50, "tags": [], "metadata": {"k": [1]},
            "idempotency_key": None,
            "read_facts": False,
        },
        "stream_id": "stream-1",
        "at": 1.5,
        "resumed": None,
    }  # fmt: skip
    assert to_json(Ended("stop", 5, 1, Usage(outputTokens=3)))["usage"] == {
        "input_tokens": None,
        "output_tokens": 3,
        "total_tokens": None,
        "cached_input_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
    }


def test_the_exception_of_a_problem_stays_in_this_process():
    error = StoreBusy("held")
    problem = Problem.of("storage", error, recoverable=True)
    assert (problem.error, problem.code, problem.message) == (error, "STORE_BUSY", "held")
    assert to_json(problem) == {
        "type": "Problem", "phase": "storage", "code": "STORE_BUSY", "message": "held", "recoverable": True,
    }  # fmt: skip
    back = there_and_back(problem)
    assert back == problem and back.error is None
    assert "error=" not in repr(problem)
    assert Problem.of("streaming", ZeroDivisionError("x"), recoverable=False).code == "ZeroDivisionError"


def test_an_unknown_type_is_refused_with_what_is_known():
    with pytest.raises(InvalidArgument) as caught:
        from_json({"type": "Rated", "stars": 5})
    assert "'Rated'" in str(caught.value)
    for kind in STRATEGIES:
        assert kind.__name__ in str(caught.value)
    with pytest.raises(InvalidArgument, match=r"Problem, Rated, Recalled, Remembered"):
        from_json({"type": "Liked"}, Rated)
    for wrong in ({}, {"type": None}, {"type": ["Delta"]}):
        with pytest.raises(InvalidArgument):
            from_json(wrong)


def test_fields_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match="offset"):
        from_json({"type": "Ended", "reason": "stop", "offset": "far", "index": 0})
    with pytest.raises(ValidationError, match="at\n"):
        from_json({"type": "Delta", "text": "x", "index": 0, "offset": 0, "attempt": 0})
    sent = to_json(Opened(Turn("s", "c", "Hi", agent_id="a"), "x", 0))
    with pytest.raises((ValidationError, CortexError), match="memory_space_id"):
        from_json(sent | {"turn": sent["turn"] | {"memory_space_id": " "}})


def test_any_mapping_is_taken_and_left_as_it_is():
    class Frozen(Mapping):
        def __init__(self, inner):
            self.inner = inner

        def __getitem__(self, key):
            return self.inner[key]

        def __iter__(self):
            return iter(self.inner)

        def __len__(self):
            return len(self.inner)

    sent = to_json(Custom("x", {"a": [1]}))
    assert from_json(Frozen(sent)) == Custom("x", {"a": [1]})
    assert sent["type"] == "Custom"


def test_a_users_event_may_take_the_place_of_no_builtin():
    @dataclass(slots=True)
    class Delta(StreamEvent):  # same name, another class
        mine: int

    assert from_json({"type": "Delta", "mine": 1}, Delta) == Delta(1)
