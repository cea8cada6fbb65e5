"""Programs that register agents, as Cortex's guides show them."""

from __future__ import annotations

from cortex_rx import AgentRegistration, Cortex, UnregisterAgentOptions


async def test_agents_are_registered_and_counted(cortex: Cortex) -> None:
    agent = await cortex.agents.register(
        AgentRegistration(
            id="support-bot",
            name="Support",
            description="Answers questions",
            metadata={"team": "care", "slaHours": 4},
            config={"maxTokens": 500},
        )
    )
    assert (agent.id, agent.status, agent["metadata"]["slaHours"]) == ("support-bot", "active", 4)
    turn = {"memory_space_id": "care", "user_id": "user-1", "user_name": "Alex", "participant_id": "support-bot"}
    await cortex.memory.remember(turn, conversation_id="c-1", user_message="Hi", agent_response="Hello")

    stats = await cortex.agents.get_stats("support-bot")
    assert (stats["totalMemories"], stats["memorySpacesActive"]) == (2, 1)
    await cortex.agents.configure("support-bot", {"maxTokens": 900})
    updated = await cortex.agents.update("support-bot", {"name": "Support bot"})
    assert (updated.name, updated.config) == ("Support bot", {"maxTokens": 900})
    assert [one.id for one in await cortex.agents.list("active")] == ["support-bot"]
    assert await cortex.agents.count() == 1

    gone = await cortex.agents.unregister("support-bot", UnregisterAgentOptions(cascade=False))
    assert gone["agentId"] == "support-bot"
    assert await cortex.agents.get("support-bot") is None
