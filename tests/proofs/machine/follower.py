"""A reader of a stream from the store, in the state machine's world."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

from proofs.machine.parts import Asked

from cortex_rx import SqliteBackend
from cortex_rx.api.memory import MemoryAPI
from cortex_rx.errors import StreamNotFound
from cortex_rx.events import Delta, Rewound, StreamEvent
from cortex_rx.streams.follow import Position
from cortex_rx.testing import wall

if TYPE_CHECKING:
    from proofs.machine.world import World

__all__ = ["Follower"]

SELDOM = timedelta(seconds=3)  # so that much can happen between two looks


class Follower:
    """It follows over a connection of its own, from a place up to which it has seen `text`, and notes what is wrong."""

    def __init__(self, world: World, asked: Asked, place: Position | int, text: str) -> None:
        self._world, self._asked, self._place = world, asked, place
        self._text = text
        self._attempt = place.attempt if isinstance(place, Position) else None
        self._backend = SqliteBackend(world.path, clock=wall, read_only=True)
        self.task: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        asked = self._asked
        try:
            api = MemoryAPI(self._backend)
            async with aclosing(api.follow(asked.space, asked.id, self._place, every=SELDOM)) as events:
                async for event in events:
                    self._world.counted[f"followers got {type(event).__name__}"] += 1
                    self._take(event)
        except StreamNotFound:
            self._end("not found")
        finally:
            await self._backend.close()

    def _take(self, event: StreamEvent) -> None:
        """What it gets must be what is stored, without gap or repeat."""
        stream = self._world.stream(self._asked)
        text = self._text
        if isinstance(event, Delta):
            if event.offset != len(text) or self._attempt not in (None, event.attempt):
                self._wrong(f"got {event} after {text!r}")
            self._attempt, self._text = event.attempt, text + event.text
            if stream and not stream.gone and not stream.texts[event.attempt].startswith(self._text):
                self._wrong(f"saw {self._text!r}")
        elif isinstance(event, Rewound):
            same = event.attempt == self._attempt
            if event.offset > len(text) or (event.offset and not same):
                self._wrong(f"got {event} after {text!r}")
            self._attempt, self._text = event.attempt, text[: event.offset]
        else:
            self._end(type(event).__name__)

    def _end(self, end: str) -> None:
        """The end that it is told must be that of the stream, and it must have seen all of it."""
        stream = self._world.stream(self._asked)
        if stream is None or stream.gone:
            fits = end in ("RolledBack", "not found")
        elif end == "Ended":
            fits = stream.state != "open" and self._text == stream.text
        else:
            fits = end == "Interrupted" and not stream.owned(round(wall() * 1000)) and self._text == stream.text
        if not fits:
            self._wrong(f"was told {end} after {self._text!r}")

    def _wrong(self, what: str) -> None:
        self._world.wrong.append(f"a follower of {self._asked.name} {what}: {self._world.stream(self._asked)}")
