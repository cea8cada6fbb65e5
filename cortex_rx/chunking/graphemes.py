"""Where a text may be cut without breaking a grapheme cluster: a user-perceived character (UAX 29).

>>> fit("ab👩‍👩‍👧c", 4), fit("ab👩‍👩‍👧c", 7), fit("a\\r\\nb", 2)
(2, 7, 1)
"""

from __future__ import annotations

import regex  # type: ignore[import-untyped]

__all__ = ["after", "first", "fit", "is_boundary"]

_CLUSTER = regex.compile(r"\X")
# Characters that may share a cluster with a neighbour; between two others there is always a boundary (except CR LF).
_JOINS = regex.compile(
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=Regional_Indicator}"
    r"\p{GCB=L}\p{GCB=V}\p{GCB=T}\p{GCB=LV}\p{GCB=LVT}\p{Extended_Pictographic}]"
)
_PLAIN = "\u0300"  # two characters below it never join, except CR LF


def _surely(text: str, at: int) -> bool:
    """Whether there is a boundary at `at` whatever comes before its two neighbours."""
    left, right = text[at - 1], text[at]
    if left < _PLAIN and right < _PLAIN:
        return not (left == "\r" and right == "\n")
    return not (_JOINS.match(left) or _JOINS.match(right))


def is_boundary(text: str, start: int, at: int) -> bool:
    """Whether a cluster ends at `at`.  `start` must be a boundary, and both neighbours of `at` must be present."""
    return _surely(text, at) or after(text, start, at) == at


def after(text: str, start: int, at: int, end: int | None = None) -> int:
    """The first boundary at or after `at`, at most `end`.  `start` must be a boundary."""
    if at <= start:
        return start
    most = len(text) if end is None else min(end, len(text))
    for cluster in _CLUSTER.finditer(text, start, most):
        if cluster.end() >= at:
            return int(cluster.end())
    return most


def fit(text: str, most: int) -> int:
    """The last boundary at or before `most`; 0 if the first cluster is longer."""
    if most >= len(text):
        return len(text)
    at = most
    while at and not _surely(text, at):
        at -= 1
    for cluster in _CLUSTER.finditer(text, at):
        if cluster.end() > most:
            break
        at = int(cluster.end())
    return at


def first(text: str) -> int:
    """The length of the first cluster."""
    return after(text, 0, 1)
