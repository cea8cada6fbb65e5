"""The README's web application, under a real uvicorn, with real sockets: what a disconnected client had got is in the
file.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from cortex_rx import Cortex, StreamEndEvent


class Model:
    """Counts for ever; it knows how often it was asked and closed."""

    def __init__(self) -> None:
        self.asked = self.closed = 0
        self.ends: list[StreamEndEvent] = []

    async def __call__(self) -> AsyncIterator[str]:
        return self._numbers()

    async def _numbers(self) -> AsyncIterator[str]:
        self.asked += 1
        try:
            for number in range(10**6):
                await asyncio.sleep(0.001)
                yield f"{number} "
        finally:
            self.closed += 1


class Short(Model):
    async def _numbers(self) -> AsyncIterator[str]:
        for number in range(50):
            await asyncio.sleep(0.001)
            yield f"{number} "


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, dict[str, Model], Path]]:
    models: dict[str, Model] = {"long": Model(), "short": Short()}
    path = tmp_path / "memory.db"

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Cortex(path) as app.state.cortex:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/chat/{which}")
    async def chat(which: str, question: str) -> StreamingResponse:
        answer = app.state.cortex.memory.remember_stream(
            models[which],
            {"hooks": {"on_end": models[which].ends.append}},
            memory_space_id="s",
            conversation_id=question,
            user_message=question,
            agent_id="helper",
        )

        async def body() -> AsyncIterator[str]:
            async for text in answer:
                yield text
            await answer  # stored, or the failure is the server's to report

        return StreamingResponse(body(), media_type="text/plain")

    @app.get("/stored")
    async def stored() -> list[dict[str, Any]]:
        memories = await app.state.cortex.memory.list("s", include_partial=True)
        return [json.loads(memory.model_dump_json()) for memory in memories]

    listener = socket.create_server(("127.0.0.1", 0))
    uv = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=10))
    thread = threading.Thread(target=lambda: asyncio.run(uv.serve(sockets=[listener])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", models, path
    finally:
        uv.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


async def until(condition: Any) -> Any:
    """What the condition gives, as soon as it gives something."""
    async with asyncio.timeout(20):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
    return found


async def test_a_client_that_goes_away_leaves_its_text_in_the_file(server: tuple[str, dict[str, Model], Path]) -> None:
    url, models, path = server
    async with httpx.AsyncClient(base_url=url) as client:
        got = ""
        async with client.stream("POST", "/chat/long", params={"question": "count"}) as response:
            async for piece in response.aiter_text():
                got += piece
                if len(got) > 400:
                    break

        async def kept() -> list[Any]:
            ended = bool(models["long"].ends)
            return [row for row in (await client.get("/stored")).json() if ended]

        (partial,) = await until(kept)
        assert partial["is_partial"]
        assert partial["content"].startswith(got)
        assert partial["partial_metadata"]["userMessage"] == "count"
        (end,) = models["long"].ends
        assert (end.outcome, end.stopped, end.stored_length) == ("kept", "left", len(partial["content"]))
    assert (models["long"].asked, models["long"].closed) == (1, 1)


async def test_several_clients_get_and_store_their_own_answers(server: tuple[str, dict[str, Model], Path]) -> None:
    url, _, path = server
    whole = "".join(f"{number} " for number in range(50))
    async with httpx.AsyncClient(base_url=url) as client:
        calls = [client.post("/chat/short", params={"question": f"q{number}"}) for number in range(8)]
        responses = await asyncio.gather(*calls)
        assert [response.text for response in responses] == [whole] * 8
    ends = server[1]["short"].ends
    assert [(end.outcome, end.stopped, end.length) for end in ends] == [("remembered", None, len(whole))] * 8
    async with Cortex(path) as cortex:
        for number in range(8):
            conversation = await cortex.conversations.get(f"q{number}", memory_space_id="s")
            assert conversation is not None
            assert [m.content for m in conversation.messages] == [f"q{number}", whole]
        assert await cortex.memory.count("s", include_partial=True) == 16
