"""`check_operator` catches, by name, transformers that lose text, and side work that delays tokens or holds
everything.
"""

from dataclasses import replace

import pytest
from helpers.checked_operators import Store, each, persist, redact

from cortex_rx.engine import passing, stage
from cortex_rx.events import Delta
from cortex_rx.testing import BrokenPromise, Promise, check_operator


def test_a_transformer_that_breaks_its_text_is_caught():
    def forgets_offsets():
        return each(
            lambda event, emit: emit(replace(event, text=event.text + "!") if isinstance(event, Delta) else event)
        )

    def keeps_the_end():
        def make(emit, flow, end):
            return lambda event: None if isinstance(event, Delta) and event.index > 9 else emit(event), None

        return passing(make)

    with pytest.raises(BrokenPromise, match="it should be the delta 1 at offset 4") as caught:
        check_operator(forgets_offsets, rewrites=True)
    assert caught.value.promise == Promise.TEXT
    with pytest.raises(BrokenPromise, match=r"Ended stop @43 should come last, at offset 35"):
        check_operator(keeps_the_end, rewrites=True)
    with pytest.raises(BrokenPromise, match=r"the text is .*, and should be"):
        check_operator(redact, rewrites=str.upper)


def test_a_transformer_that_loses_text_when_the_source_fails_is_caught():
    def careless():
        def make(emit, flow, end):
            held = []

            def release(error=None):
                while held and not error:
                    emit(held.pop(0))
                return error

            def on_next(event):
                if isinstance(event, Delta) and not held:
                    held.append(event)
                else:
                    release()
                    emit(event)

            return on_next, release

        return passing(make)

    with pytest.raises(BrokenPromise, match="the text before the error is ''; without the error, 'Hel'") as caught:
        check_operator(careless, rewrites=str)
    assert caught.value.promise == Promise.FAILS


def test_a_stalled_store_must_not_make_it_hold_everything():
    with pytest.raises(BrokenPromise, match="while the store stalls, it held") as caught:
        check_operator(lambda store: persist(store, capacity=float("inf")), store=Store)
    assert caught.value.promise == Promise.BOUNDED
    report = check_operator(lambda store: persist(store, capacity=float("inf")), store=Store, memory=None, points=5)
    assert report.skipped == ((Promise.BOUNDED, "over a long answer: what is held is not measured"),)


def test_waiting_for_a_slow_store_is_caught():
    def waits(store):
        async def transform(events):
            async for event in events:
                if isinstance(event, Delta):
                    await store.write(event.text)
                yield event

        return stage(transform)

    with pytest.raises(BrokenPromise, match="Delta 'Hel' @0 was held for 0.2 s") as caught:
        check_operator(waits, store=Store)
    assert caught.value.promise == Promise.AT_ONCE
