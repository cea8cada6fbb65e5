"""A model behind the client of OpenAI, over a socket: the connection ends at any byte, or the provider says no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cortex_rx import is_transient
from cortex_rx.errors import ExtractionFailed
from cortex_rx.facts.extractor import Extraction, extract
from cortex_rx.facts.pydantic_ai import PydanticAIExtractor
from cortex_rx.testing import assert_no_leaks

FACTS = [{"fact": f"Zoë {at}", "fact_type": "custom", "confidence": at} for at in range(20)]
OUTPUT = json.dumps({"facts": FACTS}, ensure_ascii=False, separators=(",", ":"))
ENDS = [len(json.dumps({"facts": FACTS[: at + 1]}, ensure_ascii=False, separators=(",", ":"))) - 2 for at in range(20)]


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """An event of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def call(text: str, name: str | None = None) -> dict[str, Any]:
    """A part of a call of the tool that takes the output."""
    made = {"index": 0, "function": {"arguments": text}}
    if name:
        made |= {"id": "call", "type": "function", "function": {"name": name, "arguments": text}}
    return {"tool_calls": [made]}


def events(output: str, finish: str | None = "tool_calls", size: int = 100) -> list[tuple[bytes, int]]:
    """The events of an output, each with how many characters of it have come with it."""
    found = [(chunk(call("", "final_result")), 0)]
    for at in range(0, len(output), size):
        found.append((chunk(call(output[at : at + size])), min(at + size, len(output))))
    end = b"data: [DONE]\n\n"
    return [*found, (chunk({}, finish) + end if finish else end, len(output))]


ANSWER = events(OUTPUT)
BODY = b"".join(event for event, _ in ANSWER)


def complete(sent: int) -> int:
    """How many facts are complete in so many bytes of the body."""
    at = characters = 0
    for event, so_far in ANSWER:
        at += len(event)
        if at <= sent:
            characters = so_far
    return sum(end <= characters for end in ENDS)


class Server:
    """Answers each request with the same bytes, and closes the connection."""

    def __init__(
        self, body: bytes, status: str = "200 OK", kind: str = "text/event-stream", sized: bool = True
    ) -> None:
        length = f"content-length: {len(body)}\r\n" if sized else ""
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{length}connection: close\r\n\r\n"
        self.head = len(head)
        self.answer = head.encode() + body
        self.cut: int | None = None
        self.hangs = False
        self.open = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            (length,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await reader.readexactly(int(length.split(b":")[1]))
            writer.write(self.answer[: self.cut])
            await writer.drain()
            if self.hangs:
                await reader.read()  # until the client closes
        finally:
            writer.close()
            self.open -= 1


@asynccontextmanager
async def asking(server: Server, listens: bool = True) -> AsyncIterator[PydanticAIExtractor]:
    import openai  # they take seconds, which other tests need not wait
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    client = openai.AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key="none", max_retries=0)
    async with listening, client:
        if not listens:
            listening.close()
        yield PydanticAIExtractor(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client)))


async def got(server: Server, listens: bool = True) -> Extraction:
    async with asking(server, listens) as extractor:
        return await extract(extractor, "I am Zoë.", "", seconds=20)


def numbers(found: Extraction) -> list[int]:
    ats = [int(fact.confidence) for fact in found.facts]
    assert [fact.fact for fact in found.facts] == [FACTS[at]["fact"] for at in ats], "none is half"
    return ats


EVERY = range(len(Server(BODY).answer))
SLOW = pytest.mark.slow(reason="it opens a connection for each of some thousand bytes")


@pytest.mark.parametrize("cuts", [EVERY[::523], pytest.param(EVERY, marks=SLOW)], ids=["some", "each"])
@pytest.mark.timeout(1800)
async def test_a_connection_that_ends_at_any_byte_gives_what_is_complete(cuts: range) -> None:
    server = Server(BODY)
    async with asking(server) as extractor:
        for server.cut in cuts:
            found = await extract(extractor, "I am Zoë.", "", seconds=20)
            assert numbers(found) == list(range(complete(server.cut - server.head))), server.cut
            assert found.error is not None and is_transient(found.error), server.cut
        server.cut = None
        found = await extract(extractor, "I am Zoë.", "", seconds=20)
        assert (numbers(found), found.error) == (list(range(20)), None)


def test_the_cuts_are_within_characters_and_events_and_facts() -> None:
    assert "ë".encode() in BODY and len(ANSWER) > 10
    after = {complete(cut) for cut in range(len(BODY) + 1)}
    assert min(after) == 0 and max(after) == 20 and len(after) > 10


@pytest.mark.parametrize("part", range(1, len(ANSWER) - 2, 4))
async def test_without_a_length_only_the_output_says_that_it_was_cut_off(part: int) -> None:
    sent = b"".join(event for event, _ in ANSWER[: part + 1])
    found = await got(Server(sent, sized=False))
    assert numbers(found) == list(range(complete(len(sent))))
    assert isinstance(found.error, ExtractionFailed) and found.error.reason == "cut off"


async def test_all_that_came_counts_when_only_the_end_of_the_stream_is_missing() -> None:
    sent = b"".join(event for event, _ in ANSWER[:-1])
    found = await got(Server(sent, sized=False))
    assert (numbers(found), found.error) == (list(range(20)), None)


def body(*deltas: bytes) -> bytes:
    return b"".join(deltas) + b"data: [DONE]\n\n"


HALF = OUTPUT[: ENDS[9]]


@pytest.mark.parametrize(
    ("answer", "facts", "reason"),
    [
        (body(chunk(call(HALF, "final_result")), chunk({}, "length")), 10, "length"),
        (body(chunk(call(OUTPUT, "final_result")), chunk({}, "length")), 20, "length"),
        (body(chunk({"content": ""}), chunk({}, "length")), 0, "length"),
        (body(chunk(call(HALF, "final_result")), chunk({}, "content_filter")), 10, "refused"),
        (body(chunk({"content": None, "refusal": "I cannot"}), chunk({}, "stop")), 0, "refused"),
        (body(chunk(call(HALF, "final_result")), chunk({}, "tool_calls")), 10, "cut off"),
        (body(chunk(call(OUTPUT[:-2] + "}", "final_result")), chunk({}, "tool_calls")), 20, "not JSON"),
        (body(chunk(call('{"items": []}', "final_result")), chunk({}, "tool_calls")), 0, "another schema"),
        (body(chunk({"content": "There are no facts."}), chunk({}, "stop")), 0, "another schema"),
    ],
)
async def test_why_the_facts_are_not_complete_is_said(answer: bytes, facts: int, reason: str) -> None:
    found = await got(Server(answer))
    assert numbers(found) == list(range(facts))
    assert isinstance(found.error, ExtractionFailed) and found.error.reason == reason


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        ("400 Bad Request", False),
        ("401 Unauthorized", False),
        ("404 Not Found", False),
        ("429 Too Many Requests", True),
        ("500 Internal Server Error", True),
        ("503 Service Unavailable", True),
    ],
)
async def test_an_error_of_the_provider_is_told(status: str, transient: bool) -> None:
    answer = json.dumps({"error": {"message": "I am Zoë.", "type": "any"}}).encode()
    found = await got(Server(answer, status))
    assert found.facts == () and found.error is not None
    assert getattr(found.error, "status_code", None) == int(status[:3])
    assert is_transient(found.error) == transient


@pytest.mark.parametrize("answer", [b"", b"<html>Hello</html>", b"data: {\n\n", b"data: {}\n\n", b"\0\xff\n\n"])
async def test_an_answer_that_is_none_is_an_error(answer: bytes) -> None:
    found = await got(Server(answer))
    assert found.facts == () and found.error is not None


async def test_an_error_within_the_stream_comes_after_what_is_complete() -> None:
    error = b'data: {"error": {"message": "overloaded", "type": "server_error", "code": 500}}\n\n'
    found = await got(Server(chunk(call(HALF, "final_result")) + error))
    assert numbers(found) == list(range(10)) and found.error is not None


async def test_nobody_listens() -> None:
    found = await got(Server(BODY), listens=False)
    assert found.facts == () and found.error is not None and is_transient(found.error)


async def test_one_that_hangs_is_left_with_its_connection_closed() -> None:
    server = Server(BODY)
    server.cut, server.hangs = -1, True
    async with asking(server) as extractor:
        with assert_no_leaks():
            found = await extract(extractor, "I am Zoë.", "", seconds=0.3)
        assert (numbers(found), found.code) == (list(range(20)), "TimeoutError")
        for _ in range(100):
            if not server.open:
                break
            await asyncio.sleep(0.01)
        assert server.open == 0
