"""`PatternExtractor`: how exactly it reads labelled sentences, who is who, what it leaves out, and what it costs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.labels import Counts, judge, labelled, wilson
from cortex_rx.errors import InvalidArgument
from cortex_rx.facts.extractor import extract
from cortex_rx.facts.pattern import RULES, PatternExtractor, Rule
from cortex_rx.facts.pattern.words import forms

EXTRACT = PatternExtractor()


def read(user_message: str = "", answer: str = "") -> list[tuple[str | None, ...]]:
    return [(one.subject, one.predicate, one.object) for one in EXTRACT(user_message, answer)]


# The rules were written by somebody who saw every third labelled sentence, and no other.
SEEN = 3


def test_the_labelled_sentences_are_read_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    judged = [counts for _, _, counts in judge(EXTRACT, labelled())]
    for name, part in (("seen", judged[::SEEN]), ("unseen", [one for at, one in enumerate(judged) if at % SEEN])):
        counts = sum(part, Counts())
        with capsys.disabled():
            low, high = wilson(counts.found, counts.given)
            least, most = wilson(counts.found, counts.labelled)
            sys.stdout.write(
                f"{name}: precision {counts.precision:.3f} ({low:.3f} to {high:.3f}, {counts.given} given), "
                f"recall {counts.recall:.3f} ({least:.3f} to {most:.3f}, {counts.labelled} labelled)\n"
            )
        assert counts.precision >= 0.95 and counts.recall >= 0.5, name


def test_in_the_answer_you_are_the_user_and_i_am_not() -> None:
    assert read(answer="You live in Leeds, and your sister is a nurse.") == [
        ("user", "lives_in", "Leeds"),
        ("user's sister", "works_as", "nurse"),
    ]
    assert read(answer="I live in Leeds. My sister is a nurse.") == []
    assert read("You live in Leeds. Your sister is a nurse.") == []


@pytest.mark.parametrize(
    "text",
    [
        "Translate into French:\n\nI live in Leeds. I am a nurse.",
        "Could you please correct the grammar of this: I live in Leeds. I am a nurse.",
        "I want you to rewrite this: I live in Leeds; I am a nurse.",
        "Fix my letter:\n\nDear Bo,\nI live in Leeds.\nMy name is Ada.",
        "Summarize the following.\n\nI live in Leeds.",
        "Here is a poem:\nI love the rain.\nI live in Leeds.",
        "Ada: I live in Leeds.\nBo: I am a nurse.",
        "He: I live in Leeds.",
        "Not: I live in Leeds.",
        "I lied: I live in Leeds.",
    ],
)
def test_what_is_given_as_a_text_is_not_what_the_user_says(text: str) -> None:
    assert read(text) == []


def test_a_label_is_no_speaker_and_what_comes_before_a_text_is_read() -> None:
    leeds = ("user", "lives_in", "Leeds")
    for said in ("Update: I live in Leeds.", "Edit: I live in Leeds.", "About me: I live in Leeds."):
        assert read(said) == [leeds]
    assert read("I live in Leeds. Translate this:\nI am a nurse.") == [leeds]
    assert read(answer="To summarize: you live in Leeds.") == [leeds]


@pytest.mark.parametrize(
    "text",
    [
        "I don't just like jazz, I love it.",
        "I don't only speak Dutch.",
        "I like not only tea but also coffee.",
        "I'm not just a nurse.",
        "I don't always eat meat.",
        "I don't completely hate jazz.",
        "I like tea no longer.",
    ],
)
def test_what_denies_a_part_does_not_deny_all(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "I live in Kiel or Bonn.",
        "I live in Bonn or thereabouts.",
        "I work at Siemens or at Bosch.",
        "My favorite color is blue or green.",
        "Call me Ada or Addie.",
        "I have a dog or a cat.",
    ],
)
def test_a_choice_that_is_left_open_is_no_fact(text: str) -> None:
    assert read(text) == []
    assert [one[2] for one in read("I don't eat meat or fish.")] == ["meat", "fish"]
    assert [one[2] for one in read("I drink tea or coffee.")] == ["tea", "coffee"]


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("I like tea a lot.", ["tea"]),
        ("I don't like jazz much.", ["jazz"]),
        ("I like ramen way more than sushi.", ["ramen"]),
        ("I can't stand mushrooms any more.", ["mushrooms"]),
        ("I hate jazz big time.", ["jazz"]),
        ("I like tea, coffee and neither milk nor juice.", ["tea"]),
        ("I eat a lot of rice.", ["rice"]),
    ],
)
def test_how_much_is_no_part_of_what(text: str, objects: list[str]) -> None:
    assert [one[2] for one in read(text)] == objects


def test_what_is_called_after_an_animal_is_no_pet() -> None:
    assert read("I have a horse ranch.") == read("I have a cat in mind.") == []
    assert read("I have a dog allergy.") == [("user", "allergic_to", "dog")]
    assert read("I have two cats now.") == [("user", "has_pet", "two cats")]


def test_a_figure_of_speech_is_no_trait() -> None:
    for text in ("I'm blind to it.", "I'm deaf to criticism.", "I'm separated from my luggage."):
        assert read(text) == []
    assert read("I'm blind.") == [("user", "has_condition", "blind")]
    assert read("I'm separated from my husband.") == [("user", "relationship_status", "separated")]


def test_an_instruction_of_the_answer_says_nothing_of_the_user() -> None:
    for text in ("You play the file with VLC.", "Step 1: you move to Leeds."):
        assert read(answer=text) == []
    assert read("I love the smell of rain.") == [("user", "likes", "smell of rain")]
    assert read("Note 1: I live in Leeds.") == [("user", "lives_in", "Leeds")]


def test_a_fact_has_the_clause_that_states_it() -> None:
    said = "My sister Ada lives in Leeds, and she moved to Porto in 2019; I work at Acme and don't eat meat."
    assert [(one.object, one.fact) for one in EXTRACT(said, "")] == [
        ("Ada", "My sister Ada lives in Leeds"),
        ("Leeds", "My sister Ada lives in Leeds"),
        ("Porto", "she moved to Porto in 2019"),
        ("Acme", "I work at Acme"),
        ("meat", "I don't eat meat"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Do I live in Leeds?",
        "If I lived in Leeds, I would walk.",
        "I'd like to think that I live in Leeds.",
        "Perhaps I live in Leeds.",
        "She said: 'I live in Leeds.'",
        'Translate "I live in Leeds. I am a nurse."',
        "My neighbour thinks I live in Leeds.",
        "I doubt that I am allergic to nuts.",
        "```\nI live in Leeds.\n```",
        "> I live in Leeds.",
        "# I live in Leeds",
        "    I live in Leeds.",
        "Say `I live in Leeds.` to it.",
        "He lives in Leeds.",
        "Nobody knows that I live in Leeds.",
        "I wish my name was Ada.",
        "What if I were allergic to nuts?",
        "The sign says: I love New York.",
        "In my next life I'm a nurse.",
        "I planned to move to Rome but stayed.",
        "I never drink coffee after noon.",
        "I don't speak German very well.",
        "I love how simple it is.",
        "I like the second option.",
        "I love the progress I have made.",
        "I haven't gotten a dog.",
        "Sounds like fun.",
        "Playing chess was fun.",
        "I use the GNU tools.",
    ],
)
def test_what_is_not_stated_gives_nothing(text: str) -> None:
    assert read(text) == []


def test_what_stands_before_a_question_is_stated() -> None:
    assert read("I'm vegan, so what can I cook?") == [("user", "has_diet", "vegan")]
    assert read("I live in Leeds. Where can I eat?") == [("user", "lives_in", "Leeds")]


def test_it_is_an_extractor() -> None:
    found = asyncio.run(extract(EXTRACT, "I'm Kofi and I like tea.", ""))
    assert found.error is None and [fact.object for fact in found.facts] == ["Kofi", "tea"]


def test_rules_of_ones_own_are_read_and_others_refused() -> None:
    rule = Rule("collect {collects:things}", ("I collect stamps. -> user collects stamps",), ("Collect it.",))
    assert [fact.predicate for fact in PatternExtractor([rule])("I collect stamps and like tea.", "")] == ["collects"]
    with pytest.raises(InvalidArgument, match=r"rules\[0\]: got 'str'; accepted: a Rule"):
        PatternExtractor(["collect"])  # type: ignore[list-item]
    for wrong, field in (
        (Rule("collect {collects:heaps}", (), ()), "kind"),
        (Rule("collect {collects:things}", (), (), fact_type="hobby"), "fact_type"),
    ):
        with pytest.raises(InvalidArgument, match=rf"rules\[1\].{field}"):
            PatternExtractor([rule, wrong])


WORDS = sorted(
    {word for rule in RULES for example in rule.reads for word in example.split(" -> ")[0].split()}
    | {word for rule in RULES for verb in rule.verbs for word in forms(verb)}
)
MARKS = [",", ".", "?", "'", '"', "“", "”", "(", ")", "\n", "`", "```\n", "> ", "- ", "\ud800", "\x00", "1.", "’s", ";"]


@given(st.lists(st.sampled_from([*WORDS, *MARKS]), max_size=30).map(" ".join) | st.text(max_size=60))
def test_any_text_gives_facts_that_are_valid(text: str) -> None:
    for said in ((text, ""), ("", text)):
        found = asyncio.run(extract(EXTRACT, *said))
        assert found.error is None
        for fact in found.facts:
            assert fact.subject and fact.predicate and fact.object and len(fact.fact) <= 300
            assert list(EXTRACT(*said)) == list(found.facts)


HOSTILE: dict[str, Callable[[int], str]] = {
    "one word": lambda n: "a" * n,
    "no mark": lambda n: "I like tea " * (n // 11),
    "commas": lambda n: "I like " + "like, " * (n // 6),
    "and": lambda n: "I like tea " + "and tea " * (n // 8),
    "subjects": lambda n: "Ada and " * (n // 8),
    "possessives": lambda n: "my " + "sister's " * (n // 9),
    "of": lambda n: "The capital of " * (n // 15),
    "contractions": lambda n: "I" + "n't" * (n // 3),
    "quotes": lambda n: "'a " * (n // 3),
    "opening quotes": lambda n: "“a " * (n // 3),
    "backquotes": lambda n: "`a" * (n // 2),
    "numbers": lambda n: "1." * (n // 2),
    "digits": lambda n: "1" * n,
    "addresses": lambda n: "a.b-" * (n // 4) + "@",
    "negations": lambda n: "I " + "not " * (n // 4),
    "adverbs": lambda n: "I " + "really " * (n // 7),
    "relatives": lambda n: "My sister who " * (n // 14),
    "openers": lambda n: "On Sundays in " * (n // 14),
    "brackets": lambda n: "(" * n,
    "lines": lambda n: "a\n" * (n // 2),
    "articles": lambda n: "I like " + "the " * (n // 4),
    "pets": lambda n: "I have " + "a dog named Rex and " * (n // 20),
    "favorites": lambda n: "my favorite " * (n // 12),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_work_grows_with_the_length_of_the_text(hostile: Callable[[int], str]) -> None:
    def calls(text: str) -> int:
        count = 0

        def profile(frame: Any, event: str, arg: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            list(EXTRACT(text, ""))
        finally:
            sys.setprofile(before)
        return count

    once, twice = calls(hostile(2_000)), calls(hostile(4_000))
    assert twice <= 2.2 * once + 200
    assert twice <= 500 * 4_000
