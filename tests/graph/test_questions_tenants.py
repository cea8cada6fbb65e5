"""Two tenants with the same entities, users and participants, on each graph server: they never meet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from helpers.graph_stores import fill, remember, tell
from services.server import Server

from cortex_rx.backends import SqliteBackend
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.draining import Drainer
from cortex_rx.graph.questions import graph_facts, named_entities, path, related
from cortex_rx.graph.schema import initialize_graph_schema

TENANTS = "acme", "initech"
JOINING = {"MemorySpace", "User", "Agent"}
"""Labels of the whole store: two tenants may have the same user and the same agent."""
EDGES = (
    "MATCH (a)-[r]->(b) RETURN type(r) AS type, "
    "labels(a)[0] AS a, a._key AS start, a.memorySpaceId AS of, labels(b)[0] AS b, b._key AS end, b.memorySpaceId AS to"
)


def together(edges: Iterable[Mapping[str, Any]]) -> list[dict[tuple[str, str], str | None]]:
    """The parts of the graph that hang together: the nodes of each, with the memory space that they are of."""
    parts: dict[tuple[str, str], dict[tuple[str, str], str | None]] = {}
    for edge in edges:
        ends = {(edge["a"], edge["start"]): edge["of"], (edge["b"], edge["end"]): edge["to"]}
        for end in list(ends):
            ends = {**parts.get(end, {}), **ends}
        parts.update(dict.fromkeys(ends, ends))
    return list({id(part): part for part in parts.values()}.values())


async def test_tenants_with_the_same_names_never_meet(graph: CypherGraphAdapter, server: Server) -> None:
    await initialize_graph_schema(graph)
    async with SqliteBackend(":memory:") as backend:
        for tenant in TENANTS:
            await fill(backend, tenant)
            # A user's id is an entity, too. Each tenant knows one thing that the other does not.
            await tell(backend, tenant, "f-9", "ada", "knows", "Ada", userId="ada", participantId="p")
            said = {"conversationRef": {"conversationId": "c-1", "messageIds": ["q-1"]}, "participantId": "p"}
            await remember(backend, tenant, "m-2", userId="ada", **said)
            await tell(backend, tenant, "f-10", "Ada", "likes", f"the {tenant} plan")
        drained = await Drainer(graph, backend).drain()
        assert not (drained.failed or drained.dead or drained.waiting)
        edges: list[Any] = server.ask(EDGES)
        assert {edge["of"] for edge in edges} >= {*TENANTS}

        # Each record is joined to those of its own tenant, whatever the type of the edge.
        for edge in edges:
            assert not {edge["of"], edge["to"]} >= {*TENANTS}, edge
        # Nor is there a way over several edges, but over what the tenants have in common.
        inner = [edge for edge in edges if not {edge["a"], edge["b"]} & JOINING]
        assert {label for edge in inner for label in (edge["a"], edge["b"])} >= {
            "Memory",
            "Fact",
            "Entity",
            "Participant",
        }
        for part in together(inner):
            assert len({of for of in part.values() if of in TENANTS}) < 2, part
        joined = [{*part.values()} for part in together(edges)]
        assert any(spaces >= {*TENANTS} for spaces in joined), "they have a user in common, so this can fail"
        names: list[Any] = server.ask("MATCH (n:Entity) RETURN n.name AS name, n.memorySpaceId AS space")
        assert sum(one["name"] == "Ada" for one in names) == len(TENANTS), "each has an Ada of its own"

        find = graph_facts(graph, backend, depth=5)
        for own, other in itertools.permutations(TENANTS):
            near = {one.name for one in await related(graph, own, "ada", depth=5)}
            assert near == {"Ada", "Bern", "Bob", "Switzerland", "tea", f"the {own} plan"}
            assert await path(graph, own, "ada", f"the {own} plan") is not None
            assert await path(graph, own, "ada", f"the {other} plan") is None
            assert await path(graph, own, f"the {own} plan", f"the {other} plan", max_hops=20) is None
            assert await named_entities(graph, own, f"What of the {own} plan and the {other} plan?") == [
                f"the {own} plan"
            ]
            facts = await find(own, f"What may Ada do with the {other} plan?", user_id=None, limit=50)
            texts = [fact.text for fact in facts]
            assert f"Ada likes the {own} plan." in texts
            assert not any(other in text for text in texts)
