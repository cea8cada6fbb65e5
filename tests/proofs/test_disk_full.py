"""The disk is full from any write on: the tokens are shown, what was acknowledged stays, and nothing of the answer is
lost.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.power.full_disk import TROUBLES, WHILE, Outcome, fill_up
from proofs.sharing.threads import sizes_of_transactions

SPOOLS = {"no spool": None, "a spool on another disk": "other disk", "a spool on the same disk": "disk"}
STEP = {"no room": 41, "a write fails": 83, "a sync fails": 11}  # in a usual run: every n-th operation, and the last
QUICK = {"no room": 103, "a write fails": 223, "a sync fails": 11}  # where slow tests are left out
STREAMS = 3
AT_ONCE = {"no room": 211, "a write fails": 211, "a sync fails": 13}  # every n-th: three streams take more time
WHOLE = {"no room": 1, "a write fails": 4, "a sync fails": 1}


def _count(proof: Any, outcomes: list[Outcome], counts: dict[str, int]) -> None:
    said = Counter(outcome.said for outcome in outcomes)
    said.update("not even begun" for outcome in outcomes if not outcome.begun)
    proof.count(
        "disk full", {"cases": len(outcomes), **said, "operations refused": sum(o.refused for o in outcomes), **counts}
    )


@pytest.mark.parametrize("spool", slow_but(["a spool on another disk"], SPOOLS, "more cases of a proof"))
@pytest.mark.parametrize("trouble", TROUBLES)
def test_full_from_some_write_on(tmp_path: Path, trouble: str, spool: str, proof: Any) -> None:
    """To the end of the stream and beyond; then there is room again."""
    (tmp_path / "reference").mkdir()
    reference = fill_up(tmp_path / "reference", trouble, spool=SPOOLS[spool], thorough=True)
    assert (reference.said, reference.refused) == ("remembered", 0)
    assert reference.operations >= {"write": 150, "sync": 15}[TROUBLES[trouble][0]]
    outcomes: list[Outcome] = []
    for first in [
        *range(1, reference.operations, proof.size(STEP[trouble], WHOLE[trouble], quick=QUICK[trouble])),
        reference.operations,
    ]:
        folder = tmp_path / str(first)
        folder.mkdir()
        outcomes.append(fill_up(folder, trouble, first, spool=SPOOLS[spool], thorough=first == 1))
        assert outcomes[-1].refused >= 1
    assert {outcome.said for outcome in outcomes} == {"remembered", "not stored"}, "some were full only at the close"
    assert {outcome.begun for outcome in outcomes} == {True, False}
    _count(proof, outcomes, {f"for ever: {trouble}": len(outcomes), spool: len(outcomes)})


@pytest.mark.parametrize("trouble", TROUBLES)
def test_full_for_a_while(tmp_path: Path, trouble: str, proof: Any) -> None:
    """When there is room again while the stream runs, the retries succeed and everything is stored; no spool is
    needed.
    """
    (tmp_path / "reference").mkdir()
    operations = fill_up(tmp_path / "reference", trouble).operations
    outcomes: list[Outcome] = []
    for first in [*range(1, operations, proof.size(STEP[trouble], WHOLE[trouble], quick=QUICK[trouble])), operations]:
        folder = tmp_path / str(first)
        folder.mkdir()
        outcomes.append(fill_up(folder, trouble, first, WHILE, spool="other disk"))
        assert outcomes[-1].refused >= 1
        assert (outcomes[-1].said, outcomes[-1].begun) == ("remembered", True)
        assert not (folder / "other disk" / "spool.db").exists()
    _count(proof, outcomes, {f"for a while: {trouble}": len(outcomes)})


@pytest.mark.parametrize("spool", slow_but(["a spool on another disk"], SPOOLS, "more cases of a proof"))
@pytest.mark.parametrize(
    "case",
    slow_but(
        [("no room", math.inf), ("a sync fails", WHILE)],
        [(trouble, seconds) for trouble in TROUBLES for seconds in (WHILE, math.inf)],
        "more cases of a proof",
    ),
)
def test_streams_at_once(
    tmp_path: Path, case: tuple[str, float], spool: str, proof: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose writes share transactions: for a while, in which case all is stored in the end, or for ever."""
    trouble, seconds = case
    sizes = sizes_of_transactions(monkeypatch)
    (tmp_path / "reference").mkdir()
    reference = fill_up(tmp_path / "reference", trouble, spool=SPOOLS[spool], streams=STREAMS)
    assert (reference.said, reference.refused) == ("remembered", 0)
    assert min(sizes) >= STREAMS, "all wait together"
    outcomes: list[Outcome] = []
    step = proof.size(AT_ONCE[trouble], max(AT_ONCE[trouble] // 20, 2), quick=AT_ONCE[trouble] * 3 // 2)
    for first in range(1, reference.operations + 1, step):
        (tmp_path / str(first)).mkdir()
        outcomes.append(fill_up(tmp_path / str(first), trouble, first, seconds, spool=SPOOLS[spool], streams=STREAMS))
        assert outcomes[-1].refused >= 1
    said = {outcome.said for outcome in outcomes}
    assert said == {"remembered"} if seconds == WHILE else "not stored" in said
    _count(proof, outcomes, {"streams at once": len(outcomes), spool: len(outcomes)})


@pytest.mark.parametrize("spool", slow_but(["a spool on another disk"], SPOOLS, "more cases of a proof"))
def test_as_many_pages_as_the_file_may_have(tmp_path: Path, spool: str, proof: Any) -> None:
    """SQLite's own limit, from too few for the tables to enough."""
    (tmp_path / "reference").mkdir()
    fill_up(tmp_path / "reference")
    needed = (tmp_path / "reference" / "disk" / "memory.db").stat().st_size // 1024
    outcomes: dict[int, Outcome] = {}
    for pages in proof.size((1, needed // 2, needed - 2, needed), range(1, needed + 1)):
        folder = tmp_path / str(pages)
        folder.mkdir()
        outcomes[pages] = fill_up(folder, pages=pages, spool=SPOOLS[spool])
    assert not outcomes[1].begun
    assert outcomes[needed].said == "remembered"
    assert (outcomes[needed - 2].said, outcomes[needed - 2].begun) == ("not stored", True)
    _count(proof, list(outcomes.values()), {"max_page_count": len(outcomes), spool: len(outcomes)})


def test_for_ever_is_for_ever(tmp_path: Path) -> None:
    """A case, looked at by hand: from the middle on nothing more is stored."""
    outcome = fill_up(tmp_path, "no room", 500, math.inf, spool="other disk", thorough=True)
    assert outcome.said == "not stored"
    assert outcome.begun
    assert outcome.refused > 3, "it was tried again"
