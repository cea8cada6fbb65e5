"""Virtual time on threads that are busy for a while, so that what is written at the same instant waits together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from cortex_rx.backends.sqlite import writer
from cortex_rx.testing.simulate.threads import ThreadedLoop

__all__ = ["run_threaded", "sizes_of_transactions"]

T = TypeVar("T")


def run_threaded(main: Coroutine[Any, Any, T]) -> T:
    """As `run_virtual`, but each job of a thread is done two turns of the loop after it was given."""
    with asyncio.Runner(loop_factory=lambda: ThreadedLoop(lambda: 2)) as runner:
        return runner.run(main)


def sizes_of_transactions(patch: pytest.MonkeyPatch) -> Counter[int]:
    """How many calls were in a transaction, how often: counted from now on."""
    counted: Counter[int] = Counter()
    write_all = writer._write_all

    def counting(writes: list[writer.Write], transact: Any) -> None:
        counted[len(writes)] += 1
        write_all(writes, transact)

    patch.setattr(writer, "_write_all", counting)
    return counted
