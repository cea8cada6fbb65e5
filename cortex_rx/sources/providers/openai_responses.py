"""OpenAI responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cortex_rx.events import Custom
from cortex_rx.models.records import Usage
from cortex_rx.sources.providers._pieces import (
    Finish,
    Piece,
    as_json,
    field,
    fields,
    model_of,
    others,
    passed,
    raise_failure,
    refused,
)

__all__ = ["openai_responses"]

_TEXT = "response.output_text.delta"
_OF_TEXT = frozenset(  # fields that are read here, or only say where the text stands
    ("type", "delta", "snapshot", "content_index", "item_id", "output_index", "sequence_number", "obfuscation")
)
_REASONS = {"max_output_tokens": "length"}


def openai_responses(item: Any) -> list[Piece] | None:
    """The events of OpenAI responses, also those of the SDK's `responses.stream()`; objects or JSON.

    Only `response.output_text.delta` and `response.refusal.delta` are text of the answer; several parts of a message
    follow each other. All other events pass whole as a `Custom` named by their type (`response.reasoning_text.delta`,
    `response.output_item.done` ...).

    Two things also have the names that they have in chat completions. A piece of a refusal is also a `Custom` named
    `refusal`. When the response ends, the list of its calls that wait for the caller is a `Custom` named `tool_calls`,
    beside the reason "tool_calls".

    The reason is `stop`, `tool_calls`, `refusal`, or why the response is incomplete: `length`, `content_filter`.

    Raises `ProviderError` for `response.failed` and `error`.

    >>> openai_responses({"type": "response.output_text.delta", "delta": "Hi"})
    ['Hi']
    >>> openai_responses({"type": "response.refusal.delta", "delta": "I cannot"})
    ['I cannot', Custom(name='refusal', data='I cannot')]
    >>> response = {"incomplete_details": {"reason": "max_output_tokens"}}
    >>> openai_responses({"type": "response.incomplete", "response": response})[-1]
    Finish(reason='length', usage=None, model=None)
    >>> openai_responses({"type": "session.created"}) is None
    True
    """
    kind: object = field(item, "type")
    if kind == _TEXT:
        text: Any = field(item, "delta")
        pieces: list[Piece] = [text] if isinstance(text, str) else []
        others(fields(item), _OF_TEXT, pieces)
        return pieces
    if not isinstance(kind, str):
        return None
    if kind == "error" and isinstance(field(item, "message"), str):
        raise_failure(item)
    if not kind.startswith("response."):
        return None
    if kind == "response.refusal.delta":
        return refused(field(item, "delta"))
    response: Any = field(item, "response")
    if kind == "response.failed":
        raise_failure(field(response, "error"))
    pieces = [passed(item, kind)]
    if kind in ("response.completed", "response.incomplete"):
        output: Any = field(response, "output") or ()
        if calls := _waiting(output):
            pieces.append(Custom("tool_calls", as_json(calls)))
        if kind == "response.incomplete":
            given: str = field(field(response, "incomplete_details"), "reason") or "incomplete"
            reason = _REASONS.get(given, given)
        elif _refuses(output):
            reason = "refusal"
        else:
            reason = "tool_calls" if calls else "stop"
        pieces.append(Finish(reason, _usage(field(response, "usage")), model_of(response)))
    elif kind == "response.created" and (model := model_of(response)):
        pieces.append(Finish(model=model))
    return pieces


def _waiting(output: Iterable[Any]) -> list[Any]:
    """The calls without an answer yet. Calls of tools that run at the provider have their output beside them."""
    answered = {field(item, "call_id") for item in output if str(field(item, "type")).endswith("_output")}
    return [
        item
        for item in output
        if field(item, "type") == "mcp_approval_request"
        or (str(field(item, "type")).endswith("_call") and field(item, "call_id") not in {None, *answered})
    ]


def _refuses(output: Iterable[Any]) -> bool:
    return any(field(part, "type") == "refusal" for item in output for part in field(item, "content") or ())


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    return Usage(
        input_tokens=field(usage, "input_tokens"),
        output_tokens=field(usage, "output_tokens"),
        total_tokens=field(usage, "total_tokens"),
        cached_input_tokens=field(given := field(usage, "input_tokens_details"), "cached_tokens"),
        cache_write_tokens=field(given, "cache_write_tokens"),
        reasoning_tokens=field(field(usage, "output_tokens_details"), "reasoning_tokens"),
    )
