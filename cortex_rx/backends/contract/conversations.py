"""The functions `conversations:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.types import (
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
_LISTED = Object(_CONVERSATION, name="Conversation", meaning="A conversation, without its messages.")
_WHOLE = Object((*_CONVERSATION, *fields(messages=ListOf(_MESSAGE))), name="ConversationWithMessages")

TABLE = Table(
    "conversations",
    """Filters act before the limit. Messages have their full content. A conversation exists from the first
`streams:finalize` or `streams:close` on. Its participants are those of its first stream; later streams add what is
missing.""",
    (
        Function(
            "conversations:get",
            "query",
            Object(fields(memorySpaceId=SPACE, conversationId=ID)),
            Nullable(_WHOLE),
            """The conversation with all its messages, or None.""",
        ),
        Function(
            "conversations:list",
            "query",
            Object(fields(memorySpaceId=SPACE, userId=Optional(ID), type=Optional(_TYPE), limit=Optional(COUNT, 100))),
            ListOf(_LISTED),
            """Conversations without their messages, newest first.""",
        ),
        Function(
            "conversations:count",
            "query",
            Object(fields(memorySpaceId=SPACE, userId=Optional(ID), type=Optional(_TYPE))),
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
                    sortOrder=Optional(OneOf(("asc", "desc")), "asc"),
                )
            ),
            Object(fields(messages=ListOf(_MESSAGE), total=COUNT, hasMore=Flag(), conversationId=ID), name="History"),
            """A page of the messages; `offset` counts in the requested order.""",
            errors=("ConversationNotFound",),
        ),
    ),
)
