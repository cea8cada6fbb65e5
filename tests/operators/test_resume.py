"""`resume`: when it opens a source again, after how long, and when it gives up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from reactivex import operators as ops

from cortex_rx import from_stream, is_transient, run
from cortex_rx import operators as cx
from cortex_rx.errors import InvalidArgument, ProviderError, RetryAfterTooLong, StoreBusy, StreamCutOff, StreamTimeout
from cortex_rx.events import Delta
from cortex_rx.models.turn import Turn
from cortex_rx.sources.model_stream import restart
from cortex_rx.testing import EPOCH, assert_no_leaks, run_virtual

TURN = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
S = timedelta(seconds=1)


class Http(Exception):
    def __init__(self, status, **headers):
        self.response = SimpleNamespace(
            status_code=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )


class APIConnectionError(Exception):
    """As SDKs name theirs."""


def opened_at(errors, step):
    """When the source was opened, in seconds from the first time, and the error in the end."""
    times, left = [], list(errors)

    async def model(point):
        times.append(asyncio.get_running_loop().time())
        yield "a"
        if left:
            raise left.pop(0)

    async def main():
        source = from_stream(restart(model), turn=TURN)
        return await run(step(source).pipe(ops.materialize(), ops.to_list()))

    with assert_no_leaks():
        seen = run_virtual(main())
    assert all(isinstance(one.value, object) for one in seen[:-1])
    return [round(at - times[0], 6) for at in times], getattr(seen[-1], "exception", None)


def test_pauses_double_up_to_the_longest_and_are_random_up_to_that():
    gone = [ConnectionError() for _ in range(6)]
    times, error = opened_at(gone, cx.resume(6, S, 5 * S, random=lambda: 1.0))
    assert error is None
    assert times == [0, 1, 3, 7, 12, 17, 22]
    half = iter([0.5, 0.25, 0.0])
    times, _ = opened_at(gone[:3], cx.resume(6, S, random=lambda: next(half)))
    assert times == [0, 0.5, 1.0, 1.0]


def test_the_budget_of_attempts():
    gone = [ConnectionError(n) for n in range(5)]
    times, error = opened_at(gone, cx.resume(2, timedelta(0)))
    assert len(times) == 3
    assert error is gone[2]


def test_the_budget_of_time():
    gone = [ConnectionError(n) for n in range(9)]
    times, error = opened_at(gone, cx.resume(9, S, within=5 * S, random=lambda: 1.0))
    assert times == [0, 1, 3]
    assert error is gone[2]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [({"retry_after": "7"}, 7), ({"retry_after_ms": "250"}, 0.25), ({"retry_after": "soon"}, 1)],
    ids=["seconds", "milliseconds", "unreadable"],
)
def test_what_the_provider_asks_for_is_done(header, seconds):
    times, error = opened_at([Http(429, **header)], cx.resume(1, S, random=lambda: 1.0))
    assert error is None
    assert times == [0, seconds]


def test_a_date_to_come_back():
    from datetime import UTC, datetime

    date = format_datetime(datetime.fromtimestamp(EPOCH + 90, UTC), usegmt=True)
    times, _ = opened_at([Http(503, retry_after=date)], cx.resume(1, S, max_retry_after=90 * S))
    assert times == [0, 90]


def test_what_the_provider_asks_for_may_be_beyond_the_budget():
    times, error = opened_at([Http(429, retry_after="50")], cx.resume(3, S, within=10 * S))
    assert times == [0]
    assert isinstance(error, Http)
    times, error = opened_at([Http(429, retry_after="100")], cx.resume(3, S, within=10 * S))
    assert times == [0]
    assert isinstance(error, RetryAfterTooLong), "whoever is told of it learns how long"


DAY = 86_400.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("86400", DAY), ("60.5", 60.5), ("1e400", float("inf")), ("9" * 400, float("inf"))],
    ids=["a day", "just too long", "1e400", "400 digits"],
)
def test_who_asks_for_more_than_is_waited_ends_the_stream_at_once(value, seconds):
    gone = Http(429, retry_after=value)
    times, error = opened_at([gone], cx.resume(3, S))
    assert times == [0]
    assert isinstance(error, RetryAfterTooLong)
    assert (error.seconds, error.most, error.__cause__) == (seconds, 60.0, gone)
    assert str(error) == f"the provider wants to be asked again after {seconds:g} s; waited for are 60 s at most"
    assert not is_transient(error), "or another resume would ask at once"


def test_a_date_that_is_too_far():
    times, error = opened_at([Http(503, retry_after="Fri, 31 Dec 9999 23:59:59 GMT")], cx.resume(3, S))
    assert times == [0]
    assert isinstance(error, RetryAfterTooLong) and error.seconds > 1e11


def test_how_long_is_waited_at_most_is_an_option():
    asked = [Http(429, retry_after="60"), Http(429, retry_after=str(DAY))]
    assert opened_at(asked[:1], cx.resume(3, S))[0] == [0, 60]
    assert opened_at(asked[1:], cx.resume(3, S, max_retry_after=timedelta(days=1)))[0] == [0, DAY]
    times, error = opened_at(asked[:1], cx.resume(3, S, max_retry_after=timedelta(0)))
    assert times == [0] and isinstance(error, RetryAfterTooLong)
    assert opened_at([Http(429, retry_after="0")], cx.resume(3, S, max_retry_after=timedelta(0)))[0] == [0, 0]


@pytest.mark.parametrize("value", ["nan", "-5", "-inf", "", "soon", "Fri, 31 Dec 99999 00:00:00 GMT", b"7", None])
def test_what_cannot_be_read_is_not_asked(value):
    assert opened_at([Http(429, retry_after=value)], cx.resume(3, S, random=lambda: 1.0))[0] == [0, 1]


def test_a_thousand_retries_do_not_overflow():
    times, error = opened_at([ConnectionError() for _ in range(1500)], cx.resume(1500, S, S, random=lambda: 1.0))
    assert error is None
    assert times[-1] == 1500


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        *((Http(status), True) for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
        *((Http(status), False) for status in (400, 401, 403, 404, 413, 422)),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (asyncio.IncompleteReadError(b"", 1), True),
        (APIConnectionError(), True),
        (StreamTimeout("idle", 1), True),
        (StreamTimeout("total", 1), False),
        (StreamCutOff(), True),
        (ProviderError("busy", "overloaded_error"), True),
        (ProviderError("no", "invalid_request_error"), False),
        (StoreBusy(), True),
        (ValueError(), False),
        (KeyError(), False),
    ],
    ids=lambda value: getattr(getattr(value, "response", None), "status_code", None) or type(value).__name__,
)
def test_what_is_transient(error, transient):
    times, _ = opened_at([error], cx.resume(1, timedelta(0)))
    assert len(times) == 1 + transient


def test_a_predicate_of_ones_own():
    times, error = opened_at(
        [KeyError(1), ValueError(2)], cx.resume(5, timedelta(0), retry_if=lambda e: isinstance(e, KeyError))
    )
    assert len(times) == 2
    assert isinstance(error, ValueError)


def test_what_stands_downstream_does_not_restart():
    async def model(point):
        yield "a"
        if point.retry < 3:
            raise ConnectionError

    subscribed = []

    def once(source):
        subscribed.append(1)
        return source

    async def main():
        source = from_stream(restart(model), turn=TURN)
        return await run(
            source.pipe(cx.resume(3, timedelta(0)), once, ops.filter(lambda e: isinstance(e, Delta)), ops.to_list())
        )

    assert [e.attempt for e in run_virtual(main())] == [0, 1, 2, 3]
    assert subscribed == [1]


def test_a_stop_while_it_pauses_ends_it():
    async def model(point):
        yield "a"
        raise ConnectionError

    async def main():
        source = from_stream(restart(model), turn=TURN)
        task = asyncio.ensure_future(
            run(source.pipe(cx.resume(3, 100 * S, 100 * S, random=lambda: 1.0), ops.to_list()))
        )
        await asyncio.sleep(5)
        task.cancel()
        started = asyncio.get_running_loop().time()
        await asyncio.wait({task})
        return asyncio.get_running_loop().time() - started

    with assert_no_leaks():
        assert run_virtual(main()) < 0.001


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"retries": 0}, "retries: got 0; accepted: a whole number, 1 or more"),
        ({"delay": 1}, "delay: got 1; accepted: a timedelta of at least zero"),
        ({"max_retry_after": -S}, "max_retry_after: got datetime.timedelta"),
        ({"max_delay": -S}, "max_delay: got datetime.timedelta"),
        ({"within": timedelta(0)}, "within: got datetime.timedelta\\(0\\); accepted: a timedelta above zero"),
        ({"retry_if": 5}, "retry_if: got 'int'; accepted: a function"),
        ({"random": 5}, "random: got 'int'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_arguments(keywords, message):
    with pytest.raises(InvalidArgument, match=message):
        cx.resume(**keywords)
