"""Writes `calls.json`: for every argument of every function, values at the edges of what is accepted, and beyond
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cortex_rx.backends import contract
from cortex_rx.backends.contract import types
from cortex_rx.backends.contract.tables import FUNCTIONS

PATH = Path(contract.__file__).with_name("calls.json")
Case = dict[str, Any]

NAN, INFINITE = {"$number": "NaN"}, {"$number": "Infinity"}
LONE = {"$utf16": [97, 0xD800]}
_EXACT = 2**53 - 1  # the largest whole number that a double tells from its neighbours


def text() -> str:
    """The whole file, one case per line."""
    functions: list[str] = []
    for path, function in FUNCTIONS.items():
        base = _plain(function.args)
        accepted, refused = _cases(function.args, base)
        lines = [f'"kind": "{function.kind}"', f'"call": {json.dumps(base, ensure_ascii=True)}']
        for name, cases in (("accepted", accepted), ("refused", refused)):
            listed = ",\n   ".join(json.dumps(case, ensure_ascii=True) for case in cases)
            lines.append(f'"{name}": [\n   {listed}\n  ]')
        functions.append(f' "{path}": {{\n  {(chr(44) + chr(10) + "  ").join(lines)}\n }}')
    return "{\n" + ",\n".join(functions) + "\n}\n"


def _cases(args: types.Object, base: Case) -> tuple[list[Case], list[Case]]:
    accepted: list[Case] = [{}]
    refused: list[Case] = []
    partners = {rule.field: rule.other for rule in args.rules if isinstance(rule, types.OnlyWith)}
    covers = {rule.field: rule.length for rule in args.rules if isinstance(rule, types.Covers)}
    either = {rule.other: rule.field for rule in args.rules if isinstance(rule, types.Either)}
    only = {rule.field: rule for rule in args.rules if isinstance(rule, types.OnlyFor)}
    differs = {rule.field: rule.other for rule in args.rules if isinstance(rule, types.Differs)}
    kinds = {field.name: field.type for field in args.fields}
    for field in args.fields:
        name, beside = field.name, Case()
        if name in partners:
            beside[partners[name]] = _accepted(kinds[partners[name]])[0]
        if name in only:
            beside[only[name].other] = only[name].values[0]
        for value in _accepted(field.type):
            if name in differs and value == base[differs[name]]:
                continue
            if name in covers and value:
                beside = {covers[name]: value[-1]["end"]}
            without = [either[name]] if name in either else []
            accepted.append(_fitting(args, base, {**beside, name: value}, without))
        if field.required:
            refused.append({"field": name, "without": [name]})
        for value in _refused(field.type):
            refused.append({"field": name, **_fitting(args, base, {**beside, name: value})})
    refused.append({"field": "surprise", "with": {"surprise": 1}})
    for rule in args.rules:
        match rule:
            case types.OnlyWith(name, _):
                refused.append({"field": name, "with": {name: _accepted(kinds[name])[0]}})
            case types.Differs(name, other):
                refused.append({"field": name, "with": {name: base[other]}})
            case types.Needs(name, value, other):
                needing = _fitting(args, base, {name: value, other: None}, [other] if other in base else ())
                refused.append({"field": other, **needing, "with": {name: value}})
            case types.OnlyFor(name, other, values):
                others = (value for value in _accepted(kinds[other]) if value not in values)
                refused.append({"field": name, "with": {other: next(others), name: _accepted(kinds[name])[0]}})
            case types.Either(name, other):
                refused.append({"field": name, "without": [name]})
                refused.append({"field": other, "with": {other: _accepted(kinds[other])[0]}})
            case types.AtLeastOne(names):
                refused.append({"field": names[0], "without": [*names]})
                accepted += [{"with": {name: _accepted(kinds[name])[0]}, "without": [names[0]]} for name in names[1:]]
            case types.Covers(name, length):
                ranges = [{"start": 0, "end": 5}]
                refused += [{"field": name, "with": {length: end, name: ranges}} for end in (0, 4, 6)]
    return accepted, refused


def _fitting(args: types.Object, base: Case, given: Case, without: Sequence[str] = ()) -> Case:
    """A case with these values, with what they need, and without what does not go with them."""
    needed: Case = {}
    wrong = [*without]
    for rule in args.rules:
        values = {**base, **given}
        match rule:
            case types.Needs(name, value, other) if values.get(name) == value and other not in values:
                needed[other] = _accepted(next(field.type for field in args.fields if field.name == other))[0]
            case types.OnlyFor(name, other, words) if name in base and name not in given:
                if values.get(other) not in words:
                    wrong.append(name)
            case _:
                pass
    return {"with": {**needed, **given}, **({"without": wrong} if wrong else {})}


def _plain(kind: types.Type) -> Any:
    """An ordinary value of a type."""
    match kind:
        case types.Text():
            return "x"
        case types.Cursor():
            raise NotImplementedError(kind)  # only a store knows one
        case types.TokenHash():
            return "0" * 64
        case types.Integer(least):
            return max(least, 1) if least else 0
        case types.Number(least):
            return least or 0
        case types.ListOf():
            return []
        case types.Object():
            one = {rule.field for rule in kind.rules if isinstance(rule, types.Either)}
            one |= {rule.fields[0] for rule in kind.rules if isinstance(rule, types.AtLeastOne)}
            plain = {field.name: _plain(field.type) for field in kind.fields if field.required or field.name in one}
            for rule in kind.rules:
                if isinstance(rule, types.Needs) and plain.get(rule.field) == rule.value:
                    plain[rule.other] = _plain(next(field.type for field in kind.fields if field.name == rule.other))
            differing = {rule.field for rule in kind.rules if isinstance(rule, types.Differs)}
            return plain | dict.fromkeys(differing & plain.keys(), "y")
        case _:
            return _accepted(kind)[0]


def _applied(plain: Case, case: Case) -> Case:
    given = {**plain, **case.get("with", {})}
    return {name: value for name, value in given.items() if name not in case.get("without", ())}


def _accepted(kind: types.Type) -> list[Any]:
    match kind:
        case types.Text(least):
            return ["x" * least, " " * least, "e\u0301\u4eac\u0000\U0001f600\ufffe"]
        case types.Cursor():
            return []
        case types.TokenHash():
            return ["1" * 64, "09af" * 16]
        case types.Integer(least, most):
            return [least, float(least + 1), min(most, _EXACT)]
        case types.Number(least, most):
            return [
                0 if least is None else least,
                1e300 if most is None else most,
                0.5,
                7 if most is None or most >= 7 else 1,
            ]
        case types.OneOf(values):
            return list(values)
        case types.Flag():
            return [True, False]
        case types.Json():
            return [None, 0, "", [], {}, [None, True, -1.5, "\u4eac\u0000", {"k": {}}], {"$nested": 100}]
        case types.JsonObject():
            return [{}, {"a key": None, "\u4eac\u0000": [1, {"k": "\U0001f600"}]}, {"k": {"$nested": 99}}]
        case types.Embedding():
            return [[0], [0.5, -1e300, 7]]
        case types.ListOf(_, "ranges"):
            overlapping = [{"start": 0, "end": 3, "embedding": [1]}, {"start": 2, "end": 5}, {"start": 5, "end": 6.0}]
            return [[], [{"start": 0, "end": 1}], overlapping]
        case types.ListOf(item):
            return [[], _accepted(item)]
        case types.Object():
            plain = _plain(kind)
            return [_applied(plain, case) for case in _cases(kind, plain)[0]]
        case types.Nullable() | types.AnyOf():  # of results only
            raise NotImplementedError(kind)


def _refused(kind: types.Type) -> Iterator[Any]:
    if not isinstance(kind, types.Json):
        yield None
    match kind:
        case types.Text(least):
            yield from (7, True, ["x"], LONE)
            if least:
                yield "x" * (least - 1)
        case types.Cursor():
            yield from ("", 7, True, ["x"], LONE)
        case types.TokenHash():
            yield from ("", "0" * 63, "0" * 65, "0" * 64 + "\n", "AF" * 32, "g" * 64, "resume_secret", 0)
        case types.Integer(least, most):
            yield from (
                least - 1,
                least + 0.5,
                str(least),
                True,
                NAN,
                INFINITE,
                most + 1 if most < _EXACT else 2**64,
                1e300,
            )
        case types.Number(least, most):
            yield from ("1", True, NAN, INFINITE)
            if least is not None:
                yield least - 0.5
            if most is not None:
                yield most + 0.5
        case types.OneOf(values):
            yield from ("", values[0].swapcase(), f"{values[0]} ", 0)
        case types.Flag():
            yield from (0, 1, "true")
        case types.Json():
            yield from (NAN, LONE, {"k": [INFINITE]}, {"$nested": 102})
        case types.JsonObject():
            yield from ([], "{}", 7, {"k": NAN}, {"k": [LONE]}, {"k": {"$nested": 102}})
        case types.Embedding():
            yield from ([], "1", 1, [None], [True], [0, NAN], [[1]])
        case types.ListOf(_, "ranges"):
            yield from ("0-5", {"start": 0, "end": 5}, [[0, 5]], [{"start": 0}], [{"end": 5}])
            for one in (
                {"start": 1, "end": 5},
                {"start": 0, "end": 0},
                {"start": -1, "end": 5},
                {"start": 0, "end": 5.5},
            ):
                yield [one]
            for more in ({"size": 5}, {"embedding": []}, {"embedding": None}):
                yield [{"start": 0, "end": 5, **more}]
            for two in ({"start": 4, "end": 5}, {"start": 0, "end": 5}, {"start": 2, "end": 3}, {"start": 3, "end": 3}):
                yield [{"start": 0, "end": 3}, two]
        case types.ListOf(item):
            yield from ("x", 7, {"0": "x"}, *([value] for value in _refused(item)))
        case types.Object():
            plain = _plain(kind)
            yield from ("x", 7, [], [plain])
            for case in _cases(kind, plain)[1]:
                yield _applied(plain, case)
        case types.Nullable() | types.AnyOf():  # of results only
            raise NotImplementedError(kind)
