"""What Cortex exports is exported here, or its import says why not; errors and clients are made as there."""

from __future__ import annotations

import importlib
import json
import pickle
from pathlib import Path

import pytest

import cortex_rx
from cortex_rx import Cortex, CortexConfig, CortexError, ErrorCode, is_cortex_error
from cortex_rx.api.absent import ATTRIBUTES, NAMES
from cortex_rx.errors import InvalidArgument, MemoryNotFound, UnsupportedOption

CORTEX = json.loads((Path(cortex_rx.__file__).resolve().parents[1] / "docs" / "cortex.json").read_text("utf-8"))
EXPORTED = [name for names in CORTEX["names"].values() for name in names]


@pytest.mark.parametrize("name", EXPORTED)
def test_it_is_exported_or_its_import_says_why_not(name: str) -> None:
    if name in NAMES:
        with pytest.raises(ImportError, match=f"^cortex_rx has no {name}: {NAMES[name]}"):
            exec(f"from cortex_rx import {name}", {})
    else:
        exec(f"from cortex_rx import {name}", {})
        assert name in cortex_rx.__all__


def test_what_is_absent_is_in_cortex_and_not_here() -> None:
    assert set(NAMES) <= set(EXPORTED)
    assert not set(NAMES) & set(cortex_rx.__all__)
    client = Cortex(":memory:")
    for name, why in ATTRIBUTES.items():
        with pytest.raises(AttributeError) as refused:
            getattr(client, name)
        assert str(refused.value) == f"Cortex has no {name}: {why}"


def test_another_name_is_missing_as_usual() -> None:
    assert not hasattr(cortex_rx, "Kortex")
    assert not hasattr(Cortex(":memory:"), "memories")
    with pytest.raises(ImportError, match="cannot import name 'Kortex' from 'cortex_rx'"):
        exec("from cortex_rx import Kortex", {})
    assert importlib.import_module("cortex_rx.jupyter")


def test_the_codes_are_those_of_cortex() -> None:
    assert {code.name: code.value for code in ErrorCode} == {name: name for name in CORTEX["codes"]}
    assert len(ErrorCode) == 60
    try:
        raise MemoryNotFound("mem-1")
    except CortexError as error:
        assert is_cortex_error(error)
        assert error.code == ErrorCode.MEMORY_NOT_FOUND
    assert InvalidArgument.code == ErrorCode.INVALID_INPUT
    assert not is_cortex_error(ValueError("MEMORY_NOT_FOUND"))


@pytest.mark.parametrize(
    ("error", "code", "text", "details"),
    [
        (CortexError("EXPORT_FAILED"), "EXPORT_FAILED", "EXPORT_FAILED", None),
        (CortexError("EXPORT_FAILED", "the disk is full"), "EXPORT_FAILED", "the disk is full", None),
        (CortexError(ErrorCode.EXPORT_FAILED, "no", {"rows": 3}), "EXPORT_FAILED", "no", {"rows": 3}),
        (CortexError(), "CORTEX_ERROR", "CORTEX_ERROR", None),
        (MemoryNotFound("mem-1"), "MEMORY_NOT_FOUND", "mem-1", None),
    ],
)
def test_an_error_of_a_program_has_its_code(error: CortexError, code: str, text: str, details: object) -> None:
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert (type(one), one.code, str(one), one.details) == (type(error), code, text, details)


async def test_a_client_is_made_from_a_config(tmp_path: Path) -> None:
    for client in (Cortex(CortexConfig(":memory:")), Cortex(config=CortexConfig(convex_url=str(tmp_path / "m.db")))):
        async with client as cortex:
            stored = await cortex.memory.store("space", "It rains.")
            assert (await cortex.memory.get("space", stored.memory_id)) == stored
    assert (tmp_path / "m.db").exists()


def test_a_config_that_cannot_be_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedOption, match=r"^convex_url: got 'a URL'; accepted: the path of a SQLite file; the"):
        Cortex(CortexConfig(convex_url="https://happy-otter-123.convex.cloud"))
    with pytest.raises(InvalidArgument, match=r"^graph: got 'object'; accepted: a GraphAdapter, such as"):
        CortexConfig(":memory:", object())
    with pytest.raises(InvalidArgument, match=r"^convex_url: got None"):
        CortexConfig()
    with pytest.raises(InvalidArgument, match=r"^config: got 'a CortexConfig'; accepted: None, if store is given"):
        Cortex("memory.db", config=CortexConfig(":memory:"))
