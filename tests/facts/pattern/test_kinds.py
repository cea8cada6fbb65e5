"""Kinds of values: what each takes, how far it reads, and what it refuses."""

from __future__ import annotations

import pytest

from cortex_rx.facts.pattern.grammar import Grammar
from cortex_rx.facts.pattern.kinds import KINDS
from cortex_rx.facts.pattern.words import tokens


def value(kind: str, said: str) -> str | None:
    """The values at the begin of a text, and what is left of it; None if there are none."""
    found = tokens(said)
    taken = KINDS[kind](Grammar(found, said, "i", {"lives": (("live", frozenset({"third"})),)}).text, 0)
    if taken is None:
        return None
    values, end = taken
    return " + ".join(values) + (" | " + " ".join(token.text for token in found[end:]) if end < len(found) else "")


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("thing", "the smell of rain in the morning", "smell of rain | in the morning"),
        ("thing", "books about history", "books about history"),
        ("thing", "walking in the rain", "walking in the rain"),
        ("thing", "a lot of tea", "tea"),
        ("thing", "this", None),
        ("thing", "your answer", None),
        ("thing", "the second option", None),
        ("thing", "the progress we made", None),
        ("thing", "making it", None),
        ("things", "tea, coffee and milk", "tea + coffee + milk"),
        ("things", "tea, please", "tea | , please"),
        ("things", "tea and my sister lives here", "tea | and my sister lives here"),
        ("things", "fish and chips", "fish and chips"),
        ("things", "sharing skills and knowledge", "sharing skills and knowledge"),
        ("things", "classical and pop music", "classical and pop music"),
        ("lasting", "the report", None),
        ("lasting", "the news", "news"),
        ("name", "Ursula K. Le Guin", "Ursula K. Le Guin"),
        ("name", "St. Mary's at night", "St. Mary's | at night"),
        ("name", "Leonardo da Vinci", "Leonardo da Vinci"),
        ("name", "tea", None),
        ("self", "Kofi", "Kofi"),
        ("self", "Spanish", None),
        ("self", "Ada from York", "Ada | from York"),
        ("place", "Leeds, England", "Leeds, England"),
        ("places", "Leeds and York", "Leeds + York"),
        ("place", "a village near York", "village near York"),
        ("place", "fear", None),
        ("place", "May", None),
        ("site", "the table", None),
        ("somewhere", "Settings", None),
        ("date", "3 May 1990", "3 May 1990"),
        ("date", "the 3rd of May", "3rd of May"),
        ("date", "May 3rd, 1990 in York", "May 3rd, 1990 | in York"),
        ("date", "1990-05-03", "1990-05-03"),
        ("date", "1990", "1990"),
        ("date", "New Year's Eve", "New Year's Eve"),
        ("date", "page 40", None),
        ("date", "40", None),
        ("age", "34", "34"),
        ("age", "forty-two years old", "forty-two"),
        ("age", "34 minutes late", None),
        ("age", "one of them", None),
        ("amount", "$5", "$5"),
        ("amount", "1,450 dollars a month", "1,450 dollars a month"),
        ("amount", "40 questions", None),
        ("occupation", "a senior software engineer at Acme", "senior software engineer | at Acme"),
        ("occupation", "a morning person", None),
        ("occupation", "the author of Dune", None),
        ("organisation", "the city library", "city library"),
        ("organisation", "night", None),
        ("organisation", "the moment", None),
        ("languages", "English, French and some Dutch", "English + French + Dutch"),
        ("diet", "a strict vegetarian", "vegetarian"),
        ("condition", "type 1 diabetes", "type 1 diabetes"),
        ("condition", "a question", None),
        ("allergy", "a severe peanut allergy", "peanut"),
        ("medicine", "levothyroxine every day", "levothyroxine | every day"),
        ("medicine", "the bus", None),
        ("zone", "Europe/Lisbon", "Europe/Lisbon"),
        ("zone", "time", None),
        ("kin", "a daughter and two sons", "daughter + two sons"),
        ("kin", "friends", None),
        ("pets", "two black cats and a dog", "two black cats + dog"),
        ("pets", "a car", None),
        ("phone", "+44 20 7946 0958", "+44 20 7946 0958"),
        ("phone", "42", None),
        ("infinitive", "the", None),
    ],
)
def test_a_kind_takes_what_it_is_for(kind: str, said: str, expected: str | None) -> None:
    assert value(kind, said) == expected


def test_no_kind_reads_beyond_the_text() -> None:
    for kind, read in KINDS.items():
        for said in ("", "the", "a lot of", "to", "and", "New Year", "3 of", "St."):
            found = tokens(said)
            taken = read(Grammar(found, said, "i", {}).text, 0)
            assert taken is None or taken[1] <= len(found), (kind, said)
