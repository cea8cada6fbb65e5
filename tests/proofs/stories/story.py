"""What all processes and clients of one story have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from proofs.stories.exchange import Exchange
from proofs.stories.ledger import Ledger

from cortex_rx.backends.base import Backend
from cortex_rx.errors import CortexError, StoreUnavailable
from cortex_rx.spool import Spool
from cortex_rx.testing.simulate import Simulation

__all__ = ["EXPECTED", "LEASE_OVER", "Story"]

EXPECTED = (CortexError, ConnectionError)  # what an answer may fail with when something went wrong
LEASE_OVER = 11.0  # seconds after which a writer that died owns nothing any more


@dataclass
class Story:
    """Drawn once: the exchanges, a spool, perhaps an outage, and what runs beside the processes."""

    sim: Simulation
    exchanges: list[Exchange]
    backend: Callable[[Simulation], Backend]
    """Opens the store, with nothing in between."""
    spool: Spool | None
    outage: tuple[float, float]
    """From when to when, in virtual seconds, nobody reaches the store."""
    eventful: bool = False
    """Something outside of its process may make an answer fail."""
    ledger: Ledger = field(default_factory=Ledger)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    clients: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    """Followers, and who deletes."""

    @property
    def open(self) -> list[Exchange]:
        """Those that somebody still asks for."""
        return [exchange for exchange in self.exchanges if not exchange.over]

    def store(self) -> Backend:
        """The store as everybody in the story sees it."""
        return self.ledger.over(_Down(self.backend(self.sim), *self.outage))

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let it run until the story is over, in none of the processes: it does not die with one."""
        task = asyncio.create_task(work, context=Context())
        self.clients.append(task)
        return task

    async def end(self) -> None:
        """Tell the tasks beside it to end, and wait for them; their errors are raised."""
        self.over.set()
        if self.clients:
            await asyncio.wait(self.clients)


class _Down:
    """A backend that cannot be reached for a while."""

    def __init__(self, backend: Backend, begins: float, ends: float) -> None:
        self._backend, self._begins, self._ends = backend, begins, ends

    def _reach(self) -> None:
        if self._begins <= asyncio.get_running_loop().time() < self._ends:
            raise StoreUnavailable("the store is down")

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        self._reach()
        return await self._backend.query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        self._reach()
        return await self._backend.mutation(path, args)

    async def close(self) -> None:
        await self._backend.close()
