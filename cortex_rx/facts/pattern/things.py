"""Things: what one likes, owns, reads or works on."""

from __future__ import annotations

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.names import name
from cortex_rx.facts.pattern.phrases import Found, Text, bare, doing, ends, phrase_end, points

__all__ = ["bought", "infinitive", "lasting", "project", "thing"]


def thing(text: Text, at: int) -> Found:
    """A noun phrase: "green tea", "the smell of rain"; or a name."""
    end = phrase_end(text, at)
    if text.capital(at) and (named := name(text, at)) is not None and named[1] > end:
        return named
    return ([bare(text, at, end)], end) if end > at and not points(text, at, end) else None


def lasting(text: Text, at: int) -> Found:
    """What one eats, reads or watches as a habit: not "the report", but "the news" and "The Times"."""
    found = thing(text, at)
    single = text.low(at) in ("the", "a", "an") and not text.capital(at + 1)
    return (
        None
        if single and text.low(at + 1) not in ("news", "newspaper", "paper", "papers", "bible", "classics")
        else found
    )


def project(text: Text, at: int) -> Found:
    """What one works on: not a day."""
    found = thing(text, at)
    return None if found is None or text.low(found[1] - 1) in lex.TIMES else found


def infinitive(text: Text, at: int) -> Found:
    """What one plans to do: "run a marathon"."""
    if text.kind(at) != "word" or ends(text, at) or text.low(at) in ("be", "the"):
        return None
    return doing(text, at - 1) if text.low(at - 1) == "to" else None


def bought(text: Text, at: int) -> Found:
    """What was bought: "a house", "two tickets"; not "it"."""
    return thing(text, at) if text.low(at) in lex.DETERMINERS or text.kind(at) == "number" or text.capital(at) else None
