"""The events of hooks are records: read by attribute and by key, compared, copied, and JSON."""

from __future__ import annotations

import copy
import pickle
from collections.abc import AsyncIterator

import pytest

from cortex_rx import ChunkEvent, ProgressEvent, StreamCompleteEvent, StreamError, remember_stream
from cortex_rx.backends import SqliteBackend
from cortex_rx.models.hooks import Accumulated, Growing
from cortex_rx.models.records import ErrorContext
from cortex_rx.models.results import EnhancedRememberStreamResult
from cortex_rx.testing import run_virtual


def growing(*pieces: str) -> Growing:
    text = Growing()
    for piece in pieces:
        text.add(piece)
    return text


def chunk(accumulated: str | Accumulated) -> ChunkEvent:
    return ChunkEvent(chunk="day", chunk_number=2, accumulated=accumulated, timestamp=5.0, estimated_tokens=2, offset=5)


EVENTS = [
    chunk("Good day"),
    chunk(Accumulated(growing("Good ", "day", " to you"), 8)),
    ProgressEvent(bytes_processed=8, chunks=2, elapsed_ms=5.0, current_phase="streaming"),
    StreamCompleteEvent(full_response="Good day", total_chunks=2, duration_ms=5.0, facts_extracted=0),
    StreamError(
        code="X",
        message="x",
        recoverable=True,
        phase="storage",
        partial_data_saved=False,
        context=ErrorContext(phase="storage", chunk_number=1, bytes_processed=5),
        original_error=ValueError("x"),
    ),
]


@pytest.mark.parametrize("event", EVENTS, ids=["chunk", "chunk, later", "progress", "complete", "error"])
def test_it_is_a_record(event: ChunkEvent) -> None:
    kind = type(event)
    assert dict(event).keys() == {*event.model_dump(by_alias=True), *(["originalError"] if kind is StreamError else [])}
    for key, value in dict(event).items():
        assert event[key] is value or event[key] == value
        assert key in event
    again = kind.model_validate(event.model_dump(mode="json", by_alias=True))
    assert again.model_dump() == event.model_dump()
    assert copy.copy(event) == event
    if kind is not StreamError:  # exceptions are compared by identity
        assert again == event == pickle.loads(pickle.dumps(event)) == copy.deepcopy(event)
        assert hash(again) == hash(event)
    kind.model_json_schema(mode="serialization")


def test_the_text_so_far_is_the_text_up_to_there_however_much_has_come_since() -> None:
    text = growing()
    events, truth = [], []
    for number in range(3000):
        text.add(f"{number} ")
        events.append(chunk(Accumulated(text, text.length)))
        truth.append(text.length)
    whole = text.whole()
    assert whole == "".join(f"{number} " for number in range(3000))
    for number in (0, 1, 1023, 1024, 2047, 2999):
        assert events[number].accumulated == events[number]["accumulated"] == whole[: truth[number]]
    assert chunk(Accumulated(growing("Good day", "!"), 8)) == chunk("Good day")
    assert chunk("Good day") != chunk("Good night")
    assert "Good" not in repr(chunk("Good day")), "a text of any length"


def test_results_can_be_described() -> None:
    EnhancedRememberStreamResult.model_json_schema(mode="serialization")


def test_a_hook_that_fails_is_among_the_errors_of_the_result() -> None:
    async def model() -> AsyncIterator[str]:
        yield "Hello"

    def fails(event: object) -> None:
        raise ValueError("a private text")

    async def main() -> EnhancedRememberStreamResult:
        backend = SqliteBackend(":memory:")
        try:
            return await remember_stream(
                model,
                {"hooks": {"onChunk": fails}},
                backend=backend,
                memory_space_id="space",
                conversation_id="c-1",
                user_message="Hi!",
                agent_id="helper",
            )
        finally:
            await backend.close()

    result = run_virtual(main())
    assert result.full_response == "Hello" and result.errors is not None
    assert [(error.code, error.recoverable, error.original_error) for error in result.errors] == [
        ("HOOK_FAILED", True, None)
    ]
    assert "private" not in repr(result)
