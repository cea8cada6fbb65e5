"""An answer is stopped from another request or process, by `memory.stop`. Each process has a store of its own."""

from __future__ import annotations

import asyncio
import pickle
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import operators as ops

from cortex_rx import Answer, AnswerStopped, Cortex, SqliteBackend, Turn, default_chain, from_stream, run, stream
from cortex_rx import operators as cx
from cortex_rx.api import MemoryAPI, StopResult
from cortex_rx.errors import CortexError, InvalidArgument, StoreUnavailable, StreamNotFound
from cortex_rx.events import Delta, Interrupted, StreamEvent
from cortex_rx.models.hooks import StoppedBy
from cortex_rx.sources.model_stream import prefill, replayable
from cortex_rx.spool import Spool
from cortex_rx.testing import Faulty, Plan, Process, assert_no_leaks, run_virtual, wall

TURN = Turn("space", "c-1", "What?", user_id="ada", user_name="Ada")
PARAMS = {"memory_space_id": "space", "conversation_id": "c-1", "user_message": "What?", "agent_id": "helper"}
INTERVAL, HEARTBEAT = 0.5, 3.0
Make = Callable[[], SqliteBackend]


@pytest.fixture
def store(tmp_path: Path) -> Make:
    return lambda: SqliteBackend(tmp_path / "m.db", clock=wall)


class Model:
    """Says a word every `pause` seconds, without end, or is silent after the first; knows when it was closed."""

    def __init__(self, pause: float = 0.1, words: float = float("inf")) -> None:
        self.pause, self.words = pause, words
        self.closed: float | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        said = 0
        try:
            while said < self.words:
                said += 1
                yield "word "
                await asyncio.sleep(self.pause)
            await asyncio.sleep(1e6)
        finally:
            self.closed = asyncio.get_running_loop().time()


def played(main: Any) -> Any:
    async def whole() -> Any:
        async with assert_no_leaks():
            return await main()

    return run_virtual(whole())


@asynccontextmanager
async def two(store: Make) -> AsyncIterator[tuple[Cortex, Cortex]]:
    """The client that writes and the one that asks it to stop, as two processes have them."""
    async with store() as here, store() as there, Cortex(here, spool=False) as writer, Cortex(there) as other:
        yield writer, other


async def seen(answer: Answer) -> tuple[list[str], BaseException | None]:
    """What a reader got, and how it ended."""
    texts: list[str] = []
    try:
        async for text in answer:
            texts.append(text)
    except CortexError as error:
        return texts, error
    return texts, None


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("model", "least", "most"),
    [(Model(), 0.0, INTERVAL), (Model(words=1), INTERVAL, HEARTBEAT)],
    ids=["while it writes", "while the model is silent"],
)
def test_another_process_stops_an_answer(store: Make, model: Model, least: float, most: float) -> None:
    async def main() -> None:
        async with two(store) as (writer, other):
            answer = writer.memory.remember_stream(model, **PARAMS)
            reader = asyncio.create_task(seen(answer))
            awaiting = asyncio.create_task(answer._wait())
            await asyncio.sleep(4.03)
            assert answer.stream_id
            followed: list[StreamEvent] = []

            async def follow() -> None:
                async for event in other.memory.follow("space", answer.stream_id or ""):
                    followed.append(event)

            follower = asyncio.create_task(follow())
            asked = now()
            found = await other.memory.stop("space", answer.stream_id)
            assert isinstance(found, StopResult) and (found.state, found.owned) == ("open", True)
            assert found.lease_until is not None and found.lease_until > asked
            texts, error = await reader
            assert least <= now() - asked <= most and model.closed == now()
            assert isinstance(error, AnswerStopped) and (error.by, error.code) == ("request", "ANSWER_STOPPED")
            assert error.resume_token == answer.resume_token is not None
            assert str(error) == "the stream was stopped by memory.stop"
            with pytest.raises(AnswerStopped) as awaited:
                await awaiting
            assert (awaited.value.by, awaited.value.resume_token) == ("request", answer.resume_token)
            # What was shown is stored, and the stream is free: at once, not after a lease.
            (partial,) = await other.memory.list("space", include_partial=True)
            assert partial.content == "".join(texts) and partial.is_partial
            (row,) = await other.memory.interrupted("space")
            assert row.stream_id == answer.stream_id
            await follower
            assert followed[-1] == Interrupted(0, len("".join(texts)))
            assert "".join(event.text for event in followed if type(event) is Delta) == "".join(texts)
            assert await other.memory.stop("space", answer.stream_id) == StopResult(state="open", owned=False)

    played(main)


def test_it_says_what_has_stopped_it(store: Make) -> None:
    async def stopped(how: str) -> tuple[str, str]:
        async with store() as backend, Cortex(backend, close_timeout=timedelta(seconds=1)) as cortex:
            answer = cortex.memory.remember_stream(Model(), linger=timedelta(seconds=1), **PARAMS)
            reader = asyncio.create_task(seen(answer))
            await asyncio.sleep(1)
            if how == "left":
                reader.cancel()
                await asyncio.sleep(2)
            elif how == "closed":
                await cortex.close()
            else:
                await answer.stop()
            with pytest.raises(AnswerStopped) as awaited:
                await answer
            if how != "left":
                assert str((await reader)[1]) == str(awaited.value)
            return awaited.value.by, str(awaited.value)

    ways = {
        "stopped": "the stream was stopped",
        "left": "the stream was stopped: nobody read or awaited it any more",
        "closed": "the stream was stopped: its client was closed",
    }
    for how, said in ways.items():

        async def main(how: str = how) -> tuple[str, str]:
            return await stopped(how)

        assert played(main) == (how, said)
    for by in get_args(StoppedBy):
        error = AnswerStopped(None, by)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.by, str(again)) == (AnswerStopped, by, str(error))
    assert len({str(AnswerStopped(None, by)) for by in get_args(StoppedBy)}) == len(get_args(StoppedBy))


def test_a_text_that_has_ended_is_remembered(store: Make) -> None:
    """The request comes while the exchange is finalised, and after its end."""

    async def main() -> None:
        process = Process(Plan())
        async with store() as backend, store() as there, Cortex(there) as other, process:
            slow = Faulty(backend, process)
            writer = Cortex(slow, spool=False)
            finalizing = asyncio.Event()
            mutation = slow.mutation

            async def held(path: str, args: dict[str, Any]) -> Any:
                if path == "streams:finalize":
                    finalizing.set()
                    await asyncio.sleep(20)
                return await mutation(path, args)

            slow.mutation = held  # type: ignore[method-assign]
            answer = writer.memory.remember_stream(["Hello ", "Ada"], **PARAMS)
            awaiting = asyncio.create_task(answer._wait())
            await finalizing.wait()
            assert answer.stream_id
            assert (await other.memory.stop("space", answer.stream_id)).state == "open"
            assert (await awaiting).full_response == "Hello Ada"
            assert [row.content for row in await other.memory.list("space")] == ["Hello Ada", "What?"]
            assert await other.memory.stop("space", answer.stream_id) == StopResult(state="finished", owned=False)
            await writer.close()

    played(main)


def test_the_request_is_to_one_stream_of_one_space(store: Make) -> None:
    async def main() -> None:
        async with two(store) as (writer, other):
            answer = writer.memory.remember_stream(Model(words=20), **PARAMS)
            reader = asyncio.create_task(seen(answer))
            await asyncio.sleep(1)
            assert answer.stream_id
            for space, stream_id in (("elsewhere", answer.stream_id), ("space", "never")):
                with pytest.raises(StreamNotFound):
                    await other.memory.stop(space, stream_id)
            for space, stream_id in (("", "x"), ("space", "")):
                with pytest.raises(InvalidArgument):
                    await other.memory.stop(space, stream_id)
            await asyncio.sleep(5)
            assert not reader.done()
            await answer.stop()
            await reader

    played(main)


def test_who_takes_the_stream_over_is_not_stopped(store: Make) -> None:
    """The writer has died; the request comes before its lease is over."""

    async def main() -> None:
        async with store() as backend, store() as there, Cortex(there) as other:
            async with Process("") as process:
                writer = Cortex(Faulty(backend, process), spool=False)
                answer = writer.memory.remember_stream(prefill(lambda _: aiter(Model())), **PARAMS)
                reader = process.start(seen(answer))
                await asyncio.sleep(2)
                token, stream_id = answer.resume_token, answer.stream_id
                assert token and stream_id
                process.crash()
            del reader
            assert (await other.memory.stop("space", stream_id)).owned
            again = prefill(lambda _: aiter(Model(words=3)))
            second = other.memory.remember_stream(again, memory_space_id="space", resume_from=token)
            reading = asyncio.create_task(seen(second))
            await asyncio.sleep(30)
            assert not reading.done()
            assert (await other.memory.stop("space", stream_id)).owned
            await asyncio.sleep(HEARTBEAT + 0.1)
            assert isinstance((await reading)[1], AnswerStopped)

    played(main)


@pytest.mark.parametrize("show", ["at once", "durable"])
@pytest.mark.parametrize("how", ["run", "stream"])
def test_a_chain_of_one_s_own_is_stopped_too(store: Make, how: str, show: Any) -> None:
    async def main() -> None:
        async with store() as backend, Cortex(backend) as other:
            model = Model(pause=0.3)
            chain = default_chain(backend).replace("persist_partial", cx.persist_partial(backend, show=show))
            shown: list[str] = []

            def show_it(event: StreamEvent) -> None:
                if type(event) is Delta:
                    shown.append(event.text)

            source = from_stream(model, turn=TURN).pipe(chain, ops.do_action(show_it))

            async def use() -> None:
                if how == "run":
                    await run(source)
                else:
                    async with stream(source) as events:
                        async for _ in events:
                            pass

            using = asyncio.create_task(use())
            await asyncio.sleep(2)
            while not (
                found := await backend.query("memories:list", {"memorySpaceId": "space", "includePartial": True})
            ):
                await asyncio.sleep(0.1)
            stream_id = found[0]["partialMetadata"]["streamId"]
            await other.memory.stop("space", stream_id)
            with pytest.raises(AnswerStopped) as stopped:
                await using
            assert stopped.value.by == "request" and stopped.value.resume_token
            assert model.closed is not None and model.closed <= now()
            (partial,) = await other.memory.list("space", include_partial=True)
            assert partial.content == "".join(shown)
            assert len(await other.memory.interrupted("space")) == 1

    played(main)


def test_what_was_stopped_can_be_deleted_when_its_follower_says_so(store: Make) -> None:
    """There is no `keep_partial=False` here: the request alone could not promise it."""

    async def main() -> None:
        async with two(store) as (writer, other):
            answer = writer.memory.remember_stream(Model(), **PARAMS)
            reader = asyncio.create_task(seen(answer))
            await asyncio.sleep(1)
            assert answer.stream_id
            await other.memory.stop("space", answer.stream_id)
            async for _ in other.memory.follow("space", answer.stream_id):
                pass
            (partial,) = await other.memory.list("space", include_partial=True)
            await other.memory.delete("space", partial.memory_id)
            await reader
            assert await other.memory.count("space", include_partial=True) == 0
            assert await other.memory.interrupted("space") == []
            with pytest.raises(StreamNotFound):
                await other.memory.stop("space", answer.stream_id)

    played(main)


def test_while_the_store_is_away_it_says_so_and_the_writer_hears_of_it_later(store: Make) -> None:
    """The request that failed changes nothing. One that was stored is heard of once the writer reaches the store."""

    async def main() -> None:
        async with store() as backend, store() as there, Cortex(there) as other:
            away = False

            class Away(SqliteBackend):
                async def mutation(self, path: str, args: Any) -> Any:
                    if away:
                        raise StoreUnavailable("away")
                    return await backend.mutation(path, args)

            lost = Away(":memory:")
            writer = Cortex(lost, spool=False)
            answer = writer.memory.remember_stream(Model(), **PARAMS)
            reader = asyncio.create_task(seen(answer))
            await asyncio.sleep(1)
            assert answer.stream_id
            away = True
            with pytest.raises(StoreUnavailable):
                await writer.memory.stop("space", answer.stream_id)
            await other.memory.stop("space", answer.stream_id)
            await asyncio.sleep(7)
            assert not reader.done()
            away = False
            texts, error = await reader
            assert isinstance(error, AnswerStopped) and error.by == "request"
            (partial,) = await other.memory.list("space", include_partial=True)
            assert partial.content == "".join(texts)
            await writer.close()
            await lost.close()

    played(main)


class Slow(SqliteBackend):
    """Each write takes a while, before and after it is done: another request may come in between."""

    before = after = 0.0

    async def mutation(self, path: str, args: Any) -> Any:
        await asyncio.sleep(self.before)
        result = await super().mutation(path, args)
        await asyncio.sleep(self.after)
        return result


SECONDS = st.sampled_from([0.0, 0.01, 0.3, 0.7, 1.9])


@settings(max_examples=examples(60))
@given(
    pauses=st.lists(st.sampled_from([0.0, 0.2, 0.6, 4.0]), min_size=1, max_size=6),
    asked=st.lists(st.floats(0, 8), min_size=1, max_size=3),
    before=SECONDS,
    after=SECONDS,
    show=st.sampled_from(["at once", "durable"]),
    spooled=st.booleans(),
)
def test_whenever_it_is_asked_all_that_was_shown_is_stored_and_the_stream_is_free(
    pauses: list[float], asked: list[float], before: float, after: float, show: Any, spooled: bool
) -> None:
    """Several ask, while it begins, writes, ends or has ended. It stops in time, or it had ended: then it is
    remembered."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.db"
            spool = Spool(Path(folder) / "s.db", clock=wall) if spooled else None
            async with Slow(path, clock=wall) as here, SqliteBackend(path, clock=wall) as there:
                here.before, here.after = before, after
                source_ended: list[float] = []

                async def model(_: object) -> AsyncIterator[str]:
                    for number, pause in enumerate(pauses):
                        await asyncio.sleep(pause)
                        yield f"{number} "
                    source_ended.append(now())

                memory = MemoryAPI(here, spool=spool)
                chain = default_chain(here, spool=spool)
                chain = chain.replace("persist_partial", cx.persist_partial(here, show=show, spool=spool))
                answer = memory.remember_stream(
                    replayable(model), chain=chain, make_id=lambda: "stream", linger=timedelta(seconds=60), **PARAMS
                )
                heard: list[float] = []

                async def ask(when: float) -> None:
                    await asyncio.sleep(when)
                    try:
                        found = await MemoryAPI(there).stop("space", "stream")
                    except StreamNotFound:  # it has not begun
                        return
                    if found.owned and not heard:
                        heard.append(now())

                asking = [asyncio.create_task(ask(when)) for when in asked]
                texts, _ = await seen(answer)
                error = result = None
                try:
                    result = await answer
                except AnswerStopped as stopped:
                    error = stopped
                ended = now()
                await asyncio.gather(*asking)
                memories = await MemoryAPI(there).list("space", include_partial=True)
                found = await there.query("streams:get", {"memorySpaceId": "space", "streamId": "stream"})
                assert found
                if error is None:
                    whole = "".join(f"{number} " for number in range(len(pauses)))
                    assert result and result.full_response == "".join(texts) == whole == memories[0].content
                    assert not memories[0].is_partial and found["state"] == "finished"
                    assert (
                        not heard or not source_ended or source_ended[0] < heard[0] + HEARTBEAT + 3 * (before + after)
                    )
                else:
                    assert error.by == "request" and heard
                    # a heartbeat and a write that are under way, the one that says it, and the flush
                    assert ended <= heard[0] + HEARTBEAT + 4 * (before + after) + 0.01
                    if found["state"] == "finished":  # the text had ended
                        assert memories[0].content == "".join(f"{number} " for number in range(len(pauses)))
                    else:
                        shown, kept = "".join(texts), memories[0].content
                        assert kept == shown or (show == "durable" and kept.startswith(shown))  # stored, not yet shown
                        assert (found["state"], found["owned"]) == ("open", False)
                assert spool is None or await spool.count() == 0

    played(main)
