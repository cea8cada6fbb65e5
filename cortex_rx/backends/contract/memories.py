"""The functions `memories:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.pages import PAGED, page_of
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    OFFSET,
    SPACE,
    TEXT,
    TIME,
    AtLeastOne,
    Either,
    Embedding,
    Flag,
    Function,
    Integer,
    Json,
    JsonObject,
    ListOf,
    Needs,
    Nullable,
    Number,
    Object,
    OneOf,
    OnlyWith,
    Optional,
    Table,
    fields,
)

__all__ = ["MEMORY", "MEMORY_FIELDS", "TABLE"]

_HIDDEN = Optional(Flag(), False)

_CONTENT_TYPE = OneOf(("raw", "summarized", "fact"))
_SOURCE_TYPE = OneOf(("conversation", "system", "tool", "a2a", "fact-extraction"))
_ROLE = OneOf(("user", "agent", "system"))
_REFERENCES = fields(
    conversationRef=Optional(Object(fields(conversationId=ID, messageIds=ListOf(ID)), name="ConversationRef")),
    immutableRef=Optional(Object(fields(type=ID, id=ID, version=Optional(COUNT)), name="ImmutableRef")),
    mutableRef=Optional(Object(fields(namespace=ID, key=ID, snapshotValue=Json(), snapshotAt=TIME), name="MutableRef")),
)

MEMORY_FIELDS = (
    *fields(
        memoryId=ID,
        memorySpaceId=ID,
        content=TEXT,
        contentLength=COUNT,
        contentType=_CONTENT_TYPE,
        sourceType=_SOURCE_TYPE,
        sourceUserId=Optional(ID),
        sourceUserName=Optional(TEXT),
        sourceTimestamp=TIME,
        userId=Optional(ID),
        agentId=Optional(ID),
        participantId=Optional(ID),
        messageRole=Optional(_ROLE),
    ),
    *_REFERENCES,
    *fields(
        importance=Number(0, 100),
        tags=ListOf(TEXT),
        version=COUNT,
        embedding=Optional(Embedding()),
        createdAt=TIME,
        updatedAt=TIME,
        accessCount=COUNT,
        isPartial=Flag(),
        isArchived=Optional(Flag()),
        partialMetadata=Optional(
            Object(
                fields(userMessage=TEXT, streamId=ID, streamStartTime=TIME, updates=COUNT),
                name="PartialMetadata",
                meaning="Of a partial memory: its stream, its question, and the number of writes.",
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
    ),
)
MEMORY = Object(
    MEMORY_FIELDS,
    name="Memory",
    meaning="""A memory. `contentLength` is the full length of its content. An answer in chunks has `chunkCount`, and in
the result of `memories:get` also `chunkIds`.""",
)
_NEIGHBOUR = Object(fields(memoryId=ID, distance=COUNT), name="CountedNeighbour")
_WHY = Object(
    fields(
        text=Optional(Number(0, 1)),
        terms=ListOf(
            Object(fields(term=TEXT, share=Number(0, 1), neighbour=Optional(_NEIGHBOUR)), name="TermShare"),
        ),
        pairs=Optional(Number(0, 1)),
        talk=Optional(Object(fields(memoryId=ID, share=Number(0, 1)), name="TalkShare")),
        vector=Optional(
            Object(
                fields(share=Number(0, 1), similarity=Number(0, 1), neighbour=Optional(_NEIGHBOUR)), name="VectorShare"
            )
        ),
    ),
    name="Why",
    meaning="""Why a memory was found. A share says how much of the score comes from it. `text` is the share of all
words: of the `terms` of the query (folded), which it has itself or from a `neighbour`; of the `pairs` of words that
follow each other in both; and of the best memory in the `talk` around it. `vector`: that of the embeddings, with the
cosine `similarity` of its own, and its neighbour if that counts. A `distance` counts positions, or the chunks of an
answer.""",
)
_FOUND = Object(
    (*MEMORY_FIELDS, *fields(_score=Number(0, 1), _why=Optional(_WHY))),
    name="FoundMemory",
    meaning="A memory, its score, and why it was found.",
)

_ONE = fields(memorySpaceId=SPACE, memoryId=ID)
_VERSION = Object(
    fields(
        memoryId=ID,
        version=COUNT,
        content=TEXT,
        contentLength=COUNT,
        embedding=Optional(Embedding()),
        importance=Number(0, 100),
        tags=ListOf(TEXT),
        metadata=Optional(JsonObject()),
        timestamp=TIME,
    ),
    name="MemoryVersion",
    meaning="A memory as it was. `timestamp`: from when on.",
)
_CHANGED = fields(importance=Optional(Number(0, 100)), tags=Optional(ListOf(TEXT)), metadata=Optional(JsonObject()))
_MANY = fields(
    userId=Optional(ID),
    participantId=Optional(ID),
    sourceType=Optional(ID),
    contentType=Optional(ID),
    conversationId=Optional(ID),
    withTags=Optional(ListOf(TEXT)),
    minImportance=Optional(Number()),
    maxImportance=Optional(Number()),
    createdAfter=Optional(TIME),
    createdBefore=Optional(TIME),
)
_NARROWED = AtLeastOne(tuple(field.name for field in _MANY))
_FILTERS = """At least one filter is given. `withTags`: those that have any of these tags. "After" is at this time or
later, "before" is earlier. Archived memories are left out, unless `includeArchived` asks for them, and partial ones."""

TABLE = Table(
    "memories",
    """Filters act before the limit. `list`, `search` and the memories in a mutation's result have at most the first
65,536 code points of a content (and of `partialMetadata.userMessage`); `contentLength` is the full length. "Newest
first" means the order in which the exchanges began, an answer before its question, whatever the clock says. A memory
that was stored alone stands where it was stored.

Partial rows show in `get`, `list`, `search` and `count` only with `includePartial`. An archived memory shows in `get`;
in `list`, `page`, `search`, `around` and `count` only with `includeArchived`.

An answer may be stored in chunks. Each chunk is a memory: its content is a range of the answer, it has its own memoryId
and embedding, and all else is the answer's. `get` finds both. It gives the full answer, with the ids of its chunks.
`list` and `count` leave chunks out, unless `includeChunks` asks for them.""",
    (
        Function(
            "memories:get",
            "query",
            Object(fields(memorySpaceId=SPACE, memoryId=ID, includePartial=_HIDDEN)),
            Nullable(MEMORY),
            """The memory with its full content, or None. An answer in chunks has the ids of its chunks. A chunk is
found by its own id.""",
        ),
        Function(
            "memories:list",
            "query",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    userId=Optional(ID),
                    participantId=Optional(ID),
                    sourceType=Optional(ID),
                    conversationId=Optional(ID),
                    limit=Optional(COUNT, 100),
                    offset=Optional(COUNT, 0),
                    includePartial=_HIDDEN,
                    includeChunks=_HIDDEN,
                    includeArchived=_HIDDEN,
                )
            ),
            ListOf(MEMORY),
            """Memories, newest first, without the first `offset` of them. With `includeChunks` an answer's chunks
follow it, in order. A list costs by its `offset` and `limit`, not by what the memory space holds.""",
        ),
        Function(
            "memories:page",
            "query",
            Object(
                (
                    *fields(
                        memorySpaceId=SPACE,
                        userId=Optional(ID),
                        participantId=Optional(ID),
                        sourceType=Optional(ID),
                        conversationId=Optional(ID),
                        includeArchived=_HIDDEN,
                    ),
                    *PAGED,
                )
            ),
            page_of(MEMORY, "MemoryPage"),
            """The memories of a space, page by page, in the order of `list` from its end on. Chunks and partial rows
are left out. An exchange that ends meanwhile stands where it began: it may be left out, too.""",
            ours=True,
        ),
        Function(
            "memories:search",
            "query",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    query=TEXT,
                    strategy=Optional(OneOf(("auto", "keyword", "semantic")), "auto"),
                    embedding=Optional(Embedding()),
                    embeddingModel=Optional(ID),
                    alpha=Optional(Number(0, 1)),
                    userId=Optional(ID),
                    participantId=Optional(ID),
                    tags=Optional(ListOf(TEXT)),
                    tagMatch=Optional(OneOf(("any", "all")), "any"),
                    sourceType=Optional(ID),
                    contentType=Optional(ID),
                    minImportance=Optional(Number()),
                    conversationId=Optional(ID),
                    createdAfter=Optional(TIME),
                    createdBefore=Optional(TIME),
                    updatedAfter=Optional(TIME),
                    updatedBefore=Optional(TIME),
                    sourceAfter=Optional(TIME),
                    sourceBefore=Optional(TIME),
                    neighbours=Optional(Flag(), True),
                    minScore=Optional(Number(0, 1)),
                    limit=Optional(COUNT, 20),
                    offset=Optional(OFFSET, 0),
                    explain=_HIDDEN,
                    includePartial=_HIDDEN,
                    includeArchived=_HIDDEN,
                ),
                rules=(OnlyWith("embeddingModel", "embedding"), Needs("strategy", "semantic", "embedding")),
            ),
            ListOf(_FOUND),
            """Memories that have words of the query, best first, without the first `offset` of them.

`tags`: only those that have any of the tags, or all with `tagMatch` "all". The times: `created`, `updated`, and
`source` for the time when it was said (`sourceTimestamp`); "after" is at this time or later, "before" is earlier.
`minScore`: only those with at least this score.

Any string is a query. Case and accents of a word do not matter; in a phrase they do, where the language has accents in
its endings (not in English). A word with a sign in it (`don't`, `node.js`) is a
phrase; so are adjacent characters of a script that puts no spaces between words. `C++` and `C#` are words. A memory
that has one of the words is found, once. A rare word counts more than a frequent one, and more in a short memory than
in a long one (BM25). The first 64 different words count. A query without a word finds nothing. What is stored in
another memory space has no influence on what is found, its order and its scores.

With `neighbours` a memory also counts for what is said around it, since a turn is answered by the turns before and
after it: the score takes in that of the best of the nearest memories of its conversation. A memory without any of the
words may be found so. The chunks of an answer stand in its place, and are neighbours of each other by their order.
Memories that are left out by `userId`, and partial ones, are no neighbours; the other filters only narrow what is
returned. `_score` is between 0 and 1: the share of what a perfect match would get. Of equal memories the newest comes
first.

With an `embedding` of the query, the `strategy` "auto" ranks by words and by embeddings: a score is (1 - `alpha`) times
the share of the best score by words, plus `alpha` times the share of the best score by embeddings. "keyword" ranks by
words alone, "semantic" by embeddings alone: the cosine, where less than 0 counts as 0, and the neighbours as above.
Without vectors in the space, or words in the query, "auto" ranks by the other. The embedding must be of the store's
model, else it is an `EmbeddingMismatch`.

With `explain` each row has `_why`.

An answer in chunks is found only through its chunks, each at its own rank. A word or phrase that the end of a chunk
cuts is found in the next chunk.""",
            errors=("EmbeddingMismatch",),
        ),
        Function(
            "memories:around",
            "query",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    memoryIds=ListOf(ID),
                    turns=Optional(COUNT, 1),
                    userId=Optional(ID),
                    includePartial=_HIDDEN,
                    includeArchived=_HIDDEN,
                )
            ),
            ListOf(
                Object(
                    fields(memoryId=ID, before=ListOf(MEMORY), after=ListOf(MEMORY)),
                    name="Surroundings",
                    meaning="What stands around a memory in its conversation, in order.",
                )
            ),
            """For each of the ids, in their order, the memories that stand around it in its conversation: the `turns`
nearest before it and the `turns` nearest after it, each list in the order of the conversation. The memory itself is in
neither. A memory without a conversation has nothing around it. Only memories that pass the filters count; an id whose
memory does not pass them, or that the space does not have, is left out.

An answer in chunks is one turn. Around a chunk are what is around its answer and, nearer than these, the `turns`
nearest chunks of the same answer on each side.""",
            ours=True,
        ),
        Function(
            "memories:count",
            "query",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    userId=Optional(ID),
                    participantId=Optional(ID),
                    sourceType=Optional(ID),
                    includePartial=_HIDDEN,
                    includeChunks=_HIDDEN,
                    includeArchived=_HIDDEN,
                )
            ),
            COUNT,
            """How many memories there are. With `includeChunks`, chunks count beside their answer. The count is kept:
it costs the same however many there are.""",
        ),
        Function(
            "memories:store",
            "mutation",
            Object(
                (
                    *fields(
                        memorySpaceId=SPACE,
                        content=TEXT,
                        contentType=_CONTENT_TYPE,
                        sourceType=_SOURCE_TYPE,
                        importance=Number(0, 100),
                        tags=ListOf(TEXT),
                        memoryId=Optional(ID),
                        sourceUserId=Optional(ID),
                        sourceUserName=Optional(TEXT),
                        sourceTimestamp=Optional(TIME),
                        userId=Optional(ID),
                        agentId=Optional(ID),
                        participantId=Optional(ID),
                        messageRole=Optional(_ROLE),
                    ),
                    *_REFERENCES,
                    *fields(
                        embedding=Optional(Embedding()), embeddingModel=Optional(ID), metadata=Optional(JsonObject())
                    ),
                ),
                rules=(OnlyWith("embeddingModel", "embedding"),),
            ),
            MEMORY,
            """Stores one memory: any text, with what is known of it. It is found like those of exchanges, and follows
in its conversation on what was stored there before. The conversation and the messages that `conversationRef` names need
not be there, and are not made; nor is what `immutableRef` and `mutableRef` name. `sourceTimestamp` is when the text
came into being, by default now. The `embedding`, of the model `embeddingModel`, must be of the store's model, as in
`streams:finalize`.

A `memoryId` of the client's makes the call safe to repeat. Without it a new id is made. The same id with the same
content, owner (userId, agentId, participantId) and conversation is the same memory, and is returned as it is; other
arguments are not compared. Otherwise the id is taken, and it is an `IdempotencyConflict`: by another memory, a chunk,
or an exchange, also by one that has not stored its memory yet.""",
            errors=("IdempotencyConflict", "EmbeddingMismatch"),
            repeated="""With a `memoryId` it gives the stored memory. Without one it stores another memory. After
`deleteMemory` it stores the memory anew.""",
        ),
        Function(
            "memories:deleteMemory",
            "mutation",
            Object(fields(memorySpaceId=SPACE, memoryId=ID, cascadeDeleteFacts=Optional(Flag(), True))),
            Object(fields(deleted=Flag(), memoryId=ID, factsDeleted=OFFSET, factIds=ListOf(ID)), name="DeletedMemory"),
            """Removes the memory, and its words from the index. The messages of its conversation stay as they are. A
text that no message refers to is deleted. With the memory of an answer, also a partial one, or of a question without an
answer, its stream is deleted, with the text of its attempts; its tokens lead to no stream any more. So a pending
exchange is deleted by either of its `memoryIds`, and leaves its conversation as by a rollback.
Chunks are deleted with their answer. To delete a single chunk is an `InvalidArgument` that names the answer.

What facts say of it is removed, also from what was known before: a fact that only this memory says is gone
(`factIds`), one with other sources has what these say. With `cascadeDeleteFacts` false, facts stay as they are, and
still name this memory. What was not extracted yet is not extracted any more.""",
            errors=("MemoryNotFound",),
            repeated="It is `MemoryNotFound`, since the memory is gone: a success for a client that repeats the call.",
        ),
        Function(
            "memories:update",
            "mutation",
            Object(
                (
                    *_ONE,
                    *fields(content=Optional(TEXT), embedding=Optional(Embedding()), embeddingModel=Optional(ID)),
                    *_CHANGED,
                    *fields(expectedVersion=Optional(COUNT), operationId=Optional(ID), retractFacts=_HIDDEN),
                ),
                rules=(
                    OnlyWith("embeddingModel", "embedding"),
                    AtLeastOne(("content", "embedding", "importance", "tags", "metadata")),
                ),
            ),
            MEMORY,
            """Changes a memory. What it was before is kept as a version. `metadata` replaces the former.

A new `content` is found by its own words from now on. It has no embedding but the one that is given, and an answer that
was in chunks is one piece. The message in its conversation stays as it was said. With `retractFacts`, the facts that
come from this memory alone are retracted, others do not name it as a source any more, and nothing is extracted from it
that was not yet. An answer or question that was changed is not
replaced when its stream goes on.

What changes nothing makes no version. With `expectedVersion`, a memory of another version is a
`VersionConflict`, and nothing is changed. An `operationId` is the client's name for the call: a version that was made
with it is not made again. A chunk is changed with its answer.""",
            errors=("MemoryNotFound", "VersionConflict", "EmbeddingMismatch"),
            repeated="""It changes nothing, makes no version, and gives the memory as it is now. With `expectedVersion`
and without an `operationId` it is a `VersionConflict`, since the first call has made the next version.""",
        ),
        Function(
            "memories:updateMany",
            "mutation",
            Object(
                (*fields(memorySpaceId=SPACE), *_MANY, *_CHANGED, *fields(includeArchived=_HIDDEN)),
                rules=(_NARROWED, AtLeastOne(("importance", "tags", "metadata"))),
            ),
            Object(fields(updated=COUNT, memoryIds=ListOf(ID)), name="UpdatedMemories"),
            f"""Changes all memories that pass the filters, as `update` does, all or none. `updated` counts those that
pass, in the order in which they were made. {_FILTERS}""",
            repeated="Those that pass the filters then, which may have changed with the memories.",
        ),
        Function(
            "memories:deleteMany",
            "mutation",
            Object(
                (
                    *fields(memorySpaceId=SPACE),
                    *_MANY,
                    *fields(includeArchived=_HIDDEN, cascadeDeleteFacts=Optional(Flag(), True)),
                ),
                rules=(_NARROWED,),
            ),
            Object(
                fields(deleted=COUNT, memoryIds=ListOf(ID), factsDeleted=COUNT, factIds=ListOf(ID)),
                name="DeletedMemories",
            ),
            f"""Deletes all memories that pass the filters, as `deleteMemory` does, all or none. {_FILTERS}""",
            repeated="Nothing is left to delete.",
        ),
        Function(
            "memories:archive",
            "mutation",
            Object(_ONE),
            Object(fields(archived=Flag(), memoryId=ID, restorable=Flag()), name="ArchivedMemory"),
            """Archives a memory: it is in no list, count, search or neighbourhood any more, unless archived ones are
asked for. It keeps its tags and its importance. The facts that it says stay.""",
            errors=("MemoryNotFound",),
            repeated="The same: the memory stays archived.",
        ),
        Function(
            "memories:restoreFromArchive",
            "mutation",
            Object(_ONE),
            Object(fields(restored=Flag(), memoryId=ID, memory=MEMORY), name="RestoredMemory"),
            """Brings an archived memory back, as it was.""",
            errors=("MemoryNotFound", "MemoryNotArchived"),
            repeated="It is `MemoryNotArchived`: a success for a client that repeats the call.",
        ),
        Function(
            "memories:getVersion",
            "query",
            Object((*_ONE, *fields(version=COUNT))),
            Nullable(_VERSION),
            """The memory as it was in a version, with its full content; None if it has no such version.""",
        ),
        Function(
            "memories:getHistory",
            "query",
            Object(_ONE),
            ListOf(_VERSION),
            """All versions of the memory, the current one last, each with at most the first 65,536 code points of its
content. Nothing, if the memory space has no memory with this id.""",
        ),
        Function(
            "memories:getAtTimestamp",
            "query",
            Object((*_ONE, *fields(timestamp=TIME))),
            Nullable(_VERSION),
            """The version that was there at a time, with its full content; None before the memory was made.""",
        ),
        Function(
            "memories:exportMemories",
            "query",
            Object(
                (
                    *fields(
                        memorySpaceId=SPACE,
                        format=OneOf(("json", "csv")),
                        userId=Optional(ID),
                        includeEmbeddings=_HIDDEN,
                        includeFacts=_HIDDEN,
                        includeArchived=_HIDDEN,
                    ),
                )
            ),
            Object(fields(format=OneOf(("json", "csv")), data=TEXT, count=COUNT, exportedAt=TIME), name="MemoryExport"),
            """The memories in the order in which they were made, with their full content, as a text: a JSON array, or
CSV as RFC 4180 has it, with a header, lists as JSON, and an apostrophe before a text that a spreadsheet would take for
a formula. With `includeFacts`, each has the facts that come from it.""",
        ),
        Function(
            "memories:forget",
            "mutation",
            Object(
                fields(
                    memorySpaceId=SPACE, memoryId=Optional(ID), messageId=Optional(ID), erase=Optional(Flag(), False)
                ),
                rules=(Either("memoryId", "messageId"),),
            ),
            Object(
                fields(
                    memoryDeleted=Flag(),
                    conversationDeleted=Flag(),
                    messagesDeleted=OFFSET,
                    factsDeleted=OFFSET,
                    factIds=ListOf(ID),
                    restorable=Flag(),
                ),
                name="Forgotten",
                meaning="""What was forgotten. `factIds` are the facts that hold no more, or are gone. `restorable`:
the messages are still there.""",
            ),
            """Forgets a memory, or what is remembered of a message: the memory of its exchange, and those that were
stored alone and name no other message. One that names others too stays, without this one.

The memories are deleted as by `deleteMemory`. A fact that comes from them alone is retracted. So it is in no list, and
`knownAt` still finds it. The message stays in its conversation.

With `erase`, the message of the exchange is deleted too, and its stream: a late writer gets `StreamNotFound`, and
what was not extracted yet of the exchange is not extracted any more. Later messages move up, and a conversation without
messages is deleted. Statements that came from the memory or the message are removed, as if they had never been said,
also from `knownAt`. A fact with other sources has what these say, with their confidence, unless `facts:update` or
`facts:consolidate` has set one. An exchange that has not ended is erased whole. Erasing also takes what is left of a
memory that was deleted before.""",
            errors=("MemoryNotFound",),
            repeated="It is `MemoryNotFound`, since nothing is left: a success for a client that repeats the call.",
        ),
        Function(
            "memories:reembed",
            "mutation",
            Object(fields(model=ID, dimension=Integer(1))),
            Object(
                fields(missing=COUNT, current=Flag(), done=Flag()),
                name="Reembedding",
                meaning="""How far a store is moved. `missing`: how many memories and chunks have an embedding of the
store's model, and none of the new one. `current`: whether the new one is the store's model. `done`: also that no old
embedding is left.""",
            ),
            """Moves the whole store, all memory spaces, to another embedding model. The first call begins: from then
on, embeddings of both models are taken, and searches use those of the old one. A call after which nothing is missing
makes the model the store's own, at once; embeddings of any other are then an `EmbeddingMismatch`. Each further call
deletes some old embeddings. A store without embeddings gets the model at once. To begin with a third model gives up the
move to the second. To move to the store's own model gives up a move.""",
            repeated="It goes on.",
            ours=True,
        ),
        Function(
            "memories:unembedded",
            "query",
            Object(fields(model=ID, after=Optional(COUNT), limit=Optional(COUNT, 100))),
            Object(
                fields(
                    memories=ListOf(
                        Object(
                            fields(memorySpaceId=ID, memoryId=ID, content=TEXT, updatedAt=TIME),
                            name="Unembedded",
                            meaning="A text without an embedding.",
                        )
                    ),
                    next=Optional(COUNT),
                    left=Optional(COUNT),
                ),
                name="UnembeddedPage",
                meaning="`next` is the `after` of the next page. `left`: how many there are, in the first page alone.",
            ),
            """The memories and chunks of all memory spaces that have no embedding of a model, with their full content,
in the order in which they were stored. Partial rows and empty texts are left out. A page has at most `limit` of them,
and ends after about a million code points. After the last one a page is empty.""",
            ours=True,
        ),
        Function(
            "memories:embed",
            "mutation",
            Object(
                fields(
                    model=ID,
                    vectors=ListOf(
                        Object(
                            fields(memorySpaceId=SPACE, memoryId=ID, updatedAt=TIME, embedding=Optional(Embedding())),
                            name="Vector",
                        )
                    ),
                )
            ),
            Object(fields(stored=COUNT), name="EmbeddedMemories", meaning="How many embeddings were stored."),
            """Stores embeddings of memories and chunks, of the model of `memories:reembed`. `updatedAt` is that of
`memories:unembedded`: a memory that has changed since, or is gone, is passed over. Without an `embedding` the memory
shall have none, and loses the one that it has.""",
            errors=("EmbeddingMismatch",),
            repeated="The same embeddings are stored.",
            ours=True,
        ),
    ),
)
