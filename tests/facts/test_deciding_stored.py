"""Deciders and the store: about which facts they are asked, and what their word does there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cortex_rx.backends import SqliteBackend
from cortex_rx.beliefs import Decision
from cortex_rx.facts.deciding import MOST_CANDIDATES, with_decisions
from cortex_rx.models.facts import ExtractedFact, FactRecord

SCOPE = {"memorySpaceId": "s", "userId": "ada"}


def fact(text: str, *triple: str, **more: Any) -> dict[str, Any]:
    named = dict(zip(("subject", "predicate", "object"), triple, strict=False))
    return {"fact": text, "factType": "custom", "confidence": 60, "tags": [], **named, **more}


TEA = fact("Ada likes tea.", "ada", "likes", "tea")
GREEN = fact("Ada likes green tea.", "ada", "likes", "green tea")
ROME = fact("Ada lives in Rome.", "ada", "lives_in", "Rome")
PARIS = fact("Ada lives in Paris.", "ada", "lives_in", "Paris")


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with SqliteBackend(":memory:") as backend:
        yield Store(backend)


class Store:
    def __init__(self, backend: SqliteBackend) -> None:
        self.backend = backend
        self.asked: list[tuple[str, list[str]]] = []

    async def say(self, said: dict[str, Any], message: int = 1, **more: Any) -> dict[str, Any]:
        source = {"conversationId": "c", "messageIds": [f"m-{message}"]}
        given = {**SCOPE, "sourceType": "conversation", "sourceRef": source, **said, **more}
        return dict(await self.backend.mutation("facts:store", given))

    async def decided(self, decision: Any, *facts: dict[str, Any], **scope: Any) -> list[dict[str, Any]]:
        def decider(new: ExtractedFact, known: list[FactRecord]) -> Any:
            self.asked.append((new.fact, [one.fact for one in known]))
            assert all(one.memory_space_id == "s" and one.user_id == "ada" for one in known)
            assert [one.score for one in known] == sorted((one.score for one in known), reverse=True)
            return decision

        return await with_decisions(decider, self.backend, facts, {**SCOPE, **scope})

    async def held(self, **more: Any) -> dict[str, dict[str, Any]]:
        rows = await self.backend.query("facts:list", {"memorySpaceId": "s", **more})
        return {row["fact"]: row for row in rows}


async def test_it_is_asked_about_what_is_like_a_known_fact_and_not_the_same(store: Store) -> None:
    await store.say(TEA)
    again = fact("Ada does like tea!", "ada", "likes", "tea")
    other = fact("Zebras run.", "zebras", "do", "run")
    assert await store.decided(None, again, other, GREEN) == [again, other, GREEN]
    assert store.asked == [(GREEN["fact"], [TEA["fact"]])]


async def test_it_is_asked_about_what_would_end_another(store: Store) -> None:
    await store.say(ROME)
    await store.decided(None, PARIS)
    assert store.asked == [(PARIS["fact"], [ROME["fact"]])]


async def test_it_is_shown_facts_of_the_same_user_in_the_same_space_only(store: Store) -> None:
    await store.say(TEA, userId="bob")
    await store.say(TEA, memorySpaceId="t")
    await store.decided(None, GREEN)
    assert store.asked == []


async def test_it_is_shown_no_more_than_it_can_read(store: Store) -> None:
    for at in range(3 * MOST_CANDIDATES):
        await store.say(fact(f"Ada likes tea number {at}.", "ada", "likes", f"tea number {at}"))
    await store.decided(None, GREEN)
    ((_, known),) = store.asked
    assert len(known) == MOST_CANDIDATES


async def test_what_it_says_is_done(store: Store) -> None:
    tea = await store.say(TEA)
    (same,) = await store.decided(Decision("NONE", tea["factId"]), GREEN)
    joined = await store.say(same, 2)
    assert (joined["factId"], joined["fact"]) == (tea["factId"], TEA["fact"])
    assert [source["messageIds"] for source in joined["sources"]] == [["m-1"], ["m-2"]]
    assert joined["confidence"] > tea["confidence"]

    herbal = fact("Ada likes herbal tea.", "ada", "likes", "herbal tea")
    (rewritten,) = await store.decided({"action": "UPDATE", "factId": tea["factId"]}, herbal)
    assert (await store.say(rewritten, 3))["factId"] == tea["factId"]
    assert set(await store.held()) == {herbal["fact"]}

    mint = fact("Ada likes mint tea.", "ada", "likes", "mint tea")
    (ending,) = await store.decided(Decision("SUPERSEDE", tea["factId"]), mint)
    ended = await store.say(ending, 4)
    assert ended["supersedes"] == tea["factId"] and set(await store.held()) == {mint["fact"]}
    assert (await store.held(includeSuperseded=True))[herbal["fact"]]["closed"] == "changed"

    await store.say(ROME, 5)
    (added,) = await store.decided(Decision("ADD"), PARIS)
    await store.say(added, 6)
    assert {ROME["fact"], PARIS["fact"]} <= set(await store.held()), "two homes, because it says so"
