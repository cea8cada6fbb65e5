"""One reader reads every source, whether it can be opened again or not: every story gives the same events, marks
apart.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from cortex_rx import operators as cx
from cortex_rx.events import Custom, Delta, Ended, Opened, Problem, Resumed
from cortex_rx.sources.model_stream import prefill, replayable, restart
from cortex_rx.sources.providers import Cursor
from cortex_rx.testing import run_virtual

KINDS = {"plain": lambda open_: lambda: open_(None), "replayable": replayable, "prefill": prefill, "restart": restart}
GONE = ConnectionResetError("gone")


def told(stories):
    """Every story that there is, with and without a call of a tool, as the JSON of its items."""
    calls = {"openai_story": stories.CALL, "chat_story": stories.CHAT_CALL, "anthropic_story": stories.USE}
    names = [name for name in vars(stories) if name.endswith(("_story", "_refusal"))]
    assert len(names) == 6 and {*calls} < {*names}
    found = {name: getattr(stories, name)() for name in names}
    found |= {f"{name} with a call": getattr(stories, name)(call) for name, call in calls.items()}
    found["anthropic_refusal after text"] = stories.anthropic_refusal("It is ", "rain")
    # Bare text, a character in two halves, a half alone, nothing, and pieces of an own provider.
    found["text"] = ["Hello ", "\ud83d", "\ude00 A", "", None, "da \ud83d", "!", "\ud83d"]
    return found


class Stream:
    """Gives items, fails then with `error`, and when it is closed with `closing`."""

    def __init__(self, items, error=None, closing=None):
        self.items, self.error, self.closing = iter(items), error, closing

    def __aiter__(self):
        return self

    async def __anext__(self):
        for item in self.items:
            return item
        raise self.error or StopAsyncIteration

    async def aclose(self):
        if self.closing:
            raise self.closing


def opened(items, error=None, closing=None):
    return lambda point: Stream(items, error, closing)


def played(kit, source, *steps, **keywords):
    came = run_virtual(kit.read(source, *steps, make_id=lambda: "stream-1", **keywords))
    # A mark is no part of what two deltas are compared by; the time at which one came is that of the loop, which stands
    # still.
    return came.events, came.error


def through_all(kit, items, error=None, closing=None, **keywords):
    """What comes of a plain source; the others give the same."""
    every = {name: played(kit, kind(opened(items, error, closing)), **keywords) for name, kind in KINDS.items()}
    plain = every["plain"]
    assert isinstance(plain[0][0], Opened)
    for name, (events, failed) in every.items():
        assert events == plain[0], name
        assert (type(failed), str(failed)) == (type(plain[1]), str(plain[1])), name
    return plain


def test_every_story_is_the_same_through_every_kind_of_source(kit, stories):
    for name, items in told(stories).items():
        events, error = through_all(kit, items)
        assert error is None and isinstance(events[-1], Ended), name
        if "refusal" in name:
            assert events[-1].reason == "refusal", name


def test_every_story_that_is_cut_off_or_fails_at_any_place(kit, stories):
    for name, items in told(stories).items():
        for cut in range(len(items)):
            if not cut % 4:  # or the test takes as long again
                events, error = through_all(kit, items[:cut])
                assert error is None and isinstance(events[-1], Ended), (name, cut)
            events, error = through_all(kit, items[:cut], GONE)
            assert error is GONE and not any(isinstance(event, Ended) for event in events), (name, cut)


def test_an_error_of_closing_is_a_problem_after_the_end(kit, stories):
    for name, items in told(stories).items():
        events, error = through_all(kit, items, closing=GONE)
        assert error is None and isinstance(events[-2], Ended), name
        assert isinstance(events[-1], Problem) and events[-1].error is GONE, name


def test_the_pieces_of_an_own_provider(kit):
    def provider(item):
        return [item, Custom("n", 1), Cursor(2)] if item == "both" else 7 if item == "wrong" else None

    events, _ = through_all(kit, ["a", "both", "b"], provider=provider)
    assert [event.text for event in events if isinstance(event, Delta)] == ["a", "both", "b"]
    for items in (["a", object()], ["a", "wrong"]):
        _, error = through_all(kit, items, provider=provider)
        assert type(error) is TypeError
    _, error = through_all(kit, ["a", "both"], provider=lambda item: [item, 3.0])
    assert "accepted: str, Custom, Finish and Cursor" in str(error)


@pytest.mark.parametrize("kind", ["replayable", "restart"])
def test_a_story_that_fails_anywhere_and_is_opened_again_ends_as_the_whole_one(kit, stories, kind):
    for name, items in told(stories).items():
        whole, _ = played(kit, opened(items)(None))
        for cut in range(len(items)):
            openings = iter([opened(items[:cut], GONE), opened(items)])
            source = KINDS[kind](lambda point: next(openings)(point))
            events, error = played(kit, source, cx.resume(1, timedelta(0)))
            assert error is None, (name, cut)
            last = max(getattr(event, "attempt", 0) for event in events)
            text = "".join(event.text for event in events if isinstance(event, Delta) and event.attempt == last)
            assert text == "".join(event.text for event in whole if isinstance(event, Delta)), (name, cut)
            assert events[-1].reason == whole[-1].reason, (name, cut)


def test_a_source_that_cannot_be_closed_is_not_opened_again(kit):
    openings = []

    def open_(point):
        openings.append(point)
        return opened(["Hello ", "Ada"], closing=GONE)(point)

    events, error = played(kit, replayable(open_), cx.resume(3, timedelta(0)))
    assert error is None and len(openings) == 1
    assert isinstance(events[-1], Problem) and events[-1].error is GONE
    assert events[-2] == Ended("stop", 9, 2) and not any(isinstance(event, Resumed) for event in events)
