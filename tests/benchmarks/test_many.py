"""The benchmark of many streams at once, with few of them: it runs, and its checks detect errors."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks import many, short
from benchmarks.disk import Disk
from benchmarks.many import Load, Scene, measure

FEW = Load(streams=5, tokens=4, pace=0.001)


@pytest.mark.parametrize("name", many.SUBJECTS)
async def test_every_subject_shows_and_stores_every_stream(name: str, tmp_path: Path) -> None:
    run = await measure(many.SUBJECTS[name], FEW, Scene(over=0.005), tmp_path)
    assert run.too_early == 0
    assert run.wall >= run.ideal > 0
    assert run.commits >= 2  # the begin of the first stream, and its end
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", many.SUBJECTS)
async def test_a_text_that_was_not_stored_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = many.SUBJECTS[name]

    async def forgotten(store: Any, number: int) -> list[str]:
        return []

    monkeypatch.setattr(subject, "stored", forgotten)
    with pytest.raises(AssertionError, match="stream 0 was not stored as it was shown"):
        await measure(subject, FEW, Scene(), tmp_path)


async def test_a_token_that_is_shown_before_its_question_is_durable_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_soon(self: many.Hand, load: Load, number: int, shown: Any) -> str:
        shown()
        return await stream(self, load, number, lambda: None)

    stream = many.Hand.stream
    monkeypatch.setattr(many.Hand, "stream", too_soon)
    assert (await measure(many.Hand, FEW, Scene(), tmp_path)).too_early == FEW.streams


def test_commits_that_wrote_are_counted_and_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    disk = Disk(sync=0.005)
    with disk.watching():
        db = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        old_way = sqlite3.connect(tmp_path / "b.db")
    with closing(db), closing(old_way):
        db.execute("CREATE TABLE t (x)")
        db.execute("BEGIN")
        db.execute("INSERT INTO t VALUES (1)")
        db.execute("COMMIT")
        db.execute("BEGIN")
        assert db.execute("SELECT x FROM t").fetchall() == [(1,)]
        db.execute("COMMIT")
        assert (disk.commits, waits) == (1, [0.005])
        old_way.execute("CREATE TABLE t (x)")
        old_way.execute("INSERT INTO t VALUES (1)")
        old_way.commit()
        old_way.commit()
        assert (disk.commits, waits) == (2, [0.005, 0.005])


@pytest.mark.parametrize("name", short.SUBJECTS)
def test_short_streams_are_read_to_the_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    stream = short.SUBJECTS[name].stream

    async def noted(self: Any, load: Load, number: int, first: Any) -> str:
        shown.append(await stream(self, load, number, first))
        return shown[-1]

    monkeypatch.setattr(short.SUBJECTS[name], "stream", noted)
    short.short_streams(name, 3, 2)
    assert sorted(shown) == sorted(Load(3, 2).text(number) for number in range(4))
