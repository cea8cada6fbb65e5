"""What is kept with all its versions: what is stored, and what comes back. The names are Cortex's.

>>> from cortex_rx.models.base import parse
>>> entry = ImmutableEntry("article", "refunds", {"inDays": 30}, metadata={"publishedBy": "ada"})
>>> entry.data, parse(ImmutableEntry, {"type": "article", "id": "refunds", "data": {}}, userId="ada").user_id
({'inDays': 30}, 'ada')
>>> ImmutableEntry("article", "refunds", ["30 days"])
Traceback (most recent call last):
...
cortex_rx.errors.InvalidArgument: data: got 'list'; accepted: a mapping
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from cortex_rx import validation as check
from cortex_rx.models.base import Accepts, Options
from cortex_rx.models.records import Record

__all__ = [
    "FoundEntry",
    "ImmutableEntry",
    "ImmutableKey",
    "ImmutableRecord",
    "ImmutableVersion",
    "PurgedEntries",
    "PurgedEntry",
    "PurgedVersions",
]


class ImmutableEntry(Options):
    """An entry to be stored. `type` and `id` name it; `data` and `metadata` are yours, with any keys."""

    type: Annotated[str, Accepts(check.name)]
    id: Annotated[str, Accepts(check.name)]
    data: Annotated[Mapping[str, Any], Accepts(check.json_mapping)]
    user_id: Annotated[str | None, Accepts(check.optional(check.name))] = None
    """Whose entry it is. If left out, that stays as it was."""
    metadata: Annotated[Mapping[str, Any] | None, Accepts(check.optional(check.json_mapping))] = None
    """If left out, it stays as it was."""


class ImmutableVersion(Record):
    """A version of an entry. `timestamp` is when it was written, `created_at` when the entry was made (epoch
    milliseconds). Among the earlier versions of an entry it has only the first four fields."""

    version: int
    data: dict[str, Any]
    timestamp: int
    metadata: dict[str, Any] | None = None
    type: str | None = None
    id: str | None = None
    user_id: str | None = None
    created_at: int | None = None


class ImmutableRecord(Record):
    """An entry, as its current `version` says. `updated_at` is when that was written (epoch milliseconds).

    `previous_versions` are the earlier versions that are kept, oldest first. They are empty if the entry was listed or
    found, rather than fetched or stored.
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("_id", "type", "id", "data", "version", "previous_versions", "created_at", "updated_at", "user_id"),
        "metadata",
    )

    type: str
    id: str
    data: dict[str, Any]
    version: int
    previous_versions: tuple[ImmutableVersion, ...] = ()
    created_at: int
    updated_at: int
    user_id: str | None = None
    metadata: dict[str, Any] | None = None


class FoundEntry(Record):
    """An entry that was found: `score` is the share of its keys and values that have the query (0 to 1), `highlights`
    are up to three of these places, with 30 characters on each side."""

    entry: ImmutableRecord
    score: float
    highlights: tuple[str, ...]


class ImmutableKey(Record):
    """The type and id of an entry."""

    type: str
    id: str


class PurgedEntry(Record):
    """An entry that was deleted, with as many versions."""

    deleted: bool
    type: str
    id: str
    versions_deleted: int


class PurgedEntries(Record):
    """The entries that were deleted, or with `dry_run` would be: how many, with how many versions."""

    deleted: int
    total_versions_deleted: int
    entries: tuple[ImmutableKey, ...]
    dry_run: bool = False


class PurgedVersions(Record):
    """How many versions of an entry were deleted, and how many it still has."""

    versions_purged: int
    versions_remaining: int
