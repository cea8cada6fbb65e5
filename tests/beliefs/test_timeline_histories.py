"""10,000 random histories of statements, corrections, retractions, rollbacks and late arrivals: what is believed about
any time, as far as was known at any other, is what a model says that looks at one moment at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random
from typing import get_args

import pytest
from helpers.belief_model import Fact, Said, believed

from cortex_rx.beliefs.normal import STRATEGIES, Strategy, keys, signature
from cortex_rx.beliefs.reading import Polarity, Tense
from cortex_rx.beliefs.timeline import Belief, Statement, fold

PREDICATES = ("lives_in", "works_at", "likes")
OBJECTS = ("Rome", "Paris", "Oslo")
TIMES = 24
"""Few, so that statements meet."""


def _polarity(positive: bool) -> Polarity:
    return "positive" if positive else "negative"


def _tense(tense: str) -> Tense:
    found: Tense = next(each for each in get_args(Tense) if each == tense)
    return found


class History:
    """A store of statements, and what the model knows of them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.strategy: Strategy = self.random.choice(STRATEGIES)
        self.now = 0
        self.seq = 0
        self.statements: dict[int, Statement] = {}
        self.model: dict[int, Said] = {}
        self.streams: dict[int, list[int]] = {}
        self.provisional: list[tuple[Statement, Said]] = []
        self.believed: list[Belief] = []
        """What is believed now."""
        self.done: Counter[str] = Counter()

    def run(self, steps: int) -> None:
        """Do so many things at random."""
        for _ in range(steps):
            self.now += self.random.choice((0, 1, 1, 2))
            what = self.random.choice(
                (self.say, self.say, self.say, self.again, self.publish, self.correct, self.retract, self.undo)
            )
            what()
            self._settle()
            self.done[what.__name__] += 1

    # --- what happens ---

    def say(self) -> None:
        """A stream is stored that says one thing or several."""
        self.streams[len(self.streams)] = [self._add(*self._anything()) for _ in range(self.random.choice((1, 1, 2)))]

    def again(self) -> None:
        """Something is said again, in the same words or others."""
        if self.model:
            known = self.random.choice(list(self.model.values()))
            words = self.random.choice(("", " indeed"))
            self.streams[len(self.streams)] = [
                self._add(known.predicate, known.object, known.number, known.positive, known.tense, words)
            ]

    def publish(self) -> None:
        """A stream that began earlier is finalized: what it said becomes known only now."""
        told, self.provisional = self.provisional, []
        for statement, said in told:
            self.statements[said.seq] = replace(statement, known=self.now)
            self.model[said.seq] = said._replace(known=self.now)
        seq = self._add(*self._anything())
        self.provisional.append((self.statements.pop(seq), self.model.pop(seq)))

    def correct(self) -> None:
        """A fact was wrong, and another takes its place, with the same times."""
        if self.believed:
            wrong = self.random.choice(self.believed)
            self._close(wrong)
            old = self.model[wrong.statements[0].seq]
            begin, end = wrong.valid_from, wrong.words.valid_until
            self._add(old.predicate, self.random.choice(OBJECTS), old.number, old.positive, old.tense, "", (begin, end))

    def retract(self) -> None:
        """A fact was wrong."""
        if self.believed:
            self._close(self.random.choice(self.believed))

    def undo(self) -> None:
        """A stream is rolled back, or its message is forgotten: as if it had never been."""
        if self.streams:
            for seq in self.streams.pop(self.random.choice(list(self.streams))):
                del self.statements[seq], self.model[seq]

    # --- how ---

    def _anything(self) -> tuple[str, str, str, bool, str, str]:
        choose = self.random.choice
        return (
            choose(PREDICATES), choose(OBJECTS), choose(("", "", "", "2")), choose((True, True, False)),
            choose(("present",) * 6 + ("past", "future")), choose(("", " indeed")),
        )  # fmt: skip

    def _add(
        self, predicate: str, object: str, number: str, positive: bool, tense: str, words: str,
        times: tuple[int | None, int | None] | None = None,
    ) -> int:  # fmt: skip
        seq = self.seq = self.seq + 1
        text = f"Ada {predicate} {object} {number}{words}"
        said = signature(text, "Ada", predicate, object, polarity=_polarity(positive), tense=_tense(tense))
        key = keys(said, self.strategy, own=f"f{seq}")
        told = self.now if self.random.random() < 0.8 else self.random.randrange(self.now + 1)
        begin, end = times or self._times(tense, told)
        self.statements[seq] = Statement(
            seq=seq, own=f"f{seq}", fact=None, slot=key.slot, value=key.value, merge=key.merge, valid_from=begin,
            valid_until=end, said=told, known=self.now, messages=(f"m{seq}",), confidence=80,
        )  # fmt: skip
        apart = {"none": str(seq), "exact": words}.get(self.strategy, "")
        self.model[seq] = Said(
            seq, predicate, object, number, positive, tense, begin, end, told, self.now, None, predicate != "likes",
            apart,
        )  # fmt: skip
        return seq

    def _times(self, tense: str, told: int) -> tuple[int | None, int | None]:
        """Mostly since it was said; or since another time, long ago or to come; perhaps until another."""
        if tense != "present" and self.random.random() < 0.5:
            return None, None
        begin = told if self.random.random() < 0.6 else self.random.randrange(TIMES)
        return begin, (self.random.randrange(TIMES) if self.random.random() < 0.2 else None)

    def _close(self, fact: Belief) -> None:
        for each in fact.statements:
            self.statements[each.seq] = replace(self.statements[each.seq], until=self.now)
            self.model[each.seq] = self.model[each.seq]._replace(wrong=self.now)

    def _settle(self) -> None:
        """Each statement carries the id of its fact.  No two facts share one, and a fact keeps its id."""
        before, facts = self.believed, self.facts()
        self.believed = facts
        assert len({each.fact_id for each in facts}) == len(facts)
        known = {each.fact_id for each in before}
        place = {one.seq: each for each in facts for one in each.statements}
        for old in before:
            parts = {place[each.seq].fact_id for each in old.statements if each.seq in place}
            assert not parts or old.fact_id in parts or parts <= known, "neither itself nor part of another"
        for seq, fact in place.items():
            if self.statements[seq].fact != fact.fact_id:
                self.statements[seq] = replace(self.statements[seq], fact=fact.fact_id)

    # --- what is asked ---

    def facts(self, known_at: int | None = None) -> list[Belief]:
        slots: dict[str, list[Statement]] = defaultdict(list)
        for each in self.statements.values():
            slots[each.slot].append(each)
        return [belief for each in slots.values() for belief in fold(each, known_at)]

    def shown(self, belief: Belief) -> Fact:
        one = self.model[belief.statements[0].seq]
        sources = frozenset(each.seq for each in belief.statements)
        return Fact(one.predicate, one.object, one.number, one.positive, one.tense, sources)


def check(seed: int) -> History:
    history = History(seed)
    history.run(12)
    for known_at in history.random.sample(range(history.now + 1), min(4, history.now + 1)):
        facts = history.facts(known_at)
        for time in history.random.sample(range(TIMES), 5):
            found = {history.shown(each) for each in facts if each.holds_at(time)}
            expected = believed(history.model.values(), time, known_at)
            assert found == expected, f"history {seed} at {time} as known at {known_at}"
    return history


def check_all(seeds: range) -> None:
    done = sum((each.done for each in map(check, seeds)), Counter[str]())
    assert min(done[each] for each in ("say", "again", "publish", "correct", "retract", "undo")) > len(seeds)


def test_200_histories() -> None:
    check_all(range(200))


@pytest.mark.slow(reason="10,000 histories of statements")
@pytest.mark.parametrize("lot", range(20))
def test_all_histories(lot: int) -> None:
    check_all(range(500 * lot, 500 * (lot + 1)))
