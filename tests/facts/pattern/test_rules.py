"""Each rule reads its examples, word by word, and none of the sentences that it must not read."""

from __future__ import annotations

import pytest

from cortex_rx.beliefs import PREDICATES
from cortex_rx.facts.pattern import RULES, PatternExtractor, Rule
from cortex_rx.models.facts import ExtractedFact

EXTRACT = PatternExtractor()

NAMED = {"relation", "owner", ""}
"""What stands in place of a predicate where the sentence names the relation: "my boss", "Astrid's father"."""


def shown(fact: ExtractedFact) -> str:
    sign = "-" if fact.polarity == "negative" else ""
    qualifier = f"[{fact.qualifier}]" if fact.qualifier else ""
    tense = "" if fact.tense == "present" else f" {fact.tense}"
    return f"{sign}{fact.subject} {fact.predicate}{qualifier} {fact.object}{tense}"


PATTERNS = [rule.pattern for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=PATTERNS)
def test_a_rule_reads_its_examples(rule: Rule) -> None:
    without = PatternExtractor([one for one in RULES if one is not rule])
    for example in rule.reads:
        sentence, facts = example.split(" -> ")
        assert [shown(fact) for fact in EXTRACT(sentence, "")] == facts.split("; ")
        assert [shown(fact) for fact in without(sentence, "")] != facts.split("; "), "another rule reads it as well"


@pytest.mark.parametrize("rule", RULES, ids=PATTERNS)
def test_a_rule_does_not_read_what_looks_alike(rule: Rule) -> None:
    alone = PatternExtractor([rule])
    assert [shown(fact) for sentence in rule.ignores for fact in alone(sentence, "")] == []


def test_each_rule_has_examples_and_names_what_exists() -> None:
    for rule in RULES:
        assert rule.reads and rule.ignores, rule.pattern
        assert rule.predicates <= PREDICATES.keys() | NAMED, rule.pattern
