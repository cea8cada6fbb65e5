"""`python -m benchmarks.many`: many streams at once into one SQLite file, beside a loop written by hand.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.disk import Disk, sync_time, written
from benchmarks.hand import by_hand
from benchmarks.hand_store import HandStore
from benchmarks.report import Bar, machine, percentile, show_bars, write_figures
from cortex_rx import SqliteBackend, remember_stream

__all__ = ["SCENES", "SUBJECTS", "Load", "Run", "Scene", "measure"]


@dataclass(frozen=True)
class Load:
    """How much is streamed: `streams` answers of `tokens` tokens, one each `pace` seconds."""

    streams: int = 500
    tokens: int = 100
    pace: float = 0.02

    async def answer(self, number: int) -> AsyncIterator[str]:
        """A model that takes its time for each token, from when it is asked for it: where the loop is late, all is
        late."""
        for token in range(self.tokens):
            await asyncio.sleep(self.pace)
            yield f"{number * 7919 + token * 31:05x}"[-4:] + " "

    def text(self, number: int) -> str:
        return "".join(f"{number * 7919 + token * 31:05x}"[-4:] + " " for token in range(self.tokens))

    def question(self, number: int) -> str:
        return f"What is number {number}?"


@dataclass(frozen=True)
class Scene:
    """How the streams start, and how slow the disk is; both in seconds."""

    over: float = 0.0
    sync: float = 0.0

    def ideal(self, load: Load) -> float:
        """How long it takes if nothing but the models takes time."""
        return load.tokens * load.pace + self.over * (load.streams - 1) / load.streams


SCENES = {"at once": Scene(), "over 2 s": Scene(over=2.0), "at once, syncs of 5 ms": Scene(sync=0.005)}


@dataclass(frozen=True)
class Run:
    """What one run comes to; times in seconds."""

    wall: float
    ideal: float
    cpu: float
    first_p50: float
    first_p99: float
    written: int
    commits: int
    too_early: int
    """How many first tokens were shown before a reader of the file found their question."""


class Ours:
    """`remember_stream` with all its defaults, its text read by one reader."""

    QUESTION = "SELECT 1 FROM streams WHERE space = 'space' AND id = ?"

    def __init__(self, path: Path) -> None:
        self._backend = SqliteBackend(path)

    async def open(self) -> None:
        await self._backend.query("memories:count", {"memorySpaceId": "space"})

    async def stream(self, load: Load, number: int, shown: Callable[[], None]) -> str:
        answer = remember_stream(
            load.answer(number),
            backend=self._backend,
            memory_space_id="space",
            conversation_id=f"c-{number}",
            user_message=load.question(number),
            user_id="ada",
            user_name="Ada",
            make_id=lambda: f"stream-{number}",
        )
        parts: list[str] = []
        async for text in answer:
            if not parts:
                shown()
            parts.append(text)
        await answer
        return "".join(parts)

    async def stored(self, number: int) -> list[str]:
        found = await self._backend.query(
            "conversations:get", {"memorySpaceId": "space", "conversationId": f"c-{number}"}
        )
        return [message["content"] for message in found["messages"]]

    async def close(self) -> None:
        await self._backend.close()


class Hand:
    """`hand.py` over `hand_store.py`."""

    QUESTION = "SELECT 1 FROM messages WHERE id = ? || '-question'"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def open(self) -> None:
        self._store = HandStore(str(self._path))

    async def stream(self, load: Load, number: int, shown: Callable[[], None]) -> str:
        parts: list[str] = []

        def read(text: str) -> None:
            if not parts:
                shown()
            parts.append(text)

        await by_hand(
            lambda: load.answer(number), self._store, read, f"stream-{number}", f"c-{number}", load.question(number)
        )
        return "".join(parts)

    async def stored(self, number: int) -> list[str]:
        with closing(sqlite3.connect(self._path)) as db:
            found = db.execute(
                "SELECT text FROM messages WHERE conversation = ? AND NOT partial ORDER BY rowid", (f"c-{number}",)
            )
            return [text for (text,) in found]

    async def close(self) -> None:
        await self._store.close()


Subject = type[Ours] | type[Hand]
SUBJECTS: dict[str, Subject] = {"hand": Hand, "ours": Ours}


async def measure(subject: Subject, load: Load, scene: Scene, where: Path | None = None) -> Run:
    """One run, in a file of its own in the folder `where`; what is stored is compared after the clock has stopped."""
    disk = Disk(scene.sync)
    with tempfile.TemporaryDirectory(dir=where) as folder, disk.watching():
        path = Path(folder) / "memory.db"
        store = subject(path)
        await store.open()
        with closing(sqlite3.connect(path)) as reader:
            run = await _measure(store, reader, disk, load, scene)
        for number in range(load.streams):
            if await store.stored(number) != [load.question(number), load.text(number)]:
                raise AssertionError(f"stream {number} was not stored as it was shown")
        await store.close()
    return run


async def _measure(store: Ours | Hand, reader: sqlite3.Connection, disk: Disk, load: Load, scene: Scene) -> Run:
    firsts: list[float] = []
    too_early = 0

    async def one(number: int, due: float) -> None:
        def shown() -> None:
            nonlocal too_early
            firsts.append(time.perf_counter() - due)
            if reader.execute(store.QUESTION, (f"stream-{number}",)).fetchone() is None:
                too_early += 1

        await asyncio.sleep(due - time.perf_counter())
        if await store.stream(load, number, shown) != load.text(number):
            raise AssertionError(f"stream {number} showed another text")

    gc.unfreeze()
    gc.collect()
    gc.freeze()  # what else there is is no business of a collection while the subject runs
    commits, bytes_before, cpu = disk.commits, written(), time.process_time()
    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(load.streams):
            tasks.create_task(one(number, start + scene.over * number / load.streams))
    wall = time.perf_counter() - start
    return Run(
        wall=wall,
        ideal=scene.ideal(load),
        cpu=time.process_time() - cpu,
        first_p50=percentile(firsts, 0.5),
        first_p99=percentile(firsts, 0.99),
        written=written() - bytes_before,
        commits=disk.commits - commits,
        too_early=too_early,
    )


Runs = dict[str, dict[str, list[Run]]]


def interleaved(scenes: Sequence[str], rounds: int, load: Load, where: Path | None = None) -> Runs:
    """Each scene with each subject, round by round; each round begins with the other subject."""
    runs: Runs = {scene: {name: [] for name in SUBJECTS} for scene in scenes}
    asyncio.run(measure(Ours, Load(20, 5, 0.001), Scene(), where))  # what is done once a process is done
    for number in range(rounds):
        names = list(SUBJECTS)[:: -1 if number % 2 else 1]
        for scene in scenes:
            for name in names:
                runs[scene][name].append(asyncio.run(measure(SUBJECTS[name], load, SCENES[scene], where)))
    return runs


def summary(runs: Sequence[Run]) -> dict[str, float]:
    """The median of each figure; of what must not happen at all, the sum."""
    rows = [asdict(run) | {"wall_over_ideal": run.wall / run.ideal} for run in runs]
    return {
        key: sum(row[key] for row in rows) if key == "too_early" else median(row[key] for row in rows)
        for key in rows[0]
    }


def table(scene: str, runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Print the medians of a scene, and give them."""
    print(f"\n{scene}")
    print("          wall s  x ideal   CPU s   first p50   p99 ms   written MB  commits  too early")
    rows = {name: summary(of) for name, of in runs.items()}
    for name, row in rows.items():
        print(
            f"  {name:6}{row['wall']:8.2f}{row['wall_over_ideal']:9.2f}{row['cpu']:8.2f}{row['first_p50'] * 1e3:12.0f}"
            f"{row['first_p99'] * 1e3:9.0f}{row['written'] / 1e6:13.1f}{row['commits']:9.0f}{row['too_early']:11.0f}"
        )
    cpu = median(ours.cpu / hand.cpu for ours, hand in zip(runs["ours"], runs["hand"], strict=True))
    print(f"  CPU of ours / hand: {cpu:.2f}")
    return {"subjects": rows, "cpu_ratio": cpu}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default 5)")
    parser.add_argument("--streams", type=int, default=500, help="streams at once (default 500)")
    parser.add_argument("--tokens", type=int, default=100, help="tokens of each, one every 20 ms (default 100)")
    parser.add_argument("--scene", choices=SCENES, action="append", help="only this one; may be repeated")
    parser.add_argument("--folder", type=Path, help="where the SQLite files lie (default: that for temporary files)")
    parser.add_argument("--json", type=Path, default=Path("build/many.json"), help="where the figures are written")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar does not hold")
    given = parser.parse_args()
    load = Load(given.streams, given.tokens)
    found = machine()
    print(f"{load.streams} streams of {load.tokens} tokens at 20 ms; medians of {given.rounds} interleaved rounds")
    found["sync_ms"] = sync_time(given.folder) * 1e3
    print(f"a sync of this disk takes {found['sync_ms']:.2f} ms (median)")
    logging.getLogger("cortex_rx").setLevel(logging.ERROR)  # a store that is slow to begin shows under "too early"
    runs = interleaved(given.scene or list(SCENES), given.rounds, load, given.folder)
    tables = {scene: table(scene, of) for scene, of in runs.items()}
    bars = [bar for scene in tables for bar in _bars(scene, tables[scene])]
    show_bars(bars)
    figures = {"machine": found, "rounds": given.rounds, "load": asdict(load), "scenes": tables}
    write_figures(given.json, figures, bars)
    return int(given.check and not all(bar.holds for bar in bars))


def _bars(scene: str, figures: dict[str, Any]) -> list[Bar]:
    """What is promised for 500 streams of 100 tokens."""
    ours = figures["subjects"]["ours"]
    never = Bar(f"{scene}: shown before the question is durable", ours["too_early"], 0)
    if SCENES[scene].sync:
        return [Bar(f"{scene}: wall, s", ours["wall"], 3.0), never]
    if SCENES[scene].over:
        return [Bar(f"{scene}: first token p99, ms", ours["first_p99"] * 1e3, 200), never]
    return [
        Bar(f"{scene}: wall / ideal", ours["wall_over_ideal"], 1.25),
        Bar(f"{scene}: CPU / hand", figures["cpu_ratio"], 1.6),
        Bar(f"{scene}: first token p50, ms", ours["first_p50"] * 1e3, 320),
        Bar(f"{scene}: written, MB", ours["written"] / 1e6, 16),
        never,
    ]


if __name__ == "__main__":
    sys.exit(main())
