"""A model reads an answer while it streams: what it had not said when it was cut off is read later, nothing twice."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from cortex_rx import Cortex, SqliteBackend
from cortex_rx.facts import PydanticAIDecider, PydanticAIExtractor
from cortex_rx.facts.draining import drain
from cortex_rx.facts.reader import FactReader
from cortex_rx.testing import run_virtual

SENTENCES = [f"You have {at} red cups and {at + 1} blue ones, as you said when we met in town. " for at in range(30)]
ALL = [f"Ada has {at} cups." for at in range(30)]
PARAMS: dict[str, Any] = {"memory_space_id": "s", "conversation_id": "c", "user_message": "Hi"}
PARAMS |= {"user_id": "ada", "user_name": "Ada"}


class Model:
    """Reads the sentences in the frame, and breaks off each output at so many characters."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.asked = 0

    async def __call__(self, messages: Any, info: Any) -> AsyncIterator[Any]:
        from pydantic_ai.models.function import DeltaToolCall

        self.asked += 1
        text = "".join(line[2:] for line in messages[-1].parts[0].content.split("\n") if line.startswith("| "))
        facts = [
            {"fact": f"Ada has {at} cups.", "fact_type": "custom", "confidence": 80, "subject": "user"}
            for at in re.findall(r"have (\d+) red cups", text)
        ]
        output = json.dumps({"facts": facts})
        yield {0: DeltaToolCall(info.output_tools[0].name, output[: self.most], tool_call_id="c")}
        if self.most is not None and self.most < len(output):
            raise ConnectionResetError


async def answer() -> AsyncIterator[str]:
    for sentence in SENTENCES:
        await asyncio.sleep(0.05)
        yield sentence


def test_a_model_that_is_cut_off_each_time_costs_time_and_no_fact() -> None:
    from pydantic_ai.models.function import FunctionModel

    model = Model(most=150)

    async def main() -> None:
        extractor = PydanticAIExtractor(FunctionModel(stream_function=model))
        async with SqliteBackend(":memory:") as backend, Cortex(backend, extract_facts=extractor) as cortex:
            stream = cortex.memory.remember_stream(answer(), **PARAMS)
            result = await stream
            assert result.full_response == "".join(SENTENCES)
            first = [row["fact"] for row in await backend.query("facts:list", {"memorySpaceId": "s"})]
            assert 3 <= len(first) < 30 and len(set(first)) == len(first) and set(first) <= set(ALL)
            assert await backend.query("facts:queued", {"memorySpaceId": "s"})

            reader = FactReader(backend, extractor, timeout=30)
            assert (await drain(reader, "s")).failed, "it is still cut off"
            model.most = None
            report = await drain(reader, "s")
            assert (report.failed, report.dead) == (0, 0)
            rows = await backend.query("facts:list", {"memorySpaceId": "s"})
            assert sorted(row["fact"] for row in rows) == sorted(ALL)
            assert {row["subject"] for row in rows} == {"ada"}
            assert await backend.query("facts:queued", {"memorySpaceId": "s"}) == []

    run_virtual(main())


def test_a_model_decides_while_the_answer_streams() -> None:
    from pydantic_ai.messages import ModelResponse, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    asked: list[str] = []

    async def function(messages: Any, info: Any) -> Any:
        asked.append(str(messages[-1].parts[0].content))
        return ModelResponse([ToolCallPart(info.output_tools[0].name, {"action": "NONE", "number": 1})])

    def extractor(user_message: str, text: str) -> Any:
        if not text:
            thing = user_message.removeprefix("I like my ")
            yield {"fact": user_message, "fact_type": "custom", "confidence": 60, "predicate": "likes", "object": thing}

    async def main() -> None:
        decider = PydanticAIDecider(FunctionModel(function))
        async with SqliteBackend(":memory:") as backend, Cortex(backend, extract_facts=extractor) as cortex:
            for at, text in enumerate(["I like my tea", "I like my green tea"]):
                turn = {**PARAMS, "user_message": text, "conversation_id": f"c-{at}"}
                await cortex.memory.remember_stream(answer(), {"beliefRevision": decider}, **turn)
            (row,) = await backend.query("facts:list", {"memorySpaceId": "s"})
            assert (row["fact"], len(row["sources"])) == ("I like my tea", 2)

    run_virtual(main())
    assert len(asked) == 1 and "| I like my green tea" in asked[0] and "| I like my tea" in asked[0]
