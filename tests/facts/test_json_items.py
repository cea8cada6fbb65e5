"""The items of a list in JSON that comes in pieces: complete ones, each once, wherever the text is cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.facts.json_items import InvalidJson, JsonItems

SIGNS = st.text(st.sampled_from('{}[],:"\\/ab \nfacts'), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), SIGNS, st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SIGNS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(SIGNS, VALUES, max_size=4)


@given(st.lists(OBJECTS, max_size=5), st.dictionaries(SIGNS, VALUES, max_size=2), st.data())
def test_every_cut_gives_the_objects_that_are_complete_and_every_split_the_same(
    objects: list[Any], before: dict[str, Any], data: st.DataObject
) -> None:
    before.pop("facts", None)
    indent = data.draw(st.sampled_from([None, 2]))
    ascii = data.draw(st.booleans())
    text = "Here: " + json.dumps({**before, "facts": objects, "after": before}, indent=indent, ensure_ascii=ascii)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    items = JsonItems("facts")
    found: list[Any] = []
    for start, end in pairwise([0, *cuts, len(text)]):
        found += items.feed(text[start:end])
        whole = JsonItems("facts")
        assert whole.feed(text[:end]) == found == objects[: len(found)], "in one piece or in many"
        assert whole.state == items.state
    assert (found, items.state) == (objects, "complete")


@given(st.text(st.sampled_from('{}[],:"\\ 1a'), max_size=30), st.integers(0, 30))
def test_any_text_gives_the_same_in_one_piece_or_two(text: str, cut: int) -> None:
    text = '{"facts": [' + text
    whole, parts = JsonItems("facts"), JsonItems("facts")
    one = whole.feed(text)
    two = parts.feed(text[:cut]) + parts.feed(text[cut:])
    assert [str(type(item)) if isinstance(item, InvalidJson) else item for item in one] == [
        str(type(item)) if isinstance(item, InvalidJson) else item for item in two
    ]
    assert whole.state == parts.state


def test_each_object_is_there_with_its_last_character() -> None:
    objects = [
        {"fact": f'Ada said "{at}", \\ and {{more}}]', "tags": ["a", "b"], "metadata": {"a": [1]}} for at in "ab"
    ]
    text = json.dumps({"facts": objects})
    ends = [text.index('{"a": [1]}}', text.index(f'\\"{at}\\"')) + len('{"a": [1]}}') for at in "ab"]
    for cut in range(len(text) + 1):
        assert JsonItems("facts").feed(text[:cut]) == objects[: sum(end <= cut for end in ends)]


@pytest.mark.parametrize(
    ("text", "items", "state"),
    [
        ("", [], "nothing"),
        ("I found no facts.", [], "nothing"),
        ('The list [1, 2] and "words {"facts": []}', [], "complete"),
        ('```json\n{"facts": [{"a": 1}]}\n```', [{"a": 1}], "complete"),
        ('{"facts": []} {"facts": [{"a": 1}]}', [], "complete"),
        ('{"other": {"facts": [{"a": 1}]}, "facts": [{"b": 2}]}', [{"b": 2}], "complete"),
        ('{"other": [{"facts": [{"a": 1}]}]}', [], "another schema"),
        ('{"other": "facts"}', [], "another schema"),
        ('{"facts": {"a": 1}}', [], "another schema"),
        ('{"facts": "none"}', [], "another schema"),
        ('{"facts": [1, "two", [3], null, {"a": 1}]}', [1, "two", [3], None, {"a": 1}], "complete"),
        ('{"facts": [12', [], "begun"),
        ('{"facts": [{"a": 1}, ]}', [{"a": 1}], "complete"),
        ('{"facts": [{"a": 1]}', [], "not JSON"),
        ('{"facts": [{"a": 1}}', [{"a": 1}], "not JSON"),
        ('{"facts": [{"a": "1}]}', [], "begun"),
        ('{"facts": [{"a": "\\ud800"}]}', [{"a": "\ud800"}], "complete"),
    ],
)
def test_what_is_read_of_which_text(text: str, items: list[Any], state: str) -> None:
    read = JsonItems("facts")
    assert (read.feed(text), read.state) == (items, state)


@pytest.mark.parametrize("item", ["{'a': 1}", "{a: 1}", '{"a": 1,}', "[" * 9_000 + "]" * 9_000, "1" * 9_000, "oops"])
def test_an_item_that_is_no_json_stands_in_its_place_and_costs_no_other(item: str) -> None:
    read = JsonItems("facts")
    first, bad, last = read.feed(f'{{"facts": [{{"a": 1}}, {item}, {{"b": 2}}]}}')
    assert (first, last, read.state) == ({"a": 1}, {"b": 2}, "complete")
    assert isinstance(bad, InvalidJson)


def test_each_character_is_looked_at_once() -> None:
    """Text in a string is neither held twice nor read again, in however small pieces it comes."""
    read = JsonItems("facts")
    read.feed('{"facts": [{"a": "')
    for _ in range(20_000):
        read.feed("x")
        assert len(read._held) <= 20_001
    assert sum(map(len, read._held)) == 20_007
    assert read.feed('"}') == [{"a": "x" * 20_000}]
    assert sum(map(len, read._held)) == 0
