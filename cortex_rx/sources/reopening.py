"""How a source is reopened after a failure: what its factory can do, and where it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Literal

from cortex_rx import validation as check
from cortex_rx.events import Opened
from cortex_rx.models.recalled import RecallResult
from cortex_rx.models.records import Usage
from cortex_rx.models.source_position import PrefixHash, PrefixMatcher, SourcePosition

__all__ = ["Reopenable", "ResumePoint", "SourceProgress", "prefill", "replayable", "restart"]


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Tells a factory where its source goes on.

    `offset` code points of attempt `attempt` have been read. `retry` counts the reopenings; 0 is the first opening.
    `cause` is the error that ended the last one. `cursor` is the provider's last cursor, for `replayable(...,
    cursor=True)`. `text` is the text read so far, for `prefill` only, without the white space at its end.
    `recalled` is what was recalled for the question, in a `recalling`.
    """

    offset: int = 0
    attempt: int = 0
    retry: int = 0
    cause: Exception | None = None
    cursor: Any = None
    text: str | None = None
    recalled: RecallResult | None = None


Factory = Callable[[ResumePoint], Any]


@dataclass(frozen=True, slots=True)
class Reopenable:
    """A factory of a source, and what the factory can do when it is called again.

    See `replayable`, `prefill` and `restart`.
    """

    factory: Factory
    how: Literal["replayable", "prefill", "restart"]
    cursor: bool = False
    otherwise: Reopenable | None = None

    def __post_init__(self) -> None:
        check.callback("factory", self.factory)
        check.flag("cursor", self.cursor)
        check.optional(check.instance(Reopenable, "a Reopenable"))("otherwise", self.otherwise)


def replayable(factory: Factory, *, cursor: bool = False) -> Reopenable:
    """A source that delivers the same text again: from its start or, with `cursor`, from the provider's cursor.

    `factory(point)` opens it. Text that was read before comes again and is cut off. Its length and hash tell whether it
    is the same text. Another text begins a new attempt. With `cursor` the factory goes on after `point.cursor` (None:
    from the start); a provider function gives the cursors as `Cursor` pieces. **Unbounded**: repeated text is held
    until it is compared.

    >>> replayable(lambda point: ["Hello ", "Ada"]).how
    'replayable'
    """
    return Reopenable(factory, "replayable", cursor)


def prefill(factory: Factory, *, otherwise: Reopenable | None = None) -> Reopenable:
    """A model that continues a given beginning of its answer: `factory(point)` asks it for what follows `point.text`.

    `point.text` has no white space at its end, since some providers refuse it. Where the model repeats this white
    space, it is not emitted twice. If the provider refuses the request (HTTP 400, 404 or 422 before any text), it is
    asked as `otherwise` says, if that is given. **Unbounded**: the text read so far is held.

    >>> prefill(lambda point: ["..."], otherwise=restart(lambda point: ["..."])).otherwise.how
    'restart'
    """
    return Reopenable(factory, "prefill", otherwise=otherwise)


def restart(factory: Factory) -> Reopenable:
    """A source that begins anew each time. The text of the new attempt replaces the one before; the store keeps both.

    >>> restart(lambda point: ["Hello"]).how
    'restart'
    """
    return Reopenable(factory, "restart")


@dataclass(slots=True)
class SourceProgress:
    """How far one source has been read, over all its openings. `how` says how it is reopened; None for a plain one."""

    how: Reopenable | None
    offset: int = 0
    index: int = 0
    attempt: int = 0
    prefix: PrefixHash = field(default_factory=PrefixHash)
    cursor: Any = None
    cursor_at: int = 0
    customs: int = 0
    """How many `Custom` events this attempt has emitted."""
    refused: bool = False
    """The text of this attempt is a refusal."""
    usage: Usage | None = None
    model: str | None = None
    """The model that answers, once its provider has named it."""
    text: StringIO | None = None
    base: float = 0.0
    """The time of the flow at `Opened`."""
    begun: bool = False
    """`Opened` was emitted, and with it what another process had stored."""
    opened: bool = False
    """The source has been opened before, here or in another process."""
    comparable: bool = True
    """The text read so far can be compared with the text of a reopened source."""
    rewritten: bool = False
    """A `rewrite` stands downstream."""
    replay_due: bool = False
    """Another process has read the text so far, and the rewriter of this process has not seen it yet."""
    takeovers: int = 0
    """How often another source of a `fallback` has taken over."""
    keeps_text: bool = False
    """The text is kept, for a source that is asked to go on from it."""
    first: Opened | None = None
    """The event with which the stream began here."""
    recalled: RecallResult | None = None
    """What was recalled for the question; None if nothing has been recalled yet."""

    def __post_init__(self) -> None:
        if self.keeps_text or (self.how and self.how.how == "prefill"):
            self.text = StringIO()

    def begin_anew(self) -> None:
        """Begin a new attempt, from its start."""
        self.attempt += 1
        self.offset = self.index = self.customs = self.cursor_at = 0
        self.replay_due = self.refused = False
        self.prefix, self.cursor, self.comparable = PrefixHash(), None, True
        self.usage = self.model = None
        if self.text is not None:
            self.text = StringIO()

    def restore(self, text: str, index: int, attempt: int, position: SourcePosition | None) -> None:
        """Go on from where another process had read to."""
        self.opened, self.index, self.attempt = True, index, attempt
        if position and position.rewritten and not self.rewritten:
            position = None  # the chain was another one: the stored text is not the text that the source will deliver
        self.offset = position.offset if position else len(text)
        segments = position.segments if position else None
        self.comparable = bool(segments) or self.offset == 0
        self.replay_due = self.rewritten
        self.prefix = PrefixHash(segments or (), self.offset)
        if position:
            self.cursor, self.cursor_at = position.cursor, position.cursor_at
        if self.text is not None:
            self.text.write(text)

    def advance(self, text: str) -> SourcePosition | None:
        """Count a piece that was read. Returns the position after it, if the source can be reopened."""
        self.offset += len(text)
        self.index += 1
        if self.how is None:
            return None
        self.prefix.add(text)
        if self.text is not None:
            self.text.write(text)
        return SourcePosition(self.offset, self.prefix, self.cursor, self.cursor_at, self.rewritten)

    def add_usage(self, usage: Usage | None) -> None:
        """Add the usage, or the part of it, that a provider reported."""
        if self.usage and usage:  # a provider may report it in parts, input first
            usage = self.usage.model_copy(update=usage.model_dump(exclude_none=True))
        self.usage = usage or self.usage

    def resume_cursor(self, how: Reopenable) -> Any:
        """The provider's cursor, if the source goes on there; None if it begins from its start."""
        return self.cursor if how.cursor and not self.replay_due else None

    def matcher(self, how: Reopenable) -> PrefixMatcher | None:
        """Compares the reopened source with the text read before; None if they cannot be compared."""
        if self.resume_cursor(how) is not None:
            return PrefixMatcher((), self.offset, self.cursor_at)
        segments = self.prefix.segments(self.offset) if self.comparable else None
        return None if segments is None else PrefixMatcher(segments, self.offset)
