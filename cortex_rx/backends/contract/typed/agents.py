"""The functions `agents:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import (
        Agent,
        AgentPage,
        AgentStatistics,
        UnregisteredAgent,
        UnregisteredAgents,
    )
__all__ = ["Agents"]


class Agents:
    """The functions `agents:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def register(
        self,
        *,
        agent_id: str,
        name: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Call[Agent]:
        """Registers an agent; it is active.

        Raises `AgentAlreadyRegistered`.
        """
        args: dict[str, Any] = {"agentId": agent_id, "name": name}
        if description is not None:
            args["description"] = description
        if metadata is not None:
            args["metadata"] = metadata
        if config is not None:
            args["config"] = config
        return Call(self._backend.mutation, "agents:register", args)

    def update(
        self,
        *,
        agent_id: str,
        name: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        status: Literal["active", "inactive", "archived"] | None = None,
    ) -> Call[Agent]:
        """Replaces what is given; the rest stays.

        Raises `AgentNotRegistered`.
        """
        args: dict[str, Any] = {"agentId": agent_id}
        if name is not None:
            args["name"] = name
        if description is not None:
            args["description"] = description
        if metadata is not None:
            args["metadata"] = metadata
        if config is not None:
            args["config"] = config
        if status is not None:
            args["status"] = status
        return Call(self._backend.mutation, "agents:update", args)

    def configure(self, *, agent_id: str, config: Mapping[str, Any]) -> Call[Agent]:
        """Replaces the configuration.

        Raises `AgentNotRegistered`.
        """
        args: dict[str, Any] = {"agentId": agent_id, "config": config}
        return Call(self._backend.mutation, "agents:configure", args)

    def unregister(self, *, agent_id: str, dry_run: bool | None = None) -> Call[UnregisteredAgent]:
        """Removes the registration; what the agent has written stays.

        Raises `AgentNotRegistered`.
        """
        args: dict[str, Any] = {"agentId": agent_id}
        if dry_run is not None:
            args["dryRun"] = dry_run
        return Call(self._backend.mutation, "agents:unregister", args)

    def unregister_many(
        self,
        *,
        agent_ids: builtins.list[str] | None = None,
        dry_run: bool | None = None,
        name: str | None = None,
        status: Literal["active", "inactive", "archived"] | None = None,
        metadata: Mapping[str, Any] | None = None,
        capabilities: builtins.list[str] | None = None,
        capabilities_match: Literal["any", "all"] | None = None,
        registered_after: int | None = None,
        registered_before: int | None = None,
    ) -> Call[UnregisteredAgents]:
        """Removes the registrations that pass all filters, the oldest first."""
        args: dict[str, Any] = {}
        if agent_ids is not None:
            args["agentIds"] = agent_ids
        if dry_run is not None:
            args["dryRun"] = dry_run
        if name is not None:
            args["name"] = name
        if status is not None:
            args["status"] = status
        if metadata is not None:
            args["metadata"] = metadata
        if capabilities is not None:
            args["capabilities"] = capabilities
        if capabilities_match is not None:
            args["capabilitiesMatch"] = capabilities_match
        if registered_after is not None:
            args["registeredAfter"] = registered_after
        if registered_before is not None:
            args["registeredBefore"] = registered_before
        return Call(self._backend.mutation, "agents:unregisterMany", args)

    def get(self, *, agent_id: str) -> Call[Agent | None]:
        """The agent; None if it is not registered."""
        args: dict[str, Any] = {"agentId": agent_id}
        return Call(self._backend.query, "agents:get", args)

    def exists(self, *, agent_id: str) -> Call[bool]:
        """Whether the agent is registered."""
        args: dict[str, Any] = {"agentId": agent_id}
        return Call(self._backend.query, "agents:exists", args)

    def list(
        self,
        *,
        status: Literal["active", "inactive", "archived"] | None = None,
        sort_by: Literal["name", "registeredAt", "updatedAt"] | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[Agent]]:
        """Agents."""
        args: dict[str, Any] = {}
        if status is not None:
            args["status"] = status
        if sort_by is not None:
            args["sortBy"] = sort_by
        if sort_order is not None:
            args["sortOrder"] = sort_order
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "agents:list", args)

    def search(
        self,
        *,
        name: str | None = None,
        status: Literal["active", "inactive", "archived"] | None = None,
        metadata: Mapping[str, Any] | None = None,
        capabilities: builtins.list[str] | None = None,
        capabilities_match: Literal["any", "all"] | None = None,
        registered_after: int | None = None,
        registered_before: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[Agent]]:
        """Agents that pass the filters."""
        args: dict[str, Any] = {}
        if name is not None:
            args["name"] = name
        if status is not None:
            args["status"] = status
        if metadata is not None:
            args["metadata"] = metadata
        if capabilities is not None:
            args["capabilities"] = capabilities
        if capabilities_match is not None:
            args["capabilitiesMatch"] = capabilities_match
        if registered_after is not None:
            args["registeredAfter"] = registered_after
        if registered_before is not None:
            args["registeredBefore"] = registered_before
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "agents:search", args)

    def page(
        self,
        *,
        name: str | None = None,
        status: Literal["active", "inactive", "archived"] | None = None,
        metadata: Mapping[str, Any] | None = None,
        capabilities: builtins.list[str] | None = None,
        capabilities_match: Literal["any", "all"] | None = None,
        registered_after: int | None = None,
        registered_before: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[AgentPage]:
        """A page of what `agents:search` gives, the oldest first."""
        args: dict[str, Any] = {}
        if name is not None:
            args["name"] = name
        if status is not None:
            args["status"] = status
        if metadata is not None:
            args["metadata"] = metadata
        if capabilities is not None:
            args["capabilities"] = capabilities
        if capabilities_match is not None:
            args["capabilitiesMatch"] = capabilities_match
        if registered_after is not None:
            args["registeredAfter"] = registered_after
        if registered_before is not None:
            args["registeredBefore"] = registered_before
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "agents:page", args)

    def count(
        self,
        *,
        name: str | None = None,
        status: Literal["active", "inactive", "archived"] | None = None,
        metadata: Mapping[str, Any] | None = None,
        capabilities: builtins.list[str] | None = None,
        capabilities_match: Literal["any", "all"] | None = None,
        registered_after: int | None = None,
        registered_before: int | None = None,
    ) -> Call[int]:
        """How many agents `agents:search` gives without a limit."""
        args: dict[str, Any] = {}
        if name is not None:
            args["name"] = name
        if status is not None:
            args["status"] = status
        if metadata is not None:
            args["metadata"] = metadata
        if capabilities is not None:
            args["capabilities"] = capabilities
        if capabilities_match is not None:
            args["capabilitiesMatch"] = capabilities_match
        if registered_after is not None:
            args["registeredAfter"] = registered_after
        if registered_before is not None:
            args["registeredBefore"] = registered_before
        return Call(self._backend.query, "agents:count", args)

    def compute_stats(self, *, agent_id: str) -> Call[AgentStatistics]:
        """What the agent has in all memory spaces, registered or not: the memories, the facts that nothing has closed,
        and the conversations whose agent or participant it is, and in how many spaces they are.
        """
        args: dict[str, Any] = {"agentId": agent_id}
        return Call(self._backend.query, "agents:computeStats", args)
