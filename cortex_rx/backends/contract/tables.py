"""All functions of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cortex_rx.backends.contract import (
    agents,
    contexts,
    conversations,
    fact_commits,
    facts,
    graph_sync,
    immutable,
    memories,
    memory_spaces,
    mutable,
    streams,
    users,
)
from cortex_rx.backends.contract.types import Function, Table

__all__ = ["FUNCTIONS", "TABLES"]

TABLES: tuple[Table, ...] = tuple(
    table
    for table in (
        memories.TABLE,
        conversations.TABLE,
        replace(facts.TABLE, functions=(*facts.TABLE.functions, *fact_commits.FUNCTIONS)),
        contexts.TABLE,
        memory_spaces.TABLE,
        users.TABLE,
        agents.TABLE,
        immutable.TABLE,
        mutable.TABLE,
        graph_sync.TABLE,
        streams.TABLE,
    )
    if table.functions
)
"""The tables, in the order in which pages show them."""

FUNCTIONS: Mapping[str, Function] = {function.path: function for table in TABLES for function in table.functions}
"""The functions by path."""
