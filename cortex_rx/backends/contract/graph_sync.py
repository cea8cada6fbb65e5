"""The functions `graphSync:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    TEXT,
    Flag,
    Function,
    JsonObject,
    ListOf,
    Object,
    Optional,
    Table,
    fields,
)

__all__ = ["TABLE"]

_SETTINGS = Object(fields(enabled=Flag()), name="GraphSettings")

TABLE = Table(
    "graphSync",
    """The outbox: which records have changed since a graph was told of them. Whether a graph is kept is a setting of
the store, and so the same for every process. These functions are about the whole store.

While a graph is kept, a change of a record puts a row for it at the end, in the same transaction: a memory, a fact, a
conversation, a context, a memory space, a user, an agent, an immutable entry. The messages of a conversation are part
of it, and the sources of a fact; values of `mutable` are in no graph. A record has one row, and each change gives it a
revision that is higher than all before, in the whole store. So does its deletion, after which the record is not found.

A row says: look at this record again. It holds nothing of it. There may be a row although nothing shows yet, of an
answer that is being written, or although nothing that shows has changed. What a row is about is read when it is its
turn, so the newest state counts and none is lost.""",
    (
        Function(
            "graphSync:keep",
            "mutation",
            Object(fields(enabled=Flag())),
            _SETTINGS,
            """Says whether a graph is kept. When it is turned on, each record that is there gets a row, in one
transaction. When it is turned off, the outbox is emptied.""",
            repeated="Nothing changes.",
            ours=True,
        ),
        Function(
            "graphSync:getSettings",
            "query",
            Object(()),
            _SETTINGS,
            "Whether a graph is kept.",
            ours=True,
        ),
        Function(
            "graphSync:getUnsyncedItems",
            "query",
            Object(fields(limit=Optional(COUNT, 100), after=Optional(COUNT, 0))),
            ListOf(
                Object(
                    fields(
                        revision=COUNT, table=ID, entityId=ID, memorySpaceId=Optional(TEXT), entityType=Optional(TEXT)
                    ),
                    name="OutboxItem",
                    meaning="""A record that has changed: its table, its id there, and its memory space, if it is in
one. `entityType` is the type of an immutable entry, whose id is one of its type.""",
                )
            ),
            "The rows with a revision higher than `after`, oldest first.",
        ),
        Function(
            "graphSync:getSyncStats",
            "query",
            Object(()),
            Object(
                fields(unsynced=COUNT, byTable=JsonObject(), revision=COUNT),
                name="OutboxStats",
                meaning="""How many rows there are, in all and by table, and the highest `revision` that was given so
far; 0 if there was none.""",
            ),
            "What is in the outbox.",
        ),
    ),
)
