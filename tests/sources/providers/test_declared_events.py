"""Every event that the two SDKs declare, enumerated from their own types and built from their own classes.

What becomes of each type is written down here; an event that a new version of an SDK declares fails until somebody
decides.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import pytest
from anthropic.lib.streaming import MessageStreamEvent, ParsedBetaMessageStreamEvent, ParsedMessageStreamEvent
from anthropic.types import RawContentBlockDelta, RawMessageStreamEvent
from anthropic.types.beta import BetaRawContentBlockDelta, BetaRawMessageStreamEvent
from anthropic.types.beta import beta_raw_content_block_start_event as beta_start
from anthropic.types.beta_error_response import BetaErrorResponse
from anthropic.types.raw_content_block_start_event import ContentBlock, RawContentBlockStartEvent
from anthropic.types.shared import ErrorResponse
from openai.lib.streaming.chat import ChatCompletionStreamEvent
from openai.lib.streaming.responses import ResponseStreamEvent as HelperStreamEvent
from openai.types.beta import BetaResponsesServerEvent, BetaResponseStreamEvent
from openai.types.responses import ResponsesServerEvent, ResponseStreamEvent
from pydantic import BaseModel

from cortex_rx.errors import ProviderError
from cortex_rx.events import Custom
from cortex_rx.models.records import Usage
from cortex_rx.sources.providers import PROVIDERS, Finish, anthropic_messages, openai_chat, openai_responses

PIECE, FAILS, ENDS = "a piece", "fails", "ends"
EARLY = datetime(2030, 1, 1, tzinfo=UTC)

RESPONSES = {
    "response.output_text.delta": PIECE,
    "response.refusal.delta": PIECE,
    "response.failed": FAILS,
    "error": FAILS,
    "response.completed": ENDS,
    "response.incomplete": ENDS,
} | dict.fromkeys(
    """
    response.audio.delta response.audio.done response.audio.transcript.delta response.audio.transcript.done
    response.code_interpreter_call.completed response.code_interpreter_call.in_progress
    response.code_interpreter_call.interpreting response.code_interpreter_call_code.delta
    response.code_interpreter_call_code.done response.compaction.compacting response.content_part.added
    response.content_part.done response.created response.custom_tool_call_input.delta
    response.custom_tool_call_input.done response.file_search_call.completed response.file_search_call.in_progress
    response.file_search_call.searching response.function_call_arguments.delta response.function_call_arguments.done
    response.image_generation_call.completed response.image_generation_call.generating
    response.image_generation_call.in_progress response.image_generation_call.partial_image response.in_progress
    response.mcp_call.completed response.mcp_call.failed response.mcp_call.in_progress
    response.mcp_call_arguments.delta response.mcp_call_arguments.done response.mcp_list_tools.completed
    response.mcp_list_tools.failed response.mcp_list_tools.in_progress response.output_item.added
    response.output_item.done response.output_text.annotation.added response.output_text.done response.queued
    response.reasoning_summary_part.added response.reasoning_summary_part.done
    response.reasoning_summary_text.delta response.reasoning_summary_text.done response.reasoning_text.delta
    response.reasoning_text.done response.refusal.done response.shell_call_command.added
    response.shell_call_command.delta response.shell_call_command.done response.shell_call_output_content.delta
    response.shell_call_output_content.done response.web_search_call.completed response.web_search_call.in_progress
    response.web_search_call.searching response.steer.accepted response.steer.failed response.steer.pending
    response.inject.created response.inject.failed
    """.split(),
    "passes",
)
MESSAGES = dict.fromkeys(
    """
    content_block_stop text thinking signature citation input_json compaction
    """.split(),
    "passes",
) | {
    "message_start": ENDS,
    "message_delta": ENDS,
    "message_stop": ENDS,
    "content_block_start": PIECE,
    "content_block_delta": PIECE,
}
DELTAS = "text_delta thinking_delta signature_delta input_json_delta citations_delta compaction_delta".split()
BLOCKS = """
    text thinking redacted_thinking tool_use server_tool_use web_search_tool_result web_fetch_tool_result
    advisor_tool_result code_execution_tool_result bash_code_execution_tool_result
    text_editor_code_execution_tool_result tool_search_tool_result mcp_tool_use mcp_tool_result container_upload
    compaction fallback mcp_tool_listing
    """.split()


CHAT = {  # of the SDK's helper, and what is left out of each because it is what came before
    "chunk": None,
    "content.delta": {"snapshot", "parsed"},
    "content.done": set(),
    "refusal.delta": {"snapshot"},
    "refusal.done": set(),
    "tool_calls.function.arguments.delta": {"arguments", "parsed_arguments"},
    "tool_calls.function.arguments.done": set(),
    "logprobs.content.delta": {"snapshot"},
    "logprobs.content.done": set(),
    "logprobs.refusal.delta": {"snapshot"},
    "logprobs.refusal.done": set(),
}


def variants(kind: Any) -> list[type[BaseModel]]:
    """The classes of a union."""
    if get_origin(kind) is Annotated:
        return variants(get_args(kind)[0])
    if get_origin(kind) is Union or type(kind) is type(int | str):
        return [each for part in get_args(kind) for each in variants(part)]
    return [kind]


def type_of(kind: Any) -> str:
    (name,) = get_args(kind.model_fields["type"].annotation)
    return name


def sample(kind: Any, name: str, deep: int = 0) -> Any:
    """Something of that type with every field filled; text says the name of its field."""
    origin = get_origin(kind)
    if origin is Annotated:
        return sample(get_args(kind)[0], name, deep)
    if origin is Union or type(kind) is type(int | str):
        chosen = get_args(kind)[0]
        return None if deep > 6 and type(None) in get_args(kind) else sample(chosen, name, deep)
    if origin is Literal:
        return get_args(kind)[0]
    if origin in (list, tuple):
        return [] if deep > 6 else [sample(get_args(kind)[0], name, deep + 1)]
    if origin is dict:
        return {name: sample(get_args(kind)[1], name, deep + 1)}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return built(kind, deep)
    known = {str: f"<{name}>", int: 7, float: 0.5, bool: True, type(None): None, object: {}, Any: {}, datetime: EARLY}
    return None if isinstance(kind, TypeVar) else known[kind]


def built(kind: type[BaseModel], deep: int = 0, **given: Any) -> Any:
    fields = kind.model_fields.items()
    filled = {name: sample(field.annotation, name, deep + 1) for name, field in fields if name not in given}
    return kind.model_construct(**filled, **given)


def as_sent(item: Any) -> dict[str, Any]:
    return json.loads(json.dumps(item.model_dump(mode="json", exclude_none=True, warnings=False)))


def read(item: Any) -> Any:
    """What the one provider that knows the item reads; the same from the item's JSON."""
    came = []
    for each in (item, as_sent(item)):
        known = {provider: pieces for provider in PROVIDERS if (pieces := provider(each)) is not None}
        ((provider, pieces),) = known.items()
        came.append((provider, pieces))
    assert came[0] == came[1]
    return came[0]


def cases(kind: Any) -> list[Any]:
    return [pytest.param(each, id=each.__name__) for each in variants(kind)]


OPENAI = {
    "api": ResponseStreamEvent,
    "helper": HelperStreamEvent,
    "websocket": ResponsesServerEvent,
    "beta": BetaResponseStreamEvent,
    "beta websocket": BetaResponsesServerEvent,
}
ANTHROPIC = {
    "api": RawMessageStreamEvent,
    "helper": MessageStreamEvent,
    "parsed": ParsedMessageStreamEvent,
    "beta": BetaRawMessageStreamEvent,
    "beta helper": ParsedBetaMessageStreamEvent,
}


def test_each_type_is_decided():
    declared = {type_of(each) for kind in OPENAI.values() for each in variants(kind)}
    assert declared == set(RESPONSES)
    assert {type_of(each) for kind in ANTHROPIC.values() for each in variants(kind)} == set(MESSAGES)
    assert {type_of(each) for each in variants(ChatCompletionStreamEvent)} == set(CHAT)
    both = variants(RawContentBlockDelta) + variants(BetaRawContentBlockDelta)
    assert {type_of(each) for each in both} == set(DELTAS)
    both = variants(ContentBlock) + variants(beta_start.ContentBlock)
    assert {type_of(each) for each in both} == set(BLOCKS)


@pytest.mark.parametrize("kind", [each for union in OPENAI.values() for each in cases(union)])
def test_an_event_of_openai_responses(kind):
    item, name = built(kind), type_of(kind)
    whole = as_sent(item)
    whole.pop("snapshot", None)
    if RESPONSES[name] == FAILS:
        for each in (item, whole):
            with pytest.raises(ProviderError) as caught:
                openai_responses(each)
                anthropic_messages(each)
            assert (caught.value.message, caught.value.provider_code) in [
                ("<message>", "<code>"),
                ("<message>", "server_error"),
            ]
        return
    provider, pieces = read(item)
    assert provider is openai_responses
    if name == "response.output_text.delta":
        assert pieces[:2] == ["<delta>", Custom("logprobs", whole["logprobs"])]
        assert {piece.name for piece in pieces[2:]} <= {"agent", "stream_id"}
    elif name == "response.refusal.delta":
        assert pieces == ["<delta>", Custom("refusal", "<delta>")]
    elif RESPONSES[name] == ENDS:
        *customs, finish = pieces
        assert customs == [Custom(name, whole)]
        assert finish.reason == ("stop" if name == "response.completed" else "length")
        assert finish.usage == Usage(7, 7, 7, 7, 7, 7) and finish.model == item.response.model
    elif name == "response.created":
        assert pieces == [Custom(name, whole), Finish(model=item.response.model)]
    else:
        assert pieces == [Custom(name, whole)]


@pytest.mark.parametrize("kind", cases(ChatCompletionStreamEvent))
def test_an_event_of_the_helper_of_openai_chat(kind):
    item, name = built(kind), type_of(kind)
    if name == "chunk":
        item.chunk.choices[0].index = 0
    provider, pieces = read(item)
    assert provider is openai_chat
    if name == "chunk":
        assert pieces == openai_chat(item.chunk)
        assert [piece for piece in pieces if isinstance(piece, str)] == ["<content>", "<refusal>"]
    else:
        whole = {key: value for key, value in as_sent(item).items() if key not in CHAT[name]}
        assert pieces == [Custom(name, whole)]


@pytest.mark.parametrize("kind", [each for union in ANTHROPIC.values() for each in cases(union)])
def test_an_event_of_anthropic_messages(kind):
    item, name = built(kind), type_of(kind)
    provider, pieces = read(item)
    whole = as_sent(item)
    whole.pop("snapshot", None)
    assert provider is anthropic_messages
    if name == "content_block_delta":
        assert pieces == ["<text>"]
    elif name == "content_block_start":
        assert pieces == ["<text>", Custom(name, whole)]
    else:
        assert pieces[0] == Custom(name, whole)
        rest = pieces[1:]
        if name == "message_start":
            assert rest == [Finish(None, Usage(21, cached_input_tokens=7, cache_write_tokens=7), item.message.model)]
        elif name == "message_delta":
            assert (rest[0].reason, rest[0].usage.input_tokens, rest[0].usage.output_tokens) == ("stop", 21, 7)
        else:
            assert [piece.usage.total_tokens for piece in rest] == ([28] if "message" in whole else [])


@pytest.mark.parametrize("kind", cases(RawContentBlockDelta) + cases(BetaRawContentBlockDelta))
def test_a_delta_of_anthropic_messages(kind):
    (event,) = {each for each in variants(RawMessageStreamEvent) if type_of(each) == "content_block_delta"}
    item = built(event, delta=built(kind))
    expected = ["<text>"] if type_of(kind) == "text_delta" else [Custom(type_of(kind), as_sent(item))]
    assert read(item) == (anthropic_messages, expected)


@pytest.mark.parametrize("kind", cases(ContentBlock) + cases(beta_start.ContentBlock))
def test_the_start_of_a_block_of_anthropic_messages(kind):
    item, name = built(RawContentBlockStartEvent, content_block=built(kind)), type_of(kind)
    expected: list[Any] = [Custom("content_block_start", as_sent(item))]
    if name == "text":  # what stands in the block at its start; the SDK adds the deltas to it
        expected.insert(0, "<text>")
    if name == "tool_use":
        expected.append(Custom("tool_calls", [as_sent(item)["content_block"]]))
    assert read(item) == (anthropic_messages, expected)


@pytest.mark.parametrize("response", [ErrorResponse, BetaErrorResponse])
def test_a_failure_of_anthropic_messages(response):
    for kind in variants(response.model_fields["error"].annotation):
        item = built(response, error=built(kind))
        for each in (item, as_sent(item)):
            assert openai_responses(each) is None
            with pytest.raises(ProviderError) as caught:
                anthropic_messages(each)
            assert caught.value.message == "<message>" and caught.value.type == type_of(kind)
            assert str(caught.value) == f"the provider failed with {type_of(kind)}: <message>"
