"""A caller of another memory space gets from each function of the contract what it would get for ids that do not exist.

It changes nothing of the space that has them.

The calls are made from the contract's data: each function with what it requires, and with each optional argument in
turn. Where an argument is an id, it is one of the other space, and then one that nobody has. Answers and errors must be
the same but for these ids. A function that takes no memory space is named in `STORE_WIDE`, with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

import pytest
import pytest_asyncio
from isolation.world import THEIRS, World, made_world

from cortex_rx.backends.contract.samples import _decoded
from cortex_rx.backends.contract.tables import FUNCTIONS
from cortex_rx.errors import InvalidArgument

CALLS = json.loads(files("cortex_rx.backends.contract").joinpath("calls.json").read_text(encoding="utf-8"))
STORE_WIDE: Mapping[str, str] = {
    "users:": "a user is the same in all memory spaces",
    "agents:": "an agent is the same in all memory spaces",
    "immutable:": "an entry is of the whole store",
    "mutable:": "a value is of the whole store",
    "graphSync:": "the graph is of the whole store",
    "facts:queued": "one worker reads for all memory spaces",
    "memories:reembed": "a store is moved to another model as a whole",
    "memories:unembedded": "a store is moved to another model as a whole",
    "memories:embed": "a store is moved to another model as a whole",
    "memorySpaces:": "the list of the memory spaces themselves",
}
"""Functions that take no memory space, by the beginning of their path, and why."""


def takes_space(path: str) -> bool:
    return any(field.name == "memorySpaceId" and field.required for field in FUNCTIONS[path].args.fields)


SPACED = [path for path in FUNCTIONS if takes_space(path)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with made_world(tmp_path_factory.mktemp("isolation") / "memory.db") as made:
        yield made


def cases(path: str) -> list[dict[str, Any]]:
    """The arguments that are required, and these with one more in turn."""
    function, known = CALLS[path], {field.name for field in FUNCTIONS[path].args.fields}
    required = _decoded(function["call"])
    more: dict[str, Any] = {}
    for case in function["accepted"]:
        for name, value in case.get("with", {}).items():
            if name in known and name not in required and len(case["with"]) == 1:
                more.setdefault(name, _decoded(value))
    return [required, *({**required, name: value} for name, value in more.items())]


def named(value: Any, ids: Mapping[str, str], key: str = "") -> Any:
    """The arguments with these ids in them."""
    if isinstance(value, dict):
        return {name: named(one, ids, name) for name, one in value.items()}
    if isinstance(value, str) and key in ids:
        return ids[key]
    if isinstance(value, list):
        single = key.removesuffix("s")
        return [ids[single]] if single in ids and value else [named(one, ids) for one in value]
    return value


def plain(outcome: object, ids: Mapping[str, str], space: str) -> str:
    """What somebody sees, without the ids that were given, and without those that a call makes."""
    text = json.dumps(outcome, ensure_ascii=False, default=str, sort_keys=True)
    for name in {space, *ids.values()}:
        text = text.replace(name, "#")
    return re.sub(r"[0-9a-f]{32}|\"cursor\": \"\d+\"", "~", text)


async def outcome(world: World, path: str, args: dict[str, Any]) -> tuple[str, Any]:
    call = world.backend.query if FUNCTIONS[path].kind == "query" else world.backend.mutation
    try:
        return "result", await call(path, args)
    except Exception as error:
        return type(error).__name__, str(error)


async def differences(world: World, path: str, call: Callable[..., Awaitable[tuple[str, Any]]] = outcome) -> list[str]:
    """Where a caller of another space can tell that there is something, or has changed it."""
    before, rows = await world.read(), world.rows()
    found: list[str] = []
    accepted = 0
    for number, args in enumerate(cases(path)):
        seen: list[str] = []
        for ids, who in ((world.real, "real"), (world.unknown, "unknown")):
            space = f"ours-{path}-{number}-{who}"
            own = {"token": sha256(space.encode()).hexdigest(), "memorySpaceId": space}  # a token is of one stream
            kind, said = await call(world, path, named(args, ids | own))
            accepted += kind != InvalidArgument.__name__
            seen.append(plain([kind, said], ids, space))
        if seen[0] != seen[1] or THEIRS in seen[0]:
            found.append(f"with {', '.join(args)}: {seen[0]}, not {seen[1]}")
    assert accepted, "no call was accepted"
    if await world.read() != before:
        found.append("what is read has changed")
    return found + sorted(rows - world.rows())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", SPACED)
async def test_another_space_is_answered_as_if_nothing_were_there(world: World, path: str) -> None:
    assert await differences(world, path) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["memories:get", "memories:count", "streams:list", "facts:search"])
async def test_a_function_that_does_not_look_at_the_space_is_noticed(world: World, path: str) -> None:
    async def leaking(world: World, path: str, args: dict[str, Any]) -> tuple[str, Any]:
        return await outcome(world, path, {**args, "memorySpaceId": THEIRS})

    assert await differences(world, path, leaking) != []


def test_every_other_function_is_of_the_whole_store_for_a_reason() -> None:
    others = [path for path in FUNCTIONS if path not in SPACED]
    assert [path for path in others if not any(path.startswith(start) for start in STORE_WIDE)] == []
    assert [start for start in STORE_WIDE if not any(path.startswith(start) for path in others)] == []
