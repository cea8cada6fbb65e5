"""The hooks and the events that they receive: four with Cortex's names and fields, and `on_end`.

Each event is a record, read by attribute and by key.  Lengths are code points, even where Cortex calls them bytes.
Times are epoch milliseconds, intervals milliseconds.

    >>> event = ChunkEvent(
    ...     chunk="day", chunk_number=2, accumulated="Good day", offset=5, timestamp=0, estimated_tokens=2
    ... )
    >>> event.chunk_number, event["chunkNumber"], event["accumulated"]
    (2, 2, 'Good day')
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field, computed_field
from pydantic.json_schema import SkipJsonSchema

from cortex_rx.models.base import Accepts, Options
from cortex_rx.models.records import Phase, Record, StreamError
from cortex_rx.validation import callback, optional

__all__ = [
    "Accumulated",
    "ChunkEvent",
    "Growing",
    "OnChunk",
    "OnComplete",
    "OnEnd",
    "OnError",
    "OnProgress",
    "Outcome",
    "ProgressEvent",
    "StoppedBy",
    "StreamCompleteEvent",
    "StreamEndEvent",
    "StreamHooks",
]

_PIECES = 1024  # pieces that are held before they are joined


class Growing:
    """A text that grows by pieces.  It takes the memory of the text, since only few pieces are held at a time."""

    __slots__ = ("_blocks", "_pieces", "length")

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._pieces: list[str] = []
        self.length: int = 0

    def add(self, piece: str) -> None:
        """Append a piece."""
        self._pieces.append(piece)
        self.length += len(piece)
        if len(self._pieces) == _PIECES:
            self._blocks.append("".join(self._pieces))
            self._pieces.clear()

    def whole(self) -> str:
        """The text so far."""
        return "".join((*self._blocks, *self._pieces))


class Accumulated:
    """The first `length` code points of a growing text.  They are joined only on the first `str`, and then kept."""

    __slots__ = ("_growing", "_text")

    def __init__(self, growing: Growing, length: int) -> None:
        self._growing: tuple[Growing, int] | None = growing, length
        self._text = ""

    def __str__(self) -> str:
        if self._growing is not None:
            growing, length = self._growing
            text = growing.whole()
            self._text, self._growing = text if len(text) == length else text[:length], None
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str | Accumulated) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)  # a copy needs this text, not what came after it


class ChunkEvent(Record):
    """A piece of the answer arrived: `chunk` stands at `offset`, and `accumulated` is the answer up to the end of
    `chunk`.

    `chunk_number` counts the deltas of the answer, from 1.  A hook that is slower than the stream gets several deltas
    as one `chunk`: `deltas` says how many, and `chunk_number` is the number of the last.  When the text begins again,
    `offset` is 0.  `timestamp` is when the last delta came.  `estimated_tokens` is a quarter of the code points of
    `accumulated`.

    All events share one copy of the text.  Reading `accumulated` copies the answer so far, which is expensive at every
    event of a very long answer.  `chunk` alone holds the new text.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    chunk: str
    chunk_number: int
    so_far: str | SkipJsonSchema[Accumulated] = Field(alias="accumulated", exclude=True, repr=False)
    """The source of `accumulated`."""
    timestamp: float
    estimated_tokens: int
    offset: int
    deltas: int = 1

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def accumulated(self) -> str:
        """The answer up to the end of this chunk."""
        return str(self.so_far)


class ProgressEvent(Record):
    """How far the stream is: `bytes_processed` code points of the answer, in `chunks` deltas, `elapsed_ms` after the
    request.

    `estimated_completion` is when the answer should be complete, in epoch milliseconds, by its expected length and its
    pace since the first text.  It is None if no length is expected, and once the answer has ended or outgrown that
    length.  `current_phase` is "streaming" when text came, "storage" when a part of the answer was stored,
    "fact-extraction" when facts were found, and "finalization" from the end of the text on.
    """

    bytes_processed: int
    chunks: int
    elapsed_ms: float
    estimated_completion: float | None = None
    current_phase: Phase


class StreamCompleteEvent(Record):
    """The answer is complete, and stored if the chain stores it.

    `total_chunks` counts its deltas.  `duration_ms` runs from the request to the end of the text.  `facts_extracted`
    counts the facts that were found, each once however often it was revised.
    """

    full_response: str
    total_chunks: int
    duration_ms: float
    facts_extracted: int


Outcome: TypeAlias = Literal["remembered", "kept", "rolled-back", "spooled", "not-stored"]
StoppedBy: TypeAlias = Literal["stopped", "left", "closed", "request", "cancelled"]


class StreamEndEvent(Record):
    """The stream has ended, however it did: what memory has of it.

    `length` code points of the answer came; `stored_length` of them are known to be in the store.  `duration_ms` runs
    from the request to the end.  `error` is the failure that ended the stream, or that of its last write.  `stream_id`
    is None if the stream was never opened.  What `answer.stop(keep_partial=False)` deletes is deleted after this.
    """

    stream_id: str | None
    outcome: Outcome
    """"remembered": the exchange is stored.  "kept": the stream ended early; the question and the answer up to
    `stored_length` are in the store, where the stream can be resumed unless `error` says otherwise.  "rolled-back":
    both were deleted.  "spooled": what the store could not take is in the spool.  "not-stored": none of these, or no
    step stores."""
    stopped: StoppedBy | None
    """What stopped it before its end: `answer.stop()` ("stopped"), that nobody used it for `linger` ("left"), the close
    of the client ("closed"), `memory.stop` ("request"), or the end of its task, of its loop or of a step downstream
    ("cancelled").  None if it ended by itself."""
    length: int
    stored_length: int
    duration_ms: float
    error: StreamError | None = None


OnChunk: TypeAlias = Callable[[ChunkEvent], object]
"""Called with each piece of the answer.  The result is awaited if it is awaitable."""
OnProgress: TypeAlias = Callable[[ProgressEvent], object]
"""Called from time to time with the progress of the stream."""
OnError: TypeAlias = Callable[[StreamError], object]
"""Called with each failure."""
OnComplete: TypeAlias = Callable[[StreamCompleteEvent], object]
"""Called once, when everything is stored."""
OnEnd: TypeAlias = Callable[[StreamEndEvent], object]
"""Called once, when the stream has ended in any way."""

_HOOK = Accepts(optional(callback))


class StreamHooks(Options):
    """The hooks of a stream, each sync or async, or None: see `operators.observe`.

    >>> StreamHooks(on_chunk=print).on_progress is None
    True
    >>> StreamHooks(on_chunk="print")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: on_chunk: got 'str'; accepted: a function, plain or async, or None
    """

    on_chunk: Annotated[OnChunk | None, _HOOK] = None
    on_progress: Annotated[OnProgress | None, _HOOK] = None
    on_error: Annotated[OnError | None, _HOOK] = None
    on_complete: Annotated[OnComplete | None, _HOOK] = None
    on_end: Annotated[OnEnd | None, _HOOK] = None
