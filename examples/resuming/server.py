"""A server that streams an answer.  It keeps nothing in memory that a restart would lose.

GET /ask?question=...           streams a new answer
GET /resume?token=...           continues an answer whose server died
GET /follow?stream=...&after=...   for a client that comes back; `after` is its position
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from cortex_rx import Answer, Cortex, Position, replayable
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import Begun, StreamEvent, to_json
from cortex_rx.pipeline import AnswerReader
from cortex_rx.sources import ResumePoint
from cortex_rx.streams import Follower

SPACE = "support"
WORDS = [f"word{number} " for number in range(200)]


async def model(point: ResumePoint) -> AsyncIterator[str]:
    """A model that gives the same answer each time it is asked, a word every 10 ms."""
    for word in WORDS:
        await asyncio.sleep(0.01)
        yield word


def application(path: str) -> Starlette:
    cortex = Cortex(path)

    def lines(reader: AnswerReader[StreamEvent] | Follower, answer: Answer | None = None) -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            async for event in reader:
                line: dict[str, Any] = to_json(event)
                if at := reader.position:  # of what this client has been sent
                    line["position"] = str(at)
                if isinstance(event, Begun) and answer:  # only for the client that asked
                    line |= {"stream_id": answer.stream_id, "token": answer.resume_token}
                yield json.dumps(line) + "\n"

        return StreamingResponse(body(), media_type="application/x-ndjson")

    async def ask(request: Request) -> StreamingResponse:
        answer = cortex.memory.remember_stream(
            replayable(model),
            memory_space_id=SPACE,
            conversation_id="c-1",
            user_message=request.query_params["question"],
            user_id="ada",
            user_name="Ada",
        )
        answer.detach()  # a client that dies does not stop its answer
        return lines(answer.events(), answer)

    async def resume(request: Request) -> StreamingResponse:
        answer = cortex.memory.remember_stream(
            replayable(model), memory_space_id=SPACE, resume_from=request.query_params["token"]
        )
        answer.detach()
        return lines(answer.events(), answer)

    async def follow(request: Request) -> Response:
        given = request.query_params
        try:
            after = Position.parse(given["after"])
        except InvalidArgument as error:
            return PlainTextResponse(str(error), status_code=400)
        return lines(cortex.memory.follow(SPACE, given["stream"], after))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with cortex:
            yield

    routes = [Route("/ask", ask), Route("/resume", resume), Route("/follow", follow)]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
