"""Every streaming option changes the default chain as the table says, and only so; the page shows the table."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers.memory_graph import MemoryGraph

from cortex_rx import SqliteBackend, default_chain
from cortex_rx.chain import Chain, Step
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.options import STREAMING_OPTIONS, OptionEffect, StreamingOptions

DOCS = Path(__file__).resolve().parents[2] / "docs"


def hook(event: object) -> None:
    """It is only compared."""


def facts(user_message: str, text: str) -> None:
    """It is only compared."""


ANYTHING: list[Any] = [False, True, 7, 30_000, "sentence", "average", "rollback"]
ANYTHING.append(dict.fromkeys(["on_chunk", "on_progress", "on_error", "on_complete", "on_end"], hook))


def asking(name: str) -> Any:
    """A value of the option that asks for another thing than its default does."""
    for value in ANYTHING:
        try:
            if StreamingOptions(**{name: value}) != StreamingOptions():
                return value
        except InvalidArgument:
            continue
    raise AssertionError(f"no value of {name} is accepted: add one to ANYTHING")


def chain_of(options: dict[str, Any]) -> Chain:
    return default_chain(BACKEND, options, generate_embedding=hook, extract_facts=facts, graph=GRAPH)


NEEDS: dict[str, dict[str, Any]] = {
    "incremental_embeddings": {"max_single_memory_size": 30_000},
    "embedding_merge_strategy": {"chunking_strategy": "sentence"},
    "graph_sync_interval": {"progressive_graph_sync": True},
}
"""Options that are refused without another one."""


BACKEND = SqliteBackend(":memory:")  # it is only compared, never opened
GRAPH: Any = MemoryGraph()


def without_and_with(name: str) -> tuple[Chain, Chain, Any]:
    """The chains without and with the option; another option adds the step first, if this one only configures it."""
    effect, value = STREAMING_OPTIONS[name], asking(name)
    base = NEEDS.get(name, {})
    if effect.does == "configures" and effect.step not in chain_of({}):
        base = next(
            {other: asking(other)}
            for other, one in STREAMING_OPTIONS.items()
            if (one.does, one.step) == ("adds", effect.step)
        )
    return chain_of(base), chain_of({**base, name: value}), value


def sets(step: Step, argument: str, value: Any) -> bool:
    """Whether the step has the value as this argument: as it is, as milliseconds, or as its part of this name."""
    held = dict(step.args)[argument]
    meant = value[argument] if isinstance(value, dict) else value
    if isinstance(held, timedelta):
        return held == timedelta(milliseconds=meant)
    return type(held) is type(meant) and held == meant


def changed(effect: OptionEffect, before: Step, after: Step) -> set[str]:
    assert (before.name, before.kind) == (after.name, after.kind) == (effect.step, effect.step)
    return {key for key, value in after.args if value != dict(before.args)[key]}


@pytest.mark.parametrize("name", STREAMING_OPTIONS)
def test_it_does_what_the_table_says_and_nothing_else(name: str) -> None:
    effect = STREAMING_OPTIONS[name]
    before, after, value = without_and_with(name)
    arguments = effect.argument.split(", ") if effect.argument else []
    if effect.also:
        step, argument = effect.also
        assert step not in before
        assert sets(after[step], argument, value)
        assert after.without(step).names == before.names
        after = after.without(step)
    if effect.does == "configures":
        assert before.names == after.names
        assert [one.name for one, other in zip(before, after, strict=True) if one != other] == [effect.step]
        assert changed(effect, before[effect.step], after[effect.step]) == set(arguments) != set()
    elif effect.does == "adds":
        assert effect.step not in before
        assert after.without(effect.step) == before
        step = after[effect.step]
        assert step.kind == effect.step
        assert step.given - {"backend"} <= set(arguments), "everything else stays as it is by default"
    else:
        assert value is False
        assert before.without(effect.step) == after
    for argument in arguments:
        assert sets(after[effect.step], argument, value)


@pytest.mark.parametrize("name", STREAMING_OPTIONS)
def test_its_default_is_that_of_the_table_and_of_the_chain(name: str) -> None:
    effect = STREAMING_OPTIONS[name]
    default = getattr(StreamingOptions(), name)
    assert (type(default), default) == (type(effect.ours), effect.ours)
    assert chain_of({name: effect.ours}) == chain_of({name: None}) == chain_of({})
    if effect.does != "configures":
        assert (effect.step in chain_of({})) == (effect.does == "removes")
    if effect.does == "configures" and effect.step in chain_of({}) and effect.ours is not None:
        assert sets(chain_of({})[effect.step], effect.argument, effect.ours)


@pytest.mark.parametrize("name", STREAMING_OPTIONS)
def test_what_differs_from_cortex_is_said_and_only_that(name: str) -> None:
    effect = STREAMING_OPTIONS[name]
    assert bool(effect.differs) == (effect.ours != effect.cortex)


def test_the_page_is_the_one_that_is_generated(snapshot: Any) -> None:
    page = runpy.run_path(str(DOCS / "options_table.py"))["page"]()
    assert (DOCS / "options.md").read_text(encoding="utf-8") == page, "run make docs"
    assert page == snapshot


def test_the_page_has_each_option_once_with_what_the_table_says() -> None:
    rows = [line for line in (DOCS / "options.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    cells = {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in rows)}
    assert len(rows) == len(cells) == len(STREAMING_OPTIONS)
    for name, effect in STREAMING_OPTIONS.items():
        does, ours, cortex, differs = cells[f"`{name}`"]
        assert f"{effect.does} `{effect.step}" in does and effect.argument in does
        assert (ours == cortex) == (effect.ours == effect.cortex)
        assert bool(differs) == (effect.ours != effect.cortex)


@pytest.mark.parametrize(
    "options",
    [{"syncToGraph": True}, {"progressive_graph_sync": True}, {"graphSyncInterval": 5000}, {"graph_sync_interval": 7}],
    ids=str,
)
def test_without_a_graph_its_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"^[a-z]+_[a-z]+_[a-z]+: got .*: no graph is given$"):
        default_chain(BACKEND, options)
    for nothing in ({"sync_to_graph": False}, {"progressive_graph_sync": False}, {"graph_sync_interval": None}):
        assert default_chain(BACKEND, nothing) == default_chain(BACKEND)


@pytest.mark.parametrize(
    "options",
    [{"sync_to_graph": False, "progressive_graph_sync": True}, {"graph_sync_interval": 7}],
    ids=str,
)
def test_an_option_of_the_graph_that_would_do_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="unless"):
        default_chain(BACKEND, options, graph=GRAPH)
