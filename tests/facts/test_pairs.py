"""Pairs that look alike and say something else are never one fact, whatever the strategy; how many paraphrases are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from cortex_rx.backends import SqliteBackend
from cortex_rx.beliefs.normal import STRATEGIES

Pair = tuple[dict[str, str], dict[str, str]]

ROWS = [json.loads(line) for line in (Path(__file__).parent / "data" / "pairs.jsonl").read_text("utf-8").splitlines()]
APART: list[Pair] = [tuple(row["pair"]) for row in ROWS if row["kind"] != "paraphrase"]
SAME: list[Pair] = [tuple(row["pair"]) for row in ROWS if row["kind"] == "paraphrase"]
READ = ("polarity", "tense")
"""What the store reads from the sentence where the extractor does not say it."""


@pytest.fixture
async def backend() -> AsyncIterator[SqliteBackend]:
    async with SqliteBackend(":memory:") as backend:
        yield backend


async def stored(backend: SqliteBackend, pair: Pair, space: str, strategy: str, **more: Any) -> list[dict[str, Any]]:
    """The facts that the two statements of two messages make, as they are once both are stored."""
    given = {"factType": "knowledge", "confidence": 80, "tags": [], "sourceType": "manual", "deduplication": strategy}
    ids: dict[str, None] = {}
    for number, fact in enumerate(pair):
        source = {"sourceRef": {"messageIds": [f"message {number}"]}}
        made = await backend.mutation("facts:store", {"memorySpaceId": space, **given, **fact, **source, **more})
        ids[made["factId"]] = None
    return [await backend.query("facts:get", {"memorySpaceId": space, "factId": one}) for one in ids]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("says", [READ, ()], ids=["the extractor says it", "the store reads it"])
async def test_no_minimal_pair_is_merged(backend: SqliteBackend, strategy: str, says: tuple[str, ...]) -> None:
    # Their embeddings are equal: similarity only nominates.
    alike = {"embedding": [0.6, 0.8], "embeddingModel": "equal"}
    for number, pair in enumerate(APART):
        one, other = ({name: text for name, text in fact.items() if name in says or name not in READ} for fact in pair)
        both = (one, other) if number % 2 else (other, one)
        facts = await stored(backend, both, f"space {number}", strategy, **alike)
        assert [fact["fact"] for fact in facts] == [fact["fact"] for fact in both]
        assert [len(fact["sources"]) for fact in facts] == [1, 1], pair


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_same_statement_again_is_merged_by_each_strategy_but_none(
    backend: SqliteBackend, strategy: str
) -> None:
    for number, (_, fact) in enumerate(APART[::3]):
        facts = await stored(backend, (fact, fact), f"space {number}", strategy)
        assert [len(one["sources"]) for one in facts] == ([1, 1] if strategy == "none" else [2]), fact


async def test_how_many_paraphrases_are_merged(backend: SqliteBackend, snapshot: SnapshotAssertion) -> None:
    merged = {
        strategy: [
            f"{pair[0]['fact']} | {pair[1]['fact']}"
            for number, pair in enumerate(SAME)
            if len(await stored(backend, pair, f"{strategy} {number}", strategy)) == 1
        ]
        for strategy in STRATEGIES
    }
    assert merged["none"] == []
    assert set(merged["exact"]) <= set(merged["structural"]) == set(merged["semantic"])
    assert {strategy: f"{len(pairs)} of {len(SAME)}" for strategy, pairs in merged.items()} == snapshot(name="how many")
    assert merged["structural"] == snapshot(name="which, by structural and semantic")
