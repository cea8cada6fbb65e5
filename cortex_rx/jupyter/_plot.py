"""`plot`: the measures of a stream as a picture."""

from __future__ import annotations

from io import StringIO
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument, MissingExtra
from cortex_rx.models.records import StreamMetrics
from cortex_rx.models.results import EnhancedRememberStreamResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot"]

_TEXT, _WRITES, _FIRST = "#1f77b4", "#d62728", "#444444"  # told apart by their lines and markers, too


def plot(result: EnhancedRememberStreamResult) -> Figure:
    """Draw how the text of a stream came: time to first token, throughput, gaps, and writes.

    Above is the length of the text over time, and what of it was durable. Below are the characters of each second, and
    the gaps between deltas: the median, the slowest 5 % and 1 %, and the longest. A new attempt of the text counts to
    the length that came. The figure shows itself at the end of a cell; `figure.savefig("stream.png")` writes it.

    Raises `MissingExtra` without matplotlib (extra `jupyter`), and `InvalidArgument` if the stream was not measured:
    then `measure` is missing in its chain, or no text came. Its state is its own; pyplot is not used.

    >>> import asyncio
    >>> from cortex_rx import Cortex
    >>> async def main():
    ...     turn = {"memory_space_id": "s", "conversation_id": "c", "user_message": "Where?", "agent_id": "helper"}
    ...     async with Cortex(":memory:") as cortex:
    ...         return await cortex.memory.remember_stream(["It is ", "here."], **turn)
    >>> plot(asyncio.run(main()))
    <StreamFigure size 800x550 with 3 Axes>
    """
    check.instance(EnhancedRememberStreamResult, "a result of remember_stream")("result", result)
    metrics = result.stream_metrics
    if metrics.timeline is None:
        raise InvalidArgument(
            "result", "one without a time line", "a measured one: text came, and the chain has measure"
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("plot", "jupyter") from error

    class StreamFigure(Figure):
        """A figure that a notebook shows although pyplot, which tells it how, is not imported."""

        def _repr_svg_(self) -> str:
            drawn = StringIO()
            self.savefig(drawn, format="svg", metadata={"Date": None, "Title": f"The stream {result.stream_id}"})
            return drawn.getvalue()

    figure = StreamFigure(figsize=(8, 5.5), layout="constrained")
    axes: dict[str, Any] = figure.subplot_mosaic([["text", "text"], ["rate", "gaps"]])
    _draw_text(axes["text"], result, metrics)
    _draw_rate(axes["rate"], metrics)
    _draw_gaps(axes["gaps"], metrics)
    for each in axes.values():
        each.spines[["top", "right"]].set_visible(False)
        each.set_axisbelow(True)
    return figure


def _slots(metrics: StreamMetrics) -> tuple[list[float], tuple[int, ...]]:
    """The ends of the slots of the time line, in seconds from the request, and the characters in each."""
    assert metrics.timeline is not None
    width = metrics.timeline.slot_ms / 1000
    return [width * (at + 1) for at in range(len(metrics.timeline.characters))], metrics.timeline.characters


def _draw_text(axes: Any, result: EnhancedRememberStreamResult, metrics: StreamMetrics) -> None:
    ends, characters = _slots(metrics)
    axes.plot([0.0, *ends], [0, *accumulate(characters)], color=_TEXT, label="text that came")
    if progress := result.progressive_processing:
        writes = [
            ((write.timestamp - metrics.start_time) / 1000, write.content_length)
            for write in progress.partial_storage_history
        ]
        if writes:
            at, lengths = zip(*writes, strict=True)
            axes.step(
                at, lengths, where="post", color=_WRITES, linestyle="--", marker="o", markersize=4,
                label=f"durable ({len(writes):,} write{'s' * (len(writes) > 1)})",
            )  # fmt: skip
    if metrics.first_chunk_latency is not None:
        first = metrics.first_chunk_latency / 1000
        axes.axvline(first, color=_FIRST, linestyle=":", label=f"first token after {first:,.2f} s")
    axes.set(title="Text", xlabel="seconds from the request", ylabel="characters", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False)


def _draw_rate(axes: Any, metrics: StreamMetrics) -> None:
    ends, characters = _slots(metrics)
    width = ends[0]
    merged = max(-(-len(ends) // 64), 1)  # at most 64 bars
    rates = [sum(characters[at : at + merged]) / (width * merged) for at in range(0, len(ends), merged)]
    starts = [width * merged * at for at in range(len(rates))]
    axes.bar(starts, rates, width=width * merged, align="edge", color=_TEXT)
    average = metrics.characters_per_second
    axes.axhline(average, color=_FIRST, linestyle=":", label=f"average {average:,.0f}")
    axes.set(title="Throughput", xlabel="seconds from the request", ylabel="characters per second", xlim=(0, None))
    axes.set_ylim(0, 1.25 * max(rates))  # room for the legend
    axes.legend(frameon=False, loc="upper right")


def _draw_gaps(axes: Any, metrics: StreamMetrics) -> None:
    gaps = {
        "median": metrics.inter_chunk_p50,
        "95 %": metrics.inter_chunk_p95,
        "99 %": metrics.inter_chunk_p99,
        "longest": metrics.inter_chunk_max,
    }
    known = {name: gap for name, gap in gaps.items() if gap is not None}
    bars = axes.barh(list(known), list(known.values()), color=_TEXT)
    axes.bar_label(bars, [f"{gap:,.0f} ms" for gap in known.values()], padding=3)
    axes.set(title="Gaps between deltas", xlabel="milliseconds")
    axes.margins(x=0.25)
    axes.invert_yaxis()
    if not known:
        axes.text(0.5, 0.5, "one delta has no gaps", ha="center", transform=axes.transAxes)
