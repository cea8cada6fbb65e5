"""A scenario for a backend alone: writers that take a stream over from each other by tokens, and a reader that follows.

No pipeline stands in between, so it shows whether the backend itself keeps one writer's text from another's.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

from proofs.stories.clocks import are_set, clock_of, time_left
from proofs.stories.ledger import Ledger

from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.base import Backend
from cortex_rx.errors import Fenced, StillOwned, StoreUnavailable, StreamNotFound, TokenError
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, retrying
from cortex_rx.testing.faults.faulty import Faulty
from cortex_rx.testing.faults.plans import FaultKind
from cortex_rx.testing.faults.processes import Crashed, Process
from cortex_rx.testing.simulate import Simulation

__all__ = ["Writing"]

COMMAND = "PYTHONPATH=tests python -m cortex_rx.testing.simulate --scenario proofs.stories:Writing"
QUESTION: dict[str, Any] = {
    "conversationId": "c",
    "userMessage": "What is it?",
    "userId": "ada",
    "importance": 50,
    "tags": [],
}
WHERE: dict[str, Any] = {"memorySpaceId": "s", "streamId": "st"}
KINDS: tuple[FaultKind, ...] = ("fail", "fail-after", "crash", "crash-after", "stall")
LEASE = 10_000
PIECES = 8  # of which an answer has so many at least
WRITERS = 6
PIECE = re.compile(r"\((\d+)\.(\d+)😀\)")


class Writing:
    """Writers, each of which continues where the one before it was lost, while some of those are not dead but late.

    A writer begins the stream or takes it over, writes pieces that say whose they are, and finalises. It crashes,
    stalls or loses answers by a plan, repeats what it has no answer of, waits for a lease or forces it. The last one
    has no faults. In the end the text consists of whole pieces, each once, in the order of their epochs, with every
    piece that was acknowledged; the exchange is stored once; a reader who followed from another connection has seen a
    prefix of that text.

    `make` makes the backend of one process, all over one and the same empty store; without it, SQLite in the folder of
    the simulation.

    >>> from cortex_rx.testing.simulate import run_seeds
    >>> run_seeds(Writing(), range(2)).seeds
    2
    """

    def __init__(self, make: Callable[[Simulation], Backend] | None = None) -> None:
        self._make = make or _sqlite
        self.command: str | None = COMMAND if make is None else None
        """The one that runs it, from the root of the repository; None where it could not know the backend."""

    async def __call__(self, sim: Simulation) -> None:
        ledger, acknowledged = Ledger(), list[str]()
        over = asyncio.Event()
        reader = asyncio.create_task(self._follow(sim, over))
        running: list[asyncio.Task[None]] = []
        for number in range(WRITERS):
            calm = number == WRITERS - 1
            if calm and running:
                await asyncio.wait(running)
            running.append(asyncio.create_task(self._writer(sim, ledger, number, acknowledged, calm)))
            await asyncio.wait(running, timeout=sim.random.choice([0.5, 5.0, 30.0]))
        await asyncio.gather(*running)
        over.set()
        assert not ledger.broken, ledger.broken
        await self._judge(sim, ledger, acknowledged, await reader)

    async def _writer(self, sim: Simulation, ledger: Ledger, number: int, acknowledged: list[str], calm: bool) -> None:
        process = sim.process("" if calm else sim.plan(PIECES, kinds=KINDS))
        sim.note(f"{process.name}: {process.plan or 'no faults'}")
        try:
            await process.run(self._write(sim, process, ledger, number, acknowledged, calm))
            sim.note(f"{process.name} is through")
        except (Crashed, Fenced, StillOwned, StoreUnavailable, TokenError, StreamNotFound) as error:
            if calm:
                raise AssertionError(f"the last writer failed: {error!r}") from error
            sim.note(f"{process.name}: {type(error).__name__}: {error}")

    async def _write(
        self, sim: Simulation, process: Process, ledger: Ledger, number: int, acknowledged: list[str], calm: bool
    ) -> None:
        backend = Faulty(ledger.over(self._make(sim)), process)

        async def do(path: str, **args: Any) -> Any:
            return await retrying(lambda: backend.mutation(path, args), Backoff(SHORT_PAUSES))

        owned = await self._own(sim, do, number, calm)
        if owned["state"] == "open":
            writer = {**WHERE, "epoch": owned["epoch"], "attempt": owned["attempt"]}
            end = owned.get("length", 0)
            for piece in range(PIECES if calm else sim.random.randint(1, PIECES)):
                await asyncio.sleep(sim.random.choice([0.0, 0.3, 4.0]))
                text = f"({owned['epoch']}.{piece}😀)"
                lease = sim.random.choice([LEASE, LEASE, 0])
                append = do("streams:append", **writer, start=end, text=text, lease=lease)
                if sim.chance(
                    0.3
                ):  # beside it the lease is renewed: if the thread is not free, in the same transaction
                    renew = do("streams:renew", **WHERE, epoch=owned["epoch"], lease=LEASE)
                    end = (await _both(append, renew))["end"]
                else:
                    end = (await append)["end"]
                acknowledged.append(text)
            if calm or sim.chance(0.2):
                await do("streams:finalize", **writer, start=end, text="", length=end)
        await backend.close()

    async def _own(self, sim: Simulation, do: Callable[..., Awaitable[Any]], number: int, calm: bool) -> Any:
        """Begin the stream, or take it over with the token that everybody has; wait for a lease, or do not."""
        claim = f"writer {number}"
        token = hashlib.sha256(b"a token").hexdigest()
        waits = 3 + 3 * are_set(sim)
        while True:
            try:
                if number == 0:
                    return await do("streams:begin", **WHERE, **QUESTION, claim=claim, lease=LEASE, token=token)
                force = not calm and sim.chance(0.2)
                return await do(
                    "streams:takeOver", memorySpaceId="s", token=token, claim=claim, lease=LEASE, force=force
                )
            except TokenError:  # the first has not begun yet, or never did
                if not calm:
                    raise
                number = 0
            except StillOwned as owned:
                if not waits:
                    raise
                waits -= 1
                await asyncio.sleep(time_left(sim, owned.until, LEASE / 1000))

    async def _follow(self, sim: Simulation, over: asyncio.Event) -> str:
        """Read on from where it was, now and then, from another connection; what it has seen."""
        backend, seen, attempt = self._make(sim), "", 0
        try:
            while not over.is_set():
                try:
                    read = await backend.query("streams:read", {**WHERE, "after": len(seen), "limit": 7})
                except StreamNotFound:
                    await asyncio.sleep(0.5)
                    continue
                if (
                    read["attempt"] != attempt
                ):  # a beginning whose answer was lost, sent again when another one had taken over
                    seen, attempt = "", read["attempt"]
                    continue
                assert read["start"] == len(seen), (
                    f"read after {len(seen)} starts at {read['start']}: the text was shortened"
                )
                seen += read["text"]
                if not read["text"]:
                    await asyncio.sleep(0.5)
        finally:
            await backend.close()
        return seen

    async def _judge(self, sim: Simulation, ledger: Ledger, acknowledged: list[str], seen: str) -> None:
        backend = self._make(sim)
        try:
            rows = await backend.query("memories:list", {"memorySpaceId": "s", "includePartial": True})
            assert [row["messageRole"] for row in rows] == ["agent", "user"], f"{len(rows)} memories"
            said = await backend.query("conversations:get", {"memorySpaceId": "s", "conversationId": "c"})
            asked = {**WHERE, "after": 0, "limit": 1_000_000}
            newest = (await backend.query("streams:read", asked))["attempt"]
            pages = [await backend.query("streams:read", {**asked, "attempt": at}) for at in range(newest + 1)]
        finally:
            await backend.close()
        text = rows[0]["content"]
        contents = [message["content"] for message in said["messages"]]
        assert contents == ["What is it?", text], f"the conversation is {contents}"
        (ids,) = ledger.ids.values()
        stored = [message["id"] for message in said["messages"]], [row["memoryId"] for row in rows[::-1]]
        assert stored == ids and said["pending"] == [], f"stored as {stored}, told {ids}"
        found = [(int(epoch), int(piece)) for epoch, piece in PIECE.findall(text)]
        assert "".join(f"({epoch}.{piece}😀)" for epoch, piece in found) == text, f"a piece is cut: {text}"
        assert sorted(set(found)) == found, f"pieces stand twice, or in another order than they were written: {text}"
        lost = [piece for piece in acknowledged if not any(piece in page["text"] for page in pages)]
        assert not lost, f"acknowledged, and not there: {lost}"
        assert text.startswith(seen), f"the reader saw {seen}, stored is {text}"


async def _both(first: Awaitable[Any], second: Awaitable[Any]) -> Any:
    """What the first gives, when both are over."""
    ends = await asyncio.gather(first, second, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return ends[0]


def _sqlite(sim: Simulation) -> Backend:
    return SqliteBackend(sim.folder / "memory.db", clock=clock_of(sim), new_id=sim.new_id)
