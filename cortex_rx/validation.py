"""The checks of callers' values: one of each kind, for arguments, options, records and the functions of a store.

A check takes the name of a field and its value.  It returns the value to use, as a copy if the caller could change it
later, or raises `InvalidArgument` with the name.  A function with bounds, such as `whole(1)`, makes a check.

No message holds a user's text.  Of a value that may be text it shows only the type, or says what is wrong with the
text.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Set
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar, cast

from cortex_rx.errors import InvalidArgument
from cortex_rx.unique import ResumeToken

__all__ = [
    "Check",
    "amount",
    "any_text",
    "callback",
    "each",
    "file_path",
    "flag",
    "flag_or_callback",
    "function",
    "importance",
    "instance",
    "items",
    "json_mapping",
    "json_value",
    "milliseconds",
    "name",
    "names",
    "number",
    "one_of",
    "optional",
    "seconds",
    "share",
    "shown",
    "stream",
    "time",
    "token",
    "vector",
    "whole",
]

Check = Callable[[str, object], Any]
"""Takes the name of a field and its value, and returns the value to use; or raises `InvalidArgument`."""

F = TypeVar("F", bound=Callable[..., Check])


def _made_once(make: F) -> F:
    """The same check for the same bounds: the operators of each stream ask for theirs."""
    return cast("F", lru_cache(maxsize=256)(make))


_DEPTH = 100  # levels of nested JSON: far more than anyone writes, far fewer than would overflow the stack
# The most values in it, each counted as often as JSON would write it: shared lists can double at each level.
_VALUES = 1_000_000
_INT64 = 2**63
_SLICE = 2**20
_CENTURY = 36_525 * 86_400_000  # in milliseconds; a time that far off is still a date, and a whole number of 64 bits
_LONGEST = timedelta(milliseconds=_CENTURY)
_KEY = 40  # characters of a key that an error shows


def shown(value: object) -> object:
    """What an error may show of a value: a number, a time or None itself; of anything else, which may be text, the
    type."""
    return value if value is None or isinstance(value, int | float | timedelta) else type(value).__name__


def _hidden(value: object) -> str | None:
    """What an error may show where a text or a token was expected: only the type, even of a number."""
    return None if value is None else type(value).__name__


@_made_once
def optional(check: Check) -> Check:
    """None, or what `check` accepts."""

    def either(field: str, value: object) -> Any:
        try:
            return None if value is None else check(field, value)
        except InvalidArgument as error:
            raise InvalidArgument(error.field, error.given, f"{error.accepted}, or None") from None

    return either


# --- words ------------------------------------------------------------------------------------------------------------


def _utf8(field: str, value: str) -> str:
    try:
        for start in range(0, len(value), _SLICE):  # in slices, so that a long text is not copied whole
            value[start : start + _SLICE].encode()
    except UnicodeEncodeError:
        raise InvalidArgument(field, "a lone surrogate", "text that is valid Unicode") from None
    return value


def any_text(field: str, value: object) -> str:
    """Any text, also an empty one, and with NUL characters."""
    if not isinstance(value, str):
        raise InvalidArgument(field, _hidden(value), "a string")
    return _utf8(field, value)


def name(field: str, value: object) -> str:
    """A text that is neither empty nor blank."""
    if not isinstance(value, str) or not value.strip():
        blank = isinstance(value, str)
        raise InvalidArgument(field, value if blank else shown(value), "a string that is not empty")
    return _utf8(field, value)


def each(check: Check, accepted: str, *also: type[object]) -> Check:
    """A list or tuple (or a type in `also`) of values that `check` accepts, as a tuple."""

    def every(field: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple, *also)):
            raise InvalidArgument(field, shown(value), accepted)
        return tuple(check(f"{field}[{at}]", item) for at, item in enumerate(cast("Iterable[object]", value)))

    return every


_names = each(name, "a list of strings that are not empty")


def names(field: str, value: object) -> tuple[str, ...]:
    """A list or tuple of texts that are neither empty nor blank."""
    return cast("tuple[str, ...]", _names(field, value))


@_made_once
def one_of(*values: str) -> Check:
    """One of these words."""

    def check(field: str, value: object) -> str:
        if not isinstance(value, str) or value not in values:
            given = value if isinstance(value, str) and len(value) < _KEY else shown(value)
            raise InvalidArgument(field, given, " or ".join(map(repr, values)))
        return value

    return check


def file_path(field: str, value: object) -> str:
    """The path of a file."""
    try:
        path = os.fsdecode(value) if isinstance(value, str | os.PathLike) else ""
        if path and b"\0" not in os.fsencode(path):
            return path
    except UnicodeError:
        pass
    raise InvalidArgument(field, "" if isinstance(value, str) and not value else shown(value), "the path of a file")


# --- numbers and times ------------------------------------------------------------------------------------------------


def flag(field: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise InvalidArgument(field, shown(value), "True or False")
    return value


def number(field: str, value: object) -> int | float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(field, shown(value), "a number")
    if not (-_INT64 < value < _INT64 if isinstance(value, int) else math.isfinite(value)):
        raise InvalidArgument(field, value, "a finite number of 64 bits")
    return value


@_made_once
def whole(least: int = 0, most: int = _INT64 - 1) -> Check:
    """A whole number from `least` to `most`."""

    def check(field: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidArgument(field, shown(value), f"a whole number, {least} or more")
        if value > most:
            raise InvalidArgument(field, value, f"a whole number, at most {most}")
        return value

    return check


@_made_once
def amount(of: str, most: float = 2**53, *, zero: bool = False) -> Check:
    """A number above 0, or with `zero` also 0, up to `most`; `of` names the unit."""

    def check(field: str, value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not (value > 0 or (zero and value == 0)):
            raise InvalidArgument(field, shown(value), f"{of}, {'0 or more' if zero else 'more than 0'}")
        if value > most:
            raise InvalidArgument(field, value, f"{of}, at most {most:.0f}")
        return value

    return check


@_made_once
def milliseconds(*, zero: bool = False) -> Check:
    """A number of milliseconds above 0, or with `zero` also 0, up to a hundred years."""
    return amount("milliseconds", _CENTURY, zero=zero)


@_made_once
def seconds(*, zero: bool = False) -> Check:
    """A `timedelta` above zero, or with `zero` also zero, up to a hundred years; returned as seconds."""
    accepted = f"a timedelta {'of at least' if zero else 'above'} zero"

    def check(field: str, value: object) -> float:
        if not isinstance(value, timedelta) or value < timedelta() or not (value or zero):
            raise InvalidArgument(field, shown(value), accepted)
        if value > _LONGEST:
            raise InvalidArgument(field, value, f"a timedelta of at most {_LONGEST.days} days, a hundred years")
        return value.total_seconds()

    return check


def time(field: str, value: object) -> int:
    """Epoch milliseconds, given as such or as a `datetime` with a time zone."""
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidArgument(field, "a datetime without a time zone", "a datetime with one, or epoch milliseconds")
        value = round(value.timestamp() * 1000)
    return int(whole()(field, value))


def importance(field: str, value: object) -> int | float:
    """0 to 100."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise InvalidArgument(field, shown(value), "a number from 0 to 100")
    return value


def share(field: str, value: object) -> int | float:
    """0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidArgument(field, shown(value), "a number from 0 to 1")
    return value


def items(field: str, value: Any, accepted: str) -> list[Any]:
    """The items of a list, a tuple or an array.  An array says itself what they are, so NumPy need not be imported."""
    if isinstance(value, str | bytes | bytearray | Mapping | Set):
        raise InvalidArgument(field, type(cast("object", value)).__name__, accepted)
    tolist = getattr(value, "tolist", None)
    try:
        found: Any = tolist() if callable(tolist) else list(value)
    except TypeError:
        raise InvalidArgument(field, shown(value), accepted) from None
    if not isinstance(found, list):
        raise InvalidArgument(field, shown(found), accepted)
    return found


def vector(field: str, value: object, numbers: str = "numbers in a vector") -> list[float]:
    """The numbers of a vector: a list, a tuple or an array of one or more.  `numbers` says what its items must be."""
    found = items(field, value, "a vector: a list or an array of numbers")
    if not found:
        raise InvalidArgument(field, "no numbers", "a vector of one or more numbers")
    plain = [item if type(item) is float else _float(field, item, numbers) for item in found]
    if not all(map(math.isfinite, plain)):
        raise InvalidArgument(field, "a vector with NaN or infinity", "finite numbers")
    return plain


def _float(field: str, item: Any, accepted: str) -> float:
    if not isinstance(item, bool) and hasattr(type(item), "__float__"):
        try:
            return float(item)
        except (TypeError, ValueError, OverflowError):
            pass
    raise InvalidArgument(field, f"an item of type {type(item).__name__}", accepted)


# --- things -----------------------------------------------------------------------------------------------------------


@_made_once
def instance(kind: type[object] | tuple[type[object], ...], accepted: str) -> Check:
    """An instance of `kind`; `accepted` describes it in words."""

    def check(field: str, value: object) -> Any:
        if not isinstance(value, kind):
            raise InvalidArgument(field, shown(value), accepted)
        return value

    return check


def function(field: str, value: object) -> Callable[..., Any]:
    """A function whose result is used at once, so not an async one: a coroutine is always true."""
    if inspect.iscoroutinefunction(value):
        raise InvalidArgument(field, "an async function", "a function that is not async")
    if not callable(value):
        raise InvalidArgument(field, _hidden(value), "a function")
    return value


def callback(field: str, value: object) -> Callable[..., Any]:
    """A function, plain or async."""
    if not callable(value):
        raise InvalidArgument(field, _hidden(value), "a function, plain or async")
    return value


def flag_or_callback(field: str, value: object) -> bool | Callable[..., Any]:
    """True or False, or a function, plain or async."""
    if isinstance(value, bool) or callable(value):
        return value
    raise InvalidArgument(field, _hidden(value), "True, False, or a function, plain or async")


def stream(field: str, value: object) -> AsyncIterable[Any]:
    """An async iterable."""
    if not isinstance(value, AsyncIterable):
        raise InvalidArgument(field, shown(value), "an async iterable")
    return value


# --- what the store keeps ---------------------------------------------------------------------------------------------


def token(field: str, value: object) -> ResumeToken:
    """A resume token.  The given value is never shown: it may be the token itself."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgument(field, _hidden(value), "a resume token")
    return ResumeToken(_utf8(field, value))


def json_mapping(field: str, value: object) -> dict[str, Any]:
    """A mapping of JSON values, as a copy: a later change by the caller has no effect here."""
    if not isinstance(value, Mapping):
        raise InvalidArgument(field, shown(value), "a mapping")
    return cast("dict[str, Any]", json_value(field, cast("object", value)))


def json_value(field: str, value: object) -> Any:
    """A JSON value, also None, as a copy: at most 100 levels and a million values, each counted as often as JSON writes
    it."""
    room = [_VALUES]
    if _is_plain(value, 0, room, {}):
        return _copy(value)
    return _plain(field, value, 0, [_VALUES] if room[0] >= 0 else room)


def _copy(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copy(item) for key, item in cast("dict[str, object]", value).items()}
    if type(value) is list:
        return [_copy(item) for item in cast("list[object]", value)]
    return value


def _is_plain(value: object, depth: int, room: list[int], known: dict[tuple[int, int], int]) -> bool:
    """Whether the value is plain JSON already, as it nearly always is.  This is much cheaper than to find out where it
    is not.

    `room` holds how many more values are allowed; below 0 there were too many.  `known` holds the number of values in
    each list and mapping, by its id and depth: one that is in many places is looked at once.
    """
    kind = type(value)
    if kind is str:
        return cast("str", value).isascii()
    if kind is int:
        return -_INT64 < cast("int", value) < _INT64
    if kind is float:
        return math.isfinite(cast("float", value))
    if (kind is dict or kind is list) and depth < _DEPTH:
        before, place = room[0], (id(value), depth)
        room[0] -= known.get(place) or len(cast("list[object]", value))
        if room[0] < 0 or place in known:
            return room[0] >= 0
        if kind is dict:
            for key, item in cast("dict[object, object]", value).items():
                if type(key) is not str or not key.isascii() or not _is_plain(item, depth + 1, room, known):
                    return False
        else:
            for item in cast("list[object]", value):
                if not _is_plain(item, depth + 1, room, known):
                    return False
        known[place] = before - room[0]
        return True
    return value is None or kind is bool


def _plain(field: str, value: object, depth: int, room: list[int]) -> object:
    if depth > _DEPTH:
        raise InvalidArgument(f"{field[:_KEY]}...", "a deeper nesting, or a cycle", f"at most {_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _utf8(field, value)
    if isinstance(value, int | float):
        return number(field, value)
    if isinstance(value, list | tuple | Mapping):
        room[0] -= len(cast("list[object]", value))
        if room[0] < 0:
            raise InvalidArgument(
                field[:_KEY], "more values, or one list in many places", f"at most {_VALUES:,} values"
            )
    if isinstance(value, list | tuple):
        items = cast("list[object]", value)
        return [_plain(f"{field}[{index}]", item, depth + 1, room) for index, item in enumerate(items)]
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        plain: dict[str, object] = {}
        for key, item in pairs.items():
            if not isinstance(key, str):
                raise InvalidArgument(field, f"a key of type {type(key).__name__}", "keys that are strings")
            _utf8(field, key)  # before it becomes part of a field's name
            plain[key] = _plain(f"{field}.{key[:_KEY]}", item, depth + 1, room)
        return plain
    raise InvalidArgument(field, shown(value), "what JSON carries")
