"""A call of a function as a value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, Generic, TypeVar

from cortex_rx.errors import StoreUnavailable

__all__ = ["LEFT_OUT", "Call"]

T = TypeVar("T")


class _LeftOut:
    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = _LeftOut()
"""Stands for an argument that is left out, where None is a value."""


class Call(Generic[T]):
    """A function and its arguments. Each `await` makes the call, always with the same arguments.

    So it can be repeated when its answer was lost, and kept as data (`path` and `args`) when the store is away.

    >>> import asyncio
    >>> from cortex_rx.backends import SqliteBackend
    >>> from cortex_rx.backends.contract.typed import Memories
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         call = Memories(backend).count(memory_space_id="support", user_id="ada")
    ...         return await call, await call, call
    >>> asyncio.run(main())
    (0, 0, <memories:count memorySpaceId, userId>)
    """

    __slots__ = ("_function", "args", "path")

    def __init__(
        self, function: Callable[[str, dict[str, Any]], Awaitable[T]], path: str, args: dict[str, Any]
    ) -> None:
        self._function = function
        self.path: str = path
        self.args: dict[str, Any] = args

    def __await__(self) -> Generator[Any, None, T]:
        try:
            return (yield from self._function(self.path, self.args).__await__())
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Not this task was cancelled, but one of a store's client, by whoever cancels all tasks of the loop.
            raise StoreUnavailable("the call was cancelled within the store; it may be repeated") from error

    def with_args(self, args: dict[str, Any]) -> Call[T]:
        """The same function with other arguments."""
        return Call(self._function, self.path, args)

    def __repr__(self) -> str:  # without values: they may hold text of a user
        return f"<{self.path} {', '.join(self.args)}>"
