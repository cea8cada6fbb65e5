"""What Cortex has and this package has not: public names, and attributes of a client, each with the reason.

>>> from cortex_rx import GraphSyncWorker
Traceback (most recent call last):
...
ImportError: cortex_rx has no GraphSyncWorker: the worker is `cortex.graph.sync`, and `cortex.graph.status` says how ...
>>> from cortex_rx import Cortex
>>> Cortex(":memory:").governance
Traceback (most recent call last):
...
AttributeError: Cortex has no governance: governance is not part of this package
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ATTRIBUTES", "NAMES"]

_WORKER = "the worker is `cortex.graph.sync`, and `cortex.graph.status` says how far it is"
_A2A = "messages between agents are not part of this package"
_GOVERNANCE = "governance is not part of this package"
_CASCADE = "this version does not delete a user or an agent with all that they left"
_UNUSED = "no method returns it, in Cortex neither"

NAMES: Mapping[str, str] = {
    **dict.fromkeys(["GraphSyncWorker", "GraphSyncWorkerOptions", "SyncHealthMetrics"], _WORKER),
    **dict.fromkeys(
        [
            *("A2ABroadcastParams", "A2ABroadcastResult", "A2AMessage", "A2ARequestParams", "A2AResponse"),
            *("A2ASendParams", "A2ATimeoutError", "is_a2a_timeout_error"),
        ],
        _A2A,
    ),
    **dict.fromkeys(
        [
            *("ComplianceMode", "ComplianceReport", "ComplianceReportOptions", "ComplianceSettings"),
            *("ComplianceTemplate", "ConversationsPolicy", "ConversationsPurging", "ConversationsRetention"),
            *("EnforcementOptions", "EnforcementResult", "EnforcementStats", "EnforcementStatsOptions"),
            *("GovernancePolicy", "ImmutablePolicy", "ImmutablePurging", "ImmutableRetention"),
            *("ImmutableTypeRetention", "ImportanceRange", "MutablePolicy", "MutablePurging", "MutableRetention"),
            *("PolicyResult", "PolicyScope", "SimulationOptions", "SimulationResult", "VectorPolicy"),
            *("VectorPurging", "VectorRetention"),
        ],
        _GOVERNANCE,
    ),
    **dict.fromkeys(
        ["AgentCascadeDeletionError", "CascadeDeletionError", "is_cascade_deletion_error"],
        _CASCADE,
    ),
    **dict.fromkeys(["ListResult"], _UNUSED),
    "RememberStreamResult": f"{_UNUSED}; `remember_stream` returns an EnhancedRememberStreamResult",
}
"""Names that Cortex exports."""
ATTRIBUTES: Mapping[str, str] = {
    "client": "the store is `backend`",
    "governance": _GOVERNANCE,
    "a2a": _A2A,
    **dict.fromkeys(["sync_worker", "get_graph_sync_worker"], _WORKER),
    "graph": "no graph is given, as in Cortex(..., graph=adapter)",
}
"""Attributes of a client."""
