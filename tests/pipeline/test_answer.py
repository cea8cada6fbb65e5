"""`remember_stream`, `remember`, the handle and the client: what a caller sees, and what is in the file."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops

from cortex_rx import (
    Answer,
    AnswerStopped,
    Cortex,
    RememberParams,
    RememberStreamParams,
    SqliteBackend,
    StreamingOptions,
    Turn,
    default_chain,
    from_stream,
    remember_stream,
    run,
)
from cortex_rx import operators as cx
from cortex_rx.errors import (
    ChainOrderError,
    CortexError,
    EmptyAnswer,
    IdempotencyConflict,
    InvalidArgument,
    NotStored,
    ResumableStreamError,
    StoreClosed,
    StoreUnavailable,
    StreamTimeout,
    StreamTooLong,
    TextDiverged,
    UnsupportedOption,
)
from cortex_rx.events import Begun, Custom, Delta, Ended, Measured, Remembered, Replayed
from cortex_rx.testing import assert_no_leaks, run_virtual

TURN: dict[str, Any] = {
    "memory_space_id": "support",
    "conversation_id": "c-1",
    "user_message": "Where is my parcel?",
    "user_id": "ada",
    "user_name": "Ada",
}
CAMEL: dict[str, Any] = {
    "memorySpaceId": "support",
    "conversationId": "c-1",
    "userMessage": "Where is my parcel?",
    "userId": "ada",
    "userName": "Ada",
}


class Model:
    """A model that says `text` word by word; it counts how often it was asked, how far it was read, and closed."""

    def __init__(self, text: str = "It is in Lisbon.", pause: float = 0.01, fail_at: int | None = None) -> None:
        self.words = text.split(" ")
        self.words = [word + " " for word in self.words[:-1]] + self.words[-1:]
        self.pause, self.fail_at = pause, fail_at
        self.asked = self.read = self.closed = 0

    async def __call__(self) -> AsyncIterator[str]:
        return self._words()

    async def _words(self) -> AsyncIterator[str]:
        self.asked += 1
        try:
            for word in self.words:
                await asyncio.sleep(self.pause)
                if self.read == self.fail_at:
                    raise ConnectionError("dropped")
                self.read += 1
                yield word
        finally:
            self.closed += 1


def endless(pause: float = 0.01) -> Model:
    return Model("word " * 100_000, pause)


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in virtual time, on a client over a real file, and see that nothing is left of it."""

    def wrapped(tmp_path: Path) -> None:
        async def main() -> None:
            async with assert_no_leaks(), Cortex(tmp_path / "memory.db") as cortex:
                await test(cortex)

        run_virtual(main())

    wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
    return wrapped


async def stored(cortex: Cortex, conversation: str = "c-1") -> list[tuple[str, str]]:
    found = await cortex.conversations.get(conversation, memory_space_id="support")
    return [(message.role, message.content) for message in found.messages] if found else []


# --- the main job -----------------------------------------------------------------------------------------------------


@virtual
async def test_every_token_is_shown_at_once_and_the_exchange_is_stored(cortex: Cortex) -> None:
    model, seen, time = Model(), [], asyncio.get_running_loop().time
    answer = cortex.memory.remember_stream(model, **TURN)
    assert model.asked == 0, "nothing runs before the first use"
    async for text in answer:
        seen.append((text, round(time(), 3)))
    assert seen == [("It ", 0.01), ("is ", 0.02), ("in ", 0.03), ("Lisbon.", 0.04)]
    result = await answer
    assert result.full_response == result["fullResponse"] == "It is in Lisbon."
    assert await stored(cortex) == [("user", "Where is my parcel?"), ("agent", "It is in Lisbon.")]
    question, reply = result.memories
    assert (question.message_role, reply.message_role) == ("user", "agent")
    assert [(m.content, m.user_id, m.importance) for m in await cortex.memory.list("support")] == [
        ("It is in Lisbon.", "ada", 50),
        ("Where is my parcel?", "ada", 50),
    ]
    assert [m.memory_id for m in await cortex.memory.search("support", "lisbon", neighbours=False)] == [reply.memory_id]
    assert await cortex.memory.count("another") == 0
    assert model.closed == 1


@virtual
async def test_one_row_of_the_partial_becomes_the_memory(cortex: Cortex) -> None:
    model = Model("word " * 200 + "end")
    partial: list[Any] = []
    answer = cortex.memory.remember_stream(model, **TURN)
    async for _ in answer:
        if model.read == 120:
            partial = await cortex.memory.list("support", include_partial=True)
            assert await cortex.memory.list("support") == []
            assert await cortex.memory.count("support") == 0
            assert await cortex.memory.search("support", "word") == []
    result = await answer
    assert len(partial) == 1
    assert partial[0].is_partial
    durable = len(partial[0].content) // 5
    assert partial[0].content == "word " * durable
    assert 120 - durable <= 50, "nothing that is older than 500 ms"
    assert [m.memory_id for m in result.memories if m.message_role == "agent"] == [partial[0].memory_id]
    assert await cortex.memory.count("support", include_partial=True) == 2
    assert result.progressive_processing is not None
    history = result.progressive_processing.partial_storage_history
    assert [round(update.content_length / 250) for update in history] == [1, 2, 3, 4, 4], "every 500 ms, and the tail"
    assert history[-1].content_length == len("word " * 200 + "end")


def test_both_spellings_models_and_dictionaries_give_the_same(tmp_path: Path) -> None:
    calls: list[Callable[[Cortex, Any], Answer]] = [
        lambda cortex, stream: cortex.memory.remember_stream(stream, **TURN),
        lambda cortex, stream: cortex.memory.remember_stream(stream, {"store_partial_response": True}, **TURN),
        lambda cortex, stream: cortex.memory.remember_stream(CAMEL | {"responseStream": stream}),
        lambda cortex, stream: cortex.memory.remember_stream(
            TURN | {"response_stream": stream}, {"storePartialResponse": True}
        ),
        lambda cortex, stream: cortex.memory.remember_stream(
            RememberStreamParams(**TURN, response_stream=stream), StreamingOptions(partial_response_interval=500)
        ),
        lambda cortex, stream: remember_stream(stream, backend=cortex.backend, **TURN),
    ]

    async def one(call: Callable[[Cortex, Any], Answer], at: int) -> tuple[Any, ...]:
        async with Cortex(tmp_path / f"{at}.db") as cortex:
            result = await call(cortex, Model())
            return (
                result.full_response,
                await stored(cortex),
                [m.importance for m in result.memories],
                result["memories"][1]["content"],
            )

    assert len({repr(run_virtual(one(call, at))) for at, call in enumerate(calls)}) == 1


@virtual
async def test_two_streams_at_once_keep_each_question_with_its_answer(cortex: Cortex) -> None:
    fast, slow = Model("one two three", 0.01), Model("four five six seven", 0.013)
    first = cortex.memory.remember_stream(slow, **TURN | {"user_message": "Q1"})
    second = cortex.memory.remember_stream(fast, **TURN | {"user_message": "Q2"})
    await asyncio.gather(first, second)
    page = await cortex.conversations.get_history("c-1", memory_space_id="support")
    said = [(message.role, message.content) for message in page.messages]
    pairs = [("user", "Q1"), ("agent", "four five six seven")], [("user", "Q2"), ("agent", "one two three")]
    assert said in (pairs[0] + pairs[1], pairs[1] + pairs[0])
    assert said == await stored(cortex)
    assert [c.conversation_id for c in await cortex.conversations.list(memory_space_id="support")] == ["c-1"]


@virtual
async def test_the_chain_can_be_taken_apart_and_recomposed(cortex: Cortex) -> None:
    whole = default_chain(cortex.backend)
    assert whole.names == ("begin", "persist_partial", "recover", "finalize", "measure")
    seen: list[str] = []
    note = cx.step("note", ops.do_action(lambda event: seen.append(type(event).__name__)))
    chain = whole.without("persist_partial").before("begin", cx.limit(10, then="end")).after("finalize", note)
    result = await cortex.memory.remember_stream(Model(), chain=chain, **TURN)
    assert result.full_response == "It is in L"
    assert result.finish_reason == "limit"
    assert seen == ["Opened", "Begun", "Delta", "Delta", "Delta", "Delta", "Ended", "Remembered"]
    by_hand = from_stream(Model(), turn=Turn(**TURN | {"conversation_id": "c-2"})).pipe(chain, cx.result())
    assert (await run(by_hand)).full_response == "It is in L"
    assert (await stored(cortex, "c-2"))[1] == ("agent", "It is in L")


def test_a_recomposed_chain_that_cannot_work_is_refused_before_anything_runs(tmp_path: Path) -> None:
    backend, model = SqliteBackend(tmp_path / "memory.db"), Model()
    chain = default_chain(backend)
    with pytest.raises(ChainOrderError, match=r"persist_partial needs Begun, .* put begin\(\.\.\.\) before it"):
        remember_stream(model, backend=backend, chain=chain.without("begin"), **TURN)
    assert model.asked == 0
    assert not (tmp_path / "memory.db").exists()


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (None, ("begin", "persist_partial", "recover", "finalize", "measure")),
        ({"store_partial_response": False}, ("begin", "recover", "finalize", "measure")),
        ({"streamTimeout": 5_000}, ("timeout", "begin", "persist_partial", "recover", "finalize", "measure")),
        ({"maxResponseLength": 5}, ("limit", "begin", "persist_partial", "recover", "finalize", "measure")),
        (
            StreamingOptions(stream_timeout=1, max_response_length=5),
            ("timeout", "limit", "begin", "persist_partial", "recover", "finalize", "measure"),
        ),
        (
            {"maxRetries": 2, "streamTimeout": 1, "maxResponseLength": 5},
            ("timeout", "resume", "limit", "begin", "persist_partial", "recover", "finalize", "measure"),
        ),
        ({"maxRetries": 0}, ("begin", "persist_partial", "recover", "finalize", "measure")),
        (
            {"partialFailureHandling": "retry"},
            ("resume", "begin", "persist_partial", "recover", "finalize", "measure"),
        ),
    ],
)
def test_every_option_acts_on_one_named_step(options: Any, names: tuple[str, ...], tmp_path: Path) -> None:
    assert default_chain(SqliteBackend(tmp_path / "m.db"), options).names == names


def test_options_configure_their_steps(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "m.db")
    chain = default_chain(
        backend,
        {"partialResponseInterval": 250, "maxBufferSize": 9, "streamTimeout": 30_000, "maxResponseLength": 7},
    )
    assert chain["persist_partial"] == cx.persist_partial(backend, timedelta(milliseconds=250), 9)
    assert chain["timeout"] == cx.timeout(idle=timedelta(seconds=30))
    assert chain["limit"] == cx.limit(7)


@virtual
async def test_a_limit_and_a_timeout_end_the_stream_and_keep_what_came(cortex: Cortex) -> None:
    with pytest.raises(ResumableStreamError) as caught:
        await cortex.memory.remember_stream(Model(), {"max_response_length": 10}, **TURN)
    assert "max length of 10" in str(caught.value.original_error)
    assert type(caught.value.original_error) is StreamTooLong
    slow = Model("one two three", pause=3)
    slow.words[2:] = ["three"]

    async def stalls() -> AsyncIterator[str]:
        yield "It is "
        await asyncio.sleep(3600)
        yield "too late"

    with pytest.raises(ResumableStreamError) as caught:
        await cortex.memory.remember_stream(stalls, {"stream_timeout": 5_000}, **TURN)
    assert type(caught.value.original_error) is StreamTimeout
    assert asyncio.get_running_loop().time() == pytest.approx(5.04)
    partial = await cortex.memory.list("support", include_partial=True)
    assert sorted(m.content for m in partial) == ["It is ", "It is in L"]
    assert await cortex.memory.list("support") == []


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"user_name": None}, InvalidArgument, "user_name: got None"),
        ({"user_id": None, "user_name": None}, InvalidArgument, "an owner: user_id with user_name, or agent_id"),
        ({"memory_space_id": ""}, InvalidArgument, "memory_space_id: got ''"),
        ({"user_message": 5}, InvalidArgument, "user_message: got 'int'"),
        ({"importance": 101}, InvalidArgument, "importance: got 101; accepted: a number from 0 to 100"),
        ({"improtance": 5}, InvalidArgument, "importance"),
        ({"extract_facts": "print"}, InvalidArgument, "extract_facts"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_stored(
    change: dict[str, Any], error: type[Exception], text: str, tmp_path: Path
) -> None:
    model, backend = Model(), SqliteBackend(tmp_path / "memory.db")
    with pytest.raises(error) as caught:
        remember_stream(model, backend=backend, **TURN | change)
    assert text in str(caught.value)
    assert model.asked == 0
    assert not (tmp_path / "memory.db").exists()


def test_options_and_functions_that_a_given_chain_would_ignore_are_refused(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "m.db")
    chain = default_chain(backend)
    with pytest.raises(InvalidArgument, match="options are for the default chain"):
        remember_stream(Model(), {"stream_timeout": 5}, backend=backend, chain=chain, **TURN)
    with pytest.raises(InvalidArgument, match=r"finalize\(extract_content=\.\.\.\)"):
        remember_stream(Model(), backend=backend, chain=chain, extract_content=max, **TURN)
    with pytest.raises(InvalidArgument, match="chain"):
        remember_stream(Model(), backend=backend, chain="begin", **TURN)  # type: ignore[arg-type]


@virtual
async def test_an_agent_can_own_a_stream_and_importance_0_stays_0(cortex: Cortex) -> None:
    turn = {k: v for k, v in TURN.items() if k not in ("user_id", "user_name")} | {
        "agent_id": "helper",
        "importance": 0,
    }
    result = await cortex.memory.remember_stream(Model(), tags=["a", "b"], **turn)
    for memory in result.memories:
        assert (memory.importance, memory.agent_id, memory.user_id, memory.tags) == (0, "helper", None, ("a", "b"))


@virtual
async def test_extract_content_and_generate_embedding_do_what_they_say(cortex: Cortex) -> None:
    async def embed(text: str) -> list[float]:
        return [float(len(text)), 1.0]

    result = await cortex.memory.remember_stream(
        Model(),
        extract_content=lambda question, answer: f"asked for a parcel; {answer}",
        generate_embedding=embed,
        **TURN,
    )
    question, reply = [await cortex.memory.get("support", memory.memory_id) for memory in result.memories]
    assert question is not None
    assert reply is not None
    assert (question.content, question.content_type) == ("asked for a parcel; It is in Lisbon.", "summarized")
    assert question.embedding == (36.0, 1.0)
    assert reply.embedding == (16.0, 1.0)
    assert await stored(cortex) == [("user", "Where is my parcel?"), ("agent", "It is in Lisbon.")]


# --- what goes wrong --------------------------------------------------------------------------------------------------


@virtual
async def test_an_answer_without_text_keeps_the_question_and_says_so(cortex: Cortex) -> None:
    for text in ("", "  \n"):
        with pytest.raises(EmptyAnswer, match="produced no content; the question is kept"):
            await cortex.memory.remember_stream([text], **TURN)
    conversation = await cortex.conversations.get("c-1", memory_space_id="support")
    assert conversation is not None
    assert [(m.role, (m.metadata or {}).get("unanswered")) for m in conversation.messages] == [("user", "empty")] * 2
    memories = await cortex.memory.list("support", include_partial=True)
    assert [m.message_role for m in memories] == ["user", "user"]
    assert all("unanswered" in m.tags for m in memories)


@virtual
async def test_an_answer_of_tool_calls_alone_is_stored(cortex: Cortex) -> None:
    def calls(item: Any) -> list[Custom] | None:
        return [Custom("tool_calls", item)] if isinstance(item, list) else None

    async def model() -> AsyncIterator[list[str]]:
        yield ["look_up"]

    result = await cortex.memory.remember_stream(model, provider=calls, **TURN)
    assert [m.message_role for m in result.memories] == ["user"]
    assert [role for role, _ in await stored(cortex)] == ["user", "agent"]


@virtual
async def test_a_source_that_fails_leaves_the_partial_and_its_question(cortex: Cortex) -> None:
    seen = []
    answer = cortex.memory.remember_stream(Model(fail_at=2), **TURN)
    with pytest.raises(ResumableStreamError):
        async for text in answer:
            seen.append(text)
    assert seen == ["It ", "is "]
    with pytest.raises(ResumableStreamError) as caught:
        await answer
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert caught.value.resume_token == answer.resume_token
    (partial,) = await cortex.memory.list("support", include_partial=True)
    assert partial.content == "It is "
    assert partial.partial_metadata is not None
    assert partial.partial_metadata["userMessage"] == "Where is my parcel?"
    assert await stored(cortex) == []


@virtual
async def test_a_store_that_is_down_does_not_hold_the_tokens_back_and_the_error_carries_the_text(
    cortex: Cortex,
) -> None:
    class Down:
        async def query(self, path: str, args: Any) -> Any:
            raise StoreUnavailable("down")

        mutation = query

        async def close(self) -> None: ...

    seen, time = [], asyncio.get_running_loop().time
    answer = remember_stream(Model(), backend=Down(), **TURN)
    async for text in answer:
        seen.append((text, round(time(), 2)))
    assert seen == [("It ", 2.0), ("is ", 2.01), ("in ", 2.02), ("Lisbon.", 2.03)], "held back for begin, 2 s at most"
    with pytest.raises(NotStored, match="not stored") as caught:
        await answer
    assert caught.value.text == "It is in Lisbon."
    assert "Lisbon" not in str(caught.value)
    assert isinstance(caught.value.__cause__, StoreUnavailable)


@virtual
async def test_an_idempotency_key_stores_once_and_refuses_another_text(cortex: Cortex) -> None:
    turn = TURN | {"idempotency_key": "k-1"}
    first = await cortex.memory.remember_stream(Model(), **turn)
    again = await cortex.memory.remember_stream(Model(), **turn)
    assert (first.stored_before, again.stored_before) == (False, True)
    assert [m.memory_id for m in first.memories] == [m.memory_id for m in again.memories]
    with pytest.raises(IdempotencyConflict):
        await cortex.memory.remember_stream(Model("Another answer"), **turn)
    asked = Model()
    with pytest.raises(IdempotencyConflict):
        await cortex.memory.remember_stream(asked, **turn | {"user_message": "Another question"})
    assert asked.closed == asked.asked, "what was opened is closed"
    kept = await cortex.memory.remember(agent_response="It is in Lisbon.", **turn)
    assert kept.conversation.message_ids == first.conversation.message_ids
    assert await cortex.memory.count("support", include_partial=True) == 2
    assert len(await stored(cortex)) == 2
    elsewhere = await cortex.memory.remember_stream(Model("Another answer"), **turn | {"memory_space_id": "other"})
    assert elsewhere.full_response == "Another answer"


@virtual
async def test_what_is_shown_of_an_exchange_that_is_stored_already_is_no_place_in_it(cortex: Cortex) -> None:
    """It may be another text. A reader that came back with such a position would get the rest of the stored one."""
    turn = TURN | {"idempotency_key": "k-1"}
    first = cortex.memory.remember_stream(Model("one two three"), **turn)
    texts = aiter(first)
    async for _ in texts:
        assert texts.position is not None
    await first
    again = cortex.memory.remember_stream(Model("uno dos"), **turn)
    shown = ""
    with pytest.raises(IdempotencyConflict):
        async for event in (events := again.events()):
            if isinstance(event, Begun):
                assert event.stored_before
            elif isinstance(event, Delta):
                shown += event.text
            assert events.position is None
    assert shown == "uno dos"


# --- the handle -------------------------------------------------------------------------------------------------------


@virtual
async def test_readers_in_other_tasks_and_late_ones_see_all(cortex: Cortex) -> None:
    model = Model("a b c d e f g h")
    answer = cortex.memory.remember_stream(model, **TURN)

    async def read() -> list[str]:
        return [text async for text in answer]

    async def later() -> list[str]:
        await asyncio.sleep(0.045)
        return await read()

    first, second, late = await asyncio.gather(asyncio.create_task(read()), read(), later())
    assert first == second == model.words
    assert late == ["a b c d ", "e ", "f ", "g ", "h"]
    assert await read() == ["a b c d e f g h"], "after the end, in one piece"
    assert (await answer).stream_id == answer.stream_id
    events = [event async for event in answer.events()]
    assert events == [Replayed("a b c d e f g h", 15, 8, 0)]
    assert model.asked == 1
    assert answer.text == "a b c d e f g h"


@virtual
async def test_events_are_all_there_in_order(cortex: Cortex) -> None:
    answer = cortex.memory.remember_stream(Model(), **TURN)
    events = [event async for event in answer.events()]
    kinds = [type(event).__name__ for event in events if not isinstance(event, Delta)]
    assert kinds == ["Opened", "Begun", "Ended", "PartialStored", "Remembered", "Measured"]
    assert isinstance(events[-1], Measured)
    assert events[-1].metrics.total_chunks == 4


@virtual
async def test_whoever_breaks_off_and_waits_gets_the_whole(cortex: Cortex) -> None:
    answer = cortex.memory.remember_stream(Model("word " * 300 + "end"), **TURN)
    async for _ in answer:
        break
    result = await answer
    assert result.full_response == "word " * 300 + "end"


@virtual
async def test_when_all_readers_have_left_it_lingers_stops_and_keeps_the_partial(cortex: Cortex) -> None:
    model = endless()
    answer = cortex.memory.remember_stream(model, **TURN)
    async for _ in answer:
        if model.read == 50:
            break
    await asyncio.sleep(0.9)
    assert model.closed == 0, "a reader may come back within a second"
    await asyncio.sleep(0.5)
    assert model.closed == 1
    with pytest.raises(AnswerStopped):
        await answer
    (partial,) = await cortex.memory.list("support", include_partial=True)
    assert partial.content == "word " * model.read
    assert 145 <= model.read <= 155


@virtual
async def test_a_reader_who_comes_back_in_time_keeps_it_running(cortex: Cortex) -> None:
    model = Model("word " * 400 + "end")
    answer = cortex.memory.remember_stream(model, **TURN)
    async for _ in answer:
        if model.read == 50:
            break
    await asyncio.sleep(0.9)
    rest = [text async for text in answer]
    assert "".join(rest) == "word " * 400 + "end"
    assert len(rest[0]) > 50 * 5
    assert (await answer).full_response == "".join(rest)


@virtual
async def test_who_has_read_to_the_end_has_not_left(cortex: Cortex) -> None:
    slow = default_chain(cortex.backend)

    async def wait(inbox: Any) -> AsyncIterator[Any]:
        async for _ in inbox:
            pass
        await asyncio.sleep(3)
        yield Custom("late")

    from cortex_rx.engine import beside

    chain = slow.before("finalize", cx.step("slow", beside(wait)))
    answer = cortex.memory.remember_stream(Model(), chain=chain, **TURN)
    async for _ in answer:
        pass
    await asyncio.sleep(10)
    assert await stored(cortex) == [("user", "Where is my parcel?"), ("agent", "It is in Lisbon.")]


@virtual
async def test_a_detached_stream_runs_to_its_end_though_nobody_reads(cortex: Cortex) -> None:
    answer = cortex.memory.remember_stream(Model("word " * 500 + "end"), **TURN)
    answer.detach()
    await asyncio.sleep(6)
    assert (await stored(cortex))[1] == ("agent", "word " * 500 + "end")


@virtual
async def test_stop_ends_it_now_and_keeps_the_partial(cortex: Cortex) -> None:
    model = endless()
    answer = cortex.memory.remember_stream(model, **TURN)

    async def read() -> int:
        count = 0
        with pytest.raises(AnswerStopped):
            async for _ in answer:
                count += 1
        return count

    reader = asyncio.create_task(read())
    await asyncio.sleep(0.305)
    await answer.stop()
    assert model.closed == 1
    (partial,) = await cortex.memory.list("support", include_partial=True)
    assert partial.content == "word " * 30
    assert await reader == 30
    with pytest.raises(AnswerStopped):
        await answer
    unused = cortex.memory.remember_stream(Model(), **TURN)
    await unused.stop()
    with pytest.raises(AnswerStopped):
        await unused


async def read(items: AsyncIterator[Any] | Answer) -> None:
    async for _ in items:
        pass


async def wait(answer: Answer) -> None:
    await answer


@virtual
async def test_whoever_uses_a_stopped_answer_catches_a_cortex_error_with_the_token(cortex: Cortex) -> None:
    answer = cortex.memory.remember_stream(endless(), **TURN)

    async def caught(use: Coroutine[Any, Any, None]) -> CortexError:
        with pytest.raises(CortexError) as raised:
            await use
        return raised.value

    def uses() -> list[asyncio.Task[CortexError]]:
        return [asyncio.create_task(caught(use)) for use in (read(answer), read(answer.events()), wait(answer))]

    before = uses()
    await asyncio.sleep(0.3)
    await answer.stop()
    found = [await use for use in (*before, *uses())]
    assert answer.resume_token
    told = [(type(error), error.code, getattr(error, "resume_token", None)) for error in found]
    assert told == [(AnswerStopped, "ANSWER_STOPPED", answer.resume_token)] * 6


@virtual
async def test_an_answer_that_reads_a_stopped_one_says_whose_token_it_is(cortex: Cortex) -> None:
    inner = cortex.memory.remember_stream(endless(), **TURN)
    outer = Answer(from_stream(inner, turn=Turn("other", "c-2", "Hi!", agent_id="helper")).pipe(cx.result()))
    uses = [asyncio.create_task(use) for use in (read(outer), wait(outer))]
    await asyncio.sleep(0.3)
    await inner.stop()
    for use in uses:
        with pytest.raises(AnswerStopped) as raised:
            await use
        assert raised.value.resume_token == inner.resume_token is not None


@virtual
async def test_the_slowest_reader_sets_the_pace(cortex: Cortex) -> None:
    model = Model("word " * 400 + "end", pause=0.001)
    answer = cortex.memory.remember_stream(model, **TURN)
    ahead = 0

    async def slow() -> int:
        nonlocal ahead
        count = 0
        async for _ in answer:
            count += 1
            ahead = max(ahead, model.read - count)
            await asyncio.sleep(0.1)
        return count

    async def fast() -> int:
        return len([text async for text in answer])

    assert await asyncio.gather(slow(), fast()) == [401, 401]
    assert ahead <= 33
    assert (await answer).full_response == "word " * 400 + "end"


@virtual
async def test_a_cancelled_reader_ends_only_himself_and_a_cancelled_awaiter_too(cortex: Cortex) -> None:
    answer = cortex.memory.remember_stream(Model("word " * 100 + "end"), **TURN)

    async def read() -> None:
        async for _ in answer:
            pass

    reader, waiter = asyncio.create_task(read()), asyncio.create_task(_wait(answer))
    await asyncio.sleep(0.3)
    reader.cancel()
    waiter.cancel()
    for task in (reader, waiter):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await answer).full_response == "word " * 100 + "end"


async def _wait(answer: Answer) -> Any:
    return await answer


@virtual
async def test_leaving_by_aclosing_is_leaving_at_once(cortex: Cortex) -> None:
    model = endless()
    answer = cortex.memory.remember_stream(model, **TURN)
    async with aclosing(answer.__aiter__()) as texts:
        async for _ in texts:
            break
    await asyncio.sleep(1.1)
    assert model.closed == 1


@virtual
async def test_a_reader_of_text_is_never_shown_a_mixed_one(cortex: Cortex) -> None:
    def anew(event: Any) -> Any:  # as a retry of the source would: after two words the text begins anew
        if isinstance(event, Delta) and event.index >= 2:
            return replace(event, attempt=1, index=event.index - 2, offset=event.offset - 6)
        return replace(event, offset=event.offset - 6) if isinstance(event, Ended) else event

    retried = cx.step("retried", ops.map(anew))
    answer = cortex.memory.remember_stream(
        Model(), chain=default_chain(cortex.backend).before("begin", retried), **TURN
    )
    seen: list[str] = []
    with pytest.raises(TextDiverged):
        async for text in answer:
            seen.append(text)
    assert seen == ["It ", "is "]
    assert [text async for text in answer] == ["in ", "Lisbon."]
    assert (await answer).full_response == "in Lisbon."
    assert (await stored(cortex))[1] == ("agent", "in Lisbon.")


def test_another_loop_is_told_so(tmp_path: Path) -> None:
    kept: list[Answer] = []

    async def one() -> None:
        async with Cortex(tmp_path / "m.db") as cortex:
            kept.append(cortex.memory.remember_stream(Model(), **TURN))
            await kept[0]

    async def two() -> None:
        with pytest.raises(RuntimeError, match="runs on another event loop"):
            await kept[0]

    run_virtual(one())
    run_virtual(two())


# --- remember ---------------------------------------------------------------------------------------------------------


@virtual
async def test_remember_stores_the_same_as_a_stream(cortex: Cortex) -> None:
    streamed = await cortex.memory.remember_stream(Model(), **TURN)
    for conversation, call in {
        "k": cortex.memory.remember(agent_response="It is in Lisbon.", **TURN | {"conversation_id": "k"}),
        "d": cortex.memory.remember(CAMEL | {"agentResponse": "It is in Lisbon.", "conversationId": "d"}),
        "m": cortex.memory.remember(
            RememberParams(**TURN | {"conversation_id": "m"}, agent_response="It is in Lisbon.")
        ),
    }.items():
        plain = await call
        assert plain["conversation"]["conversationId"] == conversation
        assert await stored(cortex, conversation) == await stored(cortex)
        for one, other in zip(plain.memories, streamed.memories, strict=True):
            same = {"memory_id", "conversation_ref", "created_at", "updated_at", "source_timestamp", "metadata"}
            assert one.model_dump(exclude=same) == other.model_dump(exclude=same)
    with pytest.raises(EmptyAnswer):
        await cortex.memory.remember(agent_response="", **TURN)


@virtual
async def test_a_cancelled_remember_is_finished_all_the_same(cortex: Cortex) -> None:
    task = asyncio.create_task(cortex.memory.remember(agent_response="It is in Lisbon.", **TURN))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(1)
    assert len(await stored(cortex)) == 2


# --- the client -------------------------------------------------------------------------------------------------------


def test_close_finishes_what_runs_and_stops_what_takes_too_long(tmp_path: Path, caplog: Any) -> None:
    async def main() -> tuple[float, list[str], int]:
        cortex = Cortex(tmp_path / "m.db")
        short, long = Model("a b c"), endless(0.5)
        for model in (short, long):
            cortex.memory.remember_stream(model, **TURN | {"conversation_id": f"c-{len(model.words)}"}).detach()
        await asyncio.sleep(0)
        await cortex.close(timeout=timedelta(seconds=10))
        await cortex.close()
        with pytest.raises(StoreClosed):
            await cortex.memory.remember_stream(Model(), **TURN)
        return asyncio.get_running_loop().time(), short.words, long.closed

    with caplog.at_level(logging.WARNING, logger="cortex_rx"):
        at, _, closed = run_virtual(main())
    assert at == pytest.approx(10.0, abs=0.1)
    assert closed == 1
    assert "1 streams were stopped" in caplog.text

    async def look() -> tuple[list[Any], list[Any]]:
        async with Cortex(tmp_path / "m.db") as cortex:
            return await stored(cortex, "c-3"), await cortex.memory.list("support", include_partial=True)

    finished, memories = run_virtual(look())
    assert finished[1] == ("agent", "a b c")
    assert [m.content for m in memories if m.is_partial] == ["word " * 20]


def test_a_backend_that_was_given_stays_open(tmp_path: Path) -> None:
    async def main() -> int:
        async with SqliteBackend(tmp_path / "m.db") as backend:
            async with Cortex(backend) as cortex:
                await cortex.memory.remember(agent_response="It is in Lisbon.", **TURN)
            return int(await backend.query("memories:count", {"memorySpaceId": "support"}))

    assert run_virtual(main()) == 2


def test_the_environment_says_where_and_a_keyword_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"CORTEX_STORE": str(tmp_path / "env.db"), "CORTEX_LINGER": "7"}
    assert repr(Cortex.from_env(environ)) == f"Cortex(SqliteBackend({str(tmp_path / 'env.db')!r}))"
    assert repr(Cortex.from_env(environ, store=":memory:")) == "Cortex(SqliteBackend(':memory:'))"
    assert repr(Cortex.from_env({})) == f"Cortex(SqliteBackend({str(tmp_path / 'cortex.db')!r}))"
    monkeypatch.setenv("CORTEX_STORE", ":memory:")
    assert repr(Cortex()) == "Cortex(SqliteBackend(':memory:'))"
    with pytest.raises(InvalidArgument, match="CORTEX_LINGER: got 'soon'; accepted: seconds, 0 or more"):
        Cortex.from_env({"CORTEX_LINGER": "soon"})
    with pytest.raises(UnsupportedOption, match="Convex backend does not exist yet"):
        Cortex("https://example.invalid")
    with pytest.raises(InvalidArgument, match="store: got 'int'"):
        Cortex(5)  # type: ignore[arg-type]


def test_linger_is_the_client_s(tmp_path: Path) -> None:
    async def main() -> float:
        time = asyncio.get_running_loop().time
        async with Cortex(tmp_path / "m.db", linger=timedelta(seconds=4)) as cortex:
            model = endless(1.0)
            async for _ in cortex.memory.remember_stream(model, **TURN):
                break
            while not model.closed:
                await asyncio.sleep(0.1)
            return time()

    assert run_virtual(main()) == pytest.approx(5.0, abs=0.2)


def test_what_was_left_running_is_said_at_exit(tmp_path: Path) -> None:
    program = """
import asyncio, logging
logging.basicConfig()
from cortex_rx import Cortex
async def model():
    while True:
        await asyncio.sleep(0.01)
        yield "word "
loop = asyncio.new_event_loop()
async def main():
    asked = {"conversation_id": "c", "user_message": "q", "agent_id": "a"}
    answer = Cortex("m.db").memory.remember_stream(model, memory_space_id="s", **asked)
    answer.detach()
    await asyncio.sleep(0.05)
    return answer
kept = loop.run_until_complete(main())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "1 streams still ran when the client went away" in done.stderr


def test_without_async_with_a_program_that_ends_keeps_what_came(tmp_path: Path) -> None:
    program = """
import asyncio
from cortex_rx import Cortex
async def model():
    while True:
        await asyncio.sleep(0.001)
        yield "word "
async def main():
    asked = {"conversation_id": "c", "user_message": "q", "agent_id": "a"}
    answer = Cortex("m.db").memory.remember_stream(model, memory_space_id="s", **asked)
    seen = 0
    async for text in answer:
        seen += 1
        if seen == 20:
            break
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")

    async def look() -> list[Any]:
        async with Cortex(tmp_path / "m.db") as cortex:
            return await cortex.memory.list("s", include_partial=True)

    (partial,) = run_virtual(look())
    assert partial.content.startswith("word " * 20)


def test_dropping_everything_leaves_no_warning(tmp_path: Path) -> None:
    async def main() -> None:
        async with Cortex(tmp_path / "m.db") as cortex:
            answer = cortex.memory.remember_stream(Model(), **TURN)
            await answer
            assert isinstance([event async for event in answer.events()][0], Replayed)

    run_virtual(main())
    gc.collect()


def test_last_remembered_gives_the_event(tmp_path: Path) -> None:
    async def main() -> Remembered:
        async with SqliteBackend(tmp_path / "m.db") as backend:
            source = from_stream(Model(), turn=Turn(**TURN))
            ended = await run(source.pipe(default_chain(backend), cx.last(Ended)))
            assert ended.reason == "stop"
            return await run(source.pipe(default_chain(backend), cx.last(Remembered)))

    assert run_virtual(main()).conversation_id == "c-1"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"metadata": {"pages": {3: "intro"}}},
            "metadata.pages: got 'a key of type int'; accepted: keys that are strings",
        ),
        ({"metadata": {"pages": [{"a": float("nan")}]}}, "metadata.pages[0].a: got nan"),
        ({"chain": lambda source: None}, "chain: got None; accepted: an operator"),
        ({"linger": 5}, "linger: got 5; accepted: a timedelta"),
    ],
)
def test_what_would_fail_later_is_refused_before_the_model_is_asked(
    change: dict[str, Any], text: str, tmp_path: Path
) -> None:
    model, backend = Model(), SqliteBackend(tmp_path / "memory.db")
    with pytest.raises(InvalidArgument) as caught:
        remember_stream(model, backend=backend, **TURN | change)
    assert str(caught.value).startswith(text)
    assert not model.asked and not (tmp_path / "memory.db").exists()
