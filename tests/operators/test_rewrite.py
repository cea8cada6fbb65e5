"""`rewrite`: downstream sees only the output of the rewriter, with offsets of its own."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx import default_chain
from cortex_rx import operators as cx
from cortex_rx.engine import stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import ChainOrderError, InvalidArgument
from cortex_rx.events import Custom, Delta, Ended, Opened, Replayed, Resumed
from cortex_rx.models.turn import Turn
from cortex_rx.testing import EPOCH, run_virtual

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")


class Words:
    """Whole words, in capitals."""

    def __init__(self):
        self.held = ""

    def feed(self, text):
        *words, self.held = (self.held + text).split(" ")
        return "".join(f"{word.upper()} " for word in words)

    def finish(self):
        return self.held.upper()


class SlowWords(Words):
    """Each word takes a second."""

    async def feed(self, text):
        for word in Words.feed(self, text).split(" ")[:-1]:
            await asyncio.sleep(1)
            yield f"{word} "

    async def finish(self):
        await asyncio.sleep(1)
        return self.held.upper()


BOTH = pytest.mark.parametrize("make", [Words, SlowWords], ids=["at once", "waits"])


def rewrite(make):
    return cx.rewrite(make, waits=make is SlowWords)


def whole(lab, *first):
    return cx.chain(*first, cx.begin(lab.store), cx.persist_partial(lab.store), cx.finalize(lab.store))


@given(st.lists(st.text("ab ß", min_size=1, max_size=9), max_size=12), st.booleans())
def test_the_text_is_rewritten_and_the_offsets_are_its_own(texts, waits):
    async def source(_):
        yield Opened(TURN, "stream-1", EPOCH)
        offset = 0
        for index, text in enumerate(texts):
            yield Delta(text, index, offset, 0, 0.0)
            offset += len(text)
        yield Ended("stop", offset, len(texts))

    async def main():
        async with stream(from_async_iterable(source).pipe(rewrite(SlowWords if waits else Words))) as events:
            return [event async for event in events]

    _, *deltas, ended = run_virtual(main())
    answer = "".join(texts).upper()  # "ß" grows
    assert "".join(delta.text for delta in deltas) == answer
    at = 0
    for index, delta in enumerate(deltas):
        assert (delta.offset, delta.index) == (at, index) and delta.text
        at += len(delta.text)
    assert ended == Ended("stop", len(answer), len(deltas))


@BOTH
def test_what_is_stored_is_the_rewritten_text(lab, make, snapshot):
    async def main():
        source = lab.source("Good mo", 0.1, "rning A", 0.1, "da")
        return await lab.play(source, whole(lab, rewrite(make))), await lab.contents()

    outcome, memories = lab.run(main, thorough=True)
    assert outcome.error is None
    assert memories == [("user", "What is it?"), ("agent", "GOOD MORNING ADA")]
    assert lab.drawn() == snapshot


@BOTH
def test_on_an_error_what_is_held_back_comes_first(lab, make):
    async def main():
        error = ConnectionError("the provider hung up")
        outcome = await lab.play(lab.source("Good mo", 0.1, "rni", error), whole(lab, rewrite(make)))
        return outcome, await lab.partial(), await lab.contents(), outcome.error is error

    outcome, partial, memories, same = lab.run(main, thorough=True)
    assert outcome.text == partial == "GOOD MORNI"
    assert same
    assert memories == []


@BOTH
def test_without_an_end_too(lab, make):
    async def main():
        return await lab.play(lab.events(lab.opened, *lab.deltas("Good mo")), rewrite(make))

    outcome = lab.run(main)
    assert outcome.text == "GOOD MO"
    assert outcome.kinds == ["Opened", "Delta", "Delta"]


@BOTH
def test_stopped_what_is_held_back_is_dropped(lab, make):
    outcome = lab.Outcome()

    async def main():
        playing = lab.play(lab.source("Good mo", 5, "rning"), whole(lab, rewrite(make)), into=outcome)
        task = asyncio.ensure_future(playing)
        await asyncio.sleep(2)
        task.cancel()
        await asyncio.wait({task})
        return await lab.partial()

    assert lab.run(main, thorough=True) == "GOOD " == outcome.text
    assert lab.model.closed == 1


@BOTH
def test_a_text_that_begins_anew_is_rewritten_anew(lab, make):
    async def main():
        first, second = lab.deltas("Good mo"), lab.deltas("Hello A", "da", attempt=1)
        events = (*first, Resumed(1, 1, 0, "x"), *second, lab.ended("Hello Ada", deltas=2))
        return await lab.play(lab.events(lab.opened, *events), rewrite(make))

    deltas = lab.run(main).of(Delta)
    assert [(delta.attempt, delta.index, delta.offset, delta.text) for delta in deltas] == [
        (0, 0, 0, "GOOD "),
        (1, 0, 0, "HELLO "),
        (1, 1, 6, "ADA"),
    ]


@BOTH
def test_nothing_of_the_old_text_comes_when_the_new_one_is_empty(lab, make):
    async def main():
        events = (*lab.deltas("Good mo"), Resumed(1, 1, 0, "x"), Ended("stop", 0, 0))
        return await lab.play(lab.events(lab.opened, *events), rewrite(make))

    outcome = lab.run(main)
    assert outcome.text == "GOOD "
    assert outcome.one(Ended) == Ended("stop", 0, 0)


@BOTH
def test_after_what_was_replayed_it_goes_on(lab, make):
    async def main():
        events = (Replayed("GOOD ", 5, 1, 2), Delta("morning", 7, 5, 2, 0.1), Ended("stop", 12, 8))
        return await lab.play(lab.events(lab.opened, *events), rewrite(make))

    outcome = lab.run(main)
    assert outcome.one(Delta) == Delta("MORNING", 1, 5, 2, 0.1)
    assert outcome.one(Ended) == Ended("stop", 12, 2)


def test_other_events_do_not_wait_for_text_that_is_held_back(lab):
    async def main():
        first, second = lab.deltas("Good", " day")
        return await lab.play(
            lab.events(lab.opened, first, Custom("x"), 1.0, second, lab.ended("Good day", deltas=2)), rewrite(Words)
        )

    outcome = lab.run(main)
    assert outcome.kinds == ["Opened", "Custom", "Delta", "Delta", "Ended"]
    assert outcome.times(Custom) == [0]


def test_with_waits_they_come_in_their_turn_and_what_has_gathered_comes_as_one_text(lab):
    fed = []

    class Noted(SlowWords):
        def feed(self, text):
            fed.append(text)
            return super().feed(text)

    source = lab.events(
        lab.opened,
        *lab.deltas("one "),
        0.1,
        Delta("t", 1, 4, 0, 0.1),
        Delta("wo ", 2, 5, 0, 0.1),
        Custom("x"),
        Delta("three", 3, 8, 0, 0.1),
        lab.ended("one two three", deltas=4),
    )

    async def main():
        return await lab.play(source, cx.rewrite(Noted, waits=True))

    outcome = lab.run(main)
    assert fed == ["one ", "two ", "three"]
    assert outcome.kinds == ["Opened", "Delta", "Delta", "Custom", "Delta", "Ended"]
    assert outcome.times(Delta) == [1, 2, 3]


@pytest.mark.parametrize("waits", [False, True])
def test_a_rewriter_may_give_events_of_its_own(lab, waits):
    class Counting:
        count = 0

        def feed(self, text):
            self.count += 1
            yield Custom("fed", self.count)
            yield text
            yield text

        def finish(self):
            return [Custom("all", self.count)]

    async def main():
        return await lab.play(
            lab.events(lab.opened, *lab.deltas("a"), lab.ended("a", deltas=1)), cx.rewrite(Counting, waits)
        )

    _, *events = lab.run(main).events
    assert events == [
        Custom("fed", 1),
        Delta("a", 0, 0, 0, 0.0),
        Delta("a", 1, 1, 0, 0.0),
        Custom("all", 1),
        Ended("stop", 2, 2),
    ]


@pytest.mark.parametrize("where", ["feed", "finish"])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "waits"])
def test_what_a_rewriter_raises_ends_the_stream_and_shows_nothing_more(lab, where, waits):
    error = ZeroDivisionError("a bug")

    class Failing(Words):
        def feed(self, text):
            if where == "feed" and "bad" in text:
                raise error
            return super().feed(text)

        def finish(self):
            if where == "finish":
                raise error
            return super().finish()

    async def main():
        source = lab.source("Good mo", 0.1, "bad", 0.1, "c d")
        return await lab.play(source, whole(lab, cx.rewrite(Failing, waits))), await lab.partial(), await lab.contents()

    outcome, partial, memories = lab.run(main, thorough=True)
    assert outcome.error is error
    assert outcome.text == partial == ("GOOD " if where == "feed" else "GOOD MOBADC ")
    assert outcome.of(Ended) == memories == []
    assert lab.model.closed == 1


@BOTH
def test_the_error_of_the_source_is_not_hidden_by_a_bug_of_the_rewriter(lab, make):
    class Failing(make):
        def finish(self):
            raise ZeroDivisionError

    error = ConnectionError("the provider hung up")

    async def main():
        return await lab.play(lab.source("Good mo", error), cx.rewrite(Failing, waits=make is SlowWords))

    outcome = lab.run(main)
    assert outcome.error is error
    assert outcome.text == "GOOD "


def test_a_bug_in_making_one_ends_the_stream(lab):
    async def main():
        return await lab.play(lab.source("a"), cx.rewrite(lambda: 1 / 0))

    outcome = lab.run(main)
    assert type(outcome.error) is ZeroDivisionError
    assert lab.model.closed == 1


@pytest.mark.parametrize("waits", [False, True])
def test_half_a_character_ends_the_stream_and_what_came_before_is_kept(lab, waits):
    class Torn:
        def feed(self, text):
            return text.replace("b", "\ud83d")

        def finish(self):
            return ""

    async def main():
        chain = cx.chain(cx.rewrite(Torn, waits), default_chain(lab.store))
        return await lab.play(lab.source("a", 1.0, "b", 1.0, "c"), chain)

    outcome = lab.run(main)
    assert type(outcome.error.original_error) is ValueError and outcome.text == "a"
    (partial,) = lab.in_the_file("memories:list", includePartial=True)
    assert partial["content"] == "a"


@pytest.mark.parametrize(
    "piece", [None, 5, Delta("a", 0, 0, 0, 0.0), Ended("stop", 0, 0), b"a"], ids=lambda p: type(p).__name__
)
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "waits"])
def test_what_is_no_piece_is_refused(lab, piece, waits):
    class Odd:
        def feed(self, text):
            return [piece]

        def finish(self):
            return ""

    async def main():
        return await lab.play(lab.source("a"), cx.rewrite(Odd, waits))

    error = lab.run(main).error
    assert type(error) is TypeError
    assert str(error) == (
        f"a rewriter gave a {type(piece).__name__}; accepted are text, and events that are no Delta or Ended"
    )


@pytest.mark.parametrize("kind", ["coroutine", "async_generator", "NoneType"])
def test_one_that_is_async_must_be_waited_for(lab, kind):
    class Async:
        def feed(self, text):
            return {"coroutine": self.one, "async_generator": self.many, "NoneType": lambda: None}[kind]()

        async def one(self):
            return ""

        async def many(self):
            yield ""

        def finish(self):
            return ""

    async def main():
        return await lab.play(lab.source("a"), cx.rewrite(Async))

    error = lab.run(main).error
    assert type(error) is TypeError
    assert (
        str(error) == f"a rewriter gave a {kind}; accepted are a text and an iterable, and with waits=True async ones"
    )


def test_it_belongs_before_what_takes_the_text(lab):
    with pytest.raises(ChainOrderError, match="rewrite rewrites the text, so it belongs before persist_partial"):
        cx.chain(*whole(lab), cx.rewrite(Words))(lab.source("a"))


def test_two_of_them_see_each_others_text(lab):
    class Twice:
        def feed(self, text):
            return text * 2

        def finish(self):
            return "!"

    async def main():
        source = lab.source("a", " b")
        return await lab.play(source, cx.chain(cx.rewrite(Words), cx.rewrite(Twice).named("twice")))

    outcome = lab.run(main)
    assert outcome.text == "A A BB!"
    assert outcome.one(Ended) == Ended("stop", 7, 3)


@pytest.mark.parametrize(("make", "waits", "field"), [(None, False, "make"), ("x", True, "make"), (Words, 1, "waits")])
def test_what_does_not_fit_is_refused(make, waits, field):
    with pytest.raises(InvalidArgument) as refused:
        cx.rewrite(make, waits)
    assert refused.value.field == field
