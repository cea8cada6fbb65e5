"""What flows: the events of one streamed answer.

Every operator takes events and gives events.  `StreamEvent` is open: a user's own event is a subclass of it, and passes
through every chain.  `BuiltinEvent` is the closed union of ours, for exhaustive matching.

An event turns into JSON and back; the same form serves server-sent events, recordings and snapshots::

    >>> to_json(Delta("Hello", index=0, offset=0, attempt=0, at=0.25))
    {'type': 'Delta', 'text': 'Hello', 'index': 0, 'offset': 0, 'attempt': 0, 'at': 0.25}
    >>> from_json(to_json(Ended("stop", offset=5, index=1)))
    Ended(reason='stop', offset=5, index=1, usage=None)

`at` is seconds since `Opened`, by the clock of the flow; `offset` and lengths are code points; `index` counts deltas from 0.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, final, get_args

from pydantic import ConfigDict, TypeAdapter

from cortex_rx.errors import CortexError, InvalidArgument
from cortex_rx.models.records import ContentChunk, MemoryEntry, Phase, ProgressiveFact, StreamMetrics, Usage
from cortex_rx.models.source_position import SourcePosition
from cortex_rx.models.turn import Turn

__all__ = [
    "Begun",
    "BuiltinEvent",
    "Chunked",
    "Custom",
    "Delta",
    "Ended",
    "FactsExtracted",
    "Interrupted",
    "Measured",
    "Opened",
    "Ownership",
    "PartialStored",
    "Problem",
    "Remembered",
    "Replayed",
    "Resumed",
    "Rewound",
    "RolledBack",
    "SourceReplayed",
    "StreamEvent",
    "from_json",
    "to_json",
]


class StreamEvent:
    """The base of every event.  Subclass it, as a slotted dataclass, for events of your own.

    >>> @dataclass(slots=True)
    ... class Cited(StreamEvent):
    ...     source: str
    >>> from_json(to_json(Cited("page 7")), Cited)
    Cited(source='page 7')
    """

    __slots__ = ()


_ANYTHING = ConfigDict(arbitrary_types_allowed=True)  # for what is of this process only


def _claim() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Ownership:
    """How a stream is owned that was taken over with a token."""

    memory_id: str
    """The memory of its answer."""
    epoch: int
    """Under which it is written from now on."""
    attempt: int
    """The attempt that its text is of."""


@final
@dataclass(slots=True)
class Opened(StreamEvent):
    """First, always, once: who asks what.  `at` is wall time, seconds since the epoch.

    `resumed` is there when the stream began in another process and was taken over.  `token` is the one with which it can be
    resumed from now on; `claim` makes one beginning of what is sent to the store twice.  Both are of this process only.
    """

    turn: Turn
    """The question, who asks it, and where the answer belongs."""
    stream_id: str
    """Made by the client; derived from the idempotency key if the turn has one."""
    at: float
    """Wall time, seconds since the epoch."""
    resumed: Ownership | None = None
    """Under what it was taken over, if it began in another process."""
    token: str | None = field(default=None, compare=False, repr=False)
    """With which a stream that was taken over can be resumed from now on; in this process only."""
    claim: str = field(default_factory=_claim, compare=False, repr=False)
    """Makes one beginning of what is sent to the store twice; in this process only."""

    def arguments(self) -> dict[str, Any]:
        """What `streams:begin` takes of it: those of the turn, and of its stream the id, the time and the claim."""
        stream = {"streamId": self.stream_id, "startedAt": round(self.at * 1000), "claim": self.claim}
        return stream | self.turn.arguments()


@final
@dataclass(slots=True)
class Begun(StreamEvent):
    """The question is durable, and this process owns the stream under `epoch`.

    `attempt` is what the store counts attempt 0 of the deltas as: above 0 when the same stream was begun before and not
    finished.  `token` is the one with which the stream can be resumed, in this process only.
    """

    memory_id: str
    """The memory that the answer will be; partial until it is finalised."""
    epoch: int
    """Rises each time the stream is begun; a write under an older one is refused."""
    attempt: int = 0
    """Which text of this stream it is for the store, from 0."""
    token: str | None = field(default=None, compare=False, repr=False)
    """With which the stream can be resumed elsewhere; in this process only."""
    stored_before: bool = False
    """The same exchange has an answer already, under the same idempotency key: what comes now is compared with it in the end, and
    no reader's place in it is a place in what is stored."""


@final
@dataclass(slots=True)
class Replayed(StreamEvent):
    """What has gone before, for a reader that comes late: `text` is the whole answer up to `offset`.

    In a stream that was taken over it comes once, after `Begun`: what is stored already.  There `mark` is the place in the
    source that belongs to `offset`: where a step between them changes text, the two differ, and the source's deltas go on at
    `mark.offset`.
    """

    text: str
    """The whole answer so far."""
    offset: int
    """The length of `text`: the next delta stands there."""
    index: int
    """How many deltas are in it: the index of the next one."""
    attempt: int = 0
    """That of the deltas it was made of."""
    mark: SourcePosition | None = field(default=None, compare=False, repr=False)
    """The place in the source that belongs to its end; in this process only."""

    __pydantic_config__: ClassVar[ConfigDict] = _ANYTHING


@final
@dataclass(slots=True)
class SourceReplayed(StreamEvent):
    """Text of the source that another process had read, once more: for the steps that rewrite it, which keep it to themselves.

    It comes in a stream that was taken over, where a `rewrite` stands in the chain and the source delivers the same text again:
    after `Resumed`, and before the first delta.  Nothing of it is shown or stored.
    """

    text: str
    """Not empty."""
    attempt: int
    """That of the deltas which follow."""
    at: float
    """Seconds since `Opened`."""


@final
@dataclass(slots=True)
class Delta(StreamEvent):
    """One piece of the answer: `text` stands at `offset`.  `attempt` rises only when the text begins anew.

    `mark` is the place in the source that has been read with it.  `rewrite` forwards that of what it was fed last; another step that
    changes text forwards the mark of what it has released, or none.
    """

    text: str
    """Never empty, and without lone surrogates."""
    index: int
    """Counts the deltas of an attempt, from 0."""
    offset: int
    """Where it begins: the length of the text before it."""
    attempt: int
    """From 0; rises only when the text begins anew."""
    at: float
    """Seconds since `Opened`."""
    mark: SourcePosition | None = field(default=None, compare=False, repr=False)
    """The place in the source that belongs to its end; in this process only."""

    __pydantic_config__: ClassVar[ConfigDict] = _ANYTHING


@final
@dataclass(slots=True)
class Ended(StreamEvent):
    """There is no more text, and why.

    `reason` is the provider's (`stop`, `length`, `tool_calls`, `content_filter`, `refusal`), `incomplete` when a provider's stream
    stopped without one, or what ended it here (`limit`, `timeout`).  `offset` is the length of the answer, `index` the
    number of its deltas.
    """

    reason: str
    """Why there is no more text."""
    offset: int
    """The length of the answer."""
    index: int
    """The number of its deltas."""
    usage: Usage | None = None
    """The tokens that the provider counted, if it says so."""


@final
@dataclass(slots=True)
class Chunked(StreamEvent):
    """A chunk of the answer is closed; `attempt` is that of the deltas it was cut from."""

    chunk: ContentChunk
    """Its text and where it stands in the answer."""
    attempt: int = 0
    """That of the deltas it was cut from."""


@final
@dataclass(slots=True)
class PartialStored(StreamEvent):
    """The answer is durable up to `offset`; `index` deltas are in it."""

    offset: int
    """How much of the answer is durable."""
    index: int
    """How many deltas are in that."""
    attempt: int
    """Which text it is, as in `Delta`."""
    at: float
    """Seconds since `Opened`, when the write was acknowledged."""


@final
@dataclass(slots=True)
class FactsExtracted(StreamEvent):
    """Facts were found, or revised."""

    facts: tuple[ProgressiveFact, ...]
    """Each with what happened to it."""


@final
@dataclass(slots=True)
class Resumed(StreamEvent):
    """The source was reopened, for the `retry`-th time; the text goes on at `offset` or, under a new `attempt`, begins anew."""

    retry: int
    """Counts the reopenings, from 1."""
    attempt: int
    """The one under which the text goes on."""
    offset: int
    """Where it goes on."""
    cause: str
    """Why it was reopened, in words."""


@final
@dataclass(slots=True)
class Rewound(StreamEvent):
    """A reader's place does not exist any more: what it has seen beyond it was lost with a process, or is of an older attempt."""

    attempt: int
    """The attempt whose text follows."""
    offset: int
    """Where it goes on: what was seen beyond it is to be forgotten."""


@final
@dataclass(slots=True)
class Interrupted(StreamEvent):
    """Nobody writes the stream any more; it can be resumed."""

    attempt: int
    """The attempt that is stored."""
    offset: int
    """Up to here it is stored."""


@final
@dataclass(slots=True)
class RolledBack(StreamEvent):
    """The exchange is gone from the store: the partial answer, and the question."""

    stream_id: str
    """The stream that is no more."""
    memory_id: str | None = None
    """The partial memory that was deleted."""


@final
@dataclass(slots=True)
class Problem(StreamEvent):
    """Side work failed; the answer goes on.  `error` is the exception itself, in this process only."""

    phase: Phase
    """In which part of the work it happened."""
    code: str
    """What happened, for programs: that of the `CortexError`, else the name of the exception's class."""
    message: str
    """What happened, for people; without text of a user."""
    recoverable: bool
    """Whether the work is tried again, or done otherwise; `is_transient(error)` is another question: whether the same may go well."""
    error: Exception | None = field(default=None, compare=False, repr=False)
    """The exception; it is not part of the JSON."""

    __pydantic_config__: ClassVar[ConfigDict] = _ANYTHING

    @classmethod
    def of(cls, phase: Phase, error: Exception, *, recoverable: bool) -> Problem:
        """What happened, from the exception that says it."""
        if isinstance(error, CortexError):
            return cls(phase, error.code, str(error), recoverable, error)
        # What another's error says may be a user's text, and events go far; in this process `error` has it.
        name = type(error).__name__
        return cls(phase, name, f"{name} was raised", recoverable, error)


@final
@dataclass(slots=True)
class Remembered(StreamEvent):
    """The exchange is stored: `memories` are those of the question and the answer.

    `stored_before` says that it was stored already, by an earlier run with the same idempotency key and the same text.
    """

    conversation_id: str
    """Where the messages are."""
    message_ids: tuple[str, ...]
    """Those of the question and of the answer."""
    memories: tuple[MemoryEntry, ...]
    """Those of the question and of the answer; of a long text the beginning."""
    stored_before: bool = False
    """It was stored already, by an earlier run."""


@final
@dataclass(slots=True)
class Measured(StreamEvent):
    """A snapshot of the metrics."""

    metrics: StreamMetrics
    """What was counted up to here."""


@final
@dataclass(slots=True)
class Custom(StreamEvent):
    """Anything else that came along: tool calls, reasoning, citations.  `data` is JSON."""

    name: str
    """What it is: `tool_calls`, `reasoning`, `refusal`, or any other name."""
    data: Any = None
    """JSON."""


BuiltinEvent: TypeAlias = (
    Opened
    | Begun
    | Replayed
    | SourceReplayed
    | Delta
    | Ended
    | Chunked
    | PartialStored
    | FactsExtracted
    | Resumed
    | Rewound
    | Interrupted
    | RolledBack
    | Problem
    | Remembered
    | Measured
    | Custom
)
"""One of our own events: for exhaustive matching."""

_BUILTIN: dict[str, type[StreamEvent]] = {kind.__name__: kind for kind in get_args(BuiltinEvent)}


_ADAPTERS: dict[type[StreamEvent], TypeAdapter[Any]] = {}


_HERE: dict[type[StreamEvent], set[str]] = {
    Opened: {"token", "claim"},
    Begun: {"token"},
    Replayed: {"mark"},
    Delta: {"mark"},
    Problem: {"error"},
}
"""The fields that are of this process only."""


def _adapter(kind: type[StreamEvent]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(event: StreamEvent) -> dict[str, Any]:
    """The event as JSON: its fields, and `type`, the name of its class.  A user's event must be a dataclass."""
    data: dict[str, Any] = _adapter(type(event)).dump_python(event, mode="json", exclude=_HERE.get(type(event)))
    return {"type": type(event).__name__} | data


def from_json(data: Mapping[str, Any], *kinds: type[StreamEvent]) -> StreamEvent:
    """The event that `to_json` gave.  `kinds` are the user's own event classes among which to look.

    Raises `InvalidArgument` for a type that is not known, pydantic's `ValidationError` for fields that do not fit.
    """
    known = _BUILTIN | {kind.__name__: kind for kind in kinds}
    name = data.get("type")
    if not isinstance(name, str) or name not in known:
        raise InvalidArgument("type", name, f"one of {', '.join(sorted(known))}")
    event: StreamEvent = _adapter(known[name]).validate_python({k: v for k, v in data.items() if k != "type"})
    return event
