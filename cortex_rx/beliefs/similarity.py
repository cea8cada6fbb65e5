"""Which facts may be meant by a new one: texts that share many runs of three characters.

Similarity only nominates.  "Bob manages Ada" and "Ada manages Bob" are as similar as two texts can be, so what is found
here is compared by its signature or shown to a decider, and is never merged because it is similar.

MinHash (Broder 1997): of each of 32 permutations of all shingles, a text keeps the first that it has.  Two texts agree
in one of them as often as their sets of shingles overlap.  Four together are a band, and texts that share a band are
candidates: of those with a Jaccard similarity of 0.8 that are 98 of 100, of those with 0.3, 6 of 100.
"""

from __future__ import annotations

from hashlib import blake2b
from zlib import crc32

from cortex_rx.beliefs.normal import normal

__all__ = ["BANDS", "bands", "jaccard", "shingles"]

_LENGTH = 3
_PERMUTATIONS = 32
_ROWS = 4
BANDS: int = _PERMUTATIONS // _ROWS
"""How many bands a text has."""

_LONGEST = 4_096  # characters of a normal text that count; a fact is a sentence
_MASK = 2**32 - 1


def _number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest())


# An odd factor and a summand permute all numbers of 32 bits.
_MIXED = [(_number(f"factor {each}") | 1, _number(f"summand {each}")) for each in range(_PERMUTATIONS)]


def shingles(text: str) -> frozenset[str]:
    """All runs of three characters in the normal form of the text; of a shorter one, the text itself.

    >>> sorted(shingles("The tea!")), sorted(shingles("Ada"))
    (['tea'], ['ada'])
    """
    plain = normal(text)[:_LONGEST]
    return frozenset(plain[at : at + _LENGTH] for at in range(max(1, len(plain) - _LENGTH + 1)) if plain)


def jaccard(one: str, other: str) -> float:
    """The share of shingles that two texts have in common, 0 to 1.

    >>> jaccard("likes green tea", "likes green teas") > 0.9, jaccard("tea", "milk"), jaccard("", "")
    (True, 0.0, 0.0)
    """
    mine, theirs = shingles(one), shingles(other)
    return len(mine & theirs) / len(mine | theirs) if mine or theirs else 0.0


def bands(text: str) -> list[int]:
    """The bands of a text, whole numbers of 63 bits for an index: the same in every process.  None of an empty text.

    >>> len(bands("Ada likes tea")), set(bands("Ada likes tea")) == set(bands("ada likes the tea.")), bands("")
    (8, True, [])
    """
    found = [crc32(each.encode("utf-8", "surrogatepass")) for each in shingles(text)]
    if not found:
        return []
    least = [min([factor * each + summand & _MASK for each in found]) for factor, summand in _MIXED]
    return [_band(at, least[at * _ROWS : (at + 1) * _ROWS]) for at in range(BANDS)]


def _band(at: int, row: list[int]) -> int:
    written = b"".join(each.to_bytes(4) for each in (at, *row))
    return int.from_bytes(blake2b(written, digest_size=8).digest()) >> 1
