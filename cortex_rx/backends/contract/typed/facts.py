"""The functions `facts:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import (
        CommittedFacts,
        Consolidation,
        Fact,
        FactDecision,
        FactExport,
        FactPage,
        FactSource,
        FoundFact,
        NewFact,
        QueuedWindow,
        RetractedFact,
        SimilarFact,
    )
__all__ = ["Facts"]


class Facts:
    """The functions `facts:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def store(
        self,
        *,
        memory_space_id: str,
        fact: str,
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"],
        confidence: float,
        tags: builtins.list[str],
        source_type: Literal["conversation", "system", "tool", "manual", "a2a"],
        subject: str | None = None,
        predicate: str | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
        valid_from: int | None = None,
        valid_until: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        cardinality: Literal["one", "many"] | None = None,
        embedding: builtins.list[float] | None = None,
        embedding_model: str | None = None,
        decision: FactDecision | None = None,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_ref: FactSource | None = None,
        fact_id: str | None = None,
        deduplication: Literal["none", "exact", "structural", "semantic"] | None = None,
        revise: bool | None = None,
    ) -> Call[Fact]:
        """Stores one statement, and gives the fact that it supports: a new one, or one that was there.

        Raises `IdempotencyConflict`.
        """
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "fact": fact,
            "factType": fact_type,
            "confidence": confidence,
            "tags": tags,
            "sourceType": source_type,
        }
        if subject is not None:
            args["subject"] = subject
        if predicate is not None:
            args["predicate"] = predicate
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        if valid_from is not None:
            args["validFrom"] = valid_from
        if valid_until is not None:
            args["validUntil"] = valid_until
        if metadata is not None:
            args["metadata"] = metadata
        if cardinality is not None:
            args["cardinality"] = cardinality
        if embedding is not None:
            args["embedding"] = embedding
        if embedding_model is not None:
            args["embeddingModel"] = embedding_model
        if decision is not None:
            args["decision"] = decision
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if source_ref is not None:
            args["sourceRef"] = source_ref
        if fact_id is not None:
            args["factId"] = fact_id
        if deduplication is not None:
            args["deduplication"] = deduplication
        if revise is not None:
            args["revise"] = revise
        return Call(self._backend.mutation, "facts:store", args)

    def update(
        self,
        *,
        memory_space_id: str,
        fact_id: str,
        fact: str | None = None,
        confidence: float | None = None,
        tags: builtins.list[str] | None = None,
        valid_from: int | None = None,
        valid_until: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        subject: str | None = None,
        predicate: str | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
    ) -> Call[Fact]:
        """Corrects a fact.

        Raises `FactNotFound`, `FactRetracted`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "factId": fact_id}
        if fact is not None:
            args["fact"] = fact
        if confidence is not None:
            args["confidence"] = confidence
        if tags is not None:
            args["tags"] = tags
        if valid_from is not None:
            args["validFrom"] = valid_from
        if valid_until is not None:
            args["validUntil"] = valid_until
        if metadata is not None:
            args["metadata"] = metadata
        if subject is not None:
            args["subject"] = subject
        if predicate is not None:
            args["predicate"] = predicate
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        return Call(self._backend.mutation, "facts:update", args)

    def delete_fact(self, *, memory_space_id: str, fact_id: str) -> Call[RetractedFact]:
        """Retracts a fact: it was never so.

        Raises `FactNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "factId": fact_id}
        return Call(self._backend.mutation, "facts:deleteFact", args)

    def get(self, *, memory_space_id: str, fact_id: str) -> Call[Fact | None]:
        """The fact, also one that is closed; None if the memory space has none with this id."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "factId": fact_id}
        return Call(self._backend.query, "facts:get", args)

    def list(
        self,
        *,
        memory_space_id: str,
        subject: str | None = None,
        predicate: str | None = None,
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
        | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
        min_confidence: float | None = None,
        confidence: float | None = None,
        user_id: str | None = None,
        participant_id: str | None = None,
        conversation_id: str | None = None,
        memory_id: str | None = None,
        tags: builtins.list[str] | None = None,
        tag_match: Literal["any", "all"] | None = None,
        source_type: Literal["conversation", "system", "tool", "manual", "a2a"] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
        version: int | None = None,
        include_superseded: bool | None = None,
        valid_at: int | None = None,
        as_of: int | None = None,
        known_at: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_by: Literal["createdAt", "updatedAt", "confidence", "version"] | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
    ) -> Call[builtins.list[Fact]]:
        """Facts, in the order in which they were made."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if subject is not None:
            args["subject"] = subject
        if predicate is not None:
            args["predicate"] = predicate
        if fact_type is not None:
            args["factType"] = fact_type
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        if min_confidence is not None:
            args["minConfidence"] = min_confidence
        if confidence is not None:
            args["confidence"] = confidence
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if memory_id is not None:
            args["memoryId"] = memory_id
        if tags is not None:
            args["tags"] = tags
        if tag_match is not None:
            args["tagMatch"] = tag_match
        if source_type is not None:
            args["sourceType"] = source_type
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if version is not None:
            args["version"] = version
        if include_superseded is not None:
            args["includeSuperseded"] = include_superseded
        if valid_at is not None:
            args["validAt"] = valid_at
        if as_of is not None:
            args["asOf"] = as_of
        if known_at is not None:
            args["knownAt"] = known_at
        if metadata is not None:
            args["metadata"] = metadata
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        if sort_by is not None:
            args["sortBy"] = sort_by
        if sort_order is not None:
            args["sortOrder"] = sort_order
        return Call(self._backend.query, "facts:list", args)

    def page(
        self,
        *,
        memory_space_id: str,
        subject: str | None = None,
        predicate: str | None = None,
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
        | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
        min_confidence: float | None = None,
        confidence: float | None = None,
        user_id: str | None = None,
        participant_id: str | None = None,
        conversation_id: str | None = None,
        memory_id: str | None = None,
        tags: builtins.list[str] | None = None,
        tag_match: Literal["any", "all"] | None = None,
        source_type: Literal["conversation", "system", "tool", "manual", "a2a"] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
        version: int | None = None,
        include_superseded: bool | None = None,
        valid_at: int | None = None,
        as_of: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[FactPage]:
        """A page of the facts that `facts:list` gives, in the order in which they were made."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if subject is not None:
            args["subject"] = subject
        if predicate is not None:
            args["predicate"] = predicate
        if fact_type is not None:
            args["factType"] = fact_type
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        if min_confidence is not None:
            args["minConfidence"] = min_confidence
        if confidence is not None:
            args["confidence"] = confidence
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if memory_id is not None:
            args["memoryId"] = memory_id
        if tags is not None:
            args["tags"] = tags
        if tag_match is not None:
            args["tagMatch"] = tag_match
        if source_type is not None:
            args["sourceType"] = source_type
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if version is not None:
            args["version"] = version
        if include_superseded is not None:
            args["includeSuperseded"] = include_superseded
        if valid_at is not None:
            args["validAt"] = valid_at
        if as_of is not None:
            args["asOf"] = as_of
        if metadata is not None:
            args["metadata"] = metadata
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "facts:page", args)

    def count(
        self,
        *,
        memory_space_id: str,
        subject: str | None = None,
        predicate: str | None = None,
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
        | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
        min_confidence: float | None = None,
        confidence: float | None = None,
        user_id: str | None = None,
        participant_id: str | None = None,
        conversation_id: str | None = None,
        memory_id: str | None = None,
        tags: builtins.list[str] | None = None,
        tag_match: Literal["any", "all"] | None = None,
        source_type: Literal["conversation", "system", "tool", "manual", "a2a"] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
        version: int | None = None,
        include_superseded: bool | None = None,
        valid_at: int | None = None,
        as_of: int | None = None,
        known_at: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Call[int]:
        """How many facts `facts:list` gives without a limit."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if subject is not None:
            args["subject"] = subject
        if predicate is not None:
            args["predicate"] = predicate
        if fact_type is not None:
            args["factType"] = fact_type
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        if min_confidence is not None:
            args["minConfidence"] = min_confidence
        if confidence is not None:
            args["confidence"] = confidence
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if memory_id is not None:
            args["memoryId"] = memory_id
        if tags is not None:
            args["tags"] = tags
        if tag_match is not None:
            args["tagMatch"] = tag_match
        if source_type is not None:
            args["sourceType"] = source_type
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if version is not None:
            args["version"] = version
        if include_superseded is not None:
            args["includeSuperseded"] = include_superseded
        if valid_at is not None:
            args["validAt"] = valid_at
        if as_of is not None:
            args["asOf"] = as_of
        if known_at is not None:
            args["knownAt"] = known_at
        if metadata is not None:
            args["metadata"] = metadata
        return Call(self._backend.query, "facts:count", args)

    def search(
        self,
        *,
        memory_space_id: str,
        query: str,
        subject: str | None = None,
        predicate: str | None = None,
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
        | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
        min_confidence: float | None = None,
        confidence: float | None = None,
        user_id: str | None = None,
        participant_id: str | None = None,
        conversation_id: str | None = None,
        memory_id: str | None = None,
        tags: builtins.list[str] | None = None,
        tag_match: Literal["any", "all"] | None = None,
        source_type: Literal["conversation", "system", "tool", "manual", "a2a"] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
        version: int | None = None,
        include_superseded: bool | None = None,
        valid_at: int | None = None,
        as_of: int | None = None,
        known_at: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_by: Literal["createdAt", "updatedAt", "confidence", "version"] | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
    ) -> Call[builtins.list[FoundFact]]:
        """Facts that have words of the query, best first, or by `sortBy`; at most 1,024."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "query": query}
        if subject is not None:
            args["subject"] = subject
        if predicate is not None:
            args["predicate"] = predicate
        if fact_type is not None:
            args["factType"] = fact_type
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        if min_confidence is not None:
            args["minConfidence"] = min_confidence
        if confidence is not None:
            args["confidence"] = confidence
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if memory_id is not None:
            args["memoryId"] = memory_id
        if tags is not None:
            args["tags"] = tags
        if tag_match is not None:
            args["tagMatch"] = tag_match
        if source_type is not None:
            args["sourceType"] = source_type
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if version is not None:
            args["version"] = version
        if include_superseded is not None:
            args["includeSuperseded"] = include_superseded
        if valid_at is not None:
            args["validAt"] = valid_at
        if as_of is not None:
            args["asOf"] = as_of
        if known_at is not None:
            args["knownAt"] = known_at
        if metadata is not None:
            args["metadata"] = metadata
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        if sort_by is not None:
            args["sortBy"] = sort_by
        if sort_order is not None:
            args["sortOrder"] = sort_order
        return Call(self._backend.query, "facts:search", args)

    def get_history(self, *, memory_space_id: str, fact_id: str) -> Call[builtins.list[Fact]]:
        """The fact with all that it has superseded or corrected and all that has superseded or corrected it, oldest
        first; each once.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "factId": fact_id}
        return Call(self._backend.query, "facts:getHistory", args)

    def query_by_subject(
        self,
        *,
        memory_space_id: str,
        subject: str,
        predicate: str | None = None,
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
        | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
        min_confidence: float | None = None,
        confidence: float | None = None,
        user_id: str | None = None,
        participant_id: str | None = None,
        conversation_id: str | None = None,
        memory_id: str | None = None,
        tags: builtins.list[str] | None = None,
        tag_match: Literal["any", "all"] | None = None,
        source_type: Literal["conversation", "system", "tool", "manual", "a2a"] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
        version: int | None = None,
        include_superseded: bool | None = None,
        valid_at: int | None = None,
        as_of: int | None = None,
        known_at: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_by: Literal["createdAt", "updatedAt", "confidence", "version"] | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
    ) -> Call[builtins.list[Fact]]:
        """As `facts:list`, about one subject."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "subject": subject}
        if predicate is not None:
            args["predicate"] = predicate
        if fact_type is not None:
            args["factType"] = fact_type
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        if min_confidence is not None:
            args["minConfidence"] = min_confidence
        if confidence is not None:
            args["confidence"] = confidence
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if memory_id is not None:
            args["memoryId"] = memory_id
        if tags is not None:
            args["tags"] = tags
        if tag_match is not None:
            args["tagMatch"] = tag_match
        if source_type is not None:
            args["sourceType"] = source_type
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if version is not None:
            args["version"] = version
        if include_superseded is not None:
            args["includeSuperseded"] = include_superseded
        if valid_at is not None:
            args["validAt"] = valid_at
        if as_of is not None:
            args["asOf"] = as_of
        if known_at is not None:
            args["knownAt"] = known_at
        if metadata is not None:
            args["metadata"] = metadata
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        if sort_by is not None:
            args["sortBy"] = sort_by
        if sort_order is not None:
            args["sortOrder"] = sort_order
        return Call(self._backend.query, "facts:queryBySubject", args)

    def query_by_relationship(
        self,
        *,
        memory_space_id: str,
        subject: str,
        predicate: str,
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
        | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
        min_confidence: float | None = None,
        confidence: float | None = None,
        user_id: str | None = None,
        participant_id: str | None = None,
        conversation_id: str | None = None,
        memory_id: str | None = None,
        tags: builtins.list[str] | None = None,
        tag_match: Literal["any", "all"] | None = None,
        source_type: Literal["conversation", "system", "tool", "manual", "a2a"] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
        version: int | None = None,
        include_superseded: bool | None = None,
        valid_at: int | None = None,
        as_of: int | None = None,
        known_at: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_by: Literal["createdAt", "updatedAt", "confidence", "version"] | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
    ) -> Call[builtins.list[Fact]]:
        """As `facts:list`, about one subject and predicate."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "subject": subject, "predicate": predicate}
        if fact_type is not None:
            args["factType"] = fact_type
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        if min_confidence is not None:
            args["minConfidence"] = min_confidence
        if confidence is not None:
            args["confidence"] = confidence
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if memory_id is not None:
            args["memoryId"] = memory_id
        if tags is not None:
            args["tags"] = tags
        if tag_match is not None:
            args["tagMatch"] = tag_match
        if source_type is not None:
            args["sourceType"] = source_type
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if version is not None:
            args["version"] = version
        if include_superseded is not None:
            args["includeSuperseded"] = include_superseded
        if valid_at is not None:
            args["validAt"] = valid_at
        if as_of is not None:
            args["asOf"] = as_of
        if known_at is not None:
            args["knownAt"] = known_at
        if metadata is not None:
            args["metadata"] = metadata
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        if sort_by is not None:
            args["sortBy"] = sort_by
        if sort_order is not None:
            args["sortOrder"] = sort_order
        return Call(self._backend.query, "facts:queryByRelationship", args)

    def export_facts(
        self,
        *,
        memory_space_id: str,
        format: Literal["json", "jsonld", "csv"],
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"]
        | None = None,
    ) -> Call[FactExport]:
        """The facts that hold, as a text: a JSON array; JSON-LD with an `@graph`; or CSV as RFC 4180 has it, with a
        header, every field quoted, and an apostrophe before a text that a spreadsheet would take for a formula.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "format": format}
        if fact_type is not None:
            args["factType"] = fact_type
        return Call(self._backend.query, "facts:exportFacts", args)

    def consolidate(
        self, *, memory_space_id: str, fact_ids: builtins.list[str], keep_fact_id: str
    ) -> Call[Consolidation]:
        """Makes facts one.

        Raises `FactNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "factIds": fact_ids, "keepFactId": keep_fact_id}
        return Call(self._backend.mutation, "facts:consolidate", args)

    def commit(
        self,
        *,
        stream_id: str,
        memory_space_id: str,
        epoch: int,
        side: Literal["question", "answer"],
        from_: int,
        to: int,
        facts: builtins.list[NewFact],
        attempt: int | None = None,
        error: str | None = None,
        tries: int | None = None,
        dead: bool | None = None,
        deduplication: Literal["none", "exact", "structural", "semantic"] | None = None,
        revise: bool | None = None,
    ) -> Call[CommittedFacts]:
        """Stores what was read from the code points `from` to `to` (excluded) of a side of a stream: of its question,
        or of the text of an `attempt`, by default the newest.

        Raises `StreamNotFound`, `Fenced`, `Gap`.
        """
        args: dict[str, Any] = {
            "streamId": stream_id,
            "memorySpaceId": memory_space_id,
            "epoch": epoch,
            "side": side,
            "from": from_,
            "to": to,
            "facts": facts,
        }
        if attempt is not None:
            args["attempt"] = attempt
        if error is not None:
            args["error"] = error
        if tries is not None:
            args["tries"] = tries
        if dead is not None:
            args["dead"] = dead
        if deduplication is not None:
            args["deduplication"] = deduplication
        if revise is not None:
            args["revise"] = revise
        return Call(self._backend.mutation, "facts:commit", args)

    def queued(
        self, *, memory_space_id: str | None = None, dead: bool | None = None, limit: int | None = None
    ) -> Call[builtins.list[QueuedWindow]]:
        """The windows of streams that have ended that are to be read yet, oldest first."""
        args: dict[str, Any] = {}
        if memory_space_id is not None:
            args["memorySpaceId"] = memory_space_id
        if dead is not None:
            args["dead"] = dead
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.query, "facts:queued", args)

    def similar(
        self,
        *,
        memory_space_id: str,
        fact: str,
        fact_type: Literal["preference", "identity", "knowledge", "relationship", "event", "observation", "custom"],
        confidence: float,
        user_id: str | None = None,
        subject: str | None = None,
        predicate: str | None = None,
        object: str | None = None,
        qualifier: str | None = None,
        polarity: Literal["positive", "negative"] | None = None,
        tense: Literal["past", "present", "future"] | None = None,
        valid_from: int | None = None,
        valid_until: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        cardinality: Literal["one", "many"] | None = None,
        embedding: builtins.list[float] | None = None,
        embedding_model: str | None = None,
        decision: FactDecision | None = None,
        deduplication: Literal["none", "exact", "structural", "semantic"] | None = None,
        revise: bool | None = None,
        limit: int | None = None,
    ) -> Call[builtins.list[SimilarFact]]:
        """The facts that hold, of the same user, that a new fact may be about: those with the same subject and
        predicate, those with a similar text, those with its words, and, if the deduplication is "semantic", those about
        the same subject with a near embedding of the same model.
        """
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "fact": fact,
            "factType": fact_type,
            "confidence": confidence,
        }
        if user_id is not None:
            args["userId"] = user_id
        if subject is not None:
            args["subject"] = subject
        if predicate is not None:
            args["predicate"] = predicate
        if object is not None:
            args["object"] = object
        if qualifier is not None:
            args["qualifier"] = qualifier
        if polarity is not None:
            args["polarity"] = polarity
        if tense is not None:
            args["tense"] = tense
        if valid_from is not None:
            args["validFrom"] = valid_from
        if valid_until is not None:
            args["validUntil"] = valid_until
        if metadata is not None:
            args["metadata"] = metadata
        if cardinality is not None:
            args["cardinality"] = cardinality
        if embedding is not None:
            args["embedding"] = embedding
        if embedding_model is not None:
            args["embeddingModel"] = embedding_model
        if decision is not None:
            args["decision"] = decision
        if deduplication is not None:
            args["deduplication"] = deduplication
        if revise is not None:
            args["revise"] = revise
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.query, "facts:similar", args)
