"""What a rule is: a pattern of a verb and its complement, with the predicates that it states.

A pattern is a row of elements. The first is the verb, by its base form; `be` is any form of "be".

* `in|at`: one of these words; `?also` may be absent;
* `{lives_in:place}`: a value of a kind (see `kinds`), the object of a fact with that predicate;
* `{<manages:name}`: the same, but the value is the fact's subject, and the clause's subject its object;
* `{:noun}`: a value of which nothing is stated;
* `[ at {works_at:name} ]`: elements that may be absent together.

With a `head` the subject is what belongs to somebody: "my *name* is", "Ada's *favorite color* is".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Element", "Group", "Rule", "Slot", "Word", "compiled"]


@dataclass(frozen=True, slots=True)
class Word:
    """One of some words."""

    words: frozenset[str]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A value."""

    predicate: str
    kind: str
    flipped: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Elements that may be absent together."""

    elements: tuple[Element, ...]


Element = Word | Slot | Group


@dataclass(frozen=True)
class Rule:
    """A pattern, sentences that it reads, and sentences that it must not."""

    pattern: str
    reads: tuple[str, ...]
    """Each as "sentence -> subject predicate object", facts separated by ";". A leading "-" is a negative one."""
    ignores: tuple[str, ...]
    fact_type: str = "knowledge"
    confidence: int = 85
    head: str = ""
    subject: Literal["user", "other", "described", "person", "thing", "any"] = "person"
    """Of whom it states something. "other": not the user; "described": by more than one word, "Machu Picchu"."""
    negated: Literal["may", "must", "must not"] = "may"
    """Whether the verb is negated. If it must be, the fact is positive: "I can't stand noise"."""
    modals: frozenset[str] = frozenset()
    """The modal verbs with which it still states something: "I can speak Welsh"."""
    only: Literal["", "simple", "past", "perfect", "future"] = ""
    """The tense in which it states something: "I have been to Rome". "simple": neither the future nor "I'm loving"."""
    imperative: bool = False
    """Also as a request: "Call me Ada"."""
    tense: Literal["", "past", "present", "future"] = ""
    """The tense that it states whatever the verb's form; "present" also of the past: "moved to"."""
    habit: bool = False
    """It states something of the past only with "used to": "I ate the cake" and "I have eaten" are no habit."""
    momentary: bool = False
    """What it states happens at once: in the present progressive it is to come ("I'm visiting Rome in May")."""
    verbs: frozenset[str] = field(init=False)
    elements: tuple[Element, ...] = field(init=False)
    heads: tuple[frozenset[str], ...] = field(init=False)

    def __post_init__(self) -> None:
        first, *rest = self.pattern.split()
        object.__setattr__(self, "verbs", frozenset(first.split("|")))
        object.__setattr__(self, "elements", compiled(rest))
        object.__setattr__(self, "heads", tuple(frozenset(one.split("|")) for one in self.head.split()))

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its values."""
        return frozenset(slot.kind for slot in _slots(self.elements))

    @property
    def predicates(self) -> frozenset[str]:
        """What it states of its values."""
        return frozenset(slot.predicate for slot in _slots(self.elements))

    @property
    def weight(self) -> int:
        """How much of a clause it names: of the rules that fit, the one that names most is tried first."""
        return sum((0 if one.optional else 2) if isinstance(one, Word) else 1 for one in self.elements)


def _slots(elements: tuple[Element, ...]) -> Iterator[Slot]:
    for one in elements:
        if isinstance(one, Group):
            yield from _slots(one.elements)
        elif isinstance(one, Slot):
            yield one


def compiled(words: list[str]) -> tuple[Element, ...]:
    """The elements of a pattern.

    >>> compiled("?only in|at {lives_in:place}".split())[2]
    Slot(predicate='lives_in', kind='place', flipped=False)
    """
    elements: list[Element] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word == "[":
            end = words.index("]", at)
            elements.append(Group(compiled(words[at + 1 : end])))
            at = end
        elif word.startswith("{"):
            predicate, kind = word[1:-1].split(":")
            elements.append(Slot(predicate.lstrip("<"), kind, predicate.startswith("<")))
        else:
            elements.append(Word(frozenset(word.lstrip("?").split("|")), word.startswith("?")))
        at += 1
    return tuple(elements)
