"""Shared by the tests of the notebook tools: a scripted model, and a store with fixed ids and clock."""

import asyncio
from itertools import count

import pytest

from cortex_rx import Cortex, SqliteBackend

WHOSE = {
    "memory_space_id": "s",
    "conversation_id": "c-1",
    "user_message": "What?",
    "user_id": "ada",
    "user_name": "Ada",
}


class Lab:
    def __init__(self, path):
        self.path = path
        self.opened = self.closed = 0

    def backend(self):
        ids = count(1)
        return SqliteBackend(self.path, new_id=lambda: str(next(ids)))

    def model(self, *pieces, pause=0.1, fail=None, hang=False):
        async def stream():
            self.opened += 1
            try:
                for piece in pieces:
                    await asyncio.sleep(pause)
                    yield piece
                if fail:
                    raise fail
                if hang:
                    await asyncio.sleep(10**6)
            finally:
                self.closed += 1

        return stream

    def ask(self, backend, stream, **more):
        return Cortex(backend).memory.remember_stream(stream, **WHOSE, **more)

    async def stored(self, space="s"):
        """What a client that comes later finds in the file, partial memories too."""
        async with Cortex(self.path) as later:
            return [(m.content, m.is_partial) for m in await later.memory.list(space, include_partial=True)]


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "memory.db")
