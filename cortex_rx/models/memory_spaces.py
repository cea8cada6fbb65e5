"""Memory spaces: what is registered of them, and what is counted in them. The names are Cortex's.

>>> RegisterMemorySpaceParams("team-1", "team", participants=["ada", {"id": "bot", "type": "agent"}]).keywords()
{'memory_space_id': 'team-1', 'type': 'team', 'participants': [{'id': 'ada', 'type': 'user'}, {'id': 'bot', 'type':
'agent'}]}
>>> parse(RegisterMemorySpaceParams, {"memorySpaceId": "team-1", "type": "crew"})
Traceback (most recent call last):
...
cortex_rx.errors.InvalidArgument: type: got 'crew'; accepted: 'personal' or 'team' or 'project' or 'custom'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts, Options, parse
from cortex_rx.models.facts import Time
from cortex_rx.models.records import Record

__all__ = [
    "DeletedMemorySpace",
    "MemorySpace",
    "MemorySpaceList",
    "MemorySpaceParticipant",
    "MemorySpaceStats",
    "MemorySpaceStatus",
    "MemorySpaceType",
    "MemorySpaceUpdate",
    "ParticipantStats",
    "RegisterMemorySpaceParams",
    "TimeWindow",
]

MemorySpaceType: TypeAlias = Literal["personal", "team", "project", "custom"]
"""Whose a memory space is."""
MemorySpaceStatus: TypeAlias = Literal["active", "archived"]
"""An archived memory space is read, and not written."""
TimeWindow: TypeAlias = Literal["24h", "7d", "30d", "90d", "all"]
"""How old what is counted may be."""

_Name = Annotated[str, Accepts(check.name)]
_OptionalText = Annotated[str | None, Accepts(check.optional(check.any_text))]
_Metadata = Annotated[dict[str, Any] | None, Accepts(check.optional(check.json_mapping))]


class MemorySpaceParticipant(Options):
    """Who takes part in a memory space. `type` is any word, as "user" or "agent". Without `joined_at`, who is added
    joins now."""

    id: _Name
    type: _Name = "user"
    joined_at: Time = None

    def row(self) -> dict[str, Any]:
        """As the contract has it."""
        joined = {} if self.joined_at is None else {"joinedAt": self.joined_at}
        return {"id": self.id, "type": self.type, **joined}


def _participant(field: str, value: object) -> MemorySpaceParticipant:
    """A participant, or the id of a user."""
    if isinstance(value, str):
        return MemorySpaceParticipant(id=check.name(field, value))
    if not isinstance(value, Mapping | MemorySpaceParticipant):
        raise InvalidArgument(
            field, type(value).__name__, "a MemorySpaceParticipant, a mapping of its fields, or an id"
        )
    return parse(MemorySpaceParticipant, value)


checked_participants: check.Check = check.optional(check.each(_participant, "participants"))
"""Participants, each also as a mapping or as the id of a user; or None."""


class RegisterMemorySpaceParams(Options):
    """A memory space that is registered. A participant may be a mapping, or the id of a user."""

    memory_space_id: _Name
    type: Annotated[MemorySpaceType, Accepts(check.one_of(*get_args(MemorySpaceType)))]
    name: _OptionalText = None
    participants: Annotated[tuple[MemorySpaceParticipant, ...] | None, Accepts(checked_participants)] = None
    metadata: _Metadata = None

    def keywords(self) -> dict[str, Any]:
        """As keywords of a typed call."""
        given: dict[str, Any] = {"name": self.name, "metadata": self.metadata}
        if self.participants is not None:
            given["participants"] = [one.row() for one in self.participants]
        return {
            "memory_space_id": self.memory_space_id,
            "type": self.type,
            **{name: value for name, value in given.items() if value is not None},
        }


class MemorySpaceUpdate(Options):
    """What is to be changed of a memory space. `metadata` replaces the former."""

    name: _OptionalText = None
    metadata: _Metadata = None
    status: Annotated[MemorySpaceStatus | None, Accepts(check.optional(check.one_of(*get_args(MemorySpaceStatus))))] = (
        None
    )

    def keywords(self) -> dict[str, Any]:
        """As keywords of a typed call."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class ParticipantStats(Record):
    """A participant of a memory space, and how many records name it as their `participant_id`."""

    id: str
    type: str
    joined_at: int
    total_memories: int
    total_conversations: int
    total_facts: int


class MemorySpaceStats(Record):
    """What is in a memory space.

    `storage` is bytes of text in UTF-8: `conversationsBytes`, `memoriesBytes`, `factsBytes`, and `totalBytes`, in which
    a text counts once that is both a message and a memory. `top_tags` are the ten that most memories have.
    `importance_breakdown` counts memories: "critical" from 90, "high" from 70, "medium" from 40, "low" from 10,
    "trivial" below.
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("memory_space_id", "total_memories", "total_conversations", "total_facts", "total_messages", "storage"),
        *("top_tags", "importance_breakdown", "avg_search_time", "participants"),
    )

    memory_space_id: str
    total_memories: int
    total_conversations: int
    total_facts: int
    total_messages: int
    storage: dict[str, int]
    top_tags: tuple[str, ...]
    importance_breakdown: dict[str, int]
    participants: tuple[ParticipantStats, ...] | None = None


class MemorySpace(Record):
    """A memory space. One that is used and not `registered` is "custom" and active, without participants; its times are
    those of its first record. `stats` are there if they were asked for."""

    _positions: ClassVar[tuple[str, ...]] = (
        *("_id", "memory_space_id", "type", "participants", "metadata", "status", "created_at", "updated_at", "name"),
    )

    memory_space_id: str
    type: MemorySpaceType
    participants: tuple[MemorySpaceParticipant, ...]
    metadata: dict[str, Any]
    status: MemorySpaceStatus
    created_at: int
    updated_at: int
    name: str | None = None
    registered: bool = True
    stats: MemorySpaceStats | None = None


class MemorySpaceList(Record):
    """Memory spaces that were listed."""

    spaces: tuple[MemorySpace, ...]


class DeletedMemorySpace(Record):
    """A memory space that was deleted; `cascaded`: with all that was in it."""

    deleted: bool
    memory_space_id: str
    cascaded: bool
