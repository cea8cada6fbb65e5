"""The benchmark of the APIs, with few memories: each call finds something, and each bar can fail."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest

from benchmarks import apis_store
from benchmarks.apis import bars, measure, report
from benchmarks.apis_calls import CALLS, At
from benchmarks.apis_store import Content, filled, opened

FEW = Content(200)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("apis"), FEW)


async def test_each_call_finds_something(file: Path, tmp_path: Path) -> None:
    async with opened(file, tmp_path) as cortex:
        nothing = [name for name, call in CALLS.items() if not await call.make(cortex, At(FEW, 0.3, 0))]
    assert nothing == []


async def test_each_call_is_made_in_each_file(file: Path) -> None:
    other = file.with_name("other.db")
    copyfile(file, other)
    took = await measure({FEW.memories: file, 201: other}, 2)
    assert {name: {size: len(times) for size, times in of.items()} for name, of in took.items()} == {
        name: {FEW.memories: 2, 201: 2} for name in CALLS
    }


def test_a_file_is_filled_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apis_store, "_fill", None)  # it would fail
    assert filled(file.parent, FEW) == file


def test_the_bars_are_about_growth(capsys: pytest.CaptureFixture[str]) -> None:
    took = {name: {10: [0.002, 0.001, 0.002], 20: [0.001, 0.003, 0.0029]} for name in CALLS}
    took["memory.get"] = {10: [0.001], 20: [0.0016]}
    judged = bars(report(took))
    assert {bar.what for bar in judged} == {name for name, call in CALLS.items() if call.most}
    assert [bar.what for bar in judged if not bar.holds] == ["memory.get"]
    assert "2.90     3.00     1.45" in capsys.readouterr().out
