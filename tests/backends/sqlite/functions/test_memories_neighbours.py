"""memories:search with neighbours: the first k are those of all memories, counted here one by one."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Iterable
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
    mean = max(sum(len(one.stems) for one in documents), 1) / max(len(documents), 1)
    share = ranking.SHARE if neighbours else 0.0

    def times(words: Any, kind: str, sought: str) -> int:
        if kind == "pair":
            return int(f" {sought} " in f" {' '.join(words.stems)} ")
        return int(getattr(words, kind).count(sought))

    def rarity(kind: str, sought: str) -> float:
        hits = sum(times(one, kind, sought) > 0 for one in documents)
        return 0.0 if kind == "pair" and not hits else math.log(1 + (len(documents) - hits + 0.5) / (hits + 0.5))

    def own(text: str, *lists: tuple[str, str, float]) -> float:
        words = tokenizer.index_words(text, ENGLISH)
        slow = ranking.K1 * (1 - ranking.B + ranking.B * len(words.stems) / mean)
        return sum(
            factor
            * rarity(kind, sought)
            * times(words, kind, sought)
            * (ranking.K1 + 1)
            / (times(words, kind, sought) + slow)
            for kind, sought, factor in lists
        )

    of_terms = [
        [("stems", term.stems, 1.0), *([("surfaces", term.surface, ranking.SURFACE)] if term.surface else [])]
        for term in terms
    ]
    pairs = [("pair", stems, ranking.PAIR) for _, stems in tokenizer.query_pairs(query, ENGLISH)]

    def highest(lists: list[tuple[str, str, float]]) -> float:
        return sum(factor * rarity(kind, sought) * (ranking.K1 + 1) for kind, sought, factor in lists)

    perfect = (1 + share) * sum(map(highest, of_terms)) + highest(pairs)

    def weight(distance: int) -> float:
        """What a memory counts for one that stands `distance` behind it."""
        weights = (ranking.BEFORE if distance > 0 else ranking.AFTER) if neighbours else ()
        return weights[abs(distance) - 1] if 0 < abs(distance) <= len(weights) else float(distance == 0)

    sums: dict[tuple[int, int], float] = {}
    talks: dict[int, list[int]] = {}
    for at, memory in enumerate(stored):
        talks[at] = [
            place
            for place, each in enumerate(stored)
            if each["visible"] and each["conversation"] == memory["conversation"] is not None or each is memory
        ]
        here = talks[at].index(at)
        for part in range(len(memory["parts"])):
            sums[at, part] = sum(
                max(
                    *(weight(part - other) * own(text, *lists) for other, text in enumerate(memory["parts"])),
                    *(
                        weight(here - there) * max(own(text, *lists) for text in stored[place]["parts"])
                        for there, place in enumerate(talks[at])
                        if place != at
                    ),
                    0.0,
                )
                for lists in of_terms
            )
    found = []
    for (at, part), total in sums.items():
        memory = stored[at]
        best = max(each for (place, _), each in sums.items() if place in talks[at])
        score = (total + own(memory["parts"][part], *pairs) + share * best) / perfect
        if memory["visible"] and memory["wanted"] and total:
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
    """Beyond one window."""
    said = [f"{'zebra ' * (number % 7 == 0)}{'walk ' * (number % 3)}number{number}" for number in range(90)]
    await say(quick, *said)
    left = [{"parts": [text], "conversation": "c", "visible": True, "wanted": True, "ids": [text]} for text in said]
    expected = all_scores(left, "zebra walk", neighbours=True)
    for limit in (1, 5, 80):
        found = await quick.search("zebra walk", neighbours=True, limit=limit)
        assert [row["_score"] for row in found] == pytest.approx([one[0] for one in expected[:limit]])


async def test_only_what_is_near_the_best_words_is_looked_at(quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    look = TextArm._look_around

    def counted(self: TextArm, seqs: Iterable[int]) -> None:
        seqs = list(seqs)
        looked_at.append(len(seqs))
        look(self, seqs)

    monkeypatch.setattr(TextArm, "_look_around", counted)
    await say(quick, *(f"zebra {'filler ' * 30}{number}" for number in range(400)), userId="ada", tags=["x"])
    await say(quick, *(f"zebra {number}" for number in range(250)), conversation="e", userId="ada")
    for number in range(3):
        await say(quick, "zebra", "zebra", conversation=f"d{number}", userId="bob")
    found = await quick.search("zebra", neighbours=True, limit=3)
    assert {row["content"] for row in found} == {"zebra"}
    assert len(await quick.search("zebra", neighbours=True, limit=300)) == 300
    assert looked_at == [ranking.SEEDS, ranking.SEEDS, 160, 640]
    # Filters act before: those of all that match are looked at, too, however many others have better words.
    assert len(await quick.search("zebra", neighbours=True, limit=50, tags=["x"])) == 50
    assert len(await quick.search("zebra", neighbours=True, limit=50, tags=["x"], userId="ada")) == 50
    assert looked_at[4:] == 2 * [2 * ranking.SEEDS, 320]


async def test_a_match_of_all_words_is_before_most_of_them_beside_most_of_them(quick: Any) -> None:
    await say(quick, "zebra, okapi, lion, walk", "what a day")
    await say(quick, "zebra, okapi, lion here", "okapi, lion, walk here", "zebra, lion, walk here", conversation="d")
    assert (await quick.search("walk lion okapi zebra", neighbours=True))[0]["content"] == "zebra, okapi, lion, walk"


async def test_words_that_follow_each_other_as_in_the_query_are_first(quick: Any) -> None:
    await say(quick, "the lion saw a zebra walk", "a zebra saw the lion walk", "the walk of a zebra, a lion saw")
    assert (await quick.found("zebra saw the lion"))[0] == "a zebra saw the lion walk"
    assert (await quick.found("lion saw a zebra"))[0] == "the lion saw a zebra walk"
    assert (await quick.found("the lions saw"))[0] == "the lion saw a zebra walk"


async def test_pages_of_a_search_fit_together(quick: Any) -> None:
    """Whatever their size, and however many more memories are looked at for the later ones."""
    chosen = random.Random(6)
    for talk in range(40):
        said = [" ".join(chosen.choices(WORDS + [f"word{n}" for n in range(30)], k=8)) for _ in range(20)]
        await say(quick, *(f"{text} {talk}-{at}" for at, text in enumerate(said)), conversation=f"d{talk}", tags=["y"])
        await say(quick, f"{said[0]} {talk}-x", conversation=f"d{talk}", tags=["x"])
    args: dict[str, Any]
    for args in ({}, {"tags": ["x"]}, {"minScore": 0.2}, {"neighbours": False}):
        args = {"neighbours": True, "limit": 150} | args
        whole = await quick.search("okapi lion", explain=True, **args)
        pages = [await quick.search("okapi lion", **args | {"limit": 30, "offset": at}) for at in range(0, 150, 30)]
        assert [row["content"] for page in pages for row in page] == [row["content"] for row in whole]
        assert len({row["content"] for row in whole}) == len(whole) > 20
        scores = [row["_score"] for row in whole]
        assert scores == sorted(scores, reverse=True) and scores[-1] >= args.get("minScore", 0)
        for why in (row["_why"] for row in whole):
            shares = [
                *(term["share"] for term in why["terms"]),
                why.get("pairs", 0),
                why.get("talk", {"share": 0})["share"],
            ]
            assert sum(shares) == pytest.approx(1)


async def test_a_filter_lets_all_through_that_match_however_many_others_have_the_words(quick: Any) -> None:
    """Also those that only have a word beside them."""
    await say(quick, *("zebra" for _ in range(250)), conversation="d")
    await say(quick, f"zebra {'filler ' * 30}", conversation="e")
    await say(quick, "over the hill", "in the wood", conversation="e", tags=["x"])
    for limit in (2, 50):
        found = await quick.found("zebra", neighbours=True, tags=["x"], limit=limit)
        assert found == ["over the hill", "in the wood"]


def test_each_word_of_a_query_is_asked_once_whether_it_carries_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    class Nothing:
        def __bool__(self) -> bool:
            nonlocal asked
            asked += 1
            return False

    monkeypatch.setattr(type(ENGLISH), "carries", lambda *_: Nothing())
    assert tokenizer.query_pairs("not " * 1_000, ENGLISH) == [("not not", "not not")]
    assert 2_000 <= asked < 20_000
