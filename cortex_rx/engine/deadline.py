"""How long a source may be waited for.

A `TimeoutPolicy` travels with the flow from the operator that sets it to the source, where a `TimeoutGuard` counts.
Only the time that is spent waiting for the source counts, not a slow reader, a full gate or the work of operators.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True, slots=True)
class TimeoutPolicy:
    """At most `idle` seconds for one item (or for opening the source), and `total` seconds for all items."""

    idle: float | None
    total: float | None
    clean: bool
    """Whether the stream completes when the time is over, rather than fails."""


class SourceTimedOut(TimeoutError):
    """A source was waited for too long; `which` is the limit that was reached: "idle" or "total"."""

    def __init__(self, policy: TimeoutPolicy, which: str) -> None:
        super().__init__(which)
        self.policy: TimeoutPolicy = policy
        self.which: str = which


class TimeoutGuard:
    """Stands around everything that waits for the source: `with guard: await ...` raises `SourceTimedOut`.

    It has one timer, which is set again only when it fires. So an item costs two readings of the clock.
    """

    def __init__(self, policies: tuple[TimeoutPolicy, ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._policies = policies
        self._timer: asyncio.TimerHandle | None = None
        self._since: float | None = None
        self._waited = 0.0
        self._over: tuple[TimeoutPolicy, str, int] | None = None

    def _next(self, since: float) -> tuple[float, TimeoutPolicy, str]:
        """When the first limit is reached, and which one."""
        ends = [(since + p.idle, p, "idle") for p in self._policies if p.idle is not None]
        ends += [(since + p.total - self._waited, p, "total") for p in self._policies if p.total is not None]
        return min(ends, key=lambda end: end[0])

    def _arm(self, since: float) -> None:
        self._timer = self._loop.call_at(self._next(since)[0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._since is None or self._task is None:
            return  # the source is not waited for now; the next wait sets a timer
        when, policy, which = self._next(self._since)
        if self._loop.time() < when - 1e-9:
            self._arm(self._since)
        else:
            self._over = policy, which, self._task.cancelling()
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
        if self._over and self._task:
            (policy, which, before), self._over = self._over, None
            if self._task.uncancel() <= before and error is not None:  # else it was cancelled since, by somebody else
                raise SourceTimedOut(policy, which) from error

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer:
            self._timer.cancel()
