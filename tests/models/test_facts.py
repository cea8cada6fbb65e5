"""What is given as a fact, and what is looked for: each field is checked, and its error names it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from cortex_rx.errors import InvalidArgument
from cortex_rx.models.facts import (
    CountFactsFilter,
    ExtractedFact,
    FactRecord,
    FactSourceRef,
    FactUpdate,
    ListFactsFilter,
    QueryByRelationshipFilter,
    SearchFactsOptions,
    StoreFactParams,
)
from cortex_rx.models.options import parse

FACT: dict[str, Any] = {"fact": "Ada lives in Lisbon.", "factType": "identity", "confidence": 90}
WHOLE: dict[str, Any] = FACT | {
    "subject": "Ada",
    "predicate": "lives_in",
    "object": "Lisbon",
    "qualifier": "home",
    "polarity": "positive",
    "tense": "present",
    "tags": ["place"],
    "validFrom": 1_000,
    "validUntil": 2_000,
    "metadata": {"by": "a test"},
    "cardinality": "one",
    "embedding": [0.5, 1.0],
    "embeddingModel": "m",
}
WRONG: list[tuple[str, Any]] = [
    ("fact", ""),
    ("fact", " "),
    ("fact", "\ud800"),
    ("fact_type", "rumour"),
    ("confidence", -1),
    ("confidence", 100.5),
    ("confidence", float("nan")),
    ("confidence", True),
    ("confidence", "90"),
    ("subject", ""),
    ("predicate", 7),
    ("polarity", "maybe"),
    ("tense", "always"),
    ("tags", "place"),
    ("valid_from", -1),
    ("valid_from", datetime(2026, 1, 1)),  # without a time zone
    ("valid_until", 1.5),
    ("metadata", []),
    ("cardinality", 1),
    ("embedding", [float("inf")]),
]


def test_a_fact_of_an_extractor_is_an_argument_of_the_store():
    assert parse(ExtractedFact, WHOLE).row() == WHOLE
    assert parse(ExtractedFact, FACT).row() == FACT


def test_a_confidence_of_0_is_kept():
    assert parse(ExtractedFact, FACT | {"confidence": 0}).row()["confidence"] == 0


def test_a_fact_may_be_a_dataclass():
    @dataclass
    class Found:
        fact: str
        fact_type: str
        confidence: int
        subject: str | None = None

    assert parse(ExtractedFact, Found("Ada sings.", "event", 50)).row() == FACT | {
        "fact": "Ada sings.",
        "factType": "event",
        "confidence": 50,
    }


@pytest.mark.parametrize("missing", ["fact", "factType", "confidence"])
def test_what_is_required(missing):
    with pytest.raises(InvalidArgument) as caught:
        parse(ExtractedFact, {name: value for name, value in FACT.items() if name != missing})
    assert caught.value.field == {"factType": "fact_type"}.get(missing, missing)


@pytest.mark.parametrize(("field", "value"), WRONG)
@pytest.mark.parametrize("model", [ExtractedFact, StoreFactParams])
def test_what_does_not_fit_is_named(model, field, value):
    given = {"fact": "Ada", "fact_type": "event", "confidence": 1, field: value}
    if model is StoreFactParams:
        given["memory_space_id"] = "s"
    with pytest.raises(InvalidArgument) as caught:
        model(**given)
    assert caught.value.field.split("[")[0] == field
    assert "Lisbon" not in str(caught.value)


def test_a_fact_does_not_end_before_it_begins():
    with pytest.raises(InvalidArgument, match="valid_until"):
        parse(ExtractedFact, FACT | {"validFrom": 2, "validUntil": 1})
    assert parse(ExtractedFact, FACT | {"validFrom": 2, "validUntil": 2}).valid_until == 2


def test_a_time_may_be_a_datetime():
    moment = datetime(2026, 5, 3, tzinfo=UTC)
    assert parse(ExtractedFact, FACT | {"validFrom": moment}).valid_from == 1_777_766_400_000
    assert SearchFactsOptions(as_of=moment).keywords() == {"as_of": 1_777_766_400_000}


def test_a_fact_to_be_stored_becomes_arguments():
    ref = FactSourceRef(conversation_id="c", message_ids=["m"], memory_id="mem", start=0, end=4)
    stored = parse(StoreFactParams, WHOLE, memory_space_id="s", source_ref=ref, fact_id="f", user_id="ada")
    values = stored.keywords()
    assert values["source_ref"] == {
        "conversationId": "c",
        "messageIds": ["m"],
        "memoryId": "mem",
        "start": 0,
        "end": 4,
    }
    assert {name: values[name] for name in ("memory_space_id", "fact_id", "user_id", "source_type", "revise")} == {
        "memory_space_id": "s",
        "fact_id": "f",
        "user_id": "ada",
        "source_type": "manual",
        "revise": True,
    }
    assert parse(StoreFactParams, FACT, memory_space_id="s", belief_revision=False).keywords()["revise"] is False
    assert parse(StoreFactParams, FACT, memory_space_id="s").keywords()["tags"] == []


def test_a_wrong_field_of_the_source_is_named_within_it():
    with pytest.raises(InvalidArgument) as caught:
        parse(StoreFactParams, FACT, memory_space_id="s", source_ref={"memoryId": ""})
    assert caught.value.field == "source_ref.memory_id"


def test_filters_become_keywords():
    given = {"memorySpaceId": "s", "minConfidence": 0, "limit": 0, "offset": 0, "knownAt": 0, "tags": ["a"]}
    assert parse(ListFactsFilter, given).keywords() == {
        "memory_space_id": "s",
        "min_confidence": 0,
        "limit": 0,
        "offset": 0,
        "known_at": 0,
        "tags": ["a"],
    }
    assert parse(CountFactsFilter, {"memorySpaceId": "s"}).keywords() == {"memory_space_id": "s"}


def test_a_count_has_no_page():
    with pytest.raises(InvalidArgument, match="limit"):
        parse(CountFactsFilter, {"memorySpaceId": "s", "limit": 1})


def test_a_relationship_has_a_subject_and_a_predicate():
    with pytest.raises(InvalidArgument, match="predicate"):
        parse(QueryByRelationshipFilter, {"memorySpaceId": "s", "subject": "Ada"})


def test_to_take_all_tags_away_is_a_change():
    assert FactUpdate(tags=[]).keywords() == {"tags": []}
    assert FactUpdate().keywords() == {}


def test_a_row_of_the_store_becomes_a_record():
    row = FACT | {
        "factId": "fact-1",
        "memorySpaceId": "s",
        "sourceType": "conversation",
        "tags": [],
        "version": 1,
        "createdAt": 1,
        "updatedAt": 2,
        "polarity": "positive",
        "tense": "present",
        "_score": 0.5,
        "sourceRef": {"conversationId": "c", "messageIds": ["m"], "memoryId": "mem", "start": 0, "end": 20},
    }
    record = FactRecord.from_row(row | {"sources": [row["sourceRef"]]})
    assert record.source_ref == record.sources[0]
    assert record.source_ref is not None and record.source_ref.end == 20
    assert record.score == 0.5 and record["factType"] == "identity"
