"""Reads the items of providers' streams: for each provider one small function, a `Provider`.

It takes an item and returns the pieces in it, or None if the item is not of its kind. A piece is text of the answer, a
`Custom` event (anything else), a `Finish`, or a `Cursor`. No SDK is imported: an item is recognised by its fields.

Your own provider is a function too, and `from_stream(..., provider=)` asks it first::

    >>> def spoken(item):
    ...     if not isinstance(item, dict) or "say" not in item:
    ...         return None
    ...     return [item["say"], Finish("stop")] if item.get("last") else item["say"]
    >>> spoken({"say": "Hi", "last": True})
    ['Hi', Finish(reason='stop', usage=None, model=None)]
"""

from __future__ import annotations

from cortex_rx.sources.providers._pieces import Cursor, Finish, Piece, Provider
from cortex_rx.sources.providers.anthropic_messages import anthropic_messages
from cortex_rx.sources.providers.openai_chat import openai_chat
from cortex_rx.sources.providers.openai_responses import openai_responses

__all__ = [
    "PROVIDERS",
    "Cursor",
    "Finish",
    "Piece",
    "Provider",
    "anthropic_messages",
    "openai_chat",
    "openai_responses",
]

PROVIDERS: tuple[Provider, ...] = (openai_chat, openai_responses, anthropic_messages)
"""The providers that `from_stream` knows."""
