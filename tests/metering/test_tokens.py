"""`TokenCount`: the tokens of a text in pieces are those of the whole."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.token_texts import TEXTS
from benchmarks.tokens import errors
from cortex_rx.errors import InvalidArgument
from cortex_rx.metering import tokens as module
from cortex_rx.metering.estimate import KINDS, estimate, kinds_of
from cortex_rx.metering.tokenizers import ENCODINGS, encoding_of, tokenizer
from cortex_rx.metering.tokens import HELD, Counted, TokenCount, checked_tokens, closed

# What the tokenizers' patterns tell apart: cases, marks, digits, contractions, runs of white space and of signs.
SIGNS = "aZé9²_'’ \n\t.,;:!?()[]-/\u0301\u3000\u00a0，。漢あ한\u0e01ǅʰ😀"
PARTS = st.sampled_from([*SIGNS, "'ll", "  ", "\n\n ", "don't", "HELLOworld", "123", "\r\n"])
MIXED = st.lists(PARTS, max_size=40).map("".join) | st.text(max_size=30)


def added(count, pieces):
    for piece in pieces:
        count.add(piece, piece.encode())
    return count


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(st.lists(MIXED, max_size=8))
@example(["Hello", " world"])
@example(["I don", "'t know. ", "It's 1,234.5", "6"])
@example(["a ", " ", " b"])
@example(["x\n", "\n y"])
@example(["漢字，", "漢字。", "a\u0301 b"])
def test_the_tokens_of_the_words_that_have_ended_do_not_change(encoding, pieces):
    """The law: at each place where a text is cut, the parts have as many tokens as the whole."""
    count, text = tokenizer(encoding), "".join(pieces)
    held, total = "", 0
    for piece in pieces:
        held += piece
        at = closed(held)
        total += count(held[:at])
        held = held[at:]
    assert total + count(held) == count(text)


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_long_text_is_counted_in_parts_as_the_whole(monkeypatch, encoding, language):
    """Of each language, delta by delta, with little room; and the room is kept."""
    monkeypatch.setattr(module, "HELD", 100)
    text = "\n".join(TEXTS[language]) * 3
    count = TokenCount(encoding)
    for at in range(0, len(text), 7):
        count.add(text[at : at + 7], text[at : at + 7].encode())
        assert len(count._held) <= 100
    assert count.total(None) == Counted(tokenizer(encoding)(text), "tokenizer")


def test_each_delta_by_itself_would_be_counted_wrongly():
    """Why words that have ended: the sum over deltas of three characters is half as much again, or more."""
    text = " ".join(TEXTS["English"])
    count = tokenizer("o200k_base")
    each = sum(count(text[at : at + 3]) for at in range(0, len(text), 3))
    assert each > 1.5 * count(text)


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o", "o200k_base"), ("gpt-4o-mini-2024-07-18", "o200k_base"), ("gpt-4.1-nano", "o200k_base"),
        ("o3-mini", "o200k_base"), ("gpt-5-mini-2025-08-07", "o200k_base"), ("openai/gpt-4o", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"), ("gpt-4", "cl100k_base"), ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("gpt-3.5-turbo-0125", "cl100k_base"), ("gpt-4-1106-preview", "cl100k_base"), ("gpt-5.1", None),
        ("claude-sonnet-4-5", None), ("gemini-2.5-pro", None), ("gpt-4omega", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_the_encoding_of_a_model_is_known_or_not_guessed(model, encoding):
    assert encoding_of(model) == encoding


def test_nothing_is_counted_before_the_end_but_of_long_texts(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "tokenizer", lambda encoding: lambda text: calls.append((encoding, len(text))) or 1)
    count = added(TokenCount(None), ["word "] * 1000)
    assert calls == [] and count.total("gpt-4") == (1, "tokenizer") and calls == [("cl100k_base", 5000)]
    calls.clear()
    added(count, ["word "] * (HELD // 5))
    assert calls[0][0] == "o200k_base", "the models with longer answers than that have this one"
    assert count.total("gpt-4o")[1] == "tokenizer" and count.total("gpt-4")[1] == "estimate"


def test_an_unknown_model_and_a_missing_library_are_estimated(monkeypatch):
    text = TEXTS["Japanese"][0]
    guess = Counted(estimate(kinds_of(text.encode())), "estimate")
    assert added(TokenCount(None), [text]).total("claude-sonnet-4-5") == guess
    assert added(TokenCount("estimate"), [text]).total("gpt-4o") == guess
    monkeypatch.setattr(module, "installed", lambda: False)
    count = added(TokenCount(None), [text])
    assert count.total("gpt-4o") == guess and count._held == "", "and then no text is held"
    with pytest.raises(ImportError, match=r"cortex-rx\[tokens\]"):
        checked_tokens("tokens", "o200k_base")


def test_a_text_that_begins_anew_or_is_cut_back_has_its_own_tokens(monkeypatch):
    count, whole = tokenizer("o200k_base"), "It is in Lisbon, at the river."
    tokens = added(TokenCount(None), ["Something else, ", "longer."])
    tokens.begin("It is ")
    added(tokens, ["in Lisb", "on, at the river."])
    assert tokens.total("gpt-4o") == (count(whole), "tokenizer")
    tokens.cut(8)
    assert tokens.total("gpt-4o") == (count("It is in"), "tokenizer")
    tokens.cut(500)
    assert tokens.total("gpt-4o") == (count("It is in"), "tokenizer"), "it does not grow"
    guessed = added(TokenCount("estimate"), ["word "] * 100)
    guessed.cut(30)
    assert guessed.total("gpt-4o") == (estimate(kinds_of(b"word " * 6)), "estimate")
    monkeypatch.setattr(module, "HELD", 10)
    long = added(TokenCount(None), ["word "] * 100)
    long.cut(30)
    assert long.total("gpt-4o") == (estimate([*kinds_of(("word " * 6).encode())]), "estimate"), "counted already"
    long.begin("anew")
    assert long.total("gpt-4o").tokens_from == "tokenizer"


@pytest.mark.parametrize("gives", [-1, 2.0, True, None, "3"])
def test_a_function_of_the_users_that_fails_is_an_estimate(gives):
    count = added(TokenCount(lambda text: gives), ["Hello ", "Ada"])
    assert count.total("gpt-4o") == (2, "estimate") and isinstance(count.failure, TypeError)
    broken = added(TokenCount(lambda text: 1 // 0), ["Hello ", "Ada"])
    assert broken.total(None).tokens_from == "estimate" and isinstance(broken.failure, ZeroDivisionError)
    assert added(TokenCount(len), ["Hello ", "Ada"]).total(None) == (9, "tokenizer")


@pytest.mark.parametrize("wrong", ["o200k", 3, None])
def test_what_is_wrong_is_said(wrong):
    with pytest.raises(InvalidArgument, match="tokens: got"):
        checked_tokens("tokens", wrong)


# --- the estimate -----------------------------------------------------------------------------------------------------


def test_the_estimate_is_within_a_quarter_where_a_quarter_of_the_characters_is_not():
    """Of texts that the fit has not seen."""
    for language, both in errors("o200k_base").items():
        assert all(abs(ours) < 0.27 for _, ours, _ in both), language
    quarters = [abs(quarter) for both in errors("o200k_base").values() for _, _, quarter in both]
    assert max(quarters) > 0.7


@given(st.text(max_size=200))
def test_each_character_has_one_kind(text):
    counts = kinds_of(text.encode(), text.isascii())
    assert sum(counts) == len(text) and len(counts) == len(KINDS)
    assert (estimate(counts) == 0) == (text == "")
