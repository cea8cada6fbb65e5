"""`memories:forget`: a memory, its message, and every trace of its text."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_rx.errors import InvalidArgument, StreamNotFound


async def forget(store: Any, memory: str | None = None, **more: Any) -> dict[str, Any]:
    named = {} if memory is None else {"memoryId": memory}
    return await store.backend.mutation("memories:forget", {"memorySpaceId": "s", **named, **more})


async def messages(store: Any, conversation: str = "c") -> list[str]:
    found = await store.conversation(conversation)
    return [] if found is None else [message["content"] for message in found["messages"]]


async def test_a_pending_exchange_is_erased_whole(store: Any) -> None:
    await store.exchange("why elephant?", "yes", "older")
    tables = {
        name: rows for name, rows in store.tables().items() if name in ("messages", "memories", "texts", "pieces")
    }
    for target in ("memoryIds", "messageIds"):
        for side in (0, 1):
            begun = await store.begin(f"{target}{side}", "why not?")
            await store.append(0, "because", f"{target}{side}")
            named = {"memoryId" if target == "memoryIds" else "messageId": begun[target][side]}
            assert (await forget(store, **named, erase=True))["memoryDeleted"]
            with pytest.raises(StreamNotFound):
                await store.append(7, "late", f"{target}{side}")
            now = store.tables()
            assert {name: now[name] for name in tables} == tables


async def test_a_question_that_is_asked_again_is_erased_with_its_message(store: Any) -> None:
    await store.begin()
    await store.call("close", epoch=1, outcome="empty")
    begun = await store.begin()
    assert await messages(store) == ["why?"]
    forgotten = await forget(store, begun["memoryIds"][1], erase=True)
    assert (forgotten["messagesDeleted"], forgotten["conversationDeleted"]) == (1, True)
    assert await store.list(includePartial=True) == []
    assert {name: store.sql(f"SELECT count(*) FROM {name}")[0][0] for name in ("texts", "pieces", "messages")} == {
        "texts": 0, "pieces": 0, "messages": 0,
    }  # fmt: skip


@pytest.mark.parametrize("erase", [False, True])
async def test_memories_that_name_the_message_go_with_it_or_lose_it(store: Any, erase: bool) -> None:
    question, answer = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"]
    asked, said = (memory["conversationRef"]["messageIds"][0] for memory in (question, answer))
    for number, named in enumerate(([asked], [asked, said], [said, asked, "elsewhere"], [], [said])):
        ref = {"conversationRef": {"conversationId": "c", "messageIds": named}}
        note = {"memorySpaceId": "s", "content": f"note {number}", "memoryId": f"note-{number}", "sourceType": "system"}
        more = {"contentType": "raw", "importance": 1, "tags": [], "immutableRef": {"type": "t", "id": "i"}}
        await store.backend.mutation("memories:store", {**note, **more, **ref})
    forgotten = await forget(store, messageId=asked, erase=erase)
    assert forgotten["messagesDeleted"] == erase
    left = {row["content"]: row["conversationRef"]["messageIds"] for row in await store.list()}
    assert left == {"note 4": [said], "note 3": [], "note 2": [said, "elsewhere"], "note 1": [said], "Nice": [said]}
    assert {row.get("immutableRef", {}).get("id") for row in await store.list()} == {"i", None}


async def test_a_chunk_is_forgotten_with_its_answer(store: Any) -> None:
    await store.begin()
    stored = await store.finalize("one two", chunks=[{"start": 0, "end": 4}, {"start": 4, "end": 7}])
    answer = stored["memories"][1]["memoryId"]
    chunk = (await store.get(answer))["chunkIds"][0]
    for erase in (False, True):
        with pytest.raises(InvalidArgument, match=answer):
            await forget(store, chunk, erase=erase)
    await forget(store, answer, erase=True)
    assert [row["content"] for row in await store.list(includeChunks=True)] == ["why?"]
