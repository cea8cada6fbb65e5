"""Writes the typed calls of the contract's functions: a class for each table, with a method for each function."""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pydantic.alias_generators import to_snake

from cortex_rx.backends import contract
from cortex_rx.backends.contract import types
from cortex_rx.backends.contract.tables import FUNCTIONS, TABLES

FOLDER = Path(contract.__file__).parent / "typed"
_WRITTEN = "Written by docs/generate.py (make docs) from the contract's data: edit that."


def modules() -> dict[Path, str]:
    """The files of the package of typed calls."""
    names = {table: f"{table.name[:1].upper()}{table.name[1:]}" for table in TABLES}
    files = {FOLDER / f"{table.name}.py": _module(table, names[table]) for table in TABLES}
    files[FOLDER / "rows.py"] = _rows()
    imports = (f"from cortex_rx.backends.contract.typed.{table.name} import {name}" for table, name in names.items())
    doc = '"""The functions of a backend as methods.\n\n'
    doc += '    found = await Memories(backend).get(memory_space_id="support", memory_id="mem-1")\n\n'
    doc += f'`rows` describes the results. {_WRITTEN}\n"""'
    exports = f"__all__ = {sorted(names.values())}"
    files[FOLDER / "__init__.py"] = _formatted("\n".join([doc, "", *sorted(imports), "", exports, ""]))
    return files


def _module(table: types.Table, name: str) -> str:
    methods = "\n".join(_method(function) for function in table.functions)
    if "def list(" in methods:
        methods = re.sub(r"\blist\[", "builtins.list[", methods)  # in the class, `list` is the method
    rows = sorted({row for row in _named(table) if re.search(rf"\b{row}\b", methods)})
    used = [one for one in ("Literal",) if one in methods]
    lines = [
        _docstring("", f"The functions `{table.name}:*` of a backend.", _WRITTEN),
        "from __future__ import annotations",
        "",
        *(["import builtins"] if "builtins." in methods else []),
        *(["from collections.abc import Mapping"] if "Mapping[" in methods else []),
        f"from typing import {', '.join([*(['TYPE_CHECKING'] if rows else []), *sorted(['Any', *used])])}",
        "",
        "from cortex_rx.backends.base import Backend",
        f"from cortex_rx.backends.contract.call import {'LEFT_OUT, ' if 'LEFT_OUT' in methods else ''}Call",
        # Not at run time: that would be a twentieth of the import.
        *(
            ["if TYPE_CHECKING:", f"    from cortex_rx.backends.contract.typed.rows import {', '.join(rows)}"]
            if rows
            else []
        ),
        f"__all__ = [{name!r}]",
        f"class {name}:",
        f'    """The functions `{table.name}:*` of a backend."""',
        "",
        "    def __init__(self, backend: Backend) -> None:",
        "        self._backend = backend",
        "",
        methods,
    ]
    return _formatted("\n".join(lines))


def _method(function: types.Function) -> str:
    parameters: list[str] = []
    given: list[str] = []
    optional: list[str] = []
    for field in sorted(function.args.fields, key=lambda field: not field.required):
        name = argument(field.name)
        kind = _hint(field.type, result=False)
        if field.required:
            parameters.append(f"{name}: {kind}")
            given.append(f'"{field.name}": {name}')
        else:
            nothing = "LEFT_OUT" if isinstance(field.type, types.Json) else "None"
            parameters.append(f"{name}: {kind}{'' if nothing == 'LEFT_OUT' else ' | None'} = {nothing}")
            optional += [f"if {name} is not {nothing}:", f'    args["{field.name}"] = {name}']
    said = re.split(r"(?<=\.)\s", function.meaning)[0].replace("\n", " ")
    raises = [f"Raises {', '.join(f'`{error}`' for error in function.errors)}."] if function.errors else []
    lines = [
        f"def {method(function)}({', '.join(['self', *(['*'] if parameters else []), *parameters])})"
        f" -> Call[{_hint(function.result, result=True)}]:",
        _docstring("    ", said, *raises, deeper=4),
        f"    args: dict[str, Any] = {{{', '.join(given)}}}",
        *(f"    {line}" for line in optional),
        f'    return Call(self._backend.{function.kind}, "{function.path}", args)',
    ]
    return textwrap.indent("\n".join(lines), "    ") + "\n"


def _docstring(indent: str, *paragraphs: str, deeper: int = 0) -> str:
    """A docstring in lines of at most 120 columns; it will be indented by `deeper` more."""
    parts = [" ".join(paragraph.split()) for paragraph in paragraphs]
    width = 120 - deeper
    if len(parts) == 1 and len(indent) + len(parts[0]) + 6 <= width:
        return f'{indent}"""{parts[0]}"""'
    parts[0] = f'"""{parts[0]}'
    wrapped = [textwrap.fill(part, width, initial_indent=indent, subsequent_indent=indent) for part in parts]
    return "\n\n".join(wrapped) + f'\n{indent}"""'


def method(function: types.Function) -> str:
    """The name of the method of a function."""
    return argument(function.path.partition(":")[2])


def argument(name: str) -> str:
    """The name of an argument as a keyword."""
    snake = to_snake(name)
    return f"{snake}_" if keyword.iskeyword(snake) else snake


def _hint(kind: types.Type, *, result: bool) -> str:
    match kind:
        case types.Text() | types.TokenHash() | types.Cursor():
            return "str"
        case types.Integer():
            return "int"
        case types.Number():
            return "float"
        case types.OneOf():
            return f"Literal[{', '.join(map(repr, kind.values))}]"
        case types.Flag():
            return "bool"
        case types.Json():
            return "Any"
        case types.JsonObject():
            return "dict[str, Any]" if result else "Mapping[str, Any]"
        case types.Embedding():
            return "list[float]"
        case types.ListOf():
            return f"list[{_hint(kind.item, result=result)}]"
        case types.Object():
            return kind.name
        case types.Nullable():
            return f"{_hint(kind.of, result=result)} | None"
        case types.AnyOf():
            return " | ".join(_hint(one, result=result) for one in kind.of)


def _objects(kind: types.Type) -> Iterator[types.Object]:
    """The named objects in a type, the inner ones first."""
    if isinstance(kind, types.Nullable):
        yield from _objects(kind.of)
    elif isinstance(kind, types.AnyOf):
        for one in kind.of:
            yield from _objects(one)
    elif isinstance(kind, types.ListOf):
        yield from _objects(kind.item)
    elif isinstance(kind, types.Object):
        for field in kind.fields:
            yield from _objects(field.type)
        if kind.name:
            yield kind


def objects() -> dict[str, types.Object]:
    """All named objects, by name."""
    found: dict[str, types.Object] = {}
    for function in FUNCTIONS.values():
        for one in (*_objects(function.args), *_objects(function.result)):
            if found.setdefault(one.name, one) != one:
                raise LookupError(f"two objects of the contract are called {one.name}")
    return found


def _named(table: types.Table) -> Iterator[str]:
    for function in table.functions:
        yield from (one.name for kind in (function.args, function.result) for one in _objects(kind))


def _rows() -> str:
    lines = [
        _docstring("", "What the functions of a backend return.", _WRITTEN),
        "from __future__ import annotations",
        "",
        "from typing import Any, Literal, NotRequired, TypedDict",
        f"__all__ = {sorted(objects())}",
    ]
    before: list[types.Object] = []
    for one in objects().values():
        # A row that begins with all fields of another one, and has more, has that as its base.
        base = next((row for row in before if row.fields == one.fields[:-1][: len(row.fields)]), None)
        before.append(one)
        if any(keyword.iskeyword(field.name) for field in one.fields):  # such a name cannot stand in a class
            lines += [f"{one.name} = TypedDict({one.name!r}, {{"]
            lines += [f"{field.name!r}: {_field_hint(field)}," for field in one.fields]
            lines += ["})", *([_docstring("", one.meaning), ""] if one.meaning else [])]
            continue
        lines += [f"class {one.name}({base.name if base else 'TypedDict'}):"]
        if one.meaning:
            lines += [_docstring("    ", one.meaning), ""]
        for field in one.fields[len(base.fields) if base else 0 :]:
            lines.append(f"    {field.name}: {_field_hint(field)}")
    return _formatted("\n".join(lines))


def _field_hint(field: types.Field) -> str:
    kind = _hint(field.type, result=True)
    return kind if field.required else f"NotRequired[{kind}]"


def _formatted(code: str) -> str:
    ruff = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", str(FOLDER / "any.py"), "-"]
    return subprocess.run(ruff, input=code, capture_output=True, text=True, check=True).stdout
