"""What the methods of `cortex.memory` and `cortex.vector` take and give beside a memory. The names are Cortex's.

>>> from cortex_rx.models.base import parse
>>> parse(ManyMemoriesFilter, {"sourceType": "system", "importance": {"$lte": 10}}).keywords()
Traceback (most recent call last):
...
cortex_rx.errors.InvalidArgument: importance: got 'dict'; accepted: a number from 0 to 100, or None
>>> parse(ManyMemoriesFilter, {"sourceType": "system", "maxImportance": 10}).keywords()
{'source_type': 'system', 'max_importance': 10}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_args

from cortex_rx import validation as check
from cortex_rx.embedding.embedder import Embedder, GenerateEmbedding, as_embedder, check_embedding, checked_function
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts, Options
from cortex_rx.models.facts import FactRecord, Time
from cortex_rx.models.options import ContentType, ExtractFacts, SourceType
from cortex_rx.models.records import Conversation, MemoryEntry, Message, Record

__all__ = [
    "ArchivedMemory",
    "DeleteManyResult",
    "DeleteResult",
    "EnrichedMemory",
    "ManyMemoriesFilter",
    "MemoryChanges",
    "MemoryUpdate",
    "MemoryVersion",
    "RestoredMemory",
    "UpdateManyResult",
    "UpdateMemoryOptions",
    "UpdatedMemory",
]

_NAME = Accepts(check.optional(check.name))
_IMPORTANCE = Accepts(check.optional(check.importance))
_SYNC = Accepts(check.optional(check.flag))
_OptionalTags = Annotated[tuple[str, ...] | None, Accepts(check.optional(check.names))]
_OptionalMetadata = Annotated[Mapping[str, Any] | None, Accepts(check.optional(check.json_mapping))]


class MemoryChanges(Options):
    """What `update_many` changes. What is left out stays; `metadata` replaces the former."""

    importance: Annotated[int | float | None, _IMPORTANCE] = None
    """0 to 100."""
    tags: _OptionalTags = None
    metadata: _OptionalMetadata = None

    def keywords(self) -> dict[str, Any]:
        """The changes as keywords of a typed call. Raises `InvalidArgument` if there are none."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in given}
        found = {name: value for name, value in values.items() if value is not None}
        if not found:
            raise InvalidArgument("updates", "nothing", "what to change: one of " + ", ".join(type(self).model_fields))
        return found


class MemoryUpdate(MemoryChanges):
    """What `update` changes. A new content is embedded by `generate_embedding`, else by the client's, unless its
    `embedding` is given. `expected_version`: the version that the change is for.

    >>> MemoryUpdate(content="It rains.", tags=[]).keywords()
    {'tags': [], 'content': 'It rains.'}
    >>> MemoryUpdate(expected_version=2).keywords()
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: updates: got 'nothing'; accepted: what to change: one of importance, tags,
    metadata, content, embedding
    """

    content: Annotated[str | None, Accepts(check.optional(check.any_text))] = None
    embedding: Annotated[list[float] | None, Accepts(check.optional(check.vector))] = None
    generate_embedding: Annotated[GenerateEmbedding | None, Accepts(check.optional(checked_function))] = None
    embedding_model: Annotated[str | None, _NAME] = None
    expected_version: Annotated[int | None, Accepts(check.optional(check.whole()))] = None

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        named = super()._named(given)
        check_embedding(named)
        return named

    def embedder(self, default: Embedder | None) -> Embedder | None:
        """What embeds the content: None if there is no new one, or if its embedding is given."""
        if self.content is None or self.embedding is not None:
            return None
        return as_embedder(self.generate_embedding, self.embedding_model) or default

    def keywords(self) -> dict[str, Any]:
        """The update as keywords of `memories:update`. Raises `InvalidArgument` if it changes nothing."""
        names = (*MemoryChanges.model_fields, "content", "embedding")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if not given:
            raise InvalidArgument("updates", "nothing", "what to change: one of " + ", ".join(names))
        if self.embedding is not None and self.embedding_model is not None:
            given["embedding_model"] = self.embedding_model
        if self.expected_version is not None:
            given["expected_version"] = self.expected_version
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


class UpdateMemoryOptions(Options):
    """What goes with an update. `reextract_facts`: the facts that only the memory says are retracted, and those of the
    memory as it is now are stored, read by `extract_facts`, else by the client's extractor.
    """

    _positions: ClassVar[tuple[str, ...]] = ("sync_to_graph", "reextract_facts", "extract_facts")

    sync_to_graph: Annotated[bool | None, _SYNC] = None
    reextract_facts: Annotated[bool, Accepts(check.flag)] = False
    extract_facts: Annotated[ExtractFacts | None, Accepts(check.optional(check.callback))] = None


class ManyMemoriesFilter(Options):
    """Which memories `update_many` and `delete_many` are about; at least one filter is given. Times are epoch
    milliseconds, or a `datetime` with a time zone: "after" is at this time or later, "before" is earlier.
    """

    user_id: Annotated[str | None, _NAME] = None
    participant_id: Annotated[str | None, _NAME] = None
    source_type: Annotated[SourceType | None, Accepts(check.optional(check.one_of(*get_args(SourceType))))] = None
    content_type: Annotated[ContentType | None, Accepts(check.optional(check.one_of(*get_args(ContentType))))] = None
    conversation_id: Annotated[str | None, _NAME] = None
    tags: _OptionalTags = None
    """Those that have any of them."""
    importance: Annotated[int | float | None, _IMPORTANCE] = None
    min_importance: Annotated[int | float | None, _IMPORTANCE] = None
    max_importance: Annotated[int | float | None, _IMPORTANCE] = None
    created_after: Time = None
    created_before: Time = None
    include_archived: Annotated[bool, Accepts(check.flag)] = False

    def keywords(self) -> dict[str, Any]:
        """The filter as keywords of a typed call. Raises `InvalidArgument` if there is none."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        archived = given.pop("include_archived")
        exact = given.pop("importance")
        if exact is not None:
            if given["min_importance"] is not None or given["max_importance"] is not None:
                raise InvalidArgument("importance", exact, "None, if there is a least or a most importance")
            given |= {"min_importance": exact, "max_importance": exact}
        tags = given.pop("tags")
        given["with_tags"] = None if tags is None else list(tags)
        found = {name: value for name, value in given.items() if value is not None}
        if not found:
            raise InvalidArgument("filters", "nothing", "at least one filter")
        return found | ({"include_archived": True} if archived else {})


# --- results ----------------------------------------------------------------------------------------------------------


class MemoryVersion(Record):
    """A memory as it was from `timestamp` (epoch milliseconds) on. In a history, `content` is at most the first 65,536
    code points, and `content_length` the true length."""

    _positions: ClassVar[tuple[str, ...]] = ("version", "content", "embedding", "timestamp")

    memory_id: str
    version: int
    content: str
    content_length: int
    embedding: tuple[float, ...] | None = None
    importance: float
    tags: tuple[str, ...]
    metadata: dict[str, Any] | None = None
    timestamp: float


class DeleteResult(Record):
    """What was deleted. `fact_ids` are the facts that only this memory said."""

    deleted: bool
    memory_id: str
    facts_deleted: int
    fact_ids: tuple[str, ...]


class UpdatedMemory(Record):
    """A memory after an update; `facts_reextracted` are the facts of its content, if they were asked for."""

    memory: MemoryEntry
    facts_reextracted: tuple[FactRecord, ...] | None = None


class UpdateManyResult(Record):
    """How many memories passed the filters and were changed, and which."""

    updated: int
    memory_ids: tuple[str, ...]


class DeleteManyResult(Record):
    """How many memories were deleted, and which; `fact_ids` are the facts that only these said."""

    deleted: int
    memory_ids: tuple[str, ...]
    facts_deleted: int
    fact_ids: tuple[str, ...]


class ArchivedMemory(Record):
    """A memory that is in the archive now."""

    archived: bool
    memory_id: str
    restorable: bool


class RestoredMemory(Record):
    """A memory that was brought back from the archive."""

    restored: bool
    memory_id: str
    memory: MemoryEntry


class EnrichedMemory(Record):
    """A memory with what it comes from and what it says: its conversation, None if it has none or it is gone; the
    messages that it was made from; and the facts that come from it.
    """

    memory: MemoryEntry
    conversation: Conversation | None = None
    source_messages: tuple[Message, ...] = ()
    facts: tuple[FactRecord, ...] = ()
