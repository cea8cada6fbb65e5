"""Threads and loops: cancellation, a change of loop, virtual time, closing; and backup."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
import uuid
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cortex_rx.backends.sqlite import backup
from cortex_rx.errors import InvalidArgument, StoreFull, StoreUnavailable
from cortex_rx.testing.virtual import run_virtual


def open_files(folder: Path) -> list[str]:
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return [os.readlink(link) for link in links if os.path.islink(link) and os.readlink(link).startswith(str(folder))]


@pytest.fixture(autouse=True)
def _other_threads() -> None:
    """Those of stores that other tests share."""
    OTHERS.clear()
    OTHERS.update(threading.enumerate())


OTHERS: set[threading.Thread] = set()


def our_threads() -> list[str]:
    threads = set(threading.enumerate()) - OTHERS
    return sorted(thread.name for thread in threads if thread.name.startswith("cortex-sqlite"))


async def test_close_finishes_what_runs_and_leaves_nothing(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    await store.begin()
    writes = [asyncio.ensure_future(store.append(at, "x")) for at in range(50)]
    reads = [asyncio.ensure_future(store.list(includePartial=True)) for _ in range(10)]
    await asyncio.sleep(0)
    assert our_threads()
    await asyncio.gather(store.backend.close(), store.backend.close())
    assert [await write for write in writes] == list(range(1, 51))
    assert all([await read for read in reads])
    assert our_threads() == [] and open_files(tmp_path) == []
    assert [file.name for file in tmp_path.iterdir()] == ["memory.db"]  # all is in it; no -wal, no -shm
    assert store.sql("SELECT length FROM texts WHERE id = 2") == [(50,)]


async def test_close_without_use_and_a_cancelled_close(make_store: Any, tmp_path: Path) -> None:
    await make_store(tmp_path / "unused.db").backend.close()
    store = make_store(tmp_path / "memory.db")
    await store.begin()
    closing_ = asyncio.ensure_future(store.backend.close())
    await asyncio.sleep(0)
    closing_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing_
    await store.backend.close()  # waits for what the first began
    assert our_threads() == [] and open_files(tmp_path) == []


async def test_as_a_context_manager(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    async with store.backend as backend:
        assert backend is store.backend
        await store.begin()
    assert our_threads() == [] and open_files(tmp_path) == []


async def test_a_cancelled_await_breaks_no_transaction(store: Any) -> None:
    """Whenever it is cancelled, a write is there whole or not at all, and what follows works."""
    await store.begin()
    done = 0
    for number in range(60):
        write = asyncio.ensure_future(store.exchange("q", f"answer {number}", f"st{number}"))
        for _ in range(number % 12):
            await asyncio.sleep(0 if number % 2 else 0.0005)
        write.cancel()
        try:
            await write
            done += 1
        except asyncio.CancelledError:
            pass
    assert await store.append(0, "still usable") == 12
    assert not store.backend._writer.in_transaction
    rows = await store.list(limit=1000)
    assert len(rows) % 2 == 0 and len(rows) >= 2 * done
    conversation = await store.conversation()
    assert conversation is None or conversation["messageCount"] == len(rows)
    assert store.sql("PRAGMA integrity_check") == [("ok",)]


async def test_a_failure_that_nobody_waits_for_any_more_is_logged(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    await store.begin()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.backend._writer.execute("PRAGMA busy_timeout = 100")
        write = asyncio.ensure_future(store.append(0, "private"))
        await asyncio.sleep(0.03)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
        while not caplog.records:
            await asyncio.sleep(0.005)
    assert "failed after the task that waited for it was cancelled" in caplog.text and "private" not in caplog.text


def test_a_change_of_loop_just_works(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    asyncio.run(store.begin())
    assert asyncio.run(store.append(0, "abc")) == 3
    assert run_virtual(store.append(3, "def")) == 6
    assert asyncio.run(store.list(includePartial=True))[0]["content"] == "abcdef"
    asyncio.run(store.backend.close())
    assert our_threads() == [] and open_files(tmp_path) == []


def test_several_loops_at_once(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")

    async def write(name: str) -> None:
        for number in range(10):
            await store.exchange("q", "a", f"{name}{number}")
            await store.search("a")

    threads = [threading.Thread(target=asyncio.run, args=(write(f"t{n}"),)) for n in range(3)]
    threads.append(threading.Thread(target=run_virtual, args=(write("virtual"),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(store.count()) == 80
    asyncio.run(store.backend.close())


def test_in_virtual_time_everything_runs_inline_and_the_same_input_gives_the_same_rows(
    make_store: Any, tmp_path: Path
) -> None:
    async def main(name: str) -> list[Any]:
        store = make_store(tmp_path / name)
        async with store.backend:
            await store.begin("one")
            await asyncio.gather(*(store.exchange("q", f"a{n}", f"st{n}") for n in range(5)))
            await store.append(0, "text", "one")
            rows = [*await store.list(includePartial=True), *await store.search("a1 a2"), await store.conversation()]
            assert our_threads() == []
        return rows

    assert run_virtual(main("a.db")) == run_virtual(main("b.db"))


async def test_in_memory(make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = make_store(":memory:")
    await store.exchange("q", "zebra", "st")
    assert await store.found("zebra") == ["zebra"]
    await store.backend.compact()
    await store.backend.backup(tmp_path / "copy.db")
    await store.backend.close()
    copy = make_store(tmp_path / "copy.db", read_only=True)
    assert await copy.found("zebra") == ["zebra"]
    await copy.backend.close()


# --- backup -----------------------------------------------------------------------------------------------------------


async def test_a_backup_is_whole_while_writes_go_on(store: Any, make_store: Any, tmp_path: Path) -> None:
    for number in range(5):
        await store.exchange("q", "filler " * 40_000, f"f{number}")
    copying = asyncio.ensure_future(store.backend.backup(tmp_path / "copy.db"))
    written = 0
    while not copying.done():
        await store.exchange("q", f"zebra {written}", f"w{written}")
        written += 1
    await copying
    assert written > 1
    copy_path = tmp_path / "copy.db"
    assert stat.S_IMODE(copy_path.stat().st_mode) == 0o600
    assert sorted(f.name for f in tmp_path.iterdir()) == ["copy.db", "memory.db", "memory.db-shm", "memory.db-wal"]
    with closing(sqlite3.connect(copy_path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy = make_store(copy_path, new_id=lambda: str(uuid.uuid4()))
    rows = await copy.list(limit=1000)
    # One moment: the first so many exchanges, each whole.
    kept = len(rows) // 2 - 5
    answers = [row["content"] for row in rows if row["messageRole"] == "agent"]
    assert answers[:kept] == [f"zebra {n}" for n in reversed(range(kept))] and len(rows) == 2 * (kept + 5)
    assert len(await copy.search("zebra", limit=1000)) == kept
    await copy.exchange("q", "goes on", "later")
    await copy.backend.close()
    await store.exchange("q", "goes on too", "later")


async def test_a_backup_replaces_a_file_only_when_told(store: Any, tmp_path: Path) -> None:
    await store.exchange("q", "a", "st")
    target = tmp_path / "copy.db"
    target.write_bytes(b"precious")
    with pytest.raises(InvalidArgument, match="overwrite=True"):
        await store.backend.backup(target)
    assert target.read_bytes() == b"precious"
    await store.backend.backup(target, overwrite=True)
    assert target.read_bytes().startswith(b"SQLite format 3")
    for options in ({}, {"overwrite": True}):
        with pytest.raises(InvalidArgument, match="another file than the store"):
            await store.backend.backup(store.path, **options)
    with pytest.raises(StoreUnavailable, match="cannot be made there"):
        await store.backend.backup(tmp_path / "no" / "copy.db")
    assert await store.count() == 2


@pytest.mark.parametrize(("error", "raised"), [(OSError(5, "I/O error"), StoreUnavailable), (None, StoreFull)])
async def test_a_backup_that_fails_leaves_no_half_file(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError | None, raised: type[Exception]
) -> None:
    await store.exchange("q", "a " * 50_000, "st")
    real = sqlite3.connect

    def full(*args: Any, **options: Any) -> sqlite3.Connection:
        db = real(*args, **options)
        if str(args[0]).endswith(".partial"):
            if error is not None:
                db.close()
                raise error
            db.execute("PRAGMA max_page_count = 5")
        return db

    monkeypatch.setattr(backup.sqlite3, "connect", full)
    with pytest.raises(raised):
        await store.backend.backup(tmp_path / "copy.db")
    assert not [file.name for file in tmp_path.iterdir() if "copy" in file.name]
    assert await store.count() == 2


async def test_a_cancelled_backup_stops_and_leaves_no_half_file(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_until_cancelled(db: Any, path: str, target: str, overwrite: bool, cancelled: threading.Event) -> None:
        waits = SimpleNamespace(is_set=lambda: cancelled.wait(60))  # asked between two steps, on the copy's thread
        backup.copy_database(db, path, target, overwrite, cast(Any, waits))

    await store.exchange("q", "a " * 200_000, "st")
    monkeypatch.setattr(backup, "_STEP", 1)
    monkeypatch.setattr("cortex_rx.backends.sqlite.store.copy_database", copy_until_cancelled)
    copying = asyncio.ensure_future(store.backend.backup(tmp_path / "copy.db"))
    while not [file for file in tmp_path.iterdir() if file.name.endswith(".partial")]:
        await asyncio.sleep(0)
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    await store.backend.close()
    assert [file.name for file in tmp_path.iterdir()] == ["memory.db"]
