"""Pipelines behind FastAPI, under a real uvicorn, whose clients disconnect in the middle of an answer.

The server runs in a thread with a loop of its own; the clients use real sockets.  What the server did is known from its
store, which is plain lists.
"""

import asyncio
import contextlib
import socket
import struct
import threading

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from reactivex import operators as ops

from cortex_rx.engine import End, stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.engine.running import Shared

FOREVER = 10**9
SERVERS_OWN = {"Server.serve", "LifespanOn.main"}


class Case:
    def __init__(self, kit, n, width):
        self.source, self.store, self.passed, self.width = kit.Source(n, 0.001), kit.Store(3, 0.005), [], width

    def lines(self):
        return from_async_iterable(self.source).pipe(
            self.store.persist(),
            ops.do_action(self.passed.append),
            ops.map(lambda i: f"{i}".rjust(self.width) + "\n"),
        )

    async def streamed(self):
        async with stream(self.lines(), capacity=4) as out:
            async for line in out:
                yield line

    def check(self, got, end):
        """What the client got is stored, the flush was undisturbed, the model's source was closed once."""
        assert got == list(range(len(got))) and self.passed == list(range(len(self.passed)))
        assert self.store.rows == self.passed and len(self.passed) >= len(got)
        assert self.store.commits == [self.passed] and self.store.ends == [end] and self.store.broken == []
        self.source.closing.check()
        assert self.source.closing.closed == 1


class Speaks24:
    """What a server of ASGI 2.4 does, which uvicorn does not yet: `send` raises when the client is gone."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not scope["path"].startswith("/v24"):
            return await self.app(scope, receive, send)
        gone = asyncio.Event()

        async def listen():
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        async def checked(message):
            if gone.is_set():
                raise OSError("the client is gone")
            await send(message)

        listening = asyncio.create_task(listen())
        try:
            scope = {**scope, "asgi": {**scope["asgi"], "spec_version": "2.4"}, "path": scope["path"][4:]}
            await self.app(scope, receive, checked)
        except Exception as error:
            assert type(error).__name__ == "ClientDisconnect", error
        finally:
            listening.cancel()


class Service:
    def __init__(self, kit, watch, patience):
        self.kit, self.cases, self.left = kit, {}, None

        @contextlib.asynccontextmanager
        async def lifespan(_):
            watch(asyncio.get_running_loop())
            yield
            loop = asyncio.get_running_loop()
            tasks = {each.get_coro().__qualname__ for each in asyncio.all_tasks()} - SERVERS_OWN
            self.left = tasks, [each for each in loop._asyncgens if each.ag_frame and each.__name__ != "lifespan"]

        app = FastAPI(lifespan=lifespan)

        @app.get("/stream/{name}")
        async def by_stream(name: str, n: int = FOREVER, width: int = 1):
            return StreamingResponse(self.case(name, n, width).streamed())

        @app.get("/shared/{name}")
        async def by_shared(name: str, n: int = FOREVER, width: int = 1):
            return StreamingResponse(Shared(self.case(name, n, width).lines(), capacity=4))

        config = uvicorn.Config(Speaks24(app), log_config=None, timeout_graceful_shutdown=patience)
        self.server, self.socket = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],), name="uvicorn")

    def case(self, name, n, width):
        self.cases[name] = Case(self.kit, n, width)
        return self.cases[name]

    async def over(self, name, got, end=End.CANCELLED):
        case = self.cases[name]
        await self.kit.until(lambda: case.store.commits and case.source.closing.closed)
        case.check(got, end)
        return case

    def client(self):
        host, port = self.address
        return httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=20, trust_env=False)

    async def stop(self):
        self.server.should_exit = True
        await self.kit.until(lambda: not self.thread.is_alive(), 20)
        self.thread.join()


@pytest.fixture
def serve(kit):
    @contextlib.asynccontextmanager
    async def serving(patience=10):
        with kit.quiet() as watch:
            service = Service(kit, watch, patience)
            service.thread.start()
            try:
                await kit.until(lambda: service.server.started)
                yield service
            finally:
                await service.stop()
            assert service.server.server_state.connections == service.server.server_state.tasks == set()
            with pytest.raises(OSError):
                socket.create_connection(service.address, 1).close()

    return serving


async def read(client, path, count):
    """Read `count` lines, then leave."""
    got = []
    async with client.stream("GET", path) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            got.append(int(line))
            if len(got) == count:
                break
    return got


def reset(connection):
    """Close with an RST: what a killed process or a lost network looks like."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def read_and_reset(service, path, count):
    loop = asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    await loop.sock_connect(connection, service.address)
    await loop.sock_sendall(connection, f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    data = b""
    while data.count(b"\r\n\r\n") < 1 or data.split(b"\r\n\r\n", 1)[1].count(b"\n\r\n") < count:
        data += await loop.sock_recv(connection, 4096)
    reset(connection)
    chunks = data.split(b"\r\n\r\n", 1)[1].split(b"\r\n")[1::2]
    return [int(chunk) for chunk in chunks if chunk.endswith(b"\n")]


@pytest.mark.parametrize("form", ["stream", "shared", "v24/stream", "v24/shared"])
async def test_clients_that_leave_and_clients_that_stay(serve, form):
    async with serve() as service, service.client() as client:
        # One after the other: closed early, reset, read to the end on the same server.
        assert await read(client, f"/{form}/early", 7) == list(range(7))
        await service.over("early", list(range(7)))
        got = await read_and_reset(service, f"/{form}/reset", 5)
        assert len(got) >= 5
        await service.over("reset", got)
        assert await read(client, f"/{form}/whole?n=20", FOREVER) == list(range(20))
        await service.over("whole", list(range(20)), End.COMPLETED)

        # All at once.
        async def one(i):
            if i % 3 == 0:
                return await read(client, f"/{form}/{i}?n=30", FOREVER), End.COMPLETED
            if i % 3 == 1:
                return await read(client, f"/{form}/{i}", 3 + i), End.CANCELLED
            return await read_and_reset(service, f"/{form}/{i}", i), End.CANCELLED

        for i, (got, end) in enumerate(await asyncio.gather(*map(one, range(9)))):
            await service.over(str(i), got, end)
    assert service.left == (set(), [])
    assert len(service.cases) == 12


@pytest.mark.parametrize("form", ["stream", "shared"])
async def test_a_client_that_does_not_read_holds_the_model_back(serve, kit, form):
    async with serve() as service:
        loop, width = asyncio.get_running_loop(), 1 << 16
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        connection.setblocking(False)
        await loop.sock_connect(connection, service.address)
        await loop.sock_sendall(connection, f"GET /{form}/slow?width={width} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        await kit.until(lambda: "slow" in service.cases)
        case, still, before = service.cases["slow"], 0, -1
        async with asyncio.timeout(20):
            while still < 30:  # the source was asked for nothing for that many looks
                await asyncio.sleep(0.005)
                still, before = (still + 1 if case.source.read == before > 0 else 0), case.source.read
        assert 0 < before * width < 1 << 24 and case.store.commits == []
        assert case.source.closing.closed == 0
        reset(connection)
        await service.over("slow", [])
    assert service.left == (set(), [])


@pytest.mark.parametrize("form", ["stream", "shared"])
async def test_a_server_that_shuts_down_in_the_middle_of_answers(serve, kit, form):
    """The server cancels its requests, then its loop ends while they still flush."""
    got = {"a": [], "b": []}
    async with serve(patience=0) as service, service.client() as client:

        async def reading(name):
            with contextlib.suppress(httpx.HTTPError):
                async with client.stream("GET", f"/{form}/{name}") as response:
                    async for line in response.aiter_lines():
                        got[name].append(int(line))

        tasks = [asyncio.create_task(reading(name)) for name in got]
        await kit.until(lambda: all(len(each) > 5 for each in got.values()))
        await service.stop()
        for name in got:
            case = service.cases[name]
            case.check(got[name][: len(case.passed)], End.CANCELLED)
        await asyncio.gather(*tasks)
