"""The configuration of a client as Cortex's programs give it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, ClassVar

from cortex_rx import validation as check
from cortex_rx.models.base import Accepts, Options

__all__ = ["CortexConfig"]


class CortexConfig(Options):
    """Where the store is: in `convex_url` stands the path of a SQLite file, or ":memory:".

    The URL of a Convex deployment is refused by `Cortex`, and so is a `graph`, until this package has these.

    >>> from cortex_rx import Cortex
    >>> Cortex(CortexConfig(convex_url=":memory:"))
    Cortex(SqliteBackend(':memory:'))
    >>> CortexConfig(convex_url="memory.db", graph="bolt://localhost")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.UnsupportedOption: graph: got 'bolt://localhost'; accepted: None; this version keeps no graph
    """

    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        "graph": ((None,), "this version keeps no graph"),
    }
    _positions: ClassVar[tuple[str, ...]] = ("convex_url", "graph")

    convex_url: Annotated[str | os.PathLike[str], Accepts(check.file_path)]
    """A path, or ":memory:"."""
