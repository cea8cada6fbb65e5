"""The contract of a memory backend: named functions, as a Cortex deployment exposes them.

`query(path, args)` reads, `mutation(path, args)` writes.  Arguments and results are what Convex carries: dictionaries with
camelCase keys, lists, strings, numbers, booleans and None; a key that has no value is left out, never None.  Times are
epoch milliseconds of the store's clock, lengths and offsets are code points.

Every function takes the memory space it works in, and sees no other: an id of another space is as good as unknown, and
one stream or conversation id may be used in two spaces, for two things.  Hence `memorySpaceId` is required everywhere,
also where the stock contract lets it be left out.  A mutation is one transaction, all or nothing, and is done when it
returns; sending it again is a success that changes nothing, and gives the same result: so a client whose answer was lost
repeats the call.  What he must know: `begin` without a `claim` is another beginning each time; a result that says
"stored" says "before" the second time; a memory that is deleted is not found, so to `deleteMemory`, repeated,
`MemoryNotFound` is a success.  Failures are the `StoreError`s of `cortex_rx.errors`; of them only a `StoreUnavailable` is
worth trying again.  A missing, unknown or wrong argument (None too, a lone surrogate, a number that is not finite) is an `InvalidArgument`
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
answer, its stream is deleted, and what its attempts wrote; its tokens lead nowhere.

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
| `streams:begin` | streamId, memorySpaceId, conversationId, userMessage, userId?, userName?, agentId?, participantId?, importance, tags, metadata?, startedAt?, lease?, claim?, token?, tokenTtl?, completes? (False) | {memoryId, epoch, attempt, state: "open" / "finished" / "empty", leaseUntil?} |
| `streams:append` | streamId, memorySpaceId, epoch, attempt, start, text, lease?, mark?, state? | {end} |
| `streams:finalize` | streamId, memorySpaceId, epoch, attempt, start, text, length, reason?, usage?, userContent?, userEmbedding?, agentEmbedding?, metadata?, chunks? [{start, end, embedding?}] | {conversation {conversationId, messageIds}, memories [row], contentLength, stored: "now" / "before"} |
| `streams:close` | streamId, memorySpaceId, epoch, outcome: "empty" / "interrupted" / "error", reason? | as finalize, with the question alone |
| `streams:renew` | streamId, memorySpaceId, epoch, lease? (10,000) | {leaseUntil?} |
| `streams:takeOver` | memorySpaceId, token, claim, lease? (10,000), newToken?, tokenTtl?, force? (False) | {state: "open" / "finished" / "empty", streamId, memoryId, epoch, attempt, length, turn}; open: + {mark?, resumeState?, leaseUntil?}; else + {reason?, usage?} and the result of finalize, stored "before" |
| `streams:issueToken` | memorySpaceId, streamId, token, tokenTtl? (3,600,000) | {expiresAt} |
| `streams:finish` | memorySpaceId, streamId | as finalize or close |
| `streams:rollback` | memorySpaceId, streamId, epoch | {streamId, rolledBack: True} |
| `streams:get` | memorySpaceId, streamId | {streamId, memorySpaceId, conversationId, memoryId, state: "open" / "finished" / "empty", epoch, attempt, length, userMessage, createdAt, updatedAt, owned, leaseUntil?, mark?, resumeState?, reason?, usage?} or None |
| `streams:read` | memorySpaceId, streamId, after, attempt?, epoch?, limit? (65,536) | {streamId, attempt, attempts, start, text, length, certain, index, createdAt, updatedAt, state: "open" / "finished" / "empty" / "rolledBack", epoch, owned, leaseUntil?, reason?, usage?} |
| `streams:interrupted` | memorySpaceId, limit? (100) | [{streamId, conversationId, memoryId, attempt, length, userMessage (its first 65,536 code points), createdAt, updatedAt, leaseUntil?}], newest first |

`lease` and `tokenTtl` are in ms, a hundred years at most; `leaseUntil` and `expiresAt` are times of the store's clock.  A resume
token is made by the client and never sent: `token` and `newToken` are its SHA-256, 64 hexadecimal digits in lower case.

* `begin` stores the question with all that belongs to it, and makes the partial memory of the answer, at epoch 1,
  attempt 0.  It is idempotent: the same stream id with the same question, owner (userId, agentId, participantId) and
  conversation is the same stream, with another one an `IdempotencyConflict`; whatever else is given is then not looked
  at.  An unfinished stream that is begun again is taken over: `epoch` and `attempt` rise, the text begins anew, what
  the former attempt wrote is kept; while another's lease runs, it is refused (`StillOwned`).  One that was closed without an
  answer is open again, in the same way and under the same memoryId; its question stays where it is, marked, until it is
  finalised.  A finished one stays as it is; with `completes` one that ended with the reason "incomplete" is open again as
  if it had been closed: what there was of the answer leaves the conversation and the memories, and is an attempt; unless the
  memory of its question was deleted.  Of a stream that was deleted: `StreamNotFound`.  One that was rolled back is made anew,
  at a higher epoch and attempt 0.
* `claim` is a name that the client chooses for this one call of `begin` (or `takeOver`).  A call with the claim that made the present
  epoch is the same call once more, whose answer was lost: it changes nothing and gives the same epoch, also while the lease runs
  (and the state "empty", if the stream was closed since).  A token that it brings and that is not stored yet is stored all the same.
* A lease says for how long a writer may be silent before others take its stream over.  `lease` in `begin` gives one (without it there
  is none), in `append` and `renew` a new one from now on; 0 lets the stream go.  A lease that has run out may still be
  renewed, as long as nobody has taken over.  `finalize` and `close` end it.  Whatever the lease is, another epoch than the
  stream's is `Fenced`, in `renew` too.  Of a stream that is not open `renew` changes nothing.
* `append` has the key (stream, attempt, start).  What overlaps the stored text is compared (`Diverged` if it differs),
  the rest is appended; `start` beyond the end is a `Gap`; another epoch than the stream's is `Fenced`.  A finished
  or closed stream accepts what it has; what differs from it or goes beyond it is an `IdempotencyConflict`.  An
  `attempt` above the stream's current one begins its text anew, at 0; one below it is `Fenced`.
  `mark` and `state` are any JSON; they are stored with the text if the write reaches its end, and replace what was there (None
  clears it; left out, it stays).  A new attempt has none.  `text` may be "": to renew the lease, or to set these at the end.
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
* `takeOver` goes on with the stream that the token is of, from the text that is stored: the epoch rises, the attempt does not.
  `turn` is what `begin` was given, with startedAt.  `newToken` is stored as one more token of the stream.  Presenting a token of
  an open stream makes all that were stored before it invalid (`Superseded`); a token may be presented again.  Errors:
  `TokenUnknown`; `WrongMemorySpace`; `StreamNotFound` (deleted, or rolled back; once the token has expired it may be
  `TokenUnknown`); `Superseded`; `TokenExpired`; `StillOwned` while another's lease runs, unless `force` is set.  A token of a stream
  that has ended gives what is stored, takes nothing over and supersedes no other.
* `issueToken` (and `token` in `begin`) stores a token of the stream, of whatever state; one that it has already stays as it is.  A token
  of another stream is an `IdempotencyConflict`.
* `read` gives at most `limit` code points of an attempt's text (without `attempt`, the newest) from `after` on, and in the same moment
  where the stream stands.  `attempts` is the newest attempt's number.  Where `after` is beyond the end, `start` is the end.  An
  attempt of which nothing is stored has the length 0.  `index` is that of the stored `state` ({"index": number}), else the
  number of writes.  `certain`: up to there what a reader has seen of the attempt under `epoch` is what is stored; it is less
  than `length` where another writer took over, and what was shown beyond the stored text was lost: all of it, where an attempt
  of the same number was begun anew.  A stream that was rolled back is there, without text.  `StreamNotFound` if there never was
  one, or its memory was deleted.
* `interrupted` lists the open streams without a running lease.
* `finish` ends such a stream (`StillOwned` if its lease runs) under a new epoch: what there is becomes the answer, with reason
  "incomplete" and {incomplete: True} in the metadata of its message and its memory; if that is blank, the question is kept as
  unanswered, with the outcome "interrupted".  Of a stream that has ended it gives what is stored.
* `rollback` takes a stream back that has no answer: the question, in the conversation too if the stream was closed before, all
  that attempts wrote, and the memories.  A finished one is an `IdempotencyConflict`.  What stays is the id and the epoch, for late writers:
  `StreamNotFound`, or `Fenced` once the stream was begun anew.  `get` does not give it any more.
* Partial rows show in `get`, `list`, `search` and `count` only with `includePartial`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

from cortex_rx.errors import InvalidArgument
from cortex_rx.validation import shown

__all__ = ["HEAD_LENGTH", "Backend", "checked_backend", "is_backend"]

HEAD_LENGTH = 65_536
"""The code points of a content that `list` and `search` give at most."""


class Backend(Protocol):
    """Where memory lives.  See the module's text for the functions.

    One that lives on another machine says so with an attribute `remote = True`: then `Cortex` keeps a spool by default.
    """

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


def checked_backend(field: str, value: object) -> Backend:
    """A memory backend: a check, as those of `validation`."""
    if not is_backend(value):
        raise InvalidArgument(field, shown(value), "a Backend: query, mutation and close")
    return value
