"""What a spool has taken is kept, also when the one who asked was cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from helpers.spooled import opened, put

from cortex_rx import Spool
from cortex_rx.testing.simulate.threads import ThreadedLoop


@pytest.mark.parametrize("turns", range(1, 5))
def test_a_cancelled_write_is_completed(tmp_path: Path, turns: int) -> None:
    """The thread begins the write some turns after it was asked for: the cancellation comes before, or meanwhile."""
    spool = Spool(tmp_path / "spool.db")

    async def main() -> int:
        writing = asyncio.ensure_future(put(spool, opened("s-1"), "what was shown"))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert not writing.done()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        return await spool.count()

    with asyncio.Runner(loop_factory=lambda: ThreadedLoop(lambda: 6)) as runner:
        assert runner.run(main()) == 1
    entry = spool.file.next("drainer", [])
    assert entry is not None
    assert (entry.stream, spool.file.piece(entry.seq, 0)) == ("s-1", "what was shown")
