"""The functions `mutable:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.pages import LISTED, PAGED, page_of
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    TEXT,
    TIME,
    Flag,
    Function,
    Json,
    JsonObject,
    ListOf,
    Needs,
    Nullable,
    Number,
    Object,
    OneOf,
    OnlyFor,
    Optional,
    Table,
    fields,
)

__all__ = ["TABLE", "VALUE_FIELDS"]

_KEY = fields(namespace=ID, key=ID)
_OPERATION_ID = fields(operationId=Optional(ID))
_FILTERS = fields(namespace=ID, keyPrefix=Optional(TEXT), userId=Optional(ID))
VALUE_FIELDS = (
    *_KEY,
    *fields(
        value=Json(), userId=Optional(ID), metadata=Optional(JsonObject()), version=COUNT, createdAt=TIME,
        updatedAt=TIME,
    ),
)  # fmt: skip
_ENTRY = Object(
    VALUE_FIELDS,
    name="MutableEntry",
    meaning="""A key and its value. `version` is one more after each change. It is 1 at first, or higher if keys were
deleted from the namespace.""",
)
_DELETED = Object((*fields(deleted=Flag()), *_KEY), name="DeletedKey")
_OPERATION = Object(
    (
        *fields(op=OneOf(("increment", "decrement", "delete", "set", "update"))),
        *_KEY,
        *fields(value=Optional(Json()), amount=Optional(Number()), initial=Optional(Number())),
    ),
    rules=(
        OnlyFor("value", "op", ("set", "update")),
        OnlyFor("amount", "op", ("increment", "decrement")),
        OnlyFor("initial", "op", ("increment", "decrement")),
        Needs("op", "set", "value"),
        Needs("op", "update", "value"),
    ),
    name="MutableOperation",
    meaning="""One step of a transaction. "set" makes a key or replaces its value, "update" only replaces it. `amount`
is 1 if it is left out.""",
)
_OUTCOME = Object(
    (
        *_KEY,
        *fields(
            deleted=Optional(Flag()), value=Optional(Json()), userId=Optional(ID), metadata=Optional(JsonObject()),
            version=Optional(COUNT), createdAt=Optional(TIME), updatedAt=Optional(TIME),
        ),
    ),
    name="MutableOutcome",
    meaning="What a step of a transaction made of its key: a `MutableEntry`, or it is `deleted`.",
)  # fmt: skip

TABLE = Table(
    "mutable",
    """Values that change: the newest value of a key counts, and no other is kept. A key belongs to a namespace. The
table is the whole store's: it has no memory spaces.

A change is one transaction, so no increment is lost, whoever else writes. `expectedVersion` is the version that the
change is for; 0 stands for a key that does not exist. If another one is stored, it is a `VersionConflict`.

`operationId`, a name of the client's for one change, makes the call safe to repeat: it is kept for a day of the store's
clock. The same call under it changes nothing, and gives the result of the first one; only the list that "append" gives
is the one that is there by then. Another call under it is an `IdempotencyConflict`.

Filters act before the page; all must fit. `keyPrefix` is a text as it stands: the keys that begin with it. Lists are in
the order in which the keys were made.""",
    (
        Function(
            "mutable:set",
            "mutation",
            Object(
                (
                    *_KEY,
                    *fields(
                        value=Json(), userId=Optional(ID), metadata=Optional(JsonObject()),
                        expectedVersion=Optional(COUNT),
                    ),
                    *_OPERATION_ID,
                )
            ),
            _ENTRY,
            """Makes a key, or replaces its value. A user or metadata that is left out stays. If all is as it was,
nothing is stored, and the version stays.""",
            errors=("VersionConflict", "IdempotencyConflict"),
            repeated="""The same, while nobody else writes the key. With an `expectedVersion` it is a `VersionConflict`;
with an `operationId` it gives the first result.""",
        ),
        Function(
            "mutable:update",
            "mutation",
            Object(
                (
                    *_KEY,
                    *fields(
                        operation=OneOf(("increment", "decrement", "append", "custom")), operand=Optional(Json()),
                        initial=Optional(Json()), expectedVersion=Optional(COUNT),
                    ),
                    *_OPERATION_ID,
                ),
                rules=(Needs("operation", "append", "operand"), Needs("operation", "custom", "operand")),
            ),
            _ENTRY,
            """Changes the value that is there. "increment" and "decrement" add and subtract the operand, 1 if it is
left out; "append" puts it at the end of a list; "custom" replaces the value by it. `initial` is the value of a key
that is not there; without it, that is a `KeyNotFound`. What is no number cannot be incremented, and what is no list
cannot be appended to. A sum must be a finite number of 64 bits: otherwise it is an `InvalidArgument` of `operand`.""",
            errors=("KeyNotFound", "ValueNotNumber", "ValueNotArray", "VersionConflict", "IdempotencyConflict"),
            repeated="It changes the value again. With an `operationId` it gives the first result.",
        ),
        Function(
            "mutable:deleteKey",
            "mutation",
            Object((*_KEY, *_OPERATION_ID)),
            _DELETED,
            """Deletes a key. If it is made again, its version is one that it never had.""",
            errors=("KeyNotFound", "IdempotencyConflict"),
            repeated="`KeyNotFound`, which then means success. With an `operationId` it gives the first result.",
        ),
        Function(
            "mutable:purgeNamespace",
            "mutation",
            Object(fields(namespace=ID, dryRun=Optional(Flag(), False))),
            Object(fields(deleted=COUNT, namespace=ID), name="PurgedNamespace"),
            """Deletes all keys of a namespace; with `dryRun`, only says how many there are.""",
            repeated="It deletes the keys that were made meanwhile.",
        ),
        Function(
            "mutable:transaction",
            "mutation",
            Object(
                (
                    *fields(
                        operations=ListOf(_OPERATION),
                        reads=Optional(ListOf(Object((*_KEY, *fields(version=COUNT)), name="MutableRead"))),
                    ),
                    *_OPERATION_ID,
                )
            ),
            Object(
                fields(success=Flag(), operationsExecuted=COUNT, results=ListOf(_OUTCOME)), name="MutableTransaction"
            ),
            """Does the operations in their order, all or none. `reads` are the versions of the keys that they were
made from: if one has changed, it is a `VersionConflict`, and nothing is done. `initial` of an increment is the value of
a key that is not there; without it, that is a `KeyNotFound`. A sum that is no finite number of 64 bits is an
`InvalidArgument` of `operations`.""",
            errors=("KeyNotFound", "ValueNotNumber", "VersionConflict", "IdempotencyConflict"),
            repeated="It does them again. With an `operationId` it gives the first result.",
        ),
        Function(
            "mutable:purgeMany",
            "mutation",
            Object((*_FILTERS, *fields(updatedBefore=Optional(TIME)))),
            Object(fields(deleted=COUNT, namespace=ID, keys=ListOf(ID)), name="PurgedKeys"),
            """Deletes the keys of a namespace that pass the filters. `updatedBefore`: those whose last change is
earlier than this.""",
            repeated="It deletes the keys that pass by then.",
        ),
        Function(
            "mutable:get", "query", Object(_KEY), Nullable(_ENTRY), """The key with its value; None if there is none."""
        ),
        Function(
            "mutable:getRecord",
            "query",
            Object(_KEY),
            Nullable(_ENTRY),
            """As `mutable:get`: Cortex's clients call it by this name, too.""",
            ours=True,
        ),
        Function("mutable:exists", "query", Object(_KEY), Flag(), """Whether there is such a key."""),
        Function(
            "mutable:list",
            "query",
            Object((*_FILTERS, *LISTED)),
            ListOf(_ENTRY),
            """Keys of a namespace, the oldest first.""",
        ),
        Function(
            "mutable:page",
            "query",
            Object((*_FILTERS, *PAGED)),
            page_of(_ENTRY, "MutablePage"),
            """A page of what `mutable:list` gives. A key that is deleted and made again is a new one.""",
            ours=True,
        ),
        Function(
            "mutable:count",
            "query",
            Object(_FILTERS),
            COUNT,
            """How many keys `mutable:list` gives without a limit.""",
        ),
    ),
)  # fmt: skip
"""The functions `mutable:*`."""
