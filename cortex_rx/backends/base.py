"""What a memory backend is: something with `query`, `mutation` and `close`.

Its functions, with their arguments, results and errors, are the contract (`cortex_rx.backends.contract`, and as a page `docs/contract.md`).

The checks of arguments are the same on every backend, and none writes its own: the first thing that `query` and `mutation` do is
`args = contract.check("query", path, args)` (or `"mutation"`).  What that gives is complete, with the defaults, and nobody else's;
what it raises goes to the caller.  Nothing stands between a backend and its caller that would do it for him: the promise
`calls_are_accepted_and_refused` of `cortex_rx.testing.check_backend` shows whether he does, in every function.  A wrapper that only
passes calls on leaves the checks to the backend; one that does more with the arguments calls `contract.check` first, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

from cortex_rx.errors import InvalidArgument
from cortex_rx.validation import shown

__all__ = ["HEAD_LENGTH", "Backend", "checked_backend", "is_backend"]

HEAD_LENGTH = 65_536
"""The code points of a content that `list` and `search` give at most."""


class Backend(Protocol):
    """Where memory lives.  The functions are those of the contract.

    One that lives on another machine says so with an attribute `remote = True`: then `Cortex` keeps a spool by default.
    """

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        """Read: call the function `path` with `args`."""
        ...

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        """Write: call the function `path` with `args`, in one transaction that is durable when this returns."""
        ...

    async def close(self) -> None:
        """Finish what runs and let go of everything; a second call does nothing."""
        ...


def is_backend(value: object) -> TypeGuard[Backend]:
    """Whether it has what a backend has; a wrapper that passes calls on by `__getattr__` too, which `isinstance` does not see."""
    return all(callable(getattr(value, name, None)) for name in ("query", "mutation", "close"))


def checked_backend(field: str, value: object) -> Backend:
    """A memory backend: a check, as those of `validation`."""
    if not is_backend(value):
        raise InvalidArgument(field, shown(value), "a Backend: query, mutation and close")
    return value
