"""One vector of several: that of a text, from those of its parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from cortex_rx import validation as check
from cortex_rx.embedding.embedder import one_dimension
from cortex_rx.errors import UnsupportedOption

__all__ = ["EmbeddingMergeStrategy", "WeightedMean", "checked_merge_strategy"]

EmbeddingMergeStrategy: TypeAlias = Literal["average"]
"""How the vector of a text is made of those of its chunks: `average`, their mean, weighted by length."""

_LEAST = 1e-6
"""A mean that is shorter than this share of its vectors has no direction: they cancel out."""

_LACKING = {
    "concatenate": "'average'; the vectors of a store have one dimension, and a concatenation has that of all chunks",
    "hierarchical": "'average'; Cortex names this one, and does not say what it is",
}


def checked_merge_strategy(field: str, value: object) -> EmbeddingMergeStrategy | None:
    """`average`, or None. Cortex's two others raise `UnsupportedOption`, which says why.

    >>> checked_merge_strategy("embedding_merge_strategy", "average")
    'average'
    """
    if isinstance(value, str) and value in _LACKING:
        raise UnsupportedOption(field, value, _LACKING[value])
    found: EmbeddingMergeStrategy | None = check.optional(check.one_of("average"))(field, value)
    return found


class WeightedMean:
    """The mean of vectors, each with a weight of more than 0. It holds one vector, however many are added.

    Its length is the mean of their lengths, so that of unit vectors is a unit vector, and that of one is this one. A
    part without a vector counts for nothing.

    >>> mean = WeightedMean()
    >>> for vector, weight in ([1.0, 0.0], 3), ([0.0, 1.0], 3), (None, 1):
    ...     mean.add(vector, weight)
    >>> [round(number, 3) for number in mean.vector], mean.weight
    ([0.707, 0.707], 7)
    """

    def __init__(self) -> None:
        self.weight: int = 0
        """Of all parts that were added, also of those without a vector."""
        self._mean: list[float] = []
        self._length = 0.0  # the mean of the lengths
        self._counted = 0  # the weight of the parts with a vector

    def add(self, vector: Sequence[float] | None, weight: int) -> None:
        """Add the vector of a part. Raises `InvalidArgument` if it has another dimension than those before."""
        if vector:
            one_dimension([vector], before=len(self._mean))
            self._mean = self._mean or [0.0] * len(vector)
            self._counted += weight
            share = weight / self._counted
            self._mean = [mean + (new - mean) * share for mean, new in zip(self._mean, vector, strict=True)]
            self._length += (math.hypot(*vector) - self._length) * share
        self.weight += weight

    @property
    def vector(self) -> list[float] | None:
        """The mean; None if there is no vector, if they cancel out, or if their numbers are too large for it."""
        length = math.hypot(*self._mean)
        if not _LEAST * self._length < length < math.inf:  # also if one of them is NaN
            return None
        factor = self._length / length
        return [number * factor for number in self._mean] if factor < math.inf else None
