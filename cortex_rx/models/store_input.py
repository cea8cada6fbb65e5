"""What `memory.store` takes: a text, and what is known of it.

Each field may be given in Cortex's form (`source`, `metadata` and `conversation_ref` are records or mappings, in
snake_case or camelCase), and the common ones also by themselves: `importance`, `tags`, `conversation_id`.

    >>> given = {"content": "It rains.", "source": {"type": "tool"}, "metadata": {"importance": 70, "unit": "mm"}}
    >>> stored = parse(StoreMemoryInput, given, conversation_id="c-1")
    >>> stored.importance, stored.metadata, stored.conversation_ref
    (70, {'unit': 'mm'}, ConversationRef(conversation_id='c-1', message_ids=()))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast, get_args

from cortex_rx import validation as check
from cortex_rx.embedding.embedder import Embedder, GenerateEmbedding, as_embedder, check_embedding, checked_function
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts, Options, parse
from cortex_rx.models.options import ContentType, SourceType
from cortex_rx.models.spelling import to_camel

__all__ = [
    "ConversationRef",
    "ImmutableRef",
    "MemoryMetadata",
    "MemorySource",
    "MessageRole",
    "MutableRef",
    "StoreMemoryInput",
    "StoreMemoryOptions",
    "nested",
]

MessageRole: TypeAlias = Literal["user", "agent", "system"]
"""Who said it."""

_INT64 = 2**63 - 1
_NAME = Accepts(check.name)
_OPTIONAL_NAME = Accepts(check.optional(check.name))
_TIME = Accepts(check.whole(0, _INT64))


def nested(model: type[Options]) -> Accepts:
    """None, a `model`, or its fields as a mapping or dataclass.  An error names the field within the field."""

    def given(field: str, value: object) -> Options | None:
        if value is None:
            return None
        if not isinstance(value, model | Mapping) and not is_dataclass(value):
            raise InvalidArgument(field, check.shown(value), f"a {model.__name__}, a mapping of its fields, or None")
        try:
            return parse(model, value)
        except InvalidArgument as error:
            place = field if error.field == model.__name__ else f"{field}.{error.field}"
            raise InvalidArgument(place, error.given, error.accepted) from None

    return Accepts(given)


class MemorySource(Options):
    """Where a memory comes from, and who said it.  `timestamp` (epoch milliseconds) is when; by default when it is
    stored.
    """

    type: Annotated[SourceType, Accepts(check.one_of(*get_args(SourceType)))]
    timestamp: Annotated[int | None, Accepts(check.optional(check.whole(0, _INT64)))] = None
    user_id: Annotated[str | None, _OPTIONAL_NAME] = None
    user_name: Annotated[str | None, _OPTIONAL_NAME] = None


class MemoryMetadata(Options):
    """How important a memory is (0 to 100), its tags, and in `extra` anything else."""

    importance: Annotated[int | float, Accepts(check.importance)]
    tags: Annotated[tuple[str, ...], Accepts(check.names)] = ()
    extra: Annotated[Mapping[str, Any], Accepts(check.json_mapping)] = {}


class ConversationRef(Options):
    """The conversation that a memory belongs to, and the messages that it was made from."""

    conversation_id: Annotated[str, _NAME]
    message_ids: Annotated[tuple[str, ...], Accepts(check.names)] = ()


class ImmutableRef(Options):
    """A record of yours that never changes, by its type and id."""

    type: Annotated[str, _NAME]
    id: Annotated[str, _NAME]
    version: Annotated[int | None, Accepts(check.optional(check.whole(0, _INT64)))] = None


class MutableRef(Options):
    """A value of yours that changes, and a snapshot of it: the JSON value `snapshot_value` at `snapshot_at` (epoch
    milliseconds).
    """

    namespace: Annotated[str, _NAME]
    key: Annotated[str, _NAME]
    snapshot_value: Annotated[Any, Accepts(check.json_value)] = None
    snapshot_at: Annotated[int, _TIME]


class StoreMemoryOptions(Options):
    """What storing a memory does beside. `sync_to_graph` warns if the store keeps no graph."""

    sync_to_graph: Annotated[bool | None, Accepts(check.optional(check.flag))] = None


class StoreMemoryInput(Options):
    """A memory to be stored by itself.

    >>> StoreMemoryInput(content="It rains.", tags=["weather"]).keywords()["source_type"]
    'system'
    >>> StoreMemoryInput(content="It rains.", source={"type": "rumour"})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: source.type: got 'rumour'; accepted:
    'conversation' or 'system' or 'tool' or 'a2a' or 'fact-extraction'
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("content", "content_type", "source", "metadata", "participant_id", "embedding", "user_id"),
        *("conversation_ref", "immutable_ref", "mutable_ref"),
    )

    content: Annotated[str, Accepts(check.any_text)]
    content_type: Annotated[ContentType, Accepts(check.one_of(*get_args(ContentType)))] = "raw"
    source: Annotated[MemorySource | None, nested(MemorySource)] = None
    """By default of type "conversation" if there is one, else "system".  A source of type "conversation" needs one."""
    importance: Annotated[int | float, Accepts(check.importance)] = 50
    """0 to 100."""
    tags: Annotated[tuple[str, ...], Accepts(check.names)] = ()
    metadata: Annotated[Mapping[str, Any], Accepts(check.json_mapping)] = {}
    """Anything else.  As in Cortex, its keys `importance` and `tags` are those fields."""
    user_id: Annotated[str | None, _OPTIONAL_NAME] = None
    """Whose memory it is: what the filters `user_id` compare.  `source.user_id` is only kept."""
    agent_id: Annotated[str | None, _OPTIONAL_NAME] = None
    participant_id: Annotated[str | None, _OPTIONAL_NAME] = None
    message_role: Annotated[MessageRole | None, Accepts(check.optional(check.one_of(*get_args(MessageRole))))] = None
    conversation_ref: Annotated[ConversationRef | None, nested(ConversationRef)] = None
    """Also given as `conversation_id` alone."""
    immutable_ref: Annotated[ImmutableRef | None, nested(ImmutableRef)] = None
    mutable_ref: Annotated[MutableRef | None, nested(MutableRef)] = None
    embedding: Annotated[list[float] | None, Accepts(check.optional(check.vector))] = None
    """Its vector: a list, a tuple or an array of numbers."""
    generate_embedding: Annotated[GenerateEmbedding | None, Accepts(check.optional(checked_function))] = None
    """An `Embedder`, or a function from the content to its vector, where no `embedding` is given.  By default, that of
    the client."""
    embedding_model: Annotated[str | None, _OPTIONAL_NAME] = None
    """The name of the model that made `embedding`, or of `generate_embedding`, if that is a function."""
    memory_id: Annotated[str | None, _OPTIONAL_NAME] = None
    """Its id, by default a new one.  A memory with the same id, content, owner and conversation is stored once."""

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {**given}
        for spelling in ("conversation_id", "conversationId"):
            if (conversation := values.pop(spelling, None)) is not None:
                conversation = check.name(spelling, conversation)
                _add(values, "conversation_ref", ConversationRef(conversation_id=conversation))
        values["metadata"], known = _unfolded(values.get("metadata"))
        for name, value in known.items():
            _add(values, name, value)
        named = super()._named(values)
        check_embedding(named)
        return named

    def embedder(self, default: Embedder | None) -> Embedder | None:
        """What embeds the content: its own or the default one; None if its embedding is given, or for none."""
        if self.embedding is not None:
            return None
        return as_embedder(self.generate_embedding, self.embedding_model) or default

    def keywords(self) -> dict[str, Any]:
        """The memory as keywords of the typed call `memories:store`.  Raises `InvalidArgument` if its source is a
        conversation and it has none."""
        source = self.source or MemorySource(type="system" if self.conversation_ref is None else "conversation")
        if source.type == "conversation" and self.conversation_ref is None:
            raise InvalidArgument("conversation_ref", None, "the conversation that is the source")
        refs = {name: _row(getattr(self, name)) for name in ("conversation_ref", "immutable_ref", "mutable_ref")}
        values = {
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            **refs,
            "embedding_model": None if self.embedding is None else self.embedding_model,
            "source_type": source.type,
            "source_timestamp": source.timestamp,
            "source_user_id": source.user_id,
            "source_user_name": source.user_name,
            "tags": list(self.tags),
            "metadata": self.metadata or None,
        }
        return {name: value for name, value in values.items() if value is not None}


_AS_THEY_ARE = (
    *("content", "content_type", "importance", "user_id", "agent_id", "participant_id", "message_role", "memory_id"),
    "embedding",
)


def _add(values: dict[str, Any], name: str, value: object) -> None:
    """Add a field that was given within another one, unless it was given by itself, too."""
    if values.get(name) is not None or values.get(to_camel(name)) is not None:
        raise InvalidArgument(name, "twice", "the field once: by itself, or within another one")
    values[name] = value


def _unfolded(metadata: object) -> tuple[object, dict[str, Any]]:
    """The metadata without the fields that Cortex has among them; and these."""
    if isinstance(metadata, MemoryMetadata):
        given: dict[str, Any] = {name: getattr(metadata, name) for name in type(metadata).model_fields}
        metadata = {**given.pop("extra"), **given}
    elif is_dataclass(metadata) and not isinstance(metadata, type):  # Cortex's own
        given = {field.name: getattr(metadata, field.name) for field in fields(metadata)}
        metadata = {**(given.pop("extra", None) or {}), **given}
    if not isinstance(metadata, Mapping):
        return metadata, {}
    rest = dict(cast("Mapping[object, Any]", metadata))
    known = {name: rest.pop(name) for name in ("importance", "tags") if rest.get(name) is not None}
    return rest, known


def _row(reference: Options | None) -> dict[str, Any] | None:
    """A reference as an argument of the store."""
    if reference is None:
        return None
    values = ((name, getattr(reference, name)) for name in type(reference).model_fields)
    return {
        to_camel(name): list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType]
        for name, value in values
        if value is not None or name == "snapshot_value"
    }
