"""Memory spaces: what an archived one refuses, and what is left of one that was deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.backends.contract.samples import samples
from cortex_rx.backends.contract.tables import FUNCTIONS
from cortex_rx.backends.sqlite.functions import memory_spaces, space_clearing
from cortex_rx.errors import CortexError, MemorySpaceArchived, MemorySpaceHasData, StreamNotFound

ALONE = {"contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}


# --- archived ---------------------------------------------------------------------------------------------------------

MUTATIONS = [one for one in FUNCTIONS.values() if one.kind == "mutation"]
IN_A_SPACE = [
    one for one in MUTATIONS if any(field.name == "memorySpaceId" and field.required for field in one.args.fields)
]
CALLS = {one.path: one.args for one in reversed(list(samples())) if one.field is None}


@pytest.mark.parametrize("function", IN_A_SPACE, ids=lambda one: one.path)
async def test_an_archived_space_refuses_each_mutation_that_begins_something(store: Any, function: Any) -> None:
    await store.begin()
    await store.backend.mutation("memorySpaces:archive", {"memorySpaceId": "s"})
    before = store.tables()
    try:
        await store.backend.mutation(function.path, {**CALLS[function.path], "memorySpaceId": "s"})
    except MemorySpaceArchived:
        assert not function.when_archived
        assert store.tables() == before
    except CortexError:  # it would be done, but there is no such record
        assert function.when_archived
    else:
        assert function.when_archived


def test_only_what_ends_what_began_is_done_in_an_archived_space() -> None:
    done = {one.path for one in IN_A_SPACE if one.when_archived}
    ends = {path for path in done if not path.startswith("memorySpaces:")}
    streams = {path for path, one in FUNCTIONS.items() if path.startswith("streams:") and one.kind == "mutation"}
    assert ends == {*streams, "facts:commit"} - {"streams:begin"}
    assert done - ends == {one.path for one in MUTATIONS if one.path.startswith("memorySpaces:")}


async def test_an_answer_that_had_begun_is_taken_over_and_read_for_facts_in_an_archived_space(store: Any) -> None:
    begun = await store.begin(token="0" * 64, readFacts=True)
    await store.append(0, "half")
    await store.backend.mutation("memorySpaces:archive", {"memorySpaceId": "s"})
    store.now += 3_000
    taken = await store.take("0" * 64, "mine")
    assert taken["epoch"] == begun["epoch"] + 1
    where = {"memorySpaceId": "s", "streamId": "st", "epoch": 2}
    said = {"fact": "Ada asks.", "factType": "event", "confidence": 1, "tags": []}
    await store.backend.mutation("facts:commit", {**where, "side": "question", "from": 0, "to": 4, "facts": [said]})
    await store.finalize(" done", start=4, epoch=2)
    assert [row["content"] for row in await store.list()] == ["half done", "why?"]
    facts = await store.backend.query("facts:list", {"memorySpaceId": "s"})
    assert [fact["fact"] for fact in facts] == ["Ada asks."]


# --- deleted ----------------------------------------------------------------------------------------------------------

WORDS = ("garnet", "opal", "topaz", "beryl", "agate", "zircon", "onyx", "pyrite")


async def fill(store: Any, space: str, mark: str) -> None:
    """All kinds of records in a memory space, with words that begin with `mark`."""

    def word(number: int) -> str:
        return f"{mark}{WORDS[number]}"

    async def do(path: str, **args: Any) -> Any:
        return await store.backend.mutation(path, {"memorySpaceId": space, **args})

    where = {"memorySpaceId": space, "userId": f"{mark}user", "tags": [f"{mark}tag"]}
    known = {"factType": "identity", "confidence": 9, "tags": [f"{mark}tag"]}
    await do(
        "memorySpaces:register",
        type="team",
        name=f"{mark}name",
        participants=[{"id": f"{mark}ada", "type": "user"}],
        metadata={f"{mark}key": 1},
    )
    # An exchange with chunks, vectors, a token and facts; another answer under its question before.
    await store.begin(
        f"{mark}st",
        f"{word(0)} why?",
        conversationId=f"{mark}c",
        token=hashlib.sha256(mark.encode()).hexdigest(),
        **where,
    )
    await store.append(0, f"{word(1)} first", f"{mark}st", memorySpaceId=space)
    await store.append(0, "", f"{mark}st", memorySpaceId=space, attempt=1)
    said = {"fact": f"{word(2)} was asked.", "subject": word(2), "predicate": "lives_in", "object": "x", **known}
    await do("facts:commit", streamId=f"{mark}st", epoch=1, side="question", **{"from": 0, "to": 3}, facts=[said])
    await store.finalize(
        f"{word(1)} answer", f"{mark}st", memorySpaceId=space, attempt=1,
        chunks=[{"start": 0, "end": 5, "embedding": [1.0, 2.0]}, {"start": 5, "end": len(f"{word(1)} answer")}],
        agentEmbedding=[1.0, 0.0], userEmbedding=[0.0, 1.0], metadata={"k": f"{mark}meta"},
    )  # fmt: skip
    # Those that have not ended, that ended without an answer, that were rolled back, that were forgotten.
    for stream in ("open", "empty", "back", "gone"):
        await store.begin(f"{mark}{stream}", f"{word(3)} {stream}?", conversationId=f"{mark}c", **where)
        await store.append(0, f"{word(4)} part", f"{mark}{stream}", memorySpaceId=space)
    await do("facts:commit", streamId=f"{mark}open", epoch=1, side="answer", **{"from": 0, "to": 3}, facts=[said])
    await do(
        "facts:commit",
        streamId=f"{mark}open",
        epoch=1,
        side="question",
        **{"from": 0, "to": 3},
        facts=[],
        error="failed",
    )
    await store.begin(f"{mark}none", f"{word(3)} none?", conversationId=f"{mark}c", **where)
    await store.call("close", f"{mark}none", memorySpaceId=space, epoch=1, outcome="empty")
    await store.call("rollback", f"{mark}back", memorySpaceId=space, epoch=1)
    found = await store.call("get", f"{mark}gone", memorySpaceId=space)
    await do("memories:forget", memoryId=found["memoryId"], erase=True)
    # Memories and facts that are stored alone.
    alone = await do(
        "memories:store", content=f"{word(5)} alone", embedding=[0.5, 0.5], **{**ALONE, "tags": [f"{mark}tag"]}
    )
    # Contexts, with versions, participants, and grants in both directions.
    made = await do("contexts:create", contextId=f"{mark}ctx", purpose=f"{word(5)} purpose", userId=f"{mark}user")
    await do("contexts:update", contextId=made["contextId"], data={"k": f"{mark}data"})
    await do("contexts:addParticipant", contextId=made["contextId"], participantId=f"{mark}agent")
    await do("contexts:grantAccess", contextId=made["contextId"], targetMemorySpaceId="third", scope="read-only")
    args = {"memorySpaceId": "third", "contextId": f"third of {mark[::-1]}", "purpose": "other"}
    made = await store.backend.mutation("contexts:create", args)
    del args["purpose"]
    await store.backend.mutation("contexts:grantAccess", {**args, "targetMemorySpaceId": space, "scope": "read-only"})
    await do("memories:update", memoryId=alone["memoryId"], content=f"{word(6)} alone")
    for place in ("here", "there"):
        await do(
            "facts:store", fact=f"{word(7)} lives {place}.", subject=word(7), predicate="lives_in", object=place,
            sourceType="manual", embedding=[0.1, 0.2], **known,
        )  # fmt: skip
    await do(
        "conversations:create", conversationId=f"{mark}made", type="user-agent", participants={"userId": f"{mark}user"}
    )


def rows_of(store: Any, mark: str, number: int | None) -> Iterator[tuple[str, str]]:
    """Rows that name what is marked, or the number of the memory space."""
    for table, rows in store.tables().items():
        columns = [column for _, column, *_ in store.sql(f"PRAGMA table_info({table})")]
        for row in rows:
            of_space = "space" in columns and number is not None and row[columns.index("space")] == number
            if of_space or mark in repr(row).lower():
                yield table, repr(row)


def number_of(store: Any, space: str) -> int | None:
    found = store.sql("SELECT id FROM spaces WHERE name = ?", space)
    return found[0][0] if found else None


def bytes_of(store: Any) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(Path(store.path).parent.glob("*")) if file.is_file()).lower()


@pytest.mark.parametrize("stepwise", [True, False], ids=["in steps", "at once"])
async def test_nothing_of_a_deleted_space_is_in_the_file_and_another_is_as_it_was(store: Any, stepwise: bool) -> None:
    await fill(store, "zqspace", "zq")
    await fill(store, "wvspace", "wv")
    number = number_of(store, "zqspace")
    named = {table for table, _ in rows_of(store, "zq", number)}
    assert named >= {
        *("memories", "streams", "messages", "conversations", "facts", "statements", "tokens", "chunks", "contexts"),
        *(
            "context_grants",
            "context_participants",
            "context_versions",
            "memory_versions",
            "memory_counts",
            "vectors",
            "extraction_queue",
        ),
    }
    others = await listed(store, "wvspace")
    if stepwise:
        more, steps = True, 0
        while more:
            done = await store.backend.mutation("memorySpaces:clear", {"memorySpaceId": "zqspace", "limit": 3})
            assert done["deleted"] <= 4  # a fact goes with both statements of its slot
            more, steps = done["more"], steps + 1
        assert steps > 5
    await store.backend.mutation("memorySpaces:deleteSpace", {"memorySpaceId": "zqspace", "cascade": True})
    await store.backend.compact()
    assert list(rows_of(store, "zq", number)) == []
    assert await listed(store, "wvspace") == others
    texts = store.sql("SELECT count(*) FROM texts WHERE space NOT IN (SELECT id FROM spaces)")
    pieces = store.sql("SELECT count(*) FROM pieces WHERE text NOT IN (SELECT id FROM texts)")
    assert (texts, pieces) == ([(0,)], [(0,)])
    assert b"zq" not in bytes_of(store)
    assert b"wvgarnet" in bytes_of(store)


async def listed(store: Any, space: str) -> list[Any]:
    """What is to be read in a memory space."""

    async def ask(path: str, **args: Any) -> Any:
        return await store.backend.query(path, {"memorySpaceId": space, **args})

    found = [
        await ask("memories:list", includePartial=True, includeChunks=True),
        await ask("memories:count", includePartial=True),
        await ask("facts:list", includeSuperseded=True),
        await ask("memories:search", query="wvgarnet wvopal wvzircon wvpyrite", includePartial=True),
        await ask("facts:search", query="wvpyrite"),
        await ask("memorySpaces:getStats"),
        await ask("memorySpaces:get"),
        await ask("streams:list", conversationId="wvc"),
    ]
    for row in await ask("conversations:list", includePending=True):
        found.append(await ask("conversations:get", conversationId=row["conversationId"]))
    for memory in found[0]:
        found.append(await ask("memories:get", memoryId=memory["memoryId"], includePartial=True))
    return found


async def test_what_is_left_after_some_steps_is_whole(store: Any) -> None:
    """A process that dies while it deletes leaves a memory space that can be used again, and deleted again."""
    await fill(store, "zqspace", "zq")
    where = {"memorySpaceId": "zqspace"}
    await store.backend.mutation("memorySpaces:archive", where)
    more = True
    while more:
        more = (await store.backend.mutation("memorySpaces:clear", {**where, "limit": 1}))["more"]
        rows = await store.backend.query("memories:list", where)
        assert await store.backend.query("memories:count", where) == len(rows)
        facts = await store.backend.query("facts:list", where)
        assert await store.backend.query("facts:count", where) == len(facts)
        talks = await store.backend.query("conversations:list", where)
        assert await store.backend.query("conversations:count", where) == len(talks)
        for talk in talks:
            got = await store.backend.query("conversations:get", {**where, "conversationId": talk["conversationId"]})
            assert len(got["messages"]) == got["messageCount"]
        for query in ("zqgarnet", "zqopal", "zqzircon", "zqpyrite"):
            found = await store.backend.query("memories:search", {**where, "query": query})
            assert {one["memoryId"] for one in found} <= {row["memoryId"] for row in rows} | {
                chunk
                for row in rows
                for chunk in (await store.backend.query("memories:get", {**where, "memoryId": row["memoryId"]})).get(
                    "chunkIds", []
                )
            }
        assert (await store.backend.query("memorySpaces:get", where))["status"] == "archived"
    await store.backend.mutation("memorySpaces:reactivate", where)
    await store.exchange("why?", "anew", "again", memorySpaceId="zqspace")
    with pytest.raises(MemorySpaceHasData):
        await store.backend.mutation("memorySpaces:deleteSpace", {**where, "cascade": False})
    await store.backend.mutation("memorySpaces:deleteSpace", {**where, "cascade": True})
    assert list(rows_of(store, "zqspace", None)) == []  # its name is no word of the index


async def test_an_open_answer_ends_with_its_space(store: Any) -> None:
    await store.begin()
    await store.append(0, "half")
    await store.backend.mutation("memorySpaces:deleteSpace", {"memorySpaceId": "s", "cascade": True})
    with pytest.raises(StreamNotFound):
        await store.append(4, "more")
    await store.begin()
    assert await store.append(0, "anew") == 4


async def test_a_step_costs_as_much_whatever_the_space_holds(make_store: Any) -> None:
    store = make_store(":memory:")
    costs: dict[int, int] = {}
    for size in (150, 900):
        for number in range(size):
            args = {
                **ALONE,
                "memorySpaceId": str(size),
                "content": f"some words of {number}",
                "embedding": [1.0, number],
            }
            await store.backend.mutation("memories:store", args)
        steps = [0]

        def more(steps: list[int] = steps) -> int:
            steps[0] += 1
            return 0

        store.backend._writer.set_progress_handler(more, 100)
        done = await store.backend.mutation("memorySpaces:clear", {"memorySpaceId": str(size)})
        assert done == {"deleted": 100, "more": True}
        costs[size] = steps[0]
        store.backend._writer.set_progress_handler(None, 0)
    assert costs[900] < 1.5 * costs[150]
    await store.backend.close()


async def test_the_bytes_of_a_message_count_whatever_becomes_of_its_memory(store: Any) -> None:
    begun = await store.begin("st", "why?")
    await store.append(0, "half")

    async def storage() -> tuple[int, int, int]:
        bytes = (await store.backend.query("memorySpaces:getStats", {"memorySpaceId": "s"}))["storage"]
        return bytes["conversationsBytes"], bytes["memoriesBytes"], bytes["totalBytes"]

    await store.finalize(" way", start=4)
    assert await storage() == (12, 12, 12)
    answer = {"memorySpaceId": "s", "memoryId": begun["memoryIds"][1]}
    await store.backend.mutation("memories:archive", answer)
    assert await storage() == (12, 4, 12)
    await store.backend.mutation("memories:restoreFromArchive", answer)
    await store.backend.mutation("memories:update", {**answer, "content": "other"})
    assert await storage() == (12, 9, 17)
    await store.backend.mutation("memories:deleteMemory", answer)
    assert await storage() == (12, 4, 12)


# --- by an index ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"type": "team"}, "memory_spaces_by_type"),
        ({"status": "active"}, "memory_spaces_by_status"),
        ({"type": "team", "status": "active"}, "memory_spaces_by_type"),
        ({"participantId": "ada"}, "memory_space_participants_by_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
async def test_each_filter_has_an_index(store: Any, given: dict[str, str], index: str) -> None:
    await store.begin()
    statement = memory_spaces._select(given, "ORDER BY seq DESC")
    values = [value for name in memory_spaces._CONDITIONS if (value := given.get(name)) is not None]
    for name in memory_spaces._CONDITIONS:
        statement = statement.replace(f":{name}", "?")
    plan = " ".join(row[3] for row in store.sql(f"EXPLAIN QUERY PLAN {statement}", *values))
    assert index in plan and "SCAN memory_spaces" not in plan


async def test_the_used_spaces_are_found_without_looking_at_their_records(make_store: Any) -> None:
    store = make_store(":memory:")
    costs: list[int] = []
    for size in (50, 1_000):
        for number in range(size):
            args = {"memorySpaceId": f"s{number % 3}", "conversationId": f"c{size}-{number}"}
            await store.backend.mutation(
                "conversations:create", {**args, "type": "user-agent", "participants": {"userId": "u"}}
            )
        steps = [0]

        def more(steps: list[int] = steps) -> int:
            steps[0] += 1
            return 0

        store.backend._writer.set_progress_handler(more, 10)
        rows = await store.backend.query("memorySpaces:list", {"includeUnregistered": True})
        assert [row["memorySpaceId"] for row in rows] == ["s0", "s1", "s2"]
        costs.append(steps[0])
    assert costs[1] < 1.5 * costs[0]
    assert space_clearing._KEYED
    await store.backend.close()
