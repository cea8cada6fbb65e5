"""A store with a clock and ids of the test's own, and short names for the calls that most tests make."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.backends import SqliteBackend


class Store:
    """A backend and what tests do with it all the time, in the memory space `s` unless said otherwise."""

    def __init__(self, path: Path | str, **options: Any) -> None:
        ids = count(1)
        self.now = 1_000.0
        self.path = path
        self.backend = SqliteBackend(
            path, **{"clock": lambda: self.now, "new_id": lambda: f"{next(ids):03}", **options}
        )

    async def begin(self, stream: str = "st", question: str = "why?", **more: Any) -> dict[str, Any]:
        args = {"memorySpaceId": "s", "conversationId": "c", "userId": "ada", "importance": 50, "tags": []}
        return await self.backend.mutation(
            "streams:begin", {**args, "streamId": stream, "userMessage": question, **more}
        )

    async def append(self, start: int, text: str, stream: str = "st", **more: Any) -> int:
        args = {"streamId": stream, "memorySpaceId": "s", "epoch": 1, "attempt": 0, "start": start, "text": text}
        return (await self.backend.mutation("streams:append", {**args, **more}))["end"]

    async def finalize(
        self, text: str, stream: str = "st", start: int = 0, length: int | None = None, **more: Any
    ) -> dict[str, Any]:
        args = {"streamId": stream, "memorySpaceId": "s", "epoch": 1, "attempt": 0, "start": start, "text": text}
        length = start + len(text) if length is None else length
        return await self.backend.mutation("streams:finalize", {**args, "length": length, **more})

    async def exchange(self, question: str, answer: str, stream: str, **more: Any) -> dict[str, Any]:
        await self.begin(stream, question, **more)
        space = {"memorySpaceId": more["memorySpaceId"]} if "memorySpaceId" in more else {}
        return await self.finalize(answer, stream, **space)

    async def call(self, function: str, stream: str | None = "st", **more: Any) -> Any:
        """`streams:<function>`, of the stream `st` unless said otherwise (None: the function takes no stream)."""
        args = {"memorySpaceId": "s", **({} if stream is None else {"streamId": stream}), **more}
        reads = function in ("get", "read", "interrupted", "list")
        return await (self.backend.query if reads else self.backend.mutation)(f"streams:{function}", args)

    async def take(self, token: str, claim: str, **more: Any) -> dict[str, Any]:
        return await self.call("takeOver", None, token=token, claim=claim, **more)

    async def get(self, memory: str, **more: Any) -> dict[str, Any] | None:
        return await self.backend.query("memories:get", {"memorySpaceId": "s", "memoryId": memory, **more})

    async def list(self, **more: Any) -> list[dict[str, Any]]:
        return await self.backend.query("memories:list", {"memorySpaceId": "s", **more})

    async def search(self, query: str, **more: Any) -> list[dict[str, Any]]:
        """By the memories' own words, unless said otherwise."""
        args = {"memorySpaceId": "s", "query": query, "neighbours": False}
        return await self.backend.query("memories:search", {**args, **more})

    async def found(self, query: str, **more: Any) -> list[str]:
        return [row["content"] for row in await self.search(query, **more)]

    async def count(self, **more: Any) -> int:
        return await self.backend.query("memories:count", {"memorySpaceId": "s", **more})

    async def delete(self, memory: str, **more: Any) -> dict[str, Any]:
        return await self.backend.mutation("memories:deleteMemory", {"memorySpaceId": "s", "memoryId": memory, **more})

    async def conversation(self, conversation: str = "c", space: str = "s") -> dict[str, Any] | None:
        return await self.backend.query("conversations:get", {"memorySpaceId": space, "conversationId": conversation})

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables, those of the index included, as another connection sees them in the file. What is in
        the tables of FTS5 is in the tables of their places."""
        with closing(sqlite3.connect(self.path)) as db:  # one for all: each reads the schema, which is long
            names = [
                name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            ]
            names = [name for name in names if name not in ("terms", "fact_terms")]
            return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What another connection sees in the file."""
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(statement, values).fetchall()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "memory.db")
    yield store
    await store.backend.close()


@pytest.fixture(scope="session")
def make_store() -> type[Store]:
    return Store


PRELUDE = """
import asyncio, os, sys
from cortex_rx.backends import SqliteBackend
from cortex_rx import errors
path = sys.argv[1]
def begin(stream, text="why?"):
    asked = {"conversationId": "c", "userMessage": text, "userId": "ada", "importance": 1, "tags": []}
    return {"streamId": stream, "memorySpaceId": "s", **asked}
def final(stream, text):
    writer = {"streamId": stream, "memorySpaceId": "s", "epoch": 1, "attempt": 0}
    return {**writer, "start": 0, "text": text, "length": len(text)}
async def exchange(backend, stream, text):
    await backend.mutation("streams:begin", begin(stream))
    await backend.mutation("streams:finalize", final(stream, text))
async def contents(backend):
    rows = await backend.query("memories:list", {"memorySpaceId": "s"})
    return sorted(row["content"] for row in rows if row["messageRole"] == "agent")
"""


def _program(body: str, *args: object) -> subprocess.Popen[str]:
    """A process of its own that runs `body`."""
    code = PRELUDE + textwrap.dedent(body)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


@pytest.fixture(scope="session")
def program() -> Callable[..., subprocess.Popen[str]]:
    return _program


@pytest.fixture(scope="session")
def output() -> Callable[[subprocess.Popen[str]], str]:
    return _output
