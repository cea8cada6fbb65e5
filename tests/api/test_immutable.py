"""`ImmutableAPI` over a real SQLite file."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cortex_rx import ImmutableEntry, SqliteBackend
from cortex_rx.api.immutable import ImmutableAPI
from cortex_rx.errors import EntryNotFound, InvalidArgument, StoreUnavailable, VersionConflict
from cortex_rx.models.immutable import ImmutableRecord, ImmutableVersion
from cortex_rx.testing import Faulty, run_virtual, wall


@pytest.fixture
def immutable(backend: Any) -> ImmutableAPI:
    return ImmutableAPI(backend)


async def test_an_entry_is_given_as_a_model_a_mapping_or_keywords(immutable: Any) -> None:
    data = {"userId": 1, "snake_key": {"camelKey": [None]}}
    for entry, keywords in (
        (ImmutableEntry("note", "a", data, "ada", {"anyKey": 1}), {}),
        ({"type": "note", "id": "a", "data": data, "userId": "ada"}, {"metadata": {"anyKey": 1}}),
        (None, {"type": "note", "id": "a", "data": data, "user_id": "ada", "metadata": {"anyKey": 1}}),
    ):
        stored = await immutable.store(entry, **keywords)
        assert (stored.data, stored.metadata, stored.user_id) == (data, {"anyKey": 1}, "ada")
    assert stored.version == stored["version"] == 3
    assert [one["version"] for one in stored["previousVersions"]] == [1, 2]
    assert stored["updatedAt"] == stored.updated_at > stored.created_at
    assert await immutable.get("note", "a") == stored
    assert await immutable.get("note", "b") is None


async def test_versions_are_there_by_number_and_time(immutable: Any) -> None:
    for number in range(3):
        await immutable.store(type="note", id="a", data={"n": number})
    history = await immutable.get_history("note", "a")
    assert [(one.version, one.data, one.type) for one in history] == [(n + 1, {"n": n}, "note") for n in range(3)]
    assert await immutable.get_version("note", "a", 2) == history[1]
    second = datetime.fromtimestamp(history[1].timestamp / 1000, UTC)
    assert await immutable.get_at_timestamp("note", "a", second) == history[1]
    assert await immutable.get_at_timestamp("note", "a", history[1].timestamp - 1) == history[0]
    assert await immutable.get_at_timestamp("note", "a", 0) is None
    assert await immutable.get_version("note", "a", 4) is None
    with pytest.raises(InvalidArgument, match="timestamp: got 'a datetime without a time zone'"):
        await immutable.get_at_timestamp("note", "a", datetime(2026, 1, 1))  # noqa: DTZ001


async def test_a_stale_version_is_refused(immutable: Any) -> None:
    await immutable.store(type="note", id="a", data={}, expected_version=0)
    with pytest.raises(VersionConflict) as refused:
        await immutable.store(type="note", id="a", data={}, expected_version=0)
    assert (refused.value.expected, refused.value.stored, refused.value.code) == (0, 1, "VERSION_CONFLICT")


async def test_lists_counts_pages_and_searches_agree(immutable: Any, backend: Any) -> None:
    for number in range(7):
        await immutable.store(type=f"t{number % 2}", id=str(number), data={"n": f"No. {number}"}, user_id="ada")
    for args in ({}, {"type": "t0"}, {"user_id": "ada"}, {"type": "t1", "user_id": "ada"}, {"user_id": "bob"}):
        listed = await immutable.list(**args)
        assert len(listed) == await immutable.count(**args) == len(await immutable.search("NO.", **args, limit=99))
        paged = [entry async for entry in immutable.iterate(**args, page_size=2)]
        assert paged == listed[::-1]
    assert [entry.id for entry in await immutable.list("t0", None, 2, offset=1)] == ["4", "2"]
    assert await immutable.list(limit=0) == []
    assert await immutable.list(None, None, None) == await immutable.list()  # Cortex's programs may give None
    assert await immutable.search("no.", None, None, None) == await immutable.search("no.")
    (found,) = await immutable.search("no. 5")
    assert (found.entry.id, found["score"], found.highlights) == ("5", 0.5, ("No. 5",))
    sizes = [args["limit"] for path, args in backend.made if path == "immutable:page"]
    assert set(sizes) == {2}


async def test_what_is_stored_meanwhile_comes_at_the_end(immutable: Any) -> None:
    for name in "abcd":
        await immutable.store(type="note", id=name, data={})
    seen: list[str] = []
    async for entry in immutable.iterate("note", page_size=2):
        if entry.id == "a":
            await immutable.purge("note", "c")
            await immutable.store(type="note", id="e", data={})
        seen.append(entry.id)
    assert seen == ["a", "b", "d", "e"]


async def test_exports_have_all_and_a_stream_has_the_same_text(immutable: Any) -> None:
    for number in range(230):
        await immutable.store(type="note", id=f"=1+{number}", data={"a,b": [number, '"']}, metadata={})
    await immutable.store(type="mail", id="x", data={})
    for format in ("json", "csv"):
        whole = await immutable.export(format, "note")
        pieces = [piece async for piece in immutable.stream_export(format, "note")]
        assert "".join(pieces) == whole.data and len(pieces) > 230
        assert (whole.count, whole.format) == (230, format)
    rows = json.loads((await immutable.export(type="note")).data)
    assert [row["id"] for row in rows] == [f"=1+{number}" for number in range(230)]
    assert rows[7]["data"] == {"a,b": [7, '"']} and set(rows[7]) == {
        *("type", "id", "version", "data", "metadata", "createdAt", "updatedAt")
    }
    table = [*csv.DictReader(io.StringIO((await immutable.export("csv", "note")).data, newline=""))]
    assert [row["id"] for row in table] == [f"'=1+{number}" for number in range(230)]
    assert json.loads(table[7]["data"]) == {"a,b": [7, '"']}
    with pytest.raises(InvalidArgument, match="format"):
        await immutable.export("xml")


async def test_purging(immutable: Any) -> None:
    for number in range(4):
        for _ in range(3):
            await immutable.store(type="note", id=str(number), data={}, user_id="ada" if number else "bob")
    third = (await immutable.get("note", "2")).created_at
    assert (await immutable.purge_versions("note", "3", 2)).versions_remaining == 2
    assert (await immutable.purge("note", "3"))["versionsDeleted"] == 2
    with pytest.raises(EntryNotFound):
        await immutable.purge("note", "3")
    dry = await immutable.purge_many("note", "ada", third, True)
    assert (dry.deleted, dry.total_versions_deleted, dry.entries[0].id, dry.dry_run) == (1, 3, "1", True)
    assert await immutable.count() == 3
    assert (await immutable.purge_many("note", "ada", third)).deleted == 1
    assert [entry.id for entry in await immutable.list()] == ["2", "0"]
    for empty in ({}, {"dry_run": True}):
        with pytest.raises(InvalidArgument, match="^type: got 'nothing'"):
            await immutable.purge_many(**empty)
    with pytest.raises(InvalidArgument, match="^keep_latest: got 'nothing'"):
        await immutable.purge_versions("note", "0")


def test_a_lost_answer_makes_one_version() -> None:
    async def main() -> tuple[int, list[Any]]:
        store = Faulty(SqliteBackend(":memory:", clock=wall), "1 fail, 2 fail-after, 4 fail-after")
        immutable = ImmutableAPI(store)
        first = await immutable.store(type="note", id="a", data={"n": 1})
        await immutable.store(type="note", id="a", data={"n": 1})
        history = await immutable.get_history("note", "a")
        await store.close()
        return first.version, [one.version for one in history]

    assert run_virtual(main()) == (1, [1, 2])


def test_a_store_that_stays_away_is_said() -> None:
    async def main() -> None:
        store = Faulty(SqliteBackend(":memory:", clock=wall), ", ".join(f"{at} fail" for at in range(1, 9)))
        try:
            await ImmutableAPI(store).store(type="note", id="a", data={})
        finally:
            await store.close()

    with pytest.raises(StoreUnavailable):
        run_virtual(main())


def test_records_are_made_as_cortex_makes_them() -> None:
    version = ImmutableVersion(1, {"k": 1}, 5, {"m": 2})
    assert (version.metadata, version.timestamp) == ({"m": 2}, 5)
    record = ImmutableRecord(None, "note", "a", {}, 1, [version], 5, 6, "ada")
    assert (record.user_id, record["previousVersions"][0]["data"]) == ("ada", {"k": 1})
