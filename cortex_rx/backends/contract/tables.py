"""All functions of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cortex_rx.backends.contract import conversations, fact_commits, facts, memories, streams
from cortex_rx.backends.contract.types import Function, Table

__all__ = ["FUNCTIONS", "TABLES"]

TABLES: tuple[Table, ...] = (
    memories.TABLE,
    conversations.TABLE,
    replace(facts.TABLE, functions=(*facts.TABLE.functions, *fact_commits.FUNCTIONS)),
    streams.TABLE,
)
"""The tables, in the order in which pages show them."""

FUNCTIONS: Mapping[str, Function] = {function.path: function for table in TABLES for function in table.functions}
"""The functions by path."""
