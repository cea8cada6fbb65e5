"""Shared by the tests of the APIs: a real SQLite file with stored exchanges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.backends import SqliteBackend
from cortex_rx.models.turn import Turn

Remember = Callable[..., Awaitable[Any]]


class Calls:
    """A backend that records the calls and passes them on."""

    def __init__(self, inner: SqliteBackend) -> None:
        self.inner = inner
        self.made: list[tuple[str, dict[str, Any]]] = []

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        self.made.append((path, dict(args)))
        return await self.inner.query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        self.made.append((path, dict(args)))
        return await self.inner.mutation(path, args)

    async def close(self) -> None:
        await self.inner.close()


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Calls]:
    times, numbers = count(1_700_000_000), count(1)
    inner = SqliteBackend(
        tmp_path / "memory.db", clock=lambda: float(next(times)), new_id=lambda: f"id-{next(numbers):04}"
    )
    async with inner:
        yield Calls(inner)


@pytest.fixture
def remember(backend: Calls) -> Remember:
    """Store an exchange; with `finish=False` its answer still streams."""
    numbers = count(1)

    async def store(question: str, answer: str, *, finish: bool = True, space: str = "support", **turn: Any) -> Any:
        stream = f"stream-{next(numbers)}"
        turn = {"conversation_id": "c-1", "user_id": "ada", "user_name": "Ada"} | turn
        begun = await backend.inner.mutation(
            "streams:begin", Turn(space, user_message=question, **turn).arguments() | {"streamId": stream}
        )
        write = {
            "streamId": stream,
            "memorySpaceId": space,
            "epoch": begun["epoch"],
            "attempt": begun["attempt"],
            "start": 0,
            "text": answer,
        }
        if not finish:
            await backend.inner.mutation("streams:append", write)
            return begun
        return await backend.inner.mutation("streams:finalize", write | {"length": len(answer), "reason": "stop"})

    return store
