"""The file: how it is made and recognised, and what happens when it is busy, full, read-only, damaged or shared."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import sqlite3
import stat
from array import array
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.backends import Backend, SqliteBackend
from cortex_rx.backends.base import is_backend
from cortex_rx.backends.sqlite import connection
from cortex_rx.backends.sqlite.schema import APPLICATION_ID, MIGRATIONS
from cortex_rx.errors import (
    InvalidArgument,
    NotACortexFile,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreInaccessible,
    StoreReadOnly,
    StoreTooNew,
    StoreUnavailable,
)


def test_it_is_a_backend_and_making_it_touches_nothing(tmp_path: Path) -> None:
    backend: Backend = SqliteBackend(tmp_path / "memory.db")
    assert is_backend(backend) and not is_backend(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_the_settings_of_the_file_and_of_each_connection(store: Any) -> None:
    await store.exchange("q", "a", "st")
    await store.list()
    assert store.sql("PRAGMA journal_mode") == [("wal",)]
    assert store.sql("PRAGMA application_id") == [(APPLICATION_ID,)]
    assert store.sql("PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert store.sql("PRAGMA integrity_check") == [("ok",)] and store.sql("PRAGMA foreign_key_check") == []
    writer = store.backend._writer
    for pragma, value in (("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 1000), ("secure_delete", 1)):
        assert writer.execute(f"PRAGMA {pragma}").fetchone()[0] == value
    (reader,) = store.backend._readers
    assert reader.execute("PRAGMA query_only").fetchone()[0] == 1
    assert not reader.in_transaction and not writer.in_transaction


async def test_only_the_owner_may_read_the_file(store: Any) -> None:
    old = os.umask(0)
    try:
        await store.exchange("q", "a", "st")
    finally:
        os.umask(old)
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in store.path.parent.iterdir()}
    assert files == {"memory.db": 0o600, "memory.db-wal": 0o600, "memory.db-shm": 0o600}


async def test_a_missing_folder_is_named(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "no" / "memory.db")
    for _ in range(2):
        for call in (store.list(), store.begin()):
            with pytest.raises(StoreInaccessible, match=f"the folder {tmp_path}/no does not exist") as caught:
                await call
            assert not isinstance(caught.value, StoreUnavailable)  # which callers try again
    (tmp_path / "no").mkdir()
    assert await store.list() == []  # a failure to open is not for ever
    await store.backend.close()


@pytest.mark.parametrize("options", [{}, {"read_only": True}])
async def test_a_path_that_is_a_folder_or_within_a_file(
    make_store: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    (tmp_path / "letter.txt").write_bytes(b"hello")
    for path, why in (
        (tmp_path, "this is a folder, not a file"),
        (tmp_path / "letter.txt" / "memory.db", "letter.txt is not a folder"),
        (tmp_path / "letter.txt" / "no" / "memory.db", "letter.txt/no does not exist"),
        (tmp_path / ("x" * 300) / "memory.db", "cannot be read"),
    ):
        store = make_store(path, **options)
        with pytest.raises(StoreInaccessible, match=why):
            await store.list()
        await store.backend.close()


async def test_what_may_pass_is_worth_trying_again(make_store: Any, tmp_path: Path, monkeypatch: Any) -> None:
    store = make_store(tmp_path / "memory.db")

    def refuse(*_: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(connection.os, "open", refuse)
        with pytest.raises(StoreUnavailable, match="Too many open files"):
            await store.begin()
    await store.begin()
    await store.backend.close()


@pytest.mark.parametrize("options", [{"busy_timeout": -1}, {"max_page_count": 0}])
def test_options_are_checked(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        SqliteBackend(tmp_path / "x.db", **options)


def test_a_path_is_needed() -> None:
    with pytest.raises(InvalidArgument):
        SqliteBackend("")


async def test_odd_names_and_a_change_of_folder(
    make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = make_store("a ?mode=memory&x=%41#é.db")
    monkeypatch.chdir("/")
    await store.exchange("q", "a", "st")
    await store.backend.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a ?mode=memory&x=%41#é.db"]


async def test_a_newer_file_is_refused_and_left_alone(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    await store.exchange("q", "a", "st")
    await store.backend.close()
    store.sql(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = store.path.read_bytes()
    for options in ({}, {"read_only": True}):
        newer = make_store(store.path, **options)
        with pytest.raises(
            StoreTooNew, match=f"has version {len(MIGRATIONS) + 1}, this package knows {len(MIGRATIONS)}"
        ):
            await newer.list()
        await newer.backend.close()
    assert store.path.read_bytes() == before


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE notes (x)", "PRAGMA user_version = 3", "PRAGMA application_id = 77"]
)
async def test_the_database_of_another_program_is_refused_and_left_alone(
    make_store: Any, tmp_path: Path, statement: str
) -> None:
    store = make_store(tmp_path / "other.db")
    store.sql("PRAGMA journal_mode = DELETE")
    store.sql(statement)
    before = store.path.read_bytes()
    with pytest.raises(NotACortexFile):
        await store.begin()
    await store.backend.close()
    assert store.path.read_bytes() == before and [f.name for f in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize("content", [b"hello", b"%PDF-1.7 " + bytes(range(256)) * 40])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(
    make_store: Any, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    for options in ({}, {"read_only": True}):
        store = make_store(path, **options)
        with pytest.raises(NotACortexFile):
            await store.list()
        await store.backend.close()
    assert path.read_bytes() == content


@pytest.mark.parametrize("fresh", ["", "VACUUM"])
async def test_an_empty_file_is_as_good_as_none(make_store: Any, tmp_path: Path, fresh: str) -> None:
    store = make_store(tmp_path / "memory.db")
    store.path.touch()
    if fresh:
        store.sql("PRAGMA journal_mode = WAL")
        store.sql(fresh)
    await store.exchange("q", "a", "st")
    assert await store.found("a") == ["a"]
    await store.backend.close()


async def test_a_new_file_is_as_one_that_all_migrations_made(make_store: Any, tmp_path: Path) -> None:
    """In its tables and their rows, whatever the language. `make docs` writes the layout of new files."""
    migrated, new = (make_store(tmp_path / name, language="french") for name in ("migrated.db", "new.db"))
    with closing(sqlite3.connect(migrated.path)) as db:
        db.execute("PRAGMA page_size = 1024")
        for statement in (*MIGRATIONS[0], f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 1"):
            db.execute(statement)
        db.commit()
    for store in (migrated, new):
        await store.list()
        await store.backend.close()
    layout = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"
    assert new.sql(layout) == migrated.sql(layout), "run `make docs`"
    assert new.sql("SELECT * FROM settings") == [("language", "french")]
    tables = [name for (name,) in new.sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage")]
    assert {"spaces", "terms_data", "sqlite_sequence"} < set(tables)
    for table in tables:
        rows = f"SELECT * FROM {table}" + " WHERE seq > 0" * (table == "sqlite_sequence")  # no row says 0, too
        assert new.sql(rows) == migrated.sql(rows), f"{table}: run `make docs`"
    for pragma in ("application_id", "user_version", "page_size", "journal_mode", "encoding", "auto_vacuum"):
        assert new.sql(f"PRAGMA {pragma}") == migrated.sql(f"PRAGMA {pragma}"), pragma
    for check, sound in (("integrity_check", [("ok",)]), ("foreign_key_check", [])):
        assert new.sql(f"PRAGMA {check}") == migrated.sql(f"PRAGMA {check}") == sound


@pytest.mark.parametrize("whole", [True, False])
async def test_a_store_in_memory_is_as_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    """Also where SQLite was built without reading a file from memory. Each has the language that was asked for."""

    class Plain(sqlite3.Connection):
        deserialize = property()  # nothing is there

    if not whole:
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **options, factory=Plain))
    made = []
    for path, language in ((str(tmp_path / "memory.db"), "german"), (":memory:", "german"), (":memory:", "english")):
        settings = connection.Settings(path, False, 5.0, None, language)
        with closing(connection.connect_writer(settings)) as db:
            pragmas = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "user_version")]
            schema = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
            rows = db.execute("SELECT name, value FROM settings ORDER BY name").fetchall()
            made.append((pragmas, [*map(tuple, schema)], [tuple(row) for row in rows if row["name"] != "language"]))
            assert connection.language_in(db, settings).name == language
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert made[0] == made[1] == made[2]


async def test_an_older_file_is_migrated_once_and_all_or_nothing(
    make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "memory.db")
    await store.exchange("q", "zebra", "st")
    await store.backend.close()
    before, now = store.sql("SELECT name, sql FROM sqlite_schema"), len(MIGRATIONS)
    broken = (*MIGRATIONS, ("ALTER TABLE memories ADD COLUMN mood TEXT",), ("ALTER TABLE nowhere ADD COLUMN x",))
    monkeypatch.setattr(connection, "MIGRATIONS", broken)
    failing = make_store(store.path)
    with pytest.raises(StoreError, match="no such table"):
        await failing.list()
    await failing.backend.close()
    assert store.sql("SELECT name, sql FROM sqlite_schema") == before and store.sql("PRAGMA user_version") == [(now,)]
    monkeypatch.setattr(connection, "MIGRATIONS", broken[: now + 1])
    reading = make_store(store.path, read_only=True)
    with pytest.raises(StoreReadOnly, match=f"has version {now} and must be migrated to {now + 1}"):
        await reading.list()
    await reading.backend.close()
    for _ in range(2):
        newer = make_store(store.path)
        assert await newer.found("zebra") == ["zebra"]
        await newer.backend.close()
    assert store.sql("PRAGMA user_version") == [(now + 1,)] and store.sql("SELECT mood FROM memories") == [(None,)] * 2


async def test_a_file_that_stays_locked_while_it_is_opened_is_busy(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db", busy_timeout=0.05)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy):
            await store.list()
        other.execute("COMMIT")
    assert await store.list() == []
    await store.backend.close()


async def test_a_folder_where_nothing_can_be_made(make_store: Any) -> None:
    store = make_store("/proc/memory.db")
    with pytest.raises(StoreInaccessible, match="cannot be made"):
        await store.list()
    await store.backend.close()


async def test_a_damaged_file_is_named_so(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    for number in range(20):
        await store.exchange("q", "text " * 500, f"st{number}")
    await store.backend.close()
    content = bytearray(store.path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    store.path.write_bytes(content)
    damaged = make_store(store.path)
    with pytest.raises(StoreCorrupt):
        await damaged.list()
    await damaged.backend.close()


async def test_read_only_reads_and_refuses_to_write(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db")
    await store.exchange("q", "zebra", "st")
    reading = make_store(store.path, read_only=True)  # while the other has it open
    assert await reading.found("zebra") == ["zebra"]
    await store.exchange("q", "zebra two", "st2")
    assert len(await reading.found("zebra")) == 2
    await store.backend.close()
    for _ in range(2):
        with pytest.raises(StoreReadOnly):
            await reading.begin("new")
        with pytest.raises(StoreReadOnly):
            await reading.backend.compact()
    await reading.backend.backup(tmp_path / "copy.db")
    await reading.backend.close()
    alone = make_store(store.path, read_only=True)
    before = store.path.read_bytes()
    assert len(await alone.found("zebra")) == 2
    assert (await alone.conversation())["messageCount"] == 4
    with pytest.raises(StoreReadOnly):
        await alone.begin("new")
    await alone.backend.close()
    assert store.path.read_bytes() == before


async def test_read_only_makes_no_file(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db", read_only=True)
    with pytest.raises(StoreInaccessible, match="there is no such file"):
        await store.list()
    with pytest.raises(StoreInaccessible):
        await store.begin()
    assert list(tmp_path.iterdir()) == []
    store.path.touch()
    with pytest.raises(StoreReadOnly, match="must be migrated to"):
        await store.list()
    await store.backend.close()


async def test_a_full_disk_stores_nothing_of_the_write_that_found_out(make_store: Any, tmp_path: Path) -> None:
    first = make_store(tmp_path / "first.db")
    await first.begin()
    ((pages,),) = first.sql("PRAGMA page_count")
    await first.backend.close()
    store = make_store(tmp_path / "memory.db", max_page_count=pages + 12)
    await store.begin()
    end = 0
    with pytest.raises(StoreFull):
        while True:
            end = await store.append(end, f"{end:08} word " * 150)
    row = await store.get("mem-001", includePartial=True)
    assert row["contentLength"] == end
    with pytest.raises(StoreFull):
        await store.finalize("x" * 100_000, start=end)
    assert (await store.conversation())["messages"] == [] and (await store.get("mem-001", includePartial=True)) == row
    assert store.sql("PRAGMA integrity_check") == [("ok",)]
    await store.backend.close()
    assert store.path.stat().st_size <= (pages + 12) * 1024
    raised = make_store(store.path, max_page_count=6000)
    assert (await raised.finalize("x" * 100_000, start=end))["contentLength"] == end + 100_000
    await raised.backend.close()


async def test_a_busy_store_waits_without_blocking_the_loop_then_says_so(make_store: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "memory.db", busy_timeout=0.3)
    await store.begin()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ticks = 0
        writing = asyncio.ensure_future(store.append(0, "abc"))
        while not writing.done():
            await asyncio.sleep(0.01)
            ticks += 1
            assert await store.count(includePartial=True) == 1  # reads go on
        with pytest.raises(StoreBusy):
            await writing
        assert ticks > 5
        writing = asyncio.ensure_future(store.append(0, "abc"))
        await asyncio.sleep(0.05)
        other.execute("COMMIT")
        assert await writing == 3
    await store.backend.close()


async def test_after_close_everything_says_closed(store: Any) -> None:
    await store.begin()
    await store.backend.close()
    await store.backend.close()
    for call in (store.list(), store.begin(), store.backend.backup("x.db"), store.backend.compact()):
        with pytest.raises(StoreClosed):
            await call


_STREAM = (
    "INSERT INTO streams (seq, space, id, conversation, question, user_id, importance, tags, started, state, epoch,"
    " attempt, answer, memory, created, updated) VALUES (?, 's', ?, 'c', ?, 'ada', 50, '[]', 5, ?, 1, ?, ?, ?, 5, 5)"
)
_MEMORY = (
    "INSERT INTO memories (seq, space, id, text, stream, partial, content_type, source_type, source_timestamp, user_id,"
    " role, conversation, importance, tags, created, updated)"
    " VALUES (?, 's', ?, ?, ?, 1, 'raw', 'conversation', 5, 'ada', 'agent', 'c', 50, '[]', 5, 5)"
)


async def test_a_file_of_the_second_layout_goes_on_where_it_was(make_store: Any, tmp_path: Path) -> None:
    """Two streams are open in it, one of them at its second attempt; one was rolled back."""
    path = tmp_path / "memory.db"
    with closing(sqlite3.connect(path)) as db:
        for statement in (*MIGRATIONS[0], *MIGRATIONS[1]):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 2")
        db.execute("INSERT INTO spaces (id, name) VALUES (1, 's')")
        texts = ["why?", "first zebra", "second z", "how?", "so"]
        for number, text in enumerate(texts, 1):
            db.execute("INSERT INTO texts (id, space, length, touched) VALUES (?, 1, ?, 5)", (number, len(text)))
            db.execute("INSERT INTO pieces VALUES (?, 0, ?)", (number, text[:4]))
            db.execute("INSERT INTO pieces SELECT ?, 4, ? WHERE ? > ''", (number, text[4:], text[4:]))
        db.execute("UPDATE texts SET lease = 4600000 WHERE id = 3")  # given before the clock was set back by an hour
        db.execute("UPDATE texts SET lease = 1009000 WHERE id = 5")
        db.execute(_STREAM, (1, "st", 1, "open", 1, 3, "mem-st"))
        db.execute(_STREAM, (2, "other", 4, "open", 0, 5, "mem-other"))
        db.execute(_STREAM, (3, "gone", None, "rolledBack", 0, None, ""))
        db.execute(_MEMORY, (2, "mem-st", 3, 1))
        db.execute(_MEMORY, (4, "mem-other", 5, 2))
        db.executemany("INSERT INTO attempts VALUES (?, ?, ?)", [(1, 0, 2), (1, 1, 3), (2, 0, 5)])
        db.execute("INSERT INTO tokens (hash, space, stream, expires) VALUES (?, 's', 1, 5000000)", ("0" * 64,))
        db.commit()
    store, new = make_store(path), make_store(tmp_path / "new.db")
    await new.list()
    assert await store.found("second", includePartial=True) == ["second z"]
    layout = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert store.sql(layout) == new.sql(layout)
    assert store.sql("PRAGMA foreign_key_check") == [] and store.sql("PRAGMA integrity_check") == [("ok",)]
    assert store.sql("SELECT * FROM attempts") == [(1, 0, 2)]
    assert [(await store.call("get", stream))["owned"] for stream in ("st", "other")] == [False, True]
    assert (await store.call("read", after=2, attempt=0))["text"] == "rst zebra"
    assert (await store.call("read", after=2))["text"] == "cond z"
    await store.append(8, "ebra", attempt=1)
    await store.finalize("!", start=12, attempt=1)
    await store.append(2, " it is", "other")
    await store.finalize("", "other", start=8)
    assert await store.found("zebra") == ["second zebra!"]
    assert [row["content"] for row in await store.list()] == ["so it is", "how?", "second zebra!", "why?"]
    assert (await store.begin("gone"))["epoch"] == 2
    assert (await store.take("0" * 64, "claim"))["state"] == "finished"
    await store.delete("mem-st")
    bodies = {body for (body,) in store.sql("SELECT body FROM pieces")}
    assert bodies.isdisjoint({"firs", "t zebra"}) and {"seco", "nd z"} < bodies  # the conversation has the answer still
    for each in (store, new):
        await each.backend.close()


async def test_a_file_of_the_third_layout_gets_its_pending_exchanges(make_store: Any, tmp_path: Path) -> None:
    """Exchanges that have ended keep ids and order, that of their ends; open ones get ids and places."""
    path = tmp_path / "memory.db"
    with closing(sqlite3.connect(path)) as db:
        for statement in (*MIGRATIONS[0], *MIGRATIONS[1], *MIGRATIONS[2]):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 3")
        db.execute("INSERT INTO spaces (id, name) VALUES (1, 's')")

        def text(content: str) -> int:
            made = db.execute("INSERT INTO texts (space, length, touched) VALUES (1, ?, 5)", (len(content),)).lastrowid
            assert made is not None
            if content:
                db.execute("INSERT INTO pieces (place, body) VALUES (?, ?)", (made << 32, content))
            return made

        texts: dict[str, int] = {}
        # Asked in this order: b, a, open, c, closed, again, gone, alone; a ended before b. `again` was closed and asked
        # again, the answer of `gone` was deleted, `alone` is all of its conversation, with `alone too`.
        states = {
            "b": "finished", "a": "finished", "open": "open", "c": "finished", "closed": "empty", "again": "open",
            "gone": "deleted", "alone": "open", "alone too": "open", "back": "rolledBack",
        }  # fmt: skip
        for seq, (name, state) in enumerate(states.items(), 1):
            there = state in ("finished", "empty", "open")
            texts[f"{name}?"], texts[f"{name}!"] = text(f"{name}?"), text(f"{name}!")
            question = texts[f"{name}?"] if there else None
            answer = texts[f"{name}!"] if there else None
            db.execute(
                _STREAM, (seq, name, question, state, 0, answer, f"mem-{name}!" if state != "rolledBack" else "")
            )
            talk = "d" if name.startswith("alone") else "c" if state != "rolledBack" else ""
            who = "bob" if name == "alone too" else None
            db.execute("UPDATE streams SET conversation = ?, agent_id = ? WHERE seq = ?", (talk, who, seq))
            for whose, role in (("?", "user"), ("!", "agent")):
                if (whose == "!" and state in ("finished", "open")) or (
                    whose == "?" and (state in ("finished", "empty") or name in ("again", "gone"))
                ):
                    db.execute(_MEMORY, (2 * seq + (whose == "!"), f"mem-{name}{whose}", texts[f"{name}{whose}"], None))
                    db.execute(
                        "UPDATE memories SET partial = ?, stream = ?, role = ? WHERE id = ?",
                        (whose == "!" and state == "open", seq if (whose == "!") == (state != "empty") else None, role,
                         f"mem-{name}{whose}"),
                    )  # fmt: skip
        db.execute(
            "INSERT INTO conversations (space, id, type, user_id, message_count, created, updated)"
            " VALUES ('s', 'c', 'user-agent', 'ada', 10, 5, 5)"
        )
        said = ["a?", "a!", "b?", "b!", "c?", "c!", "closed?", "again?", "gone?", "gone!"]
        for position, content in enumerate(said):
            role, column = ("user", "question") if content.endswith("?") else ("agent", "answer")
            db.execute(
                "INSERT INTO messages (conversation, position, id, role, text, timestamp) VALUES (1, ?, ?, ?, ?, 5)",
                (position, f"msg-{content}", role, texts[content]),
            )
            db.execute(f"UPDATE streams SET {column}_message = ? WHERE id = ?", (f"msg-{content}", content[:-1]))
            if column == "question":
                db.execute("UPDATE streams SET question_memory = ? WHERE id = ?", (f"mem-{content}", content[:-1]))
        db.execute(
            "DELETE FROM texts WHERE id NOT IN (SELECT text FROM messages UNION SELECT text FROM memories"
            " UNION SELECT coalesce(question, 0) FROM streams UNION SELECT coalesce(answer, 0) FROM streams)"
        )
        db.commit()
    store, new = make_store(path), make_store(tmp_path / "new.db")
    await new.list()
    found = await store.conversation()
    assert [message["id"] for message in found["messages"]] == [f"msg-{content}" for content in said]
    assert found["messageCount"] == 10 and found["participants"] == {"userId": "ada"}
    # "open" was asked after "b", the last of those before it, and before "c".
    assert [(one["streamId"], one["position"], one["length"]) for one in found["pending"]] == [
        ("open", 4, 5), ("again", 7, 6)
    ]  # fmt: skip
    ids = {one["streamId"]: (one["messageIds"], one["memoryIds"]) for one in found["pending"]}
    assert ids["again"][0][0] == "msg-again?" and ids["again"][1] == ["mem-again?", "mem-again!"]
    assert ids["open"][1][1] == "mem-open!" and len({*ids["open"][0], *ids["open"][1]}) == 4
    alone = await store.conversation("d")
    assert (alone["messages"], alone["createdAt"], alone["participants"]) == (
        [],
        5,
        {"userId": "ada", "agentId": "bob"},
    )
    assert [(one["streamId"], one["position"]) for one in alone["pending"]] == [("alone", 0), ("alone too", 0)]
    assert store.sql("SELECT type, name, sql FROM sqlite_schema ORDER BY name") == new.sql(
        "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    )
    assert store.sql("PRAGMA foreign_key_check") == [] and store.sql("PRAGMA integrity_check") == [("ok",)]
    assert [row["streamId"] for row in await store.call("list", None, conversationId="c")] == [
        "again", "closed", "c", "open", "a", "b"
    ]  # fmt: skip
    # It goes on: what is new comes last, and what was open ends in its place, under its ids.
    await store.exchange("new?", "new!", "new")
    await store.begin("closed", "closed?")
    await store.finalize("closed!", "closed", epoch=2, attempt=1)
    for name in ("again", "open"):
        await store.finalize("", name, start=len(name) + 1)
    found = await store.conversation()
    assert found["pending"] == [] and [message["content"] for message in found["messages"]] == [
        "a?", "a!", "b?", "b!", "open?", "open!", "c?", "c!", "closed?", "closed!", "again?", "again!", "gone?",
        "gone!", "new?", "new!",
    ]  # fmt: skip
    assert [message["id"] for message in found["messages"][4:6]] == ids["open"][0]
    memories = {row["memoryId"] for row in await store.list()}
    assert {*ids["open"][1], *ids["again"][1], "mem-a?", "mem-b!", "mem-closed?", "mem-gone?"} <= memories
    await store.call("rollback", "alone", epoch=1)
    assert (await store.conversation("d"))["participants"] == {"userId": "ada", "agentId": "bob"}
    await store.call("rollback", "alone too", epoch=1)
    assert await store.conversation("d") is None
    for each in (store, new):
        await each.backend.close()


async def test_a_file_of_the_sixth_layout_keeps_its_memories_and_their_numbers(make_store: Any, tmp_path: Path) -> None:
    """Its memories have chunks and streams, and the newest ones were deleted: their numbers are not used again."""
    path = tmp_path / "memory.db"
    with closing(sqlite3.connect(path)) as db:
        for statement in chain.from_iterable(MIGRATIONS[:6]):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 6")
        db.execute("INSERT INTO spaces (id, name) VALUES (1, 's')")
        db.execute(
            "INSERT INTO conversations (space, id, type, created, updated) VALUES ('s', 'c', 'user-agent', 5, 5)"
        )
        for number, text in enumerate(["why?", "first zebra", "how?", "so"], 1):
            db.execute("INSERT INTO texts (id, space, length, touched) VALUES (?, 1, ?, 5)", (number, len(text)))
            db.execute("INSERT INTO pieces (place, body) VALUES (?, ?)", (number << 32, text))
        db.execute(_STREAM, (1, "st", 1, "finished", 0, 2, "mem-st"))
        db.execute(_STREAM, (2, "other", 3, "open", 0, 4, "mem-other"))
        db.execute(
            "UPDATE streams SET conversation_seq = 1, question_kept = seq = 1, question_memory = 'mem-q' || seq,"
            " question_message = 'msg-q' || seq, answer_message = 'msg-a' || seq"
        )
        db.execute(_MEMORY, (1, "mem-q1", 1, None))
        db.execute(_MEMORY, (2, "mem-st", 2, 1))
        db.execute(_MEMORY, (4, "mem-other", 4, 2))
        db.execute("UPDATE memories SET partial = 0 WHERE seq < 3")
        db.execute("UPDATE memories SET role = 'user', embedding = zeroblob(8) WHERE seq = 1")
        db.execute(
            "UPDATE memories SET chunks = 2, message = 'msg', metadata = '{\"a\": 1}', version = 3 WHERE seq = 2"
        )
        for part, (start, stop) in enumerate([(0, 6), (6, 11)]):
            db.execute(
                "INSERT INTO chunks (memory, part, space, id, start, stop, overlap) VALUES (2, ?, 's', ?, ?, ?, 0)",
                (part, f"mem-{part}", start, stop),
            )
        db.execute("UPDATE sqlite_sequence SET seq = 40 WHERE name = 'memories'")
        db.row_factory = sqlite3.Row
        before = [dict(row) for row in db.execute("SELECT * FROM memories ORDER BY seq")]
        assert [row.pop("embedding") for row in before] == [bytes(8), None, None]
        db.commit()
    store, new = make_store(path), make_store(tmp_path / "new.db")
    await new.list()
    listed = [row["content"] for row in await store.list(includePartial=True, includeChunks=True)]
    assert listed == ["so", "first zebra", "first ", "zebra", "why?"]
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        after = [dict(row) for row in db.execute("SELECT * FROM memories ORDER BY seq")]
    kept = [{name: row.pop(name) for name in was} for row, was in zip(after, before, strict=True)]
    assert kept == before and {tuple(row.items()) for row in after} == {(("refs", None), ("archived", 0))}
    assert (await store.get("mem-q1"))["embedding"] == [0.0]
    layout = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert store.sql(layout) == new.sql(layout)
    assert store.sql("PRAGMA foreign_key_check") == [] and store.sql("PRAGMA integrity_check") == [("ok",)]
    await store.begin("new")
    assert max(seq for (seq,) in store.sql("SELECT seq FROM memories")) == 42
    await store.finalize(" it is", "other", start=2)
    assert [row["content"] for row in await store.list()] == ["so it is", "how?", "first zebra", "why?"]
    for each in (store, new):
        await each.backend.close()


async def test_a_file_of_the_seventh_layout_keeps_all_its_embeddings(make_store: Any, tmp_path: Path) -> None:
    """Two numbers are the most frequent length. Those of other lengths are kept, and not searched."""
    path = tmp_path / "memory.db"
    given = {1: [0.5, 2.0], 2: [1.0, 2.0, 3.0], 3: None, 4: [4.0]}
    of_chunks: list[list[float] | None] = [[-1e300, 1.0], None]
    with closing(sqlite3.connect(path)) as db:
        for statement in chain.from_iterable(MIGRATIONS[:7]):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 7")
        db.execute("INSERT INTO spaces (id, name) VALUES (1, 's'), (2, 't')")
        for seq, vector in given.items():
            db.execute("INSERT INTO texts (id, space, length, touched) VALUES (?, ?, 4, 5)", (seq, 1 + (seq == 4)))
            db.execute("INSERT INTO pieces (place, body) VALUES (?, 'text')", (seq << 32,))
            db.execute(_MEMORY, (seq, f"mem-{seq}", seq, None))
            blob = None if vector is None else array("d", vector).tobytes()
            db.execute("UPDATE memories SET partial = 0, embedding = ? WHERE seq = ?", (blob, seq))
        db.execute("UPDATE memories SET space = 't' WHERE seq = 4")
        db.execute("UPDATE memories SET chunks = 2 WHERE seq = 3")
        for part, vector in enumerate(of_chunks):
            db.execute(
                "INSERT INTO chunks (memory, part, space, id, start, stop, overlap, embedding)"
                " VALUES (3, ?, 's', ?, ?, ?, 0, ?)",
                (part, f"chunk-{part}", 2 * part, 2 * part + 2, vector and array("d", vector).tobytes()),
            )
        db.commit()
    store, new = make_store(path), make_store(tmp_path / "new.db")
    await new.list()
    for seq, vector in given.items():
        row = await store.get(f"mem-{seq}", memorySpaceId="t" if seq == 4 else "s")
        assert row.get("embedding") == vector
    assert [(await store.get(f"chunk-{part}")).get("embedding") for part in (0, 1)] == of_chunks
    assert store.sql("SELECT name, dimension, state FROM embedders ORDER BY dimension") == [
        ("", 1, "kept"), ("", 2, "current"), ("", 3, "kept")
    ]  # fmt: skip
    assert store.sql("SELECT * FROM vector_changes") == [(1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 4)]
    layout = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert store.sql(layout) == new.sql(layout)
    assert store.sql("PRAGMA foreign_key_check") == [] and store.sql("PRAGMA integrity_check") == [("ok",)]
    for each in (store, new):
        await each.backend.close()


def undo(path: Path, version: int) -> None:
    """Take out of a file what the migrations after `version` have made."""
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in chain.from_iterable(MIGRATIONS[:version]):
            db.execute(statement)
        kept = dict(db.execute("SELECT name, sql FROM sqlite_schema"))
        columns = {name: {row[1] for row in db.execute(f'PRAGMA table_info("{name}")')} for name in kept}
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        listed = "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY sql NOT LIKE '%VIRTUAL%'"
        for kind in ("trigger", "index", "table"):
            for was, name in db.execute(listed).fetchall():
                if was == kind and name not in kept:
                    db.execute(f'DROP {kind} IF EXISTS "{name}"')
        for name, old in columns.items():
            for row in db.execute(f'PRAGMA table_info("{name}")').fetchall():
                if row[1] not in old:
                    db.execute(f'ALTER TABLE "{name}" DROP COLUMN "{row[1]}"')
        there = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
        for name in kept.keys() - there:
            made = re.match(r"CREATE INDEX \w+ ON (\w+)", kept[name] or "")
            if made and made[1] in there:  # those of the words go when their index has moved
                db.execute(kept[name])
        db.execute(f"PRAGMA user_version = {version}")


async def test_a_file_from_before_there_were_facts_is_read_for_them(make_store: Any, tmp_path: Path) -> None:
    """Also a stream that is open in it, and one that has ended."""
    store, new = make_store(tmp_path / "memory.db"), make_store(tmp_path / "new.db")
    await store.exchange("why?", "That is so.", "ended")
    await store.begin()
    await store.append(0, "Ada lives")
    for one in (store, new):
        await one.list()
        await one.backend.close()
    undo(store.path, 10)
    store = make_store(store.path)
    fact = {"fact": "Ada lives in Rome.", "factType": "identity", "confidence": 80}
    window = {"side": "answer", "from": 0, "to": 18, "facts": [fact]}
    result = await store.finalize(" in Rome.", start=9, extractions=[window])
    assert [row["fact"] for row in result["facts"]] == ["Ada lives in Rome."]
    assert await store.found("so") == ["That is so."]
    rows = await store.backend.query("facts:queued", {"memorySpaceId": "s"})
    assert [(row["streamId"], row["side"]) for row in rows] == [("st", "question")]
    await store.backend.close()
    layout = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert store.sql(layout) == new.sql(layout)
