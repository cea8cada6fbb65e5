"""Writes docs/contract.md from the contract's data."""

from __future__ import annotations

import inspect
import re

from contract_typed import objects

from cortex_rx.backends import contract
from cortex_rx.backends.contract import types
from cortex_rx.backends.contract.tables import FUNCTIONS, TABLES

_HEAD = """# The contract of a memory backend

What a store must do for the operators, the client and the spool. [SQLite](decisions/sqlite.md) is such a store.
[`check_backend`](faults.md) tests whether a store keeps the contract. In Python each function is a method of
`cortex_rx.backends.contract.typed`.
"""

_TYPES = """## How arguments are given

| type | what is accepted |
|---|---|
"""


def page(note: str) -> str:
    """The whole page."""
    said = (inspect.getdoc(contract) or "").split("\n\n")[1:]
    general = [_text(part) for part in said if not part.startswith((" ", "`types` says"))]
    lines = [note, _HEAD, *(f"{part}\n" for part in general)]
    counts = f"{len(FUNCTIONS)} functions"
    lines.append(f"{counts}; those marked \\* are ours, the others are of the stock contract, as far as they go.\n")
    lines.append("| function | | arguments | result |\n|---|---|---|---|")
    for function in FUNCTIONS.values():
        mark = "\\*" if function.ours else ""
        arguments = ", ".join(_field(field) for field in function.args.fields)
        cells = (
            f"[`{function.path}`](#{_anchor(function.path)}){mark}",
            function.kind,
            arguments,
            _shape(function.result),
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "`?` = may be left out; what counts then stands in brackets.\n", _TYPES.rstrip()]
    lines += [f"| {name} | {_paragraph(kind, 0)} |" for name, kind in _WORDS.items()]
    lines.append(f"| ranges | {_paragraph(types.ListOf, 1)} |")
    for table in TABLES:
        lines += [f"\n## {table.name}\n", _text(table.meaning)]
        for function in table.functions:
            lines += [f"\n### {function.path}\n", *_described(function)]
    lines += ["\n## Shapes\n", "What the names in the results stand for. A key without a value is left out.\n"]
    for name, shape in sorted(objects().items()):
        lines += [f"### {name}\n"]
        if shape.meaning:
            lines += [f"{_text(shape.meaning)}\n"]
        lines += ["| field | type |", "|---|---|"]
        for field in shape.fields:
            lines.append(f"| `{field.name}`{'' if field.required else '?'} | {_shape(field.type)} |")
        lines.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


_WORDS: dict[str, type] = {
    "text": types.Text,
    "integer": types.Integer,
    "number": types.Number,
    "flag": types.Flag,
    "token hash": types.TokenHash,
    "embedding": types.Embedding,
    "cursor": types.Cursor,
    "JSON": types.Json,
    "object": types.JsonObject,
}


def _paragraph(kind: type, number: int) -> str:
    return _text((inspect.getdoc(kind) or "").split("\n\n")[number])


def _described(function: types.Function) -> list[str]:
    lines = [
        f"A {function.kind}{', ours' if function.ours else ''}. Gives {_shape(function.result)}.\n",
        _text(function.meaning),
    ]
    lines += ["\n| argument | type | left out |", "|---|---|---|"]
    for field in function.args.fields:
        left = "–" if field.required else "" if field.default is None else f"`{field.default!r}`"
        lines.append(f"| `{field.name}`{'' if field.required else '?'} | {_shape(field.type)} | {left} |")
    lines += [f"\n{_rule(rule)}" for rule in function.args.rules]
    if function.errors:
        lines.append(f"\nErrors: {', '.join(f'`{error}`' for error in function.errors)}.")
    if function.when_archived:
        lines.append("\nAlso while the memory space is archived.")
    if function.repeated:
        lines.append(f"\nSent again: {_text(function.repeated)}")
    return lines


def _field(field: types.Field) -> str:
    default = "" if field.default is None else f" ({field.default!r})"
    return f"{field.name}{'' if field.required else '?'}{default}"


def _rule(rule: types.Rule) -> str:
    match rule:
        case types.OnlyWith(field, other):
            return f"`{field}` only together with `{other}`."
        case types.Differs(field, other):
            return f"`{field}` is another one than `{other}`."
        case types.Needs(field, value, other):
            return f"Where `{field}` is `{value}`, `{other}` is required."
        case types.OnlyFor(field, other, values):
            return f"`{field}` only where `{other}` is {' or '.join(f'`{value}`' for value in values)}."
        case types.Either(field, other):
            return f"Either `{field}` or `{other}`."
        case types.AtLeastOne(names):
            return f"At least one of {', '.join(f'`{name}`' for name in names)}."
        case types.Covers(field, length):
            return f"`{field}` end at `{length}`."


def _shape(kind: types.Type) -> str:
    match kind:
        case types.Text(least):
            return "text, not empty" if least else "text"
        case types.Cursor():
            return "cursor"
        case types.TokenHash():
            return "token hash"
        case types.Integer(least, most, unit):
            bounds = f", {least:,} to {most:,}" if most < types.Integer().max else f", {least} or more" if least else ""
            return f"{unit or 'integer'}{bounds}"
        case types.Number(least, most):
            return "number" if least is None or most is None else f"number, {least:g} to {most:g}"
        case types.OneOf(values):
            return " / ".join(f'"{value}"' for value in values)
        case types.Flag():
            return "flag"
        case types.Json():
            return "JSON"
        case types.JsonObject():
            return "object"
        case types.Embedding():
            return "embedding"
        case types.ListOf(item, rule):
            return f"[{_shape(item)}]{f', {rule}' if rule else ''}"
        case types.Object():
            return f"[{kind.name}](#{_anchor(kind.name)})"
        case types.Nullable(inner):
            return f"{_shape(inner)} or None"
        case types.AnyOf(kinds):
            return " or ".join(map(_shape, kinds))


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _text(words: str) -> str:
    """Each paragraph and each item of a list on one line."""
    return re.sub(r"(?<!\n)\n(?!\n|\* )\s*", " ", words)
