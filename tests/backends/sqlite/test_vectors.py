"""Vectors and the models that made them: which are taken, where they lie, and what is left of a deleted one."""

from __future__ import annotations

import pickle
from array import array
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.errors import EmbeddingMismatch


async def exchange(store: Any, stream: str, *vectors: list[float] | None, model: str | None = None, **more: Any) -> Any:
    """An exchange whose question and answer have these embeddings."""
    await store.begin(stream)
    given = {name: vector for name, vector in zip(("userEmbedding", "agentEmbedding"), vectors) if vector is not None}
    named = {} if model is None else {"embeddingModel": model}
    return await store.finalize("Because", stream, **given, **named, **more)


def embedders(store: Any) -> list[tuple[str, int, str]]:
    return store.sql("SELECT name, dimension, state FROM embedders ORDER BY id")


@pytest.mark.parametrize(
    ("model", "vector", "said"),
    [
        ("other", [0.0, 1.0], "the model 'mini' with 2 numbers, the given one is of the model 'other' with 2"),
        ("mini", [1.0, 2.0, 3.0], "the model 'mini' with 2 numbers, the given one is of the model 'mini' with 3"),
        (None, [1.0], "the model 'mini' with 2 numbers, the given one is of a model without a name with 1"),
    ],
)
async def test_an_embedding_of_another_model_is_refused_by_name(
    store: Any, model: str | None, vector: list[float], said: str
) -> None:
    await exchange(store, "st", [1.0, 2.0], model="mini")
    await store.begin("st2")
    before = store.tables()
    named = {} if model is None else {"embeddingModel": model}
    for more in (
        {"agentEmbedding": vector},
        {"userEmbedding": vector},
        {"chunks": [{"start": 0, "end": 3}, {"start": 3, "end": 7, "embedding": vector}]},
    ):
        with pytest.raises(EmbeddingMismatch, match=said) as caught:
            await store.finalize("Because", "st2", **more, **named)
        assert store.tables() == before, "all or nothing"
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.given_dimension == len(vector)
    await store.finalize("Because", "st2")
    assert [row.get("embedding") for row in await store.list()] == [None, None, None, [1.0, 2.0]]


async def test_the_first_name_names_the_model_of_a_file_that_does_not_know_it(store: Any) -> None:
    await exchange(store, "a", [1.0, 2.0])
    assert embedders(store) == [("", 2, "current")]
    await exchange(store, "b", None, [1.0, 2.0], model="mini")
    await exchange(store, "c", [0.0, 2.0])
    assert embedders(store) == [("mini", 2, "current")]
    with pytest.raises(EmbeddingMismatch):
        await exchange(store, "d", [1.0, 2.0], model="maxi")


async def test_a_move_that_was_given_up_names_no_model(store: Any) -> None:
    await exchange(store, "a", [1.0, 2.0])
    for model in ("mini", "maxi"):
        await store.backend.mutation("memories:reembed", {"model": model, "dimension": 2})
    before = embedders(store)
    with pytest.raises(EmbeddingMismatch, match="a model without a name with 2 numbers, .* 'mini' with 2"):
        await exchange(store, "b", [1.0, 2.0], model="mini")
    assert embedders(store) == before
    await store.finalize("Because", "b")


async def test_a_file_without_vectors_takes_any_model(store: Any) -> None:
    stored = await exchange(store, "a", [1.0, 2.0], model="mini")
    with pytest.raises(EmbeddingMismatch):
        await exchange(store, "b", [1.0], model="maxi")
    await store.delete(stored["memories"][0]["memoryId"])
    await store.finalize("Because", "b", userEmbedding=[1.0], embeddingModel="maxi")
    assert embedders(store) == [("maxi", 1, "current")]


async def test_while_a_file_is_moved_both_models_are_taken_and_no_third_one(store: Any) -> None:
    await exchange(store, "a", [1.0, 2.0], model="mini")
    store.backend._writer.execute("INSERT INTO embedders (name, dimension, state) VALUES ('maxi', 3, 'next')")
    await exchange(store, "b", [1.0, 2.0, 3.0], [4.0, 5.0, 6.0], model="maxi")
    await exchange(store, "c", [0.0, 2.0], model="mini")
    await exchange(store, "d", [1.0, 2.0, 3.0])  # nobody else has three numbers
    with pytest.raises(EmbeddingMismatch):
        await exchange(store, "e", [1.0, 2.0, 3.0], model="mini")
    found = store.sql(
        "SELECT name, count(*) FROM vectors JOIN embedders ON embedders.id = embedder GROUP BY name ORDER BY name"
    )
    assert found == [("maxi", 3), ("mini", 2)]


async def test_a_row_has_the_vector_of_the_current_model(store: Any) -> None:
    (question, _) = (await exchange(store, "a", [1.0, 2.0], model="mini"))["memories"]
    writer = store.backend._writer
    writer.execute("INSERT INTO embedders (id, name, dimension, state) VALUES (7, 'maxi', 1, 'next')")
    writer.execute("INSERT INTO vectors SELECT memory, part, 7, space, ? FROM vectors", (array("d", [9]).tobytes(),))
    assert (await store.get(question["memoryId"]))["embedding"] == [1.0, 2.0]
    writer.execute("UPDATE embedders SET state = 'dropped' WHERE id <> 7")
    writer.execute("UPDATE embedders SET state = 'current' WHERE id = 7")
    assert (await store.get(question["memoryId"]))["embedding"] == [9.0]


async def test_a_deleted_memory_leaves_nothing_of_its_vectors_in_the_file(store: Any, tmp_path: Path) -> None:
    vectors = [[1.0 + number / 1000 + index / 7e9 for index in range(300)] for number in range(4)]
    cuts = [{"start": 0, "end": 3}, {"start": 2, "end": 7, "embedding": vectors[2]}]
    stored = await exchange(store, "a", vectors[0], vectors[1], chunks=cuts)
    await exchange(store, "b", vectors[3])
    for row in stored["memories"]:
        await store.delete(row["memoryId"])
    assert store.sql("SELECT memory, part, vector FROM vectors") == [(3, -1, array("d", vectors[3]).tobytes())]
    await store.backend.compact()
    await store.backend.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for vector, there in zip(vectors, (False, False, False, True)):
        whole = array("d", vector).tobytes()
        pieces = [whole[start : start + 64] for start in range(0, len(whole) - 64, 64)]
        assert any(piece in content for piece in pieces) == there


async def test_a_question_that_is_asked_and_embedded_again_has_its_new_vector_alone(store: Any) -> None:
    await store.begin("st")
    await store.call("close", epoch=1, outcome="empty")
    assert "embedding" not in (await store.list())[0]
    await store.begin("st")
    await store.finalize("Because", epoch=2, attempt=1, userEmbedding=[1.0, 2.0], reason="incomplete")
    await store.begin("st", completes=True)
    await store.finalize("Therefore", epoch=3, attempt=2, userEmbedding=[3.0, 4.0], agentEmbedding=[5.0, 6.0])
    assert [row["embedding"] for row in await store.list()] == [[5.0, 6.0], [3.0, 4.0]]
    assert store.sql("SELECT count(*) FROM vectors") == [(2,)]


async def test_each_change_of_a_space_has_a_higher_number_and_a_memory_has_one(store: Any) -> None:
    """Also after deletions, and whatever is stored in another space."""

    def log() -> dict[int, tuple[int, int]]:
        return {memory: (space, number) for space, number, memory in store.sql("SELECT * FROM vector_changes")}

    stored = await exchange(store, "a", [1.0], [2.0])
    await store.begin("b", memorySpaceId="t")
    await store.finalize("Because", "b", memorySpaceId="t", agentEmbedding=[3.0])
    assert log() == {1: (1, 1), 2: (1, 2), 4: (2, 1)}
    await exchange(store, "c")
    assert len(log()) == 3, "nothing is written for memories without vectors"
    for row in reversed(stored["memories"]):
        before = log()
        await store.delete(row["memoryId"])
        ((memory, (space, number)),) = log().items() - before.items()
        assert space == 1 and number > max(number for space, number in before.values() if space == 1)
        assert log().keys() == before.keys()
