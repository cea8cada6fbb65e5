"""What a provider gives, and how it reads an item: the object of an SDK and the JSON of it alike."""

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
    "others",
    "passed",
    "raise_failure",
    "refused",
]


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the answer ended and what it used; a provider may say the two in separate items."""

    reason: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place behind an item, from which the provider can go on: for `replayable(..., cursor=True)`."""

    value: Any
    """JSON: what the provider takes to go on after the item."""


Piece: TypeAlias = "str | Custom | Finish | Cursor"
"""Text of the answer, something else that came along, how it ended, or from where it can go on."""
Provider: TypeAlias = Callable[[Any], "str | Iterable[Piece] | None"]
"""The pieces in an item (a string is one piece), or None if the item is not of this provider's kind.

A piece of a refusal is text of the answer, with a `Custom` named `refusal` beside it: an answer with such a one ends as `refusal`
where its reason would be `stop`.

The answer is taken to be whole when a `Finish` with a reason has come: a stream of such items that ends without one is
`incomplete`.  Where nothing says how the answer ended, hand `from_stream` the bare text.
"""

_SIMPLE = frozenset((str, int, bool, type(None)))  # most of what comes: it is JSON already
_EMPTY: tuple[Any, ...] = ("", [], {})


def _kind(kind: type[Any]) -> type[Any]:
    """What the objects of a type are."""
    return next((known for known in (Mapping, BaseModel) if issubclass(kind, known)), object)


# It is asked several times for each item, and `isinstance` of an abstract class takes as long as all else that is done with it.
_is = cast("Callable[[type[Any]], type[Any]]", lru_cache(maxsize=256)(_kind))


def field(item: Any, name: str) -> Any:
    """A field of an SDK's object or of its JSON; None if it has none."""
    what = _is(type(item))
    if what is BaseModel:  # which takes long to say that it has no such attribute
        value = item.__dict__.get(name)
        return value if value is not None else (item.__pydantic_extra__ or {}).get(name)
    return item.get(name) if what is Mapping else getattr(item, name, None)


def fields(item: Any) -> Mapping[str, Any]:
    """All fields of an SDK's object or of its JSON, also those that this version of the SDK does not know; of None there are none."""
    what = _is(type(item))
    if what is BaseModel:
        known: dict[str, Any] = item.__dict__
        extra: dict[str, Any] | None = item.__pydantic_extra__
        return known | extra if extra else known
    if what is Mapping:
        return cast("Mapping[str, Any]", item)
    return {} if item is None else vars(item)


def others(given: Mapping[str, Any], known: frozenset[str], pieces: list[Piece]) -> None:
    """Append what there is beside the `known` fields, but for what is empty."""
    for name in filterfalse(known.__contains__, given):
        value = given[name]
        if value is not None and value not in _EMPTY:
            pieces.append(Custom(name, as_json(value)))


def passed(item: Any, name: str, without: Container[str] = ("snapshot",)) -> Custom:
    """The whole item under a name.

    The `snapshot` that an SDK's helper adds to each piece is left out: it is all that came before, and the work and the
    memory for it would grow with the square of the answer.  So is what else a caller names because it is such a one.
    """
    given = fields(item).items()
    return Custom(name, {key: as_json(value) for key, value in given if value is not None and key not in without})


def refused(text: Any) -> list[Piece]:
    """A piece of a refusal: text of the answer, for it is what is said; and a `Custom`, which says what kind of text it is."""
    mark = Custom("refusal", as_json(text))
    return [text, mark] if isinstance(text, str) else [mark]


def raise_failure(detail: Any) -> NoReturn:
    """Raise `ProviderError` from what a provider says of a failure: of it only the type, the code and the message."""
    kind, code, message = (field(detail, name) for name in ("type", "code", "message"))
    raise ProviderError(
        message if isinstance(message, str) else "it did not say why",
        kind if isinstance(kind, str) and kind != "error" else None,  # the type of the event is none of the failure
        code if isinstance(code, str) else None,
    )


def as_json(value: Any) -> Any:
    """As JSON; what has no value is left out, whether it came as an object or as JSON."""
    if type(value) in _SIMPLE:
        return value
    return _slim(to_jsonable_python(value, exclude_none=True, fallback=vars))


def _slim(value: Any) -> Any:
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value).items()
        return {name: _slim(each) for name, each in given if each is not None}
    return [_slim(each) for each in value] if isinstance(value, list) else value
