"""Laws of every strategy: the chunks do not depend on how the text is split, and no unit is broken."""

from __future__ import annotations

from random import Random

import pytest
import regex
from helpers.lanes import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LONGEST = 3_000
MANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors])
# What is hard, in pieces that make something of each other.
BITS = [
    "a", "The ", "fox ", "e.g.", "Dr. ", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\x1c", "\u2029", ".", ". ", "! ", "? ",
    ".” ", "。", "！", "你", "好", '"', "'", "(", ")", "[", "]", "](", "![", "`", "``", "```", "```\n", "~~~\n",
    "<b>", "<", ">",
    "http://x.y/z", "www.", "3.14", "1,000", "# ", "- ", "1. ", "*", "\u0301", "\u200d", "👩", "🇩", "🇪", "\ufe0f", "각",
    "ᄀ",
    "क", "्", "ष", "\u0600", "’", "‘", "“", "”", "「", "」", "x" * 50, "\ud800", "The fox runs on and on ", "‘b’", "用",
    "`` ``", "$3.14", "x" * 300,
]  # fmt: skip
ENDLESS = [
    "x" * 4000, "\u0301" * 4000, " " * 4000, "\n" * 3500, "中" * 3300, "The fox runs " * 300, "(a " * 1500,
    "👩\u200d" * 2000,
    "```\n" + "a line\n" * 600, "~~~\n" + "e\u0301" * 2000, "https://x.y/" + "z)" * 2000, "[a](" + "b" * 3000,
]  # fmt: skip
hostile = st.lists(st.sampled_from(BITS), max_size=60).map("".join)
endless = st.tuples(hostile, st.sampled_from(ENDLESS), hostile).map("".join)


def parts_of(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in zip(places, places[1:], strict=False)]


def splits(text: str) -> st.SearchStrategy[list[str]]:
    """Few parts, many, or single code points; empty ones among them."""

    def many(seed: int) -> list[int]:  # to draw each place takes longer than to cut the text
        chance = Random(seed)
        return chance.choices(range(len(text) + 1), k=chance.choice((20, 50, len(text) // 2 + 20)))

    some = st.one_of(st.lists(st.integers(0, len(text)), max_size=3), st.integers(0, 2**32).map(many))
    return st.one_of(some.map(lambda cuts: parts_of(text, cuts)), st.just(list(text)))


def check(text: str, pieces: list, how: dict, longest: int = 10_000) -> None:
    """The chunks are the text: in order, to the code point, with nothing left out."""
    assert "".join(piece.text[piece.overlap :] for piece in pieces) == text
    end = 0
    for piece in pieces:
        assert piece.text == text[piece.start : piece.end]
        assert piece.start + piece.overlap == end and 0 <= piece.overlap < len(piece.text)
        end = piece.end
    starts = [piece.start for piece in pieces]
    assert starts == sorted(set(starts)), "each begins later than the one before"
    most = how.get("max_length", longest * how["size"] * 4)
    assert all(len(piece.text) <= most for piece in pieces)


def test_any_split_of_the_hard_text_gives_the_same_chunks(cut, hard, how):
    """300 random splits, for each strategy; fewer for a second set of arguments."""
    whole = cut([hard], **how)
    many = 60 if how in ({"strategy": "sentence", "size": 1}, {"strategy": "fixed", "size": 2, "overlap": 1}) else 300
    assert len(whole) > 1
    check(hard, whole, how)

    @settings(MANY, max_examples=examples(many), database=None)
    @given(splits(hard))
    def same(parts):
        assert "".join(parts) == hard
        assert cut(parts, **how) == whole

    same()


def test_any_text_in_any_parts(cut, how):
    @settings(MANY, max_examples=examples(150))
    @given(st.data(), st.one_of(hostile, st.text(max_size=80)))
    def same(data, text):
        how_here = how | {"longest": LONGEST}
        if "count" in how and not text.isascii():
            how_here["count"] = len
        whole = cut([text], **how_here)
        check(text, whole, how, LONGEST)
        assert cut(data.draw(splits(text)), **how_here) == whole
        edges = {0, *(cluster.end() for cluster in regex.finditer(r"\X", text))}
        assert all(piece.start in edges and piece.end in edges for piece in whole), "no grapheme cluster is broken"

    same()


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("‘Yes’用. No’ it is. ", {"strategy": "sentence", "size": 1}),
        ("‘x’y. z’ it is. ", {"strategy": "sentence", "size": 1}),
        ("x" * 300 + "http://a.b/c(d. E)f. Then", {"strategy": "sentence", "size": 1}),
        ("`` `` ](e\u0301‘x’Dr haid $3.14. \n1. ", {"strategy": "fixed", "size": 20, "overlap": 19}),
    ],
    ids=[
        "a quote closes before a Han sign",
        "an apostrophe, or a quote",
        "an address within a word",
        "half of an overlap",
    ],
)
def test_what_once_depended_on_the_split(cut, text, how):
    whole = cut([text], **how)
    check(text, whole, how)
    for at in range(len(text)):
        assert cut([text[:at], text[at:]], **how) == whole
    assert cut(list(text), **how) == whole


def test_what_has_no_end(cut, how):
    """It is cut at a bound, at the same places however it comes."""

    @settings(MANY, max_examples=examples(25))
    @given(st.data(), endless)
    def same(data, text):
        how_here = how | {"longest": LONGEST, "count": len} if "count" in how else how | {"longest": LONGEST}
        whole = cut([text], **how_here)
        check(text, whole, how, LONGEST)
        step = data.draw(st.sampled_from([1, 7, 500]))
        assert cut([text[at : at + step] for at in range(0, len(text), step)], **how_here) == whole

    same()


def test_nothing_gives_nothing(cut, how):
    assert cut([], **how) == cut([""], **how) == cut(["", ""], **how) == []


def test_what_is_never_broken_is_whole_in_one_chunk(cut, hard, how):
    how = {name: value for name, value in how.items() if name != "max_length"}  # which breaks what is longer
    whole = (
        "https://a.b/c_(d)?e=1.2", '[A link. Here](https://x.y/z_(q) "A title. x")', "![an image](a.png)",
        "<https://x.y>",
        "``a ` b. ``", '<b class="x. Y">', "  ```py\nx = 1. \n\ny = \"```\"\n  ```\n",
    )  # fmt: skip
    if how["strategy"] == "sentence":
        whole += (
            "(ca. 1,000 yen. Or so)",
            '"Yes. No."',
            "“Quoted. Text.”",
            "「你好。再见。」",
            "Dr. Smith",
            "$3.14",
            "J. R. Tolkien",
        )
    elif how["strategy"] != "fixed":
        whole += ("1,000", '5"', "U.S.", "Ünïcödé.", "Tolkien")
    else:
        whole += ("3.14", "1,000", "e.g.", "U.S.")
    pieces = cut([hard], **how)
    for one in whole:
        at = hard.index(one)
        assert any(piece.start <= at and at + len(one) <= piece.end for piece in pieces), one


def test_it_goes_on_after_it_was_finished(cut, how):
    """`finish` returns the rest; later text begins a new chunk, at the right offset."""
    from cortex_rx.chunking import cutter

    made = cutter(**how, start=100)
    first = [*made.feed("One. Tw"), *made.finish()]
    second = [*made.feed("o. Three."), *made.finish()]
    assert "".join(piece.text[piece.overlap :] for piece in first) == "One. Tw"
    assert "".join(piece.text[piece.overlap :] for piece in second) == "o. Three."
    assert (first[0].start, second[0].start, second[0].overlap) == (100, 107, 0)
    assert second[-1].end == 116
