"""`finalize` with `max_single_memory_size`: a long answer is stored in the chunks of `chunk`, and reads back whole."""

from __future__ import annotations

import asyncio
import builtins
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reactivex import Observer

from cortex_rx import Cortex, default_chain, from_stream, run
from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.embedding import Embedder
from cortex_rx.engine import FlowScheduler
from cortex_rx.errors import ChainOrderError, InvalidArgument, MissingExtra, StoreUnavailable
from cortex_rx.events import Chunked, Ended, Opened, Problem, Remembered
from cortex_rx.models.options import STREAMING_OPTIONS
from cortex_rx.models.records import ChunkMetadata, ContentChunk
from cortex_rx.models.turn import Turn
from cortex_rx.testing import run_virtual

MS = timedelta(milliseconds=1)
TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
MOST = 60
WORDS = [f"Sentence {at} is here. " for at in range(40)]
TEXT = "".join(WORDS)


def storing(store, most=MOST, **finalize):
    cut = cx.chunk("sentence", size=50, max_length=most)
    return cx.chain(
        cx.begin(store),
        cut,
        cx.persist_partial(store, 500 * MS),
        cx.finalize(store, max_single_memory_size=most, **finalize),
    )


def slowly(texts=WORDS, pause=0.1):
    return [part for text in texts for part in (text, pause)]


async def stored(lab, stream="stream-1") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The answer and its chunks, as they are in the store."""
    found = await lab.stream(stream)
    answer = await lab.ask("memories:get", memoryId=found["memoryId"])
    return answer, [await lab.ask("memories:get", memoryId=one) for one in answer.get("chunkIds", [])]


def test_a_long_answer_is_stored_in_chunks_and_reads_back_whole(lab):
    async def main():
        outcome = await lab.play(lab.source(*slowly()), storing(lab.store))
        return outcome, await stored(lab), await lab.contents(), await lab.ask("memories:search", query="sentence 7")

    outcome, (answer, chunks), memories, found = lab.run(main, thorough=True)
    assert outcome.error is None and outcome.codes == []
    assert answer["content"] == TEXT and memories[1] == ("agent", TEXT) and len(memories) == 2
    contents = [chunk["content"] for chunk in chunks]
    assert "".join(contents) == TEXT and 1 < len(contents) == answer["chunkCount"]
    assert contents == [event.chunk.content for event in outcome.of(Chunked)]
    assert all(len(content) <= MOST and content.startswith("Sentence ") for content in contents)
    assert found[0]["content"] == next(content for content in contents if "Sentence 7 " in content)
    remembered = outcome.one(Remembered).memories
    assert [memory.chunk_count for memory in remembered] == [None, len(contents)]
    assert lab.in_the_file("memories:count", includeChunks=True) == 2 + len(contents)


def test_an_answer_that_is_one_memory_is_not_in_chunks(lab):
    text = "Two sentences. Here they are; just sixty code points, in all."[:MOST]
    assert len(text) == MOST

    async def main():
        return await lab.play(lab.source(text), storing(lab.store)), await stored(lab)

    outcome, (answer, chunks) = lab.run(main)
    assert outcome.codes == [] and (answer["content"], chunks) == (text, [])
    assert "chunks" not in lab.store.of("finalize")[0].args


def test_a_new_attempt_is_cut_anew(lab):
    async def main():
        first, second = lab.deltas(*WORDS[:20]), lab.deltas(*WORDS[20:], attempt=1)
        source = lab.events(lab.opened, 0.1, *first, 1.0, *second, lab.ended("".join(WORDS[20:])))
        return await lab.play(source, storing(lab.store)), await stored(lab)

    outcome, (answer, chunks) = lab.run(main)
    assert outcome.codes == []
    assert "".join(chunk["content"] for chunk in chunks) == answer["content"] == "".join(WORDS[20:])


def test_an_overlap_is_kept_and_said(lab):
    async def main():
        chain = cx.chain(
            cx.begin(lab.store),
            cx.chunk("sentence", size=3, overlap=1, max_length=80),
            cx.finalize(lab.store, max_single_memory_size=80),
        )
        await lab.play(lab.source(*WORDS), chain)
        return await stored(lab)

    answer, chunks = lab.run(main)
    assert answer["content"] == TEXT
    assert [chunk["content"] for chunk in chunks][:2] == ["".join(WORDS[0:3]), "".join(WORDS[2:5])]
    assert [chunk["chunkMetadata"]["hasOverlap"] for chunk in chunks] == [False, *[True] * (len(chunks) - 1)]


@pytest.mark.parametrize(
    "cut",
    [cx.chunk("sentence", size=20), cx.step("skip", lambda source: source, emits=[Chunked])],
    ids=["longer chunks", "no chunks"],
)
def test_chunks_that_are_too_long_or_missing_are_a_problem_and_the_answer_is_one_memory(lab, cut):
    async def main():
        chain = cx.chain(cx.begin(lab.store), cut, cx.finalize(lab.store, max_single_memory_size=MOST))
        return await lab.play(lab.source(*WORDS), chain), await stored(lab)

    outcome, (answer, chunks) = lab.run(main)
    assert outcome.error is None and (answer["content"], chunks) == (TEXT, [])
    (problem,) = outcome.of(Problem)
    assert (problem.phase, problem.code, problem.recoverable) == ("finalization", "NOT_CHUNKED", True)
    assert "max_length=60" in problem.message


def chunk_event(start, end, index, attempt=0):
    return Chunked(
        ContentChunk(content=TEXT[start:end], chunk_index=index, start_offset=start, end_offset=end), attempt
    )


@pytest.mark.parametrize(
    "events",
    [
        [chunk_event(0, 60, 0)],
        [chunk_event(10, 60, 0), chunk_event(60, 92, 1)],
        [chunk_event(0, 40, 0), chunk_event(50, 92, 1)],
        [chunk_event(0, 40, 0), chunk_event(40, 92, 1, attempt=1)],
        [chunk_event(0, 40, 0), chunk_event(40, 93, 1)],
    ],
    ids=["the end is missing", "the start is missing", "a gap", "of another attempt", "beyond the end"],
)
def test_chunks_that_are_not_the_answer_are_not_stored(lab, events):
    async def main():
        source = lab.events(lab.opened, 0.1, *lab.deltas(TEXT[:92]), *events, lab.ended(TEXT[:92]))
        outcome = await lab.play(source, cx.begin(lab.store), cx.finalize(lab.store, max_single_memory_size=MOST))
        return outcome, await stored(lab)

    outcome, (answer, chunks) = lab.run(main)
    assert outcome.codes == ["NOT_CHUNKED"] and (answer["content"], chunks) == (TEXT[:92], [])


def test_without_chunk_before_it_the_chain_is_refused(lab):
    long = cx.finalize(lab.store, max_single_memory_size=MOST)
    source = lab.source("a")
    with pytest.raises(
        ChainOrderError, match=r"finalize needs Chunked, which nothing before it emits: put chunk\(\.\.\.\) before it"
    ):
        cx.chain(cx.begin(lab.store), long)(source)
    with pytest.raises(ChainOrderError, match="finalize belongs after chunk"):
        cx.chain(cx.begin(lab.store), long, cx.chunk("fixed"))(source)
    cx.chain(cx.begin(lab.store), cx.finalize(lab.store))(source)


@pytest.mark.parametrize("value", [31, 0, -1, True, 60.0, "60"])
def test_a_size_that_makes_no_sense(lab, value):
    with pytest.raises(InvalidArgument, match="max_single_memory_size: got .* accepted: a whole number, 32 or more"):
        cx.finalize(lab.store, max_single_memory_size=value)
    with pytest.raises(InvalidArgument, match="max_length: got .* accepted: a whole number, 32 or more"):
        cx.chunk("fixed", max_length=value)


def test_a_store_that_is_away_for_a_moment_and_a_reply_that_is_lost(lab):
    lab.store.fail("finalize", StoreUnavailable("away"))
    lab.store.fail("finalize", StoreUnavailable("reset"), reply_lost=True)

    async def main():
        outcome = await lab.play(lab.source(*slowly()), storing(lab.store))
        return outcome, await stored(lab), await lab.ask("memories:count", includeChunks=True)

    outcome, (answer, chunks), number = lab.run(main)
    assert outcome.error is None
    first, *again = lab.store.of("finalize")
    assert len(again) == 2 and all(call.args == first.args for call in again)
    assert "".join(chunk["content"] for chunk in chunks) == answer["content"] == TEXT
    assert number == 2 + len(chunks)


def test_cancelled_after_ended(lab):
    """A `finalize` that has seen the end stores the exchange, in chunks."""
    lab.store.slow("finalize", 1.0)

    async def main():
        async with FlowScheduler() as flow:
            source = lab.events(lab.opened, 0.1, *lab.deltas(*WORDS), lab.ended(TEXT), 60.0)
            flow.subscribe(source.pipe(storing(lab.store)), Observer())
            await asyncio.sleep(0.5)
        return await stored(lab)

    answer, chunks = lab.run(main)
    assert "".join(chunk["content"] for chunk in chunks) == answer["content"] == TEXT


def test_after_a_crash_the_same_exchange_is_stored_once(lab):
    """The first process dies with a part of the answer stored; the second sends the whole exchange again."""
    turn = replace(lab.turn, idempotency_key="k")

    async def main():
        task = asyncio.create_task(lab.play(lab.source(*slowly(), turn=turn), storing(lab.store)))
        await asyncio.sleep(2.3)
        task.cancel()
        await asyncio.wait({task})
        outcomes = [await lab.play(lab.source(*WORDS, turn=turn), storing(lab.store)) for _ in range(2)]
        there = await stored(lab, outcomes[0].one(Opened).stream_id)
        return outcomes, there, await lab.ask("memories:count", includeChunks=True)

    outcomes, (answer, chunks), number = lab.run(main)
    assert [outcome.one(Remembered).stored_before for outcome in outcomes] == [False, True]
    assert "".join(chunk["content"] for chunk in chunks) == answer["content"] == TEXT
    assert number == 2 + len(chunks)


PIECES = [*"ab \n.", "Dr. Who ", "One. ", "\n\n", "你好。", "👩\u200d👧", "e\u0301", "```\nx\n```\n", "x" * 90]
LINK = "https://x.y/" + "z" * 99 + " "


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from([*PIECES, LINK]), min_size=20, max_size=80).map("".join),
    st.sampled_from(["token", "sentence", "paragraph", "fixed"]),
    st.integers(1, 60), st.integers(32, 300), st.integers(1, 7),
)  # fmt: skip
def test_the_chunks_without_their_overlaps_are_the_answer(text, strategy, size, most, step):
    async def main():
        overlap = min(size - 1, 3, most // 4 - 1)
        async with SqliteBackend(":memory:") as store:
            chain = cx.chain(
                cx.begin(store),
                cx.chunk(strategy, size, overlap, max_length=most),
                cx.finalize(store, max_single_memory_size=most),
            )
            parts = [text[at : at + step] for at in range(0, len(text), step)]
            remembered = await run(from_stream(parts, turn=TURN).pipe(chain, cx.last(Remembered)))
            asked = {"memorySpaceId": "space", "memoryId": remembered.memories[1].memory_id}
            answer = await store.query("memories:get", asked)
            rows = await store.query("memories:list", {"memorySpaceId": "space", "includeChunks": True, "limit": 1000})
        chunks = [row for row in rows if "chunkMetadata" in row]
        assert answer["content"] == text and bool(chunks) == (len(text) > most)
        whole, end = "", 0
        for chunk in chunks:
            place = chunk["chunkMetadata"]
            assert chunk["content"] == text[place["startOffset"] : place["endOffset"]] and len(chunk["content"]) <= most
            whole += chunk["content"][end - place["startOffset"] :]
            end = place["endOffset"]
        assert whole == (text if chunks else "")

    if text.strip():
        run_virtual(main())


# --- embeddings -------------------------------------------------------------------------------------------------------


class Embedding:
    """An embedding function that takes its time; notes when it was asked, and how many ask at one time."""

    def __init__(self, seconds=0.0, fails=lambda text: False):
        self.seconds, self.fails = seconds, fails
        self.asked: list[tuple[float, str]] = []
        self.now = self.most = 0

    async def embed(self, text):
        self.asked.append((asyncio.get_running_loop().time(), text))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        if self.fails(text):
            raise LookupError("no such model")
        return [float(len(text)), 1.0]


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_each_chunk_has_its_embedding(lab, kind, incremental):
    embedding = Embedding()
    embed = embedding.embed if kind == "async" else lambda text: [float(len(text)), 1.0]

    async def main():
        chain = storing(lab.store, generate_embedding=embed, incremental_embeddings=incremental)
        return await lab.play(lab.source(*slowly()), chain), await stored(lab)

    outcome, (answer, chunks) = lab.run(main, thorough=True)
    assert outcome.codes == [] and answer["embedding"] == [float(len(TEXT)), 1.0]
    assert [chunk["embedding"] for chunk in chunks] == [[float(len(chunk["content"])), 1.0] for chunk in chunks]
    if kind == "async":
        assert sorted(text for _, text in embedding.asked) == sorted(
            ["What is it?", TEXT, *(chunk["content"] for chunk in chunks)]
        ), "each once"


def test_embeddings_come_after_the_end_four_at_a_time(lab):
    embedding = Embedding(1.0)

    async def main():
        chain = storing(lab.store, generate_embedding=embedding.embed)
        outcome = await lab.play(lab.source(*slowly()), chain)
        return outcome, await stored(lab)

    outcome, (_, chunks) = lab.run(main)
    (end,) = outcome.times(Ended)
    assert all(at >= end for at, _ in embedding.asked) and embedding.most == 4
    assert outcome.ended_at == pytest.approx(end + -(-(2 + len(chunks)) // 4)), "with the question and the answer"


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_function_that_takes_lists_is_asked_for_few(lab, size, incremental):
    """Never for more texts than it takes, for each text once, and for no more lists than are needed."""
    asked = []

    def embed(texts):
        asked.append(texts)
        return [(len(text), 1) for text in texts]

    async def main():
        embedder = Embedder(embed, batch_size=size)
        chain = storing(lab.store, generate_embedding=embedder, incremental_embeddings=incremental)
        return await lab.play(lab.source(*slowly()), chain), await stored(lab)

    outcome, (answer, chunks) = lab.run(main)
    assert outcome.codes == [] and answer["embedding"] == [float(len(TEXT)), 1.0]
    assert [chunk["embedding"] for chunk in chunks] == [[float(len(chunk["content"])), 1.0] for chunk in chunks]
    texts = ["What is it?", TEXT, *(chunk["content"] for chunk in chunks)]
    assert sorted(text for batch in asked for text in batch) == sorted(texts)
    assert max(map(len, asked)) <= size
    if not incremental:
        assert len(asked) == -(-len(texts) // size)


def test_a_list_that_fails_is_one_problem(lab):
    async def embed(texts):
        raise LookupError("no such model")

    async def main():
        chain = storing(lab.store, generate_embedding=Embedder(embed, batch_size=100))
        return await lab.play(lab.source(*slowly()), chain), await stored(lab)

    outcome, (answer, chunks) = lab.run(main)
    assert outcome.error is None and outcome.codes == ["LookupError"]
    assert not any("embedding" in row for row in (answer, *chunks))


def test_incremental_embeddings_come_while_the_answer_streams(lab):
    """Not before the answer is longer than one memory; no token waits."""
    embedding = Embedding(0.3)

    async def main():
        chain = storing(lab.store, generate_embedding=embedding.embed, incremental_embeddings=True)
        outcome = await lab.play(lab.source(*slowly()), chain)
        return outcome, await stored(lab)

    outcome, (_, chunks) = lab.run(main)
    (end,) = outcome.times(Ended)
    early = [text for at, text in embedding.asked if at < end]
    assert early == [chunk["content"] for chunk in chunks][: len(early)] and len(early) >= len(chunks) - 4
    assert embedding.asked[0][0] >= 0.3
    assert embedding.most <= 5, "four chunks, and the question or the answer"
    assert [round(at, 6) for at, event in outcome.seen if type(event).__name__ == "Delta"] == [
        round(0.1 * at, 6) for at in range(len(WORDS))
    ]
    assert all("embedding" in chunk for chunk in chunks)


def test_of_an_answer_that_stays_short_no_chunk_is_embedded(lab):
    embedding = Embedding()

    async def main():
        chain = storing(lab.store, most=1000, generate_embedding=embedding.embed, incremental_embeddings=True)
        cut = cx.chunk("sentence", 1, max_length=1000)
        await lab.play(lab.source(*slowly()), chain.replace("chunk", cut))

    lab.run(main)
    assert [text for _, text in embedding.asked] == ["What is it?", TEXT]


@pytest.mark.parametrize("incremental", [False, True])
def test_one_embedding_that_fails_does_not_cost_the_others(lab, incremental):
    embedding = Embedding(fails=lambda text: text.startswith(("Sentence 3 ", "Sentence 6 ")))

    async def main():
        chain = storing(lab.store, generate_embedding=embedding.embed, incremental_embeddings=incremental)
        return await lab.play(lab.source(*slowly()), chain), await stored(lab)

    outcome, (_, chunks) = lab.run(main)
    assert outcome.error is None and outcome.codes == ["LookupError"], "said once"
    without = [chunk["content"] for chunk in chunks if "embedding" not in chunk]
    assert without == [text for text in (chunk["content"] for chunk in chunks) if embedding.fails(text)] != []


def test_an_embedding_that_takes_too_long_is_said_and_no_more_are_asked_for(lab):
    asked = []

    async def embed(text):
        asked.append(text)
        await asyncio.sleep(3600 if text.startswith("Sentence") and text != TEXT else 0)
        return [1.0]

    async def main():
        outcome = await lab.play(lab.source(*WORDS), storing(lab.store, generate_embedding=embed))
        return outcome, await stored(lab)

    outcome, (answer, chunks) = lab.run(main)
    assert outcome.codes == ["TimeoutError"] and outcome.ended_at == pytest.approx(30, abs=2)
    assert len(asked) == 2 + 4 and "embedding" in answer and len(chunks) > 8
    assert not any("embedding" in chunk for chunk in chunks)


def test_one_that_calls_itself_off_is_a_problem(lab):
    async def embed(text):
        if text.startswith("Sentence") and text != TEXT:
            raise asyncio.CancelledError
        return [1.0]

    async def main():
        return await lab.play(lab.source(*WORDS), storing(lab.store, generate_embedding=embed)), await stored(lab)

    outcome, (_, chunks) = lab.run(main)
    assert outcome.error is None and outcome.codes == ["ForeignCancellation"] and chunks


@pytest.mark.parametrize("at", [1.15, 3.9, 4.05, 4.5])
def test_cancelled_while_embeddings_are_asked_for(lab, at):
    """Nothing is left running; after `Ended` the exchange is stored, in chunks, without what did not come in time."""
    embedding = Embedding(3600)

    async def main():
        chain = storing(lab.store, generate_embedding=embedding.embed, incremental_embeddings=True)
        async with FlowScheduler() as flow:
            flow.subscribe(lab.source(*slowly(), turn=lab.turn).pipe(chain), Observer())
            await asyncio.sleep(at)
        assert asyncio.get_running_loop().time() < at + 8
        found = await lab.stream()
        return found["state"], await stored(lab) if found["state"] == "finished" else None

    state, there = lab.run(main, thorough=True)
    assert embedding.now == 0
    assert (state == "finished") == (at > 4.0)
    if there:
        assert "".join(chunk["content"] for chunk in there[1]) == TEXT


def test_a_new_attempt_calls_off_what_was_asked_for_the_old_text(lab):
    embedding = Embedding(2.0)

    async def main():
        first, second = lab.deltas(*WORDS[:20]), lab.deltas(*WORDS[20:], attempt=1)
        source = lab.events(lab.opened, 0.1, *first, 1.0, *second, lab.ended("".join(WORDS[20:])))
        chain = storing(lab.store, generate_embedding=embedding.embed, incremental_embeddings=True)
        return await lab.play(source, chain), await stored(lab)

    outcome, (_, chunks) = lab.run(main)
    assert outcome.codes == []
    assert [chunk["embedding"][0] for chunk in chunks] == [float(len(chunk["content"])) for chunk in chunks]


@pytest.mark.parametrize("given", [{}, {"max_single_memory_size": 60}, {"generate_embedding": len}])
def test_incremental_embeddings_of_nothing_are_refused(lab, given):
    with pytest.raises(InvalidArgument, match="incremental_embeddings: got True; accepted: False, unless"):
        cx.finalize(lab.store, incremental_embeddings=True, **given)


# --- options ----------------------------------------------------------------------------------------------------------


def arguments(step):
    return dict(step.args)


def test_the_options_add_and_configure_the_steps():
    backend = SqliteBackend(":memory:")
    chain = default_chain(backend, {"chunkingStrategy": "paragraph", "chunkSize": 7, "maxSingleMemorySize": 4000})
    assert chain.names == ("begin", "chunk", "persist_partial", "recover", "finalize", "measure")
    assert chain["chunk"] == cx.chunk("paragraph", 7, max_length=4000)
    assert chain["finalize"] == cx.finalize(backend, max_single_memory_size=4000)
    alone = default_chain(backend, {"chunkingStrategy": "fixed"})
    assert (alone["chunk"], alone["finalize"]) == (cx.chunk("fixed"), cx.finalize(backend))
    most = default_chain(backend, {"maxSingleMemorySize": 4000, "incrementalEmbeddings": True}, generate_embedding=len)
    assert most["chunk"] == cx.chunk("sentence", 4000, max_length=4000), "as many whole sentences as fit"
    assert most["finalize"] == cx.finalize(backend, None, len, 4000, True)
    for name in ("chunking_strategy", "chunk_size", "max_single_memory_size", "incremental_embeddings"):
        effect = STREAMING_OPTIONS[name]
        assert effect.argument in arguments(chain[effect.step])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"chunk_size": 5}, "chunk_size"),
        ({"chunk_size": 5, "max_single_memory_size": 60}, "chunk_size"),
        ({"incremental_embeddings": True}, "incremental_embeddings"),
        ({"incremental_embeddings": True, "max_single_memory_size": 60}, "incremental_embeddings"),
        ({"max_single_memory_size": 31}, "max_single_memory_size"),
        ({"chunking_strategy": "lines"}, "chunking_strategy"),
        ({"chunking_strategy": "semantic"}, "generate_embedding"),
    ],
)
async def test_what_makes_no_sense_is_said_at_the_call(options, field, tmp_path):
    async with Cortex(tmp_path / "m.db") as cortex:
        with pytest.raises(InvalidArgument) as caught:
            cortex.memory.remember_stream(
                ["x"], options, memory_space_id="s", conversation_id="c", user_message="?", agent_id="a"
            )
        assert caught.value.field == field


async def test_through_the_client(tmp_path):
    async with Cortex(tmp_path / "m.db") as cortex:
        memory, exchange = cortex.memory, {"conversation_id": "c", "user_message": "?", "agent_id": "a"}
        answer = memory.remember_stream(list(WORDS), {"maxSingleMemorySize": 100}, memory_space_id="s", **exchange)
        result = await answer
        assert result.full_response == TEXT and result.memories[1].chunk_count == 10
        whole = await memory.get("s", result.memories[1].memory_id)
        assert whole is not None and whole.content == TEXT and len(whole.chunk_ids or ()) == 10
        (found,) = await memory.search("s", "39", {"limit": 1})
        assert found.memory_id == (whole.chunk_ids or ())[-1]
        assert found.chunk_metadata == ChunkMetadata(
            parent_memory_id=whole.memory_id, chunk_index=9, total_chunks=10,
            start_offset=len(TEXT) - len(found.content), end_offset=len(TEXT), has_overlap=False,
        )  # fmt: skip
        assert (await memory.count("s"), await memory.count("s", include_chunks=True)) == (2, 12)
        assert [one.content for one in await memory.list("s")] == [TEXT, "?"]
        assert "".join(one.content for one in (await memory.list("s", include_chunks=True))[1:-1]) == TEXT
        with pytest.raises(InvalidArgument, match=f"accepted: {whole.memory_id}, its answer"):
            await memory.delete("s", found.memory_id)
        await memory.delete("s", whole.memory_id)
        assert await memory.search("s", "39") == [] and await memory.count("s", include_chunks=True) == 1


def test_without_the_extra_the_call_says_so(lab, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "cortex_rx.chunking":
            raise ImportError("no regex")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtra, match="chunk needs the extra 'chunk'"):
        default_chain(lab.store, {"max_single_memory_size": 4000})
    assert default_chain(lab.store).names == ("begin", "persist_partial", "recover", "finalize", "measure")
