"""Several processes: one file at once, other users, forks, a kill."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import tempfile
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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.parametrize("folder_mode", [0o755, 0o777])
def test_a_file_that_may_not_be_written_is_read(program: Any, output: Any, make_store: Any, folder_mode: int) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        store = make_store(folder / "memory.db")

        async def fill() -> None:
            async with store.backend:
                await store.exchange("q", "zebra", "st")

        asyncio.run(fill())
        os.chmod(store.path, 0o444)
        os.chmod(folder, folder_mode)
        body = """
        import urllib.parse
        async def main():
            await exchange(SqliteBackend(":memory:"), "x", "x")  # everything is imported while we may
            os.setuid(65534)
            async with SqliteBackend(path) as backend:
                print(await contents(backend))
                try:
                    await backend.mutation("streams:begin", begin("new"))
                except errors.StoreReadOnly:
                    print("read only")
        asyncio.run(main())
        """
        assert output(program(body, store.path)) == "['zebra']\nread only"
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "why"),
    [
        (None, 0o755, "the file cannot be made (Permission denied)"),
        (None, 0o700, "cannot be read (Permission denied)"),
        (0o600, 0o777, "the permission to read the file is missing"),
    ],
)
def test_a_missing_permission_is_named(
    program: Any, output: Any, make_store: Any, file_mode: int | None, folder_mode: int, why: str
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        store = make_store(folder / "shop" / "memory.db")
        (folder / "shop").mkdir()
        if file_mode is not None:
            store.path.touch()
            os.chmod(store.path, file_mode)
        os.chmod(folder, folder_mode)
        os.chmod(folder / "shop", folder_mode)
        body = """
        async def main():
            await exchange(SqliteBackend(":memory:"), "x", "x")  # everything is imported while we may
            os.setuid(65534)
            async with SqliteBackend(path) as backend:
                try:
                    await backend.mutation("streams:begin", begin("new"))
                except errors.StoreInaccessible as error:
                    print(error)
        asyncio.run(main())
        """
        assert why in output(program(body, store.path))
    finally:
        shutil.rmtree(folder)


def test_six_processes_open_a_new_file_at_once(program: Any, output: Any, tmp_path: Path) -> None:
    """They are forks of a process that has imported everything, and start when it closes a pipe."""
    body = """
    async def main(number):
        async with SqliteBackend(path, busy_timeout=5) as backend:  # nobody here tries again, as our operators do
            for each in range(5):
                await exchange(backend, f"{number}-{each}", f"{number}-{each}")
    waits, held = os.pipe()
    children = []
    for number in range(6):
        if not (child := os.fork()):
            os.close(held)
            os.read(waits, 1)
            asyncio.run(main(number))
            os._exit(0)
        children.append(child)
    os.close(held)
    print([os.waitpid(child, 0)[1] for child in children])
    """
    for round_ in range(3):
        path = tmp_path / f"{round_}.db"
        assert output(program(body, path)) == "[0, 0, 0, 0, 0, 0]"
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


@pytest.mark.parametrize("path", ["memory.db", ":memory:"])
def test_after_a_fork_parent_and_child_go_on(program: Any, output: Any, tmp_path: Path, path: str) -> None:
    body = """
    backend = SqliteBackend(path)
    async def before():
        await exchange(backend, "before", "before")
        await contents(backend)
    async def after(name):
        for number in range(20):
            await exchange(backend, f"{name}-{number}", f"{name}-{number}")
        if name == "child":
            await backend.close()
    asyncio.run(before())
    held = [backend._writer, *backend._readers]
    child = os.fork()
    if path != ":memory:":
        assert backend._writer is None and not backend._readers
    asyncio.run(after("parent" if child else "child"))
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    async def last():
        print(len(await contents(backend)))
        await backend.close()
    asyncio.run(last())
    """
    # A file is shared from then on; what is in memory is copied.
    expected = "41" if path != ":memory:" else "21"
    assert output(program(body, tmp_path / path if path != ":memory:" else path)) == expected


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
