"""The functions `conversations:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.pages import LISTED, PAGED, page_of
from cortex_rx.backends.contract.streams import EXCHANGE_IDS, LAST_ERROR, LEASED
from cortex_rx.backends.contract.types import (
    ATTEMPT,
    COUNT,
    ID,
    OFFSET,
    SPACE,
    TEXT,
    TIME,
    Flag,
    Function,
    JsonObject,
    ListOf,
    Nullable,
    Number,
    Object,
    OneOf,
    Optional,
    Table,
    fields,
)

__all__ = ["CONVERSATION_FIELDS", "TABLE"]

_TYPE = OneOf(("user-agent", "agent-agent"))
_ROLE = OneOf(("user", "agent", "system"))
_PARTICIPANTS = Object(
    fields(userId=Optional(ID), agentId=Optional(ID), participantId=Optional(ID), memorySpaceIds=Optional(ListOf(ID))),
    name="Participants",
)
_TOLD = fields(participantId=Optional(ID), metadata=Optional(JsonObject()))
CONVERSATION_FIELDS = (
    *fields(
        conversationId=ID,
        memorySpaceId=ID,
        type=_TYPE,
        participants=_PARTICIPANTS,
        messageCount=COUNT,
        createdAt=TIME,
        updatedAt=TIME,
    ),
    *_TOLD,
)
_SAID = fields(id=ID, role=_ROLE, content=TEXT)
_SAID_BY = fields(participantId=Optional(ID), metadata=Optional(JsonObject()))
_MESSAGE = Object(
    (*_SAID, *fields(timestamp=TIME), *_SAID_BY), name="Message", meaning="One message with its full content."
)
_NEW_MESSAGE = Object((*_SAID, *_SAID_BY), name="NewMessage")
_OF_TYPE = fields(userId=Optional(ID), type=Optional(_TYPE))
_FILTERS = (*fields(memorySpaceId=SPACE), *_OF_TYPE, *fields(includePending=Optional(Flag(), False)))
_BETWEEN = fields(dateStart=Optional(TIME), dateEnd=Optional(TIME))
_CHOSEN = (*_BETWEEN, *fields(conversationIds=Optional(ListOf(ID))))
_ONE = fields(memorySpaceId=SPACE, conversationId=ID)
_LISTED = Object(CONVERSATION_FIELDS, name="Conversation", meaning="A conversation, without its messages.")
_PENDING = Object(
    (
        *fields(streamId=ID, memoryId=ID),
        *EXCHANGE_IDS,
        *fields(
            state=OneOf(("streaming", "interrupted")),
            attempt=ATTEMPT,
            length=COUNT,
            userMessage=TEXT,
            createdAt=TIME,
            updatedAt=TIME,
            position=COUNT,
        ),
        *LEASED,
        *LAST_ERROR,
    ),
    name="PendingExchange",
    meaning="""An exchange that has not ended: `length` code points of `attempt` are stored. It is "streaming" while its
writer's lease runs. `userMessage` has its first 65,536 code points. `position` is the number of messages that stand
before the exchange. The question of one that was closed before is the message at this position.""",
)
_WHOLE = Object(
    (*CONVERSATION_FIELDS, *fields(messages=ListOf(_MESSAGE), pending=ListOf(_PENDING))),
    name="ConversationWithMessages",
)
_FOUND = Object(
    fields(conversation=_LISTED, matchedMessages=ListOf(_MESSAGE), highlights=ListOf(TEXT), score=Number(0, 1)),
    name="FoundConversation",
    meaning="""A conversation with the messages that have the text of a search. `score` is their share of all its
messages.""",
)
_NEW = (
    *fields(memorySpaceId=SPACE, type=_TYPE, participants=_PARTICIPANTS),
    *_TOLD,
)
_ALSO = fields(deleteMemories=Optional(Flag(), False), deleteFacts=Optional(Flag(), False))
_GONE = fields(memoriesDeleted=COUNT, factsDeleted=COUNT, factIds=ListOf(ID))
_FORMAT = OneOf(("json", "csv"))

TABLE = Table(
    "conversations",
    """Filters act before the limit. Messages have their full content. A conversation that a stream has made exists from
the first `streams:begin` on, as long as it has a message or an open stream; its participants are those of its first
stream. One that a call has made stays until it is deleted, with the participants that it was given. Later streams add
what is missing.

A conversation "user-agent" has a `userId`. One "agent-agent" has at least two `memorySpaceIds`, or else an `agentId`
and another `participantId`. It is in the memory space that its calls name, and in no other: that it names spaces lets
none of them in.

Exchanges stand in the order in which they were begun, whenever they end; a message that was added stands behind those
that were begun before. `messages`, `messageCount` and `total` are of those that have ended, with an answer or without
one; the others are `pending`. A conversation that a stream has made, and that has only pending exchanges, shows in
`get`, and in `list`, `page` and `count` only with `includePending`.

Where a conversation is not found and the two ids stand swapped, it is an `InvalidArgument` that says so: the memory
space `conversationId` has a conversation `memorySpaceId`.""",
    (
        Function(
            "conversations:create",
            "mutation",
            Object((*fields(conversationId=ID), *_NEW)),
            _WHOLE,
            """Makes a conversation.""",
            errors=("ConversationExists", "InvalidParticipants"),
            repeated="""It gives the conversation as it is now. With other participants, another type or other metadata
it is a `ConversationExists`.""",
        ),
        Function(
            "conversations:getOrCreate",
            "mutation",
            Object((*fields(conversationId=Optional(ID)), *_NEW)),
            _WHOLE,
            """The oldest conversation of this type of the user, or of the same set of memory spaces or agents; else it
makes one, with this `conversationId` or one of the store's own. Of one that is found, nothing
changes, but that one which a stream has made stays from now on, as that of its user.""",
            errors=("ConversationExists", "InvalidParticipants"),
            repeated="It finds the conversation.",
        ),
        Function(
            "conversations:addMessage",
            "mutation",
            Object((*_ONE, *fields(message=_NEW_MESSAGE, includeMessages=Optional(Flag(), True)))),
            _WHOLE,
            """Adds a message behind all that was begun before. The client makes its id. Without `includeMessages`, the
conversation is given with this message alone.""",
            errors=("ConversationNotFound", "IdempotencyConflict"),
            repeated="""It gives the conversation, and adds nothing. The same id with another content, role, participant
or other metadata is an `IdempotencyConflict`, and so is the id of an exchange's message.""",
        ),
        Function(
            "conversations:deleteConversation",
            "mutation",
            Object((*_ONE, *_ALSO)),
            Object(
                (*fields(deleted=Flag(), conversationId=ID, messagesDeleted=COUNT), *_GONE), name="DeletedConversation"
            ),
            """Deletes a conversation with its messages. A stream of it that has not ended is rolled back; while its
writer's lease runs, the call is refused. Streams that have ended are deleted.

Its memories and what facts have of it stay, unless `deleteMemories` and `deleteFacts` say otherwise. They do not name
what is gone then: a memory and a context have no `conversationRef`, and a source of a fact neither the conversation nor
its messages, nor a memory that was deleted. A fact that has other sources stays with those. How sure a fact is stays as
it is.""",
            errors=("ConversationNotFound", "StillOwned"),
            repeated="It is a `ConversationNotFound`, which then means success.",
        ),
        Function(
            "conversations:deleteMany",
            "mutation",
            Object((*fields(memorySpaceId=SPACE), *_OF_TYPE, *_ALSO)),
            Object(
                (
                    *fields(deleted=COUNT, totalMessagesDeleted=COUNT, conversationIds=ListOf(ID), hasMore=Flag()),
                    *_GONE,
                ),
                name="DeletedConversations",
            ),
            """Deletes the conversations of a user or type, or all of the memory space, as `deleteConversation` does;
also those that have only pending exchanges. The oldest go first. After the one with which 10,000 messages or 1,000
conversations are gone it ends, and `hasMore` says that there are more. If the writer's lease of a stream of one of them
runs, nothing is deleted.""",
            errors=("StillOwned",),
            repeated="It deletes those that are there by then, mostly none.",
        ),
        Function(
            "conversations:get",
            "query",
            Object(_ONE),
            Nullable(_WHOLE),
            """The conversation with all its messages and its pending exchanges, or None.""",
        ),
        Function(
            "conversations:getMessage",
            "query",
            Object((*_ONE, *fields(messageId=ID))),
            Nullable(_MESSAGE),
            """The message with this id of the conversation, or None.""",
        ),
        Function(
            "conversations:getMessagesByIds",
            "query",
            Object((*_ONE, *fields(messageIds=ListOf(ID)))),
            ListOf(_MESSAGE),
            """The messages with these ids that the conversation has, each once, in its order.""",
        ),
        Function(
            "conversations:findConversation",
            "query",
            Object(
                (
                    *fields(memorySpaceId=SPACE, type=_TYPE, userId=Optional(ID), memorySpaceIds=Optional(ListOf(ID))),
                    *fields(agentId=Optional(ID), participantId=Optional(ID)),
                )
            ),
            Nullable(_WHOLE),
            """The conversation that `getOrCreate` would find, or None; also if what it is found by is not given.""",
        ),
        Function(
            "conversations:list",
            "query",
            Object((*_FILTERS, *LISTED)),
            ListOf(_LISTED),
            """Conversations without their messages, newest first.""",
        ),
        Function(
            "conversations:page",
            "query",
            Object((*_FILTERS, *_CHOSEN, *PAGED)),
            page_of(_LISTED, "ConversationPage"),
            """Conversations without their messages, oldest first. `dateStart` and `dateEnd` are times of `createdAt`,
both included. Of `conversationIds`, those that are there.""",
            ours=True,
        ),
        Function(
            "conversations:count",
            "query",
            Object(_FILTERS),
            COUNT,
            """How many conversations there are. The number is kept: counting does not take longer the more there
are.""",
        ),
        Function(
            "conversations:getHistory",
            "query",
            Object(
                (
                    *_ONE,
                    *fields(
                        limit=Optional(COUNT, 50),
                        offset=Optional(OFFSET, 0),
                        after=Optional(ID),
                        sortOrder=Optional(OneOf(("asc", "desc")), "asc"),
                    ),
                )
            ),
            Object(
                fields(
                    messages=ListOf(_MESSAGE),
                    pending=ListOf(_PENDING),
                    total=COUNT,
                    hasMore=Flag(),
                    conversationId=ID,
                ),
                name="History",
            ),
            """A page of the messages. It begins with the first one, or with the one that follows the message with the
id `after`; `offset` more are left out. Both count in the requested order. With `after`, pages fit together whatever
ends in between. An id that is no message of the conversation is an `InvalidArgument`.

`pending` are the pending exchanges whose position is in the page, in the requested order; those behind the last message
are in the page that has it.""",
            errors=("ConversationNotFound",),
        ),
        Function(
            "conversations:search",
            "query",
            Object((*fields(memorySpaceId=SPACE, query=ID), *_OF_TYPE, *_BETWEEN, *fields(limit=Optional(COUNT, 10)))),
            ListOf(_FOUND),
            """Conversations with messages that have this text, in small or capital letters: those first in which most
messages have it, of equal ones the newest. `highlights` are the places of the first three such messages, each where the
text first is, with 30 characters before and behind. Messages have at most their first 65,536 code points.""",
        ),
        Function(
            "conversations:exportConversations",
            "query",
            Object(
                (
                    *fields(memorySpaceId=SPACE),
                    *_OF_TYPE,
                    *_CHOSEN,
                    *fields(format=_FORMAT, includeMetadata=Optional(Flag(), True)),
                )
            ),
            Object(fields(format=_FORMAT, data=TEXT, count=COUNT, exportedAt=TIME), name="ConversationExport"),
            """Conversations as a text, in the order of `page`. As JSON they have their messages; as CSV (RFC 4180)
their number alone.""",
        ),
    ),
)
