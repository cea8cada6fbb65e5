"""Noun phrases: where one ends, and what of it is the object of a fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.words import Token

__all__ = [
    "Found",
    "Text",
    "bare",
    "doing",
    "ends",
    "is_cut",
    "is_timely",
    "is_word",
    "is_year",
    "noun",
    "phrase_end",
    "points",
]

_AFTERWARDS = lex.words(
    "too also today tomorrow tonight again soon please instead next this last every now then ago when"
)
_AMOUNTS = lex.words("lot lots bit couple few kind kinds sort sorts type types load loads ton tons bunch variety range")
_DEGREES = lex.words("lot bit little ton bunch great deal tad")
_MORE = lex.words("more less better longer")
_LINKS = lex.words("of with without about by from for")


@dataclass(frozen=True)
class Text:
    """The tokens of a sentence, and the text they come from."""

    tokens: list[Token]
    source: str
    starts: Callable[[int], bool]
    """Whether a clause of its own begins at a token."""

    def low(self, at: int) -> str:
        return self.tokens[at].low if 0 <= at < len(self.tokens) else ""

    def kind(self, at: int) -> str:
        return self.tokens[at].kind if 0 <= at < len(self.tokens) else ""

    def capital(self, at: int) -> bool:
        return 0 <= at < len(self.tokens) and self.tokens[at].capital

    def between(self, start: int, stop: int) -> str:
        """The text of some tokens, on one line."""
        if stop <= start:
            return ""
        return " ".join(self.source[self.tokens[start].start : self.tokens[stop - 1].stop].split())

    def said(self, start: int, stop: int) -> str:
        """The same, with the quotation marks at both ends."""
        if stop <= start:
            return ""
        begin = self.tokens[start].start - (self.tokens[start].kind == "quote")
        return " ".join(
            self.source[begin : self.tokens[stop - 1].stop + (self.tokens[stop - 1].kind == "quote")].split()
        )


Found = tuple[list[str], int] | None
"""Values, and where they end."""


def is_word(text: Text, at: int) -> bool:
    return text.kind(at) in ("word", "number", "quote")


def ends(text: Text, at: int) -> bool:
    """Whether a noun phrase ends before this token."""
    low = text.low(at)
    if not is_word(text, at):
        return True
    if text.kind(at) == "quote" or text.capital(at):
        return low in lex.CONJUNCTIONS
    return (
        low in lex.CONJUNCTIONS
        or low in lex.AUXILIARIES - {"'s"}
        or low in lex.TRAILERS
        or low in lex.SUBORDINATORS
        or low in lex.WH
        or low in lex.PRONOUNS
        or low in lex.PREPOSITIONS
        or low in ("not", "that", "to", "if", "because")
    )


def _is_degree(text: Text, at: int) -> bool:
    """Whether it begins here how much: "a lot", "much", "way more", "any more"."""
    low, after = text.low(at), text.low(at + 1)
    if low in ("a", "an"):
        return after in _DEGREES and text.low(at + 2) != "of"
    return (
        low == "much"
        or (low in ("way", "far", "any", "even", "no") and after in _MORE)
        or (low, after) == ("big", "time")
    )


def is_timely(text: Text, at: int) -> bool:
    """Whether a preposition here begins a phrase of time: "in the morning", "for ten years"."""
    return any(text.low(at + ahead) in lex.TIMES or is_year(text, at + ahead) for ahead in (1, 2, 3))


def is_cut(text: Text, at: int) -> bool:
    """Whether a name is only a part of what is meant: "the GNU tools"."""
    return text.kind(at) == "word" and not ends(text, at) and text.low(at) not in lex.ADVERBS


def is_year(text: Text, at: int) -> bool:
    token = text.low(at)
    return len(token) == 4 and token.isdigit() and token[:2] in ("18", "19", "20")


def phrase_end(text: Text, at: int, links: frozenset[str] = _LINKS) -> int:
    """Where a noun phrase that begins here ends; the same place if there is none."""
    start = at
    while (text.low(at) in lex.DETERMINERS or text.low(at) in lex.OWNERS) and text.kind(at) != "quote":
        at += 1
        if text.low(at) in _AMOUNTS and text.low(at + 1) == "of":
            at += 2
        elif text.low(at) in ("lot", "bit"):
            return start
    if text.low(at) in lex.DEMONSTRATIVES | {"no"} and text.kind(at) != "quote":
        return start
    if text.kind(at) == "quote":
        return at + 1
    first = at
    gerund = text.low(at).endswith("ing") and len(text.low(at)) > 4 and not text.capital(at)
    while at < len(text.tokens):
        if at > first and text.kind(at) == "word" and not text.capital(at) and _is_degree(text, at):
            break
        if not ends(text, at):
            at += 1
        elif at > first and (text.low(at) in links or (gerund and text.low(at) in lex.PREPOSITIONS)):
            if is_timely(text, at) or text.low(at) in ("since", "until", "than", "before", "after", "as", "per"):
                break
            after = at + 1
            while text.low(after) in lex.DETERMINERS or text.low(after) in lex.OWNERS:
                after += 1
            if ends(text, after) or text.low(after) in lex.DEMONSTRATIVES:
                break
            at = after
        else:
            break
    return at if at > first else start


def bare(text: Text, at: int, end: int) -> str:
    """The phrase without its article."""
    while at < end - 1 and text.low(at) in lex.DETERMINERS and not _titled(text, at):
        at += 1
        if text.low(at) in _AMOUNTS and text.low(at + 1) == "of":
            at += 2
    return text.between(at, end)


def _titled(text: Text, at: int) -> bool:
    """Whether an article here belongs to a title: "The Wire"."""
    return at > 0 and text.capital(at) and text.capital(at + 1)


def points(text: Text, at: int, end: int) -> bool:
    """Whether a phrase is of the talk itself ("your answer", "the second option"), or of what somebody else has."""
    if text.low(at) in lex.OWNERS and text.kind(at) != "quote":
        return True
    if text.low(at) == "the" and text.low(at + 1) in lex.ORDINALS:
        return True
    head = next((one for one in range(at, end) if text.low(one) in _LINKS), end)
    return text.low(at) in ("the", "a", "an") and text.low(head - 1) in lex.DEICTIC


def noun(text: Text, at: int) -> Found:
    """A noun phrase without a preposition."""
    end = phrase_end(text, at, frozenset())
    return ([bare(text, at, end)], end) if end > at and not points(text, at, end) else None


def doing(text: Text, at: int) -> Found:
    """What one does or is to do: "to learn Welsh", "learning Welsh"."""
    start = at + (text.low(at) == "to")
    if start == at and not text.low(at).endswith("ing"):
        return None
    end = start
    while end < len(text.tokens) and text.kind(end) in ("word", "number", "quote"):
        if end > start and text.low(end) in lex.CONJUNCTIONS | lex.SUBORDINATORS | _AFTERWARDS:
            break
        if end > start and text.low(end) in lex.PREPOSITIONS and is_timely(text, end):
            break
        end += 1
    return ([text.between(start, end)], end) if end > start else None
