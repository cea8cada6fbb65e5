"""mutable: values that change, counters, what is made once, transactions."""

from __future__ import annotations

import asyncio
from typing import Any

from cortex_rx.errors import (
    IdempotencyConflict,
    InvalidArgument,
    KeyNotFound,
    ValueNotArray,
    ValueNotNumber,
    VersionConflict,
)
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


async def _set(b: Bench, key: str, value: Any, **more: Any) -> Row:
    row: Row = await b.do("mutable:set", **{"namespace": b.space, "key": key, "value": value, **more})
    return row


async def _update(b: Bench, key: str, operation: str, **more: Any) -> Row:
    row: Row = await b.do("mutable:update", namespace=b.space, key=key, operation=operation, **more)
    return row


async def _value(b: Bench, key: str) -> Any:
    row = await b.ask("mutable:get", namespace=b.space, key=key)
    return row and row["value"]


async def _keys(b: Bench, **args: Any) -> list[str]:
    return [row["key"] for row in await b.ask("mutable:list", namespace=b.space, **args)]


@PROMISES.add("mutable:set", "mutable:get", "mutable:getRecord", "mutable:exists", "mutable:deleteKey")
async def a_key_has_its_newest_value(b: Bench) -> None:
    """A key has the value that was set last, also None and 0, and a version that rises when something changes. What is
    left out stays. Another namespace has other keys. A deleted key is not there."""
    first = await _set(b, "k", {"a key": [1, None]}, userId="ada", metadata={"why": None})
    b.same((first["version"], first["userId"]), (1, "ada"), "version and user of a new key")
    b.same(await b.ask("mutable:get", namespace=b.space, key="k"), first, "what is stored")
    b.same(await b.ask("mutable:getRecord", namespace=b.space, key="k"), first, "getRecord")
    b.same(await _set(b, "k", {"a key": [1, None]}), first, "the same value again")
    for version, value in enumerate((None, 0, "", 2.5), 2):
        row = await _set(b, "k", value)
        b.same(await b.ask("mutable:get", namespace=b.space, key="k"), row, f"what is stored after {value!r} was set")
        got = {name: row.get(name) for name in ("value", "version", "userId", "metadata", "createdAt")}
        kept = {name: first[name] for name in ("userId", "metadata", "createdAt")}
        b.same(got, {**kept, "value": value, "version": version}, f"after {value!r} was set")
    await _set(b, "k", 7, namespace=b.other)
    b.same(await _value(b, "k"), 2.5, "the value after another namespace was written")
    gone = await b.do("mutable:deleteKey", namespace=b.space, key="k")
    b.same(gone, {"deleted": True, "namespace": b.space, "key": "k"}, "the result of deleteKey")
    there = [await b.ask("mutable:exists", namespace=space, key="k") for space in (b.space, b.other)]
    b.same((there, await _value(b, "k")), ([False, True], None), "which keys there are")
    again = b.do("mutable:deleteKey", namespace=b.space, key="k")
    await b.refused(KeyNotFound, again, "deleteKey of a key that is not there")


@PROMISES.add("mutable:set", "mutable:update")
async def a_stale_change_is_refused(b: Bench) -> None:
    """A change that names the version that it is for is refused if another is stored; 0 is a key that is not there."""
    await _set(b, "k", "one", expectedVersion=0)
    for version, change, more in (
        (0, "set", {"value": "x"}),
        (2, "set", {"value": "x"}),
        (2, "set", {"value": "one"}),
        (2, "update", {"operation": "custom", "operand": "x"}),
    ):
        call = b.do(f"mutable:{change}", namespace=b.space, key="k", expectedVersion=version, **more)
        error = await b.refused(VersionConflict, call, f"a change for version {version}")
        b.same((error.expected, error.stored), (version, 1), "the versions in the error")
    b.same(await _value(b, "k"), "one", "the value after stale changes")
    b.same((await _set(b, "k", "two", expectedVersion=1))["version"], 2, "the version after a change for version 1")
    error = await b.refused(
        VersionConflict, _set(b, "new", 1, expectedVersion=3), "a change of a key that is not there"
    )
    b.same(error.stored, 0, "the version of a key that is not there")


@PROMISES.add("mutable:set", "mutable:deleteKey", "mutable:purgeMany", "mutable:purgeNamespace", "mutable:transaction")
async def a_key_that_is_made_again_has_a_new_version(b: Bench) -> None:
    """A key that was deleted and made again has a version that it never had: what was read before is out of date."""
    key = {"namespace": b.space, "key": "k"}
    steps = [{"op": "delete", **key}, {"op": "set", **key, "value": 1}]
    versions = [(await _set(b, "k", number))["version"] for number in range(3)]
    for path, args in (
        ("deleteKey", key),
        ("purgeMany", {"namespace": b.space}),
        ("purgeNamespace", {"namespace": b.space}),
        ("transaction", {"operations": steps}),
    ):
        await b.do(f"mutable:{path}", **args)
        versions.append((await _set(b, "k", path))["version"])
        b.same(versions, sorted({*versions}), f"the versions of a key, the last one made after {path}")
    change = b.do("mutable:set", **key, value=0, expectedVersion=versions[2])
    await b.refused(VersionConflict, change, "a change for a version that the deleted key had")


@PROMISES.add("mutable:update")
async def numbers_and_lists_are_updated(b: Bench) -> None:
    """increment, decrement and append start from what is stored. 0 adds nothing; what is left out is 1. A value of
    another kind, and a sum that is no number of 64 bits, is refused, and stays."""
    missing = _update(b, "n", "increment")
    await b.refused(KeyNotFound, missing, "an increment of a key that is not there")
    b.same((await _update(b, "n", "increment", initial=0))["value"], 1, "an increment of a key that is not there")
    for operation, more, value in (
        ("increment", {}, 2), ("increment", {"operand": 0}, 2), ("decrement", {"operand": 5}, -3),
        ("increment", {"operand": 0.5, "initial": 9}, -2.5), ("custom", {"operand": 2**62}, 2**62),
        ("increment", {"operand": 2**62 - 1}, 2**63 - 1),
    ):  # fmt: skip
        b.same((await _update(b, "n", operation, **more))["value"], value, f"{operation} with {more}")
    error = await b.refused(InvalidArgument, _update(b, "n", "increment"), "a sum of more than 64 bits")
    b.same(error.field, "operand", "the field that is refused")
    await b.refused(InvalidArgument, _update(b, "n", "increment", operand="1"), "an operand that is a text")
    b.same(await _value(b, "n"), 2**63 - 1, "the number afterwards")
    await _set(b, "inf", 1e308)
    await b.refused(InvalidArgument, _update(b, "inf", "increment", operand=1e308), "a sum that is not finite")
    for other in ("1", None, True, [1]):
        await _set(b, "other", other)
        await b.refused(ValueNotNumber, _update(b, "other", "decrement"), f"a decrement of {other!r}")
    await _update(b, "other", "append", operand=None)
    b.same(await _value(b, "other"), [1, None], "a list after append")
    await b.refused(ValueNotArray, _update(b, "n", "append", operand=1), "append to a number")
    await b.refused(KeyNotFound, _update(b, "none", "append", operand=1), "append to a key that is not there")


@PROMISES.add("mutable:update")
async def no_increment_is_lost(b: Bench) -> None:
    """Increments at the same time all count, and each gets a number of its own."""
    drawn = [
        row["value"] for row in await asyncio.gather(*(_update(b, "n", "increment", initial=0) for _ in range(40)))
    ]
    b.same((sorted(drawn), await _value(b, "n")), ([*range(1, 41)], 40), "the numbers, and the last one")


@PROMISES.add("mutable:update", "mutable:set", "mutable:deleteKey", "mutable:transaction")
async def a_change_with_an_id_is_made_once(b: Bench) -> None:
    """A change with an `operationId` is made once, and sent again gives the same result, whatever was changed
    meanwhile. Another change under the id is refused."""
    one = {"operationId": f"{b.space}-1"}
    first = await _update(b, "n", "increment", initial=0, operand=2, **one)
    await _update(b, "n", "increment")
    b.same(await _update(b, "n", "increment", initial=0, operand=2, **one), first, "the increment, sent again")
    for other in ({"operand": 3}, {"operand": 2, "initial": 0, "expectedVersion": 2}):
        conflict = _update(b, "n", "increment", **other, **one)
        await b.refused(IdempotencyConflict, conflict, "another increment under the id")
    b.same(await _value(b, "n"), 3, "the number")
    two = {"operationId": f"{b.space}-2", "expectedVersion": 0}
    made = await _set(b, "k", ["a"], **two)
    await _set(b, "k", "b")
    b.same((await _set(b, "k", ["a"], **two), await _value(b, "k")), (made, "b"), "a set that was sent again")
    append = {"operationId": f"{b.space}-3", "operand": 1}
    await _set(b, "list", [])
    added = await _update(b, "list", "append", **append)
    b.same((await _update(b, "list", "append", **append), added["value"]), (added, [1]), "append, sent again")
    gone = {"namespace": b.space, "key": "k", "operationId": f"{b.space}-4"}
    deleted = await b.do("mutable:deleteKey", **gone)
    await _set(b, "k", "c")
    b.same((await b.do("mutable:deleteKey", **gone), await _value(b, "k")), (deleted, "c"), "deleteKey, sent again")
    steps = [
        {"op": "set", "namespace": b.space, "key": "k", "value": {"x": None}},
        {"op": "decrement", "namespace": b.space, "key": "n", "amount": 3},
        {"op": "delete", "namespace": b.space, "key": "list"},
    ]
    done = await b.do("mutable:transaction", operations=steps, operationId=f"{b.space}-5")
    await _set(b, "n", 9)
    again = await b.do("mutable:transaction", operations=steps, operationId=f"{b.space}-5")
    b.same((again, await _value(b, "n")), (done, 9), "a transaction that was sent again")
    failed = {"operationId": f"{b.space}-6"}
    await b.refused(KeyNotFound, _update(b, "none", "increment", **failed), "a change that fails")
    b.same(
        (await _update(b, "n", "increment", **failed))["value"], 10, "another change under the id of one that failed"
    )


@PROMISES.add("mutable:transaction")
async def a_transaction_is_all_or_nothing(b: Bench) -> None:
    """A transaction does its steps in order, each on what those before it made, or none of them; none if one of the
    keys that it has read was changed."""
    await _set(b, "from", 10, userId="ada")

    def step(op: str, key: str, **more: Any) -> Row:
        return {"op": op, "namespace": b.space, "key": key, **more}

    steps = [
        step("decrement", "from", amount=4), step("increment", "to", amount=4, initial=0), step("increment", "to"),
        step("set", "log", value=[]), step("update", "log", value=["moved"]), step("set", "gone", value=1),
        step("delete", "gone"),
    ]  # fmt: skip
    reads = [{"namespace": b.space, "key": "from", "version": 1}, {"namespace": b.space, "key": "to", "version": 0}]
    done = await b.do("mutable:transaction", operations=steps, reads=reads)
    b.same((done["success"], done["operationsExecuted"]), (True, 7), "success and how many steps")
    b.same([one.get("value") for one in done["results"]], [6, 4, 5, [], ["moved"], 1, None], "the values")
    b.same(done["results"][-1], {"deleted": True, "namespace": b.space, "key": "gone"}, "the deleted key")
    b.same(done["results"][2], await b.ask("mutable:get", namespace=b.space, key="to"), "what is stored")
    b.same(await _keys(b), ["from", "to", "log"], "the keys")
    for error, wrong, read in (
        (VersionConflict, step("set", "log", value=0), reads),
        (KeyNotFound, step("delete", "none"), []),
        (KeyNotFound, step("update", "none", value=1), []),
        (KeyNotFound, step("increment", "none"), []),
        (ValueNotNumber, step("increment", "log"), []),
    ):
        call = b.do("mutable:transaction", operations=[step("set", "to", value=0), wrong], reads=read)
        await b.refused(error, call, "a transaction of which one step fails")
    values = [await _value(b, key) for key in ("from", "to", "log")]
    b.same(values, [6, 5, ["moved"]], "the values after transactions that failed")
    b.same(await _keys(b), ["from", "to", "log"], "the keys after them")


@PROMISES.add("mutable:list", "mutable:count", "mutable:page")
async def keys_are_filtered_before_the_page(b: Bench) -> None:
    """Lists have the keys of one namespace, the oldest first, also after they were changed. Filters act before the
    limit; a prefix is a text as it stands; count is the length of the whole list; pages fit together."""
    names = ("a_1", "ab1", "a_2", "A_3", "a%", "a", "\U0010ffff1", "b")
    for number, key in enumerate(names):
        await _set(b, key, number, **({"userId": "ada"} if number % 2 else {}))
        await _set(b, key, number, namespace=b.other)
    await _set(b, "a_1", "changed")
    for filters, want in (
        ({}, [*names]),
        ({"keyPrefix": ""}, [*names]),
        ({"keyPrefix": "a_"}, ["a_1", "a_2"]),
        ({"keyPrefix": "a%"}, ["a%"]),
        ({"keyPrefix": "a"}, ["a_1", "ab1", "a_2", "a%", "a"]),
        ({"keyPrefix": "\U0010ffff"}, ["\U0010ffff1"]),
        ({"userId": "ada"}, ["ab1", "A_3", "a", "b"]),
        ({"userId": "ada", "keyPrefix": "a"}, ["ab1", "a"]),
        ({"userId": "bob"}, []),
    ):
        b.same(await _keys(b, **filters), want, f"the keys with {filters}")
        b.same(await b.ask("mutable:count", namespace=b.space, **filters), len(want), f"the count with {filters}")
        b.same(await _keys(b, **filters, limit=2, offset=1), want[1:3], f"two keys with {filters}")
        b.same(await _keys(b, **filters, limit=0), [], f"no keys with {filters}")
        found: list[str] = []
        cursor: Row = {}
        for _ in range(len(want) // 2 + 1):
            page = await b.ask("mutable:page", namespace=b.space, **filters, limit=2, **cursor)
            found += [row["key"] for row in page["page"]]
            if "cursor" not in page:
                break
            cursor = {"cursor": page["cursor"]}
        b.same(found, want, f"the pages with {filters}")
    wrong = b.ask("mutable:page", namespace=b.space, cursor="no cursor")
    await b.refused(InvalidArgument, wrong, "a cursor that no page gave")


@PROMISES.add("mutable:purgeNamespace", "mutable:purgeMany")
async def a_purge_deletes_what_it_names(b: Bench) -> None:
    """A purge deletes the keys that pass its filters, and says which; without filters, all of the namespace. With
    `dryRun` it deletes none."""
    for number, key in enumerate(("a_1", "ab", "a_2", "b")):
        await _set(b, key, number, **({"userId": "ada"} if number > 1 else {}))
        await _set(b, key, number, namespace=b.other)
    dry = await b.do("mutable:purgeNamespace", namespace=b.space, dryRun=True)
    b.same((dry["deleted"], len(await _keys(b))), (4, 4), "how many keys there are after a dry run")
    for filters, want in (
        ({"updatedBefore": 0}, []),
        ({"keyPrefix": "a_", "userId": "ada"}, ["a_2"]),
        ({"keyPrefix": "a_"}, ["a_1"]),
        ({"userId": "ada"}, ["b"]),
        ({"updatedBefore": 2**53 - 1}, ["ab"]),
    ):
        purged = await b.do("mutable:purgeMany", namespace=b.space, **filters)
        b.same(purged, {"deleted": len(want), "namespace": b.space, "keys": want}, f"a purge with {filters}")
    b.same(await _keys(b), [], "the keys afterwards")
    b.same((await b.do("mutable:purgeNamespace", namespace=b.other))["deleted"], 4, "the keys of the other namespace")
    b.same(await b.ask("mutable:count", namespace=b.other), 0, "how many keys there are after it")
