"""`ConversationsAPI` over a real SQLite file: messages in order, and only those of the memory space."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cortex_rx import AnswerStopped, Cortex, SqliteBackend, default_chain, remember_stream
from cortex_rx import operators as cx
from cortex_rx.api import ConversationsAPI, MemoryAPI
from cortex_rx.backends.sqlite.functions import conversation_deletion
from cortex_rx.errors import (
    ConversationExists,
    ConversationNotFound,
    IdempotencyConflict,
    InvalidArgument,
    InvalidParticipants,
    ResumableStreamError,
)
from cortex_rx.events import Begun
from cortex_rx.models.conversations import AddMessageInput, ConversationParticipants, CreateConversationInput
from cortex_rx.models.records import Conversation, ConversationHistory, Message
from cortex_rx.sources.model_stream import replayable
from cortex_rx.testing import Faulty

MADE = {"memorySpaceId": "support", "type": "user-agent", "participants": {"userId": "ada"}}
SAID = {"conversationId": "c-1", "role": "user", "content": "Hi!"}


@pytest.fixture
def conversations(backend: Any) -> ConversationsAPI:
    return ConversationsAPI(backend)


def said(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]


async def test_a_conversation_has_its_messages_in_order(conversations: Any, remember: Any) -> None:
    first = await remember("How do I reset it?", "Press the lever.", metadata={"channel": "mail"})
    second = await remember("And then?", "Wait.")
    found = await conversations.get("c-1", memory_space_id="support")
    assert isinstance(found, Conversation)
    assert said(found.messages) == [
        ("user", "How do I reset it?"),
        ("agent", "Press the lever."),
        ("user", "And then?"),
        ("agent", "Wait."),
    ]
    ids = first["conversation"]["messageIds"] + second["conversation"]["messageIds"]
    assert [message.id for message in found.messages] == ids
    assert (found.message_count, found.type) == (4, "user-agent")
    assert found.participants == {"userId": "ada", "agentId": "agent"}
    assert found.created_at <= found.messages[0].timestamp <= found.messages[-1].timestamp <= found.updated_at
    assert found["messages"][1]["content"] == "Press the lever."


async def test_two_streams_at_once_keep_each_question_with_its_answer(
    conversations: Any, backend: Any, remember: Any
) -> None:
    slow = await remember("Slow?", "", finish=False)
    await remember("Quick?", "Yes.")
    await backend.inner.mutation(
        "streams:finalize",
        {
            "streamId": "stream-1",
            "memorySpaceId": "support",
            "epoch": slow["epoch"],
            "attempt": slow["attempt"],
            "start": 0,
            "text": "At last.",
            "length": 8,
        },
    )
    found = await conversations.get("c-1", memory_space_id="support")
    assert said(found.messages) == [("user", "Slow?"), ("agent", "At last."), ("user", "Quick?"), ("agent", "Yes.")]


async def test_a_memory_space_never_sees_the_conversations_of_another(conversations: Any, remember: Any) -> None:
    await remember("Where is the key?", "Under the mat.")
    await remember("Where is the safe?", "In the cellar.", space="sales")
    mine = await conversations.get("c-1", memory_space_id="support")
    theirs = await conversations.get("c-1", memory_space_id="sales")
    assert said(mine.messages) == [("user", "Where is the key?"), ("agent", "Under the mat.")]
    assert said(theirs.messages) == [("user", "Where is the safe?"), ("agent", "In the cellar.")]
    assert (
        await conversations.get("c-1", memory_space_id="elsewhere") is None
        and await conversations.get("c-2", memory_space_id="support") is None
    )
    with pytest.raises(ConversationNotFound):
        await conversations.get_history("c-1", memory_space_id="elsewhere")
    assert (
        await conversations.list(memory_space_id="elsewhere") == []
        and await conversations.count(memory_space_id="elsewhere") == 0
    )


async def test_a_list_is_newest_first_without_messages_and_filtered_before_its_limit(
    conversations: Any, remember: Any
) -> None:
    await remember("a?", "a", conversation_id="c-1")
    await remember("b?", "b", conversation_id="c-2", user_id="bob", user_name="Bob")
    await remember("c?", "c", conversation_id="c-3", user_id=None, user_name=None, agent_id="helper")
    listed = await conversations.list(memory_space_id="support")
    assert [(one.conversation_id, one.message_count, one.messages) for one in listed] == [
        ("c-3", 2, ()),
        ("c-2", 2, ()),
        ("c-1", 2, ()),
    ]

    async def names(**narrowed: Any) -> list[str]:
        return [one.conversation_id for one in await conversations.list(memory_space_id="support", **narrowed)]

    assert await names(limit=2) == ["c-3", "c-2"]
    assert await names(user_id="ada", limit=1) == ["c-1"]
    assert await names(type="user-agent", limit=2) == ["c-2", "c-1"]
    assert await names(type="agent-agent") == ["c-3"]
    assert await conversations.count(memory_space_id="support") == 3
    assert await conversations.count(memory_space_id="support", user_id="bob") == 1
    assert await conversations.count(memory_space_id="support", type="user-agent") == 2


async def test_a_history_is_read_page_by_page_in_either_order(conversations: Any, remember: Any) -> None:
    for number in range(3):
        await remember(f"Question {number}?", f"Answer {number}.")
    everything = [content for _, content in said((await conversations.get("c-1", memory_space_id="support")).messages)]

    async def page(**which: Any) -> tuple[list[str], int, bool]:
        found = await conversations.get_history("c-1", memory_space_id="support", **which)
        assert isinstance(found, ConversationHistory) and found.conversation_id == "c-1"
        assert found["hasMore"] is found.has_more
        return [message.content for message in found.messages], found.total, found.has_more

    assert await page() == (everything, 6, False)
    assert await page(limit=4) == (everything[:4], 6, True)
    assert await page(limit=4, offset=4) == (everything[4:], 6, False)
    assert await page(limit=2, offset=1, sort_order="desc") == (everything[::-1][1:3], 6, True)
    assert await page(offset=6) == ([], 6, False)


async def test_pages_fit_together_when_an_earlier_exchange_ends_in_between(
    conversations: Any, backend: Any, remember: Any
) -> None:
    slow = await remember("Slow?", "At last", finish=False)
    await remember("Quick?", "Yes.")
    await remember("Next?", "No.")
    first = await conversations.get_history("c-1", memory_space_id="support", limit=2)
    assert said(first.messages) == [("user", "Quick?"), ("agent", "Yes.")] and first.has_more
    assert [(one.user_message, one.position) for one in first.pending] == [("Slow?", 0)]
    await backend.inner.mutation("streams:finish", {"streamId": "stream-1", "memorySpaceId": "support"})
    second = await conversations.get_history("c-1", memory_space_id="support", limit=2, after=first.messages[-1].id)
    assert said(second.messages) == [("user", "Next?"), ("agent", "No.")] and not second.has_more
    assert second.pending == () and second.total == 6
    page = await conversations.get_history(
        "c-1", memory_space_id="support", sort_order="desc", offset=1, after=second.messages[0].id
    )
    assert [content for _, content in said(page.messages)] == ["Quick?", "At last", "Slow?"]
    assert [message.id for message in page.messages[1:]] == slow["messageIds"][::-1]
    with pytest.raises(InvalidArgument) as caught:
        await conversations.get_history("c-1", memory_space_id="support", after="msg-unknown")
    assert caught.value.field == "after"


async def test_a_page_that_is_loaded_again_finds_the_stream_and_what_became_of_it(
    conversations: Any, backend: Any
) -> None:
    """While it streams, when it has failed, and resumed after a second question has been answered."""
    memory = MemoryAPI(backend)
    params = {"memory_space_id": "support", "conversation_id": "c-1", "user_id": "ada", "user_name": "Ada"}
    shown = asyncio.Event()

    async def model() -> AsyncIterator[str]:
        yield "Press "
        await shown.wait()
        raise ConnectionError("of a user's text")

    answer = memory.remember_stream(model(), user_message="How?", **params)
    begun = None
    with pytest.raises(ResumableStreamError) as failed:
        async for event in answer.events():
            if isinstance(event, Begun):
                begun = event
                (one,) = (await conversations.get("c-1", memory_space_id="support")).pending
                assert (one.state, one.user_message, one.last_error, one.position) == ("streaming", "How?", None, 0)
                assert (one.stream_id, one.memory_id) == (answer.stream_id, event.memory_id)
                assert (one.message_ids, one.memory_ids) == (event.message_ids, event.memory_ids)
                assert await conversations.list(memory_space_id="support") == []
                (listed,) = await conversations.list(memory_space_id="support", include_pending=True)
                assert (listed.conversation_id, listed.message_count, listed.pending) == ("c-1", 0, ())
                shown.set()
        await answer
    assert begun is not None
    await memory.remember(user_message="And?", agent_response="So.", **params)
    found = await conversations.get("c-1", memory_space_id="support")
    assert said(found.messages) == [("user", "And?"), ("agent", "So.")] and found.message_count == 2
    (one,) = found["pending"]
    assert (one.state, one.length, one.last_error, one.position) == ("interrupted", 6, "ConnectionError", 0)
    assert one.lease_until is None
    (interrupted,) = await memory.interrupted("support", conversation_id="c-1")
    assert (interrupted.stream_id, interrupted.last_error) == (answer.stream_id, "ConnectionError")
    assert await memory.interrupted("support", conversation_id="c-2") == []
    listed = await memory.streams("support", "c-1")
    assert [(row.state, row.owned) for row in listed] == [("finished", False), ("open", False)]
    assert listed[1].message_ids == begun.message_ids and await memory.streams("support", "c-1", limit=1) == listed[:1]

    async def whole(_: object) -> AsyncIterator[str]:
        yield "Press "
        yield "it."

    token = failed.value.resume_token
    again = memory.remember_stream(replayable(whole), memory_space_id="support", resume_from=token)
    seen = [event async for event in again.events()]
    result = await again
    (event,) = (event for event in seen if isinstance(event, Begun))
    assert (event.message_ids, event.memory_ids) == (begun.message_ids, begun.memory_ids)
    assert result.conversation.message_ids == begun.message_ids
    assert tuple(row.memory_id for row in result.memories) == begun.memory_ids
    assert said((await conversations.get("c-1", memory_space_id="support")).messages) == [
        ("user", "How?"), ("agent", "Press it."), ("user", "And?"), ("agent", "So.")
    ]  # fmt: skip


@pytest.mark.parametrize("show", ["at once", "durable"])
@pytest.mark.parametrize("ends", ["fails", "is stopped"])
async def test_what_a_writer_failed_with_is_told(conversations: Any, backend: Any, show: Any, ends: str) -> None:
    async def model() -> AsyncIterator[str]:
        yield "Press "
        if ends == "fails":
            raise TimeoutError("of a user's text")
        await asyncio.Event().wait()

    chain = default_chain(backend).replace("persist_partial", cx.persist_partial(backend, show=show))
    params = {"memory_space_id": "support", "conversation_id": "c-1", "user_message": "How?", "agent_id": "helper"}
    answer = remember_stream(model(), backend=backend, chain=chain, **params)
    with pytest.raises((ResumableStreamError, AnswerStopped)):
        async for _ in answer:
            if ends == "is stopped":
                await answer.stop()
        await answer
    (one,) = (await conversations.get("c-1", memory_space_id="support")).pending
    assert (one.state, one.length) == ("interrupted", 6)
    assert one.last_error == ("TimeoutError" if ends == "fails" else None)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda c: c.get("", memory_space_id="support"), "conversation_id"),
        (lambda c: c.get("c-1", memory_space_id=""), "memory_space_id"),
        (lambda c: c.get("c-1"), "memory_space_id"),
        (lambda c: c.list(), "memory_space_id"),
        (lambda c: c.list("support"), "type"),  # the memory space where Cortex has the type
        (lambda c: c.list(limit=0, memory_space_id="support"), "limit"),
        (lambda c: c.list("group", memory_space_id="support"), "type"),
        (lambda c: c.count(user_id=" ", memory_space_id="support"), "user_id"),
        (lambda c: c.get_history("c-1"), "memory_space_id"),
        (lambda c: c.get_history(5, memory_space_id="support"), "conversation_id"),
        (lambda c: c.get_history("c-1", 1.5, memory_space_id="support"), "limit"),
        (lambda c: c.get_history("c-1", 5, -1, memory_space_id="support"), "offset"),
        (lambda c: c.get_history("c-1", after="", memory_space_id="support"), "after"),
        (lambda c: c.list(memory_space_id="support", include_pending=1), "include_pending"),
        (lambda c: c.get_history("c-1", 5, 0, "up", memory_space_id="support"), "sort_order"),
        (lambda c: c.create(MADE, conversation_id=""), "conversation_id"),
        (lambda c: c.create(MADE, conversationId="c", conversation_id="d"), "conversation_id"),
        (lambda c: c.create({**MADE, "participants": {"userId": ""}}), "participants.user_id"),
        (lambda c: c.create({**MADE, "participants": {"users": "ada"}}), "participants"),
        (lambda c: c.create({**MADE, "metadata": {1: 2}}), "metadata"),
        (lambda c: c.add_message(SAID, role="bot", memory_space_id="support"), "role"),
        (lambda c: c.add_message({**SAID, "role": "bot"}, memory_space_id="support"), "role"),
        (lambda c: c.add_message({**SAID, "content": None}, memory_space_id="support"), "content"),
        (lambda c: c.add_message(SAID), "memory_space_id"),
        (lambda c: c.get_messages_by_ids("c-1", "m", memory_space_id="support"), "message_ids"),
        (lambda c: c.find_conversation("support", "group"), "type"),
        (lambda c: c.search("", memory_space_id="support"), "query"),
        (lambda c: c.search("x", date_start=-1, memory_space_id="support"), "date_start"),
        (lambda c: c.export("xml", memory_space_id="support"), "format"),
        (lambda c: c.export(conversation_ids="c", memory_space_id="support"), "conversation_ids"),
        (lambda c: c.delete("c-1", delete_facts=1, memory_space_id="support"), "delete_facts"),
        (lambda c: c.delete("c-1", {"deleteAll": True}, memory_space_id="support"), "DeleteConversationOptions"),
        (lambda c: c.delete_many(delete_memories="yes", memory_space_id="support"), "delete_memories"),
        (lambda c: anext(c.iterate(page_size=0, memory_space_id="support")), "page_size"),
        (lambda c: anext(c.stream_export("xml", memory_space_id="support")), "format"),
    ],
)
async def test_what_is_wrong_is_named_before_the_store_is_asked(
    conversations: Any, backend: Any, call: Any, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await call(conversations)
    assert caught.value.field == field
    assert backend.made == []


# --- the calls of Cortex's programs -----------------------------------------------------------------------------------


@pytest.fixture
async def cortex(tmp_path: Any) -> AsyncIterator[Cortex]:
    async with Cortex(tmp_path / "memory.db", memory_space_id="support") as client:
        yield client


async def test_inputs_are_models_mappings_and_keywords(cortex: Cortex) -> None:
    talks = cortex.conversations
    people = ConversationParticipants("ada", None, None)
    made = await talks.create(CreateConversationInput("support", "user-agent", people, "c-1", "bot", {"Key": [1]}))
    assert made == await talks.create({**MADE, "conversation_id": "c-1"}, participantId="bot", metadata={"Key": [1]})
    assert (made.participant_id, made["participantId"], made.metadata) == ("bot", "bot", {"Key": [1]})
    assert (made.participants, made.messages, made["messageCount"]) == ({"userId": "ada"}, (), 0)
    with pytest.raises(ConversationExists):
        await talks.create(MADE, conversation_id="c-1")
    added = await talks.add_message(AddMessageInput("c-1", "system", "Be kind.", None, {"Key": None}))
    assert (added.messages[-1].role, added.messages[-1].metadata) == ("system", {"Key": None})
    assert added.messages[-1].id.startswith("msg-")
    once = {**SAID, "id": "mine"}
    assert await talks.add_message(once) == await talks.add_message(once)
    assert said((await talks.get("c-1")).messages) == [("system", "Be kind."), ("user", "Hi!")]  # type: ignore[union-attr]
    with pytest.raises(IdempotencyConflict):
        await talks.add_message({**once, "content": "Hello!"})
    theirs = await talks.create({**MADE, "memorySpaceId": "sales"})
    assert theirs.memory_space_id == "sales" and theirs.conversation_id.startswith("conv-")
    assert await talks.get(theirs.conversation_id) is None
    with pytest.raises(InvalidParticipants):
        await talks.create(type="agent-agent", participants={"memory_space_ids": ["one"]})


async def test_ids_that_stand_swapped_are_named(cortex: Cortex) -> None:
    await cortex.conversations.create(MADE, conversation_id="c-1")
    for call in (
        cortex.conversations.get("support", memory_space_id="c-1"),
        cortex.conversations.get_history("support", memory_space_id="c-1"),
        cortex.conversations.delete("support", memory_space_id="c-1"),
    ):
        with pytest.raises(InvalidArgument, match="conversationId: got 'support'; .* stand swapped"):
            await call
    assert await cortex.conversations.get("support", memory_space_id="c-2") is None


async def test_an_export_is_the_same_in_pieces(cortex: Cortex) -> None:
    talks = cortex.conversations
    for number in range(5):
        await talks.create(MADE, conversation_id=f'"{number}",\n', metadata={"Is": [number, "=1+1"]})
        await talks.add_message({**SAID, "conversationId": f'"{number}",\n', "content": "京\r\n"}, metadata={"k": 1})
    await talks.create(type="agent-agent", participants={"memorySpaceIds": ["a", "b"]}, conversation_id="agents")
    narrowed: tuple[dict[str, Any], ...] = (
        {},
        {"include_metadata": False},
        {"type": "agent-agent"},
        {"user_id": "ada", "date_start": 0},
        {"conversation_ids": ["agents", "unknown"]},
        {"user_id": "nobody"},
    )
    for of in narrowed:
        for format in ("json", "csv"):
            whole = await talks.export(format, **of)
            pieces = [piece async for piece in talks.stream_export(format, **of, page_size=2)]
            assert "".join(pieces) == whole.data and whole.format == format
            rows = json.loads(whole.data) if format == "json" else list(csv.reader(io.StringIO(whole.data, newline="")))
            assert len(rows) == whole.count + (format == "csv")
    assert (await talks.export("csv", conversation_ids=['"0",\n'])).count == 1


async def test_all_are_iterated_while_others_are_made_and_deleted(cortex: Cortex) -> None:
    for number in range(5):
        await cortex.conversations.create(MADE, conversation_id=f"c-{number}")
    seen: list[str] = []
    async for talk in cortex.conversations.iterate(page_size=2):
        seen.append(talk.conversation_id)
        if len(seen) == 2:
            await cortex.conversations.delete("c-0")
            await cortex.conversations.delete("c-3")
            await cortex.conversations.create(MADE, conversation_id="c-5")
    assert seen == ["c-0", "c-1", "c-2", "c-4", "c-5"]


async def test_many_are_deleted_in_several_calls(cortex: Cortex, monkeypatch: Any) -> None:
    monkeypatch.setattr(conversation_deletion, "_MOST_CONVERSATIONS", 2)
    for number in range(5):
        await cortex.conversations.create(MADE, conversation_id=f"c-{number}")
        await cortex.conversations.add_message({**SAID, "conversationId": f"c-{number}"})
    gone = await cortex.conversations.delete_many("ada")
    assert (gone.deleted, gone.total_messages_deleted) == (5, 5)
    assert gone["conversationIds"] == tuple(f"c-{number}" for number in range(5))
    assert await cortex.conversations.count() == 0


async def test_a_call_that_may_be_repeated_is_asked_again(tmp_path: Any) -> None:
    """The store is gone for the first try, and its answer is lost at the second: made and added once."""
    inner = SqliteBackend(tmp_path / "memory.db")
    for wrong in ("1 fail", "1 fail-after"):
        talks = ConversationsAPI(Faulty(inner, wrong), memory_space_id=wrong)
        one = await talks.get_or_create({**MADE, "memorySpaceId": wrong})
        talks = ConversationsAPI(Faulty(inner, wrong), memory_space_id=wrong)
        same = await talks.get_or_create({**MADE, "memorySpaceId": wrong})
        assert one == same and await talks.count() == 1
        talks = ConversationsAPI(Faulty(inner, wrong), memory_space_id=wrong)
        added = await talks.add_message({**SAID, "conversationId": one.conversation_id})
        assert added.message_count == 1
        talks = ConversationsAPI(Faulty(inner, wrong), memory_space_id=wrong)
        await talks.create(type="user-agent", participants={"userId": "bob"})
        assert await talks.count() == 2
    await inner.close()


async def test_a_graph_that_is_asked_for_and_not_kept_is_said(cortex: Cortex) -> None:
    with pytest.warns(UserWarning, match="no graph is kept"):
        await cortex.conversations.create(MADE, {"syncToGraph": True}, conversation_id="c-1")
    with pytest.warns(UserWarning, match="no graph is kept"):
        await cortex.conversations.add_message(SAID, sync_to_graph=True)
    with pytest.warns(UserWarning, match="no graph is kept"):
        await cortex.conversations.create(MADE, syncToGraph=True)
    with pytest.warns(UserWarning, match="no graph is kept"):
        await cortex.conversations.delete("c-1", sync_to_graph=True)
