"""Run one subject once: `python -m benchmarks.once handle 10000`.  For profilers, and for `benchmarks.instructions`.

With `steady` behind it, the clock of the loop advances by `TICK` each time it is read, however slow the machine is.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time

from benchmarks.store import NullStore
from benchmarks.subjects import SUBJECTS, Model

__all__ = ["once"]

TICK = 2e-6  # seconds; a chunk reads the clock a few times, so it takes about as long as at full speed


async def once(name: str, chunks: int) -> float:
    """CPU seconds of one run over the store in memory."""
    model, store = Model(chunks), NullStore()
    gc.collect()
    gc.freeze()  # what was imported is no business of a collection while the subject runs
    before = time.process_time()
    text = await SUBJECTS[name](model, store)
    spent = time.process_time() - before
    whole = "".join(model.texts)
    assert text is None or text == whole
    assert name == "bare" or "".join(store.texts) == whole
    return spent


if __name__ == "__main__":
    if "steady" in sys.argv[3:]:
        time.monotonic = itertools.count(time.monotonic(), TICK).__next__  # as cheap as the real one
    seconds = asyncio.run(once(sys.argv[1], int(sys.argv[2])))
    print(f"{seconds / int(sys.argv[2]) * 1e6:.2f} us of CPU time per chunk")
