"""The profiles of users: filters and options, and what comes back. The names are Cortex's.

    >>> from cortex_rx.models.base import parse
    >>> UserFilters(data={"tier": "pro"}, created_after=0).keywords()
    {'data': {'tier': 'pro'}, 'created_after': 0}

Of a mapping, a key that is no field is a path in the data:

    >>> parse(UserFilters, {"data.likes.theme": "dark", "email": None, "updatedBefore": 5}).keywords()
    {'data': {'likes.theme': 'dark', 'email': None}, 'updated_before': 5}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts, Options
from cortex_rx.models.records import Record
from cortex_rx.models.spelling import to_camel
from cortex_rx.models.verification import VerificationResult

__all__ = [
    "DeleteUserOptions",
    "DeletedUsers",
    "UpdatedUsers",
    "UserDeleteResult",
    "UserFilters",
    "UserList",
    "UserProfile",
    "UserVersion",
]

_Time = Annotated[int | None, Accepts(check.optional(check.time))]


class UserFilters(Options):
    """Which profiles are meant: those that fit all filters.

    Times are epoch milliseconds, or a `datetime` with a time zone; "after" is at this time or later, "before" is
    earlier.
    """

    data: Annotated[Mapping[str, Any], Accepts(check.json_mapping)] = {}
    """Values by their path in the data: `{"preferences.theme": "dark"}`."""
    created_before: _Time = None
    created_after: _Time = None
    updated_before: _Time = None
    updated_after: _Time = None

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        fields = {name for field in cls.model_fields for name in (field, to_camel(field))}
        paths = {key: value for key, value in given.items() if key not in fields}
        values = super()._named({key: value for key, value in given.items() if key in fields})
        if paths:
            data = check.json_mapping("data", values.get("data", {}))
            for key, value in paths.items():
                path = key.removeprefix("data.")
                if path in data:
                    raise InvalidArgument(key, "twice", "a path in the data once")
                data[path] = value
            values["data"] = data
        return values

    def keywords(self) -> dict[str, Any]:
        """The filters as keywords of a typed call."""
        return {name: value for name, value in super().keywords().items() if name != "data" or value}


class DeleteUserOptions(Options):
    """How a profile is deleted."""

    _positions: ClassVar[tuple[str, ...]] = ("cascade", "verify", "dry_run")
    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        "cascade": ((None, False), "only the profile is deleted, not yet what else there is of the user"),
    }

    verify: Annotated[bool, Accepts(check.flag)] = True
    """Look afterwards whether the profile is gone."""
    dry_run: Annotated[bool, Accepts(check.flag)] = False
    """Delete nothing; the result says what would be deleted."""


class UserProfile(Record):
    """A user's profile, as its current `version` says. Times are epoch milliseconds."""

    id: str
    data: dict[str, Any]
    version: int
    created_at: int
    updated_at: int


class UserVersion(Record):
    """A version of a profile; `timestamp` is when it was written (epoch milliseconds)."""

    version: int
    data: dict[str, Any]
    timestamp: int


class UserList(Record):
    """A part of the profiles, oldest first."""

    users: tuple[UserProfile, ...]


class UserDeleteResult(Record):
    """What was deleted of a user, or with `dry_run` would be: here the profile, with `versions_deleted` versions.

    `deleted_at` is by the store's clock (epoch milliseconds). `verification` says whether the profile is gone.
    """

    user_id: str
    deleted_at: int
    conversations_deleted: int = 0
    conversation_messages_deleted: int = 0
    immutable_records_deleted: int = 0
    mutable_keys_deleted: int = 0
    vector_memories_deleted: int = 0
    facts_deleted: int = 0
    total_deleted: int
    deleted_layers: tuple[str, ...]
    verification: VerificationResult
    graph_nodes_deleted: int | None = None
    versions_deleted: int = 0
    dry_run: bool = False


class UpdatedUsers(Record):
    """The users whose profiles were updated."""

    updated: int
    user_ids: tuple[str, ...]


class DeletedUsers(Record):
    """The users whose profiles were deleted."""

    deleted: int
    user_ids: tuple[str, ...]
