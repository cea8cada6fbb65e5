"""The functions `streams:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import LEFT_OUT, Call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import (
        Appended,
        BegunStream,
        Extraction,
        InterruptedStream,
        IssuedToken,
        Lease,
        ListedStream,
        Range,
        RolledBackStream,
        StopRequest,
        StoredExchange,
        Stream,
        StreamPage,
        TakenStream,
    )
__all__ = ["Streams"]


class Streams:
    """The functions `streams:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def begin(
        self,
        *,
        stream_id: str,
        memory_space_id: str,
        conversation_id: str,
        user_message: str,
        importance: float,
        tags: builtins.list[str],
        user_id: str | None = None,
        user_name: str | None = None,
        agent_id: str | None = None,
        participant_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        started_at: int | None = None,
        lease: int | None = None,
        claim: str | None = None,
        token: str | None = None,
        token_ttl: int | None = None,
        completes: bool | None = None,
        read_facts: bool | None = None,
    ) -> Call[BegunStream]:
        """Stores the question with all that belongs to it, and makes the partial memory of the answer, at epoch 1,
        attempt 0.

        Raises `IdempotencyConflict`, `StillOwned`, `StreamNotFound`.
        """
        args: dict[str, Any] = {
            "streamId": stream_id,
            "memorySpaceId": memory_space_id,
            "conversationId": conversation_id,
            "userMessage": user_message,
            "importance": importance,
            "tags": tags,
        }
        if user_id is not None:
            args["userId"] = user_id
        if user_name is not None:
            args["userName"] = user_name
        if agent_id is not None:
            args["agentId"] = agent_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if metadata is not None:
            args["metadata"] = metadata
        if started_at is not None:
            args["startedAt"] = started_at
        if lease is not None:
            args["lease"] = lease
        if claim is not None:
            args["claim"] = claim
        if token is not None:
            args["token"] = token
        if token_ttl is not None:
            args["tokenTtl"] = token_ttl
        if completes is not None:
            args["completes"] = completes
        if read_facts is not None:
            args["readFacts"] = read_facts
        return Call(self._backend.mutation, "streams:begin", args)

    def append(
        self,
        *,
        stream_id: str,
        memory_space_id: str,
        epoch: int,
        attempt: int,
        start: int,
        text: str,
        lease: int | None = None,
        mark: Any = LEFT_OUT,
        state: Any = LEFT_OUT,
        last_error: str | None = None,
    ) -> Call[Appended]:
        """Adds to the text of an attempt.

        Raises `StreamNotFound`, `Fenced`, `Diverged`, `Gap`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {
            "streamId": stream_id,
            "memorySpaceId": memory_space_id,
            "epoch": epoch,
            "attempt": attempt,
            "start": start,
            "text": text,
        }
        if lease is not None:
            args["lease"] = lease
        if mark is not LEFT_OUT:
            args["mark"] = mark
        if state is not LEFT_OUT:
            args["state"] = state
        if last_error is not None:
            args["lastError"] = last_error
        return Call(self._backend.mutation, "streams:append", args)

    def finalize(
        self,
        *,
        stream_id: str,
        memory_space_id: str,
        epoch: int,
        attempt: int,
        start: int,
        text: str,
        length: int,
        reason: str | None = None,
        usage: Mapping[str, Any] | None = None,
        user_content: str | None = None,
        user_embedding: builtins.list[float] | None = None,
        agent_embedding: builtins.list[float] | None = None,
        embedding_model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        chunks: builtins.list[Range] | None = None,
        extractions: builtins.list[Extraction] | None = None,
    ) -> Call[StoredExchange]:
        """Appends `text` at `start` by the rules of `append`, and checks that the answer is then `length` long (else
        `Gap`).

        Raises `StreamNotFound`, `Fenced`, `Diverged`, `Gap`, `IdempotencyConflict`, `EmbeddingMismatch`.
        """
        args: dict[str, Any] = {
            "streamId": stream_id,
            "memorySpaceId": memory_space_id,
            "epoch": epoch,
            "attempt": attempt,
            "start": start,
            "text": text,
            "length": length,
        }
        if reason is not None:
            args["reason"] = reason
        if usage is not None:
            args["usage"] = usage
        if user_content is not None:
            args["userContent"] = user_content
        if user_embedding is not None:
            args["userEmbedding"] = user_embedding
        if agent_embedding is not None:
            args["agentEmbedding"] = agent_embedding
        if embedding_model is not None:
            args["embeddingModel"] = embedding_model
        if metadata is not None:
            args["metadata"] = metadata
        if chunks is not None:
            args["chunks"] = chunks
        if extractions is not None:
            args["extractions"] = extractions
        return Call(self._backend.mutation, "streams:finalize", args)

    def close(
        self,
        *,
        stream_id: str,
        memory_space_id: str,
        epoch: int,
        outcome: Literal["empty", "interrupted", "error"],
        reason: str | None = None,
    ) -> Call[StoredExchange]:
        """Keeps the question of a stream without an answer.

        Raises `StreamNotFound`, `Fenced`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {
            "streamId": stream_id,
            "memorySpaceId": memory_space_id,
            "epoch": epoch,
            "outcome": outcome,
        }
        if reason is not None:
            args["reason"] = reason
        return Call(self._backend.mutation, "streams:close", args)

    def renew(
        self,
        *,
        stream_id: str,
        memory_space_id: str,
        epoch: int,
        lease: int | None = None,
        last_error: str | None = None,
    ) -> Call[Lease]:
        """The sign of life of a writer that has nothing to write: a new lease from now on.

        Raises `StreamNotFound`, `Fenced`.
        """
        args: dict[str, Any] = {"streamId": stream_id, "memorySpaceId": memory_space_id, "epoch": epoch}
        if lease is not None:
            args["lease"] = lease
        if last_error is not None:
            args["lastError"] = last_error
        return Call(self._backend.mutation, "streams:renew", args)

    def stop(self, *, stream_id: str, memory_space_id: str) -> Call[StopRequest]:
        """Asks the writer of an open stream to stop, whatever its lease.

        Raises `StreamNotFound`.
        """
        args: dict[str, Any] = {"streamId": stream_id, "memorySpaceId": memory_space_id}
        return Call(self._backend.mutation, "streams:stop", args)

    def take_over(
        self,
        *,
        memory_space_id: str,
        token: str,
        claim: str,
        lease: int | None = None,
        new_token: str | None = None,
        token_ttl: int | None = None,
        force: bool | None = None,
    ) -> Call[TakenStream]:
        """Goes on with the token's stream, from the stored text: the epoch rises, the attempt does not.

        Raises `TokenUnknown`, `WrongMemorySpace`, `StreamNotFound`, `TokenSuperseded`, `TokenExpired`, `StillOwned`,
        `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "token": token, "claim": claim}
        if lease is not None:
            args["lease"] = lease
        if new_token is not None:
            args["newToken"] = new_token
        if token_ttl is not None:
            args["tokenTtl"] = token_ttl
        if force is not None:
            args["force"] = force
        return Call(self._backend.mutation, "streams:takeOver", args)

    def issue_token(
        self, *, memory_space_id: str, stream_id: str, token: str, token_ttl: int | None = None
    ) -> Call[IssuedToken]:
        """Stores a token of the stream, in any state.

        Raises `StreamNotFound`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "streamId": stream_id, "token": token}
        if token_ttl is not None:
            args["tokenTtl"] = token_ttl
        return Call(self._backend.mutation, "streams:issueToken", args)

    def finish(self, *, stream_id: str, memory_space_id: str) -> Call[StoredExchange]:
        """Ends a stream without a running lease, under a new epoch; while one runs it is `StillOwned`.

        Raises `StreamNotFound`, `StillOwned`.
        """
        args: dict[str, Any] = {"streamId": stream_id, "memorySpaceId": memory_space_id}
        return Call(self._backend.mutation, "streams:finish", args)

    def rollback(self, *, stream_id: str, memory_space_id: str, epoch: int) -> Call[RolledBackStream]:
        """Removes a stream that has no answer: the question (if the stream was closed before, also from the
        conversation), the text of all attempts, the memories, and the facts that were read from it.

        Raises `StreamNotFound`, `Fenced`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"streamId": stream_id, "memorySpaceId": memory_space_id, "epoch": epoch}
        return Call(self._backend.mutation, "streams:rollback", args)

    def get(self, *, stream_id: str, memory_space_id: str) -> Call[Stream | None]:
        """The stream, or None."""
        args: dict[str, Any] = {"streamId": stream_id, "memorySpaceId": memory_space_id}
        return Call(self._backend.query, "streams:get", args)

    def read(
        self,
        *,
        stream_id: str,
        memory_space_id: str,
        after: int,
        attempt: int | None = None,
        epoch: int | None = None,
        limit: int | None = None,
    ) -> Call[StreamPage]:
        """At most `limit` code points of an attempt's text from `after` on, by default of the newest attempt, and in
        the same snapshot where the stream stands.

        Raises `StreamNotFound`.
        """
        args: dict[str, Any] = {"streamId": stream_id, "memorySpaceId": memory_space_id, "after": after}
        if attempt is not None:
            args["attempt"] = attempt
        if epoch is not None:
            args["epoch"] = epoch
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.query, "streams:read", args)

    def interrupted(
        self, *, memory_space_id: str, conversation_id: str | None = None, limit: int | None = None
    ) -> Call[builtins.list[InterruptedStream]]:
        """The open streams without a running lease, newest first; with `conversationId` those of this conversation."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.query, "streams:interrupted", args)

    def list(
        self, *, memory_space_id: str, conversation_id: str, limit: int | None = None
    ) -> Call[builtins.list[ListedStream]]:
        """The streams of a conversation, newest first, without those that were deleted or rolled back."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "conversationId": conversation_id}
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.query, "streams:list", args)
