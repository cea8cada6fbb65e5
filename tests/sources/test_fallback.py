"""`fallback`: another model takes over when one fails, and nothing is shown twice, mixed or lost."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from cortex_rx import SqliteBackend, Turn, default_chain, fallback, from_stream, prefill, replayable, restart, run
from cortex_rx import operators as cx
from cortex_rx.backends.contract.typed import Memories, Streams
from cortex_rx.engine import stream
from cortex_rx.errors import CallbackError, InvalidArgument, ProviderError, StreamCutOff, StreamTimeout
from cortex_rx.events import Begun, Delta, Ended, Opened, Problem, Remembered, Resumed, from_json, to_json
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.models.records import MemoryEntry, Usage
from cortex_rx.sources import ResumeFrom
from cortex_rx.sources.providers import Finish
from cortex_rx.testing import run_virtual

TURN = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
S = timedelta(seconds=1)


class Http(Exception):
    def __init__(self, status):
        self.response = SimpleNamespace(status_code=status, headers={})


class Model:
    """Gives `texts`, then raises `error`; notes how it was asked and that it was closed."""

    def __init__(self, texts, error=None, pause=0.0, unclosed=None):
        self.texts, self.error, self.pause, self.unclosed = texts, error, pause, unclosed
        self.points, self.closed = [], 0

    async def __call__(self, point=None):
        self.points.append(point)
        try:
            for text in self.texts:
                await asyncio.sleep(self.pause)
                yield text
            if self.error:
                raise self.error
        finally:
            self.closed += 1
            if self.unclosed:
                raise self.unclosed


def everything(source, *steps):
    """All events, and the error."""

    async def main():
        seen = await run(from_stream(source, turn=TURN).pipe(*steps, ops.materialize(), ops.to_list()))
        return [one.value for one in seen if one.kind == "N"], getattr(seen[-1], "exception", None)

    return run_virtual(main())


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def text_of(events):
    """What a reader of the events shows in the end."""
    position, text = TextPosition(), ""
    for event in events:
        move = position.take(event)
        if move is Move.ANEW:
            text = ""
        if isinstance(event, Delta) and move is not Move.OTHER:
            assert event.offset == len(text)
            text += event.text
    return text


def test_the_model_and_the_usage_are_those_of_the_source_that_ended():
    def provider(item):
        return item if isinstance(item, str) else [item]

    def first():
        yield Finish(usage=Usage(input_tokens=7), model="first")
        yield "Good "
        raise ConnectionError

    source = fallback(restart(lambda point: first()), restart(lambda point: ["Hello", Finish("stop", None, "second")]))
    events = run_virtual(run(from_stream(source, turn=TURN, provider=provider).pipe(ops.to_list())))
    assert of(Ended, events) == [Ended("stop", 5, 1, None, "second")]


# --- how the text goes on


def test_with_restart_the_text_is_a_new_attempt():
    a, b = Model(["Good "], ConnectionError("secret")), Model(["Hello"])
    events, error = everything(fallback(restart(a), restart(b)))
    assert error is None and text_of(events) == "Hello"
    (resumed,), (problem,) = of(Resumed, events), of(Problem, events)
    assert resumed == Resumed(1, 1, 0, "ConnectionError", source=1)
    assert problem.phase == "streaming" and problem.error is a.error and problem.recoverable
    assert "secret" not in str(problem)
    assert len(of(Opened, events)) == 1 and a.closed == b.closed == 1
    assert (b.points[0].retry, b.points[0].cause) == (1, a.error)
    assert from_json(to_json(resumed)) == resumed


def test_with_prefill_it_goes_on():
    a, b = Model(["Good ", "day"], ConnectionError()), Model([", Ada"])
    events, error = everything(fallback(restart(a), prefill(b)))
    assert error is None and text_of(events) == "Good day, Ada"
    assert b.points[0].text == "Good day" and {delta.attempt for delta in of(Delta, events)} == {0}
    assert of(Resumed, events) == [Resumed(1, 0, 8, "ConnectionError", source=1)]
    assert [delta.index for delta in of(Delta, events)] == [0, 1, 2]


def test_with_replayable_the_same_text_goes_on_and_another_one_is_a_new_attempt():
    gone = ConnectionError()
    events, _ = everything(fallback(replayable(Model(["ab"], gone)), replayable(Model(["abc"]))))
    assert [delta.text for delta in of(Delta, events)] == ["ab", "c"]
    events, _ = everything(fallback(replayable(Model(["ab"], gone)), replayable(Model(["xbc"]))))
    assert text_of(events) == "xbc" and of(Resumed, events)[0].attempt == 1


def test_any_stream_and_any_function_may_take_over():
    async def opened():
        return Model(["c"])()

    for second in (lambda: iter(["c"]), lambda: ["c"], opened, Model(["c"])(), ["c"]):
        events, error = everything(fallback(lambda: Model(["a"], ConnectionError())(), second))
        assert error is None and text_of(events) == "c"


def test_one_that_fails_before_any_text_leaves_no_attempt():
    events, _ = everything(fallback(restart(Model([], ConnectionError())), restart(Model(["b"]))))
    assert of(Delta, events)[0].attempt == 0 and of(Resumed, events) == [Resumed(1, 0, 0, "ConnectionError", source=1)]


def test_three_in_turn():
    gone, away = ConnectionError(), Http(401)
    sources = [Model(["a"], gone), Model(["b"], away), Model(["c"])]
    events, error = everything(fallback(*map(prefill, sources)))
    assert error is None and text_of(events) == "abc"
    assert [(one.retry, one.source, one.cause) for one in of(Resumed, events)] == [
        (1, 1, "ConnectionError"),
        (2, 2, "Http"),
    ]
    assert [one.closed for one in sources] == [1, 1, 1]


def test_without_a_failure_nobody_is_asked():
    b = Model(["b"])
    events, _ = everything(fallback(restart(Model(["a"])), restart(b)))
    assert text_of(events) == "a" and not b.points and not of(Resumed, events)


# --- after which errors


@pytest.mark.parametrize(
    "error",
    [ConnectionError(), Http(503), Http(401), Http(404), ProviderError("x", "insufficient_quota"), RuntimeError("x")],
    ids=repr,
)
def test_a_failure_of_the_source_falls_back(error):
    assert text_of(everything(fallback(Model([], error), Model(["b"])))[0]) == "b"


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), CallbackError("x", ValueError())], ids=repr)
def test_a_bug_does_not(error):
    b = Model(["b"])
    events, failed = everything(fallback(Model(["a"], error), b))
    assert failed is error and not b.points


def test_when_decides():
    error = TypeError("x")
    only = lambda one: one is error  # noqa: E731
    assert text_of(everything(fallback(Model([], error), Model(["b"]), when=only))[0]) == "b"
    events, failed = everything(fallback(Model([], ConnectionError()), Model(["b"]), when=only))
    assert isinstance(failed, ConnectionError)
    events, failed = everything(fallback(Model([], ConnectionError()), Model(["b"]), when=lambda error: 1 / 0))
    assert isinstance(failed, CallbackError) and failed.step == "fallback"


def test_a_source_that_is_silent_for_too_long_falls_back():
    silent, b = Model(["a", "never"], pause=60), Model(["b"], pause=20)
    events, error = everything(fallback(restart(silent), restart(b)), cx.timeout(idle=30 * S))
    assert error is None and text_of(events) == "b"
    assert isinstance(of(Problem, events)[0].error, StreamTimeout)
    events, error = everything(fallback(Model(["a"] * 9, pause=10), Model(["b"], pause=20)), cx.timeout(total=30 * S))
    assert error is None and text_of(events) == "b", "the total time is that of each source"
    events, error = everything(fallback(silent, Model(["b"])), cx.timeout(idle=30 * S, then="end"))
    assert of(Ended, events)[0].reason == "timeout"


def test_a_stream_that_is_cut_off_falls_back_and_the_last_one_is_incomplete():
    def chunk(text):
        return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}

    events, error = everything(fallback(Model([chunk("a")]), Model(["b"])))
    assert error is None and text_of(events) == "b" and of(Ended, events)[0].reason == "stop"
    assert isinstance(of(Problem, events)[0].error, StreamCutOff)
    events, error = everything(fallback(Model([], ConnectionError()), Model([chunk("a")])))
    assert error is None and of(Ended, events)[0].reason == "incomplete"
    cut_off = fallback(replayable(Model([chunk("ab")])), replayable(Model([chunk("a")])))
    events, error = everything(cut_off)
    assert isinstance(error, StreamCutOff) and text_of(events) == "ab"


def test_an_error_of_closing_the_one_that_failed_stops_nobody():
    a = Model(["a"], ConnectionError(), unclosed=ValueError("x"))
    events, error = everything(fallback(a, Model(["b"]), when=lambda error: True))
    assert error is None and text_of(events) == "b"


# --- when all fail, and with `resume`


def test_when_all_fail_the_last_error_says_what_failed_before():
    def ask_large(point):
        raise ConnectionError("secret")

    last = Http(503)
    events, error = everything(fallback(restart(ask_large), restart(Model(["b"], last))))
    assert error is last and error.__notes__ == ["before it failed ask_large: ConnectionError"]
    assert [one.error for one in of(Problem, events)] != [last]


def test_with_resume_a_stream_that_was_read_is_passed_over():
    async def once():
        yield "a"
        raise ConnectionError

    openings = iter([["b", ConnectionError()], ["whole"]])

    async def again(point):
        for item in next(openings):
            if isinstance(item, Exception):
                raise item
            yield item

    events, error = everything(fallback(once(), restart(again)), cx.resume(3, timedelta(0)))
    assert (error, text_of(events)) == (None, "whole")


def test_with_resume_all_are_asked_again_from_the_first():
    a, b = Model(["a"], Http(401)), Model(["b"], ConnectionError())

    async def healed(point):
        b.error = None
        async for text in b(point):
            yield text

    events, error = everything(fallback(prefill(a), prefill(b)), cx.resume(2, S, random=lambda: 1.0))
    assert isinstance(error, ConnectionError) and len(a.points) == len(b.points) == 3
    assert text_of(events) == "ababab"
    a, b = Model(["a"], Http(401)), Model(["b"], ConnectionError())
    sources = fallback(prefill(a), prefill(lambda point: b(point) if not b.points else healed(point)))
    events, error = everything(sources, cx.resume(2, S, random=lambda: 1.0))
    assert error is None and text_of(events) == "abab"
    assert [one.retry for one in of(Resumed, events)] == [1, 2, 3]
    assert [one.source for one in of(Resumed, events)] == [1, 0, 1]


# --- stored


async def stored(backend):
    rows = await Memories(backend).list(memory_space_id="space", include_partial=True)
    return [row["content"] for row in rows if row["content"] != "Hi!"]


async def test_the_whole_chain():
    async with SqliteBackend(":memory:") as backend:
        a, b = Model(["Good ", "day"], ConnectionError()), Model(["Hello ", "Ada"])
        done = await run(from_stream(fallback(a, b), turn=TURN).pipe(default_chain(backend), cx.result()))
        assert done.full_response == "Hello Ada" and done.recovered and done.errors[0].code == "ConnectionError"
        assert await stored(backend) == ["Hello Ada"]


async def test_stopped_while_another_one_answers():
    a, b = Model(["a"], ConnectionError()), Model(["b"] * 1000, pause=0.001)
    shown = []
    async with SqliteBackend(":memory:") as backend:
        source = from_stream(fallback(prefill(a), prefill(b)), turn=TURN)
        async with stream(source.pipe(default_chain(backend), cx.text())) as texts:
            async for text in texts:
                shown.append(text)
                if len(shown) == 5:
                    break
        assert a.closed == b.closed == 1
        (kept,) = await stored(backend)
        assert kept.startswith("abbbb") and set(kept[1:]) == {"b"}


async def test_resumed_in_another_process_it_begins_with_the_first():
    async with SqliteBackend(":memory:") as backend:
        gone = ConnectionError()
        source = from_stream(fallback(prefill(Model(["a"], gone)), prefill(Model(["b"], gone))), turn=TURN)
        events = await run(source.pipe(default_chain(backend), ops.materialize(), ops.to_list()))
        token = of(Begun, [one.value for one in events if one.kind == "N"])[0].token
        a, b = Model([], gone), Model(["c"])
        resumed = from_stream(fallback(prefill(a), prefill(b)), resume=ResumeFrom(backend, "space", token))
        done = await run(resumed.pipe(default_chain(backend), cx.result()))
        assert (a.points[0].text, b.points[0].text) == ("ab", "ab")
        assert done.full_response == "abc" and await stored(backend) == ["abc"]


HOWS = {"restart": restart, "prefill": prefill}
PIECES = st.lists(st.sampled_from(["a", "bc", " ", "d ", "é"]), max_size=4)
SOURCES = st.lists(st.tuples(st.sampled_from(sorted(HOWS)), PIECES), min_size=2, max_size=4)


@given(SOURCES, st.booleans(), st.booleans())
def test_whatever_fails_where_what_is_shown_is_stored_and_no_text_is_doubled(sources, last_fails, keeps):
    """Every source but the last one fails after its pieces; numbers make the text of each source its own.

    What was shown stays until another source gives text, or completes.
    """
    expected, text, texts = "", "", []
    for number, (how, pieces) in enumerate(sources):
        own = [piece + str(number) for piece in pieces]
        texts.append(own)
        text = ("" if how == "restart" else text) + "".join(own)
        if own or (number == len(sources) - 1 and not last_fails):
            expected = text
    models = [
        Model(own, ConnectionError() if last_fails or number < len(sources) - 1 else None)
        for number, own in enumerate(texts)
    ]
    made = [HOWS[how](model) for (how, _), model in zip(sources, models)]

    async def main():
        async with SqliteBackend(":memory:") as backend:
            chain = default_chain(backend, {"partial_response_interval": 1})
            chain = chain if keeps else chain.without("persist_partial", "recover")
            seen = await run(from_stream(fallback(*made), turn=TURN).pipe(chain, ops.materialize(), ops.to_list()))
            events = [one.value for one in seen if one.kind == "N"]
            assert text_of(events) == expected
            streams = Streams(backend)
            (opened,) = of(Opened, events)
            kept = await streams.get(stream_id=opened.stream_id, memory_space_id="space")
            assert [model.closed for model in models] == [1] * len(models)
            if of(Remembered, events):
                answer = of(Remembered, events)[0].memories[-1]
                assert isinstance(answer, MemoryEntry) and answer.content == expected
            elif keeps and expected:
                assert await stored(backend) == [expected]
            assert kept is not None

    asyncio.run(main())


def test_what_is_refused():
    a = Model(["a"])
    with pytest.raises(InvalidArgument, match="sources: got 1; accepted: two sources or more"):
        fallback(a)
    with pytest.raises(InvalidArgument, match="one fallback of all sources"):
        fallback(a, fallback(a, a))
    with pytest.raises(InvalidArgument, match="a stream of text"):
        fallback(a, "text")
    with pytest.raises(InvalidArgument, match="when"):
        fallback(a, a, when=5)
