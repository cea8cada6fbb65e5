"""The functions by name: what each accepts, and what it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cortex_rx.backends.sqlite import conversations, ending, leases, memories, reading, streams, takeover, tokens
from cortex_rx.backends.sqlite.texts import Work
from cortex_rx.errors import UnknownFunction
from cortex_rx.validation import Spec

__all__ = ["MUTATIONS", "QUERIES", "Function", "find"]

Function = Callable[[Work, dict[str, Any]], Any]

QUERIES: Mapping[str, tuple[Spec, Function]] = {
    "memories:get": (memories.GET, memories.get),
    "memories:list": (memories.LIST, memories.list_rows),
    "memories:search": (memories.SEARCH, memories.search),
    "memories:count": (memories.COUNT, memories.count),
    "conversations:get": (conversations.GET, conversations.get),
    "conversations:list": (conversations.LIST, conversations.list_rows),
    "conversations:count": (conversations.COUNT, conversations.count),
    "conversations:getHistory": (conversations.HISTORY, conversations.history),
    "streams:get": (reading.GET, reading.get),
    "streams:read": (reading.READ, reading.read),
    "streams:interrupted": (reading.INTERRUPTED, reading.interrupted),
}

MUTATIONS: Mapping[str, tuple[Spec, Function]] = {
    "memories:deleteMemory": (memories.DELETE, memories.delete),
    "streams:begin": (streams.BEGIN, streams.begin),
    "streams:append": (streams.APPEND, streams.append),
    "streams:finalize": (streams.FINALIZE, streams.finalize),
    "streams:close": (streams.CLOSE, streams.close),
    "streams:renew": (leases.RENEW, leases.renew),
    "streams:issueToken": (tokens.ISSUE_TOKEN, tokens.issue_token),
    "streams:takeOver": (takeover.TAKE_OVER, takeover.take_over),
    "streams:finish": (ending.FINISH, ending.finish),
    "streams:rollback": (ending.ROLLBACK, ending.rollback),
}


def find(functions: Mapping[str, tuple[Spec, Function]], path: str) -> tuple[Spec, Function]:
    """The function of this name, or an error that names those there are."""
    try:
        return functions[path]
    except KeyError:
        kind = "mutation" if functions is MUTATIONS else "query"
        raise UnknownFunction(f"no {kind} {path!r}; there are: {', '.join(functions)}") from None
