"""`check_operator` catches, by name, each way to break a promise."""

import asyncio
import itertools
import random
from dataclasses import replace

import pytest
from helpers.checked_operators import each, raw
from reactivex import Observable
from reactivex import operators as ops

from cortex_rx.engine import beside, passing, stage
from cortex_rx.errors import StoreUnavailable
from cortex_rx.events import Custom, Delta, Ended
from cortex_rx.testing import BrokenPromise, Promise, check_operator


def swallows():
    return ops.filter(lambda event: type(event).__name__ != "Stranger")


def copies():
    return each(lambda event, emit: emit(replace(event) if isinstance(event, Custom) else event))


def mutates():
    def react(event, emit):
        if isinstance(event, Delta):
            event.text = event.text.upper()
        emit(event)

    return each(react)


def doubles():
    return each(lambda event, emit: [emit(event) for _ in range(2 if isinstance(event, Delta) else 1)])


def reorders():
    def make(emit, flow, end):
        held = []

        def on_next(event):
            if isinstance(event, Custom):
                held.append(event)
                return
            emit(event)
            while held:
                emit(held.pop())

        return on_next, None

    return passing(make)


def delays():
    async def transform(events):
        async for event in events:
            await asyncio.sleep(0.05)
            yield event

    return stage(transform)


def awaits():
    async def transform(events):
        async for event in events:
            await asyncio.sleep(0)
            yield event

    return stage(transform)


def loses_the_tail():
    """It emits in groups of five, and forgets the rest."""
    return lambda source: source.pipe(
        ops.buffer_with_count(5), ops.filter(lambda five: len(five) == 5), ops.flat_map(iter)
    )


def loses_the_tail_on_an_error():
    def make(source):
        def subscribe(observer, scheduler=None):
            held = []

            def on_next(event):
                held.append(event)
                if len(held) > 1:
                    observer.on_next(held.pop(0))

            def on_completed():
                for event in held:
                    observer.on_next(event)
                observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return make


def never_completes():
    return raw(
        lambda source, observer, scheduler: source.subscribe(observer.on_next, observer.on_error, scheduler=scheduler)
    )


def fails_when_empty():
    def make(emit, flow, end):
        last = []

        def on_next(event):
            last[:] = [event]
            emit(event)

        return on_next, lambda error: error or last[0] and None

    return passing(make)


def hides_errors():
    return raw(
        lambda source, observer, scheduler: source.subscribe(
            observer.on_next, lambda _: observer.on_completed(), observer.on_completed, scheduler=scheduler
        )
    )


def changes_errors():
    return raw(
        lambda source, observer, scheduler: source.subscribe(
            observer.on_next,
            lambda error: observer.on_error(StoreUnavailable("?")),
            observer.on_completed,
            scheduler=scheduler,
        )
    )


def catches_bugs():
    def subscribe(source, observer, scheduler):
        def on_next(event):
            try:
                observer.on_next(event)
            except Exception as error:
                observer.on_error(RuntimeError(str(error)))

        return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

    return raw(subscribe)


def keeps_state():
    seen = itertools.count()
    return each(
        lambda event, emit: (emit(event), emit(Custom("count", next(seen))) if isinstance(event, Ended) else None)
    )


dice = random.Random()


def is_random():
    return each(
        lambda event, emit: (emit(event), emit(Custom("dice", dice.random())) if isinstance(event, Ended) else None)
    )


def runs_ahead():
    """It reads its source under a flow without gates."""

    def subscribe(source, observer, scheduler):
        flow = scheduler.child()
        flow.gates = ()
        return source.subscribe(observer.on_next, observer.on_error, observer.on_completed, scheduler=flow)

    return raw(subscribe)


def hoards():
    def make(emit, flow, end):
        held = []
        return lambda event: (held.append(event), emit(event)), None

    return passing(make)


def hoards_text():
    """It never holds an event, but grows a text of its own."""

    def make(emit, flow, end):
        held = [""]

        def on_next(event):
            if isinstance(event, Delta):
                held[0] += event.text[:]
            emit(event)

        return on_next, None

    return passing(make)


def leaks_a_task():
    def react(event, emit):
        if isinstance(event, Delta) and event.index == 3:
            asyncio.get_running_loop().create_task(asyncio.sleep(60))
        emit(event)

    return each(react)


def leaks_a_timer():
    def react(event, emit):
        if isinstance(event, Ended):
            asyncio.get_running_loop().call_later(60, print)
        emit(event)

    return each(react)


kept = []


def leaks_a_generator():
    async def numbers():
        yield 1
        yield 2

    def make(emit, flow, end):
        async def start():
            generator = numbers()
            await anext(generator)
            kept.append(generator)

        flow.spawn(start())
        return emit, None

    return passing(make)


def ignores_a_cancellation():
    async def transform(events):
        try:
            async for event in events:
                yield event
        except asyncio.CancelledError:
            for _ in range(100):
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    pass
            raise

    return stage(transform)


def spins():
    async def worker(inbox):
        async for batch in inbox:
            if len(batch) < 0:
                yield batch[0]
        while inbox.end.name == "CANCELLED":
            await asyncio.sleep(0)

    return beside(worker)


def leaves_the_source():
    """Its dispose does not reach upstream."""

    def subscribe(source, observer, scheduler):
        source.subscribe(observer.on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

    return raw(subscribe)


@pytest.mark.parametrize(
    ("make", "promise", "says"),
    [
        (swallows, Promise.ORDER, r"Stranger\(number=1\) came and never went out"),
        (copies, Promise.ORDER, "Custom tool_call .* came out as a copy"),
        (mutates, Promise.ORDER, "Delta 'HEL' @0 was changed"),
        (doubles, Promise.ORDER, "Delta 'Hel' @0 came once and went out 2 times"),
        (reorders, Promise.ORDER, r"Stranger\(number=1\) went out before Custom tool_call"),
        (delays, Promise.AT_ONCE, "Waiting:? .* was held for 0.05 s"),
        (awaits, Promise.AT_ONCE, "only after something was awaited"),
        (loses_the_tail, Promise.ORDER, "came and never went out"),
        (loses_the_tail_on_an_error, Promise.AT_ONCE, "was held"),
        (never_completes, Promise.COMPLETES, "did not end within an hour"),
        (fails_when_empty, Promise.COMPLETES, "without text it failed: IndexError"),
        (hides_errors, Promise.FAILS, "the error was hidden: it completed"),
        (changes_errors, Promise.FAILS, "another error arrived: StoreUnavailable"),
        (catches_bugs, Promise.BARE, "the caller got RuntimeError"),
        (keeps_state, Promise.FRESH, "when subscribed to again the event 18 is"),
        (is_random, Promise.SAME, "the second time the event 18 is"),
        (hoards, Promise.BOUNDED, "it held the texts of"),
        (hoards_text, Promise.BOUNDED, r"it held [\d,]+ bytes; at most 1,048,576 are allowed"),
        (leaks_a_task, Promise.STOPS, r"left behind: task Task-\d+: sleep\(\)"),
        (leaks_a_timer, Promise.STOPS, r"left behind: timer: print\(\) in 60 s"),
        (leaks_a_generator, Promise.STOPS, r"left behind: async generator .*numbers\(\) at test_check_broken.py"),
        (leaves_the_source, Promise.STOPS, r"cancelled at step \d+: the source was read on: \d+ more events"),
        (spins, Promise.BARE, "it spins: 50,000 callbacks ran, and no time passed"),
        (runs_ahead, Promise.BOUNDED, r"capacity 4\): the source ran on to \d+ deltas, later \d+; at most 8"),
    ],
    ids=lambda it: it.__name__ if callable(it) else None,
)
def test_each_broken_promise_is_caught_by_name(make, promise, says):
    with pytest.raises(BrokenPromise, match=says) as caught:
        check_operator(make, points=40)
    assert caught.value.promise == promise
    assert str(caught.value).startswith(f"broken promise: {promise}\n")
    if promise != Promise.BOUNDED:
        assert "1 frame = " in str(caught.value), "the message shows the marbles"
    kept.clear()


@pytest.mark.parametrize(
    ("make", "promise", "says", "how"),
    [
        (loses_the_tail_on_an_error, Promise.FAILS, "came and never went out", {"stage": True}),
        (ignores_a_cancellation, Promise.STOPS, "cancelled at step .* it went on for 9 s", {"stage": True}),
    ],
    ids=lambda it: it.__name__ if callable(it) else None,
)
def test_each_broken_promise_of_a_stage_is_caught_by_name(make, promise, says, how):
    with pytest.raises(BrokenPromise, match=says) as caught:
        check_operator(make, points=40, **how)
    assert caught.value.promise == promise
