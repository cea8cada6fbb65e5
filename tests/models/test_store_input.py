"""What `memory.store` takes: Cortex's form and ours mean the same, and what does not fit is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from cortex_rx.errors import InvalidArgument
from cortex_rx.models.options import parse
from cortex_rx.models.store_input import (
    ConversationRef,
    ImmutableRef,
    MemorySource,
    MutableRef,
    StoreMemoryInput,
    StoreMemoryOptions,
)


@dataclass
class CortexMetadata:
    """As Cortex's Python SDK has it."""

    importance: int
    tags: list[str] = field(default_factory=list[str])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class CortexRef:
    type: str
    id: str
    version: int | None = None


@dataclass
class CortexInput:
    content: str
    content_type: str
    source: Any
    metadata: Any
    participant_id: str | None = None
    immutable_ref: Any = None


WHOLE: dict[str, Any] = {
    "content": "It rains.",
    "content_type": "fact",
    "source_type": "conversation",
    "source_timestamp": 5,
    "source_user_id": "u",
    "source_user_name": "Ada",
    "importance": 70,
    "tags": ["a"],
    "metadata": {"unit": "mm"},
    "user_id": "ada",
    "agent_id": "helper",
    "participant_id": "p",
    "message_role": "user",
    "memory_id": "mine",
    "conversation_ref": {"conversationId": "c", "messageIds": ["m"]},
    "immutable_ref": {"type": "t", "id": "i", "version": 0},
    "mutable_ref": {"namespace": "n", "key": "k", "snapshotValue": None, "snapshotAt": 0},
    "embedding": [1.0, 2.0],
    "embedding_model": "model",
}
REST: dict[str, Any] = {
    "userId": "ada", "agentId": "helper", "participantId": "p", "messageRole": "user", "memoryId": "mine",
    "content": "It rains.", "contentType": "fact", "embedding": (1, 2.0), "embeddingModel": "model",
}  # fmt: skip


def test_cortex_form_and_ours_mean_the_same() -> None:
    nested = {
        **REST,
        "source": {"type": "conversation", "timestamp": 5, "userId": "u", "userName": "Ada"},
        "metadata": {"importance": 70, "tags": ["a"], "unit": "mm"},
        "conversationRef": {"conversationId": "c", "messageIds": ["m"]},
        "immutableRef": {"type": "t", "id": "i", "version": 0},
        "mutableRef": {"namespace": "n", "key": "k", "snapshotValue": None, "snapshotAt": 0},
    }
    records = {
        **REST,
        "source": MemorySource(type="conversation", timestamp=5, user_id="u", user_name="Ada"),
        "metadata": CortexMetadata(70, ["a"], {"unit": "mm"}),
        "conversation_ref": ConversationRef(conversation_id="c", message_ids=("m",)),
        "immutable_ref": CortexRef("t", "i", 0),
        "mutable_ref": MutableRef(namespace="n", key="k", snapshot_at=0),
    }
    flat = {**records, "metadata": {"unit": "mm"}, "importance": 70, "tags": ("a",)}
    for given in (nested, records, flat):
        assert parse(StoreMemoryInput, given).keywords() == WHOLE


def test_the_dataclasses_of_cortex_are_taken_as_they_are() -> None:
    source = {"type": "tool", "timestamp": 5}
    given = CortexInput("It rains.", "raw", source, CortexMetadata(70), immutable_ref=CortexRef("t", "i"))
    assert parse(StoreMemoryInput, given).keywords() == {
        "content": "It rains.",
        "content_type": "raw",
        "source_type": "tool",
        "source_timestamp": 5,
        "importance": 70,
        "tags": [],
        "immutable_ref": {"type": "t", "id": "i"},  # Cortex's SDK sends a version None, which its backend refuses
    }


def test_little_is_enough() -> None:
    plain = {"content": "", "content_type": "raw", "source_type": "system", "importance": 50, "tags": []}
    assert StoreMemoryInput(content="").keywords() == plain
    assert parse(StoreMemoryInput, {"content": "", "source": None, "metadata": None, "conversationId": None}) == (
        StoreMemoryInput(content="")
    )
    talk = {"source_type": "conversation", "conversation_ref": {"conversationId": "c", "messageIds": []}}
    assert parse(StoreMemoryInput, {"content": ""}, conversation_id="c").keywords() == {**plain, **talk}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "content"),
        ({"content": 7}, "content"),
        ({"content": "x", "contentType": "image"}, "content_type"),
        ({"content": "x", "source": "tool"}, "source"),
        ({"content": "x", "source": {"timestamp": 5}}, "source.type"),
        ({"content": "x", "source": {"type": "rumour"}}, "source.type"),
        ({"content": "x", "source": {"type": "tool", "timestamp": -1}}, "source.timestamp"),
        ({"content": "x", "source": {"type": "tool", "when": 5}}, "source"),
        ({"content": "x", "source": {"type": "conversation"}}, "conversation_ref"),
        ({"content": "x", "metadata": ["a"]}, "metadata"),
        ({"content": "x", "metadata": {"importance": 101}}, "importance"),
        ({"content": "x", "metadata": {"tags": "a"}}, "tags"),
        ({"content": "x", "metadata": {"importance": 5}, "importance": 5}, "importance"),
        ({"content": "x", "metadata": {"tags": []}, "tags": []}, "tags"),
        ({"content": "x", "metadata": {"x": float("nan")}}, "metadata.x"),
        ({"content": "x", "conversationRef": {"messageIds": []}}, "conversation_ref.conversation_id"),
        ({"content": "x", "conversationRef": {"conversationId": "c"}, "conversation_id": "c"}, "conversation_ref"),
        ({"content": "x", "conversation_id": "c", "conversationId": "c"}, "conversation_ref"),
        ({"content": "x", "conversationId": " "}, "conversationId"),
        ({"content": "x", "immutableRef": {"type": "t"}}, "immutable_ref.id"),
        ({"content": "x", "mutableRef": {"namespace": "n", "key": "k"}}, "mutable_ref.snapshot_at"),
        ({"content": "x", "embedding": []}, "embedding"),
        ({"content": "x", "embedding": [True]}, "embedding"),
        ({"content": "x", "embeddingModel": "m"}, "embedding_model"),
        ({"content": "x", "memoryId": ""}, "memory_id"),
        ({"content": "x", "colour": "red"}, "StoreMemoryInput"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_and_no_text_is_shown(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(StoreMemoryInput, given).keywords()
    assert caught.value.field == field


def test_what_goes_with_storing_is_no_field_of_the_memory() -> None:
    assert parse(StoreMemoryOptions, {"syncToGraph": True}).sync_to_graph is True
    with pytest.raises(InvalidArgument, match="^StoreMemoryInput: got 'syncToGraph'"):
        parse(StoreMemoryInput, {"content": "x", "syncToGraph": True})


def test_a_reference_needs_no_version() -> None:
    assert ImmutableRef(type="t", id="i").version is None
