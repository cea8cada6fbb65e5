"""`recalling`: what is recalled for the question reaches the model, the events and nobody else; it costs no answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops

from cortex_rx import (
    Cortex,
    RecallOptions,
    RecallResult,
    SqliteBackend,
    StreamEvent,
    Turn,
    fallback,
    from_stream,
    prefill,
    recalling,
    replayable,
    restart,
    run,
)
from cortex_rx import operators as cx
from cortex_rx.errors import EmptyAnswer, InvalidArgument, NotResumable, StoreUnavailable
from cortex_rx.events import Delta, Ended, Opened, Problem, Recalled, Remembered, Replayed, Resumed, from_json, to_json
from cortex_rx.jupyter import Live
from cortex_rx.testing import run_virtual
from cortex_rx.testing.diagrams._describe import describe

ADA = {"user_id": "ada", "user_name": "Ada"}
TURN = Turn("s", "c-2", "Where was I born?", **ADA)
PARAMS: dict[str, Any] = {"memory_space_id": "s", "conversation_id": "c-2", "user_message": "Where was I born?", **ADA}


class Slow(SqliteBackend):
    """A store whose reads and writes take a time, or fail."""

    def __init__(self, path: Any = ":memory:") -> None:
        super().__init__(path, clock=lambda: asyncio.get_running_loop().time())
        self.reads = self.writes = 0.0
        self.error: Exception | None = None
        self.asked: list[str] = []

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        self.asked.append(path)
        await asyncio.sleep(self.reads)
        if self.error is not None:
            raise self.error
        return await super().query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        await asyncio.sleep(self.writes)
        return await super().mutation(path, args)


class Model:
    """Models, and what they were given."""

    def __init__(self) -> None:
        self.given: list[RecallResult] = []
        self.at: list[float] = []

    def _took(self, recalled: RecallResult | None) -> None:
        assert recalled is not None
        self.given.append(recalled)
        self.at.append(asyncio.get_running_loop().time())

    async def words(self, recalled: RecallResult) -> Any:
        """An async generator."""
        self._took(recalled)
        for word in ("In ", "Lisbon."):
            yield word

    async def opened(self, recalled: RecallResult) -> list[str]:
        """A function that returns a stream when it is awaited."""
        self._took(recalled)
        return ["In ", "Lisbon."]

    def plain(self, recalled: RecallResult) -> list[str]:
        """A function that returns a stream."""
        self._took(recalled)
        return ["In ", "Lisbon."]

    async def breaks_once(self, point: Any) -> Any:
        """A source that is reopened: it fails the first time."""
        self._took(point.recalled)
        for word in ("In ", "Lisbon.") if not point.text else ("Lisbon.",):
            yield word
            if len(self.given) == 1:
                raise ConnectionError("cut")


async def before(store: SqliteBackend) -> None:
    """What was said before."""
    async with Cortex(store) as cortex:
        said = {"user_message": "I was born in Lisbon.", "agent_response": "How nice!"}
        await cortex.memory.remember(memory_space_id="s", conversation_id="c-1", **ADA, **said)


async def events(source: Any, *steps: Any, turn: Turn = TURN) -> list[StreamEvent]:
    found: list[StreamEvent] = []
    await run(from_stream(source, turn=turn).pipe(*steps, ops.do_action(found.append), ops.count()))
    return found


def kinds(found: list[StreamEvent]) -> list[str]:
    return [type(event).__name__ for event in found]


def virtual(test: Any) -> Any:
    """Run it in virtual time, with a store in which Ada has said where she was born."""

    def played() -> None:
        async def main() -> None:
            async with Slow() as store:
                await before(store)
                await test(store, Model())

        run_virtual(main())

    played.__name__, played.__doc__ = test.__name__, test.__doc__
    return played


@virtual
async def test_the_model_is_asked_with_what_was_recalled_and_the_events_say_so(store: Slow, model: Model) -> None:
    for factory in (model.words, model.opened, model.plain):
        found = await events(recalling(store, factory))
        assert kinds(found) == ["Opened", "Recalled", "Delta", "Delta", "Ended"]
        recalled = found[1]
        assert isinstance(recalled, Recalled) and recalled.result is model.given[-1]
        assert [item.text for item in recalled.result.context] == ["I was born in Lisbon.", "How nice!"]
        assert recalled.result.query == TURN.user_message
        assert from_json(to_json(recalled)) == recalled
        assert re.fullmatch("Recalled 2 texts, [0-9]+ tokens", describe(recalled))
        view = Live()
        for event in found:
            view.add(event)
        assert "2 texts recalled" in repr(view)
    assert len(model.given) == 3


@virtual
async def test_the_exchange_itself_is_not_recalled(store: Slow, model: Model) -> None:
    keyed = {**PARAMS, "idempotency_key": "k"}
    async with Cortex(store) as cortex:
        for number in range(2):  # the second run finds what the first has stored
            result = await cortex.memory.remember_stream(cortex.memory.recalling(model.words), **keyed)
            assert result.stored_before == bool(number)
        again = await cortex.memory.remember_stream(cortex.memory.recalling(model.words), **PARAMS)
    texts = ["I was born in Lisbon.", "How nice!"]
    assert [[item.text for item in given.context] for given in model.given[:2]] == [texts, texts]
    assert [item.text for item in model.given[2].context] == [*texts, "Where was I born?", "In Lisbon."]
    assert again.full_response == "In Lisbon." and again.stream_metrics.total_chunks == 2 and again.errors is None


@virtual
async def test_nor_is_its_answer_in_chunks(store: Slow, model: Model) -> None:
    keyed = {**PARAMS, "idempotency_key": "k"}

    def long(recalled: RecallResult) -> list[str]:
        model.given.append(recalled)
        return ["I was told that you were born in Lisbon. "] * 9

    async with Cortex(store) as cortex:
        for _ in range(2):
            source = cortex.memory.recalling(long)
            result = await cortex.memory.remember_stream(source, {"max_single_memory_size": 100}, **keyed)
        assert result.memories[1].chunk_count
    for given in model.given:
        assert [item.text for item in given.context] == ["I was born in Lisbon.", "How nice!"]


@virtual
async def test_a_question_that_was_kept_without_an_answer_is_not_recalled_for_itself(store: Slow, model: Model) -> None:
    keyed = {**PARAMS, "idempotency_key": "k"}
    async with Cortex(store) as cortex:
        with pytest.raises(EmptyAnswer):
            await cortex.memory.remember_stream([], **keyed)
        kept = await cortex.memory.search("s", "born", neighbours=False)
        await cortex.memory.remember_stream(cortex.memory.recalling(model.words), **keyed)
    assert {row.content for row in kept} == {"I was born in Lisbon.", "Where was I born?"}
    assert "Where was I born?" not in [item.text for item in model.given[0].context]


@virtual
async def test_the_model_is_asked_while_the_question_is_stored(store: Slow, model: Model) -> None:
    store.writes, begun = 1.5, asyncio.get_running_loop().time()
    found = await events(recalling(store, model.words), cx.begin(store))
    assert kinds(found) == ["Opened", "Begun", "Recalled", "Delta", "Delta", "Ended"]
    assert model.at[0] - begun < 0.1


@virtual
async def test_a_slow_recall_is_a_problem_and_the_model_is_asked_without_it(store: Slow, model: Model) -> None:
    store.reads, begun = 0.7, asyncio.get_running_loop().time()  # each of several calls
    found = await events(recalling(store, model.words), cx.begin(store), cx.finalize(store))
    problem = next(event for event in found if isinstance(event, Problem))
    assert (problem.phase, problem.code, problem.recoverable) == ("initialization", "RECALL_TIMEOUT", False)
    assert problem.message == "the recall took longer than 1 s; the model was asked without it"
    assert not [event for event in found if isinstance(event, Recalled)]
    assert model.at == [pytest.approx(begun + 1.0, abs=0.01)] and model.given[0].context == ()
    assert model.given[0].format_for_llm() == "" and isinstance(found[-1], Remembered)
    found = await events(recalling(store, model.words, time_limit=timedelta(seconds=9)))
    assert kinds(found)[1] == "Recalled" and model.given[1].context


@virtual
async def test_the_question_is_embedded_and_a_slow_embedder_costs_no_recall(store: Slow, model: Model) -> None:
    asked: list[str] = []
    pause = 0.0

    async def embed(text: str) -> list[float]:
        asked.append(text)
        await asyncio.sleep(pause)
        return [1.0, 0.0]

    async with Cortex(store, generate_embedding=embed, embedding_model="flat") as cortex:
        await cortex.memory.store("s", "Ada comes from the coast.", embedding=[1.0, 0.0], embedding_model="flat")
        for source in (
            cortex.memory.recalling(model.words),
            recalling(store, model.words, generate_embedding=embed, embedding_model="flat"),
        ):
            await events(source)
            assert "Ada comes from the coast." in [item.text for item in model.given[-1].context]
        assert asked == [TURN.user_message] * 2
        pause = 60.0
        found = await events(cortex.memory.recalling(model.words))
        assert kinds(found)[:2] == ["Opened", "Recalled"] and isinstance(found[1], Recalled)
        assert found[1].at == pytest.approx(0.5, abs=0.01)
        assert [item.text for item in model.given[-1].context] == ["I was born in Lisbon.", "How nice!"]


@virtual
async def test_a_recall_that_fails_is_a_problem_without_a_users_text(store: Slow, model: Model) -> None:
    for error in (StoreUnavailable("away"), ValueError("a private text"), asyncio.CancelledError()):
        store.error = error  # type: ignore[assignment]
        found = await events(recalling(store, model.words))
        assert kinds(found) == ["Opened", "Problem", "Delta", "Delta", "Ended"]
        problem = found[1]
        assert isinstance(problem, Problem) and "private" not in problem.message
        assert model.given[-1].memories == ()

    def broken(text: str) -> int:
        raise ZeroDivisionError

    store.error = None
    found = await events(recalling(store, model.words, count_tokens=broken))
    assert [event.code for event in found if isinstance(event, Problem)] == ["CALLBACK_ERROR"]


@pytest.mark.parametrize("how", [replayable, prefill, restart])
def test_a_source_that_is_reopened_gets_the_same_again(how: Any) -> None:
    @virtual
    async def test(store: Slow, model: Model) -> None:
        found = await events(recalling(store, how(model.breaks_once)), cx.resume(retries=2))
        assert len(model.given) == 2 and model.given[0] is model.given[1] and model.given[0].context
        assert kinds(found).count("Recalled") == 1 and kinds(found)[:3] == ["Opened", "Recalled", "Delta"]
        assert [event.attempt for event in found if isinstance(event, Resumed)] == [1 if how is restart else 0]
        attempt = max(event.attempt for event in found if isinstance(event, Delta))
        text = "".join(event.text for event in found if isinstance(event, Delta) and event.attempt == attempt)
        assert text == "In Lisbon." and isinstance(found[-1], Ended)
        assert store.asked.count("memories:search") == 1

    test()


@virtual
async def test_each_source_of_a_fallback_gets_it(store: Slow, model: Model) -> None:
    source = recalling(store, fallback(prefill(model.breaks_once), restart(model.breaks_once)))
    found = await events(source)
    assert kinds(found) == ["Opened", "Recalled", "Delta", "Problem", "Resumed", "Delta", "Delta", "Ended"]
    assert model.given[0] is model.given[1]


@virtual
async def test_a_source_that_fails_before_its_first_text_shows_what_it_was_given(store: Slow, model: Model) -> None:
    async def fails(recalled: RecallResult) -> Any:
        raise ConnectionError("no model")
        yield

    found: list[StreamEvent] = []
    with pytest.raises(ConnectionError):
        await run(from_stream(recalling(store, fails), turn=TURN).pipe(ops.do_action(found.append)))
    assert kinds(found) == ["Opened", "Recalled"]
    assert kinds(await events(recalling(store, lambda recalled: []))) == ["Opened", "Recalled", "Ended"]


@virtual
async def test_the_time_of_a_recall_is_none_of_the_source(store: Slow, model: Model) -> None:
    store.reads = 0.2
    found = await events(recalling(store, model.words), cx.timeout(idle=timedelta(seconds=0.3)))
    assert kinds(found) == ["Opened", "Recalled", "Delta", "Delta", "Ended"]


@virtual
async def test_a_timeout_of_the_sources_own_loses_no_text(store: Slow, model: Model) -> None:
    async def own_timeout(recalled: RecallResult) -> Any:
        try:
            async with asyncio.timeout(1):
                yield "In "
        except TimeoutError:
            yield "Lisbon."

    store.writes = 1.5  # the first text is held back for it, and the timeout fires meanwhile
    found = await events(recalling(store, own_timeout), cx.begin(store))
    assert "".join(event.text for event in found if isinstance(event, Delta)) == "In Lisbon."
    assert kinds(found) == ["Opened", "Begun", "Recalled", "Delta", "Delta", "Ended"]


@virtual
async def test_cancelled_while_it_recalls(store: Slow, model: Model) -> None:
    store.reads = 0.5
    task = asyncio.create_task(events(recalling(store, model.words), cx.begin(store)))
    await asyncio.sleep(0.7)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not model.given and len(asyncio.all_tasks()) == 1


async def test_a_stream_is_resumed_elsewhere_with_a_recall_of_its_own(tmp_path: Path) -> None:
    path, model = tmp_path / "memory.db", Model()

    async def says(point: Any) -> Any:
        model._took(point.recalled)
        yield "In "
        if len(model.given) == 1:
            await asyncio.Event().wait()
        yield "Lisbon."

    await before(SqliteBackend(path))
    async with Cortex(path) as cortex:
        answer = cortex.memory.remember_stream(cortex.memory.recalling(replayable(says)), **PARAMS)
        async for _ in answer:
            break
        await answer.stop()
        token = answer.resume_token
    async with Cortex(path) as other:
        found: list[StreamEvent] = []
        source = other.memory.recalling(replayable(says))
        resumed = other.memory.remember_stream(source, memory_space_id="s", resume_from=token)
        async for event in resumed.events():
            found.append(event)
        result = await resumed
    assert result.full_response == "In Lisbon."
    shown = [kind for kind in kinds(found) if kind in ("Opened", "Replayed", "Recalled", "Resumed", "Delta")]
    assert shown == ["Opened", "Replayed", "Recalled", "Resumed", "Delta"]
    assert isinstance(found[0], Opened) and any(isinstance(event, Replayed) for event in found)
    assert [[item.text for item in given.context] for given in model.given] == [
        ["I was born in Lisbon.", "How nice!"]
    ] * 2


async def test_what_does_not_fit_is_refused() -> None:
    store = SqliteBackend(":memory:")
    for wrong in (
        {"time_limit": timedelta()}, {"time_limit": 1}, {"conversation_id": "c"}, {"max_tokens": 0}, {"surprise": 1},
    ):  # fmt: skip
        with pytest.raises(InvalidArgument):
            recalling(store, lambda recalled: [], **wrong)  # type: ignore[arg-type]
    for source in (None, ["text"], recalling(store, lambda recalled: [])):
        with pytest.raises(InvalidArgument, match="factory"):
            recalling(store, source)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="sources"):
        fallback(recalling(store, lambda recalled: []), restart(lambda point: []))
    with pytest.raises(NotResumable):
        await events(recalling(store, lambda recalled: []), cx.resume())
    with pytest.raises(InvalidArgument, match="conversation_id"):
        recalling(store, lambda recalled: [], RecallOptions(conversation_id="c"))
    assert recalling(store, lambda recalled: [], RecallOptions(limit=3), newest=2).options == {"limit": 3, "newest": 2}
    await store.close()
