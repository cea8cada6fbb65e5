"""Cortex's core APIs over a memory backend: thin and typed."""

from cortex_rx.api.conversations import ConversationsAPI
from cortex_rx.api.cortex import Cortex
from cortex_rx.api.facts import FactsAPI
from cortex_rx.api.memory import MemoryAPI, StopResult

__all__ = ["ConversationsAPI", "Cortex", "FactsAPI", "MemoryAPI", "StopResult"]
