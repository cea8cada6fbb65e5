"""The profiles of users: the entries of type "user" of `Immutable`, under another API."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from api.model.immutable import DATA, Immutable
from api.model.machine import USERS, Refused, fields, page, rows
from hypothesis import strategies as st
from hypothesis.stateful import rule

from cortex_rx.errors import UserNotFound

__all__ = ["Users"]

PATHS = st.sampled_from([{}, {"theme": "dark"}, {"likes.tea": True}, {"likes.tea": 1}, {"theme": "light", "size": 2.0}])


class Users(Immutable):
    def profile(self, user: str) -> dict[str, Any]:
        row = self.entry(("user", user))
        return {name: row[name] for name in ("id", "data", "version", "created_at", "updated_at")}

    def profiles(self, wanted: Mapping[str, Any] | None = None) -> list[str]:
        """The users that have a profile with these values, oldest first."""
        users = [name for type_, name in self.entries if type_ == "user"]
        return [user for user in users if _fits(self.profile(user)["data"], wanted or {})]

    def merge(self, user: str, updates: Mapping[str, Any], *, skip: bool = False) -> None:
        key = ("user", user)
        before = self.profile(user)["data"]
        after = _merged(before, updates)
        if after != before:
            last = self.entries[key]["versions"][-1]
            self.write(key, after)
            if skip:
                del last["data"]

    @rule(user=st.sampled_from(USERS), data=DATA, expected=st.sampled_from([None, None, 0, 1]))
    def update_user(self, user: str, data: dict[str, Any], expected: int | None) -> None:
        refused = self.stale(("user", user), expected)
        if not refused:
            self.write(("user", user), data)
        call = self.cortex.users.update(user, data, expected_version=expected)
        self.agree("users.update", call, refused or self.profile(user))

    @rule(user=st.sampled_from(USERS), updates=DATA)
    def merge_user(self, user: str, updates: dict[str, Any]) -> None:
        expected: object = Refused(UserNotFound)
        if user in self.profiles():
            self.merge(user, updates)
            expected = self.profile(user)
        self.agree("users.merge", self.cortex.users.merge(user, updates), expected)

    @rule(user=st.sampled_from(USERS), defaults=st.one_of(st.none(), DATA))
    def get_or_create_user(self, user: str, defaults: dict[str, Any] | None) -> None:
        if user not in self.profiles():
            self.write(("user", user), defaults or {})
        self.agree("users.get_or_create", self.cortex.users.get_or_create(user, defaults), self.profile(user))

    @rule(users=st.lists(st.sampled_from(USERS), unique=True), updates=DATA, skip=st.booleans())
    def update_users(self, users: list[str], updates: dict[str, Any], skip: bool) -> None:
        there = [user for user in users if user in self.profiles()]
        for user in there:
            self.merge(user, updates, skip=skip)
        call = self.cortex.users.update_many(users, updates, skip)
        self.agree("users.update_many", call, {"updated": len(there), "user_ids": there})

    @rule(user=st.sampled_from(USERS), dry_run=st.booleans())
    def delete_user(self, user: str, dry_run: bool) -> None:
        there = user in self.profiles()
        if there and not dry_run:
            del self.entries["user", user]
        call = self.cortex.users.delete(user, dry_run=dry_run)
        expected = user if there else Refused(UserNotFound)
        self.agree("users.delete", call, expected, lambda given: given.user_id)

    @rule(users=st.lists(st.sampled_from(USERS), unique=True, min_size=1))
    def delete_users(self, users: list[str]) -> None:
        there = [user for user in users if user in self.profiles()]
        for user in there:
            del self.entries["user", user]
        call = self.cortex.users.delete_many(users)
        self.agree("users.delete_many", call, {"deleted": len(there), "user_ids": there})

    @rule(wanted=PATHS, limit=st.sampled_from([1, 50]), offset=st.sampled_from([0, 1]))
    def list_users(self, wanted: dict[str, Any], limit: int, offset: int) -> None:
        users = self.cortex.users
        fitting = [self.profile(user) for user in self.profiles(wanted)]
        self.agree("users.search", users.search(wanted, limit), page(fitting, limit), rows)
        self.agree("users.count", users.count(wanted), len(fitting), int)
        all_of_them = [self.profile(user) for user in self.profiles()]
        listed = page(all_of_them, limit, offset)
        self.agree("users.list", users.list(limit, offset), listed, lambda given: rows(given["users"]))
        paged = rows(self.listed_by("users.iterate", users.iterate(wanted, page_size=1)))
        assert paged == fitting
        self.exported("users", users, fitting, "id", wanted)

    @rule(user=st.sampled_from(USERS), version=st.sampled_from([1, 2, 3]), ago=st.sampled_from([0, 1, 1_000]))
    def read_user(self, user: str, version: int, ago: int) -> None:
        users, key = self.cortex.users, ("user", user)
        there = user in self.profiles()
        call = users.get(user)
        self.agree("users.get", call, self.profile(user) if there else None, lambda given: given and fields(given))
        self.agree("users.exists", users.exists(user), there, bool)
        kept = [_version(one) for one in self.kept(key)]
        self.agree("users.get_history", users.get_history(user), kept, rows)
        expected = next((one for one in kept if one["version"] == version), None)
        self.agree("users.get_version", users.get_version(user, version), expected, lambda one: one and fields(one))
        then = self.at(key, self.now - ago)
        call = users.get_at_timestamp(user, self.now - ago)
        self.agree("users.get_at_timestamp", call, then and _version(then), lambda one: one and fields(one))

    def check(self) -> None:
        super().check()
        for user in USERS:
            self.read_user(user, 1, 0)


def _version(version: Mapping[str, Any]) -> dict[str, Any]:
    return {name: version[name] for name in ("version", "data", "timestamp")}


def _merged(data: Mapping[str, Any], updates: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(data))
    for key, value in updates.items():
        there = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(there, Mapping)
        merged[key] = _merged(there, value) if both else copy.deepcopy(value)
    return merged


def _fits(data: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    for path, value in wanted.items():
        found: Any = data
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if found != value or isinstance(found, bool) != isinstance(value, bool):
            return False
    return True
