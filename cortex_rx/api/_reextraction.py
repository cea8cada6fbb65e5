"""The facts of a memory, read anew: first read, then stored when the memory has changed."""

from __future__ import annotations

from typing import Any

from pydantic.alias_generators import to_snake

from cortex_rx.api._repeated import repeated
from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import Facts, Memories
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.errors import InvalidArgument, MemoryNotFound
from cortex_rx.facts.extractor import Extractor
from cortex_rx.facts.reader import Reading, fact_reader
from cortex_rx.models.facts import FactDeduplication, FactRecord
from cortex_rx.models.records import MemoryEntry

__all__ = ["facts_of", "read_facts"]

_SOURCES = ("conversation", "system", "tool", "a2a")  # of memories and of facts


async def read_facts(
    backend: Backend,
    memory: dict[str, Any],
    content: str | None,
    extractor: Extractor | None,
    deduplication: FactDeduplication | None,
    embedder: Embedder | None,
) -> Reading:
    """Read the facts of a memory with this content; None: as it is. Raises what the extractor fails with."""
    if extractor is None:
        raise InvalidArgument("extract_facts", None, "an extractor, here or at the client")
    row = await Memories(backend).get(**memory)
    if row is None:
        raise MemoryNotFound("no memory with this id in the memory space")
    how = deduplication or "structural"
    reader = fact_reader(extractor, backend, deduplication=how, embedder=embedder if how == "semantic" else None)
    said = row["content"] if content is None else content
    user = row.get("userId")
    asked, answered = ("", said) if row.get("messageRole") == "agent" else (said, "")
    reading = await reader.read(user, asked, answered)
    if reading.error is not None:
        raise reading.error
    return await reader.complete(row["memorySpaceId"], user, reading)


async def facts_of(backend: Backend, memory: MemoryEntry, reading: Reading) -> tuple[FactRecord, ...]:
    """Store what was read from a memory. Each fact has its id already, so that none is stored twice."""
    ref: dict[str, Any] = {"memoryId": memory.memory_id, **(memory.conversation_ref or {})}
    said: dict[str, Any] = {
        "memory_space_id": memory.memory_space_id,
        "source_type": memory.source_type if memory.source_type in _SOURCES else "system",
        "source_ref": ref,
        "user_id": memory.user_id,
        "participant_id": memory.participant_id,
    }
    facts: list[FactRecord] = []
    for row in reading.rows:
        fact = {to_snake(name): value for name, value in row.items()}
        stored = await repeated(Facts(backend).store(**{"tags": [], **fact, **said}))
        facts.append(FactRecord.from_row(stored))
    return tuple(facts)
