"""streams:rollback and finish: an answer that no process continues is taken back whole, or kept as incomplete."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.errors import Fenced, IdempotencyConflict, StillOwned, StreamNotFound

AT = 1_000_000
K, N = (hashlib.sha256(token).hexdigest() for token in (b"k", b"n"))
LONG = "elephant giraffe " * 3_000

# Of these tables a rollback may leave something: a row without content, the numbers that were given away, the tokens
# that say what became of the stream, the name of the memory space, and the language of the file.
TOMBSTONES = ("streams", "sqlite_sequence", "tokens", "spaces", "settings")
# The index's own pages: terms that are marked as deleted stay in them until they are merged.
PAGES = tuple(f"{index}_{part}" for index in ("terms", "fact_terms") for part in ("data", "idx", "config"))


def content(store: Any) -> dict[str, Any]:
    return {name: rows for name, rows in store.tables().items() if name not in (*TOMBSTONES, *PAGES)}


def counted(store: Any) -> list[tuple[Any, ...]]:
    return store.sql("SELECT name, docs, size FROM spaces ORDER BY id")


async def rollback(store: Any, epoch: int = 1, **more: Any) -> dict[str, Any]:
    return await store.call("rollback", epoch=epoch, **more)


async def test_a_rollback_leaves_nothing_of_the_stream(store: Any) -> None:
    # Another user asks the same and gets the same answer in the same conversation: the texts are equal strings.
    await store.exchange("why elephant?", LONG, "bob", userId="bob", token=N)
    await store.begin("open", "why elephant?", userId="bob")
    await store.append(0, LONG, "open")
    before, sizes = content(store), counted(store)
    found = await store.search("elephant", includePartial=True)
    await store.begin(
        question="why elephant?", userName="Ada Private", agentId="agent-private", participantId="part-private",
        tags=["tag-private"], metadata={"secret": "meta-private"}, token=K, claim="claim-private", lease=10_000,
    )  # fmt: skip
    await store.append(0, LONG, mark={"cursor": "mark-private"}, state={"index": 1})
    await store.append(0, "zebra " * 2_000, attempt=1, mark="mark-private")
    assert content(store) != before
    assert await rollback(store) == {"streamId": "st", "rolledBack": True}
    assert content(store) == before and counted(store) == sizes
    assert await store.search("elephant", includePartial=True) == found
    assert await store.found("zebra", includePartial=True) == []
    assert len(await store.list(includePartial=True)) == 3 and await store.call("get") is None
    # What is left: an id, an epoch, and a token that leads nowhere.
    (row,) = store.sql("SELECT * FROM streams WHERE id = 'st'")
    assert [value for value in row if value not in (None, "", 0, "[]")] == [3, "s", "st", "rolledBack", 1, 1, AT, AT]
    assert store.sql("SELECT stream IS NULL FROM tokens WHERE hash = ?", K) == [(1,)]
    assert store.sql(
        "SELECT count(*) FROM tokens WHERE stream NOT IN (SELECT seq FROM streams WHERE state != 'rolledBack')"
    ) == [(0,)]
    assert store.sql("PRAGMA foreign_key_check") == [] and store.sql("PRAGMA integrity_check") == [("ok",)]
    await store.backend.compact()
    written = b"".join(file.read_bytes() for file in Path(store.path).parent.iterdir())
    assert b"private" not in written and b"Private" not in written and b"zebra" not in written


async def test_a_lost_rollback_is_repeated(store: Any) -> None:
    await store.begin()
    await store.append(0, "abc")
    for epoch in (0, 2):
        with pytest.raises(Fenced):
            await rollback(store, epoch)
    first = await rollback(store)
    before = store.tables()
    store.now += 1
    assert await rollback(store) == first
    with pytest.raises(Fenced):
        await rollback(store, 0)
    with pytest.raises(StreamNotFound):
        await rollback(store, stream="unknown")
    assert store.tables() == before


async def test_a_zombie_of_a_stream_that_was_rolled_back_is_refused(store: Any) -> None:
    await store.begin(token=K)
    await store.append(0, "abc")
    await rollback(store)
    late = (
        lambda: store.append(3, "late", lease=5, mark=1),
        lambda: store.append(0, "anew", attempt=1),
        lambda: store.finalize("late", start=3),
        lambda: store.call("close", epoch=1, outcome="error"),
        lambda: store.call("renew", epoch=1),
    )
    before = store.tables()
    for call in (
        *late,
        lambda: store.call("finish"),
        lambda: store.call("issueToken", token=N),
        lambda: store.take(K, "c", force=True),
    ):
        with pytest.raises(StreamNotFound):
            await call()
    assert store.tables() == before
    again = await store.begin(question="another?", claim="c")  # the id is free again
    assert (again["epoch"], again["attempt"], again["state"]) == (2, 0, "open")
    before = store.tables()
    for call in (*late, lambda: rollback(store)):
        with pytest.raises(Fenced):
            await call()
    with pytest.raises(StreamNotFound):
        await store.take(K, "c", force=True)  # a token of the stream that is gone does not lead to the new one
    assert store.tables() == before
    assert await store.begin(question="another?", claim="c") == again
    await store.finalize("fine", epoch=2)
    assert [m["content"] for m in (await store.conversation())["messages"]] == ["another?", "fine"]
    assert [m["content"] for m in await store.list(includePartial=True)] == ["fine", "another?"]


async def test_a_stream_begun_anew_is_the_newest_and_may_have_the_same_token(store: Any) -> None:
    await store.begin(token=K)
    await store.begin("st2", "and?")
    await rollback(store)
    await store.begin(token=K)
    assert [row["streamId"] for row in await store.call("interrupted", None)] == ["st", "st2"]
    assert (await store.take(K, "c"))["epoch"] == 3
    await rollback(store, 3)
    assert (await store.begin())["epoch"] == 4


async def test_a_finished_answer_is_never_rolled_back(store: Any) -> None:
    await store.begin()
    await store.finalize("answer")
    before = store.tables()
    with pytest.raises(IdempotencyConflict):
        await rollback(store)
    with pytest.raises(Fenced):
        await rollback(store, 2)
    assert store.tables() == before


async def test_what_was_deleted_stays_deleted(store: Any) -> None:
    begun = await store.begin()
    await store.delete(begun["memoryId"])
    before = store.tables()
    for call in (rollback(store), store.call("finish"), store.begin()):
        with pytest.raises(StreamNotFound):
            await call
    assert store.tables() == before


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("place", ["alone", "first", "between", "last"])
async def test_a_question_that_was_closed_before_leaves_the_conversation_too(
    store: Any, place: str, reopened: bool
) -> None:
    if place in ("between", "last"):
        await store.exchange("one?", "1", "st1")
    await store.begin(question="zebra?")
    await store.append(0, "abc")
    await store.call("close", epoch=1, outcome="error")
    if place in ("first", "between"):
        await store.exchange("two?", "2", "st2")
        await store.exchange("three?", "3", "st3")
    if reopened:
        await store.begin(question="zebra?")
        await store.append(0, "zebra", epoch=2, attempt=1)
    store.now += 5
    await rollback(store, 2 if reopened else 1)
    messages = {"alone": [], "first": ["two?", "2", "three?", "3"], "last": ["one?", "1"]}
    messages["between"] = messages["last"] + messages["first"]
    conversation = await store.conversation()
    if place == "alone":
        assert conversation is None
        assert content(store) == dict.fromkeys(content(store), [])
    else:
        assert [m["content"] for m in conversation["messages"]] == messages[place]
        assert (conversation["messageCount"], conversation["updatedAt"]) == (len(messages[place]), AT + 5_000)
        assert store.sql("SELECT position FROM messages ORDER BY 1") == [(at,) for at in range(len(messages[place]))]
    assert await store.found("zebra", includePartial=True) == []
    assert await store.count(includePartial=True) == len(messages[place])
    assert store.sql("SELECT count(*) FROM pieces WHERE body LIKE '%zebra%'") == [(0,)]
    await store.exchange("again?", "4", "st4")
    assert [m["content"] for m in (await store.conversation())["messages"]] == [*messages[place], "again?", "4"]


async def finish(store: Any) -> dict[str, Any]:
    return await store.call("finish")


async def test_a_partial_that_nobody_resumes_is_finished_as_incomplete(store: Any) -> None:
    begun = await store.begin(token=K, lease=10_000, metadata={"k": 1})
    await store.append(0, "half of an ele", mark=1, state={"index": 4})
    before = store.tables()
    with pytest.raises(StillOwned) as owned:
        await finish(store)
    assert owned.value.until == AT + 10_000 and store.tables() == before
    store.now += 10
    result = await finish(store)
    assert result["stored"] == "now" and result["contentLength"] == 14
    question, answer = (await store.conversation())["messages"]
    assert (question["content"], question["metadata"]) == ("why?", {"k": 1})
    assert answer["content"] == "half of an ele"
    assert answer["metadata"] == {"k": 1, "incomplete": True, "finishReason": "incomplete"}
    memory = await store.get(begun["memoryId"])
    assert memory["metadata"] == {"k": 1, "incomplete": True} and not memory["isPartial"]
    assert result["memories"][1] == memory and await store.found("half") == ["half of an ele"]
    assert store.sql(
        "SELECT state, epoch, claim, reason, lease, mark FROM streams JOIN texts ON texts.id = answer"
    ) == [("finished", 2, None, "incomplete", 0, None)]
    before = store.tables()
    assert await finish(store) == {**result, "stored": "before"}  # the answer was lost
    for late in (store.append(14, "phant"), store.finalize("phant", start=14), rollback(store)):
        with pytest.raises(Fenced):
            await late
    taken = await store.take(K, "c")
    assert (taken["state"], taken["reason"], taken["memories"]) == ("finished", "incomplete", result["memories"])
    assert (await store.begin(metadata={"k": 1}))["state"] == "finished"
    assert store.tables() == before
    assert await store.call("interrupted", None) == []


@pytest.mark.parametrize("text", ["", " \n" * 5_000])
async def test_a_partial_without_text_is_closed_as_unanswered(store: Any, text: str) -> None:
    await store.begin()
    await store.append(0, text)
    result = await finish(store)
    assert (result["contentLength"], result["stored"]) == (0, "now")
    (message,) = (await store.conversation())["messages"]
    assert message["content"] == "why?" and message["metadata"] == {"unanswered": "interrupted"}
    (memory,) = await store.list(includePartial=True)
    assert memory["tags"] == ["unanswered"]
    assert await finish(store) == {**result, "stored": "before"}
    with pytest.raises(Fenced):
        await store.append(len(text), "late")
    begun = await store.begin()  # asked again, it may be answered after all
    assert (begun["epoch"], begun["state"]) == (3, "open")
    await store.finalize("so", epoch=3, attempt=1)
    assert [m["content"] for m in (await store.conversation())["messages"]] == ["why?", "so"]


async def test_finishing_a_finished_stream_gives_its_answer(store: Any) -> None:
    await store.begin()
    result = await store.finalize("whole", reason="stop")
    before = store.tables()
    assert await finish(store) == {**result, "stored": "before"}
    assert store.tables() == before
    with pytest.raises(StreamNotFound):
        await store.call("finish", "unknown")


async def test_a_question_that_was_closed_before_is_finished_in_its_place(store: Any) -> None:
    await store.begin()
    await store.call("close", epoch=1, outcome="error")
    await store.exchange("two?", "2", "st2")
    await store.begin()
    await store.append(0, "half", epoch=2, attempt=1)
    await finish(store)
    assert [m["content"] for m in (await store.conversation())["messages"]] == ["why?", "half", "two?", "2"]
    assert (await store.list())[-1]["tags"] == []
