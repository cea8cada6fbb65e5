"""`memories:store`: one memory that belongs to no exchange."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.backends.sqlite.functions import memories
from cortex_rx.backends.sqlite.text_store import BLOCK
from cortex_rx.errors import IdempotencyConflict


async def keep(store: Any, content: str, **more: Any) -> dict[str, Any]:
    args = {"memorySpaceId": "s", "contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}
    return await store.backend.mutation("memories:store", {**args, "content": content, **more})


async def test_it_stands_where_it_was_stored(store: Any) -> None:
    """An exchange stands where it began, both of its memories."""
    await keep(store, "first", conversationRef={"conversationId": "c", "messageIds": []})
    await store.begin("st", "why?")
    await keep(store, "second")
    await store.finalize("because")
    await keep(store, "third", conversationRef={"conversationId": "c", "messageIds": ["msg"]}, memoryId="mine")
    assert [row["content"] for row in await store.list()] == ["third", "second", "because", "why?", "first"]
    assert [row["content"] for row in await store.list(conversationId="c")] == ["third", "because", "why?", "first"]
    ids = [row["memoryId"] for row in await store.list()]
    assert ids[0] == "mine" and len(set(ids)) == 5 and ids[1].startswith("mem-")
    talk = await store.conversation()
    assert [message["content"] for message in talk["messages"]] == ["why?", "because"]


async def test_a_long_content_is_stored_in_pieces_beside_its_argument(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    await store.list()
    content = "zebra " + f"{'w' * 200} " * 20_000 + "giraffe"
    tracemalloc.start()
    try:
        row = await keep(store, content, memoryId="long")
        again = await keep(store, content, memoryId="long")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_200_000 < len(content) / 1.8  # arguments are checked in slices of a megabyte
    assert row == again and row["contentLength"] == len(content) and row["content"] == content[:65_536]
    assert (await store.get("long"))["content"] == content
    sizes = [size for (size,) in store.sql("SELECT length(body) FROM pieces")]
    assert max(sizes) <= BLOCK and sum(sizes) == len(content)
    for word in ("zebra", "giraffe"):
        assert [found["memoryId"] for found in await store.search(word)] == ["long"]
    await store.backend.close()


async def test_what_was_deleted_leaves_nothing(store: Any) -> None:
    await keep(store, "before")
    tables = ("memories", "texts", "pieces", "documents", "spaces")
    before = [store.sql(f"SELECT * FROM {table}") for table in tables]
    row = await keep(store, "zebra " * 2000, metadata={"secret": 1}, tags=["zebra"])
    await store.delete(row["memoryId"])
    assert await store.found("zebra") == [] and await store.get(row["memoryId"]) is None
    assert [store.sql(f"SELECT * FROM {table}") for table in tables] == before
    await store.backend.compact()
    assert store.sql("SELECT count(*) FROM terms_places WHERE instr(term, 'zebra')") == [(0,)]


async def test_calls_at_once_with_one_id_store_one_memory(store: Any) -> None:
    rows = await asyncio.gather(*(keep(store, "once", memoryId="one") for _ in range(20)))
    assert len(await store.list()) == 1 and all(row == rows[0] for row in rows)
    results = await asyncio.gather(
        *(keep(store, f"content {number}", memoryId="two") for number in range(5)), return_exceptions=True
    )
    assert [type(one) for one in results] == [dict, *[IdempotencyConflict] * 4]
    assert [row["content"] for row in await store.list()] == ["content 0", "once"]


async def test_calls_at_once_are_stored_in_the_order_in_which_they_were_made(store: Any) -> None:
    """They are more than one transaction takes."""
    await asyncio.gather(*(keep(store, f"turn {number}") for number in range(150)))
    assert [row["content"] for row in await store.list(limit=150)] == [f"turn {at}" for at in reversed(range(150))]


async def test_the_id_of_an_answer_that_may_come_again_is_taken(store: Any) -> None:
    """Its stream has ended as finished, though without a text, and may be completed."""
    begun = await store.begin()
    await store.finalize("", reason="incomplete")
    assert await store.get(begun["memoryId"]) is None
    with pytest.raises(IdempotencyConflict, match="of an exchange"):
        await keep(store, "mine", memoryId=begun["memoryId"])
    again = await store.begin(completes=True)
    await store.finalize("because", epoch=again["epoch"], attempt=again["attempt"])
    assert [row["content"] for row in await store.list()] == ["because", "why?"]


async def test_ids_of_other_spaces_are_free(store: Any) -> None:
    begun = await store.begin(memorySpaceId="t")
    await keep(store, "theirs", memorySpaceId="t", memoryId="one")
    for memory in (*begun["memoryIds"], "one"):
        await keep(store, f"mine {memory}", memoryId=memory)
    assert await store.count() == 3 and await store.found("theirs") == []


async def test_an_id_is_looked_up_by_indexes(store: Any) -> None:
    """No stream that has ended costs anything."""
    await store.list()
    plan = [row[3] for row in store.sql(f"EXPLAIN QUERY PLAN {memories._TAKEN}", "s", "mem")]
    used = [line for line in plan if "chunks" in line or "streams" in line]
    assert [line.split(" USING ")[1].split(" (")[0] for line in used] == [
        "COVERING INDEX sqlite_autoindex_chunks_2",
        "INDEX streams_open",
        "INDEX streams_unanswered",
    ], plan
