"""Disorder: two drainers, of which each is late at times, rows that come twice and in any order, and answers that are
lost, while records are deleted and made again. The graph ends as what the store says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from helpers.graph_stores import all_rows, remember, tell, without_revision
from helpers.lanes import examples
from helpers.memory_graph import MemoryGraph, projected
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.errors import GraphConnectionError, GraphError, StoreError, StoreUnavailable
from cortex_rx.graph.draining import LEASE, Drainer
from cortex_rx.testing import run_virtual

IDS = st.sampled_from(["a", "b"])
TABLES = ("memories", "conversations", "facts", "contexts", "users", "mutable")
WHO = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["make", "change", "delete"]), st.tuples(st.sampled_from(TABLES), IDS, IDS)),
    st.tuples(st.just("drain"), WHO),
    st.tuples(st.just("late"), st.tuples(WHO, st.sampled_from(["read", "write", "acknowledge"]))),
    st.tuples(st.just("lost"), st.tuples(WHO, st.sampled_from(["write", "acknowledge"]))),
    st.tuples(st.just("overtaken"), st.tuples(WHO, st.sampled_from(TABLES), IDS, IDS)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, LEASE / 2, 2 * LEASE])),
)
AWAY = 3 * LEASE  # how late: by then the lease is another's


class Way:
    """The way of one drainer to the store and to the graph. What is next on it may be late, or lose its answer."""

    def __init__(self, backend: SqliteBackend, graph: MemoryGraph, seed: int) -> None:
        self._backend, self._graph = backend, graph
        self._draw = random.Random(seed)
        self.late: set[str] = set()
        self.lost: set[str] = set()
        self.dialect = graph.dialect
        self.alter = graph.alter

    async def _arrive(self, what: str) -> None:
        if what in self.late:
            self.late.remove(what)
            await asyncio.sleep(AWAY)

    # As a backend.

    async def query(self, path: str, args: Mapping[str, Any] | None = None, **how: Any) -> Any:
        if ":" not in path or path.startswith(("MATCH", "UNWIND")):
            return await self._graph.query(path, args, **how)
        found = await self._backend.query(path, args or {})
        if path == "graphSync:getBatch" and found:
            *others, last = [row for row in found for _ in range(self._draw.choice((1, 1, 2)))]
            self._draw.shuffle(others)
            await self._arrive("read")
            return [*others, last]
        return found

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        if path != "graphSync:markSynced":
            return await self._backend.mutation(path, args)
        await self._arrive("acknowledge")
        done = await self._backend.mutation(path, args)
        if "acknowledge" in self.lost:
            self.lost.remove("acknowledge")
            raise StoreUnavailable("the answer was lost")
        return done

    async def close(self) -> None:
        pass

    # As a graph.

    async def write(self, statements: Any) -> Any:
        await self._arrive("write")
        done = await self._graph.write(statements)
        if "write" in self.lost:
            self.lost.remove("write")
            raise GraphConnectionError("the answer was lost")
        return done


class Disorder:
    def __init__(self, backend: SqliteBackend, seed: int) -> None:
        self._backend = backend
        self._graph = MemoryGraph(seconds=0.01)
        self._ways = [Way(backend, self._graph, seed + number) for number in range(2)]
        self._drainers = [Drainer(way, way, batch=3) for way in self._ways]  # type: ignore[arg-type]
        self._running: list[asyncio.Task[None] | None] = [None, None]
        self._changes = 0

    async def step(self, what: str, of: Any) -> None:
        match what:
            case "drain":
                task = self._running[of]
                if task is None or task.done():
                    self._running[of] = asyncio.ensure_future(self._drain(self._drainers[of]))
            case "late":
                self._ways[of[0]].late.add(of[1])
            case "lost":
                self._ways[of[0]].lost.add(of[1])
            case "wait":
                await asyncio.sleep(of)
            case "overtaken":  # what one is late to write is deleted, and gone by the other, before it arrives
                who, *record = of
                late, wait = ("late", (who, "write")), ("wait", 2 * LEASE)
                first, second = ("drain", who), ("drain", 1 - who)
                for each in (("make", record), late, first, ("wait", 0.5), ("delete", record), wait, second):
                    await self.step(*each)
            case _:
                with suppress(StoreError):  # it is there already, or not there
                    await self._change(what, *of)

    async def _drain(self, drainer: Drainer) -> None:
        with suppress(GraphError, StoreError):
            await drainer.drain()

    async def _change(self, what: str, table: str, name: str, other: str) -> None:
        self._changes += 1
        do, own = self._backend.mutation, {"memorySpaceId": "s"}
        match what, table:
            case "make", "memories":
                said = {"conversationRef": {"conversationId": other, "messageIds": ["q"]}, "userId": other}
                await remember(self._backend, "s", name, **said)
            case "change", "memories":
                await do("memories:update", {**own, "memoryId": name, "importance": self._changes % 100})
            case "delete", "memories":
                await do("memories:deleteMemory", {**own, "memoryId": name})
            case "make", "conversations":
                people = {"userId": other, "agentId": "bot"}
                called = {"conversationId": name, "type": "user-agent", "participants": people}
                await do("conversations:create", {**own, **called})
            case "delete", "conversations":
                await do("conversations:deleteConversation", {**own, "conversationId": name})
            case "make", "facts":
                source = {"sourceRef": {"conversationId": other}}
                await tell(self._backend, "s", f"{name}-{self._changes}", name, "knows", other, **source)
                await tell(self._backend, "s", name, name, "likes", other)
            case "change", "facts":
                await do("facts:update", {**own, "factId": name, "confidence": self._changes % 100})
            case "delete", "facts":
                await do("facts:deleteFact", {**own, "factId": name})
            case "make", "contexts":
                said = {"conversationRef": {"conversationId": other, "messageIds": ["q"]}}
                more = said | ({"parentId": other} if other != name else {})
                await do("contexts:create", {**own, "contextId": name, "purpose": "p", "status": "active", **more})
            case "change", "contexts":
                await do("contexts:update", {**own, "contextId": name, "status": "completed"})
            case "delete", "contexts":
                await do("contexts:deleteContext", {**own, "contextId": name})
            case "delete", "users":
                await do("users:deleteUserProfile", {"userId": name})
            case _, "users":
                await do("users:update", {"userId": name, "data": {"n": self._changes}})
            case "delete", "mutable":
                await do("mutable:deleteKey", {"namespace": "n", "key": name})
            case _, "mutable":
                await do("mutable:set", {"namespace": "n", "key": name, "value": self._changes})
            case _:
                pass

    async def end(self) -> None:
        """All that was on its way arrives. Then one drainer more, and both are equal."""
        await asyncio.gather(*(task for task in self._running if task))
        outbox = GraphSync(self._backend)
        assert (await outbox.get_sync_stats())["failed"] == 0
        await outbox.retry()
        await Drainer(self._graph, self._backend).drain()  # type: ignore[arg-type]
        assert (await outbox.get_sync_stats())["unsynced"] == 0
        there = projected(await all_rows(outbox))
        bare = {at for at, node in self._graph.nodes.items() if node["_rev"] == 0} - there.nodes.keys()
        assert {at: without_revision(one) for at, one in self._graph.nodes.items() if at not in bare} == {
            at: without_revision(one) for at, one in there.nodes.items()
        }
        assert {at: without_revision(one) for at, one in self._graph.edges.items()} == {
            at: without_revision(one) for at, one in there.edges.items()
        }


def made_later(table: str) -> list[tuple[str, Any]]:
    """A record is in the graph before the conversation that it names is in the store."""
    return [("make", (table, "a", "a")), ("drain", 0), ("wait", 0.5), ("make", ("conversations", "a", "a"))]


@given(st.lists(STEPS, min_size=10, max_size=50), st.integers(0, 2**16))
@example(made_later("memories"), 0)
@example(made_later("facts"), 0)
@example(made_later("contexts"), 0)
@settings(max_examples=examples(60), deadline=None)
def test_however_late_and_however_often_the_graph_ends_as_the_store(steps: list[tuple[str, Any]], seed: int) -> None:
    async def main() -> None:
        clock = asyncio.get_running_loop().wall  # type: ignore[attr-defined]
        async with SqliteBackend(":memory:", clock=clock) as backend:
            await GraphSync(backend).keep(enabled=True)
            disorder = Disorder(backend, seed)
            for what, of in steps:
                await disorder.step(what, of)
            await disorder.end()

    run_virtual(main())
