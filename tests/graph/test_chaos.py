"""Chaos: while answers stream into memory, the way to the graph is cut, and its server is killed. Then the graph is
what the store says, exactly: nothing is lost, nothing is there twice, and nothing is stuck.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.graph_stores import all_rows, fill, without_revision
from helpers.memory_graph import projected
from services.arcadedb import OwnArcadeDB
from services.fixtures import do_without
from services.neo4j import OwnNeo4j
from services.proxy import WEIGHTS, Plan, Proxy
from services.run import Unavailable
from services.server import Server, kill

from cortex_rx import remember_stream
from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.errors import CortexError, GraphError, StillOwned
from cortex_rx.graph import draining
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.draining import Drainer
from cortex_rx.graph.projection import End
from cortex_rx.graph.schema import initialize_graph_schema
from cortex_rx.graph.verifying import compare_graph
from cortex_rx.models.graph import GraphConnectionConfig

SEED = 20
WAVES, STREAMS = 10, 20  # 200 streams at least
FATES = WEIGHTS.keys() - {"pass"}  # all of them come true
KILLS = 3, 7  # in the middle of these waves
SPACES = "support", "sales", "lab"
PEOPLE = "Ada", "Bob", "Eve", "Dan"
THINGS = "tea", "Bern", "chess", "Ada"


OWN: dict[str, Any] = {"arcadedb": OwnArcadeDB, "neo4j": OwnNeo4j}


class Killable:
    """A graph server of the test's own, in a folder. It can be killed, and started again on its files and its port."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._start = partial(OWN[kind], folder)
        self._own = self._start()
        self.server: Server = self._own.server
        self.port: int = self._own.port

    def kill(self) -> None:
        kill(self._own.program)

    def start(self) -> None:
        self._own = self._start(port=self.port)

    def stop(self) -> None:
        self._own.program.stop()


@contextmanager
def killable(kind: str, folder: Path) -> Iterator[Killable]:
    try:
        found = Killable(kind, folder)
    except Unavailable as error:
        do_without(kind, error)
    try:
        yield found
    finally:
        found.stop()


class Talk:
    """Streams that are remembered or rolled back, and deletions of what was remembered before, by a seed."""

    def __init__(self, backend: SqliteBackend) -> None:
        self._backend = backend
        self._draw = random.Random(SEED)
        self._number = 0
        self._remembered: list[tuple[str, str, list[str]]] = []
        self.counts = Counter[str]()

    async def wave(self) -> None:
        """As many streams at once, while some of what there was goes."""
        streams = [self._stream() for _ in range(STREAMS)]
        await asyncio.gather(*streams, *(self._delete() for _ in range(STREAMS // 4)))

    def _stream(self) -> Awaitable[None]:
        self._number += 1
        number, space, person = self._number, self._draw.choice(SPACES), self._draw.choice(PEOPLE)
        fails = self._draw.random() < 0.15
        said = self._draw.random() < 0.5
        predicate, thing = self._draw.choice(("likes", "knows", "thinks of")), self._draw.choice(THINGS)

        async def words() -> AsyncIterator[str]:
            for word in (person, predicate, thing, f"({number})"):
                yield f"{word} "
                await asyncio.sleep(0)
            if fails:
                raise ConnectionError("the model is away")

        def facts(question: str, answer: str) -> list[dict[str, Any]]:
            triple = {"subject": person, "predicate": predicate, "object": thing}
            fact = {"fact": answer, "factType": "preference", "confidence": 80, **triple}
            return [fact] if said and answer else []

        async def run() -> None:
            answer = remember_stream(
                words,
                {"partial_failure_handling": "rollback", "store_partial_response": True},
                backend=self._backend, memory_space_id=space, conversation_id=f"c-{number % 30}-{space}",
                user_message=f"What of {person}?", user_id=person.lower(), user_name=person, extract_facts=facts,
            )  # fmt: skip
            try:
                result = await answer
            except (CortexError, ConnectionError):
                assert fails
                self.counts["rolled back"] += 1
                return
            assert not fails
            self.counts["remembered"] += 1
            kept = [memory.memory_id for memory in result.memories[:1]]
            self._remembered.append((space, f"c-{number % 30}-{space}", kept))

        return run()

    async def _delete(self) -> None:
        if not self._remembered:
            return
        at = self._draw.randrange(len(self._remembered))
        space, conversation, memories = self._remembered.pop(at)
        where = {"memorySpaceId": space}
        if self._draw.random() < 0.2:
            with suppress(LookupError, StillOwned):  # it went before; a stream writes to it
                await self._backend.mutation(
                    "conversations:deleteConversation", {**where, "conversationId": conversation}
                )
        for memory_id in memories:
            await self._backend.mutation("memories:deleteMemory", {**where, "memoryId": memory_id})
        self.counts["deleted"] += 1


class Worker:
    """A drainer of its own behind the proxy, which drains again and again, whatever happens."""

    def __init__(self, graph: CypherGraphAdapter, backend: SqliteBackend, counts: Counter[str]) -> None:
        self._drainer = Drainer(graph, backend, batch=25, lease=2.0)
        self._counts = counts
        self._tried = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                await self._drainer.drain()
                self._counts["drained"] += 1
            except GraphError as error:
                self._counts[type(error).__name__] += 1
            self._tried.set()
            await asyncio.sleep(max(self._drainer.pause, 0.005))

    async def has_tried(self) -> None:
        """Wait until it has drained once more, or has failed to."""
        self._tried.clear()
        await self._tried.wait()


NODES = "MATCH (n) WHERE NOT n:CortexSync RETURN labels(n) AS labels, properties(n) AS properties"
EDGES = (
    "MATCH (a)-[r]->(b) RETURN type(r) AS type, labels(a)[0] AS start, a._key AS a, labels(b)[0] AS end, b._key AS b, "
    "properties(r) AS properties"
)


def assert_shows(server: Server, rows: list[Any]) -> None:
    """By the driver alone: each node and each edge is there once, as the projection of the store says.

    Beside them there may be bare nodes, of which a record that is gone has spoken. No edge is left at one.
    """
    there = projected(rows)
    nodes, edges = server.ask(NODES), server.ask(EDGES)
    found = {End(one["labels"][0], one["properties"]["_key"]): one["properties"] for one in nodes}  # type: ignore[index]
    assert len(found) == len(nodes), "a node is there twice"
    bare = {at for at in found.keys() - there.nodes.keys() if found[at]["_rev"] == 0}
    assert {at: without_revision(one) for at, one in found.items() if at not in bare} == {
        at: without_revision(one) for at, one in there.nodes.items()
    }
    lines = [
        (one["type"], End(one["start"], one["a"]), End(one["end"], one["b"]), one["properties"]["_owner"])  # type: ignore[index,arg-type]
        for one in edges
    ]
    assert len(set(lines)) == len(lines), "an edge is there twice"
    assert {at: without_revision(one["properties"]) for at, one in zip(lines, edges, strict=True)} == {
        at: without_revision(one) for at, one in there.edges.items()
    }


def connection(server: Server, port: int, **more: Any) -> GraphConnectionConfig:
    uri = f"bolt://127.0.0.1:{port}"
    return GraphConnectionConfig(uri, *server.auth, database=server.database, **more)


@pytest.mark.slow(reason="200 streams, and a server that is killed twice")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["arcadedb", "neo4j"])
async def test_after_chaos_the_graph_is_what_the_store_says(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "_AWAY_FIRST", 0.01)
    monkeypatch.setattr(draining, "_AWAY_LONGEST", 0.1)
    counts = Counter[str]()
    async with AsyncExitStack() as stack:
        running = stack.enter_context(killable(kind, tmp_path))
        backend = await stack.enter_async_context(SqliteBackend(tmp_path / "memory.db"))
        proxy = await stack.enter_async_context(Proxy(running.port))
        async with CypherGraphAdapter(connection(running.server, running.port)) as direct:
            await initialize_graph_schema(direct)
        brief = {"connection_timeout": 2_000, "query_timeout": 5_000, "retry_time": 200}
        graphs = [
            await stack.enter_async_context(CypherGraphAdapter(connection(running.server, proxy.port, **brief)))
            for _ in range(2)
        ]
        for space in SPACES:
            await fill(backend, space)
        talk = Talk(backend)
        proxy.plan = Plan(SEED, most=20_000)
        workers = [Worker(graph, backend, counts) for graph in graphs]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(worker.run()) for worker in workers]
            for wave in itertools.count():
                if wave >= WAVES and proxy.counts.keys() >= FATES:
                    break
                if wave in KILLS:
                    await asyncio.to_thread(running.kill)
                await talk.wave()  # no stream waits for the server
                proxy.cut()
                for worker in workers:
                    await worker.has_tried()
                if wave in KILLS:
                    await asyncio.to_thread(running.start)
                    for worker in workers:
                        await worker.has_tried()
            for task in tasks:
                task.cancel()
        assert talk.counts["remembered"] + talk.counts["rolled back"] == wave * STREAMS >= 200
        assert talk.counts["rolled back"] > 10 and talk.counts["deleted"] > 20
        assert counts["drained"] and counts["GraphConnectionError"], counts

        outbox = GraphSync(backend)
        async with CypherGraphAdapter(connection(running.server, running.port)) as direct:
            assert (await outbox.get_sync_stats())["failed"] == 0, "no record was refused for a lost connection"
            await outbox.retry()  # what waits for a later time
            await Drainer(direct, backend).drain()
            stats = await outbox.get_sync_stats()
            assert (stats["unsynced"], stats["failed"]) == (0, 0)
            report = await compare_graph(direct, backend)
            assert report.equal and not report.queued, str(report)
            assert sum(one.graph for one in report.nodes if one.name == "Memory") > WAVES * STREAMS
            assert_shows(running.server, await all_rows(outbox))
