"""The rooms of the package, and what imports what: for docs/implementation.md."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp

PACKAGE = "cortex_rx"


def rooms(root: Path) -> dict[str, str]:
    """Every room (a folder or a module right below the package), with the first sentence of its docstring."""
    found: dict[str, str] = {}
    for path in sorted((root / PACKAGE).iterdir()):
        source = path / "__init__.py" if path.is_dir() else path
        if not source.exists() or source.suffix != ".py" or path.name == "__init__.py":
            continue
        said = (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        found[f"{path.name}/" if path.is_dir() else path.name] = " ".join(said.split())
    return found


def imports() -> dict[str, set[str]]:
    """Which rooms a room imports.  Imports for type checkers count."""
    graph = grimp.build_graph(PACKAGE)
    arrows: dict[str, set[str]] = {}
    for module in graph.modules:
        room = _room(module)
        if room:
            arrows.setdefault(room, set()).update(
                other
                for one in graph.find_modules_directly_imported_by(module)
                if (other := _room(one)) and other != room
            )
    return arrows


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def order(arrows: dict[str, set[str]]) -> list[str]:
    """The rooms, each above all that it imports.  Raises `ValueError` where the imports go in a circle."""
    height: dict[str, int] = {}

    def of(room: str, above: tuple[str, ...]) -> int:
        if room in above:
            raise ValueError(f"a circle of imports: {' -> '.join((*above[above.index(room) :], room))}")
        if room not in height:
            height[room] = 1 + max((of(one, (*above, room)) for one in arrows[room]), default=-1)
        return height[room]

    return sorted(arrows, key=lambda room: (-of(room, ()), room))


def direct(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no longer way replaces, so that the drawing can be read."""

    def below(room: str) -> set[str]:
        return arrows[room].union(*(below(one) for one in arrows[room]))

    return {
        room: {one for one in ones if not any(one in below(other) for other in ones)} for room, ones in arrows.items()
    }


def page(root: Path) -> str:
    """The tree, a line a room, and the drawing."""
    arrows = imports()
    said = rooms(root)
    lines = ["\n| room | what it is for |", "|---|---|"]
    by_name = {name.removesuffix("/").removesuffix(".py"): name for name in said}
    ordered = order(arrows)
    for room in ordered:
        lines.append(
            f"| [`{by_name[room]}`](../{PACKAGE}/{by_name[room]}) | {said[by_name[room]].replace('|', chr(92) + '|')} |"
        )
    lines += [
        "\nAn arrow is an import. What a room reaches on a longer way as well has no arrow of its own here. `import-linter` checks",
        "that imports go down only; there is no circle.\n",
        "```mermaid",
        "flowchart TD",
    ]
    shown = direct(arrows)
    lines += [f"    {room}" for room in ordered]
    lines += [f"    {room} --> {one}" for room in ordered for one in sorted(shown[room])]
    lines += ["```\n"]
    return "\n".join(lines)
