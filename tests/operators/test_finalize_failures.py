"""`finalize` where something is missing or fails: an answer without text, the caller's functions, the store."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from helpers.operator_chains import CHAINS, QUESTION, exchange, plain, script
from reactivex import Observer

from cortex_rx import from_stream, run
from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.embedding import Embedder
from cortex_rx.engine import FlowScheduler
from cortex_rx.errors import (
    EmptyAnswer,
    Fenced,
    NotStored,
    StoreReadOnly,
    StoreUnavailable,
    StreamNotFound,
)
from cortex_rx.events import Begun, Custom, PartialStored, Problem, Remembered
from cortex_rx.models.turn import Turn
from cortex_rx.testing import run_virtual, wall

# --- empty answers ----------------------------------------------------------------------------------------------------


@CHAINS
@pytest.mark.parametrize("texts", [[], [""], ["", " ", "\n\t", "\u3000"]], ids=["nothing", "empty", "blank"])
def test_an_empty_answer_keeps_the_question_and_marks_it(lab, chain, texts):
    async def main():
        outcome = await lab.play(lab.source(0.6, *texts, 0.6), chain(lab.store))
        everything = await lab.ask("memories:list", includePartial=True)
        return outcome, everything, await lab.ask("conversations:get", conversationId="c-1")

    outcome, everything, conversation = lab.run(main)
    assert type(outcome.error) is EmptyAnswer
    assert "no content" in str(outcome.error)
    assert outcome.of(Remembered) == []
    (question,) = everything
    assert (question["messageRole"], question["content"], question["tags"]) == (*QUESTION, ["unanswered"])
    (message,) = conversation["messages"]
    assert (message["role"], message["content"]) == QUESTION
    assert message["metadata"] == {"unanswered": "empty", "finishReason": "stop"}


def test_an_empty_answer_again_is_an_empty_answer(lab):
    turn = replace(lab.turn, idempotency_key="k")

    async def main():
        for _ in range(2):
            outcome = await lab.play(lab.source(" ", turn=turn), plain(lab.store))
            assert type(outcome.error) is EmptyAnswer
        return await lab.contents(), await lab.messages()

    assert lab.run(main) == ([QUESTION], [QUESTION])


@CHAINS
@pytest.mark.parametrize("name", ["tool_calls", "function_call"])
def test_tool_calls_alone_are_an_answer(lab, chain, name):
    async def main():
        source = lab.events(lab.opened, 0.1, Custom(name, [{"id": "1"}]), lab.ended("", "tool_calls", deltas=0))
        outcome = await lab.play(source, chain(lab.store))
        return outcome, await lab.contents(), await lab.messages()

    outcome, memories, messages = lab.run(main)
    assert outcome.error is None
    assert messages == [QUESTION, ("agent", "")]
    assert memories == [QUESTION], "there is nothing to remember of it"
    assert len(outcome.one(Remembered).memories) == 1


@CHAINS
@pytest.mark.parametrize("said", [[Custom("refusal")], []], ids=["marked", "by its reason alone"])
def test_a_refusal_without_text_is_an_answer_and_marked(lab, chain, said):
    async def main():
        source = lab.events(lab.opened, 0.1, *said, lab.ended("", "refusal", deltas=0))
        outcome = await lab.play(source, chain(lab.store))
        conversation = await lab.ask("conversations:get", conversationId="c-1")
        return outcome, await lab.contents(), conversation["messages"]

    outcome, memories, messages = lab.run(main)
    assert outcome.error is None
    assert [(message["role"], message["content"]) for message in messages] == [QUESTION, ("agent", "")]
    assert messages[1]["metadata"] == {"finishReason": "refusal"}
    assert memories == [QUESTION], "there is nothing to remember of it"
    assert len(outcome.one(Remembered).memories) == 1


def test_what_is_no_tool_call_is_no_answer(lab):
    async def main():
        source = lab.events(lab.opened, 0.1, Custom("reasoning", "hm"), lab.ended("", deltas=0))
        return await lab.play(source, plain(lab.store))

    assert type(lab.run(main).error) is EmptyAnswer


# --- the caller's functions -------------------------------------------------------------------------------------------


def coroutine(function):
    async def wait(*args):
        await asyncio.sleep(0.5)
        return function(*args)

    return wait


def fails(*_):
    raise LookupError("no such model")


KINDS = pytest.mark.parametrize("kind", [lambda function: function, coroutine], ids=["sync", "async"])


@KINDS
@CHAINS
def test_both_functions_do_what_they_say(lab, chain, kind):
    extract = kind(lambda question, answer: f"asked: {question} -> {answer}")
    embed = kind(lambda text: (len(text), 0.5))

    async def main():
        given = {"extract_content": extract, "generate_embedding": embed}
        outcome = await lab.play(lab.source("It ", 0.7, "is."), chain(lab.store, **given))
        return outcome, await lab.memories(), await lab.messages()

    outcome, (question, answer), messages = lab.run(main)
    summary = "asked: What is it? -> It is."
    assert (question["content"], question["contentType"]) == (summary, "summarized")
    assert (answer["content"], answer["contentType"]) == ("It is.", "raw")
    assert (question["embedding"], answer["embedding"]) == ([float(len(summary)), 0.5], [6.0, 0.5])
    assert messages == [QUESTION, ("agent", "It is.")], "the conversation holds what was said"
    assert outcome.codes == []


@KINDS
def test_functions_that_return_none_change_nothing(lab, kind):
    nothing = kind(lambda *_: None)

    async def main():
        given = {"extract_content": nothing, "generate_embedding": nothing}
        outcome = await lab.play(lab.source("It is."), exchange(lab.store, **given))
        return outcome, await lab.memories()

    outcome, (question, answer) = lab.run(main)
    assert (question["content"], question["contentType"]) == ("What is it?", "raw")
    assert "embedding" not in question and "embedding" not in answer
    assert outcome.codes == []


@KINDS
def test_a_function_that_fails_is_a_problem_and_the_exchange_is_stored_without(lab, kind):
    given = {"extract_content": kind(fails), "generate_embedding": kind(fails)}

    async def main():
        return await lab.play(lab.source("It is."), exchange(lab.store, **given)), await lab.memories()

    outcome, (question, answer) = lab.run(main)
    assert outcome.error is None
    assert (question["content"], answer["content"]) == ("What is it?", "It is.")
    assert "embedding" not in question and "embedding" not in answer
    problems = outcome.of(Problem)
    assert [(problem.phase, problem.code, problem.recoverable) for problem in problems] == [
        ("finalization", "LookupError", True)
    ] * 3, "the summary, and the two embeddings"
    assert outcome.kinds[-1] == "Remembered"


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"extract_content": lambda *_: 42}, 1),
        ({"extract_content": lambda *_: "lone \ud800"}, 1),
        ({"generate_embedding": lambda _: []}, 2),
        ({"generate_embedding": lambda _: [1.0, float("nan")]}, 2),
        ({"generate_embedding": lambda _: [float("inf")]}, 2),
        ({"generate_embedding": lambda _: ["a"]}, 2),
        ({"generate_embedding": lambda _: 0.5}, 2),
        ({"generate_embedding": lambda _: "123"}, 2),
        ({"generate_embedding": lambda _: ["1", "2"]}, 2),
        ({"generate_embedding": lambda _: [[1.0, 2.0]]}, 2),
        ({"generate_embedding": Embedder(lambda _: [1.0, 2.0], dimension=3)}, 2),
        ({"generate_embedding": Embedder(lambda texts: [[1.0]] * (len(texts) - 1), batch_size=9)}, 1),
        ({"generate_embedding": Embedder(lambda texts: [[1.0] * (at + 1) for at in range(2)], batch_size=9)}, 1),
    ],
)
def test_what_a_function_gives_and_no_store_takes_does_not_cost_the_exchange(lab, given, problems):
    async def main():
        return await lab.play(lab.source("It is."), exchange(lab.store, **given)), await lab.memories()

    outcome, (question, answer) = lab.run(main)
    assert outcome.error is None
    assert len(outcome.of(Problem)) == problems
    assert (question["content"], question["contentType"]) == ("What is it?", "raw")
    assert "embedding" not in question and "embedding" not in answer


def test_one_embedding_that_fails_does_not_cost_the_other(lab):
    def embed(text):
        return fails() if text == "What is it?" else [1.0]

    async def main():
        return await lab.play(lab.source("It is."), plain(lab.store, generate_embedding=embed)), await lab.memories()

    outcome, (question, answer) = lab.run(main)
    assert "embedding" not in question
    assert answer["embedding"] == [1.0]
    assert len(outcome.of(Problem)) == 1


def test_no_vector_of_a_blank_text_is_asked_for(lab):
    """An answer of tool calls alone has no text; providers refuse an empty one."""
    asked = []

    def embed(text):
        asked.append(text)
        return [1.0]

    async def main():
        source = lab.events(lab.opened, 0.1, Custom("tool_calls", [{"id": "1"}]), lab.ended("", "tool_calls", deltas=0))
        return await lab.play(source, plain(lab.store, generate_embedding=embed))

    assert (lab.run(main).codes, asked) == ([], ["What is it?"])


def test_the_functions_are_not_asked_of_an_empty_answer(lab):
    asked = []

    def embed(text):
        return asked.append(text)

    async def main():
        return await lab.play(lab.source(" "), plain(lab.store, generate_embedding=embed))

    assert type(lab.run(main).error) is EmptyAnswer
    assert asked == []


def test_a_new_attempt_is_what_is_stored_and_what_the_functions_see(lab):
    asked = []

    def embed(text):
        return asked.append(text)

    async def main():
        first, second = lab.deltas("Fir", "st"), lab.deltas("Second", attempt=1)
        source = lab.events(lab.opened, 0.1, *first, 1.0, *second, lab.ended("Second"))
        return await lab.play(source, plain(lab.store, generate_embedding=embed)), await lab.contents()

    outcome, memories = lab.run(main)
    assert (outcome.error, asked) == (None, ["What is it?", "Second"])
    assert memories == [QUESTION, ("agent", "Second")]


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_what_is_durable_is_dropped_to_the_character_and_only_of_its_own_attempt(lab):
    """The stream was taken over, so the store counts one attempt more than the deltas do."""

    async def main():
        async with SqliteBackend(lab.path) as dead:
            for _ in range(2):
                begun = await dead.mutation("streams:begin", {"streamId": "stream-1"} | lab.turn.arguments())
            key = {"streamId": "stream-1", "memorySpaceId": "space", "epoch": begun["epoch"], "attempt": 2}
            await dead.mutation("streams:append", key | {"start": 0, "text": "Sec"})
        begun = Begun(begun["memoryId"], begun["epoch"], begun["attempt"])
        first, second = lab.deltas("First"), lab.deltas("Second", "!", attempt=1)
        partials = PartialStored(3, 1, 0, 0.0), PartialStored(5, 1, 0, 0.0), PartialStored(3, 1, 1, 0.0)
        script = lab.opened, begun, *first, partials[0], *second, 1.0, *partials[1:], 1.0, lab.ended("Second!")
        return await lab.play(lab.events(*script), cx.finalize(lab.store)), await lab.contents()

    outcome, memories = lab.run(main)
    args = lab.store.of("finalize")[0].args
    assert (args["attempt"], args["start"], args["text"], args["length"]) == (2, 3, "ond!", 7)
    assert (outcome.error, memories) == (None, [QUESTION, ("agent", "Second!")])


def test_a_new_attempt_that_gave_nothing_is_an_empty_answer(lab):
    async def main():
        first, second = lab.deltas("First"), lab.deltas(" ", attempt=1)
        source = lab.events(lab.opened, 0.1, *first, 1.0, *second, lab.ended(" "))
        return await lab.play(source, plain(lab.store)), await lab.contents()

    outcome, memories = lab.run(main)
    assert type(outcome.error) is EmptyAnswer
    assert memories == [QUESTION]


# --- a store that cannot ----------------------------------------------------------------------------------------------


def test_a_reply_that_was_lost_stores_nothing_twice(lab):
    lab.store.fail("finalize", StoreUnavailable("reset"), StoreUnavailable("reset"), reply_lost=True)

    async def main():
        outcome = await lab.play(lab.source("It ", 0.1, "is."), exchange(lab.store))
        return outcome, await lab.contents(), await lab.messages()

    outcome, memories, messages = lab.run(main)
    assert memories == messages == [QUESTION, ("agent", "It is.")]
    assert outcome.one(Remembered).memories[1].content == "It is."
    first, second, third = lab.store.of("finalize")
    assert first.args == second.args == third.args
    assert outcome.codes == ["STORE_UNAVAILABLE"]


def test_a_store_that_is_away_for_a_moment(lab):
    lab.store.fail("finalize", *[StoreUnavailable("away")] * 3)

    async def main():
        return await lab.play(lab.source("It is."), exchange(lab.store)), await lab.contents()

    outcome, memories = lab.run(main)
    assert memories == [QUESTION, ("agent", "It is.")]
    starts = [call.started for call in lab.store.of("finalize")]
    assert [round(start - starts[0], 6) for start in starts] == [0.0, 0.1, 0.5, 2.1]
    (problem,) = outcome.of(Problem)
    assert (problem.phase, problem.recoverable) == ("finalization", True)


@CHAINS
@pytest.mark.parametrize(
    "error", [StoreUnavailable("away"), StoreReadOnly("only to be read"), RuntimeError("a bug in the store")], ids=repr
)
def test_not_stored_carries_the_text(lab, chain, error):
    lab.store.fail("append", None, *[error] * 1000)
    lab.store.fail("finalize", *[error] * 1000)

    async def main():
        outcome = await lab.play(lab.source(*script(60, 0.02)), chain(lab.store), traced=False)
        return outcome, await lab.partial(), await lab.contents()

    outcome, partial, memories = lab.run(main)
    assert isinstance(outcome.error, NotStored)
    assert outcome.error.__cause__ is error
    assert len(lab.store.of("finalize")) == (4 if isinstance(error, StoreUnavailable) else 1)
    assert partial + outcome.error.text == outcome.text
    assert outcome.error.offset == len(partial)
    assert bool(partial) == (chain is exchange)
    assert memories == []


@pytest.mark.parametrize("hangs", [True, False], ids=["the source is still open", "the source has completed"])
def test_cancelled_after_ended_and_the_store_is_away(lab, caplog, hangs):
    """Nobody hears the error: it is logged, and kept with the flow."""
    lab.store.down("finalize")
    flows = []

    async def main():
        async with FlowScheduler() as flow:
            flows.append(flow)
            source = lab.events(lab.opened, *lab.deltas("It is."), lab.ended("It is."), *([60.0] if hangs else []))
            flow.subscribe(source.pipe(exchange(lab.store)), Observer())
            await asyncio.sleep(0.05)
        return asyncio.get_running_loop().time()

    assert 6.0 <= lab.run(main) <= 6.06
    (error,) = flows[0].flush_errors
    assert isinstance(error, NotStored)
    assert "NotStored" in caplog.text
    assert "It is" not in caplog.text


def test_fenced_ends_the_stream_bare(lab):
    """Another process took the stream over between the last write and the end."""

    async def main():
        real = lab.store.inner.mutation

        async def overtaken(path, args):
            if path == "streams:finalize":
                async with SqliteBackend(lab.path) as other:
                    await other.mutation("streams:begin", {"streamId": "stream-1"} | lab.turn.arguments())
            return await real(path, args)

        lab.store.inner.mutation = overtaken
        return await lab.play(lab.source("It is."), exchange(lab.store)), await lab.contents()

    outcome, memories = lab.run(main)
    assert type(outcome.error) is Fenced
    assert memories == []


def test_a_memory_that_was_deleted_meanwhile_is_not_made_again(lab):
    async def main():
        task = asyncio.create_task(lab.play(lab.source("a", 5.0, "b"), plain(lab.store)))
        await asyncio.sleep(1)
        found = await lab.stream()
        await lab.store.inner.mutation(
            "memories:deleteMemory", {"memorySpaceId": "space", "memoryId": found["memoryId"]}
        )
        return await task, await lab.contents()

    outcome, memories = lab.run(main)
    assert type(outcome.error) is StreamNotFound
    assert memories == []


def test_a_loop_that_ends_while_a_function_runs_does_not_cost_the_exchange(tmp_path):
    """`asyncio.run` cancels every task at once, that of the function too: the answer has ended, and is stored
    without.
    """
    turn = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
    asked = []

    async def embed(text):
        asked.append(text)
        await asyncio.sleep(5)
        return [1.0]

    async def main(store):
        chain = cx.chain(cx.begin(store), cx.finalize(store, generate_embedding=embed))
        task = asyncio.create_task(run(from_stream(lambda: ["It is"], turn=turn).pipe(chain)))
        await asyncio.sleep(1)
        assert not task.done()

    async def found():
        async with SqliteBackend(tmp_path / "memory.db", clock=wall) as store:
            return [row["content"] for row in await store.query("memories:list", {"memorySpaceId": "space"})]

    store = SqliteBackend(tmp_path / "memory.db", clock=wall)
    run_virtual(main(store))
    run_virtual(store.close())
    assert asked[0] == "What is it?"
    assert run_virtual(found()) == ["It is", "What is it?"]
