"""The proof against power loss: reference programs, cut anywhere, and what must be there afterwards.

A program runs once, in virtual time, on a recorded folder (`sqlite_disk`).  Then, for each cut, the folder is made as
it may be after the power was lost there, and it is looked at and gone on with:

* every file is sound, and is as some number of whole transactions left it: all that had returned, and at most the one
  under way;
* what a caller had been told is there: questions, appends to their end, exchanges, epochs, deletions, backups, what was
  spooled;
* every stream goes on from there, to one exchange: with its token if a reader had one, else under its idempotency key.

The files are opened in this process, at another path: nothing of the run is open any more, and SQLite finds no -shm, so
it recovers them as a new process would.

To repeat a case: `Recording(program, folder).check(Cut(at, way, ""), seed, other folder)`.  All of it is one call:
`cut_power`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import sqlite3
import tempfile
import urllib.parse
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from proofs.power.acknowledged import Acknowledging, Ledger
from proofs.power.lost_writes import WAYS, Event
from proofs.power.sqlite_disk import Disk
from proofs.sharing.threads import run_threaded

from cortex_rx import Spool, SqliteBackend, default_chain, remember_stream
from cortex_rx import operators as cx
from cortex_rx.api.memory import MemoryAPI
from cortex_rx.errors import (
    EmptyAnswer,
    NotStored,
    ResumableStreamError,
    StreamNotFound,
    TokenUnknown,
)
from cortex_rx.events import Begun, Delta
from cortex_rx.sources.model_stream import prefill
from cortex_rx.testing import run_virtual, wall

__all__ = ["PROGRAMS", "Cut", "Lost", "Recording", "connecting", "cut_power"]

SPACE = {"memorySpaceId": "space"}
STORE, SPOOL, COPY = "memory.db", "spool.db", "backup.db"
CHECKPOINT = 24  # pages of the -wal file: so that there is a checkpoint every few writes, and the -wal file begins anew
LATER = 600.0  # seconds: after the cut every lease has run out, and tokens are still good


class Lost(AssertionError):
    """What had been acknowledged is gone."""


# --- the programs -----------------------------------------------------------------------------------------------------


def store_of(disk: Disk) -> Acknowledging:
    return Acknowledging(SqliteBackend(disk.folder / STORE, clock=wall), partial(disk.mark, "call"))


def words(number: int, count: int) -> list[str]:
    return [f"answer {number} word {at} {'and so on ' * (at % 7)}\n" for at in range(count)]


def model(texts: list[str], error: Exception | None = None) -> Any:
    async def opened(_: Any) -> AsyncIterator[str]:
        for text in texts:
            await asyncio.sleep(0.4)
            yield text
        if error:
            raise error

    return prefill(opened)


def asked(number: int, conversation: str = "c-1") -> dict[str, Any]:
    return {
        "memory_space_id": "space",
        "conversation_id": conversation,
        "user_message": f"Question {number}?",
        "user_id": "ada",
        "user_name": "Ada",
        "idempotency_key": f"key-{number}",
    }


async def read(disk: Disk, number: int, answer: Any, *, durable: bool = False) -> str:
    """Read it to its end, as a client does that keeps its token; `durable`: what is shown is stored."""
    shown = ""
    async for event in answer.events():
        if isinstance(event, Begun):
            disk.mark("token", (number, event.token))
        elif isinstance(event, Delta) and durable:
            shown += event.text
            disk.mark("shown", (number, shown))
    text: str = (await answer).full_response
    disk.mark("remembered", (number, text))
    return text


async def stream(disk: Disk) -> None:
    """Two exchanges, one after the other; of the second nothing is shown that is not stored. Between them a memory is
    stored alone."""
    store = store_of(disk)
    await read(disk, 0, remember_stream(model(words(0, 14)), backend=store, **asked(0)))
    await MemoryAPI(store).store("space", "A memory by itself. " * 300, memory_id="alone")
    durable = default_chain(store).replace("persist_partial", cx.persist_partial(store, show="durable"))
    answer = remember_stream(model(words(1, 14)), backend=store, chain=durable, **asked(1))
    await read(disk, 1, answer, durable=True)
    await store.close()


async def take_over(disk: Disk) -> None:
    """A stream that breaks off and is resumed by another process, and one that is begun again."""
    first, second = store_of(disk), store_of(disk)
    broken = model(words(0, 5), ConnectionError("gone"))
    token = None
    try:
        await read(disk, 0, remember_stream(broken, backend=first, **asked(0)))
    except ResumableStreamError as error:
        token = error.resume_token
    resumed: dict[str, Any] = {"memory_space_id": "space", "resume_from": token, "take_over": True}
    await read(disk, 0, remember_stream(model(words(2, 4)), backend=second, **resumed))
    with contextlib.suppress(ResumableStreamError):
        broken = model(words(1, 4), ConnectionError("gone"))
        await read(disk, 1, remember_stream(broken, backend=second, **asked(1)))
    await first.close()
    await read(disk, 1, remember_stream(model(words(3, 4)), backend=second, **asked(1)))
    await second.close()


async def delete(disk: Disk) -> None:
    """What takes things away: deletion, rollback, an empty answer, an end without the model; then a backup."""
    store = store_of(disk)
    other = partial(asked, conversation="c-2")
    await read(disk, 10, remember_stream(model(words(10, 5)), backend=store, **other(10)))
    rows = await store.query("memories:list", {**SPACE, "conversationId": "c-2"})
    await store.mutation("memories:deleteMemory", {**SPACE, "memoryId": rows[0]["memoryId"]})
    for number, options in ((11, {"partial_failure_handling": "rollback"}), (12, None)):
        broken = model(words(number, 4), ConnectionError("gone"))
        with contextlib.suppress(ConnectionError, ResumableStreamError):
            await read(disk, number, remember_stream(broken, options, backend=store, **other(number)))
    (left,) = await store.query("streams:interrupted", SPACE)
    await store.mutation("streams:finish", {**SPACE, "streamId": left["streamId"]})
    with contextlib.suppress(EmptyAnswer):
        await read(disk, 13, remember_stream(model([" "]), backend=store, **other(13)))
    await store.inner.compact()
    await read(disk, 0, remember_stream(model(words(0, 5)), backend=store, **asked(0)))
    disk.mark("copying")
    await store.inner.backup(disk.folder / COPY)
    disk.mark("copied")
    await store.close()


async def spooling(disk: Disk) -> None:
    """A store that is down: two answers wait in the spool, one of which had been begun, and are delivered later."""
    store, spool = store_of(disk), Spool(disk.folder / SPOOL, clock=wall)
    writes = ("streams:append", "streams:finalize", "streams:renew")
    for number, down in enumerate((("streams:begin", *writes), writes, ())):
        store.down = down
        try:
            await read(
                disk, number, remember_stream(model(words(number, 4)), backend=store, spool=spool, **asked(number))
            )
        except NotStored as error:
            assert error.spooled, "it waits in the spool"
            disk.mark("remembered", (number, "".join(words(number, 4))))
    report = await spool.drain(store)
    assert (len(report.delivered), report.left, report.error) == (2, 0, None)
    await store.close()


async def at_once(disk: Disk) -> None:
    """Three exchanges that are written at the same instants, so that their writes share transactions."""
    store = store_of(disk)
    answers = [remember_stream(model(words(number, 6)), backend=store, **asked(number)) for number in range(3)]
    await asyncio.gather(*(read(disk, number, answer) for number, answer in enumerate(answers)))
    await store.close()


PROGRAMS: dict[str, Callable[[Disk], Coroutine[Any, Any, None]]] = {
    "stream": stream,
    "take-over": take_over,
    "delete": delete,
    "spool": spooling,
    "at once": at_once,
}
AGAIN = {"stream": (0, 1), "take-over": (0, 1), "delete": (0,), "spool": (0, 1, 2), "at once": (0, 1, 2)}
"""The questions of each that are asked to the end after the cut."""
MORE = "and so it ends."


# --- what was recorded ------------------------------------------------------------------------------------------------


def connecting(synchronous: str | None, committed: Callable[[str], None]) -> Callable[..., sqlite3.Connection]:
    """`sqlite3.connect`, for connections that say of which file they have committed a transaction; perhaps with another
    setting.
    """

    class Connection(sqlite3.Connection):
        def __init__(self, database: str, *args: Any, **options: Any) -> None:
            super().__init__(database, *args, **options)
            self.file = Path(urllib.parse.unquote(urllib.parse.urlsplit(database).path)).name

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            setting = sql.startswith("PRAGMA synchronous")
            cursor = super().execute(f"PRAGMA synchronous = {synchronous}" if setting and synchronous else sql, *args)
            if setting:
                super().execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
            elif sql == "COMMIT":
                committed(self.file)
            return cursor

    return partial(sqlite3.connect, factory=Connection)


def _dump(path: Path) -> str:
    """What is in a database, after it was found sound; "" if there is nothing."""
    if not path.exists():
        return ""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], f"{path.name} is sound"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        if not tables:
            return ""
        for index in {"terms", "fact_terms"} & {name for name, _ in tables}:
            db.execute("BEGIN")
            db.execute(f"INSERT INTO {index} ({index}) VALUES ('integrity-check')")
            db.execute("ROLLBACK")
        rows = [
            db.execute(f'SELECT * FROM "{name}"').fetchall() for name, sql in tables if "VIRTUAL" not in (sql or "")
        ]
    return hashlib.sha256(repr((tables, rows)).encode()).hexdigest()


class Cut(NamedTuple):
    """The power is lost after the first `at` events; `way`: how much of what was not synced is lost then."""

    at: int
    way: str
    where: str


def _whose(name: str) -> str:
    """A file, without what differs from run to run: the draft of a backup has a random name."""
    return "draft" + name.partition(".partial")[2] if ".partial" in name else name


class Recording:
    """A program that has run, and its disk.  `synchronous`: with this setting of SQLite instead of that of the
    library.
    """

    def __init__(self, program: str, folder: Path, synchronous: str | None = None) -> None:
        self.program = program
        self.disk = disk = Disk(folder)
        connect = connecting(synchronous, partial(disk.mark, "committed"))
        with disk.recording(), mock.patch.object(sqlite3, "connect", connect):
            run_threaded(PROGRAMS[program](disk))
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert disk.after(len(disk.events)) == left, "the recording is all that was done to the files"
        self._states: dict[tuple[str, int], str] = {}

    def cuts(self, seed: int = 0) -> Iterator[Cut]:
        """Where to cut, and how much is lost: before and after each sync in all ways, after each other event in two
        ways.
        """
        chance = random.Random(seed)
        for at, event in enumerate(self.disk.events):
            where = f"{event.kind} {_whose(event.name)}".strip()
            if event.kind in ("sync", "folder sync"):
                yield from (Cut(at, way, f"before {where}") for way in WAYS)
                yield from (Cut(at + 1, way, f"after {where}") for way in WAYS)
            elif event.kind != "mark":
                yield from (Cut(at + 1, way, f"after {where}") for way in chance.sample(list(WAYS), 2))

    def check(self, cut: Cut, seed: int, folder: Path) -> None:
        """One case.  Uses an empty folder."""
        try:
            self._check(cut, seed, folder)
        except BaseException as error:
            error.add_note(f"program {self.program!r}, {cut}, seed {seed}")
            raise

    def _check(self, cut: Cut, seed: int, folder: Path) -> None:
        files = self.disk.after(cut.at, cut.way, seed)
        look, work = folder / "look", folder / "work"
        for where in (look, work):
            _write(files, where)
        marks = [event for event in self.disk.events[: cut.at] if event.kind == "mark"]
        for name in (STORE, SPOOL):
            committed = sum(mark.name == "committed" and mark.value == name for mark in marks)
            found = _dump(look / name)
            if found not in (self.state(name, committed), self.state(name, committed + 1)):
                kind = Lost if any(found == self.state(name, n) for n in range(committed)) else AssertionError
                raise kind(f"{name} is not as {committed} or {committed + 1} transactions left it")
        copied = any(mark.name == "copied" for mark in marks)
        if copied or COPY in files:
            at = next(n for n, event in enumerate(self.disk.events) if event.name == "copying")
            committed = sum(e.name == "committed" and e.value == STORE for e in self.disk.events[:at])
            assert _dump(look / COPY) == self.state(STORE, committed), "a backup is whole, or not there"
        unsynced = connecting("OFF", lambda _: None)  # these files are for one look: syncs would only cost time
        with mock.patch.object(sqlite3, "connect", unsynced):
            run_virtual(self._go_on(work, marks))

    def state(self, name: str, committed: int) -> str:
        """What a file holds after so many transactions."""
        if (name, committed) not in self._states:
            events = enumerate(self.disk.events)
            after = [0, *(n + 1 for n, event in events if event.name == "committed" and event.value == name)]
            with tempfile.TemporaryDirectory() as folder:
                _write(self.disk.after(after[min(committed, len(after) - 1)]), Path(folder) / "state")
                self._states[name, committed] = _dump(Path(folder) / "state" / name)
        return self._states[name, committed]

    async def _go_on(self, folder: Path, marks: list[Event]) -> None:
        """What the next process finds, and makes of it."""
        tokens, remembered, shown = (
            dict(mark.value for mark in marks if mark.name == name) for name in ("token", "remembered", "shown")
        )
        ledger = Ledger("space", (mark.value for mark in marks if mark.name == "call"))
        acknowledged = {told.question: list(told.texts.values()) for told in ledger.streams.values()}
        for number, text in shown.items():
            assert any(one.startswith(text) for one in acknowledged[f"Question {number}?"]), (
                "not shown before it is stored"
            )

        def later() -> float:
            return wall() + LATER

        async with SqliteBackend(folder / STORE, clock=later) as store:
            await ledger.check(store)
            report = await Spool(folder / SPOOL, clock=later).drain(store)
            assert (report.dropped, report.dead, report.left, report.error) == ((), (), 0, None), report
            stored = dict(await _exchanges(store))
            for number in AGAIN[self.program]:
                question, text = f"Question {number}?", remembered.get(number)
                assert text in (None, stored.get(question)), f"exchange {number} was acknowledged"
                if question not in stored:
                    stored[question] = await _again(store, number, tokens.get(number))
            self._check_texts(stored)
            assert sorted(await _exchanges(store)) == sorted(stored.items()), "each exchange once"
            rows = await store.query("memories:list", {**SPACE, "conversationId": "c-1", "includePartial": True})
            found = [(row["content"], row["isPartial"]) for row in rows]
            assert sorted(found) == sorted((text, False) for pair in stored.items() for text in pair), (
                "each memory once"
            )

    def _check_texts(self, stored: dict[str, str]) -> None:
        """Each answer is one that was sent, or the beginning of one with the end of the next process: no mixture."""
        calls = (event.value for event in self.disk.events if event.name == "call")
        sent = {told.question: list(told.sent.values()) for told in Ledger("space", calls).streams.values()}
        for question, answer in stored.items():
            kept = answer.removesuffix(MORE)
            begins = any(text.startswith(kept) for text in sent[question])
            assert answer in sent[question] or (answer != kept and begins), question


async def _exchanges(store: SqliteBackend) -> list[tuple[str, str]]:
    """The exchanges of the conversation: each question with its answer."""
    conversation = await store.query("conversations:get", {**SPACE, "conversationId": "c-1"}) or {"messages": []}
    roles = [message["role"] for message in conversation["messages"]]
    assert roles == ["user", "agent"] * (len(roles) // 2)
    texts = [message["content"] for message in conversation["messages"]]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _write(files: dict[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


async def _again(store: SqliteBackend, number: int, token: str | None) -> str:
    """Go on with a stream, to its end."""
    if token:
        try:
            resumed: dict[str, Any] = {"memory_space_id": "space", "resume_from": token}
            return str((await remember_stream(model([MORE]), backend=store, **resumed)).full_response)
        except (TokenUnknown, StreamNotFound):
            raise Lost(f"the token of question {number} had been given out") from None
    return str((await remember_stream(model([MORE]), backend=store, **asked(number))).full_response)


def cut_power(program: str, folder: Path, pick: Callable[[list[Cut]], Iterable[Cut]], seed: int = 0) -> Counter[str]:
    """Run a program, cut the power at those of its `cuts` that `pick` takes, and count them: in all, by place, and by
    way.
    """
    (folder / "run").mkdir()
    recording = Recording(program, folder / "run")
    counts: Counter[str] = Counter()
    for cut in pick(list(recording.cuts(seed))):
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            recording.check(cut, seed, Path(empty))
        counts.update(["cuts", cut.where, cut.way])
    return counts
