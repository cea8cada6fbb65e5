"""The test rig of `check_operator`: a scripted source, stores that are slow or stall, a counting loop, and one run."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVar, TypeVarTuple, cast

from reactivex import Observable, abc

from cortex_rx.engine import stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.engine.scheduler import ReopenState, all_tasks
from cortex_rx.events import Custom, Delta, Ended, Opened, StreamEvent, Waiting, to_json
from cortex_rx.models.turn import Turn
from cortex_rx.testing.diagrams.trace import Trace
from cortex_rx.testing.leaks import left_on_loop
from cortex_rx.testing.virtual import EPOCH, VirtualLoop

__all__ = [
    "Endless",
    "Operator",
    "Play",
    "Script",
    "StepLoop",
    "Stranger",
    "drive",
    "plain",
    "play",
    "script",
    "slowed",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Operator = Callable[[Observable[StreamEvent]], Observable[StreamEvent]]

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
WORDS = ("Hel", "lo, ", "my ", "phone ", "is 555-", "0199", ". ", "你好 ", "🎉", "\n\n", "Good", "bye.")
PACE = 0.02  # seconds between two deltas
FOREVER = 3600.0  # virtual seconds after which a run counts as endless
STEPS = 50_000  # callbacks at one instant after which a loop counts as spinning


@dataclass(slots=True)
class Stranger(StreamEvent):
    """A user's event, which no operator knows."""

    number: int


@dataclass(frozen=True)
class Script:
    """What the source does: it emits events, each after a delay in seconds, then ends or raises `error`."""

    items: Sequence[tuple[float, StreamEvent]]
    error: Exception | None = None


def script(
    extra: Sequence[StreamEvent] = (),
    *,
    deltas: int | None = None,
    end: bool = True,
    error: Exception | None = None,
    number: int = 1,
    turn: Turn = TURN,
) -> Script:
    """The usual answer: it waits, opens, pauses, emits deltas and other events in between, and ends.

    `number` distinguishes streams in one store.
    """
    if number > 1:
        turn = Turn(turn.memory_space_id, f"c-{number}", turn.user_message, user_id="ada", user_name="Ada")
    opened = Opened(turn, f"stream-{number}", EPOCH)
    items: list[tuple[float, StreamEvent]] = [(0.0, Waiting("the former writer", EPOCH)), (0.0, opened)]
    offset, at = 0, 0.3
    words = WORDS if deltas is None else WORDS[:deltas]
    for index, text in enumerate(words):
        items.append((at if not index else PACE, Delta(text, index, offset, 0, round(at + index * PACE, 6))))
        offset += len(text)
        if index == 2:
            items += [(0.0, Custom("tool_call", {"name": "look"})), (0.0, Stranger(1)), *((0.0, one) for one in extra)]
        if index == len(WORDS) - 2:
            items.append((PACE / 2, Stranger(2)))
    if end:
        items.append((PACE, Ended("stop", offset, len(words))))
    return Script(items, error)


class Source:
    """The scripted source. It counts how often it was opened and closed, and records when it emitted what."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.opened = self.closed = 0
        self.read: list[tuple[float, StreamEvent]] = []

    async def __call__(self, point: ReopenState | None) -> AsyncGenerator[StreamEvent, None]:
        self.opened += 1
        loop = asyncio.get_running_loop()
        try:
            for delay, event in self.script.items[point.emitted if point else 0 :]:
                if delay:
                    await asyncio.sleep(delay)
                self.read.append((loop.time(), event))
                yield event
            if self.script.error:
                raise self.script.error
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                self.closed += 1


@dataclass
class Play:
    """The record of one run."""

    source: Source
    trace: Trace = field(default_factory=Trace)
    came: list[StreamEvent] = field(default_factory=list[StreamEvent])
    """The input of the operator, in order."""
    before: list[Any] = field(default_factory=list[Any])
    """The input as JSON, at the time it came."""
    out: list[StreamEvent] = field(default_factory=list[StreamEvent])
    waited: list[StreamEvent] = field(default_factory=list[StreamEvent])
    """The input that was not passed on by the time the operator returned."""
    error: BaseException | None = None


def plain(event: StreamEvent, ignore: frozenset[str] = frozenset()) -> Any:
    """An event as JSON, without the fields in `ignore`; its `repr` if it is not a dataclass."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {key: without(each) for key, each in fields.items() if key not in ignore}
        return [without(each) for each in _elements(value)] if isinstance(value, list) else value

    try:
        return without(to_json(event))
    except Exception:  # pydantic cannot handle the class
        return repr(event)


def _elements(value: Any) -> Iterator[Any]:
    yield from value


async def play(
    script: Script,
    operator: Operator,
    upstream: Operator | None = None,
    *,
    record: Play | None = None,
    take: int | None = None,
    fault: tuple[int, Exception] | None = None,
) -> Play:
    """Run a script through the operator, and record its input and output.

    `take` leaves after that many events. `fault` is an error that a downstream observer raises at the event of that
    number. Errors of the pipeline are recorded, except a cancellation.
    """
    done = record or Play(Source(script))
    seen: set[int] = set()

    def arrive(source: Observable[StreamEvent]) -> Observable[StreamEvent]:
        def subscribe(
            observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(event: StreamEvent) -> None:
                done.came.append(event)
                done.before.append(plain(event))
                observer.on_next(event)
                if id(event) not in seen:
                    done.waited.append(event)

            return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Observable(subscribe)

    def leave(source: Observable[StreamEvent]) -> Observable[StreamEvent]:
        def subscribe(
            observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(event: StreamEvent) -> None:
                seen.add(id(event))
                done.out.append(event)
                if fault and len(done.out) == fault[0] + 1:
                    raise fault[1]
                observer.on_next(event)

            return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Observable(subscribe)

    source = from_async_iterable(done.source)
    pipeline = (upstream(source) if upstream else source).pipe(
        done.trace.tap("in"), arrive, operator, done.trace.tap("out"), leave
    )
    try:
        async with asyncio.timeout(FOREVER), stream(pipeline) as events:
            taken = 0
            if taken != take:
                async for _ in events:
                    taken += 1
                    if taken == take:
                        break
    except Exception as error:
        done.error = error
    return done


class Endless(RuntimeError):
    """The loop keeps running while no time passes."""


class StepLoop(VirtualLoop):
    """A virtual loop that counts its callbacks, calls `on_step(n)` before the n-th, and stops if it spins."""

    def __init__(self) -> None:
        super().__init__()
        self.step = self.step_at_jump = 0
        self.spins = False
        self.on_step: Callable[[int], None] | None = None
        self.problems: list[str] = []
        self.set_exception_handler(self._note)

    def jump(self) -> None:
        super().jump()
        self.step_at_jump = self.step

    def end_all(self) -> None:
        """End spinning code, also code that swallows a cancellation."""
        self.step_at_jump = self.step
        tasks = all_tasks(self)
        for task in tasks:
            asyncio.Task.cancel(task)
        with contextlib.suppress(RuntimeError):  # it keeps spinning
            self.run_until_complete(asyncio.wait(tasks))

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.problems.append(f"{context.get('message')}{f': {error!r}' if error else ''}")

    def _counted(self, callback: Callable[[*Ts], object]) -> Callable[[*Ts], object]:
        def counted(*args: *Ts) -> object:
            self.step += 1
            if self.step - self.step_at_jump > STEPS:
                self.spins = True
                self.stop()
            elif self.on_step:
                self.on_step(self.step)
            return callback(*args)

        counted.__qualname__ = getattr(callback, "__qualname__", counted.__qualname__)
        return counted

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon(self._counted(callback), *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._counted(callback), *args, context=context)


def drive(main: Callable[[StepLoop], Coroutine[Any, Any, T]]) -> tuple[T, list[str], StepLoop]:
    """Run `main` on a loop of its own; returns its result, what it left on the loop, and the loop."""
    loop = StepLoop()
    left: list[str] = []

    async def checked() -> T:
        result = await main(loop)
        loop.on_step = None
        left.extend(thing.words for thing in left_on_loop(loop))
        return result

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            return runner.run(checked()), left, loop
        except RuntimeError as error:
            if not loop.spins:
                raise
            loop.end_all()
            raise Endless(f"it spins: {STEPS:,} callbacks ran, and no time passed") from error


def slowed(store: T, seconds: float, *, answers: int | None = None) -> T:
    """The store with a delay in each coroutine method; after `answers` calls, no call ever returns."""
    calls = 0

    def slow(name: str) -> Callable[..., Awaitable[Any]]:
        async def call(_: object, *args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if answers is not None and calls > answers:
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(seconds)
            return await getattr(store, name)(*args, **kwargs)

        return call

    kind = type(store)
    methods: dict[str, Any] = {
        name: slow(name)
        for name in dir(kind)
        if not name.startswith("_") and name != "close" and inspect.iscoroutinefunction(getattr(kind, name, None))
    }

    def other(_: object, name: str) -> Any:
        return getattr(store, name)

    proxy: Any = type(f"Slowed{kind.__name__}", (), methods | {"__getattr__": other})()
    made: T = proxy
    return made
