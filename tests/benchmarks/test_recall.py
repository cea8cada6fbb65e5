"""The benchmark of recall, with a conversation of six turns: its counts are exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.locomo import Question, Sample, Turn
from benchmarks.recall import ARMS, FACTS, FIRST, Answered, bars, measure, measure_facts, report, summary
from cortex_rx import CypherGraphAdapter, Embedder, GraphConnectionConfig

SAMPLE = Sample(
    "conv-1",
    (
        Turn("D1:1", 1, "Ann: Which ferry shall we take to Bergen?"),
        Turn("D1:2", 1, "Ben: The late one."),
        Turn("D1:3", 1, "Ann: Good."),
        Turn("D2:1", 2, "Ben: My puppy sleeps all day."),
        Turn("D2:2", 2, "Ann: Mine, too. a photo of a basket"),
        Turn("D2:3", 2, "Ben: Let us paint the fence."),
    ),
    (
        Question("Which ferry do they take?", frozenset({"D1:1", "D1:2"}), 1),
        Question("What is on the photo?", frozenset({"D2:2"}), 4),
        Question("Is the dog asleep?", frozenset({"D2:1"}), 4),
    ),
    skipped=2,
)


def like(text: str) -> list[float]:
    """An embedder that knows that a puppy is a dog."""
    return (
        [1.0 if word in text.lower() else 0.01 for word in ("puppy", "ferry", "photo")]
        if "dog" not in text
        else [1, 0, 0]
    )


@pytest.fixture
async def arms(tmp_path: Path) -> dict[str, list[Answered]]:
    return await measure(SAMPLE, tmp_path / "memory.db", Embedder(like, model="like", dimension=3))


def ranks(answered: list[Answered]) -> list[tuple[int, ...]]:
    return [one.ranks for one in answered]


async def test_each_arm_finds_what_it_should(arms: dict[str, list[Answered]]) -> None:
    assert list(arms) == list(ARMS)
    assert ranks(arms["text"]) == [(1,), (1,), ()]
    assert ranks(arms["text, neighbours"]) == [(1, 2), (1,), ()]
    assert [one[:1] for one in ranks(arms["vectors"])] == [(1,), (1,), (1,)]
    assert ranks(arms["hybrid"]) == [(1, 2), (1,), (1,)]
    assert [one.session for one in arms["text"]] == [True, True, False]
    assert [one.question for one in arms["hybrid"]] == list(SAMPLE.questions)


async def test_without_an_embedder_only_words_are_compared(tmp_path: Path) -> None:
    assert list(await measure(SAMPLE, tmp_path / "memory.db")) == ["text", "text, neighbours"]


def test_the_figures_are_shares_of_the_evidence_and_of_the_questions() -> None:
    two = replace(SAMPLE.questions[0], evidence=frozenset({"D1:1", "D1:2", "D1:3", "D2:1"}))
    answered = [
        Answered(two, (1, 4, 11), session=True, seconds=0.003),
        Answered(SAMPLE.questions[1], (20,), session=False, seconds=0.001),
        Answered(SAMPLE.questions[2], (), session=False, seconds=0.002),
        Answered(SAMPLE.questions[2], (2,), session=True, seconds=0.004),
    ]
    figures = summary(answered)
    assert [figures[f"share @{first}"] for first in FIRST] == [6.25, 37.5, 37.5, 68.75]
    assert [figures[f"any @{first}"] for first in FIRST] == [25, 50, 50, 75]
    assert (figures["questions"], figures["session @5"]) == (4, 50)
    assert (figures["p50 ms"], figures["p95 ms"]) == (3, 4)


async def test_the_report_has_a_line_for_each_arm_and_a_column_for_each_category(
    arms: dict[str, list[Answered]], capsys: pytest.CaptureFixture[str]
) -> None:
    figures = report(arms)
    printed = capsys.readouterr().out
    assert all(printed.count(f"  {name} ") == 2 for name in ARMS if name not in ("text", "vectors"))
    assert "1 (1)" in printed and "4 (2)" in printed
    assert figures["whole"]["hybrid"]["share @10"] == 100
    assert figures["categories"]["text"][4]["share @10"] == 50
    # Words alone miss a third of the evidence: the dog is called a puppy.
    assert [bar.holds for bar in bars(figures["whole"])] == [False, True, True]
    worse = {name: {"share @10": 100.0 - number * 20} for number, name in enumerate(ARMS)}
    assert [bar.holds for bar in bars(worse)] == [True, False, False]


async def test_facts_near_in_the_graph(tmp_path: Path, arcadedb) -> None:
    """No word of the second turn stands in the question: what leads to it is the town."""
    turns = Turn("D1:1", 1, "Ann: I live in Bergen."), Turn("D1:2", 1, "Cid: I live in Bergen.")
    question = Question("Whom could Ann meet?", frozenset({"D1:2"}), 1)
    async with CypherGraphAdapter(
        GraphConnectionConfig(arcadedb.uri, *arcadedb.auth, database=arcadedb.database)
    ) as graph:
        found = await measure_facts(Sample("conv-2", turns, (question,), 0), tmp_path / "memory.db", graph)
    assert list(found) == list(FACTS)
    assert [ranks(answered) for answered in found.values()] == [[()], [(2,)]]
