"""A seeded simulator: one number determines everything that otherwise depends on time, chance and failures.

A scenario is an async function of a `Simulation`. It builds the system under test, runs it in processes that crash,
stall and fail by a plan drawn from the seed, and raises (`assert`) when something does not hold. `run_seeds` runs it in
virtual time:

    >>> from cortex_rx.testing.simulate import Simulation, run_seeds
    >>> async def scenario(sim: Simulation) -> None:
    ...     process = sim.process(sim.plan(effects=4))
    ...     ...
    >>> run_seeds(scenario, range(3)).seeds
    3

When a seed fails, the last line of the error runs it again:

    >>> async def broken(sim: Simulation) -> None:
    ...     sim.note("drawing")
    ...     assert sim.random.random() < 0.9, "too high"
    >>> run_seeds(broken, range(100))
    Traceback (most recent call last):
    ...
    cortex_rx.testing.simulate.simulation.SimulationFailed: seed 2: AssertionError: too high
         0.000 s  drawing
    again: run_seed(broken, 2)

From the command line, a scenario that can be imported, or a class that makes one without arguments:

    python -m cortex_rx.testing.simulate --scenario my_tests.stories:scenario --seed 123
    python -m cortex_rx.testing.simulate --scenario my_tests.stories:scenario --seeds 0:1000
"""

from cortex_rx.testing.simulate.simulation import Scenario, Simulated, Simulation, SimulationFailed, run_seed, run_seeds

__all__ = [
    "Scenario",
    "Simulated",
    "Simulation",
    "SimulationFailed",
    "run_seed",
    "run_seeds",
]
