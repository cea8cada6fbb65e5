"""The configuration of a client as Cortex's programs give it."""

from __future__ import annotations

import os
from typing import Annotated, Any, ClassVar

from cortex_rx import validation as check
from cortex_rx.models.base import Accepts, Options

__all__ = ["CortexConfig"]


def _graph(field: str, value: object) -> Any:
    """A `GraphConfig`, or an adapter."""
    from cortex_rx.models.graph import GraphConfig, checked_adapter  # only who has a graph loads it

    return value if isinstance(value, GraphConfig) else checked_adapter(field, value)


class CortexConfig(Options):
    """Where the store is: in `convex_url` stands the path of a SQLite file, or ":memory:". And its graph, if any.

    The URL of a Convex deployment is refused by `Cortex`, until this package has that.

    >>> from cortex_rx import Cortex
    >>> Cortex(CortexConfig(convex_url=":memory:"))
    Cortex(SqliteBackend(':memory:'))
    >>> CortexConfig(convex_url="memory.db", graph="bolt://localhost")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: graph: got 'str'; accepted: a GraphAdapter, such as ...
    """

    _positions: ClassVar[tuple[str, ...]] = ("convex_url", "graph")

    convex_url: Annotated[str | os.PathLike[str], Accepts(check.file_path)]
    """A path, or ":memory:"."""
    graph: Annotated[Any, Accepts(check.optional(_graph))] = None
    """A `GraphConfig`, or a graph adapter."""
