"""Processes in virtual time, which can be killed, or stopped for a while, at a chosen instant.

>>> import asyncio
>>> from cortex_rx.testing import run_virtual
>>> async def work():
...     try:
...         await asyncio.sleep(3600)
...     finally:
...         print("cleanup")
>>> async def main():
...     async with Process() as process:
...         process.start(work())
...         await asyncio.sleep(60)
...         process.crash()
...         await asyncio.sleep(7200)
...         print("no cleanup: a process that is killed does none")
>>> run_virtual(main())
no cleanup: a process that is killed does none
cleanup

At the end, when a dead process is removed (`bury`), its `finally` blocks do run, since Python has no other way to
release a task. Their calls to a wrapped store or source never return.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar

from cortex_rx import validation as check
from cortex_rx.testing._gate import Pause, running_in
from cortex_rx.testing._where import name_of, where
from cortex_rx.testing.faults.plans import Fault, Plan
from cortex_rx.testing.virtual import VirtualLoop

__all__ = ["Crashed", "Process"]

T = TypeVar("T")
_END: Any = object()
_ROUNDS = 20  # rounds of cancellation, after which a dead process must have ended
_ROUND = 10.0  # virtual seconds for each round; longer than a flush may take


class Crashed(Exception):
    """The process in which something ran has ended."""


class Process:
    """Code that can be killed like a process: at one instant, without cleanup. In virtual time only.

    `plan` says which of its effects go wrong. Effects are counted from 1, in the order in which they begin. They are
    the calls of stores wrapped by `Faulty(backend, process)`, and the openings, reads and closings of a `source`.
    `effects` has their names, so a first run without faults shows what can go wrong. `fired` has the faults that have
    happened.

    Use `async with Process(plan) as process`, or call `bury` at the end: a loop cannot end while a dead process is on
    it. Several processes may run on one loop. A restarted process must see only what is stored, so give each process
    its own backend object over the same file.

    After a crash, nothing of the process runs any more: no callback, no task, no `finally`. During a stall, nothing of
    it runs for some seconds; then it continues where it was, as after SIGSTOP and SIGCONT.

    >>> from cortex_rx.testing import run_virtual
    >>> async def main():
    ...     async with Process("2 crash") as process:
    ...         async def work():
    ...             for name in ("one", "two"):
    ...                 await process.effect(name, say)
    ...         async def say():
    ...             print("done")
    ...         try:
    ...             await process.run(work())
    ...         except Crashed as crashed:
    ...             return str(crashed), process.effects
    >>> run_virtual(main())
    done
    ('process crashed at effect 2', ['one', 'two'])
    """

    def __init__(self, plan: Plan | str = "", name: str = "process") -> None:
        self.plan: Plan = Plan.of(plan)
        check.name("name", name)
        self.name: str = name
        self.effects: list[str] = []
        self.fired: list[Fault] = []
        self.crashed: bool = False
        self._gate = Pause()
        self._faults = {fault.at: fault for fault in self.plan.faults}
        self._watching: set[asyncio.Future[None]] = set()
        self._hung: list[asyncio.Future[None]] = []
        self._closing: list[Callable[[], Awaitable[object]]] = []
        self._sources = 0
        self._stalls = 0
        self._buried = False

    def __repr__(self) -> str:
        return f"Process({str(self.plan)!r}, {self.name!r})"

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bury()

    # --- running ------------------------------------------------------------------------------------------------------

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as a task of this process, together with all that it starts."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            work.close()
            raise RuntimeError("a Process needs virtual time: use run_virtual()")
        context = copy_context()
        context.run(running_in.set, self._gate)
        return loop.create_task(work, name=self.name, context=context)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in this process and return its result. Raises `Crashed` if the process ends first."""
        task = self.start(work)
        try:
            if await self._survives(task):
                return task.result()
        finally:
            if not task.done() and not self.crashed:
                task.cancel()
        raise Crashed(f"{self.name} crashed at effect {len(self.effects)}")

    async def _survives(self, task: asyncio.Future[Any]) -> bool:
        if not self.crashed:
            watch: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watching.add(watch)
            try:
                await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._watching.discard(watch)
        return not self.crashed

    def crash(self) -> None:
        """Kill the process now."""
        self.crashed = self._gate.shut = self._gate.dead = True
        for watch in self._watching:
            if not watch.done():
                watch.set_result(None)

    def stall(self, seconds: float) -> None:
        """Stop the process now, for `seconds`. If it is stopped already, the later end counts."""
        self._stand_still(seconds)

    def left(self) -> list[str]:
        """What the process still has on the loop: tasks, timers, and sources that were opened but not closed.

        A process that ended by itself should leave nothing.
        """
        tasks = sorted(f"task {task.get_name()}: {where(task)}" for task in self._gate.tasks if not task.done())
        timers = self._gate.timers(asyncio.get_running_loop())
        named = [f"timer: {name_of(getattr(timer, '_callback', None))}()" for timer in timers if not timer.cancelled()]
        return tasks + named + ["a source that was not closed"] * self._sources

    async def bury(self) -> None:
        """Remove what is left of the process, crashed or not: cancel its tasks, and close its stores.

        Afterwards nothing of it is left on the loop. Raises `RuntimeError` if a task does not end. The calls of its
        cleanup never reach its stores and sources, and never return.
        """
        loop = asyncio.get_running_loop()
        self.crash()
        self._gate.drop_timers(loop)
        self._gate.open(loop)
        for _ in range(_ROUNDS):
            left = {task for task in self._gate.tasks if not task.done()}
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=_ROUND)
        else:
            raise RuntimeError(f"{self.name}: a task does not end, however often it is cancelled")
        for task in self._gate.tasks:
            if not task.cancelled():
                task.exception()  # retrieved, so that asyncio does not warn
        self._gate.tasks.clear()
        self._buried = True
        self._gate.drop_timers(loop)
        while self._closing:  # sources before the stores, which were opened first
            with contextlib.suppress(Exception):  # errors of dead code when it is closed
                await self._closing.pop()()

    # --- effects ------------------------------------------------------------------------------------------------------

    async def effect(
        self, name: str, act: Callable[[], Awaitable[T]], error: Callable[[str], Exception] = ConnectionError
    ) -> T:
        """Perform an effect outside the process: call `act`, unless the plan says otherwise. `error` makes the
        exception of a fault."""
        if self.crashed:
            await self._hang()
        self.effects.append(name)
        fault = self._faults.get(len(self.effects))
        if fault is None:
            return await act()
        self.fired.append(fault)
        if fault.kind in ("crash", "crash-after", "stall") and running_in.get() is not self._gate:
            raise RuntimeError(f"a {fault.kind} outside of its process: use process.run()")
        match fault.kind:
            case "fail":
                raise error(f"fault: {fault} of {name}")
            case "crash":
                self.crash()
                await self._hang()
            case "stall":
                await self._stall(fault.seconds)
            case "delay":
                await asyncio.sleep(fault.seconds)
            case _:
                pass
        result = await act()
        if fault.kind == "fail-after":
            raise error(f"fault: {fault} of {name}")
        if fault.kind == "crash-after":
            self.crash()
            await self._hang()
        return result

    def source(self, open: Callable[..., Any]) -> Callable[..., AsyncGenerator[Any, None]]:
        """A source whose opening, reads and closing are effects of this process.

        `open` is a function that returns an async iterable, or a coroutine of one. The iterable is closed if it can be.
        """

        async def opening(*args: Any, **kwargs: Any) -> Any:
            stream = open(*args, **kwargs)
            return aiter(stream if hasattr(stream, "__aiter__") else await stream)

        @functools.wraps(open)
        async def opened(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            items = await self.effect("source open", lambda: opening(*args, **kwargs))
            close: Callable[[], Awaitable[None]] = getattr(items, "aclose", _nothing)
            self.closes(close)  # of a dead process, for Python's sake
            self._sources += 1
            try:
                while (item := await self.effect("source read", lambda: anext(items, _END))) is not _END:
                    yield item
            finally:
                self._sources -= 1
                await self.effect("source close", close)

        return opened

    def closes(self, close: Callable[[], Awaitable[object]]) -> None:
        """Register a function to call when the process is buried."""
        self._closing.append(close)

    async def _hang(self) -> None:
        if self._buried:
            raise asyncio.CancelledError  # a generator that somebody held, which is closed with the loop
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hung.append(future)  # or nobody would hold it, nor the task that waits for it
        await future

    async def _stall(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stand_still(seconds, over)
        await over

    def _stand_still(self, seconds: float, over: asyncio.Future[None] | None = None) -> None:
        loop = asyncio.get_running_loop()

        def go_on() -> None:
            self._stalls -= 1
            if not self.crashed:
                if not self._stalls:
                    self._gate.open(loop)
                if over and not over.done():
                    over.set_result(None)

        self._gate.shut = True
        self._stalls += 1
        loop.call_later(seconds, go_on, context=Context())  # which belongs to no process, or it would be parked too


async def _nothing() -> None:
    """The closing of what has nothing to close."""
