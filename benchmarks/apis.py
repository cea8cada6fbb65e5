"""`python -m benchmarks.apis`: what the calls of the nine APIs take in a memory space of 100,000 memories, and in one
of 10,000.  See README.md beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.apis_calls import CALLS, At
from benchmarks.apis_store import Content, filled, opened, picks
from benchmarks.report import Bar, machine, percentile, show_bars, write_figures

__all__ = ["bars", "measure", "report"]

Times = Mapping[str, Mapping[int, Sequence[float]]]
"""Seconds, by call and by the number of memories."""

WARM = 3
"""Rounds that are not counted."""


async def measure(paths: Mapping[int, Path], rounds: int) -> Times:
    """What each call took, call by call: in each round the files take turns, about the same share of their records."""
    took: dict[str, dict[int, list[float]]] = {name: {size: [] for size in paths} for name in CALLS}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=next(iter(paths.values())).parent)))
        clients = {size: await stack.enter_async_context(opened(path, folder)) for size, path in paths.items()}
        for name, call in CALLS.items():
            places = picks(len(name))
            for number in range(-WARM, rounds):
                place = next(places)
                turns = list(clients.items())
                for size, cortex in turns if number % 2 else reversed(turns):
                    start = time.perf_counter()
                    await call.make(cortex, At(Content(size), place, number))
                    if number >= 0:
                        took[name][size].append(time.perf_counter() - start)
    return took


def report(took: Times) -> dict[str, dict[str, float]]:
    """Print the times, and give them: milliseconds at the median and the 95th percentile among most memories, and how
    much longer that is than among the fewest."""
    few, *_, many = sorted(next(iter(took.values())))
    print(f"\n{f'ms among {many:,} memories':42}{'median':>9}{'p95':>9}{f'x {few:,}':>9}")
    rows: dict[str, dict[str, float]] = {}
    for name, times in took.items():
        middle, base = percentile(times[many], 0.5), percentile(times[few], 0.5)
        rows[name] = {"median": middle * 1e3, "p95": percentile(times[many], 0.95) * 1e3, "growth": middle / base}
        bounded = "" if CALLS[name].most is None else f"   at most {CALLS[name].most}"
        print(f"  {name:40}" + "".join(f"{value:9.2f}" for value in rows[name].values()) + bounded)
    return rows


def bars(rows: Mapping[str, Mapping[str, Any]]) -> list[Bar]:
    """A call that reads by an index does not depend on how much there is."""
    return [Bar(name, rows[name]["growth"], call.most) for name, call in CALLS.items() if call.most is not None]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apis", description=__doc__)
    sizes = (10_000, 100_000)
    parser.add_argument("--memories", type=int, nargs=2, default=sizes, help="how many the two files have")
    parser.add_argument("--rounds", type=int, default=100, help="how often each call is made (default 100)")
    parser.add_argument("--folder", type=Path, default=Path("build/apis"), help="where the SQLite files lie, and stay")
    parser.add_argument("--json", type=Path, default=Path("build/apis.json"), help="where the figures are written")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar does not hold")
    given = parser.parse_args()
    found = machine()
    start = time.perf_counter()
    paths = {size: filled(given.folder, Content(size)) for size in sorted(given.memories)}
    print(f"{' and '.join(f'{size:,}' for size in paths)} memories, there after {time.perf_counter() - start:.0f} s")
    rows = report(asyncio.run(measure(paths, given.rounds)))
    promised = bars(rows)
    show_bars(promised)
    write_figures(given.json, {"machine": found, "memories": list(paths), "ms": rows}, promised)
    return int(given.check and not all(bar.holds for bar in promised))


if __name__ == "__main__":
    sys.exit(main())
