"""`RollingContextWindow`: exactly the last code points, at a cost that does not depend on the length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.errors import InvalidArgument
from cortex_rx.stream_utils import RollingContextWindow

TEXTS = st.text(st.sampled_from("ab \n記é😀\ud83d\u0301"), max_size=12)


@given(st.lists(TEXTS | st.just("x" * 40), max_size=40), st.integers(1, 25))
def test_it_is_the_end_of_the_text(chunks, max_size):
    window, text = RollingContextWindow(max_size), ""
    for chunk in chunks:
        window.add(chunk)
        text += chunk
        assert window.get_context() == text[-max_size:]
        assert window.get_size() == min(len(text), max_size)


@given(st.lists(TEXTS, max_size=20), st.lists(TEXTS, max_size=20), st.integers(1, 25))
def test_a_window_that_was_cleared_is_a_new_one(before, after, max_size):
    used, new = RollingContextWindow(max_size), RollingContextWindow(max_size)
    for chunk in before:
        used.add(chunk)
    used.clear()
    assert (used.get_context(), used.get_size()) == ("", 0)
    for chunk in after:
        used.add(chunk)
        new.add(chunk)
    assert used.get_context() == new.get_context()


class Counted(str):
    """Text that counts how many of its code points are copied."""

    copied = 0

    def __getitem__(self, key):
        part = super().__getitem__(key)
        Counted.copied += len(part)
        return part


@pytest.mark.parametrize(("size", "chunks"), [(1, 30_000), (7, 5_000), (999, 300), (2_500, 100)])
def test_adding_copies_no_more_than_comes(size, chunks, monkeypatch):
    """By counting: a window that is joined, or a first chunk that is cut, with each chunk would copy thousands of times
    as much.
    """
    monkeypatch.setattr(Counted, "copied", 0)
    window, held = RollingContextWindow(1000), 0
    for number in range(chunks):
        window.add(Counted("x" * size))
        if number % 97 == 0:
            held = max(held, sum(map(len, window._chunks)))
    assert Counted.copied <= (1000 * chunks if size > 1000 else 0)
    assert held < 2 * 1000
    assert window.get_context() == "x" * 1000


def test_a_long_chunk_is_not_held_whole():
    window = RollingContextWindow(10)
    window.add("x" * 1_000_000 + "the end of it")
    assert sum(map(len, window._chunks)) == 10
    assert window.get_context() == " end of it"


def test_it_counts_code_points():
    window = RollingContextWindow(3)
    window.add("e\u0301👍🏽")  # four code points, two clusters
    assert window.get_context() == "\u0301👍🏽"


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "10", None])
def test_a_size_that_is_none_is_refused(wrong):
    with pytest.raises(InvalidArgument, match=r"max_size: got .*; accepted: a whole number, 1 or more"):
        RollingContextWindow(wrong)


def test_the_size_of_cortex():
    assert RollingContextWindow().max_size == 1000
