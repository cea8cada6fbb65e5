"""What `from cortex_rx import Cortex` loads and makes: nothing that only some programs need."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

_PROGRAM = """
import json, re, sys
import re._compiler as compiler

def ours():
    frame = sys._getframe(2)
    while frame.f_globals["__name__"] in ("re", "functools"):
        frame = frame.f_back
    return frame.f_globals["__name__"].startswith("cortex_rx.")

def compiled(pattern, flags=0):
    if ours():
        patterns.append(pattern)
    return compile(pattern, flags)

patterns, compile, compiler.compile = [], compiler.compile, compiled
from cortex_rx import Cortex
from cortex_rx.models.records import Record

kinds = [Record]
for kind in kinds:
    kinds += kind.__subclasses__()
built = [kind.__name__ for kind in kinds if kind.__pydantic_complete__]
print(json.dumps({"modules": sorted(sys.modules), "patterns": patterns, "kinds": len(kinds), "built": built}))
"""


@pytest.fixture(scope="module")
def imported() -> Any:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


SELDOM = {
    "the store's other kinds": {"neo4j", "convex"},
    "chunks": {"regex", "sentencex"},
    "notebooks": {"IPython", "cortex_rx.jupyter", "html"},
    "tests": {"pytest", "hypothesis", "cortex_rx.testing"},
    "providers and servers": {"openai", "anthropic", "fastapi", "httpx", "pydantic_ai"},
    "traces": {"opentelemetry", "cortex_rx.operators._support.tracing"},
    "rules for facts": {"cortex_rx.facts.pattern"},
    "calls of a store": {"cortex_rx.backends.contract.checks", "cortex_rx.backends.contract.types"},
    "errors, backups and `last`": {"difflib", "tempfile", "reactivex.operators"},
}


@pytest.mark.parametrize("modules", SELDOM.values(), ids=SELDOM)
def test_what_is_seldom_needed_is_not_loaded(imported: Any, modules: set[str]) -> None:
    assert modules.isdisjoint(imported["modules"])
    assert "cortex_rx.backends.sqlite.store" in imported["modules"]


def test_regular_expressions_are_compiled_when_they_are_used(imported: Any) -> None:
    assert imported["patterns"] == ["[\ud800-\udfff]"]  # a small one costs a fifth of a millisecond


def test_models_are_built_when_they_are_used(imported: Any) -> None:
    assert imported["kinds"] > 30
    assert imported["built"] == []
