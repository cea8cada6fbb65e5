"""`adapt`: it says how the text arrives, and the steps downstream follow; it stands before them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from helpers.lanes import examples
from helpers.memory_graph import MemoryGraph
from helpers.operator_chains import MS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.chain import step
from cortex_rx.engine import run
from cortex_rx.errors import ChainOrderError, InvalidArgument, StoreUnavailable
from cortex_rx.events import (
    Adapted,
    Delta,
    FactsExtracted,
    GraphSynced,
    Opened,
    PartialStored,
    Problem,
    ProcessingStrategy,
    Resumed,
    StreamEvent,
)
from cortex_rx.pipeline.default_chain import default_chain

WRITE = 0.02  # seconds that a write takes


def even(rate, seconds, text="word "):
    return [1 / rate, text] * round(rate * seconds)


def bursts(size, gap, silence, times):
    return ([silence, "word "] + [gap, "word "] * (size - 1)) * times


def chain(store, *, adapts=True, interval=500, stretch=2.0, **persist):
    steps = [cx.begin(store), *([cx.adapt(stretch=stretch)] if adapts else [])]
    return cx.chain(*steps, cx.persist_partial(store, interval * MS, **persist))


def played(lab, script, **how):
    lab.store.slow("append", WRITE)

    async def main():
        return await lab.play(lab.source(*script), chain(lab.store, **how), traced=False)

    return lab.run(main)


def ages(outcome):
    """How long each delta was shown and not durable."""
    found, stored = [], [(at, event.offset) for at, event in outcome.seen if isinstance(event, PartialStored)]
    place = 0
    for at, event in outcome.seen:
        if isinstance(event, Delta):
            while stored[place][1] < event.offset + len(event.text):
                place += 1
            found.append(stored[place][0] - at)
    return found


def starts(lab):
    return [call.started for call in lab.store.of("append")]


# --- what it says -----------------------------------------------------------------------------------------------------


def test_it_says_the_kind_after_the_delta_that_shows_it(lab):
    outcome = played(lab, [3.0, *even(50, 8), *even(1, 16)])
    first, second = outcome.of(Adapted)
    assert (first.kind, second.kind) == ("fast", "slow")
    assert first.strategy == ProcessingStrategy(interval=2.0, threshold=2.0)
    assert second.strategy == ProcessingStrategy(interval=0.2, threshold=0.5)
    for event, at in zip((first, second), outcome.times(Adapted), strict=True):
        place = outcome.events.index(event)
        assert isinstance(outcome.events[place - 1], Delta), "and nothing between"
        assert event.at == pytest.approx(at), "seconds since `Opened`"
    assert outcome.times(Delta) == lab.model.gave, "no delta waits"


def test_a_steady_stream_has_no_adapted(lab):
    assert played(lab, even(6, 20)).of(Adapted) == []


def test_what_stands_behind_it_may_end_the_stream_with_that_very_delta(lab):
    async def main():
        source = lab.source(*even(50, 8))
        return await lab.play(source, cx.adapt(), cx.limit(5 * 133, then="end"), traced=False)

    outcome = lab.run(main)
    assert outcome.error is None
    assert len(outcome.of(Adapted)) <= 1
    assert outcome.kinds[-1] == "Ended"


def test_each_subscription_starts_fresh(lab):
    async def main():
        operator = cx.adapt()
        return [len((await lab.play(lab.source(*even(50, 4)), operator, traced=False)).of(Adapted)) for _ in "ab"]

    assert lab.run(main) == [1, 1]


def test_the_wait_for_a_source_that_is_opened_again_is_left_out(lab):
    """Without that this fast stream were bursty."""

    def script(*between):
        parts = [lab.opened]
        for number in range(4):
            deltas = lab.deltas(*["a"] * 40, attempt=0, index=40 * number, offset=40 * number)
            parts += [part for delta in deltas for part in (0.05, delta)]
            parts += [3.0, *between]
        return parts

    async def main(*between):
        return [event.kind for event in (await lab.play(lab.events(*script(*between)), cx.adapt())).of(Adapted)]

    assert lab.run(lambda: main()) == ["bursty"]
    assert lab.run(lambda: main(Resumed(1, 0, 40, "gone"))) == ["fast"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"window": 5}, "window: got 5; accepted: a timedelta above zero"),
        ({"window": timedelta(seconds=0.5)}, "window: .*accepted: a timedelta of 1 to 60 s"),
        ({"window": timedelta(minutes=2)}, "window: "),
        ({"stretch": 0.9}, "stretch: got 0.9; accepted: a factor, 1 to 100"),
        ({"stretch": 101}, "stretch: got 101"),
        ({"stretch": True}, "stretch: got True; accepted: a number"),
        ({"stretch": float("nan")}, "stretch: got nan"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_declared(wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        cx.adapt(**wrong)


# --- where it stands --------------------------------------------------------------------------------------------------


def test_behind_a_step_that_it_steers_it_is_refused(lab):
    store = lab.store
    wrong = cx.chain(cx.begin(store), cx.persist_partial(store), cx.adapt())
    with pytest.raises(ChainOrderError, match="adapt steers persist_partial by Adapted, so it belongs before persist_"):
        wrong(lab.source("a"))
    with pytest.raises(ChainOrderError, match="belongs before persist_partial"):
        lab.source("a").pipe(cx.begin(store), cx.persist_partial(store), cx.adapt())
    with pytest.raises(ChainOrderError, match="adapt steers sync_graph by Adapted"):
        synced = cx.sync_graph(MemoryGraph(), store)
        cx.chain(cx.begin(store), cx.finalize(store), synced, cx.adapt())(lab.source("a"))
    chain(store)(lab.source("a"))
    lab.run(lab.stream)


def test_an_event_of_a_user_steers_too(lab):
    class Slowed(StreamEvent):
        steers = True

    def same(source):
        return source

    emits, reads = step("emits", same, emits=[Slowed]), step("reads", same, reads=[Slowed])
    cx.chain(emits, reads)(lab.source("a"))
    with pytest.raises(ChainOrderError, match="emits steers reads by Slowed, so it belongs before reads"):
        cx.chain(reads, emits)(lab.source("a"))


def test_the_option_puts_it_behind_begin():
    store = SqliteBackend(":memory:")
    for spelling in ("enable_adaptive_processing", "enableAdaptiveProcessing"):
        names = default_chain(store, {spelling: True}, graph=MemoryGraph(), extract_facts=print).names
        assert names[:4] == ("begin", "adapt", "persist_partial", "extract_facts")
    assert "adapt" not in default_chain(store).names


# --- persist_partial --------------------------------------------------------------------------------------------------


def test_on_a_slow_stream_each_delta_is_written_when_it_comes(lab):
    outcome = played(lab, even(2.5, 20))
    (adapted,) = outcome.times(Adapted)
    after = [age for age, at in zip(ages(outcome), outcome.times(Delta), strict=True) if at > adapted + 0.5]
    assert len(after) > 30 and max(after) == pytest.approx(WRITE)


def test_on_a_fast_stream_a_write_takes_the_stretched_interval(lab):
    outcome = played(lab, even(50, 20), stretch=3)
    (adapted,) = outcome.times(Adapted)
    after = [at for at in starts(lab) if at > adapted + 1.5][:-1]
    assert [round(late - early, 3) for early, late in zip(after, after[1:], strict=False)] == [1.5] * (len(after) - 1)
    assert len(after) > 5


def test_with_a_stretch_of_one_a_fast_stream_is_written_as_without(make_lab):
    one, without = make_lab(), make_lab()
    played(one, even(50, 10), stretch=1), played(without, even(50, 10), adapts=False)
    assert starts(one) == starts(without)


def test_on_a_bursty_stream_a_burst_is_written_when_it_pauses(lab):
    outcome = played(lab, bursts(20, 0.015, 2, 12))
    (adapted,) = outcome.times(Adapted)
    deltas = outcome.times(Delta)
    ends = [at for at, after in zip(deltas, [*deltas[1:], 1e9], strict=True) if after - at > 1 and at > adapted]
    writes = [at for at in starts(lab) if at > adapted + 0.3]
    for end, write in zip(ends[1:-1], writes[-len(ends) + 1 :], strict=False):
        assert 0.1 <= write - end <= 0.151, "one write for a burst, a tenth of a second after it"
    assert len(writes) <= len(ends)


def test_text_that_waits_when_the_kind_changes_is_timed_anew(lab):
    """Its worker would have slept until 10 s. On a slow stream the interval is 2 s, and that has gone by."""
    outcome = played(lab, [*even(2.5, 3.5), *even(2.5, 20)], interval=10_000)
    (adapted,) = outcome.times(Adapted)
    assert starts(lab)[:2] == pytest.approx([adapted, adapted + 2])


def test_a_stalled_store_is_as_without_it(make_lab):
    """The source waits as long, and nothing is lost."""

    def stalled(adapts):
        lab = make_lab()

        async def main():
            go_on = lab.store.stall("append", since=4.0)
            asyncio.get_running_loop().call_later(30.0, go_on.set)
            made = chain(lab.store, adapts=adapts, max_pending=20_000)
            return await lab.play(lab.source(*even(50, 8)), made, traced=False), await lab.partial()

        outcome, partial = lab.run(main)
        assert outcome.error is None and partial == outcome.text
        return outcome.times(Delta)[-1]

    assert stalled(True) == pytest.approx(stalled(False), abs=1.0)


def test_a_store_that_is_away_is_tried_again_as_without_it(lab):
    lab.store.fail("append", *[StoreUnavailable("down")] * 3)
    outcome = played(lab, bursts(20, 0.015, 2, 6))
    assert len(outcome.of(Problem)) == 1 and outcome.error is None
    assert outcome.of(PartialStored)[-1].offset == len(outcome.text)


def test_durable_is_not_paced(make_lab):
    one, without = make_lab(), make_lab()
    for lab, adapts in ((one, True), (without, False)):
        played(lab, even(50, 5), adapts=adapts, show="durable")
    assert starts(one) == starts(without)


gap = st.sampled_from([0.0, 0.005, 0.03, 0.1, 0.17, 0.35, 0.6, 1.0, 2.0])
part = st.tuples(st.lists(gap, min_size=1, max_size=3), st.integers(5, 40)).map(lambda one: one[0] * one[1])


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(part, min_size=1, max_size=5).map(lambda parts: sum(parts, [])),
    st.sampled_from([100, 500, 3000]),
    st.sampled_from([1.0, 2.0, 4.0]),
)
def test_at_a_crash_at_most_the_interval_in_force_and_the_writes_are_lost(make_lab, gaps, interval, stretch):
    """At each instant all text is durable that was shown longer ago than the interval in force since then, the write
    in flight and its own."""
    lab = make_lab()
    outcome = played(lab, [item for gap in gaps for item in (gap, "word ")], interval=interval, stretch=stretch)
    paces = [(0.0, 1.0), *((at, e.strategy.interval) for at, e in outcome.seen if isinstance(e, Adapted))]
    for at, age in zip(outcome.times(Delta), ages(outcome), strict=True):
        before = [factor for since, factor in paces if since <= at][-1:]
        during = [factor for since, factor in paces if at < since <= at + age]
        assert age <= max(before + during) * interval / 1000 + 2 * WRITE + 1e-6


# --- extract_facts and sync_graph -------------------------------------------------------------------------------------

SENTENCE = "This is a sentence of forty characters. "


@pytest.mark.parametrize(("rate", "kind", "length"), [(12, "fast", 800), (6, None, 400), (2.5, "slow", 200)])
def test_the_windows_of_facts_are_longer_or_shorter_and_each_character_is_read_once(lab, rate, kind, length):
    read = []

    async def facts(user_message, text):
        if text:
            read.append(text)
        return [{"fact": f"fact {len(read)}", "factType": "custom", "confidence": 90}]

    async def main():
        made = cx.chain(
            cx.begin(lab.store), cx.adapt(), cx.persist_partial(lab.store), cx.extract_facts(facts, lab.store, 400)
        )
        return await lab.play(lab.source(*even(rate, 60, SENTENCE)), made, traced=False)

    outcome = lab.run(main)
    found = [event for event in outcome.of(FactsExtracted) if event.side == "answer"]
    assert [event.kind for event in outcome.of(Adapted)] == ([kind] if kind else [])
    assert [event.start for event in found] == [0, *(event.stop for event in found[:-1])], "each once, none left out"
    assert found[-1].stop == len(outcome.text)
    assert {event.stop - event.start for event in found[4:-1]} == {length}


@pytest.mark.parametrize(("rate", "factor"), [(20, 2.0), (6, 1.0), (2.5, 0.2)])
def test_the_graph_follows_more_or_less_often(lab, rate, factor):
    async def main():
        made = cx.chain(
            chain(lab.store),
            cx.finalize(lab.store),
            cx.sync_graph(MemoryGraph(), lab.store, progressive=True, interval=timedelta(seconds=5)),
        )
        return await lab.play(lab.source(*even(rate, 60)), made, traced=False)

    outcome = lab.run(main)
    at = [at for at, event in outcome.seen if isinstance(event, GraphSynced) and event.kind == "node-updated"]
    gaps = [late - early for early, late in zip(at[2:], at[3:], strict=False)]
    assert gaps and all(gap == pytest.approx(5 * factor, abs=0.6) for gap in gaps)


def test_the_default_chain_remembers_the_same_with_it(make_lab):
    def memories(options):
        lab = make_lab()

        async def main():
            await run(lab.source(*even(50, 5), *even(1, 10)).pipe(default_chain(lab.store, options), cx.result()))
            return await lab.contents()

        return lab.run(main)

    assert memories({"enable_adaptive_processing": True}) == memories({})


def test_it_says_what_it_needs_and_emits():
    made = cx.adapt()
    assert (made.needs, made.reads, made.emits) == ({Opened}, {Delta, Resumed}, {Adapted})
    assert not made.captures_text and not made.rewrites
