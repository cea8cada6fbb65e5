"""The content of items: text of every kind, torn surrogates, nothing at all, and unknown items."""

from __future__ import annotations

import asyncio
import collections
import datetime
import enum
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cortex_rx.events import Custom, Delta, Ended, Opened, Problem
from cortex_rx.models.records import Usage
from cortex_rx.sources.model_stream import Finish, openai_chat
from cortex_rx.sources.providers import PROVIDERS

KNOWN = ", ".join(provider.__name__ for provider in PROVIDERS)


def halves(text):
    """The text as UTF-16 has it: an astral character as two surrogates."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(raw[at] | raw[at + 1] << 8) for at in range(0, len(raw), 2))


def cut(text, places):
    edges = [0, *sorted({min(place, len(text)) for place in places}), len(text)]
    return [text[a:b] for a, b in zip(edges, edges[1:])]


def contiguous(came):
    """Offsets are code points, each delta begins where the last one ended, and none is empty."""
    offset = 0
    for index, delta in enumerate(came.of(Delta)):
        assert (delta.index, delta.offset) == (index, offset) and delta.text
        offset += len(delta.text)
    assert (came.ended.offset, came.ended.index) == (offset, len(came.of(Delta)))
    return True


TORN = st.text(st.sampled_from("aé中𠮷😀👩‍🚀\ufffd\u200d") | st.characters(exclude_categories=["Cs"]), max_size=30)
PLACES = st.lists(st.integers(0, 60), max_size=20)


@given(TORN, PLACES, st.booleans())
@example("😀", [1], True)
@example("a😀b", [0, 1, 2, 2, 3, 4], True)
@example("\ufffd😀", [2], False)
def test_any_text_torn_at_any_place_comes_out_whole(kit, text, places, torn):
    async def main():
        came = await kit.read(cut(halves(text) if torn else text, places))
        assert came.error is None and came.problems == []
        assert came.text == text and contiguous(came)

    asyncio.run(main())


@given(TORN, PLACES)
def test_provider_chunks_of_torn_text_come_out_whole_too(kit, text, places):
    chunks = [{"object": "chat.completion.chunk", "choices": [{"delta": {"content": each}}]} for each in
              cut(halves(text), places)]  # fmt: skip

    async def main():
        came = await kit.read(chunks)
        assert came.problems == [] and came.text == text and contiguous(came)

    asyncio.run(main())


def paired(units):
    """What is right, by another way: the regular expression finds the pairs, what is left is lone."""
    joined = re.sub("([\ud800-\udbff])([\udc00-\udfff])", lambda m: (m[1] + m[2]).encode("utf-16-le", "surrogatepass")
                    .decode("utf-16-le"), units)  # fmt: skip
    return re.subn("[\ud800-\udfff]", "\ufffd", joined)


@given(st.text(st.sampled_from("ab中😀\ufffd\ud83d\ude00\ud800\udfff"), max_size=20), PLACES)
@example("\ud83d", [])
@example("\ude00", [])
@example("\ud83d\ud83d\ude00", [1, 2])
@example("\ud83da", [1])
@example("\ufffd\ud800", [1])
def test_lone_halves_become_u_fffd_with_exactly_one_problem(kit, units, places):
    text, lone = paired(units)

    async def main():
        came = await kit.read(cut(units, places))
        assert came.error is None
        assert came.text == text and contiguous(came)
        assert len(came.problems) == bool(lone)
        for problem in came.problems:
            assert (problem.code, problem.phase, problem.recoverable) == ("LONE_SURROGATE", "streaming", True)

    asyncio.run(main())


async def test_the_problem_comes_before_the_text_that_it_is_about(kit):
    came = await kit.read(["a", "\ud83d", "b\ude00", "\ud83d"])
    kinds = [type(event) for event in came.events]
    assert kinds == [Opened, Delta, Problem, Delta, Delta, Ended]
    assert came.texts == ["a", "\ufffdb\ufffd", "\ufffd"]


async def test_half_a_pair_waits_for_nothing_but_text(kit):
    came = await kit.read(["\ud83d", None, "", Plain("\ude00"), "!"])
    assert came.texts == ["😀", "!"] and came.problems == []


async def test_half_a_pair_before_an_error_is_shown_before_it(kit):
    async def broken():
        yield "a\ud83d"
        raise OSError("reset")

    came = await kit.read(broken)
    assert came.texts == ["a", "\ufffd"] and len(came.problems) == 1 and str(came.error) == "reset"


class Plain(str):
    """A string of a class of its own, which shows itself as something else."""

    def __str__(self):
        raise AssertionError("nobody asks")

    __repr__ = __str__


class Word(enum.StrEnum):
    HELLO = "Hello"


async def test_what_is_a_string_is_text_of_the_class_str(kit):
    came = await kit.read([Plain("a"), Word.HELLO, Plain("é")])
    assert came.texts == ["a", "Hello", "é"]
    assert {type(text) for text in came.texts} == {str}


@pytest.mark.parametrize("items", [[], [None], [""], ["", None, "", None]])
async def test_nothing_is_skipped(kit, items):
    came = await kit.read(items)
    assert [type(event) for event in came.events] == [Opened, Ended]
    assert came.ended == Ended("stop", 0, 0)
    came = await kit.read([*items, "a", *items, "b", *items])
    assert came.texts == ["a", "b"] and contiguous(came)


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (b"secret", "bytes"),
        (7, "int"),
        (["secret"], "list"),
        ({"text": "secret"}, "dict"),
        (object(), "object"),
        (datetime.date(2026, 1, 1), "datetime.date"),
        (Point(1, 2), ".Point"),
    ],
)
async def test_an_item_of_an_unknown_type_names_it_and_what_is_accepted(kit, item, name):
    came = await kit.read(["a", item, "b"])
    assert came.texts == ["a"] and came.of(Ended) == []
    assert type(came.error) is TypeError
    message = str(came.error)
    assert re.search(rf"an item has the unknown type (\S+)?{re.escape(name)};", message)
    assert f"accepted: str, and items that these providers read: {KNOWN};" in message and "provider=" in message
    assert "secret" not in message


# --- an own provider --------------------------------------------------------------------------------------------------


def of_words(item):
    if not isinstance(item, dict) or "word" not in item:
        return None
    pieces = [item["word"]]
    if "tool" in item:
        pieces.append(Custom("tool", item["tool"]))
    if "why" in item:
        pieces.append(Finish(item["why"]))
    if "used" in item:
        pieces.append(Finish(usage=Usage(output_tokens=item["used"])))
    return pieces


async def test_a_provider_of_ones_own(kit):
    items = [
        {"word": "Hello"},
        {"word": " you", "tool": {"name": "look"}},
        {"word": "", "why": "end"},
        {"word": "", "used": 3},
    ]
    came = await kit.read(items, provider=of_words)
    assert came.texts == ["Hello", " you"] and came.customs == [("tool", {"name": "look"})]
    assert came.ended == Ended("end", 9, 2, Usage(output_tokens=3))


async def test_a_stream_of_a_provider_that_does_not_say_its_end_was_cut_off(kit):
    assert (await kit.read([{"word": "Hello"}], provider=of_words)).ended.reason == "incomplete"


async def test_it_is_asked_first_and_the_known_ones_then(kit):
    chunk = {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]}
    came = await kit.read([{"word": "a"}, chunk, "c", {"word": "d"}], provider=of_words)
    assert came.text == "abcd" and came.ended.reason == "stop"
    came = await kit.read([chunk], provider=lambda item: ["mine"])
    assert came.text == "mine"


async def test_it_is_asked_of_text_and_bytes_too(kit):
    def lines(item):
        if isinstance(item, bytes):
            return item.decode()
        return None if item.startswith(":") else item.removeprefix("data: ")

    came = await kit.read(["data: a", ":b", b"c"], provider=lines)
    assert came.texts == ["a", ":b", "c"]


async def test_a_string_is_one_piece_and_pieces_may_be_any_iterable(kit):
    given = iter(["one piece", ("two", " pieces"), (text for text in ("three", " more")), (), "", {"a set"}])
    came = await kit.read([object()] * 6, provider=lambda _: next(given))
    assert came.texts == ["one piece", "two", " pieces", "three", " more", "a set"] and contiguous(came)


@pytest.mark.parametrize("piece", [b"secret", None, 5, ["secret"]])
async def test_a_piece_that_is_none_is_named_after_those_before_it(kit, piece):
    came = await kit.read([object()], provider=lambda _: ["a", piece])
    assert came.texts == ["a"] and type(came.error) is TypeError
    assert f"a piece of type {type(piece).__name__}; accepted: str, Custom, Finish and Cursor" in str(came.error)
    assert "secret" not in str(came.error)


async def test_what_a_provider_raises_is_an_error_of_the_stream(kit):
    came = await kit.read(["a", {"x": 1}], provider=lambda item: None if item == "a" else [item["missing"]])
    assert came.texts == ["a"] and type(came.error) is KeyError


async def test_a_provider_without_a_name_is_named_by_its_class(kit):
    class Words:
        def __call__(self, item):
            return None

    came = await kit.read([5], provider=Words())
    assert f"items that these providers read: Words, {KNOWN};" in str(came.error)


async def test_items_of_one_type_and_two_kinds(kit):
    """The provider that read the last item of a type is asked first, but not alone."""
    asked = []

    def noted(item):
        asked.append(item)
        return of_words(item)

    chunk = {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "b"}}]}
    came = await kit.read([{"word": "a"}, chunk, chunk, {"word": "d"}, {}], provider=noted)
    assert came.text == "abbd" and type(came.error) is TypeError
    assert len(asked) == 4  # not of the second chunk, which the one that read the first one read too


def test_of_other_items_the_provider_says_none():
    for item in (None, "text", b"", 5, [], {}, {"object": "response"}, {"choices": []} | {"object": "text_completion"}):
        assert openai_chat(item) is None
