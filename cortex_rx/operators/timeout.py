"""Limit the time that a source is waited for."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import upstream_flow
from cortex_rx.engine.deadline import TimeoutPolicy
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import Ended

__all__ = ["timeout"]


@operator(emits=[Ended])
def timeout(
    idle: timedelta | None = None, total: timedelta | None = None, then: Literal["fail", "end"] = "fail"
) -> Operator:
    """End the stream when it waits too long for the source: `idle` for one item, `total` for all items together.

    Only waiting for the source counts. A reader that pauses for an hour, or a store that stalls, ends nothing. Opening
    the source, which asks the model, counts as waiting too.

    ```text
    timeout(idle=5 * frame)
    source  O-a-b----#
    out     O-a-b----#

    timeout(idle=5 * frame, then="end")
    source  O-a-b----(E|)
    out     O-a-b----(E|)

    O = Opened, E = Ended, # = StreamTimeout, frame = one character
    ```

    The limits travel upstream with the flow to `from_stream`, which enforces them; other sources ignore them. With
    `then="fail"` the stream fails with `StreamTimeout`, after the text that arrived has been flushed. With `then="end"`
    the source emits `Ended(reason="timeout")` and completes. Either way the source is closed. Holds one timer.

    Commonly used for: providers that hang; upstream of `resume`, limits for each attempt.

    >>> print(timeout(idle=timedelta(seconds=30)))
    timeout(idle=datetime.timedelta(seconds=30))

    See also: `limit`.
    """
    if idle is None and total is None:
        raise InvalidArgument("idle", None, "a timedelta for idle, for total, or for both")
    check.one_of("fail", "end")("then", then)
    limit = check.optional(check.seconds())
    policy = TimeoutPolicy(limit("idle", idle), limit("total", total), then == "end")
    return upstream_flow(lambda flow: flow.child(timeout_policy=policy))
