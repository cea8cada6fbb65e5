"""Tools for testing pipelines and operators, ours and users'.

* `run_virtual`: time that jumps; seven hours of stream in a moment, the same every time.
* `Trace`: what passed, drawn as marbles, for snapshots that people read.
* `marbles`, `assert_marbles`: the same notation as a source of events, and as what is expected to come out.
* `check_operator`: whether an operator keeps the promises that every operator makes.
* `assert_no_leaks`: nothing is left behind.
"""

from cortex_rx.testing.check import BrokenPromise, Promise, Report, check_operator
from cortex_rx.testing.lanes import assert_marbles, marbles, parse_marbles
from cortex_rx.testing.leaks import Leaked, assert_no_leaks
from cortex_rx.testing.marbles import Kind, Mark, Trace
from cortex_rx.testing.virtual import EPOCH, Deadlock, VirtualLoop, run_virtual

__all__ = [
    "EPOCH",
    "BrokenPromise",
    "Deadlock",
    "Kind",
    "Leaked",
    "Mark",
    "Promise",
    "Report",
    "Trace",
    "VirtualLoop",
    "assert_marbles",
    "assert_no_leaks",
    "check_operator",
    "marbles",
    "parse_marbles",
    "run_virtual",
]
