"""cortex_rx: streaming language-model answers into lasting memory, as a composable pipeline on RxPY."""

from importlib import import_module
from typing import TYPE_CHECKING

from cortex_rx import operators
from cortex_rx.api import Cortex
from cortex_rx.api import absent as _absent
from cortex_rx.backends import Backend, SqliteBackend
from cortex_rx.chain import Chain, Operator, Sink, Step
from cortex_rx.embedding import Embedder, local_embedder
from cortex_rx.engine import run, stream
from cortex_rx.errors import CortexError, ErrorCode, is_cortex_error
from cortex_rx.events import BuiltinEvent, Delta, Ended, StreamEvent
from cortex_rx.models.config import CortexConfig
from cortex_rx.models.facts import (
    CountFactsFilter,
    FactRecord,
    FactSourceRef,
    FactType,
    ListFactsFilter,
    QueryByRelationshipFilter,
    QueryBySubjectFilter,
    SearchFactsOptions,
    StoreFactParams,
)
from cortex_rx.models.hooks import ChunkEvent, ProgressEvent, StreamCompleteEvent, StreamEndEvent, StreamHooks
from cortex_rx.models.memories import (
    DeleteManyResult,
    DeleteResult,
    EnrichedMemory,
    MemoryVersion,
    UpdateManyResult,
    UpdateMemoryOptions,
)
from cortex_rx.models.options import (
    ContentType,
    ConversationType,
    ForgetOptions,
    RememberOptions,
    RememberParams,
    RememberStreamParams,
    SearchOptions,
    SourceType,
    StreamingOptions,
)
from cortex_rx.models.recall_options import RecallOptions
from cortex_rx.models.recalled import RecallResult
from cortex_rx.models.records import Conversation, MemoryEntry, Message, StreamError, StreamMetrics
from cortex_rx.models.results import EnhancedRememberStreamResult, ForgetResult, RememberResult
from cortex_rx.models.store_input import (
    ConversationRef,
    ImmutableRef,
    MemoryMetadata,
    MemorySource,
    MutableRef,
    StoreMemoryInput,
    StoreMemoryOptions,
)
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

if TYPE_CHECKING:
    from cortex_rx.graph.cypher import CypherGraphAdapter
    from cortex_rx.graph.local import LocalGraph
    from cortex_rx.graph.schema import drop_graph_schema, initialize_graph_schema, verify_graph_schema
    from cortex_rx.models.agents import (
        AgentRegistration,
        AgentStats,
        RegisteredAgent,
        UnregisterAgentOptions,
        UnregisterAgentResult,
    )
    from cortex_rx.models.contexts import Context, ContextInput, ContextStatus, ContextWithChain
    from cortex_rx.models.conversations import AddMessageInput, ConversationParticipants, CreateConversationInput
    from cortex_rx.models.exports import ExportResult
    from cortex_rx.models.graph import (
        GraphConfig,
        GraphConnectionConfig,
        GraphEdge,
        GraphNode,
        GraphPath,
        GraphQueryResult,
        ShortestPathConfig,
        TraversalConfig,
    )
    from cortex_rx.models.immutable import ImmutableEntry, ImmutableRecord, ImmutableVersion
    from cortex_rx.models.memory_spaces import (
        MemorySpace,
        MemorySpaceStats,
        MemorySpaceStatus,
        MemorySpaceType,
        RegisterMemorySpaceParams,
    )
    from cortex_rx.models.mutable import MutableRecord
    from cortex_rx.models.users import DeleteUserOptions, UserDeleteResult, UserProfile, UserVersion
    from cortex_rx.models.verification import VerificationResult

__all__ = [
    "AddMessageInput",
    "AgentRegistration",
    "AgentStats",
    "Answer",
    "AnswerStopped",
    "Backend",
    "BuiltinEvent",
    "Chain",
    "ChunkEvent",
    "ContentType",
    "Context",
    "ContextInput",
    "ContextStatus",
    "ContextWithChain",
    "Conversation",
    "ConversationParticipants",
    "ConversationRef",
    "ConversationType",
    "Cortex",
    "CortexConfig",
    "CortexError",
    "CountFactsFilter",
    "CreateConversationInput",
    "CypherGraphAdapter",
    "DeleteManyResult",
    "DeleteResult",
    "DeleteUserOptions",
    "Delta",
    "Embedder",
    "Ended",
    "EnhancedRememberStreamResult",
    "EnrichedMemory",
    "ErrorCode",
    "ExportResult",
    "FactRecord",
    "FactSourceRef",
    "FactType",
    "ForgetOptions",
    "ForgetResult",
    "GraphConfig",
    "GraphConnectionConfig",
    "GraphEdge",
    "GraphNode",
    "GraphPath",
    "GraphQueryResult",
    "ImmutableEntry",
    "ImmutableRecord",
    "ImmutableRef",
    "ImmutableVersion",
    "ListFactsFilter",
    "LocalGraph",
    "MemoryEntry",
    "MemoryMetadata",
    "MemorySource",
    "MemorySpace",
    "MemorySpaceStats",
    "MemorySpaceStatus",
    "MemorySpaceType",
    "MemoryVersion",
    "Message",
    "MutableRecord",
    "MutableRef",
    "Operator",
    "Position",
    "ProgressEvent",
    "QueryByRelationshipFilter",
    "QueryBySubjectFilter",
    "RecallOptions",
    "RecallResult",
    "RegisterMemorySpaceParams",
    "RegisteredAgent",
    "RememberOptions",
    "RememberParams",
    "RememberResult",
    "RememberStreamParams",
    "ResumeFrom",
    "SearchFactsOptions",
    "SearchOptions",
    "ShortestPathConfig",
    "Sink",
    "SourceType",
    "Spool",
    "SqliteBackend",
    "Step",
    "StoreFactParams",
    "StoreMemoryInput",
    "StoreMemoryOptions",
    "StreamCompleteEvent",
    "StreamEndEvent",
    "StreamError",
    "StreamEvent",
    "StreamHooks",
    "StreamMetrics",
    "StreamingOptions",
    "TraversalConfig",
    "Turn",
    "UnregisterAgentOptions",
    "UnregisterAgentResult",
    "UpdateManyResult",
    "UpdateMemoryOptions",
    "UserDeleteResult",
    "UserProfile",
    "UserVersion",
    "VerificationResult",
    "default_chain",
    "drop_graph_schema",
    "fallback",
    "from_stream",
    "initialize_graph_schema",
    "is_cortex_error",
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
    "verify_graph_schema",
]

_LAZY = {
    name: f"cortex_rx.{room}"
    for room, names in {
        "models.agents": "AgentRegistration AgentStats RegisteredAgent UnregisterAgentOptions UnregisterAgentResult",
        "models.contexts": "Context ContextInput ContextStatus ContextWithChain",
        "models.conversations": "AddMessageInput ConversationParticipants CreateConversationInput",
        "models.graph": "GraphConfig GraphConnectionConfig GraphEdge GraphNode GraphPath GraphQueryResult "
        "ShortestPathConfig TraversalConfig",
        "graph.cypher": "CypherGraphAdapter",
        "graph.local": "LocalGraph",
        "graph.schema": "drop_graph_schema initialize_graph_schema verify_graph_schema",
        "models.immutable": "ImmutableEntry ImmutableRecord ImmutableVersion",
        "models.memory_spaces": "MemorySpace MemorySpaceStats MemorySpaceStatus MemorySpaceType "
        "RegisterMemorySpaceParams",
        "models.mutable": "MutableRecord",
        "models.users": "DeleteUserOptions UserDeleteResult UserProfile UserVersion",
        "models.verification": "VerificationResult",
        "models.exports": "ExportResult",
    }.items()
    for name in names.split()
}
"""Where the names are that most programs do not need: their modules are imported with the first use."""

if not TYPE_CHECKING:  # a type checker knows which names there are

    def __getattr__(name):
        if name in _LAZY:
            globals()[name] = found = getattr(import_module(_LAZY[name]), name)
            return found
        if name in _absent.NAMES:
            raise ImportError(f"cortex_rx has no {name}: {_absent.NAMES[name]}", name=name)
        raise AttributeError(f"module 'cortex_rx' has no attribute {name!r}", name=name)
