"""How each strategy cuts a text."""

from __future__ import annotations

import pytest

from cortex_rx.chunking import Packer, Scanner, Span, graphemes

SENTENCES = [
    "Dr. Smith and Mrs. Jones met Prof. Lee at St. Mary's. They talked.",
    "It costs $3.14, or 1,000.50 yen. Cheap!",
    "He works in the U.S. Army. She lives in the U.S. The end.",
    "J. R. R. Tolkien wrote it. C. S. Lewis did not.",
    "Fruit, e.g. Apples, i.e. The red ones, vs. Pears. Done.",
    "At 5 p.m. we left. At 6 p.m. They came.",
    "Wait... What?! wait... no way. Really?",
    '"Yes." she said. "No. Never." He left.',
    'He said "Go." Then he went.',
    "She asked (see p. 5. It is there). Then she went. (A whole one. In brackets.) Then more.",
    "‘It’s mine. All of it.’ he said. “Mine. All.” So be it.",
    "The pipe is 5\" wide. The other is 6\" wide. Both fit.",
    "Visit https://example.com/a.b?c=d.e. Then www.example.org. Or mail a.b@example.com. Bye.",
    "See [the docs. Here](https://x.y/z_(q)). Then [1]. Next![img](a.png) Now.",
    "Run `a. B` now. Use `` c ` d. E `` then. ok",
    "**It is bold.** _It is not._ ~~Gone.~~ Here.",
    "A claim.[1] A second claim.[^2] A third.",
    "A <b>bold. Move</b> it. Then.",
    "1. One. More of one.\n2. Two.\n- A bullet\n* Another. With two",
    "# A heading. With a stop\nThe text begins.\n\nA paragraph without a stop\n\nThe next",
    "Here is code:\n```py\nx = 1. \n\nprint(x). Done\n```\nAfter it. ok",
    "First we go. 1. Here. 2. There.",
    "你好。再见！真的吗？是的……好。",
    "他说：「你好。再见。」然后走了。圆周率是3.14。没错。",
    "これは文です。「はい。」と言った。3時。ＯＫ！次。",
    "वाक्य एक। दूसरा वाक्य। तीसरा॥ अंत",
    "كيف حالك؟ بخير. شكرا",
    "Hi 👋🏽! How are you? 👩‍👩‍👧 fine. 🇩🇪 Good.",
    "Version 2.0.1 is out. Use node.js or C++. Is it 12:30? Yes.",
    "No end of a sentence here, just text",
    "   Leading space. \n\n\n   Trailing space.   ",
    "Yahoo! is a company. Wow! Is it?",
    "Open (a bracket. That never closes. And “a quote. That neither.",
    "He left. she stayed. then he came.",
]  # fmt: skip


def test_hard_sentences(texts, snapshot):
    """Each sentence as it is cut, `|` between its parts."""
    table = "\n".join(
        f"{sentence!r}\n    {' | '.join(map(repr, texts(sentence, 'sentence')))}" for sentence in SENTENCES
    )
    assert table == snapshot


@pytest.mark.parametrize("language, parts", [
    ("en", ["Er kam z.B. am Montag. ", "Das war der 3. ", "Mai. ", "Gut."]),
    ("de", ["Er kam z.B. am Montag. ", "Das war der 3. Mai. ", "Gut."]),
])  # fmt: skip
def test_the_language_is_that_of_the_rules(texts, language, parts):
    assert texts("Er kam z.B. am Montag. Das war der 3. Mai. Gut.", "sentence", language=language) == parts


def test_a_lone_surrogate_is_a_code_point_as_any_other(texts):
    assert texts("A \ud800bad. Then it is. ok", "sentence") == ["A \ud800bad. ", "Then it is. ", "ok"]


def test_paragraphs(texts):
    text = "One.\nStill one.\n\nTwo\n \t\nThree\r\n\r\nFour\n\n\n\n  Five:\n```\na\n\nb\n```\n\nSix"
    assert texts(text, "paragraph") == [
        "One.\nStill one.\n\n", "Two\n \t\n", "Three\r\n\r\n", "Four\n\n\n\n  ", "Five:\n```\na\n\nb\n```\n\n", "Six",
    ]  # fmt: skip
    assert texts(text, "paragraph", 2, overlap=1)[:2] == ["One.\nStill one.\n\nTwo\n \t\n", "Two\n \t\nThree\r\n\r\n"]


def test_fixed(texts):
    assert texts("a" * 1000, "fixed", 250) == ["a" * 250] * 4
    assert texts("abcdefghij", "fixed", 4, overlap=2) == ["abcd", "cdef", "efgh", "ghij"]
    assert texts("ab 3.14 cd", "fixed", 5) == ["ab ", "3.14 ", "cd"], "a number is not broken"
    assert texts("👩‍👩‍👧👩‍👩‍👧x", "fixed", 7) == ["👩‍👩‍👧", "👩‍👩‍👧x"], "nor is a family"
    assert texts("👩‍👩‍👧ab", "fixed", 3) == ["👩‍👩‍👧", "ab"], "also one that is longer than a chunk"
    assert texts("ab 3.14\u0301\u0301 c", "fixed", 4) == ["ab ", "3.14\u0301\u0301", " c"], (
        "with the marks on its last digit"
    )
    assert texts("ab\r\ncd", "fixed", 3) == ["ab", "\r\nc", "d"]
    assert texts("ab https://example.com/long?a=1. cd", "fixed", 8) == ["ab ", "https://example.com/long?a=1", ". cd"]


def test_tokens(texts):
    assert texts("one two three four", "token", 2) == ["one two ", "three ", "four"], "eight code points"
    assert texts("one two three four", "token", 2, count=lambda text: 1) == ["one two ", "three four"]
    assert texts("a b c d e", "token", 3, overlap=1, count=lambda text: 1) == ["a b c ", "c d e"]
    assert texts("x" * 100, "token", 5) == ["x" * 12, "x" * 13] * 4, "a word that is too long is cut"
    assert texts("你好世界。再见", "token", 1) == ["你好", "世界。", "再见"], "a stop begins no chunk"


def test_a_counting_function_sees_each_word_with_the_space_before_it(cut):
    seen = []

    def count(text):
        seen.append(text)
        return 1

    cut(["one two\n\nthr", "ee (four)"], strategy="token", size=2, count=count)
    assert {"one", " two", "\n\nthree", " (four)"} <= set(seen)
    assert set(seen) - {"one", " two", "\n\nthree", " (four)"} == {"two", "three", "(four)"}


def test_a_count_of_nothing_is_one():
    """Else a chunk would have no end."""
    from cortex_rx.chunking import cutter

    made = cutter("token", 3, count=lambda text: 0)
    assert [piece.text for piece in [*made.feed("a b c d e f g "), *made.finish()]] == ["a b c ", "d e f ", "g "]


def test_a_sentence_without_end_is_cut_after_a_word(texts):
    parts = texts("word " * 2000, "sentence", longest=3003)
    assert [len(part) for part in parts] == [3000, 3000, 3000, 1000]
    parts = texts("see `a. b` and " * 300, "paragraph", longest=3001)
    assert "".join(parts) == "see `a. b` and " * 300
    assert all(len(part) <= 3001 and part[-1] == " " for part in parts)


def test_a_fence_without_end_is_cut_after_a_line(texts):
    lines = [f"line {number:03} of it.\n" for number in range(400)]
    text = "```\n" + "".join(lines) + "```\nAfter."
    parts = texts(text, "sentence", longest=3000)
    assert "".join(parts) == text
    assert [part[-1] for part in parts] == ["\n"] * (len(parts) - 1) + ["."]
    assert parts[-1] == "After."
    assert max(map(len, parts)) <= 3000


def test_an_overlap_is_as_much_as_fits():
    packer = Packer(10, 6)

    def add(text, weight):
        return list(packer.add(text, weight))

    assert [*add("aaaa", 4), *add("bbb", 3), *add("cc", 2)] == []
    assert add("dddddd", 6) == [Span("aaaabbbcc", 0, 0)]
    assert packer.held == len("ccdddddd"), "bbb and cc were kept, and bbb had to go"
    assert add("eeeeeeeeeeee", 12) == [Span("ccdddddd", 7, 2), Span("eeeeeeeeeeee", 15, 0)], "too heavy for any chunk"
    assert list(packer.finish()) == []
    assert add("f", 1) == [] and list(packer.finish()) == [Span("f", 27, 0)]


def test_what_no_chunk_shares_is_not_held_in_bits():
    packer = Packer(1_000_000, 0)
    for _ in range(5000):
        assert list(packer.add("ab ", 3)) == []
    assert len(packer._units) <= 600
    assert list(packer.finish()) == [Span("ab " * 5000, 0, 0)]


def test_graphemes():
    text = "a👩‍👩‍👧\r\ne\u0301🇩🇪🇫🇷"
    assert [graphemes.fit(text, most) for most in range(len(text) + 1)] == [
        0,
        1,
        1,
        1,
        1,
        1,
        6,
        6,
        8,
        8,
        10,
        10,
        12,
        12,
        14,
    ]
    assert graphemes.fit("\u200d\u200d", 1) == 0 and graphemes.first("\u200d\u200dx") == 2
    assert (
        graphemes.after("abc", 2, 2) == 2
        and graphemes.after("e\u0301x", 0, 1) == 2
        and graphemes.after("e\u0301" * 9, 0, 17, 5) == 5
    )


def test_an_atom_comes_as_soon_as_nothing_can_change_it():
    scanner = Scanner(10_000, groups=True)

    def given(text):
        return [atom.text for atom in scanner.feed(text)]

    assert given("Hel") == []
    assert given("lo.") == []
    assert given(" ") == ["Hello."]
    assert given("(open") == [" "]
    assert given(" and") == [], "it may close"
    assert given(") `co") == ["(open and)", " "]
    assert given("de`") == [], "two backticks would not close it"
    assert given("\n") == ["`code`"]
    assert given("``") == ["\n"]
    assert given("`py\na\n") == []
    assert given("```") == []
    assert given("\n") == ["```py\na\n```\n"]
    assert [atom.text for atom in scanner.finish()] == []
