"""The functions `agents:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.types import Table

__all__ = ["TABLE"]

TABLE = Table(
    "agents",
    """""",
    (),
)
