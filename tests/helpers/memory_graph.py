"""A graph in memory, for tests in virtual time: it knows the statements that `cortex_rx.graph.writing` makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from types import SimpleNamespace
from typing import Any

from cortex_rx.errors import GraphConnectionError, GraphQueryError
from cortex_rx.graph import schema, writing
from cortex_rx.graph.projection import End, project
from cortex_rx.graph.schema import LABELS, RELATIONSHIPS
from cortex_rx.models.graph import GraphQueryResult

Properties = dict[str, Any]
Edges = dict[tuple[str, End, End, str], Properties]


class State:
    """Nodes by label and key, and edges by type, ends and owner."""

    def __init__(self) -> None:
        self.nodes: dict[End, Properties] = {}
        self.edges: Edges = {}
        self.fence: Properties = {}


class MemoryGraph:
    """What `write` and `query` of a `GraphAdapter` do with these statements, each transaction as a whole.

    It may be `away`, take `seconds` for each transaction, refuse rows (`refuses`), and fail when it has committed
    (`loses_answers`). It is told as an adapter would be.
    """

    dialect = SimpleNamespace(name="Neo4j")

    def __init__(self, seconds: float = 0.0) -> None:
        self.state = State()
        self.away = False
        self.has_schema = True
        self.seconds = seconds
        self.refuses: Callable[[Mapping[str, Any]], bool] = lambda row: False
        self.loses_answers = 0
        self.transactions: list[list[str]] = []
        self._known = _known()

    @property
    def nodes(self) -> dict[End, Properties]:
        return self.state.nodes

    @property
    def edges(self) -> Edges:
        return self.state.edges

    def shown(self, label: str) -> list[Properties]:
        """The nodes of a label, without what is ours."""
        return [
            {name: value for name, value in node.items() if name[0] != "_"}
            for at, node in self.nodes.items()
            if at.label == label
        ]

    async def write(self, statements: Sequence[tuple[str, Mapping[str, Any]]]) -> list[list[dict[str, Any]]]:
        await self._reach()
        self.transactions.append([cypher for cypher, _ in statements])
        state, results = deepcopy(self.state), []
        for cypher, values in statements:
            if any(map(self.refuses, values.get("rows", ()))):
                raise GraphQueryError("refused", "Test.Refused")
            assert len(values.get("rows", ())) <= writing.ROWS
            results.append(self._known[cypher](state, values))
        self.state = state
        if self.loses_answers:
            self.loses_answers -= 1
            raise GraphConnectionError("the answer was lost")
        return results

    async def query(
        self, cypher: str, params: Mapping[str, Any] | None = None, *, read: bool = False
    ) -> GraphQueryResult:
        await self._reach()
        found = self._known[cypher](deepcopy(self.state), params or {})
        return GraphQueryResult(records=found, count=len(found))

    async def alter(self, statement: str) -> list[dict[str, Any]]:
        """What is asked to see which constraints and indexes there are. It takes no time."""
        if self.away:
            raise GraphConnectionError("the server is away")
        if not self.has_schema:
            return []
        kinds = {"constraint": "UNIQUENESS", "index": "RANGE"}
        return [
            {"type": kinds[rule.kind], "labelsOrTypes": [rule.label], "properties": [rule.property], "state": "ONLINE"}
            for rule in schema._rules()
        ]

    async def _reach(self) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.away:
            raise GraphConnectionError("the server is away")


def held(state: State, values: Mapping[str, Any]) -> bool:
    return state.fence == {"store": values["store"], "term": values["term"]}


@cache
def _known() -> dict[str, Callable[..., list[dict[str, Any]]]]:
    """What each statement does."""
    return dict(_statements())


def _statements() -> Any:
    yield writing._CLAIM, _claim
    yield writing._HOLDER, lambda state, values: [{"store": state.fence["store"]}] if state.fence else []
    yield writing._UNSAID, _guarded(_unsaid)
    for label in LABELS:
        yield writing._node(label), _guarded(_node, label)
        yield writing._end(label), _guarded(_end, label)
        yield writing._delete(label), _guarded(_delete, label)
        yield writing._bare(label), _guarded(_bare, label)
        yield writing._unused(label), _guarded(_unused, label)
        yield writing._which(label), _which(label)
    for label in writing._OWN:
        yield writing._stale(label), _guarded(_stale, label)
    for kind, one in RELATIONSHIPS.items():
        for start, end in one.ends:
            yield writing._edge(kind, start, end), _edge(kind, start, end)


def _claim(state: State, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    state.fence = state.fence or {"store": values["store"], "term": 0}
    if state.fence["store"] != values["store"] or state.fence["term"] > values["term"]:
        return []
    state.fence["term"] = values["term"]
    return [{"term": values["term"]}]


Rows = Sequence[Properties]


def _guarded(what: Callable[..., None], *names: str) -> Callable[..., list[dict[str, Any]]]:
    def run(state: State, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        if held(state, values):
            what(state, values["rows"], *names)
        return []

    return run


def _unsaid(state: State, rows: Rows) -> None:
    def is_other(row: Properties) -> bool:
        node = state.nodes.get(End("Fact", row["_key"]))
        return node is not None and any(node.get(name, "") != row[name] for name in writing._SAID)

    owners = {row["_owner"] for row in rows if is_other(row)}
    for edge in [edge for edge in state.edges if edge[3] in owners and edge[1].label == edge[2].label == "Entity"]:
        del state.edges[edge]


def _node(state: State, rows: Rows, label: str) -> None:
    for row in rows:
        node = state.nodes.setdefault(End(label, row["_key"]), {})
        if node.get("_rev", -1) < row["_rev"]:
            state.nodes[End(label, row["_key"])] = dict(row)


def _end(state: State, rows: Rows, label: str) -> None:
    for row in rows:
        state.nodes.setdefault(End(label, row["_key"]), dict(row))


def _delete(state: State, rows: Rows, label: str) -> None:
    gone = {End(label, row["_key"]) for row in rows}
    for at in gone:
        state.nodes.pop(at, None)
    for edge in [edge for edge in state.edges if gone & {*edge[1:3]}]:
        del state.edges[edge]


def _bare(state: State, rows: Rows, label: str) -> None:
    for row in rows:
        if End(label, row["_key"]) in state.nodes:
            state.nodes[End(label, row["_key"])] = dict(row)


def _unused(state: State, rows: Rows, label: str) -> None:
    used = {end for edge in state.edges for end in edge[1:3]}
    for row in rows:
        if (at := End(label, row["_key"])) not in used:
            state.nodes.pop(at, None)


def _edge(kind: str, start: str, end: str) -> Callable[..., list[dict[str, Any]]]:
    def run(state: State, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        written = 0
        for row in values["rows"] if held(state, values) else ():
            ends = End(start, row["start"]), End(end, row["end"])
            if all(one in state.nodes for one in ends):
                state.edges[kind, *ends, row["owner"]] = dict(row["properties"])
                written += 1
        return [{"written": written}]

    return run


def _stale(state: State, rows: Rows, label: str) -> None:
    of = {row["_owner"]: row for row in rows}
    for edge, properties in list(state.edges.items()):
        row = of.get(edge[3])
        if row is None or properties["_rev"] >= row["_rev"]:
            continue
        at = End(label, row["_key"])
        if at == edge[1] or (at == edge[2] and writing._OWN[label] == "-[r]-"):
            del state.edges[edge]


def _which(label: str) -> Callable[..., list[dict[str, Any]]]:
    return lambda state, values: [{"key": key} for key in values["keys"] if End(label, key) in state.nodes]


def projected(items: Sequence[Mapping[str, Any]]) -> State:
    """The graph that these rows of the outbox, of records that are there, make: what a graph ends as."""
    state = State()
    for each in map(project, items):
        for node in each.nodes:
            state.nodes[node.at] = {**node.properties, "_key": node.at.key, "_rev": each.revision}
    for each in map(project, items):
        for node in each.ends:
            state.nodes.setdefault(node.at, {**node.properties, "_key": node.at.key, "_rev": 0})
    for each, edge in ((each, edge) for each in map(project, items) for edge in each.edges):
        if edge.start in state.nodes and edge.end in state.nodes:
            owner = str(each.owner)
            state.edges[edge.type, edge.start, edge.end, owner] = {
                **edge.properties, "_owner": owner, "_rev": each.revision,
            }  # fmt: skip
    return state
