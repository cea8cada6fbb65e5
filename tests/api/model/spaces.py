"""Memory spaces as such: what is registered, what an archived one refuses, and what goes with one that is deleted."""

from __future__ import annotations

from typing import Any

from api.model.contexts import Contexts
from api.model.conversations import Conversations
from api.model.machine import SPACES, Refused, fields, page
from hypothesis import strategies as st
from hypothesis.stateful import rule

from cortex_rx.errors import MemorySpaceArchived, MemorySpaceExists, MemorySpaceHasData, MemorySpaceNotFound

__all__ = ["MemorySpaces"]

TYPES = ("team", "custom")
PEOPLE = ("ada", "agent-1")
Space = dict[str, Any]


class MemorySpaces(Conversations, Contexts):
    def __init__(self) -> None:
        super().__init__()
        self.spaces: dict[str, Space] = {}
        """What is registered, in this order."""

    def writes(self, space: str) -> Refused | None:
        archived = space in self.spaces and self.spaces[space]["status"] == "archived"
        return Refused(MemorySpaceArchived) if archived else None

    def records(self, space: str) -> list[dict[str, Any]]:
        return [one for part in self.parts() for one in part if one["space"] == space]

    def parts(self) -> tuple[list[dict[str, Any]], ...]:
        return self.memories, self.facts, self.conversations, self.contexts

    def conversation_ended(self, space: str, conversation_id: str) -> None:
        for context in self.contexts:
            if (context["space"], context["conversation_id"]) == (space, conversation_id):
                context["conversation_id"] = None

    def spaces_that(self, wanted: dict[str, Any]) -> list[Space]:
        """The registered ones, newest first."""
        found = list(reversed(self.spaces.values()))
        if "participant" in wanted:
            found = [one for one in found if wanted["participant"] in [who["id"] for who in one["participants"]]]
        return [one for one in found if all(one[name] == wanted[name] for name in ("type", "status") if name in wanted)]

    def is_vague(self, space: str) -> bool:
        """Whether it is not said if there is such a memory space: it was used, is empty again, and not registered."""
        return space in self.used and space not in self.spaces and not self.records(space)

    def change_space(self, space: str, **new: Any) -> Space:
        there = self.spaces[space]
        if any(there[name] != value for name, value in new.items()):
            there.update(new, updated_at=self.now)
        return there

    # --- what changes them

    @rule(
        space=st.sampled_from(SPACES),
        type=st.sampled_from(TYPES),
        name=st.sampled_from([None, "Everything at home"]),
        people=st.sampled_from([[], ["ada"]]),
        metadata=st.sampled_from([None, {"floor": 2}]),
    )
    def register_space(
        self, space: str, type: str, name: str | None, people: list[str], metadata: dict[str, Any] | None
    ) -> None:
        there = self.spaces.get(space)
        joined = [{"id": who, "type": "user", "joined_at": 1_700_000_000_000} for who in people]
        given = {"type": type, "name": name, "participants": joined, "metadata": metadata or {}}
        expected: object
        if there is None:
            times = {"created_at": self.now, "updated_at": self.now}
            self.spaces[space] = {"memory_space_id": space, **given, "status": "active", **times}
            expected = _shown(self.spaces[space])
        else:
            same = all(there[key] == value for key, value in given.items())
            expected = _shown(there) if same else Refused(MemorySpaceExists)
        call = self.cortex.memory_spaces.register({"memory_space_id": space, **given})
        self.agree("memory_spaces.register", call, expected, _shown)

    @rule(
        space=st.sampled_from(SPACES),
        updates=st.sampled_from([{}, {"name": "Work"}, {"metadata": {}}, {"status": "active"}]),
    )
    def update_space(self, space: str, updates: dict[str, Any]) -> None:
        expected: object = Refused(MemorySpaceNotFound)
        if space in self.spaces:
            expected = _shown(self.change_space(space, **updates))
        self.agree("memory_spaces.update", self.cortex.memory_spaces.update(space, updates), expected, _shown)

    @rule(space=st.sampled_from(SPACES), add=st.lists(st.sampled_from(PEOPLE), unique=True, max_size=2))
    def join(self, space: str, add: list[str]) -> None:
        """Some join, the others leave."""
        expected: object = Refused(MemorySpaceNotFound)
        leave = [who for who in PEOPLE if who not in add]
        if space in self.spaces:
            stay = [who for who in self.spaces[space]["participants"] if who["id"] not in leave]
            there = [who["id"] for who in stay]
            new = [{"id": who, "type": "user", "joined_at": self.now} for who in add if who not in there]
            expected = _shown(self.change_space(space, participants=[*stay, *new]))
        people = [{"id": who, "type": "user"} for who in add]
        call = self.cortex.memory_spaces.update_participants(space, people, leave)
        self.agree("memory_spaces.update_participants", call, expected, _shown)

    @rule(space=st.sampled_from(SPACES), reason=st.sampled_from([None, "moved"]))
    def archive_space(self, space: str, reason: str | None) -> None:
        if self.is_vague(space):
            return
        expected: object = Refused(MemorySpaceNotFound)
        if space not in self.spaces and self.records(space):
            times = {"created_at": self.now, "updated_at": self.now}
            plain = {"memory_space_id": space, "type": "custom", "name": None, "participants": [], "metadata": {}}
            self.spaces[space] = {**plain, "status": "active", **times}
        if there := self.spaces.get(space):
            why = {"archiveReason": reason} if reason else {}
            since = there["metadata"].get("archivedAt") if there["status"] == "archived" else None
            self.change_space(
                space, status="archived", metadata={**there["metadata"], "archivedAt": since or self.now, **why}
            )
            expected = _shown(there)
        call = self.cortex.memory_spaces.archive(space, reason)
        self.agree("memory_spaces.archive", call, expected, _shown)

    @rule(space=st.sampled_from(SPACES))
    def reactivate_space(self, space: str) -> None:
        expected: object = Refused(MemorySpaceNotFound)
        if space in self.spaces:
            expected = _shown(self.change_space(space, status="active"))
        self.agree("memory_spaces.reactivate", self.cortex.memory_spaces.reactivate(space), expected, _shown)

    @rule(space=st.sampled_from(SPACES), cascade=st.booleans())
    def delete_space(self, space: str, cascade: bool) -> None:
        if self.is_vague(space):
            return
        records = self.records(space)
        expected: object = space
        if space not in self.spaces and not records:
            expected = Refused(MemorySpaceNotFound)
        elif records and not cascade:
            expected = Refused(MemorySpaceHasData)
        else:
            self.spaces.pop(space, None)
            self.used.discard(space)
            for part in self.parts():
                part[:] = [one for one in part if one["space"] != space]
            for context in self.contexts:
                context["grants"].pop(space, None)
        call = self.cortex.memory_spaces.delete(space, cascade)
        self.agree("memory_spaces.delete", call, expected, lambda given: given["memory_space_id"])

    # --- what reads them

    @rule(
        wanted=st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(TYPES),
                "status": st.sampled_from(["active", "archived"]),
                "participant": st.sampled_from(PEOPLE),
            },
        ),
        limit=st.sampled_from([50, 1]),
        offset=st.sampled_from([0, 1]),
    )
    def list_spaces(self, wanted: dict[str, Any], limit: int, offset: int) -> None:
        spaces = self.cortex.memory_spaces
        found = [_shown(one) for one in self.spaces_that(wanted)]
        call = spaces.list(**wanted, limit=limit, offset=offset)
        self.agree("memory_spaces.list", call, page(found, limit, offset), lambda given: _each(given["spaces"]))
        counted = {name: value for name, value in wanted.items() if name != "participant"}
        number = len(self.spaces_that(counted))
        self.agree("memory_spaces.count", spaces.count(**counted), number, int)

    @rule(query=st.sampled_from(["HOM", "floor", "moved", "x"]), limit=st.sampled_from([20, 1]))
    def search_spaces(self, query: str, limit: int) -> None:
        found = [
            _shown(one)
            for one in self.spaces_that({})
            if query.lower() in f"{one['memory_space_id']} {one['name']} {one['metadata']}".lower()
        ]
        call = self.cortex.memory_spaces.search(query, limit=limit)
        self.agree("memory_spaces.search", call, found[:limit], _each)

    @rule(space=st.sampled_from(SPACES))
    def read_space(self, space: str) -> None:
        if self.is_vague(space):
            return
        spaces, there = self.cortex.memory_spaces, self.spaces.get(space)
        call = spaces.get(space)
        self.agree("memory_spaces.get", call, there and _shown(there), lambda given: given and _shown(given))
        records: object = Refused(MemorySpaceNotFound)
        if there or self.records(space):
            talks = self.conversations_of(space, {})
            parts = (self.memories_of(space, {}), talks, self.facts_of(space))
            records = (*map(len, parts), sum(len(talk["messages"]) for talk in talks))
        call = spaces.get_stats(space)
        names = ("total_memories", "total_conversations", "total_facts", "total_messages")
        self.agree("memory_spaces.get_stats", call, records, lambda given: tuple(given[name] for name in names))

    def check(self) -> None:
        super().check()
        spaces, oldest_first = self.cortex.memory_spaces, list(self.spaces.values())
        paged = self.listed_by("memory_spaces.iterate", spaces.iterate(page_size=1))
        assert _each(paged) == list(map(_shown, oldest_first))
        self.exported("memory_spaces", spaces, oldest_first, "memory_space_id")
        for space in SPACES:
            self.read_space(space)


def _shown(space: Any) -> dict[str, Any]:
    return fields(space, "registered")


def _each(spaces: Any) -> list[dict[str, Any]]:
    return [_shown(one) for one in spaces]
