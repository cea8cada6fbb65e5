"""The engine: Rx operators that await, on asyncio, without losing, leaking or running ahead.

Rx decides with a scheduler where and when work runs. Every operator passes the scheduler that it was subscribed with on
to its source. A `FlowScheduler` is the scheduler of one running pipeline. Besides the clock it owns

* the tasks of the pipeline: no task outlives `run` or `stream`,
* the gates: the mailboxes between a source and its reader. A source reads on only while none of them is full.

An operator subscribes to its source with a child of its flow when something upstream differs: a gate of its own, tasks
to wait for (`join`), a position to resume from.

An operator that handles items has one of three forms:

* `passing`: synchronous.
* `beside`: every item passes at once. A worker beside it sees what passed, in batches, and emits items of its own.
* `stage`: the items wait for it. Use it only where that is the purpose.

Four more forms wrap everything upstream of them, and leave the items alone:

* `per_subscription`: an operator is made anew for each subscription, with its flow, so its state belongs to one run.
* `upstream_flow`: the source is subscribed to with another flow, which carries a timeout policy, or asks for a replay.
* `frames.resume`: after an error the source is subscribed to again, with the position to resume from.
* `frames.after_failure`: after an error, and when everything upstream has ended, a function acts.

No operator writes a `subscribe` of its own, because the forms keep the contract of an observable (`straight.py`).

This package exports what the author of an operator needs. The rest is in its modules.
"""

from cortex_rx.engine.forms import Emit, EndStream, Passing, beside, passing, stage
from cortex_rx.engine.frames import per_subscription, upstream_flow
from cortex_rx.engine.mailboxes import End, Inbox, Mailbox
from cortex_rx.engine.running import run, stream
from cortex_rx.engine.scheduler import FlowScheduler

__all__ = [
    "Emit",
    "End",
    "EndStream",
    "FlowScheduler",
    "Inbox",
    "Mailbox",
    "Passing",
    "beside",
    "passing",
    "per_subscription",
    "run",
    "stage",
    "stream",
    "upstream_flow",
]
