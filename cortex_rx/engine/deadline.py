"""How long a source may be waited for, and how long its closing may take.

A `TimeoutPolicy` travels with the flow from the operator that sets it to the source, where a `TimeoutGuard` counts.
Only the time that is spent waiting for the source counts, not a slow reader, a full gate or the work of operators.
`within` bounds what must end, such as a closing, also if it ignores its cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


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
        when, policy, which = self._next(since)
        if when <= since:  # of a source that never waits: its time was over while no timer could say so
            self._since = None
            raise SourceTimedOut(policy, which)
        self._timer = self._loop.call_at(when, self._fire)

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


class within(Generic[T]):  # lower case, since it reads like a function
    """`await within(work, limit, grace)`: the result of `work`, which is cancelled after `limit` seconds.

    Then, or when it still runs `grace` seconds later and is given up, it raises `TimeoutError`. `asyncio.timeout` would
    wait for ever for work that ignores its cancellation. The work runs in the task that awaits it, not in one of its
    own: what it closes may belong to that task, as a cancel scope does.

    >>> async def stubborn():
    ...     while True:
    ...         try:
    ...             await asyncio.sleep(3600)
    ...         except asyncio.CancelledError:
    ...             print("not yet")
    >>> async def main():
    ...     await within(stubborn(), 0.01, 0.01)
    >>> asyncio.run(main())
    Traceback (most recent call last):
    ...
    TimeoutError: not done within 0.01 s, and given up
    """

    def __init__(self, work: Coroutine[Any, Any, T], limit: float, grace: float) -> None:
        self._work, self._limit, self._grace = work, limit, grace

    def __await__(self) -> Generator[Any, None, T]:
        work, loop = self._work, asyncio.get_running_loop()
        end, late = loop.time() + self._limit, False
        thrown: BaseException | None = None
        while True:  # as a task does it, with a future of its own between the task and what the work waits for
            try:
                wanted: asyncio.Future[Any] | None = work.throw(thrown) if thrown else work.send(None)
            except StopIteration as done:
                if late:
                    break
                return done.value  # type: ignore[no-any-return]
            except asyncio.CancelledError:
                if late:
                    break
                raise
            thrown = None
            while True:
                try:
                    yield from _done_or_late(wanted, end)
                except asyncio.CancelledError as error:
                    if wanted is None or not wanted.cancel(*error.args):
                        thrown = error
                        break
                    continue
                except BaseException as error:
                    thrown = error
                    break
                if (wanted is not None and wanted.done()) or loop.time() < end:
                    break
                if late:
                    with suppress(RuntimeError):  # it ignores this, too
                        work.close()
                    raise TimeoutError(f"not done within {self._limit:g} s, and given up")
                end, late = loop.time() + self._grace, True
                if wanted is None or not wanted.cancel():
                    thrown = asyncio.CancelledError()
                    break
        raise TimeoutError(f"not done within {self._limit:g} s")


def _done_or_late(wanted: asyncio.Future[Any] | None, end: float) -> Generator[Any, None, None]:
    """Wait for what a coroutine has yielded (None: for the next turn of the loop), or until `end`."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    timer = loop.call_at(end, wake)
    if wanted is None:
        loop.call_soon(wake)
    else:
        wanted._asyncio_future_blocking = False  # as a task does when it has taken it
        wanted.add_done_callback(wake)
    try:
        yield from woken
    finally:
        timer.cancel()
        if wanted is not None:
            wanted.remove_done_callback(wake)
