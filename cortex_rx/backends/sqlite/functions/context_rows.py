"""Which contexts a memory space sees, and how: with the parts of their trees that it may see."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import ContextNotFound

__all__ = ["CHILDREN_HERE", "HEIGHT", "Sight", "seen", "version_record"]


def seen(table: str) -> str:
    """That the memory space `:space` sees a row of this table of contexts, in SQL."""
    granted = f"SELECT 1 FROM context_grants WHERE context = {table}.seq AND target = :space"  # noqa: S608
    return f"({table}.space = :space OR EXISTS ({granted}))"


# From a context upwards, as far as the space sees.
_UPWARDS = f"""WITH RECURSIVE above (seq, height) AS (
    SELECT {{start}}, 0 UNION ALL
    SELECT upper.seq, height + 1 FROM above CROSS JOIN contexts AS lower ON lower.seq = above.seq
        CROSS JOIN contexts AS upper ON upper.seq = lower.parent WHERE {seen("upper")}
)"""  # noqa: S608
_ABOVE = f"""{_UPWARDS.format(start=":seq")}
    SELECT contexts.* FROM above CROSS JOIN contexts ON contexts.seq = above.seq ORDER BY height DESC"""  # noqa: S608
HEIGHT: str = f"({_UPWARDS.format(start='contexts.seq')} SELECT max(height) FROM above)"  # noqa: S608
"""The depth at which the memory space `:space` sees a row of `contexts`, in SQL."""
_CHILDREN = f"SELECT * FROM contexts WHERE parent = :seq AND {seen('contexts')} ORDER BY seq"  # noqa: S608
CHILDREN_HERE = "SELECT seq, id FROM contexts WHERE parent = :seq AND space = :space ORDER BY seq"
"""The children that the same memory space owns."""
_BELOW = f"""WITH RECURSIVE below (seq) AS (
    SELECT :seq UNION ALL
    SELECT contexts.seq FROM below CROSS JOIN contexts ON parent = below.seq WHERE {seen("contexts")}
) SELECT contexts.* FROM below CROSS JOIN contexts ON contexts.seq = below.seq
    WHERE below.seq != :seq ORDER BY contexts.seq"""  # noqa: S608
_OWN = "SELECT *, NULL AS scope FROM contexts WHERE id = :id AND space = :space"
_GRANTED = (
    "SELECT contexts.*, scope FROM contexts CROSS JOIN context_grants ON context = seq AND target = :space"
    " WHERE id = :id ORDER BY number"
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a memory space sees."""

    tx: Transaction
    space: str

    def find_all(self, context: str) -> list[sqlite3.Row]:
        """The contexts with an id: the own one, then those of other spaces in the order in which they were granted.
        `scope` is what was granted; None for an own one."""
        names = {"id": context, "space": self.space}
        own = self.tx.db.execute(_OWN, names).fetchall()
        return own + self.tx.db.execute(_GRANTED, names).fetchall()

    def find(self, context: str) -> sqlite3.Row | None:
        """The context with an id, if the space sees one."""
        return next(iter(self.find_all(context)), None)

    def there(self, context: str) -> sqlite3.Row:
        """The context with an id. Raises `ContextNotFound`."""
        row = self.find(context)
        if row is None:
            raise ContextNotFound("no context with this id, and none was granted")
        return row

    def above(self, seq: int) -> list[sqlite3.Row]:
        """A context and its ancestors: the root first, the context last."""
        return self._rows(_ABOVE, seq)

    def children(self, seq: int) -> list[sqlite3.Row]:
        """The children, in the order in which they were made."""
        return self._rows(_CHILDREN, seq)

    def below(self, seq: int) -> list[sqlite3.Row]:
        """The descendants, in the order in which they were made."""
        return self._rows(_BELOW, seq)

    def _rows(self, statement: str, seq: int) -> list[sqlite3.Row]:
        return self.tx.db.execute(statement, {"seq": seq, "space": self.space}).fetchall()

    # --- records ------------------------------------------------------------------------------------------------------

    def record(self, row: sqlite3.Row) -> dict[str, Any]:
        """A context as the contract has it."""
        above = self.above(row["seq"])
        own = row["space"] == self.space
        record: dict[str, Any] = {
            "contextId": row["id"],
            "memorySpaceId": row["space"],
            "purpose": row["purpose"],
            "rootId": above[0]["id"],
            "depth": len(above) - 1,
            "childIds": [child["id"] for child in self.children(row["seq"])],
            "participants": self._participants(row["seq"]),
            "version": row["version"],
            "createdAt": row["created"],
            "updatedAt": row["updated"],
            **_state(row),
        }
        if len(above) > 1:
            record["parentId"] = above[-2]["id"]
        elif own and row["parent_id"] is not None:
            record["parentId"] = row["parent_id"]
        if row["user_id"] is not None:
            record["userId"] = row["user_id"]
        if row["conversation"] is not None:
            messages = {} if row["messages"] is None else {"messageIds": json.loads(row["messages"])}
            record["conversationRef"] = {"conversationId": row["conversation"], **messages}
        if grants := self._grants(row["seq"], own):
            record["grantedAccess"] = grants
        return record

    def records(self, rows: Sequence[sqlite3.Row]) -> list[dict[str, Any]]:
        """Contexts as the contract has them."""
        return [self.record(row) for row in rows]

    def chain(self, row: sqlite3.Row) -> dict[str, Any]:
        """A context and those around it."""
        *ancestors, _ = above = self.above(row["seq"])
        chain = {
            "current": self.record(row),
            "root": self.record(above[0]),
            "children": self.records(self.children(row["seq"])),
            "siblings": [],
            "ancestors": self.records(ancestors),
            "depth": len(ancestors),
        }
        if ancestors:
            chain["parent"] = self.record(ancestors[-1])
            beside = self.children(ancestors[-1]["seq"])
            chain["siblings"] = self.records([one for one in beside if one["seq"] != row["seq"]])
        return chain

    def _participants(self, seq: int) -> list[str]:
        found = self.tx.db.execute(
            "SELECT participant FROM context_participants WHERE context = ? ORDER BY number", (seq,)
        )
        return [row["participant"] for row in found.fetchall()]

    def _grants(self, seq: int, own: bool) -> list[dict[str, Any]]:
        found = self.tx.db.execute("SELECT * FROM context_grants WHERE context = ? ORDER BY number", (seq,))
        return [
            {"memorySpaceId": row["target"], "scope": row["scope"], "grantedAt": row["granted"]}
            for row in found.fetchall()
            if own or row["target"] == self.space
        ]

    # --- versions -----------------------------------------------------------------------------------------------------

    def versions(self, row: sqlite3.Row) -> list[dict[str, Any]]:
        """All versions of a context, oldest first."""
        return [*self.previous_versions(row), version_record(row)]

    def previous_versions(self, row: sqlite3.Row) -> list[dict[str, Any]]:
        """The versions before the current one, oldest first."""
        found = self.tx.db.execute("SELECT * FROM context_versions WHERE context = ? ORDER BY version", (row["seq"],))
        return [version_record(before) for before in found.fetchall()]


def version_record(row: sqlite3.Row) -> dict[str, Any]:
    """A version as the contract has it, from its row or, if it is the current one, from the context's."""
    return {
        "version": row["version"],
        "timestamp": row["written"],
        "updatedBy": row["written_by"],
        **_state(row),
    }


def _state(row: sqlite3.Row) -> dict[str, Any]:
    """What changes from version to version."""
    state: dict[str, Any] = {"status": row["status"]}
    if row["description"] is not None:
        state["description"] = row["description"]
    if row["data"] is not None:
        state["data"] = json.loads(row["data"])
    if row["completed"] is not None:
        state["completedAt"] = row["completed"]
    return state
