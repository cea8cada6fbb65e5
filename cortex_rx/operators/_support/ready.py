"""What wakes a worker that has something to emit."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_rx.events import StreamEvent

__all__ = ["READY", "Ready"]


@dataclass(slots=True)
class Ready(StreamEvent):
    """It is put into the inbox of a worker by what works for it, and goes no further."""


READY = Ready()
