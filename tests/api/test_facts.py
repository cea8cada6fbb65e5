"""`cortex.facts`: Cortex's twelve methods, on a real store."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import Cortex, Embedder, SqliteBackend
from cortex_rx.api._graph import GraphNotKept
from cortex_rx.api.facts import FactsAPI
from cortex_rx.errors import (
    EmbeddingMismatch,
    FactNotFound,
    FactRetracted,
    IdempotencyConflict,
    InvalidArgument,
    StoreUnavailable,
    UnsupportedOption,
)
from cortex_rx.models.facts import (
    FactRecord,
    FactUpdate,
    ListFactsFilter,
    StoreFactOptions,
    StoreFactParams,
    UpdateFactOptions,
)

HOME: dict[str, Any] = {
    "memory_space_id": "s",
    "subject": "Ada",
    "predicate": "lives_in",
    "fact_type": "identity",
    "confidence": 90,
}
YEAR = 1_700_000_000_000


@pytest.fixture
async def cortex(tmp_path: Path) -> AsyncIterator[Cortex]:
    times = count(YEAR // 1000)
    async with SqliteBackend(tmp_path / "memory.db", clock=lambda: float(next(times))) as backend:
        yield Cortex(backend)


async def lives(cortex: Cortex, place: str, **more: Any) -> FactRecord:
    return await cortex.facts.store(HOME, fact=f"Ada lives in {place}.", object=place, **more)


async def test_a_fact_is_stored_as_cortex_takes_it(cortex: Cortex) -> None:
    given = StoreFactParams(**HOME, fact="Ada lives in Rome.", object="Rome", source_ref={"conversationId": "c"})
    stored = await cortex.facts.store(given)
    assert (stored.fact, stored.confidence, stored.source_type, stored.version) == (
        "Ada lives in Rome.",
        90,
        "manual",
        1,
    )
    assert stored.source_ref is not None and stored.source_ref.conversation_id == "c"
    assert stored["factType"] == "identity"
    assert await cortex.facts.get("s", stored.fact_id) == stored
    assert await cortex.facts.get("other", stored.fact_id) is None


async def test_lists_counts_and_searches_take_the_same_filters(cortex: Cortex) -> None:
    rome, porto = await lives(cortex, "Rome", user_id="ada"), await lives(cortex, "Porto", user_id="bob")
    facts = cortex.facts
    assert await facts.list(memory_space_id="s") == [rome, porto]
    assert await facts.list({"memorySpaceId": "s", "userId": "bob"}) == [porto]
    assert await facts.list(ListFactsFilter(memory_space_id="s", limit=1, offset=1)) == [porto]
    assert await facts.count({"memorySpaceId": "s", "userId": "ada"}) == 1
    (found,) = await facts.search("s", "rome")
    assert found.fact_id == rome.fact_id and found.score is not None and 0 < found.score <= 1
    assert await facts.search("s", "rome", {"userId": "bob"}) == []
    assert await facts.query_by_subject(memory_space_id="s", subject="Ada", user_id="ada") == [rome]
    about = {"memorySpaceId": "s", "subject": "Ada", "predicate": "livesIn"}
    assert await facts.query_by_relationship(about, user_id="bob") == [porto]
    assert await facts.list(memory_space_id="other") == await facts.search("other", "rome") == []


async def test_a_belief_is_revised_and_asked_as_of_a_time_and_as_known_at_a_time(cortex: Cortex) -> None:
    before = datetime(2020, 1, 1, tzinfo=UTC)
    rome = await lives(cortex, "Rome", valid_from=before)
    lisbon = await lives(cortex, "Lisbon")
    assert lisbon.supersedes == rome.fact_id
    facts = cortex.facts
    assert [one.object for one in await facts.list(memory_space_id="s")] == ["Lisbon"]
    assert [one.object for one in await facts.list(memory_space_id="s", include_superseded=True)] == ["Rome", "Lisbon"]
    assert [one.object for one in await facts.list(memory_space_id="s", as_of=before)] == ["Rome"]
    assert [one.object for one in await facts.list(memory_space_id="s", as_of=YEAR - 1)] == ["Rome"]
    assert rome.known_from is not None
    then = await facts.list(memory_space_id="s", known_at=int(rome.known_from))
    assert then == [rome]
    assert [one.object for one in await facts.get_history("s", rome.fact_id)] == ["Rome", "Lisbon"]
    kept = await lives(cortex, "Faro", belief_revision=False)
    assert kept.supersedes is None
    assert await facts.count(memory_space_id="s") == 2


async def test_a_fact_is_corrected_and_retracted(cortex: Cortex) -> None:
    first = await lives(cortex, "Rmoe", user_id="ada")
    fixed = await cortex.facts.update("s", first.fact_id, {"fact": "Ada lives in Rome."}, object="Rome")
    assert (fixed.version, fixed.user_id, fixed.supersedes) == (2, "ada", first.fact_id)
    with pytest.raises(FactRetracted) as caught:
        await cortex.facts.update("s", first.fact_id, FactUpdate(confidence=1))
    assert caught.value.corrected_by == fixed.fact_id
    deleted = await cortex.facts.delete("s", fixed.fact_id)
    assert deleted.deleted and deleted.fact_id == fixed.fact_id
    assert await cortex.facts.list(memory_space_id="s") == []
    gone = await cortex.facts.get("s", fixed.fact_id)
    assert gone is not None and gone.closed == "wrong"
    for call in (cortex.facts.update("s", "nowhere", confidence=1), cortex.facts.delete("s", "nowhere")):
        with pytest.raises(FactNotFound):
            await call


async def test_facts_are_consolidated_and_exported(cortex: Cortex) -> None:
    kept = await lives(cortex, "Rome")
    other = await cortex.facts.store(memory_space_id="s", fact="Rome is her home.", fact_type="custom", confidence=50)
    merged = await cortex.facts.consolidate("s", [kept.fact_id, other.fact_id, "nowhere"], kept.fact_id)
    assert (merged.kept_fact_id, merged.merged_count) == (kept.fact_id, 1)
    exported = await cortex.facts.export("s")
    assert exported.count == 1
    assert json.loads(exported.data)[0]["confidence"] == 70
    assert (await cortex.facts.export("s", "csv", "custom")).count == 0
    with pytest.raises(InvalidArgument, match="keep_fact_id"):
        await cortex.facts.consolidate("s", [other.fact_id], kept.fact_id)


async def test_a_fact_with_an_id_is_stored_once(cortex: Cortex) -> None:
    first = await lives(cortex, "Rome", fact_id="mine")
    assert await lives(cortex, "Rome", fact_id="mine") == first
    with pytest.raises(IdempotencyConflict):
        await lives(cortex, "Porto", fact_id="mine")


async def test_a_fact_whose_answer_was_lost_is_stored_once(tmp_path: Path) -> None:
    class LosesAnAnswer(SqliteBackend):
        lost = 0

        async def mutation(self, path: str, args: Any) -> Any:
            result = await super().mutation(path, args)
            if path == "facts:store" and not self.lost:
                self.lost += 1
                raise StoreUnavailable("the answer was lost")
            return result

    async with LosesAnAnswer(tmp_path / "memory.db") as backend:
        stored = await FactsAPI(backend).store(HOME, fact="Ada lives in Rome.", object="Rome", deduplication="none")
        assert await FactsAPI(backend).list(memory_space_id="s") == [stored]
        assert backend.lost == 1


async def test_the_client_embeds_a_fact_and_a_failure_costs_only_the_vector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def embed(text: str) -> list[float]:
        asked.append(text)
        if len(asked) > 1:
            raise RuntimeError(text)
        return [1.0, 0.5]

    async with SqliteBackend(tmp_path / "memory.db") as backend:
        cortex = Cortex(backend, generate_embedding=Embedder(embed, model="m"))
        await lives(cortex, "Rome")
        with caplog.at_level(logging.WARNING):
            await lives(cortex, "Porto")
        assert asked == ["Ada lives in Rome.", "Ada lives in Porto."]
        assert await cortex.facts.count(memory_space_id="s") == 1
        assert caplog.messages == ["a fact is stored without an embedding: RuntimeError"]
    with closing(sqlite3.connect(tmp_path / "memory.db")) as db:
        named = "SELECT body, model FROM statement_vectors JOIN statements ON seq = statement"
        assert db.execute(named).fetchall() == [("Ada lives in Rome.", "m")]


async def test_a_store_that_refuses_a_vector_gets_the_fact_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that the client made; one that was given is an error of the caller."""

    class OfAnotherModel(SqliteBackend):
        async def mutation(self, path: str, args: Any) -> Any:
            if "embedding" in args:
                raise EmbeddingMismatch("other", 2, "m", 1)
            return await super().mutation(path, args)

    async with OfAnotherModel(tmp_path / "memory.db") as backend:
        cortex = Cortex(backend, generate_embedding=Embedder(lambda text: [1.0], model="m"))
        fact = await lives(cortex, "Rome")
        assert await cortex.facts.list(memory_space_id="s") == [fact]
        assert caplog.messages == ["a fact is stored without an embedding: EmbeddingMismatch"]
        with pytest.raises(EmbeddingMismatch):
            await lives(cortex, "Porto", embedding=[1.0])


@pytest.mark.parametrize(
    ("method", "args", "field"),
    [
        ("store", {"memory_space_id": "s", "fact": "x", "fact_type": "event"}, "confidence"),
        ("store", {**HOME, "fact": "x", "deduplication": "fuzzy"}, "deduplication"),
        ("list", {}, "memory_space_id"),
        ("list", {"memory_space_id": "s", "limit": -1}, "limit"),
        ("list", {"memory_space_id": "s", "sort_by": "age"}, "sort_by"),
        ("list", {"memory_space_id": "s", "as_of": datetime(2026, 1, 1)}, "as_of"),
        ("count", {"memory_space_id": "s", "limit": 1}, "CountFactsFilter"),
        ("search", {"memory_space_id": "s", "query": 7}, "query"),
        ("query_by_subject", {"memory_space_id": "s"}, "subject"),
        ("query_by_relationship", {"memory_space_id": "s", "subject": "Ada"}, "predicate"),
        ("get", {"memory_space_id": "s", "fact_id": ""}, "fact_id"),
        ("update", {"memory_space_id": "s", "fact_id": "f", "version": 2}, "FactUpdate"),
        ("export", {"memory_space_id": "s", "format": "xml"}, "format"),
        ("export", {"memory_space_id": "s", "fact_type": "rumour"}, "fact_type"),
        ("consolidate", {"memory_space_id": "s", "fact_ids": "f", "keep_fact_id": "f"}, "fact_ids"),
    ],
)
async def test_wrong_arguments_are_named_before_the_store_is_asked(method: str, args: Any, field: str) -> None:
    class Untouched:
        async def query(self, path: str, args: Any) -> Any:
            raise AssertionError(path)

        mutation = query

        async def close(self) -> None: ...

    with pytest.raises(InvalidArgument) as caught:
        await getattr(FactsAPI(Untouched()), method)(**args)
    assert caught.value.field == field


async def test_that_no_graph_is_kept_is_said_and_the_call_is_done(cortex: Cortex) -> None:
    """Its options stand last, as in Cortex, or are keywords or a mapping."""
    with pytest.warns(GraphNotKept):
        kept = await lives(cortex, "Rome", sync_to_graph=True)
    with pytest.warns(GraphNotKept):
        changed = await cortex.facts.update(
            HOME["memory_space_id"], kept.fact_id, {"confidence": 20}, UpdateFactOptions(True)
        )
    with pytest.warns(GraphNotKept):
        await cortex.facts.delete(HOME["memory_space_id"], changed.fact_id, {"syncToGraph": True})
    assert await cortex.facts.list(memory_space_id=HOME["memory_space_id"]) == []
    said = HOME | {"fact": "Ada lives in Lisbon.", "object": "Lisbon"}
    assert await cortex.facts.store(said, StoreFactOptions())  # without a word: a warning is an error here


@pytest.mark.parametrize("format", ["json", "jsonld", "csv"])
async def test_an_export_in_pieces_is_the_same_text(cortex: Cortex, format: Any) -> None:
    for number in range(0, 130, 65):  # nothing, then more than a page
        for one in range(number):
            await cortex.facts.store(HOME, fact=f'=Says "{one}",\nor so', deduplication="none")
        whole = await cortex.facts.export(HOME["memory_space_id"], format)
        pieces = [piece async for piece in cortex.facts.stream_export(HOME["memory_space_id"], format)]
        assert "".join(pieces) == whole.data
        assert len(pieces) == whole.count + 2


async def test_all_facts_are_read_page_by_page(cortex: Cortex) -> None:
    stored = [await cortex.facts.store(HOME, fact=f"Says {one}.", deduplication="none") for one in range(5)]
    for size in (1, 2, 100):
        assert [fact async for fact in cortex.facts.iterate(HOME, page_size=size)] == stored
    assert [fact async for fact in cortex.facts.iterate(memory_space_id="other")] == []
    with pytest.raises(InvalidArgument, match=r"^page_size: got 0"):
        cortex.facts.iterate(HOME, page_size=0)
    with pytest.raises(UnsupportedOption, match=r"^known_at: got 7"):
        cortex.facts.iterate(memory_space_id="other", known_at=7)
