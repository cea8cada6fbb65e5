"""From a sentence to the facts that it states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.grammar import USER, Grammar, Subject, Verb
from cortex_rx.facts.pattern.kinds import KINDS
from cortex_rx.facts.pattern.phrases import bare, is_cut, is_timely, phrase_end, points
from cortex_rx.facts.pattern.rule import Element, Group, Rule, Slot, Word
from cortex_rx.facts.pattern.segments import segments
from cortex_rx.facts.pattern.words import Token, forms

__all__ = ["Reader", "Stated"]

# That something of these kinds has happened is their plain sense.
EVENTS = lex.words("born_on born_in founded founded_on created bought visited happened_on")
MADE = frozenset(["relation", "managers"])
"""Kinds of values that need more than the words: whose they are."""
_LIMITS = lex.words("often always every well daily regularly usually alone only just when if unless before after until")
_NAMES = lex.words("name names work somewhere")
_NO_QUALIFIERS = lex.words("thing things one ones part parts way time place person")
LONGEST = 300  # characters of a clause; what is longer was not read as it was meant
_FAVORITE = re.compile(r"\bfavou?rite (?=\S)", re.IGNORECASE)


@dataclass(frozen=True)
class Stated:
    """A fact that a sentence states."""

    subject: str
    predicate: str
    object: str
    qualifier: str = ""
    negative: bool = False
    tense: str = ""
    text: str = ""
    """The clause that states it."""
    fact_type: str = "relationship"
    confidence: float = 85


def _by(rule: Rule, facts: Iterable[Stated]) -> list[Stated]:
    """The facts, of the type and with the confidence of the rule."""
    return [replace(one, fact_type=rule.fact_type, confidence=rule.confidence) for one in facts]


@dataclass(frozen=True, slots=True)
class _Bound:
    """A value that a rule found, and its slot."""

    slot: Slot
    values: list[str]
    owner: Subject | None = None


class Reader:
    """Reads sentences by some rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: dict[str, list[Rule]] = {}
        self._heads: dict[str, list[Rule]] = {}
        for rule in sorted(rules, key=lambda one: -one.weight):
            for verb in rule.verbs:
                (self._heads if rule.head else self._rules).setdefault(verb, []).append(rule)
        verbs: dict[str, list[tuple[str, frozenset[str]]]] = {}
        for lemma in {*self._rules, *self._heads, *lex.SAYING, *lex.KNOWING, "go", "have"} - {"be"}:
            for word, names in forms(lemma).items():
                verbs.setdefault(word, []).append((lemma, names))
        self._verbs = {word: tuple(sorted(found, key=lambda one: one[0])) for word, found in verbs.items()}

    def read(self, sentence: list[Token], source: str, who: str) -> Iterator[Stated]:
        """The facts of one sentence. `who` is the pronoun that means the user: "i" or "you"."""
        for segment in segments(sentence):
            if segment:
                yield from _Segment(self, Grammar(segment, source, who, self._verbs)).facts()

    def rules(self, verb: str, *, head: bool) -> list[Rule]:
        """The rules of a verb, those that name most first."""
        return (self._heads if head else self._rules).get(verb, [])


class _Segment:
    """Reads one part of a sentence, clause by clause."""

    def __init__(self, reader: Reader, grammar: Grammar) -> None:
        self._reader = reader
        self._grammar = grammar
        self._text = grammar.text
        self._low = grammar.low
        self._length = len(grammar.tokens)
        self._subjects: list[Subject] = []
        self._span = (0, 0)  # the tokens of the subjects
        self._blocked = False

    def facts(self) -> Iterator[Stated]:
        at = 0
        first = True
        while at < self._length and not self._blocked:
            begin = self._opened(at)
            found, end = self._clause(begin, first=first)
            first = False
            at = self._next(max(end, at))
            for one in found:
                stated = one if one.text else replace(one, text=self._said(begin, at))
                if len(stated.text) <= LONGEST and len(stated.object) <= LONGEST // 2:
                    yield stated

    def _said(self, begin: int, end: int) -> str:
        """The text of a clause, with its subject if that stands before it."""
        while end > begin and self._low(end - 1) in (",", "!", ".", "and", "but", "so"):
            end -= 1
        first, last = self._span
        if begin <= first or first == last:
            return self._text.said(begin, end)
        return f"{self._text.said(first, last)} {self._text.said(begin, end)}"

    # --- clauses ------------------------------------------------------------------------------------------------------

    def _opened(self, at: int) -> int:
        """The place of the subject, behind what may open a clause: "Well, these days I ..."."""
        while self._low(at) in lex.OPENERS or self._low(at) in (",", "!", ".", "hmm"):
            at += 1
        if self._low(at) in lex.LEADING and not self._grammar.subjects(at)[0]:
            for ahead in range(at + 1, min(at + 8, self._length)):
                low = self._low(ahead)
                if low == "," or low in lex.AUXILIARIES - {"may"}:
                    after = ahead + 1
                    return after if low == "," else at
                subjects, end = self._grammar.subjects(ahead) if low in lex.PRONOUNS | lex.OWNERS else ([], ahead)
                if subjects and self._grammar.verb(end) is not None:
                    return ahead
        return at

    def _next(self, at: int) -> int:
        """Where the next clause may begin."""
        while at < self._length:
            low = self._low(at)
            if low in (",", "!", ".") or low in ("and", "but", "or", "so", "because", "since", "although", "though"):
                return at + (low in (",", "!", "."))
            if low in ("while", "whereas", "who", "which", "when", "as") and at:
                return at
            at += 1
        return at

    def _clause(self, at: int, *, first: bool) -> tuple[list[Stated], int]:
        """The facts of the clause that begins here, and how far it was read."""
        low = self._low(at)
        if low == "when" and at == 0:
            verb = self._grammar.verb(self._grammar.subjects(1)[1])
            if verb is not None and verb.tense == "past":
                facts, end = self._clause(1, first=False)
                return [one for one in facts if one.tense == "past"], end
        low = self._low(at)
        if low == "what" and (found := self._cleft(at)) is not None:
            return found
        if low in ("when", "until", "before", "after", "once", "unless", "whenever", "where", "how", "what", "why"):
            return [], at + 1
        if low in ("who", "which"):
            if self._subjects and self._subjects[-1].end == -1:
                return self._predicates(self._subjects, at + 1, at)
            return [], at + 1
        if (found := self._favorite(at) or self._cleft(at)) is not None:
            return found
        subjects, end = self._grammar.subjects(at)
        if subjects:
            self._span = (at, end)
            aside, end = self._relative(subjects, end)
            facts, reached = self._predicates(subjects, end, at)
            facts = aside + facts
            if reached > end:
                beside = [one for subject in subjects for one in self._beside(subject)] if facts else []
                return beside + facts, reached
            return self._fragment(at) if first else ([], max(end, at + 1))
        if low in ("you", "i") and low != self._grammar.who:
            verb = self._grammar.verb(at + 1)
            if verb is not None and (found := self._matched(self._nobody(at + 1), verb, at, imperative=True))[0]:
                return found
        if low in ("nobody", "someone", "somebody", "everyone", "everybody", "people", "he", "she", "they", "it"):
            verb = self._grammar.verb(at + 1)
            if verb and low in ("everyone", "everybody", "people"):
                return self._matched(self._nobody(at + 1), verb, at, imperative=True)
            self._subjects = []
            self._judge(verb)
            return [], at + 1
        joined = at > 0 and self._low(at - 1) in ("and", "but", "or", ",") and bool(self._subjects)
        if joined and (verb := self._grammar.verb(at)) is not None and verb.form != "ing":
            facts, reached = self._predicates(self._subjects, at, at)
            return facts, max(reached, at + 1)
        if first:
            return self._fragment(at)
        return [], at + 1

    def _relative(self, subjects: list[Subject], at: int) -> tuple[list[Stated], int]:
        """The facts of "who ..." after a subject, and where its verb begins."""
        begin = at + (self._low(at) == ",")
        if self._low(begin) not in ("who", "which"):
            return [], at
        facts, end = self._predicates(subjects, begin + 1, begin)
        said = self._said(begin + 1, self._next(end))
        facts = [replace(one, text=said) for one in facts]
        while begin > at and end < self._length and self._low(end) != ",":
            end += 1
        return facts, end + (begin > at)

    def _nobody(self, end: int) -> list[Subject]:
        return [Subject(USER, end)]

    def _predicates(self, subjects: list[Subject], at: int, begin: int) -> tuple[list[Stated], int]:
        """The facts of the verb that begins at `at`."""
        verb = self._grammar.verb(at)
        if verb is None:
            return [], at
        self._subjects = subjects
        for subject in subjects:
            if subject.kind == "person" and subject.text != USER:
                self._grammar.last = subject
        if self._judge(verb):
            return [], max(verb.end, at + 1)
        facts, end = self._matched(subjects, verb, begin)
        return facts, max(end, at + 1)

    def _judge(self, verb: Verb | None) -> bool:
        """Whether what follows is said or thought, not stated. Then nothing more is read, unless the user says it of
        himself ("remember that I ...")."""
        if verb is None:
            return False
        at = verb.end
        if verb.lemma == "be" and self._low(at) in lex.JUDGING:
            self._blocked = True
            return True
        if verb.lemma in lex.SAYING or verb.lemma in lex.KNOWING:
            after = at
            while self._low(after) in ("that", "you", "me", "him", "her", "us", "them", "to"):
                after += 1
            if self._low(at) in lex.WH or self._low(at) == ":" or after > at or self._grammar.starts(at):
                stated = verb.lemma in lex.KNOWING and not verb.negative and not verb.modal
                if not stated or self._low(at) in lex.WH:
                    self._blocked = True
                return True
        return False

    def _fragment(self, at: int) -> tuple[list[Stated], int]:
        """The facts of a sentence without a subject: "Allergic to nuts.", "Call me Ada."."""
        verb = self._grammar.verb(at, bare=True)
        if verb is not None and verb.form == "base" and not verb.negative and not verb.modal and verb.lemma != "be":
            facts, end = self._matched([Subject(USER, at)], verb, at, imperative=True)
            return facts, max(end, at + 1)
        if self._grammar.who != "i":
            return [], at + 1
        spoken = any(self._low(one) in lex.AUXILIARIES for one in range(at, self._length))
        if verb is not None and (verb.form == "past" or (verb.form == "ing" and not spoken)) and verb.lemma != "be":
            facts, end = self._matched([Subject(USER, at)], verb, at)
            return facts, max(end, at + 1)
        if self._low(at) in ("allergic", "born", "married", "based", "fluent", "fond", "vegan", "vegetarian"):
            facts, end = self._matched([Subject(USER, at)], Verb("be", at), at)
            return facts, max(end, at + 1)
        return [], at + 1

    def _beside(self, subject: Subject) -> list[Stated]:
        """The relation that a name beside a role states: "my sister Ada"."""
        if subject.name and subject.role in lex.RELATIONS:
            return [self._relation(subject.owner, subject.role, subject.name)]
        return []

    @staticmethod
    def _relation(owner: str, role: str, other: str, tense: str = "") -> Stated:
        """`other` is the `role` of `owner`."""
        predicate, whose = lex.RELATIONS[role]
        one, two = (owner, other) if whose == lex.Y or (whose == lex.BOTH and owner == USER) else (other, owner)
        return Stated(one, predicate, two, tense=tense)

    def _favorite(self, at: int) -> tuple[list[Stated], int] | None:
        """What is somebody's favorite, where that comes first: "Dune is my favorite book"."""
        end = phrase_end(self._text, at)
        verb = self._grammar.verb(end) if end > at and self._low(end) in lex.AUXILIARIES else None
        if verb is None or verb.lemma != "be" or verb.negative or verb.modal:
            return None
        owned = self._grammar.subject(verb.end)
        if owned is None or not owned.owner or not _FAVORITE.search(owned.noun):
            return None
        rules = self._reader.rules("be", head=True)
        rule = next((one for one in rules if one.heads[-1] == frozenset("*")), None)
        qualifier, after = self._kind_of(_FAVORITE.split(owned.noun, maxsplit=1)[-1], owned.end)
        if rule is None or points(self._text, at, end) or qualifier in _NO_QUALIFIERS:
            return None
        return _by(
            rule, [Stated(owned.owner, "favorite", bare(self._text, at, end), qualifier, tense=verb.tense)]
        ), after

    def _cleft(self, at: int) -> tuple[list[Stated], int] | None:
        """What is liked, where that comes last: "What I like most is silence", "The thing that I hate is noise"."""
        start = next((one for one in range(at + 1, at + 5) if self._low(one) == self._grammar.who), 0)
        if self._low(at) not in ("the", "what") or not start:
            return None
        verb = self._grammar.verb(start + 1)
        rules = [] if verb is None or verb.modal else self._reader.rules(verb.lemma, head=False)
        liking = next((one for one in rules if one.fact_type == "preference" and len(one.elements) == 1), None)
        if verb is None or liking is None:
            return None
        end = verb.end
        while self._low(end) in ("the", "most", "best", "least", "really", "more", "than", "anything"):
            end += 1
        be = self._grammar.verb(end)
        found = KINDS["things"](self._text, be.end) if be is not None and be.lemma == "be" and not be.negative else None
        if found is None:
            return None
        predicate = next(one.predicate for one in liking.elements if isinstance(one, Slot))
        liked = (Stated(USER, predicate, one, "", verb.negative, verb.tense) for one in found[0])
        return _by(liking, liked), found[1]

    def _kind_of(self, noun: str, at: int) -> tuple[str, int]:
        """The noun of a favorite with what follows it: "genre of music", but not "film of all time"."""
        if self._low(at) != "of":
            return noun, at
        end = phrase_end(self._text, at + 1)
        timely = self._low(end - 1) in ("time", "times") or end == at + 1
        return (noun if timely else f"{noun} of {self._text.between(at + 1, end)}"), end

    # --- rules --------------------------------------------------------------------------------------------------------

    def _matched(
        self, subjects: list[Subject], given: Verb, begin: int, *, imperative: bool = False
    ) -> tuple[list[Stated], int]:
        """The facts of the first rule that fits, and where its pattern ends."""
        if given.going:
            return self._going(subjects, given)
        plain = replace(given, lemma="be", end=given.after_be, progressive=False) if given.after_be else given
        for head in (True, False):  # "my hobby is playing chess" is of the hobby
            verb = plain if head else given
            for rule in self._reader.rules(verb.lemma, head=head):
                if imperative and not rule.imperative:
                    continue
                fitting = [one for one in subjects if self._fits(rule, one, verb)]
                if len(fitting) < len(subjects):
                    continue
                bound = self._elements(rule.elements, verb.end)
                if bound is None or (verb.negative and self._limited(bound[1])):
                    continue
                if self._is_choice(rule, verb, bound[1]):
                    return [], bound[1]
                facts = _by(rule, (fact for one in fitting for fact in self._facts(rule, one, verb, bound[0])))
                while (more := self._again(rule, bound[1])) is not None:
                    facts += _by(rule, (fact for one in fitting for fact in self._facts(rule, one, verb, more[0])))
                    bound = more
                if facts or not any(one.slot.predicate for one in bound[0]):
                    self._follow(bound[0], facts)
                    return facts, bound[1]
        return [], given.end

    def _again(self, rule: Rule, at: int) -> tuple[list[_Bound], int] | None:
        """The pattern once more: "a dog named Rex and a cat called Tom"."""
        if self._low(at) not in ("and", ",") or not isinstance(rule.elements[-1], Group):
            return None
        found = self._elements(rule.elements, at + 1 + (self._low(at + 1) == "and"))
        return found if found is not None and len(found[0]) > 1 else None

    def _is_choice(self, rule: Rule, verb: Verb, end: int) -> bool:
        """Whether it is left open which: "I live in Kiel or Bonn". One who likes tea or coffee likes both."""
        habit = rule.fact_type == "preference" and not (rule.head or rule.imperative)
        after = end + (self._low(end) == ",")
        return not (verb.negative or habit) and any(self._low(at) == "or" for at in (*range(verb.end, end), after))

    def _limited(self, at: int) -> bool:
        """Whether what follows takes back a part of a "not": "not very well", "never after noon", "not every day"."""
        if self._low(at) in ("very", "too", "so", "that"):
            return self._low(at + 1) in ("well", "often")
        timely = self._low(at) in lex.PREPOSITIONS and is_timely(self._text, at)
        return self._low(at) in _LIMITS or timely

    def _going(self, subjects: list[Subject], verb: Verb) -> tuple[list[Stated], int]:
        """ "is going to run a marathon": what a rule reads of it, or a plan."""
        if verb.tense == "past" or verb.modal:
            return [], verb.end
        found = KINDS["doing"](self._text, verb.going - 1)
        dated = any(token.low in lex.TIMES for token in self._grammar.tokens)  # else it is of the moment
        rule = next(iter(self._reader.rules("plan", head=False)), None)
        if rule is None or found is None or not dated or self._low(verb.going) in ("be", "need", "have"):
            return [], verb.end
        plans = (Stated(one.label, "plans_to", found[0][0], "", verb.negative, "future") for one in subjects)
        return _by(rule, plans), found[1]

    def _follow(self, bound: list[_Bound], facts: list[Stated]) -> None:
        """Remember of whom a relative clause after the value is: "a sister who lives in Leeds"."""
        last = bound[-1] if bound else None
        if self._subjects and last is not None and last.slot.kind == "kin" and facts:
            noun = last.values[-1].lower().rpartition(" ")[2]
            self._subjects = [Subject(f"{self._subjects[-1].label}'s {noun}", -1, owner=USER, noun=noun)]

    def _fits(self, rule: Rule, subject: Subject, verb: Verb) -> bool:
        if rule.head and not self._headed(rule, subject):
            return False
        if rule.subject == "described" and subject.kind == "person" and " " not in subject.text:
            return False  # "Anna is in Accounting"
        if rule.subject in ("thing", "described") and not rule.head:
            owned = subject.text == USER or bool(subject.owner)
            if subject.kind == "person" and owned:
                return False
            if subject.owner and rule.fact_type == "knowledge" and subject.role not in lex.BUILDINGS:
                return False  # "my heart is in Ireland"
        if rule.subject == "person" and not rule.head and subject.kind == "thing":
            return False
        if verb.modal and verb.modal not in rule.modals:
            return False
        if (rule.only == "perfect" and not verb.perfect) or (
            rule.only == "past" and verb.tense != "past" and not verb.perfect
        ):
            return False
        if rule.only == "simple" and (verb.progressive or verb.tense == "future" or verb.form == "ing"):
            return False
        if verb.form == "base" and verb.lemma != "be" and self._singular(subject):
            return False  # "Sounds like fun"
        if rule.only == "future" and verb.tense != "future" and (verb.tense == "past" or not verb.progressive):
            return False
        lasting = verb.progressive or verb.negative or (rule.fact_type == "preference" and rule.only == "simple")
        once = verb.tense == "past" or (verb.perfect and not lasting)  # "I have always liked" still holds
        if rule.habit and once and not verb.used:
            return False
        if rule.subject == "other" and (subject.text == USER or subject.kind == "thing"):
            return False
        if rule.tense == "future" and (verb.tense == "past" or verb.perfect):
            return False  # "I planned to"
        if rule.subject == "user" and subject.text != USER:
            return False
        if verb.form == "base" and verb.lemma == "found":  # "found" is the past of "find"
            return False
        return not (rule.negated == "must" and not verb.negative) and not (rule.negated == "must not" and verb.negative)

    def _singular(self, subject: Subject) -> bool:
        """Whether a subject is one person or thing by its name, so that its verb ends with "s"."""
        named = subject.kind == "person" and subject.text != USER and not subject.owner
        return named and len(self._subjects) == 1 and " " not in subject.text

    def _headed(self, rule: Rule, subject: Subject) -> bool:
        """Whether what belongs to somebody is what the rule is about."""
        if not subject.owner:
            return False
        words = subject.noun.lower().split()
        for head in rule.heads:
            if head == frozenset("*"):
                return bool(words)
            optional = any(word.startswith("?") for word in head)
            names = {word.lstrip("?") for word in head}
            if words and words[0] in names:
                words.pop(0)
            elif not optional:
                return False
        return not words

    def _elements(self, elements: Iterable[Element], at: int) -> tuple[list[_Bound], int] | None:
        bound: list[_Bound] = []
        for element in elements:
            if isinstance(element, Group):
                more = self._elements(element.elements, at)
                if more is not None:
                    bound += more[0]
                    at = more[1]
                continue
            if isinstance(element, Word):
                where = at
                words = element.words
                if "me" in words and self._grammar.who != "i":
                    words = frozenset(["you"])
                while self._low(where) in lex.ADVERBS and self._low(where) not in words:
                    where += 1
                if self._low(where) in words:
                    at = where + 1
                elif not element.optional:
                    return None
                continue
            if element.kind not in ("self",):
                while self._low(at) in lex.ADVERBS - {"both", "either", "all"} and not self._text.capital(at):
                    at += 1
            if element.kind == "relation":
                owned = self._grammar.subject(at)
                if owned is None or not owned.owner or owned.role not in lex.RELATIONS:
                    return None
                bound.append(_Bound(element, [owned.label], owned))
                at = owned.end
                continue
            if element.kind == "managers":
                me = ("me",) if self._grammar.who == "i" else ("you",)
                found = (
                    ([USER], at + 1)
                    if self._low(at) in me
                    else KINDS["name"](self._text, at)
                    if self._text.capital(at)
                    else None
                )
            elif element.kind == "given" and not self._grammar.shouted:
                found = KINDS["name"](self._text, at)
            else:
                found = KINDS[element.kind](self._text, at)
            if found is None or not all(found[0]) or self._low(found[1] - 1) in lex.PREPOSITIONS:
                return None
            if self._low(found[1]) == "'s" or (element.kind in _NAMES and is_cut(self._text, found[1])):
                return None
            bound.append(_Bound(element, found[0]))
            at = found[1]
        return bound, at

    def _facts(self, rule: Rule, subject: Subject, verb: Verb, bound: list[_Bound]) -> Iterator[Stated]:
        negative = verb.negative and rule.negated != "must"
        tense = verb.tense
        if rule.tense == "present":
            tense = "" if tense == "past" else tense
        elif rule.tense:
            tense = rule.tense
        if rule.momentary and verb.progressive and tense != "past":
            tense = "future"
        who, qualifier = USER if rule.imperative else subject.label, ""
        if rule.head:
            who = subject.owner
            if rule.heads[-1] == frozenset("*"):
                qualifier = _FAVORITE.split(subject.noun, maxsplit=1)[-1]
                if qualifier == subject.noun or qualifier in _NO_QUALIFIERS:
                    return
        for one in bound:
            predicate = one.slot.predicate
            when = "" if tense == "past" and predicate in EVENTS else tense
            if predicate == "owner" and one.owner is not None:
                yield self._relation(one.owner.owner, one.owner.role, who, when)
                continue
            for value in one.values:
                if predicate == "relation":
                    if one.slot.kind == "kin":
                        yield self._kin(who, value, negative, when)
                    elif subject.owner and subject.role in lex.RELATIONS:
                        yield self._relation(subject.owner, subject.role, value, when)
                elif predicate == "has_name" and len(bound) > 1:
                    noun = bound[0].values[-1]
                    yield Stated(f"{who}'s {noun}", predicate, value, "", False, when)
                elif one.slot.flipped:
                    yield Stated(value, predicate, who, qualifier, negative, when)
                elif predicate:
                    yield Stated(who, predicate, value, qualifier, negative, when)

    def _kin(self, who: str, value: str, negative: bool, tense: str) -> Stated:
        found = self._relation(who, value.lower().rpartition(" ")[2], value, tense)
        return Stated(found.subject, found.predicate, found.object, "", negative, tense)
