"""cortex_rx: streaming language-model answers into lasting memory, as a composable pipeline on RxPY."""

from cortex_rx import operators
from cortex_rx.api import Cortex
from cortex_rx.backends import Backend, SqliteBackend
from cortex_rx.chain import Chain, Operator, Sink, Step
from cortex_rx.embedding import Embedder, local_embedder
from cortex_rx.engine import run, stream
from cortex_rx.errors import CortexError
from cortex_rx.events import BuiltinEvent, Delta, Ended, StreamEvent
from cortex_rx.models.hooks import ChunkEvent, ProgressEvent, StreamCompleteEvent, StreamEndEvent, StreamHooks
from cortex_rx.models.options import RememberParams, RememberStreamParams, SearchOptions, StreamingOptions
from cortex_rx.models.recall_options import RecallOptions
from cortex_rx.models.recalled import RecallResult
from cortex_rx.models.records import MemoryEntry, StreamError, StreamMetrics
from cortex_rx.models.results import EnhancedRememberStreamResult, RememberResult
from cortex_rx.models.store_input import StoreMemoryInput
from cortex_rx.models.turn import Turn
from cortex_rx.pipeline.answer import Answer
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.pipeline.remembering import remember, remember_stream
from cortex_rx.recollection import recall
from cortex_rx.retry.judge import is_transient
from cortex_rx.sources.model_stream import ResumeFrom, fallback, from_stream, prefill, recalling, replayable, restart
from cortex_rx.spool import Spool
from cortex_rx.streams.follow import Position
from cortex_rx.streams.stopping import AnswerStopped

__all__ = [
    "Answer",
    "AnswerStopped",
    "Backend",
    "BuiltinEvent",
    "Chain",
    "ChunkEvent",
    "Cortex",
    "CortexError",
    "Delta",
    "Embedder",
    "Ended",
    "EnhancedRememberStreamResult",
    "MemoryEntry",
    "Operator",
    "Position",
    "ProgressEvent",
    "RecallOptions",
    "RecallResult",
    "RememberParams",
    "RememberResult",
    "RememberStreamParams",
    "ResumeFrom",
    "SearchOptions",
    "Sink",
    "Spool",
    "SqliteBackend",
    "Step",
    "StoreMemoryInput",
    "StreamCompleteEvent",
    "StreamEndEvent",
    "StreamError",
    "StreamEvent",
    "StreamHooks",
    "StreamMetrics",
    "StreamingOptions",
    "Turn",
    "default_chain",
    "fallback",
    "from_stream",
    "is_transient",
    "local_embedder",
    "operators",
    "prefill",
    "recall",
    "recalling",
    "remember",
    "remember_stream",
    "replayable",
    "restart",
    "run",
    "stream",
]
