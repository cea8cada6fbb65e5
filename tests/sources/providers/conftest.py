"""Shared by the tests of the providers: a server that plays the stories."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"cortex_rx_providers_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    """One for a file: to start and to stop it takes a quarter of a second."""
    with _load("server").Server() as running:
        yield running


@pytest.fixture
def server(running: Any) -> Iterator[Any]:
    running.scripts.clear()
    yield running
    assert running.open == 0  # what was opened is closed
