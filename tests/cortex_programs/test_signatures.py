"""Methods take their arguments in the order of Cortex 0.11, whose methods stand in docs/cortex.json."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

import cortex_rx
from cortex_rx import Cortex

DOCS = Path(cortex_rx.__file__).resolve().parents[1] / "docs"
METHODS: dict[str, dict[str, list[str]]] = json.loads((DOCS / "cortex.json").read_text("utf-8"))["methods"]
DIFFERS = json.loads((DOCS / "cortex_differs.json").read_text("utf-8"))
CLIENT = Cortex(":memory:")
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
CALLS = [(api, name) for api, methods in METHODS.items() for name in methods]


@pytest.mark.parametrize(("api", "name"), CALLS)
def test_its_arguments_stand_in_the_order_of_cortex(api: str, name: str) -> None:
    """A method that is not here fails."""
    taken = inspect.signature(getattr(getattr(CLIENT, api), name)).parameters.values()
    ours = [one.name for one in taken if one.kind in POSITIONAL]
    order = DIFFERS["parameters"].get(f"{api}.{name}", METHODS[api][name])
    assert ours[: len(order)] == order
    more = [one.name for one in taken if one.kind in POSITIONAL][len(order) :]
    assert more == [], "what Cortex does not take has a keyword"


def test_the_table_has_a_row_for_each_method() -> None:
    """docs/apis/cortex.md: those of Cortex, and those that are ours."""
    sections = (DOCS / "apis" / "cortex.md").read_text("utf-8").split("\n### ")[1:]
    shown = {section.partition("\n")[0]: section for section in sections}
    assert list(shown) == list(METHODS)
    for api, methods in METHODS.items():
        for name, parameters in methods.items():
            assert shown[api].count(f"| `{name}({', '.join(parameters)})` |") == 1
        ours = {name for name in dir(getattr(CLIENT, api)) if not name.startswith("_") and name not in methods}
        public = {name for name in ours if inspect.isroutine(getattr(type(getattr(CLIENT, api)), name, None))}
        assert {name for name in public if f"\n| | `{name}(" in shown[api]} == public
    assert sum(map(len, METHODS.values())) == 139


def test_what_differs_is_said_of_methods_that_are_there() -> None:
    assert {f"{api}.{name}" for api, named in DIFFERS["methods"].items() for name in named} <= {
        f"{api}.{name}" for api, named in METHODS.items() for name in named
    }
