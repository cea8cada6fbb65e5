"""Memgraph at MEMGRAPH_URI, with MEMGRAPH_USER and MEMGRAPH_PASSWORD where it asks for them.

Nothing here starts it. Its database must be empty: tests delete everything in it. One test at a time has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.run import Run, Unavailable
from services.server import Server

__all__ = ["database"]


@contextmanager
def database(run: Run) -> Iterator[Server]:
    """The emptied database. Raises `Unavailable`."""
    uri = os.environ.get("MEMGRAPH_URI")
    if not uri:
        raise Unavailable("MEMGRAPH_URI is not set")
    auth = os.environ.get("MEMGRAPH_USER", ""), os.environ.get("MEMGRAPH_PASSWORD", "")
    server = Server("memgraph", uri, auth, None)

    def look(folder: Path, lifeline: int, handed: int) -> tuple[object, dict[str, object]]:
        if server.ask("MATCH (n) RETURN count(n) AS n") != [{"n": 0}]:
            raise Unavailable("the database at MEMGRAPH_URI is not empty: the tests would delete what is in it")
        return None, {}

    run.shared("memgraph", look)  # once, for the tests themselves leave something there
    with run.locked("memgraph-database"):
        server.empty()
        yield server
