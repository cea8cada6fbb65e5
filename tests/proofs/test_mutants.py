"""The library is broken in ways that a proof must find; with the intact library the same cases hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from helpers.lanes import slow_but
from proofs.cancellation.cases import Case, cancelled
from proofs.crashes.cases import crashes
from proofs.crashes.conformance import PROMISES, kept
from proofs.machine.programs import examples
from proofs.mutants import MUTANTS
from proofs.power.cuts import PROGRAMS, cut_power
from proofs.sharing.together import CALLS, crashed, filled
from proofs.stories import Learning, Remembering

from cortex_rx.testing import each_fault
from cortex_rx.testing.simulate import run_seeds

Cases: TypeAlias = Generator[None, None, None]


def crash_enumeration(path: Path) -> Cases:
    for name in ("replayed", "another text", "followed"):
        effects, _ = crashes(path / f"{name}.db", "", name)
        for number, plan in enumerate(each_fault(len(effects), ["crash-after", "fail-after", "stall"])):
            crashes(path / f"{name} {number}.db", plan, name)
            yield


def conformance_under_faults(path: Path) -> Cases:
    for number, promise in enumerate(PROMISES):
        for plan in ("", "1 fail-after"):
            kept(promise, path / f"{number} {plan}.db", plan)
            yield


def simulation(path: Path) -> Cases:
    for seed in range(100):
        run_seeds(Remembering(), [seed])
        yield


def simulation_of_facts(path: Path) -> Cases:
    for seed in range(30):
        run_seeds(Learning(), [seed])
        yield


def state_machine(path: Path) -> Cases:
    for shard in range(60):
        examples(shard, 8, shrink=False)
        yield


def cancellation(path: Path) -> Cases:
    for place in range(1, 100, 3):
        cancelled(path / "memory.db", Case("run", at=(place,), resumes=True))
        yield


def power_loss(path: Path) -> Cases:
    for program in PROGRAMS:
        (path / program).mkdir()
        cut_power(program, path / program, lambda cuts: cuts[::9])
        yield


def shared_commits(path: Path) -> Cases:
    for number, plan in enumerate(each_fault(CALLS, ["crash-after", "fail-after"])):
        if number % 5 == 0:
            crashed(path / f"{number}.db", plan)
            yield
    for first in range(1, 6):
        (path / str(first)).mkdir()
        filled(path / str(first), "a sync fails", first, 0.5)
        yield


PROOFS: dict[str, Callable[[Path], Cases]] = {
    proof.__name__.replace("_", " "): proof
    for proof in (
        crash_enumeration,
        conformance_under_faults,
        simulation,
        simulation_of_facts,
        state_machine,
        cancellation,
        power_loss,
        shared_commits,
    )
}
"""Some cases of each of these proofs.  The kills have mutants of their own, which are there before the processes start:
`test_kills.py`.
"""

FOUND_BY: dict[str, tuple[str, ...]] = {
    "no fence": ("crash enumeration", "conformance under faults", "state machine"),
    "no overlap check": ("crash enumeration", "conformance under faults", "state machine", "cancellation"),
    "another text is taken for the same": ("crash enumeration", "conformance under faults"),
    "finalise in two steps": ("state machine", "power loss"),
    "no flush on cancel": ("state machine", "cancellation"),
    "token not bound to its space": ("conformance under faults", "state machine"),
    "no lease": ("conformance under faults",),
    "a lease of the future is one": ("conformance under faults",),
    "no claim": ("conformance under faults",),
    "the source is not compared": ("crash enumeration",),
    "the order of ending": ("conformance under faults", "state machine"),
    "a conversation of nothing": ("conformance under faults", "state machine"),
    "told before the shared commit": ("shared commits", "state machine"),
    "a failed shared commit is told as done": ("shared commits", "state machine"),
    "no break is noted": ("conformance under faults",),
    "withdraw keeps statements": ("simulation of facts", "state machine"),
    "the offset is not in the transaction": ("simulation of facts", "state machine"),
    "what is not read is not queued": ("simulation of facts", "state machine"),
    "a statement is stored each time": ("simulation of facts", "state machine"),
    "a statement stands where it was read first": ("simulation of facts",),
}
"""At least."""


@pytest.mark.parametrize("name", slow_but(["conformance under faults"], PROOFS, "more cases of a proof"))
def test_with_the_library_as_it_is_they_hold(name: str, tmp_path: Path, proof: Any) -> None:
    """All of them with `--torture`; in a usual run the tests of the proofs themselves try most."""
    cases = list(islice(PROOFS[name](tmp_path), proof.size(2, None)))
    assert len(cases) >= proof.size(2, 4)  # the least that one of them has


@pytest.mark.parametrize(
    "name",
    slow_but(
        ["no lease", "no claim", "told before the shared commit"],
        MUTANTS,
        "broken in a way that takes many cases to be found",
    ),
)
def test_what_is_broken_is_found(name: str, tmp_path: Path, proof: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    after: dict[str, int] = {}
    found_by = proof.size(FOUND_BY[name], FOUND_BY[name], quick=FOUND_BY[name][:1])
    for tried in proof.size(found_by, PROOFS):
        (tmp_path / tried).mkdir()
        cases = 0
        try:
            for _ in PROOFS[tried](tmp_path / tried):
                cases += 1
        except Exception:
            after[tried] = cases + 1
    assert after.keys() >= set(found_by), f"found by {after}"
    proof.count(f"mutant: {name}", after)


def test_every_mutant_is_found_by_something() -> None:
    assert FOUND_BY.keys() == MUTANTS.keys() and all(FOUND_BY.values())


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_takes_the_arguments_of_what_it_replaces(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be found because it cannot be called."""
    setattr_, replaced = monkeypatch.setattr, []

    def noted(target: Any, attribute: str, new: Callable[..., Any]) -> None:
        replaced.append((arguments(getattr(target, attribute)), arguments(new)))
        setattr_(target, attribute, new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monkeypatch, "setattr", noted)
        MUTANTS[name](monkeypatch)
    assert replaced
    for before, after in replaced:
        assert "*" in after[0] or before[0] == after[0], "other positional arguments"
        assert before[1] == after[1], "other arguments by name"


def arguments(function: Callable[..., Any]) -> tuple[list[str], dict[str, Any]]:
    """The kinds of the positional arguments ("d" has a default, "*" takes all), and the defaults of those by name."""
    given = inspect.signature(function).parameters.values()
    named = {one.name: one.default for one in given if one.kind is one.KEYWORD_ONLY}
    kinds = ["*" if one.kind is one.VAR_POSITIONAL else "d" if one.default is not one.empty else "p" for one in given]
    return [kind for kind, one in zip(kinds, given, strict=True) if one.kind is not one.KEYWORD_ONLY], named
