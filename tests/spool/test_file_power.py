"""The power is lost just after the spool has acknowledged an entry or a deletion."""

from __future__ import annotations

import pytest
from helpers.spooled import opened, put
from proofs.power.lost_writes import WAYS
from proofs.power.sqlite_disk import Disk

from cortex_rx import Spool


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_spooled_is_there_and_what_was_removed_is_not(tmp_path, way):
    run, after = tmp_path / "run", tmp_path / "after"
    run.mkdir()
    after.mkdir()
    disk = Disk(run)
    with disk.recording():
        spool = Spool(run / "spool.db")
        first = await put(spool, opened("one"), "The first answer")
        second = await put(spool, opened("two"), "The second answer")
        entry = spool.file.next("drainer", [])
        assert entry is not None
        assert entry.id == first
        spool.file.remove(entry.seq)
    for name, content in disk.after(len(disk.events), way).items():
        (after / name).write_bytes(content)
    again = Spool(after / "spool.db")
    assert await again.count() == 1
    left = again.file.next("drainer", [])
    assert left is not None
    assert (left.id, again.file.piece(left.seq, 0)) == (second, "The second answer")
