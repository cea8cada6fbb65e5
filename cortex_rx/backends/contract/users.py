"""The functions `users:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.immutable import EXPECTED, VERSION
from cortex_rx.backends.contract.pages import PAGED, page_of
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    TIME,
    Flag,
    Function,
    JsonObject,
    ListOf,
    Nullable,
    Object,
    Optional,
    Table,
    fields,
)

__all__ = ["TABLE"]

_ONE = fields(userId=ID)
_MANY = fields(userIds=ListOf(ID))
_FILTERS = fields(
    data=Optional(JsonObject()),
    createdBefore=Optional(TIME),
    createdAfter=Optional(TIME),
    updatedBefore=Optional(TIME),
    updatedAfter=Optional(TIME),
)
_LISTED = fields(limit=Optional(COUNT), offset=Optional(COUNT, 0))
_PROFILE = Object(
    fields(id=ID, data=JsonObject(), version=VERSION, createdAt=TIME, updatedAt=TIME),
    name="UserProfile",
    meaning="A user's profile, as its current `version` says.",
)
_VERSION = Object(
    fields(version=VERSION, data=JsonObject(), timestamp=TIME),
    name="UserVersion",
    meaning="A version of a profile; `timestamp` is when it was written.",
)

TABLE = Table(
    "users",
    """The profiles of users, for the whole store: these functions take no memory space. A profile is the entry of
type "user" in [immutable](#immutable), and has its versions there; nothing is stored twice. Versions,
`expectedVersion` and `operationId` are as there.

Filters: `data` has values by their path in the data (`preferences.theme`); a profile fits if it has all of them, as
JSON: True is not 1, and 1 is 1.0. A key that has a dot in it is found as well. "after" is at this time or later,
"before" is earlier. All filters must fit, and act before the limit. Lists have the oldest profile first.""",
    (
        Function(
            "users:update",
            "mutation",
            Object((*_ONE, *fields(data=JsonObject()), *EXPECTED)),
            _PROFILE,
            """Stores a profile, or the next version of it, which replaces all of its data.""",
            errors=("VersionConflict", "IdempotencyConflict"),
            repeated="As of `immutable:store`.",
            ours=True,
        ),
        Function(
            "users:merge",
            "mutation",
            Object((*_ONE, *fields(updates=JsonObject()), *EXPECTED)),
            _PROFILE,
            """Puts the updates into the data of a profile: objects are merged key by key, at any depth, and all other
values replace those that are there. What changes nothing makes no version.""",
            errors=("UserNotFound", "VersionConflict", "IdempotencyConflict"),
            repeated="""With an `operationId` it gives the same. Without one it merges again; if nobody has changed
these values meanwhile, it changes nothing.""",
            ours=True,
        ),
        Function(
            "users:getOrCreate",
            "mutation",
            Object((*_ONE, *fields(defaults=Optional(JsonObject())))),
            _PROFILE,
            """The profile, which is made of `defaults` if there is none.""",
            repeated="It gives the profile.",
            ours=True,
        ),
        Function(
            "users:updateMany",
            "mutation",
            Object(
                (
                    *_MANY,
                    *fields(updates=JsonObject(), skipVersioning=Optional(Flag(), False), operationId=Optional(ID)),
                )
            ),
            Object(fields(updated=COUNT, userIds=ListOf(ID)), name="UpdatedUsers"),
            """Merges the updates into each of these profiles, as `users:merge`, in one transaction. Users without a
profile are passed over, and not counted. With `skipVersioning` the version that is replaced is not kept; its number is
not used again.""",
            errors=("IdempotencyConflict",),
            repeated="As of `users:merge`.",
            ours=True,
        ),
        Function(
            "users:deleteUserProfile",
            "mutation",
            Object((*_ONE, *fields(dryRun=Optional(Flag(), False)))),
            Object(
                fields(deleted=Flag(), versionsDeleted=COUNT, deletedAt=TIME),
                name="DeletedUser",
                meaning="What was deleted; with `dryRun`, what would be. `deletedAt` is the time of the call.",
            ),
            """Deletes a profile with all its versions; with `dryRun` nothing. Nothing else of the user is deleted.
`deleted` is false if there is no profile.""",
            repeated="It gives false, and 0 versions.",
        ),
        Function(
            "users:deleteMany",
            "mutation",
            Object(_MANY),
            Object(fields(deleted=COUNT, userIds=ListOf(ID)), name="DeletedUsers"),
            """Deletes each of these profiles, as `users:deleteUserProfile`. Users without a profile are passed over,
and not counted.""",
            repeated="It deletes nothing more, and counts nothing.",
            ours=True,
        ),
        Function("users:get", "query", Object(_ONE), Nullable(_PROFILE), "The profile; None if there is none."),
        Function("users:exists", "query", Object(_ONE), Flag(), "Whether there is a profile."),
        Function(
            "users:list",
            "query",
            Object(_LISTED),
            ListOf(_PROFILE),
            """Profiles. Without a `limit` all are given.""",
        ),
        Function(
            "users:search",
            "query",
            Object((*_FILTERS, *_LISTED)),
            ListOf(_PROFILE),
            """The profiles that fit the filters. Without a `limit` all are given.""",
            ours=True,
        ),
        Function(
            "users:page",
            "query",
            Object((*_FILTERS, *PAGED)),
            page_of(_PROFILE, "UserPage"),
            """A page of the profiles that `users:search` gives.""",
            ours=True,
        ),
        Function(
            "users:count",
            "query",
            Object(_FILTERS),
            COUNT,
            """How many profiles `users:search` gives without a limit.""",
        ),
        Function(
            "users:getVersion",
            "query",
            Object((*_ONE, *fields(version=VERSION))),
            Nullable(_VERSION),
            """A version of a profile; None if it never was or is not kept any more.""",
        ),
        Function(
            "users:getHistory",
            "query",
            Object(_ONE),
            ListOf(_VERSION),
            """The versions that are kept, newest first, the current one too.""",
        ),
        Function(
            "users:getAtTimestamp",
            "query",
            Object((*_ONE, *fields(timestamp=TIME))),
            Nullable(_VERSION),
            """The version that was current at that time. None before the profile was made, and if that version is not
kept any more.""",
        ),
    ),
)
