"""Parameters, streaming options and filters.  A caller gives each as a model, or as a mapping in snake_case or
camelCase.

A value that does not fit raises `InvalidArgument`, which names the field, the given value and what is accepted.  An
option of Cortex's that does not act here raises `UnsupportedOption`, unless its value requests nothing.  None means the
default.  Times are milliseconds, lengths code points.

    >>> parse(SearchOptions, {"minImportance": 60, "tags": ["billing"]}).keywords()
    {'tags': ['billing'], 'min_importance': 60, 'limit': 20}
    >>> parse(MemoryFilter, {"userIt": "ada"})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: MemoryFilter: got 'userIt'; accepted: user_id (the closest), or one
    of user_id, participant_id, source_type, conversation_id, limit, offset, include_partial, include_chunks,
    include_archived
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import Field

from cortex_rx import validation as check
from cortex_rx.embedding.embedder import Embedder, GenerateEmbedding, as_embedder, check_embedding, checked_function
from cortex_rx.embedding.merging import EmbeddingMergeStrategy, checked_merge_strategy
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts, Options, ids, parse
from cortex_rx.models.facts import FactDeduplication, checked_deduplication
from cortex_rx.models.hooks import StreamHooks
from cortex_rx.models.records import SHORTEST_CHUNK, ChunkingStrategy
from cortex_rx.models.turn import TURN_CHECKS, Turn

__all__ = [
    "STREAMING_OPTIONS",
    "ContentType",
    "ConversationFilter",
    "ConversationType",
    "DeleteMemoryOptions",
    "ExtractContent",
    "ExtractFacts",
    "FailureStrategy",
    "ForgetOptions",
    "HistoryPage",
    "MemoryFilter",
    "OptionEffect",
    "Options",
    "RememberOptions",
    "RememberParams",
    "RememberStreamParams",
    "ResumeStreamParams",
    "SearchOptions",
    "SourceType",
    "StreamFilter",
    "StreamingOptions",
    "ids",
    "parse",
]

SourceType: TypeAlias = Literal["conversation", "system", "tool", "a2a", "fact-extraction"]
"""Where a memory comes from."""
ContentType: TypeAlias = Literal["raw", "summarized", "fact"]
"""What a content is: a text as it was, a summary, or a fact."""
ConversationType: TypeAlias = Literal["user-agent", "agent-agent"]
"""Who takes part in a conversation."""
FailureStrategy: TypeAlias = Literal["store-partial", "rollback", "retry", "best-effort"]
"""What becomes of a stream that fails."""
ExtractContent: TypeAlias = Callable[[str, str], str | Awaitable[str | None] | None]
"""Maps (question, answer) to the text to remember in place of the question; None keeps the question.  Sync or async."""
ExtractFacts: TypeAlias = Callable[[str, str], Any]
"""An extractor: maps (question, text of the answer) to facts.  Sync or async; see `cortex_rx.facts`."""

_MOST = 2**53  # a larger number loses its last digits when it travels as a float


def _stream(field: str, value: object) -> object:
    """The stream of an answer, checked only roughly: `from_stream` knows the accepted kinds."""
    if value is None or isinstance(value, str | bytes):
        accepted = "the answer: an async or sync iterable, an Observable, or a function that opens one"
        raise InvalidArgument(field, check.shown(value), accepted)
    return value


def _hooks(field: str, value: object) -> StreamHooks | None:
    """A `StreamHooks`, or its fields as a mapping or dataclass; None if no hook is set."""
    if not isinstance(value, StreamHooks | Mapping) and not is_dataclass(value):
        raise InvalidArgument(field, check.shown(value), "a StreamHooks, a mapping of its fields, or None")
    hooks = parse(StreamHooks, value)
    return None if hooks == StreamHooks() else hooks


_CALLABLE = Accepts(check.optional(check.callback))
_EMBEDDER = Accepts(check.optional(checked_function))
_IMPORTANCE = Accepts(check.importance)
_STREAM = Accepts(_stream)
_METADATA = Accepts(check.json_mapping)

_Name = Annotated[str, Accepts(check.name)]
_OptionalName = Annotated[str | None, Accepts(check.optional(check.name))]
_Text = Annotated[str, Accepts(check.any_text)]
_Tags = Annotated[tuple[str, ...], Accepts(check.names)]
_Flag = Annotated[bool, Accepts(check.flag)]
_Limit = Annotated[int, Accepts(check.whole(1, _MOST))]
_OptionalLimit = Annotated[int | None, Accepts(check.optional(check.whole(1, _MOST)))]
_Time = Annotated[int | None, Accepts(check.optional(check.whole(0, _MOST)))]
_Deduplication = Annotated[FactDeduplication | None, Accepts(checked_deduplication)]
_Source = Annotated[SourceType | None, Accepts(check.optional(check.one_of(*get_args(SourceType))))]


# --- streaming options ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OptionEffect:
    """What a streaming option does to the default chain."""

    does: Literal["adds", "removes", "configures"]
    step: str
    """The step that the option adds (if given), removes (if False) or configures."""
    argument: str
    """The argument of the step that it sets, or several, separated by commas.  Empty if the option only adds or removes
    the step."""
    ours: object
    """Our default."""
    cortex: object
    """The default of Cortex's Python SDK, or `NOT_IN_CORTEX`."""
    differs: str = ""
    """Why our default differs from Cortex's, in words."""
    also: tuple[str, str] | None = None
    """A second step, which the option adds if the chain lacks it, and the argument of that step that it sets."""


NOT_IN_CORTEX = "no such option"
_NONE = (None, False)
STREAMING_OPTIONS: Mapping[str, OptionEffect] = {
    "store_partial_response": OptionEffect(
        "removes", "persist_partial", "", True, False, differs="partials are stored unless switched off"
    ),
    "partial_response_interval": OptionEffect(
        *("configures", "persist_partial", "interval", 500, 3000),
        differs="every 500 ms, not every 3,000: a process that dies loses this much text, and the write in flight",
    ),
    "max_buffer_size": OptionEffect(
        *("configures", "persist_partial", "max_pending", 1_048_576, 10_000),
        differs="1 MiB may wait for a stalled store before reading stops; 10,000 would be about forty tokens",
    ),
    "stream_timeout": OptionEffect("adds", "timeout", "idle", None, None),
    "max_response_length": OptionEffect("adds", "limit", "max_length", None, None),
    "max_retries": OptionEffect(
        *("adds", "resume", "retries", None, 3),
        differs="retries are opt-in, and the source must say how it is reopened; in Cortex the option has no effect",
    ),
    "retry_delay": OptionEffect("configures", "resume", "delay", 1000, 1000),
    "max_retry_after": OptionEffect(
        *("configures", "resume", "max_retry_after", 60_000, NOT_IN_CORTEX),
        differs="ours: a provider that asks for a longer pause (`Retry-After`) ends the stream",
    ),
    "enable_adaptive_processing": OptionEffect("adds", "adapt", "", False, False),
    "chunking_strategy": OptionEffect("adds", "chunk", "strategy", None, None),
    "chunk_size": OptionEffect("configures", "chunk", "size", None, None),
    "max_single_memory_size": OptionEffect(
        *("configures", "finalize", "max_single_memory_size", None, None), also=("chunk", "max_length")
    ),
    "incremental_embeddings": OptionEffect("configures", "finalize", "incremental_embeddings", False, False),
    "embedding_merge_strategy": OptionEffect("configures", "finalize", "embedding_merge_strategy", None, None),
    "progressive_fact_extraction": OptionEffect(
        *("configures", "extract_facts", "progressive", True, False),
        differs="where an extractor is given, facts are read while the answer streams",
    ),
    "fact_extraction_threshold": OptionEffect("configures", "extract_facts", "threshold", 500, 500),
    "belief_revision": OptionEffect(
        *("configures", "extract_facts", "revise", True, None),
        differs="a new value of a predicate that has one at a time supersedes the old one",
    ),
    "partial_failure_handling": OptionEffect(
        *("configures", "recover", "strategy", "store-partial", None),
        differs="what arrived is kept, unless the option says otherwise",
    ),
    "generate_resume_token": OptionEffect(
        *("configures", "begin", "token", True, False), differs="the token exists before anything can fail"
    ),
    "sync_to_graph": OptionEffect("removes", "sync_graph", "", True, True),
    "progressive_graph_sync": OptionEffect("configures", "sync_graph", "progressive", False, False),
    "graph_sync_interval": OptionEffect("configures", "sync_graph", "interval", 5000, 5000),
    "hooks": OptionEffect("adds", "observe", "on_chunk, on_progress, on_error, on_complete, on_end", None, None),
}
"""Every streaming option: the step of the default chain that it acts on, and both defaults."""


class StreamingOptions(Options):
    """What `remember_stream` does with the answer while it streams: all of Cortex's options, and `max_retry_after`.

    `STREAMING_OPTIONS` says which step of the default chain each acts on.

    >>> StreamingOptions(stream_timeout=30_000).stream_timeout
    30000
    >>> StreamingOptions(stream_timeout=0)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: stream_timeout: got 0; accepted: milliseconds, more than 0, or None
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("sync_to_graph", "progressive_graph_sync", "graph_sync_interval", "store_partial_response"),
        *("partial_response_interval", "progressive_fact_extraction", "fact_extraction_threshold"),
        *("chunk_size", "chunking_strategy", "max_single_memory_size", "hooks", "partial_failure_handling"),
        *("max_retries", "retry_delay", "generate_resume_token", "stream_timeout", "max_buffer_size"),
        *("incremental_embeddings", "enable_adaptive_processing", "max_response_length"),
    )

    store_partial_response: _Flag = True
    """Store the answer while it streams.  Cortex's default is False."""
    partial_response_interval: Annotated[int | float, Accepts(check.milliseconds(zero=True))] = 500
    """The least milliseconds between two writes of the partial answer.  Cortex's default is 3000."""
    stream_timeout: Annotated[int | float | None, Accepts(check.optional(check.milliseconds()))] = None
    """Milliseconds without anything from the source after which the stream ends; None waits forever.

    It is an idle timeout: an answer that keeps coming may take any time.  Tool calls and reasoning also keep it alive.
    """
    max_response_length: _OptionalLimit = None
    """Code points after which the answer ends; None sets no limit."""
    max_buffer_size: _Limit = 1_048_576
    """How much may wait for a stalled store, in approximate bytes: the text, and 240 for each delta.  Beyond it,
    reading from the model stops until the store has caught up.  Cortex's default is 10,000, which is about forty
    tokens."""
    chunking_strategy: Annotated[
        ChunkingStrategy | None, Accepts(check.optional(check.one_of(*get_args(ChunkingStrategy))))
    ] = None
    """Cut the answer into chunks, as `Chunked` events, while it streams.  `chunk` explains the strategies.  `semantic`
    only with the parameter `generate_embedding`."""
    chunk_size: _OptionalLimit = None
    """The size of a chunk, in units of the strategy; None is the strategy's default.  Only with `chunking_strategy`."""
    max_single_memory_size: Annotated[int | None, Accepts(check.optional(check.whole(SHORTEST_CHUNK, _MOST)))] = None
    """The most code points of one memory.  A longer answer is stored in chunks of at most this size, cut by
    `chunking_strategy`.

    Without a strategy, a chunk is as many whole sentences as fit.
    """
    incremental_embeddings: _Flag = False
    """Request the embeddings of the chunks while the answer streams, rather than at its end.  Only with the parameter
    `generate_embedding`, and with `max_single_memory_size` or `embedding_merge_strategy`."""
    embedding_merge_strategy: Annotated[EmbeddingMergeStrategy | None, Accepts(checked_merge_strategy)] = None
    """How the vector of the answer is made of those of its chunks, rather than by embedding all of it: `average`.  Only
    with the parameter `generate_embedding`, and with `chunking_strategy` or `max_single_memory_size`.  Of Cortex's
    other two, `concatenate` would give vectors of any dimension, and `hierarchical` says nowhere what it is."""

    hooks: Annotated[StreamHooks | None, Accepts(_hooks)] = None
    """Functions that are called with what happens.  A mapping may be in snake_case or camelCase."""

    max_retries: Annotated[int | None, Accepts(check.optional(check.whole(0, 1000)))] = None
    """How often a failed source is reopened; None and 0 mean never.  The source must say how it is reopened
    (`replayable`, `prefill`, `restart`).  Cortex's default is 3, and has no effect there."""
    retry_delay: Annotated[int | float, Accepts(check.milliseconds(zero=True))] = 1000
    """The most milliseconds before the first retry.  This bound doubles with each retry; the pause is random up to
    it."""
    max_retry_after: Annotated[int | float, Accepts(check.milliseconds(zero=True))] = 60_000
    """The longest pause, in milliseconds, that the provider may ask for (`Retry-After`).  A longer one ends the stream
    with `RetryAfterTooLong`."""
    partial_failure_handling: Annotated[FailureStrategy, Accepts(check.one_of(*get_args(FailureStrategy)))] = (
        "store-partial"
    )
    """What becomes of an answer that fails: see `recover`.  `retry` reopens the source (`max_retries` times, else 3),
    then acts as `store-partial`.  Cortex has no default: there the partial is deleted."""
    generate_resume_token: _Flag = True
    """Make a token that lets another process resume the stream.  Cortex's default is False."""

    progressive_fact_extraction: _Flag = True
    """Read facts while the answer streams, not only when it has ended.  Only with the parameter `extract_facts`.
    Cortex's default is False."""
    fact_extraction_threshold: _Limit = 500
    """Code points of new text after which facts are read from it.  Only with the parameter `extract_facts`."""
    belief_revision: Annotated[bool | Callable[..., Any], Accepts(check.flag_or_callback)] = True
    """Whether a fact supersedes what it contradicts; or a decider of the doubtful cases (see `cortex_rx.facts`).  Only
    with the parameter `extract_facts`."""

    sync_to_graph: _Flag = True
    """Bring the exchange to the graph at the end of the stream.  Only with a graph; the client has one."""
    progressive_graph_sync: _Flag = False
    """Bring the partial answer to the graph, too, while it streams.  Only with `sync_to_graph`."""
    graph_sync_interval: Annotated[int | float, Accepts(check.milliseconds(zero=True))] = 5000
    """The least milliseconds between two of these.  Only with `progressive_graph_sync`."""

    enable_adaptive_processing: _Flag = False
    """Write, read facts and tell the graph less often while the text comes fast, and sooner while it comes slowly."""


# --- what is remembered -----------------------------------------------------------------------------------------------


_EXCHANGE_TAIL = (
    *("user_id", "user_name", "participant_id", "importance", "tags"),
    *("extract_content", "generate_embedding", "extract_facts", "auto_embed", "auto_summarize"),
)


class _Exchange(Options):
    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        "auto_embed": (_NONE, "give generate_embedding instead"),
        "auto_summarize": (_NONE, "give extract_content instead"),
    }

    memory_space_id: _Name
    conversation_id: _Name
    user_message: _Text
    user_id: _OptionalName = None
    user_name: _OptionalName = None
    agent_id: _OptionalName = None
    participant_id: _OptionalName = None
    importance: Annotated[int | float, _IMPORTANCE] = 50
    """0 to 100."""
    tags: _Tags = ()
    metadata: Annotated[Mapping[str, Any], _METADATA] = {}
    extract_content: Annotated[ExtractContent | None, _CALLABLE] = None
    """Maps (question, answer) to the text to remember in place of the question."""
    generate_embedding: Annotated[GenerateEmbedding | None, _EMBEDDER] = None
    """An `Embedder`, or a function from the text of a memory to its vector.  By default, that of the client."""
    embedding_model: _OptionalName = None
    """The name of the model of `generate_embedding`, if that is a function."""
    extract_facts: Annotated[ExtractFacts | None, _CALLABLE] = None
    """An extractor of facts.  By default, that of the client."""
    fact_deduplication: _Deduplication = None
    """Which statements are one fact.  By default as the client says, else "structural"."""
    idempotency_key: _OptionalName = None
    """Exchanges with the same key in one memory space are the same exchange, stored once."""

    def turn(self) -> Turn:
        """Who asks what, in which memory space.  Raises `InvalidArgument` if the turn has no owner (see `Turn`)."""
        return Turn(**{name: getattr(self, name) for name in TURN_CHECKS})


class RememberStreamParams(_Exchange):
    """The parameters of `remember_stream`: who asks what, and the stream of the answer.

    An owner is required: `user_id` with `user_name`, or `agent_id`.  `turn()` checks it.

    >>> given = {"memorySpaceId": "support", "conversationId": "c-1", "userMessage": "Hello", "agentId": "helper"}
    >>> params = parse(RememberStreamParams, given | {"responseStream": ["Good ", "day"], "importance": 0})
    >>> params.turn().importance, params.response_stream
    (0, ['Good ', 'day'])
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("memory_space_id", "conversation_id", "user_message", "response_stream"),
        *_EXCHANGE_TAIL,
    )

    response_stream: Annotated[Any, _STREAM]


class ResumeStreamParams(Options):
    """The parameters of `remember_stream` that resume a stream which began elsewhere: its token, and the stream of the
    answer.

    The turn is stored already.  Only its `memory_space_id` is required; any other field must equal the stored one.

    >>> given = {"memorySpaceId": "support", "responseStream": ["day"], "resumeFrom": "resume_..."}
    >>> parse(ResumeStreamParams, given).expected()
    {}
    """

    memory_space_id: _Name
    response_stream: Annotated[Any, _STREAM]
    resume_from: Annotated[str, Accepts(check.token)] = Field(repr=False)
    """The token.  Cortex's other name for it, `resume_token`, is also accepted."""
    take_over: _Flag = False
    """Fence off a writer that may be alive, without waiting for it."""
    conversation_id: _OptionalName = None
    user_message: Annotated[str | None, Accepts(check.any_text)] = None
    user_id: _OptionalName = None
    user_name: _OptionalName = None
    agent_id: _OptionalName = None
    participant_id: _OptionalName = None
    importance: Annotated[int | float | None, _IMPORTANCE] = None
    tags: Annotated[tuple[str, ...] | None, Accepts(check.names)] = None
    metadata: Annotated[Mapping[str, Any] | None, _METADATA] = None
    extract_content: Annotated[ExtractContent | None, _CALLABLE] = None
    generate_embedding: Annotated[GenerateEmbedding | None, _EMBEDDER] = None
    embedding_model: _OptionalName = None
    extract_facts: Annotated[ExtractFacts | None, _CALLABLE] = None
    fact_deduplication: _Deduplication = None

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        other = {"resume_token": "resume_from", "resumeToken": "resume_from"}
        return super()._named({other.get(key, key): value for key, value in given.items()})

    def expected(self) -> dict[str, Any]:
        """The given fields of the turn, to be compared with the stored turn."""
        values = ((field.name, getattr(self, field.name, None)) for field in fields(Turn))
        return {name: value for name, value in values if value is not None and name != "memory_space_id"}


class RememberParams(_Exchange):
    """The parameters of `remember`: who asked what, and the whole answer.

    >>> turn = {"memory_space_id": "support", "conversation_id": "c-1", "user_message": "Hello", "agent_id": "a"}
    >>> RememberParams(**turn, agent_response=7)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: agent_response: got 'int'; accepted: a string
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("memory_space_id", "conversation_id", "user_message", "agent_response"),
        *_EXCHANGE_TAIL,
    )

    agent_response: _Text


class RememberOptions(Options):
    """What `memory.remember` does beside, as in Cortex: two of its parameters may stand here.

    >>> RememberOptions(extract_facts=True)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.UnsupportedOption: extract_facts: got True; accepted: None or False; give the extractor as the
    parameter extract_facts
    """

    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        "extract_facts": (_NONE, "give the extractor as the parameter extract_facts"),
        "auto_embed": (_NONE, "give generate_embedding instead"),
        "auto_summarize": (_NONE, "give extract_content instead"),
    }
    _positions: ClassVar[tuple[str, ...]] = (
        *("sync_to_graph", "extract_facts", "extract_content", "generate_embedding", "auto_embed", "auto_summarize"),
    )

    sync_to_graph: _Flag = False
    """Warns if the store keeps no graph. One that keeps a graph brings each memory to it anyway."""
    extract_content: Annotated[ExtractContent | None, _CALLABLE] = None
    """Maps (question, answer) to the text to remember in place of the question."""
    generate_embedding: Annotated[GenerateEmbedding | None, _EMBEDDER] = None
    """An `Embedder`, or a function from the text of a memory to its vector."""


# --- what is looked for -----------------------------------------------------------------------------------------------

_FILTER = "this version's search has no such filter"


class SearchOptions(Options):
    """The filters and the ranking of a memory search.  All filters apply before the limit.

    Times are epoch milliseconds: "after" is at this time or later, "before" is earlier.  Cortex's options that this
    version's search lacks are refused by name.

    >>> SearchOptions(user_id="ada", limit=5).keywords()
    {'user_id': 'ada', 'limit': 5}
    """

    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        **dict.fromkeys(
            ["importance", "last_accessed_before", "last_accessed_after", "access_count", "version", "sort_by"],
            ((None,), _FILTER),
        ),
        **dict.fromkeys(["boost_importance", "boost_recent", "boost_popular"], (_NONE, _FILTER)),
        "sort_order": ((None, "desc"), "the best match comes first"),
    }
    _lacking: ClassVar[Mapping[str, str]] = {"strategy": "recent"}
    _positions: ClassVar[tuple[str, ...]] = (
        *("embedding", "user_id", "participant_id", "tags", "tag_match", "importance", "min_importance"),
        *("created_before", "created_after", "updated_before", "updated_after", "last_accessed_before"),
        *("last_accessed_after", "access_count", "version", "source_type", "content_type", "limit", "offset"),
        *("min_score", "sort_by", "sort_order", "strategy", "boost_importance", "boost_recent"),
        *("boost_popular", "enrich_conversation"),
    )

    strategy: Annotated[
        Literal["auto", "keyword", "semantic"], Accepts(check.one_of("auto", "keyword", "semantic"))
    ] = "auto"
    """By words and by embeddings, by words alone, or by embeddings alone."""
    embedding: Annotated[list[float] | None, Accepts(check.optional(check.vector))] = None
    """That of the query, if the client is not to make it."""
    generate_embedding: Annotated[GenerateEmbedding | None, _EMBEDDER] = None
    """An `Embedder`, or a function from the query to its vector, where no `embedding` is given.  By default, that of
    the client."""
    embedding_model: _OptionalName = None
    """The name of the model that made `embedding`, or of `generate_embedding`, if that is a function."""
    alpha: Annotated[float | None, Accepts(check.optional(check.share))] = None
    """0 to 1: what the embeddings count; the words count the rest."""

    user_id: _OptionalName = None
    participant_id: _OptionalName = None
    tags: _Tags = ()
    tag_match: Annotated[Literal["any", "all"], Accepts(check.one_of("any", "all"))] = "any"
    """Whether a memory must have any of the tags, or all."""
    source_type: _Source = None
    content_type: Annotated[ContentType | None, Accepts(check.optional(check.one_of(*get_args(ContentType))))] = None
    min_importance: Annotated[int | float | None, _IMPORTANCE] = None
    """0 to 100."""
    conversation_id: _OptionalName = None
    created_after: _Time = None
    created_before: _Time = None
    updated_after: _Time = None
    updated_before: _Time = None
    source_after: _Time = None
    """When it was said."""
    source_before: _Time = None
    neighbours: _Flag = True
    """Whether a memory also counts for what is said around it in its conversation."""
    min_score: Annotated[float | None, Accepts(check.optional(check.share))] = None
    """0 to 1."""
    limit: _Limit = 20
    explain: _Flag = False
    """Whether each memory says why it was found, in its `why`."""
    offset: Annotated[int, Accepts(check.whole())] = 0
    """How many of the best to leave out: those of the pages before."""
    include_partial: _Flag = False
    """Also find answers that still stream."""
    include_archived: _Flag = False
    """Also find archived memories."""
    enrich_conversation: _Flag = False
    """Whether each memory comes with its conversation and its facts."""

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        named = super()._named(given)
        check_embedding(named)
        return named

    def embedder(self, default: Embedder | None) -> Embedder | None:
        """What embeds the query: its own or the default one; None if its embedding is given, or none is asked for."""
        if self.embedding is not None or self.strategy == "keyword":
            return None
        return as_embedder(self.generate_embedding, self.embedding_model) or default

    def keywords(self) -> dict[str, Any]:
        """The options as keywords of a typed call, without those that have their default, but for the limit."""
        names = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        names -= {"generate_embedding", "enrich_conversation", *(["embedding_model"] if self.embedding is None else [])}
        values = {name: getattr(self, name) for name in type(self).model_fields if name in names | {"limit"}}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


class MemoryFilter(Options):
    """The filters of a list or a count of memories."""

    user_id: _OptionalName = None
    participant_id: _OptionalName = None
    source_type: _Source = None
    conversation_id: _OptionalName = None
    limit: _OptionalLimit = None
    offset: Annotated[int, Accepts(check.whole())] = 0
    include_partial: _Flag = False
    include_chunks: _Flag = False
    """Include the chunks of answers, beside the answers."""
    include_archived: _Flag = False

    def keywords(self) -> dict[str, Any]:
        """The filter as keywords of a typed call, without what has its default."""
        return {name: value for name, value in super().keywords().items() if (name, value) != ("offset", 0)}


class DeleteMemoryOptions(Options):
    """What goes with a memory that is deleted."""

    _positions: ClassVar[tuple[str, ...]] = ("sync_to_graph", "cascade_delete_facts")

    sync_to_graph: Annotated[bool | None, Accepts(check.optional(check.flag))] = None
    cascade_delete_facts: _Flag = True
    """Whether what facts say of it goes too."""


class ForgetOptions(Options):
    """What goes with a memory that is forgotten.

    >>> ForgetOptions(erase=True).erase
    True
    """

    _positions: ClassVar[tuple[str, ...]] = ("delete_conversation", "delete_entire_conversation", "sync_to_graph")

    delete_conversation: _Flag = False
    """The same as `erase`."""
    delete_entire_conversation: _Flag = False
    """Whether its conversation is deleted, with all its messages and memories."""
    sync_to_graph: Annotated[bool | None, Accepts(check.optional(check.flag))] = None
    erase: _Flag = False
    """Whether its message is deleted too, and what facts have of it, as if it had never been said."""


class ConversationFilter(Options):
    """The filters of a list or a count of conversations."""

    user_id: _OptionalName = None
    type: Annotated[ConversationType | None, Accepts(check.optional(check.one_of(*get_args(ConversationType))))] = None
    limit: _OptionalLimit = None
    include_pending: _Flag = False
    """Include conversations whose exchanges have not ended yet."""


class StreamFilter(Options):
    """The filters of a list of streams."""

    conversation_id: _OptionalName = None
    limit: _OptionalLimit = None


class HistoryPage(Options):
    """A page of a conversation's messages, and their order.

    >>> HistoryPage(offset=10, sort_order="desc").keywords()
    {'limit': 50, 'offset': 10, 'sort_order': 'desc'}
    """

    limit: _Limit = 50
    offset: Annotated[int, Accepts(check.whole(0, _MOST))] = 0
    after: _OptionalName = None
    sort_order: Annotated[Literal["asc", "desc"], Accepts(check.one_of("asc", "desc"))] = "asc"
