"""What is shown of a text that is too long: the part that has most of what was asked for, cut at words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

__all__ = ["Excerpts", "cut_at_word"]

STEM = 4
"""How many characters of a word are looked for: other forms of it begin in the same way."""
IDEOGRAPHS = "\u2e80"  # from here on there are hardly any spaces between words; each pair of characters is looked for
SIGNS = 3
"""How many signs may stand after a word, before the next space."""
LEAD = 0.2
"""How much of the part stands before the first word that was asked for."""


def cut_at_word(text: str, most: int) -> str:
    """The beginning of a text, at most `most` code points, without a part of a word or of a character.

    >>> cut_at_word("Lisbon and Porto", 13), cut_at_word("京都に住む", 3)
    ('Lisbon and', '京都に')
    """
    if len(text) <= most:
        return text
    from cortex_rx.chunking.graphemes import fit  # here, for it loads `regex`

    head = text[: fit(text, most)]
    if not text[len(head)].isspace():
        words = head.rsplit(None, 1)
        if len(words) == 2 and 2 * len(words[0]) > len(head):  # else there are hardly any spaces
            return words[0]
    return head.rstrip()


@lru_cache(maxsize=1)  # one query is asked of many texts
def _stems(query: str) -> frozenset[str]:
    found: set[str] = set()
    for word in re.findall(r"\w+", query):
        if word[0] >= IDEOGRAPHS:
            found |= {word[at : at + 2] for at in range(max(len(word) - 1, 1))}
        else:
            found.add(word[:STEM].casefold())
    return frozenset(found)


class Excerpts:
    """The parts of a text that are shown for a query.

    >>> text = "A long beginning without it. " * 20 + "Here the zebra runs. " + "A long end. " * 20
    >>> start, part = Excerpts(text, "zebras").of(40)
    >>> text[start:].startswith(part), part
    (True, 'the zebra runs. A long end. A long')
    """

    def __init__(self, text: str, query: str) -> None:
        self._text, self._query = text, query
        self._hits: list[tuple[int, int, str]] | None = None

    def of(self, most: int) -> tuple[int, str]:
        """Where the part of at most `most` code points begins, and the part."""
        text = self._text
        if len(text) <= most:
            return 0, text
        start = 0
        if hit := self._first_of_best(most):
            start = max(0, min(int(hit - most * LEAD), len(text) - most))
        if start:
            space = re.compile(r"\s").search(text, start, hit)
            start = space.end() if space else len(cut_at_word(text, start))
        return start, cut_at_word(text[start : start + most + 1], most)

    def _first_of_best(self, most: int) -> int:
        """Where the first word of the best part is; 0 if no part is better than the beginning.

        A word counts the more, the seldomer it is in the text.
        """
        if self._hits is None:
            self._hits = list(self._found())
        often = Counter(word for *_, word in self._hits)
        worth = {word: _ONE // count for word, count in often.items()}
        best, first = sum(worth[word] for word in {word for _, end, word in self._hits if end <= most - SIGNS}), 0
        there: Counter[str] = Counter()
        weight = left = 0
        for _, end, word in self._hits:
            weight += 0 if there[word] else worth[word]
            there[word] += 1
            while self._hits[left][0] < end - most * (1 - LEAD) + SIGNS and self._hits[left][1] < end:
                gone = self._hits[left][2]
                there[gone] -= 1
                weight -= 0 if there[gone] else worth[gone]
                left += 1
            if weight > best:
                best, first = weight, self._hits[left][0]
        return first

    def _found(self) -> Iterator[tuple[int, int, str]]:
        """Where the words of the query are: beginning, end, and what of them is looked for.

        Each word of the text is looked up once, so a long query takes no longer than a short one.
        """
        stems = _stems(self._query)
        pairs = any(stem >= IDEOGRAPHS for stem in stems)
        for hit in re.finditer(r"\w+", self._text) if stems else ():
            word = hit[0]
            stem = next((stem for stem in _beginnings(word) if stem in stems), None)
            if stem is not None:
                yield hit.start(), hit.end(), stem
            elif pairs and not word.isascii():
                at = 0
                while at < len(word):
                    pair = next((pair for pair in (word[at : at + 2], word[at]) if pair in stems), "")
                    if pair >= IDEOGRAPHS:
                        yield hit.start() + at, hit.start() + at + len(pair), pair
                        at += len(pair)
                    else:
                        at += 1


_ONE = 2**40
"""What a word counts that is in a text once. Whole numbers, so that what is added can be taken away exactly."""


def _beginnings(word: str) -> Iterable[str]:
    """What may be looked for of a word: the shortest first."""
    return () if word[0] >= IDEOGRAPHS else (word[:count].casefold() for count in range(1, min(STEM, len(word)) + 1))
