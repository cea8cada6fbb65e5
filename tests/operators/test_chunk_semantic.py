"""`chunk("semantic")`: no token waits for the embedder, and its time decides nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reactivex import Observer

from cortex_rx import default_chain
from cortex_rx import operators as cx
from cortex_rx.embedding import Embedder
from cortex_rx.engine import FlowScheduler, stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import Chunked, Delta, Ended, Opened, Problem, Remembered, Replayed
from cortex_rx.models.turn import Turn
from cortex_rx.testing import EPOCH, run_virtual

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
RAIN = [f"The rain falls on roof {at}. " for at in range(5)]
CATS = [f"A cat sleeps with kitten {at}. " for at in range(6)]
TAX = [f"Pay income tax {at} now. " for at in range(4)]
TEXT = "".join(RAIN + CATS + TAX)
TOPICS = ["".join(topic) for topic in (RAIN, CATS, TAX)]
HARD = (
    "Dr. Smith paid $3.14 (ca. 1,000 yen. Or so) for rain. Rain is wet, e.g. This rain. See https://a.b/c?d=1. It rains"
    "!\n\n# A cat\n- the cat sleeps\n- a cat \"Purrs. Loudly.\" at night\n```py\ncat = 1. \n\nx\n```\nThe cat 👩‍👩‍👧 left. "  # noqa: E501
    "你好。再见！tax 你好。The tax is due. Pay the tax now. A tax. Wait... What tax?! ok"
)  # fmt: skip


def bag(text: str, dimension: int = 64) -> list[float]:
    """The vector of a text: each of its words counts at a place of its own."""
    numbers = [0.0] * dimension
    for word in text.lower().split():
        numbers[hashlib.blake2s(word.encode()).digest()[0] % dimension] += 1.0
    return numbers


def slow(seconds: Callable[[], float] = lambda: 0.2, batch_size: int | None = None) -> Embedder:
    async def embed(given: Any) -> Any:
        await asyncio.sleep(seconds())
        return bag(given) if batch_size is None else [bag(text) for text in given]

    return Embedder(embed, batch_size=batch_size)


def contents(outcome) -> list[str]:
    return [event.chunk.content for event in outcome.of(Chunked)]


def cut(texts, embedder, size=10, pause=0.0, **how):
    """The chunks of an answer in these pieces."""

    async def main():
        async def source(_):
            yield Opened(TURN, "stream-1", EPOCH)
            offset = 0
            for index, text in enumerate(texts):
                await asyncio.sleep(pause)
                yield Delta(text, index, offset, 0, 0.0)
                offset += len(text)
            yield Ended("stop", offset, len(texts))

        out = []
        async with stream(
            from_async_iterable(source).pipe(cx.chunk("semantic", size, embedder=embedder, **how))
        ) as all_:
            async for event in all_:
                out.append(event)
        return out

    out = run_virtual(main())
    assert not any(isinstance(event, Problem) for event in out)
    return [event.chunk for event in out if type(event) is Chunked]


def test_drawn(lab, snapshot):
    """Each sentence takes 0.3 s of the embedder; the deltas pass at once."""

    async def main():
        source = lab.source(*[part for text in TEXT.split(". ") if text for part in (f"{text}. ", 0.2)])
        return await lab.play(source, cx.chunk("semantic", embedder=slow(lambda: 0.3)))

    outcome = lab.run(main, thorough=True)
    assert contents(outcome) == TOPICS
    assert outcome.times(Delta) == pytest.approx([at * 0.2 for at in range(15)])
    assert lab.drawn() == snapshot


@pytest.mark.parametrize("text", [TEXT, HARD], ids=["plain", "hard"])
@pytest.mark.parametrize("how", [{}, {"size": 4, "overlap": 1}, {"max_length": 60}], ids=str)
def test_the_chunks_do_not_depend_on_the_deltas_or_on_time(text, how):
    """300 splits, with an embedder whose every call takes another time, and any number of texts."""
    whole = cut([text], Embedder(bag), **how)
    assert len(whole) > 2
    end = 0
    for index, chunk in enumerate(whole):
        assert chunk.chunk_index == index and chunk.content == text[chunk.start_offset : chunk.end_offset]
        assert chunk.start_offset == end or (chunk.has_overlap and chunk.start_offset < end)
        end = chunk.end_offset
    assert end == len(text)

    @settings(
        max_examples=examples(300 if not how else 100),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        st.lists(st.integers(0, len(text)), max_size=40),
        st.one_of(st.none(), st.integers(1, 20)),
        st.integers(0, 2**32),
        st.sampled_from([0.0, 0.01, 0.3]),
    )
    def same(places, batch_size, seed, pause):
        places = [0, *sorted(places), len(text)]
        chance = Random(seed)
        embedder = slow(lambda: chance.choice((0.0, 0.1, 3.0)), batch_size)
        texts = [text[start:end] for start, end in zip(places, places[1:], strict=False)]
        assert cut(texts, embedder, pause=pause, **how) == whole

    same()
    assert cut(list(text), Embedder(bag), **how) == whole


def test_sentences_are_embedded_once_in_batches(lab):
    asked = []

    async def embed(texts):
        asked.append(texts)
        await asyncio.sleep(1)
        return [bag(text) for text in texts]

    async def main():
        return await lab.play(lab.source(TEXT), cx.chunk("semantic", embedder=Embedder(embed, batch_size=6)))

    assert contents(lab.run(main)) == TOPICS
    assert "".join(text for texts in asked for text in texts) == TEXT
    assert [len(texts) for texts in asked] == [6, 6, 3]


def test_a_failure_is_one_problem_and_the_rest_is_cut_by_sentences(lab):
    calls = []

    def embed(text):
        calls.append(text)
        if len(calls) > 3:
            raise ConnectionError("no embedder")
        return bag(text)

    async def main():
        source = lab.source(*[part for text in RAIN + CATS * 4 for part in (text, 0.5)])
        return await lab.play(source, cx.chunk("semantic", 4, embedder=embed))

    outcome = lab.run(main)
    problem = outcome.one(Problem)
    assert (problem.phase, problem.code, problem.recoverable) == ("streaming", "ConnectionError", True)
    assert len(calls) == 4, "it is asked no more"
    assert "".join(contents(outcome)) == outcome.text == "".join(RAIN + CATS * 4)
    assert all(text.count(". ") == 4 for text in contents(outcome)[:-1])


@pytest.mark.parametrize("border", [2, 5, 9])
def test_vectors_of_another_dimension_than_before_are_a_failure_of_the_embedder(lab, border):
    calls = []

    def embed(text):
        calls.append(text)
        return bag(text) if len(calls) <= border else [1.0, 2.0, 3.0]

    async def main():
        source = lab.source(*[part for text in RAIN + CATS * 4 for part in (text, 0.5)])
        return await lab.play(source, cx.chunk("semantic", 4, embedder=embed))

    outcome = lab.run(main)
    problem = outcome.one(Problem)
    assert (problem.code, len(calls)) == ("INVALID_INPUT", border + 1)
    assert "vectors of 3 and of 64 numbers" in problem.message
    assert "".join(contents(outcome)) == outcome.text == "".join(RAIN + CATS * 4)


def test_an_embedder_that_hangs_is_waited_for_30_seconds(lab):
    async def embed(text):
        await asyncio.get_running_loop().create_future()

    async def main(*script):
        return await lab.play(lab.source(*script), cx.chunk("semantic", 4, embedder=embed))

    outcome = lab.run(lambda: main(TEXT))
    assert outcome.codes[0] in ("TimeoutError", "EMBEDDER_SLOW") and len(outcome.codes) == 1
    assert outcome.ended_at == pytest.approx(30, abs=0.5)
    assert [text.count(". ") for text in contents(outcome)] == [4, 4, 4, 3]
    outcome = lab.run(lambda: main(RAIN[0], RAIN[1], 50.0, *CATS))
    assert outcome.codes == ["TimeoutError"] and outcome.ended_at == pytest.approx(50)


def test_a_slow_embedder_is_waited_for_30_seconds_after_the_end(lab):
    async def main():
        return await lab.play(lab.source(TEXT), cx.chunk("semantic", embedder=slow(lambda: 20.0)))

    outcome = lab.run(main)
    assert outcome.codes == ["EMBEDDER_SLOW"] and outcome.ended_at == pytest.approx(30, abs=0.5)
    assert "".join(contents(outcome)) == TEXT


def test_an_error_of_the_source_does_not_wait_for_the_embedder(lab):
    async def main():
        source = lab.source(TEXT, 1.0, ConnectionError("gone"))
        return await lab.play(source, cx.chunk("semantic", 6, embedder=slow(lambda: 20.0)))

    outcome = lab.run(main, thorough=True)
    assert type(outcome.error) is ConnectionError and outcome.ended_at == pytest.approx(1, abs=0.01)
    assert [text.count(". ") for text in contents(outcome)] == [6, 6, 3]
    assert outcome.codes == []


def test_what_was_cut_off_without_an_end_is_cut_too(lab):
    async def main():
        return await lab.play(lab.events(lab.opened, *lab.deltas(TEXT)), cx.chunk("semantic", embedder=slow()))

    assert contents(lab.run(main)) == TOPICS


def test_a_new_attempt_drops_what_was_asked_for_the_older_text(lab):
    cancelled = []

    async def embed(text):
        try:
            await asyncio.sleep(5 if "rain" in text else 0.1)
        except asyncio.CancelledError:
            cancelled.append(text)
            raise
        return bag(text)

    async def main():
        first, second = lab.deltas(*RAIN), lab.deltas(*CATS, *TAX, attempt=1)
        text = "".join(CATS + TAX)
        source = lab.events(lab.opened, *first, 1.0, *second, lab.ended(text, deltas=10))
        return await lab.play(source, cx.chunk("semantic", embedder=embed))

    outcome = lab.run(main, thorough=True)
    chunks = [(event.attempt, event.chunk.chunk_index, event.chunk.content) for event in outcome.of(Chunked)]
    assert chunks == [(1, 0, TOPICS[1]), (1, 1, TOPICS[2])]
    assert sorted(cancelled) == RAIN[:4] and outcome.ended_at < 3


def test_what_was_replayed_is_cut_too(lab):
    at = 70
    (delta,) = lab.deltas(TEXT[at:], index=1, offset=at)

    async def main():
        source = lab.events(lab.opened, Replayed(TEXT[:at], at, 1), delta, lab.ended(TEXT, deltas=2))
        return await lab.play(source, cx.chunk("semantic", embedder=slow()))

    outcome = lab.run(main)
    assert contents(outcome) == TOPICS
    assert [event.chunk.start_offset for event in outcome.of(Chunked)] == [
        0,
        len(TOPICS[0]),
        len(TOPICS[0] + TOPICS[1]),
    ]


def test_a_gap_in_the_offsets_is_not_bridged(lab):
    async def main():
        (first,), (second,) = lab.deltas("One. Two"), lab.deltas("Ten. Eleven", index=1, offset=50)
        events = lab.events(lab.opened, first, second, Ended("stop", 61, 2))
        return await lab.play(events, cx.chunk("semantic", embedder=slow()))

    found = [event.chunk for event in lab.run(main).of(Chunked)]
    assert [(chunk.chunk_index, chunk.start_offset, chunk.content) for chunk in found] == [
        (0, 0, "One. Two"), (1, 50, "Ten. Eleven"),
    ]  # fmt: skip


def test_where_text_comes_faster_than_it_is_embedded_a_part_is_cut_by_size(lab):
    """It holds 262,144 code points at most, with 64 for each sentence, beside the text of one event."""
    many = [f"Rain and cat {at} are here. " for at in range(1000)]

    async def main():
        source = lab.source(*[part for _ in range(12) for part in ("".join(many), 0.3)])
        return await lab.play(source, cx.chunk("semantic", embedder=slow(lambda: 2.0)), traced=False)

    outcome = lab.run(main)
    assert outcome.codes == ["EMBEDDER_BEHIND", "EMBEDDER_SLOW"]
    assert "".join(contents(outcome)) == outcome.text == "".join(many) * 12
    assert outcome.times(Delta) == pytest.approx([at * 0.3 for at in range(12)])


def test_its_chunks_are_stored_although_they_come_after_the_end(lab):
    async def main():
        step = default_chain(
            lab.store,
            {"chunking_strategy": "semantic", "max_single_memory_size": 200},
            generate_embedding=slow(lambda: 1.0),
        )
        outcome = await lab.play(lab.source(TEXT), step)
        found = await lab.stream("stream-1")
        answer = await lab.ask("memories:get", memoryId=found["memoryId"])
        return outcome, answer, [await lab.ask("memories:get", memoryId=one) for one in answer["chunkIds"]]

    outcome, answer, chunks = lab.run(main, thorough=True)
    assert outcome.error is None and outcome.codes == []
    assert outcome.kinds.index("Ended") < outcome.kinds.index("Chunked") < outcome.kinds.index("Remembered")
    assert answer["content"] == TEXT and [chunk["content"] for chunk in chunks] == TOPICS
    assert all(len(chunk["embedding"]) == 64 for chunk in chunks), "of the chunk, not of a sentence"
    assert outcome.one(Remembered).memories[1].chunk_count == 3


def test_stopped_after_the_end_the_answer_is_stored_whole(lab):
    """A reader who leaves while the embedder is asked: nobody waits for chunks, the answer is one memory."""

    async def main():
        options = {"chunking_strategy": "semantic", "max_single_memory_size": 200}
        chain = default_chain(lab.store, options, generate_embedding=slow(lambda: 10.0))
        async with FlowScheduler() as flow:
            flow.subscribe(lab.source(TEXT).pipe(chain), Observer())
            await asyncio.sleep(1)
            start = flow.time()
        return flow.time() - start, await lab.contents()

    took, memories = lab.run(main, thorough=True)
    assert memories[1] == ("agent", TEXT)
    assert took < 8


@pytest.mark.parametrize("arguments, field", [
    ({"strategy": "semantic"}, "embedder"), ({"strategy": "semantic", "embedder": 7}, "embedder"),
    ({"strategy": "sentence", "embedder": bag}, "embedder"), ({"strategy": "sentence", "percentile": 20}, "percentile"),
    ({"strategy": "semantic", "embedder": bag, "percentile": 101}, "percentile"),
    ({"strategy": "semantic", "embedder": bag, "percentile": True}, "percentile"),
    ({"strategy": "semantic", "embedder": bag, "overlap": 10}, "overlap"),
    ({"strategy": "semantic", "embedder": bag, "count": len}, "count"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_by_field(arguments, field):
    with pytest.raises(InvalidArgument) as caught:
        cx.chunk(**arguments)
    assert caught.value.field == field


def test_the_option_needs_an_embedder(lab):
    with pytest.raises(InvalidArgument) as caught:
        default_chain(lab.store, {"chunking_strategy": "semantic"})
    assert caught.value.field == "generate_embedding" and "semantic" in caught.value.accepted
    step = default_chain(lab.store, {"chunkingStrategy": "semantic", "chunkSize": 7}, generate_embedding=bag)["chunk"]
    assert str(step).startswith("chunk(strategy='semantic', size=7")
