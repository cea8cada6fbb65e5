"""`check_operator` passes operators that keep their promises, whatever their form."""

import asyncio
from dataclasses import dataclass

import pytest
from helpers.checked_operators import Store, each, hide, persist, redact
from reactivex import operators as ops

from cortex_rx.chain import chain, step
from cortex_rx.engine import beside, stage
from cortex_rx.engine.frames import resume
from cortex_rx.errors import StoreUnavailable
from cortex_rx.events import Custom, Delta, Problem, StreamEvent
from cortex_rx.testing import BrokenPromise, Promise, check_operator


def moderate(seconds=0.05):
    async def transform(events):
        async for event in events:
            if isinstance(event, Delta):
                await asyncio.sleep(seconds)
            yield event

    return stage(transform)


# --- operators that keep their promises
# --------------------------------------------------------------------------------


def test_an_operator_that_passes_everything(snapshot):
    report = check_operator(lambda: each(lambda event, emit: emit(event)), points=30)
    assert str(report) == snapshot


def test_side_work_with_a_store():
    Store.made.clear()
    report = check_operator(persist, store=Store, points=30)
    assert "a store that stalls" in report.summary
    assert len(report.trace.values("out")) > len(report.trace.values("in"))
    assert len(Store.made) > 50 and all(store.closed for store in Store.made)
    assert any(sum(store.lengths) == 43 for store in Store.made)


def test_a_transformer():
    report = check_operator(redact, rewrites=hide, points=30)
    assert (Promise.TEXT, "against the given function") in report.checked
    assert "***-****" not in str(report)
    text = "".join(event.text for event in report.trace.values("out") if isinstance(event, Delta))
    assert text == "Hello, my phone is ***-****. 你好 🎉\n\nGoodbye."


def test_a_stage():
    report = check_operator(moderate, stage=True, points=30)
    assert report.skipped == ((Promise.AT_ONCE, "delay is its purpose"),)


def test_a_chain_with_a_stock_operator_and_one_that_handles_errors():
    check_operator(lambda: chain(step("all", ops.filter(lambda _: True))), points=20)
    check_operator(lambda: resume(2), handles_errors=True, points=20)
    with pytest.raises(BrokenPromise, match="leaves nothing|an error of the source") as caught:
        check_operator(lambda: ops.catch(lambda error, source: source), points=5)
    assert caught.value.promise == Promise.FAILS


def test_extra_events_are_fed():
    report = check_operator(lambda: ops.filter(lambda _: True), extra=[Custom("mine", [1])], points=5)
    assert Custom("mine", [1]) in report.trace.values("out")


@dataclass(slots=True)
class Mine(StreamEvent):
    n: int


def test_upstream_stands_before_it_and_gets_the_store_as_it_is():
    stores = []

    def upstream(store):
        stores.append(store)
        return each(lambda event, emit: (emit(event), emit(Mine(1)) if isinstance(event, Delta) else None))

    report = check_operator(persist, store=Store, upstream=upstream, points=5)
    assert all(type(store) is Store for store in stores)
    assert Mine(1) in report.trace.values("in")


def test_what_is_held_up_to_the_first_delta_is_allowed_by_name():
    def begin():
        async def transform(events):
            async for event in events:
                if isinstance(event, Delta) and not event.index:
                    await asyncio.sleep(1.5)
                yield event

        return stage(transform)

    check_operator(begin, holds_first=2.0, holds=40, points=10)
    with pytest.raises(BrokenPromise, match=r"was held for 1.5 s \(up to the first delta 1 s are allowed\)"):
        check_operator(begin, holds_first=1.0)


def test_a_side_effect_that_fails_is_a_problem_not_an_end():
    class Broken(Store):
        async def write(self, text):
            raise StoreUnavailable("down")

    def careful(store):
        async def worker(inbox):
            async for batch in inbox:
                try:
                    await store.write("x")
                except StoreUnavailable as error:
                    yield Problem.of("storage", error, recoverable=True)

        return beside(worker, 0.1, capacity=100)

    report = check_operator(careful, store=Broken, points=5)
    assert any(isinstance(event, Problem) for event in report.trace.values("out"))
