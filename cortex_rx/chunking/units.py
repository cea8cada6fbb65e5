"""Units: what a strategy counts.  Each is made of atoms and has a weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple, Protocol

import regex  # type: ignore[import-untyped]

from cortex_rx.chunking import graphemes
from cortex_rx.chunking.atoms import WORD, Atom, Kind, Scanner

__all__ = ["Fixed", "Paragraphs", "Strategy", "Unit", "Words", "is_break"]

_DOTTED = regex.compile(r"(?<!\w)\w++(?:[.,:]\w++)+\.?")  # 3.14, 1,000, e.g., example.com, 12:30
_WHOLE = (Kind.LINK, Kind.CODE, Kind.MARK, Kind.FENCE)


class Unit(NamedTuple):
    """A piece of the text, its weight, and whether it may be cut between any two grapheme clusters."""

    text: str
    weight: int = 1
    loose: bool = False


class Strategy(Protocol):
    """Makes units of the atoms of its scanner.  Holds the open unit."""

    scanner: Scanner
    wakes: ClassVar[Any]
    """The pattern of text that may end a unit and with it a chunk; None if only the length decides."""

    @property
    def waits(self) -> bool:
        """Whether a unit ends as soon as more text comes."""
        ...

    def units(self, atoms: Iterable[Atom]) -> Iterator[Unit]:
        """The units that these atoms complete."""
        ...

    def rest(self) -> Iterator[Unit]:
        """End the atoms, and yield the remaining units."""
        ...


class Fixed:
    """Code points.  Links, code, and words with dots or commas in them (numbers, abbreviations) stay whole."""

    wakes: ClassVar[Any] = None
    waits = False

    def __init__(self, longest: int) -> None:
        self.scanner: Scanner = Scanner(longest)

    def units(self, atoms: Iterable[Atom]) -> Iterator[Unit]:
        """Each atom as one unit, or as several: loose text, and what stays whole."""
        for kind, text in atoms:
            if kind in _WHOLE:
                yield Unit(text, len(text))
                continue
            at = 0
            for found in _DOTTED.finditer(text) if kind is Kind.PLAIN else ():
                start, end = found.span()
                if start > at and not graphemes.is_boundary(text, at, start):
                    continue
                if end < len(text) and not graphemes.is_boundary(text, 0, end):
                    end = graphemes.after(text, 0, end)
                if start > at:
                    yield Unit(text[at:start], start - at, loose=True)
                if end > at:
                    yield Unit(text[max(at, start) : end], end - max(at, start))
                    at = end
            if at < len(text):
                yield Unit(text[at:], len(text) - at, loose=True)

    def rest(self) -> Iterator[Unit]:
        """Nothing is held."""
        return iter(())


class Words:
    """Words, each with the white space after it.

    `count` returns the tokens of a word with the white space *before* it, as tokenizers see words; the weight is at
    least 1.  Without `count`, the weight is the length in code points.  A word that weighs more than `most` is cut
    between grapheme clusters; a link, code or fence is not.
    """

    wakes: ClassVar[Any] = None
    waits = False

    def __init__(self, longest: int, most: int, count: Callable[[str], int] | None = None) -> None:
        self.scanner: Scanner = Scanner(longest)
        self._longest, self._most, self._count = longest, most, count
        self._word: list[str] = []
        self._length = 0
        self._space: list[str] = []
        self._blank = 0  # its length
        self._before = ""  # white space
        self._whole = False  # the word has something in it that is not cut
        self._wide = False

    def units(self, atoms: Iterable[Atom]) -> Iterator[Unit]:
        """The complete words: another one has begun after each."""
        for atom in atoms:
            for each in atom.words():
                yield from self._add(*each)

    def _add(self, kind: Kind, text: str) -> Iterator[Unit]:
        if kind is Kind.SPACE:
            if self._length + self._blank + len(text) > self._longest:
                yield from self._take()
            self._space.append(text)
            self._blank += len(text)
            return
        wide = kind is Kind.WIDE
        glued = not (wide or self._wide) or kind is Kind.STOP  # what ends a sentence begins no chunk
        if self._space or not glued or kind is Kind.FENCE or self._length + len(text) > WORD:
            yield from self._take()
        self._word.append(text)
        self._length += len(text)
        self._whole |= kind in _WHOLE
        self._wide = wide or kind is Kind.STOP

    def rest(self) -> Iterator[Unit]:
        """The last word."""
        yield from self._take()
        self._before = ""

    def _take(self) -> Iterator[Unit]:
        word, space = "".join(self._word), "".join(self._space)
        whole, before = self._whole, self._before
        self._word, self._space, self._length, self._blank = [], [], 0, 0
        self._whole = self._wide = False
        if not (word or space):
            return
        self._before = space
        parts = [word] if whole else self._parts(word)
        for part in parts[:-1]:
            yield Unit(part, self._weigh(before, part, ""))
            before = ""
        yield Unit(parts[-1] + space, self._weigh(before, parts[-1], space))

    def _weigh(self, before: str, word: str, space: str) -> int:
        return max(1, self._count(before + word)) if self._count else len(word) + len(space)

    def _parts(self, word: str) -> list[str]:
        if len(word) < 2 or self._weigh("", word, "") <= self._most:
            return [word]
        cut = graphemes.fit(word, len(word) // 2) or graphemes.first(word)
        return [word] if cut == len(word) else [*self._parts(word[:cut]), *self._parts(word[cut:])]


class Paragraphs:
    """Text between blank lines, with the blank lines after it.  Blank lines in a fence do not count."""

    wakes: ClassVar[Any] = regex.compile(r"[\n\u2029]")

    def __init__(self, longest: int) -> None:
        self.scanner: Scanner = Scanner(longest)
        self._longest = longest
        self._parts: list[str] = []
        self._length = 0
        self._ended = False
        self._line = False  # it has come to the end of a line

    @property
    def waits(self) -> bool:
        """Whether a blank line has come."""
        return self._ended

    def units(self, atoms: Iterable[Atom]) -> Iterator[Unit]:
        """The complete paragraphs: another one has begun after each."""
        for atom in atoms:
            full = self._length + len(atom.text) > self._longest
            for each in atom.words() if full else (atom,):
                yield from self._add(*each)

    def _add(self, kind: Kind, text: str) -> Iterator[Unit]:
        if (self._ended and kind is not Kind.SPACE) or self._length + len(text) > self._longest:
            yield from self.rest()
        self._parts.append(text)
        self._length += len(text)
        self._ended |= kind is Kind.SPACE and (is_break(text) or (self._line and "\n" in text))
        self._line = text[-1] == "\n"

    def rest(self) -> Iterator[Unit]:
        """The open paragraph."""
        if self._parts:
            yield Unit("".join(self._parts))
        self._parts, self._length, self._ended = [], 0, False


def is_break(space: str) -> bool:
    """Whether white space contains a blank line."""
    return space.count("\n") > 1 or "\u2029" in space
