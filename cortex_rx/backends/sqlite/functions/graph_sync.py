"""`graphSync:*`."""

from __future__ import annotations

from cortex_rx.backends.sqlite.functions.registry import Functions

__all__ = ["MUTATIONS", "QUERIES"]

QUERIES: Functions = {}
MUTATIONS: Functions = {}
