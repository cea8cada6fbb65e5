"""The tests mirror the package: a test file is in the folder of its module's room, and is named after the module."""

from __future__ import annotations

from pathlib import Path

import pytest

import cortex_rx

PACKAGE = Path(cortex_rx.__file__).parent
TESTS = PACKAGE.parent / "tests"
ELSEWHERE = ("benchmarks", "cortex_programs", "docs", "examples", "isolation", "proofs", "services")
"""Folders of tests of what is not in the package, and those which are about all of it: proofs, isolation, programs."""

OF_A_ROOM = {
    "api/test_nine_apis.py",
    "engine/test_garbage.py",
    "facts/test_labels.py",
    "facts/test_pairs.py",
    "graph/test_chaos.py",
    "graph/test_connection.py",
    "graph/test_injection.py",
    "jupyter/test_kernel.py",
    "operators/test_capacity.py",
    "operators/test_import.py",
    "operators/test_promises.py",
    "packaging/test_import.py",
    "sources/providers/test_clients.py",
    "sources/providers/test_declared_events.py",
    "sources/providers/test_own_provider.py",
    "test_changed.py",
    "testing/test_plugin.py",
}
"""Files about a room as a whole, about a script, or about the packaged library."""


def module_of(path: Path) -> Path | None:
    """The module or package that a test file is named after: `test_<module>.py` or `test_<module>_<subject>.py`."""
    room, words = PACKAGE / path.parent.relative_to(TESTS), path.stem.removeprefix("test_").split("_")
    for end in range(len(words), 0, -1):
        name = "_".join(words[:end])
        for found in (room / f"{name}.py", room / f"_{name}.py", room / name / "__init__.py"):
            if found.exists():
                return found
    return None


FILES = [path for path in sorted(TESTS.rglob("test_*.py")) if path.relative_to(TESTS).parts[0] not in ELSEWHERE]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_it_is_named_after_a_module(path: Path) -> None:
    listed = str(path.relative_to(TESTS)) in OF_A_ROOM
    assert listed == (module_of(path) is None), "name it after its module, or list it here"
