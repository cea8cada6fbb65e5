"""memories:search: the order and the scores, which depend only on the memory space."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from cortex_rx.backends.sqlite import tokenizer


async def test_the_best_comes_first_and_each_once(store: Any) -> None:
    both = "apple " + "filler " * 5000 + "banana"  # in different pieces
    await store.exchange("q1", "apple apple apple apple", "one")
    await store.exchange("q2", both, "two")
    await store.exchange("q3", "banana split", "three")
    found = await store.search("banana apple cherry")
    assert sorted(row["content"][:12] for row in found) == ["apple apple ", "apple filler", "banana split"]
    scores = [row["_score"] for row in found]
    assert scores == sorted(scores, reverse=True) and 0 < scores[-1] < scores[0] < 1
    # Of those that have the same words, the one that is more about them is first.
    await store.exchange("q4", "banana banana banana", "four")
    assert (await store.found("banana"))[0] == "banana banana banana"


async def test_a_rare_word_counts_more_than_two_that_most_memories_have(store: Any) -> None:
    for number in range(20):
        await store.exchange("?", f"tea and cake {number}", f"st{number}")
    await store.exchange("?", "the okapi", "rare")
    assert (await store.found("tea cake okapi"))[0] == "the okapi"


async def test_of_equal_memories_the_newest_comes_first(store: Any) -> None:
    for number in range(5):
        await store.exchange("?", "the same zebra", f"st{number}", conversationId=f"c{number % 2}")
    for neighbours in (False, True):
        found = await store.search("zebra", neighbours=neighbours, limit=3)
        listed = await store.list(limit=6)
        newest = [row["memoryId"] for row in listed if row["content"] == "the same zebra"]
        assert [row["memoryId"] for row in found] == newest, neighbours


async def test_nothing_in_another_space_changes_a_score_or_an_order(store: Any) -> None:
    said = [
        "merger",
        "the merger with Acme",
        "the weather with rain",
        "merger merger of the",
        "京都の天気",
        "東京と京都と京都",
    ]
    for number, text in enumerate(said):
        await store.exchange(f"about {number}", text, f"st{number}")
    await store.begin("open")
    await store.append(0, "the merger of an answer " * 300, "open")
    await store.append(7200, "the rain", "open")
    queries = ("merger", "merger weather", "the rain of", "京都", "京都の天気", "about merger 2")

    async def results() -> list[list[tuple[str, float]]]:
        return [
            [(row["memoryId"], row["_score"]) for row in await store.search(query, includePartial=partial, **more)]
            for query in queries
            for partial in (False, True)
            for more in ({}, {"neighbours": True}, {"neighbours": True, "limit": 3})
        ]

    before = await results()
    assert all(before) and all(0 < score < 1 for found in before for _, score in found)
    for number in range(300):
        text = f"merger {number} 京都 " * (1 + 40 * (number % 7)) if number % 2 else "rain"
        await store.exchange("the weather", text, f"st{number}", memorySpaceId="t")
        if number % 100 == 0:
            assert await results() == before
    assert await results() == before
    for row in await store.list(memorySpaceId="t", limit=50):
        await store.delete(row["memoryId"], memorySpaceId="t")
    assert await results() == before
    await store.backend.compact()
    assert await results() == before


async def test_the_rank_is_bm25_of_the_space(store: Any) -> None:
    """Against the formula, with what is counted here by hand."""
    chooser = random.Random(7)
    said = [" ".join(chooser.choices("ant bee cow 京都 don't".split(), k=chooser.randint(1, 60))) for _ in range(40)]
    for number, text in enumerate(said):
        await store.exchange("?", text, f"st{number}")
        await store.exchange("ant", "bee " * number * 20, f"st{number}", memorySpaceId="t")
    parts = [tokenizer.index_text(text).split() for text in said]
    docs, mean = 80, sum(map(len, parts)) / 80  # the questions are rows too, without words
    for query, phrase in (("bee", ["bee"]), ("京都", ["京", "都"]), ("don't", ["don", "t"])):
        times = [sum(part[at : at + len(phrase)] == phrase for at in range(len(part))) for part in parts]
        hits = sum(map(bool, times))
        rarity = math.log(1 + (docs - hits + 0.5) / (hits + 0.5))
        perfect = rarity * 1.9
        expected = {}
        for text, part, number in zip(said, parts, times, strict=True):
            if number:
                weight = rarity * number * 1.9 / (number + 0.9 * (1 - 0.4 + 0.4 * len(part) / mean))
                expected[text] = weight / perfect
        found = {row["content"]: row["_score"] for row in await store.search(query, limit=100)}
        assert found == pytest.approx(expected)
        assert list(found) == sorted(found, key=found.__getitem__, reverse=True)


async def test_what_a_space_has_in_the_index_is_counted(store: Any) -> None:
    first = await store.exchange("one two", "three " * 3000, "st")
    await store.exchange("four", "five", "st", memorySpaceId="t")
    counted = "SELECT name, docs, size FROM spaces ORDER BY id"
    (all_docs, all_words), (docs, size) = (row[1:] for row in store.sql(counted)[:2])
    assert (all_docs, all_words) == (docs + 2, size + 2) and size == 3002 and docs > 4
    for memory in first["memories"]:
        await store.delete(memory["memoryId"])
    assert store.sql(counted) == [("", 2, 2), ("s", 0, 0), ("t", 2, 2)]
    await store.exchange("six", "seven", "st2")
    assert await store.found("six seven") == ["seven", "six"] and await store.found("three") == []


async def test_a_number_is_not_taken_for_a_space(store: Any) -> None:
    for number in range(1, 13):
        await store.exchange("q", f"{number} ¦ 1¦zebra {number}¦zebra", "st", memorySpaceId=f"space-{number}")
    for number in (1, 2, 11, 12):
        for query in ("1¦zebra", "zebra", f"{number}¦", '"1¦zebra"', "1|zebra"):
            found = await store.search(query, memorySpaceId=f"space-{number}")
            assert [row["content"] for row in found] == [f"{number} ¦ 1¦zebra {number}¦zebra"], query
    assert await store.search("zebra", memorySpaceId="space-13") == []


async def test_nothing_in_another_space_changes_what_embeddings_and_words_find_together(store: Any) -> None:
    """Neither ranks, scores and reasons, nor the candidates of either: also where only one of them has any."""

    async def keep(space: str, number: int, text: str) -> None:
        await store.backend.mutation(
            "memories:store",
            {
                "memorySpaceId": space,
                "content": text,
                "contentType": "raw",
                "sourceType": "system",
                "importance": 50,
                "tags": [],
                "memoryId": f"{space}{number}",
                "userId": "ada",
                "embedding": [math.sin(number * index) for index in range(1, 6)],
                "conversationRef": {"conversationId": f"c{number % 3}", "messageIds": []},
            },
        )

    for number in range(24):
        await keep("s", number, f"the merger {number} of {'rain' if number % 5 else 'snow'}")

    async def results() -> list[Any]:
        found: list[Any] = []
        for query, number in (("merger rain", 7), ("snow", 40), ("nothing of it", 3), ("rain", 0)):
            vector = [math.sin(number * index) for index in range(1, 6)]
            for strategy in ("auto", "semantic", "keyword"):
                for neighbours in (True, False):
                    given = {"strategy": strategy, "neighbours": neighbours, "embedding": vector, "limit": 8}
                    rows = await store.search(query, explain=True, **given)
                    found.append([(row["memoryId"], row["_score"], row["_why"]) for row in rows])
        return found

    before = await results()
    assert sum(map(len, before)) > 80 and all(0 < score <= 1 for rows in before for _, score, _ in rows)
    for number in range(40):
        await keep("t", number, "merger of snow and rain " * (1 + number % 4))
        if number == 20:
            assert await results() == before
    assert await results() == before
    for number in range(0, 40, 2):
        await store.delete(f"t{number}", memorySpaceId="t")
    assert await results() == before
