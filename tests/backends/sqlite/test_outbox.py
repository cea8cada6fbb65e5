"""The outbox: a row for each record that changes, in the same transaction, in every process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import SqliteBackend
from cortex_rx.backends.contract.tables import FUNCTIONS
from cortex_rx.backends.sqlite import connection, outbox
from cortex_rx.errors import IdempotencyConflict
from cortex_rx.testing import BACKEND_PROMISES, BackendPromise, wall

ALONE = {"memorySpaceId": "s", "contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}


async def keep(store: Any, yes: bool = True) -> None:
    await store.backend.mutation("graphSync:keep", {"enabled": yes})


def rows(store: Any) -> dict[tuple[str, str, str], int]:
    """The revisions, oldest first."""
    found = store.sql("SELECT record_table, scope, key, revision FROM outbox ORDER BY revision")
    return {(table, scope, key): revision for table, scope, key, revision in found}


def triggers(store: Any) -> set[str]:
    return {name for (name,) in store.sql("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}


async def test_a_refused_write_queues_nothing_also_in_a_shared_transaction(store: Any) -> None:
    await keep(store)

    async def store_alone(memory: str, content: str) -> None:
        await store.backend.mutation("memories:store", {**ALONE, "memoryId": memory, "content": content})

    await store_alone("m1", "first")
    before = rows(store)
    outcomes = await asyncio.gather(
        *(store_alone(memory, content) for memory, content in (("m1", "other"), ("m2", "x"), ("m1", "first"))),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [IdempotencyConflict, type(None), type(None)]
    assert list(rows(store)) == [("memories", "s", "m1"), ("memories", "s", "m2")]
    assert rows(store)["memories", "s", "m1"] == before["memories", "s", "m1"]


async def test_a_transaction_that_fails_leaves_no_row(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await keep(store)
    from cortex_rx.backends.sqlite.functions import memories

    def fails(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(memories, "load", fails)  # after the memory was inserted
    with pytest.raises(ZeroDivisionError):
        await store.backend.mutation("memories:store", {**ALONE, "content": "never"})
    assert rows(store) == {}
    assert await store.count() == 0


KEEP = """
async def main():
    async with SqliteBackend(path) as backend:
        await backend.mutation("graphSync:keep", {"enabled": sys.argv[2] == "on"})
        stored = {"memorySpaceId": "s", "contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}
        await backend.mutation("memories:store", {**stored, "memoryId": "theirs", "content": sys.argv[2]})
asyncio.run(main())
"""


async def test_one_process_turns_it_on_and_the_next_write_of_another_queues(
    store: Any, program: Any, output: Any
) -> None:
    async def store_alone(memory: str) -> None:
        await store.backend.mutation("memories:store", {**ALONE, "memoryId": memory, "content": memory})

    await store_alone("before")
    output(program(KEEP, store.path, "on"))
    await store_alone("after")
    assert list(rows(store)) == [("memories", "s", memory) for memory in ("before", "theirs", "after")]
    there = triggers(store)
    await keep(store, False)
    await store_alone("later")
    assert rows(store) == {}
    assert there - triggers(store) == set(outbox.triggers())


async def test_a_migration_makes_the_triggers_anew(
    store: Any, make_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(store)
    there = triggers(store)
    await store.backend.close()
    made_anew = (
        "DROP TRIGGER outbox_memories_memories_insert",
        "CREATE TRIGGER outbox_old DELETE ON memories BEGIN SELECT 1; END",
    )
    monkeypatch.setattr(connection, "MIGRATIONS", (*connection.MIGRATIONS, made_anew))
    other = make_store(store.path)
    await other.backend.mutation("memories:store", {**ALONE, "memoryId": "m1", "content": "x"})
    assert triggers(other) == there and list(rows(other)) == [("memories", "s", "m1")]
    await other.backend.close()


# --- every mutation of the contract -----------------------------------------------------------------------------------


def key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """The table, the memory space, type or namespace, and the id."""
    scope = row.get("memorySpaceId", row.get("entityType", row.get("namespace", "")))
    return row["table"], scope, row["entityId"]


class Watched(SqliteBackend):
    """Compares what a graph is told of before and after each mutation with the rows of the outbox."""

    changed: Counter[str] = Counter()
    known: dict[str, dict[tuple[str, str, str], Any]] = {}
    """The records as they were after the last mutation, by the file."""

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        if path.startswith("graphSync:"):
            return await super().mutation(path, args)
        file = self._settings.path
        before = self.known.get(file) or await self.records()
        last = (await super().query("graphSync:getSyncStats", {}))["revision"]
        try:
            return await super().mutation(path, args)
        finally:
            rows = await super().query("graphSync:getUnsyncedItems", {"after": last, "limit": 10**6})
            after = self.known[file] = await self.records()
            queued = {key(row) for row in rows}
            changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
            assert changed <= queued, (path, changed - queued)
            assert all(row["revision"] > last for row in rows)
            if changed:
                self.changed[path] += 1

    async def records(self) -> dict[tuple[str, str, str], Any]:
        """All records as a graph is told of them, by table, scope and id."""
        for enabled in (False, True):  # a row for each record that is there
            await super().mutation("graphSync:keep", {"enabled": enabled})
        found: dict[tuple[str, str, str], Any] = {}
        last = 0
        while batch := await super().query("graphSync:getBatch", {"after": last}):
            found |= {key(row): row["record"] for row in batch}
            last = batch[-1]["revision"]
        return found


SOME = (
    "a_correction_takes_the_place",
    "an_archived_space_is_read_and_not_written",
    "participants_come_and_go",
    "participants_of_a_space_come_and_go",
    "a_space_is_deleted_with_everything_in_it",
)


def check(path: Path, promises: Iterable[BackendPromise]) -> None:
    for promise in promises:
        if (
            not any(path.startswith("graphSync:") for path in promise.functions)
            and promise.name != "calls_are_accepted_and_refused"
        ):
            promise.check(lambda promise=promise: Watched(path / f"{promise}.db", clock=wall), virtual=True)  # type: ignore[misc]


def test_each_record_that_a_mutation_changes_has_a_row(tmp_path: Path) -> None:
    check(tmp_path, (promise for promise in BACKEND_PROMISES if promise.name in SOME))
    assert Watched.changed.total() > 30


@pytest.mark.slow(reason="some promises are in every run")
@pytest.mark.timeout(300)
def test_each_record_that_any_mutation_changes_has_a_row(tmp_path: Path) -> None:
    """In every call of every promise of the contract."""
    check(tmp_path, BACKEND_PROMISES)
    changing = {path for path, one in FUNCTIONS.items() if one.kind == "mutation" and not path.startswith("graphSync:")}
    assert changing - set(Watched.changed) == {
        # Nothing shows of them: versions that are not current, vectors, how an agent is configured, leases of answers
        # that are being written.
        *("immutable:purgeVersions", "memories:embed", "memories:reembed", "agents:configure"),
        *("streams:issueToken", "streams:renew", "streams:stop", "streams:takeOver"),
    }
