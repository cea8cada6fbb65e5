"""A question without an answer: how it is kept, and how it may be answered after all."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_rx.errors import Fenced, IdempotencyConflict, StreamNotFound


async def test_close_keeps_the_question_marked(store: Any) -> None:
    await store.begin(tags=["t"], metadata={"k": 1})
    await store.append(0, "of a former attempt")
    close = {"streamId": "st", "memorySpaceId": "s", "epoch": 1, "outcome": "empty"}
    with pytest.raises(Fenced):
        await store.backend.mutation("streams:close", {**close, "epoch": 2})
    result = await store.backend.mutation("streams:close", {**close, "reason": "stop"})
    assert result["conversation"] == {"conversationId": "c", "messageIds": ["msg-002"]}
    assert (result["contentLength"], result["stored"]) == (0, "now")
    (memory,) = await store.list(includePartial=True)
    assert result["memories"] == [memory]
    assert (memory["content"], memory["tags"]) == ("why?", ["t", "unanswered"])
    (message,) = (await store.conversation())["messages"]
    assert message["metadata"] == {"k": 1, "unanswered": "empty", "finishReason": "stop"}
    assert await store.backend.mutation("streams:close", close) == {**result, "stored": "before"}
    for late in (
        store.finalize("an answer after all"),
        store.finalize("of a former attempt"),
        store.append(0, "an answer after all"),
        store.append(0, "x", attempt=1),
    ):
        with pytest.raises(IdempotencyConflict, match="closed as unanswered"):
            await late
    assert await store.append(0, "of a former") == 19  # it accepts what it has
    assert (await store.backend.query("streams:get", {"memorySpaceId": "s", "streamId": "st"}))["state"] == "empty"
    with pytest.raises(IdempotencyConflict, match="another question"):
        await store.begin(question="who?", tags=["t"])
    assert await store.found("former", includePartial=True) == []
    await store.delete(memory["memoryId"])  # what the attempt wrote goes with the only memory of the stream
    assert store.sql("SELECT body FROM pieces") == [("why?",)]


CLOSE = {"streamId": "st", "memorySpaceId": "s", "outcome": "empty"}


async def close(store: Any, epoch: int, **more: Any) -> dict[str, Any]:
    return await store.backend.mutation("streams:close", {**CLOSE, "epoch": epoch, **more})


async def test_a_question_that_was_closed_unanswered_can_be_answered_after_all(store: Any) -> None:
    first = await store.begin(tags=["t"], metadata={"k": 1})
    await store.append(0, " ")
    closed = await close(store, 1, reason="stop")
    await store.exchange("and then?", "then zebra", "st2")  # the conversation has gone on
    again = await store.begin(tags=["other"], metadata={"k": 2})
    assert again == {**first, "epoch": 2, "attempt": 1}
    for late in (store.append(1, "late"), store.finalize("late"), close(store, 1)):
        with pytest.raises(Fenced):
            await late
    # Until the answer is there, the question is what it was, and the partial memory stands next to it.
    await store.append(0, "Because of ", epoch=2, attempt=1)
    rows = await store.list(includePartial=True)
    assert [(m["content"], m["tags"], m["isPartial"]) for m in rows] == [
        ("then zebra", [], False),
        ("and then?", [], False),
        ("Because of ", ["t"], True),
        ("why?", ["t", "unanswered"], False),
    ]
    assert [m["content"] for m in (await store.conversation())["messages"]] == ["why?", "and then?", "then zebra"]
    store.now += 5
    result = await store.finalize(
        "gnus", start=11, epoch=2, attempt=1, userEmbedding=[1], reason="stop", usage={"n": 1}
    )
    rows = await store.list(includePartial=True)
    assert [(m["content"], m["tags"], m["metadata"]) for m in rows if m["content"] in ("why?", "Because of gnus")] == [
        ("Because of gnus", ["t"], {"k": 1}),
        ("why?", ["t"], {"k": 1}),
    ]
    assert [m["content"] for m in rows] == ["then zebra", "and then?", "Because of gnus", "why?"]
    assert result["memories"] == rows[:1:-1] and rows[3]["embedding"] == [1.0]
    assert result["memories"][0]["memoryId"] == closed["memories"][0]["memoryId"]
    assert result["memories"][1]["memoryId"] == first["memoryId"]
    # One question message, the answer just behind it, in every view of the conversation.
    conversation = await store.conversation()
    messages = conversation["messages"]
    assert [m["content"] for m in messages] == ["why?", "Because of gnus", "and then?", "then zebra"]
    assert [m["id"] for m in messages[:2]] == result["conversation"]["messageIds"]
    assert messages[0]["id"] == closed["conversation"]["messageIds"][0]
    assert messages[0]["metadata"] == {"k": 1}
    assert messages[1]["metadata"] == {"k": 1, "finishReason": "stop", "usage": {"n": 1}}
    assert (conversation["messageCount"], conversation["updatedAt"]) == (4, 1_005_000)
    history = {"memorySpaceId": "s", "conversationId": "c"}
    page = await store.backend.query("conversations:getHistory", {**history, "offset": 1, "limit": 2})
    assert [m["content"] for m in page["messages"]] == ["Because of gnus", "and then?"]
    # From here on it is like any finished stream.
    assert await store.finalize("gnus", start=11, epoch=2, attempt=1) == {**result, "stored": "before"}
    assert (await store.begin())["state"] == "finished"
    with pytest.raises(IdempotencyConflict, match="an answer is stored"):
        await close(store, 2)
    assert await store.search("because gnus why", tags=["unanswered"]) == []
    await store.exchange("at last?", "yes", "st3")
    assert [m["content"] for m in (await store.conversation())["messages"]][4:] == ["at last?", "yes"]
    await store.delete(first["memoryId"])
    assert await store.found("why") == ["why?"] and await store.found("gnus") == []
    with pytest.raises(StreamNotFound):
        await store.begin()


async def test_a_question_may_stay_unanswered_more_than_once(store: Any) -> None:
    await store.begin()
    first = await close(store, 1, reason="stop")
    for epoch in (2, 3):
        assert (await store.begin())["epoch"] == epoch
        await store.append(0, "zebra " * 1000, epoch=epoch, attempt=epoch - 1)
        result = await close(store, epoch, reason="length")
        assert result["conversation"] == first["conversation"] and result["stored"] == "now"
        (memory,) = await store.list(includePartial=True)
        assert (memory["memoryId"], memory["tags"]) == (first["memories"][0]["memoryId"], ["unanswered"])
        (message,) = (await store.conversation())["messages"]
        assert message["metadata"] == {"unanswered": "empty", "finishReason": "length"}
        assert await close(store, epoch) == {**result, "stored": "before"}
    assert await store.found("zebra", includePartial=True) == [] and await store.found("why") == ["why?"]
    # What was summarised is found by its summary alone.
    await store.begin()
    await store.finalize("done", epoch=4, attempt=3, userContent="reasons wanted")
    assert await store.found("why") == [] and await store.found("reasons") == ["reasons wanted"]
    assert [m["content"] for m in (await store.conversation())["messages"]] == ["why?", "done"]
    assert store.sql("SELECT docs, size FROM spaces") == [(2, 3), (2, 3)]


async def test_a_reopened_question_may_be_answered_by_tool_calls_alone(store: Any) -> None:
    await store.begin()
    await close(store, 1)
    await store.begin()
    await store.finalize("", epoch=2, attempt=1, reason="tool_calls")
    (memory,) = await store.list(includePartial=True)
    assert (memory["content"], memory["tags"]) == ("why?", [])
    assert [m["content"] for m in (await store.conversation())["messages"]] == ["why?", ""]
    await store.delete(memory["memoryId"])
    with pytest.raises(StreamNotFound):
        await store.begin()


@pytest.mark.parametrize("which", ["question", "answer"])
async def test_deleting_either_memory_of_a_reopened_question_ends_its_stream(store: Any, which: str) -> None:
    begun = await store.begin()
    question = (await close(store, 1))["memories"][0]["memoryId"]
    await store.begin()
    await store.append(0, "zebra " * 1000, epoch=2, attempt=1)
    await store.delete(question if which == "question" else begun["memoryId"])
    rows = await store.list(includePartial=True)
    assert [m["memoryId"] for m in rows] == ([] if which == "question" else [question])
    for late in (store.begin(), store.append(0, "x", epoch=2, attempt=1), store.finalize("x", epoch=2, attempt=1)):
        with pytest.raises(StreamNotFound):
            await late
    if which == "answer":
        await store.delete(question)
    assert store.sql("SELECT body FROM pieces") == [("why?",)]  # which the conversation has
    assert (
        store.sql("SELECT count(*) FROM documents") == [(0,)]
        and store.sql("SELECT docs, size FROM spaces") == [(0, 0)] * 2
    )


async def test_close_of_an_answered_stream_is_a_conflict(store: Any) -> None:
    await store.exchange("q", "a", "st")
    with pytest.raises(IdempotencyConflict):
        await store.backend.mutation(
            "streams:close", {"streamId": "st", "memorySpaceId": "s", "epoch": 1, "outcome": "empty"}
        )
