"""`Topics`: sentences become chunks by their vectors, and each boundary is decided by a few later sentences."""

from __future__ import annotations

from itertools import pairwise

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.chunking import Topics

RAIN, CATS, TAX = [1.0, 0.1, 0.0], [0.1, 1.0, 0.0], [0.0, 0.1, 1.0]


def cut(vectors, size=10, overlap=0, **how):
    """The numbers of the sentences of each chunk."""
    topics = Topics(size, overlap, **how)
    chunks = [chunk for at, vector in enumerate(vectors) for chunk in topics.add(f"{at} ", vector)] + topics.finish()
    return [[int(number) for number in chunk.text.split()] for chunk in chunks]


def test_a_chunk_ends_where_the_topic_does():
    assert cut([RAIN] * 4 + [CATS] * 5 + [TAX] * 3) == [[0, 1, 2, 3], [4, 5, 6, 7, 8], [9, 10, 11]]


def test_none_has_more_sentences_than_its_size():
    assert cut([RAIN] * 4 + [CATS] * 5, size=3) == [[0, 1, 2], [3], [4, 5, 6], [7, 8]]


def test_the_overlap_is_repeated_also_after_a_boundary():
    assert cut([RAIN] * 4 + [CATS] * 4, overlap=1) == [[0, 1, 2, 3], [3, 4, 5, 6, 7]]


def test_a_sentence_that_is_too_long_is_cut():
    topics = Topics(10, max_length=32)
    chunks = topics.add("word " * 10, RAIN) + topics.finish()
    assert [chunk.text for chunk in chunks] == ["word " * 6, "word " * 4]


def test_where_nothing_drops_there_is_no_boundary():
    assert cut([RAIN] * 12) == [list(range(10)), [10, 11]]


@pytest.mark.parametrize("vector", [None, [], [0.0, 0.0, 0.0], [1e308] * 4])
def test_where_vectors_are_missing_there_is_no_boundary(vector):
    assert cut([vector] * 12) == [list(range(10)), [10, 11]]
    assert cut([RAIN] * 4 + [vector] * 7 + [CATS] * 5)[0] == [*range(10)], "unknown on one side of every place"


def test_one_missing_vector_hides_no_boundary():
    assert cut([RAIN] * 4 + [None] + [CATS] * 5) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_a_boundary_is_known_four_sentences_later():
    topics = Topics(10)
    came = [len(topics.add("x", vector)) for vector in [RAIN] * 4 + [CATS] * 6]
    assert came == [0] * 8 + [1, 0], "with the fifth sentence about cats"


def test_a_higher_percentile_finds_more():
    """Below the percentile 0 is none."""
    vectors = [RAIN] * 4 + [CATS] * 4 + [[0.3, 0.9, 0.3]] * 4
    found = [len(cut(vectors, percentile=percentile)) for percentile in (0, 30, 100)]
    assert found == sorted(found) and 1 < found[1] < found[2] and cut(vectors, 20, percentile=0) == [list(range(12))]


vector = st.one_of(st.none(), st.lists(st.floats(-1, 1), min_size=3, max_size=3))


@settings(deadline=None, max_examples=examples(100))
@given(st.lists(vector, max_size=40), st.integers(1, 12), st.integers(0, 100))
def test_the_chunks_are_the_text_and_the_past_is_not_changed_by_the_future(vectors, size, percentile):
    """Nothing is left out; what was cut after some sentences is the beginning of what is cut after more."""
    whole = cut(vectors, size, percentile=percentile)
    assert [at for chunk in whole for at in chunk] == list(range(len(vectors)))
    assert all(0 < len(chunk) <= size for chunk in whole)
    topics, came = Topics(size, percentile=percentile), []
    for at, one in enumerate(vectors):
        came += [chunk.text for chunk in topics.add(f"{at} ", one)]
    assert [[int(number) for number in text.split()] for text in came] == whole[: len(came)]
    starts = [chunk[0] for before, chunk in pairwise(whole) if len(before) < size]
    assert all(later - sooner >= 3 for sooner, later in pairwise(starts)), "three sentences between two boundaries"


def test_what_comes_after_the_end_begins_anew():
    topics = Topics(10, start=100)
    first = topics.add("One. ", RAIN) + topics.finish()
    second = topics.add("Two.", CATS) + topics.finish()
    assert [(chunk.start, chunk.text) for chunk in first + second] == [(100, "One. "), (105, "Two.")]
    assert topics.finish() == []
