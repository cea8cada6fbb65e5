"""The functions `conversations:*`."""

from __future__ import annotations

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
    Object,
    OneOf,
    Optional,
    Table,
    fields,
)

__all__ = ["TABLE"]

_TYPE = OneOf(("user-agent", "agent-agent"))
_CONVERSATION = fields(
    conversationId=ID,
    memorySpaceId=ID,
    type=_TYPE,
    participants=Object(
        fields(userId=Optional(ID), agentId=Optional(ID), participantId=Optional(ID)), name="Participants"
    ),
    messageCount=COUNT,
    createdAt=TIME,
    updatedAt=TIME,
)
_MESSAGE = Object(
    fields(
        id=ID,
        role=OneOf(("user", "agent")),
        content=TEXT,
        timestamp=TIME,
        participantId=Optional(ID),
        metadata=Optional(JsonObject()),
    ),
    name="Message",
    meaning="One message with its full content.",
)
_FILTERS = fields(
    memorySpaceId=SPACE, userId=Optional(ID), type=Optional(_TYPE), includePending=Optional(Flag(), False)
)
_LISTED = Object(_CONVERSATION, name="Conversation", meaning="A conversation, without its messages.")
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
    (*_CONVERSATION, *fields(messages=ListOf(_MESSAGE), pending=ListOf(_PENDING))), name="ConversationWithMessages"
)

TABLE = Table(
    "conversations",
    """Filters act before the limit. Messages have their full content. A conversation exists from the first
`streams:begin` on, as long as it has a message or an open stream. Its participants are those of its first stream; later
streams add what is missing.

Exchanges stand in the order in which they were begun, whenever they end. `messages`, `messageCount` and `total` are of
those that have ended, with an answer or without one; the others are `pending`. A conversation that has only pending
exchanges shows in `get`, and in `list` and `count` only with `includePending`.""",
    (
        Function(
            "conversations:get",
            "query",
            Object(fields(memorySpaceId=SPACE, conversationId=ID)),
            Nullable(_WHOLE),
            """The conversation with all its messages and its pending exchanges, or None.""",
        ),
        Function(
            "conversations:list",
            "query",
            Object((*_FILTERS, *fields(limit=Optional(COUNT, 100)))),
            ListOf(_LISTED),
            """Conversations without their messages, newest first.""",
        ),
        Function(
            "conversations:count",
            "query",
            Object(_FILTERS),
            COUNT,
            """How many conversations there are.""",
        ),
        Function(
            "conversations:getHistory",
            "query",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    conversationId=ID,
                    limit=Optional(COUNT, 50),
                    offset=Optional(OFFSET, 0),
                    after=Optional(ID),
                    sortOrder=Optional(OneOf(("asc", "desc")), "asc"),
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
    ),
)
