"""`cortex.agents`: the registered agents, for the whole store."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from pydantic.alias_generators import to_snake

from cortex_rx import validation as check
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.api._repeated import repeated
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Agents
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.agents import (
    AgentFilters,
    AgentRegistration,
    AgentSort,
    AgentStats,
    AgentStatus,
    AgentUpdate,
    RegisteredAgent,
    UnregisterAgentOptions,
    UnregisterAgentResult,
    UnregisteredAgents,
)
from cortex_rx.models.base import ids, parse
from cortex_rx.models.spelling import to_camel
from cortex_rx.models.verification import VerificationResult

__all__ = ["AgentsAPI"]

_Agents: TypeAlias = list[RegisteredAgent]  # inside the class, `list` is a method
_REGISTRATION = "agent-registration"
_OPTIONS = ("cascade", "verify", "dry_run")


class AgentsAPI:
    """The agents that somebody has registered: who they are, how they are configured, and what they have stored.

    The table is the whole store's: it has no memory spaces, and an agent's statistics are of all of them. An agent need
    not be registered to write.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called. If the backend refuses a
    call, the error is a `StoreError`. Inputs and filters are models of `cortex_rx.models.agents`, mappings in
    snake_case or camelCase, or keywords, and may be mixed.

    >>> import asyncio
    >>> from cortex_rx import Cortex
    >>> async def main():
    ...     async with Cortex(":memory:") as cortex:
    ...         await cortex.agents.register({"id": "helper", "name": "Helper", "config": {"maxTokens": 500}})
    ...         await cortex.memory.remember(
    ...             memory_space_id="s", conversation_id="c-1", user_message="Hi!", agent_response="Hello.",
    ...             agent_id="helper")
    ...         agent, stats = await cortex.agents.get("helper"), await cortex.agents.get_stats("helper")
    ...         return agent.config, stats.total_memories, stats.memory_spaces_active
    >>> asyncio.run(main())
    ({'maxTokens': 500}, 2, 1)
    """

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        self._calls = Agents(backend)

    async def register(
        self, agent: AgentRegistration | Mapping[str, Any] | None = None, **keywords: Any
    ) -> RegisteredAgent:
        """Register an agent: `id` and `name` are required. It is active.

        The same agent again is the same; another one under this id is an `AgentAlreadyRegistered`.
        """
        row = await repeated(self._calls.register(**parse(AgentRegistration, agent, **keywords).keywords()))
        return RegisteredAgent.from_row(row)

    async def get(self, agent_id: str) -> RegisteredAgent | None:
        """The agent; None if it is not registered."""
        row = await self._calls.get(**ids(agent_id=agent_id))
        return None if row is None else RegisteredAgent.from_row(row)

    async def exists(self, agent_id: str) -> bool:
        """Whether the agent is registered."""
        return await self._calls.exists(**ids(agent_id=agent_id))

    async def search(
        self,
        filters: AgentFilters | Mapping[str, Any] | None = None,
        limit: int = 50,
        *,
        offset: int = 0,
        **keywords: Any,
    ) -> _Agents:
        """The agents that pass all filters, the last registered first; at most `limit`, after the first `offset`."""
        given = parse(AgentFilters, filters, **keywords).keywords()
        rows = await self._calls.search(
            **given, limit=check.whole()("limit", limit), offset=check.whole()("offset", offset)
        )
        return [RegisteredAgent.from_row(row) for row in rows]

    async def list(
        self,
        status: AgentStatus | None = None,
        limit: int = 50,
        offset: int = 0,
        sort_by: AgentSort = "name",
        *,
        sort_order: Literal["asc", "desc"] | None = None,
    ) -> _Agents:
        """Agents, sorted: by name in ascending order, or by a time with the newest first, unless `sort_order` says
        otherwise."""
        sort: Any = to_camel(check.one_of(*get_args(AgentSort))("sort_by", sort_by))
        rows = await self._calls.list(
            status=check.optional(check.one_of(*get_args(AgentStatus)))("status", status),
            limit=check.whole()("limit", limit),
            offset=check.whole()("offset", offset),
            sort_by=sort,
            sort_order=check.optional(check.one_of("asc", "desc"))("sort_order", sort_order),
        )
        return [RegisteredAgent.from_row(row) for row in rows]

    def iterate(
        self,
        filters: AgentFilters | Mapping[str, Any] | None = None,
        *,
        page_size: int = 100,
        **keywords: Any,
    ) -> AsyncGenerator[RegisteredAgent]:
        """All agents that pass the filters, the first registered first, page by page."""
        given = parse(AgentFilters, filters, **keywords).keywords()
        checked_page_size("page_size", page_size)
        return pages(
            lambda size, cursor: self._calls.page(**given, limit=size, cursor=cursor),
            RegisteredAgent.from_row,
            page_size,
        )

    async def count(self, filters: AgentFilters | Mapping[str, Any] | None = None, **keywords: Any) -> int:
        """How many agents pass all filters."""
        return await self._calls.count(**parse(AgentFilters, filters, **keywords).keywords())

    async def get_stats(self, agent_id: str) -> AgentStats:
        """What the agent has stored, registered or not: counted from the data of all memory spaces."""
        return AgentStats.from_row(await self._calls.compute_stats(**ids(agent_id=agent_id)))

    async def update(
        self, agent_id: str, updates: AgentUpdate | Mapping[str, Any] | None = None, **keywords: Any
    ) -> RegisteredAgent:
        """Change an agent: `name`, `description`, `metadata`, `config`, `status`. What is left out stays; `metadata`
        and `config` are replaced whole. Raises `AgentNotRegistered`."""
        given = parse(AgentUpdate, updates, **keywords).keywords()
        row = await repeated(self._calls.update(**ids(agent_id=agent_id), **given))
        return RegisteredAgent.from_row(row)

    async def configure(self, agent_id: str, config: Mapping[str, Any]) -> None:
        """Replace the configuration of an agent. Raises `AgentNotRegistered`."""
        agent = ids(agent_id=agent_id)
        await repeated(self._calls.configure(**agent, config=check.json_mapping("config", config)))

    async def unregister(
        self, agent_id: str, options: UnregisterAgentOptions | Mapping[str, Any] | None = None, **keywords: Any
    ) -> UnregisterAgentResult:
        """Remove the registration of an agent; what it has stored stays. Raises `AgentNotRegistered`.

        With `verify` the result says whether the registration is gone; with `dry_run` it is not removed.
        """
        given = parse(UnregisterAgentOptions, options, **keywords)
        done = await self._calls.unregister(**ids(agent_id=agent_id), dry_run=given.dry_run)
        left = given.verify and not given.dry_run and await self._calls.exists(agent_id=agent_id)
        issues = (f"the agent {agent_id!r} is registered again",) if left else ()
        return UnregisterAgentResult(
            agent_id=agent_id,
            unregistered_at=done["unregisteredAt"],
            total_deleted=1,
            deleted_layers=(_REGISTRATION,),
            verification=VerificationResult(complete=not left, issues=issues),
        )

    async def unregister_many(
        self,
        filters: AgentFilters | Mapping[str, Any] | None = None,
        options: UnregisterAgentOptions | Mapping[str, Any] | None = None,
        *,
        agent_ids: Sequence[str] | None = None,
        **keywords: Any,
    ) -> UnregisteredAgents:
        """Remove the registrations of the agents that pass all filters, and have one of the `agent_ids`, if given. What
        they have stored stays.

        Without a filter that some agents may not pass it is refused. With `dry_run` it says which agents pass, and
        removes none. It is one transaction, so `verify` has nothing to add. A keyword is a filter or an option.
        """
        named = {key: keywords.pop(key) for key in [*keywords] if to_snake(key) in _OPTIONS}
        chosen = parse(AgentFilters, filters, **keywords).keywords()
        given = parse(UnregisterAgentOptions, options, **named)
        if agent_ids is not None:
            chosen["agent_ids"] = [*check.names("agent_ids", agent_ids)]
        if not chosen.keys() - {"capabilities_match"}:
            raise InvalidArgument("filters", "no filter", "at least one filter, or agent_ids")
        done = await self._calls.unregister_many(**chosen, dry_run=given.dry_run)
        return UnregisteredAgents(deleted=done["deleted"], agent_ids=tuple(done["agentIds"]))
