"""What is shown of a long text: a part of it, cut at words, with the words of the query if it has them."""

from __future__ import annotations

import sys

from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.recollection.excerpts import Excerpts, cut_at_word


def test_a_text_is_cut_between_words_and_never_within_a_character() -> None:
    assert cut_at_word("Lisbon and Porto", 10) == "Lisbon and"
    assert cut_at_word("Lisbon and  Porto", 12) == "Lisbon and"
    assert cut_at_word("Supercalifragilistic", 5) == "Super"
    assert cut_at_word("a Supercalifragilistic", 12) == "a Supercalif"
    assert cut_at_word("ab👩\u200d👩\u200d👧c", 4) == "ab"


WORDS = st.sampled_from(["zebra", "lions", "the", "京都に住む", "👩\u200d👩\u200d👧", "e\u0301", "x" * 30, "\n", "(*"])
TEXTS = st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=60)


@given(text=TEXTS, query=TEXTS, most=st.integers(1, 80))
@settings(max_examples=examples(200), deadline=None)
def test_it_is_a_part_of_the_text_within_the_bound(text: str, query: str, most: int) -> None:
    start, part = Excerpts(text, query).of(most)
    assert text[start:].startswith(part) and len(part) <= most
    assert (start, part) == (0, text) or len(text) > most


@given(
    before=st.integers(0, 60), after=st.integers(0, 60), most=st.integers(60, 200),
    said=st.sampled_from([("zebra", "Zebras?"), ("京都", "京都はどこ"), ("ENCYCLOPEDIA", "encyclopedic")]),
)  # fmt: skip
@settings(max_examples=examples(60), deadline=None)
def test_a_word_of_the_query_is_in_it_wherever_it_stands(
    before: int, after: int, most: int, said: tuple[str, str]
) -> None:
    word, query = said
    text = " ".join(["of the old town"] * before + [word] + ["of the old town"] * after)
    _, part = Excerpts(text, f"{query} of the").of(most)
    assert word in part


def test_a_long_query_takes_no_longer_than_a_short_one() -> None:
    words = [f"{number:05}x" for number in range(20_000, 26_000)]
    text = " ".join(words)
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    part = Excerpts(text, " ".join(words[::2]))
    sys.setprofile(count)
    try:
        for most in (100, 1_000, 10_000):
            assert len(part.of(most)[1]) <= most
    finally:
        sys.setprofile(None)
    assert steps < 60 * len(words)  # calls: not one for each word of the text and each of the query
