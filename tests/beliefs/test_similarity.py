"""Texts that are alike are nominated, in every process the same; those that are not, hardly ever."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.beliefs.similarity import BANDS, bands, jaccard, shingles


@given(st.text(), st.text())
def test_jaccard_is_symmetric_and_one_of_the_same(one: str, other: str) -> None:
    assert jaccard(one, other) == jaccard(other, one)
    assert 0 <= jaccard(one, other) <= 1
    assert jaccard(one, one) == (1 if shingles(one) else 0)


@given(st.text(st.characters()))
def test_bands_are_what_sqlite_can_hold(text: str) -> None:
    assert len(bands(text)) in (0, BANDS)
    assert all(0 <= each < 2**63 for each in bands(text))


def test_the_bands_are_the_same_in_every_process() -> None:
    code = "from cortex_rx.beliefs.similarity import bands; print(bands('Ada likes green tea'))"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert said.stdout.strip() == str(bands("Ada likes green tea"))


def test_how_many_are_nominated() -> None:
    """By how much the texts overlap; the banding formula 1 - (1 - s^4)^8 says what to expect."""
    words = [f"w{at:03d}" for at in range(400)]
    shares: dict[str, list[bool]] = {"alike": [], "different": []}
    for at in range(0, 360, 5):
        text = " ".join(words[at : at + 30])
        alike = " ".join([*words[at : at + 28], "x1", "x2"])
        different = " ".join([*words[at : at + 8], *(f"y{each}{at}" for each in range(22))])
        assert jaccard(text, alike) > 0.8
        assert jaccard(text, different) < 0.3
        shares["alike"].append(bool({*bands(text)} & {*bands(alike)}))
        shares["different"].append(bool({*bands(text)} & {*bands(different)}))
    assert sum(shares["alike"]) / len(shares["alike"]) > 0.95
    assert sum(shares["different"]) / len(shares["different"]) < 0.2


def test_a_long_text_costs_no_more_than_its_beginning() -> None:
    assert bands("ab " * 10_000) == bands("ab " * 100_000)
