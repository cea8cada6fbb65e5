"""The generator of the docs, which is a script beside them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import cortex_rx

ROOT = Path(cortex_rx.__file__).resolve().parents[1]


@pytest.fixture
def generate() -> Iterator[ModuleType]:
    """`docs/generate.py`, loaded anew; its folder is on the path only meanwhile."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield importlib.import_module("generate")
    finally:
        sys.path.remove(str(ROOT / "docs"))
        for name in ("generate", "options_table", "scenes"):
            sys.modules.pop(name, None)
