"""The graph: a projection of memories, facts and other records into a graph server.

>>> identifier("label", "Memory")
'Memory'

`cortex_rx.graph.cypher` has the adapter. It imports `neo4j`, so it is loaded when it is used.
"""

from cortex_rx.graph.adapter import GraphAdapter, Statement
from cortex_rx.graph.identifiers import identifier

__all__ = ["GraphAdapter", "Statement", "identifier"]
