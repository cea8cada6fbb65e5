"""OpenAI chat completions."""

from __future__ import annotations

from typing import Any

from cortex_rx.events import Custom
from cortex_rx.providers._pieces import Finish, Piece, as_json, field, others
from cortex_rx.types import Usage

__all__ = ["openai_chat"]

_CHUNK = "chat.completion.chunk"
_OF_CHUNK = frozenset(  # what is read here, or says nothing of the answer
    ("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "obfuscation")
)
_OF_CHOICE = frozenset(("index", "delta", "finish_reason"))
_OF_DELTA = frozenset(("content", "role"))


def openai_chat(item: Any) -> list[Piece] | None:
    """The chunks of OpenAI chat completions: the SDK's objects, or their JSON as a dictionary.

    Only the text of the first choice is text of the answer.  All else that comes is a `Custom` of the name that it has there:
    `tool_calls`, `function_call`, `refusal`, `audio`, `reasoning_content`, `logprobs`, `citations` and so on; another choice
    is a `Custom` named `choice`.

    >>> chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
    >>> openai_chat(chunk)
    ['Hi']
    >>> openai_chat({"object": "response"}) is None
    True
    """
    kind: object = field(item, "object")
    choices: Any = field(item, "choices")
    if kind != _CHUNK and (kind or not _are_choices(choices)):  # some servers send it empty: Azure in its first chunk
        return None
    pieces: list[Piece] = []
    for choice in choices or ():
        if field(choice, "index"):
            pieces.append(Custom("choice", as_json(choice)))
            continue
        delta: Any = field(choice, "delta")
        content: Any = field(delta, "content")
        if isinstance(content, str):
            pieces.append(content)
        elif content is not None:
            pieces.append(Custom("content", as_json(content)))
        others(delta, _OF_DELTA, pieces)
        others(choice, _OF_CHOICE, pieces)
        if (reason := field(choice, "finish_reason")) is not None:
            pieces.append(Finish(reason))
    others(item, _OF_CHUNK, pieces)
    if (usage := field(item, "usage")) is not None:
        pieces.append(
            Finish(
                usage=Usage(
                    input_tokens=field(usage, "prompt_tokens"),
                    output_tokens=field(usage, "completion_tokens"),
                    total_tokens=field(usage, "total_tokens"),
                )
            )
        )
    return pieces


def _are_choices(choices: Any) -> bool:
    return isinstance(choices, list) and all(field(choice, "delta") is not None for choice in choices)
