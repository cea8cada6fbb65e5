"""`observe`: hooks get the events in order, with correct numbers, and do not disturb the stream."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest

from cortex_rx import default_chain, from_stream
from cortex_rx import operators as cx
from cortex_rx.chain import declare, step
from cortex_rx.engine import run, stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import (
    CallbackError,
    ChainOrderError,
    EmptyAnswer,
    Fenced,
    InvalidArgument,
    NotStored,
    StoreUnavailable,
    StreamTimeout,
    StreamTooLong,
)
from cortex_rx.events import Begun, Delta, Ended, Opened, PartialStored, Problem, Remembered, Replayed
from cortex_rx.models.turn import Turn
from cortex_rx.operators._support.hook_runner import ChunkCall
from cortex_rx.retry.judge import is_transient
from cortex_rx.sources.model_stream import restart
from cortex_rx.testing import EPOCH, run_virtual

MS = timedelta(milliseconds=1)
NAMES = ("on_chunk", "on_progress", "on_error", "on_complete")


class Log:
    """Hooks that note what they are told, and when; the named ones take so long."""

    def __init__(self, **seconds):
        self.told, self.done = [], []
        self.seconds = seconds

    def hooks(self, *names):
        return {name: self.hook(name) for name in names or NAMES}

    def hook(self, name):
        async def slow(event):
            note(event)
            await asyncio.sleep(self.seconds[name])
            self.done.append((name, event))

        def note(event):
            self.told.append((asyncio.get_running_loop().time(), name, event))

        return slow if name in self.seconds else note

    def of(self, name):
        return [event for _, one, event in self.told if one == name]

    def one(self, name):
        (event,) = self.of(name)
        return event

    def times(self, name):
        return [at for at, one, _ in self.told if one == name]

    @property
    def names(self):
        return [name for _, name, _ in self.told]

    def __str__(self):
        lines = []
        for at, name, event in self.told:
            match name:
                case "on_chunk":
                    what = f"{event.chunk!r} @{event.offset}, up to chunk {event.chunk_number}: {event.accumulated!r}"
                case "on_progress":
                    what = f"{event.current_phase}: {event.bytes_processed} code points, {event.chunks} chunks"
                    what += f", {event.elapsed_ms:g} ms"
                case "on_error":
                    saved = "a part is saved" if event.partial_data_saved else "nothing is saved"
                    what = f"{event.phase} {event.code} at chunk {event.context.chunk_number}: {saved}"
                case _:
                    what = f"{event.full_response!r}, {event.total_chunks} chunks, {event.duration_ms:g} ms"
            lines.append(f"{at:6.2f} s  {name:11}  {what}")
        return "\n".join(lines)


def paced(*texts, pause=0.1):
    return [item for text in texts for item in (pause, text)]


# --- what they are told -----------------------------------------------------------------------------------------------


def test_a_whole_answer(lab, snapshot):
    log = Log()
    lab.store.fail("append", StoreUnavailable("away"))
    lab.store.slow("finalize", 0.5)

    async def main():
        source = lab.source(*paced("It is ", "in ", "Lis", "bon.", " Or", " so", pause=0.3))
        return await lab.play(source, default_chain(lab.store, {"hooks": log.hooks()}))

    outcome = lab.run(main, thorough=True)
    assert outcome.error is None
    assert outcome.kinds[-2:] == ["Remembered", "Measured"]
    assert str(log) == snapshot


def test_when_on_complete_is_called_everything_is_in_the_file(lab):
    lab.store.slow("finalize", 2.0)
    found = []

    def on_complete(event):
        rows = lab.in_the_file("memories:list")
        found.append((event.full_response, asyncio.get_running_loop().time(), [row["content"] for row in rows[::-1]]))

    async def main():
        chain = default_chain(lab.store, {"hooks": {"onComplete": on_complete}})
        return await lab.play(lab.source(*paced("Hello ", "Ada")), chain)

    outcome = lab.run(main)
    assert found == [("Hello Ada", pytest.approx(2.2), ["What is it?", "Hello Ada"])]
    assert outcome.times(Remembered) == [pytest.approx(2.2)]


def test_the_numbers_of_the_completion(lab):
    log = Log()

    async def main():
        source = lab.source(*paced("日本", "🎉 ", "ok", pause=0.5), 2.0)
        return await lab.play(source, cx.observe(**log.hooks("on_complete")))

    lab.run(main)
    event = log.one("on_complete")
    assert event.model_dump() == {
        "full_response": "日本🎉 ok",
        "total_chunks": 3,
        "duration_ms": pytest.approx(3500),
        "facts_extracted": 0,
    }
    assert event["fullResponse"] == event["full_response"] == event.full_response


@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_piece_of_a_burst_by_itself(lab, asynchronous):
    """A source that never waits, and hooks that return at once."""
    chunks = []

    async def hook(event):
        chunks.append(event)

    async def main():
        texts = [f"{number} " for number in range(300)]
        return await lab.play(lab.source(*texts), cx.observe(on_chunk=hook if asynchronous else chunks.append))

    outcome = lab.run(main)
    assert [chunk.chunk for chunk in chunks] == [delta.text for delta in outcome.of(Delta)]
    assert [chunk.chunk_number for chunk in chunks] == list(range(1, 301))
    assert [chunk.deltas for chunk in chunks] == [1] * 300
    at = ""
    for chunk in chunks:
        at += chunk.chunk
        assert (chunk.accumulated, chunk.offset, chunk.estimated_tokens) == (
            at,
            len(at) - len(chunk.chunk),
            -(-len(at) // 4),
        )


def test_a_function_that_returns_something_to_await_is_a_hook_too(lab):
    seen = []

    class Later:
        def __await__(self):
            yield from asyncio.sleep(0.01).__await__()
            seen.append("awaited")

    async def main():
        return await lab.play(lab.source("a"), cx.observe(on_chunk=lambda _: Later()))

    assert lab.run(main).codes == []
    assert seen == ["awaited"]


def test_a_text_that_begins_anew(lab):
    log = Log()
    script = [*lab.deltas("old", "er"), 0.1, *lab.deltas("new", attempt=1), 0.1, *lab.deltas("stale")]

    async def main():
        source = lab.events(lab.opened, *script, lab.ended("new", deltas=1))
        return await lab.play(source, cx.observe(**log.hooks("on_chunk", "on_complete")))

    lab.run(main)
    assert [(one.chunk, one.offset, one.chunk_number, one.accumulated) for one in log.of("on_chunk")] == [
        ("old", 0, 1, "old"), ("er", 3, 2, "older"), ("new", 0, 1, "new"),
    ]  # fmt: skip
    assert (log.one("on_complete").full_response, log.one("on_complete").total_chunks) == ("new", 1)


def test_what_is_replayed_is_not_told_again_but_counts(lab):
    log = Log()

    async def main():
        source = lab.events(
            lab.opened, Replayed("so far", 6, 3), *lab.deltas(", so good", index=3, offset=6),
            lab.ended("so far, so good", deltas=4)
        )  # fmt: skip
        return await lab.play(source, cx.observe(**log.hooks("on_chunk", "on_complete")))

    lab.run(main)
    (chunk,) = log.of("on_chunk")
    assert (chunk.chunk, chunk.accumulated, chunk.offset, chunk.chunk_number) == (", so good", "so far, so good", 6, 4)
    assert log.one("on_complete").full_response == "so far, so good"


# --- progress ---------------------------------------------------------------------------------------------------------


def test_progress_is_told_at_most_every_so_often(lab):
    log = Log()

    async def main():
        return await lab.play(lab.source(*paced(*"x" * 100)), cx.observe(**log.hooks("on_progress"), every=1000 * MS))

    lab.run(main)
    *running, last = log.times("on_progress")
    assert len(running) == 10 and running[0] == pytest.approx(0.1), "with the first text, then every second"
    gaps = [after - before for before, after in zip(running, running[1:], strict=False)]
    assert all(0.999 <= gap <= 1.101 for gap in gaps)
    assert last == pytest.approx(10.0)
    final = log.of("on_progress")[-1]
    assert (final.bytes_processed, final.chunks, final.current_phase) == (100, 100, "finalization")
    assert final.elapsed_ms == pytest.approx(10_000)


def test_when_it_should_be_complete(lab):
    """400 code points, ten a second after the first."""
    log = Log()

    async def main():
        observe = cx.observe(**log.hooks("on_progress"), every=1000 * MS, expected_length=400)
        return await lab.play(lab.source(5.0, *paced(*["x" * 10] * 50, pause=1.0)), observe)

    lab.run(main)
    first, *others = log.of("on_progress")
    assert first.estimated_completion is None, "from one piece there is no pace"
    until = (EPOCH + 6.0 + 39.0) * 1000
    assert [one.estimated_completion for one in others[:39]] == [pytest.approx(until, rel=0, abs=1)] * 39
    assert {one.estimated_completion for one in others[39:]} == {None}, "it has outgrown what was expected"


def test_without_an_expected_length_there_is_no_estimate(lab):
    log = Log()

    async def main():
        return await lab.play(lab.source(*paced("a", "b", "c")), cx.observe(**log.hooks("on_progress"), every=0 * MS))

    lab.run(main)
    assert [one.estimated_completion for one in log.of("on_progress")] == [None] * 4


def test_the_phase_follows_the_stream(lab):
    log = Log()

    async def main():
        chain = cx.chain(
            cx.begin(lab.store), cx.persist_partial(lab.store, 300 * MS), cx.finalize(lab.store),
            cx.observe(**log.hooks("on_progress"), every=0 * MS)
        )  # fmt: skip
        return await lab.play(lab.source(*paced(*"abcdefgh")), chain)

    outcome = lab.run(main)
    told = {Delta: "streaming", PartialStored: "storage", Ended: "finalization", Remembered: "finalization"}
    expected, over = [], False
    for event in outcome.events:
        if type(event) in told:
            over = over or type(event) is Ended
            expected.append("finalization" if over else told[type(event)])
    assert "storage" in expected
    assert [one.current_phase for one in log.of("on_progress")] == expected


# --- errors -----------------------------------------------------------------------------------------------------------


def test_side_work_that_fails(lab):
    log = Log()
    away = StoreUnavailable("away")
    lab.store.down("append", since=1.0, until=2.0)

    async def main():
        chain = default_chain(lab.store, {"hooks": log.hooks("on_error")})
        return await lab.play(lab.source(*paced(*["word "] * 30)), chain)

    outcome = lab.run(main)
    event = log.one("on_error")
    (problem,) = outcome.of(Problem)
    assert event.original_error is problem.error and type(event.original_error) is type(away)
    before = [one for one in outcome.of(PartialStored) if one.at <= 1.0]
    number = event.context.chunk_number
    assert event.model_dump() == {
        "code": "STORE_UNAVAILABLE",
        "message": problem.message,
        "recoverable": True,
        "phase": "storage",
        "partial_data_saved": True,
        "resume_token": outcome.one(Begun).token,
        "context": {
            "phase": "storage",
            "chunk_number": number,
            "bytes_processed": 5 * number,
            "partial_memory_id": outcome.one(Begun).memory_id,
            "last_successful_update": pytest.approx((EPOCH + before[-1].at) * 1000, rel=0, abs=0.01),
        },
    }
    assert number == sum(type(one) is Delta for one in outcome.events[: outcome.events.index(problem)])
    assert event["partialDataSaved"] is event["partial_data_saved"] is True


def test_a_stream_that_fails(lab):
    log = Log()
    gone = ConnectionResetError("a private text")

    async def main():
        return await lab.play(
            lab.source(*paced("Hel", "lo"), 1.0, gone), default_chain(lab.store, {"hooks": log.hooks()})
        )

    outcome = lab.run(main, thorough=True)
    assert outcome.error.original_error is gone
    assert "on_complete" not in log.names and log.names[-1] == "on_error"
    event = log.one("on_error")
    assert (event.code, event.message, event.phase) == (
        "ConnectionResetError",
        "ConnectionResetError was raised",
        "streaming",
    )
    assert (event.recoverable, event.partial_data_saved) == (True, True)
    assert (event.context.chunk_number, event.context.bytes_processed) == (2, 5)
    assert event.context.partial_memory_id == outcome.one(Begun).memory_id
    assert event.original_error is gone and "private" not in repr(event)
    assert event.resume_token == outcome.one(Begun).token and event.resume_token not in repr(event)


def test_what_was_not_saved_is_not_said_to_be(lab):
    log = Log()

    async def main():
        return await lab.play(
            lab.source("Hello", ValueError("x")),
            default_chain(lab.store, {"store_partial_response": False, "hooks": log.hooks()}),
        )

    lab.run(main)
    event = log.one("on_error")
    assert (event.partial_data_saved, event.recoverable, event.context.last_successful_update) == (False, False, None)


def test_an_answer_that_is_empty_is_an_error_and_not_complete(lab):
    log = Log()

    async def main():
        return await lab.play(
            lab.source(0.1, "  "), default_chain(lab.store, {"hooks": log.hooks("on_error", "on_complete")})
        )

    assert type(lab.run(main).error) is EmptyAnswer
    assert log.names == ["on_error"]
    assert (log.one("on_error").code, log.one("on_error").phase) == ("EMPTY_ANSWER", "finalization")


def test_a_failure_before_any_text(lab):
    log = Log()

    async def main():
        return await lab.play(lab.source(0.1, ValueError("x")), cx.observe(**log.hooks("on_error")))

    lab.run(main)
    assert (log.one("on_error").phase, log.one("on_error").context.partial_memory_id) == ("initialization", None)


def test_a_store_that_refuses_is_a_failure_of_storage(lab):
    log = Log()
    lab.store.fail("append", Fenced("another process owns it"))

    async def main():
        return await lab.play(
            lab.source(*paced(*["x"] * 20)), default_chain(lab.store, {"hooks": log.hooks("on_error")})
        )

    assert type(lab.run(main).error) is Fenced
    assert (log.one("on_error").code, log.one("on_error").phase, log.one("on_error").recoverable) == (
        "FENCED",
        "storage",
        False,
    )


@pytest.mark.parametrize("name", ["retry_if", "random"])
def test_what_a_function_of_resume_raises_is_told_as_a_bug(lab, name):
    log, bug = Log(), ConnectionError("the function's, and not the source's")

    def raises(*_):
        raise bug

    async def model(point):
        yield "a"
        raise ConnectionResetError

    async def main():
        source = from_stream(restart(model), turn=Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada"))
        return await lab.play(source, cx.chain(cx.resume(**{name: raises}), cx.observe(**log.hooks("on_error"))))

    error = lab.run(main).error
    event = log.one("on_error")
    assert type(error) is CallbackError and error.error is error.__cause__ is bug
    assert (event.code, event.phase, event.recoverable) == ("CALLBACK_ERROR", "streaming", False)
    assert event.original_error is error


def test_recoverable_is_of_the_work_while_the_answer_goes_on_and_of_the_error_that_ends_it(lab, make_lab):
    def told(lab, strategy):
        log = Log()

        async def main():
            begun = cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store), cx.recover(strategy, lab.store))
            chain = cx.chain(begun, cx.finalize(lab.store), cx.observe(**log.hooks("on_error")))
            return await lab.play(lab.source("Hello", ValueError("x")), chain)

        return lab.run(main), log.one("on_error")

    ended, failed = told(make_lab(), "store-partial")
    assert ended.error is not None and failed.recoverable is is_transient(failed.original_error) is False
    outcome, done_otherwise = told(lab, "best-effort")
    (problem,) = outcome.of(Problem)
    assert outcome.error is None and done_otherwise.recoverable is problem.recoverable is True
    assert type(done_otherwise.original_error) is ValueError


def raised(error, cause):
    error.__cause__ = cause
    return error


class TransportError(Exception):
    """As httpx's."""


class RemoteProtocolError(TransportError):
    """As httpx's, when a provider hangs up in the middle."""


CIRCLE = ValueError("a")
CIRCLE.__cause__ = raised(ValueError("b"), CIRCLE)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (StreamTimeout("idle", 5), True),
        (StoreUnavailable("away"), True),
        (raised(NotStored("x", "text"), StoreUnavailable("away")), True),
        (RemoteProtocolError(), True),
        (raised(ValueError(), raised(ValueError(), ConnectionError())), True),
        (NotStored("x", "text"), False),
        (ValueError(), False),
        (StreamTooLong(5), False),
        (Fenced("x"), False),
        (CIRCLE, False),
        (None, False),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bool) else str(value),
)
def test_what_may_go_well_the_next_time(error, answer):
    assert is_transient(error) is answer


# --- completion -------------------------------------------------------------------------------------------------------


def test_it_is_not_complete_unless_it_is_stored(lab):
    """A chain that begins an exchange and never finishes it."""
    log = Log()

    async def main():
        return await lab.play(lab.source("a"), cx.chain(cx.begin(lab.store), cx.observe(**log.hooks())))

    assert lab.run(main).error is None
    assert "on_complete" not in log.names


@pytest.mark.parametrize("stores", [False, True])
def test_it_is_not_complete_when_it_was_cut_off(lab, stores):
    from reactivex import operators as ops

    log = Log()

    async def main():
        cut = step("cut", ops.take(3), emits=[])
        storing = (cx.begin(lab.store), cx.finalize(lab.store)) if stores else ()
        return await lab.play(
            lab.source(*paced("a", "b", "c", "d")), cx.chain(cut, *storing, cx.observe(**log.hooks()))
        )

    outcome = lab.run(main)
    assert outcome.of(Ended) == [] and outcome.of(Delta) != []
    assert "on_complete" not in log.names
    assert log.names.count("on_error") == stores, "finalize says that it was cut off"


# --- no token waits, and nothing is left out
# ----------------------------------------------------------------------------


def test_no_token_waits_for_a_slow_hook(lab):
    log = Log(on_chunk=0.35, on_progress=5.0, on_error=3.0)

    async def main():
        return await lab.play(lab.source(*paced(*"abcdefghij")), cx.observe(**log.hooks(), every=0 * MS))

    outcome = lab.run(main)
    assert outcome.times(Delta) == pytest.approx([0.1 * number for number in range(1, 11)])


def test_what_waits_for_a_slow_hook_is_merged(lab, snapshot):
    """A hook that takes more than three times as long as the next piece: each call gets what came during the one
    before.
    """
    log = Log(on_chunk=0.34)

    async def main():
        return await lab.play(lab.source(*paced(*"abcdefghij")), cx.observe(**log.hooks("on_chunk")))

    lab.run(main)
    assert "".join(one.chunk for one in log.of("on_chunk")) == "abcdefghij"
    assert [one.deltas for one in log.of("on_chunk")] == [1, 3, 3, 3]
    assert str(log) == snapshot


def test_errors_stay_single_and_in_their_places(lab):
    log = Log(on_chunk=1.0)
    a, b, c, d, e = lab.deltas(*"abcde")
    problems = [Problem("storage", str(number), "x", recoverable=True) for number in range(3)]
    script = [a, 0.1, b, 0.1, problems[0], problems[1], 0.1, c, d, 0.1, problems[2], 0.1, e, 5.0]

    async def main():
        return await lab.play(lab.events(lab.opened, *script), cx.observe(**log.hooks("on_chunk", "on_error")))

    lab.run(main)
    told = [event.chunk if name == "on_chunk" else event.code for _, name, event in log.told]
    assert told == ["a", "b", "0", "1", "cd", "2", "e"]
    assert [one.context.chunk_number for one in log.of("on_error")] == [2, 2, 4]


def test_of_very_many_errors_the_first_ones_and_the_last_are_told(lab, caplog):
    log = Log(on_error=1.0)
    problems = [Problem("storage", str(number), "x", recoverable=True) for number in range(5000)]

    async def main():
        return await lab.play(
            lab.events(lab.opened, problems[0], 0.1, *problems[1:]),
            cx.observe(**log.hooks("on_error"), call_timeout=1000_000 * MS),
        )

    lab.run(main)
    codes = [one.code for one in log.of("on_error")]
    assert codes[:65] == [str(number) for number in range(65)] and codes[-1] == "4999"
    assert len(codes) < 1100
    assert f"{5000 - len(codes)} calls were left out (stream stream-1)" in caplog.text


def test_a_burst_before_the_end_is_told_in_time(lab, caplog):
    """300 pieces at once wait for a hook that takes 0.1 s and may take 10 s in all: half of the time piece by piece."""
    log = Log(on_chunk=0.1)

    async def main():
        return await lab.play(lab.source(*["ab"] * 300), cx.observe(**log.hooks("on_chunk", "on_complete")))

    outcome = lab.run(main)
    chunks = log.of("on_chunk")
    assert "".join(one.chunk for one in chunks) == "ab" * 300
    assert outcome.ended_at < 6 and len(log.done) == len(chunks)
    assert log.names[-1] == "on_complete"
    assert caplog.text == ""


def test_what_a_hook_that_hangs_holds(lab):
    """Of a long answer whose progress nobody waits for, no text; of its pieces, one list of a bounded length."""

    class Text(str):
        pass

    def play(**hooks):
        texts, most = [], []

        async def source(_):
            yield Opened(lab.turn, "stream-1", EPOCH)
            for number in range(20_000):
                text = Text("x" * 9)
                texts.append(weakref.ref(text))
                yield Delta(text, number, 9 * number, 0, 0.0)
                del text
                if number % 500 == 499:
                    await asyncio.sleep(0.01)
                    pieces = sum(isinstance(one, ChunkCall) for one in gc.get_objects())
                    most.append((sum(reference() is not None for reference in texts), pieces))

        async def main():
            await run(from_async_iterable(source).pipe(cx.observe(**hooks, every=0 * MS), cx.last()))

        run_virtual(main())
        return max(most)

    async def hang(_):
        await asyncio.get_running_loop().create_future()

    held = play(on_progress=hang, on_error=hang)
    assert held[0] < 10 and held[1] == 0
    held = play(on_chunk=hang)
    assert held[0] <= 2 * 1024 + 10 and held[1] <= 1024, "the text is held as one, but for the last pieces"


def test_the_text_is_held_once(lab):
    """All the events of an answer, kept by a hook that does not look into them, hold its text once."""
    kept = []

    async def main():
        await lab.play(lab.source(*["word "] * 1000), cx.observe(on_chunk=kept.append))

    lab.run(main)
    assert len(kept) == 1000 and len({id(one.so_far._growing[0]) for one in kept}) == 1
    assert kept[499].accumulated == "word " * 500
    assert kept[499].accumulated is kept[499].accumulated, "put together once"


def test_the_work_for_a_delta_does_not_grow():
    """Counted: lines of Python of this package that run for a stream of 1,000 deltas and of 8,000."""

    def lines(length):
        ran = 0

        def tracer(frame, event, _):
            nonlocal ran
            if frame.f_code.co_filename.endswith(("observe.py", "_watch.py", "_calls.py", "hooks.py")):
                ran += event == "line"
                return tracer
            return None

        async def model():
            for _ in range(length):
                yield "word "

        turn = Turn("space", "c-1", "Hi", agent_id="helper")
        observe = cx.observe(len_of, len_of, len_of, len_of)
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            run_virtual(run(from_stream(model, turn=turn).pipe(observe, cx.last())))
        finally:
            sys.settrace(before)
        return ran / length

    def len_of(event):
        return event.keys()

    small, large = lines(1000), lines(8000)
    assert 0 < large <= 1.1 * small


# --- hooks that fail, or hang
# ---------------------------------------------------------------------------------------------


def test_a_hook_that_fails_is_a_problem_once_and_called_again(lab, caplog):
    seen = []

    def on_chunk(event):
        seen.append(event.chunk)
        raise ValueError("a private text")

    async def main():
        return await lab.play(lab.source(*paced(*"abcde")), default_chain(lab.store, {"hooks": {"on_chunk": on_chunk}}))

    with caplog.at_level(logging.WARNING, "cortex_rx"):
        outcome = lab.run(main)
    assert outcome.error is None and outcome.text == "abcde" and seen == list("abcde")
    problem = outcome.one(Problem)
    assert (problem.phase, problem.code, problem.recoverable) == ("streaming", "HOOK_FAILED", True)
    assert problem.message == "on_chunk failed with ValueError; the answer goes on"
    assert isinstance(problem.error, ValueError)
    assert outcome.times(Problem) == [pytest.approx(0.1)], "at once"
    assert outcome.one(Remembered).memories[1].content == "abcde"
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["on_chunk failed with ValueError (stream stream-1)", "on_chunk failed 5 times (stream stream-1)"]


def test_each_hook_that_fails_is_a_problem_and_none_is_told_of_it(lab):
    called = []

    def fails(name):
        async def hook(event):
            called.append((name, getattr(event, "code", None)))
            raise RuntimeError(name)

        return hook

    async def main():
        script = [lab.opened, *lab.deltas("a"), Problem("storage", "X", "x", recoverable=True), lab.ended("a")]
        return await lab.play(lab.events(*script), cx.observe(**{name: fails(name) for name in NAMES}))

    outcome = lab.run(main)
    mine = [one for one in outcome.of(Problem) if one.code == "HOOK_FAILED"]
    assert sorted(one.message.split()[0] for one in mine) == sorted(NAMES)
    assert [code for name, code in called if name == "on_error"] == ["X"]
    assert [one.phase for one in mine if one.message.startswith("on_complete")] == ["finalization"]


@pytest.mark.parametrize("names", [("on_chunk",), NAMES], ids=["one", "all"])
def test_a_hook_that_hangs_does_not_hold_the_end_for_ever(lab, names):
    log = Log(**dict.fromkeys(names, 1e9))

    async def main():
        return await lab.play(lab.source(*paced("a", "b", "c")), cx.observe(**log.hooks(), call_timeout=2000 * MS))

    outcome = lab.run(main, thorough=True)
    assert outcome.error is None and outcome.text == "abc"
    assert outcome.times(Delta) == pytest.approx([0.1, 0.2, 0.3])
    assert log.names[-1] == "on_complete", "it is called all the same"
    assert outcome.ended_at <= 0.3 + 2 * (len(names) + 1)
    mine = outcome.of(Problem)
    assert sorted(one.message.split()[0] for one in mine) == sorted(set(log.names) & set(names))
    assert {type(one.error) for one in mine} == {TimeoutError}


def test_a_hook_that_hung_is_called_again_with_what_waited(lab):
    hung, seen = [], []

    async def on_chunk(event):
        if not hung:
            hung.append(event.chunk)
            await asyncio.sleep(1e9)
        seen.append(event.chunk)

    async def main():
        return await lab.play(lab.source(*paced(*"abcdefgh", pause=1.0)), cx.observe(on_chunk, call_timeout=3500 * MS))

    outcome = lab.run(main)
    assert (hung, seen) == (["a"], ["bcd", "e", "f", "g", "h"])
    assert len(outcome.of(Problem)) == 1


def test_a_hook_that_is_cancelled_within_fails(lab):
    async def on_chunk(event):
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    async def main():
        return await lab.play(lab.source(*paced("a", "b")), cx.observe(on_chunk))

    outcome = lab.run(main)
    assert outcome.error is None and outcome.text == "ab" and outcome.codes == ["HOOK_FAILED"]


def test_a_hook_that_cancels_its_task_fails_and_the_others_are_called(lab):
    log = Log()

    async def on_chunk(event):
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    async def main():
        hooks = log.hooks("on_progress", "on_complete")
        return await lab.play(lab.source(*paced("a", "b")), cx.observe(on_chunk, **hooks))

    outcome = lab.run(main, thorough=True)
    assert outcome.error is None and outcome.text == "ab" and outcome.codes == ["HOOK_FAILED"]
    assert log.names[-1] == "on_complete"


def test_a_hook_that_does_not_end_when_it_is_cancelled_does_not_hold_the_end(lab):
    let_go = []

    async def on_complete(event):
        while not let_go:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(100)

    async def main():
        outcome = await lab.play(lab.source("a"), cx.observe(on_complete=on_complete, call_timeout=2000 * MS))
        let_go.append(True)
        await asyncio.sleep(200)
        return outcome

    outcome = lab.run(main)
    assert outcome.error is None and outcome.codes == ["HOOK_FAILED"]
    assert outcome.ended_at <= 2 * 2 + 1


# --- stopped
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hangs", [False, True])
def test_stopped_it_tells_what_has_passed_and_leaves_nothing(lab, hangs):
    log = Log(on_chunk=1e9 if hangs else 0.15)

    async def main():
        source = lab.source(*paced(*"abcdefghij", pause=0.1))
        async with stream(source.pipe(cx.observe(**log.hooks()))) as events:
            async for event in events:
                if isinstance(event, Delta) and event.text == "e":
                    break
        return asyncio.get_running_loop().time()

    ended = lab.run(main, thorough=True)
    told = "".join(one.chunk for one in log.of("on_chunk"))
    assert told == ("a" if hangs else "abcde")
    assert ended == pytest.approx(1.5 if hangs else 0.75, abs=0.1)
    assert "on_complete" not in log.names and "on_error" not in log.names
    assert lab.model.closed == 1


def test_the_end_is_not_awaited_any_more_when_the_stream_is_stopped_meanwhile(lab):
    log = Log(on_complete=1e9)

    async def main():
        task = asyncio.create_task(lab.play(lab.source("a"), cx.observe(**log.hooks())))
        await asyncio.sleep(3.0)
        task.cancel()
        await asyncio.wait({task})
        return asyncio.get_running_loop().time()

    assert lab.run(main, thorough=True) == pytest.approx(4.0)
    assert log.names[-1] == "on_complete"


# --- how it is declared
# ---------------------------------------------------------------------------------------------------


@dataclass
class CortexHooks:
    """As the dataclass of Cortex's SDK."""

    on_chunk: object = None
    on_progress: object = None
    on_error: object = None
    on_complete: object = None


def test_the_option_takes_what_cortex_takes(lab):
    log = Log()
    hooks = log.hooks()
    spellings = {"onChunk": "on_chunk", "onProgress": "on_progress", "onError": "on_error", "onComplete": "on_complete"}
    camel = {name: hooks[snake] for name, snake in spellings.items()}
    chains = [default_chain(lab.store, {"hooks": given}) for given in (hooks, camel, CortexHooks(**hooks))]
    assert chains[0] == chains[1] == chains[2]
    assert chains[0].names == ("begin", "persist_partial", "recover", "finalize", "measure", "observe")
    assert chains[0]["observe"] == cx.observe(**hooks)


@pytest.mark.parametrize(
    "nothing", [{}, None, CortexHooks(), {"onChunk": None}], ids=["empty", "None", "dataclass", "None in it"]
)
def test_no_hooks_add_nothing(lab, nothing):
    assert default_chain(lab.store, {"hooks": nothing}) == default_chain(lab.store)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"onChunks": print},
         "StreamHooks: got 'onChunks'; accepted: on_chunk (the closest), "
         "or one of on_chunk, on_progress, on_error, on_complete, on_end"),
        ({"onChunk": "print"}, "on_chunk: got 'str'; accepted: a function, plain or async, or None"),
        ({"onChunk": print, "on_chunk": print},
         "on_chunk: got 'onChunk and on_chunk'; accepted: one spelling of the field, not both"),
        (print, "hooks: got 'builtin_function_or_method'; accepted: a StreamHooks, a mapping of its fields, or None"),
    ],
    ids=["unknown", "no function", "twice", "no mapping"],
)  # fmt: skip
def test_what_is_no_hook_is_refused_by_name(lab, given, said):
    with pytest.raises(InvalidArgument) as caught:
        default_chain(lab.store, {"hooks": given})
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "hooks"),
        ({"on_chunk": 5}, "on_chunk"),
        ({"on_chunk": print, "every": -1 * MS}, "every"),
        ({"on_chunk": print, "every": 5}, "every"),
        ({"on_chunk": print, "expected_length": 0}, "expected_length"),
        ({"on_chunk": print, "call_timeout": 0 * MS}, "call_timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_wrong_is_said_when_it_is_declared(wrong, field):
    with pytest.raises(InvalidArgument, match=f"^{field}: got "):
        cx.observe(**wrong)


def test_it_needs_opened_and_stands_behind_what_rewrites(lab):
    made = cx.observe(print)
    assert (made.name, made.needs, made.emits, made.captures_text) == ("observe", {Opened}, {Problem}, True)
    with pytest.raises(ChainOrderError, match="observe needs Opened"):
        cx.chain(made)(declare(lab.events(), [Delta]))
    with pytest.raises(ChainOrderError, match="limit rewrites the text, so it belongs before observe"):
        cx.chain(made, cx.limit(5))(lab.source("a"))


def test_two_of_them_see_each_their_own_place(lab):
    early, late = Log(), Log()

    async def main():
        chain = cx.chain(
            cx.observe(**early.hooks("on_error")).named("early"),
            cx.begin(lab.store),
            cx.observe(**late.hooks("on_error")),
        )
        lab.store.fail("begin", StoreUnavailable("away"))
        return await lab.play(lab.source(*paced("a", "b")), chain)

    lab.run(main)
    assert (early.names, late.names) == ([], ["on_error"])
