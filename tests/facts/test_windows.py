"""Windows of text that is read for facts: each character once, beside an overlap, however the text came."""

from __future__ import annotations

import random
import sys

import pytest
from helpers.lanes import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_rx.facts.windows import OVERLAP, THRESHOLD, Window, Windows

BITS = [
    "a", "The ", "fox ", "e.g.", "Dr. ", " ", "  ", "\n", "\n\n", ".", ". ", "! ", "? ", ".” ", "。", "你好",
    '"', "(", ")", "3.14", "- ", "# ", "`", "```\n", "x" * 50, "\ud800", "👩\u200d",
    "Ada lives in Leeds. ", "She is 40! So\nwhat? ",
]  # fmt: skip
texts = st.lists(st.sampled_from(BITS), max_size=80).map("".join)
MANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors])


@pytest.fixture(params=["with chunk's sentences", "without"])
def libraries(request, monkeypatch):
    """Whether the libraries of `chunk` are there."""
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "cortex_rx.chunking", None)


def windows_of(parts: list[str], threshold: int = THRESHOLD, start: int = 0) -> list[Window]:
    windows = Windows(threshold, start)
    return [*(window for part in parts for window in windows.feed(part)), *windows.finish()]


def prose(length: int) -> str:
    """Sentences of 4 to 24 words."""
    source = random.Random(length)
    text = ""
    while len(text) < length:
        words = ["".join(source.choices("abcdefghij", k=source.randint(1, 9))) for _ in range(source.randint(4, 24))]
        text += " ".join(words).capitalize() + source.choice([". ", "! ", "? ", ".\n", ".\n\n"])
    return text[:length]


def test_any_split_gives_the_same_windows_and_each_character_is_new_once(libraries):
    @settings(MANY, max_examples=examples(150))
    @given(st.data(), texts, st.sampled_from([1, 20, 100]))
    def law(data, text, threshold):
        whole = windows_of([text], threshold, 7)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=30)))
        places = [0, *cuts, len(text)]
        parts = [text[start:end] for start, end in zip(places, places[1:], strict=False)]
        assert windows_of(parts, threshold, 7) == windows_of(list(text), threshold, 7) == whole
        assert "".join(window.new for window in whole) == text
        end = 7
        for window in whole:
            assert window.start == end and window.stop == end + len(window.new) and window.new
            assert window.text == text[window.start - window.overlap - 7 : window.stop - 7]
            assert window.overlap <= OVERLAP * len(window.text)
            end = window.stop
        assert all(len(window.new) >= threshold for window in whole[:-1])

    law()


@pytest.mark.parametrize("kilobytes", [1, 10, 100])
def test_what_is_given_is_at_most_1_15_of_the_text(libraries, kilobytes):
    text = prose(1000 * kilobytes)
    windows = windows_of([text[at : at + 40] for at in range(0, len(text), 40)])
    assert 1.0 <= sum(len(window.text) for window in windows) / len(text) <= 1.15
    assert len(windows) >= kilobytes  # not one great window


def test_the_overlap_is_the_last_sentences_that_fit(libraries):
    text = "This is a sentence of more than fifty letters, as it seems. A short one. Another. " * 3
    windows = windows_of([text], len(text) // 3)
    assert [window.text[: window.overlap] for window in windows] == ["", "Another. ", "Another. "]


def test_a_sentence_without_an_end_is_closed(libraries):
    text = "word " * 2000
    windows = windows_of([text], 100)
    assert max(len(window.new) for window in windows) <= 3_100
    assert all(window.new.endswith(" ") for window in windows)


def test_the_open_text_is_what_no_window_has(libraries):
    windows = Windows(30)
    text = "Ada lives in Leeds. She plays the cello. She is"
    closed = windows.feed(text)
    assert [window.new for window in closed] == ["Ada lives in Leeds. She plays the cello. "]
    assert windows.start == closed[-1].stop
    assert [window.new for window in windows.finish()] == ["She is"]
