"""Every public name has a docstring, and what a user calls has an example that is executed.

Public is what stands in the `__all__` of a module of `cortex_rx` that is not named in `INSIDE`.  The rule for examples:

* a function or class that a user calls is used in an example of its own docstring, or of its module or package;
* an exception or a record (a dataclass, a pydantic model, an enum, a protocol) needs none: an example in its module is
  enough;
* parts of the machinery that a user is handed, but does not make, are named in `HANDED`.

Doctest finds each of these examples, so `make test` runs them.
"""

from __future__ import annotations

import ast
import dataclasses
import doctest
import enum
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin

import pytest
from pydantic import BaseModel

import cortex_rx

INSIDE = {"validation"}  # without an underscore, since other rooms use them, but not for users
HANDED = {
    "Gate": "the engine makes gates for its mailboxes",
    "LastItem": "the fold of a `Shared` that is given none",
    "Reader": "made by a `Shared`, for each reader",
    "ReaderMailbox": "made by a `Reader`",
    "AnswerReader": "made by an `Answer`",
    "Follower": "made by `follow`",
    "TimeoutGuard": "how a source keeps to a limit",
    "pull": "how `from_stream` asks the flow",
    "declare": "how `from_stream` says what it emits",
    "Accumulated": "made by `observe`, for a `ChunkEvent`",
    "Growing": "made by `observe`",
    "Branch": "made by `tee_stream`",
    "consume_async_iterable": "another name of `consume_stream`",
    "stream_error": "how `observe` and the result say what failed",
    "Fixed": "made by `cutter`",
    "Packer": "made by `cutter`",
    "Paragraphs": "made by `cutter`",
    "Scanner": "made by `cutter`",
    "Sentences": "made by `cutter`",
    "Words": "made by `cutter`",
}
MODULES = [
    "cortex_rx",
    *(
        f"cortex_rx.{found.name}"
        for found in pkgutil.iter_modules(cortex_rx.__path__)
        if not found.name.startswith("_") and found.name not in INSIDE
    ),
]
ENGINE = {
    "deadline": ("SourceTimedOut", "TimeoutGuard", "TimeoutPolicy"),
    "frames": ("after_failure", "pull", "resume"),
    "running": ("Fold", "LastItem", "Reader", "ReaderMailbox", "Shared", "Started", "Stopped"),
    "scheduler": ("LIMIT", "ForeignCancellation", "Gate", "ReopenState"),
}
"""What other rooms take from the modules of the engine, and the author of an operator does not need."""
NAMES = [
    *((module, name) for module in MODULES for name in importlib.import_module(module).__all__),
    *((f"cortex_rx.engine.{module}", name) for module, names in ENGINE.items() for name in names),
]
IDS = [f"{module}.{name}" for module, name in NAMES]
OURS = [
    (f"cortex_rx.{one}", name) for one in sorted(INSIDE) for name in importlib.import_module(f"cortex_rx.{one}").__all__
]
"""What users are not handed says what it is as well; an example it need not have."""


def has_docstring(value: Any) -> bool:
    """Whether it may have a docstring of its own: not an alias, a constant, or a method of a foreign package's
    object.
    """
    return inspect.isclass(value) or (inspect.isroutine(value) and value.__module__ is not None)


def home(module: str, name: str) -> tuple[ModuleType, Any]:
    """The module that defines it, and the object."""
    value = getattr(importlib.import_module(module), name)
    if has_docstring(value):
        return importlib.import_module(inspect.unwrap(value).__module__), value
    known = (*parts(module), *parts("cortex_rx"))
    return next(one for one in known if name in strings(one) and getattr(one, name) is value), value


@cache
def parts(module: str) -> tuple[ModuleType, ...]:
    """A module and the modules in its package; for the whole package, all."""
    made = importlib.import_module(module)
    inner = pkgutil.walk_packages(getattr(made, "__path__", ()), f"{module}.")
    return (made, *(importlib.import_module(one.name) for one in inner if not one.name.endswith("__main__")))


@cache
def strings(module: ModuleType) -> dict[str, str]:
    """The strings below the assignments of a module."""
    body = ast.parse(inspect.getsource(module)).body
    said: dict[str, str] = {}
    for one, after in zip(body, body[1:]):
        target = (
            one.target if isinstance(one, ast.AnnAssign) else one.targets[0] if isinstance(one, ast.Assign) else None
        )
        if isinstance(target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            said[target.id] = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
    return said


@cache
def examples(module: ModuleType) -> dict[str, str]:
    """The sources of the examples that doctest finds in a module, by the name of the object that they belong to."""
    found = doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__)
    return {test.name: "\n".join(example.source for example in test.examples) for test in found if test.examples}


def is_record(value: Any) -> bool:
    return inspect.isclass(value) and (
        issubclass(value, (BaseException, BaseModel, enum.Enum, tuple))
        or dataclasses.is_dataclass(value)
        or bool(getattr(value, "_is_protocol", False))
    )


def room(module: ModuleType) -> str:
    return ".".join(module.__name__.split(".")[:2])


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is(module):
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize(("module", "name"), NAMES + OURS, ids=[*IDS, *map(".".join, OURS)])
def test_it_says_what_it_is(module, name):
    if inspect.ismodule(getattr(importlib.import_module(module), name)):
        return  # tested above
    where, value = home(module, name)
    if not has_docstring(value):
        assert strings(where)[name], f"no string under {name} in {where.__name__}"
        return
    doc = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
    assert doc and not doc.startswith(f"{name}("), f"{name} has no docstring of its own"
    if not inspect.isclass(value):
        return
    for part, found in vars(value).items():
        called = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
        if not part.startswith("_") and (inspect.isroutine(called) or isinstance(called, property)):
            assert inspect.getdoc(getattr(value, part)), f"{name}.{part} has no docstring"


@pytest.mark.parametrize(("module", "name"), NAMES, ids=IDS)
def test_it_is_shown_at_work(module, name):
    value = getattr(importlib.import_module(module), name)
    if name in HANDED or not (inspect.isclass(value) or inspect.isroutine(value)) or get_origin(value):
        return
    where, value = home(module, name)
    package = parts(room(where))
    if is_record(value):
        assert any(examples(one) for one in package), f"no example in {room(where)}"
        return
    own = f"{where.__name__}.{name}"
    if any(key == own or key.startswith(f"{own}.") for key in examples(where)):
        return
    used = re.compile(rf"\b{name}\b")
    assert any(used.search(source) for one in package for source in examples(one).values()), f"no example uses {name}"


def test_what_is_said_of_names_is_of_names_that_are_there():
    assert HANDED.keys() <= {name for _, name in NAMES}
    assert all((Path(cortex_rx.__file__).parent / f"{name}.py").exists() for name in INSIDE)


def test_doctest_finds_what_is_decorated_too():
    """An operator is wrapped, and still its example is run."""
    module = importlib.import_module("cortex_rx.operators.limit")
    assert "limit(50_000)" in examples(module)["cortex_rx.operators.limit.limit"]
