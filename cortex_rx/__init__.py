"""cortex_rx: streaming language-model answers into lasting memory, as a composable pipeline on RxPY."""

from cortex_rx import operators
from cortex_rx.api import Cortex
from cortex_rx.backends import Backend, SqliteBackend
from cortex_rx.chain import Chain, Operator, Sink, Step
from cortex_rx.events import BuiltinEvent, StreamEvent
from cortex_rx.flow import Stopped, run, stream
from cortex_rx.hooks import ChunkEvent, ProgressEvent, StreamCompleteEvent, StreamHooks
from cortex_rx.options import RememberParams, RememberStreamParams, SearchOptions, StreamingOptions
from cortex_rx.remember import Answer, default_chain, remember, remember_stream
from cortex_rx.result import EnhancedRememberStreamResult, RememberResult
from cortex_rx.retry import is_transient
from cortex_rx.source import ResumeFrom, ResumePoint, from_stream, prefill, replayable, restart
from cortex_rx.spool import DeadLetters, DrainReport, Spool
from cortex_rx.types import StreamError, StreamMetrics, Turn

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
