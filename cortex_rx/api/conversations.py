"""`cortex.conversations`: the conversations and their messages."""

from __future__ import annotations

from typing import Literal, TypeAlias

from cortex_rx import validation as check
from cortex_rx.api._spaces import chosen_space
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Conversations
from cortex_rx.models.options import ConversationFilter, ConversationType, HistoryPage, ids
from cortex_rx.models.records import Conversation, ConversationHistory

__all__ = ["ConversationsAPI"]

_Conversations: TypeAlias = list[Conversation]  # inside the class, `list` is a method


class ConversationsAPI:
    """The conversations of a backend.  Every method works in one memory space and sees no other.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called.  If the backend refuses a
    call, the error is a `StoreError`.

    >>> import asyncio
    >>> class Backend:                                          # any backend: one that has no conversation yet
    ...     async def query(self, path, args):
    ...         return [] if path == "conversations:list" else None
    ...     async def mutation(self, path, args): ...
    ...     async def close(self): ...
    >>> conversations = ConversationsAPI(Backend())
    >>> asyncio.run(conversations.list("support")), asyncio.run(conversations.get("c-1", "support"))
    ([], None)
    >>> asyncio.run(conversations.list("support", limit=0))
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: limit: got 0; accepted: a whole number, 1 or more, or None
    """

    def __init__(self, backend: Backend, *, memory_space_id: str | None = None) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        check.optional(check.name)("memory_space_id", memory_space_id)
        self._memory_space_id: str | None = memory_space_id

    async def get(self, conversation_id: str, memory_space_id: str | None = None) -> Conversation | None:
        """The conversation with all its messages and its pending exchanges, or None if the memory space has none with
        this id.

        It is there from the beginning of its first exchange on.
        """
        conversation = ids(conversation_id=conversation_id)
        conversation["memory_space_id"] = chosen_space(memory_space_id, self._memory_space_id)
        row = await Conversations(self._backend).get(**conversation)
        return None if row is None else Conversation.from_row(row)

    async def count(
        self,
        memory_space_id: str,
        *,
        user_id: str | None = None,
        type: ConversationType | None = None,
        include_pending: bool = False,
    ) -> int:
        """The number of conversations, of this user and type if given.

        Those whose exchanges have not ended yet count only with `include_pending`.
        """
        narrowed = ConversationFilter(user_id=user_id, type=type, include_pending=include_pending).keywords()
        return await Conversations(self._backend).count(**ids(memory_space_id=memory_space_id), **narrowed)

    async def get_history(
        self,
        conversation_id: str,
        memory_space_id: str,
        *,
        limit: int = 50,
        offset: int = 0,
        after: str | None = None,
        sort_order: Literal["asc", "desc"] = "asc",
    ) -> ConversationHistory:
        """At most `limit` messages, oldest ("asc") or newest ("desc") first, after skipping `offset` of them.

        With `after`, the id of the last message of the page before, the page goes on behind this message.  Then nothing
        is missing or repeated when an earlier exchange ends between two pages, as it may be with `offset` alone.

        Raises `ConversationNotFound`, and `InvalidArgument` if `after` is no message of the conversation.
        """
        page = HistoryPage(limit=limit, offset=offset, after=after, sort_order=sort_order).keywords()
        conversation = ids(conversation_id=conversation_id, memory_space_id=memory_space_id)
        return ConversationHistory.from_row(await Conversations(self._backend).get_history(**conversation, **page))

    async def list(
        self,
        memory_space_id: str,
        *,
        user_id: str | None = None,
        type: ConversationType | None = None,
        limit: int = 100,
        include_pending: bool = False,
    ) -> _Conversations:
        """At most `limit` conversations, without their messages, newest first.  The filters apply before the limit.

        Those whose exchanges have not ended yet are listed only with `include_pending`.
        """
        narrowed = ConversationFilter(
            user_id=user_id, type=type, limit=limit, include_pending=include_pending
        ).keywords()
        rows = await Conversations(self._backend).list(**ids(memory_space_id=memory_space_id), **narrowed)
        return [Conversation.from_row(row) for row in rows]
