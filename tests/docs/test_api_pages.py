"""The pages of the APIs, `docs/apis/`: their examples are run, and each public method is called in one of them."""

from __future__ import annotations

import ast
import doctest
import inspect
from pathlib import Path

import pytest
from helpers.apis import APIS

import cortex_rx

FOLDER = Path(cortex_rx.__file__).resolve().parents[1] / "docs" / "apis"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")


def examples(text: str, name: str) -> doctest.DocTest:
    return doctest.DocTestParser().get_doctest(text, {}, name, name, 0)


def called(sources: str, api: str) -> set[str]:
    """The methods that are called of an attribute `api`, or of a name that stands for it: `spaces = cortex.<api>`."""
    tree = ast.parse(sources)
    names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr == api
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if (isinstance(owner, ast.Attribute) and owner.attr == api) or (
                isinstance(owner, ast.Name) and owner.id in names
            ):
                found.add(node.func.attr)
    return found


def methods(api: type) -> set[str]:
    return {name for name, part in inspect.getmembers(api, inspect.isroutine) if not name.startswith("_")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = examples(page.read_text(encoding="utf-8"), page.name)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=said.append) == (0, len(test.examples)), "".join(said)


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in APIS], ids=lambda page: page.stem)
def test_it_has_an_example_of_every_method(page):
    sources = "".join(one.source for one in examples(page.read_text(encoding="utf-8"), page.name).examples)
    assert sorted(methods(APIS[page.stem]) - called(sources, page.stem)) == []


def test_each_api_has_its_page():
    assert sorted(APIS.keys() - {page.stem for page in PAGES}) == []


def test_a_call_is_found_under_any_name():
    sources = "cortex.users.get('ada')\nspaces = cortex.users\nspaces.list()\nother.users.count\nother.delete('ada')\n"
    assert called(sources, "users") == {"get", "list"}
