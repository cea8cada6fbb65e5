"""What it costs to read the chunks of each provider, beside bare text: `from_stream` alone, nothing is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from anthropic._models import construct_type as anthropic_object
from anthropic.lib.streaming._messages import accumulate_event, build_events
from anthropic.types import RawMessageStreamEvent
from openai._models import construct_type as openai_object
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from benchmarks.subjects import TURN, Model, Subject
from cortex_rx import from_stream, run
from cortex_rx import operators as cx
from cortex_rx.events import Ended

__all__ = ["AT_MOST", "providers"]


def chat(texts: Iterable[str]) -> list[Any]:
    """The chunks of chat completions, as the SDK gives them."""
    known = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "a-model"}
    known |= {"service_tier": "default", "system_fingerprint": "fp_1", "obfuscation": "x1y2"}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> Any:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return openai_object(value=known | {"choices": [choice], "usage": None}, type_=ChatCompletionChunk)

    return [*(chunk({"content": text}) for text in texts), chunk({}, "stop")]


def chat_helper(texts: Iterable[str]) -> list[Any]:
    """What `chat.completions.stream()` makes of them: two events for each."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    return [event for chunk in chat(texts) for event in state.handle_chunk(chunk)]


def responses(texts: Iterable[str]) -> list[Any]:
    """The events of responses, as the SDK gives them."""
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": [], "obfuscation": "x1y2"}
    delta = {"type": "response.output_text.delta", **where}
    events = [delta | {"delta": text, "sequence_number": number} for number, text in enumerate(texts)]
    events.append({"type": "response.completed", "response": {"id": "resp_1", "output": []}, "sequence_number": 0})
    return [openai_object(value=event, type_=ResponseStreamEvent) for event in events]


def messages(texts: Iterable[str]) -> list[Any]:
    """The events of messages, as the SDK gives them."""
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "a-model", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**start, "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    events += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts
    ]
    events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}})
    return [anthropic_object(value=event, type_=RawMessageStreamEvent) for event in events]


def messages_helper(texts: Iterable[str]) -> list[Any]:
    """What `messages.stream()` makes of them: two events for each."""
    given: list[Any] = []
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in messages(texts):
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
        given += build_events(event=event, message_snapshot=snapshot)
    return given


FORMS: dict[str, Callable[[Iterable[str]], list[Any]]] = {
    "text": list,
    "chat": chat,
    "chat+": chat_helper,
    "responses": responses,
    "messages": messages,
    "messages+": messages_helper,
}
AT_MOST = {"chat": 5.0, "chat+": 12.0, "responses": 4.0, "messages": 4.0, "messages+": 8.0}
"""What a chunk may cost, in chunks of bare text; the helpers (+) give two events for each."""


def providers(model: Model) -> dict[str, Subject]:
    """A subject for each form in which the text of `model` may come; the items are there before the clock runs."""

    def subject(items: list[Any]) -> Subject:
        async def stream() -> AsyncIterator[Any]:
            for item in items:
                yield item

        async def read(model: Model, store: Any) -> None:
            ended = await run(from_stream(stream, turn=TURN).pipe(cx.last(Ended)))
            assert (ended.reason, ended.offset, ended.index) == ("stop", sum(map(len, model.texts)), len(model.texts))

        return read

    return {name: subject(make(model.texts)) for name, make in FORMS.items()}
