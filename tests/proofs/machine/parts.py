"""The parts of the state machine's world: processes, questions, the runs that answer them, the store as a process sees
it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from proofs.crashes.facts import read

from cortex_rx import SqliteBackend
from cortex_rx.backends.sqlite.writer import SharedWrites, Work
from cortex_rx.errors import Diverged, Fenced, Gap, StoreError, StoreUnavailable, StreamNotFound, TokenUnknown
from cortex_rx.pipeline.answer import Answer
from cortex_rx.testing import Process, wall

if TYPE_CHECKING:
    from proofs.machine.model import Stream
    from proofs.machine.world import World

__all__ = ["Asked", "Counting", "Host", "Kept", "Run", "Watched"]

T = TypeVar("T")

_UNSAID = ("token", "newToken", "tokenTtl", "mark")  # of arguments, in messages


@dataclass(eq=False)
class Call:
    """A write on its way: sent to a store, done there, perhaps together with others, and told."""

    path: str
    args: Mapping[str, Any]
    settle: Callable[[Call], None]
    """Tells the model, when the store has committed or refused it."""
    fault: str = ""
    """What goes wrong with its transaction."""
    crash: Callable[[], None] | None = None
    serial: int = 0
    result: Any = None
    """What its function returned in the last try, or else `refusal`."""
    refusal: StoreError | None = None
    settled: bool = False
    disturbed: bool = False
    """It was alone in a transaction that failed, so it is told so."""


class Died(BaseException):
    """The process ends within a transaction: nothing more of it is done."""


class Counting(SqliteBackend):
    """It tells the model of each write when its transaction is over, and in the order in which they were done.

    It counts its commits: each transaction must be one, or a crash in between would leave the half of it.
    """

    transactions = commits = 0
    _traced: object = None

    def __init__(self, world: World, **options: Any) -> None:
        self._world = world
        self.sent: Call | None = None
        self.tried: list[Call] = []
        """By the transaction that runs, or was the last."""
        super().__init__(world.path, new_id=world.new_id, **options)
        self._writes = _Noting(self)

    def _open(self) -> None:
        super()._open()
        if self._writer is not None and self._traced is not self._writer:
            self._traced = self._writer
            self._writer.set_trace_callback(self._note)

    def _note(self, statement: str) -> None:
        self.commits += statement == "COMMIT"

    async def send(self, call: Call) -> Any:
        """Do a write."""
        self.sent = call  # until the writer takes it, in the same turn of the loop
        return await self.mutation(call.path, call.args)

    def _transact(self, work: Callable[[sqlite3.Connection], T], begin: str = "BEGIN IMMEDIATE") -> T:
        tried = self.tried = []

        def worked(db: sqlite3.Connection) -> T:
            result = work(db)
            self._before_commit(tried)
            return result

        try:
            result = super()._transact(worked, begin)
        except StoreError as error:
            for call in tried:
                if call.refusal is error:  # it was alone
                    self._settle(call)
            raise
        self.transactions += 1
        self._look_at(tried)
        for call in tried:
            self._settle(call)
        return result

    def _before_commit(self, tried: list[Call]) -> None:
        """All is done, and nothing is committed."""
        faults = {call.fault for call in tried}
        shared = "of several " if len(tried) > 1 else ""
        if "commit-fail" in faults:
            self._world.counted[f"{shared}commit-fail"] += 1
            for call in tried:
                call.disturbed = not shared  # what was shared is done again, each by itself
                call.fault = call.fault if call.fault != "commit-fail" else ""
            raise sqlite3.OperationalError("a fault: the COMMIT fails")
        if "crash-within" in faults:
            self._world.counted[f"{shared}crash-within"] += 1
            for call in tried:
                if call.crash:
                    call.crash()
            raise Died

    def _look_at(self, tried: list[Call]) -> None:
        """Who begins comes first, then each in its turn."""
        if len(tried) < 2:
            return
        self._world.counted["shared"] += 1
        self._world.counted["refused in shared"] += any(call.refusal for call in tried)
        if tried != sorted(tried, key=lambda call: (call.path != "streams:begin", call.serial)):
            self._world.wrong.append(f"not in their order: {[(call.path, call.serial) for call in tried]}")

    def _settle(self, call: Call) -> None:
        if call.settled:
            self._world.wrong.append(f"{call.path} was done twice")
        call.settled = True
        call.settle(call)
        if call.fault == "crash-after" and call.crash:
            call.crash()  # nobody is told: that comes a turn of the loop later


class _Noting(SharedWrites):
    """It notes which writes a transaction has done."""

    def __init__(self, backend: Counting) -> None:
        super().__init__(backend._start_write, backend._transact, backend._missed)
        self._backend = backend

    async def write(self, work: Work, *, urgent: bool = False) -> Any:
        backend = self._backend
        call, backend.sent = backend.sent, None
        assert call

        def noted(db: sqlite3.Connection) -> Any:
            backend.tried.append(call)
            call.refusal = None
            try:
                call.result = work(db)
            except StoreError as error:
                call.refusal = error
                raise
            return call.result

        return await super().write(noted, urgent=urgent)


class Host:
    """A process, with a backend object of its own over the file of all."""

    def __init__(self, world: World, name: str) -> None:
        self.process = Process(name=name)
        self.backend = Counting(world, clock=wall)
        self.process.closes(self.backend.close)
        self.fault = ""
        """What goes wrong with its next write."""
        self.unread = False
        """The next text that it reads for facts cannot be read."""
        self.still_until = 0.0
        """When it goes on, if it stands still."""
        self.hung: list[asyncio.Future[None]] = []
        self._world = world

    async def extract(self, user_message: str, text: str) -> list[dict[str, Any]]:
        """The facts of a text."""
        if self.unread:
            self.unread = False
            self._world.counted["texts not read"] += 1
            raise ConnectionError("a fault")
        return read(user_message, text)


@dataclass(eq=False)
class Asked:
    """A question, whatever has become of it."""

    name: str
    space: str
    id: str
    conversation: str
    failure: str
    tokens: list[str] = field(default_factory=list[str])
    runs: list[Run] = field(default_factory=list["Run"])
    sources: dict[int, Run] = field(default_factory=dict[int, "Run"])
    """Whose text an attempt is of."""
    was_gone: bool = False
    """It was rolled back or deleted, once."""

    @property
    def question(self) -> str:
        return f"Ada likes {self.name}. What of her?"

    @property
    def where(self) -> dict[str, str]:
        return {"memorySpaceId": self.space, "streamId": self.id}


@dataclass(eq=False)
class Run:
    """One time that somebody wrote a stream: its source, what a reader saw of it, how it ended."""

    name: str
    asked: Asked
    how: str
    host: Host
    text: str = ""
    """Of its attempt, as its source says it: what it goes on from, and what it has said itself."""
    pieces: list[str] = field(default_factory=list[str])
    opened: bool = False
    end: Exception | bool | None = None
    trim: str = ""
    more: asyncio.Future[None] | None = None
    answer: Answer | None = None
    task: asyncio.Task[Any] | None = None
    begun: int = 0
    """The attempt that `begin` gave; deltas count from there."""
    attempt: int | None = None
    """The one in which its text goes, of the store."""
    epoch: int = 0
    seen: dict[int, str] = field(default_factory=dict[int, str])
    """What its reader saw, by attempt as the events count it."""
    ended: bool = False
    refused: set[type[Exception]] = field(default_factory=set[type[Exception]])
    stopped: bool = False
    requested: bool = False
    """It was asked to stop, by a request in the store."""
    kept: bool = True
    """When it was stopped, its partial was to be kept."""
    trouble: bool = False
    """Something went wrong around it, so that it need not come to its end at once."""
    over: bool = False

    def goes_on(self, point: Any, stream: Stream) -> list[str]:
        """Its source is opened at `point`, and its text continues from there. Returns what is wrong with the point."""
        stored, wrong = stream.text, list[str]()
        self.attempt = stream.attempt
        if point.offset != (0 if self.how == "restart" else len(stored)):
            wrong.append(f"{self.name} goes on at {point}, stored is {stored!r}")
        if self.how == "replay":
            former = self.asked.sources.get(stream.attempt)
            self.text = former.text if former and former.text.startswith(stored) else stored
            self.pieces += [self.text] if self.text else []
        elif self.how == "prefill":
            self.text, self.trim = stored, stored[len(stored.rstrip()) :]
            if point.text != (stored.rstrip() or None):
                wrong.append(f"{self.name} goes on after {point.text!r}, stored is {stored!r}")
        elif stored:
            self.attempt += 1
        self.asked.sources[self.attempt] = self
        return wrong

    def say(self, words: str) -> None:
        """Its source says more: each word but once in a world, so that none can be taken for another."""
        name, number = self.name, len(self.pieces)
        fact = f"lives in City{number % 3}" if number % 2 else f"likes tea{number}"
        said = {
            "one": [f"{name}:{number}! Ada {fact}! "],
            "two": [f" {name}:{number}", f"é😀{number}! Ada {fact[:-1]}", f"{fact[-1]}! "],
            "long": [f"{name}:{number}" + "-x" * 1500 + " "],
            "blank": [" \n"],
        }
        for piece in said.get(words, []):
            self.pieces.append(piece)
            while self.trim and piece.startswith(self.trim[0]):  # white space that the model repeats at the seam
                self.trim, piece = self.trim[1:], piece[1:]
            if piece:
                self.trim = ""
            self.text += piece

    def wake(self) -> None:
        if self.more and not self.more.done():
            self.more.set_result(None)

    async def read(self) -> AsyncGenerator[str, None]:
        """What the library reads."""
        at = 0
        while True:
            while at < len(self.pieces):
                yield self.pieces[at]
                at += 1
            if isinstance(self.end, Exception):
                raise self.end
            if self.end:
                return
            self.more = asyncio.get_running_loop().create_future()
            await self.more


class Watched:
    """The store as one process sees it: what the store does is told to the model too, and its answers must be the
    model's.
    """

    def __init__(self, world: World, backend: Counting, host: Host | None = None, run: Run | None = None) -> None:
        self._world, self._backend, self._host, self._run = world, backend, host, run

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        self._check_up()
        try:
            return await self._backend.query(path, args)
        except StreamNotFound as error:
            if self._run:
                stream = self._world.stream(self._run.asked)
                if stream and not stream.gone:
                    self._world.wrong.append(f"{path} {args}: the store says {error!r}, and there is {stream}")
                self._run.refused.add(StreamNotFound)
            raise

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        self._check_up()
        fault, host = "", self._host
        if host and host.fault and path != "streams:renew":
            fault, host.fault = host.fault, ""
            self._world.counted[f"{fault} hit"] += 1
        if host and fault == "crash":
            host.process.crash()
            host.hung.append(asyncio.get_running_loop().create_future())
            await host.hung[-1]
        if fault == "fail":
            raise StoreUnavailable("a fault")
        crash = host.process.crash if host else None
        result = await self._told(Call(path, args, self._settle, fault, crash, self._world.serial()))
        if fault == "fail-after":
            raise StoreUnavailable("a fault")
        return result

    def _settle(self, call: Call) -> None:
        """The store has committed or refused it: as the model must, at this moment."""
        world, said = self._world, _shown(call)
        try:
            expected = world.model.call(call.path, call.args, round(wall() * 1000))
        except StoreError as must:
            if call.refusal is None:
                world.wrong.append(f"{said}: the store says {call.result}, and must say {must!r}")
            elif type(call.refusal) is not type(must) and not self._forgotten(call):
                world.wrong.append(f"{said}: the store says {call.refusal!r}, and must say {must!r}")
            return
        self._accepted(call.path, call.args, expected)
        if call.refusal is not None:
            world.wrong.append(f"{said}: the store says {call.refusal!r}, and must say {expected!r}")
        elif not expected.items() <= call.result.items() or ("stop" in call.result) > ("stop" in expected):
            world.wrong.append(f"{said}: the store says {call.result}, and must say {expected}")

    def _forgotten(self, call: Call) -> bool:
        """An expired token, which the store may have forgotten."""
        now = round(wall() * 1000)
        return isinstance(call.refusal, TokenUnknown) and self._world.model.expired(call.args["token"], now)

    async def _told(self, call: Call) -> Any:
        """Send it; what is told must be what was committed, and nothing may be told before."""
        try:
            result = await self._backend.send(call)
        except StoreError as error:
            self._refused(call.path, call.args, error)
            if type(error) is not type(call.refusal) if call.settled else not call.disturbed:
                self._world.wrong.append(f"{_shown(call)}: told {error!r}, done {call}")
            raise
        if not call.settled or call.refusal is not None or result != call.result:
            self._world.wrong.append(f"{_shown(call)}: told {result}, and it was not done so: {call}")
        return result

    def _accepted(self, path: str, args: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        """The model has taken a write: it must be of what its source has said."""
        world, run = self._world, self._run
        if path == "memories:store" or args.get("memoryId") in world.said_alone:
            world.counted[path] += 1
            return
        if path == "memories:deleteMemory":
            stream, _ = world.model.memories[args["memoryId"]]
        else:
            stream = world.model.streams[args["memorySpaceId"], args.get("streamId") or expected["streamId"]]
        asked = world.asked[stream.space + stream.id]
        asked.was_gone = asked.was_gone or stream.gone
        world.written.add(asked.name)
        world.counted[path] += 1
        if run is None:
            return
        if path == "streams:begin":
            run.epoch, run.begun = expected["epoch"], expected["attempt"]
            if stream.state == "open":
                world.counted["begun again"] += run.epoch > 1
                run.attempt = run.begun
                asked.sources[run.begun] = run
        elif path == "streams:takeOver":
            run.epoch = expected["epoch"]
            world.counted["taken over"] += stream.state == "open"
        elif path in ("streams:append", "streams:finalize"):
            whole = path == "streams:finalize"
            if not run.opened:  # of a finished stream, whose source is not asked: it says once more what is stored
                if expected.get("stored") != "before":
                    world.wrong.append(f"{run.name} wrote {args['text']!r}, and its source was never asked")
            elif stream.attempt != run.attempt:
                world.wrong.append(f"{run.name} wrote attempt {stream.attempt}, its text is of {run.attempt}")
            elif not run.text.startswith(stream.text) or (whole and stream.text != run.text):
                world.wrong.append(f"{run.name}: {path} made {stream.text!r}, its source said {run.text!r}")
        elif path == "streams:close" and run.text.strip():
            world.wrong.append(f"{run.name} was closed as unanswered, its source said {run.text!r}")

    def _refused(self, path: str, args: Mapping[str, Any], error: StoreError) -> None:
        """The store has refused a write."""
        world, run = self._world, self._run
        world.counted[f"{type(error).__name__} said"] += 1
        if run is None:
            return
        world.counted["zombies fenced"] += isinstance(error, Fenced) and path != "streams:renew"
        run.refused.add(type(error))
        if isinstance(error, Gap | Diverged):
            at = args["from"] if path == "facts:commit" else args["start"]
            world.wrong.append(f"{run.name}: {path} at {at} was no continuation: {error!r}")

    def _check_up(self) -> None:
        if self._host and self._world.down:
            raise StoreUnavailable("an outage")

    async def close(self) -> None:
        """The host's to do."""


def _shown(call: Call) -> str:
    return f"{call.path} { {name: value for name, value in call.args.items() if name not in _UNSAID} }"


@dataclass
class Kept:
    """What waits in the spool."""

    run: Run
    complete: bool
    text: str
    unwanted: bool = False
    """Its stream was stopped since, and was not to be kept."""
