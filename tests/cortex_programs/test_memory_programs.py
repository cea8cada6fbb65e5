"""Programs that remember, stream, resume, search and forget, as Cortex's README and guides show them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from cortex_rx import (
    Cortex,
    CortexError,
    ErrorCode,
    ForgetOptions,
    MemoryMetadata,
    MemorySource,
    RememberOptions,
    RememberParams,
    RememberStreamParams,
    SearchOptions,
    StoreMemoryInput,
    StreamHooks,
    StreamingOptions,
    is_cortex_error,
    replayable,
)
from cortex_rx.api._graph import GraphNotKept
from cortex_rx.errors import InvalidArgument, ResumableStreamError, UnsupportedOption


async def openai_stream(*texts: str) -> AsyncIterator[Any]:
    """Chunks as the OpenAI client gives them."""
    for text in (*texts, None):
        yield SimpleNamespace(
            object="chat.completion.chunk",
            choices=[
                SimpleNamespace(index=0, delta=SimpleNamespace(content=text), finish_reason=None if text else "stop")
            ],
        )


async def test_remember_and_search(cortex: Cortex) -> None:
    result = await cortex.memory.remember(
        RememberParams(
            memory_space_id="user-123-personal",
            conversation_id="conv-123",
            user_message="I prefer dark mode, please.",
            agent_response="Dark mode is on.",
            user_id="user-123",
            user_name="Alex",
            importance=80,
            tags=["preferences"],
        )
    )
    assert len(result.conversation["messageIds"]) == 2
    assert result.conversation["conversationId"] == "conv-123"
    assert [memory.content for memory in result.memories] == ["I prefer dark mode, please.", "Dark mode is on."]
    assert result.memories[0]["importance"] == 80
    assert result["facts"] == ()

    memories = await cortex.memory.search("user-123-personal", "dark mode", SearchOptions(user_id="user-123", limit=5))
    assert {memory.content for memory in memories} == {"I prefer dark mode, please.", "Dark mode is on."}
    assert await cortex.memory.search("user-456-personal", "dark mode") == []


async def test_remember_takes_a_dictionary(cortex: Cortex) -> None:
    result = await cortex.memory.remember(
        {
            "memorySpaceId": "agent-1",
            "conversationId": "conv-1",
            "userMessage": "My name is Ada.",
            "agentResponse": "Nice to meet you, Ada.",
            "userId": "ada",
            "userName": "Ada",
        }
    )
    memory = await cortex.memory.get("agent-1", result.memories[0].memory_id)
    assert memory is not None
    assert (memory.memory_space_id, memory["memorySpaceId"], memory["memory_space_id"]) == ("agent-1",) * 3
    assert dict(memory)["conversationRef"]["conversationId"] == "conv-1"


async def test_an_openai_stream_is_remembered(cortex: Cortex) -> None:
    result = await cortex.memory.remember_stream(
        RememberStreamParams(
            memory_space_id="agent-1",
            conversation_id="conv-1",
            user_message="What is the weather?",
            response_stream=openai_stream("It is ", "sunny."),
            user_id="user-1",
            user_name="Alex",
        )
    )
    assert result.full_response == result["fullResponse"] == "It is sunny."
    assert result.stream_metrics.total_chunks == 2
    assert [memory.content for memory in result.memories] == ["What is the weather?", "It is sunny."]
    history = await cortex.conversations.get_history("conv-1", memory_space_id="agent-1")
    assert [message.content for message in history.messages] == ["What is the weather?", "It is sunny."]


async def test_a_stream_with_hooks_and_options(cortex: Cortex) -> None:
    seen: list[Any] = []

    async def on_chunk(event: Any) -> None:
        seen.append(("chunk", event["chunk"], event.chunk_number))

    def on_complete(event: Any) -> None:
        seen.append(("complete", event.full_response, event["totalChunks"]))

    turn = {
        "memorySpaceId": "agent-1",
        "conversationId": "conv-1",
        "userMessage": "Hello",
        "userId": "user-1",
        "userName": "Alex",
    }
    result = await cortex.memory.remember_stream(
        {**turn, "responseStream": openai_stream("Hi ", "there")},
        {
            "storePartialResponse": True,
            "partialResponseInterval": 3000,
            "hooks": {"onChunk": on_chunk, "onComplete": on_complete},
        },
    )
    assert "".join(text for kind, text, _ in seen if kind == "chunk") == "Hi there"
    assert seen[-1] == ("complete", "Hi there", 2)
    assert result.errors is None

    seen.clear()
    options = StreamingOptions(hooks=StreamHooks(on_chunk=on_chunk), stream_timeout=30_000, max_response_length=50_000)
    await cortex.memory.remember_stream({**turn, "responseStream": openai_stream("Again")}, options)
    assert [text for _, text, _ in seen] == ["Again"]


async def test_a_stream_that_fails_is_resumed(cortex: Cortex) -> None:
    async def failing() -> AsyncIterator[str]:
        yield "The first half, "
        raise ConnectionError("reset by peer")

    turn = {
        "memory_space_id": "agent-1",
        "conversation_id": "conv-1",
        "user_message": "Tell me all",
        "user_id": "user-1",
        "user_name": "Alex",
    }
    options = StreamingOptions(partial_failure_handling="store-partial", generate_resume_token=True)
    with pytest.raises(ResumableStreamError) as failed:
        await cortex.memory.remember_stream(RememberStreamParams(**turn, response_stream=failing()), options)
    assert isinstance(failed.value.original_error, ConnectionError)
    assert is_cortex_error(failed.value)

    whole = replayable(lambda point: ["The first half, ", "and the second."])
    result = await cortex.memory.remember_stream(
        {**turn, "response_stream": whole, "resume_from": failed.value.resume_token}
    )
    assert result.full_response == "The first half, and the second."
    assert await cortex.memory.count("agent-1") == 2


async def test_memories_are_stored_found_and_forgotten(cortex: Cortex) -> None:
    stored = await cortex.memory.store(
        "agent-1",
        StoreMemoryInput(
            content="The office closes at six.",
            content_type="raw",
            source=MemorySource(type="system", timestamp=1_764_000_000_000),
            metadata=MemoryMetadata(importance=70, tags=["hours"]),
        ),
    )
    assert (stored.importance, stored.tags) == (70, ("hours",))
    found = await cortex.memory.search("agent-1", "office", SearchOptions(min_importance=60, tags=["hours"]))
    assert [memory.memory_id for memory in found] == [stored.memory_id]

    deleted = await cortex.memory.delete("agent-1", stored.memory_id)
    assert (deleted["deleted"], deleted["memoryId"], deleted["factsDeleted"]) == (True, stored.memory_id, 0)
    with pytest.raises(CortexError) as error:
        await cortex.memory.forget("agent-1", stored.memory_id)
    assert error.value.code == ErrorCode.MEMORY_NOT_FOUND


async def test_an_exchange_is_forgotten_with_its_facts(cortex: Cortex) -> None:
    async def extract_facts(user_message: str, agent_response: str) -> list[dict[str, Any]]:
        if "Berlin" not in user_message:
            return []
        return [
            {
                "fact": "Alex lives in Berlin",
                "factType": "identity",
                "subject": "user-1",
                "predicate": "lives_in",
                "object": "Berlin",
                "confidence": 95,
                "tags": ["home"],
            }
        ]

    result = await cortex.memory.remember(
        RememberParams(
            "agent-1", "conv-1", "I live in Berlin.", "Noted.", "user-1", "Alex", extract_facts=extract_facts
        )
    )
    assert [(fact.fact, fact.confidence, fact["factType"]) for fact in result.facts] == [
        ("Alex lives in Berlin", 95, "identity")
    ]
    forgotten = await cortex.memory.forget("agent-1", result.memories[0].memory_id, ForgetOptions())
    assert (forgotten.memory_deleted, forgotten["messagesDeleted"], forgotten.restorable) == (True, 0, True)


async def test_participants_share_a_space_in_hive_mode(cortex: Cortex) -> None:
    for participant, said in (("calendar-bot", "The meeting is at ten."), ("email-bot", "The invitation is sent.")):
        await cortex.memory.remember(
            RememberParams(
                memory_space_id="team",
                participant_id=participant,
                conversation_id=f"conv-{participant}",
                user_message="What is new?",
                agent_response=said,
                user_id="user-1",
                user_name="Alex",
            )
        )
    found = await cortex.memory.search("team", "meeting invitation")
    assert {(memory.participant_id, memory.content) for memory in found if "?" not in memory.content} == {
        ("calendar-bot", "The meeting is at ten."),
        ("email-bot", "The invitation is sent."),
    }


async def test_what_cortex_takes_as_options_of_remember(cortex: Cortex) -> None:
    given = {"memorySpaceId": "agent-1", "conversationId": "conv-1", "userMessage": "Hm, I moved to Porto!"}
    owner = {"agentResponse": "Noted.", "userId": "user-1", "userName": "Alex"}
    options = RememberOptions(sync_to_graph=True, extract_content=lambda question, answer: "The user lives in Porto.")
    with pytest.warns(GraphNotKept):
        result = await cortex.memory.remember({**given, **owner}, options)
    assert [memory.content for memory in result.memories] == ["The user lives in Porto.", "Noted."]
    with pytest.raises(InvalidArgument, match=r"^extract_content: got 'twice'"):
        await cortex.memory.remember({**given, **owner}, options, extract_content=str)
    with pytest.raises(UnsupportedOption, match=r"^auto_embed: got True"):
        await cortex.memory.remember({**given, **owner}, {"autoEmbed": True})
    assert await cortex.memory.count("agent-1") == 2
