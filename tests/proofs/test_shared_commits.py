"""Calls that share a transaction: a crash at each of them, and a disk that refuses from any of its operations on; also
those of whole chains that run at the same time.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.power.full_disk import TROUBLES
from proofs.sharing import chains
from proofs.sharing.threads import sizes_of_transactions
from proofs.sharing.together import CALLS, STREAMS, crashed, filled

from cortex_rx.testing import FaultKind, each_fault

STEP = {"no room": 43, "a write fails": 59, "a sync fails": 2}  # in a usual run: every n-th operation


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How many calls were in a transaction, how often."""
    return sizes_of_transactions(monkeypatch)


def test_a_crash_at_each_call(tmp_path: Path, sizes: Counter[int], proof: Any) -> None:
    effects, outcomes = crashed(tmp_path / "reference.db", "")
    assert len(effects) == CALLS and outcomes == {"stored": STREAMS}
    assert sizes == {STREAMS: CALLS // STREAMS + 1}, "and once more, to find that they are finished"
    total: Counter[str] = Counter()
    plans = list(each_fault(CALLS, ["crash", "crash-after", "fail", "fail-after"]))
    chosen = proof.size(plans[::3], plans, quick=plans[::7])
    for number, plan in enumerate(chosen):
        total += crashed(tmp_path / f"{number}.db", plan)[1]
    assert total["crashed"] >= len(chosen) // 2 - 2 and total["StoreUnavailable"] and total["stored"]
    shared = sum(count for size, count in sizes.items() if size > 1)
    proof.count("shared commits", {"cases": len(chosen), "shared transactions": shared, **total})


@pytest.mark.parametrize("kind", slow_but(["crash-after", "fail-after"], chains.KINDS, "more cases of a proof"))
def test_whole_chains_at_once(tmp_path: Path, kind: FaultKind, sizes: Counter[int], proof: Any) -> None:
    """Each effect of three chains goes wrong: the calls of the store, and what their sources do."""
    effects, outcomes = chains.crashed(tmp_path / "reference.db", "")
    assert outcomes == {"finished": chains.STREAMS} and sizes.keys() == {chains.STREAMS}
    names = Counter(effects)
    assert names["streams:begin"] == names["streams:finalize"] == chains.STREAMS <= names["streams:append"] // 3
    total: Counter[str] = Counter()
    plans = list(each_fault(len(effects), [kind]))
    chosen = proof.size(plans[::2], plans, quick=plans[::4])
    for number, plan in enumerate(chosen):
        total += chains.crashed(tmp_path / f"{number}.db", plan)[1]
    assert total["crashed"] == (len(chosen) if kind.startswith("crash") else 0)
    assert total["finished"] >= chains.STREAMS * len(chosen)
    shared = sum(count for size, count in sizes.items() if size > 1)
    assert shared >= 3 * len(chosen)
    proof.count("shared commits", {"cases": len(chosen), "shared transactions": shared, "chains at once": len(chosen)})


@pytest.mark.parametrize("seconds", slow_but([0.5], [0.5, 1e9], "more cases of a proof"))
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_disk_that_refuses(tmp_path: Path, trouble: str, seconds: float, sizes: Counter[int], proof: Any) -> None:
    (tmp_path / "reference").mkdir()
    reference, outcomes = filled(tmp_path / "reference", trouble)
    assert outcomes == {"stored": STREAMS} and reference.seen >= {"write": 60, "sync": 6}[TROUBLES[trouble][0]]
    total: Counter[str] = Counter()
    places = range(1, reference.seen + 1, proof.size(STEP[trouble], 1))
    for first in places:
        (tmp_path / str(first)).mkdir()
        done, outcomes = filled(tmp_path / str(first), trouble, first, seconds)
        assert done.refused
        total += outcomes
    assert total["StoreFull"] + total["StoreUnavailable"] and total["stored"]
    shared = sum(count for size, count in sizes.items() if size > 1)
    proof.count("shared commits", {"cases": len(places), "shared transactions": shared, **total})
