"""`Arrivals`: the kind of a stream by the times of its text; jitter is no burst, memory is bounded, nothing flaps."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.folds.arrivals import FEWEST, INSTANT, Arrivals


def even(rate, seconds):
    return [1 / rate] * round(rate * seconds)


def jitter(rate, seconds, seed=1):
    """Gaps of a Poisson process: their coefficient of variation is 1."""
    draw = random.Random(seed)
    return [draw.expovariate(rate) for _ in range(round(rate * seconds))]


def bursts(size, gap, silence, times):
    return ([silence] + [gap] * (size - 1)) * times


def changes(gaps, window=5.0, arrivals=None):
    """When it became what."""
    arrivals = arrivals or Arrivals(window)
    return [(round(at, 2), arrivals.kind) for at in accumulate(gaps) if arrivals.note(at)]


SHAPES = {
    "even, 50 a second": (even(50, 30), ["fast"]),
    "even, 12 a second": (even(12, 30), ["fast"]),
    "20 a second, with jitter": (jitter(20, 60), ["fast"]),
    "packets of five, 20 a second": ([0.05, 0, 0, 0, 0] * 400, ["fast"]),
    "10,000 a second": ([0.0001] * 60_000, ["fast"]),
    "even, 6 a second": (even(6, 60), []),
    "6 a second, with jitter": (jitter(6, 120), []),
    "5 packets of twenty a second": (([0.2] + [0] * 19) * 100, []),
    "one a second": (even(1, 30), ["slow"]),
    "5 in two seconds": (even(2.5, 30), ["slow"]),
    "pairs": ([0.95, 0.05] * 20, ["slow"]),
    "one packet of twenty a second": (([1.0] + [0] * 19) * 30, ["slow"]),
    "one in ten seconds": (even(0.1, 120), ["slow"]),
    "short bursts": (bursts(20, 0.015, 2, 12), ["bursty"]),
    "long bursts": (bursts(20, 0.05, 3, 12), ["bursty"]),
    "threes": (bursts(3, 0.05, 0.9, 20), ["bursty"]),
    "fast, then slow": (even(50, 12) + even(1, 20), ["fast", "slow"]),
    "ten a second, then slow": (even(10.5, 12) + even(1, 20), ["fast", "slow"]),
    "slow, then fast": (even(1, 12) + even(50, 20), ["slow", "fast"]),
    "bursts, then fast": (bursts(20, 0.015, 2, 6) + even(50, 20), ["bursty", "fast"]),
    "steady, then bursts": (even(6, 10) + bursts(20, 0.015, 2, 8), ["bursty"]),
    "fast, with the pause of a tool": (even(50, 10) + [4.9] + even(50, 10), ["fast"]),
    "fast, with a long pause": (even(50, 10) + [30.0] + even(50, 10), ["fast"]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_is_what_it_looks_like(name):
    gaps, kinds = SHAPES[name]
    assert [kind for _, kind in changes(gaps)] == kinds


@pytest.mark.parametrize("window", [1.0, 2.0, 10.0, 60.0])
def test_the_window_may_be_another(window):
    assert [kind for _, kind in changes(even(20, window * 3) + even(1, max(20.0, window * 3)), window)] == [
        "fast",
        "slow",
    ]


def test_it_is_steady_until_enough_has_come():
    assert changes(even(50, 2.4)) == []
    assert changes([0.01, 30.0, 30.0]) == [], "three gaps at least"
    assert changes(even(50, 3))[0][0] == pytest.approx(2.5, abs=0.3), "half a window: a quarter to look, one to be sure"


@pytest.mark.parametrize(
    ("enter", "stays", "leaves", "kind"), [(11, 8, 6.5, "fast"), (2.5, 3.6, 4.5, "slow")], ids=["fast", "slow"]
)
def test_a_kind_is_left_at_another_threshold_than_it_is_entered(enter, stays, leaves, kind):
    assert [found for _, found in changes(even(enter, 10) + even(stays, 30))] == [kind]
    assert [found for _, found in changes(even(stays, 30))] == []
    assert [found for _, found in changes(even(enter, 10) + even(leaves, 30))] == [kind, "steady"]


def test_one_silence_is_no_burst_but_enough_to_stay():
    one = bursts(30, 0.03, 3, 1) + even(5, 20)
    assert "bursty" not in [kind for _, kind in changes(one)]
    stays = bursts(30, 0.03, 3, 6) + even(33, 0.8) + bursts(30, 0.03, 3, 6)
    assert [kind for _, kind in changes(stays)] == ["bursty"]


def test_the_wait_for_another_source_does_not_count():
    with_it, without = Arrivals(5.0), Arrivals(5.0)
    times = list(accumulate(even(50, 6)))
    for at in times:
        with_it.note(at), without.note(at)
    with_it.restart()
    assert with_it.kind == without.kind == "fast"
    later = [times[-1] + 4.0 + at for at in accumulate(even(20, 10))]
    assert [with_it.note(at) for at in later] == [False] * len(later)


def test_in_the_same_instant_nothing_is_held():
    arrivals = Arrivals(5.0)
    for tick in range(1000):
        arrivals.note(tick * INSTANT / 2000)
    assert arrivals.held() == 1


gap = st.sampled_from([0.0, 0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 2.0, 7.0]) | st.floats(0, 10)
part = st.tuples(st.lists(gap, min_size=1, max_size=4), st.integers(1, 60)).map(lambda one: one[0] * one[1])


@given(st.lists(part, max_size=8).map(lambda parts: sum(parts, [])), st.sampled_from([1.0, 2.5, 5.0]))
def test_memory_is_bounded_and_it_changes_at_most_once_in_a_window(gaps, window):
    arrivals, at, changed = Arrivals(window), 0.0, []
    for gap in gaps:
        at += gap
        before = arrivals.kind
        said = arrivals.note(at)
        assert said == (arrivals.kind != before)
        if said:
            changed.append(at)
        assert arrivals.held() <= max(FEWEST, window / INSTANT + 1)
    assert all(later - earlier >= window for earlier, later in pairwise(changed))


@given(st.lists(part, max_size=6).map(lambda parts: sum(parts, [])), st.floats(0, 1e5))
def test_when_it_begins_does_not_matter(gaps, start):
    """Times are rounded, so that the sums are exact."""
    times = [round(at * 1024) / 1024 for at in accumulate(gaps)]
    start = round(start)
    one, other = Arrivals(5.0), Arrivals(5.0)
    assert [one.note(at) for at in times] == [other.note(start + at) for at in times]
