"""The default chain is cancelled at every place of its life, once, twice and repeatedly: all that was shown is kept,
and nothing is left running.

A place is the moment before one callback of the loop: finer than its turns.  An undisturbed run says how many there
are.  The engine's own tests of this are in `tests/engine/test_running_cancellation.py`; here it is the whole of
`remember_stream`, on a SQLite file.
"""

from __future__ import annotations

import gc
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.cancellation.cases import HOWS, Case, cancelled
from proofs.cancellation.chains import CHAINS

SLOW = ("plain", "derived", "durable", "everything")  # also with a store whose writes take time
SHORT = ("breaks", "limit", "rollback", "best-effort", "timeout")  # cut off early, so with fewer places
AGAIN = [how for how in HOWS if how != "shutdown"]  # a loop ends once


def places(count: int, proof: Any, number: int, of: int, whole: int = 1) -> Iterator[int]:
    """Every place (of the `whole`-th), and two beyond the last; in a slice so many of them, or half as many,
    others for each `number`.
    """
    step = proof.size(max(1, count // of), whole, quick=max(1, 2 * count // of))
    return iter(range(1 + number * 7 % step, count + 3, step))


def played(path: Path, cases: Iterable[Case]) -> Counter[str]:
    """Run the cases; how far the streams were, and what was stored."""
    counts: Counter[str] = Counter()
    for case in cases:
        outcome = cancelled(path, case)
        counts["cases"] += 1
        counts[outcome.phase] += 1
        counts["kept " + outcome.stored if outcome.stored != "nothing" else "kept nothing"] += 1
        counts["resumed"] += outcome.resumed
    gc.collect()  # what was dropped and not closed is reported now, and fails the test
    return counts


def undisturbed(path: Path, case: Case) -> int:
    """How many places there are."""
    outcome = cancelled(path, case)
    least = 40 if case.chain in SHORT else 60
    assert outcome.phase == "not cancelled" and outcome.rest == outcome.places > least
    return outcome.places


@pytest.mark.parametrize("chain", slow_but(["plain", "everything"], CHAINS, "more cases of a proof"))
def test_once_at_every_place(tmp_path: Path, chain: str, proof: Any) -> None:
    def cases() -> Iterator[Case]:
        kinds = [(how, "well", False) for how in HOWS]
        kinds += [(how, "slow", False) for how in HOWS if chain in SLOW]
        kinds += [(how, "well", True) for how in HOWS if chain in ("plain", "resume")]
        for number, (how, store, slow_to_close) in enumerate(proof.size(kinds[len(chain) % 2 :: 2], kinds)):
            case = Case(how, chain, store, slow_to_close=slow_to_close)
            count = undisturbed(tmp_path / "memory.db", case)
            for place in places(count, proof, number, 7):
                resumes = place % proof.size(3, 5) == 0
                yield Case(how, chain, store, (place,), slow_to_close=slow_to_close, resumes=resumes)

    counts = played(tmp_path / "memory.db", cases())
    assert counts["streaming"] and counts["kept partial"] and counts["resumed"], counts
    if chain not in ("breaks", "timeout", "rollback"):
        assert counts["ended"] and counts["kept whole"], counts
    if proof.torture:
        assert counts["cases"] > (330 if chain in SHORT else 350) and counts["opened"] and counts["not opened"], counts
        if CHAINS[chain] is None and chain != "timeout":
            assert counts["remembered"] and counts["ended"] > 20, counts
        if chain in ("resume", "everything"):
            assert counts["reopened"] > 20, counts
    proof.count("cancellation", counts)


@pytest.mark.parametrize(
    "chain", slow_but(["everything"], ["plain", "durable", "rollback", "everything"], "more cases of a proof")
)
def test_again_and_again(tmp_path: Path, chain: str, proof: Any) -> None:
    """A second time one, two or five places later, a third time, and at every place from the first on."""

    def cases() -> Iterator[Case]:
        for number, how in enumerate(AGAIN):
            for store in ["well", "slow"] if chain == "plain" else ["well"]:
                case = Case(how, chain, store)
                count = undisturbed(tmp_path / "memory.db", case)
                for place in places(count, proof, number, 2, 1 if chain == "plain" else 3):
                    for later in (1, 2, 5):
                        yield Case(how, chain, store, (place, place + later))
                    yield Case(how, chain, store, (place, place + 1, place + 4), resumes=place % 4 == 0)
                    yield Case(how, chain, store, (place,), onwards=True)

    counts = played(tmp_path / "memory.db", cases())
    assert counts["cases"] > proof.size(40, 490 if chain in SHORT else 500, quick=20) and counts["kept partial"], counts
    proof.count("cancellation", {**counts, "of these again": counts["cases"]})


@pytest.mark.parametrize("chain", ["plain", "durable", "everything"])
@pytest.mark.parametrize("store", slow_but(["flaky"], ["flaky", "down", "never there"], "more cases of a proof"))
def test_beside_a_store_that_fails(tmp_path: Path, chain: str, store: str, proof: Any) -> None:
    """What the store could not take of what was shown is in the spool, if there is one."""

    def cases() -> Iterator[Case]:
        kinds = list(itertools.product(["run", "reader", "stop", "shutdown"], [False, True]))
        for number, (how, spool) in enumerate(kinds):
            if proof.size(number % 3, 0):
                continue
            case = Case(how, chain, store, spool=spool)
            count = undisturbed(tmp_path / "memory.db", case)
            for place in places(count, proof, number, 6, 1 if chain == "plain" else 3):
                again = (place, place + 3) if number % 2 and how != "shutdown" else (place,)
                yield Case(how, chain, store, again, spool=spool, resumes=store == "flaky" and place % 4 == 0)

    counts = played(tmp_path / "memory.db", cases())
    assert counts["cases"] > proof.size(15, 150, quick=7), counts
    assert counts["streaming"] or (chain, store) == ("durable", "never there"), counts
    proof.count("cancellation", {**counts, "of these a failing store": counts["cases"]})
