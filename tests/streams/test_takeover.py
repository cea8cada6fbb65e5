"""A stream that began in one process continues in another, by its token. Each process has a store object of its own on
the file.

Every reopening could give another text, so that mixing would show.
"""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from typing import Any

import pytest
from helpers.scripts import model
from reactivex import operators as ops

from cortex_rx import Answer, Cortex, SqliteBackend, Turn, default_chain, from_stream, remember_stream, run
from cortex_rx import operators as cx
from cortex_rx.errors import (
    EmptyAnswer,
    Fenced,
    IdempotencyConflict,
    InvalidArgument,
    NotResumable,
    ResumableStreamError,
    StillOwned,
    StoreUnavailable,
    StreamNotFound,
    TextDiverged,
    TokenExpired,
    TokenSuperseded,
    TokenUnknown,
    WrongMemorySpace,
)
from cortex_rx.events import Begun, Chunked, Delta, Opened, Replayed, Resumed, Waiting, from_json, to_json
from cortex_rx.sources.model_stream import ResumeFrom, prefill, replayable, restart
from cortex_rx.streams.stopping import AnswerStopped
from cortex_rx.testing import Faulty, run_virtual

PARAMS = {
    "memory_space_id": "space",
    "conversation_id": "c-1",
    "user_message": "What is it?",
    "user_id": "ada",
    "user_name": "Ada",
}
TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada", tags=("t",), metadata={"k": 1})
GONE = ConnectionResetError()


@pytest.fixture
def store(tmp_path: Any) -> Any:
    """A new object on the same file, as another process has it; its clock is that of the loop."""
    return lambda: SqliteBackend(tmp_path / "m.db", clock=lambda: 1_700_000_000 + asyncio.get_running_loop().time())


@pytest.fixture
def rows(tmp_path: Any) -> Any:
    def query(statement: str, *args: Any) -> list[Any]:
        with sqlite3.connect(tmp_path / "m.db") as db:
            return db.execute(statement, args).fetchall()

    return query


async def everything(backend: Any) -> Any:
    memories = await backend.query("memories:list", {"memorySpaceId": "space", "includePartial": True})
    conversation = await backend.query("conversations:get", {"memorySpaceId": "space", "conversationId": "c-1"})
    return (
        [(row["content"], row["isPartial"]) for row in memories],
        [(m["role"], m["content"]) for m in conversation["messages"]] if conversation else [],
    )


async def interrupted(backend: Any, source: Any, chain: Any = None) -> str:
    """A stream that fails, in a process that then ends; its token."""
    with pytest.raises(ResumableStreamError) as caught:
        await run(from_stream(source, turn=TURN).pipe(chain or default_chain(backend), cx.result()))
    await backend.close()
    assert caught.value.resume_token
    return caught.value.resume_token


async def dead_writer(store: Any) -> Answer:
    """An answer of a process that died after 4 s. Such a process writes no more: its store is cut off."""
    answer = remember_stream(replayable(model("Hello ", 1000)), backend=store, **PARAMS)
    answer.detach()
    await asyncio.sleep(4.0)
    await store.close()
    return answer


WHOLE = ([("Hello Ada!", False), ("What is it?", False)], [("user", "What is it?"), ("agent", "Hello Ada!")])


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (replayable, model("Hel", "lo Ada!"), None),
        (prefill, model("Ada!"), "Hello"),
    ],
    ids=["replayable", "prefill"],
)
def test_another_process_goes_on_where_the_first_was(store: Any, first: Any, second: Any, text: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), first(model("Hel", "lo ", GONE)))
        points: list[Any] = []

        async def again(point: Any) -> Any:
            points.append(point)
            async for item in second(point):
                yield item

        async with store() as backend:
            events: list[Any] = []
            source = from_stream(first(again), resume=ResumeFrom(backend, "space", token))
            result = await run(
                source.pipe(
                    cx.step("seen", lambda s: s.pipe(ops.do_action(events.append))), default_chain(backend), cx.result()
                )
            )
            assert result.full_response == "Hello Ada!"
            assert await everything(backend) == WHOLE
        assert (points[0].offset, points[0].attempt, points[0].text) == (6, 0, text)
        kinds = [type(event) for event in events]
        assert kinds[:3] == [Opened, Replayed, Resumed]
        assert events[0].turn == TURN, "who asked what is in the store"
        assert (events[0].resumed.epoch, events[0].resumed.attempt) == (2, 0)
        assert (events[1].text, events[1].offset, events[1].index) == ("Hello ", 6, 2)
        deltas = [event for event in events if isinstance(event, Delta)]
        assert [(d.text, d.offset, d.index) for d in deltas] == [("Ada!", 6, 2)]
        assert result.stream_metrics.total_chunks == 3
        assert result.stream_metrics.total_characters == 10
        assert result.recovered

    run_virtual(main())


def test_another_text_is_a_new_attempt(store: Any, rows: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), replayable(model("Hel", "lo ", GONE)))
        async with store() as backend:
            source = from_stream(replayable(model("Good day")), resume=ResumeFrom(backend, "space", token))
            result = await run(source.pipe(default_chain(backend), cx.result()))
            assert result.full_response == "Good day"
            memories, messages = await everything(backend)
            assert memories == [("Good day", False), ("What is it?", False)]
            assert messages[1] == ("agent", "Good day")

    run_virtual(main())
    texts = rows(
        "SELECT attempt, group_concat(body, '') FROM"
        " (SELECT attempt, text FROM attempts UNION SELECT attempt, answer FROM streams)"
        " JOIN pieces USING (text) GROUP BY attempt"
    )
    assert texts == [(0, "Hello "), (1, "Good day")], "the old attempt is kept"


def test_a_source_that_fails_before_its_new_text_begins_leaves_the_old_one_as_it_was(store: Any) -> None:
    """What was read of a plain source cannot be compared, so it would be a new attempt.  Result, metrics and store say
    the same.
    """

    async def main() -> None:
        token = await interrupted(store(), lambda: model("Hello ", GONE)(None))
        async with store() as backend:
            chain = default_chain(backend, {"partialFailureHandling": "best-effort", "maxRetries": 1, "retryDelay": 0})
            source = from_stream(replayable(model(GONE)), resume=ResumeFrom(backend, "space", token))
            result = await run(source.pipe(chain, cx.result()))
            assert result.full_response == "Hello "
            assert result.stream_metrics.total_characters == 6
            assert (await everything(backend))[0] == [("Hello ", False), ("What is it?", False)]

    run_virtual(main())


@pytest.mark.parametrize("said", [[], [" "]], ids=["nothing", "blank"])
def test_a_new_attempt_that_says_nothing_is_no_answer(store: Any, said: Any) -> None:
    """The text before it belongs to an older attempt, and is not taken for the answer."""

    async def main() -> None:
        token = await interrupted(store(), lambda: model("One. Two. ", GONE)(None))
        async with store() as backend:
            chain = default_chain(backend, {"chunkingStrategy": "sentence", "chunkSize": 9})
            events: list[Any] = []
            seen = cx.step("seen", lambda s: s.pipe(ops.do_action(events.append)))
            source = from_stream(replayable(model(*said)), resume=ResumeFrom(backend, "space", token))
            with pytest.raises(EmptyAnswer):
                await run(source.pipe(chain.before("recover", seen), cx.result()))
            assert [event.chunk.content for event in events if isinstance(event, Chunked)] == said
            assert (await everything(backend))[0] == [("What is it?", False)]

    run_virtual(main())


def test_a_restart_shows_only_the_new_text(store: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), restart(model("Hello ", GONE)))
        async with store() as backend:
            answer = remember_stream(
                restart(model("Good ", "day")), backend=backend, memory_space_id="space", resume_from=token
            )
            assert [text async for text in answer] == ["Good ", "day"]
            assert (await answer).full_response == "Good day"

    run_virtual(main())


def test_the_handle_goes_on_and_a_reader_gets_what_has_gone_before(store: Any) -> None:
    async def main() -> None:
        first = store()
        answer = remember_stream(replayable(model("Hello ", 5, GONE)), backend=first, **PARAMS)
        with pytest.raises(ResumableStreamError):
            async for _ in answer:
                assert answer.resume_token, "there from the beginning"
        token = answer.resume_token
        await first.close()
        async with store() as backend:
            params = {"memorySpaceId": "space", "resumeToken": token, "userMessage": "What is it?"}
            answer = remember_stream(params | {"responseStream": replayable(model("Hello ", "Ada!"))}, backend=backend)
            assert [text async for text in answer] == ["Hello ", "Ada!"]
            result = await answer
            assert result.resume_token == answer.resume_token != token
            assert await everything(backend) == WHOLE

    run_virtual(main())


def test_a_reader_of_text_who_would_see_another_text(store: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), replayable(model("Hello ", GONE)))
        async with store() as backend:
            answer = remember_stream(
                replayable(model("Good day")), backend=backend, memory_space_id="space", resume_from=token
            )
            seen = []
            with pytest.raises(TextDiverged):
                async for text in answer:
                    seen.append(text)
            assert seen == ["Hello "]
            assert (await answer).full_response == "Good day"

    run_virtual(main())


@pytest.mark.parametrize("how", ["stopped", "left"])
def test_a_stop_and_a_reader_who_goes_away_leave_a_token(store: Any, how: str) -> None:
    async def main() -> None:
        first = store()
        answer = remember_stream(replayable(model("Hello ", 100)), backend=first, **PARAMS)
        async for _ in answer:
            break
        if how == "stopped":
            await answer.stop()
        else:
            await asyncio.sleep(2)
        with pytest.raises(AnswerStopped) as caught:
            await answer
        await first.close()
        async with store() as backend:
            started = asyncio.get_running_loop().time()
            again = remember_stream(
                replayable(model("Hello ", "Ada!")),
                backend=backend,
                memory_space_id="space",
                resume_from=caught.value.resume_token,
            )
            assert (await again).full_response == "Hello Ada!"
            assert asyncio.get_running_loop().time() - started < 0.1, "the lease was released"

    run_virtual(main())


def test_stop_without_keeping(store: Any, rows: Any) -> None:
    async def main() -> None:
        async with store() as backend:
            answer = remember_stream(replayable(model("Hello ", 100)), backend=backend, **PARAMS)
            async for _ in answer:
                break
            token = answer.resume_token
            await answer.stop(keep_partial=False)
            assert await everything(backend) == ([], [])
            again = remember_stream(replayable(model("x")), backend=backend, memory_space_id="space", resume_from=token)
            with pytest.raises(StreamNotFound):
                await again

    run_virtual(main())
    assert rows("SELECT count(*) FROM pieces") == [(0,)]


@pytest.mark.parametrize("at", [0.5, 3.0])
def test_stop_without_keeping_before_the_store_has_answered(store: Any, rows: Any, at: float) -> None:
    """While it is being asked, and when text has been shown without it."""

    async def main() -> str:
        async with store() as backend:
            slow = Faulty(backend, "1 delay 5")
            answer = remember_stream(replayable(model("Hello ", 100)), backend=slow, **PARAMS)
            answer.detach()
            await asyncio.sleep(at)
            shown = answer.text
            await answer.stop(keep_partial=False)
            assert "streams:rollback" in slow.process.effects
            assert await everything(backend) == ([], [])
            assert await backend.query("streams:interrupted", {"memorySpaceId": "space"}) == []
            return shown

    assert run_virtual(main()) == ("" if at < 2 else "Hello ")
    assert rows("SELECT count(*) FROM pieces") == [(0,)]


def test_stop_without_keeping_takes_nothing_of_another_writer(store: Any) -> None:
    async def main() -> None:
        async with store() as first, store() as second:
            keyed = {**PARAMS, "idempotency_key": "order-7"}
            other = remember_stream(replayable(model("Hello ", 100)), backend=first, **keyed)
            other.detach()
            async for _ in other:
                break
            answer = remember_stream(replayable(model("Hello ", 100)), backend=Faulty(second, "1 delay 1"), **keyed)
            answer.detach()
            await asyncio.sleep(0.5)
            await answer.stop(keep_partial=False)
            await other.stop()
            kept = await other.kept()
            assert kept is not None
            assert kept.content == "Hello "

    run_virtual(main())


def test_a_finished_stream_gives_its_result_and_asks_no_model(store: Any) -> None:
    async def main() -> None:
        first = store()
        answer = remember_stream(replayable(model("Hello ", "Ada!")), backend=first, **PARAMS)
        result = await answer
        await first.close()
        asked: list[Any] = []
        async with store() as backend:
            again = await remember_stream(
                replayable(model("Other", points=asked)),
                backend=backend,
                memory_space_id="space",
                resume_from=answer.resume_token,
            )
            assert again.full_response == "Hello Ada!"
            assert again.stored_before
            assert again.conversation == result.conversation
            assert again.memories == result.memories
            assert again.stream_metrics.total_chunks == 2
            assert await everything(backend) == WHOLE
        assert asked == []

    run_virtual(main())


def test_each_bad_token_has_its_own_outcome(store: Any) -> None:
    async def main() -> None:
        first = store()
        token = await interrupted(first, replayable(model("Hello ", GONE)))
        async with store() as backend:

            def go(token: str, space: str = "space", **more: Any) -> Any:
                return remember_stream(
                    replayable(model("Hello ", GONE)), backend=backend, memory_space_id=space, resume_from=token, **more
                )

            with pytest.raises(TokenUnknown):
                await go("resume_forged")
            with pytest.raises(WrongMemorySpace):
                await go(token, "other")
            with pytest.raises(IdempotencyConflict, match="another user_message"):
                await go(token, user_message="Something else?")
            started = asyncio.get_running_loop().time()
            with pytest.raises(ResumableStreamError) as newer:
                await go(token)
            assert asyncio.get_running_loop().time() - started < 0.1, "what was refused let go of the stream"
            with pytest.raises(ResumableStreamError):
                await go(token)  # still good: no newer one has been presented
            with pytest.raises(ResumableStreamError):
                await go(newer.value.resume_token)
            with pytest.raises(TokenSuperseded):
                await go(token)
            await asyncio.sleep(3_700)
            with pytest.raises(TokenExpired):
                await go(newer.value.resume_token)
            assert (await everything(backend))[0] == [("Hello ", True)]

    run_virtual(main())


def test_a_stream_that_was_closed_without_an_answer(store: Any) -> None:
    async def main() -> None:
        async with store() as backend:
            answer = remember_stream(replayable(model(" ")), backend=backend, **PARAMS)
            with pytest.raises(EmptyAnswer):
                await answer
            with pytest.raises(EmptyAnswer):
                await remember_stream(
                    replayable(model("x")), backend=backend, memory_space_id="space", resume_from=answer.resume_token
                )

    run_virtual(main())


@pytest.mark.parametrize("how", [replayable, restart], ids=["replayable", "restart"])
@pytest.mark.parametrize("where", ["another process", "the same process"])
def test_a_source_that_is_opened_again_and_has_no_text_leaves_no_half_answer_as_a_whole_one(
    store: Any, how: Any, where: str
) -> None:
    """What the first opening said is not the answer of the second, which is none: found by the state machine of the
    proofs.
    """

    async def main() -> None:
        async with store() as backend:
            if where == "another process":
                token = await interrupted(store(), how(model("Hello ", GONE)))
                source = from_stream(how(model()), resume=ResumeFrom(backend, "space", token))
                chain = default_chain(backend)
            else:
                opened: list[Any] = []

                async def empty_again(point: Any) -> Any:
                    opened.append(point)
                    async for item in model(*(["Hello ", GONE] if len(opened) == 1 else []))(point):
                        yield item

                source = from_stream(how(empty_again), turn=TURN)
                chain = default_chain(backend, {"max_retries": 1})
            with pytest.raises(EmptyAnswer):
                await run(source.pipe(chain, cx.result()))
            assert await everything(backend) == ([("What is it?", False)], [("user", "What is it?")])

    run_virtual(main())


def test_a_best_effort_keeps_what_there_was_when_the_next_attempt_has_no_text(store: Any) -> None:
    async def main() -> None:
        opened: list[Any] = []

        async def fails_again(point: Any) -> Any:
            opened.append(point)
            async for item in model(*(["Hello ", GONE] if len(opened) == 1 else [GONE]))(point):
                yield item

        async with store() as backend:
            options = {"max_retries": 1, "partial_failure_handling": "best-effort"}
            await remember_stream(restart(fails_again), options, backend=backend, **PARAMS)
            assert len(opened) == 2
            assert (await everything(backend))[0][0] == ("Hello ", False)

    run_virtual(main())


def test_what_was_replayed_of_a_later_attempt_is_part_of_the_answer(store: Any) -> None:
    """Also where only white space comes after it, and for a caller that gets the whole text: found by the state
    machine.
    """

    async def main() -> None:
        seen: list[str] = []

        def summary(question: str, answer: str) -> str:
            seen.append(answer)
            return question

        async def resumed(source: Any, token: str | None) -> Any:
            async with store() as backend:
                params = {"memory_space_id": "space", "resume_from": token}
                return await remember_stream(source, backend=backend, extract_content=summary, **params)

        token: str | None = await interrupted(store(), replayable(model("Hello ", GONE)))
        with pytest.raises(ResumableStreamError) as caught:
            await resumed(replayable(model("Quite another", GONE)), token)
        result = await resumed(prefill(model("\n")), caught.value.resume_token)
        assert result.full_response == "Quite another\n"
        assert seen == ["Quite another\n"]
        async with store() as backend:
            assert (await everything(backend))[1] == [("user", "What is it?"), ("agent", "Quite another\n")]

    run_virtual(main())


def test_a_writer_that_lives_is_waited_for_and_not_taken_from(store: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with store() as one, store() as two:
            answer = remember_stream(replayable(model("Hello ", 100, "Ada!")), backend=one, **PARAMS)
            answer.detach()
            await asyncio.sleep(20)  # silent, but its heart beats
            started = loop.time()
            with pytest.raises(StillOwned) as caught:
                await remember_stream(
                    replayable(model("x")), backend=two, memory_space_id="space", resume_from=answer.resume_token
                )
            assert 9.9 < loop.time() - started < 10.5
            assert caught.value.until > 1_700_000_000_000
            assert (await answer).full_response == "Hello Ada!"

    run_virtual(main())


def test_a_writer_in_this_process_is_named_and_how_to_read_along(store: Any) -> None:
    async def main() -> None:
        async with Cortex(store()) as cortex, store() as elsewhere:
            memory, again = cortex.memory, PARAMS | {"idempotency_key": "order-7"}
            answer = memory.remember_stream(replayable(model("Hello ", 100)), **again)
            answer.detach()
            await asyncio.sleep(1)
            token = answer.resume_token
            refused = {
                "a token": memory.remember_stream(replayable(model("x")), memory_space_id="space", resume_from=token),
                "the same key": memory.remember_stream(replayable(model("x")), **again),
                "finish": memory.finish("space", str(answer.stream_id)),
            }
            for call in refused.values():
                with pytest.raises(StillOwned, match="an answer of this process owns") as caught:
                    await call
                said = str(caught.value)
                assert caught.value.here and f"memory.follow(memory_space_id, '{answer.stream_id}')" in said
                assert "take_over=True" in said
            with pytest.raises(StillOwned, match="another writer owns") as caught:
                await remember_stream(replayable(model("x")), backend=elsewhere, **again)
            assert (caught.value.here, caught.value.stream_id) == (False, answer.stream_id)
            await answer.stop()
            taken = memory.remember_stream(replayable(model("x")), memory_space_id="space", resume_from=token)
            assert (await taken).full_response  # nobody owns it now

    run_virtual(main())


class Clock:
    """The wall clock of a machine, that somebody sets."""

    def __init__(self) -> None:
        self.offset = 1_700_000_000.0

    def __call__(self) -> float:
        return self.offset + asyncio.get_running_loop().time()


def test_a_clock_that_is_set_forward_lets_the_stream_be_taken_and_its_writer_hears_of_it(tmp_path: Any) -> None:
    async def main() -> None:
        clock, loop = Clock(), asyncio.get_running_loop()
        one, two = (SqliteBackend(tmp_path / "m.db", clock=clock) for _ in range(2))
        async with one, two:
            answer = remember_stream(replayable(model("Hello ", 1000, "Bob!")), backend=one, **PARAMS)
            answer.detach()
            await asyncio.sleep(4)
            clock.offset += 1800  # less than a token lasts
            started = loop.time()
            source = replayable(model("Hello ", "Ada!"))
            taken = remember_stream(source, backend=two, memory_space_id="space", resume_from=answer.resume_token)
            assert (await taken).full_response == "Hello Ada!"
            with pytest.raises(Fenced):  # it has nothing to write: its heartbeat says so
                await answer
            assert loop.time() - started < 3.1
            assert await everything(two) == WHOLE

    run_virtual(main())


def test_a_clock_that_is_set_back_leaves_a_living_writer_its_stream_and_a_dead_one_none(tmp_path: Any) -> None:
    async def main() -> None:
        clock, loop = Clock(), asyncio.get_running_loop()
        one, two = (SqliteBackend(tmp_path / "m.db", clock=clock) for _ in range(2))
        answer = remember_stream(replayable(model("Hello ", 20, "Ada!")), backend=one, **PARAMS)
        answer.detach()
        await asyncio.sleep(4)
        clock.offset -= 3600
        await asyncio.sleep(3)  # a heartbeat
        with pytest.raises(StillOwned):
            again = ResumeFrom(two, "space", str(answer.resume_token))
            await run(from_stream(replayable(model("x")), resume=again))
        await one.close()  # dead: it writes no more
        clock.offset -= 3600
        started = loop.time()
        taken = remember_stream(
            replayable(model("Hello ", "Ada!")), backend=two, memory_space_id="space", resume_from=answer.resume_token
        )
        assert (await taken).full_response == "Hello Ada!"
        assert loop.time() == started
        await answer.stop()
        assert await everything(two) == WHOLE
        await two.close()

    run_virtual(main())


def test_a_writer_that_lives_is_fenced_by_force(store: Any) -> None:
    async def main() -> None:
        async with store() as one, store() as two:
            answer = remember_stream(replayable(model("Hello ", 30, "Bob!")), backend=one, **PARAMS)
            answer.detach()
            await asyncio.sleep(5)
            taken = remember_stream(
                replayable(model("Hello ", "Ada!")),
                backend=two,
                memory_space_id="space",
                resume_from=answer.resume_token,
                take_over=True,
            )
            assert (await taken).full_response == "Hello Ada!"
            with pytest.raises(Fenced):
                await answer
            assert await everything(two) == WHOLE

    run_virtual(main())


def test_a_writer_that_died_is_waited_for_until_its_lease_runs_out(store: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, two = store(), store()
        answer = await dead_writer(one)
        started = loop.time()
        taken = remember_stream(
            replayable(model("Hello ", "Ada!")), backend=two, memory_space_id="space", resume_from=answer.resume_token
        )
        assert (await taken).full_response == "Hello Ada!"
        assert 5 < loop.time() - started < 10.1
        await answer.stop()
        assert await everything(two) == WHOLE
        await two.close()

    run_virtual(main())


def test_an_event_says_until_when_a_writer_that_died_is_waited_for(store: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, two = store(), store()
        answer = await dead_writer(one)
        key = {"memorySpaceId": "space", "streamId": answer.stream_id}
        until = (await two.query("streams:get", key))["leaseUntil"] / 1000
        started = loop.time()
        taken = remember_stream(
            replayable(model("Ada!")), backend=two, memory_space_id="space", resume_from=answer.resume_token
        )

        async def late() -> Any:
            await asyncio.sleep(1)
            return [event async for event in taken.events()]

        reading = asyncio.ensure_future(late())
        seen = [(type(event), loop.time(), event) async for event in taken.events()]
        assert (await reading)[:2] == [seen[0][2], seen[1][2]], "a late reader hears of it, too"
        assert [kind for kind, *_ in seen[:2]] == [Waiting, Opened]
        (_, at_once, waiting), (_, later, _) = seen[:2]
        assert (at_once, waiting.until) == (started, until)
        assert 1_700_000_000 + later == pytest.approx(until) and later > started + 5
        assert from_json(to_json(waiting)) == waiting
        again = remember_stream(
            replayable(model("x")), backend=two, memory_space_id="space", resume_from=taken.resume_token
        )
        assert [type(event) async for event in again.events()][0] is Opened  # it is over, so nothing is waited for
        await answer.stop()
        await two.close()

    run_virtual(main())


def test_a_writer_that_lives_is_waited_for_as_long_as_it_gives_signs_of_life(store: Any) -> None:
    async def main() -> None:
        async with store() as one, store() as two:
            answer = remember_stream(replayable(model("Hello ", 100)), backend=one, **PARAMS)
            answer.detach()
            await asyncio.sleep(21.5)
            seen: list[Any] = []
            source = from_stream(
                replayable(model("x")), resume=ResumeFrom(two, "space", str(answer.resume_token))
            ).pipe(ops.do_action(seen.append))
            with pytest.raises(StillOwned):
                await run(source)
            assert {type(event) for event in seen} == {Waiting}
            ends = [event.until - 1_700_000_000 for event in seen]
            assert ends == sorted(set(ends)) and ends[0] == pytest.approx(31) and ends[-1] == pytest.approx(40)
            await answer.stop()

    run_virtual(main())


def test_two_that_resume_one_stream_do_not_mix_and_one_wins(store: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), replayable(model("Hello ", GONE)))
        async with store() as one, store() as two:
            answers = [
                remember_stream(
                    replayable(model("Hello ", 1, f"{name}!")),
                    backend=backend,
                    memory_space_id="space",
                    resume_from=token,
                )
                for name, backend in (("Ada", one), ("Bob", two))
            ]
            results = await asyncio.gather(*answers, return_exceptions=True)
            texts = [result.full_response for result in results if not isinstance(result, Exception)]
            # The second waits for the first, and then gets what it has stored.
            assert len(set(texts)) == 1
            memories, messages = await everything(one)
            assert memories == [(texts[0], False), ("What is it?", False)]
            assert len(messages) == 2

    run_virtual(main())


@pytest.mark.parametrize("after", ["nothing", "a page"])
def test_who_stands_still_before_he_has_read_what_he_took_over_shows_nothing_of_another(store: Any, after: str) -> None:
    """Between its take-over and its reading another process continues: the text has grown, and is not the one that it
    owned.
    """

    class Late(SqliteBackend):
        """It reads by pages of four; before the first or the second one of them another process has finished the
        stream.
        """

        pages = 0

        async def query(self, path: str, args: Any) -> Any:
            if path == "streams:read":
                args = {**args, "limit": 4}
                self.pages += 1
                if self.pages == (1 if after == "nothing" else 2):
                    await other()
            return await super().query(path, args)

    async def main() -> None:
        nonlocal token
        async with store() as backend:
            token = await interrupted(backend, prefill(model("one ", "two ", GONE)))
        async with store() as backend:
            late = Late(backend._settings.path, clock=backend.clock)
            answer = remember_stream(prefill(model("five")), backend=late, memory_space_id="space", resume_from=token)
            seen = []
            with pytest.raises(Fenced):
                async for event in answer.events():
                    seen.append(event)
            assert not any(isinstance(event, Opened | Begun | Replayed | Delta) for event in seen)
            assert late.pages == (1 if after == "nothing" else 2)
            await late.close()
            assert (await everything(backend))[0][0] == ("one two three four", False)

    async def other() -> None:
        async with store() as backend:
            more = {"memory_space_id": "space", "resume_from": token, "take_over": True}
            await remember_stream(prefill(model("three ", "four")), backend=backend, **more)

    token: Any = None
    run_virtual(main())


def test_chunks_are_those_of_an_answer_that_was_not_interrupted(store: Any) -> None:
    text = "One is. Two is. Three is. Four is."

    async def main() -> None:
        def chain(backend: Any) -> Any:
            return default_chain(backend, {"chunkingStrategy": "sentence", "chunkSize": 1, "maxSingleMemorySize": 32})

        first = store()
        token = await interrupted(first, replayable(model(text[:11], GONE)), chain(first))
        async with store() as backend:
            chunks: list[Any] = []
            source = from_stream(replayable(model(text)), resume=ResumeFrom(backend, "space", token))
            seen = cx.step("seen", lambda s: s.pipe(ops.do_action(chunks.append)))
            result = await run(source.pipe(chain(backend), seen, cx.result()))
            contents = [event.chunk.content for event in chunks if isinstance(event, Chunked)]
            assert contents == ["One is. ", "Two is. ", "Three is. ", "Four is."]
            assert result.errors is None
            answer = await backend.query(
                "memories:get", {"memorySpaceId": "space", "memoryId": result.memories[1].memory_id}
            )
            assert len(answer["chunkIds"]) == 4

    run_virtual(main())


def test_a_take_over_whose_answer_was_lost_can_be_repeated(store: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), replayable(model("Hello ", GONE)))
        async with store() as backend:
            resume = ResumeFrom(backend, "space", token, claim="mine")
            epochs = []
            for _ in range(2):
                events = cx.step("first", lambda s: s.pipe(ops.take(1)))
                opened = await run(from_stream(replayable(model("x")), resume=resume).pipe(events))
                epochs.append(opened.resumed.epoch)
            assert epochs == [2, 2]

    run_virtual(main())


@pytest.mark.parametrize("failures", [4, 9])
def test_a_take_over_that_fails_for_now_is_tried_again_by_resume(store: Any, failures: int) -> None:
    """Each opening asks four times; with two reopenings nine failures are not too many."""

    async def main() -> None:
        token = await interrupted(store(), replayable(model("Hel", "lo ", GONE)))
        plan = ", ".join(f"{call} fail" for call in range(1, failures + 1))
        backend = Faulty(store(), plan)
        answer = remember_stream(
            replayable(model("Hel", "lo Ada!")),
            backend=backend,
            resume_from=token,
            memory_space_id="space",
            options={"max_retries": 2, "retry_delay": 1},
        )
        result = await answer
        assert result.full_response == "Hello Ada!"
        assert await everything(backend) == WHOLE
        await backend.close()

    run_virtual(main())


def test_a_take_over_that_never_succeeds_says_why(store: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), replayable(model("Hel", "lo ", GONE)))
        backend = Faulty(store(), ", ".join(f"{call} fail" for call in range(1, 13)))
        answer = remember_stream(
            replayable(model("Hel", "lo Ada!")),
            backend=backend,
            resume_from=token,
            memory_space_id="space",
            options={"max_retries": 2, "retry_delay": 1},
        )
        with pytest.raises(StoreUnavailable):
            await answer
        await backend.close()

    run_virtual(main())


def test_tokens_are_not_in_the_file_nor_in_what_is_shown(store: Any, tmp_path: Any) -> None:
    async def main() -> str:
        backend = store()
        answer = remember_stream(replayable(model("Hello")), backend=backend, **PARAMS)
        events = [event async for event in answer.events()]
        result = await answer
        (begun,) = [event for event in events if isinstance(event, Begun)]
        token = answer.resume_token
        assert token == begun.token == result.resume_token
        from cortex_rx.events import to_json

        for shown in (
            repr(begun),
            str(result),
            repr(answer),
            str(to_json(begun)),
            repr(ResumeFrom(backend, "s", token)),
        ):
            assert token not in shown
        await backend.close()
        return token

    token = run_virtual(main())
    assert token.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_bad_arguments(store: Any) -> None:
    async def main() -> None:
        async with store() as backend:
            with pytest.raises(NotResumable, match="replayable"):
                remember_stream(["x"], backend=backend, memory_space_id="space", resume_from="t")
            with pytest.raises(InvalidArgument, match="memory_space_id: got None"):
                remember_stream(replayable(model("x")), backend=backend, resume_from="t")
            with pytest.raises(InvalidArgument, match="token: got 'int'"):
                ResumeFrom(backend, "space", 5)  # type: ignore[arg-type]
            with pytest.raises(InvalidArgument, match="turn: got 'turn and resume'"):
                from_stream(replayable(model("x")), turn=TURN, resume=ResumeFrom(backend, "space", "t"))
            with pytest.raises(InvalidArgument, match="turn: got None"):
                from_stream(replayable(model("x")))

    run_virtual(main())


def test_resume_within_a_process_and_over_processes_together(store: Any) -> None:
    """The source breaks once in each process; `resume` mends the second break."""

    async def main() -> None:
        token = await interrupted(store(), replayable(model("Hello ", GONE)))
        openings = iter([model("Hello ", "A", GONE), model("Hello Ad", "a!")])

        def again(point: Any) -> Any:
            return next(openings)(point)

        async with store() as backend:
            chain = default_chain(backend).before("begin", cx.resume(3, timedelta(0)))
            source = from_stream(replayable(again), resume=ResumeFrom(backend, "space", token))
            result = await run(source.pipe(chain, cx.result()))
            assert result.full_response == "Hello Ada!"
            assert await everything(backend) == WHOLE

    run_virtual(main())
