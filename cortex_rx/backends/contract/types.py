"""What a function of the contract takes and returns, as plain data: frozen, comparable, and JSON by `as_json`.

>>> ID.min, Integer(1, 9).max
(1, 9)
>>> fields(streamId=ID, limit=Optional(Integer(), 100))[1]
Field(name='limit', type=Integer(min=0, max=9223372036854775807, unit=''), required=False, default=100)
>>> as_json(ListOf(ID))
{'is': 'ListOf', 'item': {'is': 'Text', 'min': 1}}
"""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from dataclasses import fields as fields_of
from typing import Any, Literal, TypeAlias, cast

__all__ = [
    "ATTEMPT",
    "COUNT",
    "DURATION",
    "EPOCH",
    "ID",
    "LIFETIME",
    "OFFSET",
    "SPACE",
    "TEXT",
    "TIME",
    "AnyOf",
    "AtLeastOne",
    "Covers",
    "Cursor",
    "Differs",
    "Either",
    "Embedding",
    "Field",
    "Flag",
    "Function",
    "Integer",
    "Json",
    "JsonObject",
    "ListOf",
    "Needs",
    "Nullable",
    "Number",
    "Object",
    "OneOf",
    "OnlyFor",
    "OnlyWith",
    "Optional",
    "Rule",
    "Table",
    "Text",
    "TokenHash",
    "Type",
    "as_json",
    "fields",
]

_MOST = 2**63 - 1
_CENTURY = 36_525 * 86_400_000  # in milliseconds; a time that far from now still fits into 64 bits


@dataclass(frozen=True, slots=True)
class Text:
    """Valid Unicode, without lone surrogates; NUL is an ordinary character.

    It has at least `min` code points.
    """

    min: int = 0


@dataclass(frozen=True, slots=True)
class TokenHash:
    """The SHA-256 of a resume token, as 64 hexadecimal digits in lower case.

    No error shows the given value, since it may be the token itself.
    """


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number; 5.0, as JSON may carry it, is a 5.

    `unit` says what it counts, where that is not plain. Where all numbers are doubles, numbers above 2**53 lose their
    last digits; only bounds are that large.
    """

    min: int = 0
    max: int = _MOST
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number."""

    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these words."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """True or False."""


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value, also None: finite numbers of 64 bits, valid Unicode, at most 100 levels and 1,000,000 values."""


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object of the caller's: its keys are kept as they are, and its values may be None."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a page gave, to go on behind it: a text that only its store reads. Any other text is refused."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """A list of at least one finite number."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list. With the rule "ranges" its items are {start, end, ...}:

    Ranges of a text from its beginning on, in order, none empty and without a gap. Each starts and ends later than the
    one before. Two neighbours may overlap.
    """

    item: Type
    rule: Literal["", "ranges"] = ""


@dataclass(frozen=True, slots=True)
class Object:
    """An object with these fields and no others. A result has a `name`, and a `meaning` where that is not plain."""

    fields: tuple[Field, ...]
    rules: tuple[Rule, ...] = ()
    name: str = ""
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Nullable:
    """A result that may be None."""

    of: Type


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A result that is one of these."""

    of: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object. If it is not required and left out, its `default` counts, if that is not None."""

    name: str
    type: Type
    required: bool = True
    default: int | str | bool | None = None


@dataclass(frozen=True, slots=True)
class OnlyWith:
    """`field` may be given, and has its default, only where `other` is given."""

    field: str
    other: str


@dataclass(frozen=True, slots=True)
class Differs:
    """`field` and `other` have different values. No error shows them."""

    field: str
    other: str


@dataclass(frozen=True, slots=True)
class Needs:
    """Where `field` is `value`, `other` is given."""

    field: str
    value: str
    other: str


@dataclass(frozen=True, slots=True)
class OnlyFor:
    """`field` may be given only where `other` is one of `values`."""

    field: str
    other: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of `field` and `other` is given, and not both."""

    field: str
    other: str


@dataclass(frozen=True, slots=True)
class AtLeastOne:
    """At least one of `fields` is given."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Covers:
    """The ranges in `field`, if there are any, end at the number in `length`."""

    field: str
    length: str


Type: TypeAlias = (
    Text
    | TokenHash
    | Integer
    | Number
    | OneOf
    | Flag
    | Json
    | JsonObject
    | Cursor
    | Embedding
    | ListOf
    | Object
    | Nullable
    | AnyOf
)
Rule: TypeAlias = OnlyWith | Differs | Needs | OnlyFor | Either | AtLeastOne | Covers


@dataclass(frozen=True, slots=True)
class Optional:
    """An argument of `fields` for a field that may be left out."""

    type: Type
    default: int | str | bool | None = None


def fields(**types: Type | Optional) -> tuple[Field, ...]:
    """The fields of an object, by name."""
    return tuple(
        Field(name, one.type, False, one.default) if isinstance(one, Optional) else Field(name, one)
        for name, one in types.items()
    )


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the contract."""

    path: str
    kind: Literal["query", "mutation"]
    args: Object
    result: Type
    meaning: str
    """What it does, in Markdown."""
    errors: tuple[str, ...] = ()
    """Errors of `cortex_rx.errors` that it raises beside those of every function."""
    repeated: str = ""
    """Of a mutation: what the same call does when it is sent again."""
    ours: bool = False
    """Not in the stock contract."""
    when_archived: bool = False
    """Of a mutation that works in a memory space: also while this is archived."""


@dataclass(frozen=True, slots=True)
class Table:
    """The functions of a table, and what they have in common."""

    name: str
    meaning: str
    functions: tuple[Function, ...]


def as_json(value: object) -> Any:
    """A value of these types as JSON: `is` names the type, and fields with their default value are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((field, getattr(value, field.name)) for field in fields_of(value))
        plain = {field.name: as_json(given) for field, given in pairs if given != field.default}
        return {"is": type(value).__name__, **plain}
    return [as_json(item) for item in cast("tuple[object, ...]", value)] if isinstance(value, tuple) else value


TEXT = Text()
ID = Text(min=1)
SPACE = ID
EPOCH = ATTEMPT = OFFSET = COUNT = Integer()
TIME = Integer(unit="milliseconds since 1970")
DURATION = Integer(max=_CENTURY, unit="milliseconds")
LIFETIME = Integer(min=1, max=_CENTURY, unit="milliseconds")
