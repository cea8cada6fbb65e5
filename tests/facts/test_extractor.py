"""Extractors: which functions there may be, what they may return, and what a bad one costs: its own facts."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import math
import threading
from dataclasses import dataclass
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cortex_rx.embedding.threads import Threads
from cortex_rx.engine.scheduler import AbnormalEnd, ForeignCancellation
from cortex_rx.errors import InvalidArgument
from cortex_rx.facts import extractor as module
from cortex_rx.facts.extractor import MOST_FACTS, Extraction, extract
from cortex_rx.models.facts import ExtractedFact
from cortex_rx.testing import assert_no_leaks, run_virtual

SECRET = "Ada's diagnosis"
TEA = ExtractedFact(fact="Ada likes tea.", fact_type="preference", confidence=90)
AGE = ExtractedFact(fact="Ada is 36.", fact_type="identity", confidence=80, subject="Ada", tags=("age",))


class Kind(StrEnum):
    PREFERENCE = "preference"


class Model(BaseModel):
    fact: str = "Ada likes tea."
    fact_type: Kind = Kind.PREFERENCE
    confidence: float = 90
    subject: str | None = None


@dataclass
class Data:
    fact: str = "Ada likes tea."
    fact_type: str = "preference"
    confidence: int = 90
    subject: str | None = None


CAMEL = {"fact": "Ada likes tea.", "factType": "preference", "confidence": 90, "subject": None}
SNAKE = {"fact": "Ada likes tea.", "fact_type": "preference", "confidence": 90}


def got(extractor: Any, user_message: str = "", text: str = "Tea.", timeout: float | None = 30) -> Extraction:
    return run_virtual(extract(extractor, user_message, text, seconds=timeout))


async def async_list(user_message: str, text: str) -> list[Any]:
    await asyncio.sleep(1)
    return [SNAKE, AGE]


async def async_one_by_one(user_message: str, text: str) -> Any:
    for item in (SNAKE, AGE):
        await asyncio.sleep(1)
        yield item


def one_by_one(user_message: str, text: str) -> Any:
    yield from (SNAKE, AGE)


class AsyncObject:
    async def __call__(self, user_message: str, text: str) -> Any:
        return [SNAKE, AGE]


class OneByOneObject:
    async def __call__(self, user_message: str, text: str) -> Any:
        yield SNAKE
        yield AGE


class Iterated:
    def __init__(self) -> None:
        self.left = [AGE, SNAKE]

    def __aiter__(self) -> Iterated:
        return self

    async def __anext__(self) -> Any:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


FUNCTIONS: dict[str, Any] = {
    "a list": lambda user_message, text: [SNAKE, AGE],
    "a tuple": lambda user_message, text: (SNAKE, AGE),
    "a generator": one_by_one,
    "an iterator": lambda user_message, text: map(dict, [SNAKE, {**SNAKE, "fact": "Ada is 36."}]),
    "async": async_list,
    "async, a generator": async_one_by_one,
    "partial": functools.partial(lambda more, user_message, text: [SNAKE, more], AGE),
    "partial of async": functools.partial(async_list),
    "an awaitable from a plain function": lambda user_message, text: async_list(user_message, text),
    "an async generator from a plain function": lambda user_message, text: async_one_by_one(user_message, text),
    "an async iterator that is no generator": lambda user_message, text: Iterated(),
    "an object with an async call": AsyncObject(),
    "an object with a call that is an async generator": OneByOneObject(),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_any_function_gives_the_same_facts(kind: str) -> None:
    found = got(FUNCTIONS[kind])
    assert found.error is None and found.code is None
    assert [fact.fact for fact in found.facts] == ["Ada likes tea.", "Ada is 36."]


@pytest.mark.parametrize("item", [TEA, CAMEL, SNAKE, Data(), Model()], ids=lambda item: type(item).__name__)
def test_any_form_of_a_fact_is_the_same_fact(item: Any) -> None:
    assert got(lambda user_message, text: [item]) == Extraction((TEA,))


@pytest.mark.parametrize("nothing", [None, [], (), iter(())], ids=lambda nothing: type(nothing).__name__)
def test_no_facts_are_no_error(nothing: Any) -> None:
    assert got(lambda user_message, text: nothing) == Extraction()


def test_the_question_goes_by_itself_and_with_the_answer_only_where_it_is_asked_for() -> None:
    seen: list[tuple[str, str]] = []

    def extractor(user_message: str, text: str) -> None:
        seen.append((user_message, text))

    got(extractor, "I am Ada.", "")
    got(extractor, "I am Ada.", "Hello Ada.")
    extractor.wants_question = True  # type: ignore[attr-defined]
    got(extractor, "I am Ada.", "")
    got(extractor, "I am Ada.", "Hello Ada.")
    assert seen == [("I am Ada.", ""), ("", "Hello Ada."), ("I am Ada.", ""), ("I am Ada.", "Hello Ada.")]


# --- what is no fact --------------------------------------------------------------------------------------------------


class Raises(BaseModel):
    def model_dump(self, **_: Any) -> Any:
        raise LookupError(SECRET)


BAD: dict[str, tuple[Any, str]] = {
    "text": (SECRET, "facts[1]"),
    "None": (None, "facts[1].fact"),
    "a number": (7, "facts[1]"),
    "a list": ([SECRET], "facts[1]"),
    "a class": (Data, "facts[1]"),
    "another object": (SimpleNamespace(**SNAKE), "facts[1]"),
    "a model that raises": (Raises(), "facts[1]"),
    "no text": ({**SNAKE, "fact": " "}, "facts[1].fact"),
    "text of another type": ({**SNAKE, "fact": [SECRET]}, "facts[1].fact"),
    "without a text": ({"factType": "custom", "confidence": 1}, "facts[1].fact"),
    "a lone surrogate": ({**SNAKE, "fact": SECRET + "\ud800"}, "facts[1].fact"),
    "a lone surrogate in a tag": ({**SNAKE, "tags": [SECRET, "\ud800"]}, "facts[1].tags"),
    "another type": ({**SNAKE, "fact_type": SECRET}, "facts[1].fact_type"),
    "without a confidence": ({"fact": SECRET, "factType": "custom"}, "facts[1].confidence"),
    "confidence in words": ({**SNAKE, "confidence": SECRET}, "facts[1].confidence"),
    "confidence NaN": ({**SNAKE, "confidence": math.nan}, "facts[1].confidence"),
    "confidence infinite": ({**SNAKE, "confidence": math.inf}, "facts[1].confidence"),
    "confidence True": ({**SNAKE, "confidence": True}, "facts[1].confidence"),
    "confidence below 0": ({**SNAKE, "confidence": -0.1}, "facts[1].confidence"),
    "confidence above 100": ({**SNAKE, "confidence": 100.1}, "facts[1].confidence"),
    "an unknown field": ({**SNAKE, SECRET: 1}, "facts[1]"),
    "a key that is no text": ({**SNAKE, 7: 1}, "facts[1]"),
    "both spellings": ({**SNAKE, "factType": "custom"}, "facts[1].fact_type"),
    "metadata that is no JSON": ({**SNAKE, "metadata": {SECRET: {SECRET}}}, "facts[1].metadata"),
    "metadata without an end": ({**SNAKE, "metadata": (lambda one: one.setdefault("a", one))({})}, "facts[1].metadata"),
    "a polarity of its own": ({**SNAKE, "polarity": SECRET}, "facts[1].polarity"),
    "a vector of words": ({**SNAKE, "embedding": [SECRET]}, "facts[1].embedding"),
    "a time in words": ({**SNAKE, "validFrom": SECRET}, "facts[1].valid_from"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("how", ["sync", "async", "one by one"])
def test_a_bad_fact_is_named_by_its_place_and_costs_no_other(kind: str, how: str) -> None:
    item, field = BAD[kind]

    async def later(user_message: str, text: str) -> list[Any]:
        return [TEA, item, AGE]

    async def one_by_one(user_message: str, text: str) -> Any:
        for one in (TEA, item, AGE):
            yield one

    found = got({"sync": lambda user_message, text: [TEA, item, AGE], "async": later, "one by one": one_by_one}[how])
    assert found.facts == (TEA, AGE)
    assert isinstance(found.error, InvalidArgument) and found.code == "INVALID_INPUT"
    assert found.error.field == field
    assert SECRET not in str(found.error) and SECRET not in repr(found.error.given)


def test_the_first_error_is_the_one_that_is_told() -> None:
    bad = {**SNAKE, "confidence": 900}
    found = got(lambda user_message, text: [bad, TEA, None])
    assert (found.facts, str(found.error)) == (
        (TEA,),
        "facts[0].confidence: got 900; accepted: a number from 0 to 100",
    )


NONSENSE: dict[str, Any] = {
    "text": SECRET,
    "bytes": SECRET.encode(),
    "one fact": SNAKE,
    "one model": TEA,
    "a foreign model": Model(),
    "a number": 7,
    "True": True,
    "an object": object(),
    "a class": Data,
    "a function": print,
}


@pytest.mark.parametrize("kind", NONSENSE)
@pytest.mark.parametrize("how", ["sync", "async"])
def test_what_is_no_list_of_facts_is_an_error_and_never_no_facts(kind: str, how: str) -> None:
    async def later(user_message: str, text: str) -> Any:
        return NONSENSE[kind]

    found = got(later if how == "async" else lambda user_message, text: NONSENSE[kind])
    assert found.facts == () and isinstance(found.error, InvalidArgument)
    assert str(found.error).startswith("extract_facts: got") and SECRET not in str(found.error)


@given(st.lists(st.one_of(st.just(SNAKE), st.none(), st.just({**SNAKE, "confidence": 900})), max_size=12))
def test_the_good_ones_are_kept_in_their_order_whatever_stands_between_them(items: list[Any]) -> None:
    numbered = [item and {**item, "fact": f"fact {at}"} for at, item in enumerate(items)]
    found = got(lambda user_message, text: numbered)
    good = [at for at, item in enumerate(items) if item is SNAKE]
    bad = [at for at, item in enumerate(items) if item is not SNAKE]
    assert [fact.fact for fact in found.facts] == [f"fact {at}" for at in good]
    assert (found.error is None) == (bad == [])
    if bad:
        assert str(found.error).startswith(f"facts[{bad[0]}]")


# --- more than there may be -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [MOST_FACTS, MOST_FACTS + 1, 10_000])
@pytest.mark.parametrize("how", ["sync", "async", "one by one"])
def test_a_thousand_facts_are_kept_and_one_more_is_refused_by_name(number: int, how: str) -> None:
    taken = [0]

    def items() -> Any:
        for at in range(number):
            taken[0] = at + 1
            yield {**SNAKE, "fact": f"fact {at}"}

    async def later(user_message: str, text: str) -> Any:
        return items()

    async def one_by_one(user_message: str, text: str) -> Any:
        for item in items():
            yield item

    found = got({"sync": lambda user_message, text: items(), "async": later, "one by one": one_by_one}[how])
    assert [fact.fact for fact in found.facts] == [f"fact {at}" for at in range(MOST_FACTS)]
    assert taken[0] == min(number, MOST_FACTS + 1), "no more is asked for"
    refused = "facts: got 'more than 1,000 facts'; accepted: at most 1,000"
    assert str(found.error) == (refused if number > MOST_FACTS else "None")


async def test_others_get_a_turn_while_many_facts_are_checked() -> None:
    async def extractor(user_message: str, text: str) -> list[Any]:
        return [SNAKE] * MOST_FACTS

    turns, done = 0, asyncio.ensure_future(extract(extractor, "", "Tea."))
    while not done.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > MOST_FACTS // 40


# --- errors, cancellations, hanging -----------------------------------------------------------------------------------


class Own(BaseException):
    pass


@pytest.mark.parametrize("error", [LookupError(SECRET), StopIteration(), StopAsyncIteration(), GeneratorExit(), Own()])
@pytest.mark.parametrize("at", [0, 1])
def test_what_a_function_on_a_thread_raises_is_told_and_ends_nothing(error: BaseException, at: int) -> None:
    def extractor(user_message: str, text: str) -> Any:
        if at == 0:
            raise error

        def items() -> Any:
            yield SNAKE
            raise error

        return items()

    found = got(extractor)
    assert found.facts == (TEA,) * at
    assert isinstance(found.error, LookupError | AbnormalEnd | RuntimeError | StopAsyncIteration)
    assert found.code == type(found.error).__name__


@pytest.mark.parametrize("at", [0, 1])
def test_what_an_async_function_raises_comes_after_what_it_gave(at: int) -> None:
    async def extractor(user_message: str, text: str) -> Any:
        for _ in range(at):
            yield SNAKE
        raise LookupError(SECRET)

    assert got(extractor).facts == (TEA,) * at
    assert got(extractor).code == "LookupError"


def test_one_that_hangs_ends_in_time_and_keeps_what_it_gave() -> None:
    closed: list[float] = []

    async def extractor(user_message: str, text: str) -> Any:
        try:
            yield SNAKE
            await asyncio.sleep(60)
            yield AGE
        finally:
            closed.append(asyncio.get_running_loop().time())

    async def main() -> tuple[Extraction, float]:
        start = asyncio.get_running_loop().time()
        with assert_no_leaks():
            found = await extract(extractor, "", "Tea.", seconds=30)
        return found, asyncio.get_running_loop().time() - start

    found, took = run_virtual(main())
    assert (found.facts, str(found.error), took) == ((TEA,), "extract_facts took longer than 30 s", 30)
    assert len(closed) == 1, "it was cancelled"


def test_one_that_will_not_be_cancelled_is_left_behind() -> None:
    async def extractor(user_message: str, text: str) -> Any:
        yield SNAKE
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if asyncio.get_running_loop().time() > 100:
                    raise
            yield AGE

    async def main() -> tuple[Extraction, float]:
        start = asyncio.get_running_loop().time()
        found = await extract(extractor, "", "Tea.", seconds=30)
        took = asyncio.get_running_loop().time() - start
        await asyncio.sleep(200)
        return found, took

    found, took = run_virtual(main())
    assert found.code == "TimeoutError" and found.facts[0] == TEA and took <= 31


def test_one_that_blocks_its_thread_ends_in_time_and_adds_nothing_later() -> None:
    go, over = threading.Event(), threading.Event()

    def extractor(user_message: str, text: str) -> Any:
        try:
            yield SNAKE
            go.wait(10)
            yield AGE
            yield AGE
        finally:
            over.set()

    found = asyncio.run(extract(extractor, "", "Tea.", seconds=0.05))
    assert (found.facts, found.code) == ((TEA,), "TimeoutError")
    go.set()
    assert over.wait(10), "it is not asked for more"
    assert found.facts == (TEA,)


async def test_extractors_that_never_return_take_no_more_than_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_threads", Threads(2, "cortex_rx-extractor-test"))
    go, began = threading.Event(), list[int]()

    def hangs(user_message: str, text: str) -> None:
        began.append(1)
        go.wait(10)

    found = await asyncio.gather(*(extract(hangs, "", "Tea.", seconds=0.05) for _ in range(5)))
    assert [one.code for one in found] == ["TimeoutError"] * 5 and len(began) == 2
    assert (await extract(async_one, "", "Tea.", seconds=5)).facts == (TEA,), "an async one needs none"
    go.set()


async def async_one(user_message: str, text: str) -> list[Any]:
    return [SNAKE]


@pytest.mark.parametrize("how", ["a generator", "a function"])
def test_one_that_cancels_its_own_task_is_a_failure_and_no_cancellation(how: str) -> None:
    async def function(user_message: str, text: str) -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    async def generator(user_message: str, text: str) -> Any:
        yield SNAKE
        await function("", "")

    found = got(generator if how == "a generator" else function)
    assert isinstance(found.error, ForeignCancellation)
    assert found.facts == ((TEA,) if how == "a generator" else ())


def test_who_is_cancelled_cancels_the_extractor_and_waits_for_it() -> None:
    left: list[str] = []

    async def extractor(user_message: str, text: str) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            left.append("closed")

    async def main() -> None:
        task = asyncio.ensure_future(extract(extractor, "", "Tea."))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left == ["closed"]

    run_virtual(main())


def test_nothing_of_the_text_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def extractor(user_message: str, text: str) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            raise LookupError(SECRET)

    with caplog.at_level(logging.DEBUG):
        found = got(extractor, timeout=1)
        gc.collect()
    assert found.code == "TimeoutError"
    assert SECRET not in caplog.text


def test_who_is_cancelled_as_it_fails_leaves_nothing_to_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def extractor(user_message: str, text: str) -> Any:
            asyncio.get_running_loop().call_soon(task.cancel)
            raise LookupError(SECRET)

        task = asyncio.ensure_future(extract(extractor, "", "Tea."))
        with pytest.raises(asyncio.CancelledError):
            await task

    with caplog.at_level(logging.INFO):
        run_virtual(main())
        gc.collect()
    assert not caplog.records
