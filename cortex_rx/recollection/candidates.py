"""What may be recalled: each memory once, with its reasons and its place in its conversation."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cortex_rx.models.recalled import ContextItem, LeftOut, RecalledMemory, RecallReason
from cortex_rx.models.records import MemoryEntry

__all__ = ["Candidate", "Candidates"]

NEIGHBOUR = 0.5
"""The share of a turn around a memory that was found, of that memory's share, for each turn of distance."""
NEWEST = 0.9
"""The share of the newest turn of the conversation. What the search finds best has the share 1."""
AGE = 0.9
"""The share of each older turn, of that of the turn after it."""


@dataclass(slots=True)
class Candidate:
    """A memory, and why it is recalled."""

    memory: MemoryEntry
    reasons: list[RecallReason] = field(default_factory=list[RecallReason])
    score: float = 0.0

    def recalled(self) -> RecalledMemory:
        """The record of it."""
        best_first = sorted(self.reasons, key=lambda reason: -reason.score)
        return RecalledMemory(memory=self.memory, score=self.score, reasons=tuple(best_first))

    @property
    def age(self) -> int | None:
        """The number of turns after it, if it is one of the newest turns."""
        return next((reason.distance for reason in self.reasons if reason.kind == "newest"), None)

    @property
    def answer(self) -> str:
        """The id of the answer whose text it has, for a chunk; else its own."""
        part = self.memory.chunk_metadata
        return part.parent_memory_id if part else self.memory.memory_id

    @property
    def start(self) -> int:
        """Where its text begins in that answer."""
        part = self.memory.chunk_metadata
        return part.start_offset if part else 0

    @property
    def conversation(self) -> str | None:
        """The conversation in which it was said."""
        place = self.memory.conversation_ref
        return None if place is None else place.get("conversationId")

    def item(self) -> ContextItem:
        """What a model gets of it if there is room for all."""
        memory, role = self.memory, self.memory.message_role
        name = memory.source_user_name if role == "user" else memory.agent_id if role == "agent" else None
        return ContextItem(
            kind="memory",
            id=memory.memory_id,
            section="earlier" if self.age is None else "conversation",
            text=memory.content,
            length=max(memory.content_length, len(memory.content)),
            role="user" if role == "user" else "agent" if role == "agent" else None,
            name=name,
            said_at=memory.source_timestamp,
        )


class Candidates:
    """Memories from several sources, brought together by their ids.

    Those of `exclude` are left out, and their chunks. `runs` are memories that stand one after the other in a
    conversation. They tell the order of what was stored in the same millisecond.
    """

    def __init__(self, exclude: Iterable[str] = ()) -> None:
        self._exclude = frozenset(exclude)
        self._by_id: dict[str, Candidate] = {}
        self._next: dict[str, set[str]] = {}
        self._adjacent: set[tuple[str, str]] = set()

    def add(self, memory: MemoryEntry, reason: RecallReason) -> None:
        """Add a memory, or one more reason for it."""
        part = memory.chunk_metadata
        if memory.memory_id in self._exclude or (part and part.parent_memory_id in self._exclude):
            return
        if not memory.content.strip():
            return
        one = self._by_id.get(memory.memory_id)
        if one is None:
            one = self._by_id[memory.memory_id] = Candidate(memory.model_copy(update={"embedding": None}))
        if all((known.kind, known.of) != (reason.kind, reason.of) for known in one.reasons):
            one.reasons.append(reason)
        one.score = max(one.score, reason.score)

    def ids(self) -> list[str]:
        """The ids of all memories so far."""
        return list(self._by_id)

    def found(self, rows: Sequence[MemoryEntry]) -> None:
        """Add what the search found, best first."""
        best = max((row.score or 0.0 for row in rows), default=0.0) or 1.0
        for row in rows:
            self.add(row, RecallReason(kind="found", score=max(row.score or 0.0, 0.0) / best))

    def around(self, memory_id: str, before: Sequence[MemoryEntry], after: Sequence[MemoryEntry]) -> None:
        """Add what stands around a memory that was found."""
        centre = self._by_id.get(memory_id)
        if centre is None:
            return
        self.run([*before, centre.memory, *after])
        share = next(reason.score for reason in centre.reasons if reason.kind == "found")
        for side in (before[::-1], after):
            turns = 0
            for memory in side:
                distance = _apart(centre.memory, memory)
                if distance is None:
                    distance = turns = turns + 1
                score = share * NEIGHBOUR**distance
                self.add(memory, RecallReason(kind="neighbour", score=score, of=memory_id, distance=distance))

    def newest(self, rows: Sequence[MemoryEntry]) -> None:
        """Add the newest turns of the conversation, newest first."""
        self.run(rows[::-1])
        for age, row in enumerate(rows):
            self.add(row, RecallReason(kind="newest", score=NEWEST * AGE**age, distance=age))

    def run(self, memories: Sequence[MemoryEntry]) -> None:
        """Note that these stand in this order in their conversation."""
        for one, other in pairwise(memories):
            self._next.setdefault(one.memory_id, set()).add(other.memory_id)
            if _touch(one, other):
                self._adjacent.add((one.memory_id, other.memory_id))

    def adjacent(self, one: str, other: str) -> bool:
        """Whether the second was said directly after the first."""
        return (one, other) in self._adjacent

    def ranked(self) -> tuple[list[Candidate], list[LeftOut]]:
        """The candidates, best first, and those whose text is that of another one.

        Of equal texts the newest turn of the conversation stays, else the best one. Of equal scores the newer one comes
        first.
        """
        same: dict[tuple[str, int], list[Candidate]] = {}
        for one in self._by_id.values():
            content = one.memory.content  # the beginning of a long one
            beyond = max(one.memory.content_length - len(content), 0)
            same.setdefault((content.strip(), beyond), []).append(one)
        kept: list[Candidate] = []
        left: list[LeftOut] = []
        for group in same.values():
            first = min(group, key=lambda one: (one.age is None, one.age or 0, -one.score, -one.memory.created_at))
            of = first.memory.memory_id
            others = (one for one in group if one is not first)
            left += [LeftOut(id=one.memory.memory_id, score=one.score, why="same text", of=of) for one in others]
            first.score = max(one.score for one in group)
            kept.append(first)
        kept.sort(key=lambda one: (-one.score, -one.memory.created_at))
        return kept, left

    def in_order(self, chosen: Iterable[Candidate]) -> list[Candidate]:
        """The chosen ones as they were said: what was said earlier before the newest turns, by conversation, each
        conversation where its first one belongs."""
        by_place: dict[tuple[bool, str], list[Candidate]] = {}
        for one in chosen:
            alone = one.conversation is None
            place = one.age is not None, f"- {one.memory.memory_id}" if alone else f"= {one.conversation}"
            by_place.setdefault(place, []).append(one)
        passages = [(place[0], self._sorted(ones)) for place, ones in by_place.items()]
        passages.sort(key=lambda passage: (passage[0], passage[1][0].memory.source_timestamp))
        return [one for _, passage in passages for one in passage]

    def _sorted(self, ones: list[Candidate]) -> list[Candidate]:
        """Those of one conversation, by time, as far as the runs do not say it."""
        there = {one.memory.memory_id: one for one in ones}
        follows = {id: self._reach(id, there) for id in there}
        waits = dict.fromkeys(there, 0)
        for later in follows.values():
            for id in later:
                waits[id] += 1
        free = [(_time(there[id]), id) for id, count in waits.items() if not count]
        heapq.heapify(free)
        order: list[Candidate] = []
        while free:
            _, id = heapq.heappop(free)
            order.append(there.pop(id))
            for other in follows[id]:
                waits[other] -= 1
                if not waits[other]:
                    heapq.heappush(free, (_time(there[other]), other))
        return order + sorted(there.values(), key=_time)  # the rest: a backend whose runs contradict each other

    def _reach(self, id: str, there: dict[str, Candidate]) -> set[str]:
        """The next ones of these that come after `id`, along the runs."""
        reached: set[str] = set()
        seen = {id}
        todo = [*self._next.get(id, ())]
        while todo:
            if (other := todo.pop()) in seen:
                continue
            seen.add(other)
            if other in there:
                reached.add(other)
            else:
                todo += self._next.get(other, ())
        return reached


def _time(one: Candidate) -> tuple[float, float, bool, int]:
    memory = one.memory
    return memory.created_at, memory.source_timestamp, memory.message_role != "user", one.start


def _apart(one: MemoryEntry, other: MemoryEntry) -> int | None:
    """How many parts two chunks of an answer are apart; None if they are not."""
    here, there = one.chunk_metadata, other.chunk_metadata
    if here and there and here.parent_memory_id == there.parent_memory_id:
        return abs(here.chunk_index - there.chunk_index)
    return None


def _touch(one: MemoryEntry, other: MemoryEntry) -> bool:
    """Whether nothing stands between two that follow each other in a run."""
    if (apart := _apart(one, other)) is not None:
        return apart == 1
    here, there = one.chunk_metadata, other.chunk_metadata
    return (here is None or here.chunk_index + 1 == here.total_chunks) and (there is None or there.chunk_index == 0)
