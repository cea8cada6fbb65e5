"""`plot`: the measures of a stream as a picture."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from IPython.core.interactiveshell import InteractiveShell

from cortex_rx import Cortex
from cortex_rx.errors import InvalidArgument, MissingExtra
from cortex_rx.jupyter import plot
from cortex_rx.models.records import StreamTimeline
from cortex_rx.testing import run_virtual


def a_result(pieces, **options):
    async def model():
        for pause, text in pieces:
            await asyncio.sleep(pause)
            yield text

    async def main():
        async with Cortex(":memory:") as cortex:
            return await cortex.memory.remember_stream(
                model,
                memory_space_id="s",
                conversation_id="c",
                user_message="Q",
                agent_id="a",
                **options,
            )

    return run_virtual(main())


SLOW = [(1.2, "Once "), *[(0.05, "upon a time ")] * 60, (2.5, "there "), *[(0.02, "was. ")] * 100]


@pytest.fixture(scope="module")
def result():
    return a_result(SLOW)


def axes_of(figure):
    return {axes.get_title(): axes for axes in figure.axes}


def test_it_draws_what_was_measured(result):
    """The lines have the numbers of the result."""
    axes = axes_of(plot(result))
    text, durable, first = axes["Text"].lines
    assert list(first.get_xdata()) == [1.2, 1.2]
    came = text.get_ydata()
    assert came[-1] == len(result.full_response) and list(came) == sorted(came)
    at = dict(zip(text.get_xdata(), came, strict=True))
    assert max(length for seconds, length in at.items() if seconds <= 1.2) == 0
    history = result.progressive_processing.partial_storage_history
    assert list(durable.get_ydata()) == [write.content_length for write in history] and len(history) > 1
    for seconds, length in zip(*durable.get_data(), strict=True):
        assert length <= came[-1] and 1.2 <= seconds <= result.stream_metrics.stream_duration_ms / 1000 + 0.6
    bars = axes["Throughput"].patches
    assert 1 < len(bars) <= 64
    assert sum(bar.get_height() * bar.get_width() for bar in bars) == pytest.approx(len(result.full_response))
    gaps = [bar.get_width() for bar in axes["Gaps between deltas"].patches]
    metrics = result.stream_metrics
    assert gaps == [
        metrics.inter_chunk_p50, metrics.inter_chunk_p95, metrics.inter_chunk_p99, metrics.inter_chunk_max,
    ]  # fmt: skip
    assert metrics.inter_chunk_max == pytest.approx(2500)


def test_each_axis_says_its_unit(result):
    labels = {title: (axes.get_xlabel(), axes.get_ylabel()) for title, axes in axes_of(plot(result)).items()}
    assert labels == {
        "Text": ("seconds from the request", "characters"),
        "Throughput": ("seconds from the request", "characters per second"),
        "Gaps between deltas": ("milliseconds", ""),
    }


def test_a_notebook_shows_it(result):
    """Although pyplot is not imported, by which a notebook learns of matplotlib's own figures."""
    shown, _ = InteractiveShell().display_formatter.format(plot(result))
    assert ElementTree.fromstring(shown["image/svg+xml"]).tag == "{http://www.w3.org/2000/svg}svg"
    assert shown["text/plain"] == "<StreamFigure size 800x550 with 3 Axes>"


def test_one_delta_and_no_writes():
    axes = axes_of(plot(a_result([(0.5, "Hello")], options={"store_partial_response": False})))
    assert len(axes["Text"].lines) == 2 and axes["Gaps between deltas"].patches[:] == []


@pytest.mark.parametrize("wrong", [None, "text", {}])
def test_what_is_no_result_is_refused(wrong):
    with pytest.raises(InvalidArgument, match="result: got"):
        plot(wrong)


def test_a_stream_that_was_not_measured_is_refused(result):
    bare = result.model_copy(update={"stream_metrics": result.stream_metrics.model_copy(update={"timeline": None})})
    with pytest.raises(InvalidArgument, match="a measured one"):
        plot(bare)


def test_without_matplotlib(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"cortex-rx\[jupyter\]"):
        plot(result)


def test_it_leaves_no_state_and_is_imported_when_called():
    program = "import cortex_rx.jupyter, sys; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert "matplotlib.pyplot" not in sys.modules, "no figure of ours is pyplot's"


def test_a_long_stream_is_drawn_from_few_slots(result):
    many = StreamTimeline(slot_ms=1000, chunks=(1,) * 256, characters=(10,) * 256)
    long = result.model_copy(update={"stream_metrics": result.stream_metrics.model_copy(update={"timeline": many})})
    assert len(axes_of(plot(long))["Throughput"].patches) == 64
