"""Facts: what an extractor gives, what is stored, and what is looked for. The names are Cortex's.

A caller gives each as a model, or as a mapping in snake_case or camelCase. Confidence is a number from 0 to 100. Times
are epoch milliseconds; a time may also be given as a `datetime` with a time zone. "after" is at this time or later,
"before" is earlier.

    >>> given = {"fact": "Ada lives in Lisbon.", "factType": "identity", "confidence": 90}
    >>> triple = {"subject": "Ada", "predicate": "lives_in", "object": "Lisbon"}
    >>> found = parse(ExtractedFact, given | triple)
    >>> found.object, found.row()["factType"]
    ('Lisbon', 'identity')
    >>> parse(ExtractedFact, given | {"confidence": 900})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: confidence: got 900; accepted: a number from 0 to 100
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import AliasChoices, Field

from cortex_rx import validation as check
from cortex_rx.beliefs import decision, normal, reading
from cortex_rx.embedding.embedder import Embedder, GenerateEmbedding, as_embedder, check_embedding, checked_function
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts, Options, parse
from cortex_rx.models.records import Record
from cortex_rx.models.spelling import to_camel

__all__ = [
    "Closed",
    "CountFactsFilter",
    "DeleteFactOptions",
    "DeletedFact",
    "ExtractedFact",
    "FactAction",
    "FactConsolidation",
    "FactDeduplication",
    "FactExport",
    "FactFormat",
    "FactRecord",
    "FactRevision",
    "FactSourceRef",
    "FactSourceType",
    "FactType",
    "FactUpdate",
    "ListFactsFilter",
    "Polarity",
    "QueryByRelationshipFilter",
    "QueryBySubjectFilter",
    "SearchFactsOptions",
    "StoreFactOptions",
    "StoreFactParams",
    "Tense",
    "Time",
    "UpdateFactOptions",
]

FactType: TypeAlias = Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
"""What kind of fact it is."""
FactSourceType: TypeAlias = Literal["conversation", "system", "tool", "manual", "a2a"]
"""Where a fact comes from."""
FactDeduplication: TypeAlias = normal.Strategy
"""Which statements are one fact: none; those with the same text; with the same subject, predicate and object; also
those whose embeddings are near, if a decider says so. Polarity, tense and numbers are the same in each case."""
FactAction: TypeAlias = decision.Action
"""What a statement did: it is a new fact; it rewrote the text of a fact; it is a new fact that ended another; it was
said before."""
FactFormat: TypeAlias = Literal["json", "jsonld", "csv"]
"""The format of an export."""
Polarity: TypeAlias = reading.Polarity
"""Whether something is said to be so, or not to be so."""
Tense: TypeAlias = reading.Tense
"""Whether something is said of the past, the present or the future."""
Closed: TypeAlias = Literal["changed", "wrong"]
"""Why a fact does not hold any more: something else holds since then, or it was retracted."""

checked_deduplication: check.Check = check.optional(check.one_of(*get_args(FactDeduplication)))
"""A `FactDeduplication`, or None."""

_INT64 = 2**63 - 1
_Name = Annotated[str, Accepts(check.name)]
_OptionalName = Annotated[str | None, Accepts(check.optional(check.name))]
_Tags = Annotated[tuple[str, ...], Accepts(check.names)]
_OptionalTags = Annotated[tuple[str, ...] | None, Accepts(check.optional(check.names))]
_Share = Annotated[int | float, Accepts(check.importance)]
_OptionalShare = Annotated[int | float | None, Accepts(check.optional(check.importance))]
_Metadata = Annotated[Mapping[str, Any] | None, Accepts(check.optional(check.json_mapping))]
_Count = Annotated[int | None, Accepts(check.optional(check.whole(0, _INT64)))]
_Flag = Annotated[bool, Accepts(check.flag)]
_Vector = Annotated[list[float] | None, Accepts(check.optional(check.vector))]
Time: TypeAlias = Annotated[int | None, Accepts(check.optional(check.time))]
"""Of an option: epoch milliseconds, or a `datetime` with a time zone; or None."""
_Kind = Annotated[FactType, Accepts(check.one_of(*get_args(FactType)))]
_OptionalKind = Annotated[FactType | None, Accepts(check.optional(check.one_of(*get_args(FactType))))]
_Polarity = Annotated[Polarity | None, Accepts(check.optional(check.one_of(*get_args(Polarity))))]
_Tense = Annotated[Tense | None, Accepts(check.optional(check.one_of(*get_args(Tense))))]


# --- what is said -----------------------------------------------------------------------------------------------------


class FactSourceRef(Options):
    """What a fact was read from: its conversation, its messages, the memory, and the characters of that memory from
    `start` to `end` (code points, end excluded)."""

    conversation_id: _OptionalName = None
    message_ids: _Tags = ()
    memory_id: _OptionalName = None
    start: _Count = None
    end: _Count = None


class _Said(Options):
    fact: _Name
    """The text of the fact."""
    fact_type: _Kind
    confidence: _Share
    """0 to 100."""
    subject: _OptionalName = None
    predicate: _OptionalName = None
    object: _OptionalName = None
    qualifier: _OptionalName = None
    """What kind of it: of a favourite, "color"."""
    polarity: _Polarity = None
    """Whether it is said to be so or not to be so. If left out, it is read from the text."""
    tense: _Tense = None
    """If left out, it is read from the text."""
    tags: _Tags = ()
    valid_from: Time = None
    """Since when it is true. By default, since it was said."""
    valid_until: Time = None
    metadata: _Metadata = None
    cardinality: Annotated[Literal["one", "many"] | None, Accepts(check.optional(check.one_of("one", "many")))] = None
    """Whether the subject has one object of this predicate at a time, or many. By default, as the predicate is known to
    have."""
    embedding: _Vector = None
    embedding_model: _OptionalName = None
    """The name of the model that made `embedding`."""

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        named = super()._named(given)
        check_embedding(named)
        first, last = named.get("valid_from"), named.get("valid_until")
        if first is not None and last is not None and check.time("valid_until", last) < check.time("valid_from", first):
            raise InvalidArgument("valid_until", check.shown(last), "a time that is not before valid_from")
        return named


class ExtractedFact(_Said):
    """A fact as an extractor gives it. `fact`, `fact_type` and `confidence` are required."""

    def row(self) -> dict[str, Any]:
        """The fact as an argument of the store: in camelCase, without what was left out."""
        return {to_camel(name): value for name, value in self.keywords().items()}


def _source_ref(field: str, value: object) -> FactSourceRef | None:
    if value is None:
        return None
    if not isinstance(value, FactSourceRef | Mapping) and not is_dataclass(value):
        raise InvalidArgument(field, check.shown(value), "a FactSourceRef, a mapping of its fields, or None")
    try:
        return parse(FactSourceRef, value)
    except InvalidArgument as error:
        place = field if error.field == FactSourceRef.__name__ else f"{field}.{error.field}"
        raise InvalidArgument(place, error.given, error.accepted) from None


class StoreFactParams(_Said):
    """A fact to be stored by itself, not from a stream.

    >>> params = StoreFactParams(
    ...     memory_space_id="s", fact="Ada likes tea.", fact_type="preference", confidence=80,
    ...     source_ref={"memoryId": "mem-1"},
    ... )
    >>> params.source_type, params.keywords()["source_ref"]
    ('manual', {'memoryId': 'mem-1'})
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("memory_space_id", "fact", "fact_type", "confidence", "source_type", "participant_id", "user_id"),
        *("subject", "predicate", "object", "source_ref", "metadata", "tags", "valid_from", "valid_until"),
    )

    memory_space_id: _Name
    source_type: Annotated[FactSourceType, Accepts(check.one_of(*get_args(FactSourceType)))] = "manual"
    user_id: _OptionalName = None
    participant_id: _OptionalName = None
    source_ref: Annotated[FactSourceRef | None, Accepts(_source_ref)] = None
    fact_id: _OptionalName = None
    """Its id, by default a new one. The same fact under the same id is stored once."""
    deduplication: Annotated[FactDeduplication, Accepts(check.one_of(*get_args(FactDeduplication)))] = "structural"
    belief_revision: _Flag = True
    """Whether a new value of a predicate that has one at a time supersedes the old one."""
    generate_embedding: Annotated[GenerateEmbedding | None, Accepts(check.optional(checked_function))] = None
    """An `Embedder`, or a function from the text to its vector, where no `embedding` is given. By default, that of the
    client."""

    def embedder(self, default: Embedder | None) -> Embedder | None:
        """What embeds the text: its own or the default one; None if its embedding is given, or for none."""
        if self.embedding is not None:
            return None
        return as_embedder(self.generate_embedding, self.embedding_model) or default

    def keywords(self) -> dict[str, Any]:
        """The fact as keywords of the typed call `facts:store`."""
        values = {**super().keywords(), "tags": list(self.tags)}
        values.pop("generate_embedding", None)
        if self.embedding is None:
            values.pop("embedding_model", None)
        if self.source_ref is not None:
            values["source_ref"] = {to_camel(name): value for name, value in self.source_ref.keywords().items()}
        values["revise"] = self.belief_revision
        values.pop("belief_revision", None)
        return values


class StoreFactOptions(Options):
    """What storing a fact does beside."""

    sync_to_graph: _Flag = False
    """Warns if the store keeps no graph. One that keeps a graph brings each fact to it anyway."""


class UpdateFactOptions(StoreFactOptions):
    """What correcting a fact does beside."""


class DeleteFactOptions(StoreFactOptions):
    """What retracting a fact does beside."""


class FactUpdate(Options):
    """What `facts.update` changes. What is left out stays."""

    fact: _OptionalName = None
    confidence: _OptionalShare = None
    tags: _OptionalTags = None
    valid_until: Time = None
    metadata: _Metadata = None
    """It replaces the metadata."""
    subject: _OptionalName = None
    predicate: _OptionalName = None
    object: _OptionalName = None
    qualifier: _OptionalName = None
    polarity: _Polarity = None
    tense: _Tense = None
    valid_from: Time = None

    def keywords(self) -> dict[str, Any]:
        """The changes as keywords of a typed call. An empty list of tags is a change."""
        values = super().keywords()
        return values if self.tags is None else values | {"tags": list(self.tags)}


# --- what is stored ---------------------------------------------------------------------------------------------------


class FactRecord(Record):
    """A fact, with all that is known of it.

    `valid_from` and `valid_until` (end excluded) say when it was true; `known_from` and `known_until` when the memory
    space has known it. `closed` says why it does not hold any more, `superseded_by` what holds instead. `sources` are
    all places where it was said, `source_ref` is the first. `confidence` counts each message once. `score` is set in
    search results; higher is better.
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("_id", "fact_id", "memory_space_id", "fact", "fact_type", "confidence", "source_type", "tags"),
        *("created_at", "updated_at", "version", "participant_id", "user_id", "subject", "predicate"),
        *("object", "source_ref", "metadata", "valid_from", "valid_until", "superseded_by", "supersedes"),
    )

    fact_id: str
    memory_space_id: str
    fact: str
    fact_type: FactType
    confidence: float
    source_type: FactSourceType
    tags: tuple[str, ...] = ()
    version: int = 1
    created_at: float
    updated_at: float
    participant_id: str | None = None
    user_id: str | None = None
    subject: str | None = None
    predicate: str | None = None
    object: str | None = None
    qualifier: str | None = None
    polarity: Polarity = "positive"
    tense: Tense = "present"
    source_ref: FactSourceRef | None = None
    sources: tuple[FactSourceRef, ...] = ()
    metadata: dict[str, Any] | None = None
    valid_from: float | None = None
    valid_until: float | None = None
    known_from: float | None = None
    known_until: float | None = None
    closed: Closed | None = None
    superseded_by: str | None = None
    supersedes: str | None = None
    score: float | None = Field(default=None, validation_alias=AliasChoices("score", "_score"))


class FactRevision(Record):
    """What storing a statement did: `fact_id` is the fact that it supports, `about` the fact that it ended."""

    action: FactAction
    fact_id: str
    about: str | None = None


class DeletedFact(Record):
    """A fact that was retracted."""

    deleted: bool
    fact_id: str


class FactConsolidation(Record):
    """Facts that were made one: `kept_fact_id` has the sources of `merged_count` others."""

    consolidated: bool
    kept_fact_id: str
    merged_count: int


class FactExport(Record):
    """Facts as a text in a format: `count` of them, at `exported_at` (epoch milliseconds)."""

    format: FactFormat
    data: str
    count: int
    exported_at: float


# --- what is looked for -----------------------------------------------------------------------------------------------

_CONFIDENCES = ("min_confidence", "confidence")
_TAIL = (
    *("user_id", "participant_id", "tags", "tag_match", "source_type", "created_before", "created_after"),
    *("updated_before", "updated_after", "version", "include_superseded", "valid_at", "metadata"),
)
_PAGE = ("limit", "offset", "sort_by", "sort_order")


class _Filters(Options):
    fact_type: _OptionalKind = None
    object: _OptionalName = None
    qualifier: _OptionalName = None
    polarity: _Polarity = None
    tense: _Tense = None
    min_confidence: _OptionalShare = None
    confidence: _OptionalShare = None
    user_id: _OptionalName = None
    participant_id: _OptionalName = None
    conversation_id: _OptionalName = None
    memory_id: _OptionalName = None
    tags: _Tags = ()
    tag_match: Annotated[Literal["any", "all"] | None, Accepts(check.optional(check.one_of("any", "all")))] = None
    """Whether a fact must have any of the tags (the default), or all."""
    source_type: Annotated[FactSourceType | None, Accepts(check.optional(check.one_of(*get_args(FactSourceType))))] = (
        None
    )
    created_before: Time = None
    created_after: Time = None
    updated_before: Time = None
    updated_after: Time = None
    version: _Count = None
    include_superseded: _Flag = False
    """Also find facts that another has superseded."""
    valid_at: Time = None
    """Only facts that are true at this time, among those that are found."""
    as_of: Time = None
    """The facts that were true at this time, also those that are superseded since."""
    known_at: Time = None
    """The facts as the memory space knew them at this time."""
    metadata: _Metadata = None
    """Only facts whose metadata has these values."""


class _Page(Options):
    limit: _Count = None
    """By default all."""
    offset: _Count = None
    sort_by: Annotated[
        Literal["createdAt", "updatedAt", "confidence", "version"] | None,
        Accepts(check.optional(check.one_of("createdAt", "updatedAt", "confidence", "version"))),
    ] = None
    sort_order: Annotated[Literal["asc", "desc"] | None, Accepts(check.optional(check.one_of("asc", "desc")))] = None
    """By default "desc"."""


class CountFactsFilter(_Filters):
    """Which facts of a memory space are counted."""

    _positions: ClassVar[tuple[str, ...]] = (
        *("memory_space_id", "fact_type", "subject", "predicate", "object", *_CONFIDENCES, *_TAIL),
    )

    memory_space_id: _Name
    subject: _OptionalName = None
    predicate: _OptionalName = None


class ListFactsFilter(_Filters, _Page):
    """Which facts of a memory space are listed: by default all that hold, oldest first.

    >>> ListFactsFilter(memory_space_id="s", subject="Ada", limit=0).keywords()
    {'limit': 0, 'memory_space_id': 's', 'subject': 'Ada'}
    """

    _positions: ClassVar[tuple[str, ...]] = (*CountFactsFilter._positions, *_PAGE)

    memory_space_id: _Name
    subject: _OptionalName = None
    predicate: _OptionalName = None


class QueryBySubjectFilter(_Filters, _Page):
    """Which facts about a subject are listed."""

    _positions: ClassVar[tuple[str, ...]] = (
        *("memory_space_id", "subject", "fact_type", "predicate", "object", *_CONFIDENCES, *_TAIL, *_PAGE),
    )

    memory_space_id: _Name
    subject: _Name
    predicate: _OptionalName = None


class QueryByRelationshipFilter(_Filters, _Page):
    """Which facts about a subject with a predicate are listed."""

    _positions: ClassVar[tuple[str, ...]] = (
        *("memory_space_id", "subject", "predicate", "object", "fact_type", *_CONFIDENCES, *_TAIL, *_PAGE),
    )

    memory_space_id: _Name
    subject: _Name
    predicate: _Name


class SearchFactsOptions(_Filters, _Page):
    """The filters, the order and the page of a search of facts: by default best first, at most 1,024.

    >>> SearchFactsOptions(min_confidence=50, limit=5).keywords()
    {'limit': 5, 'min_confidence': 50}
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("fact_type", "subject", "predicate", "object", *_CONFIDENCES, *_TAIL, *_PAGE),
    )

    subject: _OptionalName = None
    predicate: _OptionalName = None
