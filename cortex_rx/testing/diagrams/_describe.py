"""Describe an event in a few words, for legends."""

from __future__ import annotations

from cortex_rx.events import (
    Adapted,
    Begun,
    Chunked,
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    GraphSynced,
    Measured,
    Opened,
    PartialStored,
    Problem,
    Recalled,
    Remembered,
    Replayed,
    Resumed,
    SourceReplayed,
    Waiting,
)

__all__ = ["describe", "shorten"]

SHOWN = 24  # code points of a text
LONG = 96  # code points of a repr


def shorten(text: str, most: int = SHOWN) -> str:
    """A text in quotes; of a long text the beginning, and its length in code points.

    >>> print(shorten("The quick brown fox jumps over the lazy dog"))
    'The quick brown fox jump…' (43)
    """
    if len(text) <= most + 8:  # what is told of the length would be longer than the rest
        return repr(text)
    return f"{repr(text[:most])[:-1]}…{repr(text[:most])[-1]} ({len(text):,})"


def describe(value: object) -> str:
    """Describe a value in one line: an event in a few words, anything else by its `repr`, shortened.

    >>> describe(Delta("Hel", index=0, offset=0, attempt=0, at=0.1))
    "Delta 'Hel' @0"
    """
    match value:
        case Opened(turn=turn):
            return f"Opened {shorten(turn.user_message)} in {turn.memory_space_id}/{turn.conversation_id}"
        case Waiting(reason=reason):
            return f"Waiting: {shorten(reason)}"
        case Begun(memory_id=memory, epoch=epoch, attempt=attempt):
            return f"Begun {memory} epoch {epoch}{_again(attempt)}"
        case Recalled(result=result):
            return f"Recalled {len(result.context)} texts, {result.used:,} {result.unit}"
        case Replayed(text=text, offset=offset, attempt=attempt):
            return f"Replayed {shorten(text)} to @{offset}{_again(attempt)}"
        case Delta(text=text, offset=offset, attempt=attempt):
            return f"Delta {shorten(text)} @{offset}{_again(attempt)}"
        case SourceReplayed(text=text, attempt=attempt):
            return f"SourceReplayed {shorten(text)}{_again(attempt)}"
        case Ended(reason=reason, offset=offset):
            return f"Ended {reason} @{offset}"
        case Chunked(chunk=chunk, attempt=attempt):
            return f"Chunked {shorten(chunk.content)} @{chunk.start_offset}-{chunk.end_offset}{_again(attempt)}"
        case Adapted(kind=kind):
            return f"Adapted to {kind}"
        case PartialStored(offset=offset):
            return f"PartialStored @{offset}"
        case FactsExtracted(facts=facts, side=side, start=start, stop=stop, attempt=attempt):
            of = f"{side} @{start}-{stop}{_again(attempt)}"
            return f"FactsExtracted {of} {', '.join(shorten(fact.fact) for fact in facts)}".rstrip()
        case GraphSynced(kind=kind, memory_id=memory, records=records):
            return f"GraphSynced {kind}{f' {memory}' if memory else ''}, {records:,} records"
        case Resumed(retry=retry, attempt=attempt, offset=offset, cause=cause, source=source):
            which = "" if source is None else f", source {source}"
            return f"Resumed, retry {retry}{which} @{offset}{_again(attempt)}: {shorten(cause)}"
        case Problem(phase=phase, code=code, message=message):
            return f"Problem {code} in {phase}: {shorten(message)}"
        case Remembered(memories=memories, stored_before=before):
            held = f" ({', '.join(memory.memory_id for memory in memories)})" if memories else ""
            return f"Remembered{' before' if before else ''}{held}"
        case Measured(metrics=metrics):
            return f"Measured {metrics.total_chunks} chunks, {metrics.total_characters} characters"
        case Custom(name=name, data=data):
            return f"Custom {name}" if data is None else f"Custom {name} {_cut(repr(data))}"
        case _:
            return _cut(repr(value))


def _again(attempt: int) -> str:
    return f" attempt {attempt}" if attempt else ""


def _cut(text: str) -> str:
    return text if len(text) <= LONG else text[: LONG - 1] + "…"
