"""The results of `remember` and `remember_stream`, with Cortex's names and fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

from pydantic import Field

from cortex_rx.models.facts import FactRecord, FactRevision
from cortex_rx.models.records import (
    GraphSyncEvent,
    MemoryEntry,
    PartialUpdate,
    ProgressiveFact,
    Record,
    StreamError,
    StreamMetrics,
    Token,
    Usage,
)

__all__ = [
    "EnhancedRememberStreamResult",
    "ForgetResult",
    "PerformanceInsights",
    "ProgressiveProcessing",
    "RememberResult",
    "StoredConversation",
]


class StoredConversation(Record):
    """Where the exchange is stored: the conversation, and the messages of the question and the answer."""

    conversation_id: str
    message_ids: tuple[str, ...]


class ProgressiveProcessing(Record):
    """What was done while the answer still streamed, in order."""

    facts_extracted_during_stream: tuple[ProgressiveFact, ...]
    partial_storage_history: tuple[PartialUpdate, ...]
    graph_sync_events: tuple[GraphSyncEvent, ...] | None = None
    """None if no graph was told of the answer."""


class PerformanceInsights(Record):
    """What was slow, and what would help.  `cost_estimate` is in USD; None if no price is known."""

    bottlenecks: tuple[str, ...]
    recommendations: tuple[str, ...]
    cost_estimate: float | None = None


class ForgetResult(Record):
    """What was forgotten: whether memories were, how many messages, and which facts hold no more.

    `restorable`: the messages are still in their conversation.
    """

    memory_deleted: bool
    conversation_deleted: bool
    messages_deleted: int
    facts_deleted: int
    fact_ids: tuple[str, ...]
    restorable: bool


class RememberResult(Record):
    """The result of `remember`: where the exchange is stored, and what is remembered of it.

    `facts` are those that the exchange says, as they stand now; `fact_revisions` what each of its statements did.
    """

    conversation: StoredConversation
    memories: tuple[MemoryEntry, ...]
    facts: tuple[FactRecord, ...] = ()
    fact_revisions: tuple[FactRevision, ...] = ()


class EnhancedRememberStreamResult(RememberResult):
    """The result of `remember_stream`.

    `memories` holds the question and the answer.  Without `measure` in the chain,
    `stream_metrics` holds only counts and sizes (its times and rates stay 0 or None), and `performance` is None.
    `progressive_processing` is None if nothing was stored or found before the end; `errors` is None if nothing failed.
    `recovered` is True if the source was reopened, or if the stream failed and its text became the answer
    (`best-effort`).  While `resume_token` is valid, another process can get this result with it; a pickle of
    the result does not have it.

    Beyond Cortex's fields: `stream_id`, `finish_reason` (see `Ended.reason`), `usage` as counted by the provider, and
    `stored_before`: an earlier run with the same idempotency key stored this exchange.
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("conversation", "memories", "facts", "full_response", "stream_metrics", "progressive_processing"),
        *("errors", "recovered", "resume_token", "performance"),
    )

    full_response: str
    stream_metrics: StreamMetrics
    progressive_processing: ProgressiveProcessing | None = None
    errors: tuple[StreamError, ...] | None = None
    recovered: bool = False
    resume_token: Token | None = Field(default=None, repr=False)
    performance: PerformanceInsights | None = None
    stream_id: str
    finish_reason: str | None = None
    usage: Usage | None = None
    stored_before: bool = False

    if not TYPE_CHECKING:  # a type checker finds this mistake by itself, unless it sees that the method exists

        def __aiter__(self) -> NoReturn:
            raise TypeError(
                "this is the stored result of an answer, and has no stream: for the text as it comes, use "
                "`async for text in answer` on what remember_stream returns, before or instead of `await answer`"
            )

    def plain(self) -> RememberResult:
        """The part that `remember` returns."""
        return RememberResult(
            conversation=self.conversation,
            memories=self.memories,
            facts=self.facts,
            fact_revisions=self.fact_revisions,
        )
