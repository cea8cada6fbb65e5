"""`cortex.mutable`: values that change, by namespace and key, for all memory spaces."""

from __future__ import annotations

from cortex_rx.backends.base import Backend, checked_backend

__all__ = ["MutableAPI"]


class MutableAPI:
    """Values that change, by namespace and key, for all memory spaces."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
