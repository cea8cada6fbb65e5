"""A process that has the library loaded and forks others; each runs one stream on a file, says what it does, and stands
still where it is told to: there the process that started it kills or stops it.

Loading the library costs half a second, a fork some milliseconds.  What the library loads and builds at its first
stream is there before the forks, too.  This process has one thread, no loop and no open file when it forks.  It is
asked over a socket, in lines of JSON: {"run": order, "broken": None}, with the socket of the new process beside it,
{"reap": pid}, {"stopped": pid}.  When whoever asks is gone, it kills what it has started, and ends.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from cortex_rx import Cortex, SqliteBackend, remember_stream
from cortex_rx.backends.sqlite import connection, functions, store
from cortex_rx.errors import StillOwned
from cortex_rx.events import Begun, Delta, Replayed
from cortex_rx.operators._support import stream_start
from cortex_rx.sources.model_stream import prefill, replayable, restart
from cortex_rx.testing import run_virtual, wall

HEARTBEAT = 0.025  # seconds, instead of 3
SAID = (
    "epoch",
    "attempt",
    "start",
    "text",
    "length",
    "state",
    "memoryId",
    "streamId",
    "end",
    "messageIds",
    "memoryIds",
)
"""What is told of the arguments and the result of a write."""
WRAPS = {"replayed": replayable, "another text": replayable, "restarted": restart, "prefilled": prefill}

child: Child | None = None
"""In a process that was forked: what it does."""


class Child:
    """What a process says and where it stands still.

    Where is the `aim` of its order: {"effect", "nth", "when", "step"}, the `nth` time that it comes to the effect:
    `before` it; `inside` the transaction, at the statement number `step`; at its `commit`, where it says so and does
    not stand; `after` it, before its acknowledgement is used (after a commit too).  Of what is no write, such as
    `shown`, it is `at`.
    """

    def __init__(self, line: socket.socket, order: dict[str, Any]) -> None:
        self.line, self.order = line, order
        self.aim: dict[str, Any] = order.get("aim") or {}
        self.flying = 0  # writes that were asked for and have not returned
        self.idle = asyncio.Event()
        self.calls = itertools.count()
        self.running: str | None = None  # whose statements come, on the thread that writes
        self._begun: Counter[str] = Counter()
        self._traced: Counter[str] = Counter()
        self._step = 0
        self._arrived = False
        self._lock = threading.Lock()

    def say(self, what: str, **more: Any) -> None:
        with self._lock:
            self.line.sendall(json.dumps({"what": what, **more}).encode() + b"\n")

    def stand(self, when: str) -> None:
        """Say so, and stand still until told to go on."""
        self._arrived = True
        self.say("here", when=when)
        if not self.line.recv(1):
            os._exit(3)  # nobody is there any more

    async def stand_aside(self, when: str) -> None:
        """The same, while the rest of the process continues."""
        await asyncio.get_running_loop().run_in_executor(None, self.stand, when)

    def count(self, effect: str) -> int:
        """It is reached once more; the how manieth time."""
        self._begun[effect] += 1
        return self._begun[effect]

    def uncount(self, effect: str) -> None:
        """It was refused, and will be tried again."""
        self._begun[effect] -= 1

    def aims(self, effect: str, nth: int, *when: str) -> bool:
        aim = self.aim
        return bool(aim) and (aim["effect"], aim["nth"]) == (effect, nth) and aim["when"] in when

    def reached(self, effect: str) -> None:
        """What is no write."""
        if self.aims(effect, self.count(effect), "at"):
            self.stand("at")

    async def shown(self) -> None:
        """A piece of text was shown; if it is to stand here, then while nothing is written."""
        if self.aims("shown", self.count("shown"), "at"):
            while self.flying:
                self.idle.clear()
                await self.idle.wait()
            self.stand("at")

    def passed(self, effect: str, nth: int) -> bool:
        """It was to stand after this, or before and has not: the commit is done, or there were fewer statements than
        the aim says.
        """
        return self.aims(effect, nth, "after", "commit") or (self.aims(effect, nth, "inside") and not self._arrived)

    # --- on the thread that writes ---

    def run(self, effect: str) -> None:
        """From now on statements are of this effect."""
        self.running = effect
        self._traced[effect] += 1
        self._step = 0

    def statement(self, sql: str) -> None:
        """SQLite begins with a statement."""
        if self.running is None or sql.startswith("BEGIN"):  # before that of a write is known whose it is
            return
        if sql == "ROLLBACK" and self.running != "open file":
            self._traced[self.running] -= 1
        self._step += 1
        nth = self._traced[self.running]
        if self.aims(self.running, nth, "inside") and self._step == self.aim["step"]:
            self.stand("inside")
        elif self.aims(self.running, nth, "commit") and sql.startswith(("COMMIT", "PRAGMA wal_checkpoint")):
            self.say("here", when="commit")


class Watched:
    """A backend that says what it is asked to write, and what came of it; its leases are as long as the order says."""

    def __init__(self, backend: SqliteBackend, of: Child) -> None:
        self._backend, self._child, self._lease = backend, of, of.order["lease"]

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self._backend.query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        of = self._child
        if args.get("lease"):
            args = {**args, "lease": self._lease}
        nth = of.count(path)
        call = next(of.calls)
        of.flying += 1
        try:
            of.say("before", effect=path, call=call, **_said(args))
            if of.aims(path, nth, "before"):
                await of.stand_aside("before")
            try:
                result = await self._backend.mutation(path, args)
            except Exception as error:
                of.uncount(path)
                of.say("refused", effect=path, call=call, error=type(error).__name__)
                raise
            of.say("after", effect=path, call=call, result=_said(result), **_said(args))
            if of.passed(path, nth):
                await of.stand_aside("after")
            return result
        finally:
            of.flying -= 1
            if not of.flying:
                of.idle.set()

    async def close(self) -> None:
        await self._backend.close()


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in SAID if name in values}


def model(of: Child) -> Callable[..., AsyncGenerator[str, None]]:
    """What the order gives it to say: pairs of a pause (ms) and a text, or a pause and None for a connection that
    breaks.
    """

    async def opened(_: Any) -> AsyncGenerator[str, None]:
        of.say("asked")
        of.reached("source open")
        try:
            for pause, word in of.order["words"]:
                await asyncio.sleep(pause / 1000)
                of.reached("source read")
                if word is None:
                    raise ConnectionResetError("the line broke")
                yield word
        finally:
            of.reached("source close")

    return opened


async def live(of: Child) -> None:
    """Do what the order says, and say what came of it."""
    backend = Watched(SqliteBackend(of.order["path"], busy_timeout=of.order["busy"]), of)
    try:
        if of.order["do"] == "finish":
            await _patiently(lambda: Cortex(backend).memory.finish(of.order["space"], of.order["stream"]))
            of.say("outcome", error=None)
        else:
            await _answer(of, backend)
    except Exception as error:
        of.say("outcome", error=type(error).__name__, trace=traceback.format_exc())
    finally:
        await backend.close()


async def _answer(of: Child, backend: Watched) -> None:
    order, token = of.order, of.order.get("token")
    if order["way"] == "issued":
        memory = Cortex(backend).memory
        while order["stream"] not in [one.stream_id for one in await memory.interrupted(order["space"])]:
            await asyncio.sleep(0.01)
        token = await memory.issue_token(order["space"], order["stream"])
        of.say("issued", token=token)
    params = order["params"]
    if token:
        params = {"memory_space_id": order["space"], "resume_from": token, "take_over": order["force"]}

    async def once() -> None:
        answer = remember_stream(
            WRAPS[order["how"]](model(of)), {"partial_response_interval": 20}, backend=backend, **params
        )
        await _read(of, answer)
        of.say("outcome", error=None, text=(await answer).full_response)

    await _patiently(once)


async def _patiently(work: Callable[[], Any]) -> None:
    """Wait for the lease of a process that may be alive."""
    while True:
        try:
            return await work()
        except StillOwned as error:
            await asyncio.sleep(max(error.until / 1000 - time.time(), 0.005))


async def _read(of: Child, answer: Any) -> None:
    base = seen = 0
    async for event in answer.events():
        if isinstance(event, Begun):
            base = event.attempt
            of.say("begun", epoch=event.epoch, attempt=event.attempt, token=event.token, before=event.stored_before)
        elif isinstance(event, Replayed):
            of.say("shown", attempt=base + event.attempt, offset=0, text=event.text)
        elif isinstance(event, Delta):
            of.say("shown", attempt=base + event.attempt, offset=event.offset, text=event.text)
            await of.shown()
            seen += 1
            if seen == of.order.get("stop_after"):
                await answer.stop(keep_partial=of.order["do"] == "stops")


def born(line: socket.socket, order: dict[str, Any], broken: str | None) -> None:
    """The life of a process that was forked; it first calls `broken`, "module:function", which breaks the library."""
    global child
    child = Child(line, order)
    try:
        if broken:
            module, name = broken.split(":")
            getattr(importlib.import_module(module), name)()
        asyncio.run(live(child))
        files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_there(fd)]
        left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        child.say("bye", left=left + [file for file in files if order["path"] in file])
    except BaseException:
        child.say("broken", trace=traceback.format_exc())
    finally:
        os._exit(0)


def _is_there(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")  # not the one that has listed them


def look_inside() -> None:
    """Let the process that runs here see each statement of the connection that writes, and the opening and closing of
    the file.
    """

    def traced(path: str, function: functions.Function) -> functions.Function:
        def call(work: Any, args: dict[str, Any]) -> Any:
            if child:
                child.run(path)
            return function(work, args)

        return call

    table: Any = functions.MUTATIONS
    for path, function in list(table.items()):
        table[path] = traced(path, function)

    connect, connect_writer, checkpoint = connection._connect, store.connect_writer, store.checkpoint

    def connected(settings: Any, options: str) -> Any:
        db = connect(settings, options)
        if child and child.running == "open file" and child.aim.get("when") in ("inside", "commit"):
            db.set_trace_callback(child.statement)
        return db

    def opened(settings: Any) -> Any:
        return around("open file", lambda: connect_writer(settings))

    def closed(db: Any) -> None:
        around("close file", lambda: checkpoint(db))

    def around(effect: str, work: Callable[[], Any]) -> Any:
        if not child:
            return work()
        nth = child.count(effect)
        call = next(child.calls)
        child.say("before", effect=effect, call=call)
        if child.aims(effect, nth, "before"):
            child.stand("before")
        child.run(effect)
        result = work()
        child.running = None
        child.say("after", effect=effect, call=call, result={})
        if child.passed(effect, nth):
            child.stand("after")
        return result

    connection._connect, store.connect_writer, store.checkpoint = connected, opened, closed
    stream_start._HEARTBEAT = HEARTBEAT


async def warm_up() -> None:
    """One stream to its end."""
    params = dict.fromkeys(("memory_space_id", "conversation_id", "user_message", "user_id", "user_name"), "any")
    async with SqliteBackend(":memory:", clock=wall) as store:
        await remember_stream(["A word"], {"partial_response_interval": 20}, backend=store, **params)
        assert await Cortex(store).memory.interrupted("any") == []


def main(fd: int) -> None:
    run_virtual(warm_up())  # without a thread
    look_inside()
    logging.disable(logging.CRITICAL)  # that streams end badly is what they are here for
    gc.collect()
    gc.freeze()  # what is shared with those that are forked need not be copied
    assert len(os.listdir("/proc/self/task")) == 1, "a fork takes one thread with it"
    alive: set[int] = set()
    with socket.socket(fileno=fd) as asked:
        asked.sendall(b'{"ready": true}\n')
        while True:
            data, fds, _, _ = socket.recv_fds(asked, 1 << 20, 1)
            if not data:
                break
            while not data.endswith(b"\n"):
                data += asked.recv(1 << 20)
            order = json.loads(data)
            if "run" in order:
                line = socket.socket(fileno=fds[0])
                pid = os.fork()
                if pid == 0:
                    asked.close()
                    born(line, order["run"], order["broken"])
                line.close()
                alive.add(pid)
                answer = pid
            elif "reap" in order:
                answer = os.waitpid(order["reap"], 0)[1]
                alive.discard(order["reap"])
            else:
                answer = os.waitpid(order["stopped"], os.WUNTRACED)[1]
            asked.sendall(json.dumps(answer).encode() + b"\n")
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
