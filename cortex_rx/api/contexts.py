"""`cortex.contexts`: what is being worked on, handed from agent to agent."""

from __future__ import annotations

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend

__all__ = ["ContextsAPI"]


class ContextsAPI:
    """What is being worked on, handed from agent to agent."""

    def __init__(self, backend: Backend, *, memory_space_id: str | None = None) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        check.optional(check.name)("memory_space_id", memory_space_id)
        self._memory_space_id: str | None = memory_space_id
