"""From a query to what a model gets: memories, the turns around them, facts and newest turns, within a budget."""

from cortex_rx.models.recall_options import FactFinder, RecallOptions
from cortex_rx.models.recalled import ContextItem, LeftOut, RecalledFact, RecalledMemory, RecallReason, RecallResult
from cortex_rx.recollection.gathering import recall

__all__ = [
    "ContextItem",
    "FactFinder",
    "LeftOut",
    "RecallOptions",
    "RecallReason",
    "RecallResult",
    "RecalledFact",
    "RecalledMemory",
    "recall",
]
