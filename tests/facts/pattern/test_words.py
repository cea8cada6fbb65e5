"""Tokens: contractions, what is quoted or code, and that each stands where it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.facts.pattern.words import forms, masked, tokens


def lows(text: str) -> list[str]:
    return [token.low for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I'm", "i am"),
        ("I’m", "i am"),
        ("They'd've", "they would have"),
        ("can't", "can not"),
        ("won't", "will not"),
        ("don't wouldn't can't".replace("'", ""), "do not would not can not"),
        ("Ada's", "ada 's"),
        ("O'Hara", "o'hara"),
        ("gonna", "going to"),
        ("Node.js C++ C#", "node.js c++ c#"),
        ("ada@example.org", "ada@example.org"),
        ("$1,450.50 3rd 1990-05-03", "$1,450.50 3rd 1990-05-03"),
        ("mother-in-law", "mother-in-law"),
    ],
)
def test_a_word_is_taken_apart(text: str, words: str) -> None:
    assert lows(text) == words.split()


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ('He said "I am here" twice', "word word quote word"),
        ("He said 'I am here' twice", "word word quote word"),
        ("The kids' dog isn't Ada's", "word word mark word word word word word"),
        ("“I am", "quote"),
        ("“I am\n\nI was", "quote line line word word"),
        ("Use `x = 1` here", "word quote word"),
        ("'cause I can", "mark word word word"),
    ],
)
def test_what_is_quoted_is_one_token(text: str, kinds: str) -> None:
    assert [token.kind for token in tokens(text)] == kinds.split()


def test_blocks_that_nobody_says_are_hidden() -> None:
    text = "I am.\n```py\nI was\n```\n~~~\n```\nI was\n~~~\n    I was\n> I was\n# I was\n| I was |\n- I am"
    assert masked(text).split() == ["I", "am.", "•", "I", "am"] and len(masked(text)) == len(text)


@given(st.text(alphabet="aI 'm’\"“”.,\n>-1@", max_size=40))
def test_each_token_is_where_it_says(text: str) -> None:
    found = tokens(text)
    assert all(one.stop <= other.start for one, other in zip(found, found[1:], strict=False))
    for token in found:
        assert 0 <= token.start <= token.stop <= len(text)
        if token.start < token.stop:
            said = text[token.start : token.stop]
            assert said == token.text or (token.text == "•" and said in "-."), "a bullet stands for any mark of an item"


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("live", "live lives lived living"),
        ("study", "study studies studied studying"),
        ("play", "play plays played playing"),
        ("plan", "plan plans planned planning"),
        ("have", "have has had having"),
        ("teach", "teach teaches taught teaching"),
        ("speak", "speak speaks spoke spoken speaking"),
        ("read", "read reads reading"),
        ("travel", "travel travels traveled travelled traveling travelling"),
    ],
)
def test_the_forms_of_a_verb(verb: str, words: str) -> None:
    assert set(forms(verb)) == set(words.split())
