"""The code of docs/faults.md runs, and its table has every kind of fault."""

import re
from pathlib import Path

import pytest

import cortex_rx
from cortex_rx.testing import BACKEND_PROMISES, FAULT_KINDS, Plan

PAGE = (Path(cortex_rx.__file__).parents[1] / "docs" / "faults.md").read_text(encoding="utf-8")


@pytest.mark.slow(reason="a page that checks backends under faults, which `tests/testing` does in every run")
def test_every_block_runs(run_page):
    said = run_page("faults.md")
    tests = re.findall(r"^def (test_\w+)", PAGE, re.MULTILINE)
    assert {name for name in tests if re.search(rf"::{name}[\[\n]", said)} == set(tests)
    assert f"{len(BACKEND_PROMISES) + len(tests)} passed" in said  # and one says that the page was imported


def test_the_table_has_every_kind():
    plans = re.findall(r"^\| `(3 .*?)` \|", PAGE, re.MULTILINE)
    assert tuple(Plan.parse(plan).faults[0].kind for plan in plans) == FAULT_KINDS
