"""What a function of the contract is, in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["Function", "Functions"]

Function: TypeAlias = Callable[[Transaction, dict[str, Any]], Any]
Functions: TypeAlias = Mapping[str, Function]
"""Functions by path."""
