"""The one fold of positions: for any events in any order, every fold that uses it says the same about the text."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import groupby
from types import SimpleNamespace

import pytest
import reactivex as rx
from hypothesis import example, given
from hypothesis import strategies as st
from reactivex import operators as ops

from cortex_rx import Turn, run
from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.engine import FlowScheduler
from cortex_rx.errors import TextDiverged
from cortex_rx.events import (
    Begun,
    Chunked,
    Custom,
    Delta,
    Ended,
    Opened,
    PartialStored,
    Replayed,
    Resumed,
    Rewound,
    SourceReplayed,
)
from cortex_rx.folds.exchange import Exchange
from cortex_rx.folds.metrics import Meter
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.folds.result import ResultFold
from cortex_rx.jupyter._live import Live as View
from cortex_rx.metering.prices import Prices
from cortex_rx.metering.tokens import TokenCount
from cortex_rx.models.hooks import StreamHooks
from cortex_rx.models.records import ContentChunk
from cortex_rx.operators._support.embedding import ExchangeEmbedder
from cortex_rx.operators._support.fact_pieces import FactPieces
from cortex_rx.operators._support.hook_feed import HookFeed
from cortex_rx.operators._support.pending import PendingText
from cortex_rx.operators._support.recovery import Recovery
from cortex_rx.operators._support.rewriter import Text, at_once
from cortex_rx.pipeline.answer import _TextMailbox
from cortex_rx.testing import run_virtual

OPENED = Opened(Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada"), "stream-1", 0.0)
CLOCK = SimpleNamespace(time=lambda: 0.0, wall=lambda: 0.0)


@dataclass
class Truth:
    """The rules, as one would write them down without a thought for anything else."""

    text: str = ""
    attempt: int = 0
    index: int = 0
    ended: bool = False
    anew: bool = False
    """A text that had been shown was replaced, and text came after that."""
    replaced: bool = False
    chunks: list[tuple[int, str]] = field(default_factory=list)
    """Those that were cut of this text since it began, or was cut back."""

    def set(self, attempt: int, text: str = "", index: int = 0) -> None:
        self.replaced |= bool(self.text)
        self.text, self.attempt, self.index, self.ended = text, attempt, index, False
        self.chunks.clear()

    def add(self, event: object) -> None:
        match event:
            case Delta() if event.attempt >= self.attempt:
                if event.attempt > self.attempt:
                    self.set(event.attempt)
                self.text, self.index = self.text + event.text, event.index + 1
                self.anew |= self.replaced
            case Resumed() if event.attempt > self.attempt:
                self.set(event.attempt)
            case Replayed():
                self.set(event.attempt, event.text, event.index)
                self.anew |= self.replaced and bool(event.text)
            case Rewound() if event.attempt != self.attempt:
                self.set(event.attempt)
            case Rewound():
                self.replaced |= event.offset < len(self.text)
                self.text, self.ended = self.text[: event.offset], False
                self.chunks.clear()
            case Chunked() if event.attempt == self.attempt:
                self.chunks.append((event.chunk.start_offset, event.chunk.content))
            case Ended():
                self.ended = True


TEXT = st.text("ab é😀", min_size=1, max_size=4)


@st.composite
def streams(draw, rewound=False):
    """Opened, begun, and then what may come: deltas that follow, late ones, new attempts with and without a
    `Resumed`.
    """
    truth, events = Truth(), [OPENED, Begun("m-1", 1, draw(st.integers(0, 3)))]
    kinds = ["delta"] * 6 + ["late", "anew", "resumed", "replayed", "stored", "chunked", "ended", "custom"]
    for kind in draw(st.lists(st.sampled_from(kinds + ["rewound"] * 2 * rewound), max_size=20)):
        some = st.integers(0, truth.attempt + 1)
        if kind == "delta":
            event = Delta(draw(TEXT), truth.index, len(truth.text), truth.attempt, 0.1)
        elif kind == "late":
            if not truth.attempt:
                continue
            index, offset, attempt = (draw(st.integers(0, most)) for most in (5, 9, truth.attempt - 1))
            event = Delta(draw(TEXT), index, offset, attempt, 0.1)
        elif kind == "anew":
            event = Delta(draw(TEXT), 0, 0, truth.attempt + draw(st.integers(1, 2)), 0.1)
        elif kind == "resumed":
            attempt = draw(some)
            event = Resumed(1, attempt, len(truth.text) if attempt == truth.attempt else 0, "reset")
        elif kind == "replayed":
            text = draw(st.just("") | TEXT)
            event = Replayed(text, len(text), draw(st.integers(0, 3)) if text else 0, draw(some))
        elif kind == "stored":
            event = PartialStored(draw(st.integers(0, len(truth.text))), truth.index, draw(some), 0.1)
        elif kind == "chunked":
            chunk = ContentChunk(content="a", chunk_index=0, start_offset=0, end_offset=1, has_overlap=False)
            event = Chunked(chunk, draw(some))
        elif kind == "ended":
            event = Ended("stop", len(truth.text), truth.index)
        elif kind == "rewound":
            attempt = draw(some)
            event = Rewound(attempt, draw(st.integers(0, len(truth.text) + 2)) if attempt == truth.attempt else 0)
        else:
            event = Custom("n", 1)
        truth.add(event)
        events.append(event)
    return events


def true_of(events):
    truth = Truth()
    for event in events:
        truth.add(event)
    return truth


def says(position):
    return position.attempt, position.offset, position.index, position.ended is not None


def bulk(events):
    """A position that takes the deltas which follow one another at once."""
    position, text = TextPosition(), ""
    for kind, found in groupby(events, type):
        for each in [list(found)] if kind is Delta else found:
            if kind is Delta:
                move, more = position.take_deltas(each)
            else:
                move, more = position.take(each), each.text if kind is Replayed else ""
            text = more if move is Move.ANEW else text[: position.offset] if move is Move.CUT else text + more
    return position, text


@given(st.booleans().flatmap(lambda rewound: streams(rewound)))
@example([Delta("a", 0, 0, 1, 0.0), Rewound(0, 0), Delta("b", 0, 0, 0, 0.0)])
@example([Delta("a", 0, 0, 1, 0.0), Delta("late", 4, 4, 0, 0.0), Delta("b", 1, 1, 1, 0.0)])
@example([Delta("ab", 0, 0, 0, 0.0), Rewound(0, 1), Delta("c", 1, 1, 0, 0.0)])
def test_the_rules(events):
    truth, position, fold = true_of(events), TextPosition(), ResultFold()
    stored = 0
    for event in events:
        assert position.means(event) is position.take(event)
        fold.add(event)
        stored = event.attempt if isinstance(event, Begun) else stored
    expected = truth.attempt, len(truth.text), truth.index, truth.ended
    assert says(position) == says(bulk(events)[0]) == says(fold.position) == expected
    assert fold.text == bulk(events)[1] == truth.text
    assert (fold.attempt, fold.offset, fold.index) == expected[:3]
    assert position.stored_attempt == fold.position.stored_attempt == stored + truth.attempt


def batches(events, sizes):
    """The events in batches of these sizes, over and over."""
    at = 0
    while at < len(events):
        for size in sizes:
            if at < len(events):
                yield events[at : at + size]
            at += size


CUT = [OPENED, Begun("m-1", 1, 0), Delta("abcd", 0, 0, 0, 0.1), Rewound(0, 2), Delta("X", 1, 2, 0, 0.2)]


@given(st.booleans().flatmap(lambda rewound: streams(rewound)), st.lists(st.integers(1, 6), min_size=1, max_size=3))
@example(CUT, [1])
@example(CUT, [6])
def test_the_folds_of_the_operators_agree(events, sizes):
    truth = true_of(events)
    expected = truth.attempt, len(truth.text), truth.index

    backend = SqliteBackend(":memory:")
    exchange, tail, stored = Exchange(whole=True), PendingText(CLOCK, backend), {}
    for batch in batches(events, sizes):
        exchange.absorb(list(batch))
        wanted = [
            event for event in batch if isinstance(event, Opened | Begun | Replayed | Resumed | Rewound | Delta | Ended)
        ]
        while wanted:
            wanted = tail.absorb(wanted)
            drained(tail, stored)
    meter, view, seen = Meter(CLOCK, Prices(None), TokenCount(None)), View(), Recovery("rollback", backend)
    note, _ = seen.watch(lambda event: None, CLOCK, lambda error: None)
    looking, vectors = Exchange(whole=False), ExchangeEmbedder(CLOCK, None)
    pieces = FactPieces(5)
    for batch in batches(events, sizes):
        pieces.absorb(batch)
    told = []
    watch = HookFeed(CLOCK, StreamHooks(on_complete=print, on_progress=print), told.append, 0.0, None)
    for event in events:
        if type(event) is Delta:
            meter.times.append(0.0)
            meter.deltas.append(event)
        else:
            meter.other(event)
        note(event)
        watch.absorb(event)
        view.add(event)
        looked(vectors, looking, [event])
    metrics = meter.snapshot()

    for fold in (exchange, tail, seen, watch, meter, view, pieces):
        position = getattr(fold, "position", None) or fold._position
        assert (position.attempt, position.offset, position.index) == expected, type(fold)
    assert (metrics.total_chunks, metrics.total_characters) == (truth.index, len(truth.text))
    exact = "".join(event.text for event in events if isinstance(event, Delta | Replayed)).isascii()
    if exact or not any(isinstance(event, Rewound) for event in events):
        assert metrics.total_bytes == len(truth.text.encode())
    assert exchange.text == watch._answer.whole() == truth.text
    assert (view.characters, view.deltas, view.tail) == (len(truth.text), truth.index, truth.text)
    assert [one[:2] for one in vectors._todo] == truth.chunks
    assert vectors._taken == {start for start, _ in truth.chunks}
    assert (exchange.ended is not None) == (seen.position.ended is not None) == truth.ended
    assert tail.ended == truth.ended and (watch.ended_after is not None) == truth.ended
    # What is not known to be durable is the end of the text; what was sent of it, and what was replayed, is its
    # beginning.
    assert truth.text.endswith(exchange.tail) and exchange.start + len(exchange.tail) == len(truth.text)
    assert tail.start == len(truth.text) and not tail.texts
    begun = events[1].attempt
    assert exchange.position.stored_attempt == tail.position.stored_attempt == begun + truth.attempt
    first, sent = stored.get(begun + truth.attempt, (0, ""))
    assert truth.text.endswith(sent[: max(0, len(truth.text) - first)]) or any(
        isinstance(event, Replayed) for event in events
    )


def looked(vectors, exchange, events):
    """The vectors see events, and nothing is asked for yet."""
    exchange.absorb(list(events))
    with pytest.raises(StopIteration):
        vectors.look(events, exchange).send(None)


@pytest.mark.parametrize("event", [Rewound(0, 2), Rewound(1, 0), Replayed("ab", 2, 1, 0)])
def test_no_vector_is_asked_for_a_chunk_that_was_cut_off_within_one_batch(event):
    chunk = ContentChunk(content="bcd", chunk_index=0, start_offset=1, end_offset=4, has_overlap=False)
    exchange, vectors = Exchange(whole=False), ExchangeEmbedder(CLOCK, None)
    looked(vectors, exchange, [*CUT[:3], Chunked(chunk, 0), event])
    assert not vectors._todo and not vectors._taken and exchange.chunks(1000) == []


def drained(tail, stored):
    """What would be sent is sent: each code point once, behind what was sent before."""
    if tail.texts:
        args = tail.append(release=False).args
        first, before = stored.get(args["attempt"], (args["start"], ""))
        first = min(first, args["start"])
        stored[args["attempt"]] = first, before[: args["start"] - first] + args["text"]
        assert args["state"]["index"] == tail.position.index
        tail.start += len(args["text"])
        tail.texts.clear()


class Same:
    def feed(self, text):
        return text

    def finish(self):
        return ""


@given(streams())
def test_what_shows_text_agrees(events):
    truth = true_of(events)

    text, rewritten = Text(Same, last=True), ResultFold()
    for event in events:
        for piece in at_once(text.pieces(event)):
            if out := text.out(piece):
                rewritten.add(out)
        if not isinstance(event, Delta):
            for out in text.other(event):
                rewritten.add(out)
    assert (rewritten.text, rewritten.attempt) == (truth.text, truth.attempt)

    async def main():
        fold = ResultFold()
        reader = _TextMailbox(fold, FlowScheduler(), 1000)
        for event in events:
            fold.add(event)
            if not isinstance(event, Ended):  # there a reader of text leaves
                reader.deliver(event)
        source = rx.from_iterable(events)
        shown = await run(source.pipe(cx.text(), ops.materialize(), ops.to_list()))
        cut = await run(source.pipe(cx.chunk("fixed", size=3), ops.to_list()))
        await asyncio.sleep(0)
        return reader, shown, cut

    reader, shown, cut = run_virtual(main())
    *texts, end = shown
    assert isinstance(getattr(end, "exception", None), TextDiverged) == truth.anew
    assert isinstance(reader.end, TextDiverged) == truth.anew
    assert "".join(reader.items) == "".join(each.value for each in texts)
    if not truth.anew and not truth.replaced:
        assert "".join(reader.items) == truth.text
    given = [event for event in events if isinstance(event, Chunked)]
    made = [event for event in cut if isinstance(event, Chunked) and not any(event is one for one in given)]
    last = 0  # the chunks of the text that is there in the end: those after it began the last time
    position = TextPosition()
    for at, event in enumerate(cut):
        if position.take(event) is Move.ANEW:
            last = at
    now = [event for event in cut[last:] if any(event is one for one in made)]
    assert all(event.attempt == truth.attempt for event in now)
    assert "".join(event.chunk.content for event in now) == truth.text


def test_a_text_that_is_read_again_in_another_process_goes_on():
    position = TextPosition()
    position.take(Replayed("ab", 2, 1, attempt=3))
    assert position.take(Resumed(0, 3, 2, "TakenOver")) is Move.GOES_ON
    assert position.take(SourceReplayed("a", 3, 0.1)) is Move.GOES_ON
    assert repr(position) == "TextPosition(attempt=3, offset=2, index=1)"
    assert position.take(SourceReplayed("a", 4, 0.1)) is Move.ANEW
    assert position.take(SourceReplayed("a", 3, 0.1)) is Move.OTHER
    assert repr(position) == "TextPosition(attempt=4, offset=0, index=0)"


@pytest.mark.parametrize("late", [PartialStored(1, 1, 0, 0.0), Delta("x", 0, 0, 0, 0.0)])
def test_what_is_late_and_of_an_older_attempt_moves_nothing(late):
    position = TextPosition()
    position.take(Delta("ab", 0, 0, 1, 0.0))
    before = says(position)
    assert position.take(late) is Move.OTHER and says(position) == before and position.beginnings == 1


def test_lengths_are_counted_where_a_step_changed_them():
    position = TextPosition()
    for event in (Delta("word", 0, 0, 0, 0.0), Delta("s!", 1, 1, 0, 0.0)):
        position.take(event)
    assert position.offset == 6
