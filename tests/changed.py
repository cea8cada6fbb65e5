"""Run the tests of the files that differ from `main`: `make quick`.

For a changed file of the package these are its doctests, the tests that are named like it (`tests/a/test_b*.py` or
`tests/test_b*.py` for `cortex_rx/a/b.py`), and the tests that use a name that it exports.  Where there are none, as for
a private module, they are the tests of the modules that import it.  For a helper or a story they are the tests that
import it; for a `conftest.py`, the tests of its folder.  Files outside the package are tested by `tests/docs`,
`tests/examples` and `tests/docs/test_readme.py`.

This is a guess.  Only `make test` shows that nothing is broken.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS = ROOT / "cortex_rx", ROOT / "tests"
OUTSIDE = ["tests/benchmarks", "tests/docs", "tests/examples", "tests/docs/test_readme.py"]
EVERYTHING = {"pyproject.toml", "constraints.txt", "Makefile", "tests/conftest.py", "pytest_cortex_rx.py"}


def main(arguments: list[str]) -> int:
    changed = _changed()
    if EVERYTHING & set(changed):
        sys.stderr.write("what is changed concerns every test\n")
        return _pytest(arguments)
    chosen = sorted({test for name in changed for test in tests_of(ROOT / name)})
    if not chosen:
        sys.stderr.write("nothing is changed that has a test\n")
        return 0
    sys.stderr.write(f"files changed: {len(changed)}; their tests: {' '.join(chosen)}\n")
    return _pytest([*chosen, *arguments])


def tests_of(path: Path) -> set[str]:
    """The files and folders, as arguments of pytest, that test a file of the tree; none for a file that is gone."""
    name = path.relative_to(ROOT).as_posix()
    if not path.exists():
        return set()
    if PACKAGE in path.parents:
        if path.suffix == ".py":
            return {name} | _tests_of_module(path)
        readers = [
            each for each in path.parent.glob("*.py") if each.stem != "__init__" and path.name in each.read_text()
        ]
        return {test for each in readers for test in tests_of(each)}
    if TESTS in path.parents:
        if path.name == "conftest.py":
            return {path.parent.relative_to(ROOT).as_posix()}
        if path.name.startswith("test_") and path.suffix == ".py":
            return {name}
        if path.suffix == ".ambr":
            return tests_of(path.parents[1] / f"{path.stem}.py")
        return _tests_of_helper(path)
    return set(OUTSIDE)


def _tests_of_helper(path: Path) -> set[str]:
    users, found = [path], set(TESTS.glob(f"test_{path.stem}.py"))
    while users:
        user = users.pop()
        if user.stem.startswith("test_"):
            found.add(user)
        else:
            name = _dotted(user, TESTS)
            new = [each for each in sorted(TESTS.rglob("*.py")) if each not in found and _does_import(each, name)]
            users += new
            found.update(new)
    return _named(each for each in found if each.stem.startswith("test_"))


def _tests_of_module(path: Path, seen: frozenset[Path] = frozenset()) -> set[str]:
    folder, stem = path.relative_to(PACKAGE).parent, path.stem
    patterns = [f"test_{stem}*.py"] if folder == Path() else [f"{folder}/test_{stem}*.py", f"test_{stem}*.py"]
    found = {test for pattern in patterns for test in TESTS.glob(pattern)}
    if stem != "__init__":
        exported = _exported(path)
        found |= {test for test in _tests() if _has(test, exported) and _use(test, exported, path)}
    private = any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(PACKAGE).parts)
    if found and not private:
        return _named(found)
    importers = [each for each in _modules() if each not in seen and _does_import(each, _dotted(path, ROOT))]
    return _named(found).union(*(_tests_of_module(each, seen | {path}) for each in importers))


def _changed() -> list[str]:
    base = _git("merge-base", "HEAD", "main") or ["HEAD"]
    return sorted({*_git("diff", "--name-only", base[0]), *_git("ls-files", "--others", "--exclude-standard")})


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")[:-1]


@cache
def _tests() -> list[Path]:
    return sorted(TESTS.rglob("test_*.py"))


@cache
def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _has(path: Path, names: Iterable[str]) -> bool:
    """Whether one of the names is anywhere in a file's text: only then is it worth while to parse it."""
    return bool(set(names) & _words(path))


def _use(test: Path, names: set[str], path: Path) -> bool:
    """Whether a test uses one of these names of a module."""
    used = names & _uses(test)
    return bool(used and used - _of_others(test, path))


@cache
def _words(path: Path) -> set[str]:
    return set(re.findall(r"\w+", path.read_text()))


@cache
def _uses(path: Path) -> set[str]:
    """The names that a file uses."""
    found: set[str] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
    return found


def _of_others(test: Path, path: Path) -> set[str]:
    """The names that a test imports from another module where they are defined: its `TABLE` may be another module's."""
    found = {one.rpartition(".")[::2] for one in _imports(test)}
    return {name for module, name in found if module != _dotted(path, ROOT) and _file(module).exists()}


def _file(dotted: str) -> Path:
    return ROOT / f"{dotted.replace('.', '/')}.py"


def _exported(path: Path) -> set[str]:
    for node in _parsed(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


@cache
def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def _does_import(path: Path, name: str) -> bool:
    return _has(path, [name.rpartition(".")[2]]) and name in _imports(path)


def _dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _named(paths: Iterable[Path]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in paths}


def _pytest(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", "--numprocesses", "auto", *arguments], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
