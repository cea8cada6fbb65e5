"""What the workers of one test run share: a folder, locks in it, and servers that end with the run.

The process that the user started holds one end of a pipe, the folder's `lifeline`. The keepers of the servers hold the
other: they end their servers when the run ends, however it ends. A folder that a killed run has left is removed by the
next run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

__all__ = ["NAMES", "Run", "Unavailable", "required", "this_run"]

NAMES = ("arcadedb", "neo4j", "memgraph")
_PREFIX = "cortex_rx-services-"
_SECONDS = 40  # for the servers to end


class Unavailable(Exception):
    """A server is not to be had here, and why."""


def required() -> frozenset[str]:
    """The servers of CORTEX_REQUIRE, names with commas: a test that lacks one of them fails and is not skipped."""
    names = frozenset(filter(None, (name.strip() for name in os.environ.get("CORTEX_REQUIRE", "").split(","))))
    if unknown := names - set(NAMES):
        raise pytest.UsageError(f"CORTEX_REQUIRE: {', '.join(sorted(unknown))}; known: {', '.join(NAMES)}")
    return names


class Run:
    """The folder of a run. The first process of the run makes it, each worker opens it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = self._lifeline = -1  # of the first process only
        self._started: list[Any] = []  # kept, so that Popen does not warn of a process that still runs

    @classmethod
    def begin(cls) -> Run:
        """Make the folder, and remove those that killed runs have left."""
        place = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir())
        for other in place.glob(f"{_PREFIX}*"):
            if _is_left(other):
                shutil.rmtree(other, ignore_errors=True)
        run = cls(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place)))
        run._own = os.open(run.folder / "run", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(run._own, fcntl.LOCK_EX)
        os.mkfifo(run.folder / "lifeline", 0o600)
        run._lifeline = os.open(run.folder / "lifeline", os.O_RDWR)  # O_RDWR: nobody reads yet
        return run

    def end(self) -> None:
        """End the servers, wait until they have, and remove the folder."""
        os.close(self._lifeline)
        with suppress(TimeoutError):
            _wait(self.folder / "servers", _SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._own)

    def shared(self, name: str, start: Callable[[Path, int, int], tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
        """What is known of a server of the run. The first that asks starts it: `start(folder, lifeline, handed)`
        gives what is to be kept, and what is known. If that raises `Unavailable`, so does each that asks later."""
        known = self.folder / f"{name}.json"
        with self.locked(name):
            if not known.exists():
                known.write_text(json.dumps(self._start(name, start)))
            found = json.loads(known.read_text())
        if "unavailable" in found:
            raise Unavailable(found["unavailable"])
        return found

    def _start(self, name: str, start: Callable[[Path, int, int], tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
        from cortex_rx.graph._program import NotStarted  # here: conftest.py imports this module, for each test run

        lifeline = os.open(self.folder / "lifeline", os.O_RDONLY)
        servers = os.open(self.folder / "servers", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(servers, fcntl.LOCK_SH)  # each server has it, until its end
        try:
            kept, known = start(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder)), lifeline, servers)
            self._started.append(kept)
        except (Unavailable, NotStarted) as error:
            return {"unavailable": str(error)}
        finally:
            os.close(lifeline)
            os.close(servers)
        return known

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Wait until nobody else of the run has what has this name, and have it."""
        with open(self.folder / f"{name}.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_left(folder: Path) -> bool:
    """Whether no process of that run is there, nor a server of it."""
    try:
        for name in ("run", "servers"):
            if (folder / name).exists():
                _wait(folder / name, 0)
    except (OSError, TimeoutError):
        return False
    return (folder / "run").exists()


def _wait(file: Path, seconds: float) -> None:
    """Wait until nobody has locked a file. Raises `TimeoutError`."""
    end = time.monotonic() + seconds
    with suppress(FileNotFoundError), open(file) as opened:
        while True:
            try:
                return fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise TimeoutError from None
            time.sleep(0.05)


_RUN = pytest.StashKey[Run]()
_INPUT = "services"


class Services:
    """The plugin that begins and ends the run."""

    def pytest_configure(self, config: pytest.Config) -> None:
        required()
        given = getattr(config, "workerinput", {}).get(_INPUT)
        config.stash[_RUN] = Run(Path(given)) if given else Run.begin()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_INPUT] = str(node.config.stash[_RUN].folder)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if not hasattr(config, "workerinput"):
            config.stash[_RUN].end()


def this_run(config: pytest.Config) -> Run:
    return config.stash[_RUN]
