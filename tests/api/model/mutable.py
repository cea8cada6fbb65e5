"""Values by namespace and key: single changes, and transactions that happen whole or not at all."""

from __future__ import annotations

import copy
import json
from typing import Any

from api.model.machine import USERS, Machine, Refused, fields, page
from hypothesis import strategies as st
from hypothesis.stateful import rule

from cortex_rx.errors import CortexError, KeyNotFound, ValueNotNumber, VersionConflict

__all__ = ["Mutable"]

NAMESPACES = ("settings", "counters")
KEYS = ("a", "a%", "b_")
PREFIXES = (None, "a", "a%", "_", "")
VALUES = st.sampled_from([0, 1, True, 7, 1.5, None, "text", [1], {"deep": True}])
Key = tuple[str, str]
KEY = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(KEYS))


class Stop(Exception):
    """What the callback of a transaction raises, of its own."""


class Mutable(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.values: dict[Key, dict[str, Any]] = {}
        """In the order in which the keys were made."""
        self.deleted: dict[str, int] = {}
        """The highest version of a namespace's keys that were deleted."""

    def put(self, key: Key, value: Any, user_id: str | None = None) -> dict[str, Any]:
        """The key with its new value. What changes nothing makes no version."""
        there = self.values.get(key)
        if there is None:
            version = self.deleted.get(key[0], 0)
            there = {"namespace": key[0], "key": key[1], "version": version, "created_at": self.now, "user_id": None}
        user_id = user_id or there["user_id"]
        # Written alike: 1.0 is another value than 1.
        if key not in self.values or json.dumps([there["value"], there["user_id"]]) != json.dumps([value, user_id]):
            new = {"value": copy.deepcopy(value), "user_id": user_id, "updated_at": self.now}
            self.values[key] = {**there, **new, "version": there["version"] + 1}
        return self.values[key]

    def drop_key(self, key: Key) -> None:
        """Delete a key. If it is made again, it goes on above its versions."""
        self.deleted[key[0]] = max(self.values.pop(key)["version"], self.deleted.get(key[0], 0))

    def add(self, key: Key, amount: float, initial: float | None = None) -> dict[str, Any] | type[CortexError]:
        value = self.values[key]["value"] if key in self.values else initial
        if key not in self.values and initial is None:
            return KeyNotFound
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ValueNotNumber
        return self.put(key, value + amount)

    def values_of(self, namespace: str, prefix: str | None = None, user_id: str | None = None) -> list[dict[str, Any]]:
        here = [one for one in self.values.values() if one["namespace"] == namespace]
        return [
            _shown(one) for one in here if one["key"].startswith(prefix or "") and user_id in (None, one["user_id"])
        ]

    @rule(
        key=KEY,
        value=VALUES,
        user_id=st.sampled_from([None, *USERS]),
        expected=st.sampled_from([None, None, None, 0, 1]),
    )
    def set_value(self, key: Key, value: Any, user_id: str | None, expected: int | None) -> None:
        version = self.values[key]["version"] if key in self.values else 0
        stale = expected not in (None, version)
        call = self.cortex.mutable.set(*key, value, user_id, expected_version=expected)
        self.agree(
            "mutable.set", call, Refused(VersionConflict) if stale else _shown(self.put(key, value, user_id)), _shown
        )

    @rule(key=KEY, amount=st.sampled_from([1, 0, 5, 0.5]), down=st.booleans())
    def count_up(self, key: Key, amount: float, down: bool) -> None:
        name = "decrement" if down else "increment"
        done = self.add(key, -amount if down else amount, 0)
        expected = _shown(done) if isinstance(done, dict) else Refused(done)
        self.agree(f"mutable.{name}", getattr(self.cortex.mutable, name)(*key, amount), expected, _shown)

    @rule(key=KEY, value=VALUES)
    def update_value(self, key: Key, value: Any) -> None:
        before = self.values[key]["value"] if key in self.values else None
        seen: list[Any] = []

        def updater(found: Any) -> Any:
            seen.append(copy.deepcopy(found))
            return value

        expected = _shown(self.put(key, value))
        self.agree("mutable.update", self.cortex.mutable.update(*key, updater), expected, _shown)
        assert _same(seen, [before])

    @rule(key=KEY)
    def delete_key(self, key: Key) -> None:
        expected: Any = Refused(KeyNotFound)
        if key in self.values:
            self.drop_key(key)
            expected = {"deleted": True, "namespace": key[0], "key": key[1]}
        self.agree("mutable.delete", self.cortex.mutable.delete(*key), expected)

    @rule(namespace=st.sampled_from(NAMESPACES), dry_run=st.booleans())
    def purge_namespace(self, namespace: str, dry_run: bool) -> None:
        keys = [key for key in self.values if key[0] == namespace]
        call = self.cortex.mutable.purge_namespace(namespace, dry_run)
        self.agree("mutable.purge_namespace", call, len(keys), lambda given: given["deleted"])
        if not dry_run:
            for key in keys:
                self.drop_key(key)

    @rule(
        namespace=st.sampled_from(NAMESPACES),
        prefix=st.sampled_from(PREFIXES),
        user_id=st.sampled_from([None, *USERS]),
        ago=st.sampled_from([None, 0, 1_000]),
    )
    def purge_keys(self, namespace: str, prefix: str | None, user_id: str | None, ago: int | None) -> None:
        before = None if ago is None else self.now - ago
        keys = [
            one["key"]
            for one in self.values_of(namespace, prefix, user_id)
            if before is None or one["updated_at"] < before
        ]
        call = self.cortex.mutable.purge_many(namespace, prefix, user_id, before)
        self.agree("mutable.purge_many", call, keys, lambda given: list(given.deleted_keys))
        for key in keys:
            self.drop_key((namespace, key))

    @rule(
        steps=st.lists(
            st.tuples(st.sampled_from(["set", "update", "delete", "increment", "decrement", "get"]), KEY, VALUES),
            min_size=1,
            max_size=4,
        ),
        ends=st.sampled_from(["done", "done", "raises"]),
    )
    def transaction(self, steps: list[tuple[str, Key, Any]], ends: str) -> None:
        before = copy.deepcopy((self.values, self.deleted))
        refused: type[Exception] | None = None
        seen: list[Any] = []
        for op, key, value in steps:
            if op in ("get", "update"):
                seen.append(copy.deepcopy(self.values[key]["value"]) if key in self.values else None)
            if op != "get":
                refused = self._step(op, key, value)
            if refused:
                break
        allowed = {refused, Stop} if ends == "raises" else {refused}  # what is only noted fails at the end
        if allowed != {None}:
            self.values, self.deleted = before
        found: list[Any] = []

        async def callback(tx: Any) -> None:
            for op, key, value in steps:
                if op == "get":
                    found.append(await tx.get(*key))
                elif op == "set":
                    await tx.set(*key, value)
                elif op == "update":
                    await tx.update(*key, lambda before, value=value: found.append(before) or value)
                else:
                    await getattr(tx, op)(*key)
            if ends == "raises":
                raise Stop

        self.counted["mutable.transaction"] += 1
        try:
            self.run(self.cortex.mutable.transaction(callback))
        except (CortexError, Stop) as error:
            self.counted["mutable.transaction refused"] += 1
            assert type(error) in allowed, f"{error!r}; the model says {allowed}"
            shorter = min(len(found), len(seen))  # a function that was only noted may be called then, or not
            del seen[shorter:], found[shorter:]
        else:
            assert allowed == {None}, f"the model says {allowed}"
        assert _same(found, seen)
        self.check_values()

    def _step(self, op: str, key: Key, value: Any) -> type[CortexError] | None:
        if op == "delete":
            if key not in self.values:
                return KeyNotFound
            self.drop_key(key)
        elif op in ("increment", "decrement"):
            done = self.add(key, 1 if op == "increment" else -1, 0)
            return None if isinstance(done, dict) else done
        else:
            self.put(key, value)
        return None

    @rule(
        namespace=st.sampled_from(NAMESPACES),
        prefix=st.sampled_from(PREFIXES),
        user_id=st.sampled_from([None, *USERS]),
        limit=st.sampled_from([None, 1]),
    )
    def list_values(self, namespace: str, prefix: str | None, user_id: str | None, limit: int | None) -> None:
        mutable, listed = self.cortex.mutable, self.values_of(namespace, prefix, user_id)
        call = mutable.list(namespace, prefix, user_id, limit)
        self.agree("mutable.list", call, page(listed, limit), _each)
        self.agree("mutable.count", mutable.count(namespace, prefix, user_id), len(listed), int)
        paged = self.listed_by(
            "mutable.iterate", mutable.iterate(namespace, key_prefix=prefix, user_id=user_id, page_size=1)
        )
        assert _same(_each(paged), listed)

    def check_values(self) -> None:
        for namespace in NAMESPACES:
            self.agree("mutable.list", self.cortex.mutable.list(namespace), self.values_of(namespace), _each)
            for name in KEYS:
                key = (namespace, name)
                there = _shown(self.values[key]) if key in self.values else None
                for read in ("get", "get_record"):
                    call = getattr(self.cortex.mutable, read)(*key)
                    self.agree(f"mutable.{read}", call, there, lambda given: given and _shown(given))
                self.agree("mutable.exists", self.cortex.mutable.exists(*key), there is not None, bool)

    def check(self) -> None:
        super().check()
        self.check_values()


def _same(one: Any, other: Any) -> bool:
    """True is not 1 here, and 1.0 is."""
    return one == other and repr(one).count("True") == repr(other).count("True")


def _shown(record: Any) -> dict[str, Any]:
    """A value that is None is a value."""
    return {**fields(record, "access_count", "last_accessed"), "value": record["value"]}


def _each(records: Any) -> list[dict[str, Any]]:
    return [_shown(one) for one in records]
