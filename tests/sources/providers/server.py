"""A model server on this machine that plays scripts: the events of OpenAI responses or chat completions, or of
Anthropic messages.

The model that a request names is the name of the script that it plays.  A script is a list of events (dictionaries,
each sent as a server-sent event of its own type; the chunks of chat completions have none), in which a word may stand:
"hang", or "drop" the connection.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


class Server:
    """Serves in a thread of its own while its `with` block runs."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[Any]] = {}
        self.open = 0
        """How many answers are being streamed now."""
        paths = ("/v1/responses", "/v1/chat/completions", "/v1/messages")
        app = Starlette(routes=[Route(path, self._answer, methods=["POST"]) for path in paths])
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", ws="none", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="provider-server")
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def _answer(self, request: Request) -> StreamingResponse:
        script = self.scripts[(await request.json())["model"]]
        return StreamingResponse(self._play(script), media_type="text/event-stream")

    async def _play(self, script: list[Any]) -> AsyncIterator[str]:
        self.open += 1
        try:
            for event in script:
                if event == "hang":
                    await asyncio.Event().wait()
                if event == "drop":
                    raise ConnectionAbortedError
                kind = f"event: {event['type']}\n" if "type" in event else ""
                yield f"{kind}data: {json.dumps(event)}\n\n"
                await asyncio.sleep(0)
            if script and "type" not in script[-1]:
                yield "data: [DONE]\n\n"
        finally:
            self.open -= 1

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
