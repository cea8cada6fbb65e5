"""How an entry gets into the store: once, whatever has arrived before, and however often it is tried.

Only repeatable calls are made. Each has the same claim each time, so a lost answer or a killed process does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.embeddings import refuses_embeddings, without_embeddings
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.errors import Diverged, Fenced, Gap, IdempotencyConflict, StreamNotFound
from cortex_rx.spool.file import PIECE, Entry

__all__ = ["deliver"]

log: logging.Logger = logging.getLogger("cortex_rx")

_LEASE = 10_000  # ms: no other writer should take the stream over during delivery

Pieces = Callable[[int], Awaitable[str]]
Texts = AsyncGenerator[str, None]


async def deliver(backend: Backend, entry: Entry, pieces: Pieces) -> None:
    """Deliver an entry to the store. `pieces(n)` is the n-th piece of its text, "" after the last.

    Raises the store's error. `StreamNotFound`: the stream was deleted meanwhile. `StillOwned`: another writer writes
    the stream. `Diverged`, `Gap`, `IdempotencyConflict`: another text is stored.
    """
    if entry.begin is None:
        await _call(backend, entry, entry.args)
        return
    answer = _Answer(backend, entry, entry.begin, pieces)
    if answer.epoch is not None:
        try:
            await answer.send(answer.pieces(), answer.epoch, answer.attempt, answer.start)
            return
        except Fenced:
            pass  # another writer has taken the stream over; `begin` finds out whether it still writes
    if await answer.is_wanted():
        begun = await Call(backend.mutation, "streams:begin", answer.begin | {"lease": _LEASE, "completes": True})
        if begun["state"] == "finished":
            raise _other("finished")
        answer.begun_again(int(begun["attempt"]))
        await answer.send(answer.whole(), int(begun["epoch"]), int(begun["attempt"]), 0)


class _Answer:
    """A complete or incomplete answer."""

    def __init__(self, backend: Backend, entry: Entry, begin: dict[str, Any], pieces: Pieces) -> None:
        self._backend = backend
        self._entry, self._path, self._args = entry, entry.path, entry.args
        self._streams, self._stream, self._space = Streams(backend), begin["streamId"], entry.space
        self._piece = pieces
        self.epoch: int | None = entry.args.get("epoch")
        self.attempt: int = entry.args.get("attempt", 0)
        self.start: int = entry.args.get("start", 0)
        # If the stream was never begun, as far as known, its own claim is kept: if `begin` did arrive, this is the same
        # call.
        self.begin = begin if self.epoch is None else begin | {"claim": f"spool-{entry.id}"}

    async def pieces(self) -> Texts:
        """The text that was not stored."""
        n = 0
        while text := await self._piece(n):
            yield text
            n += 1

    async def whole(self) -> Texts:
        """The whole text: first the stored part, then the rest."""
        at = 0
        while at < self.start:
            page = await self._read(self.attempt, at, min(PIECE, self.start - at))
            if not page:
                raise Gap(at, self.start)
            yield page
            at += len(page)
        async with aclosing(self.pieces()) as pieces:
            async for text in pieces:
                yield text

    async def _read(self, attempt: int, after: int, limit: int) -> str:
        page = await self._streams.read(
            stream_id=self._stream, memory_space_id=self._space, attempt=attempt, after=after, limit=limit
        )
        return page["text"]

    async def is_wanted(self) -> bool:
        """Whether the store has less than this answer. Raises if it has another text."""
        found = await self._streams.get(stream_id=self._stream, memory_space_id=self._space)
        if found is None:
            if self.epoch is not None:
                raise StreamNotFound("the stream was rolled back meanwhile")
            return True
        state, length = found["state"], 0
        if state == "empty":
            return self._path != "streams:close"
        async with aclosing(self.whole()) as texts:
            async for text in texts:
                stored = await self._read(found["attempt"], length, len(text))
                if not text.startswith(stored):
                    raise _other(state)
                length += len(text)
        if length <= found["length"] and self._path == "streams:append":
            return False  # a part of an answer: the store has more already
        if length == found["length"] and state == "finished":
            return False
        completes = self._path != "streams:append" and found.get("reason") == "incomplete"
        if length < found["length"] or (state == "finished" and not completes):
            raise _other(state)
        return True

    def begun_again(self, attempt: int) -> None:
        """The text is sent anew. What was read from it for facts before is gone, so it is all put into the queue."""
        if self._args.get("extractions") and (self.epoch is not None or attempt != self.attempt):
            self._args = {**self._args, "extractions": []}

    async def send(self, texts: Texts, epoch: int, attempt: int, start: int) -> None:
        """Send the text piece by piece, the last piece with the call that had failed."""
        if self._path == "streams:close":
            await _call(self._backend, self._entry, self._args | {"epoch": epoch})
            return
        last = ""
        async with aclosing(texts):
            async for text in texts:
                if last:
                    await self._streams.append(
                        stream_id=self._stream,
                        memory_space_id=self._space,
                        epoch=epoch,
                        attempt=attempt,
                        start=start,
                        text=last,
                        lease=_LEASE,
                    )
                    start += len(last)
                last = text
        rest = {"epoch": epoch, "attempt": attempt, "start": start, "text": last}
        await _call(self._backend, self._entry, self._args | rest)


async def _call(backend: Backend, entry: Entry, args: dict[str, Any]) -> None:
    """Make the call of the entry; without its embeddings if the store refuses them, since its model has changed."""
    try:
        await Call(backend.mutation, entry.path, args)
    except Exception as error:
        if not refuses_embeddings(error, args):
            raise
        log.warning("spool: delivered without embeddings: %s (stream %s)", type(error).__name__, entry.stream)
        await Call(backend.mutation, entry.path, without_embeddings(args))


def _other(state: str) -> Exception:
    if state == "finished":
        return IdempotencyConflict("another answer is stored under this stream id")
    return Diverged("another text is stored for this answer")
