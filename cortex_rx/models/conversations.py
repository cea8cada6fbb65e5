"""Conversations: what a caller gives, and what comes back. The names are Cortex's.

>>> given = {"memorySpaceId": "support", "type": "user-agent", "participants": {"userId": "ada"}}
>>> parse(CreateConversationInput, given, metadata={"Channel": "mail"}).keywords()["participants"]
{'userId': 'ada'}
>>> parse(CreateConversationInput, given | {"type": "user-user"})
Traceback (most recent call last):
...
cortex_rx.errors.InvalidArgument: type: got 'user-user'; accepted: 'user-agent' or 'agent-agent'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_args

from cortex_rx import validation as check
from cortex_rx.models.base import Accepts, Options, parse
from cortex_rx.models.options import ConversationType
from cortex_rx.models.records import Conversation, Message, Record
from cortex_rx.models.spelling import to_camel
from cortex_rx.models.store_input import MessageRole, nested

__all__ = [
    "AddMessageInput",
    "AddMessageOptions",
    "ConversationParticipants",
    "ConversationSearchResult",
    "CreateConversationInput",
    "CreateConversationOptions",
    "DeleteConversationOptions",
    "DeletedConversation",
    "DeletedConversations",
    "parse",
]

_Name = Annotated[str, Accepts(check.name)]
_OptionalName = Annotated[str | None, Accepts(check.optional(check.name))]
_Metadata = Annotated[Mapping[str, Any] | None, Accepts(check.optional(check.json_mapping))]
_Flag = Annotated[bool, Accepts(check.flag)]
_OptionalFlag = Annotated[bool | None, Accepts(check.optional(check.flag))]


class ConversationParticipants(Options):
    """Who talks: a user and an agent, or agents."""

    _positions: ClassVar[tuple[str, ...]] = ("user_id", "participant_id", "memory_space_ids")

    user_id: _OptionalName = None
    """The user. A conversation "user-agent" needs one."""
    participant_id: _OptionalName = None
    """The participant of the memory space that talks."""
    memory_space_ids: Annotated[tuple[str, ...] | None, Accepts(check.optional(check.names))] = None
    """The memory spaces whose agents talk. A conversation "agent-agent" needs two, or an `agent_id` and another
    `participant_id`. They are named; they see nothing of it."""
    agent_id: _OptionalName = None
    """The agent."""

    def row(self) -> dict[str, Any]:
        """The participants as an argument of the store."""
        return {to_camel(name): value for name, value in self.keywords().items()}


class CreateConversationInput(Options):
    """A conversation to be made."""

    _positions: ClassVar[tuple[str, ...]] = (
        *("memory_space_id", "type", "participants", "conversation_id", "participant_id", "metadata"),
    )

    memory_space_id: _OptionalName = None
    """By default that of the client."""
    type: Annotated[ConversationType, Accepts(check.one_of(*get_args(ConversationType)))]
    participants: Annotated[ConversationParticipants, nested(ConversationParticipants)]
    """A `ConversationParticipants`, or a mapping of its fields."""
    conversation_id: _OptionalName = None
    """Its id, by default a new one. A conversation with the same id, type, participants and metadata is made once."""
    participant_id: _OptionalName = None
    """Who makes it."""
    metadata: _Metadata = None
    """Anything else, as JSON."""

    def keywords(self) -> dict[str, Any]:
        """The conversation as keywords of a typed call."""
        return {**super().keywords(), "participants": self.participants.row()}


class AddMessageInput(Options):
    """A message to be added to a conversation.

    >>> AddMessageInput("c-1", "user", "Hi!").message("msg-1")
    {'id': 'msg-1', 'role': 'user', 'content': 'Hi!'}
    """

    conversation_id: _Name
    role: Annotated[MessageRole, Accepts(check.one_of(*get_args(MessageRole)))]
    content: Annotated[str, Accepts(check.any_text)]
    participant_id: _OptionalName = None
    """Who says it."""
    metadata: _Metadata = None
    """Anything else, as JSON."""
    id: _OptionalName = None
    """Its id, by default a new one. The same message with the same id is added once."""

    def message(self, new_id: str) -> dict[str, Any]:
        """The message as an argument of the store; `new_id` is its id if it has none."""
        told = {"participantId": self.participant_id, "metadata": self.metadata}
        said = {"id": self.id or new_id, "role": self.role, "content": self.content}
        return said | {name: value for name, value in told.items() if value is not None}


class CreateConversationOptions(Options):
    """How a conversation is made."""

    sync_to_graph: _OptionalFlag = None
    """Whether a graph is to know of it: a store that keeps one always queues it, and one that keeps none warns."""


class AddMessageOptions(Options):
    """How a message is added."""

    sync_to_graph: _OptionalFlag = None
    """As of `CreateConversationOptions`."""


class DeleteConversationOptions(Options):
    """What goes with a conversation."""

    sync_to_graph: _OptionalFlag = None
    """As of `CreateConversationOptions`."""
    delete_memories: _Flag = False
    """Whether its memories are deleted too. Otherwise they stay, without a reference to it."""
    delete_facts: _Flag = False
    """Whether what facts have of it is deleted too. Otherwise they stay, without it as a source."""


class ConversationSearchResult(Record):
    """A conversation (without its other messages) with the messages that have the text of a search.

    `highlights` are the places of the first three, with 30 characters around. `score` is the share of such messages.
    """

    conversation: Conversation
    matched_messages: tuple[Message, ...]
    highlights: tuple[str, ...]
    score: float


class DeletedConversation(Record):
    """What a deletion took: the conversation with its messages, and the memories and facts that were to go too."""

    deleted: bool
    conversation_id: str
    messages_deleted: int
    memories_deleted: int
    facts_deleted: int
    fact_ids: tuple[str, ...]


class DeletedConversations(Record):
    """What a deletion of many conversations took. `deleted` is their number."""

    deleted: int
    total_messages_deleted: int
    conversation_ids: tuple[str, ...]
    memories_deleted: int = 0
    facts_deleted: int = 0
    fact_ids: tuple[str, ...] = ()
