"""A model server on this machine that streams as OpenAI's chat completions do: for the demo, and for tests.

    with Server(text) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="none")

It sends server-sent events on 127.0.0.1 and a free port, at the pace of a provider.  A request may ask for another
behaviour in a field of its own, `demo` (the SDK's `extra_body={"demo": {...}}`):

| field | |
|---|---|
| `text` | answer this instead |
| `pace` | "provider" (some seconds for 20 kB) or "fast" (a second or two) |
| `after` | the number of pieces after which something happens: |
| `then` | "drop" the connection, send an "error" event, "hang", or "stop" without a reason |
| `status` | refuse at once, with this HTTP status |
| `torn` | send characters outside the basic plane as two surrogates, as some servers do |
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL = "river-1"


@dataclass(frozen=True)
class Pace:
    """Seconds until the first piece; then about how many pieces a burst has, and the seconds between two bursts."""

    first: float
    burst: float
    pause: float


PACES = {"provider": Pace(0.7, 8.0, 0.024), "fast": Pace(0.0, 24.0, 0.006)}


class Dropped(ConnectionAbortedError):
    """The way to let uvicorn drop a connection in the middle of a body."""


def pieces_of(text: str, chance: random.Random) -> Iterator[str]:
    """The text, cut about as a tokeniser does: a space belongs to its word, long words and other scripts are split."""
    for word in re.findall(r"\s*\S+|\s+", text):
        while word:
            size = chance.randint(3, 8) if word.isascii() else chance.randint(1, 3)
            yield word[:size]
            word = word[size:]


def _torn(pieces: list[str]) -> list[str]:
    """The same text in UTF-16 code units, cut within the surrogate pairs."""
    units: list[str] = []
    for piece in pieces:
        raw = piece.encode("utf-16-le")
        both = "".join(chr(raw[at] | raw[at + 1] << 8) for at in range(0, len(raw), 2))
        units += [part for part in re.split("(?<=[\ud800-\udbff])", both) if part]
    return units


class _Answer:
    """One answer, as the lines of its stream."""

    def __init__(self, text: str, body: dict[str, Any], number: int) -> None:
        self.demo: dict[str, Any] = body.get("demo") or {}
        self.counted = bool((body.get("stream_options") or {}).get("include_usage"))
        self.asked = " ".join(str(message.get("content", "")) for message in body.get("messages", ()))
        self.number = number
        self.chance = random.Random(number)
        self.pieces = list(pieces_of(self.demo.get("text", text), self.chance))
        if self.demo.get("torn"):
            self.pieces = _torn(self.pieces)

    def line(self, choices: list[dict[str, Any]], **more: Any) -> str:
        chunk: dict[str, Any] = {
            "id": f"chatcmpl-{self.number}",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000 + self.number,
            "model": MODEL,
            "choices": choices,
        }
        if self.counted:
            chunk["usage"] = None
        return f"data: {json.dumps(chunk | more)}\n\n"

    def delta(self, reason: str | None = None, **delta: Any) -> str:
        return self.line([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}])

    async def lines(self) -> AsyncIterator[str]:
        pace = PACES[self.demo.get("pace", "provider")]
        then, after = self.demo.get("then"), self.demo.get("after", 0)
        yield self.delta(role="assistant", content="")
        await asyncio.sleep(pace.first)
        sent = self.pieces if then is None else self.pieces[:after]
        at = 0
        while at < len(sent):
            count = 1 + int(self.chance.expovariate(1 / pace.burst))
            yield "".join(self.delta(content=piece) for piece in sent[at : at + count])
            at += count
            await asyncio.sleep(min(self.chance.expovariate(1 / pace.pause), 0.5) if pace.pause else 0)
        if then == "drop":
            raise Dropped
        if then == "hang":
            await asyncio.Event().wait()
        if then == "error":
            error = {"message": "The server had an error while it answered.", "type": "server_error", "code": None}
            yield f"data: {json.dumps({'error': error})}\n\n"
        if then is None:
            yield self.delta("stop")
            if self.counted:
                asked, answered = len(self.asked.split()), len(self.pieces)
                usage = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
                yield self.line([], usage=usage)
        yield "data: [DONE]\n\n"


class Server:
    """Serves `text` as the answer to every question, in a thread of its own, while its `with` block runs."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.requests: list[dict[str, Any]] = []
        """The bodies of the requests that came."""
        self.open = 0
        """How many answers are being streamed now."""
        app = Starlette(routes=[Route("/v1/chat/completions", self._answer, methods=["POST"])])
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", ws="none", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="demo-server")
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        """The address for a client."""

    async def _answer(self, request: Request) -> Response:
        body: dict[str, Any] = await request.json()
        self.requests.append(body)
        if status := (body.get("demo") or {}).get("status"):
            return JSONResponse({"error": {"message": "Not now.", "type": "refused"}}, status)
        if not body.get("stream"):
            return JSONResponse(
                {"error": {"message": "This server only streams.", "type": "invalid_request_error"}}, 400
            )
        answer = _Answer(self.text, body, len(self.requests))
        return StreamingResponse(self._counted(answer), media_type="text/event-stream")

    async def _counted(self, answer: _Answer) -> AsyncIterator[str]:
        self.open += 1
        try:
            async for line in answer.lines():
                yield line
        finally:
            self.open -= 1

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
