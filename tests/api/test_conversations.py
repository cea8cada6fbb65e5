"""`ConversationsAPI` over a real SQLite file: messages in order, and only those of the memory space."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_rx.api import ConversationsAPI
from cortex_rx.errors import ConversationNotFound, InvalidArgument
from cortex_rx.models.records import Conversation, ConversationHistory, Message


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
