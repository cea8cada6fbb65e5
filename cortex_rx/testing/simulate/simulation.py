"""The simulation: what a seed determines, how a scenario runs, and the check that nothing is left at its end."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias, cast

from cortex_rx.engine.scheduler import all_tasks
from cortex_rx.metering.prices import Prices
from cortex_rx.testing._where import where
from cortex_rx.testing.faults.plans import FAULT_KINDS, Fault, FaultKind, Plan
from cortex_rx.testing.faults.processes import Process
from cortex_rx.testing.leaks import left_in_process, left_on_loop
from cortex_rx.testing.simulate.threads import ThreadedLoop
from cortex_rx.testing.virtual import VirtualLoop

__all__ = ["Scenario", "Simulated", "Simulation", "SimulationFailed", "run_seed", "run_seeds"]

FOREVER = 100_000.0  # virtual seconds after which a scenario counts as endless
TURNS = 100_000  # turns of the loop at one instant after which it counts as spinning
BUSY = (0, 0, 0, 1, 2, 4)  # turns for which a thread is busy; calls that wait meanwhile share its transaction
STEPS = (-3600.0, -20.0, -5.0, -0.001, 0.001, 5.0, 20.0, 3600.0)  # seconds by which a clock is set
SHOWN = 40  # the most notes that an error shows


class SimulationFailed(AssertionError):
    """A scenario does not hold under a seed. `again` runs it once more; the cause is the error."""

    def __init__(self, seed: int, error: BaseException, notes: Sequence[str], again: str) -> None:
        shown = list(notes[-SHOWN:])
        lines = [f"seed {seed}: {type(error).__name__}: {error}", *shown, f"again: {again}"]
        super().__init__("\n".join(lines))
        self.seed: int = seed
        self.again: str = again


class Simulation:
    """The environment of a scenario: randomness, processes, a folder, and notes.

    All randomness must come from `random`, so that a seed repeats the same run. `folder` is empty, and is deleted
    afterwards. `new_id` counts, and `wall` is the clock of virtual time: give them to the backend. `clock` is one that
    somebody sets.

    >>> async def scenario(sim: Simulation) -> None:
    ...     backend = SqliteBackend(sim.folder / "memory.db", clock=sim.wall, new_id=sim.new_id)
    ...     async with sim.process("1 delay 2") as process:
    ...         store = Faulty(backend, process)
    ...         question = {"streamId": "st", "memorySpaceId": "s", "conversationId": "c", "userMessage": "Why?",
    ...                     "userId": "ada", "importance": 50, "tags": []}
    ...         await process.run(store.mutation("streams:begin", question))
    ...     sim.note("begun")
    >>> from cortex_rx import SqliteBackend
    >>> from cortex_rx.testing import Faulty
    >>> print(*run_seed(scenario, 1).notes)
         2.000 s  begun
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed: int = seed
        self.random: random.Random = random.Random(seed)
        self.folder: Path = folder
        self.notes: list[str] = []
        self.processes: list[Process] = []
        self.counts: Counter[str] = Counter()
        self._ids = count(1)
        self._clocks: dict[str, Callable[[], float]] = {}

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random.random() < probability

    def plan(self, effects: int, most: int = 2, kinds: Sequence[FaultKind] = FAULT_KINDS) -> Plan:
        """A random plan of at most `most` faults, for a process with about `effects` effects."""
        chosen = self.random.sample(range(1, effects + 1), min(self.random.randint(0, most), effects))
        return Plan(tuple(Fault(at, self.random.choice(kinds)) for at in chosen))

    def process(self, plan: Plan | str = "") -> Process:
        """A new process, which is buried at the end."""
        process = Process(plan, f"process {len(self.processes) + 1}")
        self.processes.append(process)
        return process

    def note(self, what: str) -> None:
        """Note what happened, with its time. The error of a failing seed shows the notes."""
        self.notes.append(f"{asyncio.get_running_loop().time():10.3f} s  {what}")

    def count(self, what: str, number: int = 1) -> None:
        """Count an event. `run_seeds` adds the counts up, to show what a scenario covers."""
        if number:
            self.counts[what] += number

    def new_id(self) -> str:
        """The next number, as an id."""
        return f"{next(self._ids):05}"

    def wall(self) -> float:
        """Seconds since the epoch, in virtual time."""
        return cast("VirtualLoop", asyncio.get_running_loop()).wall()

    def clock(self, name: str, most: int = 3) -> Callable[[], float]:
        """A wall clock, like `wall`, that somebody sets at most `most` times in the first two minutes: forward or back,
        by a millisecond to an hour.

        It follows from the seed and its name; `random` is left as it was. The same name gives the same clock.
        """
        if name not in self._clocks:
            draw = random.Random(f"clock {self.seed} {name}")
            steps = [(draw.uniform(0, 120), draw.choice(STEPS)) for _ in range(draw.randint(0, most))]
            self.count("clocks set back", sum(by < 0 for _, by in steps))
            self.count("clocks set forward", sum(by > 0 for _, by in steps))

            def read() -> float:
                now = asyncio.get_running_loop().time()
                return self.wall() + sum(by for at, by in steps if at <= now)

            self._clocks[name] = read
        return self._clocks[name]


Scenario: TypeAlias = Callable[[Simulation], Awaitable[None]]
"""Builds the system under test, runs it, and raises when something does not hold.

An object may have a `command`, a string or None: the command line that runs it, without the seed. A function needs
none.
"""


class _Shuffled(ThreadedLoop):
    """A virtual loop that runs ready tasks in an order drawn from a seed, and whose threads are sometimes busy.

    Plain callbacks keep their places, since asyncio guarantees their order. Only tasks are exchanged with each other.
    """

    def __init__(self, seed: int) -> None:
        threads = random.Random(f"threads {seed}")
        super().__init__(lambda: threads.choice(BUSY))
        self._random = random.Random(f"order {seed}")
        self._turns = 0  # since time passed
        self.problems: list[str] = []
        self.set_exception_handler(self._note)

    def jump(self) -> None:
        super().jump()
        self._turns = 0

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.problems.append(f"{context.get('message')} {context.get('exception')!r}")

    def _run_once(self) -> None:
        self._turns += 1
        if self._turns > TURNS:
            self._turns = 0
            raise RuntimeError(f"it spins: the loop has turned {TURNS:,} times, and no time passed")
        inner: Any = super()
        ready: Any = cast("Any", self)._ready
        if len(ready) > 1:
            tasks = [at for at, handle in enumerate(ready) if _is_task(handle)]
            order = tasks[:]
            self._random.shuffle(order)
            for at, handle in zip(tasks, [ready[at] for at in order], strict=True):
                ready[at] = handle
        inner._run_once()


def _is_task(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(getattr(handle, "_callback", None), "__self__", None), asyncio.Task)


def run_seed(scenario: Scenario, seed: int) -> Simulation:
    """Run a scenario under one seed, in virtual time, and return the simulation with its notes.

    Raises `SimulationFailed` if it raises, never ends, or leaves a task, a timer, a thread or an open file.
    """
    _load_once()
    parent = next(filter(os.path.isdir, ["/dev/shm"]), None)  # in memory, if the system has such a folder
    with tempfile.TemporaryDirectory(dir=parent, prefix="cortex-simulate-") as made:
        sim = Simulation(seed, Path(made))
        loop = _Shuffled(seed)
        threads, files = set(threading.enumerate()), _files()
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(_play(scenario, sim, loop))
            if new := [thread.name for thread in set(threading.enumerate()) - threads]:
                raise AssertionError(f"left behind: threads {new}")
            if new := sorted(_files() - files):
                raise AssertionError(f"left behind: open files {new}")
        except Exception as error:
            raise SimulationFailed(seed, error, sim.notes, _again(scenario, seed)) from error
        return sim


def _load_once() -> None:
    """Load what the first stream of a process would load on a thread: else a seed would run another way there."""
    prices = Prices("auto")
    if not prices.ready:
        prices.load()


async def _play(scenario: Scenario, sim: Simulation, loop: _Shuffled) -> None:
    try:
        task = asyncio.ensure_future(scenario(sim))
        if not (await asyncio.wait({task}, timeout=FOREVER))[0]:
            waiting = sorted(f"{each.get_name()}: {where(each)}" for each in all_tasks(loop))
            task.cancel()
            await asyncio.wait({task})
            raise AssertionError(f"it did not end within {FOREVER:,.0f} s; waiting: {'; '.join(waiting)}")
        task.result()
        await _turns()
        problems = list(loop.problems)
        for process in sim.processes:
            if not process.crashed and (left := process.left()):
                raise AssertionError(f"left behind by {process.name}: {left}")
    finally:
        for process in sim.processes:
            await process.bury()
    await _turns()
    if problems:
        raise AssertionError(f"asyncio reports: {problems}")
    if left := [thing.words for thing in left_on_loop(loop)]:
        raise AssertionError(f"left behind: {left}")


async def _turns() -> None:
    for _ in range(6):  # enough for what is ending now
        await asyncio.sleep(0)


def _files() -> set[str]:
    return {thing.words for thing in left_in_process() if not thing.words.startswith("thread")}


def _again(scenario: Scenario, seed: int) -> str:
    """The line that runs one seed of a scenario: a shell command, if one can find the scenario."""
    command: str | None = getattr(scenario, "command", None)
    if command is not None:
        return f"{command} --seed {seed}"
    module = getattr(scenario, "__module__", "")
    name = getattr(scenario, "__name__", "")
    try:
        found = getattr(importlib.import_module(module), name) is scenario and module != "__main__"
    except Exception:
        found = False
    if found:
        return f"python -m cortex_rx.testing.simulate --scenario {module}:{name} --seed {seed}"
    return f"run_seed({name or f'{type(scenario).__name__}(...)'}, {seed})"


@dataclass
class Simulated:
    """The counts of `run_seeds`: seeds, processes, effects and crashes; the faults, what they hit, and the scenario's
    own counts."""

    seeds: int = 0
    processes: int = 0
    effects: int = 0
    crashed: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    hit: Counter[str] = field(default_factory=Counter[str])
    happened: Counter[str] = field(default_factory=Counter[str])

    def add(self, sim: Simulation) -> None:
        """Count one more."""
        self.seeds += 1
        self.processes += len(sim.processes)
        self.happened.update(sim.counts)
        for process in sim.processes:
            self.effects += len(process.effects)
            self.crashed += any(fault.kind.startswith("crash") for fault in process.fired)
            for fault in process.fired:
                self.faults[fault.kind] += 1
                self.hit[process.effects[fault.at - 1]] += 1

    def __str__(self) -> str:
        lines = [f"{self.seeds} seeds, {self.processes} processes, {self.effects} effects, {self.crashed} crashes"]
        for name, counts in (("faults", self.faults), ("hit", self.hit), ("happened", self.happened)):
            lines.append(
                f"{name}: {', '.join(f'{what} {number}' for what, number in sorted(counts.items())) or 'none'}"
            )
        return "\n".join(lines)


def run_seeds(scenario: Scenario, seeds: Iterable[int]) -> Simulated:
    """Run a scenario under each seed, and return the counts. Raises `SimulationFailed` at the first that fails."""
    counted = Simulated()
    for seed in seeds:
        counted.add(run_seed(scenario, seed))
    return counted
