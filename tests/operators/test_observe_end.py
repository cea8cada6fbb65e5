"""The hook `on_end`: called once for every stream, however it ends, with what memory has of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops

from cortex_rx import Answer, Cortex, SqliteBackend, Turn, default_chain, from_stream, replayable, run
from cortex_rx import operators as cx
from cortex_rx.engine import passing
from cortex_rx.errors import StoreUnavailable, TokenUnknown
from cortex_rx.models.hooks import StreamEndEvent
from cortex_rx.testing import assert_no_leaks, run_virtual

ASKED: dict[str, Any] = {"memory_space_id": "s", "conversation_id": "c", "user_message": "Why?", "agent_id": "helper"}
WHOLE = "word " * 80  # in 0.8 s


async def model() -> AsyncIterator[str]:
    for _ in range(80):
        await asyncio.sleep(0.01)
        yield "word "


async def broken() -> AsyncIterator[str]:
    for _ in range(60):
        await asyncio.sleep(0.01)
        yield "word "
    raise ConnectionError("the line broke")


Start = Callable[..., Answer]
Ends = Callable[[Cortex, Start], Coroutine[Any, Any, None]]


def ended(path: Path, ends: Ends, by: str = "hooks", **client: Any) -> StreamEndEvent:
    """The one event of a stream that ends so."""
    events: list[StreamEndEvent] = []

    async def main() -> None:
        async with Cortex(client.pop("store", path), **client) as cortex:

            def start(source: Any = model, **options: Any) -> Answer:
                asked = ASKED if "resume_from" not in options else {"memory_space_id": "s"}
                keywords = {name: options.pop(name) for name in ("resume_from", "linger") if name in options}
                if by == "hooks":
                    options["hooks"] = {"onEnd": events.append}
                    return cortex.memory.remember_stream(source, options, **asked, **keywords)
                chain = default_chain(cortex.backend, options, spool=cortex.spool)
                chain = chain.after("measure", cx.observe(on_end=events.append))
                return cortex.memory.remember_stream(source, chain=chain, **asked, **keywords)

            await ends(cortex, start)

    with suppress(KeyError):
        run_virtual(main())
    (event,) = events
    return event


async def by_itself(cortex: Cortex, start: Start) -> None:
    await start()


async def the_reader_left(cortex: Cortex, start: Start) -> None:
    async for _ in start(linger=timedelta(seconds=0.3)):
        break
    await asyncio.sleep(0.5)


async def the_user_stopped(cortex: Cortex, start: Start) -> None:
    answer = start()
    answer.detach()
    await asyncio.sleep(0.305)
    await answer.stop()


async def the_client_was_closed(cortex: Cortex, start: Start) -> None:
    start().detach()
    await asyncio.sleep(0.305)
    await cortex.close(timedelta(0))


async def an_exception_left_the_client(cortex: Cortex, start: Start) -> None:
    async for _ in start():
        raise KeyError


async def another_process_asked(cortex: Cortex, start: Start) -> None:
    answer = start()
    answer.detach()
    await asyncio.sleep(0.3)
    assert answer.stream_id
    await cortex.memory.stop("s", answer.stream_id)
    with suppress(Exception):
        await answer


async def its_task_was_cancelled(cortex: Cortex, start: Start) -> None:
    answer = start()
    answer.detach()
    await asyncio.sleep(0.305)
    task = answer._shared.task
    assert task
    task.cancel()
    await asyncio.wait({task})


async def all_tasks_were_cancelled(cortex: Cortex, start: Start, times: int = 1) -> None:
    answer = start()
    answer.detach()
    await asyncio.sleep(0.305)
    for _ in range(times):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
    task = answer._shared.task
    assert task
    await asyncio.wait({task})


async def all_tasks_were_cancelled_often(cortex: Cortex, start: Start) -> None:
    await all_tasks_were_cancelled(cortex, start, 5)


@pytest.mark.parametrize("by", ["hooks", "observe"])
@pytest.mark.parametrize(
    ("ends", "outcome", "stopped"),
    [
        (by_itself, "remembered", None),
        (the_reader_left, "kept", "left"),
        (the_user_stopped, "kept", "stopped"),
        (the_client_was_closed, "kept", "closed"),
        (an_exception_left_the_client, "kept", "closed"),
        (another_process_asked, "kept", "request"),
        (its_task_was_cancelled, "kept", "cancelled"),
        (all_tasks_were_cancelled, "kept", "cancelled"),
        (all_tasks_were_cancelled_often, "kept", "cancelled"),
    ],
)
def test_every_end_is_heard_once(ends: Ends, outcome: str, stopped: str | None, by: str, tmp_path: Path) -> None:
    event = ended(tmp_path / "m.db", ends, by)
    assert (event.outcome, event.stopped, event.error) == (outcome, stopped, None)
    assert event.stored_length == event.length
    assert stored(tmp_path / "m.db") == [(event.stream_id if outcome == "kept" else None, event.length)]


def stored(path: Path) -> list[tuple[str | None, int]]:
    """The answers in the file: of which interrupted stream (None: it is whole), and how long."""

    async def main() -> list[tuple[str | None, int]]:
        async with Cortex(path) as cortex:
            partial = {stream.memory_id: stream.stream_id for stream in await cortex.memory.interrupted("s")}
            answers = [m for m in await cortex.memory.list("s", include_partial=True) if m.message_role != "user"]
            assert set(partial) == {memory.memory_id for memory in answers if memory.is_partial}
            return [(partial.get(memory.memory_id), len(memory.content)) for memory in answers]

    return run_virtual(main())


def test_the_end_of_the_loop_is_heard(tmp_path: Path) -> None:
    events: list[StreamEndEvent] = []

    async def slowly(event: StreamEndEvent) -> None:
        await asyncio.sleep(0.5)
        events.append(event)

    async def main() -> None:
        cortex = Cortex(tmp_path / "m.db")
        answer = cortex.memory.remember_stream(model, {"hooks": {"on_end": slowly, "on_chunk": print}}, **ASKED)
        answer.detach()
        await asyncio.sleep(0.305)

    run_virtual(main())
    ((outcome, stopped, length),) = [(event.outcome, event.stopped, event.stored_length) for event in events]
    assert (outcome, stopped, length) == ("kept", "cancelled", 150)


async def fails(cortex: Cortex, start: Start) -> None:
    with suppress(Exception):
        await start(broken)


async def rolls_back(cortex: Cortex, start: Start) -> None:
    with suppress(Exception):
        await start(broken, partial_failure_handling="rollback")


async def ends_with_what_came(cortex: Cortex, start: Start) -> None:
    await start(broken, partial_failure_handling="best-effort")


async def stores_no_partial(cortex: Cortex, start: Start) -> None:
    with suppress(Exception):
        await start(broken, store_partial_response=False)


async def says_nothing(cortex: Cortex, start: Start) -> None:
    with suppress(Exception):
        await start([""])


async def resumes_with_a_wrong_token(cortex: Cortex, start: Start) -> None:
    with pytest.raises(TokenUnknown):
        await start(replayable(lambda: model()), resume_from="nothing like a token")


@pytest.mark.parametrize(
    ("ends", "outcome", "error", "length", "stored_length"),
    [
        (fails, "kept", "ConnectionError", 300, 300),
        (rolls_back, "rolled-back", "ConnectionError", 300, 0),
        (ends_with_what_came, "remembered", None, 300, 300),
        (stores_no_partial, "kept", "ConnectionError", 300, 0),
        (says_nothing, "kept", "EmptyAnswer", 0, 0),
        (resumes_with_a_wrong_token, "not-stored", "TokenUnknown", 0, 0),
    ],
)
def test_a_failure_says_what_is_left(
    ends: Ends, outcome: str, error: str | None, length: int, stored_length: int, tmp_path: Path
) -> None:
    event = ended(tmp_path / "m.db", ends)
    assert (event.outcome, event.stopped, event.length, event.stored_length) == (outcome, None, length, stored_length)
    assert (event.error and type(event.error.original_error).__name__) == error
    assert (event.stream_id is None) == (ends is resumes_with_a_wrong_token)


class Away:
    """A store that cannot be reached, from some time on."""

    def __init__(self, path: Path, since: float, stalls: bool = False) -> None:
        self.inner, self.since, self.stalls = SqliteBackend(path), since, stalls

    async def query(self, path: str, args: Any) -> Any:
        return await self.inner.query(path, args)

    async def mutation(self, path: str, args: Any) -> Any:
        if asyncio.get_running_loop().time() >= self.since:
            if self.stalls:
                await asyncio.sleep(3600)
            raise StoreUnavailable("away")
        return await self.inner.mutation(path, args)

    async def close(self) -> None:
        await self.inner.close()


async def endless() -> AsyncIterator[str]:
    while True:
        await asyncio.sleep(0.01)
        yield "word "


async def is_stopped(cortex: Cortex, start: Start) -> None:
    answer = start(endless)
    answer.detach()
    await asyncio.sleep(3)
    await answer.stop()


async def is_not_stored(cortex: Cortex, start: Start) -> None:
    with suppress(Exception):
        await start()


@pytest.mark.parametrize(
    ("since", "spool", "outcome", "stored_length"),
    [
        (0.0, False, "not-stored", 0),
        (0.0, True, "spooled", 0),
        (0.6, False, "kept", 250),
        (0.6, True, "spooled", 250),
    ],
)
@pytest.mark.parametrize("ends", [is_not_stored, is_stopped])
def test_a_store_that_is_away(
    ends: Ends, since: float, spool: bool, outcome: str, stored_length: int, tmp_path: Path
) -> None:
    given = {"spool": tmp_path / "spool.db"} if spool else {"spool": False}
    event = ended(tmp_path / "m.db", ends, store=Away(tmp_path / "m.db", since), **given)
    assert (event.outcome, event.stopped) == (outcome, "stopped" if ends is is_stopped else None)
    assert event.stored_length == pytest.approx(stored_length, abs=10)
    assert event.error is not None


def test_a_stop_while_the_exchange_is_stored_says_what_came_of_it(tmp_path: Path) -> None:
    """Stopped at every 10 ms of an answer: the hook says what the store has."""
    seen = set()
    for at in range(1, 90, 4):
        path = tmp_path / f"{at}.db"

        async def stop(cortex: Cortex, start: Start, at: int = at) -> None:
            answer = start()
            answer.detach()
            await asyncio.sleep(at / 100)
            await answer.stop()

        event = ended(path, stop)
        seen.add(event.outcome)
        assert event.stored_length == event.length
        assert stored(path) == [(event.stream_id if event.outcome == "kept" else None, event.length)]
    assert seen == {"kept", "remembered"}


def test_a_chain_that_stores_nothing_and_an_error_downstream(tmp_path: Path) -> None:
    turn = Turn("s", "c", "Why?", agent_id="helper")
    events: list[StreamEndEvent] = []

    def fail(event: Any) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with assert_no_leaks():
            await run(from_stream(model, turn=turn).pipe(cx.observe(on_end=events.append)))
            with suppress(ZeroDivisionError):
                fails = passing(lambda emit, flow, end: (fail, None))
                await run(from_stream(model, turn=turn).pipe(cx.observe(on_end=events.append), fails))
            await run(from_stream(model, turn=turn).pipe(cx.observe(on_end=events.append), ops.take(9)))

    run_virtual(main())
    found = [(e.outcome, e.stopped, e.error and type(e.error.original_error).__name__) for e in events]
    expected = [
        ("not-stored", None, None),
        ("not-stored", None, "ZeroDivisionError"),
        ("not-stored", "cancelled", None),
    ]
    assert found == expected


def test_one_that_raises_is_a_problem_and_one_that_hangs_is_given_up(tmp_path: Path) -> None:
    async def hangs(event: Any) -> None:
        await asyncio.sleep(3600)

    def fails(event: Any) -> None:
        raise ZeroDivisionError

    async def main(hook: Callable[[Any], Any], leave: bool) -> tuple[float, Any]:
        async with assert_no_leaks(), Cortex(tmp_path / f"{hook.__name__}{leave}.db") as cortex:
            answer = cortex.memory.remember_stream(model, {"hooks": {"on_end": hook}}, **ASKED)
            time = asyncio.get_running_loop().time
            if not leave:
                result = await answer
                return time(), [(error.code, type(error.original_error)) for error in result.errors or ()]
            answer.detach()
            await asyncio.sleep(0.305)
            await answer.stop()
            return time(), []

    at, errors = run_virtual(main(fails, False))
    assert (at, [code for code, _ in errors]) == (pytest.approx(0.8, abs=0.01), ["HOOK_FAILED"])
    at, errors = run_virtual(main(hangs, False))
    assert (at, [code for code, _ in errors]) == (pytest.approx(10.8, abs=0.01), ["HOOK_FAILED"])
    assert run_virtual(main(fails, True))[0] == pytest.approx(0.305, abs=0.01)
    assert run_virtual(main(hangs, True))[0] == pytest.approx(1.305, abs=0.01)


@pytest.mark.parametrize("stubborn", [False, True])
def test_it_is_called_although_another_hook_hangs_and_the_store_stalls(stubborn: bool, tmp_path: Path) -> None:
    events: list[StreamEndEvent] = []

    async def hangs(event: Any) -> None:
        until = asyncio.get_running_loop().time() + 9
        while (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                if not stubborn:
                    raise

    async def main() -> tuple[float, float]:
        time = asyncio.get_running_loop().time
        async with Cortex(Away(tmp_path / "m.db", 0.6, stalls=True), spool=False) as cortex:
            hooks = {"on_chunk": hangs, "on_end": lambda event: events.append((time(), event))}
            answer = cortex.memory.remember_stream(model, {"hooks": hooks}, **ASKED)
            answer.detach()
            await asyncio.sleep(0.705)
            await answer.stop()
            return time() - 0.705

    took = run_virtual(main())
    ((at, event),) = events
    assert took < 9.1
    assert at - 0.705 == pytest.approx(6.75, abs=0.05)
    assert (event.outcome, event.stopped, event.length) == ("kept", "stopped", 350)
    assert event.stored_length == pytest.approx(250, abs=10)
