"""The tasks and callbacks of one simulated process, and the gate that lets them run or not.

Tasks and callbacks inherit the context in which they were made, so a context variable holds their process. A virtual
loop asks the gate before it runs any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")

__all__ = ["Pause", "gate_of", "running_in"]

running_in: ContextVar[Pause | None] = ContextVar("running_in", default=None)
"""The gate of the process in which the code runs; None outside any process."""


class Pause:
    """While this gate is shut, nothing of its process runs: calls that are due are parked, in order."""

    def __init__(self) -> None:
        self.shut = False
        self.dead = False
        """It crashed: what its threads had not begun is never done."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self._parked: list[tuple[Gated, tuple[Any, ...]]] = []

    def gated(self, callback: Callable[..., object], context: Context, timer: bool) -> Gated:
        """The callback, which runs only while this gate is open."""
        task = getattr(callback, "__self__", None)
        if isinstance(task, asyncio.Task):
            self.tasks.add(task)  # held here: nothing else holds a task that waits forever
        return Gated(self, callback, context, timer)

    def park(self, gated: Gated, args: tuple[Any, ...]) -> None:
        """Keep a call until the gate is open again."""
        self._parked.append((gated, args))

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the process continue, beginning with the calls that were due meanwhile."""
        self.shut = False
        parked, self._parked = self._parked, []
        for gated, args in parked:
            loop.call_soon(gated.callback, *args, context=gated.context)

    def drop_timers(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel the timers of the process, also those that are due and parked."""
        self._parked = [(gated, args) for gated, args in self._parked if not gated.timer]
        for timer in self.timers(loop):
            timer.cancel()

    def timers(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
        """The timers of the process that are still set."""
        scheduled: list[asyncio.TimerHandle] = list(getattr(loop, "_scheduled", ()))
        return [timer for timer in scheduled if getattr(getattr(timer, "_callback", None), "gate", None) is self]


class Gated:
    """A callback of a process. To introspection it looks like the callback itself."""

    def __init__(self, gate: Pause, callback: Callable[..., object], context: Context, timer: bool) -> None:
        self.gate = gate
        self.timer = timer
        self.callback = callback
        self.context = context
        self.__self__: object = getattr(callback, "__self__", None)
        self.__qualname__: str = getattr(callback, "__qualname__", type(callback).__qualname__)

    def __call__(self, *args: Any) -> object:
        if self.gate.shut:
            self.gate.park(self, args)
            return None
        return self.callback(*args)


def gate_of(
    callback: Callable[[*Ts], object], context: Context | None, *, timer: bool = False
) -> tuple[Callable[[*Ts], object], Context | None]:
    """The callback, gated if it belongs to a process, and its context."""
    gate = running_in.get() if context is None else context.get(running_in)
    if gate is None:
        return callback, context
    context = copy_context() if context is None else context
    gated: Any = gate.gated(callback, context, timer)
    return gated, context
