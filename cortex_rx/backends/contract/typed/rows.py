"""What the functions of a backend return.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

__all__ = [
    "Agent",
    "AgentPage",
    "AgentStatistics",
    "Appended",
    "ArchivedMemory",
    "BegunStream",
    "ChunkMetadata",
    "ClearedSpace",
    "CommittedFact",
    "CommittedFacts",
    "Consolidation",
    "Context",
    "ContextChain",
    "ContextChanges",
    "ContextConversation",
    "ContextExport",
    "ContextGrant",
    "ContextPage",
    "ContextVersion",
    "Conversation",
    "ConversationExport",
    "ConversationPage",
    "ConversationRef",
    "ConversationWithMessages",
    "CountedNeighbour",
    "DeadLetter",
    "DeletedContext",
    "DeletedContexts",
    "DeletedConversation",
    "DeletedConversations",
    "DeletedKey",
    "DeletedMemories",
    "DeletedMemory",
    "DeletedSpace",
    "DeletedUser",
    "DeletedUsers",
    "EarlierVersion",
    "EmbeddedMemories",
    "ExportedContext",
    "Extraction",
    "Fact",
    "FactDecision",
    "FactExport",
    "FactPage",
    "FactProgress",
    "FactRevision",
    "FactSource",
    "FailedItems",
    "Forgotten",
    "FoundConversation",
    "FoundEntry",
    "FoundFact",
    "FoundMemory",
    "GivenUpWindow",
    "GraphAgent",
    "GraphContext",
    "GraphConversation",
    "GraphFact",
    "GraphImmutable",
    "GraphMemory",
    "GraphMemorySpace",
    "GraphMutable",
    "GraphMutableRef",
    "GraphRecord",
    "GraphSettings",
    "GraphUser",
    "History",
    "ImmutableKey",
    "ImmutablePage",
    "ImmutableRecord",
    "ImmutableRef",
    "ImmutableRow",
    "ImmutableVersion",
    "InterruptedStream",
    "IssuedToken",
    "Lease",
    "ListedStream",
    "Memory",
    "MemoryExport",
    "MemoryPage",
    "MemorySpacePage",
    "MemorySpaceRow",
    "MemorySpaceStats",
    "MemoryVersion",
    "Message",
    "MutableEntry",
    "MutableOperation",
    "MutableOutcome",
    "MutablePage",
    "MutableRead",
    "MutableRef",
    "MutableTransaction",
    "NewFact",
    "NewMessage",
    "NewParticipant",
    "OutboxItem",
    "OutboxLease",
    "OutboxRecord",
    "OutboxStats",
    "PartialMetadata",
    "ParticipantStats",
    "Participants",
    "PendingExchange",
    "PurgedEntries",
    "PurgedEntry",
    "PurgedKeys",
    "PurgedNamespace",
    "PurgedVersions",
    "QueuedWindow",
    "Range",
    "RecordKey",
    "Reembedding",
    "ReleasedOutbox",
    "RestoredMemory",
    "RetractedFact",
    "RetriedItems",
    "RolledBackStream",
    "SeenOutboxItem",
    "SimilarFact",
    "SpaceImportance",
    "SpaceParticipant",
    "SpaceStorage",
    "StopRequest",
    "StoredConversation",
    "StoredExchange",
    "StoredTurn",
    "Stream",
    "StreamPage",
    "Surroundings",
    "SyncedItems",
    "TakenStream",
    "TalkShare",
    "TermShare",
    "Unembedded",
    "UnembeddedPage",
    "UnregisteredAgent",
    "UnregisteredAgents",
    "UpdatedContexts",
    "UpdatedMemories",
    "UpdatedUsers",
    "UserPage",
    "UserProfile",
    "UserVersion",
    "Vector",
    "VectorShare",
    "Why",
]


class ConversationRef(TypedDict):
    conversationId: str
    messageIds: list[str]


class ImmutableRef(TypedDict):
    type: str
    id: str
    version: NotRequired[int]


class MutableRef(TypedDict):
    namespace: str
    key: str
    snapshotValue: Any
    snapshotAt: int


class PartialMetadata(TypedDict):
    """Of a partial memory: its stream, its question, and the number of writes."""

    userMessage: str
    streamId: str
    streamStartTime: int
    updates: int


class ChunkMetadata(TypedDict):
    """Of a chunk: which part of which answer it is."""

    parentMemoryId: str
    chunkIndex: int
    totalChunks: int
    startOffset: int
    endOffset: int
    hasOverlap: bool


class Memory(TypedDict):
    """A memory. `contentLength` is the full length of its content. An answer in chunks has `chunkCount`, and in the
    result of `memories:get` also `chunkIds`.
    """

    memoryId: str
    memorySpaceId: str
    content: str
    contentLength: int
    contentType: Literal["raw", "summarized", "fact"]
    sourceType: Literal["conversation", "system", "tool", "a2a", "fact-extraction"]
    sourceUserId: NotRequired[str]
    sourceUserName: NotRequired[str]
    sourceTimestamp: int
    userId: NotRequired[str]
    agentId: NotRequired[str]
    participantId: NotRequired[str]
    messageRole: NotRequired[Literal["user", "agent", "system"]]
    conversationRef: NotRequired[ConversationRef]
    immutableRef: NotRequired[ImmutableRef]
    mutableRef: NotRequired[MutableRef]
    importance: float
    tags: list[str]
    version: int
    embedding: NotRequired[list[float]]
    createdAt: int
    updatedAt: int
    accessCount: int
    isPartial: bool
    isArchived: NotRequired[bool]
    partialMetadata: NotRequired[PartialMetadata]
    metadata: NotRequired[dict[str, Any]]
    chunkCount: NotRequired[int]
    chunkIds: NotRequired[list[str]]
    chunkMetadata: NotRequired[ChunkMetadata]


class MemoryPage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[Memory]
    cursor: NotRequired[str]


class CountedNeighbour(TypedDict):
    memoryId: str
    distance: int


class TermShare(TypedDict):
    term: str
    share: float
    neighbour: NotRequired[CountedNeighbour]


class TalkShare(TypedDict):
    memoryId: str
    share: float


class VectorShare(TypedDict):
    share: float
    similarity: float
    neighbour: NotRequired[CountedNeighbour]


class Why(TypedDict):
    """Why a memory was found. A share says how much of the score comes from it. `text` is the share of all words: of
    the `terms` of the query (folded), which it has itself or from a `neighbour`; of the `pairs` of words that follow
    each other in both; and of the best memory in the `talk` around it. `vector`: that of the embeddings, with the
    cosine `similarity` of its own, and its neighbour if that counts. A `distance` counts positions, or the chunks of an
    answer.
    """

    text: NotRequired[float]
    terms: list[TermShare]
    pairs: NotRequired[float]
    talk: NotRequired[TalkShare]
    vector: NotRequired[VectorShare]


class FoundMemory(Memory):
    """A memory, its score, and why it was found."""

    _score: float
    _why: NotRequired[Why]


class Surroundings(TypedDict):
    """What stands around a memory in its conversation, in order."""

    memoryId: str
    before: list[Memory]
    after: list[Memory]


class DeletedMemory(TypedDict):
    deleted: bool
    memoryId: str
    factsDeleted: int
    factIds: list[str]


class UpdatedMemories(TypedDict):
    updated: int
    memoryIds: list[str]


class DeletedMemories(TypedDict):
    deleted: int
    memoryIds: list[str]
    factsDeleted: int
    factIds: list[str]


class ArchivedMemory(TypedDict):
    archived: bool
    memoryId: str
    restorable: bool


class RestoredMemory(TypedDict):
    restored: bool
    memoryId: str
    memory: Memory


class MemoryVersion(TypedDict):
    """A memory as it was. `timestamp`: from when on."""

    memoryId: str
    version: int
    content: str
    contentLength: int
    embedding: NotRequired[list[float]]
    importance: float
    tags: list[str]
    metadata: NotRequired[dict[str, Any]]
    timestamp: int


class MemoryExport(TypedDict):
    format: Literal["json", "csv"]
    data: str
    count: int
    exportedAt: int


class Forgotten(TypedDict):
    """What was forgotten. `factIds` are the facts that hold no more, or are gone. `restorable`: the messages are still
    there.
    """

    memoryDeleted: bool
    conversationDeleted: bool
    messagesDeleted: int
    factsDeleted: int
    factIds: list[str]
    restorable: bool


class Reembedding(TypedDict):
    """How far a store is moved. `missing`: how many memories and chunks have an embedding of the store's model, and
    none of the new one. `current`: whether the new one is the store's model. `done`: also that no old embedding is
    left.
    """

    missing: int
    current: bool
    done: bool


class Unembedded(TypedDict):
    """A text without an embedding."""

    memorySpaceId: str
    memoryId: str
    content: str
    updatedAt: int


class UnembeddedPage(TypedDict):
    """`next` is the `after` of the next page. `left`: how many there are, in the first page alone."""

    memories: list[Unembedded]
    next: NotRequired[int]
    left: NotRequired[int]


class Vector(TypedDict):
    memorySpaceId: str
    memoryId: str
    updatedAt: int
    embedding: NotRequired[list[float]]


class EmbeddedMemories(TypedDict):
    """How many embeddings were stored."""

    stored: int


class Participants(TypedDict):
    userId: NotRequired[str]
    agentId: NotRequired[str]
    participantId: NotRequired[str]
    memorySpaceIds: NotRequired[list[str]]


class Message(TypedDict):
    """One message with its full content."""

    id: str
    role: Literal["user", "agent", "system"]
    content: str
    timestamp: int
    participantId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]


class PendingExchange(TypedDict):
    """An exchange that has not ended: `length` code points of `attempt` are stored. It is "streaming" while its
    writer's lease runs. `userMessage` has its first 65,536 code points. `position` is the number of messages that stand
    before the exchange. The question of one that was closed before is the message at this position.
    """

    streamId: str
    memoryId: str
    conversationId: str
    messageIds: list[str]
    memoryIds: list[str]
    state: Literal["streaming", "interrupted"]
    attempt: int
    length: int
    userMessage: str
    createdAt: int
    updatedAt: int
    position: int
    leaseUntil: NotRequired[int]
    lastError: NotRequired[str]


class ConversationWithMessages(TypedDict):
    conversationId: str
    memorySpaceId: str
    type: Literal["user-agent", "agent-agent"]
    participants: Participants
    messageCount: int
    createdAt: int
    updatedAt: int
    participantId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    messages: list[Message]
    pending: list[PendingExchange]


class NewMessage(TypedDict):
    id: str
    role: Literal["user", "agent", "system"]
    content: str
    participantId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]


class DeletedConversation(TypedDict):
    deleted: bool
    conversationId: str
    messagesDeleted: int
    memoriesDeleted: int
    factsDeleted: int
    factIds: list[str]


class DeletedConversations(TypedDict):
    deleted: int
    totalMessagesDeleted: int
    conversationIds: list[str]
    hasMore: bool
    memoriesDeleted: int
    factsDeleted: int
    factIds: list[str]


class Conversation(TypedDict):
    """A conversation, without its messages."""

    conversationId: str
    memorySpaceId: str
    type: Literal["user-agent", "agent-agent"]
    participants: Participants
    messageCount: int
    createdAt: int
    updatedAt: int
    participantId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]


class ConversationPage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[Conversation]
    cursor: NotRequired[str]


class History(TypedDict):
    messages: list[Message]
    pending: list[PendingExchange]
    total: int
    hasMore: bool
    conversationId: str


class FoundConversation(TypedDict):
    """A conversation with the messages that have the text of a search. `score` is their share of all its messages."""

    conversation: Conversation
    matchedMessages: list[Message]
    highlights: list[str]
    score: float


class ConversationExport(TypedDict):
    format: Literal["json", "csv"]
    data: str
    count: int
    exportedAt: int


class FactDecision(TypedDict):
    action: Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]
    factId: NotRequired[str]


class FactSource(TypedDict):
    """What a fact was read from: the code points of the memory from `start` to `end` (excluded)."""

    conversationId: NotRequired[str]
    messageIds: NotRequired[list[str]]
    memoryId: NotRequired[str]
    start: NotRequired[int]
    end: NotRequired[int]


class Fact(TypedDict):
    """A fact. `validFrom` and `validUntil` (excluded) say when it was true, `knownFrom` and `knownUntil` when the
    memory space has known it. `closed`: it does not hold any more, since it "changed" or since it was "wrong";
    `supersededBy` is the fact that holds instead, if there is one. `sources` are all places where it was said,
    `sourceRef` is the first. `confidence` counts each message once.
    """

    factId: str
    memorySpaceId: str
    fact: str
    factType: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
    confidence: float
    sourceType: Literal["conversation", "system", "tool", "manual", "a2a"]
    userId: NotRequired[str]
    participantId: NotRequired[str]
    subject: NotRequired[str]
    predicate: NotRequired[str]
    object: NotRequired[str]
    qualifier: NotRequired[str]
    polarity: Literal["positive", "negative"]
    tense: Literal["past", "present", "future"]
    tags: list[str]
    metadata: NotRequired[dict[str, Any]]
    sourceRef: NotRequired[FactSource]
    sources: list[FactSource]
    validFrom: NotRequired[int]
    validUntil: NotRequired[int]
    knownFrom: int
    knownUntil: NotRequired[int]
    closed: NotRequired[Literal["changed", "wrong"]]
    supersedes: NotRequired[str]
    supersededBy: NotRequired[str]
    version: int
    createdAt: int
    updatedAt: int


class RetractedFact(TypedDict):
    deleted: bool
    factId: str


class FactPage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[Fact]
    cursor: NotRequired[str]


class FoundFact(Fact):
    """A fact and its score in a search."""

    _score: float


class FactExport(TypedDict):
    format: Literal["json", "jsonld", "csv"]
    data: str
    count: int
    exportedAt: int


class Consolidation(TypedDict):
    """`mergedCount` facts became one with the kept fact."""

    consolidated: bool
    keptFactId: str
    mergedCount: int


class NewFact(TypedDict):
    """What a text says. Polarity, tense and numbers are read from `fact`, if they are not given. `cardinality` says
    whether the subject has one object of this predicate at a time; else the list of predicates does. A `decision` about
    a fact that does not hold any more, or is another user's, decides nothing. `factId` is the id of the fact, if it
    becomes a new one and no other has this id; otherwise the store makes one.
    """

    fact: str
    factType: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
    confidence: float
    subject: NotRequired[str]
    predicate: NotRequired[str]
    object: NotRequired[str]
    qualifier: NotRequired[str]
    polarity: NotRequired[Literal["positive", "negative"]]
    tense: NotRequired[Literal["past", "present", "future"]]
    validFrom: NotRequired[int]
    validUntil: NotRequired[int]
    metadata: NotRequired[dict[str, Any]]
    cardinality: NotRequired[Literal["one", "many"]]
    embedding: NotRequired[list[float]]
    embeddingModel: NotRequired[str]
    decision: NotRequired[FactDecision]
    tags: NotRequired[list[str]]
    factId: NotRequired[str]


class CommittedFact(TypedDict):
    index: int
    factId: str
    action: NotRequired[Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]]
    about: NotRequired[str]


class FactProgress(TypedDict):
    question: int
    answer: int


class CommittedFacts(TypedDict):
    """`end`: up to where the side was read. `facts`: those given that are stored, by their `index`; what a fact did is
    there once it is visible.
    """

    end: int
    facts: list[CommittedFact]
    progress: FactProgress


QueuedWindow = TypedDict(
    "QueuedWindow",
    {
        "memorySpaceId": str,
        "streamId": str,
        "epoch": int,
        "side": Literal["question", "answer"],
        "attempt": int,
        "from": int,
        "to": int,
        "state": Literal["queued", "dead"],
        "tries": int,
        "error": NotRequired[str],
        "conversationId": str,
        "userId": NotRequired[str],
        "memoryId": str,
        "queuedAt": int,
    },
)
"""A window of a text that is to be read for facts. `memoryId`: of the memory of that text."""


class SimilarFact(Fact):
    """A fact that may be meant by a new one. `same`: without a decision they are one fact; `ends`: without a decision
    the new one ends it. `similarity`: the share of the words' parts that they have in common.
    """

    same: bool
    ends: bool
    similarity: float


class ContextConversation(TypedDict):
    conversationId: str
    messageIds: NotRequired[list[str]]


class ContextGrant(TypedDict):
    memorySpaceId: str
    scope: Literal["read-only", "context-only", "full"]
    grantedAt: int


class ContextVersion(TypedDict):
    """A version as it was written at `timestamp`, by the memory space `updatedBy`."""

    version: int
    status: Literal["active", "completed", "cancelled", "blocked"]
    description: NotRequired[str]
    data: NotRequired[dict[str, Any]]
    completedAt: NotRequired[int]
    timestamp: int
    updatedBy: str


class Context(TypedDict):
    """A context as the calling memory space sees it. `memorySpaceId` is the space that owns it. `grantedAccess` has all
    grants for the owner, and its own for another space. `previousVersions`, oldest first, are only given by
    `contexts:get`.
    """

    contextId: str
    memorySpaceId: str
    purpose: str
    description: NotRequired[str]
    parentId: NotRequired[str]
    rootId: str
    depth: int
    childIds: list[str]
    status: Literal["active", "completed", "cancelled", "blocked"]
    conversationRef: NotRequired[ContextConversation]
    userId: NotRequired[str]
    participants: list[str]
    grantedAccess: NotRequired[list[ContextGrant]]
    data: NotRequired[dict[str, Any]]
    version: int
    previousVersions: NotRequired[list[ContextVersion]]
    createdAt: int
    updatedAt: int
    completedAt: NotRequired[int]


class DeletedContext(TypedDict):
    """`orphanedChildren` are those that have become roots."""

    deleted: bool
    contextId: str
    descendantsDeleted: int
    orphanedChildren: list[str]


class ContextChain(TypedDict):
    """A context and those around it. `ancestors` begin with the root and end with the parent; `siblings` are the other
    children of the parent.
    """

    current: Context
    parent: NotRequired[Context]
    root: Context
    children: list[Context]
    siblings: list[Context]
    ancestors: list[Context]
    depth: int


class ExportedContext(Context):
    """A context, and what was asked for: its ancestors, root first; all its versions; its conversation."""

    ancestors: NotRequired[list[Context]]
    versions: NotRequired[list[ContextVersion]]
    conversation: NotRequired[dict[str, Any]]


class ContextPage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[ExportedContext]
    cursor: NotRequired[str]


class ContextChanges(TypedDict):
    status: NotRequired[Literal["active", "completed", "cancelled", "blocked"]]
    data: NotRequired[dict[str, Any]]
    description: NotRequired[str]
    completedAt: NotRequired[int]


class UpdatedContexts(TypedDict):
    """The contexts that the filters let by."""

    updated: int
    contextIds: list[str]


class DeletedContexts(TypedDict):
    """All that are deleted, descendants too."""

    deleted: int
    contextIds: list[str]


class ContextExport(TypedDict):
    format: Literal["json", "csv"]
    data: str
    count: int
    exportedAt: int


class NewParticipant(TypedDict):
    id: str
    type: str
    joinedAt: NotRequired[int]


class SpaceParticipant(TypedDict):
    id: str
    type: str
    joinedAt: int


class MemorySpaceRow(TypedDict):
    """A memory space, with its participants in the order in which they were added. One that is used and not
    `registered` is active, of the type "custom", without participants; its times are those of its first records.
    """

    memorySpaceId: str
    name: NotRequired[str]
    type: Literal["personal", "team", "project", "custom"]
    participants: list[SpaceParticipant]
    metadata: dict[str, Any]
    status: Literal["active", "archived"]
    createdAt: int
    updatedAt: int
    registered: bool


class ClearedSpace(TypedDict):
    """How many records were deleted, and whether there may be more."""

    deleted: int
    more: bool


class DeletedSpace(TypedDict):
    deleted: bool
    memorySpaceId: str
    cascaded: bool


class MemorySpacePage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[MemorySpaceRow]
    cursor: NotRequired[str]


class SpaceStorage(TypedDict):
    """Bytes of text in UTF-8: of the messages, of the contents of the memories, of the facts. In `totalBytes` a text
    counts once that is both a message and a memory, since it is stored once.
    """

    conversationsBytes: int
    memoriesBytes: int
    factsBytes: int
    totalBytes: int


class SpaceImportance(TypedDict):
    """Memories by importance: from 90, from 70, from 40, from 10, and below."""

    critical: int
    high: int
    medium: int
    low: int
    trivial: int


class ParticipantStats(SpaceParticipant):
    """A participant, and how many records name it as their `participantId`."""

    totalMemories: int
    totalConversations: int
    totalFacts: int


class MemorySpaceStats(TypedDict):
    """What is in a memory space. `topTags` are the ten that most memories have, the most frequent first."""

    memorySpaceId: str
    totalMemories: int
    totalConversations: int
    totalFacts: int
    totalMessages: int
    storage: SpaceStorage
    topTags: list[str]
    importanceBreakdown: SpaceImportance
    participants: NotRequired[list[ParticipantStats]]


class UserProfile(TypedDict):
    """A user's profile, as its current `version` says."""

    id: str
    data: dict[str, Any]
    version: int
    createdAt: int
    updatedAt: int


class UpdatedUsers(TypedDict):
    updated: int
    userIds: list[str]


class DeletedUser(TypedDict):
    """What was deleted; with `dryRun`, what would be. `deletedAt` is the time of the call."""

    deleted: bool
    versionsDeleted: int
    deletedAt: int


class DeletedUsers(TypedDict):
    deleted: int
    userIds: list[str]


class UserPage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[UserProfile]
    cursor: NotRequired[str]


class UserVersion(TypedDict):
    """A version of a profile; `timestamp` is when it was written."""

    version: int
    data: dict[str, Any]
    timestamp: int


class Agent(TypedDict):
    """A registered agent."""

    agentId: str
    name: str
    description: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    config: NotRequired[dict[str, Any]]
    status: Literal["active", "inactive", "archived"]
    registeredAt: int
    updatedAt: int


class UnregisteredAgent(TypedDict):
    deleted: bool
    agentId: str
    unregisteredAt: int


class UnregisteredAgents(TypedDict):
    deleted: int
    agentIds: list[str]


class AgentPage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[Agent]
    cursor: NotRequired[str]


class AgentStatistics(TypedDict):
    totalMemories: int
    totalConversations: int
    totalFacts: int
    memorySpacesActive: int
    lastActive: NotRequired[int]


class EarlierVersion(UserVersion):
    """A version that another one has replaced; `timestamp` is when it was written."""

    metadata: NotRequired[dict[str, Any]]


class ImmutableRecord(TypedDict):
    """An entry with the earlier versions that are kept, oldest first."""

    type: str
    id: str
    data: dict[str, Any]
    version: int
    userId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    createdAt: int
    updatedAt: int
    previousVersions: list[EarlierVersion]


class PurgedEntry(TypedDict):
    deleted: bool
    type: str
    id: str
    versionsDeleted: int


class ImmutableVersion(TypedDict):
    """A version of an entry. `timestamp` is when it was written, `createdAt` when the entry was made."""

    type: str
    id: str
    version: int
    data: dict[str, Any]
    userId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    timestamp: int
    createdAt: int


class ImmutableRow(TypedDict):
    """An entry, as its current `version` says. `updatedAt` is when it was written."""

    type: str
    id: str
    data: dict[str, Any]
    version: int
    userId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    createdAt: int
    updatedAt: int


class ImmutablePage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[ImmutableRow]
    cursor: NotRequired[str]


class FoundEntry(TypedDict):
    """An entry that was found. `score` is the share of its data's keys and values that have the query, `highlights` are
    up to three of these places with 30 characters on each side.
    """

    entry: ImmutableRow
    score: float
    highlights: list[str]


class ImmutableKey(TypedDict):
    type: str
    id: str


class PurgedEntries(TypedDict):
    """What was deleted; with `dryRun`, what would be."""

    deleted: int
    totalVersionsDeleted: int
    entries: list[ImmutableKey]
    dryRun: bool


class PurgedVersions(TypedDict):
    versionsPurged: int
    versionsRemaining: int


class MutableEntry(TypedDict):
    """A key and its value. `version` is one more after each change. It is 1 at first, or higher if keys were deleted
    from the namespace.
    """

    namespace: str
    key: str
    value: Any
    userId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    version: int
    createdAt: int
    updatedAt: int


class DeletedKey(TypedDict):
    deleted: bool
    namespace: str
    key: str


class PurgedNamespace(TypedDict):
    deleted: int
    namespace: str


class MutableOperation(TypedDict):
    """One step of a transaction. "set" makes a key or replaces its value, "update" only replaces it. `amount` is 1 if
    it is left out.
    """

    op: Literal["increment", "decrement", "delete", "set", "update"]
    namespace: str
    key: str
    value: NotRequired[Any]
    amount: NotRequired[float]
    initial: NotRequired[float]


class MutableRead(TypedDict):
    namespace: str
    key: str
    version: int


class MutableOutcome(TypedDict):
    """What a step of a transaction made of its key: a `MutableEntry`, or it is `deleted`."""

    namespace: str
    key: str
    deleted: NotRequired[bool]
    value: NotRequired[Any]
    userId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    version: NotRequired[int]
    createdAt: NotRequired[int]
    updatedAt: NotRequired[int]


class MutableTransaction(TypedDict):
    success: bool
    operationsExecuted: int
    results: list[MutableOutcome]


class PurgedKeys(PurgedNamespace):
    keys: list[str]


class MutablePage(TypedDict):
    """A page. Without a `cursor` it is the last."""

    page: list[MutableEntry]
    cursor: NotRequired[str]


class GraphSettings(TypedDict):
    enabled: bool


class OutboxItem(TypedDict):
    """A record that has changed: its table, its id there, and its memory space, if it is in one. `entityType` is the
    type of an immutable entry, whose id is one of its type, and `namespace` that of a key of `mutable`.
    """

    revision: int
    table: Literal[
        "memories", "conversations", "facts", "contexts", "memorySpaces", "users", "agents", "immutable", "mutable"
    ]
    entityId: str
    memorySpaceId: NotRequired[str]
    entityType: NotRequired[str]
    namespace: NotRequired[str]


class GraphMutableRef(TypedDict):
    namespace: str
    key: str
    snapshotAt: int


class GraphMemory(TypedDict):
    """A memory, also one that is partial. `content` and `partialMetadata.userMessage` are cut to their first 200 code
    points; `contentLength` is the full length. A chunk of an answer is no record.
    """

    memoryId: str
    memorySpaceId: str
    content: str
    contentLength: int
    contentType: Literal["raw", "summarized", "fact"]
    sourceType: Literal["conversation", "system", "tool", "a2a", "fact-extraction"]
    sourceUserId: NotRequired[str]
    sourceTimestamp: int
    userId: NotRequired[str]
    agentId: NotRequired[str]
    participantId: NotRequired[str]
    messageRole: NotRequired[Literal["user", "agent", "system"]]
    conversationRef: NotRequired[ConversationRef]
    immutableRef: NotRequired[ImmutableRef]
    mutableRef: NotRequired[GraphMutableRef]
    importance: float
    tags: list[str]
    version: int
    createdAt: int
    updatedAt: int
    isPartial: bool
    isArchived: NotRequired[bool]
    partialMetadata: NotRequired[PartialMetadata]
    chunkCount: NotRequired[int]


class GraphConversation(TypedDict):
    """A conversation, also one that has only pending exchanges. `messageCount` is that of the exchanges that have
    ended.
    """

    conversationId: str
    memorySpaceId: str
    type: Literal["user-agent", "agent-agent"]
    participants: Participants
    messageCount: int
    createdAt: int
    updatedAt: int
    participantId: NotRequired[str]


class GraphFact(TypedDict):
    """A fact, also one that is closed, with all its sources. Its text is whole."""

    factId: str
    memorySpaceId: str
    fact: str
    factType: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
    confidence: float
    sourceType: Literal["conversation", "system", "tool", "manual", "a2a"]
    userId: NotRequired[str]
    participantId: NotRequired[str]
    subject: NotRequired[str]
    predicate: NotRequired[str]
    object: NotRequired[str]
    qualifier: NotRequired[str]
    polarity: Literal["positive", "negative"]
    tense: Literal["past", "present", "future"]
    tags: list[str]
    sources: list[FactSource]
    validFrom: NotRequired[int]
    validUntil: NotRequired[int]
    knownFrom: int
    knownUntil: NotRequired[int]
    closed: NotRequired[Literal["changed", "wrong"]]
    supersedes: NotRequired[str]
    supersededBy: NotRequired[str]
    version: int
    createdAt: int
    updatedAt: int


class GraphContext(TypedDict):
    """A context, with all its grants. `parentId` is the id that it was given; `parentMemorySpaceId` is the memory space
    that owns this parent, left out if the parent is gone. `depth` and `rootId` count only ancestors that its own memory
    space owns.
    """

    contextId: str
    memorySpaceId: str
    purpose: str
    parentId: NotRequired[str]
    rootId: str
    depth: int
    status: Literal["active", "completed", "cancelled", "blocked"]
    conversationRef: NotRequired[ContextConversation]
    userId: NotRequired[str]
    participants: list[str]
    grantedAccess: NotRequired[list[ContextGrant]]
    version: int
    createdAt: int
    updatedAt: int
    completedAt: NotRequired[int]
    parentMemorySpaceId: NotRequired[str]


class GraphMemorySpace(TypedDict):
    """A registered memory space."""

    memorySpaceId: str
    name: NotRequired[str]
    type: Literal["personal", "team", "project", "custom"]
    participants: list[SpaceParticipant]
    status: Literal["active", "archived"]
    createdAt: int
    updatedAt: int


class GraphUser(TypedDict):
    """A user's profile, without what it says."""

    userId: str
    version: int
    createdAt: int
    updatedAt: int


class GraphAgent(TypedDict):
    """A registered agent."""

    agentId: str
    name: str
    description: NotRequired[str]
    status: Literal["active", "inactive", "archived"]
    registeredAt: int
    updatedAt: int


class GraphImmutable(ImmutableKey):
    """An entry, as its current version says, whole."""

    data: dict[str, Any]
    version: int
    userId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    createdAt: int
    updatedAt: int


class GraphMutable(TypedDict):
    """A key and its value, whole."""

    namespace: str
    key: str
    value: Any
    userId: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    version: int
    createdAt: int
    updatedAt: int


class OutboxRecord(OutboxItem):
    """A row, how often it could not be written, and its record as it is now. Without a `record` it is deleted. Which
    kind of record it is says `table`: a `GraphMemory` and so on.
    """

    attempts: int
    record: NotRequired[
        GraphMemory
        | GraphConversation
        | GraphFact
        | GraphContext
        | GraphMemorySpace
        | GraphUser
        | GraphAgent
        | GraphImmutable
        | GraphMutable
    ]


class GraphRecord(TypedDict):
    """A record as it is now, its `position` among those of its table, and whether it is `queued`: it has a row, which a
    drainer has not taken away yet.
    """

    position: int
    queued: bool
    table: Literal[
        "memories", "conversations", "facts", "contexts", "memorySpaces", "users", "agents", "immutable", "mutable"
    ]
    entityId: str
    memorySpaceId: NotRequired[str]
    entityType: NotRequired[str]
    namespace: NotRequired[str]
    record: (
        GraphMemory
        | GraphConversation
        | GraphFact
        | GraphContext
        | GraphMemorySpace
        | GraphUser
        | GraphAgent
        | GraphImmutable
        | GraphMutable
    )


class RecordKey(TypedDict):
    table: Literal[
        "memories", "conversations", "facts", "contexts", "memorySpaces", "users", "agents", "immutable", "mutable"
    ]
    entityId: str
    memorySpaceId: NotRequired[str]
    entityType: NotRequired[str]
    namespace: NotRequired[str]


class OutboxStats(TypedDict):
    """How many rows there are, in all and by table; how many of them are `waiting` to be tried again, and are dead
    letters (`failed`); and the highest `revision` that was given so far, 0 if there was none.
    """

    unsynced: int
    byTable: dict[str, Any]
    waiting: int
    failed: int
    revision: int


class OutboxLease(TypedDict):
    """Whether the caller holds the lease, until `leaseUntil`, or another one until then. `term` is one more each time
    when another holder gets it, and never falls. `store` is the id of the store.
    """

    held: bool
    term: int
    store: str
    leaseUntil: int


class ReleasedOutbox(TypedDict):
    released: bool


class SeenOutboxItem(RecordKey):
    revision: int


class SyncedItems(TypedDict):
    synced: int


class FailedItems(TypedDict):
    failed: int


class DeadLetter(OutboxItem):
    """A row that could not be written, how often, why, and when this was said last."""

    attempts: int
    error: str
    failedAt: int


class RetriedItems(TypedDict):
    retried: int


class BegunStream(TypedDict):
    memoryId: str
    epoch: int
    attempt: int
    state: Literal["open", "finished", "empty"]
    conversationId: str
    messageIds: list[str]
    memoryIds: list[str]
    leaseUntil: NotRequired[int]


class Appended(TypedDict):
    end: int
    stop: NotRequired[bool]


class Range(TypedDict):
    start: int
    end: int
    embedding: NotRequired[list[float]]


Extraction = TypedDict(
    "Extraction",
    {
        "side": Literal["question", "answer"],
        "from": int,
        "to": int,
        "facts": list[NewFact],
        "error": NotRequired[str],
        "tries": NotRequired[int],
        "dead": NotRequired[bool],
        "deduplication": NotRequired[Literal["none", "exact", "structural", "semantic"]],
        "revise": NotRequired[bool],
    },
)
"""What was read from a window of a text, or the `error` for which it is to be read again."""


class StoredConversation(TypedDict):
    conversationId: str
    messageIds: list[str]


class FactRevision(TypedDict):
    """What a statement did: it is a new fact, it ended the fact `about`, it rewrote a fact, or it said a fact again."""

    action: Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]
    factId: str
    about: NotRequired[str]


GivenUpWindow = TypedDict(
    "GivenUpWindow",
    {
        "side": Literal["question", "answer"],
        "from": int,
        "to": int,
        "error": str,
    },
)
"""A window of a text of which not all facts are stored, and why: TOO_MANY_FACTS."""


class StoredExchange(TypedDict):
    """What is stored of a stream that has ended: both messages and both memories, or of a closed stream the question
    alone. `stored` says whether this call stored it. Of a stream that is read for facts (`facts:commit`): `facts`,
    those that it supports, `revisions`, what each of its statements did, and `givenUp`, if a window was.
    """

    conversation: StoredConversation
    memories: list[Memory]
    contentLength: int
    stored: Literal["now", "before"]
    facts: NotRequired[list[Fact]]
    revisions: NotRequired[list[FactRevision]]
    givenUp: NotRequired[list[GivenUpWindow]]


class Lease(TypedDict):
    leaseUntil: NotRequired[int]
    stop: NotRequired[bool]


class StopRequest(TypedDict):
    """Where the stream stands. `owned` says if a lease runs; its writer hears of the request."""

    state: Literal["open", "finished", "empty"]
    owned: bool
    leaseUntil: NotRequired[int]


class StoredTurn(TypedDict):
    memorySpaceId: str
    conversationId: str
    userMessage: str
    userId: NotRequired[str]
    userName: NotRequired[str]
    agentId: NotRequired[str]
    participantId: NotRequired[str]
    importance: float
    tags: list[str]
    metadata: NotRequired[dict[str, Any]]
    startedAt: int


class TakenStream(TypedDict):
    """Where the stream stands. An open stream has `mark`, `resumeState` and `leaseUntil`, where there are any. A stream
    that has ended has `reason` and `usage`, where there are any, and the result of `finalize` or `close`, stored
    "before".
    """

    state: Literal["open", "finished", "empty"]
    streamId: str
    memoryId: str
    conversationId: str
    messageIds: list[str]
    memoryIds: list[str]
    epoch: int
    attempt: int
    length: int
    turn: StoredTurn
    mark: NotRequired[Any]
    resumeState: NotRequired[Any]
    leaseUntil: NotRequired[int]
    reason: NotRequired[str]
    usage: NotRequired[dict[str, Any]]
    conversation: NotRequired[StoredConversation]
    memories: NotRequired[list[Memory]]
    contentLength: NotRequired[int]
    stored: NotRequired[Literal["now", "before"]]
    facts: NotRequired[list[Fact]]
    revisions: NotRequired[list[FactRevision]]
    givenUp: NotRequired[list[GivenUpWindow]]


class IssuedToken(TypedDict):
    expiresAt: int


class RolledBackStream(TypedDict):
    streamId: str
    rolledBack: bool


class Stream(TypedDict):
    """A stream: `length` code points of `attempt` are stored. `owned` says if a lease runs."""

    streamId: str
    memorySpaceId: str
    memoryId: str
    conversationId: str
    messageIds: list[str]
    memoryIds: list[str]
    state: Literal["open", "finished", "empty"]
    epoch: int
    attempt: int
    length: int
    userMessage: str
    createdAt: int
    updatedAt: int
    owned: bool
    leaseUntil: NotRequired[int]
    lastError: NotRequired[str]
    mark: NotRequired[Any]
    resumeState: NotRequired[Any]
    reason: NotRequired[str]
    usage: NotRequired[dict[str, Any]]


class StreamPage(TypedDict):
    streamId: str
    attempt: int
    attempts: int
    start: int
    text: str
    length: int
    certain: int
    index: int
    createdAt: int
    updatedAt: int
    state: Literal["open", "finished", "empty", "rolledBack"]
    epoch: int
    owned: bool
    leaseUntil: NotRequired[int]
    reason: NotRequired[str]
    usage: NotRequired[dict[str, Any]]


class InterruptedStream(TypedDict):
    """An open stream without a running lease. `userMessage` has its first 65,536 code points."""

    streamId: str
    memoryId: str
    conversationId: str
    messageIds: list[str]
    memoryIds: list[str]
    attempt: int
    length: int
    userMessage: str
    createdAt: int
    updatedAt: int
    leaseUntil: NotRequired[int]
    lastError: NotRequired[str]


class ListedStream(InterruptedStream):
    """A stream: `length` code points of `attempt` are stored. `userMessage` has its first 65,536 code points. `owned`
    says if a lease runs.
    """

    state: Literal["open", "finished", "empty"]
    owned: bool
    reason: NotRequired[str]
    usage: NotRequired[dict[str, Any]]
