"""The records that a graph shows, as they are now: a constant number of statements for each table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from cortex_rx.backends.sqlite import outbox
from cortex_rx.backends.sqlite.facts.rows import fact_row, statements_of
from cortex_rx.backends.sqlite.functions import conversations, immutable, memories, mutable
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["CUT", "exist", "fitting", "load", "load_table"]

CUT = 200
"""The most code points of a content."""
_SIZE = 4 * 2**20  # code points of JSON and texts that are read at once
_ASKED = 1_000  # keys in one statement

Records: TypeAlias = dict[int, dict[str, Any]]
"""Records by the numbers of what asks for them: the revisions of rows, or the positions in their table."""


class _Wanted(NamedTuple):
    """Numbers, and the tables, scopes and keys of the records that they stand for (`sort`, `within`, `name`)."""

    source: str
    numbers: str

    def rows(self, tx: Transaction, statement: str) -> list[sqlite3.Row]:
        return tx.db.execute(statement.format(wanted=self.source), {"numbers": self.numbers}).fetchall()


def _of_outbox(revisions: Collection[int]) -> _Wanted:
    return _Wanted(
        "(SELECT revision AS number, record_table AS sort, scope AS within, outbox.key AS name"
        " FROM json_each(:numbers) CROSS JOIN outbox ON revision = json_each.value) AS wanted",
        json.dumps(list(revisions)),
    )


def _of_table(table: str, positions: Collection[int]) -> _Wanted:
    return _Wanted(f"({outbox.NAMED[table]}) AS wanted", json.dumps(list(positions)))


def load(tx: Transaction, revisions: Mapping[str, Collection[int]]) -> Records:
    """The records of the rows with these revisions, by table; without those that are gone."""
    found: Records = {}
    for table, read in _READ.items():
        if numbers := revisions.get(table):
            found |= read(tx, _of_outbox(numbers))
    return found


def load_table(tx: Transaction, table: str, positions: Collection[int]) -> Records:
    """The records of a table that stand at these positions, as far as they are read at once: at least the first."""
    some = list(positions)[: _fitting(tx, _of_table(table, positions), positions)]
    return _READ[table](tx, _of_table(table, some))


def _of(tx: Transaction, statement: str, owners: Iterable[int]) -> dict[int, list[sqlite3.Row]]:
    """What a statement finds for these numbers (`:owners`), by the number of its `owner`."""
    found: dict[int, list[sqlite3.Row]] = {}
    for row in tx.db.execute(statement, {"owners": json.dumps(list(owners))}).fetchall():
        found.setdefault(row["owner"], []).append(row)
    return found


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# --- how much fits into a batch ---------------------------------------------------------------------------------------

_SIZES = """
SELECT number, length(body) AS size FROM {wanted} CROSS JOIN spaces ON spaces.name = within
    CROSS JOIN facts ON facts.space = spaces.id AND facts.id = wanted.name WHERE sort = 'facts'
UNION ALL
SELECT number, length(data) + coalesce(length(metadata), 0) FROM {wanted}
    CROSS JOIN immutable ON type = within AND id = name
    CROSS JOIN immutable_versions ON place = (seq << 32) + version WHERE sort = 'immutable'
UNION ALL
SELECT number, length(value) + coalesce(length(metadata), 0) FROM {wanted}
    CROSS JOIN mutable ON namespace = within AND key = name WHERE sort = 'mutable'
"""


def fitting(tx: Transaction, revisions: Collection[int]) -> int:
    """How many of these rows, in this order, are read at once: at least the first, and no more than their values
    allow."""
    return _fitting(tx, _of_outbox(revisions), revisions)


def _fitting(tx: Transaction, wanted: _Wanted, numbers: Collection[int]) -> int:
    sizes = {row["number"]: row["size"] for row in wanted.rows(tx, _SIZES)}
    total = 0
    for before, number in enumerate(numbers):
        total += sizes.get(number, 0)
        if total > _SIZE:
            return max(before, 1)
    return len(numbers)


# --- the tables -------------------------------------------------------------------------------------------------------

_MEMORIES = """
SELECT number, memories.*, length, writes, touched, streams.id AS stream_id, question, started FROM {wanted}
    CROSS JOIN memories ON memories.space = within AND memories.id = name CROSS JOIN texts ON texts.id = memories.text
    LEFT JOIN streams ON partial AND streams.seq = stream
"""
# The first pieces of texts.
_BEGINNINGS = f"""
SELECT value AS owner, body FROM json_each(:owners)
    CROSS JOIN pieces ON place >= value << 32 AND place < (value << 32) + {CUT} ORDER BY place
"""  # noqa: S608


def _memories(tx: Transaction, wanted: _Wanted) -> Records:
    rows = wanted.rows(tx, _MEMORIES)
    texts = {row["text"] for row in rows} | {row["question"] for row in rows if row["question"] is not None}
    pieces = _of(tx, _BEGINNINGS, texts)
    cut = {text: "".join(piece["body"] for piece in pieces.get(text, ()))[:CUT] for text in texts}
    return {row["number"]: _memory(row, cut) for row in rows}


def _memory(row: sqlite3.Row, cut: Mapping[int, str]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "memoryId": row["id"],
        "memorySpaceId": row["space"],
        "content": cut[row["text"]],
        "contentLength": row["length"],
        **memories.described(row),
    }
    record.pop("sourceUserName", None)
    if "mutableRef" in record:
        del record["mutableRef"]["snapshotValue"]
    if row["archived"]:
        record["isArchived"] = True
    if row["chunks"]:
        record["chunkCount"] = row["chunks"]
    if row["partial"]:
        record["partialMetadata"] = {
            "userMessage": cut[row["question"]],
            "streamId": row["stream_id"],
            "streamStartTime": row["started"],
            "updates": row["writes"],
        }
    return record


_FACTS = """
SELECT number, within, facts.* FROM {wanted} CROSS JOIN spaces ON spaces.name = within
    CROSS JOIN facts ON facts.space = spaces.id AND facts.id = wanted.name
"""


def _facts(tx: Transaction, wanted: _Wanted) -> Records:
    rows = wanted.rows(tx, _FACTS)
    said = statements_of(tx, (row["seq"] for row in rows))
    records = {row["number"]: fact_row(row["within"], row, row["updated"], said.get(row["seq"], ())) for row in rows}
    for record in records.values():
        for name in ("metadata", "sourceRef"):
            record.pop(name, None)
    return records


_CONVERSATIONS = """
SELECT number, conversations.* FROM {wanted} CROSS JOIN conversations ON space = within AND id = name
"""


def _conversations(tx: Transaction, wanted: _Wanted) -> Records:
    records = {row["number"]: conversations.row_of(row) for row in wanted.rows(tx, _CONVERSATIONS)}
    for record in records.values():
        record.pop("metadata", None)
    return records


_CONTEXTS = """
SELECT number, contexts.*, upper.space AS parent_space FROM {wanted}
    CROSS JOIN contexts ON contexts.space = within AND contexts.id = name
    LEFT JOIN contexts AS upper ON upper.seq = contexts.parent
"""
_PARTICIPANTS = """
SELECT context AS owner, participant FROM json_each(:owners) CROSS JOIN context_participants ON context = value
    ORDER BY number
"""
_GRANTS = """
SELECT context AS owner, target, scope, granted FROM json_each(:owners) CROSS JOIN context_grants ON context = value
    ORDER BY number
"""
# As far as the same memory space owns them: these go never before those below.
_ABOVE = """
WITH RECURSIVE above (owner, seq, id, height) AS (
    SELECT value, seq, contexts.id, 0 FROM json_each(:owners) CROSS JOIN contexts ON seq = value UNION ALL
    SELECT owner, upper.seq, upper.id, height + 1 FROM above CROSS JOIN contexts AS lower ON lower.seq = above.seq
        CROSS JOIN contexts AS upper ON upper.seq = lower.parent AND upper.space = lower.space
) SELECT owner, id, max(height) AS height FROM above GROUP BY owner
"""


def _contexts(tx: Transaction, wanted: _Wanted) -> Records:
    rows = wanted.rows(tx, _CONTEXTS)
    numbers = [row["seq"] for row in rows]
    above, participants, grants = (_of(tx, one, numbers) for one in (_ABOVE, _PARTICIPANTS, _GRANTS))
    return {
        row["number"]: _context(row, above[row["seq"]][0], participants.get(row["seq"], ()), grants.get(row["seq"], ()))
        for row in rows
    }


def _context(
    row: sqlite3.Row, root: sqlite3.Row, participants: Iterable[sqlite3.Row], grants: Iterable[sqlite3.Row]
) -> dict[str, Any]:
    messages = {} if row["messages"] is None else {"messageIds": json.loads(row["messages"])}
    granted = [{"memorySpaceId": one["target"], "scope": one["scope"], "grantedAt": one["granted"]} for one in grants]
    return {
        "contextId": row["id"],
        "memorySpaceId": row["space"],
        "purpose": row["purpose"],
        "status": row["status"],
        "rootId": root["id"],
        "depth": root["height"],
        "participants": [one["participant"] for one in participants],
        "version": row["version"],
        "createdAt": row["created"],
        "updatedAt": row["updated"],
        **_given(
            parentId=row["parent_id"],
            parentMemorySpaceId=row["parent_space"],
            userId=row["user_id"],
            completedAt=row["completed"],
            grantedAccess=granted or None,
            conversationRef=row["conversation"] and {"conversationId": row["conversation"], **messages},
        ),
    }


_SPACES = "SELECT number, memory_spaces.* FROM {wanted} CROSS JOIN memory_spaces ON id = wanted.name"
_MEMBERS = """
SELECT space AS owner, member.id, member.type, joined FROM json_each(:owners)
    CROSS JOIN memory_space_participants AS member ON space = value
    ORDER BY number
"""


def _spaces(tx: Transaction, wanted: _Wanted) -> Records:
    rows = wanted.rows(tx, _SPACES)
    members = _of(tx, _MEMBERS, (row["seq"] for row in rows))
    return {
        row["number"]: {
            "memorySpaceId": row["id"],
            **_given(name=row["name"]),
            "type": row["type"],
            "status": row["status"],
            "participants": [
                {"id": one["id"], "type": one["type"], "joinedAt": one["joined"]} for one in members.get(row["seq"], ())
            ],
            "createdAt": row["created"],
            "updatedAt": row["updated"],
        }
        for row in rows
    }


_USERS = "SELECT number, immutable.* FROM {wanted} CROSS JOIN immutable ON type = 'user' AND id = wanted.name"


def _users(tx: Transaction, wanted: _Wanted) -> Records:
    return {
        row["number"]: {
            "userId": row["id"],
            "version": row["version"],
            "createdAt": row["created"],
            "updatedAt": row["updated"],
        }
        for row in wanted.rows(tx, _USERS)
    }


_AGENTS = "SELECT number, agents.* FROM {wanted} CROSS JOIN agents ON id = wanted.name"


def _agents(tx: Transaction, wanted: _Wanted) -> Records:
    return {
        row["number"]: {
            "agentId": row["id"],
            "name": row["name"],
            **_given(description=row["description"]),
            "status": row["status"],
            "registeredAt": row["registered"],
            "updatedAt": row["updated"],
        }
        for row in wanted.rows(tx, _AGENTS)
    }


_IMMUTABLE = """
SELECT number, type, id, version, immutable.user_id, created, updated, metadata, data FROM {wanted}
    CROSS JOIN immutable ON type = within AND id = name CROSS JOIN immutable_versions ON place = (seq << 32) + version
"""


def _immutable(tx: Transaction, wanted: _Wanted) -> Records:
    return {row["number"]: immutable.row_of(row) for row in wanted.rows(tx, _IMMUTABLE)}


_MUTABLE = """
SELECT number, mutable.* FROM {wanted} CROSS JOIN mutable ON namespace = within AND key = name
"""


def _mutable(tx: Transaction, wanted: _Wanted) -> Records:
    return {row["number"]: mutable.record_of(row) for row in wanted.rows(tx, _MUTABLE)}


_READ: Mapping[str, Callable[[Transaction, _Wanted], Records]] = {
    "memories": _memories,
    "facts": _facts,
    "conversations": _conversations,
    "contexts": _contexts,
    "memorySpaces": _spaces,
    "users": _users,
    "agents": _agents,
    "immutable": _immutable,
    "mutable": _mutable,
}


# --- whether records are there ----------------------------------------------------------------------------------------

_THERE: Mapping[str, str] = {
    "memories": "SELECT 1 FROM memories WHERE space = asked.scope AND id = asked.key",
    "facts": (
        "SELECT 1 FROM spaces CROSS JOIN facts ON space = spaces.id AND facts.id = asked.key WHERE name = asked.scope"
    ),
    "conversations": "SELECT 1 FROM conversations WHERE space = asked.scope AND id = asked.key",
    "contexts": "SELECT 1 FROM contexts WHERE space = asked.scope AND id = asked.key",
    "memorySpaces": "SELECT 1 FROM memory_spaces WHERE id = asked.key",
    "users": "SELECT 1 FROM immutable WHERE type = 'user' AND id = asked.key",
    "agents": "SELECT 1 FROM agents WHERE id = asked.key",
    "immutable": "SELECT 1 FROM immutable WHERE type = asked.scope AND type <> 'user' AND id = asked.key",
    "mutable": "SELECT 1 FROM mutable WHERE namespace = asked.scope AND mutable.key = asked.key",
}


def exist(tx: Transaction, keys: Iterable[tuple[str, str, str]]) -> list[bool]:
    """Whether the records with these keys (table, scope, key) are there, in this order."""
    asked: dict[str, list[tuple[int, str, str]]] = {}
    there: list[bool] = []
    for number, (table, scope, key) in enumerate(keys):
        asked.setdefault(table, []).append((number, scope, key))
        there.append(False)
    for table, named in asked.items():
        for start in range(0, len(named), _ASKED):
            some = named[start : start + _ASKED]
            values = ", ".join(["(?, ?, ?)"] * len(some))
            found = tx.db.execute(
                f"WITH asked (number, scope, key) AS (VALUES {values})"  # noqa: S608
                f" SELECT number FROM asked WHERE EXISTS ({_THERE[table]})",
                [value for one in some for value in one],
            )
            for row in found.fetchall():
                there[row["number"]] = True
    return there
