"""The functions of a backend as methods.

    found = await Memories(backend).get(memory_space_id="support", memory_id="mem-1")

`rows` describes the results. Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from cortex_rx.backends.contract.typed.agents import Agents
from cortex_rx.backends.contract.typed.contexts import Contexts
from cortex_rx.backends.contract.typed.conversations import Conversations
from cortex_rx.backends.contract.typed.facts import Facts
from cortex_rx.backends.contract.typed.graphSync import GraphSync
from cortex_rx.backends.contract.typed.immutable import Immutable
from cortex_rx.backends.contract.typed.memories import Memories
from cortex_rx.backends.contract.typed.memorySpaces import MemorySpaces
from cortex_rx.backends.contract.typed.mutable import Mutable
from cortex_rx.backends.contract.typed.streams import Streams
from cortex_rx.backends.contract.typed.users import Users

__all__ = [
    "Agents",
    "Contexts",
    "Conversations",
    "Facts",
    "GraphSync",
    "Immutable",
    "Memories",
    "MemorySpaces",
    "Mutable",
    "Streams",
    "Users",
]
