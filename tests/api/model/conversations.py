"""Conversations: made by a call or by an exchange, with their messages; what becomes of memories and facts when one is
deleted."""

from __future__ import annotations

from typing import Any

from api.model.machine import SPACES, USERS, Refused, fields, page
from api.model.memories import Memories
from hypothesis import strategies as st
from hypothesis.stateful import rule
from pydantic.alias_generators import to_snake

from cortex_rx.errors import ConversationExists, ConversationNotFound, IdempotencyConflict

__all__ = ["Conversations"]

IDS = ("c-1", "c-2", "c-3")
SAID = ("Where is my parcel?", "It is in Lisbon.", "PARCEL!")
MESSAGES = ("m-1", "m-2")

Conversation = dict[str, Any]


def shown(conversation: Any) -> dict[str, Any]:
    """What is compared of a conversation, without its messages."""
    return fields(conversation, "messages", "pending")


class Conversations(Memories):
    def __init__(self) -> None:
        super().__init__()
        self.conversations: list[Conversation] = []
        """In the order in which they were made."""

    def conversation(self, space: str, conversation_id: str) -> Conversation | None:
        named = [one for one in self.conversations if (one["space"], one["id"]) == (space, conversation_id)]
        return named[0] if named else None

    def conversations_of(self, space: str, wanted: dict[str, Any]) -> list[Conversation]:
        """Newest first."""
        here = [one for one in reversed(self.conversations) if one["space"] == space]
        return [one for one in here if _passes(one, wanted)]

    def talk(
        self, space: str, conversation_id: str, kind: str, participants: dict[str, Any], **given: Any
    ) -> Conversation:
        new = {"space": space, "id": conversation_id, "type": kind, "participants": participants, "messages": []}
        new |= {"created_at": self.now, "updated_at": self.now, "metadata": None, "given": None, **given}
        self.conversations.append(new)
        self.used.add(space)
        return new

    def say(self, conversation: Conversation, message_id: str, role: str, content: str) -> None:
        message = {"id": message_id, "role": role, "content": content, "timestamp": self.now}
        conversation["messages"].append(message)
        conversation["updated_at"] = self.now

    def conversation_ended(self, space: str, conversation_id: str) -> None:
        """Other parts forget it, too."""

    def sources_of_facts(self, space: str) -> list[dict[str, str]]:
        here = [one for one in self.conversations if one["space"] == space]
        return [*super().sources_of_facts(space), *({"conversation_id": one["id"]} for one in here)]

    # --- what changes them

    @rule(
        space=st.sampled_from(SPACES),
        conversation_id=st.sampled_from(IDS),
        user_id=st.sampled_from(USERS),
        metadata=st.sampled_from([None, {"topic": "parcels"}]),
        or_get=st.booleans(),
        agents=st.booleans(),
    )
    def create_conversation(
        self,
        space: str,
        conversation_id: str,
        user_id: str,
        metadata: dict[str, Any] | None,
        or_get: bool,
        agents: bool,
    ) -> None:
        kind = "agent-agent" if agents else "user-agent"
        participants: dict[str, Any] = {"memorySpaceIds": [*SPACES]} if agents else {"userId": user_id}
        there = self.conversation(space, conversation_id)
        expected: object = self.writes(space)
        if or_get:
            there = self.find(space, kind, participants) or there
        if not expected and there is None:
            told = {"given": participants, "metadata": metadata}
            expected = _shown(self.talk(space, conversation_id, kind, participants, **told))
        elif not expected and there is not None:
            same = there is self.find(space, kind, participants)
            if not or_get:
                told = (there["type"], there["given"], there["metadata"])
                same = told == (kind, participants, metadata)
            elif same:
                there["given"] = there["given"] or participants
            expected = _shown(there) if same else Refused(ConversationExists)
        given = {"conversation_id": conversation_id, "memory_space_id": space, "type": kind, "metadata": metadata}
        given["participants"] = participants
        name = "get_or_create" if or_get else "create"
        self.agree(f"conversations.{name}", getattr(self.cortex.conversations, name)(given), expected, shown)

    def find(self, space: str, kind: str, participants: dict[str, Any]) -> Conversation | None:
        """The oldest of this user, or of the same spaces."""
        here = [one for one in self.conversations if (one["space"], one["type"]) == (space, kind)]
        name = "userId" if kind == "user-agent" else "memorySpaceIds"
        return next((one for one in here if one["participants"].get(name) == participants[name]), None)

    @rule(
        space=st.sampled_from(SPACES),
        conversation_id=st.sampled_from(IDS),
        message_id=st.sampled_from(MESSAGES),
        role=st.sampled_from(["user", "agent", "system"]),
        content=st.sampled_from(SAID),
    )
    def add_message(self, space: str, conversation_id: str, message_id: str, role: str, content: str) -> None:
        there = self.conversation(space, conversation_id)
        expected: object = self.writes(space)
        if not expected and there is None:
            expected = Refused(ConversationNotFound)
        elif not expected and there is not None:
            said = next((one for one in there["messages"] if one["id"] == message_id), None)
            if said and (said["role"], said["content"]) != (role, content):
                expected = Refused(IdempotencyConflict)
            elif not said:
                self.say(there, message_id, role, content)
            expected = expected or _shown(there)
        given = {"conversation_id": conversation_id, "id": message_id, "role": role, "content": content}
        call = self.cortex.conversations.add_message(given, memory_space_id=space)
        self.agree("conversations.add_message", call, expected, shown)

    @rule(
        space=st.sampled_from(SPACES),
        conversation_id=st.sampled_from(IDS),
        user_id=st.sampled_from(USERS),
        question=st.sampled_from(SAID),
    )
    def remember(self, space: str, conversation_id: str, user_id: str, question: str) -> None:
        """An exchange makes two messages and two memories."""
        call = self.cortex.memory.remember(
            memory_space_id=space,
            conversation_id=conversation_id,
            user_message=question,
            agent_response="It is in Lisbon.",
            user_id=user_id,
            user_name=user_id.title(),
        )
        refused = self.writes(space)
        given = self.agree("memory.remember", call, refused or 2, lambda given: len(given.memories))
        if given is None:
            return
        there = self.conversation(space, conversation_id)
        if there is None:
            there = self.talk(space, conversation_id, "user-agent", {"userId": user_id})
        there["participants"] = {"userId": user_id, "agentId": "agent", **there["participants"]}
        said = zip(given.conversation.message_ids, given.memories, ("user", "agent"), strict=True)
        for message_id, memory, role in said:
            self.say(there, message_id, role, memory.content)
            source = {"source_type": "conversation", "conversation": conversation_id, "user_id": user_id}
            self.keep(space, memory.memory_id, memory.content, **source)

    @rule(
        space=st.sampled_from(SPACES),
        conversation_id=st.sampled_from(IDS),
        memories_too=st.booleans(),
        facts_too=st.booleans(),
    )
    def delete_conversation(self, space: str, conversation_id: str, memories_too: bool, facts_too: bool) -> None:
        there = self.conversation(space, conversation_id)
        expected: object = self.writes(space) or (None if there else Refused(ConversationNotFound))
        if not expected and there:
            expected = (conversation_id, *self.end(there, memories_too=memories_too, facts_too=facts_too))
        how = {"delete_memories": memories_too, "delete_facts": facts_too}
        call = self.cortex.conversations.delete(conversation_id, how, memory_space_id=space)
        self.agree(
            "conversations.delete",
            call,
            expected,
            lambda given: (
                given["conversation_id"],
                given["messages_deleted"],
                given["memories_deleted"],
                sorted(given["fact_ids"]),
            ),
        )

    def end(self, conversation: Conversation, *, memories_too: bool, facts_too: bool) -> tuple[int, int, list[str]]:
        """The conversation is gone: how many messages and memories went with it, and which facts."""
        space, id_ = conversation["space"], conversation["id"]
        self.conversations.remove(conversation)
        self.conversation_ended(space, id_)
        memories = [one for one in self.memories if (one["space"], one["conversation"]) == (space, id_)]
        gone_sources = [{"conversation_id": id_}]
        if memories_too:
            gone_sources += [{"memory_id": one["memory_id"]} for one in memories]
            self.drop_memories(memories, facts_too=False)
        else:
            for one in memories:
                one["conversation"] = None
        gone: list[str] = []
        for fact in [one for one in self.facts if one["space"] == space]:
            if any(source in gone_sources for source in fact["sources"]):
                if facts_too:
                    gone.append(fact["fact_id"])
                    self.facts.remove(fact)
                else:
                    fact["sources"] = []
        return len(conversation["messages"]), len(memories) if memories_too else 0, sorted(gone)

    @rule(space=st.sampled_from(SPACES), wanted=st.sampled_from([{"user_id": "ada"}, {"type": "agent-agent"}, {}]))
    def delete_conversations(self, space: str, wanted: dict[str, str]) -> None:
        chosen = self.conversations_of(space, wanted)[::-1]
        expected: object = self.writes(space)
        if not expected:
            messages = [self.end(one, memories_too=False, facts_too=False)[0] for one in chosen]
            expected = (len(chosen), sum(messages), sorted(one["id"] for one in chosen))
        call = self.cortex.conversations.delete_many(memory_space_id=space, **wanted)
        self.agree(
            "conversations.delete_many",
            call,
            expected,
            lambda given: (given["deleted"], given["total_messages_deleted"], sorted(given["conversation_ids"])),
        )

    # --- what reads them

    @rule(
        space=st.sampled_from(SPACES),
        wanted=st.fixed_dictionaries(
            {}, optional={"user_id": st.sampled_from(USERS), "type": st.sampled_from(["user-agent", "agent-agent"])}
        ),
        limit=st.sampled_from([100, 1]),
    )
    def list_conversations(self, space: str, wanted: dict[str, str], limit: int) -> None:
        conversations = self.cortex.conversations
        listed = [_shown(one) for one in self.conversations_of(space, wanted)]
        call = conversations.list(memory_space_id=space, **wanted, limit=limit)
        self.agree("conversations.list", call, page(listed, limit), _each)
        self.agree("conversations.count", conversations.count(memory_space_id=space, **wanted), len(listed), int)
        paged = self.listed_by(
            "conversations.iterate", conversations.iterate(memory_space_id=space, **wanted, page_size=1)
        )
        assert _each(paged) == listed[::-1]

    @rule(
        space=st.sampled_from(SPACES), text=st.sampled_from(["parcel", "LISBON", "is"]), limit=st.sampled_from([10, 1])
    )
    def search_conversations(self, space: str, text: str, limit: int) -> None:
        found = []
        for one in self.conversations_of(space, {}):
            hits = [said["id"] for said in one["messages"] if text.lower() in said["content"].lower()]
            if hits:
                found.append((one["id"], hits, round(len(hits) / len(one["messages"]), 6)))
        found.sort(key=lambda one: -one[2])
        call = self.cortex.conversations.search(text, memory_space_id=space, limit=limit)
        self.agree("conversations.search", call, found[:limit], _found)

    @rule(
        space=st.sampled_from(SPACES),
        conversation_id=st.sampled_from(IDS),
        limit=st.sampled_from([50, 1]),
        offset=st.sampled_from([0, 1]),
        order=st.sampled_from(["asc", "desc"]),
    )
    def read_conversation(self, space: str, conversation_id: str, limit: int, offset: int, order: str) -> None:
        conversations: Any = self.cortex.conversations
        there = self.conversation(space, conversation_id)
        call = conversations.get(conversation_id, memory_space_id=space)
        whole = there and (_shown(there), there["messages"])
        self.agree("conversations.get", call, whole, lambda one: one and (shown(one), [*map(_said, one.messages)]))
        messages = there["messages"][:: 1 if order == "asc" else -1] if there else []
        history = (page(messages, limit, offset), len(messages)) if there else Refused(ConversationNotFound)
        call = conversations.get_history(conversation_id, limit, offset, order, memory_space_id=space)
        self.agree(
            "conversations.get_history", call, history, lambda given: ([*map(_said, given.messages)], given.total)
        )
        for message_id in MESSAGES:
            said = next((one for one in messages if one["id"] == message_id), None)
            call = conversations.get_message(conversation_id, message_id, memory_space_id=space)
            self.agree("conversations.get_message", call, said, lambda given: given and _said(given))
        both = sorted(
            (one["id"] for one in messages if one["id"] in MESSAGES),
            key=[one["id"] for one in (there or {"messages": []})["messages"]].index,
        )
        call = conversations.get_messages_by_ids(conversation_id, [*MESSAGES], memory_space_id=space)
        self.agree("conversations.get_messages_by_ids", call, both, lambda given: [one.id for one in given])

    @rule(space=st.sampled_from(SPACES), user_id=st.sampled_from(USERS))
    def find_conversation(self, space: str, user_id: str) -> None:
        for kind, name, value in (
            ("user-agent", "userId", user_id),
            ("agent-agent", "memorySpaceIds", [*SPACES]),
        ):
            there = self.find(space, kind, {name: value})
            call = self.cortex.conversations.find_conversation(space, kind, **{to_snake(name): value})
            self.agree(
                "conversations.find_conversation", call, there and _shown(there), lambda given: given and shown(given)
            )

    def check(self) -> None:
        super().check()
        for space in SPACES:
            self.list_conversations(space, {}, 100)
            made = [{"conversation_id": one["id"]} for one in self.conversations if one["space"] == space]
            api = self.cortex.conversations
            self.exported("conversations", api, made, "conversation_id", memory_space_id=space)
            for conversation_id in IDS:
                self.read_conversation(space, conversation_id, 50, 0, "asc")


def _shown(conversation: Conversation) -> dict[str, Any]:
    named = {"conversation_id": conversation["id"], "memory_space_id": conversation["space"]}
    names = ("type", "participants", "created_at", "updated_at", "metadata")
    told = {name: conversation[name] for name in names if conversation[name] is not None}
    return named | told | {"message_count": len(conversation["messages"])}


def _passes(conversation: Conversation, wanted: dict[str, Any]) -> bool:
    user = conversation["participants"].get("userId")
    return wanted.get("user_id", user) == user and wanted.get("type", conversation["type"]) == conversation["type"]


def _each(records: Any) -> list[dict[str, Any]]:
    return [shown(one) for one in records]


def _said(message: Any) -> dict[str, Any]:
    return {name: message[name] for name in ("id", "role", "content", "timestamp")}


def _found(given: Any) -> list[tuple[str, list[str], float]]:
    return [
        (
            one["conversation"]["conversation_id"],
            [said["id"] for said in one["matched_messages"]],
            round(one["score"], 6),
        )
        for one in given
    ]
