"""Options as models, built from values, keywords or a mapping.

Every failure is an `InvalidArgument` that names the field.

The fields use the checks of `validation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic.alias_generators import to_snake
from pydantic_core import CoreSchema, core_schema

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument, UnsupportedOption
from cortex_rx.models.records import Record
from cortex_rx.models.spelling import to_camel

__all__ = ["Accepts", "Options", "ids", "parse"]

O = TypeVar("O", bound="Options")  # noqa: E741


@dataclass(frozen=True)
class Accepts:
    """The check of a field, for use in an `Annotated`: pydantic runs it in place of its own validation."""

    check: check.Check

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def run(value: Any, info: ValidationInfo) -> Any:
            return self.check(cast("str", info.field_name), value)

        return core_schema.with_info_plain_validator_function(run)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {}  # the schema of a result that has such a model in it: what is accepted is said in words


class Options(Record):
    """The base of the models for a caller's values.  Keywords are in snake_case or camelCase; None means the default.
    Values without a keyword stand in the order of Cortex's constructor.

    Raises `InvalidArgument` for a value that does not fit, for a field that does not exist, and for a field in both
    spellings.  Raises `UnsupportedOption` for a feature that this version does not have.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        arbitrary_types_allowed=True, loc_by_alias=False, hide_input_in_errors=True
    )
    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {}
    """Fields that Cortex has and this version lacks: the values that request nothing, and why others are refused."""
    _lacking: ClassVar[Mapping[str, str]] = {}
    """Values that Cortex has and this version lacks, by field."""

    if not TYPE_CHECKING:  # a type checker sees the fields as keywords

        def __init__(self, /, *given, **named):
            values = type(self)._named(type(self)._by_name(given, named) if given else named)
            try:
                super().__init__(**values)
            except ValidationError as error:
                wrong = error.errors(include_url=False, include_input=False)[0]
                field = str(wrong["loc"][0])
                raise wrong.get("ctx", {}).get("error") or type(self)._refusal(field, None) from None

    @classmethod
    def _refusal(cls, field: str, value: object) -> InvalidArgument:
        """The error that says that `field` does not accept `value`."""
        accepts = next(one for one in cls.model_fields[field].metadata if isinstance(one, Accepts))
        try:
            accepts.check(field, value)
        except InvalidArgument as error:
            return error
        return InvalidArgument(field, check.shown(value), "a value; it is required")

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` under the names of the fields, without the values that request nothing."""
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
                    shown = value if isinstance(value, str) else check.shown(value)
                    raise UnsupportedOption(name, shown, f"{' or '.join(map(repr, nothing))}; {why}")
            elif isinstance(value, str) and value == cls._lacking.get(name):
                raise UnsupportedOption(name, value, cls._refusal(name, value).accepted)
            elif value is not None:
                values[name] = value
        return values

    @classmethod
    def _field(cls, key: str) -> str:
        spellings = _spellings(cls)
        if (name := spellings.get(key)) is not None:
            return name
        from difflib import get_close_matches  # here, for it is seldom needed

        known = list(dict.fromkeys(spellings.values()))
        closest = get_close_matches(to_snake(key), known, n=1)
        said = f"{closest[0]} (the closest), or one of " if closest else "one of "
        raise InvalidArgument(cls.__name__, key, said + ", ".join(cls.model_fields))

    def keywords(self) -> dict[str, Any]:
        """The options as keywords of a typed call, without values that are None, False or empty."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {
            key: list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType]
            for key, value in values
            if value is not None and value is not False and value != ()
        }


@cache
def _spellings(model: type[Options]) -> dict[str, str]:
    """What each field, and each that is refused, may be called, and its name."""
    known = (*model.model_fields, *(name for name in model._refused if name not in model.model_fields))
    return {name: name for name in known} | {to_camel(name): name for name in known}


@cache
def _defaults(model: type[Options]) -> Options:
    """The options that nobody has set, made once: they cannot be changed."""
    return model()


def parse(model: type[O], value: object = None, /, **keywords: Any) -> O:
    """Make a `model` of `value`: a `model`, a mapping in snake_case or camelCase, a dataclass with such fields, or
    None.

    `keywords` are added; a field in both is an error.  Raises `InvalidArgument` or `UnsupportedOption`.

    >>> from cortex_rx.models.options import SearchOptions, StreamingOptions
    >>> parse(StreamingOptions, {"partialResponseInterval": 250}).partial_response_interval
    250
    >>> parse(StreamingOptions, {"syncToGraph": False}, max_response_length=4_000).max_response_length
    4000
    >>> parse(SearchOptions, {"strategy": "recent"})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.UnsupportedOption: strategy: got 'recent'; accepted: 'auto' or 'keyword' or 'semantic'
    """
    if isinstance(value, model):
        if not keywords:
            return value
        value = {name: getattr(value, name) for name in value.model_fields_set}
    elif is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif value is None:
        if not keywords:
            return cast("O", _defaults(model))
        value = {}
    if not isinstance(value, Mapping):
        accepted = f"a {model.__name__}, a mapping of its fields, or None"
        raise InvalidArgument(model.__name__, type(value).__name__, accepted)
    given: dict[str, Any] = {}
    for key, one in (*cast("Mapping[object, Any]", value).items(), *keywords.items()):
        if not isinstance(key, str):
            raise InvalidArgument(model.__name__, f"a key of type {type(key).__name__}", "keys that are strings")
        if key in given:
            raise InvalidArgument(key, "twice", "the field once: in the mapping or as a keyword")
        given[key] = one
    return model(**given)


def ids(**values: object) -> dict[str, Any]:
    """Check identifiers, each a string that is not empty, and return them as keywords of a typed call.

    >>> ids(memory_space_id="support", memory_id="mem-1")
    {'memory_space_id': 'support', 'memory_id': 'mem-1'}
    >>> ids(memory_space_id=" ")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: memory_space_id: got ' '; accepted: a string that is not empty
    """
    return {field: check.name(field, value) for field, value in values.items()}
