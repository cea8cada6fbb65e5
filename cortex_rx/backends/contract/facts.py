"""The functions `facts:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.pages import PAGED, page_of
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    OFFSET,
    SPACE,
    TEXT,
    TIME,
    Embedding,
    Flag,
    Function,
    JsonObject,
    ListOf,
    Needs,
    Nullable,
    Number,
    Object,
    OneOf,
    OnlyWith,
    Optional,
    Table,
    fields,
)

__all__ = ["FACT", "FACT_FIELDS", "FACT_INPUT", "REVISE", "TABLE"]

_PERCENT = Number(0, 100)
_TYPE = OneOf(("preference", "identity", "knowledge", "relationship", "event", "observation", "custom"))
_SOURCE_TYPE = OneOf(("conversation", "system", "tool", "manual", "a2a"))
_POLARITY = OneOf(("positive", "negative"))
_TENSE = OneOf(("past", "present", "future"))
_SOURCE = Object(
    fields(
        conversationId=Optional(ID),
        messageIds=Optional(ListOf(ID)),
        memoryId=Optional(ID),
        start=Optional(OFFSET),
        end=Optional(OFFSET),
    ),
    name="FactSource",
    meaning="What a fact was read from: the code points of the memory from `start` to `end` (excluded).",
)
_TRIPLE = fields(subject=Optional(ID), predicate=Optional(ID), object=Optional(ID), qualifier=Optional(ID))
_DECISION = Object(
    fields(action=OneOf(("ADD", "UPDATE", "SUPERSEDE", "NONE")), factId=Optional(ID)),
    rules=tuple(Needs("action", action, "factId") for action in ("UPDATE", "SUPERSEDE", "NONE")),
    name="FactDecision",
)
FACT_INPUT = (
    *fields(fact=ID, factType=_TYPE, confidence=_PERCENT),
    *_TRIPLE,
    *fields(
        polarity=Optional(_POLARITY),
        tense=Optional(_TENSE),
        validFrom=Optional(TIME),
        validUntil=Optional(TIME),
        metadata=Optional(JsonObject()),
        cardinality=Optional(OneOf(("one", "many"))),
        embedding=Optional(Embedding()),
        embeddingModel=Optional(ID),
        decision=Optional(_DECISION),
    ),
)
"""The arguments that say what a statement says; those that have tags add them."""
REVISE = fields(
    deduplication=Optional(OneOf(("none", "exact", "structural", "semantic")), "structural"),
    revise=Optional(Flag(), True),
)
"""The arguments that say how statements become facts."""

FACT_FIELDS = (
    *fields(
        factId=ID,
        memorySpaceId=ID,
        fact=TEXT,
        factType=_TYPE,
        confidence=_PERCENT,
        sourceType=_SOURCE_TYPE,
        userId=Optional(ID),
        participantId=Optional(ID),
    ),
    *_TRIPLE,
    *fields(
        polarity=_POLARITY,
        tense=_TENSE,
        tags=ListOf(TEXT),
        metadata=Optional(JsonObject()),
        sourceRef=Optional(_SOURCE),
        sources=ListOf(_SOURCE),
        validFrom=Optional(TIME),
        validUntil=Optional(TIME),
        knownFrom=TIME,
        knownUntil=Optional(TIME),
        closed=Optional(OneOf(("changed", "wrong"))),
        supersedes=Optional(ID),
        supersededBy=Optional(ID),
        version=COUNT,
        createdAt=TIME,
        updatedAt=TIME,
    ),
)
FACT = Object(
    FACT_FIELDS,
    name="Fact",
    meaning="""A fact. `validFrom` and `validUntil` (excluded) say when it was true, `knownFrom` and `knownUntil` when
the memory space has known it. `closed`: it does not hold any more, since it "changed" or since it was "wrong";
`supersededBy` is the fact that holds instead, if there is one. `sources` are all places where it was said, `sourceRef`
is the first. `confidence` counts each message once.""",
)
_FOUND = Object(
    (*FACT_FIELDS, *fields(_score=Number(0, 1))), name="FoundFact", meaning="A fact and its score in a search."
)

_FILTERS = fields(
    factType=Optional(_TYPE),
    object=Optional(ID),
    qualifier=Optional(ID),
    polarity=Optional(_POLARITY),
    tense=Optional(_TENSE),
    minConfidence=Optional(_PERCENT),
    confidence=Optional(_PERCENT),
    userId=Optional(ID),
    participantId=Optional(ID),
    conversationId=Optional(ID),
    memoryId=Optional(ID),
    tags=Optional(ListOf(TEXT)),
    tagMatch=Optional(OneOf(("any", "all")), "any"),
    sourceType=Optional(_SOURCE_TYPE),
    createdBefore=Optional(TIME),
    createdAfter=Optional(TIME),
    updatedBefore=Optional(TIME),
    updatedAfter=Optional(TIME),
    version=Optional(COUNT),
    includeSuperseded=Optional(Flag(), False),
    validAt=Optional(TIME),
    asOf=Optional(TIME),
    knownAt=Optional(TIME),
    metadata=Optional(JsonObject()),
)
_PAGE = fields(
    limit=Optional(COUNT),
    offset=Optional(OFFSET, 0),
    sortBy=Optional(OneOf(("createdAt", "updatedAt", "confidence", "version"))),
    sortOrder=Optional(OneOf(("asc", "desc")), "desc"),
)
_SUBJECT, _PREDICATE = fields(subject=ID), fields(predicate=ID)
_ANY_SUBJECT, _ANY_PREDICATE = fields(subject=Optional(ID)), fields(predicate=Optional(ID))
_ONE = fields(memorySpaceId=SPACE, factId=ID)

TABLE = Table(
    "facts",
    """A fact is made of *statements*: what a text said, or what `facts:store` was given. The same statement from two
texts is one fact with two sources. Of a predicate that has one object at a time, a newer statement ends the fact
before: this one is *closed*, never deleted. What was said of the past or the future ends nothing.

Without other arguments, functions give the facts that nothing has closed. `includeSuperseded` adds those that have a
`supersededBy`. `asOf` gives the facts that were true at that time, whatever has superseded them since; `validAt` only
narrows. `knownAt` gives the facts as the space knew them at that time: with the statements that it knew then;
`updatedAt` is when it knew the last of them. What was retracted is only there with a `knownAt` before that, in
`facts:get` and in `facts:getHistory`; what was corrected also with `includeSuperseded`.

Filters act before the page; all must fit. `subject` and `object` are compared as they were given; a `predicate` also
fits in another spelling ("livesIn", "lives in"), or by another name of it. `tags`: any of them, or all with `tagMatch`
"all". `metadata`: a fact has these values under these keys. `conversationId` and `memoryId`: one of the sources is
there. "after" is at this time or later, "before" is earlier. An unsorted list is in the order in which the facts were
made; with `sortBy` and without `sortOrder` the highest comes first. Equal facts stay in that order.""",
    (
        Function(
            "facts:store",
            "mutation",
            Object(
                (
                    *fields(memorySpaceId=SPACE),
                    *FACT_INPUT,
                    *fields(
                        tags=ListOf(TEXT),
                        sourceType=_SOURCE_TYPE,
                        userId=Optional(ID),
                        participantId=Optional(ID),
                        sourceRef=Optional(_SOURCE),
                        factId=Optional(ID),
                    ),
                    *REVISE,
                ),
                rules=(OnlyWith("embeddingModel", "embedding"),),
            ),
            FACT,
            """Stores one statement, and gives the fact that it supports: a new one, or one that was there. What its
`polarity` and `tense` are is read from its text, if they are not given. `validFrom` is by default now. The
conversation, messages and memory that `sourceRef` names need not be there.

A `factId` of the client's makes the call safe to repeat. The same id with the same text, triple and owner is the same
statement, and nothing is stored. Otherwise it is an `IdempotencyConflict`.""",
            errors=("IdempotencyConflict",),
            repeated="""With a `factId` it gives the fact. Without one it is one more statement of the same fact, and
only another message raises its confidence.""",
        ),
        Function(
            "facts:update",
            "mutation",
            Object(
                (
                    *_ONE,
                    *fields(
                        fact=Optional(ID),
                        confidence=Optional(_PERCENT),
                        tags=Optional(ListOf(TEXT)),
                        validFrom=Optional(TIME),
                        validUntil=Optional(TIME),
                        metadata=Optional(JsonObject()),
                    ),
                    *_TRIPLE,
                    *fields(polarity=Optional(_POLARITY), tense=Optional(_TENSE)),
                )
            ),
            FACT,
            """Corrects a fact. It is closed as wrong, and a copy with these changes takes its place: under a new id,
with the next `version`, the same sources and the same owner. `metadata` replaces the former. A fact that was
retracted or corrected before cannot be corrected.""",
            errors=("FactNotFound", "FactRetracted"),
            repeated="""It is `FactRetracted`, which names the correction.""",
        ),
        Function(
            "facts:deleteFact",
            "mutation",
            Object(_ONE),
            Object(fields(deleted=Flag(), factId=ID), name="RetractedFact"),
            """Retracts a fact: it was never so. It is closed as wrong, and what it had superseded holds again, if
nothing else ends it.""",
            errors=("FactNotFound",),
            repeated="The same: the fact stays retracted.",
        ),
        Function(
            "facts:get",
            "query",
            Object(_ONE),
            Nullable(FACT),
            """The fact, also one that is closed; None if the memory space has none with this id.""",
        ),
        Function(
            "facts:list",
            "query",
            Object((*fields(memorySpaceId=SPACE), *_ANY_SUBJECT, *_ANY_PREDICATE, *_FILTERS, *_PAGE)),
            ListOf(FACT),
            """Facts, in the order in which they were made. A `limit` of 0 gives none; without one all are given.""",
        ),
        Function(
            "facts:page",
            "query",
            Object(
                (
                    *fields(memorySpaceId=SPACE),
                    *_ANY_SUBJECT,
                    *_ANY_PREDICATE,
                    *(one for one in _FILTERS if one.name != "knownAt"),
                    *PAGED,
                )
            ),
            page_of(FACT, "FactPage"),
            """A page of the facts that `facts:list` gives, in the order in which they were made.""",
            ours=True,
        ),
        Function(
            "facts:count",
            "query",
            Object((*fields(memorySpaceId=SPACE), *_ANY_SUBJECT, *_ANY_PREDICATE, *_FILTERS)),
            COUNT,
            """How many facts `facts:list` gives without a limit.""",
        ),
        Function(
            "facts:search",
            "query",
            Object((*fields(memorySpaceId=SPACE, query=TEXT), *_ANY_SUBJECT, *_ANY_PREDICATE, *_FILTERS, *_PAGE)),
            ListOf(_FOUND),
            """Facts that have words of the query, best first, or by `sortBy`; at most 1,024. Words and weights are
those of `memories:search`, counted among the facts of the memory space. `_score` is the share of what a perfect match
would get. Of equal facts the newest comes first. Filters act before the ranks are cut.""",
        ),
        Function(
            "facts:getHistory",
            "query",
            Object(_ONE),
            ListOf(FACT),
            """The fact with all that it has superseded or corrected and all that has superseded or corrected it, oldest
first; each once. Nothing, if the memory space has no fact with this id.""",
        ),
        Function(
            "facts:queryBySubject",
            "query",
            Object((*fields(memorySpaceId=SPACE), *_SUBJECT, *_ANY_PREDICATE, *_FILTERS, *_PAGE)),
            ListOf(FACT),
            """As `facts:list`, about one subject.""",
        ),
        Function(
            "facts:queryByRelationship",
            "query",
            Object((*fields(memorySpaceId=SPACE), *_SUBJECT, *_PREDICATE, *_FILTERS, *_PAGE)),
            ListOf(FACT),
            """As `facts:list`, about one subject and predicate.""",
        ),
        Function(
            "facts:exportFacts",
            "query",
            Object(fields(memorySpaceId=SPACE, format=OneOf(("json", "jsonld", "csv")), factType=Optional(_TYPE))),
            Object(
                fields(format=OneOf(("json", "jsonld", "csv")), data=TEXT, count=COUNT, exportedAt=TIME),
                name="FactExport",
            ),
            """The facts that hold, as a text: a JSON array; JSON-LD with an `@graph`; or CSV as RFC 4180 has it, with a
header, every field quoted, and an apostrophe before a text that a spreadsheet would take for a formula.""",
        ),
        Function(
            "facts:consolidate",
            "mutation",
            Object(fields(memorySpaceId=SPACE, factIds=ListOf(ID), keepFactId=ID)),
            Object(
                fields(consolidated=Flag(), keptFactId=ID, mergedCount=COUNT),
                name="Consolidation",
                meaning="`mergedCount` facts became one with the kept fact.",
            ),
            """Makes facts one. The kept fact gets the sources of the others, which are closed as wrong, and the rounded
mean of all confidences. Ids that are not of an open fact of this memory space and of the same user are passed over, and
not counted.
The kept fact must be open, else it is a `FactNotFound`.""",
            errors=("FactNotFound",),
            repeated="It gives 0 merged facts, and changes nothing.",
        ),
    ),
)
