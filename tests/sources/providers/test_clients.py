"""The real clients of OpenAI (responses, chat completions) and Anthropic (messages), against a server on this machine,
into a SQLite file.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import anthropic
import httpx2
import openai
import pytest

from cortex_rx import Cortex
from cortex_rx import operators as cx
from cortex_rx.errors import ProviderError, StreamTimeout
from cortex_rx.events import Custom, Ended
from cortex_rx.models.records import Usage

QUESTION = [{"role": "user", "content": "And the weather?"}]
FORMS = ["openai", "openai helper", "chat", "chat helper"]
FORMS += ["anthropic", "anthropic helper", "anthropic beta", "anthropic beta helper"]
USED = {
    "openai": Usage(11, 22, 33, 1, 0, 5),
    "chat": Usage(11, 22, 33, 1, 0, 5),
    "anthropic": Usage(18, 22, 40, 4, 3, 5),
}


@pytest.fixture
async def clients(server):
    settings = {"api_key": "none", "max_retries": 0}  # and no certificates, which take long to load
    plain = openai.DefaultAsyncHttpxClient(verify=False), anthropic.DefaultAsyncHttpxClient(verify=False)
    async with (
        openai.AsyncOpenAI(base_url=f"{server.address}/v1", http_client=plain[0], **settings) as ours,
        anthropic.AsyncAnthropic(base_url=server.address, http_client=plain[1], **settings) as theirs,
    ):
        yield {"openai": ours, "chat": ours, "anthropic": theirs}
        await closed(server)


async def closed(server):
    """Wait until the server has noticed that the client is gone."""
    async with asyncio.timeout(10):
        while server.open:
            await asyncio.sleep(0.002)


def tell(server, stories, form, *calls):
    """Let the server play the story of a provider."""
    server.scripts["story"] = getattr(stories, f"{form.split()[0]}_story")(*calls)
    return server.scripts["story"]


def asking(clients, form):
    """A request for it, in every way in which the SDKs stream."""
    client, messages = clients[form.split()[0]], {"max_tokens": 100, "messages": QUESTION, "model": "story"}
    chat = {"messages": QUESTION, "model": "story", "stream_options": {"include_usage": True}}
    return {
        "openai": lambda: client.responses.create(model="story", input=QUESTION, stream=True),
        "openai helper": lambda: client.responses.stream(model="story", input=QUESTION),
        "chat": lambda: client.chat.completions.create(**chat, stream=True),
        "chat helper": lambda: client.chat.completions.stream(**chat),
        "anthropic": lambda: client.messages.create(**messages, stream=True),
        "anthropic helper": lambda: client.messages.stream(**messages),
        "anthropic beta": lambda: client.beta.messages.create(**messages, stream=True),
        "anthropic beta helper": lambda: client.beta.messages.stream(**messages),
    }[form]


@pytest.mark.parametrize("form", FORMS)
async def test_an_answer_into_a_file(server, clients, stories, tmp_path, form):
    tell(server, stories, form)
    who = {"memory_space_id": "s", "conversation_id": "c-1", "user_id": "ada", "user_name": "Ada"}
    used = USED[form.split()[0]]
    async with Cortex(tmp_path / "memory.db") as cortex:
        answer = cortex.memory.remember_stream(asking(clients, form), user_message="And the weather?", **who)
        shown = [text async for text in answer]
        result = await answer
        assert shown == stories.FIRST + stories.SECOND
        assert (result.full_response, result.finish_reason, result.usage) == (stories.TEXT, "stop", used)
    async with Cortex(tmp_path / "memory.db") as cortex:
        asked, answered = (await cortex.conversations.get("c-1", memory_space_id="s")).messages
        assert (asked.content, answered.content) == ("And the weather?", stories.TEXT)
        assert answered.metadata["finishReason"] == "stop"
        assert answered.metadata["usage"] == used.stored("story")
        found = await cortex.memory.search("s", "umbrella", neighbours=False)
        assert [memory.content for memory in found] == [stories.TEXT]
        assert await cortex.memory.search("s", "coat") == []
        assert await cortex.memory.count("s", include_partial=True) == 2


@pytest.mark.parametrize("form", FORMS)
async def test_an_answer_that_calls_tools(kit, server, clients, stories, form):
    call = {"openai": stories.CALL, "chat": stories.CHAT_CALL, "anthropic": stories.USE}[form.split()[0]]
    tell(server, stories, form, call)
    came = await kit.read(asking(clients, form))
    assert came.error is None and came.text == stories.TEXT and came.ended.reason == "tool_calls"
    ((called,),) = came.named("tool_calls")
    assert called.items() >= call.items()


@pytest.mark.parametrize("form", FORMS)
async def test_an_answer_of_calls_alone_is_stored_without_a_memory_of_it(server, clients, stories, form):
    if "openai" in form:
        events = [event for event in tell(server, stories, form, stories.CALL) if ".output_text." not in event["type"]]
        events = [event for event in events if "content_part" not in event["type"]]
        done = events[-1]["response"]
        done["output"] = [item for item in done["output"] if item["type"] != "message"]
        events = [event for event in events if event.get("output_index") != 3]
        for event in events:
            if event.get("output_index", 0) > 3:
                event["output_index"] -= 1
        server.scripts["story"] = events
    elif "chat" in form:
        server.scripts["story"] = [
            event
            for event in tell(server, stories, form, stories.CHAT_CALL)
            if not any(choice["delta"].get("content") for choice in event["choices"])
        ]
    else:
        use = stories.block(0, stories.USE, {"type": "input_json_delta", "partial_json": '{"a":1}'})
        server.scripts["story"] = [stories.begun(), *use, *stories.ended("tool_use", usage={"input_tokens": 11})]
    async with Cortex(":memory:") as cortex:
        result = await cortex.memory.remember_stream(
            asking(clients, form), memory_space_id="s", conversation_id="c", user_message="Look!", agent_id="helper"
        )
        assert (result.full_response, result.finish_reason) == ("", "tool_calls")
        assert [memory.content for memory in result.memories] == ["Look!"]


async def refused(server, clients, form, events):
    """What became of a refusal: the result, and the messages."""
    server.scripts["story"] = events
    async with Cortex(":memory:") as cortex:
        who = {"memory_space_id": "s", "conversation_id": "c", "agent_id": "helper"}
        answer = cortex.memory.remember_stream(asking(clients, form), user_message="How?", **who)
        shown = "".join([text async for text in answer])
        result = await answer
        assert (result.full_response, result.finish_reason) == (shown, "refusal")
        found = [memory.content for memory in await cortex.memory.search("s", "tell", neighbours=False)]
        return shown, (await cortex.conversations.get("c", memory_space_id="s")).messages, found


@pytest.mark.parametrize("form", FORMS)
async def test_a_refusal_is_stored_and_marked(server, clients, stories, form):
    provider = form.split()[0]
    make = getattr(stories, f"{provider}_refusal")
    events = make(*stories.NO) if provider == "anthropic" else make()
    shown, (asked, answered), found = await refused(server, clients, form, events)
    assert shown == answered.content == "".join(stories.NO)
    assert found == [shown]
    assert (asked.content, answered.metadata["finishReason"]) == ("How?", "refusal")


@pytest.mark.parametrize("form", [form for form in FORMS if "anthropic" in form])
async def test_a_refusal_before_the_first_word_is_stored_and_marked(server, clients, stories, form):
    shown, (asked, answered), found = await refused(server, clients, form, stories.anthropic_refusal())
    assert shown == answered.content == "" and found == []
    assert (asked.content, answered.metadata["finishReason"]) == ("How?", "refusal")


@pytest.mark.parametrize("form", ["chat", "chat helper"])
async def test_what_the_helper_of_chat_says_again_is_no_text_and_does_not_grow(kit, server, clients, stories, form):
    tell(server, stories, form, stories.CHAT_CALL)
    came = await kit.read(asking(clients, form))
    assert came.texts == stories.FIRST + stories.SECOND
    assert came.named("reasoning_content") == [stories.SECRET]
    again = [event for event in came.of(Custom) if event.name not in ("reasoning_content", "tool_calls")]
    if form == "chat":
        assert again == []
        return
    # the first chunk has an empty text, which the helper says too
    assert [data["delta"] for data in came.named("content.delta")] == ["", *stories.FIRST, *stories.SECOND]
    assert came.named("content.done") == [{"type": "content.done", "content": stories.TEXT}]
    assert came.named("tool_calls.function.arguments.delta")[0]["arguments_delta"] == '{"a":1}'
    assert all(
        event.data.keys() <= {"type", "delta", "name", "index", "arguments_delta"}
        for event in again
        if event.name.endswith("delta")
    )


@pytest.mark.parametrize("form", FORMS)
async def test_a_request_again(kit, server, clients, stories, form):
    tell(server, stories, form)
    source = asking(clients, form)
    assert (await kit.read(source)).text == (await kit.read(source)).text == stories.TEXT


@pytest.mark.parametrize("form", FORMS)
async def test_a_stream_or_manager_itself(kit, server, clients, stories, form):
    tell(server, stories, form)
    given = asking(clients, form)()
    if "helper" not in form:
        given = await given
    assert (await kit.read(given)).text == stories.TEXT


@pytest.mark.parametrize("form", FORMS)
async def test_the_sync_client(kit, server, stories, form):
    tell(server, stories, form)
    with (
        openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0) as ours,
        anthropic.Anthropic(base_url=server.address, api_key="none", max_retries=0) as theirs,
    ):

        def events():
            with asking({"openai": ours, "chat": ours, "anthropic": theirs}, form)() as stream:
                yield from stream

        came = await kit.read(events)
        assert came.error is None and came.texts == stories.FIRST + stories.SECOND and came.ended.reason == "stop"
        await closed(server)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("then", ["drop", "hang", "stop"])
async def test_an_answer_that_is_cut_off(kit, server, clients, stories, form, then):
    events = tell(server, stories, form)
    third = [at for at, event in enumerate(events) if stories.FIRST[2] in str(event)][0]
    server.scripts["story"] = [*events[: third + 1], *([then] if then != "stop" else [])]
    limit = cx.timeout(idle=timedelta(milliseconds=150))
    came = await kit.read(asking(clients, form), *([limit] if then == "hang" else []))
    assert came.texts == stories.FIRST[:3]
    if then == "stop":
        assert came.error is None and came.ended.reason == "incomplete"
    else:
        dropped = (openai.APIConnectionError, anthropic.APIConnectionError, httpx2.RemoteProtocolError)
        assert came.of(Ended) == [] and isinstance(came.error, StreamTimeout if then == "hang" else dropped)


@pytest.mark.parametrize("form", ["openai", "openai helper"])
async def test_a_response_that_fails(kit, server, clients, stories, form):
    events = tell(server, stories, form)[:-1]
    error = {"code": "server_error", "message": "Broken."}
    failed = stories.response(status="failed", error=error)
    for failure in ({"type": "response.failed", "response": failed}, {"type": "error", **error, "param": None}):
        server.scripts["story"] = [*events, failure | {"sequence_number": 99}]
        came = await kit.read(asking(clients, form))
        assert came.text == stories.TEXT and came.of(Ended) == []
        assert type(came.error) is ProviderError and came.error.provider_code == "server_error"


@pytest.mark.parametrize("form", ["chat", "chat helper"])
async def test_a_completion_that_fails(kit, server, clients, stories, form):
    """The SDK raises an error of its own."""
    server.scripts["story"] = [
        *tell(server, stories, form)[:-2],
        {"error": {"message": "Broken.", "code": "server_error"}},
    ]
    came = await kit.read(asking(clients, form))
    assert came.text == stories.TEXT and came.of(Ended) == []
    assert isinstance(came.error, openai.APIError)


@pytest.mark.parametrize("form", [form for form in FORMS if "anthropic" in form])
async def test_a_message_that_fails(kit, server, clients, stories, form):
    """The SDK raises an error of its own."""
    failure = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    server.scripts["story"] = [*tell(server, stories, form)[:-2], failure]
    came = await kit.read(asking(clients, form))
    assert came.text == stories.TEXT and came.of(Ended) == []
    assert isinstance(came.error, anthropic.APIStatusError)


@pytest.mark.parametrize("form", FORMS)
async def test_a_reader_that_has_enough(server, clients, stories, form):
    server.scripts["story"] = [*tell(server, stories, form)[:-2], "hang"]
    async with Cortex(":memory:") as cortex:
        answer = cortex.memory.remember_stream(
            asking(clients, form), memory_space_id="s", conversation_id="c", user_message="Hi", agent_id="helper"
        )
        async for text in answer:
            assert text == stories.FIRST[0]
            break
        await answer.stop()
        await closed(server)
