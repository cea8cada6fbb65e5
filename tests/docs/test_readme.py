"""The README's examples run, and its tables are true."""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers.memory_graph import MemoryGraph

from cortex_rx import Cortex, operators
from cortex_rx.models.options import STREAMING_OPTIONS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_first_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def llm() -> AsyncIterator[str]:
        for word in ("It ", "is ", "in ", "Lisbon."):
            yield word

    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(blocks()[0], {"llm_stream": llm, "__name__": "readme"})
    assert shown.getvalue().startswith("It is in Lisbon.")
    assert "ms to the first token" in shown.getvalue()
    assert "content='Where is my parcel?'" in shown.getvalue()

    async def stored() -> list[str]:
        async with Cortex("memory.db") as cortex:
            return [memory.content for memory in await cortex.memory.list("support")]

    assert asyncio.run(stored()) == ["It is in Lisbon.", "Where is my parcel?"]


@pytest.mark.slow(reason="a LocalGraph takes some seconds to start")
def test_the_example_with_a_graph_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arcadedb_installed: None
) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = (block for block in blocks() if "LocalGraph" in block)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(example, {"__name__": "readme"})
    lines = shown.getvalue().splitlines()
    assert lines[:2] == ["Lisbon", "The graph shows what the store has."]
    counts = {line.split()[0]: line.split()[2:4] for line in lines if line.startswith(("Memory ", "Fact "))}
    assert counts == {"Memory": ["2", "2"], "Fact": ["1", "1"]}


def test_the_example_with_stock_rx_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def llm() -> AsyncIterator[str]:
        for word in ("It ", "is ", "in ", "Lisbon."):
            yield word

    (example,) = (block for block in blocks() if "pipeline.subscribe(" in block)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(example, {"open_llm": llm, "__name__": "readme"})
    assert shown.getvalue().splitlines() == ["Lisbon.", "It ", "is ", "in ", "Lisbon."]


def test_the_interactive_examples_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = [block for block in blocks() if block.startswith(">>>")]
    assert len(examples) == 5
    for example in examples:
        test = doctest.DocTestParser().get_doctest(example, {}, "README", "README.md", 0)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_the_files_that_it_names_exist() -> None:
    for path in re.findall(r"`((?:tests|docs|benchmarks|examples)/[\w./]*)`", README):
        assert (ROOT / path).exists(), path


def rows(first: str) -> list[list[str]]:
    """The rows of the table whose head begins with `first`."""
    table = README[README.index(f"| {first} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_the_table_of_steps_is_true(tmp_path: Path) -> None:
    from opentelemetry.trace import NoOpTracer

    from cortex_rx import SqliteBackend

    backend = SqliteBackend(tmp_path / "m.db")
    arguments: dict[str, tuple[Any, ...]] = {
        "timeout": (timedelta(1),),
        "limit": (5,),
        "measure": (),
        "chunk": ("sentence",),
        "rewrite": (str,),
        "resume": (),
        "recover": ("rollback", backend),
        "adapt": (),
        "observe": (print,),
        "trace": (NoOpTracer(),),
        "extract_facts": (print, backend),
        "sync_graph": (MemoryGraph(), backend),
    }
    for step, _, emits in rows("step"):
        name = step.strip("`").partition("(")[0]
        made = getattr(operators, name)(*arguments.get(name, (backend,)))
        assert sorted(kind.__name__ for kind in made.emits) == sorted(re.findall(r"\w+", emits)), name
    steps = {
        name
        for name in operators.__all__
        if name not in {"Chain", "Step", "chain", "operator", "step", "last", "result", "text"}
    }
    assert {row[0].strip("`").partition("(")[0] for row in rows("step")} == steps


def test_the_table_of_options_names_all_that_act() -> None:
    table = {name.strip("`"): acts for name, _, acts in rows("option")}
    assert set(table) == set(STREAMING_OPTIONS)
    for name, acts in table.items():
        assert f"`{STREAMING_OPTIONS[name].step}`" in acts
    said = {name.strip("`"): default for name, default, _ in rows("option")}
    for name, default in said.items():
        ours = STREAMING_OPTIONS[name].ours
        number = re.sub(r"\D", "", default)
        assert (
            int(number)
            if number
            else {"True": True, "False": False, "none": None, "store-partial": "store-partial"}[default]
        ) == ours
