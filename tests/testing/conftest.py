"""Shared by the tests of the tools for tests."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from cortex_rx.testing import leaks


@pytest.fixture
def no_thaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leak is told without looking for garbage among the million objects of all tests: that takes some seconds."""
    monkeypatch.setattr(leaks, "thawed", nullcontext)
