"""Write the generated documentation: the marbles in the operators' docstrings, operators.md, events.md, options.md,
errors.md, contract.md with the typed calls and `calls.json`, Cortex's methods beside ours, the indexes of decisions and
APIs, and the tables of running-tests.md, proofs.md and implementation.md.

`make docs` runs it; `tests/docs/test_generated.py` fails when what it would write is not what is there.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import apis_page
import contract_page
import contract_samples
import contract_typed
import cortex_page
import errors_table
import options_table
import rooms_page
import scenes

import cortex_rx
from cortex_rx import SqliteBackend, Turn, events, from_stream, recalling
from cortex_rx import operators as cx
from cortex_rx.chain import Step

ROOT = Path(cortex_rx.__file__).resolve().parents[1]
NOTE = "<!-- Written by docs/generate.py (make docs) from the docstrings and declarations: edit those. -->\n"
FIGURES = (
    "<!-- From here on written by docs/generate.py (make docs), from docs/proofs.json, which make torture writes. -->\n"
)
ROOMS = "<!-- From here on written by docs/generate.py (make docs), from the rooms' docstrings and imports. -->\n"
SHAPES = "<!-- From here on written by docs/generate.py (make docs), from the snapshot of the test. -->\n"
TESTS = "<!-- From here on written by docs/generate.py (make docs), from the docstrings of the files. -->\n"
DECISION = re.compile(r"# (.+)\n\nStatus: (.+)\.\nDate: (.+)\.\n\n")
DRAWING = re.compile(r"^( *)```text\n.*?^\1```$", re.DOTALL | re.MULTILINE)

OPERATORS_HEAD = """# Operators

Every operator takes events and emits events, so any number of them can stand in a chain. A sink ends a pipeline and
returns something else. [events.md](events.md) describes the events, [running-tests.md](running-tests.md) how to run the
tests.

The marbles are drawn from runs in virtual time (`docs/scenes.py`). One character is 100 ms. Small letters are the text
of deltas, capitals are other events. `(ab)` came within one frame; `|` completed, `#` failed, `!` was disposed of from
downstream. `source` is what comes to the operator, `out` is what it emits. Above each drawing stands the operator that
was run.
"""

EVENTS_HEAD = """# Events

What flows through a chain. Each event is a slotted dataclass in [`cortex_rx/events.py`](../cortex_rx/events.py), made
with keywords or in the order of its fields. `to_json` and `from_json` turn an event into JSON and back. `offset` and
lengths are code points, `index` counts deltas from 0, `at` is seconds since `Opened`.

An operator that *needs* an event cannot work without it; this is checked before a chain runs. An operator that *reads*
an event uses it if it comes. A dash means that no operator and no source declares it. Sinks are not in the table: they
take every event.
"""


DECISIONS_HEAD = """
# Decisions

What was decided between real alternatives, and why. A decision stays in force until its status says otherwise.

| decision | status | date |
|---|---|---|
"""


def outputs() -> dict[Path, str]:
    """Every generated file, with its content."""
    operators = {name: getattr(cx, name) for name in cx.__all__ if _module(getattr(cx, name)) != "cortex_rx.chain"}
    if missing := sorted(operators.keys() - scenes.SCENES.keys()):
        raise LookupError(
            f"no scene for {', '.join(missing)}: add one to docs/scenes.py, from which its marbles are drawn"
        )
    if unknown := sorted(scenes.SCENES.keys() - operators.keys()):
        raise LookupError(f"docs/scenes.py has scenes for what is not in cortex_rx.operators: {', '.join(unknown)}")
    made = {name: scenes.play(scenes.SCENES[name][0])[0] for name in operators}
    steps = {name: step for name, step in made.items() if isinstance(step, Step)}
    drawings = {name: scenes.marbles(scenes.SCENES[name]) for name in operators}
    files = {_source(operators[name]): _drawn(_source(operators[name]), drawings[name]) for name in operators}
    files[ROOT / "docs/operators.md"] = operators_page(operators, steps, drawings)
    files[ROOT / "docs/events.md"] = events_page(steps)
    files[ROOT / "docs/options.md"] = options_table.page()
    files[ROOT / "docs/contract.md"] = contract_page.page(NOTE)
    files[contract_samples.PATH] = contract_samples.text()
    files |= contract_typed.modules()
    files[ROOT / "docs/errors.md"] = errors_table.page()
    page = ROOT / "docs/running-tests.md"
    files[page] = page.read_text(encoding="utf-8").split(TESTS)[0] + TESTS + tests_table()
    page = ROOT / "docs/adapting.md"
    files[page] = page.read_text(encoding="utf-8").split(SHAPES)[0] + SHAPES + shapes_table()
    page = ROOT / "docs/proofs.md"
    files[page] = page.read_text(encoding="utf-8").split(FIGURES)[0] + FIGURES + proofs_tables()
    files[ROOT / "docs/decisions/README.md"] = decisions_index(ROOT / "docs/decisions")
    files[ROOT / "docs/apis/cortex.md"] = cortex_page.page(NOTE)
    files[ROOT / "docs/apis/README.md"] = apis_page.index(ROOT / "docs/apis", NOTE)
    page = ROOT / "docs/implementation.md"
    files[page] = page.read_text(encoding="utf-8").split(ROOMS)[0] + ROOMS + rooms_page.page(ROOT)
    return files


def operators_page(operators: dict[str, Any], steps: dict[str, Step], drawings: dict[str, str]) -> str:
    sinks = [name for name in operators if name not in steps]
    tools = [name for name in cx.__all__ if name not in operators]
    lines = [NOTE, OPERATORS_HEAD]
    titles: list[str] = []  # in small letters: where two are the same, the second heading gets a number
    for group, names in (("Operators", steps), ("Sinks", sinks), ("Making chains", tools)):
        links: list[str] = []
        for name in names:
            before = titles.count(name.lower())
            titles.append(name.lower())
            links.append(f"[`{name}`](#{name.lower()}{f'-{before}' if before else ''})")
        lines.append(f"* {group}: {', '.join(links)}")
    for name in (*steps, *sinks):
        make = operators[name]
        lines += [f"\n## {name}\n", _signature(name, make), _doc(make, operators, drawings[name])]
        if name in steps:
            lines.append(_declared(steps[name]))
        lines.append(_links(name, make))
    lines.append("\n## Making chains\n\nWith these, operators become values, and values become chains.")
    for name in tools:
        lines += [f"\n### {name}\n", _signature(name, getattr(cx, name)), _doc(getattr(cx, name), operators)]
        lines += [f"* `{shown}`: {_summary(part)}" for shown, part in _members(getattr(cx, name))]
    return _page(lines)


def events_page(steps: dict[str, Step]) -> str:
    turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    source: Any = from_stream([], turn=turn)  # what `declare` has said of it
    recalls: Any = from_stream(recalling(SqliteBackend(":memory:"), lambda recalled: []), turn=turn)
    plain = source._cortex_declared.emits
    emitted = {"from_stream": plain, "recalling": recalls._cortex_declared.emits - plain} | {
        name: step.emits for name, step in steps.items()
    }
    kinds: tuple[type[events.StreamEvent], ...] = get_args(events.BuiltinEvent)

    def who(kind: type, sets: dict[str, frozenset[type[events.StreamEvent]]]) -> str:
        found = [name for name, members in sets.items() if kind in members]
        return ", ".join(f"[`{name}`](operators.md#{name})" if name in steps else f"`{name}`" for name in found) or "–"

    lines = [NOTE, EVENTS_HEAD, "| event | emitted by | needed by | read by |", "|---|---|---|---|"]
    needed = {name: step.needs for name, step in steps.items()}
    read = {name: step.reads for name, step in steps.items()}
    for kind in kinds:
        cells = (who(kind, emitted), who(kind, needed), who(kind, read))
        lines.append(f"| [`{kind.__name__}`](#{kind.__name__.lower()}) | {' | '.join(cells)} |")
    for kind in kinds:
        lines += [
            f"\n## {kind.__name__}\n",
            _text(inspect.getdoc(kind) or ""),
            "\n| field | type | default | |",
            "|---|---|---|---|",
        ]
        said = _field_docs(kind)
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            default = "" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
            shown = str(field.type).replace("|", "\\|")
            lines.append(
                f"| `{field.name}` | `{shown}` | {default} | {_text(said.get(field.name, '')).replace('|', '&#124;')} |"
            )
    return _page(lines)


def shapes_table() -> str:
    """What `adapt` does to twelve streams, as `tests/operators/test_adapt_shapes.py` found it."""
    snapshot = ROOT / "tests/operators/__snapshots__/test_adapt_shapes.ambr"
    rows = re.findall(r"^  (\|.*)$", snapshot.read_text(encoding="utf-8"), re.MULTILINE)
    return "\n" + "\n".join(rows) + "\n"


def proofs_tables() -> str:
    """The figures of the proofs, and which proof found each mutant."""
    figures: dict[str, dict[str, int]] = json.loads((ROOT / "docs/proofs.json").read_text(encoding="utf-8"))
    lines = ["\n## Figures\n", "Of the last `make torture`.\n", "| proof | cases | of these |", "|---|---|---|"]
    for name, counts in figures.items():
        if not name.startswith("mutant: "):
            main = next(
                (what for what in counts if what in ("cases", "kills", "stops", "seeds", "examples of 80 steps")), None
            )
            others = ", ".join(f"{what} {number:,}" for what, number in counts.items() if what != main)
            lines.append(f"| {name} | {f'{counts[main]:,}' if main else ''} | {others} |")
    lines += ["\n## Mutants\n", "| the library is broken: | found by, at its n-th case |", "|---|---|"]
    mutants = ast.parse((ROOT / "tests/proofs/mutants.py").read_text(encoding="utf-8"))
    said = {
        part.name.replace("_", " "): ast.get_docstring(part)
        for part in mutants.body
        if isinstance(part, ast.FunctionDef)
    }
    for name, counts in figures.items():
        if name.startswith("mutant: "):
            broken = name.removeprefix("mutant: ")
            found = ", ".join(f"{proof} ({number})" for proof, number in counts.items())
            lines.append(f"| {broken}: {said[broken]} | {found} |")
    return "\n".join(lines) + "\n"


def decisions_index(folder: Path) -> str:
    """The decisions with their status and date, in the order of their titles."""
    rows: list[tuple[str, str]] = []
    for page in folder.glob("*.md"):
        if page.name != "README.md":
            found = DECISION.match(page.read_text(encoding="utf-8"))
            if not found:
                raise LookupError(
                    f"{page.name} does not begin with `# title`, `Status: ...` and `Date: ...`, each with a dot"
                )
            rows.append((found[1], f"| [{found[1]}]({page.name}) | {found[2]} | {found[3]} |"))
    return NOTE + DECISIONS_HEAD + "".join(f"{row}\n" for _, row in sorted(rows))


def tests_table() -> str:
    """Every file of tests, with the first paragraph of its docstring, by folder."""
    lines: list[str] = []
    for folder in (ROOT / "tests", *sorted(path for path in (ROOT / "tests").rglob("*") if path.is_dir())):
        files = sorted(folder.glob("test_*.py"))
        if not files:
            continue
        lines += [f"\n### {folder.relative_to(ROOT)}\n", "| file | what it shows |", "|---|---|"]
        for path in files:
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            if not said:
                raise LookupError(f"{path.relative_to(ROOT)} does not say what it tests: it needs a docstring")
            first = said.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            lines.append(f"| [`{path.name}`](../{path.relative_to(ROOT)}) | {first} |")
    return "\n".join(lines) + "\n"


def _page(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _module(made: Any) -> str:
    return str(inspect.unwrap(made).__module__)


def _source(made: Any) -> Path:
    return Path(inspect.getfile(inspect.unwrap(made))).resolve()


def _drawn(path: Path, drawing: str) -> str:
    """The source of an operator with the drawing in its docstring."""
    text = path.read_text(encoding="utf-8")
    if len(DRAWING.findall(text)) != 1:
        raise LookupError(
            f"{path.name}: its docstring needs one block ```text ... ```, which is replaced by its marbles"
        )
    return DRAWING.sub(lambda found: _block(drawing, found[1]), text)


def _block(drawing: str, indent: str = "") -> str:
    return "\n".join(f"{indent}{line}".rstrip() for line in ("```text", *drawing.splitlines(), "```"))


def _signature(name: str, made: Any) -> str:
    """How it is called, with one argument per line where there are many."""
    signature = inspect.signature(inspect.unwrap(made))
    parts: list[str] = []
    for at, parameter in enumerate(signature.parameters.values()):
        kinds = [other.kind for other in list(signature.parameters.values())[:at]]
        if (
            parameter.kind is parameter.KEYWORD_ONLY
            and parameter.kind not in kinds
            and parameter.VAR_POSITIONAL not in kinds
        ):
            parts.append("*")
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f" = {_value(parameter.default)}"
        parts.append(f"{star}{parameter.name}: {parameter.annotation}{default}")
    gives = "" if inspect.isclass(made) else f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parts)}){gives}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){gives}"
    return f"```python\n{line}\n```\n"


def _value(value: object) -> str:
    return value.__name__ if inspect.isclass(value) else repr(value).removeprefix("datetime.")


def _doc(made: Any, linked: Iterable[str], drawing: str = "") -> str:
    """A docstring as Markdown."""
    doc = _text(inspect.getdoc(made) or "")
    if drawing:
        doc = DRAWING.sub(lambda _: _block(drawing), doc)
    doc = re.sub(r"^>>> (?:.+\n?)+", lambda found: f"```python\n{found[0].rstrip()}\n```\n", doc, flags=re.MULTILINE)
    doc = re.sub(r"^(Commonly used for|See also):", r"**\1:**", doc, flags=re.MULTILINE)

    def link(found: re.Match[str]) -> str:
        return re.sub(r"`(\w+)`", lambda name: f"[{name[0]}](#{name[1]})" if name[1] in linked else name[0], found[0])

    return re.sub(r"^\*\*See also:\*\*.*", link, doc, flags=re.MULTILINE) + "\n"


def _text(doc: str) -> str:
    return re.sub(r"(?<=[.:]) {2}(?=\S)", " ", doc)


def _summary(made: Any) -> str:
    return _text((inspect.getdoc(made) or "").split("\n\n")[0].replace("\n", " "))


def _members(made: Any) -> list[tuple[str, Any]]:
    """The methods and properties of a class that have a name of their own."""
    if not inspect.isclass(made):
        return []
    own = [(name, part) for name, part in vars(made).items() if not name.startswith("_")]
    found: list[tuple[str, Any]] = []
    for name, part in own:
        if isinstance(part, property):
            found.append((name, part))
        elif inspect.isfunction(part):
            _self, *rest = inspect.signature(part).parameters.values()
            found.append((f"{name}({', '.join(str(each).replace(chr(39), '') for each in rest)})", part))
    return found


def _declared(step: Step) -> str:
    """The declarations of a step, as a table."""

    def named(kinds: Iterable[type[events.StreamEvent]]) -> str:
        return (
            ", ".join(f"[`{kind}`](events.md#{kind.lower()})" for kind in sorted(kind.__name__ for kind in kinds))
            or "–"
        )

    said = "| needs | reads | emits | |\n|---|---|---|---|\n"
    said += f"| {named(step.needs)} | {named(step.reads)} | {named(step.emits)} |"
    owns = [words for words, true in (("rewrites text", step.rewrites), ("takes text", step.captures_text)) if true]
    return f"{said} {', '.join(owns)} |\n"


def _links(name: str, made: Any) -> str:
    tests = sorted((ROOT / "tests/operators").glob(f"test_{name}*.py"))
    if not tests:
        raise LookupError(f"{name} has no tests/operators/test_{name}.py")
    paths = [_source(made).relative_to(ROOT), *(test.relative_to(ROOT) for test in tests)]
    return "Source and tests: " + ", ".join(f"[`{path}`](../{path})" for path in paths)


def _field_docs(kind: type) -> dict[str, str]:
    """The strings below the fields of a class."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    said: dict[str, str] = {}
    for one, after in zip(tree.body, tree.body[1:], strict=False):
        match one, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                said[name] = " ".join(text.split())
    return said


def stale(files: dict[Path, str]) -> list[str]:
    """The files that differ from what would be written now."""
    return [
        str(path.relative_to(ROOT))
        for path, text in files.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> None:
    files = outputs()
    if sys.argv[1:] == ["--check"]:
        sys.exit("stale, run `make docs`: " + ", ".join(names) if (names := stale(files)) else 0)
    for name in stale(files):
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_text(files[ROOT / name], encoding="utf-8")
        sys.stdout.write(f"wrote {name}\n")


if __name__ == "__main__":
    main()
