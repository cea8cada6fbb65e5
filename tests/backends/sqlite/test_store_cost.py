"""Costs, counted and not timed: memory in bytes allocated, work in steps of SQLite's machine."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.wal import WalMeter, exchange
from cortex_rx.backends import SqliteBackend


def counting_steps(store: Any) -> list[int]:
    """A list whose one item counts the steps of the writing connection, in hundreds."""
    steps = [0]

    def more() -> int:
        steps[0] += 1
        return 0

    store.backend._writer.set_progress_handler(more, 100)
    return steps


async def test_the_work_of_an_append_does_not_grow_with_the_answer(make_store: Any) -> None:
    store = make_store(":memory:")
    await store.begin()
    steps = counting_steps(store)
    costs: list[int] = []
    end = 0
    for _ in range(4):
        steps[0] = 0
        for _ in range(1000):
            end = await store.append(end, "some words that come in small pieces, ")
        costs.append(steps[0])
        end = await store.append(end, "and now and then a lot " * 20_000)
    assert max(costs[1:]) < 1.5 * costs[0]
    # A resend of what is stored reads what overlaps and no more.
    steps[0] = 0
    for _ in range(1000):
        await store.append(end - 10, "hen a lot ")
    assert steps[0] < costs[0]
    await store.backend.close()


async def test_a_long_answer_is_never_whole_in_memory(make_store: Any, tmp_path: Any) -> None:
    store = make_store(tmp_path / "memory.db")
    await store.begin()
    body = "a word and another " * 1000
    end = 0
    tracemalloc.start()
    try:
        for _ in range(100):
            end = await store.append(end, body)
        result = await store.finalize("", start=end)
        await store.list()
        peak = tracemalloc.get_traced_memory()[1]
        await store.search("another word")
        searching = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result["contentLength"] == end == 1_900_000
    assert peak < 1_000_000
    assert searching < 4_000_000  # a search lists the places of a word: here 200,000
    assert (await store.get("mem-001"))["content"] == body * 100
    await store.backend.close()


async def test_a_search_costs_by_its_own_space(make_store: Any) -> None:
    store = make_store(":memory:")
    await store.exchange("q", "zebra", "st")
    steps = counting_steps(store)
    costs: list[int] = []
    for round_ in range(2):
        await store.backend.compact()  # or the number of parts that the index is in would count too
        steps[0] = 0
        for _ in range(50):
            assert await store.found("zebra") == ["zebra"]
        costs.append(steps[0])
        for number in range(500 * (1 - round_)):
            await store.exchange("q", "zebra", f"st{number}", memorySpaceId="t")
    assert costs[1] < 1.05 * costs[0]
    await store.backend.close()


async def test_a_page_of_a_long_history_costs_as_much_anywhere(make_store: Any) -> None:
    store = make_store(":memory:")
    for number in range(300):
        await store.exchange("q", "a", f"st{number}")
    steps = counting_steps(store)
    costs: list[int] = []
    for offset in (0, 290, 590):
        steps[0] = 0
        for _ in range(20):
            args = {"memorySpaceId": "s", "conversationId": "c", "limit": 10, "offset": offset}
            assert len((await store.backend.query("conversations:getHistory", args))["messages"]) == 10
        costs.append(steps[0])
    assert max(costs) < 1.2 * min(costs)
    await store.backend.close()


async def test_a_write_does_not_cost_by_what_its_space_holds(make_store: Any) -> None:
    store = make_store(":memory:")
    alone = {"memorySpaceId": "s", "contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}
    await store.exchange("q", "a", "st")
    steps = counting_steps(store)
    costs: list[int] = []
    for round_ in range(2):
        steps[0] = 0
        for number in range(50):
            await store.exchange("q", "a", f"st{round_}-{number}")
            await store.backend.mutation("memories:store", {**alone, "content": "a"})
        costs.append(steps[0])
        for number in range(600 * (1 - round_)):
            await store.backend.mutation("memories:store", {**alone, "content": "a"})
    assert costs[1] < 1.3 * costs[0]
    await store.backend.close()


class Traced:
    """A backend whose mutations note their statements, without those that FTS5 makes of its own."""

    def __init__(self, backend: SqliteBackend) -> None:
        self.backend = backend
        self.calls: list[tuple[str, str]] = []

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self.backend.query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        statements: list[str] = []
        writer: Any = self.backend._writer
        writer.set_trace_callback(statements.append)
        try:
            return await self.backend.mutation(path, args)
        finally:
            writer.set_trace_callback(None)
            self.calls.append((path, " ".join(text.split()[0] for text in statements if not text.startswith("--"))))

    async def close(self) -> None:
        await self.backend.close()


async def test_an_exchange_costs_as_many_statements_as_it_must(tmp_path: Path) -> None:
    """In an old conversation 13, 5 and 31; in a new one 16, 5 and 31: 1, or 3 in a new one, and 5 of them those of
    triggers."""
    store = Traced(SqliteBackend(tmp_path / "memory.db"))
    await exchange(store.backend, 0, 0, space="another")  # opens the file, and FTS5 its tables
    for at, conversation in enumerate((1, 1, 2)):
        store.calls.clear()
        await exchange(store, at, conversation)
        # Whether the memory space is archived; the stream; the text of the question with a piece, of a space that is
        # new at first; the conversation, and its trigger, which counts it; the text of the answer; stream, memory,
        # which the trigger of the counts looks at, token.
        created = "INSERT INSERT INSERT" if at == 0 else "INSERT"
        conversation = "SELECT" if at == 1 else "SELECT INSERT INSERT INSERT"
        assert store.calls[0] == (
            "streams:begin",
            f"BEGIN SELECT SELECT {created} INSERT {conversation} INSERT INSERT INSERT INSERT SELECT INSERT COMMIT",
        )
        assert store.calls[1] == ("streams:append", "BEGIN SELECT INSERT UPDATE COMMIT")
        # The stream; the conversation, both messages; the index of the question, its memory, which is counted; the
        # stream, the memory, which is counted and which another trigger looks at, the index of the answer; what is told
        # of it: the stream, both memories, their texts and vectors.
        assert store.calls[2:] == [
            (
                "streams:finalize",
                "BEGIN SELECT UPDATE INSERT SELECT SELECT INSERT INSERT UPDATE UPDATE INSERT INSERT INSERT UPDATE"
                " UPDATE UPDATE UPDATE UPDATE SELECT SELECT INSERT INSERT UPDATE UPDATE SELECT SELECT SELECT SELECT"
                " SELECT SELECT COMMIT",
            )
        ]
    await store.close()


async def test_a_small_exchange_writes_few_bytes(tmp_path: Path) -> None:
    """Of the `-wal` file: whole pages, of which some are made by rows that do not fit into theirs any more. Three are
    those of a new conversation's count and of the indexes of conversations by user and of messages by id."""
    store = WalMeter(SqliteBackend(tmp_path / "memory.db"), tmp_path / "memory.db")
    await store.query("memories:count", {"memorySpaceId": "space"})  # makes the tables
    written: list[int] = []
    for number in range(20):
        store.calls.clear()
        await exchange(store, number, number)
        written.append(sum(len(pages) for _, pages in store.calls) * store.frame_size())
    await store.close()
    assert 20_000 < written[0] <= 51_000
    assert max(written[:10]) <= 73_500  # one of them merges the index
    assert sum(written) <= 20 * 60_000


async def test_an_append_writes_the_piece_and_the_row_of_its_text(tmp_path: Path) -> None:
    store = WalMeter(SqliteBackend(tmp_path / "memory.db"), tmp_path / "memory.db")
    turn = {"conversationId": "c", "userMessage": "What is it?", "userId": "ada", "importance": 50, "tags": []}
    await store.mutation("streams:begin", {"memorySpaceId": "s", "streamId": "st", **turn})
    writer = {"memorySpaceId": "s", "streamId": "st", "epoch": 1, "attempt": 0}
    for number in range(20):
        await store.mutation("streams:append", {**writer, "start": number * 100, "text": "x" * 100})
    await store.close()
    pages = [len(pages) for path, pages in store.calls if path == "streams:append"]
    assert min(pages) == 2
    assert sum(pages) <= 20 * 2 + 10  # now and then a page is full, and then the size of the file changes too
