"""`cortex.memory_spaces`: the memory spaces themselves."""

from __future__ import annotations

from cortex_rx.backends.base import Backend, checked_backend

__all__ = ["MemorySpacesAPI"]


class MemorySpacesAPI:
    """The memory spaces themselves."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
