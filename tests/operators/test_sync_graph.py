"""`sync_graph`: the graph follows the store beside a stream, and by itself; the stream is as without it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from helpers.lanes import slow_but
from helpers.memory_graph import MemoryGraph
from helpers.operator_chains import plain, script, whole

from cortex_rx import operators as cx
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.engine import stream
from cortex_rx.errors import ChainOrderError, GraphSchemaError, InvalidArgument, ResumableStreamError
from cortex_rx.events import Begun, Delta, GraphSynced, Problem, Remembered
from cortex_rx.folds.result import ResultFold
from cortex_rx.graph.draining import Drainer
from cortex_rx.graph.outbox import Queued, outbox

SECOND = timedelta(seconds=1)


def following(lab: Any, graph: Any, **how: Any) -> Any:
    return cx.chain(whole(lab.store), cx.sync_graph(graph, lab.store, **how))


def memories(graph: MemoryGraph) -> dict[str, bool]:
    """The previews of memories, with whether each is partial."""
    return {one["content"]: one["isPartial"] for one in graph.shown("Memory")}


async def left(lab: Any) -> int:
    """How many rows wait in the outbox, and that nobody has its lease."""
    rows = GraphSync(lab.store.inner)
    assert (await rows.lease(holder="test", seconds=1))["held"]
    await rows.release(holder="test")
    return (await rows.get_sync_stats())["unsynced"]


def test_when_the_exchange_is_stored_the_graph_shows_it(lab: Any) -> None:
    graph = MemoryGraph()

    async def main() -> Any:
        outcome = await lab.play(lab.source("It is ", 0.1, "a test."), following(lab, graph))
        return outcome, await left(lab)

    outcome, rows = lab.run(main, thorough=True)
    assert memories(graph) == {"What is it?": False, "It is a test.": False} and rows == 0
    assert len(graph.transactions) == 1, "nothing while it streams"
    assert outcome.kinds[-2:] == ["Remembered", "GraphSynced"]
    synced = outcome.one(GraphSynced)
    assert (synced.kind, synced.memory_id) == ("finalized", outcome.one(Begun).memory_id) and synced.records >= 3


def test_progressively_the_partial_answer_has_a_node_that_follows_it(lab: Any) -> None:
    graph, seen = MemoryGraph(), []

    def watch(event: Any) -> None:
        if isinstance(event, GraphSynced):
            partial = {name: value for name, value in memories(graph).items() if name != "What is it?"}
            seen.append((round(asyncio.get_running_loop().time(), 1), event.kind, partial))

    async def main() -> Any:
        source = lab.source(*script(12, 1.0))
        outcome = await lab.play(source, following(lab, graph, progressive=True, interval=5 * SECOND), watch=watch)
        return outcome, await left(lab)

    outcome, rows = lab.run(main)
    texts = [next(iter(partial)) for _, _, partial in seen]
    assert [kind for _, kind, _ in seen] == ["node-created", "node-updated", "node-updated", "finalized"] and rows == 0
    times = [time for time, _, _ in seen]
    assert times[0] < 0.5 and 5 <= times[1] - times[0] < 6 and 5 <= times[2] - times[1] < 6
    assert texts[0] == "" and texts[3] == outcome.text and all(map(outcome.text.startswith, texts))
    assert [is_partial for _, _, partial in seen for is_partial in partial.values()] == [True, True, True, False]
    assert len(graph.shown("Memory")) == 2, "the node of the answer became that of the partial one"
    fold = ResultFold()
    for event in outcome.events:
        fold.add(event)
    processing = fold.result().progressive_processing
    assert processing is not None and processing.graph_sync_events is not None
    assert [one.event_type for one in processing.graph_sync_events] == [kind for _, kind, _ in seen]
    assert {one.node_id for one in processing.graph_sync_events} == {outcome.one(Begun).memory_id}


@pytest.mark.parametrize("away", [False, True], ids=["slow", "away"])
def test_no_delta_waits_for_a_graph(lab: Any, away: bool) -> None:
    graph = MemoryGraph(seconds=2.0)
    graph.away = away

    async def main() -> Any:
        chain = following(lab, graph, progressive=True, interval=SECOND)
        return await lab.play(lab.source(*script(400, 0.013)), chain, traced=False)

    outcome = lab.run(main)
    assert outcome.times(Delta) == lab.model.gave, "to the instant"
    assert outcome.one(Remembered).message_ids


def test_with_the_server_down_the_answer_is_remembered_and_later_it_is_synced(lab: Any) -> None:
    graph = MemoryGraph()
    graph.away = True

    async def main() -> Any:
        chain = following(lab, graph, progressive=True, interval=SECOND)
        outcome = await lab.play(lab.source(*script(30, 0.2)), chain)
        assert await left(lab) == 0, "no graph was ever kept"
        graph.away = False
        drainer = Drainer(graph, lab.store)
        await drainer.drain()
        assert memories(graph) == {"What is it?": False, outcome.text[:200]: False}
        graph.away = True
        again = await lab.play(lab.source("Yes.", stream="stream-2"), chain)
        assert again.one(Problem).code == "GRAPH_CONNECTION_ERROR"
        waiting = await left(lab)
        graph.away = False
        await drainer.drain()
        return outcome, waiting, await left(lab)

    outcome, waiting, rows = lab.run(main)
    problem = outcome.one(Problem)
    assert (problem.phase, problem.code, problem.recoverable) == ("storage", "GRAPH_CONNECTION_ERROR", True)
    assert outcome.error is None and outcome.of(GraphSynced) == [] and outcome.of(Remembered)
    assert waiting > 0 and rows == 0
    assert len(graph.shown("Memory")) == 4


def test_a_graph_that_hangs_is_waited_for_at_the_end_and_no_longer_than_said(lab: Any) -> None:
    graph = MemoryGraph()

    async def main() -> Any:
        chain = following(lab, graph, wait=3 * SECOND)
        await lab.play(lab.source("Yes."), chain)
        graph.seconds = 1_000.0
        outcome = await lab.play(lab.source("No.", stream="stream-2"), chain)
        return outcome, await left(lab)

    outcome, rows = lab.run(main, thorough=True)
    ended = next(time for time, event in outcome.seen if isinstance(event, Remembered))
    assert outcome.ended_at - ended == pytest.approx(3.0, abs=0.1)
    assert outcome.one(Problem).code == "GRAPH_SLOW" and rows > 0


def test_the_node_of_a_stream_that_is_rolled_back_goes(lab: Any) -> None:
    graph = MemoryGraph()

    async def main() -> Any:
        chain = cx.chain(
            cx.begin(lab.store), cx.persist_partial(lab.store), cx.recover("rollback", lab.store),
            cx.finalize(lab.store), cx.sync_graph(graph, lab.store, progressive=True, interval=SECOND),
        )  # fmt: skip
        partial: list[Any] = []
        source = lab.source(*script(5, 1.0), ConnectionError("cut"))
        outcome = await lab.play(source, chain, watch=lambda event: partial.append(memories(graph)))
        return outcome, partial, await left(lab)

    outcome, partial, rows = lab.run(main, thorough=True)
    assert isinstance(outcome.error, ConnectionError) and any(True in one.values() for one in partial)
    assert memories(graph) == {} and graph.shown("Conversation") == [] and rows == 0
    assert "finalized" not in [event.kind for event in outcome.of(GraphSynced)]


def test_the_node_of_a_stream_that_failed_shows_what_is_kept(lab: Any) -> None:
    graph = MemoryGraph()

    async def main() -> Any:
        chain = cx.chain(
            cx.begin(lab.store), cx.persist_partial(lab.store), cx.recover("store-partial", lab.store),
            cx.finalize(lab.store), cx.sync_graph(graph, lab.store),
        )  # fmt: skip
        outcome = await lab.play(lab.source("It is ", 0.1, "a", 0.1, ConnectionError("cut")), chain)
        return outcome, await left(lab)

    outcome, rows = lab.run(main)
    assert isinstance(outcome.error, ResumableStreamError) and rows == 0
    assert memories(graph) == {"It is a": True}


@pytest.mark.parametrize("after", slow_but([1.3], [0.55, 1.3, 3.2], "another time at which it is stopped"))
def test_a_stream_that_is_stopped_leaves_no_lease_and_the_graph_shows_what_is_kept(lab: Any, after: float) -> None:
    graph = MemoryGraph(seconds=0.3)

    async def main() -> Any:
        chain = following(lab, graph, progressive=True, interval=SECOND)
        reading = asyncio.ensure_future(lab.play(lab.source(*script(10, 0.5)), chain))
        await asyncio.sleep(after)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        return await lab.partial(), await left(lab)

    partial, rows = lab.run(main, thorough=after == 1.3)
    assert rows == 0 and memories(graph) == {partial: True}


def test_a_graph_without_constraints_is_a_problem_of_the_graph_alone(lab: Any) -> None:
    graph = MemoryGraph()
    graph.has_schema = False

    async def main() -> Any:
        return await lab.play(lab.source("Yes."), following(lab, graph, progressive=True))

    outcome = lab.run(main)
    assert outcome.one(Problem).code == "GRAPH_SCHEMA_ERROR" and outcome.one(Remembered)
    assert graph.nodes == {}


def test_an_answer_that_the_graph_refuses_is_a_problem(lab: Any) -> None:
    graph = MemoryGraph()
    graph.refuses = lambda row: row.get("content") == "Yes."

    async def main() -> Any:
        return await lab.play(lab.source("Yes."), following(lab, graph)), await left(lab)

    outcome, rows = lab.run(main)
    assert outcome.one(Problem).code == "GRAPH_BEHIND" and rows == 1 and outcome.of(GraphSynced) == []
    assert memories(graph) == {"What is it?": False}


@pytest.mark.slow(reason="many streams; that drains are shared is shown in test_draining.py")
def test_many_streams_share_the_drains(make_lab: Any) -> None:
    lab, graph = make_lab(), MemoryGraph(seconds=0.05)

    async def main() -> Any:
        chain = following(lab, graph)
        play = lab.play
        await asyncio.gather(*(
            play(lab.source("Yes.", stream=f"stream-{number}"), chain, traced=False) for number in range(20)
        ))  # fmt: skip
        return await left(lab)

    assert lab.run(main) == 0
    assert len(graph.shown("Memory")) == 40 and len(graph.transactions) < 10


# --- by itself --------------------------------------------------------------------------------------------------------


def test_by_itself_it_is_a_worker_that_keeps_the_graph_up_to_date(lab: Any) -> None:
    graph = MemoryGraph()

    async def main() -> Any:
        await lab.play(lab.source("Yes."), plain(lab.store), traced=False)
        seen: list[Any] = []

        async def work() -> None:
            async with stream(outbox(lab.store).pipe(cx.sync_graph(graph, lab.store))) as events:
                async for event in events:
                    seen.append((round(asyncio.get_running_loop().time()), event))

        worker = asyncio.ensure_future(work())
        await asyncio.sleep(3)
        assert memories(graph) == {"What is it?": False, "Yes.": False}, "what was there before"
        graph.away = True
        await lab.play(lab.source("No.", stream="stream-2"), plain(lab.store), traced=False)
        await asyncio.sleep(100)
        assert "No." not in memories(graph)
        graph.away = False
        await asyncio.sleep(61)
        assert "No." in memories(graph) and not worker.done()
        transactions = len(graph.transactions)
        await asyncio.sleep(100)
        assert len(graph.transactions) == transactions, "nothing is written when nothing has changed"
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker
        return [event for _, event in seen], await left(lab)

    events, rows = lab.run(main, thorough=True)
    assert rows == 0
    synced = [event for event in events if isinstance(event, GraphSynced)]
    assert [event.kind for event in synced] == ["drained", "drained"] and all(
        event.memory_id is None for event in synced
    )
    problems = [event for event in events if isinstance(event, Problem)]
    assert 5 < len(problems) < 16 and {problem.code for problem in problems} == {"GRAPH_CONNECTION_ERROR"}
    assert {type(event) for event in events} == {Queued, GraphSynced, Problem}


def test_a_worker_ends_with_an_error_that_no_later_try_can_mend(lab: Any) -> None:
    graph = MemoryGraph()
    graph.has_schema = False

    async def main() -> None:
        async with stream(outbox(lab.store).pipe(cx.sync_graph(graph, lab.store))) as events:
            async for _ in events:
                pass

    with pytest.raises(GraphSchemaError, match="initialize_graph_schema"):
        lab.run(main)


@pytest.mark.parametrize("seconds", [0.0, 1_000.0], ids=["while it waits", "while it writes"])
def test_a_worker_that_is_stopped_leaves_nothing(lab: Any, seconds: float) -> None:
    graph = MemoryGraph()

    async def main() -> int:
        await Drainer(graph, lab.store).drain()
        await lab.play(lab.source("Yes."), plain(lab.store), traced=False)
        graph.seconds = seconds

        async def work() -> None:
            async with stream(outbox(lab.store).pipe(cx.sync_graph(graph, lab.store))) as events:
                async for _ in events:
                    pass

        worker = asyncio.ensure_future(work())
        await asyncio.sleep(2.5)
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker
        assert asyncio.get_running_loop().time() < 10
        return await left(lab)

    assert (lab.run(main, thorough=True) > 0) == bool(seconds)


# --- how it is called -------------------------------------------------------------------------------------------------


def test_it_refuses_what_is_no_graph_and_stands_after_finalize(lab: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"graph: got .*; accepted: a GraphAdapter"):
        cx.sync_graph("bolt://localhost", lab.store)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="interval"):
        cx.sync_graph(MemoryGraph(), lab.store, interval=5)  # type: ignore[arg-type]
    with pytest.raises(ChainOrderError, match="sync_graph needs Remembered, which finalize emits"):
        cx.chain(cx.begin(lab.store), cx.sync_graph(MemoryGraph(), lab.store), cx.finalize(lab.store))(lab.source("a"))  # type: ignore[arg-type]
    assert cx.sync_graph(MemoryGraph(), lab.store).emits == {GraphSynced, Problem}  # type: ignore[arg-type]
