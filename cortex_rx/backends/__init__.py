"""Where memory lives: the contract of a backend, and SQLite."""

from cortex_rx.backends.base import HEAD_LENGTH, Backend
from cortex_rx.backends.sqlite import SqliteBackend

__all__ = ["HEAD_LENGTH", "Backend", "SqliteBackend"]
