"""memories:search by words and embeddings: strategies, weights, and why a memory was found."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_rx.backends.sqlite import ranking
from cortex_rx.errors import EmbeddingMismatch, InvalidArgument

SAID = {
    "the zebra runs": [1.0, 0.0, 0.0],
    "a striped horse": [0.9, 0.1, 0.0],
    "zebra and okapi": [0.0, 1.0, 0.0],
    "fine weather": [0.0, 0.0, 1.0],
}


@pytest.fixture
async def told(store: Any) -> Any:
    for number, (text, embedding) in enumerate(SAID.items()):
        await keep(store, text, embedding, conversation=f"c{number}")
    return store


async def keep(
    store: Any, text: str, embedding: list[float] | None = None, conversation: str = "c", **more: Any
) -> str:
    args = {"memorySpaceId": "s", "content": text, "sourceType": "conversation", "contentType": "raw"}
    args |= {"conversationRef": {"conversationId": conversation, "messageIds": []}, "importance": 50, "tags": []}
    vector = {} if embedding is None else {"embedding": embedding, "embeddingModel": "m"}
    row = await store.backend.mutation("memories:store", {**args, **vector, **more})
    return row["memoryId"]


async def scores(store: Any, query: str, **more: Any) -> dict[str, float]:
    return {row["content"]: row["_score"] for row in await store.search(query, **more)}


async def test_a_score_is_the_weighted_share_of_the_best_of_each(told: Any) -> None:
    embedding = [1.0, 0.2, 0.0]
    by_words = await scores(told, "zebra", strategy="keyword", embedding=embedding)
    by_vector = await scores(told, "zebra", strategy="semantic", embedding=embedding)
    assert by_words == await scores(told, "zebra") and set(by_words) == {"the zebra runs", "zebra and okapi"}
    assert list(by_vector) == ["a striped horse", "the zebra runs", "zebra and okapi"]
    for alpha in (None, 0.0, 0.25, 1.0):
        weight = ranking.ALPHA if alpha is None else alpha
        more = {} if alpha is None else {"alpha": alpha}
        fused = await scores(told, "zebra", embedding=embedding, **more)
        best_word, best_vector = max(by_words.values()), max(by_vector.values())
        expected = {
            text: (1 - weight) * by_words.get(text, 0) / best_word + weight * by_vector.get(text, 0) / best_vector
            for text in {*by_words, *by_vector}
        }
        assert fused == pytest.approx({text: score for text, score in expected.items() if score}, rel=1e-5)
        assert list(fused.values()) == sorted(fused.values(), reverse=True)


async def test_neighbours_count_in_both(store: Any) -> None:
    await keep(store, "zebra", [1.0, 0.0])
    await keep(store, "over the hill", [0.0, 1.0])
    more = {"embedding": [1.0, 0.0], "neighbours": True}
    for strategy in ("keyword", "semantic", "auto"):
        assert list(await scores(store, "zebra", strategy=strategy, **more)) == ["zebra", "over the hill"]
    assert list(await scores(store, "zebra", embedding=[1.0, 0.0])) == ["zebra"]


async def test_what_one_arm_alone_finds(told: Any) -> None:
    """Without words, or without vectors, the other arm ranks alone: with its own scores."""
    embedding = [1.0, 0.0, 0.0]
    assert await scores(told, "unheard", embedding=embedding) == await scores(
        told, "unheard", embedding=embedding, strategy="semantic"
    )
    assert await scores(told, "zebra", embedding=embedding, userId="nobody") == {}
    await told.exchange("?", "zebra", "st", memorySpaceId="t")
    space = {"memorySpaceId": "t"}
    assert await scores(told, "zebra", embedding=embedding, **space) == await scores(told, "zebra", **space) != {}
    assert await scores(told, "zebra", embedding=embedding, strategy="semantic", **space) == {}


async def test_filters_pages_and_the_least_score_act_on_the_fused_ranks(told: Any) -> None:
    embedding = [1.0, 0.0, 0.0]
    whole = await told.search("zebra", embedding=embedding)
    pages = [await told.search("zebra", embedding=embedding, limit=1, offset=at) for at in range(4)]
    assert [row for page in pages for row in page] == whole
    least = whole[1]["_score"]
    assert await told.search("zebra", embedding=embedding, minScore=least) == whole[:2]
    only = await told.search("zebra", embedding=embedding, conversationId="c1")
    assert [row["content"] for row in only] == ["a striped horse"]


async def test_another_model_is_refused_by_name_and_a_missing_embedding_too(told: Any) -> None:
    with pytest.raises(EmbeddingMismatch, match="other"):
        await told.search("zebra", embedding=[1.0, 0.0, 0.0], embeddingModel="other")
    with pytest.raises(EmbeddingMismatch):
        await told.search("zebra", embedding=[1.0])
    assert await told.search("zebra", embedding=[1.0], strategy="keyword")
    with pytest.raises(InvalidArgument) as caught:
        await told.search("zebra", strategy="semantic")
    assert caught.value.field == "embedding"


async def test_each_row_says_why_it_is_there(store: Any) -> None:
    zebra = await keep(store, "zebras and zebra", [1.0, 0.0])
    hill = await keep(store, "over the hill", [0.6, 0.8])
    okapi = await keep(store, "okapi zebra", [0.0, 1.0], conversation="d")
    by_words = await store.search("okapi zebra", neighbours=True, explain=True)
    assert "_why" not in (await store.search("zebra"))[0]
    why = {row["memoryId"]: row["_why"] for row in by_words}
    assert [term["term"] for term in why[zebra]["terms"]] == ["zebra"] and "vector" not in why[zebra]
    assert why[zebra]["talk"]["memoryId"] == zebra and "neighbour" not in why[zebra]["terms"][0]
    assert why[hill]["terms"][0]["neighbour"] == {"memoryId": zebra, "distance": 1}
    assert why[okapi]["pairs"] > 0 and {term["term"] for term in why[okapi]["terms"]} == {"okapi", "zebra"}
    fused = await store.search("okapi zebra", neighbours=True, explain=True, embedding=[1.0, 0.0])
    for row in (*by_words, *fused):
        found = row["_why"]
        parts = [term["share"] for term in found["terms"]] + [found.get("pairs", 0)]
        assert sum(parts) + found["talk"]["share"] == pytest.approx(found["text"])
        assert found["text"] + found.get("vector", {"share": 0})["share"] == pytest.approx(1)
    vector = {row["memoryId"]: row["_why"]["vector"] for row in fused}
    assert vector[hill]["similarity"] == pytest.approx(0.6)
    assert vector[hill]["neighbour"] == {"memoryId": zebra, "distance": 1}


async def test_a_chunk_says_which_chunk_or_turn_counts(store: Any) -> None:
    await store.begin("st", "where is the okapi?")
    text = "the zebra\nnothing\n"
    done = await store.finalize(text, "st", chunks=[{"start": 0, "end": 10}, {"start": 10, "end": 18}])
    chunks = (await store.get(done["memories"][1]["memoryId"]))["chunkIds"]
    question = done["memories"][0]["memoryId"]

    async def neighbours(query: str) -> dict[str, Any]:
        rows = await store.search(query, neighbours=True, explain=True)
        return {row["memoryId"]: row["_why"]["terms"][0].get("neighbour") for row in rows}

    first = {"memoryId": chunks[0], "distance": 1}
    assert await neighbours("zebra") == {chunks[0]: None, chunks[1]: first, question: first}
    asked = {"memoryId": question, "distance": 1}
    assert await neighbours("okapi") == {question: None, chunks[0]: asked, chunks[1]: asked}
