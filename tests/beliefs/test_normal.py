"""When two statements say the same: the normal form, signatures and keys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cortex_rx.beliefs.normal import STRATEGIES, Keys, keys, normal, signature


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada lives in Rome.", "ada  lives in ROME"),
        ("The cat is on the mat", "cat on mat"),
        ("“Tea”, please!", "tea please"),
        ("It's Ada’s", "its Ada's"),
        ("ﬁne ｔｅａ", "fine tea"),
        ("Straße", "STRASSE"),
        ("tea - or milk", "tea or milk"),
        ("Ada is a pilot", "ada pilot"),
    ],
)
def test_what_is_the_same(one: str, other: str) -> None:
    assert normal(one) == normal(other)


DIFFERENT = [
    ("C", "C++"), ("C#", "C"), ("R&D", "RD"), ("😀", "😢"), ("résumé", "resume"),
    ("5", "-5"), ("3.14", "314"), ("5 %", "5"), ("5 $", "5 €"), ("24/7", "247"), ("3-4", "34"),
    ("blood type A", "blood type B"), ("blood type A", "blood type"), ("the", ""), ("...", ""),
    ("not tea", "tea"), ("Bob manages Ada", "Ada manages Bob"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_is_not(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@given(st.text())
def test_the_normal_form_is_the_same_again(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@given(st.text())
def test_nothing_becomes_of_nothing_only(text: str) -> None:
    assert bool(normal(text)) == bool(text.strip())


def of(text: str, *triple: str, own: str = "f", strategy: Any = "structural", **more: Any) -> Keys:
    key = {each: more.pop(each) for each in ("owner", "revise") if each in more}
    return keys(signature(text, *triple, **more), strategy, own=own, **key)


ROME = ("Ada lives in Rome", "Ada", "lives_in", "Rome")


def test_the_keys_are_the_same_in_every_version() -> None:
    """They are stored: other keys are another layout of the file."""
    rome = "pnJH9_zNv5yN-Ai1+"
    assert of(*ROME) == Keys("tzjOM95VZ5Eh6kSHQ", rome, rome)
    assert of("Hello there") == Keys("tQdjgb-PaA4C0zUmE", "QLb9M9gQOMosFLdn+", "QLb9M9gQOMosFLdn+")
    assert of("Ada didn't like 2 teas", "Ada", "likes", "2 teas", owner="u", strategy="exact") == Keys(
        "g4dhEUDwv9a2Qgxqr", "nm6a2UBD2A56--zA!7zq6zJHBU3b-D2aR", "tQcbbL6YZtyRYKGc"
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "other",
    [
        ("Ada doesn't live in Rome", "Ada", "lives_in", "Rome"),
        ("Ada lived in Rome", "Ada", "lives_in", "Rome"),
        ("Ada will live in Rome", "Ada", "lives_in", "Rome"),
        ("Ada lives in Rome with 2 dogs", "Ada", "lives_in", "Rome"),
        ("Ada lives in Oslo", "Ada", "lives_in", "Oslo"),
        ("Bob lives in Rome", "Bob", "lives_in", "Rome"),
        ("Ada works in Rome", "Ada", "located_in", "Rome"),
        ("Rome lives in Ada", "Rome", "lives_in", "Ada"),
        ("Ada lives in Rome",),
    ],
)
def test_no_strategy_merges_what_differs(strategy: Any, other: tuple[str, ...]) -> None:
    one, two = of(*ROME, strategy=strategy), of(*other, strategy=strategy)
    assert (one.slot, one.merge) != (two.slot, two.merge)


def test_two_users_share_no_slot() -> None:
    assert len({of(*ROME, owner=owner).slot for owner in (None, "u1", "u2")}) == 3


def test_without_revision_another_value_has_another_slot() -> None:
    one, other = of(*ROME, revise=False), of("Ada lives in Oslo", "Ada", "lives_in", "Oslo", revise=False)
    assert one.slot != other.slot
    assert one == of(*ROME, revise=False)


def test_a_qualifier_tells_slots_apart() -> None:
    red = of("Ada's favorite color is red", "Ada", "favorite", "red", "color")
    assert red.slot == of("Ada's favourite color is blue", "Ada", "favourite_color", "blue").slot
    assert red.slot != of("Ada's favorite food is beetroot", "Ada", "favorite", "beetroot", "food").slot


def test_a_predicate_and_its_inverse_are_one() -> None:
    assert of("Bob manages Ada", "Bob", "manages", "Ada") == of("Ada reports to Bob", "Ada", "reports_to", "Bob")
    assert of("Bob manages Ada", "Bob", "manages", "Ada").slot != of("Ada manages Bob", "Ada", "manages", "Bob").slot
    assert of("Ada and Bob are friends", "Ada", "friend_of", "Bob") == of("Bob's friend Ada", "Bob", "friend_of", "Ada")


def test_a_single_valued_predicate_keeps_its_subject() -> None:
    """Else a new husband would not end the marriage with the old one."""
    assert (
        of("Ada married Bob", "Ada", "married_to", "Bob").slot == of("Ada married Cyd", "Ada", "married_to", "Cyd").slot
    )


def test_a_number_in_words_is_a_number() -> None:
    assert of("Ada is 34", "Ada", "has_age", "34") == of("Ada is thirty-four", "Ada", "has_age", "thirty-four")


parts = st.sampled_from(["Ada", "Bob", "the Ada", "lives_in", "likes", "Rome", "two", "2", ""])
fields = st.tuples(parts, parts, parts, parts)


@given(fields, fields, st.sampled_from(STRATEGIES), st.booleans())
def test_equal_keys_are_equal_signatures(one: Any, other: Any, strategy: Any, revise: bool) -> None:
    """Keys say no more and no less than signatures, whatever is missing or stands in another field."""
    mine, theirs = signature("said", *one, polarity="positive"), signature("said", *other, polarity="positive")
    assume(mine.is_triple or theirs.is_triple)
    first, second = (keys(each, strategy, own="f", revise=revise) for each in (mine, theirs))
    assert (first == second) == (mine == theirs)
