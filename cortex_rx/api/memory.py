"""`cortex.memory`: remember, store, search, list, count and delete memories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from cortex_rx import validation as check
from cortex_rx.api._graph import check_sync, sync_keyword
from cortex_rx.api._reextraction import facts_of, read_facts
from cortex_rx.api._stored_memories import StoredMemories, changed, found, kept
from cortex_rx.backends import Backend
from cortex_rx.backends.contract.typed import Conversations, Streams
from cortex_rx.chain import Operator
from cortex_rx.embedding.embedder import Embedder, GenerateEmbedding, as_embedder
from cortex_rx.engine.running import Started
from cortex_rx.errors import InvalidArgument, MemoryNotFound, StillOwned
from cortex_rx.facts.extractor import Extractor
from cortex_rx.models.facts import FactDeduplication, FactRecord, FactRevision, checked_deduplication
from cortex_rx.models.memories import (
    DeleteManyResult,
    DeleteResult,
    EnrichedMemory,
    ManyMemoriesFilter,
    MemoryUpdate,
    UpdatedMemory,
    UpdateMemoryOptions,
)
from cortex_rx.models.options import (
    DeleteMemoryOptions,
    ForgetOptions,
    MemoryFilter,
    RememberOptions,
    RememberParams,
    SearchOptions,
    StreamFilter,
    StreamingOptions,
    ids,
    parse,
)
from cortex_rx.models.recall_options import RecallOptions
from cortex_rx.models.recalled import RecallResult
from cortex_rx.models.records import MemoryEntry, Record
from cortex_rx.models.results import ForgetResult, RememberResult, StoredConversation
from cortex_rx.models.store_input import StoreMemoryInput
from cortex_rx.pipeline.answer import LINGER, Answer
from cortex_rx.pipeline.remembering import remember, remember_stream
from cortex_rx.recollection import recall
from cortex_rx.reembedding import Reembedded, ReembedProgress, reembed
from cortex_rx.sources.model_stream import Fallback, Provider, Recalling, Reopenable, recalling
from cortex_rx.spool.spool import Spool, checked_spool
from cortex_rx.streams.follow import Follower, Position, follow
from cortex_rx.streams.takeover import token_hash
from cortex_rx.streams.writers import locate
from cortex_rx.unique import new_token

if TYPE_CHECKING:
    from cortex_rx.graph.adapter import GraphAdapter

__all__ = ["InterruptedStream", "MemoryAPI", "StopResult", "StreamEntry"]

_Streams: TypeAlias = "list[InterruptedStream]"
_Entries: TypeAlias = "list[StreamEntry]"
_Enriched: TypeAlias = list[EnrichedMemory]
_Memories: TypeAlias = list[MemoryEntry]  # inside the class, `list` is a method


class InterruptedStream(Record):
    """A stream that no process writes any more: `length` code points of `attempt` are stored.  Times are epoch
    milliseconds.  `message_ids` and `memory_ids` are the ids of its question and its answer, under which both will be
    stored.  `last_error` is the code of the error that the writer failed with, if it could say so."""

    stream_id: str
    conversation_id: str
    memory_id: str
    message_ids: tuple[str, str]
    memory_ids: tuple[str, str]
    attempt: int
    length: int
    user_message: str
    created_at: float
    updated_at: float
    lease_until: float | None = None
    last_error: str | None = None


class StopResult(Record):
    """Where a stream stood when it was asked to stop.

    `state` is "open", "finished" or "empty" (closed without an answer). `owned`: a process writes it, and hears of the
    request. Otherwise nothing had to stop. `lease_until` (epoch milliseconds): until then it owns the stream without a
    sign of life.
    """

    state: Literal["open", "finished", "empty"]
    owned: bool
    lease_until: float | None = None


class StreamEntry(InterruptedStream):
    """A stream of a conversation: `state` is "open", "finished", or "empty" if it was closed without an answer.

    `owned`: a process writes it.  `reason` and `usage` are those of its end.
    """

    state: Literal["open", "finished", "empty"]
    owned: bool
    reason: str | None = None
    usage: dict[str, Any] | None = None


class MemoryAPI(StoredMemories):
    """The memories of a backend.  Every method works in one memory space and sees no other.

    Arguments are checked first: `InvalidArgument` or `UnsupportedOption` is raised before the backend is called.  If
    the backend refuses a call, the error is a `StoreError`.

    >>> import asyncio
    >>> class Backend:                                          # any backend: one that knows one memory
    ...     async def query(self, path, args):
    ...         return 1 if path == "memories:count" else None
    ...     async def mutation(self, path, args): ...
    ...     async def close(self): ...
    >>> memory = MemoryAPI(Backend())
    >>> asyncio.run(memory.count("support")), asyncio.run(memory.get("support", "mem-2"))
    (1, None)
    >>> asyncio.run(memory.get("support", ""))
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: memory_id: got ''; accepted: a string that is not empty
    """

    def __init__(
        self,
        backend: Backend,
        *,
        linger: timedelta = LINGER,
        started: Started | None = None,
        spool: Spool | None = None,
        embedder: Embedder | None = None,
        extractor: Extractor | None = None,
        deduplication: FactDeduplication | None = None,
        graph: GraphAdapter | None = None,
    ) -> None:
        super().__init__(backend)
        check.seconds(zero=True)("linger", linger)
        check.optional(check.function)("started", started)
        check.optional(checked_spool)("spool", spool)
        check.optional(check.instance(Embedder, "an Embedder"))("embedder", embedder)
        check.optional(check.callback)("extractor", extractor)
        checked_deduplication("deduplication", deduplication)
        if graph is not None:
            from cortex_rx.models.graph import checked_adapter  # only who has a graph loads it

            checked_adapter("graph", graph)
        self._extractor: Extractor | None = extractor
        self._deduplication: FactDeduplication | None = deduplication
        if graph is not None:
            from cortex_rx.models.graph import checked_adapter  # only who has a graph loads it

            checked_adapter("graph", graph)
        self._graph: GraphAdapter | None = graph
        self._linger, self._started, self._spool = linger, started, spool
        self.embedder: Embedder | None = embedder
        """What embeds memories and queries, unless a call says otherwise."""

    def remember_stream(
        self,
        params: Any = None,
        options: StreamingOptions | Mapping[str, Any] | None = None,
        *,
        chain: Operator | None = None,
        provider: Provider | None = None,
        linger: timedelta | None = None,
        **keywords: Any,
    ) -> Answer:
        """Stream an answer into memory: `cortex_rx.remember_stream` on this backend.  `linger` defaults to the
        client's.

        `params` is the answer's stream, and the parameters are keywords; or all parameters as a `RememberStreamParams`
        or a mapping, as in Cortex.

        >>> import asyncio
        >>> from cortex_rx import Cortex
        >>> async def main():
        ...     async with Cortex(":memory:") as cortex:
        ...         turn = {"memorySpaceId": "s", "conversationId": "c-1", "userMessage": "Hi!", "agentId": "helper"}
        ...         params = turn | {"responseStream": ["Hello ", "Ada"]}
        ...         result = await cortex.memory.remember_stream(params, {"streamTimeout": 30_000})
        ...         return result["fullResponse"], result.stream_metrics.total_chunks
        >>> asyncio.run(main())
        ('Hello Ada', 2)
        """
        return remember_stream(
            {} if params is None else params,
            options,
            backend=self._backend,
            chain=chain,
            provider=provider,
            linger=self._linger if linger is None else linger,
            started=self._started,
            spool=self._spool,
            embedder=self.embedder,
            extractor=self._extractor,
            deduplication=self._deduplication,
            graph=self._graph,
            **keywords,
        )

    async def remember(
        self,
        params: RememberParams | Mapping[str, Any] | None = None,
        options: RememberOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> RememberResult:
        """Remember an exchange whose answer is complete: `cortex_rx.remember` on this backend.

        `params` is a `RememberParams`, a mapping, or keywords.
        """
        beside = parse(RememberOptions, options, **sync_keyword(keywords))
        for name in ("extract_content", "generate_embedding"):
            if (function := getattr(beside, name)) is not None:
                if name in keywords:
                    raise InvalidArgument(name, "twice", "the function once: in the options or as a keyword")
                keywords[name] = function
        await check_sync(self._backend, beside.sync_to_graph)
        return await remember(
            params,
            backend=self._backend,
            started=self._started,
            spool=self._spool,
            embedder=self.embedder,
            extractor=self._extractor,
            deduplication=self._deduplication,
            graph=self._graph,
            **keywords,
        )

    async def store(
        self, memory_space_id: str, content: str | StoreMemoryInput | Mapping[str, Any], **keywords: Any
    ) -> MemoryEntry:
        """Store one memory: any text, with what is known of it.  It need not belong to an exchange.

        `content` is the text, and `keywords` are the other fields of a `StoreMemoryInput`; or give such a record, or a
        mapping with its fields, as in Cortex.  A memory is stored once under its `memory_id`: the same call again gives
        the stored one, and another content, owner or conversation is an `IdempotencyConflict`.  Without an id it gets a
        new one.  A store that cannot be reached is asked again for two seconds.

        The content is embedded by its `generate_embedding`, else by the client's.  If that fails, takes more than 30 s,
        or is of another model than the store's, the memory is stored without a vector, and a warning is logged.  An
        `embedding` of another model is an `EmbeddingMismatch`.

        >>> import asyncio
        >>> from cortex_rx import Cortex
        >>> async def main():
        ...     async with Cortex(":memory:") as cortex:
        ...         said = {"type": "conversation", "user_name": "Ada", "timestamp": 1_764_000_000_000}
        ...         await cortex.memory.store("s", "Ada: I moved to Lisbon.", source=said, conversation_id="c-1")
        ...         await cortex.memory.store("s", "The office closes at six.", tags=["hours"], importance=80)
        ...         (found,) = await cortex.memory.search("s", "lisbon")
        ...         return found.content, found.source_user_name, found.conversation_ref["conversationId"]
        >>> asyncio.run(main())
        ('Ada: I moved to Lisbon.', 'Ada', 'c-1')
        """
        return await kept(self._memories, memory_space_id, content, keywords, self.embedder)

    def follow(
        self,
        memory_space_id: str,
        stream_id: str,
        after: int | Position = 0,
        *,
        every: timedelta = timedelta(milliseconds=200),
    ) -> Follower:
        """Follow a stream in the store, whichever process writes it: `cortex_rx.streams.follow.follow` on this
        backend."""
        return follow(self._backend, memory_space_id, stream_id, after, every=every)

    async def interrupted(
        self, memory_space_id: str, *, conversation_id: str | None = None, limit: int = 100
    ) -> _Streams:
        """The unfinished streams that no process writes any more, of this conversation if given, newest first.  Makes
        no tokens."""
        narrowed = StreamFilter(conversation_id=conversation_id, limit=limit).keywords()
        rows = await Streams(self._backend).interrupted(**ids(memory_space_id=memory_space_id), **narrowed)
        return [InterruptedStream.from_row(row) for row in rows]

    async def streams(self, memory_space_id: str, conversation_id: str, *, limit: int = 100) -> _Entries:
        """The streams of a conversation, newest first, without those that were deleted or rolled back."""
        conversation = ids(memory_space_id=memory_space_id, conversation_id=conversation_id)
        rows = await Streams(self._backend).list(**conversation, **StreamFilter(limit=limit).keywords())
        return [StreamEntry.from_row(row) for row in rows]

    async def issue_token(self, memory_space_id: str, stream_id: str) -> str:
        """A new token that resumes the stream, valid for an hour.  Raises `StreamNotFound`."""
        token = new_token()
        stream = ids(memory_space_id=memory_space_id, stream_id=stream_id)
        await Streams(self._backend).issue_token(**stream, token=token_hash(token))
        return token

    async def stop(self, memory_space_id: str, stream_id: str) -> StopResult:
        """Ask the process that writes the stream to stop, whichever it is.  Returns when the request is stored.

        The writer hears of it at its next write (by default every 500 ms while text comes) or heartbeat (every 3 s).
        Then it stops as by `answer.stop()`: the source is closed, what was shown is stored, and the stream is free.
        Its readers and awaiters get `AnswerStopped`, with `by` "request"; who follows it gets `Interrupted`.  A text
        that has already ended is remembered in any case.  A writer that takes the stream over later is not stopped.
        Raises `StreamNotFound`.
        """
        stream = ids(memory_space_id=memory_space_id, stream_id=stream_id)
        return StopResult.from_row(await Streams(self._backend).stop(**stream))

    async def finish(self, memory_space_id: str, stream_id: str) -> RememberResult:
        """End a stream that will not be resumed: its stored text becomes the answer, marked as incomplete.

        Without any text, the question is kept as unanswered.  Raises `StillOwned` while the writer may be alive, and
        `StreamNotFound`.
        """
        stream = ids(memory_space_id=memory_space_id, stream_id=stream_id)
        try:
            stored = await Streams(self._backend).finish(**stream)
        except StillOwned as error:
            raise locate(error, self._backend) from None
        return RememberResult(
            conversation=StoredConversation.from_row(stored["conversation"]),
            memories=tuple(MemoryEntry.from_row(row) for row in stored["memories"]),
            facts=tuple(map(FactRecord.from_row, stored.get("facts", ()))),
            fact_revisions=tuple(map(FactRevision.from_row, stored.get("revisions", ()))),
        )

    @overload
    async def search(
        self,
        memory_space_id: str,
        query: str,
        options: SearchOptions | Mapping[str, Any] | None = None,
        *,
        enrich_conversation: Literal[True],
        **keywords: Any,
    ) -> _Enriched: ...

    @overload
    async def search(
        self,
        memory_space_id: str,
        query: str,
        options: SearchOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> _Memories: ...

    async def search(
        self,
        memory_space_id: str,
        query: str,
        options: SearchOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> _Memories | _Enriched:
        """The memories that match `query`, best first, each with a `score` between 0 and 1.

        `options` are a `SearchOptions`, a mapping of its fields, or keywords, and may be mixed.  The words may be in
        any script.  A memory also counts for what is said around it in its conversation, and may be found for that
        alone; `neighbours=False` searches each memory by itself.  For an answer stored in chunks, the chunks are found;
        their `chunk_metadata` names the answer.  At most `limit` (20) are returned.  `content` is at most the first
        65,536 code points, and `content_length` the true length.  Archived memories are found only with
        `include_archived`.

        If the client or the call has an embedder, the query is embedded, and the score takes in the embeddings.  If
        that fails or is slow, the search goes on by words, unless `strategy` is "semantic".  `explain` says of each
        memory why it was found, in its `why`.  With `enrich_conversation`, each is an `EnrichedMemory`, with its
        conversation, the messages that it was made from, and the facts that come from it.
        """
        given = parse(SearchOptions, options, **keywords)
        rows = await found(self._backend, memory_space_id, query, given, self.embedder)
        if given.enrich_conversation:
            return await self._enriched(memory_space_id, rows)
        return [MemoryEntry.from_row(row) for row in rows]

    async def recall(
        self,
        memory_space_id: str,
        query: str,
        options: RecallOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> RecallResult:
        """What a model should know before it answers: `cortex_rx.recall` on this backend."""
        return await recall(self._backend, memory_space_id, query, options, embedder=self.embedder, **keywords)

    async def reembed(
        self,
        generate_embedding: GenerateEmbedding | None = None,
        *,
        embedding_model: str | None = None,
        batch_size: int = 100,
        on_progress: Callable[[ReembedProgress], object] | None = None,
    ) -> Reembedded:
        """Move the store to another embedding model, or give it its first one: `cortex_rx.reembedding.reembed` on this
        backend, by default with the client's embedder.

        When the store has been moved, this client embeds with the new model.  Other clients are to be made anew with
        it: what they embed with the old one is stored without its vectors.
        """
        embedder = as_embedder(generate_embedding, embedding_model) or self.embedder
        if embedder is None:
            raise InvalidArgument("generate_embedding", None, "an Embedder or a function, here or at the client")
        done = await reembed(self._backend, embedder, batch_size=batch_size, on_progress=on_progress)
        self.embedder = embedder
        return done

    def recalling(
        self,
        factory: Reopenable | Fallback | Callable[[RecallResult], Any],
        options: RecallOptions | Mapping[str, Any] | None = None,
        *,
        time_limit: timedelta = timedelta(seconds=1),
        **keywords: Any,
    ) -> Recalling:
        """A source that recalls for the turn's question before it asks the model: `cortex_rx.recalling` on this
        backend."""
        return recalling(self._backend, factory, options, embedder=self.embedder, time_limit=time_limit, **keywords)

    @overload
    async def get(
        self,
        memory_space_id: str,
        memory_id: str,
        include_conversation: Literal[True],
        *,
        include_partial: bool = False,
    ) -> EnrichedMemory | None: ...

    @overload
    async def get(
        self,
        memory_space_id: str,
        memory_id: str,
        include_conversation: Literal[False] = False,
        *,
        include_partial: bool = False,
    ) -> MemoryEntry | None: ...

    async def get(
        self, memory_space_id: str, memory_id: str, include_conversation: bool = False, *, include_partial: bool = False
    ) -> MemoryEntry | EnrichedMemory | None:
        """The memory with its whole content, or None if the memory space has no memory with this id.

        With `include_conversation` it is an `EnrichedMemory`, with its conversation, the messages that it was made
        from, and the facts that come from it.  An answer stored in chunks comes with their ids.  An answer that still
        streams is found only with `include_partial`.
        """
        check.flag("include_conversation", include_conversation)
        narrowed = MemoryFilter(include_partial=include_partial).keywords()
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        row = await self._memories.get(**memory, **narrowed)
        if row is None:
            return None
        if include_conversation:
            return (await self._enriched(memory_space_id, [row]))[0]
        return MemoryEntry.from_row(row)

    async def update(
        self,
        memory_space_id: str,
        memory_id: str,
        updates: MemoryUpdate | Mapping[str, Any] | None = None,
        options: UpdateMemoryOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> UpdatedMemory:
        """Change a memory: its content, embedding, importance, tags or metadata.  What it was before is a version.

        `updates` are a `MemoryUpdate`, a mapping of its fields, or keywords.  The message in the conversation stays as
        it was said.  A new content is embedded by its `generate_embedding`, else by the client's; an answer in chunks
        is one piece then.  What changes nothing makes no version.

        With `reextract_facts`, the facts that only this memory says are retracted, and those of its content are
        stored, read by `extract_facts`, else by the client's extractor.  They are read first: if that fails, nothing
        is changed, and its error is raised.

        Raises `MemoryNotFound`, `VersionConflict` if the memory has another version than `expected_version`, and
        `InvalidArgument` for a chunk, which is changed with its answer.

        >>> import asyncio
        >>> from cortex_rx import Cortex
        >>> def likes(user_message, text):
        ...     for drink in ("tea", "coffee"):
        ...         if drink in user_message + text:
        ...             yield {"fact": f"Ada likes {drink}.", "fact_type": "preference", "confidence": 90}
        >>> async def main():
        ...     async with Cortex(":memory:", extract_facts=likes) as cortex:
        ...         note = await cortex.memory.store("s", "Ada likes tea.")
        ...         for content in ("Ada likes tea, too.", "Ada likes coffee."):
        ...             changed = await cortex.memory.update(
        ...                 "s", note.memory_id, {"content": content}, {"reextract_facts": True})
        ...         facts = await cortex.facts.list(memory_space_id="s")
        ...         return changed.memory.version, [fact.fact for fact in facts]
        >>> asyncio.run(main())
        (3, ['Ada likes coffee.'])
        """
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        given, beside = parse(MemoryUpdate, updates, **keywords), parse(UpdateMemoryOptions, options)
        given.keywords()  # an empty one is refused before anything is asked
        await check_sync(self._backend, beside.sync_to_graph)
        if not beside.reextract_facts:
            return UpdatedMemory(memory=await changed(self._memories, memory, given, self.embedder))
        reading = await read_facts(
            self._backend, memory, given.content, beside.extract_facts or self._extractor,
            self._deduplication, self.embedder,
        )  # fmt: skip
        updated = await changed(self._memories, memory, given, self.embedder, retract_facts=True)
        facts = await facts_of(self._backend, updated, reading)
        return UpdatedMemory(memory=updated, facts_reextracted=facts)

    async def delete(
        self,
        memory_space_id: str,
        memory_id: str,
        options: DeleteMemoryOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> DeleteResult:
        """Delete a memory, and with an answer its chunks.  The messages of the conversation stay.

        What facts say of it goes too, unless `cascade_delete_facts` is False: a fact that only this memory says is
        gone, one with other sources has what these say.  `forget` also takes the message.

        Raises `MemoryNotFound`, and `InvalidArgument` for a chunk, which can only be deleted with its answer.
        """
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        beside = parse(DeleteMemoryOptions, options, **keywords)
        await check_sync(self._backend, beside.sync_to_graph)
        cascade = None if beside.cascade_delete_facts else False
        return DeleteResult.from_row(await self._memories.delete_memory(**memory, cascade_delete_facts=cascade))

    async def delete_many(
        self,
        memory_space_id: str,
        filters: ManyMemoriesFilter | Mapping[str, Any] | None = None,
        *,
        cascade_delete_facts: bool = True,
        **keywords: Any,
    ) -> DeleteManyResult:
        """Delete all memories that pass the filters, as `delete` does, all or none.

        `filters` are a `ManyMemoriesFilter`, a mapping of its fields, or keywords: at least one.
        """
        space = ids(memory_space_id=memory_space_id)
        check.flag("cascade_delete_facts", cascade_delete_facts)
        narrowed = parse(ManyMemoriesFilter, filters, **keywords).keywords()
        cascade = None if cascade_delete_facts else False
        return DeleteManyResult.from_row(
            await self._memories.delete_many(**space, **narrowed, cascade_delete_facts=cascade)
        )

    async def forget(
        self,
        memory_space_id: str,
        memory_id: str | None = None,
        options: ForgetOptions | Mapping[str, Any] | None = None,
        *,
        message_id: str | None = None,
        **keywords: Any,
    ) -> ForgetResult:
        """Forget a memory, or what is remembered of a message; give one of the two ids.

        The memory is deleted, and the facts that come from it alone are retracted.  The message stays in its
        conversation.  With `erase=True` the message is deleted too, and what facts have of it, as if it had never been
        said: also `known_at` an earlier time nobody finds it.  A fact with other sources has what these say.
        `delete_conversation`, which is Cortex's name, does the same; `delete_entire_conversation` deletes the
        conversation of the memory, with its messages, its memories and what facts have of them.

        Raises `MemoryNotFound` if there is nothing to forget, and `InvalidArgument` for a chunk, which can only be
        forgotten with its answer.

        >>> import asyncio
        >>> from cortex_rx import Cortex
        >>> async def main():
        ...     async with Cortex(":memory:") as cortex:
        ...         said = {"user_message": "My PIN is 4711.", "agent_response": "Please keep it to yourself."}
        ...         turn = {"conversation_id": "c-1", "user_id": "ada", "user_name": "Ada"}
        ...         stored = await cortex.memory.remember(memory_space_id="s", **said, **turn)
        ...         await cortex.memory.forget("s", stored.memories[0].memory_id, erase=True)
        ...         conversation = await cortex.conversations.get("c-1", memory_space_id="s")
        ...         return [message.content for message in conversation.messages]
        >>> asyncio.run(main())
        ['Please keep it to yourself.']
        """
        space, given = ids(memory_space_id=memory_space_id), parse(ForgetOptions, options, **keywords)
        await check_sync(self._backend, given.sync_to_graph)
        named = {"memory_id": memory_id, "message_id": message_id}
        target = ids(**{name: id for name, id in named.items() if id is not None})
        if len(target) != 1:
            raise InvalidArgument("memory_id", "both ids" if target else None, "one of memory_id and message_id")
        if given.delete_entire_conversation:
            return await self._forget_conversation(space, memory_id)
        erase = given.erase or given.delete_conversation
        return ForgetResult.from_row(await self._memories.forget(**space, **target, erase=erase or None))

    async def _forget_conversation(self, space: dict[str, Any], memory_id: str | None) -> ForgetResult:
        """Delete the conversation of a memory, with its memories and what facts have of it."""
        if memory_id is None:
            raise InvalidArgument("memory_id", None, "the memory whose conversation is deleted")
        row = await self._memories.get(**space, memory_id=memory_id)
        if row is None:
            raise MemoryNotFound("no memory with this id in the memory space")
        ref = row.get("conversationRef")
        if ref is None:
            raise InvalidArgument("delete_entire_conversation", True, "False; the memory has no conversation")
        conversation = {**space, "conversation_id": ref["conversationId"]}
        gone = await Conversations(self._backend).delete_conversation(
            **conversation, delete_memories=True, delete_facts=True
        )
        return ForgetResult(
            memory_deleted=True,
            conversation_deleted=True,
            messages_deleted=gone["messagesDeleted"],
            facts_deleted=len(gone["factIds"]),
            fact_ids=tuple(gone["factIds"]),
            restorable=False,
        )
