"""Contexts against a model: what each memory space sees of trees that several of them build; and that no index is
missing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex_rx import SqliteBackend
from cortex_rx.backends.sqlite.functions import context_lists
from cortex_rx.errors import StoreError

SPACES = ("a", "b", "c")


@dataclass
class Node:
    space: str
    parent: int | None
    parent_id: str | None
    grants: dict[str, str] = field(default_factory=dict)


class Model:
    """The contexts by number; `c3` is the id of the third one."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.made = 0

    def seen(self, space: str, number: int | None) -> bool:
        node = self.nodes.get(-1 if number is None else number)
        return node is not None and (node.space == space or space in node.grants)

    def above(self, space: str, number: int) -> list[int]:
        """From the root to the context."""
        parent = self.nodes[number].parent
        return [*(self.above(space, parent) if parent is not None and self.seen(space, parent) else []), number]

    def children(self, space: str, number: int) -> list[int]:
        return [one for one, node in self.nodes.items() if node.parent == number and self.seen(space, one)]

    def here(self, number: int) -> list[int]:
        """The children in the same memory space."""
        own = self.nodes[number].space
        return [one for one, node in self.nodes.items() if node.parent == number and node.space == own]

    def below_here(self, number: int) -> list[int]:
        return [one for child in self.here(number) for one in (child, *self.below_here(child))]

    def shape(self, space: str, number: int) -> dict[str, Any]:
        """What a space sees of a context."""
        *ancestors, _ = above = self.above(space, number)
        node = self.nodes[number]
        shown: dict[str, Any] = {
            "contextId": f"c{number}",
            "memorySpaceId": node.space,
            "rootId": f"c{above[0]}",
            "depth": len(ancestors),
            "childIds": [f"c{one}" for one in self.children(space, number)],
            "grants": {to: scope for to, scope in node.grants.items() if space in (node.space, to)},
            "ancestors": [f"c{one}" for one in ancestors],
        }
        if ancestors:
            beside = self.children(space, ancestors[-1])
            shown["siblings"] = [f"c{one}" for one in beside if one != number]
            shown["parentId"] = f"c{ancestors[-1]}"
        elif node.space == space and node.parent_id is not None:
            shown["parentId"] = node.parent_id
        return shown

    # --- what is done: the code of the error, or None ---------------------------------------------------------------

    def create(self, space: str, parent: int | None) -> str | None:
        if parent is not None:
            if not self.seen(space, parent):
                return "ParentNotFound"
            node = self.nodes[parent]
            if node.space != space and node.grants[space] != "full":
                return "ContextReadOnly"
        self.made += 1
        self.nodes[self.made] = Node(space, parent, None if parent is None else f"c{parent}")
        return None

    def _owned(self, space: str, number: int) -> str | None:
        if not self.seen(space, number):
            return "ContextNotFound"
        return None if self.nodes[number].space == space else "ContextReadOnly"

    def grant(self, space: str, number: int, target: str, scope: str | None) -> str | None:
        if error := self._owned(space, number):
            return error
        self.nodes[number].grants.pop(target, None) if scope is None else self.nodes[number].grants.update(
            {target: scope}
        )
        return None

    def delete(self, space: str, number: int, mode: str) -> str | None:
        if error := self._owned(space, number):
            return error
        here = self.here(number)
        if here and mode == "plain":
            return "HasChildren"
        if mode == "orphan":
            for child in here:
                self.nodes[child].parent = self.nodes[child].parent_id = None
        for one in (number, *(self.below_here(number) if mode == "cascade" else ())):
            del self.nodes[one]
        return None


def shape(chain: dict[str, Any]) -> dict[str, Any]:
    current = chain["current"]
    kept = ("contextId", "memorySpaceId", "rootId", "depth", "childIds", "parentId")
    shown = {name: current[name] for name in kept if name in current}
    shown["grants"] = {grant["memorySpaceId"]: grant["scope"] for grant in current.get("grantedAccess", ())}
    shown["ancestors"] = [one["contextId"] for one in chain["ancestors"]]
    assert shown["childIds"] == [one["contextId"] for one in chain["children"]]
    assert (shown["rootId"], shown["depth"]) == (chain["root"]["contextId"], chain["depth"])
    if shown["ancestors"]:
        assert chain["parent"]["contextId"] == shown["ancestors"][-1]
        shown["siblings"] = [one["contextId"] for one in chain["siblings"]]
    else:
        assert "parent" not in chain
        assert chain["siblings"] == []
    return shown


SPACE = st.sampled_from(SPACES)
WHO = st.sampled_from(("owner", "owner", "owner", *SPACES))
NUMBER = st.integers(0, 99)
CREATE = st.tuples(st.just("create"), WHO, NUMBER, st.sampled_from(["root", "below", "below", "below"]))
GRANT = st.tuples(st.just("grant"), WHO, NUMBER, SPACE, st.sampled_from(["full", "full", "read-only", None]))
DELETE = st.tuples(st.just("delete"), WHO, NUMBER, st.sampled_from(["plain", "cascade", "orphan"]))
STEPS = st.one_of(CREATE, CREATE, GRANT, GRANT, GRANT, DELETE)


def meant(model: Model, step: tuple[Any, ...]) -> tuple[Any, ...]:
    """A step about one of the contexts that were made, by its owner or by one of the spaces."""
    kind, who, number, *rest = step
    number = 1 + number % max(model.made, 1)
    owner = model.nodes[number].space if number in model.nodes else "a"
    space = owner if who == "owner" else who
    if kind == "create":
        return kind, space, number if rest[0] == "below" and model.made else None
    return kind, space, number, *rest


async def do(backend: SqliteBackend, model: Model, step: tuple[Any, ...]) -> str | None:
    """The same in the store: the name of the error, or None."""
    kind, space, *rest = step
    args: dict[str, Any] = {"memorySpaceId": space}
    if kind == "create":
        path = "create"
        args |= {"purpose": "x", "contextId": f"c{model.made + 1}"}
        args |= {} if rest[0] is None else {"parentId": f"c{rest[0]}"}
    elif kind == "grant":
        number, target, scope = rest
        path = "revokeAccess" if scope is None else "grantAccess"
        args |= {"contextId": f"c{number}", "targetMemorySpaceId": target}
        args |= {} if scope is None else {"scope": scope}
    else:
        path = "deleteContext"
        args |= {
            "contextId": f"c{rest[0]}",
            "cascadeChildren": rest[1] == "cascade",
            "orphanChildren": rest[1] == "orphan",
        }
    try:
        await backend.mutation(f"contexts:{path}", args)
    except StoreError as error:
        return type(error).__name__
    return None


async def play(steps: list[tuple[Any, ...]]) -> None:
    model = Model()
    async with SqliteBackend(":memory:") as backend:
        for drawn in steps:
            kind, space, *rest = step = meant(model, drawn)
            if kind == "grant" and rest[1] == space:
                continue  # refused: an InvalidArgument
            got = await do(backend, model, step)
            assert got == getattr(model, kind)(space, *rest), step
        for space in SPACES:
            await compare(backend, model, space)


async def compare(backend: SqliteBackend, model: Model, space: str) -> None:
    async def ask(path: str, **args: Any) -> Any:
        return await backend.query(f"contexts:{path}", {"memorySpaceId": space, **args})

    def ids(rows: list[dict[str, Any]]) -> list[str]:
        return [row["contextId"] for row in rows]

    seen = [number for number in model.nodes if model.seen(space, number)]
    own = [number for number in seen if model.nodes[number].space == space]
    for number in range(1, model.made + 1):
        chain = await ask("get", contextId=f"c{number}", includeChain=True)
        assert (chain is not None) == (number in seen), number
        if chain is not None:
            assert shape(chain) == model.shape(space, number)
            below = await ask("getChildren", contextId=f"c{number}", recursive=True)
            assert ids(below) == [f"c{one}" for one in seen if one != number and number in model.above(space, one)]
            assert ids([await ask("getRoot", contextId=f"c{number}")]) == [model.shape(space, number)["rootId"]]
        tree = [one for one in own if model.above(space, one)[0] == number]
        assert ids(await ask("list", rootId=f"c{number}")) == [f"c{one}" for one in tree]
    assert ids(await ask("list")) == [f"c{one}" for one in own]
    assert sorted(ids(await ask("listGranted"))) == sorted(f"c{one}" for one in seen if one not in own)
    for depth in range(3):
        level = [one for one in own if len(model.above(space, one)) == depth + 1]
        assert (ids(await ask("list", depth=depth)), await ask("count", depth=depth)) == (
            [f"c{one}" for one in level],
            len(level),
        )
    orphans = [one for one in own if model.nodes[one].parent_id is not None and len(model.above(space, one)) == 1]
    assert ids(await ask("findOrphaned")) == [f"c{one}" for one in orphans]


HANDED_BACK = [
    ("create", "a", 0, "root"),
    ("grant", "owner", 0, "b", "full"),
    ("create", "b", 0, "below"),
    ("grant", "owner", 1, "a", "read-only"),
]


@example(HANDED_BACK)
@settings(max_examples=25)
@given(st.lists(STEPS, min_size=15, max_size=30))
def test_each_space_sees_the_trees_of_what_it_may_see(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(play(steps))


# --- what is left behind ----------------------------------------------------------------------------------------------


async def test_nothing_is_left_of_what_was_deleted(tmp_path: Path) -> None:
    async with SqliteBackend(tmp_path / "memory.db") as backend:
        for context, parent in (("root", {}), ("leaf", {"parentId": "root"})):
            args = {"memorySpaceId": "s", "contextId": context}
            await backend.mutation("contexts:create", {**args, "purpose": "x", **parent})
            await backend.mutation("contexts:update", {**args, "status": "blocked"})
            await backend.mutation("contexts:grantAccess", {**args, "targetMemorySpaceId": "t", "scope": "full"})
        await backend.mutation(
            "contexts:deleteContext", {"memorySpaceId": "s", "contextId": "root", "cascadeChildren": True}
        )
    with closing(sqlite3.connect(tmp_path / "memory.db")) as db:
        for table in ("contexts", "context_versions", "context_grants", "context_participants"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


async def test_a_context_whose_space_was_removed_leaves_an_orphan(tmp_path: Path) -> None:
    """However the parent went: here its row is gone, as after the deletion of its memory space."""
    file = tmp_path / "memory.db"
    async with SqliteBackend(file) as backend:
        above = {"memorySpaceId": "s", "contextId": "root", "purpose": "x"}
        await backend.mutation("contexts:create", above)
        grant = {"memorySpaceId": "s", "contextId": "root", "targetMemorySpaceId": "t", "scope": "full"}
        await backend.mutation("contexts:grantAccess", grant)
        await backend.mutation(
            "contexts:create", {**above, "memorySpaceId": "t", "contextId": "leaf", "parentId": "root"}
        )
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("DELETE FROM contexts WHERE space = 's'")
    async with SqliteBackend(file) as backend:
        (orphan,) = await backend.query("contexts:findOrphaned", {"memorySpaceId": "t"})
        assert (orphan["contextId"], orphan["parentId"], orphan["rootId"], orphan["depth"]) == (
            "leaf",
            "root",
            "leaf",
            0,
        )
        await backend.mutation("contexts:create", above)
        assert await backend.query("contexts:findOrphaned", {"memorySpaceId": "t"}) == [orphan]  # not the new one's


async def test_of_two_contexts_under_an_id_the_own_one_is_meant_and_then_the_first_that_was_granted(
    tmp_path: Path,
) -> None:
    async with SqliteBackend(tmp_path / "memory.db") as backend:

        async def purpose() -> str:
            found = await backend.query("contexts:get", {"memorySpaceId": "me", "contextId": "x"})
            return str(found["purpose"])

        for space in ("older", "newer"):
            await backend.mutation("contexts:create", {"memorySpaceId": space, "contextId": "x", "purpose": space})
        for space in ("newer", "older"):
            grant = {"memorySpaceId": space, "contextId": "x", "targetMemorySpaceId": "me", "scope": "full"}
            await backend.mutation("contexts:grantAccess", grant)
            assert await purpose() == "newer"
        await backend.mutation("contexts:create", {"memorySpaceId": "me", "contextId": "x", "purpose": "mine"})
        assert await purpose() == "mine"


# --- indexes ----------------------------------------------------------------------------------------------------------

QUERIES = {
    "contexts:list": ({}, "contexts_by_space (space=?)"),
    "by status": ({"status": "active"}, "contexts_by_status (space=? AND status=?)"),
    "by user": ({"userId": "ada"}, "contexts_by_user (space=? AND user_id=?)"),
    "by parent": ({"parentId": "p"}, "contexts_by_parent_id (space=? AND parent_id=?)"),
    "by conversation": ({"conversationId": "c"}, "contexts_by_conversation (space=? AND conversation=?)"),
    "by completion": ({"completedBefore": 1}, "contexts_by_completion (space=? AND completed<?)"),
    "by root": ({"rootId": "r"}, "INTEGER PRIMARY KEY (rowid=?)"),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_each_filter_has_an_index_with_the_space_first(name: str, tmp_path: Path) -> None:
    args, index = QUERIES[name]
    async with SqliteBackend(tmp_path / "memory.db") as backend:
        await backend.query("contexts:list", {"memorySpaceId": "s"})
    with closing(sqlite3.connect(tmp_path / "memory.db")) as db:
        condition = context_lists._condition(args)
        values = {"space": "s", "roots": "[]", **args}
        plan = db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM contexts WHERE {condition} ORDER BY contexts.seq", values)
        steps = [row[3] for row in plan.fetchall()]
    assert any(step.startswith("SEARCH contexts USING") and step.endswith(index) for step in steps), steps
    assert not [step for step in steps if step.startswith("SCAN contexts")], steps
