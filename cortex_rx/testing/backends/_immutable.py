"""immutable: entries and their versions, lists and searches, what is purged."""

from __future__ import annotations

import asyncio
from typing import Any

from cortex_rx.errors import EntryNotFound, IdempotencyConflict, InvalidArgument, VersionConflict
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


def _kind(b: Bench, name: str = "note") -> str:
    """A type that no other test has: entries belong to the whole store."""
    return f"{b.space}-{name}"


async def _store(b: Bench, text: str = "one", name: str = "a", kind: str = "note", **more: Any) -> Row:
    stored: Row = await b.do("immutable:store", type=_kind(b, kind), id=name, **{"data": {"text": text}, **more})
    return stored


async def _ask(b: Bench, path: str, name: str = "a", kind: str = "note", **more: Any) -> Any:
    return await b.ask(f"immutable:{path}", type=_kind(b, kind), id=name, **more)


def _texts(rows: list[Row]) -> list[str]:
    return [row["data"]["text"] for row in rows]


@PROMISES.add("immutable:store", "immutable:get", "immutable:getVersion", "immutable:getHistory")
async def a_store_makes_a_version(b: Bench) -> None:
    """Each store makes the next version. Earlier ones stay as they were; what a store leaves out stays, too."""
    data = {"userId": 1, "a key": {"": None, "\u4eac\u0000": [1.5, True]}}
    first = await _store(b, data=data, userId="ada", metadata={"any": {"key": None}})
    want = {"type": _kind(b), "id": "a", "data": data, "version": 1, "userId": "ada", "previousVersions": []}
    b.same({**first, "metadata": 0, "createdAt": 0, "updatedAt": 0}, {**want, "metadata": 0, "createdAt": 0,
        "updatedAt": 0}, "the first version")  # fmt: skip
    b.same((first["metadata"], first["updatedAt"]), ({"any": {"key": None}}, first["createdAt"]), "metadata, updatedAt")
    await b.passes(5)
    second = await _store(b, "two")
    third = await _store(b, "three", userId="bob", metadata={})
    b.same((second["userId"], second["metadata"]), ("ada", first["metadata"]), "what was left out")
    b.same((third["userId"], third["metadata"], third["version"]), ("bob", {}, 3), "what was given")
    b.same(second["createdAt"], first["createdAt"], "createdAt")
    b.same(second["updatedAt"] > first["updatedAt"], True, "whether updatedAt rises")
    earlier = [
        {"version": row["version"], "data": row["data"], "metadata": row["metadata"], "timestamp": row["updatedAt"]}
        for row in (first, second)
    ]
    b.same(third["previousVersions"], earlier, "previousVersions")
    b.same(await _ask(b, "get"), third, "what is stored")
    versions = await _ask(b, "getHistory")
    b.same([row["version"] for row in versions], [1, 2, 3], "the history, oldest first")
    b.same([row["data"] for row in versions], [row["data"] for row in (first, second, third)], "its data")
    b.same([row["userId"] for row in versions], ["ada", "ada", "bob"], "its users")
    b.same([row["timestamp"] for row in versions], [row["updatedAt"] for row in (first, second, third)], "its times")
    for row in versions:
        b.same(await _ask(b, "getVersion", version=row["version"]), row, "a version by its number")
    b.same(await _ask(b, "getVersion", version=4), None, "a version that never was")
    await _store(b, name="b")
    for path in ("get", "getHistory"):
        b.same(await _ask(b, path, "other"), None if path == "get" else [], f"{path} of what is not there")
    b.same(await _ask(b, "getVersion", "other", version=1), None, "a version of what is not there")
    b.same(await _ask(b, "get", kind="other"), None, "the id in another type")


@PROMISES.add("immutable:store")
async def a_stale_version_is_refused(b: Bench) -> None:
    """With `expectedVersion` a store succeeds only if that version is stored; 0 stands for none."""
    for expected, stored in ((1, 0), (0, None), (0, 1), (2, 1), (1, None), (1, 2)):
        call = _store(b, str(expected), expectedVersion=expected)
        if stored is None:
            b.same((await call)["version"], expected + 1, "the version that is made")
        else:
            error = await b.refused(VersionConflict, call, f"a store for version {expected}, where {stored} is stored")
            b.same((error.expected, error.stored), (expected, stored), "the versions of the error")
    b.same(_texts(await _ask(b, "getHistory")), ["0", "1"], "what is stored")
    calls = (_store(b, str(number), expectedVersion=2) for number in range(5))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    b.same(sum(isinstance(one, dict) for one in outcomes), 1, "how many of five stores at once succeed")


@PROMISES.add("immutable:store")
async def an_operation_makes_one_version(b: Bench) -> None:
    """A store with an operation id that has made a version stores nothing, and gives the entry as that version made
    it. Another store under this id is refused."""
    first = await _store(b, "one", operationId="x", userId="ada")
    b.same(await _store(b, "one", operationId="x", userId="ada"), first, "the same call again")
    second = await _store(b, "two", operationId="y", expectedVersion=1, userId="bob")
    again = await _store(b, "two", operationId="y", expectedVersion=1, userId="bob")
    b.same(again, second, "the same with expectedVersion")
    b.same(await _store(b, "one", operationId="x", userId="ada"), first, "the first call, after the second")
    await _store(b, "one", name="b", operationId="x")
    others: list[Row] = [{"data": {"text": "another"}}, {"userId": "eve"}, {"metadata": {"k": 1}}]
    for other in others:
        call = _store(b, **{"operationId": "x", "userId": "ada", **other})
        await b.refused(IdempotencyConflict, call, f"another store under the id: {other}")
    b.same(len(await _ask(b, "getHistory")), 2, "how many versions there are")
    b.same(len(await _ask(b, "getHistory", "b")), 1, "how many versions another entry has")


@PROMISES.add("immutable:getAtTimestamp", "immutable:purgeVersions")
async def a_time_has_its_version(b: Bench) -> None:
    """`getAtTimestamp` gives the version that was current at that time: none before the entry was made, and none if
    that version is purged."""
    times: list[int] = []
    for text in ("one", "two", "three"):
        times.append((await _store(b, text))["updatedAt"])
        await b.passes(5)
    b.same(times, sorted(set(times)), "the times")

    async def seen() -> list[str | None]:
        moments = (times[0] - 1, times[0], times[1] - 1, times[1], times[2] - 1, times[2], times[2] + 1_000)
        found = [await _ask(b, "getAtTimestamp", timestamp=moment) for moment in moments]
        return [row and row["data"]["text"] for row in found]

    b.same(await seen(), [None, "one", "one", "two", "two", "three", "three"], "the versions at these times")
    b.same(await _ask(b, "getAtTimestamp", timestamp=times[1]), await _ask(b, "getVersion", version=2), "the version")
    await b.do("immutable:purgeVersions", type=_kind(b), id="a", keepLatest=2)
    b.same(await seen(), [None, None, None, "two", "two", "three", "three"], "the versions after a purge")
    b.same(await _ask(b, "getAtTimestamp", timestamp=0), None, "the version at 0")
    b.same(await _ask(b, "getAtTimestamp", "other", timestamp=times[2]), None, "a time of what is not there")


@PROMISES.add("immutable:store", virtual=True)
async def versions_do_not_go_back_in_time(b: Bench) -> None:
    """A version is not before the one before it, also if the clock was set back: the newest is current from then on."""
    first = await _store(b, "one")
    b.set_clock(-3_600)
    second = await _store(b, "two")
    b.same(second["updatedAt"] >= first["updatedAt"], True, "whether the second version is not before the first")
    for time in (second["updatedAt"], second["updatedAt"] + 1):
        found = await _ask(b, "getAtTimestamp", timestamp=time)
        b.same(found and found["data"], {"text": "two"}, "the version at that time")
    b.set_clock(3_600)


@PROMISES.add("immutable:list", "immutable:count", "immutable:page", "immutable:search")
async def entries_are_filtered_before_the_limit(b: Bench) -> None:
    """Lists have the newest entry first, pages the oldest, each once. Filters act before a limit, and a count is the
    length of the list."""
    ada, bob = f"{b.space}-ada", f"{b.space}-bob"
    for number, (kind, user) in enumerate([("note", ada), ("note", bob), ("mail", ada), ("note", None), ("note", bob)]):
        await _store(b, f"text {number}", f"id-{number}", kind, **({} if user is None else {"userId": user}))
    await _store(b, "text 0", "id-0")  # another version is no other entry
    note, mail = {"type": _kind(b)}, {"type": _kind(b, "mail")}
    cases: list[tuple[Row, list[int]]] = [
        (note, [4, 3, 1, 0]), (mail, [2]), ({"userId": ada}, [2, 0]), ({**note, "userId": bob}, [4, 1]),
        ({**mail, "userId": bob}, []), ({"type": _kind(b, "other")}, []),
    ]  # fmt: skip
    for args, want in cases:
        rows = await b.ask("immutable:list", **args)
        b.same([row["id"] for row in rows], [f"id-{number}" for number in want], f"the list with {args}")
        b.same(await b.ask("immutable:count", **args), len(want), f"the count with {args}")
        for limit in (0, 1, 2):
            b.same(await b.ask("immutable:list", **args, limit=limit), rows[:limit], f"the first {limit}")
            b.same(await b.ask("immutable:list", **args, limit=1, offset=limit), rows[limit : limit + 1], "one more")
            paged: list[Row] = []
            more: Row = {}
            while limit:
                page = await b.ask("immutable:page", **args, limit=limit, **more)
                paged += page["page"]
                if "cursor" not in page:
                    break
                more = {"cursor": page["cursor"]}
            b.same(paged, rows[::-1] if limit else [], f"the pages of {limit}")
        found = await b.ask("immutable:search", **args, query="text")
        b.same([one["entry"] for one in found], rows, f"the search with {args}")
        first = await b.ask("immutable:search", **args, query="text", limit=1)
        b.same(first, found[:1], f"the first that is found with {args}")
    await b.refused(InvalidArgument, b.ask("immutable:page", cursor="x"), "a page behind what is no cursor")
    row = (await b.ask("immutable:list", **mail))[0]
    b.same({**row, "previousVersions": []}, await _ask(b, "get", "id-2", "mail"), "a row of the list")
    whole = await b.ask("immutable:count")
    await _store(b, name="new")
    b.same(await b.ask("immutable:count"), whole + 1, "the count of all, after one more")
    b.same((await b.ask("immutable:list", limit=1))[0]["id"], "new", "the newest of all")


@PROMISES.add("immutable:search")
async def an_entry_is_found_by_what_it_says(b: Bench) -> None:
    """A search looks for the query in the keys and values of the current data, whatever the case. The share of them
    that have it is the score; the best comes first."""
    long = f"{'a' * 40} zebra {'b' * 40}"
    for name, data in (
        ("half", {"Zebra": "no", "x": 1, "y": "the ZEBRA", "z": {"in": ["zebras"]}}), ("one", {"k": long}),
        ("old", {"k": "zebra"}), ("number", {"k": [12.5, None, True]}), ("all", {"zebra": "zebra"}),
    ):  # fmt: skip
        await _store(b, name=name, data=data)
    await _store(b, "none", name="old")

    async def found(query: str, **more: Any) -> list[tuple[str, float]]:
        rows = await b.ask("immutable:search", type=_kind(b), query=query, **more)
        return [(row["entry"]["id"], row["score"]) for row in rows]

    b.same(await found("zeBRA"), [("all", 1), ("one", 0.5), ("half", 3 / 9)], "what is found")
    b.same(await found("zebra", limit=2), [("all", 1), ("one", 0.5)], "the best two")
    b.same([name for name, _ in await found("12.5")], ["number"], "a number")
    b.same([name for name, _ in await found("TRUE")], ["number"], "True")
    b.same([name for name, _ in await found(".")], ["number"], "a point")
    b.same(await found('": "'), [], "what stands between key and value")
    rows = await b.ask("immutable:search", type=_kind(b), query="zebra")
    b.same(rows[2]["highlights"], ["Zebra", "the ZEBRA", "zebras"], "up to three highlights")
    b.same(rows[1]["highlights"], [f"{'a' * 29} zebra {'b' * 29}"], "30 characters on each side")


@PROMISES.add("immutable:purge", "immutable:purgeMany", "immutable:count")
async def what_is_purged_is_gone(b: Bench) -> None:
    """A purge deletes entries with all their versions, and none but those that fit; with `dryRun` it says which, and
    deletes nothing."""
    ada = f"{b.space}-ada"
    for name, kind, user in (("a", "note", ada), ("b", "note", ada), ("c", "mail", ada), ("d", "note", f"{ada}-2")):
        await _store(b, name=name, kind=kind, userId=user)
        await b.passes(2)
    row = await _store(b, "two", "a")
    b.same(await b.do("immutable:purge", type=_kind(b), id="a"),
        {"deleted": True, "type": _kind(b), "id": "a", "versionsDeleted": 2}, "a purge")  # fmt: skip
    b.same((await _ask(b, "get"), await _ask(b, "getHistory")), (None, []), "what is left of it")
    await b.refused(EntryNotFound, b.do("immutable:purge", type=_kind(b), id="a"), "a second purge")
    b.same((await _store(b, "new"))["version"], 1, "the version of a new entry with this id")
    b.same((await _store(b, "new", "b"))["version"], 2, "the version of another one")

    async def purged(**args: Any) -> tuple[int, int, list[str], bool]:
        result = await b.do("immutable:purgeMany", **args)
        entries = [one["id"] for one in result["entries"]]
        return result["deleted"], result["totalVersionsDeleted"], entries, result["dryRun"]

    old = {"type": _kind(b), "createdBefore": row["createdAt"]}
    b.same(await purged(**old), (0, 0, [], False), "what was made before the first")
    late = {"type": _kind(b), "createdBefore": (await _ask(b, "get", "d"))["createdAt"]}
    b.same(await purged(**late, dryRun=True), (1, 2, ["b"], True), "what was made before, without deleting")
    both = {"type": _kind(b), "userId": ada}
    b.same(await purged(**both, dryRun=True), (1, 2, ["b"], True), "of a type and a user, without deleting")
    b.same(await b.ask("immutable:count", type=_kind(b)), 3, "the count afterwards")
    b.same(await purged(**both), (1, 2, ["b"], False), "of a type and a user")
    b.same(await b.ask("immutable:count", type=_kind(b)), 2, "the count after that")
    b.same(await purged(userId=ada), (1, 1, ["c"], False), "of a user")
    b.same(await purged(type=_kind(b)), (2, 2, ["d", "a"], False), "of a type")
    for args in ({"userId": ada}, {"type": _kind(b)}, {"type": _kind(b, "mail")}):
        counted = await b.ask("immutable:count", **args), await b.ask("immutable:list", **args)
        b.same(counted, (0, []), f"what is left with {args}")


@PROMISES.add("immutable:purgeVersions")
async def the_current_version_is_never_purged(b: Bench) -> None:
    """`purgeVersions` deletes the versions that all its arguments mean, and never the current one. A number is not used
    again."""
    times = []
    for number in range(1, 7):
        times.append((await _store(b, str(number)))["updatedAt"])
        await b.passes(2)

    async def purge(purged: int, left: list[int], **args: Any) -> None:
        result = await b.do("immutable:purgeVersions", type=_kind(b), id="a", **args)
        b.same(result, {"versionsPurged": purged, "versionsRemaining": len(left)}, f"a purge with {args}")
        b.same([row["version"] for row in await _ask(b, "getHistory")], left, f"what is left after {args}")

    await purge(0, [1, 2, 3, 4, 5, 6], keepLatest=6)
    await purge(0, [1, 2, 3, 4, 5, 6], olderThan=times[0])
    await purge(1, [2, 3, 4, 5, 6], olderThan=times[1])
    await purge(1, [3, 4, 5, 6], keepLatest=1, olderThan=times[2])
    await purge(1, [4, 5, 6], keepLatest=3, olderThan=times[5])
    await purge(2, [6], keepLatest=0)
    await purge(0, [6], olderThan=times[5] + 1_000)
    b.same(await _ask(b, "getVersion", version=5), None, "a version that was purged")
    b.same((await _ask(b, "get"))["previousVersions"], [], "previousVersions")
    b.same((await _store(b, "7"))["version"], 7, "the next version")
    await b.refused(
        EntryNotFound, b.do("immutable:purgeVersions", type=_kind(b), id="other", keepLatest=1), "of what is not there"
    )
