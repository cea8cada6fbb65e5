"""Words: how a text becomes terms of the index, and a query becomes phrases to look for.

Text is folded (case, accents, compatibility forms), then cut into words. Emoji and scripts without spaces between words
(Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese ...) are cut into single characters. A query of several such
characters is a phrase: `京都` is found, but not in `東京の都`. Names like `C++` and `C#` are words.

In the index each word begins with the number of its memory space, so each space has its own lists.

The tables here are constants: a character of a later Unicode version is part of a word. The index keeps the words of
each row, so a change here leaves nothing behind when a text is deleted, but what was indexed before is found by its
former words only: add a migration that builds the index anew.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_rx.backends.sqlite.language import Language

__all__ = [
    "LEAD",
    "TERMS",
    "Term",
    "Words",
    "fold",
    "in_space",
    "index_text",
    "index_words",
    "lead_of",
    "query_pairs",
    "query_terms",
    "safe_cut",
    "surfaces_in_space",
]

TERMS = 64
"""How many different terms of a query are looked for; the others are ignored."""

LEAD = 32
"""How many characters the next part repeats after a cut without a space: the length of the longest phrase."""

# Punctuation, symbols, spaces and controls of Unicode 15.1, in hexadecimal, with unassigned code points between them.
_SEPARATORS = """
0-2f 3a-40 5b-60 7b-a9 ab-b1 b4 b6-b8 bb bf d7 f7 2c2-2c5 2d2-2df 2e5-2eb 2ed 2ef-2ff 375 37e 384-385 387 3f6 482
55a-55f 589-58f 5be 5c0 5c3 5c6 5f3-60f 61b-61f 66a-66d 6d4 6dd-6de 6e9 6fd-6fe 700-70f 7f6-7f9 7fe-7ff 830-83e 85e
888 890-891 8e2 964-965 970 9f2-9f3 9fa-9fb 9fd a76 af0-af1 b70 bf3-bfa c77 c7f c84 d4f d79 df4 e3f e4f e5a-e5b
f01-f17 f1a-f1f f34 f36 f38 f3a-f3d f85 fbe-fc5 fc7-fda 104a-104f 109e-109f 10fb 1360-1368 1390-1399 1400 166d-166e
1680 169b-169c 16eb-16ed 1735-1736 17d4-17d6 17d8-17db 1800-180a 180e 1940-1945 19de-19ff 1a1e-1a1f 1aa0-1aa6
1aa8-1aad 1b5a-1b6a 1b74-1b7e 1bfc-1bff 1c3b-1c3f 1c7e-1c7f 1cc0-1cc7 1cd3 1fbd 1fbf-1fc1 1fcd-1fcf 1fdd-1fdf
1fed-1fef 1ffd-206f 207a-207e 208a-208e 20a0-20c0 2100-2101 2103-2106 2108-2109 2114 2116-2118 211e-2123 2125 2127
2129 212e 213a-213b 2140-2144 214a-214d 214f 218a-244a 249c-24e9 2500-2775 2794-2bff 2ce5-2cea 2cf9-2cfc 2cfe-2cff
2d70 2e00-2e2e 2e30-3004 3008-3020 3030 3036-3037 303d-303f 309b-309c 30a0 30fb 3190-3191 3196-319f 31c0-31ef
3200-321e 322a-3247 3250 3260-327f 328a-32b0 32c0-33ff 4dc0-4dff a490-a4c6 a4fe-a4ff a60d-a60f a673 a67e a6f2-a716
a720-a721 a789-a78a a828-a82b a836-a839 a874-a877 a8ce-a8cf a8f8-a8fa a8fc a92e-a92f a95f a9c1-a9cd a9de-a9df
aa5c-aa5f aa77-aa79 aade-aadf aaf0-aaf1 ab5b ab6a-ab6b abeb d800-dfff fb29 fbb2-fbc2 fd3e-fd4f fdcf fdfc-fdff
fe10-fe19 fe30-fe6b feff-ff0f ff1a-ff20 ff3b-ff40 ff5b-ff65 ffe0-fffd 10100-10102 10137-1013f 10179-10189
1018c-101fc 1039f 103d0 1056f 10857 10877-10878 1091f 1093f 10a50-10a58 10a7f 10ac8 10af0-10af6 10b39-10b3f
10b99-10b9c 10ead 10f55-10f59 10f86-10f89 11047-1104d 110bb-110c1 110cd 11140-11143 11174-11175 111c5-111c8 111cd
111db 111dd-111df 11238-1123d 112a9 1144b-1144f 1145a-1145d 114c6 115c1-115d7 11641-11643 11660-1166c 116b9
1173c-1173f 1183b 11944-11946 119e2 11a3f-11a46 11a9a-11a9c 11a9e-11aa2 11b00-11b09 11c41-11c45 11c70-11c71
11ef7-11ef8 11f43-11f4f 11fd5-11fff 12470-12474 12ff1-12ff2 13430-1343f 16a6e-16a6f 16af5 16b37-16b3f 16b44-16b45
16e97-16e9a 16fe2 1bc9c 1bc9f-1bca3 1cf50-1d164 1d16a-1d16c 1d173-1d17a 1d183-1d184 1d18c-1d1a9 1d1ae-1d241 1d245
1d300-1d356 1d6c1 1d6db 1d6fb 1d715 1d735 1d74f 1d76f 1d789 1d7a9 1d7c3 1d800-1d9ff 1da37-1da3a 1da6d-1da74
1da76-1da83 1da85-1da8b 1e14f 1e2ff 1e95e-1e95f 1ecac 1ecb0 1ed2e 1eef0-1f0f5 1f10d-1fbca e0001-e007f
"""

# Scripts without spaces. A separator within these ranges stays a separator.
_IDEOGRAPHS = (
    "2e80-2fdf 3005-3007 3021-3029 3031-3035 3038-303b 3105-312f 31a0-31bf 3400-4dbf 4e00-9fff f900-faff 20000-3ffff"
)
_HIRAGANA = "3041-309f 1b001-1b11f"
_KATAKANA = "30a1-30fa 30fc-30ff 31f0-31ff 1aff0-1b000 1b120-1b16f"
_OTHERS = "ac00-d7a3 a000-a48c 17000-18dff 1b170-1b2ff"
_SYLLABIC = (
    "e01-e3a e40-e4e e81-ecf edc-edf 1000-1049 1050-109d 1780-17d3 17d7 17dc-17dd 1950-19da 1a20-1a7c 1b00-1b59"
    " a980-a9c0 a9e0-a9ef a9fa-a9fe aa60-aa76 aa7a-aadd"
)
_EMOJI = "2194-21aa 231a-23ff 25aa-25fe 2600-27bf 2934-2935 2b05-2b55 1f000-1faff"

# Combining accents, vowel points of Hebrew and Arabic, soft hyphens, joiners, selectors.
_DROPPED = (
    "ad 300-36f 483-487 591-5bd 5bf 5c1-5c2 5c4-5c5 5c7 610-61a 640 64b-65f 670 6d6-6dc 6df-6e8 6ea-6ed 1ab0-1aff"
    " 1dc0-1dff 200b-200d 2060 20d0-20ff fe00-fe0f fe20-fe2f feff e0100-e01ef"
)


def _class(ranges: str, low: int = 0, high: int = 0x10FFFF) -> str:
    """The inside of a character class of a regular expression, with the ranges from `low` to `high`."""
    ends = [[int(end, 16) for end in part.split("-")] for part in ranges.split()]
    kept = [(max(end[0], low), min(end[-1], high)) for end in ends if end[-1] >= low and end[0] <= high]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in kept)


@cache
def _re(pattern: str) -> re.Pattern[str]:
    """Compile at the first use: each takes milliseconds, and ASCII text needs few of them."""
    return re.compile(pattern)


# Folding removes these two full-width signs from texts, so they are free to use. They are parts of words, not
# separators.
_SYMBOL_WORDS = str.maketrans({"+": "＋", "#": "＃"})
_BREAK = _SEPARATORS.replace("feff-ff0f", "feff-ff02 ff04-ff0a ff0c-ff0f")
_SINGLE = " ".join([_IDEOGRAPHS, _HIRAGANA, _KATAKANA, _OTHERS, _SYLLABIC, _EMOJI])
# Characters beyond the first plane are separate: `re` searches their ranges one by one, and the others by a table.
_LOW, _HIGH = 0xFFFF, 0x10000
_one = f"[{_class(_SINGLE, high=_LOW)}]|[{_class(_SINGLE, low=_HIGH)}]"
_word = (
    f"(?:[^{_class(_BREAK + _SINGLE, high=_LOW)}\\U00010000-\\U0010ffff]+"
    f"|(?:(?=[\\U00010000-\\U0010ffff])[^{_class(_BREAK + _SINGLE, low=_HIGH)}])+)+"
)
_ascii_token = "[0-9a-z]+"
_token = f"{_word}|{_one}"
_run = f"{_word}|(?:{_one})+"
_is_single = _one
_drop = f"[{_class(_DROPPED)}]+"
_ACCENTS = "300-36f "
_drop_but_accents = f"[{_class(_DROPPED.replace(_ACCENTS, ''))}]+"
_symbol_word = r"(?<![0-9a-z])(?:[a-z]{1,12}\+\+|[a-z]{1,3}#(?![a-z]))"
# Signs that join the parts of one word: don't, e-mail, node.js, snake_case, a@b.c. Such a word is a phrase.
_joined = r"['’ʼ`\-‐‑._@/&·:=~\\]+"
_kind = "|".join(f"[{_class(kind)}]+" for kind in [_KATAKANA, _HIRAGANA, _SYLLABIC, _IDEOGRAPHS + " " + _OTHERS]) + "|."
_is_katakana = f"[{_class(_KATAKANA)}]"
_is_hiragana = f"[{_class(_HIRAGANA)}]"
_is_syllabic = f"[{_class(_SYLLABIC)}]"
# The characters of a term that is not of single characters; `_has_word`: it contains a word.
_term = f"(?>(?:{_word}|{_joined}|[+#])+)"  # atomic, since there are many equivalent ways to match
_term_begins, _term_ends = _term, rf"{_term}\Z"
_has_word = f"{_word}|[+#]"
_katakana_ends = rf"[{_class(_KATAKANA)}]*\Z"
_singles_end = rf"(?:{_one}){{0,3}}\Z"
# Letters that Unicode does not decompose, although readers and keyboards do.
_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"}
_letter = "[" + "".join(_LETTERS) + "]"


def fold(text: str) -> str:
    """The form in which texts are compared: without case and accents, `C++` and `C#` as words.

    >>> fold("Ångström, STRASSE, straße, ｶﾞ, C++")
    'angstrom, strasse, strasse, ガ, c＋＋ '
    """
    if text.isascii():
        folded = text.lower()
    else:
        folded = _re(_letter).sub(lambda found: _LETTERS[found[0]], _without(_drop, text))
    return _with_symbol_words(folded)


def _without(dropped: str, text: str) -> str:
    """A text without case and some characters, composed."""
    text = _re(dropped).sub("", unicodedata.normalize("NFKD", text)).casefold()
    return unicodedata.normalize("NFC", _re(dropped).sub("", unicodedata.normalize("NFKD", text)))


def _with_symbol_words(folded: str) -> str:
    if "+" in folded or "#" in folded:
        folded = _re(_symbol_word).sub(lambda found: found[0].translate(_SYMBOL_WORDS) + " ", folded)
    return folded


def _tokens(folded: str) -> list[str]:
    if folded.isascii():
        return _re(_ascii_token).findall(folded)
    return _re(_token).findall(folded)


def index_text(text: str) -> str:
    """The words of a text, separated by spaces.

    >>> index_text("Don't panic: 東京, C++!")
    'don t panic 東 京 c＋＋'
    """
    return " ".join(_tokens(fold(text)))


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text. `stems`: of all words, in order. `surfaces`: the words as they stand that carry something,
    without those of one character, of which each is its own stem."""

    stems: list[str]
    surfaces: list[str]


def index_words(text: str, language: Language) -> Words:
    """The words of a text, analysed in a language.

    >>> from cortex_rx.backends.sqlite.language import language_of
    >>> index_words("The memories don't fade", language_of("english"))
    Words(stems=['the', 'memori', 'don', 't', 'fade'], surfaces=['memories', 'don', 'fade'])
    """
    words = _tokens(fold(text))
    if not language.has_stems:
        return Words(words, [])
    stop_words = language.stop_words
    surfaces = [word for word in words if word not in stop_words and len(word) > 1]
    return Words(_stems(text, words, language), surfaces)


def _stems(text: str, words: list[str], language: Language) -> list[str]:
    """The stems of the words of a text. Made of the words with their accents, if the language has them in endings and
    the same words are found so, as they are but for signs in odd places: what stands between spaces there is stemmed
    without accents."""
    if language.stems_accents and not text.isascii():
        accented = _tokens(_with_symbol_words(_without(_drop_but_accents, text)))
        pairs = [pair for pair in map(language.folded_and_stem, accented) if pair[0]]
        if [word for word, _ in pairs] == words:
            return [stem for _, stem in pairs]
        pieces = text.split()
        if len(pieces) > 1:
            return [stem for piece in pieces for stem in _stems(piece, _tokens(fold(piece)), language)]
    return language.stems(words)


def in_space(space: int, words: str) -> str:
    """Words in the form of the index: before each word the number of the memory space, and a sign that separates words
    and so is never part of one.

    >>> in_space(7, "don t panic")
    '7¦don 7¦t 7¦panic'
    """
    return f"{space}¦{words.replace(' ', f' {space}¦')}" if words else ""


def surfaces_in_space(space: int, words: str) -> str:
    """Words as they stand in the form of the index. No stem equals one.

    >>> surfaces_in_space(7, "memories")
    '7¦¦memories'
    """
    return in_space(space, f"¦{words.replace(' ', ' ¦')}") if words else ""


@dataclass(frozen=True, slots=True)
class Term:
    """What a query looks for: a word, or a phrase of words separated by spaces.

    `words`: folded, as they stand. `stems`: their stems. `surface`: the word as it stands, if the index has it so: a
    memory that has the stem or the surface has the term.
    """

    words: str
    stems: str
    surface: str | None


def query_terms(query: str, language: Language) -> list[Term]:
    """The terms of a query, with different stems, at most `TERMS`. Any string is a query.

    Terms that carry nothing are left out, unless there are no others.

    >>> from cortex_rx.backends.sqlite.language import language_of
    >>> for term in query_terms("Don't the memories fade? node.js", language_of("english")):
    ...     print(term)
    Term(words='memories', stems='memori', surface='memories')
    Term(words='fade', stems='fade', surface='fade')
    Term(words='node js', stems='node js', surface=None)
    >>> [term.words for term in query_terms("To be or not", language_of("english"))]
    ['to', 'be', 'or', 'not']
    >>> [term.words for term in query_terms("What is it? don't C++ 京都 NEAR( *", language_of("none"))]
    ['what', 'is', 'it', 'don t', 'c＋＋', '京 都', 'near']
    """
    folded = fold(query)
    words = _tokens(folded)
    stem_of = dict(zip(words, _stems(query, words, language), strict=True))
    found: dict[str, Term] = {}
    empty: dict[str, Term] = {}  # of those that carry nothing
    for term in _terms(folded):
        stems = " ".join([stem_of[word] for word in term.split(" ")])
        carries = language.carries(term)
        of_kind = found if carries else empty
        if stems not in of_kind and len(of_kind) < TERMS:
            has_surface = language.has_stems and carries and len(term) > 1 and " " not in term
            of_kind[stems] = Term(term, stems, term if has_surface else None)
    return list((found or empty).values())


def query_pairs(query: str, language: Language) -> list[tuple[str, str]]:
    """Two words each that follow each other in a query: as they stand, and their stems. At most `TERMS`.

    One of the two carries something, unless no word does. Those that are a term of the query, or a part of one, are
    left out.

    >>> from cortex_rx.backends.sqlite.language import language_of
    >>> query_pairs("What is the colour of her hair?", language_of("english"))
    [('the colour', 'the colour'), ('colour of', 'colour of'), ('her hair', 'her hair')]
    """
    words = _tokens(fold(query))
    stems = _stems(query, words, language)
    carries = [language.carries(word) for word in words]
    none_carries = not any(carries)
    terms = [f" {term.stems} " for term in query_terms(query, language)]
    found: dict[str, str] = {}
    for at in range(len(words) - 1):
        pair = f"{stems[at]} {stems[at + 1]}"
        in_term = any(f" {pair} " in term for term in terms)
        if not in_term and (carries[at] or carries[at + 1] or none_carries):
            found.setdefault(pair, f"{words[at]} {words[at + 1]}")
        if len(found) == TERMS:
            break
    return [(both, pair) for pair, both in found.items()]


def _terms(folded: str) -> Iterator[str]:
    for piece in folded.split():
        phrase: list[str] = []
        end = 0
        for run in _re(_run).finditer(piece):
            single = _re(_is_single).match(run[0]) is not None
            # Two parts are one word only if nothing but joining signs is between them.
            if phrase and (single or not _re(_joined).fullmatch(piece, end, run.start())):
                yield " ".join(phrase)
                phrase = []
            if single:
                yield from _unspaced(run[0])
            elif len(phrase) < LEAD:
                phrase.append(run[0])
            end = run.end()
        if phrase:
            yield " ".join(phrase)


def _unspaced(run: str) -> Iterator[str]:
    """The terms of characters without spaces. Up to four are one phrase. More also give their parts, since the words in
    them are unknown."""
    if len(run) <= LEAD:
        yield " ".join(run)
    if len(run) <= 4:
        return
    for part in _re(_kind).findall(run):
        if _re(_is_katakana).match(part):
            yield " ".join(part[:LEAD])  # a run of katakana is one word
            continue
        width = 4 if _re(_is_syllabic).match(part) else 2
        if len(part) == 1 and _re(_is_hiragana).match(part):
            continue  # a particle
        for start in range(max(len(part) - width + 1, 1)):
            yield " ".join(part[start : start + width])


def safe_cut(text: str, start: int, stop: int) -> tuple[int, int]:
    """Where to cut the part of `text` that begins at `start` and should end at `stop` or a little before.

    Returns the offset of the cut, and how many characters before it the next part must repeat, so that no phrase is
    lost. This is 0 after a space, since no phrase contains one.
    """
    middle = (start + stop) // 2
    cut = max(text.rfind(space, middle, stop) for space in " \n\t\u3000") + 1
    return (cut, 0) if cut > 0 else (stop, LEAD)


def lead_of(before: str, after: str) -> int:
    """How many characters at the end of `before`, at most LEAD, belong to a term that goes on in `after`.

    In scripts without spaces these are three, since the parts of a query are not longer; a word of katakana is counted
    whole.

    >>> lead_of("The pine", "apple"), lead_of("The pine ", "apple")
    (4, 0)
    >>> lead_of("nod", "e.js"), lead_of("Yes", ". No"), lead_of("我住在东", "京都")
    (3, 0, 3)
    """
    before, after = before[-LEAD:], after[:LEAD]
    if before and after and _re(_is_single).match(before[-1]) and _re(_is_single).match(after[0]):
        kana = _re(_katakana_ends).search(before) if _re(_is_katakana).match(after[0]) else None
        ends = _re(_singles_end).search(before)
        return max(len(found[0]) for found in (kana, ends) if found)
    ended, begun = _re(_term_ends).search(before), _re(_term_begins).match(after)
    if ended and begun and _re(_has_word).search(ended[0]) and _re(_has_word).search(begun[0]):
        return len(ended[0])
    return 0
