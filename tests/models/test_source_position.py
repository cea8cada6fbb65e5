"""The position in a source: its hash does not depend on the pieces, and a reopened source is compared with it."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.models import source_position
from cortex_rx.models.source_position import PrefixHash, PrefixMatcher, Segment, SourcePosition

pieces = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), max_size=12)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def trail_of(parts, before=()):
    trail = PrefixHash(before)
    for part in parts:
        trail.add(part)
    return trail


@given(pieces, st.data())
def test_a_trail_knows_the_hash_of_every_later_place(parts, data):
    text = "".join(parts)
    trail = trail_of(parts)
    at = 0
    while at < len(text):
        at = data.draw(st.integers(at + 1, len(text)))
        assert trail.segments(at) == (Segment(0, at, sha(text[:at])),)
        assert trail.segments(at) == (Segment(0, at, sha(text[:at])),), "asked again"
    assert trail.segments(len(text) + 1) is None


def test_what_was_hashed_long_ago_cannot_be_said_any_more(monkeypatch):
    monkeypatch.setattr(source_position, "_HELD", 100)
    trail = trail_of(["x" * 10] * 30)
    assert trail._held <= 100
    assert trail.segments(10) is None
    assert trail.segments(300) == (Segment(0, 300, sha("x" * 300)),)


@given(pieces, pieces, st.data())
def test_a_mark_goes_through_json_and_its_segments_go_on(first, second, data):
    mark = SourcePosition(len("".join(first)), trail_of(first), {"seq": 7}, 3)
    back = SourcePosition.from_json(mark.to_json())
    assert (back.offset, back.segments, back.cursor, back.cursor_at) == (mark.offset, mark.segments, {"seq": 7}, 3)
    trail = trail_of(second, back.segments)
    end = mark.offset + len("".join(second))
    segments = trail.segments(end)
    assert [s.start for s in segments] == [0] * bool(first) + [mark.offset] * bool(second)
    assert [s.sha256 for s in segments] == [sha("".join(part)) for part in (first, second) if part]


@given(pieces, pieces, pieces, st.data())
def test_the_same_text_is_cut_off_whatever_the_pieces(first, second, rest, data):
    """Two processes read `first` and `second`. Then all of it comes again in other pieces, and continues."""
    seen = "".join(first) + "".join(second)
    text = seen + "".join(rest)
    segments = trail_of(second, trail_of(first).segments(len("".join(first)))).segments(len(seen))
    matcher = PrefixMatcher(segments, len(seen))
    out, at = "", 0
    while at < len(text):
        to = data.draw(st.integers(at + 1, len(text)))
        part = matcher.match(text[at:to])
        assert part is not None
        out, at = out + part, to
    assert out == "".join(rest)
    assert matcher.reached


@given(pieces.filter(bool), st.data())
def test_another_text_is_noticed_before_anything_of_it_is_given(parts, data):
    seen = "".join(parts)
    at = data.draw(st.integers(0, len(seen) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != seen[at]))
    text = seen[:at] + other + seen[at + 1 :] + "and more"
    matcher = PrefixMatcher(trail_of(parts).segments(len(seen)), len(seen))
    given_ = ""
    for start in range(len(text)):
        part = matcher.match(text[start])
        if part is None:
            break
        given_ += part
    else:
        raise AssertionError("not noticed")
    assert given_ == ""


def test_what_no_segment_covers_is_cut_off_unseen():
    """From a provider's cursor on: what lies between the cursor and what had been read comes again."""
    matcher = PrefixMatcher((), end=8, start=5)
    assert [matcher.match(part) for part in ("ab", "cde", "f")] == ["", "de", "f"]
