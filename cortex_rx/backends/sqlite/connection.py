"""Opening the file: checking it, its settings, its migrations, and the translation of SQLite's errors.

Only SQLite itself opens the file. Closing any other descriptor of it would drop the locks that this process holds.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TypeVar

from cortex_rx.backends.sqlite import outbox
from cortex_rx.backends.sqlite.functions.sql_functions import add_functions
from cortex_rx.backends.sqlite.index_move import drop_old_if_empty
from cortex_rx.backends.sqlite.language import ENGLISH, LANGUAGES, Language, language_of
from cortex_rx.backends.sqlite.layout import LAYOUT
from cortex_rx.backends.sqlite.schema import APPLICATION_ID, MIGRATIONS
from cortex_rx.errors import (
    LanguageMismatch,
    NotACortexFile,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreInaccessible,
    StoreReadOnly,
    StoreTooNew,
    StoreUnavailable,
)
from cortex_rx.retry.pauses import Backoff, doubling

__all__ = [
    "Settings",
    "check_path",
    "connect_reader",
    "connect_writer",
    "create_file",
    "is_writable",
    "keep_undo_in_memory",
    "language_in",
    "meaning",
    "not_waiting",
    "release",
    "retry_while_busy",
    "translate_errors",
]

T = TypeVar("T")

_MEANINGS: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreBusy, "another process holds the file"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "another connection holds the file"),
    sqlite3.SQLITE_FULL: (StoreFull, "no space is left"),
    sqlite3.SQLITE_READONLY: (StoreReadOnly, "the file can be read but not written"),
    sqlite3.SQLITE_PERM: (StoreInaccessible, "the permission to open the file is missing"),
    sqlite3.SQLITE_AUTH: (StoreInaccessible, "the permission to open the file is missing"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "the file cannot be opened"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "reading or writing the file failed"),
    sqlite3.SQLITE_NOMEM: (StoreUnavailable, "no memory is left"),
    sqlite3.SQLITE_INTERRUPT: (StoreUnavailable, "the operation was interrupted"),
    sqlite3.SQLITE_PROTOCOL: (StoreBusy, "the file could not be locked"),
    sqlite3.SQLITE_NOTADB: (NotACortexFile, "the file is not a database"),
    sqlite3.SQLITE_CORRUPT: (StoreCorrupt, "the file is damaged"),
}


def meaning(error: sqlite3.Error, path: str) -> StoreError:
    """The package's exception for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    kind, text = _MEANINGS.get(code & 0xFF, (StoreError, "SQLite failed")) if code else (StoreError, "SQLite failed")
    return kind(f"{path}: {text} ({error})")


@contextmanager
def translate_errors(path: str) -> Generator[None, None, None]:
    """Raise SQLite's errors as `StoreError`s."""
    try:
        yield
    except sqlite3.Error as error:
        raise meaning(error, path) from error


LONGEST_WAIT = 2_147_483
"""Seconds: SQLite counts the milliseconds of a wait in 32 bits, and treats more as no wait."""
MOST_PAGES = 2**32 - 2
"""The largest file that SQLite makes."""

_PAGE = 1024  # bytes: SQLite writes whole pages, and most changes are single rows in several pages
_CHECKPOINT = 4 * 2**20  # bytes of the -wal file after which SQLite moves its pages into the database


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the file is and how it is opened; times in seconds."""

    path: str
    read_only: bool
    busy_timeout: float
    max_page_count: int | None
    language: str | None = None
    """That the file is to have, or None: its own, and English if it has none."""

    @property
    def opening_timeout(self) -> float:
        """How long opening waits: longer, since it is done once, and many processes that start together take turns."""
        return 3 * self.busy_timeout

    @property
    def in_memory(self) -> bool:
        return self.path == ":memory:"


def is_writable(settings: Settings) -> bool:
    """Whether this process may write the file, as far as can be told before it is opened."""
    if settings.in_memory:
        return True
    return not settings.read_only and (not os.path.exists(settings.path) or os.access(settings.path, os.W_OK))


def release(db: sqlite3.Connection) -> None:
    """Close a connection, and ignore SQLite's errors."""
    with suppress(sqlite3.Error):
        db.close()


def _connect(settings: Settings, options: str) -> sqlite3.Connection:
    if settings.in_memory:
        target, uri = settings.path, False
    else:
        target, uri = f"{Path(settings.path).absolute().as_uri()}?{options}", True
    db = sqlite3.connect(
        target,
        timeout=settings.busy_timeout,
        isolation_level=None,
        check_same_thread=False,  # one thread at a time, but not always the same: an inline executor has no own thread
        cached_statements=256,
        uri=uri,
    )
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        add_functions(db)
    except BaseException:
        release(db)
        raise
    return db


def _version(db: sqlite3.Connection, path: str) -> int:
    """The version of the layout; 0 for an empty file. Refuses files of other programs, and newer ones."""
    if db.in_transaction:
        return _version_now(db, path)
    db.execute("BEGIN")  # or another process could make its tables between two reads
    try:
        return _version_now(db, path)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version_now(db: sqlite3.Connection, path: str) -> int:
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        tables: int = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if application or version or tables:
            raise NotACortexFile(f"{path}: the file is the database of another program")
    if version > len(MIGRATIONS):
        raise StoreTooNew(
            f"{path}: the file has version {version}, this package knows {len(MIGRATIONS)}; update cortex-rx"
        )
    return version


def retry_while_busy(work: Callable[[], T], seconds: float) -> T:
    """Repeat `work` while SQLite is busy: it does not wait itself where a wait could end in a deadlock."""
    deadline = time.monotonic() + seconds

    def busy(error: Exception) -> bool:
        code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code & 0xFF == sqlite3.SQLITE_BUSY and time.monotonic() <= deadline

    backoff = Backoff(doubling(0.001, 0.05), retry_if=busy)
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if (pause := backoff.pause(error)) is None:
                raise
        time.sleep(pause)


# These fail until someone changes the path, its folder or their permissions. SQLite only says "cannot open".
_LASTING = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP
}  # fmt: skip


def check_path(path: str) -> None:
    """Raise if there cannot be a file at `path`, as far as can be told without opening it."""
    folder = os.path.dirname(path)
    try:
        os.stat(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreInaccessible(f"{path}: the folder {folder} does not exist") from error
    except OSError as error:
        raise _failure(error, f"{path}: the folder {folder} cannot be read") from error
    if not os.path.isdir(folder):
        raise StoreInaccessible(f"{path}: {folder} is not a folder")
    if os.path.isdir(path):
        raise StoreInaccessible(f"{path}: this is a folder, not a file")
    if os.path.exists(path) and not os.access(path, os.R_OK):
        raise StoreInaccessible(f"{path}: the permission to read the file is missing")


def _failure(error: OSError, message: str) -> StoreError:
    kind = StoreInaccessible if error.errno in _LASTING else StoreUnavailable
    return kind(f"{message} ({error.strerror})")


def create_file(path: str) -> None:
    """Make a new file that only its owner may read. SQLite gives -wal and -shm the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass  # an existing file keeps its mode
    except OSError as error:
        raise _failure(error, f"{path}: the file cannot be made") from error


def connect_writer(settings: Settings) -> sqlite3.Connection:
    """The connection that writes. The file is made, checked and migrated."""
    path = settings.path
    if not settings.in_memory:
        check_path(path)
        create_file(path)
    with translate_errors(path):
        db = _connect(settings, "mode=rw")
        try:
            retry_while_busy(lambda: _version(db, path), settings.opening_timeout)  # before the file is changed
            db.execute(f"PRAGMA page_size = {_PAGE:d}")  # of a new file; an existing one keeps its own
            if not settings.in_memory:
                retry_while_busy(lambda: db.execute("PRAGMA journal_mode = WAL").fetchone(), settings.opening_timeout)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            keep_undo_in_memory(db)
            db.execute(f"PRAGMA journal_size_limit = {16 * 2**20}")
            size: int = db.execute("PRAGMA page_size").fetchone()[0]
            db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT // size:d}")
            if settings.max_page_count is not None:
                db.execute(f"PRAGMA max_page_count = {settings.max_page_count:d}")
            retry_while_busy(lambda: _migrate(db, settings), settings.opening_timeout)
        except BaseException:
            release(db)
            raise
    return db


def keep_undo_in_memory(db: sqlite3.Connection, yes: bool = True) -> None:
    """Keep the data that undo a savepoint or a statement in memory, or in a file.

    Beyond 64 kB, SQLite would put them into a file in the system's folder for temporary files. That is text of users on
    another disk, which `secure_delete` does not overwrite, and one more write for each page. They are never more than a
    transaction changes.
    """
    db.execute(f"PRAGMA temp_store = {'MEMORY' if yes else 'FILE'}")


@contextmanager
def not_waiting(db: sqlite3.Connection, settings: Settings) -> Generator[None, None, None]:
    """Meanwhile, SQLite does not wait for locks."""
    db.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        db.execute(f"PRAGMA busy_timeout = {settings.busy_timeout * 1000:.0f}")


def _migrate(db: sqlite3.Connection, settings: Settings) -> None:
    """Make the tables of a new file, or apply the missing migrations; another process may have done it meanwhile."""
    if _version(db, settings.path) == len(MIGRATIONS):
        return
    if settings.in_memory and hasattr(db, "deserialize"):  # SQLite can be built without it
        with closing(sqlite3.connect(":memory:")) as new:
            new.deserialize(_new_file())
            new.backup(db)
    db.execute("BEGIN IMMEDIATE")
    try:
        _apply(db, _version(db, settings.path))
        db.execute(
            "INSERT INTO settings (name, value) VALUES ('language', ?) ON CONFLICT DO NOTHING",
            (settings.language or ENGLISH,),
        )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@cache
def _new_file() -> bytes:
    """A new file. A store in memory is a copy of it, in a quarter of the time: tests open many."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"PRAGMA page_size = {_PAGE:d}")
        _apply(db, 0)
        db.commit()
        return db.serialize()


def _apply(db: sqlite3.Connection, version: int) -> None:
    """Make what a file of this version has not; in a transaction."""
    if version == len(MIGRATIONS):
        return
    for statement in chain.from_iterable(MIGRATIONS[version:]) if version else LAYOUT:
        db.execute(statement)
    drop_old_if_empty(db)
    if version:
        outbox.renew(db)  # a migration may have made a table anew
    db.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS):d}")


def language_in(db: sqlite3.Connection, settings: Settings) -> Language:
    """The language of the file. `LanguageMismatch` if another one was asked for."""
    with translate_errors(settings.path):
        name: str = db.execute("SELECT value FROM settings WHERE name = 'language'").fetchone()[0]
    if name not in LANGUAGES:
        raise StoreTooNew(f"{settings.path}: this package does not know the language of the file, {name!r}; update it")
    if settings.language not in (None, name):
        raise LanguageMismatch(
            f"{settings.path}: the language of the file is {name!r}, not {settings.language!r}; it was set when the"
            " file was made"
        )
    return language_of(name)


def connect_reader(settings: Settings, *, alone: bool) -> sqlite3.Connection:
    """A connection that reads. `alone`: this process has no writer, so this connection checks the file."""
    path = settings.path
    with translate_errors(path):
        if not alone:
            db = _connect(settings, "mode=rw")
            db.execute("PRAGMA query_only = ON")
            return db
        check_path(path)
        if not os.path.exists(path):
            raise StoreInaccessible(f"{path}: there is no such file")
        try:
            db = _checked(settings, "mode=ro")
        except sqlite3.OperationalError as error:
            # In a read-only folder SQLite cannot make the -shm file. Without a -wal file it is not needed.
            code = error.sqlite_errorcode & 0xFF
            wal = f"{path}-wal"
            if code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or (
                os.path.exists(wal) and os.path.getsize(wal)
            ):
                raise
            db = _checked(settings, "mode=ro&immutable=1")
        return db


def _checked(settings: Settings, options: str) -> sqlite3.Connection:
    db = _connect(settings, options)
    try:
        version = retry_while_busy(lambda: _version(db, settings.path), settings.opening_timeout)
        if version < len(MIGRATIONS):
            raise StoreReadOnly(
                f"{settings.path}: the file has version {version} and must be migrated to {len(MIGRATIONS)}"
                f" before it can"
                " be read; open it for writing once"
            )
    except BaseException:
        release(db)
        raise
    return db


def checkpoint(db: sqlite3.Connection) -> None:
    """Move the pages of the -wal file into the database, as far as no other connection reads them."""
    db.execute("PRAGMA busy_timeout = 0")
    with closing(db.execute("PRAGMA wal_checkpoint(TRUNCATE)")) as cursor:
        cursor.fetchone()
