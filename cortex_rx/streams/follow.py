"""Reading a stream from the store while any process writes it: first the stored text, then what follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import repeat

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.backends.contract.typed.rows import StreamPage
from cortex_rx.errors import StreamNotFound
from cortex_rx.events import Delta, Ended, Interrupted, Rewound, RolledBack, StreamEvent
from cortex_rx.models.options import ids
from cortex_rx.models.records import Usage
from cortex_rx.retry.pauses import Backoff, retrying, within

__all__ = ["Position", "follow"]

_PAGE = 65_536  # code points of one event
_AWAY = 30.0  # seconds that a store may be unavailable
_ASK_AGAIN = 5.0  # the longest pause meanwhile, in seconds


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reader has seen an answer: `offset` code points of `attempt`, written under `epoch`.

    `answer.position` returns it. As JSON it is three numbers.

    >>> Position(offset=120, attempt=0, epoch=1)
    Position(offset=120, attempt=0, epoch=1)
    """

    offset: int = 0
    attempt: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        for name in ("offset", "attempt", "epoch"):
            check.whole()(name, getattr(self, name))


async def follow(
    backend: Backend,
    memory_space_id: str,
    stream_id: str,
    after: int | Position = 0,
    *,
    every: timedelta = timedelta(milliseconds=200),
) -> AsyncGenerator[StreamEvent, None]:
    """The text of a stream from `after` on, to its end: first the stored text, then new text as it is stored.

    Yields `Delta`s, whose `index` counts from 0 here. The last event is `Ended`, `Interrupted` (no process writes any
    more; the stream can be resumed, and followed again) or `RolledBack`. `Rewound` says where the text goes on if the
    reader has seen text that no longer exists: text that was shown and lost with its process, or text of an older
    attempt. With a `Position` this is always noticed; with a number alone only if it lies beyond the stored text.

    The store is read every `every`. An unavailable store is asked again for 30 s; then its error is raised. Raises
    `StreamNotFound`.

    >>> from cortex_rx import Cortex
    >>> async def main():
    ...     async with Cortex(":memory:") as cortex:
    ...         turn = {"memory_space_id": "s", "conversation_id": "c-1", "user_message": "Hi!"}
    ...         answer = cortex.memory.remember_stream(["Hello ", "Ada"], **turn, user_id="ada", user_name="Ada")
    ...         await answer
    ...         return [event async for event in cortex.memory.follow("s", answer.stream_id, after=6)]
    >>> asyncio.run(main())
    [Delta(text='Ada', ...), Ended(reason='stop', offset=9, index=1, usage=None)]
    """
    checked_backend("backend", backend)
    ids(memory_space_id=memory_space_id, stream_id=stream_id)
    streams = Streams(backend)
    if not isinstance(after, Position):
        after = Position(check.whole()("after", after))
    pause = check.seconds()("every", every)
    offset, index, seen = after.offset, 0, False
    epoch = after.epoch or None  # of the text read so far; without it, lost text cannot be noticed
    attempt = after.attempt if epoch else None
    while True:
        look = partial(
            streams.read,
            memory_space_id=memory_space_id,
            stream_id=stream_id,
            after=offset,
            attempt=attempt,
            epoch=epoch,
            limit=_PAGE,
        )
        try:
            page = await retrying(look, Backoff(within(_AWAY, repeat(min(pause, _ASK_AGAIN)))))
        except StreamNotFound:
            if not seen:
                raise
            page = None
        seen = True
        if page is None or page["state"] == "rolledBack":
            yield RolledBack(stream_id)
            return
        newest, until = page["attempts"], page["certain"]
        # The epoch of the stored text, so that a rollback and a new beginning between two reads are noticed.
        epoch = page["epoch"]
        begun_anew = attempt is not None and newest != attempt
        if begun_anew or offset > until:
            attempt, offset = newest, 0 if begun_anew else until
            yield Rewound(attempt, offset)
            continue
        attempt = newest
        if page["text"]:
            at = max(0.0, (page["updatedAt"] - page["createdAt"]) / 1000)
            yield Delta(page["text"], index, offset, attempt, at)
            offset += len(page["text"])
            index += 1
            continue
        if page["state"] != "open":
            yield _ended(page, offset, index)
            return
        if not page["owned"]:
            yield Interrupted(attempt, offset)
            return
        await asyncio.sleep(pause)


def _ended(page: StreamPage, offset: int, index: int) -> Ended:
    usage = page.get("usage")
    return Ended(page.get("reason") or page["state"], offset, index, Usage.from_row(usage) if usage else None)
