"""Streams in the store: taking one over, following one."""

from cortex_rx.streams.follow import Position, follow
from cortex_rx.streams.takeover import ResumeFrom

__all__ = [
    "Position",
    "ResumeFrom",
    "follow",
]
