"""`cortex.mutable`: counters that lose nothing, what is made once, updaters and transactions that run again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import Cortex, SqliteBackend
from cortex_rx.errors import InvalidArgument, KeyNotFound, StoreUnavailable, ValueNotNumber, VersionConflict
from cortex_rx.models.mutable import DeletedKey, MutableRecord
from cortex_rx.testing import Faulty, run_virtual


@pytest.fixture
async def cortex() -> AsyncIterator[Cortex]:
    async with Cortex(":memory:") as client:
        yield client


async def _value(cortex: Cortex, key: str) -> Any:
    record = await cortex.mutable.get("n", key)
    return record and record.value


# --- what is stored ---------------------------------------------------------------------------------------------------


async def test_the_calls_of_cortex(cortex: Cortex) -> None:
    made = await cortex.mutable.set("n", "k", {"aKey": [1, None]}, "ada")
    assert (made.value, made["userId"], made["user_id"], made.version) == ({"aKey": [1, None]}, "ada", "ada", 1)
    assert (made.access_count, made.last_accessed) == (0, None)
    assert await cortex.mutable.get("n", "k") == made == await cortex.mutable.get_record("n", "k")
    nothing = await cortex.mutable.set("n", "k", None)
    assert (nothing.value, nothing.user_id, nothing.version) == (None, "ada", 2)
    assert (await cortex.mutable.get("n", "none"), await cortex.mutable.exists("n", "k")) == (None, True)
    await cortex.mutable.set("n", "other", 1, metadata={"why": 0})
    assert [row.key for row in await cortex.mutable.list("n", "o", None, 5)] == ["other"]
    assert [row.key for row in await cortex.mutable.list("n", offset=1)] == ["other"]
    assert await cortex.mutable.list("n", limit=0) == []
    assert (await cortex.mutable.count("n"), await cortex.mutable.count("n", None, "ada")) == (2, 1)
    assert await cortex.mutable.delete("n", "k") == DeletedKey(deleted=True, namespace="n", key="k")
    with pytest.raises(KeyNotFound):
        await cortex.mutable.delete("n", "k")
    assert dict(await cortex.mutable.purge_namespace("n", True)) == {"deleted": 1, "namespace": "n"}
    purged = await cortex.mutable.purge_many("n", None, None, datetime(2100, 1, 1, tzinfo=UTC))
    assert (purged["keys"], purged.deleted_keys, purged["deleted"], "keys" in purged) == (
        ("other",),
        ("other",),
        1,
        True,
    )
    assert (await cortex.mutable.purge_namespace("n")).deleted == 0


async def test_a_stale_set_is_refused(cortex: Cortex) -> None:
    await cortex.mutable.set("n", "k", 1, expected_version=0)
    with pytest.raises(VersionConflict) as conflict:
        await cortex.mutable.set("n", "k", 2, expected_version=0)
    assert (conflict.value.expected, conflict.value.stored, await _value(cortex, "k")) == (0, 1, 1)


async def test_iterate_goes_through_all_pages(cortex: Cortex) -> None:
    for number in range(7):
        await cortex.mutable.set("n", f"k{number}", number, "ada" if number % 2 else None)
    every = [row.key async for row in cortex.mutable.iterate("n", page_size=3)]
    assert every == [f"k{number}" for number in range(7)]
    assert [row.value async for row in cortex.mutable.iterate("n", user_id="ada", page_size=1)] == [1, 3, 5]
    seen: list[str] = []
    async for row in cortex.mutable.iterate("n", page_size=2):
        seen.append(row.key)
        if row.key == "k1":
            await cortex.mutable.delete("n", "k3")
            await cortex.mutable.set("n", "k7", 7)
    assert seen == ["k0", "k1", "k2", "k4", "k5", "k6", "k7"]


# --- numbers ----------------------------------------------------------------------------------------------------------


async def test_numbers(cortex: Cortex) -> None:
    values = [
        (await cortex.mutable.increment("n", "k")).value,
        (await cortex.mutable.increment("n", "k", 0)).value,
        (await cortex.mutable.decrement("n", "k", 0.5)).value,
        (await cortex.mutable.decrement("n", "new", 2)).value,
    ]
    assert values == [1, 1, 0.5, -2]
    await cortex.mutable.set("n", "big", 2**63 - 1)
    for call, field in (
        (cortex.mutable.increment("n", "big"), "amount"),
        (cortex.mutable.increment("n", "k", float("nan")), "amount"),
        (cortex.mutable.increment("n", "k", 2**63), "amount"),
        (cortex.mutable.decrement("n", "k", True), "amount"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await call
        assert refused.value.field == field
    await cortex.mutable.set("n", "none", None)
    with pytest.raises(ValueNotNumber):
        await cortex.mutable.increment("n", "none")
    assert [await _value(cortex, key) for key in ("big", "k", "none")] == [2**63 - 1, 0.5, None]


_COUNTING = """
    import asyncio, os, sys
    from cortex_rx import Cortex
    async def main():
        async with Cortex(sys.argv[1]) as cortex:
            made = await asyncio.gather(*(cortex.mutable.increment("n", "k") for _ in range(250)))
            os.write(1, " ".join(str(record.value) for record in made).encode() + b"\\n")
    for _ in range(4):
        if os.fork() == 0:
            asyncio.run(main())
            os._exit(0)
    assert [os.wait()[1] for _ in range(4)] == [0] * 4
"""


def test_a_thousand_increments_from_four_processes_are_a_thousand(tmp_path: Path) -> None:
    """Each of the 1,000 gets a number of its own."""
    path = str(tmp_path / "memory.db")
    command = [sys.executable, "-c", textwrap.dedent(_COUNTING), path]
    counting = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    assert sorted(map(int, counting.stdout.split())) == [*range(1, 1_001)]

    async def stored() -> Any:
        async with Cortex(path) as cortex:
            return await _value(cortex, "k")

    assert asyncio.run(stored()) == 1_000


@pytest.mark.parametrize("fault", ["fail", "fail-after"])
def test_a_change_whose_answer_was_lost_is_made_once(fault: str) -> None:
    """The store fails before or after the commit, at each of the changes in turn; all of them count once."""

    async def main(number: int) -> list[Any]:
        store = Faulty(SqliteBackend(":memory:"), f"{number} {fault}, {number + 1} {fault}")
        async with Cortex(store, spool=False) as cortex:
            await cortex.mutable.increment("n", "k", 2)
            await cortex.mutable.update("n", "k", lambda value: value * 10)
            await cortex.mutable.transaction(lambda tx: tx.increment("n", "k", 3))
            await cortex.mutable.set("n", "gone", 1)
            deleted = await cortex.mutable.delete("n", "gone")
            record = await cortex.mutable.get("n", "k")
            assert record is not None
            found = [record.value, record.version, deleted.deleted, await cortex.mutable.count("n")]
        await store.close()
        return found

    assert [run_virtual(main(number)) for number in range(1, 6)] == [[23, 3, True, 1]] * 5


def test_a_store_that_stays_away_is_given_up() -> None:
    async def main() -> Any:
        store = Faulty(SqliteBackend(":memory:"), ", ".join(f"{number} fail" for number in range(1, 5)))
        async with Cortex(store, spool=False) as cortex:
            with pytest.raises(StoreUnavailable):
                await cortex.mutable.increment("n", "k")
            found = await cortex.mutable.get("n", "k")
        await store.close()
        return found

    assert run_virtual(main()) is None


# --- updaters ---------------------------------------------------------------------------------------------------------


async def test_an_updater_gets_the_value_and_is_called_again_when_somebody_was_faster(cortex: Cortex) -> None:
    seen: list[Any] = []

    async def add(value: Any) -> Any:
        seen.append(value)
        if len(seen) < 3:  # somebody else, in between
            await cortex.mutable.set("n", "k", [len(seen)])
        return [*(value or []), "mine"]

    made = await cortex.mutable.update("n", "k", add)
    assert (seen, made.value) == ([None, [1], [2]], [2, "mine"])
    assert (await cortex.mutable.update("n", "k", len)).value == 2


async def test_an_updater_that_raises_or_makes_no_json_changes_nothing(cortex: Cortex) -> None:
    before = await cortex.mutable.set("n", "k", {"deep": [1]})

    def fails(value: Any) -> Any:
        value["deep"].append(2)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await cortex.mutable.update("n", "k", fails)
    with pytest.raises(InvalidArgument) as refused:
        await cortex.mutable.update("n", "k", lambda value: object())
    assert refused.value.field == "updater"
    assert await cortex.mutable.get("n", "k") == before


async def test_updaters_at_the_same_time_lose_nothing(cortex: Cortex) -> None:
    def add(name: int) -> Any:
        return cortex.mutable.update("n", "k", lambda value: [*(value or []), name])

    await asyncio.gather(*map(add, range(20)))
    assert sorted(await _value(cortex, "k")) == [*range(20)]


# --- transactions -----------------------------------------------------------------------------------------------------


async def test_a_transaction_reads_its_own_writes_and_makes_them_at_the_end(cortex: Cortex) -> None:
    await cortex.mutable.set("n", "a", 5)
    seen: list[Any] = []

    async def work(tx: Any) -> None:
        tx.increment("n", "a", 2)
        await tx.decrement("n", "b")
        tx.set("n", "c", [1])
        tx.update("n", "c", lambda value: [*value, 2])

        async def grown(value: Any) -> Any:
            return [*value, 3]

        await tx.update("n", "c", grown)
        seen.extend([await tx.get("n", "a"), await tx.get("n", "b"), await tx.get("n", "c"), await tx.get("n", "x")])
        tx.delete("n", "a")
        seen.extend([await tx.exists("n", "a"), await tx.exists("n", "b"), await tx.exists("n", "x")])
        seen.append(await cortex.mutable.count("n"))  # nothing is made yet
        tx.increment("n", "a")

    done = await cortex.mutable.transaction(work)
    assert seen == [7, -1, [1, 2, 3], None, False, True, False, 1]
    assert (done.success, done.operations_executed) == (True, 7)
    assert done.results[5] == DeletedKey(deleted=True, namespace="n", key="a")
    last = done.results[6]
    assert isinstance(last, MutableRecord)
    assert (last.value, last.version, await _value(cortex, "c")) == (1, 3, [1, 2, 3])


async def test_what_a_callback_makes_of_a_value_that_it_read_is_no_write(cortex: Cortex) -> None:
    await cortex.mutable.set("n", "there", {"deep": [1]})

    async def work(tx: Any) -> None:
        (await tx.get("n", "there"))["deep"].append("mine")
        await tx.set("n", "new", [1])
        (await tx.get("n", "new")).append("mine")
        await tx.update("n", "there", lambda value: {"deep": [*value["deep"], 2]})
        assert await tx.get("n", "there") == {"deep": [1, 2]}

    await cortex.mutable.transaction(work)
    assert (await _value(cortex, "there"), await _value(cortex, "new")) == ({"deep": [1, 2]}, [1])


@pytest.mark.parametrize("way", ["update", "transaction"])
async def test_what_was_deleted_and_made_again_is_another_value(cortex: Cortex, way: str) -> None:
    await cortex.mutable.set("n", "k", 1)
    seen: list[int] = []

    async def after(value: int) -> int:
        if not seen:
            await cortex.mutable.delete("n", "k")
            await cortex.mutable.set("n", "k", 100)  # as many versions as before
        seen.append(value)
        return value + 1

    async def work(tx: Any) -> None:
        tx.set("n", "k", await after(await tx.get("n", "k")))

    await (cortex.mutable.update("n", "k", after) if way == "update" else cortex.mutable.transaction(work))
    assert (seen, await _value(cortex, "k")) == ([1, 100], 101)


async def test_of_two_reads_of_a_key_at_once_the_first_counts() -> None:
    async with _Between(":memory:") as backend, Cortex(backend) as cortex:
        await cortex.mutable.set("n", "k", 1)
        backend.between = lambda: cortex.mutable.set("n", "k", 10)

        async def work(tx: Any) -> None:
            one, other = await asyncio.gather(tx.get("n", "k"), tx.get("n", "k"))
            tx.set("n", "sum", one + other)

        await cortex.mutable.transaction(work)
        assert await _value(cortex, "sum") == 20


async def test_reads_at_once_and_reads_of_an_updater_see_the_writes_before(cortex: Cortex) -> None:
    called: list[Any] = []

    async def work(tx: Any) -> None:
        async def doubled(value: Any) -> Any:
            called.append([value, *await asyncio.gather(tx.get("n", "k"), tx.get("n", "other"))])
            return value * 2

        tx.set("n", "k", 1)
        tx.set("n", "other", 7)
        tx.update("n", "k", doubled)
        assert await asyncio.gather(tx.get("n", "k"), tx.get("n", "k"), tx.exists("n", "none")) == [2, 2, False]

    await cortex.mutable.transaction(work)
    assert (called, await _value(cortex, "k")) == ([[1, 1, 7]], 2)


async def test_an_updater_that_fails_fails_again(cortex: Cortex) -> None:
    async def work(tx: Any) -> None:
        tx.update("n", "k", lambda value: value + 1)
        for _ in range(2):
            with pytest.raises(TypeError):
                await tx.get("n", "k")

    with pytest.raises(TypeError):
        await cortex.mutable.transaction(work)
    assert await cortex.mutable.count("n") == 0


class _Between(SqliteBackend):
    """After its next answer about a key somebody else writes. Who asks meanwhile gets the new value."""

    between: Callable[[], Awaitable[object]] | None = None
    written: asyncio.Event | None = None

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        if self.written is not None:
            await self.written.wait()
        if self.between is None:
            return await super().query(path, args)
        between, self.between, self.written = self.between, None, asyncio.Event()
        result = await super().query(path, args)
        await between()
        self.written.set()
        return result


async def test_a_plain_callback_that_awaits_nothing(cortex: Cortex) -> None:
    def work(tx: Any) -> None:
        tx.set("n", "a", 1)
        tx.update("n", "a", lambda value: value + 1)

    assert [row["value"] for row in (await cortex.mutable.transaction(work)).results] == [1, 2]


async def test_a_callback_runs_again_when_somebody_changed_what_it_read(cortex: Cortex) -> None:
    await cortex.mutable.set("n", "ada", 10)
    runs: list[Any] = []

    async def pay(tx: Any) -> None:
        runs.append(await tx.get("n", "ada"))
        if len(runs) < 3:
            await cortex.mutable.decrement("n", "ada", 4)
        if runs[-1] < 5:
            raise ValueError("not enough")
        tx.decrement("n", "ada", 5)

    with pytest.raises(ValueError, match="not enough"):
        await cortex.mutable.transaction(pay)
    assert (runs, await _value(cortex, "ada")) == ([10, 6, 2], 2)


async def test_what_was_never_so_at_one_time_is_not_an_error(cortex: Cortex) -> None:
    """The two accounts have 10 together at any time, but not if one is read before a payment and one after it."""
    await cortex.mutable.transaction(lambda tx: (tx.set("n", "a", 10), tx.set("n", "b", 0)))
    runs: list[int] = []

    async def check(tx: Any) -> None:
        a = await tx.get("n", "a")
        if not runs:
            await cortex.mutable.transaction(lambda other: (other.decrement("n", "a"), other.increment("n", "b")))
        runs.append(a + await tx.get("n", "b"))
        assert runs[-1] == 10

    await cortex.mutable.transaction(check)
    assert runs == [11, 10]


async def test_a_conflict_of_the_callback_s_own_is_its_error(cortex: Cortex) -> None:
    await cortex.mutable.set("n", "k", 1)

    async def work(tx: Any) -> None:
        await tx.get("n", "k")
        await cortex.mutable.set("n", "other", 1, expected_version=7)

    with pytest.raises(VersionConflict):
        await cortex.mutable.transaction(work)


async def test_transfers_at_the_same_time_keep_the_sum(cortex: Cortex) -> None:
    for name in "abc":
        await cortex.mutable.set("n", name, 100)

    def transfer(number: int) -> Any:
        source, target = "abc"[number % 3], "abc"[(number + 1) % 3]

        async def work(tx: Any) -> None:
            have = await tx.get("n", source)
            tx.set("n", source, have - number)
            tx.set("n", target, await tx.get("n", target) + number)

        return cortex.mutable.transaction(work)

    await asyncio.gather(*map(transfer, range(15)))
    assert sum([await _value(cortex, name) for name in "abc"]) == 300


async def test_a_list_of_operations(cortex: Cortex) -> None:
    set_a = {"op": "set", "namespace": "n", "key": "a", "value": None}
    add_a = {"op": "increment", "namespace": "n", "key": "a"}
    done = await cortex.mutable.transaction([set_a, {"op": "increment", "namespace": "n", "key": "b", "initial": 1}])
    assert [row["value"] for row in done.results] == [None, 2]
    with pytest.raises(KeyNotFound):
        await cortex.mutable.transaction([{**set_a, "value": 1}, {"op": "delete", "namespace": "n", "key": "none"}])
    for operations, field in (
        ("set", "callback"),
        ([{**set_a, "op": "append"}], "callback[0].op"),
        ([set_a, {**set_a, "amount": 1}], "callback[1].amount"),
        ([{"op": "set", "namespace": "n", "key": "a"}], "callback[0].value"),
        ([{**set_a, "value": 2**62}, {**add_a, "amount": 2**62}], "callback[1].amount"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await cortex.mutable.transaction(operations)  # type: ignore[arg-type]
        assert refused.value.field == field
    assert await _value(cortex, "a") is None
