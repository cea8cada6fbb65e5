"""`memories:forget`: a memory with the facts that come from it, its message, and every trace of its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_rx.errors import InvalidArgument, MemoryNotFound, StreamNotFound

# The index's own pages: terms that are marked as deleted stay in them until they are merged. Rows of `spaces` count.
PAGES = ("terms_data", "terms_idx", "terms_docsize", "terms_config")


async def forget(store: Any, memory: str | None = None, **more: Any) -> dict[str, Any]:
    named = {} if memory is None else {"memoryId": memory}
    return await store.backend.mutation("memories:forget", {"memorySpaceId": "s", **named, **more})


async def know(store: Any, text: str, *of: dict[str, Any], confidence: int = 60, **more: Any) -> dict[str, Any]:
    """Store a fact once for each memory that says it. The text is "subject predicate object"."""
    subject, predicate, *object_ = text.split(" ", 2)
    said = {"memorySpaceId": "s", "fact": text, "factType": "knowledge", "confidence": confidence, "tags": []}
    triple = {"subject": subject, "predicate": predicate, **({"object": object_[0]} if object_ else {})}
    stored: dict[str, Any] = {}
    for memory in of or ({},):
        ref = {"sourceRef": source(memory)} if memory else {}
        stored = await store.backend.mutation(
            "facts:store", {**said, **triple, "sourceType": "conversation", **ref, **more}
        )
    return stored


def source(memory: dict[str, Any]) -> dict[str, Any]:
    return {"memoryId": memory["memoryId"], **memory.get("conversationRef", {})}


async def facts(store: Any, **more: Any) -> list[str]:
    rows = await store.backend.query("facts:list", {"memorySpaceId": "s", **more})
    return [row["fact"] for row in rows]


async def messages(store: Any, conversation: str = "c") -> list[str]:
    found = await store.conversation(conversation)
    return [] if found is None else [message["content"] for message in found["messages"]]


async def test_a_memory_is_deleted_and_what_it_alone_said_is_retracted(store: Any) -> None:
    question, answer = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"]
    alone = await know(store, "ada lives_in Lisbon", question)
    await know(store, "ada likes tea", question, answer)
    before, store.now = store.now * 1_000, store.now + 1
    forgotten = await forget(store, question["memoryId"])
    assert forgotten == {
        "memoryDeleted": True, "conversationDeleted": False, "messagesDeleted": 0,
        "factsDeleted": 1, "factIds": [alone["factId"]], "restorable": True,
    }  # fmt: skip
    assert await facts(store) == ["ada likes tea"]
    assert await facts(store, knownAt=int(before)) == ["ada lives_in Lisbon", "ada likes tea"]
    assert [row["content"] for row in await store.list()] == ["Nice"]
    assert await messages(store) == ["I live in Lisbon", "Nice"]
    with pytest.raises(MemoryNotFound):
        await forget(store, question["memoryId"])


async def test_erased_it_was_never_said(store: Any) -> None:
    question, answer = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"]
    await store.exchange("more?", "no", "st2")
    alone = await know(store, "ada lives_in Lisbon", question)
    shared = await know(store, "ada likes tea", question, confidence=90)
    await know(store, "ada likes tea", answer, confidence=40)
    known, store.now = store.now * 1_000, store.now + 1
    forgotten = await forget(store, question["memoryId"], erase=True)
    assert forgotten == {
        "memoryDeleted": True, "conversationDeleted": False, "messagesDeleted": 1,
        "factsDeleted": 1, "factIds": [alone["factId"]], "restorable": False,
    }  # fmt: skip
    (left,) = await store.backend.query("facts:list", {"memorySpaceId": "s"})
    assert (left["fact"], left["confidence"], left["sources"]) == ("ada likes tea", 40, [source(answer)])
    assert await facts(store, knownAt=int(known)) == ["ada likes tea"]
    gone = {"memorySpaceId": "s", "factId": alone["factId"]}
    assert await store.backend.query("facts:get", gone) is None
    assert await store.backend.query("facts:getHistory", gone) == [] and shared["confidence"] == 90
    assert await messages(store) == ["Nice", "more?", "no"]  # later ones have moved up
    assert [row["content"] for row in await store.list()] == ["no", "more?", "Nice"]
    page = {"memorySpaceId": "s", "conversationId": "c", "after": answer["conversationRef"]["messageIds"][0]}
    rest = await store.backend.query("conversations:getHistory", page)
    assert [message["content"] for message in rest["messages"]] == ["more?", "no"]
    with pytest.raises(StreamNotFound):
        await store.finalize("Nice")  # sent again
    with pytest.raises(StreamNotFound):
        await store.begin("st", "I live in Lisbon")
    forgotten = await forget(store, answer["memoryId"], erase=True)
    assert (forgotten["messagesDeleted"], await facts(store)) == (1, [])
    for row in await store.list():
        last = await forget(store, row["memoryId"], erase=True)
    assert last["conversationDeleted"] and await store.conversation() is None


@pytest.mark.parametrize("how", ["memory", "message"])
@pytest.mark.parametrize("side", [0, 1])
async def test_no_trace_of_the_text_is_left(store: Any, how: str, side: int) -> None:
    secret = "xylophone"
    said = ["why zebra?", "because zebra"]
    said[side] += f" {secret} " * 2_000
    await store.exchange("an older zebra", "yes", "older")
    chunks = [{"start": 0, "end": 9}, {"start": 4, "end": len(said[1])}]
    await store.begin("st", said[0], metadata={"note": "plain"})
    await store.append(0, f"{secret} of a former attempt")
    stored = await store.finalize(said[1], attempt=1, chunks=chunks, userEmbedding=[1.0], agentEmbedding=[2.0])
    memory = stored["memories"][side]
    other = stored["memories"][1 - side]
    await know(store, f"{secret} is_a secret_{secret}", memory, metadata={"why": secret}, qualifier=secret)
    await know(store, f"{secret} is_a secret_{secret}", memory, embedding=[1.0], embeddingModel="m")
    await know(store, f"ada lives_in {secret}_town", memory)
    await know(store, "ada lives_in Lisbon", other)  # supersedes it
    await know(store, f"ada likes {secret}", memory)
    await forget(store, memory["memoryId"])
    assert secret in str(store.tables())  # a test that finds nothing before would show nothing
    named = memory["conversationRef"]["messageIds"][0]
    await forget(store, **({"memoryId": memory["memoryId"]} if how == "memory" else {"messageId": named}), erase=True)
    for name, rows in store.tables().items():
        if name not in PAGES and not name.endswith(("_data", "_idx")):
            assert secret not in str(rows), name
    assert await facts(store, includeSuperseded=True) == ["ada lives_in Lisbon"]
    assert await store.search("zebra") and not await store.search(secret)
    assert store.sql("PRAGMA foreign_key_check") == [] and store.sql("PRAGMA integrity_check") == [("ok",)]
    await store.backend.compact()
    await store.backend.close()
    written = b"".join(file.read_bytes() for file in Path(store.path).parent.iterdir())
    assert secret.encode() not in written and b"zebra" in written


async def test_what_was_corrected_or_made_one_goes_with_what_it_came_from(store: Any) -> None:
    """A correction has the sources of what it corrects, and a fact that others became one with has theirs."""
    question, answer = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"]
    old = await know(store, "ada lives_in xylophone", question)
    new = await store.backend.mutation(
        "facts:update", {"memorySpaceId": "s", "factId": old["factId"], "fact": "ada lives_in xylophone town"}
    )
    kept = await know(store, "ada likes tea", answer)
    other = await know(store, "ada enjoys xylophone tea", question)
    ids = {"factIds": [kept["factId"], other["factId"]], "keepFactId": kept["factId"]}
    await store.backend.mutation("facts:consolidate", {"memorySpaceId": "s", **ids})
    assert sorted(await facts(store)) == ["ada likes tea", "ada lives_in xylophone town"]
    forgotten = await forget(store, question["memoryId"], erase=True)
    assert {old["factId"], new["factId"]} <= set(forgotten["factIds"])
    (left,) = await store.backend.query("facts:list", {"memorySpaceId": "s", "includeSuperseded": True})
    assert (left["factId"], left["fact"], left["sources"]) == (kept["factId"], "ada likes tea", [source(answer)])
    for name, rows in store.tables().items():
        assert name in PAGES or name.endswith(("_data", "_idx")) or "xylophone" not in str(rows), name


@pytest.mark.parametrize("how", ["corrected", "made one"])
async def test_the_words_of_a_fact_go_with_their_source_though_others_say_it_too(store: Any, how: str) -> None:
    """What is corrected or made one has the words of one source. Of the others it has their own."""
    secret = "xylophone"
    question, answer = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"]
    more = {"tags": [secret], "metadata": {"why": secret}, "subject": "ada", "predicate": "lives_in"}
    kept = await know(store, f"{secret}: Ada lives in Lisbon", question, **more, object="Lisbon")
    if how == "corrected":
        more = {"subject": "ada", "predicate": "lives_in", "object": "Lisbon"}
        await know(store, "Ada lives in Lisbon", answer, **more)
        changes = {"factId": kept["factId"], "confidence": 50, "object": "Lisboa"}
        now = await store.backend.mutation("facts:update", {"memorySpaceId": "s", **changes})
    else:
        other = await know(store, "Ada dwells in Lisbon", answer)
        ids = {"factIds": [kept["factId"], other["factId"]], "keepFactId": kept["factId"]}
        await store.backend.mutation("facts:consolidate", {"memorySpaceId": "s", **ids})
        now = await store.backend.query("facts:get", {"memorySpaceId": "s", "factId": kept["factId"]})
    assert (now["fact"], now["tags"], now["metadata"]) == (kept["fact"], [secret], {"why": secret})
    assert now["sources"] == [source(question), source(answer)]
    await forget(store, question["memoryId"], erase=True)
    (left,) = await store.backend.query("facts:list", {"memorySpaceId": "s"})
    assert left["fact"] == ("Ada lives in Lisbon" if how == "corrected" else "Ada dwells in Lisbon")
    assert (left["sources"], left["tags"], left.get("metadata")) == ([source(answer)], [], None)
    for name, rows in store.tables().items():
        assert name in PAGES or name.endswith(("_data", "_idx")) or secret not in str(rows), name


async def test_what_was_superseded_by_it_holds_again(store: Any) -> None:
    first = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"][0]
    second = (await store.exchange("I live in Porto", "Oh", "st2"))["memories"][0]
    await know(store, "ada lives_in Lisbon", first)
    store.now += 10
    await know(store, "ada lives_in Porto", second)
    assert await facts(store) == ["ada lives_in Porto"]
    await forget(store, second["memoryId"], erase=True)
    (row,) = await store.backend.query("facts:list", {"memorySpaceId": "s", "includeSuperseded": True})
    assert row["fact"] == "ada lives_in Lisbon" and not {"validUntil", "supersededBy", "closed"} & set(row)


def read(side: str, stop: int, *texts: str, **more: Any) -> dict[str, Any]:
    """What was read of a side of a stream, from its beginning to `stop`."""
    said = [{"fact": text, "factType": "knowledge", "confidence": 60} for text in texts]
    triples = [dict(zip(("subject", "predicate", "object"), text.split(" ", 2), strict=True)) for text in texts]
    return {"side": side, "from": 0, "to": stop} | {"facts": [a | b for a, b in zip(said, triples, strict=True)]} | more


async def test_what_was_read_from_a_side_of_a_stream_goes_with_it(store: Any) -> None:
    await store.begin()
    commit = {"memorySpaceId": "s", "streamId": "st", "epoch": 1}
    await store.backend.mutation("facts:commit", commit | read("question", 4, "ada likes tea", "ada lives_in Lisbon"))
    parts = [read("answer", 7, "ada likes tea", "ada likes zebras", error="X")]
    question, answer = (await store.finalize("because", extractions=parts))["memories"]
    assert set(await facts(store)) == {"ada likes tea", "ada lives_in Lisbon", "ada likes zebras"}
    window = [row["memoryId"] for row in await store.backend.query("facts:queued", {"memorySpaceId": "s"})]
    assert window == [answer["memoryId"]]
    forgotten = await forget(store, question["memoryId"], erase=True)
    assert (forgotten["messagesDeleted"], forgotten["factsDeleted"]) == (1, 1)
    assert set(await facts(store)) == {"ada likes tea", "ada likes zebras"}
    await forget(store, answer["memoryId"], erase=True)
    assert await facts(store, includeSuperseded=True) == []
    left = ("statements", "facts", "fact_documents", "fact_bands", "extractions", "extraction_queue", "messages")
    assert {name: store.sql(f"SELECT count(*) FROM {name}")[0][0] for name in left} == dict.fromkeys(left, 0)


@pytest.mark.parametrize("how", ["forget", "erase", "delete", "keep"])
async def test_what_was_not_read_yet_is_not_read_any_more(store: Any, how: str) -> None:
    await store.begin()
    parts = [read("question", 4), read("answer", 7, error="X")]
    answer = (await store.finalize("because", extractions=parts))["memories"][1]["memoryId"]
    assert len(await store.backend.query("facts:queued", {"memorySpaceId": "s"})) == 1
    if how in ("forget", "erase"):
        await forget(store, answer, erase=how == "erase")
    else:
        await store.delete(answer, cascadeDeleteFacts=how == "delete")
    assert await store.backend.query("facts:queued", {"memorySpaceId": "s"}) == []
    assert store.sql("SELECT count(*) FROM extraction_queue") == [(0,)]


async def test_a_pending_exchange_is_erased_whole(store: Any) -> None:
    await store.exchange("why elephant?", "yes", "older")
    tables = {
        name: rows
        for name, rows in store.tables().items()
        if name in ("messages", "memories", "texts", "pieces", "statements", "extractions")
    }
    for target in ("memoryIds", "messageIds"):
        for side in (0, 1):
            begun = await store.begin(f"{target}{side}", "why not?")
            await store.append(0, "because", f"{target}{side}")
            commit = {"memorySpaceId": "s", "streamId": f"{target}{side}", "epoch": 1}
            for said in (read("question", 8, "ada likes tea"), read("answer", 7, "ada likes zebras")):
                await store.backend.mutation("facts:commit", commit | said)
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


async def test_what_was_deleted_before_can_be_erased(store: Any) -> None:
    question, _ = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"]
    await know(store, "ada lives_in Lisbon", question)
    keep = {"memorySpaceId": "s", "memoryId": question["memoryId"], "cascadeDeleteFacts": False}
    deleted = await store.backend.mutation("memories:deleteMemory", keep)
    assert (deleted["factsDeleted"], await facts(store)) == (0, ["ada lives_in Lisbon"])
    with pytest.raises(MemoryNotFound):
        await forget(store, question["memoryId"])
    forgotten = await forget(store, question["memoryId"], erase=True)
    assert (forgotten["memoryDeleted"], forgotten["messagesDeleted"], forgotten["factsDeleted"]) == (False, 1, 1)
    assert (await messages(store), await facts(store)) == (["Nice"], [])
    with pytest.raises(MemoryNotFound):
        await forget(store, question["memoryId"], erase=True)


async def test_a_deleted_memory_takes_its_share_of_the_facts(store: Any) -> None:
    question, answer = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"]
    alone = await know(store, "ada lives_in Lisbon", question)
    await know(store, "ada likes tea", question, answer)
    deleted = await store.delete(question["memoryId"])
    assert deleted == {"deleted": True, "memoryId": question["memoryId"]} | {
        "factsDeleted": 1, "factIds": [alone["factId"]],
    }  # fmt: skip
    (left,) = await store.backend.query("facts:list", {"memorySpaceId": "s", "includeSuperseded": True})
    assert left["sources"] == [source(answer)]


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


async def test_a_memory_that_was_stored_alone_leaves_the_messages_that_it_names(store: Any) -> None:
    question, _ = (await store.exchange("I live in Lisbon", "Nice", "st"))["memories"]
    ref = {"conversationRef": question["conversationRef"]}
    note = {"memorySpaceId": "s", "content": "a note", "memoryId": "n", "sourceType": "system", "contentType": "raw"}
    await store.backend.mutation("memories:store", {**note, "importance": 1, "tags": [], **ref})
    await know(store, "ada lives_in Lisbon", {"memoryId": "n"})
    forgotten = await forget(store, "n", erase=True)
    assert (forgotten["messagesDeleted"], forgotten["factsDeleted"]) == (0, 1)
    assert await messages(store) == ["I live in Lisbon", "Nice"] and len(await store.list()) == 2


async def test_a_message_that_only_facts_know_is_taken_from_them(store: Any) -> None:
    await know(store, "ada likes tea", sourceRef={"conversationId": "mail", "messageIds": ["m1", "m2"]})
    forgotten = await forget(store, messageId="m1", erase=True)
    assert (forgotten["memoryDeleted"], forgotten["messagesDeleted"], forgotten["factIds"]) == (False, 0, [])
    (left,) = await store.backend.query("facts:list", {"memorySpaceId": "s"})
    assert left["sources"] == [{"conversationId": "mail", "messageIds": ["m2"]}]
    with pytest.raises(MemoryNotFound):
        await forget(store, messageId="m1", erase=True)
    assert (await forget(store, messageId="m2"))["factIds"] == [left["factId"]] and await facts(store) == []
    assert (await forget(store, messageId="m2", erase=True))["factsDeleted"] == 1


async def test_another_space_with_the_same_ids_is_left_alone(store: Any) -> None:
    for space in ("s", "t"):
        note = {"memorySpaceId": space, "content": "a secret", "memoryId": "n", "sourceType": "system"}
        await store.backend.mutation("memories:store", {**note, "contentType": "raw", "importance": 1, "tags": []})
        await know(
            store,
            "ada lives_in Lisbon",
            {"memoryId": "n", "conversationRef": {"messageIds": ["m"]}},
            memorySpaceId=space,
        )
    mine = {"memorySpaceId": "s", "memoryId": "n"}
    await store.backend.mutation("memories:forget", {**mine, "memorySpaceId": "t", "erase": True})
    assert await facts(store) == ["ada lives_in Lisbon"] and await store.found("secret") == ["a secret"]
    with pytest.raises(MemoryNotFound):
        await store.backend.mutation("memories:forget", {"memorySpaceId": "t", "messageId": "m", "erase": True})
    stored = await store.exchange("why?", "because", "st")
    for named in (
        {"memoryId": stored["memories"][0]["memoryId"]},
        {"messageId": stored["conversation"]["messageIds"][0]},
    ):
        with pytest.raises(MemoryNotFound):
            await store.backend.mutation("memories:forget", {"memorySpaceId": "t", **named, "erase": True})


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


SAID = st.tuples(
    st.sampled_from(["ada lives_in Lisbon", "ada lives_in Porto", "ada likes tea", "bob lives_in Lisbon"]),
    st.sampled_from([30, 60, 90]),
    st.integers(0, 3),
)


@given(said=st.lists(SAID, min_size=1, max_size=8), which=st.integers(0, 3))
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_what_is_erased_is_as_if_it_had_never_been_said(
    make_store: Any, said: list[tuple[str, int, int]], which: int
) -> None:
    """Two stores: in one it was said and erased, in the other never said. Facts say the same, also as known before."""

    async def told(erase: bool) -> Any:
        store = make_store(":memory:")
        try:
            for number in range(4):
                if erase or number != which:
                    note = {"memorySpaceId": "s", "content": f"note {number}", "memoryId": f"n{number}"}
                    kind = {"contentType": "raw", "sourceType": "system", "importance": 1, "tags": []}
                    await store.backend.mutation("memories:store", {**note, **kind})
            for at, (text, confidence, number) in enumerate(said):
                store.now = 2_000 + at
                if erase or number != which:
                    await know(store, text, {"memoryId": f"n{number}"}, confidence=confidence)
            if erase:
                await forget(store, f"n{which}", erase=True)
            fields = ("fact", "confidence", "validFrom", "validUntil", "closed", "sources", "knownFrom")
            seen: list[Any] = []
            for known in (None, *range(2_000_000, 2_000_000 + len(said) * 1_000, 1_000)):
                when = {} if known is None else {"knownAt": known}
                rows = await store.backend.query(
                    "facts:list", {"memorySpaceId": "s", "includeSuperseded": True, **when}
                )
                seen.append(sorted(str([row.get(field) for field in fields]) for row in rows))
            return seen, sorted(row["content"] for row in await store.list())
        finally:
            await store.backend.close()

    assert await told(True) == await told(False)


async def test_what_is_left_of_a_fact_is_nominated_as_it_is_said_now(store: Any) -> None:
    """Two sources may say the same from its two ends."""
    question, answer = (await store.exchange("I am Bob's boss", "So he reports to you", "st"))["memories"]
    text = "Ada is the boss of Bob"
    await know(store, text, question, subject="Ada", predicate="manages", object="Bob")
    fact = await know(store, text, answer, subject="Bob", predicate="reports_to", object="Ada")
    await forget(store, question["memoryId"], erase=True)
    new = {"fact": "Quite another sentence", "factType": "knowledge", "confidence": 60, "subject": "Bob"}
    similar = {"memorySpaceId": "s", **new, "predicate": "reports_to", "object": "Cleo"}
    found = await store.backend.query("facts:similar", similar)
    assert [(row["factId"], row["subject"]) for row in found] == [(fact["factId"], "Bob")]
