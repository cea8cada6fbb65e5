"""`mutable:*` on SQLite: against a plain dict, by which index, and how long a change is known by its id."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.backends.contract.checks import check, misshapen
from cortex_rx.backends.sqlite.functions import MUTATIONS, QUERIES
from cortex_rx.backends.sqlite.functions.mutable import condition, order, values
from cortex_rx.backends.sqlite.index import DocumentCache
from cortex_rx.backends.sqlite.language import Language
from cortex_rx.backends.sqlite.layout import LAYOUT
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.vectors import MatrixCache
from cortex_rx.errors import IdempotencyConflict, KeyNotFound, StoreError, VersionConflict

DAY = 86_400_000


class World:
    """The functions, called as the backend calls them, on a file in memory."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.now = 1_000_000

    def call(self, path: str, **args: Any) -> Any:
        kind = "query" if path in QUERIES else "mutation"
        checked = check(kind, path, {"namespace": "n", **args} if path != "mutable:transaction" else args)  # type: ignore[arg-type]
        tx = Transaction(self.db, self.now, lambda: "", Language("english"), False, MatrixCache(0), DocumentCache())
        with self.db:
            result = {**QUERIES, **MUTATIONS}[path](tx, checked)
        assert misshapen(path, result) is None
        return result

    def set(self, key: str, value: Any, **more: Any) -> dict[str, Any]:
        row: dict[str, Any] = self.call("mutable:set", key=key, value=value, **more)
        return row

    def keys(self, **filters: Any) -> list[str]:
        return [row["key"] for row in self.call("mutable:list", **filters)]

    def operations(self) -> list[str]:
        return [row[0] for row in self.db.execute("SELECT id FROM mutable_operations ORDER BY seq").fetchall()]


@contextmanager
def make_world() -> Iterator[World]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.row_factory = sqlite3.Row
        for statement in LAYOUT:
            db.execute(statement)
        db.commit()
        yield World(db)


@pytest.fixture
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


# --- a change is made once --------------------------------------------------------------------------------------------


def test_a_change_is_known_by_its_id_for_a_day(world: World) -> None:
    add = {"key": "k", "operation": "increment", "initial": 0, "operationId": "first"}
    assert world.call("mutable:update", **add)["value"] == 1
    world.now += DAY
    assert world.call("mutable:update", **add)["value"] == 1
    world.set("other", 1, operationId="second")
    assert world.operations() == ["first", "second"]
    world.now += 1
    world.set("other", 2, operationId="third")  # it removes what is older than a day
    assert world.operations() == ["second", "third"]
    assert world.call("mutable:update", **add)["value"] == 2


def test_old_ids_go_a_few_at_a_time_and_faster_than_new_ones_come(world: World) -> None:
    for number in range(20):
        world.set("k", number, operationId=f"old {number}")
    world.now += DAY + 1
    left: list[int] = []
    for number in range(8):
        world.set("k", number, operationId=f"new {number}")
        left.append(len(world.operations()))
    assert left == [17, 14, 11, 8, 5, 6, 7, 8]


def test_a_clock_that_is_set_back_keeps_nothing_for_ever(world: World) -> None:
    world.now += 10 * DAY
    world.set("k", 1, operationId="of the future")
    world.now -= 10 * DAY
    world.set("k", 2, operationId="now")
    assert world.operations() == ["now"]


def test_what_stands_in_the_arguments_is_not_kept_twice(world: World) -> None:
    long = "x" * 10_000
    world.set("k", long, operationId="set")
    world.call("mutable:update", key="k", operation="custom", operand=[long], operationId="custom")
    world.call("mutable:update", key="k", operation="append", operand=long, operationId="append")
    step = {"op": "update", "namespace": "n", "key": "k", "value": long}
    world.call("mutable:transaction", operations=[step], operationId="transaction")
    kept = world.db.execute("SELECT sum(length(result)) FROM mutable_operations").fetchone()[0]
    assert kept < 1_000


def test_an_id_is_of_one_call(world: World) -> None:
    world.set("k", 1, operationId="one")
    for path, args in (
        ("mutable:set", {"key": "k", "value": 1.0}),
        ("mutable:set", {"key": "k", "value": True}),
        ("mutable:set", {"key": "j", "value": 1}),
        ("mutable:deleteKey", {"key": "k"}),
    ):
        with pytest.raises(IdempotencyConflict):
            world.call(path, **args, operationId="one")
    assert world.keys() == ["k"]


# --- by a plain dict --------------------------------------------------------------------------------------------------

_KEYS = st.sampled_from(["a", "a_", "a%b", "A", "\u00e9", "\U0010ffff", "\ud7ff", "a\0b", "b"])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), _KEYS, st.one_of(st.integers(-5, 5), st.none(), st.text(max_size=3))),
        st.tuples(st.sampled_from(["increment", "decrement"]), _KEYS, st.one_of(st.integers(-3, 3), st.floats(-1, 1))),
        st.tuples(st.just("delete"), _KEYS, st.none()),
    ),
    max_size=8,
)


def _expected(model: dict[str, Any], steps: list[tuple[str, str, Any]]) -> dict[str, Any]:
    """The keys after the steps. Raises `LookupError` or `TypeError` where one fails."""
    after = dict(model)
    for op, key, value in steps:
        if op == "set":
            after[key] = value
        elif op == "delete":
            del after[key]
        elif isinstance(after[key], int | float):
            after[key] += value if op == "increment" else -value
        else:
            raise TypeError
    return after


def test_transactions_do_what_they_would_do_to_a_dict(world: World) -> None:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(_STEPS, max_size=6))
    def law(transactions: list[list[tuple[str, str, Any]]]) -> None:
        world.call("mutable:purgeNamespace")
        model: dict[str, Any] = {}
        for steps in transactions:
            operations: list[dict[str, Any]] = []
            for op, key, value in steps:
                more = {"set": {"value": value}, "delete": {}}.get(op, {"amount": value})
                operations.append({"op": op, "namespace": "n", "key": key, **more})
            try:
                model = _expected(model, steps)
            except (LookupError, TypeError):
                with pytest.raises(StoreError):
                    world.call("mutable:transaction", operations=operations)
            else:
                world.call("mutable:transaction", operations=operations)
            stored = {row["key"]: row["value"] for row in world.call("mutable:list")}
            assert stored == model
            for prefix in ("", "a", "a_", "\U0010ffff", "\ud7ff", "a\0"):
                want = [key for key in stored if key.startswith(prefix)]
                assert world.keys(keyPrefix=prefix) == want
                assert world.call("mutable:count", keyPrefix=prefix) == len(want)

    law()


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "mutable_by_namespace"),
        ({"userId": "ada"}, "mutable_by_user"),
        ({"keyPrefix": "k"}, "sqlite_autoindex_mutable_1"),
        ({"userId": "ada", "keyPrefix": "k"}, "mutable_by_user"),
        ({"updatedBefore": 5}, "mutable_by_updated"),
    ],
    ids=str,
)
def test_each_filter_has_an_index(world: World, filters: dict[str, Any], index: str) -> None:
    args = {"namespace": "n", **filters}
    asked = f"EXPLAIN QUERY PLAN SELECT * FROM mutable WHERE {condition(args)} ORDER BY {order(args)}"
    plan = [row[3] for row in world.db.execute(asked, values(args)).fetchall()]
    assert plan[0].startswith(f"SEARCH mutable USING INDEX {index} (namespace=?"), plan
    assert ("USE TEMP B-TREE FOR ORDER BY" in plan) == (order(args) == "+seq")


def test_a_key_that_is_made_again_is_at_the_end_and_a_page_goes_on(world: World) -> None:
    for key in "abcd":
        world.set(key, key)
    page = world.call("mutable:page", limit=2)
    assert [row["key"] for row in page["page"]] == ["a", "b"]
    world.call("mutable:deleteKey", key="c")
    world.set("c", "again")
    world.set("a", "changed")
    rest = world.call("mutable:page", limit=2, cursor=page["cursor"])
    assert [(row["key"], row["version"]) for row in rest["page"]] == [("d", 1), ("c", 2)]
    assert "cursor" not in rest


def test_a_purge_by_time_spares_what_was_changed_since(world: World) -> None:
    world.set("old", 1)
    world.set("changed", 1)
    world.now += 10
    world.set("changed", 2)
    world.set("old", 1)  # it changes nothing
    assert world.call("mutable:purgeMany", updatedBefore=world.now)["keys"] == ["old"]
    assert world.keys() == ["changed"]


def test_what_fails_leaves_no_id(world: World) -> None:
    with pytest.raises(KeyNotFound):
        world.call("mutable:deleteKey", key="k", operationId="one")
    with pytest.raises(VersionConflict):
        world.set("k", 1, expectedVersion=1, operationId="one")
    assert world.operations() == []
