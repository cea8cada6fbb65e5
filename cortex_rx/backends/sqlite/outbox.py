"""The outbox: which records have changed since a graph was told of them last.

A store that keeps a graph has a trigger for each change of each table that the graph shows. So no function can forget a
record, a record and its row are in one transaction, and a store without a graph pays nothing. The triggers are in the
file, so they are there for every process, from the next write on.

A row says: look at this record again. It holds nothing of the record. A record has one row. Another change replaces it,
so that its revision is higher than any before. A deletion replaces it too: then the record is not found.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["NAMED", "SCOPES", "TABLES", "is_kept", "keep", "listed", "renew", "triggers"]


@dataclass(frozen=True, slots=True)
class _Watched:
    """A table whose changes concern records of `kind`: their `scope` and their `key`, as SQL on a `{row}` of the
    table. `source`: where these are read from, for a row that only names its record. `where`: which rows count.
    `columns`: an update of others does not matter; empty: each update matters. `events`: what matters at all.
    `name`: of the triggers, where a table has others."""

    kind: str
    table: str
    scope: str
    key: str
    source: str = ""
    where: str = "1"
    columns: str = ""
    events: tuple[str, ...] = ("insert", "update", "delete")
    name: str = ""

    def enqueue(self, row: str) -> str:
        """The statements that put the record of a row at the end."""
        select = f"SELECT '{self.kind}', {self.scope}, {self.key} {self.source}".format(row=row)
        # Not `INSERT OR REPLACE`: within a trigger, the statement that fires it may say otherwise.
        return (
            f"DELETE FROM outbox WHERE (record_table, scope, key) IN ({select});"  # noqa: S608
            f" INSERT INTO outbox (record_table, scope, key) {select};"
        )

    def triggers(self) -> Iterator[tuple[str, str]]:
        """The triggers, by name."""
        columns = f" OF {self.columns}" if self.columns else ""
        for event in self.events:
            name = f"{_PREFIX}{self.kind}_{self.name or self.table}_{event}"
            row = "OLD" if event == "delete" else "NEW"
            after = f"{event}{columns if event == 'update' else ''}"
            when = self.where.format(row=row)
            yield name, f"CREATE TRIGGER {name} AFTER {after} ON {self.table} WHEN {when} BEGIN {self.enqueue(row)} END"


_PREFIX = "outbox_"
_OF_SPACE = "(SELECT name FROM spaces WHERE id = {row}.space)"

_RECORDS: tuple[_Watched, ...] = (
    _Watched("memories", "memories", "{row}.space", "{row}.id"),
    _Watched("facts", "facts", _OF_SPACE, "{row}.id"),
    _Watched("conversations", "conversations", "{row}.space", "{row}.id"),
    _Watched("contexts", "contexts", "{row}.space", "{row}.id"),
    _Watched("memorySpaces", "memory_spaces", "''", "{row}.id"),
    _Watched("agents", "agents", "''", "{row}.id"),
    _Watched("users", "immutable", "''", "{row}.id", where="{row}.type = 'user'"),
    _Watched("immutable", "immutable", "{row}.type", "{row}.id", where="{row}.type <> 'user'"),
    _Watched("mutable", "mutable", "{row}.namespace", "{row}.key"),
)
"""The tables that have a row for each record."""

_PARTS: tuple[_Watched, ...] = (
    # An answer that is being written: its text grows, its row stays.
    _Watched(
        "memories", "texts", "memories.space", "memories.id",
        source="FROM memories WHERE memories.text = {row}.id AND memories.partial", columns="length",
        events=("update",),
    ),
    # From which messages and memories a fact is known.
    _Watched(
        "facts", "statements", "(SELECT name FROM spaces WHERE id = facts.space)", "facts.id",
        source="FROM facts WHERE facts.seq = {row}.belief", where="{row}.belief IS NOT NULL",
    ),
    # Where a message stands in its conversation does not matter: many may move at once.
    _Watched(
        "conversations", "messages", "conversations.space", "conversations.id",
        source="FROM conversations WHERE conversations.seq = {row}.conversation", columns="id, text, metadata",
    ),
    *(
        _Watched(
            "contexts", table, "contexts.space", "contexts.id",
            source="FROM contexts WHERE contexts.seq = {row}.context",
        )
        for table in ("context_grants", "context_participants")
    ),
    # Which memory space owns the parent, until it is gone.
    _Watched(
        "contexts", "contexts", "below.space", "below.id", name="children", events=("delete",),
        source="FROM contexts AS below WHERE below.parent = {row}.seq",
    ),
    # What names a conversation that is made later: its edge had no end until now.
    *(
        _Watched(
            kind, "conversations", f"{kind}.space", f"{kind}.id", name="of_conversations", events=("insert",),
            source=f"FROM {kind} WHERE {kind}.space = {{row}}.space AND {kind}.conversation = {{row}}.id",
        )
        for kind in ("memories", "contexts")
    ),
    _Watched(
        "facts", "conversations", "{row}.space", "facts.id", name="of_conversations", events=("insert",),
        source="FROM statements JOIN facts ON facts.seq = statements.belief"
        " WHERE statements.space = (SELECT id FROM spaces WHERE name = {row}.space)"
        " AND statements.conversation = {row}.id GROUP BY facts.seq",
    ),
    _Watched(
        "memorySpaces", "memory_space_participants", "''", "memory_spaces.id",
        source="FROM memory_spaces WHERE memory_spaces.seq = {row}.space",
    ),
)  # fmt: skip
"""The tables of which a record has many rows."""

TABLES: tuple[str, ...] = tuple(dict.fromkeys(one.kind for one in _RECORDS))
"""The kinds of records that the outbox has, by the names of their tables in the contract."""
SCOPES: Mapping[str, str] = {
    **dict.fromkeys(("memories", "facts", "conversations", "contexts"), "memorySpaceId"),
    "immutable": "entityType",
    "mutable": "namespace",
}
"""What the scope of a row is, in the contract. The other records are found by their key alone, in the whole store."""

NAMED: Mapping[str, str] = {
    one.kind: (
        f"SELECT {one.table}.rowid AS number, '{one.kind}' AS sort, {one.scope} AS within, {one.key} AS name"  # noqa: S608
        f" FROM json_each(:numbers) CROSS JOIN {one.table} ON {one.table}.rowid = json_each.value WHERE {one.where}"
    ).format(row=one.table)
    for one in _RECORDS
}
"""The tables, scopes and keys of the records that stand at the positions `:numbers` of their table, by kind."""

_LISTED: Mapping[str, str] = {
    one.kind: (
        f"SELECT rowid AS position, {one.scope} AS scope, {one.key} AS key, EXISTS (SELECT 1 FROM outbox"  # noqa: S608
        f" WHERE record_table = '{one.kind}' AND outbox.scope = {one.scope} AND outbox.key = {one.key}) AS queued"
        f" FROM {one.table} WHERE {one.where} AND rowid > :after ORDER BY rowid LIMIT :limit"
    ).format(row=one.table)
    for one in _RECORDS
}


def listed(db: sqlite3.Connection, kind: str, after: int, limit: int) -> list[sqlite3.Row]:
    """The records of a kind that stand after a position: their `position`, `scope`, `key`, and whether they are
    `queued`."""
    return db.execute(_LISTED[kind], {"after": after, "limit": limit}).fetchall()


def triggers() -> Mapping[str, str]:
    """The statements that make the triggers, by name."""
    return dict(trigger for one in (*_RECORDS, *_PARTS) for trigger in one.triggers())


def is_kept(db: sqlite3.Connection) -> bool:
    """Whether the store keeps a graph."""
    return db.execute("SELECT 1 FROM settings WHERE name = 'graph'").fetchone() is not None


def keep(db: sqlite3.Connection, yes: bool) -> None:
    """Keep a graph from now on, with a row for each record that is there; or keep none, and empty the outbox."""
    if is_kept(db) is yes:
        return
    if yes:
        db.execute("INSERT INTO settings (name, value) VALUES ('graph', 'kept')")
        for one in _RECORDS:
            there = f"SELECT '{one.kind}', {one.scope}, {one.key} FROM {one.table} WHERE {one.where} ORDER BY rowid"  # noqa: S608
            db.execute(f"INSERT INTO outbox (record_table, scope, key) {there}".format(row=one.table))
    else:
        db.execute("DELETE FROM settings WHERE name = 'graph'")
        db.execute("DELETE FROM outbox")  # the revisions go on: they are never used twice
    renew(db)


def renew(db: sqlite3.Connection) -> None:
    """Make the triggers that this version has, and no others, if the store keeps a graph; otherwise none."""
    there = db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, ?) = ?", (len(_PREFIX), _PREFIX)
    )
    for row in there.fetchall():
        db.execute(f"DROP TRIGGER {row['name']}")
    if is_kept(db):
        for statement in triggers().values():
            db.execute(statement)
