"""The wall clocks of a story: steady ones, or some that somebody sets forward and back."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from cortex_rx.testing.simulate import Simulation

__all__ = ["are_set", "clock_of", "time_left"]


def _kind(sim: Simulation) -> str:
    return Random(f"clocks {sim.seed}").choice(["steady", "steady", "machine", "each"])


def are_set(sim: Simulation) -> bool:
    """Whether somebody sets the clocks, in half of the seeds: an answer may then lose its stream without a fault."""
    return _kind(sim) != "steady"


def clock_of(sim: Simulation) -> Callable[[], float]:
    """The clock of a connection that is opened now: one for all, or another one for each process."""
    kind = _kind(sim)
    if kind == "steady":
        return sim.wall
    return sim.clock(kind if kind == "machine" else f"process {len(sim.processes)}")


def time_left(sim: Simulation, until: float, lease: float) -> float:
    """Seconds until a lease has ended, as a client believes; one whose clock tells nothing waits for a whole lease."""
    left = until / 1000 - sim.wall()
    return (left if 0 <= left <= lease else lease) + 0.001
