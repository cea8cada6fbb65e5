"""Searches whose query is embedded: once, for a limited time, and never at the cost of the search."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from cortex_rx import Cortex, Embedder, SqliteBackend, recalling
from cortex_rx.backends.sqlite import vectors
from cortex_rx.errors import EmbeddingMismatch, InvalidArgument, MissingExtra
from cortex_rx.recollection import recall
from cortex_rx.testing import run_virtual, wall

TEXTS = {"The dog sleeps.": [1.0, 0.0], "A puppy is asleep.": [0.9, 0.1], "Tax is due in May.": [0.0, 1.0]}
SECRET = "hound"


class Counting:
    """An embedder's function that knows a synonym; it counts its calls."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.seconds, self.error = seconds, error
        self.asked: list[str] = []
        self.running = 0

    async def __call__(self, text: str) -> list[float]:
        self.asked.append(text)
        self.running += 1
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.running -= 1
        if self.error:
            raise self.error
        return TEXTS.get(text, [1.0, 0.05])


async def fill(cortex: Cortex) -> None:
    for text, vector in TEXTS.items():
        await cortex.memory.store("s", text, embedding=vector, embedding_model="animals")


def found(memories: Any) -> list[str]:
    return [memory.content for memory in memories]


NEAREST = ["The dog sleeps.", "A puppy is asleep.", "Tax is due in May."]


async def test_the_query_is_embedded_by_the_client_or_by_the_call_once() -> None:
    mine, other = Counting(), Counting()
    async with Cortex(":memory:", generate_embedding=mine, embedding_model="animals") as cortex:
        await fill(cortex)
        search = cortex.memory.search
        assert found(await search("s", SECRET)) == NEAREST[:2] + NEAREST[2:]
        assert found(await search("s", SECRET, generate_embedding=other)) == NEAREST
        assert (mine.asked, other.asked) == ([SECRET], [SECRET])
        assert found(await search("s", SECRET, embedding=[0.0, 1.0], limit=1)) == ["Tax is due in May."]
        assert found(await search("s", SECRET, strategy="keyword")) == []
        assert found(await search("s", "puppy", {"strategy": "keyword"}, neighbours=False)) == ["A puppy is asleep."]
        assert await search("s", " ", limit=1) == []
        assert (mine.asked, other.asked) == ([SECRET], [SECRET]), "they were given, or not asked for"
        recalled = await cortex.memory.recall("s", SECRET, limit=1, turns=0)
        assert [one.memory.content for one in recalled.memories] == NEAREST[:1]
        own = await recall(cortex.backend, "s", SECRET, limit=1, turns=0, generate_embedding=other)
        assert [one.memory.content for one in own.memories] == NEAREST[:1]
        assert (mine.asked, other.asked) == ([SECRET] * 2, [SECRET] * 2)


async def test_without_an_embedder_words_are_searched() -> None:
    async with Cortex(":memory:") as cortex:
        await fill(cortex)
        assert found(await cortex.memory.search("s", SECRET)) == []
        with pytest.raises(InvalidArgument, match="embedding"):
            await cortex.memory.search("s", SECRET, strategy="semantic")


WRONG = {
    "it fails": (Counting(error=LookupError(f"no {SECRET}")), "animals", LookupError),
    "it is slow": (Counting(3600.0), "animals", TimeoutError),
    "it returns no vector": (lambda text: [SECRET], "animals", InvalidArgument),
    "it is of another model": (lambda text: [1.0, 0.0], "plants", EmbeddingMismatch),
    "it is of another dimension": (lambda text: [1.0], "animals", EmbeddingMismatch),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_embedder_that_fails_costs_the_vectors_and_not_the_search(case: str, caplog: Any) -> None:
    function, model, error = WRONG[case]

    async def main() -> float:
        async with Cortex(SqliteBackend(":memory:", clock=wall)) as cortex:
            await fill(cortex)
            given = {"generate_embedding": function, "embedding_model": model, "neighbours": False}
            before = asyncio.get_running_loop().time()
            assert found(await cortex.memory.search("s", "puppy", **given)) == ["A puppy is asleep."]
            took = asyncio.get_running_loop().time() - before
            assert error.__name__ in caplog.text and SECRET not in caplog.text
            with pytest.raises(error):
                await cortex.memory.search("s", "puppy", strategy="semantic", **given)
            recalled = await cortex.memory.recall("s", "puppy", turns=0, **given)
            assert [one.memory.content for one in recalled.memories] == ["A puppy is asleep."]
            await cortex.backend.close()
            return took

    assert run_virtual(main()) == (2.0 if case == "it is slow" else 0.0)
    assert not isinstance(function, Counting) or function.running == 0, "nothing is left running"


def test_the_time_limit_is_the_embedder_s() -> None:
    async def main() -> float:
        async with Cortex(SqliteBackend(":memory:", clock=wall)) as cortex:
            await fill(cortex)
            slow = Embedder(Counting(3600.0), "animals", query_timeout=timedelta(milliseconds=30))
            before = asyncio.get_running_loop().time()
            await cortex.memory.search("s", "puppy", generate_embedding=slow)
            took = asyncio.get_running_loop().time() - before
            await cortex.backend.close()
            return took

    assert run_virtual(main()) == 0.03


async def test_an_embedding_that_is_given_and_does_not_fit_is_an_error() -> None:
    async with Cortex(":memory:") as cortex:
        await fill(cortex)
        with pytest.raises(EmbeddingMismatch, match="animals"):
            await cortex.memory.search("s", "puppy", embedding=[1.0, 0.0], embedding_model="plants")


async def test_without_numpy_words_are_searched(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def missing(*args: Any) -> None:
        raise MissingExtra("a search by embedding", "semantic")

    monkeypatch.setattr(vectors, "arm", missing)
    async with Cortex(":memory:", generate_embedding=Counting(), embedding_model="animals") as cortex:
        await fill(cortex)
        assert found(await cortex.memory.search("s", "puppy", neighbours=False)) == ["A puppy is asleep."]
        assert "MissingExtra" in caplog.text
        with pytest.raises(MissingExtra):
            await cortex.memory.search("s", "puppy", embedding=[1.0, 0.0])


async def test_while_a_store_is_moved_searches_with_the_next_model_go_by_words() -> None:
    """Until the last memory has its vector; with the model that the store has they go on as before."""
    old, new = Embedder(Counting(), "animals"), Embedder(lambda text: [1.0, 0.0, 0.0], "next", 3)
    async with Cortex(":memory:", generate_embedding=old) as cortex:
        await fill(cortex)
        seen = []

        async def look(progress: object) -> None:
            by_old = await cortex.memory.search("s", SECRET)
            by_new = await cortex.memory.search("s", "puppy", generate_embedding=new, neighbours=False)
            seen.append((found(by_old), found(by_new)))

        await cortex.memory.reembed(new, batch_size=1, on_progress=look)
        assert seen == [(NEAREST, ["A puppy is asleep."])] * 3
        assert len(await cortex.memory.search("s", SECRET)) == 3


def test_a_source_that_recalls_embeds_for_half_of_its_time_limit() -> None:
    """So a slow embedder costs the vectors, and not the recall."""

    async def main() -> tuple[list[str], float]:
        async with SqliteBackend(":memory:", clock=wall) as backend:
            cortex = Cortex(backend)
            await fill(cortex)
            asked = []

            def model(recalled: Any) -> list[str]:
                asked.append(asyncio.get_running_loop().time())
                return [item.text for item in recalled.context]

            given = {"generate_embedding": slow, "embedding_model": "animals", "turns": 0}
            source = recalling(backend, model, time_limit=timedelta(seconds=1), **given)
            turn = {"memory_space_id": "s", "conversation_id": "c", "user_message": "puppy?", "agent_id": "a"}
            answer = cortex.memory.remember_stream(source, **turn)
            shown = [text async for text in answer]
            return shown, asked[0]

    slow = Counting(3600.0)
    shown, at = run_virtual(main())
    assert ("A puppy is asleep." in shown, at, slow.running) == (True, 0.5, 0)
