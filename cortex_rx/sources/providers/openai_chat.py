"""OpenAI chat completions."""

from __future__ import annotations

from typing import Any

from cortex_rx.events import Custom
from cortex_rx.models.records import Usage
from cortex_rx.sources.providers._pieces import Finish, Piece, as_json, field, fields, model_of, others, passed, refused

__all__ = ["openai_chat"]

_CHUNK = "chat.completion.chunk"
_OF_CHUNK = frozenset(  # fields that are read here, or say nothing about the answer
    ("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "obfuscation")
)
_OF_CHOICE = frozenset(("index", "delta", "finish_reason"))
_OF_DELTA = frozenset(("content", "refusal", "role"))
_REPEATS = frozenset(
    f"{what}.{when}"
    for what in ("content", "refusal", "logprobs.content", "logprobs.refusal", "tool_calls.function.arguments")
    for when in ("delta", "done")
)
_SO_FAR = ("snapshot", "parsed", "arguments", "parsed_arguments")  # in a delta: everything so far, repeated each time


def openai_chat(item: Any) -> list[Piece] | None:
    """The chunks of OpenAI chat completions, and the events of the SDK's `chat.completions.stream()`; objects or JSON.

    Only the text of the first choice is text of the answer. The text of a refusal is too, and also passes as a `Custom`
    named `refusal`. Every other field is a `Custom` with the field's name: `tool_calls`, `function_call`, `audio`,
    `reasoning_content`, `logprobs`, `citations` and so on. Another choice is a `Custom` named `choice`. The name of the
    model is read from the chunks that have a role, a reason or the usage.

    Of the SDK's events, `chunk` is read as the chunk in it. The others repeat the chunk (`content.delta`,
    `content.done` ...). They pass as a `Custom` named by their type, without the text so far, and add no text.

    >>> choice = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}
    >>> chunk = {"object": "chat.completion.chunk", "choices": [choice]}
    >>> openai_chat(chunk)
    ['Hi']
    >>> openai_chat({"type": "chunk", "chunk": chunk, "snapshot": {}})
    ['Hi']
    >>> openai_chat({"type": "content.delta", "delta": "Hi"})
    [Custom(name='content.delta', data={'type': 'content.delta', 'delta': 'Hi'})]
    >>> choice["delta"] = {"refusal": "I cannot"}
    >>> openai_chat(chunk)
    ['I cannot', Custom(name='refusal', data='I cannot')]
    >>> openai_chat({"object": "response"}) is None
    True
    """
    kind: object = field(item, "object")
    if kind is None and (again := _of_helper(item)) is not None:
        return again
    if kind != _CHUNK and (kind or not _are_choices(field(item, "choices"))):
        return None  # some servers send an empty `object`: Azure in its first chunk
    chunk = fields(item)
    pieces: list[Piece] = []
    for each in chunk.get("choices") or ():
        choice = fields(each)
        if choice.get("index"):
            pieces.append(Custom("choice", as_json(each)))
            continue
        delta = fields(choice.get("delta"))
        content = delta.get("content")
        if isinstance(content, str):
            pieces.append(content)
        elif content is not None:
            pieces.append(Custom("content", as_json(content)))
        if refusal := delta.get("refusal"):
            pieces += refused(refusal)
        others(delta, _OF_DELTA, pieces)
        others(choice, _OF_CHOICE, pieces)
        if (reason := choice.get("finish_reason")) is not None:
            pieces.append(Finish(reason, model=model_of(chunk)))
        elif delta.get("role"):  # the first chunk: the name is known although the stream may be cut off
            named = model_of(chunk)
            if named:
                pieces.append(Finish(model=named))
    others(chunk, _OF_CHUNK, pieces)
    if (usage := chunk.get("usage")) is not None:
        pieces.append(
            Finish(
                usage=Usage(
                    input_tokens=field(usage, "prompt_tokens"),
                    output_tokens=field(usage, "completion_tokens"),
                    total_tokens=field(usage, "total_tokens"),
                    cached_input_tokens=field(given := field(usage, "prompt_tokens_details"), "cached_tokens"),
                    cache_write_tokens=field(given, "cache_write_tokens"),
                    reasoning_tokens=field(field(usage, "completion_tokens_details"), "reasoning_tokens"),
                ),
                model=model_of(chunk),
            )
        )
    return pieces


def _of_helper(item: Any) -> list[Piece] | None:
    """The pieces in an event of the SDK's helper."""
    kind: object = field(item, "type")
    if kind == "chunk":
        return openai_chat(field(item, "chunk"))
    if not isinstance(kind, str) or kind not in _REPEATS:
        return None
    return [passed(item, kind, _SO_FAR) if kind.endswith("delta") else passed(item, kind)]


def _are_choices(choices: Any) -> bool:
    return isinstance(choices, list) and all(field(choice, "delta") is not None for choice in choices)
