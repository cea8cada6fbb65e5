"""Tools for testing pipelines and operators, ours and users'.

* `run_virtual`: virtual time; seven hours of a stream pass in a moment, the same every time.
* `counted_ids`: ids, claims and tokens that are the same every time.
* `Trace`: a record of what passed, drawn as marbles, for snapshots that people read.
* `marbles`, `assert_marbles`: the same notation as a source of events, and as the expected output.
* `check_operator`: checks that an operator keeps the promises that every operator makes.
* `assert_no_leaks`: checks that nothing is left behind.
* `Faulty`, `Process`, `Plan`: a backend whose calls fail, come late or crash the calling process; processes that crash.
* `cortex_rx.testing.simulate`: a scenario under thousands of seeds.
* `check_backend`: checks that a backend keeps the contract.
"""

from cortex_rx.testing.backends import BACKEND_PROMISES, BackendPromise, BackendReport, Bench, check_backend
from cortex_rx.testing.diagrams.lanes import assert_marbles, marbles, parse_marbles
from cortex_rx.testing.diagrams.trace import Kind, Mark, Trace
from cortex_rx.testing.faults.faulty import Faulty
from cortex_rx.testing.faults.plans import FAULT_KINDS, Fault, FaultKind, Plan, each_fault, pairs_of_faults
from cortex_rx.testing.faults.processes import Crashed, Process
from cortex_rx.testing.leaks import Leaked, assert_no_leaks
from cortex_rx.testing.operators.check import BrokenPromise, Promise, Report, check_operator
from cortex_rx.testing.virtual import EPOCH, Deadlock, VirtualLoop, run_virtual, wall
from cortex_rx.unique import counted_ids

__all__ = [
    "BACKEND_PROMISES",
    "EPOCH",
    "FAULT_KINDS",
    "BackendPromise",
    "BackendReport",
    "Bench",
    "BrokenPromise",
    "Crashed",
    "Deadlock",
    "Fault",
    "FaultKind",
    "Faulty",
    "Kind",
    "Leaked",
    "Mark",
    "Plan",
    "Process",
    "Promise",
    "Report",
    "Trace",
    "VirtualLoop",
    "assert_marbles",
    "assert_no_leaks",
    "check_backend",
    "check_operator",
    "counted_ids",
    "each_fault",
    "marbles",
    "pairs_of_faults",
    "parse_marbles",
    "run_virtual",
    "wall",
]
