"""Shared by the tests of the operators: the real SQLite store with its calls recorded, scripted models, virtual time.

Test files cannot import each other here, so all of it comes as the fixture `lab`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from reactivex import Observable

from cortex_rx import from_stream, run
from cortex_rx.backends import SqliteBackend
from cortex_rx.engine import FlowScheduler, passing
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import StoreBusy, StoreUnavailable
from cortex_rx.events import Delta, Ended, Opened, Problem, StreamEvent
from cortex_rx.models.turn import Turn
from cortex_rx.testing import EPOCH, Trace, VirtualLoop, assert_no_leaks, run_virtual
from cortex_rx.testing.diagrams._describe import describe
from cortex_rx.testing.leaks import left_on_loop

T = TypeVar("T")
E = TypeVar("E", bound=StreamEvent)
TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")


@dataclass
class Call:
    """One call of a function that writes: when, with what, and what came of it."""

    path: str
    args: dict[str, Any]
    started: float
    number: int
    ended: float | None = None
    error: BaseException | None = None


Rule = Callable[[Call], Awaitable[None]]


def _path(name: str) -> str:
    return name if ":" in name else f"streams:{name}"


class Store:
    """The real SQLite backend; its mutations are noted, and chosen ones are slow, fail or stall."""

    def __init__(self, inner: SqliteBackend, trace: Trace) -> None:
        self.inner = inner
        self.trace = trace
        self.calls: list[Call] = []
        self.before: dict[str, list[Rule]] = {}
        self.after: dict[str, list[Rule]] = {}
        self.in_flight = self.most_in_flight = 0

    def __repr__(self) -> str:
        return "store"

    def of(self, name: str) -> list[Call]:
        """The calls of one function; without a table it is one of `streams`."""
        return [call for call in self.calls if call.path == _path(name)]

    def rule(self, name: str, before: Rule | None = None, after: Rule | None = None) -> None:
        for rules, rule in ((self.before, before), (self.after, after)):
            if rule:
                rules.setdefault(_path(name), []).append(rule)

    def slow(self, name: str, seconds: float) -> None:
        """Each call takes so long; what it does is done at the end of it."""

        async def wait(_: Call) -> None:
            await asyncio.sleep(seconds)

        self.rule(name, wait)

    def fail(self, name: str, *errors: Exception | None, reply_lost: bool = False) -> None:
        """The first calls fail so, one after the other; with `reply_lost` after they have done their work."""
        left = list(errors)

        async def failing(_: Call) -> None:
            if left and (error := left.pop(0)):
                raise error

        self.rule(name, after=failing) if reply_lost else self.rule(name, failing)

    def down(self, name: str, since: float = 0.0, until: float = float("inf"), takes: float = 0.0) -> None:
        """The store cannot be reached from one time to another; a call takes some seconds to fail."""

        async def failing(_: Call) -> None:
            if since <= asyncio.get_running_loop().time() < until:
                await asyncio.sleep(takes)
                raise StoreUnavailable("the store is down")

        self.rule(name, failing)

    def lock(self, name: str, until: float) -> None:
        """Another process holds the file until then: a call waits 1 s for it, as SQLite does."""

        async def waiting(_: Call) -> None:
            left = until - asyncio.get_running_loop().time()
            await asyncio.sleep(min(max(left, 0.0), 1.0))
            if left > 1.0:
                raise StoreBusy("another process holds the file")

        self.rule(name, waiting)

    def stall(self, name: str, since: float = 0.0) -> asyncio.Event:
        """From then on no call returns before the event is set."""
        go_on = asyncio.Event()

        async def stalling(_: Call) -> None:
            if asyncio.get_running_loop().time() >= since:
                await go_on.wait()

        self.rule(name, stalling)
        return go_on

    async def query(self, path: str, args: dict[str, Any]) -> Any:
        return await self.inner.query(path, args)

    async def mutation(self, path: str, args: dict[str, Any]) -> Any:
        loop, name = asyncio.get_running_loop(), path.split(":")[1]
        shown = f" {args['text']!r} @{args['start']}" if "text" in args else ""
        call = Call(path, dict(args), loop.time(), len(self.of(path)))
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.trace.note("store", f"{name}{shown} begins")
        try:
            for rule in self.before.get(path, ()):
                await rule(call)
            result = await self.inner.mutation(path, args)
            for rule in self.after.get(path, ()):
                await rule(call)
        except BaseException as error:
            call.error = error
            self.trace.note("store", f"{name}{shown} fails with {type(error).__name__}")
            raise
        finally:
            self.in_flight -= 1
            call.ended = loop.time()
        self.trace.note("store", f"{name}{shown} is done")
        return result

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Outcome:
    """What came out of a pipeline: every event with its time, and how it ended."""

    seen: list[tuple[float, StreamEvent]] = field(default_factory=list)
    error: BaseException | None = None
    ended_at: float | None = None

    @property
    def events(self) -> list[StreamEvent]:
        return [event for _, event in self.seen]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        (event,) = self.of(kind)
        return event

    def times(self, kind: type[StreamEvent]) -> list[float]:
        return [at for at, event in self.seen if isinstance(event, kind)]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.of(Delta))

    @property
    def codes(self) -> list[str]:
        return [problem.code for problem in self.of(Problem)]


class Model:
    """A scripted model: texts (and provider's chunks) come, numbers are pauses in seconds, an exception is raised."""

    def __init__(self, *script: Any) -> None:
        self.script = script
        self.opened = self.closed = self.given = 0
        self.gave: list[float] = []

    async def __call__(self) -> AsyncGenerator[Any, None]:
        self.opened += 1
        try:
            for item in self.script:
                if isinstance(item, int | float):
                    await asyncio.sleep(item)
                elif isinstance(item, Exception):
                    raise item
                else:
                    self.given += 1
                    self.gave.append(asyncio.get_running_loop().time())
                    yield item
        finally:
            self.closed += 1


class _Stepped(VirtualLoop):
    """It calls `on_step(n)` before its n-th callback."""

    def __init__(self, on_step: Callable[[int], None]) -> None:
        self.on_step = on_step
        self.step = 0
        super().__init__()

    def _counted(self, callback: Any) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.step += 1
            self.on_step(self.step)
            return callback(*args)

        return counted

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(self._counted(callback), *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return super().call_at(when, self._counted(callback), *args, context=context)


class Lab:
    """A store over a file of its own, scripted sources, and what came of a pipeline."""

    turn = TURN
    Model = Model
    Store = Store
    Outcome = Outcome

    def __init__(self, path: Path) -> None:
        ids = count(1)
        self.path = path
        self.trace = Trace(label=lambda value: value if isinstance(value, str) else describe(value))
        self.trace.lane("source"), self.trace.lane("store"), self.trace.lane("out")
        inner = SqliteBackend(path, clock=_wall, new_id=lambda: f"{next(ids):03}")
        self.store = Store(inner, self.trace)
        self.model: Model = Model()
        self.opened = Opened(TURN, "stream-1", EPOCH)

    # --- running --------------------------------------------------------------------------------------------------

    def run(self, main: Callable[[], Coroutine[Any, Any, T]], *, thorough: bool = False) -> T:
        """Run in virtual time; no task, timer, generator or thread may be left behind.

        A `thorough` look, at every object of the process, takes half a second.
        """

        async def whole() -> T:
            if thorough:
                async with assert_no_leaks():
                    return await self._closing(main)
            threads = set(threading.enumerate())
            result = await self._closing(main)
            for _ in range(6):  # what ends now needs some turns
                await asyncio.sleep(0)
            assert [thing.words for thing in left_on_loop(asyncio.get_running_loop())] == []
            assert set(threading.enumerate()) == threads
            return result

        return run_virtual(whole())

    def run_stepped(self, main: Callable[[], Coroutine[Any, Any, T]], on_step: Callable[[int], None]) -> T:
        """Run in virtual time, and call `on_step(n)` before the n-th callback of the loop; no task may be left
        behind.
        """

        async def whole() -> T:
            result = await self._closing(main)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return result

        with asyncio.Runner(loop_factory=lambda: _Stepped(on_step)) as runner:
            return runner.run(whole())

    async def _closing(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            return await main()
        finally:
            await self.store.close()

    def source(self, *script: Any, turn: Turn = TURN, stream: str = "stream-1") -> Observable[StreamEvent]:
        """What a scripted model says, as events."""
        self.model = Model(*script)
        return from_stream(self.model, turn=turn, make_id=lambda: stream)

    def events(self, *script: StreamEvent | float | Exception) -> Observable[StreamEvent]:
        """Hand-made events; numbers are pauses, an exception is raised."""
        self.model = Model(*script)
        return from_async_iterable(lambda _: self.model())

    def deltas(self, *texts: str, attempt: int = 0, index: int = 0, offset: int = 0) -> list[Delta]:
        out = []
        for at, text in enumerate(texts):
            out.append(Delta(text, index + at, offset, attempt, 0.0))
            offset += len(text)
        return out

    def ended(self, text: str, reason: str = "stop", deltas: int = 1) -> Ended:
        return Ended(reason, len(text), deltas)

    async def play(
        self,
        source: Observable[StreamEvent],
        *operators: Any,
        into: Outcome | None = None,
        watch: Callable[[StreamEvent], None] | None = None,
        traced: bool = True,
    ) -> Outcome:
        """Run to the end; what the stream fails with is noted.  `watch` is called with each event at the instant it is
        shown.
        """
        outcome = Outcome() if into is None else into
        loop = asyncio.get_running_loop()

        def make(emit: Callable[[StreamEvent], None], flow: FlowScheduler, end: Any) -> Any:
            def on_next(event: StreamEvent) -> None:
                outcome.seen.append((loop.time(), event))
                if watch:
                    watch(event)
                emit(event)

            return on_next, None

        taps = (self.trace.tap("source"),) if traced else ()
        out = (self.trace.tap("out"),) if traced else ()
        try:
            await run(source.pipe(*taps, *operators, *out, passing(make)))
        except Exception as error:
            outcome.error = error
        outcome.ended_at = loop.time()
        return outcome

    # --- looking --------------------------------------------------------------------------------------------------

    def in_the_file(self, path: str, **args: Any) -> Any:
        """What another process would find in the file at this very instant: nothing of this loop runs meanwhile."""
        found: list[Any] = []

        async def ask() -> None:
            async with SqliteBackend(self.path, read_only=True) as other:
                found.append(await other.query(path, {"memorySpaceId": "space", **args}))

        thread = threading.Thread(target=lambda: asyncio.run(ask()))
        thread.start()
        thread.join()
        assert found, "the file could not be read"
        return found[0]

    async def ask(self, path: str, **args: Any) -> Any:
        return await self.store.inner.query(path, {"memorySpaceId": "space", **args})

    async def stream(self, stream: str = "stream-1") -> dict[str, Any] | None:
        return await self.ask("streams:get", streamId=stream)

    async def partial(self, stream: str = "stream-1") -> str | None:
        """The text of the answer as it is stored, finished or not; None if there is none."""
        found = await self.stream(stream)
        row = found and await self.ask("memories:get", memoryId=found["memoryId"], includePartial=True)
        return row["content"] if row else None

    async def memories(self, **args: Any) -> list[dict[str, Any]]:
        """The memories, oldest first, partial ones not among them."""
        return (await self.ask("memories:list", **args))[::-1]

    async def contents(self, **args: Any) -> list[tuple[str, str]]:
        return [(row["messageRole"], row["content"]) for row in await self.memories(**args)]

    async def messages(self, conversation: str = "c-1") -> list[tuple[str, str]]:
        found = await self.ask("conversations:get", conversationId=conversation)
        return [(message["role"], message["content"]) for message in found["messages"]] if found else []

    def drawn(self) -> str:
        return str(self.trace)


def _wall() -> float:
    wall: Callable[[], float] = getattr(asyncio.get_running_loop(), "wall", lambda: EPOCH)
    return wall()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "memory.db")


@pytest.fixture
def make_lab(tmp_path: Path) -> Callable[[], Lab]:
    """Labs with a file of their own each."""
    numbers = count()
    return lambda: Lab(tmp_path / f"memory-{next(numbers)}.db")
