"""Agents: who is registered, what an agent has, and what unregistering it does. The names are Cortex's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import Field

from cortex_rx import validation as check
from cortex_rx.models.base import Accepts, Options
from cortex_rx.models.facts import Time
from cortex_rx.models.records import Record
from cortex_rx.models.verification import VerificationResult

__all__ = [
    "AgentFilters",
    "AgentRegistration",
    "AgentSort",
    "AgentStats",
    "AgentStatus",
    "AgentUpdate",
    "RegisteredAgent",
    "UnregisterAgentOptions",
    "UnregisterAgentResult",
    "UnregisteredAgents",
]

AgentStatus: TypeAlias = Literal["active", "inactive", "archived"]
"""What an agent does: nothing in the store depends on it."""
AgentSort: TypeAlias = Literal["name", "registered_at", "updated_at", "registeredAt", "updatedAt"]
"""What a list of agents is sorted by."""

_Name = Annotated[str, Accepts(check.name)]
_OptionalName = Annotated[str | None, Accepts(check.optional(check.name))]
_OptionalText = Annotated[str | None, Accepts(check.optional(check.any_text))]
_Payload = Annotated[Mapping[str, Any] | None, Accepts(check.optional(check.json_mapping))]
_OptionalStatus = Annotated[AgentStatus | None, Accepts(check.optional(check.one_of(*get_args(AgentStatus))))]
_Flag = Annotated[bool, Accepts(check.flag)]


class AgentRegistration(Options):
    """An agent that is to be registered.

    >>> AgentRegistration("helper", "Helper", config={"maxTokens": 5}).keywords()
    {'agent_id': 'helper', 'name': 'Helper', 'config': {'maxTokens': 5}}
    """

    id: _Name
    name: _Name
    description: _OptionalText = None
    metadata: _Payload = None
    config: _Payload = None

    def keywords(self) -> dict[str, Any]:
        """The agent as keywords of the typed call `agents:register`."""
        values = super().keywords()
        return {"agent_id": values.pop("id"), **values}


class AgentUpdate(Options):
    """What `agents.update` changes. What is left out stays; `metadata` and `config` are replaced whole."""

    name: _OptionalName = None
    description: _OptionalText = None
    metadata: _Payload = None
    config: _Payload = None
    status: _OptionalStatus = None


class AgentFilters(Options):
    """Which agents are meant: those that pass all of these."""

    name: _OptionalText = None
    """A text that the name has in it, in capitals or small letters."""
    status: _OptionalStatus = None
    metadata: _Payload = None
    """Only agents whose metadata has these values."""
    capabilities: Annotated[tuple[str, ...] | None, Accepts(check.optional(check.names))] = None
    """What the list `capabilities` of the metadata has."""
    capabilities_match: Annotated[Literal["any", "all"] | None, Accepts(check.optional(check.one_of("any", "all")))] = (
        None
    )
    """Whether an agent must have any of the capabilities (the default), or all."""
    registered_after: Time = None
    registered_before: Time = None

    def keywords(self) -> dict[str, Any]:
        """The filters as keywords of a typed call, without those that every agent passes."""
        return {name: value for name, value in super().keywords().items() if value not in ("", {})}


class AgentStats(Record):
    """What an agent has, in all memory spaces: memories, facts that hold, conversations, and in how many spaces they
    are. `last_active` is the newest time at which one of them changed (epoch milliseconds)."""

    total_memories: int
    total_conversations: int
    total_facts: int
    memory_spaces_active: int
    last_active: float | None = None


class RegisteredAgent(Record):
    """An agent that is registered. Times are epoch milliseconds.

    `last_active` and `stats` are Cortex's, and None: `agents.get_stats` counts them.

    >>> row = {"agentId": "helper", "name": "Helper", "status": "active", "registeredAt": 5, "updatedAt": 5}
    >>> agent = RegisteredAgent.from_row(row | {"config": {"maxTokens": 5}})
    >>> agent.id, agent["registeredAt"], agent.config, agent.metadata
    ('helper', 5.0, {'maxTokens': 5}, {})
    """

    id: str
    name: str
    status: AgentStatus
    registered_at: float
    updated_at: float
    metadata: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    description: str | None = None
    last_active: float | None = None
    stats: AgentStats | None = None

    @classmethod
    def from_row(cls, row: object) -> RegisteredAgent:
        """The agent of a row, in which its id is called `agentId`."""
        if isinstance(row, Mapping):
            row = {"id" if name == "agentId" else name: value for name, value in row.items()}
        return super().from_row(row)


class UnregisterAgentOptions(Options):
    """How an agent is unregistered.

    >>> UnregisterAgentOptions(cascade=True)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.UnsupportedOption: cascade: got True; accepted: None or False; what the agent has stored stays
    """

    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        "cascade": ((None, False), "what the agent has stored stays"),
    }
    _positions: ClassVar[tuple[str, ...]] = ("cascade", "verify", "dry_run")

    verify: _Flag = True
    """Look afterwards whether the registration is gone."""
    dry_run: _Flag = False
    """Only say what would be removed."""


class UnregisterAgentResult(Record):
    """What unregistering an agent did, or would do. What it has stored stays, so all counts but `total_deleted` are 0:
    the registration is the one record that goes."""

    agent_id: str
    unregistered_at: float
    conversations_deleted: int = 0
    conversation_messages_deleted: int = 0
    memories_deleted: int = 0
    facts_deleted: int = 0
    total_deleted: int
    deleted_layers: tuple[str, ...]
    memory_spaces_affected: tuple[str, ...] = ()
    verification: VerificationResult
    graph_nodes_deleted: int | None = None


class UnregisteredAgents(Record):
    """Agents that were unregistered: how many, and which; with `dry_run` none, and which would be. `total_data_deleted`
    is 0: what they have stored stays."""

    deleted: int
    agent_ids: tuple[str, ...]
    total_data_deleted: int = 0
