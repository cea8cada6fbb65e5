"""A user's own provider: a function of a few lines that is asked before the known ones."""

from __future__ import annotations

import doctest
from dataclasses import dataclass
from pathlib import Path

from cortex_rx import Cortex, Turn, from_stream, run
from cortex_rx import operators as cx
from cortex_rx.events import Custom, Ended
from cortex_rx.models.records import Usage
from cortex_rx.sources.providers import (
    PROVIDERS,
    Finish,
    Piece,
    Provider,
    anthropic_messages,
    openai_chat,
    openai_responses,
)


@dataclass
class Token:
    """What the model of a user's own gives: words, and at the end how many they were."""

    word: str | None = None
    score: float | None = None
    done: bool = False
    count: int = 0


def own(item: object) -> list[Piece] | None:
    if not isinstance(item, Token):
        return None
    if item.done:
        return [Finish("stop", Usage(output_tokens=item.count))]
    return [item.word or "", Custom("score", item.score)]


async def test_an_answer_of_it_is_stored():
    tokens = [Token("It "), Token("works", 0.5), Token(done=True, count=2)]
    async with Cortex(":memory:") as cortex:
        result = await cortex.memory.remember_stream(
            tokens, provider=own, memory_space_id="s", conversation_id="c", user_message="Does it?", agent_id="helper"
        )
        assert (result.full_response, result.finish_reason, result.usage.output_tokens) == ("It works", "stop", 2)
        assert [memory.content for memory in await cortex.memory.search("s", "works", neighbours=False)] == ["It works"]


async def test_what_it_does_not_know_the_others_may(kit):
    known = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " and theirs"}}
    response = {"type": "response.output_text.delta", "delta": ", all"}
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": " of them"}}]}
    came = await kit.read([Token("ours"), known, response, chunk, " and text", Token(done=True)], provider=own)
    assert came.texts == ["ours", " and theirs", ", all", " of them", " and text"]
    assert came.ended == Ended("stop", 37, 5, Usage(output_tokens=0))


async def test_it_may_read_the_events_of_a_known_provider_in_another_way(kit):
    def thoughts(item):
        """Thinking is shown too."""
        if item["type"] == "response.reasoning_text.delta":
            return f"({item['delta']})"
        return openai_responses(item)

    items = [
        {"type": "response.reasoning_text.delta", "delta": "hm"},
        {"type": "response.output_text.delta", "delta": "Yes"},
        {"type": "response.completed", "response": {}},
    ]
    assert (await kit.read(items, provider=thoughts)).texts == ["(hm)", "Yes"]
    assert (await kit.read(items)).texts == ["Yes"]


def test_those_that_are_known():
    known: tuple[Provider, ...] = PROVIDERS
    assert known == (openai_chat, openai_responses, anthropic_messages)


async def test_usage_that_is_said_in_parts_is_put_together():
    parts = [Finish(usage=Usage(input_tokens=7)), Finish("stop", Usage(output_tokens=3))]
    source = from_stream([1, 2], turn=Turn("s", "c", "Q", agent_id="a"), provider=lambda item: [parts[item - 1]])
    ended = await run(source.pipe(cx.last(Ended)))
    assert ended.usage == Usage(input_tokens=7, output_tokens=3)
    assert ended.reason == "stop"


async def test_a_refusal_of_it_is_marked_as_one(kit):
    def says_no(item: str) -> list[Piece]:
        return [item, Custom("refusal", item)] if item == "No." else [Finish(item)]

    came = await kit.read(["No.", "stop"], provider=says_no)
    assert came.texts == ["No."] and came.ended == Ended("refusal", 3, 1)
    assert (await kit.read(["No.", "length"], provider=says_no)).ended.reason == "length"


PAGE = Path(__file__).parents[3] / "docs" / "providers.md"


def test_the_examples_of_the_page_are_true():
    text = PAGE.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 10
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_the_page_names_all_that_are_known():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{provider.__name__}`" in text for provider in PROVIDERS)
