"""The generator of the docs as a module, and a runner for the Python of a page: `run_page("testing.md")`.

The blocks of a page that are fenced as python make one module, in their order.  pytest imports it and runs its tests.
Blocks that begin with `>>>` are doctests, together.  Line numbers are those of the page.  Code that a page needs but
does not show stands in it as a comment: `<!-- python`, lines, `-->`.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import cortex_rx

ROOT = Path(cortex_rx.__file__).resolve().parents[1]
BLOCK = re.compile(r"^(?:```python|<!-- python)\n(.*?)^(?:```|-->)$", re.DOTALL | re.MULTILINE)

INI = """
[pytest]
addopts = -rA --import-mode=importlib --doctest-glob=*.txt
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
doctest_optionflags = ELLIPSIS NORMALIZE_WHITESPACE
filterwarnings = error
"""


def only(page: str, doctests: bool) -> str:
    """The page with only its blocks of one kind; the other lines are empty."""
    out = ["\n"] * page.count("\n")
    for block in BLOCK.finditer(page):
        if block[1].lstrip().startswith(">>>") == doctests:
            first = page.count("\n", 0, block.start(1))
            lines = block[1].splitlines(keepends=True)
            out[first : first + len(lines)] = lines
    return "".join(out)


@pytest.fixture
def run_page(tmp_path: Path) -> Callable[..., str]:
    """Runs a page in `tmp_path`, with arguments for pytest; returns the output of pytest."""

    def run(name: str, *args: str) -> str:
        page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        stem = re.sub(r"\W", "_", Path(name).stem)
        code, doctests = only(page, False), only(page, True)
        assert code.strip() or doctests.strip(), f"{name} has no Python"
        # A page without tests of its own has run when it has been imported.
        module = f"{code.rstrip()}\n\n\ndef test_the_page_runs():\n    pass\n"
        (tmp_path / f"test_{stem}.py").write_text(module, encoding="utf-8")
        (tmp_path / f"{stem}.txt").write_text(doctests, encoding="utf-8")
        (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-p", "pytest_cortex_rx", *args]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment())
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def environment() -> dict[str, str]:
    """This environment, with the package of this checkout, and without what is meant for the surrounding run of
    pytest.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | {
        "PYTHONPATH": str(ROOT)
    }


@pytest.fixture(scope="module")
def generate() -> Iterator[ModuleType]:
    """`docs/generate.py`, loaded afresh; its folder is on the path only meanwhile."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield importlib.import_module("generate")
    finally:
        sys.path.remove(str(ROOT / "docs"))
        for name in (
            "generate",
            "apis_page",
            "cortex_page",
            "contract_page",
            "contract_samples",
            "contract_typed",
            "errors_table",
            "options_table",
            "scenes",
        ):
            sys.modules.pop(name, None)
