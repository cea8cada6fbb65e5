"""Calls that are safe to repeat, made again while the store cannot be reached."""

from __future__ import annotations

from typing import TypeVar

from cortex_rx.backends.contract.call import Call
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, retrying

__all__ = ["repeated"]

T = TypeVar("T")


async def repeated(call: Call[T]) -> T:
    """The result of a call that is safe to repeat. A store that cannot be reached is asked again for two seconds.

    >>> import asyncio
    >>> from cortex_rx.backends import SqliteBackend
    >>> from cortex_rx.backends.contract.typed import Memories
    >>> from cortex_rx.testing import Faulty, run_virtual
    >>> async def main():
    ...     store = Faulty(SqliteBackend(":memory:"), "1 fail, 2 fail-after", queries=True)
    ...     count = await repeated(Memories(store).count(memory_space_id="s"))
    ...     await store.close()
    ...     return count
    >>> run_virtual(main())
    0
    """
    return await retrying(lambda: call, Backoff(SHORT_PAUSES))
