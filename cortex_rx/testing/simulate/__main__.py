"""The command line: `python -m cortex_rx.testing.simulate --scenario my_tests.stories:scenario --seed 123`."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import time
from typing import Any

from cortex_rx.testing.simulate.simulation import Scenario, SimulationFailed, run_seed, run_seeds


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m cortex_rx.testing.simulate", description="Run a scenario under seeds.")
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--seed", type=int, help="one seed; shows what happened")
    chosen.add_argument("--seeds", type=_range, metavar="FIRST:END", help="a range of seeds; shows counts")
    parser.add_argument("--scenario", type=_scenario, metavar="MODULE:NAME", required=True, help="what is run")
    given = parser.parse_args(arguments)
    log = logging.getLogger("cortex_rx")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it logs the failures that are made here on purpose
    started = time.perf_counter()
    try:
        if given.seed is None:
            said = str(run_seeds(given.scenario, given.seeds))
        else:
            said = "\n".join(run_seed(given.scenario, given.seed).notes)
    except SimulationFailed as failed:
        sys.stdout.write(f"{failed}\n")
        return 1
    finally:
        log.setLevel(level)
    sys.stdout.write(f"{said}\nholds ({time.perf_counter() - started:.1f} s)\n")
    return 0


def _range(text: str) -> range:
    first, _, end = text.partition(":")
    return range(int(first), int(end))


def _scenario(text: str) -> Scenario:
    module, _, name = text.partition(":")
    if not (module and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not MODULE:NAME, such as my_tests.stories:scenario")
    try:
        found: Any = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and needs one that is not
        raise argparse.ArgumentTypeError(f"{text!r}: there is no module {error.name!r}") from None
    scenario: Scenario = found() if isinstance(found, type) else found
    if not callable(scenario):
        raise argparse.ArgumentTypeError(f"{text!r}: {module} has no scenario {name!r}, but {scenario!r}")
    return scenario


if __name__ == "__main__":
    sys.exit(main())
