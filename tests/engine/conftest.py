"""Shared by the hard tests of the engine: a source and a store that count, and a loop that can be stepped.

Test files cannot import each other here, so all of it comes as the fixture `kit`.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from helpers.step_loop import StepLoop

from cortex_rx.engine import Inbox, beside
from cortex_rx.engine.scheduler import Transform
from cortex_rx.testing._heap import set_aside

T = TypeVar("T")


class Closing:
    """What became of the generators that used it: opened, closed, and how often a second cancellation broke into a
    closing.

    The one cancellation that a task is entitled to may come while its generator ends by itself; that is no fault of
    anybody.
    """

    def __init__(self) -> None:
        self.opened = self.closed = self.broken = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[None, None]:
        self.opened += 1
        ended_by_itself = False
        try:
            yield
            ended_by_itself = True
        except Exception:
            ended_by_itself = True
            raise
        finally:
            try:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                self.broken += not ended_by_itself
                raise
            finally:
                self.closed += 1

    def check(self, most: int = 1) -> None:
        assert self.opened == self.closed <= most and self.broken == 0, vars(self)


class Source:
    """Numbers.  Opening, reading and closing await."""

    def __init__(self, n: int, pause: float = 0.0) -> None:
        self.n, self.pause, self.read = n, pause, 0
        self.closing = Closing()

    async def __call__(self, point: object = None) -> AsyncGenerator[int, None]:
        async with self.closing():
            for i in range(self.n):
                await asyncio.sleep(self.pause)
                self.read = i + 1
                yield i


class Store:
    """A store whose every write, and whose commit, awaits `steps` times; a write that is broken into is noted.

    `rows` is what was written, `commits` what the store held at each commit.
    """

    def __init__(self, steps: int = 3, delay: float = 0.0) -> None:
        self.steps, self.delay = steps, delay
        self.rows: list[Any] = []
        self.commits: list[list[Any]] = []
        self.ends: list[object] = []
        self.broken: list[object] = []

    async def _work(self, what: object) -> None:
        try:
            for _ in range(self.steps):
                await asyncio.sleep(self.delay)
        except BaseException:
            self.broken.append(what)
            raise

    async def write(self, batch: list[Any]) -> None:
        await self._work(batch)
        self.rows.extend(batch)

    async def commit(self, end: object) -> None:
        await self._work(end)
        self.commits.append(list(self.rows))
        self.ends.append(end)

    def persist(self, interval: float = 0.0, capacity: float = float("inf")) -> Transform[Any, Any]:
        """An operator that writes what passes, and commits once after the end, however it ended."""

        async def worker(inbox: Inbox[Any]) -> AsyncGenerator[Any, None]:
            async for batch in inbox:
                await self.write(batch)
            await self.commit(inbox.end)
            return
            yield

        return beside(worker, interval, capacity=capacity)


def nothing_left() -> None:
    """No task, timer, async generator or socket of the running loop is left, but the task that asks."""
    loop: Any = asyncio.get_running_loop()
    me = asyncio.current_task()
    tasks = asyncio.all_tasks() - {me}
    assert not tasks, f"tasks left: {tasks}"
    timers = [timer for timer in loop._scheduled if not timer.cancelled()]
    assert not timers, f"timers left: {timers}"
    generators = [each for each in loop._asyncgens if each.ag_frame is not None]
    assert not generators, f"async generators left: {generators}"
    sockets = [key for key in loop._selector.get_map().values() if key.fd != loop._ssock.fileno()]
    assert not sockets, f"sockets left: {sockets}"


@contextmanager
def quiet() -> Iterator[Callable[[asyncio.AbstractEventLoop], None]]:
    """Loops that are given to what this yields must report nothing: no task destroyed, no exception never retrieved."""
    problems: list[dict[str, Any]] = []
    threads = set(threading.enumerate())

    def watch(loop: asyncio.AbstractEventLoop) -> None:
        loop.set_exception_handler(lambda _, context: problems.append(context))

    with set_aside():  # collect below what came to be in between, and nothing that others left
        yield watch
        gc.collect()
    assert problems == []
    assert set(threading.enumerate()) <= threads


def drive(
    main: Callable[[StepLoop], Coroutine[Any, Any, T]],
    watch: Callable[[asyncio.AbstractEventLoop], None],
    turn: float = 0.0,
) -> T:
    """Run `main` on a fresh `StepLoop`, and see that it leaves nothing behind."""
    loop = StepLoop(turn)
    watch(loop)

    async def checked() -> T:
        result = await main(loop)
        loop.on_step = None
        nothing_left()
        return result

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(checked())


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait in real time until a condition of another thread or process holds."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.002)


KIT = SimpleNamespace(
    Closing=Closing,
    Source=Source,
    Store=Store,
    StepLoop=StepLoop,
    nothing_left=nothing_left,
    quiet=quiet,
    drive=drive,
    until=until,
)


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    return KIT


@pytest.fixture
def watch() -> Iterator[Callable[[asyncio.AbstractEventLoop], None]]:
    """As `kit.quiet`, once around a whole test: for tests of many examples."""
    with quiet() as watch_loop:
        yield watch_loop
