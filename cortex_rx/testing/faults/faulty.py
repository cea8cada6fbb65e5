"""A backend whose calls go wrong according to a plan.

>>> from cortex_rx import SqliteBackend
>>> from cortex_rx.testing import run_virtual
>>> async def main():
...     store = Faulty(SqliteBackend(":memory:"), "1 fail-after")
...     question = {"streamId": "st", "memorySpaceId": "s", "conversationId": "c", "userMessage": "Why?",
...                 "userId": "ada", "importance": 50, "tags": []}
...     try:
...         await store.mutation("streams:begin", question)
...     except ConnectionError as error:
...         print(type(error).__name__)
...     except Exception as error:
...         print(type(error).__name__, error)
...     stored = await store.query("streams:get", {"memorySpaceId": "s", "streamId": "st"})
...     await store.close()
...     return stored["userMessage"], store.process.effects
>>> run_virtual(main())
StoreUnavailable fault: 1 fail-after of streams:begin
('Why?', ['streams:begin'])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.errors import StoreUnavailable
from cortex_rx.testing.faults.plans import Plan
from cortex_rx.testing.faults.processes import Process

__all__ = ["Faulty"]


class Faulty:
    """A backend whose chosen calls fail, come late, or crash or stall the calling process.

    `process` is the process that it belongs to, or a plan, from which one is made. Every call of `mutation` is counted
    as an effect; with `queries`, also every call of `query`. `error` makes the exception of a call that fails. Once the
    process has crashed, no call returns. Other attributes are those of the backend.
    """

    def __init__(
        self,
        backend: Backend,
        process: Process | Plan | str = "",
        *,
        queries: bool = False,
        error: Callable[[str], Exception] = StoreUnavailable,
    ) -> None:
        self.backend: Backend = checked_backend("backend", backend)
        check.instance((Process, Plan, str), "a Process, or the plan of one")("process", process)
        check.flag("queries", queries)
        check.function("error", error)
        self.process: Process = process if isinstance(process, Process) else Process(process)
        self._queries = queries
        self._error = error
        self.process.closes(backend.close)

    def __repr__(self) -> str:
        return f"Faulty({self.backend!r}, {str(self.process.plan)!r})"

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        """Read: an effect if `queries` was set."""
        call = partial(self.backend.query, path, args)
        if self._queries or self.process.crashed:
            return await self.process.effect(path, call, self._error)
        return await call()

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        """Write: an effect."""
        return await self.process.effect(path, partial(self.backend.mutation, path, args), self._error)

    async def close(self) -> None:
        """Close the backend. This is not an effect, and never fails on purpose."""
        await self.backend.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)
