"""`cortex.agents`: registering, finding, statistics from the data, unregistering."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cortex_rx import Cortex, SqliteBackend
from cortex_rx.errors import AgentAlreadyRegistered, AgentNotRegistered, InvalidArgument, UnsupportedOption
from cortex_rx.models.agents import AgentRegistration, AgentStats, RegisteredAgent, UnregisterAgentOptions
from cortex_rx.testing import Faulty, run_virtual


@pytest.fixture
async def cortex() -> AsyncIterator[Cortex]:
    async with Cortex(":memory:") as client:
        yield client


async def _three(cortex: Cortex) -> list[RegisteredAgent]:
    team: dict[str, Any] = {"team": "support", "capabilities": ["chat", "refunds"]}
    return [
        await cortex.agents.register(AgentRegistration("b", "Billing", "Sends bills", team, {"maxTokens": 5})),
        await cortex.agents.register({"id": "a", "name": "Answers", "metadata": {"team": "support"}}),
        await cortex.agents.register(id="c", name="coder", metadata={"capabilities": ["code"]}),
    ]


async def test_registering_and_changing(cortex: Cortex) -> None:
    first, *_ = await _three(cortex)
    assert (first.id, first["id"], first.status, first.config) == ("b", "b", "active", {"maxTokens": 5})
    assert (first.stats, first.last_active, first["registeredAt"]) == (None, None, first.registered_at)
    same = AgentRegistration("b", "Billing", "Sends bills", first.metadata, {"maxTokens": 5})
    assert await cortex.agents.register(same) == first == await cortex.agents.get("b")
    with pytest.raises(AgentAlreadyRegistered):
        await cortex.agents.register(id="b", name="Other")
    changed = await cortex.agents.update("b", {"status": "inactive", "metadata": {"snake_key": 1}})
    assert (changed.status, changed.metadata, changed.config) == ("inactive", {"snake_key": 1}, {"maxTokens": 5})
    await cortex.agents.configure("b", {"temperature": 0})
    configured = await cortex.agents.get("b")
    assert configured is not None
    assert (configured.config, configured.name, configured.description) == (
        {"temperature": 0},
        "Billing",
        "Sends bills",
    )
    assert (await cortex.agents.get("x"), await cortex.agents.exists("x"), await cortex.agents.exists("a")) == (
        None, False, True,
    )  # fmt: skip
    for call in (cortex.agents.update("x", name="X"), cortex.agents.configure("x", {})):
        with pytest.raises(AgentNotRegistered):
            await call


async def test_finding(cortex: Cortex) -> None:
    await _three(cortex)
    await cortex.agents.update("c", status="archived")
    assert [agent.id for agent in await cortex.agents.list()] == ["a", "b", "c"]  # by name
    assert [agent.id for agent in await cortex.agents.list("active", 1, 1)] == ["b"]
    for sort in ("registered_at", "registeredAt", "updated_at"):
        found = await cortex.agents.list(sort_by=sort, sort_order="asc")  # type: ignore[arg-type]
        times = [agent.registered_at if sort != "updated_at" else agent.updated_at for agent in found]
        assert times == sorted(times)
    assert await cortex.agents.list(limit=0) == []
    for filters, ids in (
        ({}, ["c", "a", "b"]),
        ({"metadata": {"team": "support"}}, ["a", "b"]),
        ({"name": "ING"}, ["b"]),
        ({"capabilities": ["code", "chat"], "capabilitiesMatch": "any"}, ["c", "b"]),
        ({"capabilities": ["code", "chat"], "capabilities_match": "all"}, []),
        ({"status": "archived", "registered_after": 0}, ["c"]),
        ({"registeredBefore": 0}, []),
    ):
        assert [agent.id for agent in await cortex.agents.search(filters)] == ids
        assert [agent.id for agent in await cortex.agents.search(filters, 1)] == ids[:1]
        assert [agent.id async for agent in cortex.agents.iterate(filters, page_size=1)] == ids[::-1]
        assert await cortex.agents.count(filters) == len(ids)
    with pytest.raises(InvalidArgument, match="AgentFilters"):
        await cortex.agents.search({"owner": "ada"})


async def test_statistics_are_counted_from_the_data(cortex: Cortex) -> None:
    assert await cortex.agents.get_stats("a") == AgentStats(0, 0, 0, 0)
    turn = {"user_message": "Hi!", "agent_response": "Hello.", "agent_id": "a"}
    for space in ("s", "t"):
        await cortex.memory.remember(memory_space_id=space, conversation_id="c-1", **turn)
    said = {"fact": "Ada sings.", "fact_type": "event", "confidence": 90}
    fact = await cortex.facts.store(said, memory_space_id="u", participant_id="a")
    stats = await cortex.agents.get_stats("a")
    assert stats == AgentStats(4, 2, 1, 3, stats.last_active)
    assert stats.last_active is not None
    assert stats.last_active >= fact.created_at
    await cortex.facts.delete("u", fact.fact_id)
    assert (await cortex.agents.get_stats("a"))["totalFacts"] == 0


async def test_unregistering(cortex: Cortex) -> None:
    await _three(cortex)
    await cortex.memory.remember(
        memory_space_id="s", conversation_id="c-1", user_message="Hi!", agent_response="Hello.", agent_id="a"
    )
    dry = await cortex.agents.unregister("a", UnregisterAgentOptions(False, True, True))
    assert (dry.total_deleted, dry.deleted_layers, await cortex.agents.exists("a")) == (
        1,
        ("agent-registration",),
        True,
    )
    done = await cortex.agents.unregister("a", {"verify": True})
    assert (done.agent_id, done.verification.complete, done["memoriesDeleted"]) == ("a", True, 0)
    assert (await cortex.agents.exists("a"), await cortex.memory.count("s")) == (False, 2)
    with pytest.raises(AgentNotRegistered):
        await cortex.agents.unregister("a")
    for refused in ({"cascade": True}, UnregisterAgentOptions):
        with pytest.raises(UnsupportedOption) as error:
            await cortex.agents.unregister("b", refused if isinstance(refused, dict) else refused(cascade=True))
        assert error.value.field == "cascade"
    for filters in (None, {}, {"capabilities_match": "all"}, {"name": ""}, {"metadata": {}}, {"capabilities": []}):
        with pytest.raises(InvalidArgument) as none:
            await cortex.agents.unregister_many(filters)
        assert none.value.field == "filters"
    for options in ({"options": {"dry_run": True}}, {"dry_run": True}, {"dryRun": True, "verify": False}):
        dry_run = await cortex.agents.unregister_many({"status": "active"}, **options)  # type: ignore[arg-type]
        assert (dry_run.deleted, dry_run.agent_ids, await cortex.agents.count()) == (0, ("b", "c"), 2)
    with pytest.raises(UnsupportedOption):
        await cortex.agents.unregister_many(status="active", cascade=True)
    many = await cortex.agents.unregister_many({"name": "cod"}, agent_ids=["c", "b", "none"])
    assert dict(many) == {"deleted": 1, "agentIds": ("c",), "totalDataDeleted": 0}
    assert [agent.id for agent in await cortex.agents.list()] == ["b"]


def test_a_store_that_fails_is_asked_again() -> None:
    async def main() -> Any:
        store = Faulty(SqliteBackend(":memory:"), "1 fail-after, 3 fail, 5 fail-after")
        async with Cortex(store, spool=False) as cortex:
            agent = await cortex.agents.register(id="a", name="A")
            await cortex.agents.configure("a", {"x": 1})
            updated = await cortex.agents.update("a", name="B")
        await store.close()
        return agent.name, updated.name, updated.config

    assert run_virtual(main()) == ("A", "B", {"x": 1})
