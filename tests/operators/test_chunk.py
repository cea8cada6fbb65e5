"""`chunk`: the answer is cut while it streams; every delta passes at once, and the chunks together are the answer."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
from helpers.lanes import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_rx import operators as cx
from cortex_rx.engine import stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import ChainOrderError, InvalidArgument, MissingExtra
from cortex_rx.events import Chunked, Custom, Delta, Ended, Opened, Problem, Replayed
from cortex_rx.models.records import ContentChunk
from cortex_rx.models.turn import Turn
from cortex_rx.testing import EPOCH, run_virtual

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
TEXT = (
    'Dr. Smith paid $3.14. He left! "Yes. No." she said. 你好。再见！\n\n# A title\n- see https://a.b/c?d=1. Now\n'
    "```py\nx = 1. \n\ny\n```\nThen 👩‍👩‍👧 came, e.g. This one. And so on"
)
STRATEGIES = {
    "token": lambda: cx.chunk("token", 6, 2),
    "counted": lambda: cx.chunk("token", 6, 2, count=lambda text: len(text) // 3 + 1),
    "sentence": lambda: cx.chunk("sentence", 2, 1),
    "paragraph": lambda: cx.chunk("paragraph", 1),
    "fixed": lambda: cx.chunk("fixed", 20, 5),
}


def chunks(outcome) -> list[ContentChunk]:
    return [event.chunk for event in outcome.of(Chunked)]


def contents(outcome) -> list[str]:
    return [chunk.content for chunk in chunks(outcome)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_chunks_are_the_answer_however_it_comes(name):
    async def main(texts):
        async def source(_):
            yield Opened(TURN, "stream-1", EPOCH)
            offset = 0
            for index, text in enumerate(texts):
                yield Delta(text, index, offset, 0, 0.0)
                offset += len(text)
            yield Ended("stop", offset, len(texts))

        out = []
        async with stream(from_async_iterable(source).pipe(STRATEGIES[name]())) as events:
            async for event in events:
                out.append(event)
        return out

    def cut(texts):
        return [event.chunk for event in run_virtual(main(texts)) if type(event) is Chunked]

    whole = cut([TEXT])
    end = 0
    for index, chunk in enumerate(whole):
        assert chunk.chunk_index == index
        assert chunk.content == TEXT[chunk.start_offset : chunk.end_offset]
        assert chunk.start_offset == end or (chunk.has_overlap and chunk.start_offset < end)
        end = chunk.end_offset
    assert end == len(TEXT)
    assert [chunk.has_overlap for chunk in whole][0] is False
    assert any(chunk.has_overlap for chunk in whole) == (name != "paragraph")

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.integers(0, len(TEXT))))
    def same(places):
        places = [0, *sorted(places), len(TEXT)]
        assert cut([TEXT[start:end] for start, end in zip(places, places[1:], strict=False)]) == whole

    same()
    assert cut(list(TEXT)) == whole


def test_drawn(lab, snapshot):
    async def main():
        source = lab.source("One. ", 0.1, "Two", 0.1, " is. Three. F", 0.1, "our", 0.1, ".")
        return await lab.play(source, cx.chunk("sentence", size=1))

    outcome = lab.run(main, thorough=True)
    assert contents(outcome) == ["One. ", "Two is. ", "Three. ", "Four."]
    assert outcome.times(Chunked) == pytest.approx([0.2, 0.2, 0.4, 0.4])
    assert lab.drawn() == snapshot


def test_a_chunk_comes_with_the_word_that_closes_it(lab):
    """And after the delta in which that word ends, never before it."""

    async def main():
        return await lab.play(
            lab.source("The end. ", 1, "The", 1, " beginning", 1, " is near"), cx.chunk("sentence", 1)
        )

    outcome = lab.run(main)
    (at, _), (last, _) = [(at, event) for at, event in outcome.seen if isinstance(event, Chunked)]
    assert (at, last) == (2, 3)
    kinds = outcome.kinds
    assert kinds == ["Opened", "Delta", "Delta", "Delta", "Chunked", "Delta", "Ended", "Chunked"]


def test_everything_else_passes_as_it_is_and_first(lab):
    mine = [lab.opened, *lab.deltas("One. T", "wo. Three is"), Custom("x"), lab.ended("One. Two. Three is", deltas=2)]

    async def main():
        return await lab.play(lab.events(*mine), cx.chunk("sentence", 1))

    outcome = lab.run(main)
    passed = [event for event in outcome.events if type(event) is not Chunked]
    assert all(out is came for out, came in zip(passed, mine, strict=True)), "not a copy"
    assert contents(outcome) == ["One. ", "Two. ", "Three is"]
    assert outcome.kinds == ["Opened", "Delta", "Delta", "Chunked", "Chunked", "Custom", "Ended", "Chunked"]


def test_at_an_error_what_came_is_cut(lab):
    async def main():
        return await lab.play(lab.source("One. Two", ConnectionError("gone")), cx.chunk("sentence", 1))

    outcome = lab.run(main, thorough=True)
    assert type(outcome.error) is ConnectionError
    assert contents(outcome) == ["One. ", "Two"]


def test_an_answer_without_text_has_no_chunks(lab):
    async def main():
        return await lab.play(lab.source(), cx.chunk("fixed"))

    assert chunks(lab.run(main)) == []


def test_a_new_attempt_is_cut_anew(lab):
    async def main():
        first = lab.deltas("One. Two. Three ", "is")
        second = lab.deltas("Eins. ", "Zwei. Drei", attempt=1)
        source = lab.events(lab.opened, *first, *second, lab.ended("Eins. Zwei. Drei", deltas=3))
        return await lab.play(source, cx.chunk("sentence", 1))

    outcome = lab.run(main)
    came = [(event.attempt, event.chunk) for event in outcome.of(Chunked)]
    assert [(attempt, chunk.chunk_index, chunk.start_offset, chunk.content) for attempt, chunk in came] == [
        (0, 0, 0, "One. "), (0, 1, 5, "Two. "), (1, 0, 0, "Eins. "), (1, 1, 6, "Zwei. "), (1, 2, 12, "Drei"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_was_replayed_is_cut_too(lab, name):
    """In the end there are the chunks of the whole answer, as if it had not been interrupted."""

    async def main(*events):
        return await lab.play(lab.events(lab.opened, *events, lab.ended(TEXT, deltas=2)), STRATEGIES[name]())

    (whole,) = lab.deltas(TEXT)
    expected = chunks(lab.run(lambda: main(whole)))
    at = 70
    (delta,) = lab.deltas(TEXT[at:], index=1, offset=at)
    resumed = chunks(lab.run(lambda: main(Replayed(TEXT[:at], at, 1), delta)))
    assert resumed == expected


def test_a_gap_in_the_offsets_is_not_bridged(lab):
    """What stands before it is closed; offsets stay those of the answer."""

    async def main():
        (first,), (second,) = lab.deltas("One. Two"), lab.deltas("Ten. Eleven", index=1, offset=50)
        return await lab.play(lab.events(lab.opened, first, second, Ended("stop", 61, 2)), cx.chunk("sentence", 5))

    found = chunks(lab.run(main))
    assert [(chunk.chunk_index, chunk.start_offset, chunk.end_offset, chunk.content) for chunk in found] == [
        (0, 0, 8, "One. Two"), (1, 50, 61, "Ten. Eleven"),
    ]  # fmt: skip


@pytest.mark.parametrize("broken", [
    lambda text: 1 / 0, lambda text: "three", lambda text: -1, lambda text: True,
], ids=["raises", "a string", "negative", "a bool"])  # fmt: skip
def test_a_count_that_fails_is_a_problem_and_the_answer_goes_on(lab, broken):
    async def main():
        return await lab.play(lab.source("one two three four five six"), cx.chunk("token", 3, count=broken))

    outcome = lab.run(main)
    problem = outcome.one(Problem)
    assert (problem.phase, problem.recoverable) == ("streaming", True)
    assert problem.code in ("ZeroDivisionError", "INVALID_INPUT")
    assert "".join(contents(outcome)) == outcome.text == "one two three four five six"
    assert len(contents(outcome)) > 1


def test_the_defaults_are_those_that_cortex_suggests(lab):
    words = "word " * 2000

    async def main(step):
        return await lab.play(lab.source(words), step)

    assert {len(one) for one in contents(lab.run(lambda: main(cx.chunk("token"))))} == {2000}, "500 tokens"
    assert {len(one) for one in contents(lab.run(lambda: main(cx.chunk("fixed"))))} == {2000}
    sentences = "One is. " * 12
    paragraphs = "One\n\n" * 5

    async def of(text, step):
        return await lab.play(lab.source(text), step)

    assert contents(lab.run(lambda: of(sentences, cx.chunk("sentence")))) == ["One is. " * 5] * 2 + ["One is. " * 2]
    assert contents(lab.run(lambda: of(paragraphs, cx.chunk("paragraph")))) == ["One\n\n" * 2] * 2 + ["One\n\n"]


@pytest.mark.slow(reason="100,000 chunks")
def test_many_chunks_are_legal(lab):
    """Cortex refuses more than 100,000."""

    async def main():
        return await lab.play(lab.source("x " * 50_001), cx.chunk("fixed", 1), traced=False)

    assert len(chunks(lab.run(main))) == 100_002


def test_it_stands_after_what_rewrites_the_text(lab):
    with pytest.raises(ChainOrderError, match="limit rewrites the text, so it belongs before chunk"):
        cx.chain(cx.chunk("fixed"), cx.limit(5))(lab.source("a"))
    assert (cx.chunk("fixed").captures_text, cx.chunk("fixed").rewrites) == (True, False)


@pytest.mark.parametrize("arguments, field", [
    ({"strategy": "page"}, "strategy"), ({"strategy": None}, "strategy"), ({"size": 0}, "size"), ({"size": -5}, "size"),
    ({"size": 2.5}, "size"), ({"size": True}, "size"), ({"size": "5"}, "size"), ({"overlap": -1}, "overlap"),
    ({"overlap": 5}, "overlap"), ({"size": 3, "overlap": 3}, "overlap"), ({"overlap": 1.0}, "overlap"),
    ({"overlap": True}, "overlap"),
    ({"overlap": None}, "overlap"), ({"longest": 2999}, "longest"), ({"longest": None}, "longest"),
    ({"language": ""}, "language"),
    ({"language": None}, "language"), ({"count": 5}, "count"), ({"count": len}, "count"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_by_field(arguments, field):
    with pytest.raises(InvalidArgument) as caught:
        cx.chunk(**{"strategy": "sentence"} | arguments)
    assert caught.value.field == field


def test_an_overlap_is_compared_with_the_default_size():
    cx.chunk("sentence", overlap=4)
    with pytest.raises(
        InvalidArgument, match="overlap: got 5; accepted: a whole number from 0 to 4, less than the size"
    ):
        cx.chunk("sentence", overlap=5)


@pytest.mark.parametrize("library", ["regex", "sentencex"])
def test_without_the_libraries_it_names_the_command(monkeypatch, library):
    for name in [name for name in sys.modules if name.startswith("cortex_rx.chunking")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"chunk needs the extra 'chunk': pip install 'cortex-rx\[chunk\]'"):
        cx.chunk("fixed")


def test_declaring_it_is_what_loads_the_libraries():
    """The package itself does without them."""
    for name in ("chunk", "_support.cutting"):
        module = import_module(f"cortex_rx.operators.{name}")
        assert not hasattr(module, "regex") and not hasattr(module, "Cutter")


# --- a bound on the length
# ---------------------------------------------------------------------------------------------


BOUNDED = {
    "before the unit that does not fit": (
        ("sentence", 5, 0), "One is here. Two is here too. Three.", ["One is here. Two is here too. ", "Three."]
    ),
    "a sentence that is too long, after a word": (
        ("sentence", 5, 0),
        "It runs on and on, for ever and a day. End.",
        ["It runs on and on, for ever and ", "a day. End."],
    ),
    "a fence, after a line": (
        ("paragraph", 2, 0),
        "```py\nfirst = 1\nsecond = 2\nthird = 3\n```\n",
        ["```py\nfirst = 1\nsecond = 2\n", "third = 3\n```\n"],
    ),
    "a link, wherever": (
        ("token", 100, 0), "See https://example.com/a/b/c/d/e/f/g now",
        ["See ", "https://example.com/a/b/c/d/e/f/", "g now"]
    ),
    "a grapheme cluster is whole": (
        ("sentence", 1, 0), "x" * 30 + "👩\u200d👩\u200d👧" + "y" * 5, ["x" * 30, "👩\u200d👩\u200d👧yyyyy"]
    ),
    "but for one that is itself too long": (("fixed", 100, 0), "a" + "\u0301" * 40,
     ["a" + "\u0301" * 31, "\u0301" * 9]),
    "an overlap counts": (
        ("sentence", 5, 1), "One is here. Two is here too. Three.",
        ["One is here. Two is here too. ", "Two is here too. Three."]
    ),
    "an overlap that leaves no room is left out": (
        ("sentence", 5, 1), "It is here, all of it, one. It is there, the two.",
        ["It is here, all of it, one. ", "It is there, the two."]
    ),
    "less than a size": (("fixed", 500, 0), "word " * 10, ["word word word word word word wo", "rd word word word "]),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDED)
def test_no_chunk_is_longer_than_the_bound(lab, name):
    (strategy, size, overlap), text, expected = BOUNDED[name]

    async def main():
        return await lab.play(lab.source(text), cx.chunk(strategy, size, overlap, max_length=32))

    assert contents(lab.run(main)) == expected
    assert all(len(content) <= 32 for content in expected)


@pytest.mark.parametrize(("strategy", "overlap", "most"), [("fixed", 32, 31), ("token", 8, 7), ("sentence", 32, 31)])
def test_an_overlap_that_is_a_whole_chunk_is_refused(strategy, overlap, most):
    with pytest.raises(
        InvalidArgument, match=f"overlap: got {overlap}; accepted: a whole number from 0 to {most}, less"
    ):
        cx.chunk(strategy, 100, overlap, max_length=32)
    cx.chunk(strategy, 100, most, max_length=32)
