"""Edges of the handle: nothing waits for ever, nothing is lost silently, and what is refused is refused at once."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops

from cortex_rx import AnswerStopped, Cortex, SqliteBackend, Turn, default_chain, from_stream, remember_stream, run
from cortex_rx import operators as cx
from cortex_rx.errors import (
    CallbackError,
    IdempotencyConflict,
    InvalidArgument,
    StoreClosed,
    StoreUnavailable,
    UnsupportedOption,
)
from cortex_rx.events import Delta, Problem, to_json
from cortex_rx.testing import assert_no_leaks, run_virtual

TURN: dict[str, Any] = {
    "memory_space_id": "s",
    "conversation_id": "c",
    "user_message": "Where is it?",
    "user_id": "ada",
    "user_name": "Ada",
}


async def words(count: int = 5, pause: float = 0.01) -> AsyncIterator[str]:
    for number in range(count):
        await asyncio.sleep(pause)
        yield f"w{number} "


def text(count: int) -> str:
    return "".join(f"w{number} " for number in range(count))


class Slow:
    """A real store whose `begin` takes long."""

    def __init__(self, inner: SqliteBackend, seconds: float) -> None:
        self.inner, self.seconds, self.query, self.close = inner, seconds, inner.query, inner.close

    async def mutation(self, path: str, args: Any) -> Any:
        if path == "streams:begin":
            await asyncio.sleep(self.seconds)
        return await self.inner.mutation(path, args)


def test_a_reader_of_what_was_stopped_before_it_began_is_told_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with assert_no_leaks(), Cortex(tmp_path / "m.db") as cortex:
            answer = cortex.memory.remember_stream(words, **TURN)
            await answer.stop()
            with pytest.raises(AnswerStopped):
                [each async for each in answer]
            answer = cortex.memory.remember_stream(words, **TURN)

            async def read() -> list[str]:
                return [each async for each in answer]

            reader, stopper = asyncio.create_task(read()), asyncio.create_task(answer.stop())
            with pytest.raises(AnswerStopped):
                await reader
            await stopper

    run_virtual(main())


def test_every_use_of_a_closed_client_says_that_it_is_closed(tmp_path: Path) -> None:
    async def main() -> list[type[BaseException]]:
        cortex = Cortex(tmp_path / "m.db")
        await cortex.close()
        answer = cortex.memory.remember_stream(words, **TURN)

        async def read() -> None:
            async for _ in answer:
                pass

        async def wait() -> None:
            await answer

        results = await asyncio.gather(read(), read(), wait(), return_exceptions=True)
        return [type(each) for each in results if isinstance(each, BaseException)]

    assert run_virtual(main()) == [StoreClosed] * 3


def test_a_failure_that_no_reader_hears_of_is_in_the_log_without_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Down:
        async def query(self, path: str, args: Any) -> Any:
            raise StoreUnavailable("away")

        mutation = query

        async def close(self) -> None: ...

    async def main() -> str:
        answer = remember_stream(words, backend=Down(), make_id=lambda: "stream-7", **TURN)
        shown = "".join([each async for each in answer])
        await asyncio.sleep(60)
        return shown

    with caplog.at_level(logging.WARNING, logger="cortex_rx"):
        assert run_virtual(main()) == text(5)
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "initialization: STORE_UNAVAILABLE (stream stream-7)"
    assert messages[-1] == "stream stream-7 ended with NotStored"
    assert "w1" not in caplog.text
    assert "Where" not in caplog.text


@pytest.mark.parametrize("ends", [True, False])
def test_what_was_shown_before_the_store_had_begun_is_kept_when_the_reader_leaves(ends: bool, tmp_path: Path) -> None:
    async def main() -> tuple[int, list[str]]:
        async with SqliteBackend(tmp_path / "m.db") as inner:
            answer = remember_stream(
                lambda: words(20 if ends else 10**6, 0.1), backend=Slow(inner, 6), linger=timedelta(0), **TURN
            )
            shown = 0
            async for _ in answer:
                shown += 1
                if shown == 20:
                    break
            await answer.stop()
            rows = await inner.query("memories:list", {"memorySpaceId": "s", "includePartial": True})
            return shown, [row["content"] for row in rows if row["isPartial"]]

    shown, kept = run_virtual(main())
    assert shown == 20
    assert len(kept) == 1
    assert kept[0].startswith(text(20))


def test_a_step_that_changes_lengths_can_be_stored(tmp_path: Path) -> None:
    async def main() -> tuple[str, list[str]]:
        async with Cortex(tmp_path / "m.db") as cortex:
            redact = cx.step(
                "redact",
                ops.map(lambda e: replace(e, text=e.text.replace("w", "word")) if isinstance(e, Delta) else e),
                rewrites=True,
            )
            chain = default_chain(cortex.backend).before("begin", redact)
            result = await cortex.memory.remember_stream(words, chain=chain, **TURN)
            return result.full_response, [m.content for m in await cortex.memory.list("s")]

    assert run_virtual(main()) == (
        "word0 word1 word2 word3 word4 ",
        ["word0 word1 word2 word3 word4 ", "Where is it?"],
    )


def test_an_embedding_that_never_comes_does_not_keep_the_answer_from_being_stored(tmp_path: Path) -> None:
    async def never(_: str) -> list[float]:
        await asyncio.sleep(10**9)
        return []

    async def main(stop: bool) -> tuple[float, list[str], int]:
        async with assert_no_leaks(), Cortex(tmp_path / f"{stop}.db") as cortex:
            answer = cortex.memory.remember_stream(words, generate_embedding=never, **TURN)
            async for _ in answer:
                pass
            errors: Any = ()
            if stop:
                await answer.stop()
            else:
                errors = (await answer).errors
            at = asyncio.get_running_loop().time()
            return at, [m.content for m in await cortex.memory.list("s")], len(errors)

    assert run_virtual(main(stop=False)) == (pytest.approx(30.05, abs=0.1), [text(5), "Where is it?"], 2)
    at, kept, _ = run_virtual(main(stop=True))
    assert kept == [text(5), "Where is it?"]
    assert at < 5


def test_close_does_not_wait_for_a_reader_that_does_not_read(tmp_path: Path) -> None:
    async def main() -> tuple[float, str, str]:
        async with Cortex(tmp_path / "m.db") as cortex:
            answer = cortex.memory.remember_stream(lambda: words(200), **TURN)
            held = aiter(answer)
            first = await anext(held)
        at = asyncio.get_running_loop().time()
        return at, first + "".join([each async for each in held]), (await answer).full_response

    at, read, stored = run_virtual(main())
    assert at == pytest.approx(2.0, abs=0.1), "as long as the model takes"
    assert read == stored == text(200)


def test_the_client_can_be_closed_on_another_loop_than_a_stream_runs_on(tmp_path: Path) -> None:
    cortex = Cortex(tmp_path / "m.db")
    loop = asyncio.new_event_loop()

    async def begin() -> Any:
        answer = cortex.memory.remember_stream(lambda: words(10**6, 0.001), **TURN)
        answer.detach()
        await asyncio.sleep(0.05)
        return answer

    answer = loop.run_until_complete(begin())
    asyncio.run(asyncio.wait_for(cortex.close(), 5))
    loop.run_until_complete(answer.stop())
    loop.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"x": float("nan")}}, "metadata.x: got nan; accepted: a finite number"),
        ({"metadata": {"x": object()}}, "metadata.x: got 'object'; accepted: what JSON carries"),
        ({"metadata": {"x": "\ud800"}}, "metadata.x: got 'a lone surrogate'"),
        ({"tags": ["\ud800"]}, "tags[0]: got 'a lone surrogate'"),
        ({"participant_id": "\udfff"}, "participant_id: got 'a lone surrogate'"),
        ({"user_message": "\ud800"}, "user_message: got 'a lone surrogate'"),
    ],
)
def test_what_the_store_would_refuse_is_refused_before_the_model_is_asked(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    coroutine = words(1).__anext__()  # any coroutine: when it is refused there is no second warning

    async def asked() -> Any:
        return await coroutine

    source = asked()
    with pytest.raises(InvalidArgument) as caught:
        remember_stream(source, backend=SqliteBackend(tmp_path / "m.db"), **TURN | change)
    assert str(caught.value).startswith(message)
    coroutine.close()


@pytest.mark.parametrize("store", ["postgres://host/db", "sqlite:///m.db", "https://example.invalid"])
def test_a_url_is_no_path(store: str) -> None:
    with pytest.raises(UnsupportedOption, match="the path of a SQLite file"):
        Cortex(store)


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="store: got ''; accepted: the path of a file"):
        Cortex("")


def test_errors_and_problems_do_not_carry_a_user_s_text(tmp_path: Path) -> None:
    def extract(question: str, answer: str) -> str:
        raise ValueError(f"cannot parse {answer}")

    async def main() -> Any:
        async with Cortex(tmp_path / "m.db") as cortex:
            answer = cortex.memory.remember_stream(words, extract_content=extract, **TURN)
            events = [event async for event in answer.events()]
            (problem,) = [event for event in events if isinstance(event, Problem)]
            assert "w1" in str(problem.error)
            assert "w1" not in json.dumps(to_json(problem))
            assert "w1" not in str((await answer).errors)
            bad = cx.step("parse", ops.do_action(lambda e: int(e.text) if isinstance(e, Delta) else None))
            source = from_stream(words, turn=Turn(**TURN))
            with pytest.raises(CallbackError) as caught:
                await run(source.pipe(cx.chain(bad), cx.last()))
            assert "w0" not in str(caught.value)
            assert "w0" in str(caught.value.__cause__)

    run_virtual(main())


def test_a_finished_answer_is_compared_also_while_it_streams(tmp_path: Path) -> None:
    async def main() -> str:
        async with Cortex(tmp_path / "m.db") as cortex:
            turn = TURN | {"idempotency_key": "k"}
            await cortex.memory.remember_stream(lambda: words(200), **turn)

            async def other() -> AsyncIterator[str]:
                async for each in words(200):
                    yield each.upper()

            with pytest.raises(IdempotencyConflict):
                await cortex.memory.remember_stream(other, **turn)
            memories = await cortex.memory.list("s", include_partial=True)
            return memories[0].content

    assert run_virtual(main()) == text(200)


def test_a_client_s_linger_can_be_changed_for_one_stream(tmp_path: Path) -> None:
    async def main() -> float:
        async with Cortex(tmp_path / "m.db") as cortex:
            closed = asyncio.Event()

            async def model() -> AsyncIterator[str]:
                try:
                    async for each in words(10**6, 0.1):
                        yield each
                finally:
                    closed.set()

            async for _ in cortex.memory.remember_stream(model, linger=timedelta(seconds=7), **TURN):
                break
            await closed.wait()
            return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(7.1, abs=0.1)
