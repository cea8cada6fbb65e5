"""The functions `streams:*`: they make a stream safe against crashes, repetitions and second writers."""

from __future__ import annotations

from cortex_rx.backends.base import HEAD_LENGTH
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

__all__ = ["TABLE"]

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

_STORED = fields(
    conversation=Object(fields(conversationId=ID, messageIds=ListOf(ID)), name="StoredConversation"),
    memories=ListOf(MEMORY),
    contentLength=COUNT,
    stored=OneOf(("now", "before")),
)
_RESULT = Object(
    _STORED,
    name="StoredExchange",
    meaning="""What is stored of a stream that has ended: both messages and both memories; of one that was closed the question alone.
`stored` says whether this call has stored it.""",
)
_ENDED = fields(reason=Optional(TEXT), usage=Optional(JsonObject()))
_KEPT = fields(mark=Optional(Json()), resumeState=Optional(Json()))
_LEASED = fields(leaseUntil=Optional(TIME))


def _optional(fields_: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(Field(one.name, one.type, required=False) for one in fields_)


TABLE = Table(
    "streams",
    """A stream is one exchange, from its question to its end. Its writer names the epoch under which he owns it in every write; the answer
is written in attempts, each of which begins its text anew.

A lease says for how long a writer may be silent before others take its stream over. `lease` in `begin` gives one (without it there
is none), in `append` and `renew` a new one from now on; 0 lets the stream go. A lease that has run out may still be
renewed, as long as nobody has taken over. `finalize` and `close` end it. Whatever the lease is, another epoch than the
stream's is `Fenced`, in `renew` too.

`lease` and `tokenTtl` are in ms, a hundred years at most; `leaseUntil` and `expiresAt` are times of the store's clock. A resume
token is made by the client and never sent: `token` and `newToken` are its SHA-256, 64 hexadecimal digits in lower case.

`claim` is a name that the client chooses for this one call of `begin` (or `takeOver`). A call with the claim that made the present
epoch is the same call once more, whose answer was lost: it changes nothing and gives the same epoch, also while the lease runs
(and the state "empty", if the stream was closed since). A token that it brings and that is not stored yet is stored all the same.""",
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
                    ),
                ),
                rules=(OnlyWith("tokenTtl", "token"),),
            ),
            Object(
                (*fields(memoryId=ID, epoch=EPOCH, attempt=ATTEMPT, state=_STATE), *_LEASED),
                name="BegunStream",
            ),
            """Stores the question with all that belongs to it, and makes the partial memory of the answer, at epoch 1, attempt 0.
`startedAt` is when it was asked, by default now.

The same stream id with the same question, owner (userId, agentId, participantId) and conversation is the same stream, with another
one an `IdempotencyConflict`; whatever else is given is then not looked at. An unfinished stream that is begun again is
taken over: `epoch` and `attempt` rise, the text begins anew, what the former attempt wrote is kept; while another's lease
runs, it is refused (`StillOwned`). One that was closed without an answer is open again, in the same way and under the same memoryId;
its question stays where it is, marked, until it is finalised. A finished one stays as it is; with `completes` one that ended with the reason
"incomplete" is open again as if it had been closed: what there was of the answer leaves the conversation and the memories, and is an
attempt; unless the memory of its question was deleted. Of a stream that was deleted: `StreamNotFound`. One that was rolled back
is made anew, at a higher epoch and attempt 0.

`token` is stored as by `issueToken`.""",
            errors=("IdempotencyConflict", "StillOwned", "StreamNotFound"),
            repeated="With a `claim` it is the same beginning, and gives the same result. Without one it is another beginning each time.",
            ours=True,
        ),
        Function(
            "streams:append",
            "mutation",
            Object((*_WRITE, *fields(lease=Optional(DURATION), mark=Optional(Json()), state=Optional(Json())))),
            Object(fields(end=OFFSET), name="Appended"),
            """Adds to the text of an attempt. It has the key (stream, attempt, start). What overlaps the stored text is compared (`Diverged`
if it differs), the rest is appended; `start` beyond the end is a `Gap`; another epoch than the stream's is `Fenced`. A
finished or closed stream accepts what it has; what differs from it or goes beyond it is an `IdempotencyConflict`. An `attempt`
above the stream's current one begins its text anew, at 0; one below it is `Fenced`.

`mark` and `state` are any JSON; they are stored with the text if the write reaches its end, and replace what was there (None
clears it; left out, it stays). A new attempt has none. `text` may be "": to renew the lease, or to set these at the end.""",
            errors=("StreamNotFound", "Fenced", "Diverged", "Gap", "IdempotencyConflict"),
            repeated="It changes nothing, and gives the end of what is stored by then.",
            ours=True,
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
                        metadata=Optional(JsonObject()),
                        chunks=Optional(
                            ListOf(
                                Object(fields(start=OFFSET, end=OFFSET, embedding=Optional(Embedding())), name="Range"),
                                rule="ranges",
                            )
                        ),
                    ),
                ),
                rules=(Covers("chunks", "length"),),
            ),
            _RESULT,
            """Appends `text` at `start` by the rules of `append`, and checks that the answer is then `length` long (else
`Gap`). In the same transaction both messages enter the conversation next to each other, the question becomes a memory (of `userContent` if
that is given, with contentType "summarized"), and the partial row becomes the memory of the answer: one memory, not two. An
answer of length 0 (tool calls alone) makes a message and no memory. `metadata` of `begin` is that of the question's message
and memory; the answer's have it too, with the `metadata` given here on top, and the answer's message in addition `finishReason` (reason) and
`usage`. Where the question is there already, since the stream was closed before and begun again, it is completed: the mark goes
from its message and its memory, the answer's message is put next to it, whatever has been said after it, and the answer's
memory next to its memory.

`chunks` are ranges of the answer, from 0 to its end, in order and without a gap, each starting and ending later than the one before; what
two have in common is an overlap. Each becomes a memory.

On a stream that was closed and not begun again it is an `IdempotencyConflict`.""",
            errors=("StreamNotFound", "Fenced", "Diverged", "Gap", "IdempotencyConflict"),
            repeated="""It gives what is stored, if the text is the same, whatever the chunks; another text is an
`IdempotencyConflict`. `stored` is "before" then.""",
            ours=True,
        ),
        Function(
            "streams:close",
            "mutation",
            Object(
                (*_WRITER, *fields(outcome=OneOf(("empty", "interrupted", "error")), reason=Optional(TEXT))),
            ),
            _RESULT,
            """Keeps the question of a stream that gave no answer: its message has metadata {unanswered: outcome}, its memory the tag
`unanswered`; the partial row goes, also if an attempt had written text. `reason` becomes the message's `finishReason`. If the question
is there already, no second one is made. On a stream that has an answer it is an `IdempotencyConflict`.""",
            errors=("StreamNotFound", "Fenced", "IdempotencyConflict"),
            repeated='It gives what is stored, and changes nothing. `stored` is "before" then.',
            ours=True,
        ),
        Function(
            "streams:renew",
            "mutation",
            Object((*_WRITER, *fields(lease=Optional(DURATION, _LEASE)))),
            Object(_LEASED, name="Lease"),
            """The sign of life of a writer who has nothing to write: a new lease from now on. Of a stream that is not open it changes
nothing.""",
            errors=("StreamNotFound", "Fenced"),
            repeated="The lease runs from the later call on.",
            ours=True,
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
                    *fields(
                        state=_STATE,
                        streamId=ID,
                        memoryId=ID,
                        epoch=EPOCH,
                        attempt=ATTEMPT,
                        length=COUNT,
                        turn=Object((*_TURN, *fields(startedAt=TIME)), name="StoredTurn"),
                    ),
                    *_KEPT,
                    *_LEASED,
                    *_ENDED,
                    *_optional(_STORED),
                ),
                name="TakenStream",
                meaning="""Where the stream stands. One that is open has `mark`, `resumeState` and `leaseUntil` as far as there are any; one that
has ended has `reason` and `usage` as far as there are any, and the result of `finalize` or `close`, stored "before".""",
            ),
            """Goes on with the stream that the token is of, from the text that is stored: the epoch rises, the attempt does not.
`turn` is what `begin` was given, with startedAt. `newToken` is stored as one more token of the stream. Presenting a token of
an open stream makes all that were stored before it invalid (`TokenSuperseded`); a token may be presented again. A stream that was deleted or
rolled back is `StreamNotFound`; once the token has expired it may be `TokenUnknown`. While another's lease runs it is
`StillOwned`, unless `force` is set. A token of a stream that has ended gives what is stored, takes nothing over and supersedes no
other.""",
            errors=(
                "TokenUnknown",
                "WrongMemorySpace",
                "StreamNotFound",
                "TokenSuperseded",
                "TokenExpired",
                "StillOwned",
                "IdempotencyConflict",
            ),
            repeated="It is the same take-over, by its `claim`, and gives the same result.",
            ours=True,
        ),
        Function(
            "streams:issueToken",
            "mutation",
            Object(fields(memorySpaceId=SPACE, streamId=ID, token=TokenHash(), tokenTtl=Optional(LIFETIME, _HOUR))),
            Object(fields(expiresAt=TIME), name="IssuedToken"),
            """Stores a token of the stream, of whatever state. A token of another stream is an `IdempotencyConflict`.""",
            errors=("StreamNotFound", "IdempotencyConflict"),
            repeated="A token that the stream has already stays as it is.",
            ours=True,
        ),
        Function(
            "streams:finish",
            "mutation",
            Object(_STREAM),
            _RESULT,
            """Ends a stream without a running lease (`StillOwned` if it runs) under a new epoch: what there is becomes the answer, with reason
"incomplete" and {incomplete: True} in the metadata of its message and its memory; if that is blank, the question is kept as
unanswered, with the outcome "interrupted".""",
            errors=("StreamNotFound", "StillOwned"),
            repeated='Of a stream that has ended it gives what is stored. `stored` is "before" then.',
            ours=True,
        ),
        Function(
            "streams:rollback",
            "mutation",
            Object(_WRITER),
            Object(fields(streamId=ID, rolledBack=Flag()), name="RolledBackStream"),
            """Takes a stream back that has no answer: the question, in the conversation too if the stream was closed before, all
that attempts wrote, and the memories. A finished one is an `IdempotencyConflict`. What stays is the id and the epoch, for late writers:
`StreamNotFound`, or `Fenced` once the stream was begun anew. `get` does not give it any more.""",
            errors=("StreamNotFound", "Fenced", "IdempotencyConflict"),
            repeated="It changes nothing, and gives the same result.",
            ours=True,
        ),
        Function(
            "streams:get",
            "query",
            Object(_STREAM),
            Nullable(
                Object(
                    (
                        *_STREAM,
                        *fields(
                            conversationId=ID,
                            memoryId=ID,
                            state=_STATE,
                            epoch=EPOCH,
                            attempt=ATTEMPT,
                            length=COUNT,
                            userMessage=TEXT,
                            createdAt=TIME,
                            updatedAt=TIME,
                            owned=Flag(),
                        ),
                        *_LEASED,
                        *_KEPT,
                        *_ENDED,
                    ),
                    name="Stream",
                    meaning="""A stream: `length` code points of `attempt` are stored. `owned` says whether a lease runs.""",
                )
            ),
            """The stream, or None; also of one that was deleted or rolled back.""",
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
                    *_LEASED,
                    *_ENDED,
                ),
                name="StreamPage",
            ),
            """At most `limit` code points of an attempt's text (without `attempt`, the newest) from `after` on, and in the same moment
where the stream stands. `attempts` is the newest attempt's number. Where `after` is beyond the end, `start` is the end. An
attempt of which nothing is stored has the length 0. `index` is that of the stored `state` ({"index": number}), else the
number of writes. `certain`: up to there what a reader has seen of the attempt under `epoch` is what is stored; it is less
than `length` where another writer took over, and what was shown beyond the stored text was lost: all of it, where an attempt
of the same number was begun anew. A stream that was rolled back is there, without text. `StreamNotFound` if there never was
one, or its memory was deleted.""",
            errors=("StreamNotFound",),
            ours=True,
        ),
        Function(
            "streams:interrupted",
            "query",
            Object(fields(memorySpaceId=SPACE, limit=Optional(COUNT, 100))),
            ListOf(
                Object(
                    (
                        *fields(
                            streamId=ID,
                            conversationId=ID,
                            memoryId=ID,
                            attempt=ATTEMPT,
                            length=COUNT,
                            userMessage=TEXT,
                            createdAt=TIME,
                            updatedAt=TIME,
                        ),
                        *_LEASED,
                    ),
                    name="InterruptedStream",
                    meaning="Of `userMessage` it has the first 65,536 code points.",
                )
            ),
            """The open streams without a running lease, newest first.""",
            ours=True,
        ),
    ),
)
