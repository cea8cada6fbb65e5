"""What is to be read for facts, as a fold over events: however a text comes, each character of it is one piece's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.events import Begun, Delta, Ended, Opened, Ownership, PartialStored, Problem, Replayed, Resumed, Rewound
from cortex_rx.facts.reader import Reading
from cortex_rx.models.turn import Turn
from cortex_rx.operators._support import fact_pieces
from cortex_rx.operators._support.fact_pieces import FactPieces

TURN = Turn("space", "c-1", "I am Ada.", user_id="ada", user_name="Ada")
SENTENCE = st.integers(1, 30).map(lambda n: "x" * n + ". ")


def pieces_of(events, cut=1000):
    """The fold, with the events in batches."""
    fold = FactPieces(40)
    for at in range(0, len(events), cut):
        fold.absorb(events[at : at + cut])
    return fold


def deltas(texts, attempt=0, offset=0):
    made = []
    for index, text in enumerate(texts):
        made.append(Delta(text, index, offset, attempt, 0.0))
        offset += len(text)
    return made, offset


def read(fold, text, done=0, attempt=0):
    """The pieces of the answer are this text from `done` on, without gap and overlap."""
    at = done
    for piece in fold.of("answer"):
        assert piece.start == at < piece.stop
        if piece.reading is None:
            assert piece.text.endswith(text[piece.start : piece.stop])
        assert piece.attempt == attempt
        at = piece.stop
    assert at == len(text)


@given(st.lists(SENTENCE, max_size=20), st.integers(1, 9), st.integers(0, 25))
def test_a_new_stream_is_read_from_its_beginning_whenever_it_is_begun(texts, cut, begun):
    sent, end = deltas(texts)
    events = [Opened(TURN, "s", 0.0), *sent]
    events.insert(min(begun + 1, len(events)), Begun("m", 1))
    fold = pieces_of([*events, Ended("stop", end, len(texts))], cut)
    assert [(piece.text, piece.stop) for piece in fold.of("question")] == [("I am Ada.", 9)]
    read(fold, "".join(texts))


@given(st.lists(SENTENCE, min_size=1, max_size=20), st.data(), st.integers(1, 9))
def test_a_stream_that_is_taken_over_is_read_from_where_it_was_read(texts, data, cut):
    text = "".join(texts)
    stored = data.draw(st.integers(0, len(text)))
    done = data.draw(st.integers(0, stored))
    when = data.draw(st.integers(0, 5))
    opened = Opened(TURN, "s", 0.0, resumed=Ownership("m", 2, 3))
    events = [opened, Begun("m", 2), Replayed(text[:stored], stored, 1, 3)]
    events += [Delta(text[at : at + 7], 1, at, 3, 0.0) for at in range(stored, len(text), 7)]
    events.append(Ended("stop", len(text), 9))
    fold = FactPieces(40)
    at = 0
    while at < len(events) or not fold.known:
        if at >= min(when, len(events)) and not fold.known and fold.opened:
            fold.know(len(TURN.user_message), done)
        fold.absorb(events[at : at + cut])
        at += cut
    assert list(fold.of("question")) == []
    read(fold, text, done, attempt=3)
    assert fold.durable == stored


@given(st.lists(SENTENCE, min_size=1, max_size=12), st.lists(SENTENCE, max_size=12), st.integers(1, 9), st.booleans())
def test_a_text_that_begins_anew_is_read_anew(old, new, cut, told):
    before, _ = deltas(old)
    after, end = deltas(new, attempt=1)
    resumed = [Resumed(1, 1, 0, "x")] if told or not new else []
    stored = [PartialStored(len(old[0]), 1, 0, 0.0)]
    events = [Opened(TURN, "s", 0.0), Begun("m", 1), *before, *stored, *resumed, *after, *stored]
    fold = pieces_of([*events, Ended("stop", end, len(new))], cut)
    read(fold, "".join(new), attempt=1)
    assert fold.durable == 0
    assert len(list(fold.of("question"))) == 1


@given(st.lists(SENTENCE, min_size=1, max_size=20), st.data(), st.integers(1, 9))
def test_a_text_that_is_cut_back_goes_on_there(texts, data, cut):
    text = "".join(texts)
    sent, end = deltas(texts)
    to = data.draw(st.integers(0, end))
    fold = pieces_of([Opened(TURN, "s", 0.0), Begun("m", 1), *sent], cut)
    stored = data.draw(st.integers(0, len(list(fold.of("answer")))))
    for piece in list(fold.of("answer"))[:stored]:
        piece.read(Reading())
        assert fold.stored(piece)
    done = max((piece.start for piece in list(fold.of("answer"))[:1]), default=fold._windows.start)
    fold.absorb([Rewound(0, to), Delta(text[to:] + "y.", 9, to, 0, 0.0), Ended("stop", end + 2, 9)])
    read(fold, text + "y.", done)


def test_what_comes_too_fast_to_be_read_is_left_and_no_text_of_it_is_held(monkeypatch):
    monkeypatch.setattr(fact_pieces, "MOST", 200)
    sent, end = deltas(["x" * 38 + ". "] * 100)
    fold = pieces_of([Opened(TURN, "s", 0.0), Begun("m", 1), *sent, Ended("stop", end, 100)])
    held = [piece for piece in fold.of("answer") if piece.reading is None]
    assert sum(len(piece.text) for piece in held) <= 200
    (left,) = [piece for piece in fold.of("answer") if piece.reading is not None]
    assert left.reading.code == "EXTRACTOR_BEHIND" and left.text == "" and left.stop == 4000
    read(fold, "".join(delta.text for delta in sent))


def test_a_stream_that_the_store_could_not_begin_is_read_all_the_same():
    sent, end = deltas(["I live in Leeds. "])
    failed = Problem("initialization", "STORE_UNAVAILABLE", "x", recoverable=False)
    fold = pieces_of([Opened(TURN, "s", 0.0), *sent, Ended("stop", end, 1), failed])
    read(fold, "I live in Leeds. ")
