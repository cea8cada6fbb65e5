"""Streams in the store: taking a stream over, and following one."""

from cortex_rx.streams.follow import Position, follow
from cortex_rx.streams.takeover import ResumeFrom

__all__ = [
    "Position",
    "ResumeFrom",
    "follow",
]
