"""Entries with all their versions, and the profiles of users, which are entries of type "user"."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from api.model.machine import USERS, Machine, Refused, fields, one_of, page, rows
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from cortex_rx.errors import EntryNotFound, VersionConflict

__all__ = ["DATA", "Immutable"]

TYPES = ("article", "user")
DATA = st.sampled_from(
    [{}, {"theme": "dark"}, {"theme": "light", "size": 2}, {"likes": {"tea": True}}, {"likes": {"jazz": [1, None]}}]
)
WORDS = ("DARK", "tea", "true", "2")
Key = tuple[str, str]


class Immutable(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[Key, dict[str, Any]] = {}
        """In the order in which they were made. `versions` are all that ever were; those that are kept have data."""

    def entry(self, key: Key) -> dict[str, Any]:
        """What a listing shows of an entry."""
        entry = self.entries[key]
        version = {name: value for name, value in entry["versions"][-1].items() if name != "timestamp"}
        times = {"created_at": entry["created_at"], "updated_at": entry["versions"][-1]["timestamp"]}
        return {"type": key[0], "id": key[1], **version, **times}

    def kept(self, key: Key) -> list[dict[str, Any]]:
        """The versions of an entry that can be read, oldest first."""
        return [one for one in self.entries.get(key, {"versions": ()})["versions"] if "data" in one]

    def at(self, key: Key, time: int) -> dict[str, Any] | None:
        """The version that was current at a time, if it is kept."""
        entry = self.entries.get(key, {"versions": ()})
        last = next((one for one in reversed(entry["versions"]) if one["timestamp"] <= time), None)
        return last if last and "data" in last else None

    def write(self, key: Key, data: Mapping[str, Any], **given: Any) -> None:
        """The next version of an entry, or the first."""
        entry = self.entries.setdefault(key, {"created_at": self.now, "versions": []})
        before = entry["versions"][-1] if entry["versions"] else {"version": 0}
        kept = {name: before[name] for name in ("user_id", "metadata") if name in before}
        new = {name: value for name, value in given.items() if value is not None}
        number = before["version"] + 1
        entry["versions"].append({**kept, **new, "data": dict(data), "version": number, "timestamp": self.now})

    def stale(self, key: Key, expected_version: int | None) -> Refused | None:
        there = self.entries[key]["versions"][-1]["version"] if key in self.entries else 0
        return Refused(VersionConflict) if expected_version not in (None, there) else None

    def entries_that(self, **wanted: str | None) -> list[Key]:
        """Newest first."""
        rows = {key: self.entry(key) for key in reversed(self.entries)}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        return [key for key, row in rows.items() if all(row.get(name) == value for name, value in chosen.items())]

    @rule(
        key=st.tuples(st.sampled_from(TYPES), st.sampled_from(USERS)),
        data=DATA,
        user_id=st.sampled_from([None, *USERS]),
        metadata=st.sampled_from([None, {}, {"tags": ["x"]}]),
        expected=st.sampled_from([None, None, None, 0, 1, 2]),
    )
    def store_entry(
        self, key: Key, data: dict[str, Any], user_id: str | None, metadata: dict[str, Any] | None, expected: int | None
    ) -> None:
        refused = self.stale(key, expected)
        if not refused:
            self.write(key, data, user_id=user_id, metadata=metadata)
        given = {"type": key[0], "id": key[1], "data": data, "user_id": user_id, "metadata": metadata}
        call = self.cortex.immutable.store(given, expected_version=expected)
        self.agree("immutable.store", call, refused or self.entry(key), _without_earlier)

    @rule(key=st.tuples(st.sampled_from(TYPES), st.sampled_from(USERS)))
    def purge_entry(self, key: Key) -> None:
        gone = {"deleted": True, "type": key[0], "id": key[1], "versions_deleted": len(self.kept(key))}
        expected = gone if self.entries.pop(key, None) else Refused(EntryNotFound)
        self.agree("immutable.purge", self.cortex.immutable.purge(*key), expected)

    @precondition(lambda self: bool(self.entries))
    @rule(
        key=one_of(lambda self: self.entries),
        keep_latest=st.sampled_from([None, 0, 1, 2]),
        ago=st.sampled_from([None, 0, 1_000]),
    )
    def purge_versions(self, key: Key, keep_latest: int | None, ago: int | None) -> None:
        if keep_latest is None and ago is None:
            keep_latest = 1
        older_than = None if ago is None else self.now - ago
        kept = self.kept(key)
        purged = [
            one for one in kept[: -max(keep_latest or 0, 1)] if older_than is None or one["timestamp"] < older_than
        ]
        expected = {"versions_purged": len(purged), "versions_remaining": len(kept) - len(purged)}
        for one in purged:
            del one["data"]
        call = self.cortex.immutable.purge_versions(*key, keep_latest=keep_latest, older_than=older_than)
        self.agree("immutable.purge_versions", call, expected)

    @rule(
        type=st.sampled_from([None, *TYPES]),
        user_id=st.sampled_from([None, *USERS]),
        ago=st.sampled_from([0, 1_000]),
        dry_run=st.booleans(),
    )
    def purge_entries(self, type: str | None, user_id: str | None, ago: int, dry_run: bool) -> None:
        created_before = self.now - ago if ago or not (type or user_id) else None
        keys = [
            key
            for key in self.entries_that(type=type, user_id=user_id)
            if created_before is None or self.entries[key]["created_at"] < created_before
        ]
        versions = sum(len(self.kept(key)) for key in keys)
        call = self.cortex.immutable.purge_many(type, user_id, created_before, dry_run)
        expected = (len(keys), versions, sorted(keys), dry_run)
        self.agree("immutable.purge_many", call, expected, _purged)
        if not dry_run:
            for key in keys:
                del self.entries[key]

    @rule(
        type=st.sampled_from([None, *TYPES]), user_id=st.sampled_from([None, *USERS]), limit=st.sampled_from([None, 1])
    )
    def list_entries(self, type: str | None, user_id: str | None, limit: int | None) -> None:
        keys = self.entries_that(type=type, user_id=user_id)
        expected = [self.entry(key) for key in page(keys, limit)]
        given = {} if limit is None else {"limit": limit}
        immutable = self.cortex.immutable
        self.agree("immutable.list", immutable.list(type, user_id, **given), expected, _rows)
        self.agree("immutable.count", immutable.count(type, user_id), len(keys), int)
        oldest_first = [self.entry(key) for key in reversed(keys)]
        paged = self.listed_by("immutable.iterate", immutable.iterate(type, user_id, page_size=1))
        assert _rows(paged) == oldest_first
        self.exported("immutable", immutable, oldest_first, "id", type=type, user_id=user_id)

    @rule(word=st.sampled_from(WORDS), type=st.sampled_from([None, *TYPES]), limit=st.sampled_from([10, 1]))
    def search_entries(self, word: str, type: str | None, limit: int) -> None:
        found = []
        for key in self.entries_that(type=type):
            places = list(_places(self.entry(key)["data"]))
            hits = sum(word.lower() in place.lower() for place in places)
            if hits:
                found.append((round(hits / len(places), 6), key))
        found.sort(key=lambda one: -one[0])
        call = self.cortex.immutable.search(word, type=type, limit=limit)
        self.agree("immutable.search", call, found[:limit], _found)

    @precondition(lambda self: bool(self.entries))
    @rule(key=one_of(lambda self: self.entries), version=st.sampled_from([1, 2, 3]), ago=st.sampled_from([0, 1, 1_000]))
    def read_versions(self, key: Key, version: int, ago: int) -> None:
        self.check_entry(key)
        expected = next((one for one in self.kept(key) if one["version"] == version), None)
        call = self.cortex.immutable.get_version(*key, version)
        self.agree("immutable.get_version", call, expected, _version)
        call = self.cortex.immutable.get_at_timestamp(*key, self.now - ago)
        self.agree("immutable.get_at_timestamp", call, self.at(key, self.now - ago), _version)

    def check_entry(self, key: Key) -> None:
        immutable = self.cortex.immutable
        expected = self.entry(key) if key in self.entries else None
        self.agree("immutable.get", immutable.get(*key), expected, lambda given: given and _without_earlier(given))
        self.agree("immutable.get_history", immutable.get_history(*key), self.kept(key), _versions)

    def check(self) -> None:
        super().check()
        for type_ in TYPES:
            for id_ in USERS:
                self.check_entry((type_, id_))
        self.list_entries(None, None, None)


def _places(data: object) -> Iterator[str]:
    """The keys and values of data, as JSON writes them."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield key
            yield from _places(value)
    elif isinstance(data, list):
        for value in data:
            yield from _places(value)
    else:
        yield data if isinstance(data, str) else json.dumps(data)


def _without_earlier(entry: Any) -> dict[str, Any]:
    return fields(entry, "previous_versions")


def _rows(entries: Any) -> list[dict[str, Any]]:
    return rows(entries, "previous_versions")


def _version(version: Any) -> dict[str, Any] | None:
    return version and fields(version, "type", "id", "created_at")


def _versions(versions: Any) -> list[dict[str, Any] | None]:
    return [_version(version) for version in versions]


def _purged(given: Any) -> tuple[int, int, list[Key], bool]:
    keys = [(one["type"], one["id"]) for one in given["entries"]]
    return given["deleted"], given["total_versions_deleted"], sorted(keys), given["dry_run"]


def _found(given: Any) -> list[tuple[float, Key]]:
    return [(round(one["score"], 6), (one["entry"]["type"], one["entry"]["id"])) for one in given]
