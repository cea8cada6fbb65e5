"""`cortex.users`: the profiles of users, for all memory spaces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, TypeAlias, get_args

from cortex_rx import validation as check
from cortex_rx.api._exports import exported
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.api._repeated import repeated
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Users
from cortex_rx.errors import UnsupportedOption, UserNotFound
from cortex_rx.models.base import ids, parse
from cortex_rx.models.exports import ExportFormat, ExportResult, stream_export
from cortex_rx.models.users import (
    DeletedUsers,
    DeleteUserOptions,
    UpdatedUsers,
    UserDeleteResult,
    UserFilters,
    UserList,
    UserProfile,
    UserVersion,
)
from cortex_rx.models.verification import VerificationResult
from cortex_rx.unique import new_id

__all__ = ["UsersAPI"]

_Profiles: TypeAlias = list[UserProfile]  # inside the class, `list` is a method
_Versions: TypeAlias = list[UserVersion]
_Rows: TypeAlias = list[Any]
_COLUMNS = ("id", "version", "createdAt", "updatedAt", "data")
_HISTORY = "versionHistory"
_FORMAT = check.one_of(*get_args(ExportFormat))
_PROFILE = "user-profile"


class UsersAPI:
    """The profiles of users. They belong to the whole store, not to a memory space; every program that has the store
    sees them. A profile is the entry of type "user" in `cortex.immutable`, and keeps its versions there.

    The data are yours: any JSON object, whose keys stay as they are.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called. If the backend refuses a
    call, the error is a `StoreError`. Filters and options are models of `cortex_rx.models.users`, mappings in
    snake_case or camelCase, or keywords, and may be mixed. Of filters in a mapping, other keys are paths in the data:
    `{"data.likes.theme": "dark"}`. Times are epoch milliseconds, or a `datetime` with a time zone.

    What stores a profile is asked again for two seconds if the store cannot be reached; that makes one version.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         users = UsersAPI(backend)
    ...         await users.update("ada", {"name": "Ada", "likes": {"theme": "dark"}})
    ...         await users.merge("ada", {"likes": {"tea": "green"}})
    ...         (found,) = await users.search({"likes.theme": "dark"})
    ...         return found.version, found.data, [one.data for one in await users.get_history("ada")][:1]
    >>> asyncio.run(main())
    (2, {'name': 'Ada', 'likes': {'theme': 'dark', 'tea': 'green'}}, [{'name': 'Ada', 'likes': {'theme': 'dark'}}])
    """

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        self._calls = Users(backend)

    async def get(self, user_id: str) -> UserProfile | None:
        """The profile of a user; None if there is none."""
        row = await self._calls.get(**ids(user_id=user_id))
        return None if row is None else UserProfile.from_row(row)

    async def update(
        self, user_id: str, data: Mapping[str, Any], *, expected_version: int | None = None
    ) -> UserProfile:
        """Store a profile, or its next version, which replaces all of its data. To change a part of it: `merge`.

        With `expected_version` the profile must have this version, 0 for none; otherwise it is a `VersionConflict`.
        """
        check.optional(check.whole())("expected_version", expected_version)
        given = {**ids(user_id=user_id), "data": check.json_mapping("data", data)}
        call = self._calls.update(**given, expected_version=expected_version, operation_id=new_id("operation"))
        row = await repeated(call)
        return UserProfile.from_row(row)

    async def delete(
        self, user_id: str, options: DeleteUserOptions | Mapping[str, Any] | None = None, **keywords: Any
    ) -> UserDeleteResult:
        """Delete a profile with all its versions, and nothing else of the user. Raises `UserNotFound`.

        With `verify` the result says whether the profile is gone; with `dry_run` it is not deleted. `cascade=True`,
        over all that there is of the user, is refused.
        """
        given = parse(DeleteUserOptions, options, **keywords)
        done = await self._calls.delete_user_profile(**ids(user_id=user_id), dry_run=given.dry_run)
        if not done["deleted"]:
            raise UserNotFound("no profile of this user")
        left = given.verify and not given.dry_run and await self._calls.exists(user_id=user_id)
        return UserDeleteResult(
            user_id=user_id,
            deleted_at=done["deletedAt"],
            total_deleted=1,
            deleted_layers=(_PROFILE,),
            verification=VerificationResult(
                complete=not left, issues=("the user has a profile again",) if left else ()
            ),
            versions_deleted=done["versionsDeleted"],
            dry_run=given.dry_run,
        )

    async def search(
        self,
        filters: UserFilters | Mapping[str, Any] | None = None,
        limit: int = 50,
        *,
        offset: int = 0,
        **keywords: Any,
    ) -> _Profiles:
        """At most `limit` profiles that fit the filters, oldest first, after skipping `offset` of them."""
        page = {"limit": check.whole()("limit", limit), "offset": check.whole()("offset", offset)}
        given = parse(UserFilters, filters, **keywords).keywords()
        return [UserProfile.from_row(row) for row in await self._calls.search(**given, **page)]

    async def list(self, limit: int = 50, offset: int = 0) -> UserList:
        """At most `limit` profiles, oldest first, after skipping `offset` of them."""
        page = {"limit": check.whole()("limit", limit), "offset": check.whole()("offset", offset)}
        return UserList(users=tuple(UserProfile.from_row(row) for row in await self._calls.list(**page)))

    def iterate(
        self, filters: UserFilters | Mapping[str, Any] | None = None, *, page_size: int = 100, **keywords: Any
    ) -> AsyncGenerator[UserProfile]:
        """All profiles that fit the filters, oldest first, read page by page."""
        checked_page_size("page_size", page_size)
        given = parse(UserFilters, filters, **keywords).keywords()
        return pages(
            lambda size, cursor: self._calls.page(**given, limit=size, cursor=cursor), UserProfile.from_row, page_size
        )

    async def count(self, filters: UserFilters | Mapping[str, Any] | None = None, **keywords: Any) -> int:
        """How many profiles fit the filters."""
        return await self._calls.count(**parse(UserFilters, filters, **keywords).keywords())

    async def exists(self, user_id: str) -> bool:
        """Whether the user has a profile."""
        return await self._calls.exists(**ids(user_id=user_id))

    async def get_or_create(self, user_id: str, defaults: Mapping[str, Any] | None = None) -> UserProfile:
        """The profile of a user; if there is none, it is made of `defaults`. Of several calls at once, one makes it."""
        data = check.optional(check.json_mapping)("defaults", defaults)
        row = await repeated(self._calls.get_or_create(**ids(user_id=user_id), defaults=data))
        return UserProfile.from_row(row)

    async def merge(
        self, user_id: str, updates: Mapping[str, Any], *, expected_version: int | None = None
    ) -> UserProfile:
        """Put `updates` into the data of a profile: mappings are merged key by key, at any depth, and all other values
        replace those that are there.

        Of merges at once, none is lost. What changes nothing makes no version. Raises `UserNotFound`, and with
        `expected_version` a `VersionConflict` if the profile has another version.
        """
        check.optional(check.whole())("expected_version", expected_version)
        given = {**ids(user_id=user_id), "updates": check.json_mapping("updates", updates)}
        call = self._calls.merge(**given, expected_version=expected_version, operation_id=new_id("operation"))
        row = await repeated(call)
        return UserProfile.from_row(row)

    async def update_many(
        self, user_ids: Iterable[str], updates: Mapping[str, Any], skip_versioning: bool = False
    ) -> UpdatedUsers:
        """Merge the same updates into the profiles of these users, all or none; users without a profile are passed
        over.

        With `skip_versioning` the version that is replaced is not kept.
        """
        check.flag("skip_versioning", skip_versioning)
        data = check.json_mapping("updates", updates)
        call = self._calls.update_many(
            user_ids=_users(user_ids), updates=data, skip_versioning=skip_versioning, operation_id=new_id("operation")
        )
        row = await repeated(call)
        return UpdatedUsers.from_row(row)

    async def delete_many(self, user_ids: Iterable[str], cascade: bool = False) -> DeletedUsers:
        """Delete the profiles of these users, with all versions; users without a profile are passed over."""
        users = _users(user_ids)
        parse(DeleteUserOptions, cascade=check.flag("cascade", cascade))  # which refuses it
        return DeletedUsers.from_row(await self._calls.delete_many(user_ids=users))

    async def export(
        self,
        filters: UserFilters | Mapping[str, Any] | None = None,
        format: ExportFormat = "json",
        include_memories: bool = False,
        include_conversations: bool = False,
        include_version_history: bool = False,
    ) -> ExportResult:
        """The profiles that fit the filters as JSON or CSV, oldest first; with `include_version_history` each with its
        versions, oldest first.

        `include_memories` and `include_conversations` are refused: they are in memory spaces, whose exports have them.
        """
        rows, columns = self._rows(filters, format, include_memories, include_conversations, include_version_history)
        async with aclosing(rows):
            return await exported(format, columns, rows)

    async def stream_export(
        self,
        filters: UserFilters | Mapping[str, Any] | None = None,
        format: ExportFormat = "json",
        include_memories: bool = False,
        include_conversations: bool = False,
        include_version_history: bool = False,
    ) -> AsyncGenerator[str]:
        """The text of `export` in pieces, never all of it in memory."""
        rows, columns = self._rows(filters, format, include_memories, include_conversations, include_version_history)
        async with aclosing(rows):
            async for piece in stream_export(format, columns, rows):
                yield piece

    def _rows(
        self,
        filters: UserFilters | Mapping[str, Any] | None,
        format: ExportFormat,
        memories: bool,
        conversations: bool,
        history: bool,
    ) -> tuple[AsyncGenerator[dict[str, Any]], tuple[str, ...]]:
        """The rows of an export and their columns."""
        _FORMAT("format", format)
        for name, value in (("include_memories", memories), ("include_conversations", conversations)):
            if check.flag(name, value):
                accepted = "False; they are in memory spaces, whose exports have them"
                raise UnsupportedOption(name, value, accepted)
        check.flag("include_version_history", history)
        profiles = self.iterate(filters)
        return self._exported(profiles, history), (*_COLUMNS, _HISTORY) if history else _COLUMNS

    async def _exported(self, profiles: AsyncGenerator[UserProfile], history: bool) -> AsyncGenerator[dict[str, Any]]:
        async with aclosing(profiles):
            async for profile in profiles:
                versions = {_HISTORY: await self._history(profile.id)} if history else {}
                yield {**dict(profile), **versions}

    async def get_version(self, user_id: str, version: int) -> UserVersion | None:
        """A version of a profile; None if it never was or is not kept any more."""
        check.whole(1)("version", version)
        row = await self._calls.get_version(**ids(user_id=user_id), version=version)
        return None if row is None else UserVersion.from_row(row)

    async def get_history(self, user_id: str) -> _Versions:
        """The versions of a profile that are kept, oldest first, the current one too."""
        return [UserVersion.from_row(row) for row in await self._history(check.name("user_id", user_id))]

    async def _history(self, user_id: str) -> _Rows:
        return (await self._calls.get_history(user_id=user_id))[::-1]

    async def get_at_timestamp(self, user_id: str, timestamp: int | datetime) -> UserVersion | None:
        """The version that was current at that time; None before the profile was made, and if that version is not kept
        any more."""
        time: int = check.time("timestamp", timestamp)
        row = await self._calls.get_at_timestamp(**ids(user_id=user_id), timestamp=time)
        return None if row is None else UserVersion.from_row(row)


def _users(user_ids: Iterable[str]) -> list[str]:
    return [*check.names("user_ids", check.items("user_ids", user_ids, "a list of ids of users"))]
