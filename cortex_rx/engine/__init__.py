"""The engine: Rx operators that await, on asyncio, without losing, leaking or running ahead.

Rx parametrises *where and when* work happens with a scheduler, and every operator hands the scheduler it was
subscribed with to its source.  A `FlowScheduler` is such a scheduler for one running pipeline.  Besides the time it owns

* the tasks of the pipeline: nothing outlives `run` or `stream`,
* the gates: the mailboxes between a source and its reader.  A source reads on only while none of them is full.

An operator subscribes to its source with a child of the flow it was subscribed with, when something upstream must be
told apart: a gate of its own, tasks to wait for (`join`), a point to resume from (`frames.upstream_flow`).  One whose
state belongs to one run is made by `frames.per_subscription`.  No operator of this package writes a `subscribe` of its own:
see `straight.py`.

Operators have one of three forms:

* `passing`: synchronous,
* `beside`: passes every item on at once; a worker beside it sees what passed, in batches, and emits items of its own,
* `stage`: the items wait for it.  Only where that is the purpose.

This package exports what the author of an operator needs.  The rest is in its modules.
"""

from cortex_rx.engine.forms import Emit, EndStream, Passing, beside, passing, stage
from cortex_rx.engine.frames import from_async_iterable, per_subscription, upstream_flow
from cortex_rx.engine.mailboxes import End, Inbox, Mailbox
from cortex_rx.engine.running import run, stream
from cortex_rx.engine.scheduler import FlowScheduler, Transform

__all__ = [
    "Emit",
    "End",
    "EndStream",
    "FlowScheduler",
    "Inbox",
    "Mailbox",
    "Passing",
    "Transform",
    "beside",
    "from_async_iterable",
    "passing",
    "per_subscription",
    "run",
    "stage",
    "stream",
    "upstream_flow",
]
