"""`docs/spool.md`: its example is executed."""

from __future__ import annotations

import doctest
from pathlib import Path

import cortex_rx

PAGE = (Path(cortex_rx.__file__).parents[1] / "docs" / "spool.md").read_text(encoding="utf-8")


def test_its_example_runs():
    test = doctest.DocTestParser().get_doctest(PAGE, {}, "spool", "spool.md", 0)
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append) == (0, len(test.examples)), "".join(said)
