"""Which errors are transient and which are final: the table, as data."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from cortex_rx import errors as ours

__all__ = ["TABLE", "Rule", "Verdict"]


class Verdict(enum.Enum):
    """What an error means for a retry."""

    TRANSIENT = "transient"
    """A retry may succeed."""
    FINAL = "final"
    """It will fail again."""
    TAKEN = "taken"
    """About this exchange: another process writes it."""
    CONFLICT = "conflict"
    """About this exchange: the stored text differs from the text that was sent."""
    REPEATED = "repeated"
    """About this exchange: a different exchange was stored under its key before."""
    GONE = "gone"
    """About this exchange: it was deleted."""
    BUG = "bug"
    """A mistake in a program: this one, or the caller's."""
    CARRIED = "what it carries"
    """Decided by its words or its cause; never the final verdict on an error."""

    @property
    def of_exchange(self) -> bool:
        """Whether it is about this exchange: such an error ends the stream unchanged."""
        return self in (Verdict.TAKEN, Verdict.CONFLICT, Verdict.REPEATED, Verdict.GONE)


class Rule(NamedTuple):
    """The verdict on the errors of these names, and why."""

    verdict: Verdict
    names: tuple[Any, ...]
    """Classes, words, errnos, or HTTP statuses and ranges of them."""
    why: str
    as_is: bool = False
    """Not a failure of the stream, or already handled: `recover` passes it on unchanged."""


_T, _F, _BUG = Verdict.TRANSIENT, Verdict.FINAL, Verdict.BUG


_OURS = (
    Rule(
        _T,
        (ours.StoreUnavailable, ours.StoreBusy, ours.StoreFull),
        "the store may be reachable, free, or have space again",
    ),
    Rule(_T, (ours.StreamCutOff,), "the connection was cut"),
    Rule(
        _T,
        (ours.GraphConnectionError, ours.GraphBusy, ours.GraphTimeout),
        "the graph server may be there again, or have time",
    ),
    Rule(_T, (ours.SpoolBusy,), "the other drainer will finish"),
    Rule(_T, (ours.ExtractionFailed,), "a model's next output may be complete"),
    Rule(
        Verdict.CARRIED,
        (ours.StreamTimeout,),
        "a silent source may be asked again (idle); the total time is used up (total)",
    ),
    Rule(Verdict.CARRIED, (ours.ProviderError,), "judged by the provider's words"),
    Rule(Verdict.CARRIED, (ours.ResumableStreamError,), "judged by what ended the stream"),
    Rule(Verdict.CARRIED, (ours.NotStored,), "judged by its cause", as_is=True),
    Rule(Verdict.TAKEN, (ours.Fenced, ours.StillOwned), "another process writes the stream"),
    Rule(Verdict.CONFLICT, (ours.Diverged, ours.Gap), "other text is stored where this text belongs"),
    Rule(Verdict.REPEATED, (ours.IdempotencyConflict,), "another exchange is stored under its key"),
    Rule(Verdict.GONE, (ours.StreamNotFound,), "it was deleted, or never existed"),
    Rule(_BUG, (ours.CallbackError,), "a function of the caller raised it; reopening the source cannot help"),
    Rule(
        _BUG,
        (ours.InvalidArgument, ours.UnsupportedOption, ours.UnknownStep, ours.MissingExtra, ours.SourceConsumed),
        "how something was called",
    ),
    Rule(
        _BUG,
        (
            *(ours.ChainOrderError, ours.NotResumable, ours.BrokenPipeline, ours.NotAnEvent, ours.SecondStream),
            ours.EventsLost,
        ),
        "how the chain was put together",
        as_is=True,
    ),
    Rule(
        _F,
        (ours.TokenError, ours.TokenUnknown, ours.TokenExpired, ours.WrongMemorySpace, ours.TokenSuperseded),
        "the token does not give access, and never will",
    ),
    Rule(
        _F,
        (
            *(ours.StoreInaccessible, ours.StoreReadOnly, ours.StoreTooNew, ours.NotACortexFile, ours.StoreCorrupt),
            ours.LanguageMismatch,
            *(ours.StoreClosed, ours.UnknownFunction, ours.StoreError),
        ),
        "the store refuses until somebody repairs it",
    ),
    Rule(
        _F,
        (ours.GraphRefused, ours.GraphQueryError, ours.GraphSchemaError, ours.GraphSyncError, ours.GraphError),
        "the graph refuses until somebody mends it",
    ),
    Rule(_F, (ours.EmbeddingMismatch,), "its embeddings are of another model"),
    Rule(
        _F,
        (
            *(
                ours.MemoryNotFound,
                ours.FactNotFound,
                ours.ConversationNotFound,
                ours.LetterNotFound,
                ours.UserNotFound,
            ),
            *(ours.EntryNotFound, ours.KeyNotFound, ours.ContextNotFound, ours.ParentNotFound, ours.AgentNotRegistered),
            *(ours.MemorySpaceNotFound, ours.GraphNotFound),
        ),
        "it does not exist",
    ),
    Rule(
        _F,
        (ours.ConversationExists, ours.AgentAlreadyRegistered, ours.MemorySpaceExists, ours.ParticipantExists),
        "another one is stored under its id",
    ),
    Rule(_F, (ours.InvalidParticipants,), "others have to be given"),
    Rule(_F, (ours.VersionConflict,), "it was changed meanwhile: read it again and decide anew"),
    Rule(_F, (ours.MemoryNotArchived, ours.ValueNotArray, ours.ValueNotNumber), "the record is not of that kind"),
    Rule(_F, (ours.HasChildren, ours.MemorySpaceHasData), "others depend on it"),
    Rule(_F, (ours.MemorySpaceArchived, ours.ContextReadOnly), "it may be read, not written"),
    Rule(_F, (ours.FactRetracted,), "another fact took its place, or none"),
    Rule(_F, (ours.RetryAfterTooLong,), "the provider asks for a longer pause than the limit"),
    Rule(_F, (ours.StreamTooLong, ours.EmptyAnswer), "a retry would not change the answer"),
    Rule(_F, (ours.QueueClosed, ours.TextDiverged), "it was closed, or the text began again, for good"),
    Rule(_F, (ours.CortexError,), "any other"),
)
"""Our own errors, by class: the nearest class counts."""


_WORDS = (
    Rule(
        _F,
        ("insufficient_quota", "billing_error", "billing_hard_limit_reached", "billing_not_active"),
        "a matter of billing, whatever the status (429) says",
    ),
    Rule(
        _F,
        ("context_length_exceeded", "string_above_max_length", "request_too_large"),
        "the question is too long for the model",
    ),
    Rule(_F, ("content_filter", "content_policy_violation", "invalid_prompt"), "the provider refuses the content"),
    Rule(
        _F,
        (
            *("invalid_request_error", "authentication_error", "permission_error", "not_found_error"),
            *("invalid_api_key", "model_not_found", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNAUTHENTICATED"),
            *("PERMISSION_DENIED", "NOT_FOUND", "ValidationException", "AccessDeniedException"),
            "ResourceNotFoundException",
        ),
        "the request is wrong, or not allowed",
    ),
    Rule(
        _T,
        (
            *("overloaded_error", "rate_limit_error", "rate_limit_exceeded", "slow_down", "engine_overloaded_error"),
            *(
                "server_is_overloaded",
                "overloaded",
                "RESOURCE_EXHAUSTED",
                "ThrottlingException",
                "TooManyRequestsException",
            ),
        ),
        "the provider is overloaded, or asked too often",
    ),
    Rule(
        _T,
        (
            *("server_error", "api_error", "internal_server_error", "service_unavailable", "timeout_error"),
            "service_unavailable_error",
            *("INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "InternalServerException"),
            *("ServiceUnavailableException", "ModelStreamErrorException", "ModelTimeoutException"),
            "ModelNotReadyException",
        ),
        "the provider failed",
    ),
    Rule(_T, ("idle",), "nothing came from the source: a `StreamTimeout`"),
    Rule(_F, ("total",), "the total time is used up: a `StreamTimeout`"),
)
"""Words of providers, in the error (`code`, `type`, `status`) or in the body that it carries.  Case is ignored."""


_HEADER = (
    Rule(_T, ("true",), "the server asks for a retry"),
    Rule(_F, ("false",), "the server asks for no retry"),
)
"""The header `x-should-retry` of OpenAI and Anthropic.  Their clients obey it."""


_STATUSES = (
    Rule(
        _T,
        (408, 409, 425, 429),
        "a timeout, a lock, too early, too often: the clients of OpenAI and Anthropic retry 408, 409 and 429",
    ),
    Rule(_F, (501, 505, 510, 511), "the server does not support it, though some clients retry every 5xx"),
    Rule(_T, (range(500, 1000),), "the server failed"),
    Rule(_F, (range(400, 500),), "the request is wrong, or not allowed"),
)
"""HTTP statuses; the first rule counts.  A status below 400 means nothing."""


_CLOSES = (
    Rule(_F, (1002, 1003, 1007, 1008, 1009, 1010), "the request is wrong, too long, or not allowed"),
    Rule(_T, (1001, 1005, 1006, range(1011, 1016)), "the server went away, or failed"),
)
"""Close codes of a WebSocket."""


_CLASSES = (
    Rule(
        _F,
        ("SSLCertVerificationError", "ClientConnectorCertificateError", "ServerFingerprintMismatch"),
        "the certificate of the server is not trusted",
    ),
    Rule(
        _F,
        (
            *("UnsupportedProtocol", "InvalidURL", "InvalidURI", "MissingSchema", "InvalidSchema", "InvalidHeader"),
            *("NonHttpUrlClientError", "LocationValueError", "TooManyRedirects", "LocalProtocolError"),
        ),
        "the client cannot send such a request, or is redirected in a loop",
    ),
    Rule(_F, ("LineTooLong",), "the client cannot read such an answer"),
    Rule(
        _BUG,
        (
            *("TypeError", "AttributeError", "NameError", "LookupError", "AssertionError", "ArithmeticError"),
            *("ImportError", "SyntaxError", "NotImplementedError", "RecursionError", "UnicodeError"),
            "ImproperConnectionState",  # of http.client: CannotSendRequest, ResponseNotReady
        ),
        "a mistake in a program",
    ),
    Rule(
        _T,
        (
            *("ConnectionError", "TimeoutError", "IncompleteReadError", "EOFError", "gaierror", "herror", "SSLError"),
            *("HTTPException", "BrokenResourceError"),
        ),
        "Python: a connection that failed or was too slow, a name that was not found, TLS that broke",
    ),
    Rule(
        _T,
        ("TransportError", "TimeoutException", "NetworkError", "ProtocolError", "ProxyError"),
        "httpx, httpcore, h11, urllib3: the connection",
    ),
    Rule(
        _T,
        ("ClientConnectionError", "ClientPayloadError", "ChunkedEncodingError", "Timeout", "IncompleteRead"),
        "aiohttp, requests, urllib3: the connection, or an answer that was cut off",
    ),
    Rule(
        _T,
        ("APIConnectionError", "HTTPClientError", "ResponseStreamingError", "ConnectionClosedError"),
        "clients of providers, botocore, websockets: the connection",
    ),
)
"""Errors of Python and of clients, by the name of the class or of its nearest base."""


_ERRNOS = (
    Rule(
        _T,
        (
            *("ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "EPIPE", "ENOTCONN", "ESHUTDOWN", "ETIMEDOUT"),
            *("ENETUNREACH", "ENETDOWN", "ENETRESET", "EHOSTUNREACH", "EHOSTDOWN", "EADDRNOTAVAIL", "ENOBUFS"),
            *("EAGAIN", "EINTR"),
        ),
        "the network",
    ),
)
"""An `OSError` without a known class."""


TABLE: Mapping[str, tuple[Rule, ...]] = {
    "ours": _OURS,
    "words": _WORDS,
    "header": _HEADER,
    "statuses": _STATUSES,
    "closes": _CLOSES,
    "classes": _CLASSES,
    "errnos": _ERRNOS,
}
"""All rules: our own errors, words of providers, the header `x-should-retry`, HTTP statuses, close codes of WebSockets,
classes by name, errnos."""
