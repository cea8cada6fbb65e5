"""What a store must hold of facts, in plain Python: statements of streams, what is to be read yet, and the facts that
follow.

The texts of the state machine say facts that are positive and of the present: what Ada likes, which are many, and where
she lives, which is one place at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cortex_rx.errors import Gap

if TYPE_CHECKING:
    from proofs.machine.model import Stream

__all__ = ["SIDES", "Fact", "Facts", "Reading", "Said", "Waiting", "shown"]

Triple = tuple[str, str, str]
Place = tuple[str, int, int]
"""A conversation, and where in a message the text stands that was read."""
Fact = tuple[Triple, str | None, list[Place]]
"""What it says, the object of the fact that ended it, and where it was said."""
SIDES = "question", "answer"
ONE = "lives_in"


@dataclass(frozen=True)
class Waiting:
    """A window that is to be read."""

    stop: int
    tries: int = 0
    dead: bool = False


@dataclass
class Reading:
    """How far a stream was read."""

    asked: bool = False
    """Somebody reads it for facts."""
    done: dict[str, int] = field(default_factory=dict[str, int])
    queue: dict[tuple[str, int], Waiting] = field(default_factory=dict[tuple[str, int], Waiting])
    """By side and start."""

    def wait_up_to(self, side: str, stop: int) -> None:
        """Put what was not read into the queue."""
        start = self.done.get(side, 0)
        if start < stop:
            self.queue[side, start] = Waiting(stop)
            self.done[side] = stop

    def drop(self, sides: Iterable[str]) -> None:
        for side in sides:
            self.done.pop(side, None)
        self.queue = {at: one for at, one in self.queue.items() if at[0] not in sides}


@dataclass(eq=False)
class Said:
    """A statement: once for each side of a stream."""

    stream: Stream
    side: str
    triple: Triple
    place: Place
    when: int | None = None
    """When it was said; None: it is provisional."""


class Facts:
    """Those of a whole store."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        """In the order in which it was stored."""

    # --- what streams do ----------------------------------------------------------------------------------------------

    def commit(self, stream: Stream, args: Mapping[str, Any]) -> dict[str, Any]:
        """`facts:commit`, of who owns the stream."""
        done = stream.reading.done
        if args["from"] > done.get(args["side"], 0):
            raise Gap(done.get(args["side"], 0), args["from"])
        self._store(stream, args)
        return {"end": done.get(args["side"], 0), "progress": {side: done.get(side, 0) for side in SIDES}}

    def take(self, stream: Stream, windows: Sequence[Mapping[str, Any]]) -> None:
        """What `streams:finalize` brings, before the stream ends."""
        stream.reading.asked = True
        for window in windows:
            stream.reading.wait_up_to(window["side"], window["from"])
            self._store(stream, window)

    def _store(self, stream: Stream, given: Mapping[str, Any]) -> None:
        reading, side, start, stop = stream.reading, given["side"], given["from"], given["to"]
        if stop > _length(stream, side):
            raise Gap(_length(stream, side), stop)
        reading.asked = reading.asked or stream.state == "open"
        if start == stop:
            return
        new = stream.state == "open" and stop > reading.done.get(side, 0)
        waiting = reading.queue.get((side, start))
        if waiting is not None and waiting.stop < stop:
            waiting = None
        if not new and waiting is None:
            return
        known = {one.triple: one for one in self._of(stream, [side])}
        place = stream.conversation, start, stop
        for fact in given["facts"]:
            triple = fact["subject"], fact["predicate"], fact["object"]
            if triple not in known:
                when = None if stream.state == "open" else _when(stream, side)
                known[triple] = Said(stream, side, triple, place, when)
                self.said.append(known[triple])
            known[triple].place = min(known[triple].place, place, key=lambda one: one[1])
        if new:
            reading.done[side] = stop
        if waiting is not None and ("error" not in given or stop < waiting.stop):
            del reading.queue[side, start]
            if stop < waiting.stop:
                reading.queue[side, stop] = waiting
        if "error" in given:
            reading.queue[side, start] = Waiting(stop, given.get("tries", 1), given.get("dead", False))

    def publish(self, stream: Stream, sides: Iterable[str] = SIDES) -> None:
        """The stream has ended: with an answer, or with the question alone."""
        if not stream.reading.asked:
            return
        for side in sides:
            stream.reading.wait_up_to(side, _length(stream, side))
            for one in self._of(stream, [side]):
                one.when = _when(stream, side) if one.when is None else one.when
        self.withdraw(stream, [side for side in SIDES if side not in sides])

    def withdraw(self, stream: Stream, sides: Iterable[str] = SIDES) -> None:
        """As if it had never been said."""
        self._remove(self._of(stream, sides))
        stream.reading.drop(sides)

    def forget(self, stream: Stream) -> None:
        """The stream is deleted."""
        self._remove(one for one in self._of(stream, SIDES) if one.when is None)
        stream.reading.drop(SIDES)

    def erase(self, stream: Stream, side: str) -> dict[str, Any]:
        """The memory of a side is deleted, with what only it says. Returns a part of the answer."""
        gone = self._of(stream, [side])
        lost = {one.triple for one in gone if one.when is not None}
        self._remove(gone)
        lost -= {one.triple for one in self.said if one.stream.space == stream.space and one.when is not None}
        reading = stream.reading
        reading.queue = {at: one for at, one in reading.queue.items() if at[0] != side}
        if any(one.triple[1] == ONE for one in gone):
            return {}  # how many facts have become one with another shows the list
        return {"factsDeleted": len(lost)} | ({} if lost else {"factIds": []})

    def _of(self, stream: Stream, sides: Iterable[str]) -> list[Said]:
        return [one for one in self.said if one.stream is stream and one.side in sides]

    def _remove(self, gone: Iterable[Said]) -> None:
        gone = set(gone)
        self.said = [one for one in self.said if one not in gone]

    # --- what is there ------------------------------------------------------------------------------------------------

    def of_stream(self, stream: Stream, side: str) -> set[Triple]:
        """What is visible of a side of a stream."""
        return {one.triple for one in self._of(stream, [side]) if one.when is not None}

    def rows(self, space: str) -> list[Fact]:
        """The facts of a memory space, those that have ended too."""
        said = [one for one in self.said if one.stream.space == space and one.when is not None]
        slots: dict[Triple, list[Said]] = {}
        for one in said:
            who, verb, what = one.triple
            slots.setdefault((who, verb, "" if verb == ONE else what), []).append(one)
        return sorted((fact for slot in slots.values() for fact in _fold(slot)), key=_sorting)

    def queue(self, streams: Iterable[Stream]) -> list[tuple[str, str, int, int, int, bool]]:
        """What is to be read of these streams: stream, side, start, stop, tries, and whether it was tried too often."""
        return sorted(
            (stream.id, side, start, one.stop, one.tries, one.dead)
            for stream in streams
            if stream.state in ("finished", "empty")
            for (side, start), one in stream.reading.queue.items()
        )


def _fold(slot: list[Said]) -> list[Fact]:
    """The facts of what is compared over time: what is said twice without another object in between is one."""
    runs: list[list[Said]] = []
    for one in sorted(slot, key=lambda one: one.when or 0):  # of one time: as it was stored
        if runs and runs[-1][0].triple == one.triple:
            runs[-1].append(one)
        else:
            runs.append([one])
    ends = [run[0].triple[2] for run in runs[1:]]
    return [
        (run[0].triple, end, sorted(one.place for one in run)) for run, end in zip(runs, [*ends, None], strict=True)
    ]


def shown(rows: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """What a store lists, in the form of the model."""
    objects = {row["factId"]: row["object"] for row in rows}
    found: list[Fact] = []
    for row in rows:
        by = row.get("supersededBy")
        assert row.get("closed") == (None if by is None else "changed"), f"{row} is closed otherwise"
        places = [(one["conversationId"], one["start"], one["end"]) for one in row["sources"]]
        found.append(
            ((row["subject"], row["predicate"], row["object"]), None if by is None else objects[by], sorted(places))
        )
    return sorted(found, key=_sorting)


def _sorting(fact: Fact) -> tuple[Triple, str, list[Place]]:
    return fact[0], fact[1] or "", fact[2]


def _length(stream: Stream, side: str) -> int:
    if side == "question":
        return len(stream.question)
    return 0 if stream.state == "empty" else len(stream.text)


def _when(stream: Stream, side: str) -> int:
    return stream.started if side == "question" else stream.ended
