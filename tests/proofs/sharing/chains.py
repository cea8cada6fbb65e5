"""Whole chains at the same time in one process, so that their writes share transactions.

`crashed` is one case: an effect of the process goes wrong, and then other processes go on with all its streams. What
had been acknowledged must be there, and in the end each exchange is stored once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from helpers.empty_store import lay_out
from proofs.crashes.cases import LEASE, MOST, Seen
from proofs.power.acknowledged import Acknowledging, Call, Ledger
from proofs.sharing.threads import run_threaded

from cortex_rx import SqliteBackend, remember_stream
from cortex_rx.errors import CortexError, StreamNotFound, TokenUnknown
from cortex_rx.sources.model_stream import replayable
from cortex_rx.testing import Faulty, Plan, Process, wall
from cortex_rx.testing.faults.processes import Crashed

__all__ = ["KINDS", "STREAMS", "crashed"]

STREAMS = 3
WORDS = 4
KINDS = ["crash", "crash-after", "fail", "fail-after"]
SPACE = {"memorySpaceId": "space"}


def crashed(path: Path, plan: Plan | str) -> tuple[list[str], Counter[str]]:
    """One effect of the first process goes wrong.  Its effects, and what became of the processes."""
    lay_out(path)
    try:
        return run_threaded(_crashed(path, Plan.of(plan)))
    except BaseException as error:
        error.add_note(f"again: chains.crashed(path, {str(plan)!r})")
        raise


def _question(number: int) -> str:
    return f"Question {number}?"


def _words(number: int) -> list[str]:
    return [f"({number}.{word}) " for word in range(WORDS)]


async def _crashed(path: Path, plan: Plan) -> tuple[list[str], Counter[str]]:
    effects, outcomes = list[str](), Counter[str]()
    seen = [list[Seen]() for _ in range(STREAMS)]
    async with AsyncExitStack() as stack:
        for number in range(MOST):
            calls = list[Call]()
            process = await stack.enter_async_context(Process(plan, f"process {number}"))
            store = Faulty(Acknowledging(SqliteBackend(path, clock=wall), calls.append), process)
            try:
                ends = await process.run(_answer_all(process, store, seen))
            except Crashed:
                ends = ["crashed"]
            outcomes.update(ends)
            if number == 0:
                effects = list(process.effects)
                async with SqliteBackend(path, clock=wall) as look:
                    await Ledger("space", calls).check(look)
            if ends == ["finished"] * STREAMS:
                break
            await asyncio.sleep(LEASE)
            plan = process.plan.after(len(process.effects))
        else:
            raise AssertionError(f"not at the end after {MOST} processes: {dict(outcomes)}")
    await _check(path, seen)
    return effects, outcomes


async def _answer_all(process: Process, store: Any, seen: list[list[Seen]]) -> list[str]:
    """All streams at once; how each has ended."""
    answers = (_answer(process, store, number, seen[number]) for number in range(STREAMS))
    ends = await asyncio.gather(*answers, return_exceptions=True)
    for end in ends:
        assert end is None or isinstance(end, CortexError | ConnectionError), repr(end)
    return ["finished" if end is None else type(end).__name__ for end in ends]


async def _answer(process: Process, store: Any, number: int, seen: list[Seen]) -> None:
    """Continue with the token, if one is known, else begin."""

    async def model(point: object) -> AsyncGenerator[str, None]:
        for word in _words(number):
            await asyncio.sleep(0.7)
            yield word

    token = next((one.token for one in reversed(seen) if one.token), None)
    seen.append(Seen())
    source = replayable(process.source(model))
    if token:
        try:
            params: dict[str, Any] = {"memory_space_id": "space", "resume_from": token}
            await seen[-1].read(remember_stream(source, backend=store, **params))
            return
        except (TokenUnknown, StreamNotFound):  # its beginning was not stored
            seen[-1].texts.clear()
    params = {"memory_space_id": "space", "conversation_id": "c-1", "user_message": _question(number)}
    who = {"user_id": "ada", "user_name": "Ada", "idempotency_key": f"key {number}"}
    await seen[-1].read(remember_stream(source, backend=store, **params, **who))


async def _check(path: Path, seen: list[list[Seen]]) -> None:
    texts = ["".join(_words(number)) for number in range(STREAMS)]
    for text, readers in zip(texts, seen, strict=True):
        assert all(text.startswith(part) for reader in readers for part in reader.texts.values())
        assert readers[-1].result.full_response == text
    exchanges = [(_question(number), text) for number, text in enumerate(texts)]
    async with SqliteBackend(path, clock=wall) as store:
        said = await store.query("conversations:get", {**SPACE, "conversationId": "c-1"})
        messages = [message["content"] for message in said["messages"]]
        assert sorted(zip(messages[::2], messages[1::2], strict=True)) == exchanges, "each exchange once"
        rows = await store.query("memories:list", {**SPACE, "includePartial": True})
        found = sorted((row["content"], row["isPartial"]) for row in rows)
        assert found == sorted((text, False) for pair in exchanges for text in pair), "each memory once"
        assert await store.query("streams:interrupted", SPACE) == []
