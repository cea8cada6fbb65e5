"""Draining a spool: once, in order, whatever fails meanwhile, and never over another writer's text."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest
from helpers.lanes import slow
from helpers.spooled import SPACE, Flaky, opened, put, stored

from cortex_rx import Spool
from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import SpoolBusy, StoreUnavailable
from cortex_rx.spool import delivery, file
from cortex_rx.spool.file import DRAIN_LEASE, PIECE

QUESTION = ("user", "What is it?")
LONG = "".join(f"{number} is a number. " for number in range(17_000))  # more than one piece
SHORT, SHORT_PIECE = LONG[:400], 300


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool.db")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


@pytest.fixture
async def store(path):
    async with SqliteBackend(path) as backend:
        yield backend


def key(stream="s-1", **more):
    return {"streamId": stream, "memorySpaceId": SPACE, **more}


async def begin(store, open_, text="", *, attempt=0, **more):
    """Somebody begins the stream and writes; its epoch."""
    args = {"streamId": open_.stream_id, "claim": "another", **open_.turn.arguments(), **more}
    begun = await store.mutation("streams:begin", args)
    which = key(open_.stream_id, epoch=begun["epoch"], attempt=begun["attempt"])
    if text:
        await store.mutation("streams:append", which | {"start": 0, "text": text})
    return begun["epoch"]


def summary(report):
    """The streams, by what became of them."""
    return {
        name: [one.stream_id for one in getattr(report, name)]
        for name in ("delivered", "dropped", "dead")
        if getattr(report, name)
    } | ({"left": report.left} if report.left else {})


# --- order, one at a time ---------------------------------------------------------------------------------------------


async def test_in_the_order_in_which_the_streams_began(spool, store, path):
    for number in (3, 1, 2, 5, 4):
        await put(spool, opened(f"s-{number}", 1000.0 + number, f"Question {number}"), f"Answer {number}")
    report = await spool.drain(store)
    assert summary(report) == {"delivered": ["s-1", "s-2", "s-3", "s-4", "s-5"]}
    found = await stored(path)
    assert [text for _, text in found["messages"]] == [
        f"{kind} {n}" for n in range(1, 6) for kind in ("Question", "Answer")
    ]
    assert [text for _, text, _ in found["memories"]] == [text for _, text in found["messages"]]


async def test_a_drained_spool_is_empty_and_small(spool, store, tmp_path):
    await put(spool, opened("s-1"), LONG)
    large = (tmp_path / "spool.db").stat().st_size
    await spool.drain(store)
    assert await spool.count() == 0
    assert (tmp_path / "spool.db").stat().st_size < large / 10
    assert b"is a number" not in (tmp_path / "spool.db").read_bytes()
    assert await spool.drain(store) == await Spool(tmp_path / "never-made.db").drain(store)
    assert not (tmp_path / "never-made.db").exists()


async def test_a_second_drainer_is_told_so(spool, store, path):
    await put(spool, opened("s-1"), "Answer")
    await put(spool, opened("s-2", 1001.0), "Answer")
    go_on, asked = asyncio.Event(), asyncio.Event()

    class Slow(Flaky):
        async def mutation(self, path: str, args: Any) -> Any:
            asked.set()
            await go_on.wait()
            return await self.inner.mutation(path, args)

    first = asyncio.create_task(spool.drain(Slow(store, -1, RuntimeError(), after=False)))
    await asyncio.wait_for(asked.wait(), 10)
    with pytest.raises(SpoolBusy, match="another drainer") as busy:
        await Spool(spool.path).drain(store)
    assert busy.value.until > 1e12
    go_on.set()
    assert summary(await first) == {"delivered": ["s-1", "s-2"]}
    assert summary(await spool.drain(store)) == {}, "it lets go at its end"
    assert len((await stored(path))["messages"]) == 4


async def test_a_drainer_that_was_taken_for_dead_stops(spool, store, path):
    await put(spool, opened("s-1"), "Answer")
    await put(spool, opened("s-2", 1001.0), "Answer")
    import time

    later = Spool(spool.path, clock=lambda: time.time() + DRAIN_LEASE / 1000 + 1)

    class Overtaken(Flaky):
        async def mutation(self, path: str, args: Any) -> Any:
            if not self.calls:
                self.calls = 1
                assert summary(await later.drain(store)) == {"delivered": ["s-1", "s-2"]}
            return await self.inner.mutation(path, args)

    report = await spool.drain(Overtaken(store, -1, RuntimeError(), after=False))
    assert report.dead == ()
    assert (await stored(path))["messages"] == [QUESTION, ("agent", "Answer")] * 2


async def test_a_drain_that_is_cancelled_lets_go(spool, store):
    await put(spool, opened("s-1"), "Answer")
    never = asyncio.Event()

    class Hangs(Flaky):
        async def mutation(self, path: str, args: Any) -> Any:
            await never.wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(spool.drain(Hangs(store, -1, RuntimeError(), after=False)), 0.1)
    assert summary(await spool.drain(store)) == {"delivered": ["s-1"]}


# --- failures ---------------------------------------------------------------------------------------------------------


async def streams(spool, store):
    """Five entries: never begun, in two pieces; begun; incomplete; closed; taken over by another writer, now gone."""
    await put(spool, opened("long"), SHORT)
    epoch = await begin(store, opened("begun", 1001.0), "It is ")
    await put(spool, opened("begun", 1001.0), "a pen.", epoch=epoch, start=6, length=12)
    await put(spool, opened("part", 1002.0), "It might", path="streams:append")
    empty = key("empty", reason="stop", outcome="empty")
    await spool.put(opened("empty", 1003.0), "finalize", "streams:close", empty)
    epoch = await begin(store, opened("over", 1004.0), "It is ")
    await begin(store, opened("over", 1004.0), "It", claim="one more")
    await put(spool, opened("over", 1004.0), "a crayon.", epoch=epoch, start=6)


END = {
    "messages": [
        QUESTION,
        ("agent", SHORT),
        QUESTION,
        ("agent", "It is a pen."),
        QUESTION,
        QUESTION,
        ("agent", "It is a crayon."),
    ],
    "memories": [
        *[(*QUESTION, False), ("agent", "It is a crayon.", False)],
        *[(*QUESTION, False), ("agent", SHORT, False)],
        *[(*QUESTION, False), ("agent", "It is a pen.", False)],
        ("agent", "It might", True),
        (*QUESTION, False),
    ],
}


def sorted_(found):
    return {name: sorted(map(str, rows)) for name, rows in found.items()}


@pytest.mark.parametrize(
    "after",
    [slow(False, "a drain that fails before each of its calls; after each, in every run"), True],
    ids=["before", "after"],
)
@pytest.mark.parametrize(
    "error",
    [StoreUnavailable("away"), slow(asyncio.CancelledError(), "a drain that is cancelled at each of its calls")],
    ids=repr,
)
async def test_a_failure_at_every_single_call(tmp_path, monkeypatch, error, after):
    """The next drain ends where one without a failure would have.  The first answer goes in two pieces."""
    for module in (file, delivery):
        monkeypatch.setattr(module, "PIECE", SHORT_PIECE)
    number = 0
    while True:
        spool, path = Spool(tmp_path / f"spool-{number}.db"), tmp_path / f"memory-{number}.db"
        async with SqliteBackend(path) as store:
            await streams(spool, store)
            flaky = Flaky(store, number, error, after=after)
            report = await spool.drain(flaky)
            if flaky.calls <= number:
                break
            if flaky.raised:  # else the store itself had refused that call
                if isinstance(error, asyncio.CancelledError):  # nobody has cancelled the drain
                    assert isinstance(report.error, StoreUnavailable)
                else:
                    assert report.error is error
                assert report.left == await spool.count() >= 1
            again = await spool.drain(store)
            assert (again.dead, again.dropped, again.left, again.error) == ((), (), 0, None)
            assert await spool.count() == 0
        assert sorted_(await stored(path)) == sorted_(END)
        number += 1
    assert number > 10
    assert sorted_(await stored(path)) == sorted_(END)


async def test_a_store_that_says_in_its_own_words_that_it_is_away_is_waited_for(spool, store):
    """A foreign backend that lets the error of its client through."""
    await put(spool, opened("s-1"), "Answer")
    gone = ConnectionResetError("a private text")
    report = await spool.drain(Flaky(store, 1, gone, after=False))
    assert (summary(report), report.error) == ({"left": 1}, gone)
    assert summary(await spool.drain(store)) == {"delivered": ["s-1"]}


async def test_a_bug_that_one_entry_meets_does_not_hold_up_the_others(spool, store):
    await put(spool, opened("s-1"), "Answer")
    await put(spool, opened("s-2", 1001.0), "Answer")
    report = await spool.drain(Flaky(store, 1, RuntimeError("a bug"), after=False))
    assert summary(report) == {"delivered": ["s-2"], "dead": ["s-1"]}
    assert report.dead[0].code == "RuntimeError"


# --- what is there already --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored_text", ["", "It ", "It is a pen."])
@pytest.mark.parametrize("began", ["never begun", "fenced"])
async def test_a_complete_answer_replaces_an_incomplete_one_that_it_extends(spool, store, path, stored_text, began):
    more = {}
    if began == "fenced":
        more = {"epoch": await begin(store, opened("s-1"), "It "), "start": 3, "length": 12}
    await begin(store, opened("s-1"), stored_text, claim="one more")
    await put(spool, opened("s-1"), "It is a pen."[more.get("start", 0) :], **more)
    assert summary(await spool.drain(store)) == {"delivered": ["s-1"]}
    assert await stored(path) == {
        "messages": [QUESTION, ("agent", "It is a pen.")],
        "memories": [(*QUESTION, False), ("agent", "It is a pen.", False)],
    }


@pytest.mark.parametrize("stored_text", ["It is not", "It is a pen. And more.", "No"])
@pytest.mark.parametrize("began", ["never begun", "fenced"])
async def test_where_it_contradicts_it_becomes_a_dead_letter(spool, store, path, stored_text, began):
    more = {}
    if began == "fenced":
        more = {"epoch": await begin(store, opened("s-1"), "It "), "start": 3, "length": 12}
    await begin(store, opened("s-1"), stored_text, claim="one more")
    before = await stored(path)
    id = await put(spool, opened("s-1"), "It is a pen."[more.get("start", 0) :], **more)
    report = await spool.drain(store)
    assert summary(report) == {"dead": ["s-1"]}
    assert [(one.id, one.code) for one in report.dead] == [(id, "DIVERGED")]
    assert await stored(path) == before


@pytest.mark.parametrize(
    ("finished", "outcome"),
    [("It is a pen.", "delivered"), ("It is a pencil.", "dead"), ("It is a pen. Yes.", "dead"), ("It is", "dead")],
)
async def test_another_writer_has_finished_it(spool, store, path, finished, outcome):
    epoch = await begin(store, opened("s-1"), "It ")
    await put(spool, opened("s-1"), "is a pen.", epoch=epoch, start=3, length=12)
    mine = {"epoch": await begin(store, opened("s-1"), claim="one more"), "attempt": 1, "start": 0}
    await store.mutation("streams:finalize", key(**mine, text=finished, length=len(finished)))
    assert summary(await spool.drain(store)) == {outcome: ["s-1"]}
    assert (await stored(path))["messages"] == [QUESTION, ("agent", finished)]


async def test_a_stream_that_somebody_writes_is_left_and_the_others_go_on(spool, store, path):
    await begin(store, opened("s-1"), "It ", lease=60_000)
    await put(spool, opened("s-1"), "It is a pen.")
    await put(spool, opened("s-2", 1001.0), "Another")
    report = await spool.drain(store)
    assert summary(report) == {"delivered": ["s-2"], "left": 1}
    assert report.error is None
    await store.mutation("streams:renew", key(epoch=1, lease=0))
    assert summary(await spool.drain(store)) == {"delivered": ["s-1"]}
    assert sorted((await stored(path))["messages"]) == sorted(
        [QUESTION, ("agent", "It is a pen."), QUESTION, ("agent", "Another")]
    )


@pytest.mark.parametrize(
    ("there", "part", "outcome", "end"),
    [
        ("It is a", "It is", "delivered", "It is a"),
        ("It is", "It is", "delivered", "It is"),
        ("It", "It is", "delivered", "It is"),
        ("No", "It is", "dead", "No"),
    ],
)
async def test_an_incomplete_answer_beside_another(spool, store, path, there, part, outcome, end):
    await begin(store, opened("s-1"), there)
    await put(spool, opened("s-1"), part, path="streams:append")
    assert summary(await spool.drain(store)) == {outcome: ["s-1"]}
    assert (await stored(path))["memories"] == [("agent", end, True)]


async def test_incomplete_then_complete_in_one_spool(spool, store, path):
    """The stream was stopped while the store was down, and asked again under its idempotency key."""
    await put(spool, opened("s-1", 1000.0), "It is", path="streams:append")
    await put(spool, opened("s-1", 1060.0), "It is a pen.")
    assert summary(await spool.drain(store)) == {"delivered": ["s-1", "s-1"]}
    assert (await stored(path))["messages"] == [QUESTION, ("agent", "It is a pen.")]


async def test_a_question_that_was_closed_as_unanswered_is_answered(spool, store, path):
    epoch = await begin(store, opened("s-1"))
    await put(spool, opened("s-1"), "It is a pen.", epoch=epoch)
    await store.mutation("streams:finish", key())
    assert summary(await spool.drain(store)) == {"delivered": ["s-1"]}
    assert (await stored(path))["messages"] == [QUESTION, ("agent", "It is a pen.")]


@pytest.mark.parametrize(
    ("there", "rest", "ending", "outcome", "end"),
    [
        ("It is", " a pen.", "streams:finalize", "delivered", "It is a pen."),
        ("It is", LONG, "streams:finalize", "delivered", f"It is{LONG}"),
        ("It is", "", "streams:finalize", "delivered", "It is"),
        ("It is not", " a pen.", "streams:finalize", "dead", "It is not"),
        ("It is", " a pe", "streams:append", "dead", "It is"),
    ],
    ids=["extends it", "is long", "is the same", "contradicts it", "is incomplete too"],
)
async def test_a_complete_answer_replaces_one_that_was_ended_as_incomplete(
    spool, store, path, there, rest, ending, outcome, end
):
    """Somebody had ended what the store had of it (`memory.finish`), and has asked something else since."""
    epoch = await begin(store, opened("s-1"), there, lease=0)
    await put(spool, opened("s-1"), rest, path=ending, epoch=epoch, start=5, length=5 + len(rest))
    await store.mutation("streams:finish", key())
    ended = await store.query("conversations:get", {"memorySpaceId": SPACE, "conversationId": "c-1"})
    await begin(store, opened("s-2", question="And that?"), "A hat.", lease=0)
    await store.mutation("streams:finish", key("s-2"))
    assert summary(await spool.drain(store)) == {outcome: ["s-1"]}
    assert summary(await spool.drain(store)) == {}
    found = await stored(path)
    said = [QUESTION, ("agent", end), ("user", "And that?"), ("agent", "A hat.")]
    assert found["messages"] == said
    assert found["memories"] == [(role, text, False) for role, text in said]
    whole = outcome == "delivered" and bool(rest)
    message = (await store.query("conversations:get", {"memorySpaceId": SPACE, "conversationId": "c-1"}))["messages"][1]
    assert ("incomplete" in (message.get("metadata") or {})) is not whole
    assert message["id"] == ended["messages"][1]["id"], "it has had its id since begin"
    words = await store.query("memories:search", {"memorySpaceId": SPACE, "query": end.split()[-1]})
    assert end[:20] in [row["content"][:20] for row in words]


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_drain_that_fails_while_it_completes_one_goes_on_later(spool, store, path, at, after):
    epoch = await begin(store, opened("s-1"), "It is", lease=0)
    await put(spool, opened("s-1"), " a pen.", epoch=epoch, start=5, length=12)
    await store.mutation("streams:finish", key())
    await spool.drain(Flaky(store, at, StoreUnavailable("down"), after=after))
    await spool.drain(store)
    assert await spool.count() == 0
    assert (await stored(path))["messages"] == [QUESTION, ("agent", "It is a pen.")]
    assert (await stored(path))["memories"] == [("user", "What is it?", False), ("agent", "It is a pen.", False)]


async def test_an_incomplete_answer_whose_question_was_deleted_stays(spool, store, path):
    epoch = await begin(store, opened("s-1"), "It is", lease=0)
    await put(spool, opened("s-1"), " a pen.", epoch=epoch, start=5, length=12)
    ended = await store.mutation("streams:finish", key())
    question = {"memorySpaceId": SPACE, "memoryId": ended["memories"][0]["memoryId"]}
    await store.mutation("memories:deleteMemory", question)
    before = await stored(path)
    report = await spool.drain(store)
    assert summary(report) == {"dead": ["s-1"]}
    assert report.dead[0].code == "IDEMPOTENCY_CONFLICT"
    assert await stored(path) == before


@pytest.mark.parametrize("how", ["deleted", "rolled back"])
@pytest.mark.parametrize("ending", ["streams:finalize", "streams:append"])
async def test_what_was_deleted_stays_deleted(spool, store, path, how, ending):
    epoch = await begin(store, opened("s-1"), "It ")
    await put(spool, opened("s-1"), "is a pen.", path=ending, epoch=epoch, start=3)
    if how == "rolled back":
        await store.mutation("streams:rollback", key(epoch=epoch))
    else:
        row = await store.query("streams:get", key())
        await store.mutation("memories:deleteMemory", {"memorySpaceId": SPACE, "memoryId": row["memoryId"]})
    report = await spool.drain(store)
    assert summary(report) == {"dropped": ["s-1"]}
    assert report.dropped[0].code == "STREAM_NOT_FOUND"
    assert await stored(path) == {"messages": [], "memories": []}


async def test_one_that_was_never_begun_and_then_deleted_by_its_idempotency_key(spool, store, path):
    await put(spool, opened("s-1"), "It is a pen.")
    await begin(store, opened("s-1"), "It ")
    row = await store.query("streams:get", key())
    await store.mutation("memories:deleteMemory", {"memorySpaceId": SPACE, "memoryId": row["memoryId"]})
    assert summary(await spool.drain(store)) == {"dropped": ["s-1"]}
    assert await stored(path) == {"messages": [], "memories": []}


async def test_memory_spaces_do_not_mix(spool, store, path):
    """One stream id in two spaces is two streams."""
    await put(spool, opened("s-1", space="a"), "For a")
    await put(spool, opened("s-1", space="b"), "For b")
    report = await spool.drain(store)
    assert [(one.memory_space_id, one.stream_id) for one in report.delivered] == [("a", "s-1"), ("b", "s-1")]
    for space in ("a", "b"):
        assert (await stored(path, space))["messages"] == [QUESTION, ("agent", f"For {space}")]


async def test_forget_is_of_one_answer_that_came_to_no_end(spool):
    for space, stream, at in (("a", "s-1", 1.0), ("a", "s-1", 2.0), ("a", "s-2", 1.0), ("b", "s-1", 1.0)):
        await put(spool, opened(stream, at, space=space), "Text", path="streams:append")
    await put(spool, opened("s-1", 1.0, space="a"), "Text")
    assert (await spool.forget(opened("s-1", 1.0, space="a")), await spool.count()) == (1, 4)


async def test_a_writer_forgets_nothing_of_one_that_took_the_stream_over(spool):
    for epoch in (1, 2, 3):
        await put(spool, opened("s-1"), "Text", path="streams:append", epoch=epoch)
    assert (await spool.forget(opened("s-1")), await spool.count()) == (0, 3)
    assert (await spool.forget(opened("s-1"), 2), await spool.count()) == (2, 1)


async def test_many_writers_at_once_and_the_file_is_not_there_yet(spool, store, path):
    await asyncio.gather(*(put(Spool(spool.path), opened(f"s-{n}", 1000.0 + n), f"Answer {n}") for n in range(40)))
    assert summary(await spool.drain(store)) == {"delivered": [f"s-{n}" for n in range(40)]}


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow(reason="20 MB with all memory traced; long answers go in pieces in every run")
async def test_an_answer_of_20_million_characters_goes_in_pieces(spool, store, path):
    text = ("0123456789abcdef" * 64 + "\n") * 20_000
    await put(spool, opened("s-1"), text)
    calls = []

    class Counting(Flaky):
        async def mutation(self, path: str, args: Any) -> Any:
            calls.append(len(args.get("text", "")))
            return await self.inner.mutation(path, args)

    length = len(text)
    del text
    tracemalloc.start()
    report = await spool.drain(Counting(store, -1, RuntimeError(), after=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(report.delivered) == 1
    assert max(calls) == PIECE
    assert sum(calls) == length == 20_500_000
    assert peak < 12 * 2**20
    row = await store.query("streams:get", key())
    assert (row["state"], row["length"]) == ("finished", length)


async def test_a_dead_drainer_holds_nobody_off_after_the_clock_was_set_back(spool, store):
    await put(spool, opened("s-1"), "Answer")
    now = [5_000.0]
    first, second = (Spool(spool.path, clock=lambda: now[0]) for _ in range(2))
    assert first.file.next("dead", []) is not None  # killed before it has left
    with pytest.raises(SpoolBusy):
        await second.drain(store)
    now[0] -= 3600
    assert summary(await second.drain(store)) == {"delivered": ["s-1"]}


@pytest.mark.parametrize("back", [0, 3600])
async def test_an_answer_of_before_the_clock_was_set_back_is_delivered_before_those_of_after_it(
    tmp_path, store, path, back
):
    now = [10_000.0]
    spool = Spool(tmp_path / "spool.db", clock=lambda: now[0])
    for number in range(1, 4):
        began = now[0]
        now[0] += 60
        await put(spool, opened(f"s-{number}", began, f"Question {number}?"), f"Answer {number}")
        if number == 1:
            now[0] -= back
    await put(spool, opened("s-4", began - 30, "Question 2 and a half?"), "Answer 4")  # it began before another ended
    assert summary(await spool.drain(store)) == {"delivered": ["s-1", "s-2", "s-4", "s-3"]}
    questions = [content for role, content in (await stored(path))["messages"] if role == "user"]
    assert questions == ["Question 1?", "Question 2?", "Question 2 and a half?", "Question 3?"]
