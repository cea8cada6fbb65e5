"""users: profiles, merges, versions, filters, what is deleted."""

from __future__ import annotations

import asyncio
from typing import Any

from cortex_rx.errors import IdempotencyConflict, InvalidArgument, UserNotFound, VersionConflict
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


def _id(b: Bench, name: str) -> str:
    """A user that no other test has: profiles belong to the whole store."""
    return f"{b.space}-{name}"


async def _update(b: Bench, name: str = "ada", **more: Any) -> Row:
    row: Row = await b.do("users:update", userId=_id(b, name), **{"data": {"name": name}, **more})
    return row


async def _merge(b: Bench, updates: Row, name: str = "ada", **more: Any) -> Row:
    row: Row = await b.do("users:merge", userId=_id(b, name), updates=updates, **more)
    return row


async def _get(b: Bench, name: str = "ada") -> Row | None:
    row: Row | None = await b.ask("users:get", userId=_id(b, name))
    return row


@PROMISES.add("users:update", "users:get", "users:exists", "immutable:get", "immutable:store")
async def a_profile_is_an_entry(b: Bench) -> None:
    """A profile is the immutable entry of type "user" with the user's id, whichever function stores it. An update
    replaces all of its data."""
    user = _id(b, "ada")
    b.same((await _get(b), await b.ask("users:exists", userId=user)), (None, False), "a user without a profile")
    first = await _update(b, data={"a key": {"inKey": None}, "n": 1.5})
    b.same((first["id"], first["version"], first["updatedAt"]), (user, 1, first["createdAt"]), "the profile")
    b.same(first["data"], {"a key": {"inKey": None}, "n": 1.5}, "its data")
    await b.passes(2)
    second = await _update(b, data={"m": 2}, expectedVersion=1)
    b.same((second["version"], second["data"]), (2, {"m": 2}), "after an update")
    b.same((second["createdAt"], second["updatedAt"] > first["updatedAt"]), (first["createdAt"], True), "its times")
    b.same((await _get(b), await b.ask("users:exists", userId=user)), (second, True), "what is stored")
    entry = await b.ask("immutable:get", type="user", id=user) or {}
    b.same({name: entry.get(name) for name in second}, second, "the entry")
    b.same([one["data"] for one in entry["previousVersions"]], [first["data"]], "its earlier versions")
    await b.do("immutable:store", type="user", id=user, data={"k": 3})
    b.same((await _get(b) or {})["data"], {"k": 3}, "the profile after the entry was stored")
    await b.refused(VersionConflict, _update(b, expectedVersion=2), "an update of a stale version")
    await b.refused(VersionConflict, _update(b, "bob", expectedVersion=1), "an update of what is not there")
    again = [await _update(b, data={"k": 4}, operationId="x") for _ in range(2)]
    b.same((again[0], again[0]["version"]), (again[1], 4), "the same call again")
    await b.refused(IdempotencyConflict, _update(b, data={"k": 5}, operationId="x"), "another update under the id")


@PROMISES.add("users:merge")
async def merges_lose_nothing(b: Bench) -> None:
    """A merge goes into objects at any depth, and replaces all else. Of merges at once none is lost; one that changes
    nothing makes no version."""
    await b.refused(UserNotFound, _merge(b, {"k": 1}), "a merge into what is not there")
    await _update(b, data={"name": "Ada", "likes": {"tea": {"green": 1}, "list": [1, 2]}, "n": {"k": 1}})
    row = await _merge(b, {"likes": {"tea": {"black": 2}, "list": [3], "cake": {}}, "n": 5, "new": {"k": None}})
    want = {
        "name": "Ada", "likes": {"tea": {"green": 1, "black": 2}, "list": [3], "cake": {}}, "n": 5, "new": {"k": None}
    }  # fmt: skip
    b.same((row["version"], row["data"]), (2, want), "after a merge")
    b.same(await _merge(b, {"n": 5, "likes": {"tea": {}}}), row, "a merge that changes nothing")
    b.same((await _merge(b, {"n": True}, expectedVersion=2))["version"], 3, "a merge of another value")
    await b.refused(VersionConflict, _merge(b, {"n": 6}, expectedVersion=2), "a merge into a stale version")
    again = [await _merge(b, {"n": number}, **named) for number, named in ((7, {"operationId": "x"}), (8, {}))]
    again.append(await _merge(b, {"n": 7}, operationId="x"))
    await b.refused(IdempotencyConflict, _merge(b, {"n": 6}, operationId="x"), "another merge under the id")
    b.same((again[2], again[1]["version"]), (again[0], 5), "a merge that is sent again")
    b.same((await _get(b) or {})["data"]["n"], 8, "what it has changed")
    await asyncio.gather(*(_merge(b, {"at once": {str(number): number}}) for number in range(20)))
    row = await _get(b) or {}
    b.same(row["version"], 25, "the version after 20 merges at once")
    b.same(sorted(row["data"]["at once"].values()), [*range(20)], "what they have merged")


@PROMISES.add("users:getOrCreate")
async def a_profile_is_made_once(b: Bench) -> None:
    """`getOrCreate` makes a profile of the defaults, or gives the one that is there; of calls at once one makes it."""

    async def get_or_create(name: str, **more: Any) -> Row:
        row: Row = await b.do("users:getOrCreate", userId=_id(b, name), **more)
        return row

    rows = await asyncio.gather(*(get_or_create("ada", defaults={"n": number}) for number in range(8)))
    b.same([row == rows[0] for row in rows], [True] * 8, "whether all calls give the same profile")
    b.same((rows[0]["version"], await _get(b)), (1, rows[0]), "what is stored")
    b.same((await get_or_create("bob"))["data"], {}, "a profile without defaults")
    await _update(b, "bob", data={"n": 1})
    b.same((await get_or_create("bob", defaults={"n": 2}))["data"], {"n": 1}, "a profile that is there")


@PROMISES.add("users:updateMany")
async def many_profiles_are_merged(b: Bench) -> None:
    """`updateMany` merges the same into each profile and passes users without one over. With `skipVersioning` the
    version before is not kept."""
    for name in ("ada", "bob", "eve"):
        await _update(b, name, data={"name": name, "in": {"k": 1}})
    users = [_id(b, name) for name in ("bob", "nobody", "ada", "bob")]
    there = {"updated": 2, "userIds": [users[0], users[2]]}
    for _ in range(2):
        result = await b.do("users:updateMany", userIds=users, updates={"in": {"m": 2}}, operationId="x")
        b.same(result, there, "the users that were updated")
    rows = [await _get(b, name) or {} for name in ("ada", "bob", "eve")]
    b.same([row["version"] for row in rows], [2, 2, 1], "the versions")
    b.same(rows[0]["data"], {"name": "ada", "in": {"k": 1, "m": 2}}, "the data of one")
    b.same((await _get(b, "nobody"), rows[2]["data"]), (None, {"name": "eve", "in": {"k": 1}}), "the others")
    await b.passes(2)
    await b.do("users:updateMany", userIds=users, updates={"n": 3}, skipVersioning=True)
    history = await b.ask("users:getHistory", userId=users[2])
    b.same([row["version"] for row in history], [3, 1], "the versions that are kept")
    b.same((await _get(b) or {})["data"], {"name": "ada", "in": {"k": 1, "m": 2}, "n": 3}, "the data")
    moment = {"userId": users[2], "timestamp": rows[0]["updatedAt"]}
    b.same(await b.ask("users:getAtTimestamp", **moment), None, "the version that is not kept, by its time")


@PROMISES.add("users:deleteUserProfile", "users:deleteMany")
async def a_deleted_profile_is_gone(b: Bench) -> None:
    """A deletion takes a profile with all its versions, and nothing else. With `dryRun` it only says what it would
    delete."""
    for name in ("ada", "ada", "bob", "eve", "eve"):
        await _update(b, name)
    before, delete = await b.ask("users:count"), {"userId": _id(b, "ada")}
    last = (await _get(b, "eve") or {})["updatedAt"]

    async def deleted(**more: Any) -> tuple[bool, int]:
        result = await b.do("users:deleteUserProfile", **delete, **more)
        b.same(result["deletedAt"] >= last, True, "whether deletedAt is not before the last update")
        return result["deleted"], result["versionsDeleted"]

    for dry_run in (True, False):
        b.same((await _get(b) or {}).get("version"), 2, "the profile before it is deleted")
        b.same(await deleted(dryRun=dry_run), (True, 2), "what is deleted")
    b.same((await _get(b), await b.ask("users:getHistory", **delete)), (None, []), "what is left")
    b.same(await b.ask("users:exists", **delete), False, "whether it exists")
    b.same(await deleted(), (False, 0), "once more")
    users = [_id(b, name) for name in ("eve", "ada", "bob", "eve")]
    result = await b.do("users:deleteMany", userIds=users)
    b.same(result, {"deleted": 2, "userIds": [users[0], users[2]]}, "what is deleted of several")
    b.same(await b.ask("users:count"), before - 3, "the count")
    b.same((await _update(b, "eve"))["version"], 1, "the version of a new profile")


@PROMISES.add("users:search", "users:count", "users:page", "users:list")
async def profiles_are_filtered_before_the_limit(b: Bench) -> None:
    """Profiles are found by values at paths of their data, and by their times; the oldest comes first. Filters act
    before a limit, and a count is the length of the list."""
    tag = {"run": b.space}
    told: list[Row] = [
        {"tier": "pro", "n": 1, "likes": {"theme": "dark", "list": [1, {"k": 2}]}}, {"tier": "free", "n": True},
        {"tier": "pro", "n": 1.0, "likes.theme": "dark"}, {"tier": None, "likes": {"theme": "light"}},
    ]  # fmt: skip
    for number, data in enumerate(told):
        await _update(b, str(number), data={**tag, **data})
        await b.passes(2)
    await _merge(b, {"tier": "pro"}, "1")
    rows = [await _get(b, str(number)) or {} for number in range(4)]
    third, second = rows[2]["createdAt"], rows[1]["updatedAt"]
    cases: list[tuple[Row, Row, list[int]]] = [
        ({}, {}, [0, 1, 2, 3]), ({"tier": "pro"}, {}, [0, 1, 2]), ({"tier": "free"}, {}, []), ({"tier": None}, {}, [3]),
        ({"likes.theme": "dark"}, {}, [0, 2]), ({"likes": {"theme": "light"}}, {}, [3]), ({"likes": {}}, {}, []),
        ({"n": 1}, {}, [0, 2]), ({"n": True}, {}, [1]), ({"likes.list": [1, {"k": 2}]}, {}, [0]),
        ({"tier": "pro", "n": 1}, {}, [0, 2]), ({"nothing": None}, {}, []), ({"tier.x": "pro"}, {}, []),
        ({}, {"createdBefore": third}, [0, 1]), ({}, {"createdAfter": third}, [2, 3]),
        ({}, {"updatedAfter": second}, [1]), ({}, {"updatedBefore": second}, [0, 2, 3]), ({}, {"createdBefore": 0}, []),
        ({"tier": "pro"}, {"createdAfter": rows[1]["createdAt"], "updatedBefore": second}, [2]),
    ]  # fmt: skip
    for data, times, want in cases:
        args, there = {"data": {**tag, **data}, **times}, [rows[number] for number in want]
        b.same(await b.ask("users:search", **args), there, f"the search with {args}")
        b.same(await b.ask("users:count", **args), len(want), f"the count with {args}")
        for limit in (0, 1, 2):
            b.same(await b.ask("users:search", **args, limit=limit), there[:limit], f"the first {limit}")
            b.same(await b.ask("users:search", **args, offset=limit), there[limit:], f"those after {limit}")
        paged: list[Row] = []
        more: Row = {}
        while True:
            page = await b.ask("users:page", **args, limit=2, **more)
            paged += page["page"]
            if "cursor" not in page:
                break
            more = {"cursor": page["cursor"]}
        b.same(paged, there, f"the pages with {args}")
    await b.refused(InvalidArgument, b.ask("users:page", cursor="x"), "a page behind what is no cursor")
    whole = await b.ask("users:list")
    b.same([row for row in whole if row["id"].startswith(b.space)], rows, "the list, oldest first")
    b.same(await b.ask("users:count"), len(whole), "the count of all")
    b.same(await b.ask("users:list", limit=2, offset=len(whole) - 3), whole[-3:-1], "a part of the list")
    b.same(await b.ask("users:count", createdAfter=0), len(whole), "the count since 0")


@PROMISES.add("users:getVersion", "users:getHistory", "users:getAtTimestamp")
async def a_profile_has_its_versions(b: Bench) -> None:
    """The versions of a profile are there by number, by time, and all of them, newest first."""
    rows: list[Row] = []
    for number in range(3):
        rows.append(await _update(b, data={"n": number}))
        await b.passes(2)
    user = {"userId": _id(b, "ada")}
    history = await b.ask("users:getHistory", **user)
    want = [{"version": row["version"], "data": row["data"], "timestamp": row["updatedAt"]} for row in rows]
    b.same(history, want[::-1], "the history")
    for one in want:
        b.same(await b.ask("users:getVersion", **user, version=one["version"]), one, "a version by its number")
        b.same(await b.ask("users:getAtTimestamp", **user, timestamp=one["timestamp"]), one, "a version by its time")
    b.same(await b.ask("users:getAtTimestamp", **user, timestamp=want[0]["timestamp"] - 1), None, "before the first")
    b.same(await b.ask("users:getVersion", **user, version=4), None, "a version that never was")
    for path, more in (("getVersion", {"version": 1}), ("getAtTimestamp", {"timestamp": want[2]["timestamp"]})):
        b.same(await b.ask(f"users:{path}", userId=_id(b, "bob"), **more), None, f"{path} of what is not there")
