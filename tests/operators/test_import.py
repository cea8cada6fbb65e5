"""The folder `operators` at the root is a link for readers; every operator is exported and documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cortex_rx
from cortex_rx import operators as cx

ROOT = Path(cortex_rx.__file__).parent.parent
OPERATORS = [
    "adapt",
    "begin",
    "chunk",
    "extract_facts",
    "finalize",
    "limit",
    "measure",
    "observe",
    "persist_partial",
    "recover",
    "resume",
    "rewrite",
    "sync_graph",
    "timeout",
    "trace",
]
SINKS = ["last", "result", "text"]


def test_it_is_a_link():
    link = ROOT / "operators"
    assert link.is_symlink()
    assert link.readlink() == Path("cortex_rx/operators"), "a relative one, that holds in every checkout"
    assert link.resolve() == Path(cx.__file__).parent


def test_it_cannot_be_imported_under_that_name():
    """Else every class would exist twice."""
    program = "import sys; sys.path.insert(0, '.'); import operators"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ImportError: import cortex_rx.operators, not operators")


def test_a_file_in_it_cannot_either():
    program = "import sys; sys.path.insert(0, '.'); import operators.begin"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "ImportError: import cortex_rx.operators, not operators" in done.stderr


def test_everything_is_there():
    assert cx.__all__ == sorted(cx.__all__)
    assert set(cx.__all__) == {*OPERATORS, *SINKS, "Chain", "Step", "chain", "operator", "step"}
    for name in cx.__all__:
        assert hasattr(cx, name)


@pytest.mark.parametrize("name", OPERATORS + SINKS)
def test_each_has_a_file_of_its_name(name):
    made = inspect.unwrap(getattr(cx, name))
    assert Path(inspect.getsourcefile(made)) == Path(cx.__file__).parent / f"{name}.py"
    module = sys.modules[made.__module__]
    assert module.__all__ == [name]
    assert module.__doc__


@pytest.mark.parametrize("name", OPERATORS + SINKS)
def test_each_is_documented(name):
    doc = inspect.getdoc(getattr(cx, name))
    first = doc.splitlines()[0]
    assert first[0].isupper() and first.endswith(".")
    assert "\nsource  " in doc, "a marble diagram; that it is true: tests/docs/test_generated.py"
    marbles = doc.split("```text\n")[1].split("```")[0]
    assert "\nout     " in marbles
    assert "Commonly used for: " in doc
    after = doc.split("See also: ")
    assert len(after) == 2
    others = [other.strip("`. \n") for other in after[1].split(",")]
    for other in others:
        assert other != name
        assert other in cx.__all__ or hasattr(cortex_rx, other), f"{other} is not there"


@pytest.mark.parametrize("name", ["Chain", "Step", "chain", "operator", "step"])
def test_the_tools_are_documented_too(name):
    assert len(inspect.getdoc(getattr(cx, name))) > 40


@pytest.mark.parametrize("name", OPERATORS)
def test_the_arguments_are_documented(name):
    doc = inspect.getdoc(getattr(cx, name))
    for argument in inspect.signature(getattr(cx, name)).parameters:
        if argument != "backend":
            assert f"`{argument}`" in doc or f"{argument}=" in doc or f"`{argument}(" in doc or f"{name}(" in doc


@pytest.mark.parametrize("name", OPERATORS)
def test_an_example_is_executed(name):
    assert ">>> " in inspect.getdoc(getattr(cx, name))


@pytest.mark.parametrize("path", sorted(Path(cx.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_each_file_is_short(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 150


@pytest.mark.parametrize("path", sorted(Path(cx.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_none_writes_a_subscribe_of_its_own(path):
    """Each is made of the forms of the engine, which keep the contract of an observable."""
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }
    assert not called & {"subscribe", "Observable", "FlowObservable", "create", "spawn"}
