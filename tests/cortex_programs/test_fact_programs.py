"""Programs that keep facts, as Cortex's guides show them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from cortex_rx import (
    Cortex,
    CountFactsFilter,
    FactSourceRef,
    ListFactsFilter,
    QueryByRelationshipFilter,
    QueryBySubjectFilter,
    SearchFactsOptions,
    StoreFactParams,
)


async def test_facts_are_stored_and_queried(cortex: Cortex) -> None:
    fact = await cortex.facts.store(
        StoreFactParams(
            memory_space_id="agent-1",
            fact="User prefers dark mode",
            fact_type="preference",
            subject="user-123",
            predicate="prefers",
            object="dark mode",
            confidence=95,
            source_type="conversation",
            source_ref=FactSourceRef(conversation_id="conv-123", message_ids=["msg-1"]),
            tags=["ui", "settings"],
        )
    )
    works = await cortex.facts.store(
        StoreFactParams(
            "agent-1", "Alice works at Acme", "relationship", 90, "manual", None, None, "alice", "works_at", "acme"
        )
    )
    assert (fact.confidence, fact["factType"], fact["sourceRef"]["conversationId"]) == (95, "preference", "conv-123")
    assert await cortex.facts.get("agent-1", fact.fact_id) == fact

    about = await cortex.facts.query_by_subject(QueryBySubjectFilter(memory_space_id="agent-1", subject="user-123"))
    assert [one.fact_id for one in about] == [fact.fact_id]
    related = await cortex.facts.query_by_relationship(
        QueryByRelationshipFilter(memory_space_id="agent-1", subject="alice", predicate="works_at")
    )
    assert [one.object for one in related] == ["acme"]
    found = await cortex.facts.search("agent-1", "dark mode", SearchFactsOptions(min_confidence=80))
    assert [one.fact_id for one in found] == [fact.fact_id]

    listed = await cortex.facts.list(ListFactsFilter(memory_space_id="agent-1", fact_type="preference"))
    assert [one.fact_id for one in listed] == [fact.fact_id]
    since = datetime(2020, 1, 1, tzinfo=UTC)
    assert await cortex.facts.count(CountFactsFilter(memory_space_id="agent-1", created_after=since)) == 2
    assert await cortex.facts.count(CountFactsFilter(memory_space_id="agent-2")) == 0
    assert (await cortex.facts.list(ListFactsFilter("agent-1", sort_by="confidence", limit=1)))[0] == fact
    assert works.predicate == "works_at"


async def test_facts_are_corrected_merged_and_exported(cortex: Cortex) -> None:
    said = {"memory_space_id": "agent-1", "fact_type": "knowledge", "source_type": "manual"}
    first = await cortex.facts.store(StoreFactParams(**said, fact="The office has 40 desks", confidence=60))
    other = await cortex.facts.store(StoreFactParams(**said, fact="There are 42 desks in the office", confidence=80))

    updated = await cortex.facts.update("agent-1", first.fact_id, {"fact": "The office has 42 desks", "confidence": 90})
    assert (updated.version, updated.fact, updated["supersedes"]) == (2, "The office has 42 desks", first.fact_id)
    history = await cortex.facts.get_history("agent-1", updated.fact_id)
    assert [one.fact for one in history] == ["The office has 40 desks", "The office has 42 desks"]

    merged = await cortex.facts.consolidate("agent-1", [updated.fact_id, other.fact_id], updated.fact_id)
    assert (merged["consolidated"], merged["keptFactId"], merged["mergedCount"]) == (True, updated.fact_id, 1)
    exported = await cortex.facts.export("agent-1", "json")
    assert [row["fact"] for row in json.loads(exported["data"])] == ["The office has 42 desks"]
    assert (exported.format, exported.count) == ("json", 1)

    deleted = await cortex.facts.delete("agent-1", updated.fact_id)
    assert deleted["deleted"] is True
    assert await cortex.facts.list(ListFactsFilter("agent-1")) == []
