"""`persist_partial` with stores that fail, stall or belong to another writer, and with `show="durable"`."""

from __future__ import annotations

import asyncio

import pytest
from helpers.operator_chains import script, whole

from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import (
    Diverged,
    Fenced,
    Gap,
    IdempotencyConflict,
    NotStored,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    StreamNotFound,
)
from cortex_rx.events import Delta, Problem

# --- stores that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply_lost", [False, True], ids=["not written", "written, the reply lost"])
@pytest.mark.parametrize("error", [StoreUnavailable("reset"), ConnectionResetError("reset")], ids=repr)
def test_a_transient_failure_is_tried_again_with_the_same_key(lab, reply_lost, error):
    lab.store.fail("append", None, error, error, reply_lost=reply_lost)

    async def main():
        outcome = await lab.play(lab.source(*script(100, 0.02)), whole(lab.store, 250), traced=False)
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    _, first, second, third = lab.store.of("append")[:4]
    assert first.args == second.args == third.args, "the very same call"
    assert second.started - first.started == pytest.approx(0.1)
    assert third.started - second.started == pytest.approx(0.2)
    assert memories == [("user", "What is it?"), ("agent", outcome.text)], "nothing twice, nothing lost"
    (problem,) = outcome.of(Problem)
    code = error.code if isinstance(error, StoreUnavailable) else "ConnectionResetError"
    assert (problem.phase, problem.code, problem.recoverable) == ("storage", code, True)
    assert outcome.times(Delta) == lab.model.gave


@pytest.mark.parametrize(
    "error",
    [
        StoreReadOnly("only to be read"),
        ValueError("a bug in the store"),
        IdempotencyConflict("another answer is stored under this stream id"),
        StreamNotFound("deleted"),
    ],
    ids=repr,
)
def test_a_permanent_failure_is_a_problem_and_the_tokens_go_on(lab, error):
    lab.store.fail("append", None, error)

    async def main():
        outcome = await lab.play(lab.source(*script(100, 0.02)), whole(lab.store, 250), traced=False)
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    (problem,) = outcome.of(Problem)
    assert (problem.phase, problem.recoverable) == ("storage", False)
    assert problem.error is error
    assert len(lab.store.of("append")) == 2, "it has given up"
    assert outcome.times(Delta) == lab.model.gave
    assert memories[1] == ("agent", outcome.text), "`finalize` had the text"


def test_a_full_store_that_gets_room_again(lab):
    lab.store.fail("append", *[StoreFull("no room")] * 4)

    async def main():
        outcome = await lab.play(lab.source(*script(200, 0.02)), whole(lab.store, 250), traced=False)
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    assert outcome.codes == ["STORE_FULL"]
    assert memories[1] == ("agent", outcome.text)


def test_a_store_that_stays_away_ends_in_not_stored_with_the_text(lab):
    lab.store.down("append", since=1.0)
    lab.store.down("finalize")

    async def main():
        return await lab.play(lab.source(*script(200, 0.02)), whole(lab.store, 250), traced=False), await lab.partial()

    outcome, partial = lab.run(main)
    assert outcome.times(Delta) == lab.model.gave
    assert isinstance(outcome.error, NotStored)
    assert outcome.error.offset == len(partial) > 0
    assert partial + outcome.error.text == outcome.text, "what is durable and what the error carries are the whole"
    assert outcome.error.text not in str(outcome.error)


def test_a_stalled_store_bounds_what_waits_and_the_source_waits_then(lab):
    """100 bytes and 240 for each event may wait: 3,000 hold no more than nine of these deltas."""
    given = []

    async def main():
        go_on = lab.store.stall("append")
        chain = whole(lab.store, 0, max_pending=3000)
        task = asyncio.create_task(lab.play(lab.source(*script(100, 0.01, "x" * 95)), chain, traced=False))
        for _ in range(3):
            await asyncio.sleep(10)
            given.append(lab.model.given)
        go_on.set()
        outcome = await task
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    assert given[0] == given[1] == given[2], "it stands still"
    assert given[0] <= 3000 / (95 + 240) + 3, "what waits, what is in flight, and one that the source has read ahead"
    assert outcome.error is None
    assert len(outcome.of(Delta)) == 100
    assert memories[1] == ("agent", outcome.text)


def test_a_stalled_store_holds_no_reader_up_within_the_bound(lab):
    """The usual bound is a megabyte: an answer of a usual length does not notice that the store stalls."""

    async def main():
        go_on = lab.store.stall("append", since=1.0)
        loop = asyncio.get_running_loop()
        loop.call_later(30, go_on.set)
        return await lab.play(lab.source(*script(1000, 0.01)), whole(lab.store), traced=False), await lab.contents()

    outcome, memories = lab.run(main)
    assert outcome.times(Delta) == lab.model.gave
    assert memories[1] == ("agent", outcome.text)


@pytest.mark.parametrize(
    ("busy", "stopped", "lasts"), [("begin", 2.5, 6.15), ("append", 1.5, 6.0), ("finalize", 2.5, 6.15)]
)
def test_a_store_that_is_busy_for_6_s_at_a_stop_loses_nothing(lab, busy, stopped, lasts):
    """Nobody would hear what became of the text, so tries go on."""
    lab.store.lock(busy, until=stopped + lasts)
    shown = []

    async def main():
        first, second, third = lab.deltas("It ", "is ", "here.")
        source = lab.events(lab.opened, 0.1, first, 0.9, second, 1.0, third, lab.ended("It is here."), 60.0)
        chain = whole(lab.store, 250)
        task = asyncio.create_task(lab.play(source, chain, watch=shown.append, traced=False))
        await asyncio.sleep(stopped)
        task.cancel()
        await asyncio.wait({task})
        return await lab.partial(), await lab.contents()

    partial, memories = lab.run(main)
    text = "".join(event.text for event in shown if type(event) is Delta)
    assert partial == text != ""
    assert memories == ([("user", "What is it?"), ("agent", text)] if busy == "finalize" else [])


# --- what only this stream can be told --------------------------------------------------------------------------------


def ended_bare(lab, kind, interfere, show):
    async def main():
        async def meddle():
            await asyncio.sleep(1.01)
            found = await lab.stream()
            await interfere(found)

        meddling = asyncio.create_task(meddle())
        outcome = await lab.play(lab.source(*script(500, 0.02)), whole(lab.store, 250, show=show), traced=False)
        await meddling
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    assert type(outcome.error) is kind, "bare: not wrapped, not a Problem"
    assert outcome.codes == []
    assert outcome.ended_at < 1.6
    assert (lab.model.closed, lab.model.given < 100) == (1, True)
    assert memories == []


@pytest.mark.parametrize("show", ["at once", "durable"])
def test_a_stream_that_was_taken_over_is_fenced(lab, show):
    async def take_over(found):
        async with SqliteBackend(lab.path) as other:
            await other.mutation("streams:begin", {"streamId": "stream-1"} | lab.turn.arguments())

    ended_bare(lab, Fenced, take_over, show)


def its_key(found):
    return {key: found[key] for key in ("streamId", "memorySpaceId", "epoch", "attempt")}


@pytest.mark.parametrize("show", ["at once", "durable"])
def test_another_text_in_its_place_is_diverged(lab, show):
    async def write_between(found):
        async with SqliteBackend(lab.path) as other:
            await other.mutation(
                "streams:append", its_key(found) | {"start": found["length"], "text": "something else"}
            )

    ended_bare(lab, Diverged, write_between, show)


@pytest.mark.parametrize("show", ["at once", "durable"])
def test_a_store_that_forgot_a_write_is_a_gap(lab, show):
    async def main():
        real = lab.store.inner.mutation
        lost = []

        async def forgetful(path, args):
            if path == "streams:append" and asyncio.get_running_loop().time() > 1 and not lost:
                lost.append(args["text"])
                return {"end": args["start"] + len(args["text"])}
            return await real(path, args)

        lab.store.inner.mutation = forgetful
        return await lab.play(lab.source(*script(500, 0.02)), whole(lab.store, 250, show=show), traced=False)

    outcome = lab.run(main)
    assert type(outcome.error) is Gap
    assert outcome.error.end < outcome.error.start
    assert lab.model.given < 100


# --- show="durable" ---------------------------------------------------------------------------------------------------


def test_what_is_shown_is_in_the_file_at_that_instant(lab, snapshot):
    lab.store.slow("append", 0.2)
    shown = []

    def watch(event):
        if isinstance(event, Delta):
            row = lab.in_the_file("streams:get", streamId="stream-1")
            memory = lab.in_the_file("memories:get", memoryId=row["memoryId"], includePartial=True)
            shown.append((event.offset, event.text, memory["content"]))

    async def main():
        source = lab.source(*[item for text in "abcdef" for item in (0.1, text)])
        return await lab.play(source, whole(lab.store, show="durable"), watch=watch), await lab.contents()

    outcome, memories = lab.run(main, thorough=True)
    assert outcome.text == "abcdef"
    for offset, text, content in shown:
        assert content[offset : offset + len(text)] == text
    assert memories[1] == ("agent", "abcdef")
    assert lab.drawn() == snapshot


def test_durable_a_store_that_fails_for_a_while_delays_the_tokens(lab):
    lab.store.down("append", since=1.0, until=6.0)

    async def main():
        outcome = await lab.play(lab.source(*script(100, 0.02)), whole(lab.store, show="durable"), traced=False)
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    times = outcome.times(Delta)
    assert not [at for at in times if 1.05 < at < 6.0]
    assert (len(times), outcome.error) == (100, None)
    assert memories[1] == ("agent", outcome.text)


@pytest.mark.parametrize(("takes", "later"), [(0.0, 25.5), (5.0, 26.5)])
def test_durable_a_store_that_stays_away_ends_the_stream(lab, takes, later):
    lab.store.down("append", since=1.0, takes=takes)

    async def main():
        outcome = await lab.play(lab.source(*script(5000, 0.02)), whole(lab.store, show="durable"), traced=False)
        return outcome, await lab.partial()

    outcome, partial = lab.run(main)
    assert isinstance(outcome.error, NotStored)
    assert isinstance(outcome.error.__cause__, StoreUnavailable)
    assert outcome.text == partial, "nothing was shown that is not there"
    assert outcome.error.offset == len(partial)
    assert outcome.error.text.startswith("word ")
    assert outcome.ended_at == pytest.approx(1 + later, abs=0.1)
    assert lab.model.given < 120, "the source waited"


def test_durable_a_store_that_is_late_to_begin_shows_nothing_before(lab):
    lab.store.down("begin", until=5.0)
    shown = []

    def watch(event):
        return isinstance(event, Delta) and shown.append(lab.in_the_file("streams:get", streamId="stream-1"))

    async def main():
        source = lab.source(*script(100, 0.1))
        outcome = await lab.play(source, whole(lab.store, show="durable"), watch=watch, traced=False)
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    assert min(outcome.times(Delta)) > 5.0
    assert all(shown)
    assert outcome.kinds.index("Problem") < outcome.kinds.index("Delta")
    assert [delta.index for delta in outcome.of(Delta)] == list(range(100))
    assert memories[1] == ("agent", outcome.text)


@pytest.mark.parametrize("length", [20, 5000], ids=["to the end", "more than max_pending"])
def test_durable_a_store_that_never_begins_shows_nothing(lab, length):
    lab.store.down("begin")

    async def main():
        chain = whole(lab.store, show="durable", max_pending=30_000)
        return await lab.play(lab.source(*script(length, 0.1)), chain, traced=False)

    outcome = lab.run(main)
    assert outcome.of(Delta) == []
    assert isinstance(outcome.error, NotStored)
    assert outcome.error.text.startswith("word 0 word 1 ")
    assert lab.model.given <= min(length, 300)


@pytest.mark.parametrize("at", [0.05, 0.15, 1.0, 2.0, 2.05])
def test_durable_a_stream_that_is_cut_off_is_let_go(lab, at):
    """The process that resumes it need not wait for the lease, wherever it was cut off: in the begin, the first write
    or the last.
    """
    lab.store.slow("begin", 0.1)
    lab.store.slow("append", 0.1)

    async def main():
        task = asyncio.create_task(lab.play(lab.source("a", 2.0, "b"), whole(lab.store, show="durable")))
        await asyncio.sleep(at)
        assert not task.done()
        task.cancel()
        await asyncio.wait({task})
        return await lab.stream()

    stream = lab.run(main)
    assert (stream["state"], stream["owned"]) == ("open", False)
