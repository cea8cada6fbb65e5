"""The proxy does what its plan says, to the byte, and counts it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from services.proxy import WEIGHTS, Fate, Plan, Proxy

TEXT = bytes(range(256)) * 4_000  # 1 MB: more than the buffers on the way


@dataclass(frozen=True)
class Planned:
    """A plan of fates that are written down."""

    fates: tuple[Fate, ...]

    def fate(self, number: int) -> Fate:
        return self.fates[number]


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that sends back what it gets, until it gets no more. What each connection has got, and its port."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(got)
        got.append(b"")
        try:
            while data := await reader.read(65_536):
                got[number] += data
                writer.write(data)
                await writer.drain()
        except OSError:
            got[number] += b"!"  # it was reset
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got


async def say(port: int, text: bytes) -> bytes:
    """Send a text and read what comes back; a `!` at its end says that the connection was reset."""
    answer = b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        try:
            writer.write(text)
            await writer.drain()
            writer.write_eof()
        except OSError:
            pass

    sending = asyncio.create_task(send())
    try:
        while data := await reader.read(65_536):
            answer += data
    except OSError:
        answer += b"!"
    await sending
    writer.close()
    return answer


async def through(*fates: Fate, text: bytes = TEXT) -> tuple[list[bytes], list[bytes], Counter[str], list[float]]:
    """What comes back over connections with these fates, what the server got, what is counted, what was waited."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async with echo() as (server, got), Proxy(server, Planned(fates), sleep=sleep) as proxy:  # type: ignore[arg-type]
        back = [await say(proxy.port, text) for _ in fates]
        await proxy.ended()
    return back, got, proxy.counts, waited


async def test_everything_passes_without_a_plan() -> None:
    async with echo() as (server, got), Proxy(server) as proxy:
        assert await asyncio.gather(*(say(proxy.port, TEXT) for _ in range(3))) == [TEXT] * 3
    assert got == [TEXT] * 3
    assert not proxy.counts


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("after", [1, 1_000, 100_000])
async def test_a_delay_loses_nothing(direction: str, after: int) -> None:
    back, got, counts, waited = await through(Fate("delay", direction, after, 0.25), Fate("pass"))
    assert (back, got, waited) == ([TEXT] * 2, [TEXT] * 2, [0.25])
    assert counts == {"delay": 1}


@pytest.mark.parametrize("after", [1, 1_000, 100_000])
async def test_a_half_closed_request_is_answered_as_far_as_it_came(after: int) -> None:
    back, got, counts, _ = await through(Fate("half-close", "up", after))
    assert back == got == [TEXT[:after]]
    assert counts == {"half-close": 1}


@pytest.mark.parametrize("after", [1, 1_000, 100_000])
async def test_a_half_closed_answer_ends_while_the_request_goes_on(after: int) -> None:
    back, got, counts, _ = await through(Fate("half-close", "down", after))
    assert (back, got) == ([TEXT[:after]], [TEXT])
    assert counts == {"half-close": 1}


@pytest.mark.parametrize("what", ["cut", "close"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_nothing_passes_after_the_end(what: str, direction: str) -> None:
    [back], [got], counts, _ = await through(Fate(what, direction, 1_000))
    assert TEXT.startswith(back.removesuffix(b"!"))
    assert TEXT.startswith(got.removesuffix(b"!"))
    assert len(got if direction == "up" else back) <= 1_001
    assert (what == "close") or back.endswith(b"!")
    assert counts == {what: 1}


async def test_a_refused_connection_does_not_reach_the_server() -> None:
    back, got, counts, _ = await through(Fate("refuse"), Fate("pass"))
    assert (back, got, counts) == ([b"!", TEXT], [TEXT], {"refuse": 1})


async def test_a_client_sees_that_the_server_is_down() -> None:
    async with echo() as (server, _):
        pass
    async with Proxy(server) as proxy:
        assert await say(proxy.port, b"hello") == b"!"


async def test_all_connections_are_cut_at_once() -> None:
    async with echo() as (server, _), Proxy(server) as proxy:
        opened = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(3)]
        for reader, writer in opened:
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
        proxy.cut()
        for reader, writer in opened:
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()


def test_a_seed_says_what_happens_and_another_says_something_else() -> None:
    first, same, other = ([plan.fate(n) for n in range(300)] for plan in (Plan(1), Plan(1), Plan(2)))
    assert first == same != other
    for fates in (first, other):
        assert {fate.what for fate in fates} == set(WEIGHTS)
        assert {fate.direction for fate in fates} == {"up", "down"}
        assert min(fate.after for fate in fates) < 20  # in the handshake
        assert max(fate.after for fate in fates) > 50_000
