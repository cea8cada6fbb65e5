"""Writes that wait for the writing thread share one transaction, and behave as if each had been alone."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proofs.power.sqlite_disk import SYNC_FAILED, Disk

from cortex_rx.backends.sqlite.writer import MOST
from cortex_rx.errors import Fenced, Gap, StoreBusy, StoreFull, StoreUnavailable, StreamNotFound


@contextmanager
def busy(store: Any) -> Iterator[None]:
    """The thread that writes is busy meanwhile."""
    free = threading.Event()
    store.backend._write_thread.submit(free.wait)
    try:
        yield
    finally:
        free.set()


async def together(store: Any, *calls: Awaitable[Any]) -> list[Any]:
    """What each of the calls gives, or raises, when they wait at the same time, in this order."""
    with busy(store):
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


def traced(store: Any) -> list[str]:
    """The statements of the writing connection, from now on."""
    statements: list[str] = []
    store.backend._writer.set_trace_callback(statements.append)
    return statements


async def begun(store: Any, number: int) -> list[str]:
    names = [f"st{n}" for n in range(number)]
    for name in names:
        await store.begin(name)
    return names


# --- counted ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, MOST, 3 * MOST])
async def test_one_commit_and_one_wake_up_for_all_that_waits(
    store: Any, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = await begun(store, number)
    statements = traced(store)
    loop = asyncio.get_running_loop()
    wake, woken = loop.call_soon_threadsafe, list[object]()
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *args, **more: (woken.append(args), wake(*args, **more)))
    ends = await together(store, *(store.append(0, "text", name) for name in names))
    assert ends == [4] * number
    transactions = (number + MOST - 1) // MOST
    assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") == transactions
    assert statements.count("SAVEPOINT one") == (number if number > 1 else 0), "one alone needs none"
    assert len(woken) == transactions


async def test_the_bytes_and_syncs_of_a_shared_commit(make_store: Any, tmp_path: Path) -> None:
    written, synced = dict[str, int](), dict[str, int]()
    for name in ("alone", "together"):
        (tmp_path / name).mkdir()
        disk = Disk(tmp_path / name)
        with disk.recording():
            store = make_store(tmp_path / name / "memory.db")
            streams = await begun(store, 20)
            before = len(disk.events)
            if name == "alone":
                for stream in streams:
                    await store.append(0, "text", stream)
            else:
                await together(store, *(store.append(0, "text", stream) for stream in streams))
            events = disk.events[before:]
            await store.backend.close()
        synced[name] = sum(event.kind == "sync" for event in events)
        written[name] = sum(len(event.data) for event in events if event.kind == "write")
    assert synced == {"alone": 20, "together": 1}
    assert written["together"] < written["alone"] / 5


async def test_nobody_waits_for_company(store: Any) -> None:
    """A write that finds the thread free is done at once; those that come meanwhile share the next transaction."""
    names = await begun(store, 5)
    statements, first = traced(store), threading.Event()
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow() -> float:
        loop.call_soon_threadsafe(entered.set)
        first.wait()
        return 1.0

    store.backend.clock = slow
    tasks = [asyncio.ensure_future(store.append(0, "text", names[0]))]
    await entered.wait()
    tasks += [asyncio.ensure_future(store.append(0, "text", name)) for name in names[1:]]
    await asyncio.sleep(0)
    first.set()
    assert await asyncio.gather(*tasks) == [4] * 5
    assert statements.count("COMMIT") == 2
    assert "SAVEPOINT one" not in statements[: statements.index("COMMIT")]


# --- who comes first --------------------------------------------------------------------------------------------------


def order(statements: list[str]) -> list[str]:
    """By transaction, what was done: b a beginning, a an append."""
    kinds, found = {"INSERT INTO streams": "b", "UPDATE texts SET lease = coalesce": "a"}, [""]
    for statement in statements:
        if statement == "COMMIT":
            found.append("")
        found[-1] += next((kind for start, kind in kinds.items() if statement.startswith(start)), "")
    return found[:-1]


async def test_a_beginning_comes_before_what_waits_longer(store: Any) -> None:
    names = await begun(store, 2 * MOST)
    statements = traced(store)
    await together(store, *(store.append(0, "x", name) for name in names), store.begin("new"))
    assert order(statements) == ["b" + "a" * (MOST - 1), "a" * MOST, "a"]


async def test_many_beginnings_leave_half_of_the_places_to_others(store: Any) -> None:
    names = await begun(store, MOST)
    statements = traced(store)
    await together(
        store, *(store.begin(f"new{n}") for n in range(2 * MOST)), *(store.append(0, "x", name) for name in names)
    )
    half = MOST // 2
    assert order(statements) == ["b" * half + "a" * half, "b" * half + "a" * half, "b" * MOST]


# --- as if one after the other ----------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Any, str], Awaitable[Any]]] = {
    "begin": lambda store, name: store.begin(name, f"why {name}?", claim="one"),
    "begin otherwise": lambda store, name: store.begin(name, "another question"),
    "append": lambda store, name: store.append(0, "some words and ", name),
    "append on": lambda store, name: store.append(15, "more words ", name),
    "append much": lambda store, name: store.append(0, "some words and " * 600, name),
    "append with a gap": lambda store, name: store.append(100_000, "x", name),
    "append to an old epoch": lambda store, name: store.append(0, "x", name, epoch=0),
    "append badly": lambda store, name: store.append(-1, "x", name),
    "finalize": lambda store, name: store.finalize("some words and no more", name),
    "finalize another length": lambda store, name: store.finalize("some words and ", name, length=999),
    "renew": lambda store, name: store.call("renew", name, epoch=1, lease=10_000),
    "roll back": lambda store, name: store.call("rollback", name, epoch=1),
    "take over": lambda store, name: store.take("0" * 64, "claim"),
}


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.sampled_from(["one", "two", "three"])), max_size=12),
        min_size=1,
        max_size=4,
    )
)
def test_it_is_as_if_they_had_been_alone_in_that_order(
    make_store: Any, tmp_path_factory: Any, rounds: list[list[tuple[str, str]]]
) -> None:
    """Results, refusals, ids, times and rows; beginnings first."""
    rounds = [sorted(calls, key=lambda call: not call[0].startswith("begin")) for calls in rounds]
    folder = tmp_path_factory.mktemp("alone and together")

    async def run(name: str) -> Any:
        ticks, told = count(1000), list[str]()
        store = make_store(folder / name, clock=lambda: float(next(ticks)))
        async with store.backend:
            for calls in rounds:
                if name == "together":
                    results = await together(store, *(CALLS[call](store, stream) for call, stream in calls))
                else:
                    results = [
                        (await asyncio.gather(CALLS[call](store, stream), return_exceptions=True))[0]
                        for call, stream in calls
                    ]
                told += map(repr, results)
            told += [repr(await store.list(includePartial=True)), repr(await store.search("words more"))]
            rows = {table: rows for table, rows in store.tables().items() if not table.startswith("words")}
            assert store.sql("PRAGMA integrity_check") == [("ok",)]
        return told, rows

    assert asyncio.run(run("together")) == asyncio.run(run("alone"))


async def test_a_refused_call_leaves_nothing_and_disturbs_nobody(store: Any) -> None:
    await begun(store, 4)
    statements = traced(store)
    before = store.tables()

    def wrong() -> Awaitable[Any]:
        return store.finalize("it is written, and then its length is wrong", "st1", length=7)

    refused = await together(store, wrong(), store.append(9, "x", "st2"), store.append(0, "x", "st3", epoch=0))
    assert [type(error) for error in refused] == [Gap, Gap, Fenced]
    assert any(statement.startswith("INSERT INTO pieces") for statement in statements), "it had written something"
    assert store.tables() == before
    told = await together(
        store, store.append(0, "a", "st0"), wrong(), store.append(1, "b", "st0"), store.append(0, "c", "no")
    )
    assert [told[0], type(told[1]), told[2], type(told[3])] == [1, Gap, 2, StreamNotFound]
    rows = await store.list(includePartial=True)
    assert [row["content"] for row in rows if row["isPartial"] and row["content"]] == ["ab"]


async def test_a_reader_sees_all_of_a_transaction_or_nothing(store: Any) -> None:
    names = await begun(store, 10)
    seen: list[int] = []
    with closing(sqlite3.connect(store.path, check_same_thread=False)) as other:

        def look(_: str) -> None:
            seen.append(
                other.execute(
                    "SELECT coalesce(sum(length), 0) FROM texts JOIN streams ON answer = texts.id"
                ).fetchone()[0]
            )

        store.backend._writer.set_trace_callback(look)
        await together(store, *(store.append(0, "text", name) for name in names))
        store.backend._writer.set_trace_callback(None)
        look("")
    assert len(seen) > 50
    assert seen == [0] * (len(seen) - 1) + [40]


# --- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syncs", [1, 3, 10_000])
async def test_a_commit_that_fails_is_told_to_nobody_as_done(make_store: Any, tmp_path: Path, syncs: int) -> None:
    """The shared COMMIT fails, then each is done alone: with a disk that goes on failing each fails."""
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk")
    failed = 0

    def refuse(kind: str, _: str) -> int:
        nonlocal failed
        if kind != "sync" or failed == syncs:
            return 0
        failed += 1
        return SYNC_FAILED

    with disk.recording():
        store = make_store(tmp_path / "disk" / "memory.db")
        names = await begun(store, 5)
        statements = traced(store)
        disk.refuse = refuse
        told = await together(store, *(store.append(0, "text", name) for name in names))
        disk.refuse = None
        alone = min(syncs - 1, 5)
        assert [type(each) for each in told] == [StoreUnavailable] * alone + [int] * (5 - alone)
        assert len(set(map(id, told[:alone]))) == alone, "each has an error of its own"
        assert failed == alone + 1 and statements.count("COMMIT") == 6
        lengths = [length for (length,) in store.sql("SELECT length FROM texts JOIN streams ON answer = texts.id")]
        assert sorted(lengths) == [0] * alone + [4] * (5 - alone)
        assert await together(store, *(store.append(0, "text", name) for name in names)) == [4] * 5
        await store.backend.close()


async def test_a_write_that_finds_no_room_fails_alone(make_store: Any, tmp_path: Path) -> None:
    """SQLite undoes the whole transaction then; the others are done nevertheless."""
    store = make_store(tmp_path / "memory.db", max_page_count=200)
    names = await begun(store, 3)
    told = await together(
        store,
        store.append(0, "text", names[0]),
        store.append(0, "much text " * 100_000, names[1]),
        store.append(0, "text", names[2]),
    )
    assert [told[0], type(told[1]), told[2]] == [4, StoreFull, 4]
    rows = {
        row["partialMetadata"]["streamId"]: row["content"]
        for row in await store.list(includePartial=True)
        if row["isPartial"]
    }
    assert (rows[names[0]], rows[names[1]], rows[names[2]]) == ("text", "", "text")
    await store.backend.close()


async def test_an_error_of_sqlite_undoes_the_transaction_and_each_is_done_alone(store: Any) -> None:
    names = await begun(store, 3)
    statements = traced(store)

    async def broken() -> None:
        await store.backend._writes.write(lambda db: db.execute("INSERT INTO nothing VALUES (1)"))

    told = await together(store, store.append(0, "a", names[0]), broken(), store.append(0, "b", names[1]))
    assert (told[0], told[2]) == (1, 1) and isinstance(told[1], Exception)
    assert statements.count("ROLLBACK") == 2 and statements.count("COMMIT") == 2


async def test_a_file_that_another_process_holds_is_waited_for_once(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db", busy_timeout=0.05)
    names = await begun(store, 5)
    statements = traced(store)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = await together(store, *(store.append(0, "text", name) for name in names))
    assert [type(error) for error in told] == [StoreBusy] * 5
    assert len(set(map(id, told))) == 5 and all(isinstance(error.__cause__, sqlite3.Error) for error in told)
    assert statements == ["BEGIN IMMEDIATE"]
    assert await together(store, *(store.append(0, "text", name) for name in names)) == [4] * 5
    await store.backend.close()


# --- cancellation, closing, loops -------------------------------------------------------------------------------------


async def test_who_is_cancelled_while_it_waits_is_not_written(store: Any) -> None:
    names = await begun(store, 3)
    with busy(store):
        tasks = [asyncio.ensure_future(store.append(0, "text", name)) for name in names]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
    assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [
        int,
        asyncio.CancelledError,
        int,
    ]
    assert await together(store, *(store.append(4, "", name) for name in (names[0], names[2]))) == [4, 4]
    with pytest.raises(Gap):
        await store.append(4, "more", names[1])


async def test_when_all_that_waited_are_cancelled_nothing_is_begun(store: Any) -> None:
    names = await begun(store, 3)
    statements = traced(store)
    with busy(store):
        tasks = [asyncio.ensure_future(store.append(0, "text", name)) for name in names]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert await store.append(0, "x", names[0]) == 1
    assert statements.count("BEGIN IMMEDIATE") == 1


async def test_who_is_cancelled_after_its_transaction_has_begun_is_written(store: Any) -> None:
    names = await begun(store, 3)
    entered, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow() -> float:
        loop.call_soon_threadsafe(entered.set)
        go_on.wait()
        return 1.0

    store.backend.clock = slow
    with busy(store):
        tasks = [asyncio.ensure_future(store.append(0, "text", name)) for name in names]
        await asyncio.sleep(0)
    await entered.wait()
    tasks[2].cancel()
    await asyncio.wait({tasks[2]})
    go_on.set()
    assert await asyncio.gather(*tasks[:2]) == [4, 4]
    assert await store.append(4, "more", names[2]) == 8


@pytest.mark.parametrize("queued", [False, True], ids=["the job is refused", "the job is queued without a thread"])
async def test_a_thread_that_cannot_be_started_costs_one_write(
    store: Any, queued: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes later is written: it does not wait for the job that was refused."""
    names = await begun(store, 2)
    thread = store.backend._write_thread
    submit = thread.submit

    def refused(*args: Any, **more: Any) -> Any:
        if queued:  # as `ThreadPoolExecutor.submit` does when its thread cannot be started
            submit(*args, **more)
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(thread, "submit", refused)
        with pytest.raises(StoreUnavailable, match="no thread could be started: can't start new thread"):
            await store.append(0, "text", names[0])
    async with asyncio.timeout(5):
        assert [await store.append(0, "text", names[1]) for _ in range(3)] == [4] * 3
        assert await together(store, *(store.append(4, "", name) for name in names[1:])) == [4]


async def test_close_does_what_waits_first(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    names = await begun(store, 2 * MOST + 1)
    with busy(store):
        writes = [asyncio.ensure_future(store.append(0, "text", name)) for name in names]
        await asyncio.sleep(0)
        closed = asyncio.ensure_future(store.backend.close())
        await asyncio.sleep(0)
    await closed
    assert [await write for write in writes] == [4] * len(names)
    assert [file.name for file in tmp_path.iterdir()] == ["memory.db"]


def test_each_loop_is_woken_for_its_own(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    asyncio.run(begun(store, 30))
    statements = traced(store)
    ready = threading.Barrier(4)
    told: dict[int, list[int]] = {}

    async def write(loop: int) -> None:
        threads: list[str] = []
        tasks = [asyncio.ensure_future(store.append(0, "text", f"st{n}")) for n in range(loop, 30, 3)]
        for task in tasks:
            task.add_done_callback(lambda _: threads.append(threading.current_thread().name))
        await asyncio.sleep(0)
        ready.wait()
        told[loop] = await asyncio.gather(*tasks)
        assert set(threads) == {threading.current_thread().name}

    with busy(store):
        threads = [threading.Thread(target=asyncio.run, args=(write(loop),)) for loop in range(3)]
        for thread in threads:
            thread.start()
        ready.wait()
    for thread in threads:
        thread.join()
    assert told == {loop: [4] * 10 for loop in range(3)}
    assert statements.count("COMMIT") == 3
    asyncio.run(store.backend.close())
