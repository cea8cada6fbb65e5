"""The events of OpenAI responses: which are text of the answer, how it ends, and what fails."""

from __future__ import annotations

import json
import pickle

import pytest
from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent

from cortex_rx.errors import ProviderError
from cortex_rx.events import Custom, Delta, Ended, from_json, to_json
from cortex_rx.models.records import Usage
from cortex_rx.sources.providers import openai_responses

USED = Usage(11, 22, 33, 1, 0, 5)


def both(events):
    """The events as the SDK makes them of their JSON, and the JSON."""
    return [[construct_type(value=event, type_=ResponseStreamEvent) for event in events], events]


def completed(stories, *output, **more):
    return [{"type": "response.completed", "response": stories.response(*output, **more), "sequence_number": 1}]


def delta(text, **more):
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "sequence_number": 1, "logprobs": []}
    return {"type": "response.output_text.delta", "delta": text, **where, **more}


async def test_an_answer_with_everything_in_it(kit, stories):
    events = stories.openai_story(stories.CALL)
    for items in both(events):
        came = await kit.read(items)
        assert came.error is None
        assert came.texts == stories.FIRST + stories.SECOND
        assert came.ended == Ended("tool_calls", len(stories.TEXT), 7, USED, "story")
        assert came.named("tool_calls") == [[stories.CALL]]
        others = [event for event in came.of(Custom) if event.name != "tool_calls"]
        assert [event.name for event in others] == [
            event["type"] for event in events if event["type"] != "response.output_text.delta"
        ]
        assert came.named("response.reasoning_summary_text.delta")[0]["delta"] == stories.SECRET
        for event in came.of(Custom):
            assert from_json(json.loads(json.dumps(to_json(event)))) == event


async def test_the_objects_and_their_json_give_the_same_events(kit, stories):
    by_object, by_json = [await kit.read(items) for items in both(stories.openai_story(stories.CALL))]
    assert [to_json(event) for event in by_object.of(Custom)] == [to_json(event) for event in by_json.of(Custom)]


async def test_calls_that_the_provider_has_answered_wait_for_nobody(kit, stories):
    for items in both(stories.openai_story()):
        came = await kit.read(items)
        assert came.ended == Ended("stop", len(stories.TEXT), 7, USED, "story") and came.named("tool_calls") == []


@pytest.mark.parametrize(
    "item",
    [
        {"id": "1", "type": "custom_tool_call", "call_id": "c", "name": "look", "input": "x"},
        {"id": "1", "type": "computer_call", "call_id": "c", "status": "completed", "pending_safety_checks": []},
        {"id": "1", "type": "local_shell_call", "call_id": "c", "status": "completed"},
        {"id": "1", "type": "mcp_approval_request", "arguments": "{}", "name": "look", "server_label": "s"},
    ],
    ids=lambda item: item["type"],
)
async def test_calls_that_wait_for_the_caller(kit, stories, item):
    for items in both(completed(stories, stories.SEARCHED, item)):
        came = await kit.read(items)
        assert came.named("tool_calls") == [[item]] and came.ended.reason == "tool_calls"


async def test_a_refusal(kit, stories):
    no = {"type": "refusal", "refusal": "I cannot."}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "sequence_number": 1}
    events = [
        {"type": "response.refusal.delta", "delta": "I ", **where},
        {"type": "response.refusal.delta", "delta": "cannot.", **where},
        {"type": "response.refusal.done", "refusal": "I cannot.", **where},
        *completed(stories, stories.message(no), usage=stories.USED),
    ]
    for items in both(events):
        came = await kit.read(items)
        assert came.texts == came.named("refusal") == ["I ", "cannot."]
        assert came.ended == Ended("refusal", 9, 2, USED, "story")


def test_a_refusal_without_text():
    assert openai_responses({"type": "response.refusal.delta", "delta": None}) == [Custom("refusal")]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"reason": "max_output_tokens"}, "length"),
        ({"reason": "content_filter"}, "content_filter"),
        ({"reason": "steered"}, "steered"),
        (None, "incomplete"),
    ],
)
async def test_a_response_that_is_incomplete(kit, stories, given, reason):
    answer = stories.response(stories.CALL, status="incomplete", incomplete_details=given, usage=stories.USED)
    for items in both([delta("Hel"), {"type": "response.incomplete", "response": answer, "sequence_number": 2}]):
        came = await kit.read(items)
        assert came.ended == Ended(reason, 3, 1, USED, "story") and came.error is None


async def test_a_stream_that_is_cut_off(kit, stories):
    for items in both(stories.openai_story()[:-1]):
        assert (await kit.read(items)).ended == Ended("incomplete", len(stories.TEXT), 7, model="story")


async def test_a_response_without_output_and_usage(kit, stories):
    for items in both([delta("Hi"), {"type": "response.completed", "response": {"id": "r"}, "sequence_number": 2}]):
        assert (await kit.read(items)).ended == Ended("stop", 2, 1)


FAILED = {"code": "rate_limit_exceeded", "message": "Slow down."}


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (
            {"type": "response.failed", "sequence_number": 2, "response": {"status": "failed", "error": FAILED}},
            ProviderError("Slow down.", None, "rate_limit_exceeded"),
        ),
        (
            {"type": "response.failed", "sequence_number": 2, "response": {"status": "failed", "error": None}},
            ProviderError("it did not say why"),
        ),
        (
            {"type": "error", "sequence_number": 2, **FAILED, "param": "secret"},
            ProviderError("Slow down.", None, "rate_limit_exceeded"),
        ),
        ({"type": "error", "sequence_number": 2, "message": "Broken."}, ProviderError("Broken.")),
    ],
)
async def test_a_response_that_fails(kit, event, error):
    for items in both([delta("Hel"), event, delta("lo")]):
        came = await kit.read(items)
        assert came.texts == ["Hel"] and came.of(Ended) == []
        assert type(came.error) is ProviderError and vars(came.error) == vars(error)
        assert str(came.error) == str(error) and "secret" not in repr(came.error)
        again = pickle.loads(pickle.dumps(came.error))
        assert vars(again) == vars(error) and str(again) == str(error)
        assert came.error.code == "PROVIDER_ERROR" and error.message in str(error)


async def test_log_probabilities_pass_beside_the_text(kit):
    chances = [{"token": "Hi", "logprob": -0.5, "top_logprobs": []}]
    for items in both([delta("Hi", logprobs=chances, obfuscation="xyz")]):
        came = await kit.read(items)
        assert came.text == "Hi" and [(each.name, each.data) for each in came.of(Custom)] == [("logprobs", chances)]
        assert type(came.events[1]) is Delta  # the text does not wait


async def test_characters_that_are_torn_in_two(kit):
    for items in both([delta("a\ud83d"), delta("\ude00b")]):
        assert (await kit.read(items)).text == "a😀b"


@pytest.mark.filterwarnings("error")
async def test_events_that_this_version_of_the_sdk_does_not_know(kit):
    new = {"type": "response.thought.delta", "delta": "hm", "sequence_number": 1}
    for items in both([new, delta("Hi"), {"type": "response.output_item.done", "item": {"type": "new", "text": "no"}}]):
        came = await kit.read(items)
        assert came.error is None and came.text == "Hi"
        assert came.named("response.thought.delta") == [new]
        assert came.named("response.output_item.done")[0]["item"] == {"type": "new", "text": "no"}


@pytest.mark.parametrize(
    "item",
    [
        "response.output_text.delta",
        {},
        {"type": None},
        {"type": 7},
        {"type": "error"},
        {"type": "session.created"},
        {"type": "thread.message.delta", "delta": "x"},
        {"object": "chat.completion.chunk", "choices": []},
    ],
)
def test_what_is_no_event_of_a_response(item):
    assert openai_responses(item) is None


def test_a_delta_without_text():
    assert openai_responses({"type": "response.output_text.delta", "delta": None}) == []
