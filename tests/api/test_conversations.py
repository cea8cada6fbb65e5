"""`ConversationsAPI` over a real SQLite file: messages in order, and only those of the memory space."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cortex_rx import AnswerStopped, default_chain, remember_stream
from cortex_rx import operators as cx
from cortex_rx.api import ConversationsAPI, MemoryAPI
from cortex_rx.errors import ConversationNotFound, InvalidArgument, ResumableStreamError
from cortex_rx.events import Begun
from cortex_rx.models.records import Conversation, ConversationHistory, Message
from cortex_rx.sources.model_stream import replayable


@pytest.fixture
def conversations(backend: Any) -> ConversationsAPI:
    return ConversationsAPI(backend)


def said(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]


async def test_a_conversation_has_its_messages_in_order(conversations: Any, remember: Any) -> None:
    first = await remember("How do I reset it?", "Press the lever.", metadata={"channel": "mail"})
    second = await remember("And then?", "Wait.")
    found = await conversations.get("c-1", "support")
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
    found = await conversations.get("c-1", "support")
    assert said(found.messages) == [("user", "Slow?"), ("agent", "At last."), ("user", "Quick?"), ("agent", "Yes.")]


async def test_a_memory_space_never_sees_the_conversations_of_another(conversations: Any, remember: Any) -> None:
    await remember("Where is the key?", "Under the mat.")
    await remember("Where is the safe?", "In the cellar.", space="sales")
    mine = await conversations.get("c-1", "support")
    theirs = await conversations.get("c-1", "sales")
    assert said(mine.messages) == [("user", "Where is the key?"), ("agent", "Under the mat.")]
    assert said(theirs.messages) == [("user", "Where is the safe?"), ("agent", "In the cellar.")]
    assert await conversations.get("c-1", "elsewhere") is None and await conversations.get("c-2", "support") is None
    with pytest.raises(ConversationNotFound):
        await conversations.get_history("c-1", "elsewhere")
    assert await conversations.list("elsewhere") == [] and await conversations.count("elsewhere") == 0


async def test_a_list_is_newest_first_without_messages_and_filtered_before_its_limit(
    conversations: Any, remember: Any
) -> None:
    await remember("a?", "a", conversation_id="c-1")
    await remember("b?", "b", conversation_id="c-2", user_id="bob", user_name="Bob")
    await remember("c?", "c", conversation_id="c-3", user_id=None, user_name=None, agent_id="helper")
    listed = await conversations.list("support")
    assert [(one.conversation_id, one.message_count, one.messages) for one in listed] == [
        ("c-3", 2, ()),
        ("c-2", 2, ()),
        ("c-1", 2, ()),
    ]

    async def names(**narrowed: Any) -> list[str]:
        return [one.conversation_id for one in await conversations.list("support", **narrowed)]

    assert await names(limit=2) == ["c-3", "c-2"]
    assert await names(user_id="ada", limit=1) == ["c-1"]
    assert await names(type="user-agent", limit=2) == ["c-2", "c-1"]
    assert await names(type="agent-agent") == ["c-3"]
    assert await conversations.count("support") == 3
    assert await conversations.count("support", user_id="bob") == 1
    assert await conversations.count("support", type="user-agent") == 2


async def test_a_history_is_read_page_by_page_in_either_order(conversations: Any, remember: Any) -> None:
    for number in range(3):
        await remember(f"Question {number}?", f"Answer {number}.")
    everything = [content for _, content in said((await conversations.get("c-1", "support")).messages)]

    async def page(**which: Any) -> tuple[list[str], int, bool]:
        found = await conversations.get_history("c-1", "support", **which)
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
    first = await conversations.get_history("c-1", "support", limit=2)
    assert said(first.messages) == [("user", "Quick?"), ("agent", "Yes.")] and first.has_more
    assert [(one.user_message, one.position) for one in first.pending] == [("Slow?", 0)]
    await backend.inner.mutation("streams:finish", {"streamId": "stream-1", "memorySpaceId": "support"})
    second = await conversations.get_history("c-1", "support", limit=2, after=first.messages[-1].id)
    assert said(second.messages) == [("user", "Next?"), ("agent", "No.")] and not second.has_more
    assert second.pending == () and second.total == 6
    page = await conversations.get_history("c-1", "support", sort_order="desc", offset=1, after=second.messages[0].id)
    assert [content for _, content in said(page.messages)] == ["Quick?", "At last", "Slow?"]
    assert [message.id for message in page.messages[1:]] == slow["messageIds"][::-1]
    with pytest.raises(InvalidArgument) as caught:
        await conversations.get_history("c-1", "support", after="msg-unknown")
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
                (one,) = (await conversations.get("c-1", "support")).pending
                assert (one.state, one.user_message, one.last_error, one.position) == ("streaming", "How?", None, 0)
                assert (one.stream_id, one.memory_id) == (answer.stream_id, event.memory_id)
                assert (one.message_ids, one.memory_ids) == (event.message_ids, event.memory_ids)
                assert await conversations.list("support") == []
                (listed,) = await conversations.list("support", include_pending=True)
                assert (listed.conversation_id, listed.message_count, listed.pending) == ("c-1", 0, ())
                shown.set()
        await answer
    assert begun is not None
    await memory.remember(user_message="And?", agent_response="So.", **params)
    found = await conversations.get("c-1", "support")
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
    assert said((await conversations.get("c-1", "support")).messages) == [
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
    (one,) = (await conversations.get("c-1", "support")).pending
    assert (one.state, one.length) == ("interrupted", 6)
    assert one.last_error == ("TimeoutError" if ends == "fails" else None)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda c: c.get("", "support"), "conversation_id"),
        (lambda c: c.get("c-1", ""), "memory_space_id"),
        (lambda c: c.get("c-1", None), "memory_space_id"),
        (lambda c: c.list(None), "memory_space_id"),
        (lambda c: c.list("support", limit=0), "limit"),
        (lambda c: c.list("support", type="group"), "type"),
        (lambda c: c.count("support", user_id=" "), "user_id"),
        (lambda c: c.get_history("c-1", None), "memory_space_id"),
        (lambda c: c.get_history(5, "support"), "conversation_id"),
        (lambda c: c.get_history("c-1", "support", limit=1.5), "limit"),
        (lambda c: c.get_history("c-1", "support", offset=-1), "offset"),
        (lambda c: c.get_history("c-1", "support", after=""), "after"),
        (lambda c: c.list("support", include_pending=1), "include_pending"),
        (lambda c: c.get_history("c-1", "support", sort_order="up"), "sort_order"),
    ],
)
async def test_what_is_wrong_is_named_before_the_store_is_asked(
    conversations: Any, backend: Any, call: Any, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await call(conversations)
    assert caught.value.field == field
    assert backend.made == []
