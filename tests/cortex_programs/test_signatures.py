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
PENDING = ("memory",)
CALLS = [(api, name) for api, methods in METHODS.items() for name in methods if hasattr(getattr(CLIENT, api), name)]


@pytest.mark.parametrize(("api", "name"), [call for call in CALLS if call[0] not in PENDING])
def test_its_arguments_stand_in_the_order_of_cortex(api: str, name: str) -> None:
    taken = inspect.signature(getattr(getattr(CLIENT, api), name)).parameters.values()
    ours = [one.name for one in taken if one.kind in POSITIONAL]
    order = DIFFERS["parameters"].get(f"{api}.{name}", METHODS[api][name])
    assert ours[: len(order)] == order
    more = [one.name for one in taken if one.kind in POSITIONAL][len(order) :]
    assert more == [], "what Cortex does not take has a keyword"
