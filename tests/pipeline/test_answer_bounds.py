"""Upper bounds of what a stream costs and holds, counted and not timed: the same on every machine."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Any

import pytest
from helpers.lanes import examples, slow_but
from reactivex import Observable

from cortex_rx import Turn, default_chain, from_stream, remember_stream, run
from cortex_rx import operators as cx
from cortex_rx.chain import Operator
from cortex_rx.engine import stream
from cortex_rx.events import Begun, Delta, StreamEvent
from cortex_rx.pipeline import Answer
from cortex_rx.pipeline.default_chain import shared_chain
from cortex_rx.testing.virtual import VirtualLoop, run_virtual

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
INTERVAL = 0.5  # seconds between two partial writes, by default
OBJECTS = 435  # that one waiting stream holds, and that a collection of garbage examines
WORDS = ("tok", "en ", "你好", "🎉", "a", "\n\n", "longer than others ", "é")


class Store:
    """Answers like the contract after `delay` seconds; keeps what it is given.  `stall` ends all answers to appends."""

    def __init__(self, delay: float = 0.0, *, stall: bool = False) -> None:
        self.delay, self.stall = delay, stall
        self.appended: list[str] = []
        self.tail = ""
        self.end = 0

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        raise AssertionError(path)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        await asyncio.sleep(self.delay)
        if path == "streams:begin":
            ids = {"conversationId": "c", "messageIds": ["q", "a"], "memoryIds": ["m-0", "m-1"]}
            return {"memoryId": "m-1", "epoch": 1, "attempt": 0, "state": "open", **ids}
        if path == "streams:renew":
            return {}
        if self.stall:
            await asyncio.get_running_loop().create_future()
        assert args["start"] == self.end
        self.end += len(args["text"])
        if path == "streams:append":
            self.appended.append(args["text"])
            return {"end": self.end}
        assert path == "streams:finalize"
        assert args["length"] == self.end
        self.tail = args["text"]
        return {
            "conversation": {"conversationId": "c-1", "messageIds": ["1", "2"]},
            "memories": [],
            "contentLength": self.end,
            "stored": "now",
        }

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class Model:
    """Gives `count` tokens, one every `pace` seconds; notes what it has given, and when."""

    count: int
    pace: float = 0.01
    latency: float = 0.0
    words: tuple[str, ...] = WORDS
    given: list[str] = field(default_factory=list[str])
    times: list[float] = field(default_factory=list[float])

    async def __call__(self) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self.latency)
        for number in range(self.count):
            if self.pace:
                await asyncio.sleep(self.pace)
            self.given.append(self.words[number % len(self.words)])
            self.times.append(clock())
            yield self.given[-1]

    @property
    def text(self) -> str:
        return "".join(self.given)


def source(model: Model) -> Observable[StreamEvent]:
    return from_stream(model, turn=TURN)


async def by_handle(model: Model, store: Store) -> str:
    """All of the text, and the result, through the handle."""
    answer = remember_stream(
        model,
        backend=store,
        memory_space_id="space",
        conversation_id="c-1",
        user_message="What is it?",
        user_id="ada",
        user_name="Ada",
    )
    text = "".join([part async for part in answer])
    assert (await answer).full_response == text
    return text


# --- what runs
# ---------------------------------------------------------------------------------------------------------

SECOND = timedelta(seconds=1)
Way = Callable[[Model, Store], Awaitable[object]]


def way(*parts: Callable[[Store], Any]) -> Way:
    """The source through these operators, by `run`."""
    return lambda model, store: run(source(model).pipe(*[part(store) for part in parts]))


async def by_stream(model: Model, store: Store) -> None:
    async with stream(default_chain(store)(source(model))) as events:
        async for _ in events:
            pass


WAYS: dict[str, Way] = {
    "source": way(),
    "begin": way(cx.begin),
    "persist_partial": way(cx.begin, cx.persist_partial),
    "persist_partial durable": way(cx.begin, lambda store: cx.persist_partial(store, show="durable")),
    "finalize": way(cx.begin, cx.finalize),
    "finalize with functions": way(
        cx.begin, lambda store: cx.finalize(store, lambda question, answer: question, lambda text: [1.0])
    ),
    "chunk": way(lambda _: cx.chunk("fixed", 400, max_length=400)),
    "finalize in chunks": way(
        cx.begin,
        lambda _: cx.chunk("fixed", 400, max_length=400),
        lambda store: cx.finalize(store, max_single_memory_size=400),
    ),
    "limit": way(lambda _: cx.limit(10**9)),
    "measure": way(lambda _: cx.measure()),
    "measure every second": way(lambda _: cx.measure(every=SECOND)),
    "timeout": way(lambda _: cx.timeout(idle=SECOND, total=timedelta(hours=9))),
    "text": way(lambda _: cx.text()),
    "run, result": way(default_chain, lambda _: cx.result()),
    "run, last": way(default_chain, lambda _: cx.last()),
    "stream": by_stream,
    "handle": by_handle,
}
WHOLE = ["finalize in chunks", "measure every second", "handle"]
"""What all the others are parts of."""
PARTS = "each part of a chain, in a test that counts its calls: whole chains are counted in every run"


def deltas(whole: int) -> int:
    """How many deltas a model gives: a third of them in a usual run, where what grows is seen as well."""
    return examples(whole)


# --- work per delta
# ----------------------------------------------------------------------------------------------------

COPIES = {"join", "getvalue", "encode", "decode", "replace", "copy", "sorted", "sum", "extend"}


def calls(name: str, count: int, pace: float) -> tuple[list[int], int]:
    """The calls made by the time each delta is given, and the calls of what copies text, in all.

    Python functions and C functions are counted alike.
    """
    total = copies = 0
    so_far: list[int] = []

    class Noting(list[str]):
        """Where the model notes what it gives."""

        def append(self, text: str) -> None:
            so_far.append(total)
            super().append(text)

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal total, copies
        if event == "call":
            total += 1
        elif event == "c_call":
            total += 1
            copies += arg.__name__ in COPIES

    async def main() -> None:
        model, store = Model(count, pace, given=Noting()), Store()
        sys.setprofile(profile)
        try:
            await WAYS[name](model, store)
        finally:
            sys.setprofile(None)

    gc.disable()  # a collection calls what others left behind
    try:
        run_virtual(main())
    finally:
        gc.enable()
    assert len(so_far) == count
    return so_far, copies


@pytest.mark.parametrize("name", slow_but(WHOLE, WAYS, PARTS))
def test_a_delta_costs_the_same_early_and_late(name: str) -> None:
    """What 500 deltas cost, in calls, which is ten writes: of the first thousand, and of the sixth or the second."""
    count = deltas(6_000)
    so_far, _ = calls(name, count, 0.01)
    early = so_far[1_000] - so_far[500]
    late = so_far[count - 1] - so_far[count - 501]
    assert 0 < late <= 1.02 * early


@pytest.mark.parametrize(
    "name",
    slow_but(
        ["measure every second", "handle"],
        [name for name in WAYS if name != "persist_partial durable" and "chunk" not in name],
        PARTS,
    ),
)
def test_no_delta_copies_the_text(name: str) -> None:
    """In the same time, ten times as many deltas: what copies text is called for batches, not for deltas.

    Of chunks, ten times as much text makes ten times as many, each copied.  Not so where every token waits for a write
    of its own; that it writes its own text and no more, the next test shows.
    """
    most = deltas(5_000)
    (_, few), (_, many) = (calls(name, count, 10 / count) for count in (most // 10, most))
    assert many - few <= 0.9 * most / 100


# --- what is written
# ---------------------------------------------------------------------------------------------------


def size(texts: list[str]) -> int:
    return sum(len(text.encode()) for text in texts)


@pytest.mark.parametrize("show", ["at once", "durable"])
@pytest.mark.parametrize("delay", [0.0, 0.2, 3.0])
def test_each_character_is_written_once(show: Any, delay: float) -> None:
    model, store = Model(700), Store(delay)
    chain = cx.chain(cx.begin(store), cx.persist_partial(store, show=show), cx.finalize(store))
    run_virtual(run(source(model).pipe(chain)))
    assert "".join(store.appended) + store.tail == model.text
    assert size(store.appended) <= 1.05 * size([model.text]) + 64 * len(store.appended)
    assert size([*store.appended, store.tail]) == size([model.text])


@pytest.mark.parametrize("interval", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("pace", [0.001, 0.03, 0.7])
@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_there_are_as_few_writes_as_the_interval_says(interval: float, pace: float, delay: float) -> None:
    model, store = Model(300, pace), Store(delay)

    async def main() -> float:
        await run(source(model).pipe(cx.begin(store), cx.persist_partial(store, timedelta(seconds=interval))))
        return asyncio.get_running_loop().time()

    duration = run_virtual(main())
    assert "".join(store.appended) == model.text
    assert len(store.appended) <= duration / interval + 2
    assert len(store.appended) >= min(duration / max(interval, pace, delay) / 2, 300 / 2) - 1  # it does write meanwhile


def test_no_token_waits_for_a_slow_store() -> None:
    """200 ms per write: no delta after the first waits, the first only for what `begin` takes longer than the model."""
    for latency in (0.0, 0.15, 0.2, 0.4):
        model, store = Model(200, latency=latency), Store(0.2)

        async def main(model: Model = model, store: Store = store) -> list[float]:
            seen: list[float] = []
            async with stream(default_chain(store)(source(model))) as events:
                async for event in events:
                    if type(event) is Delta:
                        seen.append(asyncio.get_running_loop().time())
            return seen

        seen = run_virtual(main())
        waited = [round(at - given, 9) for at, given in zip(seen, model.times, strict=True)]
        held_back = max(0.0, 0.2 - latency - model.pace)
        assert waited[0] == pytest.approx(held_back)
        # Those that came while the first was held back follow at once; from then on nothing is added.
        assert all(at == pytest.approx(max(0.2, given)) for at, given in zip(seen, model.times, strict=True))
        assert not any(waited[25:])


# --- what is held
# ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [1, 4, 32])
@pytest.mark.parametrize("operators", [[], ["begin"], ["default"]], ids=["source", "begin", "default chain"])
def test_a_slow_reader_of_a_stream_is_at_most_its_capacity_behind(capacity: int, operators: list[str]) -> None:
    model, store = Model(300, 0.0), Store()
    steps: list[Operator] = {"begin": [cx.begin(store)], "default": [default_chain(store)]}.get(
        "".join(operators), list[Operator]()
    )

    async def main() -> None:
        read = 0
        async with stream(source(model).pipe(*steps), capacity) as events:
            async for event in events:
                if type(event) is Delta:
                    read += 1
                    if read % 20 == 1:
                        await asyncio.sleep(1.3)
                    assert len(model.given) - read <= capacity + 1
        assert read == 300

    run_virtual(main())


@pytest.mark.parametrize("readers", [1, 3])
def test_the_slowest_reader_of_a_handle_is_at_most_32_behind(readers: int) -> None:
    model, store = Model(400, 0.0), Store()
    read = [0] * readers

    async def main() -> None:
        answer = remember_stream(
            model,
            backend=store,
            memory_space_id="space",
            conversation_id="c-1",
            user_message="What is it?",
            user_id="ada",
            user_name="Ada",
        )

        async def reader(at: int) -> None:
            async for _ in answer:
                read[at] += 1
                if read[at] % 50 == 1:
                    await asyncio.sleep(1 + at)
                assert len(model.given) - min(read) <= 32 + 1

        await asyncio.gather(*map(reader, range(readers)))
        assert (await answer).full_response == model.text

    run_virtual(main())
    assert read == [400] * readers


def _held(main: Callable[[Callable[[], int]], Any]) -> Any:
    """Run `main` in virtual time; it is given what says how many bytes are held above the first time it was asked."""
    base: list[int] = []

    def held() -> int:
        gc.collect()
        traced = tracemalloc.get_traced_memory()[0]
        base.append(traced)
        return traced - base[0]

    tracemalloc.start()
    try:
        return run_virtual(main(held))
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [1, 5, 40, 4_000], ids=lambda length: f"{length} characters")
@pytest.mark.parametrize("ways", ["persist_partial", "default chain"])
def test_a_stalled_store_bounds_what_waits(length: int, ways: str) -> None:
    """Appends never return: the source comes to a standstill, and what is held is what `max_pending` says, in bytes."""
    pending = 256 * 1024
    store = Store(stall=True)
    model = Model(50_000, 0.0)

    async def endless() -> AsyncIterator[str]:
        for number in range(model.count):
            await asyncio.sleep(0.0001)
            model.times.append(0.0)
            yield f"{number:0{length}d}"[-length:]  # each a string of its own, as from a network

    async def main(held: Callable[[], int]) -> tuple[int, int, int]:
        chain = cx.chain(cx.begin(store), cx.persist_partial(store, max_pending=pending))
        if ways == "default chain":
            chain = cx.chain(chain, cx.finalize(store), cx.measure())
        pipeline = from_stream(endless, turn=TURN).pipe(chain)
        async with stream(pipeline) as events:
            async for event in events:
                if type(event) is Begun:
                    held()
                    break

            async def read() -> None:
                async for _ in events:
                    pass

            reading = asyncio.create_task(read())
            await asyncio.sleep(60)
            at_rest = len(model.times)
            bytes_held = held()
            await asyncio.sleep(3600)
            later = len(model.times)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
            store.stall = False
        return at_rest, later, bytes_held

    at_rest, later, bytes_held = _held(main)
    model.times.clear()
    assert at_rest == later < 50_000
    # What `finalize` holds until it is durable is the text once more.
    copies = 1 if ways == "persist_partial" else 2
    assert bytes_held <= 1.2 * copies * pending


# --- what is made per stream
# -------------------------------------------------------------------------------------------


class CountingLoop(VirtualLoop):
    """Counts the tasks and timers that are made, and how many there are at most at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks = self.timers = self.most_tasks = self.most_timers = 0

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        self.tasks += 1
        task = super().create_task(coro, **kwargs)
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks(self)))
        return task

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        self.timers += 1
        timer = super().call_at(when, callback, *args, context=context)
        waiting: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        self.most_timers = max(self.most_timers, sum(not one.cancelled() for one in waiting))
        return timer


def made(name: str, count: int, pace: float, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What one stream makes; the timers of the model are not counted."""
    subscriptions = 0
    subscribe = Observable.subscribe

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal subscriptions
        subscriptions += 1
        return subscribe(self, *args, **kwargs)

    monkeypatch.setattr(Observable, "subscribe", counted)
    model = Model(count, pace)
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(WAYS[name](model, Store(0.001)))  # type: ignore[arg-type]
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
    monkeypatch.undo()
    assert len(model.given) == count
    return {
        "subscriptions": subscriptions,
        "tasks": loop.tasks,
        "tasks at one time": loop.most_tasks,
        "timers": loop.timers - count,
        "timers at one time": loop.most_timers,
    }


@pytest.mark.parametrize("name", WAYS)
def test_what_a_stream_makes_does_not_grow_with_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same time, ten times as many deltas: as many subscriptions, tasks and timers, and few of them."""
    most = deltas(5_000)
    few, many = (made(name, count, 10 / count, monkeypatch) for count in (most // 10, most))
    if name == "persist_partial durable":
        del few["timers"], many["timers"]  # one a write, and every token waits for a write
    else:
        assert many.pop("timers") <= few.pop("timers") + 8  # a full batch is looked at before its time
    assert many == few
    assert many["subscriptions"] <= 10
    assert many["tasks at one time"] <= 8
    assert many["timers at one time"] <= 5


class AnyStream(Store):
    """Takes the texts of all streams."""

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        if path != "streams:begin":
            self.end = args["start"]
        return await super().mutation(path, args)


def test_answers_that_run_at_once_share_one_chain() -> None:
    async def ask(store: Store, **more: Any) -> Answer:
        answer = remember_stream(
            Model(1)(),
            backend=store,
            memory_space_id="space",
            conversation_id="c-1",
            user_message="Hi!",
            agent_id="helper",
            **more,
        )
        await answer
        return answer

    async def main() -> weakref.ref[Store]:
        store = AnyStream()
        one, other = await ask(store), await ask(store)
        assert one._chain is other._chain is shared_chain(store, None, None, None, None)
        assert one._chain == default_chain(store)
        assert (await ask(store, options={"maxResponseLength": 99}))._chain != one._chain
        assert (await ask(store, extract_content=lambda question, answer: ""))._chain != one._chain
        return weakref.ref(store)

    held = run_virtual(main())
    gc.collect()
    assert held() is None, "the chain outlives its answers, and with it a closed backend"


def test_a_waiting_stream_holds_few_objects() -> None:
    """With 500 streams at once, the collections took a fifth of the time."""
    streams = 20

    async def model() -> AsyncIterator[str]:
        yield "word "
        await asyncio.sleep(3600)

    async def read(store: Store, number: int) -> None:
        answer = remember_stream(
            model(),
            backend=store,
            memory_space_id="space",
            conversation_id=f"c-{number}",
            user_message="Hi!",
            agent_id="helper",
        )
        async for _ in answer:
            pass

    async def main() -> float:
        before: list[int] = []
        tasks: list[asyncio.Task[None]] = []
        store = AnyStream()
        for count in (1, streams):  # the first makes what is made once
            gc.collect()
            before.append(len(gc.get_objects()))
            tasks += [asyncio.create_task(read(store, len(tasks) + number)) for number in range(count)]
            await asyncio.sleep(1)
        gc.collect()
        held = len(gc.get_objects()) - before[1]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return held / streams

    assert run_virtual(main()) <= OBJECTS
