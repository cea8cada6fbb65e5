"""The events of Anthropic messages: which are text of the answer, how it ends, and what fails."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from anthropic._models import construct_type
from anthropic.lib.streaming._messages import accumulate_event, build_events
from anthropic.types import RawMessageStreamEvent

from cortex_rx.errors import ProviderError
from cortex_rx.events import Custom, Ended, from_json, to_json
from cortex_rx.models.records import Usage
from cortex_rx.sources.providers import Finish, anthropic_messages


def both(events):
    """The events as the SDK makes them of their JSON (it keeps the pings to itself), and the JSON."""
    known = [event for event in events if event["type"] not in ("ping", "error")]
    return [[construct_type(value=event, type_=RawMessageStreamEvent) for event in known], events]


def helped(events):
    """The events as the SDK's helper gives them: each beside what it adds to it."""
    given, snapshot, buffers = [], None, {}
    for event in both(events)[0]:
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
        given += [each.model_copy(deep=True) for each in build_events(event=event, message_snapshot=snapshot)]
    return given


async def test_an_answer_with_everything_in_it(kit, stories):
    events = stories.anthropic_story(stories.USE)
    for items in both(events):
        came = await kit.read(items)
        assert came.error is None
        assert came.texts == stories.FIRST + stories.SECOND
        used = Usage(18, 22, 40, 4, 3, 5)
        assert came.ended == Ended("tool_calls", len(stories.TEXT), 7, used, "story")
        assert came.named("tool_calls") == [[stories.USE]]
        assert [each["delta"]["thinking"] for each in came.named("thinking_delta")] == [stories.SECRET]
        assert [each["delta"]["signature"] for each in came.named("signature_delta")] == ["c2lnbmVk"]
        assert [each["delta"]["citation"]["cited_text"] for each in came.named("citations_delta")] == [stories.SECRET]
        arguments = [(each["index"], each["delta"]["partial_json"]) for each in came.named("input_json_delta")]
        assert arguments == [(2, '{"query": "Which '), (2, 'coat? "}'), (5, '{"a":1}')]
        started = [each["content_block"]["type"] for each in came.named("content_block_start")]
        assert started == ["thinking", "text", "server_tool_use", "web_search_tool_result", "text", "tool_use"]
        assert [each["index"] for each in came.named("content_block_stop")] == list(range(6))
        assert came.named("message_start")[0]["message"]["id"] == "msg_1"
        assert len(came.named("message_stop")) == len(came.named("message_delta")) == 1
        for event in came.of(Custom):
            assert from_json(json.loads(json.dumps(to_json(event)))) == event


async def test_the_objects_and_their_json_give_the_same_events(kit, stories):
    by_object, by_json = [await kit.read(items) for items in both(stories.anthropic_story(stories.USE))]
    assert by_json.named("ping") == [{"type": "ping"}]
    of_json = [to_json(event) for event in by_json.of(Custom) if event.name != "ping"]
    assert [to_json(event) for event in by_object.of(Custom)] == of_json


async def test_the_helper_says_each_thing_twice_and_it_counts_once(kit, stories):
    events = stories.anthropic_story(stories.USE)
    items = helped(events)
    kinds = [item.type for item in items]
    assert {"text", "thinking", "signature", "citation", "input_json"} < set(kinds)
    plain = await kit.read(both(events)[0])
    for each in (items, [json.loads(item.to_json()) for item in items]):
        came = await kit.read(each)
        assert came.error is None and came.texts == plain.texts and came.ended == plain.ended
        assert [data["text"] for data in came.named("text")] == came.texts
        assert came.named("thinking") == [{"type": "thinking", "thinking": stories.SECRET}]
        assert came.named("signature") == [{"type": "signature", "signature": "c2lnbmVk"}]
        assert came.named("citation") == [
            {"type": "citation", "citation": came.named("citations_delta")[0]["delta"]["citation"]}
        ]
        assert [data["partial_json"] for data in came.named("input_json")] == [
            '{"query": "Which ',
            'coat? "}',
            '{"a":1}',
        ]
        assert came.named("content_block_stop")[-1]["content_block"]["input"] == {"a": 1}
        assert came.named("message_stop")[0]["message"]["content"][1]["text"] == "".join(stories.FIRST)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
        ("something_new", "something_new"),
    ],
)
async def test_the_reason_of_the_end(kit, stories, given, reason):
    events = [stories.begun(), *stories.block(0, {"type": "text", "text": ""}, *stories.texts(["Hi"]))]
    for items in both(events + stories.ended(given, 3, {"input_tokens": 11})):
        assert (await kit.read(items)).ended == Ended(
            reason, 2, 1, Usage(input_tokens=11, output_tokens=3, total_tokens=14), "story"
        )


async def test_a_refusal(kit, stories):
    details = {"type": "refusal", "category": "bio", "explanation": "Not that."}
    for given, data in ((details, details), (None, None)):
        events = [stories.begun(), *stories.ended("refusal", 3, stop_details=given)]
        for items in both(events):
            came = await kit.read(items)
            assert came.named("refusal") == [data] and came.texts == [] and came.ended.reason == "refusal"


async def test_a_stream_that_is_cut_off(kit, stories):
    for items in both(stories.anthropic_story()[:-2]):
        came = await kit.read(items)
        assert came.ended == Ended(
            "incomplete",
            len(stories.TEXT),
            7,
            Usage(input_tokens=18, cached_input_tokens=4, cache_write_tokens=3),
            "story",
        )


def test_the_usage_in_each_of_the_events_that_have_one(stories):
    """At the beginning only the input is known; servers of the past say at the end only the output."""
    (finish,) = [piece for piece in anthropic_messages(stories.begun()) if type(piece) is not Custom]
    assert finish == Finish(None, Usage(input_tokens=11), "story")
    *_, finish = anthropic_messages(stories.ended("end_turn", 3)[0])
    assert finish == Finish("stop", Usage(output_tokens=3))
    for event in ({"type": "message_start", "message": {}}, {"type": "message_stop", "message": {}}):
        assert anthropic_messages(event) == [Custom(event["type"], event)]


async def test_the_helper_has_added_the_usage_up(kit, stories):
    events = [stories.begun(cache_read_input_tokens=4), *stories.ended("end_turn", 3)]
    came = await kit.read(helped(events))
    assert came.ended == Ended(
        "stop", 0, 0, Usage(input_tokens=15, output_tokens=3, total_tokens=18, cached_input_tokens=4), "story"
    )


async def test_text_that_stands_in_a_block_at_its_start(kit, stories):
    start = {"type": "text", "text": "Once "}
    for items in both(
        [stories.begun(), *stories.block(0, start, *stories.texts(["upon"])), *stories.ended("end_turn")]
    ):
        assert (await kit.read(items)).texts == ["Once ", "upon"]
    items = helped([stories.begun(), *stories.block(0, start, *stories.texts(["upon"])), *stories.ended("end_turn")])
    assert (await kit.read(items)).text == items[-1].message.content[0].text == "Once upon"


async def test_a_message_that_fails(kit, stories):
    failure = {"type": "overloaded_error", "message": "Overloaded", "details": "secret"}
    begun = [stories.begun(), *stories.block(0, {"type": "text", "text": ""}, *stories.texts(["Hel"]))]
    came = await kit.read([*begun, {"type": "error", "error": failure, "request_id": "secret"}])
    assert came.texts == ["Hel"] and came.of(Ended) == []
    assert (
        type(came.error) is ProviderError and str(came.error) == "the provider failed with overloaded_error: Overloaded"
    )
    assert vars(came.error) == {"message": "Overloaded", "type": "overloaded_error", "provider_code": None}


async def test_characters_that_are_torn_in_two(kit, stories):
    events = [stories.begun(), *stories.block(0, {"type": "text", "text": ""}, *stories.texts(["a\ud83d", "\ude00b"]))]
    for items in (*both(events), helped(events)):
        came = await kit.read(items)
        assert came.error is None and came.text == "a😀b"


@pytest.mark.filterwarnings("error")
async def test_what_this_version_of_the_sdk_does_not_know(kit, stories):
    events = [
        stories.begun(),
        *stories.block(0, {"type": "hologram", "text": "no"}, {"type": "hologram_delta", "text": "no"}),
        {"type": "message_note", "note": "no"},
        {"type": "content_block_delta", "index": 0, "delta": {"text": "no"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi", "sure": 0.5}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": None}},
        *stories.ended("end_turn"),
    ]
    for items in both(events):
        came = await kit.read(items)
        assert came.error is None and came.text == "Hi" and came.ended.reason == "stop"
        assert came.named("hologram_delta") == [events[2]] and came.named("message_note") == [events[4]]
        assert came.named("content_block_delta") == [events[5]] and came.named("sure") == [0.5]


@pytest.mark.parametrize(
    "item",
    [
        "text",
        {},
        {"type": 7},
        {"type": "text", "text": "a block"},
        {"type": "thinking", "thinking": "a block"},
        SimpleNamespace(type="text", text="a block"),
        {"type": "message", "content": [{"type": "text", "text": "not streamed"}]},
        {"type": "completion", "completion": "of the past"},
        {"type": "error"},
        {"type": "error", "message": "of another provider"},
        {"type": "response.output_text.delta", "delta": "x"},
    ],
)
def test_what_is_no_event_of_a_message(item):
    assert anthropic_messages(item) is None
