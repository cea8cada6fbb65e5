"""Streams in the store: taking a stream over, following one, and stopping one."""

from cortex_rx.streams.follow import Follower, Position, follow
from cortex_rx.streams.stopping import AnswerStopped
from cortex_rx.streams.takeover import ResumeFrom

__all__ = [
    "AnswerStopped",
    "Follower",
    "Position",
    "ResumeFrom",
    "follow",
]
