"""Subjects and verbs of one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.phrases import Text
from cortex_rx.facts.pattern.words import NEGATIVE, Token

__all__ = ["USER", "Grammar", "Subject", "Verb"]

USER = "user"
DEPTH = 5  # of "Ada's sister's dog's name"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who or what a clause is about.

    `text` is "user", "Ada", "user's sister".  `owner` and `noun` are its parts if it belongs to somebody: "user",
    "sister"; `name` is set beside: "my sister *Ada*".
    """

    text: str
    end: int
    kind: Literal["person", "thing"] = "person"
    owner: str = ""
    noun: str = ""
    name: str = ""
    plural: bool = False

    @property
    def label(self) -> str:
        return self.name or self.text

    @property
    def role(self) -> str:
        """The last word of the noun: "sister" of "older sister"."""
        return self.noun.lower().rpartition(" ")[2]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb with what stands before it: its base form, tense, polarity, and where its complement begins."""

    lemma: str
    end: int
    tense: str = ""
    negative: bool = False
    modal: str = ""
    perfect: bool = False
    progressive: bool = False
    form: str = "base"
    used: bool = False
    """Whether it is "used to"."""
    after_be: int = 0
    """Where what follows the "be" of a progressive begins."""
    going: int = 0
    """Where the infinitive begins of "is going to live"."""


class Grammar:
    """What the tokens of one sentence are. `who` is the pronoun that means the user: "i" or "you"."""

    def __init__(
        self, tokens: list[Token], source: str, who: str, verbs: Mapping[str, tuple[tuple[str, frozenset[str]], ...]]
    ) -> None:
        self.tokens = tokens
        self.text: Text = Text(tokens, source, self.starts)
        self.who = who
        self._mine = ("my", "our") if who == "i" else ("your",)
        self._verbs = verbs
        self._depth = 0
        self.shouted: bool = not any(token.text != token.low for token in tokens if token.low != "i")
        self.last: Subject | None = None
        """The person spoken of last, for "he" and "her"."""

    def low(self, at: int) -> str:
        return self.text.low(at)

    # --- subjects -----------------------------------------------------------------------------------------------------

    def subjects(self, at: int) -> tuple[list[Subject], int]:
        """The subjects that begin here, as in "my wife and I", and where they end."""
        first = self.subject(at)
        if first is None:
            return [], at
        found = [first]
        end = first.end
        while self.low(end) in ("and", "&") and len(found) < 5:
            before, self.last = self.last, found[-1] if found[-1].kind == "person" else self.last
            more = self.subject(end + 1)
            if more is None and first.owner and self.low(end + 1) in lex.PERSONS:  # "my mum and dad"
                more = self._owned(first.owner, end + 1)
            self.last = before
            if more is None:
                break
            found.append(more)
            end = more.end
        return found, end

    def subject(self, at: int) -> Subject | None:
        """The subject that begins here, if one does."""
        low = self.low(at)
        if self.text.kind(at) == "quote":
            return Subject(self.text.between(at, at + 1), at + 1, "thing")
        if low == self.who or (low == "we" and self.who == "i"):
            return Subject(USER, at + 1)
        if low in ("he", "she", "they"):
            return None if self.last is None else replace(self.last, end=at + 1, noun="")
        if low in self._mine:
            return self._owned(USER, at + 1)
        if low in ("his", "her", "their"):
            return None if self.last is None else self._owned(self.last.label, at + 1)
        if low in lex.PRONOUNS or low in lex.OWNERS or low in lex.DEMONSTRATIVES or low in ("there", "here"):
            return None
        start = at
        if low in ("the", "this"):
            at += 1
        end = self._noun_end(at, named=self.text.capital(at) and low != "the")
        if end == at:
            return None
        named = all(self.text.capital(one) or self.low(one) in ("of", ".") for one in range(at, end))
        if not named and start == at:
            return None
        if at == start and at == 0 and self._is_common(self.low(at)):
            return None
        text = self.text.between(at, end)
        noun = self.low(end - 1)
        person = (named and start == at) or noun in lex.PERSONS or noun in lex.OCCUPATIONS
        subject = Subject(text, end, "person" if person else "thing", noun=text)
        return self._belonging(subject)

    @staticmethod
    def _is_common(low: str) -> bool:
        """Whether a word at the begin of a sentence is probably no name."""
        return low in lex.COMMON or (low.endswith("ing") and len(low) > 5)

    def _noun_end(self, at: int, *, named: bool = False) -> int:
        """Where the noun phrase of a subject ends: before a verb, an adverb, or what cannot be part of it."""
        first = at
        while self.text.kind(at) in ("word", "number", "quote") or (
            self.low(at) == "." and self.low(at - 1) in lex.TITLES and at > first
        ):
            low = self.low(at)
            if low == "." or (self.text.capital(at) and low not in lex.PRONOUNS):
                at += 1
                continue
            if low in ("of", "de", "van", "von") and at > first and (self.text.capital(at + 1) or low == "of"):
                if low == "of" and not (self.text.capital(at - 1) and self.text.capital(at + 1)):
                    break
                at += 1
                continue
            if (
                named
                or low == "'s"
                or low in lex.AUXILIARIES
                or low in lex.CONJUNCTIONS
                or low in lex.PREPOSITIONS
                or low in lex.WH
                or low in lex.PRONOUNS
                or low in lex.OWNERS
                or low in ("not", "never", "that", "no", "neither")
                or low in lex.ARTICLES
            ):
                break
            if at > first and (low in lex.ADVERBS or (low in self._verbs and not self._attributive(at))):
                break
            at += 1
        return at

    def _attributive(self, at: int) -> bool:
        """Whether a word that could be a verb is a noun here: "my favorite plays are"."""
        return self.low(at - 1) in lex.ADJECTIVES or self.low(at + 1) in lex.BE

    def _owned(self, owner: str, at: int) -> Subject | None:
        """What belongs to `owner`: its noun begins here."""
        start = at
        while not self.text.capital(at) and self.text.kind(at) in ("word", "number"):
            end = self._noun_end(at)
            # "my sister Ada": the name is apart
            cut = next((one for one in range(at + 1, end) if self.text.capital(one)), end)
            if self._names(start, cut):
                name = self.text.between(cut, end) if cut < end else ""
                return self._made(owner, start, cut, end, name)
            if end == at:
                return None
            return self._made(owner, start, end, end, "")
        end = self._noun_end(at)
        return self._made(owner, start, end, end, "") if end > at else None

    def _names(self, start: int, cut: int) -> bool:
        """Whether a name may stand beside the noun that ends here: a person's or an animal's."""
        return cut > start and (self.low(cut - 1) in lex.PERSONS or self.low(cut - 1) in lex.PETS)

    def _made(self, owner: str, start: int, cut: int, end: int, name: str) -> Subject:
        noun = self.text.between(start, cut)
        last = self.low(cut - 1)
        person = last in lex.PERSONS or last in lex.PETS
        if not name and self.low(end) == "," and self._names(start, cut) and self.text.capital(end + 1):
            stop = end + 1
            while self.text.capital(stop):
                stop += 1
            if self.low(stop) == ",":  # "my sister, Ada, lives"
                name, end = self.text.between(end + 1, stop), stop + 1
        elif not name and self.low(end) == "," and self.low(end + 1) in ("a", "an", "the"):
            stop = end + 1
            while stop < min(len(self.tokens), end + 8) and self.low(stop) != ",":
                stop += 1
            if self.low(stop) == "," and stop + 1 < len(self.tokens):  # "my aunt, a retired judge, knows"
                end = stop + 1
        subject = Subject(
            f"{owner}'s {noun}", end, "person" if person else "thing", owner, noun, name, last.endswith("s")
        )
        return self._belonging(subject)

    def _belonging(self, subject: Subject) -> Subject:
        """The subject, or what belongs to it: "my sister" or "my sister's dog"."""
        at = subject.end
        if self._depth >= DEPTH:
            return subject
        self._depth += 1
        try:
            return self._possessed(subject, at)
        finally:
            self._depth -= 1

    def _possessed(self, subject: Subject, at: int) -> Subject:
        if self.low(at) == "'s" and not self._is_copula(at):
            inner = self._owned(subject.label, at + 1)
            return inner or subject
        if self.text.low(at) == "'" and subject.text.endswith("s") and self.text.kind(at + 1) == "word":
            return self._owned(subject.label, at + 1) or subject
        if self.low(at) == "of" and not subject.owner:
            mine = self.low(at + 1) in self._mine
            inner = self._owned(USER, at + 2) if mine else (self.subject(at + 1) if self.text.capital(at + 1) else None)
            if inner is not None and inner.text != USER:
                whole = f"{inner.label}'s {subject.text}" if mine else f"{subject.text} of {inner.label}"
                return Subject(whole, inner.end, "thing", inner.label, subject.text)
        return subject

    def _is_copula(self, at: int) -> bool:
        """Whether 's is "is" or "has" here."""
        after = self.low(at + 1)
        return (
            after in lex.COPULAR
            or after in lex.OCCUPATIONS
            or after in lex.DIETS
            or after in lex.STATUSES
            or after in ("got", "been")
            or (after.endswith("ing") and after in self._verbs)
            or self.text.kind(at + 1) in ("number", "mark", "")
        )

    # --- verbs --------------------------------------------------------------------------------------------------------

    def starts(self, at: int) -> bool:
        """Whether a clause of its own begins here: a subject and a verb, or a verb with its complement."""
        subjects, end = self.subjects(at)
        if not subjects:
            finite = any(names - {"ing", "participle"} for _, names in self._forms(at)) and not self.text.capital(at)
            return (
                finite
                and self.text.kind(at + 1) in ("word", "number", "quote")
                and self.low(at + 1) not in (lex.CONJUNCTIONS | {"of", "by"})
            )
        low = self.low(end)
        return low in lex.AUXILIARIES or low in lex.ADVERBS or low in self._verbs

    def verb(self, at: int, *, bare: bool = False) -> Verb | None:
        """The verb that begins here, with its auxiliaries. `bare`: also a participle alone ("living in Leeds")."""
        tense, modal, lemma = "", "", ""
        negative = perfect = be = did = rather = used = False
        while True:
            low = self.low(at)
            if low in NEGATIVE and self.low(at + 1) in lex.PARTLY:
                return None
            if low in NEGATIVE or (low == "no" and self.low(at + 1) == "longer"):
                negative = True
                at += 2 if low == "no" else 1
            elif low == "used" and self.low(at + 1) == "to" and not be:
                tense, used = "past", True
                at += 2
            elif low == "rather" and modal:
                rather = True
                at += 1
            elif low in lex.ADVERBS and low not in ("kind", "sort", "soon", "like"):
                at += 1
            elif low in ("will", "shall"):
                tense, at = "future", at + 1
            elif low in lex.MODALS:
                modal, at = low, at + 1
            elif low in ("do", "does", "did"):
                if did or not self._auxiliary(at):
                    return None
                did, at = True, at + 1
                tense = "past" if low == "did" else tense
            elif low in ("am", "is", "are", "was", "were", "be", "been", "being", "'s"):
                if low == "'s" and self.low(at + 1) in ("got", "been"):
                    perfect, at = self.low(at + 1) == "been", at + 1
                    if self.low(at) == "got":
                        return Verb("have", at + 1, tense, negative, modal)
                    continue
                if be:
                    break
                be = True
                tense = "past" if low in ("was", "were") else tense
                at += 1
            elif rather:
                break
            elif low in ("have", "has", "had") and not be:
                after = at + 1
                while self.low(after) in lex.ADVERBS or self.low(after) in NEGATIVE:
                    after += 1
                nearby = self._forms(after)
                known = bool(nearby) or self.low(after) in ("got", "been")
                if not known and (self.low(after - 1) == "not" or self._is_participle(after)):
                    return None  # a perfect of a verb that no rule knows
                if self.low(after) == "got" and low != "had":
                    negative |= any(self.low(one) in NEGATIVE for one in range(at, after))
                    return Verb("have", after + 1, tense, negative, modal)
                if self.low(after) == "been" or any("participle" in names for _, names in nearby):
                    perfect, at = True, at + 1
                    tense = "past" if low == "had" else tense
                    continue
                return self._done(Verb("have", at + 1, "past" if low == "had" else tense, negative, modal, perfect))
            else:
                break
        if rather:
            return Verb("prefer", at + 1 if self._plain(at) else at, tense, negative, "")
        if be and self.low(at) == "going" and self.low(at + 1) == "to" and self._infinitive(at + 2):
            return Verb("go", at + 1, tense, negative, modal, perfect, True, "ing", after_be=at, going=at + 2)
        found = self._forms(at)
        if be:
            for lemma, names in found:
                if "ing" in names:
                    return self._done(Verb(lemma, at + 1, tense, negative, modal, perfect, True, "ing", after_be=at))
            return self._done(Verb("be", at, tense, negative, modal, perfect))
        helped = did or bool(modal) or tense == "future"
        for lemma, names in found:
            if perfect and "participle" in names:
                return self._done(Verb(lemma, at + 1, tense, negative, modal, True, False, "participle"))
            if perfect:
                continue
            if "base" in names or "third" in names:
                form = "helped" if helped or used else "base" if "base" in names else "third"
                return self._done(Verb(lemma, at + 1, tense, negative, modal, form=form, used=used))
            if "past" in names and not helped:
                return self._done(Verb(lemma, at + 1, "past", negative, modal, form="past"))
            if bare and names & {"ing", "participle"}:
                return self._done(Verb(lemma, at + 1, tense, negative, modal, form="ing"))
        return None

    def _is_participle(self, at: int) -> bool:
        """Whether a word looks like the participle of a verb that no rule knows: "has joined a club"."""
        word, after = self.low(at), self.low(at + 1)
        governs = after in lex.DETERMINERS | lex.OWNERS | lex.DEMONSTRATIVES | lex.PREPOSITIONS
        return word.endswith(("ed", "en", "wn", "ught")) and governs

    def _infinitive(self, at: int) -> bool:
        """Whether "to" is followed by a verb here, not by a place."""
        low = self.low(at)
        if self._forms(at):
            return low not in ("work",) or self.text.kind(at + 1) == "word"
        placed = (
            low in lex.DETERMINERS
            or low in lex.OWNERS
            or low in ("school", "bed", "church", "town", "sleep", "hospital")
        )
        return self.text.kind(at) == "word" and not self.text.capital(at) and not placed

    def _done(self, verb: Verb) -> Verb | None:
        """The verb, with the "not" and the adverbs after it. None if that denies only a part."""
        at, negative = verb.end, verb.negative
        while self.low(at) in NEGATIVE or (self.low(at) == "no" and self.low(at + 1) == "longer"):
            if self.low(at + 1) in lex.PARTLY:
                return None
            negative = True
            at += 2 if self.low(at) == "no" else 1
        return replace(verb, end=at, negative=negative)

    def _auxiliary(self, at: int) -> bool:
        after = at + 1
        while self.low(after) in lex.ADVERBS or self.low(after) in NEGATIVE:
            after += 1
        return any("base" in names for _, names in self._forms(after)) or self.low(after) == "have"

    def _plain(self, at: int) -> bool:
        return self.text.kind(at) == "word" and self.low(at) not in lex.ARTICLES

    def _forms(self, at: int) -> tuple[tuple[str, frozenset[str]], ...]:
        """The verbs of which this word may be a form."""
        return self._verbs.get(self.low(at), ()) if self.text.kind(at) == "word" else ()
