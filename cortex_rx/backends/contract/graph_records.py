"""What a graph is told of a record: for `graphSync:getBatch`.

Each is what the table's own `get` gives, without what no graph shows.
"""

from __future__ import annotations

from dataclasses import replace

from cortex_rx.backends.contract.agents import AGENT_FIELDS
from cortex_rx.backends.contract.contexts import CONTEXT_FIELDS
from cortex_rx.backends.contract.conversations import CONVERSATION_FIELDS
from cortex_rx.backends.contract.facts import FACT_FIELDS
from cortex_rx.backends.contract.immutable import ENTRY_FIELDS
from cortex_rx.backends.contract.memories import MEMORY_FIELDS
from cortex_rx.backends.contract.memory_spaces import SPACE_FIELDS
from cortex_rx.backends.contract.mutable import VALUE_FIELDS
from cortex_rx.backends.contract.types import COUNT, ID, TIME, AnyOf, Field, Object, Optional, fields

__all__ = ["RECORD"]


def _without(of: tuple[Field, ...], *names: str) -> tuple[Field, ...]:
    assert {*names} <= {field.name for field in of}
    return tuple(field for field in of if field.name not in names)


_MUTABLE_REF = Optional(Object(fields(namespace=ID, key=ID, snapshotAt=TIME), name="GraphMutableRef"))
_MEMORY = Object(
    tuple(
        replace(field, type=_MUTABLE_REF.type) if field.name == "mutableRef" else field
        for field in _without(
            MEMORY_FIELDS, "sourceUserName", "embedding", "accessCount", "metadata", "chunkIds", "chunkMetadata"
        )
    ),
    name="GraphMemory",
    meaning="""A memory, also one that is partial. `content` and `partialMetadata.userMessage` are cut to their first
200 code points; `contentLength` is the full length. A chunk of an answer is no record.""",
)
_CONVERSATION = Object(
    _without(CONVERSATION_FIELDS, "metadata"),
    name="GraphConversation",
    meaning="""A conversation, also one that has only pending exchanges. `messageCount` is that of the exchanges that
have ended.""",
)
_FACT = Object(
    _without(FACT_FIELDS, "metadata", "sourceRef"),
    name="GraphFact",
    meaning="""A fact, also one that is closed, with all its sources. Its text is whole.""",
)
_CONTEXT = Object(
    (
        *_without(CONTEXT_FIELDS, "description", "childIds", "data", "previousVersions"),
        *fields(parentMemorySpaceId=Optional(ID)),
    ),
    name="GraphContext",
    meaning="""A context, with all its grants. `parentId` is the id that it was given; `parentMemorySpaceId` is the
memory space that owns this parent, left out if the parent is gone. `depth` and `rootId` count only ancestors that its
own memory space owns.""",
)
_SPACE = Object(
    _without(SPACE_FIELDS, "metadata", "registered"), name="GraphMemorySpace", meaning="A registered memory space."
)
_USER = Object(
    fields(userId=ID, version=COUNT, createdAt=TIME, updatedAt=TIME),
    name="GraphUser",
    meaning="A user's profile, without what it says.",
)
_AGENT = Object(_without(AGENT_FIELDS, "metadata", "config"), name="GraphAgent", meaning="A registered agent.")
_IMMUTABLE = Object(ENTRY_FIELDS, name="GraphImmutable", meaning="An entry, as its current version says, whole.")
_MUTABLE = Object(VALUE_FIELDS, name="GraphMutable", meaning="A key and its value, whole.")

RECORD = AnyOf((_MEMORY, _CONVERSATION, _FACT, _CONTEXT, _SPACE, _USER, _AGENT, _IMMUTABLE, _MUTABLE))
"""A record of any table."""
