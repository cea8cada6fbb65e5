"""The functions of entries and profiles: which index answers, what is kept, and the versions against a model."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.backends.contract.checks import check, misshapen
from cortex_rx.backends.sqlite.functions import MUTATIONS, QUERIES
from cortex_rx.backends.sqlite.functions.sql_functions import add_functions
from cortex_rx.backends.sqlite.functions.users import has_fields
from cortex_rx.backends.sqlite.index import DocumentCache
from cortex_rx.backends.sqlite.language import Language
from cortex_rx.backends.sqlite.layout import LAYOUT
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.vectors import MatrixCache
from cortex_rx.errors import EntryNotFound, InvalidArgument, UserNotFound, VersionConflict


class World:
    """The functions, called as the backend calls them, on a file in memory; a call a second."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.now = 1_000_000
        self._ids = count(1)

    def call(self, path: str, **args: Any) -> Any:
        kind = "query" if path in QUERIES else "mutation"
        self.now += 1_000 * (kind == "mutation")
        tx = Transaction(
            self.db, self.now, lambda: f"{next(self._ids):03}", Language("english"), False, MatrixCache(0),
            DocumentCache(),
        )  # fmt: skip
        with self.db:
            result = (QUERIES | MUTATIONS)[path](tx, check(kind, path, args))  # type: ignore[arg-type]
        assert misshapen(path, result) is None
        return result

    def rows(self, table: str) -> int:
        found: int = self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        return found


def made() -> closing[sqlite3.Connection]:
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    add_functions(db)
    for statement in LAYOUT:
        db.execute(statement)
    db.commit()
    return closing(db)


@pytest.fixture
def world() -> Iterator[World]:
    with made() as db:
        yield World(db)


# --- indexes ----------------------------------------------------------------------------------------------------------

_TYPE, _USER = {"type": "note"}, {"userId": "ada"}


@pytest.mark.parametrize(
    ("path", "args", "index"),
    [
        ("immutable:get", {**_TYPE, "id": "a"}, "sqlite_autoindex_immutable_1 (type=? AND id=?)"),
        ("immutable:list", _TYPE, "immutable_by_type (type=?)"),
        ("immutable:list", _USER, "immutable_of_user (user_id=?)"),
        ("immutable:list", {**_TYPE, **_USER}, "immutable_by_user (user_id=? AND type=?)"),
        ("immutable:page", _TYPE, "immutable_by_type (type=? AND seq>?)"),
        ("immutable:page", _USER, "immutable_of_user (user_id=? AND seq>?)"),
        ("immutable:page", {**_TYPE, **_USER}, "immutable_by_user (user_id=? AND type=? AND seq>?)"),
        ("immutable:search", {**_TYPE, "query": "x"}, "(type=?)"),
        ("immutable:count", _TYPE, "immutable_counts USING PRIMARY KEY (type=?)"),
        ("immutable:count", {**_TYPE, **_USER}, "immutable_by_user (user_id=? AND type=?)"),
        ("immutable:purgeMany", {"createdBefore": 5}, "immutable_by_created (created<?)"),
        ("immutable:purgeMany", {**_TYPE, "createdBefore": 5}, "immutable_by_type_created (type=? AND created<?)"),
        ("users:get", {"userId": "ada"}, "sqlite_autoindex_immutable_1 (type=? AND id=?)"),
        ("users:list", {}, "immutable_by_type (type=?)"),
        ("users:search", {"data": {"k": 1}}, "immutable_by_type (type=?)"),
        ("users:search", {"createdAfter": 5}, "immutable_by_type_created (type=? AND created>?)"),
        ("users:search", {"updatedBefore": 5}, "immutable_by_type_updated (type=? AND updated<?)"),
        ("users:count", {}, "immutable_counts USING PRIMARY KEY (type=?)"),
        ("users:count", {"updatedAfter": 5}, "immutable_by_type_updated (type=? AND updated>?)"),
    ],
)
def test_an_index_answers(world: World, path: str, args: Any, index: str) -> None:
    for number in range(3):
        world.call("immutable:store", type="note", id=str(number), data={}, userId="ada")
    statements: list[str] = []
    world.db.set_trace_callback(statements.append)
    world.call(path, **args)
    world.db.set_trace_callback(None)
    plans = [
        row["detail"]
        for statement in statements
        if statement.startswith(("SELECT", "DELETE"))
        for row in world.db.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert any(index in plan for plan in plans), plans
    assert not [plan for plan in plans if plan.startswith("SCAN")], plans
    if path in ("immutable:list", "immutable:page", "users:list"):
        assert not [plan for plan in plans if "TEMP B-TREE" in plan], plans


def test_a_count_reads_no_entry(world: World) -> None:
    for number in range(50):
        world.call("immutable:store", type=f"type {number % 5}", id=str(number), data={})
    assert world.call("immutable:count") == 50 and world.call("immutable:count", type="type 3") == 10
    world.call("immutable:purgeMany", type="type 3")
    assert world.call("immutable:count") == 40 and world.rows("immutable_counts") == 4
    assert world.call("users:count") == 0


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_is_purged_leaves_nothing_behind(world: World) -> None:
    tables = ("immutable", "immutable_versions", "immutable_counts")
    for _ in range(3):
        for number in range(4):
            world.call("immutable:store", type="note", id=str(number), data={"k": 1}, operationId=f"{world.now}")
        world.call("users:update", userId="ada", data={"k": world.now})
    world.call("immutable:purge", type="note", id="1")
    world.call("immutable:purgeMany", type="note")
    world.call("users:deleteUserProfile", userId="ada")
    assert [world.rows(table) for table in tables] == [0, 0, 0]


def test_versions_of_neighbours_stay(world: World) -> None:
    for number in range(3):
        for version in range(3):
            world.call("immutable:store", type="note", id=str(number), data={"v": version})
    world.call("immutable:purgeVersions", type="note", id="1", keepLatest=1)
    assert [len(world.call("immutable:getHistory", type="note", id=str(number))) for number in range(3)] == [3, 1, 3]
    world.call("immutable:purge", type="note", id="1")
    assert [len(world.call("immutable:getHistory", type="note", id=str(number))) for number in range(3)] == [3, 0, 3]
    for version in (4, 2**32 - 1, 2**32, 2**63 - 1):  # none of these is the version of another entry
        assert world.call("immutable:getVersion", type="note", id="0", version=version) is None


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "\u0663"])
def test_what_is_no_cursor_is_refused(world: World, cursor: str) -> None:
    for path in ("immutable:page", "users:page"):
        with pytest.raises(InvalidArgument, match="cursor"):
            world.call(path, cursor=cursor)


def test_a_repeated_call_of_an_entry_that_was_purged_stores_it_again(world: World) -> None:
    args = {"type": "note", "id": "a", "data": {"k": 1}, "operationId": "x"}
    assert world.call("immutable:store", **args)["version"] == 1
    world.call("immutable:purge", type="note", id="a")
    assert world.call("immutable:store", **args)["version"] == 1
    with pytest.raises(VersionConflict):
        world.call("immutable:store", **{**args, "operationId": "y", "expectedVersion": 0})


# --- the versions against a model -------------------------------------------------------------------------------------

_KEYS = st.sampled_from(["a", "b", "a.b", "\u00e9"])
_VALUES = st.recursive(
    st.sampled_from([None, True, 1, 1.0, 0, False, "", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=5,
)
_DATA = st.dictionaries(_KEYS, _VALUES, max_size=3)
_CALLS = st.one_of(
    st.tuples(st.just("update"), _DATA), st.tuples(st.just("merge"), _DATA), st.tuples(st.just("skip"), _DATA),
    st.tuples(st.just("keep"), st.integers(0, 3)), st.tuples(st.just("delete"), st.none()),
)  # fmt: skip


def merged(there: Any, updates: Any) -> Any:
    if not isinstance(there, dict) or not isinstance(updates, dict):
        return updates
    return {key: merged(there[key], updates[key]) if key in there and key in updates else {**there, **updates}[key]
            for key in {**there, **updates}}  # fmt: skip


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@given(st.lists(_CALLS, max_size=12))
def test_a_profile_has_the_versions_that_were_stored(calls: list[Any]) -> None:
    with made() as db:
        world = World(db)
        model: list[tuple[int, Any, int, int | None]] = []  # version, data, from, until
        for name, value in calls:
            before, data = model[-1] if model else None, None
            if name == "update":
                data = value
                world.call("users:update", userId="ada", data=value)
            elif name == "merge" and before is None:
                with pytest.raises(UserNotFound):
                    world.call("users:merge", userId="ada", updates=value)
            elif name == "merge":
                assert before is not None
                data = merged(before[1], value)
                world.call("users:merge", userId="ada", updates=value)
            elif name == "skip":
                data = merged(before[1], value) if before else None
                world.call("users:updateMany", userIds=["ada"], updates=value, skipVersioning=True)
            elif name == "keep" and before is None:
                with pytest.raises(EntryNotFound):
                    world.call("immutable:purgeVersions", type="user", id="ada", keepLatest=value)
            elif name == "keep":
                world.call("immutable:purgeVersions", type="user", id="ada", keepLatest=value)
                model = model[-max(value, 1) :]
            else:
                world.call("users:deleteUserProfile", userId="ada")
                model = []
            if data is not None and (name == "update" or before is None or text(data) != text(before[1])):
                if before is not None:
                    model[-1] = (*before[:3], world.now)
                    model = model[:-1] if name == "skip" else model
                model.append((before[0] + 1 if before else 1, data, world.now, None))
            history = world.call("users:getHistory", userId="ada")[::-1]
            assert [(one["version"], text(one["data"]), one["timestamp"]) for one in history] == [
                (version, text(data), since) for version, data, since, _ in model
            ]
            for time in range(1_000_000, world.now + 1_000, 1_000):
                there = [version for version, _, since, until in model if since <= time and (until or time + 1) > time]
                found = world.call("users:getAtTimestamp", userId="ada", timestamp=time)
                assert [found["version"]] == there if found else not there
        assert world.rows("immutable_versions") == len(model)


@given(_DATA, _KEYS, _VALUES)
def test_a_profile_has_the_values_that_were_put_at_its_paths(data: Any, key: str, value: Any) -> None:
    def has(path: str, wanted: Any) -> bool:
        return has_fields(json.dumps(data), json.dumps({path: wanted}))

    for name, one in data.items():
        assert has(name, one)
        for deeper, other in one.items() if isinstance(one, dict) else ():
            assert has(f"{name}.{deeper}", other)
    at = [data[key]] if key in data else []
    if key == "a.b" and isinstance(data.get("a"), dict) and "b" in data["a"]:
        at.append(data["a"]["b"])

    def same(one: Any, other: Any) -> bool:  # as JSON, but 1 is 1.0
        return text(one).replace("1.0", "1") == text(other).replace("1.0", "1")

    assert has(key, value) == any(same(one, value) for one in at)
    assert not has("nothing", None)
