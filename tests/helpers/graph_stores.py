"""Stores with records of all tables, and their graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.graph.adapter import GraphAdapter
from cortex_rx.graph.projection import project
from cortex_rx.graph.writing import Fence, write

__all__ = ["STATEMENTS", "all_rows", "fill", "remember", "tell", "without_revision", "write_changes"]

STATEMENTS = (
    ("Ada", "lives_in", "Bern"),
    ("Ada", "knows", "Bob"),
    ("Bob", "likes", "tea"),
    ("Bern", "is_in", "Switzerland"),
)
"""What the facts `f-0` and so on say."""


async def tell(
    backend: SqliteBackend, space: str, fact_id: str, subject: str, predicate: str, object: str, **more: Any
) -> None:
    """Store a fact."""
    said = {"subject": subject, "predicate": predicate, "object": object, "fact": f"{subject} {predicate} {object}."}
    given = {"factType": "knowledge", "confidence": 80, "sourceType": "manual", "tags": [], **said, **more}
    await backend.mutation("facts:store", {"memorySpaceId": space, "factId": fact_id, **given})


async def remember(backend: SqliteBackend, space: str, memory_id: str, **more: Any) -> None:
    """Store a memory."""
    given = {"contentType": "raw", "sourceType": "system", "importance": 50, "tags": ["t"], "content": "Tea. " * 99}
    await backend.mutation("memories:store", {"memorySpaceId": space, "memoryId": memory_id, **given, **more})


async def fill(backend: SqliteBackend, space: str = "support") -> None:
    """Store records of all nine tables."""

    async def do(path: str, **args: Any) -> None:
        await backend.mutation(path, args)

    own = {"memorySpaceId": space}
    await remember(backend, space, "m-1", userId="ada")
    people = {"userId": "ada", "agentId": "bot"}
    await do("conversations:create", **own, conversationId="c-1", type="user-agent", participants=people)
    for number, statement in enumerate(STATEMENTS):
        await tell(backend, space, f"f-{number}", *statement, sourceRef={"conversationId": "c-1"})
    await do("contexts:create", **own, contextId="x-1", purpose="help", status="active", userId="ada")
    await do("contexts:create", **own, contextId="x-2", purpose="more", status="active", parentId="x-1")
    await do("contexts:grantAccess", **own, contextId="x-1", targetMemorySpaceId="other", scope="full")
    await do("memorySpaces:register", **own, type="team", participants=[{"id": "p", "type": "user"}])
    await do("users:update", userId="ada", data={"secret": 1})
    await do("agents:register", agentId=f"{space} bot", name="Bot")
    await do("immutable:store", type="document", id=space, data={"k": [1]})
    await do("mutable:set", namespace="stock", key=space, value={"v": None})


async def all_rows(outbox: GraphSync) -> list[Any]:
    """A row for each record that the store has."""
    await outbox.keep(enabled=False)
    await outbox.keep(enabled=True)
    rows: list[Any] = []
    while some := await outbox.get_batch(after=rows[-1]["revision"] if rows else 0):
        rows += some
    return rows


def without_revision(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of a node or an edge. The revisions of two outboxes differ."""
    return {name: value for name, value in properties.items() if name != "_rev"}


async def write_changes(backend: SqliteBackend, graph: GraphAdapter) -> None:
    """Write all that has changed to the graph, as a drainer does."""
    outbox = GraphSync(backend)
    await outbox.keep(enabled=True)
    lease = await outbox.lease(holder="test", seconds=60)
    rows = await outbox.get_batch()
    assert not await write(graph, Fence(lease["store"], lease["term"]), [project(row) for row in rows])
    seen: list[Any] = [
        {name: value for name, value in row.items() if name not in ("record", "attempts")} for row in rows
    ]
    assert await outbox.mark_synced(items=seen, holder="test") == {"synced": len(rows)}
    await outbox.release(holder="test")
