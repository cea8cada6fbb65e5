"""`cortex.users`: the profiles of users, for all memory spaces."""

from __future__ import annotations

from cortex_rx.backends.base import Backend, checked_backend

__all__ = ["UsersAPI"]


class UsersAPI:
    """The profiles of users, for all memory spaces."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
