"""`cortex.vector`: the memories alone, without their facts."""

from __future__ import annotations

from cortex_rx.backends.base import Backend, checked_backend

__all__ = ["VectorAPI"]


class VectorAPI:
    """The memories alone, without their facts."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
