"""The files of `benchmarks.apis`: memory spaces that are filled once and kept."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import random
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shutil import copyfile
from typing import Any

from benchmarks.search import corpus
from cortex_rx import Cortex
from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.sqlite import schema

__all__ = ["SPACE", "USERS", "Content", "filled", "opened", "picks"]

SPACE = "space"
USERS = 20
AT_ONCE = 200
"""Writes that wait at the same time share a transaction."""


@dataclass(frozen=True)
class Content:
    """What a file has: so many memories, and other records in proportion. It says which ids there are."""

    memories: int

    @property
    def facts(self) -> int:
        return self.memories // 5

    @property
    def others(self) -> int:
        """Conversations, contexts, users, keys, and immutable entries, each."""
        return self.memories // 20

    @property
    def few(self) -> int:
        """Agents, and registered memory spaces, each."""
        return max(self.memories // 200, 10)

    def writes(self, cortex: Cortex) -> Iterator[Coroutine[Any, Any, Any]]:
        """The calls that fill the file."""
        yield from self._memories(cortex)
        yield from self._facts(cortex)

    def _memories(self, cortex: Cortex) -> Iterator[Coroutine[Any, Any, Any]]:
        for number, text in enumerate(islice(corpus().texts(1), self.memories)):
            yield cortex.memory.store(
                SPACE,
                text,
                memory_id=f"mem-{number}",
                user_id=f"user-{number % USERS}",
                participant_id=f"agent-{number % 10}",
                source={"type": "conversation" if number % 2 else "tool"},
                conversation_id=f"c-{number // 20}",
                importance=number % 101,
                tags=[f"tag-{number % 50}"],
            )

    def _facts(self, cortex: Cortex) -> Iterator[Coroutine[Any, Any, Any]]:
        words = list(corpus().words)
        for number in range(self.facts):
            subject, predicate, object_ = f"person {number // 20}", f"predicate {number % 20}", words[number % 5_000]
            yield cortex.facts.store(
                memory_space_id=SPACE,
                fact=f"{subject} {predicate} {object_}",
                fact_id=f"fact-{number}",
                fact_type="knowledge",
                confidence=number % 101,
                subject=subject,
                predicate=predicate,
                object=object_,
                user_id=f"user-{number % USERS}",
                tags=[f"tag-{number % 50}"],
            )


async def _all(calls: Iterable[Coroutine[Any, Any, Any]]) -> None:
    left = iter(calls)

    async def work() -> None:
        for call in left:
            await call

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())


def _fill(path: Path, content: Content) -> None:
    async def main() -> None:
        async with Cortex(path) as cortex:
            await _all(content.writes(cortex))
        async with SqliteBackend(path) as backend:
            await backend.compact()

    asyncio.run(main())


def filled(folder: Path, content: Content) -> Path:
    """A file with this content: made by a process that ends, or found in the folder if its tables are those of now."""
    tables = hashlib.sha256(repr(schema.MIGRATIONS).encode()).hexdigest()[:8]
    path = folder / f"apis-{content.memories}-{tables}.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        process = multiprocessing.get_context("spawn").Process(target=_fill, args=(making, content))
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError("the file was not filled")
        making.rename(path)
    return path


@asynccontextmanager
async def opened(path: Path, folder: Path) -> AsyncIterator[Cortex]:
    """A client of a copy, which may be changed."""
    copy = folder / path.name
    copyfile(path, copy)
    async with Cortex(copy) as cortex:
        yield cortex


def picks(seed: int) -> Iterator[float]:
    """Shares between 0 and 1, the same for the same seed: which records a call is about."""
    chance = random.Random(seed)
    while True:
        yield chance.random()
