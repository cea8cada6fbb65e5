"""The contract of a memory backend: named functions, as a Cortex deployment exposes them.

`query(path, args)` reads, `mutation(path, args)` writes.  Arguments and results are what Convex carries: dictionaries with
camelCase keys, lists, strings, numbers, booleans and None; a key that has no value is left out, never None.  Times are
epoch milliseconds of the store's clock, lengths and offsets are code points.

Every function takes the memory space it works in, and sees no other: an id of another space is as good as unknown, and
one stream or conversation id may be used in two spaces, for two things.  Hence `memorySpaceId` is required everywhere,
also where the stock contract lets it be left out.  A mutation is one transaction, all or nothing, and is done when it
returns; sending it again is a success that changes nothing.  Failures are the `StoreError`s of `cortex_rx.errors`; of
them only a `StoreUnavailable` is worth trying again.  A
missing, unknown or wrong argument (None too, a lone surrogate, a number that is not finite) is an `InvalidArgument`
that names it, before anything is stored; a function that is not there an `UnknownFunction`.

Functions of the stock contract (arguments; `?` = may be left out):

| function | arguments | result |
|---|---|---|
| `memories:get` | memorySpaceId, memoryId, includePartial? | row or None; `content` is whole |
| `memories:list` | memorySpaceId, userId?, sourceType?, conversationId?, limit? (100), includePartial?, includeChunks? | [row], newest first |
| `memories:search` | memorySpaceId, query, userId?, tags? (any), sourceType?, minImportance?, limit? (20), includePartial? | [row + `_score`], best first |
| `memories:count` | memorySpaceId, userId?, sourceType?, includePartial?, includeChunks? | number |
| `memories:deleteMemory` | memorySpaceId, memoryId | {deleted, memoryId}; `MemoryNotFound` |
| `conversations:get` | memorySpaceId, conversationId | row with `messages`, or None |
| `conversations:list` | memorySpaceId, userId?, type?, limit? (100) | [row without `messages`], newest first |
| `conversations:count` | memorySpaceId, userId?, type? | number |
| `conversations:getHistory` | memorySpaceId, conversationId, limit? (50), offset? (0), sortOrder? ("asc") | {messages, total, hasMore, conversationId}; `ConversationNotFound` |

Filters act before the limit.  `list`, `search` and the memories in the result of a mutation give at most the first
65,536 code points of a content (and of `partialMetadata.userMessage`); `contentLength` is the true length.  "Newest
first" is the order in which the exchanges began, an answer before its question, whatever the clock says.

Any string is a query.  A word is found whatever its case and accents; a word with a sign in it (`don't`, `node.js`),
and adjacent characters of a script that puts no spaces between words, are phrases; `C++` and `C#` are words.  A memory
is found if it has one of the words, is given once, and one with more of them comes first; `_score` is between 0 and 1.
The first 64 different words count.  A query without a word finds nothing.  What is found, its order and its scores depend
on nothing that is stored in another memory space.

`deleteMemory` removes the memory and its words from the index.  The messages of its conversation stay as they were; a
text that no message refers to is deleted.  With the memory of an answer, also a partial one, or of a question without an
answer, its stream is deleted, and what its attempts wrote.

An answer may be stored in chunks, each a memory of its own: its content is a range of the answer, it has a memoryId and an
embedding of its own, all else is the answer's.  `get` gives both, the answer whole and with the ids of its chunks.  `search`
finds such an answer through its chunks, each at its own rank, and not besides; a word or phrase that the end of a chunk
cuts is found in the next one.  `list` and `count` leave chunks out; with `includeChunks` they follow their answer, in
order.  Chunks are deleted with their answer; to delete one is an `InvalidArgument`, which names the answer.

A memory row has: memoryId, memorySpaceId, content, contentLength, contentType ("raw"/"summarized"), sourceType
("conversation"), sourceUserId?, sourceUserName?, sourceTimestamp, userId?, agentId?, participantId?, messageRole
("user"/"agent"), conversationRef {conversationId, messageIds}, importance, tags, version, embedding?, createdAt,
updatedAt, accessCount, isPartial, partialMetadata? (of a partial row: userMessage, streamId, streamStartTime, updates),
metadata?, chunkCount? (of an answer in chunks), chunkIds? (the same, from `get` alone), chunkMetadata? (of a chunk: parentMemoryId,
chunkIndex, totalChunks, startOffset, endOffset, hasOverlap).  A conversation row has: conversationId, memorySpaceId, type ("user-agent"/"agent-agent"), participants
{userId?, agentId?, participantId?}, messageCount, createdAt, updatedAt, messages [{id, role ("user"/"agent"), content,
timestamp, participantId?, metadata?}].  Contents of messages are whole.  A conversation is there from the first
`finalize` or `close` on; its participants are those of its first stream, completed by later ones.

Functions that make streams safe (ours):

| function | arguments | result |
|---|---|---|
| `streams:begin` | streamId, memorySpaceId, conversationId, userMessage, userId?, userName?, agentId?, participantId?, importance, tags, metadata?, startedAt? | {memoryId, epoch, attempt, state: "open" / "finished"} |
| `streams:append` | streamId, memorySpaceId, epoch, attempt, start, text | {end} |
| `streams:finalize` | streamId, memorySpaceId, epoch, attempt, start, text, length, reason?, usage?, userContent?, userEmbedding?, agentEmbedding?, metadata?, chunks? [{start, end, embedding?}] | {conversation {conversationId, messageIds}, memories [row], contentLength, stored: "now" / "before"} |
| `streams:close` | streamId, memorySpaceId, epoch, outcome: "empty", reason? | as finalize, with the question alone |
| `streams:get` | memorySpaceId, streamId | {streamId, memorySpaceId, conversationId, memoryId, state: "open" / "finished" / "empty", epoch, attempt, length, userMessage, createdAt, updatedAt} or None |

* `begin` stores the question with all that belongs to it, and makes the partial memory of the answer, at epoch 1,
  attempt 0.  It is idempotent: the same stream id with the same question, owner (userId, agentId, participantId) and
  conversation is the same stream, with another one an `IdempotencyConflict`; whatever else is given is then not looked
  at.  An unfinished stream that is begun again is taken over: `epoch` and `attempt` rise, the text begins anew, what
  the former attempt wrote is kept.  One that was closed without an answer is open again, in the same way and under the
  same memoryId; its question stays where it is, marked, until it is finalised.  A finished one stays as it is.  Of a
  stream that was deleted: `StreamNotFound`.
* `append` has the key (stream, attempt, start).  What overlaps the stored text is compared (`Diverged` if it differs),
  the rest is appended; `start` beyond the end is a `Gap`; another epoch than the stream's is `Fenced`.  A finished
  or closed stream accepts what it has; what differs from it or goes beyond it is an `IdempotencyConflict`.  An
  `attempt` above the stream's current one begins its text anew, at 0; one below it is `Fenced`.
* `finalize` appends `text` at `start` by the rules of `append`, and checks that the answer is then `length` long (else
  `Gap`).  In the same transaction both messages enter the conversation next to each other, the question becomes a
  memory (of `userContent` if that is given, with contentType "summarized"), and the partial row becomes the memory of
  the answer: one memory, not two.  An answer of length 0 (tool calls alone) makes a message and no memory.  `metadata`
  of `begin` is that of the question's message and memory; the answer's have it too, with the `metadata` given here on
  top, and the answer's message in addition `finishReason` (reason) and `usage`.  Where the question is there already,
  since the stream was closed before and begun again, it is completed: the mark goes from its message and its memory, the
  answer's message is put next to it, whatever has been said after it, and the answer's memory next to its memory.  `chunks`
  are ranges of the answer, from 0 to its end, in order and without a gap, each starting and ending later than the one
  before; what two have in common is an overlap.  Each becomes a memory.  On a finished stream it returns what is stored,
  if the text is the same, whatever the chunks; another text is an `IdempotencyConflict`.
* `close` keeps the question of a stream that gave no answer: its message has metadata {unanswered: outcome}, its memory
  the tag `unanswered`; the partial row goes, also if an attempt had written text.  `reason` becomes the message's
  `finishReason`.  If the question is there already, no second one is made.  On a stream that has an answer it is an
  `IdempotencyConflict`, as is `finalize` on one that was closed and not begun again.
* Partial rows show in `get`, `list`, `search` and `count` only with `includePartial`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

__all__ = ["HEAD_LENGTH", "Backend", "is_backend"]

HEAD_LENGTH = 65_536
"""The code points of a content that `list` and `search` give at most."""


class Backend(Protocol):
    """Where memory lives.  See the module's text for the functions."""

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        """Read: call the function `path` with `args`."""
        ...

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        """Write: call the function `path` with `args`, in one transaction that is durable when this returns."""
        ...

    async def close(self) -> None:
        """Finish what runs and let go of everything; a second call does nothing."""
        ...


def is_backend(value: object) -> TypeGuard[Backend]:
    """Whether it has what a backend has; a wrapper that passes calls on by `__getattr__` too, which `isinstance` does not see."""
    return all(callable(getattr(value, name, None)) for name in ("query", "mutation", "close"))
