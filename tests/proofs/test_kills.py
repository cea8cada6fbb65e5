"""Real processes on a real file are killed at every effect of a stream, and stopped past their lease: nothing is lost,
doubled or mixed.

A process runs `remember_stream` on SQLite, with its threads and in real time, and says what it does; at a chosen place
it gets SIGKILL.  Then what was acknowledged is in the file, of a write that was under way all or nothing, and a next
process goes on, by the token or the key, or is killed too.  One that gets SIGSTOP is a zombie when it is continued:
another one has finished its stream.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.kills import killed, stalls
from proofs.kills.killed import Aim, Case, Life, at_statement, case_of, furnished, run_case
from proofs.kills.processes import Starter
from proofs.kills.stalls import Stop, run_stop, stop_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it needs fork, SIGSTOP and /proc, as Linux has them")

# The least of a shard: of 6 or 9 cases in the slice, of 100 in the whole.
LEAST = {
    "streams:begin": (1, 12),
    "streams:append": (2, 40),
    "streams:finalize": (0, 11),
    "streams:takeOver": (0, 12),
    "streams:renew": (0, 5),
    "streams:close": (0, 2),
    "streams:rollback": (0, 2),
    "streams:issueToken": (0, 2),
    "streams:finish": (0, 3),
    "open file": (0, 4),
    "close file": (0, 2),
    "shown": (0, 8),
    "source open": (0, 1),
    "source read": (0, 2),
    "source close": (0, 1),
}


@pytest.fixture(scope="module")
def starter() -> Iterator[Starter]:
    with Starter() as starter:
        yield starter


@pytest.mark.parametrize("shard", slow_but([0], range(4), "more cases of a proof"))
def test_a_process_is_killed_at_every_effect(shard: int, starter: Starter, tmp_path: Path, proof: Any) -> None:
    hits: Counter[str] = Counter()
    template = furnished(tmp_path)
    cases = proof.size(9, 100, quick=6)
    for number in range(cases):
        # A slice begins in another place of each hundred.
        case = case_of(shard * 100 + (shard * 25 + number) % 100)
        hits += run_case(starter, tmp_path, template, case)
    kills = {effect: hits[effect] for effect in LEAST}
    for effect, least in LEAST.items():
        assert kills[effect] >= proof.size(*least), f"{effect}: {kills}"
    assert sum(kills.values()) >= proof.size(11, 140, quick=7), kills
    whens = {when: hits[when] for when in ("before", "inside", "commit", "after", "at")}
    assert min(whens.values()) >= proof.size(0, 15), whens
    assert list(tmp_path.iterdir()) == [template], "no file is left"
    commits = {name: count for name, count in sorted(hits.items()) if name.startswith("commit ")}
    proof.count("kill -9", {"cases": cases, "kills": sum(kills.values())})
    proof.count("kill -9, by effect", kills)
    proof.count("kill -9, by moment", whens | commits)


# How many statements their transactions have, at least.
STATEMENTS = {
    "open file": 150,
    "streams:begin": 13,
    "streams:append": 8,
    "streams:renew": 3,
    "streams:takeOver": 12,
    "streams:issueToken": 4,
    "streams:finalize": 36,
    "streams:close": 27,
    "streams:rollback": 30,
    "streams:finish": 35,
}


@pytest.mark.parametrize(
    "effect",
    slow_but(STATEMENTS.keys() - {"streams:close", "streams:finish"}, STATEMENTS, "statements much like `finalize`'s"),
)
def test_a_process_is_killed_at_every_statement(effect: str, starter: Starter, tmp_path: Path, proof: Any) -> None:
    template = furnished(tmp_path)
    stride = proof.size(18, 1, quick=54 if effect == "open file" else 18)
    inside, step = 0, proof.size(2, 1)
    while True:
        hits = run_case(starter, tmp_path, template, at_statement(effect, step))
        if not hits["inside"]:  # there are no more
            break
        inside, step = inside + 1, step + stride
    assert inside >= max(STATEMENTS[effect] // stride, 1), f"{effect} was hit {inside} times"
    proof.count("kill -9, at every statement", {"kills": inside})


def test_what_was_found_once_is_not_there(starter: Starter, tmp_path: Path) -> None:
    template = furnished(tmp_path)
    for case in killed.KNOWN:
        run_case(starter, tmp_path, template, case)
    for stop in stalls.KNOWN:
        run_stop(starter, tmp_path, template, stop)


@pytest.mark.parametrize("shard", slow_but([0], range(2), "more cases of a proof"))
def test_a_process_is_stopped_past_its_lease(shard: int, starter: Starter, tmp_path: Path, proof: Any) -> None:
    seen: Counter[str] = Counter()
    template = furnished(tmp_path)
    cases = proof.size(3, 28)  # of which some may not come to where they are to be stopped
    for number in range(shard * 28, shard * 28 + cases):
        seen += run_stop(starter, tmp_path, template, stop_of(number))
    stops = cases - seen["not stopped"]
    assert stops >= proof.size(2, 25)
    # Which of the two it is may depend on where in a write it was hit.
    assert seen["told Fenced"] + seen["held the file"] >= proof.size(1, 20), seen
    assert seen["told Fenced"] >= proof.size(0, 8), seen
    assert seen["held the file"] >= proof.size(0, 5), seen
    assert list(tmp_path.iterdir()) == [template], "no file is left"
    proof.count("SIGSTOP", {"stops": stops, **dict(sorted(seen.items()))})


CASES = {
    "no_fence": Stop(1, "prefilled", Aim("streams:append", "before"), "token", force=True, patient=False),
    "two_transactions": Case(2, "restarted", False, (Life(aim=Aim("streams:finalize", "inside", step=25)),)),
    "acknowledged_early": Case(3, "replayed", False, (Life(aim=Aim("streams:append", "after")),)),
}


@pytest.mark.parametrize("broken", CASES)
def test_what_is_broken_is_found(
    broken: str, starter: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library of the processes is broken before they start."""
    case, template = CASES[broken], furnished(tmp_path)
    run: Any = run_stop if isinstance(case, Stop) else run_case
    monkeypatch.setattr(starter, "broken", f"proofs.kills.broken:{broken}")
    with pytest.raises(AssertionError) as found:
        run(starter, tmp_path, template, case)
    assert "again: run_" in found.value.__notes__[0]
