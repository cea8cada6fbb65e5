"""Dead letters: listed, re-driven, discarded; those of a step beside the answer, and those of a drain."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from helpers.spooled import SPACE, opened, put, stored
from reactivex import Observable

from cortex_rx import Cortex, Spool, from_stream, run
from cortex_rx import operators as cx
from cortex_rx.backends import HEAD_LENGTH, SqliteBackend
from cortex_rx.engine import Inbox, beside
from cortex_rx.errors import (
    Diverged,
    InvalidArgument,
    LetterNotFound,
    MemoryNotFound,
    StoreFull,
    StoreUnavailable,
    StreamNotFound,
    UnknownFunction,
)
from cortex_rx.events import Problem, Remembered, StreamEvent
from cortex_rx.spool import DeadLetters
from cortex_rx.testing import run_virtual

APPEND = {"streamId": "st", "attempt": 0, "start": 0, "text": "x"}


@pytest.fixture
async def store(tmp_path):
    async with SqliteBackend(tmp_path / "memory.db") as backend:
        yield backend


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool.db")


@pytest.fixture
def letters(spool, store):
    return DeadLetters(spool, store)


async def memory(store, text="It is a pen.", space=SPACE):
    """An answer that is stored; the id of its memory."""
    open_ = opened(f"of {text}", space=space)
    begun = await store.mutation("streams:begin", {"streamId": open_.stream_id, **open_.turn.arguments()})
    which = {"streamId": open_.stream_id, "memorySpaceId": space, "epoch": 1, "attempt": 0, "start": 0}
    await store.mutation("streams:finalize", which | {"text": text, "length": len(text)})
    return begun["memoryId"]


# --- an own step ------------------------------------------------------------------------------------------------------


@cx.operator(needs=[Remembered], emits=[Problem])
def forget_questions(backend: Any, letters: DeadLetters) -> Any:
    """A step that writes beside the answer: the memory of the question is deleted."""

    async def worker(inbox: Inbox[StreamEvent]) -> Any:
        async for batch in inbox:
            for remembered in (event for event in batch if isinstance(event, Remembered)):
                args = {"memorySpaceId": SPACE, "memoryId": remembered.memories[0].memory_id}
                try:
                    await backend.mutation("memories:deleteMemory", args)
                except Exception as error:
                    await letters.add(SPACE, "forget_questions", "memories:deleteMemory", args, error)
                    yield Problem.of("finalization", error, recoverable=False)

    return beside(worker, wants=frozenset({Remembered}))


class Refusing:
    """A backend that cannot delete, for a while."""

    def __init__(self, inner: SqliteBackend) -> None:
        self.inner, self.broken = inner, True

    async def query(self, path: str, args: Any) -> Any:
        return await self.inner.query(path, args)

    async def mutation(self, path: str, args: Any) -> Any:
        if self.broken and path == "memories:deleteMemory":
            raise StoreUnavailable("no deleting today")
        return await self.inner.mutation(path, args)

    async def close(self) -> None: ...


async def test_a_write_of_a_step_that_fails_for_good(store, spool, tmp_path, caplog):
    backend = Refusing(store)
    letters = DeadLetters(spool, backend)
    chain = cx.chain(cx.begin(backend), cx.finalize(backend), forget_questions(backend, letters))
    source: Observable[StreamEvent] = from_stream(["It is ", "a pen."], turn=opened("x").turn)
    result = await run(source.pipe(chain, cx.result()))
    assert result.full_response == "It is a pen.", "the answer is not concerned"
    assert len((await stored(tmp_path / "memory.db"))["memories"]) == 2
    (letter,) = await letters.list(SPACE)
    assert (letter.operator, letter.path, letter.memory_space_id) == (
        "forget_questions",
        "memories:deleteMemory",
        SPACE,
    )
    assert (letter.cause, letter.code) == ("StoreUnavailable: no deleting today", "STORE_UNAVAILABLE")
    memory = {"memorySpaceId": SPACE, "memoryId": result.memories[0].memory_id}
    assert letter.args == {**memory, "cascadeDeleteFacts": True}
    assert (await spool.drain(backend)).left == 0, "it is not tried again by itself"
    with pytest.raises(StoreUnavailable):
        await letters.redrive(letter.id)
    assert len(await letters.list()) == 1
    backend.broken = False
    await letters.redrive(letter.id)
    assert await letters.list() == []
    assert (await stored(tmp_path / "memory.db"))["memories"] == [("agent", "It is a pen.", False)]
    assert "pen" not in caplog.text


async def test_redriving_something_else_than_its_cause_changes_the_cause(letters, store):
    args = {"memorySpaceId": SPACE, "memoryId": "gone"}
    id = await letters.add(SPACE, "step", "memories:deleteMemory", args, StoreUnavailable("away"))
    with pytest.raises(MemoryNotFound):
        await letters.redrive(id)
    assert (await letters.get(id)).code == "MEMORY_NOT_FOUND"
    await letters.discard(id)
    for call in (letters.get, letters.discard, letters.redrive):
        with pytest.raises(LetterNotFound):
            await call(id)


async def test_spaces_do_not_mix(letters, store):
    of = {space: {"memorySpaceId": space, "memoryId": await memory(store, space=space)} for space in ("a", "b")}
    ids = {space: await letters.add(space, "step", "memories:deleteMemory", of[space], "no") for space in of}
    assert [one.id for one in await letters.list("a")] == [ids["a"]]
    assert [one.id for one in await letters.list()] == [ids["a"], ids["b"]]
    assert await letters.list("c") == []
    with pytest.raises(InvalidArgument, match="another memorySpaceId"):
        await letters.add("a", "step", "memories:deleteMemory", of["b"], "no")
    await letters.redrive(ids["a"])
    assert [one.id for one in await letters.list()] == [ids["b"]]
    assert await store.query("memories:count", {"memorySpaceId": "a"}) == 1
    assert await store.query("memories:count", {"memorySpaceId": "b"}) == 2


@pytest.mark.parametrize("field", ["memory_space_id", "operator", "path"])
async def test_bad_input(letters, field):
    given = {
        "memory_space_id": SPACE,
        "operator": "step",
        "path": "memories:deleteMemory",
        "args": {"memorySpaceId": SPACE, "memoryId": "m"},
        "cause": "no",
    }
    with pytest.raises(InvalidArgument, match=field):
        await letters.add(**given | {field: ""})
    with pytest.raises(InvalidArgument, match="args"):
        await letters.add(**given | {"args": {"memorySpaceId": SPACE, "odd": object()}})
    assert await letters.list() == []


@pytest.mark.parametrize(
    ("path", "change", "error", "says"),
    [
        ("memories:gone", {}, UnknownFunction, "no mutation 'memories:gone'"),
        ("memories:get", {}, UnknownFunction, "no mutation 'memories:get'"),
        ("memories:deleteMemory", {"surprise": 1}, InvalidArgument, "^args.surprise: got 'an unknown argument'"),
        ("memories:deleteMemory", {"memoryId": None}, InvalidArgument, "^args.memoryId: got None"),
        ("streams:renew", {}, InvalidArgument, "^args.memoryId: got 'an unknown argument'"),
        ("streams:append", APPEND | {"epoch": -1}, InvalidArgument, "^args.epoch: got -1"),
        ("streams:append", APPEND, InvalidArgument, "^args.epoch: got 'nothing'"),
    ],
)
async def test_what_no_backend_would_take_is_refused(letters, tmp_path, path, change, error, says):
    """A letter without an epoch too: `redrive` sends it as it is, and begins no stream for it."""
    args = {"memorySpaceId": SPACE} | (change if "streamId" in change else {"memoryId": "m"} | change)
    with pytest.raises(error, match=says):
        await letters.add(SPACE, "step", path, args, "no")
    assert not (tmp_path / "spool.db").exists()


async def test_what_a_backend_may_take_one_day_is_kept(letters, store):
    """An unknown stream, an epoch that does not exist yet: the store refuses it today."""
    await letters.add(SPACE, "step", "streams:append", {"memorySpaceId": SPACE, **APPEND, "epoch": 7}, "no")
    (letter,) = await letters.list()
    with pytest.raises(StreamNotFound):
        await letters.redrive(letter.id)
    assert letter.args == {"memorySpaceId": SPACE, **APPEND, "epoch": 7}


async def test_a_letter_that_cannot_be_kept(tmp_path, store):
    letters = DeadLetters(Spool(tmp_path / "small.db", max_page_count=8), store)
    args = {"memorySpaceId": SPACE, "memoryId": "x" * 100_000}
    with pytest.raises(StoreFull):
        await letters.add(SPACE, "step", "memories:deleteMemory", args, "no")


# --- an answer that contradicts ---------------------------------------------------------------------------------------


async def test_an_answer_that_contradicts_is_there_with_its_text(letters, spool, store, tmp_path):
    text = "It is not a pen. " * 20_000
    open_ = opened("s-1")
    begun = await store.mutation("streams:begin", {"streamId": "s-1", **open_.turn.arguments()})
    which = {"streamId": "s-1", "memorySpaceId": SPACE, "epoch": 1, "attempt": 0, "start": 0}
    await store.mutation("streams:append", which | {"text": "It is a pen."})
    id = await put(spool, open_, text)
    assert len((await spool.drain(store)).dead) == 1
    (letter,) = await letters.list(SPACE)
    assert (letter.id, letter.operator, letter.path, letter.stream_id, letter.code) == (
        id, "finalize", "streams:finalize", "s-1", "DIVERGED",
    )  # fmt: skip
    assert (letter.text, letter.text_length) == (text[:HEAD_LENGTH], len(text))
    assert (await letters.get(id)).text == text
    assert (await spool.drain(store)).dead == ()
    with pytest.raises(Diverged):
        await letters.redrive(id)
    await store.mutation("streams:rollback", {"memorySpaceId": SPACE, "streamId": "s-1", "epoch": begun["epoch"]})
    await letters.redrive(id)
    assert [text for _, text in (await stored(tmp_path / "memory.db"))["messages"]] == ["What is it?", text]
    assert await letters.list() == []


async def test_discarded_it_is_not_in_the_file_any_more(letters, spool, store, tmp_path):
    await letters.add(
        SPACE, "step", "memories:deleteMemory", {"memorySpaceId": SPACE, "memoryId": "a private text"}, "no"
    )
    await letters.add(SPACE, "step", "memories:deleteMemory", {"memorySpaceId": SPACE, "memoryId": "another one"}, "no")
    assert b"a private text" in (tmp_path / "spool.db").read_bytes()
    letter, _ = await letters.list()
    await letters.discard(letter.id)
    data = (tmp_path / "spool.db").read_bytes()
    assert b"a private text" not in data
    assert b"another one" in data


# --- through the client -----------------------------------------------------------------------------------------------


class Remote(Refusing):
    """A store on another machine, that is down."""

    remote = True
    down = True

    async def mutation(self, path: str, args: Any) -> Any:
        if self.down:
            raise StoreUnavailable("down")
        return await self.inner.mutation(path, args)


TURN = {"memory_space_id": SPACE, "conversation_id": "c-1", "user_message": "What is it?", "agent_id": "helper"}


def test_a_remote_store_has_a_spool_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        store = SqliteBackend(tmp_path / "memory.db")
        remote = Remote(store)
        async with Cortex(remote, environ={}) as cortex:
            assert cortex.spool is not None
            with pytest.raises(Exception, match="waits in the spool") as failed:
                await cortex.memory.remember(agent_response="It is a pen.", **TURN)
            assert failed.value.spooled.path == str(tmp_path / "cortex-spool.db")  # type: ignore[attr-defined]
            report = await cortex.drain_spool()
            assert (report.left, report.delivered) == (1, ())
            assert isinstance(report.error, StoreUnavailable)
            remote.down = False
            report = await cortex.drain_spool()
            assert [one.id for one in report.delivered] == [failed.value.spooled.id]  # type: ignore[attr-defined]
        found = await stored(tmp_path / "memory.db")
        assert found["messages"] == [("user", "What is it?"), ("agent", "It is a pen.")]
        await store.close()

    run_virtual(main())


def test_a_stop_that_keeps_nothing_leaves_nothing_in_the_spool(tmp_path):
    async def model() -> Any:
        yield "It is "
        await asyncio.sleep(60)

    async def main() -> None:
        store = SqliteBackend(tmp_path / "memory.db")
        spool = Spool(tmp_path / "spool.db")
        async with Cortex(Remote(store), spool=spool) as cortex:
            for keep in (True, False):
                answer = cortex.memory.remember_stream(model, **TURN)
                async for _ in answer:
                    await answer.stop(keep_partial=keep)
                    break
                assert await spool.count() == 1, "the first one's"
        await store.close()

    run_virtual(main())


@pytest.mark.parametrize(
    ("store_", "spool_", "environ", "on", "file"),
    [
        ("memory.db", None, {}, False, "memory-spool.db"),
        ("memory.db", True, {}, True, "memory-spool.db"),
        ("memory.db", None, {"CORTEX_SPOOL": "other.db"}, True, "other.db"),
        ("memory.db", None, {"CORTEX_SPOOL": "off"}, False, "memory-spool.db"),
        ("memory.db", "third.db", {"CORTEX_SPOOL": "off"}, True, "third.db"),
        ("memory.db", False, {"CORTEX_SPOOL": "other.db"}, False, "memory-spool.db"),
        (":memory:", None, {}, False, "cortex-spool.db"),
        (Remote, None, {}, True, "cortex-spool.db"),
        (Remote, False, {}, False, "cortex-spool.db"),
        (Remote, None, {"CORTEX_SPOOL": "off"}, False, "cortex-spool.db"),
    ],
)
async def test_where_the_spool_is(store, tmp_path, monkeypatch, store_, spool_, environ, on, file):
    monkeypatch.chdir(tmp_path)
    async with Cortex(store_ if isinstance(store_, str) else store_(store), spool=spool_, environ=environ) as cortex:
        assert (cortex.spool is not None) == on
        assert cortex.spool is None or cortex.spool.path == str(tmp_path / file)
        assert not (tmp_path / file).exists(), "it is made when something is to be kept"
        args = {"memorySpaceId": SPACE, "memoryId": "m"}
        await cortex.dead_letters.add(SPACE, "step", "memories:deleteMemory", args, "no")
        assert (tmp_path / file).exists()
        assert len(await cortex.dead_letters.list()) == 1


@pytest.mark.parametrize("spool", [7, "", ":memory:", "memory.db"])
def test_what_is_no_spool(spool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match="spool"):
        Cortex("memory.db", spool=spool, environ={})


@pytest.mark.parametrize("wrong", [None, float("nan"), "", " ", 0, b"x", "\ud800"], ids=repr)
async def test_an_id_that_is_none_is_refused_and_no_letter_is_touched(tmp_path: Path, wrong: Any) -> None:
    async with SqliteBackend(":memory:") as backend:
        letters = DeadLetters(Spool(tmp_path / "spool.db"), backend)
        for space in ("a", "b"):
            await letters.add(space, "forget", "memories:deleteMemory", {"memorySpaceId": space, "memoryId": "m"}, "x")
        before = await letters.list()
        for act in (letters.get, letters.redrive, letters.discard):
            with pytest.raises(InvalidArgument, match="^id: got "):
                await act(wrong)
        assert await letters.list() == before and len(before) == 2
