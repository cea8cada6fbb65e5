"""`python -m benchmarks.graph`: what it takes to bring 10,000 nodes and 10,000 edges to a graph server, beside a loop
that sends the same rows to it, and what an edge takes at a node that has many.  See README.md beside this file.

It starts an ArcadeDB of its own (the extra `graph-local`), or uses the EMPTY database at `--uri`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import Bar, machine, show_bars, write_figures
from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.graph.adapter import GraphAdapter, Statement
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.draining import Drainer
from cortex_rx.graph.local import LocalGraph
from cortex_rx.graph.projection import project
from cortex_rx.graph.schema import initialize_graph_schema
from cortex_rx.graph.writing import Fence, write
from cortex_rx.models.graph import GraphConnectionConfig

__all__ = ["bars", "by_degree", "pairs"]

ROWS = 1_000
SPACE = "space"
_NODE = "UNWIND $rows AS row MERGE (n:Memory {_key: row._key}) SET n = row"
_EDGE = (
    "UNWIND $rows AS row MATCH (a:Memory {_key: row.start}) MATCH (b:MemorySpace {_key: row.end}) "
    "MERGE (a)-[r:IN_SPACE {_owner: row.owner}]->(b) SET r = row.properties"
)


async def filled(backend: SqliteBackend, number: int) -> None:
    """Memories, each of which is a node with one edge: it is in a space."""
    for at in range(number):
        memory = {"memorySpaceId": SPACE, "memoryId": f"m-{at}", "content": f"What was said, {at}.", "tags": ["said"]}
        kind = {"contentType": "raw", "sourceType": "system", "importance": 50}
        await backend.mutation("memories:store", memory | kind)


async def empty(graph: GraphAdapter) -> None:
    """Leave the constraints, the space and nothing else."""
    await graph.clear_database()
    await graph.query(
        "CREATE (:MemorySpace {_key: $key, _rev: 0, memorySpaceId: $space})", {"key": f'["{SPACE}"]', "space": SPACE}
    )


async def rows_of(backend: SqliteBackend) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of all nodes and all edges, as a loop by hand would have them ready."""
    await _queued(backend)
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    after = 0
    while batch := await GraphSync(backend).get_batch(limit=ROWS, after=after):
        after = batch[-1]["revision"]
        for each in map(project, batch):
            mark = {"_owner": str(each.owner), "_rev": each.revision}
            nodes += [{**node.properties, "_key": node.at.key, "_rev": each.revision} for node in each.nodes]
            edges += [
                {
                    "start": edge.start.key,
                    "end": edge.end.key,
                    "owner": mark["_owner"],
                    "properties": {**edge.properties, **mark},
                }
                for edge in each.edges
            ]
    return nodes, edges


async def _queued(backend: SqliteBackend) -> None:
    """All records wait in the outbox."""
    outbox = GraphSync(backend)
    await outbox.keep(enabled=False)
    await outbox.keep(enabled=True)


async def by_hand(graph: GraphAdapter, nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> None:
    """A transaction for each thousand nodes, with their edges. It reads nothing, and acknowledges nothing."""
    for start in range(0, len(nodes), ROWS):
        part = slice(start, start + ROWS)
        statements: list[Statement] = [(_NODE, {"rows": nodes[part]}), (_EDGE, {"rows": edges[part]})]
        await graph.write(statements)


async def pairs(graph: GraphAdapter, number: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of the drainer and of the loop by hand, in turn, each beginning every second round. The first round is
    not counted. What is in the graph in the end is compared.
    """
    took: dict[str, list[float]] = {"drainer": [], "hand": []}
    async with _store() as backend:
        await filled(backend, number)
        nodes, edges = await rows_of(backend)
        assert len(nodes) == len(edges) == number

        async def drain() -> None:
            report = await Drainer(graph, backend).drain()
            assert report.written == number, report

        ways = {"drainer": drain, "hand": lambda: by_hand(graph, nodes, edges)}
        for at in range(-1, rounds):
            for name in list(ways)[:: -1 if at % 2 else 1]:
                await empty(graph)
                await _queued(backend)
                start = time.perf_counter()
                await ways[name]()
                if at >= 0:
                    took[name].append(time.perf_counter() - start)
                found = await graph.count_nodes("Memory"), await graph.count_edges("IN_SPACE")
                assert found == (number, number), f"{name}: {found}"
    return took


async def by_degree(graph: GraphAdapter, degrees: Sequence[int], edges: int) -> dict[int, float]:
    """Seconds for an edge at a node that has so many already, each the median of nine writes of `edges` new ones."""
    took: dict[int, float] = {}
    await empty(graph)
    degree = 0

    async def more(number: int) -> float:
        nonlocal degree
        items = [_item(degree + at) for at in range(number)]
        projections = [project(item) for item in items]
        degree += number
        start = time.perf_counter()
        assert not await write(graph, Fence("benchmark", 1), projections)
        return (time.perf_counter() - start) / number

    for want in degrees:
        while degree < want:
            await more(min(ROWS, want - degree))
        took[want] = median([await more(edges) for _ in range(9)])
    return took


def _item(number: int) -> dict[str, Any]:
    key = {"table": "memories", "memorySpaceId": SPACE, "entityId": f"d-{number}", "revision": number + 1}
    own = {"memorySpaceId": SPACE, "memoryId": f"d-{number}"}
    record = {**own, "content": "x", "contentType": "raw", "isPartial": False, "createdAt": 0}
    return {**key, "record": record, "attempts": 0}


def bars(took: Mapping[str, Sequence[float]], degrees: Mapping[int, float]) -> list[Bar]:
    """What may be at most how much."""
    ratio = median(one / other for one, other in zip(took["drainer"], took["hand"], strict=True))
    few, many = min(degrees), max(degrees)
    return [
        Bar("drainer / hand", ratio, 1.35),
        Bar(f"an edge at degree {many:,} / at {few:,}", degrees[many] / degrees[few], 1.5),
    ]


@asynccontextmanager
async def _store() -> AsyncIterator[SqliteBackend]:
    with tempfile.TemporaryDirectory() as folder:
        async with SqliteBackend(Path(folder) / "memory.db") as backend:
            yield backend


@asynccontextmanager
async def _opened(uri: str | None) -> AsyncIterator[GraphAdapter]:
    if uri is None:
        with tempfile.TemporaryDirectory() as folder:
            async with LocalGraph(folder) as graph:
                yield graph
        return
    user, password = os.environ.get("GRAPH_USER", "neo4j"), os.environ.get("GRAPH_PASSWORD", "")
    config = GraphConnectionConfig(uri=uri, username=user, password=password)
    async with CypherGraphAdapter(config) as graph:
        if await graph.count_nodes():
            raise SystemExit(f"the database at {uri} is not empty: all in it would be deleted")
        yield graph


async def _main(given: argparse.Namespace) -> int:
    found = machine()
    async with _opened(given.uri) as graph:
        await initialize_graph_schema(graph)
        took = await pairs(graph, given.rows, given.rounds)
        degrees = await by_degree(graph, given.degrees, 200)
    print(f"\n{given.rows:,} nodes and {given.rows:,} edges, median of {given.rounds} pairs, seconds")
    for name, times in took.items():
        print(f"  {name:12}{median(times):9.2f}")
    print("\nan edge at a node with so many, microseconds")
    for degree, seconds in degrees.items():
        print(f"  {degree:12,}{seconds * 1e6:9.1f}")
    promised = bars(took, degrees)
    show_bars(promised)
    figures = {"machine": found, "rows": given.rows, "seconds": took, "degrees": degrees}
    write_figures(given.json, figures, promised)
    return int(given.check and not all(bar.holds for bar in promised))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph", description=__doc__)
    parser.add_argument("--uri", help="a server with an empty database; GRAPH_USER and GRAPH_PASSWORD are for it")
    parser.add_argument("--rounds", type=int, default=9, help="pairs that are counted (default 9)")
    parser.add_argument("--rows", type=int, default=10_000, help="nodes, and edges (default 10,000)")
    parser.add_argument("--degrees", type=int, nargs="+", default=[1_000, 50_000], help="default 1000 50000")
    parser.add_argument("--json", type=Path, default=Path("build/graph.json"), help="where the figures are written")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar does not hold")
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
