"""The functions `contexts:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.pages import LISTED, PAGED, page_of
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    SPACE,
    TEXT,
    TIME,
    AnyOf,
    Differs,
    Flag,
    Function,
    JsonObject,
    ListOf,
    Nullable,
    Object,
    OneOf,
    Optional,
    Table,
    fields,
)

__all__ = ["CONTEXT_FIELDS", "TABLE"]

_STATUS = OneOf(("active", "completed", "cancelled", "blocked"))
_SCOPE = OneOf(("read-only", "context-only", "full"))
_FORMAT = OneOf(("json", "csv"))
_CONVERSATION = Object(fields(conversationId=ID, messageIds=Optional(ListOf(ID))), name="ContextConversation")
_VERSION = Object(
    fields(
        version=COUNT,
        status=_STATUS,
        description=Optional(TEXT),
        data=Optional(JsonObject()),
        completedAt=Optional(TIME),
        timestamp=TIME,
        updatedBy=ID,
    ),
    name="ContextVersion",
    meaning="A version as it was written at `timestamp`, by the memory space `updatedBy`.",
)
_GRANT = Object(fields(memorySpaceId=ID, scope=_SCOPE, grantedAt=TIME), name="ContextGrant")
CONTEXT_FIELDS = fields(
    contextId=ID,
    memorySpaceId=ID,
    purpose=ID,
    description=Optional(TEXT),
    parentId=Optional(ID),
    rootId=ID,
    depth=COUNT,
    childIds=ListOf(ID),
    status=_STATUS,
    conversationRef=Optional(_CONVERSATION),
    userId=Optional(ID),
    participants=ListOf(ID),
    grantedAccess=Optional(ListOf(_GRANT)),
    data=Optional(JsonObject()),
    version=COUNT,
    previousVersions=Optional(ListOf(_VERSION)),
    createdAt=TIME,
    updatedAt=TIME,
    completedAt=Optional(TIME),
)
_CONTEXT = Object(
    CONTEXT_FIELDS,
    name="Context",
    meaning="""A context as the calling memory space sees it. `memorySpaceId` is the space that owns it.
`grantedAccess` has all grants for the owner, and its own for another space. `previousVersions`, oldest first, are only
given by `contexts:get`.""",
)
_CHAIN = Object(
    fields(
        current=_CONTEXT,
        parent=Optional(_CONTEXT),
        root=_CONTEXT,
        children=ListOf(_CONTEXT),
        siblings=ListOf(_CONTEXT),
        ancestors=ListOf(_CONTEXT),
        depth=COUNT,
    ),
    name="ContextChain",
    meaning="""A context and those around it. `ancestors` begin with the root and end with the parent; `siblings` are
the other children of the parent.""",
)
_EXPORTED = Object(
    (
        *CONTEXT_FIELDS,
        *fields(
            ancestors=Optional(ListOf(_CONTEXT)),
            versions=Optional(ListOf(_VERSION)),
            conversation=Optional(JsonObject()),
        ),
    ),
    name="ExportedContext",
    meaning="A context, and what was asked for: its ancestors, root first; all its versions; its conversation.",
)
_CHANGED = Object(
    fields(updated=COUNT, contextIds=ListOf(ID)),
    name="UpdatedContexts",
    meaning="The contexts that the filters let by.",
)
_DELETED = Object(
    fields(deleted=Flag(), contextId=ID, descendantsDeleted=COUNT, orphanedChildren=ListOf(ID)),
    name="DeletedContext",
    meaning="`orphanedChildren` are those that have become roots.",
)
_ALL_DELETED = Object(
    fields(deleted=COUNT, contextIds=ListOf(ID)),
    name="DeletedContexts",
    meaning="All that are deleted, descendants too.",
)
_EXPORT = Object(fields(format=_FORMAT, data=TEXT, count=COUNT, exportedAt=TIME), name="ContextExport")

_ONE = fields(memorySpaceId=SPACE, contextId=ID)
_HERE = fields(memorySpaceId=SPACE)
_FILTERS = fields(
    userId=Optional(ID),
    status=Optional(_STATUS),
    parentId=Optional(ID),
    rootId=Optional(ID),
    depth=Optional(COUNT),
    completedBefore=Optional(TIME),
)
_CHANGES = fields(
    status=Optional(_STATUS),
    data=Optional(JsonObject()),
    description=Optional(TEXT),
    completedAt=Optional(TIME),
)
_INCLUDED = fields(
    includeChain=Optional(Flag(), False),
    includeVersionHistory=Optional(Flag(), False),
    includeConversations=Optional(Flag(), False),
)
_CASCADE = fields(cascadeChildren=Optional(Flag(), False))
_DRY_RUN = fields(dryRun=Optional(Flag(), False))

TABLE = Table(
    "contexts",
    """A context says what is being worked on. It belongs to the memory space that made it, and may have a parent: so
contexts form trees.

Another space sees a context only if the owner grants it access, until the owner revokes it. The scope "read-only" lets
it read the context; "context-only" also change it; "full" also make children of it, which belong to the space that
makes them. A grant opens this one context, neither its parent nor its children. Only the owner deletes, grants and
revokes; anything else that a grant does not allow is a `ContextReadOnly`. A context whose owner is archived is changed
by nobody: that is a `MemorySpaceArchived`.

What a space sees are trees, too, of the contexts that it may see. `parentId`, `rootId`, `depth`, `childIds` and chains
are of these trees: a context whose parent is not to be seen stands there as a root, with depth 0. It is an *orphan*:
the parent was deleted, or its space with everything in it, or access was revoked. An own orphan still has its
`parentId`. An id is that of an own context, else that of the context that was granted first.

`contexts:update` makes a version, if it changes anything: of status, description, data, `completedAt`. Participants,
grants and children do not. `data` is merged: a key replaces the former value of this key, and other keys stay. A
status that becomes "completed" sets `completedAt` to now, another new status removes it; a `completedAt` that is given
counts instead.

Lists are of the contexts that the space owns, in the order in which they were made. Filters act before the limit, and
all must fit. `parentId`, `rootId` and `depth` are those that the context shows.""",
    (
        Function(
            "contexts:create",
            "mutation",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    purpose=ID,
                    description=Optional(TEXT),
                    userId=Optional(ID),
                    parentId=Optional(ID),
                    conversationRef=Optional(_CONVERSATION),
                    data=Optional(JsonObject()),
                    status=Optional(_STATUS, "active"),
                    contextId=Optional(ID),
                )
            ),
            _CONTEXT,
            """Makes a context, whose participant is its memory space. The conversation and messages need not be there.

A `contextId` of the client's makes the call safe to repeat. The same id with what the context was made with is the same
context, and nothing is stored. Otherwise it is an `IdempotencyConflict`, also if its conversation was deleted since, or
its parent with `orphanChildren`.""",
            errors=("ParentNotFound", "ContextReadOnly", "IdempotencyConflict"),
            repeated="With a `contextId` it gives the context as it is now. Without one it makes another one.",
        ),
        Function(
            "contexts:update",
            "mutation",
            Object((*_ONE, *_CHANGES, *fields(expectedVersion=Optional(COUNT), operationId=Optional(ID)))),
            _CONTEXT,
            """Changes a context. If another version than `expectedVersion` is stored, it is a `VersionConflict`.

An `operationId` is the client's name for the call: a version that was made with it is not made again.""",
            errors=("ContextNotFound", "ContextReadOnly", "VersionConflict"),
            repeated="""It changes nothing, makes no version, and gives the context as it is now. With `expectedVersion`
and without an `operationId` it is a `VersionConflict`, since the first call has made the next version.""",
        ),
        Function(
            "contexts:deleteContext",
            "mutation",
            Object((*_ONE, *_CASCADE, *fields(orphanChildren=Optional(Flag(), False)))),
            _DELETED,
            """Deletes a context with its versions and grants. If it has children in its memory space, they and all
their descendants there are deleted with `cascadeChildren`, or become roots with `orphanChildren`; otherwise it is a
`HasChildren`. Children in other spaces stay, as orphans.""",
            errors=("ContextNotFound", "ContextReadOnly", "HasChildren"),
            repeated="It is `ContextNotFound`, which then means success.",
        ),
        Function(
            "contexts:addParticipant",
            "mutation",
            Object((*_ONE, *fields(participantId=ID))),
            _CONTEXT,
            """Adds a participant, behind the others, if it is not there.""",
            errors=("ContextNotFound", "ContextReadOnly"),
            repeated="The same: it is there.",
        ),
        Function(
            "contexts:removeParticipant",
            "mutation",
            Object((*_ONE, *fields(participantId=ID))),
            _CONTEXT,
            """Removes a participant, if it is there.""",
            errors=("ContextNotFound", "ContextReadOnly"),
            repeated="The same: it is not there.",
        ),
        Function(
            "contexts:grantAccess",
            "mutation",
            Object(
                (*_ONE, *fields(targetMemorySpaceId=SPACE, scope=_SCOPE)),
                rules=(Differs("targetMemorySpaceId", "memorySpaceId"),),
            ),
            _CONTEXT,
            """Gives another memory space access to a context. It replaces the scope that this space has had.""",
            errors=("ContextNotFound", "ContextReadOnly"),
            repeated="The same: nothing changes.",
        ),
        Function(
            "contexts:revokeAccess",
            "mutation",
            Object(
                (*_ONE, *fields(targetMemorySpaceId=SPACE)),
                rules=(Differs("targetMemorySpaceId", "memorySpaceId"),),
            ),
            _CONTEXT,
            """Takes access to a context away from another memory space, if it has any. What that space has made below
it becomes an orphan there.""",
            errors=("ContextNotFound", "ContextReadOnly"),
            repeated="The same: nothing changes.",
            ours=True,
        ),
        Function(
            "contexts:get",
            "query",
            Object((*_ONE, *fields(includeChain=Optional(Flag(), False)))),
            Nullable(AnyOf((_CONTEXT, _CHAIN))),
            """The context, with its previous versions. With `includeChain` its chain, in which `current` has them.
None if the memory space sees none with this id.""",
        ),
        Function(
            "contexts:list",
            "query",
            Object((*_HERE, *_FILTERS, *LISTED)),
            ListOf(_CONTEXT),
            """The contexts of the memory space.""",
        ),
        Function(
            "contexts:page",
            "query",
            Object((*_HERE, *_FILTERS, *_INCLUDED, *PAGED)),
            page_of(_EXPORTED, "ContextPage"),
            """A page of the contexts of the memory space, each as an export has it.""",
            ours=True,
        ),
        Function(
            "contexts:count",
            "query",
            Object((*_HERE, *_FILTERS)),
            COUNT,
            """How many contexts `contexts:list` gives without a limit.""",
        ),
        Function(
            "contexts:listGranted",
            "query",
            Object((*_HERE, *LISTED)),
            ListOf(_CONTEXT),
            """The contexts of other memory spaces to which this one was granted access, in the order of the grants.""",
            ours=True,
        ),
        Function(
            "contexts:search",
            "query",
            Object((*_HERE, *fields(query=Optional(TEXT)), *_FILTERS, *LISTED)),
            ListOf(_CONTEXT),
            """As `contexts:list`, of the contexts that have all words of the `query` in their purpose or description.
Words are those of `memories:search`, in any form of theirs. A query that has no word finds nothing. Without one it is
`contexts:list`.""",
        ),
        Function(
            "contexts:getChain",
            "query",
            Object(_ONE),
            _CHAIN,
            """The context and those around it.""",
            errors=("ContextNotFound",),
        ),
        Function(
            "contexts:getRoot",
            "query",
            Object(_ONE),
            _CONTEXT,
            """The root of the tree that the context is in: itself, if it has no parent.""",
            errors=("ContextNotFound",),
        ),
        Function(
            "contexts:getChildren",
            "query",
            Object((*_ONE, *fields(status=Optional(_STATUS), recursive=Optional(Flag(), False)))),
            ListOf(_CONTEXT),
            """The children, also those in other memory spaces that this one sees, in the order in which they were made;
with `recursive` all descendants. `status` leaves out others, but not what is below them. Nothing, if the context is not
there.""",
        ),
        Function(
            "contexts:findOrphaned",
            "query",
            Object(_HERE),
            ListOf(_CONTEXT),
            """The contexts of the memory space whose parent it does not see any more.""",
        ),
        Function(
            "contexts:getByConversation",
            "query",
            Object((*_HERE, *fields(conversationId=ID))),
            ListOf(_CONTEXT),
            """The contexts of the memory space that name this conversation.""",
        ),
        Function(
            "contexts:updateMany",
            "mutation",
            Object((*_HERE, *_FILTERS, *fields(updates=Object(_CHANGES, name="ContextChanges")), *_DRY_RUN)),
            _CHANGED,
            """Changes all contexts of the memory space that the filters let by, as `contexts:update` does; without
filters, all. With `dryRun` it says which, and changes none.""",
            repeated="The same, as far as the filters still let the contexts by.",
        ),
        Function(
            "contexts:deleteMany",
            "mutation",
            Object((*_HERE, *_FILTERS, *_CASCADE, *_DRY_RUN)),
            _ALL_DELETED,
            """Deletes the contexts of the memory space that the filters let by; without filters, all. With
`cascadeChildren` their descendants there go, too. Without it, a context stays that has a child there which stays. With
`dryRun` it says which would go, and deletes none.""",
            repeated="Nothing is left to be deleted.",
        ),
        Function(
            "contexts:getVersion",
            "query",
            Object((*_ONE, *fields(version=COUNT))),
            Nullable(_VERSION),
            """A version of the context, the current one too; None if there is none.""",
        ),
        Function(
            "contexts:getHistory",
            "query",
            Object(_ONE),
            ListOf(_VERSION),
            """All versions, oldest first, with the current one. Nothing, if the context is not there.""",
        ),
        Function(
            "contexts:getAtTimestamp",
            "query",
            Object((*_ONE, *fields(timestamp=TIME))),
            Nullable(_VERSION),
            """The version that was the current one at a time: the last that was written then or before. None if there
was none.""",
        ),
        Function(
            "contexts:exportContexts",
            "query",
            Object((*_HERE, *_FILTERS, *fields(format=_FORMAT), *_INCLUDED)),
            _EXPORT,
            """The contexts of the memory space as a text: a JSON array, or CSV as RFC 4180 has it. `includeChain` adds
the ancestors of each, `includeVersionHistory` its versions, `includeConversations` its conversation, if that is
there.""",
        ),
    ),
)
