"""Errors of real clients, whose servers on this machine refuse, fall silent, hang up, or answer like a provider."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import json
import os
import socket
import socketserver
import ssl
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import botocore.config
import botocore.session
import httpcore
import httpx
import httpx2
import openai
import requests
import urllib3
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google import genai

SOON = 0.05  # seconds that a client waits for a server that says nothing


def patience(url: str) -> float:
    """No longer than has to be."""
    return SOON if "silent" in url else 10.0


# --- servers ----------------------------------------------------------------------------------------------------------


def _answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


TLS = b"\x16\x03"  # how a client begins that wants TLS
CUT = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n5\r\nHello\r\nff\r\nAda"
ANSWERS = {
    "cut": CUT,
    "short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nHello",
    "hang-up": b"",
    "garbage": b"what?\r\n\r\n",
    "circle": _answer("302 Found", b"", "Location: /circle"),
    **{str(status): _answer(f"{status} X") for status in (400, 401, 403, 404, 408, 429, 500, 501, 503, 529)},
}


class Handler(socketserver.BaseRequestHandler):
    """Answers by the first part of the path."""

    def handle(self) -> None:
        self.request.settimeout(20)
        with contextlib.suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked and not asked.startswith(TLS) and (more := self.request.recv(65536)):
                asked += more
            path = [] if asked.startswith(TLS) else asked.split(b" ")[1].decode().split("/")
            if "silent" in path:
                while self.request.recv(65536):
                    pass  # until the client goes away
            elif "reset" in path:
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.request.sendall(next((ANSWERS[part] for part in path if part in ANSWERS), ANSWERS["garbage"]))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self._context = context
        self.port: int = self.server_address[1]

    def get_request(self) -> Any:
        connection, address = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _certificate(folder: Path) -> Path:
    """A certificate that nobody trusts, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Place:
    """Where the servers are, and clients that take long to make."""

    def __init__(self, plain: int, tls: int, closed: int, stack: contextlib.ExitStack) -> None:
        self.plain, self.tls, self.closed = plain, tls, closed
        self._stack = stack

    @cached_property
    def httpx(self) -> httpx.Client:
        return self._stack.enter_context(httpx.Client(trust_env=False, follow_redirects=True))

    @cached_property
    def httpx2(self) -> httpx2.Client:
        return self._stack.enter_context(httpx2.Client(trust_env=False, follow_redirects=True))

    @cached_property
    def google(self) -> genai.Client:
        options = genai.types.HttpOptions(httpx_client=self.httpx)
        return self._stack.enter_context(genai.Client(api_key="k", http_options=options))

    @cached_property
    def session(self) -> botocore.session.Session:
        session = botocore.session.Session()
        session.set_credentials("k", "s")
        return session

    @cached_property
    def amazon(self) -> Any:
        return self.amazon_at(self.url(), 10.0)

    def amazon_at(self, url: str, wait: float) -> Any:
        config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=wait, proxies={})
        client = self.session.create_client("bedrock-runtime", region_name="us-east-1", endpoint_url=url, config=config)
        return self._stack.enter_context(contextlib.closing(client))

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.plain}/{path}"

    @property
    def refused(self) -> str:
        return f"http://127.0.0.1:{self.closed}/"

    @property
    def untrusted(self) -> str:
        return f"https://localhost:{self.tls}/200"

    @property
    def no_tls(self) -> str:
        return f"https://127.0.0.1:{self.plain}/"


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Place]:
    """A plain server, one with an untrusted certificate, and a port without a listener."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    with Server() as plain, Server(context) as tls, socket.socket() as closed, contextlib.ExitStack() as stack:
        closed.bind(("127.0.0.1", 0))  # bound, and so nobody else's; but it does not listen
        for each in (plain, tls):
            threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield Place(plain.port, tls.port, closed.getsockname()[1], stack)
        finally:
            plain.shutdown()
            tls.shutdown()


# --- clients ----------------------------------------------------------------------------------------------------------

Make = Callable[[Place], object]
MAKE: dict[str, Make] = {}


def of(name: str, make: Make) -> None:
    assert name not in MAKE
    MAKE[name] = make


def raised(make: Callable[[], object]) -> Exception:
    """What it raises."""
    try:
        made = make()
    except Exception as error:
        return error
    raise AssertionError(f"it raised nothing, and gave {made!r}")


def _json(status: int, body: object, **headers: str) -> Callable[[Any], httpx2.Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx2.Response(status, json=body, headers=named, request=request)


def _events(*events: str) -> Callable[[Any], httpx2.Response]:
    body = "".join(f"{event}\n\n" for event in events).encode()
    return lambda request: httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"})


def _raises(error: Exception) -> Callable[[Any], httpx2.Response]:
    def handle(request: Any) -> httpx2.Response:
        raise error

    return handle


Answering = Callable[[Any], httpx2.Response]


def _openai(http: httpx2.Client, url: str | None = None) -> None:
    client = openai.OpenAI(api_key="k", base_url=url, max_retries=0, timeout=patience(url or ""), http_client=http)
    with client.chat.completions.create(model="m", messages=[], stream=True) as stream:
        list(stream)


def _anthropic(http: httpx2.Client, url: str | None = None) -> None:
    wait = patience(url or "")
    client = anthropic.Anthropic(api_key="k", base_url=url, max_retries=0, timeout=wait, http_client=http)
    asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with client.messages.create(stream=True, **asked) as stream:
        list(stream)


def ask_openai(answer: Answering) -> None:
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        _openai(http)


def ask_anthropic(answer: Answering) -> None:
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        _anthropic(http)


def ask_google(place: Place, url: str) -> None:
    options = genai.types.GenerateContentConfig(
        http_options=genai.types.HttpOptions(base_url=url, timeout=round(1000 * patience(url)))
    )
    place.google.models.generate_content(model="m", contents="Hi", config=options)


def google_says(place: Place, status: int, word: str) -> None:
    said = json.dumps({"error": {"code": status, "status": word, "message": "x"}}).encode()
    ANSWERS[word] = _answer(f"{status} X", said, "Content-Type: application/json")
    ask_google(place, place.url(word))


def ask_amazon(client: Any, path: str = "m") -> None:
    client.invoke_model(modelId=path, body="{}")["body"].read()


def amazon_says(place: Place, status: int, word: str) -> None:
    ANSWERS[word] = _answer(f"{status} X", b"{}", f"x-amzn-errortype: {word}", "Content-Type: application/json")
    ask_amazon(place.amazon, word)


def fetch_aiohttp(url: str, **options: Any) -> None:
    async def main() -> None:
        connector = aiohttp.TCPConnector(**options)
        timeout = aiohttp.ClientTimeout(sock_read=patience(url))
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, session.get(url) as answer:
            answer.raise_for_status()
            await answer.read()

    asyncio.run(main())


class NoName(aiohttp.abc.AbstractResolver):
    """Finds no host."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        raise OSError(None, "no such name")

    async def close(self) -> None:
        pass


def talk_websocket(how: str) -> None:
    async def serve(connection: Any) -> None:
        if how == "abort":
            connection.transport.abort()
        else:
            await connection.close(int(how))

    async def main() -> None:
        async with websockets.serve(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with websockets.connect(f"ws://127.0.0.1:{port}", proxy=None) as connection:
                await connection.recv()

    asyncio.run(main())


def open_websocket(url: str) -> None:
    async def main() -> None:
        async with websockets.connect(url.replace("http", "ws", 1), proxy=None):
            pass

    asyncio.run(main())


def _httpx(place: Place, url: str, **options: Any) -> None:
    place.httpx.get(url, timeout=patience(url), **options).raise_for_status()


def _httpcore(_: Place, url: str, **options: Any) -> None:
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), patience(url))
    with httpcore.ConnectionPool() as pool:
        pool.request("GET", url, extensions={"timeout": timeout}, **options)


def _requests(_: Place, url: str, **options: Any) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, timeout=patience(url), **options).raise_for_status()


def _urllib3(_: Place, url: str, **options: Any) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", url, timeout=patience(url), **{"retries": False, **options})


def _urllib(_: Place, url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=patience(url)) as answer:
        answer.read()


def _aiohttp(_: Place, url: str) -> None:
    fetch_aiohttp(url)


def _http_client(place: Place, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", place.plain, timeout=patience(path))
    with contextlib.closing(connection):
        connection.request("GET", f"/{path}")
        connection.getresponse().read()


async def _streams(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.plain)
    writer.write(b"GET /cut HTTP/1.1\r\n\r\n")
    try:
        await reader.readexactly(10_000)
    finally:
        writer.close()


# Statuses and words, as the SDKs say them.
for status, kind, code in (
    *((400, "invalid_request_error", "context_length_exceeded"), (400, "invalid_request_error", "content_filter")),
    *(
        (401, "invalid_request_error", "invalid_api_key"),
        (403, None, None),
        (404, "invalid_request_error", "model_not_found"),
    ),
    *((408, None, None), (409, None, None), (413, "tokens", "rate_limit_exceeded"), (422, None, None)),
    *(
        (429, "tokens", "rate_limit_exceeded"),
        (429, "insufficient_quota", "insufficient_quota"),
        (500, "server_error", None),
    ),
    *((501, None, None), (503, "server_error", "slow_down"), (520, None, None)),
):
    said = {"error": {"message": "x", "type": kind, "code": code}}
    of(
        f"openai, {status} {code or kind or ''}".strip(),
        lambda _, status=status, said=said: ask_openai(_json(status, said)),
    )
of("openai, 429 x-should-retry: false", lambda _: ask_openai(_json(429, {}, x_should_retry="false")))
of("openai, 400 x-should-retry: true", lambda _: ask_openai(_json(400, {}, x_should_retry="true")))
for kind, code in (
    *(("server_error", None), ("tokens", "rate_limit_exceeded"), (None, "server_error"), (None, 429)),
    *(("insufficient_quota", "insufficient_quota"), ("invalid_request_error", None), (None, "content_filter")),
):
    line = "data: " + json.dumps({"error": {"message": "x", "type": kind, "code": code}})
    of(f"openai, within a stream: {kind} {code}", lambda _, line=line: ask_openai(_events(line)))
of("openai, refused", lambda place: _openai(place.httpx2, place.refused))
of("openai, silent", lambda place: _openai(place.httpx2, place.url("silent")))
of("openai, cut", lambda place: _openai(place.httpx2, place.url("cut")))
of("openai, hung up", lambda place: _openai(place.httpx2, place.url("hang-up")))
of("openai, no such protocol", lambda place: _openai(place.httpx2, "gopher://127.0.0.1"))
of("openai, in a circle", lambda place: _openai(place.httpx2, place.url("circle")))
of("openai, certificate", lambda place: _openai(place.httpx2, place.untrusted))
of("openai, busy pool", lambda _: ask_openai(_raises(httpx2.PoolTimeout("busy"))))

for status, kind in (
    *((400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"), (403, "permission_error")),
    *((404, "not_found_error"), (413, "request_too_large"), (429, "rate_limit_error"), (500, "api_error")),
    *((504, "timeout_error"), (529, "overloaded_error")),
):
    said = {"type": "error", "error": {"type": kind, "message": "x"}}
    of(f"anthropic, {status} {kind}", lambda _, status=status, said=said: ask_anthropic(_json(status, said)))
for kind in (
    "overloaded_error",
    "api_error",
    "rate_limit_error",
    "timeout_error",
    "invalid_request_error",
    "what_is_new",
):
    said = {"type": "error", "error": {"type": kind, "message": "x"}}
    line = f"event: error\ndata: {json.dumps(said)}"
    of(f"anthropic, within a stream: {kind}", lambda _, line=line: ask_anthropic(_events(line)))
of("anthropic, 529 x-should-retry: false", lambda _: ask_anthropic(_json(529, {}, x_should_retry="false")))
of("anthropic, refused", lambda place: _anthropic(place.httpx2, place.refused))
of("anthropic, silent", lambda place: _anthropic(place.httpx2, place.url("silent")))
of("anthropic, cut", lambda place: _anthropic(place.httpx2, place.url("cut")))
of("anthropic, certificate", lambda place: _anthropic(place.httpx2, place.untrusted))

for status, word in (
    *((400, "INVALID_ARGUMENT"), (403, "PERMISSION_DENIED"), (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL")),
    (503, "UNAVAILABLE"),
):
    of(f"google-genai, {status} {word}", lambda place, status=status, word=word: google_says(place, status, word))
of("google-genai, refused", lambda place: ask_google(place, place.refused))
of("google-genai, hung up", lambda place: ask_google(place, place.url("hang-up")))

for status, word in (
    *((400, "ValidationException"), (403, "AccessDeniedException"), (404, "ResourceNotFoundException")),
    *((429, "ThrottlingException"), (424, "ModelErrorException"), (500, "InternalServerException")),
    (503, "ServiceUnavailableException"),
):
    of(f"botocore, {status} {word}", lambda place, status=status, word=word: amazon_says(place, status, word))
of("botocore, refused", lambda place: ask_amazon(place.amazon_at(place.refused, 10.0)))
of("botocore, silent", lambda place: ask_amazon(place.amazon_at(place.url(), SOON), "silent"))
of("botocore, hung up", lambda place: ask_amazon(place.amazon, "hang-up"))
of("botocore, cut", lambda place: ask_amazon(place.amazon, "short"))
of("botocore, certificate", lambda place: ask_amazon(place.amazon_at(place.untrusted, 10.0)))

for name, get in (
    ("httpx", _httpx),
    ("httpcore", _httpcore),
    ("requests", _requests),
    ("urllib3", _urllib3),
    ("urllib", _urllib),
    ("aiohttp", _aiohttp),
):
    of(f"{name}, refused", lambda place, get=get: get(place, place.refused))
    of(f"{name}, silent", lambda place, get=get: get(place, place.url("silent")))
    of(f"{name}, hung up", lambda place, get=get: get(place, place.url("hang-up")))
    of(f"{name}, reset", lambda place, get=get: get(place, place.url("reset")))
    of(f"{name}, garbage", lambda place, get=get: get(place, place.url("garbage")))
    of(f"{name}, cut", lambda place, get=get: get(place, place.url("cut")))
    of(f"{name}, too short", lambda place, get=get: get(place, place.url("short")))
    of(f"{name}, certificate", lambda place, get=get: get(place, place.untrusted))
    of(f"{name}, no TLS", lambda place, get=get: get(place, place.no_tls))
    of(f"{name}, no such protocol", lambda place, get=get: get(place, "gopher://127.0.0.1"))
for name, get in (("httpx", _httpx), ("requests", _requests), ("urllib", _urllib), ("aiohttp", _aiohttp)):
    of(f"{name}, in a circle", lambda place, get=get: get(place, place.url("circle")))
    of(f"{name}, 404", lambda place, get=get: get(place, place.url("404")))
    of(f"{name}, 429", lambda place, get=get: get(place, place.url("429")))
    of(f"{name}, 503", lambda place, get=get: get(place, place.url("503")))
of("httpx, no URL", lambda place: _httpx(place, "http://127.0.0.1:port/"))
of("httpx, no header", lambda place: _httpx(place, place.url("404"), headers={"x": "a\nb"}))
of("httpcore, no header", lambda place: _httpcore(place, place.url("404"), headers=[(b"x", b"a\nb")]))
of("requests, no schema", lambda place: _requests(place, "127.0.0.1"))
of("requests, no URL", lambda place: _requests(place, "http:///"))
of("requests, no header", lambda place: _requests(place, place.url("404"), headers={"x": "a\nb"}))
of(
    "urllib3, refused, with retries",
    lambda place: _urllib3(place, place.refused, retries=urllib3.Retry(1, backoff_factor=0)),
)
of("urllib3, no URL", lambda place: _urllib3(place, "http://[oops/"))
of("aiohttp, no such name", lambda _: fetch_aiohttp("http://nobody.example/", resolver=NoName()))
of("aiohttp, no URL", lambda _: fetch_aiohttp("http://"))
of("http.client, hung up", lambda place: _http_client(place, "hang-up"))
of("http.client, garbage", lambda place: _http_client(place, "garbage"))
of("http.client, cut", lambda place: _http_client(place, "cut"))
of("asyncio, cut", lambda place: asyncio.run(_streams(place)))
of("asyncio, too late", lambda _: asyncio.run(asyncio.wait_for(asyncio.Event().wait(), 0)))

of("websockets, aborted", lambda _: talk_websocket("abort"))
of("websockets, 1000", lambda _: talk_websocket("1000"))
of("websockets, 1008", lambda _: talk_websocket("1008"))
of("websockets, 1011", lambda _: talk_websocket("1011"))
of("websockets, 1012", lambda _: talk_websocket("1012"))
of("websockets, refused", lambda place: open_websocket(place.refused))
of("websockets, hung up", lambda place: open_websocket(place.url("hang-up")))
of("websockets, 401", lambda place: open_websocket(place.url("401")))
of("websockets, 503", lambda place: open_websocket(place.url("503")))
of("websockets, no URL", lambda _: open_websocket("http://127.0.0.1:1/#a"))

of("socket, no such name", lambda _: socket.getaddrinfo("nobody.example", 80, flags=socket.AI_NUMERICHOST))
for name in ("ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EPIPE", "ECONNABORTED", "ETIMEDOUT", "ENOSPC", "EMFILE"):
    number = getattr(errno, name)

    def fail(_: Place, number: int = number) -> None:
        raise OSError(number, os.strerror(number))

    of(f"OSError {name}", fail)
