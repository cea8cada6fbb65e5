"""What the items of a provider's stream hold: for each provider one small function, a `Provider`.

It is given an item and returns the pieces in it, or None if the item is not of its kind.  A piece is text of the answer, a
`Custom` event (anything else that came along), a `Finish`, or a `Cursor`.  No SDK is imported: an item is known by what it says of itself.

One of your own is a function too, and `from_stream(..., provider=)` asks it first::

    >>> def spoken(item):
    ...     if not isinstance(item, dict) or "say" not in item:
    ...         return None
    ...     return [item["say"], Finish("stop")] if item.get("last") else item["say"]
    >>> spoken({"say": "Hi", "last": True})
    ['Hi', Finish(reason='stop', usage=None)]
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
"""Those that `from_stream` knows."""
