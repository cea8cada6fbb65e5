"""From a model's stream to events: opening, reading and reopening it."""

from cortex_rx.sources.model_stream import (
    Finish,
    Piece,
    Provider,
    Reopenable,
    ResumeFrom,
    ResumePoint,
    Source,
    from_stream,
    new_id,
    openai_chat,
    prefill,
    replayable,
    restart,
    stream_id_of,
)

__all__ = [
    "Finish",
    "Piece",
    "Provider",
    "Reopenable",
    "ResumeFrom",
    "ResumePoint",
    "Source",
    "from_stream",
    "new_id",
    "openai_chat",
    "prefill",
    "replayable",
    "restart",
    "stream_id_of",
]
