"""Streams in the store: taking a stream over, following one, and stopping one."""

from cortex_rx.streams.follow import Position, follow
from cortex_rx.streams.stopping import AnswerStopped
from cortex_rx.streams.takeover import ResumeFrom

__all__ = [
    "AnswerStopped",
    "Position",
    "ResumeFrom",
    "follow",
]
