"""`UsersAPI` over a real SQLite file, by several tasks and processes."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import Cortex, DeleteUserOptions, SqliteBackend
from cortex_rx.api.immutable import ImmutableAPI
from cortex_rx.api.users import UsersAPI
from cortex_rx.errors import InvalidArgument, UnsupportedOption, UserNotFound, VersionConflict
from cortex_rx.models.users import UserFilters, UserProfile, UserVersion
from cortex_rx.testing import Faulty, run_virtual, wall


@pytest.fixture
def users(backend: Any) -> UsersAPI:
    return UsersAPI(backend)


async def test_a_profile_is_an_entry_of_the_whole_store(users: Any, backend: Any) -> None:
    data = {"displayName": "Ada", "snake_key": {"camelKey": None}}
    profile = await users.update("ada", data)
    assert profile == UserProfile("ada", data, 1, profile.created_at, profile.updated_at)
    assert (profile["createdAt"], profile["data"]["displayName"]) == (profile.created_at, "Ada")
    entry = await ImmutableAPI(backend).get("user", "ada")
    assert entry is not None and entry.data == data
    assert (await users.update("ada", {"n": 1})).data == {"n": 1}
    assert (await users.get("ada")).version == 2 and await users.exists("ada")
    assert await users.get("bob") is None and not await users.exists("bob")
    with pytest.raises(VersionConflict):
        await users.update("ada", {}, expected_version=1)


async def test_versions_are_oldest_first(users: Any) -> None:
    profiles = [await users.update("ada", {"n": number}) for number in range(3)]
    history = await users.get_history("ada")
    assert history == [UserVersion(one.version, one.data, one.updated_at) for one in profiles]
    assert await users.get_version("ada", 2) == history[1]
    assert await users.get_at_timestamp("ada", datetime.fromtimestamp(history[1].timestamp / 1e3, UTC)) == history[1]
    assert await users.get_at_timestamp("ada", 0) is None
    assert await users.get_history("bob") == []


async def test_a_merge_is_deep(users: Any) -> None:
    with pytest.raises(UserNotFound):
        await users.merge("ada", {})
    await users.update("ada", {"likes": {"tea": {"green": 1}}, "tags": [1, 2]})
    merged = await users.merge("ada", {"likes": {"tea": {"black": True}}, "tags": [3]}, expected_version=1)
    assert merged.data == {"likes": {"tea": {"green": 1, "black": True}}, "tags": [3]}
    assert (await users.merge("ada", {"tags": [3]})).version == 2
    with pytest.raises(VersionConflict):
        await users.merge("ada", {"tags": []}, expected_version=1)


def test_two_processes_merge_and_make_profiles_at_once(tmp_path: Path) -> None:
    """200 merges of different keys, and 40 calls that make one of 20 profiles: none is lost, none is made twice."""
    path, waits = tmp_path / "memory.db", os.pipe()

    async def work(number: int) -> None:
        async with SqliteBackend(path, busy_timeout=5) as backend:
            users = UsersAPI(backend)
            merges = [users.merge("ada", {"at": {f"{number}-{at}": at}}) for at in range(100)]
            makes = [users.get_or_create(f"user {at}", {"by": number}) for at in range(20)]
            done = await asyncio.gather(*merges, *makes)
            (tmp_path / f"{number}.json").write_text(json.dumps([one.data for one in done[100:]]))

    asyncio.run(_first(path))
    children = []
    for number in range(2):
        if not (child := os.fork()):
            status = 1
            try:
                os.close(waits[1])
                os.read(waits[0], 1)  # until both are there
                asyncio.run(work(number))
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.close(waits[1])
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    os.close(waits[0])

    async def check() -> None:
        async with SqliteBackend(path) as backend:
            users = UsersAPI(backend)
            ada = await users.get("ada")
            assert ada is not None
            assert ada.data["at"] == {f"{number}-{at}": at for number in range(2) for at in range(100)}
            assert ada.version == 201 == len(await users.get_history("ada"))
            stored = [(await users.get(f"user {at}")) for at in range(20)]
            assert [one and one.version for one in stored] == [1] * 20
            told = [json.loads((tmp_path / f"{number}.json").read_text()) for number in range(2)]
            assert told == [[one and one.data for one in stored]] * 2

    asyncio.run(check())


async def _first(path: Path) -> None:
    async with SqliteBackend(path) as backend:
        await UsersAPI(backend).update("ada", {"at": {}})


async def test_filters_act_before_the_limit(users: Any) -> None:
    for number in range(9):
        await users.update(f"u{number}", {"tier": "pro" if number % 3 == 2 else "free", "in": {"n": number}})
    rows = [user async for user in users.iterate()]
    late = rows[4].created_at
    cases: list[tuple[Any, dict[str, Any], list[int]]] = [
        ({"data.tier": "pro"}, {}, [2, 5, 8]), ({"tier": "pro"}, {}, [2, 5, 8]), ({"in.n": 4}, {}, [4]),
        (UserFilters(data={"tier": "pro"}, created_after=late), {}, [5, 8]),
        ({"createdBefore": late}, {}, [0, 1, 2, 3]),
        ({"data": {"tier": "pro"}, "in.n": 5}, {}, [5]), (None, {"updated_before": 0}, []),
        ({"tier": "pro"}, {"created_after": datetime.fromtimestamp(late / 1000, UTC)}, [5, 8]),
    ]  # fmt: skip
    for filters, keywords, want in cases:
        names = [f"u{number}" for number in want]
        assert [user.id for user in await users.search(filters, **keywords)] == names
        assert [user.id for user in await users.search(filters, 2, **keywords)] == names[:2]
        assert [user.id for user in await users.search(filters, offset=1, **keywords)] == names[1:]
        assert await users.count(filters, **keywords) == len(want)
        assert [user.id async for user in users.iterate(filters, page_size=2, **keywords)] == names
    page = await users.list(3, 7)
    assert [user.id for user in page.users] == [user.id for user in page["users"]] == ["u7", "u8"]
    for twice in ({"data.tier": "pro", "tier": "pro"}, {"data": {"tier": "x"}, "tier": "x"}):
        with pytest.raises(InvalidArgument, match="twice"):
            await users.search(twice)


async def test_many_profiles(users: Any) -> None:
    for name in ("ada", "bob", "eve"):
        await users.update(name, {"name": name})
    done = await users.update_many(["bob", "nobody", "ada"], {"seen": True})
    assert (done["updated"], done.user_ids) == (2, ("bob", "ada"))
    await users.update_many(["ada"], {"n": 1}, True)
    assert [one.version for one in await users.get_history("ada")] == [1, 3]
    assert (await users.get("ada")).data == {"name": "ada", "seen": True, "n": 1}
    assert (await users.get("eve")).version == 1 and not await users.exists("nobody")
    with pytest.raises(UnsupportedOption, match="cascade"):
        await users.delete_many(["ada"], cascade=True)
    gone = await users.delete_many(("ada", "nobody"))
    assert (gone.deleted, gone["userIds"], await users.count()) == (1, ("ada",), 2)


async def test_deleting(users: Any, backend: Any) -> None:
    for _ in range(2):
        await users.update("ada", {})
    await ImmutableAPI(backend).store(type="note", id="n", data={}, user_id="ada")
    for options in (DeleteUserOptions(False, True, True), {"dryRun": True}):
        dry = await users.delete("ada", options)
        assert (dry.versions_deleted, dry.total_deleted, dry.dry_run) == (2, 1, True)
    for cascade in (DeleteUserOptions, lambda **given: given):
        with pytest.raises(UnsupportedOption, match=r"^cascade: got True"):
            await users.delete("ada", cascade(cascade=True))
    assert await users.exists("ada")
    gone = await users.delete("ada", verify=True)
    assert (gone["userId"], gone["versionsDeleted"], gone.deleted_layers) == ("ada", 2, ("user-profile",))
    assert (gone.verification.complete, gone.verification.issues, gone.graph_nodes_deleted) == (True, (), None)
    assert gone.deleted_at > dry.deleted_at
    assert await users.get("ada") is None and await ImmutableAPI(backend).count(user_id="ada") == 1
    for options in ({}, {"dry_run": True}):
        with pytest.raises(UserNotFound):
            await users.delete("ada", options)


async def test_exports(users: Any) -> None:
    for number in range(210):
        await users.update(f"u{number}", {"n": number, "tier": "a,b"})
    await users.merge("u3", {"n": -3})
    for given in ({}, {"format": "csv"}, {"filters": {"n": -3}, "include_version_history": True}):
        whole = await users.export(**given)
        assert "".join([piece async for piece in users.stream_export(**given)]) == whole.data
        assert whole.count == (1 if "filters" in given else 210)
    (row,) = json.loads((await users.export({"n": -3}, "json", False, False, True)).data)
    assert [one["data"]["n"] for one in row["versionHistory"]] == [3, -3]
    table = [*csv.DictReader(io.StringIO((await users.export(format="csv")).data, newline=""))]
    assert [json.loads(one["data"])["n"] for one in table] == [0, 1, 2, -3, *range(4, 210)]
    for name in ("include_memories", "include_conversations"):
        with pytest.raises(UnsupportedOption, match=name):
            await users.export(**{name: True})


def test_a_lost_answer_makes_one_version() -> None:
    async def main() -> list[Any]:
        plan = ", ".join(f"{at} fail-after" for at in (1, 3, 5, 7))
        store = Faulty(SqliteBackend(":memory:", clock=wall), plan)
        users = UsersAPI(store)
        await users.update("ada", {"n": 1})
        await users.merge("ada", {"n": 2})
        done = await users.update_many(["ada"], {"n": 3})
        made = await users.get_or_create("bob", {"n": 4})
        history = await users.get_history("ada")
        await store.close()
        return [[one.data["n"] for one in history], done.updated, made.version]

    assert run_virtual(main()) == [[1, 2, 3], 1, 1]


async def test_a_client_has_them() -> None:
    async with Cortex(":memory:") as cortex:
        await cortex.users.update("ada", {"n": 1})
        assert [entry.id for entry in await cortex.immutable.list("user")] == ["ada"]
