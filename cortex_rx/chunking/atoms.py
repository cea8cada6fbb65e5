"""The smallest pieces of a text, between which it may be cut.  The text comes piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

import regex  # type: ignore[import-untyped]

from cortex_rx.chunking import graphemes

__all__ = ["WORD", "Atom", "Kind", "Scanner"]

WORD = 300  # code points: a longer word counts as several; quotes and brackets that are longer count as open
URL = 2000
CODE = 1000  # code points: a longer span between backticks is not a code span
WIDE = 32  # code points of a script without spaces that are taken at once


class Kind(Enum):
    """What an atom is."""

    PLAIN = "plain"
    """A word, with the signs on it."""
    WORDS = "words"
    """Ordinary words, each with a space after it.  Their number depends on how the text came."""
    WIDE = "wide"
    """A piece of a script without spaces between words."""
    STOP = "stop"
    """A sentence end without a space after it (`。`), with the closing signs after it."""
    SPACE = "space"
    """White space: either up to the end of a line, or within one."""
    LINK = "link"
    """A link, an address, an HTML tag."""
    CODE = "code"
    """A code span."""
    GROUP = "group"
    """Text in quotes or brackets, including these; only if requested."""
    MARK = "mark"
    """The marker at the start of a list item or a heading."""
    FENCE = "fence"
    """A fenced block of code, or a part of one that is too long."""


class Atom(NamedTuple):
    """A piece of the text."""

    kind: Kind
    text: str

    def words(self) -> Iterator[Atom]:
        """Words and spaces one by one; any other atom unchanged."""
        if self.kind is not Kind.WORDS:
            yield self
            return
        for word in self.text[:-1].split(" "):
            yield Atom(Kind.PLAIN, word)
            yield _BLANKS


_BLANKS = Atom(Kind.SPACE, " ")
_OPENERS = '\\[(<`"“«„‘‹「『《〈【（'
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_STOPS = "。！？｡។၊။"
_SIGNS = r"\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # of East Asian scripts

_WORDS = re.compile(
    r"(?:[A-Za-z0-9À-ɏͰ-҂Ҋ-ԯ][A-Za-z0-9À-ɏͰ-҂Ҋ-ԯ'’-]{0,40},? ){1,64}"
)  # no cluster in it is longer than one
_SPACE = regex.compile(r"[\s\x1c-\x1f]+")  # as `str.isspace`
_STOP = regex.compile(rf"[{_STOPS}]{{1,64}}[」』”’）》〉】\"')\]]{{0,8}}")
_WIDE = regex.compile(rf"(?:(?![{_STOPS}{_OPENERS}])[{_UNSPACED}{_SIGNS}]){{1,{WIDE}}}")
_RUN = regex.compile(rf"(?:[^\s\x1c-\x1f{_UNSPACED}{_SIGNS}{_STOPS}{_OPENERS}!]|!(?!\[)){{1,{WORD}}}")
_ADDRESS = regex.compile(r"(?<![A-Za-z0-9])(?:https?://|ftp://|wss?://|mailto:|www\.)", regex.IGNORECASE)
_URL = regex.compile(rf"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%|-]{{1,{URL}}}")
_FENCE = regex.compile(r"[ \t>]{0,16}(?:(`{3,64})[^`\n]{0,300}|(~{3,64})[^\n]{0,300})\n")
_MARK = regex.compile(r"[ \t]{0,16}(?:[-*+•][ \t]|\d{1,3}[.)][ \t]|#{1,6}[ \t])")
_BLANK = regex.compile(r"\n[^\S\n]*\n")
_TICKS = regex.compile(r"`+")

_LINK = regex.compile(
    rf"!?\[(?:[^\[\]]|\[[^\[\]]{{0,{WORD}}}\]){{0,{WORD}}}+\]"
    rf'\((?:[^()\s]|\([^()\s]{{0,{WORD}}}\)){{0,{URL}}}+(?:\s{{1,4}}"[^"]{{0,{WORD}}}")?\)'
)
_TAG = regex.compile(
    rf"<(?:(?:https?|ftp|mailto):[^\s<>]{{1,{URL}}}|/?[A-Za-z][^<>]{{0,{WORD}}}|!--[^<>]{{0,{WORD}}})>"
)


def _group(opener: str, closer: str) -> regex.Pattern[str]:
    """Brackets, which may be nested once."""
    a, b = regex.escape(opener), regex.escape(closer)
    return regex.compile(rf"{a}(?:[^{a}{b}]|{a}[^{a}{b}]{{0,{WORD}}}{b}){{1,{WORD}}}+{b}")


_GROUPS = {
    a: _group(a, b) for a, b in ("()", "[]", "“”", "«»", "„“", "‹›", "「」", "『』", "《》", "〈〉", "【】", "（）")
}
_GROUPS['"'] = regex.compile(rf'"[^"]{{1,{WORD}}}"')
# Within a word ’ is an apostrophe.  Only its neighbours decide that, so no later text can change it.
_GROUPS["‘"] = regex.compile(rf"‘(?:[^‘’]|(?<=\w)’(?=\w)(?![{_UNSPACED}])){{1,{WORD}}}+’")
_LINKS: dict[str, tuple[tuple[Kind, regex.Pattern[str]], ...]] = {
    "[": ((Kind.LINK, _LINK),),
    "!": ((Kind.LINK, _LINK),),
    "<": ((Kind.LINK, _TAG),),
}

_MOST = {Kind.LINK: URL + 2 * WORD, Kind.GROUP: WORD + 2}


class Scanner:
    """Yields the atoms of a text, each as soon as no further text can change it.

    With `groups`, text in quotes or brackets is one atom, unless it is longer than 300 code points or contains a blank
    line.  No atom is longer than `longest` code points, at least 3,000; only endless text reaches that limit.  Holds
    the open atom.
    """

    def __init__(self, longest: int, *, groups: bool = False) -> None:
        self._longest = longest
        specials = dict(_LINKS)
        if groups:
            for opener, pattern in _GROUPS.items():
                specials[opener] = (*specials.get(opener, ()), (Kind.GROUP, pattern))
        self._specials = specials
        self._text = ""
        self._at = 0
        self._line = True  # at the beginning of a line
        self._before = "\n"
        self._fence: regex.Pattern[str] | None = None  # what closes the fence that is open
        self._lines: list[str] = []  # of that fence
        self._held = 0  # their length
        self.steps: int = 0
        """The code points examined so far, for tests of the cost."""

    @property
    def open(self) -> str:
        """The text that is in no atom yet, without the lines of a fence."""
        return self._text[self._at :]

    def feed(self, text: str) -> Iterator[Atom]:
        """Add text, and yield the atoms that are now certain."""
        self._text = self._text[self._at :] + text
        self._at = 0
        return self._atoms(final=False)

    def finish(self) -> Iterator[Atom]:
        """End the text, and yield the remaining atoms."""
        yield from self._atoms(final=True)
        if self._lines:
            yield self._flush()
        self._fence = None

    def _atoms(self, final: bool) -> Iterator[Atom]:
        while self._at < len(self._text) and (atom := self._next(final)):
            if atom.text:
                yield atom

    def _next(self, final: bool) -> Atom | None:
        """The next atom, or None if more text is needed to decide.  An atom without text: something else was found."""
        text, at = self._text, self._at
        if self._fence:
            return self._fenced(final)
        if self._line:
            self.steps += 16
            if found := _FENCE.match(text, at, partial=not final):
                self.steps += len(found[0])
                return None if found.partial else self._open(found)
            if found := _MARK.match(text, at, partial=not final):
                return None if found.partial else self._take(Kind.MARK, found.end(), final)
        if (end := _reach(_WORDS, text, at)) > at and (end == len(text) or graphemes.is_boundary(text, at, end)):
            return self._take(Kind.WORDS, end, final)
        char = text[at]
        if char.isspace():
            return self._space(_reach(_SPACE, text, at), final)
        if char == "`":
            return self._code(final)
        for kind, pattern in self._specials.get(char, ()):
            found = pattern.match(text, at, partial=not final)
            if not found or found.end() - at > _MOST[kind]:
                continue
            if found.partial or (found.end() == len(text) and not final):
                self.steps += len(text) - at
                return None
            if self._sound(char, found):
                return self._take(kind, found.end(), final)
        return self._word(final)

    def _word(self, final: bool) -> Atom | None:
        text, at = self._text, self._at
        if (end := _reach(_RUN, text, at)) > at:
            kind, most = Kind.PLAIN, WORD
        elif (end := _reach(_STOP, text, at)) > at:
            kind, most = Kind.STOP, 72
        elif (end := _reach(_WIDE, text, at)) > at:
            kind, most = Kind.WIDE, WIDE
        else:
            return self._take(Kind.PLAIN, at + 1, final)  # an opening sign that is never closed
        if end == len(text) and end - at < most and not final:
            self.steps += end - at
            return None
        # Only the word is examined: the text before it may be gone.
        if kind is Kind.PLAIN and (address := _ADDRESS.search(text[at:end])):
            if address.start():
                return self._take(kind, at + address.start(), final)
            end = _reach(_URL, text, at)
            if end == len(text) and end - at < URL and not final:
                self.steps += end - at
                return None
            return self._take(Kind.LINK, at + len(_bare(text[at:end])), final)
        return self._take(kind, end, final)

    def _sound(self, char: str, found: Any) -> bool:
        """Whether a match is really a group in quotes or brackets, or a link."""
        text, end = self._text, found.end()
        if char == '"' and (self._before.isalnum() or text[self._at + 1].isspace() or text[end : end + 1].isalnum()):
            return False  # the sign of inches, or a closing quote
        return not _BLANK.search(text, self._at, end)

    def _space(self, end: int, final: bool) -> Atom | None:
        text, at = self._text, self._at
        end = min(end, at + self._longest)
        if end == len(text) and end - at < self._longest and not final:
            self.steps += end - at
            return None
        newline = text.rfind("\n", at, end)
        return self._take(Kind.SPACE, newline + 1 if newline >= 0 else end, final)

    def _code(self, final: bool) -> Atom | None:
        """A code span: backticks, and as many later, without a blank line in between; otherwise the backticks alone."""
        text, at = self._text, self._at
        start = min(_reach(_TICKS, text, at), at + WORD)
        if start == len(text) and not final:
            return None
        ticks, most = start - at, start + CODE
        for found in _TICKS.finditer(text, start, most):
            self.steps += found.end() - at
            if found.end() == len(text) and not final:
                return None
            if found.end() - found.start() == ticks:
                if _BLANK.search(text, start, found.start()):
                    break
                return self._take(Kind.CODE, found.end(), final)
        else:
            self.steps += len(text) - at
            if len(text) <= most and not final and not _BLANK.search(text, start):
                return None
        return self._take(Kind.PLAIN, start, final)

    def _take(self, kind: Kind, end: int, final: bool) -> Atom | None:
        """The text up to `end` as an atom, with the rest of a grapheme cluster that continues beyond `end`."""
        text, at = self._text, self._at
        if end >= len(text):
            if not final:
                return None
        elif not graphemes.is_boundary(text, at, end):
            end = graphemes.after(text, at, end, at + self._longest)
            self.steps += end - at
            if end == len(text) and end - at < self._longest and not final:
                return None
        self.steps += end - at
        return Atom(kind, self._pass(end))

    def _pass(self, end: int) -> str:
        passed = self._text[self._at : end]
        self._at = end
        self._before = passed[-1]
        self._line = self._before == "\n"
        return passed

    # --- fences ---------------------------------------------------------------------------------------------------

    def _open(self, found: Any) -> Atom:
        ticks = found[1] or found[2]
        self._fence = regex.compile(rf"[ \t>]{{0,16}}{ticks[0]}{{{len(ticks)},}}[ \t]*\r?\n?")
        self._hold(found.end())
        return Atom(Kind.FENCE, "")

    def _fenced(self, final: bool) -> Atom | None:
        """Take the fence line by line, until it is closed or too long."""
        text, at, longest = self._text, self._at, self._longest
        end = text.find("\n", at, at + longest) + 1
        if not end:
            if len(text) - at <= longest and not final:
                self.steps += len(text) - at
                return None
            end = at + (graphemes.fit(text[at : at + longest + 1], longest) or longest)
        if self._lines and self._held + end - at > longest:
            return self._flush()
        closes = self._line and self._fence and self._fence.fullmatch(text, at, min(end, len(text)))
        self._hold(end)
        if closes:
            self._fence = None
            return self._flush()
        return Atom(Kind.FENCE, "")

    def _hold(self, end: int) -> None:
        self._lines.append(self._pass(end))
        self._held += len(self._lines[-1])
        self.steps += len(self._lines[-1])

    def _flush(self) -> Atom:
        text = "".join(self._lines)
        self._lines, self._held = [], 0
        return Atom(Kind.FENCE, text)


def _reach(pattern: Any, text: str, at: int) -> int:
    """Where a match at `at` ends; `at` itself if there is none."""
    found = pattern.match(text, at)
    return int(found.end()) if found else at


def _bare(address: str) -> str:
    """An address without the punctuation after it."""
    while address and (
        address[-1] in ".,;:!?'*_~|"
        or (address[-1] == ")" and address.count(")") > address.count("("))
        or (address[-1] == "]" and address.count("]") > address.count("["))
    ):
        address = address[:-1]
    return address
