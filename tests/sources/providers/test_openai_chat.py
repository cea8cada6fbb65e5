"""The chunks of OpenAI chat completions: the SDK's own classes and their JSON give the same events."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaAudio,
    ChoiceDeltaFunctionCall,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)
from openai.types.completion_usage import CompletionTokensDetails, CompletionUsage, PromptTokensDetails

from cortex_rx import from_stream, run
from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.events import Custom, Delta, Ended, Opened, from_json, to_json
from cortex_rx.models.records import Usage
from cortex_rx.sources.model_stream import Finish, openai_chat


def chunk(*choices, usage=None, **more):
    return ChatCompletionChunk(
        id="chatcmpl-1",
        object="chat.completion.chunk",
        created=1_700_000_000,
        model="a-model",
        choices=list(choices),
        usage=usage,
        system_fingerprint="fp",
        service_tier="default",
        obfuscation="xyz",
        **more,
    )


def one(finish_reason=None, index=0, **delta):
    return Choice(index=index, delta=ChoiceDelta(**delta), finish_reason=finish_reason)


def both(*chunks):
    """The chunks as the SDK gives them, and as JSON."""
    return [
        list(chunks),
        [each.model_dump(mode="json") for each in chunks],
        [json.loads(each.to_json()) for each in chunks],
    ]


USED = CompletionUsage(
    prompt_tokens=11,
    completion_tokens=22,
    total_tokens=33,
    prompt_tokens_details=PromptTokensDetails(cached_tokens=4),
    completion_tokens_details=CompletionTokensDetails(reasoning_tokens=5),
)
COUNTED = Usage(input_tokens=11, output_tokens=22, total_tokens=33, cached_input_tokens=4, reasoning_tokens=5)


async def test_text_as_it_is_streamed(kit):
    chunks = [
        chunk(one(role="assistant", content="")),
        chunk(one(content="Hello ")),
        chunk(one(content="wörld 😀")),
        chunk(one("stop")),
        chunk(usage=USED),
    ]
    for items in both(*chunks):
        came = await kit.read(items)
        assert came.error is None and came.customs == [] and came.problems == []
        assert [type(event) for event in came.events] == [Opened, Delta, Delta, Ended]
        assert came.texts == ["Hello ", "wörld 😀"]
        assert came.ended == Ended("stop", 13, 2, COUNTED, "a-model")


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "function_call"])
async def test_the_reason_of_the_end(kit, reason):
    for items in both(chunk(one(content="a")), chunk(one(reason))):
        assert (await kit.read(items)).ended == Ended(reason, 1, 1, model="a-model")


async def test_a_stream_without_a_reason_was_cut_off(kit):
    for items in both(chunk(one(content="Hel")), chunk(one(content="lo"))):
        assert (await kit.read(items)).ended == Ended("incomplete", 5, 2)
    for items in both(chunk(one(content="Hel")), chunk(usage=USED)):
        assert (await kit.read(items)).ended.reason == "incomplete"
    for items in both(chunk()):
        assert (await kit.read(items)).ended == Ended("incomplete", 0, 0)


async def test_the_parts_of_tool_calls(kit):
    chunks = [
        chunk(
            one(
                role="assistant",
                tool_calls=[
                    ChoiceDeltaToolCall(
                        index=0,
                        id="call_1",
                        type="function",
                        function=ChoiceDeltaToolCallFunction(name="look", arguments=""),
                    )
                ],
            )
        ),
        chunk(one(tool_calls=[ChoiceDeltaToolCall(index=0, function=ChoiceDeltaToolCallFunction(arguments='{"a":'))])),
        chunk(
            one(
                tool_calls=[
                    ChoiceDeltaToolCall(index=0, function=ChoiceDeltaToolCallFunction(arguments="1}")),
                    ChoiceDeltaToolCall(index=1, id="call_2"),
                ]
            )
        ),
        chunk(one("tool_calls")),
    ]
    for items in both(*chunks):
        came = await kit.read(items)
        assert came.customs == [
            (
                "tool_calls",
                [{"index": 0, "id": "call_1", "function": {"arguments": "", "name": "look"}, "type": "function"}],
            ),
            ("tool_calls", [{"index": 0, "function": {"arguments": '{"a":'}}]),
            ("tool_calls", [{"index": 0, "function": {"arguments": "1}"}}, {"index": 1, "id": "call_2"}]),
        ]
        assert came.texts == [] and came.ended == Ended("tool_calls", 0, 0, model="a-model")


async def test_all_else_passes_as_custom_under_its_own_name(kit):
    """One chunk with everything; reasoning is a field that the SDK does not know."""
    whole = chunk(
        Choice(
            index=0,
            delta=ChoiceDelta(
                content="text",
                refusal="no",
                function_call=ChoiceDeltaFunctionCall(name="look", arguments="{}"),
                audio=ChoiceDeltaAudio(id="audio_1", transcript="spoken"),
                reasoning_content="hm",
                thinking=[],
                signature="",
                cited=0,
                certain=False,
            ),
            content_filter_results={"hate": {"filtered": False}},
        ),
        citations=["https://example.org"],
    )
    for items in both(whole):
        came = await kit.read(items)
        assert dict(came.customs) == {
            "refusal": "no",
            "function_call": {"name": "look", "arguments": "{}"},
            "audio": {"id": "audio_1", "transcript": "spoken"},
            "reasoning_content": "hm",
            "cited": 0,
            "certain": False,
            "content_filter_results": {"hate": {"filtered": False}},
            "citations": ["https://example.org"],
        }
        assert len(came.customs) == 8 and came.texts == ["text", "no"]
        assert [type(event) for event in came.events[:3]] == [Opened, Delta, Delta]  # the text does not wait
        for event in came.of(Custom):
            assert from_json(json.loads(json.dumps(to_json(event)))) == event


async def test_a_refusal_is_the_answer_and_marked(kit):
    """The provider says `stop` at the end of it."""
    chunks = [
        chunk(one(role="assistant", content=None, refusal="")),
        chunk(one(refusal="I cannot ")),
        chunk(one(refusal="do that.")),
        chunk(one("stop")),
        chunk(usage=USED),
    ]
    for items in both(*chunks):
        came = await kit.read(items)
        assert came.texts == ["I cannot ", "do that."]
        assert came.customs == [("refusal", "I cannot "), ("refusal", "do that.")]
        assert came.ended == Ended("refusal", 17, 2, COUNTED, "a-model")


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_a_refusal_that_did_not_end_by_itself_keeps_its_reason(kit, reason):
    for items in both(chunk(one(refusal="I can")), chunk(one(reason))):
        assert (await kit.read(items)).ended == Ended(reason, 5, 1, model="a-model")
    for items in both(chunk(one(refusal="I can"))):
        assert (await kit.read(items)).ended == Ended("incomplete", 5, 1)


async def test_the_refusal_of_another_choice_is_none_of_the_answer(kit):
    for items in both(chunk(one(content="Yes")), chunk(one(refusal="No", index=1)), chunk(one("stop"))):
        came = await kit.read(items)
        assert came.texts == ["Yes"] and came.ended.reason == "stop"


async def test_other_choices_are_no_text_of_the_answer_and_do_not_end_it(kit):
    chunks = [
        chunk(one(content="first")),
        chunk(one(content="second", index=1)),
        chunk(one(content=" goes on"), one("length", index=1)),
        chunk(one("stop")),
        chunk(one("content_filter", index=2)),
    ]
    for items in both(*chunks):
        came = await kit.read(items)
        assert came.text == "first goes on" and came.ended.reason == "stop"
        assert came.customs == [
            ("choice", {"index": 1, "delta": {"content": "second"}}),
            ("choice", {"index": 1, "delta": {}, "finish_reason": "length"}),
            ("choice", {"index": 2, "delta": {}, "finish_reason": "content_filter"}),
        ]


@pytest.mark.filterwarnings("error")
async def test_what_the_sdk_does_not_expect_makes_no_noise(kit):
    """A compatible server with its own reason, and the first chunk of Azure, whose `object` is empty."""
    given = [
        {
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [],
            "prompt_filter_results": [{"prompt_index": 0}],
        },
        {
            "object": "chat.completion.chunk",
            "choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "eos"}],
        },
        {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "eos"}], "usage": {"prompt_tokens": 1}},
    ]
    for items in ([ChatCompletionChunk.construct(**each) for each in given], given):
        came = await kit.read(items)
        assert came.error is None and came.text == "a"
        assert came.ended == Ended("eos", 1, 1, Usage(input_tokens=1))
        assert came.customs == [
            ("prompt_filter_results", [{"prompt_index": 0}]),
            ("choice", {"index": 1, "delta": {"content": "x"}, "finish_reason": "eos"}),
        ]


async def test_an_answer_that_is_not_streamed_is_no_chunk(kit):
    whole = {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": "all"}}]}
    for item in (whole, {"choices": whole["choices"]}, SimpleNamespace(**whole), {"object": "", "choices": None}):
        assert openai_chat(item) is None
        assert type((await kit.read([item])).error) is TypeError


def test_content_that_is_no_text_and_objects_of_other_libraries():
    part = SimpleNamespace(type="image", url=SimpleNamespace(path="x"))
    delta = SimpleNamespace(content=[part], role="assistant", provider_fields=None)
    item = SimpleNamespace(
        object="chat.completion.chunk", choices=[SimpleNamespace(index=0, delta=delta, finish_reason="stop")]
    )
    assert openai_chat(item) == [Custom("content", [{"type": "image", "url": {"path": "x"}}]), Finish("stop")]
    item.choices[0].delta = None
    assert openai_chat(item) == [Finish("stop")]


async def test_the_last_usage_counts(kit):
    """Some servers say in each chunk how much it is so far."""
    more = USED.model_copy(update={"completion_tokens": 23})
    for items in both(chunk(one(content="a"), usage=USED), chunk(one("stop"), usage=more), chunk(one())):
        assert (await kit.read(items)).ended.usage == COUNTED.model_copy(update={"output_tokens": 23})


async def test_torn_surrogates_of_tool_calls_stay_as_they_came(kit):
    call = ChoiceDeltaToolCall(index=0, function=ChoiceDeltaToolCallFunction(arguments="\ud83d"))
    came = await kit.read([chunk(one(tool_calls=[call]))])
    assert came.customs == [("tool_calls", [{"index": 0, "function": {"arguments": "\ud83d"}}])]
    assert json.loads(json.dumps(came.customs[0][1])) == came.customs[0][1]


async def test_an_answer_of_tool_calls_alone_is_finalised_without_a_memory_of_it(kit):
    call = ChoiceDeltaToolCall(index=0, id="call_1", function=ChoiceDeltaToolCallFunction(name="look", arguments="{}"))
    chunks = [chunk(one(tool_calls=[call])), chunk(one("tool_calls"), usage=USED)]
    async with SqliteBackend(":memory:") as backend:
        stream = from_stream(lambda: list(chunks), turn=kit.TURN)
        chain = cx.chain(cx.begin(backend), cx.finalize(backend))
        result = await run(stream.pipe(chain, cx.result()))
        assert (result.full_response, result.finish_reason, result.usage.total_tokens) == ("", "tool_calls", 33)
        assert [memory.message_role for memory in result.memories] == ["user"]
