"""Memories that are stored by themselves or with an exchange: versions, the archive, and what facts have of them."""

from __future__ import annotations

from typing import Any

from api.model.agents import AGENTS, Agents
from api.model.facts import Facts
from api.model.machine import SPACES, USERS, Refused, one_of, page
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from cortex_rx.errors import IdempotencyConflict, MemoryNotArchived, MemoryNotFound, VersionConflict

__all__ = ["Memories"]

IDS = tuple(f"mem-{number}" for number in range(4))
TEXTS = ("The office closes at six.", "Ada likes tea.", "")
SOURCES = ("system", "tool")
NAMES = ("memory_id", "content", "user_id", "participant_id", "source_type", "importance", "version")
TIMES = ("created_at", "updated_at")

Memory = dict[str, Any]
LAYER = st.sampled_from(["memory", "vector"])
WANTED = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(USERS),
        "participant_id": st.sampled_from(AGENTS),
        "source_type": st.sampled_from(SOURCES),
    },
)


def shown(memory: Any) -> dict[str, Any]:
    """What is compared of a memory."""
    found = {name: memory[name] for name in (*NAMES, *TIMES) if memory[name] is not None}
    reference = memory["conversation_ref"]
    archived = bool(memory.get("is_archived"))
    return found | {
        "tags": list(memory["tags"]),
        "conversation": reference and dict(reference)["conversationId"],
        "archived": archived,
    }


class Memories(Facts, Agents):
    def __init__(self) -> None:
        super().__init__()
        self.memories: list[Memory] = []
        """In the order in which they were stored."""

    def memory(self, space: str, memory_id: str) -> Memory | None:
        return next((one for one in self.memories if (one["space"], one["memory_id"]) == (space, memory_id)), None)

    def memories_of(self, space: str, wanted: dict[str, Any], *, archived: bool = False) -> list[Memory]:
        """Newest first."""
        here = [one for one in reversed(self.memories) if one["space"] == space and (archived or not one["archived"])]
        return [one for one in here if all(one[name] == value for name, value in wanted.items())]

    def keep(self, space: str, memory_id: str, content: str, **given: Any) -> Memory:
        """A memory that is stored now."""
        times = {"created_at": self.now, "updated_at": self.now}
        new: Memory = {"space": space, "memory_id": memory_id, "content": content, "version": 1, "archived": False}
        new |= {"user_id": None, "participant_id": None, "importance": 50, "tags": [], "conversation": None}
        new |= {**times, **given}
        new["versions"] = [(1, content, self.now)]
        self.memories.append(new)
        self.used.add(space)
        return new

    def drop_memories(self, memories: list[Memory], *, facts_too: bool) -> list[str]:
        """The memories are gone; the facts that went with them."""
        gone: list[str] = []
        for memory in memories:
            self.memories.remove(memory)
            if facts_too:
                source = {"memory_id": memory["memory_id"]}
                lost = [one for one in self.facts if one["space"] == memory["space"] and source in one["sources"]]
                gone += [one["fact_id"] for one in lost]
                self.facts = [one for one in self.facts if one not in lost]
        return gone

    def sources_of_facts(self, space: str) -> list[dict[str, str]]:
        here = [one for one in self.memories if one["space"] == space]
        return [*super().sources_of_facts(space), *({"memory_id": one["memory_id"]} for one in here)]

    def records_of(self, agent: str) -> list[tuple[str, str, int]]:
        theirs = [one for one in self.memories if one["participant_id"] == agent]
        return [*super().records_of(agent), *(("memories", one["space"], one["updated_at"]) for one in theirs)]

    @rule(
        space=st.sampled_from(SPACES),
        memory_id=st.sampled_from([None, *IDS]),
        content=st.sampled_from(TEXTS),
        user_id=st.sampled_from([None, *USERS]),
        participant_id=st.sampled_from([None, *AGENTS]),
        source_type=st.sampled_from(SOURCES),
        importance=st.sampled_from([0, 50, 90]),
        layer=LAYER,
    )
    def store_memory(
        self,
        space: str,
        memory_id: str | None,
        content: str,
        user_id: str | None,
        participant_id: str | None,
        source_type: str,
        importance: int,
        layer: str,
    ) -> None:
        number = memory_id or self.new_id("stored")
        owner = {"user_id": user_id, "participant_id": participant_id}
        there = self.memory(space, number)
        call = getattr(self.cortex, layer).store(
            space, content, memory_id=number, **owner, source={"type": source_type}, importance=importance
        )
        expected: object = self.writes(space)
        if not expected and there:
            same = there["conversation"] is None and all(there[name] == value for name, value in owner.items())
            same = same and there["content"] == content
            expected = shown_of(there) if same else Refused(IdempotencyConflict)
        elif not expected:
            expected = shown_of(
                self.keep(space, number, content, **owner, source_type=source_type, importance=importance)
            )
        self.agree(f"{layer}.store", call, expected, _stored)

    @precondition(lambda self: bool(self.memories))
    @rule(
        of=one_of(lambda self: self.memories),
        space=st.sampled_from([None, None, *SPACES]),
        updates=st.fixed_dictionaries(
            {},
            optional={
                "content": st.sampled_from(["The office is shut.", "Ada likes tea."]),
                "importance": st.sampled_from([10, 70]),
                "tags": st.sampled_from([[], ["red"]]),
            },
        ).filter(bool),
        expected_version=st.sampled_from([None, None, 1, 2]),
        layer=st.sampled_from(["memory", "vector"]),
    )
    def update_memory(
        self, of: Memory, space: str | None, updates: dict[str, Any], expected_version: int | None, layer: str
    ) -> None:
        space = space or of["space"]
        there = self.memory(space, of["memory_id"])
        expected: object = self.writes(space)
        if not expected:
            if there is None:
                expected = Refused(MemoryNotFound)
            elif expected_version not in (None, there["version"]):
                expected = Refused(VersionConflict)
            else:
                self.change_memory(there, updates)
                expected = shown_of(there)
        call = getattr(self.cortex, layer).update(space, of["memory_id"], updates, expected_version=expected_version)
        show = (lambda given: shown(given["memory"])) if layer == "memory" else shown
        self.agree(f"{layer}.update", call, expected, show)

    def change_memory(self, memory: Memory, updates: dict[str, Any]) -> None:
        if new := changed(memory, updates):
            memory.update(new, updated_at=self.after(memory), version=memory["version"] + 1)
            memory["versions"].append((memory["version"], memory["content"], memory["updated_at"]))

    def after(self, memory: Memory) -> int:
        """When a memory is changed that is changed now: two changes never have the same time."""
        return max(self.now, memory["updated_at"] + 1)

    @precondition(lambda self: bool(self.memories))
    @rule(
        of=one_of(lambda self: self.memories),
        space=st.sampled_from([None, None, *SPACES]),
        layer=st.sampled_from(["memory", "memory", "vector"]),
    )
    def delete_memory(self, of: Memory, space: str | None, layer: str) -> None:
        space = space or of["space"]
        there = self.memory(space, of["memory_id"])
        expected: object = self.writes(space) or (None if there else Refused(MemoryNotFound))
        if not expected and there:
            gone = self.drop_memories([there], facts_too=layer == "memory")
            expected = (of["memory_id"], sorted(gone)) if layer == "memory" else of["memory_id"]
        call = getattr(self.cortex, layer).delete(space, of["memory_id"])
        self.agree(
            f"{layer}.delete",
            call,
            expected,
            lambda given: (given["memory_id"], sorted(given["fact_ids"])) if layer == "memory" else given["memory_id"],
        )

    @precondition(lambda self: bool(self.memories))
    @rule(of=one_of(lambda self: self.memories), restore=st.booleans(), layer=LAYER)
    def archive_memory(self, of: Memory, restore: bool, layer: str) -> None:
        expected: object = self.writes(of["space"])
        if not expected:
            expected = Refused(MemoryNotArchived) if restore and not of["archived"] else of["memory_id"]
            if not isinstance(expected, Refused):
                self.move(of, archived=not restore)
        name = "restore_from_archive" if restore else "archive"
        call = getattr(getattr(self.cortex, layer), name)(of["space"], of["memory_id"])
        self.agree(f"{layer}.{name}", call, expected, lambda given: given["memory_id"])

    def move(self, memory: Memory, *, archived: bool) -> None:
        if memory["archived"] != archived:
            memory.update(archived=archived, updated_at=self.after(memory))

    @rule(
        space=st.sampled_from(SPACES),
        wanted=WANTED.filter(bool),
        updates=st.sampled_from([{"importance": 1}, {"tags": ["x"]}]),
        layer=LAYER,
    )
    def update_memories(self, space: str, wanted: dict[str, Any], updates: dict[str, Any], layer: str) -> None:
        chosen = self.memories_of(space, wanted)
        refused = self.writes(space)
        if not refused:
            for one in chosen:
                self.change_memory(one, updates)
        call = getattr(self.cortex, layer).update_many(space, wanted, updates)
        expected = refused or (len(chosen), sorted(one["memory_id"] for one in chosen))
        self.agree(
            f"{layer}.update_many", call, expected, lambda given: (given["updated"], sorted(given["memory_ids"]))
        )

    @rule(space=st.sampled_from(SPACES), wanted=WANTED.filter(bool), layer=LAYER)
    def delete_memories(self, space: str, wanted: dict[str, Any], layer: str) -> None:
        chosen = self.memories_of(space, wanted)
        refused = self.writes(space)
        if not refused:
            self.drop_memories(chosen, facts_too=layer == "memory")
        call = getattr(self.cortex, layer).delete_many(space, wanted)
        expected = refused or (len(chosen), sorted(one["memory_id"] for one in chosen))
        self.agree(
            f"{layer}.delete_many", call, expected, lambda given: (given["deleted"], sorted(given["memory_ids"]))
        )

    @rule(
        space=st.sampled_from(SPACES),
        wanted=WANTED,
        archived=st.booleans(),
        limit=st.sampled_from([100, 1]),
        layer=st.sampled_from(["memory", "vector"]),
    )
    def list_memories(self, space: str, wanted: dict[str, Any], archived: bool, limit: int, layer: str) -> None:
        listed = [shown_of(one) for one in self.memories_of(space, wanted, archived=archived)]
        api: Any = getattr(self.cortex, layer)
        call = api.list(space, **wanted, limit=limit, include_archived=archived)
        self.agree(f"{layer}.list", call, page(listed, limit), _each)
        call = api.count(space, **wanted, include_archived=archived)
        self.agree(f"{layer}.count", call, len(listed), int)
        pages = api.iterate(space, **wanted, include_archived=archived, page_size=1)
        paged = self.listed_by(f"{layer}.iterate", pages)
        assert _each(paged) == listed[::-1]

    @precondition(lambda self: bool(self.memories))
    @rule(
        of=one_of(lambda self: self.memories),
        space=st.sampled_from([None, None, *SPACES]),
        version=st.sampled_from([1, 2]),
        ago=st.sampled_from([0, 1, 1_000]),
        layer=st.sampled_from(["memory", "vector"]),
    )
    def read_memory(self, of: Memory, space: str | None, version: int, ago: int, layer: str) -> None:
        api: Any = getattr(self.cortex, layer)
        here, id_ = space or of["space"], of["memory_id"]
        there = self.memory(here, id_)
        versions = there["versions"] if there else []
        self.agree(f"{layer}.get", api.get(here, id_), there and shown_of(there), lambda one: one and shown(one))
        self.agree(f"{layer}.get_history", api.get_history(here, id_), versions, lambda found: [*map(_version, found)])
        one = next((one for one in versions if one[0] == version), None)
        self.agree(f"{layer}.get_version", api.get_version(here, id_, version), one, lambda one: one and _version(one))
        then = next((one for one in reversed(versions) if one[2] <= self.now - ago), None)
        call = api.get_at_timestamp(here, id_, self.now - ago)
        self.agree(f"{layer}.get_at_timestamp", call, then, lambda one: one and _version(one))

    @rule(space=st.sampled_from(SPACES), word=st.sampled_from(["office", "tea", "shut"]), layer=LAYER)
    def search_memories(self, space: str, word: str, layer: str) -> None:
        """Found are those that have the word, in whichever order, and no others."""
        found = sorted(one["memory_id"] for one in self.memories_of(space, {}) if word in one["content"].lower())
        call = getattr(self.cortex, layer).search(space, word, neighbours=False, limit=100)
        self.agree(f"{layer}.search", call, found, lambda given: sorted(one.memory_id for one in given))

    def check(self) -> None:
        super().check()
        for space in SPACES:
            for archived in (False, True):
                self.list_memories(space, {}, archived, 100, "memory")
            for layer in ("memory", "vector"):
                here = self.memories_of(space, {})[::-1]
                self.exported(layer, getattr(self.cortex, layer), here, "memory_id", space)
                for one in here:
                    self.read_memory(one, None, 1, 0, layer)


def changed(memory: Memory, updates: dict[str, Any]) -> dict[str, Any]:
    """What of these is not so already."""
    return {name: value for name, value in updates.items() if memory[name] != value}


def shown_of(memory: Memory) -> dict[str, Any]:
    """The same of the model's memory."""
    found = {name: memory[name] for name in (*NAMES, *TIMES) if memory[name] is not None}
    return found | {name: memory[name] for name in ("tags", "conversation", "archived")}


def _stored(given: Any) -> dict[str, Any]:
    """`memory.store` may give the memory with its facts."""
    return shown(given["memory"] if "memory" in given else given)


def _each(memories: Any) -> list[dict[str, Any]]:
    return [shown(one) for one in memories]


def _version(version: Any) -> tuple[int, str, int]:
    return version["version"], version["content"], version["timestamp"]
