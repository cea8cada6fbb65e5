"""docs/recipes/: each page's program runs as it stands there, and the store has what the page says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

import cortex_rx
from cortex_rx import Cortex

ROOT = Path(cortex_rx.__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "recipes"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CORTEX"))}
ENVIRONMENT |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def program(name: str, folder: Path, **changes: str) -> Path:
    """The program of a page as a file, with some lines replaced."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", (PAGES / f"{name}.md").read_text(), re.DOTALL | re.MULTILINE)
    for old, new in changes.items():
        changed = re.sub(rf"^{old} = [^#\n]*", f"{old} = {new} ", code, flags=re.MULTILINE)
        assert changed != code
        code = changed
    path = folder / f"{name}.py"
    path.write_text(code)
    return path


def run(path: Path, *args: str, log: str = "") -> str:
    done = subprocess.run(
        [sys.executable, str(path), *args], cwd=path.parent, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, log)
    return done.stdout


async def remembered(path: Path, space: str) -> list[str]:
    async with Cortex(path) as cortex:
        assert await cortex.memory.interrupted(space) == []
        return [memory.content for memory in await cortex.memory.list(space)]


def test_each_recipe_is_tested_and_listed() -> None:
    pages = {page.stem for page in PAGES.glob("*.md")} - {"README"}
    assert pages == set(re.findall(r"\((\w+)\.md\)", (PAGES / "README.md").read_text()))
    assert pages == {"chat", "fallback", "readers", "script", "sse"}


async def test_script(tmp_path: Path) -> None:
    path = program("script", tmp_path)
    answer = "You asked: Where is my parcel? The answer is on its way. "
    assert run(path, "Where is my parcel?") == f"{answer}\n"
    again = run(path, "Where is my parcel?").splitlines()
    assert sorted(again) == sorted([f"(known: {answer})", "(known: Where is my parcel?)", answer])
    assert await remembered(tmp_path / "memory.db", "notes") == [answer, "Where is my parcel?"] * 2


async def test_fallback(tmp_path: Path, snapshot: Any) -> None:
    assert run(program("fallback", tmp_path), log="small takes over after ConnectionError\n") == snapshot
    answer = "The parcel left Lisbon on Monday and it arrives on Thursday. "
    assert await remembered(tmp_path / "memory.db", "support") == [answer, "Where is my parcel?"]


async def test_readers(tmp_path: Path, snapshot: Any) -> None:
    shown = run(program("readers", tmp_path), "out.txt")
    assert re.sub(r"epoch=\d+", "epoch=1", shown) == snapshot
    whole = "".join(f"word{number} " for number in range(200))
    assert (tmp_path / "out.txt").read_text() == whole
    assert await remembered(tmp_path / "memory.db", "notes") == [whole, "Count to 200!"]


class Chat:
    def __init__(self, folder: Path) -> None:
        path = program("chat", folder)
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def until(self, what: str) -> str:
        """Read what it prints, up to this text."""
        assert self.process.stdout
        seen = b""
        while not seen.endswith(what.encode()):
            assert (one := self.process.stdout.read(1)), seen.decode()
            seen += one
        return seen.decode()

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> tuple[int, str]:
        rest = self.process.communicate(timeout=30)[0]
        return self.process.returncode, rest.decode()


@pytest.fixture
def chats() -> Iterator[list[Chat]]:
    started: list[Chat] = []
    yield started
    for chat in started:
        chat.process.kill()
        chat.process.communicate()


async def test_chat(tmp_path: Path, chats: list[Chat]) -> None:
    whole = "".join(f"word{number} " for number in range(40))
    chats.append(chat := Chat(tmp_path))
    chat.until("> ")
    chat.say("first")
    assert chat.until("> ") == f"{whole}\n> "
    chat.say("second")
    shown = chat.until("word9 ")
    chat.interrupt()
    shown += chat.until("> ").removesuffix("\n(stopped; /continue continues it)\n> ")
    assert whole.startswith(shown)
    chat.interrupt()
    assert chat.ended() == (0, "\n")
    async with Cortex(tmp_path / "chat.db") as cortex:
        (kept,) = await cortex.memory.interrupted("chat")
        assert kept.lease_until is None
        memory = await cortex.memory.get("chat", kept.memory_id, include_partial=True)
        assert memory
        assert memory.content == shown

    chats.append(chat := Chat(tmp_path))
    before = f"> first\n  {whole}\n> second\n  (interrupted, {len(shown)} characters)\n> "
    assert chat.until("characters)\n> ") == before
    chat.say("/continue")
    assert chat.until("> ") == f"{whole}\n> ", "what is stored, in one piece, and the rest"
    chat.say("/continue")
    assert chat.until("> ") == "(nothing was interrupted)\n> "
    assert chat.process.stdin
    chat.process.stdin.close()
    chat.process.stdin = None
    assert chat.ended() == (0, "\n")
    assert await remembered(tmp_path / "chat.db", "chat") == [whole, "second", whole, "first"]


@pytest.mark.slow(reason="a lease of 10 s; `tests/streams` takes over in virtual time")
async def test_a_chat_that_was_killed_is_continued(tmp_path: Path, chats: list[Chat]) -> None:
    chats.append(chat := Chat(tmp_path))
    chat.until("> ")
    chat.say("first")
    chat.until("word9 ")
    chat.process.kill()
    chat.process.wait()
    chats.append(chat := Chat(tmp_path))
    assert "(streaming, " in chat.until("characters)\n> ")
    chat.say("/continue")
    whole = "".join(f"word{number} " for number in range(40))
    assert chat.until("\n> ") == f"(whoever wrote it may be alive: this may take 10 s)\n{whole}\n> "
    chat.interrupt()
    assert chat.ended() == (0, "\n")
    assert await remembered(tmp_path / "chat.db", "chat") == [whole, "first"]


class Page:
    """What a page shows, and where it is."""

    def __init__(self) -> None:
        self.shown, self.stream, self.last, self.end, self.pings = "", "", "", "", 0

    async def read(self, response: httpx.Response, until: int = 10**9) -> None:
        """Read to the end, or until so many characters are shown, and then hang up."""
        assert response.status_code == 200, await response.aread()
        name = ""
        async for line in response.aiter_lines():
            key, _, value = line.partition(": ")
            if key == "id":
                self.last = value
            elif key == "event":
                name = value
            elif key == "":
                self.pings += line != ""
            elif key == "data":
                self._take(name, json.loads(value))
            if len(self.shown) >= until:
                break

    def _take(self, name: str, data: dict[str, Any]) -> None:
        if name == "begun":
            self.stream = data["stream"]
        elif name == "text":
            assert data["at"] <= len(self.shown), "a gap"
            self.shown = self.shown[: data["at"]] + data["text"]
        else:
            self.end = data["reason"]


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    program("sse", tmp_path, PING="0.005")
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = int(one.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "sse:app", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        async with asyncio.timeout(30):
            while True:
                with suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.05)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
        server.terminate()
        assert server.communicate(timeout=30)[1] == ""
    finally:
        server.kill()
        server.communicate()


WHOLE = "".join(f"word{number} " for number in range(100))


async def test_a_page_comes_back_and_gets_the_rest(web: httpx.AsyncClient, tmp_path: Path) -> None:
    page = Page()
    async with web.stream("POST", "/conversations/c-1", params={"question": "Count!"}) as response:
        await page.read(response, until=200)
    assert page.pings > 0
    assert WHOLE.startswith(page.shown)
    loaded = (await web.get("/conversations/c-1")).json()
    assert (loaded["messages"], loaded["pending"][0]["stream_id"]) == ([], page.stream)
    async with web.stream("GET", f"/streams/{page.stream}", headers={"Last-Event-ID": page.last}) as response:
        await page.read(response)
    assert (page.shown, page.end) == (WHOLE, "stop")
    loaded = (await web.get("/conversations/c-1")).json()
    assert [message["content"] for message in loaded["messages"]] == ["Count!", WHOLE]
    assert loaded["pending"] == []
    assert await remembered(tmp_path / "memory.db", "support") == [WHOLE, "Count!"]
    await refuses(web)


async def refuses(web: httpx.AsyncClient) -> None:
    assert (await web.get("/conversations/none")).status_code == 404
    assert (await web.delete("/streams/none")).status_code == 404
    assert (await web.post("/streams/none")).status_code == 409
    assert (await web.get("/streams/none", headers={"Last-Event-ID": "1.2"})).status_code == 400
    none = Page()
    async with web.stream("GET", "/streams/none") as response:
        await none.read(response)
    assert none.end == "STREAM_NOT_FOUND"


@pytest.mark.slow(reason="a second server; `tests/streams` stops and continues answers")
async def test_an_answer_is_stopped_and_continued(web: httpx.AsyncClient, tmp_path: Path) -> None:
    page = Page()
    async with web.stream("POST", "/conversations/c-1", params={"question": "Count!"}) as response:
        lines = asyncio.create_task(page.read(response))
        while len(page.shown) < 50:
            await asyncio.sleep(0.01)
        assert (await web.delete(f"/streams/{page.stream}")).json()["state"] == "open"
        await lines
    assert page.end == "ANSWER_STOPPED"
    assert WHOLE != page.shown
    assert WHOLE.startswith(page.shown)
    assert (await web.post(f"/streams/{page.stream}")).status_code == 200
    async with web.stream("GET", f"/streams/{page.stream}", headers={"Last-Event-ID": page.last}) as response:
        await page.read(response)
    assert (page.shown, page.end) == (WHOLE, "stop")
    assert await remembered(tmp_path / "memory.db", "support") == [WHOLE, "Count!"]
