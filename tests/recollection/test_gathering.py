"""`recall`: what is found, what stands around it, facts and newest turns: each once, within a budget."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from helpers.frame import parse_frame
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx import Cortex, SqliteBackend
from cortex_rx.errors import CallbackError, InvalidArgument, StoreClosed, UnsupportedOption
from cortex_rx.models.recalled import RecalledFact, RecallResult
from cortex_rx.recollection import recall
from cortex_rx.recollection.budget import estimate_tokens


class Talk:
    """A memory space in which people have talked."""

    def __init__(self) -> None:
        self.backend = SqliteBackend(":memory:")
        self.said = 0

    async def exchange(self, question: str, answer: str, conversation: str = "c", **more: Any) -> list[str]:
        """The ids of the memories of a question and its answer."""
        self.said += 1
        where = {"memorySpaceId": more.pop("space", "s"), "streamId": f"st{self.said}"}
        asked = {"conversationId": conversation, "userMessage": question, "userId": "ada", "userName": "Ada"}
        about = {"agentId": "helper", "importance": 50, "tags": [], "startedAt": 1_764_000_000_000 + self.said * 60_000}
        chunks = more.pop("chunks", None)
        begun = await self.backend.mutation("streams:begin", {**where, **asked, **about, **more})
        ended = {**where, "epoch": 1, "attempt": 0, "start": 0, "text": answer, "length": len(answer)}
        await self.backend.mutation("streams:finalize", {**ended, **({"chunks": chunks} if chunks else {})})
        return begun["memoryIds"]

    async def recall(self, query: str, **more: Any) -> RecallResult:
        """Without what a search itself finds by what is said around it, unless a test asks for it."""
        return await recall(self.backend, "s", query, **{"neighbours": False, **more})


@asynccontextmanager
async def talking() -> AsyncIterator[Talk]:
    talk = Talk()
    try:
        yield talk
    finally:
        await talk.backend.close()


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    async with talking() as one:
        yield one


def texts(result: RecallResult) -> list[str]:
    return [item.text for item in result.context]


def why(result: RecallResult) -> dict[str, list[tuple[str, int | None]]]:
    return {one.memory.content: [(reason.kind, reason.distance) for reason in one.reasons] for one in result.memories}


async def test_what_is_found_what_stands_around_it_and_the_newest_turns(talk: Talk) -> None:
    for number in range(4):
        await talk.exchange(f"q{number}", f"a{number}", "before")
    await talk.exchange("the zebra?", "it runs", "before")
    for number in range(3):
        await talk.exchange(f"n{number}", f"m{number}", "now")
    result = await talk.recall("zebra", conversation_id="now", newest=3, turns=2)
    assert texts(result) == ["q3", "a3", "the zebra?", "it runs", "m1", "n2", "m2"]
    assert [item.continues for item in result.context] == [False, True, True, True, False, True, True]
    assert [item.section for item in result.context] == ["earlier"] * 4 + ["conversation"] * 3
    assert why(result) == {
        "the zebra?": [("found", None)],
        "m2": [("newest", 0)],
        "n2": [("newest", 1)],
        "m1": [("newest", 2)],
        "it runs": [("neighbour", 1)],
        "a3": [("neighbour", 1)],
        "q3": [("neighbour", 2)],
    }
    scores = [1, 0.9, 0.81, 0.729, 0.5, 0.5, 0.25]
    assert [one.score for one in result.memories] == pytest.approx(scores)
    assert result.left_out == () and result.facts == ()
    centre = result.memories[0].memory.memory_id
    assert {reason.of for one in result.memories for reason in one.reasons if reason.kind == "neighbour"} == {centre}


async def test_a_search_by_neighbours_finds_more(talk: Talk) -> None:
    for number in range(4):
        await talk.exchange(f"q{number}", f"a{number}", "before")
    await talk.exchange("the zebra?", "it runs", "before")
    result = await talk.recall("zebra", neighbours=True)
    kinds = {text: [kind for kind, _ in reasons] for text, reasons in why(result).items()}
    assert texts(result)[-3:] == ["a3", "the zebra?", "it runs"]
    assert kinds["the zebra?"][0] == "found" and {*kinds["it runs"]} == {"found", "neighbour"}
    alone = await talk.recall("zebra", turns=0)
    assert texts(alone) == ["the zebra?"]


async def test_a_memory_is_there_once_with_all_its_reasons(talk: Talk) -> None:
    await talk.exchange("the zebra?", "a zebra runs")
    result = await talk.recall("zebra", conversation_id="c")
    assert texts(result) == ["the zebra?", "a zebra runs"]
    kinds = {text: {kind for kind, _ in reasons} for text, reasons in why(result).items()}
    assert kinds == {"the zebra?": {"found", "neighbour", "newest"}, "a zebra runs": {"found", "neighbour", "newest"}}
    assert all(item.section == "conversation" for item in result.context)


async def test_equal_texts_are_there_once_and_the_newest_turn_stays(talk: Talk) -> None:
    first = await talk.exchange("the zebra?", "yes", "before")
    await talk.exchange("and the lion?", "yes ", "between")
    last = await talk.exchange("really?", "yes", "now")
    result = await talk.recall("yes zebra lion", conversation_id="now")
    assert sorted(text.strip() for text in texts(result)) == ["and the lion?", "really?", "the zebra?", "yes"]
    assert [item.id for item in result.context][-1] == last[1]
    assert {(one.why, one.of) for one in result.left_out} == {("same text", last[1])}
    assert len(result.left_out) == 2 and first[1] in {one.id for one in result.left_out}


ANSWER = "The zebra runs. It is fast. The lion sleeps. It is slow."
PARTS = [{"start": 0, "end": 28}, {"start": 16, "end": 45}, {"start": 45, "end": 56}]


async def test_a_chunk_and_its_answer_do_not_repeat_each_other(talk: Talk) -> None:
    await talk.exchange("tell me", ANSWER, chunks=PARTS)
    result = await talk.recall("lion", turns=0)
    assert texts(result) == [ANSWER[16:45]]
    result = await talk.recall("lion", turns=1)
    assert texts(result) == ["tell me", ANSWER[:28], ANSWER[28:45], ANSWER[45:]]  # overlaps are shown once
    assert [item.continues for item in result.context] == [False, True, True, True]
    assert [(item.start, item.length) for item in result.context][1:] == [(0, 28), (12, 29), (0, 11)]
    result = await talk.recall("lion", conversation_id="c")
    assert texts(result) == ["tell me", ANSWER]
    answer = result.context[1].id
    assert {(one.why, one.of) for one in result.left_out} == {("contained", answer)} and len(result.left_out) == 3


async def test_what_was_found_in_a_long_answer_is_shown_once_however_it_is_cut(talk: Talk) -> None:
    long = "zebra " * 300 + "and at the end a lion sleeps under the only tree of the plain"
    cut = len("zebra ") * 300
    await talk.exchange("tell me", long, chunks=[{"start": 0, "end": cut}, {"start": cut, "end": len(long)}])
    for query in ("lion", "zebra tree"):
        result = await talk.recall(query, conversation_id="c", max_characters=1_200)
        assert sum("under the only tree" in text for text in texts(result)) == 1
        answers = [item for item in result.context if item.role == "agent"]
        assert sum(len(item.text) for item in answers) < len(long) and result.used <= 1_200


async def test_facts_are_ranked_with_the_memories_and_shown_first(talk: Talk) -> None:
    await talk.exchange("the zebra?", "it runs")
    asked: list[Any] = []

    async def facts(space: str, query: str, *, user_id: str | None, limit: int) -> list[RecalledFact]:
        asked.append((space, query, user_id, limit))
        low = RecalledFact(fact_id="f-1", text="A zebra has stripes.", score=0.1, memory_ids=("m",))
        return [low, RecalledFact(fact_id="f-2", text="A zebra is no horse.", score=0.7), low]

    result = await talk.recall("zebra", user_id="ada", limit=3, facts=facts)
    assert asked == [("s", "zebra", "ada", 3)]
    assert [fact.fact_id for fact in result.facts] == ["f-2", "f-1"]
    assert texts(result) == ["A zebra is no horse.", "A zebra has stripes.", "the zebra?", "it runs"]
    result = await talk.recall("zebra", facts=facts, max_characters=result_length(result) - 5)
    assert [(one.id, one.why) for one in result.left_out] == [("f-1", "budget")]


def result_length(result: RecallResult) -> int:
    return len(result.format_for_llm())


async def test_the_filters_of_user_and_partials_apply_to_all(talk: Talk) -> None:
    await talk.exchange("bob asks about the zebra", "bob is answered", userId="bob", userName="Bob")
    await talk.exchange("ada asks about the zebra", "ada is answered")
    result = await talk.recall("zebra", conversation_id="c", user_id="bob")
    assert texts(result) == ["bob asks about the zebra", "bob is answered"]
    await talk.backend.mutation(
        "streams:begin",
        {"memorySpaceId": "s", "streamId": "open", "conversationId": "c", "userMessage": "open zebra?", "userId": "ada"}
        | {"importance": 50, "tags": []},
    )
    writer = {"memorySpaceId": "s", "streamId": "open", "epoch": 1, "attempt": 0}
    await talk.backend.mutation("streams:append", {**writer, "start": 0, "text": "an open zebra"})
    assert "an open zebra" not in texts(await talk.recall("zebra", conversation_id="c"))
    assert "an open zebra" in texts(await talk.recall("zebra", conversation_id="c", include_partial=True))


async def test_another_space_is_never_seen(talk: Talk) -> None:
    await talk.exchange("the zebra?", "it runs")
    before = await talk.recall("zebra", conversation_id="c")
    await talk.exchange("their zebra?", "theirs", space="other")
    assert await talk.recall("zebra", conversation_id="c") == before


async def test_what_is_excluded_is_not_recalled(talk: Talk) -> None:
    await talk.exchange("the zebra?", "it runs")
    question, answer = await talk.exchange("a zebra!", "yes")
    result = await talk.recall("zebra", conversation_id="c", newest=2, exclude=[question, answer])
    assert texts(result) == ["the zebra?", "it runs"]
    assert not {question, answer} & {one.memory.memory_id for one in result.memories}


async def test_the_limit_counts_what_is_left_without_what_is_excluded(talk: Talk) -> None:
    for number in range(4):
        await talk.exchange(f"zebra {number}", "it runs")
    found = [one.memory.memory_id for one in (await talk.recall("zebra", turns=0)).memories]
    for limit, offset in ((1, 0), (2, 0), (2, 1), (20, 0)):
        rest = await talk.recall("zebra", turns=0, limit=limit, offset=offset, exclude=found[:2])
        assert [one.memory.memory_id for one in rest.memories] == found[2:][offset : offset + limit]


async def test_with_an_answer_its_chunks_are_excluded(talk: Talk) -> None:
    chunks = [{"start": at, "end": at + 9} for at in range(0, 90, 9)]
    await talk.exchange("an older zebra", "yes")
    _, answer = await talk.exchange("and?", "".join(f"zebra n{at} " for at in range(10)), chunks=chunks)
    assert len((await talk.recall("zebra", turns=0)).memories) > 2
    for more in ({"limit": 1, "turns": 0}, {"turns": 5}, {"conversation_id": "c"}):
        result = await talk.recall("zebra", exclude=[answer], **more)
        assert "an older zebra" in texts(result) and "zebra n" not in result.format_for_llm()


async def test_long_texts_are_cut_at_a_word_and_what_is_left_goes_to_them(talk: Talk) -> None:
    await talk.exchange("the zebra?", "word " * 5_000)
    result = await talk.recall("zebra", max_characters=3_000)
    question, answer = result.context
    assert question.text == "the zebra?" and answer.cut and re.fullmatch("(word )+word", answer.text)
    assert 2_990 < result.used <= 3_000  # nearly all of it, since nothing else waits
    assert f"(only the first {len(answer.text):,} of 25,000 characters)" in result.format_for_llm()
    assert parse_frame(result.format_for_llm())[1].text == answer.text


async def test_of_a_long_text_the_part_with_the_words_of_the_query_is_shown(talk: Talk) -> None:
    long = "We spoke of the weather. " * 300 + "The zebra's name is Zoe. " + "We spoke of the news. " * 300
    await talk.exchange("tell me all", long)
    result = await talk.recall("What is the name of the zebra?", max_characters=1_000)
    question, answer = result.context
    assert (question.text, "The zebra's name is Zoe." in answer.text) == ("tell me all", True)
    assert long[answer.start :].startswith(answer.text) and result.used <= 1_000
    mark = f"(only {len(answer.text):,} of {len(long):,} characters, from {answer.start:,} on)"
    assert mark in result.format_for_llm()


async def test_texts_are_ranked_and_cut_beside_the_loop(talk: Talk) -> None:
    """Long texts take long, and the tokens of a running answer wait for nothing."""
    await talk.exchange("Where is the zebra?", "zebra " * 1000)
    threads: set[int] = set()

    def count(text: str) -> int:
        threads.add(threading.get_ident())
        return len(text.split())

    result = await talk.recall("zebra", max_tokens=100, count_tokens=count)
    assert 0 < result.used <= 100
    assert threads and threading.get_ident() not in threads


async def test_tokens_are_counted_by_the_given_function(talk: Talk) -> None:
    for number in range(20):
        await talk.exchange(f"zebra number {number}?", f"the answer {number}", f"c{number}")

    def words(text: str) -> int:
        return len(text.split())

    result = await talk.recall("zebra", max_tokens=150, count_tokens=words)
    assert words(result.format_for_llm()) == result.used <= 150 and len(result.context) > 5
    assert {one.why for one in result.left_out} == {"budget"}
    kept = min(one.score for one in result.memories if one.memory.memory_id in {item.id for item in result.context})
    assert all(one.score <= kept for one in result.left_out)
    for wrong in (lambda _: -1, lambda _: "7", lambda _: True):
        with pytest.raises(InvalidArgument, match="count_tokens"):
            await talk.recall("zebra", count_tokens=wrong)
    with pytest.raises(CallbackError, match="count_tokens"):
        await talk.recall("zebra", count_tokens=lambda _: 1 // 0)


async def test_failures_are_named(talk: Talk) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a private text")

    with pytest.raises(CallbackError, match="facts") as caught:
        await talk.recall("zebra", facts=broken)
    assert "private" not in str(caught.value)
    with pytest.raises(InvalidArgument, match="facts: got 'a result with a str'"):
        await talk.recall("zebra", facts=lambda *_, **__: ["a private text"])
    for score in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidArgument, match="facts: got 'a score of"):
            fact = RecalledFact(fact_id="f", text="a private text", score=score)
            await talk.recall("zebra", facts=lambda *_, fact=fact, **__: [fact])
    for wrong in (
        {"max_tokens": 5, "max_characters": 5},
        {"newest": 3},
        {"turns": -1},
        {"count_tokens": 3},
        {"facts": 3},
    ):
        with pytest.raises(InvalidArgument):
            await talk.recall("zebra", **wrong)
    with pytest.raises(InvalidArgument, match="count_tokens"):
        await talk.recall("zebra", max_characters=5, count_tokens=len)
    with pytest.raises(InvalidArgument, match="query"):
        await recall(talk.backend, "s", None)  # type: ignore[arg-type]
    await talk.backend.close()
    with pytest.raises(StoreClosed):
        await talk.recall("zebra")


async def test_nothing_found_is_an_empty_context(talk: Talk) -> None:
    result = await talk.recall("")
    assert (result.memories, result.context, result.used, result.format_for_llm()) == ((), (), 0, "")
    await talk.exchange("the zebra?", "it runs")
    result = await talk.recall("zebra", max_tokens=1)
    assert result.context == () and result.used == 0 and {one.why for one in result.left_out} == {"budget"}


async def test_the_client_recalls() -> None:
    async with Cortex(":memory:") as cortex:
        params: dict[str, Any] = {"memory_space_id": "s", "conversation_id": "c", "user_id": "ada", "user_name": "Ada"}
        await cortex.memory.remember(**params, user_message="the zebra?", agent_response="it runs")
        result = await cortex.memory.recall("s", "zebra", {"maxTokens": 300}, turns=0, neighbours=False)
        assert texts(result) == ["the zebra?"] and result["budget"] == 300
        assert RecallResult.model_validate_json(result.model_dump_json()) == result


WORDS = st.sampled_from(["zebra", "lion", "yes", "\u2028", "| no", "京都", "a longer answer " * 30])
SAID = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
EXCHANGES = st.lists(st.tuples(SAID, SAID, st.sampled_from("cd"), st.booleans()), min_size=1, max_size=6)


@given(
    exchanges=EXCHANGES,
    most=st.integers(1, 700),
    unit=st.sampled_from(["max_tokens", "max_characters"]),
    data=st.data(),
)
@settings(max_examples=examples(25), deadline=None)
async def test_the_laws(exchanges: list[tuple[str, str, str, bool]], most: int, unit: str, data: Any) -> None:
    async with talking() as talk:
        order: dict[str, list[str]] = {"c": [], "d": []}
        for question, answer, conversation, chunked in exchanges:
            half = len(answer) // 2
            cuts = (
                [{"start": 0, "end": half + 1}, {"start": half, "end": len(answer)}] if chunked and half > 1 else None
            )
            order[conversation] += await talk.exchange(question, answer, conversation, chunks=cuts)
        newest = data.draw(st.integers(1, 5))
        neighbours = data.draw(st.booleans())
        options: dict[str, Any] = {"conversation_id": "c", "newest": newest, "neighbours": neighbours, unit: most}
        result = await talk.recall("zebra yes", **options)
        shown = result.format_for_llm()
        # The budget holds, for the text that a model gets.
        count = len if unit == "max_characters" else estimate_tokens
        assert result.used == (count(shown) if shown else 0) <= most == result.budget
        # Every text is in the frame, as it was stored.
        stored = {one.memory.memory_id: one.memory.content for one in result.memories}
        assert [one.text for one in parse_frame(shown)] == texts(result)
        for item in result.context:
            assert stored[item.id][item.start :].startswith(item.text) and item.text
        # Each is there once, or left out with a reason.
        ids = [item.id for item in result.context]
        left = [one.id for one in result.left_out]
        assert len({*ids, *left}) == len(ids) + len(left)
        assert {*ids} <= {*stored} and {*stored} <= {*ids, *left}
        assert len({text.strip() for text in stored.values()}) == len(stored)
        # No part of an answer is there twice.
        ranges: dict[str, list[tuple[int, int]]] = {}
        for one in result.memories:
            part = one.memory.chunk_metadata
            for item in result.context:
                if item.id == one.memory.memory_id:
                    start = (part.start_offset if part else 0) + item.start
                    key = part.parent_memory_id if part else item.id
                    ranges.setdefault(key, []).append((start, start + len(item.text)))
        for spans in ranges.values():
            spans.sort()
            assert all(one[1] <= other[0] for one, other in zip(spans, spans[1:], strict=False))
        # The newest turns stand in the order in which they were said.
        turns = [order["c"].index(item.id) for item in result.context if item.section == "conversation"]
        assert turns == sorted(turns) and set(turns) <= set(range(len(order["c"])))


async def test_only_memories_of_a_participant_are_found(talk: Talk) -> None:
    """Before the limit: the best match is another's."""
    await talk.exchange("zebra zebra", "ok", "c1", participantId="web")
    await talk.exchange("a zebra in the garden", "ok", "c2", participantId="phone")
    found = await talk.recall("zebra", participant_id="phone", limit=1, turns=0)
    assert [one.memory.content for one in found.memories] == ["a zebra in the garden"]
    assert (await talk.recall("zebra", participantId="nobody", limit=1, turns=0)).memories == ()


async def test_what_a_search_alone_can_do_is_refused(talk: Talk) -> None:
    with pytest.raises(UnsupportedOption, match="^enrich_conversation: got True"):
        await talk.recall("zebra", enrichConversation=True)
    await talk.recall("zebra", enrich_conversation=False)
