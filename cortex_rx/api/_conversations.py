"""A conversation that is named by something else than the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import Conversations
from cortex_rx.errors import InvalidArgument

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import ConversationWithMessages

__all__ = ["conversation_named"]


async def conversation_named(
    backend: Backend, memory_space_id: str, conversation_id: str
) -> ConversationWithMessages | None:
    """The conversation with this id, which a stored record or a page names; None if the memory space has none."""
    try:
        return await Conversations(backend).get(memory_space_id=memory_space_id, conversation_id=conversation_id)
    except InvalidArgument:  # the store takes the two ids for swapped, which is of no use here: nobody gave them
        return None
