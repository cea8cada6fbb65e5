"""Every exception of the package: one type per meaning, the same on every backend.

Each has a `code`: Cortex's name for it, where Cortex has one.  Messages name fields and what is accepted.  They never
hold a user's text.

>>> from cortex_rx import operators as cx
>>> try:
...     cx.limit(0)
... except CortexError as error:
...     print(error.code, type(error).__name__, error)
INVALID_INPUT InvalidArgument max_length: got 0; accepted: a whole number, 1 or more
"""

from __future__ import annotations

import builtins
import enum
from collections.abc import Iterable
from reprlib import Repr
from typing import Any, NamedTuple, TypeGuard

from cortex_rx.unique import hidden

__all__ = [
    "AgentAlreadyRegistered",
    "AgentNotRegistered",
    "BrokenPipeline",
    "CallbackError",
    "ChainOrderError",
    "ContextNotFound",
    "ContextReadOnly",
    "ConversationExists",
    "ConversationNotFound",
    "CortexError",
    "Diverged",
    "EmbeddingMismatch",
    "EmptyAnswer",
    "EntryNotFound",
    "ErrorCode",
    "EventsLost",
    "ExtractionFailed",
    "FactNotFound",
    "FactRetracted",
    "Fenced",
    "Gap",
    "GraphBusy",
    "GraphConnectionError",
    "GraphError",
    "GraphNotFound",
    "GraphQueryError",
    "GraphRefused",
    "GraphSchemaError",
    "GraphSyncError",
    "GraphTimeout",
    "HasChildren",
    "IdempotencyConflict",
    "InvalidArgument",
    "InvalidParticipants",
    "KeyNotFound",
    "LanguageMismatch",
    "LetterNotFound",
    "MemoryNotArchived",
    "MemoryNotFound",
    "MemorySpaceArchived",
    "MemorySpaceExists",
    "MemorySpaceHasData",
    "MemorySpaceNotFound",
    "MissingExtra",
    "NotACortexFile",
    "NotAnEvent",
    "NotResumable",
    "NotStored",
    "ParentNotFound",
    "ParticipantExists",
    "ProviderError",
    "QueueClosed",
    "ResumableStreamError",
    "RetryAfterTooLong",
    "SecondStream",
    "SourceConsumed",
    "SpoolBusy",
    "Spooled",
    "StillOwned",
    "StoreBusy",
    "StoreClosed",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreInaccessible",
    "StoreReadOnly",
    "StoreTooNew",
    "StoreUnavailable",
    "StreamCutOff",
    "StreamNotFound",
    "StreamTimeout",
    "StreamTooLong",
    "TextDiverged",
    "TokenError",
    "TokenExpired",
    "TokenSuperseded",
    "TokenUnknown",
    "UnknownFunction",
    "UnknownStep",
    "UnsupportedOption",
    "UserNotFound",
    "ValueNotArray",
    "ValueNotNumber",
    "VersionConflict",
    "WrongMemorySpace",
    "is_cortex_error",
]


class CortexError(Exception):
    """The base of all errors of this package.

    A program may raise it with a code of its own, as in Cortex: `CortexError(code, message, details)`. A subclass that
    has a `code` takes the message alone.

    >>> error = CortexError(ErrorCode.DELETION_CANCELLED, "the user said no", {"by": "ada"})
    >>> error.code, str(error), error.details
    ('DELETION_CANCELLED', 'the user said no', {'by': 'ada'})
    """

    code: str = "CORTEX_ERROR"
    details: Any = None

    def __init__(self, code: str = "", message: str = "", details: Any = None) -> None:
        if type(self).code != CortexError.code:  # then what is given is the message
            super().__init__(*(text for text in (code, message) if text))
            return
        self.code = str(code or CortexError.code)
        super().__init__(message or self.code)
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        if type(self).code != CortexError.code:
            return super().__reduce__()  # type: ignore[return-value]
        return type(self), (self.code, str(self), self.details)


def is_cortex_error(error: object) -> TypeGuard[CortexError]:
    """Whether an error is one of this package.

    >>> is_cortex_error(MemoryNotFound("mem-1")), is_cortex_error(KeyError("mem-1"))
    (True, False)
    """
    return isinstance(error, CortexError)


class ErrorCode(enum.StrEnum):
    """Cortex's codes of errors. An error of this package has one of them as its `code` where its meaning is the same.

    >>> ErrorCode.MEMORY_NOT_FOUND == MemoryNotFound.code
    True
    """

    CONVEX_ERROR = "CONVEX_ERROR"
    INVALID_INPUT = "INVALID_INPUT"
    INVALID_MEMORYSPACE_ID = "INVALID_MEMORYSPACE_ID"
    INVALID_AGENT_ID = "INVALID_AGENT_ID"
    INVALID_CONTENT = "INVALID_CONTENT"
    INVALID_IMPORTANCE = "INVALID_IMPORTANCE"
    INVALID_EMBEDDING_DIMENSION = "INVALID_EMBEDDING_DIMENSION"
    MEMORY_NOT_FOUND = "MEMORY_NOT_FOUND"
    VERSION_NOT_FOUND = "VERSION_NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    INVALID_FILTERS = "INVALID_FILTERS"
    NO_MEMORIES_MATCHED = "NO_MEMORIES_MATCHED"
    INVALID_USER_ID = "INVALID_USER_ID"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    INVALID_PROFILE_DATA = "INVALID_PROFILE_DATA"
    NO_USERS_MATCHED = "NO_USERS_MATCHED"
    INVALID_PURPOSE = "INVALID_PURPOSE"
    CONTEXT_NOT_FOUND = "CONTEXT_NOT_FOUND"
    PARENT_NOT_FOUND = "PARENT_NOT_FOUND"
    HAS_CHILDREN = "HAS_CHILDREN"
    INVALID_STATUS = "INVALID_STATUS"
    INVALID_CONVERSATION_ID = "INVALID_CONVERSATION_ID"
    CONVERSATION_NOT_FOUND = "CONVERSATION_NOT_FOUND"
    INVALID_TYPE = "INVALID_TYPE"
    INVALID_PARTICIPANTS = "INVALID_PARTICIPANTS"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    INVALID_QUERY = "INVALID_QUERY"
    INVALID_ID = "INVALID_ID"
    DATA_TOO_LARGE = "DATA_TOO_LARGE"
    NOT_FOUND = "NOT_FOUND"
    PURGE_FAILED = "PURGE_FAILED"
    PURGE_CANCELLED = "PURGE_CANCELLED"
    INVALID_NAMESPACE = "INVALID_NAMESPACE"
    INVALID_KEY = "INVALID_KEY"
    VALUE_TOO_LARGE = "VALUE_TOO_LARGE"
    KEY_NOT_FOUND = "KEY_NOT_FOUND"
    UPDATE_FAILED = "UPDATE_FAILED"
    TRANSACTION_FAILED = "TRANSACTION_FAILED"
    INVALID_PAGINATION = "INVALID_PAGINATION"
    INVALID_OPTIONS = "INVALID_OPTIONS"
    INVALID_UPDATE = "INVALID_UPDATE"
    INVALID_FORMAT = "INVALID_FORMAT"
    INVALID_TIMESTAMP = "INVALID_TIMESTAMP"
    DELETION_FAILED = "DELETION_FAILED"
    DELETION_CANCELLED = "DELETION_CANCELLED"
    EXPORT_FAILED = "EXPORT_FAILED"
    PUBSUB_NOT_CONFIGURED = "PUBSUB_NOT_CONFIGURED"
    EMPTY_RECIPIENTS = "EMPTY_RECIPIENTS"
    CLOUD_MODE_REQUIRED = "CLOUD_MODE_REQUIRED"
    STRATEGY_FAILED = "STRATEGY_FAILED"
    AGENT_NOT_REGISTERED = "AGENT_NOT_REGISTERED"
    AGENT_ALREADY_REGISTERED = "AGENT_ALREADY_REGISTERED"
    INVALID_METADATA = "INVALID_METADATA"
    INVALID_CONFIG = "INVALID_CONFIG"
    MEMORYSPACE_ALREADY_EXISTS = "MEMORYSPACE_ALREADY_EXISTS"
    MEMORYSPACE_NOT_FOUND = "MEMORYSPACE_NOT_FOUND"
    MEMORYSPACE_HAS_DATA = "MEMORYSPACE_HAS_DATA"
    GRAPH_CONNECTION_ERROR = "GRAPH_CONNECTION_ERROR"
    GRAPH_QUERY_ERROR = "GRAPH_QUERY_ERROR"
    GRAPH_SYNC_ERROR = "GRAPH_SYNC_ERROR"


def code_of(error: BaseException) -> str:
    """The code of an error of ours, the name of the class of another: its `code` may be a number, or a text.

    >>> code_of(CortexError()), code_of(ValueError("text"))
    ('CORTEX_ERROR', 'ValueError')
    """
    return error.code if isinstance(error, CortexError) else type(error).__name__


# --- what the caller passed -------------------------------------------------------------------------------------------


_SHOWN = 80  # characters of what was given that a message shows
_shorten = Repr()
_shorten.maxstring = _shorten.maxother = _SHOWN


class InvalidArgument(CortexError, ValueError):
    """A field has a value that is not accepted; nothing has been stored.  The message abbreviates a long value."""

    code = "INVALID_INPUT"

    def __init__(self, field: str, given: object, accepted: str) -> None:
        try:
            shown = _shorten.repr(given)
        except Exception:  # a number with more digits than Python writes, or a value nested without end
            shown = f"<{type(given).__name__}>"
        shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."
        super().__init__(f"{field}: got {shown}; accepted: {accepted}")
        self.field: str = field
        self.given: object = given
        self.accepted: str = accepted

    def __reduce__(self) -> tuple[type[InvalidArgument], tuple[str, object, str]]:
        return type(self), (self.field, self.given, self.accepted)


class UnsupportedOption(InvalidArgument):
    """An option whose operator does not exist in this version."""

    code = "UNSUPPORTED_OPTION"


class UnknownStep(CortexError, LookupError):
    """A chain has no step with this name."""

    code = "UNKNOWN_STEP"

    def __init__(self, name: object, names: Iterable[str]) -> None:
        super().__init__(f"no step {name!r} in this chain; its steps are: {', '.join(names) or 'none'}")


class ChainOrderError(CortexError, ValueError):
    """A step stands where an event that it needs can never arrive."""

    code = "CHAIN_ORDER"


class BrokenPipeline(CortexError):
    """What a step got is not what an answer consists of: the fault is in how the pipeline was put together.

    The stream ends at once, and what had passed is flushed.  `text` arrived and is not durable as far as is known, and
    begins at `offset`; None if no step held it.  The text is not part of the message.
    """

    code = "BROKEN_PIPELINE"
    text: str | None = None
    offset: int = 0


class NotAnEvent(BrokenPipeline, TypeError):
    """A step got an item that is not a `StreamEvent`; `kind` is the name of its type."""

    code = "NOT_AN_EVENT"

    def __init__(self, step: str, kind: str) -> None:
        super().__init__(
            f"{step} got an item of type {kind}, which is no event: a pipeline begins with from_stream(...), "
            "its operators emit events, and a sink such as text() stands at its end"
        )
        self.step: str = step
        self.kind: str = kind

    def __reduce__(self) -> tuple[type[NotAnEvent], tuple[str, str]]:
        return type(self), (self.step, self.kind)


class SecondStream(BrokenPipeline):
    """A second `Opened` came: two sources were joined into one chain (`catch`, `concat`, `merge`, `retry`, `repeat`).

    A chain remembers one answer.
    """

    code = "SECOND_STREAM"

    def __init__(self, step: str) -> None:
        super().__init__(
            f"{step} got a second Opened: a chain remembers the answer of one source, and several were joined before "
            "it (catch, concat, merge, retry, repeat); to ask another model when one fails give from_stream a "
            "fallback(a, b), to ask the same one again put resume() into the chain"
        )
        self.step: str = step

    def __reduce__(self) -> tuple[type[SecondStream], tuple[str]]:
        return type(self), (self.step,)


class EventsLost(BrokenPipeline):
    """An event that a step needs did not arrive, or not in its order.  `event` is its name; None if none came at all.

    `emitter` is the last step of ours before it; None if there is none.
    """

    code = "EVENTS_LOST"

    def __init__(self, step: str, event: str | None, emitter: str | None = None) -> None:
        if event is None:
            lost = f"{step} got no event at all"
        elif emitter is None:
            lost = f"{step} got text without {event} before it"
        else:
            lost = f"{event} left {emitter} and did not reach {step}, or not in its place"
        between = f"between {emitter} and {step}" if emitter else f"before {step}"
        super().__init__(
            f"{lost}: look at the operators {between}; one drops events, changes their order or repeats them (filter, "
            "skip, throttle_first, sample, debounce do). Put it after the last step, or let it pass every event but "
            "Custom; a step that changes text stands before the steps that store it, as rewrite(...)"
        )
        self.step: str = step
        self.event: str | None = event
        self.emitter: str | None = emitter

    def __reduce__(self) -> tuple[type[EventsLost], tuple[str, str | None, str | None]]:
        return type(self), (self.step, self.event, self.emitter)


class CallbackError(CortexError):
    """The callback of a stock operator, or a function given to `resume`, raised an exception.

    This is a bug in the caller's code, not a failure of the source, so nothing retries it.
    """

    code = "CALLBACK_ERROR"

    def __init__(self, step: str, error: BaseException) -> None:
        # The text of the error may be a user's, so only the cause has it.
        super().__init__(f"in step {step!r}: {type(error).__name__}")
        self.step: str = step
        self.error: BaseException = error

    def __reduce__(self) -> tuple[type[CallbackError], tuple[str, BaseException]]:
        return type(self), (self.step, self.error)


class QueueClosed(CortexError):
    """An `AsyncQueue` takes no more items, or was stopped and gives no more."""

    code = "QUEUE_CLOSED"


class SourceConsumed(CortexError):
    """A source that is not a factory was subscribed to twice."""

    code = "SOURCE_CONSUMED"


class NotResumable(CortexError, TypeError):
    """A chain with `resume` was given a source that cannot be opened again."""

    code = "NOT_RESUMABLE"


class MissingExtra(CortexError, ImportError):
    """A library of an optional feature is not installed."""

    code = "MISSING_EXTRA"

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra {extra!r}: pip install 'cortex-rx[{extra}]'")


# --- what became of a stream ------------------------------------------------------------------------------------------


class StreamTimeout(CortexError, TimeoutError):
    """The source took longer than `timeout` allows.  `which` is "idle" or "total"; `seconds` is the limit."""

    code = "STREAM_TIMEOUT"

    def __init__(self, which: str, seconds: float) -> None:
        what = "nothing came from the source" if which == "idle" else "the source was waited for"
        super().__init__(f"Stream timeout: {what} for {seconds:g} s ({which})")
        self.which: str = which
        self.seconds: float = seconds

    def __reduce__(self) -> tuple[type[StreamTimeout], tuple[str, float]]:
        return type(self), (self.which, self.seconds)


class StreamTooLong(CortexError):
    """The answer exceeded the length that `limit` allows; `max_length` is in code points."""

    code = "STREAM_TOO_LONG"

    def __init__(self, max_length: int) -> None:
        super().__init__(f"Stream exceeded max length of {max_length} code points")
        self.max_length: int = max_length

    def __reduce__(self) -> tuple[type[StreamTooLong], tuple[int]]:
        return type(self), (self.max_length,)


class ProviderError(CortexError):
    """A model's provider reported in its stream that the answer failed.

    `type`, `provider_code` and `message` are the provider's; the first two are None if it gave none.  Nothing else is
    kept.
    """

    code = "PROVIDER_ERROR"

    def __init__(self, message: str, type: str | None = None, provider_code: str | None = None) -> None:
        kind = " ".join(dict.fromkeys(name for name in (type, provider_code) if name)) or "an error"
        super().__init__(f"the provider failed with {kind}: {message}")
        self.message: str = message
        self.type: str | None = type
        self.provider_code: str | None = provider_code

    def __reduce__(self) -> tuple[builtins.type[ProviderError], tuple[str, str | None, str | None]]:
        return ProviderError, (self.message, self.type, self.provider_code)


class StreamCutOff(CortexError, ConnectionError):
    """A provider's stream stopped before it reported the end of the answer: the connection was cut."""

    code = "STREAM_CUT_OFF"


class RetryAfterTooLong(CortexError):
    """The provider asks for a longer pause than `resume` allows: `seconds` is the pause, `most` the limit."""

    code = "RETRY_AFTER_TOO_LONG"

    def __init__(self, seconds: float, most: float) -> None:
        super().__init__(
            f"the provider wants to be asked again after {seconds:.9g} s; waited for are {most:.9g} s at most"
        )
        self.seconds: float = seconds
        self.most: float = most

    def __reduce__(self) -> tuple[type[RetryAfterTooLong], tuple[float, float]]:
        return type(self), (self.seconds, self.most)


class ExtractionFailed(CortexError):
    """A model's output does not have all the facts of a text.

    `reason` says why: "length", "refused", "provider", "cut off", "not JSON" or "another schema".
    """

    code = "EXTRACTION_FAILED"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the facts are not complete: {_INCOMPLETE.get(reason, reason)}")
        self.reason: str = reason

    def __reduce__(self) -> tuple[type[ExtractionFailed], tuple[str]]:
        return type(self), (self.reason,)


_INCOMPLETE = {
    "length": "the model's output reached its limit",
    "refused": "the model, or a filter of its provider, refused",
    "provider": "the model's provider reports an error",
    "cut off": "the model's output ends before its end",
    "not JSON": "the model's output is no JSON",
    "another schema": "the model's output has no list of facts",
}


class ResumableStreamError(CortexError):
    """The stream failed.  What arrived is durable, and the stream can be resumed.

    `resume_token` resumes it; None if no token was made.  `original_error` ended the stream, and is also the cause.
    The token is not part of the message, nor of a pickle.
    """

    code = "RESUMABLE_STREAM_ERROR"

    def __init__(self, original_error: Exception, resume_token: str | None = None) -> None:
        super().__init__(f"the stream failed with {type(original_error).__name__}; what arrived is stored")
        self.original_error: Exception = original_error
        self.resume_token: str | None = hidden(resume_token)

    def __reduce__(self) -> tuple[type[ResumableStreamError], tuple[Exception]]:
        return type(self), (self.original_error,)


class TextDiverged(CortexError):
    """The text of an answer began again, and this reader had seen other text.

    The stream goes on; a new reader sees the new text.
    """

    code = "TEXT_DIVERGED"


class EmptyAnswer(CortexError):
    """The answer had no text, no tool calls and no refusal.  The question is kept, and marked as unanswered."""

    code = "EMPTY_ANSWER"


class Spooled(NamedTuple):
    """Where something waits for the store to come back: the file of the spool, and the id in it."""

    path: str
    id: str


class NotStored(CortexError):
    """The exchange could not be stored.

    `text` arrived and is not durable.  It begins at `offset`; the text before `offset` is in the partial memory.
    `spooled` says where everything that the store could not take is kept, for `drain_spool` to deliver later.  It is
    None if there is no spool, or if the spool failed too.  The text is not part of the message.
    """

    code = "NOT_STORED"

    def __init__(self, message: str, text: str, offset: int = 0, spooled: Spooled | None = None) -> None:
        super().__init__(message)
        self.text: str = text
        self.offset: int = offset
        self.spooled: Spooled | None = spooled

    def __reduce__(self) -> tuple[type[NotStored], tuple[str, str, int, Spooled | None]]:
        return type(self), (str(self), self.text, self.offset, self.spooled)


class SpoolBusy(CortexError):
    """Another drainer is delivering from the spool.  If it is silent until `until` (epoch milliseconds), it counts as
    dead."""

    code = "SPOOL_BUSY"

    def __init__(self, until: float) -> None:
        super().__init__(
            f"another drainer is at work; if it is dead, the spool is free at {until:.0f} (epoch milliseconds)"
        )
        self.until: float = until

    def __reduce__(self) -> tuple[type[SpoolBusy], tuple[float]]:
        return type(self), (self.until,)


class LetterNotFound(CortexError, LookupError):
    """There is no dead letter with this id."""

    code = "LETTER_NOT_FOUND"


# --- what a store says ------------------------------------------------------------------------------------------------


class StoreError(CortexError):
    """A memory backend refused or failed."""

    code = "STORE_ERROR"


class StoreUnavailable(StoreError):
    """The store cannot be reached or opened, or an operation on it failed.  A retry may help."""

    code = "STORE_UNAVAILABLE"


class StoreBusy(StoreUnavailable):
    """Another process held the store for longer than the caller was willing to wait."""

    code = "STORE_BUSY"


class StoreFull(StoreUnavailable):
    """No space is left.  The write that failed left nothing behind."""

    code = "STORE_FULL"


class StoreInaccessible(StoreError):
    """No store can be opened at this path: its folder is missing, it is a folder itself, or permission is denied."""

    code = "STORE_INACCESSIBLE"


class StoreReadOnly(StoreError):
    """The store can be read but not written."""

    code = "STORE_READ_ONLY"


class StoreTooNew(StoreError):
    """The file was written by a newer version of this package."""

    code = "STORE_TOO_NEW"


class LanguageMismatch(StoreError):
    """The index of the file is in another language than the one asked for."""

    code = "LANGUAGE_MISMATCH"


class NotACortexFile(StoreError):
    """The file is not a database, or it belongs to another program."""

    code = "NOT_A_CORTEX_FILE"


class StoreCorrupt(StoreError):
    """The file is damaged: its content contradicts itself.  Restore a backup."""

    code = "STORE_CORRUPT"


class StoreClosed(StoreError):
    """The backend was closed."""

    code = "STORE_CLOSED"


class UnknownFunction(StoreError, LookupError):
    """The backend has no function of this path."""

    code = "UNKNOWN_FUNCTION"


class Fenced(StoreError):
    """A write was made under an old epoch: another writer has taken the stream over, or another drainer the outbox."""

    code = "FENCED"


class StillOwned(StoreError):
    """Another writer owns the stream, and its lease has not expired.

    The lease expires at `until` (epoch milliseconds of the store's clock) unless the owner renews it.  `stream_id` is
    None if the store did not say it.  `here`: an answer of this process is the owner; otherwise it is not known where
    the owner is.
    """

    code = "STILL_OWNED"

    def __init__(self, until: float, stream_id: str | None = None, here: bool = False) -> None:
        owner = "an answer of this process" if here else "another writer"
        stream = "stream_id" if stream_id is None else repr(stream_id)
        super().__init__(
            f"{owner} owns the stream; its lease ends at {until:.0f} (epoch milliseconds), unless it is renewed. "
            f"To read along: memory.follow(memory_space_id, {stream}); to take the stream: resume_from=, take_over=True"
        )
        self.until: float = until
        self.stream_id: str | None = stream_id
        self.here: bool = here

    def __reduce__(self) -> tuple[type[StillOwned], tuple[float, str | None, bool]]:
        return type(self), (self.until, self.stream_id, self.here)


class TokenError(StoreError):
    """A resume token does not give access.  The message does not hold the token."""

    code = "TOKEN_ERROR"


class TokenUnknown(TokenError):
    """No stream has this resume token: it was never issued, or it is incomplete."""

    code = "TOKEN_UNKNOWN"


class TokenExpired(TokenError):
    """The resume token has expired.  The stream may still exist; a new token can be issued."""

    code = "TOKEN_EXPIRED"


class WrongMemorySpace(TokenError):
    """The resume token belongs to a stream in another memory space."""

    code = "WRONG_MEMORY_SPACE"


class TokenSuperseded(TokenError):
    """A newer resume token of the same stream was used, so this one is no longer valid."""

    code = "SUPERSEDED"


class EmbeddingMismatch(StoreError):
    """An embedding is of another model than the embeddings that the store has.

    `stored_model` and `given_model` are the names; None if a name is not known. `stored_dimension` and
    `given_dimension` are how many numbers an embedding has.
    """

    code = "EMBEDDING_MISMATCH"

    def __init__(
        self, stored_model: str | None, stored_dimension: int, given_model: str | None, given_dimension: int
    ) -> None:
        super().__init__(
            f"the store has embeddings of {_model(stored_model)} with {stored_dimension} numbers, the given one is of "
            f"{_model(given_model)} with {given_dimension}; memory.reembed moves the store to another model"
        )
        self.stored_model: str | None = stored_model
        self.stored_dimension: int = stored_dimension
        self.given_model: str | None = given_model
        self.given_dimension: int = given_dimension

    def __reduce__(self) -> tuple[type[EmbeddingMismatch], tuple[str | None, int, str | None, int]]:
        return type(self), (self.stored_model, self.stored_dimension, self.given_model, self.given_dimension)


def _model(name: str | None) -> str:
    return "a model without a name" if name is None else f"the model {name!r}"


class Diverged(StoreError):
    """A write overlaps the stored text and differs from it."""

    code = "DIVERGED"


class Gap(StoreError):
    """A write starts beyond the end of the stored text; `end` is that end, in code points."""

    code = "GAP"

    def __init__(self, end: int, start: int) -> None:
        super().__init__(f"a write at {start} would leave a gap: {end} code points are stored")
        self.end: int = end
        self.start: int = start

    def __reduce__(self) -> tuple[type[Gap], tuple[int, int]]:
        return type(self), (self.end, self.start)


class IdempotencyConflict(StoreError):
    """A different exchange is stored under this idempotency key or stream id."""

    code = "IDEMPOTENCY_CONFLICT"


class StreamNotFound(StoreError, LookupError):
    """The memory space has no stream with this id, or its memory was deleted, or it was rolled back."""

    code = "STREAM_NOT_FOUND"


class FactNotFound(StoreError, LookupError):
    """The memory space has no fact with this id."""

    code = "FACT_NOT_FOUND"


class FactRetracted(StoreError):
    """The fact was retracted before, so it cannot be corrected.  `corrected_by` is the fact that took its place; None
    if there is none."""

    code = "FACT_RETRACTED"

    def __init__(self, corrected_by: str | None = None) -> None:
        instead = "" if corrected_by is None else f"; {corrected_by} took its place"
        super().__init__(f"the fact was retracted{instead}")
        self.corrected_by: str | None = corrected_by

    def __reduce__(self) -> tuple[type[FactRetracted], tuple[str | None]]:
        return type(self), (self.corrected_by,)


class MemoryNotFound(StoreError, LookupError):
    """The memory space has no memory with this id."""

    code = "MEMORY_NOT_FOUND"


class ConversationNotFound(StoreError, LookupError):
    """There is no conversation with this id."""

    code = "CONVERSATION_NOT_FOUND"


class ConversationExists(StoreError):
    """Another conversation is stored under this id."""

    code = "CONVERSATION_ALREADY_EXISTS"


class InvalidParticipants(StoreError, ValueError):
    """A conversation lacks participants: "user-agent" a user, "agent-agent" two memory spaces or two agents."""

    code = "INVALID_PARTICIPANTS"


class VersionConflict(StoreError):
    """The record has another version than the one that the change was made for: somebody changed it meanwhile.

    `expected` and `stored` are the versions; 0 stands for a record that does not exist.
    """

    code = "VERSION_CONFLICT"

    def __init__(self, expected: int, stored: int) -> None:
        super().__init__(f"the change is for version {expected}, version {stored} is stored; read it again")
        self.expected: int = expected
        self.stored: int = stored

    def __reduce__(self) -> tuple[type[VersionConflict], tuple[int, int]]:
        return type(self), (self.expected, self.stored)


class MemoryNotArchived(StoreError):
    """The memory is not in the archive, so it cannot be restored."""

    code = "MEMORY_NOT_ARCHIVED"


class EntryNotFound(StoreError, LookupError):
    """There is no immutable entry of this type with this id."""

    code = "IMMUTABLE_ENTRY_NOT_FOUND"


class KeyNotFound(StoreError, LookupError):
    """The namespace has no such key."""

    code = "MUTABLE_KEY_NOT_FOUND"


class ValueNotArray(StoreError):
    """Only a list can be appended to; the key has another value."""

    code = "MUTABLE_VALUE_NOT_ARRAY"


class ValueNotNumber(StoreError):
    """Only a number can be incremented or decremented; the key has another value."""

    code = "MUTABLE_VALUE_NOT_NUMBER"


class ContextNotFound(StoreError, LookupError):
    """The memory space has no context with this id, and was granted none."""

    code = "CONTEXT_NOT_FOUND"


class ContextReadOnly(StoreError):
    """Another memory space owns the context, and what it has granted does not allow this."""

    code = "PERMISSION_DENIED"


class ParentNotFound(StoreError, LookupError):
    """The memory space has no context with the id of the parent."""

    code = "PARENT_NOT_FOUND"


class HasChildren(StoreError):
    """The context has children.  They are deleted with it, or become roots, if the call says so."""

    code = "HAS_CHILDREN"


class UserNotFound(StoreError, LookupError):
    """There is no profile of this user."""

    code = "USER_NOT_FOUND"


class AgentNotRegistered(StoreError, LookupError):
    """No agent is registered under this id."""

    code = "AGENT_NOT_REGISTERED"


class AgentAlreadyRegistered(StoreError):
    """Another agent is registered under this id."""

    code = "AGENT_ALREADY_REGISTERED"


class MemorySpaceNotFound(StoreError, LookupError):
    """No memory space is registered under this id."""

    code = "MEMORYSPACE_NOT_FOUND"


class MemorySpaceExists(StoreError):
    """Another memory space is registered under this id."""

    code = "MEMORYSPACE_ALREADY_EXISTS"


class MemorySpaceHasData(StoreError):
    """The memory space has records, and the call does not say that they are to be deleted with it."""

    code = "MEMORYSPACE_HAS_DATA"


class MemorySpaceArchived(StoreError):
    """The memory space is archived: it is read, and not written until it is reactivated."""

    code = "MEMORYSPACE_ARCHIVED"


class ParticipantExists(StoreError):
    """The memory space has this participant."""

    code = "PARTICIPANT_ALREADY_EXISTS"


# --- the graph --------------------------------------------------------------------------------------------------------


class GraphError(CortexError):
    """A graph server refused or failed.  What the server said may hold a user's text: only the cause has it."""

    code = "GRAPH_ERROR"


class GraphConnectionError(GraphError):
    """The graph server cannot be reached, or the connection was cut.

    If it was cut in a commit, the write may have taken place; the message says so.
    """

    code = "GRAPH_CONNECTION_ERROR"


class GraphRefused(GraphConnectionError):
    """The graph server is there and does not serve this client: a wrong password, no right, an unknown database."""

    code = "GRAPH_CONNECTION_REFUSED"


class GraphQueryError(GraphError):
    """The graph server refused a query.  `server_code` is its name for the reason; None if it gave none."""

    code = "GRAPH_QUERY_ERROR"

    def __init__(self, message: str, server_code: str | None = None) -> None:
        super().__init__(message)
        self.server_code: str | None = server_code

    def __reduce__(self) -> tuple[type[GraphQueryError], tuple[str, str | None]]:
        return type(self), (str(self), self.server_code)


class GraphBusy(GraphQueryError):
    """The graph server could not do it now, also when it was asked again: a deadlock, no memory, no free thread.

    The transaction left nothing behind.
    """

    code = "GRAPH_BUSY"


class GraphTimeout(GraphQueryError, TimeoutError):
    """The operation took longer than `query_timeout`.  The message says so if a write may have taken place."""

    code = "GRAPH_TIMEOUT"


class GraphNotFound(GraphError, LookupError):
    """The graph has no node, or no edge, with this id."""

    code = "GRAPH_NOT_FOUND"


class GraphSchemaError(GraphError):
    """The graph lacks constraints, or they cannot be made."""

    code = "GRAPH_SCHEMA_ERROR"


class GraphSyncError(GraphError):
    """The graph was not brought to the state of the store."""

    code = "GRAPH_SYNC_ERROR"
