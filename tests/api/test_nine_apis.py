"""Programs of calls of the nine APIs that Hypothesis draws, against plain dicts: see `tests/api/model`.

What one API changes, the others see: a conversation that is deleted, a memory space that is archived. Each shard has a
seed of its own, the same in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from inspect import getmembers, isfunction
from typing import Any

import pytest
from api.model.agents import Agents
from api.model.contexts import Contexts
from api.model.conversations import Conversations
from api.model.facts import Facts
from api.model.machine import Machine
from api.model.memories import Memories
from api.model.mutable import Mutable
from api.model.spaces import MemorySpaces
from api.model.users import Users
from helpers.lanes import slow_but
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from cortex_rx import Cortex
from cortex_rx.backends import Backend, SqliteBackend

SHARDS = range(6)
EXAMPLES = 50
OF_ONE_API = 20
FEW = 8
STEPS = 60
APIS = ("agents", "contexts", "conversations", "facts", "immutable", "memory_spaces", "mutable", "users", "vector")
LEFT_OUT = {
    "facts.drain": "reads a queue that streams fill: tests/proofs/test_state_machine.py",
    "facts.work": "drains again and again",
}
"""Methods that no rule calls, and why."""


class NineAPIs(MemorySpaces, Mutable, Users):
    """All parts together, over one store."""


def programs(number: int, shard: int, machine: type[Machine] = NineAPIs, *phases: Phase) -> Counter[str]:
    """Run so many programs; how often each call was made."""
    counted: Counter[str] = Counter()
    kind = type("NineAPIs", (machine,), {"counted": counted})
    chosen = settings(
        max_examples=number,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        phases=phases or [Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(shard)(kind), settings=chosen)
    return counted


@pytest.mark.parametrize("shard", slow_but([0], SHARDS, "more programs of calls of the nine APIs"))
def test_the_nine_apis_are_as_plain_dicts(shard: int, request: pytest.FixtureRequest) -> None:
    whole = shard > 0 or request.config.getoption("--all")
    programs(EXAMPLES if whole else FEW, shard)


@pytest.mark.parametrize(
    "part", slow_but([], [Agents, Contexts, Conversations, Facts, Mutable, Users], "programs of calls of one API")
)
def test_each_api_alone(part: type[Machine]) -> None:
    """More of it happens here than among all others."""
    programs(OF_ONE_API, 0, part)


def test_what_is_left_out_is_there() -> None:
    assert LEFT_OUT.keys() <= methods()


@pytest.mark.slow(reason="programs of calls of one API")
def test_each_method_is_called() -> None:
    parts = (Agents, Contexts, Conversations, Facts, Memories, MemorySpaces, Mutable, Users)
    counted = Counter(name for part in parts for name in programs(OF_ONE_API, 1, part, Phase.generate))
    assert methods() - {name.removesuffix(" refused") for name in counted} - LEFT_OUT.keys() == set()


class Wrong(Backend):
    """A store that gives another answer to one function."""

    def __init__(self, inner: SqliteBackend, path: str, change: Callable[[Any], Any]) -> None:
        self.inner, self.path, self.change = inner, path, change

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        given = await self.inner.query(path, args)
        return self.change(given) if path == self.path and given is not None else given

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        given = await self.inner.mutation(path, args)
        return self.change(given) if path == self.path else given

    async def close(self) -> None:
        await self.inner.close()


WRONG: dict[str, tuple[type[Machine], Callable[[Any], Any]]] = {
    "agents:search": (Agents, lambda given: given[:1]),
    "contexts:getChildren": (Contexts, lambda given: given[1:]),
    "conversations:search": (Conversations, lambda given: given[1:]),
    "facts:count": (Facts, lambda given: given + 1),
    "facts:list": (Facts, lambda given: given[::-1]),
    "facts:update": (Facts, lambda given: given | {"version": 1}),
    "immutable:getAtTimestamp": (Users, lambda given: None),
    "immutable:page": (Users, lambda given: given | {"page": []}),
    "memories:update": (Memories, lambda given: given | {"version": 1}),
    "memorySpaces:getStats": (MemorySpaces, lambda given: given | {"totalMessages": 0}),
    "mutable:update": (Mutable, lambda given: given | {"value": 1}),
    "users:merge": (Users, lambda given: given | {"updatedAt": 0}),
}
"""By the function: the part that catches it, and what the store does with its answer."""


@pytest.mark.parametrize("path", slow_but(["facts:list", "immutable:getAtTimestamp"], WRONG, "more wrong stores"))
def test_a_store_that_gives_another_answer_is_caught(path: str) -> None:
    part, change = WRONG[path]

    class Broken(part):  # type: ignore[valid-type, misc]
        def seen(self, backend: SqliteBackend) -> Backend:
            return Wrong(backend, path, change)

    with pytest.raises(AssertionError):
        programs(EXAMPLES, 0, Broken, Phase.generate)


def methods() -> set[str]:
    """The public methods of the nine APIs."""
    cortex = Cortex(":memory:")
    return {
        f"{api}.{name}"
        for api in APIS
        for name, _ in getmembers(type(getattr(cortex, api)), isfunction)
        if not name.startswith("_")
    }
