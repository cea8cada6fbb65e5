"""Programs that keep values, counters, articles and single memories, as Cortex's guides show them."""

from __future__ import annotations

import asyncio
import json

import pytest

from cortex_rx import Cortex, CortexError, ImmutableEntry, MemoryMetadata, MemorySource, SearchOptions, StoreMemoryInput


async def test_an_article_keeps_its_versions(timed: Cortex) -> None:
    entry = ImmutableEntry(
        type="kb-article",
        id="refund-policy",
        data={"title": "Refunds", "dayLimit": 30},
        metadata={"publishedBy": "ada", "tags": ["policy"], "importance": 80},
    )
    first = await timed.immutable.store(entry)
    assert (first.version, first["data"]["dayLimit"]) == (1, 30)
    second = await timed.immutable.store(
        ImmutableEntry("kb-article", "refund-policy", {"title": "Refunds", "dayLimit": 60})
    )
    assert (second.version, second.data["dayLimit"]) == (2, 60)

    old = await timed.immutable.get_version("kb-article", "refund-policy", 1)
    assert old is not None
    assert old.data == {"title": "Refunds", "dayLimit": 30}
    assert [one["version"] for one in await timed.immutable.get_history("kb-article", "refund-policy")] == [1, 2]
    then = await timed.immutable.get_at_timestamp("kb-article", "refund-policy", int(second.updated_at) - 1)
    assert then is not None
    assert then.version == 1

    results = await timed.immutable.search("refunds", "kb-article")
    assert [result["entry"]["id"] for result in results] == ["refund-policy"]
    assert await timed.immutable.count("kb-article") == 1
    purged = await timed.immutable.purge_versions("kb-article", "refund-policy", 1)
    assert (purged["versionsPurged"], purged["versionsRemaining"]) == (1, 1)
    assert (await timed.immutable.purge("kb-article", "refund-policy"))["deleted"] is True
    assert await timed.immutable.list("kb-article") == []


async def test_a_counter_and_a_setting(cortex: Cortex) -> None:
    record = await cortex.mutable.set("inventory", "widget-qty", 100, "user-1")
    assert (record.value, record["namespace"], record.user_id) == (100, "inventory", "user-1")
    await asyncio.gather(*(cortex.mutable.decrement("inventory", "widget-qty", 2) for _ in range(10)))
    await cortex.mutable.increment("inventory", "widget-qty")
    updated = await cortex.mutable.update("inventory", "widget-qty", lambda quantity: quantity + 9)
    assert updated.value == 90
    found = await cortex.mutable.get("inventory", "widget-qty")
    assert found is not None
    assert found["value"] == 90

    await cortex.mutable.set("config", "features", {"darkMode": True})
    assert await cortex.mutable.exists("config", "features")
    kept = await cortex.mutable.get_record("config", "features")
    assert kept is not None
    assert kept.value == {"darkMode": True}
    assert await cortex.mutable.count("inventory", "widget") == 1
    assert [one.key for one in await cortex.mutable.list("inventory", "widget")] == ["widget-qty"]
    deleted = await cortex.mutable.delete("inventory", "widget-qty")
    assert deleted["deleted"] is True
    assert await cortex.mutable.get("inventory", "widget-qty") is None


async def test_a_vector_memory_is_stored_found_updated_and_archived(timed: Cortex) -> None:
    memory = await timed.vector.store(
        "agent-1",
        StoreMemoryInput(
            content="The user prefers email.",
            content_type="raw",
            source=MemorySource(type="system", timestamp=1_764_000_000_000),
            metadata=MemoryMetadata(importance=60, tags=["contact"]),
            embedding=[1.0, 0.0, 0.0],
        ),
    )
    found = await timed.vector.search("agent-1", "email", SearchOptions(embedding=[1.0, 0.1, 0.0], limit=3))
    assert [one.memory_id for one in found] == [memory.memory_id]

    updated = await timed.vector.update(
        "agent-1", memory.memory_id, {"content": "The user prefers SMS.", "importance": 90}
    )
    assert (updated.version, updated.content, updated.importance) == (2, "The user prefers SMS.", 90)
    first = await timed.vector.get_version("agent-1", memory.memory_id, 1)
    assert first is not None
    assert first["content"] == "The user prefers email."
    assert [one["version"] for one in await timed.vector.get_history("agent-1", memory.memory_id)] == [1, 2]

    exported = await timed.memory.export("agent-1")
    assert [row["content"] for row in json.loads(exported["data"])] == ["The user prefers SMS."]
    archived = await timed.memory.archive("agent-1", memory.memory_id)
    assert (archived["archived"], archived["restorable"]) == (True, True)
    assert await timed.memory.list("agent-1") == []
    restored = await timed.memory.restore_from_archive("agent-1", memory.memory_id)
    assert restored["restored"] is True
    with pytest.raises(CortexError) as error:
        await timed.memory.restore_from_archive("agent-1", memory.memory_id)
    assert error.value.code == "MEMORY_NOT_ARCHIVED"
    assert (await timed.vector.delete("agent-1", memory.memory_id))["deleted"] is True
