"""All functions of the contract."""

from __future__ import annotations

from collections.abc import Mapping

from cortex_rx.backends.contract import conversations, facts, memories, streams
from cortex_rx.backends.contract.types import Function, Table

__all__ = ["FUNCTIONS", "TABLES"]

TABLES: tuple[Table, ...] = (memories.TABLE, conversations.TABLE, facts.TABLE, streams.TABLE)
"""The tables, in the order in which pages show them."""

FUNCTIONS: Mapping[str, Function] = {function.path: function for table in TABLES for function in table.functions}
"""The functions by path."""
