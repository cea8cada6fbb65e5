"""The functions `memories:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    OFFSET,
    SPACE,
    TEXT,
    TIME,
    Embedding,
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

__all__ = ["MEMORY", "MEMORY_FIELDS", "TABLE"]

_HIDDEN = Optional(Flag(), False)

MEMORY_FIELDS = fields(
    memoryId=ID,
    memorySpaceId=ID,
    content=TEXT,
    contentLength=COUNT,
    contentType=OneOf(("raw", "summarized")),
    sourceType=OneOf(("conversation",)),
    sourceUserId=Optional(ID),
    sourceUserName=Optional(TEXT),
    sourceTimestamp=TIME,
    userId=Optional(ID),
    agentId=Optional(ID),
    participantId=Optional(ID),
    messageRole=OneOf(("user", "agent")),
    conversationRef=Object(fields(conversationId=ID, messageIds=ListOf(ID)), name="ConversationRef"),
    importance=Number(0, 100),
    tags=ListOf(TEXT),
    version=COUNT,
    embedding=Optional(Embedding()),
    createdAt=TIME,
    updatedAt=TIME,
    accessCount=COUNT,
    isPartial=Flag(),
    partialMetadata=Optional(
        Object(
            fields(userMessage=TEXT, streamId=ID, streamStartTime=TIME, updates=COUNT),
            name="PartialMetadata",
            meaning="Of a partial memory: whose it is, and how many writes there were.",
        )
    ),
    metadata=Optional(JsonObject()),
    chunkCount=Optional(COUNT),
    chunkIds=Optional(ListOf(ID)),
    chunkMetadata=Optional(
        Object(
            fields(
                parentMemoryId=ID,
                chunkIndex=COUNT,
                totalChunks=COUNT,
                startOffset=OFFSET,
                endOffset=OFFSET,
                hasOverlap=Flag(),
            ),
            name="ChunkMetadata",
            meaning="Of a chunk: which part of which answer it is.",
        )
    ),
)
MEMORY = Object(
    MEMORY_FIELDS,
    name="Memory",
    meaning="""A memory. `contentLength` is the true length of its content. `chunkCount` is there of an answer in chunks, and `chunkIds`
as well in what `memories:get` gives.""",
)
_FOUND = Object(
    (*MEMORY_FIELDS, *fields(_score=Number(0, 1))), name="FoundMemory", meaning="A memory, and how well it fits."
)

TABLE = Table(
    "memories",
    """Filters act before the limit. `list`, `search` and the memories in the result of a mutation give at most the first 65,536 code
points of a content (and of `partialMetadata.userMessage`); `contentLength` is the true length. "Newest first" is the order
in which the exchanges began, an answer before its question, whatever the clock says.

Partial rows show in `get`, `list`, `search` and `count` only with `includePartial`.

An answer may be stored in chunks, each a memory of its own: its content is a range of the answer, it has a memoryId and an
embedding of its own, all else is the answer's. `get` gives both, the answer whole and with the ids of its chunks. `list` and `count` leave
chunks out, unless `includeChunks` asks for them.""",
    (
        Function(
            "memories:get",
            "query",
            Object(fields(memorySpaceId=SPACE, memoryId=ID, includePartial=_HIDDEN)),
            Nullable(MEMORY),
            """The memory, its content whole, or None. Of an answer in chunks it has the ids of these; a chunk is given by its own id.""",
        ),
        Function(
            "memories:list",
            "query",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    userId=Optional(ID),
                    sourceType=Optional(ID),
                    conversationId=Optional(ID),
                    limit=Optional(COUNT, 100),
                    includePartial=_HIDDEN,
                    includeChunks=_HIDDEN,
                )
            ),
            ListOf(MEMORY),
            """Memories, newest first. With `includeChunks` the chunks of an answer follow it, in order.""",
        ),
        Function(
            "memories:search",
            "query",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    query=TEXT,
                    userId=Optional(ID),
                    tags=Optional(ListOf(TEXT)),
                    sourceType=Optional(ID),
                    minImportance=Optional(Number()),
                    limit=Optional(COUNT, 20),
                    includePartial=_HIDDEN,
                )
            ),
            ListOf(_FOUND),
            """Memories that have words of the query, best first; with `tags` those that have any of them.

Any string is a query. A word is found whatever its case and accents; a word with a sign in it (`don't`, `node.js`), and
adjacent characters of a script that puts no spaces between words, are phrases; `C++` and `C#` are words. A memory is found if it has one
of the words, is given once, and one with more of them comes first; `_score` is between 0 and 1. The first 64 different
words count. A query without a word finds nothing. What is found, its order and its scores depend on nothing that is
stored in another memory space.

An answer in chunks is found through them, each at its own rank, and not besides; a word or phrase that the end of a chunk cuts is
found in the next one.""",
        ),
        Function(
            "memories:count",
            "query",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    userId=Optional(ID),
                    sourceType=Optional(ID),
                    includePartial=_HIDDEN,
                    includeChunks=_HIDDEN,
                )
            ),
            COUNT,
            """How many memories there are. Chunks count beside their answer, with `includeChunks`.""",
        ),
        Function(
            "memories:deleteMemory",
            "mutation",
            Object(fields(memorySpaceId=SPACE, memoryId=ID)),
            Object(fields(deleted=Flag(), memoryId=ID), name="DeletedMemory"),
            """Removes the memory and its words from the index. The messages of its conversation stay as they were; a text that no message
refers to is deleted. With the memory of an answer, also a partial one, or of a question without an answer, its stream is
deleted, and what its attempts wrote; its tokens lead nowhere. Chunks are deleted with their answer; to delete one is an
`InvalidArgument`, which names the answer.""",
            errors=("MemoryNotFound",),
            repeated="It is `MemoryNotFound`, since a memory that is deleted is not found; to a client that repeats it, that is a success.",
        ),
    ),
)
