"""The labelled sentences and pairs keep to what their README says of them."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

from cortex_rx.beliefs import PREDICATES

DATA = Path(__file__).parent / "data"
STATED = {"preferences", "identity", "relations", "places", "dates"}
ALIKE = 0.7
"""Two sentences that have more of their 3-grams in common are one sentence with swapped words."""


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


SENTENCES, PAIRS = read("sentences.jsonl"), read("pairs.jsonl")


def shingles(text: str) -> set[str]:
    folded = text.casefold()
    return {folded[start : start + 3] for start in range(len(folded) - 2)}


def are_alike(one: set[str], other: set[str]) -> bool:
    return len(one & other) > ALIKE * len(one | other)


def test_there_are_enough_sentences_with_and_without_facts() -> None:
    stated = [bool(one["facts"]) for one in SENTENCES]
    assert len(stated) >= 300 and sum(stated) >= 150 and stated.count(False) >= 150
    assert all(bool(one["facts"]) == (one["kind"] in STATED) for one in SENTENCES)
    assert {one["role"] for one in SENTENCES} == {"user", "agent"}


def test_no_two_sentences_are_alike() -> None:
    cut = [(one["text"], shingles(one["text"])) for one in SENTENCES]
    assert [(one[0], other[0]) for one, other in combinations(cut, 2) if are_alike(one[1], other[1])] == []
    assert are_alike(shingles("My sister lives in Rome."), shingles("My sister lives in Roma."))


def test_a_label_has_known_fields_only() -> None:
    labels = [fact for one in SENTENCES for fact in one["facts"]] + [fact for one in PAIRS for fact in one["pair"]]
    for fact in labels:
        assert {"subject", "predicate", "object"} <= fact.keys(), fact
        assert fact.keys() <= {"fact", "subject", "predicate", "object", "qualifier", "polarity", "tense"}, fact
        assert fact.get("polarity", "negative") == "negative", fact
        assert fact.get("tense", "past") in {"past", "future"}, fact
        assert not fact["object"].lower().startswith(("a ", "an ")) and all(fact.values()), fact


def test_what_a_label_says_stands_in_its_sentence() -> None:
    for one in SENTENCES:
        text = one["text"].casefold()
        for fact in one["facts"]:
            assert fact["object"] == "user" or fact["object"].casefold() in text, one
            assert fact.get("qualifier", "").casefold() in text, one
            # "My cousin and her wife": the role stands in the sentence, the possessive is made.
            assert fact["subject"] == "user" or fact["subject"].split("'s ")[-1].casefold() in text, one


def test_the_sentences_have_known_predicates_in_their_first_direction() -> None:
    used = {fact["predicate"] for one in SENTENCES for fact in one["facts"]}
    assert used <= set(PREDICATES)
    assert used & {"child_of", "managed_by", "created_by", "has_part"} == set()


def test_the_pairs_are_of_each_kind_and_differ() -> None:
    kinds = Counter(one["kind"] for one in PAIRS)
    assert kinds == {"negation": 15, "reversed": 15, "number": 15, "tense": 15, "paraphrase": 60}
    assert all(one["pair"][0]["fact"] != one["pair"][1]["fact"] for one in PAIRS)
    assert len({tuple(fact["fact"] for fact in one["pair"]) for one in PAIRS}) == len(PAIRS)
