"""What is shown of a text that is too long: the part that has most of what was asked for, cut at words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

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


def _stems(query: str) -> set[str]:
    found: set[str] = set()
    for word in re.findall(r"\w+", query):
        if word[0] >= IDEOGRAPHS:
            found |= {word[at : at + 2] for at in range(max(len(word) - 1, 1))}
        else:
            found.add(word[:STEM].casefold())
    return found


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
        best, first = _weight({word for _, end, word in self._hits if end <= most - SIGNS}, often), 0
        there: Counter[str] = Counter()
        left = 0
        for _, end, word in self._hits:
            there[word] += 1
            while self._hits[left][0] < end - most * (1 - LEAD) + SIGNS and self._hits[left][1] < end:
                there[self._hits[left][2]] -= 1
                left += 1
            weight = _weight((one for one, count in there.items() if count), often)
            if weight > best:
                best, first = weight, self._hits[left][0]
        return first

    def _found(self) -> Iterator[tuple[int, int, str]]:
        """Where the words of the query are: beginning, end, and what of them is looked for."""
        stems = sorted(_stems(self._query))
        places = (rf"(\b{re.escape(stem)})\w*" if stem < IDEOGRAPHS else f"({re.escape(stem)})" for stem in stems)
        for hit in re.finditer("|".join(places), self._text, re.IGNORECASE) if stems else ():
            yield hit.start(), hit.end(), stems[(hit.lastindex or 1) - 1]


def _weight(words: Iterable[str], often: Counter[str]) -> float:
    return sum(1 / often[word] for word in words)
