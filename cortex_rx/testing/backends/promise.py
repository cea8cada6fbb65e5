"""A promise of the contract, and how it is checked."""

from __future__ import annotations

import asyncio
import itertools
import traceback
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import PurePath

from cortex_rx.backends.base import Backend
from cortex_rx.testing.backends.bench import Bench, Mismatch
from cortex_rx.testing.operators._judge import BrokenPromise
from cortex_rx.testing.virtual import run_virtual

__all__ = ["BackendPromise", "Collected"]

LIMIT = 60.0  # seconds for one promise; most take some milliseconds
_PROMISES = (
    *(
        "_partials.py",
        "_exchanges.py",
        "_conversations.py",
        "_conversation_calls.py",
        "_memories.py",
        "_facts.py",
        "_forgetting.py",
    ),
    *("_leases.py", "_fact_commits.py", "_versions.py", "_contexts.py", "_memory_spaces.py", "_users.py", "_agents.py"),
    *("_immutable.py", "_mutable.py", "_graph_sync.py"),
)
_runs = itertools.count(1)


Try = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True)
class BackendPromise:
    """One promise of the contract: its `name`, its text (`says`), whether it needs two backends over one store
    (`shared`), and whether it sets the clock, which only virtual time can (`virtual`)."""

    name: str
    says: str
    try_it: Try
    shared: bool = False
    functions: tuple[str, ...] = ()
    """The functions of the contract that it is about."""
    virtual: bool = False

    def __str__(self) -> str:
        return self.name

    def check(self, make: Callable[[], Backend], *, virtual: bool = False) -> None:
        """Check the promise. Raises `BrokenPromise`, which says what is wrong.

        `make` makes a backend over the same store each time; the store need not be empty. `virtual` uses virtual time,
        for a backend that waits only by asyncio and whose clock is `cortex_rx.testing.wall`. A promise that sets the
        clock is not checked without it.

        >>> from cortex_rx import SqliteBackend
        >>> from cortex_rx.testing import BACKEND_PROMISES, wall
        >>> class Deaf(SqliteBackend):
        ...     async def query(self, path, args):
        ...         return 0 if path == "memories:count" else await super().query(path, args)
        >>> promise, = (one for one in BACKEND_PROMISES if one.name == "a_partial_is_hidden")
        >>> promise.check(lambda: Deaf(":memory:", clock=wall), virtual=True)
        Traceback (most recent call last):
        ...
        cortex_rx.testing.operators._judge.BrokenPromise: broken promise: a partial memory shows only if ...
        the count: got 0, the contract says 1
        """
        if virtual:
            run_virtual(self.run(make))
        elif not self.virtual:
            asyncio.run(self.run(make))

    async def run(self, make: Callable[[], Backend]) -> None:
        """The same, on your own loop."""
        bench = Bench(make, f"conformance-{uuid.uuid4().hex[:12]}-{next(_runs)}")
        try:
            async with asyncio.timeout(LIMIT):
                await self.try_it(bench)
        except Mismatch as broken:
            raise BrokenPromise(self.says, str(broken)) from broken
        except Exception as error:
            raise BrokenPromise(self.says, f"{_where(error)}: {type(error).__name__}: {error}") from error
        finally:
            await bench.close()


class Collected(list[BackendPromise]):
    """Promises, in the order of a module."""

    def add(self, *functions: str, shared: bool = False, virtual: bool = False) -> Callable[[Try], Try]:
        """Add a promise about these functions of the contract; its docstring is its text."""

        def added(function: Try) -> Try:
            self.append(BackendPromise(function.__name__, _words(function), function, shared, functions, virtual))
            return function

        return added


def _where(error: BaseException) -> str:
    """The line of the promise that failed."""
    frames = traceback.extract_tb(error.__traceback__)
    tried = [frame for frame in frames if PurePath(frame.filename).name in _PROMISES]
    return f"{tried[-1].line} failed" if tried else "it failed"


def _words(function: Callable[..., object]) -> str:
    words = " ".join((function.__doc__ or "").split()).removesuffix(".")
    return words[:1].lower() + words[1:]
