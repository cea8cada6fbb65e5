"""The benchmark of merged vectors, with two texts: its ranks are exact."""

from __future__ import annotations

import pytest

from benchmarks.locomo import Question, Sample, Turn
from benchmarks.merged import ARMS, measure
from cortex_rx import Embedder

SAMPLE = Sample(
    "conv-1",
    (
        *(Turn(f"D1:{at}", 1, f"Ann: The ferry is late, says {at}.") for at in range(6)),
        Turn("D1:6", 1, "Ben: My puppy sleeps all day."),
        Turn("D2:1", 2, "Ben: Let us paint the fence beside the ferry, where a puppy is."),
    ),
    (Question("Which ferry?", frozenset({"D1:1"}), 1), Question("Is the puppy asleep?", frozenset({"D1:6"}), 4)),
    skipped=0,
)


async def test_each_arm_ranks_the_texts_of_the_evidence() -> None:
    def count(text: str) -> list[float]:
        return [0.01 + text.count("ferry"), 0.01 + text.count("puppy"), 0.01]

    ranks, alike = await measure(SAMPLE, Embedder(count))
    assert ranks == {arm: [[1], [1 if arm == "best chunk" else 2]] for arm in ARMS}
    assert len(alike) == 2 and alike[1] == pytest.approx(1) and 0.9 < alike[0] < 1
