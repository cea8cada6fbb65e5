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
        yield from self._conversations(cortex)
        yield from self._memories(cortex)
        yield from self._facts(cortex)
        yield from self._contexts(cortex)
        yield from self._rest(cortex)

    def _conversations(self, cortex: Cortex) -> Iterator[Coroutine[Any, Any, Any]]:
        words = list(corpus().words)
        for number in range(self.others):

            async def talk(number: int = number) -> None:
                conversation = f"c-{number}"
                participants = {"user_id": f"user-{number % USERS}"}
                given = {"conversation_id": conversation, "memory_space_id": SPACE, "participants": participants}
                await cortex.conversations.create({**given, "type": "user-agent"})
                for at, role in enumerate(("user", "agent")):
                    content = f"{words[number % 5_000]} {words[(number + at) % 5_000]}"
                    said = {"conversation_id": conversation, "id": f"{role}-{number}", "role": role, "content": content}
                    await cortex.conversations.add_message(said, memory_space_id=SPACE)

            yield talk()

    def _contexts(self, cortex: Cortex) -> Iterator[Coroutine[Any, Any, Any]]:
        """Trees of ten."""
        for root in range(0, self.others, 10):

            async def tree(root: int = root) -> None:
                for number in range(root, min(root + 10, self.others)):
                    await cortex.contexts.create(
                        context_id=f"ctx-{number}",
                        purpose=f"Task {number}",
                        memory_space_id=SPACE,
                        user_id=f"user-{number % USERS}",
                        parent_id=None if number == root else f"ctx-{root}",
                        status="active" if number % 2 else "blocked",
                        conversation_ref={"conversation_id": f"c-{number}"},
                    )

            yield tree()

    def _rest(self, cortex: Cortex) -> Iterator[Coroutine[Any, Any, Any]]:
        for number in range(self.others):
            user = f"user-{number % USERS}"
            yield cortex.users.update(f"person-{number}", {"name": f"Person {number}", "city": f"city {number // 20}"})
            yield cortex.mutable.set(f"namespace {number % 20}", f"key-{number}", number, user)
            entry = {"type": f"type {number % 20}", "id": f"entry-{number}", "data": {"n": number}, "user_id": user}
            yield cortex.immutable.store(entry)
        for number in range(self.few):
            yield cortex.agents.register({"id": f"agent-{number}", "name": f"Agent {number}"})
            members = [{"id": f"agent-{number}", "type": "agent"}]
            given = {"memory_space_id": f"space-{number}", "type": "team", "participants": members}
            yield cortex.memory_spaces.register(given)

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
