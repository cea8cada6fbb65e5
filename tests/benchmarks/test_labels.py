"""How an extractor is judged by labels: the counts are exact, and only the whole triple counts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.labels import Counts, Labelled, Triple, judge, labelled, triple, wilson

TEA = Triple("user", "likes", "tea")


def test_a_triple_is_compared_without_case_and_articles() -> None:
    assert triple({"subject": "I", "predicate": "likes", "object": "The  Tea"}) == TEA
    given = SimpleNamespace(subject=None, predicate="likes", object="tea", qualifier=None, polarity=None, tense=None)
    assert triple(given) == TEA
    assert triple({"subject": "user", "predicate": "likes", "object": "tea", "polarity": "negative"}) != TEA
    assert triple({"subject": "user", "predicate": "likes", "object": "tea", "tense": "past"}) != TEA


def test_the_past_of_an_event_is_its_plain_sense() -> None:
    born = {"subject": "user", "predicate": "born_in", "object": "Lyon"}
    assert triple(born | {"tense": "past"}) == triple(born) != triple(born | {"tense": "future"})


def test_each_fact_that_is_not_as_labelled_counts_against() -> None:
    sentences = [
        Labelled("I like tea.", "user", "preferences", frozenset({TEA})),
        Labelled("You like tea.", "agent", "preferences", frozenset({TEA})),
        Labelled("Do I like tea?", "user", "question", frozenset()),
    ]
    asked: list[tuple[str, str]] = []

    def read(user_message: str, text: str) -> list[dict[str, Any]]:
        asked.append((user_message, text))
        return [{"subject": "user", "predicate": "likes", "object": "tea"}] if user_message else []

    judged = judge(read, sentences)
    assert asked == [("I like tea.", ""), ("", "You like tea."), ("Do I like tea?", "")]
    assert [counts for _, _, counts in judged] == [Counts(1, 1, 1), Counts(0, 0, 1), Counts(0, 1, 0)]
    whole = sum((counts for _, _, counts in judged), Counts())
    assert (whole.precision, whole.recall) == (1 / 2, 1 / 2)
    assert (Counts().precision, Counts().recall) == (1, 1)


@pytest.mark.parametrize(
    ("found", "of", "low", "high"), [(0, 0, 0, 1), (0, 10, 0, 0.2775), (81, 263, 0.2553, 0.3662), (10, 10, 0.7225, 1)]
)
def test_the_interval_is_that_of_wilson(found: int, of: int, low: float, high: float) -> None:
    # 81 of 263 is an example of Newcombe (1998).
    assert wilson(found, of) == pytest.approx((low, high), abs=1e-4)


def test_the_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(
        '{"text": "I like tea.", "role": "user", "kind": "preferences", "facts": '
        '[{"subject": "user", "predicate": "likes", "object": "tea"}]}\n'
    )
    assert labelled(path) == [Labelled("I like tea.", "user", "preferences", frozenset({TEA}))]
    assert len(labelled()) == 420
