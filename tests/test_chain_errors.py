"""To which step an error belongs, in a step of stock operators."""

import asyncio

import pytest
import reactivex as rx
from reactivex import operators as ops

from cortex_rx.chain import step
from cortex_rx.engine import run
from cortex_rx.engine.frames import from_async_iterable, resume
from cortex_rx.errors import CallbackError
from cortex_rx.events import Delta
from cortex_rx.testing import Trace, run_virtual


def passes():
    return ops.map(lambda event: event)


def delta(text="x", index=0):
    return Delta(text, index, 0, 0, 0.0)


def boom(_):
    raise ZeroDivisionError("in the callback")


def test_an_error_in_a_callback_is_marked():
    trace = Trace()
    pipeline = rx.of(delta()).pipe(step("boom", ops.map(boom)), trace.tap("out"))
    with pytest.raises(CallbackError, match="^in step 'boom': ZeroDivisionError$") as caught:
        run_virtual(run(pipeline))
    assert caught.value.step == "boom"
    assert isinstance(caught.value.error, ZeroDivisionError)
    assert caught.value.__cause__ is caught.value.error


def test_an_error_from_upstream_is_left_alone():
    error = ConnectionError("dropped")
    pipeline = rx.throw(error).pipe(step("map", passes()), step("filter", ops.filter(lambda _: True)))
    with pytest.raises(ConnectionError) as caught:
        run_virtual(run(pipeline))
    assert caught.value is error


def test_a_marked_error_is_marked_once():
    pipeline = rx.of(delta()).pipe(step("first", ops.map(boom)), step("second", passes()))
    with pytest.raises(CallbackError) as caught:
        run_virtual(run(pipeline))
    assert caught.value.step == "first"
    assert isinstance(caught.value.error, ZeroDivisionError)


def test_an_error_made_of_an_upstream_error_is_the_steps_own():
    pipeline = rx.throw(ConnectionError("dropped")).pipe(
        step("boom", ops.catch(lambda error, _: rx.throw(KeyError("x"))))
    )
    with pytest.raises(CallbackError, match="in step 'boom': KeyError"):
        run_virtual(run(pipeline))


def test_whose_error_it_is_is_known_per_subscription():
    """The same exception object comes from upstream in one subscription, and from the step in the other."""
    error = ConnectionError("dropped")
    upstream_fails = iter([True, False])

    def raises(_):
        raise error

    one = step("map", ops.map(raises))
    pipeline = one(rx.defer(lambda _: rx.throw(error) if next(upstream_fails) else rx.of(delta())))

    async def main():
        with pytest.raises(ConnectionError) as first:
            await run(pipeline)
        with pytest.raises(CallbackError) as second:
            await run(pipeline)
        return first.value is error, second.value.error is error

    assert run_virtual(main()) == (True, True)


def test_no_resume_reopens_for_a_bug_in_a_callback():
    opened = []

    async def open_source(point):
        opened.append(point)
        yield delta()

    pipeline = from_async_iterable(open_source).pipe(
        step("boom", ops.map(boom)),
        resume(lambda error, retry: None if isinstance(error, CallbackError) or retry > 3 else 0),
    )
    with pytest.raises(CallbackError):
        run_virtual(run(pipeline))
    assert len(opened) == 1


def test_a_step_passes_on_its_dispose():
    trace = Trace()

    async def forever(_):
        while True:
            yield delta()
            await asyncio.sleep(1)

    pipeline = from_async_iterable(forever).pipe(trace.tap("in"), step("map", passes()), ops.take(2))
    run_virtual(run(pipeline))
    assert trace.text(legend=False, times=False) == "in  a-(a!)"
