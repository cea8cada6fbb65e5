"""memories:search with neighbours: the first k are those of all memories, counted here one by one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from itertools import accumulate, pairwise
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.backends.sqlite import ranking, tokenizer
from cortex_rx.backends.sqlite.functions.search import TextArm
from cortex_rx.backends.sqlite.language import language_of

ENGLISH = language_of("english")
WORDS = ["zebra", "okapi", "lion", "lions", "walk", "walked", "the"]


def all_scores(stored: list[dict[str, Any]], query: str, *, neighbours: bool) -> list[tuple[float, int, int, str]]:
    """What a search should find, best first: the score, place and id of each. `stored`: all memories of the space in
    their order; each has `parts`, its texts."""
    terms = tokenizer.query_terms(query, ENGLISH)
    documents = [tokenizer.index_words(part, ENGLISH) for memory in stored for part in memory["parts"]]
    lists = [(term.stems, "stems", 1.0) for term in terms]
    lists += [(term.surface, "surfaces", ranking.SURFACE) for term in terms if term.surface]
    mean = max(sum(len(one.stems) for one in documents), 1) / max(len(documents), 1)
    rarity = {}
    for word, kind, share in lists:
        hits = sum(word in getattr(one, kind) for one in documents)
        rarity[word, kind] = share * math.log(1 + (len(documents) - hits + 0.5) / (hits + 0.5))
    perfect = sum(rarity.values()) * (ranking.K1 + 1)

    def own(text: str) -> float:
        words = tokenizer.index_words(text, ENGLISH)
        total = 0.0
        for word, kind, _ in lists:
            times = getattr(words, kind).count(word)
            slow = ranking.K1 * (1 - ranking.B + ranking.B * len(words.stems) / mean)
            total += rarity[word, kind] * times * (ranking.K1 + 1) / (times + slow)
        return total / perfect

    found = []
    for at, memory in enumerate(stored):
        talk = [
            (place, max(map(own, each["parts"])))
            for place, each in enumerate(stored)
            if each["visible"] and each["conversation"] == memory["conversation"] is not None or each is memory
        ]
        here = [place for place, _ in talk].index(at)
        near = [
            ranking.NEAR[abs(there - here) - 1] * score
            for there, (_, score) in enumerate(talk)
            if 0 < abs(there - here) <= len(ranking.NEAR)
        ]
        around = max(score for there, (_, score) in enumerate(talk) if abs(there - here) <= ranking.SPAN)
        for part, text in enumerate(memory["parts"]):
            siblings = [
                ranking.NEAR[abs(part - other) - 1] * own(sibling)
                for other, sibling in enumerate(memory["parts"])
                if 0 < abs(part - other) <= len(ranking.NEAR)
            ]
            beside = max([*near, *siblings], default=0.0)
            score = own(text)
            if neighbours:
                score = (score + beside + ranking.AROUND * around) / (1 + ranking.NEAR[0] + ranking.AROUND)
            if memory["visible"] and memory["wanted"] and (own(text) or (beside and neighbours)):
                found.append((score, at, -part, memory["ids"][part]))
    return sorted(found, reverse=True)


TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
MEMORY = st.fixed_dictionaries(
    {
        "parts": st.one_of(TEXT.map(lambda text: [text]), st.lists(TEXT, min_size=2, max_size=4)),
        "conversation": st.sampled_from(["c", "d", None]),
        "user": st.sampled_from(["ada", "bob"]),
        "tag": st.sampled_from(["x", "y"]),
        "kept": st.sampled_from([True, True, True, False]),
    }
)


async def fill(store: Any, memories: list[dict[str, Any]], space: str) -> list[dict[str, Any]]:
    """Store memories, and delete those that are not kept. One in chunks is the answer of an exchange, whose question
    has no word. Returns what is left, in its order."""
    left: list[dict[str, Any]] = []
    for number, memory in enumerate(memories):
        user, tags, conversation = memory["user"], [memory["tag"]], memory["conversation"]
        if len(memory["parts"]) == 1:
            args = {"memorySpaceId": space, "content": memory["parts"][0], "sourceType": "system", "tags": tags}
            args |= {"importance": 50, "userId": user, "contentType": "raw"}
            ref = {"conversationRef": {"conversationId": conversation, "messageIds": []}} if conversation else {}
            ids = [(await store.backend.mutation("memories:store", args | ref))["memoryId"]]
            stored = [(memory, ids)]
        else:
            memory = {**memory, "conversation": conversation or "c"}
            about = {"conversationId": memory["conversation"], "userId": user, "tags": tags, "memorySpaceId": space}
            await store.begin(f"st{number}", "?", **about)
            ends = list(accumulate(len(part) + 1 for part in memory["parts"]))
            chunks = [{"start": start, "end": end} for start, end in pairwise([0, *ends])]
            text = "".join(f"{part}\n" for part in memory["parts"])
            done = await store.finalize(text, f"st{number}", chunks=chunks, memorySpaceId=space)
            question, answer = (row["memoryId"] for row in done["memories"])
            whole = await store.get(answer, memorySpaceId=space)
            stored = [({**memory, "parts": ["?"]}, [question]), (memory, whole["chunkIds"])]
            ids = [answer]
        if memory["kept"]:
            left += [{**each, "ids": of_parts} for each, of_parts in stored]
        else:
            await store.delete(ids[0], memorySpaceId=space)
            left += [{**each, "ids": of_parts} for each, of_parts in stored[:-1]]
    return left


@settings(max_examples=examples(40), deadline=None)
@given(
    memories=st.lists(MEMORY, max_size=14),
    query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join),
    limit=st.integers(1, 8),
    user=st.sampled_from([None, "ada"]),
    tag=st.sampled_from([None, "x"]),
    conversation=st.sampled_from([None, None, "d"]),
)
def test_the_first_are_those_of_all_memories(
    make_store: Any,
    memories: list[dict[str, Any]],
    query: str,
    limit: int,
    user: str | None,
    tag: str | None,
    conversation: str | None,
) -> None:
    async def run() -> None:
        store = make_store(":memory:")
        await fill(store, memories, "other")
        left = await fill(store, memories[::-1], "s")
        for memory in left:
            memory["visible"] = user in (None, memory["user"])
            memory["wanted"] = tag in (None, memory["tag"]) and conversation in (None, memory["conversation"])
        args = {"userId": user, "tags": tag and [tag], "conversationId": conversation}
        given = {name: value for name, value in args.items() if value is not None}
        for neighbours in (True, False):
            expected = all_scores(left, query, neighbours=neighbours)
            found = await store.search(query, neighbours=neighbours, limit=limit, **given)
            assert [row["_score"] for row in found] == pytest.approx([one[0] for one in expected[:limit]])
            scores = {id: score for score, _, _, id in expected}
            assert all(row["_score"] == pytest.approx(scores[row["memoryId"]]) for row in found)
            assert len({row["memoryId"] for row in found}) == len(found)
            more = await store.search(query, neighbours=neighbours, limit=100, offset=limit, **given)
            assert sorted(row["memoryId"] for row in [*found, *more]) == sorted(scores)
        await store.backend.close()

    asyncio.run(run())


async def say(store: Any, *said: str, conversation: str = "c", **more: Any) -> None:
    for text in said:
        args = {"memorySpaceId": "s", "content": text, "sourceType": "conversation", "importance": 50, "tags": []}
        ref = {"conversationRef": {"conversationId": conversation, "messageIds": []}, "contentType": "raw"}
        await store.backend.mutation("memories:store", {**args, **ref, **more})


async def test_a_turn_is_found_by_the_turns_around_it(store: Any) -> None:
    await say(store, "Where did the zebra go?", "Over the hill.", "So be it.")
    await say(store, "Far away.", conversation="d")
    assert await store.found("zebra") == ["Where did the zebra go?"]
    found = await store.search("zebra", neighbours=True)
    assert [row["content"] for row in found] == ["Where did the zebra go?", "Over the hill.", "So be it."]
    scores = [row["_score"] for row in found]
    assert 1 > scores[0] > scores[1] > scores[2] > 0


@pytest.fixture
async def quick(make_store: Any) -> AsyncIterator[Any]:
    store = make_store(":memory:")
    yield store
    await store.backend.close()


async def test_the_first_of_a_long_conversation_are_those_of_all_its_memories(quick: Any) -> None:
    """Beyond one window, and beyond the memories that are visited first."""
    said = [f"{'zebra ' * (number % 7 == 0)}{'walk ' * (number % 3)}number{number}" for number in range(150)]
    await say(quick, *said)
    left = [{"parts": [text], "conversation": "c", "visible": True, "wanted": True, "ids": [text]} for text in said]
    expected = all_scores(left, "zebra walk", neighbours=True)
    for limit in (1, 5, 120):
        found = await quick.search("zebra walk", neighbours=True, limit=limit)
        assert [row["_score"] for row in found] == pytest.approx([one[0] for one in expected[:limit]])


async def test_what_cannot_be_among_the_first_is_not_visited(quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[int] = []
    visit = TextArm._visit

    def counted(self: TextArm, texts: list[int], floor: float) -> None:
        visited.extend(texts)
        visit(self, texts, floor)

    monkeypatch.setattr(TextArm, "_visit", counted)
    await say(quick, *(f"zebra {'filler ' * 30}{number}" for number in range(200)))
    for number in range(3):
        await say(quick, "zebra", "zebra", conversation=f"d{number}")
    found = await quick.search("zebra", neighbours=True, limit=3)
    assert {row["content"] for row in found} == {"zebra"} and len(visited) == 64
    await quick.search("zebra", neighbours=True, limit=300)
    assert len(visited) == 64 + 206
