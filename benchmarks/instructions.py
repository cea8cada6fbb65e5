"""Instructions per chunk, by valgrind: `python -m benchmarks.instructions [subject ...]`.

Unlike CPU time they do not depend on what else the machine does, so they show a change of some per cent on a busy one.
(Not of one per cent: where objects happen to lie decides how well CPython's caches of attributes work.)  What a run
costs that does not depend on the number of chunks is taken out: the figure is the difference between two lengths.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from benchmarks.subjects import SUBJECTS

__all__ = ["instructions"]

SHORT, LONG = 2_000, 6_000


def _collected(subject: str, chunks: int) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={os.devnull}"]
    command += [sys.executable, "-m", "benchmarks.once", subject, str(chunks), "steady"]
    done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if found is None:
        raise RuntimeError(f"valgrind said no count: {done.stderr[-500:]}")
    return int(found[1].replace(",", ""))


def instructions(subject: str) -> float:
    """Instructions per chunk."""
    return (_collected(subject, LONG) - _collected(subject, SHORT)) / (LONG - SHORT)


if __name__ == "__main__":
    counts: dict[str, float] = {}
    for name in sys.argv[1:] or SUBJECTS:
        counts[name] = instructions(name)
        base = "".join(f"  {counts[name] / counts[one]:.2f} x {one}" for one in ("bare", "hand") if one in counts)
        print(f"{name:10}{counts[name]:10,.0f} instructions per chunk{base}", flush=True)
