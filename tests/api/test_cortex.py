"""Leaving a client: which streams finish, which are stopped, how long it takes, and what is in the file then."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import Answer, AnswerStopped, Cortex, SqliteBackend
from cortex_rx.errors import InvalidArgument
from cortex_rx.testing import assert_no_leaks, run_virtual

ASKED: dict[str, Any] = {"memory_space_id": "s", "user_message": "Why?", "agent_id": "helper"}


def remember(cortex: Cortex, source: Any, conversation: str = "c") -> Answer:
    return cortex.memory.remember_stream(source, conversation_id=conversation, **ASKED)


async def endless() -> AsyncIterator[str]:
    while True:
        await asyncio.sleep(0.01)
        yield "word "


async def silent() -> AsyncIterator[str]:
    yield "word "
    await asyncio.sleep(86_400)
    yield "late"


async def deaf() -> AsyncIterator[str]:
    while True:
        with suppress(asyncio.CancelledError):  # as a source that tries again after any error
            await asyncio.sleep(0.01)
        yield "word "


async def short() -> AsyncIterator[str]:
    for _ in range(300):
        await asyncio.sleep(0.01)
        yield "word "


class Stalling:
    """A store whose writes never return, once it is told so."""

    def __init__(self, inner: SqliteBackend) -> None:
        self.inner, self.stalls = inner, False

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self.inner.query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        if self.stalls:
            await asyncio.sleep(86_400)
        return await self.inner.mutation(path, args)

    async def close(self) -> None: ...


SHORT = "word " * 300  # in 3 s


async def kept(path: Path) -> dict[str, tuple[bool, str]]:
    """For each conversation whether its answer is partial, and its text; nobody owns a stream any more."""
    async with Cortex(path) as cortex:
        streams = {stream.memory_id: stream.conversation_id for stream in await cortex.memory.interrupted("s")}
        answers = [m for m in await cortex.memory.list("s", include_partial=True) if m.message_role != "user"]
        assert set(streams) == {memory.memory_id for memory in answers if memory.is_partial}
        return {
            streams.get(m.memory_id) or (m.conversation_ref or {})["conversationId"]: (bool(m.is_partial), m.content)
            for m in answers
        }


def now() -> float:
    return asyncio.get_running_loop().time()


# --- an exception and a cancellation ----------------------------------------------------------------------------------


async def raising(cortex: Cortex, source: Any, seen: list[str]) -> None:
    async for text in remember(cortex, source):
        seen.append(text)
        if len(seen) == 1:
            raise KeyError("an error of the caller")


async def cancelled(cortex: Cortex, source: Any, seen: list[str]) -> None:
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().call_later(0.7, task.cancel)
    async for text in remember(cortex, source):
        seen.append(text)


async def detached(cortex: Cortex, source: Any, seen: list[str]) -> None:
    remember(cortex, source).detach()
    await asyncio.sleep(0.7)
    raise KeyError("while a detached answer runs")


def left_by(leave: Callable[..., Coroutine[Any, Any, None]], source: Any, path: Path) -> tuple[str, str, float]:
    """What was shown before the block was left by an exception, what is stored of it, and the seconds between."""

    async def main() -> tuple[list[str], float]:
        seen: list[str] = []
        since = 0.0
        with pytest.raises((KeyError, asyncio.CancelledError)):
            async with assert_no_leaks(), Cortex(path) as cortex:
                try:
                    await leave(cortex, source, seen)
                finally:
                    since = now()
        return seen, now() - since

    seen, took = run_virtual(main())
    ((partial, text),) = run_virtual(kept(path)).values()
    assert partial
    return "".join(seen), text, took


@pytest.mark.parametrize("leave", [raising, cancelled, detached])
@pytest.mark.parametrize("source", [endless, silent, deaf])
def test_an_exception_stops_all_at_once_and_what_was_shown_is_stored(
    leave: Callable[..., Coroutine[Any, Any, None]], source: Any, tmp_path: Path
) -> None:
    seen, text, took = left_by(leave, source, tmp_path / "m.db")
    assert took < 0.1
    assert text.startswith(seen or "word ")
    assert len(text) <= 5 * 71, "nothing was read on"


class HangsInClosing:
    """A source whose closing never returns, as that of a connection that is dead."""

    def __init__(self, items: AsyncIterator[str]) -> None:
        self._items = items

    def __aiter__(self) -> HangsInClosing:
        return self

    async def __anext__(self) -> str:
        return await anext(self._items)

    async def aclose(self) -> None:
        await asyncio.sleep(86_400)

    async def __aenter__(self) -> AsyncIterator[str]:
        return self._items

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def cleans_up_for_ever() -> AsyncIterator[str]:
    try:
        async for text in endless():
            yield text
    finally:
        await asyncio.sleep(86_400)


class InManager(HangsInClosing):
    __aiter__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("leave", [raising, cancelled, detached])
@pytest.mark.parametrize(
    "source", [lambda: HangsInClosing(endless()), lambda: InManager(endless()), cleans_up_for_ever]
)
def test_a_source_that_hangs_in_its_closing_does_not_hold_who_leaves_by_an_exception(
    leave: Callable[..., Coroutine[Any, Any, None]], source: Any, tmp_path: Path
) -> None:
    seen, text, took = left_by(leave, source, tmp_path / "m.db")
    assert took < 0.6
    assert text.startswith(seen or "word ")


def test_a_text_that_has_ended_is_remembered_at_an_exception_though_its_source_hangs_in_its_closing(
    tmp_path: Path,
) -> None:
    async def main() -> float:
        since = 0.0
        with suppress(KeyError):
            async with Cortex(tmp_path / "m.db") as cortex:
                async for _ in remember(cortex, lambda: HangsInClosing(short())):
                    pass
                since = now()
                raise KeyError
        return now() - since

    assert run_virtual(main()) < 0.6
    assert run_virtual(kept(tmp_path / "m.db")) == {"c": (False, SHORT)}


def test_a_generator_that_is_closed_within_the_block_leaves_at_once(tmp_path: Path) -> None:
    async def texts() -> AsyncGenerator[str, None]:
        async with Cortex(tmp_path / "m.db") as cortex:
            async for text in remember(cortex, endless):
                yield text

    async def main() -> float:
        reading = texts()
        await anext(reading)
        since = now()
        await reading.aclose()
        return now() - since

    assert run_virtual(main()) < 0.1
    assert run_virtual(kept(tmp_path / "m.db"))["c"] == (True, "word ")


def test_a_text_that_has_ended_is_remembered_when_an_exception_leaves_the_block(tmp_path: Path) -> None:
    async def main() -> None:
        with suppress(KeyError):
            async with Cortex(tmp_path / "m.db") as cortex:
                async for _ in remember(cortex, short):
                    pass
                raise KeyError

    run_virtual(main())
    assert run_virtual(kept(tmp_path / "m.db")) == {"c": (False, SHORT)}


# --- a normal end -----------------------------------------------------------------------------------------------------


def test_a_normal_end_lets_what_is_used_finish_and_stops_what_nobody_uses(tmp_path: Path) -> None:
    async def read(answer: Answer, into: list[str]) -> None:
        async for text in answer:
            into.append(text)

    async def main() -> tuple[float, str, Any]:
        texts: list[str] = []
        async with Cortex(tmp_path / "m.db") as cortex:
            remember(cortex, short, "detached").detach()
            reading = asyncio.create_task(read(remember(cortex, short, "read"), texts))
            awaiting = asyncio.create_task(remember(cortex, short, "awaited")._wait())
            await asyncio.sleep(0.1)
            async for _ in remember(cortex, endless, "left"):
                break
            await asyncio.sleep(0.6)
            left = now()
        took = now() - left
        await reading
        return took, "".join(texts), await awaiting

    took, text, result = run_virtual(main())
    assert took == pytest.approx(3.0 - 0.71, abs=0.05)
    assert text == result.full_response == SHORT
    found = run_virtual(kept(tmp_path / "m.db"))
    whole = (False, SHORT)
    assert {name: found[name] for name in ("detached", "read", "awaited")} == dict.fromkeys(
        found.keys() - {"left"}, whole
    )
    partial, text = found["left"]
    assert partial
    assert len(text) / 5 == pytest.approx(101, abs=2), "the second since it was left, not since the block has ended"


@pytest.mark.parametrize("source", [endless, silent])
def test_break_and_the_end_of_the_block_take_the_linger(source: Any, tmp_path: Path) -> None:
    async def main() -> float:
        async with Cortex(tmp_path / "m.db") as cortex:
            async for _ in remember(cortex, source):
                break
            since = now()
        return now() - since

    assert run_virtual(main()) == pytest.approx(1.0, abs=0.05)
    partial, text = run_virtual(kept(tmp_path / "m.db"))["c"]
    assert partial
    assert len(text) <= 5 * 102


@pytest.mark.parametrize("source", [endless, silent])
@pytest.mark.parametrize(
    ("given", "environ", "limit"),
    [
        ({}, {}, 10.0),
        ({"close_timeout": timedelta(seconds=3)}, {"CORTEX_CLOSE_TIMEOUT": "7"}, 3.0),
        ({}, {"CORTEX_CLOSE_TIMEOUT": "2.5"}, 2.5),
        ({"close_timeout": timedelta(0)}, {}, 0.0),
    ],
)
def test_the_limit_of_a_normal_end(
    given: dict[str, Any], environ: dict[str, str], limit: float, source: Any, tmp_path: Path
) -> None:
    async def main() -> tuple[float, str]:
        async with Cortex(tmp_path / "m.db", environ=environ, **given) as cortex:
            answer = remember(cortex, source)
            answer.detach()
            await asyncio.sleep(0.1)
            since = now()
        with pytest.raises(AnswerStopped):
            await answer
        return now() - since, answer.text

    took, text = run_virtual(main())
    assert took == pytest.approx(limit, abs=0.05)
    assert run_virtual(kept(tmp_path / "m.db")) == {"c": (True, text)}


@pytest.mark.parametrize("given", [timedelta(seconds=-1), 5, "soon"])
def test_a_limit_is_a_time(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="close_timeout"):
        Cortex(":memory:", close_timeout=given)
    with pytest.raises(InvalidArgument, match="CORTEX_CLOSE_TIMEOUT: got 'soon'"):
        Cortex.from_env({"CORTEX_CLOSE_TIMEOUT": "soon"})


@pytest.mark.parametrize("times", [1, 5])
def test_a_close_that_is_cancelled_stops_flushes_and_closes_the_store(times: int, tmp_path: Path) -> None:
    async def main() -> tuple[float, str]:
        cortex = Cortex(tmp_path / "m.db")
        answer = remember(cortex, endless)
        answer.detach()
        await asyncio.sleep(0.72)
        closing = asyncio.create_task(cortex.close())
        await asyncio.sleep(0.2)
        since = now()
        for _ in range(times):
            closing.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await closing
        took = now() - since
        assert repr(answer).startswith("Answer(ended")
        return took, answer.text

    took, text = run_virtual(main())
    assert took < 0.1
    assert run_virtual(kept(tmp_path / "m.db")) == {"c": (True, text)}


def test_a_store_that_stalls_holds_the_program_no_longer_than_a_flush_may_take(tmp_path: Path) -> None:
    async def main() -> float:
        async with SqliteBackend(tmp_path / "m.db") as backend:
            store = Stalling(backend)
            with pytest.raises(KeyError):
                async with Cortex(store) as cortex:
                    async for _ in remember(cortex, endless):
                        if now() > 0.7:
                            store.stalls = True
                            raise KeyError
            return now() - 0.7

    assert 8.0 < run_virtual(main()) < 9.5

    async def look() -> list[str]:
        async with Cortex(tmp_path / "m.db") as cortex:
            return [memory.content for memory in await cortex.memory.list("s", include_partial=True)]

    (text,) = run_virtual(look())
    assert len(text) / 5 == pytest.approx(50, abs=1), "of the last 500 ms the store heard nothing"


# --- real signals -----------------------------------------------------------------------------------------------------

PROGRAMS = "programs that get a signal"
README = """
import asyncio, sys
from cortex_rx import Cortex
async def llm_stream():
    yield "Well, "
    number = 0
    while True:
        await asyncio.sleep({pause})
        number += 1
        yield f"{{number}} "
async def main():
    async with Cortex(sys.argv[1]) as cortex:
        answer = cortex.memory.remember_stream(llm_stream, memory_space_id="s", conversation_id="c",
            user_message="Why?", agent_id="helper")
        {body}
asyncio.run(main())
"""
SHOW = """async for text in answer:
            print(text, flush=True)"""
DETACHED = """answer.detach()
        await asyncio.sleep(0.7)
        print(answer.text, flush=True)"""


@pytest.mark.parametrize(
    ("pause", "body", "shown", "signals"),
    [
        pytest.param(0.01, SHOW, 60, 1, id="the README's first program"),
        pytest.param(3600, SHOW, 1, 1, id="a silent model", marks=pytest.mark.slow(reason=PROGRAMS)),
        pytest.param(0.01, DETACHED, 1, 3, id="again while it closes"),
    ],
)
def test_ctrl_c(pause: float, body: str, shown: int, signals: int, tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    program = [sys.executable, "-c", README.format(pause=pause, body=body), str(path)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    seen = "".join(next(process.stdout).rstrip("\n") for _ in range(shown))
    for _ in range(signals):
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
        process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=5)[1]  # 1 s, on a busy machine
    assert "KeyboardInterrupt" in errors
    assert "never" not in errors
    partial, text = asyncio.run(kept(path))["c"]
    assert partial
    assert text.startswith(seen)
