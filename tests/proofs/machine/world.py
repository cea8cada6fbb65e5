"""What the rules of the state machine do: every rule that needs more than a line is a method here, and lets the world
come to rest.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from proofs.crashes.facts import read
from proofs.machine.facts import SIDES
from proofs.machine.follower import Follower
from proofs.machine.model import Model, Stream
from proofs.machine.parts import Asked, Counting, Host, Kept, Run, Watched

from cortex_rx import Spool, remember_stream
from cortex_rx.api.memory import MemoryAPI
from cortex_rx.errors import MemoryNotFound, StillOwned, StoreError, StreamNotFound
from cortex_rx.events import Delta, Ended, Replayed
from cortex_rx.facts.draining import FactDrainReport, drain
from cortex_rx.facts.reader import FactReader
from cortex_rx.pipeline.answer import Answer
from cortex_rx.sources.model_stream import prefill, replayable, restart
from cortex_rx.streams.follow import Position
from cortex_rx.streams.takeover import token_hash
from cortex_rx.testing import Faulty, VirtualLoop, wall
from cortex_rx.testing.leaks import left_in_process
from cortex_rx.testing.simulate.threads import ThreadedLoop

__all__ = ["CONVERSATIONS", "SPACES", "World"]

T = TypeVar("T")
HOSTS, SPACES, CONVERSATIONS = "abc", "st", "cd"
REST = 0.01  # virtual seconds in which everything that waits for no clock comes to rest
BUSY = 4  # turns of the loop, while several things are done at once
WRAPS = {"prefill": prefill, "restart": restart}  # the others are replayable


class World:
    """Everything of one example."""

    def __init__(self, counted: Counter[str]) -> None:
        self.counted = counted
        self.files = open_things()
        shm = next(filter(os.path.isdir, ["/dev/shm"]), None)  # in memory, where there is such a place
        self.folder = Path(tempfile.mkdtemp(prefix="cortex-machine-", dir=shm))
        self.path = self.folder / "memory.db"
        self.turns = 0
        """For which the threads are busy: the writes of a process that come meanwhile share a transaction."""
        self.loop = ThreadedLoop(lambda: self.turns)
        self.aside = VirtualLoop()
        """For looking while nothing of the world runs."""
        self.loop.set_exception_handler(lambda _, context: self.wrong.append(f"asyncio reports: {context}"))
        self.model = Model()
        self.asked: dict[str, Asked] = {}
        self.hosts: dict[str, Host] = {}
        self.dead: list[Host] = []
        self.runs: list[Run] = []
        self.followers: list[Follower] = []
        self.kept: dict[str, Kept] = {}
        self.waiting = False
        """There may be something in the spool."""
        self.drains: list[tuple[Host, asyncio.Task[Any]]] = []
        self.stops: list[tuple[Run, asyncio.Task[None]]] = []
        self.said_alone: dict[str, tuple[str, str]] = {}
        """Of each memory that somebody wanted to store alone, by id: its space and its content."""
        self.stores: list[tuple[Host, asyncio.Task[Any], str]] = []
        """Who stores them, and the id."""
        self.wrong: list[str] = []
        """What was seen to be wrong, in the words of the place where it was seen."""
        self.down = False
        self.most_ended = 0
        """Facts of a memory space that were superseded, at once."""
        self.readings: list[tuple[Host, asyncio.Task[FactDrainReport]]] = []
        """Who reads what is queued for facts."""
        self.written: set[str] = set()
        """The questions whose streams were written since they were looked at."""
        self._ids = itertools.count(1)
        self._serials = itertools.count(1)
        self.spool = Spool(self.folder / "spool.db", clock=wall)
        self.reader = Counting(self, clock=self.loop.wall)
        """A connection of its own, for looking."""
        self.direct = Watched(self, self.reader)
        """The same, for what a user does beside all streams."""
        self.see(self.reader.query("memories:count", {"memorySpaceId": "s"}))  # which makes the file
        self.file = sqlite3.connect(self.path, isolation_level=None)

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        """Let the world run, until this is done."""
        return self.loop.run_until_complete(act)

    def see(self, look: Coroutine[Any, Any, T]) -> T:
        """Look, in no time."""
        return self.aside.run_until_complete(look)

    def waits(self, asked: Asked) -> bool:
        """Whether something of it is in the spool."""
        if not self.spool.file.exists:
            return False
        with closing(sqlite3.connect(self.spool.path)) as file:
            where = "SELECT count(*) FROM entries WHERE space = ? AND stream = ?"
            return bool(file.execute(where, (asked.space, asked.id)).fetchone()[0])

    def new_id(self) -> str:
        return f"{next(self._ids):05}"

    def serial(self) -> int:
        """Of a write: those that were asked for before have smaller ones."""
        return next(self._serials)

    # --- what there is ------------------------------------------------------------------------------------------------

    def up(self) -> list[str]:
        """Where a process can be asked for something."""
        now = self.loop.time()
        return [name for name in HOSTS if name not in self.hosts or self.hosts[name].still_until <= now]

    def busy(self) -> list[str]:
        """Where streams run, and the process does not stand still."""
        with_runs = {run.host for run in self.runs}
        return [name for name in self.up() if name in self.hosts and self.hosts[name] in with_runs]

    def saying(self) -> list[str]:
        """The runs whose source may say something."""
        return [run.name for run in self.runs if run.opened and run.end is None and not run.stopped]

    def run(self, name: str) -> Run:
        return next(run for run in self.runs if run.name == name)

    def host(self, name: str) -> Host:
        """The process there; a new one after a crash."""
        if name not in self.hosts:
            self.hosts[name] = Host(self, f"{name}{len(self.dead)}")
        return self.hosts[name]

    def stream(self, asked: Asked) -> Stream | None:
        """What is stored of it."""
        return self.model.streams.get((asked.space, asked.id))

    # --- streams, and what their sources say --------------------------------------------------------------------------

    async def begin(self, at: str, space: str, conversation: str, failure: str, words: str) -> None:
        """Ask another question."""
        id = str(sum(each.space == space for each in self.asked.values()))
        asked = Asked(space + id, space, id, conversation, failure)
        self.asked[asked.name] = asked
        self._start(asked, at, "begin", words)
        await asyncio.sleep(REST)

    def _start(
        self,
        asked: Asked,
        at: str,
        how: str,
        words: str,
        token: str | None = None,
        force: bool = False,
        space: str = "",
    ) -> None:
        host = self.host(at)
        run = Run(f"{asked.name}.{len(asked.runs)}", asked, how, host, trouble=self.down or bool(host.fault))
        asked.runs.append(run)
        self.runs.append(run)

        async def source(point: Any) -> AsyncGenerator[str, None]:
            if how not in ("begin", "again"):
                stream = self.stream(asked)
                assert stream
                self.wrong += run.goes_on(point, stream)
            run.opened = True
            run.say(words)
            async with aclosing(run.read()) as pieces:
                async for piece in pieces:
                    yield piece

        params: dict[str, Any] = {"memory_space_id": space or asked.space, "resume_from": token, "take_over": force}
        if token is None:
            params = {
                "memory_space_id": asked.space,
                "conversation_id": asked.conversation,
                "user_message": asked.question,
                "user_id": "ada",
                "user_name": "Ada",
            }
        store = Faulty(Watched(self, host.backend, host, run), host.process)
        options: dict[str, Any] = {"partialFailureHandling": asked.failure}
        if (len(asked.runs) + int(asked.id)) % 3:  # some processes read no facts
            options["factExtractionThreshold"] = 1
            params["extract_facts"] = host.extract
        make = WRAPS.get(how, replayable)
        run.answer = remember_stream(
            make(source), options, backend=store, spool=self.spool, make_id=lambda: asked.id, **params
        )
        run.task = host.process.start(self._reading(run, run.answer))

    async def _reading(self, run: Run, answer: Answer) -> Any:
        """Read all events, then wait for the result."""
        async with aclosing(answer.events()) as events:
            async for event in events:
                if isinstance(event, Replayed):
                    run.seen[event.attempt] = event.text
                elif isinstance(event, Delta):
                    text = run.seen.get(event.attempt, "")
                    if event.offset != len(text):
                        self.wrong.append(f"{run.name}: its reader got {event} after {text!r}")
                    run.seen[event.attempt] = text + event.text
                elif isinstance(event, Ended):
                    run.ended = True
        return await answer

    async def say(self, name: str, words: str) -> None:
        """The source says more."""
        run = self.run(name)
        run.say(words)
        run.wake()
        await asyncio.sleep(REST)

    async def end(self, name: str, error: Exception | None = None) -> None:
        """The source ends, or fails."""
        run = self.run(name)
        run.end = error or True
        run.wake()
        await asyncio.sleep(REST)
        if not run.trouble and run in self.runs and run.task and not run.task.done():
            raise AssertionError(f"{name} does not come to its end")

    async def stop(self, name: str, keep: bool) -> None:
        """The user stops it."""
        run = self.run(name)
        assert run.answer
        run.stopped, run.kept = True, keep
        for kept in self.kept.values():
            kept.unwanted = kept.unwanted or (not keep and kept.run.asked is run.asked and kept.run.epoch <= run.epoch)
        task = run.host.process.start(run.answer.stop(keep_partial=keep))
        self.stops.append((run, task))
        await asyncio.sleep(REST)
        if run.trouble or run not in self.runs:
            return
        assert task.done(), f"the stop of {name} does not come to its end"
        stream = self.stream(run.asked)
        if stream is None or stream.epoch != run.epoch or stream.state in ("deleted", "finished"):
            return
        if keep:
            assert not stream.owned(round(wall() * 1000)), f"{name} was stopped, and its lease still runs"
            if stream.attempt == run.attempt:
                assert stream.text == run.text, f"{name} was stopped: {stream.text!r} of {run.text!r} is stored"
        else:
            assert stream.state == "rolledBack", f"{name} was not wanted, and is {stream.state}"

    async def request_stop(self, name: str) -> None:
        """Somebody else asks its writer to stop, whoever that is."""
        asked = self.asked[name]
        stream = self.stream(asked)
        epoch = stream.epoch if stream else 0
        with suppress(StreamNotFound):
            found = await MemoryAPI(self.direct).stop(asked.space, asked.id)
            self.counted["stops requested of a writer"] += found.owned
        for run in asked.runs:
            if stream is not None and stream.epoch == epoch == run.epoch:
                run.requested = True
        await asyncio.sleep(REST)

    async def at_once(self, at: str, acts: list[tuple[str, dict[str, Any]]], fault: str) -> None:
        """Several of the methods here, with their arguments; of each run only what comes first.

        What begins and what continues does so in one process, and the fault is in a transaction of that.
        """
        usual, self.turns = self.turns, BUSY
        if fault:
            self.host(at)
            await self.fault(at, fault)
        chosen, runs = list[Coroutine[Any, Any, None]](), set[str]()
        for act, args in acts:
            if act in ("begin", "resume", "store", "read_queue"):
                chosen.append(getattr(self, act)(at=at, **args))
            elif act not in ("end", "stop", "say") or args["name"] not in runs:
                runs.add(args.get("name", ""))
                chosen.append(getattr(self, act)(**args))
        await asyncio.gather(*chosen)
        self.turns = usual

    # --- time, and what goes wrong ------------------------------------------------------------------------------------

    async def wait(self, seconds: float) -> None:
        """Let time pass; after the interval of `persist_partial` everything must be durable."""
        before = {run: run.text for run in self.runs}
        requested = [run for run in self.runs if run.requested and self._owns(run)]
        await asyncio.sleep(seconds)
        if seconds >= 4.0:  # longer than between two heartbeats
            for run in requested:
                assert run.trouble or not self._owns(run) or (run.task and run.task.done()), f"{run.name} did not stop"
        for run, text in before.items():
            stream = self.stream(run.asked)
            mine = stream and stream.state == "open" and (stream.epoch, stream.attempt) == (run.epoch, run.attempt)
            if seconds >= 1.0 and mine and run in self.runs and not run.trouble:
                assert stream and stream.text.startswith(text), f"{run.name}: {stream} lacks what came a second ago"
        await asyncio.sleep(REST)

    def _owns(self, run: Run) -> bool:
        stream = self.stream(run.asked)
        return stream is not None and stream.state == "open" and stream.epoch == run.epoch

    async def crash(self, at: str) -> None:
        """A process ends, now."""
        self.hosts[at].process.crash()

    async def fault(self, at: str, kind: str) -> None:
        """The next write of a process goes wrong, or the next text cannot be read for facts."""
        host = self.hosts[at]
        if kind == "unread":
            host.unread = True
            return
        host.fault = kind
        self._troubled(host)

    async def stall(self, at: str, seconds: float) -> None:
        """A process stands still."""
        host = self.hosts[at]
        host.still_until = self.loop.time() + seconds
        host.process.stall(seconds)
        self._troubled(host)
        await asyncio.sleep(REST)

    async def outage(self, *, down: bool) -> None:
        """The processes do not reach the store, or reach it again."""
        self.down = down
        self._troubled(None)
        await asyncio.sleep(REST)

    def _troubled(self, host: Host | None) -> None:
        for run in self.runs:
            run.trouble = run.trouble or host in (None, run.host)

    # --- going on -----------------------------------------------------------------------------------------------------

    async def resume(self, name: str, at: str, how: str, words: str, token: str, force: bool) -> None:
        """Another process continues."""
        asked = self.asked[name]
        if how == "again":
            self._start(asked, at, how, words)
        else:
            known = [run.answer.resume_token for run in asked.runs if run.answer and run.answer.resume_token]
            known = sorted(asked.tokens + known, key=lambda one: self.model.tokens[token_hash(one)].serial)
            chosen = {"oldest": known[:1], "forged": []}.get(token, known[-1:])
            space = SPACES[SPACES.index(asked.space) - 1] if token == "wrong space" else asked.space
            self._start(asked, at, how, words, (chosen or ["resume_of_nobody"])[0], force, space)
        await asyncio.sleep(REST)

    async def issue_token(self, name: str) -> None:
        """One more token."""
        asked = self.asked[name]
        with suppress(StreamNotFound):
            asked.tokens.append(await MemoryAPI(self.direct).issue_token(asked.space, asked.id))

    async def write(self, name: str, what: str) -> None:
        """An append that must be refused, or that changes nothing, or facts; what it must be says the model."""
        if what.startswith("facts: "):
            await self._commit(name, what.removeprefix("facts: "))
            return
        stream = self.stream(self.asked[name])
        if stream is None:
            return
        args: dict[str, Any] = {
            **self.asked[name].where,
            "epoch": stream.epoch - (what == "old epoch"),
            "attempt": stream.attempt - (what == "old attempt"),
            "start": len(stream.text) + 1 if what == "gap" else 0,
            "text": {"another text": "#" + stream.text[1:], "same again": stream.text}.get(what, "# "),
        }
        if args["attempt"] < 0 or (what == "another text" and not stream.text):
            return
        self.counted[f"stray: {what}"] += 1
        with suppress(StoreError):
            await self.direct.mutation("streams:append", args)
            assert what == "same again", f"{what} was written to {name}"

    async def _commit(self, name: str, what: str) -> None:
        """Facts of a window; what it must be says the model."""
        stream = self.stream(self.asked[name])
        if stream is None:
            return
        side, text = ("answer", stream.text) if stream.reading.done.get("question") else ("question", stream.question)
        done = stream.reading.done.get(side, 0)
        start, stop = {"again": (0, done), "gap": (done + 1, len(text)), "beyond": (done, len(text) + 1)}.get(
            what, (done, len(text))
        )
        args: dict[str, Any] = {
            **self.asked[name].where,
            "epoch": stream.epoch - (what == "old epoch"),
            "attempt": stream.attempt - (what == "old attempt"),
            "side": side,
            "from": start,
            "to": stop,
            "facts": read("", text[start:stop]),
            **({"error": "Unreadable"} if what == "failed" else {}),
        }
        if args["attempt"] < 0 or stop < start:
            return
        self.counted[f"stray facts: {what}"] += 1
        with suppress(StoreError):
            await self.direct.mutation("facts:commit", args)
            refused = what in ("old epoch", "gap", "beyond") or (what == "old attempt" and side == "answer")
            assert not refused, f"facts of {what} were written to {name}"

    async def read_queue(self, at: str) -> None:
        """A process reads what is queued for facts."""
        host = self.host(at)
        store = Faulty(Watched(self, host.backend, host), host.process)
        reader = FactReader(store, host.extract, timeout=30.0)
        self.readings.append((host, host.process.start(drain(reader, threshold=1))))
        await asyncio.sleep(REST)

    async def read_all(self) -> None:
        """Read what is left, also what was given up."""

        async def extract(user_message: str, text: str) -> list[dict[str, Any]]:
            return read(user_message, text)

        reader = FactReader(self.direct, extract, timeout=30.0)
        for dead in (False, True):
            await drain(reader, dead=dead)
        for asked in self.asked.values():
            stream = self.stream(asked)
            if stream is None or not stream.reading.asked or stream.state not in ("finished", "empty"):
                continue
            for side in SIDES:
                text = stream.question if side == "question" else stream.text if stream.state == "finished" else ""
                said = {(one["subject"], one["predicate"], one["object"]) for one in read("", text)}
                found = self.model.facts.of_stream(stream, side)
                there = stream.question_memory if side == "question" else stream.answer_memory
                assert found == (said if there else set()), f"the {side} of {asked.name}: {found}, and not {said}"

    async def finish(self, name: str) -> None:
        """What there is becomes the answer."""
        asked = self.asked[name]
        stream = self.stream(asked)
        was_open = stream is not None and stream.state == "open"
        try:
            await MemoryAPI(self.direct).finish(asked.space, asked.id)
        except (StillOwned, StreamNotFound):
            return
        self.counted["partials finished"] += was_open
        await asyncio.sleep(REST)

    async def drain(self, at: str) -> None:
        """A process delivers what waits in the spool."""
        host = self.host(at)
        store = Faulty(Watched(self, host.backend, host), host.process)
        self.drains.append((host, host.process.start(self.spool.drain(store))))
        await asyncio.sleep(REST)

    # --- reading, and taking away -------------------------------------------------------------------------------------

    async def follow(self, name: str, place: str) -> None:
        """Read it from the store, from its start or from where the last reader of its text has been."""
        asked = self.asked[name]
        at: Position | int = 0
        text = ""
        if place == "reader":
            for run in reversed(asked.runs):
                if run.attempt is not None and run.seen:  # not one that repeats what was finished
                    attempt = max(run.seen)
                    text = run.seen[attempt]
                    at = Position(len(text), run.begun + attempt, run.epoch)
                    break
        self.followers.append(Follower(self, asked, at, text))
        await asyncio.sleep(REST)

    async def store(self, at: str, space: str, conversation: str, which: str) -> None:
        """A process stores a memory alone: a new one, or the last one once more, or another text under its id."""
        id = f"alone-{len(self.said_alone) + (which == 'new' or not self.said_alone):03}"
        if which == "new" or id not in self.said_alone:
            self.said_alone[id] = space, f"Alone, {id}."
        space, content = self.said_alone[id]
        host = self.host(at)
        store = MemoryAPI(Faulty(Watched(self, host.backend, host), host.process)).store
        content += " But other." if which == "another text" else ""
        stored = store(space, content, memory_id=id, conversation_id=conversation, message_role="system")
        self.stores.append((host, host.process.start(stored), id))
        await asyncio.sleep(REST)

    async def forget(self, id: str) -> None:
        """Delete such a memory."""
        with suppress(MemoryNotFound):
            await MemoryAPI(self.direct).delete(self.said_alone[id][0], id)
        await asyncio.sleep(REST)

    async def leave(self) -> None:
        """The follower that came first goes away."""
        self.followers[0].task.cancel()
        await asyncio.sleep(REST)

    async def memory_of(self, asked: Asked, whose: str) -> str | None:
        """The id of the memory of its answer, or of its question."""
        stream = self.stream(asked)
        if stream and stream.state == "open" and whose == "user" and not stream.question_memory:
            found = await self.reader.query("streams:get", asked.where)
            return str(found["memoryIds"][0]) if found else None  # it is not stored yet
        rows = await self.reader.query("memories:list", {"memorySpaceId": asked.space, "includePartial": True})
        for row in rows:
            if stream and whose == row["messageRole"]:
                its = row["partialMetadata"]["streamId"] if row["isPartial"] else row["content"]
                if its in (asked.id if row["isPartial"] else stream.text, asked.question):
                    return str(row["memoryId"])
        return None

    async def remove(self, name: str, whose: str) -> None:
        """Delete the memory of its answer, or of its question, if there is one."""
        asked = self.asked[name]
        stream = self.stream(asked)
        memory = await self.memory_of(asked, whose)
        if stream is None or memory is None:
            return
        self.model.memories[memory] = stream, whose
        with suppress(MemoryNotFound):  # something else may take it away at the same moment
            await MemoryAPI(self.direct).delete(asked.space, memory)
        await asyncio.sleep(REST)

    # --- the end ------------------------------------------------------------------------------------------------------

    async def bury(self) -> None:
        """Take away all processes and readers."""
        for host in [*self.dead, *self.hosts.values()]:
            await host.process.bury()
        for follower in self.followers:
            follower.task.cancel()
        await asyncio.gather(*(follower.task for follower in self.followers), return_exceptions=True)
        await self.reader.close()
        await asyncio.sleep(REST)

    def close(self) -> None:
        """Let go of the rest."""
        self.file.close()
        for loop in (self.loop, self.aside):
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        shutil.rmtree(self.folder)


def open_things() -> set[str]:
    """Threads, and open files."""
    return {thing.words for thing in left_in_process()}
