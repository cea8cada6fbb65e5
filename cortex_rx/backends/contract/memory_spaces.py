"""The functions `memorySpaces:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.pages import LISTED, PAGED, page_of
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    SPACE,
    TEXT,
    TIME,
    Flag,
    Function,
    Integer,
    JsonObject,
    ListOf,
    Nullable,
    Object,
    OneOf,
    Optional,
    Table,
    fields,
)

__all__ = ["SPACE_FIELDS", "TABLE"]

_TYPE = OneOf(("personal", "team", "project", "custom"))
_STATUS = OneOf(("active", "archived"))
_GIVEN_PARTICIPANT = Object(fields(id=ID, type=ID, joinedAt=Optional(TIME)), name="NewParticipant")
_PARTICIPANT = Object(fields(id=ID, type=TEXT, joinedAt=TIME), name="SpaceParticipant")
SPACE_FIELDS = fields(
    memorySpaceId=SPACE,
    name=Optional(TEXT),
    type=_TYPE,
    participants=ListOf(_PARTICIPANT),
    metadata=JsonObject(),
    status=_STATUS,
    createdAt=TIME,
    updatedAt=TIME,
    registered=Flag(),
)
_SPACE = Object(
    SPACE_FIELDS,
    name="MemorySpaceRow",
    meaning="""A memory space, with its participants in the order in which they were added. One that is used and not
`registered` is active, of the type "custom", without participants; its times are those of its first records.""",
)
_ONE = fields(memorySpaceId=SPACE)
_FILTERS = fields(type=Optional(_TYPE), status=Optional(_STATUS), participantId=Optional(ID))
_UNREGISTERED = fields(includeUnregistered=Optional(Flag(), False))
_NOT_FOUND = ("MemorySpaceNotFound",)
_STATS = Object(
    fields(
        memorySpaceId=SPACE,
        totalMemories=COUNT,
        totalConversations=COUNT,
        totalFacts=COUNT,
        totalMessages=COUNT,
        storage=Object(
            fields(conversationsBytes=COUNT, memoriesBytes=COUNT, factsBytes=COUNT, totalBytes=COUNT),
            name="SpaceStorage",
            meaning="""Bytes of text in UTF-8: of the messages, of the contents of the memories, of the facts. In
`totalBytes` a text counts once that is both a message and a memory, since it is stored once.""",
        ),
        topTags=ListOf(TEXT),
        importanceBreakdown=Object(
            fields(critical=COUNT, high=COUNT, medium=COUNT, low=COUNT, trivial=COUNT),
            name="SpaceImportance",
            meaning="Memories by importance: from 90, from 70, from 40, from 10, and below.",
        ),
        participants=Optional(
            ListOf(
                Object(
                    fields(
                        id=ID, type=TEXT, joinedAt=TIME, totalMemories=COUNT, totalConversations=COUNT, totalFacts=COUNT
                    ),
                    name="ParticipantStats",
                    meaning="A participant, and how many records name it as their `participantId`.",
                )
            )
        ),
    ),
    name="MemorySpaceStats",
    meaning="What is in a memory space. `topTags` are the ten that most memories have, the most frequent first.",
)

TABLE = Table(
    "memorySpaces",
    """Memory spaces as such. No function requires that a memory space is registered: one is used as soon as something
is stored in it. What is registered has a type, participants and metadata, and is listed. An archived one is registered,
too: archiving one that is only used registers it, as "custom".

An archived memory space is read, and not written: each mutation that works in it is refused with
`MemorySpaceArchived`. Only what began before may end, so that nothing is lost that was shown: an answer that is being
written is written to its end.

The stock contract's `purgeAll`, which drops all registrations at once, is not here: no client calls it.""",
    (
        Function(
            "memorySpaces:register",
            "mutation",
            Object(
                (
                    *_ONE,
                    *fields(
                        type=_TYPE,
                        name=Optional(TEXT),
                        participants=Optional(ListOf(_GIVEN_PARTICIPANT)),
                        metadata=Optional(JsonObject()),
                    ),
                )
            ),
            _SPACE,
            "Registers a memory space. A participant without `joinedAt` joins now.",
            errors=("MemorySpaceExists",),
            repeated="""It gives what is stored, if that is the same; otherwise the memory space is another one, and it
is `MemorySpaceExists`.""",
            when_archived=True,
        ),
        Function(
            "memorySpaces:update",
            "mutation",
            Object(
                (*_ONE, *fields(name=Optional(TEXT), metadata=Optional(JsonObject()), status=Optional(_STATUS))),
            ),
            _SPACE,
            "Changes what is given. `metadata` replaces the former.",
            errors=_NOT_FOUND,
            repeated="Nothing changes.",
            when_archived=True,
        ),
        Function(
            "memorySpaces:addParticipant",
            "mutation",
            Object((*_ONE, *fields(participant=_GIVEN_PARTICIPANT))),
            _SPACE,
            "Adds a participant.",
            errors=("MemorySpaceNotFound", "ParticipantExists"),
            repeated="""Nothing changes, if the participant is the same; a participant of another type, or who joined at
another time, is `ParticipantExists`.""",
            when_archived=True,
        ),
        Function(
            "memorySpaces:removeParticipant",
            "mutation",
            Object((*_ONE, *fields(participantId=ID))),
            _SPACE,
            "Removes a participant, if it is there.",
            errors=_NOT_FOUND,
            repeated="Nothing changes.",
            when_archived=True,
        ),
        Function(
            "memorySpaces:updateParticipants",
            "mutation",
            Object((*_ONE, *fields(add=Optional(ListOf(_GIVEN_PARTICIPANT)), remove=Optional(ListOf(ID))))),
            _SPACE,
            "Removes participants, then adds those that are not there.",
            errors=_NOT_FOUND,
            repeated="""Nothing changes, unless one is both removed and added: it joins anew.""",
            when_archived=True,
        ),
        Function(
            "memorySpaces:archive",
            "mutation",
            Object((*_ONE, *fields(reason=Optional(TEXT), metadata=Optional(JsonObject())))),
            _SPACE,
            """Archives a memory space: it is read, and not written any more. Its metadata get the given ones,
`archivedAt`, and the reason as `archiveReason`.""",
            errors=_NOT_FOUND,
            repeated="Nothing changes: `archivedAt` stays.",
            when_archived=True,
        ),
        Function(
            "memorySpaces:reactivate",
            "mutation",
            Object(_ONE),
            _SPACE,
            "Makes an archived memory space active again. Its metadata stay.",
            errors=_NOT_FOUND,
            repeated="Nothing changes.",
            when_archived=True,
        ),
        Function(
            "memorySpaces:clear",
            "mutation",
            Object((*_ONE, *fields(limit=Optional(Integer(1, 1_000), 100)))),
            Object(
                fields(deleted=COUNT, more=Flag()),
                name="ClearedSpace",
                meaning="How many records were deleted, and whether there may be more.",
            ),
            """Deletes `limit` records of a memory space, or a few more: a fact goes with all that was said of it. So
each transaction is short. These are memories with their chunks, vectors and places in the index, statements and the
facts of them, exchanges with their messages, conversations, contexts, tokens and grants. A text goes with the last
record that refers to it. What is registered stays. Archive the memory space first, or others may fill it meanwhile.""",
            repeated="It deletes the next ones; of an empty memory space it deletes none.",
            ours=True,
            when_archived=True,
        ),
        Function(
            "memorySpaces:deleteSpace",
            "mutation",
            Object((*_ONE, *fields(cascade=Flag()))),
            Object(fields(deleted=Flag(), memorySpaceId=SPACE, cascaded=Flag()), name="DeletedSpace"),
            """Deletes a memory space: what is registered, and with `cascade` all that is in it, in one transaction. Of
a large one, delete most with `memorySpaces:clear` before. Its id is free then. Without `cascade`, a memory space that
has records is `MemorySpaceHasData`.""",
            errors=("MemorySpaceNotFound", "MemorySpaceHasData"),
            repeated="It is `MemorySpaceNotFound`, which then means success.",
            when_archived=True,
        ),
        Function(
            "memorySpaces:get",
            "query",
            Object(_ONE),
            Nullable(_SPACE),
            "What is registered; None if it is not.",
        ),
        Function(
            "memorySpaces:list",
            "query",
            Object((*_FILTERS, *_UNREGISTERED, *LISTED)),
            ListOf(_SPACE),
            """Memory spaces, newest first. Filters act before the limit. With `includeUnregistered`, those that are
used and not registered follow, by their ids.""",
        ),
        Function(
            "memorySpaces:count",
            "query",
            Object((*_FILTERS, *_UNREGISTERED)),
            COUNT,
            "How many `memorySpaces:list` gives without a limit.",
        ),
        Function(
            "memorySpaces:page",
            "query",
            Object((*_FILTERS, *PAGED)),
            page_of(_SPACE, "MemorySpacePage"),
            "Registered memory spaces, oldest first, page by page.",
            ours=True,
        ),
        Function(
            "memorySpaces:findByParticipant",
            "query",
            Object(fields(participantId=ID)),
            ListOf(_SPACE),
            "All registered memory spaces that have this participant, newest first.",
        ),
        Function(
            "memorySpaces:search",
            "query",
            Object((*fields(query=ID), *_FILTERS, *LISTED)),
            ListOf(_SPACE),
            """Registered memory spaces, newest first, in whose id, name or metadata (as JSON) the query occurs, in
large or small letters. Filters act before the limit.""",
        ),
        Function(
            "memorySpaces:getStats",
            "query",
            Object(
                (
                    *_ONE,
                    *fields(
                        timeWindow=Optional(OneOf(("24h", "7d", "30d", "90d", "all")), "all"),
                        includeParticipants=Optional(Flag(), False),
                    ),
                )
            ),
            _STATS,
            """What is in a memory space, registered or only used: what `memories:count`, `conversations:count` and
`facts:count` count, and the messages. With a `timeWindow`, what was made within it. Of facts those that hold count.
It reads all records of the memory space.""",
            errors=_NOT_FOUND,
        ),
    ),
)
