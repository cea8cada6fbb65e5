"""`persist_partial`: the answer is durable while it streams, tokens do not wait, and each character is sent once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from helpers.operator_chains import script, sent, storing, whole

from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.chain import step
from cortex_rx.engine import FlowScheduler, stream
from cortex_rx.errors import (
    ChainOrderError,
    Diverged,
    InvalidArgument,
    StoreUnavailable,
)
from cortex_rx.events import (
    Adapted,
    Begun,
    Custom,
    Delta,
    Ended,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
    Rewound,
)

# --- tokens do not wait -----------------------------------------------------------------------------------------------


def test_no_delta_waits_for_a_store_that_takes_200_ms_a_write(lab):
    lab.store.slow("append", 0.2)

    async def main():
        return await lab.play(lab.source(*script(400, 0.013)), storing(lab.store, 0), traced=False), await lab.partial()

    outcome, partial = lab.run(main)
    assert outcome.times(Delta) == lab.model.gave, "to the instant"
    assert len(lab.store.of("append")) > 20
    assert partial == outcome.text


def test_one_write_is_in_flight_and_what_comes_meanwhile_is_in_the_next(lab, snapshot):
    lab.store.slow("append", 0.2)

    async def main():
        await lab.play(lab.source(*[item for text in "abcdefg" for item in (0.1, text)]), storing(lab.store, 0))

    lab.run(main, thorough=True)
    assert lab.store.most_in_flight == 1
    assert sent(lab.store) == [(0, "a"), (1, "bc"), (3, "de"), (5, "fg")]
    assert lab.drawn() == snapshot


def test_writes_are_paced_by_the_interval(lab):
    async def main():
        await asyncio.sleep(50)
        return await lab.play(lab.source(*script(300, 0.02)), storing(lab.store, 500), traced=False)

    outcome = lab.run(main)
    starts = [call.started for call in lab.store.of("append")]
    assert len(starts) in (12, 13, 14), "6 s of stream, a write every half second, and the tail"
    assert all(later - before >= 0.5 - 1e-6 for before, later in zip(starts[:-1], starts[1:-1], strict=False))
    since = [at - 50 for at in outcome.times(PartialStored)]
    assert [event.at for event in outcome.of(PartialStored)] == pytest.approx(since), "seconds since `Opened`"


def test_a_partial_says_how_far_it_is_durable(lab):
    found = []

    def watch(event):
        if isinstance(event, PartialStored):
            row = lab.in_the_file("streams:get", streamId="stream-1")
            found.append((event.offset, event.index, row["length"]))

    async def main():
        await lab.play(lab.source(*script(60, 0.02)), storing(lab.store, 250), watch=watch, traced=False)

    lab.run(main)
    assert len(found) > 4
    length = [len("".join(f"word {number} " for number in range(index))) for index in range(61)]
    for offset, index, stored in found:
        assert offset == stored == length[index]
    assert found[-1][1] == 60


def test_the_order_of_everything_else_is_kept(lab):
    a, b, c = lab.deltas("a", "b", "c")
    mine = [
        lab.opened,
        Begun("m", 1),
        a,
        Custom("tool_calls", 1),
        b,
        Custom("citation", 2),
        c,
        lab.ended("abc", deltas=3),
    ]

    async def main():
        async with SqliteBackend(lab.path) as direct:  # so that the hand-made `Begun` is true
            await direct.mutation("streams:begin", {"streamId": "stream-1"} | lab.turn.arguments())
        return await lab.play(lab.events(*mine), cx.persist_partial(lab.store))

    outcome = lab.run(main)
    assert [event for event in outcome.events if not isinstance(event, PartialStored)] == mine
    assert all(out is came for out, came in zip(outcome.events, mine, strict=False)), "themselves, not copies"
    assert outcome.kinds[-1] == "PartialStored"


# --- what is written --------------------------------------------------------------------------------------------------

TEXTS = {
    "ascii": "The quick brown fox. ",
    "chinese": "你好，世界。",
    "emoji": "👩‍👩‍👧 done 🎉 ",
    "mixed": "naïve café – 日本 🎉\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("latency", [0.0, 0.2])
def test_each_character_is_sent_once(lab, text, latency):
    lab.store.slow("append", latency)

    async def main():
        outcome = await lab.play(lab.source(*script(500, 0.01, text)), whole(lab.store), traced=False)
        return outcome, (await lab.memories())[-1]["content"]

    outcome, content = lab.run(main)
    written = sum(len(part.encode()) for _, part in sent(lab.store))
    answer = len(outcome.text.encode())
    assert written <= 1.05 * answer + 64 * len(sent(lab.store))
    at = 0  # more exactly: the pieces follow one another without overlap
    for start, part in sent(lab.store):
        assert start == at
        at += len(part)
    (last,) = lab.store.of("finalize")
    assert (last.args["start"], last.args["text"], last.args["length"]) == (at, "", len(outcome.text))
    assert "".join(part for _, part in sent(lab.store)) == outcome.text == content


def test_a_million_characters_cost_what_they_weigh(lab):
    """The number of writes follows the time, not the deltas, and no write repeats what another wrote."""

    async def main():
        return await lab.play(lab.source(*script(2000, 0.005, "x" * 500)), storing(lab.store), traced=False)

    outcome = lab.run(main)
    assert sum(len(part) for _, part in sent(lab.store)) == len(outcome.text) > 1_000_000
    assert len(sent(lab.store)) <= 22


# --- the end ----------------------------------------------------------------------------------------------------------


def test_the_tail_is_written_at_the_end(lab):
    async def main():
        outcome = await lab.play(lab.source("a", 0.1, "b", 0.1, "c"), storing(lab.store, 5000))
        return outcome, await lab.partial()

    outcome, partial = lab.run(main)
    assert partial == "abc"
    assert outcome.kinds[-2:] == ["Ended", "PartialStored"]
    assert outcome.ended_at == pytest.approx(0.2), "the end does not wait for the interval"


def test_the_tail_is_written_on_an_error_and_the_error_passes_on(lab):
    lab.store.slow("append", 0.3)
    gone = ConnectionError("the provider hung up")

    async def main():
        outcome = await lab.play(lab.source("a", 0.1, "b", 0.1, gone), whole(lab.store, 5000))
        return outcome, await lab.partial(), await lab.contents(), await lab.stream()

    outcome, partial, memories, found = lab.run(main)
    assert outcome.error is gone
    assert partial == "ab"
    assert outcome.kinds[-1] == "PartialStored"
    assert (memories, found["state"]) == ([], "open"), "it was not finalised"


@pytest.mark.parametrize("gaps", [[], [0.05], [0.05, 0.05, 0.05]], ids=["once", "twice", "four times"])
@pytest.mark.parametrize("show", ["at once", "durable"])
def test_the_tail_is_written_on_cancellation(lab, gaps, show):
    """In flight is a write of 0.4 s; what came meanwhile is written too, however often one cancels."""
    lab.store.slow("append", 0.4)

    async def main():
        outcome = lab.Outcome()
        chain = whole(lab.store, 0, show=show)
        task = asyncio.create_task(lab.play(lab.source(*script(1000, 0.01)), chain, into=outcome, traced=False))
        await asyncio.sleep(1.005)
        for gap in [*gaps, 0]:
            task.cancel()
            await asyncio.sleep(gap)
        await asyncio.wait({task})
        assert task.cancelled()
        return outcome, await lab.partial(), asyncio.get_running_loop().time()

    outcome, partial, ended = lab.run(main)
    assert outcome.text
    if show == "at once":
        assert partial == outcome.text
    else:
        assert partial.startswith(outcome.text)
    assert ended <= 1.005 + 0.8 + 0.01
    assert lab.model.closed == 1


def test_the_tail_is_written_when_the_reader_leaves(lab):
    async def main():
        async with stream(lab.source(*script(100, 0.01)).pipe(storing(lab.store, 5000))) as events:
            read = ""
            async for event in events:
                if isinstance(event, Delta):
                    read += event.text
                    if event.index == 20:
                        break
        return read, await lab.partial()

    read, partial = lab.run(main)
    assert partial.startswith(read)
    assert len(partial) - len(read) < 32 * 9, "what was ahead of the reader is there too"


def test_what_cannot_be_written_at_a_cancellation_is_logged_and_kept(lab, caplog):
    lab.store.down("append", since=1.0)
    flows = []

    async def main():
        async with FlowScheduler() as flow:
            flows.append(flow)
            source = lab.source(*script(300, 0.01)).pipe(storing(lab.store))
            flow.subscribe(source, _Deaf())
            await asyncio.sleep(2)
        return asyncio.get_running_loop().time()

    assert 8.0 <= lab.run(main) <= 8.01
    (error,) = flows[0].flush_errors
    assert isinstance(error, StoreUnavailable)
    assert "a flush failed after the stream was stopped: StoreUnavailable" in caplog.text
    assert "word" not in caplog.text, "no text of users in the log"


class _Deaf:
    def on_next(self, value):
        pass

    def on_error(self, error):
        raise error

    def on_completed(self):
        pass


# --- order, attempts, the store that begins late ----------------------------------------------------------------------


@pytest.mark.parametrize("show", ["at once", "durable"])
def test_in_a_plain_pipe_without_begin_it_is_found_out_at_run_time(lab, show):
    """A stock operator hides what a source declares, so that only the run can tell."""

    async def main():
        return await lab.play(lab.source("a"), cx.persist_partial(lab.store, show=show))

    outcome = lab.run(main)
    assert type(outcome.error) is ChainOrderError
    assert "it belongs after begin(...)" in str(outcome.error)
    assert lab.store.calls == []


def test_in_a_chain_it_is_refused_when_it_is_applied(lab):
    with pytest.raises(ChainOrderError, match="persist_partial needs Begun, which nothing before it emits: put begin"):
        cx.chain(cx.persist_partial(lab.store))(lab.source("a"))
    with pytest.raises(ChainOrderError, match="persist_partial belongs after begin"):
        cx.chain(cx.persist_partial(lab.store), cx.begin(lab.store))(lab.source("a"))
    shout = step("shout", lambda source: source, rewrites=True)
    with pytest.raises(ChainOrderError, match="shout rewrites the text, so it belongs before persist_partial"):
        cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store), shout)(lab.source("a"))
    lab.run(lab.stream)


@pytest.mark.parametrize("show", ["at once", "durable"])
def test_a_new_attempt_begins_the_text_anew(lab, show):
    first = lab.deltas("Fir", "st")
    second = lab.deltas("Sec", "ond", "!", attempt=1)

    async def main():
        source = lab.events(lab.opened, 0.1, *first, *second[:2], 1.0, second[2], lab.ended("Second!", deltas=3))
        outcome = await lab.play(source, whole(lab.store, 100, show=show))
        return outcome, await lab.contents()

    outcome, memories = lab.run(main)
    assert [(call.args["attempt"], call.args["start"], call.args["text"]) for call in lab.store.of("append")][:2] == [
        (0, 0, "First"),
        (1, 0, "Second"),
    ]
    assert {(event.attempt, event.offset) for event in outcome.of(PartialStored)} >= {(0, 5), (1, 6)}
    assert outcome.of(Delta) == [*first, *second]
    assert outcome.error is None
    assert memories == [("user", "What is it?"), ("agent", "Second!")]


@pytest.mark.parametrize("show", ["at once", "durable"])
def test_a_new_attempt_before_the_store_could_begin(lab, show):
    lab.store.down("begin", until=5.0)

    async def main():
        first, second = lab.deltas("First"), lab.deltas("Second", attempt=1)
        source = lab.events(lab.opened, 3.0, *first, 1.0, *second, 3.0, lab.ended("Second"))
        return await lab.play(source, whole(lab.store, 100, show=show)), await lab.contents()

    outcome, memories = lab.run(main)
    assert outcome.error is None
    assert memories == [("user", "What is it?"), ("agent", "Second")]


def test_a_stream_that_was_taken_over_writes_under_the_attempt_of_the_store(lab):
    """The process died in the middle. The text of the next one begins anew, and again when its own attempt rises."""

    async def main():
        async with SqliteBackend(lab.path) as dead:
            await dead.mutation("streams:begin", {"streamId": "stream-1"} | lab.turn.arguments())
        first, second = lab.deltas("First"), lab.deltas("Second", attempt=1)
        source = lab.events(lab.opened, 0.1, *first, 1.0, *second, 1.0, lab.ended("Second"))
        return await lab.play(source, storing(lab.store)), await lab.partial()

    outcome, partial = lab.run(main)
    assert (outcome.error, outcome.codes, partial) == (None, [], "Second")
    assert [call.args["attempt"] for call in lab.store.of("append")] == [1, 2]
    assert [event.attempt for event in outcome.of(PartialStored)] == [0, 1], "as the deltas say it"


def test_what_came_before_the_store_could_begin_is_written_when_it_can(lab):
    lab.store.down("begin", until=4.0)

    async def main():
        return await lab.play(lab.source(*script(100, 0.1)), storing(lab.store), traced=False), await lab.partial()

    outcome, partial = lab.run(main)
    first = lab.store.of("append")[0]
    assert first.started == pytest.approx(outcome.times(Begun)[0], abs=0.51)
    assert first.args["start"] == 0
    assert partial == outcome.text


# --- declared ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"interval": 500}, "interval: got 500; accepted: a timedelta of at least zero"),
        ({"interval": timedelta(seconds=-1)}, "interval: "),
        ({"max_pending": 0}, "max_pending: got 0; accepted: a whole number, 1 or more"),
        ({"show": "later"}, "show: got 'later'; accepted: 'at once' or 'durable'"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_declared(lab, wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        cx.persist_partial(lab.store, **wrong)


def test_it_says_what_it_needs_and_emits(lab):
    step = cx.persist_partial(lab.store)
    assert (step.name, step.needs, step.emits) == ("persist_partial", {Begun}, {PartialStored, Problem})
    assert step.reads == {Opened, Adapted, Replayed, Resumed, Rewound, Delta, Ended, Problem}
    assert step.captures_text and not step.rewrites


def test_remembered_and_ended_are_as_without_it(make_lab):
    """It changes nothing of what the exchange comes to."""
    without, with_it = make_lab(), make_lab()

    def result(lab, chain):
        async def main():
            outcome = await lab.play(lab.source(*script(50, 0.1)), chain(lab.store), traced=False)
            remembered = outcome.one(Remembered)
            return outcome.one(Ended), remembered.conversation_id, [memory.content for memory in remembered.memories]

        return lab.run(main)

    assert result(with_it, whole) == result(without, lambda store: cx.chain(cx.begin(store), cx.finalize(store)))


# --- a text that is cut back ------------------------------------------------------------------------------------------


def rewinding(lab, *items):
    async def main():
        source = lab.events(lab.opened, Delta("abcd", 0, 0, 0, 0.0), *items)
        chain = cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store, timedelta(seconds=1)))
        return await lab.play(source, cx.chain(chain, cx.finalize(lab.store))), await lab.contents()

    return lab.run(main)


def test_what_is_cut_off_and_not_yet_sent_is_not_stored(lab):
    outcome, contents = rewinding(lab, Rewound(0, 2), Delta("X", 1, 2, 0, 0.0), Ended("stop", 3, 2))
    assert outcome.error is None and contents[-1] == ("agent", "abX")


@pytest.mark.parametrize(("text", "error"), [("X", Diverged), ("cdX", None)])
def test_a_cut_below_what_is_stored_is_no_mixture(lab, text, error):
    more = Delta(text, 1, 2, 0, 5.0)
    outcome, contents = rewinding(lab, 5.0, Rewound(0, 2), more, Ended("stop", 2 + len(text), 2))
    assert type(outcome.error) is (error or type(None))
    assert contents[-1:] == ([] if error else [("agent", "abcdX")])
