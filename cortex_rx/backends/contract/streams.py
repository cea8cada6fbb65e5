"""The functions `streams:*`. They make a stream safe against crashes, repeated calls and second writers."""

from __future__ import annotations

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.contract.fact_commits import EXTRACTIONS, PUBLISHED
from cortex_rx.backends.contract.memories import MEMORY
from cortex_rx.backends.contract.types import (
    ATTEMPT,
    COUNT,
    DURATION,
    EPOCH,
    ID,
    LIFETIME,
    OFFSET,
    SPACE,
    TEXT,
    TIME,
    Covers,
    Differs,
    Embedding,
    Field,
    Flag,
    Function,
    Integer,
    Json,
    JsonObject,
    ListOf,
    Nullable,
    Number,
    Object,
    OneOf,
    OnlyWith,
    Optional,
    Table,
    TokenHash,
    fields,
)

__all__ = ["EXCHANGE_IDS", "LAST_ERROR", "LEASED", "TABLE"]

_HOUR = 3_600_000
_LEASE = 10_000

_STATE = OneOf(("open", "finished", "empty"))
_STREAM = fields(streamId=ID, memorySpaceId=SPACE)
_WRITER = (*_STREAM, *fields(epoch=EPOCH))
_WRITE = (*_WRITER, *fields(attempt=ATTEMPT, start=OFFSET, text=TEXT))
_TURN = fields(
    memorySpaceId=SPACE,
    conversationId=ID,
    userMessage=TEXT,
    userId=Optional(ID),
    userName=Optional(TEXT),
    agentId=Optional(ID),
    participantId=Optional(ID),
    importance=Number(0, 100),
    tags=ListOf(TEXT),
    metadata=Optional(JsonObject()),
)

_STORED = (
    fields(
        conversation=Object(fields(conversationId=ID, messageIds=ListOf(ID)), name="StoredConversation"),
        memories=ListOf(MEMORY),
        contentLength=COUNT,
        stored=OneOf(("now", "before")),
    )
    + PUBLISHED
)
_RESULT = Object(
    _STORED,
    name="StoredExchange",
    meaning="""What is stored of a stream that has ended: both messages and both memories, or of a closed stream the
question alone. `stored` says whether this call stored it. Of a stream that is read for facts (`facts:commit`):
`facts`, those that it supports, `revisions`, what each of its statements did, and `givenUp`, if a window was.""",
)
_ENDED = fields(reason=Optional(TEXT), usage=Optional(JsonObject()))
_KEPT = fields(mark=Optional(Json()), resumeState=Optional(Json()))
LEASED = fields(leaseUntil=Optional(TIME))
LAST_ERROR = fields(lastError=Optional(TEXT))
_STOP = fields(stop=Optional(Flag()))
EXCHANGE_IDS = fields(conversationId=ID, messageIds=ListOf(ID), memoryIds=ListOf(ID))
_LISTED = (
    *fields(streamId=ID, memoryId=ID),
    *EXCHANGE_IDS,
    *fields(attempt=ATTEMPT, length=COUNT, userMessage=TEXT, createdAt=TIME, updatedAt=TIME),
    *LEASED,
    *LAST_ERROR,
)


_FAILURE = fields(lastError=Optional(ID))


def _optional(fields_: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(Field(one.name, one.type, required=False) for one in fields_)


TABLE = Table(
    "streams",
    """A stream is one exchange, from its question to its end. Every write names the epoch under which its writer owns
the stream. The answer is written in attempts; each attempt begins its text anew.

From `begin` on an exchange has the ids under which it is or will be stored: `messageIds` and `memoryIds` have that of
the question and that of the answer; `memoryId` is the latter. They stay as they are, however often it is begun again.

A lease says how long a writer may be silent before other writers may take its stream over. `lease` in `begin` gives a
lease; without it there is none. `lease` in `append` and `renew` gives a new one from now on; 0 releases the stream. An
expired lease may still be renewed, as long as nobody has taken over. `finalize` and `close` end the lease. Whatever the
lease is, another epoch than the stream's is `Fenced`, in `renew` too.

A writer that has failed says with what, when it releases the stream: `lastError` in `append` and `renew` is the code of
the error, never its text. It belongs to the lease that it comes with; a later one, and another writer, replace it.

The store's clock may be set. A lease that ends later than its own length from now was given before the clock was set
back, and is none: it is in no result, and nobody waits for it. The writer has a lease again when it renews. A clock
that is set forward ends all leases; safety does not depend on them.

`lease` and `tokenTtl` are in ms, at most a hundred years. `leaseUntil` and `expiresAt` are times of the store's clock.
The client makes a resume token and never sends it: `token` and `newToken` are its SHA-256, 64 hexadecimal digits in
lower case.

`claim` is a name that the client chooses for this one call of `begin` (or `takeOver`). A call with the claim that made
the current epoch is that call again, after its answer was lost. It changes nothing and gives the same epoch, also while
the lease runs (and the state "empty", if the stream was closed since). Its token is stored if it is not stored yet.""",
    (
        Function(
            "streams:begin",
            "mutation",
            Object(
                (
                    *fields(streamId=ID),
                    *_TURN,
                    *fields(
                        startedAt=Optional(TIME),
                        lease=Optional(DURATION),
                        claim=Optional(ID),
                        token=Optional(TokenHash()),
                        tokenTtl=Optional(LIFETIME, _HOUR),
                        completes=Optional(Flag(), False),
                        readFacts=Optional(Flag(), False),
                    ),
                ),
                rules=(OnlyWith("tokenTtl", "token"),),
            ),
            Object(
                (*fields(memoryId=ID, epoch=EPOCH, attempt=ATTEMPT, state=_STATE), *EXCHANGE_IDS, *LEASED),
                name="BegunStream",
            ),
            """Stores the question with all that belongs to it, and makes the partial memory of the answer, at epoch 1,
attempt 0. `startedAt` is when the question was asked, by default now. From now on the exchange has its place in the
conversation, which is made if there is none.

The same stream id with the same question, owner (userId, agentId, participantId) and conversation is the same stream.
If one of these differs, it is an `IdempotencyConflict`. Other arguments are not compared. What happens depends on the
stream:

* Unfinished: it is taken over. `epoch` and `attempt` rise, the text begins anew, and the text of the former attempt is
  kept. While another writer's lease runs, the call is refused (`StillOwned`).
* Closed without an answer: it is opened again, in the same way and with the same memoryId. Its question stays where it
  is, marked, until the stream is finalised.
* Finished: it stays as it is. With `completes`, a stream that ended with the reason "incomplete" is opened again like a
  closed one: its answer leaves the conversation and the memories and becomes an attempt; the facts that were read from
  it are removed, as if they had never been said. It stays as it is if the memory of its question was deleted.
* Deleted: `StreamNotFound`.
* Rolled back: it is made anew, at a higher epoch and attempt 0.

`token` is stored as by `issueToken`. With `readFacts` an open stream is one that is read for facts, as by an empty
`facts:commit`: when it ends, by whomever, what was not read is queued.""",
            errors=("IdempotencyConflict", "StillOwned", "StreamNotFound"),
            repeated="With a `claim` it is the same call, with the same result. Without, it begins the stream again.",
            ours=True,
        ),
        Function(
            "streams:append",
            "mutation",
            Object(
                (
                    *_WRITE,
                    *fields(lease=Optional(DURATION), mark=Optional(Json()), state=Optional(Json())),
                    *_FAILURE,
                ),
                rules=(OnlyWith("lastError", "lease"),),
            ),
            Object((*fields(end=OFFSET), *_STOP), name="Appended"),
            """Adds to the text of an attempt. Its key is (stream, attempt, start). The part that overlaps the stored
text is compared (`Diverged` if it differs); the rest is appended. A `start` beyond the end is a `Gap`. Another epoch
than the stream's is `Fenced`. A finished or closed stream accepts text that it has; text that differs or goes beyond it
is an `IdempotencyConflict`. An `attempt` above the stream's current one begins its text anew, at 0, and removes the
facts that were read from the former text; one below it is `Fenced`.

`mark` and `state` are any JSON. They are stored with the text if the write reaches its end, and replace the stored
values. None clears a value; left out, it stays. A new attempt has neither. `text` may be "": to renew the lease, or to
set `mark` and `state` at the end.""",
            errors=("StreamNotFound", "Fenced", "Diverged", "Gap", "IdempotencyConflict"),
            repeated="It changes nothing, and gives the end of what is stored by then.",
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:finalize",
            "mutation",
            Object(
                (
                    *_WRITE,
                    *fields(
                        length=COUNT,
                        reason=Optional(TEXT),
                        usage=Optional(JsonObject()),
                        userContent=Optional(TEXT),
                        userEmbedding=Optional(Embedding()),
                        agentEmbedding=Optional(Embedding()),
                        embeddingModel=Optional(ID),
                        metadata=Optional(JsonObject()),
                        chunks=Optional(
                            ListOf(
                                Object(fields(start=OFFSET, end=OFFSET, embedding=Optional(Embedding())), name="Range"),
                                rule="ranges",
                            )
                        ),
                    ),
                    *EXTRACTIONS,
                ),
                rules=(Covers("chunks", "length"),),
            ),
            _RESULT,
            """Appends `text` at `start` by the rules of `append`, and checks that the answer is then `length` long
(else `Gap`). In the same transaction:

* Both messages enter the conversation, next to each other.
* The question becomes a memory (of `userContent` if that is given, with contentType "summarized").
* The partial row becomes the memory of the answer: one memory, not two. An answer of length 0 (tool calls alone) makes
  a message and no memory.

`metadata` of `begin` belongs to the question's message and memory. The answer's message and memory have it too, with
the `metadata` given here on top. The answer's message also has `finishReason` (reason) and `usage`. If the question is
stored already, since the stream was closed and begun again, it is completed: its message and memory lose their mark,
the answer's message is put next to the question's, whatever was said after it, and the answer's memory next to the
question's.

A store has embeddings of one model. `embeddingModel` is the name of the model of those given here. An embedding of
another name, or with another number of numbers, than the store's is an `EmbeddingMismatch`, and nothing is stored.
Without a name only the numbers are counted.

`chunks` are ranges of the answer, from 0 to its end, in order and without a gap. Each starts and ends later than the
one before. Two neighbours may overlap. Each range becomes a memory.

What was read for facts becomes visible: what it supersedes is decided now. `extractions` are windows that were not
committed, in order (`facts:commit`); what lies between them and was not read enters the queue, and so does the rest of
the question and of the answer. A window with which the stream would have more than 1,000 statements is given up: it is
in the queue as `dead`, with the error TOO_MANY_FACTS. Without `extractions`, this is so for a stream that was committed
to.

On a stream that was closed and not begun again it is an `IdempotencyConflict`.""",
            errors=("StreamNotFound", "Fenced", "Diverged", "Gap", "IdempotencyConflict", "EmbeddingMismatch"),
            repeated="""With the same text, whatever the chunks, it gives what is stored, with `stored` "before".
Another text is an `IdempotencyConflict`.""",
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:close",
            "mutation",
            Object(
                (*_WRITER, *fields(outcome=OneOf(("empty", "interrupted", "error")), reason=Optional(TEXT))),
            ),
            _RESULT,
            """Keeps the question of a stream without an answer. Its message gets the metadata {unanswered: outcome},
its memory the tag `unanswered`. The partial row is deleted, also if an attempt had written text. `reason` becomes the
message's `finishReason`. If the question is stored already, no second one is made. The facts of the question become
visible, those of the text are removed. On a stream that has an answer it is an `IdempotencyConflict`.""",
            errors=("StreamNotFound", "Fenced", "IdempotencyConflict"),
            repeated='It gives what is stored, with `stored` "before", and changes nothing.',
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:renew",
            "mutation",
            Object((*_WRITER, *fields(lease=Optional(DURATION, _LEASE)), *_FAILURE)),
            Object((*LEASED, *_STOP), name="Lease"),
            """The sign of life of a writer that has nothing to write: a new lease from now on. It changes nothing of a
stream that is not open.""",
            errors=("StreamNotFound", "Fenced"),
            repeated="The lease runs from the later call on.",
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:stop",
            "mutation",
            Object(_STREAM),
            Object(
                (*fields(state=_STATE, owned=Flag()), *LEASED),
                name="StopRequest",
                meaning="Where the stream stands. `owned` says if a lease runs; its writer hears of the request.",
            ),
            """Asks the writer of an open stream to stop, whatever its lease. The results of its further `append` and
`renew` have {stop: True}. It changes nothing else: the writer stores what it has shown and releases its lease. The
request is to the writer of the current epoch. A take-over or a new beginning has another epoch, so it is not stopped.
Of a stream that has ended it changes nothing.""",
            errors=("StreamNotFound",),
            repeated="It is a request to the writer of that time; to the same writer it changes nothing.",
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:takeOver",
            "mutation",
            Object(
                fields(
                    memorySpaceId=SPACE,
                    token=TokenHash(),
                    claim=ID,
                    lease=Optional(DURATION, _LEASE),
                    newToken=Optional(TokenHash()),
                    tokenTtl=Optional(LIFETIME, _HOUR),
                    force=Optional(Flag(), False),
                ),
                rules=(OnlyWith("tokenTtl", "newToken"), Differs("newToken", "token")),
            ),
            Object(
                (
                    *fields(state=_STATE, streamId=ID, memoryId=ID),
                    *EXCHANGE_IDS,
                    *fields(
                        epoch=EPOCH,
                        attempt=ATTEMPT,
                        length=COUNT,
                        turn=Object((*_TURN, *fields(startedAt=TIME)), name="StoredTurn"),
                    ),
                    *_KEPT,
                    *LEASED,
                    *_ENDED,
                    *_optional(_STORED),
                ),
                name="TakenStream",
                meaning="""Where the stream stands. An open stream has `mark`, `resumeState` and `leaseUntil`, where
there are any. A stream that has ended has `reason` and `usage`, where there are any, and the result of `finalize` or
`close`, stored "before".""",
            ),
            """Goes on with the token's stream, from the stored text: the epoch rises, the attempt does not. `turn` is
what `begin` was given, with startedAt. `newToken` is stored as one more token of the stream. Presenting a token of an
open stream makes all older tokens of the stream invalid (`TokenSuperseded`). A token may be presented again. A stream
that was deleted or rolled back is `StreamNotFound`; once the token has expired it may be `TokenUnknown`. While another
writer's lease runs, the call is `StillOwned`, unless `force` is set. With a token of a stream that has ended it gives
what is stored, takes nothing over and supersedes no token.""",
            errors=(
                "TokenUnknown",
                "WrongMemorySpace",
                "StreamNotFound",
                "TokenSuperseded",
                "TokenExpired",
                "StillOwned",
                "IdempotencyConflict",
            ),
            repeated="By its `claim` it is the same take-over, with the same result.",
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:issueToken",
            "mutation",
            Object(fields(memorySpaceId=SPACE, streamId=ID, token=TokenHash(), tokenTtl=Optional(LIFETIME, _HOUR))),
            Object(fields(expiresAt=TIME), name="IssuedToken"),
            """Stores a token of the stream, in any state. A token of another stream is an `IdempotencyConflict`.""",
            errors=("StreamNotFound", "IdempotencyConflict"),
            repeated="A token that the stream already has stays as it is.",
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:finish",
            "mutation",
            Object(_STREAM),
            _RESULT,
            """Ends a stream without a running lease, under a new epoch; while one runs it is `StillOwned`. The stored
text becomes the answer, with the reason "incomplete" and {incomplete: True} in the metadata of its message and memory.
If the text is blank, the question is kept as unanswered, with the outcome "interrupted". The facts become visible as by
`finalize` or `close`.""",
            errors=("StreamNotFound", "StillOwned"),
            repeated='Of a stream that has ended it gives what is stored, with `stored` "before".',
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:rollback",
            "mutation",
            Object(_WRITER),
            Object(fields(streamId=ID, rolledBack=Flag()), name="RolledBackStream"),
            """Removes a stream that has no answer: the question (if the stream was closed before, also from the
conversation), the text of all attempts, the memories, and the facts that were read from it. A conversation that is left
without a message and without an open stream is removed too. A finished stream is an `IdempotencyConflict`. The id and
the epoch stay, so that late writers get `StreamNotFound`, or `Fenced` once the stream was begun anew. `get` gives None
from then on.""",
            errors=("StreamNotFound", "Fenced", "IdempotencyConflict"),
            repeated="It changes nothing and gives the same result.",
            ours=True,
            when_archived=True,
        ),
        Function(
            "streams:get",
            "query",
            Object(_STREAM),
            Nullable(
                Object(
                    (
                        *_STREAM,
                        *fields(memoryId=ID),
                        *EXCHANGE_IDS,
                        *fields(
                            state=_STATE,
                            epoch=EPOCH,
                            attempt=ATTEMPT,
                            length=COUNT,
                            userMessage=TEXT,
                            createdAt=TIME,
                            updatedAt=TIME,
                            owned=Flag(),
                        ),
                        *LEASED,
                        *LAST_ERROR,
                        *_KEPT,
                        *_ENDED,
                    ),
                    name="Stream",
                    meaning="A stream: `length` code points of `attempt` are stored. `owned` says if a lease runs.",
                )
            ),
            """The stream, or None. A stream that was deleted or rolled back is None too.""",
            ours=True,
        ),
        Function(
            "streams:read",
            "query",
            Object(
                (
                    *_STREAM,
                    *fields(
                        after=OFFSET,
                        attempt=Optional(ATTEMPT),
                        epoch=Optional(EPOCH),
                        limit=Optional(COUNT, HEAD_LENGTH),
                    ),
                )
            ),
            Object(
                (
                    *fields(
                        streamId=ID,
                        attempt=ATTEMPT,
                        attempts=ATTEMPT,
                        start=OFFSET,
                        text=TEXT,
                        length=COUNT,
                        certain=OFFSET,
                        index=Integer(),
                        createdAt=TIME,
                        updatedAt=TIME,
                        state=OneOf(("open", "finished", "empty", "rolledBack")),
                        epoch=EPOCH,
                        owned=Flag(),
                    ),
                    *LEASED,
                    *_ENDED,
                ),
                name="StreamPage",
            ),
            """At most `limit` code points of an attempt's text from `after` on, by default of the newest attempt, and
in the same snapshot where the stream stands. `attempts` is the newest attempt's number. If `after` is beyond the end,
`start` is the end. An attempt without stored text has the length 0. `index` is that of the stored `state` ({"index":
number}), else the number of writes.

`certain` is the offset up to which a reader's text of the attempt under `epoch` is the stored text. It is less than
`length` if another writer took over and text that was shown beyond the stored text was lost. It is 0 if an attempt of
the same number was begun anew.

A stream that was rolled back is given, without text. It is `StreamNotFound` if there never was one, or its memory was
deleted.""",
            errors=("StreamNotFound",),
            ours=True,
        ),
        Function(
            "streams:interrupted",
            "query",
            Object(fields(memorySpaceId=SPACE, conversationId=Optional(ID), limit=Optional(COUNT, 100))),
            ListOf(
                Object(
                    _LISTED,
                    name="InterruptedStream",
                    meaning="An open stream without a running lease. `userMessage` has its first 65,536 code points.",
                )
            ),
            """The open streams without a running lease, newest first; with `conversationId` those of this
conversation.""",
            ours=True,
        ),
        Function(
            "streams:list",
            "query",
            Object(fields(memorySpaceId=SPACE, conversationId=ID, limit=Optional(COUNT, 100))),
            ListOf(
                Object(
                    (*_LISTED, *fields(state=_STATE, owned=Flag()), *_ENDED),
                    name="ListedStream",
                    meaning="""A stream: `length` code points of `attempt` are stored. `userMessage` has its first
65,536 code points. `owned` says if a lease runs.""",
                )
            ),
            """The streams of a conversation, newest first, without those that were deleted or rolled back. An unknown
conversation has none.""",
            ours=True,
        ),
    ),
)
