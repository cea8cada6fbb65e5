"""Programs that hand work on between agents, as Cortex's guides show them."""

from __future__ import annotations

from cortex_rx import ContextInput, Cortex


async def test_a_task_is_split_handed_over_and_finished(cortex: Cortex) -> None:
    root = await cortex.contexts.create(
        ContextInput(
            purpose="Handle the refund of order 42",
            memory_space_id="supervisor",
            user_id="user-123",
            data={"orderId": "42", "importance": 85},
        )
    )
    assert (root.depth, root.status, root.data["orderId"]) == (0, "active", "42")
    child = await cortex.contexts.create(
        ContextInput(purpose="Approve the payment", memory_space_id="supervisor", parent_id=root.id)
    )
    assert (child.depth, child["rootId"], child["parentId"]) == (1, root.id, root.id)

    space = {"memory_space_id": "supervisor"}
    await cortex.contexts.grant_access(child.id, "finance", "read-only", **space)
    seen = await cortex.contexts.get(child.id, memory_space_id="finance")
    assert seen is not None
    assert seen.purpose == "Approve the payment"
    assert await cortex.contexts.get(root.id, memory_space_id="finance") is None

    chain = await cortex.contexts.get_chain(child.id, **space)
    assert (chain["current"]["id"], chain["root"]["id"], chain.depth) == (child.id, root.id, 1)
    assert [one.id for one in await cortex.contexts.get_children(root.id, **space)] == [child.id]
    assert (await cortex.contexts.get_root(child.id, **space)).id == root.id

    done = await cortex.contexts.update(child.id, {"status": "completed", "data": {"approvedBy": "bo"}}, **space)
    assert (done.status, done.version, done.data["approvedBy"]) == ("completed", 2, "bo")
    assert done.completed_at is not None
    history = await cortex.contexts.get_history(child.id, **space)
    assert [one["status"] for one in history] == ["active", "completed"]
    listed = await cortex.contexts.list("supervisor", "active")
    assert [one.id for one in listed["contexts"]] == [root.id]
