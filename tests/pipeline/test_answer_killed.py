"""A process that is killed in the middle of an answer: what it had shown is in the file, except for the last
interval.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cortex_rx import Cortex

PROGRAM = """
import asyncio, sys, time
from cortex_rx import Cortex
async def model():
    for number in range(10**6):
        await asyncio.sleep(0.002)
        yield f"{number} "
async def main():
    cortex = Cortex(sys.argv[1])
    answer = cortex.memory.remember_stream(
        model, {"partial_response_interval": 100},
        memory_space_id="s", conversation_id="c", user_message="Count!", agent_id="helper")
    async for text in answer:
        print(time.monotonic(), text, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("tokens", [1, 40, 300])
def test_what_a_killed_process_had_shown_is_in_the_file(tokens: int, tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    shown: list[tuple[float, str]] = []
    for line in process.stdout:
        at, number = line.split()
        shown.append((float(at), f"{number} "))
        if len(shown) == tokens:
            break
    killed = time.monotonic()
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()

    async def look() -> tuple[str, str]:
        async with Cortex(path) as cortex:
            assert await cortex.memory.list("s") == []
            (partial,) = await cortex.memory.list("s", include_partial=True)
            assert partial.partial_metadata is not None
            return partial.content, partial.partial_metadata["userMessage"]

    content, question = asyncio.run(look())
    assert question == "Count!", "the question was durable before the first token was shown"
    text = "".join(f"{number} " for number in range(10_000))
    assert text.startswith(content)
    assert content == "" or content.endswith(" "), "no token is cut"
    # What is not there was shown within the last interval, or while its write was under way.
    missing = [at for at, word in shown if int(word) >= content.count(" ")]
    assert all(killed - at < 0.1 + 0.4 for at in missing), "0.4 s for the write, on a busy machine"
