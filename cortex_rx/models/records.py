"""The records that events and results carry.

A `Record` is read by attribute and by key, in snake_case and in Cortex's camelCase::

    >>> usage = Usage(input_tokens=12, output_tokens=34)
    >>> usage.output_tokens, usage["output_tokens"], usage["outputTokens"]
    (34, 34, 34)

Times are epoch milliseconds and intervals milliseconds, as in Cortex, unless a name says otherwise.  Lengths and
offsets are code points (Python's `len`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_snake
from pydantic.json_schema import SkipJsonSchema

from cortex_rx.errors import InvalidArgument, StoreError
from cortex_rx.models.spelling import to_camel
from cortex_rx.unique import ResumeToken, without_token

__all__ = [
    "SHORTEST_CHUNK",
    "ChunkMetadata",
    "ChunkingStrategy",
    "ContentChunk",
    "Conversation",
    "ConversationHistory",
    "ErrorContext",
    "GraphSyncEvent",
    "MemoryEntry",
    "Message",
    "PartialUpdate",
    "PendingExchange",
    "Phase",
    "ProgressiveFact",
    "Record",
    "StreamError",
    "StreamMetrics",
    "StreamTimeline",
    "Token",
    "Usage",
]

Phase = Literal["initialization", "streaming", "fact-extraction", "storage", "finalization"]
"""The part of the work in which something failed (Cortex's names)."""
ChunkingStrategy = Literal["token", "sentence", "paragraph", "fixed", "semantic"]
"""The unit in which an answer is cut into chunks."""
SHORTEST_CHUNK = 32
"""The least bound for the length of chunks, in code points: longer than most words, and than nearly all grapheme
clusters."""


Token: TypeAlias = Annotated[str, AfterValidator(ResumeToken)]
"""The type of a field for a resume token."""


class Record(BaseModel):
    """An immutable record, read by attribute and by key.

    It is made with keywords, or with values in the order of Cortex's constructor; what only this package has comes
    after them, or has keywords alone.

    >>> Usage(12, 34).output_tokens
    34
    """

    # Built when it is first used: most programs use a few of them.
    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid", defer_build=True
    )
    _positions: ClassVar[tuple[str, ...]] = ()
    """The names that values without a keyword have, if they are not the fields in their order."""

    if not TYPE_CHECKING:  # a type checker sees the fields as keywords

        def __init__(self, /, *given, **named):
            super().__init__(**(type(self)._by_name(given, named) if given else named))

        # What is read from a store is validated by pydantic alone, which is faster than by this method.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def _by_name(cls, given: tuple[object, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """`named`, and what was given without a name."""
        names = cls._positions or tuple(cls.model_fields)
        if len(given) > len(names):
            accepted = f"at most {len(names)}: {', '.join(names)}"
            raise InvalidArgument(cls.__name__, f"{len(given)} values without a keyword", accepted)
        values = dict(zip(names, given, strict=False))
        for name in values:
            if name in named or to_camel(name) in named:
                raise InvalidArgument(name, "twice", "the field once: by its place or as a keyword")
        known = {*cls.model_fields, *getattr(cls, "_refused", ())}
        for name in [name for name in values if name not in known]:
            if values.pop(name) is not None:
                raise InvalidArgument(name, "a value", f"None: {cls.__name__} has no such field here")
        return {**values, **named}

    def __getstate__(self) -> dict[Any, Any]:
        """What is pickled: all but a resume token."""
        state = super().__getstate__()
        return {**state, "__dict__": without_token(state["__dict__"])}

    def __getitem__(self, key: str) -> Any:
        """The value of the field `key`, in snake_case or camelCase.  Raises `KeyError` if there is no such field."""
        for name in (key, to_snake(key)):
            if name in type(self).model_fields or name in type(self).model_computed_fields:
                return getattr(self, name)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        known = {*type(self).model_fields, *type(self).model_computed_fields}
        return isinstance(key, str) and (key in known or to_snake(key) in known)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the field `key`, or `default` if there is no such field."""
        try:
            return self[key]
        except KeyError:
            return default

    def keys(self) -> Iterator[str]:
        """The names of the fields, in camelCase.  With them, `dict(record)` is the record as Cortex returns it."""
        return iter(field.alias or name for name, field in type(self).model_fields.items())

    @classmethod
    def from_row(cls, row: object) -> Self:
        """Make the record from a backend's row.  Raises `StoreError`, which names the fields that do not fit."""
        try:
            return cls.model_validate(row)
        except ValidationError as error:
            places = (one["loc"] for one in error.errors(include_url=False, include_context=False, include_input=False))
            wrong = ", ".join(dict.fromkeys(".".join(map(str, place)) or "the whole" for place in places))
            raise StoreError(f"the backend gave what is no {cls.__name__}: {wrong} does not fit") from None


class Usage(Record):
    """The provider's token counts, of the request that ended the answer.  What it did not count is None.

    `input_tokens` counts all that the model was given: `cached_input_tokens` of them were read from the provider's
    cache, and `cache_write_tokens` were written to it.  `output_tokens` counts all that the model wrote:
    `reasoning_tokens` of them were reasoning, which is no text of the answer.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    def stored(self, model: str | None) -> dict[str, Any]:
        """The counts and the name of the model as the store keeps them, in the field `usage`."""
        named = {} if model is None else {"model": model}
        return {**self.model_dump(by_alias=True, exclude_none=True), **named}

    @classmethod
    def from_stored(cls, row: Mapping[str, Any] | None) -> tuple[Usage | None, str | None]:
        """The counts and the name of the model that `stored` made; None where there are none.

        >>> Usage.from_stored(Usage(output_tokens=3).stored("gpt-4o"))[1]
        'gpt-4o'
        """
        counts = dict(row or {})
        model = counts.pop("model", None)
        return (cls.from_row(counts) if counts else None), (model if isinstance(model, str) else None)


class StreamTimeline(Record):
    """When a stream's text came: how much in each of at most 256 equal slots of time, from the request on.

    Every delta counts, also of an attempt whose text was thrown away.
    """

    slot_ms: float
    """The length of a slot; it doubles when the stream needs more slots."""
    chunks: tuple[int, ...]
    """Deltas in each slot."""
    characters: tuple[int, ...]
    """Code points in each slot."""


class StreamMetrics(Record):
    """The metrics of a stream, measured where `measure` stands in the chain.

    `start_time` is epoch milliseconds; every other time is milliseconds from the request.  `first_chunk_latency` is
    None until a delta has passed.  `total_bytes` counts UTF-8 bytes, `total_characters` code points.
    `inter_chunk_p50`, `_p95` and `_p99` are percentiles of the time between two deltas, accurate to 4 %;
    `inter_chunk_max` is the longest.

    `estimated_tokens` is the provider's count of the output if it gives one (`tokens_from` is then "provider"; it
    includes `reasoning_tokens`).  Else a tokenizer has counted the text ("tokenizer"), or it is estimated from the
    kinds of its characters ("estimate").  `model` and the counts after it are the provider's, as in `Usage`.

    `estimated_cost` is in USD, by the prices of `prices_from`.  It is None if the price of the model is not known.
    Where the provider did not count the input, the cost is that of the output alone.

    `facts_extracted` counts the facts of `fact_windows` pieces of text that were read for facts.  `graph_syncs` says
    how often the graph was told of the answer, and `graph_records` how many records were brought to it with that.
    `timeline` is set at the end.
    """

    start_time: float = 0
    first_chunk_latency: float | None = None
    stream_duration_ms: float = 0
    total_chunks: int = 0
    total_bytes: int = 0
    total_characters: int = 0
    average_chunk_size: float = 0
    chunks_per_second: float = 0
    characters_per_second: float = 0
    inter_chunk_p50: float | None = None
    inter_chunk_p95: float | None = None
    inter_chunk_p99: float | None = None
    facts_extracted: int = 0
    partial_updates: int = 0
    error_count: int = 0
    retry_count: int = 0
    estimated_tokens: int = 0
    tokens_from: Literal["provider", "tokenizer", "estimate"] = "estimate"
    estimated_cost: float | None = None
    prices_from: Literal["table", "genai-prices"] | None = None
    model: str | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    inter_chunk_max: float | None = None
    fact_windows: int = 0
    graph_syncs: int = 0
    graph_records: int = 0
    timeline: StreamTimeline | None = None


class PartialUpdate(Record):
    """One write of the partial answer: `content_length` code points were durable, up to chunk `chunk_number`
    (1-based)."""

    timestamp: float
    memory_id: str
    content_length: int
    chunk_number: int


class GraphSyncEvent(Record):
    """The graph was told of the answer: `node_id` is the id of its memory, by which its node is found.

    `details` has the number of `records` that were written with it.
    """

    timestamp: float
    event_type: Literal["node-created", "node-updated", "relationship-created", "finalized"]
    node_id: str | None = None
    details: dict[str, Any] | None = None


class ErrorContext(Record):
    """How far the stream was when something failed.

    `bytes_processed` is the length of the answer by then, in code points (Cortex's name and unit).
    `last_successful_update` is when the partial answer was last stored, in epoch milliseconds.
    """

    phase: Phase
    chunk_number: int
    bytes_processed: int
    partial_memory_id: str | None = None
    last_successful_update: float | None = None


class StreamError(Record):
    """A failure, and how far the stream was.  Either side work failed while the answer continued, or the stream itself.

    `partial_data_saved` says whether a part of the answer was durable by then.  `original_error` is the exception
    itself, for a hook.  It is None in a result, since results are compared, stored and sent on.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    code: str
    message: str
    recoverable: bool
    """Of side work, as in its `Problem`: whether the work is retried, or done in another way.  Of the end of the
    stream, the result of `is_transient` for `original_error`: whether a retry may succeed."""
    phase: Phase
    partial_data_saved: bool
    resume_token: Token | None = Field(default=None, repr=False)
    context: ErrorContext
    original_error: SkipJsonSchema[Exception | None] = Field(default=None, exclude=True, repr=False)


class ContentChunk(Record):
    """A piece of an answer: `content` is its text from `start_offset` to `end_offset` (code points, end excluded).

    `chunk_index` counts the chunks of the answer from 0.  `has_overlap`: it begins with the end of the chunk before it.
    """

    content: str
    chunk_index: int
    start_offset: int
    end_offset: int
    has_overlap: bool = False


class ProgressiveFact(Record):
    """A fact that was found while the answer still streamed."""

    fact_id: str
    extracted_at_chunk: int
    confidence: float
    fact: str
    deduped: bool = False


class Message(Record):
    """One message of a conversation."""

    id: str
    role: Literal["user", "agent", "system"]
    content: str
    timestamp: float
    participant_id: str | None = None
    metadata: dict[str, Any] | None = None


class PendingExchange(Record):
    """An exchange that has not ended: its question, and `length` code points of its answer, are stored.

    It is "streaming" while a process writes it, else "interrupted": it may be resumed or finished.  `message_ids` and
    `memory_ids` are the ids of its question and its answer, under which both will be stored.  `position` is the number
    of messages that stand before it.  (The question of an exchange that was closed without an answer before is the
    message at this position.)  `last_error` is the code of the error that its writer failed with, if the writer could
    say so.  `user_message` has at most its first 65,536 code points.  Times are epoch milliseconds.
    """

    stream_id: str
    conversation_id: str
    memory_id: str
    message_ids: tuple[str, str]
    memory_ids: tuple[str, str]
    state: Literal["streaming", "interrupted"]
    attempt: int
    length: int
    user_message: str
    position: int
    created_at: float
    updated_at: float
    lease_until: float | None = None
    last_error: str | None = None


class Conversation(Record):
    """A conversation, in the order of asking.

    `messages` and `message_count` are of exchanges that have ended, `pending` has the others.  Both are empty if it was
    listed rather than fetched.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")
    _positions: ClassVar[tuple[str, ...]] = (
        *("_id", "conversation_id", "memory_space_id", "type", "participants", "messages", "message_count"),
        *("metadata", "created_at", "updated_at", "participant_id"),
    )

    conversation_id: str
    memory_space_id: str
    type: Literal["user-agent", "agent-agent"]
    participants: dict[str, Any]
    message_count: int
    created_at: float
    updated_at: float
    messages: tuple[Message, ...] = ()
    pending: tuple[PendingExchange, ...] = ()
    participant_id: str | None = None
    metadata: dict[str, Any] | None = None


class ConversationHistory(Record):
    """A page of a conversation's messages; `total` counts all of them.  `pending` are the exchanges that stand in the
    page and have not ended."""

    conversation_id: str
    messages: tuple[Message, ...]
    pending: tuple[PendingExchange, ...] = ()
    total: int
    has_more: bool


class ChunkMetadata(Record):
    """The part of an answer that a memory holds: the text from `start_offset` to `end_offset` (code points, end
    excluded).

    `chunk_index` counts from 0 to `total_chunks` - 1.  `has_overlap`: it begins with the end of the chunk before it.
    """

    parent_memory_id: str
    chunk_index: int
    total_chunks: int
    start_offset: int
    end_offset: int
    has_overlap: bool


class MemoryEntry(Record):
    """A memory.  In lists and searches, `content` may be only the first 65,536 code points; `content_length` is the
    true length.

    `score` is set in search results; higher is better.  `why` is set if a search was asked to explain itself.  For an
    answer stored in chunks, `chunk_count` is their number, and `get` also returns their ids, in order, as `chunk_ids`.
    A memory that is a chunk has `chunk_metadata`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")
    _positions: ClassVar[tuple[str, ...]] = (
        *("_id", "memory_id", "memory_space_id", "content", "content_type", "source_type", "source_timestamp"),
        *("importance", "tags", "version", "previous_versions", "created_at", "updated_at", "access_count"),
        *("participant_id", "user_id", "embedding", "source_user_id", "source_user_name", "conversation_ref"),
        *("immutable_ref", "mutable_ref", "last_accessed", "_score", "score"),
    )

    memory_id: str
    memory_space_id: str
    content: str
    content_length: int
    content_type: str
    source_type: str
    source_timestamp: float
    importance: float
    tags: tuple[str, ...]
    version: int
    created_at: float
    updated_at: float
    access_count: int = 0
    is_partial: bool = False
    is_archived: bool = False
    source_user_id: str | None = None
    source_user_name: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    participant_id: str | None = None
    message_role: str | None = None
    conversation_ref: dict[str, Any] | None = None
    immutable_ref: dict[str, Any] | None = None
    mutable_ref: dict[str, Any] | None = None
    embedding: tuple[float, ...] | None = None
    partial_metadata: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    chunk_count: int | None = None
    chunk_ids: tuple[str, ...] | None = None
    chunk_metadata: ChunkMetadata | None = None
    score: float | None = Field(default=None, validation_alias=AliasChoices("score", "_score"))
    why: dict[str, Any] | None = Field(default=None, validation_alias=AliasChoices("why", "_why"))
