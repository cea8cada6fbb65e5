"""Answers with every kind of content, in each provider's format: the same text, in two blocks, and two tool calls."""

from __future__ import annotations

from typing import Any

FIRST = ["It is ", "raining in ", "Lïsbon", " 😀. 記憶は", "川である。"]
SECOND = [" Take", " an umbrella."]
TEXT = "".join(FIRST + SECOND)
SECRET = "Which coat? "  # what the model thinks, says of its tools, and shows again: none of it is text of the answer


def message(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": list(parts)} | more


def part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": "story",
        "instructions": SECRET,
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": "completed",
    } | more


USED = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
    "output_tokens": 22,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 33,
}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"a":1}'}
REASONED = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": SECRET}]}
SEARCHED = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": SECRET},
}
SHELL = {
    "id": "sh_1",
    "type": "shell_call",
    "call_id": "call_9",
    "status": "completed",
    "action": {"commands": [SECRET]},
}
SHOWN = {
    "id": "sho_1",
    "type": "shell_call_output",
    "call_id": "call_9",
    "status": "completed",
    "max_output_length": None,
    "output": [{"stdout": SECRET, "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
}


NO = ["I cannot ", "tell you."]


def numbered(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


def said(texts: list[str], content: int) -> list[dict[str, Any]]:
    """A part of the message, from its beginning to its end."""
    where = {"item_id": "msg_1", "output_index": 3, "content_index": content}
    text = "".join(texts)
    return [
        {"type": "response.content_part.added", **where, "part": part("")},
        *({"type": "response.output_text.delta", **where, "delta": each, "logprobs": []} for each in texts),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part(text)},
    ]


def openai_story(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    """A response: reasoning, tools that run at the provider, an answer in two parts, then calls that wait for the
    caller.
    """
    whole = message(part("".join(FIRST)), part("".join(SECOND)))
    opening = [REASONED, SHELL, SHOWN]
    where = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.in_progress", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": REASONED | {"summary": []}},
        {"type": "response.reasoning_summary_part.added", **where, "part": {"type": "summary_text", "text": ""}},
        {"type": "response.reasoning_summary_text.delta", **where, "delta": SECRET},
        {"type": "response.reasoning_summary_text.done", **where, "text": SECRET},
        *(
            {"type": f"response.output_item.{step}", "output_index": index, "item": item}
            for index, item in enumerate(opening[1:], 1)
            for step in ("added", "done")
        ),
        {"type": "response.output_item.added", "output_index": 3, "item": message(status="in_progress")},
        *said(FIRST, 0),
        *said(SECOND, 1),
        {"type": "response.output_item.done", "output_index": 3, "item": whole},
    ]
    for index, call in enumerate(calls, 4):
        where = {"item_id": call["id"], "output_index": index}
        events += [
            {"type": "response.output_item.added", "output_index": index, "item": call | {"arguments": ""}},
            {"type": "response.function_call_arguments.delta", **where, "delta": call["arguments"]},
            {"type": "response.function_call_arguments.done", **where, "name": "look", "arguments": call["arguments"]},
            {"type": "response.output_item.done", "output_index": index, "item": call},
        ]
    done = response(*opening, whole, *calls, usage=USED)
    return numbered([*events, {"type": "response.completed", "response": done}])


def openai_refusal() -> list[dict[str, Any]]:
    said = {"type": "refusal", "refusal": "".join(NO)}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return numbered(
        [
            {"type": "response.created", "response": response(status="in_progress")},
            {"type": "response.output_item.added", "output_index": 0, "item": message(status="in_progress")},
            {"type": "response.content_part.added", **where, "part": {"type": "refusal", "refusal": ""}},
            *({"type": "response.refusal.delta", **where, "delta": each} for each in NO),
            {"type": "response.refusal.done", **where, "refusal": "".join(NO)},
            {"type": "response.content_part.done", **where, "part": said},
            {"type": "response.output_item.done", "output_index": 0, "item": message(said)},
            {"type": "response.completed", "response": response(message(said), usage=USED)},
        ]
    )


def chunk(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    known = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "story"}
    return {**known, "choices": list(choices), **more}


def choice(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


CHAT_USED = {
    "prompt_tokens": 11,
    "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
    "completion_tokens": 22,
    "completion_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 33,
}
CHAT_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}


def chat_story(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    """A chat completion: reasoning, which the SDK does not know, the answer, then calls that wait for the caller."""
    return [
        chunk(choice(role="assistant", content="", refusal=None)),
        chunk(choice(reasoning_content=SECRET)),
        *(chunk(choice(content=text)) for text in FIRST + SECOND),
        *(chunk(choice(tool_calls=[call])) for call in calls),
        chunk(choice("tool_calls" if calls else "stop")),
        chunk(usage=CHAT_USED),
    ]


def chat_refusal() -> list[dict[str, Any]]:
    return [
        chunk(choice(role="assistant", content=None, refusal="")),
        *(chunk(choice(refusal=text)) for text in NO),
        chunk(choice("stop")),
        chunk(usage=CHAT_USED),
    ]


def begun(**usage: int) -> dict[str, Any]:
    return {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "story",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 1, **usage},
        },
    }


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ended(reason: str, output: int = 22, usage: dict[str, Any] | None = None, **delta: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None, **delta}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": output, **(usage or {})}},
        {"type": "message_stop"},
    ]


def texts(pieces: list[str]) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": each} for each in pieces]


CITED = {
    "type": "char_location",
    "cited_text": SECRET,
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 12,
}
USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}


def anthropic_story(*uses: dict[str, Any]) -> list[dict[str, Any]]:
    """A message: thinking, a search at the provider, an answer in two blocks, then tool calls that wait for the
    caller.
    """
    events = [
        begun(cache_creation_input_tokens=3, cache_read_input_tokens=4),
        {"type": "ping"},
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": SECRET},
            {"type": "signature_delta", "signature": "c2lnbmVk"},
        ),
        *block(1, {"type": "text", "text": "", "citations": None}, *texts(FIRST)),
        *block(
            2,
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"query": "Which '},
            {"type": "input_json_delta", "partial_json": 'coat? "}'},
        ),
        *block(
            3,
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {
                        "type": "web_search_result",
                        "title": SECRET,
                        "url": "https://example.org",
                        "encrypted_content": "eA==",
                        "page_age": None,
                    }
                ],
            },
        ),
        *block(
            4,
            {"type": "text", "text": "", "citations": []},
            {"type": "citations_delta", "citation": CITED},
            *texts(SECOND),
        ),
    ]
    for index, use in enumerate(uses, 5):
        events += block(index, use, {"type": "input_json_delta", "partial_json": '{"a":1}'})
    counted = {
        "input_tokens": 11,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    return [*events, *ended("tool_use" if uses else "end_turn", usage=counted)]


def anthropic_refusal(*said: str) -> list[dict[str, Any]]:
    """It may come before the first word, or after some."""
    why = {"type": "refusal", "category": "cyber", "explanation": SECRET}
    text = block(0, {"type": "text", "text": "", "citations": None}, *texts(list(said))) if said else []
    return [begun(), *text, *ended("refusal", usage={"input_tokens": 11}, stop_details=why)]
