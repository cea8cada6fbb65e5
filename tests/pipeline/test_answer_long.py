"""A long answer takes little memory, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LONG_ANSWER = """
import asyncio, json, resource, sys
from pathlib import Path
from cortex_rx import Turn, default_chain, from_stream, run, operators as cx
from cortex_rx.backends import SqliteBackend

CHUNK = int(sys.argv[3])

def peak():
    # The peak of this program in kB.  Not ru_maxrss where there is better: it begins with that of the parent process.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)

async def model(length):
    for number in range(length // CHUNK):
        if not number % 8:
            await asyncio.sleep(0)
        yield f"{number:>14} of many tokens of this one.\\n"[:CHUNK].ljust(CHUNK)

async def main(folder, options):
    async with SqliteBackend(Path(folder) / "memory.db") as backend:
        for name, length in (("c-1", 1_000_000), ("c-2", 20_000_000)):
            turn = Turn("space", name, "Go on!", user_id="ada", user_name="Ada")
            before = peak()
            await run(from_stream(lambda: model(length), turn=turn).pipe(default_chain(backend, options), cx.last()))
            raised = peak() - before
        rows = await backend.query("memories:list", {"memorySpaceId": "space", "conversationId": "c-2"})
        answer = max(rows, key=lambda row: row["contentLength"])
        print(raised, answer["contentLength"], answer.get("chunkCount", 0))

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
"""


@pytest.mark.parametrize(
    ("options", "piece", "chunks"),
    [
        pytest.param({}, 400, 0, id="one memory, in large pieces"),
        pytest.param(
            {},
            40,
            0,
            id="one memory",
            marks=pytest.mark.slow(reason="20 MB in 500,000 pieces, in a process of its own"),
        ),
        pytest.param(
            {"max_single_memory_size": 4000, "chunking_strategy": "fixed", "chunk_size": 4000},
            40,
            5_000,
            id="5,000 chunks",
            marks=pytest.mark.slow(reason="20 MB in 5,000 chunks, in a process of its own"),
        ),
    ],
)
def test_a_long_answer_takes_little_memory(tmp_path: Path, options: dict[str, object], piece: int, chunks: int) -> None:
    """20 MB in pieces of 40 bytes (a real token has about 5), or larger ones, through the default chain into a file: at
    most 16 MB more.
    """
    command = [sys.executable, "-c", LONG_ANSWER, str(tmp_path), json.dumps(options), str(piece)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    raised, stored, cut = map(int, done.stdout.split())
    assert (stored, cut) == (20_000_000, chunks)
    assert raised <= 16 * 1024
