"""What people do with a handle by mistake: an answer that is never used, a result that is read like one."""

from __future__ import annotations

import gc
import linecache
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import Answer, Cortex
from cortex_rx.errors import InvalidArgument, StoreClosed
from cortex_rx.testing import run_virtual

ASKED: dict[str, Any] = {"memory_space_id": "s", "conversation_id": "c", "user_message": "Why?", "agent_id": "helper"}


def remember(cortex: Cortex) -> Answer:
    return cortex.memory.remember_stream(["It is ", "so."], **ASKED)


def warned(use: Callable[[Cortex], Any]) -> list[warnings.WarningMessage]:
    async def main() -> None:
        async with Cortex(":memory:") as cortex:
            with suppress(TypeError, StoreClosed):
                await use(cortex)
            gc.collect()

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run_virtual(main())
    return found


async def forgotten(cortex: Cortex) -> None:
    remember(cortex)


async def looked_at(cortex: Cortex) -> None:
    answer = remember(cortex)
    assert (answer.text, answer.stream_id, repr(answer)) == ("", None, "Answer(not started)")


async def awaited_by_none(cortex: Cortex) -> None:
    remember(cortex).__await__().close()


@pytest.mark.parametrize("use", [forgotten, looked_at, awaited_by_none])
def test_an_answer_that_is_never_used_warns(use: Callable[[Cortex], Any]) -> None:
    (warning,) = warned(use)
    assert warning.category is RuntimeWarning
    assert "an Answer was never used, so no model was asked and nothing was stored: iterate over it" in str(
        warning.message
    )
    assert type(warning.source) is Answer, "with tracemalloc, Python says where it was made"


def test_the_warning_stands_where_the_last_reference_was_dropped() -> None:
    (warning,) = warned(forgotten)
    assert warning.filename == __file__
    assert linecache.getline(warning.filename, warning.lineno).strip() == "remember(cortex)"


async def iterated(cortex: Cortex) -> None:
    async for _ in remember(cortex):  # no other reference
        pass


async def left(cortex: Cortex) -> None:
    async for _ in remember(cortex):
        break


async def awaited(cortex: Cortex) -> None:
    await remember(cortex)


async def detached(cortex: Cortex) -> None:
    remember(cortex).detach()


async def stopped(cortex: Cortex) -> None:
    await remember(cortex).stop()


async def refused(cortex: Cortex) -> None:
    await cortex.close()
    await remember(cortex)


async def read_by_events(cortex: Cortex) -> None:
    async for _ in remember(cortex).events():
        pass


async def never_made(cortex: Cortex) -> None:
    with pytest.raises(InvalidArgument):
        Answer("no source")  # type: ignore[arg-type]


@pytest.mark.parametrize("use", [iterated, left, awaited, detached, stopped, refused, read_by_events, never_made])
def test_an_answer_that_was_used_does_not_warn(use: Callable[[Cortex], Any]) -> None:
    assert warned(use) == []


def test_a_result_is_no_stream_and_says_what_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with Cortex(tmp_path / "m.db") as cortex:
            with pytest.raises(TypeError, match="use `async for text in answer` on what remember_stream returns"):
                async for _ in await remember(cortex):  # type: ignore[attr-defined]
                    pass
            with pytest.raises(InvalidArgument, match="a stream, not a single object"):
                cortex.memory.remember_stream(await remember(cortex), **ASKED)

    run_virtual(main())


def list_(answer: Any) -> Any:
    return list(answer)


@pytest.mark.parametrize(
    ("mistake", "error", "said"),
    [
        (list_, TypeError, "an Answer is read with `async for text in answer`"),
        (lambda answer: answer.full_response, AttributeError, r"its result has: \(await answer\)\.full_response"),
        (lambda answer: answer["fullResponse"], TypeError, r"its result has: \(await answer\)\['fullResponse'\]"),
        (lambda answer: answer.full_respons, AttributeError, "'Answer' object has no attribute 'full_respons'$"),
    ],
)
def test_an_answer_that_was_not_awaited_says_so(mistake: Callable[[Any], Any], error: Any, said: str) -> None:
    async def main() -> None:
        async with Cortex(":memory:") as cortex:
            answer = remember(cortex)
            with pytest.raises(error, match=said):
                mistake(answer)
            assert not hasattr(answer, "full_response")
            await answer

    run_virtual(main())


def test_an_answer_as_the_source_of_another_gives_its_text() -> None:
    async def main() -> tuple[str, str]:
        async with Cortex(":memory:") as cortex:
            first = remember(cortex)
            second = cortex.memory.remember_stream(first, **ASKED | {"conversation_id": "d"})
            return (await second).full_response, (await first).full_response

    assert run_virtual(main()) == ("It is so.", "It is so.")
