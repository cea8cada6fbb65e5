"""Several processes: one file at once, other users, forks, a kill."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.backends.sqlite import store as sqlite_store
from cortex_rx.errors import StoreUnavailable


async def test_nothing_is_open_while_a_fork_is_made(store: Any) -> None:
    await store.exchange("q", "one", "one")
    await store.list()
    for after in (sqlite_store._after_fork_in_parent, sqlite_store._after_fork_in_child):
        sqlite_store._before_fork()
        try:
            assert store.backend._writer is None and store.backend._readers == []
        finally:
            after()
        assert await store.found("one") == ["one"]
        await store.begin(after.__name__)


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that other users may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_file_that_may_not_be_written_is_read(program: Any, output: Any, make_store: Any, folder: Path) -> None:
    """In a folder in which nothing may be made, and in one in which it may."""
    paths = []
    for folder_mode in (0o755, 0o777):
        inner = folder / oct(folder_mode)
        inner.mkdir()
        store = make_store(inner / "memory.db")

        async def fill(store: Any = store) -> None:
            async with store.backend:
                await store.exchange("q", "zebra", "st")

        asyncio.run(fill())
        os.chmod(store.path, 0o444)
        os.chmod(inner, folder_mode)
        paths.append(store.path)
    body = """
    async def main():
        await exchange(SqliteBackend(":memory:"), "x", "x")  # everything is imported while we may
        os.setuid(65534)
        for path in sys.argv[1:]:
            async with SqliteBackend(path) as backend:
                print(await contents(backend))
                try:
                    await backend.mutation("streams:begin", begin("new"))
                except errors.StoreReadOnly:
                    print("read only")
    asyncio.run(main())
    """
    assert output(program(body, *paths)) == "\n".join(["['zebra']\nread only"] * 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_missing_permission_is_named(program: Any, output: Any, folder: Path) -> None:
    cases: list[tuple[int | None, int, str]] = [
        (None, 0o755, "the file cannot be made (Permission denied)"),
        (None, 0o700, "cannot be read (Permission denied)"),
        (0o600, 0o777, "the permission to read the file is missing"),
    ]
    paths = []
    for file_mode, folder_mode, _ in cases:
        path = folder / oct(folder_mode) / "shop" / "memory.db"
        path.parent.mkdir(parents=True)
        if file_mode is not None:
            path.touch()
            os.chmod(path, file_mode)
        os.chmod(path.parent, folder_mode)
        os.chmod(path.parents[1], folder_mode)
        paths.append(path)
    body = """
    async def main():
        await exchange(SqliteBackend(":memory:"), "x", "x")  # everything is imported while we may
        os.setuid(65534)
        for path in sys.argv[1:]:
            async with SqliteBackend(path) as backend:
                try:
                    await backend.mutation("streams:begin", begin("new"))
                except errors.StoreInaccessible as error:
                    print(error)
    asyncio.run(main())
    """
    said = output(program(body, *paths)).splitlines()
    for line, path, (_, _, why) in zip(said, paths, cases, strict=True):
        assert why in line and str(path.parents[1]) in line


def test_six_processes_open_a_new_file_at_once(program: Any, output: Any, tmp_path: Path) -> None:
    """They are forks of a process that has imported everything, and start when it closes a pipe.  Three times."""
    body = """
    async def main(path, number):
        async with SqliteBackend(path, busy_timeout=5) as backend:  # nobody here tries again, as our operators do
            for each in range(5):
                await exchange(backend, f"{number}-{each}", f"{number}-{each}")
    for path in sys.argv[1:]:
        waits, held = os.pipe()
        children = []
        for number in range(6):
            if not (child := os.fork()):
                os.close(held)
                os.read(waits, 1)
                asyncio.run(main(path, number))
                os._exit(0)
            children.append(child)
        os.close(held)
        print([os.waitpid(child, 0)[1] for child in children], flush=True)
    """
    paths = [tmp_path / f"{round_}.db" for round_ in range(3)]
    assert output(program(body, *paths)).splitlines() == ["[0, 0, 0, 0, 0, 0]"] * 3
    for path in paths:
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM memories WHERE partial = 0").fetchone() == (60,)
            assert db.execute("SELECT message_count FROM conversations").fetchall() == [(60,)]
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_was_acknowledged_survives_a_kill(program: Any, output: Any, tmp_path: Path) -> None:
    body = """
    async def main():
        backend = SqliteBackend(path)
        await exchange(backend, "one", "kept")
        await backend.mutation("streams:begin", begin("two"))
        append = {name: value for name, value in final("two", "kept partly").items() if name != "length"}
        await backend.mutation("streams:append", append)
        print("done", flush=True)
        sys.stdin.readline()
    asyncio.run(main())
    """
    process = program(body, tmp_path / "memory.db")
    assert process.stdout is not None and process.stdout.readline() == "done\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    body = """
    async def main():
        async with SqliteBackend(path) as backend:
            rows = await backend.query("memories:list", {"memorySpaceId": "s", "includePartial": True})
            print(sorted((r["content"], r["isPartial"]) for r in rows))
    asyncio.run(main())
    """
    assert output(program(body, tmp_path / "memory.db")) == "[('kept', False), ('kept partly', True), ('why?', False)]"


def test_after_a_fork_parent_and_child_go_on(program: Any, output: Any, tmp_path: Path) -> None:
    body = """
    async def before(backend):
        await exchange(backend, "before", "before")
        await contents(backend)
    async def after(backend, name):
        for number in range(20):
            await exchange(backend, f"{name}-{number}", f"{name}-{number}")
        if name == "child":
            await backend.close()
    async def last(backend):
        print(len(await contents(backend)), flush=True)
        await backend.close()
    for path in sys.argv[1:]:
        backend = SqliteBackend(path)
        asyncio.run(before(backend))
        held = [backend._writer, *backend._readers]
        child = os.fork()
        if path != ":memory:":
            assert backend._writer is None and not backend._readers
        asyncio.run(after(backend, "parent" if child else "child"))
        if not child:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        asyncio.run(last(backend))
    """
    # A file is shared from then on; what is in memory is copied.
    assert output(program(body, tmp_path / "memory.db", ":memory:")).split() == ["41", "21"]


def test_a_fork_waits_for_what_runs(program: Any, output: Any, tmp_path: Path) -> None:
    """The child is made between two transactions, never within one, although writes continue all the time."""
    body = """
    backend = SqliteBackend(path, busy_timeout=30)  # the machine may be busy; who waits how long is not asked here
    async def main():
        await exchange(backend, "first", "first")
        writes = asyncio.gather(*(exchange(backend, f"p{n}", f"p{n}") for n in range(30)))
        await asyncio.sleep(0.01)
        children = []
        for number in range(3):
            await asyncio.sleep(0.01)
            child = os.fork()
            if not child:
                return number
            children.append(child)
        await writes
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        print(len(await contents(backend)))
        await backend.close()
    try:
        loop = asyncio.new_event_loop()
        number = loop.run_until_complete(main())
        if number is not None:
            async def child():
                await exchange(backend, f"c{number}", f"c{number}")
                await backend.close()
            asyncio.events._set_running_loop(None)
            asyncio.new_event_loop().run_until_complete(child())
            os._exit(0)
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    """
    assert output(program(body, tmp_path / "memory.db")) == "34"


async def test_a_process_that_was_forked_behind_pythons_back_is_refused(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.begin()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(StoreUnavailable, match="make a backend in this one"):
            await store.list()
    assert await store.count(includePartial=True) == 1
