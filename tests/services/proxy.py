"""A TCP proxy on 127.0.0.1 that cuts, delays, closes and half-closes connections by a seeded plan.

    async with Proxy(server.port, Plan(seed=7)) as proxy:
        ...  # connect to proxy.port

What happens to the n-th connection depends on the seed and n only: whether it happens, in which direction, and after
how many bytes. How the bytes are cut into packets does not matter.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["WEIGHTS", "Fate", "Plan", "Proxy"]

UP, DOWN = "up", "down"  # from the client to the server, and back


@dataclass(frozen=True)
class Fate:
    """What becomes of a connection when `after` bytes have passed in a direction.

    `pass`: nothing. `refuse`: it is reset before the server knows of it. `cut`: both sides are reset, as when a machine
    on the way is lost. `close`: both sides are closed in good order. `half-close`: this direction ends, and the other
    goes on. `delay`: this direction stands still for some seconds.
    """

    what: str
    direction: str = UP
    after: int = 0
    seconds: float = 0.0


WEIGHTS = {"pass": 4, "refuse": 1, "cut": 4, "close": 2, "half-close": 2, "delay": 3}


@dataclass(frozen=True)
class Plan:
    """The fates of the connections, drawn by `WEIGHTS`. The logarithm of `after` is drawn evenly, so that the log-in is
    hit as well as what comes long after it."""

    seed: int
    most: int = 200_000  # bytes
    seconds: float = 0.05  # the longest delay

    def fate(self, number: int) -> Fate:
        """That of the connection with this number, from 0."""
        draw = random.Random(f"{self.seed} {number}")
        [what] = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
        after = int(math.exp(draw.uniform(0, math.log(self.most))))
        return Fate(what, draw.choice((UP, DOWN)), after, draw.uniform(0, self.seconds))


CALM = Fate("pass")


class Proxy:
    """Listens on `port` and connects to the server's port. `counts` says how many fates came true, by what they are.

    `plan` is None: everything passes. It may be set at any time, for the connections that come then.
    """

    def __init__(
        self,
        server: int,
        plan: Plan | None = None,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.plan, self.counts = plan, Counter[str]()
        self._server, self._sleep = server, sleep
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        return self._listener.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Proxy:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        await self.ended()
        await self._listener.wait_closed()

    def cut(self) -> None:
        """Cut all connections now."""
        for writer in self._writers:
            _reset(writer)

    async def ended(self) -> None:
        """Wait until both sides have ended each connection that there is."""
        await asyncio.gather(*self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        fate = self.plan.fate(self._number) if self.plan else CALM
        self._number += 1
        self._writers.add(writer)
        try:
            if fate.what == "refuse":
                self.counts["refuse"] += 1
                _reset(writer)
                return
            try:
                back, forth = await asyncio.open_connection("127.0.0.1", self._server)
            except OSError:  # the server is down, which the client sees
                _reset(writer)
                return
            self._writers.add(forth)
            try:
                await asyncio.gather(
                    self._pump(reader, forth, fate if fate.direction == UP else CALM, writer),
                    self._pump(back, writer, fate if fate.direction == DOWN else CALM, forth),
                )
            finally:
                self._writers.discard(forth)
                forth.close()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fate: Fate, other: asyncio.StreamWriter
    ) -> None:
        """Carry bytes in one direction, until it ends. `other` is the writer of the other direction."""
        left: int | None = None if fate.what == "pass" else fate.after
        with suppress(OSError):
            while data := await reader.read(65_536):
                if left is None or len(data) < left:
                    left = None if left is None else left - len(data)
                    writer.write(data)
                    await writer.drain()
                    continue
                writer.write(data[:left])
                await writer.drain()
                self.counts[fate.what] += 1
                if fate.what == "delay":
                    await self._sleep(fate.seconds)
                    writer.write(data[left:])
                    left = None
                elif fate.what == "half-close":
                    break
                else:
                    for each in (writer, other):
                        _reset(each) if fate.what == "cut" else each.close()
                    return
            if not writer.is_closing() and writer.can_write_eof():
                writer.write_eof()
            while await reader.read(65_536):  # of a direction that has ended: it is lost
                pass


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close it so that the other side gets a reset, and nothing that still waits is sent."""
    if (opened := writer.get_extra_info("socket")) and opened.fileno() >= 0:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
