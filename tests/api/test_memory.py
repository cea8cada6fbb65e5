"""`MemoryAPI` over a real SQLite file: stored memories are found, typed, and only those of the memory space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cortex_rx import DeleteResult
from cortex_rx.api import MemoryAPI
from cortex_rx.api._graph import GraphNotKept
from cortex_rx.backends import HEAD_LENGTH, SqliteBackend
from cortex_rx.errors import (
    IdempotencyConflict,
    InvalidArgument,
    MemoryNotFound,
    StoreError,
    StoreUnavailable,
    UnsupportedOption,
)
from cortex_rx.models.options import SearchOptions
from cortex_rx.models.records import MemoryEntry
from cortex_rx.models.results import ForgetResult
from cortex_rx.testing import run_virtual, wall


@pytest.fixture
def memory(backend: Any) -> MemoryAPI:
    return MemoryAPI(backend)


def contents(found: list[MemoryEntry]) -> list[str]:
    return [entry.content for entry in found]


async def test_what_was_remembered_is_found_with_its_score_and_all_that_belongs_to_it(
    memory: Any, remember: Any
) -> None:
    stored = await remember(
        "How do I reset it?", "Press the small lever.", importance=0, tags=["device"], agent_id="helper"
    )
    await remember("What does it weigh?", "Two kilograms.")
    (found,) = await memory.search("support", "lever", neighbours=False)
    assert found.content == "Press the small lever." and found.content_length == len(found.content)
    assert found.score is not None and 0 < found.score <= 1
    assert (found.memory_id, found.importance, found.tags) == (stored["memories"][1]["memoryId"], 0, ("device",))
    assert (found.user_id, found.agent_id, found.message_role, found.is_partial) == ("ada", "helper", "agent", False)
    assert found.conversation_ref == {"conversationId": "c-1", "messageIds": [stored["conversation"]["messageIds"][1]]}
    assert found["memoryId"] == found.memory_id
    assert await memory.get("support", found.memory_id) == found.model_copy(update={"score": None})


async def test_a_search_gives_the_best_first_and_filters_before_it_limits(memory: Any, remember: Any) -> None:
    for number in range(5):
        await remember(f"Question {number}?", f"The lamp is number {number}.", user_id="bob", user_name="Bob")
    await remember("And the red lamp?", "The red lamp is upstairs.", tags=["red"], importance=90)
    best = await memory.search("support", "red lamp", neighbours=False)
    assert contents(best)[:2] in (
        ["And the red lamp?", "The red lamp is upstairs."],
        ["The red lamp is upstairs.", "And the red lamp?"],
    )
    scores = [entry.score for entry in best]
    assert len(scores) == 7 and scores == sorted(scores, reverse=True)
    assert len(await memory.search("support", "lamp", {"limit": 3})) == 3
    assert len(await memory.search("support", "lamp", {"offset": 3}, limit=4)) == 4  # keywords beside the options
    around = await memory.search("support", "red lamp")
    assert set(contents(best)) < set(contents(around)) and "Question 0?" in contents(around)
    only = {"The red lamp is upstairs.", "And the red lamp?"}
    for options in (
        SearchOptions(user_id="ada", limit=2),
        {"userId": "ada", "limit": 2},
        {"tags": ["green", "red"], "limit": 2},
        {"minImportance": 80, "limit": 2},
        {"min_importance": 90, "source_type": "conversation", "limit": 2},
    ):
        assert set(contents(await memory.search("support", "lamp", options))) == only
    assert await memory.search("support", "lamp", {"minImportance": 91}) == []
    assert await memory.search("support", "lamp", {"sourceType": "tool"}) == []


@pytest.mark.parametrize("query", ["don't", "C++", "what is it?", "lamp*", '"', "", "NEAR(", "灯", "🎉", "a AND b OR"])
async def test_any_string_is_a_query(memory: Any, remember: Any, query: str) -> None:
    text = f"It says: {query}."
    await remember("Well?", text)
    words = any(letter.isalnum() or not letter.isascii() for letter in query)
    assert contents(await memory.search("support", query, neighbours=False)) == ([text] if words else [])


async def test_a_memory_space_never_sees_the_memories_of_another(memory: Any, remember: Any) -> None:
    mine = await remember("Where is the key?", "Under the mat.")
    await remember("Where is the key?", "In the safe.", space="sales")
    memory_id = mine["memories"][1]["memoryId"]
    assert contents(await memory.search("support", "mat safe key")) == ["Under the mat.", "Where is the key?"]
    assert contents(await memory.list("support")) == ["Under the mat.", "Where is the key?"]
    assert await memory.get("sales", memory_id) is None
    assert await memory.count("support") == 2 and await memory.count("elsewhere") == 0
    with pytest.raises(MemoryNotFound):
        await memory.delete("sales", memory_id)
    assert (await memory.get("support", memory_id)).content == "Under the mat."


async def test_an_answer_that_still_streams_shows_only_when_asked_for(memory: Any, remember: Any) -> None:
    begun = await remember("Tell me.", "Once upon a", finish=False)
    memory_id = begun["memoryId"]
    assert await memory.get("support", memory_id) is None
    assert await memory.list("support") == [] and await memory.search("support", "once") == []
    assert await memory.count("support") == 0
    partial = await memory.get("support", memory_id, include_partial=True)
    assert (partial.content, partial.is_partial) == ("Once upon a", True)
    assert partial.partial_metadata["userMessage"] == "Tell me."
    assert contents(await memory.list("support", include_partial=True)) == ["Once upon a"]
    assert contents(await memory.search("support", "once", {"includePartial": True})) == ["Once upon a"]
    assert await memory.count("support", include_partial=True) == 1


async def test_a_list_is_newest_first_and_filtered_before_its_limit(memory: Any, remember: Any) -> None:
    await remember("First?", "One.", conversation_id="c-2")
    await remember("Second?", "Two.", user_id="bob", user_name="Bob")
    await remember("Third?", "Three.")
    assert contents(await memory.list("support")) == ["Three.", "Third?", "Two.", "Second?", "One.", "First?"]
    assert contents(await memory.list("support", limit=1)) == ["Three."]
    assert contents(await memory.list("support", user_id="bob", limit=1)) == ["Two."]
    assert contents(await memory.list("support", conversation_id="c-2", limit=2)) == ["One.", "First?"]
    assert await memory.list("support", source_type="tool") == []
    assert (await memory.count("support"), await memory.count("support", user_id="bob")) == (6, 2)
    assert await memory.count("support", source_type="tool") == 0
    assert type(await memory.count("support")) is int


async def test_lists_show_the_head_of_a_long_content_and_get_shows_all(memory: Any, remember: Any) -> None:
    long = "All work and no play. 灯🎉 " * 4000
    stored = await remember("Go on.", long)
    memory_id = stored["memories"][1]["memoryId"]
    assert (await memory.get("support", memory_id)).content == long
    (listed,) = await memory.list("support", limit=1)
    assert (listed.memory_id, listed.content) == (memory_id, long[:HEAD_LENGTH])
    assert listed.content_length == len(long)


async def test_what_is_deleted_is_gone(memory: Any, remember: Any) -> None:
    stored = await remember("Where is it?", "Under the mat.")
    memory_id = stored["memories"][1]["memoryId"]
    deleted = await memory.delete("support", memory_id)
    assert (
        deleted == DeleteResult(deleted=True, memory_id=memory_id, facts_deleted=0, fact_ids=())
        and deleted["memoryId"] == memory_id
    )
    assert await memory.get("support", memory_id) is None and await memory.search("support", "mat") == []
    assert contents(await memory.list("support")) == ["Where is it?"]
    with pytest.raises(MemoryNotFound):
        await memory.delete("support", memory_id)


async def test_what_is_forgotten_is_gone_and_its_message_stays_unless_it_is_erased(memory: Any, remember: Any) -> None:
    stored = await remember("Where is it?", "Under the mat.")
    question, answer = (row["memoryId"] for row in stored["memories"])
    none = {"memory_deleted": True, "conversation_deleted": False, "facts_deleted": 0, "fact_ids": ()}
    forgotten = await memory.forget("support", question)
    assert forgotten == ForgetResult(**none, messages_deleted=0, restorable=True)
    assert contents(await memory.list("support")) == ["Under the mat."]
    message = stored["conversation"]["messageIds"][0]
    erased = await memory.forget("support", message_id=message, options={"erase": True})
    assert erased == ForgetResult(**none | {"memory_deleted": False}, messages_deleted=1, restorable=False)
    erased = await memory.forget("support", answer, erase=True)
    assert erased["conversationDeleted"] and await memory.list("support") == []
    with pytest.raises(MemoryNotFound):
        await memory.forget("support", answer, erase=True)


async def test_one_id_says_what_is_forgotten(memory: Any) -> None:
    for ids in ({}, {"memory_id": "m", "message_id": "n"}):
        with pytest.raises(InvalidArgument, match="one of memory_id and message_id"):
            await memory.forget("support", **ids)
    for option in ("delete_conversation", "deleteEntireConversation"):
        with pytest.raises(MemoryNotFound):
            await memory.forget("support", "m", {option: True})
    with pytest.warns(GraphNotKept), pytest.raises(MemoryNotFound):
        await memory.forget("support", "m", {"sync_to_graph": True})
    with pytest.warns(GraphNotKept), pytest.raises(MemoryNotFound):
        await memory.delete("support", "m", sync_to_graph=True)


async def test_what_was_stored_alone_is_found_with_all_that_belongs_to_it(memory: Any, remember: Any) -> None:
    await remember("Where is it?", "Under the mat.")
    given = {
        "content": "The lever is red.",
        "contentType": "fact",
        "source": {"type": "conversation", "timestamp": 5, "userName": "Bob"},
        "metadata": {"importance": 80, "tags": ["device"], "page": 3},
        "conversationRef": {"conversationId": "c-1", "messageIds": ["msg-1"]},
        "immutableRef": {"type": "manual", "id": "m-1"},
        "mutableRef": {"namespace": "n", "key": "k", "snapshotValue": [1], "snapshotAt": 7},
        "embedding": (0.5, 1),
    }
    stored = await memory.store("support", given, user_id="ada", message_role="system")
    (found,) = await memory.search("support", "lever", {"tags": ["device"], "minImportance": 80, "userId": "ada"})
    assert found.model_copy(update={"score": None}) == stored == await memory.get("support", stored.memory_id)
    assert (stored.content_type, stored.source_type, stored.source_timestamp) == ("fact", "conversation", 5)
    assert (stored.source_user_name, stored.user_id, stored.message_role) == ("Bob", "ada", "system")
    assert (stored.importance, stored.tags, stored.metadata) == (80, ("device",), {"page": 3})
    assert stored.conversation_ref == given["conversationRef"] and stored.immutable_ref == given["immutableRef"]
    assert stored["mutableRef"] == given["mutableRef"] and stored.embedding == (0.5, 1.0)
    await memory.store("support", "Alone.", source={"type": "tool"})
    assert contents(await memory.list("support")) == ["Alone.", "The lever is red.", "Under the mat.", "Where is it?"]
    assert contents(await memory.list("support", source_type="tool")) == ["Alone."]
    assert contents(await memory.list("support", conversation_id="c-1"))[0] == "The lever is red."
    assert await memory.count("support", source_type="conversation") == 3
    assert (await memory.delete("support", stored.memory_id)).deleted
    assert await memory.search("support", "lever") == []


def test_a_store_whose_answer_was_lost_stores_nothing_twice(tmp_path: Path) -> None:
    class Loses(SqliteBackend):
        """Its first two answers are lost, after the write and before it."""

        calls = 0

        async def mutation(self, path: str, args: Any) -> Any:
            self.calls += 1
            if self.calls == 2:
                raise StoreUnavailable("away")
            result = await super().mutation(path, args)
            if self.calls == 1:
                raise StoreUnavailable("the answer was lost")
            return result

    async def main() -> tuple[MemoryEntry, list[MemoryEntry], int]:
        async with Loses(tmp_path / "memory.db", clock=wall) as backend:
            memory = MemoryAPI(backend)
            stored = await memory.store("s", "once")
            return stored, await memory.list("s"), backend.calls

    stored, found, calls = run_virtual(main())
    assert found == [stored] and calls == 3


async def test_a_memory_id_means_one_memory(memory: Any) -> None:
    first = await memory.store("support", "once", memory_id="mine", conversation_id="c-1")
    assert await memory.store("support", "once", memory_id="mine", conversation_id="c-1", tags=["late"]) == first
    with pytest.raises(IdempotencyConflict):
        await memory.store("support", "twice", memory_id="mine", conversation_id="c-1")
    assert await memory.list("support") == [first]
    one, other = [await memory.store("support", "the same") for _ in range(2)]
    assert one.memory_id != other.memory_id and await memory.count("support") == 3


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda m: m.store("", "x"), "memory_space_id"),
        (lambda m: m.store("support", 5), "content"),
        (lambda m: m.store("support", "x", importance=101), "importance"),
        (lambda m: m.search("", "x"), "memory_space_id"),
        (lambda m: m.search(None, "x"), "memory_space_id"),
        (lambda m: m.search("support", None), "query"),
        (lambda m: m.search("support", "x", {"limit": 0}), "limit"),
        (lambda m: m.search("support", "x", {"boostPopular": True}), "boost_popular"),
        (lambda m: m.search("support", "x", strategy="semantic"), "embedding"),
        (lambda m: m.search("support", "x", embedding="no"), "embedding"),
        (lambda m: m.search("support", "x", embedding_model="m"), "embedding_model"),
        (lambda m: m.search("support", "x", {"limits": 1}), "SearchOptions"),
        (lambda m: m.search("support", "x", 5), "SearchOptions"),
        (lambda m: m.get("support", None), "memory_id"),
        (lambda m: m.get("support", "mem-1", include_partial="yes"), "include_partial"),
        (lambda m: m.list(" "), "memory_space_id"),
        (lambda m: m.list("support", limit=-1), "limit"),
        (lambda m: m.list("support", limit=True), "limit"),
        (lambda m: m.list("support", user_id=""), "user_id"),
        (lambda m: m.list("support", source_type="mail"), "source_type"),
        (lambda m: m.count("support", user_id=5), "user_id"),
        (lambda m: m.delete("support", ""), "memory_id"),
        (lambda m: m.delete(5, "mem-1"), "memory_space_id"),
    ],
)
async def test_what_is_wrong_is_named_before_the_store_is_asked(
    memory: Any, backend: Any, call: Any, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await call(memory)
    assert caught.value.field == field
    assert isinstance(caught.value, UnsupportedOption) == (field == "boost_popular")
    assert backend.made == []


async def test_the_store_is_asked_for_nothing_that_was_not_given(memory: Any, backend: Any) -> None:
    await memory.get("support", "mem-1")
    await memory.list("support")
    await memory.count("support")
    await memory.search("support", "x")
    assert backend.made == [
        ("memories:get", {"memorySpaceId": "support", "memoryId": "mem-1"}),
        ("memories:list", {"memorySpaceId": "support"}),
        ("memories:count", {"memorySpaceId": "support"}),
        ("memories:search", {"memorySpaceId": "support", "query": "x", "limit": 20}),
    ]


async def test_a_backend_that_gives_no_memory_is_named_without_its_text() -> None:
    class Broken:
        async def query(self, path: str, args: Any) -> Any:
            return {"memoryId": "mem-1", "content": "a private answer", "version": "a private answer"}

        async def mutation(self, path: str, args: Any) -> Any: ...
        async def close(self) -> None: ...

    with pytest.raises(StoreError, match="the backend gave what is no MemoryEntry: memorySpaceId, ") as caught:
        await MemoryAPI(Broken()).get("support", "mem-1")
    assert "private" not in str(caught.value) and "version" in str(caught.value)
