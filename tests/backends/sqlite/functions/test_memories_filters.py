"""memories:search: each filter, alone and before the limit."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_rx.backends.sqlite.functions import filters


@pytest.fixture
async def kept(store: Any) -> Any:
    """Three memories, stored at 1,000, 2,000 and 3,000 s, said 500 s before."""
    for number, (content, more) in enumerate(
        {
            "zebra one": {"tags": ["a", "a, b"], "contentType": "raw", "sourceType": "system", "importance": 10},
            "zebra two": {"tags": ["a", "c\0"], "contentType": "fact", "sourceType": "tool", "importance": 50},
            "zebra six": {"tags": [], "contentType": "raw", "sourceType": "conversation", "importance": 90},
        }.items(),
        1,
    ):
        store.now = number * 1_000.0
        args = {"memorySpaceId": "s", "content": content, "sourceTimestamp": number * 1_000_000 - 500_000, **more}
        ref = {"conversationRef": {"conversationId": f"c{number}", "messageIds": []}, "userId": f"u{number % 2}"}
        ref |= {"participantId": f"p{number // 2}"}
        await store.backend.mutation("memories:store", args | ref)
    return store


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({}, "one two six"),
        ({"userId": "u1"}, "one six"),
        ({"tags": ["a"]}, "one two"),
        ({"tags": ["a, b", "c\0"]}, "one two"),
        ({"tags": ["a", "c\0"], "tagMatch": "all"}, "two"),
        ({"tags": ["b"]}, ""),
        ({"tags": []}, ""),
        ({"tags": [], "tagMatch": "all"}, "one two six"),
        ({"participantId": "p1"}, "two six"),
        ({"participantId": "u1"}, ""),
        ({"userId": "u1", "participantId": "p1"}, "six"),
        ({"sourceType": "tool"}, "two"),
        ({"contentType": "raw"}, "one six"),
        ({"minImportance": 50}, "two six"),
        ({"conversationId": "c2"}, "two"),
        ({"conversationId": "c2", "contentType": "raw"}, ""),
        ({"createdAfter": 2_000_000}, "two six"),
        ({"createdBefore": 2_000_000}, "one"),
        ({"createdAfter": 2_000_000, "createdBefore": 3_000_000}, "two"),
        ({"updatedAfter": 2_000_001}, "six"),
        ({"updatedBefore": 3_000_000}, "one two"),
        ({"sourceAfter": 1_500_000}, "two six"),
        ({"sourceBefore": 1_500_000}, "one"),
    ],
)
async def test_a_filter_narrows_what_is_returned(kept: Any, args: dict[str, Any], found: str) -> None:
    expected = {f"zebra {word}" for word in found.split()}
    for neighbours in (False, True):
        assert set(await kept.found("zebra", neighbours=neighbours, **args)) == expected
        first = await kept.found("zebra", neighbours=neighbours, limit=1, **args)
        assert len(first) == min(len(expected), 1) and set(first) <= expected


async def test_what_is_updated_while_it_streams(store: Any) -> None:
    await store.begin()
    store.now = 5_000.0
    await store.append(0, "the zebra")
    partial = {"includePartial": True, "neighbours": False}
    assert await store.found("zebra", updatedAfter=5_000_000, **partial) == ["the zebra"]
    assert await store.found("zebra", createdAfter=5_000_000, **partial) == []


async def test_a_neighbour_counts_whatever_the_filters_of_what_is_returned(store: Any) -> None:
    await store.exchange("where is the zebra?", "over the hill", "st", tags=["x"], userId="ada")
    await store.exchange("why?", "so be it", "st2", userId="bob")
    await store.delete((await store.list())[-2]["memoryId"])  # the answer of the first
    args = {"memorySpaceId": "s", "content": "over there", "sourceType": "tool", "contentType": "raw", "userId": "ada"}
    ref = {"conversationRef": {"conversationId": "c", "messageIds": []}, "importance": 50, "tags": []}
    await store.backend.mutation("memories:store", args | ref)
    assert await store.found("zebra", neighbours=True, sourceType="tool") == ["over there"]
    # Of another user's memories nothing is seen: not as a neighbour, and not as a position between two.
    assert await store.found("zebra", neighbours=True, userId="bob") == []
    (alone,) = await store.search("zebra", neighbours=True, userId="ada", sourceType="tool")
    (behind,) = await store.search("zebra", neighbours=True, sourceType="tool")
    assert alone["_score"] > behind["_score"] > 0


def test_every_filter_of_a_search_is_in_the_statement() -> None:
    visible = {"memorySpaceId": "s", "includePartial": False, "includeArchived": False}
    args = dict.fromkeys(filters.ARGUMENTS, 1) | visible | {"tags": ["a"]}
    given = {name for name, value in filters.values(args | {"userId": "u"}).items() if value is not None}
    assert {f":{name} IS NULL" in filters.MATCHES for name in given - {"space", "partial", "archived"}} == {True}
