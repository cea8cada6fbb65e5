"""Kill the client in the middle of an answer, then the server, and show that nothing was lost.

python examples/resuming/main.py
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from server import SPACE, WORDS

from cortex_rx import Cortex

HERE = Path(__file__).parent
WHOLE = "".join(WORDS)


def start(program: str, *args: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(HERE / program), *map(str, args)])


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(what: Callable[[], bool]) -> None:
    """Wait until it is true, 30 s at most."""
    end = time.monotonic() + 30
    while not what():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def serves(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def seen(state: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(state.read_text())
    except (OSError, ValueError):  # not yet, or half written
        return {"text": "", "end": None}
    return known


async def stored(path: Path) -> tuple[list[str], list[str]]:
    async with Cortex(path) as cortex:
        memories = [memory.content for memory in await cortex.memory.list(SPACE, include_partial=True)]
        conversation = await cortex.conversations.get("c-1", memory_space_id=SPACE)
        return memories, [message.content for message in conversation.messages] if conversation else []


def main() -> None:
    with TemporaryDirectory() as folder:
        path, state, port = Path(folder) / "memory.db", Path(folder) / "seen.json", free_port()
        server = start("server.py", path, port)
        until(lambda: serves(port))
        client = start("client.py", port, state, "ask")
        until(lambda: len(seen(state)["text"]) > 200)
        client.kill()
        client.wait()
        place = len(seen(state)["text"])
        print(f"the client was killed; it had seen {place} characters")

        client = start("client.py", port, state, "follow")
        until(lambda: len(seen(state)["text"]) > place + 200)
        server.kill()
        server.wait()
        client.wait()
        print(f"it came back and followed; then the server was killed, at {len(seen(state)['text'])} characters")

        port = free_port()
        server = start("server.py", path, port)
        until(lambda: serves(port))
        print("a new server is there; the client hands in its token (the lease of the dead one runs out first)")
        start("client.py", port, state, "resume").wait()
        server.terminate()
        server.wait()

        known = seen(state)
        assert known["end"] == "Ended"
        assert known["text"] == WHOLE, "every word, once"
        memories, messages = asyncio.run(stored(path))
        assert memories == [WHOLE, "Count!"]
        assert messages == ["Count!", WHOLE]
        print(f"the client has seen all {len(WHOLE)} characters, and the store has the question and the answer, once")


if __name__ == "__main__":
    main()
