"""`measure`: correct figures at its place in the chain, from bounded state."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import weakref
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cortex_rx import from_stream
from cortex_rx import operators as cx
from cortex_rx.chain import declare
from cortex_rx.engine import run
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import ChainOrderError, InvalidArgument, StoreUnavailable
from cortex_rx.events import (
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    GraphSynced,
    Measured,
    Opened,
    PartialStored,
    Problem,
    Resumed,
)
from cortex_rx.folds.metrics import Meter
from cortex_rx.metering.estimate import estimate, kinds_of
from cortex_rx.metering.prices import Price, Prices
from cortex_rx.metering.tokenizers import tokenizer
from cortex_rx.metering.tokens import TokenCount
from cortex_rx.models.records import ProgressiveFact, StreamMetrics, Usage
from cortex_rx.models.turn import Turn
from cortex_rx.testing import EPOCH, run_virtual

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")


def play(*script, measure=None):
    """The last figures of a source: numbers are pauses, texts become deltas, events are themselves."""

    async def source(_):
        yield Opened(TURN, "stream-1", EPOCH)
        index = offset = 0
        for item in script:
            if isinstance(item, int | float):
                await asyncio.sleep(item)
            elif isinstance(item, str):
                yield Delta(item, index, offset, 0, 0.0)
                index, offset = index + 1, offset + len(item)
            else:
                yield item

    return run_virtual(run(from_async_iterable(source).pipe(measure or cx.measure(), cx.last(Measured)))).metrics


END = Ended("stop", 0, 0)


def test_all_figures_of_a_small_stream():
    metrics = play(2.0, "Hé", 0.5, "llo ", 0.5, "日本", 1.0, END)
    assert metrics == StreamMetrics(
        start_time=EPOCH * 1000,
        first_chunk_latency=2000,
        stream_duration_ms=4000,
        total_chunks=3,
        total_bytes=3 + 4 + 6,
        total_characters=8,
        average_chunk_size=8 / 3,
        chunks_per_second=3 / 4,
        characters_per_second=2,
        inter_chunk_p50=metrics.inter_chunk_p50,
        inter_chunk_p95=metrics.inter_chunk_p95,
        inter_chunk_p99=metrics.inter_chunk_p99,
        inter_chunk_max=500,
        estimated_tokens=metrics.estimated_tokens,
        tokens_from="estimate",
        timeline=metrics.timeline,
    )
    assert metrics.timeline.slot_ms == 15.625
    slots = enumerate(zip(metrics.timeline.chunks, metrics.timeline.characters, strict=True))
    assert [(at, *slot) for at, slot in slots if any(slot)] == [(128, 1, 2), (160, 1, 4), (192, 1, 2)]
    assert metrics.inter_chunk_p50 == pytest.approx(500, rel=0.04)
    assert metrics.inter_chunk_p99 == pytest.approx(500, rel=0.04)


def test_the_first_token_is_timed_from_the_request(lab):
    """Also where `begin` is what it waited for: that is what the user felt."""
    lab.store.slow("begin", 1.5)

    async def main():
        return await lab.play(lab.source(0.5, "a", 0.1, "b"), cx.begin(lab.store), cx.measure())

    metrics = lab.run(main).one(Measured).metrics
    assert metrics.first_chunk_latency == 1500
    assert metrics.start_time == EPOCH * 1000


def test_the_request_is_opened_not_the_subscription():
    async def source(_):
        await asyncio.sleep(7)
        yield Opened(TURN, "stream-1", EPOCH + 7)
        await asyncio.sleep(1)
        yield Delta("a", 0, 0, 0, 1.0)

    metrics = run_virtual(run(from_async_iterable(source).pipe(cx.measure(), cx.last(Measured)))).metrics
    assert metrics.first_chunk_latency == 1000
    assert metrics.start_time == (EPOCH + 7) * 1000


def test_the_duration_ends_with_the_text_not_with_the_storing(lab):
    lab.store.slow("append", 3.0)
    lab.store.slow("finalize", 5.0)

    async def main():
        chain = cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store), cx.finalize(lab.store), cx.measure())
        return await lab.play(lab.source(*[item for _ in range(20) for item in (0.1, "ab")]), chain)

    outcome = lab.run(main)
    metrics = outcome.one(Measured).metrics
    assert metrics.stream_duration_ms == pytest.approx(2000)
    assert metrics.chunks_per_second == pytest.approx(10)
    assert metrics.characters_per_second == pytest.approx(20)
    assert outcome.ended_at > 8
    assert outcome.kinds[-2:] == ["Remembered", "Measured"], "it counts what came after the text too"
    assert metrics.partial_updates == len(outcome.of(PartialStored)) > 0


def test_everything_that_happened_is_counted_by_its_events():
    fact = ProgressiveFact(fact_id="f", extracted_at_chunk=1, confidence=80, fact="x")
    problem = Problem("storage", "X", "x", recoverable=True)
    metrics = play(
        "a", FactsExtracted((fact, fact)), problem, PartialStored(1, 1, 0, 0.0), Custom("x"), "b", problem, problem,
        FactsExtracted((fact,)), Resumed(1, 0, 2, "x"), PartialStored(2, 2, 0, 0.0), "c", END,
    )  # fmt: skip
    assert (metrics.facts_extracted, metrics.partial_updates, metrics.error_count, metrics.retry_count) == (3, 2, 3, 1)
    assert metrics.total_chunks == 3


def test_it_counts_only_what_stands_before_it(lab):
    lab.store.fail("append", StoreUnavailable("away"))

    async def main():
        before, after = cx.measure().named("before"), cx.measure().named("after")
        chain = cx.chain(cx.begin(lab.store), before, cx.persist_partial(lab.store), after)
        return await lab.play(lab.source(*[item for _ in range(20) for item in (0.1, "ab")]), chain)

    first, second = (event.metrics for event in lab.run(main).of(Measured))
    assert (first.partial_updates, first.error_count) == (0, 0)
    assert second.partial_updates > 0
    assert second.error_count == 1


@pytest.mark.parametrize(
    ("usage", "tokens", "source"),
    [
        (None, 20, "estimate"),
        (Usage(input_tokens=3), 20, "estimate"),
        (Usage(output_tokens=7), 7, "provider"),
        (Usage(output_tokens=0), 0, "provider"),
    ],
)
def test_tokens_are_the_providers_where_it_counted_them(usage, tokens, source):
    table = cx.measure(prices={"river": Price(input=1000, output=2000)})
    text = "word " * 19 + "word"
    metrics = play(text, Ended("stop", 99, 1, usage, "river"), measure=table)
    if source == "estimate":
        tokens = estimate(kinds_of(text.encode()))
    assert (metrics.estimated_tokens, metrics.tokens_from) == (tokens, source)
    given = (usage and usage.input_tokens) or 0
    assert metrics.estimated_cost == pytest.approx((given * 1000 + tokens * 2000) / 1e6)
    assert (metrics.model, metrics.prices_from) == ("river", "table")


COUNTED = Usage(1_000, 100, 1_100, 400, 0, 60)


def test_what_the_provider_counted_is_in_the_metrics():
    metrics = play("x" * 99, Ended("stop", 99, 1, COUNTED, "gpt-4o-2024-08-06"))
    given = metrics.input_tokens, metrics.cached_input_tokens, metrics.cache_write_tokens, metrics.reasoning_tokens
    assert given == (1_000, 400, 0, 60)
    assert (metrics.estimated_tokens, metrics.tokens_from, metrics.model) == (100, "provider", "gpt-4o-2024-08-06")


def test_a_model_without_a_known_price_has_no_cost():
    table = {"gpt-4o": Price(1, 1)}
    for model, prices in ((None, table), ("story", table), ("gpt-4o", None), ("story", "genai-prices")):
        metrics = play("x" * 99, Ended("stop", 99, 1, COUNTED, model), measure=cx.measure(prices=prices))
        assert (metrics.estimated_cost, metrics.prices_from) == (None, None)


def test_the_librarys_prices_are_those_by_default(monkeypatch):
    """Also in the first stream, which loads them."""
    monkeypatch.setattr(Prices, "ready", property(lambda self: False))
    end = Ended("stop", 99, 1, COUNTED, "gpt-4o-2024-08-06")
    for measure in (None, cx.measure(every=timedelta(seconds=1))):
        first = play("x" * 99, end, measure=measure)
        assert first.estimated_cost == pytest.approx((600 * 2.5 + 400 * 1.25 + 100 * 10) / 1e6)
        assert first.prices_from == "genai-prices"
    monkeypatch.undo()
    assert play("x" * 99, end) == first, "and when they are loaded"


def test_the_prices_are_loaded_once_on_a_thread():
    """In another process: here they are loaded already."""
    program = """
import asyncio, sys, threading
from cortex_rx import from_stream, operators as cx
from cortex_rx.engine import run
from cortex_rx.events import Measured
from cortex_rx.metering.prices import Prices
from cortex_rx.models.turn import Turn
from cortex_rx.sources.providers import Finish
load, threads = Prices.load, []
Prices.load = lambda self: (threads.append(threading.current_thread()), load(self))
async def measured(model):
    turn = Turn("s", "c", "Q", agent_id="a")
    source = from_stream(["Hi"], turn=turn, provider=lambda item: [item, Finish("stop", None, model)])
    return (await run(source.pipe(cx.measure(), cx.last(Measured)))).metrics
async def main():
    assert "genai_prices" not in sys.modules
    assert (await measured("gpt-4o")).estimated_cost > 0 and (await measured("gpt-4o")).estimated_cost > 0
    assert (await measured(None)).estimated_cost is None
    assert len(threads) == 1 and threads[0] is not threading.main_thread(), threads
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_tokenizer_of_the_model_counts_where_the_provider_did_not():
    texts = ["Where ", "is m", "y par", "cel? "] * 900
    whole = tokenizer("o200k_base")("".join(texts))
    for usage in (None, Usage(input_tokens=5)):
        metrics = play(*texts, Ended("stop", 0, 3600, usage, "gpt-4o"))
        assert (metrics.estimated_tokens, metrics.tokens_from) == (whole, "tokenizer")
    assert play(*texts, Ended("stop", 0, 3600)).tokens_from == "estimate", "the model is not known"
    named = play(*texts, Ended("stop", 0, 3600), measure=cx.measure(tokens="o200k_base"))
    assert (named.estimated_tokens, named.tokens_from) == (whole, "tokenizer")
    anew = [Delta("Hello", 0, 0, 1, 0.0), Ended("stop", 5, 1, None, "gpt-4o")]
    assert play(*texts, *anew).estimated_tokens == 1
    assert play(*texts, Resumed(1, 1, 0, "x"), *anew).estimated_tokens == 1, "of the answer, not of what is thrown away"


def test_a_function_that_counts_and_one_that_fails(lab):
    by_words = cx.measure(tokens=lambda text: len(text.split()))
    assert play("one two ", "three", END, measure=by_words).estimated_tokens == 3

    async def main():
        return await lab.play(lab.source(0.1, "one two"), cx.measure(tokens=lambda text: 1 // 0))

    outcome = lab.run(main)
    assert outcome.error is None and outcome.kinds[-2:] == ["Problem", "Measured"]
    assert (outcome.one(Problem).phase, outcome.one(Problem).code) == ("finalization", "CALLBACK_ERROR")
    assert outcome.one(Measured).metrics.tokens_from == "estimate"


def test_a_tokenizer_that_cannot_be_used_is_an_estimate(monkeypatch, caplog):
    def broken(encoding):
        raise OSError("no library")

    monkeypatch.setattr("cortex_rx.metering.tokens.tokenizer", broken)
    assert play("Hello ", Ended("stop", 6, 1, None, "gpt-4o")).tokens_from == "estimate"
    assert "tokenizer failed with OSError" in caplog.text


def test_the_graph_and_the_reading_for_facts_are_counted():
    metrics = play(
        "a", GraphSynced("node-created", 0.1, "m", 2), FactsExtracted(()), GraphSynced("drained", 0.2, None, 9),
        GraphSynced("finalized", 0.3, "m", 5), END,
    )  # fmt: skip
    assert (metrics.graph_syncs, metrics.graph_records) == (2, 7)
    assert (metrics.fact_windows, metrics.facts_extracted) == (1, 0)


@pytest.mark.parametrize(
    "wrong", [{"prices": -1}, {"prices": "x"}, {"prices": {"m": 2}}, {"tokens": "x"}, {"tokens": None}, {"every": 1}]
)
def test_what_is_wrong_is_said_when_it_is_declared(wrong):
    with pytest.raises(InvalidArgument, match=rf"{next(iter(wrong))}(\['m'\])?: got"):
        cx.measure(**wrong)


# --- percentiles ------------------------------------------------------------------------------------------------------

GAPS = st.one_of(
    st.floats(0.001, 0.05),
    st.floats(0.000_002, 600.0),
    st.integers(0, 2_000).map(lambda ms: ms / 1000),
    st.just(0.0),
)


@given(st.lists(GAPS, min_size=1, max_size=300))
@example([0.01] * 94 + [1.0] * 6)
@example([0.01] * 95 + [1.0] * 5)
@example([0.01] * 99 + [1.0])
@example([0.5])
@example([0.0, 0.0, 2e-6])
def test_percentiles_are_exact_to_4_percent(gaps):
    """Against the nearest rank of all the gaps, sorted."""
    meter = a_meter()
    at = 1000.0
    times = [at]
    for gap in gaps:
        at += gap
        times.append(at)
    for number, time in enumerate(times):
        meter.times.append(time)
        meter.deltas.append(Delta("x", number, number, 0, time))
        if number % 100 == 99:
            meter.fold()
    meter.fold()
    exact = sorted(after - before for before, after in zip(times, times[1:], strict=False))
    for percent in (50, 95, 99):
        rank = -(-percent * len(exact) // 100)  # whole numbers: no rounding
        truth = exact[rank - 1] * 1000
        assert meter.percentile(percent / 100) == pytest.approx(truth, rel=0.04, abs=0.001), percent


def a_meter():
    class Clock:
        time = staticmethod(lambda: 1000.0)
        wall = staticmethod(lambda: EPOCH)

    return Meter(Clock(), Prices(None), TokenCount(None))


def test_percentiles_of_a_whole_stream():
    gaps = [0.02] * 90 + [0.2] * 8 + [3.0] * 2
    metrics = play("x", *[item for gap in gaps for item in (gap, "x")], END)
    assert metrics.inter_chunk_p50 == pytest.approx(20, rel=0.04)
    assert metrics.inter_chunk_p95 == pytest.approx(200, rel=0.04)
    assert metrics.inter_chunk_p99 == pytest.approx(3000, rel=0.04)


def test_the_gap_before_a_long_delta_counts_too():
    """Each of these is counted at once, not with others."""
    long = "x" * 3000
    metrics = play(long, 1.0, long, 1.0, long, END)
    assert metrics.inter_chunk_p50 == pytest.approx(1000, rel=0.04)
    assert metrics.total_characters == 9000


def test_deltas_that_come_at_once_have_gaps_of_zero():
    metrics = play("a", "b", "c", END)
    assert (metrics.inter_chunk_p50, metrics.inter_chunk_p99, metrics.chunks_per_second) == (0, 0, 0)


# --- counts -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), max_size=400))
def test_bytes_and_characters_are_true_however_the_text_is_cut(texts):
    metrics = play(*texts, END)
    whole = "".join(texts)
    assert (metrics.total_chunks, metrics.total_characters, metrics.total_bytes) == (
        len(texts), len(whole), len(whole.encode())
    )  # fmt: skip
    assert metrics.average_chunk_size == (len(whole) / len(texts) if texts else 0)
    assert (metrics.estimated_tokens, metrics.tokens_from) == (estimate(kinds_of(whole.encode())), "estimate")


@pytest.mark.parametrize("before", [1, 511, 512, 513, 1200])
def test_sizes_are_those_of_the_text_that_counts(before):
    """After a new attempt they are the new text's; what the stream took stays."""
    first = [Delta("xyz", number, 3 * number, 0, 0.0) for number in range(before)]
    second = [Delta("é", number, number, 1, 0.0) for number in range(5)]
    metrics = play(*first, 1.0, Resumed(1, 1, 0, "x"), *second, END)
    assert (metrics.total_chunks, metrics.total_characters, metrics.total_bytes) == (5, 5, 10)
    assert (metrics.retry_count, metrics.first_chunk_latency, metrics.stream_duration_ms) == (1, 0, 1000)


# --- ends -------------------------------------------------------------------------------------------------------------


def test_it_measures_a_stream_that_fails(lab):
    async def main():
        return await lab.play(lab.source(0.5, "a", 0.5, "b", 2.0, ConnectionError("gone")), cx.measure())

    outcome = lab.run(main)
    assert isinstance(outcome.error, ConnectionError)
    metrics = outcome.one(Measured).metrics
    assert outcome.kinds[-1] == "Measured"
    assert (metrics.total_chunks, metrics.error_count) == (2, 1), "the failure of the stream counts"
    assert metrics.stream_duration_ms == 1000, "up to the last text"


@pytest.mark.parametrize("end", [[], [END]], ids=["cut off", "ended"])
def test_it_measures_an_empty_stream(end):
    metrics = play(3.0, *end)
    assert metrics.total_chunks == metrics.total_bytes == metrics.total_characters == metrics.estimated_tokens == 0
    assert metrics.first_chunk_latency is metrics.inter_chunk_p50 is metrics.inter_chunk_p99 is None
    assert (metrics.average_chunk_size, metrics.chunks_per_second, metrics.stream_duration_ms) == (0, 0, 3000)


def test_one_delta_has_no_gaps():
    metrics = play(1.0, "a", END)
    assert (metrics.inter_chunk_p50, metrics.first_chunk_latency) == (None, 1000)


# --- every ------------------------------------------------------------------------------------------------------------


def test_every(lab, snapshot):
    async def main():
        source = lab.source(*[item for text in "abcdef" for item in (0.4, text)], 3.0)
        return await lab.play(source, cx.measure(every=timedelta(seconds=1)))

    outcome = lab.run(main, thorough=True)
    assert outcome.times(Measured) == pytest.approx([1.2, 2.4, 5.4]), (
        "when a delta passes after a second, and at the end"
    )
    assert [event.metrics.total_chunks for event in outcome.of(Measured)] == [3, 6, 6]
    assert lab.drawn() == snapshot


def test_without_every_it_is_measured_once(lab):
    async def main():
        return await lab.play(lab.source(*[item for _ in range(50) for item in (1.0, "x")]), cx.measure())

    assert len(lab.run(main).of(Measured)) == 1


# --- cost -------------------------------------------------------------------------------------------------------------


def test_what_it_holds_does_not_grow():
    """Counted in the meter itself, over a stream of a hundred thousand deltas with gaps from microseconds to
    minutes.
    """
    meter = a_meter()
    at, sizes = 1000.0, []
    for number in range(100_000):
        at += 1e-5 * 1.001 ** (number % 15_000)
        meter.times.append(at)
        meter.deltas.append(Delta("word ", number, 5 * number, 0, at))
        if len(meter.times) == 512:
            meter.fold()
        if number % 20_000 == 19_999:
            held = [value for value in vars(meter).values() if isinstance(value, list | dict)]
            sizes.append(sum(map(len, held)))
    assert max(sizes) <= 2 * 512 + math.log(600 / 1e-6) / math.log(1.016) + 1
    assert max(map(sys.getsizeof, (value for value in vars(meter).values() if isinstance(value, Counter)))) < 50_000


def test_it_holds_few_texts():
    """Of 3,000 short texts at most those are held that were not counted yet."""

    class Text(str):
        pass

    texts, held = [], []

    async def source(_):
        yield Opened(TURN, "stream-1", EPOCH)
        for number in range(3000):
            text = Text("x")
            texts.append(weakref.ref(text))
            yield Delta(text, number, number, 0, 0.0)
            del text
            if number % 700 == 699:
                await asyncio.sleep(0.1)
                held.append(sum(reference() is not None for reference in texts))

    run_virtual(run(from_async_iterable(source).pipe(cx.measure(), cx.last())))
    assert max(held) <= 513


def test_the_work_for_a_delta_does_not_grow():
    """Counted: lines of Python that run for a stream of 1,000 deltas and of 8,000."""

    def lines(length):
        count = 0

        def tracer(frame, event, _):
            nonlocal count
            if frame.f_code.co_filename.endswith("measure.py"):
                count += event == "line"
                return tracer
            return None

        async def model():
            for _ in range(length):
                yield "word "

        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            run_virtual(run(from_stream(model, turn=TURN).pipe(cx.measure(), cx.last())))
        finally:
            sys.settrace(before)
        return count / length

    small, large = lines(1000), lines(8000)
    assert 0 < large <= 1.1 * small


def test_it_needs_opened(lab):
    step = cx.measure()
    assert (step.name, step.needs, step.emits) == ("measure", {Opened}, {Measured, Problem})
    with pytest.raises(ChainOrderError, match="measure needs Opened"):
        cx.chain(step)(declare(lab.events(), [Delta]))
