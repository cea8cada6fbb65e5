"""The pieces that a provider returns, and how it reads an item: an object of an SDK or its JSON."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import filterfalse
from typing import Any, NoReturn, TypeAlias, cast

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from cortex_rx.errors import ProviderError
from cortex_rx.events import Custom
from cortex_rx.models.records import Usage

__all__ = [
    "Cursor",
    "Finish",
    "Piece",
    "Provider",
    "as_json",
    "field",
    "fields",
    "model_of",
    "others",
    "passed",
    "raise_failure",
    "refused",
]


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the answer ended, its usage, and the name of its model. A provider may send them in separate items."""

    reason: str | None = None
    usage: Usage | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after an item, from which the provider can go on: for `replayable(..., cursor=True)`."""

    value: Any
    """JSON: the value with which the provider goes on after the item."""


Piece: TypeAlias = "str | Custom | Finish | Cursor"
"""Text of the answer, another item, how the answer ended, or from where it can go on."""
Provider: TypeAlias = Callable[[Any], "str | Iterable[Piece] | None"]
"""The pieces in an item (a string is one piece), or None if the item is not of this provider's kind.

A piece of a refusal is text of the answer, with a `Custom` named `refusal` beside it. An answer with such a piece ends
as `refusal` where its reason would be `stop`.

The answer is complete when a `Finish` with a reason has come. A stream of such items that ends without one is
`incomplete`. If the items never say how the answer ended, give `from_stream` the bare text.
"""

_SIMPLE = frozenset((str, int, bool, type(None)))  # most values: they are JSON already
_EMPTY: tuple[Any, ...] = ("", [], {})


def _kind(kind: type[Any]) -> type[Any]:
    """How the objects of a type are read."""
    return next((known for known in (Mapping, BaseModel) if issubclass(kind, known)), object)


# Called several times for each item; `isinstance` of an abstract class takes as long as all other work on the item.
_is = cast("Callable[[type[Any]], type[Any]]", lru_cache(maxsize=256)(_kind))


def field(item: Any, name: str) -> Any:
    """A field of an SDK's object or of its JSON; None if it has none."""
    what = _is(type(item))
    if what is BaseModel:  # slow to say that it has no such attribute
        value = item.__dict__.get(name)
        return value if value is not None else (item.__pydantic_extra__ or {}).get(name)
    return item.get(name) if what is Mapping else getattr(item, name, None)


def fields(item: Any) -> Mapping[str, Any]:
    """All fields of an SDK's object or of its JSON, also those that the SDK's version does not know; none of None."""
    what = _is(type(item))
    if what is BaseModel:
        known: dict[str, Any] = item.__dict__
        extra: dict[str, Any] | None = item.__pydantic_extra__
        return known | extra if extra else known
    if what is Mapping:
        return cast("Mapping[str, Any]", item)
    return {} if item is None else vars(item)


def others(given: Mapping[str, Any], known: frozenset[str], pieces: list[Piece]) -> None:
    """Append all fields that are not `known`, except empty ones, to `pieces`."""
    for name in filterfalse(known.__contains__, given):
        value = given[name]
        if value is not None and value not in _EMPTY:
            pieces.append(Custom(name, as_json(value)))


def passed(item: Any, name: str, without: Container[str] = ("snapshot",)) -> Custom:
    """The whole item under a name, `without` some fields.

    The `snapshot` that an SDK's helper adds to each piece is left out. It repeats all text so far, so its work and
    memory would grow with the square of the answer's length.
    """
    given = fields(item).items()
    return Custom(name, {key: as_json(value) for key, value in given if value is not None and key not in without})


def model_of(item: Any) -> str | None:
    """The name of the model in an object that has it; None if it is missing or empty."""
    name = field(item, "model")
    return name if isinstance(name, str) and name else None


def refused(text: Any) -> list[Piece]:
    """A piece of a refusal: text of the answer, and a `Custom` that says what kind of text it is."""
    mark = Custom("refusal", as_json(text))
    return [text, mark] if isinstance(text, str) else [mark]


def raise_failure(detail: Any) -> NoReturn:
    """Raise `ProviderError` with the type, the code and the message of a provider's failure, and nothing else of it."""
    kind, code, message = (field(detail, name) for name in ("type", "code", "message"))
    raise ProviderError(
        message if isinstance(message, str) else "it did not say why",
        kind if isinstance(kind, str) and kind != "error" else None,  # "error" is the type of the event
        code if isinstance(code, str) else None,
    )


def as_json(value: Any) -> Any:
    """The value as JSON. Fields that are None are left out, of objects and of JSON."""
    if type(value) in _SIMPLE:
        return value
    return _slim(to_jsonable_python(value, exclude_none=True, fallback=vars))


def _slim(value: Any) -> Any:
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value).items()
        return {name: _slim(each) for name, each in given if each is not None}
    return [_slim(each) for each in value] if isinstance(value, list) else value
