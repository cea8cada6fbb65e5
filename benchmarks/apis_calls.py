"""The calls that `benchmarks.apis` measures: one or more of each method of the nine APIs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.apis_store import SPACE, USERS, Content
from cortex_rx import Cortex

__all__ = ["CALLS", "At", "Call"]

GROWTH = 1.5
LIMIT = 10
"""There are so many of each kind, also among few."""


@dataclass(frozen=True)
class At:
    """Which records a call is about: those at this share of all that the file has, in this round."""

    content: Content
    share: float
    round: int

    def _of(self, count: int) -> int:
        return int(count * self.share)

    @property
    def user(self) -> str:
        return f"user-{self._of(USERS)}"

    @property
    def memory(self) -> str:
        return f"mem-{self._of(self.content.memories)}"

    @property
    def fact(self) -> str:
        return f"fact-{self._of(self.content.facts)}"

    @property
    def subject(self) -> str:
        return f"person {self._of(self.content.facts // 20)}"

    @property
    def other(self) -> int:
        """The number of a conversation, context, user, key or entry."""
        return self._of(self.content.others)

    @property
    def conversation(self) -> str:
        return f"c-{self.other}"

    @property
    def context(self) -> str:
        return f"ctx-{self.other}"

    @property
    def root(self) -> str:
        return f"ctx-{self.other // 10 * 10}"

    @property
    def person(self) -> str:
        return f"person-{self.other}"

    @property
    def key(self) -> tuple[str, str]:
        return f"namespace {self.other % 20}", f"key-{self.other}"

    @property
    def entry(self) -> tuple[str, str]:
        return f"type {self.other % 20}", f"entry-{self.other}"

    @property
    def few(self) -> int:
        """The number of an agent or a memory space."""
        return self._of(self.content.few)

    @property
    def new(self) -> str:
        """An id that no record has."""
        return f"new-{self.round}"


Make = Callable[[Cortex, At], Awaitable[Any]]


@dataclass(frozen=True)
class Call:
    """`most`: how much longer it may take among ten times as many records; None if it reads what grows, or writes."""

    make: Make
    most: float | None = GROWTH


def _free(make: Make) -> Call:
    return Call(make, None)


_MEMORY: dict[str, Call] = {
    "memory.get": Call(lambda cortex, at: cortex.memory.get(SPACE, at.memory)),
    "memory.list": Call(lambda cortex, _: cortex.memory.list(SPACE, limit=LIMIT)),
    "memory.list(user_id)": Call(lambda cortex, at: cortex.memory.list(SPACE, user_id=at.user, limit=LIMIT)),
    "memory.list(source_type)": Call(lambda cortex, _: cortex.memory.list(SPACE, source_type="tool", limit=LIMIT)),
    "memory.list(conversation_id)": Call(
        lambda cortex, at: cortex.memory.list(SPACE, conversation_id=at.conversation, limit=LIMIT)
    ),
    "memory.count": Call(lambda cortex, _: cortex.memory.count(SPACE)),
    "memory.count(user_id)": Call(lambda cortex, at: cortex.memory.count(SPACE, user_id=at.user)),
    "memory.count(source_type)": Call(lambda cortex, _: cortex.memory.count(SPACE, source_type="tool")),
    "memory.search": _free(lambda cortex, at: cortex.memory.search(SPACE, "wig wik wip", limit=LIMIT)),
    "memory.store": _free(lambda cortex, at: cortex.memory.store(SPACE, "A new text.", memory_id=at.new)),
}

_FACTS: dict[str, Call] = {
    "facts.get": Call(lambda cortex, at: cortex.facts.get(SPACE, at.fact)),
    "facts.list": Call(lambda cortex, _: cortex.facts.list(memory_space_id=SPACE, limit=LIMIT)),
    "facts.list(user_id)": Call(
        lambda cortex, at: cortex.facts.list(memory_space_id=SPACE, user_id=at.user, limit=LIMIT)
    ),
    "facts.count": Call(lambda cortex, _: cortex.facts.count(memory_space_id=SPACE)),
    "facts.query_by_subject": Call(
        lambda cortex, at: cortex.facts.query_by_subject(memory_space_id=SPACE, subject=at.subject)
    ),
    "facts.query_by_relationship": Call(
        lambda cortex, at: cortex.facts.query_by_relationship(
            memory_space_id=SPACE, subject=at.subject, predicate="predicate 7"
        )
    ),
    "facts.get_history": Call(lambda cortex, at: cortex.facts.get_history(SPACE, at.fact)),
    "facts.search": _free(lambda cortex, at: cortex.facts.search(SPACE, at.subject, limit=LIMIT)),
    "facts.store": _free(
        lambda cortex, at: cortex.facts.store(
            memory_space_id=SPACE, fact="New.", fact_id=at.new, fact_type="knowledge", confidence=50
        )
    ),
}

_CONVERSATIONS: dict[str, Call] = {
    "conversations.get": Call(lambda cortex, at: cortex.conversations.get(at.conversation, memory_space_id=SPACE)),
    "conversations.list": Call(lambda cortex, _: cortex.conversations.list(memory_space_id=SPACE, limit=LIMIT)),
    "conversations.list(user_id)": Call(
        lambda cortex, at: cortex.conversations.list(memory_space_id=SPACE, user_id=at.user, limit=LIMIT)
    ),
    "conversations.count": Call(lambda cortex, _: cortex.conversations.count(memory_space_id=SPACE)),
    "conversations.count(user_id)": Call(
        lambda cortex, at: cortex.conversations.count(memory_space_id=SPACE, user_id=at.user)
    ),
    "conversations.get_history": Call(
        lambda cortex, at: cortex.conversations.get_history(at.conversation, memory_space_id=SPACE)
    ),
    "conversations.get_message": Call(
        lambda cortex, at: cortex.conversations.get_message(at.conversation, f"user-{at.other}", memory_space_id=SPACE)
    ),
    "conversations.find_conversation": Call(
        lambda cortex, at: cortex.conversations.find_conversation(SPACE, "user-agent", at.user)
    ),
    "conversations.search": _free(lambda cortex, _: cortex.conversations.search("wi", memory_space_id=SPACE)),
    "conversations.add_message": _free(
        lambda cortex, at: cortex.conversations.add_message(
            {"conversation_id": at.conversation, "id": at.new, "role": "user", "content": "New."}, memory_space_id=SPACE
        )
    ),
}

_CONTEXTS: dict[str, Call] = {
    "contexts.get": Call(lambda cortex, at: cortex.contexts.get(at.context, memory_space_id=SPACE)),
    "contexts.get_chain": Call(lambda cortex, at: cortex.contexts.get_chain(at.context, memory_space_id=SPACE)),
    "contexts.get_children": Call(lambda cortex, at: cortex.contexts.get_children(at.root, memory_space_id=SPACE)),
    "contexts.get_history": Call(lambda cortex, at: cortex.contexts.get_history(at.context, memory_space_id=SPACE)),
    "contexts.get_by_conversation": Call(
        lambda cortex, at: cortex.contexts.get_by_conversation(at.conversation, memory_space_id=SPACE)
    ),
    "contexts.list": Call(lambda cortex, _: cortex.contexts.list(memory_space_id=SPACE, limit=LIMIT)),
    "contexts.list(status)": Call(
        lambda cortex, _: cortex.contexts.list(memory_space_id=SPACE, status="blocked", limit=LIMIT)
    ),
    "contexts.list(user_id)": Call(
        lambda cortex, at: cortex.contexts.list(memory_space_id=SPACE, user_id=at.user, limit=LIMIT)
    ),
    "contexts.count": Call(lambda cortex, _: cortex.contexts.count(memory_space_id=SPACE)),
    "contexts.create": _free(
        lambda cortex, at: cortex.contexts.create(memory_space_id=SPACE, purpose="New", context_id=at.new)
    ),
    "contexts.update": _free(
        lambda cortex, at: cortex.contexts.update(at.context, {"data": {"round": at.round}}, memory_space_id=SPACE)
    ),
}

_USERS: dict[str, Call] = {
    "users.get": Call(lambda cortex, at: cortex.users.get(at.person)),
    "users.list": Call(lambda cortex, _: cortex.users.list(LIMIT)),
    "users.count": Call(lambda cortex, _: cortex.users.count()),
    "users.get_history": Call(lambda cortex, at: cortex.users.get_history(at.person)),
    "users.get_version": Call(lambda cortex, at: cortex.users.get_version(at.person, 1)),
    "users.search": _free(lambda cortex, at: cortex.users.search({"city": f"city {at.other // 20}"})),
    "users.merge": _free(lambda cortex, at: cortex.users.merge(at.person, {"round": at.round})),
}

_IMMUTABLE: dict[str, Call] = {
    "immutable.get": Call(lambda cortex, at: cortex.immutable.get(*at.entry)),
    "immutable.get_version": Call(lambda cortex, at: cortex.immutable.get_version(*at.entry, 1)),
    "immutable.get_history": Call(lambda cortex, at: cortex.immutable.get_history(*at.entry)),
    "immutable.list(type)": Call(lambda cortex, at: cortex.immutable.list(at.entry[0], limit=LIMIT)),
    "immutable.list(user_id)": Call(lambda cortex, at: cortex.immutable.list(user_id=at.user, limit=LIMIT)),
    "immutable.count(type)": Call(lambda cortex, at: cortex.immutable.count(at.entry[0])),
    "immutable.search(type)": _free(lambda cortex, at: cortex.immutable.search(str(at.other), at.entry[0])),
    "immutable.store": _free(
        lambda cortex, at: cortex.immutable.store({"type": "new", "id": at.new, "data": {"n": at.round}})
    ),
}

_MUTABLE: dict[str, Call] = {
    "mutable.get": Call(lambda cortex, at: cortex.mutable.get(*at.key)),
    "mutable.exists": Call(lambda cortex, at: cortex.mutable.exists(*at.key)),
    "mutable.list": Call(lambda cortex, at: cortex.mutable.list(at.key[0], limit=LIMIT)),
    "mutable.list(user_id)": Call(
        lambda cortex, at: cortex.mutable.list(at.key[0], user_id=f"user-{at.other % USERS}", limit=LIMIT)
    ),
    "mutable.count": Call(lambda cortex, at: cortex.mutable.count(at.key[0])),
    "mutable.increment": _free(lambda cortex, at: cortex.mutable.increment(*at.key)),
}

_REST: dict[str, Call] = {
    "agents.get": Call(lambda cortex, at: cortex.agents.get(f"agent-{at.few}")),
    "agents.list": Call(lambda cortex, _: cortex.agents.list(limit=LIMIT)),
    "agents.count": Call(lambda cortex, _: cortex.agents.count()),
    "agents.get_stats": _free(lambda cortex, _: cortex.agents.get_stats("agent-1")),
    "memory_spaces.get": Call(lambda cortex, at: cortex.memory_spaces.get(f"space-{at.few}")),
    "memory_spaces.list": Call(lambda cortex, _: cortex.memory_spaces.list(limit=LIMIT)),
    "memory_spaces.list(participant)": Call(
        lambda cortex, at: cortex.memory_spaces.list(participant=f"agent-{at.few}", limit=LIMIT)
    ),
    "memory_spaces.count": Call(lambda cortex, _: cortex.memory_spaces.count()),
    "memory_spaces.get_stats": _free(lambda cortex, _: cortex.memory_spaces.get_stats(SPACE)),
}

CALLS: dict[str, Call] = {
    **_MEMORY,
    **_FACTS,
    **_CONVERSATIONS,
    **_CONTEXTS,
    **_USERS,
    **_IMMUTABLE,
    **_MUTABLE,
    **_REST,
}
"""By the name of the method, and the filter if there is one."""
