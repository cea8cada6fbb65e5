"""The benchmark of facts, with short answers and few facts: what it counts is exact."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks.facts import (
    QUESTION,
    SEEN,
    SHAPES,
    UNSEEN,
    Took,
    answer,
    bars,
    facts,
    given,
    judged,
    report,
    storing,
    waits,
)
from benchmarks.labels import Counts


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_has_its_length_and_sentences_of_its_shape(shape: str) -> None:
    text = answer(20_000, shape)
    assert len(text) == 20_000 and text == answer(20_000, shape) != answer(20_000, shape, seed=2)
    least, most = SHAPES[shape]
    lengths = [len(sentence) for sentence in re.findall(r"[^.]+\. ?", text)]
    assert all(least <= length for length in lengths[:-2]) and max(lengths) <= most + 20


def test_each_character_is_given_once_beside_the_overlap() -> None:
    short = given((300,), ["prose"])["prose"][300]
    # The question by itself, and one window: the whole answer.
    assert short == {"share": 1, "sent share": (300 + len(QUESTION)) / 300, "calls": 2}
    longer = given((3_000,), ["prose"])["prose"][3_000]
    assert 1 <= longer["share"] <= 1.12 and longer["calls"] > 4


def test_no_token_waits_for_an_extractor() -> None:
    late = waits(characters=8_000)
    assert (late["longest"], late["tokens"]) == (0, 400)
    assert late["calls"] > 1  # the first facts are there before the last token


async def test_one_is_stored_in_each_space_in_turn(tmp_path: Path) -> None:
    took = await storing(tmp_path / "facts.db", (5, 20), 3)
    assert {name: {count: len(times) for count, times in of.items()} for name, of in took.items()} == {
        "structural": {5: 3, 20: 3},
        "semantic": {5: 3, 20: 3},
    }


def test_facts_are_the_same_each_time_and_some_are_said_again() -> None:
    first, again = ([*islice(facts(), 3_000)] for _ in range(2))
    assert first == again
    triples = [(one["subject"], one["predicate"], one.get("qualifier"), one["object"]) for one in first]
    assert 2_000 < len(set(triples)) < 2_990
    assert 1_400 < sum(one["subject"] == "user" for one in first) < 1_600


def figures(**other: Any) -> dict[str, Any]:
    kept = {
        "texts": {"prose": {1_000: {"share": 1.1, "sent share": 1.2, "calls": 3}}},
        "late": {"longest": 0, "tokens": 10, "calls": 2},
        "took": {"structural": {10: [Took(0.001, 0.0005)], 20: [Took(0.0015, 0.0005)]}},
        "counts": {UNSEEN: Counts(32, 33, 63), "all": Counts(96, 100, 190)},
    }
    return report(**(kept | other))


def test_the_report_has_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert [bar.holds for bar in bars(figures())] == [True] * 8
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("1.100", "among 20 facts", "0.960 (0.902-0.984)", "0.505"))


@pytest.mark.parametrize(
    ("other", "missed"),
    [
        ({"texts": {"prose": {10: {"share": 1.2, "sent share": 2, "calls": 1}}}}, [0]),
        ({"late": {"longest": 0.001, "tokens": 1, "calls": 1}}, [1]),
        ({"took": {"structural": {10: [Took(0.003, 0)], 20: [Took(0.0031, 0)]}}}, [2]),
        ({"took": {"structural": {10: [Took(0.001, 0)], 20: [Took(0.0016, 0)]}}}, [3]),
        ({"counts": {UNSEEN: Counts(94, 100, 189), "all": Counts()}}, [4, 5]),
    ],
)
def test_each_bar_can_fail(other: dict[str, Any], missed: list[int]) -> None:
    assert [at for at, bar in enumerate(bars(figures(**other))) if not bar.holds] == missed


def test_the_labelled_sentences_are_judged_by_kind_and_by_what_was_seen() -> None:
    counts = judged(lambda user_message, text: [])
    assert [*counts][-3:] == [SEEN, UNSEEN, "all"]
    assert counts["all"].labelled == 252 and counts["question"] == Counts()
    assert sum([of for kind, of in counts.items() if kind not in (SEEN, UNSEEN, "all")], Counts()) == counts["all"]
    assert counts[SEEN] + counts[UNSEEN] == counts["all"]
