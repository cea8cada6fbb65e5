"""`cortex.contexts`: Cortex's methods and ours, on a real store."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import Context, ContextInput, ContextWithChain, Cortex, SqliteBackend
from cortex_rx.api._graph import GraphNotKept
from cortex_rx.errors import ContextNotFound, IdempotencyConflict, InvalidArgument, VersionConflict
from cortex_rx.models.contexts import ContextFilter, ContextUpdate, DeleteContextOptions
from cortex_rx.testing import Faulty, run_virtual, wall

YEAR = 1_700_000_000_000


@pytest.fixture
async def cortex(tmp_path: Path) -> AsyncIterator[Cortex]:
    times = count(YEAR // 1000)
    async with SqliteBackend(tmp_path / "memory.db", clock=lambda: float(next(times))) as backend:
        yield Cortex(backend, memory_space_id="s")


async def make(cortex: Cortex, context: str, **more: Any) -> Context:
    return await cortex.contexts.create(purpose=context, context_id=context, **more)


async def test_a_context_is_made_as_cortex_makes_it(cortex: Cortex) -> None:
    reference = {"conversationId": "c", "messageIds": ["m"]}
    data = {"orderId": 7, "a_b": {"cD": 1}}
    more: dict[str, Any] = {"user_id": "ada", "conversation_ref": reference, "description": "why"}
    given = ContextInput(purpose="Refund", memory_space_id="s", data=data, status="blocked", **more)
    made = await cortex.contexts.create(given)
    assert made.id.startswith("ctx-")
    assert (made.id, made["id"], made["contextId"], made["context_id"]) == (made.id,) * 4
    assert made.data == {"orderId": 7, "a_b": {"cD": 1}}
    assert (made.user_id, made.status, made.description) == ("ada", "blocked", "why")
    assert made.conversation_ref is not None
    assert (made.conversation_ref.conversation_id, made.conversation_ref.message_ids) == ("c", ("m",))
    assert (made["rootId"], made["memory_space_id"], made["childIds"]) == (made.id, "s", ())
    assert await cortex.contexts.get_root(made.id) == made
    got = await cortex.contexts.get(made.id)
    assert got == made.model_copy(update={"previous_versions": ()})
    again = await cortex.contexts.create({"purpose": "Refund", "memorySpaceId": "other", "contextId": "mine"})
    assert (again.memory_space_id, again.data) == ("other", {})


async def test_every_spelling_and_a_mixture_are_taken(cortex: Cortex) -> None:
    first = await cortex.contexts.create({"purpose": "x", "contextId": "ctx"}, memory_space_id="s", userId="ada")
    assert await cortex.contexts.create(ContextInput(purpose="x", user_id="ada", context_id="ctx")) == first
    for updates in ({"completedAt": YEAR}, {"completed_at": datetime.fromtimestamp(YEAR / 1000, UTC)}):
        changed = await cortex.contexts.update("ctx", updates, status="completed")
        assert (changed.completed_at, changed.version) == (YEAR, 2)
    assert (await cortex.contexts.update("ctx", ContextUpdate(completed_at=0))).completed_at == 0
    with pytest.raises(InvalidArgument, match="purpose"):
        await cortex.contexts.create(memory_space_id="s")
    with pytest.raises(InvalidArgument, match="conversation_ref.conversation_id"):
        await cortex.contexts.create(purpose="x", conversation_ref={"messageIds": []})


async def test_a_call_without_a_memory_space_says_so(cortex: Cortex) -> None:
    bare = Cortex(cortex.backend)
    for call in (bare.contexts.get("ctx"), bare.contexts.create(purpose="x"), bare.contexts.find_orphaned()):
        with pytest.raises(InvalidArgument, match="memory_space_id: got None"):
            await call
    await make(cortex, "ctx")
    assert (await bare.contexts.get_root("ctx", memory_space_id="s")).id == "ctx"
    with pytest.raises(InvalidArgument, match="the memory space once"):
        await bare.contexts.export({"memory_space_id": "s"}, memory_space_id="t")


async def test_positions_are_those_of_cortex(cortex: Cortex) -> None:
    await make(cortex, "root", user_id="ada")
    for number in range(3):
        await make(cortex, f"leaf {number}", parent_id="root", status="blocked")
    assert [one.id for one in (await cortex.contexts.list("s", "blocked", 1, 1)).contexts] == ["leaf 1"]
    assert (await cortex.contexts.list())["contexts"][0]["userId"] == "ada"
    assert [one.id for one in await cortex.contexts.search("s", None, "blocked", 2)] == ["leaf 0", "leaf 1"]
    (chain,) = await cortex.contexts.search("s", "ada", None, 5, True)
    assert isinstance(chain, ContextWithChain)
    assert [one.id for one in chain.children] == ["leaf 0", "leaf 1", "leaf 2"]
    assert await cortex.contexts.count("s", "ada", "active") == 1
    assert await cortex.contexts.count(root_id="root", depth=1) == 3
    assert [one.id for one in await cortex.contexts.get_children("root", "active")] == []


async def test_the_conversation_of_a_context_is_shown_to_its_space_alone(cortex: Cortex) -> None:
    stored = await cortex.memory.remember(
        memory_space_id="s", conversation_id="c", user_message="Broken!", agent_response="Sorry.", user_id="ada",
        user_name="Ada",
    )  # fmt: skip
    first, _ = stored.conversation.message_ids
    await make(cortex, "ctx", conversation_ref={"conversation_id": "c", "message_ids": [first]})
    got = await cortex.contexts.get("ctx", False, True)
    assert isinstance(got, ContextWithChain)
    assert got.conversation is not None
    assert got.conversation.message_count == 2
    assert got.trigger_messages is not None
    assert [message.content for message in got.trigger_messages] == ["Broken!"]
    await cortex.contexts.grant_access("ctx", "t", "full")
    theirs = await cortex.contexts.get("ctx", include_conversation=True, memory_space_id="t")
    assert isinstance(theirs, ContextWithChain)
    assert (theirs.current.id, theirs.conversation, theirs.trigger_messages) == ("ctx", None, None)
    await make(cortex, "none", conversation_ref={"conversation_id": "nowhere"})
    none = await cortex.contexts.get("none", include_conversation=True)
    assert isinstance(none, ContextWithChain)
    assert none.conversation is None


async def test_a_context_names_no_message_that_was_erased(cortex: Cortex) -> None:
    said = [
        await cortex.memory.remember(
            memory_space_id="s", conversation_id="c", user_message="Broken!", agent_response="Sorry.", user_id="ada",
            user_name="Ada",
        )
        for _ in range(2)
    ]  # fmt: skip
    messages = [message for one in said for message in one.conversation.message_ids]
    await make(cortex, "ctx", conversation_ref={"conversationId": "c", "messageIds": messages})
    await make(cortex, "whole", conversation_ref={"conversationId": "c"})
    for left in (messages[2:], None):
        for memory in said.pop(0).memories:
            await cortex.memory.forget("s", memory.memory_id, delete_conversation=True)
        for context, named in (("ctx", left or ()), ("whole", ())):
            reference = (await cortex.contexts.get_root(context)).conversation_ref
            assert (reference and [*reference.message_ids]) == (None if left is None else [*named])
    assert await cortex.conversations.get("c") is None


async def test_a_conversation_that_is_named_like_a_memory_space_is_none(cortex: Cortex) -> None:
    """That space has a conversation with the name of this one: for the store the two ids look swapped."""
    await cortex.conversations.create(
        memory_space_id="t", type="user-agent", participants={"userId": "ada"}, conversation_id="s"
    )
    reference = {"conversationId": "t", "messageIds": ["m"]}
    await make(cortex, "ctx", conversation_ref=reference)
    got = await cortex.contexts.get("ctx", include_conversation=True)
    assert isinstance(got, ContextWithChain) and got.conversation is None
    (exported,) = json.loads((await cortex.contexts.export(include_conversations=True)).data)
    assert exported["conversationRef"] == reference and "conversation" not in exported
    stored = await cortex.memory.store("s", "x", conversation_id="t")
    enriched = await cortex.memory.get("s", stored.memory_id, include_conversation=True)
    assert enriched is not None and enriched["conversation"] is None


async def test_what_does_not_fit_is_refused_by_name(cortex: Cortex) -> None:
    await make(cortex, "ctx")
    for call, field in (
        (cortex.contexts.grant_access("ctx", "t", "read-write"), "scope"),  # type: ignore[arg-type]
        (cortex.contexts.grant_access("ctx", "s"), "target_memory_space_id"),
        (cortex.contexts.update_many({}, {"status": "blocked"}), "filters"),
        (cortex.contexts.update_many({"memorySpaceId": "s"}, {"status": "blocked"}), "filters"),
        (cortex.contexts.update_many({"status": "active"}, {}), "updates"),
        (cortex.contexts.delete_many({}), "filters"),
        (cortex.contexts.delete("ctx", cascade_children=True, orphan_children=True), "orphan_children"),
        (cortex.contexts.update("ctx", {"purpose": "y"}), "ContextUpdate"),
        (cortex.contexts.list(importance=5), "ContextFilter"),
    ):
        with pytest.raises(InvalidArgument) as error:
            await call
        assert error.value.field == field
    with pytest.warns(GraphNotKept):
        await cortex.contexts.update("ctx", {"status": "blocked"}, {"syncToGraph": True})
    with pytest.warns(GraphNotKept):
        await cortex.contexts.update("ctx", status="active", syncToGraph=True)
    with pytest.warns(GraphNotKept):
        await cortex.contexts.create(purpose="x", sync_to_graph=True)


async def test_stale_versions_and_other_contexts_under_an_id_are_refused(cortex: Cortex) -> None:
    await make(cortex, "ctx")
    await cortex.contexts.update("ctx", data={"n": 1}, expected_version=1)
    with pytest.raises(VersionConflict):
        await cortex.contexts.update("ctx", data={"n": 2}, expected_version=1)
    with pytest.raises(IdempotencyConflict):
        await cortex.contexts.create(purpose="other", context_id="ctx")
    with pytest.raises(ContextNotFound):
        await cortex.contexts.update("nowhere", status="blocked")
    history = await cortex.contexts.get_history("ctx")
    assert [(one.version, one.data, one["updatedBy"]) for one in history] == [(1, None, "s"), (2, {"n": 1}, "s")]
    at = datetime.fromtimestamp(history[0].timestamp / 1000, UTC)
    assert await cortex.contexts.get_at_timestamp("ctx", at) == history[0]
    assert await cortex.contexts.get_version("ctx", 3) is None


async def test_many_are_changed_and_deleted(cortex: Cortex) -> None:
    for context, more in (("a", {}), ("b", {"parent_id": "a"}), ("c", {"status": "blocked"})):
        await make(cortex, context, **more)
    changed = await cortex.contexts.update_many(ContextFilter(status="active"), {"data": {"x": 1}}, dry_run=True)
    assert (changed.updated, changed.context_ids, await cortex.contexts.count()) == (2, ("a", "b"), 3)
    assert (await cortex.contexts.get_root("a")).version == 1
    await cortex.contexts.update_many({"status": "active"}, ContextUpdate(data={"x": 1}))
    assert [one.data for one in (await cortex.contexts.list()).contexts] == [{"x": 1}, {"x": 1}, {}]
    assert (await cortex.contexts.delete_many({"depth": 0})).context_ids == ("c",)
    assert (await cortex.contexts.delete("a", DeleteContextOptions(cascade_children=True))).descendants_deleted == 1
    assert await cortex.contexts.count() == 0


@pytest.mark.parametrize("included", [False, True])
async def test_an_export_is_the_same_whole_and_streamed(cortex: Cortex, included: bool) -> None:
    await make(cortex, "root", description='=a "quoted",\r\nline')
    for number in range(103):  # more than a page
        await make(cortex, f"leaf {number}", parent_id="root")
    given: dict[str, Any] = {
        "include_chain": included,
        "include_conversations": included,
        "include_version_history": included,
    }
    for format in ("json", "csv"):
        whole = await cortex.contexts.export({"parentId": "root"}, format, **given)
        pieces = [piece async for piece in cortex.contexts.stream_export({"parentId": "root"}, format, **given)]
        assert ("".join(pieces), whole.count, whole.format) == (whole.data, 103, format)
        assert len(pieces) > 103
    rows = json.loads((await cortex.contexts.export(**given)).data)
    listed = [one async for one in cortex.contexts.iterate(page_size=10, **given)]
    assert (
        [row["contextId"] for row in rows] == [one.id for one in listed] == ["root", *(f"leaf {n}" for n in range(103))]
    )
    assert [one.id for one in listed[5].ancestors or ()] == (["root"] if included else [])
    table = list(csv.DictReader(io.StringIO((await cortex.contexts.export(format="csv")).data, newline="")))
    assert table[0]["description"] == '\'=a "quoted",\r\nline'


def test_a_change_whose_answer_was_lost_is_made_once() -> None:
    """Also one that expects a version, which the first call has moved on."""

    async def main() -> None:
        backend = SqliteBackend(":memory:", clock=wall)
        store = Faulty(backend, "1 fail-after, 3 fail-after, 5 fail-after")
        contexts = Cortex(store, memory_space_id="s").contexts
        made = await contexts.create(purpose="x")
        changed = await contexts.update(made.id, {"data": {"n": 1}}, expected_version=1)
        assert (changed.version, changed.data) == (2, {"n": 1})
        assert (await contexts.grant_access(made.id, "t")).granted_access is not None
        assert (await contexts.list()).contexts == (await contexts.get_root(made.id),)
        await backend.close()

    run_virtual(main())
