"""A failure in a stream, as hooks and results describe it."""

from __future__ import annotations

from cortex_rx.events import Problem
from cortex_rx.models.records import ErrorContext, StreamError

__all__ = ["stream_error"]


def stream_error(
    problem: Problem,
    *,
    chunk_number: int,
    bytes_processed: int,
    partial_memory_id: str | None,
    last_successful_update: float | None,
    saved: bool,
    resume_token: str | None = None,
    original_error: Exception | None = None,
) -> StreamError:
    """The failure, and how far the stream was."""
    context = ErrorContext(
        phase=problem.phase,
        chunk_number=chunk_number,
        bytes_processed=bytes_processed,
        partial_memory_id=partial_memory_id,
        last_successful_update=last_successful_update,
    )
    return StreamError(
        code=problem.code,
        message=problem.message,
        recoverable=problem.recoverable,
        phase=problem.phase,
        resume_token=resume_token,
        partial_data_saved=saved,
        context=context,
        original_error=original_error,
    )
