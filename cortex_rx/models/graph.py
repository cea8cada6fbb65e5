"""What a graph adapter takes and gives back: nodes, edges, paths, and how to connect and to ask.

An `id` is a text that the server made: `elementId()`, or `id()` in digits. It is valid as long as its node or edge is
there. A record's own key, such as `memoryId`, is a property.

>>> GraphNode("Memory", {"memoryId": "mem-1", "importance": 70}).properties["importance"]
70
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast, get_args
from urllib.parse import urlsplit

from pydantic import Field

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts, Options
from cortex_rx.models.records import Record

__all__ = [
    "Direction",
    "GraphConfig",
    "GraphConnectionConfig",
    "GraphDeadLetter",
    "GraphEdge",
    "GraphNode",
    "GraphOperation",
    "GraphPath",
    "GraphQueryResult",
    "GraphRecordKey",
    "GraphSyncStatus",
    "OperationType",
    "ShortestPathConfig",
    "TraversalConfig",
    "checked_adapter",
]

Direction: TypeAlias = Literal["OUTGOING", "INCOMING", "BOTH"]
"""Which edges of a node are followed: those that begin at it, those that end at it, or both."""
OperationType: TypeAlias = Literal["CREATE_NODE", "UPDATE_NODE", "DELETE_NODE", "CREATE_EDGE", "DELETE_EDGE"]
"""What an operation of a batch does."""

_TABLES = (
    *("memories", "conversations", "facts", "contexts", "memorySpaces", "users", "agents", "immutable", "mutable"),
)
_SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
_URI = "a URI such as bolt://localhost:7687 or neo4j+s://host, without a user or a password in it"
_Name = Annotated[str, Accepts(check.name)]
_OptionalName = Annotated[str | None, Accepts(check.optional(check.name))]
_Names = Annotated[tuple[str, ...], Accepts(check.names)]
_Milliseconds = Accepts(check.milliseconds())


def _uri(field: str, value: object) -> str:
    """The URI of a Bolt server. One that has a password in it is not shown."""
    text = check.name(field, value)
    try:
        parts = urlsplit(text)
        fits = parts.scheme in _SCHEMES and bool(parts.hostname) and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        fits = False
    if not fits:
        raise InvalidArgument(field, "another text", _URI)
    return text


def _properties(field: str, value: object) -> dict[str, Any]:
    """A copy of a mapping with keys that are strings."""
    if not isinstance(value, Mapping):
        raise InvalidArgument(field, check.shown(value), "a mapping of names to values")
    found = dict(cast("Mapping[object, Any]", value))
    for key in found:
        if not isinstance(key, str):
            raise InvalidArgument(field, f"a key of type {type(key).__name__}", "keys that are strings")
    return cast("dict[str, Any]", found)


class GraphNode(Options):
    """A node with one label. `id` is None until the node is in a graph.

    >>> GraphNode("Agent", {"agentId": "a-1"})
    GraphNode(label='Agent', properties={'agentId': 'a-1'}, id=None)
    """

    label: _Name
    properties: Annotated[Mapping[str, Any], Accepts(_properties)] = {}
    id: _OptionalName = None


class GraphEdge(Options):
    """An edge from the node with the id `from_node` to the one with the id `to_node`. `id` is None until it is in a
    graph."""

    type: _Name
    from_node: _Name
    to_node: _Name
    properties: Annotated[Mapping[str, Any], Accepts(_properties)] = {}
    id: _OptionalName = None


class GraphPath(Record):
    """The nodes of a path in their order, and the edges between them. `length` is the number of edges."""

    nodes: tuple[GraphNode, ...]
    relationships: tuple[GraphEdge, ...]
    length: int


class GraphConnectionConfig(Options):
    """How to connect to a graph server. Times are milliseconds.

    Without a name the server is asked without a password. The password is shown nowhere.

    >>> GraphConnectionConfig("bolt://localhost:7687", "neo4j", "secret", database="memory")
    GraphConnectionConfig(uri='bolt://localhost:7687', username='neo4j', database='memory', ...)
    >>> GraphConnectionConfig("http://localhost")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: uri: got 'another text'; accepted: a URI such as bolt://localhost:7687 or
    neo4j+s://host, without a user or a password in it
    """

    uri: Annotated[str, Accepts(_uri)]
    """`neo4j://` finds the members of a cluster, `bolt://` is for one server. `+s` is TLS with a certificate that is
    checked, `+ssc` with any."""
    username: Annotated[str, Accepts(check.any_text)] = ""
    password: Annotated[str, Accepts(check.any_text), Field(repr=False)] = ""
    database: _OptionalName = None
    """By default, the one that the server names."""
    max_connection_pool_size: Annotated[int, Accepts(check.whole(1, 10_000))] = 50
    connection_timeout: Annotated[int | float, _Milliseconds] = 30_000
    """For a new connection, and the longest wait for one of the pool."""
    query_timeout: Annotated[int | float, _Milliseconds] = 60_000
    """The most time for one operation, with its attempts. A server that can stops its transaction then, too."""
    retry_time: Annotated[int | float, Accepts(check.milliseconds(zero=True))] = 5_000
    """How long an operation is begun again after a transient failure; 0 for one attempt."""


def checked_adapter(field: str, value: object) -> Any:
    """A graph adapter: an object with its methods `write` and `query`."""
    if not (callable(getattr(value, "write", None)) and callable(getattr(value, "query", None))):
        raise InvalidArgument(field, check.shown(value), "a GraphAdapter, such as CypherGraphAdapter(...)")
    return value


class GraphConfig(Options):
    """The graph of a client: `Cortex(..., graph=GraphConfig(adapter))`. The caller connects the adapter, and closes it.

    With `auto_sync`, the block `async with Cortex(...)` runs `cortex.graph.sync()` beside what is in it.
    """

    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        "orphan_cleanup": ((None, False), "call cortex.graph.orphans()"),
        "sync_worker_options": ((None,), "rows go in batches of 1,000 and are tried five times"),
    }
    _positions: ClassVar[tuple[str, ...]] = ("adapter", "orphan_cleanup", "auto_sync", "sync_worker_options")

    adapter: Annotated[Any, Accepts(checked_adapter)]
    auto_sync: Annotated[bool, Accepts(check.flag)] = False


class GraphRecordKey(Options):
    """Which record: its table and its id there, and where the id is one of: its `memory_space_id`, the `entity_type` of
    an immutable entry, the `namespace` of a mutable key.

    >>> GraphRecordKey("users", "ada").table
    'users'
    """

    _positions: ClassVar[tuple[str, ...]] = ("table", "entity_id", "memory_space_id")

    table: Annotated[str, Accepts(check.one_of(*_TABLES))]
    entity_id: _Name
    memory_space_id: _OptionalName = None
    entity_type: _OptionalName = None
    namespace: _OptionalName = None


class GraphDeadLetter(Record):
    """A record that the graph refused too often: how often, why (a code), and when last (epoch milliseconds)."""

    revision: int
    table: str
    entity_id: str
    memory_space_id: str | None = None
    entity_type: str | None = None
    namespace: str | None = None
    attempts: int
    error: str
    failed_at: float


class GraphSyncStatus(Record):
    """How many records the graph has not been told of, in all and by table.

    Of these so many are `waiting` to be tried again, and are dead letters (`failed`).
    """

    unsynced: int
    by_table: dict[str, int]
    waiting: int
    failed: int


class GraphQueryResult(Record):
    """The records of a query, one mapping each. Nodes, edges and paths in them are `GraphNode`, `GraphEdge` and
    `GraphPath`."""

    records: list[dict[str, Any]]
    count: int
    stats: Mapping[str, int] = {}
    """How many nodes, edges and properties the query changed, as far as the server says: `nodes_created` and others."""


class TraversalConfig(Options):
    """Which nodes to visit: those within `max_depth` edges of a node.

    >>> TraversalConfig("4:abc:0", ["MENTIONS"], 2, "INCOMING").direction
    'INCOMING'
    """

    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        "filter": ((None,), "a condition in Cypher stands in a `query`"),
        "filter_params": ((None,), "a condition in Cypher stands in a `query`"),
    }

    start_id: _Name
    relationship_types: _Names = ()
    """Only edges of these types; by default all."""
    max_depth: Annotated[int, Accepts(check.whole(1, 100))] = 3
    direction: Annotated[Direction, Accepts(check.one_of(*get_args(Direction)))] = "BOTH"


class ShortestPathConfig(Options):
    """Between which nodes to find a path of at most `max_hops` edges, in whichever direction they point."""

    from_id: _Name
    to_id: _Name
    max_hops: Annotated[int, Accepts(check.whole(1, 100))] = 10
    relationship_types: _Names = ()


_NEEDS: Mapping[str, tuple[str, ...]] = {
    "CREATE_NODE": ("node",),
    "UPDATE_NODE": ("id", "properties"),
    "DELETE_NODE": ("id",),
    "CREATE_EDGE": ("edge",),
    "DELETE_EDGE": ("id",),
}


class GraphOperation(Options):
    """One operation of a batch: its type, and what that type needs.

    CREATE_NODE needs a `node`, CREATE_EDGE an `edge`, the others an `id`, and UPDATE_NODE also `properties`.

    >>> GraphOperation("DELETE_NODE", id="4:abc:0").id
    '4:abc:0'
    >>> GraphOperation("CREATE_EDGE", id="4:abc:0")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: edge: got None; accepted: a value; CREATE_EDGE takes edge
    """

    type: Annotated[OperationType, Accepts(check.one_of(*get_args(OperationType)))]
    node: Annotated[GraphNode | None, Accepts(check.optional(check.instance(GraphNode, "a GraphNode")))] = None
    edge: Annotated[GraphEdge | None, Accepts(check.optional(check.instance(GraphEdge, "a GraphEdge")))] = None
    id: _OptionalName = None
    properties: Annotated[Mapping[str, Any] | None, Accepts(check.optional(_properties))] = None

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` under the names of the fields. Refuses what the type does not take, and misses what it needs."""
        values = super()._named(given)
        needs = _NEEDS.get(values["type"]) if isinstance(values.get("type"), str) else None
        if needs is not None:
            takes = f"{values['type']} takes {' and '.join(needs)}"
            for name in ("node", "edge", "id", "properties"):
                if (name in values) != (name in needs):
                    expected = "a value" if name in needs else "None"
                    raise InvalidArgument(name, "a value" if name in values else None, f"{expected}; {takes}")
        return values
