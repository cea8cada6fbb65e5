"""`sync_to_graph`, which many calls of Cortex take."""

from __future__ import annotations

import warnings
from typing import Any

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import GraphSync

__all__ = ["GraphNotKept", "check_sync", "sync_keyword"]


class GraphNotKept(UserWarning):
    """A call asks for a graph to be kept up to date, and the store keeps none."""


async def check_sync(backend: Backend, sync_to_graph: object) -> None:
    """Warn if the call asks for a graph, and the store keeps none. A store that keeps one queues each write anyway."""
    check.optional(check.flag)("sync_to_graph", sync_to_graph)
    if sync_to_graph and not (await GraphSync(backend).get_settings())["enabled"]:
        warnings.warn(
            "sync_to_graph: no graph is kept by this store; a client with a graph says so once, by"
            " cortex.graph.initialize()",
            GraphNotKept,
            stacklevel=3,
        )


def sync_keyword(keywords: dict[str, Any]) -> dict[str, Any]:
    """The keyword `sync_to_graph`, taken out of those that are not options.

    >>> keywords = {"syncToGraph": True, "fact": "Ada sings."}
    >>> sync_keyword(keywords), keywords
    ({'syncToGraph': True}, {'fact': 'Ada sings.'})
    """
    return {name: keywords.pop(name) for name in ("sync_to_graph", "syncToGraph") if name in keywords}
