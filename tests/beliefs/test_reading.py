"""What is read from a sentence: polarity, tense and numbers."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.beliefs.normal import signature
from cortex_rx.beliefs.reading import Polarity, Tense, digits, numbers_of, polarity_of, tense_of

NEGATIVE = """
Ada does not like tea.
Ada doesn't like tea.
Ada doesn’t like tea.
Ada never eats fish.
Ada no longer lives in Rome.
Nobody in the family smokes.
She has no siblings.
He can hardly swim.
He left without his keys.
She has neither a car nor a bike.
Ada stopped eating meat.
Ada has given up smoking.
Ada quit drinking.
Ich esse kein Fleisch.
Ich wohne nicht in Rom.
Je ne bois pas de vin.
No me gusta el café, nunca.
Io non mangio carne.
Ela não come carne.
Hij eet geen vlees.
Jag äter inte kött.
Я не ем мясо.
我不吃肉
我没有狗
肉は食べません
저는 고기를 먹지 않아요
लता मांस नहीं खाती
"""

POSITIVE = """
Ada likes tea.
Ada is not only a pilot but a painter.
No doubt Ada likes tea.
Ada can't wait to see Rome.
Ada lives at No. 5, Oak Street.
Ada knows Notting Hill.
Ada has a nose for it.
Ada stopped at the station.
这个不错
非常好
Ich wohne in Rom.
J'habite à Rome.
"""


@pytest.mark.parametrize("text", NEGATIVE.strip().splitlines())
def test_a_denial(text: str) -> None:
    assert polarity_of(text) == "negative"


def test_a_denial_without_its_apostrophe() -> None:
    for word in ("don't", "doesn't", "can't", "wasn't", "hasn't", "ain't"):
        assert polarity_of(f"Ada {word} like it".replace("'", "")) == "negative"
    assert tense_of("Ada wasn't there".replace("'", "")) == "past"


@pytest.mark.parametrize("text", POSITIVE.strip().splitlines())
def test_no_denial(text: str) -> None:
    assert polarity_of(text) == "positive"


@pytest.mark.parametrize(
    ("text", "about", "polarity"),
    [
        ("I like tea but not coffee.", "tea", "positive"),
        ("I like tea but not coffee.", "coffee", "negative"),
        ("I don't like tea, but coffee is fine.", "coffee", "positive"),
        ("I like tea, not coffee.", "tea", "positive"),
        ("I am not allergic to nuts, eggs and fish.", "fish", "negative"),
        ("I don't like tea", "milk", "negative"),
        ("I do not like tea.", "tea", "negative"),
        ("I'm not a pilot", "pilot", "negative"),
    ],
)
def test_only_the_clause_of_the_object_counts(text: str, about: str, polarity: str) -> None:
    assert polarity_of(text, about) == polarity


TENSE = {
    "present": """
Ada lives in Rome.
Ada has lived in Rome since 2020.
Ada moved to Rome.
Ada was born in Rome.
Ada is married.
Ada is called Addie.
The firm was founded in 1990.
Guido created Python.
Ada needs a bed.
Ada has a red car.
Ada is going to the bank.
Ted likes tea.
Ada started a job.
Ada may come.
""",
    "past": """
Ada lived in Rome.
Ada used to smoke.
Ada was a pilot.
Ada worked at Acme.
Ada went to Oslo.
Ada had a dog.
Ada is Acme's former boss.
Ada ate fish yesterday.
Ada saw it two years ago.
Ada didn't like tea.
Last summer Ada flew to Oslo.
""",
    "future": """
Ada will move to Rome.
Ada'll come.
Ada is going to move.
Ada flies to Oslo tomorrow.
Ada starts next week.
We're not going to come.
Ada won't come.
I'm gonna call.
I'm flying to Oslo soon.
""",
}


@pytest.mark.parametrize(
    ("tense", "text"), [(tense, text) for tense, texts in TENSE.items() for text in texts.strip().splitlines()]
)
def test_tense(tense: str, text: str) -> None:
    assert tense_of(text) == tense


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("34", ("34",)),
        ("thirty-four", ("34",)),
        ("thirty four years", ("34",)),
        ("two, three", ("2", "3")),
        ("two three", ("2", "3")),
        ("one hundred and five", ("105",)),
        ("two thousand three hundred", ("2300",)),
        ("3 million", ("3000000",)),
        ("1.5 million", ("1.5", "1000000")),
        ("1,250", ("1250",)),
        ("1,250.50", ("1250.5",)),
        ("1.250,50", ("1250.5",)),
        ("1.000.000", ("1000000",)),
        ("3,5", ("3.5",)),
        ("3.50", ("3.5",)),
        ("007", ("7",)),
        ("-5 degrees", ("-5",)),
        ("3-4", ("3", "4")),
        ("12:30", ("12", "30")),
        ("5pm", ("5pm",)),
        ("5 p", ("5",)),
        ("5%", ("5%",)),
        ("5 percent", ("5%",)),
        ("$5", ("$5",)),
        ("10k", ("10k",)),
        ("3rd", ("3",)),
        ("the third", ("3",)),
        ("on March 3, 2020", ("month 3", "3", "2020")),
        ("they march on Monday", ("day 1",)),
        ("no one", ()),
        ("the one", ()),
        ("one cat", ("1",)),
        ("half a dozen", ("0.5", "12")),
        ("B12", ("12",)),
        ("٣٤", ("34",)),
        ("nothing at all", ()),
        ("zero", ("0",)),
    ],
)
def test_numbers(text: str, numbers: tuple[str, ...]) -> None:
    assert numbers_of(text) == numbers


@given(st.integers(0, 10**15))
def test_a_number_is_the_same_with_and_without_separators(value: int) -> None:
    assert numbers_of(f"{value}") == numbers_of(f"{value:,}") == (str(value),)


@given(st.text(), st.text())
def test_every_text_is_read(text: str, about: str) -> None:
    assert polarity_of(text, about) in get_args(Polarity)
    assert tense_of(text) in get_args(Tense)
    assert digits(digits(text)) == digits(text)


@given(st.lists(st.sampled_from("one two twenty hundred thousand billion and 7 3.5 , - once".split()), max_size=60))
def test_number_words_in_any_order_are_read(words: list[str]) -> None:
    text = " ".join(words)
    assert all(len(each) < 40 for each in numbers_of(text))
    assert digits(digits(text)) == digits(text) and "twenty" not in digits(text)


def test_numbers_without_end_are_read() -> None:
    assert len(numbers_of("nine " * 10_000)) == 10_000
    assert len(numbers_of("9" * 10_000)[0]) == 10_000
    assert all(len(each) < 40 for each in numbers_of("billion " * 10_000))


@pytest.mark.timeout(20)  # where each place of a row was tried to the row's end, it took minutes
@pytest.mark.parametrize("row", ["'" * 150_000, "." * 150_000, "never " * 60_000])
def test_a_row_without_end_is_read_once(row: str) -> None:
    text = row + "x"
    said = signature(text, text, text, text)
    assert (said.polarity, said.tense) == ("negative" if "never" in row else "positive", "present")
    assert signature(row).text
