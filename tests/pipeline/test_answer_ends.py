"""An answer always ends, whatever its source does: what was shown is stored, and everybody hears of the end."""

from __future__ import annotations

import asyncio
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but

from cortex_rx import SqliteBackend, remember_stream
from cortex_rx.errors import ResumableStreamError
from cortex_rx.testing import Faulty, assert_no_leaks, run_virtual, wall

TURN: dict[str, Any] = {
    "memory_space_id": "s",
    "conversation_id": "c",
    "user_message": "Where is it?",
    "user_id": "ada",
    "user_name": "Ada",
}


class Outcome:
    """What a reader saw, what awaiting gave, what is stored, and when the stream was at its end."""

    def __init__(self) -> None:
        self.seen = ""
        self.result: Any = None
        self.error: Exception | None = None
        self.cause: Exception | None = None
        self.took = 0.0
        self.stored: list[tuple[str, bool]] = []
        self.lease: list[Any] = []


def outcome_of(path: Path, source: Any, pause: float = 0.0, **options: Any) -> Outcome:
    outcome = Outcome()

    async def main() -> None:
        async with assert_no_leaks(), SqliteBackend(path, clock=wall) as store:
            answer = remember_stream(source(), backend=store, **TURN, **options)
            async with asyncio.timeout(3600):
                try:
                    async for text in answer:
                        outcome.seen += text
                        await asyncio.sleep(pause)
                except Exception as error:
                    outcome.error = error
                try:
                    outcome.result = await answer
                except Exception as error:
                    assert type(error) is type(outcome.error)
                    outcome.cause = getattr(error, "original_error", None)
            outcome.took = asyncio.get_running_loop().time()
            where = {"memorySpaceId": "s"}
            rows = await store.query("memories:list", {**where, "includePartial": True})
            outcome.stored = [(row["content"], row["isPartial"]) for row in rows if row["messageRole"] == "agent"]
            outcome.lease = [row["length"] for row in await store.query("streams:interrupted", where)]

    run_virtual(main())
    return outcome


async def hangs() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise OSError("private")


class Closes:
    def __init__(self, close: Any) -> None:
        self.aclose, self.left = close, 3

    def __aiter__(self) -> Closes:
        return self

    async def __anext__(self) -> str:
        self.left -= 1
        if self.left < 0:
            raise StopAsyncIteration
        return "word "


@pytest.mark.parametrize(("close", "seconds"), [(hangs, 5), (fails, 0)])
def test_a_closing_that_hangs_or_fails_keeps_no_answer_from_being_remembered(
    tmp_path: Path, close: Any, seconds: float
) -> None:
    outcome = outcome_of(tmp_path / "memory.db", lambda: Closes(close))
    assert outcome.error is None and outcome.seen == outcome.result.full_response == "word " * 3
    assert outcome.stored == [("word " * 3, False)] and outcome.lease == []
    assert seconds <= outcome.took < seconds + 1
    assert [error.code for error in outcome.result.errors] == ["NOT_CLOSED"]


async def timed() -> Any:
    async with asyncio.timeout(1.05):
        for number in range(100_000):
            yield f"word{number} "


@pytest.mark.parametrize("pause", [0.01, 0.5])
def test_a_timeout_of_the_source_s_own_beside_a_slow_reader(tmp_path: Path, pause: float) -> None:
    outcome = outcome_of(tmp_path / "memory.db", timed, pause)
    assert type(outcome.error) is ResumableStreamError and type(outcome.cause) is TimeoutError
    assert outcome.stored == [(outcome.seen, True)] and outcome.lease == [len(outcome.seen)], "the lease is released"


class Unusual(BaseException):
    pass


async def fails_unusually() -> Any:
    yield "word "
    raise Unusual("private")


def test_a_base_exception_of_the_source_is_no_stop(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path / "memory.db", fails_unusually)
    assert type(outcome.error) is ResumableStreamError and type(outcome.cause).__name__ == "AbnormalEnd"
    assert type(outcome.cause.__cause__) is Unusual and "Unusual" in str(outcome.cause)
    assert "private" not in f"{outcome.error}{outcome.cause}"
    assert outcome.stored == [("word ", True)] and outcome.lease == [5]


# --- Cancelling all tasks of a running loop ---------------------------------------------------------------------------


async def endless() -> Any:
    number = 0
    while True:
        await asyncio.sleep(0.01)
        yield f"word{number} "
        number += 1


class WithTasks(SqliteBackend):
    """As a client that has tasks of its own: each call is one."""

    async def mutation(self, path: str, args: dict[str, Any]) -> Any:
        return await asyncio.create_task(self._later(path, args))

    async def _later(self, path: str, args: dict[str, Any]) -> Any:
        await asyncio.sleep(0.2)
        return await super().mutation(path, args)


SLOW = ", ".join(f"{at} delay 0.4" for at in range(1, 80))


WAYS = [["a task", "a callback", "the main task, too"], [1, 2, 50], ["well", "slow", "with tasks"], [0.05, 1.234, 7.9]]
THIRD = [case for at, case in zip(product(range(3), repeat=4), product(*WAYS), strict=True) if sum(at) % 3 == 0]


@pytest.mark.parametrize(
    "way",
    slow_but(
        THIRD, product(*WAYS), "ways to cancel all tasks; any three of their four kinds are together in every run"
    ),
    ids=lambda way: "-".join(map(str, way)),
)
def test_all_tasks_are_cancelled(tmp_path: Path, way: tuple[str, int, str, float]) -> None:
    how, times, store, after = way
    path, passed = tmp_path / "memory.db", []

    async def reading(answer: Any) -> None:
        async for text in answer:
            passed.append(text)

    async def main() -> None:
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        inner = (WithTasks if store == "with tasks" else SqliteBackend)(path, clock=wall)
        backend = Faulty(inner, SLOW if store == "slow" else "")
        answer = remember_stream(endless(), backend=backend, **TURN)
        program = loop.create_task(reading(answer))
        await asyncio.sleep(after)

        def cancel() -> None:
            for task in asyncio.all_tasks(loop):
                if task is not me or how == "the main task, too":
                    task.cancel()

        try:
            for _ in range(times):
                loop.call_soon(cancel) if how == "a callback" else cancel()
                await asyncio.sleep(0.003)
            await program
        finally:
            if how != "the main task, too":
                while others := asyncio.all_tasks() - {me}:
                    await asyncio.wait(others)
                assert loop.time() < after + 9
                await backend.close()

    with pytest.raises(asyncio.CancelledError):
        run_virtual(main())

    async def stored() -> None:
        async with SqliteBackend(path, clock=wall) as backend:
            where = {"memorySpaceId": "s"}
            rows = await backend.query("memories:list", {**where, "includePartial": True})
            shown = "".join(passed)
            if not rows:
                assert not shown
                return
            (text,) = [row["content"] for row in rows if row["isPartial"]]
            assert text.startswith(shown) and len(text) <= len(shown) + 300, "the reader was cancelled a little earlier"
            (interrupted,) = await backend.query("streams:interrupted", where)
            assert interrupted["length"] == len(text), "the lease is released"

    run_virtual(stored())
