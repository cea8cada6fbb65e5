"""What goes into a property, and into a parameter of a query.

A property holds a scalar, or a list of scalars of one kind; that is what all graph servers store. The rest is written
as JSON, and a time as ISO 8601.

>>> from datetime import datetime, timezone
>>> properties("properties", {"tags": ("a", "b"), "seen": datetime(2026, 1, 2, tzinfo=timezone.utc), "in": {"x": 1}})
{'tags': ['a', 'b'], 'seen': '2026-01-02T00:00:00+00:00', 'in': '{"x":1}'}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeAlias, cast

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument
from cortex_rx.graph.identifiers import identifier

__all__ = ["PropertyValue", "parameters", "properties", "property_value"]

PropertyValue: TypeAlias = str | int | float | bool | list[str] | list[int] | list[float] | list[bool] | None
"""What a property holds. Who sets it to None removes it."""

_DEPTH = 100
_VALUES = 1_000_000
_KEY = 40


def property_value(field: str, value: object) -> PropertyValue:
    """`value` as each server stores it.

    A mapping becomes JSON, and so does a list with None, a list, a mapping or items of several kinds in it. Raises
    `InvalidArgument` with `field` for what JSON does not carry.

    >>> property_value("scores", [1, 2]), property_value("scores", [1, 2.5]), property_value("scores", [])
    ([1, 2], '[1,2.5]', [])
    """
    if type(value) is str:
        return check.any_text(field, value)
    plain = _plain(field, value, 0, [_VALUES])
    if isinstance(plain, list):
        kinds = {type(item) for item in cast("list[object]", plain)}
        if len(kinds) > 1 or kinds & {list, dict, type(None)}:
            return _json(plain)
    return _json(plain) if isinstance(plain, dict) else plain


def properties(field: str, values: Mapping[str, Any]) -> dict[str, PropertyValue]:
    """The properties of a node or an edge. Raises `InvalidArgument` if a key is no identifier."""
    return {
        identifier(f"{field}: a key", key): property_value(f"{field}.{key}", value) for key, value in values.items()
    }


def parameters(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of a query: JSON values, with times as ISO 8601.

    >>> from datetime import date
    >>> parameters({"rows": [{"key": "a", "day": date(2026, 1, 2)}]})
    {'rows': [{'key': 'a', 'day': '2026-01-02'}]}
    """
    if values is not None and not isinstance(cast("object", values), Mapping):
        raise InvalidArgument("params", check.shown(values), "a mapping of names to values, or None")
    return cast("dict[str, Any]", _plain("params", values or {}, 0, [_VALUES]))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _plain(field: str, value: object, depth: int, room: list[int]) -> Any:
    """A copy of JSON values, with times as text. `room` holds how many more values are allowed."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check.any_text(field, value)
    if isinstance(value, int | float):
        return check.number(field, value)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidArgument(field, "a datetime without a time zone", "a datetime with one")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, list | tuple | Mapping):
        raise InvalidArgument(field, check.shown(value), "what JSON carries, a date, or a datetime with a time zone")
    room[0] -= len(cast("list[object]", value))
    if depth >= _DEPTH or room[0] < 0:
        raise InvalidArgument(field[:_KEY], "too much", f"at most {_DEPTH} levels and {_VALUES:,} values")
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, item in cast("Mapping[object, object]", value).items():
            if not isinstance(key, str):
                raise InvalidArgument(field, f"a key of type {type(key).__name__}", "keys that are strings")
            found[check.any_text(field, key)] = _plain(f"{field}.{key[:_KEY]}", item, depth + 1, room)
        return found
    return [_plain(f"{field}[{at}]", item, depth + 1, room) for at, item in enumerate(cast("list[object]", value))]
