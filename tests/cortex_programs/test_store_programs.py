"""Programs that keep values, counters, articles and single memories, as Cortex's guides show them."""

from __future__ import annotations

import asyncio

from cortex_rx import Cortex, ImmutableEntry


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
