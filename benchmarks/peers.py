"""`python -m benchmarks.peers`: the same work with other libraries, side by side.

See README.md beside this file.  It needs the extra `bench`; without it only those are compared that are there.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable

from benchmarks.disk import Disk, sync_time, written
from benchmarks.peer import Peer, Ready, hand_store
from benchmarks.report import machine, write_figures
from benchmarks.subjects import SUBJECTS, HandWork, Model
from cortex_rx.backends import SqliteBackend

__all__ = ["Run", "measure", "peers"]

LANGCHAIN = ("langchain_core", "langgraph", "langgraph.checkpoint.sqlite")


@dataclass(frozen=True)
class Run:
    """What one run comes to."""

    cpu: float
    """Microseconds per chunk, threads included."""
    wall: float
    """Microseconds per chunk."""
    written: int
    commits: int


def by_hand(name: str) -> Callable[[Model, Path], Any]:
    """A subject of `subjects.py` over the store written by hand."""

    @asynccontextmanager
    async def opened(model: Model, path: Path) -> AsyncIterator[Ready]:
        async with hand_store(path) as (store, stored):

            async def run() -> str:
                return await SUBJECTS[name](model, store) or ""

            yield Ready(run, stored)

    return opened


def ours(name: str) -> Callable[[Model, Path], Any]:
    """A subject of `subjects.py` over `SqliteBackend`."""

    @asynccontextmanager
    async def opened(model: Model, path: Path) -> AsyncIterator[Ready]:
        async with SqliteBackend(path) as backend:
            await backend.query("memories:count", {"memorySpaceId": "space"})

            async def run() -> str:
                return await SUBJECTS[name](model, backend) or ""

            async def stored() -> str:
                where = {"memorySpaceId": "space", "conversationId": "c-1"}
                messages = (await backend.query("conversations:get", where))["messages"]
                return str(messages[-1]["content"])

            yield Ready(run, stored)

    return opened


def from_async_iterable(texts: AsyncIterator[str]) -> Observable[str]:
    """RxPY has no such source; its documentation writes it so."""

    def subscribe(observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
        async def read() -> None:
            try:
                async for text in texts:
                    observer.on_next(text)
            except Exception as error:
                observer.on_error(error)
            else:
                observer.on_completed()

        task = asyncio.ensure_future(read())
        return Disposable(task.cancel)

    return rx.create(subscribe)


@asynccontextmanager
async def plain_rx(model: Model, path: Path) -> AsyncIterator[Ready]:
    """RxPY's own operators."""
    async with hand_store(path) as (store, stored):

        async def run() -> str:
            work = HandWork(store, "rx")
            await work.begin()
            streamed = from_async_iterable(model()).pipe(
                ops.do_action(work.measure), ops.do_action(work.persist), ops.to_list()
            )
            parts = await streamed
            await work.end()
            return "".join(parts)

        yield Ready(run, stored)


def peers() -> dict[str, Peer]:
    """Those that can be compared here, by name."""
    found = {
        "hand": Peer(by_hand("hand")),
        "ours, run": Peer(ours("run")),
        "ours, handle": Peer(ours("handle")),
        "RxPY": Peer(plain_rx, "storing is written by hand; no bound on what waits for a slow reader"),
        "aiostream": Peer(by_hand("aiostream"), "storing is written by hand; no queue to a reader"),
    }
    if all(map(_installed, LANGCHAIN)):
        from benchmarks.langchain_peers import PEERS

        found |= PEERS
    else:
        print("LangChain and LangGraph are not compared: pip install -c constraints.txt -e '.[bench]'")
    return found


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


async def measure(peer: Peer, model: Model, where: Path | None = None) -> Run:
    """One run, in a file of its own; what was shown and what is stored are compared."""
    whole = "".join(model.texts)
    disk = Disk()
    with tempfile.TemporaryDirectory(dir=where) as folder, disk.watching():
        async with peer.open(model, Path(folder) / "memory.db") as ready:
            gc.unfreeze()
            gc.collect()
            gc.freeze()  # what else there is is no business of a collection while the peer runs
            commits, bytes_before = disk.commits, written()
            cpu, wall = time.process_time(), time.perf_counter()
            shown = await ready.run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            commits, size = disk.commits - commits, written() - bytes_before
            if shown != whole:
                raise AssertionError("it showed another text")
            if await ready.stored() != whole:
                raise AssertionError("it stored another text")
    chunks = len(model.texts)
    return Run(cpu / chunks * 1e6, wall / chunks * 1e6, size, commits)


def interleaved(compared: dict[str, Peer], rounds: int, model: Model, where: Path | None) -> dict[str, list[Run]]:
    """The runs of each, round by round; each round begins with another one."""
    runs: dict[str, list[Run]] = {name: [] for name in compared}
    names = list(compared)
    for number in range(-1, rounds):  # the first round warms up
        at = number % len(names)
        for name in (*names[at:], *names[:at]):
            run = asyncio.run(measure(compared[name], model, where))
            if number >= 0:
                runs[name].append(run)
    return runs


def table(runs: dict[str, list[Run]], compared: dict[str, Peer]) -> list[dict[str, Any]]:
    """Print the medians as a table in Markdown, and give them as rows."""
    print("| | CPU, us per chunk | x hand | (least) | wall, us | written, kB | commits | what it does less |")
    print("|---|---|---|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    least_of_hand = min(run.cpu for run in runs["hand"])
    for name, of in runs.items():
        row: dict[str, Any] = {key: median(asdict(run)[key] for run in of) for key in asdict(of[0])}
        row["name"], row["less"] = name, compared[name].less
        row["x_hand"] = median(run.cpu / hand.cpu for run, hand in zip(of, runs["hand"], strict=True))
        row["x_hand_least"] = min(run.cpu for run in of) / least_of_hand
        print(
            f"| {name} | {row['cpu']:.1f} | {row['x_hand']:.2f} | {row['x_hand_least']:.2f} | {row['wall']:.1f}"
            f" | {row['written'] / 1e3:.0f} | {row['commits']:.0f} | {row['less']} |"
        )
        rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="runs of each (default 11)")
    parser.add_argument("--chunks", type=int, default=10_000, help="chunks of 5 characters (default 10,000)")
    parser.add_argument("--folder", type=Path, help="where the SQLite files lie (default: that for temporary files)")
    parser.add_argument("--json", type=Path, default=Path("build/peers.json"), help="where the figures are written")
    given = parser.parse_args(arguments)
    found = machine()
    found["sync_ms"] = sync_time(given.folder) * 1e3
    print(f"{given.chunks:,} chunks into a SQLite file; medians of {given.rounds} interleaved rounds")
    print(f"a sync of this disk takes {found['sync_ms']:.2f} ms (median)\n")
    compared = peers()
    rows = table(interleaved(compared, given.rounds, Model(given.chunks), given.folder), compared)
    figures = {"machine": found, "rounds": given.rounds, "chunks": given.chunks, "peers": rows}
    write_figures(given.json, figures, [])


if __name__ == "__main__":
    sys.exit(main())
