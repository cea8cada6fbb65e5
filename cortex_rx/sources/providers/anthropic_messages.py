"""Anthropic messages."""

from __future__ import annotations

from collections.abc import Mapping
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
)

__all__ = ["anthropic_messages"]

_OF_TEXT = frozenset(("type", "text"))
_EVENTS = ("message_", "content_block_", "ping")
_REPEATS = frozenset(("text", "thinking", "citation", "input_json"))
_ALONE = frozenset(("signature", "compaction"))
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
_WRITTEN, _READ = "cache_creation_input_tokens", "cache_read_input_tokens"


def anthropic_messages(item: Any) -> list[Piece] | None:
    """The events of Anthropic messages, also those that the SDK's `messages.stream()` adds; objects or JSON.

    Only the text of text blocks is text of the answer; several blocks follow each other. Everything else passes whole
    as a `Custom` named by its type: the type of the delta (`thinking_delta`, `input_json_delta`, `citations_delta` ...)
    or of the event (`message_start`, `content_block_start` ...). Events in which the SDK repeats an event (`text`,
    `thinking` ...) pass without their `snapshot`; they add no text.

    Two things also have the names that they have for other providers. The start of a tool call that waits for the
    caller is also a `Custom` named `tool_calls`. A refusal is also a `Custom` named `refusal`, with its details or
    None. It comes at the end only: text before it, if any, is text of the answer.

    The reason is `stop`, `length`, `tool_calls` or `refusal`; another reason (`pause_turn`) is passed unchanged. Input
    tokens include those written to and read from the cache.

    Raises `ProviderError` for `error`.

    >>> anthropic_messages({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}})
    ['Hi']
    >>> anthropic_messages({"type": "text", "text": "Hi", "snapshot": "Hi"})
    [Custom(name='text', data={'type': 'text', 'text': 'Hi'})]
    >>> end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
    >>> anthropic_messages(end)[-1].usage.output_tokens
    3
    >>> anthropic_messages({"type": "text", "text": "a block, no event"}) is None
    True
    """
    kind: object = field(item, "type")
    if kind == "content_block_delta":
        delta: Any = field(item, "delta")
        name: Any = field(delta, "type")
        if name != "text_delta":
            return [passed(item, name if isinstance(name, str) else "content_block_delta")]
        text: Any = field(delta, "text")
        pieces: list[Piece] = [text] if isinstance(text, str) else []
        others(fields(delta), _OF_TEXT, pieces)
        return pieces
    if not isinstance(kind, str):
        return None
    if kind == "error" and (failure := field(item, "error")) is not None:
        raise_failure(failure)
    if not (kind.startswith(_EVENTS) or kind in _ALONE or (kind in _REPEATS and _accumulates(item))):
        return None
    pieces = [passed(item, kind)]
    if kind == "content_block_start":
        block: Any = field(item, "content_block")
        if field(block, "type") == "text" and (begun := field(block, "text")):
            pieces.insert(0, begun)  # the deltas follow it
        elif field(block, "type") == "tool_use":
            pieces.append(Custom("tool_calls", [as_json(block)]))
    elif kind == "message_start":
        message: Any = field(item, "message")
        usage, model = _usage(field(message, "usage")), model_of(message)
        if usage is not None:  # its output tokens are only those of the beginning
            usage = usage.model_copy(update=dict.fromkeys(("output_tokens", "total_tokens", "reasoning_tokens")))
        if usage or model:
            pieces.append(Finish(usage=usage, model=model))
    elif kind == "message_delta":
        delta = field(item, "delta")
        reason: Any = field(delta, "stop_reason")
        if reason == "refusal":
            pieces.append(Custom("refusal", as_json(field(delta, "stop_details"))))
        pieces.append(Finish(_REASONS.get(reason, reason), _usage(field(item, "usage"))))
    elif kind == "message_stop" and (usage := _usage(field(field(item, "message"), "usage"))) is not None:
        pieces.append(Finish(usage=usage))  # the total, from the SDK
    return pieces


def _accumulates(item: Any) -> bool:
    """Whether the item is an event of the SDK, not a content block of the same type."""
    return "snapshot" in item if isinstance(item, Mapping) else hasattr(item, "snapshot")


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    given, output = field(usage, "input_tokens"), field(usage, "output_tokens")
    written, read = field(usage, _WRITTEN), field(usage, _READ)
    # Anthropic counts them beside its input tokens, the other providers among them.
    count = None if given is None else given + (written or 0) + (read or 0)
    return Usage(
        input_tokens=count,
        output_tokens=output,
        total_tokens=None if count is None or output is None else count + output,
        cached_input_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=field(field(usage, "output_tokens_details"), "thinking_tokens"),
    )
