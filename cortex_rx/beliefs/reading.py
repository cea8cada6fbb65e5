"""What a sentence says besides its words: polarity, tense and numbers.

These are lists of words and a few rules, for English; of other languages only common negations are known.  They are
used where an extractor does not say it.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Literal

__all__ = ["Polarity", "Tense", "digits", "numbers_of", "polarity_of", "tense_of"]

Polarity = Literal["positive", "negative"]
"""Whether a statement says that something is so, or that it is not."""
Tense = Literal["past", "present", "future"]
"""Whether what a statement says was so, is so (now or always), or will be so."""

_WORD = r"[^\s.,;:!?()\[\]\"“”„«»…।。、/\-]+"  # `\w` would end at the vowel signs of Indic scripts
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u00b4`", "'''''")


def _words(*lines: str) -> list[str]:
    return " ".join(lines).split()


_CONTRACTED = _words(
    "can't don't doesn't didn't isn't aren't wasn't weren't won't wouldn't couldn't shouldn't hasn't haven't hadn't",
    "ain't",
)
_WHOLE = {each.replace("'", ""): each for each in _CONTRACTED}  # many write them without the apostrophe
_BARE = rf"\b(?:{'|'.join(_WHOLE)})\b"


def _words_of(text: str) -> list[str]:
    return [word.strip("'") for word in re.findall(_WORD, text)]


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold()
    return re.sub(_BARE, lambda found: _WHOLE[found[0]], plain)


# --- polarity ---------------------------------------------------------------------------------------------------------

_NEGATIVE = frozenset(
    _words(
        "not never no nobody none nothing nowhere neither nor without hardly barely scarcely rarely seldom cannot",
        "lack lacks lacking unable refuse refuses refused",
        "nicht nichts nie niemals niemand kein keine keinen keinem keiner keines ohne kaum",  # German
        "pas jamais aucun aucune sans rien",  # French
        "nunca jamás nadie ningún ninguno ninguna",  # Spanish
        "non nessuno nessuna senza",  # Italian
        "não nenhum nenhuma ninguém",  # Portuguese
        "niet geen nooit zonder",  # Dutch
        "ikke inte aldrig aldri ingen",  # Danish, Norwegian, Swedish
        "nigdy bez",  # Polish
        "не нет никогда без никто ничего",  # Russian
        "değil yok",  # Turkish
        "δεν δε μην χωρίς",  # Greek
        "لا لم لن ليس ليست بدون",  # Arabic
        "לא אין בלי",  # Hebrew
        "नहीं मत बिना",  # Hindi
    )
)
# Chinese, Japanese and Korean have no spaces around them, or they are endings.
_ATTACHED = r"不(?!错|久|断|过)|没(?!关系)|ない|ません|なかった|않|없|못하"
_QUIT = r"\b(?:stop(?:s|ped)?|quits?|ceased?|gi?a?ven? up) (?:\w+ )?\w+ing\b"
_HARMLESS = (
    r"\b(?:not (?:only|just|to mention)|no (?:doubt|wonder|problem|matter)|nothing but|why not)\b"
    r"|\b(?:can(?:no|')t|can not) wait\b|\bno\. ?(?=\d)"
)
_CLAUSE = r"(?<![.!?;:\n])[.!?;:\n]+(?=\s|$)|\b(?:but|although|though|whereas|however)\b|,? (?=not\b)"


def polarity_of(text: str, about: str | None = None) -> Polarity:
    """Whether the sentence denies something.  With `about`, only the clause in which that stands counts.

    >>> polarity_of("Ada no longer eats meat."), polarity_of("Ada likes tea, but not coffee", "tea")
    ('negative', 'positive')
    """
    plain = re.sub(_HARMLESS, " ", _folded(text))
    if about and (part := _folded(about).strip()):
        plain = next((each for each in _clauses(plain) if part in each), plain)
    denies = any(word in _NEGATIVE or word.endswith("n't") for word in _words_of(plain))
    return "negative" if denies or re.search(_ATTACHED, plain) or re.search(_QUIT, plain) else "positive"


def _clauses(text: str) -> list[str]:
    """A "not" in the middle begins a clause and belongs to it, if words stand before it that are no verb of it."""
    clauses = re.finditer(_CLAUSE, text)
    cuts = [0, *(found.end() if found[0].strip(", ") else found.start() for found in clauses), len(text)]
    return [text[begin:end] for begin, end in pairwise(cuts)]


# --- tense ------------------------------------------------------------------------------------------------------------

_TIMES = "|".join(
    _words(
        "night week weekend month year spring summer autumn fall winter time",
        "monday tuesday wednesday thursday friday saturday sunday",
        "january february march april may june july august september october november december",
    )
)
_FUTURE = (
    r"\b(?:will|shall|won't|gonna|tomorrow|soon|upcoming|in the future|going to be|about to)\b|\w'll\b"
    rf"|(?:\b(?:am|is|are)|'m|'s|'re) (?:not )?going to (?!the\b|an?\b)[a-z]|\bnext (?:{_TIMES})\b"
)
_ORIGIN = (  # says in the past tense what holds for good
    r"\b(?:was|were) (?:born|founded|established|created|written|built|made|invented|named|composed|painted|designed)\b"
)
_PAST = (
    r"\b(?:used to|was|were|wasn't|weren't|did|didn't|had|hadn't|former|formerly|previously)\b"
    rf"|\b(?:yesterday|once|ago|in the past|at that time|back then)\b|\bex-\w|\blast (?:{_TIMES})\b"
)
_NOW = frozenset(
    _words(
        "am is are isn't aren't ain't has have hasn't haven't do does don't doesn't can can't cannot must should may",
        "might now currently still",
    )
)
_CHANGES = frozenset(  # verbs whose past says what holds now
    _words(
        "moved started began became joined switched changed turned got adopted married stopped quit ceased retired",
        "relocated graduated decided learned learnt renamed enrolled transferred converted promoted",
        "founded established created invented",
    )
)
_IRREGULAR = frozenset(
    _words(
        "went came saw ate drank knew said told gave took thought felt kept left met sold bought brought caught",
        "taught wrote spoke drove flew ran sang swam slept spent stood understood won lost paid sat sent built broke",
        "chose fell fought forgot found grew held heard hid led lent lay made meant rode rose sought shot showed stole",
        "threw wore woke",
    )
)
_NOT_PAST = frozenset(
    _words(
        "need feed seed speed exceed proceed succeed bleed breed weed indeed hundred naked sacred wicked shed fred",
        "ahmed mohammed muhammad embed sled",
    )
)


def tense_of(text: str) -> Tense:
    """Whether the sentence is about the past, the present or the future.

    What began in the past and holds now is the present: "moved to", "was born in", "has lived in".

    >>> [tense_of(each) for each in ("Ada lived in Rome", "Ada moved to Rome", "Ada will live in Rome")]
    ['past', 'present', 'future']
    """
    plain = _folded(text)
    if re.search(_FUTURE, plain):
        return "future"
    if re.search(_PAST, re.sub(_ORIGIN, " ", plain)):
        return "past"
    if re.search(_ORIGIN, plain):
        return "present"
    for word in _words_of(plain):
        if word in _NOW or word in _CHANGES or word.endswith(("'s", "'re", "'m", "'ve")):
            return "present"
        if word in _IRREGULAR or (len(word) > 3 and word.endswith("ed") and word not in _NOT_PAST):
            return "past"
    return "present"


# --- numbers ----------------------------------------------------------------------------------------------------------

_SMALL = {
    word: value
    for value, word in enumerate(
        _words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen",
            "seventeen eighteen nineteen",
        )
    )
}
_TENS = {word: 10 * at for at, word in enumerate(_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ORDINALS = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth",
    "sixteenth seventeenth eighteenth nineteenth twentieth",
)
_MONTHS = _words(  # those that are words of their own only with a capital
    "january jan february feb March Mar april apr May May june jun july jul august aug september sep october oct",
    "november nov december dec",
)
_DAYS = _words("monday tuesday wednesday thursday friday saturday sunday")
_OTHERS = {
    **{word: str(at) for at, word in enumerate(_ORDINALS, 1)},
    **{word: f"month {at // 2}" for at, word in enumerate(_MONTHS, 2)},
    **{word: f"day {at}" for at, word in enumerate(_DAYS, 1)},
    "half": "0.5",
    "once": "1",
    "twice": "2",
    "thrice": "3",
    "dozen": "12",
    "couple": "2",
    "both": "2",
}
_NUMBER = (
    r"(?P<sign>[$€£¥])?(?P<digits>(?:(?<![\w.])[-\u2212])?\d(?:[\d.,'\u00a0\u202f]*\d)?)"
    r"(?P<unit> ?%| percent\b| ?[ap]m\b|[^\W\d_]+)?"
    r"|(?P<word>[^\W\d_]+)"
)
_CARDINAL = "|".join((*_SMALL, *_TENS, *_SCALES))
_CARDINALS = rf"\b(?:{_CARDINAL})(?:[\s-]+(?:and\s+)?(?:{_CARDINAL}))*\b"
_MOST = 10**18  # a larger number is two
_PRONOUN = frozenset(_words("no the this that which each every another any some"))  # before "one"


def numbers_of(text: str) -> tuple[str, ...]:
    """The numbers in a text, in their order and in one way of writing: digits, number words, months and days.

    A unit that is written onto the number is part of it, as are "%", "am", "pm" and the sign of a currency before it.
    A comma or a point before groups of three digits separates thousands if it occurs twice, or is a comma.

    >>> numbers_of("On 3 May at 5 pm, twenty-one people paid $1,250.50")
    ('3', 'month 5', '5pm', '21', '$1250.5')
    """
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)
    found: list[str] = []
    words = _Words()
    former = ""
    for match in re.finditer(_NUMBER, plain, re.IGNORECASE):
        if match["digits"]:
            found += words.end()
            unit = (match["unit"] or "").strip().casefold()
            unit = {"percent": "%", "st": "", "nd": "", "rd": "", "th": ""}.get(unit, unit)
            digits = _plain(match["digits"])
            if not unit and not match["sign"] and digits.isdecimal() and len(digits) < 16:
                words.begin(int(digits))
            else:
                found.append(f"{match['sign'] or ''}{digits}{unit}")
            former = ""
            continue
        word = match["word"]
        low = word.casefold()
        if low == "one" and former in _PRONOUN:
            found += words.end()
        elif low in _SMALL or low in _TENS or low in _SCALES:
            found += words.add(low)
        elif low != "and" or not words.may_continue:
            found += words.end()
            other = _OTHERS.get(word, _OTHERS.get(low))
            found += [other] if other else []
        former = low
    return tuple(found + words.end())


def digits(text: str) -> str:
    """The text with its number words in digits.

    >>> digits("Twenty-one cats and two dogs")
    '21 cats and 2 dogs'
    """
    return re.sub(_CARDINALS, lambda found: " ".join(numbers_of(found[0])), text, flags=re.IGNORECASE)


class _Words:
    """A number that is written in words, or in digits and a word: "2 million"."""

    def __init__(self) -> None:
        self._done = 0  # thousands and more
        self._open: int | None = None
        self._last = ""

    @property
    def may_continue(self) -> bool:
        return self._last in _SCALES

    def begin(self, value: int) -> None:
        self._open, self._last = value, "digits"

    def add(self, word: str) -> list[str]:
        """Take a number word; what is returned had ended before it."""
        ended: list[str] = []
        if (scale := _SCALES.get(word)) is not None:
            value = 1 if self._open is None else self._open
            if self._done + value * scale > _MOST:
                ended, value = self.end(), 1
            if scale == 100:
                self._open = value * scale
            else:
                self._done, self._open = self._done + value * scale, 0
        else:
            small = _SMALL.get(word, 0) or _TENS.get(word, 0)
            follows = self._last in _SCALES or (self._last in _TENS and 0 < small < 10)
            if self._open is not None and not follows:
                ended = self.end()
            self._open = (self._open or 0) + small
        self._last = word
        return ended

    def end(self) -> list[str]:
        """The number that ends here, if any."""
        ended = [] if self._open is None else [str(self._done + self._open)]
        self._done, self._open, self._last = 0, None, ""
        return ended


def _plain(digits: str) -> str:
    """The number without separators of thousands, and without zeros that say nothing."""
    sign = "-" if digits[0] in "-\u2212" else ""
    plain = re.sub(r"['\u00a0\u202f]", "", digits.lstrip("-\u2212"))
    point = max(plain.rfind("."), plain.rfind(","))
    if point >= 0:
        mark = plain[point]
        groups = re.split(r"[.,]", plain)
        thousands = all(len(group) == 3 for group in groups[1:]) and len({*re.findall(r"[.,]", plain)}) == 1
        if thousands and (mark == "," or len(groups) > 2):
            point = -1
    whole = re.sub(r"[.,]", "", plain if point < 0 else plain[:point])
    part = "" if point < 0 else plain[point + 1 :].rstrip("0")
    whole = "".join(str(unicodedata.digit(each)) for each in whole).lstrip("0") or "0"
    part = "".join(str(unicodedata.digit(each)) for each in part).rstrip("0")
    return f"{sign}{whole}{'.' if part else ''}{part}"
