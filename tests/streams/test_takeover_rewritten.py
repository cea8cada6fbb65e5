"""A stream whose text is rewritten continues in another process: with the text that one process would have given, or
anew.

Each process has a store object of its own on the file; what is stored is read over a connection of its own.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from itertools import count
from typing import Any

import pytest
from helpers.lanes import slow_but
from helpers.scripts import model
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx import SqliteBackend, remember_stream
from cortex_rx import operators as cx
from cortex_rx.errors import EmptyAnswer, ResumableStreamError
from cortex_rx.events import Custom, Delta, Replayed, Resumed, SourceReplayed
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.sources.model_stream import prefill, replayable
from cortex_rx.sources.providers import Cursor, Finish
from cortex_rx.streams.stopping import AnswerStopped
from cortex_rx.testing import run_virtual, wall

PARAMS = {
    "memory_space_id": "space",
    "conversation_id": "c-1",
    "user_message": "What is it?",
    "user_id": "ada",
    "user_name": "Ada",
}
GONE = ConnectionResetError()


class Redacted:
    """Runs of three digits and more are masked. The last run is held back, since it may continue."""

    def __init__(self) -> None:
        self.held = ""

    def feed(self, text: str) -> str:
        text = self.held + text
        shown = text.rstrip("0123456789")
        self.held = text[len(shown) :]
        return self.masked(shown)

    def finish(self) -> str:
        return self.masked(self.held)

    @staticmethod
    def masked(text: str) -> str:
        return re.sub(r"\d{3,}", "#", text)


class Numbered:
    """Each word gets its number: what a fresh one would give depends on all that was before."""

    def __init__(self) -> None:
        self.words = 0
        self.inside = False

    def feed(self, text: str) -> str:
        out = []
        for letter in text:
            if letter != " " and not self.inside:
                self.words += 1
                out.append(f"{self.words}:")
            self.inside = letter != " "
            out.append(letter)
        return "".join(out)

    def finish(self) -> str:
        return "."


class SlowRedacted(Redacted):
    """It waits a second for each piece."""

    async def feed(self, text: str) -> str:
        await asyncio.sleep(1)
        return Redacted.feed(self, text)


@pytest.fixture
def store(tmp_path: Any) -> Any:
    """A new object on the same file, as another process has it."""
    return lambda: SqliteBackend(tmp_path / "m.db", clock=wall)


@pytest.fixture
def attempts(tmp_path: Any) -> Any:
    """The texts of the attempts, by plain SQL."""

    def query() -> list[tuple[int, str]]:
        with sqlite3.connect(tmp_path / "m.db") as db:
            return db.execute(
                "SELECT attempt, group_concat(body, '') FROM (SELECT attempt, text FROM attempts"
                " UNION SELECT attempt, answer FROM streams) JOIN pieces USING (text) GROUP BY attempt"
            ).fetchall()

    return query


def remembered(backend: Any, source: Any, *steps: Any, token: str | None = None, **more: Any) -> Any:
    named = (step.named(f"{step.name}_{number}") for number, step in enumerate(steps))
    chain = default_chain(backend).before("begin", *named) if steps else None
    who = {"memory_space_id": "space", "resume_from": token} if token else PARAMS
    return remember_stream(source, backend=backend, chain=chain, **who, **more)


async def interrupted(backend: Any, source: Any, *steps: Any, token: str | None = None) -> str:
    """A stream that fails, in a process that then ends; its token."""
    with pytest.raises(ResumableStreamError) as caught:
        await remembered(backend, source, *steps, token=token)
    await backend.close()
    assert caught.value.resume_token
    return caught.value.resume_token


async def cut_off(backend: Any, source: Any, *steps: Any) -> str:
    """A stream whose process goes away while the source is silent; its token."""
    answer = remembered(backend, source, *steps)
    answer.detach()
    await asyncio.sleep(50)
    token = answer.resume_token
    await answer.stop()
    with pytest.raises(AnswerStopped):
        await answer
    await backend.close()
    return token


async def gone_on(backend: Any, source: Any, *steps: Any, token: str) -> tuple[list[Any], str]:
    """The events of a process that continues, and the answer that is stored in the end."""
    answer = remembered(backend, source, *steps, token=token)
    events = [event async for event in answer.events()]
    result = await answer
    rows = await backend.query("memories:list", {"memorySpaceId": "space", "includePartial": True})
    assert [(row["content"], row["isPartial"]) for row in rows] == [
        (result.full_response, False),
        ("What is it?", False),
    ]
    await backend.close()
    assert not [event for event in events if isinstance(event, SourceReplayed)], "nobody sees it but the rewriters"
    return events, result.full_response


def told(events: list[Any]) -> list[Any]:
    """What was replayed, then each delta with its offset."""
    return [
        (event.attempt, event.offset, event.index, event.text)
        for event in events
        if isinstance(event, Replayed | Delta)
    ]


HOWS = {
    "redacted": [Redacted],
    "numbered": [Numbered],
    "waiting": [SlowRedacted],
    "redacted, then numbered": [Redacted, Numbered],
    "numbered, then redacted, then numbered": [Numbered, Redacted, Numbered],
}


def steps_of(how: str) -> list[Any]:
    return [cx.rewrite(make, waits=make is SlowRedacted) for make in HOWS[how]]


def fed(how: str, text: str) -> str:
    """What is given out before the end is known."""
    for make in HOWS[how]:
        text = (Numbered() if make is Numbered else Redacted()).feed(text)
    return text


def rewritten(how: str, text: str) -> str:
    for make in HOWS[how]:
        one = Numbered() if make is Numbered else Redacted()
        text = one.feed(text) + one.finish()
    return text


@pytest.mark.parametrize(
    "how", slow_but(["waiting", "redacted, then numbered"], HOWS, "rewriters one by one; in every run two together")
)
def test_cut_off_anywhere_it_goes_on_as_if_nothing_had_been(how: str, tmp_path_factory: Any) -> None:
    """Also where the other process splits the text differently; nothing is shown twice."""
    numbers = count()
    folder = tmp_path_factory.mktemp("takeover")

    @given(st.text("a 17", min_size=1, max_size=14), st.data())
    def law(text: str, data: Any) -> None:
        path = folder / f"{next(numbers)}.db"
        at = data.draw(st.integers(0, len(text)))
        first, second = (
            [text[:middle], text[middle:end]] for end in (at, len(text)) for middle in [data.draw(st.integers(0, end))]
        )
        points: list[Any] = []

        async def main() -> tuple[list[Any], str]:
            token = await cut_off(SqliteBackend(path, clock=wall), replayable(model(*first, 1000)), *steps_of(how))
            source = replayable(model(*second, points=points))
            return await gone_on(SqliteBackend(path, clock=wall), source, *steps_of(how), token=token)

        if not text.strip() or not rewritten(how, text).strip():
            return
        events, answer = run_virtual(main())
        assert answer == rewritten(how, text)
        replayed, *deltas = told(events)
        assert replayed[3] == fed(how, text[:at]), "what was shown, without what was held back"
        assert {attempt for attempt, *_ in deltas} <= {0}, "the same attempt"
        assert replayed[3] + "".join(delta[3] for delta in deltas) == answer
        assert points[0].offset <= at

    law()


def test_a_failure_gives_out_what_was_held_and_it_goes_on_where_that_was_right(store: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), replayable(model("Call 0", "1", GONE)), cx.rewrite(Redacted))
        points: list[Any] = []
        source = replayable(model("Call 01 or ", "0123456", points=points))
        events, _ = await gone_on(store(), source, cx.rewrite(Redacted), token=token)
        assert told(events) == [(0, 7, 2, "Call 01"), (0, 7, 2, " or "), (0, 11, 3, "#")]
        assert (points[0].offset, points[0].attempt) == (7, 0)

    run_virtual(main())


def test_where_it_was_half_a_number_the_text_begins_anew(store: Any, attempts: Any) -> None:
    async def main() -> None:
        token = await interrupted(store(), replayable(model("Call 0", "1", GONE)), cx.rewrite(Redacted))
        source = replayable(model("Call 01", "23 now", GONE))
        token = await interrupted(store(), source, cx.rewrite(Redacted), token=token)
        events, answer = await gone_on(
            store(), replayable(model("Call 0123 now or", " later")), cx.rewrite(Redacted), token=token
        )
        assert answer == "Call # now or later"
        assert told(events) == [(1, 10, 1, "Call # now"), (1, 10, 1, " or"), (1, 13, 2, " later")]

    run_virtual(main())
    assert attempts() == [(0, "Call 01"), (1, "Call # now or later")], "nothing is mixed"


def test_what_a_redaction_hides_is_compared_too(store: Any, attempts: Any) -> None:
    """The text that is stored is the same; the source's is not."""

    async def main() -> None:
        token = await cut_off(store(), replayable(model("Call 012345 ", 1000)), cx.rewrite(Redacted))
        events, _ = await gone_on(store(), replayable(model("Call 678901 now")), cx.rewrite(Redacted), token=token)
        assert told(events)[1:] == [(1, 0, 0, "Call # now")]
        assert [(e.attempt, e.cause) for e in events if isinstance(e, Resumed)] == [(1, "TakenOver")]

    run_virtual(main())
    assert attempts() == [(0, "Call # "), (1, "Call # now")]


def test_a_provider_with_cursors_is_asked_from_its_start_once(store: Any) -> None:
    """The rewriter has to know the whole text; afterwards the cursors serve again."""
    points: list[Any] = []

    def source(*items: Any) -> Any:
        async def opened(point: Any) -> Any:
            points.append(point.cursor)
            for number, item in enumerate(items):
                if number >= (point.cursor or 0):
                    if isinstance(item, Exception) and point.retry == 0:
                        raise item
                    if isinstance(item, str):
                        yield item, number + 1
            yield Finish("stop")

        return replayable(opened, cursor=True)

    def pieces(item: Any) -> Any:
        return [item[0], Cursor(item[1])] if isinstance(item, tuple) else [item]

    async def main() -> None:
        backend = store()
        with pytest.raises(ResumableStreamError) as caught:
            await remembered(backend, source("one ", "two ", GONE), cx.rewrite(Numbered), provider=pieces)
        await backend.close()
        token = caught.value.resume_token
        backend = store()
        answer = remembered(
            backend,
            source("one ", "two ", "three ", GONE, "four"),
            cx.resume(retries=1),
            cx.rewrite(Numbered),
            token=token,
            provider=pieces,
        )
        assert (await answer).full_response == "1:one 2:two 3:three 4:four."
        await backend.close()

    run_virtual(main())
    assert points == [None, None, 3]


def test_a_rewriter_that_says_something_else_each_time_begins_anew(store: Any, attempts: Any) -> None:
    """Later text of the source is counted on from there."""
    times = count(1)

    class Another:
        def __init__(self) -> None:
            self.time = next(times)

        def feed(self, text: str) -> Any:
            yield f"{text}{self.time} "
            yield Custom("told", text)

        def finish(self) -> str:
            return ""

    async def main() -> None:
        token = await interrupted(store(), replayable(model("a", "b", GONE)), cx.rewrite(Another))
        backend = store()
        opened = count()

        async def twice(point: Any) -> Any:
            yield "a"
            yield "b"
            if next(opened) == 0:
                yield "c"
                raise GONE
            yield "another" if point.retry else "c"

        answer = remembered(backend, replayable(twice), cx.resume(retries=1), cx.rewrite(Another), token=token)
        events = [event async for event in answer.events()]
        assert (await answer).full_response == "a3 b3 another3 "
        await backend.close()
        assert [e.data for e in events if isinstance(e, Custom)] == ["c", "a", "b", "another"], "not those of the other"
        assert [(e.attempt, e.cause) for e in events if isinstance(e, Resumed)] == [
            (0, "TakenOver"),
            (2, "ConnectionResetError"),
        ]
        replayed, *deltas = told(events)
        assert replayed == (0, 6, 2, "a1 b1 ")
        assert deltas == [
            (1, 0, 0, "a2 "),
            (1, 3, 1, "b2 "),
            (1, 6, 2, "c2 "),
            (2, 0, 0, "a3 "),
            (2, 3, 1, "b3 "),
            (2, 6, 2, "another3 "),
        ]

    run_virtual(main())
    assert [attempt for attempt, _ in attempts()] == [0, 1, 2]


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        ([Redacted], [], "Call 0123 now"),
        ([], [Redacted], "Call # now"),
        ([Redacted], [Redacted, Numbered], "1:Call 2:# 3:now."),
    ],
    ids=["left out", "put in", "one more"],
)
def test_with_another_chain_it_begins_anew(store: Any, attempts: Any, before: Any, after: Any, answer: str) -> None:
    async def main() -> None:
        token = await cut_off(store(), replayable(model("Call 0123 ", 1000)), *map(cx.rewrite, before))
        source = replayable(model("Call 0123 ", "now"))
        events, stored = await gone_on(store(), source, *map(cx.rewrite, after), token=token)
        assert stored == answer
        assert {attempt for attempt, *_ in told(events)[1:]} == {1}

    run_virtual(main())
    assert [attempt for attempt, _ in attempts()] == [0, 1]


class All:
    """It gives all at once, or nothing."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def feed(self, text: str) -> str:
        return ""

    def finish(self) -> str:
        return self.answer


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "waits"])
def test_a_text_that_turns_out_shorter_begins_anew(store: Any, attempts: Any, waits: bool) -> None:
    async def main() -> None:
        token = await interrupted(
            store(), replayable(model("a", GONE)), cx.rewrite(lambda: All("too long"), waits=waits)
        )
        step = cx.rewrite(lambda: All("too"), waits=waits)
        events, answer = await gone_on(store(), replayable(model("a", "b")), step, token=token)
        assert answer == "too"
        assert told(events)[1:] == [(1, 0, 0, "too")]

    run_virtual(main())
    assert attempts() == [(0, "too long"), (1, "too")]


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "waits"])
def test_a_text_that_turns_out_empty_is_a_failure_and_the_partial_is_kept(
    store: Any, attempts: Any, waits: bool
) -> None:
    async def main() -> None:
        token = await interrupted(
            store(), replayable(model("a", GONE)), cx.rewrite(lambda: All("too long"), waits=waits)
        )
        backend = store()
        with pytest.raises(ResumableStreamError) as caught:
            await remembered(backend, replayable(model("a")), cx.rewrite(lambda: All(""), waits=waits), token=token)
        assert isinstance(caught.value.original_error, EmptyAnswer)
        await backend.close()

    run_virtual(main())
    assert attempts() == [(0, "too long")]


def test_prefill_goes_on_after_what_is_stored(store: Any) -> None:
    """The model never saw what was redacted; its rewriter begins where it continues."""

    async def main() -> None:
        token = await cut_off(store(), prefill(model("Call 0123 now", 1000)), cx.rewrite(Redacted))
        points: list[Any] = []
        source = prefill(model(" or 456", points=points))
        _, answer = await gone_on(store(), source, cx.rewrite(Redacted), token=token)
        assert answer == "Call # now or #"
        assert points[0].text == "Call # now"

    run_virtual(main())


def test_a_limit_that_cut_a_text_off_can_be_raised(store: Any, attempts: Any) -> None:
    """It continues behind what was shown, not behind what was read."""

    async def main() -> None:
        token = await interrupted(store(), replayable(model("one ", "two three")), cx.limit(6))
        points: list[Any] = []
        source = replayable(model("one ", "two three", points=points))
        events, answer = await gone_on(store(), source, cx.limit(100), token=token)
        assert answer == "one two three"
        assert told(events) == [(0, 6, 2, "one tw"), (0, 6, 2, "o three")]
        assert points[0].offset == 6

    run_virtual(main())
    assert attempts() == [(0, "one two three")]
