"""Programs that register, share and archive memory spaces, as Cortex's guides show them."""

from __future__ import annotations

from cortex_rx import Cortex, RegisterMemorySpaceParams


async def test_a_space_is_registered_shared_and_archived(cortex: Cortex) -> None:
    space = await cortex.memory_spaces.register(
        RegisterMemorySpaceParams(
            memory_space_id="team-care",
            type="team",
            name="Customer care",
            participants=[{"id": "user-1", "type": "user"}, {"id": "support-bot", "type": "agent"}],
            metadata={"costCenter": 7},
        )
    )
    assert (space.status, space["memorySpaceId"], space.metadata) == ("active", "team-care", {"costCenter": 7})
    turn = {"memory_space_id": "team-care", "user_id": "user-1", "user_name": "Alex"}
    await cortex.memory.remember(turn, conversation_id="c-1", user_message="Hi", agent_response="Hello")

    changed = await cortex.memory_spaces.update_participants("team-care", ["email-bot"], ["support-bot"])
    assert [one["id"] for one in changed["participants"]] == ["user-1", "email-bot"]
    stats = await cortex.memory_spaces.get_stats("team-care")
    assert (stats["totalMemories"], stats["totalConversations"], stats.total_messages) == (2, 1, 2)

    archived = await cortex.memory_spaces.archive("team-care", "the project is over")
    assert archived.status == "archived"
    assert await cortex.memory_spaces.count(None, "archived") == 1
    assert (await cortex.memory_spaces.reactivate("team-care")).status == "active"
    listed = await cortex.memory_spaces.list("team", "active")
    assert [one.memory_space_id for one in listed["spaces"]] == ["team-care"]
    found = await cortex.memory_spaces.search("customer")
    assert [one.name for one in found] == ["Customer care"]

    deleted = await cortex.memory_spaces.delete("team-care", True)
    assert (deleted["deleted"], deleted["cascaded"]) == (True, True)
    assert await cortex.memory.count("team-care") == 0
