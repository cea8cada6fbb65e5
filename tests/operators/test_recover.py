"""`recover`: each strategy for a stream that failed, and what the store holds afterwards."""

from __future__ import annotations

import asyncio

import pytest
from reactivex import operators as ops

from cortex_rx import from_stream, run
from cortex_rx import operators as cx
from cortex_rx.errors import (
    CallbackError,
    EmptyAnswer,
    Fenced,
    InvalidArgument,
    NotStored,
    ResumableStreamError,
    StoreUnavailable,
)
from cortex_rx.events import Begun, Ended, PartialStored, Problem, Remembered, RolledBack
from cortex_rx.models.turn import Turn
from cortex_rx.testing import assert_no_leaks

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")


class Gone(ConnectionError):
    pass


def storing(lab, strategy, *more):
    chain = cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store), cx.recover(strategy, lab.store), *more)
    return cx.chain(chain, cx.finalize(lab.store))


async def stored(lab):
    """What is in the store: the partial and the whole memories, the messages, what is to be resumed."""
    memories = await lab.store.query("memories:list", {"memorySpaceId": "space", "includePartial": True})
    conversation = await lab.store.query("conversations:get", {"memorySpaceId": "space", "conversationId": "c-1"})
    left = await lab.store.query("streams:interrupted", {"memorySpaceId": "space"})
    return (
        [(row["content"], row["isPartial"]) for row in memories],
        [(m["role"], m["content"], m.get("metadata")) for m in conversation["messages"]] if conversation else [],
        [(row["userMessage"], row["length"]) for row in left],
    )


def played(lab, strategy, *model, more=()):
    async def main():
        outcome = await lab.play(lab.source(*model), storing(lab, strategy, *more))
        return outcome, await stored(lab)

    with assert_no_leaks():
        return lab.run(main)


def test_store_partial_keeps_the_last_character_and_gives_a_token(lab):
    outcome, (memories, messages, left) = played(lab, "store-partial", "It ", 1, "is", Gone())
    error = outcome.error
    assert isinstance(error, ResumableStreamError)
    assert isinstance(error.__cause__, Gone)
    assert error.original_error is error.__cause__
    (begun,) = outcome.of(Begun)
    assert error.resume_token == begun.token is not None
    assert error.resume_token not in str(error) + repr(error) + repr(begun)
    assert memories == [("It is", True)]
    assert messages == []
    assert left == [("What is it?", 5)], "nobody owns it any more: it can be resumed at once"
    assert outcome.of(PartialStored)[-1].offset == 5


def test_rollback_leaves_nothing(lab):
    outcome, everything = played(lab, "rollback", "It ", 1, "is", Gone())
    assert isinstance(outcome.error, Gone)
    assert everything == ([], [], [])
    (begun,) = outcome.of(Begun)
    (opened, *_) = outcome.events
    assert outcome.of(RolledBack) == [RolledBack(opened.stream_id, begun.memory_id)]


def test_best_effort_makes_an_answer_of_what_there_is(lab):
    outcome, (memories, messages, left) = played(lab, "best-effort", "It ", 1, "is", Gone())
    assert outcome.error is None
    assert [event.code for event in outcome.of(Problem)] == ["Gone"]
    assert outcome.of(Ended) == [Ended("error", 5, 2)]
    assert len(outcome.of(Remembered)) == 1
    assert memories == [("It is", False), ("What is it?", False)]
    assert messages == [
        ("user", "What is it?", None),
        ("agent", "It is", {"finishReason": "error"}),
    ]
    assert left == []


@pytest.mark.parametrize("strategy", ["store-partial", "rollback", "best-effort"])
def test_before_the_first_text(lab, strategy):
    outcome, (memories, messages, left) = played(lab, strategy, 1, Gone())
    assert messages == []
    if strategy == "store-partial":
        assert isinstance(outcome.error, ResumableStreamError)
        assert (memories, left) == ([("", True)], [("What is it?", 0)])
    else:
        assert isinstance(outcome.error, Gone)
        assert left == ([("What is it?", 0)] if strategy == "best-effort" else [])


@pytest.mark.parametrize("strategy", ["store-partial", "rollback", "best-effort"])
def test_what_fails_after_the_end_of_the_text_is_no_failure_of_the_stream(lab, strategy):
    """The error of `finalize` comes from downstream, that of a step before it after `Ended`."""
    boom = cx.step("boom", ops.do_action(lambda event: 1 / 0 if isinstance(event, Ended) else None))

    async def main():
        chain = cx.chain(
            cx.begin(lab.store),
            cx.persist_partial(lab.store),
            boom,
            cx.recover(strategy, lab.store),
            cx.finalize(lab.store),
        )
        outcome = await lab.play(lab.source("It is"), chain)
        return outcome, await stored(lab)

    outcome, (memories, *_) = lab.run(main)
    if strategy == "rollback":
        assert isinstance(outcome.error, CallbackError)
        assert memories == []
    else:
        assert memories[0][0] == "It is"


@pytest.mark.parametrize("strategy", ["store-partial", "rollback", "best-effort"])
@pytest.mark.parametrize("error", [Fenced("x"), NotStored("x", "text")], ids=["Fenced", "NotStored"])
def test_what_is_no_failure_of_the_source_passes_bare(lab, strategy, error):
    outcome, (memories, *_) = played(lab, strategy, "It is", error)
    assert outcome.error is error
    assert memories == [("It is", True)]


def test_an_empty_answer_is_not_rolled_back(lab):
    outcome, (_, messages, _) = played(lab, "rollback", " ")
    assert isinstance(outcome.error, EmptyAnswer)
    assert [(role, content) for role, content, _ in messages] == [("user", "What is it?")]


def test_without_persist_partial_nothing_is_durable_and_the_error_is_passed_on(lab):
    async def main():
        chain = cx.chain(cx.begin(lab.store), cx.recover("store-partial", lab.store), cx.finalize(lab.store))
        return await lab.play(lab.source("It is", Gone()), chain)

    assert isinstance(lab.run(main).error, Gone)


def test_a_rollback_that_the_store_cannot_do_is_said(lab):
    lab.store.fail("rollback", *[StoreUnavailable("down")] * 9)
    outcome, (memories, *_) = played(lab, "rollback", "It is", Gone())
    assert isinstance(outcome.error, Gone)
    assert [(e.phase, e.code) for e in outcome.of(Problem)] == [("storage", "STORE_UNAVAILABLE")]
    assert memories == [("It is", True)]


@pytest.mark.parametrize("reply_lost", [False, True])
def test_a_rollback_that_fails_for_a_moment_is_tried_again(lab, reply_lost):
    lab.store.fail("rollback", *[StoreUnavailable("down")] * 3, reply_lost=reply_lost)
    outcome, everything = played(lab, "rollback", "It is", Gone())
    assert isinstance(outcome.error, Gone)
    assert (len(outcome.of(Problem)), len(outcome.of(RolledBack))) == (0, 1)
    assert everything == ([], [], [])


def test_a_store_that_is_down_when_the_source_fails(lab):
    """The text is in the error: nobody else has it."""
    lab.store.fail("append", *[StoreUnavailable("down")] * 99)
    outcome, (memories, *_) = played(lab, "store-partial", "It is", Gone())
    assert isinstance(outcome.error, NotStored)
    assert (outcome.error.text, outcome.error.offset) == ("It is", 0)
    assert isinstance(outcome.error.__cause__, Gone)


def test_a_stop_is_no_failure(lab):
    async def main():
        task = asyncio.ensure_future(run(lab.source("It is", 100, "so").pipe(storing(lab, "rollback"))))
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.wait({task})
        return await stored(lab)

    with assert_no_leaks():
        memories, messages, left = lab.run(main)
    assert memories == [("It is", True)]
    assert left == [("What is it?", 5)]


def test_a_stream_that_does_not_fail_passes_as_it_is(lab):
    outcome, (memories, *_) = played(lab, "rollback", "It is")
    assert outcome.error is None
    assert [memory for memory, _ in memories] == ["It is", "What is it?"]


def test_it_needs_begun_and_knows_its_strategies(lab):
    with pytest.raises(
        InvalidArgument, match="strategy: got 'retry'; accepted: 'store-partial' or 'rollback' or 'best-effort'"
    ):
        cx.recover("retry", lab.store)
    with pytest.raises(InvalidArgument, match="backend: got 5"):
        cx.recover("rollback", 5)
    step = cx.recover("rollback", lab.store)
    assert step.needs == {Begun}
    assert step.emits == {Problem, RolledBack, Ended}


def test_retry_is_resume_before_it(lab):
    """The option `retry`: the source is opened again, and only then does the stream fail."""
    from cortex_rx import default_chain
    from cortex_rx.sources.model_stream import replayable

    opened = []

    async def model(point):
        opened.append(point.retry)
        yield "It "
        raise Gone

    async def main():
        chain = default_chain(lab.store, {"partialFailureHandling": "retry", "maxRetries": 2, "retryDelay": 0})
        outcome = await lab.play(from_stream(replayable(model), turn=TURN), chain)
        return outcome, await stored(lab)

    outcome, (memories, *_) = lab.run(main)
    assert isinstance(outcome.error, ResumableStreamError)
    assert opened == [0, 1, 2]
    assert memories == [("It ", True)]
