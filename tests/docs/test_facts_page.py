"""`docs/facts.md`: its examples are executed."""

from __future__ import annotations

import doctest
from pathlib import Path

import cortex_rx

PAGE = (Path(cortex_rx.__file__).parents[1] / "docs" / "facts.md").read_text(encoding="utf-8")


def test_its_examples_run() -> None:
    test = doctest.DocTestParser().get_doctest(PAGE, {}, "facts", "facts.md", 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(test, out=said.append) == (0, len(test.examples)), "".join(said)
