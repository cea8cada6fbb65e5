"""Threads in virtual time that are sometimes busy, so that jobs wait for them as for a real thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

from cortex_rx.testing._gate import Pause, running_in
from cortex_rx.testing.virtual import VirtualLoop

__all__ = ["ThreadedLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Jobs: TypeAlias = "deque[tuple[asyncio.Future[Any], Callable[[], Any]]]"


class ThreadedLoop(VirtualLoop):
    """A virtual loop on which a job in an executor runs some turns after its submission; no time passes meanwhile.

    `turns` returns the number of turns for each job. The jobs of one process run one after the other, in the order of
    their submission. After a crash, no job of the process runs; during a stall, its jobs wait.

    >>> import asyncio
    >>> async def main() -> None:
    ...     loop = asyncio.get_running_loop()
    ...     job = loop.run_in_executor(None, print, "the job")
    ...     await asyncio.sleep(0)
    ...     print("meanwhile")
    ...     await job
    >>> with asyncio.Runner(loop_factory=lambda: ThreadedLoop(lambda: 3)) as runner:
    ...     runner.run(main())
    meanwhile
    the job
    """

    def __init__(self, turns: Callable[[], int]) -> None:
        super().__init__()
        self._turns_of_a_job = turns
        self._without_process = Pause()
        self._jobs: WeakKeyDictionary[Pause, Jobs] = WeakKeyDictionary()

    def run_in_executor(self, executor: object, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call `func` some turns later; its result, or what it raised, arrives on the turn after that."""
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        process = running_in.get() or self._without_process
        future: asyncio.Future[T] = self.create_future()
        jobs = self._jobs.setdefault(process, deque())
        jobs.append((future, lambda: func(*args)))
        if len(jobs) == 1:
            self._work(process, jobs, self._turns_of_a_job())
        return future

    def _work(self, process: Pause, jobs: Jobs, turns: int) -> None:
        """The threads of one process."""
        if process.dead:
            return
        if turns:
            self.call_soon(self._work, process, jobs, turns - 1)
            return
        future, job = jobs[0]
        try:
            if not future.cancelled():
                self._do(future, job)
        finally:
            jobs.popleft()
            if jobs:
                self.call_soon(self._work, process, jobs, self._turns_of_a_job())
