"""What a transaction of `cortex.mutable` gives to its callback: reads as the store has them, and writes for later."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from copy import deepcopy
from typing import Any

from cortex_rx import validation as check
from cortex_rx.backends.contract.typed import Mutable
from cortex_rx.errors import KeyNotFound, ValueNotNumber
from cortex_rx.models.base import ids

__all__ = ["MutableTransaction", "changed"]

_MISSING = object()
_settling: ContextVar[object] = ContextVar("settling", default=None)
"""The transaction whose functions are being called: they may read, too."""
_Key = tuple[str, str]


class _Noted:
    """A write that was noted. It may be awaited, and need not be."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


async def changed(updater: Callable[[Any], Any], value: Any) -> Any:
    """The value that an updater, plain or async, makes of another one. Raises `InvalidArgument` if it cannot be
    stored."""
    made = updater(value)
    return check.json_value("updater", await made if inspect.isawaitable(made) else made)


class MutableTransaction:
    """What the callback of `cortex.mutable.transaction` works with.

    Writes are noted, in their order, and made when the callback has returned: all of them, or none. They may be
    awaited, and need not be. Reads are awaited; they give what is stored, with the writes of this transaction. If
    somebody changes meanwhile what was read, the callback runs again.

    >>> import asyncio
    >>> from cortex_rx import Cortex
    >>> async def move(tx):
    ...     if await tx.get("accounts", "ada") >= 5:
    ...         tx.decrement("accounts", "ada", 5)
    ...         tx.increment("accounts", "bob", 5)
    ...     return await tx.get("accounts", "bob")
    >>> async def main():
    ...     async with Cortex(":memory:") as cortex:
    ...         await cortex.mutable.set("accounts", "ada", 7)
    ...         done = await cortex.mutable.transaction(move)
    ...         return [(row.key, row.value) for row in done.results]
    >>> asyncio.run(main())
    [('ada', 2), ('bob', 5)]
    """

    def __init__(self, calls: Mutable) -> None:
        self._calls = calls
        self._read: dict[_Key, Any] = {}
        self._versions: dict[_Key, int] = {}
        self._noted: list[dict[str, Any]] = []
        self._settled = 0  # so many of them have their values
        self._reading, self._turn = asyncio.Lock(), asyncio.Lock()

    async def get(self, namespace: str, key: str) -> Any:
        """The value; None if there is no such key."""
        value = await self._value(namespace, key)
        return None if value is _MISSING else deepcopy(value)  # what the callback makes of it is no write

    async def exists(self, namespace: str, key: str) -> bool:
        """Whether there is such a key."""
        return await self._value(namespace, key) is not _MISSING

    def set(self, namespace: str, key: str, value: Any) -> Awaitable[None]:
        """Make a key, or replace its value."""
        return self._note("set", namespace, key, value=check.json_value("value", value))

    def update(self, namespace: str, key: str, updater: Callable[[Any], Any]) -> Awaitable[None]:
        """Replace the value by what a function, plain or async, makes of it; it gets None if there is no such key.

        The function is called when the writes are made, or with the next read.
        """
        return self._note("set", namespace, key, updater=check.callback("updater", updater))

    def delete(self, namespace: str, key: str) -> Awaitable[None]:
        """Delete a key. If there is none, the transaction fails with a `KeyNotFound`."""
        return self._note("delete", namespace, key)

    def increment(self, namespace: str, key: str, amount: float = 1) -> Awaitable[None]:
        """Add to a number; a key that is not there is made, from 0 on."""
        return self._note("increment", namespace, key, amount=check.number("amount", amount), initial=0)

    def decrement(self, namespace: str, key: str, amount: float = 1) -> Awaitable[None]:
        """Subtract from a number; a key that is not there is made, from 0 on."""
        return self._note("decrement", namespace, key, amount=check.number("amount", amount), initial=0)

    def _note(self, op: str, namespace: str, key: str, **more: Any) -> Awaitable[None]:
        self._noted.append({"op": op, **ids(namespace=namespace, key=key), **more})
        return _Noted()

    async def _value(self, namespace: str, key: str) -> Any:
        """The value of a key with the writes that are noted; `_MISSING` if it is not there."""
        one = ids(namespace=namespace, key=key)
        return await self._folded(one, await self._settle())

    async def _folded(self, one: dict[str, Any], stop: int) -> Any:
        """The value of a key after the first `stop` of the writes."""
        place = (one["namespace"], one["key"])
        async with self._reading:  # of two reads of a key at once the first counts
            if place not in self._read:
                row = await self._calls.get(namespace=place[0], key=place[1])
                self._read[place] = _MISSING if row is None else row["value"]
                self._versions[place] = 0 if row is None else row["version"]
        value = self._read[place]
        for write in self._noted[:stop]:
            if (write["namespace"], write["key"]) == place:
                value = _after(write, value)
        return value

    async def _settle(self) -> int:
        """Call the functions of the updates that are noted, in their order. Returns how many writes have values now."""
        if _settling.get() is self:  # such a function reads: it sees the writes before its own
            return self._settled
        async with self._turn:
            token = _settling.set(self)
            try:
                while self._settled < len(self._noted):
                    write = self._noted[self._settled]
                    if "updater" in write:
                        value = await self._folded(write, self._settled)
                        given = None if value is _MISSING else deepcopy(value)
                        write["value"] = await changed(write["updater"], given)
                        del write["updater"]
                    self._settled += 1
            finally:
                _settling.reset(token)
        return self._settled

    async def operations(self) -> list[dict[str, Any]]:
        """The writes, as operations of `mutable:transaction`."""
        await self._settle()
        return self._noted

    def reads(self) -> list[dict[str, Any]]:
        """The keys that were read, with their versions."""
        return [
            {"namespace": place[0], "key": place[1], "version": version} for place, version in self._versions.items()
        ]


def _after(write: dict[str, Any], value: Any) -> Any:
    """A value after a write, as the store makes it."""
    if write["op"] == "set":
        return write["value"]
    if value is _MISSING and write["op"] == "delete":
        raise KeyNotFound("no such key in the namespace")
    if write["op"] == "delete":
        return _MISSING
    number = write["initial"] if value is _MISSING else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueNotNumber(f"the key has a value of type {type(number).__name__}")
    return number + (write["amount"] if write["op"] == "increment" else -write["amount"])
