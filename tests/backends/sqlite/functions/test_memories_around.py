"""`memories:around`: the turns around a memory, by position, against a list that is cut by hand. And how a
conversation is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.backends.sqlite.functions import memories


async def around(store: Any, *ids: str, **more: Any) -> list[tuple[list[str], list[str]]]:
    args = {"memorySpaceId": "s", "memoryIds": list(ids), **more}
    rows = await store.backend.query("memories:around", args)
    assert [row["memoryId"] for row in rows] == list(ids)
    return [tuple([row["memoryId"] for row in one[side]] for side in ("before", "after")) for one in rows]


STEPS = st.lists(
    st.tuples(st.sampled_from("cde"), st.sampled_from(["ada", "bob"]), st.sampled_from(["both", "answer", "open"])),
    min_size=1,
    max_size=8,
)


@given(steps=STEPS, turns=st.integers(0, 3), user=st.sampled_from([None, "ada", "bob"]), partial=st.booleans())
@settings(max_examples=examples(30), deadline=None)
async def test_the_turns_around_are_a_slice_of_the_conversation(
    make_store: Any, steps: list[tuple[str, str, str]], turns: int, user: str | None, partial: bool
) -> None:
    store = make_store(":memory:")
    try:
        for number, (conversation, who, kept) in enumerate(steps):
            stream = f"st{number}"
            begun = await store.begin(stream, conversationId=conversation, userId=who)
            if kept == "open":
                await store.append(0, "a", stream)
                continue
            await store.finalize("a", stream)
            if kept == "answer":
                await store.delete(begun["memoryIds"][0])
        narrowed = {"includePartial": partial, **({} if user is None else {"userId": user})}
        for conversation in "cde":
            listed = await store.list(conversationId=conversation, **narrowed)
            ids = [row["memoryId"] for row in listed[::-1]]
            found = await around(store, *ids, turns=turns, **narrowed)
            assert found == [(ids[max(at - turns, 0) : at], ids[at + 1 : at + 1 + turns]) for at in range(len(ids))]
    finally:
        await store.backend.close()


async def test_the_index_of_conversations_finds_them(tmp_path: Path, make_store: Any) -> None:
    store = make_store(tmp_path / "memory.db")
    await store.exchange("q", "a", "st")
    for statement in (memories._TURNS_BEFORE, memories._TURNS_AFTER):
        plain = statement.replace(":space", "'s'").replace(":conversation", "'c'").replace(":seq", "5")
        for name in (":partial", ":archived", ":user", ":turns"):
            plain = plain.replace(name, "1")
        plan = [row[3] for row in store.sql(f"EXPLAIN QUERY PLAN {plain}")]
        assert any("memories_by_conversation (space=? AND conversation=?" in step for step in plan), plan
        assert not any("TEMP B-TREE" in step for step in plan), plan
    await store.backend.close()
