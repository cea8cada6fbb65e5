"""Programs that keep conversations, as Cortex's guides show them."""

from __future__ import annotations

import json

from cortex_rx import AddMessageInput, ConversationParticipants, Cortex, CreateConversationInput


async def test_a_conversation_is_made_and_read(cortex: Cortex) -> None:
    conversation = await cortex.conversations.create(
        CreateConversationInput(
            memory_space_id="agent-1",
            type="user-agent",
            participants=ConversationParticipants(user_id="user-123", participant_id="agent-1"),
            metadata={"channel": "web", "pageUrl": "/help"},
        )
    )
    assert conversation.conversation_id.startswith("conv-")
    assert conversation["participants"]["userId"] == "user-123"
    assert conversation.metadata == {"channel": "web", "pageUrl": "/help"}

    for role, content in (("user", "Hello!"), ("agent", "Hi, how can I help?"), ("user", "Where is my parcel?")):
        conversation = await cortex.conversations.add_message(
            AddMessageInput(conversation_id=conversation.conversation_id, role=role, content=content),
            memory_space_id="agent-1",
        )
    assert conversation.message_count == conversation["messageCount"] == 3
    assert conversation.messages[-1]["content"] == "Where is my parcel?"

    history = await cortex.conversations.get_history(
        conversation.conversation_id, 2, 0, "desc", memory_space_id="agent-1"
    )
    assert [message.content for message in history["messages"]] == ["Where is my parcel?", "Hi, how can I help?"]
    assert (history["total"], history["hasMore"]) == (3, True)


async def test_a_client_works_in_one_space(cortex: Cortex) -> None:
    async with Cortex(cortex.backend, memory_space_id="agent-1") as client:
        given = CreateConversationInput("agent-1", "user-agent", {"userId": "user-123"})
        found = await client.conversations.get_or_create(given)
        again = await client.conversations.get_or_create(given)
        assert found.conversation_id == again.conversation_id
        assert (await client.conversations.find_conversation("agent-1", "user-agent", "user-123")) == again

        await client.conversations.add_message(
            {"conversationId": found.conversation_id, "role": "user", "content": "I need a refund for my order."}
        )
        results = await client.conversations.search("refund", "user-agent")
        assert [result.conversation.conversation_id for result in results] == [found.conversation_id]
        assert results[0]["matchedMessages"][0]["content"] == "I need a refund for my order."

        assert await client.conversations.count("user-agent", "user-123") == 1
        assert [one.conversation_id for one in await client.conversations.list("user-agent")] == [found.conversation_id]
        exported = await client.conversations.export("json", "user-123")
        assert json.loads(exported["data"])[0]["messages"][0]["content"] == "I need a refund for my order."

        deleted = await client.conversations.delete(found.conversation_id)
        assert deleted["deleted"] is True
        assert await client.conversations.get(found.conversation_id) is None
