"""The benchmark of single steps, with few tokens: it names each step, and costs none a nonsense."""

from __future__ import annotations

from benchmarks.steps import STEPS, costs, report


def test_each_step_has_its_row() -> None:
    found = costs(tokens=20, rounds=2)
    assert all(len(times) == 2 and min(times) > 0 for times in found.values())
    rows = report(found).splitlines()[1:]
    assert [row[:26].strip() for row in rows] == list(STEPS)
