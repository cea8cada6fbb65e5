"""`limit`: an answer that becomes too long is cut exactly, and the shown part is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx import operators as cx
from cortex_rx.chain import step
from cortex_rx.engine import run, stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import ChainOrderError, InvalidArgument, StreamTooLong
from cortex_rx.events import Custom, Delta, Ended, Opened, Remembered
from cortex_rx.models.turn import Turn
from cortex_rx.testing import EPOCH, run_virtual

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
THENS = pytest.mark.parametrize("then", ["fail", "end"])


def whole(lab, *first):
    return cx.chain(*first, cx.begin(lab.store), cx.persist_partial(lab.store), cx.finalize(lab.store))


@given(st.lists(st.text(min_size=1, max_size=9), max_size=12), st.integers(1, 60))
def test_it_cuts_exactly_there(texts, most):
    async def source(_):
        yield Opened(TURN, "stream-1", EPOCH)
        offset = 0
        for index, text in enumerate(texts):
            yield Delta(text, index, offset, 0, 0.0)
            offset += len(text)
        yield Ended("stop", offset, len(texts))

    async def main():
        out = []
        async with stream(from_async_iterable(source).pipe(cx.limit(most, then="end"))) as events:
            async for event in events:
                out.append(event)
        return out

    _, *deltas, ended = run_virtual(main())
    answer = "".join(texts)
    assert "".join(delta.text for delta in deltas) == answer[:most]
    assert [delta.index for delta in deltas] == list(range(len(deltas)))
    at = 0
    for delta in deltas:
        assert delta.offset == at and delta.text
        at += len(delta.text)
    if len(answer) > most:
        assert ended == Ended("limit", most, len(deltas))
    else:
        assert ended == Ended("stop", len(answer), len(texts)), "an answer of exactly that length is not too long"


def test_lengths_are_code_points(lab):
    async def main():
        return await lab.play(lab.source("👩‍👩‍👧", "日本", "x"), cx.limit(6, then="end"))

    outcome = lab.run(main)
    assert outcome.text == "👩‍👩‍👧日"
    assert outcome.one(Ended) == Ended("limit", 6, 2)


def test_fail(lab, snapshot):
    async def main():
        outcome = await lab.play(lab.source("abc", 0.1, "def", 0.1, "gh"), whole(lab, cx.limit(4)))
        return outcome, await lab.partial(), await lab.contents()

    outcome, partial, memories = lab.run(main, thorough=True)
    assert type(outcome.error) is StreamTooLong
    assert outcome.error.max_length == 4
    assert outcome.text == partial == "abcd", "what was shown is kept"
    assert memories == [], "and not taken for an answer"
    assert lab.model.closed == 1
    assert outcome.of(Ended) == []
    assert lab.drawn() == snapshot


def test_end(lab, snapshot):
    async def main():
        chain = whole(lab, cx.limit(4, then="end"))
        outcome = await lab.play(lab.source("abc", 0.1, "def", 0.1, "gh"), chain)
        return outcome, await lab.contents(), await lab.ask("conversations:get", conversationId="c-1")

    outcome, memories, conversation = lab.run(main, thorough=True)
    assert outcome.error is None
    assert outcome.one(Ended) == Ended("limit", 4, 2)
    assert memories == [("user", "What is it?"), ("agent", "abcd")]
    assert conversation["messages"][1]["metadata"] == {"finishReason": "limit"}
    assert outcome.one(Remembered).memories[1].content == "abcd"
    assert lab.drawn() == snapshot


@THENS
def test_the_source_is_closed_at_that_instant(lab, then):
    async def main():
        return await lab.play(
            lab.source(*[item for _ in range(1000) for item in (0.1, "abc")]), cx.limit(10, then=then)
        )

    outcome = lab.run(main)
    assert outcome.ended_at == pytest.approx(0.4)
    assert lab.model.given == 4
    assert lab.model.closed == 1


@THENS
def test_after_it_nothing_comes(lab, then):
    """Not what the source gives in the same breath, either."""

    async def main():
        a, b = lab.deltas("abc", "def")
        source = lab.events(lab.opened, a, b, Custom("late"), lab.ended("abcdef", deltas=2))
        return await lab.play(source, cx.limit(3, then=then))

    outcome = lab.run(main)
    assert outcome.kinds == ["Opened", "Delta"] + (["Ended"] if then == "end" else [])


@THENS
def test_the_first_delta_may_be_too_long_already(lab, then):
    async def main():
        return await lab.play(lab.source("x" * 100_000), cx.limit(1, then=then))

    assert lab.run(main).text == "x"


def test_a_new_attempt_is_counted_anew(lab):
    async def main():
        first, second = lab.deltas("abc"), lab.deltas("abc", "d", attempt=1)
        source = lab.events(lab.opened, *first, *second, lab.ended("abcd", deltas=2))
        return await lab.play(source, cx.limit(4))

    outcome = lab.run(main)
    assert outcome.error is None
    assert outcome.text == "abcabcd"


def test_what_is_shorter_passes_as_it_is(lab):
    async def main():
        source = lab.events(mine[0], *mine[1:])
        return await lab.play(source, cx.limit(100))

    mine = [lab.opened, *lab.deltas("a", "b"), Custom("x"), lab.ended("ab", deltas=2)]
    outcome = lab.run(main)
    assert outcome.events == mine
    assert all(out is came for out, came in zip(outcome.events, mine, strict=True)), "not a copy"


def test_it_belongs_before_what_stores(lab):
    """It rewrites the text: what was stored before it would be more than what was shown."""
    with pytest.raises(ChainOrderError, match="limit rewrites the text, so it belongs before persist_partial"):
        cx.chain(*whole(lab), cx.limit(5))(lab.source("a"))
    assert cx.limit(5).rewrites


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "5", True, None])
def test_a_length_that_is_none_is_refused(wrong):
    with pytest.raises(InvalidArgument, match="max_length: got"):
        cx.limit(wrong)


def test_a_way_to_end_that_is_none_is_refused():
    with pytest.raises(InvalidArgument, match="then: got 'stop'; accepted: 'fail' or 'end'"):
        cx.limit(5, then="stop")


def test_a_stock_operator_between_does_not_matter(lab):
    async def main():
        keep = step("keep", lambda source: source)
        return await run(lab.source("abcdef").pipe(cx.chain(cx.limit(3, then="end"), keep), cx.last()))

    assert lab.run(main) == Ended("limit", 3, 1)
