"""`finalize` where the store has embeddings of another model: the exchange is stored, once, without its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from cortex_rx import Embedder, Spool, from_stream
from cortex_rx import operators as cx
from cortex_rx.errors import InvalidArgument, NotStored, StoreUnavailable
from cortex_rx.events import Problem, Remembered

TEXT = "".join(f"Sentence {number} is here. " for number in range(12))
ANSWER = [("user", "What is it?"), ("agent", TEXT)]


def embedder(model, numbers=2):
    return Embedder(lambda texts: [[float(len(text))] * numbers for text in texts], model=model, batch_size=5)


def chain(store, model, numbers=2, spool=None):
    """A chain that stores the answer in chunks, with embeddings of this model."""
    embed = embedder(model, numbers)
    return cx.chain(
        cx.begin(store),
        cx.chunk("sentence", 1, max_length=60),
        cx.persist_partial(store, timedelta(milliseconds=500), spool=spool),
        cx.finalize(store, max_single_memory_size=60, generate_embedding=embed, spool=spool),
    )


def rows(lab):
    """Every memory and chunk of the file, by role and content, with the length of its embedding."""
    found = lab.in_the_file("memories:list", includeChunks=True, limit=1000)
    return sorted((row["messageRole"], row["content"], len(row.get("embedding", ()))) for row in found)


def expected(numbers, count=1):
    sentences = [f"Sentence {number} is here. " for number in range(12)]
    return sorted(
        (role, text, numbers) for role, text in [*ANSWER, *(("agent", sentence) for sentence in sentences)] * count
    )


async def first(lab, model, numbers=2):
    """Another exchange, which decides on the model of the store."""
    other = from_stream(lambda: [TEXT], turn=lab.turn, make_id=lambda: "stream-0")
    outcome = await lab.play(other, chain(lab.store, model, numbers))
    assert outcome.codes == []


def test_the_model_travels_with_the_embeddings(lab):
    async def main():
        return await lab.play(lab.source(TEXT), chain(lab.store, "first"))

    assert lab.run(main).codes == []
    assert [call.args["embeddingModel"] for call in lab.store.of("finalize")] == ["first"]
    assert rows(lab) == expected(2)


@pytest.mark.parametrize("generate", [lambda text: None, lambda text: 1 / 0], ids=["none", "an error"])
def test_without_an_embedding_there_is_no_model(lab, generate):
    async def main():
        given = Embedder(generate, model="first")
        finalize = cx.finalize(lab.store, generate_embedding=given)
        return await lab.play(lab.source(TEXT), cx.chain(cx.begin(lab.store), finalize))

    assert lab.run(main).error is None
    assert "embeddingModel" not in lab.store.of("finalize")[0].args


@pytest.mark.parametrize(("model", "numbers"), [("other", 2), ("first", 3), ("other", 3)])
def test_embeddings_of_another_model_are_a_problem_and_the_exchange_is_stored_without(lab, model, numbers):
    async def main():
        await first(lab, "first")
        return await lab.play(lab.source(TEXT), chain(lab.store, model, numbers))

    outcome = lab.run(main)
    problem = outcome.one(Problem)
    assert (outcome.error, problem.phase, problem.code, problem.recoverable) == (
        None,
        "finalization",
        "EMBEDDING_MISMATCH",
        True,
    )
    assert all(word in problem.message for word in ("first", model, "2", str(numbers)))
    assert [memory.content for memory in outcome.one(Remembered).memories] == ["What is it?", TEXT]
    assert rows(lab) == sorted(expected(2) + expected(0))
    refused, taken = lab.store.of("finalize")[1:]
    assert set(refused.args) - set(taken.args) == {"userEmbedding", "agentEmbedding", "embeddingModel"}


@pytest.mark.parametrize("reply_lost", [False, True], ids=["away", "the reply is lost"])
def test_a_store_that_is_away_between_the_refusal_and_the_second_call(lab, reply_lost):
    async def main():
        await first(lab, "first")
        lab.store.fail("finalize", *([] if reply_lost else [None]), StoreUnavailable("away"), reply_lost=reply_lost)
        return await lab.play(lab.source(TEXT), chain(lab.store, "other"))

    outcome = lab.run(main)
    assert (outcome.error, outcome.codes) == (None, ["EMBEDDING_MISMATCH", "STORE_UNAVAILABLE"])
    assert rows(lab) == sorted(expected(2) + expected(0))


def test_a_store_whose_model_changes_after_a_lost_reply_has_the_exchange_already(lab):
    """The exchange is stored with embeddings; when it is sent again they would be refused."""

    async def moved(call):
        if call.number:
            return
        with closing(sqlite3.connect(lab.path)) as db, db:
            db.execute("UPDATE embedders SET name = 'another'")
        raise StoreUnavailable("reset")

    async def main():
        lab.store.rule("finalize", after=moved)
        return await lab.play(lab.source(TEXT), chain(lab.store, "first"))

    outcome = lab.run(main)
    assert (outcome.error, outcome.codes) == (None, ["STORE_UNAVAILABLE"])
    assert outcome.one(Remembered).stored_before
    assert rows(lab) == expected(2)


@pytest.mark.parametrize("field", ["embeddingModel", "userEmbedding[0]", "chunks[3].embedding"])
def test_a_store_that_knows_no_such_embeddings(lab, field):
    lab.store.fail("finalize", InvalidArgument(field, "an unknown argument", "streamId"))

    async def main():
        return await lab.play(lab.source(TEXT), chain(lab.store, "first"))

    outcome = lab.run(main)
    assert (outcome.error, outcome.codes) == (None, ["INVALID_INPUT"])
    assert rows(lab) == expected(0)


def test_another_argument_that_is_refused_is_not_about_embeddings(lab):
    lab.store.fail("finalize", InvalidArgument("reason", "an unknown argument", "streamId"))

    async def main():
        return await lab.play(lab.source(TEXT), chain(lab.store, "first"))

    assert isinstance(lab.run(main).error, NotStored)
    assert len(lab.store.of("finalize")) == 1


def test_what_the_spool_kept_is_delivered_without_embeddings_when_the_model_has_changed(lab, tmp_path, caplog):
    spool = Spool(tmp_path / "spool.db")

    async def main():
        lab.store.fail("finalize", *[StoreUnavailable("away")] * 100)
        outcome = await lab.play(lab.source(TEXT), chain(lab.store, "old", spool=spool))
        lab.store.before.clear()
        await first(lab, "new")
        return outcome, await spool.drain(lab.store), await spool.drain(lab.store)

    outcome, report, again = lab.run(main)
    assert isinstance(outcome.error, NotStored) and outcome.error.spooled is not None
    assert [entry.stream_id for entry in report.delivered] == ["stream-1"]
    assert (report.dead, report.left, report.error) == ((), 0, None)
    assert again.delivered == ()
    assert rows(lab) == sorted(expected(2) + expected(0))
    assert "delivered without embeddings: EmbeddingMismatch" in caplog.text
    assert "Sentence" not in caplog.text


def test_what_the_spool_kept_is_delivered_with_its_embeddings(lab, tmp_path):
    spool = Spool(tmp_path / "spool.db")

    async def main():
        lab.store.fail("finalize", *[StoreUnavailable("away")] * 100)
        await lab.play(lab.source(TEXT), chain(lab.store, "first", spool=spool))
        lab.store.before.clear()
        return await spool.drain(lab.store)

    assert len(lab.run(main).delivered) == 1
    assert rows(lab) == expected(2)
