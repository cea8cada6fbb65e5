"""The seeds of the simulation: one case is one seed of a scenario; those that once failed are in
`tests/proofs/seeds.txt`.
"""

from __future__ import annotations

from pathlib import Path

from proofs.stories import Learning, Remembering, Writing

from cortex_rx.testing.simulate import Simulation, SimulationFailed, run_seed

SCENARIOS = {"Remembering": Remembering, "Learning": Learning, "Writing": Writing}
CORPUS = Path(__file__).parents[1] / "seeds.txt"


def case(scenario: str, seed: int) -> Simulation:
    """Run one seed; `SimulationFailed`, whose message ends in the line that runs it again, if something does not
    hold.
    """
    return run_seed(SCENARIOS[scenario](), seed)


def corpus(path: Path = CORPUS) -> list[tuple[str, int]]:
    """The seeds that are always run: scenario and seed."""
    lines = (line.partition("#")[0].split() for line in path.read_text().splitlines())
    return [(scenario, int(seed)) for scenario, seed in filter(None, lines)]


def keep(scenario: str, failed: SimulationFailed, path: Path = CORPUS) -> None:
    """Add a seed that failed to the corpus, unless it is there."""
    if (scenario, failed.seed) in corpus(path):
        return
    what = str(failed).splitlines()[0].partition(": ")[2]
    with path.open("a") as file:
        file.write(f"{scenario} {failed.seed}  # {what[:100]}\n")
