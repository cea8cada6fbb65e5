"""Ten thousand seeds of each scenario of `tests/proofs/stories` (of `Learning` two thousand), and first those that once
failed.

A seed that fails names the line that runs it again.  With `--torture` it is added to `seeds.txt`, and run first from
then on.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.sharing.threads import sizes_of_transactions
from proofs.simulation.seeds import CORPUS, SCENARIOS, case, corpus, keep

from cortex_rx.testing.simulate import Simulated, SimulationFailed

SHARDS = 8
WHOLE = {"Remembering": 10_000 // SHARDS, "Learning": 2_000 // SHARDS, "Writing": 10_000 // SHARDS}
SLICE = {"Remembering": 26, "Learning": 45, "Writing": 26}
"""Without `--torture`. `Learning` has the most to show."""
QUICK = {"Remembering": 12, "Learning": 16, "Writing": 12}
COUNTED = ("crash", "crash-after", "fail", "fail-after", "stall", "delay")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The log is full of the failures that are made here on purpose."""
    caplog.set_level("CRITICAL", "cortex_rx")


@pytest.mark.parametrize(("scenario", "seed"), corpus())
def test_a_seed_that_failed_once(scenario: str, seed: int) -> None:
    case(scenario, seed)


@pytest.mark.parametrize("shard", slow_but([0], range(SHARDS), "more cases of a proof"))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_seeds(scenario: str, shard: int, proof: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = sizes_of_transactions(monkeypatch)
    whole = WHOLE[scenario]
    seeds = range(shard * whole, shard * whole + proof.size(SLICE[scenario], whole, quick=QUICK[scenario]))
    counted, failures = Simulated(), list[SimulationFailed]()
    for seed in seeds:
        try:
            counted.add(case(scenario, seed))
        except SimulationFailed as failed:
            failures.append(failed)
            if proof.torture:
                keep(scenario, failed)
    if failures:
        failures[0].add_note(f"failed: {len(failures)} of {len(seeds)} seeds: {[each.seed for each in failures]}")
        raise failures[0]
    faults = {f"faults: {kind}": counted.faults[kind] for kind in COUNTED}
    shared = sum(number for size, number in sizes.items() if size > 1)
    figures = {"seeds": counted.seeds, "processes": counted.processes, "effects": counted.effects, "shared": shared}
    proof.count(f"simulation: {scenario}", figures | {"crashes": counted.crashed} | faults | counted.happened)
    assert counted.seeds == len(seeds)
    enough = len(seeds) // 10 if proof.torture else 1
    assert counted.crashed >= 2 * enough and shared >= 2 * enough
    kinds = [kind for kind in COUNTED if scenario != "Writing" or kind != "delay"]
    assert all(counted.faults[kind] >= enough for kind in kinds), counted.faults
    assert min(counted.happened["clocks set back"], counted.happened["clocks set forward"]) >= 2 * enough
    assert min(counted.hit["streams:append"], counted.hit["streams:takeOver"]) >= enough // 2
    happened = counted.happened
    if scenario == "Learning":
        assert happened["facts"] >= 20 * enough and happened["texts not read for facts"] >= 5 * enough
        assert min(happened["windows read later"], happened["windows read in the end"]) >= 5 * enough
        assert happened["facts superseded"] >= enough
    if scenario == "Remembering":
        assert min(happened[f"source {how}"] for how in ("same", "other", "restart", "prefill")) >= 2 * enough
        assert happened["asked with a token"] >= 5 * enough and happened["rivals"] >= enough
        assert happened["outages"] >= enough and happened["durable"] >= enough
        if proof.torture:
            rare = ("clients that came back", "deleted", "finished as incomplete", "intruders", "spooled", "delivered")
            assert all(happened[what] >= len(seeds) // 100 for what in rare), happened
            assert happened["followers saw Rewound"] >= enough and happened["dead"] > 0, happened


def test_a_seed_that_fails_joins_the_corpus(tmp_path: Path) -> None:
    path = tmp_path / "seeds.txt"
    path.write_text("# a comment\n\nWriting 3  # it was lost\n")
    failed = SimulationFailed(7, AssertionError("e0: it is gone"), [], "the line")
    for _ in range(2):
        keep("Remembering", failed, path)
    assert corpus(path) == [("Writing", 3), ("Remembering", 7)]
    assert path.read_text().endswith("Remembering 7  # AssertionError: e0: it is gone\n")


def test_the_corpus_says_what_its_seeds_were() -> None:
    lines = [line for line in CORPUS.read_text().splitlines() if line and not line.startswith("#")]
    assert lines and all(re.fullmatch(r"(Remembering|Learning|Writing) \d+  # .+", line) for line in lines)
