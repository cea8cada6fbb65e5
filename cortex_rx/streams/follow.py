"""Reading a stream from the store while any process writes it: first the stored text, then what follows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Self

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.engine.mailboxes import TWO_READ
from cortex_rx.errors import InvalidArgument, StreamNotFound
from cortex_rx.events import Delta, Ended, Interrupted, Rewound, RolledBack, StreamEvent
from cortex_rx.models.options import ids
from cortex_rx.models.records import Usage
from cortex_rx.retry.pauses import Backoff, retrying, within

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import StreamPage

__all__ = ["Follower", "Position", "follow"]

_PAGE = 65_536  # code points of one event
_AWAY = 30.0  # seconds that a store may be unavailable
_ASK_AGAIN = 5.0  # the longest pause meanwhile, in seconds


_WRITTEN = r"\.".join(["(0|[1-9][0-9]*)"] * 3)
_LONGEST = 3 * len(str(2**63)) + 2


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reader has seen an answer: `offset` code points of `attempt`, written under `epoch`.

    A reader's `position` is one: that of `aiter(answer)`, `answer.pieces()`, `answer.events()` and
    `memory.follow(...)`. `str` makes a short string of it, for the `id:` of a server-sent event, a header or an URL;
    `Position.parse` reads it.

    >>> str(Position(offset=120, attempt=0, epoch=1))
    '120.0.1'
    >>> Position.parse("120.0.1")
    Position(offset=120, attempt=0, epoch=1)
    """

    offset: int = 0
    attempt: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        for name in ("offset", "attempt", "epoch"):
            check.whole()(name, getattr(self, name))

    def __str__(self) -> str:
        return f"{self.offset}.{self.attempt}.{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that `str` made this string of. Any other value is an `InvalidArgument`."""
        if isinstance(text, str) and len(text) <= _LONGEST and (found := re.fullmatch(_WRITTEN, text)):
            with suppress(InvalidArgument):  # a number that is too large
                return cls(*map(int, found.groups()))
        raise InvalidArgument("position", check.shown(text), "a string that `str(position)` returned")


def follow(
    backend: Backend,
    memory_space_id: str,
    stream_id: str,
    after: int | Position = 0,
    *,
    every: timedelta = timedelta(milliseconds=200),
) -> Follower:
    """The text of a stream from `after` on, to its end: first the stored text, then new text as it is stored.

    Yields `Delta`s, whose `index` counts from 0 here. The last event is `Ended`, `Interrupted` (no process writes any
    more; the stream can be resumed, and followed again) or `RolledBack`. `Rewound` says where the text goes on if the
    reader has seen text that no longer exists: text that was shown and lost with its process, or text of an older
    attempt. With a `Position` this is always noticed; with a number alone only if it lies beyond the stored text. Text
    that a living writer has shown and not stored yet is not lost: it is waited for.

    The store is read every `every`. An unavailable store is asked again for 30 s; then its error is raised. Raises
    `StreamNotFound`.

    >>> from cortex_rx import Cortex
    >>> async def main():
    ...     async with Cortex(":memory:") as cortex:
    ...         turn = {"memory_space_id": "s", "conversation_id": "c-1", "user_message": "Hi!"}
    ...         answer = cortex.memory.remember_stream(["Hello ", "Ada"], **turn, user_id="ada", user_name="Ada")
    ...         await answer
    ...         reader = cortex.memory.follow("s", answer.stream_id, after=6)
    ...         return [(event, reader.position.offset) async for event in reader]
    >>> asyncio.run(main())
    [(Delta(text='Ada', ...), 9), (Ended(reason='stop', offset=9, index=1, usage=None, model=None), 9)]
    """
    checked_backend("backend", backend)
    ids(memory_space_id=memory_space_id, stream_id=stream_id)
    if not isinstance(after, Position):
        after = Position(check.whole()("after", after))
    return Follower(Streams(backend), memory_space_id, stream_id, after, check.seconds()("every", every))


class Follower(AsyncIterator[StreamEvent]):
    """One reader of a stream in the store; `follow` makes it.

    A cancellation ends only the wait for an event: the next `anext` goes on, with no event lost or repeated. After an
    error of the store, too, the next `anext` goes on. One task at a time may read it.
    """

    def __init__(self, streams: Streams, space: str, stream_id: str, after: Position, pause: float) -> None:
        self._streams, self._space, self._stream_id, self._pause = streams, space, stream_id, pause
        self._offset, self._attempt, self._epoch = after.offset, after.attempt, after.epoch
        self._known = after.epoch > 0  # under which attempt and epoch; without them, lost text cannot be noticed
        self._index = 0
        self._found = self._done = self._reading = False

    @property
    def position(self) -> Position:
        """How far the answer is for who has read what this reader has given: another `follow` goes on from there."""
        return Position(self._offset, self._attempt, self._epoch)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._reading:
            raise RuntimeError(TWO_READ)
        self._reading = True
        try:
            while not self._done:
                event = self._take(await self._look())  # no `await` between taking a page and giving its event
                if event is not None:
                    return event
                await asyncio.sleep(self._pause)
        finally:
            self._reading = False
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Read no more."""
        self._done = True

    async def _look(self) -> StreamPage | None:
        """The next page of the text; None if the stream is gone."""
        look = partial(
            self._streams.read,
            memory_space_id=self._space,
            stream_id=self._stream_id,
            after=self._offset,
            attempt=self._attempt if self._known else None,
            epoch=self._epoch if self._known else None,
            limit=_PAGE,
        )
        try:
            return await retrying(look, Backoff(within(_AWAY, repeat(min(self._pause, _ASK_AGAIN)))))
        except StreamNotFound:
            if not self._found:
                raise
            return None

    def _take(self, page: StreamPage | None) -> StreamEvent | None:
        """The event that a page means; None if there is nothing new."""
        self._found = True
        if page is None or page["state"] == "rolledBack":
            self._done = True
            return RolledBack(self._stream_id)
        newest, until, epoch = page["attempts"], page["certain"], page["epoch"]
        if not self._known:
            self._known, self._attempt, self._epoch = True, newest, epoch
        written = page["state"] == "open" and page["owned"]
        ahead = newest < self._attempt or (newest == self._attempt and self._offset > until)
        if ahead and written and epoch == self._epoch:
            return None  # its writer has shown this text, and has not stored it yet
        begun_anew = newest != self._attempt
        # The epoch of the stored text, so that a rollback and a new beginning between two reads are noticed.
        self._attempt, self._epoch = newest, epoch
        if begun_anew or self._offset > until:
            self._offset = 0 if begun_anew else until
            return Rewound(newest, self._offset)
        if text := page["text"]:
            at = max(0.0, (page["updatedAt"] - page["createdAt"]) / 1000)
            delta = Delta(text, self._index, self._offset, newest, at)
            self._offset += len(text)
            self._index += 1
            return delta
        if written:
            return None
        self._done = True
        if page["state"] == "open":
            return Interrupted(newest, self._offset)
        return _ended(page, self._offset, self._index)


def _ended(page: StreamPage, offset: int, index: int) -> Ended:
    usage, model = Usage.from_stored(page.get("usage"))
    return Ended(page.get("reason") or page["state"], offset, index, usage, model)
