"""`python -m benchmarks`: measure, print tables, write JSON, say which bars hold.  See README.md beside this file."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.providers import AT_MOST, providers
from benchmarks.report import Bar, machine, show_bars, write_figures
from benchmarks.store import NullStore
from benchmarks.subjects import SUBJECTS, Model, Subject
from cortex_rx.backends import SqliteBackend

Stores = Callable[[], AbstractAsyncContextManager[Any]]
Times = dict[str, list[float]]


@asynccontextmanager
async def in_memory() -> AsyncIterator[NullStore]:
    yield NullStore()


@asynccontextmanager
async def on_disk() -> AsyncIterator[SqliteBackend]:
    """A SQLite file of its own, which is open before the clock runs."""
    with tempfile.TemporaryDirectory() as folder:
        async with SqliteBackend(Path(folder) / "memory.db") as backend:
            await backend.query("memories:count", {"memorySpaceId": "space"})
            await SUBJECTS["last"](Model(100), backend)
            yield backend


async def timed(subject: Subject, model: Model, stores: Stores) -> float:
    """CPU microseconds per chunk of one run, threads included."""
    async with stores() as store:
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # what else there is is no business of a collection while the subject runs
        before = time.process_time()
        text = await subject(model, store)
        spent = time.process_time() - before
    whole = "".join(model.texts)
    if text is not None and text != whole:
        raise AssertionError("a subject saw another text")
    if isinstance(store, NullStore) and store.calls and "".join(store.texts) != whole:
        raise AssertionError("a subject stored another text")
    return spent / len(model.texts) * 1e6


def interleaved(
    names: Sequence[str], rounds: int, model: Model, stores: Stores, subjects: Mapping[str, Subject] = SUBJECTS
) -> Times:
    """The times of each, round by round; each round begins with another one."""
    times: Times = {name: [] for name in names}
    for number in range(-1, rounds):  # the first round warms up
        at = number % len(names)
        for name in (*names[at:], *names[:at]):
            spent = asyncio.run(timed(subjects[name], model, stores))
            if number >= 0:
                times[name].append(spent)
    return times


def ratio(times: Times, name: str, base: str) -> float:
    """The median of the ratios of each round: what slows a whole round down cancels out."""
    return median(one / other for one, other in zip(times[name], times[base], strict=True))


def least_ratio(times: Times, name: str, base: str) -> float:
    """The ratio of the shortest runs: the least disturbed."""
    return min(times[name]) / min(times[base])


def table(title: str, times: Times, bases: Sequence[str]) -> list[dict[str, Any]]:
    """Print the times, and give them as rows."""
    print(f"\n{title}")
    print(f"  {'':12}{'us/chunk':>10}{'least':>8}" + "".join(f"{'x ' + base:>10}{'(least)':>9}" for base in bases))
    rows: list[dict[str, Any]] = []
    for name in times:
        row: dict[str, Any] = {"name": name, "median_us": median(times[name]), "least_us": min(times[name])}
        line = f"  {name:12}{row['median_us']:10.2f}{row['least_us']:8.2f}"
        for base in bases:
            row[f"x_{base}"], row[f"x_{base}_least"] = ratio(times, name, base), least_ratio(times, name, base)
            line += f"{row[f'x_{base}']:10.2f}{row[f'x_{base}_least']:9.2f}"
        print(line)
        rows.append(row)
    return rows


def by_length(names: Sequence[str], rounds: int, short: int, long: int) -> Times:
    """The cost per chunk of a short and of a long stream, side by side; the short ones are repeated to be
    measurable."""
    times: Times = {}
    models = {short: Model(short), long: Model(long)}
    for number in range(-1, rounds):
        for name in names:
            for length, model in models.items():
                again = 10 if length == short else 1
                runs = [asyncio.run(timed(SUBJECTS[name], model, in_memory)) for _ in range(again)]
                if number >= 0:
                    times.setdefault(f"{name} {length:,}", []).append(sum(runs) / again)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="runs of each (default 25)")
    parser.add_argument("--chunks", type=int, default=10_000, help="chunks of 5 characters (default 10,000)")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="where the figures are written")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar does not hold")
    given = parser.parse_args()
    found = machine()
    print(f"CPU time, threads included; median of {given.rounds} interleaved rounds, in brackets the shortest runs")

    model = Model(given.chunks)
    memory = interleaved(list(SUBJECTS), given.rounds, model, in_memory)
    tables = {"memory": table(f"{given.chunks:,} chunks into a store in memory", memory, ("hand", "bare"))}
    sqlite = interleaved(["hand", "run", "last", "handle"], given.rounds, model, on_disk)
    tables["sqlite"] = table(f"{given.chunks:,} chunks into a SQLite file", sqlite, ("hand",))
    reading = providers(model)
    read = interleaved(list(reading), given.rounds, model, in_memory, reading)
    tables["providers"] = table(f"{given.chunks:,} chunks of each provider, read by from_stream alone", read, ("text",))
    short, long = 1_000, 100_000
    length = by_length(["hand", "run", "handle"], max(3, given.rounds // 5), short, long)
    tables["length"] = table("by the length of the stream, store in memory", length, ())

    bars = [
        Bar("run / hand", ratio(memory, "run", "hand"), 0.95),
        Bar("handle / hand", ratio(memory, "handle", "hand"), 1.45),
        Bar("handle / bare", ratio(memory, "handle", "bare"), 3.1),
        Bar("run / hand, SQLite", ratio(sqlite, "run", "hand"), 0.95),
        Bar("handle / hand, SQLite", ratio(sqlite, "handle", "hand"), 1.45),
    ]
    bars += [
        Bar(f"{name}: a chunk of {long:,} / of {short:,}", ratio(length, f"{name} {long:,}", f"{name} {short:,}"), 1.1)
        for name in ("run", "handle")
    ]
    bars += [Bar(f"{name} / text", ratio(read, name, "text"), most) for name, most in AT_MOST.items()]
    show_bars(bars)
    figures = {"machine": found, "rounds": given.rounds, "chunks": given.chunks, "tables": tables}
    write_figures(given.json, figures, bars)
    return int(given.check and not all(bar.holds for bar in bars))


if __name__ == "__main__":
    sys.exit(main())
