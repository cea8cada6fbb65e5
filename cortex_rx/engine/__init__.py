"""The engine: Rx operators that await, on asyncio, without losing, leaking or running ahead.

Rx parametrises *where and when* work happens with a scheduler, and every operator hands the scheduler it was
subscribed with to its source.  A `FlowScheduler` is such a scheduler for one running pipeline.  Besides the time it owns

* the tasks of the pipeline: nothing outlives `run` or `stream`,
* the gates: the mailboxes between a source and its reader.  A source reads on only while none of them is full.

An operator subscribes to its source with a child of the flow it was subscribed with, when something upstream must be
told apart: a gate of its own, tasks to wait for (`join`), a point to resume from.

Operators have one of three forms:

* `passing`: synchronous,
* `beside`: passes every item on at once; a worker beside it sees what passed, in batches, and emits items of its own,
* `stage`: the items wait for it.  Only where that is the purpose.
"""

from cortex_rx.engine.deadline import SourceTimedOut, TimeoutGuard, TimeoutPolicy
from cortex_rx.engine.forms import beside, passing, stage
from cortex_rx.engine.frames import after_failure, from_async_iterable, pull, resume
from cortex_rx.engine.mailboxes import End, Inbox, Mailbox
from cortex_rx.engine.running import Fold, LastItem, Reader, Shared, Started, Stopped, run, stream
from cortex_rx.engine.scheduler import LIMIT, FlowScheduler, ForeignCancellation, Gate, ReopenState, Transform

__all__ = [
    "LIMIT",
    "End",
    "FlowScheduler",
    "Fold",
    "ForeignCancellation",
    "Gate",
    "Inbox",
    "LastItem",
    "Mailbox",
    "Reader",
    "ReopenState",
    "Shared",
    "SourceTimedOut",
    "Started",
    "Stopped",
    "TimeoutGuard",
    "TimeoutPolicy",
    "Transform",
    "after_failure",
    "beside",
    "from_async_iterable",
    "passing",
    "pull",
    "resume",
    "run",
    "stage",
    "stream",
]
