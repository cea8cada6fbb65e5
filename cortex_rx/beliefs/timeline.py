"""What is believed: a pure fold over what was said.

All statements of one slot are folded together.  Their order in time decides, never the order in which they arrive; so
what is believed after a statement is taken back is what would be believed if it had never been made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cortex_rx.beliefs.decision import Action
from cortex_rx.beliefs.normal import OBJECT

__all__ = ["Belief", "Revision", "Statement", "confidence", "fold", "revision"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one text said.  It never changes, except that it may be closed as wrong."""

    seq: int
    """Its number in the store."""
    own: str
    """Its own id."""
    fact: str | None
    """The id of the fact that it supports; None as long as nobody has been told."""
    slot: str
    value: str
    merge: str
    valid_from: int | None
    """Since when it is true; epoch milliseconds.  None if unknown, which only the past and the future may be."""
    valid_until: int | None
    """Until when it is true; None: no end is known."""
    said: int
    """When it was said: the time of the message; epoch milliseconds."""
    known: int
    """When the store learnt it: the time of the transaction that made it visible; epoch milliseconds."""
    until: int | None = None
    """When the store learnt that it is wrong."""
    confidence: float = 100
    """0 to 100."""
    messages: tuple[str, ...] = ()
    """The messages that say it."""
    rewrites: bool = False
    """Whether its words and its confidence replace those of the fact that it supports."""
    settles: bool = False
    """Whether its confidence alone replaces that of the fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """A fact: the statements that support it, and when it is true."""

    fact_id: str
    statements: tuple[Statement, ...]
    """In the order in which they became known."""
    valid_from: int | None
    valid_until: int | None
    """The end, which is not part of it; None: none is known."""
    superseded_by: str | None
    """The fact that ended it."""
    supersedes: str | None
    """The fact that it ended."""

    @property
    def words(self) -> Statement:
        """The statement whose words the fact has: the last that rewrites it, else the first."""
        return next((each for each in reversed(self.statements) if each.rewrites), self.statements[0])

    @property
    def confidence(self) -> float:
        """See `confidence`."""
        return confidence(self.statements)

    def holds_at(self, time: int) -> bool:
        """Whether it is true at this time."""
        return (
            self.valid_from is not None
            and self.valid_from <= time
            and (self.valid_until is None or time < self.valid_until)
        )


class Revision(NamedTuple):
    """What became of a statement."""

    action: Action
    fact_id: str
    about: str | None
    """The fact that it ended, if any."""


def fold(statements: Iterable[Statement], known_at: int | None = None) -> list[Belief]:
    """The beliefs of one slot, in the order of their beginnings.

    Only statements that are not closed as wrong count; with `known_at`, those that were known then and not wrong yet.

    * Positive statements one after the other with the same value are a run, unless it had ended before the next one.
    * A run ends at the time that its last statement gives, or when the next run begins if that is earlier or the same;
      then it is superseded by it.
    * A negative statement ends the run of the same object, and holds until a positive one says that object again.
    * In a run, statements with the same merge key are one fact.  A fact never outlives its own last statement.

    In a slot without a timeline (of the past or the future) the runs follow each other in the order in which they were
    said, and only what a decider put there differs from the others.  The times of a fact are then as they were given by
    the last statement that gives any.

    Raises `ValueError` if a statement with a timeline has no `valid_from`, or not all are of one slot.
    """
    present = [each for each in statements if _counts(each, known_at)]
    if len({each.slot for each in present}) > 1:
        raise ValueError("statements of several slots")
    timeline = bool(present) and present[0].slot.startswith("t")
    line = _Timeline()
    if timeline:
        for each in sorted(present, key=_time):
            (line.say if each.value[OBJECT] == "+" else line.deny)(each, _time(each)[0])
    else:
        for each in sorted(present, key=lambda each: (each.said, each.seq)):
            line.follow(each)
    facts = [group for run in line.runs for group in run.groups()]
    for group, fact_id in zip(facts, _ids(facts), strict=True):
        group.fact_id = fact_id
    return [belief for run in line.runs for belief in run.beliefs(timeline=timeline)]


def revision(belief: Belief, statement: Statement) -> Revision:
    """What became of a statement that supports this belief: NONE or UPDATE if it joined others, SUPERSEDE if it ended a
    fact, else ADD."""
    if belief.statements[0].seq != statement.seq:
        return Revision("UPDATE" if statement.rewrites else "NONE", belief.fact_id, None)
    return Revision("SUPERSEDE" if belief.supersedes else "ADD", belief.fact_id, belief.supersedes)


def confidence(statements: Sequence[Statement]) -> float:
    """How sure a fact is, 0 to 100: distinct messages make it surer, the same message does not.

    Each source counts with the best of its statements; statements that share a message are one source, and all without
    one are one.  Two sources of 80 are wrong together in 4 of 100 cases: 96.  A statement that rewrites the fact or
    settles how sure it is begins anew.  `statements` are in the order in which they became known.
    """
    begin = max((at for at, each in enumerate(statements) if each.rewrites or each.settles), default=0)
    source: dict[str, list[float]] = {}  # by message; those of one source share a list
    for each in statements[begin:]:
        names = each.messages or ("",)
        mine = source.setdefault(names[0], [])
        mine.append(each.confidence)
        for name in names[1:]:
            others = source.setdefault(name, mine)
            if others is not mine:
                mine += others
                source.update({key: mine for key, held in source.items() if held is others})
    found = sorted(max(held) for held in {id(held): held for held in source.values()}.values())
    return found[0] if len(found) == 1 else round(100 - 100 * math.prod(1 - best / 100 for best in found))


# --- the fold ---------------------------------------------------------------------------------------------------------


def _counts(each: Statement, known_at: int | None) -> bool:
    if known_at is None:
        return each.until is None
    return each.known <= known_at and (each.until is None or known_at < each.until)


def _time(each: Statement) -> tuple[int, int]:
    if each.valid_from is None:
        raise ValueError("a statement with a timeline has no time")
    return each.valid_from, each.seq


def _order(each: Statement) -> tuple[bool, int, int]:
    """The order in which statements became known; those that nobody has been told of come last."""
    return each.fact is None, each.known, each.seq


def _end(each: Statement) -> int | None:
    """When the statement's time ends; not before it begins."""
    if each.valid_until is None or each.valid_from is None:
        return each.valid_until
    return max(each.valid_from, each.valid_until)


def _reaches(end: int | None, time: int) -> bool:
    return end is None or time <= end


@dataclass(slots=True, eq=False)
class _Group:
    """The statements of a fact."""

    statements: list[Statement] = field(default_factory=list)
    fact_id: str = ""


@dataclass(slots=True, eq=False)
class _Run:
    """Statements of the same value, one after the other."""

    statements: list[Statement]
    cut: int | None = None
    """When another run ended it; None without a timeline."""
    by: _Run | None = None
    ended: list[_Run] = field(default_factory=list)
    """The runs that this one ended."""
    made: list[_Group] = field(default_factory=list)

    def open_at(self, time: int) -> bool:
        return self.by is None and _reaches(_end(self.statements[-1]), time)

    def end(self, time: int | None, by: _Run) -> None:
        self.cut, self.by = time, by
        by.ended.append(self)

    def groups(self) -> list[_Group]:
        if not self.made:
            groups: dict[str, _Group] = {}
            for each in self.statements:
                groups.setdefault(each.merge, _Group()).statements.append(each)
            self.made = list(groups.values())
        return self.made

    def is_superseded(self, group: _Group) -> bool:
        """Whether another run ended the fact: its own last statement did not end it before."""
        return self.by is not None and (self.cut is None or _reaches(_end(group.statements[-1]), self.cut))

    def beliefs(self, *, timeline: bool) -> list[Belief]:
        supersedes = next((each.fact_id for run in self.ended for each in run.made if run.is_superseded(each)), None)
        found: list[Belief] = []
        for group in self.made:
            begin, end = group.statements[0].valid_from, _end(group.statements[-1])
            if timeline:
                ends = (end, _end(self.statements[-1]), self.cut)
                end = min((each for each in ends if each is not None), default=None)
            else:
                dated = [each for each in group.statements if (each.valid_from, each.valid_until) != (None, None)]
                begin, end = (dated[-1].valid_from, _end(dated[-1])) if dated else (None, None)
            found.append(
                Belief(
                    fact_id=group.fact_id,
                    statements=tuple(sorted(group.statements, key=_order)),
                    valid_from=begin,
                    valid_until=end,
                    superseded_by=self.by.made[0].fact_id if self.by and self.is_superseded(group) else None,
                    supersedes=supersedes if group is self.made[0] else None,
                )
            )
        return found


class _Timeline:
    """The runs of a slot, made of statements in the order of their times."""

    def __init__(self) -> None:
        self.runs: list[_Run] = []
        self._current: _Run | None = None  # the last positive run
        self._denied: dict[str, _Run] = {}  # by object: the last negative run

    def say(self, each: Statement, time: int) -> None:
        current, denied = self._current, self._denied.get(each.value[:OBJECT])
        run = current
        if current is None or current.statements[0].value != each.value or not current.open_at(time):
            run = self._current = self._begun(each)
            if current is not None and current.open_at(time):
                current.end(time, run)
        else:
            current.statements.append(each)
        if denied is not None and denied.open_at(time) and run is not None:
            denied.end(time, run)

    def deny(self, each: Statement, time: int) -> None:
        about = each.value[:OBJECT]
        current, run = self._current, self._denied.get(about)
        if run is None or not run.open_at(time):
            run = self._denied[about] = self._begun(each)
        else:
            run.statements.append(each)
        if current is not None and current.statements[0].value[:OBJECT] == about and current.open_at(time):
            current.end(time, run)

    def follow(self, each: Statement) -> None:
        """Without a timeline: it continues the run, or supersedes it."""
        current = self._current
        if current is not None and current.statements[0].value == each.value:
            current.statements.append(each)
            return
        self._current = self._begun(each)
        if current is not None:
            current.end(None, self._current)

    def _begun(self, each: Statement) -> _Run:
        run = _Run([each])
        self.runs.append(run)
        return run


def _ids(groups: Sequence[_Group]) -> list[str]:
    """The ids of these facts: each the id that its first known statement supports.

    If the statement whose own id that is stands in another fact now, that one may claim it; then it is the next
    statement's, or the own id of the first.  So no two facts have one id, and a fact keeps its id when its first
    statement is forgotten.
    """
    place = {each.own: at for at, group in enumerate(groups) for each in group.statements}
    taken: set[str] = set()
    found: list[str] = [""] * len(groups)
    first = [min(group.statements, key=_order) for group in groups]
    for at in sorted(range(len(groups)), key=lambda at: _order(first[at])):
        support = [each.fact for each in sorted(groups[at].statements, key=_order) if each.fact is not None]
        free = (fact for fact in support if fact not in taken and place.get(fact, at) == at)
        found[at] = next(free, first[at].own)
        taken.add(found[at])
    return found
