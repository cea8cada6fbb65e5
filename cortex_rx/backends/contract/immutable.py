"""The functions `immutable:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.pages import LISTED, PAGED, page_of
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    TEXT,
    TIME,
    AtLeastOne,
    Flag,
    Function,
    Integer,
    JsonObject,
    ListOf,
    Nullable,
    Number,
    Object,
    Optional,
    Table,
    fields,
)

__all__ = ["ENTRY_FIELDS", "EXPECTED", "TABLE", "VERSION"]

VERSION = Integer(1)
"""The number of a version."""
EXPECTED = fields(expectedVersion=Optional(COUNT), operationId=Optional(ID))
"""The arguments of a function that makes a version."""

_ONE = fields(type=ID, id=ID)
_FILTERS = fields(type=Optional(ID), userId=Optional(ID))
_EARLIER = Object(
    fields(version=VERSION, data=JsonObject(), timestamp=TIME, metadata=Optional(JsonObject())),
    name="EarlierVersion",
    meaning="A version that another one has replaced; `timestamp` is when it was written.",
)
ENTRY_FIELDS = fields(
    type=ID,
    id=ID,
    data=JsonObject(),
    version=VERSION,
    userId=Optional(ID),
    metadata=Optional(JsonObject()),
    createdAt=TIME,
    updatedAt=TIME,
)
_LISTED = Object(
    ENTRY_FIELDS,
    name="ImmutableRow",
    meaning="An entry, as its current `version` says. `updatedAt` is when it was written.",
)
_ENTRY = Object(
    (*ENTRY_FIELDS, *fields(previousVersions=ListOf(_EARLIER))),
    name="ImmutableRecord",
    meaning="An entry with the earlier versions that are kept, oldest first.",
)
_VERSION = Object(
    fields(
        type=ID,
        id=ID,
        version=VERSION,
        data=JsonObject(),
        userId=Optional(ID),
        metadata=Optional(JsonObject()),
        timestamp=TIME,
        createdAt=TIME,
    ),
    name="ImmutableVersion",
    meaning="A version of an entry. `timestamp` is when it was written, `createdAt` when the entry was made.",
)

TABLE = Table(
    "immutable",
    """What is kept with all its versions: an entry is identified by its `type` and its `id`. Entries belong to the
whole store, not to a memory space, so these functions take none. A user's profile is the entry of type "user" whose id
is the user's ([users](#users)).

Each version has a number, from 1 on, and a time, which is never before that of the version before. `expectedVersion` is
the version that a change is made for, 0 for an entry that must not be there yet; if another one is stored, it is a
`VersionConflict`. An `operationId` is the client's name for a call that makes a version: while that version is kept,
the same call again stores nothing and gives the entry as this version made it. Another call under it is an
`IdempotencyConflict`.

Lists have the newest entry first, without earlier versions. Filters act before the limit.""",
    (
        Function(
            "immutable:store",
            "mutation",
            Object(
                (
                    *_ONE,
                    *fields(data=JsonObject(), userId=Optional(ID), metadata=Optional(JsonObject())),
                    *EXPECTED,
                )
            ),
            _ENTRY,
            """Stores an entry, or the next version of it. `userId` and `metadata` that are left out stay as they
were. `metadata` may have any keys.""",
            errors=("VersionConflict", "IdempotencyConflict"),
            repeated="""With an `operationId` it gives the same. With an `expectedVersion` alone it is a
`VersionConflict`. With neither it stores another version.""",
        ),
        Function(
            "immutable:purge",
            "mutation",
            Object(_ONE),
            Object(fields(deleted=Flag(), type=ID, id=ID, versionsDeleted=COUNT), name="PurgedEntry"),
            """Deletes an entry with all its versions. `versionsDeleted` counts those that were kept.""",
            errors=("EntryNotFound",),
            repeated="It is `EntryNotFound`, which then means success.",
        ),
        Function(
            "immutable:get",
            "query",
            Object(_ONE),
            Nullable(_ENTRY),
            """The entry with its earlier versions; None if there is none.""",
        ),
        Function(
            "immutable:getVersion",
            "query",
            Object((*_ONE, *fields(version=VERSION))),
            Nullable(_VERSION),
            """A version of an entry; None if it never was or is not kept any more.""",
        ),
        Function(
            "immutable:getHistory",
            "query",
            Object(_ONE),
            ListOf(_VERSION),
            """The versions that are kept, oldest first, the current one too.""",
        ),
        Function(
            "immutable:getAtTimestamp",
            "query",
            Object((*_ONE, *fields(timestamp=TIME))),
            Nullable(_VERSION),
            """The version that was current at that time. None before the entry was made, and if that version is not
kept any more.""",
        ),
        Function(
            "immutable:list",
            "query",
            Object((*_FILTERS, *LISTED)),
            ListOf(_LISTED),
            """Entries, of a type, of a user, or all.""",
        ),
        Function(
            "immutable:page",
            "query",
            Object((*_FILTERS, *PAGED)),
            page_of(_LISTED, "ImmutablePage"),
            """A page of the entries that `immutable:list` gives, oldest first.""",
            ours=True,
        ),
        Function(
            "immutable:count",
            "query",
            Object(_FILTERS),
            COUNT,
            """How many entries `immutable:list` gives without a limit.""",
        ),
        Function(
            "immutable:search",
            "query",
            Object((*fields(query=ID), *_FILTERS, *fields(limit=Optional(COUNT, 10)))),
            ListOf(
                Object(
                    fields(entry=_LISTED, score=Number(0, 1), highlights=ListOf(TEXT)),
                    name="FoundEntry",
                    meaning="""An entry that was found. `score` is the share of its data's keys and values that have
the query, `highlights` are up to three of these places with 30 characters on each side.""",
                )
            ),
            """Entries with the query in a key or in a value of their current data, in capital or small letters; best
first, the newest first of equals. A number, True, False and None are found as JSON writes them.""",
        ),
        Function(
            "immutable:purgeMany",
            "mutation",
            Object(
                (*_FILTERS, *fields(createdBefore=Optional(TIME), dryRun=Optional(Flag(), False))),
                rules=(AtLeastOne(("type", "userId", "createdBefore")),),
            ),
            Object(
                fields(
                    deleted=COUNT,
                    totalVersionsDeleted=COUNT,
                    entries=ListOf(Object(_ONE, name="ImmutableKey")),
                    dryRun=Flag(),
                ),
                name="PurgedEntries",
                meaning="What was deleted; with `dryRun`, what would be.",
            ),
            """Deletes the entries that fit all filters, with their versions; with `dryRun` nothing.""",
            repeated="It deletes what was stored since, and counts that alone.",
        ),
        Function(
            "immutable:purgeVersions",
            "mutation",
            Object(
                (*_ONE, *fields(keepLatest=Optional(COUNT), olderThan=Optional(TIME))),
                rules=(AtLeastOne(("keepLatest", "olderThan")),),
            ),
            Object(fields(versionsPurged=COUNT, versionsRemaining=COUNT), name="PurgedVersions"),
            """Deletes earlier versions: all but the newest `keepLatest`, those written before `olderThan`; with both,
only those that both mean. The current version always stays.""",
            errors=("EntryNotFound",),
            repeated="It purges nothing more.",
        ),
    ),
)
