"""Instructions, by valgrind: of a chunk (`python -m benchmarks.instructions [subject ...]`), and of many short streams
(`python -m benchmarks.instructions --short [hand] [ours]`).

Unlike CPU time they do not depend on what else the machine does, so they show a change of some per cent on a busy one.
(Not of one per cent: where objects happen to lie decides how well CPython's caches of attributes work.)  What a run
costs that does not depend on the number of chunks is taken out: the figure is the difference between two lengths.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from benchmarks import short
from benchmarks.subjects import SUBJECTS

__all__ = ["instructions", "of_short_streams"]

SHORT, LONG = 2_000, 6_000
FEW, MANY, TOKENS = 10, 50, 25


def _collected(module: str, *given: object) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={os.devnull}"]
    command += [sys.executable, "-m", module, *map(str, given)]
    done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if found is None:
        raise RuntimeError(f"valgrind said no count: {done.stderr[-500:]}")
    return int(found[1].replace(",", ""))


def instructions(subject: str) -> float:
    """Instructions per chunk."""
    few, many = (_collected("benchmarks.once", subject, chunks, "steady") for chunks in (SHORT, LONG))
    return (many - few) / (LONG - SHORT)


def of_short_streams(subject: str) -> tuple[float, float]:
    """Instructions per stream of one token, and per further token."""
    few, many, longer = (
        _collected("benchmarks.short", subject, streams, tokens)
        for streams, tokens in ((FEW, 1), (MANY, 1), (MANY, 1 + TOKENS))
    )
    return (many - few) / (MANY - FEW), (longer - many) / (MANY * TOKENS)


def _show(name: str, value: float, what: str, counts: dict[str, float]) -> None:
    counts[name] = value
    base = "".join(f"  {value / counts[one]:.2f} x {one}" for one in ("bare", "hand") if one in counts)
    print(f"{name:10}{value:10,.0f} instructions per {what}{base}", flush=True)


if __name__ == "__main__":
    counts: dict[str, float] = {}
    if sys.argv[1:2] == ["--short"]:
        tokens: dict[str, float] = {}
        for name in sys.argv[2:] or short.SUBJECTS:
            stream, token = of_short_streams(name)
            _show(name, stream, "stream of one token", counts)
            _show(name, token, "further token", tokens)
    else:
        for name in sys.argv[1:] or SUBJECTS:
            _show(name, instructions(name), "chunk", counts)
