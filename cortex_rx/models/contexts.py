"""Contexts: what is being worked on. The names are Cortex's.

A caller gives each as a model, or as a mapping in snake_case or camelCase. The keys of `data` stay as they are. Times
are epoch milliseconds; a time may also be given as a `datetime` with a time zone.

    >>> given = parse(ContextInput, {"purpose": "Refund the order", "memorySpaceId": "support", "data": {"orderId": 7}})
    >>> given.memory_space_id, given.data
    ('support', {'orderId': 7})
    >>> parse(ContextInput, {"purpose": "Refund", "memorySpaceId": "support", "status": "open"})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: status: got 'open'; accepted:
    'active' or 'completed' or 'cancelled' or 'blocked', or None
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AliasChoices, Field, computed_field

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts, Options, parse
from cortex_rx.models.facts import Time
from cortex_rx.models.records import Conversation, Message, Record
from cortex_rx.models.spelling import to_camel

__all__ = [
    "AccessScope",
    "Context",
    "ContextConversation",
    "ContextFilter",
    "ContextGrant",
    "ContextInput",
    "ContextList",
    "ContextStatus",
    "ContextUpdate",
    "ContextVersion",
    "ContextWithChain",
    "CreateContextOptions",
    "DeleteContextOptions",
    "DeletedContext",
    "DeletedContexts",
    "ExportedContext",
    "UpdateContextOptions",
    "UpdatedContexts",
]

ContextStatus: TypeAlias = Literal["active", "completed", "cancelled", "blocked"]
"""How far the work is."""
AccessScope: TypeAlias = Literal["read-only", "context-only", "full"]
"""What another memory space may do with a context: read it; also change it; also make children of it."""

_Name = Annotated[str, Accepts(check.name)]
_OptionalName = Annotated[str | None, Accepts(check.optional(check.name))]
_OptionalText = Annotated[str | None, Accepts(check.optional(check.any_text))]
_Names = Annotated[tuple[str, ...], Accepts(check.names)]
_Data = Annotated[Mapping[str, Any] | None, Accepts(check.optional(check.json_mapping))]
_Status = Annotated[ContextStatus | None, Accepts(check.optional(check.one_of(*get_args(ContextStatus))))]
_Count = Annotated[int | None, Accepts(check.optional(check.whole()))]
_OptionalFlag = Annotated[bool | None, Accepts(check.optional(check.flag))]
_Flag = Annotated[bool, Accepts(check.flag)]


class ContextConversation(Options):
    """The conversation that a context comes from, and the messages in it that began it."""

    conversation_id: _Name
    message_ids: _Names = ()


def _conversation(field: str, value: object) -> ContextConversation | None:
    if value is None:
        return None
    if not isinstance(value, ContextConversation | Mapping) and not is_dataclass(value):
        raise InvalidArgument(field, check.shown(value), "a mapping with conversation_id and message_ids, or None")
    try:
        return parse(ContextConversation, value)
    except InvalidArgument as error:
        place = field if error.field == ContextConversation.__name__ else f"{field}.{error.field}"
        raise InvalidArgument(place, error.given, error.accepted) from None


class ContextInput(Options):
    """A context to be made. `purpose` is required; `memory_space_id` is by default the client's.

    A `parent_id` makes it a part of that context. `context_id` is its id, by default a new one: the same context under
    the same id is made once.
    """

    purpose: _Name
    memory_space_id: _OptionalName = None
    parent_id: _OptionalName = None
    user_id: _OptionalName = None
    conversation_ref: Annotated[ContextConversation | None, Accepts(_conversation)] = None
    data: _Data = None
    status: _Status = None
    description: _OptionalText = None
    context_id: _OptionalName = None

    def keywords(self) -> dict[str, Any]:
        """The context as keywords of the typed call `contexts:create`."""
        values = super().keywords()
        if self.conversation_ref is not None:
            reference = self.conversation_ref.keywords()
            values["conversation_ref"] = {to_camel(name): value for name, value in reference.items()}
        return values


class ContextUpdate(Options):
    """What `contexts.update` changes. What is left out stays; `data` is merged key by key."""

    status: _Status = None
    data: _Data = None
    description: _OptionalText = None
    completed_at: Time = None


class ContextFilter(Options):
    """Which contexts: all that is given must fit. `completed_before`: completed, and earlier than that."""

    memory_space_id: _OptionalName = None
    user_id: _OptionalName = None
    status: _Status = None
    parent_id: _OptionalName = None
    root_id: _OptionalName = None
    depth: _Count = None
    completed_before: Time = None


class CreateContextOptions(Options):
    """`sync_to_graph`: the context is to be in the graph."""

    sync_to_graph: _OptionalFlag = None


class UpdateContextOptions(Options):
    """`sync_to_graph`: the change is to be in the graph."""

    sync_to_graph: _OptionalFlag = None


class DeleteContextOptions(Options):
    """What becomes of the children: with `cascade_children` all descendants are deleted, too; with `orphan_children`
    the children become roots. `sync_to_graph`: the graph is to follow."""

    sync_to_graph: _OptionalFlag = None
    cascade_children: _Flag = False
    orphan_children: _Flag = False


# --- what is stored ---------------------------------------------------------------------------------------------------


class ContextVersion(Record):
    """A version of a context, as it was written at `timestamp` by the memory space `updated_by`."""

    version: int
    status: ContextStatus
    data: dict[str, Any] | None = None
    timestamp: float
    updated_by: str
    description: str | None = None
    completed_at: float | None = None


class ContextGrant(Record):
    """Access to a context that a memory space was given."""

    memory_space_id: str
    scope: AccessScope
    granted_at: float


class Context(Record):
    """A context, as its memory space or another one that was granted access sees it.

    `memory_space_id` is the space that owns it. `granted_access` are the grants: for the owner all, for another space
    its own. `previous_versions` are only given by `get`. `context_id` is another name of `id`.
    """

    id: str = Field(validation_alias=AliasChoices("id", "contextId"))
    memory_space_id: str
    purpose: str
    status: ContextStatus
    depth: int
    child_ids: tuple[str, ...]
    participants: tuple[str, ...]
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    created_at: float
    updated_at: float
    version: int
    root_id: str
    parent_id: str | None = None
    user_id: str | None = None
    conversation_ref: ContextConversation | None = None
    description: str | None = None
    completed_at: float | None = None
    previous_versions: tuple[ContextVersion, ...] | None = None
    granted_access: tuple[ContextGrant, ...] | None = None

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def context_id(self) -> str:
        """The same as `id`."""
        return self.id


class ContextWithChain(Record):
    """A context and those around it that the memory space sees.

    `ancestors` begin with the root and end with the parent; `siblings` are the other children of the parent.
    `conversation` and `trigger_messages`, the messages that began it, are there if they were asked for.
    """

    current: Context
    root: Context
    children: tuple[Context, ...]
    siblings: tuple[Context, ...]
    ancestors: tuple[Context, ...]
    depth: int
    parent: Context | None = None
    conversation: Conversation | None = None
    trigger_messages: tuple[Message, ...] | None = None


class ContextList(Record):
    """A part of the contexts of a memory space, in the order in which they were made."""

    contexts: tuple[Context, ...]


class ExportedContext(Context):
    """A context as `iterate` gives it, with what was asked for beside it."""

    ancestors: tuple[Context, ...] | None = None
    versions: tuple[ContextVersion, ...] | None = None
    conversation: Conversation | None = None


class DeletedContext(Record):
    """A context that was deleted with so many descendants. `orphaned_children` have become roots."""

    deleted: bool
    context_id: str
    descendants_deleted: int
    orphaned_children: tuple[str, ...]


class UpdatedContexts(Record):
    """The contexts that were changed, or would be."""

    updated: int
    context_ids: tuple[str, ...]


class DeletedContexts(Record):
    """The contexts that were deleted, or would be, with their descendants."""

    deleted: int
    context_ids: tuple[str, ...]
