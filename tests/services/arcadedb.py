"""ArcadeDB from its Python package, one server for a run. It answers as Neo4j does, but it is not Neo4j."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.run import Run, Unavailable
from services.server import Server

from cortex_rx.graph._arcadedb import USER, ArcadeDB, is_installed
from cortex_rx.graph._arcadedb import Server as Running

__all__ = ["OwnArcadeDB", "database", "need"]

OPTIONS = ("-XX:TieredStopAtLevel=1",)  # less compiling: a run is short
_numbers = itertools.count()


@contextmanager
def database(run: Run) -> Iterator[Server]:
    """A new database on the server of the run, which starts if it does not run yet. Raises `Unavailable`."""
    known = run.shared("arcadedb", _start)
    server = Running(known["port"], known["http"], known["password"])
    name = f"t{os.getpid()}_{next(_numbers)}"
    server.command(f"create database {name}")
    try:
        yield Server("arcadedb", f"bolt://127.0.0.1:{server.port}", (USER, server.password), name)
    finally:
        server.command(f"drop database {name}")


def _start(folder: Path, lifeline: int, handed: int) -> tuple[object, dict[str, object]]:
    server = OwnArcadeDB(folder, lifeline=lifeline, handed=(handed,))
    return server, {"port": server.port, "http": server.http, "password": server.password}


def need() -> None:
    if not is_installed():
        raise Unavailable("arcadedb-embedded is not installed: it is in the extra graph-local")


class OwnArcadeDB(ArcadeDB):
    """A server of the test's own with its files in `folder`, for a test that kills it. `program.stop()` ends it.

    It has one database. `port` is for a second start. Raises `Unavailable` and `NotStarted`.
    """

    def __init__(self, folder: Path, **more: Any) -> None:
        need()
        super().__init__(folder, memory=512, options=OPTIONS, database="graph", seconds=240, **more)

    @property
    def server(self) -> Server:
        return Server("arcadedb", f"bolt://127.0.0.1:{self.port}", (USER, self.password), "graph")
