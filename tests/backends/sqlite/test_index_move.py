"""An older file's index is moved into the new one: beside reads and writes, after kills, by several processes."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import examples, slow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.sqlite.index_move import IndexMove
from cortex_rx.backends.sqlite.schema import APPLICATION_ID, MIGRATIONS
from cortex_rx.backends.sqlite.tokenizer import in_space, index_text

TEXTS = (
    ("s", "Memories of running dogs"),
    ("s", "A memory that runs"),
    ("t", "other memories"),
    ("s", "long elephants " * 900),  # several documents
    ("s", "東京 C++ naïve café"),
    ("t", "gone giraffes"),
)


def make_old(path: Path) -> None:
    """A file of the sixth layout, with memories of two spaces, an answer in chunks, and an open stream."""
    with closing(sqlite3.connect(path)) as db:
        for statement in (statement for migration in MIGRATIONS[:6] for statement in migration):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 6")
        db.executemany("INSERT INTO spaces (id, name) VALUES (?, ?)", [(1, "s"), (2, "t")])

        def text(space: int, content: str, *ranges: tuple[int, int, int | None]) -> int:
            """Store a text; the ranges are its documents and their parts."""
            number = db.execute(
                "INSERT INTO texts (space, length, indexed, touched) VALUES (?, ?, ?, 5)",
                (space, len(content), max((stop for _, stop, _ in ranges), default=0)),
            ).lastrowid
            assert number is not None
            for at in range(0, len(content), 4096):
                db.execute(
                    "INSERT INTO pieces (place, body) VALUES (?, ?)", (number << 32 | at, content[at : at + 4096])
                )
            for start, stop, part in ranges:
                words = index_text(content[start:stop])
                size = len(words.split())
                doc = db.execute(
                    "INSERT INTO docs (text, start, stop, size, part) VALUES (?, ?, ?, ?, ?)",
                    (number, start, stop, size, part),
                ).lastrowid
                db.execute("INSERT INTO words (rowid, body) VALUES (?, ?)", (doc, in_space(space, words)))
                db.execute("UPDATE spaces SET docs = docs + 1, size = size + ? WHERE id IN (0, ?)", (size, space))
            return number

        def memory(name: str, space: str, number: int, *, partial: int = 0, stream: int | None = None) -> int:
            made = db.execute(
                "INSERT INTO memories (space, id, text, stream, partial, content_type, source_type, source_timestamp,"
                " role, conversation, importance, tags, created, updated)"
                " VALUES (?, ?, ?, ?, ?, 'raw', 'conversation', 5, 'agent', 'c', 50, '[]', 5, 5)",
                (space, name, number, stream, partial),
            ).lastrowid
            assert made is not None
            return made

        for at, (space, content) in enumerate(TEXTS):
            ranges = [(start, min(start + 4096, len(content)), None) for start in range(0, len(content), 4096)]
            memory(f"mem-{at}", space, text(1 if space == "s" else 2, content, *ranges))
        answer = memory("mem-chunks", "s", text(1, "first zebras then lions", (0, 12, 0), (12, 23, 1)))
        db.execute("UPDATE memories SET chunks = 2 WHERE seq = ?", (answer,))
        for part, (start, stop) in enumerate([(0, 12), (12, 23)]):
            db.execute(
                "INSERT INTO chunks (memory, part, space, id, start, stop, overlap) VALUES (?, ?, 's', ?, ?, ?, 0)",
                (answer, part, f"chunk-{part}", start, stop),
            )
        question = text(1, "why?")
        written = text(1, "walruses " * 500 + "and seals", (0, 4095, None))
        db.execute(
            "INSERT INTO conversations (space, id, type, created, updated) VALUES ('s', 'c', 'user-agent', 5, 5)"
        )
        db.execute(
            "INSERT INTO streams (space, id, conversation, question, importance, tags, started, state, epoch, attempt,"
            " answer, memory, question_memory, question_message, answer_message, created, updated, conversation_seq)"
            " VALUES ('s', 'open', 'c', ?, 50, '[]', 5, 'open', 1, 0, ?, 'mem-open', 'mem-q', 'msg-q', 'msg-a', 5, 5,"
            " 1)",
            (question, written),
        )
        open_ = memory("mem-open", "s", written, partial=1, stream=1)
        db.execute("UPDATE memories SET seq = seq + 1 WHERE seq = ?", (open_,))  # after the place of its question
        db.commit()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    make_old(tmp_path / "old.db")
    return tmp_path / "old.db"


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The move goes only as far as the test says."""
    monkeypatch.setattr(SqliteBackend, "_start_mover", lambda self: None)


class Steps:
    """The move by one backend, a document or a handful of rows at a time."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        clock: Iterator[float] = iter(range(10**9))
        self._move = IndexMove(lambda: next(clock))

    def __call__(self) -> bool:
        return bool(self._backend._transact(lambda db: self._move.step(self._backend._transaction(db))))


def check_whole(path: Path) -> None:
    """The file has the new index alone. It has the words that it says, of all texts as far as they are indexed, and its
    layout is that of a new file."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.execute("INSERT INTO terms (terms) VALUES ('integrity-check')")
        expected: list[tuple[str, int, int]] = []
        for number, space, words in db.execute(
            "SELECT documents.id, space, words FROM documents JOIN texts ON texts.id = text"
        ).fetchall():
            kept = words if isinstance(words, str) else zlib.decompress(words).decode()
            stems, _, surfaces = kept.partition("\n")
            row = [*(f"{space}¦{stem}" for stem in stems.split()), *(f"{space}¦¦{word}" for word in surfaces.split())]
            expected += [(word, number, at) for at, word in enumerate(row)]
        assert sorted(db.execute("SELECT term, doc, offset FROM terms_places").fetchall()) == sorted(expected)
        sums = Counter[int]()
        for text, space, docs, size, stop, indexed in db.execute(
            "SELECT texts.id, space, count(documents.id), coalesce(sum(size), 0), coalesce(max(stop), 0), indexed"
            " FROM texts LEFT JOIN documents ON text = texts.id GROUP BY texts.id"
        ).fetchall():
            assert stop == indexed, f"text {text} is indexed as far as it says"
            sums.update({space: docs, space + 1000: size, 0: docs, 1000: size})
        for space, docs, size in db.execute("SELECT id, docs, size FROM spaces").fetchall():
            assert (docs, size) == (sums[space], sums[space + 1000])
        with closing(sqlite3.connect(":memory:")) as new:
            for statement in (statement for migration in MIGRATIONS for statement in migration):
                new.execute(statement)
            gone = "('words', 'docs', 'moved', 'docs_by_text', 'words_places')"
            layout = f"SELECT type, name, sql FROM sqlite_schema WHERE name NOT IN {gone} AND name NOT LIKE 'words_%'"
            assert set(db.execute("SELECT type, name, sql FROM sqlite_schema")) == set(new.execute(layout))
        assert db.execute("SELECT * FROM settings").fetchall() == [("language", "english")]


async def found(backend: Any, query: str, space: str = "s", **more: Any) -> list[str]:
    args = {"memorySpaceId": space, "query": query, "limit": 50, "neighbours": False, **more}
    rows = await backend.query("memories:search", args)
    return sorted(row["memoryId"] for row in rows)


BEFORE = {
    "memory": ["mem-1"], "memories": ["mem-0"], "runs": ["mem-1"], "elephants": ["mem-3"], "elephant": [],
    "京": ["mem-4"], "東京": ["mem-4"], "C++": ["mem-4"], "cafe": ["mem-4"], "lions": ["chunk-1"], "giraffes": [],
}  # fmt: skip
AFTER = BEFORE | {
    "memory": ["mem-0", "mem-1"], "memories": ["mem-0", "mem-1"], "runs": ["mem-0", "mem-1"], "elephant": ["mem-3"],
}  # fmt: skip


async def test_an_older_file_moves_by_itself(old: Path) -> None:
    backend: Any = SqliteBackend(old)
    for query, there in BEFORE.items():
        assert set(there) <= set(await found(backend, query)), "nothing is missing meanwhile"
    await asyncio.to_thread(backend._mover.join)
    for query, there in AFTER.items():
        assert await found(backend, query) == there, query
    assert await found(backend, "memory", "t") == ["mem-2"]
    assert await found(backend, "walrus", includePartial=True) == ["mem-open"]
    await backend.close()
    check_whole(old)


@pytest.mark.parametrize("every", [4, slow(1, "each moment, not each fourth")])
async def test_each_moment_is_a_file_that_works(stepped: None, old: Path, tmp_path: Path, every: int) -> None:
    """Whatever step a kill comes after, the next process finds all, alone or for reading only, and goes on."""
    backend = SqliteBackend(old)
    for query, there in BEFORE.items():
        assert await found(backend, query) == there
    step, moments, more = Steps(backend), 0, True
    while more:
        more = step()
        moments += 1
        if moments % every:
            continue
        copy = tmp_path / f"{moments}" / "old.db"
        copy.parent.mkdir()
        for file in old.parent.glob("old.db*"):
            if not file.name.endswith("-shm"):
                shutil.copyfile(file, copy.parent / file.name)
        with closing(sqlite3.connect(copy)) as db:
            state = db.execute("SELECT value FROM settings WHERE name = 'old_index'").fetchone()
        expected = BEFORE if state == ("searched",) else AFTER
        reader = SqliteBackend(copy, read_only=True)
        other: Any = SqliteBackend(copy)
        for query in ("memory", "elephant", "lions"):
            assert await found(other, query) == expected[query]
            assert await found(reader, query) == expected[query]
        await other.mutation("memories:deleteMemory", {"memorySpaceId": "t", "memoryId": "mem-5"})
        go_on = Steps(other)
        while go_on():
            pass
        assert await found(other, "memory") == AFTER["memory"] and await found(other, "giraffe", "t") == []
        await reader.close()
        await other.close()
        check_whole(copy)
    assert moments > 2 * len(TEXTS) and not step()
    await backend.close()
    check_whole(old)


async def test_two_processes_move_at_once(old: Path) -> None:
    backends: list[Any] = [SqliteBackend(old) for _ in range(3)]
    await asyncio.gather(*(found(backend, "memory") for backend in backends))
    for at in range(5):
        for backend in backends:
            await store(backend, f"added {at}")
    for backend in backends:
        if backend._mover is not None:
            await asyncio.to_thread(backend._mover.join)
    for backend in backends:
        assert len(await found(backend, "adding")) == 15 and await found(backend, "memory") == AFTER["memory"]
        await backend.close()
    check_whole(old)


async def store(backend: Any, content: str, space: str = "s") -> str:
    row = await backend.mutation(
        "memories:store",
        {
            "memorySpaceId": space,
            "content": content,
            "contentType": "raw",
            "sourceType": "system",
            "importance": 50,
            "tags": [],
        },
    )
    return str(row["memoryId"])


Deed = Callable[[Any], Awaitable[Any]]


def _delete(name: str) -> Deed:
    return lambda backend: backend.mutation("memories:deleteMemory", {"memorySpaceId": "s", "memoryId": name})


async def _append(backend: Any) -> None:
    stream = {"memorySpaceId": "s", "streamId": "open"}
    length = (await backend.query("streams:get", stream))["length"]
    more = {"epoch": 1, "attempt": 0, "start": length, "text": "penguins and otters " * 150}
    await backend.mutation("streams:append", stream | more)


async def _finalize(backend: Any) -> None:
    stream = {"memorySpaceId": "s", "streamId": "open"}
    length = (await backend.query("streams:get", stream))["length"]
    await backend.mutation(
        "streams:finalize", {**stream, "epoch": 1, "attempt": 0, "start": length, "text": " end", "length": length + 4}
    )


DEEDS: dict[str, Deed] = {
    "store": lambda backend: store(backend, "stored meanwhile"),
    "delete the first": _delete("mem-0"),
    "delete the long one": _delete("mem-3"),
    "delete the chunks": _delete("mem-chunks"),
    "append": _append,
    "finalize": _finalize,
}


@settings(max_examples=examples(10), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_writes_and_deletions_meanwhile(
    stepped: None, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """In any order with the steps of two movers, the result is that of the same deeds on a file that was moved."""
    deeds = data.draw(st.permutations(sorted(DEEDS)))
    deeds = deeds[: data.draw(st.integers(1, len(deeds)))]
    if "finalize" in deeds and "append" in deeds:  # nothing is appended after the end
        deeds.remove("append")
    plan = [(deed, data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))) for deed in deeds]
    folder = tmp_path_factory.mktemp("move")

    async def main() -> None:
        results = []
        for name in ("meanwhile", "afterwards"):
            path = folder / f"{name}.db"
            make_old(path)
            backends = [SqliteBackend(path, clock=lambda: 1000.0) for _ in range(2)]
            steps = [Steps(backend) for backend in backends]
            if name == "afterwards":
                while steps[0]():
                    pass
            for deed, first, second in plan:
                await DEEDS[deed](backends[first % 2])
                for step, number in zip(steps, (first, second), strict=True):
                    for _ in range(number):
                        step()
            while steps[1]():
                pass
            results.append(
                [await found(backends[0], query, includePartial=True) for query in (*BEFORE, "walrus", "otter", "end")]
                + [len(await found(backends[1], "stored"))]
            )
            for backend in backends:
                await backend.close()
            check_whole(path)
        assert results[0] == results[1]

    asyncio.run(main())


async def test_compact_completes_the_move_and_leaves_no_word(stepped: None, old: Path) -> None:
    backend = SqliteBackend(old)
    secret = await store(backend, "xylophonesecret")
    step = Steps(backend)
    for _ in range(4):
        step()
    await _delete(secret)(backend)
    await backend.compact()
    await backend.close()
    check_whole(old)
    assert b"xylophonesecret" not in old.read_bytes()


MOVES = """
import asyncio, sys, time
from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.sqlite.index_move import IndexMove
step = IndexMove.step
def slow(self, tx):
    more = step(self, tx)
    print("step", flush=True)
    time.sleep(0.05)  # so that the kill comes before the commit, too
    return more
IndexMove.step = slow
tick = iter(range(10**9))
IndexMove.__init__.__defaults__ = (lambda: next(tick),)
async def main():
    async with SqliteBackend(sys.argv[1]) as backend:
        await backend.query("memories:count", {"memorySpaceId": "s"})
        backend._mover.join()
asyncio.run(main())
"""


@pytest.mark.slow(reason="programs that are killed")
async def test_a_killed_process_loses_nothing(old: Path) -> None:
    for kills in range(4):
        with subprocess.Popen([sys.executable, "-c", MOVES, str(old)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(1 + 2 * kills):
                assert process.stdout.readline() == b"step\n"
            process.kill()
        async with SqliteBackend(old, read_only=True) as reader:
            assert await found(reader, "memory") == BEFORE["memory"]
    async with SqliteBackend(old) as backend:
        await backend.compact()
        assert await found(backend, "memory") == AFTER["memory"]
    check_whole(old)


async def test_a_busy_file_is_moved_later(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_rx.backends.sqlite.store._MOVE_PAUSE", 0.001)
    backend: Any = SqliteBackend(old)
    await found(backend, "memory")
    with closing(sqlite3.connect(old, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await found(backend, "memories") == BEFORE["memories"]  # reads do not wait for it
        other.execute("ROLLBACK")
    await asyncio.to_thread(backend._mover.join)
    await backend.close()
    check_whole(old)


async def test_a_close_stops_the_move_and_the_next_one_goes_on(old: Path) -> None:
    for _ in range(3):
        backend: Any = SqliteBackend(old)
        await found(backend, "memory")
        await backend.close()
        assert backend._mover is None or not backend._mover.is_alive()
    backend = SqliteBackend(old)
    await backend.compact()
    assert await found(backend, "memory") == AFTER["memory"]
    await backend.close()
    check_whole(old)
