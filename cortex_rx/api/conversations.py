"""`cortex.conversations`: the conversations and their messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast, get_args

from cortex_rx import validation as check
from cortex_rx.api._conversations import conversation_named
from cortex_rx.api._graph import check_sync, sync_keyword
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.api._repeated import repeated
from cortex_rx.api._spaces import chosen_space
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Conversations
from cortex_rx.models.conversation_exports import columns, export_row
from cortex_rx.models.conversations import (
    AddMessageInput,
    AddMessageOptions,
    ConversationParticipants,
    ConversationSearchResult,
    CreateConversationInput,
    CreateConversationOptions,
    DeleteConversationOptions,
    DeletedConversation,
    DeletedConversations,
)
from cortex_rx.models.exports import ExportFormat, ExportResult, stream_export
from cortex_rx.models.options import ConversationFilter, ConversationType, HistoryPage, ids, parse
from cortex_rx.models.records import Conversation, ConversationHistory, Message
from cortex_rx.unique import new_id

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import NewMessage

__all__ = ["ConversationsAPI"]

R = TypeVar("R")

_Conversations: TypeAlias = list[Conversation]  # inside the class, `list` is a method
_Messages: TypeAlias = list[Message]
_Found: TypeAlias = list[ConversationSearchResult]
_Format = check.one_of(*get_args(ExportFormat))
_Type = check.one_of(*get_args(ConversationType))
_time = check.optional(check.time)


class ConversationsAPI:
    """The conversations of a backend.  Every method works in one memory space and sees no other: the one that the call
    names, else that of the client.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called.  If the backend refuses a
    call, the error is a `StoreError`.  Inputs and options are models of `cortex_rx.models.conversations`, mappings in
    snake_case or camelCase, or keywords, and may be mixed.  Times are epoch milliseconds, or a `datetime` with a time
    zone.

    Where a conversation is not found because its id and that of the memory space stand swapped, the `InvalidArgument`
    says so.

    >>> import asyncio
    >>> from cortex_rx import Cortex
    >>> async def main():
    ...     async with Cortex(":memory:", memory_space_id="support") as cortex:
    ...         talk = await cortex.conversations.create(type="user-agent", participants={"userId": "ada"})
    ...         await cortex.conversations.add_message(
    ...             conversation_id=talk.conversation_id, role="user", content="Hi!")
    ...         found = await cortex.conversations.get(talk.conversation_id)
    ...         return [message.content for message in found.messages], await cortex.conversations.count()
    >>> asyncio.run(main())
    (['Hi!'], 1)
    >>> class Backend:                                          # any backend: one that has no conversation yet
    ...     async def query(self, path, args):
    ...         return [] if path == "conversations:list" else None
    ...     async def mutation(self, path, args): ...
    ...     async def close(self): ...
    >>> conversations = ConversationsAPI(Backend(), memory_space_id="support")
    >>> asyncio.run(conversations.list()), asyncio.run(conversations.get("c-1"))
    ([], None)
    >>> asyncio.run(conversations.list(limit=0))
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: limit: got 0; accepted: a whole number, 1 or more, or None
    """

    def __init__(self, backend: Backend, *, memory_space_id: str | None = None) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        check.optional(check.name)("memory_space_id", memory_space_id)
        self._memory_space_id: str | None = memory_space_id
        self._calls = Conversations(backend)

    def _space(self, given: str | None) -> str:
        return chosen_space(given, self._memory_space_id)

    def _one(self, conversation_id: object, memory_space_id: str | None) -> dict[str, Any]:
        """A conversation, as keywords of a typed call."""
        return {**ids(conversation_id=conversation_id), "memory_space_id": self._space(memory_space_id)}

    # --- making and filling -------------------------------------------------------------------------------------------

    async def create(
        self,
        input: CreateConversationInput | Mapping[str, Any] | None = None,
        options: CreateConversationOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> Conversation:
        """Make a conversation.  It stays until it is deleted, though it has no message.

        With a `conversation_id` of yours the call may be repeated: the same conversation is made once.  Raises
        `ConversationExists` if another one has this id, and `InvalidParticipants`.
        """
        beside = parse(CreateConversationOptions, options, **sync_keyword(keywords))
        given = parse(CreateConversationInput, input, **keywords)
        named: dict[str, Any] = {
            "memory_space_id": self._space(given.memory_space_id),
            "conversation_id": given.conversation_id or f"conv-{new_id('conversation')}",
        }
        await check_sync(self._backend, beside.sync_to_graph)
        made = await repeated(self._calls.create(**given.keywords() | named))
        return Conversation.from_row(made)

    async def get_or_create(
        self, input: CreateConversationInput | Mapping[str, Any] | None = None, **keywords: Any
    ) -> Conversation:
        """The oldest conversation of the user in the memory space, or of the same memory spaces or agents; else a new
        one.  However many processes ask at once, they get the same one.

        Of one that is found, `conversation_id`, `participant_id` and `metadata` of the input count for nothing.
        Raises `InvalidParticipants`, and `ConversationExists` if the `conversation_id` of a new one is taken.
        """
        given = parse(CreateConversationInput, input, **keywords)
        named: dict[str, Any] = {
            "memory_space_id": self._space(given.memory_space_id),
            "conversation_id": given.conversation_id or f"conv-{new_id('conversation')}",
        }
        found = await repeated(self._calls.get_or_create(**given.keywords() | named))
        return Conversation.from_row(found)

    async def add_message(
        self,
        input: AddMessageInput | Mapping[str, Any] | None = None,
        options: AddMessageOptions | Mapping[str, Any] | None = None,
        *,
        memory_space_id: str | None = None,
        include_messages: bool = True,
        **keywords: Any,
    ) -> Conversation:
        """Add a message behind all that was said before, and behind what is being answered.

        The conversation comes with all its messages; of a long one ask for the new one alone:
        `include_messages=False`.  With an `id` of yours the call may be repeated: the message is added once.  Raises
        `ConversationNotFound`, and `IdempotencyConflict` if another message has this id.
        """
        beside = parse(AddMessageOptions, options, **sync_keyword(keywords))
        given = parse(AddMessageInput, input, **keywords)
        check.flag("include_messages", include_messages)
        one = self._one(given.conversation_id, memory_space_id)
        await check_sync(self._backend, beside.sync_to_graph)
        message = cast("NewMessage", given.message(f"msg-{new_id('message')}"))
        call = self._calls.add_message(**one, message=message, include_messages=None if include_messages else False)
        added = await repeated(call)
        return Conversation.from_row(added)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def get(self, conversation_id: str, *, memory_space_id: str | None = None) -> Conversation | None:
        """The conversation with all its messages and its pending exchanges, or None if the memory space has none with
        this id.

        It is there from the beginning of its first exchange on.
        """
        row = await self._calls.get(**self._one(conversation_id, memory_space_id))
        return None if row is None else Conversation.from_row(row)

    async def get_message(
        self, conversation_id: str, message_id: str, *, memory_space_id: str | None = None
    ) -> Message | None:
        """The message with this id, or None if the conversation has none."""
        named = ids(conversation_id=conversation_id, message_id=message_id)
        row = await self._calls.get_message(**named, memory_space_id=self._space(memory_space_id))
        return None if row is None else Message.from_row(row)

    async def get_messages_by_ids(
        self, conversation_id: str, message_ids: Sequence[str], *, memory_space_id: str | None = None
    ) -> _Messages:
        """The messages with these ids that the conversation has, in its order."""
        wanted = check.names("message_ids", message_ids)
        one = self._one(conversation_id, memory_space_id)
        rows = await self._calls.get_messages_by_ids(**one, message_ids=[*wanted])
        return [Message.from_row(row) for row in rows]

    async def find_conversation(
        self,
        memory_space_id: str,
        type: ConversationType,
        user_id: str | None = None,
        memory_space_ids: Sequence[str] | None = None,
        *,
        agent_id: str | None = None,
        participant_id: str | None = None,
    ) -> Conversation | None:
        """The conversation that `get_or_create` would find; None if there is none, or if what it is found by is not
        given: the user of a "user-agent", the spaces or the two agents of an "agent-agent"."""
        people = parse(
            ConversationParticipants,
            user_id=user_id,
            memory_space_ids=memory_space_ids,
            agent_id=agent_id,
            participant_id=participant_id,
        ).keywords()
        space = ids(memory_space_id=memory_space_id)
        row = await self._calls.find_conversation(**space, type=_Type("type", type), **people)
        return None if row is None else Conversation.from_row(row)

    async def get_history(
        self,
        conversation_id: str,
        limit: int | None = None,
        offset: int | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        *,
        after: str | None = None,
        memory_space_id: str | None = None,
    ) -> ConversationHistory:
        """At most `limit` messages (50), oldest ("asc", the default) or newest ("desc") first, after skipping `offset`
        of them.

        With `after`, the id of the last message of the page before, the page goes on behind this message.  Then nothing
        is missing or repeated when an earlier exchange ends between two pages, as it may be with `offset` alone.

        Raises `ConversationNotFound`, and `InvalidArgument` if `after` is no message of the conversation.
        """
        page = parse(HistoryPage, limit=limit, offset=offset, after=after, sort_order=sort_order).keywords()
        one = self._one(conversation_id, memory_space_id)
        return ConversationHistory.from_row(await self._calls.get_history(**one, **page))

    async def list(
        self,
        type: ConversationType | None = None,
        user_id: str | None = None,
        memory_space_id: str | None = None,
        limit: int | None = None,
        *,
        offset: int = 0,
        include_pending: bool = False,
    ) -> _Conversations:
        """At most `limit` conversations (100), without their messages, newest first.  The filters apply before the
        limit.

        Those that a stream has made, and whose exchanges have not ended yet, are listed only with `include_pending`.
        """
        narrowed = ConversationFilter(
            user_id=user_id, type=type, limit=limit, include_pending=include_pending
        ).keywords()
        check.whole()("offset", offset)
        rows = await self._calls.list(memory_space_id=self._space(memory_space_id), **narrowed, offset=offset or None)
        return [Conversation.from_row(row) for row in rows]

    def iterate(
        self,
        type: ConversationType | None = None,
        user_id: str | None = None,
        memory_space_id: str | None = None,
        *,
        include_pending: bool = False,
        page_size: int = 100,
    ) -> AsyncGenerator[Conversation]:
        """All of them, oldest first, read in pages of at most `page_size` (1 to 1,000).  What is made or deleted
        meanwhile moves nothing."""
        narrowed = ConversationFilter(user_id=user_id, type=type, include_pending=include_pending).keywords()
        return self._pages(self._space(memory_space_id), narrowed, page_size, Conversation.from_row)

    def _pages(
        self, space: str, narrowed: dict[str, Any], page_size: int, record: Callable[[Any], R]
    ) -> AsyncGenerator[R]:
        checked_page_size("page_size", page_size)

        async def fetch(size: int, cursor: str | None) -> Mapping[str, Any]:
            return await self._calls.page(memory_space_id=space, limit=size, cursor=cursor, **narrowed)

        return pages(fetch, record, page_size)

    async def count(
        self,
        type: ConversationType | None = None,
        user_id: str | None = None,
        memory_space_id: str | None = None,
        *,
        include_pending: bool = False,
    ) -> int:
        """The number of conversations, of this user and type if given.

        Those that a stream has made, and whose exchanges have not ended yet, count only with `include_pending`.
        """
        narrowed = ConversationFilter(user_id=user_id, type=type, include_pending=include_pending).keywords()
        return await self._calls.count(memory_space_id=self._space(memory_space_id), **narrowed)

    async def search(
        self,
        query: str,
        type: ConversationType | None = None,
        user_id: str | None = None,
        memory_space_id: str | None = None,
        date_start: int | datetime | None = None,
        date_end: int | datetime | None = None,
        limit: int | None = None,
    ) -> _Found:
        """At most `limit` conversations (10) with messages that have this text, in small or capital letters: those
        first in which most messages have it.  All messages of the conversations that pass the filters are read; to find
        a memory by its words or its meaning is `cortex.memory.search`.

        `date_start` and `date_end` are times at which a conversation was made.
        """
        narrowed = ConversationFilter(user_id=user_id, type=type, limit=limit).keywords()
        between = {"date_start": _time("date_start", date_start), "date_end": _time("date_end", date_end)}
        asked = {**ids(query=query), "memory_space_id": self._space(memory_space_id)}
        rows = await self._calls.search(**asked, **narrowed, **between)
        return [ConversationSearchResult.from_row(row) for row in rows]

    # --- export -------------------------------------------------------------------------------------------------------

    async def export(
        self,
        format: ExportFormat = "json",
        user_id: str | None = None,
        memory_space_id: str | None = None,
        conversation_ids: Sequence[str] | None = None,
        type: ConversationType | None = None,
        date_start: int | datetime | None = None,
        date_end: int | datetime | None = None,
        include_metadata: bool = True,
    ) -> ExportResult:
        """The conversations that the filters let through, oldest first: as JSON with their messages, as CSV (RFC 4180)
        without.  `stream_export` gives the same text in pieces."""
        narrowed = _narrowed(user_id, conversation_ids, type, date_start, date_end)
        row = await self._calls.export_conversations(
            memory_space_id=self._space(memory_space_id),
            format=_Format("format", format),
            include_metadata=None if check.flag("include_metadata", include_metadata) else False,
            **narrowed,
        )
        return ExportResult.from_row(row)

    async def stream_export(
        self,
        format: ExportFormat = "json",
        user_id: str | None = None,
        memory_space_id: str | None = None,
        conversation_ids: Sequence[str] | None = None,
        type: ConversationType | None = None,
        date_start: int | datetime | None = None,
        date_end: int | datetime | None = None,
        include_metadata: bool = True,
        *,
        page_size: int = 100,
    ) -> AsyncGenerator[str]:
        """The text of `export`, a piece for each conversation: one at a time is in memory."""
        _Format("format", format)
        check.flag("include_metadata", include_metadata)
        space = self._space(memory_space_id)
        narrowed = _narrowed(user_id, conversation_ids, type, date_start, date_end)
        listed = self._pages(space, narrowed, page_size, _as_it_is)

        async def rows() -> AsyncGenerator[Mapping[str, Any]]:
            async with aclosing(listed):
                async for row in listed:
                    if format == "csv":
                        yield row
                    elif whole := await conversation_named(self._backend, space, row["conversationId"]):
                        yield export_row(whole, include_metadata, whole["messages"])

        async with aclosing(stream_export(format, columns(include_metadata), rows())) as pieces:
            async for piece in pieces:
                yield piece

    # --- deletion -----------------------------------------------------------------------------------------------------

    async def delete(
        self,
        conversation_id: str,
        options: DeleteConversationOptions | Mapping[str, Any] | None = None,
        *,
        memory_space_id: str | None = None,
        **keywords: Any,
    ) -> DeletedConversation:
        """Delete a conversation with its messages.  What streams have not ended in it is rolled back.

        Its memories and facts stay, without a reference to it, unless `delete_memories` or `delete_facts` is True.  A
        fact with other sources stays with these in any case.

        Raises `ConversationNotFound`, and `StillOwned` while somebody writes in it.
        """
        given = parse(DeleteConversationOptions, options, **keywords)
        one = self._one(conversation_id, memory_space_id)
        await check_sync(self._backend, given.sync_to_graph)
        also: dict[str, Any] = {
            "delete_memories": given.delete_memories or None,
            "delete_facts": given.delete_facts or None,
        }
        return DeletedConversation.from_row(await self._calls.delete_conversation(**one, **also))

    async def delete_many(
        self,
        user_id: str | None = None,
        memory_space_id: str | None = None,
        type: ConversationType | None = None,
        *,
        delete_memories: bool = False,
        delete_facts: bool = False,
    ) -> DeletedConversations:
        """Delete the conversations of a user or type, or all of the memory space, as `delete` does; also those that
        have only pending exchanges.

        About 10,000 messages at a time are deleted at once, so that others may write meanwhile.  Raises `StillOwned`
        while somebody writes in one of them: nothing more is deleted then.
        """
        narrowed = ConversationFilter(user_id=user_id, type=type).keywords()
        also: dict[str, Any] = {
            "delete_memories": check.flag("delete_memories", delete_memories) or None,
            "delete_facts": check.flag("delete_facts", delete_facts) or None,
        }
        space = self._space(memory_space_id)
        done = DeletedConversations(deleted=0, total_messages_deleted=0, conversation_ids=())
        more = True
        while more:
            row = await self._calls.delete_many(memory_space_id=space, **narrowed, **also)
            more = row["hasMore"]
            gone = DeletedConversations.from_row({name: value for name, value in row.items() if name != "hasMore"})
            fact_ids = tuple(dict.fromkeys((*done.fact_ids, *gone.fact_ids)))
            done = DeletedConversations(
                deleted=done.deleted + gone.deleted,
                total_messages_deleted=done.total_messages_deleted + gone.total_messages_deleted,
                conversation_ids=(*done.conversation_ids, *gone.conversation_ids),
                memories_deleted=done.memories_deleted + gone.memories_deleted,
                facts_deleted=len(fact_ids),
                fact_ids=fact_ids,
            )
        return done


def _as_it_is(row: Any) -> Mapping[str, Any]:
    return row  # type: ignore[no-any-return]


def _narrowed(
    user_id: str | None,
    conversation_ids: Sequence[str] | None,
    type: ConversationType | None,
    date_start: int | datetime | None,
    date_end: int | datetime | None,
) -> dict[str, Any]:
    """The filters of an export, as keywords of a typed call."""
    named = None if conversation_ids is None else [*check.names("conversation_ids", conversation_ids)]
    return {
        **ConversationFilter(user_id=user_id, type=type).keywords(),
        "conversation_ids": named,
        "date_start": _time("date_start", date_start),
        "date_end": _time("date_end", date_end),
    }
