"""The code of docs/testing.md runs and gives what the page shows."""

import re
from pathlib import Path

import cortex_rx

PAGE = (Path(cortex_rx.__file__).parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")


def test_every_block_runs_and_the_drawing_is_true(run_page, tmp_path):
    said = run_page("testing.md", "--snapshot-update")
    tests = re.findall(r"^def (test_\w+)", PAGE, re.MULTILINE)
    assert {name for name in tests if f"::{name}\n" in said} == set(tests)
    (drawn,) = re.findall(r"^```text\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE)
    written = (tmp_path / "__snapshots__" / "test_testing.ambr").read_text(encoding="utf-8")
    (snapshot,) = re.findall(r"'''\n(.*?)  '''", written, re.DOTALL)
    assert drawn == re.sub("^  ", "", snapshot, flags=re.MULTILINE)
    assert "1 snapshot passed" in run_page("testing.md")


def test_the_example_of_the_readme_runs(run_page, tmp_path):
    """The block there that is a test."""
    readme = (Path(cortex_rx.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (block,) = (block for block in re.findall(r"```python\n.*?```\n", readme, re.DOTALL) if "def test_" in block)
    (tmp_path / "readme.md").write_text(block, encoding="utf-8")
    assert "PASSED test_readme.py::test_limit\n" in run_page(str(tmp_path / "readme.md"))


def test_its_fixtures_are_those_of_the_plugin():
    import pytest_cortex_rx

    named = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)[:4]
    assert named == ["virtual", "trace", "no_leaks", "make_backend"]
    assert all(hasattr(pytest_cortex_rx, name) for name in named)
