"""Where memory lives: the contract (`backend`) and its implementations."""

from cortex_rx.backends.base import HEAD_LENGTH, Backend
from cortex_rx.backends.sqlite import SqliteBackend

__all__ = ["HEAD_LENGTH", "Backend", "SqliteBackend"]
