"""`result`: the outcome of the exchange, when the stream has completed."""

from __future__ import annotations

import pytest
from reactivex import operators as ops

from cortex_rx import operators as cx
from cortex_rx.engine import run, stream
from cortex_rx.errors import EmptyAnswer, NotStored, StoreUnavailable
from cortex_rx.pipeline.default_chain import default_chain


def test_it_is_what_was_stored(lab):
    async def main():
        source = lab.source(*[item for text in ("Grüß ", "dich, ", "Ada 🎉") for item in (0.4, text)])
        result = await run(source.pipe(default_chain(lab.store), cx.result()))
        return result, await lab.ask("conversations:get", conversationId="c-1"), await lab.memories()

    result, conversation, rows = lab.run(main)
    assert result.full_response == "Grüß dich, Ada 🎉"
    assert [memory.memory_id for memory in result.memories] == [row["memoryId"] for row in rows]
    assert [memory.content for memory in result.memories] == ["What is it?", "Grüß dich, Ada 🎉"]
    assert result.conversation.conversation_id == "c-1"
    assert result.conversation.message_ids == tuple(message["id"] for message in conversation["messages"])
    assert (result.stream_id, result.finish_reason, result.stored_before) == ("stream-1", "stop", False)
    assert (result.stream_metrics.total_chunks, result.stream_metrics.first_chunk_latency) == (3, 400)
    assert result.stream_metrics.partial_updates == len(result.progressive_processing.partial_storage_history) > 0
    assert result.errors is None


def test_it_comes_when_all_is_stored_and_once(lab, snapshot):
    lab.store.slow("finalize", 1.0)

    async def main():
        async with stream(
            lab.source("a", 0.5, "b").pipe(
                lab.trace.tap("source"), default_chain(lab.store), cx.result(), lab.trace.tap("out")
            )
        ) as results:
            return [result async for result in results]

    (result,) = lab.run(main, thorough=True)
    assert result.full_response == "ab"
    assert lab.trace.times("out") == [pytest.approx(1.5)] * 2
    lab.trace._label = lambda value: value if isinstance(value, str) else f"{type(value).__name__}"
    assert lab.drawn() == snapshot


def test_problems_that_did_not_end_it_are_in_it(lab):
    lab.store.fail("append", StoreUnavailable("away"))

    async def main():
        source = lab.source(*[item for _ in range(10) for item in (0.2, "x")])
        return await run(source.pipe(default_chain(lab.store), cx.result()))

    (error,) = lab.run(main).errors
    assert (error.code, error.phase, error.recoverable) == ("STORE_UNAVAILABLE", "storage", True)


@pytest.mark.parametrize("error", [ConnectionError("gone"), EmptyAnswer("x")], ids=repr)
def test_it_fails_with_what_the_stream_failed_with(lab, error):
    async def main():
        chain = default_chain(lab.store).without("recover")
        with pytest.raises(type(error)) as caught:
            await run(lab.source("a", error).pipe(chain, cx.result()))
        return caught.value

    assert lab.run(main) is error


@pytest.mark.parametrize("steps", [("measure",), ("begin", "measure")])
def test_without_a_step_that_stores_it_says_so(lab, steps):
    """The chain was completed, but nothing was remembered: the error carries all the text."""

    async def main():
        chain = cx.chain(*[step for step in default_chain(lab.store) if step.name in steps])
        with pytest.raises(NotStored, match="no step that stores it") as caught:
            await run(lab.source("It ", "is.").pipe(chain, cx.result()))
        return caught.value

    assert lab.run(main).text == "It is."


def test_every_subscription_begins_anew(lab):
    async def main():
        source = lab.source("It is.")
        pipeline = source.pipe(default_chain(lab.store), cx.result())
        return [(await run(pipeline)).full_response for _ in range(2)]

    assert lab.run(main) == ["It is.", "It is."], "not the one text behind the other"


def test_a_stock_operator_may_follow(lab):
    async def main():
        pipeline = lab.source("It is.").pipe(default_chain(lab.store), cx.result(), ops.map(lambda r: r.full_response))
        return await run(pipeline)

    assert lab.run(main) == "It is."
