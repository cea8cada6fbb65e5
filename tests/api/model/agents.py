"""Registered agents, and what an agent has in all memory spaces."""

from __future__ import annotations

from typing import Any

from api.model.machine import Machine, Refused, fields, page
from hypothesis import strategies as st
from hypothesis.stateful import rule

from cortex_rx.errors import AgentAlreadyRegistered, AgentNotRegistered

__all__ = ["AGENTS", "Agents"]

AGENTS = ("agent-1", "agent-2", "agent-3")
NAMES = ("Helper", "helper two", "Billing")
METADATA = st.sampled_from([None, {"team": "red", "capabilities": ["sql"]}, {"team": "blue"}])
CONFIG = st.sampled_from([None, {"model": "small"}])
WANTED = st.sampled_from(
    [{}, {"name": "HELPER"}, {"status": "active"}, {"metadata": {"team": "red"}}, {"capabilities": ["sql", "web"]}]
)


class Agents(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.agents: dict[str, dict[str, Any]] = {}
        """In the order of their registration."""

    def agents_that(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """Those that pass the filters, the last registered first."""
        return [one for one in reversed(self.agents.values()) if _passes(one, wanted)]

    def records_of(self, agent: str) -> list[tuple[str, str, int]]:
        """What an agent has: kind, memory space, and when it changed last. Other parts add to it."""
        return []

    @rule(agent=st.sampled_from(AGENTS), name=st.sampled_from(NAMES), metadata=METADATA, config=CONFIG)
    def register_agent(
        self, agent: str, name: str, metadata: dict[str, Any] | None, config: dict[str, Any] | None
    ) -> None:
        given = {"id": agent, "name": name, "metadata": metadata or {}, "config": config or {}}
        there = self.agents.get(agent)
        if there is None:
            times = {"status": "active", "registered_at": self.now, "updated_at": self.now}
            there = self.agents[agent] = {**given, **times}
        same = all(there[name] == value for name, value in given.items())
        call = self.cortex.agents.register(given)
        self.agree("agents.register", call, _shown(there) if same else Refused(AgentAlreadyRegistered), _shown)

    @rule(
        agent=st.sampled_from(AGENTS),
        updates=st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(NAMES),
                "status": st.sampled_from(["active", "inactive"]),
                "metadata": st.just({"team": "green"}),
            },
        ),
    )
    def update_agent(self, agent: str, updates: dict[str, Any]) -> None:
        there = self.agents.get(agent)
        if there is not None:
            _change(there, updates, self.now)
        call = self.cortex.agents.update(agent, updates)
        self.agree("agents.update", call, _shown(there) if there else Refused(AgentNotRegistered), _shown)

    @rule(agent=st.sampled_from(AGENTS))
    def configure_agent(self, agent: str) -> None:
        there = self.agents.get(agent)
        if there is not None:
            _change(there, {"config": {"model": "large"}}, self.now)
        call = self.cortex.agents.configure(agent, {"model": "large"})
        self.agree("agents.configure", call, None if there else Refused(AgentNotRegistered), lambda given: None)

    @rule(agent=st.sampled_from(AGENTS), dry_run=st.booleans())
    def unregister_agent(self, agent: str, dry_run: bool) -> None:
        there = agent in self.agents
        if there and not dry_run:
            del self.agents[agent]
        call = self.cortex.agents.unregister(agent, dry_run=dry_run)
        expected = agent if there else Refused(AgentNotRegistered)
        self.agree("agents.unregister", call, expected, lambda given: given.agent_id)

    @rule(wanted=WANTED.filter(bool), dry_run=st.booleans())
    def unregister_agents(self, wanted: dict[str, Any], dry_run: bool) -> None:
        chosen = sorted(one["id"] for one in self.agents_that(wanted))
        call = self.cortex.agents.unregister_many(wanted, {"dry_run": dry_run})
        given = (0 if dry_run else len(chosen), chosen)
        self.agree("agents.unregister_many", call, given, lambda found: (found["deleted"], sorted(found["agent_ids"])))
        if not dry_run:
            for agent in chosen:
                del self.agents[agent]

    @rule(
        wanted=WANTED,
        status=st.sampled_from([None, "inactive"]),
        sort_by=st.sampled_from(["name", "registered_at"]),
        limit=st.sampled_from([50, 1]),
        offset=st.sampled_from([0, 1]),
    )
    def list_agents(self, wanted: dict[str, Any], status: str | None, sort_by: str, limit: int, offset: int) -> None:
        agents, found = self.cortex.agents, self.agents_that(wanted)
        self.agree("agents.search", agents.search(wanted, limit), list(map(_shown, page(found, limit))), _each)
        self.agree("agents.count", agents.count(wanted), len(found), int)
        assert _each(self.listed_by("agents.iterate", agents.iterate(wanted, page_size=1))) == [
            *map(_shown, reversed(found))
        ]
        listed = [one for one in self.agents.values() if status in (None, one["status"])]
        listed.sort(key=lambda one: one["name"] if sort_by == "name" else -one["registered_at"])
        call = agents.list(status, limit, offset, sort_by)
        self.agree("agents.list", call, list(map(_shown, page(listed, limit, offset))), _each)

    @rule(agent=st.sampled_from(AGENTS))
    def read_agent(self, agent: str) -> None:
        agents, there = self.cortex.agents, self.agents.get(agent)
        call = agents.get(agent)
        self.agree("agents.get", call, _shown(there) if there else None, lambda given: given and _shown(given))
        self.agree("agents.exists", agents.exists(agent), there is not None, bool)
        records = self.records_of(agent)
        expected: dict[str, Any] = {
            f"total_{kind}": sum(one[0] == kind for one in records) for kind in ("memories", "conversations", "facts")
        }
        expected["memory_spaces_active"] = len({space for _, space, _ in records})
        if records:
            expected["last_active"] = max(time for *_, time in records)
        self.agree("agents.get_stats", agents.get_stats(agent), expected)

    def check(self) -> None:
        super().check()
        for agent in AGENTS:
            self.read_agent(agent)


def _change(agent: dict[str, Any], updates: dict[str, Any], now: int) -> None:
    if any(agent[name] != value for name, value in updates.items()):
        agent.update(updates, updated_at=now)


def _passes(agent: dict[str, Any], wanted: dict[str, Any]) -> bool:
    has = set(agent["metadata"].get("capabilities", ()))
    return (
        wanted.get("name", "").lower() in agent["name"].lower()
        and wanted.get("status", agent["status"]) == agent["status"]
        and all(agent["metadata"].get(name) == value for name, value in wanted.get("metadata", {}).items())
        and ("capabilities" not in wanted or bool(has.intersection(wanted["capabilities"])))
    )


def _shown(agent: Any) -> dict[str, Any]:
    return {"metadata": {}, "config": {}, **fields(agent, "stats", "last_active")}


def _each(agents: Any) -> list[dict[str, Any]]:
    return [_shown(one) for one in agents]
