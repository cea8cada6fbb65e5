"""The drainer, in virtual time: a real store, and a graph in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from helpers.memory_graph import MemoryGraph, projected

from cortex_rx import Cortex
from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.errors import GraphConnectionError, GraphQueryError, GraphSchemaError, GraphSyncError, GraphTimeout
from cortex_rx.graph.draining import BATCH, LEASE, TRIES, Drainer, GraphDrainReport, drainer_of
from cortex_rx.graph.writing import ROWS
from cortex_rx.testing import run_virtual

SPACE = "support"


def wall() -> float:
    return asyncio.get_running_loop().wall()  # type: ignore[attr-defined, no-any-return]


class Store(SqliteBackend):
    """A store whose clock is the virtual one, and whose calls are counted."""

    def __init__(self, path: Any = ":memory:") -> None:
        super().__init__(path, clock=wall)
        self.calls: Counter[str] = Counter()

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        self.calls[path] += 1
        return await super().query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        self.calls[path] += 1
        return await super().mutation(path, args)


async def say(store: Store, number: int = 1) -> None:
    """Remember an exchange, with a fact."""
    await Cortex(store).memory.remember(
        memory_space_id=SPACE, conversation_id=f"c-{number}", user_message=f"Question {number}",
        agent_response=f"Answer {number}", user_id="ada", user_name="Ada",
        extract_facts=lambda question, answer: [{
            "fact": f"Ada likes tea {number}.", "factType": "preference", "confidence": 90, "subject": "Ada",
            "predicate": "likes", "object": f"tea {number}",
        }],
    )  # fmt: skip


async def memories(store: Store, count: int) -> None:
    for number in range(count):
        await store.mutation(
            "memories:store",
            {
                "memorySpaceId": SPACE, "memoryId": f"m-{number}", "content": f"Thing {number}", "contentType": "raw",
                "sourceType": "system", "importance": 50, "tags": [],
            },
        )  # fmt: skip


def shown(nodes: Any) -> Any:
    """Without the revisions: those of another outbox differ."""
    return {at: {name: value for name, value in one.items() if name != "_rev"} for at, one in nodes.items()}


async def assert_shows(graph: MemoryGraph, store: Store) -> None:
    """The graph has what the projection of the store has, and bare nodes beside it at most."""
    await GraphSync(store).keep(enabled=False)
    await GraphSync(store).keep(enabled=True)
    there = projected(await GraphSync(store).get_batch())
    assert shown(graph.edges) == shown(there.edges)
    bare = {at for at, node in graph.nodes.items() if node["_rev"] == 0}
    assert shown({at: node for at, node in graph.nodes.items() if at in there.nodes}) == shown(there.nodes)
    assert graph.nodes.keys() - there.nodes.keys() <= bare


def run(main: Any) -> None:
    async def whole() -> None:
        async with Store() as store:
            await main(store)

    run_virtual(whole())


def test_what_was_there_and_what_comes_is_in_the_graph() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        drainer = Drainer(graph, store)
        await say(store)
        report = await drainer.drain()
        assert report == GraphDrainReport(4), "a conversation, two memories and a fact"
        await say(store, 2)
        await store.mutation("memorySpaces:register", {"memorySpaceId": SPACE, "name": "Support", "type": "team"})
        await drainer.drain()
        assert (await drainer.drain()).written == 0
        assert len(graph.shown("Memory")) == 4 and len(graph.shown("Fact")) == 2
        await assert_shows(graph, store)

    run(main)


def test_a_batch_is_one_read_one_transaction_and_one_acknowledgement() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await memories(store, 120)
        drainer = Drainer(graph, store, batch=60)
        await drainer.keep()
        store.calls.clear()
        assert (await drainer.drain()).written == 120
        assert store.calls == {
            "graphSync:getSettings": 1, "graphSync:getSyncStats": 1, "graphSync:lease": 1, "graphSync:release": 1,
            "graphSync:getBatch": 2, "graphSync:markSynced": 2,
        }  # fmt: skip
        assert BATCH == ROWS == 1_000
        for statements in graph.transactions:
            assert len(statements) == len(set(statements)) == 5, "the fence, memories, space, IN_SPACE, what is stale"

    run(main)


def test_a_server_that_is_away_is_no_fault_of_a_row() -> None:
    async def main(store: Store) -> None:
        graph, time = MemoryGraph(), asyncio.get_running_loop().time
        drainer = Drainer(graph, store)
        await drainer.drain()
        await say(store)
        graph.away = True
        asked, pauses = 0, []
        while asked < 10:
            with pytest.raises(GraphConnectionError):
                await drainer.drain()
            before = store.calls.copy()
            with pytest.raises(GraphConnectionError):
                await drainer.drain()
            assert store.calls == before, "nothing is asked during the pause"
            pauses.append(drainer.pause)
            await asyncio.sleep(drainer.pause + 0.001)
            asked += 1
        longest = [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True)), pauses
        assert max(pauses) <= 60 and time() < 10 * 60
        (rows, stats) = await GraphSync(store).get_batch(), await GraphSync(store).get_sync_stats()
        assert rows and {row["attempts"] for row in rows} == {0} and stats["failed"] == stats["waiting"] == 0
        graph.away = False
        assert (await drainer.drain()).written == len(rows)
        await assert_shows(graph, store)

    run(main)


def test_a_row_that_is_refused_becomes_a_dead_letter_alone() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        graph.refuses = lambda row: row.get("memoryId") == "m-13"
        await memories(store, 40)
        drainer, outbox = Drainer(graph, store), GraphSync(store)
        report = await drainer.drain()
        assert (report.written, report.failed, report.dead) == (39, 1, 0)
        assert report.behind == {("memories", SPACE, "m-13")}
        assert len(graph.transactions) < 4 * 6, "halves, not one by one"
        for attempt in range(2, TRIES + 1):
            assert (await drainer.drain()).failed == 0, "not before its time"
            await asyncio.sleep(300)
            report = await drainer.drain()
            assert (report.failed, report.dead) == ((1, 0) if attempt < TRIES else (0, 1))
        (letter,) = await outbox.get_failed_items()
        assert (letter["entityId"], letter["attempts"], letter["error"]) == ("m-13", TRIES, "GRAPH_QUERY_ERROR")
        assert (await drainer.drain()) == GraphDrainReport()
        graph.refuses = lambda row: False
        assert (await outbox.retry())["retried"] == 1
        assert (await drainer.drain()).written == 1
        assert len(graph.shown("Memory")) == 40
        await assert_shows(graph, store)

    run(main)


def test_a_server_that_refuses_everything_is_no_fault_of_a_row() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await memories(store, 5)
        drainer = Drainer(graph, store)

        async def full(statements: Any) -> Any:
            raise GraphQueryError("no space is left", "Test.Full")

        graph.write, write = full, graph.write  # type: ignore[method-assign]
        with pytest.raises(GraphQueryError, match="no space"):
            await drainer.drain()
        assert {row["attempts"] for row in await GraphSync(store).get_batch()} == {0}
        graph.write = write  # type: ignore[method-assign]
        assert (await drainer.drain()).written == 5

    run(main)


def test_a_batch_that_takes_too_long_is_smaller_the_next_time() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await memories(store, 20)
        drainer, sizes, write = Drainer(graph, store, batch=16), [], graph.write

        async def slow(statements: Any) -> Any:
            size = max((len(values.get("rows", ())) for _, values in statements), default=0)
            sizes.append(size)
            if size > 4:
                raise GraphTimeout("too slow")
            return await write(statements)

        graph.write = slow  # type: ignore[method-assign]
        for _ in range(2):
            with pytest.raises(GraphTimeout):
                await drainer.drain()
            await asyncio.sleep(drainer.pause + 0.001)
        assert (await drainer.drain()).written == 20 and drainer.size == 16
        assert sizes == [16, 8, 4, 4, 4, 4, 4]

    run(main)


def test_a_write_whose_answer_was_lost_is_made_again_and_doubles_nothing() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await say(store)
        drainer = Drainer(graph, store)
        graph.loses_answers = 1
        with pytest.raises(GraphConnectionError):
            await drainer.drain()
        before = shown(graph.nodes), shown(graph.edges)
        assert (await GraphSync(store).get_sync_stats())["unsynced"], "nothing is acknowledged that was not answered"
        await asyncio.sleep(drainer.pause + 0.001)
        await drainer.drain()
        assert (shown(graph.nodes), shown(graph.edges)) == before
        await assert_shows(graph, store)

    run(main)


def test_a_drainer_that_was_paused_does_not_bring_back_what_its_successor_deleted() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await memories(store, 3)
        slow, quick, write = Drainer(graph, store), Drainer(graph, store), graph.write

        async def paused(statements: Any) -> Any:
            graph.write = write  # type: ignore[method-assign]
            await asyncio.sleep(2 * LEASE)  # it has read m-1, and its process stands still
            return await write(statements)

        graph.write = paused  # type: ignore[method-assign]
        first = asyncio.ensure_future(slow.drain())
        await asyncio.sleep(1)
        await store.mutation("memories:deleteMemory", {"memorySpaceId": SPACE, "memoryId": "m-1"})
        await quick.drain()
        assert {one["memoryId"] for one in graph.shown("Memory")} == {"m-0", "m-2"}
        assert not first.done()
        await first
        assert {one["memoryId"] for one in graph.shown("Memory")} == {"m-0", "m-2"}
        await assert_shows(graph, store)

    run(main)


def test_of_two_drainers_one_works_and_the_other_waits_until_its_rows_are_written() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph(seconds=1.0)
        await memories(store, 30)
        drainers = [Drainer(graph, store, batch=10) for _ in range(2)]
        reports = await asyncio.gather(*(drainer.drain() for drainer in drainers))
        assert sorted(report.written for report in reports) == [0, 30]
        assert len(graph.transactions) == 3 and len(graph.shown("Memory")) == 30

    run(main)


def test_who_asks_while_a_drain_is_under_way_waits_for_the_next_one_together() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph(seconds=0.1)
        drainer = drainer_of(graph, store)
        assert drainer_of(graph, store) is drainer
        await drainer.keep()
        leases = store.calls["graphSync:lease"]

        async def one(number: int) -> None:
            await memories(store, 1)
            await drainer_of(graph, store).drain()
            assert len(graph.shown("Memory")) == 1

        await asyncio.gather(*map(one, range(50)))
        assert store.calls["graphSync:lease"] - leases <= 3
        assert (await GraphSync(store).get_sync_stats())["unsynced"] == 0

    run(main)


def test_an_edge_waits_for_the_node_of_a_record_that_is_there() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await say(store)
        report = await Drainer(graph, store, batch=1).drain()
        assert report.waiting == report.failed == 0, "what was missing came in the same drain"
        await assert_shows(graph, store)

        # The conversation is refused: its memories are shown, and wait with their edge.
        graph = MemoryGraph()
        graph.refuses = lambda row: "messageCount" in row
        drainer = Drainer(graph, store)
        report = await drainer.drain()
        assert report.failed == 1 and report.waiting == 3, "two memories and a fact"
        assert len(graph.shown("Memory")) == 2 and not any(kind == "REFERENCES" for kind, *_ in graph.edges)
        stats = await GraphSync(store).get_sync_stats()
        assert (stats["unsynced"], stats["waiting"], stats["failed"]) == (4, 4, 0)
        for _ in range(2 * TRIES):
            await asyncio.sleep(300)
            await drainer.drain()
        assert [one["table"] for one in await GraphSync(store).get_failed_items()] == ["conversations"]
        graph.refuses = lambda row: False
        await GraphSync(store).retry()
        assert (await drainer.drain()).waiting == 0
        await assert_shows(graph, store)

    run(main)


def test_an_edge_to_a_record_that_is_gone_is_left_out() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await say(store)
        await store.mutation("conversations:deleteConversation", {"memorySpaceId": SPACE, "conversationId": "c-1"})
        report = await Drainer(graph, store).drain()
        assert report.waiting == report.failed == 0
        assert (await GraphSync(store).get_sync_stats())["unsynced"] == 0
        await assert_shows(graph, store)

    run(main)


def test_a_drain_that_is_cancelled_leaves_no_lease() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph(seconds=5.0)
        await memories(store, 3)
        drain = asyncio.ensure_future(Drainer(graph, store).drain())
        await asyncio.sleep(2)
        assert store.calls["graphSync:lease"] == 1 and not store.calls["graphSync:release"]
        drain.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drain
        assert (await GraphSync(store).lease(holder="another", seconds=1))["held"]
        await GraphSync(store).release(holder="another")
        assert (await Drainer(graph, store).drain()).written == 3

    run(main)


def test_a_long_drain_renews_its_lease() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph(seconds=LEASE / 2)
        await memories(store, 10)
        drain = asyncio.ensure_future(Drainer(graph, store, batch=1).drain())
        await asyncio.sleep(4 * LEASE)
        assert not (await GraphSync(store).lease(holder="another", seconds=1))["held"]
        assert (await drain).written == 10

    run(main)


def test_nothing_is_written_before_the_constraints_are_there() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        graph.has_schema = False
        await memories(store, 1)
        with pytest.raises(GraphSchemaError, match=r"lacks constraint on :Memory\(_key\).*initialize"):
            await Drainer(graph, store).drain()
        assert graph.nodes == {} and graph.transactions == []
        assert not (await GraphSync(store).get_settings())["enabled"]

    run(main)


def test_the_graph_of_another_store_or_of_a_later_state_is_refused() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await memories(store, 1)
        await Drainer(graph, store).drain()
        nodes = dict(graph.nodes)
        async with Store() as other:
            await memories(other, 2)
            with pytest.raises(GraphSyncError, match="that of another store"):
                await Drainer(graph, other).drain()
            assert (await GraphSync(other).get_sync_stats())["unsynced"] == 2
        await memories(store, 2)
        graph.state.fence["term"] += 100
        with pytest.raises(GraphSyncError, match="a later state of this store"):
            await Drainer(graph, store).drain()
        assert graph.nodes == nodes
        assert (await GraphSync(store).lease(holder="another", seconds=1))["held"], "the lease was given back"

    run(main)


def test_it_tells_how_far_it_is() -> None:
    async def main(store: Store) -> None:
        await memories(store, 5)
        heard: list[int] = []
        await Drainer(MemoryGraph(), store, batch=2).drain(lambda report: heard.append(report.written))
        assert heard == [2, 4, 5]

    run(main)


def test_a_change_while_a_row_is_written_is_written_next() -> None:
    async def main(store: Store) -> None:
        graph = MemoryGraph()
        await say(store)
        drainer, write = Drainer(graph, store), graph.write

        async def changing(statements: Any) -> Any:
            graph.write = write  # type: ignore[method-assign]
            await say(store, 1)
            return await write(statements)

        graph.write = changing  # type: ignore[method-assign]
        await drainer.drain()
        assert (await GraphSync(store).get_sync_stats())["unsynced"] > 0
        await drainer.drain()
        await assert_shows(graph, store)

    run(main)
