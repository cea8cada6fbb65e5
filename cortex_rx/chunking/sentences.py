"""Sentences, as `sentencex` finds them, in a text that comes in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import regex  # type: ignore[import-untyped]
from sentencex import get_sentence_boundaries  # type: ignore[import-untyped]

from cortex_rx.chunking.atoms import Atom, Kind, Scanner
from cortex_rx.chunking.units import Unit, is_break

__all__ = ["Sentences", "is_end"]

TAIL = 48  # code points of the sentence so far that sentencex sees
NEXT = 30  # and of the text after it

_END = regex.compile(r"([\p{Sentence_Break=STerm}\p{Sentence_Break=ATerm}｡]+)[\p{Pe}\p{Pf}\p{Pi}\"'*_~`]*$")
_OPENING = regex.compile(r"^[\p{Ps}\p{Pi}\p{Pf}\"'*_~`#>!]+")
# sentencex ends a sentence after some of these, if the next word often begins one ("e.g. This"), and after the number
# of an item within a line.
_NEVER = regex.compile(
    r"(?:^|[\s(\[\"'“‘])(?:e\.g|E\.g|i\.e|I\.e|viz|vs|cf|Cf|approx|resp|Mr|Mrs|Ms|Messrs|Dr|Prof|z\.\s?B|d\.\s?h|bzw|ca|p\.\s?ex)\.$"
    r"|^\s*\d{1,3}\.$"
)
_TAG = regex.compile(r"<(?!\w+:)")
_CITATION = regex.compile(r"\[\^?\d{1,4}\]")


def is_end(before: str, space: str, following: str, language: str) -> bool:
    """Whether a sentence ends between `before`, which ends with a possible sentence end, and `following`.

    >>> is_end("She paid Dr.", " ", "Smith", "en"), is_end("She paid.", " ", "Then", "en")
    (False, True)
    """
    if _NEVER.search(before):
        return False
    text = f"{before}{space}{following}"
    at = (len(before), len(before) + len(space))
    try:
        found = get_sentence_boundaries(language, text)
    except UnicodeEncodeError:  # a lone surrogate
        found = get_sentence_boundaries(language, text.encode("utf-8", "replace").decode())
    return any(boundary["end_index"] in at for boundary in found)


class Sentences:
    """Sentences, each with the white space after it.

    Wherever a sentence may end, `sentencex` is asked once the next word is there.  It sees a short piece around that
    point: the end of the sentence so far and the word, with each link and code span as one word.  So the answer depends
    only on the text, and its cost is bounded.  Text in quotes or brackets is not cut, unless it is long.  A sentence
    always ends after `。！？`, and never after "e.g." and the like.  A blank line, a list item, a heading and a fence
    also end a sentence.
    """

    wakes: ClassVar[Any] = regex.compile(r"[\n\u2029\p{Sentence_Break=STerm}\p{Sentence_Break=ATerm}｡]")

    def __init__(self, longest: int, language: str = "en") -> None:
        self.scanner: Scanner = Scanner(longest, groups=True)
        self._longest, self._language = longest, language
        self._parts: list[str] = []
        self._length = 0
        self._tail = ""  # how the sentence so far ends, as sentencex is to see it
        self._maybe: int | None = None  # the sentence may end after so many parts
        self._space = ""
        self._over = False  # it has ended; white space may follow
        self._heading = False
        self._group = self._stop = False  # what the last word is
        self.asked: int = 0
        """How often sentencex was asked, for tests of the cost."""

    @property
    def waits(self) -> bool:
        """Whether a sentence has ended, or may have: the next word decides."""
        return self._over or self._maybe is not None or self._may_end()

    def units(self, atoms: Iterable[Atom]) -> Iterator[Unit]:
        """The complete sentences: another one has begun after each."""
        for atom in atoms:
            full = self._length + len(atom.text) > self._longest
            for kind, text in atom.words() if full else (atom,):
                yield from self._ended(kind, text)
                self._parts.append(text)
                self._length += len(text)
                self._note(kind, text)

    def rest(self) -> Iterator[Unit]:
        """The open sentence."""
        yield from self._end(len(self._parts))

    def _ended(self, kind: Kind, text: str) -> Iterator[Unit]:
        """The sentence that ends before this atom, if any."""
        if kind is not Kind.SPACE:
            if self._over or kind is Kind.MARK or kind is Kind.FENCE:
                yield from self._end(len(self._parts))
            elif self._maybe is not None and (following := _following(kind, text)):
                maybe, self._maybe = self._maybe, None
                if self._ends(following):
                    yield from self._end(maybe)
                else:
                    self._tail += self._space
        if self._length + len(text) > self._longest:
            yield from self._end(len(self._parts))

    def _ends(self, following: str) -> bool:
        if self._stop:
            return not self._heading
        if self._group and following[0].islower():
            return False  # "Yes." she said
        found = _END.search(self._tail)
        self.asked += 1
        return bool(found) and is_end(self._tail[: found.end(1)], self._space, following, self._language)

    def _may_end(self) -> bool:
        """Whether the text so far ends with a possible sentence end."""
        return not self._tail[-1:].isalnum() and bool(_END.search(self._tail))

    def _note(self, kind: Kind, text: str) -> None:
        if kind is Kind.SPACE:
            self._over |= is_break(text) or (self._heading and "\n" in text)
            if self._maybe is not None:
                self._space = " "
                if self._maybe == len(self._parts) - 1:
                    self._maybe = len(self._parts)
            elif not self._heading and self._may_end():
                self._maybe, self._space = len(self._parts), " "
            else:
                self._tail += " "
            return
        if kind is Kind.FENCE:
            self._over = True
        elif kind is Kind.MARK:
            self._heading = "#" in text
        elif self._maybe is None:
            self._tail = (self._tail + _seen(kind, text))[-TAIL:]
            self._group, self._stop = kind is Kind.GROUP, kind is Kind.STOP
            if kind is Kind.STOP:
                self._maybe, self._space = len(self._parts), ""

    def _end(self, at: int) -> Iterator[Unit]:
        """The first `at` parts are a sentence."""
        if at:
            yield Unit("".join(self._parts[:at]))
        self._parts = self._parts[at:]
        self._length = sum(map(len, self._parts))
        self._tail, self._maybe, self._over, self._heading = "", None, False, False


def _following(kind: Kind, text: str) -> str:
    """The first word of an atom, in the form that sentencex sees; empty if it has none."""
    if kind is Kind.WORDS:
        text = text[: text.index(" ")]
    return str(_OPENING.sub("", _seen(kind, text))[:NEXT])


def _seen(kind: Kind, text: str) -> str:
    """An atom in the form that sentencex sees."""
    if kind is Kind.LINK or kind is Kind.CODE:
        return "" if _TAG.match(text) else "Link"
    if kind is Kind.GROUP:
        if _CITATION.fullmatch(text):
            return ""
        inner = text[1:-1]
        found = _END.search(inner)
        return f"Words{found[1]}" if found else inner.strip()[:1] + "ord"
    return text
