"""docs/shutdown.md: its Python runs, and its server under uvicorn ends on SIGTERM as the page says."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

import cortex_rx
from cortex_rx import Cortex

PAGE = Path(cortex_rx.__file__).resolve().parents[1] / "docs" / "shutdown.md"


def test_the_page_runs(run_page: Callable[..., str]) -> None:
    run_page("shutdown.md")


class Server:
    """The server of the page, with other limits, and a model that is as long as the question says."""

    def __init__(self, folder: Path) -> None:
        (code,) = re.findall(r"```python\n(import logging.*?)```", PAGE.read_text(), re.DOTALL)
        changes = {
            "timedelta(seconds=10)": "timedelta(seconds=2)",
            "async def model():": "async def model(words):",
            "range(100)": "range(words)",
            "        model,": "        model(int(question)),",
        }
        for old, new in changes.items():
            assert old in code
            code = code.replace(old, new)
        (folder / "server.py").write_text(f"import asyncio\n{code}")
        self.path = folder / "memory.db"
        with socket.create_server(("127.0.0.1", 0)) as one:
            self.port = int(one.getsockname()[1])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "server:app", "--port", str(self.port), "--log-level", "warning"]
            + ["--timeout-graceful-shutdown", "1"],
            cwd=folder,
            env=os.environ | {"CORTEX_STORE": str(self.path), "PYTHONPATH": str(PAGE.parents[1])},
            stderr=subprocess.PIPE,
            text=True,
        )

    @asynccontextmanager
    async def ask(self, words: int, conversation: str) -> AsyncIterator[AsyncIterator[str]]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30) as client:
            asked = {"question": str(words), "conversation": conversation}
            async with client.stream("POST", "/chat", params=asked) as response:
                yield response.aiter_text()

    async def serves(self) -> None:
        async with asyncio.timeout(30):
            while True:
                with suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", self.port))[1].close()
                    return
                await asyncio.sleep(0.05)

    def end(self, *signals: signal.Signals) -> tuple[float, int, str]:
        """Send the signals; seconds until it has ended, the exit code, and its log."""
        since = time.monotonic()
        for each in signals:
            self.process.send_signal(each)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.2)
        log = self.process.communicate(timeout=30)[1]
        return time.monotonic() - since, self.process.returncode, log

    async def stored(self) -> dict[str, tuple[str, bool]]:
        """For each conversation the text of the answer, and whether it was interrupted; no stream is owned any more."""
        async with Cortex(self.path) as cortex:
            streams = {each.memory_id: each for each in await cortex.memory.interrupted("support")}
            assert all(stream.lease_until is None for stream in streams.values())
            memories = await cortex.memory.list("support", include_partial=True)
            assert {m.memory_id for m in memories if m.is_partial} == set(streams)
            return {
                streams[m.memory_id].conversation_id
                if m.is_partial
                else (m.conversation_ref or {})["conversationId"]: (m.content, bool(m.is_partial))
                for m in memories
                if m.message_role != "user"
            }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.process.kill()
    server.process.wait()


def text(words: int) -> str:
    return "".join(f"{number} " for number in range(words))


async def test_sigterm_finishes_what_is_detached_and_keeps_what_takes_too_long(server: Server) -> None:
    await server.serves()
    async with server.ask(10**6, "left") as left:
        seen = await anext(left)
    async with server.ask(150, "short") as short, server.ask(10**6, "long") as long:
        await anext(short)
        shown = await anext(long)
        took, code, log = await asyncio.to_thread(server.end, signal.SIGTERM)
        with suppress(httpx.HTTPError):  # the connection is cut when the second for responses is over
            async for piece in long:
                shown += piece
    assert 1.0 < took < 8.0, "1 s for the responses, 2 s for the answers, and the flush, on a busy machine"
    assert code == -signal.SIGTERM
    stored = await server.stored()
    assert stored["short"] == (text(150), False)
    for conversation, start in (("left", seen), ("long", shown)):
        kept, partial = stored[conversation]
        assert partial
        assert kept.startswith(start)
        assert text(10**4).startswith(kept)
    assert re.findall(r": (\w+), stopped: (\w+)", log) == [("remembered", "None")] + [("kept", "closed")] * 2


@pytest.mark.slow(reason="programs that get a signal")
async def test_a_second_ctrl_c_loses_nothing_that_was_shown(server: Server) -> None:
    await server.serves()
    async with server.ask(10**6, "long") as long:
        shown = await anext(long) + await anext(long)
        took, _, _ = await asyncio.to_thread(server.end, signal.SIGINT, signal.SIGINT)
    assert took < 5.0
    kept, partial = (await server.stored())["long"]
    assert partial
    assert kept.startswith(shown)
