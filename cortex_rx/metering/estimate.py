"""An estimate of the tokens of a text, from the kinds of its characters."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add, mul

__all__ = ["KINDS", "added", "estimate", "kinds_of"]

KINDS: tuple[str, ...] = (
    "ASCII letters",
    "spaces",
    "line ends",
    "digits",
    "other ASCII",
    "Latin letters with marks",
    "other letters of two bytes (Greek, Cyrillic, Hebrew, Arabic)",
    "letters of India, Thai and others",
    "punctuation and symbols of three bytes",
    "kana and fullwidth forms",
    "ideographs",
    "Hangul",
    "characters of four bytes (emoji)",
)
"""The kinds of characters. All but the last few are told apart by the first byte of their UTF-8."""

# Tokens for a character of each kind: fitted to o200k_base by `python -m benchmarks.tokens`, which prints the errors.
WEIGHTS: tuple[float, ...] = (
    *(0.253, 0.031, 0.121, 0.942, 0.587, 0.714, 0.362),
    *(0.419, 0.7, 0.866, 0.813, 0.85, 1.5),
)


def _table() -> bytes:
    """The kind of each byte of UTF-8, as a byte; of those inside a character, 255."""
    kinds = bytearray(b"\xff" * 256)
    for byte in range(0x80):
        text = chr(byte)
        kinds[byte] = (
            0 if text.isalpha() else 1 if text in " \t" else 2 if text in "\r\n" else 3 if text.isdigit() else 4
        )
    for kind, (first, last) in {
        5: (0xC2, 0xC9), 6: (0xCA, 0xDF), 7: (0xE0, 0xE1), 8: (0xE2, 0xE2), 9: (0xE3, 0xE3), 10: (0xE4, 0xE9),
        11: (0xEA, 0xED), 12: (0xF0, 0xF4),
    }.items():  # fmt: skip
        kinds[first : last + 1] = bytes([kind]) * (last + 1 - first)
    kinds[0xEE] = kinds[0xEF] = 9
    return bytes(kinds)


_TABLE = _table()
_ASCII = 5


def kinds_of(data: bytes, ascii_only: bool = False) -> list[int]:
    """How many characters of each kind the UTF-8 text has.

    >>> dict(zip(KINDS, kinds_of("Hi 😀".encode()))) == dict.fromkeys(KINDS, 0) | {
    ...     "ASCII letters": 2, "spaces": 1, "characters of four bytes (emoji)": 1}
    True
    """
    kinds = data.translate(_TABLE)
    counts = list(map(kinds.count, range(_ASCII if ascii_only else len(KINDS))))
    return counts + [0] * (len(KINDS) - len(counts))


def added(counts: Sequence[float], more: Sequence[float]) -> list[float]:
    """The sums."""
    return list(map(add, counts, more))


def estimate(counts: Sequence[float]) -> int:
    """The tokens that a text with so many characters of each kind may have.

    >>> estimate(kinds_of(b"Where is my parcel? It left Porto."))
    8
    """
    tokens = sum(map(mul, counts, WEIGHTS))
    return max(round(tokens), 1) if any(counts) else 0
