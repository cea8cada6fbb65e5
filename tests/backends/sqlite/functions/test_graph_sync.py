"""`graphSync:*`: what a drainer gets, and what it takes away. That each change has a row: `test_outbox`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx import SqliteBackend
from cortex_rx.backends.sqlite.functions import graph_records
from cortex_rx.backends.sqlite.schema import APPLICATION_ID, MIGRATIONS
from cortex_rx.errors import Fenced

ALONE = {"contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}
SAID = {"factType": "knowledge", "confidence": 90, "sourceType": "manual", "tags": []}
Item: TypeAlias = dict[str, Any]


def key(item: Mapping[str, Any]) -> Item:
    return {name: value for name, value in item.items() if name not in ("revision", "attempts", "record")}


def seen(items: list[Item]) -> list[Item]:
    return [{**key(item), "revision": item["revision"]} for item in items]


async def keep(store: Any) -> None:
    await store.backend.mutation("graphSync:keep", {"enabled": True})


async def batch(store: Any, **more: Any) -> list[Item]:
    return await store.backend.query("graphSync:getBatch", more)


async def one_of_each(store: Any, name: str, said: str) -> None:
    """A record in each table, with this id in its memory space, type or namespace `said`, about which it says that."""
    do, space = store.backend.mutation, {"memorySpaceId": said}
    await do("memories:store", {**ALONE, **space, "memoryId": name, "content": said})
    about = {"subject": said, "predicate": "is", "object": said, "sourceRef": {"messageIds": [said]}}
    await do("facts:store", {**SAID, **space, "factId": name, "fact": said, **about})
    made = {"conversationId": name, "type": "user-agent", "participants": {"userId": said}}
    await do("conversations:create", {**space, **made})
    await do("contexts:create", {**space, "contextId": name, "purpose": said, "status": "active"})
    await do("contexts:grantAccess", {**space, "contextId": name, "targetMemorySpaceId": "all", "scope": "full"})
    below = {"contextId": f"below {name}", "parentId": name, "purpose": said, "status": "active"}
    await do("contexts:create", {**space, **below})
    await do("memorySpaces:register", {**space, "type": "team", "participants": [{"id": said, "type": "user"}]})
    await do("immutable:store", {"type": said, "id": name, "data": {"said": said}})
    await do("mutable:set", {"namespace": said, "key": name, "value": said})


HOSTILE = ("x", " ", "a\0b", "é京\U0001f600", 'q"[]\\u0000', "'; DROP TABLE outbox; --", "%_?:x")


async def test_ids_are_data_and_equal_ids_of_two_spaces_are_two_records(store: Any) -> None:
    await keep(store)
    spaces = ("space one", "space two", *(f"space {name}" for name in HOSTILE))
    for name in HOSTILE:
        for said in spaces[:2] if name == "x" else (f"space {name}",):
            await one_of_each(store, name, said)
        await store.backend.mutation("users:update", {"userId": name, "data": {"name": "Ada"}})
        await store.backend.mutation("agents:register", {"agentId": name, "name": "A"})
    found = await batch(store)
    assert all("record" in item for item in found)
    assert await store.backend.query("graphSync:exists", {"records": [*map(key, found)]}) == [True] * len(found)
    for item in found:
        mine = item.get("memorySpaceId", item.get("entityType", item.get("namespace", item["entityId"])))
        others = {said for said in spaces if said != mine}
        assert not {*texts(item["record"])} & others, item
        if item["table"] in ("memories", "facts", "contexts", "immutable", "mutable"):
            assert mine in [*texts(item["record"])]
    for name in HOSTILE:
        tables = [item["table"] for item in found if item["entityId"] == name]
        assert len(set(tables)) == 8, name  # a memory space is in its own space
        assert len(tables) == (14 if name == "x" else 8)


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    return [text for one in value for text in texts(one)] if isinstance(value, list) else [value]


async def test_a_batch_is_one_read_with_as_many_statements_for_many_rows_as_for_one_of_each_table(
    make_store: Any,
) -> None:
    store = make_store(":memory:")
    await keep(store)
    counted: list[tuple[int, int]] = []
    statements: list[str] = []
    for round in range(2):
        for number in range(round, 40 * round + 1):
            await one_of_each(store, f"r{number}", f"s{number}")
            await store.begin(f"st{number}")
            await store.append(0, "some words", f"st{number}")
            await store.backend.mutation("users:update", {"userId": f"u{number}", "data": {}})
            await store.backend.mutation("agents:register", {"agentId": f"a{number}", "name": "A"})
        store.backend._writer.set_trace_callback(statements.append)
        found = await batch(store)
        store.backend._writer.set_trace_callback(None)
        assert len({item["table"] for item in found}) == 9
        counted.append((len(found), len(statements)))
        statements.clear()
    assert counted[1][0] > 30 * counted[0][0] and counted[1][1] == counted[0][1] <= 30
    records = [key(item) for item in found]
    counted.clear()
    for asked in (records[:100], records):
        store.backend._writer.set_trace_callback(statements.append)
        assert await store.backend.query("graphSync:exists", {"records": asked}) == [True] * len(asked)
        store.backend._writer.set_trace_callback(None)
        counted.append((len(asked), len(statements)))
        statements.clear()
    assert counted[1][0] > 4 * counted[0][0] and counted[1][1] <= counted[0][1] + 2
    await store.backend.close()


async def test_a_batch_ends_before_its_values_are_too_large(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_records, "_SIZE", 1000)
    await keep(store)
    for number, size in enumerate((400, 400, 400, 3000, 1)):
        await store.backend.mutation("mutable:set", {"namespace": "n", "key": f"k{number}", "value": "x" * size})
        await store.backend.mutation("immutable:store", {"type": "t", "id": f"i{number}", "data": {"x": "x"}})
    last, parts = 0, []
    while found := await batch(store, after=last):
        parts.append([item["entityId"] for item in found])
        last = found[-1]["revision"]
    assert parts == [["k0", "i0", "k1", "i1"], ["k2", "i2"], ["k3"], ["i3", "k4", "i4"]]


async def test_what_is_below_an_orphan_is_told_of_its_place(store: Any) -> None:
    await keep(store)
    for name, above in (("a", {}), ("b", {"parentId": "a"}), ("c", {"parentId": "b"}), ("d", {"parentId": "c"})):
        made = {"memorySpaceId": "s", "contextId": name, "purpose": "p", "status": "active", **above}
        await store.backend.mutation("contexts:create", made)
    assert {item["entityId"]: (item["record"]["rootId"], item["record"]["depth"]) for item in await batch(store)} == {
        "a": ("a", 0), "b": ("a", 1), "c": ("a", 2), "d": ("a", 3),
    }  # fmt: skip
    last = (await batch(store))[-1]["revision"]
    where = {"memorySpaceId": "s", "contextId": "a"}
    await store.backend.mutation("contexts:deleteContext", {**where, "orphanChildren": True})
    rows = {item["entityId"]: item.get("record", {}) for item in await batch(store, after=last)}
    assert {name: (record.get("rootId"), record.get("depth")) for name, record in rows.items()} == {
        "a": (None, None), "b": ("b", 0), "c": ("b", 1), "d": ("b", 2),
    }  # fmt: skip
    assert "parentId" not in rows["b"] and rows["c"]["parentId"] == "b"


async def test_a_space_that_is_cleared_step_by_step_leaves_no_context_at_a_place_that_nobody_is_told_of(
    store: Any,
) -> None:
    await keep(store)
    for number in range(4):
        above = {"parentId": f"x{number - 1}"} if number else {}
        made = {"memorySpaceId": "s", "contextId": f"x{number}", "purpose": "p", "status": "active", **above}
        await store.backend.mutation("contexts:create", made)
    graph = {item["entityId"]: item["record"] for item in await batch(store)}
    while (await store.backend.mutation("memorySpaces:clear", {"memorySpaceId": "s", "limit": 1}))["more"]:
        now = {item["entityId"]: item.get("record") for item in await batch(store)}
        assert {name: record for name, record in now.items() if record} == {
            name: record for name, record in graph.items() if now[name]
        }


# --- the lease --------------------------------------------------------------------------------------------------------


async def test_of_many_who_want_the_lease_one_gets_it_in_several_processes(store: Any, make_store: Any) -> None:
    others = [make_store(store.path, new_id=lambda: "another") for _ in range(3)]
    wanted = [
        one.backend.mutation("graphSync:lease", {"holder": f"h{number}", "seconds": 60})
        for number, one in enumerate([store, *others] * 5)
    ]
    got = await asyncio.gather(*wanted)
    assert [one["held"] for one in got].count(True) == 1 and {one["term"] for one in got} == {1}
    assert len({one["store"] for one in got}) == 1
    for one in others:
        await one.backend.close()


async def test_term_and_store_outlive_the_process_and_the_outbox(store: Any, make_store: Any) -> None:
    first = await store.backend.mutation("graphSync:lease", {"holder": "a", "seconds": 60})
    await store.backend.mutation("graphSync:release", {"holder": "a"})
    for enabled in (True, False):
        await store.backend.mutation("graphSync:keep", {"enabled": enabled})
    await store.backend.close()
    again = make_store(store.path)
    second = await again.backend.mutation("graphSync:lease", {"holder": "a", "seconds": 60})
    assert (second["term"], second["store"]) == (first["term"] + 1, first["store"])
    await again.backend.close()


# --- older files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False])
async def test_what_had_no_row_in_an_older_file_gets_one_if_a_graph_is_kept(
    make_store: Any, tmp_path: Path, kept: bool
) -> None:
    store = make_store(tmp_path / "memory.db")
    before = next(number for number, one in enumerate(MIGRATIONS) if any("outbox_lease" in text for text in one))
    with closing(sqlite3.connect(store.path)) as db:
        for statement in (statement for migration in MIGRATIONS[:before] for statement in migration):
            db.execute(statement)
        if kept:
            db.execute("INSERT INTO settings VALUES ('graph', 'kept')")
            db.execute("INSERT INTO outbox (record_table, scope, key) VALUES ('conversations', 's', 'c')")
        db.execute("INSERT INTO mutable VALUES (NULL, 'n', 'k', '1', NULL, NULL, 1, 1, 1)")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {before}")
        db.commit()
    rows = [(item["table"], item["entityId"], item["attempts"]) for item in await batch(store)]
    assert rows == ([("conversations", "c", 0), ("mutable", "k", 0)] if kept else [])
    await store.backend.mutation("mutable:set", {"namespace": "n", "key": "k2", "value": 2})
    assert len(await batch(store)) == (3 if kept else 0)
    await store.backend.close()


# --- the law ----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from("ab")
DRAINERS = st.sampled_from((0, 1))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), NAMES),
        st.tuples(st.just("delete"), NAMES),
        st.tuples(st.just("append"), st.none()),
        st.tuples(st.just("take over"), DRAINERS),
        st.tuples(st.just("read"), DRAINERS),
        st.tuples(st.just("write"), DRAINERS),
        st.tuples(st.just("acknowledge"), DRAINERS),
        st.tuples(st.just("fail"), DRAINERS),
        st.tuples(st.just("overtaken"), DRAINERS),
    ),
    min_size=20,
    max_size=60,
)


class Drained:
    """A store, a graph that refuses an older term than it knows, and two drainers, of which one may be late."""

    def __init__(self) -> None:
        self.backend = SqliteBackend(":memory:", clock=lambda: self.now)
        self.now = 1000.0
        self.graph: dict[tuple[str, str], Any] = {}
        self.fence = 0
        self.terms = [0, 0]
        self.read: list[list[Item]] = [[], []]
        self.changes = 0

    async def step(self, what: str, of: Any) -> None:
        do = self.backend.mutation
        where = {"memorySpaceId": "s", "memoryId": of}
        match what:
            case "change":
                self.changes += 1
                await do("mutable:set", {"namespace": "n", "key": of, "value": self.changes})
            case "delete" if await self.backend.query("mutable:exists", {"namespace": "n", "key": of}):
                await do("mutable:deleteKey", {"namespace": "n", "key": of})
            case "append":
                where = {"streamId": "st", "memorySpaceId": "s", "epoch": 1, "attempt": 0}
                self.changes += 1
                await do("streams:append", {**where, "start": self.length, "text": "x"})
                self.length += 1
            case "take over":  # the other one stands still, and goes on later
                self.now += 100
                self.terms[of] = (await do("graphSync:lease", {"holder": f"h{of}", "seconds": 60}))["term"]
            case "read":
                self.read[of] = await self.backend.query("graphSync:getBatch", {"limit": 2})
            case "write" if self.terms[of] >= self.fence:
                self.fence = self.terms[of]
                for item in self.read[of]:
                    self.graph[item["table"], item["entityId"]] = (item["revision"], item.get("record"))
            case "acknowledge":
                await self.acknowledge(of)
            case "fail":
                items = seen(self.read[of])
                await do("graphSync:markFailed", {"items": items, "error": f"E{self.changes}"})
            case "overtaken":  # by a change of what it writes
                for one, name in (("change", "a"), ("read", of), ("write", of), ("change", "a"), ("acknowledge", of)):
                    await self.step(one, name)
            case _:
                pass

    async def acknowledge(self, of: int) -> None:
        """What was written, if it was."""
        written = [
            item
            for item in self.read[of]
            if self.graph.get((item["table"], item["entityId"]), (0, None))[0] >= item["revision"]
        ]
        try:
            await self.backend.mutation("graphSync:markSynced", {"items": seen(written), "holder": f"h{of}"})
        except Fenced:
            assert self.terms[of] < max(self.terms) or not self.terms[of]

    length = 0

    async def run(self, steps: list[tuple[str, Any]]) -> None:
        await self.backend.mutation("graphSync:keep", {"enabled": True})
        asked = {"conversationId": "c", "userMessage": "why?", "userId": "ada", "importance": 1, "tags": []}
        await self.backend.mutation("streams:begin", {"streamId": "st", "memorySpaceId": "s", **asked})
        for what, of in (("take over", 0), *steps):
            await self.step(what, of)
        await self.backend.mutation("graphSync:retry", {})
        await self.step("take over", 0)
        while True:
            await self.step("read", 0)
            if not self.read[0]:
                break
            await self.step("write", 0)
            await self.step("acknowledge", 0)
        for enabled in (False, True):
            await self.backend.mutation("graphSync:keep", {"enabled": enabled})
        there = await self.backend.query("graphSync:getBatch", {})
        now = {(item["table"], item["entityId"]): item["record"] for item in there}
        assert {at: record for at, (_, record) in self.graph.items() if record is not None} == now
        await self.backend.close()


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_whatever_is_late_lost_or_failed_the_graph_becomes_what_the_store_has(steps: list[tuple[str, Any]]) -> None:
    asyncio.run(Drained().run(steps))
