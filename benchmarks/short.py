"""Many short streams in one process: `python -m benchmarks.short ours 50 26`.

They run in virtual time, over a store in memory. This is for profilers, and for `benchmarks.instructions`: what is left
of `benchmarks.many` when neither the disk nor the speed of the machine counts.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.many import Hand, Load, Ours
from benchmarks.store import NullStore
from cortex_rx.testing.virtual import run_virtual

__all__ = ["SUBJECTS", "short_streams"]


class _Stores:
    """A `NullStore` for each stream."""

    def __init__(self) -> None:
        self._of: dict[str, NullStore] = {}

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        return None

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        name = args["streamId"]
        store = self._of.get(name)
        if store is None:
            store = self._of[name] = NullStore()
        stored = await store.mutation(path, args)
        if path == "streams:finalize":
            del self._of[name]
        return stored

    async def close(self) -> None:
        """Nothing to let go of."""


class _Ours(Ours):
    def __init__(self) -> None:
        self._backend: Any = _Stores()


class _Hand(Hand):
    def __init__(self) -> None:
        super().__init__(Path())
        self._store: Any = _Stores()


SUBJECTS: dict[str, type[_Ours] | type[_Hand]] = {"hand": _Hand, "ours": _Ours}


def short_streams(subject: str, streams: int, tokens: int) -> None:
    """Stream so many answers of so many tokens at once; each is compared."""
    load, store = Load(streams, tokens), SUBJECTS[subject]()

    async def one(number: int) -> None:
        if await store.stream(load, number, lambda: None) != load.text(number):
            raise AssertionError(f"stream {number} showed another text")

    async def main() -> None:
        await one(streams)  # the first makes what is made once
        gc.collect()
        gc.freeze()  # what else there is is no business of a collection while the streams run
        async with asyncio.TaskGroup() as tasks:
            for number in range(streams):
                tasks.create_task(one(number))

    run_virtual(main())


if __name__ == "__main__":
    short_streams(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
