"""A client as a program of Cortex makes it, and a store whose clock is set by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cortex_rx import Cortex, CortexConfig, SqliteBackend


class Clock:
    """Epoch seconds; each reading is a second later."""

    def __init__(self) -> None:
        self.now = 1_764_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
async def cortex(tmp_path: Path) -> AsyncIterator[Cortex]:
    client = Cortex(CortexConfig(convex_url=str(tmp_path / "memory.db")))
    yield client
    await client.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timed(tmp_path: Path, clock: Clock) -> AsyncIterator[Cortex]:
    """A client whose store has the clock."""
    async with SqliteBackend(tmp_path / "timed.db", clock=clock) as backend, Cortex(backend) as client:
        yield client
