"""What a function of the store accepts: every argument is checked, and copied, before anything is stored.

A check takes the field's name and its value, and returns what is stored, or raises `InvalidArgument` with the name.  No
message holds the text of a user: where a text is at fault, the error says what is wrong with it.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Callable, Mapping
from typing import Any, cast

from cortex_rx.errors import InvalidArgument

__all__ = [
    "Check",
    "Spec",
    "accept",
    "any_text",
    "duration",
    "embedding",
    "flag",
    "importance",
    "integer",
    "json_object",
    "json_value",
    "lifetime",
    "name",
    "number",
    "one_of",
    "ranges",
    "strings",
    "token_hash",
]

Check = Callable[[str, object], Any]
Spec = tuple[Mapping[str, Check], Mapping[str, Check]]
"""The arguments that must be given, and those that may be left out."""

_DEPTH = 100  # of nested metadata: far more than anyone writes, far less than what would overflow the stack
_INT64 = 2**63
_SLICE = 2**20
_CENTURY = 36_525 * 86_400_000  # in milliseconds; a time that far from now is still a whole number of 64 bits
_HASH = re.compile("[0-9a-f]{64}")


def accept(spec: Spec, args: object) -> dict[str, Any]:
    """The checked copy of `args`.  `InvalidArgument` names the first field that is missing, unknown or wrong."""
    required, optional = spec
    if not isinstance(args, Mapping):
        raise InvalidArgument("args", type(args).__name__, "a mapping")
    given = cast("Mapping[object, object]", args)
    checked: dict[str, Any] = {}
    for key, value in given.items():
        check = (required.get(key) or optional.get(key)) if isinstance(key, str) else None
        if check is None:
            raise InvalidArgument(str(key), "an unknown argument", ", ".join([*required, *optional]))
        checked[cast("str", key)] = check(cast("str", key), value)
    for key in required:
        if key not in checked:
            raise InvalidArgument(key, "nothing", "a value; it is required")
    return checked


def _utf8(field: str, value: str) -> str:
    try:
        for start in range(0, len(value), _SLICE):  # a long text is not copied whole for it
            value[start : start + _SLICE].encode()
    except UnicodeEncodeError:
        raise InvalidArgument(field, "a lone surrogate", "text that is valid Unicode") from None
    return value


def _type(value: object) -> str:
    return type(value).__name__


def any_text(field: str, value: object) -> str:
    """Any text, the empty one too; NUL is a character like the others."""
    if not isinstance(value, str):
        raise InvalidArgument(field, _type(value), "a string")
    return _utf8(field, value)


def name(field: str, value: object) -> str:
    """A text that is not empty."""
    text = any_text(field, value)
    if not text:
        raise InvalidArgument(field, "an empty string", "a string that is not empty")
    return text


def one_of(*values: str) -> Check:
    """One of these words."""

    def check(field: str, value: object) -> str:
        if not isinstance(value, str) or value not in values:
            shown = value if isinstance(value, str) and len(value) < 40 else _type(value)
            raise InvalidArgument(field, shown, " or ".join(repr(v) for v in values))
        return value

    return check


def flag(field: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise InvalidArgument(field, _type(value), "True or False")
    return value


def number(field: str, value: object) -> int | float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(field, _type(value), "a number")
    if not (-_INT64 < value < _INT64 if isinstance(value, int) else math.isfinite(value)):
        raise InvalidArgument(field, value, "a finite number of 64 bits")
    return value


def integer(field: str, value: object) -> int:
    """A whole number, at least 0; what crosses JSON as 5.0 is a 5."""
    given = number(field, value)
    if given < 0 or given != int(given) or given >= _INT64:
        raise InvalidArgument(field, given, "a whole number, 0 or more")
    return int(given)


def duration(field: str, value: object) -> int:
    """Milliseconds, 0 to a hundred years."""
    given = integer(field, value)
    if given > _CENTURY:
        raise InvalidArgument(field, given, f"milliseconds, at most {_CENTURY}")
    return given


def lifetime(field: str, value: object) -> int:
    """A duration that is not 0."""
    given = duration(field, value)
    if not given:
        raise InvalidArgument(field, given, "milliseconds, 1 or more")
    return given


def token_hash(field: str, value: object) -> str:
    """The SHA-256 of a resume token.  Whatever was given is not shown: it may be the token itself."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        shown = f"a string of {len(value)} characters" if isinstance(value, str) else _type(value)
        raise InvalidArgument(field, shown, "the SHA-256 of a token, as 64 hexadecimal digits in lower case")
    return value


def importance(field: str, value: object) -> int | float:
    """0 to 100."""
    given = number(field, value)
    if not 0 <= given <= 100:
        raise InvalidArgument(field, given, "a number from 0 to 100")
    return given


def strings(field: str, value: object) -> list[str]:
    """A list of texts."""
    if not isinstance(value, list | tuple):
        raise InvalidArgument(field, _type(value), "a list of strings")
    items = cast("list[object]", value)
    return [any_text(f"{field}[{index}]", item) for index, item in enumerate(items)]


def embedding(field: str, value: object) -> bytes:
    """A list of finite numbers, as the bytes of its 64-bit floats."""
    if not isinstance(value, list | tuple):
        raise InvalidArgument(field, _type(value), "a list of numbers")
    items = cast("list[object]", value)
    if not items:
        raise InvalidArgument(field, "an empty list", "a list of at least one number")
    return array("d", [float(number(f"{field}[{index}]", item)) for index, item in enumerate(items)]).tobytes()


def ranges(field: str, value: object) -> list[tuple[int, int, bytes | None]]:
    """A list of {start, end, embedding?}: ranges of a text from its beginning on, in order, none empty and nothing between them left
    out; each may begin before the end of the one before it."""
    if not isinstance(value, list | tuple):
        raise InvalidArgument(field, _type(value), "a list of {start, end}")
    spec: Spec = ({"start": integer, "end": integer}, {"embedding": embedding})
    checked: list[tuple[int, int, bytes | None]] = []
    first = last = 0
    for index, item in enumerate(cast("list[object]", value)):
        try:
            one = accept(spec, item)
        except InvalidArgument as error:
            raise InvalidArgument(f"{field}[{index}].{error.field}", error.given, error.accepted) from None
        start, end = one["start"], one["end"]
        if not (start <= last < end and (start > first or not checked)):
            accepted = "ranges in order, from 0 on, each to a later end, without a gap"
            raise InvalidArgument(f"{field}[{index}]", (start, end), accepted)
        checked.append((start, end, one.get("embedding")))
        first, last = start, end
    return checked


def json_object(field: str, value: object) -> str:
    """A dictionary of what JSON carries, as its JSON text: so a later change of it by the caller changes nothing here."""
    if not isinstance(value, Mapping):
        raise InvalidArgument(field, _type(value), "a mapping")
    return _to_json(field, cast("object", value))


def json_value(field: str, value: object) -> str:
    """What JSON carries, None too, as its JSON text."""
    return _to_json(field, value)


def _to_json(field: str, value: object) -> str:
    plain = value if _is_plain(value, 0) else _plain(field, value, 0)
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def _is_plain(value: object, depth: int) -> bool:
    """Whether this is plain JSON already, as it nearly always is: so much cheaper to see than to say where it is not."""
    kind = type(value)
    if kind is str:
        return cast("str", value).isascii()
    if kind is int:
        return -_INT64 < cast("int", value) < _INT64
    if kind is float:
        return math.isfinite(cast("float", value))
    if kind is dict and depth < _DEPTH:
        pairs = cast("dict[object, object]", value).items()
        return all(type(key) is str and key.isascii() and _is_plain(item, depth + 1) for key, item in pairs)
    if kind is list and depth < _DEPTH:
        return all(_is_plain(item, depth + 1) for item in cast("list[object]", value))
    return value is None or kind is bool


def _plain(field: str, value: object, depth: int) -> object:
    if depth > _DEPTH:
        raise InvalidArgument(field, "a deeper nesting", f"at most {_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _utf8(field, value)
    if isinstance(value, int | float):
        return number(field, value)
    if isinstance(value, list | tuple):
        items = cast("list[object]", value)
        return [_plain(f"{field}[{index}]", item, depth + 1) for index, item in enumerate(items)]
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        plain: dict[str, object] = {}
        for key, item in pairs.items():
            if not isinstance(key, str):
                raise InvalidArgument(field, f"a key of type {type(key).__name__}", "keys that are strings")
            plain[_utf8(field, key)] = _plain(f"{field}.{key}", item, depth + 1)
        return plain
    raise InvalidArgument(field, _type(value), "what JSON carries")
