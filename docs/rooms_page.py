"""The rooms of the package and their imports, for docs/implementation.md."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import grimp

PACKAGE = "cortex_rx"


def rooms(root: Path) -> dict[str, str]:
    """Every room (a folder or a module directly below the package), with the first paragraph of its docstring."""
    found: dict[str, str] = {}
    for path in sorted((root / PACKAGE).iterdir()):
        source = path / "__init__.py" if path.is_dir() else path
        if not source.exists() or source.suffix != ".py" or path.name == "__init__.py":
            continue
        said = (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        found[f"{path.name}/" if path.is_dir() else path.name] = " ".join(said.split())
    return found


def imports() -> dict[str, set[str]]:
    """The rooms that each room imports. Imports for type checkers count."""
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


def layers(root: Path) -> list[set[str]]:
    """The layers that `pyproject.toml` declares to import-linter, the top one first."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (declared,) = [contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers"]
    return [{_room(name.strip()) for name in layer.split("|")} for layer in declared]


def order(arrows: dict[str, set[str]], declared: list[set[str]]) -> list[str]:
    """The rooms, by layer, the top one first.

    Raises `ValueError` for a room without a layer, and for an import that does not go down.  So there is no circle.
    """
    level = {room: depth for depth, layer in enumerate(declared) for room in layer}
    if arrows.keys() != level.keys():
        raise ValueError(f"in no layer, or no room: {', '.join(sorted(arrows.keys() ^ level.keys()))}")
    for room, ones in arrows.items():
        for one in ones:
            if level[one] <= level[room]:
                raise ValueError(f"{room} imports {one}, which is not below it")
    return sorted(arrows, key=lambda room: (level[room], room))


def direct(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no longer path implies, so that the drawing can be read."""

    def below(room: str) -> set[str]:
        return arrows[room].union(*(below(one) for one in arrows[room]))

    return {
        room: {one for one in ones if not any(one in below(other) for other in ones)} for room, ones in arrows.items()
    }


def page(root: Path) -> str:
    """The table with one line per room, and the drawing."""
    arrows = imports()
    said = rooms(root)
    lines = ["\n| room | what it is for |", "|---|---|"]
    by_name = {name.removesuffix("/").removesuffix(".py"): name for name in said}
    ordered = order(arrows, layers(root))
    for room in ordered:
        lines.append(
            f"| [`{by_name[room]}`](../{PACKAGE}/{by_name[room]}) | {said[by_name[room]].replace('|', chr(92) + '|')} |"
        )
    lines += [
        "\nThe rooms stand in the order of their layers (`pyproject.toml`). An arrow is an import. An import that a",
        "longer path of arrows implies is not drawn. Imports go down only, so there is no circle. `import-linter`",
        "checks it, and this page is not written otherwise.\n",
        "```mermaid",
        "flowchart TD",
    ]
    shown = direct(arrows)
    lines += [f"    {room}" for room in ordered]
    lines += [f"    {room} --> {one}" for room in ordered for one in sorted(shown[room])]
    lines += ["```\n"]
    return "\n".join(lines)
