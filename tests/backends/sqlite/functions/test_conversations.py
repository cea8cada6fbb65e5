"""Conversations that calls make: their order beside streams, what they cost, and what a deletion leaves."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.backends.sqlite import schema
from cortex_rx.backends.sqlite.functions import conversation_deletion
from cortex_rx.errors import ConversationNotFound, StillOwned, StoreError, StreamNotFound

ADA = {"type": "user-agent", "participants": {"userId": "ada"}}


async def do(store: Any, function: str, **args: Any) -> Any:
    return await store.backend.mutation(f"conversations:{function}", {"memorySpaceId": "s", **args})


async def ask(store: Any, function: str, **args: Any) -> Any:
    return await store.backend.query(f"conversations:{function}", {"memorySpaceId": "s", **args})


async def add(store: Any, message: str, content: str, conversation: str = "c", **args: Any) -> Any:
    said = {"id": message, "role": "user", "content": content}
    return await do(store, "addMessage", conversationId=conversation, message=said, includeMessages=False, **args)


async def said(store: Any, conversation: str = "c") -> list[str]:
    return [message["content"] for message in (await store.conversation(conversation))["messages"]]


# --- order ------------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.just(("add", 0)),
        st.just(("begin", 0)),
        *(st.tuples(st.just(step), st.integers(0, 5)) for step in ("finalize", "close", "again", "rollback")),
    ),
    max_size=14,
)


@given(STEPS)
@settings(max_examples=40)
def test_messages_stand_where_they_were_asked_or_added(make_store: Any, steps: list[tuple[str, int]]) -> None:
    """Against a list of what was begun and added, in order, each with what it has by now."""
    asyncio.run(_in_order(make_store(":memory:"), steps))


async def _in_order(store: Any, steps: list[tuple[str, int]]) -> None:
    await do(store, "create", conversationId="c", **ADA)
    rows: list[dict[str, Any]] = []
    for number, (step, which) in enumerate(steps):
        if step == "add":
            await add(store, f"m{number}", f"m{number}")
            rows.append({"said": [f"m{number}"], "state": "added"})
            continue
        if step == "begin":
            begun = await store.begin(f"st{number}", f"q{number}")
            rows.append({"name": number, "said": [], "state": "open", **begun})
            continue
        streams = [row for row in rows if row["state"] in ("open", "closed")]
        if not streams:
            continue
        row = streams[which % len(streams)]
        writer = {"epoch": row["epoch"], "attempt": row["attempt"]}
        if step == "again":
            row |= {**await store.begin(f"st{row['name']}", f"q{row['name']}"), "state": "open"}
        elif step == "rollback":
            await store.call("rollback", f"st{row['name']}", epoch=row["epoch"])
            rows.remove(row)
        elif row["state"] == "open" and step == "finalize":
            await store.finalize(f"a{row['name']}", f"st{row['name']}", **writer)
            row |= {"said": [f"q{row['name']}", f"a{row['name']}"], "state": "ended"}
        elif row["state"] == "open":
            await store.call("close", f"st{row['name']}", epoch=row["epoch"], outcome="empty")
            row |= {"said": [f"q{row['name']}"], "state": "closed"}
        whole = await store.conversation()
        assert [message["content"] for message in whole["messages"]] == [one for row in rows for one in row["said"]]
        assert whole["messageCount"] == len(whole["messages"])
        assert len(whole["pending"]) == sum(row["state"] == "open" for row in rows)
    assert (await said(store)) == [one for row in rows for one in row["said"]]
    await store.backend.close()


# --- at once ----------------------------------------------------------------------------------------------------------


async def test_two_processes_at_once_get_one_conversation(
    program: Any, output: Any, make_store: Any, tmp_path: Any
) -> None:
    store = make_store(tmp_path / "memory.db")
    await store.count()  # makes the file
    body = """
        async def main():
            async with SqliteBackend(path) as backend:
                sys.stdin.readline()
                made = [
                    await backend.mutation("conversations:getOrCreate", {
                        "memorySpaceId": "s", "type": "user-agent", "participants": {"userId": f"user {number}"}})
                    for number in range(20)]
                print(*(one["conversationId"] for one in made))
        asyncio.run(main())
    """
    processes = [program(body, store.path) for _ in range(2)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    first, second = map(output, processes)
    assert first == second and len(set(first.split())) == 20 == await ask(store, "count")
    await store.backend.close()


# --- cost -------------------------------------------------------------------------------------------------------------


# One of twenty is between agents, and has two messages as all have; of the first one all messages are.
_FILL = """
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO conversations (seq, space, id, type, user_id, message_count, created, updated, given, parties)
SELECT n, 's', 'c' || n, iif(n % 20, 'user-agent', 'agent-agent'), 'user-' || (n % 30), 2, n, n, '{}',
    iif(n % 20, NULL, '{"spaces": ["x' || (n % 200) || '", "y"]}') FROM numbers
"""
_MESSAGES = """
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO messages (conversation, position, exchange, id, role, text, timestamp)
SELECT 1, n, 0, 'm' || n, 'user', 1, n FROM numbers
"""
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    *((function, {"limit": 5, **of}) for function in ("list", "page") for of in (
        {}, {"userId": "user-7"}, {"type": "agent-agent"}, {"type": "agent-agent", "userId": "user-20"},
        {"includePending": True}, {"offset": 1} if function == "list" else {"conversationIds": ["c30", "c50"]},
    )),
    *(("count", of) for of in ({}, {"userId": "user-7"}, {"type": "agent-agent"}, {"includePending": True})),
    ("findConversation", {"type": "user-agent", "userId": "user-7"}),
    ("findConversation", {"type": "agent-agent", "memorySpaceIds": ["x40", "y"]}),
    ("getMessage", {"conversationId": "c1", "messageId": "m90"}),
    ("getMessagesByIds", {"conversationId": "c1", "messageIds": ["m90", "m20"]}),
)  # fmt: skip


async def test_they_cost_the_same_among_ten_times_as_many(make_store: Any) -> None:
    store = make_store(":memory:")
    await store.exchange("the first?", "yes", "st", conversationId="c1", userId="user-1")
    await do(store, "create", conversationId="empty", **ADA)
    db: Any = store.backend._writer
    steps = 0

    def more() -> int:
        nonlocal steps
        steps += 1
        return 0

    costs: list[list[int]] = []
    last = 9
    for filled in (1_000, 10_000):
        for statement in (_FILL, _MESSAGES):
            db.execute(statement, {"first": last + 1, "last": filled})
        last = filled
        db.set_progress_handler(more, 1)
        costs.append([])
        for function, args in CALLS:
            steps = 0
            assert await ask(store, function, **args), (function, args)
            costs[-1].append(steps)
        db.set_progress_handler(None, 1)
    dear = [(call, less, more) for call, less, more in zip(CALLS, *costs, strict=True) if more > 1.5 * less]
    assert not dear
    assert max(costs[1]) < 1_500
    await store.backend.close()


# --- deletion ---------------------------------------------------------------------------------------------------------


async def _full(store: Any) -> None:
    """A conversation with all that one may have: answers in chunks and attempts, an unanswered and an interrupted
    exchange, an added message, a memory stored alone, facts."""
    chunks = [{"start": 0, "end": 9}, {"start": 4, "end": 20}]
    await store.begin("st1", "xylophone?", conversationId="cx", token="0" * 64, tokenTtl=10**6, readFacts=True)
    await store.append(0, "xylophone of a former attempt", "st1")
    await store.finalize("xylophone xylophone ", "st1", attempt=1, chunks=chunks, agentEmbedding=[2.0])
    await store.begin("st2", "xylophone unanswered?", conversationId="cx")
    await store.call("close", "st2", epoch=1, outcome="empty")
    await store.begin("st3", "xylophone interrupted?", conversationId="cx")
    await store.append(0, "xylophone half", "st3")
    await add(store, "m1", "xylophone " * 1_000, "cx")
    alone = {"contentType": "raw", "sourceType": "conversation", "importance": 50, "tags": []}
    place = {"conversationId": "cx", "messageIds": ["m1", "m2"]}
    await store.backend.mutation(
        "memories:store", {"memorySpaceId": "s", "content": "xylophone", **alone, "conversationRef": place}
    )
    fact = {"factType": "knowledge", "confidence": 80, "tags": [], "sourceType": "conversation"}
    source = {"conversationId": "cx", "messageIds": ["m1"]}
    handed_on = {"contextId": "ctx", "purpose": "to hand on", "conversationRef": place}
    await store.backend.mutation("contexts:create", {"memorySpaceId": "s", **handed_on})
    await store.backend.mutation(
        "facts:store", {"memorySpaceId": "s", "fact": "the xylophone sings", **fact, "sourceRef": source}
    )


async def test_a_deletion_with_all_leaves_no_trace(store: Any) -> None:
    await store.exchange("an older zebra?", "yes", "old", conversationId="other")
    older = store.tables()
    await _full(store)
    assert "xylophone" in str(store.tables())  # a test that finds nothing before would show nothing
    gone = await do(store, "deleteConversation", conversationId="cx", deleteMemories=True, deleteFacts=True)
    assert (gone["messagesDeleted"], gone["memoriesDeleted"], gone["factsDeleted"]) == (4, 4, 1)
    for name, rows in store.tables().items():
        if not name.endswith(("_data", "_idx")):  # until their pages are merged
            assert "xylophone" not in str(rows) and "'cx'" not in str(rows), name
    left = store.tables()
    for name in ("conversations", "messages", "memories", "chunks", "vectors", "texts", "pieces", "facts", "documents"):
        assert left[name] == older[name], name
    assert await said(store, "other") == ["an older zebra?", "yes"]
    assert left["conversation_counts"] == older["conversation_counts"]


async def test_what_stays_after_a_deletion_names_nothing_that_is_gone(store: Any) -> None:
    await _full(store)
    await do(store, "deleteConversation", conversationId="cx")
    for name, rows in store.tables().items():
        assert "'cx'" not in str(rows), name
    kept = await store.list(includePartial=True)
    assert len(kept) == 4 and not any("conversationRef" in row for row in kept)
    assert await store.found("xylophone")
    (fact,) = await store.backend.query("facts:list", {"memorySpaceId": "s"})
    assert (fact["fact"], fact["sources"], fact["confidence"]) == ("the xylophone sings", [], 80)
    context = await store.backend.query("contexts:get", {"memorySpaceId": "s", "contextId": "ctx"})
    assert context["purpose"] == "to hand on" and "conversationRef" not in context
    assert "m1" not in json.dumps([*kept, fact, context])
    for stream in ("st1", "st2", "st3"):
        with pytest.raises(StreamNotFound):
            await store.append(0, "late", stream)
    with pytest.raises(StreamNotFound):
        await store.begin("st1", "xylophone?", conversationId="cx")
    await store.begin("st3", "xylophone interrupted?", conversationId="cx")  # one that was rolled back may begin anew
    assert len((await store.conversation("cx"))["pending"]) == 1


async def test_how_sure_a_fact_is_stays_also_when_it_is_said_again(store: Any) -> None:
    fact = {"factType": "knowledge", "tags": [], "sourceType": "conversation", "subject": "a", "predicate": "is"}

    async def know(confidence: int, **source: Any) -> Any:
        said = {"memorySpaceId": "s", "fact": "a is b", "object": "b", "confidence": confidence, "sourceRef": source}
        return await store.backend.mutation("facts:store", {**fact, **said})

    await do(store, "create", conversationId="c", **ADA)
    for number in range(3):
        stored = await know(60, conversationId="c", messageIds=[f"m{number}"])
    assert stored["confidence"] == 94
    await do(store, "deleteConversation", conversationId="c")
    found = await store.backend.query("facts:get", {"memorySpaceId": "s", "factId": stored["factId"]})
    assert (found["confidence"], found["sources"], found["factId"]) == (94, [], stored["factId"])
    assert (await know(60, conversationId="d", messageIds=["n"]))["confidence"] == 98


async def test_many_are_deleted_in_calls_of_bounded_length(store: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(conversation_deletion, "_MOST_MESSAGES", 5)
    monkeypatch.setattr(conversation_deletion, "_MOST_CONVERSATIONS", 3)
    for number in range(5):
        await do(store, "create", conversationId=f"c{number}", **ADA)
    for number in range(6):
        await add(store, f"m{number}", "x", "c0")
    results = [await do(store, "deleteMany") for _ in range(3)]
    told = [(one["conversationIds"], one["totalMessagesDeleted"], one["hasMore"]) for one in results]
    assert told == [(["c0"], 6, True), (["c1", "c2", "c3"], 0, True), (["c4"], 0, False)]
    assert await ask(store, "count") == 0 and store.sql("SELECT * FROM conversation_counts") == []


async def test_nothing_is_deleted_while_somebody_writes_in_one(store: Any) -> None:
    for number in range(3):
        await store.begin(f"st{number}", "why?", conversationId=f"c{number}", lease=60_000 if number == 2 else 0)
    before = store.tables()
    for call in (do(store, "deleteMany"), do(store, "deleteConversation", conversationId="c2")):
        with pytest.raises(StillOwned) as error:
            await call
        assert error.value.stream_id == "st2"
    assert store.tables() == before
    store.now += 61  # the lease has run out
    assert (await do(store, "deleteMany"))["deleted"] == 3
    with pytest.raises(ConversationNotFound):
        await do(store, "deleteConversation", conversationId="c2")


# --- counts -----------------------------------------------------------------------------------------------------------

_GROUPS = """
    SELECT space, '', type, count(*) FROM conversations GROUP BY space, type UNION ALL
    SELECT space, user_id, type, count(*) FROM conversations WHERE user_id IS NOT NULL GROUP BY space, user_id, type
    ORDER BY 1, 2, 3
"""
KINDS = ({"userId": "ada"}, {"userId": "bob"}, {"agentId": "helper"})
ACTIONS = st.sampled_from(("begin", "finalize", "rollback", "create", "delete", "many", "forget"))


@given(st.lists(st.tuples(ACTIONS, st.integers(0, 3), st.sampled_from(KINDS)), max_size=16))
@settings(max_examples=40)
def test_the_counts_are_those_of_the_list_after_whatever_was_done(
    make_store: Any, steps: list[tuple[str, int, dict[str, str]]]
) -> None:
    asyncio.run(_counted(make_store(":memory:"), steps))


async def _counted(store: Any, steps: list[tuple[str, int, dict[str, str]]]) -> None:
    for action, number, of in steps:
        stream = {"streamId": f"st{number}", "memorySpaceId": "s"}
        try:
            if action == "begin":
                turn = {"conversationId": f"c{number % 2}", "userMessage": "why?", "importance": 1, "tags": []}
                await store.backend.mutation("streams:begin", {**stream, **turn, **of})
            elif action == "finalize":
                await store.finalize("so", f"st{number}")
            elif action == "rollback":
                await store.call("rollback", f"st{number}", epoch=1)
            elif action == "create":
                given = {"userId": "ada"} | of
                await do(store, "create", conversationId=f"c{number}", type="user-agent", participants=given)
            elif action == "delete":
                await do(store, "deleteConversation", conversationId=f"c{number}")
            elif action == "many":
                await do(store, "deleteMany", **{name: user for name, user in of.items() if name == "userId"})
            elif rows := await store.list():
                gone = {"memorySpaceId": "s", "memoryId": rows[number % len(rows)]["memoryId"], "erase": True}
                await store.backend.mutation("memories:forget", gone)
        except StoreError:
            continue
    for of in ({}, {"userId": "ada"}, {"type": "agent-agent"}, {"userId": "bob", "type": "user-agent"}):
        for pending in (False, True):
            narrowed = {**of, "includePending": pending}
            assert await ask(store, "count", **narrowed) == len(await ask(store, "list", **narrowed)), narrowed
    db: Any = store.backend._writer
    kept = db.execute("SELECT * FROM conversation_counts ORDER BY 1, 2, 3").fetchall()
    assert [tuple(row) for row in kept] == [tuple(row) for row in db.execute(_GROUPS)]
    await store.backend.close()


async def test_the_conversations_of_an_older_file_are_counted(store: Any) -> None:
    for number in range(4):
        await store.exchange(
            "why?", "so", f"st{number}", conversationId=f"c{number}", userId="ada" if number else "bob"
        )
    await store.begin("st9", "pending?", conversationId="c9")
    before = store.sql("SELECT * FROM conversation_counts ORDER BY 1, 2, 3")
    (filling,) = [one for one in schema._CONVERSATIONS if one.startswith("INSERT INTO conversation_counts")]
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("DELETE FROM conversation_counts")
        db.execute(filling)
    assert store.sql("SELECT * FROM conversation_counts ORDER BY 1, 2, 3") == before
    assert (await ask(store, "count"), await ask(store, "count", includePending=True)) == (4, 5)
    assert (await ask(store, "count", userId="ada"), await ask(store, "count", userId="bob")) == (3, 1)
