"""Every effect of a stream goes wrong in every way; then it is resumed, and the store holds one exchange, whole.

The reference stream is `remember_stream` on a SQLite file: its effects are the writes to the store, and the opening, reads and
closing of the source.  After each case another process goes on, with the token if there was one, else under the idempotency key.
The source of the second process gives another text than that of the first, unless it is replayed: so a mixture would show.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import SqliteBackend, remember_stream
from cortex_rx.errors import ResumableStreamError, StreamNotFound, TokenUnknown
from cortex_rx.events import Begun, Delta, Replayed
from cortex_rx.source import prefill, replayable, restart
from cortex_rx.testing import FAULT_KINDS, Crashed, Faulty, Process, each_fault, pairs_of_faults, run_virtual, wall

WHERE = {"memorySpaceId": "space"}
PARAMS = {
    "memory_space_id": "space",
    "conversation_id": "c-1",
    "user_message": "What is it?",
    "user_id": "ada",
    "user_name": "Ada",
    "idempotency_key": "key",
}
FIRST = ["It ", "is ", "a ", "long ", "answer ", "indeed."]
OTHER = ["Quite ", "another ", "one."]
KINDS = [kind for kind in FAULT_KINDS if kind != "delay"]


def model(words: list[str], pace: float = 0.7) -> Any:
    async def opened(point: Any) -> Any:
        for word in words:
            await asyncio.sleep(pace)
            yield word

    return opened


HOWS: dict[str, tuple[Any, list[str]]] = {
    "replayed": (replayable, FIRST),
    "another text": (replayable, OTHER),
    "restarted": (restart, OTHER),
    "prefilled": (prefill, [" and ", "on."]),
}


class Seen:
    """What a reader of one process saw: the text of each attempt, and the token."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.token: str | None = None
        self.result: Any = None

    async def read(self, answer: Any) -> None:
        async for event in answer.events():
            if isinstance(event, Begun):
                self.token = event.token
            elif isinstance(event, Replayed):
                self.texts[event.attempt] = event.text
            elif isinstance(event, Delta):
                text = self.texts.get(event.attempt, "")
                assert event.offset == len(text), "offsets are contiguous"
                self.texts[event.attempt] = text + event.text
        self.result = await answer


async def one_case(path: Path, plan: Any, how: str) -> tuple[list[str], Counter[str]]:
    """Run the reference stream under a plan, go on in another process, and check the store."""
    wrap, words = HOWS[how]
    seen, again = Seen(), Seen()
    outcomes: Counter[str] = Counter()

    async def first(process: Process) -> None:
        store = Faulty(SqliteBackend(path, clock=wall), process)
        await seen.read(remember_stream(wrap(process.source(model(FIRST))), backend=store, **PARAMS))

    async def second(process: Process) -> None:
        store = Faulty(SqliteBackend(path, clock=wall), process)
        source = wrap(process.source(model(words)))
        if seen.token:
            params = {"memory_space_id": "space", "resume_from": seen.token}
            try:
                await again.read(remember_stream(source, backend=store, **params))
                return
            except (TokenUnknown, StreamNotFound):  # the question never was stored
                again.texts.clear()
        await again.read(remember_stream(source, backend=store, **PARAMS))

    async with Process(plan, "first") as one:
        running = one.start(first(one))
        while not running.done() and not one.crashed and not any(fault.kind == "stall" for fault in one.fired):
            await asyncio.sleep(0.05)
        if running.done() and running.exception() is None:
            outcomes["finished by itself"] += 1
        else:
            if running.done():
                error = running.exception()
                outcomes[type(getattr(error, "original_error", error)).__name__] += 1
            else:
                outcomes["crashed" if one.crashed else "stalled"] += 1
            await asyncio.sleep(11)  # a stalled writer is a zombie now: its lease has run out
            left = 5
            async with Process(one.plan.after(len(one.effects)), "second") as two:
                while left:
                    left -= 1
                    try:
                        await two.run(second(two))
                        break
                    except Crashed:
                        outcomes["crashed again"] += 1
                        await two.bury()
                        async with Process(name="third") as three:
                            await asyncio.sleep(11)
                            if again.token:
                                seen.token = again.token
                            again.texts.clear()
                            await three.run(second(three))
                            break
                    except ResumableStreamError as error:  # the second fault of a pair was one of the source
                        outcomes["failed again"] += 1
                        seen.token = error.resume_token
            if not one.crashed and not running.done():
                await asyncio.wait({running})
            if running.done():
                running.exception()  # Fenced: the zombie could not write

    async with SqliteBackend(path, clock=wall) as store:
        rows = await store.query("memories:list", {**WHERE, "includePartial": True})
        conversation = await store.query("conversations:get", {**WHERE, "conversationId": "c-1"})
        answer = rows[0]["content"]
        assert [(row["content"], row["isPartial"], row["messageRole"]) for row in rows] == [
            (answer, False, "agent"),
            ("What is it?", False, "user"),
        ]
        assert [message["content"] for message in conversation["messages"]] == ["What is it?", answer]
        assert await store.query("streams:interrupted", WHERE) == []
        assert await store.query("memories:count", {"memorySpaceId": "other", "includePartial": True}) == 0
    whole = "".join(FIRST)
    assert all(whole.startswith(text) for text in seen.texts.values()), (
        "a reader saw a prefix of the text of his attempt"
    )
    if again.result is not None:
        assert again.result.full_response == answer
        assert again.texts[max(again.texts)] == answer
    if how == "prefilled":
        # Each process after the first goes on in this way, and may be cut off too; the last one is not.
        kept = re.sub(r"(?: and(?: on\.)?)*$", "", answer)
        assert whole.startswith(kept) and (answer == whole or answer.endswith(" and on."))
    else:
        assert answer in (whole, "".join(words))
    return one.effects, outcomes


def played(path: Path, plan: Any, how: str) -> tuple[list[str], Counter[str]]:
    return run_virtual(one_case(path, plan, how))


@pytest.mark.parametrize("how", HOWS)
def test_every_effect_in_every_way(tmp_path: Path, how: str, proof: Any) -> None:
    effects, outcomes = played(tmp_path / "reference.db", "", how)
    assert outcomes == {"finished by itself": 1}
    names = Counter(effects)
    assert names["streams:begin"] == names["streams:finalize"] == names["source open"] == 1
    assert names["streams:append"] > 3 and names["source read"] == 7 and names["streams:renew"] >= 1
    total: Counter[str] = Counter()
    cases = 0
    for number, plan in enumerate(each_fault(len(effects), KINDS)):
        try:
            total += played(tmp_path / f"{number}.db", plan, how)[1]
        except BaseException as error:
            error.add_note(f"plan: {plan}; effects: {effects}")
            raise
        cases += 1
    assert cases == 5 * len(effects) >= 90
    assert total["crashed"] == 2 * len(effects) and total["stalled"] > 0
    proof.count("crash enumeration", {"cases": cases, **total})


@pytest.mark.parametrize("how", HOWS)
def test_pairs_of_faults(tmp_path: Path, how: str) -> None:
    for number, plan in enumerate(pairs_of_faults(22, 25, seed=hash_of(how), kinds=KINDS)):
        try:
            played(tmp_path / f"{number}.db", plan, how)
        except BaseException as error:
            error.add_note(f"plan: {plan}")
            raise


def hash_of(name: str) -> int:
    """A number that is the same in every run."""
    return sum(map(ord, name))
