"""`finalize` with `embedding_merge_strategy`: the vector of the answer is made of those of its chunks, while it
streams.
"""

from __future__ import annotations

import asyncio
import gc
import math
import threading
from datetime import timedelta

import pytest
from helpers.lanes import examples
from helpers.scripts import model
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from reactivex import Observer

from cortex_rx import Cortex, SqliteBackend, Turn, default_chain, from_stream, run
from cortex_rx import operators as cx
from cortex_rx.embedding import Embedder
from cortex_rx.engine import FlowScheduler
from cortex_rx.errors import ChainOrderError, InvalidArgument, ResumableStreamError, UnsupportedOption
from cortex_rx.events import Chunked, Custom, Delta, Ended, Problem, Remembered, Replayed, Resumed, Rewound
from cortex_rx.models.records import ContentChunk
from cortex_rx.sources.model_stream import ResumeFrom, replayable
from cortex_rx.testing import run_virtual

MS = timedelta(milliseconds=1)
WORDS = [f"Sentence {at} is here. " for at in range(40)]
TEXT = "".join(WORDS)
QUESTION = "What is it?"


def vector(text):
    """No two of the texts here have vectors of one direction."""
    return [float(len(text)), 1.0 + text.count("1"), 2.0 + text.count("2")]


def merged(chunks, of=vector):
    """The mean of the chunks' vectors; each chunk is its text and how much of it is new."""
    parts = [(of(text), new) for text, new in chunks if text.strip() and of(text)]
    whole = sum(new for _, new in parts)
    mean = [math.fsum(v[at] * new for v, new in parts) / whole for at in range(len(parts[0][0]))]
    length = math.fsum(math.hypot(*v) * new for v, new in parts) / whole
    return pytest.approx([number * length / math.hypot(*mean) for number in mean])


def of_events(events):
    """The chunks of these `Chunked` events, each with how much of it is new."""
    ends = [0, *(event.chunk.end_offset for event in events)]
    return [(event.chunk.content, event.chunk.end_offset - end) for event, end in zip(events, ends, strict=False)]


class Asked:
    """An embedding function that takes its time; notes when it was asked, and for what."""

    def __init__(self, seconds=0.0, of=vector):
        self.seconds, self.of = seconds, of
        self.calls = []

    @property
    def texts(self):
        return [text for _, texts in self.calls for text in texts]

    async def __call__(self, text):
        return (await self.each([text]))[0]

    async def each(self, texts):
        self.calls.append((asyncio.get_running_loop().time(), texts))
        await asyncio.sleep(self.seconds)
        return [self.of(text) for text in texts]


def merging(store, embed, cut=None, **finalize):
    cut = cut or cx.chunk("sentence", size=3)
    given = {"generate_embedding": embed, "embedding_merge_strategy": "average", **finalize}
    return cx.chain(cx.begin(store), cut, cx.persist_partial(store, 500 * MS), cx.finalize(store, **given))


def slowly(texts=WORDS, pause=0.1):
    return [part for text in texts for part in (text, pause)]


async def answer_of(lab):
    found = await lab.stream()
    return await lab.ask("memories:get", memoryId=found["memoryId"])


# --- what it gives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("most", [None, 90, 10_000], ids=["no bound", "in chunks", "short enough"])
@pytest.mark.parametrize("overlap", [0, 1])
def test_the_answer_has_the_mean_of_its_chunks_and_is_never_embedded_whole(lab, most, overlap, incremental):
    asked = Asked()

    async def main():
        cut = cx.chunk("sentence", 3, overlap, max_length=most)
        chain = merging(lab.store, asked, cut, max_single_memory_size=most, incremental_embeddings=incremental)
        outcome = await lab.play(lab.source(*slowly()), chain)
        answer = await answer_of(lab)
        return outcome, answer, [await lab.ask("memories:get", memoryId=one) for one in answer.get("chunkIds", [])]

    outcome, answer, chunks = lab.run(main)
    assert outcome.codes == [] and answer["content"] == TEXT
    cut = of_events(outcome.of(Chunked))
    assert sum(new for _, new in cut) == len(TEXT) and (overlap == 0) == all(len(text) == new for text, new in cut)
    assert answer["embedding"] == merged(cut)
    assert sorted(asked.texts) == sorted([QUESTION, *(text for text, _ in cut)]), "each once, and not the whole"
    assert [chunk["embedding"] for chunk in chunks] == ([vector(text) for text, _ in cut] if most == 90 else [])


def test_chunks_are_asked_for_as_they_close_and_the_end_waits_for_the_last(lab):
    """The answer is one memory. After its end nothing is asked for but the question and the last chunks."""
    asked = Asked(0.5)

    async def main():
        chain = merging(lab.store, asked, incremental_embeddings=True)
        return await lab.play(lab.source(*slowly()), chain)

    outcome = lab.run(main)
    (end,) = outcome.times(Ended)
    closed = {event.chunk.content: at for at, event in outcome.seen if isinstance(event, Chunked)}
    for at, (text,) in asked.calls:
        if text != QUESTION:
            assert closed[text] <= at <= closed[text] + 0.3
    assert len([at for at, _ in asked.calls if at >= end]) <= 3 and len(closed) > 10
    assert outcome.times(Remembered)[0] == pytest.approx(end + 0.5), "the time of a call"
    assert [round(at, 6) for at in outcome.times(Delta)] == [round(0.1 * at, 6) for at in range(len(WORDS))]


def test_of_one_chunk_it_is_that_chunks_vector(lab):
    asked = Asked(of=lambda text: [0.1, 0.7, len(text) / 3])

    async def main():
        await lab.play(lab.source("Hello."), merging(lab.store, asked))
        return await answer_of(lab)

    assert lab.run(main)["embedding"] == [0.1, 0.7, 2.0]
    assert sorted(asked.texts) == ["Hello.", QUESTION]


@pytest.mark.parametrize("incremental", [False, True])
def test_a_function_that_takes_lists_is_given_lists(lab, incremental):
    """While the answer streams, what has closed since the last look is one call."""
    asked = Asked()

    async def main():
        embed = Embedder(asked.each, batch_size=16, model="m")
        cut = cx.chunk("sentence", size=1)
        chain = merging(lab.store, embed, cut, incremental_embeddings=incremental)
        return await lab.play(lab.source(*slowly()), chain), await answer_of(lab)

    outcome, answer = lab.run(main)
    chunks = of_events(outcome.of(Chunked))
    assert len(chunks) == 40 and answer["embedding"] == merged(chunks)
    assert sorted(asked.texts) == sorted([QUESTION, *(text for text, _ in chunks)])
    calls = [len(texts) for _, texts in asked.calls]
    if incremental:  # two or three close between two looks, and there are 16 looks and the end
        assert len(calls) <= 17 and max(calls) == 3, calls
    else:
        assert calls == [16, 16, 9], "the question is one of 41 texts"
    assert lab.store.of("finalize")[0].args["embeddingModel"] == "m"


def test_no_token_waits_for_a_function_that_blocks():
    """It is not async, and returns only when the whole answer has come: on the loop it would stand in its own way."""
    over, threads = threading.Event(), set()

    def embed(text):
        threads.add(threading.current_thread())
        assert over.wait(10), "the tokens waited"
        return vector(text)

    async def words():
        for word in WORDS:
            yield word
            await asyncio.sleep(0)
        over.set()

    async def main():
        async with Cortex(":memory:") as cortex:
            options = {
                "chunking_strategy": "sentence", "embedding_merge_strategy": "average", "incremental_embeddings": True
            }  # fmt: skip
            exchange = {"memory_space_id": "s", "conversation_id": "c", "user_message": "?", "agent_id": "a"}
            return await cortex.memory.remember_stream(words(), options, generate_embedding=embed, **exchange)

    result = asyncio.run(main())
    assert [memory.embedding is not None for memory in result.memories] == [True, True]
    assert result.errors is None and threading.main_thread() not in threads


def test_a_step_of_another_who_cuts_is_good_enough(lab):
    """`Chunked` may come from any step upstream."""

    async def main():
        source = lab.events(lab.opened, *lab.deltas("ab"), chunk_event("ab", 0, 2), lab.ended("ab"))
        chain = cx.chain(cx.begin(lab.store), cx.step("mine", lambda s: s, emits=[Chunked]))
        last = cx.finalize(lab.store, generate_embedding=vector, embedding_merge_strategy="average")
        await lab.play(source, chain, last)
        return await answer_of(lab)

    assert lab.run(main)["embedding"] == vector("ab")


def test_a_stream_that_was_taken_over_has_the_mean_of_its_whole_answer(tmp_path):
    """The text that was stored comes as `Replayed`; it is cut and embedded again."""
    options = {
        "chunking_strategy": "sentence", "chunk_size": 2, "embedding_merge_strategy": "average",
        "incremental_embeddings": True,
    }  # fmt: skip
    asked, turn = Asked(), Turn("space", "c-1", QUESTION, user_id="ada", user_name="Ada")

    async def main():
        async with SqliteBackend(tmp_path / "m.db") as store:
            source = from_stream(replayable(model(*slowly(WORDS[:17]), ConnectionResetError())), turn=turn)
            with pytest.raises(ResumableStreamError) as caught:
                await run(source.pipe(default_chain(store, options, generate_embedding=asked), cx.result()))
        asked.calls.clear()
        async with SqliteBackend(tmp_path / "m.db") as store:
            token = ResumeFrom(store, "space", caught.value.resume_token)
            source = from_stream(replayable(model(*slowly())), resume=token)
            result = await run(source.pipe(default_chain(store, options, generate_embedding=asked), cx.result()))
            asking = {"memorySpaceId": "space", "memoryId": result.memories[1].memory_id}
            return result, await store.query("memories:get", asking)

    result, answer = run_virtual(main())
    assert result.errors is None and answer["content"] == TEXT
    pairs = ["".join(WORDS[at : at + 2]) for at in range(0, 40, 2)]
    assert answer["embedding"] == merged([(pair, len(pair)) for pair in pairs])
    assert sorted(asked.texts) == sorted([QUESTION, *pairs])


# --- a law ------------------------------------------------------------------------------------------------------------


def chunk_event(content, start, index, attempt=0):
    chunk = ContentChunk(content=content, chunk_index=index, start_offset=start, end_offset=start + len(content))
    return Chunked(chunk, attempt)


class Story:
    """The events of an answer that is cut into chunks, and may begin anew, be cut back or be replayed; and the chunks
    that there are in the end."""

    def __init__(self, lab):
        self.lab, self.events = lab, [lab.opened]
        self.text, self.attempt, self.index = "", 0, 0
        self.spans = []

    @property
    def end(self):
        return self.spans[-1][1] if self.spans else 0

    def say(self, text):
        self.events.append(Delta(text, self.index, len(self.text), self.attempt, 0.0))
        self.text, self.index = self.text + text, self.index + 1

    def close(self, overlap):
        if len(self.text) > self.end:
            start = max(0, self.end - overlap)
            self.events.append(chunk_event(self.text[start:], start, len(self.spans), self.attempt))
            self.spans.append((start, len(self.text)))

    def anew(self, _):
        self.attempt += 1
        self.text, self.index, self.spans = "", 0, []
        self.events.append(Resumed(1, self.attempt, 0, "ConnectionError"))

    def late(self, _):
        """What an older attempt still had to say."""
        if self.attempt:
            self.events.append(chunk_event("old1", 0, 0, self.attempt - 1))

    def cut(self, back):
        end = max(0, len(self.text) - back)
        self.events.append(Rewound(self.attempt, end))
        self.text, self.spans = self.text[:end], [span for span in self.spans if span[1] <= end]

    def replay(self, text):
        self.events.append(Replayed(text, len(text), self.index, self.attempt))
        self.text, self.spans = text, []

    def wait(self, seconds):
        self.events.append(seconds)

    def chunks(self):
        ends = [0, *(end for _, end in self.spans)]
        return [(self.text[start:end], end - before) for (start, end), before in zip(self.spans, ends, strict=False)]


TEXTS = st.text("12ab \n", min_size=1, max_size=9)
STEPS = st.one_of(
    st.tuples(st.just("say"), TEXTS), st.tuples(st.just("say"), TEXTS),
    st.tuples(st.just("close"), st.integers(0, 5)), st.tuples(st.just("close"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.sampled_from([0.2, 0.5, 3.0])),
    st.tuples(st.just("anew"), st.none()), st.tuples(st.just("late"), st.none()),
    st.tuples(st.just("cut"), st.integers(0, 12)), st.tuples(st.just("replay"), TEXTS),
)  # fmt: skip


BEFORE = [("say", "12ab 1"), ("close", 0), ("say", "b2"), ("close", 3), ("wait", 3.0)]
AFTER = [("say", "22 bb"), ("close", 2), ("wait", 3.0)]
"""Chunks that are asked for, and whose vectors have come (but for a shorter wait), before and after an event."""


@example([*BEFORE, ("anew", None), *AFTER], 0.0, None, True, False)
@example([*BEFORE, ("anew", None), ("late", None), *AFTER], 2.0, 3, True, False)
@example([*BEFORE[:4], ("wait", 0.5), ("anew", None), *AFTER], 2.0, None, True, False)
@example([*BEFORE, ("cut", 1), *AFTER], 0.3, 1, True, True)
@example([*BEFORE, ("cut", 7), *AFTER], 0.0, None, True, False)
@example([*BEFORE, ("replay", "12ab 1b2"), *AFTER], 0.0, None, True, False)
@example([*BEFORE, *AFTER, ("anew", None), ("cut", 0)], 0.0, 3, True, True)
@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(STEPS, max_size=40),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
    st.booleans(),
)
def test_whatever_happened_it_is_the_mean_of_the_chunks_that_there_are_in_the_end(
    make_lab, steps, seconds, size, incremental, bounded
):
    """For any splits, overlaps, attempts, cuts and replays; and each of those chunks is asked for."""
    lab = make_lab()
    story, asked = Story(lab), Asked(seconds)
    for name, value in [*steps, ("say", "the end"), ("close", 2)]:
        getattr(story, name)(value)
    story.events.append(lab.ended(story.text))
    most = 32 if bounded else None

    async def main():
        embed = Embedder(asked.each, batch_size=size) if size else asked
        chain = cx.chain(cx.begin(lab.store), cx.step("mine", lambda s: s, emits=[Chunked]))
        last = cx.finalize(lab.store, None, embed, most, incremental, embedding_merge_strategy="average")
        await lab.play(lab.events(*story.events), chain, last, traced=False)

    lab.run(main)
    call, chunks = lab.store.of("finalize")[0], story.chunks()
    assert call.args["agentEmbedding"] == merged(chunks)
    assert {text for text, _ in chunks if text.strip()} <= set(asked.texts)
    assert story.text not in asked.texts or story.text in [text for text, _ in chunks]
    for row, (text, _) in zip(call.args.get("chunks", ()), chunks, strict=False):
        assert row.get("embedding") == (vector(text) if text.strip() else None)


# --- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize(
    ("wrong", "code"),
    [(lambda text: 1 / 0, "ZeroDivisionError"), (lambda text: [1.0], "INVALID_INPUT"), (lambda text: "x", None)],
    ids=["an error", "another dimension", "no vector"],
)
def test_if_one_chunk_fails_the_whole_answer_is_embedded_and_it_is_said_once(lab, wrong, code, incremental):
    asked = Asked(of=lambda text: wrong(text) if text.startswith(("Sentence 3 ", "Sentence 21 ")) else vector(text))

    async def main():
        chain = merging(lab.store, asked, incremental_embeddings=incremental)
        return await lab.play(lab.source(*slowly()), chain), await answer_of(lab)

    outcome, answer = lab.run(main)
    assert outcome.codes == [code or "INVALID_INPUT"] and outcome.one(Problem).phase == "finalization"
    assert answer["embedding"] == vector(TEXT) and asked.texts[-1] == TEXT
    assert len(asked.texts) == 2 + len(outcome.of(Chunked))


def test_one_that_takes_too_long_is_said_and_the_whole_answer_is_embedded(lab):
    async def embed(text):
        await asyncio.sleep(3600 if text.startswith("Sentence 9 ") else 0)
        return vector(text)

    async def main():
        return await lab.play(lab.source(*WORDS), merging(lab.store, embed)), await answer_of(lab)

    outcome, answer = lab.run(main)
    assert outcome.codes == ["TimeoutError"] and answer["embedding"] == vector(TEXT)
    assert outcome.ended_at == pytest.approx(30, abs=2)


def test_where_all_fail_there_is_no_vector_and_the_exchange_is_stored(lab):
    async def main():
        return await lab.play(lab.source(*WORDS), merging(lab.store, lambda text: 1 / 0)), await answer_of(lab)

    outcome, answer = lab.run(main)
    assert outcome.error is None and set(outcome.codes) == {"ZeroDivisionError"}
    assert answer["content"] == TEXT and "embedding" not in answer


@pytest.mark.parametrize("at", [1.15, 4.05])
def test_cancelled_while_chunks_are_embedded(lab, at):
    """No call is left behind. After `Ended` the exchange is stored, without the vectors that did not come in time."""
    asked = Asked(3600.0)

    async def main():
        async with FlowScheduler() as flow:
            source = from_stream(lab.Model(*slowly()), turn=lab.turn, make_id=lambda: "stream-1")
            chain = merging(lab.store, asked, incremental_embeddings=True)
            flow.subscribe(source.pipe(chain), Observer())
            await asyncio.sleep(at)
        assert asyncio.get_running_loop().time() < at + 8
        return await lab.stream(), await answer_of(lab)

    stream, answer = lab.run(main, thorough=True)
    assert asked.calls and (stream["state"] == "finished") == (at > 4.0)
    assert at < 4.0 or (answer["content"] == TEXT and "embedding" not in answer)


def test_chunks_that_are_not_the_whole_answer_are_a_problem_and_it_is_embedded_whole(lab):
    asked = Asked()

    async def main():
        events = lab.opened, *lab.deltas("abc"), chunk_event("ab", 0, 0), 1.0, lab.ended("abc")
        chain = cx.chain(cx.begin(lab.store), cx.step("mine", lambda s: s, emits=[Chunked]))
        given = {"embedding_merge_strategy": "average", "incremental_embeddings": True}
        outcome = await lab.play(lab.events(*events), chain, cx.finalize(lab.store, None, asked, **given))
        return outcome, await answer_of(lab)

    outcome, answer = lab.run(main)
    assert outcome.codes == ["NOT_CHUNKED"] and answer["embedding"] == vector("abc")
    assert outcome.one(Problem).message.endswith("its embedding is that of the whole text")


def test_vectors_that_cancel_out_have_no_mean_so_the_answer_is_embedded_whole(lab):
    opposite = {"One. ": [1.0, 2.0], "Two. ": [-1.0, -2.0]}
    asked = Asked(of=lambda text: opposite.get(text, [5.0, 5.0]))

    async def main():
        cut = cx.chunk("sentence", size=1)
        outcome = await lab.play(lab.source("One. ", "Two. "), merging(lab.store, asked, cut))
        return outcome, await answer_of(lab)

    outcome, answer = lab.run(main)
    assert outcome.codes == [] and answer["embedding"] == [5.0, 5.0] and asked.texts[-1] == "One. Two. "


@pytest.mark.parametrize("said", [["Two here. ", "Nothing. ", "And 1."], ["Nothing. "]], ids=["some", "none"])
def test_a_chunk_that_shall_have_no_vector_counts_for_nothing(lab, said):
    asked = Asked(of=lambda text: None if text.startswith("Nothing") else vector(text))

    async def main():
        outcome = await lab.play(lab.source(*said), merging(lab.store, asked, cx.chunk("sentence", size=1)))
        return outcome, await answer_of(lab)

    outcome, answer = lab.run(main)
    assert outcome.codes == []
    if len(said) == 1:
        assert "embedding" not in answer
    else:
        assert answer["embedding"] == merged(of_events(outcome.of(Chunked)), asked.of)


def test_a_call_of_a_tool_without_text_has_no_chunks_and_that_is_no_problem(lab):
    async def main():
        events = lab.opened, Custom("tool_calls", [{"name": "look"}]), lab.ended("")
        chain = cx.chain(cx.begin(lab.store), cx.step("mine", lambda s: s, emits=[Chunked]))
        last = cx.finalize(lab.store, generate_embedding=vector, embedding_merge_strategy="average")
        return await lab.play(lab.events(*events), chain, last)

    outcome = lab.run(main)
    assert outcome.error is None and outcome.codes == [] and outcome.one(Remembered)


# --- what it holds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "held"), [(None, range(1, 7)), (90, range(40, 50))], ids=["one memory", "in chunks"])
def test_of_chunks_that_are_not_stored_only_the_mean_is_held(lab, most, held):
    """A vector is a list of 1,237 numbers, as few other things are; they are counted when the exchange is stored."""
    counts = []

    async def count(_):
        counts.append(sum(type(one) is list and len(one) == 1237 for one in gc.get_objects()))

    async def embed(text):
        return [float(len(text))] * 1237

    async def main():
        lab.store.rule("finalize", count)
        cut = cx.chunk("sentence", size=1, max_length=most)
        given = {"max_single_memory_size": most, "incremental_embeddings": True}
        return await lab.play(lab.source(*slowly()), merging(lab.store, embed, cut, **given))

    assert lab.run(main).codes == []
    assert counts[0] in held


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "why"),
    [
        ({"embedding_merge_strategy": "average"}, InvalidArgument, "None, unless generate_embedding is given"),
        ({"embedding_merge_strategy": "concatenate", "generate_embedding": len}, UnsupportedOption, "one dimension"),
        ({"embedding_merge_strategy": "hierarchical", "generate_embedding": len}, UnsupportedOption, "not say what"),
        ({"embedding_merge_strategy": "mean", "generate_embedding": len}, InvalidArgument, "'average', or None"),
    ],
)
def test_what_cannot_work_is_refused_by_name(lab, given, error, why):
    with pytest.raises(error, match=f"^embedding_merge_strategy: got .*; accepted: .*{why}"):
        cx.finalize(lab.store, **given)


def test_without_chunks_it_is_refused(lab):
    merge = cx.finalize(lab.store, generate_embedding=vector, embedding_merge_strategy="average")
    with pytest.raises(ChainOrderError, match=r"finalize needs Chunked, which nothing before it emits: put chunk"):
        cx.chain(cx.begin(lab.store), merge)(lab.source("a"))
    options = {"embedding_merge_strategy": "average"}
    with pytest.raises(InvalidArgument, match=r"^embedding_merge_strategy: got 'average'; .*max_single_memory_size$"):
        default_chain(lab.store, options, generate_embedding=vector)
    with pytest.raises(
        InvalidArgument, match=r"^embedding_merge_strategy: got 'average'; .*generate_embedding is given$"
    ):
        default_chain(lab.store, {**options, "chunking_strategy": "fixed"})


@pytest.mark.parametrize("more", [{"chunking_strategy": "fixed"}, {"max_single_memory_size": 4000}], ids=str)
@pytest.mark.parametrize("incremental", [False, True])
def test_the_options_compose(lab, more, incremental):
    options = {"embeddingMergeStrategy": "average", "incrementalEmbeddings": incremental, **more}
    step = default_chain(lab.store, options, generate_embedding=vector)["finalize"]
    most = more.get("max_single_memory_size")
    assert step == cx.finalize(lab.store, None, vector, most, incremental, embedding_merge_strategy="average")
