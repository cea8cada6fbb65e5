"""The kinds of values that a rule may ask for.

Each is a function of a text and a place. It returns the values that begin there and where they end; or None.
"""

from __future__ import annotations

from collections.abc import Callable

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.measures import age, amount, date, email, number, phone, zone
from cortex_rx.facts.pattern.names import (
    given,
    institution,
    itself,
    name,
    organisation,
    place,
    school,
    site,
    somewhere,
    work,
)
from cortex_rx.facts.pattern.phrases import Found, Text, doing, noun
from cortex_rx.facts.pattern.things import bought, infinitive, lasting, played, preferred, project, thing
from cortex_rx.facts.pattern.traits import (
    acquaintance,
    allergy,
    being_ill,
    condition,
    diet,
    kin,
    language,
    learnable,
    medicine,
    occupation,
    pet,
    status,
)
from cortex_rx.facts.pattern.words import NEGATIVE

__all__ = ["KINDS"]


_ADJECTIVAL = ("ic", "al", "ive", "ous", "ful", "ern", "ish", "ese", "ian", "red", "white", "green", "black", "dark")
LONGEST = 20
"""Items of a list that are read."""


def _is_one(text: Text, at: int, end: int, other: int, last: int) -> bool:
    """Whether "and" is within a value: "sharing skills and time", "books on art and war", "classical and pop music"."""
    gerund, same = text.low(at).endswith("ing") and end > at + 1, text.low(other).endswith("ing")
    linked = any(text.low(one) in lex.PREPOSITIONS for one in range(at, end))
    adjective = end == at + 1 and last > other + 1 and text.low(at).endswith(_ADJECTIVAL) and not text.capital(at)
    return ((gerund or linked) and not same) or adjective


def joined(one: Callable[[Text, int], Found]) -> Callable[[Text, int], Found]:
    """Some values of a kind: "tea, coffee and milk". A list with commas has "and" or "or" before its last item."""

    def some(text: Text, at: int) -> Found:
        if text.low(at) in ("both", "either", "neither"):
            at += 1
        found = one(text, at)
        if found is None:
            return None
        values, end = list(found[0]), found[1]
        listed, reached = list(values), end
        while len(listed) < LONGEST:
            comma = text.low(reached) == ","
            after = reached + comma
            joined = text.low(after) in ("and", "or", "nor", "&")
            if not (comma or joined):
                break
            after += joined
            if text.low(after) in NEGATIVE:
                break  # "tea, and neither milk nor juice"
            if text.low(after) in ("also", "both"):
                after += 1
            if text.starts(after):
                break
            if (more := one(text, after)) is None:
                if joined and len(listed) > len(values):
                    return None  # a list whose end is not understood
                break
            pair = f"{text.low(reached - 1)} {text.low(more[1] - 1)}"
            if joined and (pair in lex.PAIRS or _is_one(text, at, reached, after, more[1])):
                listed[-1] = f"{listed[-1]} {text.low(after - 1)} {more[0][0]}"
            else:
                listed += more[0]
            reached = more[1]
            if joined:
                values, end = list(listed), reached
                if text.low(reached) not in ("and", "or", "nor", ","):
                    break
        return values, end

    return some


KINDS: dict[str, Callable[[Text, int], Found]] = {
    "thing": thing,
    "things": joined(thing),
    "noun": noun,
    "lasting": joined(lasting),
    "played": joined(played),
    "preferred": joined(preferred),
    "name": name,
    "names": joined(name),
    "given": given,
    "place": place,
    "places": joined(place),
    "site": site,
    "date": date,
    "number": number,
    "age": age,
    "amount": amount,
    "occupation": occupation,
    "occupations": joined(occupation),
    "organisation": organisation,
    "language": language,
    "languages": joined(language),
    "diet": diet,
    "status": status,
    "email": email,
    "phone": phone,
    "pet": pet,
    "pets": joined(pet),
    "self": itself,
    "school": school,
    "learnable": learnable,
    "condition": condition,
    "being_ill": being_ill,
    "medicine": medicine,
    "zone": zone,
    "kin": joined(kin),
    "allergy": allergy,
    "institution": institution,
    "acquaintances": joined(acquaintance),
    "somewhere": joined(somewhere),
    "work": work,
    "doing": doing,
    "project": project,
    "infinitive": infinitive,
    "bought": bought,
}
