"""cortex_rx: streaming language-model answers into lasting memory, as a composable pipeline on RxPY."""

from cortex_rx import operators
from cortex_rx.api import Cortex
from cortex_rx.backends import Backend, SqliteBackend
from cortex_rx.chain import Chain, Operator, Sink, Step
from cortex_rx.engine import Stopped, run, stream
from cortex_rx.events import BuiltinEvent, StreamEvent
from cortex_rx.models.hooks import ChunkEvent, ProgressEvent, StreamCompleteEvent, StreamHooks
from cortex_rx.models.options import RememberParams, RememberStreamParams, SearchOptions, StreamingOptions
from cortex_rx.models.records import StreamError, StreamMetrics
from cortex_rx.models.results import EnhancedRememberStreamResult, RememberResult
from cortex_rx.models.turn import Turn
from cortex_rx.pipeline.answer import Answer
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.pipeline.remembering import remember, remember_stream
from cortex_rx.retry.judge import is_transient
from cortex_rx.sources.model_stream import ResumeFrom, ResumePoint, from_stream, prefill, replayable, restart
from cortex_rx.spool import DeadLetters, DrainReport, Spool

__all__ = [
    "Answer",
    "Backend",
    "BuiltinEvent",
    "Chain",
    "ChunkEvent",
    "Cortex",
    "DeadLetters",
    "DrainReport",
    "EnhancedRememberStreamResult",
    "Operator",
    "ProgressEvent",
    "RememberParams",
    "RememberResult",
    "RememberStreamParams",
    "ResumeFrom",
    "ResumePoint",
    "SearchOptions",
    "Sink",
    "Spool",
    "SqliteBackend",
    "Step",
    "Stopped",
    "StreamCompleteEvent",
    "StreamError",
    "StreamEvent",
    "StreamHooks",
    "StreamMetrics",
    "StreamingOptions",
    "Turn",
    "default_chain",
    "from_stream",
    "is_transient",
    "operators",
    "prefill",
    "remember",
    "remember_stream",
    "replayable",
    "restart",
    "run",
    "stream",
]
