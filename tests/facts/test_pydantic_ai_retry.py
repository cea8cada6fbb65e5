"""A model whose output is cut off, and asked again: in the store each fact is there, and none is there twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from cortex_rx.backends import SqliteBackend
from cortex_rx.facts.extractor import extract
from cortex_rx.facts.pydantic_ai import PydanticAIExtractor

FACTS = [{"fact": f"Ada has {at} cups.", "fact_type": "custom", "confidence": 50 + at} for at in range(20)]
OUTPUT = json.dumps({"facts": FACTS})
ANSWER = "Ada has many cups."


async def test_what_was_complete_is_there_once_after_the_retry() -> None:
    from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

    cut: list[int | None] = []

    async def stream(messages: Any, info: AgentInfo) -> AsyncIterator[Any]:
        yield {0: DeltaToolCall(info.output_tools[0].name, OUTPUT[: cut[0]], tool_call_id="c")}
        if cut.pop(0) is not None:
            raise ConnectionResetError

    extractor = PydanticAIExtractor(FunctionModel(stream_function=stream))
    async with SqliteBackend(":memory:") as backend:
        for number in range(21):  # facts that are complete the first time, with a half one after them
            cut += [len(json.dumps({"facts": FACTS[:number]})) + 5, None]
            space = {"memorySpaceId": f"s-{number}"}
            writer = {**space, "streamId": f"st-{number}", "epoch": 1}
            window = {**writer, "side": "answer", "attempt": 0, "from": 0, "to": len(ANSWER)}
            asked = {"conversationId": "c", "userMessage": "Hi", "userId": "ada", "importance": 50, "tags": []}
            await backend.mutation("streams:begin", {**space, "streamId": f"st-{number}", **asked})
            await backend.mutation("streams:append", {**writer, "attempt": 0, "start": 0, "text": ANSWER})

            first = await extract(extractor, "Hi", ANSWER)
            assert len(first.facts) == number and first.code == "ConnectionResetError"
            rows = [fact.row() for fact in first.facts]
            await backend.mutation("facts:commit", {**window, "facts": rows, "error": first.code})
            end = {"attempt": 0, "start": len(ANSWER), "text": "", "length": len(ANSWER)}
            await backend.mutation("streams:finalize", {**writer, **end})
            held = [row["fact"] for row in await backend.query("facts:list", space)]
            assert held == [fact["fact"] for fact in FACTS[:number]]

            queued = await backend.query("facts:queued", space)
            assert ("answer", 0, len(ANSWER)) in [(row["side"], row["from"], row["to"]) for row in queued]
            again = await extract(extractor, "Hi", ANSWER)
            assert len(again.facts) == 20 and again.error is None
            for _ in range(2):  # also when the answer of the store was lost
                await backend.mutation("facts:commit", {**window, "facts": [fact.row() for fact in again.facts]})
                held = [row["fact"] for row in await backend.query("facts:list", space)]
                assert sorted(held) == sorted(fact["fact"] for fact in FACTS)
