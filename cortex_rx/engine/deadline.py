"""How long a source may keep us waiting.

A `TimeoutPolicy` rides on the flow from the operator that sets it to the source, where a `TimeoutGuard` counts.  Only the time in which
the source is waited for counts: a slow reader, a full gate and the work of operators do not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True, slots=True)
class TimeoutPolicy:
    """`idle` seconds for one item (opening the source included), `total` seconds for all of them."""

    idle: float | None
    total: float | None
    clean: bool
    """Whether the stream ends cleanly, rather than with an error, when it is over."""


class SourceTimedOut(TimeoutError):
    """A source kept us waiting too long; `which` says whose time was up."""

    def __init__(self, patience: TimeoutPolicy, which: str) -> None:
        super().__init__(which)
        self.policy: TimeoutPolicy = patience
        self.which: str = which


class TimeoutGuard:
    """`with watch: await ...` around everything that waits for the source; raises `SourceTimedOut` from there.

    One timer, set anew only when it fires: an item costs two readings of the clock.
    """

    def __init__(self, patience: tuple[TimeoutPolicy, ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None
        self._since: float | None = None
        self._waited = 0.0
        self._over: tuple[TimeoutPolicy, str] | None = None

    def _next(self, since: float) -> tuple[float, TimeoutPolicy, str]:
        """When the first of the times is up, and which."""
        ends = [(since + p.idle, p, "idle") for p in self._patience if p.idle is not None]
        ends += [(since + p.total - self._waited, p, "total") for p in self._patience if p.total is not None]
        return min(ends, key=lambda end: end[0])

    def _arm(self, since: float) -> None:
        self._timer = self._loop.call_at(self._next(since)[0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._since is None or self._task is None:
            return  # nobody waits for the source now; the next wait sets a timer
        when, patience, which = self._next(self._since)
        if self._loop.time() < when - 1e-9:
            self._arm(self._since)
        else:
            self._over = patience, which
            self._task.cancel()

    def __enter__(self) -> None:
        self._since = self._loop.time()
        if self._timer is None:
            self._arm(self._since)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._since is not None:
            self._waited += self._loop.time() - self._since
            self._since = None
        over, self._over = self._over, None
        if over and self._task and self._task.uncancel() == 0 and error is not None:
            raise SourceTimedOut(*over) from error

    def close(self) -> None:
        """Set no timer any more."""
        if self._timer:
            self._timer.cancel()
