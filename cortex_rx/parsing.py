"""How what a caller gives is checked: models whose every failure is an `InvalidArgument` that names the field.

An error says what was given, abbreviated, and what is accepted; of a value that may hold message text it says only the type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_args

from pydantic import ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic.alias_generators import to_camel, to_snake
from pydantic_core import CoreSchema, core_schema

from cortex_rx.errors import InvalidArgument, UnsupportedOption
from cortex_rx.types import Record

__all__ = ["NAME", "Accepts", "Options", "ids", "is_name", "is_number", "one_of", "parse"]

O = TypeVar("O", bound="Options")  # noqa: E741


@dataclass(frozen=True)
class Accepts:
    """What a field accepts, in words and as a test; pydantic runs the test where this stands in an `Annotated`."""

    text: str
    test: Callable[[Any], bool]
    hidden: bool = False
    """What is given may hold message text or code: an error shows its type only."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def check(value: Any) -> Any:
            if not self.test(value):
                raise ValueError(self.text)
            return value

        return core_schema.no_info_before_validator_function(check, handler(source))

    def error(self, field: str, given: object) -> InvalidArgument:
        """The error that says that `field` does not accept `given`."""
        hide = self.hidden and given is not None
        return InvalidArgument(field, type(given).__name__ if hide else given, self.text)


def is_number(value: Any, low: float, high: float = math.inf, kinds: type | tuple[type, ...] = (int, float)) -> bool:
    """A finite number from `low` to `high`; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    number = cast("float", value)
    return low <= number <= high and number != math.inf


def is_name(value: object) -> bool:
    """A string that is not empty."""
    return isinstance(value, str) and bool(value.strip())


def one_of(literal: object) -> Accepts:
    """One of the values of a `Literal`."""
    values = get_args(literal)
    return Accepts(f"one of {', '.join(values)}", lambda value: value in values)


NAME = Accepts("a string that is not empty", is_name)


class Options(Record):
    """The base of what a caller gives.  It is made of keywords in snake_case or camelCase; None means the default.

    Raises `InvalidArgument`: a value that does not fit, a field that does not exist, one field in both spellings; and
    `UnsupportedOption` for what this version cannot do.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        arbitrary_types_allowed=True, loc_by_alias=False, hide_input_in_errors=True
    )
    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {}
    """What Cortex knows and this version does not: the values that ask for nothing, and why others are refused."""
    _lacking: ClassVar[Mapping[str, str]] = {}
    """Of fields that there are: a value that Cortex knows and this version does not."""

    if not TYPE_CHECKING:  # a type checker sees the fields as keywords

        def __init__(self, /, **given):
            values = type(self)._named(given)
            try:
                super().__init__(**values)
            except ValidationError as error:
                field = str(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0])
                raise type(self)._accepts(field).error(field, values.get(field)) from None

    @classmethod
    def _accepts(cls, field: str) -> Accepts:
        return next(one for one in cls.model_fields[field].metadata if isinstance(one, Accepts))

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` under the names of the fields, without what asks for nothing."""
        values: dict[str, Any] = {}
        spelled: dict[str, str] = {}
        for key, value in given.items():
            name = cls._field(key)
            if name in spelled:
                raise InvalidArgument(name, f"{spelled[name]} and {key}", "one spelling of the field, not both")
            spelled[name] = key
            if name in cls._refused:
                nothing, why = cls._refused[name]
                if not any(type(value) is type(none) and value == none for none in nothing):
                    shown = value if isinstance(value, str | int | float) else type(value).__name__
                    raise UnsupportedOption(name, shown, f"{' or '.join(map(repr, nothing))}; {why}")
            elif isinstance(value, str) and value == cls._lacking.get(name):
                raise UnsupportedOption(name, value, cls._accepts(name).text)
            elif value is not None:
                values[name] = value
        return values

    @classmethod
    def _field(cls, key: str) -> str:
        known = (*cls.model_fields, *(name for name in cls._refused if name not in cls.model_fields))
        for name in known:
            if key in (name, to_camel(name)):
                return name
        closest = get_close_matches(to_snake(key), known, n=1)
        said = f"{closest[0]} (the closest), or one of " if closest else "one of "
        raise InvalidArgument(cls.__name__, key, said + ", ".join(cls.model_fields))

    def arguments(self) -> dict[str, Any]:
        """The options as arguments of a backend function: camelCase keys, without what is None, False or empty."""
        values = ((to_camel(name), getattr(self, name)) for name in type(self).model_fields)
        return {
            key: list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType]
            for key, value in values
            if value is not None and value is not False and value != ()
        }


def parse(model: type[O], value: object = None, /, **keywords: Any) -> O:
    """`value` as a `model`: one already, a mapping with keys in snake_case or camelCase, a dataclass with such fields, or None.

    `keywords` are added; a field that is in both is an error.  Raises `InvalidArgument` (and `UnsupportedOption`).

    >>> from cortex_rx.options import StreamingOptions
    >>> parse(StreamingOptions, {"partialResponseInterval": 250}).partial_response_interval
    250
    >>> parse(StreamingOptions, {"syncToGraph": False}, max_response_length=4_000).max_response_length
    4000
    >>> parse(StreamingOptions, {"chunkingStrategy": "semantic"})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.UnsupportedOption: chunking_strategy: got 'semantic'; accepted: one of token, sentence, paragraph, fixed
    """
    if isinstance(value, model):
        if not keywords:
            return value
        value = {name: getattr(value, name) for name in value.model_fields_set}
    elif is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif value is None:
        value = {}
    if not isinstance(value, Mapping):
        accepted = f"a {model.__name__}, a mapping of its fields, or None"
        raise InvalidArgument(model.__name__, type(value).__name__, accepted)
    given: dict[str, Any] = {}
    for key, one in (*cast("Mapping[object, Any]", value).items(), *keywords.items()):
        if not isinstance(key, str):
            raise InvalidArgument(model.__name__, key, "keys that are strings")
        if key in given:
            raise InvalidArgument(key, "twice", "the field once: in the mapping or as a keyword")
        given[key] = one
    return model(**given)


def ids(**values: object) -> dict[str, str]:
    """Identifiers, each checked to be a string that is not empty, as arguments of a backend function.

    >>> ids(memory_space_id="support", memory_id="mem-1")
    {'memorySpaceId': 'support', 'memoryId': 'mem-1'}
    >>> ids(memory_space_id=" ")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: memory_space_id: got ' '; accepted: a string that is not empty
    """
    checked: dict[str, str] = {}
    for name, value in values.items():
        if not (isinstance(value, str) and NAME.test(value)):
            raise NAME.error(name, value)
        checked[to_camel(name)] = value
    return checked
