"""`cortex.memory` and `cortex.vector`: changes, versions, the archive, exports, and what comes with a memory."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cortex_rx import Cortex, EnrichedMemory, SqliteBackend
from cortex_rx.api._graph import GraphNotKept
from cortex_rx.errors import InvalidArgument, MemoryNotFound, UnsupportedOption, VersionConflict
from cortex_rx.testing import Faulty, run_virtual

SPACE = "s"


@pytest.fixture
async def cortex() -> AsyncIterator[Cortex]:
    async with Cortex(":memory:") as client:
        yield client


async def exchange(cortex: Cortex, question: str, answer: str, **more: Any) -> Any:
    turn = {"memory_space_id": SPACE, "conversation_id": "c", "user_id": "ada", "user_name": "Ada"}
    return await cortex.memory.remember({**turn, "user_message": question, "agent_response": answer}, **more)


def likes(user_message: str, text: str) -> Any:
    for drink in ("tea", "coffee"):
        if drink in user_message + text:
            subject = {"subject": "Ada", "predicate": "likes", "object": drink, "cardinality": "many"}
            yield {"fact": f"Ada likes {drink}.", "fact_type": "preference", "confidence": 90, **subject}


async def facts(cortex: Cortex) -> list[str]:
    return [one.fact for one in await cortex.facts.list(memory_space_id=SPACE)]


async def test_both_apis_see_the_same_memories_and_vector_leaves_the_facts(cortex: Cortex) -> None:
    stored = await cortex.vector.store(SPACE, {"content": "Ada likes tea.", "contentType": "raw"}, user_id="ada")
    ref = {"memory_id": stored.memory_id}
    said = {"fact": "Ada likes tea.", "fact_type": "preference", "confidence": 90, "source_ref": ref}
    await cortex.facts.store(memory_space_id=SPACE, **said)
    assert await cortex.memory.get(SPACE, stored.memory_id) == await cortex.vector.get(SPACE, stored.memory_id)
    assert (await cortex.vector.delete(SPACE, stored.memory_id)).fact_ids == ()
    assert await facts(cortex) == ["Ada likes tea."]
    other = await cortex.memory.store(SPACE, "again", memory_id="m")
    await cortex.facts.store(memory_space_id=SPACE, **{**said, "fact": "other", "source_ref": {"memory_id": "m"}})
    assert len((await cortex.memory.delete_many(SPACE, {"sourceType": "system"})).fact_ids) == 1
    assert other.memory_id == "m" and await facts(cortex) == ["Ada likes tea."]


async def test_a_memory_is_changed_for_the_version_that_was_read(cortex: Cortex) -> None:
    first = await cortex.memory.store(SPACE, "one", tags=["a"])
    changed = await cortex.memory.update(SPACE, first.memory_id, {"content": "two", "expectedVersion": 1})
    assert (changed.memory.content, changed.memory.version, changed.facts_reextracted) == ("two", 2, None)
    assert changed["factsReextracted"] is None
    with pytest.raises(VersionConflict):
        await cortex.memory.update(SPACE, first.memory_id, content="three", expected_version=1)
    assert (await cortex.vector.update(SPACE, first.memory_id, {"tags": ["b"]})).tags == ("b",)
    history = await cortex.memory.get_history(SPACE, first.memory_id)
    assert [(one.version, one.content, one.tags) for one in history] == [
        (1, "one", ("a",)),
        (2, "two", ("a",)),
        (3, "two", ("b",)),
    ]
    assert await cortex.memory.get_version(SPACE, first.memory_id, 2) == history[1]
    when = datetime.fromtimestamp(history[1].timestamp / 1000, UTC)
    assert await cortex.vector.get_at_timestamp(SPACE, first.memory_id, when) in history[1:]
    assert await cortex.memory.get_at_timestamp(SPACE, first.memory_id, 0) is None
    for api in (cortex.memory, cortex.vector):
        with pytest.raises(InvalidArgument, match="^updates: "):
            await api.update(SPACE, first.memory_id)
        with pytest.raises(MemoryNotFound):
            await api.update("other", first.memory_id, content="x")


async def test_a_new_content_is_embedded_and_an_embedder_that_fails_costs_the_vector() -> None:
    class Failing:
        calls = 0

        async def __call__(self, text: str) -> list[float]:
            self.calls += 1
            if "fail" in text:
                raise ConnectionError
            return [float(len(text)), 1.0]

    embed = Failing()
    async with Cortex(":memory:", generate_embedding=embed) as cortex:
        stored = await cortex.memory.store(SPACE, "one")
        changed = await cortex.memory.update(SPACE, stored.memory_id, content="three")
        assert changed.memory.embedding == (5.0, 1.0)
        assert (await cortex.vector.update(SPACE, stored.memory_id, {"tags": ["a"]})).embedding == (5.0, 1.0)
        assert embed.calls == 2
        assert (await cortex.vector.update(SPACE, stored.memory_id, {"content": "failing"})).embedding is None
        given = await cortex.vector.update(SPACE, stored.memory_id, content="four", embedding=[9.0, 9.0])
        assert given.embedding == (9.0, 9.0) and embed.calls == 3


async def test_the_facts_of_the_old_content_go_and_those_of_the_new_come() -> None:
    async with Cortex(":memory:", extract_facts=likes) as cortex:
        question, answer = (await exchange(cortex, "I like tea.", "So do I: coffee.")).memories
        other = await exchange(cortex, "Once more: tea.", "Yes.")
        assert await facts(cortex) == ["Ada likes tea.", "Ada likes coffee."]
        kept = await cortex.memory.update(SPACE, answer.memory_id, content="No.")
        assert kept.facts_reextracted is None and len(await facts(cortex)) == 2
        gone = await cortex.memory.update(SPACE, answer.memory_id, {"content": "Nothing."}, {"reextractFacts": True})
        assert gone.facts_reextracted == () and await facts(cortex) == ["Ada likes tea."]
        new = await cortex.memory.update(SPACE, question.memory_id, {"content": "coffee"}, {"reextract_facts": True})
        assert [one.fact for one in new.facts_reextracted or ()] == ["Ada likes coffee."]
        assert sorted(await facts(cortex)) == ["Ada likes coffee.", "Ada likes tea."]  # the other exchange says tea
        enriched = await cortex.memory.get(SPACE, question.memory_id, True)
        assert enriched is not None and [one.fact for one in enriched.facts] == ["Ada likes coffee."]
        assert other.memories[0].content == "Once more: tea."

        def fails(user_message: str, text: str) -> Any:
            raise ConnectionError("no")

        before = await cortex.memory.get(SPACE, question.memory_id)
        with pytest.raises(ConnectionError):
            options = {"reextract_facts": True, "extract_facts": fails}
            await cortex.memory.update(SPACE, question.memory_id, {"content": "tea"}, options)
        assert await cortex.memory.get(SPACE, question.memory_id) == before


async def test_an_extractor_is_needed_to_extract(cortex: Cortex) -> None:
    stored = await cortex.memory.store(SPACE, "one")
    with pytest.raises(InvalidArgument, match="^extract_facts: "):
        await cortex.memory.update(SPACE, stored.memory_id, {"content": "two"}, {"reextract_facts": True})
    with pytest.raises(UnsupportedOption, match="^reextract_facts: "):
        await cortex.vector.update(SPACE, stored.memory_id, {"content": "two"}, {"reextract_facts": True})
    with pytest.raises(UnsupportedOption, match="^cascade_delete_facts: "):
        await cortex.vector.delete(SPACE, stored.memory_id, {"cascadeDeleteFacts": True})
    with pytest.raises(UnsupportedOption, match="^enrich_conversation: "):
        await cortex.vector.search(SPACE, "one", enrich_conversation=True)


async def test_a_memory_comes_with_its_conversation_its_messages_and_its_facts() -> None:
    async with Cortex(":memory:", extract_facts=likes) as cortex:
        question, _ = (await exchange(cortex, "I like tea.", "Noted.")).memories
        alone = await cortex.memory.store(SPACE, "tea is a plant")
        found = await cortex.memory.search(SPACE, "tea", enrich_conversation=True, neighbours=False)
        assert {one.memory.memory_id for one in found} == {question.memory_id, alone.memory_id}
        for one in found:
            assert isinstance(one, EnrichedMemory)
            has = one.memory.memory_id == question.memory_id
            assert (one.conversation is not None) == has
            assert [message.content for message in one.source_messages] == (["I like tea."] if has else [])
            assert [fact.fact for fact in one.facts] == (["Ada likes tea."] if has else [])
        listed = await cortex.memory.list(SPACE, "ada", enrich_facts=True)
        assert [[fact.fact for fact in one.facts] for one in listed] == [[], ["Ada likes tea."]]
        assert await cortex.memory.get("other", question.memory_id, include_conversation=True) is None


async def test_what_is_archived_is_out_of_sight_and_out_of_recall(cortex: Cortex) -> None:
    stored = await cortex.memory.store(SPACE, "the zebra sleeps")
    assert (await cortex.memory.archive(SPACE, stored.memory_id))["memoryId"] == stored.memory_id
    assert await cortex.memory.list(SPACE) == [] and await cortex.memory.count(SPACE) == 0
    assert await cortex.memory.search(SPACE, "zebra") == []
    assert [one async for one in cortex.memory.iterate(SPACE)] == []
    assert (await cortex.memory.recall(SPACE, "zebra")).memories == ()
    kept = await cortex.memory.get(SPACE, stored.memory_id)
    assert kept is not None and kept.is_archived
    for shown in (
        await cortex.memory.list(SPACE, include_archived=True),
        await cortex.memory.search(SPACE, "zebra", include_archived=True),
        [one async for one in cortex.vector.iterate(SPACE, include_archived=True)],
    ):
        assert [one.memory_id for one in shown] == [stored.memory_id]
    back = await cortex.memory.restore_from_archive(SPACE, stored.memory_id)
    assert back.memory.content == "the zebra sleeps" and await cortex.memory.count(SPACE) == 1


@pytest.mark.parametrize("format", ["json", "csv"])
async def test_an_export_is_the_same_in_pieces(cortex: Cortex, format: Any) -> None:
    long = "a long content, " * 6_000
    stored = await cortex.memory.store(SPACE, long, user_id="ada", embedding=[0.5, 1.0])
    for number in range(3):
        await cortex.memory.store(SPACE, f"=note {number}", user_id="ada", conversation_id="c", tags=["a"])
    await cortex.memory.store(SPACE, "of bob", user_id="bob")
    await cortex.facts.store(memory_space_id=SPACE, fact="it is long", fact_type="knowledge", confidence=9,
        source_ref={"memory_id": stored.memory_id})  # fmt: skip
    for more in ({}, {"include_embeddings": True}, {"include_facts": True}):
        export = await cortex.memory.export(SPACE, "ada", format, **more)
        pieces = [piece async for piece in cortex.vector.stream_export(SPACE, "ada", format, **more)]
        assert "".join(pieces) == export.data and len(pieces) > 3
        assert (export.count, export["format"]) == (4, format)
        if format == "json":
            rows = json.loads(export.data)
            assert [row["content"] for row in rows][:2] == [long, "=note 0"]
            assert ("embedding" in rows[0], "facts" in rows[0]) == (
                "include_embeddings" in more,
                "include_facts" in more,
            )
        else:
            cells = list(csv.DictReader(io.StringIO(export.data, newline="")))
            assert [row["content"] for row in cells][:2] == [long, "'=note 0"]


async def test_a_whole_conversation_is_forgotten_with_a_memory() -> None:
    async with Cortex(":memory:", extract_facts=likes) as cortex:
        first = await exchange(cortex, "I like tea.", "Noted.")
        await exchange(cortex, "And coffee.", "Noted, too.")
        kept = await cortex.memory.store(SPACE, "alone")
        with pytest.raises(InvalidArgument, match="^delete_entire_conversation: "):
            await cortex.memory.forget(SPACE, kept.memory_id, {"delete_entire_conversation": True})
        with pytest.raises(MemoryNotFound):
            await cortex.memory.forget("other", first.memories[0].memory_id, delete_entire_conversation=True)
        gone = await cortex.memory.forget(SPACE, first.memories[0].memory_id, {"deleteEntireConversation": True})
        assert (gone.conversation_deleted, gone.messages_deleted, gone.facts_deleted) == (True, 4, 2)
        assert [one.content for one in await cortex.memory.list(SPACE)] == ["alone"]
        assert await facts(cortex) == [] and await cortex.conversations.get("c", memory_space_id=SPACE) is None


async def test_a_message_is_deleted_under_the_name_of_cortex(cortex: Cortex) -> None:
    question, _ = (await exchange(cortex, "My PIN is 4711.", "Keep it.")).memories
    gone = await cortex.memory.forget(SPACE, question.memory_id, {"delete_conversation": True})
    assert (gone.messages_deleted, gone.restorable) == (1, False)


async def test_a_graph_is_not_kept_and_the_call_says_so(cortex: Cortex) -> None:
    stored = await cortex.memory.store(SPACE, "one")
    for call in (
        cortex.memory.update(SPACE, stored.memory_id, {"content": "two"}, {"sync_to_graph": True}),
        cortex.vector.store(SPACE, "three", {"syncToGraph": True}),
        cortex.memory.forget(SPACE, stored.memory_id, {"sync_to_graph": True}),
    ):
        with pytest.warns(GraphNotKept):
            await call


@pytest.mark.parametrize("fault", ["1 fail", "1 fail-after"])
def test_a_change_whose_answer_was_lost_is_made_once(fault: str) -> None:
    async def main() -> tuple[int, int]:
        store = SqliteBackend(":memory:")
        async with Cortex(store) as cortex:
            stored = await cortex.memory.store(SPACE, "one")
            faulty = Cortex(Faulty(store, fault))
            await faulty.memory.update(SPACE, stored.memory_id, content="two", expected_version=1)
            await faulty.memory.archive(SPACE, stored.memory_id)
            return len(await cortex.memory.get_history(SPACE, stored.memory_id)), await cortex.memory.count(SPACE)

    assert run_virtual(main()) == (2, 0)


async def test_filters_are_asked_for(cortex: Cortex) -> None:
    for api in (cortex.memory, cortex.vector):
        with pytest.raises(InvalidArgument, match="^filters: got 'nothing'"):
            await api.delete_many(SPACE, {})
        with pytest.raises(InvalidArgument, match="^updates: got 'nothing'"):
            await api.update_many(SPACE, {"userId": "ada"}, {})
    await asyncio.gather(*(cortex.memory.store(SPACE, str(n), importance=n, user_id="ada") for n in range(4)))
    changed = await cortex.memory.update_many(SPACE, {"user_id": "ada", "max_importance": 1}, {"tags": ["low"]})
    assert changed.updated == 2
    rows = [one for one in await cortex.memory.list(SPACE) if one.tags == ("low",)]
    assert sorted(one.importance for one in rows) == [0, 1]
    assert (await cortex.vector.delete_many(SPACE, tags=["low"], importance=1)).deleted == 1


async def test_of_two_that_make_the_same_of_a_version_one_wins(cortex: Cortex) -> None:
    """A counter in a content: who reads the same number writes the same next one."""
    await cortex.memory.store(SPACE, "0", memory_id="m")
    first, second = [await cortex.memory.get(SPACE, "m") for _ in range(2)]
    assert first is not None and second is not None
    await cortex.memory.update(SPACE, "m", content="1", expected_version=first.version)
    with pytest.raises(VersionConflict):
        await cortex.memory.update(SPACE, "m", content="1", expected_version=second.version)
