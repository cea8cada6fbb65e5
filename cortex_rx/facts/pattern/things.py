"""Things: what one likes, owns, reads or works on."""

from __future__ import annotations

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.names import name
from cortex_rx.facts.pattern.phrases import Found, Text, bare, doing, ends, phrase_end, points

__all__ = ["bought", "infinitive", "lasting", "played", "preferred", "project", "thing"]

_LASTING = lex.words("news newspaper paper papers bible classics")
_COMPARED = lex.words("to over than")
_RELATIVE = lex.words("of who which whose what how that")
_VAGUE = lex.words("project projects things something stuff it")


def thing(text: Text, at: int) -> Found:
    """A noun phrase: "green tea", "the smell of rain"; or a name."""
    end = phrase_end(text, at)
    if text.capital(at) and (named := name(text, at)) is not None and named[1] > end:
        return named
    if end == at or points(text, at, end) or _goes_on(text, end) or _adverb(text, at, end):
        return None
    return [bare(text, at, end)], end


def _goes_on(text: Text, end: int) -> bool:
    """Whether what follows is part of what is meant: "the progress I made", "games that test me", "making it"."""
    low = text.low(end)
    if low == "no":
        return True  # "I like tea no longer"
    if low in lex.PREPOSITIONS and text.low(end + 1) in lex.DEMONSTRATIVES | lex.WH:
        return True
    return low in lex.PRONOUNS | lex.DEMONSTRATIVES | lex.AUXILIARIES | _RELATIVE


def _adverb(text: Text, at: int, end: int) -> bool:
    """Whether it is only how something is done: "professionally"."""
    word = text.low(at)
    return end == at + 1 and word.endswith("ly") and not text.capital(at) and word not in ("family", "jelly", "lily")


def lasting(text: Text, at: int) -> Found:
    """What one eats, reads or watches as a habit: not "the report", but "the news" and "The Times"."""
    found = thing(text, at)
    if text.low(at).endswith("ing") and not text.capital(at):
        return None
    one = text.low(at) in lex.ARTICLES and not text.capital(at + 1) and text.low(at + 1) != "lot"
    return None if one and text.low(at + 1) not in _LASTING else found


def played(text: Text, at: int) -> Found:
    """A game, a sport, an instrument."""
    return None if text.low(at).endswith("ing") else thing(text, at)


def preferred(text: Text, at: int) -> Found:
    """What one prefers; not "working at night", of which only a part would be read."""
    found = thing(text, at)
    part = found is not None and text.low(at).endswith("ing") and text.low(found[1]) in lex.PREPOSITIONS - _COMPARED
    return None if part else found


def project(text: Text, at: int) -> Found:
    """What one works on: not a day."""
    found = thing(text, at)
    return None if found is None or text.low(found[1] - 1) in lex.TIMES | _VAGUE else found


def infinitive(text: Text, at: int) -> Found:
    """What one plans to do: "run a marathon"."""
    if text.kind(at) != "word" or ends(text, at) or text.low(at) in ("be", "the"):
        return None
    return doing(text, at - 1) if text.low(at - 1) == "to" else None


def bought(text: Text, at: int) -> Found:
    """What was bought: "a house", "two tickets"; not "it"."""
    return thing(text, at) if text.low(at) in lex.DETERMINERS or text.kind(at) == "number" or text.capital(at) else None
