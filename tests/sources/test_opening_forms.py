"""Every form of a source gives the same events; what can be opened again is, and what is no stream is refused at
once.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import enum
import functools
import subprocess
import sys
import threading

import pytest
import reactivex as rx
from pydantic import BaseModel
from reactivex import operators as ops
from reactivex.subject import Subject

from cortex_rx import Turn, from_stream, run
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import InvalidArgument, SourceConsumed
from cortex_rx.events import Delta, Ended, Opened
from cortex_rx.sources.model_stream import new_id, stream_id_of
from cortex_rx.testing import EPOCH, assert_no_leaks, run_virtual

TEXTS = ["Hello ", "wide ", "world"]


async def model():
    for text in TEXTS:
        yield text


class Iterable:
    """Async, and no generator."""

    def __aiter__(self):
        return model()


class Iterator:
    """Async, with no way to close it."""

    def __init__(self):
        self.left = list(TEXTS)

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


async def awaited(stream):
    await asyncio.sleep(0)
    return stream


@contextlib.asynccontextmanager
async def opened(stream=None):
    yield model() if stream is None else stream


class Both:
    """Awaitable, and an async context manager: an awaited one must be closed by the caller, so it is entered."""

    def __await__(self):
        raise AssertionError("it is to be entered")
        yield

    async def __aenter__(self):
        return model()

    async def __aexit__(self, *_):
        return None


async def factory():
    return model()


class Callable:
    async def __call__(self):
        return Iterable()


class Texts(enum.Enum):
    A, B, C = TEXTS


def future():
    done = asyncio.get_running_loop().create_future()
    done.set_result(model())
    return done


FORMS = {
    "async generator": model,
    "async iterable": Iterable,
    "async iterator": Iterator,
    "list": lambda: list(TEXTS),
    "tuple": lambda: tuple(TEXTS),
    "iterator": lambda: iter(TEXTS),
    "generator": lambda: (text for text in TEXTS),
    "observable": lambda: rx.from_iterable(TEXTS),
    "observable of the engine": lambda: from_async_iterable(lambda _: model()),
    "observable that waits": lambda: rx.interval(0.001).pipe(ops.take(3), ops.map(TEXTS.__getitem__)),
    "coroutine": factory,
    "coroutine of a list": lambda: awaited(list(TEXTS)),
    "coroutine of an observable": lambda: awaited(rx.from_iterable(TEXTS)),
    "coroutine of a context manager": lambda: awaited(opened()),
    "future": future,
    "context manager": opened,
    "context manager of a generator": lambda: opened(text for text in TEXTS),
    "context manager of an observable": lambda: opened(rx.from_iterable(TEXTS)),
    "awaitable context manager": Both,
}


def plain(events):
    return [(event.text, event.index, event.offset, event.attempt) for event in events if type(event) is Delta]


def complete(came):
    assert came.error is None
    assert [type(event) for event in came.events] == [Opened, Delta, Delta, Delta, Ended]
    assert plain(came.events) == [("Hello ", 0, 0, 0), ("wide ", 1, 6, 0), ("world", 2, 11, 0)]
    assert came.events[-1] == Ended("stop", 16, 3, None)
    return True


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_gives_the_same_events_once(kit, form):
    source = FORMS[form]()
    async with assert_no_leaks():
        stream = from_stream(source, turn=kit.TURN)
        assert complete(await kit.everything(stream))
        again = await kit.everything(stream)
        assert again.events == []  # nothing was shown, and nothing stored
        assert type(again.error) is SourceConsumed
        assert "from_stream(lambda: client.stream(...), turn=...)" in str(again.error)
        assert type(source).__name__ in str(again.error)


@pytest.mark.parametrize("form", FORMS)
async def test_a_factory_of_every_form_can_be_opened_again(kit, form):
    async with assert_no_leaks():
        stream = from_stream(FORMS[form], turn=kit.TURN)
        first, second = await kit.everything(stream), await kit.everything(stream)
        assert complete(first) and complete(second)
        assert first.events[0].stream_id != second.events[0].stream_id


@pytest.mark.parametrize(
    "factory",
    [
        factory,
        model,
        functools.partial(awaited, TEXTS),
        Callable(),
        Iterator,
        Iterable,
        lambda: awaited(iter(TEXTS)),
        lambda: awaited(opened()),
    ],
    ids="function generator partial callable iterator iterable lambda awaitable".split(),
)
async def test_functions_classes_partials_and_callables_are_factories(kit, factory):
    stream = from_stream(factory, turn=kit.TURN)
    came = await kit.everything(stream.pipe(ops.repeat(2)))
    half = len(came.events) // 2
    for events in (came.events[:half], came.events[half:]):
        assert plain(events) == [("Hello ", 0, 0, 0), ("wide ", 1, 6, 0), ("world", 2, 11, 0)]


async def test_a_class_that_can_be_iterated_over_is_no_factory(kit):
    came = await kit.read(Texts, provider=lambda member: member.value)
    assert came.texts == TEXTS


async def test_two_readers_at_once_have_a_stream_each(kit):
    stream = from_stream(model, turn=kit.TURN)
    for came in await asyncio.gather(kit.everything(stream), kit.everything(stream)):
        assert complete(came)


class Sync:
    """A sync iterable that notes in which thread it is asked for what, and how often it is closed."""

    def __init__(self, texts, fails=None):
        self.texts, self.fails, self.calls, self.asked = texts, fails, [], []

    def note(self, what):
        self.calls.append((what, threading.get_ident()))

    def __iter__(self):
        self.note("iter")
        return Numbers(self)

    def close(self):
        self.note("close")


class Numbers:
    def __init__(self, owner):
        self.owner, self.left = owner, list(owner.texts)

    def __iter__(self):
        return self

    def __next__(self):
        self.owner.note("next")
        if not self.left:
            if self.owner.fails:
                raise self.owner.fails
            raise StopIteration
        return self.left.pop(0)

    def close(self):
        self.owner.note("close iterator")


@pytest.mark.parametrize("fails", [None, ValueError("broken")])
async def test_a_sync_iterable_is_read_and_closed_in_one_other_thread(kit, fails):
    source = Sync(TEXTS, fails)
    async with assert_no_leaks():
        came = await kit.read(source)
    assert came.text == "Hello wide world" and came.error is fails
    assert [what for what, _ in source.calls] == ["iter", *["next"] * 4, "close iterator", "close"]
    (thread,) = {thread for _, thread in source.calls}
    assert thread != threading.get_ident()


async def test_a_sync_iterable_is_read_item_by_item_at_the_pace_of_the_reader(kit):
    source = Sync(["a"] * 100)
    came = await kit.read(source, ops.filter(lambda event: type(event) is Delta), ops.take(3))
    assert came.text == "aaa"
    asked = [what for what, _ in source.calls].count("next")
    assert asked <= 4  # one ahead
    assert [what for what, _ in source.calls[-2:]] == ["close iterator", "close"]


async def test_a_sync_generator_runs_its_finally_in_its_thread_and_sees_the_context_of_the_caller(kit):
    asked = contextvars.ContextVar("asked")
    asked.set("by Ada")
    seen = []

    def generator():
        try:
            while True:
                seen.append((asked.get(), threading.current_thread().name))
                yield "a"
        finally:
            seen.append(("closed", threading.current_thread().name))

    async with assert_no_leaks():
        await kit.read(generator, ops.take(4))
    assert {what for what, _ in seen[:-1]} == {"by Ada"} and seen[-1][0] == "closed"
    assert {name for _, name in seen} == {"cortex_rx-source"}


async def test_what_is_in_memory_needs_no_thread(kit):
    threads = []
    before = threading.active_count()
    came = await kit.read(TEXTS, ops.do_action(lambda _: threads.append(threading.active_count())))
    assert complete(came) and set(threads) == {before}


async def test_an_observable_that_pushes_from_another_thread(kit):
    subject, subscribed = Subject(), threading.Event()
    loop_thread = threading.get_ident()
    seen = []

    def push():
        subscribed.wait(10)
        for number in range(1000):
            subject.on_next(f"{number} ")
        subject.on_completed()

    source = rx.defer(lambda _: (subscribed.set(), subject)[1])
    thread = threading.Thread(target=push)
    thread.start()
    async with assert_no_leaks():
        came = await kit.read(source, ops.do_action(lambda _: seen.append(threading.get_ident())))
    thread.join()
    assert came.text == "".join(f"{number} " for number in range(1000)) and came.ended.index == 1000
    assert set(seen) == {loop_thread}


@pytest.mark.parametrize("thread", [False, True])
async def test_an_observable_that_fails_gives_first_what_it_had_pushed(kit, thread):
    error = OSError("reset")
    failing = rx.from_iterable(TEXTS).pipe(ops.concat(rx.throw(error)))
    if thread:

        def subscribe(observer, scheduler=None):
            def work():
                for text in TEXTS:
                    observer.on_next(text)
                observer.on_error(error)

            threading.Thread(target=work).start()

        failing = rx.create(subscribe)
    came = await kit.read(failing)
    assert came.texts == TEXTS and came.error is error and came.of(Ended) == []


async def test_an_observable_is_disposed_of_when_the_reader_leaves_and_hears_nothing_then(kit):
    subject, gone = Subject(), []
    source = subject.pipe(ops.finally_action(lambda: gone.append(True)))

    async def push():
        while not gone:
            subject.on_next("a")
            await asyncio.sleep(0)
        subject.on_next("b")

    pushing = asyncio.create_task(push())
    async with asyncio.timeout(10):
        came = await kit.read(source, ops.take(5))
        await pushing
    assert came.text == "aaaa" and gone == [True] and subject.observers == []


def test_an_observable_of_the_engine_waits_for_the_reader_and_is_closed_before_the_end_is_passed_on(kit):
    ahead, log, read = [], [], 0

    async def endless():
        nonlocal read
        try:
            while True:
                read += 1
                yield "a"
        finally:
            await asyncio.sleep(1)
            log.append("closed")

    async def main():
        from cortex_rx import stream

        source = from_stream(from_async_iterable(lambda _: endless()), turn=kit.TURN)
        async with stream(source.pipe(ops.take(200), ops.do_action(on_completed=lambda: None)), capacity=1) as events:
            async for event in events:
                if type(event) is Delta:
                    await asyncio.sleep(0.01)
                    ahead.append(read - event.index)
        log.append("done")

    run_virtual(main())
    assert max(ahead) <= 40 and len(ahead) == 199  # its mailbox holds 32
    assert log == ["closed", "done"]


REFUSED = {
    "text": "Hello",
    "bytes": b"Hello",
    "bytearray": bytearray(b"Hello"),
    "memoryview": memoryview(b"Hello"),
    "number": 7,
    "None": None,
    "dict": {"choices": []},
    "model": Turn,
}


@pytest.mark.parametrize("what", [name for name in REFUSED if name != "model"])
def test_what_is_no_stream_is_refused_before_anything_runs(kit, what):
    with pytest.raises(InvalidArgument) as caught:
        from_stream(REFUSED[what], turn=kit.TURN)
    assert caught.value.field == "source"
    assert caught.value.given == type(REFUSED[what]).__name__  # and not its text
    assert "Hello" not in str(caught.value)


def test_a_whole_answer_in_the_place_of_a_stream_is_explained(kit):
    class ChatCompletion(BaseModel):
        text: str = "secret"

    with pytest.raises(InvalidArgument, match="'ChatCompletion'.*stream=True") as caught:
        from_stream(ChatCompletion(), turn=kit.TURN)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("what", ["text", "bytes", "number", "None", "dict"])
async def test_what_a_factory_opened_is_looked_at_in_the_same_way(kit, what):
    for source in (lambda: REFUSED[what], lambda: awaited(REFUSED[what]), lambda: opened(REFUSED[what] or 5)):
        came = await kit.read(source)
        assert [type(event) for event in came.events] == [Opened]
        assert isinstance(came.error, InvalidArgument) and came.error.field == "source"


async def test_a_factory_of_a_factory_is_no_stream(kit):
    came = await kit.read(lambda: model)
    assert isinstance(came.error, InvalidArgument) and "function" in str(came.error)


@pytest.mark.parametrize(
    ("keyword", "value"), [("turn", {"memory_space_id": "s"}), ("provider", "openai"), ("make_id", "stream-1")]
)
def test_the_other_arguments_are_looked_at_too(kit, keyword, value):
    with pytest.raises(InvalidArgument) as caught:
        from_stream(model, **{"turn": kit.TURN, keyword: value})
    assert caught.value.field == keyword


# --- the same input gives the same events -----------------------------------------------------------------------------


async def paced():
    for text in TEXTS:
        await asyncio.sleep(0.25)
        yield text


def test_the_same_input_gives_the_same_events_to_the_letter(kit):
    def once():
        numbers = iter(range(1, 10))
        return run_virtual(kit.read(paced, make_id=lambda: f"stream-{next(numbers)}")).events

    assert (
        once()
        == once()
        == [
            Opened(kit.TURN, "stream-1", EPOCH),
            Delta("Hello ", 0, 0, 0, 0.25),
            Delta("wide ", 1, 6, 0, 0.5),
            Delta("world", 2, 11, 0, 0.75),
            Ended("stop", 16, 3),
        ]
    )


def test_an_idempotency_key_gives_the_stream_its_id_in_its_memory_space():
    def turn(space="space", key=None, question="Hi!"):
        return Turn(space, "c-1", question, agent_id="helper", idempotency_key=key)

    key = stream_id_of(turn(key="order-7"))
    assert key == stream_id_of(turn(key="order-7", question="Hello?"), lambda: "never asked")
    ids = {
        key,
        stream_id_of(turn(key="order-8")),
        stream_id_of(turn("space-2", "order-7")),
        stream_id_of(turn("spaceorder", "-7")),  # what the two come to when written together is the same
        stream_id_of(turn("spaceorder-", "7")),
    }
    assert len(ids) == 5 and all(each.startswith("stream-") and len(each) == 39 for each in ids)
    assert stream_id_of(turn(), lambda: "stream-1") == "stream-1"
    assert new_id() != new_id()


async def test_the_stream_has_the_id_of_its_key(kit):
    turn = Turn("space", "c-1", "Hi!", agent_id="helper", idempotency_key="order-7")
    first, second = [(await kit.read(model, turn=turn)).events[0] for _ in range(2)]
    assert first.stream_id == second.stream_id == stream_id_of(turn)


async def test_the_docs_example_of_two_runs(kit):
    stream = from_stream(lambda: iter(TEXTS), turn=kit.TURN)
    assert [(await run(stream)).offset for _ in range(2)] == [16, 16]


def test_the_package_imports_no_sdk_and_no_server():
    absent = ("openai", "anthropic", "google", "httpx", "httpx2", "starlette", "uvicorn", "fastapi", "convex", "neo4j")
    code = "import sys, cortex_rx, cortex_rx.sources.model_stream; "
    code += f"print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
