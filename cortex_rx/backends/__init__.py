"""Where memory lives: the contract (`backend`) and its implementations."""

from cortex_rx.backends.backend import HEAD_LENGTH, Backend

__all__ = ["HEAD_LENGTH", "Backend"]
