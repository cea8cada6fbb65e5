"""What SQLite asks of the disk, recorded while the real library runs; and refused, as by a disk that is full.

The standard library's `sqlite3` links to a shared SQLite, whose functions `ctypes` finds through the extension module.
Its VFS (the layer between SQLite and the files) is copied, and the copy is the default while a `Disk` records.  Opening
a file calls the real function, and then exchanges three entries of the file's table of methods: `xWrite`, `xTruncate`,
`xSync`.  All else, the shared memory and the locks too, are the real functions on the real file.  `xDelete`, and the
system call by which SQLite opens a folder to sync it, are recorded as well; so are `os.replace` and `os.fsync` of a
folder, which the library calls itself.

Not recorded: the -shm file, which is memory and gone after a loss of power; what is written to a file past SQLite;
temporary files; writes to mapped memory (`mmap_size` is 0, SQLite's default).
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import random
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p, cast
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from proofs.power.lost_writes import Event, files_after

__all__ = ["FULL", "SYNC_FAILED", "WRITE_FAILED", "Disk"]

_replace, _fsync = os.replace, os.fsync

FULL, WRITE_FAILED, SYNC_FAILED = 13, 778, 1034  # SQLite's codes
_OK, _MAIN, _JOURNAL, _WAL = 0, 0x100, 0x800, 0x80000  # of SQLite's C interface, also below


class _Methods(Structure):
    _fields_ = [("version", c_int)] + [
        (name, c_void_p)
        for name in "close read write truncate sync size lock unlock reserved control sector device".split()
        + "shm_map shm_lock shm_barrier shm_unmap fetch unfetch".split()
    ]


class _File(Structure):
    _fields_ = [("methods", POINTER(_Methods))]


class _Vfs(Structure):
    pass


# The name of a file is a pointer here: SQLite keeps it, and looks for more behind its end.
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(_File), c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_FOLDER = CFUNCTYPE(c_int, c_char_p, c_void_p)
_SET_CALL = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)
_GET_CALL = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
_Vfs._fields_ = [
    ("version", c_int),
    ("file_size", c_int),
    ("longest_path", c_int),
    ("next", c_void_p),
    ("name", c_char_p),
    ("data", c_void_p),
    ("open", c_void_p),
    ("delete", c_void_p),
    *(
        (name, c_void_p)
        for name in "access full dl_open dl_error dl_sym dl_close random sleep time error time64".split()
    ),
    ("set_call", c_void_p),
    ("get_call", c_void_p),
    ("next_call", c_void_p),
]


class Disk:
    """A folder, and what SQLite did to the files of databases in it while it was `recording`."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder: Path = Path(folder).resolve()
        self.events: list[Event] = []
        self.refuse: Callable[[str, str], int] | None = None
        """Asked before each write, truncation and sync, with its kind and the name: SQLite's code for what it fails
        with, or 0.
        """
        found = [path for path in sorted(self.folder.iterdir()) if path.is_file() and not path.name.endswith("-shm")]
        self._before: list[tuple[str, bytes]] = [(path.name, path.read_bytes()) for path in found]
        self._names: dict[str, int] = {name: node for node, (name, _) in enumerate(self._before)}
        self._nodes: int = len(self._names)

    # --- recording ----------------------------------------------------------------------------------------------------

    @contextmanager
    def recording(self) -> Generator[Disk, None, None]:
        """Record, and refuse, what is done meanwhile.  One at a time; connections are opened and closed within it."""
        with (
            _shim().active(self),
            mock.patch.object(os, "replace", self._replace),
            mock.patch.object(os, "fsync", self._fsync),
        ):
            yield self

    def mark(self, name: str, value: Any = None) -> None:
        """Something that is true from here on: what was acknowledged, for instance."""
        self.events.append(Event("mark", name, value=value))

    def holds(self, path: str) -> bool:
        """Whether it is the path of a file in the folder."""
        return os.path.realpath(os.path.dirname(path)) == str(self.folder)

    def opened(self, name: str) -> int:
        """The file of this name; a new one, if there was none."""
        if name not in self._names:
            self._names[name] = self._nodes
            self.events.append(Event("create", name, self._nodes))
            self._nodes += 1
        return self._names[name]

    @contextmanager
    def doing(self, event: Event, done: Callable[[], bool]) -> Generator[None, None, None]:
        """An event that stands before those that are part of it, unless it comes to nothing."""
        self.events.append(event)
        yield
        if not done():
            self.events.remove(event)

    def deleted(self, name: str) -> None:
        self._names.pop(name, None)

    def _replace(self, old: str, new: str) -> None:
        _replace(old, new)
        if self.holds(old) and (node := self._names.pop(os.path.basename(old), None)) is not None:
            self._names[os.path.basename(new)] = node
            self.events.append(Event("rename", os.path.basename(old), node, value=os.path.basename(new)))

    def _fsync(self, handle: int) -> None:
        _fsync(handle)
        if os.path.samestat(os.fstat(handle), os.stat(self.folder)):
            self.events.append(Event("folder sync"))

    # --- power loss ---------------------------------------------------------------------------------------------------

    def after(self, cut: int, way: str = "everything", seed: object = 0) -> dict[str, bytes]:
        """The files, by name, if the power fails after the first `cut` events.  The same for the same arguments."""
        return files_after(self._before, self.events[:cut], way, random.Random(f"{seed} {cut} {way}"))


# --- the VFS ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A file that SQLite has opened."""

    disk: Disk
    name: str
    node: int
    write: Callable[[int, int, int, int], int]
    truncate: Callable[[int, int], int]
    sync: Callable[[int, int], int]


class _Shim:
    """SQLite's default VFS, copied, with some functions that record.  It is made once, and never taken away: files may
    be open.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))  # finds symbols in what it links to, too
        self._library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        self._library.sqlite3_vfs_register.argtypes = [POINTER(_Vfs), c_int]
        self._real = self._library.sqlite3_vfs_find(None)
        real = self._real.contents
        assert real.version >= 3, "the table of the VFS is known up to version 3"
        self._vfs = _Vfs()
        ctypes.pointer(self._vfs)[0] = real
        self._vfs.name = b"recorded"
        self._real_open = cast(real.open, _OPEN)
        self._real_delete = cast(real.delete, _DELETE)
        self._real_folder = cast(cast(real.get_call, _GET_CALL)(None, b"openDirectory"), _FOLDER)
        self._set_call = cast(real.set_call, _SET_CALL)
        # Callbacks live as long as this object, which is as long as the process.
        self._kept = [_OPEN(self._open), _DELETE(self._delete)]
        self._vfs.open, self._vfs.delete = (cast(one, c_void_p).value for one in self._kept)
        self._methods = [_WRITE(self._write), _TRUNCATE(self._truncate), _SYNC(self._sync)]
        self._folder = _FOLDER(self._open_folder)
        self._tables: dict[int, _Methods] = {}
        self._files: dict[int, _Open] = {}
        self._disk: Disk | None = None

    @contextmanager
    def active(self, disk: Disk) -> Generator[None, None, None]:
        assert self._disk is None, "one disk is recorded at a time"
        self._disk = disk
        self._library.sqlite3_vfs_register(byref(self._vfs), 1)
        self._set_call(None, b"openDirectory", cast(self._folder, c_void_p))
        try:
            yield
        finally:
            self._set_call(None, b"openDirectory", None)
            self._library.sqlite3_vfs_register(self._real, 1)
            self._disk = None

    def _open(self, _: int, name_at: int | None, file: Any, flags: int, out: int) -> int:
        code = self._real_open(cast(self._real, c_void_p), name_at, file, flags, out)
        disk, path = self._disk, os.fsdecode(ctypes.string_at(name_at)) if name_at else ""
        if code == _OK and disk and path and flags & (_MAIN | _JOURNAL | _WAL) and disk.holds(path):
            name = os.path.basename(path)
            methods = file.contents.methods
            real = methods.contents
            self._files[cast(file, c_void_p).value or 0] = _Open(
                disk,
                name,
                disk.opened(name),
                cast(real.write, _WRITE),
                cast(real.truncate, _TRUNCATE),
                cast(real.sync, _SYNC),
            )
            file.contents.methods = ctypes.pointer(self._table(methods))
        return int(code)

    def _table(self, methods: Any) -> _Methods:
        address = cast(methods, c_void_p).value or 0
        if address not in self._tables:
            table = self._tables[address] = _Methods()
            ctypes.memmove(byref(table), methods, ctypes.sizeof(table))
            table.write, table.truncate, table.sync = (cast(one, c_void_p).value for one in self._methods)
        return self._tables[address]

    def _delete(self, _: int, path: bytes, sync: int) -> int:
        disk, name = self._disk, os.path.basename(os.fsdecode(path))
        if disk is None or not disk.holds(os.fsdecode(path)):
            return int(self._real_delete(cast(self._real, c_void_p), path, sync))
        code = -1
        with disk.doing(Event("delete", name), lambda: code == _OK):
            code = self._real_delete(cast(self._real, c_void_p), path, sync)
        if code == _OK:
            disk.deleted(name)
        return int(code)

    def _open_folder(self, path: bytes, handle: int) -> int:
        """SQLite opens a folder for nothing but to sync it."""
        code = self._real_folder(path, handle)
        if code == _OK and self._disk and self._disk.holds(os.fsdecode(path)):
            self._disk.events.append(Event("folder sync"))
        return int(code)

    def _write(self, file: int, data: int, amount: int, at: int) -> int:
        one = self._files[file]

        def some(size: int) -> int:
            event = Event("write", one.name, one.node, at, ctypes.string_at(data, size))
            return self._do(one, event, lambda: one.write(file, data, size, at))

        if refused := self._refused(one, "write"):
            if refused == FULL:
                some(amount // 2)  # as a disk does that has room for a part
            return refused
        return some(amount)

    def _truncate(self, file: int, size: int) -> int:
        one = self._files[file]
        event = Event("truncate", one.name, one.node, size)
        return self._refused(one, "truncate") or self._do(one, event, lambda: one.truncate(file, size))

    def _sync(self, file: int, flags: int) -> int:
        one = self._files[file]
        if refused := self._refused(one, "sync"):
            one.disk.events.append(Event("sync failed", one.name, one.node))
            return refused
        return self._do(one, Event("sync", one.name, one.node), lambda: one.sync(file, flags))

    def _refused(self, one: _Open, kind: str) -> int:
        refuse = one.disk.refuse if one.disk is self._disk else None
        return refuse(kind, one.name) if refuse else _OK

    def _do(self, one: _Open, event: Event, real: Callable[[], int]) -> int:
        if one.disk is not self._disk:
            return real()
        code = -1
        with one.disk.doing(event, lambda: code == _OK):
            code = real()
        return code


_only: list[_Shim] = []
_making = threading.Lock()


def _shim() -> _Shim:
    with _making:
        if not _only:
            _only.append(_Shim())
        return _only[0]
