"""The SQL functions that statements of the store call."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from cortex_rx.backends.sqlite.functions import agents, fact_filters, filters, users

__all__ = ["add_functions"]

_FUNCTIONS: Mapping[tuple[str, int], Callable[..., Any]] = {
    ("any_tag", 2): filters.any_tag,
    ("every_tag", 2): filters.every_tag,
    ("has_capability", 3): agents.has_capability,
    ("has_fields", 2): users.has_fields,
    ("has_metadata", 2): fact_filters.has_metadata,
    ("has_predicate", 3): fact_filters.has_predicate,
    ("has_text", 2): agents.has_text,
}
"""By name and number of arguments."""


def add_functions(db: sqlite3.Connection) -> None:
    """Add them to a connection."""
    for (name, arguments), function in _FUNCTIONS.items():
        db.create_function(name, arguments, function, deterministic=True)
