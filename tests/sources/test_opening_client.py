"""OpenAI's real clients, async and sync, against a server on this machine with server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
from datetime import timedelta

import httpx
import openai
import pytest
from reactivex import operators as ops

from cortex_rx import Cortex, from_stream
from cortex_rx import operators as cx
from cortex_rx.errors import ResumableStreamError, StreamTimeout
from cortex_rx.events import Delta, Ended, Opened
from cortex_rx.models.records import Usage
from cortex_rx.testing.leaks import left_on_loop

ASKED = {"model": "river-1", "messages": [{"role": "user", "content": "two words"}], "stream": True}


def asking(client, usage=False, **demo):
    """A request for a streamed answer, with instructions for the server."""
    more = {"stream_options": {"include_usage": True}} if usage else {}
    return client.chat.completions.create(**ASKED, **more, extra_body={"demo": {"pace": "fast", **demo}})


@contextlib.asynccontextmanager
async def nothing_left():
    """No task, timer, generator, thread or socket.  (`assert_no_leaks` sees the server too, which runs in this
    process.)
    """
    loop, threads = asyncio.get_running_loop(), set(threading.enumerate())
    before = {thing.key for thing in left_on_loop(loop)}  # the generators of fixtures, this one too
    yield

    def left():
        yield from set(threading.enumerate()) - threads - set(getattr(loop._default_executor, "_threads", ()))
        yield from (thing for thing in left_on_loop(loop) if thing.key not in before)

    # The SDK does not close the generators within its stream, also at the end of an answer: asyncio does that when they
    # are dropped, in tasks.
    until = loop.time() + 5
    while list(left()) and loop.time() < until:
        gc.collect()
        await asyncio.sleep(0.002)
    assert list(left()) == []
    assert [key for key in loop._selector.get_map().values() if key.fd != loop._ssock.fileno()] == []


@pytest.fixture
async def client(server):
    """A real client; with it everything that a test opened is gone."""
    async with nothing_left():
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            yield client
        await closed(server)


async def closed(server):
    """Wait until the server has noticed that the client is gone."""
    async with asyncio.timeout(10):
        while server.open:
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def managed(client):
    async with await asking(client) as stream:
        yield stream


async def test_a_whole_answer(kit, server, client):
    came = await kit.read(lambda: asking(client, usage=True))
    assert came.error is None and came.problems == [] and came.customs == []
    assert came.text == server.text
    deltas = came.of(Delta)
    assert len(deltas) > 100 and [delta.index for delta in deltas] == list(range(len(deltas)))
    assert came.ended.reason == "stop" and came.ended.offset == len(server.text)
    assert came.ended.usage == Usage(input_tokens=2, output_tokens=len(deltas), total_tokens=len(deltas) + 2)
    assert server.requests[-1]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "source",
    [
        lambda client: lambda: asking(client),
        lambda client: asking(client),
        lambda client: managed(client),
        lambda client: lambda: managed(client),
    ],
    ids=["factory", "coroutine", "context manager", "factory of context managers"],
)
async def test_every_way_to_hand_a_stream_of_the_async_client_over(kit, server, client, source):
    came = await kit.read(source(client))
    assert came.error is None and came.text == server.text and came.ended.usage is None


async def test_the_stream_itself(kit, server, client):
    stream = await asking(client)
    came = await kit.read(stream)
    assert came.text == server.text and stream.response.is_closed


async def test_a_factory_asks_again(kit, server, client):
    stream = from_stream(lambda: asking(client), turn=kit.TURN)
    before = len(server.requests)
    first, second = await kit.everything(stream), await kit.everything(stream)
    assert first.text == second.text == server.text and len(server.requests) == before + 2


async def test_characters_that_the_server_tears_in_two(kit, server, client):
    came = await kit.read(lambda: asking(client, torn=True))
    assert came.text == server.text and came.problems == []
    assert (
        "".join([chunk.choices[0].delta.content or "" async for chunk in await asking(client, torn=True)]) != came.text
    )


async def test_the_json_of_the_lines_gives_the_same_events(kit, server, client):
    async def lines():
        body = ASKED | {"stream_options": {"include_usage": True}, "demo": {"pace": "fast"}}
        async with (
            httpx.AsyncClient() as plain,
            plain.stream("POST", f"{server.base_url}/chat/completions", json=body) as response,
        ):
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    by_json, by_client = await kit.read(lines), await kit.read(lambda: asking(client, usage=True))
    assert by_json.error is None and by_json.text == server.text
    assert by_json.ended.reason == by_client.ended.reason == "stop"
    assert by_json.ended.usage.output_tokens == len(by_json.texts)


@pytest.mark.parametrize(
    ("then", "error", "reason"),
    [
        ("drop", openai.APIConnectionError, None),
        ("error", openai.APIError, None),
        ("stop", None, "incomplete"),
    ],
)
async def test_an_answer_that_is_cut_off(kit, server, client, then, error, reason):
    came = await kit.read(lambda: asking(client, after=20, then=then))
    assert len(came.texts) == 20 and server.text.startswith(came.text)
    if error:
        assert isinstance(came.error, error) and came.of(Ended) == []
    else:
        assert came.error is None and came.ended.reason == reason


@pytest.mark.parametrize(("status", "error"), [(429, openai.RateLimitError), (401, openai.AuthenticationError)])
async def test_a_request_that_is_refused(kit, client, status, error):
    came = await kit.read(lambda: asking(client, status=status))
    assert [type(event) for event in came.events] == [Opened] and type(came.error) is error


async def test_a_server_that_is_not_there(kit, client):
    nowhere = client.with_options(base_url="http://127.0.0.1:1/v1")
    came = await kit.read(lambda: asking(nowhere))
    assert type(came.error) is openai.APIConnectionError


@pytest.mark.parametrize("then", ["fail", "end"])
async def test_a_model_that_hangs(kit, server, client, then):
    limit = cx.timeout(idle=timedelta(milliseconds=100), then=then)
    came = await kit.read(lambda: asking(client, after=20, then="hang"), limit)
    assert len(came.texts) == 20
    assert type(came.error) is StreamTimeout if then == "fail" else came.ended.reason == "timeout"
    await closed(server)


async def test_a_reader_that_has_enough(kit, server, client):
    came = await kit.read(lambda: asking(client, after=50, then="hang"), ops.take(10))
    assert len(came.texts) == 9
    await closed(server)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_reader_that_is_cancelled(kit, server, client, kind):
    passed = asyncio.Event()

    def note(event):
        if type(event) is Delta:
            passed.set()

    async with contextlib.AsyncExitStack() as stack:
        if kind == "async":
            source = lambda: asking(client, after=20, then="hang")  # noqa: E731
        else:
            sync = stack.enter_context(openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0))
            source = spoken(sync, pace="provider")
        task = asyncio.create_task(kit.read(source, ops.do_action(note)))
        await passed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed(server)


# --- the sync client --------------------------------------------------------------------------------------------------


@pytest.fixture
async def sync(server):
    async with nothing_left():
        with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            yield client
        await closed(server)


def spoken(client, **demo):
    """As a generator function, whose body, the request too, runs in the thread."""

    def chunks():
        with asking(client, **demo) as stream:
            yield from stream

    return chunks


async def test_a_whole_answer_of_the_sync_client(kit, server, sync):
    stream = from_stream(spoken(sync, usage=True), turn=kit.TURN)
    for _ in range(2):
        came = await kit.everything(stream)
        assert came.error is None and came.text == server.text
        assert came.ended.reason == "stop" and came.ended.usage.output_tokens == len(came.texts)


async def test_the_stream_of_the_sync_client_itself(kit, server, sync):
    stream = await asyncio.to_thread(asking, sync)
    came = await kit.read(stream)
    assert came.text == server.text and stream.response.is_closed


async def test_an_answer_of_the_sync_client_that_is_cut_off(kit, server, sync):
    came = await kit.read(spoken(sync, after=20, then="drop"))
    assert len(came.texts) == 20 and isinstance(came.error, openai.APIConnectionError)
    stream = await asyncio.to_thread(lambda: asking(sync, after=20, then="stop"))
    came = await kit.read(stream, ops.take(5))
    assert len(came.texts) == 4 and stream.response.is_closed


# --- all the way ------------------------------------------------------------------------------------------------------


async def test_an_answer_into_a_file_and_one_that_is_cut_off(server, client, tmp_path):
    who = {"memory_space_id": "s", "conversation_id": "c-1", "user_id": "ada", "user_name": "Ada"}
    async with Cortex(tmp_path / "memory.db") as cortex:
        answer = cortex.memory.remember_stream(lambda: asking(client, usage=True), user_message="Whole?", **who)
        shown = [text async for text in answer]
        result = await answer
        assert "".join(shown) == result.full_response == server.text and result.finish_reason == "stop"
        cut = cortex.memory.remember_stream(lambda: asking(client, after=30, then="drop"), user_message="Half?", **who)
        with pytest.raises(ResumableStreamError) as caught:
            await cut
        assert isinstance(caught.value.__cause__, openai.APIConnectionError)
    async with Cortex(tmp_path / "memory.db") as cortex:
        conversation = await cortex.conversations.get("c-1", memory_space_id="s")
        assert [message.content for message in conversation.messages] == ["Whole?", server.text]
        partial, *_ = await cortex.memory.list("s", include_partial=True)
        assert partial.is_partial and partial.partial_metadata["userMessage"] == "Half?"
        assert partial.content and server.text.startswith(partial.content) and partial.content == cut.text
