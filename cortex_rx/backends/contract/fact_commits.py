"""The functions `facts:*` about what is read from the text of a stream while it is written, and later."""

from __future__ import annotations

from cortex_rx.backends.contract.facts import FACT, FACT_FIELDS, FACT_INPUT, REVISE
from cortex_rx.backends.contract.types import (
    ATTEMPT,
    COUNT,
    EPOCH,
    ID,
    OFFSET,
    SPACE,
    TEXT,
    TIME,
    Flag,
    Function,
    ListOf,
    Number,
    Object,
    OneOf,
    OnlyWith,
    Optional,
    fields,
)

__all__ = ["EXTRACTIONS", "FUNCTIONS", "PUBLISHED"]

_SIDE = OneOf(("question", "answer"))
_ACTION = OneOf(("ADD", "UPDATE", "SUPERSEDE", "NONE"))
_WINDOW = (
    *fields(side=_SIDE),
    *fields(**{"from": OFFSET, "to": OFFSET}),
    *fields(
        facts=ListOf(
            Object(
                (*FACT_INPUT, *fields(tags=Optional(ListOf(TEXT)), factId=Optional(ID))),
                rules=(OnlyWith("embeddingModel", "embedding"),),
                name="NewFact",
                meaning="""What a text says. Polarity, tense and numbers are read from `fact`, if they are not given.
`cardinality` says whether the subject has one object of this predicate at a time; else the list of predicates does. A
`decision` about a fact that does not hold any more, or is another user's, decides nothing. `factId` is the id of the
fact, if it becomes a new one and no other has this id; otherwise the store makes one.""",
            )
        ),
        error=Optional(ID),
        tries=Optional(COUNT),
        dead=Optional(Flag()),
    ),
    *REVISE,
)
_WINDOW_RULES = (OnlyWith("tries", "error"), OnlyWith("dead", "error"))
EXTRACTIONS = fields(
    extractions=Optional(
        ListOf(
            Object(
                _WINDOW,
                rules=_WINDOW_RULES,
                name="Extraction",
                meaning="What was read from a window of a text, or the `error` for which it is to be read again.",
            )
        )
    )
)
_REVISION = Object(
    fields(action=_ACTION, factId=ID, about=Optional(ID)),
    name="FactRevision",
    meaning="""What a statement did: it is a new fact, it ended the fact `about`, it rewrote a fact, or it said a fact
again.""",
)
_GIVEN_UP = Object(
    (*fields(side=_SIDE), *fields(**{"from": OFFSET, "to": OFFSET}), *fields(error=TEXT)),
    name="GivenUpWindow",
    meaning="A window of a text of which not all facts are stored, and why: TOO_MANY_FACTS.",
)
PUBLISHED = fields(
    facts=Optional(ListOf(FACT)), revisions=Optional(ListOf(_REVISION)), givenUp=Optional(ListOf(_GIVEN_UP))
)

FUNCTIONS: tuple[Function, ...] = (
    Function(
        "facts:commit",
        "mutation",
        Object(
            (
                *fields(streamId=ID, memorySpaceId=SPACE, epoch=EPOCH, attempt=Optional(ATTEMPT)),
                *_WINDOW,
            ),
            rules=_WINDOW_RULES,
        ),
        Object(
            fields(
                end=OFFSET,
                facts=ListOf(
                    Object(
                        fields(index=COUNT, factId=ID, action=Optional(_ACTION), about=Optional(ID)),
                        name="CommittedFact",
                    )
                ),
                progress=Object(fields(question=OFFSET, answer=OFFSET), name="FactProgress"),
            ),
            name="CommittedFacts",
            meaning="""`end`: up to where the side was read. `facts`: those given that are stored, by their `index`;
what a fact did is there once it is visible.""",
        ),
        """Stores what was read from the code points `from` to `to` (excluded) of a side of a stream: of its question,
or of the text of an `attempt`, by default the newest. The facts and the offset are one transaction. The facts are
provisional: in no list, until the stream ends. A statement is stored once for each side, whichever windows have it. The
first call of a stream, which may be empty (`from` and `to` are 0), says that it is read for facts; an empty call gives
the progress.

A window that begins beyond what was read, or ends beyond what is stored, is a `Gap`. Another epoch than the stream's,
or an older attempt, is `Fenced`.

With `error`, the code of an error and never its text, the window enters the queue (`facts:queued`): it was read, but is
to be read again. The facts that are given are kept. `tries` is how often it was tried, by default once; `dead` takes it
out until somebody asks for it. On a stream that has ended only a window of the queue, or its beginning, is stored; its
facts are visible at once, as of the time of the message. It leaves the queue if there is no `error`.

A stream has at most 1,000 statements; more is an `InvalidArgument`.""",
        errors=("StreamNotFound", "Fenced", "Gap"),
        repeated="It changes nothing and gives the same.",
        ours=True,
        when_archived=True,
    ),
    Function(
        "facts:queued",
        "query",
        Object(fields(memorySpaceId=Optional(SPACE), dead=Optional(Flag(), False), limit=Optional(COUNT, 100))),
        ListOf(
            Object(
                (
                    *fields(memorySpaceId=ID, streamId=ID, epoch=EPOCH, side=_SIDE, attempt=ATTEMPT),
                    *fields(**{"from": OFFSET, "to": OFFSET}),
                    *fields(
                        state=OneOf(("queued", "dead")),
                        tries=COUNT,
                        error=Optional(TEXT),
                        conversationId=ID,
                        userId=Optional(ID),
                        memoryId=ID,
                        queuedAt=TIME,
                    ),
                ),
                name="QueuedWindow",
                meaning="A window of a text that is to be read for facts. `memoryId`: of the memory of that text.",
            )
        ),
        """The windows of streams that have ended that are to be read yet, oldest first. With `dead` those that were
tried too often, and only those. Without a memory space those of all: a worker reads them for the whole store.""",
        ours=True,
    ),
    Function(
        "facts:similar",
        "query",
        Object(
            (
                *fields(memorySpaceId=SPACE, userId=Optional(ID)),
                *FACT_INPUT,
                *REVISE,
                *fields(limit=Optional(COUNT, 50)),
            ),
            rules=(OnlyWith("embeddingModel", "embedding"),),
        ),
        ListOf(
            Object(
                (*FACT_FIELDS, *fields(same=Flag(), ends=Flag(), similarity=Number(0, 1))),
                name="SimilarFact",
                meaning="""A fact that may be meant by a new one. `same`: without a decision they are one fact; `ends`:
without a decision the new one ends it. `similarity`: the share of the words' parts that they have in common.""",
            )
        ),
        """The facts that hold, of the same user, that a new fact may be about: those with the same subject and
predicate, those with a similar text, those with its words, and, if the deduplication is "semantic", those about the
same subject with a near embedding of the same model. The most similar first, at most 50. It decides nothing.""",
        ours=True,
    ),
)
"""They belong to the table of `facts`."""
