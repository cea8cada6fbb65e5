"""The functions `graphSync:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.graph_records import RECORD
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    TEXT,
    TIME,
    Flag,
    Function,
    Integer,
    JsonObject,
    ListOf,
    Needs,
    Number,
    Object,
    OneOf,
    OnlyFor,
    Optional,
    Rule,
    Table,
    fields,
)

__all__ = ["MOST", "TABLE"]

MOST = 1_000
"""The most rows of a batch."""

_SETTINGS = Object(fields(enabled=Flag()), name="GraphSettings")
_SPACED = ("memories", "conversations", "facts", "contexts")
_TABLE = OneOf((*_SPACED, "memorySpaces", "users", "agents", "immutable", "mutable"))
_KEY = fields(
    table=_TABLE,
    entityId=ID,
    memorySpaceId=Optional(ID),
    entityType=Optional(ID),
    namespace=Optional(ID),
)
_RULES: tuple[Rule, ...] = (
    OnlyFor("memorySpaceId", "table", _SPACED),
    OnlyFor("entityType", "table", ("immutable",)),
    OnlyFor("namespace", "table", ("mutable",)),
    *(Needs("table", table, "memorySpaceId") for table in _SPACED),
    Needs("table", "immutable", "entityType"),
    Needs("table", "mutable", "namespace"),
)
_ROW = (*fields(revision=COUNT), *_KEY)
_SEEN = ListOf(Object((*_KEY, *fields(revision=COUNT)), rules=_RULES, name="SeenOutboxItem"))
_FOUND = fields(limit=Optional(COUNT, 100), after=Optional(COUNT, 0))

TABLE = Table(
    "graphSync",
    """The outbox: which records have changed since a graph was told of them. Whether a graph is kept is a setting of
the store, and so the same for every process. These functions are about the whole store.

While a graph is kept, a change of a record puts a row for it at the end, in the same transaction: a memory, a
conversation, a fact, a context, a memory space, a user, an agent, an immutable entry, a key of `mutable`. The messages
of a conversation are part of it, and the sources of a fact. A record has one row, and each change gives it a revision
that is higher than all before, in the whole store. So does its deletion, after which the record is not found. A memory
that is partial changes with each append.

A row says: look at this record again. It holds nothing of it. There may be a row although nothing that shows has
changed. What a row is about is read when it is its turn, so the newest state counts and none is lost.

One drainer at a time reads the rows, by a lease: it writes what it reads to the graph, and takes away each row that is
written, if its revision is still the one that it has read. A row that cannot be written waits, and at last is a dead
letter, which is no more given until it is asked for. Another change of the record makes its row a new one.""",
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
            Object(_FOUND),
            ListOf(
                Object(
                    _ROW,
                    name="OutboxItem",
                    meaning="""A record that has changed: its table, its id there, and its memory space, if it is in
one. `entityType` is the type of an immutable entry, whose id is one of its type, and `namespace` that of a key of
`mutable`.""",
                )
            ),
            "All rows with a revision higher than `after`, oldest first, whether they are due or not.",
        ),
        Function(
            "graphSync:getBatch",
            "query",
            Object(fields(limit=Optional(Integer(1, MOST), MOST), after=Optional(COUNT, 0))),
            ListOf(
                Object(
                    (*_ROW, *fields(attempts=COUNT, record=Optional(RECORD))),
                    name="OutboxRecord",
                    meaning="""A row, how often it could not be written, and its record as it is now. Without a `record`
it is deleted. Which kind of record it is says `table`: a `GraphMemory` and so on.""",
                )
            ),
            """The rows that are due with a revision higher than `after`, oldest first, with their records, all as they
are at one moment. There may be fewer than `limit` where values are large; only if there is none, nothing is due.""",
            ours=True,
        ),
        Function(
            "graphSync:getRecords",
            "query",
            Object(fields(table=_TABLE, limit=Optional(Integer(1, MOST), MOST), after=Optional(COUNT, 0))),
            ListOf(
                Object(
                    (*fields(position=COUNT, queued=Flag()), *_KEY, *fields(record=RECORD)),
                    name="GraphRecord",
                    meaning="""A record as it is now, its `position` among those of its table, and whether it is
`queued`: it has a row, which a drainer has not taken away yet.""",
                )
            ),
            """The records of a table with a position higher than `after`, oldest first, as `getBatch` gives them,
whether they have changed or not, all as they are at one moment. There may be fewer than `limit` where values are large;
only if there is none, it was the last one. So a graph is compared with the store.""",
            ours=True,
        ),
        Function(
            "graphSync:exists",
            "query",
            Object(fields(records=ListOf(Object(_KEY, rules=_RULES, name="RecordKey")))),
            ListOf(Flag()),
            """Whether each of these records is there, in this order. A partial memory is; a chunk of an answer is
not, since it is a part of its memory.""",
            ours=True,
        ),
        Function(
            "graphSync:getSyncStats",
            "query",
            Object(()),
            Object(
                fields(unsynced=COUNT, byTable=JsonObject(), waiting=COUNT, failed=COUNT, revision=COUNT),
                name="OutboxStats",
                meaning="""How many rows there are, in all and by table; how many of them are `waiting` to be tried
again, and are dead letters (`failed`); and the highest `revision` that was given so far, 0 if there was none.""",
            ),
            "What is in the outbox.",
        ),
        Function(
            "graphSync:lease",
            "mutation",
            Object(fields(holder=ID, seconds=Number(0.001, 86_400))),
            Object(
                fields(held=Flag(), term=COUNT, store=ID, leaseUntil=TIME),
                name="OutboxLease",
                meaning="""Whether the caller holds the lease, until `leaseUntil`, or another one until then. `term` is
one more each time when another holder gets it, and never falls. `store` is the id of the store.""",
            ),
            """Takes the lease of the outbox, or renews it, for so many seconds of the store's clock. While another
holder has it, nothing changes. A lease that ends later than its own length from now was given before the clock was set
back, and is none. Each run of a drainer has a `holder` of its own.""",
            repeated="It is renewed once more.",
            ours=True,
        ),
        Function(
            "graphSync:release",
            "mutation",
            Object(fields(holder=ID)),
            Object(fields(released=Flag()), name="ReleasedOutbox"),
            "Ends the lease of this holder, if it has it.",
            repeated="`released` is False; nothing changes.",
            ours=True,
        ),
        Function(
            "graphSync:markSynced",
            "mutation",
            Object(fields(items=_SEEN, holder=ID)),
            Object(fields(synced=COUNT), name="SyncedItems"),
            """Takes away the rows that have the given revisions, and says how many these were. A record that has
changed again keeps its row. `Fenced` if the holder is not the one that had the lease last; an expired lease that nobody
else has taken does not matter.""",
            errors=("Fenced",),
            repeated="`synced` is 0; nothing changes.",
        ),
        Function(
            "graphSync:markFailed",
            "mutation",
            Object(fields(items=_SEEN, error=TEXT, retryAt=Optional(TIME))),
            Object(fields(failed=COUNT), name="FailedItems"),
            """Counts one more attempt for the rows that have the given revisions, and says how many these were. They
are not due before `retryAt`. Without it they are dead letters. `error` says why, without any text of a record.""",
            repeated="The same `error` and `retryAt` count once; `failed` is 0.",
        ),
        Function(
            "graphSync:getFailedItems",
            "query",
            Object(_FOUND),
            ListOf(
                Object(
                    (*_ROW, *fields(attempts=COUNT, error=TEXT, failedAt=TIME)),
                    name="DeadLetter",
                    meaning="""A row that could not be written, how often, why, and when this was said last.""",
                )
            ),
            "The dead letters with a revision higher than `after`, oldest first.",
        ),
        Function(
            "graphSync:retry",
            "mutation",
            Object(fields(items=Optional(ListOf(Object(_KEY, rules=_RULES, name="RecordKey"))))),
            Object(fields(retried=COUNT), name="RetriedItems"),
            """Makes rows that have failed due now, with no attempts: the dead letters, and those that wait to be tried
again; with `items` only those of these records.""",
            repeated="`retried` is 0; nothing changes.",
            ours=True,
        ),
    ),
)
"""`graphSync:*`: whether a graph is kept, and the outbox."""
