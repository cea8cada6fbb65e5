"""The mean of the vectors of a text's parts."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.embedding.merging import WeightedMean, checked_merge_strategy
from cortex_rx.errors import InvalidArgument, UnsupportedOption

NUMBERS = st.floats(-1e6, 1e6).filter(lambda number: not number or abs(number) > 1e-6)
PARTS = st.integers(1, 5).flatmap(
    lambda dimension: st.lists(
        st.tuples(
            st.none() | st.lists(NUMBERS, min_size=dimension, max_size=dimension).filter(any), st.integers(1, 5000)
        ),
        max_size=12,
    )
)


def mean_of(parts: Any) -> WeightedMean:
    mean = WeightedMean()
    for vector, weight in parts:
        mean.add(vector, weight)
    return mean


@given(PARTS)
def test_it_is_the_weighted_mean_with_the_mean_of_the_lengths(parts: Any) -> None:
    mean = mean_of(parts)
    assert mean.weight == sum(weight for _, weight in parts)
    there = [(vector, weight) for vector, weight in parts if vector]
    whole = sum(weight for _, weight in there)
    plain = [math.fsum(v[at] * w for v, w in there) / whole for at in range(len(there[0][0]))] if there else []
    length = math.fsum(math.hypot(*v) * w for v, w in there) / whole if there else 0.0
    if math.hypot(*plain) > 1e-5 * length:
        expected = [number * length / math.hypot(*plain) for number in plain]
        assert mean.vector == pytest.approx(expected, rel=1e-6, abs=1e-6 * length)
    elif math.hypot(*plain) < 1e-7 * length or not there:
        assert mean.vector is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5).filter(any), st.lists(st.integers(1, 99), min_size=1))
def test_of_one_vector_and_of_equal_ones_it_is_that_vector_to_the_last_digit(vector: Any, weights: Any) -> None:
    if math.hypot(*vector) > 0:
        assert mean_of((vector, weight) for weight in weights).vector == vector


@given(PARTS.filter(lambda parts: any(vector for vector, _ in parts)))
def test_of_unit_vectors_it_is_a_unit_vector(parts: Any) -> None:
    units = [(v and [number / math.hypot(*v) for number in v], w) for v, w in parts]
    found = mean_of(units).vector
    assert found is None or math.hypot(*found) == pytest.approx(1)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(None, 3)],
        [([0.0, 0.0], 3)],
        [([1.0, 2.0], 3), ([-1.0, -2.0], 3)],
        [([0.1, 0.7], 1), ([0.2, 0.1], 1), ([-0.3, -0.8], 1)],
        [([1e308, 1e308], 1), ([-1e308, 1e308], 1)],
        [([1.7e308, 1.7e308], 1)],
    ],
    ids=["no part", "no vector", "zero", "opposite", "opposite, but for rounding", "beyond a float", "too long"],
)
def test_what_has_no_direction_has_no_mean(parts: Any) -> None:
    assert mean_of(parts).vector is None


def test_another_dimension_is_refused_and_changes_nothing() -> None:
    mean = mean_of([([3.0, 4.0], 2)])
    with pytest.raises(InvalidArgument, match=r"got 'vectors of 2 and of 3 numbers'; accepted: one dimension"):
        mean.add([1.0, 2.0, 3.0], 5)
    assert (mean.vector, mean.weight) == ([3.0, 4.0], 2)


@pytest.mark.parametrize(("value", "why"), [("concatenate", "one dimension"), ("hierarchical", "does not say what")])
def test_cortex_s_other_strategies_are_refused_with_the_reason(value: str, why: str) -> None:
    with pytest.raises(UnsupportedOption, match=f"^merge: got '{value}'; accepted: 'average'; .*{why}"):
        checked_merge_strategy("merge", value)


@pytest.mark.parametrize("value", ["", "mean", 7, True, False, ["average"]])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^merge: got .*; accepted: 'average', or None$"):
        checked_merge_strategy("merge", value)
    assert checked_merge_strategy("merge", None) is None
