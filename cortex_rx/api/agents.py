"""`cortex.agents`: the registered agents, for all memory spaces."""

from __future__ import annotations

from cortex_rx.backends.base import Backend, checked_backend

__all__ = ["AgentsAPI"]


class AgentsAPI:
    """The registered agents, for all memory spaces."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
