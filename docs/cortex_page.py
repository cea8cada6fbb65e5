"""Cortex's methods beside ours, for docs/apis/cortex.md: its methods from docs/cortex.json, ours from the code."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cortex_rx import Cortex
from cortex_rx.api.absent import ATTRIBUTES, NAMES

HEAD = """
# Cortex's programs

A program for Cortex's Python SDK 0.11 runs with `from cortex_rx import` in place of `from cortex import`, and with a
path in place of the URL: `Cortex(CortexConfig(convex_url="memory.db"))`, or `Cortex("memory.db")`. Constructors take
values in Cortex's order, results are read by attribute and by key, and methods take their arguments in Cortex's order.
A type checker wants keywords in constructors.

What differs everywhere:

* Each call sees one memory space. Where a method of Cortex takes none, the keyword `memory_space_id` names it, or the
  client: `Cortex(memory_space_id=...)`. Users, agents, immutable and mutable are of the whole store, as in Cortex.
* Options are models, mappings in snake_case or camelCase, or keywords. What is unknown or has no effect is refused by
  name. The keys of your own data stay as they are.
* Filters apply before limits. A time, a number or a limit of 0 is 0, not a missing value.
* Errors are classes; `error.code` is Cortex's code. Records have no `_id` beside their own id.
* `sync_to_graph` warns with `GraphNotKept` if the store keeps no graph.

## Methods

What stands behind a star is given by keyword alone; `**` are the fields of the models before it. A row without a
method of Cortex is of this package alone. "There" is Cortex 0.11.
"""


def page(note: str) -> str:
    """The tables, an API each."""
    data = json.loads((Path(__file__).parent / "cortex.json").read_text(encoding="utf-8"))
    differs = json.loads((Path(__file__).parent / "cortex_differs.json").read_text(encoding="utf-8"))
    client = Cortex(":memory:")
    lines = [note.rstrip() + HEAD]
    for api, methods in data["methods"].items():
        ours = dict(_methods(getattr(client, api)))
        lines += [f"\n### {api}\n", "| Cortex 0.11 | here | what differs, and why |", "|---|---|---|"]
        for name, theirs in methods.items():
            why = differs["methods"].get(api, {}).get(name, "")
            if name not in ours:
                lines.append(f"| `{name}({', '.join(theirs)})` | – | {why} |")
                continue
            lines.append(f"| `{name}({', '.join(theirs)})` | {_shown(ours[name], theirs)} | {why} |")
        lines += [f"| | `{name}{_taken(one)}` | {_first(one)} |" for name, one in ours.items() if name not in methods]
    lines += ["\n## What is absent\n", "| name | why |", "|---|---|"]
    lines += [f"| `cortex.{name}` | {why} |" for name, why in sorted(ATTRIBUTES.items())]
    for why in dict.fromkeys(NAMES.values()):
        lines.append(f"| {', '.join(f'`{name}`' for name, one in sorted(NAMES.items()) if one == why)} | {why} |")
    return "\n".join(lines) + "\n"


def _methods(api: Any) -> Iterator[tuple[str, Any]]:
    inherited = [kind for kind in reversed(type(api).__mro__) if kind is not object]
    for name in dict.fromkeys(name for kind in inherited for name in vars(kind)):
        if not name.startswith("_") and inspect.isroutine(part := getattr(type(api), name)):
            yield name, part


def _taken(method: Any) -> str:
    """The names of its parameters."""
    shown: list[str] = []
    for one in list(inspect.signature(method).parameters.values())[1:]:
        if one.kind is one.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        shown.append(f"**{one.name}" if one.kind is one.VAR_KEYWORD else one.name)
    return f"({', '.join(shown)})"


def _shown(method: Any, theirs: list[str]) -> str:
    ours = _taken(method)
    return "the same" if ours in (f"({', '.join(theirs)})", f"({', '.join([*theirs, '**keywords'])})") else f"`{ours}`"


def _first(method: Any) -> str:
    """The first sentence of its docstring."""
    said = " ".join((inspect.getdoc(method) or "").split("\n\n")[0].split())
    return said.partition(". ")[0].rstrip(".").replace("|", "\\|")
