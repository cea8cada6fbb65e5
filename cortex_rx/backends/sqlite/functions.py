"""The functions by name: what each runs, with arguments that are checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cortex_rx.backends.sqlite import conversations, ending, leases, memories, reading, streams, takeover, tokens
from cortex_rx.backends.sqlite.texts import Work

__all__ = ["MUTATIONS", "QUERIES", "Function"]

Function = Callable[[Work, dict[str, Any]], Any]

QUERIES: Mapping[str, Function] = {
    "memories:get": memories.get,
    "memories:list": memories.list_rows,
    "memories:search": memories.search,
    "memories:count": memories.count,
    "conversations:get": conversations.get,
    "conversations:list": conversations.list_rows,
    "conversations:count": conversations.count,
    "conversations:getHistory": conversations.history,
    "streams:get": reading.get,
    "streams:read": reading.read,
    "streams:interrupted": reading.interrupted,
}

MUTATIONS: Mapping[str, Function] = {
    "memories:deleteMemory": memories.delete,
    "streams:begin": streams.begin,
    "streams:append": streams.append,
    "streams:finalize": streams.finalize,
    "streams:close": streams.close,
    "streams:renew": leases.renew,
    "streams:issueToken": tokens.issue_token,
    "streams:takeOver": takeover.take_over,
    "streams:finish": ending.finish,
    "streams:rollback": ending.rollback,
}
