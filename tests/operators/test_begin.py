"""`begin`: nothing is shown before the question is durable; the question is stored while the model is being asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from cortex_rx import SqliteBackend, from_stream, run
from cortex_rx import operators as cx
from cortex_rx.errors import IdempotencyConflict, InvalidArgument, NotStored, StoreReadOnly, StoreUnavailable
from cortex_rx.events import Begun, Custom, Delta, Ended, Opened, Problem, Remembered
from cortex_rx.models.turn import Turn
from cortex_rx.testing import Faulty, run_virtual, wall


def whole(store, **begin):
    """A chain that stores, without `measure`, whose figures say nothing here."""
    return cx.chain(cx.begin(store, **begin), cx.persist_partial(store), cx.finalize(store))


def test_nothing_is_shown_before_the_question_is_durable(lab):
    lab.store.slow("begin", 1.0)
    found = []

    def watch(event):
        if isinstance(event, Delta):
            found.append(lab.in_the_file("streams:get", streamId="stream-1"))

    async def main():
        return await lab.play(lab.source(0.3, "It ", "is."), cx.begin(lab.store), watch=watch)

    outcome = lab.run(main)
    assert outcome.text == "It is."
    assert [(row["userMessage"], row["state"], row["length"]) for row in found] == [("What is it?", "open", 0)] * 2
    assert outcome.kinds == ["Opened", "Begun", "Delta", "Delta", "Ended"]


def test_custom_events_wait_for_it_as_deltas_do(lab):
    """A tool call is shown to somebody too."""
    lab.store.slow("begin", 1.0)

    async def main():
        opened = lab.opened
        source = lab.events(opened, 0.1, Custom("tool_calls", [1]), 0.1, *lab.deltas("a"), lab.ended("a"))
        return await lab.play(source, cx.begin(lab.store))

    outcome = lab.run(main)
    assert outcome.kinds == ["Opened", "Begun", "Custom", "Delta", "Ended"]
    assert outcome.times(Custom) == [1.0]


@pytest.mark.parametrize(
    ("store", "model", "first"), [(0.2, 0.5, 0.5), (0.5, 0.5, 0.5), (0.8, 0.5, 0.8), (1.9, 0.1, 1.9)]
)
def test_the_model_is_asked_meanwhile(lab, store, model, first):
    """Zero added when the store is quicker than the model, else exactly the difference; later deltas are not
    delayed.
    """
    lab.store.slow("begin", store)

    async def main():
        return await lab.play(lab.source(model, "a", 2.0, "b", 0.25, "c"), cx.begin(lab.store))

    outcome = lab.run(main)
    assert outcome.times(Begun) == [store]
    added = first - model
    # What comes 2 s later is not late any more: the source reads one ahead, so only the first pause moves.
    assert outcome.times(Delta) == pytest.approx([first, first + 2.0, first + 2.25])
    assert added == pytest.approx(max(0.0, store - model))
    assert outcome.codes == []


def test_a_slow_store_holds_the_first_delta_back_for_the_wait_and_no_longer(lab, snapshot):
    lab.store.slow("begin", 5.0)

    async def main():
        source = lab.source(0.5, "a", 1.0, "b", 1.0, "c", 2.0, "d")
        outcome = await lab.play(source, whole(lab.store))
        return outcome, await lab.contents(), await lab.messages()

    outcome, memories, messages = lab.run(main, thorough=True)
    assert outcome.times(Delta) == [2.0, 3.0, 4.0, 6.0]
    (problem,) = outcome.of(Problem)
    assert (problem.phase, problem.code, problem.recoverable) == ("initialization", "STORE_SLOW", True)
    assert outcome.times(Problem) == [2.0]
    assert outcome.times(Begun) == [5.0]
    assert len(lab.store.of("begin")) == 1, "the call in flight is waited for, not sent again"
    assert outcome.error is None
    assert memories == [("user", "What is it?"), ("agent", "abcd")] == messages
    assert lab.drawn() == snapshot


def test_the_wait_can_be_chosen(lab):
    lab.store.slow("begin", 1.0)

    async def main():
        return await lab.play(lab.source("a", 3.0, "b"), cx.begin(lab.store, wait=timedelta(milliseconds=250)))

    outcome = lab.run(main)
    assert outcome.times(Delta)[0] == 0.25
    assert outcome.times(Begun) == [1.0]


def test_a_store_that_fails_for_a_moment_is_tried_again_before_anything_is_shown(lab):
    """Down for 0.25 s, while the model thinks for 0.2 s: the first delta waits for the question."""
    lab.store.down("begin", until=0.25)
    seen = []

    async def main():
        source = lab.source(0.2, "a", "b")

        def watch(event):
            return isinstance(event, Delta) and seen.append(lab.in_the_file("streams:get", streamId="stream-1"))

        return await lab.play(source, whole(lab.store), watch=watch), await lab.contents()

    outcome, memories = lab.run(main)
    assert [call.started for call in lab.store.of("begin")] == [0.0, 0.1, pytest.approx(0.3)]
    assert outcome.times(Delta) == pytest.approx([0.3, 0.3])
    assert [row["userMessage"] for row in seen] == ["What is it?"] * 2
    (problem,) = outcome.of(Problem)
    assert (problem.phase, problem.code, problem.recoverable) == ("initialization", "STORE_UNAVAILABLE", True)
    assert outcome.kinds.index("Problem") < outcome.kinds.index("Begun") < outcome.kinds.index("Delta")
    assert memories == [("user", "What is it?"), ("agent", "ab")]


def test_a_store_that_is_down_is_tried_again_and_all_is_stored_when_it_is_back(lab):
    lab.store.down("begin", until=7.0)

    async def main():
        source = lab.source(0.5, "a", 5.0, "b", 5.0, "c")
        outcome = await lab.play(source, whole(lab.store))
        return outcome, await lab.contents(), await lab.messages()

    outcome, memories, messages = lab.run(main)
    assert outcome.times(Delta) == [2.0, 7.0, 12.0], "only the first delta waits, for 2 s at most"
    (problem,) = outcome.of(Problem)
    assert isinstance(problem.error, StoreUnavailable)
    starts = [call.started for call in lab.store.of("begin")]
    pauses = [round(after - before, 6) for before, after in zip(starts, starts[1:], strict=False)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0], "they grow, up to 5 s"
    assert len(outcome.of(Begun)) == 1
    assert outcome.error is None
    assert memories == messages == [("user", "What is it?"), ("agent", "abc")]


def test_a_store_that_is_down_for_good_ends_in_not_stored_with_the_whole_text(lab):
    lab.store.down("begin")

    async def main():
        outcome = await lab.play(lab.source(0.5, "It ", 1.0, "is ", 3.0, "this."), whole(lab.store))
        return outcome, await lab.stream()

    outcome, stream = lab.run(main)
    assert outcome.text == "It is this.", "the tokens went on"
    assert isinstance(outcome.error, NotStored)
    assert (outcome.error.text, outcome.error.offset) == ("It is this.", 0)
    assert isinstance(outcome.error.__cause__, StoreUnavailable)
    assert stream is None
    first, last = outcome.of(Problem)
    assert (first.recoverable, last.recoverable) == (True, False)
    assert lab.store.of("append") == lab.store.of("finalize") == []
    ended = outcome.times(Ended)[0]
    late = [call for call in lab.store.of("begin") if call.started >= ended]
    assert len(late) >= 3, "a few times more after the end"
    assert len({call.started for call in late}) == len(late), "with pauses between them"


def test_a_conflict_ends_the_stream_before_anything_is_shown(lab):
    turn = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada", idempotency_key="k")

    async def main():
        first = await lab.play(lab.source("It ", "is.", turn=turn), whole(lab.store))
        second = await lab.play(lab.source(1.0, "Other", turn=replace(turn, user_message="Why?")), whole(lab.store))
        return first, second, lab.model, await lab.messages()

    first, second, model, messages = lab.run(main)
    assert first.error is None
    assert isinstance(second.error, IdempotencyConflict)
    assert second.kinds == ["Opened"]
    assert (model.opened, model.given, model.closed) == (1, 0, 1)
    assert second.ended_at == first.ended_at, "at once, not when the model answers"
    assert messages == [("user", "What is it?"), ("agent", "It is.")]


def test_what_the_store_refuses_for_good_ends_the_stream_too(lab):
    lab.store.fail("begin", StoreReadOnly("it can only be read"))

    async def main():
        return await lab.play(lab.source(0.5, "a"), whole(lab.store))

    outcome = lab.run(main)
    assert isinstance(outcome.error, StoreReadOnly)
    assert outcome.kinds == ["Opened"]


@pytest.mark.parametrize("times", [1, 2])
def test_cancelled_while_beginning_the_call_in_flight_is_completed(lab, times):
    lab.store.slow("begin", 1.0)

    async def main():
        outcome = lab.Outcome()
        task = asyncio.create_task(lab.play(lab.source(0.1, "a"), whole(lab.store), into=outcome))
        await asyncio.sleep(0.5)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.1)
        await asyncio.wait({task})
        assert task.cancelled()
        return outcome, asyncio.get_running_loop().time(), await lab.stream(), await lab.contents()

    outcome, ended, stream, memories = lab.run(main)
    assert outcome.kinds == ["Opened"], "nothing was shown"
    assert ended == 1.0
    assert (stream["state"], stream["userMessage"]) == ("open", "What is it?"), "it can be found and finished"
    assert not stream["owned"], "and it was let go: nobody has to wait for the lease"
    assert memories == []
    assert lab.model.closed == lab.model.opened == 1


def test_a_loop_that_ends_while_beginning_lets_the_stream_go(tmp_path):
    """`asyncio.run` cancels every task at once, the call in flight too."""
    turn = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")

    async def model():
        await asyncio.sleep(100)
        yield "a"

    async def main(store):
        task = asyncio.create_task(run(from_stream(model, turn=turn).pipe(cx.begin(store))))
        await asyncio.sleep(0.5)
        assert not task.done()

    async def found():
        async with SqliteBackend(tmp_path / "memory.db", clock=wall) as store:
            return await store.query("streams:interrupted", {"memorySpaceId": "space"})

    store = Faulty(SqliteBackend(tmp_path / "memory.db", clock=wall), "1 delay 1")
    run_virtual(main(store))
    run_virtual(store.close())
    (stream,) = run_virtual(found())
    assert (stream["userMessage"], stream["length"]) == ("What is it?", 0)


def test_cancelled_while_the_store_is_down_it_gives_up_after_the_last_try(lab):
    lab.store.down("begin")

    async def main():
        task = asyncio.create_task(lab.play(lab.source(0.1, "a", 60.0), cx.begin(lab.store)))
        await asyncio.sleep(20)
        tried = len(lab.store.calls)
        task.cancel()
        await asyncio.wait({task})
        return tried, asyncio.get_running_loop().time()

    tried, ended = lab.run(main)
    assert 26.0 <= ended <= 26.01
    assert len(lab.store.calls) > tried + 11, "every 0.5 s"


@pytest.mark.parametrize("wait", [2, 60])
def test_a_stalled_store_is_given_up_after_the_limit_of_a_dispose(lab, wait):
    async def main():
        lab.store.stall("begin")
        chain = cx.begin(lab.store, wait=timedelta(seconds=wait))
        task = asyncio.create_task(lab.play(lab.source(0.1, "a", 60.0), chain))
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.wait({task})
        return asyncio.get_running_loop().time()

    assert lab.run(main) == pytest.approx(18.0, abs=0.01)
    assert isinstance(lab.store.calls[0].error, asyncio.CancelledError)


def test_an_unfinished_stream_is_taken_over_and_its_attempt_rises(lab):
    """The process died after the first write. The same question under the same key begins again and is stored once."""
    turn = replace(lab.turn, idempotency_key="k")

    async def main():
        task = asyncio.create_task(lab.play(lab.source("Half", 1.0, " of", 9.0, turn=turn), whole(lab.store)))
        await asyncio.sleep(3)
        task.cancel()
        await asyncio.wait({task})
        again = await lab.play(lab.source("Whole", turn=turn), whole(lab.store))
        return again, await lab.messages(), await lab.contents()

    again, messages, memories = lab.run(main)
    begun = again.one(Begun)
    assert (begun.epoch, begun.attempt) == (2, 1)
    assert messages == memories == [("user", "What is it?"), ("agent", "Whole")]
    assert again.one(Remembered).stored_before is False


def test_the_whole_turn_is_stored(lab):
    turn = Turn(
        "space", "c-9", "Why?", user_id="ada", user_name="Ada", agent_id="helper", importance=0, tags=("a", "b"),
        metadata={"channel": "mail"},
    )  # fmt: skip

    async def main():
        await lab.play(lab.source("So.", turn=turn), whole(lab.store))
        return lab.store.of("begin")[0].args, await lab.memories()

    args, (question, answer) = lab.run(main)
    assert args["startedAt"] == 1_767_225_600_000
    for row in (question, answer):
        assert (row["importance"], row["tags"], row["userId"], row["agentId"]) == (0, ["a", "b"], "ada", "helper")
        assert row["conversationRef"]["conversationId"] == "c-9"
        assert row["metadata"] == {"channel": "mail"}


def test_marbles(lab, snapshot):
    lab.store.slow("begin", 0.5)

    async def main():
        await lab.play(lab.source(0.2, "a", 0.5, "b", 0.1, "c"), cx.begin(lab.store))

    lab.run(main, thorough=True)
    assert lab.drawn() == snapshot


@pytest.mark.parametrize("wait", [timedelta(0), timedelta(seconds=-1), 2, None])
def test_a_wait_that_is_none_is_refused(lab, wait):
    with pytest.raises(InvalidArgument, match="wait: "):
        cx.begin(lab.store, wait=wait)


def test_what_is_no_backend_is_refused():
    with pytest.raises(InvalidArgument, match="backend: got 'str'"):
        cx.begin("memory.db")


def test_it_says_what_it_needs_and_emits(lab):
    step = cx.begin(lab.store)
    assert (step.name, step.needs, step.emits) == ("begin", {Opened}, {Begun, Problem})
