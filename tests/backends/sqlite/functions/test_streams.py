"""streams:*: what begin, append, finalize and close store, refuse and repeat."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.errors import Diverged, Fenced, Gap, IdempotencyConflict, MemoryNotFound, StreamNotFound


async def test_an_exchange_is_stored_to_the_letter(store: Any) -> None:
    begun = await store.begin(
        userName="Ada",
        agentId="helper",
        participantId="p",
        importance=0,
        tags=["a", "b"],
        metadata={"k": [1, None]},
        startedAt=5,
    )
    assert begun == {
        "memoryId": "mem-001", "epoch": 1, "attempt": 0, "state": "open", "conversationId": "c",
        "messageIds": ["msg-002", "msg-003"], "memoryIds": ["mem-004", "mem-001"],
    }  # fmt: skip
    assert await store.append(0, "Be") == 2
    store.now = 1_001.5
    result = await store.finalize(
        "cause",
        start=2,
        reason="stop",
        usage={"total": 7},
        metadata={"m": 1},
        userEmbedding=[1, 2.5],
        agentEmbedding=[0.1, -3],
    )
    common = {
        "memorySpaceId": "s", "sourceType": "conversation", "sourceTimestamp": 5, "sourceUserId": "ada",
        "sourceUserName": "Ada",
        "userId": "ada", "agentId": "helper", "participantId": "p", "contentType": "raw", "importance": 0,
        "tags": ["a", "b"],
        "version": 1, "createdAt": 1_000_000, "updatedAt": 1_001_500, "accessCount": 0, "isPartial": False,
    }  # fmt: skip
    question = {
        **common, "memoryId": "mem-004", "content": "why?", "contentLength": 4, "messageRole": "user",
        "embedding": [1.0, 2.5],
        "conversationRef": {"conversationId": "c", "messageIds": ["msg-002"]}, "metadata": {"k": [1, None]},
    }  # fmt: skip
    answer = {
        **common, "memoryId": "mem-001", "content": "Because", "contentLength": 7, "messageRole": "agent",
        "embedding": [0.1, -3.0],
        "conversationRef": {"conversationId": "c", "messageIds": ["msg-003"]}, "metadata": {"k": [1, None], "m": 1},
    }  # fmt: skip
    assert result == {
        "conversation": {"conversationId": "c", "messageIds": ["msg-002", "msg-003"]},
        "memories": [question, answer],
        "contentLength": 7,
        "stored": "now",
    }
    assert await store.list() == [answer, question]
    assert await store.get("mem-001") == answer
    assert await store.conversation() == {
        "pending": [],
        "conversationId": "c", "memorySpaceId": "s", "type": "user-agent", "messageCount": 2, "createdAt": 1_000_000,
        "updatedAt": 1_001_500,
        "participants": {"userId": "ada", "agentId": "helper", "participantId": "p"},
        "messages": [
            {"id": "msg-002", "role": "user", "content": "why?", "timestamp": 5, "participantId": "p",
             "metadata": {"k": [1, None]}},
            {"id": "msg-003", "role": "agent", "content": "Because", "timestamp": 1_001_500, "participantId": "p",
             "metadata": {"k": [1, None], "m": 1, "finishReason": "stop", "usage": {"total": 7}}},
        ],
    }  # fmt: skip


async def test_a_partial_row_says_whose_it_is_and_shows_only_when_asked_for(store: Any) -> None:
    begun = await store.begin(startedAt=5)
    await store.append(0, "Bec")
    store.now = 1_002.0
    await store.append(3, "ause zebra")
    for rows in (await store.list(), await store.search("zebra why")):
        assert rows == []
    assert await store.get(begun["memoryId"]) is None
    assert await store.count() == 0
    row = await store.get(begun["memoryId"], includePartial=True)
    assert row is not None
    assert (row["content"], row["contentLength"], row["isPartial"], row["updatedAt"]) == (
        "Because zebra",
        13,
        True,
        1_002_000,
    )
    assert row["conversationRef"] == {"conversationId": "c", "messageIds": []}
    assert row["partialMetadata"] == {"userMessage": "why?", "streamId": "st", "streamStartTime": 5, "updates": 2}
    assert await store.list(includePartial=True) == [row]
    assert [r["memoryId"] for r in await store.search("zebra", includePartial=True)] == [begun["memoryId"]]
    assert await store.count(includePartial=True) == 1
    # The partial row becomes the answer's memory: one memory, not two.
    await store.finalize("", start=13)
    assert [r["content"] for r in await store.list()] == ["Because zebra", "why?"]
    assert await store.count(includePartial=True) == 2
    assert (await store.get(begun["memoryId"]))["content"] == "Because zebra"
    assert store.sql("SELECT count(*) FROM memories") == [(2,)]


async def test_begin_again_is_the_same_stream_or_a_take_over_or_a_conflict(store: Any) -> None:
    first = await store.begin(importance=10)
    await store.append(0, "old text apple")
    again = await store.begin(importance=99, tags=["x"])
    assert again == {**first, "epoch": 2, "attempt": 1}
    with pytest.raises(Fenced):
        await store.append(8, "late")
    row = await store.get(first["memoryId"], includePartial=True)
    assert (row["content"], row["importance"], row["tags"]) == ("", 10, [])
    assert await store.found("apple", includePartial=True) == []
    assert ("old text apple",) in store.sql("SELECT body FROM pieces")  # what the former attempt wrote is kept
    for other in (
        {"question": "who?"},
        {"userId": "bob"},
        {"conversationId": "d"},
        {"agentId": "z"},
        {"question": "why?!"},
    ):
        with pytest.raises(IdempotencyConflict):
            await store.begin(**other)
    await store.finalize("new", epoch=2, attempt=1)
    finished = {**first, "epoch": 2, "attempt": 1, "state": "finished"}
    assert await store.begin() == await store.begin() == finished
    assert await store.found("apple new") == ["new"]


async def test_append_appends_compares_and_refuses(store: Any) -> None:
    await store.begin()
    assert await store.append(0, "hello ") == 6
    assert await store.append(0, "hello ") == 6  # the same again
    assert await store.append(3, "lo world") == 11  # overlaps, then goes on
    assert await store.append(2, "l") == 11  # within what is there
    assert await store.append(4, "") == 11
    with pytest.raises(Diverged):
        await store.append(6, "there and more")
    with pytest.raises(Gap) as gap:
        await store.append(12, "x")
    assert (gap.value.end, gap.value.start) == (11, 12)
    for epoch in (0, 2):
        with pytest.raises(Fenced):
            await store.append(11, "x", epoch=epoch)
    with pytest.raises(StreamNotFound):
        await store.append(0, "x", stream="unknown")
    assert (await store.backend.query("streams:get", {"memorySpaceId": "s", "streamId": "st"}))["length"] == 11
    # A higher attempt begins anew at 0, a lower one is fenced from then on.
    with pytest.raises(Gap):
        await store.append(3, "x", attempt=1)
    assert await store.append(0, "anew", attempt=3) == 4
    with pytest.raises(Fenced):
        await store.append(4, "x", attempt=2)
    await store.finalize("", start=4, attempt=3)
    assert await store.append(1, "ne", attempt=3) == 4  # a finished stream accepts what it has
    for late in (
        {"start": 1, "text": "xx", "attempt": 3},
        {"start": 4, "text": "more", "attempt": 3},
        {"start": 0, "text": "anew and more", "attempt": 3},
        {"start": 0, "text": "x", "attempt": 4},
    ):
        with pytest.raises(IdempotencyConflict, match="another answer is stored"):
            await store.append(**late)
    assert (await store.list())[0]["content"] == "anew"


async def test_finalize_is_once_and_all_or_nothing(store: Any) -> None:
    await store.begin()
    await store.append(0, "abc")
    for wrong, error in (
        ({"text": "xyz"}, Diverged),
        ({"text": "d", "start": 4}, Gap),
        ({"text": "d", "start": 3, "length": 9}, Gap),
        ({"text": "d", "start": 3, "epoch": 7}, Fenced),
    ):
        with pytest.raises(error):
            await store.finalize(**wrong)
    assert await store.list() == [] and (await store.conversation())["messages"] == []
    assert (await store.list(includePartial=True))[0]["content"] == "abc"  # "d" was rolled back
    first = await store.finalize("d", start=3)
    before = store.sql("SELECT * FROM memories") + store.sql("SELECT * FROM messages")
    for same in ({"text": "d", "start": 3}, {"text": "abcd"}, {"text": "", "start": 4}):
        assert await store.finalize(**same) == {**first, "stored": "before"}
    for other in (
        {"text": "x", "start": 3},
        {"text": "abcde"},
        {"text": "abc"},
        {"text": "e", "start": 4},
        {"text": "abcd", "attempt": 1},
    ):
        with pytest.raises(IdempotencyConflict):
            await store.finalize(**other)
    with pytest.raises(Fenced):
        await store.finalize("abcd", epoch=0)
    assert store.sql("SELECT * FROM memories") + store.sql("SELECT * FROM messages") == before


async def test_streams_get(store: Any) -> None:
    assert await store.backend.query("streams:get", {"memorySpaceId": "s", "streamId": "st"}) is None
    await store.begin(question="q" * 70_000)
    await store.append(0, "é😀")
    row = await store.backend.query("streams:get", {"memorySpaceId": "s", "streamId": "st"})
    assert row == {
        "streamId": "st", "memorySpaceId": "s", "conversationId": "c", "memoryId": "mem-001", "state": "open",
        "messageIds": ["msg-002", "msg-003"], "memoryIds": ["mem-004", "mem-001"], "epoch": 1,
        "attempt": 0, "length": 2, "userMessage": "q" * 70_000, "createdAt": 1_000_000, "updatedAt": 1_000_000,
        "owned": False,
    }  # fmt: skip


async def test_deleting_the_answer_ends_its_stream_and_keeps_the_conversation(store: Any) -> None:
    answer = "elephant " * 3000
    await store.exchange("mouse?", answer, "st")
    (stored, question) = await store.list()
    assert await store.delete(stored["memoryId"]) == {
        "deleted": True, "memoryId": stored["memoryId"], "factsDeleted": 0, "factIds": [],
    }  # fmt: skip
    assert await store.found("elephant") == [] and await store.found("mouse") == ["mouse?"]
    assert [m["content"] for m in (await store.conversation())["messages"]] == ["mouse?", answer]
    for late in (store.begin(question="mouse?"), store.append(0, "x"), store.finalize(answer)):
        with pytest.raises(StreamNotFound):
            await late
    with pytest.raises(MemoryNotFound):
        await store.delete(stored["memoryId"])
    assert await store.backend.query("streams:get", {"memorySpaceId": "s", "streamId": "st"}) is None
    await store.delete(question["memoryId"])
    assert await store.found("mouse") == []
    assert store.sql("SELECT count(*) FROM documents") == [(0,)]
    assert (await store.conversation())["messages"][0]["content"] == "mouse?"


async def test_deleting_a_partial_leaves_nothing_of_it(store: Any) -> None:
    begun = await store.begin()
    await store.append(0, "elephant " * 2000)
    await store.begin()
    await store.append(0, "giraffe " * 2000, epoch=2, attempt=1)
    await store.delete(begun["memoryId"])
    for table in ("texts", "pieces", "documents", "memories", "attempts"):
        assert store.sql(f"SELECT count(*) FROM {table}") == [(0,)]
    with pytest.raises(StreamNotFound):
        await store.append(0, "x", epoch=2, attempt=1)
    with pytest.raises(StreamNotFound):
        await store.begin()


async def test_a_question_deleted_before_a_second_finalize_is_left_out(store: Any) -> None:
    first = await store.exchange("q", "a", "st")
    await store.delete(first["memories"][0]["memoryId"])
    assert [m["content"] for m in (await store.finalize("a"))["memories"]] == ["a"]


async def test_a_text_is_in_the_file_once(store: Any) -> None:
    await store.exchange("question-text", "answer-text", "st")
    assert sorted(store.sql("SELECT body FROM pieces")) == [("answer-text",), ("question-text",)]
    assert store.sql("SELECT m.text = g.text FROM memories m JOIN messages g ON g.id = m.message") == [(1,), (1,)]


text_of = st.text(alphabet=st.sampled_from("ab \n京é\0😀'"), min_size=1, max_size=60)


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data(), text=st.one_of(text_of, text_of.map(lambda t: t * 250)))
def test_resends_in_any_order_give_the_text_or_an_error(make_store: Any, data: st.DataObject, text: str) -> None:
    async def main() -> None:
        store = make_store(":memory:")
        async with store.backend:
            await store.begin()
            end = 0
            for _ in range(data.draw(st.integers(1, 25))):
                start = data.draw(st.integers(0, len(text)))
                stop = data.draw(st.integers(start, len(text)))
                body = text[start:stop]
                wrong = bool(body) and data.draw(st.integers(0, 4)) == 0
                if wrong:
                    at = data.draw(st.integers(0, len(body) - 1))
                    body = body[:at] + "X" + body[at + 1 :]
                try:
                    new = await store.append(start, body)
                except Gap as gap:
                    assert gap.end == end < start
                except Diverged:
                    assert wrong
                else:
                    if wrong and start + at >= end:  # what was wrong was new: from here on it is the text
                        break
                    assert not wrong
                    end = max(end, stop)
                    assert new == end
                row = await store.get("mem-001", includePartial=True)
                assert row["content"] == text[:end]
            else:
                result = await store.finalize(text[end:], start=end)
                assert result["contentLength"] == len(text)
                assert (await store.get("mem-001"))["content"] == text

    asyncio.run(main())


async def test_texts_with_nul_and_every_plane_come_back_as_they_were(store: Any, tmp_path: Path) -> None:
    text = "a\0b\0\0é\u200d😀\U0010ffff\ufffe京\r\n" * 2000
    await store.begin(question=text, tags=["x\0y", "x\0z"], metadata={"a\0": "b\0c"})
    for at in range(0, len(text), 777):
        await store.append(at, text[at : at + 777])
    await store.finalize("", start=len(text))
    answer = await store.get("mem-001")
    assert answer["content"] == text and answer["metadata"] == {"a\0": "b\0c"}
    assert [m["content"] for m in (await store.conversation())["messages"]] == [text, text]
    assert len(await store.search("京", tags=["x\0z"])) == 2
    assert await store.search("京", tags=["x", "x\0w"]) == []
