"""A stream whose effects go wrong as a plan says, the processes that go on with it, and what must hold in the end: for
`tests/proofs/test_crash_enumeration.py`.

`crashes(path, plan, name)` is one case: the reference stream of this name, on a SQLite file of its own.  It raises
where something does not hold, with a note that says how to repeat it.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from contextlib import AsyncExitStack, aclosing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from helpers.empty_store import lay_out
from proofs.crashes.facts import check_facts, extractor, store_before
from proofs.crashes.references import REFERENCES, Epochs, FaultySpool, Model, Reference, Watched, sentences

from cortex_rx import Spool, SqliteBackend, default_chain, remember_stream
from cortex_rx import operators as cx
from cortex_rx.api.memory import MemoryAPI
from cortex_rx.chain import Chain
from cortex_rx.errors import (
    CortexError,
    Fenced,
    SpoolBusy,
    StillOwned,
    StoreUnavailable,
    StreamNotFound,
    TokenUnknown,
)
from cortex_rx.events import Begun, Delta, Ended, Opened, Replayed, RolledBack, StreamEvent
from cortex_rx.sources.model_stream import prefill
from cortex_rx.streams.follow import Position, follow
from cortex_rx.testing import FAULT_KINDS, Faulty, Plan, Process, run_virtual, wall

__all__ = ["KINDS", "LEASE", "MOST", "Seen", "crashes"]

KINDS = [kind for kind in FAULT_KINDS if kind != "delay"]
WHERE = {"memorySpaceId": "space"}
QUESTION = "Cal likes jam. What is it?"
PARAMS: dict[str, Any] = {
    "memory_space_id": "space",
    "conversation_id": "c-1",
    "user_message": QUESTION,
    "user_id": "ada",
    "user_name": "Ada",
    "idempotency_key": "key",
}
LEASE = 11.0  # seconds after which what was not released has run out
MOST = 8  # processes that may go on, until one must have come to the end


def crashes(path: Path, plan: Plan | str, name: str) -> tuple[list[str], Counter[str]]:
    """Run the reference stream under a plan, let other processes go on until it is remembered, and check the store.

    Gives the effects of the first process, and what became of the processes.
    """
    lay_out(path)
    try:
        return run_virtual(_Case(path, Plan.of(plan), REFERENCES[name]).play())
    except BaseException as error:
        error.add_note(f"again: crashes(path, {str(plan)!r}, {name!r})")
        raise


class Seen:
    """What the reader of one process saw: the text of each attempt, and the token."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.token: str | None = None
        self.base = 0
        self.rolled_back = False
        self.result: Any = None

    async def read(self, answer: Any) -> None:
        """Read to the end."""
        async for event in answer.events():
            if isinstance(event, Begun):
                self.token, self.base = event.token, event.attempt
            elif isinstance(event, Replayed):
                self.texts[event.attempt] = event.text
            elif isinstance(event, RolledBack):
                self.rolled_back = True
            elif isinstance(event, Delta):
                text = self.texts.get(event.attempt, "")
                assert event.offset == len(text), "offsets are contiguous"
                self.texts[event.attempt] = text + event.text
        self.result = await answer


class _Case:
    def __init__(self, path: Path, plan: Plan, reference: Reference) -> None:
        self.path, self.plan, self.reference = path, plan, reference
        self.model = Model(reference)
        self.seen: list[Seen] = []
        self.outcomes: Counter[str] = Counter()
        self.stream: str | None = None
        self.epochs = Epochs()
        self.ids: tuple[list[str], list[str]] | None = None

    # --- the processes ------------------------------------------------------------------------------------------------

    async def play(self) -> tuple[list[str], Counter[str]]:
        effects: list[str] = []
        if self.reference.facts:
            async with SqliteBackend(self.path, clock=wall) as store:
                await store_before(store)
        following = asyncio.create_task(self._follow(), name="follower") if self.reference.followed else None
        async with AsyncExitStack() as stack:
            alive: list[tuple[Process, asyncio.Task[None], Seen]] = []
            plan = self.plan
            for number in range(1, MOST + 1):
                process = await stack.enter_async_context(Process(plan, f"process {number}"))
                seen = Seen()
                running = process.start(self._work(process, seen))
                while not running.done() and not process.crashed and not any(f.kind == "stall" for f in process.fired):
                    await asyncio.sleep(0.05)
                self.seen.append(seen)
                effects = effects or list(process.effects)
                await self._after(running, process, seen)
                if running.done() and running.exception() is None:
                    break
                if not running.done():
                    alive.append((process, running, seen))  # a zombie, when it goes on
                if not running.done() or isinstance(running.exception(), StillOwned):
                    await asyncio.sleep(LEASE)
                plan = process.plan.after(len(process.effects))
            else:
                raise AssertionError(f"not at the end after {MOST} processes: {dict(self.outcomes)}")
            for process, zombie, late in alive:
                while not zombie.done() and not process.crashed:
                    await asyncio.sleep(0.5)
                error = zombie.exception() if zombie.done() else None
                assert error is None or isinstance(error, CortexError | ConnectionError), repr(error)
                self.outcomes["fenced"] += isinstance(error, Fenced)
        answer = await self._check()
        assert self.epochs.late == [], "a write of an old epoch was taken"
        if following:
            assert await following == answer, "who follows the stream has the text that is stored"
        return effects, self.outcomes

    async def _after(self, running: asyncio.Task[None], process: Process, seen: Seen) -> None:
        """A process has come to an end, or to a stand."""
        if not running.done():
            self.outcomes["crashed" if process.crashed else "stalled"] += 1
        elif error := running.exception():
            self.outcomes[type(getattr(error, "original_error", None) or error).__name__] += 1
            assert isinstance(error, CortexError | ConnectionError), repr(error)
        else:
            self.outcomes["finished"] += 1
        if seen.rolled_back:
            self.outcomes["rolled back"] += 1
            async with SqliteBackend(self.path, clock=wall) as store:
                assert await store.query("memories:count", {**WHERE, "includePartial": True}) == 0
                assert await store.query("streams:interrupted", WHERE) == []
                assert await store.query("conversations:get", {**WHERE, "conversationId": "c-1"}) is None
            self.ids = None  # it may be begun anew
        await self._ids()
        if self.reference.durable and self.stream:
            async with SqliteBackend(self.path, clock=wall) as store:
                for attempt, text in seen.texts.items():
                    args = {"streamId": self.stream, "attempt": seen.base + attempt, "after": 0}
                    page = await store.query("streams:read", {**WHERE, **args})
                    assert page["text"].startswith(text), "what was shown is stored"

    async def _ids(self) -> None:
        """The exchange is in the conversation from its beginning on, under ids that stay; with nothing of it there is
        no conversation."""
        async with SqliteBackend(self.path, clock=wall) as store:
            listed = await store.query("streams:list", {**WHERE, "conversationId": "c-1"})
            talk = await store.query("conversations:get", {**WHERE, "conversationId": "c-1"})
        if not listed:
            assert talk is None, "a conversation of nothing is left"
            return
        (stream,) = listed
        ids = stream["messageIds"], stream["memoryIds"]
        self.ids = self.ids or ids
        assert ids == self.ids, "the ids are others than before"
        assert talk, "its conversation is not there"
        ended = [message["id"] for message in talk["messages"]]
        pending = [(one["streamId"], one["messageIds"], one["position"]) for one in talk["pending"]]
        if stream["state"] == "finished":
            assert (ended, pending) == (ids[0], [])
        else:
            assert (ended, pending) == ([], [(stream["streamId"], ids[0], 0)])

    async def _work(self, process: Process, seen: Seen) -> None:
        """What each process does: go on with the token, if one is known, else begin."""
        first = not self.seen
        inner = SqliteBackend(self.path, clock=wall)
        writes = 4 if self.reference.spooled and first else math.inf
        store = Faulty(Watched(inner, self.epochs, writes), process)
        spool = None
        if self.reference.spooled:
            spool = FaultySpool(self.path.with_name(f"{self.path.stem}-spool.db"), clock=wall)
            spool.process = process
            if not first:
                await self._drain(spool, store)
        source = self.reference.wrap(process.source(self.model))
        token = next((one.token for one in reversed(self.seen) if one.token), None)
        chain = self._chain(store, spool, process)
        if token:
            try:
                params = {"memory_space_id": "space", "resume_from": token}
                again = remember_stream(source, backend=store, chain=chain, spool=spool, **params)
                await self._read(seen, store, again)
                return
            except (TokenUnknown, StreamNotFound):  # the question never was stored, or was taken back
                seen.texts.clear()
        await self._read(seen, store, remember_stream(source, backend=store, chain=chain, spool=spool, **PARAMS))

    async def _read(self, seen: Seen, store: Any, answer: Any) -> None:
        request = None
        if self.reference.stopped and not self.seen:
            request = asyncio.create_task(self._request_stop(store, answer))
        try:
            await seen.read(answer)
        finally:
            self.stream = self.stream or answer.stream_id
            if request:
                await request

    async def _request_stop(self, store: Any, answer: Any) -> None:
        """Ask the writer to stop, after some words. The request may fail as any write; then the answer goes on."""
        await asyncio.sleep(2.5)
        with suppress(StoreUnavailable, StreamNotFound):
            await MemoryAPI(store).stop("space", answer.stream_id)

    async def _drain(self, spool: Spool, store: Any) -> None:
        while True:
            try:
                report = await spool.drain(store)
            except SpoolBusy:  # one that was killed
                await asyncio.sleep(31)
                continue
            assert not report.dead, report
            if report.error:
                raise report.error
            if not report.left:
                return
            await asyncio.sleep(LEASE)

    def _chain(self, store: Any, spool: Spool | None, process: Process) -> Chain:
        options, facts = self.reference.options, None
        if self.reference.facts:
            options, facts = options | {"fact_extraction_threshold": 12}, extractor(process)
        chain = default_chain(store, options, extract_facts=facts, spool=spool)
        if self.reference.durable:
            chain = chain.replace("persist_partial", cx.persist_partial(store, show="durable"))
        if "resume" in chain:  # its pauses are random
            chain = chain.replace("resume", cx.resume(2, timedelta(seconds=0.4), random=lambda: 0.5))
        return chain

    async def _follow(self) -> str:
        """The text, as it is stored, to its end; the follower has a place, as a client has that comes back."""
        text, place = "", Position()
        async with SqliteBackend(self.path, clock=wall) as store:
            while True:
                if self.stream is None:
                    await asyncio.sleep(0.1)
                    continue
                try:
                    async with aclosing(follow(store, "space", self.stream, place)) as events:
                        async for event in events:
                            text = _followed(text, event)
                            if isinstance(event, Ended):
                                return text
                            if not isinstance(event, RolledBack | Ended):
                                place = Position(len(text), getattr(event, "attempt", 0), place.epoch)
                except StreamNotFound:
                    pass
                await asyncio.sleep(0.5)
                if found := await store.query("streams:get", {**WHERE, "streamId": self.stream}):
                    place = Position(place.offset, place.attempt, found["epoch"])

    # --- what must hold -----------------------------------------------------------------------------------------------

    async def _check(self) -> str:
        """Exactly one exchange, with its question, text equal; the answer."""
        async with SqliteBackend(self.path, clock=wall) as store:
            if self.reference.spooled:  # a zombie may have put something there
                await self._drain(Spool(self.path.with_name(f"{self.path.stem}-spool.db"), clock=wall), store)
            rows = await store.query("memories:list", {**WHERE, "includePartial": True})
            conversation = await store.query("conversations:get", {**WHERE, "conversationId": "c-1"})
            answer: str = rows[0]["content"]
            assert [(row["content"], row["isPartial"], row["messageRole"]) for row in rows] == [
                (answer, False, "agent"),
                (QUESTION, False, "user"),
            ]
            assert [message["content"] for message in conversation["messages"]] == [QUESTION, answer]
            assert await store.query("conversations:count", WHERE) == 1
            assert await store.query("streams:interrupted", WHERE) == []
            assert await store.query("memories:count", {"memorySpaceId": "other", "includePartial": True}) == 0
            chunks = await _chunks(store)
            await check_facts(store, self.reference, self.model, QUESTION, answer)
        await self._ids()
        assert chunks == (await cut(answer) if self.reference.words is sentences else [])
        self._texts(answer)
        return answer

    def _texts(self, answer: str) -> None:
        texts = self.model.texts
        last = self.seen[-1]
        assert last.result.full_response == answer, "the last reader has what is stored"
        assert not last.texts or last.texts[max(last.texts)] == answer
        if self.reference.wrap is prefill:
            # Each process after the first goes on in this way, and may be cut off too; the last one is not.
            kept = re.sub(r"(?: and(?: on \d+\.)?)*$", "", answer)
            assert texts[0].startswith(kept) and (answer == texts[0] or re.search(r" and on \d+\.$", answer))
            return
        assert answer in texts, "the answer is that of one opening, whole"
        for seen in self.seen:
            for text in seen.texts.values():
                assert any(whole.startswith(text) for whole in texts), (
                    "a reader saw a prefix of the text of his attempt"
                )
            if seen.result is not None:
                assert seen.result.full_response == answer, "whoever was told that it is stored has what is stored"


def _followed(text: str, event: StreamEvent) -> str:
    """The text of a follower after an event."""
    if isinstance(event, Delta):
        assert event.offset == len(text), "without gap or repeat"
        return text + event.text
    if isinstance(event, RolledBack):
        return ""
    return text if isinstance(event, Opened) else text[: getattr(event, "offset", len(text))]


async def _chunks(store: SqliteBackend) -> list[str]:
    """The chunks of the answer that are memories, in order."""
    rows = await store.query("memories:list", {**WHERE, "includeChunks": True})
    return [row["content"] for row in rows if "chunkMetadata" in row]


_cut: dict[str, list[str]] = {}


async def cut(text: str) -> list[str]:
    """What a run that nothing disturbs makes of a text, as chunks."""
    if text not in _cut:
        async with SqliteBackend(":memory:", clock=wall) as store:
            await remember_stream([text], REFERENCES["in chunks"].options, backend=store, **PARAMS)
            _cut[text] = await _chunks(store)
    return _cut[text]
