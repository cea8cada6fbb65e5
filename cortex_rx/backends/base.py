"""What a memory backend is: an object with `query`, `mutation` and `close`.

Its functions, with their arguments, results and errors, are the contract: `cortex_rx.backends.contract`, as a page
`docs/contract.md`.

The checks of arguments are the same on every backend; no backend writes its own. `query` and `mutation` first call
`args = checks.check("query", path, args)` (or `"mutation"`). The result is complete, with the defaults, and belongs
to the backend alone. Errors of the check go to the caller. Nothing else checks for the backend. The promise
`calls_are_accepted_and_refused` of `cortex_rx.testing.check_backend` shows whether it does so in every function. A
wrapper that only passes calls on leaves the checks to the backend. A wrapper that does more with the arguments calls
`contract.checks.check` first, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

from cortex_rx.errors import InvalidArgument
from cortex_rx.validation import shown

__all__ = ["HEAD_LENGTH", "Backend", "checked_backend", "is_backend"]

HEAD_LENGTH = 65_536
"""The most code points of a content that `list` and `search` give."""


class Backend(Protocol):
    """Where memory lives. Its functions are those of the contract.

    A backend on another machine has an attribute `remote = True`: then `Cortex` keeps a spool by default.
    """

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        """Read: call the function `path` with `args`."""
        ...

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        """Write: call the function `path` with `args`, in one transaction that is durable when this returns."""
        ...

    async def close(self) -> None:
        """Finish running calls and release everything; a second call does nothing."""
        ...


def is_backend(value: object) -> TypeGuard[Backend]:
    """Whether it has the methods of a backend. `isinstance` would miss wrappers that pass calls on by `__getattr__`."""
    return (  # not a loop: each step of each chain asks
        callable(getattr(value, "query", None))
        and callable(getattr(value, "mutation", None))
        and callable(getattr(value, "close", None))
    )


def checked_backend(field: str, value: object) -> Backend:
    """A memory backend: a check, as those of `validation`."""
    if not is_backend(value):
        raise InvalidArgument(field, shown(value), "a Backend: query, mutation and close")
    return value
