"""What a step gets from stock operators is checked: events, of one stream, none lost; and nothing shown is lost."""

import asyncio
import pickle
from dataclasses import replace
from datetime import timedelta

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from cortex_rx import Delta, Ended, SqliteBackend, Turn, default_chain, from_stream, remember_stream, run
from cortex_rx import operators as cx
from cortex_rx.backends.contract.typed import Memories
from cortex_rx.engine import passing
from cortex_rx.errors import ChainOrderError, EventsLost, InvalidArgument, NotAnEvent, NotStored, SecondStream
from cortex_rx.events import Begun, Custom, Opened, Remembered
from cortex_rx.retry.judge import judge

TURN = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
WORDS = ["one ", "two ", "three "]


def source(error=None):
    async def words():
        for word in WORDS:
            await asyncio.sleep(0)
            yield word
        if error:
            raise error

    return from_stream(words, turn=TURN)


async def outcome(make):
    """What `make(backend)` showed, what is stored of the answer, and the error."""
    shown, error = [], None
    async with SqliteBackend(":memory:") as backend:
        tap = ops.do_action(lambda event: shown.append(event.text) if isinstance(event, Delta) else None)
        try:
            await asyncio.wait_for(run(make(backend).pipe(tap)), 20)
        except Exception as failed:
            error = failed
        rows = await Memories(backend).list(memory_space_id="space", include_partial=True)
    return "".join(shown), "".join(row["content"] for row in rows if row["content"] != "Hi!"), error


def kind(*kinds):
    return lambda event: isinstance(event, kinds)


# --- two sources in one chain

JOINED = {
    "catch": lambda: source(ConnectionError()).pipe(ops.catch(source())),
    "on_error_resume_next": lambda: source(ConnectionError()).pipe(ops.on_error_resume_next(source())),
    "retry": lambda: source(ConnectionError()).pipe(ops.retry(2)),
    "concat": lambda: rx.concat(source(), source()),
    "repeat": lambda: source().pipe(ops.repeat(2)),
    "merge": lambda: rx.merge(source(), source()),
}


@pytest.mark.parametrize("how", JOINED)
async def test_a_second_stream_is_refused_at_once_and_what_was_shown_is_kept(how):
    shown, stored, error = await outcome(lambda backend: JOINED[how]().pipe(default_chain(backend)))
    assert isinstance(error, SecondStream) and error.step == "begin"
    assert "fallback(a, b)" in str(error) and "resume()" in str(error)
    assert shown == stored == ("" if how == "merge" else "".join(WORDS))


async def test_the_error_carries_the_text_that_is_not_durable():
    for sink in (cx.measure(), cx.result()):
        shown, stored, error = await outcome(
            lambda backend: JOINED["catch"]().pipe(cx.begin(backend), cx.finalize(backend), sink)  # noqa: B023
        )
        assert isinstance(error, SecondStream) and stored == ""
        assert (error.text, error.offset) == ("".join(WORDS), 0)
        assert "two" not in str(error)
    shown, stored, error = await outcome(lambda backend: JOINED["catch"]().pipe(default_chain(backend), cx.result()))
    assert stored == "".join(WORDS) and (error.text, error.offset) == ("", len(stored))


async def test_after_the_first_answer_was_remembered_it_stays():
    shown, stored, error = await outcome(lambda b: rx.concat(source(), source()).pipe(default_chain(b), cx.result()))
    assert isinstance(error, SecondStream) and stored == "".join(WORDS)


@pytest.mark.parametrize("sink", [cx.text(), cx.result(), cx.last()], ids=repr)
async def test_a_sink_refuses_it_too(sink):
    with pytest.raises(SecondStream, match=f"^{sink.name} got"):
        await run(JOINED["concat"]().pipe(sink))


async def test_an_answer_refuses_it_too():
    async with SqliteBackend(":memory:") as backend:

        def twice(observable):
            return default_chain(backend)(observable).pipe(ops.repeat(2))

        answer = remember_stream(
            lambda: iter(WORDS),
            backend=backend,
            chain=twice,
            memory_space_id="space",
            conversation_id="c-1",
            user_message="Hi!",
            user_id="ada",
            user_name="Ada",
        )
        with pytest.raises(SecondStream, match="the Answer got a second Opened"):
            await answer


# --- what is no event


async def test_what_is_no_event_is_refused_at_the_first():
    shown, stored, error = await outcome(lambda backend: rx.of("secret", "b").pipe(default_chain(backend)))
    assert isinstance(error, NotAnEvent) and (error.step, error.kind) == ("begin", "str")
    assert "type str" in str(error) and "secret" not in str(error) and "text() stands at its end" in str(error)

    def words(upstream):
        return passing(lambda emit, flow, end: (lambda event: emit(getattr(event, "text", "")), None))(upstream)

    _, _, error = await outcome(lambda backend: source().pipe(words, default_chain(backend)))
    assert isinstance(error, NotAnEvent) and error.step == "begin"
    for sink in (cx.text(), cx.result(), cx.last()):
        with pytest.raises(NotAnEvent):
            await run(rx.of("a").pipe(sink))


async def test_events_before_it_are_kept():
    def spoilt(upstream):
        return upstream.pipe(ops.flat_map(lambda event: rx.of("x") if isinstance(event, Ended) else rx.of(event)))

    shown, stored, error = await outcome(lambda backend: source().pipe(spoilt, default_chain(backend)))
    assert isinstance(error, NotAnEvent)
    assert shown == stored == "".join(WORDS)


def test_a_sink_stands_last():
    with pytest.raises(ChainOrderError, match=r"begin gets what text\(\) makes of the events"):
        source().pipe(cx.text(), cx.begin(SqliteBackend(":memory:")))
    with pytest.raises(ChainOrderError, match=r"last gets what text\(\) makes"):
        source().pipe(cx.text(), cx.last())
    with pytest.raises(ChainOrderError, match=r"text\(\) is a sink and stands last"):
        source().pipe(cx.text(), cx.chain(cx.measure()))
    for given_ in (lambda: cx.chain(cx.measure(), cx.text()), lambda: cx.step("words", cx.text())):
        with pytest.raises(InvalidArgument, match=r"text\(\) is a sink and ends a pipeline"):
            given_()
    with pytest.raises(InvalidArgument, match="is a sink"):
        cx.chain(cx.measure()).before("measure", cx.result())


async def test_nothing_at_all_is_refused():
    _, _, error = await outcome(lambda backend: rx.empty().pipe(default_chain(backend), cx.result()))
    assert isinstance(error, EventsLost) and error.event is None and "begin got no event at all" in str(error)


# --- a function that makes an operator, in the place of an operator


@cx.operator()
def words():
    return ops.map(lambda event: event)


def test_a_function_that_makes_an_operator_says_so():
    chain = cx.chain(cx.measure())
    for wrong in (
        lambda: cx.chain(words),
        lambda: source().pipe(words),
        lambda: chain.before("measure", words),
        lambda: chain.after("measure", words),
        lambda: chain.replace("measure", words),
        lambda: cx.step("words", words),
    ):
        with pytest.raises(InvalidArgument, match=r"words\(\), with its arguments: words makes an operator"):
            wrong()
    for wrong in (lambda: cx.chain(cx.text), lambda: source().pipe(cx.text), lambda: source().pipe(cx.measure)):
        with pytest.raises(InvalidArgument, match="makes an operator"):
            wrong()
    with pytest.raises(InvalidArgument, match="was a function that makes one given, and not called"):
        asyncio.run(run(cx.step("count", ops.count)(source())))
    with pytest.raises(InvalidArgument, match="an Observable: was an operator given without"):
        cx.measure()(cx.measure())


# --- events that a stock operator drops, moves or repeats


def dropped(*kinds):
    return ops.filter(lambda event: not isinstance(event, kinds))


LOST = {
    "Opened, before the chain": ("Opened", "begin", lambda b: [dropped(Opened), default_chain(b)]),
    "Ended, before the chain": ("Ended", "begin", lambda b: [dropped(Ended), default_chain(b)]),
    "Begun": ("Begun", "finalize", lambda b: [cx.begin(b), dropped(Begun), cx.finalize(b)]),
    "all but text": ("Opened", "finalize", lambda b: [cx.begin(b), ops.filter(kind(Delta)), cx.finalize(b)]),
    "what is throttled": ("Begun", "finalize", lambda b: [cx.begin(b), ops.throttle_first(1.0), cx.finalize(b)]),
    "what is sampled": ("Opened", "finalize", lambda b: [cx.begin(b), ops.debounce(5.0), cx.finalize(b)]),
    "Remembered": ("Remembered", "result", lambda b: [default_chain(b), dropped(Remembered), cx.result()]),
    "text": ("Delta", "begin", lambda b: [ops.filter(lambda e: getattr(e, "index", 0) != 1), default_chain(b)]),
}


@pytest.mark.parametrize("what", LOST)
async def test_an_event_that_is_lost_is_named(what):
    event, step, make = LOST[what]
    shown, stored, error = await outcome(lambda backend: source().pipe(*make(backend)))
    assert isinstance(error, EventsLost) and (error.event, error.step) == (event, step)
    assert "throttle_first, sample, debounce" in str(error)
    assert shown in stored


def own(react):
    """An operator of a user, in the forms of the engine: `react(event, emit)` for each event."""
    return passing(lambda emit, flow, end: (lambda event: react(event, emit), None))


async def test_an_operator_of_a_user_is_looked_at_too():
    def twice(event, emit):
        emit(event)
        if isinstance(event, Delta):
            emit(event)

    def forgetful(event, emit):
        if not isinstance(event, Delta) or event.index != 1:
            emit(event)

    def shout(event, emit):
        emit(replace(event, text=event.text.upper()) if isinstance(event, Delta) else event)

    @cx.operator(rewrites=True)
    def louder():
        return own(shout)

    @cx.operator(rewrites=True)
    def fewer():
        return own(forgetful)

    for react in (twice, forgetful, shout):
        for before in (True, False):
            parts = (lambda b: [own(react), default_chain(b)]) if before else None  # noqa: B023
            between = lambda b: [default_chain(b)[:2], own(react), default_chain(b)[2:]]  # noqa: B023, E731
            shown, stored, error = await outcome(lambda backend: source().pipe(*(parts or between)(backend)))  # noqa: B023
            if before and react is shout:  # new text, which is not yet stored
                assert error is None and shown == stored == "ONE TWO THREE "
            else:
                assert isinstance(error, EventsLost) and error.event == "Delta", (react, before)
                assert stored.startswith(shown)
    for step, text in ((louder(), "ONE TWO THREE "), (fewer(), "one three ")):
        shown, stored, error = await outcome(lambda backend: source().pipe(step, default_chain(backend)))  # noqa: B023
        assert error is None and shown == stored == text


async def test_what_may_be_dropped_and_changed():
    chains = {
        "events that no step needs": lambda b: [dropped(Custom), default_chain(b)],
        "a step that says so": lambda b: [
            cx.step("even", ops.filter(lambda e: not isinstance(e, Delta) or e.index % 2 == 0), rewrites=True),
            default_chain(b),
        ],
        "a map before the chain": lambda b: [
            ops.map(lambda e: replace(e, text=e.text.upper()) if isinstance(e, Delta) else e),
            default_chain(b),
        ],
        "events of a user": lambda b: [ops.start_with(Custom("x")), default_chain(b)],
        "held, in order": lambda b: [ops.delay(0.001), default_chain(b)],
    }
    for name, make in chains.items():
        shown, stored, error = await outcome(lambda backend: source().pipe(*make(backend)))  # noqa: B023
        assert error is None and shown == stored and shown, name


async def test_a_stream_that_an_operator_ends_early_says_so():
    shown, stored, error = await outcome(lambda b: source().pipe(ops.take(3), default_chain(b), cx.result()))
    assert isinstance(error, NotStored) and "ended the stream early (take), or dropped Ended" in str(error)
    assert stored == error.text == "one two "


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.booleans())
def test_whatever_an_operator_does_to_the_text_what_is_shown_is_stored_or_the_error_names_it(order, store_first):
    """`order` says which of ten deltas come, in which order and how often."""

    def shuffled(upstream):
        def chosen(events):
            deltas = [event for event in events if isinstance(event, Delta)]
            first = [event for event in events if isinstance(event, Opened | Begun)]
            rest = [event for event in events if not isinstance(event, Delta | Opened | Begun)]
            return rx.from_iterable([*first, *(deltas[at] for at in order), *rest])

        return upstream.pipe(ops.to_list(), ops.flat_map(chosen))

    async def main():
        texts = [f"{n}," for n in range(10)]
        parts = [cx.persist_partial] if store_first else []

        def make(backend):
            before = [part(backend, timedelta(0)) for part in parts]
            return from_stream(texts, turn=TURN).pipe(cx.begin(backend), *before, shuffled, cx.finalize(backend))

        return await outcome(make)

    shown, stored, error = asyncio.run(main())
    if order == list(range(10)):
        assert error is None and shown == stored
    else:
        assert isinstance(error, EventsLost) and error.event == "Delta" and "Delta" in str(error)
        assert not store_first or stored.startswith(shown)
        assert store_first or error.text == shown


def test_the_errors_are_mistakes_of_the_caller_and_travel():
    for error in (SecondStream("begin"), NotAnEvent("begin", "str"), EventsLost("finalize", "Begun", "begin")):
        error.text = "secret"
        assert judge(error).as_is
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.step) == (type(error), str(error), error.step)
        assert "secret" not in repr(error)
