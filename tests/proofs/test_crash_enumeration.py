"""Every effect of a stream goes wrong in every way; then others continue, and the store holds one complete exchange.

The reference streams (`tests/proofs/crashes/cases.py`) are `remember_stream` on a SQLite file, each with another source
or chain:  their effects are the writes to the store, the uses of the spool, and the opening, reads and closing of the
source.  After each failure another process goes on, with the token if there was one, else under the idempotency key.  A
source that is opened again gives another text, unless it is replayed: so a mixture would show.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.crashes.cases import KINDS, crashes
from proofs.crashes.references import REFERENCES

from cortex_rx.testing import each_fault, pairs_of_faults

QUICK = ["replayed", "spooled", "facts"]
PAIRS = 200  # of each of ten reference streams

OWN: dict[str, tuple[str, int, str]] = {
    "rolled back": ("streams:rollback", 1, "rolled back"),
    "stopped": ("streams:stop", 1, "AnswerStopped"),
    "reopened": ("source open", 2, "finished"),
    "spooled": ("spool", 1, "NotStored"),
    "facts": ("extract", 4, "finished"),
    "facts, restarted": ("facts:commit", 2, "finished"),
    "facts, rolled back": ("streams:rollback", 1, "rolled back"),
    "facts in a spool": ("spool", 1, "NotStored"),
}
"""What a reference stream is for: an effect, how often an undisturbed run has it, and how its first process ends."""


@pytest.mark.parametrize("name", slow_but(QUICK, REFERENCES, "more cases of a proof"))
def test_every_effect_in_every_way(tmp_path: Path, name: str, proof: Any) -> None:
    effects, outcomes = crashes(tmp_path / "reference.db", "", name)
    names = Counter(effects)
    assert names["streams:begin"] == names["streams:renew"] == 1
    assert names["streams:append"] >= 3 and names["source read"] >= 4
    effect, times, ended = OWN.get(name, ("streams:finalize", 1, "finished"))
    assert names[effect] == times and outcomes[ended] == 1
    total: Counter[str] = Counter()
    plans = list(each_fault(len(effects), KINDS))
    assert len(plans) == 5 * len(effects) >= 60
    stride = 4 if REFERENCES[name].facts or REFERENCES[name].spooled else 2
    chosen = proof.size(plans[len(name) % stride :: stride], plans, quick=plans[len(name) % stride :: 2 * stride])
    for number, plan in enumerate(chosen):
        total += crashes(tmp_path / f"{number}.db", plan, name)[1]
    assert total["finished"] == len(chosen), "each comes to its end"
    # "after" means nothing where the effect itself fails, as those of a store that is away do.
    assert total["crashed"] >= 0.28 * len(chosen) and total["stalled"] >= len(chosen) // 5 - 2
    proof.count("crash enumeration", {"cases": len(chosen), "of effects": len(effects), **total})


@pytest.mark.parametrize("name", slow_but(QUICK, REFERENCES, "more cases of a proof"))
def test_pairs_of_faults(tmp_path: Path, name: str, proof: Any) -> None:
    total: Counter[str] = Counter()
    plans = list(pairs_of_faults(22, proof.size(8, PAIRS, quick=4), seed=sum(map(ord, name)), kinds=KINDS))
    for number, plan in enumerate(plans):
        total += crashes(tmp_path / f"{number}.db", plan, name)[1]
    assert total["finished"] == len(plans) and total["crashed"] and total["stalled"]
    proof.count("pairs of faults", {"cases": len(plans), **total})
