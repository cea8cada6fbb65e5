"""Where the bytes go: what a small exchange writes to the `-wal` file, call by call and table by table.

`python -m benchmarks.wal` prints the table of `docs/bytes.md`: a question and an answer of 480 characters in 100
deltas, with default options, in a conversation of its own.  Which table a page belongs to, SQLite's `dbstat` says; an
SQLite that was built without it cannot run this.
"""

from __future__ import annotations

import asyncio
import sqlite3
import struct
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from cortex_rx import remember_stream
from cortex_rx.backends import SqliteBackend

__all__ = ["WalMeter", "exchange", "report"]

BEFORE, EXCHANGES = 20, 100
_HEADER, _FRAME = 32, 24  # bytes before the first frame, and before the page of each


class WalMeter:
    """A backend that notes what each mutation appends to the `-wal` file."""

    def __init__(self, backend: SqliteBackend, path: Path) -> None:
        self._backend = backend
        self._path = path
        self._wal = Path(f"{path}-wal")
        self.calls: list[tuple[str, list[int]]] = []
        """Each mutation, with the pages that it wrote."""

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self._backend.query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        salt, before = self._frames()
        result = await self._backend.mutation(path, args)
        now, after = self._frames()
        self.calls.append((path, after[len(before) :] if now == salt else after))
        return result

    async def close(self) -> None:
        await self._backend.close()

    def _frames(self) -> tuple[bytes, list[int]]:
        """The salt of the `-wal` file, another one each time that SQLite begins it anew, and the pages of its
        frames."""
        content = self._wal.read_bytes() if self._wal.exists() else b""
        salt, pages = content[16:24], list[int]()
        for at in range(_HEADER, len(content), self.frame_size()) if content else ():
            if content[at + 8 : at + 16] != salt:
                break  # left over from before it was begun anew
            pages.append(struct.unpack_from(">I", content, at)[0])
        return salt, pages

    def frame_size(self) -> int:
        """What a page costs in the `-wal` file, in bytes; the size of a page stands in its header."""
        return _FRAME + int(struct.unpack_from(">I", self._wal.read_bytes(), 8)[0])

    def owners(self) -> dict[int, str]:
        """The table or index that each page belongs to."""
        db = sqlite3.connect(self._path)
        try:
            return dict(db.execute("SELECT pageno, name FROM dbstat"))
        finally:
            db.close()


async def _model() -> AsyncIterator[str]:
    for number in range(100):
        await asyncio.sleep(0)
        yield f"w{number:02d} " + "x" * (number % 5 > 0)


async def exchange(backend: Any, number: int, conversation: int, space: str = "space") -> None:
    """One question, and its answer of 480 characters in 100 deltas."""
    answer = remember_stream(
        _model,
        backend=backend,
        memory_space_id=space,
        conversation_id=f"c-{conversation}",
        user_message="What is it?",
        user_id="ada",
        user_name="Ada",
        idempotency_key=str(number),
    )
    await answer


async def report(folder: Path) -> str:
    """The table: the bytes that each call writes, by table and index, means of a hundred exchanges."""
    path = folder / "memory.db"
    async with SqliteBackend(path) as backend:
        for number in range(BEFORE):
            await exchange(backend, number, number)
        meter = WalMeter(backend, path)
        for number in range(BEFORE, BEFORE + EXCHANGES):
            await exchange(meter, number, number)
        owners, size = meter.owners(), meter.frame_size()
    names = list(dict.fromkeys(call for call, _ in meter.calls))
    counts = {name: Counter[str]() for name in names}
    for call, pages in meter.calls:
        counts[call].update(owners.get(page, "free pages") for page in pages)
    titles = [f"`{name.split(':')[1]}`" for name in names]
    lines = [f"| table or index | {' | '.join(titles)} | all |", "|---|" + "---:|" * (len(names) + 1)]

    def row(title: str, pages: list[int]) -> str:
        means = [round(each * size / EXCHANGES) for each in (*pages, sum(pages))]
        return f"| {title} | {' | '.join(f'{mean:,}' if mean else '' for mean in means)} |"

    everything = sum(counts.values(), Counter[str]())
    for owner, _ in sorted(everything.items(), key=lambda item: (-item[1], item[0])):
        lines.append(row(f"`{owner}`", [counts[name][owner] for name in names]))
    lines.append(row("**all**", [counts[name].total() for name in names]))
    return "\n".join(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(report(Path(folder))))
