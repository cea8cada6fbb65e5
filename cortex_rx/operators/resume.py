"""Reopen a source that failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import FlowScheduler, frames, per_subscription
from cortex_rx.errors import CallbackError, RetryAfterTooLong
from cortex_rx.events import Opened, Resumed
from cortex_rx.retry.judge import is_transient, retry_after
from cortex_rx.retry.pauses import Backoff, doubling
from cortex_rx.unique import chance

__all__ = ["resume"]


@operator(needs=[Opened], emits=[Resumed])
def resume(
    retries: int = 3,
    delay: timedelta = timedelta(seconds=1),
    max_delay: timedelta = timedelta(seconds=30),
    within: timedelta | None = None,
    retry_if: Callable[[Exception], bool] | None = None,
    random: Callable[[], float] | None = None,
    max_retry_after: timedelta = timedelta(seconds=60),
) -> Operator:
    """When the source fails, open it again, at most `retries` times, and go on where it was.

    Steps upstream (a `timeout`) start anew with each opening. Steps downstream go on, and see no failure.

    ```text
    resume(delay=0 * frame)
    source  O-a-b#-Sc-(E|)
    out     O-a-b--Sc-(E|)

    O = Opened, E = Ended, S = Resumed, # = ConnectionError, frame = one character
    ```

    The source says how it can be opened again: `replayable`, `prefill` or `restart`. A source that does not say so is
    refused with `NotResumable`. Emits `Resumed` when the source is back: the text goes on, or begins anew with a new
    `attempt`.

    Between two openings there is a random pause, up to `delay`, 2 `delay`, 4 `delay` ... and at most `max_delay`; or
    the pause that the provider asks for in `Retry-After`. If it asks for more than `max_retry_after`, the stream ends
    at once with `RetryAfterTooLong`. No opening begins later than `within` after the first failure; an error that would
    need one is passed on at once. `retry_if(error)` decides which errors are retried, by default `is_transient`: failed
    connections, idle timeouts, a stream that is cut off, an overloaded provider, and HTTP 408, 409, 425, 429 and 5xx.
    Every other error, and the last one, is passed on. `random()` returns numbers from 0 to 1. An error of one of these
    two functions ends the stream, as a `CallbackError`.

    Commonly used for: connections that break in the middle of an answer, models that are overloaded.

    >>> print(resume(retries=5))
    resume(retries=5)
    >>> resume(retries=0)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: retries: got 0; accepted: a whole number, 1 or more

    See also: `recover`, `timeout`, `from_stream`.
    """
    check.whole(1)("retries", retries)
    seconds = check.seconds(zero=True)
    policy = _Policy(
        retries=retries,
        delay=seconds("delay", delay),
        max_delay=seconds("max_delay", max_delay),
        within=check.optional(check.seconds())("within", within),
        retry_if=check.optional(check.function)("retry_if", retry_if) or is_transient,
        random=check.optional(check.function)("random", random) or chance,
        max_retry_after=seconds("max_retry_after", max_retry_after),
    )
    return per_subscription(lambda flow: frames.resume(_Retries(policy, flow).again))


@dataclass(frozen=True, slots=True)
class _Policy:
    """The arguments of `resume`; times are in seconds."""

    retries: int
    delay: float
    max_delay: float
    within: float | None
    retry_if: Callable[[Exception], bool]
    random: Callable[[], float]
    max_retry_after: float


class _Retries:
    """The retries of one subscription."""

    def __init__(self, policy: _Policy, flow: FlowScheduler) -> None:
        self._policy, self._flow = policy, flow
        pauses = islice(doubling(policy.delay, policy.max_delay), policy.retries)
        self._backoff = Backoff(pauses, retry_if=policy.retry_if)
        self._first_failure: float | None = None

    def again(self, error: Exception, _: int) -> float | Exception | None:
        """The seconds until the source is opened again; None passes `error` on, another error replaces it."""
        try:
            return self._pause(error)
        except Exception as bug:  # of `retry_if` or `random`
            failed = CallbackError("resume", bug)
            failed.__cause__ = bug
            return failed

    def _pause(self, error: Exception) -> float | Exception | None:
        policy, now = self._policy, self._flow.time()
        if self._first_failure is None:
            self._first_failure = now
        if (longest := self._backoff.pause(error)) is None:
            return None
        asked = retry_after(error, self._flow.wall())
        pause = policy.random() * longest if asked is None else asked
        if asked is not None and asked > policy.max_retry_after:
            failed = RetryAfterTooLong(asked, policy.max_retry_after)
            failed.__cause__ = error
            return failed
        if policy.within is not None and now + pause > self._first_failure + policy.within:
            return None
        return pause
