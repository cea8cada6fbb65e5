"""What is believed, by a model that asks about one moment at a time; written from the sentences in
docs/decisions/beliefs.md, not from the code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Said(NamedTuple):
    """What one text said."""

    seq: int
    predicate: str
    object: str
    number: str
    positive: bool
    tense: str
    begin: int | None
    end: int | None
    said: int
    known: int
    wrong: int | None
    single: bool
    apart: str  # what tells facts of one value apart: nothing, the words, or the statement

    @property
    def value(self) -> tuple[str, str, bool]:
        return self.object, self.number, self.positive

    @property
    def slot(self) -> tuple[object, ...]:
        if self.tense != "present":
            return self.predicate, self.tense, self.value
        return (self.predicate,) if self.single else (self.predicate, self.object, self.number)


class Fact(NamedTuple):
    predicate: str
    object: str
    number: str
    positive: bool
    tense: str
    sources: frozenset[int]


def believed(statements: Iterable[Said], at: int, known: int) -> set[Fact]:
    """What holds `at` a time, as far as was `known` at another."""
    seen = [each for each in statements if each.known <= known and (each.wrong is None or known < each.wrong)]
    found: set[Fact] = set()
    for slot in {each.slot for each in seen}:
        here = [each for each in seen if each.slot == slot]
        found.update(_present(here, at) if here[0].tense == "present" else _dated(here, at))
    return found


def _present(here: list[Said], at: int) -> Iterator[Fact]:
    line = sorted(here, key=lambda each: (each.begin, each.seq))
    now = [each for each in line if each.begin <= at]
    last = [each for each in now if each.positive][-1:]  # of the positive statements only the last may hold
    last += {each.object: each for each in now if not each.positive}.values()
    for one in last:
        rivals = [each for each in line if each.object == one.object or (each.positive and one.positive)]
        after = [each for each in rivals[rivals.index(one) + 1 :] if each.begin <= at and each.positive != one.positive]
        if after or _over(one, at):
            continue
        run, place = [one], rivals.index(one)
        for each in rivals[place + 1 :]:  # who says the same, one after the other, and not after it was over
            if not _continues(run[-1], each):
                break
            run.append(each)
        for each in reversed(rivals[:place]):
            if not _continues(each, run[0]):
                break
            run.insert(0, each)
        yield from _facts([each for each in run if each.begin <= at], run, at)


def _continues(one: Said, other: Said) -> bool:
    same = one.value == other.value or (one.object == other.object and not one.positive and not other.positive)
    return same and (one.end is None or other.begin <= max(one.begin, one.end))


def _over(one: Said, at: int) -> bool:
    return one.end is not None and at >= max(one.begin, one.end)


def _facts(begun: list[Said], run: list[Said], at: int) -> Iterator[Fact]:
    for value, apart in {(each.value, each.apart) for each in begun}:
        mine = [each for each in run if (each.value, each.apart) == (value, apart)]
        if not _over(mine[-1], at):
            yield Fact(mine[0].predicate, *value, mine[0].tense, frozenset(each.seq for each in mine))


def _dated(here: list[Said], at: int) -> Iterator[Fact]:
    for apart in {each.apart for each in here}:
        mine = sorted((each for each in here if each.apart == apart), key=lambda each: (each.said, each.seq))
        dated = [each for each in mine if (each.begin, each.end) != (None, None)]
        if dated and dated[-1].begin is not None and dated[-1].begin <= at and not _over(dated[-1], at):
            yield Fact(mine[0].predicate, *mine[0].value, mine[0].tense, frozenset(each.seq for each in mine))
