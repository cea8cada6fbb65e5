"""`make quick`: which tests belong to a file that is changed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def changed() -> Any:
    spec = importlib.util.spec_from_file_location("changed", ROOT / "tests" / "changed.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SLOW = pytest.mark.slow(reason="each reads the imports of many files")


@pytest.mark.parametrize(
    ("file", "tests"),
    [
        ("cortex_rx/operators/limit.py", ["cortex_rx/operators/limit.py", "tests/operators/test_limit.py"]),
        ("cortex_rx/backends/sqlite/tokenizer.py", ["tests/backends/sqlite/functions/test_memories_search.py"]),
        pytest.param(
            "cortex_rx/testing/operators/_promises.py",
            ["tests/testing/operators/test_check.py", "tests/testing/backends/test_check.py"],
            marks=SLOW,
        ),
        pytest.param(
            "cortex_rx/operators/_support/pending.py",
            ["tests/operators/test_persist_partial.py", "tests/folds/test_position.py"],
            marks=SLOW,
        ),
        pytest.param("cortex_rx/backends/contract/streams.py", ["tests/backends/contract/test_checks.py"], marks=SLOW),
        pytest.param("cortex_rx/backends/contract/calls.json", ["tests/backends/contract/test_checks.py"], marks=SLOW),
        ("tests/changed.py", ["tests/test_changed.py"]),
        pytest.param("tests/proofs/power/lost_writes.py", ["tests/proofs/test_power_loss.py"], marks=SLOW),
        pytest.param(
            "tests/proofs/stories/exchange.py",
            ["tests/proofs/test_simulation.py", "tests/testing/simulate/test_simulation.py"],
            marks=SLOW,
        ),
        pytest.param("tests/proofs/machine/model.py", ["tests/proofs/test_state_machine.py"], marks=SLOW),
        ("tests/operators/conftest.py", ["tests/operators"]),
        ("tests/operators/__snapshots__/test_chunk.ambr", ["tests/operators/test_chunk.py"]),
        ("tests/test_chain.py", ["tests/test_chain.py"]),
        ("README.md", ["tests/docs/test_readme.py", "tests/docs"]),
    ],
)
def test_the_tests_of_a_file(changed: Any, file: str, tests: list[str]) -> None:
    assert set(tests) <= changed.tests_of(ROOT / file)


def test_a_file_that_is_gone_has_none(changed: Any) -> None:
    assert changed.tests_of(ROOT / "cortex_rx" / "no_such_module.py") == set()


def test_a_name_that_two_modules_have_is_that_of_the_one_it_is_imported_from(changed: Any) -> None:
    assert "tests/test_retry.py" not in changed.tests_of(ROOT / "cortex_rx" / "backends" / "contract" / "streams.py")


def test_one_operator_has_not_the_tests_of_all(changed: Any) -> None:
    assert len(changed.tests_of(ROOT / "cortex_rx" / "operators" / "limit.py")) < len(changed._tests()) / 3
