"""docs/tracing.md: its Python runs, and it has every name that `trace` uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cortex_rx

ROOT = Path(cortex_rx.__file__).parents[1]


def test_the_page_runs(run_page: Callable[..., str]) -> None:
    run_page("tracing.md")


def test_every_name_is_on_it() -> None:
    source = (ROOT / "cortex_rx/operators/_support/tracing.py").read_text()
    page = (ROOT / "docs/tracing.md").read_text()
    names = set(re.findall(r'"((?:gen_ai|cortex)\.[\w.]+|error\.type)"', source))
    names |= {f"cortex.{name}" for name in re.findall(r'_note\("(\w+)"', source)}
    names |= {f"gen_ai.usage.{name}_tokens" for name in re.findall(r'^    "([\w.]+put)": "', source, re.MULTILINE)}
    operations = set(re.findall(r'"(\w+_memory|chat)"', source))
    assert len(names) >= 30 and len(operations) == 4
    assert {name for name in names | operations if name not in page} - {"gen_ai.client.operation"} == set()
