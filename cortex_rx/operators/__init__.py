"""The operators: one per file, which has its name.

from cortex_rx import operators as cx
remember = cx.chain(cx.begin(backend), cx.persist_partial(backend), cx.finalize(backend), cx.measure())
"""

if __name__ != "cortex_rx.operators":
    # The folder `operators` at the root of the repository is a link to this one, for readers. If it were imported,
    # every class here would exist twice.
    raise ImportError(f"import cortex_rx.operators, not {__name__}")

from cortex_rx.chain import Chain, Step, chain, operator, step
from cortex_rx.operators.adapt import adapt
from cortex_rx.operators.begin import begin
from cortex_rx.operators.chunk import chunk
from cortex_rx.operators.extract_facts import extract_facts
from cortex_rx.operators.finalize import finalize
from cortex_rx.operators.last import last
from cortex_rx.operators.limit import limit
from cortex_rx.operators.measure import measure
from cortex_rx.operators.observe import observe
from cortex_rx.operators.persist_partial import persist_partial
from cortex_rx.operators.recover import recover
from cortex_rx.operators.result import result
from cortex_rx.operators.resume import resume
from cortex_rx.operators.rewrite import rewrite
from cortex_rx.operators.sync_graph import sync_graph
from cortex_rx.operators.text import text
from cortex_rx.operators.timeout import timeout
from cortex_rx.operators.trace import trace

__all__ = [
    "Chain",
    "Step",
    "adapt",
    "begin",
    "chain",
    "chunk",
    "extract_facts",
    "finalize",
    "last",
    "limit",
    "measure",
    "observe",
    "operator",
    "persist_partial",
    "recover",
    "result",
    "resume",
    "rewrite",
    "step",
    "sync_graph",
    "text",
    "timeout",
    "trace",
]
