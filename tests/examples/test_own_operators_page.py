"""`docs/own-operators.md`: its examples are executed, and its quotations are in the files that it names."""

from __future__ import annotations

import doctest
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own-operators.md").read_text(encoding="utf-8")
QUOTES = re.findall(r"<!-- from (\S+) -->\n```py\n(.*?)```", PAGE, re.DOTALL)


def test_its_examples_are_true():
    test = doctest.DocTestParser().get_doctest(PAGE, {}, "own-operators", "own-operators.md", 0)
    assert len(test.examples) > 30
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize(("path", "quoted"), QUOTES, ids=[path for path, _ in QUOTES])
def test_what_it_quotes_is_there(path, quoted):
    code = (ROOT / path).read_text(encoding="utf-8")
    assert any(textwrap.indent(quoted, " " * depth) in code for depth in (0, 4, 8, 12))


def test_all_four_are_quoted_and_named():
    assert {path for path, _ in QUOTES} == {
        f"examples/operators/{name}.py" for name in ("redaction", "moderator", "translation", "custom_event")
    }
    for path in re.findall(r"`((?:examples|docs|tests)/[\w./-]*)`", PAGE):
        assert (ROOT / path).exists(), path
