"""The power is lost at every sync and between: nothing that was acknowledged is lost, and every stream continues from
there.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.power.cuts import PROGRAMS, Cut, Lost, Recording, cut_power
from proofs.power.lost_writes import WAYS, Event
from proofs.power.sqlite_disk import Disk

SHARDS = 2
LEAST = {"stream": (670, 80), "take-over": (650, 80), "at once": (340, 35)}
"""Cuts, and those of each way to lose what was not synced, where the program writes less than the others."""


@pytest.mark.parametrize("shard", slow_but([0], range(SHARDS), "more cases of a proof"))
@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path, program: str, shard: int, proof: Any) -> None:
    places: list[str] = []

    def pick(cuts: list[Cut]) -> list[Cut]:
        """All cases of this shard; in a usual run one for each place."""
        mine = cuts[shard::SHARDS]
        by_place = {place: [cut for cut in mine if cut.where == place] for place in sorted({cut.where for cut in mine})}
        places.extend(by_place)
        chance = random.Random(f"{program} {shard}")
        return proof.size([chance.choice(some) for some in by_place.values()], mine)

    counts = cut_power(program, tmp_path, pick, seed=shard)
    for kind in ("before sync", "after sync", "after write", "after truncate"):
        assert {f"{kind} memory.db", f"{kind} memory.db-wal"} <= set(places), (
            "checkpoints, and a -wal file that begins anew"
        )
    assert {"before folder sync", "after delete memory.db-journal", "after create memory.db"} <= set(places)
    assert all(counts[place] >= 1 for place in places)
    cuts, each = LEAST.get(program, (700, 80))
    assert counts["cuts"] >= proof.size(12, cuts)
    if proof.torture:
        assert all(counts[way] >= each for way in WAYS)
    proof.count("power loss", _figures(counts))


def _figures(counts: Counter[str]) -> Counter[str]:
    """The cases by how much was kept of what was not synced, by what was done last or next, and by file."""
    figures = Counter({"cases": counts["cuts"]})
    for name, number in counts.items():
        if name in WAYS:
            figures[f"kept: {name}"] += number
        elif name != "cuts":
            kind, _, file = name.partition(" ")[2].replace("folder sync", "folder-sync").partition(" ")
            figures[f"at a {kind.replace('-', ' ')}"] += number
            if file:
                figures[f"in {_FILES[file]}"] += number
    return figures


_FILES = {
    "memory.db": "the store's file",
    "memory.db-wal": "the -wal file",
    "memory.db-journal": "a journal",
    "spool.db": "the spool's file",
    "spool.db-journal": "a journal",
    "draft": "a backup",
    "draft-wal": "a backup",
    "draft-journal": "a backup",
}


# --- the setting that each promise needs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    slow_but(
        [("stream", "NORMAL"), ("spool", "FULL")],
        [("stream", "NORMAL"), ("stream", "OFF"), ("spool", "FULL"), ("spool", "NORMAL"), ("spool", "OFF")],
        "still less than what is not enough",
    ),
)
def test_with_less_than_the_setting_it_is_lost(tmp_path: Path, case: tuple[str, str]) -> None:
    """WAL needs FULL; a spool, with a journal that is deleted, EXTRA.  So the proof can fail."""
    program, synchronous = case
    (tmp_path / "run").mkdir()
    recording = Recording(program, tmp_path / "run", synchronous)
    file = {"stream": "memory.db", "spool": "spool.db"}[program]
    committed = [at for at, e in enumerate(recording.disk.events) if (e.name, e.value) == ("committed", file)]
    lost = 0
    for at in committed:
        try:
            recording.check(Cut(at + 1, "nothing", ""), 0, tmp_path / f"{at}")
        except (Lost, AssertionError, sqlite3.DatabaseError) as error:
            lost += isinstance(error, Lost)
    assert lost > len(committed) / 4


# --- the disk, as it is modelled --------------------------------------------------------------------------------------


def _disk(folder: Path, *events: Event) -> Disk:
    (folder / "old").write_bytes(b"o" * 1024)
    disk = Disk(folder)
    disk.events.extend(events)
    return disk


def test_what_was_not_synced_is_there_or_not_by_sector(tmp_path: Path) -> None:
    disk = _disk(
        tmp_path, Event("write", "old", 0, 256, b"n" * 1024), Event("sync", "old", 0), Event("truncate", "old", 0, 5)
    )
    contents = [disk.after(1, "half of the sectors", seed)["old"] for seed in range(200)]
    seen = {(content[:256], content[256:512], content[512:1024], content[1024:]) for content in contents}
    assert seen == {
        (b"o" * 256, first, second, third)  # what stands beside a write in a sector stays
        for first in (b"o" * 256, b"n" * 256)
        for second in (b"o" * 512, b"n" * 512)
        for third in (b"", b"n" * 256)
    }
    assert disk.after(1, "nothing") == {"old": b"o" * 1024}
    assert disk.after(1) == disk.after(2, "nothing") == {"old": b"o" * 256 + b"n" * 1024}
    assert {len(disk.after(3, "whole writes", seed)["old"]) for seed in range(50)} == {5, 1280}
    assert set(disk.after(1, "garbage", 7)["old"]) - set(b"on")
    assert disk.after(1, "garbage", 7) == disk.after(1, "garbage", 7), "a case can be repeated"


def test_names_are_lost_and_come_back_until_the_folder_is_synced(tmp_path: Path) -> None:
    made = (Event("create", "new", 1), Event("write", "new", 1, 0, b"x"), Event("sync", "new", 1))
    disk = _disk(
        tmp_path, *made, Event("folder sync"), Event("delete", "old"), Event("rename", "new", 1, value="named")
    )

    def names(cut: int) -> set[str]:
        return {" ".join(sorted(disk.after(cut, "whole writes", seed))) for seed in range(200)}

    assert names(3) == {"old", "new old"}, "a sync of the file does not name it"
    assert names(4) == {"new old"}
    assert names(5) == {"new", "new old"}
    assert {"named", "new", "new old", "named old"} <= names(6)
    assert disk.after(6) == {"named": b"x"}


@pytest.mark.parametrize("seed", range(3))
def test_all_that_sqlite_writes_is_recorded(tmp_path: Path, seed: int) -> None:
    """Whatever the journal; with writes that SQLite undoes, and a file that was there before."""
    chance = random.Random(seed)
    path = tmp_path / "some.db"
    for _ in range(2):
        disk = Disk(tmp_path)
        with disk.recording(), closing(sqlite3.connect(path, isolation_level=None)) as db:
            for mode in chance.sample(["WAL", "DELETE", "TRUNCATE", "PERSIST"], 4):
                db.execute(f"PRAGMA journal_mode = {mode}")
                db.execute("CREATE TABLE IF NOT EXISTS t (x)")
                for _ in range(10):
                    db.execute("BEGIN")
                    db.execute("INSERT INTO t VALUES (randomblob(?))", (chance.randrange(9000),))
                    db.execute(chance.choice(["COMMIT", "ROLLBACK"]))
                db.execute("VACUUM")
        left = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        assert disk.after(len(disk.events)) == left
        assert len(disk.events) > 100
    with closing(sqlite3.connect(path)) as db:  # the real VFS is the default again
        db.execute("DELETE FROM t")
        db.commit()
    assert disk.after(len(disk.events))["some.db"] != path.read_bytes(), "recording has ended"
