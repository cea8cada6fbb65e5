"""How a source is reopened when it has failed: what its factory can do, and where it is to go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Literal

from cortex_rx import validation as check
from cortex_rx.models.records import Usage
from cortex_rx.models.source_position import PrefixHash, PrefixMatcher, SourcePosition

__all__ = ["Reopenable", "ResumePoint", "SourceProgress", "prefill", "replayable", "restart"]


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """What a factory is told: where its source goes on.

    `offset` code points have been read, of attempt `attempt`; `retry` counts the reopenings, 0 is the first opening; `cause` is
    what ended the last one.  `cursor` is the last place that the provider gave, for `replayable(..., cursor=True)`; `text` is what
    has been read, for `prefill` alone, without the white space at its end.
    """

    offset: int = 0
    attempt: int = 0
    retry: int = 0
    cause: Exception | None = None
    cursor: Any = None
    text: str | None = None


Factory = Callable[[ResumePoint], Any]


@dataclass(frozen=True, slots=True)
class Reopenable:
    """A factory of a source, and what it can do when it is called again: see `replayable`, `prefill` and `restart`."""

    factory: Factory
    how: Literal["replayable", "prefill", "restart"]
    cursor: bool = False
    otherwise: Reopenable | None = None

    def __post_init__(self) -> None:
        check.callback("factory", self.factory)
        check.flag("cursor", self.cursor)
        check.optional(check.instance(Reopenable, "a Reopenable"))("otherwise", self.otherwise)


def replayable(factory: Factory, *, cursor: bool = False) -> Reopenable:
    """A source that delivers the same text again: from its start or, with `cursor`, from the place that the provider gave.

    `factory(point)` opens it.  What had been read comes again and is cut off; whether it is the same text is told by its length
    and hash.  Another text begins a new attempt.  With `cursor` the factory goes on after `point.cursor` (None: from the start);
    a provider function says the places by `Cursor` pieces.  **Unbounded**: what comes again is held until it is compared.

    >>> replayable(lambda point: ["Hello ", "Ada"]).how
    'replayable'
    """
    return Reopenable(factory, "replayable", cursor)


def prefill(factory: Factory, *, otherwise: Reopenable | None = None) -> Reopenable:
    """A model that goes on after a beginning of its answer: `factory(point)` asks it for what follows `point.text`.

    White space at the end of the beginning is left out of it, which some providers ask for; where the model repeats it, it is
    not repeated.  A provider that refuses (HTTP 400, 404 or 422 before any text) is asked as `otherwise` says, if that is given.
    **Unbounded**: what has been read is held.

    >>> prefill(lambda point: ["..."], otherwise=restart(lambda point: ["..."])).otherwise.how
    'restart'
    """
    return Reopenable(factory, "prefill", otherwise=otherwise)


def restart(factory: Factory) -> Reopenable:
    """A source that begins anew each time: a new attempt, whose text replaces the one before; the store keeps both.

    >>> restart(lambda point: ["Hello"]).how
    'restart'
    """
    return Reopenable(factory, "restart")


@dataclass(slots=True)
class SourceProgress:
    """How far one source has been read, over all its openings; `how` it is opened again, None for a plain one."""

    how: Reopenable | None
    offset: int = 0
    index: int = 0
    attempt: int = 0
    trail: PrefixHash = field(default_factory=PrefixHash)
    cursor: Any = None
    cursor_at: int = 0
    customs: int = 0
    """Events beside the text that this attempt has given."""
    refused: bool = False
    """The text of this attempt is a refusal."""
    usage: Usage | None = None
    text: StringIO | None = None
    base: float = 0.0
    """The time of the flow at `Opened`."""
    begun: bool = False
    """`Opened` has come, and with it what another process had stored."""
    opened: bool = False
    """It has been opened before, here or in another process."""
    known: bool = True
    """What has been read can be compared."""
    rewritten: bool = False
    """A `rewrite` stands downstream."""
    again: bool = False
    """Another process has read so far, and the rewriter of this one has not seen it yet."""

    def __post_init__(self) -> None:
        if self.how and self.how.how == "prefill":
            self.text = StringIO()

    def anew(self) -> None:
        """The text begins anew."""
        self.attempt += 1
        self.offset = self.index = self.customs = self.cursor_at = 0
        self.again = self.refused = False
        self.trail, self.cursor, self.usage, self.known = PrefixHash(), None, None, True
        if self.text is not None:
            self.text = StringIO()

    def restore(self, text: str, index: int, attempt: int, mark: SourcePosition | None) -> None:
        """Another process has read so far."""
        self.opened, self.index, self.attempt = True, index, attempt
        if mark and mark.rewritten and not self.rewritten:
            mark = None  # the chain was another one: what is stored is not the text that the source will give
        self.offset = mark.offset if mark else len(text)
        segments = mark.segments if mark else None
        self.known = bool(segments) or self.offset == 0
        self.again = self.rewritten
        self.trail = PrefixHash(segments or (), self.offset)
        if mark:
            self.cursor, self.cursor_at = mark.cursor, mark.cursor_at
        if self.text is not None:
            self.text.write(text)

    def took(self, text: str) -> SourcePosition | None:
        """A piece was read: the mark behind it, if the source can be opened again."""
        self.offset += len(text)
        self.index += 1
        if self.how is None:
            return None
        self.trail.add(text)
        if self.text is not None:
            self.text.write(text)
        return SourcePosition(self.offset, self.trail, self.cursor, self.cursor_at, self.rewritten)

    def used(self, usage: Usage | None) -> None:
        """A provider said what was used, or a part of it."""
        if self.usage and usage:  # it may say it in parts, input first
            usage = self.usage.model_copy(update=usage.model_dump(exclude_none=True))
        self.usage = usage or self.usage

    def place(self, how: Reopenable) -> Any:
        """The provider's cursor, if the source goes on there; None if it delivers from its start."""
        return self.cursor if how.cursor and not self.again else None

    def seam(self, how: Reopenable) -> PrefixMatcher | None:
        """What a reopened source has to be compared with; None if it cannot be."""
        if self.place(how) is not None:
            return PrefixMatcher((), self.offset, self.cursor_at)
        segments = self.trail.segments(self.offset) if self.known else None
        return None if segments is None else PrefixMatcher(segments, self.offset)
