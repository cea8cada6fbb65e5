"""A graph on this computer, with no server to install."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, cast

from cortex_rx import validation as check
from cortex_rx.errors import GraphConnectionError, MissingExtra
from cortex_rx.graph._arcadedb import USER, ArcadeDB, is_installed
from cortex_rx.graph._program import NotStarted, locked_file
from cortex_rx.models.graph import GraphConnectionConfig

if TYPE_CHECKING:
    from cortex_rx.graph.cypher import CypherGraphAdapter

__all__ = ["LocalGraph"]

_DATABASE = "graph"
_SECONDS = 120  # most starts take two
_SYSTEMS = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")}
"""Those for which there is a wheel of ArcadeDB; the extra in pyproject.toml says the same."""


class LocalGraph:
    """A graph in a folder: ArcadeDB, a server that speaks Bolt and Cypher as Neo4j does, started for as long as it is
    needed. It listens on 127.0.0.1 only, on a free port. `async with` gives an adapter that is connected to it.

        async with LocalGraph("memory.graph") as graph:
            await graph.count_nodes("Memory")

    The folder is made if it is not there, and keeps the graph. One program at a time can have it; another one connects
    with the `config` of the first. `memory` is the most for the server's heap, in MB. The password is in a file of the
    folder that only its user can read; it is in no list of processes.

    The server ends with the `async with`, or with this process, also when that is killed. This was tried on Linux. On
    macOS it goes on if its keeper, a small process of Python, is killed together with this one. Then the folder stays
    locked, and the next start says which process to end. On Windows nothing of this has been tried.

    It needs the extra `graph-local` (`pip install 'cortex-rx[graph-local]'`), else `MissingExtra`. Raises
    `InvalidArgument`, and `GraphConnectionError` when the folder is taken, when the server does not start, and for a
    system that has no ArcadeDB.

    >>> LocalGraph("memory.graph", memory=1)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: memory: got 1; accepted: a whole number, 64 or more
    """

    def __init__(self, folder: str | os.PathLike[str], *, memory: int = 512) -> None:
        self._folder = Path(check.file_path("folder", folder)).absolute()
        self._memory = cast("int", check.whole(64)("memory", memory))
        if not is_installed():
            if (sys.platform, platform.machine()) not in _SYSTEMS:
                raise GraphConnectionError(
                    "LocalGraph: there is no ArcadeDB for this system; connect to a server instead"
                )
            raise MissingExtra("LocalGraph", "graph-local")
        self._config: GraphConnectionConfig | None = None
        self._open = AsyncExitStack()

    @property
    def config(self) -> GraphConnectionConfig:
        """How to connect while it runs, for other adapters and programs. Raises `GraphConnectionError` when it does
        not run."""
        if self._config is None:
            raise GraphConnectionError("the LocalGraph does not run")
        return self._config

    async def __aenter__(self) -> CypherGraphAdapter:
        from cortex_rx.graph.cypher import CypherGraphAdapter

        if self._config is not None:
            raise GraphConnectionError("the LocalGraph runs already")
        async with AsyncExitStack() as stack:
            server = await self._start()
            stack.push_async_callback(asyncio.to_thread, server.program.stop)
            uri = f"bolt://127.0.0.1:{server.port}"
            config = GraphConnectionConfig(uri=uri, username=USER, password=server.password, database=_DATABASE)
            graph = CypherGraphAdapter(config)
            await graph.connect()
            stack.push_async_callback(graph.disconnect)
            self._config, self._open = config, stack.pop_all()
        return graph

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._config = None
        await self._open.aclose()

    async def _start(self) -> ArcadeDB:
        """In a thread. When the caller is cancelled, the start is given up."""
        given_up = Event()
        starting = asyncio.ensure_future(asyncio.to_thread(self._start_now, given_up))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            given_up.set()
            with suppress(GraphConnectionError):
                (await starting).program.stop()
            raise

    def _start_now(self, given_up: Event) -> ArcadeDB:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked_file(self._folder / "lock") as lock:
                return ArcadeDB(
                    self._folder,
                    memory=self._memory,
                    database=_DATABASE,
                    seconds=_SECONDS,
                    handed=lock,
                    given_up=given_up.is_set,
                )
        except BlockingIOError:
            raise GraphConnectionError(self._taken()) from None
        except (OSError, NotStarted) as error:
            raise GraphConnectionError(f"ArcadeDB did not start in {self._folder}") from error

    def _taken(self) -> str:
        said = f"the graph in {self._folder} is open already, and only one LocalGraph can have it"
        with suppress(OSError, ValueError):
            number = int((self._folder / "pid").read_text())
            said += f"; its server is process {number}. If the program that started it is gone, end it: kill {number}"
        return said
