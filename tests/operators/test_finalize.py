"""`finalize`: the exchange is stored once, complete or not at all, also when the stream is cancelled after its end."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from dataclasses import replace

import pytest
from helpers.operator_chains import CHAINS, QUESTION, exchange, plain, script
from reactivex import operators as ops

from cortex_rx import from_stream
from cortex_rx import operators as cx
from cortex_rx.engine import run
from cortex_rx.errors import (
    ChainOrderError,
    IdempotencyConflict,
    InvalidArgument,
    StoreReadOnly,
)
from cortex_rx.events import (
    Begun,
    Chunked,
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
    Rewound,
)
from cortex_rx.models.records import Usage

# --- one exchange -----------------------------------------------------------------------------------------------------


@CHAINS
def test_exactly_one_exchange_and_the_partial_row_became_the_answers_memory(lab, chain):
    async def main():
        outcome = await lab.play(lab.source(*script(50, 0.1)), chain(lab.store))
        everything = await lab.ask("memories:list", includePartial=True)
        return outcome, await lab.memories(), everything, await lab.ask("conversations:get", conversationId="c-1")

    outcome, (question, answer), everything, conversation = lab.run(main)
    assert len(everything) == 2, "one memory of the answer, not two"
    assert answer["memoryId"] == outcome.one(Begun).memory_id
    assert (question["content"], answer["content"]) == ("What is it?", outcome.text)
    assert (answer["isPartial"], answer["messageRole"]) == (False, "agent")
    assert [(m["role"], m["content"]) for m in conversation["messages"]] == [QUESTION, ("agent", outcome.text)]
    remembered = outcome.one(Remembered)
    assert remembered.message_ids == tuple(message["id"] for message in conversation["messages"])
    assert [memory.memory_id for memory in remembered.memories] == [question["memoryId"], answer["memoryId"]]
    assert [memory.content for memory in remembered.memories] == ["What is it?", outcome.text]
    assert (remembered.conversation_id, remembered.stored_before) == ("c-1", False)
    assert outcome.kinds[-1] == "Remembered"


def test_it_is_stored_when_it_says_so(lab):
    found = []

    def watch(event):
        if isinstance(event, Remembered):
            found.append(lab.in_the_file("conversations:get", conversationId="c-1")["messageCount"])
            found.append(lab.in_the_file("memories:count"))

    async def main():
        return await lab.play(lab.source("a", 0.1, "b"), exchange(lab.store), watch=watch)

    lab.run(main)
    assert found == [2, 2]


def test_nothing_of_it_is_visible_before(lab):
    """All or nothing: until the transaction there is neither a message nor a memory."""
    lab.store.slow("finalize", 1.0)
    found = []

    async def main():
        task = asyncio.create_task(lab.play(lab.source("a", 0.1, "b"), exchange(lab.store)))
        await asyncio.sleep(0.6)
        found.append((await lab.memories(), await lab.messages()))
        await task

    lab.run(main)
    assert found == [([], [])]


def test_reason_and_usage_are_stored(lab):
    def chunk(**more):
        return {"object": "chat.completion.chunk", "choices": [], **more}

    text = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    usage = {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}

    async def main():
        await lab.play(lab.source(chunk(**text), chunk(**end), chunk(**usage)), exchange(lab.store))
        return await lab.ask("conversations:get", conversationId="c-1")

    _, answer = lab.run(main)["messages"]
    assert answer["metadata"] == {
        "finishReason": "length",
        "usage": {"inputTokens": 9, "outputTokens": 2, "totalTokens": 11},
    }


def test_usage_without_some_of_its_numbers(lab):
    async def main():
        source = lab.events(lab.opened, *lab.deltas("a"), Ended("stop", 1, 1, Usage(output_tokens=3)))
        await lab.play(source, plain(lab.store))
        return await lab.ask("conversations:get", conversationId="c-1")

    assert lab.run(main)["messages"][1]["metadata"] == {"finishReason": "stop", "usage": {"outputTokens": 3}}


# --- what it holds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [100, 500, 60_000])
def test_only_the_text_after_the_last_partial_is_sent(lab, interval):
    """At the end `persist_partial` has written all: nothing is left to send, whatever the interval."""

    async def main():
        return await lab.play(lab.source(*script(200, 0.02)), exchange(lab.store, interval), traced=False)

    outcome = lab.run(main)
    (call,) = lab.store.of("finalize")
    assert (call.args["start"], call.args["text"]) == (len(outcome.text), "")
    assert call.args["length"] == len(outcome.text)


def test_what_persist_partial_could_not_write_is_sent(lab):
    lab.store.fail("append", None, StoreReadOnly("only to be read"))

    async def main():
        outcome = await lab.play(lab.source(*script(100, 0.02)), exchange(lab.store), traced=False)
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    durable = outcome.one(PartialStored).offset
    (call,) = lab.store.of("finalize")
    assert (call.args["start"], call.args["text"]) == (durable, outcome.text[durable:])
    assert 0 < durable < len(outcome.text)
    assert memories[1] == ("agent", outcome.text)


def test_without_persist_partial_all_of_it_is_sent(lab):
    async def main():
        return await lab.play(lab.source(*script(100, 0.02)), plain(lab.store), traced=False)

    outcome = lab.run(main)
    (call,) = lab.store.of("finalize")
    assert (call.args["start"], call.args["text"]) == (0, outcome.text)


def held(lab, chain):
    """How much memory more is in use at the end of an answer of eight million characters than near its beginning."""
    sizes = []

    async def main():
        length, size = 500, 16_000

        async def model():
            for number in range(length):
                await asyncio.sleep(0.04)
                if number % 25 == 0:
                    gc.collect()
                    sizes.append(tracemalloc.get_traced_memory()[0])
                yield f"{number:08d}".ljust(size, "x")

        source = from_stream(model, turn=lab.turn, make_id=lambda: "stream-1")
        await run(source.pipe(chain, cx.last()))

    tracemalloc.start()
    try:
        lab.run(main)
    finally:
        tracemalloc.stop()
    return max(sizes[3:]) - sizes[2]


def test_with_persist_partial_it_holds_a_bounded_amount(lab):
    """8 MB of text pass; the most that is held is what comes within an interval or two."""
    assert held(lab, exchange(lab.store.inner)) < 1_000_000


def test_without_it_holds_the_answer(lab):
    """The other side of the test before: that way of measuring sees eight million characters."""
    assert held(lab, plain(lab.store.inner)) > 6_000_000


@pytest.mark.slow(
    reason="eight million characters, held; that they are not, with persist_partial, is tested in every run"
)
def test_with_a_function_that_needs_the_answer_it_holds_the_answer(lab):
    def embed(text):
        return [float(len(text))]

    assert held(lab, exchange(lab.store.inner, generate_embedding=embed)) > 6_000_000


# --- when it acts -----------------------------------------------------------------------------------------------------


@CHAINS
@pytest.mark.parametrize("times", [1, 2])
def test_cancelled_at_every_turn_after_ended_the_exchange_is_stored(make_lab, chain, times):
    def play(stop):
        """Cancel at the turns `stop` after `Ended` was shown; the turns that there were, and what is stored."""
        lab = make_lab()
        lab.store.slow("append", 0.05)
        lab.store.slow("finalize", 0.05)
        outcome = lab.Outcome()
        turns, task = [0], []

        def on_step(_):
            if task and not task[0].done() and any(isinstance(event, Ended) for event in outcome.events[-9:]):
                turns[0] += 1
                if turns[0] in stop:
                    task[0].cancel()

        async def main():
            source = lab.source("It ", 0.1, "is ", 0.1, "this.")
            task.append(asyncio.create_task(lab.play(source, chain(lab.store), into=outcome, traced=False)))
            await asyncio.wait(task)
            return await lab.contents(), await lab.messages()

        stored = lab.run_stepped(main, on_step)
        return turns[0], task[0].cancelled(), stored

    whole, _, stored = play(())
    assert whole > (15 if chain is exchange else 10)
    for turn in range(1, whole + 1):
        _, cancelled, again = play(range(turn, turn + times))
        assert again == stored == ([QUESTION, ("agent", "It is this.")],) * 2, f"cancelled after {turn} turns"
        assert cancelled or turn > whole - 5


@CHAINS
def test_cancelled_before_ended_it_is_not_finalised(lab, chain):
    async def main():
        outcome = lab.Outcome()
        source = lab.source("It ", 0.1, "is ", 5.0, "this.")
        task = asyncio.create_task(lab.play(source, chain(lab.store), into=outcome))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        return outcome, await lab.stream(), await lab.partial(), await lab.contents(), await lab.messages()

    outcome, found, partial, memories, messages = lab.run(main)
    assert outcome.text == "It is "
    assert lab.store.of("finalize") == lab.store.of("close") == []
    assert (found["state"], memories, messages) == ("open", [], [])
    assert partial == ("It is " if chain is exchange else "")


@CHAINS
@pytest.mark.parametrize("texts", [[], ["It "], ["It ", 1.0, "is "]], ids=["at once", "after a delta", "later"])
def test_a_failure_upstream_leaves_the_partial(lab, chain, texts):
    gone = ConnectionError("the provider hung up")

    async def main():
        outcome = await lab.play(lab.source(*texts, gone), chain(lab.store))
        return outcome, await lab.stream(), await lab.partial(), await lab.contents()

    outcome, found, partial, memories = lab.run(main)
    assert outcome.error is gone
    assert lab.store.of("finalize") == lab.store.of("close") == []
    assert (found["state"], memories) == ("open", [])
    assert partial == (outcome.text if chain is exchange else "")
    assert outcome.of(Remembered) == []


def test_a_failure_after_ended_does_not_lose_the_answer(lab):
    """A connection that breaks when it is closed."""
    gone = ConnectionError("closed")

    async def main():
        source = lab.events(lab.opened, *lab.deltas("a"), lab.ended("a"), gone)
        return await lab.play(source, exchange(lab.store)), await lab.contents()

    outcome, memories = lab.run(main)
    assert outcome.error is gone
    assert outcome.kinds[-1] == "Remembered"
    assert memories == [QUESTION, ("agent", "a")]


def test_a_stream_that_completes_without_ended_is_not_finalised(lab):
    """Somebody upstream cut it off, with a stock `take` for instance."""

    async def main():
        source = lab.source("a", 0.1, "b", 0.1, "c").pipe(ops.take(3))
        return await lab.play(source, exchange(lab.store)), await lab.partial(), await lab.contents()

    outcome, partial, memories = lab.run(main)
    (problem,) = outcome.of(Problem)
    assert (problem.phase, problem.code) == ("finalization", "INCOMPLETE")
    assert (partial, memories, outcome.error) == ("ab", [], None)


# --- again ------------------------------------------------------------------------------------------------------------


@CHAINS
def test_the_same_exchange_again_gives_what_is_stored(lab, chain):
    turn = replace(lab.turn, idempotency_key="k")

    async def main():
        first = await lab.play(lab.source("It ", 0.1, "is.", turn=turn), chain(lab.store))
        second = await lab.play(lab.source("It is", 1.0, ".", turn=turn), chain(lab.store))
        return first, second, await lab.contents(), await lab.messages()

    first, second, memories, messages = lab.run(main)
    one, other = first.one(Remembered), second.one(Remembered)
    assert (one.stored_before, other.stored_before) == (False, True)
    assert replace(other, stored_before=False) == one
    assert memories == messages == [QUESTION, ("agent", "It is.")]


def test_another_answer_under_the_same_key_is_a_conflict(lab):
    turn = replace(lab.turn, idempotency_key="k")

    async def main():
        await lab.play(lab.source("It is.", turn=turn), plain(lab.store))
        second = await lab.play(lab.source("It was.", turn=turn), plain(lab.store))
        return second, await lab.contents()

    second, memories = lab.run(main)
    assert type(second.error) is IdempotencyConflict
    assert second.of(Remembered) == []
    assert memories == [QUESTION, ("agent", "It is.")], "what was stored stays"


# --- order ------------------------------------------------------------------------------------------------------------


def test_in_a_plain_pipe_without_begin_it_is_found_out_at_run_time(lab):
    async def main():
        return await lab.play(lab.source("a"), cx.finalize(lab.store))

    outcome = lab.run(main)
    assert type(outcome.error) is ChainOrderError
    assert "finalize got text but no Begun: it belongs after begin(...)" in str(outcome.error)


def test_without_text_it_is_found_out_at_the_end(lab):
    async def main():
        return await lab.play(lab.events(lab.opened, lab.ended("", deltas=0)), cx.finalize(lab.store))

    assert type(lab.run(main).error) is ChainOrderError


def test_in_a_chain_it_is_refused_when_it_is_applied(lab):
    with pytest.raises(ChainOrderError, match="finalize needs Begun, which nothing before it emits: put begin"):
        cx.chain(cx.finalize(lab.store))(lab.source("a"))
    lab.run(lab.stream)


@pytest.mark.parametrize("name", ["extract_content", "generate_embedding"])
def test_what_is_no_function_is_refused(lab, name):
    with pytest.raises(InvalidArgument, match=f"{name}: got 'str'; accepted: a function"):
        cx.finalize(lab.store, **{name: "text"})


def test_it_says_what_it_needs_and_emits(lab):
    step = cx.finalize(lab.store)
    assert (step.name, step.needs, step.emits) == ("finalize", {Begun}, {Remembered, Problem})
    assert step.reads == {
        *(Opened, Replayed, Resumed, Rewound, Delta, PartialStored, Chunked, FactsExtracted, Ended, Custom, Problem)
    }
    assert cx.finalize(lab.store, max_single_memory_size=100).needs == {Begun, Chunked}


def test_marbles(lab, snapshot):
    lab.store.slow("append", 0.1)
    lab.store.slow("finalize", 0.2)

    async def main():
        await lab.play(lab.source("a", 0.3, "b", 0.3, "c", 0.3, "d"), exchange(lab.store))

    lab.run(main, thorough=True)
    assert lab.drawn() == snapshot
