"""What the rules of the state machine do: every rule that needs more than a line is a method here, and lets the world come to rest."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing, closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from machine_model import Model, Stream
from machine_parts import Asked, Counting, Follower, Host, Kept, Run, Watched

from cortex_rx import SqliteBackend, Spool, remember_stream
from cortex_rx.api.memory import MemoryAPI
from cortex_rx.errors import Diverged, Fenced, Gap, StillOwned, StoreError, StreamNotFound
from cortex_rx.events import Delta, Ended, Interrupted, Replayed, Rewound, RolledBack
from cortex_rx.following import Place, follow
from cortex_rx.remember import Answer
from cortex_rx.source import prefill, replayable, restart
from cortex_rx.takeover import hashed
from cortex_rx.testing import Faulty, VirtualLoop, wall
from cortex_rx.testing.leaks import left_in_process

__all__ = ["CONVERSATIONS", "SPACES", "World"]

T = TypeVar("T")
HOSTS, SPACES, CONVERSATIONS = "abc", "st", "cd"
REST = 0.01  # virtual seconds in which everything that waits for no clock comes to rest
WRAPS = {"prefill": prefill, "restart": restart}  # the others are replayable


class World:
    """Everything of one example."""

    def __init__(self, counted: Counter[str]) -> None:
        self.counted = counted
        self.files = left()
        shm = next(filter(os.path.isdir, ["/dev/shm"]), None)  # in memory, where there is such a place
        self.folder = Path(tempfile.mkdtemp(prefix="cortex-machine-", dir=shm))
        self.path = self.folder / "memory.db"
        self.loop = VirtualLoop()
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
        self.drains: list[tuple[Host, asyncio.Task[Any]]] = []
        self.stops: list[tuple[Run, asyncio.Task[None]]] = []
        self.wrong: list[str] = []
        """What was seen to be wrong, in the words of the place where it was seen."""
        self.down = False
        self.written: set[str] = set()
        """The questions whose streams were written since they were looked at."""
        self._ids = itertools.count(1)
        self.spool = Spool(self.folder / "spool.db", clock=wall)
        self.reader = Counting(self.path, clock=self.loop.wall, new_id=self.new_id)
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

    # --- what the store was told --------------------------------------------------------------------------------------

    def accepted(self, path: str, args: Mapping[str, Any], expected: Mapping[str, Any], run: Run | None) -> None:
        """A write was taken: it must be of what its source has said."""
        if path == "memories:deleteMemory":
            stream, _ = self.model.memories[args["memoryId"]]
        else:
            stream = self.model.streams[args["memorySpaceId"], args.get("streamId") or expected["streamId"]]
        name = stream.space + stream.id
        self.written.add(name)
        asked = self.asked[name]
        asked.was_gone = asked.was_gone or stream.gone
        self.counted[path] += 1
        if run is None:
            return
        if path == "streams:begin":
            run.epoch, run.begun = expected["epoch"], expected["attempt"]
            if stream.state == "open":
                self.counted["begun again"] += run.epoch > 1
                run.attempt = run.begun
                asked.sources[run.begun] = run
        elif path == "streams:takeOver":
            run.epoch = expected["epoch"]
            self.counted["taken over"] += stream.state == "open"
        elif path in ("streams:append", "streams:finalize"):
            whole = path == "streams:finalize"
            if not run.opened:  # of a finished stream, whose source is not asked: it says once more what is stored
                if expected.get("stored") != "before":
                    self.wrong.append(f"{run.name} wrote {args['text']!r}, and its source was never asked")
            elif stream.attempt != run.attempt:
                self.wrong.append(f"{run.name} wrote attempt {stream.attempt}, its text is of {run.attempt}")
            elif not run.text.startswith(stream.text) or (whole and stream.text != run.text):
                self.wrong.append(f"{run.name}: {path} made {stream.text!r}, its source said {run.text!r}")
        elif path == "streams:close" and run.text.strip():
            self.wrong.append(f"{run.name} was closed as unanswered, its source said {run.text!r}")

    def refused(self, path: str, args: Mapping[str, Any], error: StoreError, run: Run | None) -> None:
        """A write was refused."""
        self.counted[f"{type(error).__name__} said"] += 1
        if run is None:
            return
        self.counted["zombies fenced"] += isinstance(error, Fenced) and path != "streams:renew"
        run.refused.add(type(error))
        if isinstance(error, Gap | Diverged):
            self.wrong.append(f"{run.name}: {path} at {args['start']} was no continuation: {error!r}")

    # --- streams, and what their sources say --------------------------------------------------------------------------

    async def begin(self, at: str, space: str, conversation: str, failure: str, words: str) -> None:
        """Ask another question."""
        id = str(sum(each.space == space for each in self.asked.values()))
        asked = Asked(space + id, space, id, conversation, failure)
        self.asked[asked.name] = asked
        self._start(asked, at, "begin", words)
        await asyncio.sleep(REST)

    def _start(self, asked: Asked, at: str, how: str, words: str, token: str | None = None, force: bool = False, space: str = "") -> None:
        host = self.host(at)
        run = Run(f"{asked.name}.{len(asked.runs)}", asked, how, host, trouble=self.down or bool(host.fault))
        asked.runs.append(run)
        self.runs.append(run)

        async def source(point: Any) -> AsyncGenerator[str, None]:
            self._open(run, point)
            self._add(run, words)
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
        options = {"partialFailureHandling": asked.failure}
        make = WRAPS.get(how, replayable)
        run.answer = remember_stream(
            make(source), options, backend=store, spool=self.spool, make_id=lambda: asked.id, **params
        )
        run.task = host.process.start(self._reading(run, run.answer))

    def _open(self, run: Run, point: Any) -> None:
        """The library opens the source: what it goes on from."""
        run.opened = True
        if run.how in ("begin", "again"):
            return
        stream = self.stream(run.asked)
        assert stream is not None
        stored, run.attempt = stream.text, stream.attempt
        assert point.offset == (0 if run.how == "restart" else len(stored)), f"{point} of {stored!r}"
        if run.how == "replay":
            former = run.asked.sources.get(stream.attempt)
            run.text = former.text if former and former.text.startswith(stored) else stored
            if run.text:
                run.pieces.append(run.text)
        elif run.how == "prefill":
            run.text = stored
            assert point.text == (stored.rstrip() or None), point.text
            run.trim = stored[len(stored.rstrip()) :]
        elif stored:
            run.attempt += 1
        run.asked.sources[run.attempt] = run

    async def _reading(self, run: Run, answer: Answer) -> Any:
        """Read all events, then wait for the result."""
        async with aclosing(answer.events()) as events:  # type: ignore[type-var]
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
        """The source says more: each word but once in a world, so that none can be taken for another."""
        run = self.run(name)
        self._add(run, words)
        run.wake()
        await asyncio.sleep(REST)

    def _add(self, run: Run, words: str) -> None:
        name, number = run.name, len(run.pieces)
        said = {
            "one": [f"{name}:{number} "],
            "two": [f" {name}:{number}", f"é😀{number} "],
            "long": [f"{name}:{number}" + "-x" * 1500 + " "],
            "blank": [" \n"],
        }
        for word in said.get(words, []):
            run.add(word)

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
            assert stream.lease <= round(wall() * 1000), f"{name} was stopped, and its lease still runs"
            if stream.attempt == run.attempt:
                assert stream.text == run.text, f"{name} was stopped: {stream.text!r} of {run.text!r} is stored"
        else:
            assert stream.state == "rolledBack", f"{name} was not wanted, and is {stream.state}"

    # --- time, and what goes wrong ------------------------------------------------------------------------------------

    async def wait(self, seconds: float) -> None:
        """Let time pass; after the interval of `persist_partial` everything must be durable."""
        before = {run: run.text for run in self.runs}
        await asyncio.sleep(seconds)
        for run, text in before.items():
            stream = self.stream(run.asked)
            mine = stream and stream.state == "open" and (stream.epoch, stream.attempt) == (run.epoch, run.attempt)
            if seconds >= 1.0 and mine and run in self.runs and not run.trouble:
                assert stream and stream.text.startswith(text), f"{run.name}: {stream} lacks what came a second ago"
        await asyncio.sleep(REST)

    async def crash(self, at: str) -> None:
        """A process ends, now."""
        self.hosts[at].process.crash()

    async def fault(self, at: str, kind: str) -> None:
        """The next write of a process goes wrong."""
        host = self.hosts[at]
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
        """Another process goes on."""
        asked = self.asked[name]
        if how == "again":
            self._start(asked, at, how, words)
        else:
            known = [run.answer.resume_token for run in asked.runs if run.answer and run.answer.resume_token]
            known = sorted(asked.tokens + known, key=lambda one: self.model.tokens[hashed(one)].serial)
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
        """An append that must be refused, or that changes nothing; what it must be says the model."""
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
        at: Place | int = 0
        text = ""
        if place == "reader":
            for run in reversed(asked.runs):
                if run.attempt is not None and run.seen:  # not one that repeats what was finished
                    attempt = max(run.seen)
                    text = run.seen[attempt]
                    at = Place(len(text), run.begun + attempt, run.epoch)
                    break
        follower = Follower(asked, SqliteBackend(self.path, clock=wall, read_only=True), at, text)
        follower.attempt = at.attempt if isinstance(at, Place) else None
        follower.task = asyncio.get_running_loop().create_task(self._following(follower))
        self.followers.append(follower)
        await asyncio.sleep(REST)

    async def _following(self, follower: Follower) -> None:
        asked, api = follower.asked, MemoryAPI(follower.backend)
        try:
            async with aclosing(api.follow(asked.space, asked.id, follower.place)) as events:
                async for event in events:
                    self.counted[f"followers got {type(event).__name__}"] += 1
                    self._followed(follower, event)
        except StreamNotFound:
            self._says_end(follower, "not found")
        finally:
            await follower.backend.close()

    def _followed(self, follower: Follower, event: Any) -> None:
        """What a follower gets must be what is stored, without gap or repeat."""
        stream = self.stream(follower.asked)
        text = follower.text
        if isinstance(event, Delta):
            if event.offset != len(text) or follower.attempt not in (None, event.attempt):
                self.wrong.append(f"a follower of {follower.asked.name} got {event} after {text!r}")
            follower.attempt, follower.text = event.attempt, text + event.text
            if stream and not stream.gone and not stream.texts[event.attempt].startswith(follower.text):
                self.wrong.append(f"a follower of {follower.asked.name} saw {follower.text!r}, stored is {stream}")
        elif isinstance(event, Rewound):
            same = event.attempt == follower.attempt
            if event.offset > len(text) or (event.offset and not same):
                self.wrong.append(f"a follower of {follower.asked.name} got {event} after {text!r}")
            follower.attempt, follower.text = event.attempt, text[: event.offset]
        else:
            self._says_end(follower, type(event).__name__)

    def _says_end(self, follower: Follower, end: str) -> None:
        """The end that a follower is told must be that of the stream, and he must have seen all of it."""
        stream = self.stream(follower.asked)
        gone = stream is None or stream.gone
        fits = {
            "Ended": not gone and stream is not None and stream.state != "open",
            "Interrupted": not gone and stream is not None and stream.lease <= round(wall() * 1000),
            "RolledBack": gone,
            "not found": gone,
        }[end]
        if not fits:
            self.wrong.append(f"a follower of {follower.asked.name} was told {end}: {stream}")
        elif stream and end in ("Ended", "Interrupted") and follower.text != stream.text:
            self.wrong.append(f"a follower of {follower.asked.name} saw {follower.text!r} to the end of {stream}")

    async def leave(self) -> None:
        """The follower that came first goes away."""
        task = self.followers[0].task
        assert task
        task.cancel()
        await asyncio.sleep(REST)

    async def look(self, name: str) -> None:
        """Search for its first word: an answer is found when it is one; a partial one only if it is asked for."""
        asked = self.asked[name]
        stream = self.stream(asked)
        words = stream.text.split() if stream else []
        if stream is None or not words:
            return
        for space in SPACES:
            for partial in (False, True):
                args = {"memorySpaceId": space, "query": words[0], "includePartial": partial}
                found = [row["content"] for row in await self.reader.query("memories:search", args)]
                there = space == asked.space and stream.answer_memory and (partial or stream.state != "open")
                assert found.count(stream.text) == there, f"{words[0]!r} finds {found} in {space}: {stream}"
                self.counted["found by search"] += there

    async def memory_of(self, asked: Asked, whose: str) -> str | None:
        """The id of the memory of its answer, or of its question."""
        stream = self.stream(asked)
        rows = await self.reader.query("memories:list", {"memorySpaceId": asked.space, "includePartial": True})
        for row in rows:
            if stream and whose == row["messageRole"]:
                its = row["partialMetadata"]["streamId"] if row["isPartial"] else row["content"]
                if its in (asked.id if row["isPartial"] else stream.text, asked.question):
                    return str(row["memoryId"])
        return None

    async def delete(self, asked: Asked, whose: str, memory: str) -> None:
        """Delete the memory of its answer, or of its question."""
        stream = self.stream(asked)
        assert stream
        self.model.memories[memory] = stream, whose
        await MemoryAPI(self.direct).delete(asked.space, memory)
        await asyncio.sleep(REST)

    # --- the end ------------------------------------------------------------------------------------------------------

    async def bury(self) -> None:
        """Take away all processes and readers."""
        for host in [*self.dead, *self.hosts.values()]:
            await host.process.bury()
        tasks = [follower.task for follower in self.followers if follower.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.reader.close()
        await asyncio.sleep(REST)

    def close(self) -> None:
        """Let go of the rest."""
        self.file.close()
        for loop in (self.loop, self.aside):
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        shutil.rmtree(self.folder)


def left() -> set[str]:
    """Threads, and open files."""
    return {thing.words for thing in left_in_process()}
