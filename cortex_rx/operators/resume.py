"""Reopen a source that failed."""

from __future__ import annotations

import asyncio
import random as randoms
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from reactivex import Observable, abc

from cortex_rx import flow as engine
from cortex_rx.chain import Operator, operator
from cortex_rx.errors import CortexError, ProviderError, StreamCutOff, StreamTimeout
from cortex_rx.events import Opened, Resumed, StreamEvent
from cortex_rx.flow import Flow
from cortex_rx.operators._checks import callback, count, seconds
from cortex_rx.statuses import status_of

__all__ = ["resume"]

_STATUSES = frozenset((408, 409, 425, 429))  # and 500 and above
_TRANSPORT = frozenset(  # of SDKs and HTTP clients, by name: none of them is imported
    (
        *("APIConnectionError", "APITimeoutError", "TransportError", "RemoteProtocolError"),
        *("ClientConnectionError", "ClientPayloadError", "ServerDisconnectedError", "ProtocolError"),
    )
)
_OVERLOADED = frozenset(  # what providers say in the stream itself
    ("overloaded_error", "rate_limit_error", "server_error", "api_error", "timeout_error", "rate_limit_exceeded")
)


def _worth(error: Exception) -> bool:
    """Whether asking again may help."""
    if isinstance(error, StreamTimeout):
        return error.which == "idle"
    if isinstance(error, ProviderError):
        return bool({error.type, error.provider_code} & _OVERLOADED)
    if isinstance(error, StreamCutOff):
        return True
    if isinstance(error, CortexError):
        return False
    status = status_of(error)
    if status is not None:
        return status in _STATUSES or status >= 500
    if isinstance(error, ConnectionError | TimeoutError | asyncio.IncompleteReadError):
        return True
    return any(kind.__name__ in _TRANSPORT for kind in type(error).__mro__)


@operator(needs=[Opened], emits=[Resumed])
def resume(
    retries: int = 3,
    delay: timedelta = timedelta(seconds=1),
    max_delay: timedelta = timedelta(seconds=30),
    within: timedelta | None = None,
    worth: Callable[[Exception], bool] | None = None,
    random: Callable[[], float] | None = None,
) -> Operator:
    """When the source fails, open it again, `retries` times at most, and go on where it was.

    What stands upstream (a `timeout`) starts anew with each opening; what stands downstream goes on, and sees no failure.

    ```text
    resume(delay=0 * frame)
    source  O-a-b#-Sc-(E|)
    out     O-a-b--Sc-(E|)

    O = Opened, E = Ended, S = Resumed, # = ConnectionError, frame = one character
    ```

    The source says how it can be opened again: `replayable`, `prefill` or `restart`; one that does not is refused with
    `NotResumable`.  Emits `Resumed` when the source is back: with the text going on, or with a new `attempt` if it begins anew.

    Between two openings it waits a random time, up to `delay`, 2 `delay`, 4 `delay` ... and `max_delay` at most; or as long as
    the provider says in `Retry-After`.  No opening begins later than `within` after the first failure; a `Retry-After` beyond
    that ends the stream at once.  `worth(error)` says what is worth it; by default that are
    connections that fail, idle timeouts, a stream that is cut off, a provider that says it is overloaded, and HTTP 408, 409, 425, 429
    and 5xx.  An error that is not, and the last one, is passed on.  `random()` gives numbers from 0 to 1.

    Commonly used for: connections that break in the middle of an answer, models that are overloaded.

    >>> print(resume(retries=5))
    resume(retries=5)
    >>> resume(retries=0)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: retries: got 0; accepted: a whole number of at least 1

    See also: `recover`, `timeout`, `from_stream`.
    """
    count("retries", retries)
    base, most = seconds("delay", delay, zero=True), seconds("max_delay", max_delay, zero=True)
    budget = None if within is None else seconds("within", within)
    callback("worth", worth)
    callback("random", random)
    is_worth, number = worth or _worth, random or randoms.random

    def apply(source: Observable[StreamEvent]) -> Observable[StreamEvent]:
        def subscribe(
            observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            flow = Flow.of(scheduler)
            first: float | None = None

            def again(error: Exception, retry: int) -> float | None:
                nonlocal first
                first = flow.time() if first is None else first
                if retry > retries or not is_worth(error):
                    return None
                asked = _retry_after(error, flow.wall())
                pause = number() * min(most, base * 2 ** (retry - 1)) if asked is None else asked
                if budget is not None and flow.time() + pause > first + budget:
                    return None
                return pause

            frame: Operator = engine.resume(again)
            return frame(source).subscribe(observer, scheduler=scheduler)

        return Observable(subscribe)

    return apply


def _retry_after(error: Exception, now: float) -> float | None:
    """How many seconds the provider wants us to wait, if it says so."""
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None)
    get: Any = getattr(headers, "get", None)
    if get is None:
        return None
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = get(name) or get(name.title())
        if value is None:
            continue
        try:
            return max(0.0, float(value) * scale)
        except ValueError:
            pass
        try:
            date = parsedate_to_datetime(str(value))
        except ValueError:
            continue
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.fromtimestamp(now, UTC)).total_seconds())
    return None
