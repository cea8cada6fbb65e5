"""The checks of arguments, made from the contract's data: the same on every backend, before the store is touched.

A backend calls `check` first, in its `query` and in its `mutation`, as `SqliteBackend` does. The conformance suite
makes the calls of `calls.json` and so shows that the backend does this in every function.

A check takes the name of a field and its value. It returns a copy that belongs to the backend, or raises
`InvalidArgument` with the name. A check accepts its own results unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from math import inf, isfinite
from re import compile as pattern
from typing import Any, Literal, cast

from cortex_rx.backends.contract import types
from cortex_rx.backends.contract.tables import FUNCTIONS
from cortex_rx.errors import InvalidArgument, UnknownFunction
from cortex_rx.validation import any_text, flag, json_mapping, json_value, number, one_of

__all__ = ["Check", "check", "checker", "misshapen", "needs_active_space"]

Check = Callable[[str, Any], Any]
"""Takes the name of a field and its value. Returns the value to use, or raises `InvalidArgument`."""

_HASH = pattern("[0-9a-f]{64}")
_KEY = 40  # characters of an unknown argument that an error shows


def check(kind: Literal["query", "mutation"], path: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The checked copy of a call's arguments, with defaults for what was left out.

    Raises `InvalidArgument`, which names the first field that is missing, unknown or wrong, or `UnknownFunction`.

    >>> check("query", "memories:list", {"memorySpaceId": "support", "limit": 5.0})
    {'memorySpaceId': 'support', 'limit': 5, 'offset': 0, 'includePartial': False, 'includeChunks': False,
    'includeArchived': False}
    >>> check("query", "memories:list", {"memorySpaceId": ""})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: memorySpaceId: got 'an empty string'; accepted: a string that is not empty
    """
    checked: dict[str, Any] = _check_of(kind, any_text("path", path))("", args)
    return checked


@cache
def needs_active_space(path: str) -> bool:
    """Whether a function is refused while the memory space that it is given is archived.

    >>> needs_active_space("streams:begin"), needs_active_space("streams:append"), needs_active_space("memories:get")
    (True, False, False)
    """
    function = FUNCTIONS[path]
    works_in_one = any(field.name == "memorySpaceId" and field.required for field in function.args.fields)
    return function.kind == "mutation" and works_in_one and not function.when_archived


def misshapen(path: str, result: object) -> str | None:
    """What in a function's result breaks the contract, in words; None if nothing does.

    >>> misshapen("streams:append", {"end": 5, "start": 0})
    "result.start: got 'an unknown field'; accepted: end, stop"
    """
    try:
        checker(FUNCTIONS[path].result)("result", result)
    except InvalidArgument as error:
        return str(error)
    return None


@cache
def _check_of(kind: str, path: str) -> Check:
    """The check of the arguments of a function, made when it is first called."""
    function = FUNCTIONS.get(path)
    if function is not None and function.kind == kind:
        return checker(function.args)
    table = f"{path.partition(':')[0]}:"
    paths = [function.path for function in FUNCTIONS.values() if function.kind == kind]
    near = [name for name in paths if name.startswith(table)] or paths
    raise UnknownFunction(f"there is no {kind} {path!r}; there are: {', '.join(near)}")


@cache
def checker(kind: types.Type) -> Check:
    """The check of a type."""
    match kind:
        case types.Text(0):
            return any_text
        case types.Text():
            return _text(kind.min)
        case types.Cursor():
            return _text(1)
        case types.TokenHash():
            return _token_hash
        case types.Integer():
            return _integer(kind)
        case types.Number():
            return _number(kind)
        case types.OneOf():
            return one_of(*kind.values)
        case types.Flag():
            return flag
        case types.Json():
            return json_value
        case types.JsonObject():
            return json_mapping
        case types.Embedding():
            return _embedding
        case types.ListOf():
            return _list(kind)
        case types.Object():
            return _object(kind)
        case types.Nullable():
            inner = checker(kind.of)
            return lambda field, value: None if value is None else inner(field, value)
        case types.AnyOf():
            return _any_of([checker(one) for one in kind.of])


def _any_of(checks: list[Check]) -> Check:
    def check(field: str, value: object) -> Any:
        for one in checks[:-1]:
            try:
                return one(field, value)
            except InvalidArgument:
                continue
        return checks[-1](field, value)

    return check


def _text(least: int) -> Check:
    accepted = "a string that is not empty" if least == 1 else f"a string of at least {least} characters"

    def check(field: str, value: object) -> str:
        text = any_text(field, value)
        if len(text) < least:
            raise InvalidArgument(field, f"a string of {len(text)} characters" if text else "an empty string", accepted)
        return text

    return check


def _token_hash(field: str, value: object) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        shown = f"a string of {len(value)} characters" if isinstance(value, str) else type(value).__name__
        raise InvalidArgument(field, shown, "the SHA-256 of a token, as 64 hexadecimal digits in lower case")
    return value


def _integer(kind: types.Integer) -> Check:
    least, most = kind.min, kind.max
    unit = kind.unit or "a whole number"

    def check(field: str, value: object) -> int:
        if type(value) is int and least <= value <= most:
            return value
        given = number(field, value)
        if given < least or given != int(given):
            raise InvalidArgument(field, given, f"{unit}, {least} or more")
        if given > most:
            raise InvalidArgument(field, given, f"{unit}, at most {most}")
        return int(given)

    return check


def _number(kind: types.Number) -> Check:
    least, most = -inf if kind.min is None else kind.min, inf if kind.max is None else kind.max

    def check(field: str, value: object) -> int | float:
        given = number(field, value)
        if not least <= given <= most:
            raise InvalidArgument(field, given, f"a number from {least:g} to {most:g}")
        return given

    return check


def _items(field: str, value: object, accepted: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise InvalidArgument(field, type(value).__name__, accepted)
    return cast("list[object]", value)


def _embedding(field: str, value: object) -> list[float]:
    items = _items(field, value, "a list of numbers")
    if not items:
        raise InvalidArgument(field, "an empty list", "a list of at least one number")
    if set(map(type, items)) == {float}:
        numbers = cast("list[float]", items)
        if all(map(isfinite, numbers)):
            return list(numbers)  # as it nearly always is; a tenth of the time, on the caller's event loop
    return [float(number(f"{field}[{index}]", item)) for index, item in enumerate(items)]


def _list(kind: types.ListOf) -> Check:
    item_check = checker(kind.item)
    ranges = kind.rule == "ranges"
    accepted = "a list of strings" if isinstance(kind.item, types.Text) else "a list"

    def check(field: str, value: object) -> list[Any]:
        items = _items(field, value, accepted)
        checked = [item_check(f"{field}[{index}]", item) for index, item in enumerate(items)]
        if ranges:
            _check_ranges(field, checked)
        return checked

    return check


def _check_ranges(field: str, ranges: list[dict[str, int]]) -> None:
    first, last = -1, 0
    for index, one in enumerate(ranges):
        start, end = one["start"], one["end"]
        if not first < start <= last < end:
            accepted = "ranges in order, from 0 on, without a gap, each with a later end"
            raise InvalidArgument(f"{field}[{index}]", (start, end), accepted)
        first, last = start, end


def _object(kind: types.Object) -> Check:
    checks = {field.name: checker(field.type) for field in kind.fields}
    required = [field.name for field in kind.fields if field.required]
    partners = {rule.field: rule.other for rule in kind.rules if isinstance(rule, types.OnlyWith)}
    defaults = [
        (field.name, partners.get(field.name), field.default) for field in kind.fields if field.default is not None
    ]
    rules = kind.rules

    def check(field: str, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise InvalidArgument(field or "args", type(value).__name__, "a mapping")
        checked: dict[str, Any] = {}
        for name, given in cast("Mapping[object, object]", value).items():
            if not isinstance(name, str):
                raise InvalidArgument(field or "args", f"a key of type {type(name).__name__}", "keys that are strings")
            if name not in checks:
                what = "an unknown field" if field else "an unknown argument"
                known, name = ", ".join(checks), name[:_KEY].encode(errors="replace").decode()  # a key may be any text
                raise InvalidArgument(f"{field}.{name}" if field else name, what, known)
            checked[name] = checks[name](f"{field}.{name}" if field else name, given)
        for name in required:
            if name not in checked:
                raise InvalidArgument(f"{field}.{name}" if field else name, "nothing", "a value; it is required")
        for rule in rules:
            _keep(rule, checked, f"{field}." if field else "")
        for name, partner, default in defaults:
            if name not in checked and (partner is None or partner in checked):
                checked[name] = default
        return checked

    return check


def _keep(rule: types.Rule, args: dict[str, Any], within: str) -> None:
    match rule:
        case types.OnlyWith(field, other):
            if field in args and other not in args:
                raise InvalidArgument(f"{within}{field}", args[field], f"a value only together with {other}")
        case types.Differs(field, other):
            if field in args and args[field] == args[other]:
                raise InvalidArgument(
                    f"{within}{field}", f"the value of {other}", f"another value than that of {other}"
                )
        case types.Needs(field, value, other):
            if args.get(field) == value and other not in args:
                raise InvalidArgument(
                    f"{within}{other}", "nothing", f"a value; it is required where {field} is {value!r}"
                )
        case types.OnlyFor(field, other, values):
            if field in args and args.get(other) not in values:
                raise InvalidArgument(
                    f"{within}{field}", "a value", f"a value only where {other} is {' or '.join(map(repr, values))}"
                )
        case types.Either(field, other):
            if field not in args and other not in args:
                raise InvalidArgument(f"{within}{field}", "nothing", f"a value here or in {other}")
            if field in args and other in args:
                raise InvalidArgument(f"{within}{other}", "a value", f"no value where {field} is given")
        case types.AtLeastOne(names):
            if not any(name in args for name in names):
                raise InvalidArgument(f"{within}{names[0]}", "nothing", f"a value here or in {' or '.join(names[1:])}")
        case types.Covers(field, length):
            if args.get(field) and args[field][-1]["end"] != args[length]:
                end = args[field][-1]["end"]
                raise InvalidArgument(
                    f"{within}{field}", f"an end at {end}", f"ranges that end at {args[length]} ({length})"
                )
