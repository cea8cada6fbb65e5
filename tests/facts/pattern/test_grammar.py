"""Subjects and verbs: who, when, whether it is denied, and what is not stated."""

from __future__ import annotations

import pytest

from cortex_rx.facts.pattern.grammar import Grammar
from cortex_rx.facts.pattern.words import forms, tokens

VERBS = {
    word: ((verb, names),) for verb in ("live", "like", "speak", "run", "have") for word, names in forms(verb).items()
}


def grammar(said: str, who: str = "i") -> Grammar:
    return Grammar(tokens(said), said, who, VERBS)


@pytest.mark.parametrize(
    ("said", "subjects"),
    [
        ("I live", "user"),
        ("We live", "user"),
        ("You live", ""),
        ("My older sister lives", "user's older sister"),
        ("My sister Ada Wong lives", "Ada Wong"),
        ("My sister, Ada, lives", "Ada"),
        ("My aunt, a retired judge, lives", "user's aunt"),
        ("My sister's husband lives", "user's sister's husband"),
        ("My wife and I live", "user's wife, user"),
        ("My mum and dad live", "user's mum, user's dad"),
        ("My cousin and her wife live", "user's cousin, user's cousin's wife"),
        ("Ada Wong lives", "Ada Wong"),
        ("Mr. Tanaka lives", "Mr. Tanaka"),
        ("The club lives", "club"),
        ("Yesterday lives", ""),
        ("This lives", ""),
        ("She lives", ""),
        ("A person lives", ""),
    ],
)
def test_who_it_is_about(said: str, subjects: str) -> None:
    assert ", ".join(one.label for one in grammar(said).subjects(0)[0]) == subjects


@pytest.mark.parametrize(
    ("said", "verb"),
    [
        ("live in", "live"),
        ("really do not like", "not like"),
        ("don't like", "not like"),
        ("no longer live", "not live"),
        ("have never lived", "not live"),
        ("lived", "past live"),
        ("used to live", "past live"),
        ("did not live", "past not live"),
        ("have always lived", "live"),
        ("had lived", "past live"),
        ("will live", "future live"),
        ("am living", "live"),
        ("was living", "past live"),
        ("was not born", "past not be"),
        ("would live", "would live"),
        ("can not speak", "can not speak"),
        ("have got a dog", "have"),
        ("have seen it", ""),
        ("would rather have", "prefer"),
        ("is going to run", "go"),
        ("walk", ""),
    ],
)
def test_when_it_is_so_and_whether(said: str, verb: str) -> None:
    found = grammar(said).verb(0)
    shown = "" if found is None else [found.tense, found.modal, "not" if found.negative else "", found.lemma]
    assert " ".join(one for one in shown if one) == verb
