"""From a model's stream to events: opening, reading and reopening it."""

from cortex_rx.sources.model_stream import (
    Fallback,
    Finish,
    Piece,
    Provider,
    Reopenable,
    ResumeFrom,
    ResumePoint,
    Source,
    fallback,
    from_stream,
    new_id,
    openai_chat,
    prefill,
    replayable,
    restart,
    stream_id_of,
)

__all__ = [
    "Fallback",
    "Finish",
    "Piece",
    "Provider",
    "Reopenable",
    "ResumeFrom",
    "ResumePoint",
    "Source",
    "fallback",
    "from_stream",
    "new_id",
    "openai_chat",
    "prefill",
    "replayable",
    "restart",
    "stream_id_of",
]
